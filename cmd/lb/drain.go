package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/admin"
)

const (
	// drainPoll is how often drain --wait looks.
	drainPoll = 100 * time.Millisecond
	// drainTell is how often it says what it still waits for.
	drainTell = time.Second
)

func (p *Program) drainCommand() *cli.Command {
	return &cli.Command{
		Name:      "drain",
		Usage:     "take a container out of rotation; what is in flight finishes",
		ArgsUsage: "CONTAINER",
		Description: `CONTAINER is a name, an id or a short id. It holds until "lb undrain" or the
container's end. So that nothing is lost:

   lb drain web-1 --wait && docker stop web-1

--wait waits for requests and for upgraded connections (WebSockets) alike. The
latter are cut when the container's lb.drain is over; requests are not, and end
by their own limits. A new lb (--takeover, a restart) knows nothing of a drain:
where one comes while this waits, it ends with exit code 1.`,
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
			if err := p.awaitDrained(c.Context, client, st, c.Duration("timeout")); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "%s: drained\n", args[0])
			return nil
		},
	}
}

// awaitDrained returns when nothing is in flight on the container, and says
// meanwhile what is.
func (p *Program) awaitDrained(ctx context.Context, client *admin.Client, st admin.InFlight, timeout time.Duration) error {
	var late <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		late = t.C
	}
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	var told time.Time
	for st.InFlight > 0 {
		if now := time.Now(); now.Sub(told) >= drainTell {
			told = now
			fmt.Fprintf(p.Stderr, "%s: %s\n", st.Container, inFlightText(st))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return &codedError{exitTimeout, fmt.Errorf("%s: %s still in flight after %s; it stays out of rotation", st.Container, requests(st.InFlight), timeout)}
		case <-poll.C:
		}
		now, err := client.InFlight(ctx, st.Container)
		if err != nil {
			return err
		}
		if now.Process != st.Process {
			// Its 0 would mean nothing: the requests are another process's.
			return fmt.Errorf("%[1]s: the lb that drained it is no longer the one that answers at %[2]s (an upgrade with --takeover, or a restart)\n"+
				"the new one knows nothing of the drain, nor of the requests that the old one still finishes: when that has ended, run \"lb drain %[1]s --wait\" again", st.Container, client.Addr())
		}
		st = now
	}
	return nil
}

// inFlightText is a line of progress: "3 in flight, 41s left".
func inFlightText(st admin.InFlight) string {
	text := fmt.Sprintf("%d in flight", st.InFlight)
	if left := time.Duration(st.DrainLeftMS * float64(time.Millisecond)); left > 0 {
		text += fmt.Sprintf(", %s left", max(left.Round(time.Second), time.Second))
	}
	return text
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
		ArgsUsage:       "CONTAINER N|default",
		Description:     `The weight wins over the label lb.weight until the container's end; default lifts it.`,
		HideHelpCommand: true,
		Flags:           adminFlags(),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "CONTAINER", "N")
			if err != nil {
				return err
			}
			n, err := strconv.ParseUint(args[1], 10, 32)
			lift := args[1] == "default"
			if !lift && (err != nil || n > 1000) {
				return usageError("weight %q: want a number from 0 to 1000, or default", args[1])
			}
			client, err := dial(c)
			if err != nil {
				return err
			}
			defer client.Close()
			if lift {
				if _, err := client.DefaultWeight(c.Context, args[0]); err != nil {
					return err
				}
				fmt.Fprintf(p.Stdout, "%s: its own weight again\n", args[0])
				return nil
			}
			if _, err := client.Weight(c.Context, args[0], uint32(n)); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "%s: weight %d\n", args[0], n)
			return nil
		},
	}
}
