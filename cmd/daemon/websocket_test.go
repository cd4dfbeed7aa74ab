package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The example of RFC 6455, section 1.3.
func TestAcceptKey(t *testing.T) {
	if got, want := acceptKey("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// clientFrame masks as a client must.
func clientFrame(first byte, payload []byte) []byte {
	mask := []byte{1, 2, 3, 4}
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n <= 0xffff:
		frame = append(frame, 0x80|126, byte(n>>8), byte(n))
	default:
		frame = append(frame, 0x80|127, 0, 0, 0, 0, 0, byte(n>>16), byte(n>>8), byte(n))
	}
	frame = append(frame, mask...)
	for i, c := range payload {
		frame = append(frame, c^mask[i%4])
	}
	return frame
}

func TestEchoFrame(t *testing.T) {
	for _, size := range []int{0, 5, 125, 126, 0xffff, 0x10000} {
		payload := bytes.Repeat([]byte("p"), size)
		var out, want bytes.Buffer
		w := bufio.NewWriter(&out)
		if err := echoFrame(bufio.NewReader(bytes.NewReader(clientFrame(0x81, payload))), w); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		w.Flush()
		ww := bufio.NewWriter(&want)
		writeFrame(ww, 0x81, payload)
		ww.Flush()
		if !bytes.Equal(out.Bytes(), want.Bytes()) {
			t.Errorf("%d bytes came back as %d", size, out.Len())
		}
	}
	if err := echoFrame(bufio.NewReader(strings.NewReader("\x81\x01x")), bufio.NewWriter(io.Discard)); err == nil {
		t.Error("an unmasked frame was taken")
	}
}

func TestWebSocket(t *testing.T) {
	url, client, signals, ended := start(t, settings{onTerm: termClose})
	defer func() { signals <- syscall.SIGTERM; <-ended }()

	response, err := client.Get(url + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("without a handshake: %s", response.Status)
	}

	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(conn)
	head, err := http.ReadResponse(r, nil)
	if err != nil || head.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v, %v", head, err)
	}
	for _, step := range []struct{ sent, want byte }{{0x81, 0x81}, {0x89, 0x8A}, {0x88, 0x88}} {
		conn.Write(clientFrame(step.sent, []byte("hello")))
		got := make([]byte, 7)
		if _, err := io.ReadFull(r, got); err != nil {
			t.Fatalf("frame %#x: %v", step.sent, err)
		}
		if want := append([]byte{step.want, 5}, "hello"...); !bytes.Equal(got, want) {
			t.Errorf("frame %#x: %x, want %x", step.sent, got, want)
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after the close: %v, want EOF", err)
	}
}
