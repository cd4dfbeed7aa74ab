package scale

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// start measures the first View, and the way to a set that is ready.
func (m *measurement) start(ctx context.Context) error {
	took, err := m.lb.live(ctx)
	if err != nil {
		return err
	}
	m.figure("first full View after lb's start", ms(took), ms(viewLimit), took <= viewLimit)
	want := m.layout.containers()
	err = poll(ctx, time.Minute, 100*time.Millisecond, func() (bool, error) {
		n, err := m.engine.calls("inspect")
		return n >= want, err
	})
	if err != nil {
		return fmt.Errorf("not all containers are inspected: %w", err)
	}
	m.figure("all inspected", ms(time.Since(m.lb.began)), "", true)
	cpu, err := m.lb.cpu()
	if err != nil {
		return err
	}
	m.figure("CPU until then", ms(cpu), "", true)
	if err := m.resident(); err != nil {
		return err
	}
	if err := m.right(ctx, time.Minute); err != nil {
		return err
	}
	m.figure("all ready, by their first probe", ms(time.Since(m.lb.began)), "", true)
	return nil
}

// resident measures lb's memory, before anybody has asked for all of its
// endpoints.
func (m *measurement) resident() error {
	now, peak, err := m.lb.memory()
	if err != nil {
		return err
	}
	m.figure("memory after the start, now / peak", fmt.Sprintf("%.0f / %.0f MiB", now, peak), fmt.Sprintf("%d MiB", memoryLimit), peak <= memoryLimit)
	return nil
}

// rest measures what lb needs while nothing happens: the list at intervals,
// and the probes.
func (m *measurement) rest(ctx context.Context) error {
	if err := sleep(ctx, 2*time.Second); err != nil { // what the start left to do
		return err
	}
	began, before, err := m.mark()
	if err != nil {
		return err
	}
	if err := sleep(ctx, idleFor); err != nil {
		return err
	}
	after, err := m.lb.cpu()
	if err != nil {
		return err
	}
	m.idle = float64(after-before) / float64(time.Since(began))
	m.figure("CPU where nothing happens", fmt.Sprintf("%.1f %% of a core", 100*m.idle), "", true)
	return nil
}

func (m *measurement) mark() (time.Time, time.Duration, error) {
	cpu, err := m.lb.cpu()
	return time.Now(), cpu, err
}

// singles measures single events: of each kind many, far enough from each
// other that none shares the cost of another.
func (m *measurement) singles(ctx context.Context) error {
	for _, kind := range [...]struct {
		what, there, back string
		each              time.Duration // events of one, on average
	}{
		{"a pause or its end: 1 event", "pause", "unpause", 1},
		// kill, die, disconnect, stop; connect, start.
		{"a stop or a start: 3 events", "stop", "start", 3},
	} {
		inspects, err := m.engine.calls("inspect")
		if err != nil {
			return err
		}
		began, before, err := m.mark()
		if err != nil {
			return err
		}
		for i := range events {
			verb, name := kind.there, fmt.Sprintf("fake-%d", i/2*7%m.layout.containers())
			if i%2 == 1 {
				verb = kind.back
			}
			if _, err := m.engine.do("%s %s", verb, name); err != nil {
				return err
			}
			if err := sleep(ctx, eventEvery); err != nil {
				return err
			}
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		after, err := m.lb.cpu()
		if err != nil {
			return err
		}
		cost := (after - before - time.Duration(m.idle*float64(time.Since(began)))) / events
		looks, err := m.engine.calls("inspect")
		if err != nil {
			return err
		}
		m.figure("CPU for "+kind.what, ms(cost), ms(kind.each*eventLimit), cost <= kind.each*eventLimit)
		m.figure("  inspects", fmt.Sprintf("%.2f", float64(looks-inspects)/events), "", true)
		if err := m.right(ctx, 5*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// burst has a thousand things happen within a second, some of which the engine
// tells nobody, and measures when lb is right again.
func (m *measurement) burst(ctx context.Context) error {
	_, before, err := m.mark()
	if err != nil {
		return err
	}
	began := time.Now()
	r := rand.New(rand.NewPCG(1, 2))
	perm := r.Perm(m.layout.containers())
	for i := range burst {
		lost := i%burstLost == burstLost-1
		if lost {
			if _, err := m.engine.do("drop on"); err != nil {
				return err
			}
		}
		verb := [...]string{"pause", "stop", "restart", "remove"}[i%4]
		if _, err := m.engine.do("%s fake-%d", verb, perm[i]); err != nil {
			return err
		}
		if lost {
			if _, err := m.engine.do("drop off"); err != nil {
				return err
			}
		}
		if due := began.Add(time.Duration(i) * (900 * time.Millisecond) / burst); time.Until(due) > time.Millisecond {
			if err := sleep(ctx, time.Until(due)); err != nil {
				return err
			}
		}
	}
	happened := time.Since(began)
	ended := time.Now()
	if err := m.right(ctx, time.Minute); err != nil {
		return err
	}
	took := time.Since(ended)
	m.figure(fmt.Sprintf("%d changes in %s: right after", burst, happened.Round(10*time.Millisecond)), ms(took), ms(burstLimit), took <= burstLimit)
	after, err := m.lb.cpu()
	if err != nil {
		return err
	}
	m.figure("CPU for all of them", ms(after-before), "", true)
	now, peak, err := m.lb.memory()
	if err != nil {
		return err
	}
	// right has asked for all endpoints ten times a second, which costs memory too.
	m.figure("memory after them, now / peak", fmt.Sprintf("%.0f / %.0f MiB", now, peak), "", true)
	return nil
}

// right waits until lb shows what the engine has: each running container at
// its address and ready, each paused one as that, no other.
func (m *measurement) right(ctx context.Context, limit time.Duration) error {
	want, err := m.engine.standings()
	if err != nil {
		return err
	}
	wrong := ""
	err = poll(ctx, limit, 100*time.Millisecond, func() (bool, error) {
		is, err := m.lb.client.Endpoints(ctx)
		if err != nil {
			return false, err
		}
		shown := make(map[string]string, len(is.Endpoints))
		for i := range is.Endpoints {
			e := &is.Endpoints[i]
			host, _, _ := strings.Cut(e.Address, ":")
			shown[e.Container] = e.State + " " + host
		}
		wrong = ""
		n := 0
		for name, s := range want {
			state := ""
			switch s.State {
			case "running":
				state = "healthy"
			case "paused":
				state = "paused"
			default:
				continue
			}
			n++
			if wanted := state + " " + s.Addresses["bridge"]; shown[name] != wanted {
				wrong = fmt.Sprintf("%s is %q, not %q", name, shown[name], wanted)
				return false, nil
			}
		}
		if len(shown) != n {
			wrong = fmt.Sprintf("%d endpoints, not %d", len(shown), n)
		}
		return wrong == "", nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", wrong, err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
