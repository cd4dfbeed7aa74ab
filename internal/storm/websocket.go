package storm

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// echoEvery is the pause between two messages of a WebSocket.
	echoEvery = 200 * time.Millisecond
	// echoPatience is how long one may take. A longer silence is a cut.
	echoPatience = 5 * time.Second
)

// websocket is a client's side of one connection that echoes.
type websocket struct {
	net.Conn
	r      *bufio.Reader
	daemon string // who answered the handshake
}

// openWebsocket makes the handshake.
func (c *client) openWebsocket(ctx context.Context, host, id string) (*websocket, answer) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := c.connection(ctx, false)
	if err != nil {
		return nil, failed("connecting", err)
	}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// The key of RFC 6455's own example, so that its answer is known.
	_, err = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nX-Storm-Id: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", host, id)
	if err != nil {
		conn.Close()
		return nil, failed("sending", err)
	}
	response, err := http.ReadResponse(conn.r, &http.Request{Method: http.MethodGet})
	if err != nil {
		conn.Close()
		return nil, failed("reading", err)
	}
	a := answer{daemon: response.Header.Get("X-Daemon-Id")}
	switch {
	case response.StatusCode != http.StatusSwitchingProtocols:
		a.failure, a.detail = fmt.Sprint(response.StatusCode), response.Status
	case response.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=":
		a.failure, a.detail = "wrong", fmt.Sprintf("accept %q", response.Header.Get("Sec-WebSocket-Accept"))
	}
	if a.failure != "" {
		conn.Close()
		return nil, a
	}
	return &websocket{conn.Conn, conn.r, a.daemon}, a
}

// echo sends one text and waits for it. An answer of another text is "wrong";
// every other failure is the connection's end.
func (w *websocket) echo(text string) answer {
	w.SetDeadline(time.Now().Add(echoPatience))
	frame := []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0} // text, final, masked by zeros
	if len(text) > 125 {
		panic("storm: internal error: a text that needs a longer frame")
	}
	if _, err := w.Write(append(frame, text...)); err != nil {
		return failed("sending", err)
	}
	var head [2]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return failed("reading", err)
	}
	size := int(head[1])
	if size == 126 {
		var long [2]byte
		if _, err := io.ReadFull(w.r, long[:]); err != nil {
			return failed("reading", err)
		}
		size = int(binary.BigEndian.Uint16(long[:]))
	}
	if size > maxAnswer {
		return answer{failure: "wrong", detail: fmt.Sprintf("frame %x", head)}
	}
	got := make([]byte, size)
	if _, err := io.ReadFull(w.r, got); err != nil {
		return failed("reading", err)
	}
	if head[0] == 0x88 {
		return answer{failure: "reset", detail: fmt.Sprintf("closed with %x", got)}
	}
	if head[0] != 0x81 || string(got) != text {
		return answer{failure: "wrong", detail: fmt.Sprintf("echo %x %q of %q", head, got, text)}
	}
	return answer{}
}
