package proxy

// maxForwards obeys Max-Forwards (RFC 9110 section 7.6.2), which counts for
// OPTIONS and TRACE: it is one less for the next hop, and at 0 we are who
// answers. True: we have.
func (ex *exchange) maxForwards() bool {
	r := &ex.req
	switch string(r.method) {
	case "OPTIONS", "TRACE":
	default:
		return false
	}
	value, n := r.lookup("max-forwards")
	left, ok := parseDecimal(value)
	if n != 1 || !ok {
		return false // says nothing that can be understood
	}
	if left == 0 {
		status := 200
		if string(r.method) == "TRACE" {
			// What a client sends may be secret, and is shown to nobody (section
			// 9.3.8 has the final recipient leave it out).
			status = 405
			ex.addResp = append(ex.addResp, pair{"allow", allowHere})
		}
		ex.direct(status, nil, "max_forwards")
		return true
	}
	for i := range r.fields {
		if f := &r.fields[i]; equalFold(r.name(f), "max-forwards") {
			f.drop = true
		}
	}
	ex.addReq = append(ex.addReq, pair{"max-forwards", ex.decimal(left - 1)})
	return false
}

var allowHere = []byte("OPTIONS")
