package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/config"
	"github.com/dockerlb/dockerlb/topology"
)

// validateCommand judges a file as lb run would, and starts nothing.
func (p *Program) validateCommand() *cli.Command {
	return &cli.Command{
		Name:  "validate",
		Usage: "say what is wrong with a configuration file",
		Description: `Every error is named with its line and field, and the exit code is 1; a good
file is summed up. Nothing is started, and no running lb is asked.`,
		HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, EnvVars: []string{"LB_CONFIG"},
				Usage: "`FILE` in Envoy's own language (a v3 bootstrap, YAML or JSON)"},
		},
		Action: func(c *cli.Context) error {
			path := c.String("config")
			switch {
			case path == "" && c.NArg() == 1:
				path = c.Args().First()
			case path == "":
				return usageError("validate wants --config FILE")
			case c.NArg() > 0:
				return noArguments(c)
			}
			static, err := config.Load(path)
			if err != nil {
				// The errors alone, without "lb: ": editors and CI read this.
				err = fileError(path, err)
				fmt.Fprintln(p.Stderr, err)
				return &codedError{exitFailed, errSaid}
			}
			summary(p.Stdout, path, static)
			return nil
		},
	}
}

// errSaid is an error that has been printed.
var errSaid = silent{}

type silent struct{}

func (silent) Error() string { return "" }

// summary is what a good file comes to.
func summary(w io.Writer, path string, s *topology.Static) {
	fmt.Fprintf(w, "%s is good\n", path)
	if s.Admin.IsValid() {
		fmt.Fprintf(w, "admin     %s\n", s.Admin)
	}
	for i := range s.Listeners {
		l := &s.Listeners[i]
		routes := 0
		for j := range l.VirtualHosts {
			routes += len(l.VirtualHosts[j].Routes)
		}
		name := ""
		if l.Name != l.Address.String() {
			name = l.Name + " "
		}
		fmt.Fprintf(w, "listener  %s%s: %s, %s\n", name, l.Address, count(len(l.VirtualHosts), "virtual host"), count(routes, "route"))
	}
	for i := range s.Clusters {
		c := &s.Clusters[i]
		var hosts []string
		for _, h := range c.Hosts {
			name := h.Name
			if name == "" {
				name = h.Address.String()
			}
			hosts = append(hosts, fmt.Sprintf("%s:%d", name, h.Port))
		}
		const shown = 5
		if n := len(hosts); n > shown {
			hosts = append(hosts[:shown:shown], fmt.Sprintf("and %d more", n-shown))
		}
		fmt.Fprintf(w, "cluster   %s: %s, %s: %s\n", c.Name, c.Type, c.Policy, strings.Join(hosts, ", "))
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
