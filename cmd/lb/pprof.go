//go:build pprof

package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // on the default mux, which nothing else of lb serves
	"os"
)

// init serves Go's profiles on LB_PPROF (IP:PORT): only in a build with -tags
// pprof, as make profile makes one.
func init() {
	addr := os.Getenv("LB_PPROF")
	if addr == "" {
		return
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lb: LB_PPROF:", err)
		os.Exit(1)
	}
	go func() { _ = http.Serve(l, nil) }() // until the process ends
}
