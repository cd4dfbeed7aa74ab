package fakeengine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
	"github.com/dockerlb/dockerlb/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// library is the real engine's client on the fake.
func library(t *testing.T, e *fakeengine.Engine) *client.Client {
	t.Helper()
	c, err := client.NewClientWithOpts(client.WithHost(e.Host()), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// receive reads the actions of the next n events.
func receive(t *testing.T, messages <-chan events.Message, n int) string {
	t.Helper()
	var all []string
	late := time.After(10 * time.Second)
	for len(all) < n {
		select {
		case m := <-messages:
			all = append(all, string(m.Action))
		case <-late:
			t.Fatalf("only %v came", all)
		}
	}
	return strings.Join(all, " ")
}

func TestLibraryReadsIt(t *testing.T) {
	e := fakeengine.New(t)
	cli := library(t, e)
	one := 1
	id := e.Run(fakeengine.Container{Name: "web", Labels: map[string]string{"lb.cluster": "web"}, Networks: []string{"front"}, Ports: []string{"8000/tcp"},
		StopSignal: "SIGQUIT", StopTimeout: one, Health: &fakeengine.Healthcheck{Interval: time.Second}})
	e.Create(fakeengine.Container{Name: "idle"})
	list, err := cli.ContainerList(t.Context(), container.ListOptions{})
	if err != nil || len(list) != 1 || list[0].ID != id || list[0].Names[0] != "/web" || list[0].State != "running" ||
		list[0].NetworkSettings.Networks["front"].IPAddress != e.Address("web", "front") || list[0].Ports[0].PrivatePort != 8000 {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, err = cli.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("name", "idle"))}); err != nil || len(list) != 1 || list[0].State != "created" {
		t.Fatalf("%+v, %v", list, err)
	}
	c, err := cli.ContainerInspect(t.Context(), id[:12])
	if err != nil || c.ID != id || c.Config.StopSignal != "SIGQUIT" || *c.Config.StopTimeout != 1 || c.State.Health.Status != "starting" || !c.State.Running {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := cli.ContainerInspect(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), "No such container: nobody") {
		t.Errorf("error %v, want not found", err)
	}
	networks, err := cli.NetworkList(t.Context(), network.ListOptions{})
	if err != nil || len(networks) != 4 {
		t.Errorf("%+v, %v", networks, err)
	}
	if err := cli.ContainerStop(t.Context(), id, container.StopOptions{}); err == nil {
		t.Error("a POST is served")
	}
	if got := e.Foreign(); len(got) != 1 || !strings.HasPrefix(got[0], "POST /v1.51/containers/"+id) {
		t.Errorf("foreign: %v", got)
	}
}

func TestEventsLiveAndReplayed(t *testing.T) {
	e := fakeengine.New(t)
	cli := library(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	messages, _ := cli.Events(ctx, events.ListOptions{Since: "1"})
	e.Run(fakeengine.Container{Name: "web"})
	if got := receive(t, messages, 3); got != "create connect start" {
		t.Errorf("live: %s", got)
	}
	e.Stop("web")
	if got := receive(t, messages, 4); got != "kill die disconnect stop" {
		t.Errorf("stop: %s", got)
	}
	again, _ := cli.Events(ctx, events.ListOptions{Since: "1", Filters: filters.NewArgs(filters.Arg("type", "container"), filters.Arg("event", "start"), filters.Arg("event", "die"))})
	if got := receive(t, again, 2); got != "start die" {
		t.Errorf("replayed: %s", got)
	}
	e.DropEvents(true)
	e.Start("web")
	e.DropEvents(false)
	e.Pause("web")
	if got := receive(t, messages, 1); got != "pause" {
		t.Errorf("after dropped events: %s", got)
	}
}

func TestCutStream(t *testing.T) {
	for _, half := range []bool{false, true} {
		e := fakeengine.New(t)
		_, errs := library(t, e).Events(t.Context(), events.ListOptions{Since: "1"})
		for end := time.Now().Add(10 * time.Second); e.Streams() == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("no stream")
			}
		}
		e.CutStreams(half)
		select {
		case err := <-errs:
			if err == nil {
				t.Error("no error")
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the stream lives on")
		}
	}
}

func TestAddressesAreReused(t *testing.T) {
	e := fakeengine.New(t)
	e.Run(fakeengine.Container{Name: "aa"})
	e.Run(fakeengine.Container{Name: "bb"})
	first := e.Address("aa", "bridge")
	e.Die("aa", 0)
	if got := e.Address("aa", "bridge"); got != "" {
		t.Errorf("a dead container has %s", got)
	}
	e.Run(fakeengine.Container{Name: "cc"})
	if got := e.Address("cc", "bridge"); got != first || got == e.Address("bb", "bridge") {
		t.Errorf("%s, want %s again", got, first)
	}
}

func TestRefusedVersion(t *testing.T) {
	e := fakeengine.New(t)
	e.SetVersion("29.0", "1.52", "1.53")
	_, err := library(t, e).ContainerList(t.Context(), container.ListOptions{})
	if err == nil || !strings.Contains(err.Error(), "is too old") {
		t.Errorf("error %v", err)
	}
}

func TestFreezeAndRestart(t *testing.T) {
	e := fakeengine.New(t)
	cli := library(t, e)
	e.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := cli.ContainerList(ctx, container.ListOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a timeout", err)
	}
	if err := e.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, err := cli.ContainerList(t.Context(), container.ListOptions{}); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func TestScriptThatIsWrong(t *testing.T) {
	e := fakeengine.New(t)
	defer func() {
		if got := recover(); got == nil || !strings.Contains(got.(string), "no container nobody") {
			t.Errorf("panic %v", got)
		}
	}()
	e.Start("nobody")
}

// Silence is of the connections that are open; a new one works.
func TestSilence(t *testing.T) {
	e := fakeengine.New(t)
	old, fresh := library(t, e), library(t, e)
	if _, err := old.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Silence()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := old.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("over a silent connection: %v", err)
	}
	if _, err := fresh.Ping(t.Context()); err != nil {
		t.Errorf("over a new one: %v", err)
	}
}
