package main

import (
	"strings"
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	defaults := settings{listen: ":8080", onTerm: termLinger, linger: 500 * time.Millisecond}
	changed := settings{listen: ":81", delay: time.Second, onTerm: termClose, linger: 2 * time.Second, record: "/record", service: "web"}
	for _, test := range []struct {
		name  string
		env   map[string]string
		want  settings
		fails string // what the error names
	}{
		{"defaults", nil, defaults, ""},
		{"all", map[string]string{
			"DAEMON_LISTEN": ":81", "DAEMON_DELAY": "1s", "DAEMON_ON_TERM": "close",
			"DAEMON_LINGER": "2s", "DAEMON_RECORD": "/record", "DAEMON_SERVICE": "web",
		}, changed, ""},
		{"bad duration", map[string]string{"DAEMON_DELAY": "5"}, settings{}, "DAEMON_DELAY=5"},
		{"negative duration", map[string]string{"DAEMON_LINGER": "-1s"}, settings{}, "DAEMON_LINGER=-1s"},
		{"bad word", map[string]string{"DAEMON_ON_TERM": "stay"}, settings{}, "linger, close or ignore"},
		{"bad boolean", map[string]string{"DAEMON_RECORD": "perhaps"}, settings{}, "an absolute path"},
		{"two words", map[string]string{"DAEMON_SERVICE": "a b"}, settings{}, "DAEMON_SERVICE=\"a b\": want one word"},
		{"record on stdout", map[string]string{"DAEMON_RECORD": "1"},
			settings{listen: ":8080", onTerm: termLinger, linger: 500 * time.Millisecond, record: recordOnStdout}, ""},
		{"record off", map[string]string{"DAEMON_RECORD": "false"}, defaults, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := settingsFrom(func(name string) string { return test.env[name] })
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Fatalf("error %v, want one that names %q", err, test.fails)
				}
				return
			}
			if err != nil || got != test.want {
				t.Fatalf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}
