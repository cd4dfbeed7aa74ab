package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// operation is what happens to the backends of one service, or to the proxy
// while that service takes the load.
type operation struct {
	name    string
	service string
	// What of each kind may fail, and how the table says it.
	idempotent, posts allowance
	allowed           string
	cuts              cutting
	// steps draws the details; all chance is in rng, so that one seed is one
	// schedule.
	steps func(rng *rand.Rand) []step
	place place
	// needs is what it cannot do without on this machine.
	needs []need
}

// place is where the proxy runs.
type place uint8

const (
	inContainer  place = iota
	onThisHost         // a process of this machine
	besideSecond       // a process in the network namespace of a second engine
)

// allowance is which failures an operation may cause.
type allowance uint8

const (
	// none may fail.
	none allowance = iota
	// clearly: each may fail, with an answer that says so.
	clearly
	// early: those due until settled after the window's mark.
	early
	// counted: any may fail.
	counted
)

// cutting is which open WebSockets an operation may cut beside those whose
// backend had its stop signal or ended, which its record says.
type cutting uint8

const (
	// noMore: none beside those.
	noMore cutting = iota
	// ofDead: also of a backend that was killed, which could not say so; it got
	// no request from then on.
	ofDead
	// ofAny: also of a backend that lives on.
	ofAny
)

// settled is how long after a change of the backends, an operation's mark for one,
// it may still show: the proxy cannot know at once.
const settled = 100 * time.Millisecond

// step is one command of an operation.
type step struct {
	text string
	do   func(context.Context, *stage, *window) error
}

// tail is how long the load goes on after the last step, so that what it
// caused belongs to it.
const tail = 1500 * time.Millisecond

func rest(d time.Duration) step {
	return step{"rest " + d.String(), func(ctx context.Context, _ *stage, _ *window) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}

// until tries until check has no error, at most for so long.
func until(ctx context.Context, within time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("after %v: %w", within, err)
		}
	}
}

// moment is a rest whose length is drawn from around d.
func moment(rng *rand.Rand, d time.Duration) step {
	return rest((d/2 + time.Duration(rng.Int64N(int64(d)))).Round(time.Millisecond))
}

func compose(args ...string) step {
	return step{"compose " + strings.Join(args, " "), func(ctx context.Context, s *stage, _ *window) error {
		return s.runCompose(ctx, args...)
	}}
}

// scale sets a service's number of replicas.
func scale(service string, n int, more ...string) step {
	args := append([]string{"up", "-d", "--no-deps"}, more...)
	return compose(append(args, "--scale", fmt.Sprintf("%s=%d", service, n), service)...)
}

// on runs a docker command on one replica: its name is put where args have
// "{}".
func on(service string, number int, args ...string) step {
	name := fmt.Sprintf("%s-%d", service, number)
	return step{"docker " + strings.ReplaceAll(strings.Join(args, " "), "{}", name), func(ctx context.Context, s *stage, w *window) error {
		container, err := s.container(ctx, service, number)
		if err != nil {
			return err
		}
		real := make([]string, len(args))
		for i, a := range args {
			real[i] = strings.NewReplacer("{}", container, "{network}", s.project+"_default").Replace(a)
		}
		_, err = s.docker(ctx, real...)
		return err
	}}
}

// marked sets the window's mark to when the engine says that the event took
// place.
func marked(event string, st step) step {
	return step{st.text, func(ctx context.Context, s *stage, w *window) error {
		begin := time.Now()
		if err := st.do(ctx, s, w); err != nil {
			return err
		}
		at, err := s.eventTime(ctx, event, begin)
		w.mark = at
		return err
	}}
}

// replicas of the services that are scaled.
const base = 2

// operations are all that the storm knows, in the order of the table of the
// README.
func operations() []operation {
	var all []operation
	for _, stops := range []struct {
		service, how, allowed string
		posts                 allowance
	}{
		{"linger", "", "0", none},
		{"close", " (closes at SIGTERM)", "0 idempotent", counted},
		{"ignore", " (ignores SIGTERM)", "0 idempotent", counted},
	} {
		for _, op := range stopping(stops.service) {
			op.name += stops.how
			op.service = stops.service
			op.idempotent, op.posts, op.allowed = none, stops.posts, stops.allowed
			all = append(all, op)
		}
	}
	all = append(all, failing()...)
	all = append(all, frozen()...)
	all = append(all, blind()...)
	all = append(all, replaced()...)
	return append(all, restarted()...)
}

// stopping are the operations that stop replicas in good order.
func stopping(service string) []operation {
	return []operation{
		{name: "scale up", steps: func(rng *rand.Rand) []step {
			n := base + 2 + rng.IntN(3)
			return []step{scale(service, n), moment(rng, time.Second), scale(service, base)}
		}},
		{name: "scale down", steps: func(rng *rand.Rand) []step {
			n := base + 1 + rng.IntN(2)
			return []step{scale(service, n), moment(rng, time.Second), scale(service, 1), moment(rng, 500*time.Millisecond), scale(service, base)}
		}},
		{name: "docker stop", steps: func(rng *rand.Rand) []step {
			n := 1 + rng.IntN(base)
			return []step{on(service, n, "stop", "{}"), moment(rng, 500*time.Millisecond), on(service, n, "start", "{}")}
		}},
		{name: "docker restart", steps: func(rng *rand.Rand) []step {
			n := 1 + rng.IntN(base)
			return []step{on(service, n, "restart", "{}"), moment(rng, 500*time.Millisecond), on(service, base+1-n, "restart", "{}")}
		}},
		{name: "compose restart", steps: func(rng *rand.Rand) []step {
			return []step{moment(rng, 200*time.Millisecond), compose("restart", service)}
		}},
		{name: "force-recreate", steps: func(rng *rand.Rand) []step {
			return []step{moment(rng, 200*time.Millisecond), scale(service, base, "--force-recreate")}
		}},
		{name: "recreate the only one", steps: func(rng *rand.Rand) []step {
			return []step{scale(service, 1), moment(rng, 500*time.Millisecond), scale(service, 1, "--force-recreate"),
				moment(rng, 500*time.Millisecond), scale(service, base)}
		}},
	}
}

// failing are a member's own faults. Others of its cluster are well.
func failing() []operation {
	const service, replicas = "faulty", 3
	fault := func(kind string) func(*rand.Rand) []step {
		return func(rng *rand.Rand) []step {
			n := 1 + rng.IntN(replicas)
			return []step{on(service, n, "exec", "{}", "/daemon", "fault", kind), moment(rng, 2*time.Second),
				on(service, n, "exec", "{}", "/daemon", "fault", "none")}
		}
	}
	all := []operation{
		{name: "kill -9", cuts: ofDead, steps: func(rng *rand.Rand) []step {
			n := 1 + rng.IntN(replicas)
			return []step{on(service, n, "kill", "-s", "KILL", "{}"), moment(rng, 500*time.Millisecond), on(service, n, "start", "{}")}
		}},
		{name: "crash", cuts: ofDead, steps: func(rng *rand.Rand) []step {
			n := 1 + rng.IntN(replicas)
			return []step{on(service, n, "exec", "{}", "/daemon", "fault", "crash"), moment(rng, time.Second), on(service, n, "start", "{}")}
		}},
		{name: "resets", steps: fault("reset")},
		{name: "garbage", steps: fault("garbage")},
		{name: "500s", steps: fault("error")},
		{name: "hangs", steps: fault("hang")},
	}
	for i := range all {
		all[i].service = service
		all[i].idempotent, all[i].posts, all[i].allowed = none, clearly, "0 idempotent; POSTs once, clearly"
	}
	return all
}

// frozen are the operations that make a member fall silent.
func frozen() []operation {
	const service, replicas = "faulty", 3
	all := []operation{
		{name: "pause", steps: func(rng *rand.Rand) []step {
			n := 1 + rng.IntN(replicas)
			return []step{marked("pause", on(service, n, "pause", "{}")), rest(3 * time.Second), on(service, n, "unpause", "{}")}
		}},
		{name: "network disconnect", steps: func(rng *rand.Rand) []step {
			n := 1 + rng.IntN(replicas)
			return []step{marked("disconnect", on(service, n, "network", "disconnect", "{network}", "{}")), rest(3 * time.Second),
				on(service, n, "network", "connect", "--alias", service, "{network}", "{}")}
		}},
	}
	for i := range all {
		all[i].service = service
		all[i].idempotent, all[i].posts, all[i].allowed = early, early, "those inside; none due 100 ms later"
		all[i].cuts = ofAny
	}
	return all
}

// blind are the operations that take the proxy's sources away while members
// come and go.
func blind() []operation {
	const service = "linger"
	comeAndGo := func(rng *rand.Rand) []step {
		return []step{scale(service, base+1+rng.IntN(2)), moment(rng, 500*time.Millisecond), scale(service, 1), moment(rng, time.Second), scale(service, base)}
	}
	cut := step{"cut the event stream", func(_ context.Context, s *stage, _ *window) error { s.relay.cut(); return nil }}
	silence := step{"silence the event stream", func(_ context.Context, s *stage, _ *window) error { s.relay.silence(); return nil }}
	// What comes next is not to find a proxy that is still deaf.
	noticed := step{"until the proxy has noticed", func(ctx context.Context, s *stage, _ *window) error {
		return until(ctx, noticedWithin, func() error {
			if n := s.relay.silent(); n > 0 {
				return fmt.Errorf("the proxy still listens to %d dead connections", n)
			}
			return nil
		})
	}}
	all := []operation{
		{name: "event stream cut", steps: func(rng *rand.Rand) []step {
			var steps []step
			for _, s := range comeAndGo(rng) {
				steps = append(steps, cut, s)
			}
			return steps
		}},
		{name: "event stream dead", steps: func(rng *rand.Rand) []step {
			return append(append([]step{silence}, comeAndGo(rng)...), noticed)
		}},
		{name: "DNS gone", needs: []need{root, command("nsenter"), command("iptables")}, steps: func(rng *rand.Rand) []step {
			steps := append([]step{resolver("-I", "take DNS away")}, comeAndGo(rng)...)
			return append(steps, resolver("-D", "give DNS back"))
		}},
	}
	for i := range all {
		all[i].service = service
		all[i].allowed = "0"
	}
	return all
}

// noticedWithin is how long a proxy may listen to a stream that is dead: it
// compares a list of its own every 15 s.
const noticedWithin = 30 * time.Second

// resolver drops, or no longer drops, what the proxy asks the embedded DNS.
func resolver(flag, text string) step {
	return step{text, func(ctx context.Context, s *stage, _ *window) error {
		pid, err := s.docker(ctx, "inspect", "-f", "{{.State.Pid}}", s.front)
		if err != nil {
			return err
		}
		_, err = s.command(ctx, "nsenter", "-t", pid, "-n", "iptables", "-w", flag, "OUTPUT", "-d", "127.0.0.11", "-j", "DROP")
		return err
	}}
}
