//go:build !unix

package bolt

import "os"

// inode is not known here.
func inode(os.FileInfo) string { return "" }
