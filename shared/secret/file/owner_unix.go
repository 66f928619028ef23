//go:build unix

package file

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// exposed says who besides this process's user may read or change a file, and
// what ends that; "" if nobody. Root may whatever the mode, so that a file of
// root's is nobody else's.
func exposed(path string, info fs.FileInfo) string {
	me := os.Geteuid()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != me && stat.Uid != 0 {
		return fmt.Sprintf("belongs to %s, who may read and change it: chown %s %s && chmod 600 %s", userName(int(stat.Uid)), userName(me), quoted(path), quoted(path))
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Sprintf("may be read or written by others (mode %04o): chmod 600 %s", mode, quoted(path))
	}
	return ""
}

// userName is a user's name, or the number if nobody has it.
func userName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return strconv.Itoa(uid)
	}
	return u.Username
}
