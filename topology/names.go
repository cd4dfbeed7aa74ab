package topology

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// addressRefresh is how often a name of lb.address is asked again: Envoy's
// dns_refresh_rate default.
const addressRefresh = 5 * time.Second

// Names is what dnswatch is asked to keep resolved: the members that the
// engine says exist, on networks that we share (the embedded DNS forwards
// unknown names to the host's resolvers, and may block there), the names of
// lb.address, and those of the file. Sorted, each once.
func Names(m Membership, s Static) []Query {
	var queries []Query
	containers := sortedContainers(m.Containers)
	peer := peers(containers)
	for _, c := range containers {
		queries = containerQueries(queries, c, &m.Self, peer)
	}
	for i := range s.Clusters {
		queries = clusterQueries(queries, &s.Clusters[i])
	}
	return sortQueries(queries)
}

// sortQueries sorts in place and leaves each query once.
func sortQueries(queries []Query) []Query {
	if !slices.IsSortedFunc(queries, compareQueries) {
		slices.SortFunc(queries, compareQueries)
	}
	return slices.Compact(queries)
}

// containerQueries appends the questions that a container's decision rests on.
func containerQueries(to []Query, c *Container, self *Self, peer func(string) *Container) []Query {
	if !c.Spec.Managed || !c.Spec.Enabled || c.State != StateRunning && c.State != StatePaused {
		return to
	}
	owner := c
	if c.NetworkOf != "" {
		owner = peer(c.NetworkOf)
	}
	for i := range c.Spec.Services {
		svc := &c.Spec.Services[i]
		if svc.Address.Host != "" {
			if _, literal := svc.Address.Literal(); !literal {
				to = append(to, addressQuery(svc.Address.Host))
			}
			continue
		}
		if owner == nil || owner.HostNetwork {
			continue
		}
		usable, why := usableNetworks(self, owner, svc.Network)
		if why != "" {
			continue
		}
		if q, ok := memberQuery(self, owner, svc.Network, usable); ok {
			to = append(to, q)
		}
	}
	return to
}

// memberQuery is the question about a member's address: its short id, which is
// answered from a network that we share, or <short id>.<network> where
// lb.network names it. There is none on the host and on the default bridge.
func memberQuery(self *Self, owner *Container, want string, usable []Attachment) (Query, bool) {
	if self.onHost() || !self.EmbeddedDNS {
		return Query{}, false
	}
	q := Query{Kind: QueryMember, Name: owner.ShortID()}
	for _, a := range usable {
		if a.Name == bridgeNetwork {
			continue
		}
		if q.Incarnation == "" {
			q.Incarnation = nameOr(shortID(a.EndpointID), a.address().String())
		}
		if want != "" {
			q.Name += "." + a.Name
		}
	}
	return q, q.Incarnation != ""
}

func addressQuery(name string) Query {
	return Query{
		Name: strings.TrimSuffix(strings.ToLower(name), "."), Kind: QueryName, Family: LookupV4Preferred,
		Refresh: RefreshPolicy{Rate: addressRefresh},
	}
}

// clusterQueries appends the names of a file's cluster.
func clusterQueries(to []Query, c *StaticCluster) []Query {
	for i := range c.Hosts {
		if c.Hosts[i].Name != "" {
			to = append(to, hostQuery(c, &c.Hosts[i]))
		}
	}
	return to
}

func hostQuery(c *StaticCluster, h *StaticHost) Query {
	return Query{
		Name: strings.TrimSuffix(h.Name, "."), Kind: QueryName, Cluster: c.Name,
		Family: c.Family, Refresh: c.Refresh,
	}
}

func compareQueries(a, b Query) int {
	return cmp.Or(
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Cluster, b.Cluster),
		cmp.Compare(a.Incarnation, b.Incarnation),
		cmp.Compare(a.Family, b.Family),
		cmp.Compare(a.Refresh.Rate, b.Refresh.Rate),
		cmp.Compare(a.Refresh.Jitter, b.Refresh.Jitter),
		cmp.Compare(a.Refresh.FailureBase, b.Refresh.FailureBase),
		cmp.Compare(a.Refresh.FailureMax, b.Refresh.FailureMax),
		compareBool(a.Refresh.RespectTTL, b.Refresh.RespectTTL),
		compareBool(a.Refresh.FirstTTL, b.Refresh.FirstTTL),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// peers returns a lookup by container id over sorted containers.
func peers(containers []*Container) func(id string) *Container {
	return func(id string) *Container {
		i, ok := slices.BinarySearchFunc(containers, id, func(c *Container, id string) int { return cmp.Compare(c.ID, id) })
		if !ok {
			return nil
		}
		return containers[i]
	}
}
