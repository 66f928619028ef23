//go:build !unix

package file

import "io/fs"

// exposed knows nothing: here a mode does not say who may read.
func exposed(string, fs.FileInfo) string { return "" }
