package balancer

import (
	"slices"

	"github.com/dockerlb/dockerlb/topology"
)

// sameEndpoints compares two lists of endpoints; by memory where Build has
// used the old ones again.
func sameEndpoints(a, b []*topology.Endpoint) bool {
	return sameSlice(a, b) || slices.EqualFunc(a, b, samePointee)
}

// sameSettings compares all of two clusters but their endpoints. It is written
// out because Apply asks it of every cluster each time; a test holds it against
// the fields of topology.Cluster.
func sameSettings(a, b *topology.Cluster) bool {
	return a.Name == b.Name && a.Type == b.Type && a.Source == b.Source && a.Warm == b.Warm &&
		a.Policy == b.Policy && a.ChoiceCount == b.ChoiceCount && a.RingMin == b.RingMin && a.RingMax == b.RingMax &&
		a.MaglevSize == b.MaglevSize && a.HashFunction == b.HashFunction && slices.Equal(a.Hash, b.Hash) && a.Sticky == b.Sticky &&
		a.ConnectTimeout == b.ConnectTimeout && a.IdleTimeout == b.IdleTimeout && a.MaxRequestsPerConn == b.MaxRequestsPerConn &&
		a.Breakers == b.Breakers && sameChecks(a.HealthChecks, b.HealthChecks) &&
		a.IgnoreHealthOnRemoval == b.IgnoreHealthOnRemoval && samePointee(a.Outlier, b.Outlier) &&
		a.PanicPercent == b.PanicPercent && a.Overprovisioning == b.Overprovisioning && a.SlowStart == b.SlowStart &&
		a.Hold == b.Hold && a.HoldMax == b.HoldMax && a.Tombstone == b.Tombstone &&
		slices.Equal(a.Names, b.Names) && sameConflicts(a.Disagree, b.Disagree) && slices.Equal(a.LogicalAddr, b.LogicalAddr)
}

func samePointee[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func sameConflicts(a, b []topology.Conflict) bool {
	return slices.EqualFunc(a, b, func(x, y topology.Conflict) bool {
		return x.Kind == y.Kind && x.What == y.What && x.Winner == y.Winner && slices.Equal(x.Losers, y.Losers)
	})
}

func sameChecks(a, b []topology.HealthCheck) bool {
	return sameSlice(a, b) || slices.EqualFunc(a, b, func(x, y topology.HealthCheck) bool {
		return x.Kind == y.Kind && x.Interval == y.Interval && x.Limit == y.Limit && x.Rise == y.Rise && x.Fall == y.Fall &&
			x.Quick == y.Quick && x.Path == y.Path && x.Host == y.Host && x.Method == y.Method &&
			slices.Equal(x.Statuses, y.Statuses) && slices.Equal(x.Retriable, y.Retriable) && x.Service == y.Service &&
			string(x.Send) == string(y.Send) && string(x.Receive) == string(y.Receive) && x.Port == y.Port &&
			x.InitialJitter == y.InitialJitter && x.IntervalJitter == y.IntervalJitter &&
			x.NoTraffic == y.NoTraffic && x.NoTrafficHealthy == y.NoTrafficHealthy && x.Unhealthy == y.Unhealthy &&
			x.UnhealthyEdge == y.UnhealthyEdge && x.HealthyEdge == y.HealthyEdge &&
			slices.Equal(x.RequestHeaders.Remove, y.RequestHeaders.Remove) && slices.Equal(x.RequestHeaders.Add, y.RequestHeaders.Add) &&
			x.ReuseConnection == y.ReuseConnection
	})
}
