// Command daemon is the example backend: it answers every path with its own
// id, so that whoever asks through a load balancer sees which one answered.
//
//	$ curl localhost:8080
//	My id is 4db760a5-97ae-4221-8419-f5635f1b4ff4
//
// It is also what the tests and the storm put behind the proxy, so it can
// behave badly on request. Settings come from the environment, since that is
// what a Compose file can set per service:
//
//	DAEMON_LISTEN   address to listen on                        :8080
//	DAEMON_DELAY    wait before listening                       0s
//	DAEMON_ON_TERM  linger: serve on for DAEMON_LINGER, then
//	                finish what is in flight; close: cut
//	                everything at once; ignore: serve on        linger
//	DAEMON_LINGER   how long to serve on after SIGTERM          500ms
//	DAEMON_RECORD   keep a record of what was processed: true   false
//	                prints it, a path appends it to that file
//	DAEMON_SERVICE  a word by which the record says whose it
//	                is, beside the id
//
// Paths with a meaning of their own are listed at [handler].
//
// The image has no shell, so that it is its own client: "daemon healthcheck"
// asks the one that runs in the same container how it is, and exits 0 or 1 (for
// a HEALTHCHECK); "daemon sick" and "daemon well" change what that one answers, and
// "daemon fault error|reset|garbage|hang|crash|none" how it answers everything.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	settings, err := settingsFrom(os.Getenv)
	if err == nil {
		switch {
		case len(os.Args) == 1:
			err = run(settings)
		case len(os.Args) == 2 && os.Args[1] == "healthcheck":
			err = ask(settings.listen, http.MethodGet, "/healthz")
		case len(os.Args) == 2 && os.Args[1] == "sick":
			err = ask(settings.listen, http.MethodPut, "/healthz?ok=false")
		case len(os.Args) == 2 && os.Args[1] == "well":
			err = ask(settings.listen, http.MethodPut, "/healthz?ok=true")
		case len(os.Args) == 3 && os.Args[1] == "fault":
			err = ask(settings.listen, http.MethodPut, "/fault?is="+url.QueryEscape(os.Args[2]))
		default:
			err = fmt.Errorf("unknown arguments %q (want none, healthcheck, sick, well or fault KIND)", os.Args[1:])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "daemon:", err)
		os.Exit(1)
	}
}

// run serves until SIGTERM or SIGINT, and then ends as the settings say.
func run(s settings) error {
	// Before anything else: process 1 of a container has no default action for
	// SIGTERM, so that an early one would be lost.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	// There is nothing to reload, and no reason to die of being asked to.
	signal.Ignore(syscall.SIGHUP)

	select {
	case <-time.After(s.delay):
	case <-signals:
		return nil
	}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	id := newID()
	r, err := openRecord(s.record, id)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr(), "as", id)
	return serve(listener, s, signals, r)
}

// ask sends a request to the daemon that listens on this host at the port of
// listen.
func ask(listen, method, target string) error {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+net.JoinHostPort("127.0.0.1", port)+target, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
