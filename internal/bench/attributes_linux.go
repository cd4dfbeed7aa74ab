package bench

import (
	"os"
	"syscall"
)

// attributes has a child end with us, whatever ends us. The kernel ends it with
// the thread that has started it (prctl(2), PR_SET_PDEATHSIG), and Go ends threads
// as it likes: so Run's caller must be locked to a thread that stays.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

// asInImage is attributes for lb: the image's user, and so none of root's
// capabilities. Without CAP_SYS_RESOURCE the kernel grants few large pipes, which
// is what splicing many bodies at once is about (pipe(7),
// /proc/sys/fs/pipe-user-pages-soft).
func asInImage() *syscall.SysProcAttr {
	a := attributes()
	if os.Geteuid() == 0 {
		a.Credential = &syscall.Credential{Uid: imageUser, Gid: imageUser}
	}
	return a
}

// imageUser is the Dockerfile's.
const imageUser = 65532
