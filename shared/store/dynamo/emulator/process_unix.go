//go:build unix

package emulator

import (
	"errors"
	"os/exec"
	"syscall"
)

// ownGroup lets kill end what the process has started itself: pyenv's
// moto_server is a script that starts Python.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func kill(cmd *exec.Cmd) error {
	err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
