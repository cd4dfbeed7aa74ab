package storm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// readyWithin is how long a cluster may take to answer for the first time.
const readyWithin = 30 * time.Second

// commandTimeout bounds one docker or Compose command.
const commandTimeout = 90 * time.Second

// services are the clusters of a stage, each a Compose service and a host name
// of its own, since each misbehaves in its own way when it stops.
var services = []struct {
	name     string
	replicas int
	env      string // of cmd/daemon
	labels   string // beside cluster and host
	grace    string
}{
	{name: "calm", replicas: 2},
	{name: "linger", replicas: 2, env: "DAEMON_ON_TERM: linger, DAEMON_LINGER: 150ms"},
	{name: "close", replicas: 2, env: "DAEMON_ON_TERM: close"},
	{name: "ignore", replicas: 2, env: "DAEMON_ON_TERM: ignore", grace: "2s"},
	{name: "faulty", replicas: 3, env: "DAEMON_LINGER: 150ms", labels: `timeout: 2s, retry.on: "connect,reset,5xx"`},
}

// Images are what a stage is made of.
type Images struct {
	LB, Daemon string
	// Binary is the same lb as a file.
	Binary string
}

// stage is a Compose project: the proxy and its backends, and the relay
// between the proxy and the engine.
type stage struct {
	project string
	images  Images
	hold    time.Duration // lb.hold; 0: its default
	compose []string      // the command
	engine  string        // socket
	dir     string
	record  *os.File // that the backends append to
	ledger  *ledger  // what was read of it
	relay   *relay
	target  *target // nil: the proxy is ours
	host    *onHost // nil: the proxy is in a container
	second  *Second // nil: the engine is the machine's
	front   string  // the container of the proxy
	address string  // where requests go
	admin   string  // empty where the proxy is not ours
}

// newStage makes the files and the relay; up starts the containers. A second
// engine becomes the stage's to close.
func newStage(o Options, t *target, where place, second *Second) (*stage, error) {
	dir, err := os.MkdirTemp("", "dlbstorm")
	if err != nil {
		return nil, err
	}
	random := make([]byte, 3)
	rand.Read(random)
	s := &stage{project: "dlbstorm" + hex.EncodeToString(random), images: o.Images, hold: o.Hold, compose: o.Compose, engine: o.Socket, dir: dir, ledger: newLedger(), target: t, second: second}
	if second != nil {
		s.engine = second.Socket
	}
	if err := s.prepare(where); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// remove removes the stage's files.
func (s *stage) remove() error {
	var err error
	if s.record != nil {
		err = s.record.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *stage) prepare(where place) error {
	for _, sub := range []string{"record", "engine"} {
		dir := filepath.Join(s.dir, sub)
		if err := os.Mkdir(dir, 0o777); err != nil {
			return err
		}
		// Mkdir's mode is less the umask, and the containers run as nobody.
		if err := os.Chmod(dir, 0o777); err != nil {
			return err
		}
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	var err error
	if s.record, err = os.Create(filepath.Join(s.dir, "record", "requests")); err != nil {
		return err
	}
	if err := s.record.Chmod(0o666); err != nil {
		return err
	}
	socket := filepath.Join(s.dir, "engine", "docker.sock")
	if where != inContainer {
		if err := s.prepareHost(where, socket); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "docker-compose.yml"), []byte(s.file()), 0o644); err != nil {
		return err
	}
	s.relay, err = startRelay(socket, s.engine)
	return err
}

// prepareHost chooses the ports of a proxy outside of containers.
func (s *stage) prepareHost(where place, socket string) (err error) {
	command := []string{s.images.Binary}
	if where == besideSecond {
		// Nobody else is in its namespace. The socket is the engine's own, which
		// goes and comes with it.
		command, socket = append(slices.Clone(s.second.Enter), command...), s.engine
		s.address, s.admin = net.JoinHostPort(s.second.IP, "10000"), net.JoinHostPort(s.second.IP, "9901")
	} else {
		for _, free := range []*string{&s.address, &s.admin} {
			if *free, err = freeAddress(); err != nil {
				return err
			}
		}
	}
	s.host, err = newOnHost(s.dir, command, s.address, s.admin, socket, s.project)
	return err
}

// file is the stage's docker-compose.yml.
func (s *stage) file() string {
	var b strings.Builder
	b.WriteString("version: \"3.4\"\nservices:\n")
	switch {
	case s.host != nil:
	case s.target == nil:
		fmt.Fprintf(&b, `  front:
    image: %s
    ports: ["10000", "9901"]
    environment: {LB_PREFIX: %s, LB_DOCKER: "unix:///engine/docker.sock"}
    volumes: ["%s:/engine"]
`, s.images.LB, s.project, filepath.Join(s.dir, "engine"))
	default:
		// It does nothing: its network namespace is what is wanted.
		fmt.Fprintf(&b, `  front:
    image: %s
    ports: ["10000", "9901"]
    environment: {DAEMON_LISTEN: "127.0.0.1:1"}
`, s.images.Daemon)
	}
	for _, v := range services {
		environment := "DAEMON_RECORD: /record/requests, DAEMON_SERVICE: " + v.name
		if v.env != "" {
			environment += ", " + v.env
		}
		fmt.Fprintf(&b, `  %s:
    image: %s
    environment: {%s}
    volumes: ["%s:/record"]
    labels:
      %s.cluster: %s
      %s.host: %s
`, v.name, s.images.Daemon, environment, filepath.Join(s.dir, "record"), s.project, v.name, s.project, host(v.name))
		if v.labels != "" {
			for label := range strings.SplitSeq(v.labels, ", ") {
				fmt.Fprintf(&b, "      %s.%s\n", s.project, label)
			}
		}
		if s.hold > 0 {
			fmt.Fprintf(&b, "      %s.hold: %s\n", s.project, s.hold)
		}
		if v.grace != "" {
			fmt.Fprintf(&b, "    stop_grace_period: %s\n", v.grace)
		}
	}
	return b.String()
}

// host is the host name of a service's requests.
func host(service string) string { return service + ".storm" }

// up starts everything and waits until each cluster answers.
func (s *stage) up(ctx context.Context) error {
	args := []string{"up", "-d"}
	for _, v := range services {
		args = append(args, "--scale", fmt.Sprintf("%s=%d", v.name, v.replicas))
	}
	if err := s.runCompose(ctx, args...); err != nil {
		return err
	}
	if err := s.startFront(ctx); err != nil {
		return err
	}
	c := &client{address: s.address}
	defer c.close()
	for _, v := range services {
		if err := until(ctx, readyWithin, func() error {
			a := c.send(ctx, request{id: "first", host: host(v.name)})
			if a.failure != "" {
				return fmt.Errorf("%s does not answer through %s: %s %s", v.name, s.address, a.failure, a.detail)
			}
			return nil
		}); err != nil {
			if s.target != nil && s.target.name != "" {
				err = fmt.Errorf("%w; %s says: %s", err, s.target.name, s.target.said(s.dir))
			}
			return err
		}
	}
	return nil
}

// startFront starts or finds the proxy.
func (s *stage) startFront(ctx context.Context) (err error) {
	if s.host != nil {
		return s.host.start()
	}
	if s.front, err = s.container(ctx, "front", 1); err != nil {
		return err
	}
	if err := s.findPorts(ctx); err != nil {
		return err
	}
	if s.target == nil {
		return nil
	}
	s.admin = ""
	return s.startTarget(ctx)
}

// findPorts finds where the proxy is published. Requests go by the network's own
// gateway where that can be reached, since what goes to the loopback address
// passes through the engine's userland proxy, which accepts for a listener
// that is gone.
func (s *stage) findPorts(ctx context.Context) error {
	ports, err := s.docker(ctx, "inspect", "-f",
		`{{(index (index .NetworkSettings.Ports "10000/tcp") 0).HostPort}} {{(index (index .NetworkSettings.Ports "9901/tcp") 0).HostPort}} {{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}`, s.front)
	if err != nil {
		return err
	}
	words := strings.Fields(ports)
	if len(words) != 3 {
		return fmt.Errorf("%s: unexpected ports %q", s.front, ports)
	}
	s.address = net.JoinHostPort(words[2], words[0])
	s.admin = net.JoinHostPort("127.0.0.1", words[1])
	// Refused is reached: the proxy may not listen yet.
	conn, err := net.DialTimeout("tcp", s.address, time.Second)
	if err == nil {
		conn.Close()
	} else if !errors.Is(err, syscall.ECONNREFUSED) {
		s.address = net.JoinHostPort("127.0.0.1", words[0])
	}
	return nil
}

// down removes all.
func (s *stage) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*commandTimeout)
	defer cancel()
	if s.target != nil {
		s.target.stop()
	}
	if s.host != nil {
		s.host.stop()
	}
	if s.second != nil {
		// The storm may have ended between a stop and a start.
		if err := s.second.Start(); err != nil {
			return errors.Join(err, s.second.Close())
		}
	}
	ids, err := s.docker(ctx, "ps", "-aq", "--filter", "label=com.docker.compose.project="+s.project)
	if err == nil && ids != "" {
		// Faster than Compose's down, which stops in good order.
		_, err = s.docker(ctx, append([]string{"rm", "-f", "-v"}, strings.Fields(ids)...)...)
	}
	if err == nil {
		err = s.runCompose(ctx, "down", "-v", "--remove-orphans")
	}
	s.relay.close()
	if s.second != nil {
		err = errors.Join(err, s.second.Close())
	}
	return errors.Join(err, s.remove())
}

// container is the name of a service's n-th replica, as both Composes number
// them.
func (s *stage) container(ctx context.Context, service string, number int) (string, error) {
	name, err := s.docker(ctx, "ps", "-a", "--format", "{{.Names}}",
		"--filter", "label=com.docker.compose.project="+s.project,
		"--filter", "label=com.docker.compose.service="+service,
		"--filter", fmt.Sprintf("label=com.docker.compose.container-number=%d", number))
	if err == nil && (name == "" || strings.Contains(name, "\n")) {
		err = fmt.Errorf("%s %d: want one container, have %q", service, number, name)
	}
	return name, err
}

func (s *stage) runCompose(ctx context.Context, args ...string) error {
	_, err := s.command(ctx, s.compose[0], append(append(s.compose[1:len(s.compose):len(s.compose)], "-p", s.project), args...)...)
	return err
}

func (s *stage) docker(ctx context.Context, args ...string) (string, error) {
	return s.command(ctx, "docker", args...)
}

// command's error carries what the command said.
func (s *stage) command(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "DOCKER_HOST=unix://"+s.engine)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// maxLog bounds how many lines of the proxy's log stand with a failure.
const maxLog = 40

// log is what the proxy's container said in this time.
func (s *stage) log(ctx context.Context, from, to time.Time) []string {
	if s.host != nil {
		lines := s.host.lines()
		return lines[max(0, len(lines)-maxLog):]
	}
	c := exec.CommandContext(ctx, "docker", "logs", "--since", unix(from), "--until", unix(to), s.front)
	c.Env = append(os.Environ(), "DOCKER_HOST=unix://"+s.engine)
	out, err := c.CombinedOutput()
	if err != nil {
		return []string{"the proxy's log: " + err.Error()}
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, "the proxy said: "+strings.TrimSpace(line))
	}
	return lines[max(0, len(lines)-maxLog):]
}

// counters are the proxy's, where it is ours.
func (s *stage) counters(ctx context.Context) (counters, error) {
	if s.admin == "" {
		return nil, errors.New("no admin port")
	}
	return readCounters(ctx, s.admin)
}

// eventTime is when the engine says that an event of this project took place,
// the first since a time.
func (s *stage) eventTime(ctx context.Context, event string, since time.Time) (time.Time, error) {
	out, err := s.docker(ctx, "events", "--since", unix(since), "--until", unix(time.Now()), "--filter", "event="+event,
		"--format", "{{.TimeNano}} {{.Actor.Attributes.name}}")
	if err != nil {
		return time.Time{}, err
	}
	for line := range strings.Lines(out) {
		var nanos int64
		var name string
		if _, err := fmt.Sscan(line, &nanos, &name); err == nil && strings.HasPrefix(name, s.project) {
			return time.Unix(0, nanos), nil
		}
	}
	return time.Time{}, fmt.Errorf("the engine has no event %q since %v: %q", event, since, out)
}

// unix is a time as the docker command takes it.
func unix(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
