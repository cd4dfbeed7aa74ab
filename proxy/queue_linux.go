package proxy

import (
	"net"

	"golang.org/x/sys/unix"
)

// dropSYN lets everything through but a TCP segment that has SYN and not ACK. A
// filter on a TCP socket sees the segment from its header on (tcp_filter in
// the kernel's tcp_v4_rcv and tcp_v6_rcv); the flags are octet 13.
var dropSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0x12},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0x02, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// stopQueue makes the kernel ignore new connections to a listening socket, so
// that its queue can run empty. A client that comes now sends its SYN again
// after a second and is refused then. Where it fails the queue is emptied all
// the same, and what arrives in the last microseconds is reset.
func stopQueue(l *net.TCPListener) {
	raw, err := l.SyscallConn()
	if err != nil {
		return
	}
	program := unix.SockFprog{Len: uint16(len(dropSYN)), Filter: &dropSYN[0]}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	})
}
