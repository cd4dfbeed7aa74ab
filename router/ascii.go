package router

// Comparison without regard to case, of ASCII letters alone: what absl's
// EqualsIgnoreCase does for Envoy. strings.EqualFold would fold U+212A to k.

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func equal(s, t string, fold bool) bool {
	if !fold {
		return s == t
	}
	if len(s) != len(t) {
		return false
	}
	for i := range len(s) {
		if lower(s[i]) != lower(t[i]) {
			return false
		}
	}
	return true
}

func hasPrefix(s, prefix string, fold bool) bool {
	return len(s) >= len(prefix) && equal(s[:len(prefix)], prefix, fold)
}

func hasSuffix(s, suffix string, fold bool) bool {
	return len(s) >= len(suffix) && equal(s[len(s)-len(suffix):], suffix, fold)
}

func contains(s, part string, fold bool) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if equal(s[i:i+len(part)], part, fold) {
			return true
		}
	}
	return false
}
