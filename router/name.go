package router

import (
	"strconv"
	"strings"

	"github.com/dockerlb/dockerlb/topology"
)

// naming is how a listener reads the Host of a request.
type naming struct {
	ignorePort bool
	stripPort  string // ":8080": dropped where the Host ends in it; empty: none
}

// names are a request's host as the two kinds of virtual hosts see it.
type names struct {
	// file is for the virtual hosts of the bootstrap file: "Port in Host
	// counts for matching", unless an option says otherwise.
	file string
	// labels is for those of labels: without a port, and without the dot that
	// may end a name.
	labels string
}

// differ reports whether there are two readings. Both are parts of the same
// string and begin where it begins, so the lengths tell.
func (n names) differ() bool { return len(n.file) != len(n.labels) }

func newNaming(l *topology.Listener) naming {
	n := naming{ignorePort: l.HTTP.IgnorePort || l.HTTP.StripAnyPort}
	if l.HTTP.StripMatchingPort {
		n.stripPort = ":" + strconv.Itoa(int(l.Address.Port()))
	}
	return n
}

func (n naming) names(host string) names {
	bare := host
	if at := portAt(host); at >= 0 {
		bare = host[:at]
	}
	r := names{file: host, labels: strings.TrimSuffix(bare, ".")}
	if n.ignorePort || n.stripPort != "" && host[len(bare):] == n.stripPort {
		r.file = bare
	}
	return r
}

// portAt is where the port of a Host begins, with its colon, or -1. The colons
// of an IPv6 address are in brackets (RFC 3986, 3.2.2).
func portAt(host string) int {
	for i := len(host) - 1; i >= 0; i-- {
		switch host[i] {
		case ':':
			return i
		case ']':
			return none
		}
	}
	return none
}
