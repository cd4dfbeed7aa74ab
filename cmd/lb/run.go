package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"
)

func (p *Program) runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "be the proxy",
		Description: `SIGTERM and SIGINT end it gracefully: /ready says 503 and connections are told
to close; after --drain-delay nothing new is accepted; what is in flight has
--shutdown-timeout to finish. A second signal ends it at once.

With --takeover an upgrade loses nothing: start the new lb beside the old one
with the same flags. When it knows all that the old one knows, it takes over the
sockets; the old one tells its connections to close, finishes what is in flight
within --shutdown-timeout, and ends. Without an old one it just starts.

Every flag has an environment variable. Go's own are honoured too: GOMAXPROCS
(default: the container's CPU limit), GOMEMLIMIT (default: nine tenths of the
container's memory limit) and GOGC.`,
		HideHelpCommand: true,
		Flags:           runFlags(),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o, err := readOptions(c)
			if err != nil {
				return err
			}
			log, err := newLog(p.Stderr, o.logLevel, o.logFormat)
			if err != nil {
				return usageError("--log-level: %w", err)
			}
			limitMemory(log)
			descriptors, known := openFiles()
			if known {
				o.limitConnections(descriptors)
			}
			o.stdout = p.Stdout
			d, err := newDaemon(o, log)
			if err != nil {
				return err
			}
			if known { // and no usage error
				o.tellConnections(log, descriptors)
			}
			signals := p.Signals
			if signals == nil {
				own := make(chan os.Signal, 2)
				signal.Notify(own, syscall.SIGTERM, os.Interrupt)
				defer signal.Stop(own)
				signals = own
			}
			return d.run(c.Context, signals, p.started)
		},
	}
}

// awaitSignal returns a context that ends with the next signal.
func awaitSignal(ctx context.Context, signals <-chan os.Signal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
