package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestContainerMemory(t *testing.T) {
	for content, want := range map[string]int64{
		"268435456\n": 256 << 20, "max\n": 0, "9223372036854771712\n": 0, "": 0,
	} {
		file := filepath.Join(t.TempDir(), "memory.max")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := containerMemory([]string{"/nowhere", file}); got != want {
			t.Errorf("%q: %d, want %d", content, got, want)
		}
	}
	if got := containerMemory([]string{"/nowhere"}); got != 0 {
		t.Errorf("no file: %d", got)
	}
}
