package main

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the commands print into testdata")

// TestManual runs the transcripts of testdata, which read like a manual: a line
// with "$ " is typed, what follows is what is printed, stderr marked by "! "
// and an exit code other than 0 by "? ".
func TestManual(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			running(t, nil)
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for line := range strings.Lines(string(want)) {
				switch {
				case strings.HasPrefix(line, "#"):
					if got.Len() > 0 {
						got.WriteString("\n")
					}
					got.WriteString(line)
				case strings.HasPrefix(line, "$ lb"):
					got.WriteString("\n" + line)
					out, errs, code := lb(t, strings.TrimPrefix(line, "$ lb"))
					got.WriteString(out)
					for l := range strings.Lines(errs) {
						got.WriteString("! " + l)
					}
					if code != 0 {
						got.WriteString("? " + strconv.Itoa(code) + "\n")
					}
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got.String() != string(want) {
				t.Errorf("%s (-update writes it anew):\n%s\nwant:\n%s", file, got.String(), want)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	addr := nobody(t)
	for line, want := range map[string]int{
		"list clusters":    exitUnreachable,
		"drain web-1":      exitUnreachable,
		"undrain web-1":    exitUnreachable,
		"weight web-1 3":   exitUnreachable,
		"healthcheck":      exitFailed, // Docker reserves the others
		"list clusters -w": exitUnreachable,
	} {
		_, errs, code := lb(t, line+" --admin "+addr)
		if code != want || !strings.Contains(errs, addr) || !strings.Contains(errs, "LB_ADMIN") {
			t.Errorf("lb %s: %d, want %d, and what to do: %s", line, code, want, errs)
		}
	}
}
