package certificate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

func TestFindingsByDate(t *testing.T) {
	served := func(change func(s *Served)) Record {
		s := Served{Fingerprint: "sha256:00", Subject: "CN=imp-apac-pub.example.com", NotAfter: certNoon().AddDate(1, 0, 0), Read: certNoon().Add(-time.Hour)}
		change(&s)
		return Record{At: certNoon(), Served: map[mesh.NodeName]map[Place]Served{apacPublisher: {onRSA: s}}}
	}
	in := func(days float64) func(*Served) {
		return func(s *Served) { s.NotAfter = certNoon().Add(time.Duration(days * 24 * float64(time.Hour))) }
	}
	for _, c := range []struct {
		name   string
		change func(*Served)
		want   string
		since  time.Time
	}{
		{"a year", func(*Served) {}, "", time.Time{}},
		{"28 days and a bit", in(28.1), "", time.Time{}},
		{"28 days", in(28), "CertificateExpiring less than 28 days", certNoon()},
		{"10 days", in(10), "CertificateExpiring less than 14 days", certNoon().AddDate(0, 0, -4)},
		{"6 days", in(6), "CertificateExpiring less than 7 days", certNoon().AddDate(0, 0, -1)},
		{"this instant", in(0), "CertificateExpired", certNoon()},
		{"expired, and still readable", in(-3), "CertificateExpired", certNoon().AddDate(0, 0, -3)},
		{"expired, unread since this morning", func(s *Served) { in(-0.1)(s); s.Error, s.Read = "refused", certNoon().Add(-6*time.Hour) }, "CertificateExpired", certNoon().Add(-2*time.Hour - 24*time.Minute)},
		{"would have expired, but it may have been renewed while nobody could look", func(s *Served) { in(-0.1)(s); s.Error, s.Read = "refused", certNoon().Add(-48*time.Hour) }, "", time.Time{}},
		{"never read", func(s *Served) { *s = Served{Error: "refused"} }, "", time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := known(certMesh(2, 1, mesh.TCP), map[mesh.ClusterID]Record{"apac": served(c.change)}).Findings("apac")
			if c.want == "" {
				if len(got) != 0 {
					t.Errorf("found %+v", got)
				}
				return
			}
			reason, says, _ := strings.Cut(c.want, " ")
			if len(got) != 1 || string(got[0].Reason) != reason || !strings.Contains(got[0].Message, says) || !got[0].Since.Equal(c.since) {
				t.Errorf("%+v, want %s since %s", got, c.want, c.since)
			}
		})
	}
}

// forgedName is what somebody may write into a certificate so that it passes for
// Peerkeeper's words.
const forgedName = "x\nNext step: call\x1b[2J\x00\u202e\u200b\xff"

// saidMost is the longest message that is ever shown, in runes.
const saidMost = 1500

func checkFinding(t *testing.T, f peer.Finding) {
	t.Helper()
	for what, text := range map[string]string{"id": string(f.ID), "message": f.Message, "fix": f.Fix, "node": string(f.Node), "reason": string(f.Reason)} {
		if !plain.Clean(text) || utf8.RuneCountInString(text) > saidMost {
			t.Errorf("%s of %s: %+.300q", what, f.Reason, text)
		}
	}
	if strings.Contains(f.Message, "Next step:") {
		t.Errorf("a finding says what to do next: %q", f.Message)
	}
}

func TestFindingsOnCertificatesAreCleanWhateverTheCertificatesSay(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for name, text := range map[string]string{"hostile": forgedName, "long": strings.Repeat(forgedName, 5000)} {
		t.Run(name, func(t *testing.T) {
			r := Record{At: now, Served: map[mesh.NodeName]map[Place]Served{}, Findings: []peer.Finding{{ID: peer.FindingID(text), Message: text, Fix: text, Reason: peer.Reason(text), Severity: "info"}}}
			// Every date on which something is said of the leaf, of its chain or of the root.
			for i, ends := range []time.Duration{-time.Hour, 24 * time.Hour, 10 * 24 * time.Hour, 4000 * time.Hour} {
				for j, begins := range []time.Duration{-time.Hour, time.Hour} {
					s := Served{Subject: "CN=" + text, Issuer: "CN=" + text, Fingerprint: fmt.Sprintf("sha256:%d%d", i, j), NotBefore: now.Add(begins), NotAfter: now.Add(ends), First: now.Add(-time.Hour)}
					s.RootBy, s.RootEnds = "CN="+text, now.Add(ends)
					r.Served[mesh.NodeName(fmt.Sprintf("imp-%d-%d.example.com", i, j))] = map[Place]Served{onRSA: s}
				}
			}
			r.Trust = map[string]Store{peer.TomcatTrust: {Entries: []Entry{
				{Print: "a", Subject: text, CA: true, Key: "1", Ends: now.Add(time.Hour)}, {Print: "b", Subject: text, CA: true, Key: "2", Ends: now.Add(time.Hour)},
				{Print: "c", Subject: text, Signed: true, File: text, Ends: now.Add(time.Hour)},
			}, Vouched: map[string]int{"z": 0}}}
			said := map[peer.Reason]bool{}
			for _, f := range knownAt(certMesh(2, 1, mesh.TCP), map[mesh.ClusterID]Record{"apac": r}, now).Findings("apac") {
				said[f.Reason] = true
				checkFinding(t, f)
			}
			for _, f := range r.ownStores([]int{28, 14, 7}, now) {
				said[f.Reason] = true
				checkFinding(t, f.Composed()) // certcheck's way in
			}
			for _, want := range []peer.Reason{peer.CertificateExpired, peer.CertificateExpiring, CertificateNotYetValid, PeerkeeperGoesBlind, CAConflict, CAExpires, LeafInStore} {
				if !said[want] {
					t.Errorf("nothing proved of %s: %v", want, said)
				}
			}
		})
	}
}

// What certcheck reads over a node's own port tells peersync that the node is
// there; a look that failed tells nothing.
func TestLastReadIsTheLastLookThatSucceeded(t *testing.T) {
	r := Record{Served: map[mesh.NodeName]map[Place]Served{
		apacPublisher: {onRSA: {Read: certNoon().Add(-2 * time.Hour)}, onECDSA: {Read: certNoon().Add(-time.Hour), Error: "Refused"}},
		apacSubject:   {onRSA: {Read: certNoon(), Error: "Refused"}},
	}}
	got := r.LastRead()
	if at := got[apacPublisher]; !at.Equal(certNoon().Add(-2 * time.Hour)) {
		t.Errorf("the publisher was read at %s", at)
	}
	if at, ok := got[apacSubject]; ok {
		t.Errorf("a node that could not be read counts as read at %s", at)
	}
}

// TestTableOfFindings: every row has all that a person needs, and every reason
// one row.
func TestTableOfFindings(t *testing.T) {
	seen := map[peer.Reason]bool{}
	for _, k := range Kinds() {
		if k.Reason == "" || k.Means == "" || k.Fix == "" || !slices.Contains([]peer.Severity{peer.Critical, peer.Warning, peer.Info}, k.Severity) || seen[k.Reason] {
			t.Errorf("row %+v", k)
		}
		seen[k.Reason] = true
		f := NewFinding(k.Reason, "imp-emea-pub.example.com", "ECDSA", "", "said")
		if want := peer.IDOf(k.Reason, "imp-emea-pub.example.com", "ECDSA"); f.ID != want || strings.ContainsAny(f.Fix, "{}") || f.Message != "said" {
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
	ids := map[peer.FindingID]bool{}
	for _, left := range []struct {
		days     int
		severity peer.Severity
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
