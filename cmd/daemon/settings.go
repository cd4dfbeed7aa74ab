package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// settings are read from the environment once, at start.
type settings struct {
	listen string
	delay  time.Duration
	onTerm onTerm
	linger time.Duration
	record string // empty, recordOnStdout or a file's path
	// service is what the record calls this one beside its id; may be empty.
	service string
}

// recordOnStdout has the record printed.
const recordOnStdout = "-"

// onTerm is what SIGTERM does.
type onTerm string

const (
	termLinger onTerm = "linger"
	termClose  onTerm = "close"
	termIgnore onTerm = "ignore"
)

// settingsFrom reads the settings from a function like os.Getenv. An empty
// value is the default.
func settingsFrom(getenv func(string) string) (settings, error) {
	s := settings{listen: ":8080", onTerm: termLinger, linger: 500 * time.Millisecond}
	if v := getenv("DAEMON_LISTEN"); v != "" {
		s.listen = v
	}
	if err := duration(getenv, "DAEMON_DELAY", &s.delay); err != nil {
		return s, err
	}
	if err := duration(getenv, "DAEMON_LINGER", &s.linger); err != nil {
		return s, err
	}
	switch v := onTerm(getenv("DAEMON_ON_TERM")); v {
	case "":
	case termLinger, termClose, termIgnore:
		s.onTerm = v
	default:
		return s, fmt.Errorf("DAEMON_ON_TERM=%s: want linger, close or ignore", v)
	}
	s.service = getenv("DAEMON_SERVICE")
	if strings.ContainsFunc(s.service, unicode.IsSpace) {
		return s, fmt.Errorf("DAEMON_SERVICE=%q: want one word", s.service) // a record's lines are of words
	}
	if v := getenv("DAEMON_RECORD"); v != "" {
		switch on, err := strconv.ParseBool(v); {
		case strings.HasPrefix(v, "/"):
			s.record = v
		case err != nil:
			return s, fmt.Errorf("DAEMON_RECORD=%s: want true, false or an absolute path", v)
		case on:
			s.record = recordOnStdout
		}
	}
	return s, nil
}

func duration(getenv func(string) string, name string, into *time.Duration) error {
	v := getenv(name)
	if v == "" {
		return nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return fmt.Errorf("%s=%s: want a duration such as 500ms", name, v)
	}
	*into = d
	return nil
}
