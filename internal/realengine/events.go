package realengine

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"sync"
	"time"
)

// Events records when the engine says that something happened to a container
// of a scope: its own time of the event, which is what figures count from.
type Events struct {
	mu   sync.Mutex
	seen map[string]time.Time // action and container name
}

// Events begins to record, until the test ends.
func (s *Scope) Events() *Events {
	s.t.Helper()
	v := &Events{seen: map[string]time.Time{}}
	command := exec.Command("docker", "events", "--since", "0s", "--format", "{{json .}}",
		"--filter", "type=container", "--filter", "label="+testLabel+"="+s.Name)
	command.Env = s.env
	out, err := command.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			v.record(lines.Bytes())
		}
	}()
	s.t.Cleanup(func() {
		command.Process.Kill()
		<-done
		command.Wait() // killed: its error says so, and nothing else
	})
	return v
}

func (v *Events) record(line []byte) {
	var e struct {
		Action string
		Actor  struct {
			Attributes struct{ Name string }
		}
		TimeNano int64 `json:"timeNano"`
	}
	if json.Unmarshal(line, &e) != nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen[e.Action+" "+e.Actor.Attributes.Name] = time.Unix(0, e.TimeNano)
}

// Latest waits for the event and returns the engine's time of it.
func (v *Events) Latest(s *Scope, action, container string) (at time.Time) {
	s.t.Helper()
	Eventually(s.t, 10*time.Second, func() error {
		v.mu.Lock()
		defer v.mu.Unlock()
		var ok bool
		if at, ok = v.seen[action+" "+container]; !ok {
			return fmt.Errorf("no event %s of %s", action, container)
		}
		return nil
	})
	return at
}
