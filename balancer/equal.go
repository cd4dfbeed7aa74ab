package balancer

import (
	"reflect"
	"slices"

	"github.com/dockerlb/dockerlb/topology"
)

// sameEndpoints compares two lists of endpoints; by memory where Build has
// used the old one again.
func sameEndpoints(a, b []topology.Endpoint) bool {
	return sameSlice(a, b) || slices.Equal(a, b)
}

// sameSettings compares all of two clusters but their endpoints.
func sameSettings(a, b *topology.Cluster) bool {
	if a == b {
		return true
	}
	x, y := *a, *b
	x.Endpoints, y.Endpoints = nil, nil
	return reflect.DeepEqual(&x, &y)
}
