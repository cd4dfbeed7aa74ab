package balancer

import (
	"cmp"
	"slices"
	"time"
)

// tier is one failover level (Envoy's priority) while a picker is arranged.
type tier struct {
	number                   uint32
	total, healthy, degraded uint32
	all                      uint32 // that panic may use
	health, degradedHealth   uint32 // of 100, after overprovisioning
	load, degradedLoad       uint32 // of 100
	panic                    bool
}

// arrange sets the picker's lanes: tiers, degraded members and panic, by the
// rules of Envoy in its integer arithmetic.
func (c *Cluster) arrange(p *picker, now time.Time) {
	tiers := c.tiers()
	if len(tiers) == 0 {
		return
	}
	spread(tiers, p.spec.Overprovisioning, p.spec.PanicPercent)
	p.hashed = p.spec.Policy == "ring_hash" || p.spec.Policy == "maglev"
	sum := uint32(0)
	for i := range tiers {
		t := &tiers[i]
		if t.load == 0 {
			continue
		}
		k := healthy
		if t.panic {
			k, p.panic = everybody, true
		}
		sum += t.load
		p.lanes = append(p.lanes, lane{upTo: sum, choose: c.strategy(p, t.number, k, now), panic: t.panic})
	}
	for i := range tiers {
		t := &tiers[i]
		if t.degradedLoad == 0 {
			continue
		}
		k := degraded
		if t.panic {
			k, p.panic = everybody, true
		}
		sum += t.degradedLoad
		p.lanes = append(p.lanes, lane{upTo: sum, choose: c.strategy(p, t.number, k, now), panic: t.panic})
	}
}

// tiers counts the members of each tier that has any, in order.
func (c *Cluster) tiers() []tier {
	var tiers []tier
	i := 0
	for _, e := range c.endpoints {
		if n := e.Spec().Tier; len(tiers) == 0 || tiers[i].number != n {
			var found bool
			i, found = slices.BinarySearchFunc(tiers, n, func(t tier, n uint32) int { return cmp.Compare(t.number, n) })
			if !found {
				tiers = slices.Insert(tiers, i, tier{number: n})
			}
		}
		t := &tiers[i]
		switch e.stand.class {
		case healthy:
			t.healthy++
			t.total++
			t.all++
		case degraded:
			t.degraded++
			t.total++
			t.all++
		case failed:
			t.total++
			t.all++
		case pending:
			t.all++
		}
	}
	return tiers
}

// spread shares a hundred parts of the load among the tiers.
func spread(tiers []tier, overprovisioning, panicPercent uint32) {
	if overprovisioning == 0 {
		overprovisioning = 140
	}
	sum := uint32(0)
	for i := range tiers {
		t := &tiers[i]
		if t.total > 0 {
			t.health = min(100, overprovisioning*t.healthy/t.total)
			t.degradedHealth = min(100, overprovisioning*t.degraded/t.total)
		}
		sum += t.health + t.degradedHealth
	}
	normal := min(100, sum)
	allPanic := true
	hosts := uint32(0)
	for i := range tiers {
		t := &tiers[i]
		available := uint32(0)
		if t.total > 0 {
			available = 100 * (t.healthy + t.degraded) / t.total
		}
		t.panic = normal < 100 && available < panicPercent
		allPanic = allPanic && t.panic
		hosts += t.all
	}
	if allPanic {
		// Nobody knows better: by the number of hosts.
		share(tiers, hosts, 100, func(t *tier) (uint32, *uint32) { return t.all, &t.load })
		return
	}
	if normal == 0 {
		return
	}
	rest := share(tiers, normal, 100, func(t *tier) (uint32, *uint32) { return t.health, &t.load })
	rest = share(tiers, normal, rest, func(t *tier) (uint32, *uint32) { return t.degradedHealth, &t.degradedLoad })
	// What rounding left over goes to the first that is used.
	for i := range tiers {
		t := &tiers[i]
		if t.load > 0 {
			t.load += rest
			return
		}
		if t.degradedLoad > 0 {
			t.degradedLoad += rest
			return
		}
	}
}

// share gives each tier its part of what remains, in order, and returns the
// rest.
func share(tiers []tier, normal, remaining uint32, of func(*tier) (part uint32, load *uint32)) uint32 {
	if normal == 0 {
		return remaining
	}
	for i := range tiers {
		part, load := of(&tiers[i])
		*load = min(remaining, part*100/normal)
		remaining -= *load
	}
	return remaining
}
