package realengine

import (
	"fmt"
	"regexp"
	"testing"
	"time"
)

var idInLog = regexp.MustCompile(`(?m)^listening on .* as ([0-9a-f-]{36})$`)

// Backend starts an example daemon on a network, labelled into the cluster
// "web", and returns its name. The arguments are further ones of docker run.
func (s *Scope) Backend(name, network string, args ...string) string {
	s.t.Helper()
	all := []string{"--network", network, "--label", s.Prefix + ".cluster=web"}
	return s.Run(name, append(append(all, args...), s.Daemon)...)
}

// ID is what a daemon's container answers: that of its latest start.
func (s *Scope) ID(container string) string {
	s.t.Helper()
	var id string
	Eventually(s.t, 10*time.Second, func() error {
		log, err := s.Engine.Docker("logs", container)
		if err != nil {
			return err
		}
		all := idInLog.FindAllStringSubmatch(log, -1)
		if len(all) == 0 {
			return fmt.Errorf("%s does not listen yet", container)
		}
		id = all[len(all)-1][1]
		return nil
	})
	return id
}

// Eventually tries until check has no error, at most for so long.
func Eventually(t testing.TB, within time.Duration, check func() error) {
	t.Helper()
	// The engine and the network offer nothing to wait on: ask again.
	const pause = 20 * time.Millisecond
	for end := time.Now().Add(within); ; time.Sleep(pause) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %v", within, err)
		}
	}
}
