package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tools are the programs of others that a run needs, by name: where they are.
type tools map[string]string

// wanted are their names, which are also those of Debian's packages.
var wanted = []string{"haproxy", "nginx", "wrk"}

// findTools looks for them in PATH, and where Debian puts servers: an ordinary
// user's PATH does not lead there. The error names what is missing and what
// brings it.
func findTools() (tools, error) {
	found := make(tools)
	var missing []string
	for _, name := range wanted {
		path, err := exec.LookPath(name)
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
			if err == nil {
				break
			}
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
		if err != nil {
			missing = append(missing, name)
			continue
		}
		found[name] = path
	}
	if len(missing) > 0 {
		sudo := "sudo "
		if os.Geteuid() == 0 {
			sudo = ""
		}
		return nil, fmt.Errorf("%s missing; what brings it: %sapt-get install %s",
			strings.Join(missing, " and "), sudo, strings.Join(missing, " "))
	}
	return found, nil
}

// version is the first line of what a tool says of itself. wrk says it with exit
// code 1, nginx on standard error.
func (t tools) version(name string) string {
	out, _ := exec.Command(t[name], "-v").CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	line, _, _ = strings.Cut(line, " - http")
	line, _, _ = strings.Cut(line, " Copyright")
	return strings.TrimPrefix(line, "nginx version: ")
}
