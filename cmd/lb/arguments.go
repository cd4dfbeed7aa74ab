package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// outputFlag is -o; the first format is the default.
func outputFlag(formats ...string) cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: formats[0], Usage: "`FORMAT`: " + strings.Join(formats, " or ")}
}

// choice is the value of a flag that has few.
func choice(c *cli.Context, flag string, allowed ...string) (string, error) {
	v := c.String(flag)
	if !slices.Contains(allowed, v) {
		return "", usageError("--%s %q: want %s", flag, v, strings.Join(allowed, " or "))
	}
	return v, nil
}

func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return usageError("%s takes no argument, but got %q", commandPath(c), c.Args().First())
	}
	return nil
}

// arguments wants exactly the named arguments.
func arguments(c *cli.Context, names ...string) ([]string, error) {
	if c.NArg() != len(names) {
		return nil, usageError("%s wants %s; see %s --help", commandPath(c), strings.Join(names, " "), c.Command.HelpName)
	}
	return c.Args().Slice(), nil
}

// commandPath is the command without the program's name, which exit writes.
func commandPath(c *cli.Context) string { return strings.TrimPrefix(c.Command.HelpName, "lb ") }
