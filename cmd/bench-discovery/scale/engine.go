package scale

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// engine is a fake engine in a process of its own, told by script what to do.
type engine struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	socket string
}

func startEngine(ctx context.Context, binary, socket string, l layout) (*engine, error) {
	args := []string{"-script", "-listen", "-socket", socket, "-containers", strconv.Itoa(l.containers()), "-clusters", strconv.Itoa(l.clusters)}
	if l.hosts {
		args = append(args, "-hosts")
	}
	e := &engine{cmd: exec.CommandContext(ctx, binary, args...), socket: socket}
	e.cmd.Stderr = os.Stderr
	in, err := e.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.in, e.out = in, bufio.NewReader(out)
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := e.out.ReadString('\n'); err != nil {
		e.end()
		return nil, fmt.Errorf("fake engine: %w", err)
	}
	return e, nil
}

func (e *engine) host() string { return "unix://" + e.socket }

func (e *engine) end() {
	e.in.Close()
	_ = e.cmd.Wait()
}

// do has one line of script done.
func (e *engine) do(format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(e.in, format+"\n", args...); err != nil {
		return "", err
	}
	answer, err := e.out.ReadString('\n')
	return strings.TrimSpace(answer), err
}

func (e *engine) calls(of string) (int, error) {
	answer, err := e.do("calls %s", of)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(answer)
}

// standing is how a container stands, as the engine knows it.
type standing struct {
	State     string
	Addresses map[string]string
}

func (e *engine) standings() (map[string]standing, error) {
	answer, err := e.do("standings")
	if err != nil {
		return nil, err
	}
	var all map[string]standing
	return all, json.Unmarshal([]byte(answer), &all)
}
