package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// The engine is restarted, with live-restore: its containers run on, and so
// does the traffic; what comes after the restart is found.
func TestEngineRestartedWithLiveRestore(t *testing.T) {
	t.Parallel()
	newScope(t) // skips where there is no engine
	second := engine.StartSecond(t)
	s := second.Scope(t)
	network := s.Network("net")
	f := s.HostProxy()
	idOne, id2 := s.ID(s.Backend("one", network)), s.ID(s.Backend("two", network))
	f.Serves(soon, idOne, id2)

	l := startLoad(f)
	second.Stop()
	defer second.Start()
	realengine.Eventually(t, soon, func() error {
		a, err := f.Endpoints()
		if err == nil && (len(a.Engines) != 1 || a.Engines[0].Connected) {
			err = fmt.Errorf("it does not say that the engine is away: %+v", a.Engines)
		}
		return err
	})
	f.ServedBy(soon, idOne, id2)
	second.Start()
	id3 := s.ID(s.Backend("three", network))
	f.ServedBy(15*time.Second, idOne, id2, id3)
	l.stop(t)
	f.Serves(soon, idOne, id2, id3)
}
