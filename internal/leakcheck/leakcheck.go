// Package leakcheck fails a package's tests when they leave goroutines or file
// descriptors behind.
package leakcheck

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long what is ending may take to end.
const patience = 5 * time.Second

// Main runs the tests of a package and then compares goroutines and open
// descriptors with those before, and asks the package's own accounts. Call it from
// TestMain; it does not return.
func Main(m *testing.M, accounts ...func() error) {
	descriptors := countDescriptors()
	code := m.Run()
	if code == 0 {
		code = report(descriptors, accounts)
	}
	os.Exit(code)
}

func report(descriptorsBefore int, accounts []func() error) int {
	var leaked []string
	var owed error
	open := 0
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		leaked, open, owed = goroutines(), countDescriptors(), nil
		for _, account := range accounts {
			owed = errors.Join(owed, account())
		}
		if len(leaked) == 0 && open <= descriptorsBefore && owed == nil {
			return 0
		}
		if time.Now().After(end) {
			break
		}
	}
	for _, g := range leaked {
		fmt.Fprintf(os.Stderr, "leakcheck: goroutine left behind:\n%s\n\n", g)
	}
	if owed != nil {
		fmt.Fprintf(os.Stderr, "leakcheck: %v\n", owed)
	}
	if open > descriptorsBefore {
		fmt.Fprintf(os.Stderr, "leakcheck: %d descriptors open, %d before the tests:\n%s", open, descriptorsBefore, descriptors())
	}
	return 1
}

// goroutines returns the stacks of all goroutines but the caller's and those
// of the runtime and the testing package.
func goroutines() []string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	var leaked []string
	for _, g := range strings.Split(string(buf), "\n\n")[1:] {
		if !expected(g) {
			leaked = append(leaked, g)
		}
	}
	return leaked
}

func expected(stack string) bool {
	for _, known := range []string{
		"testing.(*M).", "testing.tRunner(", "testing.runTests(",
		"os/signal.signal_recv", "os/signal.loop",
		"runtime.ensureSigM", "runtime.gc(", "created by runtime",
		"runtime/pprof.", "internal/fuzz.", "testing.(*F).",
	} {
		if strings.Contains(stack, known) {
			return true
		}
	}
	return false
}
