package proxy

// Many backends make one variable of X-Forwarded-For and X_Forwarded_For (CGI,
// RFC 3875 section 4.1.18, and all that follow it), so a name is looked at with
// its underscores as hyphens.

// claims tells what a name, none of those that the engine acts on, pretends to
// be: a framing field that another parser may take for one (fieldLookalike), or
// something about the client that only a trusted proxy may say (fieldClaim).
func claims(name []byte) fieldID {
	var folded [32]byte
	n := len(name)
	if n > len(folded) {
		return fieldOther
	}
	for i, c := range name {
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c == '_':
			c = '-'
		}
		folded[i] = c
	}
	for n > 0 && folded[n-1] == '-' {
		n--
	}
	s := folded[:n]
	switch string(s) {
	case "content-length", "transfer-encoding", "host", "connection":
		return fieldLookalike
	case "forwarded", "client-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-real-ip",
		"x-request-id", "front-end-https", "x-url-scheme",
		"proxy": // becomes HTTP_PROXY (httpoxy, CVE-2016-5385)
		return fieldClaim
	}
	const prefix = "x-forwarded"
	if len(s) >= len(prefix) && string(s[:len(prefix)]) == prefix && (len(s) == len(prefix) || s[len(prefix)] == '-') {
		return fieldClaim
	}
	return fieldOther
}

// trailable reports whether a field may come in a trailer: nothing that frames,
// routes, authenticates, modifies the request or describes the content (RFC
// 9110 section 6.5.1), for no rule of ours has seen it when it comes.
func trailable(name []byte) bool {
	switch identify(name) {
	case fieldOther, fieldDate, fieldServer:
	default:
		return false
	}
	var folded [32]byte
	n := min(len(name), len(folded))
	for i, c := range name[:n] {
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c == '_':
			c = '-'
		}
		folded[i] = c
	}
	s := folded[:n]
	switch string(s) {
	case "authorization", "cache-control", "range", "max-forwards", "set-cookie", "cookie", "age", "expires", "location",
		"pragma", "retry-after", "vary", "warning", "www-authenticate", "trailer", "te", "upgrade", "expect", "keep-alive":
		return false
	}
	for _, p := range []string{"content-", "if-", "proxy-", "accept", "sec-", "access-control-", "x-envoy-"} {
		if len(s) >= len(p) && string(s[:len(p)]) == p {
			return false
		}
	}
	return true
}
