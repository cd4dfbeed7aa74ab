package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/storm"
)

// A short storm: an operation of each kind, and each of them takes place: a machine
// that cannot do them all in the limit has not shown that nothing is lost. It
// does not run beside the other tests, which would share the machine with it.
// "make storm" is the whole one, with lb.hold's default: here nothing depends on
// how fast Compose is today.
func TestStorm(t *testing.T) {
	newScope(t) // skips where there is no engine
	const limit = 2 * time.Minute
	names := []string{
		"scale up", "scale down", "recreate the only one", "force-recreate (closes at SIGTERM)",
		"docker stop (ignores SIGTERM)", "kill -9", "hangs", "pause", "event stream cut",
	}
	report, err := storm.Run(t.Context(), storm.Options{
		Seeds: []uint64{1}, Rate: 200, Limit: limit, Hold: 15 * time.Second, Only: names,
		Socket: engine.Socket, Compose: engine.ComposeCommand(),
		Images:   storm.Images{LB: engine.LB, Daemon: engine.Daemon, Binary: engine.LBBinary},
		Progress: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := storm.WriteTable(&table, report.Rows); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &table)
	for _, missing := range report.Missing {
		t.Log("not done here: ", missing)
	}
	for _, name := range names {
		done := slices.ContainsFunc(report.Rows, func(r storm.Row) bool { return r.Operation == name })
		missing := slices.ContainsFunc(report.Missing, func(m string) bool { return strings.HasPrefix(m, name+": ") })
		if !done && !missing {
			t.Errorf("%s: not begun within %v", name, limit)
		}
	}
	if !report.Pass() {
		t.Error("the storm was not weathered")
	}
}
