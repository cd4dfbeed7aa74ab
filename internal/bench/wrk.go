package bench

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

// load is what wrk saw.
type load struct {
	requests int
	took     time.Duration
	p50, p99 time.Duration
	// errors are responses that did not come (connect, read, write, timeout);
	// statuses those that were not 2xx or 3xx.
	errors, statuses int
}

// wrkReport has wrk print its figures where a program can read them, in
// microseconds.
const wrkReport = `
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("figures %d %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.timeout, e.status))
end
`

// wrk asks for a work for some seconds. One thread: the machine has few cores,
// and the contenders are to have what is left.
func (r *run) wrk(ctx context.Context, w *work, addr netip.AddrPort, seconds int) (load, error) {
	script, err := write(r.dir, w.key+".lua", w.lua+wrkReport)
	if err != nil {
		return load{}, err
	}
	cmd := exec.CommandContext(ctx, r.tools["wrk"], "-t1", fmt.Sprintf("-c%d", w.conns), fmt.Sprintf("-d%ds", seconds),
		"--timeout", "10s", "-s", script, "http://"+addr.String()+w.path)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = attributes()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w; it said:\n%s", err, out)
	}
	return parseFigures(string(out))
}

func parseFigures(out string) (load, error) {
	_, line, ok := strings.Cut(out, "figures ")
	var l load
	var took, p50, p99 int64
	if _, err := fmt.Sscan(line, &l.requests, &took, &p50, &p99, &l.errors, &l.statuses); !ok || err != nil {
		return load{}, fmt.Errorf("wrk: no figures in what it said:\n%s", out)
	}
	l.took = time.Duration(took) * time.Microsecond
	l.p50, l.p99 = time.Duration(p50)*time.Microsecond, time.Duration(p99)*time.Microsecond
	if l.requests == 0 {
		return load{}, fmt.Errorf("wrk: not one request was answered; it said:\n%s", out)
	}
	return l, nil
}
