package cluster

import (
	"testing"

	"peerkeeper/shared/mesh"
)

// The domain of an IM address is what follows its last @.
func TestTheDomainOfAnIMAddress(t *testing.T) {
	others := []string{"sales.example.com"}
	for address, want := range map[string]bool{
		"anna@example.com":                       false,
		"anna@EXAMPLE.com":                       false,
		"anna@example.com.":                      false,
		"anna.berg@mail.example.org@example.com": false, // the user ID is a mail address
		"anna@sales.example.com":                 false,
		"anna@example.org":                       true,
		"anna@example.com@example.org":           true,
		"o'brien%x@example.com":                  false,
		"":                                       false,
		"anna":                                   false,
	} {
		if got := foreign(address, "example.com", others); got != want {
			t.Errorf("%q: in another domain %v, want %v", address, got, want)
		}
	}
}

// The database may spell a node in other letters than mesh.yaml, by which it is known.
func TestANodeIsSpelledAsInMeshYAML(t *testing.T) {
	c := &Client{cluster: &mesh.Cluster{Nodes: []mesh.Node{{Name: "imp-emea-pub.example.com"}}}}
	for told, want := range map[string]mesh.NodeName{
		"IMP-EMEA-PUB.example.com": "imp-emea-pub.example.com",
		"Imp-Emea-Sub.example.com": "Imp-Emea-Sub.example.com", // not in mesh.yaml
	} {
		if got := c.spelled([]byte(told)); got != want {
			t.Errorf("%s is spelled %s", told, got)
		}
	}
}
