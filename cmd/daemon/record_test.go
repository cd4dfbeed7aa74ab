package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestSeveralAppendToOneRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	for _, id := range []string{"a", "b"} {
		r, err := openRecord(path, id)
		if err != nil {
			t.Fatal(err)
		}
		defer r.to.(*os.File).Close()
		r.add("POST /echo " + id + "-1")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^\d{19} a POST /echo a-1\n\d{19} b POST /echo b-1\n$`).Match(text) {
		t.Errorf("record %q", text)
	}
}

func TestRecordThatCannotBeOpened(t *testing.T) {
	_, err := openRecord(filepath.Join(t.TempDir(), "no", "such"), "a")
	if err == nil || !strings.Contains(err.Error(), "DAEMON_RECORD") {
		t.Errorf("error %v", err)
	}
}
