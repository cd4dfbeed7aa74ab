package scale

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dockerlb/dockerlb/admin"
	"github.com/dockerlb/dockerlb/internal/freeport"
)

// lb is a running lb.
type lb struct {
	cmd    *exec.Cmd
	began  time.Time
	log    *os.File
	admin  string
	client *admin.Client
}

// startLB starts the binary against the engine. Its log, at its default level,
// goes to a file in dir.
func startLB(ctx context.Context, binary, dir, engine string) (*lb, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &lb{}
	if p.admin, err = freeAddress(); err != nil {
		return nil, err
	}
	if p.log, err = os.Create(filepath.Join(dir, "lb.log")); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, binary, "run", "--docker", engine, "--listen", listen, "--admin-listen", p.admin)
	p.cmd.Stderr = p.log
	p.client = admin.Dial(p.admin, "")
	p.began = time.Now()
	return p, p.cmd.Start()
}

// end kills it; what is measured is over.
func (p *lb) end() {
	p.client.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.log.Close()
}

// live waits until /ready says that the first View is in force, and returns
// how long after its start that was.
func (p *lb) live(ctx context.Context) (time.Duration, error) {
	c := http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	err := poll(ctx, time.Minute, 5*time.Millisecond, func() (bool, error) {
		resp, err := c.Get("http://" + p.admin + "/ready")
		if err != nil {
			return false, nil //nolint:nilerr // not there yet
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		return 0, fmt.Errorf("lb is not ready (log: %s): %w", p.log.Name(), err)
	}
	return time.Since(p.began), nil
}

// cpu is the processor time of the process so far, by the scheduler's clock:
// /proc/PID/stat counts in ticks of 10 ms.
func (p *lb) cpu() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no schedstat of process %d", p.cmd.Process.Pid)
	}
	var sum time.Duration
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return 0, err // Go does not end its threads
		}
		first, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", f, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// memory is the resident set now and at its largest, in MiB.
func (p *lb) memory() (now, peak float64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			now = kb / 1024
		case "VmHWM:":
			peak = kb / 1024
		}
	}
	return now, peak, lines.Err()
}

func freeAddress() (string, error) {
	a, err := freeport.Loopback()
	return a.String(), err
}

// poll asks until ok, an error, or the limit.
func poll(ctx context.Context, limit, every time.Duration, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		done, err := ok()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still waiting: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
