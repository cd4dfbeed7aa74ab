package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/admin"
)

// drainPoll is how often drain --wait looks.
const drainPoll = 100 * time.Millisecond

func (p *Program) drainCommand() *cli.Command {
	return &cli.Command{
		Name:      "drain",
		Usage:     "take a container out of rotation; what is in flight finishes",
		ArgsUsage: "CONTAINER",
		Description: `CONTAINER is a name, an id or a short id. It holds until "lb undrain" or the
container's end. So that nothing is lost:

   lb drain web-1 --wait && docker stop web-1`,
		HideHelpCommand: true,
		Flags: append(adminFlags(),
			&cli.BoolFlag{Name: "wait", Usage: "return when nothing is in flight"},
			&cli.DurationFlag{Name: "timeout", Usage: "give up waiting after this `TIME`: exit code 4; 0: never"},
		),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "CONTAINER")
			if err != nil {
				return err
			}
			if c.IsSet("timeout") && !c.Bool("wait") {
				return usageError("--timeout is the limit of --wait, which is not given")
			}
			if c.Duration("timeout") < 0 {
				return usageError("--timeout %s: want a time that is not negative", c.Duration("timeout"))
			}
			client, err := dial(c)
			if err != nil {
				return err
			}
			defer client.Close()
			st, err := client.Drain(c.Context, args[0])
			if err != nil {
				return err
			}
			if !c.Bool("wait") {
				fmt.Fprintf(p.Stdout, "%s: draining, %s in flight\n", args[0], requests(st.InFlight))
				return nil
			}
			if err := awaitDrained(c.Context, client, args[0], st.InFlight, c.Duration("timeout")); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "%s: drained\n", args[0])
			return nil
		},
	}
}

// awaitDrained returns when nothing is in flight on the container.
func awaitDrained(ctx context.Context, client *admin.Client, container string, inFlight int, timeout time.Duration) error {
	var late <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		late = t.C
	}
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	for inFlight > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return &codedError{exitTimeout, fmt.Errorf("%s: %s still in flight after %s; it stays out of rotation", container, requests(inFlight), timeout)}
		case <-poll.C:
		}
		st, err := client.InFlight(ctx, container)
		if err != nil {
			return err
		}
		inFlight = st.InFlight
	}
	return nil
}

func requests(n int) string {
	if n == 1 {
		return "1 request"
	}
	return strconv.Itoa(n) + " requests"
}

func (p *Program) undrainCommand() *cli.Command {
	return &cli.Command{
		Name:            "undrain",
		Usage:           "take a drained container into rotation again",
		ArgsUsage:       "CONTAINER",
		HideHelpCommand: true,
		Flags:           adminFlags(),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "CONTAINER")
			if err != nil {
				return err
			}
			client, err := dial(c)
			if err != nil {
				return err
			}
			defer client.Close()
			if _, err := client.Undrain(c.Context, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "%s: in rotation as its health allows\n", args[0])
			return nil
		},
	}
}

func (p *Program) weightCommand() *cli.Command {
	return &cli.Command{
		Name:            "weight",
		Usage:           "set a container's weight, 0 to 1000; 0 takes no traffic",
		ArgsUsage:       "CONTAINER N",
		Description:     `The weight wins over the label lb.weight until the container's end.`,
		HideHelpCommand: true,
		Flags:           adminFlags(),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "CONTAINER", "N")
			if err != nil {
				return err
			}
			n, err := strconv.ParseUint(args[1], 10, 32)
			if err != nil || n > 1000 {
				return usageError("weight %q: want a number from 0 to 1000", args[1])
			}
			client, err := dial(c)
			if err != nil {
				return err
			}
			defer client.Close()
			if _, err := client.Weight(c.Context, args[0], uint32(n)); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "%s: weight %d\n", args[0], n)
			return nil
		},
	}
}
