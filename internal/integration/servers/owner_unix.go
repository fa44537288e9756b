//go:build unix

package servers

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// An owner is the account that a server runs as. The zero owner is that of the test.
type owner struct{ credential *syscall.Credential }

// giveTo gives dir to an account where the test runs as root: the servers refuse to.
func giveTo(account, dir string) (owner, error) {
	if os.Geteuid() != 0 {
		return owner{}, nil
	}
	found, err := user.Lookup(account)
	if err != nil {
		return owner{}, err
	}
	uid, err1 := strconv.ParseUint(found.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(found.Gid, 10, 32)
	if err := errors.Join(err1, err2, os.Chown(dir, int(uid), int(gid))); err != nil {
		return owner{}, err
	}
	return owner{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// start has cmd run as o, in a process group of its own: an interrupt from the keyboard must not reach the keeper before its
// work is done.
func (o owner) start(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: o.credential}
}
