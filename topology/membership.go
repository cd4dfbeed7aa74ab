package topology

import (
	"net/netip"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

// Membership is every container that the engines reported at one instant:
// always the full set, sorted by ID, immutable. Only what is needed is kept:
// never the environment, never labels other than ours and those of Compose.
type Membership struct {
	Generation uint64
	ObservedAt time.Time
	Engines    []EngineStatus
	Self       Self
	// Containers are those that carry our labels and those whose network one
	// of them borrows. Pointers, so that an unchanged container is the same
	// pointer in the next generation; the values are never written again.
	Containers []*Container
}

// EngineStatus is how one engine's watcher does.
type EngineStatus struct {
	Name       string // as given: unix:///var/run/docker.sock
	Version    string
	APIVersion string
	Connected  bool
	Since      time.Time // of Connected's last change
	LastEvent  time.Time
	LastList   time.Time
	Error      string // why it is not connected
	// Counters since start.
	Events, Inspects, Lists, Reconnects, Dropped uint64
}

// Self is what the proxy knows of the place it runs in.
type Self struct {
	InContainer bool   // we are a container of this engine
	ContainerID string // ours; empty on a host
	HostNetwork bool   // on the host, or in a container with the host's network
	EmbeddedDNS bool   // 127.0.0.11 answers us
	// PublishedOnly: we run on a host that cannot reach its containers'
	// addresses (Docker Desktop, rootless): published ports are the only way.
	PublishedOnly bool
	Networks      []Attachment
}

// State is the engine's word for what a container does.
type State string

const (
	StateCreated    State = "created"
	StateRunning    State = "running"
	StatePaused     State = "paused"
	StateRestarting State = "restarting"
	StateRemoving   State = "removing"
	StateExited     State = "exited"
	StateDead       State = "dead"
)

// Health is Docker's own verdict, by the container's HEALTHCHECK.
type Health string

const (
	HealthNone      Health = "none" // no HEALTHCHECK
	HealthStarting  Health = "starting"
	HealthHealthy   Health = "healthy"
	HealthUnhealthy Health = "unhealthy"
)

// Container is one container, as last seen.
type Container struct {
	ID     string // 64 hex digits
	Name   string // without the leading slash
	Image  string
	Engine string // EngineStatus.Name

	Spec     labels.Spec      // parsed once
	Problems []labels.Problem // parsed once
	Compose  ComposeRef

	State  State
	Health Health
	// HealthNext is when Docker's next check is due; zero: unknown. Only kept
	// while Health is starting.
	HealthNext time.Time
	Created    time.Time
	StartedAt  time.Time

	// Stopping: its stop signal was seen (event "kill"); inspect cannot tell.
	Stopping   bool
	StoppingAt time.Time
	// IgnoredStop: it was still running max(StopTimeout, lb.drain) + 5 s after
	// its signal, and has been admitted again.
	IgnoredStop bool
	StopTimeout time.Duration // 10 s where not set
	// StartEvent is the engine's timeNano of the `start` that began this run;
	// zero where it was running when we came. For the join histogram.
	StartEvent time.Time

	HostNetwork bool
	// NetworkOf is the id of the container whose network this one borrows
	// (network_mode: service:x); empty: its own.
	NetworkOf string
	Networks  []Attachment // sorted by name
	Ports     []Port       // TCP and UDP, exposed and published; sorted
	// Inspected is false where only the list has spoken yet.
	Inspected bool
}

// ShortID is the name that the embedded DNS answers on every network.
func (c *Container) ShortID() string {
	if len(c.ID) < 12 {
		return c.ID
	}
	return c.ID[:12]
}

// ComposeRef is where Compose put a container; zero: not Compose's.
type ComposeRef struct {
	Project, Service string
	Number           int
	OneOff           bool
}

// Attachment is a container's place on one network.
type Attachment struct {
	Name       string // as the engine names it: demo_default
	NetworkID  string
	EndpointID string
	IPv4, IPv6 netip.Addr // zero: none
	// Gateway is the network's IPv4 gateway: from inside a bridge network it
	// is the host, where containers with the host's network listen. Zero: none.
	Gateway netip.Addr
}

// Port is a port that the container exposes, and where the host publishes it.
type Port struct {
	Number    uint16
	Protocol  string         // tcp, udp, sctp
	Published netip.AddrPort // zero: exposed only
}
