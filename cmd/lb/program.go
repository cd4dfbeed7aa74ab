package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/admin"
)

// Exit codes, as "lb help" lists them.
const (
	exitOK          = 0
	exitFailed      = 1 // it did not work; stderr says what
	exitUsage       = 2 // the command line is wrong
	exitUnreachable = 3 // nothing answers at the admin address
	exitTimeout     = 4 // drain --wait: requests are still in flight
)

// Program is one run of the command, in process: tests start it as main does.
type Program struct {
	Stdout, Stderr io.Writer
	// Signals, if set, is what "lb run" listens to instead of the process's
	// own SIGTERM and SIGINT.
	Signals <-chan os.Signal
	// started, if set, is called by "lb run" when every room runs (tests).
	started func(*daemon)
}

// Run does what args say, args[0] being the program, and returns the exit code.
// Only "lb run" and --watch outlive a moment; ctx ends them.
func (p *Program) Run(ctx context.Context, args []string) int {
	app := p.app()
	if len(args) > 1 && args[1] == completeCommand {
		p.complete(ctx, app, args[2:])
		return exitOK
	}
	args, err := arrange(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	return p.exit(err)
}

// exit prints err, if any, in the command's voice and returns its code.
func (p *Program) exit(err error) int {
	if err == nil {
		return exitOK
	}
	var coded *codedError
	code := exitFailed
	switch {
	case errors.As(err, &coded):
		code = coded.code
	case errors.Is(err, admin.ErrUnreachable):
		code = exitUnreachable
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(p.Stderr, "lb: %s\n", strings.ReplaceAll(text, "\n", "\nlb: "))
	}
	return code
}

// codedError is an error with an exit code of its own.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &codedError{exitUsage, fmt.Errorf(format, args...)}
}

const description = `lb run is the proxy. It watches the Docker Engine for containers that carry
the label lb.cluster and balances over them. The other commands ask a running
lb through its admin port (--admin, LB_ADMIN).

In a container:  docker-compose exec lb /lb list endpoints

Exit codes: 0 done; 1 it did not work; 2 the command line is wrong;
3 nothing answers at the admin address; 4 drain --wait ran out of time.`

func (p *Program) app() *cli.App {
	app := &cli.App{
		Name:            "lb",
		HelpName:        "lb",
		Usage:           "a load balancer that configures itself from Docker labels",
		Description:     description,
		HideHelpCommand: false,
		HideVersion:     true,
		Writer:          p.Stdout,
		ErrWriter:       p.Stderr,
		ExitErrHandler:  func(*cli.Context, error) {}, // exit prints and codes
		OnUsageError:    flagError,
		Commands: []*cli.Command{
			p.runCommand(),
			p.validateCommand(),
			p.listCommand(),
			p.drainCommand(),
			p.undrainCommand(),
			p.weightCommand(),
			p.healthcheckCommand(),
			p.versionCommand(),
			p.completionCommand(),
		},
	}
	inherit(app.Commands)
	return app
}

// inherit gives every command what the library does not hand down.
func inherit(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = flagError
		inherit(c.Subcommands)
	}
}

// badValue is what package flag says of a value that it cannot read.
var badValue = regexp.MustCompile(`^invalid value (".*") for flag -([a-z-]+): (.*)$`)

// flagError puts what the library says of a flag into the command's words.
func flagError(_ *cli.Context, err error, _ bool) error {
	if m := badValue.FindStringSubmatch(err.Error()); m != nil {
		return usageError("--%s: %s: want a value as in its help (%s)", m[2], m[1], m[3])
	}
	return usageError("%w", err)
}
