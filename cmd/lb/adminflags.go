package main

import (
	"net"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/admin"
)

const defaultAdmin = "127.0.0.1:9901"

// adminFlags are those of every command that asks a running lb.
func adminFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "admin", EnvVars: []string{"LB_ADMIN"}, Value: defaultAdmin,
			Usage: "`HOST:PORT` of the admin port of a running lb"},
		&cli.StringFlag{Name: "admin-token-file", EnvVars: []string{"LB_ADMIN_TOKEN_FILE"},
			Usage: "`FILE` with the token for changes from another machine or container; or LB_ADMIN_TOKEN"},
	}
}

// dial makes the client that the flags describe.
func dial(c *cli.Context) (*admin.Client, error) {
	addr := strings.TrimSuffix(strings.TrimPrefix(c.String("admin"), "http://"), "/")
	if !strings.Contains(addr, ":") {
		addr += ":9901"
	}
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return nil, usageError("--admin %q: want HOST:PORT, as in %s", c.String("admin"), defaultAdmin)
	}
	token, err := readToken(c.String("admin-token-file"))
	if err != nil {
		return nil, err
	}
	return admin.Dial(addr, token), nil
}
