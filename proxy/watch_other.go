//go:build !linux

package proxy

// watcher needs epoll. Elsewhere a client that leaves is noticed when something
// is written to it, and a stale upstream connection when it is used.
type watcher struct{}

type hangupper interface {
	hangup(reset bool) (forget bool)
	readable()
}

func newWatcher() (*watcher, error)                  { return &watcher{}, nil }
func (w *watcher) close()                            {}
func (w *watcher) add(*sock, hangupper) (int, error) { return -1, nil }
func (w *watcher) remove(int)                        {}

func (w *watcher) readiness(int, bool) bool { return false }
