package realengine

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/admin"
)

// Front is a running proxy as its clients see it.
type Front struct {
	// Container is its name; empty on the host.
	Container string
	// Address and Admin are host:port of the two listeners.
	Address, Admin string
	// Log is what it has said so far.
	Log func() string

	t      testing.TB
	client *http.Client
}

// Proxy starts the proxy's image on a network, and returns when it is ready.
// The arguments are further ones of docker run.
func (s *Scope) Proxy(name, network string, args ...string) *Front {
	s.t.Helper()
	group, err := s.SocketGroup()
	if err != nil {
		s.t.Fatal(err)
	}
	all := []string{"--network", network, "-v", s.Socket + ":/var/run/docker.sock", "--group-add", group,
		"-p", "127.0.0.1::10000", "-p", "127.0.0.1::9901", "-e", "LB_PREFIX=" + s.Prefix}
	container := s.Run(name, append(append(all, args...), s.LB)...)
	f := s.front(s.published(container, 10000), s.published(container, 9901))
	f.setContainer(s, container)
	f.waitReady()
	return f
}

// published is where the host publishes a container's port.
func (s *Scope) published(container string, port int) string {
	s.t.Helper()
	out := s.Docker("port", container, fmt.Sprintf("%d/tcp", port))
	first, _, _ := strings.Cut(out, "\n")
	return first
}

// Attach returns the front of a proxy that Compose runs.
func (s *Scope) Attach(container string) *Front {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.published(container, 10000))
	if err != nil {
		s.t.Fatal(err)
	}
	f := s.front("127.0.0.1:"+port, s.published(container, 9901))
	f.setContainer(s, container)
	f.waitReady()
	return f
}

// HostProxy runs lb as a process of this machine until the test ends, and
// returns when it is ready. The arguments are further ones of lb run.
func (s *Scope) HostProxy(args ...string) *Front {
	s.t.Helper()
	f := s.StartHostProxy(args...)
	f.waitReady()
	return f
}

// StartHostProxy is HostProxy that does not wait.
func (s *Scope) StartHostProxy(args ...string) *Front {
	s.t.Helper()
	address, adminAddress := s.hostAddress(), s.hostAddress()
	all := append(append([]string{}, s.hostPrefix...), s.LBBinary, "run", "--listen", address, "--admin-listen", adminAddress, "--docker", "unix://"+s.Socket, "--prefix", s.Prefix)
	all = append(all, args...)
	command := exec.Command(all[0], all[1:]...)
	log, err := os.Create(filepath.Join(s.t.TempDir(), "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	f := s.front(address, adminAddress)
	f.Log = func() string {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			s.t.Error(err)
		}
		return string(text)
	}
	s.t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(15*time.Second, func() { command.Process.Kill() })
		err := command.Wait()
		kill.Stop()
		if err != nil {
			s.t.Errorf("lb: %v", err)
		}
		if s.t.Failed() {
			s.t.Logf("log of lb:\n%s", f.Log())
		}
	})
	return f
}

// hostAddress is for a listener on the engine's host.
func (s *Scope) hostAddress() string {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(FreeAddress(s.t))
	return net.JoinHostPort(s.hostIP, port)
}

// FreeAddress is an address of this host where nobody listens just now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (f *Front) setContainer(s *Scope, container string) {
	f.Container = container
	f.Log = func() string { return s.Log(container) }
}

func (s *Scope) front(address, adminAddress string) *Front {
	return &Front{
		Address: address, Admin: adminAddress, t: s.t,
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second},
	}
}

func (f *Front) waitReady() {
	f.t.Helper()
	Eventually(f.t, 20*time.Second, func() error {
		code, body, err := f.Get(f.Admin, "/ready")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("/ready: %d %s", code, body)
		}
		return err
	})
}

// Get asks on a connection of its own.
func (f *Front) Get(address, path string) (code int, body string, err error) {
	response, err := f.client.Get("http://" + address + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	bytes, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(bytes)), err
}

// Ask returns the id of the daemon that answers.
func (f *Front) Ask() (string, error) {
	code, body, err := f.Get(f.Address, "/")
	if err != nil {
		return "", err
	}
	id, ok := strings.CutPrefix(body, "My id is ")
	if code != http.StatusOK || !ok {
		return "", fmt.Errorf("%d %s", code, body)
	}
	return id, nil
}

// Turns asks n times and returns the ids in the order of the answers.
func (f *Front) Turns(n int) ([]string, error) {
	var ids []string
	for range n {
		id, err := f.Ask()
		if err != nil {
			return ids, fmt.Errorf("request %d of %d: %w", len(ids)+1, n, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Serves waits until exactly these daemons take turns, and ends the test if
// they do not within so long.
func (f *Front) Serves(within time.Duration, ids ...string) {
	f.t.Helper()
	want := slices.Sorted(slices.Values(ids))
	Eventually(f.t, within, func() error {
		turns, err := f.Turns(2 * len(ids))
		if err != nil {
			return err
		}
		return TakeTurns(turns, want)
	})
}

// ServedBy is Serves while others ask as well: the set counts, not the turns.
func (f *Front) ServedBy(within time.Duration, ids ...string) {
	f.t.Helper()
	want := slices.Sorted(slices.Values(ids))
	Eventually(f.t, within, func() error {
		turns, err := f.Turns(10 * len(ids))
		if err != nil {
			return err
		}
		if got := slices.Compact(slices.Sorted(slices.Values(turns))); !slices.Equal(got, want) {
			return fmt.Errorf("%q answer, want %q", got, want)
		}
		return nil
	})
}

// TakeTurns says what is wrong with the order of the answers: each of these
// must come once in every round, the rounds in the same order.
func TakeTurns(turns, ids []string) error {
	for i := range turns {
		if i >= len(ids) && turns[i] != turns[i-len(ids)] {
			return fmt.Errorf("no strict turns of %d: %q", len(ids), turns)
		}
	}
	if got := slices.Sorted(slices.Values(turns[:min(len(ids), len(turns))])); !slices.Equal(got, slices.Sorted(slices.Values(ids))) {
		return fmt.Errorf("%q answer, want %q", got, ids)
	}
	return nil
}

// Endpoints is what the proxy says of its endpoints.
func (f *Front) Endpoints() (admin.Endpoints, error) {
	client := admin.Dial(f.Admin, "")
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return client.Endpoints(ctx)
}
