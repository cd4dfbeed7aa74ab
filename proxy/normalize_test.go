package proxy

import (
	"testing"
)

func TestAppendNormalized(t *testing.T) {
	for _, tc := range []struct {
		path, want string // want empty: refused
	}{
		{"/", "/"},
		{"/a/b", "/a/b"},
		{"/a/b/", "/a/b/"},
		{"/a.b/c..d/..e/f..", "/a.b/c..d/..e/f.."},
		// RFC 3986 section 5.2.4.
		{"/public/../admin", "/admin"},
		{"/a/./b", "/a/b"},
		{"/a/.", "/a/"},
		{"/a/..", "/"},
		{"/a/b/../../c", "/c"},
		{"/..", ""},
		{"/a/../../b", ""},
		// Percent-encoded unreserved octets are what they stand for.
		{"/public/%2e%2E/admin", "/admin"},
		{"/public/.%2e/admin", "/admin"},
		{"/%61%7A", "/az"},
		// Others stay as they are: a slash that is encoded is no border.
		{"/a%2Fb", "/a%2Fb"},
		{"/a%20b", "/a%20b"},
		{"/public%2f..%2fadmin", "/public%2f..%2fadmin"},
		// A backslash is a slash.
		{`/public\..\admin`, "/admin"},
		{"/a%", ""},
		{"/a%2", ""},
		{"/a%zz", ""},
		{"/a%00", ""},
	} {
		got, ok := appendNormalized(nil, []byte(tc.path))
		if !ok {
			got = nil
		}
		if string(got) != tc.want {
			t.Errorf("%s: %q, want %q", tc.path, got, tc.want)
		}
		if isNormal([]byte(tc.path)) && tc.path != tc.want {
			t.Errorf("%s counts as normal, and is not", tc.path)
		}
	}
	for _, path := range []string{"/", "/a/b.c/", "/a..b"} {
		if !isNormal([]byte(path)) {
			t.Errorf("%s is copied, and need not be", path)
		}
	}
}
