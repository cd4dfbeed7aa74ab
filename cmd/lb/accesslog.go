package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/dockerlb/dockerlb/accesslog"
)

var accessLogFormats = []string{"text", "json"}

// openAccessLog opens the access log, if there is to be one.
func (d *daemon) openAccessLog() error {
	if d.o.accessLog == "" {
		return nil
	}
	w, err := accesslog.Open(accesslog.Options{Path: d.o.accessLog, Stdout: d.o.stdout, JSON: d.o.accessLogFormat == "json"})
	if err != nil {
		return err
	}
	d.accessLog = w
	return nil
}

// closeAccessLog writes what there is, and tells what was lost.
func (d *daemon) closeAccessLog() {
	if d.accessLog == nil {
		return
	}
	log := d.room("accesslog")
	if err := d.accessLog.Close(); err != nil {
		log.WithError(err).Warn("not written to its end")
	}
	if n := d.accessLog.Dropped(); n > 0 {
		log.Warnf("%d lines were dropped: %s was too slow, or could not be written", n, d.o.accessLog)
	}
}

// reopenOnSignal has the access log's file opened anew on SIGUSR1, which who
// rotates logs sends, until what it returns is called.
func (d *daemon) reopenOnSignal() (stop func()) {
	if d.accessLog == nil {
		return func() {}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range signals {
			if err := d.accessLog.Reopen(); err != nil {
				d.room("accesslog").WithError(err).Warn("not opened anew: the old file stays in use")
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-ended
	}
}
