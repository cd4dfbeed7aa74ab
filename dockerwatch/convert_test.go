package dockerwatch

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

func TestHasPrefix(t *testing.T) {
	for key, want := range map[string]bool{
		"lb.cluster": true, "LB.Cluster": true, "lb.": true,
		"lb": false, "lbx.cluster": false, "x.lb.cluster": false, "": false,
	} {
		if got := hasPrefix("lb", map[string]string{"other": "x", key: "v"}); got != want {
			t.Errorf("%q: %v, want %v", key, got, want)
		}
	}
}

func TestListedHealth(t *testing.T) {
	for status, want := range map[string]topology.Health{
		"Up 3 minutes":                    topology.HealthNone,
		"Up 3 minutes (healthy)":          topology.HealthHealthy,
		"Up 3 minutes (unhealthy)":        topology.HealthUnhealthy,
		"Up 3 seconds (health: starting)": topology.HealthStarting,
		"Up 3 minutes (Paused)":           topology.HealthNone,
		"Exited (1) 2 days ago":           topology.HealthNone,
	} {
		if got := listedHealth(&listed{Status: status}); got != want {
			t.Errorf("%q: %s, want %s", status, got, want)
		}
	}
	l := listed{Status: "Up", Health: &struct{ Status string }{"unhealthy"}} // API 1.52
	if got := listedHealth(&l); got != topology.HealthUnhealthy {
		t.Errorf("by its own field: %s", got)
	}
}

func TestListedName(t *testing.T) {
	if got := listedName([]string{"/other/alias", "/web-1"}); got != "web-1" {
		t.Errorf("%q", got)
	}
}

func TestPorts(t *testing.T) {
	var c inspected
	body := `{"Config":{"ExposedPorts":{"8000/tcp":{},"53/udp":{}}},
		"NetworkSettings":{"Ports":{"8000/tcp":[{"HostIp":"::","HostPort":"18000"},{"HostIp":"0.0.0.0","HostPort":"18000"}],"53/udp":null,"9000/tcp":[{"HostIp":"","HostPort":"9"}]}}}`
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		t.Fatal(err)
	}
	want := []topology.Port{
		{Number: 53, Protocol: "udp"},
		{Number: 8000, Protocol: "tcp", Published: netip.MustParseAddrPort("0.0.0.0:18000")},
		{Number: 9000, Protocol: "tcp", Published: netip.MustParseAddrPort("0.0.0.0:9")},
	}
	if got := inspectedPorts(&c); !slices.Equal(got, want) {
		t.Errorf("inspect: %v, want %v", got, want)
	}
	got := listedPorts([]listedPort{
		{IP: "::", PrivatePort: 8000, PublicPort: 18000, Type: "tcp"}, {PrivatePort: 53, Type: "udp"},
		{IP: "0.0.0.0", PrivatePort: 8000, PublicPort: 18000, Type: "tcp"}, {IP: "0.0.0.0", PrivatePort: 9000, PublicPort: 9, Type: "tcp"},
	})
	if !slices.Equal(got, want) {
		t.Errorf("list: %v, want %v", got, want)
	}
}

func TestAttachments(t *testing.T) {
	got := attachments(map[string]*endpoint{
		"b": {NetworkID: "2", EndpointID: "e2", GlobalIPv6Address: "fd00::2"},
		"a": {NetworkID: "1", EndpointID: "e1", IPAddress: "10.0.0.2", Gateway: "10.0.0.1"},
		"c": {NetworkID: "3", IPAddress: "invalid IP"},
		"d": nil,
	})
	want := []topology.Attachment{
		{Name: "a", NetworkID: "1", EndpointID: "e1", IPv4: netip.MustParseAddr("10.0.0.2"), Gateway: netip.MustParseAddr("10.0.0.1")},
		{Name: "b", NetworkID: "2", EndpointID: "e2", IPv6: netip.MustParseAddr("fd00::2")},
		{Name: "c", NetworkID: "3"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNextHealthCheck(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) []time.Time { return []time.Time{start.Add(d)} }
	for name, c := range map[string]struct {
		hc    healthcheck
		log   []time.Time
		quick bool
		want  time.Duration
	}{
		"defaults":                        {healthcheck{}, nil, true, 30 * time.Second},
		"own interval":                    {healthcheck{Interval: 5 * time.Second}, nil, true, 5 * time.Second},
		"after a probe":                   {healthcheck{Interval: 5 * time.Second}, at(5100 * time.Millisecond), true, 10100 * time.Millisecond},
		"a probe of the run before":       {healthcheck{Interval: 5 * time.Second}, at(-time.Minute), true, 5 * time.Second},
		"start period":                    {healthcheck{Interval: time.Minute, StartPeriod: time.Minute}, nil, true, 5 * time.Second},
		"start interval":                  {healthcheck{Interval: time.Minute, StartPeriod: time.Minute, StartInterval: time.Second}, at(time.Second), true, 2 * time.Second},
		"start period of an older engine": {healthcheck{Interval: time.Minute, StartPeriod: time.Minute}, nil, false, time.Minute},
		"after the start period":          {healthcheck{Interval: time.Minute, StartPeriod: time.Second}, at(5 * time.Second), true, 65 * time.Second},
	} {
		var in inspected
		in.State.StartedAt = start
		in.State.Health = &struct {
			Status string
			Log    []struct{ End time.Time }
		}{Status: "starting"}
		for _, end := range c.log {
			in.State.Health.Log = append(in.State.Health.Log, struct{ End time.Time }{end})
		}
		in.Config.Healthcheck = &c.hc
		if got := nextHealthCheck(&in, c.quick).Sub(start); got != c.want {
			t.Errorf("%s: %v after the start, want %v", name, got, c.want)
		}
	}
	if got := nextHealthCheck(&inspected{}, true); !got.IsZero() {
		t.Errorf("without a HEALTHCHECK: %v", got)
	}
}

func TestStopTimeout(t *testing.T) {
	three, never := 3, -1
	for seconds, want := range map[*int]time.Duration{nil: 10 * time.Second, &three: 3 * time.Second, &never: 10 * time.Second} {
		if got := stopTimeout(seconds); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// TestEnvironmentIsNotKept: the types of the wire have no room for it.
func TestEnvironmentIsNotKept(t *testing.T) {
	var c inspected
	if err := json.Unmarshal([]byte(`{"Config":{"Env":["PASSWORD=geheim"],"Cmd":["geheim"]},"State":{"Health":{"Log":[{"Output":"geheim"}]}}}`), &c); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(again), "geheim") {
		t.Errorf("kept: %s", again)
	}
}
