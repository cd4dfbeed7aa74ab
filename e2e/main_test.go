// Package e2e tries the product as people do: the built images, on a real
// Docker Engine, with real Compose and real curl.
package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// engine is nil where none can be reached; tests get it through newScope.
var (
	engine    *realengine.Engine
	engineErr error
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	engine, engineErr = realengine.Find()
	if engineErr != nil {
		if os.Getenv("CI") == "true" {
			fmt.Fprintln(os.Stderr, "e2e:", engineErr)
			return 1
		}
		fmt.Println("e2e: every test on the real engine is skipped:", engineErr)
		return m.Run()
	}
	defer func() {
		if err := engine.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: left behind:", err)
		}
	}()
	if err := engine.Build(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

// newScope gives a test its own part of the engine, or skips it where there is
// no engine (with CI=true TestMain has failed already).
func newScope(t *testing.T) *realengine.Scope {
	t.Helper()
	if engine == nil {
		t.Skip("no engine:", engineErr)
	}
	return engine.Scope(t)
}
