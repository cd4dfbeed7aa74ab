// Command fakeengine serves a fake Docker Engine on a unix socket, for programs
// that are to be watched with many containers, or with much going on.
//
//	fakeengine -socket /tmp/fake.sock -containers 5000 -churn 50
//	lb run --docker unix:///tmp/fake.sock
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
)

func main() {
	socket := flag.String("socket", "", "unix socket to serve on")
	containers := flag.Int("containers", 10, "running containers with the label <prefix>.cluster")
	clusters := flag.Int("clusters", 1, "clusters that they are spread over")
	prefix := flag.String("prefix", "lb", "of the labels")
	churn := flag.Float64("churn", 0, "containers restarted per second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *socket, *prefix, *containers, *clusters, *churn); err != nil {
		fmt.Fprintln(os.Stderr, "fakeengine:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, socket, prefix string, containers, clusters int, churn float64) error {
	if socket == "" || containers < 1 || clusters < 1 {
		return fmt.Errorf("-socket is needed, and at least one container and cluster")
	}
	e, err := fakeengine.Listen(socket)
	if err != nil {
		return err
	}
	defer e.Close()
	ids := make([]string, containers)
	for i := range ids {
		ids[i] = e.Run(fakeengine.Container{
			Name: fmt.Sprintf("fake-%d", i), Ports: []string{"8000/tcp"},
			Labels: map[string]string{prefix + ".cluster": fmt.Sprintf("c%d", i%clusters)},
		})
	}
	fmt.Printf("%d containers on %s\n", containers, e.Host())
	if churn <= 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / churn))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			e.RestartContainer(ids[rand.N(len(ids))])
		}
	}
}
