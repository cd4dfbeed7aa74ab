package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/storm"
)

// A short storm: an operation of each kind, for a minute at most. It does not
// run beside the other tests, which would share the machine with it. "make
// storm" is the whole one.
func TestStorm(t *testing.T) {
	newScope(t) // skips where there is no engine
	report, err := storm.Run(t.Context(), storm.Options{
		Seeds: []uint64{1}, Rate: 200, Limit: time.Minute,
		Only: []string{
			"compose restart", "recreate the only one", "force-recreate (closes at SIGTERM)",
			"docker stop (ignores SIGTERM)", "kill -9", "hangs", "pause", "event stream cut", "DNS gone",
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
