package leakcheck

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// countDescriptors counts sockets, pipes and files; the runtime's own poller
// appears with the first network test and is not a leak.
func countDescriptors() int { return len(list()) }

func descriptors() string {
	var b strings.Builder
	for _, d := range list() {
		fmt.Fprintf(&b, "  %s\n", d)
	}
	return b.String()
}

func list() []string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var open []string
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/proc/") {
			continue // the listing's own descriptor, epoll, eventfd
		}
		open = append(open, e.Name()+" "+target)
	}
	return open
}
