package certificate

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// certNoon is the instant at which these tests look.
func certNoon() time.Time { return time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC) }

// The two key types on 8443.
var onRSA, onECDSA = Place{KeyType: "RSA"}, Place{KeyType: "ECDSA"}

// certMesh is a full mesh of clusters with a publisher and subscribers.
func certMesh(clusters, nodes int, protocol mesh.Protocol) *mesh.Mesh {
	m := &mesh.Mesh{Name: "acme", Domain: "example.com", Policy: mesh.Policy{Thresholds: mesh.Thresholds{CertificateDays: []int{28, 14, 7}}}}
	for i := range clusters {
		id := []string{"emea", "apac", "amer"}[i%3]
		if i > 2 {
			id = fmt.Sprintf("c%02d", i+1)
		}
		c := mesh.Cluster{ID: mesh.ClusterID(id), Release: "14.0.1SU3", PlatformCredentials: id + "/platform", SyncInterval: mesh.Duration(30 * time.Minute)}
		for n := range nodes {
			host := "pub"
			if n > 0 {
				host = fmt.Sprintf("sub%d", n)
			}
			c.Nodes = append(c.Nodes, mesh.Node{Name: mesh.NodeName("imp-" + id + "-" + host + ".example.com")})
		}
		c.Publisher = c.Nodes[0].Name
		m.Clusters = append(m.Clusters, c)
	}
	for _, a := range m.Clusters {
		for _, b := range m.Clusters {
			if a.ID != b.ID {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: a.ID, To: b.ID}, Protocol: protocol})
			}
		}
	}
	return m
}

// known is what is known of a mesh at noon, when nothing but certificates was read.
func known(m *mesh.Mesh, certs map[mesh.ClusterID]Record) *View { return knownAt(m, certs, certNoon()) }

func knownAt(m *mesh.Mesh, certs map[mesh.ClusterID]Record, now time.Time) *View {
	clusters := map[mesh.ClusterID]*peer.ClusterRecord{}
	for _, c := range m.Clusters {
		clusters[c.ID] = &peer.ClusterRecord{}
	}
	return NewView((&peer.Facts{Now: now, Tick: 5 * time.Minute, Mesh: m, Clusters: clusters}).View(), certs)
}

// syncing is the same with every pull of a cluster having succeeded a minute ago.
func syncing(v *View, to mesh.ClusterID) *View {
	c, _ := v.Mesh.Cluster(to)
	facts := v.Facts
	for id := range facts.Clusters {
		facts.Clusters[id].Seen.Entries = peer.Known([]peer.Entry{{Address: string(c.Publisher), HasClock: true, LastSync: v.Now.Add(-time.Minute)}}, v.Now)
	}
	return NewView(facts.View(), v.Records)
}

// print64 is a fingerprint of full length that a test can name.
func print64(what string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(what)))
}

// selfSigned is a node's certificate as installed, a year old.
func selfSigned(node mesh.NodeName, what string) Served {
	return Served{
		Fingerprint: print64(what), Subject: "CN=" + string(node) + ",O=Example", Issuer: "CN=" + string(node) + ",O=Example", SelfSigned: true,
		Pinned: true, NotBefore: certNoon().AddDate(-1, 0, 0), NotAfter: certNoon().AddDate(4, 0, 0), Names: []string{string(node)}, First: certNoon().AddDate(-1, 0, 0), Read: certNoon(),
	}
}

// caSigned is one that a CA signed.
func caSigned(node mesh.NodeName, what, ca string) Served {
	s := selfSigned(node, what)
	s.SelfSigned, s.Issuer = false, "CN="+ca+",O=Example"
	return s
}

// trusting fills every store with what every node serves.
func trusting(m *mesh.Mesh, served map[mesh.NodeName]map[Place]Served) map[mesh.ClusterID]Record {
	certs := map[mesh.ClusterID]Record{}
	for _, c := range m.Clusters {
		r := Record{At: certNoon(), Served: map[mesh.NodeName]map[Place]Served{}, Trust: map[string]Store{}}
		store := Store{}
		for _, n := range c.Nodes {
			r.Served[n.Name] = served[n.Name]
			store.Nodes = append(store.Nodes, StoreNode{Name: n.Name, Read: certNoon()})
		}
		for _, other := range m.Clusters {
			for _, n := range other.Nodes {
				for _, keyType := range []string{"RSA", "ECDSA"} {
					if s, ok := served[n.Name][Place{KeyType: keyType}]; ok {
						store.Entries = append(store.Entries, Entry{Print: ShortPrint(s.Fingerprint), Subject: string(n.Name), Ends: s.NotAfter, File: string(n.Name) + ".pem", Signed: !s.SelfSigned, EC: keyType == "ECDSA"})
					}
				}
			}
		}
		r.Trust["tomcat-trust"] = store
		certs[c.ID] = r
	}
	return certs
}

func installed(m *mesh.Mesh) map[mesh.NodeName]map[Place]Served {
	out := map[mesh.NodeName]map[Place]Served{}
	for _, c := range m.Clusters {
		for _, n := range c.Nodes {
			out[n.Name] = map[Place]Served{onRSA: selfSigned(n.Name, string(n.Name)+" RSA"), onECDSA: selfSigned(n.Name, string(n.Name)+" EC")}
		}
	}
	return out
}

// change alters one cluster's stored record.
func change(certs map[mesh.ClusterID]Record, id mesh.ClusterID, do func(r *Record, store *Store)) {
	r := certs[id]
	store := r.Trust["tomcat-trust"]
	do(&r, &store)
	if r.Trust != nil {
		r.Trust["tomcat-trust"] = store
	}
	certs[id] = r
}

func forget(store *Store, print string) {
	store.Entries = slices.DeleteFunc(slices.Clone(store.Entries), func(h Entry) bool { return h.Print == ShortPrint(print) })
}

func TestTrust(t *testing.T) {
	const apacPub, apacSub = mesh.NodeName("imp-apac-pub.example.com"), mesh.NodeName("imp-apac-sub1.example.com")
	renewed := selfSigned(apacPub, "apac's new one")
	renewed.First = certNoon().Add(-3 * time.Hour)
	type certs = map[mesh.ClusterID]Record
	for _, c := range []struct {
		name   string
		change func(certs)
		// rsa and ecdsa are emea's verdicts on apac's publisher, RSA then ECDSA.
		rsa, ecdsa Verdict
		why        peer.Reason
		// cond is what it makes of emea>apac; "" leaves it to a sync.
		cond   string
		copies int
	}{
		{"every certificate is in every store", func(certs) {}, Trusted, Trusted, "", "True InTrustStore", 0},
		{"renewed, and emea never learned it", func(r certs) {
			change(r, "apac", func(r *Record, _ *Store) { r.Served[apacPub][onRSA] = renewed })
		}, StaleCopy, Trusted, "", "False StaleCopyInTrustStore", 2},
		{"renewed an hour ago: the next syncs carry it over", func(r certs) {
			change(r, "apac", func(r *Record, _ *Store) {
				s := renewed
				s.First = certNoon().Add(-time.Hour)
				r.Served[apacPub][onRSA] = s
			})
		}, StaleCopy, Trusted, "", "Unknown ExchangePending", 2},
		{"in no store, and no former one either", func(r certs) {
			change(r, "emea", func(_ *Record, s *Store) { forget(s, print64(string(apacPub)+" RSA")) })
		}, Missing, Trusted, "", "False NotInTrustStore", 1},
		{"nothing of apac's publisher in the store", func(r certs) {
			change(r, "emea", func(_ *Record, s *Store) {
				forget(s, print64(string(apacPub)+" RSA"))
				forget(s, print64(string(apacPub)+" EC"))
			})
		}, Missing, Missing, "", "False NotInTrustStore", 2},
		{"the ECDSA twin was forgotten", func(r certs) {
			change(r, "apac", func(r *Record, _ *Store) {
				s := selfSigned(apacPub, "apac's new ECDSA")
				s.First = certNoon().Add(-3 * time.Hour)
				r.Served[apacPub][onECDSA] = s
			})
		}, Trusted, StaleCopy, "", "False StaleCopyInTrustStore", 2},
		{"nobody pulls from the subscriber: a finding, not a broken peer", func(r certs) {
			change(r, "emea", func(_ *Record, s *Store) { forget(s, print64(string(apacSub)+" RSA")) })
		}, Trusted, Trusted, "", "True InTrustStore", 1},
		{"signed by a CA in the store", func(r certs) {
			change(r, "apac", func(r *Record, _ *Store) {
				r.Served[apacPub][onRSA] = caSigned(apacPub, "by CA", "Example CA")
			})
			for _, id := range []mesh.ClusterID{"emea", "amer"} {
				change(r, id, func(_ *Record, s *Store) {
					s.Entries = append(slices.Clone(s.Entries), Entry{Print: "ca", Subject: "Example CA", CA: true, Ends: certNoon().AddDate(5, 0, 0)})
					s.Vouched = map[string]int{ShortPrint(print64("by CA")): len(s.Entries) - 1}
				})
			}
		}, CATrusted, Trusted, "", "True InTrustStore", 0},
		{"signed by a CA that ended yesterday", func(r certs) {
			change(r, "apac", func(r *Record, _ *Store) {
				r.Served[apacPub][onRSA] = caSigned(apacPub, "by CA", "Example CA")
			})
			for _, id := range []mesh.ClusterID{"emea", "amer"} {
				change(r, id, func(_ *Record, s *Store) {
					s.Entries = append(slices.Clone(s.Entries), Entry{Print: "ca", Subject: "Example CA", CA: true, Ends: certNoon().AddDate(0, 0, -1)})
					s.Vouched = map[string]int{ShortPrint(print64("by CA")): len(s.Entries) - 1}
				})
			}
		}, StaleCopy, Trusted, "", "False StaleCopyInTrustStore", 2},
		{"signed by a CA that emea lacks", func(r certs) {
			change(r, "apac", func(r *Record, _ *Store) {
				r.Served[apacPub][onRSA] = caSigned(apacPub, "by CA", "Example CA")
				r.Served[apacSub][onRSA] = caSigned(apacSub, "by CA too", "Example CA")
			})
			for _, id := range []mesh.ClusterID{"emea", "amer"} {
				change(r, id, func(_ *Record, s *Store) {
					s.Checked = []string{ShortPrint(print64("by CA")), ShortPrint(print64("by CA too"))}
				})
			}
		}, StaleCopy, Trusted, "", "False StaleCopyInTrustStore", 2}, // the CA once for each cluster, not once per leaf
		{"a CA-signed one that was not tried against the store yet", func(r certs) {
			change(r, "apac", func(r *Record, _ *Store) {
				r.Served[apacPub][onRSA] = caSigned(apacPub, "by CA", "Example CA")
			})
		}, Unknown, Trusted, peer.NotChecked, "", 0},
		{"served since after the look at the store", func(r certs) {
			change(r, "apac", func(r *Record, _ *Store) {
				s := renewed
				s.First = certNoon().Add(time.Minute)
				r.Served[apacPub][onRSA] = s
			})
		}, Unknown, Trusted, peer.NotChecked, "", 0},
		{"before release 14 no store can be read", func(r certs) {
			for _, id := range []mesh.ClusterID{"emea", "apac", "amer"} {
				change(r, id, func(r *Record, _ *Store) { r.Trust, r.NoTrust = nil, &NoLook{Reason: Before14} })
			}
		}, Unknown, Unknown, Before14, "", 0},
		{"without a platform account", func(r certs) {
			change(r, "emea", func(r *Record, _ *Store) {
				r.Trust, r.NoTrust = nil, &NoLook{Reason: peer.NoCredentials}
			})
		}, Unknown, Unknown, peer.NoCredentials, "", 0},
		{"the store was read a day ago", func(r certs) {
			change(r, "emea", func(_ *Record, s *Store) {
				for i := range s.Nodes {
					s.Nodes[i].Read = certNoon().Add(-24 * time.Hour)
				}
			})
		}, Unknown, Unknown, peer.Stale, "", 0},
		{"only a subscriber's store was read: ICSA pulls by the publisher's", func(r certs) {
			change(r, "emea", func(_ *Record, s *Store) { s.Nodes[0].Read = time.Time{} })
		}, Unknown, Unknown, peer.NotChecked, "", 0},
		{"a subscriber's store lacks what the publisher's has", func(r certs) {
			change(r, "emea", func(_ *Record, s *Store) {
				for i := range s.Entries {
					s.Entries[i].Not = []int{1}
				}
			})
		}, Trusted, Trusted, "", "True InTrustStore", 0},
		{"only the publisher's store lacks it", func(r certs) {
			change(r, "emea", func(_ *Record, s *Store) {
				for i := range s.Entries {
					s.Entries[i].Not = []int{0}
				}
			})
		}, Missing, Missing, "", "False NotInTrustStore", 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := certMesh(3, 2, mesh.TCP)
			r := trusting(m, installed(m))
			c.change(r)
			v := known(m, r)
			for keyType, want := range map[string]Verdict{"RSA": c.rsa, "ECDSA": c.ecdsa} {
				matrix := v.Trust()
				i := slices.IndexFunc(matrix.Rows, func(row Row) bool { return row.Node == apacPub && row.KeyType == keyType && !row.Pending })
				if i < 0 {
					t.Fatalf("no row for %s", keyType)
				}
				cell := matrix.Cell(matrix.Rows[i], "emea")
				if cell.Verdict != want || want == Unknown && cell.Why != c.why {
					t.Errorf("%s: %s %s, want %s %s", keyType, cell.Verdict, cell.Why, want, c.why)
				}
				if own := matrix.Cell(matrix.Rows[i], "apac"); own.Verdict != "" {
					t.Errorf("apac is judged on its own certificate: %s", own.Verdict)
				}
			}
			cond, ok := v.CertificateTrusted(mesh.PeerID{From: "emea", To: "apac"})
			got := ""
			if ok {
				got = string(cond.Status) + " " + string(cond.Reason)
			}
			if got != c.cond {
				t.Errorf("emea>apac: %q (%s), want %q", got, cond.Message, c.cond)
			}
			if copies := v.Copies(); len(copies) != c.copies {
				t.Errorf("%d copies by hand, want %d: %v", len(copies), c.copies, copies)
			}
		})
	}
}

// TestCertificateSyncOff: where nothing carries certificates over, a renewed
// one is not on its way.
func TestCertificateSyncOff(t *testing.T) {
	m := certMesh(3, 1, mesh.TCP)
	r := trusting(m, installed(m))
	change(r, "apac", func(r *Record, _ *Store) {
		s := selfSigned(m.Clusters[1].Publisher, "new")
		s.First = certNoon().Add(-time.Minute)
		r.Served[m.Clusters[1].Publisher][onRSA] = s
	})
	v := known(m, r)
	for setting, want := range map[string]peer.Reason{"t": peer.ExchangePending, "f": peer.StaleCopyInTrustStore} {
		v.Clusters["emea"].Seen.Nodes = map[mesh.NodeName]peer.Node{m.Clusters[0].Publisher: {Parameters: peer.Known(map[string]string{peer.ParamCertSync: setting}, certNoon())}}
		if cond, _ := NewView(v.Facts.View(), r).CertificateTrusted(mesh.PeerID{From: "emea", To: "apac"}); cond.Reason != want {
			t.Errorf("certificate sync reads %s: %s, want %s", setting, cond.Reason, want)
		}
	}
}

// TestOneRenewalOneFinding: 29 clusters that lack one certificate are one
// finding, its ECDSA twin another.
func TestOneRenewalOneFinding(t *testing.T) {
	m := certMesh(30, 2, mesh.TCP)
	r := trusting(m, installed(m))
	pub := m.Clusters[1].Publisher
	change(r, "apac", func(r *Record, _ *Store) {
		for _, keyType := range []string{"RSA", "ECDSA"} {
			s := selfSigned(pub, "new "+keyType)
			s.First = certNoon().Add(-24 * time.Hour)
			r.Served[pub][Place{KeyType: keyType}] = s
		}
	})
	v := known(m, r)
	got := v.trustFindings("apac")
	if len(got) != 2 || got[0].Severity != "critical" || !strings.Contains(got[0].Message, "and 19 more") {
		t.Errorf("%+v", got)
	}
	if n := len(v.Copies()); n != 2*29 {
		t.Errorf("%d copies, want two files for each of 29 clusters", n)
	}
	// Syncs that succeed all the same lower it: it breaks at ICSA's next start.
	got = syncing(v, "apac").trustFindings("apac")
	if len(got) != 2 || got[0].Severity != "warning" || !strings.Contains(got[0].Message, "starts again") {
		t.Errorf("with working syncs: %+v", got)
	}
	// Trusted again, nothing is said.
	r["apac"].Served[pub][onRSA], r["apac"].Served[pub][onECDSA] = selfSigned(pub, string(pub)+" RSA"), selfSigned(pub, string(pub)+" EC")
	if got := known(m, r).trustFindings("apac"); len(got) != 0 {
		t.Errorf("after the exchange: %+v", got)
	}
}

// TestPendingCertificate: what is installed and not served yet is watched until
// everybody trusts it.
func TestPendingCertificate(t *testing.T) {
	m := certMesh(3, 1, mesh.TCP)
	r := trusting(m, installed(m))
	pub := m.Clusters[1].Publisher
	next := selfSigned(pub, "next")
	next.First = certNoon()
	change(r, "apac", func(r *Record, _ *Store) {
		r.Identity = map[mesh.NodeName]map[string]Served{pub: {"tomcat": next}}
	})
	says := func() string {
		got := known(m, r).trustFindings("apac")
		if len(got) != 1 || got[0].Reason != NotServedYet {
			t.Fatalf("%+v", got)
		}
		return got[0].Message
	}
	if msg := says(); !strings.Contains(msg, "do not restart Cisco Tomcat yet: it is not trusted by emea, amer") {
		t.Error(msg)
	}
	for _, id := range []mesh.ClusterID{"emea", "amer"} {
		change(r, id, func(_ *Record, s *Store) {
			s.Entries = append(slices.Clone(s.Entries), Entry{Print: ShortPrint(next.Fingerprint), Subject: string(pub), Ends: next.NotAfter})
		})
	}
	if msg := says(); !strings.Contains(msg, "every peer trusts it already") {
		t.Error(msg)
	}
	if cond, ok := known(m, r).CertificateTrusted(mesh.PeerID{From: "emea", To: "apac"}); !ok || cond.Status != peer.True {
		t.Errorf("what is not served breaks nobody: %+v", cond)
	}
}

// What something on Peerkeeper's way shows, and nobody accepted, makes no old copy
// of the true certificate and is not called a renewal; and before anything is
// uploaded, its fingerprint is compared.
func TestAnUntrustedCertificateOnTheWireIsNotTheNodes(t *testing.T) {
	for _, test := range []struct {
		name    string
		alter   func(s *Served, own *Served)
		trusted bool
	}{
		{"Peerkeeper alone sees it", func(*Served, *Served) {}, false},
		{"a person accepted it", func(s, _ *Served) { s.Pinned = true }, true},
		{"tls.ca vouches for it", func(s, _ *Served) { s.CA = true }, true},
		{"the node names it as its own", func(s, own *Served) { own.Fingerprint = s.Fingerprint }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := certMesh(3, 1, mesh.TCP)
			certs := trusting(m, installed(m))
			node := m.Clusters[1].Publisher
			shown := selfSigned(node, "shown on the way")
			shown.Pinned, shown.First = false, certNoon().Add(-time.Minute)
			var own Served
			test.alter(&shown, &own)
			certs["apac"].Served[node][onRSA] = shown
			r := certs["apac"]
			r.Identity = map[mesh.NodeName]map[string]Served{node: {"tomcat": own}}
			certs["apac"] = r
			v := known(m, certs)

			if got := len(v.formerCopies("emea")) > 0; got != test.trusted {
				t.Errorf("the true one is called an old copy: %v", got)
			}
			cond, ok := v.CertificateTrusted(mesh.PeerID{From: "emea", To: "apac"})
			if !ok || cond.Reason != peer.ExchangePending || strings.Contains(cond.Message, "was renewed") != test.trusted {
				t.Errorf("%v %+v", ok, cond)
			}
			for _, f := range syncing(v, "apac").trustFindings("apac") {
				if strings.HasPrefix(f.Fix, "first compare the fingerprint") == test.trusted {
					t.Errorf("%s: %s", f.Message, f.Fix)
				}
			}
		})
	}
}

// TestTrustUnderTLS: with TLS between the SIP proxies their certificates count,
// of every node.
func TestTrustUnderTLS(t *testing.T) {
	m := certMesh(2, 2, mesh.TLSProto)
	r := trusting(m, installed(m))
	sub := m.Clusters[1].Nodes[1].Name
	cup := selfSigned(sub, "cup of the subscriber")
	change(r, "apac", func(r *Record, _ *Store) {
		r.Ports = map[mesh.NodeName]map[Place]Served{sub: {{Port: "5061", KeyType: "RSA"}: cup}}
	})
	emea := r["emea"]
	emea.Trust["cup-trust"] = Store{Nodes: emea.Trust["tomcat-trust"].Nodes}
	id := mesh.PeerID{From: "emea", To: "apac"}
	if cond, ok := known(m, r).CertificateTrusted(id); !ok || cond.Reason != peer.NotInTrustStore || !strings.Contains(cond.Message, "cup of imp-apac-sub1") {
		t.Errorf("%+v", cond)
	}
	emea.Trust["cup-trust"] = Store{Nodes: emea.Trust["tomcat-trust"].Nodes, Entries: []Entry{{Print: ShortPrint(cup.Fingerprint), Subject: string(sub), Ends: cup.NotAfter}}}
	if cond, ok := known(m, r).CertificateTrusted(id); !ok || cond.Status != peer.True {
		t.Errorf("with it: %+v", cond)
	}
	// The same mesh over TCP asks for none of that.
	for i := range m.Peers {
		m.Peers[i].Protocol = mesh.TCP
	}
	delete(emea.Trust, "cup-trust")
	if cond, ok := known(m, r).CertificateTrusted(id); !ok || cond.Status != peer.True {
		t.Errorf("over TCP: %+v", cond)
	}
}

// FuzzTrust: whatever stands in the store, deriving from it ends, and what is
// not known is never trusted.
func FuzzTrust(f *testing.F) {
	m := certMesh(2, 2, mesh.TLSProto)
	good, err := json.Marshal(trusting(m, installed(m))["emea"])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, good)
	f.Add([]byte(`{"trust":{"tomcat-trust":{"nodes":[{"name":"imp-emea-pub.example.com","read":"2026-06-02T12:00:00Z"}],"held":[{"p":"","s":"","not":[-1,9]}],"vouched":{"x":99},"lacks":{"@":"2026-06-02T12:00:00Z"}}}}`), good)
	f.Add([]byte(`{}`), []byte(`{"served":{"imp-apac-pub.example.com":{"RSA":{"fingerprint":"sha256:"}}}}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var x, y Record
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			return
		}
		certs := map[mesh.ClusterID]Record{"emea": x, "apac": y}
		v := known(m, certs)
		matrix := v.Trust()
		for _, row := range matrix.Rows {
			if cell := matrix.Cell(row, "emea"); (cell.Verdict == Trusted || cell.Verdict == CATrusted) && len(x.Trust[row.Store].Entries) == 0 {
				t.Errorf("%s is trusted by an empty store", row.Fingerprint)
			}
		}
		id := mesh.PeerID{From: "emea", To: "apac"}
		v.CertificateTrusted(id)
		v.Timeline(id)
		v.Copies()
		for _, f := range slices.Concat(v.StoreFindings("emea"), v.Findings("apac")) {
			if f.ID == "" {
				t.Errorf("no id: %+v", f)
			}
		}
	})
}

// cellAt is what emea makes of apac's publisher's RSA certificate.
func (e *exchange) cellAt() Cell {
	matrix := e.view().Trust()
	i := slices.IndexFunc(matrix.Rows, func(r Row) bool { return r.Node == apacPublisher && r.KeyType == "RSA" && !r.Disputed && !r.Pending })
	return matrix.Cell(matrix.Rows[i], "emea")
}

// TestWhatACellTells of apac's publisher's certificate in emea's store, which lacks
// it since yesterday.
func TestWhatACellTells(t *testing.T) {
	print := ShortPrint(print64(string(apacPublisher) + " RSA"))
	store := func(do func(*Store)) func(*exchange) {
		return func(e *exchange) { change(e.certs, "emea", func(_ *Record, s *Store) { do(s) }) }
	}
	for _, c := range []struct {
		name string
		do   func(*exchange)
		want Cell
	}{
		{"missing since it was first known to be", func(*exchange) {}, Cell{Verdict: Missing, Since: certNoon().AddDate(0, 0, -1)}},
		{"missing since the look", store(func(s *Store) { s.Lacks = nil }), Cell{Verdict: Missing, Since: certNoon()}},
		{"it had been there", store(func(s *Store) { s.Taken = []string{print} }), Cell{Verdict: Missing, Since: certNoon().AddDate(0, 0, -1), Taken: true}},
		{"the store lists more than is looked at", store(func(s *Store) { s.Nodes[0].Cut = 1 }), Cell{Verdict: Unknown, Why: peer.ValueTooLong}},
		{"an old copy of it", store(func(s *Store) {
			s.Entries = append(s.Entries, Entry{Print: "old", Subject: "IMP-APAC-pub.example.com", File: "old.pem"})
		}), Cell{Verdict: StaleCopy, Entry: "old.pem", Since: certNoon().AddDate(0, 0, -1)}},
		{"an old copy of its ECDSA twin is none of it", store(func(s *Store) {
			s.Entries = append(s.Entries, Entry{Print: "old", Subject: string(apacPublisher), EC: true})
		}), Cell{Verdict: Missing, Since: certNoon().AddDate(0, 0, -1)}},
		{"a CA of that name is no copy", store(func(s *Store) {
			s.Entries = append(s.Entries, Entry{Print: "old", Subject: string(apacPublisher), CA: true})
		}), Cell{Verdict: Missing, Since: certNoon().AddDate(0, 0, -1)}},
		{"an old copy on the subscriber alone", store(func(s *Store) {
			s.Entries = append(s.Entries, Entry{Print: "old", Subject: string(apacPublisher), Not: []int{0}})
		}), Cell{Verdict: Missing, Since: certNoon().AddDate(0, 0, -1)}},
		{"another node's present certificate of that name is no old copy", func(e *exchange) {
			other := selfSigned(apacPublisher, "of the subscriber")
			e.certs["apac"].Served[apacSubject][onRSA] = other
			e.inStore("emea", other)
		}, Cell{Verdict: Missing, Since: certNoon().AddDate(0, 0, -1)}},
		{"there, and on every node", func(e *exchange) { e.came(time.Hour) }, Cell{Verdict: Trusted, Came: certNoon().Add(-time.Hour)}},
		{"there, and not on the subscriber", func(e *exchange) { e.came(time.Hour, 1) }, Cell{Verdict: Trusted, Came: certNoon().Add(-time.Hour), Lacking: []mesh.NodeName{"imp-emea-sub1.example.com"}}},
		{"there, and the subscriber lists more than is looked at", func(e *exchange) {
			e.came(time.Hour, 1)
			store(func(s *Store) { s.Nodes[1].Cut = 1 })(e)
		}, Cell{Verdict: Trusted, Came: certNoon().Add(-time.Hour)}},
		{"a record that names nodes which are not there", func(e *exchange) { e.came(time.Hour, -1, 2, 1) }, Cell{Verdict: Trusted, Came: certNoon().Add(-time.Hour), Lacking: []mesh.NodeName{"imp-emea-sub1.example.com"}}},
		{"a record that points behind its entries", store(func(s *Store) { s.Vouched = map[string]int{print: len(s.Entries)} }), Cell{Verdict: Missing, Since: certNoon().AddDate(0, 0, -1)}},
		{"a record that points before its entries", store(func(s *Store) { s.Vouched = map[string]int{print: -1} }), Cell{Verdict: Missing, Since: certNoon().AddDate(0, 0, -1)}},
		{"the first CA in the store vouches for it", store(func(s *Store) {
			s.Entries = append([]Entry{{Print: "ca", Subject: "Example CA", CA: true, Ends: certNoon().AddDate(0, 0, 1)}}, s.Entries...)
			s.Vouched = map[string]int{print: 0}
		}), Cell{Verdict: CATrusted, Entry: "Example CA", Ends: certNoon().AddDate(0, 0, 1)}},
		{"the CA that vouches for it ends at this moment", store(func(s *Store) {
			s.Entries = append(s.Entries, Entry{Print: "ca", Subject: "Example CA", CA: true, Ends: certNoon()})
			s.Vouched = map[string]int{print: len(s.Entries) - 1}
		}), Cell{Verdict: Missing, Since: certNoon().AddDate(0, 0, -1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchange()
			c.do(e)
			if diff := cmp.Diff(c.want, e.cellAt()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWhereThereIsNoCell: of a cluster that mesh.yaml lacks, and of a certificate
// that is in no matrix.
func TestWhereThereIsNoCell(t *testing.T) {
	matrix := newExchange().view().Trust()
	if got := matrix.Cell(matrix.Rows[0], "mars"); got.Verdict != "" {
		t.Errorf("%+v", got)
	}
	for _, id := range matrix.Clusters {
		if got := matrix.Cell(Row{}, id); got.Verdict != "" {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

// TestWhichCertificatesPeersNeed: the rows of apac, whose publisher serves RSA alone,
// in short.
func TestWhichCertificatesPeersNeed(t *testing.T) {
	tls := func(from mesh.ClusterID) func(*exchange) {
		return func(e *exchange) {
			for i := range e.m.Peers {
				if e.m.Peers[i].ID.From == from {
					e.m.Peers[i].Protocol = mesh.TLSProto
				}
			}
			r := e.certs["apac"]
			r.Ports = map[mesh.NodeName]map[Place]Served{apacPublisher: {{PortSIPTLS, "RSA"}: selfSigned(apacPublisher, "cup")}}
			e.certs["apac"] = r
		}
	}
	const pub, sub = "imp-apac-pub.example.com tomcat", "imp-apac-sub1.example.com tomcat"
	for _, c := range []struct {
		name string
		do   func(*exchange)
		want []string
	}{
		{"what the nodes serve", func(*exchange) {}, []string{pub, sub}},
		{"what is installed and not served yet too", func(e *exchange) { e.next(func(*Served) {}) }, []string{pub, pub + " pending", sub}},
		{"what is served cannot be read now: whether the other waits is not known", func(e *exchange) {
			e.next(func(*Served) {})
			e.serve(apacPublisher, func(s *Served) { s.Error = "timed out" })
		}, []string{pub, sub}},
		{"what is named was not read now", func(e *exchange) { e.next(func(s *Served) { s.Error = "not read at the last look" }) }, []string{pub, sub}},
		{"nothing was ever served there", func(e *exchange) {
			e.next(func(*Served) {})
			e.serve(apacPublisher, func(s *Served) { *s = Served{} })
		}, []string{sub}},
		{"what is served is not what the node names", func(e *exchange) { e.inBetween() }, []string{pub + " disputed", pub + " told", sub}},
		{"what is served is not what the node names, and both have not been read for long", func(e *exchange) {
			e.inBetween()
			e.serve(apacPublisher, func(s *Served) { s.Error, s.Read = "refused", certNoon().AddDate(0, 0, -9) })
			e.name(having(e.certs["apac"].Identity[apacPublisher]["tomcat"], func(s *Served) { s.Error, s.Read = "refused", certNoon().AddDate(0, 0, -9) }))
		}, []string{sub}},
		{"amer pulls over TLS: SIP's count", tls("amer"), []string{pub, sub, "imp-apac-pub.example.com cup"}},
		{"apac itself pulls over TLS, and nobody from it", tls("apac"), []string{pub, sub}},
		{"SIP's port cannot be read, and certificate management names its certificate", func(e *exchange) {
			tls("emea")(e)
			r := e.certs["apac"]
			r.Ports = nil
			r.Identity[apacPublisher]["cup"] = selfSigned(apacPublisher, "cup by management")
		}, []string{pub, sub, "imp-apac-pub.example.com cup"}},
		{"SIP's port has not been read for long", func(e *exchange) {
			tls("emea")(e)
			e.certs["apac"].Ports[apacPublisher][Place{PortSIPTLS, "RSA"}] = Served{Fingerprint: print64("cup"), Error: "refused", Read: certNoon().AddDate(0, 0, -9)}
			e.certs["apac"].Identity[apacPublisher]["cup"] = selfSigned(apacPublisher, "cup by management")
		}, []string{pub, sub, "imp-apac-pub.example.com cup"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchange()
			c.do(e)
			var got []string
			matrix := e.view().Trust()
			for _, r := range matrix.Of("apac") {
				text := string(r.Node) + " " + r.Service
				for word, is := range map[string]bool{"pending": r.Pending, "disputed": r.Disputed, "told": r.Told} {
					if is {
						text += " " + word
					}
				}
				if emea := matrix.Cell(r, "emea"); r.Store == peer.TomcatTrust && r.Disputed != (emea.Verdict == "") {
					t.Errorf("%s: %+v", text, emea)
				}
				got = append(got, text)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWhoTrustsItVouchesForIt: what Peerkeeper alone has seen and does not trust
// counts as the node's own where a peer trusts it, or its CA.
func TestWhoTrustsItVouchesForIt(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*exchange)
		want bool // nobody vouches for it
	}{
		{"no store holds it", func(e *exchange) {
			change(e.certs, "amer", func(_ *Record, s *Store) { forget(s, print64(string(apacPublisher)+" RSA")) })
		}, true},
		{"amer's store holds it", func(*exchange) {}, false},
		{"amer's store holds its CA", func(e *exchange) {
			e.byCA(false, certNoon().AddDate(1, 0, 0), "amer")
		}, false},
	} {
		e := newExchange()
		e.unnamed()
		c.do(e)
		e.serve(apacPublisher, func(s *Served) { s.Pinned = false })
		rows := e.view().Trust().Of("apac")
		if got := rows[0]; got.Node != apacPublisher || got.Unvouched != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestMissingSince is the latest instant from which a sync over a peer shows that
// what its store lacks is believed all the same.
func TestMissingSince(t *testing.T) {
	at := func(hour int) time.Time { return certNoon().Add(time.Duration(hour-12) * time.Hour) }
	row := func(cluster mesh.ClusterID, verdict Verdict, first, since int) Row {
		return Row{Cluster: cluster, First: at(first), Cells: []Cell{{Verdict: verdict, Since: at(since)}}}
	}
	pending := row("apac", Missing, 11, 11)
	pending.Pending = true
	for _, c := range []struct {
		name string
		rows []Row
		want time.Time
	}{
		{"nothing is missing", []Row{row("apac", Trusted, 8, 9), row("apac", CATrusted, 8, 9), row("apac", Unknown, 8, 9)}, time.Time{}},
		{"known to be missing after it was served", []Row{row("apac", Missing, 1, 3)}, at(3)},
		{"served after it was known to be missing", []Row{row("apac", StaleCopy, 4, 3)}, at(4)},
		{"the last of several", []Row{row("apac", Trusted, 9, 9), row("apac", Missing, 1, 3), row("apac", StaleCopy, 2, 5), row("apac", Missing, 1, 4)}, at(5)},
		{"what is not served yet is met by nobody", []Row{pending, row("apac", Missing, 1, 3)}, at(3)},
		{"another cluster's", []Row{row("amer", Missing, 1, 9), row("apac", Missing, 1, 3)}, at(3)},
	} {
		if got := (Matrix{Clusters: []mesh.ClusterID{"emea"}, Rows: c.rows}).missingSince(emeaApac()); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
