package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// takeTurns is the README's recipe: the port belongs to a container of its own,
// and two lb services hand the sockets to each other through a volume.
const takeTurns = `
services:
  port:
    image: %[1]s
    ports: ["127.0.0.1::10000", "127.0.0.1::9901"]
  blue: &lb
    image: %[2]s
    command: [run, --takeover, --prefix, %[3]s]
    environment: {LB_TAKEOVER_SOCKET: /run/lb/lb.sock}
    network_mode: "service:port"
    user: "0:0"
    volumes: ["%[4]s:/var/run/docker.sock", "handover:/run/lb"]
    restart: on-failure
  green:
    <<: *lb
    profiles: [upgrade]
  web:
    image: %[1]s
    scale: 2
    labels: {%[3]s.cluster: web}
volumes: {handover: {}}
`

// Two upgrades of the proxy in its containers, under load: no request fails.
func TestTakeoverAcrossContainers(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	s.WriteCompose(fmt.Sprintf(takeTurns, s.Daemon, s.LB, s.Prefix, s.Socket))
	t.Cleanup(func() { s.Compose("down", "-v", "--remove-orphans", "-t", "1") })
	s.Compose("up", "-d", "port", "blue", "web")
	id := func(service string) string { return strings.TrimSpace(s.Compose("ps", "-q", service)) }
	f := s.Attach(id("port"))
	one, two, _ := strings.Cut(id("web"), "\n")
	ids := []string{s.ID(one), s.ID(two)}
	f.Serves(soon, ids...)

	l := startLoad(f)
	ended := func(container string) {
		t.Helper()
		realengine.Eventually(t, 3*soon, func() error {
			if state := strings.TrimSpace(s.Docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", container)); state != "exited 0" {
				return fmt.Errorf("the replaced proxy is %s:\n%s", state, s.Log(container))
			}
			return nil
		})
	}
	blue := id("blue")
	s.Compose("--profile", "upgrade", "up", "-d", "--no-deps", "green")
	ended(blue)
	f.Serves(soon, ids...)
	green := strings.TrimSpace(s.Compose("--profile", "upgrade", "ps", "-q", "green"))
	s.Compose("up", "-d", "--no-deps", "--force-recreate", "blue")
	ended(green)
	f.Serves(soon, ids...)
	l.stop(t)
}
