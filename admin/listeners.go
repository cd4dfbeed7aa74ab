package admin

import (
	"fmt"
	"net/http"
	"net/netip"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"github.com/dockerlb/dockerlb/balancer"
)

// listeners answers as Envoy does. The admin's own is not listed.
func (s *Server) listeners(w http.ResponseWriter, r *http.Request) {
	snap := s.o.Balancer.Snapshot()
	bound := s.boundAddresses()
	switch f := r.Form.Get("format"); f {
	case "", "text":
		for _, l := range snap.Listeners {
			fmt.Fprintf(w, "%s::%s\n", oneLine(l.Name), addressOf(l, bound))
		}
	case "json":
		out := &adminv3.Listeners{}
		for _, l := range snap.Listeners {
			out.ListenerStatuses = append(out.ListenerStatuses, &adminv3.ListenerStatus{
				Name: valid(l.Name), LocalAddress: protoAddress(addressOf(l, bound)),
			})
		}
		s.writeProto(w, out, false)
	default:
		s.badFormat(w, f, "text or json")
	}
}

// boundAddresses is where the proxy really listens, by listener: port 0 in the
// configuration is some port here.
func (s *Server) boundAddresses() map[string]netip.AddrPort {
	m := make(map[string]netip.AddrPort)
	if s.o.Proxy != nil {
		for _, l := range s.o.Proxy() {
			m[l.Name] = l.Address
		}
	}
	return m
}

func addressOf(l balancer.ListenerStatus, bound map[string]netip.AddrPort) netip.AddrPort {
	if a, ok := bound[l.Name]; ok && a.IsValid() {
		return a
	}
	return l.Address
}
