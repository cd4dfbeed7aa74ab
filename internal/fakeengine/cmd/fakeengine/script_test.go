package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
)

func TestScript(t *testing.T) {
	var out strings.Builder
	in := strings.NewReader("pause fake-0\nstop fake-1\nremove fake-2\ndrop on\nstandings\ncalls list\n")
	o := &options{socket: filepath.Join(t.TempDir(), "s"), prefix: "lb", containers: 3, clusters: 2, hosts: true, listen: true, script: true}
	if err := run(t.Context(), o, in, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 7 { // the greeting, and one for each
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	var all map[string]fakeengine.Standing
	if err := json.Unmarshal([]byte(lines[5]), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all["fake-0"].State != "paused" || all["fake-1"].State != "exited" {
		t.Errorf("%+v", all)
	}
	if ip := all["fake-0"].Addresses["bridge"]; !strings.HasPrefix(ip, "127.17.") {
		t.Errorf("fake-0 has %q, want an address of the loopback", ip)
	}
	if lines[6] != "0" {
		t.Errorf("%s lists", lines[6])
	}
	if err := run(t.Context(), o, strings.NewReader("dance fake-0\n"), &out); err == nil || !strings.Contains(err.Error(), `"dance fake-0"`) {
		t.Errorf("an unknown command: %v", err)
	}
}
