package certificate

import (
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// TestARenewalThatPeersyncMet brings the next look forward, unless that look has
// seen it already.
func TestARenewalThatPeersyncMet(t *testing.T) {
	r := Record{At: certNoon(), Served: map[mesh.NodeName]map[Place]Served{
		apacPublisher: {onRSA: {Fingerprint: print64("rsa")}, onECDSA: {Fingerprint: print64("ecdsa")}},
		apacSubject:   {onRSA: {Fingerprint: print64("sub")}},
	}}
	since := func(what string, after time.Duration) peer.Leaf {
		return peer.Leaf{Print: ShortPrint(print64(what)), First: certNoon().Add(after)}
	}
	for _, c := range []struct {
		name   string
		leaves map[mesh.NodeName]peer.Leaf
		want   bool
	}{
		{"nothing was met", nil, false},
		{"what certcheck has read", map[mesh.NodeName]peer.Leaf{apacPublisher: since("rsa", time.Minute)}, false},
		{"what certcheck has read, of the other key type", map[mesh.NodeName]peer.Leaf{apacPublisher: since("ecdsa", time.Minute)}, false},
		{"another, after the look", map[mesh.NodeName]peer.Leaf{apacPublisher: since("new", time.Minute)}, true},
		{"another, before the look: certcheck saw what it saw", map[mesh.NodeName]peer.Leaf{apacPublisher: since("new", -time.Minute)}, false},
		{"another, at the moment of the look", map[mesh.NodeName]peer.Leaf{apacPublisher: since("new", 0)}, false},
		{"another node's", map[mesh.NodeName]peer.Leaf{apacSubject: since("rsa", time.Minute)}, true},
		{"a node that certcheck never read", map[mesh.NodeName]peer.Leaf{"imp-apac-sub2.example.com": since("new", time.Minute)}, true},
	} {
		if got := r.Outdated(c.leaves); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	both := map[mesh.NodeName]peer.Leaf{apacPublisher: since("old", -time.Hour), apacSubject: since("new", time.Minute)}
	for range 20 { // whichever node comes first
		if !r.Outdated(both) {
			t.Fatal("a node met before the look hides one that was renewed since")
		}
	}
}

// TestWhatEndsFirst: the certificate, or a CA below its root.
func TestWhatEndsFirst(t *testing.T) {
	leaf := certNoon().AddDate(1, 0, 0)
	for _, c := range []struct {
		name string
		ca   time.Time
		want time.Time
		by   string
	}{
		{"no CA between", time.Time{}, leaf, ""},
		{"the CA ends first", leaf.Add(-time.Hour), leaf.Add(-time.Hour), "CN=Example Issuing"},
		{"both at once", leaf, leaf, ""},
		{"the CA ends later", leaf.Add(time.Hour), leaf, ""},
	} {
		if at, by := (Served{NotAfter: leaf, ChainEnds: c.ca, ChainBy: "CN=Example Issuing"}).Ends(); !at.Equal(c.want) || by != c.by {
			t.Errorf("%s: %s by %q", c.name, at, by)
		}
	}
}

func TestCommonName(t *testing.T) {
	for subject, want := range map[string]string{
		"CN=imp-emea-pub.example.com,O=Example": "imp-emea-pub.example.com", "O=Example, CN=imp-emea-pub": "imp-emea-pub", "O=Example": "O=Example", "": "",
	} {
		if got := CommonName(subject); got != want {
			t.Errorf("%q: %q, want %q", subject, got, want)
		}
	}
}
