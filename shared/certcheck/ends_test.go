package certcheck

import (
	"slices"
	"strings"
	"testing"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/tlsprobe"
)

// TestTheFirstEndCounts: of a leaf, of what its chain needs, and of the roots by
// which Peerkeeper sees.
func TestTheFirstEndCounts(t *testing.T) {
	k := allKeys()
	five, year := noon().AddDate(0, 0, 5), noon().AddDate(0, 0, 368)
	for _, c := range []struct {
		name  string
		serve func(b *bench)
		want  []string // of apac
		says  string
	}{
		{"an intermediate in use ends in five days", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root, to: five})
			b.mesh.Clusters[1].TLS.CA = pemOf(root)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: sub, to: year}), sub)
		}, []string{"CertificateExpiring:imp-apac-pub.example.com:RSA critical"}, "needs the CA Example Issuing, which expires on"},
		{"an intermediate ends in five days, and its renewal is served beside it", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root, to: five})
			renewed := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root, key: sub})
			b.mesh.Clusters[1].TLS.CA = pemOf(root)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: sub, to: year}), sub, renewed)
		}, nil, ""},
		{"an intermediate that is not served, in tls.ca, ends in five days", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root, to: five})
			b.mesh.Clusters[1].TLS.CA = pemOf(root, sub)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: sub, to: year}))
		}, []string{"CertificateExpiring:imp-apac-pub.example.com:RSA critical", "ChainIncomplete:imp-apac-pub.example.com:RSA warning"}, ""},
		{"the leaf ends before its intermediate", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root, to: noon().AddDate(0, 0, 10)})
			b.mesh.Clusters[1].TLS.CA = pemOf(root)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: sub, to: five}), sub)
		}, []string{"CertificateExpiring:imp-apac-pub.example.com:RSA critical"}, "(CN=imp-apac-pub.example.com,O=Example) expires on"},
		{"a root in tls.ca ends in five days", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true, to: five})
			b.mesh.Clusters[1].TLS = mesh.TLS{CA: pemOf(root)}
			for _, n := range []string{string(apacPub), string(apacSub)} {
				b.serve(n+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: n, by: root, to: year}))
			}
		}, []string{"PeerkeeperGoesBlind:Example Root:2026-06-07 critical"}, "Peerkeeper goes blind on 2026-06-07 12:00 UTC: the root Example Root in tls.ca ends then, and no other root there vouches for imp-apac-pub.example.com, imp-apac-sub.example.com"},
		{"a root in tls.ca ends in five days, and the nodes are pinned as well", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true, to: five})
			leaf := b.issue(b.t, wish{cn: string(apacPub), by: root, to: year})
			b.mesh.Clusters[1].TLS.CA = pemOf(root)
			b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(leaf.cert))
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, leaf)
		}, []string{"PeerkeeperGoesBlind:Example Root:2026-06-07 critical"}, "what is pinned is still read"},
		{"a root in tls.ca ends in five days, and its renewal is there too", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true, to: five})
			b.mesh.Clusters[1].TLS.CA = pemOf(root, b.issue(b.t, wish{cn: "Example Root", ca: true, key: root}))
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: root, to: year}))
		}, nil, ""},
		{"a root that vouches for nobody ends in five days", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			b.mesh.Clusters[1].TLS.CA = pemOf(root, b.issue(b.t, wish{cn: "Old Root", ca: true, to: five}))
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: root, to: year}))
		}, nil, ""},
		{"a root in tls.ca has ended", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true, to: noon().AddDate(0, 0, -1)})
			b.mesh.Clusters[1].TLS.CA = pemOf(root)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: root, to: year}))
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning", "PeerkeeperGoesBlind:Example Root:2026-06-01 critical"}, "Peerkeeper went blind on 2026-06-01"},
		{"a certificate in tls.ca that nobody can read", func(b *bench) {
			b.mesh.Clusters[1].TLS.Unread = []string{`"ca.pem", line 12: a certificate that cannot be read (x509: negative serial number)`}
		}, []string{"CAUnreadable:0 warning"}, `"ca.pem", line 12`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, k)
			c.serve(b)
			snapshot := b.look(run.Request{})
			if got := b.found(snapshot, "apac"); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			text := ""
			for _, f := range b.known(snapshot).Findings("apac") {
				text += f.Message + "\n"
			}
			if !strings.Contains(text, c.says) {
				t.Errorf("%s\ndoes not say %q", text, c.says)
			}
		})
	}
}

// TestTheEndOfAnIntermediateComesByItself: no look is needed for it, and it is
// one finding however many nodes serve it.
func TestTheEndOfAnIntermediateComesByItself(t *testing.T) {
	b := newBench(t, allKeys())
	root := b.issue(t, wish{cn: "Example Root", ca: true})
	sub := b.issue(t, wish{cn: "Example Issuing", ca: true, by: root, to: noon().AddDate(0, 0, 5)})
	ms := b.issue(t, wish{cn: "imp-apac-pub-ms.example.com", names: []string{string(apacPub), string(apacSub)}, by: sub})
	b.mesh.Clusters[1].TLS.CA = pemOf(root)
	for _, n := range []string{string(apacPub), string(apacSub)} {
		b.serve(n+":8443", tlsprobe.RSA, ms, sub)
	}
	snapshot := b.look(run.Request{})
	if got, want := b.found(snapshot, "apac"), []string{"CertificateExpiring:imp-apac-pub.example.com:RSA critical"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	b.now = noon().AddDate(0, 0, 6)
	over := []string{"ChainCertificateExpired:imp-apac-pub.example.com:RSA warning"}
	if got := b.found(snapshot, "apac"); !slices.Equal(got, over) {
		t.Errorf("without another look: %v, want %v", got, over)
	}
	snapshot = b.look(run.Request{})
	over = append([]string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning", "CertificateUntrustedHere:imp-apac-sub.example.com:RSA warning"}, over...)
	if got := b.found(snapshot, "apac"); !slices.Equal(got, over) {
		t.Errorf("after another look: %v, want %v", got, over)
	}
	if got := condOf(snapshot, emeaToApac, peer.CertificateTrusted); got.Status != peer.False || got.Reason != peer.CertificateExpired || got.Basis != peer.Inferred {
		t.Errorf("%s %s %s: %s", got.Status, got.Reason, got.Basis, got.Message)
	}
}
