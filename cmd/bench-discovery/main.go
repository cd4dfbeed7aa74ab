// Command bench-discovery prints what discovery costs: figures, no test. Run it
// in the module's root.
//
//	go run ./cmd/bench-discovery [-layout NAME]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/dockerlb/dockerlb/cmd/bench-discovery/scale"
)

func main() {
	layout := flag.String("layout", "", "of the thousands of containers, measure this one alone: \"500 clusters of 10\"")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := scale.Run(ctx, os.Stdout, *layout); err != nil {
		fmt.Fprintln(os.Stderr, "bench-discovery:", err)
		os.Exit(1)
	}
}
