package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// keyboard is a person at a terminal on which the command runs: what they type, and what they see.
type keyboard struct {
	*program
	master *os.File
	seen   lockedBuffer
	read   int // of seen, what was waited for
	// drained is closed when all that was written is seen.
	drained chan struct{}
}

// onTerminal runs the command on a terminal of its own.
func onTerminal(t *testing.T, dir string, args ...string) *keyboard {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no pseudo-terminals: ", err)
	}
	var unlock, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Getenv(binaryVariable), args...)
	cmd.Stdin = slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	k := &keyboard{master: master, drained: make(chan struct{})}
	k.program = startOn(t, dir, cmd, slave)
	_ = slave.Close() // the command has its own
	go func() {
		defer close(k.drained)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			_, _ = k.seen.Write(buf[:n])
			if err != nil {
				return // the command has ended
			}
		}
	}()
	t.Cleanup(func() { _ = master.Close() })
	return k
}

// waitFor waits until a text stands on the screen that has not been waited for.
func (k *keyboard) waitFor(t *testing.T, text string) {
	t.Helper()
	eventually(t, text, func() bool {
		ended := k.ended() // before it is looked at: the last words count
		if i := strings.Index(k.seen.String()[k.read:], text); i >= 0 {
			k.read += i + len(text)
			return true
		}
		if ended {
			t.Fatalf("it ended without %q:\n%s", text, k.seen.String())
		}
		return false
	})
}

// ended reports whether the command has ended and all that it wrote is seen.
func (k *keyboard) ended() bool {
	select {
	case <-k.drained:
		return true
	default:
		return false
	}
}

func (k *keyboard) types(t *testing.T, text string) {
	t.Helper()
	if _, err := k.master.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// echoes tells whether a terminal shows what is typed.
func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	var settings syscall.Termios
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, terminal.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&settings))); errno != 0 {
		t.Fatal(errno)
	}
	return settings.Lflag&syscall.ECHO != 0
}
