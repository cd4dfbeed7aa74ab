package storm

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewTarget(t *testing.T) {
	if got, err := newTarget(""); got != nil || err != nil {
		t.Errorf("none: %v, %v", got, err)
	}
	if got, err := newTarget("http://127.0.0.1:80/"); err != nil || got.address != "127.0.0.1:80" || got.name != "" {
		t.Errorf("an URL: %+v, %v", got, err)
	}
	for _, bad := range []string{"traefik", "http://host", "https://host:1", "http://host:1/path"} {
		if _, err := newTarget(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Where the programs are here, they take the files that we write for them.
func TestConfigurationsAreTaken(t *testing.T) {
	for _, test := range []struct {
		name  string
		check []string
	}{{"haproxy", []string{"-c"}}, {"nginx", []string{"-t"}}} {
		target, err := newTarget(test.name)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		args, err := target.configure(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exec.LookPath(test.name); err != nil {
			t.Logf("%s is not here: only its file was written", test.name)
			continue
		}
		out, err := exec.Command(test.name, append(args, test.check...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", filepath.Join(dir, test.name), err, out)
		}
	}
}
