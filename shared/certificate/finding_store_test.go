package certificate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

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
				got = append(got, string(f.Reason)+" "+string(f.Severity))
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

// TestWhatTheStoresOfAClusterSay where they are read, and nothing where they are not;
// the other findings on its certificates come beside.
func TestWhatTheStoresOfAClusterSay(t *testing.T) {
	e := newExchange()
	change(e.certs, "apac", func(_ *Record, s *Store) {
		s.Entries[0].Signed = true
		s.Entries = append(s.Entries, Entry{Print: "old", Subject: "imp-emea-pub.example.com", File: "old.pem", Ends: certNoon()})
	})
	reasons := func() (out []string) {
		for _, f := range e.view().StoreFindings("apac") {
			out = append(out, string(f.Reason))
		}
		return out
	}
	if got, want := reasons(), []string{"CASignedLeafInTrustStore", "SameSubjectOtherKey", "NotTrustedByPeers"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	change(e.certs, "apac", func(r *Record, _ *Store) { r.Trust = nil })
	if got, want := reasons(), []string{"NotTrustedByPeers"}; !slices.Equal(got, want) {
		t.Errorf("not read: %v, want %v", got, want)
	}
}

// TestStoresInNumbers: what is counted in a store, and of whom.
func TestStoresInNumbers(t *testing.T) {
	ca := Entry{Print: "ca", Key: "k", Subject: "Example CA", CA: true, Ends: certNoon().AddDate(0, 0, 10)}
	for _, c := range []struct {
		name string
		do   func(*Store)
		want string
	}{
		{"more entries than are looked at", func(s *Store) { s.Nodes[1].Cut = 7 }, "ValueTooLong: tomcat-trust of imp-emea-sub1.example.com lists more entries than are looked at (7 more): what is not found among the others is not known to be missing"},
		{"empty entries", func(s *Store) { s.Nodes[0].Empty = 3 }, "EmptyTrustStoreEntries: tomcat-trust of imp-emea-pub.example.com lists entries with an empty certificate (3): nothing is there, and the others count"},
		{"a CA that two hang on", func(s *Store) {
			s.Entries, s.Vouched = []Entry{ca}, map[string]int{"a": 0, "b": 0}
		}, "TrustedCAExpires: the CA Example CA in tomcat-trust expires on 2026-06-12 12:00 UTC, in less than 14 days; it vouches for 2 certificates of peers"},
		{"another CA is hung on", func(s *Store) {
			s.Entries, s.Vouched = []Entry{ca, {Print: "lasting", Subject: "Example CA 2", CA: true, Ends: certNoon().AddDate(9, 0, 0)}}, map[string]int{"a": 1}
		}, ""},
		{"a record that points where nothing is", func(s *Store) {
			s.Entries, s.Vouched = []Entry{ca}, map[string]int{"a": 1, "b": -1, "c": 0}
		}, "TrustedCAExpires: the CA Example CA in tomcat-trust expires on 2026-06-12 12:00 UTC, in less than 14 days; it vouches for 1 certificates of peers"},
		{"a leaf that ends, and for which it is not a CA", func(s *Store) {
			s.Entries, s.Vouched = []Entry{{Print: "leaf", Subject: "imp-x", Ends: certNoon().AddDate(0, 0, 10)}}, map[string]int{"a": 0}
		}, ""},
		{"two names of CAs, one key each", func(s *Store) {
			s.Entries = []Entry{{Print: "a", Key: "1", Subject: "CA 1", CA: true, Ends: certNoon().AddDate(9, 0, 0)}, {Print: "b", Key: "2", Subject: "CA 2", CA: true, Ends: certNoon().AddDate(9, 0, 0)}}
		}, ""},
		{"three CAs of one name", func(s *Store) {
			for _, k := range []string{"a", "b", "c"} {
				s.Entries = append(s.Entries, Entry{Print: k, Key: k, Subject: "Example CA", CA: true, Ends: certNoon().AddDate(9, 0, 0)})
			}
		}, "CAConflict: tomcat-trust holds CA certificates named Example CA with 3 different keys"},
		{"not replicated for an hour", func(s *Store) {
			s.Entries[0].Not = []int{1}
			s.Lacks = map[string]time.Time{LackOn(s.Entries[0].Print, 1): certNoon().Add(-time.Hour)}
		}, "NotReplicated: tomcat-trust of imp-emea-sub1.example.com lacks 1 certificates that other nodes of the cluster hold: imp-emea-pub.example.com"},
		{"the first node lacks one", func(s *Store) {
			s.Entries[0].Not = []int{0}
			s.Lacks = map[string]time.Time{LackOn(s.Entries[0].Print, 0): certNoon().Add(-time.Hour)}
		}, "NotReplicated: tomcat-trust of imp-emea-pub.example.com lacks 1"},
		{"a record that names nodes which are not there", func(s *Store) {
			s.Entries[0].Not = []int{-1, 2}
			s.Lacks = map[string]time.Time{LackOn(s.Entries[0].Print, -1): certNoon().Add(-2 * time.Hour), LackOn(s.Entries[0].Print, 2): certNoon().Add(-2 * time.Hour)}
		}, ""},
	} {
		m := certMesh(2, 2, mesh.TCP)
		r := trusting(m, installed(m))
		change(r, "emea", func(_ *Record, s *Store) { s.Entries = slices.Clone(s.Entries); c.do(s) })
		var got []string
		for _, f := range r["emea"].ownStores([]int{28, 14, 7}, certNoon()) {
			got = append(got, string(f.Reason)+": "+f.Message)
		}
		if s := strings.Join(got, "; "); !strings.HasPrefix(s, c.want) || len(got) > 1 || c.want == "" && s != "" {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
}

// TestWhatIsAFormerCertificate of a node, and what is none.
func TestWhatIsAFormerCertificate(t *testing.T) {
	const node = "imp-apac-pub.example.com"
	old := Entry{Print: "old", Subject: strings.ToUpper(node), File: "old.pem", Ends: certNoon()}
	for _, c := range []struct {
		name string
		do   func(*exchange, *Store)
		want string
	}{
		{"one of the same name", func(_ *exchange, s *Store) { s.Entries = append(s.Entries, old) }, "tomcat-trust holds 1 former certificates of nodes that have another now: IMP-APAC-PUB.EXAMPLE.COM (old.pem, to 2026-06-02 12:00 UTC)"},
		{"without a file", func(_ *exchange, s *Store) { s.Entries = append(s.Entries, Entry{Print: "old", Subject: node}) }, "tomcat-trust holds 1 former certificates of nodes that have another now: imp-apac-pub.example.com (old, to"},
		{"a CA of that name", func(_ *exchange, s *Store) {
			s.Entries = append(s.Entries, Entry{Print: "old", Subject: node, CA: true})
		}, ""},
		{"one of a name that no node has", func(_ *exchange, s *Store) { s.Entries = append(s.Entries, Entry{Print: "old", Subject: "imp-mars"}) }, ""},
		{"what is served may be something on Peerkeeper's way, and this the node's own", func(e *exchange, s *Store) {
			e.unnamed()
			e.serve(apacPublisher, func(s *Served) { s.Pinned, s.Fingerprint = false, print64("on the way") })
			s.Entries = append(s.Entries, old)
		}, ""},
		{"the same, and an ECDSA one of that name", func(e *exchange, s *Store) {
			e.unnamed()
			e.serve(apacPublisher, func(s *Served) { s.Pinned, s.Fingerprint = false, print64("on the way") })
			ec := old
			ec.EC = true
			s.Entries = append(s.Entries, ec)
		}, "tomcat-trust holds 1 former"},
		{"in the second store, where the first has none", func(e *exchange, s *Store) {
			change(e.certs, "emea", func(r *Record, _ *Store) { r.Trust["cup-trust"] = Store{} })
			s.Entries = append(s.Entries, old)
		}, "tomcat-trust holds 1 former"},
	} {
		e := newExchange()
		e.came(48 * time.Hour)
		for _, id := range []mesh.ClusterID{"amer"} { // nobody else vouches for what is served
			change(e.certs, id, func(r *Record, _ *Store) { r.Trust = nil })
		}
		change(e.certs, "emea", func(_ *Record, s *Store) {
			forget(s, print64(node+" RSA"))
			c.do(e, s)
		})
		got := ""
		for _, f := range e.view().formerCopies("emea") {
			got += f.Message
		}
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
