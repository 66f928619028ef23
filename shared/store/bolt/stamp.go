package bolt

import (
	"fmt"
	"os"
	"time"
)

// settles is how long after a write it is over: long enough for a file's time to
// be told apart from that of the next write (file systems stamp in steps of up
// to 10 ms), and for the next write of the same run to have come.
const settles = 250 * time.Millisecond

// Stamp tells without opening the file whether it may have been written to, by
// this process or another: equal stamps mean that nothing was written between
// them, if the first of them was sure. It takes nobody's turn.
func (s *Store) Stamp() (stamp string, sure bool) {
	info, err := os.Stat(s.path)
	if err != nil {
		return "", false
	}
	// A write that comes right after may leave the same time; one ahead of the
	// clock tells nothing.
	age := time.Since(info.ModTime())
	return fmt.Sprintf("%d %d %s", info.ModTime().UnixNano(), info.Size(), inode(info)), age > settles
}
