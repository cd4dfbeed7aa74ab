// Command bench measures lb beside HAProxy, nginx and httputil.ReverseProxy on
// this machine and prints a table: see make bench.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/dockerlb/dockerlb/internal/bench"
)

// What bench starts ends with the thread that has started it: it is the main one,
// which lasts.
func init() { runtime.LockOSThread() }

func main() {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if len(os.Args) < 2 || os.Args[1] != reverse {
		// A reader that has seen enough (| head) ends the run, and what it has
		// started. Not for the contender: once asked for, the signal comes from
		// every socket whose client has gone (os/signal, "SIGPIPE").
		signals = append(signals, syscall.SIGPIPE)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// reverse is the first argument that makes this program a contender.
const reverse = "reverse-proxy"

func run(ctx context.Context, args []string) error {
	if len(args) > 2 && args[0] == reverse {
		return bench.ReverseProxy(ctx, args[1], args[2:])
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o := bench.Options{Reverse: []string{self, reverse}, Out: os.Stdout, Log: os.Stderr}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.StringVar(&o.LB, "lb", "bin/lb", "the lb to measure")
	flags.StringVar(&o.Variant, "variant", "", "another lb, measured beside it")
	flags.IntVar(&o.Rounds, "rounds", 7, "how often each contender is measured")
	flags.IntVar(&o.Seconds, "seconds", 2, "how long each time")
	flags.Func("works", "what to measure, by commas: "+strings.Join(bench.Keys(), ", ")+" (default all)", list(&o.Works))
	flags.Func("only", "contenders to measure, by commas (default all)", list(&o.Only))
	limit := flags.Duration("limit", 20*time.Minute, "give up after this")
	profile := flags.String("profile", "", "save a CPU profile of lb, built with -tags pprof, under the first of -works at this path, and compare nothing")
	quiet := flags.Bool("quiet", false, "no progress on standard error")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *quiet {
		o.Log = io.Discard
	}
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	if *profile != "" {
		return bench.Profile(ctx, o, *profile)
	}
	return bench.Run(ctx, o)
}

func list(to *[]string) func(string) error {
	return func(text string) error {
		*to = strings.Split(text, ",")
		return nil
	}
}
