//go:build unix

package bolt

import (
	"os"
	"strconv"
	"syscall"
)

// inode tells a file from another one that took its name.
func inode(info os.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return strconv.FormatUint(uint64(s.Ino), 10)
	}
	return ""
}
