package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// record is the account of what a daemon did, for whoever has to prove
// something about it: that a request was processed, and only once. One line
// each:
//
//	<unix time in nanoseconds> <daemon id> <event>
//
// An event is "listening", with DAEMON_SERVICE behind it where that is set,
// "signal", "end" or "<method> <path> <request id>".
// Each line is one write, so that several daemons can append to one file. Safe
// for concurrent use.
type record struct {
	id string
	to io.Writer
}

// openRecord opens what DAEMON_RECORD names; none is kept for "".
func openRecord(where, id string) (record, error) {
	switch where {
	case "":
		return record{id, io.Discard}, nil
	case recordOnStdout:
		return record{id, os.Stdout}, nil
	}
	// What is appended stays, however the process ends.
	f, err := os.OpenFile(where, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return record{}, fmt.Errorf("DAEMON_RECORD: %w", err)
	}
	return record{id, f}, nil
}

func (r record) add(event string) {
	fmt.Fprintf(r.to, "%d %s %s\n", time.Now().UnixNano(), r.id, event)
}
