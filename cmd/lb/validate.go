package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/config"
	"github.com/dockerlb/dockerlb/topology"
)

func (p *Program) validateCommand() *cli.Command {
	return &cli.Command{
		Name:            "validate",
		Usage:           "check an Envoy v3 bootstrap file; every error with its line",
		HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", EnvVars: []string{"LB_CONFIG"}, Usage: "the `FILE`, YAML or JSON"},
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			path := c.String("config")
			if path == "" {
				return usageError("validate: give the file: --config FILE")
			}
			s, err := loadConfig(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "%s: good: %d listeners, %d clusters\n", path, len(s.Listeners), len(s.Clusters))
			return nil
		},
	}
}

// loadConfig reads a bootstrap file; each error stands on a line of its own
// that editors can jump from.
func loadConfig(path string) (*topology.Static, error) {
	s, err := config.Load(path)
	var wrong config.Errors
	if !errors.As(err, &wrong) {
		return s, err
	}
	lines := make([]error, len(wrong))
	for i, e := range wrong {
		lines[i] = fmt.Errorf("%s:%d: %s: %s", path, max(e.Line, 1), e.Path, e.Reason)
		if e.Path == "" {
			lines[i] = fmt.Errorf("%s:%d: %s", path, max(e.Line, 1), e.Reason)
		}
	}
	return nil, errors.Join(lines...)
}
