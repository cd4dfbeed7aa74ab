package topology

import "time"

// Buried are the clusters of labels that last had and next has not: with the
// routes that last gave them, for as long as each wants to be remembered. Who
// builds the tables gives them to Build again, so that no table in between
// lacks their routes.
func Buried(last, next *Table, now time.Time) []Tombstone {
	if last == nil {
		return nil
	}
	var gone map[string]int // cluster -> index
	var all []Tombstone
	i := 0
	for _, c := range last.Clusters { // both are sorted by name
		for i < len(next.Clusters) && next.Clusters[i].Name < c.Name {
			i++
		}
		if i < len(next.Clusters) && next.Clusters[i].Name == c.Name || c.Source != FromLabels || c.Tombstone <= 0 || len(c.Endpoints) == 0 {
			continue
		}
		if gone == nil {
			gone = map[string]int{}
		}
		gone[c.Name] = len(all)
		c.Endpoints = nil
		all = append(all, Tombstone{Cluster: c, Until: now.Add(c.Tombstone)})
	}
	if gone == nil {
		return nil
	}
	for _, l := range last.Listeners {
		for _, v := range l.VirtualHosts {
			for _, r := range v.Routes {
				if r.Source != FromLabels || len(r.Clusters) != 1 || len(v.Domains) != 1 {
					continue
				}
				if at, ok := gone[r.Clusters[0].Name]; ok {
					all[at].Routes = append(all[at].Routes, TombstoneRoute{Listener: l.Name, Domain: v.Domains[0], Route: r})
				}
			}
		}
	}
	return all
}
