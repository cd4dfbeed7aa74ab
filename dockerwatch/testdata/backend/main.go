// Command backend is what the tests on a real engine run in containers: it says
// "ready" once it heeds signals (before, the kernel drops them: it is process 1),
// lives until SIGTERM or SIGQUIT and lingers a little; "stubborn" ignores
// SIGTERM, "crash" fails half a second after its start, "check" is a HEALTHCHECK
// that succeeds.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "check" {
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		time.Sleep(500 * time.Millisecond)
		os.Exit(1)
	}
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	fmt.Println("ready")
	for s := range c {
		if s == syscall.SIGHUP || (len(os.Args) > 1 && os.Args[1] == "stubborn") {
			continue
		}
		time.Sleep(200 * time.Millisecond)
		return
	}
}
