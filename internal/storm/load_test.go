package storm

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// The load does not wait for answers: a proxy that stalls gets its requests all
// the same, and the wait is in their latencies.
func TestTheLoadIsOpen(t *testing.T) {
	const stall, interval, length = 200 * time.Millisecond, 5 * time.Millisecond, 400 * time.Millisecond
	address := serve(t, func(c *net.TCPConn) {
		time.Sleep(stall) // what is tested is real time
		reply(well)(c)
	})
	l := &load{client: &client{address: address}, seed: 1, interval: interval, calm: "calm", start: time.Now()}
	l.focus.Store(&focus{window: 3, host: "h"})
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	l.run(ctx)
	var sent, calm int
	for _, s := range l.samples {
		if s.shape == handshake || s.shape == message {
			continue
		}
		sent++
		if s.calm {
			calm++
		}
		if s.window != 3 {
			t.Errorf("%s is of window %d", s.id, s.window)
		}
		if s.shape == get && s.took < stall {
			t.Errorf("%s took %v, less than the stall", s.id, s.took)
		}
	}
	// One after the other there would be two; less than half means a machine
	// that does nothing else.
	if most := int(length / interval); sent < most/2 {
		t.Errorf("%d requests in %v, want about %d", sent, length, most)
	}
	if calm == 0 {
		t.Error("none to the calm cluster")
	}
}

func TestTheSeedDecidesWhatRequestsLookLike(t *testing.T) {
	of := func(seed uint64) (shapes []shape) {
		l := &load{seed: seed}
		l.focus.Store(&focus{})
		for i := range 200 {
			r, _ := l.next(i)
			shapes = append(shapes, r.shape)
		}
		return shapes
	}
	first, again, other := of(1), of(1), of(2)
	var same, differs int
	seen := map[shape]bool{}
	for i := range first {
		seen[first[i]] = true
		if first[i] == again[i] {
			same++
		}
		if first[i] != other[i] {
			differs++
		}
	}
	if same != len(first) || differs == 0 || len(seen) != 5 {
		t.Errorf("the same seed: %d of %d equal; another: %d differ; %d shapes", same, len(first), differs, len(seen))
	}
}

// Whoever answered the handshake is whom the messages went to: its record says
// whether it may have cut them.
func TestAMessageKnowsItsBackend(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var connections atomic.Int32
	address := serve(t, func(c *net.TCPConn) {
		if connections.Add(1) > 1 {
			cancel() // it has seen the cut
			return
		}
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nX-Daemon-Id: d\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		c.SetLinger(0)
		io.ReadFull(c, make([]byte, 1))
	})
	l := &load{client: &client{address: address}, start: time.Now()}
	l.focus.Store(&focus{host: "h"})
	l.talk(ctx, 0)
	i := slices.IndexFunc(l.samples, func(s sample) bool { return s.shape == message })
	if i < 0 || !l.samples[i].cut() || l.samples[i].daemon != "d" {
		t.Errorf("samples %+v", l.samples)
	}
}
