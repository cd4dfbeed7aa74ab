package fakeengine

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Container is what a container is created from.
type Container struct {
	Name, Image, Hostname string // image: "app:1" where empty; hostname: the short id
	Labels                map[string]string
	// Networks by name, made where they do not exist; none: "bridge".
	Networks []string
	// NetworkMode: "host", "container:<id or name>"; then there are no Networks.
	NetworkMode string
	Ports       []string // exposed: "8000/tcp"
	Env         []string
	StopSignal  string
	StopTimeout int // seconds; 0: not set
	// Health of a HEALTHCHECK; nil: none defined.
	Health *Healthcheck
}

// Healthcheck is Config.Healthcheck. A started container is "starting".
type Healthcheck struct{ Interval, StartPeriod, StartInterval time.Duration }

type container struct {
	Container
	id        string
	created   time.Time
	state     string
	health    string
	started   time.Time
	probed    []time.Time
	exitCode  int
	endpoints map[string]*endpoint // by network name
}

// Create makes a container and returns its id. Event: create.
func (e *Engine) Create(c Container) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := &container{Container: c, id: e.newID(c.Name), created: time.Now(), state: "created", endpoints: map[string]*endpoint{}}
	if n.Image == "" {
		n.Image = "app:1"
	}
	if n.Hostname == "" {
		n.Hostname = n.id[:12]
	}
	n.Labels = maps.Clone(c.Labels)
	if n.NetworkMode == "" {
		if len(c.Networks) == 0 {
			n.Networks = []string{"bridge"}
		}
		for _, name := range n.Networks {
			n.endpoints[name] = &endpoint{network: e.addNetwork(name)}
		}
		n.NetworkMode = n.Networks[0]
	} else if n.NetworkMode == "host" {
		n.endpoints["host"] = &endpoint{network: e.networks["host"]}
	}
	if _, taken := e.names[n.Name]; taken || n.Name == "" {
		panic("fakeengine: container name " + strconv.Quote(n.Name) + " is empty or taken")
	}
	e.containers[n.id], e.names[n.Name] = n, n
	e.order = append(e.order, n)
	e.emit(n, "create", nil)
	return n.id
}

// Start starts a container. Events: connect per network, start.
func (e *Engine) Start(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.start(e.find(ref))
}

func (e *Engine) start(c *container) {
	for _, name := range slices.Sorted(maps.Keys(c.endpoints)) {
		e.attach(c, c.endpoints[name])
	}
	c.state, c.started, c.probed = "running", time.Now(), nil
	if c.Health != nil {
		c.health = "starting"
	}
	e.emit(c, "start", nil)
}

// Run is Create and Start.
func (e *Engine) Run(c Container) string {
	id := e.Create(c)
	e.Start(id)
	return id
}

// Kill delivers a signal's event; the container goes on. Event: kill.
func (e *Engine) Kill(ref string, signal int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.emit(e.find(ref), "kill", map[string]string{"signal": strconv.Itoa(signal)})
}

// Die ends a container's process. Events: die, disconnect per network.
func (e *Engine) Die(ref string, code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.die(e.find(ref), code, "exited")
}

// Crash is Die of a container whose restart policy will start it again: it is
// "restarting" until Start.
func (e *Engine) Crash(ref string, code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.die(e.find(ref), code, "restarting")
}

func (e *Engine) die(c *container, code int, state string) {
	c.state, c.exitCode, c.health = state, code, ""
	for _, name := range slices.Sorted(maps.Keys(c.endpoints)) {
		c.endpoints[name].release()
	}
	e.emit(c, "die", map[string]string{"exitCode": strconv.Itoa(code)})
	for _, name := range slices.Sorted(maps.Keys(c.endpoints)) {
		e.emitNetwork(c, c.endpoints[name].network, "disconnect")
	}
}

// Stop is the end of `docker stop`: kill 15, die, disconnect, stop.
func (e *Engine) Stop(ref string) {
	e.Kill(ref, 15)
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.find(ref)
	e.die(c, 0, "exited")
	e.emit(c, "stop", nil)
}

// RestartContainer is `docker restart`: kill, die, stop, start, restart.
func (e *Engine) RestartContainer(ref string) {
	e.Stop(ref)
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.find(ref)
	e.start(c)
	e.emit(c, "restart", nil)
}

// Remove is `docker rm -f`: kill 9 and die where it runs, then destroy.
func (e *Engine) Remove(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.find(ref)
	if c.state == "running" || c.state == "paused" {
		e.emit(c, "kill", map[string]string{"signal": "9"})
		e.die(c, 137, "exited")
	}
	delete(e.containers, c.id)
	delete(e.names, c.Name)
	e.order = slices.DeleteFunc(e.order, func(o *container) bool { return o == c })
	e.emit(c, "destroy", nil)
}

// Pause and Unpause freeze a container.
func (e *Engine) Pause(ref string) { e.setState(ref, "paused", "pause") }

// Unpause ends Pause.
func (e *Engine) Unpause(ref string) { e.setState(ref, "running", "unpause") }

func (e *Engine) setState(ref, state, action string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.find(ref)
	c.state = state
	e.emit(c, action, nil)
}

// Rename gives a container another name.
func (e *Engine) Rename(ref, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.find(ref)
	old := c.Name
	delete(e.names, old)
	c.Name, e.names[name] = name, c
	e.emit(c, "rename", map[string]string{"oldName": "/" + old})
}

// Update is `docker update`.
func (e *Engine) Update(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.emit(e.find(ref), "update", nil)
}

// SetHealth ends a probe that turned the health: healthy, unhealthy.
func (e *Engine) SetHealth(ref, health string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.find(ref)
	c.health = health
	c.probed = append(c.probed, time.Now())
	e.emit(c, "health_status: "+health, nil)
}

// Probe ends a probe that changed nothing: there is no event that we ask for.
func (e *Engine) Probe(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.find(ref)
	c.probed = append(c.probed, time.Now())
}

// Connect puts a container on a network. Event, if it runs: connect.
func (e *Engine) Connect(ref, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.find(ref)
	n := &endpoint{network: e.addNetwork(name)}
	c.endpoints[name] = n
	if c.state == "running" || c.state == "paused" {
		e.attach(c, n)
	}
}

// Disconnect takes a container off a network. Event, if it runs: disconnect.
func (e *Engine) Disconnect(ref, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.find(ref)
	n := c.endpoints[name]
	if n == nil {
		panic("fakeengine: " + ref + " is not on network " + name)
	}
	delete(c.endpoints, name)
	if n.ip.IsValid() {
		n.release()
		e.emitNetwork(c, n.network, "disconnect")
	}
}

// Address is a container's address on a network; "" where it has none.
func (e *Engine) Address(ref, network string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := e.find(ref).endpoints[network]; n != nil && n.ip.IsValid() {
		return n.ip.String()
	}
	return ""
}

// Standing is a container's state and its addresses by network.
type Standing struct {
	State     string
	Addresses map[string]string
}

// Standings is how each container stands, by name.
func (e *Engine) Standings() map[string]Standing {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make(map[string]Standing, len(e.containers))
	for _, c := range e.containers {
		s := Standing{State: c.state, Addresses: map[string]string{}}
		for name, n := range c.endpoints {
			if n.ip.IsValid() {
				s.Addresses[name] = n.ip.String()
			}
		}
		all[c.Name] = s
	}
	return all
}
