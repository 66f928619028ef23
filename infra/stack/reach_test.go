package stack

import (
	"fmt"
	"slices"
	"testing"

	"peerkeeper/shared/mesh"
)

// TestAnImportReachesItsSource: who may import reads a certificate from the node
// that serves it, also in a cluster where it has no account, and in mode recover
// only.
func TestAnImportReachesItsSource(t *testing.T) {
	m := &mesh.Mesh{Clusters: []mesh.Cluster{
		{ID: "emea", PlatformCredentials: "p", PlatformWriteCredentials: "w", Nodes: []mesh.Node{{Address: "192.0.2.1:8443", PlatformAddress: "192.0.2.1:443"}}},
		{ID: "apac", Nodes: []mesh.Node{{Address: "192.0.2.2:8443"}}},
	}}
	i := slices.IndexFunc(Functions(), func(f Function) bool { return f.Name == "stucksync" })
	ports := func() (out []string) {
		for _, p := range reaches(m, Functions()[i]) {
			out = append(out, fmt.Sprint(p.Protocol, p.Number))
		}
		return out
	}
	if got := ports(); len(got) != 0 {
		t.Errorf("in mode observe: %v", got)
	}
	m.Policy.Mode = mesh.Recover
	if got, want := ports(), []string{"tcp443", "tcp8443"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
