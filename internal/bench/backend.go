package bench

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/dockerlb/dockerlb/internal/freeport"
)

// backendCount: two, of one thread each, as two containers would be.
const backendCount = 2

// answer is what a backend says to a small GET: 46 octets, the example's.
const answer = "My id is 4db760a5-97ae-4221-8419-f5635f1b4ff4\n"

const (
	size64K = 64 << 10
	size1M  = 1 << 20
)

// backends starts the backends: nginx with one worker, from memory or by
// sendfile.
func (r *run) backends() ([]netip.AddrPort, error) {
	files := filepath.Join(r.dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return nil, err
	}
	for name, size := range map[string]int64{"64k": size64K, "1m": size1M} {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			return nil, err
		}
	}
	var all []netip.AddrPort
	for i := range backendCount {
		addr, err := freeport.Loopback()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("backend%d", i+1)
		cmd, err := r.nginxCommand(r.dir, name, 1, fmt.Sprintf(backendFile, addr, answer, files))
		if err != nil {
			return nil, err
		}
		p, err := r.start(name, cmd)
		if err != nil {
			return nil, err
		}
		if err := p.await(addr); err != nil {
			return nil, err
		}
		all = append(all, addr)
	}
	return all, nil
}

const backendFile = `    server {
        listen %s backlog=4096;
        location / { return 200 "%s"; }
        location /file/ { alias %s/; }
    }
`
