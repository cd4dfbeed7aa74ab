package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn carries messages and descriptors.
type conn struct{ *net.UnixConn }

func (c conn) send(m message, within time.Duration) error {
	return c.sendWith(m, nil, within)
}

// sendWith sends m and, where with is not nil, its descriptor. The descriptor
// is lent for the time of the call and never copied on this side: a copy made
// by File would put the socket, which both share, into blocking mode.
func (c conn) sendWith(m message, with syscall.Conn, within time.Duration) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(b) > maxPacket {
		return fmt.Errorf("message of %d bytes: the most is %d", len(b), maxPacket)
	}
	if err := c.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if with == nil {
		_, err = c.Write(b)
		return err
	}
	raw, err := with.SyscallConn()
	if err != nil {
		return err
	}
	if lent := raw.Control(func(fd uintptr) {
		_, _, err = c.WriteMsgUnix(b, unix.UnixRights(int(fd)), nil)
	}); lent != nil {
		return lent
	}
	return err
}

// receive returns the next message, and the descriptor that came with it, which
// is then the caller's. io.EOF: the other side has closed.
func (c conn) receive(within time.Duration) (message, *os.File, error) {
	var m message
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return m, nil, err
	}
	b := make([]byte, maxPacket)
	oob := make([]byte, unix.CmsgSpace(4*4)) // room for more than is allowed, so that more is seen
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		if errors.Is(err, unix.ECONNRESET) {
			err = io.EOF
		}
		return m, nil, err
	}
	files, err := descriptors(oob[:oobn])
	if err != nil {
		return m, nil, err
	}
	if n == 0 && oobn == 0 {
		return m, nil, io.EOF
	}
	fail := func(err error) (message, *os.File, error) {
		for _, f := range files {
			f.Close()
		}
		return m, nil, err
	}
	switch {
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		return fail(errors.New("a message is too long"))
	case len(files) > 1:
		return fail(fmt.Errorf("%d descriptors in one message", len(files)))
	}
	if err := json.Unmarshal(b[:n], &m); err != nil {
		return fail(fmt.Errorf("not a message of the hand-over: %w", err))
	}
	if (m.Kind == kindSocket) != (len(files) == 1) {
		return fail(fmt.Errorf("message %q with %d descriptors", m.Kind, len(files)))
	}
	if len(files) == 1 {
		return m, files[0], nil
	}
	return m, nil, nil
}

// descriptors takes what came beside a message. The net package has asked for
// them to be closed on exec.
func descriptors(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // credentials or the like: nothing to close
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "listener"))
		}
	}
	return files, nil
}

// checkPeer lets only the same user and root through: the mode of the socket
// says so too, but it can be changed, and the one who asks must know as well
// whose sockets it is given.
func (c conn) checkPeer() error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	if lent := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); lent != nil {
		return lent
	}
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	return allowed(cred.Uid, uint32(os.Geteuid()))
}

// allowed tells whether a process of user peer may deal with one of user own.
func allowed(peer, own uint32) error {
	if peer == own || peer == 0 {
		return nil
	}
	return fmt.Errorf("the other side is user %d: want user %d, or root", peer, own)
}
