//go:build !linux

package proxy

// watcher needs epoll. Elsewhere a client that leaves is noticed when something
// is written to it, and a stale upstream connection when it is used.
type watcher struct{}

type watchToken struct{}

func (watchToken) none() bool { return true }

type hangupper interface {
	hangup(reset bool) (last func())
	readable()
}

func newWatcher() (*watcher, error)                         { return &watcher{}, nil }
func (w *watcher) close()                                   {}
func (w *watcher) add(*sock, hangupper) (watchToken, error) { return watchToken{}, nil }
func (w *watcher) remove(watchToken)                        {}
func (w *watcher) readiness(watchToken, bool) bool          { return false }
