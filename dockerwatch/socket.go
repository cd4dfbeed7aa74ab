package dockerwatch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// unhealable is an error that waiting does not heal: Run returns it.
type unhealable struct{ error }

func (u unhealable) Unwrap() error { return u.error }

// checkSocket looks at the path of a unix socket before it is dialled, since
// the library's message for all of this is "cannot connect to the Docker
// daemon".
func checkSocket(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: the engine is not running, or its socket is not mounted", path)
	case errors.Is(err, fs.ErrPermission):
		return unhealable{permission(path)}
	case err != nil:
		return err
	case info.IsDir():
		return unhealable{fmt.Errorf("%s is a directory, not a socket: Docker creates an empty one where the source of a bind mount does not exist. "+
			"Remove it on the host, start the engine (or mount its real socket), and create this container again", path)}
	case info.Mode()&fs.ModeSocket == 0:
		return unhealable{fmt.Errorf("%s is not a socket", path)}
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return unhealable{permission(path)}
	case err != nil:
		return fmt.Errorf("nothing answers on %s: %w", path, err)
	}
	return conn.Close()
}

func permission(path string) error {
	return fmt.Errorf("no permission to open %s as user %d with groups %s: add the socket's group "+
		"(docker run --group-add, group_add in Compose) or run as a user that may", path, os.Getuid(), groups())
}

func groups() string {
	all, err := os.Getgroups()
	if err != nil {
		return "unknown"
	}
	return fmt.Sprint(append([]int{os.Getgid()}, all...))
}
