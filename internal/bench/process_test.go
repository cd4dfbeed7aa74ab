package bench

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/freeport"
)

func TestParseStat(t *testing.T) {
	const rest = " S 41 2 3 4 5 6 7 8 9 10 150 25 13 14 15 16 17 18 19 20 300 22 23"
	tests := []struct {
		name, text string
		want       stat
		err        string
	}{
		{"plain", "7 (lb)" + rest, stat{parent: 41, cpu: 1750 * time.Millisecond, rss: 300 * int64(os.Getpagesize())}, ""},
		{"a name with spaces and parentheses", "7 (a) b (c)" + rest, stat{parent: 41, cpu: 1750 * time.Millisecond, rss: 300 * int64(os.Getpagesize())}, ""},
		{"no name", "7 lb" + rest, stat{}, "no name"},
		{"cut short", "7 (lb) S 41 2", stat{}, "fields"},
		{"not a number", strings.Replace("7 (lb)"+rest, " 150 ", " x ", 1), stat{}, "field 14"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat([]byte(tt.text))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// A process's children count, and end with it.
func TestProcessFamily(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc is Linux's")
	}
	p, err := start("shell", exec.Command("sh", "-c", "sleep 60 & trap 'kill $!' TERM; wait"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	end := time.Now().Add(10 * time.Second)
	for len(p.family()) < 2 {
		if time.Now().After(end) {
			t.Fatalf("family %v: the child is not in it", p.family())
		}
		time.Sleep(time.Millisecond)
	}
	alone, err := readStat(p.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	both, err := p.usage()
	if err != nil {
		t.Fatal(err)
	}
	if both.rss <= alone.rss {
		t.Errorf("both hold %d octets, the shell alone %d", both.rss, alone.rss)
	}
}

// A process that ends instead of listening is told with what it said.
func TestAwaitTellsWhatAProcessSaid(t *testing.T) {
	p, err := start("liar", exec.Command("sh", "-c", "echo no such file; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	addr, err := freeport.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	err = p.await(addr)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"liar", "exit status 3", "no such file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}

func TestAwaitSeesAListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := start("shell", exec.Command("sleep", "60"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	if err := p.await(netip.MustParseAddrPort(l.Addr().String())); err != nil {
		t.Error(err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var said tail
	for range 3 {
		if n, err := said.Write([]byte(strings.Repeat("x", tailSize-10) + "end")); err != nil || n != tailSize-7 {
			t.Fatal(n, err)
		}
	}
	if s := said.String(); len(s) != tailSize || !strings.HasSuffix(s, "xend") {
		t.Errorf("%d octets, ending in %q", len(s), s[max(len(s)-5, 0):])
	}
}
