package topology

import (
	"reflect"
	"slices"
)

// nameMemo is what Builder.Names remembers.
type nameMemo struct {
	self    Self
	static  []StaticCluster
	asked   []askedContainer // by container id
	queries []Query
}

// askedContainer is a container and the questions about it.
type askedContainer struct {
	container, peer *Container
	queries         []Query
}

// Names is the package's Names, at the cost of what changed; the same slice
// where the names are the same.
func (b *Builder) Names(m Membership, s Static) []Query {
	n := &b.asked
	containers := b.sorted(m.Containers)
	peer := peers(containers)
	fresh := !reflect.DeepEqual(n.self, m.Self)
	changed := fresh || !sameSlice(n.static, s.Clusters)
	old, next := n.asked, make([]askedContainer, 0, len(containers))
	for _, c := range containers {
		for len(old) > 0 && old[0].container != c && old[0].container.ID < c.ID {
			changed = changed || len(old[0].queries) > 0
			old = old[1:]
		}
		now := askedContainer{container: c}
		if c.NetworkOf != "" {
			now.peer = peer(c.NetworkOf)
		}
		had := len(old) > 0 && (old[0].container == c || old[0].container.ID == c.ID)
		if had && !fresh && old[0].container == c && old[0].peer == now.peer {
			now.queries = old[0].queries
		} else {
			now.queries = containerQueries(nil, c, &m.Self, peer)
			if had {
				changed = changed || !slices.Equal(now.queries, old[0].queries)
			} else {
				changed = changed || len(now.queries) > 0
			}
		}
		if had {
			old = old[1:]
		}
		next = append(next, now)
	}
	for _, o := range old {
		changed = changed || len(o.queries) > 0
	}
	n.self, n.static, n.asked = m.Self, s.Clusters, next
	if !changed {
		return n.queries
	}
	var queries []Query
	for i := range next {
		queries = append(queries, next[i].queries...)
	}
	for i := range s.Clusters {
		queries = clusterQueries(queries, &s.Clusters[i])
	}
	n.queries = sortQueries(queries)
	return n.queries
}
