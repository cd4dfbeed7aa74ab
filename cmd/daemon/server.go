package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// idleTimeout is longer than a proxy keeps an unused upstream connection
	// (60 s), so that it is the proxy that closes it and no request is written
	// on a connection that this side has just given up.
	idleTimeout = 2 * time.Minute
	headTimeout = 10 * time.Second
	// graceTimeout bounds how long requests in flight may take to finish, after
	// the linger. Docker's own limit is 10 s from the signal.
	graceTimeout = 9 * time.Second
)

// serve answers on listener until a signal comes, and then ends as the settings
// say. It owns the listener.
func serve(listener net.Listener, s settings, signals <-chan os.Signal, r record) error {
	server := &http.Server{
		Handler:           newHandler(r),
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       idleTimeout,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	r.add(strings.TrimSpace("listening " + s.service))
	defer r.add("end")

	for {
		select {
		case err := <-ended:
			return err
		case <-signals:
			r.add("signal")
		}
		if s.onTerm != termIgnore {
			break
		}
	}

	if s.onTerm == termClose {
		server.Close()
		<-ended
		return nil
	}
	// Whoever has not heard yet that this one is leaving is still served.
	select {
	case err := <-ended:
		return err
	case <-time.After(s.linger):
	}
	ctx, cancel := context.WithTimeout(context.Background(), graceTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		server.Close()
		err = fmt.Errorf("requests were still in flight after %v", graceTimeout)
	}
	<-ended
	return err
}
