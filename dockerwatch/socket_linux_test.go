package dockerwatch

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSocketThatMayNotBeOpened is done by a thread that has given up root, if
// the tests have it: the kernel's refusal is what is tested.
func TestSocketThatMayNotBeOpened(t *testing.T) {
	dir, err := os.MkdirTemp("", "dw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(socket, 0); err != nil {
		t.Fatal(err)
	}
	refusal := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its identity
		if os.Getuid() == 0 {
			const nobody = 65534
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
				refusal <- errno
				return
			}
		}
		refusal <- checkSocket(t.Context(), socket)
	}()
	err = <-refusal
	var u unhealable
	if !errors.As(err, &u) || !strings.Contains(err.Error(), "no permission to open "+socket) || !strings.Contains(err.Error(), "group_add") {
		t.Errorf("error %v", err)
	}
}
