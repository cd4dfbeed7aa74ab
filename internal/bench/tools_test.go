package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is missing is named with the command that brings it, and nothing is
// installed.
func TestFindToolsNamesWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, name := range wanted {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho one\necho two\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	found, err := findTools()
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != len(wanted) || found.version("wrk") != "one" {
		t.Errorf("found %v, wrk says %q", found, found.version("wrk"))
	}
	if err := os.Remove(filepath.Join(dir, "wrk")); err != nil {
		t.Fatal(err)
	}
	if _, err := findTools(); err == nil || !strings.Contains(err.Error(), "apt-get install wrk") {
		t.Errorf("error %v: want the command that installs wrk", err)
	}
}
