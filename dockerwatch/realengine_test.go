package dockerwatch

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/dockerlb/dockerlb/topology"
)

// real is the machine's own engine, with names and a label prefix of this test
// process alone; everything made is removed when the test ends.
type real struct {
	t      testing.TB
	cli    *client.Client
	unique string // prefix of labels and names
	image  string
}

// realEngine skips the test where no engine answers, except under CI=true.
func realEngine(t testing.TB) *real {
	t.Helper()
	if testing.Short() {
		t.Skip("a real engine takes too long for make check; make test tries it")
	}
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := cli.Ping(ctx); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI needs a Docker engine: %v", err)
		}
		t.Skipf("no Docker engine answers here, so this is not tested: %v", err)
	}
	r := &real{t: t, cli: cli, unique: fmt.Sprintf("dlbwatch%d", os.Getpid())}
	r.image = r.unique + ":1"
	r.importImage()
	return r
}

func (r *real) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// importImage makes an image of nothing but the static backend.
func (r *real) importImage() {
	r.t.Helper()
	version, err := r.cli.ServerVersion(r.t.Context())
	r.ok(err)
	binary := filepath.Join(r.t.TempDir(), "backend")
	build := exec.Command("go", "build", "-o", binary, "./testdata/backend")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+version.Arch)
	if out, err := build.CombinedOutput(); err != nil {
		r.t.Fatalf("building the backend: %v\n%s", err, out)
	}
	content, err := os.ReadFile(binary)
	r.ok(err)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	r.ok(w.WriteHeader(&tar.Header{Name: "backend", Mode: 0o755, Size: int64(len(content))}))
	_, err = w.Write(content)
	r.ok(err)
	r.ok(w.Close())
	answer, err := r.cli.ImageImport(r.t.Context(), image.ImportSource{Source: &archive, SourceName: "-"}, r.image,
		image.ImportOptions{Changes: []string{`ENTRYPOINT ["/backend"]`, "EXPOSE 8000"}})
	r.ok(err)
	var said bytes.Buffer
	_, err = said.ReadFrom(answer)
	answer.Close()
	r.ok(err)
	r.t.Cleanup(func() {
		_, _ = r.cli.ImageRemove(context.Background(), r.image, image.RemoveOptions{Force: true})
	})
}

// create makes a labelled container, to be removed when the test ends.
func (r *real) create(name string, change ...func(c *container.Config, h *container.HostConfig)) string {
	r.t.Helper()
	c := &container.Config{Image: r.image, Labels: map[string]string{r.unique + ".cluster": "web"}, Env: []string{"PASSWORD=geheim"}}
	h := &container.HostConfig{}
	for _, edit := range change {
		edit(c, h)
	}
	made, err := r.cli.ContainerCreate(r.t.Context(), c, h, nil, nil, r.unique+"-"+name)
	r.ok(err)
	r.t.Cleanup(func() {
		_ = r.cli.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	})
	return made.ID
}

func (r *real) start(id string) {
	r.t.Helper()
	r.ok(r.cli.ContainerStart(r.t.Context(), id, container.StartOptions{}))
}

func (r *real) run(name string, change ...func(c *container.Config, h *container.HostConfig)) string {
	r.t.Helper()
	id := r.create(name, change...)
	r.start(id)
	return id
}

// signal sends one to a container as soon as its process heeds it.
func (r *real) signal(id, name string) {
	r.t.Helper()
	log, err := r.cli.ContainerLogs(r.t.Context(), id, container.LogsOptions{ShowStdout: true, Follow: true})
	r.ok(err)
	defer log.Close()
	for lines := bufio.NewScanner(log); ; {
		if !lines.Scan() {
			r.t.Fatalf("container %.12s never got ready for SIG%s: %v", id, name, lines.Err())
		}
		if strings.HasSuffix(lines.Text(), "ready") {
			break
		}
	}
	r.ok(r.cli.ContainerKill(r.t.Context(), id, name))
}

func (r *real) network(name string) string {
	r.t.Helper()
	name = r.unique + "-" + name
	_, err := r.cli.NetworkCreate(r.t.Context(), name, network.CreateOptions{})
	r.ok(err)
	r.t.Cleanup(func() { _ = r.cli.NetworkRemove(context.Background(), name) })
	return name
}

func (r *real) watch() *watching {
	r.t.Helper()
	w, err := New(Options{Prefix: r.unique})
	r.ok(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	return &watching{Watcher: w, t: r.t}
}

func TestRealEngine(t *testing.T) {
	r := realEngine(t)
	ctx := t.Context()
	old := r.run("old") // before we come
	r.signal(r.run("leaving", func(c *container.Config, _ *container.HostConfig) { c.Cmd = []string{"stubborn"} }), "TERM")
	w := r.watch()
	name := func(s string) string { return r.unique + "-" + s }
	on := func(id string, ok func(c *topology.Container) bool) func(m topology.Membership) bool {
		return func(m topology.Membership) bool {
			i := slices.IndexFunc(m.Containers, func(c *topology.Container) bool { return c.ID == id })
			return i >= 0 && ok(m.Containers[i])
		}
	}

	m := w.until("the one that runs", is(name("old"), running))
	c := named(m, name("old"))
	if len(c.Networks) != 1 || !c.Networks[0].IPv4.IsValid() || !c.Networks[0].Gateway.IsValid() || c.Networks[0].EndpointID == "" ||
		len(c.Ports) != 1 || c.Ports[0].Number != 8000 || c.StartedAt.IsZero() || len(c.Spec.Services) != 1 {
		t.Errorf("%+v", *c)
	}
	w.until("a stop in progress when we came", is(name("leaving"), stopping))

	t.Run("HUP is not a stop, TERM is", func(t *testing.T) {
		w := &watching{Watcher: w.Watcher, t: t}
		r.signal(old, "HUP")
		r.ok(r.cli.ContainerRename(ctx, old, name("renamed")))
		if named(w.until("renamed", is(name("renamed"), running)), name("renamed")).Stopping {
			t.Error("SIGHUP is taken for a stop")
		}
		r.ok(r.cli.ContainerKill(ctx, old, "TERM"))
		w.until("stopping", on(old, stopping))
		w.until("exited", on(old, exited))
		r.ok(r.cli.ContainerRemove(ctx, old, container.RemoveOptions{Force: true}))
		w.until("gone", gone(name("renamed")))
	})
	t.Run("own stop signal", func(t *testing.T) {
		w := &watching{Watcher: w.Watcher, t: t}
		id := r.run("quit", func(c *container.Config, _ *container.HostConfig) { c.StopSignal = "SIGQUIT" })
		w.until("running", on(id, running))
		r.signal(id, "QUIT")
		w.until("stopping", on(id, stopping))
		w.until("exited", on(id, exited))
	})
	t.Run("pause, restart, crash", func(t *testing.T) {
		w := &watching{Watcher: w.Watcher, t: t}
		id := r.run("life", func(_ *container.Config, h *container.HostConfig) {
			h.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyAlways}
		})
		first := w.until("running", on(id, running))
		r.ok(r.cli.ContainerPause(ctx, id))
		w.until("paused", on(id, func(c *topology.Container) bool { return c.State == topology.StatePaused }))
		r.ok(r.cli.ContainerUnpause(ctx, id))
		w.until("running", on(id, running))
		r.ok(r.cli.ContainerRestart(ctx, id, container.StopOptions{}))
		before := named(first, name("life")).StartedAt
		again := func(c *topology.Container) bool {
			return running(c) && c.StartedAt.After(before) && c.Networks[0].IPv4.IsValid()
		}
		w.until("running after its restart", on(id, again))
		w.until("another start event", on(id, func(c *topology.Container) bool { return again(c) && !c.StartEvent.IsZero() }))
		r.ok(r.cli.ContainerRemove(ctx, id, container.RemoveOptions{Force: true}))

		id = r.run("crash", func(c *container.Config, h *container.HostConfig) {
			c.Cmd = []string{"crash"}
			h.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyAlways}
		})
		first = w.until("running", on(id, running))
		before = named(first, name("crash")).StartedAt
		w.until("restarting", on(id, func(c *topology.Container) bool { return c.State == topology.StateRestarting }))
		w.until("running after its crash", on(id, again))
		r.ok(r.cli.ContainerRemove(ctx, id, container.RemoveOptions{Force: true}))
		w.until("gone", gone(name("crash")))
	})
	t.Run("networks while it runs", func(t *testing.T) {
		w := &watching{Watcher: w.Watcher, t: t}
		edge := r.network("edge")
		id := r.run("net")
		w.until("running", on(id, running))
		r.ok(r.cli.NetworkConnect(ctx, edge, id, nil))
		w.until("on edge", on(id, func(c *topology.Container) bool { return ip(c, edge) != "" }))
		r.ok(r.cli.NetworkDisconnect(ctx, edge, id, false))
		w.until("off edge", on(id, func(c *topology.Container) bool { return ip(c, edge) == "" && len(c.Networks) == 1 }))
	})
	t.Run("borrowed and host networks", func(t *testing.T) {
		w := &watching{Watcher: w.Watcher, t: t}
		vpn := r.run("vpn", func(c *container.Config, _ *container.HostConfig) { c.Labels = nil })
		id := r.run("torrent", func(_ *container.Config, h *container.HostConfig) {
			h.NetworkMode = container.NetworkMode("container:" + name("vpn"))
		})
		w.until("torrent", on(id, func(c *topology.Container) bool { return running(c) && c.NetworkOf == vpn && len(c.Ports) == 1 }))
		w.until("vpn", on(vpn, func(c *topology.Container) bool { return c.Networks[0].IPv4.IsValid() }))
		host := r.run("host", func(_ *container.Config, h *container.HostConfig) { h.NetworkMode = "host" })
		w.until("host", on(host, func(c *topology.Container) bool { return running(c) && c.HostNetwork && len(c.Ports) == 1 }))
	})
	t.Run("health", func(t *testing.T) {
		w := &watching{Watcher: w.Watcher, t: t}
		id := r.run("health", func(c *container.Config, _ *container.HostConfig) {
			c.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "/backend", "check"}, Interval: time.Second}
		})
		m := w.until("starting", on(id, func(c *topology.Container) bool { return c.Health == topology.HealthStarting && running(c) }))
		if c := named(m, name("health")); c.HealthNext.Sub(c.StartedAt) != time.Second {
			t.Errorf("next check %v after the start", c.HealthNext.Sub(c.StartedAt))
		}
		w.until("healthy", on(id, func(c *topology.Container) bool { return c.Health == topology.HealthHealthy }))
	})
	t.Run("an address taken over at once", func(t *testing.T) {
		w := &watching{Watcher: w.Watcher, t: t}
		a := r.run("take-a")
		w.until("a", on(a, running))
		m, _ := w.Latest()
		address := ip(named(m, name("take-a")), "bridge")
		b := r.create("take-b")
		r.ok(r.cli.ContainerKill(ctx, a, "KILL"))
		w.until("a exited", on(a, exited))
		r.start(b)
		m = w.until("b", on(b, running))
		if got := ip(named(m, name("take-b")), "bridge"); got != address {
			t.Logf("the engine gave %s, not %s again", got, address)
		}
		for _, c := range m.Containers {
			if c.ID != b && ip(c, "bridge") == ip(named(m, name("take-b")), "bridge") {
				t.Errorf("%s and %s have one address", c.Name, name("take-b"))
			}
		}
	})
	// An event that a busy engine sends more than a second late is taken for
	// dropped, and costs a new stream. Nothing else here is a reason for one.
	if s := w.Status(); !s.Connected || s.Reconnects > s.Dropped {
		t.Errorf("status %+v", s)
	}
}

// BenchmarkRealEngineJoinLeave measures on the real engine: from its own time
// of `start` to the Membership that shows the address, and from that of `kill`
// to the one that shows the container Stopping.
func BenchmarkRealEngineJoinLeave(b *testing.B) {
	r := realEngine(b)
	w := r.watch()
	var join, leave []time.Duration
	for i := range b.N {
		id := r.run(fmt.Sprintf("bench-%d", i))
		name := fmt.Sprintf("%s-bench-%d", r.unique, i)
		m := w.until("running", is(name, func(c *topology.Container) bool { return running(c) && !c.StartEvent.IsZero() }))
		join = append(join, m.ObservedAt.Sub(named(m, name).StartEvent))
		r.signal(id, "TERM")
		m = w.until("stopping", is(name, stopping))
		leave = append(leave, m.ObservedAt.Sub(named(m, name).StoppingAt))
		r.ok(r.cli.ContainerRemove(b.Context(), id, container.RemoveOptions{Force: true}))
		w.until("gone", gone(name))
	}
	report := func(what string, all []time.Duration) {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds()), what+"-median-µs")
		b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), what+"-p99-µs")
	}
	report("join", join)
	report("leave", leave)
}
