package dockerwatch

import "testing"

func TestParseSignal(t *testing.T) {
	for text, want := range map[string]int{
		"15": 15, "9": 9, "SIGTERM": 15, "TERM": 15, "sigquit": 3, "SIGWINCH": 28, " SIGINT ": 2,
		"SIGRTMIN": 34, "SIGRTMIN+3": 37, "RTMIN+3": 37, "RTMAX-1": 63, "37": 37, "SIGRTMAX": 64,
		"": 0, "0": 0, "65": 0, "SIGNONE": 0, "RTMIN+31": 0, "RTMIN-1": 0, "RTMAX-x": 0, "-9": 0,
	} {
		if got := parseSignal(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestIsStop(t *testing.T) {
	for _, c := range []struct {
		signal, own int
		want        bool
	}{
		{15, 0, true}, {9, 0, true}, {15, 3, true}, {9, 3, true}, {3, 3, true}, {37, 37, true},
		{1, 0, false}, {1, 15, false}, {3, 15, false}, {28, 0, false},
		{1, 1, true}, // STOPSIGNAL SIGHUP: its own wish
	} {
		if got := isStop(c.signal, c.own); got != c.want {
			t.Errorf("signal %d with own %d: %v, want %v", c.signal, c.own, got, c.want)
		}
	}
}
