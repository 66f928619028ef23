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
