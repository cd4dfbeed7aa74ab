package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/admin"
	"github.com/dockerlb/dockerlb/config"
	"github.com/dockerlb/dockerlb/topology"
)

// readFile opens --config, and takes from it what the flags leave open: the
// admin port's address, and the listeners.
func (o *runOptions) readFile(c *cli.Context) error {
	path := c.String("config")
	if path == "" {
		return nil
	}
	file, err := config.Open(path, nil)
	if err != nil {
		return fileError(path, err)
	}
	static, _ := file.Latest()
	if static.Admin.IsValid() && !c.IsSet("admin-listen") {
		o.admin = static.Admin
	}
	if len(static.Listeners) > 0 {
		if !c.IsSet("listen") {
			o.listeners = nil
		}
		for _, f := range listenerFlags {
			if f.given(c) {
				o.unheard = append(o.unheard, f)
			}
		}
	}
	o.file = file
	o.anyEngine = c.String("docker") == ""
	return nil
}

// listenerFlag is a flag about the listeners of flags alone: a listener of the
// file says it itself, as in Envoy.
type listenerFlag struct {
	name  string
	field string // the file's; empty: there is none
	given func(*cli.Context) bool
}

var listenerFlags = []listenerFlag{
	{"trusted-proxies", "xff_num_trusted_hops, with use_remote_address: true", func(c *cli.Context) bool { return len(c.StringSlice("trusted-proxies")) > 0 }},
	{"trusted-hops", "xff_num_trusted_hops, with use_remote_address: true", func(c *cli.Context) bool { return c.Int("trusted-hops") > 0 }},
	{"via", "via", func(c *cli.Context) bool { return c.String("via") != "" }},
	{"forwarded", "", func(c *cli.Context) bool { return c.Bool("forwarded") }},
}

// tellUnheard warns of the flags that somebody may rely on in vain.
func (o *runOptions) tellUnheard(log *logrus.Entry) {
	for _, f := range o.unheard {
		instead := "no field of theirs says it"
		if f.field != "" {
			instead = "their own field is " + f.field
		}
		log.WithField("file", o.configPath()).Warnf("--%s has no effect on the listeners of the file: %s", f.name, instead)
	}
}

func (o *runOptions) configPath() string {
	if o.file == nil {
		return ""
	}
	return o.file.Status().Path
}

// adminFile is the file as the admin port shows it.
func (o *runOptions) adminFile() admin.File {
	if o.file == nil {
		return nil
	}
	return o.file
}

// engineSocket is where an engine is looked for that nobody named.
const engineSocket = "/var/run/docker.sock"

// noEngine says why no engine is to be watched; nil: one is. With a file and no
// --docker the engine is optional: its socket counts where it can be opened.
func (o *runOptions) noEngine(socket string) error {
	if !o.anyEngine {
		return nil
	}
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// engineStatus is how the engine does, in admin's words.
func (d *daemon) engineStatus() []topology.EngineStatus {
	if d.docker == nil {
		return nil
	}
	return []topology.EngineStatus{d.docker.Status()}
}

func (d *daemon) engineName() string {
	if d.docker == nil {
		return "none"
	}
	return d.docker.Status().Name
}

// reloadOnHangup has the file read again on SIGHUP, until what it returns is
// called.
func reloadOnHangup(file *config.Source) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				file.Reload()
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		cancel()
		<-ended
	}
}

// fileError is what is wrong with a file, one line each, as compilers write it:
// envoy.yaml:12: static_resources.clusters[0].lb_polcy: no such field.
func fileError(path string, err error) error {
	var all config.Errors
	if !errors.As(err, &all) {
		return err
	}
	lines := make([]error, len(all))
	for i, e := range all {
		where := filepath.Clean(path)
		if e.Line > 0 {
			where = fmt.Sprintf("%s:%d", where, e.Line)
		}
		if e.Path != "" {
			where += ": " + e.Path
		}
		lines[i] = fmt.Errorf("%s: %s", where, e.Reason)
	}
	return errors.Join(lines...)
}
