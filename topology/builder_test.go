package topology

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

// Whatever happens, in whatever order: a Builder that has lived through it
// gives what Build gives.
func TestBuilderIsBuild(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			s := newScene(t)
			var b Builder
			for step := range 60 {
				what := mutate(s, r)
				s.in.Generation++
				got, want := b.Build(s.in), Build(s.in)
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("step %d (%s): the Builder's table differs\n%s", step, what, difference(got, want))
				}
				names, asked := b.Names(s.in.Membership, s.in.Static), Names(s.in.Membership, s.in.Static)
				if !slices.Equal(names, asked) {
					t.Fatalf("step %d (%s): names %v, want %v", step, what, names, asked)
				}
				// What the balancer would remember.
				s.in.Incumbents = remember(got, r)
			}
		})
	}
}

// mutate changes one thing, as the sources would: by new values.
func mutate(s *scene, r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	containers := s.in.Membership.Containers
	n := r.IntN(14)
	if len(containers) < 4 {
		n = 0
	}
	s.in.Membership.Containers = slices.Clone(containers)
	replace := func(change func(*Container)) string {
		i := r.IntN(len(containers))
		c := *containers[i]
		change(&c)
		s.in.Membership.Containers[i] = &c
		return c.Name
	}
	switch n {
	case 0, 1, 2:
		name := fmt.Sprintf("c%d", r.IntN(30))
		if slices.ContainsFunc(containers, func(c *Container) bool { return c.ID == id(name) }) {
			return "nothing"
		}
		text := "lb.cluster=" + pick("web", "api", "file", "other")
		for range r.IntN(3) {
			text += " " + pick("lb.host=a.test", "lb.host=b.test,a.test", "lb.path=/api", "lb.policy=random", "lb.policy=maglev", "lb.ready=docker",
				"lb.listener=edge", "lb.network=edge", "lb.port=x", "lb.strip=true", "lb.weight=0", "lb.svc.x.cluster=api lb.svc.x.port=9",
				"lb.address=db.local:9", "lb.health.path=/h", "lb.tombstone=1s")
		}
		opts := []option{}
		switch r.IntN(5) {
		case 0:
			opts = append(opts, on("backend 172.20.0.9", "edge 172.22.0.9"))
		case 1:
			opts = append(opts, borrowing(fmt.Sprintf("c%d", r.IntN(30))))
		case 2:
			opts = append(opts, onTheHost)
		}
		s.add(name, text, opts...)
		return "add " + name + " " + text
	case 3:
		i := r.IntN(len(containers))
		s.in.Membership.Containers = slices.Delete(s.in.Membership.Containers, i, i+1)
		return "remove " + containers[i].Name
	case 4:
		return "state of " + replace(func(c *Container) {
			c.State = []State{StateRunning, StateExited, StatePaused}[r.IntN(3)]
		})
	case 5:
		return "stop " + replace(func(c *Container) { c.Stopping = !c.Stopping })
	case 6:
		return "health of " + replace(func(c *Container) { c.Health = []Health{HealthNone, HealthHealthy, HealthStarting}[r.IntN(3)] })
	case 7:
		return "address of " + replace(func(c *Container) {
			c.Networks = []Attachment{attachment(c.Name+fmt.Sprint(r.Int()), fmt.Sprintf("backend 172.20.0.%d", 3+r.IntN(6)))}
		})
	case 8:
		return "rename " + replace(func(c *Container) { c.Name += "x" })
	case 9:
		if r.IntN(2) == 0 {
			s.weAreOn("backend 172.20.0.2")
		} else {
			s.weAreOn("backend 172.20.0.2", "edge 172.22.0.2")
		}
		return "our networks"
	case 10:
		s.in.Static = Static{}
		if r.IntN(3) > 0 {
			s.in.Static.Clusters = []StaticCluster{{
				Cluster: Cluster{Name: "file", Type: []ClusterType{StrictDNS, LogicalDNS}[r.IntN(2)]}, WaitForWarm: true,
				Hosts: []StaticHost{{Name: "daemon", Port: 8080}},
			}}
			s.in.Static.Listeners = []Listener{{Name: "default", Source: FromFile, VirtualHosts: []VirtualHost{{Name: "all", Domains: []string{"*", "a.test"},
				Routes: []Route{{Key: "file", Source: FromFile, Clusters: []WeightedCluster{{Name: "file", Weight: 1}}}}}}}}
		}
		return "the file"
	case 11:
		s.in.Defaults.Listeners = slices.Clone(s.in.Defaults.Listeners[:1])
		if r.IntN(2) == 0 {
			s.in.Defaults.Listeners = append(s.in.Defaults.Listeners, Listener{Name: "edge", Address: netip.MustParseAddrPort("0.0.0.0:443")})
		}
		return "our listeners"
	default:
		names := map[Query]Answer{}
		for _, q := range Names(s.in.Membership, s.in.Static) {
			a := Answer{Outcome: Outcome(r.IntN(4)), At: dawn.Add(time.Duration(r.IntN(100)) * time.Second)}
			if a.Outcome == OutcomeFound {
				a.First = netip.AddrFrom4([4]byte{172, 20, 0, byte(3 + r.IntN(8))})
				a.Addresses = []netip.Addr{a.First}
			}
			names[q] = a
		}
		s.in.Answers.Names = names
		return "answers"
	}
}

// remember is the incumbents that a balancer might give after a table.
func remember(table *Table, r *rand.Rand) Incumbents {
	inc := Incumbents{Previous: table}
	for _, c := range table.Clusters {
		if c.Source == FromLabels && len(c.Endpoints) == 0 && r.IntN(3) == 0 {
			inc.Expired = append(inc.Expired, c.Name)
		}
	}
	return inc
}

// difference names the first part in which two tables differ.
func difference(a, b *Table) string {
	for _, p := range []struct {
		name string
		a, b any
	}{{"listeners", a.Listeners, b.Listeners}, {"clusters", a.Clusters, b.Clusters}, {"conflicts", a.Conflicts, b.Conflicts}} {
		if !reflect.DeepEqual(p.a, p.b) {
			return fmt.Sprintf("%s:\n%+v\nwant:\n%+v", p.name, p.a, p.b)
		}
	}
	for i := range min(len(a.Traces), len(b.Traces)) {
		if !reflect.DeepEqual(a.Traces[i], b.Traces[i]) {
			return fmt.Sprintf("trace:\n%+v\nwant:\n%+v", a.Traces[i], b.Traces[i])
		}
	}
	return fmt.Sprintf("%d traces, want %d", len(a.Traces), len(b.Traces))
}

// Equal inputs give equal tables, whatever the order of a list.
func TestOrderDoesNotMatter(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := newScene(t)
		for range 40 {
			mutate(s, r)
		}
		want, names := Build(s.in), Names(s.in.Membership, s.in.Static)
		for range 5 {
			in := s.in
			in.Membership.Containers = shuffled(r, in.Membership.Containers)
			in.Defaults.Listeners = shuffled(r, in.Defaults.Listeners)
			in.Membership.Self.Networks = shuffled(r, in.Membership.Self.Networks)
			got := Build(in)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d: %s", seed, difference(got, want))
			}
			if got := Names(in.Membership, in.Static); !slices.Equal(got, names) {
				t.Fatalf("seed %d: names %v, want %v", seed, got, names)
			}
		}
	}
}

func shuffled[T any](r *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// A change of one container leaves everything else the same memory, so that
// who reads the table can tell by the pointer.
func TestBuilderKeepsWhatDoesNotChange(t *testing.T) {
	s := newScene(t)
	s.add("web-1", "lb.cluster=web")
	s.add("api-1", "lb.cluster=api lb.host=api.test")
	var b Builder
	before := b.Build(s.in)
	for i, c := range s.in.Membership.Containers {
		if c.Name == "api-1" {
			changed := *c
			changed.Health = HealthHealthy
			s.in.Membership.Containers = slices.Clone(s.in.Membership.Containers)
			s.in.Membership.Containers[i] = &changed
		}
	}
	after := b.Build(s.in)
	if clusterOf(t, before, "web") != clusterOf(t, after, "web") {
		t.Error("web was made again")
	}
	if traceOf(t, before, "web-1") != traceOf(t, after, "web-1") {
		t.Error("web-1's trace was made again")
	}
	if traceOf(t, before, "api-1") == traceOf(t, after, "api-1") {
		t.Error("api-1's trace was not made again")
	}
	if &before.Listeners[0].VirtualHosts[1].Routes[0] != &after.Listeners[0].VirtualHosts[1].Routes[0] {
		t.Error("api.test's routes were made again")
	}
	if !sameSlice(b.Names(s.in.Membership, s.in.Static), b.Names(s.in.Membership, s.in.Static)) {
		t.Error("the names were made again")
	}
}

// crowd is n containers in the given number of clusters, each cluster with a
// host of its own.
func crowd(n, clusters int) Inputs {
	in := Inputs{Generation: 1, Defaults: Defaults{
		Prefix: "lb", Policy: labels.DefaultClusterPolicy(),
		Listeners: []Listener{{Name: "default", Address: netip.MustParseAddrPort("0.0.0.0:10000")}},
	}}
	in.Membership.Self = Self{InContainer: true, EmbeddedDNS: true, Networks: []Attachment{attachment("lb", "backend 10.0.0.1")}}
	names := map[Query]Answer{}
	for i := range n {
		name := fmt.Sprintf("svc%d-%d", i%clusters, i)
		ip := netip.AddrFrom4([4]byte{10, 1 + byte(i>>16), byte(i >> 8), byte(i)})
		c := &Container{
			ID: id(name), Name: name, Engine: "local", State: StateRunning, Created: dawn.Add(time.Duration(i) * time.Second), Inspected: true,
			Networks: []Attachment{attachment(name, "backend "+ip.String())},
			Ports:    []Port{{Number: 8080, Protocol: "tcp"}},
		}
		c.Spec, c.Problems = labels.Parse("lb", labelMap(fmt.Sprintf("lb.cluster=svc%d lb.host=svc%d.test lb.health.path=/h", i%clusters, i%clusters)))
		in.Membership.Containers = append(in.Membership.Containers, c)
	}
	slices.SortFunc(in.Membership.Containers, func(a, b *Container) int { return strings.Compare(a.ID, b.ID) })
	for _, q := range Names(in.Membership, in.Static) {
		for _, c := range in.Membership.Containers {
			if c.ShortID() == q.Name {
				names[q] = Answer{Outcome: OutcomeFound, Addresses: []netip.Addr{c.Networks[0].IPv4}}
				break
			}
		}
	}
	in.Answers.Names = names
	return in
}

// BenchmarkOneChange is what one changed container costs among 5,000: first
// one that changes nothing but itself, then one that leaves and comes back.
func BenchmarkOneChange(b *testing.B) {
	for _, clusters := range []int{1, 500, 5000} {
		in := crowd(5000, clusters)
		b.Run(fmt.Sprintf("health/clusters=%d", clusters), func(b *testing.B) {
			var builder Builder
			builder.Build(in)
			in := in
			in.Membership.Containers = slices.Clone(in.Membership.Containers)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c := *in.Membership.Containers[i%5000]
				c.Health = [...]Health{HealthStarting, HealthHealthy}[i/5000%2]
				in.Membership.Containers[i%5000] = &c
				in.Generation++
				builder.Build(in)
			}
		})
		b.Run(fmt.Sprintf("join/clusters=%d", clusters), func(b *testing.B) {
			var builder Builder
			builder.Build(in)
			all := in.Membership.Containers
			without := slices.Delete(slices.Clone(all), 2500, 2501)
			in := in
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				in.Membership.Containers = [...][]*Container{without, all}[i%2]
				in.Generation++
				builder.Build(in)
			}
		})
	}
}

// BenchmarkNames is the questions after one change among 5,000.
func BenchmarkNames(b *testing.B) {
	in := crowd(5000, 500)
	var builder Builder
	all := in.Membership.Containers
	without := slices.Delete(slices.Clone(all), 2500, 2501)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		in.Membership.Containers = [...][]*Container{without, all}[i%2]
		builder.Names(in.Membership, in.Static)
	}
}

// BenchmarkFirstBuild is all 5,000 at once.
func BenchmarkFirstBuild(b *testing.B) {
	in := crowd(5000, 500)
	b.ReportAllocs()
	for b.Loop() {
		Build(in)
	}
}
