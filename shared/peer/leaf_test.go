package peer

import (
	"maps"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

// TestSinceWhenANodeShowsItsCertificate: from the first handshake that showed it.
func TestSinceWhenANodeShowsItsCertificate(t *testing.T) {
	c, _ := newScene().Mesh.Cluster("apac")
	before := map[mesh.NodeName]Leaf{pub("apac"): {"old", ago(time.Hour)}, sub("apac"): {"sub", ago(time.Hour)}}
	for _, x := range []struct {
		name  string
		had   map[mesh.NodeName]Leaf
		shown map[mesh.NodeName]string
		want  map[mesh.NodeName]Leaf
	}{
		{"the first handshakes", nil, map[mesh.NodeName]string{pub("apac"): "new", sub("apac"): "sub"}, map[mesh.NodeName]Leaf{pub("apac"): {"new", noon}, sub("apac"): {"sub", noon}}},
		{"the same again", before, map[mesh.NodeName]string{pub("apac"): "old", sub("apac"): "sub"}, before},
		{"the publisher's as before, the subscriber's is new", before, map[mesh.NodeName]string{pub("apac"): "old", sub("apac"): "new"}, map[mesh.NodeName]Leaf{pub("apac"): {"old", ago(time.Hour)}, sub("apac"): {"new", noon}}},
		{"no handshake", before, nil, before},
		{"a node that mesh.yaml has no more", map[mesh.NodeName]Leaf{"gone": {"x", ago(time.Hour)}, sub("apac"): {"sub", ago(time.Hour)}}, nil, map[mesh.NodeName]Leaf{sub("apac"): {"sub", ago(time.Hour)}}},
	} {
		r := ClusterRecord{Leaves: x.had}
		if r.NoteLeaves(c, x.shown, noon); !maps.Equal(r.Leaves, x.want) {
			t.Errorf("%s: %v, want %v", x.name, r.Leaves, x.want)
		}
	}
}
