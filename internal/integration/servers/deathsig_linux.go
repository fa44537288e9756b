package servers

import (
	"os/exec"
	"syscall"
)

// endWithParent has cmd's process killed when the one that starts it ends, in whatever way.
func endWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
