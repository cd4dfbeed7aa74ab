package dnswatch

import (
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"

	"github.com/miekg/dns"
)

// embedded is where the engine's DNS listens inside a container.
var embedded = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// resolvConf is what we take from resolv.conf(5).
type resolvConf struct {
	Servers []netip.AddrPort
	Search  []string
	NDots   int
}

// readResolvConf reads the file; without it, or without a server in it, the
// server is 127.0.0.1 as resolv.conf(5) has it.
func readResolvConf(path string) (resolvConf, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return resolvConf{Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}, NDots: 1}, nil
	}
	if err != nil {
		return resolvConf{}, err
	}
	defer f.Close()
	c, err := parseResolvConf(f)
	if err == nil && len(c.Servers) == 0 {
		c.Servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	}
	return c, err
}

func parseResolvConf(r io.Reader) (resolvConf, error) {
	c, err := dns.ClientConfigFromReader(r)
	if err != nil {
		return resolvConf{}, err
	}
	conf := resolvConf{Search: c.Search, NDots: c.Ndots}
	for _, s := range c.Servers {
		// As the system's resolver, pass over what is no address.
		if ip, err := netip.ParseAddr(s); err == nil {
			conf.Servers = append(conf.Servers, netip.AddrPortFrom(ip, 53))
		}
	}
	return conf, nil
}

// EmbeddedDNS tells from the text of a resolv.conf whether we are in a container
// with the engine's embedded DNS, and where that is. On the host, on the default
// bridge and with the host's network there is none.
func EmbeddedDNS(resolvConf io.Reader) (netip.AddrPort, bool) {
	c, err := parseResolvConf(resolvConf)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for _, s := range c.Servers {
		if s.Addr() == embedded {
			return s, true
		}
	}
	return netip.AddrPort{}, false
}
