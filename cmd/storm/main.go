// Command storm sends a constant rate of requests through the proxy while real
// Compose and a real Docker Engine scale, stop, restart, recreate, freeze and
// break its backends, and prints what each operation cost: see package
// internal/storm.
//
//	make storm                 a few minutes
//	make storm SEED=7 RATE=500
//	make storm LONG=1          half an hour, twenty seeds, and what leaked
//
// The exit code is 1 if anything was lost that may not be.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/internal/realengine"
	"github.com/dockerlb/dockerlb/internal/storm"
)

var (
	errLost    = errors.New("the storm was not weathered: see the rows that say FAIL")
	errNothing = errors.New("no operation took place, so that nothing was shown: ask for others, or give it a longer --limit")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := &cli.App{
		Name:            "storm",
		Usage:           "requests at a constant rate while Docker moves the backends",
		HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`N`: the same seed is the same schedule"},
			&cli.IntFlag{Name: "rate", Value: 300, Usage: "requests per second"},
			&cli.IntFlag{Name: "seeds", Value: 1, Usage: "how many seeds, from --seed on"},
			&cli.DurationFlag{Name: "limit", Usage: "`TIME` after which no further operation of a seed begins (default: all are done)"},
			&cli.DurationFlag{Name: "rest", Usage: "`TIME` of peace before what the proxy holds is read, after the first seed and after the last (default: it is not read)"},
			&cli.StringFlag{Name: "target", Usage: "another proxy to aim at: haproxy, nginx or `http://HOST:PORT`, where the host name SERVICE.storm leads to the service (default: lb)"},
			&cli.StringSliceFlag{Name: "only", Usage: "the `OPERATION` to do, may be repeated (default: all)"},
		},
		Action: func(c *cli.Context) error {
			for _, name := range []string{"rate", "seeds"} {
				if c.Int(name) < 1 {
					return fmt.Errorf("--%s: %d: want at least 1", name, c.Int(name))
				}
			}
			o := storm.Options{
				Rate: c.Int("rate"), Limit: c.Duration("limit"), Rest: c.Duration("rest"), Only: c.StringSlice("only"),
				Target:   c.String("target"),
				Progress: os.Stdout,
			}
			for i := range c.Int("seeds") {
				o.Seeds = append(o.Seeds, c.Uint64("seed")+uint64(i))
			}
			return run(c.Context, o)
		},
	}
	if err := app.RunContext(ctx, os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

// run builds the images, runs the storm and removes both.
func run(ctx context.Context, o storm.Options) (err error) {
	engine, err := realengine.Find()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Remove()) }()
	if err := engine.Build(); err != nil {
		return err
	}
	o.Socket, o.Compose = engine.Socket, engine.ComposeCommand()
	o.Images = storm.Images{LB: engine.LB, Daemon: engine.Daemon, Binary: engine.LBBinary}
	if os.Geteuid() == 0 && runtime.GOOS == "linux" {
		o.Second = func() (*storm.Second, error) { return second(engine) }
	}
	report, err := storm.Run(ctx, o)
	if report != nil && len(report.Rows) > 0 { // what was seen counts, however it ended
		fmt.Println()
		if err := storm.WriteTable(os.Stdout, report.Rows); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	for _, m := range report.Missing {
		fmt.Println("not done here:", m)
	}
	if report.Start != nil {
		fmt.Printf("after the first seed: %v\nafter the last seed:  %v\n", report.Start, report.End)
	}
	if err := report.Leak(); err != nil {
		fmt.Println("FAIL: the proxy has grown:", err)
	}
	if len(report.Rows) == 0 {
		return errNothing
	}
	if !report.Pass() {
		return errLost
	}
	return nil
}
