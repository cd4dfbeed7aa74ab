// Command lb is the load balancer that configures itself from Docker labels:
// "lb run" is the proxy, the other commands ask it through its admin port.
package main

import (
	"context"
	"os"
)

func main() {
	p := Program{Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(p.Run(context.Background(), os.Args))
}
