package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/storm"
)

// A short storm: an operation of each kind; on a slow machine fewer, so that all
// is over in little more than a minute. It does not run beside the other tests,
// which would share the machine with it. "make storm" is the whole one, with
// lb.hold's default: here nothing depends on how fast Compose is today.
func TestStorm(t *testing.T) {
	newScope(t) // skips where there is no engine
	report, err := storm.Run(t.Context(), storm.Options{
		Seeds: []uint64{1}, Rate: 200, Limit: 40 * time.Second, Hold: 15 * time.Second,
		Only: []string{
			"recreate the only one", "force-recreate (closes at SIGTERM)",
			"docker stop (ignores SIGTERM)", "kill -9", "hangs", "pause", "event stream cut",
		},
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
	if !report.Pass() {
		t.Error("the storm was not weathered")
	}
}
