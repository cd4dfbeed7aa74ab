package main

import (
	"strings"
	"testing"
)

func TestArrange(t *testing.T) {
	app := (&Program{}).app()
	for line, want := range map[string]string{
		"":                                   "",
		"list clusters":                      "list clusters",
		"drain web-1 --wait":                 "drain --wait -- web-1",
		"drain web-1 --timeout 3s --wait":    "drain --timeout 3s --wait -- web-1",
		"weight web-1 3 --admin=h:1":         "weight --admin=h:1 -- web-1 3",
		"drain -- --odd-name":                "drain -- --odd-name",
		"help list":                          "help list",
		"drain --help":                       "drain --help",
		"list clusters -o json -w":           "list clusters -o json -w",
		"run --listen :1 --listen b=:2":      "run --listen :1 --listen b=:2",
		"run --docker-tls-verify --prefix x": "run --docker-tls-verify --prefix x",
	} {
		got, err := arrange(app, append([]string{"lb"}, strings.Fields(line)...))
		if err != nil || strings.Join(got[1:], " ") != want {
			t.Errorf("%q: %q, %v; want %q", line, got[1:], err, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"list", "list", 0}, {"lst", "list", 1},
		{"--wacth", "--watch", 1}, {"kitten", "sitting", 3}, {"clusters", "cluster", 1},
	} {
		if got := editDistance(tt.a, tt.b); got != tt.want || editDistance(tt.b, tt.a) != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
