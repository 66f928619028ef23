package certcheck

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/tlsprobe"
)

// subjectOn is a certificate on a port of apac's publisher.
func subjectOn(port string) subject {
	return subject{node: mesh.Node{Name: apacPub}, Place: certificate.Place{Port: port, KeyType: "RSA"}}
}

// Every sentence about a certificate says which one it is.
func TestHowACertificateIsNamed(t *testing.T) {
	for port, want := range map[string]string{
		"":     "the RSA certificate of imp-apac-pub.example.com",
		"5061": "the RSA certificate of imp-apac-pub.example.com (port 5061)",
	} {
		if got := subjectOn(port).what(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// How a port behaved is said with its number; 8443's goes without saying in
// mesh.yaml, and not here.
func TestHowAPortBehavedIsSaidWithItsNumber(t *testing.T) {
	for port, want := range map[string]string{
		"":     "port 8443 of imp-apac-pub.example.com, asked for RSA: ",
		"5061": "port 5061 of imp-apac-pub.example.com, asked for RSA: ",
	} {
		x := subjectOn(port)
		x.o = tlsprobe.Outcome{Asked: tlsprobe.RSA, Err: &tlsprobe.Error{Reason: tlsprobe.ProtocolTooOld, KeyType: tlsprobe.RSA}}
		f := finder{now: noon()}
		x.behaviour(&f, true)
		if len(f.out) != 1 || f.out[0].Reason != peer.ProtocolTooOld || !strings.HasPrefix(f.out[0].Message, want) {
			t.Errorf("port %q: %+v", port, f.out)
		}
	}
}

// A change of what Peerkeeper neither trusts nor has compared with the node's own
// certificate may be somebody's in between: the finding says so. And it is said
// for a while.
func TestWhoseChangeAChangeIs(t *testing.T) {
	const doubt = ", as Peerkeeper is shown it and does not trust it,"
	for _, c := range []struct {
		name  string
		s     certificate.Served
		ago   time.Duration
		said  bool
		doubt bool
	}{
		{"nobody vouches for it", certificate.Served{}, 0, true, true},
		{"it is pinned", certificate.Served{Pinned: true}, 0, true, false},
		{"a CA of tls.ca signed it", certificate.Served{CA: true}, 0, true, false},
		{"the node itself says so", certificate.Served{Agreed: noon()}, 0, true, false},
		{"a moment before it is said no more", certificate.Served{}, certificate.ChangeShown - time.Second, true, true},
		{"said for long enough", certificate.Served{}, certificate.ChangeShown, false, false},
	} {
		x := subjectOn("")
		x.s = c.s
		x.s.Replaced, x.s.Cause, x.s.Change, x.s.First = "sha256:aa", peer.CertificateChanged, "measured: a new public key", noon().Add(-c.ago)
		f := finder{now: noon()}
		x.inspect(&f, noon())
		if (len(f.out) == 1) != c.said {
			t.Errorf("%s: said %+v", c.name, f.out)
			continue
		}
		if c.said && strings.Contains(f.out[0].Message, doubt) != c.doubt {
			t.Errorf("%s: %s", c.name, f.out[0].Message)
		}
	}
	x := subjectOn("")
	x.s.First = noon()
	f := finder{now: noon()}
	if x.inspect(&f, noon()); len(f.out) != 0 {
		t.Errorf("of what took nothing's place: %+v", f.out)
	}
}

func TestWhichNamesAreANodes(t *testing.T) {
	for _, c := range []struct {
		node  string
		names []string
		want  bool
	}{
		{"imp-pub.example.com", []string{"imp-sub.example.com", "IMP-pub.example.com"}, true},
		{"imp-pub.example.com", []string{"*.example.com"}, true},
		{"imp-pub.example.com", []string{"imp-pub.example.net"}, false},
		{"imp-pub.example.com", []string{"imp-pub"}, false},
		{"imp-pub", []string{"imp-pub.example.com"}, true},
		{"imp-pub", []string{"IMP-PUB"}, true},
		{"imp-pub", []string{"imp-sub.example.com"}, false},
		{"imp-pub", nil, false},
	} {
		if got := nameMatches(c.names, c.node); got != c.want {
			t.Errorf("%s by %q: %v", c.node, c.names, got)
		}
	}
}

// What was found on a certificate that cannot be read now stays, of this very
// place, and without what is found again or not at each look.
func TestWhatStaysOfACertificateThatCannotBeReadNow(t *testing.T) {
	on := func(port, keyType string) certificate.Place { return certificate.Place{Port: port, KeyType: keyType} }
	found := func(reason peer.Reason, node mesh.NodeName, place certificate.Place) peer.Finding {
		x := subject{node: mesh.Node{Name: node}, Place: place}
		return x.of(reason, "said before")
	}
	read := certificate.Served{Fingerprint: "sha256:aa", Read: noon(), Error: "no answer"}
	for _, c := range []struct {
		name string
		prev peer.Finding
		s    certificate.Served
		kept bool
	}{
		{"of this place", found(certificate.WeakKey, apacPub, on("", "RSA")), read, true},
		{"of another key type", found(certificate.WeakKey, apacPub, on("", "ECDSA")), read, false},
		{"of another port", found(certificate.WeakKey, apacPub, on("5061", "RSA")), read, false},
		{"of another node", found(certificate.WeakKey, apacSub, on("", "RSA")), read, false},
		{"how the port behaved", found(peer.NotTLS, apacPub, on("", "RSA")), read, false},
		{"of one that was never read", found(certificate.WeakKey, apacPub, on("", "RSA")), certificate.Served{}, false},
		{"of one that was read too long ago", found(certificate.WeakKey, apacPub, on("", "RSA")), certificate.Served{Fingerprint: "sha256:aa", Read: noon().AddDate(0, 0, -3), Error: "no answer"}, false},
	} {
		f := finder{prev: []peer.Finding{c.prev}, now: noon()}
		f.keep(apacPub, on("", "RSA"), noon(), c.s)
		if (len(f.out) == 1) != c.kept {
			t.Errorf("%s: kept %+v", c.name, f.out)
		}
	}
}
