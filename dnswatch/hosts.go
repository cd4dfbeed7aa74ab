package dnswatch

import (
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// hostsFile answers names from /etc/hosts, which Envoy's resolver reads first:
// Compose's extra_hosts and localhost stand there. It is read again when it has
// changed. Any goroutine may ask.
type hostsFile struct {
	path string

	mu      sync.Mutex
	changed time.Time
	size    int64
	names   map[string][]netip.Addr // lower case
}

// lookup returns the addresses of name, in the file's order.
func (h *hostsFile) lookup(name string) []netip.Addr {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	info, err := os.Stat(h.path)
	if err != nil {
		return nil
	}
	if h.names == nil || !info.ModTime().Equal(h.changed) || info.Size() != h.size {
		b, err := os.ReadFile(h.path)
		if err != nil {
			return nil
		}
		h.names, h.changed, h.size = parseHosts(string(b)), info.ModTime(), info.Size()
	}
	return h.names[strings.ToLower(strings.TrimSuffix(name, "."))]
}

func parseHosts(text string) map[string][]netip.Addr {
	names := map[string][]netip.Addr{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		ip, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = strings.ToLower(name)
			names[name] = append(names[name], ip)
		}
	}
	return names
}
