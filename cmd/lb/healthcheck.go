package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
)

// healthcheckTimeout is below the HEALTHCHECK's own of the image.
const healthcheckTimeout = 1500 * time.Millisecond

// healthcheckCommand is what the image's HEALTHCHECK calls. Docker reserves
// every code but 0 and 1.
func (p *Program) healthcheckCommand() *cli.Command {
	return &cli.Command{
		Name:            "healthcheck",
		Usage:           "exit 0 if lb is ready, 1 if not (for HEALTHCHECK)",
		HideHelpCommand: true,
		Flags:           adminFlags()[:1],
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			client, err := dial(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(c.Context, healthcheckTimeout)
			defer cancel()
			live, state, reason, err := client.Ready(ctx)
			if err != nil {
				return &codedError{exitFailed, err}
			}
			if !live {
				if reason != "" {
					state += ": " + reason
				}
				return &codedError{exitFailed, errors.New(state)}
			}
			fmt.Fprintln(p.Stdout, state)
			return nil
		},
	}
}
