package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// words are the candidates for a command line whose last word, after the last
// space, is being typed.
func words(t *testing.T, line string) []string {
	t.Helper()
	var out buffer
	p := Program{Stdout: &out, Stderr: &out}
	if code := p.Run(t.Context(), append([]string{"lb", completeCommand}, strings.Split(line, " ")...)); code != 0 {
		t.Errorf("%q: exit code %d", line, code)
	}
	var all []string
	for l := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSuffix(l, "\n"), "\t")
		all = append(all, word)
	}
	return all
}

func TestComplete(t *testing.T) {
	running(t, nil)
	for line, want := range map[string]string{
		"l":                           "list",
		"list ":                       "clusters endpoints routes listeners",
		"list end":                    "endpoints",
		"list clusters -o ":           "table json",
		"list clusters --output j":    "json",
		"version -o ":                 "text json",
		"list clusters --wa":          "--watch",
		"run --log-format ":           "text json",
		"run --log-level d":           "debug",
		"drain ":                      "demo-daemon-1 demo-daemon-2",
		"drain --wait demo-daemon-2":  "demo-daemon-2",
		"weight demo-daemon-1 ":       "",
		"nonsense ":                   "",
		"completion ":                 "bash fish zsh",
		"drain --admin 127.0.0.1:1 ":  "",
		"drain --admin=127.0.0.1:1 d": "",
	} {
		if got := strings.Join(words(t, line), " "); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	if all := words(t, ""); !slices.Contains(all, "run") || !slices.Contains(all, "completion") {
		t.Errorf("commands %q", all)
	}
	if all := words(t, "run --docker"); !slices.Contains(all, "--docker-tls-ca") || len(all) != 6 {
		t.Errorf("flags %q", all)
	}
}

// TestShells lets each shell that is here complete by its script. The program
// is a stand-in that answers as __complete does.
func TestShells(t *testing.T) {
	dir := t.TempDir()
	stand := "#!/bin/sh\nprintf '%s\\n' \"$*\" >>" + filepath.Join(dir, "asked") + "\nprintf 'clusters\\tall of them\\nlisteners\\n'\n"
	if err := os.WriteFile(filepath.Join(dir, "lb"), []byte(stand), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ shell, script, drive string }{
		{"bash", bashCompletion, `COMP_WORDS=(lb list ""); COMP_CWORD=2; _lb; printf '%s\n' "${COMPREPLY[@]}"`},
		{"zsh", zshCompletion, `compdef() { :; }; _describe() { printf '%s\n' "${(@P)4}"; }; words=(lb list ""); CURRENT=3; _lb | sed 's/:.*//'`},
		{"fish", fishCompletion, `complete -C 'lb list ' | cut -f 1`},
	} {
		t.Run(tt.shell, func(t *testing.T) {
			path, err := exec.LookPath(tt.shell)
			if err != nil {
				t.Skipf("no %s here", tt.shell)
			}
			script := tt.script
			if tt.shell == "zsh" { // compinit wants a home and a terminal; its two words are stood in for
				before, after, _ := strings.Cut(tt.drive, "; _describe")
				script, tt.drive = before+"\n"+script, "_describe"+after
			}
			asked := filepath.Join(dir, "asked")
			os.Remove(asked)
			cmd := exec.Command(path, "-c", script+"\n"+tt.drive)
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := strings.Fields(string(out)); !slices.Equal(got, []string{"clusters", "listeners"}) {
				t.Errorf("completes to %q", got)
			}
			if b, _ := os.ReadFile(asked); strings.TrimRight(string(b), "\n") != "__complete list " {
				t.Errorf("asked %q, want %q", b, "__complete list ")
			}
		})
	}
}
