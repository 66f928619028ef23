package certcheck

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/tlsprobe"
)

func causes() []peer.Reason {
	return []peer.Reason{peer.CertificateChanged, certificate.CertificateRenewed, certificate.IssuerChanged, certificate.NodeRenamed, certificate.DomainRenamed, certificate.EntryReused}
}

// changes are the findings on apac that say that a certificate changed.
func changes(snapshot *record.Snapshot) []peer.Finding {
	return slices.DeleteFunc(slices.Clone(snapshot.Certs["apac"].Value.Findings), func(f peer.Finding) bool { return !slices.Contains(causes(), f.Reason) })
}

// presenceTopology is what the publisher of apac lists at an instant.
func (b *bench) presenceTopology(at time.Time, nodes ...mesh.NodeName) {
	b.t.Helper()
	doc := b.stored().Clusters["apac"]
	doc.Value.Seen.Topology = peer.Known(nodes, at)
	var c record.Changes
	record.Add(&c, doc)
	if _, err := c.Write(b.t.Context(), b.store); err != nil {
		b.t.Fatal(err)
	}
}

// TestAChangeIsSaid: what apac's publisher (imp-apac-pub.example.com) served last
// time, what it serves now, and what its own Presence Topology lists afterwards, as
// certificates show it; which change is which, shared/certificate tells.
func TestAChangeIsSaid(t *testing.T) {
	k := allKeys()
	const pubName, subName = string(apacPub), string(apacSub)
	ca := k.issue(t, wish{cn: "Example Issuing CA", ca: true})
	other := k.issue(t, wish{cn: "Example CA 2", ca: true})
	mine := k.issue(t, wish{cn: pubName})
	one := func(names ...string) wish { return wish{cn: names[0], names: names} }
	with := func(w wish, change func(*wish)) wish { change(&w); return w }
	for _, c := range []struct {
		name          string
		before, after wish
		topology      []mesh.NodeName // read over AXL after the change was seen; nil: not read since
		want          peer.Reason
		says          []string
		silent        []string
	}{
		{"renewed with the same key", with(one(pubName), func(w *wish) { w.key = mine }), with(one(pubName), func(w *wish) { w.key = mine; w.to = noon().AddDate(5, 0, 0) }), nil,
			certificate.CertificateRenewed, []string{"measured: the same public key, the same names, ends 2031-06-02, before 2030-06-02", "cause, measured: it was renewed with the key it had"}, nil},
		{"regenerated with a new key", one(pubName), one(pubName), nil,
			peer.CertificateChanged, []string{"measured: a new public key, the same names", "cause, measured: it was regenerated"}, nil},
		{"the names in capitals and with a dot at the end", one(strings.ToUpper(pubName) + "."), one(pubName), nil,
			peer.CertificateChanged, []string{"the same names"}, nil},
		{"RSA was replaced by ECDSA", one(pubName), with(one(pubName), func(w *wish) { w.ecdsa = true }), nil,
			peer.CertificateChanged, []string{"key type RSA became ECDSA", "cause, measured: it was regenerated with another type of key"}, []string{"public key"}},
		{"self-signed before, by a CA now", one(pubName), with(one(pubName), func(w *wish) { w.by = ca }), nil,
			certificate.IssuerChanged, []string{"self-signed before, signed by CN=Example Issuing CA,O=Example now", "cause, measured: another issuer"}, nil},
		{"another CA for the same key: the peers still need the CA", with(one(pubName), func(w *wish) { w.by, w.key = ca, mine }), with(one(pubName), func(w *wish) { w.by, w.key = other, mine }), nil,
			certificate.IssuerChanged, []string{"the same public key, signed by"}, nil},
		{"the host was renamed, and the cluster lists it so", one(pubName), one("imp-sydney.example.com"), []mesh.NodeName{"imp-sydney.example.com", apacSub},
			certificate.NodeRenamed, []string{"Presence Topology, read at 2026-06-02 18:05 UTC, lists imp-sydney.example.com, imp-apac-sub.example.com", "cause, measured: a host was renamed"}, nil},
		{"the domain of a certificate for all nodes, parent domain included", one("imp-apac-pub.old.example", "imp-apac-sub.old.example", "old.example"), one(pubName, subName, "example.com"), nil,
			certificate.DomainRenamed, []string{"(old.example became example.com)"}, []string{"names gone: old.example", ", old.example,"}},
		{"the CN of a certificate for all nodes is no host", wish{cn: "imp-apac-pub-ms.example.com", names: []string{}}, one(pubName), nil,
			peer.CertificateChanged, []string{"the same names"}, nil},
		{"another cluster of the mesh answers, and says so", one(pubName), one(string(emeaPub)), []mesh.NodeName{emeaPub, emeaSub},
			certificate.EntryReused, []string{"cause, measured:", "none of apac's nodes; mesh.yaml has them as nodes of emea"}, nil},
		{"addresses have no domain in common", wish{cn: "node", names: []string{"192.0.2.10"}}, wish{cn: "node", names: []string{"192.0.2.11"}}, nil,
			certificate.EntryReused, []string{"cause, inferred"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, k)
			serve := func(w wish) {
				delete(b.served, string(apacPub)+":8443")
				keyType := tlsprobe.RSA
				if w.ecdsa {
					keyType = tlsprobe.ECDSA
				}
				b.serve(string(apacPub)+":8443", keyType, b.issue(t, w))
			}
			serve(c.before)
			b.presenceTopology(b.now, "what-was-read-before.example.org") // and therefore says nothing
			if got := changes(b.look(run.Request{})); len(got) != 0 {
				t.Errorf("said at the first look: %+v", got)
			}
			b.now = b.now.Add(6 * time.Hour)
			serve(c.after)
			snapshot := b.look(run.Request{})
			if c.topology != nil {
				b.presenceTopology(b.now.Add(5*time.Minute), c.topology...)
				b.now = b.now.Add(6 * time.Hour)
				snapshot = b.look(run.Request{})
			}
			got := changes(snapshot)
			if len(got) != 1 {
				t.Fatalf("said %d times: %+v", len(got), got)
			}
			if got[0].Reason != c.want || got[0].Fix == "" {
				t.Errorf("%s, want %s: %s", got[0].Reason, c.want, got[0].Message)
			}
			for _, says := range c.says {
				if !strings.Contains(got[0].Message, says) {
					t.Errorf("%q does not say %q", got[0].Message, says)
				}
			}
			for _, silent := range append(c.silent, "what-was-read-before") {
				if strings.Contains(got[0].Message, silent) {
					t.Errorf("%q says %q", got[0].Message, silent)
				}
			}
			b.now = b.now.Add(6 * time.Hour)
			if again := changes(b.look(run.Request{})); len(again) != 1 || again[0].Message != got[0].Message || !again[0].Since.Equal(got[0].Since) {
				t.Errorf("another look says something else: %+v", again)
			}
			b.now = b.now.AddDate(0, 0, 8)
			snapshot = b.look(run.Request{})
			if n := changes(snapshot); len(n) != 0 {
				t.Errorf("still said after a week: %+v", n)
			}
			for place, s := range snapshot.Certs["apac"].Value.Served[apacPub] {
				if s.Former != nil {
					t.Errorf("%s: the former certificate is still kept", place)
				}
			}
		})
	}
}

// TestChangeOfACertificateThatCannotBeReadNow is neither said again nor taken back.
func TestChangeOfACertificateThatCannotBeReadNow(t *testing.T) {
	b := newBench(t, allKeys())
	b.look(run.Request{})
	b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(t, wish{cn: "imp-mars.example.net"}))
	b.now = b.now.Add(6 * time.Hour)
	said := changes(b.look(run.Request{}))
	b.presenceTopology(b.now.Add(5*time.Minute), apacPub, apacSub)
	b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.Timeout)
	b.now = b.now.Add(6 * time.Hour)
	got := changes(b.look(run.Request{}))
	if len(said) != 1 || len(got) != 1 || got[0].ID != said[0].ID || got[0].Message != said[0].Message || !got[0].Since.Equal(said[0].Since) {
		t.Errorf("said %+v, then %+v", said, got)
	}
}
