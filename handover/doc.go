// Package handover passes listening sockets from a running process to the one
// that replaces it, so that a port is never closed in between.
//
// The sockets themselves are passed (SCM_RIGHTS over a unix socket), not bound
// a second time: of two sockets that share a port by SO_REUSEPORT each has a
// queue of its own, and closing one resets the connections in its queue.
// A passed socket has one queue, which whoever is left goes on to accept from.
//
// # Who talks
//
// The running process offers: Listen, then Serve. Its successor asks: Dial at
// its start, so that it knows at once whether there is somebody and whether
// they understand each other; Take when it is ready to serve; Taken when it
// accepts connections. Until Taken the running process goes on as if nobody had
// asked: a successor that fails or dies before leaves no trace.
//
// # The protocol
//
// A SOCK_SEQPACKET connection carries one JSON object per packet (message):
//
//	successor                     running
//	hello  versions, pid    →
//	                        ←     hello  version, pid      or  refused  error
//	take                    →
//	                        ←     socket name, asked  + the descriptor, one each
//	                        ←     end
//	taken                   →
//	                        ←     ending
//
// Both sides know several versions of it one day; the highest in common is
// spoken. Unknown fields are ignored, unknown kinds of message are an error.
//
// # Who may
//
// The socket has mode 0600, and each side asks the kernel who the other is
// (SO_PEERCRED): the same user, or root.
package handover
