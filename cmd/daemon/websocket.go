package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// Frame opcodes of RFC 6455, section 5.2.
const (
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

const (
	maxFrame = 1 << 20
	// frameTimeout bounds the wait for the client's next frame.
	frameTimeout = 10 * time.Minute
)

// websocket echoes each frame as it came, fragments included, until the client
// closes. When the daemon ends the connection is cut: a hijacked connection is
// no longer the server's to wait for.
func (h *handler) websocket(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "want a WebSocket handshake", http.StatusUpgradeRequired)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"X-Daemon-Id: " + h.record.id + "\r\nSec-WebSocket-Accept: " + acceptKey(key) + "\r\n\r\n")
	for buffered.Flush() == nil {
		conn.SetDeadline(time.Now().Add(frameTimeout))
		if err := echoFrame(buffered.Reader, buffered.Writer); err != nil {
			buffered.Flush()
			return
		}
	}
}

// acceptKey proves that the handshake was understood (RFC 6455, section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// echoFrame reads one frame and writes its answer: itself, a pong for a ping, a
// close for a close; then it returns io.EOF.
func echoFrame(r *bufio.Reader, w *bufio.Writer) error {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if head[1]&0x80 == 0 {
		return errors.New("frame of a client is not masked") // section 5.1
	}
	size := uint64(head[1] & 0x7f)
	switch size {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return err
		}
		size = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return err
		}
		size = binary.BigEndian.Uint64(b[:])
	}
	if size > maxFrame {
		return errors.New("frame too long")
	}
	var mask [4]byte
	if _, err := io.ReadFull(r, mask[:]); err != nil {
		return err
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}

	opcode := head[0] & 0x0f
	switch opcode {
	case opPong:
		return nil
	case opPing:
		head[0] = head[0]&0xf0 | opPong
	}
	writeFrame(w, head[0], payload)
	if opcode == opClose {
		return io.EOF
	}
	return nil
}

// writeFrame writes an unmasked frame, as a server's are. Its errors are the
// next Flush's.
func writeFrame(w *bufio.Writer, first byte, payload []byte) {
	w.WriteByte(first)
	switch n := len(payload); {
	case n < 126:
		w.WriteByte(byte(n))
	case n <= 0xffff:
		w.WriteByte(126)
		w.Write(binary.BigEndian.AppendUint16(nil, uint16(n)))
	default:
		w.WriteByte(127)
		w.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	w.Write(payload)
}
