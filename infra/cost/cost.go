// Package cost reckons a month's bill of a synthesised template.
package cost

import (
	"io"

	"peerkeeper/shared/mesh"
)

type Template map[string]any
type Size struct{ Clusters int }
type Bill struct{}

func SizeOf(m *mesh.Mesh) Size                           { return Size{len(m.Clusters)} }
func Of(t Template, region string, s Size) (Bill, error) { return Bill{}, nil }
func (Bill) Write(w io.Writer) error                     { return nil }
