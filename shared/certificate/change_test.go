package certificate

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// named is a self-signed certificate with these alternative names, the first of
// which is its CN.
func named(names ...string) Served {
	s := selfSigned(mesh.NodeName(names[0]), "")
	s.Names, s.Key = names, "key of "+strings.Join(names, " ")
	return s
}

// having changes a certificate.
func having(s Served, change func(*Served)) Served { change(&s); return s }

func signed(by string) func(*Served) {
	return func(s *Served) { s.SelfSigned, s.Issuer = false, "CN="+by }
}

func keyed(s *Served) { s.Key = "the same key" }

// became is a certificate that apac's publisher serves since noon, in the place of
// another of the key type given.
func became(before, after Served, was string) (map[mesh.ClusterID]Record, func() Served) {
	after.First, after.Former = certNoon(), before.AsFormer(was)
	r := Record{Served: map[mesh.NodeName]map[Place]Served{apacPublisher: {onRSA: after}}}
	return map[mesh.ClusterID]Record{"apac": r}, func() Served { return r.Served[apacPublisher][onRSA] }
}

// TestChangedByWhat: what apac's publisher (imp-apac-pub.example.com) served
// before, what it serves now, and what its own Presence Topology lists afterwards.
func TestChangedByWhat(t *testing.T) {
	const pubName, subName = string(apacPublisher), string(apacSubject)
	for _, c := range []struct {
		name          string
		before, after Served
		topology      []mesh.NodeName // read over AXL after the change was seen; nil: not read since
		want          peer.Reason
		says          []string
		silent        []string
	}{
		// The same names.
		{"renewed with the same key", having(named(pubName), keyed), having(named(pubName), func(s *Served) { keyed(s); s.NotAfter = certNoon().AddDate(5, 0, 0) }), nil,
			CertificateRenewed, []string{"measured: the same public key, the same names, ends 2031-06-02, before 2030-06-02", "cause, measured: it was renewed with the key it had"}, nil},
		{"regenerated with a new key", having(named(pubName), keyed), named(pubName), nil,
			peer.CertificateChanged, []string{"measured: a new public key, the same names; cause", "cause, measured: it was regenerated"}, []string{"ends "}},
		{"regenerated, and nobody kept when the former one ended", having(named(pubName), func(s *Served) { s.NotAfter = time.Time{} }), named(pubName), nil,
			CertificateRenewed, nil, []string{"ends "}},
		{"regenerated, and the cluster's list is as it was", having(named(pubName), keyed), named(pubName), []mesh.NodeName{apacPublisher, apacSubject},
			peer.CertificateChanged, []string{"cause, measured: it was regenerated"}, []string{"Presence Topology"}},
		{"the names in capitals and with a dot at the end", having(named(strings.ToUpper(pubName)+"."), keyed), named(pubName), nil,
			peer.CertificateChanged, []string{"the same names"}, nil},
		{"self-signed before, by a CA now", named(pubName), having(named(pubName), signed("Example Issuing CA")), nil,
			IssuerChanged, []string{"self-signed before, signed by CN=Example Issuing CA now", "cause, measured: another issuer"}, nil},
		{"by a CA before, self-signed now", having(named(pubName), signed("Example Issuing CA")), named(pubName), nil,
			IssuerChanged, []string{"signed by CN=Example Issuing CA before, self-signed now"}, nil},
		{"another CA", having(named(pubName), signed("Example Issuing CA")), having(named(pubName), signed("Example CA 2")), nil,
			IssuerChanged, []string{"signed by CN=Example Issuing CA before, by CN=Example CA 2 now"}, nil},
		{"another CA for the same key: the peers still need the CA", having(having(named(pubName), signed("Example Issuing CA")), keyed), having(having(named(pubName), signed("Example CA 2")), keyed), nil,
			IssuerChanged, []string{"the same public key, signed by"}, nil},
		{"the same CA", having(having(named(pubName), signed("Example CA")), keyed), having(named(pubName), signed("Example CA")), nil,
			peer.CertificateChanged, []string{"measured: a new public key, the same names"}, []string{"signed by"}},

		// Nodes came or went in the certificate for all of them.
		{"multi-server: a node more", named(pubName, "example.com"), named(pubName, subName, "example.com"), nil,
			peer.CertificateChanged, []string{"names added: imp-apac-sub1.example.com;", "it was regenerated"}, []string{"names gone", "the same names"}},
		{"multi-server: a node less", named(pubName, subName), named(pubName), nil,
			peer.CertificateChanged, []string{"names gone: imp-apac-sub1.example.com;"}, []string{"names added", "the same names"}},
		{"one certificate of its own became the one for all", named(pubName), named(pubName, subName, "cucm-apac.example.com"), nil,
			peer.CertificateChanged, []string{"names added: cucm-apac.example.com, imp-apac-sub1.example.com"}, nil},
		{"a wildcard takes the place of the names", named(pubName, subName), having(named("*.example.com"), signed("Example CA")), nil,
			IssuerChanged, nil, []string{"names gone"}},
		{"the names take the place of a wildcard", having(named("*.example.com"), signed("Example CA")), having(named(pubName, subName), signed("Example CA")), nil,
			peer.CertificateChanged, []string{"names gone: *.example.com", "it was regenerated"}, []string{"names added"}},
		{"a wildcard stands for one label, not for two", named("imp.apac.example.com"), named("*.example.com"), nil,
			EntryReused, []string{"names gone: imp.apac.example.com, names added: *.example.com"}, nil},
		{"a wildcard stands for no address", named("192.0.2.10"), named("*.0.2.10"), nil,
			EntryReused, nil, []string{"the same names"}},
		{"a wildcard and its own domain", having(named("*.example.com", "example.com"), keyed), named("*.example.com", "example.com"), nil,
			peer.CertificateChanged, []string{"the same names"}, nil},
		{"multi-server: one node replaced by another of the domain", named(pubName, subName), named(pubName, "imp-apac-sub2.example.com"), nil,
			NodeRenamed, []string{"cause, inferred: a host was renamed, or replaced", "imp-apac-sub1.example.com became imp-apac-sub2.example.com"}, nil},
		{"the same, and the cluster lists the new node", named(pubName, subName), named(pubName, "imp-apac-sub2.example.com"), []mesh.NodeName{apacPublisher, "imp-apac-sub2.example.com"},
			NodeRenamed, []string{"cause, measured: a host was renamed, or replaced", "the cluster's list has the new name"}, nil},
		{"multi-server: a name that was nobody's node for another", named(pubName, "chat.example.net"), named(pubName, "chat.example.org"), nil,
			DomainRenamed, []string{"example.net became example.org"}, nil},
		{"multi-server: a stranger for another, and the rest is as it was", having(named(pubName, "chat.example.net"), keyed), named(pubName, "talk.example.org"), nil,
			peer.CertificateChanged, []string{"names gone: chat.example.net, names added: talk.example.org", "it was regenerated"}, nil},

		// The host or the domain.
		{"the host was renamed", named("imp-sydney.example.com"), named(pubName), nil,
			NodeRenamed, []string{"names gone: imp-sydney.example.com, names added: imp-apac-pub.example.com", "cause, inferred: a host was renamed"}, nil},
		{"the host was renamed, and the cluster lists it so", named(pubName), named("imp-sydney.example.com"), []mesh.NodeName{"imp-sydney.example.com", apacSubject},
			NodeRenamed, []string{"Presence Topology, read at 2026-06-02 12:05 UTC, lists imp-sydney.example.com, imp-apac-sub1.example.com", "cause, measured: a host was renamed", "; the cluster's list has the new name"}, nil},
		{"the host was renamed, and the cluster lists it without its domain", named(pubName), named("imp-sydney.example.com"), []mesh.NodeName{"IMP-Sydney", apacSubject},
			NodeRenamed, []string{"cause, measured: a host was renamed"}, nil},
		{"the host was renamed in the certificate alone", named(pubName), named("imp-sydney.example.com"), []mesh.NodeName{apacPublisher, apacSubject},
			NodeRenamed, []string{"cause, inferred: a host was renamed", "the cluster's list does not have the new name yet"}, nil},
		{"the domain was renamed", named("imp-apac-pub.old.example"), named(pubName), nil,
			DomainRenamed, []string{"cause, inferred: the domain was renamed (old.example became example.com); the hosts are the same"}, nil},
		{"the domain was renamed in the certificate alone", named(pubName), named("imp-apac-pub.new.example"), []mesh.NodeName{apacPublisher, apacSubject},
			DomainRenamed, []string{"cause, inferred: the domain was renamed", "the cluster's list does not have the new name yet"}, nil},
		{"the domain was renamed, and the cluster lists the new name beside an old one", named(pubName), named("imp-apac-pub.new.example"), []mesh.NodeName{"imp-apac-pub.new.example", apacSubject},
			DomainRenamed, []string{"cause, measured: the domain was renamed", "; the cluster's list has the new name"}, nil},
		{"the domain was renamed, and the cluster lists its hosts under a third", named(pubName), named("imp-apac-pub.new.example"), []mesh.NodeName{"imp-apac-pub.other.example"},
			DomainRenamed, []string{"cause, inferred: the domain was renamed", "the cluster's list does not have the new name yet"}, nil},
		{"the domain of a certificate for all nodes, parent domain included", named("imp-apac-pub.old.example", "imp-apac-sub1.old.example", "old.example"), named(pubName, subName, "example.com"), nil,
			DomainRenamed, []string{"(old.example became example.com)"}, []string{"names gone: old.example", ", old.example,"}},
		{"the domain was renamed, and every node is called so", named(pubName, subName), named("imp-apac-pub.new.example", "imp-apac-sub1.new.example"), []mesh.NodeName{"imp-apac-pub.new.example", "imp-apac-sub1.new.example"},
			DomainRenamed, []string{"cause, measured: the domain was renamed (example.com became new.example): the cluster itself calls its nodes so"}, nil},
		{"two hosts moved to two domains", named("imp-apac-pub.old.example", "imp-apac-sub1.old.example"), named("imp-apac-pub.a.example", "imp-apac-sub1.b.example"), nil,
			DomainRenamed, []string{"(old.example became a.example, old.example became b.example)"}, nil},
		{"a bare host name was given a domain", named("imp-apac-pub"), named(pubName), nil,
			DomainRenamed, []string{"none became example.com"}, nil},
		{"the CN of a certificate for all nodes is no host", having(named("imp-apac-pub-ms.example.com"), func(s *Served) { s.Names = nil }), named(pubName), nil,
			peer.CertificateChanged, []string{"the same names"}, nil},
		{"a bare CN without alternative names", having(named("imp-apac-pub"), func(s *Served) { s.Names = nil }), named("imp-apac-pub"), nil,
			CertificateRenewed, []string{"the same names"}, nil},
		{"host and domain at once, with the same key", having(named("imp-sydney.old.example"), keyed), having(named(pubName), keyed), nil,
			NodeRenamed, []string{"the same public key", "cause, measured: host and domain were renamed: it is the same key, so the same node"}, nil},

		// Another cluster.
		{"the entry was reused for a new cluster", named(pubName), named("imp-mars.example.net"), nil,
			EntryReused, []string{"cause, inferred: the entry was reused for another cluster, or host and domain were renamed at once"}, nil},
		{"the same, and its publisher lists its own nodes", named(pubName), named("imp-mars.example.net"), []mesh.NodeName{"imp-mars.example.net", "imp-venus.example.net"},
			EntryReused, []string{"lists imp-mars.example.net, imp-venus.example.net", "cause, measured: the entry was reused for another cluster: the cluster that answers has none of apac's nodes"}, []string{"mesh.yaml"}},
		{"the same, and its publisher lists nothing", named(pubName), named("imp-mars.example.net"), []mesh.NodeName{},
			EntryReused, []string{"cause, inferred"}, []string{"Presence Topology"}},
		{"in the same domain: only the publisher's list tells it from a renamed host", named(pubName), named("imp-mars.example.com"), []mesh.NodeName{"imp-mars.example.com", "imp-venus.example.com"},
			EntryReused, []string{"cause, measured: the entry was reused"}, nil},
		{"another cluster of the mesh answers", named(pubName), named("imp-emea-pub.example.com"), nil,
			EntryReused, []string{"cause, inferred: the entry was reused for another cluster: mesh.yaml has these names as nodes of emea"}, nil},
		{"another cluster of the mesh answers, with all its nodes", named(pubName), named("imp-emea-pub.example.com", "IMP-EMEA-sub1.example.com"), nil,
			EntryReused, []string{"mesh.yaml has these names as nodes of emea"}, nil},
		{"nodes of two other clusters", named(pubName), named("imp-emea-pub.example.com", "imp-amer-pub.example.com"), nil,
			NodeRenamed, nil, []string{"mesh.yaml"}},
		{"a node of another cluster beside a name of nobody", named(pubName), named("imp-emea-pub.example.com", "imp-mars.example.com"), nil,
			NodeRenamed, nil, []string{"mesh.yaml"}},
		{"a node of another cluster beside its own", named(pubName, subName), named(pubName, "imp-emea-pub.example.com"), nil,
			NodeRenamed, nil, []string{"mesh.yaml"}},
		{"the subscriber's name in the place of the publisher's", named(pubName), named(subName), nil,
			NodeRenamed, nil, []string{"mesh.yaml"}},
		{"another cluster's names over the same key", having(named(pubName), keyed), having(named("imp-emea-pub.example.com"), keyed), nil,
			NodeRenamed, nil, []string{"mesh.yaml"}},
		{"another cluster of the mesh answers, and says so", named(pubName), named("imp-emea-pub.example.com"), []mesh.NodeName{"imp-emea-pub.example.com", "imp-emea-sub1.example.com"},
			EntryReused, []string{"cause, measured:", "none of apac's nodes; mesh.yaml has them as nodes of emea"}, nil},
		{"names of nobody, but the cluster is who it was", named(pubName), named("imp-mars.example.net"), []mesh.NodeName{apacPublisher, apacSubject},
			peer.CertificateChanged, []string{"cause, measured: it was made for other names", "no other cluster that answers"}, nil},
		{"host and domain at once, and the cluster lists it beside its other node", named(pubName), named("imp-mars.example.net"), []mesh.NodeName{"imp-mars.example.net", apacSubject},
			NodeRenamed, []string{"cause, measured: the node was renamed"}, nil},
		{"the same key is never another cluster's", having(named(pubName), keyed), having(named("imp-mars.example.net"), keyed), []mesh.NodeName{"imp-mars.example.net"},
			NodeRenamed, []string{"cause, measured"}, []string{"the entry was reused"}},
		{"addresses have no domain in common", named("192.0.2.10"), named("192.0.2.11"), nil,
			EntryReused, []string{"cause, inferred"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := certMesh(3, 2, mesh.TCP)
			cl, _ := m.Cluster("apac")
			certs, served := became(c.before, c.after, "RSA")
			before := peer.Known([]mesh.NodeName{"what-was-read-before.example.org"}, certNoon()) // and therefore says nothing
			r := certs["apac"]
			r.ExplainChanges(m, cl, before, certNoon())
			if c.topology != nil {
				r.ExplainChanges(m, cl, peer.Known(c.topology, certNoon().Add(5*time.Minute)), certNoon().Add(6*time.Hour))
			}
			got := served()
			if got.Cause != c.want {
				t.Errorf("%s, want %s: %s", got.Cause, c.want, got.Change)
			}
			for _, says := range c.says {
				if !strings.Contains(got.Change, says) {
					t.Errorf("%q does not say %q", got.Change, says)
				}
			}
			for _, silent := range append(c.silent, "what-was-read-before") {
				if strings.Contains(got.Change, silent) {
					t.Errorf("%q says %q", got.Change, silent)
				}
			}
		})
	}
}

// TestAnotherTypeOfKeyIsNoNewKey: RSA was replaced by ECDSA, of which no key can be
// the same.
func TestAnotherTypeOfKeyIsNoNewKey(t *testing.T) {
	m := certMesh(3, 2, mesh.TCP)
	cl, _ := m.Cluster("apac")
	certs, served := became(having(named(string(apacPublisher)), keyed), named(string(apacPublisher)), "ECDSA")
	r := certs["apac"]
	r.ExplainChanges(m, cl, peer.Fact[[]mesh.NodeName]{}, certNoon())
	got := served()
	if got.Cause != peer.CertificateChanged || !strings.Contains(got.Change, "key type ECDSA became RSA") || !strings.Contains(got.Change, "cause, measured: it was regenerated with another type of key") || strings.Contains(got.Change, "public key") {
		t.Errorf("%s: %s", got.Cause, got.Change)
	}
}

// TestAChangeIsShownForAWeek, and what was replaced is forgotten then; a
// certificate that replaced none is left alone, and so are those beside it.
func TestAChangeIsShownForAWeek(t *testing.T) {
	m := certMesh(3, 2, mesh.TCP)
	cl, _ := m.Cluster("apac")
	for _, c := range []struct {
		name string
		ago  time.Duration
		kept bool
	}{
		{"a moment before a week is over", ChangeShown - time.Second, true},
		{"after a week", ChangeShown, false},
	} {
		certs, served := became(named(string(apacPublisher)), named("imp-sydney.example.com"), "RSA")
		r := certs["apac"]
		r.Served[apacPublisher][onECDSA] = named(string(apacPublisher)) // stands before it, and is no change
		r.ExplainChanges(m, cl, peer.Fact[[]mesh.NodeName]{}, certNoon().Add(c.ago))
		if s := served(); (s.Former != nil) != c.kept || (s.Change != "") != c.kept {
			t.Errorf("%s: former %v, %q", c.name, s.Former, s.Change)
		}
		if s := r.Served[apacPublisher][onECDSA]; s.Change != "" || s.Cause != "" {
			t.Errorf("%s: one that replaced none: %s %s", c.name, s.Cause, s.Change)
		}
	}
}
