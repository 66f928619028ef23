// Package scenarios carries the demo's stories inside the binary, so that
// `peerkeeper demo` works in any folder.
package scenarios

import "embed"

// Files are the stories, one *.yaml each.
//
//go:embed *.yaml
var Files embed.FS
