// Command fakeengine serves a fake Docker Engine on a unix socket, for programs
// that are to be watched with many containers, or with much going on.
//
//	fakeengine -socket /tmp/fake.sock -containers 5000 -churn 50
//	lb run --docker unix:///tmp/fake.sock
//
// With -listen its containers have addresses in 127.0.0.0/8 and the process
// accepts connections to all of them. With -script it does what standard input
// says and answers each line with one (see script.go); it ends when that does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
)

// options are the flags.
type options struct {
	socket, prefix       string
	containers, clusters int
	hosts, listen        bool
	script               bool
	churn                float64
}

func main() {
	var o options
	flag.StringVar(&o.socket, "socket", "", "unix socket to serve on")
	flag.IntVar(&o.containers, "containers", 10, "running containers with the label <prefix>.cluster")
	flag.IntVar(&o.clusters, "clusters", 1, "clusters that they are spread over")
	flag.BoolVar(&o.hosts, "hosts", false, "each cluster with a <prefix>.host of its own")
	flag.StringVar(&o.prefix, "prefix", "lb", "of the labels")
	flag.BoolVar(&o.listen, "listen", false, "addresses in 127.0.0.0/8, with a listener behind them")
	flag.BoolVar(&o.script, "script", false, "commands from standard input")
	flag.Float64Var(&o.churn, "churn", 0, "containers restarted per second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fakeengine:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options, in io.Reader, out io.Writer) error {
	if o.socket == "" || o.containers < 1 || o.clusters < 1 {
		return fmt.Errorf("-socket is needed, and at least one container and cluster")
	}
	e, err := fakeengine.Listen(o.socket)
	if err != nil {
		return err
	}
	defer e.Close()
	port := "8000"
	if o.listen {
		l, err := acceptAll()
		if err != nil {
			return err
		}
		defer l.Close()
		port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		e.Subnet("bridge", netip.MustParsePrefix("127.17.0.0/16"))
	}
	ids := make([]string, o.containers)
	for i := range ids {
		cluster := i % o.clusters
		labels := map[string]string{o.prefix + ".cluster": fmt.Sprintf("c%d", cluster)}
		if o.hosts {
			labels[o.prefix+".host"] = fmt.Sprintf("c%d.test", cluster)
		}
		ids[i] = e.Run(fakeengine.Container{Name: fmt.Sprintf("fake-%d", i), Ports: []string{port + "/tcp"}, Labels: labels})
	}
	fmt.Fprintf(out, "%d containers on %s\n", o.containers, e.Host())
	switch {
	case o.script:
		return script(e, in, out)
	case o.churn <= 0:
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / o.churn))
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

// acceptAll takes every connection to any of this machine's addresses on a
// port of its own, and closes it when the other side does.
func acceptAll() (net.Listener, error) {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	return l, nil
}
