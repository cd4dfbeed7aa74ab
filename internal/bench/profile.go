package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dockerlb/dockerlb/internal/freeport"
)

// Profile saves a CPU profile of o.LB, which must be built with -tags pprof,
// under the first of o.Works (small, if none) at path, and prints how many
// system calls a request costs, where strace is there to count them.
func Profile(ctx context.Context, o Options, path string) error {
	w := &works[0]
	for i := range works {
		if len(o.Works) > 0 && works[i].key == o.Works[0] {
			w = &works[i]
		}
	}
	r, err := begin(o)
	if err != nil {
		return err
	}
	defer r.end()
	profiles, err := freeport.Loopback()
	if err != nil {
		return err
	}
	c := r.contenders()[0]
	command := c.command
	c.command = func(dir string, addr netip.AddrPort, backends []netip.AddrPort) (*exec.Cmd, error) {
		cmd, err := command(dir, addr, backends)
		if err == nil {
			cmd.Env = append(cmd.Env, "LB_PPROF="+profiles.String())
		}
		return cmd, err
	}
	l, err := r.up(c)
	if err != nil {
		return err
	}
	if _, err := r.wrk(ctx, w, l.addr, 1); err != nil { // warms up
		return err
	}
	fmt.Fprintf(o.Log, "profiling under %s for %d s\n", w.title, o.Seconds)
	saved := make(chan error, 1)
	go func() { saved <- fetchProfile(ctx, profiles, o.Seconds, path) }()
	load, err := r.wrk(ctx, w, l.addr, o.Seconds+1)
	if err := errors.Join(err, <-saved); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "%s: %.0f requests/s while profiled\n", w.title, float64(load.requests)/load.took.Seconds())
	return r.systemCalls(ctx, w, l)
}

func fetchProfile(ctx context.Context, addr netip.AddrPort, seconds int, path string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", addr, seconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("profile: %w (is lb built with -tags pprof?)", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: %s: %q, %w", resp.Status, body[:min(len(body), 200)], err)
	}
	return os.WriteFile(path, body, 0o644)
}

// systemCalls prints what strace counts, per request. It makes lb several times
// slower, but not another program.
func (r *run) systemCalls(ctx context.Context, w *work, l *live) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		fmt.Fprintln(r.o.Out, "system calls were not counted: strace is missing (apt-get install strace)")
		return nil
	}
	cmd := exec.CommandContext(ctx, strace, "-c", "-f", "-qq", "-U", "name,calls,errors", "-p", strconv.Itoa(l.process.cmd.Process.Pid))
	cmd.SysProcAttr = attributes()
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	select { // until it has attached; were it late, it would count too few
	case <-ctx.Done():
	case <-time.After(500 * time.Millisecond):
	}
	load, err := r.wrk(ctx, w, l.addr, 3)
	_ = cmd.Process.Signal(syscall.SIGINT) // then it detaches and prints
	_ = cmd.Wait()                         // which it ends with the signal's code
	if err != nil {
		return err
	}
	fmt.Fprintln(r.o.Out, "system calls per request (strace -c -f), of them failed:")
	counted := false
	for line := range strings.Lines(said.String()) {
		f := strings.Fields(line)
		if len(f) < 2 || len(f) > 3 {
			continue
		}
		calls, err := strconv.Atoi(f[1])
		if err != nil || f[0] == "total" {
			continue
		}
		counted = true
		per := float64(calls) / float64(load.requests)
		failed := 0
		if len(f) == 3 {
			failed, _ = strconv.Atoi(f[2])
		}
		if per >= 0.005 {
			fmt.Fprintf(r.o.Out, "  %-16s %5.2f  %5.2f\n", f[0], per, float64(failed)/float64(load.requests))
		}
	}
	if !counted {
		return fmt.Errorf("strace counted nothing; it said:\n%s", said.String())
	}
	return nil
}
