package admin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadToken(t *testing.T) {
	for _, tt := range []struct{ content, want, err string }{
		{content: testToken + "\n", want: testToken},
		{content: "short", err: "5 characters, want at least 16"},
		{content: "", err: "0 characters"},
		{content: "two words are too many", err: "without spaces"},
		{content: "umlaute-gehen-nicht-ä", err: "printable ASCII"},
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadToken(path)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !(strings.Contains(err.Error(), tt.err) && strings.Contains(err.Error(), path)) {
			t.Errorf("%q: %q, %v; want %q, %q", tt.content, got, err, tt.want, tt.err)
		}
	}
	if _, err := ReadToken("/nowhere/token"); err == nil || !strings.Contains(err.Error(), "/nowhere/token") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestNewToken(t *testing.T) {
	a, b := NewToken(), NewToken()
	if a == b || CheckToken(a) != nil {
		t.Errorf("tokens %q and %q", a, b)
	}
}
