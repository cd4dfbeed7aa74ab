package main

import (
	"fmt"
	"os"

	"github.com/dockerlb/dockerlb/admin"
)

// tokenEnv has no flag: a secret on a command line is in everybody's ps.
const tokenEnv = "LB_ADMIN_TOKEN"

// readToken returns the admin token that the file or the environment gives, the
// file winning; empty where there is none.
func readToken(file string) (string, error) {
	if file != "" {
		return admin.ReadToken(file)
	}
	token := os.Getenv(tokenEnv)
	if token == "" {
		return "", nil
	}
	if err := admin.CheckToken(token); err != nil {
		return "", fmt.Errorf("%s: %w", tokenEnv, err)
	}
	return token, nil
}
