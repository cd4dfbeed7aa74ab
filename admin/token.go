package admin

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
)

// minToken is the shortest token that is taken: shorter ones can be guessed.
const minToken = 16

// ReadToken reads a token from a file, as --admin-token-file gives it.
func ReadToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("admin token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if err := CheckToken(token); err != nil {
		return "", fmt.Errorf("admin token: %s: %w", path, err)
	}
	return token, nil
}

// CheckToken tells what is wrong with a token that a person chose.
func CheckToken(token string) error {
	if len(token) < minToken {
		return fmt.Errorf("%d characters, want at least %d", len(token), minToken)
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("contains %q: want printable ASCII without spaces", c)
		}
	}
	return nil
}

// NewToken makes a token: 26 characters, 130 bits.
func NewToken() string { return rand.Text() }
