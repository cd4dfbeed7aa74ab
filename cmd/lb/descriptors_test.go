package main

import (
	"math"
	"strings"
	"syscall"
	"testing"
)

func TestConnectionCap(t *testing.T) {
	for _, tt := range []struct {
		asked       int
		descriptors uint64
		want        int
	}{
		{65536, 1 << 20, 65536},
		{65536, 2*65536 + 256, 65536},
		{65536, 2*65536 + 255, 65535},
		{65536, 20000, 9872},
		{65536, 1024, 384},
		{100, 1024, 100}, // never raised
		{65536, 258, 1},
		{65536, 257, 1}, // 0 would be no limit
		{65536, 0, 1},
		{65536, math.MaxUint64, 65536}, // RLIM_INFINITY
		{0, 1024, 0},
		{0, 0, 0},
	} {
		if got := connectionCap(tt.asked, tt.descriptors); got != tt.want {
			t.Errorf("--max-connections %d, %d descriptors: %d, want %d", tt.asked, tt.descriptors, got, tt.want)
		}
	}
}

func TestLimitConnections(t *testing.T) {
	for _, tt := range []struct {
		name  string
		asked int
		given bool
		want  int
		log   []string // words; none: silence
	}{
		{"asked for more", 65536, true, 384, []string{"level=warning", "--max-connections 65536", "1024 open files (RLIMIT_NOFILE)", "384 connections", "ulimits.nofile", "LimitNOFILE"}},
		{"the default", 65536, false, 384, []string{"level=info", "--max-connections 65536", "1024 open files (RLIMIT_NOFILE)", "384 connections"}},
		{"it fits", 384, true, 384, nil},
		{"no limit", 0, true, 0, []string{"level=warning", "--max-connections 0", "1024 open files"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b buffer
			log, err := newLog(&b, "info", "text")
			if err != nil {
				t.Fatal(err)
			}
			o := &runOptions{maxConnections: tt.asked, maxConnectionsGiven: tt.given}
			o.limitConnections(1024)
			o.tellConnections(log, 1024)
			if o.limits.Connections != tt.want {
				t.Errorf("cap %d, want %d", o.limits.Connections, tt.want)
			}
			if len(tt.log) == 0 && b.String() != "" {
				t.Errorf("log: %s", &b)
			}
			for _, w := range tt.log {
				if !strings.Contains(b.String(), w) {
					t.Errorf("no %q in %s", w, &b)
				}
			}
		})
	}
}

// The cap in force is the one that the data plane has, whether the flag or its
// variable asked for more, and a warning says so.
func TestRunLimitsConnections(t *testing.T) {
	n, ok := openFiles()
	if !ok || n > math.MaxInt32 {
		t.Skip("no limit of open files that a flag could pass")
	}
	t.Setenv("LB_MAX_CONNECTIONS", "2147483647")
	d, signals, log, wait := start(t, "")
	defer func() {
		signals <- syscall.SIGTERM
		wait()
	}()
	if got, want := d.o.limits.Connections, connectionCap(math.MaxInt32, n); got != want {
		t.Errorf("cap %d, want %d of %d descriptors", got, want, n)
	}
	if !strings.Contains(log.String(), "level=warning") || !strings.Contains(log.String(), "--max-connections 2147483647 does not fit") {
		t.Errorf("log:\n%s", log)
	}
}
