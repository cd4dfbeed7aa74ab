package handover

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
)

// versions of the protocol that this program speaks.
var versions = []int{1}

var (
	// ErrNobody: no process offers its sockets at that path, or it has ended
	// before it was asked for them.
	ErrNobody = errors.New("nobody offers listening sockets there")
	// ErrUnsupported: the operating system is not Linux.
	ErrUnsupported = errors.New("listening sockets can be handed over on Linux only")
)

// Socket is a listening socket to be handed over. It stays its owner's.
type Socket struct {
	Name  string         // of what it is for, unique
	Asked netip.AddrPort // the address as configured: port 0 where any will do
	Conn  syscall.Conn
}

// Received is a Socket at the other end. Who receives it closes File.
type Received struct {
	Name  string
	Asked netip.AddrPort
	File  *os.File
}

// Limits.
const (
	// stepTimeout is for each message that the other side owes at once.
	stepTimeout = 5 * time.Second
	// warmUp is how long a successor may get ready between hello and take.
	warmUp = 10 * time.Minute
	// maxPacket is of one message, maxSockets of one hand-over.
	maxPacket  = 4 << 10
	maxSockets = 1024
)

// Kinds of message.
const (
	kindHello   = "hello"
	kindRefused = "refused"
	kindTake    = "take"
	kindSocket  = "socket"
	kindEnd     = "end"
	kindTaken   = "taken"
	kindEnding  = "ending"
)

// message is one packet.
type message struct {
	Kind     string `json:"kind"`
	Versions []int  `json:"versions,omitempty"` // hello of the successor
	Version  int    `json:"version,omitempty"`  // the answer: the one that is spoken
	PID      int    `json:"pid,omitempty"`
	Error    string `json:"error,omitempty"`
	Name     string `json:"name,omitempty"`
	Asked    string `json:"asked,omitempty"`
}

// common is the highest version that both speak; 0: none.
func common(theirs []int) int {
	best := 0
	for _, v := range theirs {
		if v > best && slices.Contains(versions, v) {
			best = v
		}
	}
	return best
}
