package dockerwatch

import (
	"time"
)

// What the engine's API says, reduced to what is needed: the rest of a body,
// the environment above all, is skipped by the decoder and never in memory as
// a value. Field names are the API's.

// listed is one element of GET /containers/json.
type listed struct {
	ID         string `json:"Id"`
	Names      []string
	Image      string
	Created    int64 // seconds
	Labels     map[string]string
	State      string
	Status     string // for people, and the only place of health below API 1.52
	Health     *struct{ Status string }
	Ports      []listedPort
	HostConfig struct{ NetworkMode string }

	NetworkSettings struct {
		Networks map[string]*endpoint
	}
}

type listedPort struct {
	IP          string
	PrivatePort uint16
	PublicPort  uint16
	Type        string
}

// endpoint is a container's place on a network, alike in list and inspect.
type endpoint struct {
	NetworkID         string
	EndpointID        string
	IPAddress         string
	GlobalIPv6Address string
	Gateway           string
	MacAddress        string
}

// inspected is GET /containers/{id}/json.
type inspected struct {
	ID      string `json:"Id"`
	Name    string // with the leading slash
	Created time.Time
	State   struct {
		Status    string
		StartedAt time.Time
		Health    *struct {
			Status string
			Log    []struct{ End time.Time }
		}
	}
	Config struct {
		Hostname     string
		Image        string
		Labels       map[string]string
		ExposedPorts map[string]struct{}
		StopSignal   string
		StopTimeout  *int // seconds
		Healthcheck  *healthcheck
	}
	HostConfig      struct{ NetworkMode string }
	NetworkSettings struct {
		Ports    map[string][]published
		Networks map[string]*endpoint
	}
}

type published struct {
	HostIP   string `json:"HostIp"`
	HostPort string
}

// healthcheck holds Docker's probe settings; durations in nanoseconds, zero is
// Docker's default.
type healthcheck struct {
	Interval      time.Duration
	StartPeriod   time.Duration
	StartInterval time.Duration // API 1.44 on
}
