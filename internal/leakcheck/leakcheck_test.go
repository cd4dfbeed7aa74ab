package leakcheck

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestGoroutineIsFound(t *testing.T) {
	stop := make(chan struct{})
	started := make(chan struct{})
	go func() { close(started); <-stop }()
	<-started
	if found := strings.Join(goroutines(), "\n"); !strings.Contains(found, "TestGoroutineIsFound") {
		t.Errorf("a waiting goroutine is not found in:\n%s", found)
	}
	close(stop)
	for end := time.Now().Add(patience); len(goroutines()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("an ended goroutine is still found: %v", goroutines())
		}
	}
}

func TestDescriptorIsFound(t *testing.T) {
	before := countDescriptors()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if got := countDescriptors(); got != before+1 {
		t.Errorf("with a listener more: %d descriptors, want %d", got, before+1)
	}
	l.Close()
	if got := countDescriptors(); got != before {
		t.Errorf("after its close: %d descriptors, want %d", got, before)
	}
}
