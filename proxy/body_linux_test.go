package proxy

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dockerlb/dockerlb/internal/wire"
)

// Chunks that come together leave together, and not each in a packet of its own.
func TestSmallChunksAreFewPackets(t *testing.T) {
	const chunks = 5000
	packets := make(chan uint32, 1)
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		if _, err := c.ReadUntil("0\r\n\r\n"); err != nil {
			t.Error(err)
		}
		raw, err := c.Conn.SyscallConn()
		if err != nil {
			t.Error(err)
			return
		}
		_ = raw.Control(func(fd uintptr) { // fails where it is closed, and says 0
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil {
				t.Error(err)
				return
			}
			packets <- info.Data_segs_in
		})
		c.Play(ok200)
	})
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	c.send(crlf("POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked$$"))
	eventually(t, "the upload has begun", func() bool { return b.Conns() == 1 })
	c.send(strings.Repeat("1\r\nx\r\n", chunks) + "0\r\n\r\n")
	if got := status(c.head()); got != "200" {
		t.Errorf("status %s", got)
	}
	if n := <-packets; n == 0 || n > chunks/50 {
		t.Errorf("%d chunks came in %d packets", chunks, n)
	}
}
