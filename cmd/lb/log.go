package main

import (
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"
)

var (
	logLevels  = []string{"trace", "debug", "info", "warning", "error"}
	logFormats = []string{"text", "json"}
)

// newLog makes the program's logger; there is no other.
func newLog(w io.Writer, level, format string) (*logrus.Logger, error) {
	l := logrus.New()
	l.SetOutput(w)
	lvl, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, err
	}
	l.SetLevel(lvl)
	if format == "json" {
		l.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	} else {
		l.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "2006-01-02T15:04:05.000Z07:00"})
	}
	return l, nil
}

// envOr is an environment variable, or what stands for it.
func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
