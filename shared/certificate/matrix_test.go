package certificate

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"peerkeeper/shared/peer"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
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
		// want is emea's verdict on apac's publisher, RSA then ECDSA.
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
	for setting, want := range map[string]peer.Reason{"t": peer.ExchangePending, "f": peer.StaleCopy} {
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

func TestStoreFindings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Store)
		want   string
	}{
		{"as it should be", func(*Store) {}, ""},
		{"a CA-signed leaf", func(s *Store) { s.Entries[0].Signed = true }, "CASignedLeafInTrustStore info"},
		{"two CAs of one name and different keys", func(s *Store) {
			for _, k := range []string{"a", "b"} {
				s.Entries = append(s.Entries, Entry{Print: k, Key: k, Subject: "Example CA", CA: true, Ends: certNoon().AddDate(5, 0, 0)})
			}
		}, "CAConflict critical"},
		{"a CA and its renewed certificate, one key", func(s *Store) {
			for _, p := range []string{"a", "b"} {
				s.Entries = append(s.Entries, Entry{Print: p, Key: "k", Subject: "Example CA", CA: true, Ends: certNoon().AddDate(5, 0, 0)})
			}
		}, ""},
		{"two CAs of one name, one of them long over", func(s *Store) {
			for i, k := range []string{"a", "b"} {
				s.Entries = append(s.Entries, Entry{Print: k, Key: k, Subject: "Example CA", CA: true, Ends: certNoon().AddDate(3*i-1, 0, 0)})
			}
		}, ""},
		{"a CA that a peer hangs on ends in ten days", func(s *Store) {
			s.Entries = append(s.Entries, Entry{Print: "ca", Key: "k", Subject: "Example CA", CA: true, Ends: certNoon().AddDate(0, 0, 10)})
			s.Vouched = map[string]int{"leaf": len(s.Entries) - 1}
		}, "TrustedCAExpires warning"},
		{"one that nobody hangs on", func(s *Store) {
			s.Entries = append(s.Entries, Entry{Print: "ca", Key: "k", Subject: "Example CA", CA: true, Ends: certNoon().AddDate(0, 0, 10)})
		}, ""},
		{"not replicated, for half an hour", func(s *Store) {
			s.Entries[0].Not = []int{1}
			s.Lacks = map[string]time.Time{LackOn(s.Entries[0].Print, 1): certNoon().Add(-30 * time.Minute)}
		}, ""},
		{"not replicated, for two hours", func(s *Store) {
			s.Entries[0].Not = []int{1}
			s.Lacks = map[string]time.Time{LackOn(s.Entries[0].Print, 1): certNoon().Add(-2 * time.Hour)}
		}, "NotReplicated warning"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := certMesh(2, 2, mesh.TCP)
			r := trusting(m, installed(m))
			change(r, "emea", func(_ *Record, s *Store) { s.Entries = slices.Clone(s.Entries); c.change(s) })
			var got []string
			for _, f := range r["emea"].ownStores([]int{28, 14, 7}, certNoon()) {
				got = append(got, string(f.Reason)+" "+f.Severity)
				if f.Fix == "" || strings.Contains(f.Fix, "{") || f.ID == "" {
					t.Errorf("finding without an id, or a fix that is not filled in: %+v", f)
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("%v, want %q", got, c.want)
			}
		})
	}
}

// TestFormerCertificatesAreListed: they are named, and nothing more.
func TestFormerCertificatesAreListed(t *testing.T) {
	m := certMesh(2, 1, mesh.TCP)
	r := trusting(m, installed(m))
	change(r, "emea", func(_ *Record, s *Store) {
		s.Entries = append(slices.Clone(s.Entries), Entry{Print: "old", Subject: "imp-apac-pub.example.com", File: "imp-apac-pub.old.pem", Ends: certNoon()})
	})
	got := known(m, r).formerCopies("emea")
	if len(got) != 1 || got[0].Reason != SameSubjectOther || !strings.Contains(got[0].Message, "imp-apac-pub.old.pem") {
		t.Errorf("%+v", got)
	}
	if got := known(m, r).formerCopies("apac"); len(got) != 0 {
		t.Errorf("apac holds no former one: %+v", got)
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

// TestTableOfFindings: every row has all that a person needs, and every reason
// one row.
func TestTableOfFindings(t *testing.T) {
	seen := map[peer.Reason]bool{}
	for _, k := range Kinds() {
		if k.Reason == "" || k.Means == "" || k.Fix == "" || !slices.Contains([]string{"critical", "warning", "info"}, k.Severity) || seen[k.Reason] {
			t.Errorf("row %+v", k)
		}
		seen[k.Reason] = true
		f := NewFinding(k.Reason, "imp-emea-pub.example.com", "ECDSA", "", "said")
		if want := string(k.Reason) + ":imp-emea-pub.example.com:ECDSA"; f.ID != want || strings.ContainsAny(f.Fix, "{}") || f.Message != "said" {
			t.Errorf("finding %+v, want id %s and a fix that is filled in", f, want)
		}
	}
}

// TestOneCertificateOneNotice: one certificate on six nodes is one finding with
// one id while node after node is renewed, and it rises as time runs out.
func TestOneCertificateOneNotice(t *testing.T) {
	nodes := certMesh(1, 6, mesh.TCP).Clusters[0].Nodes
	old := selfSigned("imp-emea-ms.example.com", "multi-server")
	old.MultiServer = true
	r := Record{Served: map[mesh.NodeName]map[Place]Served{}}
	for _, n := range nodes {
		r.Served[n.Name] = map[Place]Served{onRSA: old}
	}
	ids := map[string]bool{}
	for _, left := range []struct {
		days     int
		severity string
	}{{20, "warning"}, {10, "warning"}, {5, "critical"}} {
		got := knownAt(certMesh(1, 1, mesh.TCP), map[mesh.ClusterID]Record{"emea": r}, old.NotAfter.AddDate(0, 0, -left.days)).Findings("emea")
		if len(got) != 1 || got[0].Severity != left.severity || !strings.Contains(got[0].Message, "and 3 more") {
			t.Fatalf("%d days before: %+v", left.days, got)
		}
		ids[got[0].ID] = true
	}
	renewed := selfSigned("imp-emea-ms.example.com", "the new one")
	renewed.NotAfter = old.NotAfter.AddDate(5, 0, 0)
	for i, n := range nodes[:5] {
		r.Served[n.Name] = map[Place]Served{onRSA: renewed}
		got := knownAt(certMesh(1, 1, mesh.TCP), map[mesh.ClusterID]Record{"emea": r}, old.NotAfter.AddDate(0, 0, -5)).Findings("emea")
		if len(got) != 1 {
			t.Fatalf("%d of 6 renewed: %+v", i+1, got)
		}
		ids[got[0].ID] = true
	}
	if len(ids) != 1 {
		t.Errorf("one renewal, %d notices: %v", len(ids), ids)
	}
	r.Served[nodes[5].Name] = map[Place]Served{onRSA: renewed}
	if got := knownAt(certMesh(1, 1, mesh.TCP), map[mesh.ClusterID]Record{"emea": r}, old.NotAfter.AddDate(0, 0, -5)).Findings("emea"); len(got) != 0 {
		t.Errorf("all renewed: %+v", got)
	}
}

func TestNotYetValid(t *testing.T) {
	s := selfSigned("imp-emea-pub.example.com", "tomorrow's")
	s.NotBefore = certNoon().Add(24 * time.Hour)
	got := known(certMesh(2, 1, mesh.TCP), map[mesh.ClusterID]Record{"emea": {Served: map[mesh.NodeName]map[Place]Served{"imp-emea-pub.example.com": {onRSA: s}}}}).Findings("emea")
	if len(got) != 1 || got[0].Reason != CertificateNotYetValid || got[0].Severity != "critical" {
		t.Errorf("%+v", got)
	}
}

// TestTimelineOrder: whatever is renewed, the new certificate is made before it
// is trusted, trusted everywhere and pinned before it is served, and served
// before that is verified.
func TestTimelineOrder(t *testing.T) {
	order := []Phase{PhaseMake, PhaseTrust, PhasePin, PhaseCheck, PhaseServe, PhaseVerify}
	for _, c := range []struct {
		name   string
		issuer string
		multi  bool
		proto  mesh.Protocol
	}{
		{"self-signed", "", false, mesh.TCP},
		{"CA-signed", "Example CA", false, mesh.TCP},
		{"CA-signed multi-server", "Example CA", true, mesh.TCP},
		{"self-signed, SIP over TLS", "", false, mesh.TLSProto},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := certMesh(4, 3, c.proto)
			served := installed(m)
			for _, n := range m.Clusters[1].Nodes {
				s := served[n.Name][onRSA]
				if c.issuer != "" {
					s = caSigned(n.Name, "ca "+string(n.Name), c.issuer)
				}
				if c.multi {
					s.Fingerprint = print64("one for all")
				}
				served[n.Name][onRSA] = s
			}
			r := trusting(m, served)
			if c.proto == mesh.TLSProto {
				change(r, "apac", func(r *Record, _ *Store) {
					r.Ports = map[mesh.NodeName]map[Place]Served{}
					for _, n := range m.Clusters[1].Nodes {
						r.Ports[n.Name] = map[Place]Served{{Port: "5061", KeyType: "RSA"}: selfSigned(n.Name, string(n.Name)+" cup")}
					}
				})
			}
			tl := known(m, r).Timeline(mesh.PeerID{From: "emea", To: "apac"})
			cup := slices.DeleteFunc(slices.Clone(tl.Plans), func(p RenewalPlan) bool { return p.Service != "cup" })
			want := 0
			if c.proto == mesh.TLSProto {
				want = 3
			}
			if len(cup) != want {
				t.Errorf("%d plans of cup, want %d", len(cup), want)
			}
			// The stores of cup are not read here, those of tomcat are.
			if unread := len(tl.Unread) > 0; unread != (c.proto == mesh.TLSProto) {
				t.Errorf("unread: %q", tl.Unread)
			}
			if e, ok := tl.Breaks(); !ok || e.Node != m.Clusters[1].Publisher {
				t.Errorf("breaks by %+v", e)
			}
			if !slices.IsSortedFunc(tl.Events, func(a, b Event) int { return a.At.Compare(b.At) }) {
				t.Error("events are not in the order of time")
			}
			if c.multi && len(tl.Plans) != 1+3 {
				t.Errorf("%d plans, want one RSA for three nodes and three ECDSA", len(tl.Plans))
			}
			for _, p := range tl.Plans {
				last := -1
				told := map[Phase]int{}
				for _, s := range p.Steps {
					at := slices.Index(order, s.Phase)
					if at < last {
						t.Errorf("%s %s: %s comes after %s", p.Node, p.Service, s.Phase, order[last])
					}
					last = at
					told[s.Phase]++
					if s.By.After(p.NotAfter) || s.Do == "" {
						t.Errorf("step %+v of a certificate that ends %s", s, p.NotAfter)
					}
				}
				for _, phase := range order {
					// Peerkeeper itself logs in over tomcat alone.
					if (told[phase] == 0) != (phase == PhasePin && p.Service == "cup") {
						t.Errorf("%s %s: %d steps %s", p.Node, p.Service, told[phase], phase)
					}
				}
				trust := 0
				for _, s := range p.Steps {
					if s.Phase == PhaseTrust && strings.Contains(s.Do, "Upload") {
						trust++
						if p.Service == "tomcat" && c.issuer != "" && !strings.Contains(s.Do, "never the leaf") {
							t.Errorf("a CA-signed leaf is copied: %s", s.Do)
						}
					}
				}
				if trust != 3 {
					t.Errorf("%s: trusted by %d clusters, want every one of 3", p.Node, trust)
				}
				if !p.Start.Before(p.Trust) || !p.Trust.Before(p.Serve) || !p.Serve.Before(p.NotAfter) {
					t.Errorf("start %s, trust %s, serve %s, end %s", p.Start, p.Trust, p.Serve, p.NotAfter)
				}
			}
		})
	}
}

// TestTimelineSaysWhatIsUnread, whatever else is known to be missing.
func TestTimelineSaysWhatIsUnread(t *testing.T) {
	m := certMesh(2, 2, mesh.TLSProto)
	r := trusting(m, installed(m))
	sub := m.Clusters[1].Nodes[1].Name
	change(r, "apac", func(r *Record, _ *Store) {
		r.Ports = map[mesh.NodeName]map[Place]Served{sub: {{Port: "5061", KeyType: "RSA"}: selfSigned(sub, "cup")}}
	})
	change(r, "emea", func(_ *Record, s *Store) { s.Entries = nil })
	if tl := known(m, r).Timeline(mesh.PeerID{From: "emea", To: "apac"}); len(tl.Unread) != 1 || !strings.Contains(tl.Unread[0], "trust store is not read") {
		t.Errorf("cup-trust was never read, and tomcat-trust lacks all: %q", tl.Unread)
	}
}

// TestTimelineFollowsTheWork: what certcheck has seen done is marked so.
func TestTimelineFollowsTheWork(t *testing.T) {
	m := certMesh(3, 1, mesh.TCP)
	r := trusting(m, installed(m))
	pub := m.Clusters[1].Publisher
	next := selfSigned(pub, "next")
	change(r, "apac", func(r *Record, _ *Store) {
		r.Identity = map[mesh.NodeName]map[string]Served{pub: {"tomcat": next}}
	})
	change(r, "emea", func(_ *Record, s *Store) {
		s.Entries = append(slices.Clone(s.Entries), Entry{Print: ShortPrint(next.Fingerprint), Subject: string(pub), Ends: next.NotAfter})
	})
	tl := known(m, r).Timeline(mesh.PeerID{From: "emea", To: "apac"})
	done := map[mesh.ClusterID]bool{}
	pinned := ""
	for _, p := range tl.Plans {
		for _, s := range p.Steps {
			if p.Service == "tomcat" && s.Phase == PhaseTrust && strings.Contains(s.Do, "Upload") {
				done[s.Cluster] = s.Done
			}
			if p.Service == "tomcat" && s.Phase == PhasePin {
				pinned = s.Do
			}
		}
	}
	if diff := cmp.Diff(map[mesh.ClusterID]bool{"emea": true, "amer": false}, done); diff != "" {
		t.Errorf("trusted already (-want +got): %s", diff)
	}
	if !strings.Contains(pinned, next.Fingerprint) {
		t.Errorf("the pin to accept is not named: %s", pinned)
	}
}

func TestTimelineUnread(t *testing.T) {
	m := certMesh(2, 1, mesh.TCP)
	tl := known(m, map[mesh.ClusterID]Record{}).Timeline(mesh.PeerID{From: "emea", To: "apac"})
	if len(tl.Events)+len(tl.Plans) != 0 || len(tl.Unread) == 0 {
		t.Errorf("%+v", tl)
	}
	if b, err := json.Marshal(tl); err != nil || !strings.Contains(string(b), `"events":[]`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestMajor(t *testing.T) {
	for release, want := range map[string]int{"14.0.1SU3": 14, "12.5": 12, "11.5.1.13900-52": 11, "15": 15} {
		if got, ok := Major(release); !ok || got != want {
			t.Errorf("%s: %d", release, got)
		}
	}
	for _, release := range []string{"", "SU3", "next"} {
		if _, ok := Major(release); ok {
			t.Errorf("%q has a release", release)
		}
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
