package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
)

// script does what the lines of in say, one after the other, until in ends:
//
//	pause NAME, unpause NAME, stop NAME, start NAME, restart NAME, remove NAME, update NAME
//	drop on|off      lose events in silence
//	calls ENDPOINT   how often it was asked: list, inspect, …
//	standings        a JSON object: state and addresses of each container, by name
//
// Each is answered by one line: what was asked for, or the engine's time when
// it was done, in Unix nanoseconds.
func script(e *fakeengine.Engine, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		verb, ref, _ := strings.Cut(lines.Text(), " ")
		answer, err := do(e, verb, ref)
		if err != nil {
			return fmt.Errorf("script: %q: %w", lines.Text(), err)
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func do(e *fakeengine.Engine, verb, ref string) (string, error) {
	switch verb {
	case "calls":
		return fmt.Sprint(e.Calls(ref)), nil
	case "standings":
		b, err := json.Marshal(e.Standings())
		return string(b), err
	case "drop":
		e.DropEvents(ref == "on")
	case "pause":
		e.Pause(ref)
	case "unpause":
		e.Unpause(ref)
	case "start":
		e.Start(ref)
	case "stop":
		e.Stop(ref)
	case "restart":
		e.RestartContainer(ref)
	case "remove":
		e.Remove(ref)
	case "update":
		e.Update(ref)
	default:
		return "", fmt.Errorf("no such command")
	}
	return fmt.Sprint(time.Now().UnixNano()), nil
}
