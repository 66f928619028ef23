package peer

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

const forged = "x\nNext step: call\x1b[2J\x00\u202e\u200b\xff"

func checkFinding(t *testing.T, f Finding) {
	t.Helper()
	for what, text := range map[string]string{"id": f.ID, "message": f.Message, "fix": f.Fix, "node": string(f.Node), "reason": string(f.Reason)} {
		if !plain.Clean(text) || utf8.RuneCountInString(text) > maxSaid {
			t.Errorf("%s of %s: %+.300q", what, f.Reason, text)
		}
	}
	if strings.Contains(f.Message, "Next step:") {
		t.Errorf("a finding says what to do next: %q", f.Message)
	}
}

func TestFindingsOnCertificatesAreCleanWhateverTheCertificatesSay(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for name, text := range map[string]string{"hostile": forged, "long": strings.Repeat(forged, 5000)} {
		t.Run(name, func(t *testing.T) {
			r := CertClusterRecord{At: now, Served: map[mesh.NodeName]map[string]Served{}, Findings: []Finding{{ID: text, Message: text, Fix: text, Reason: Reason(text), Severity: "info"}}}
			// Every date on which something is said of the leaf, of its chain or of the root.
			for i, ends := range []time.Duration{-time.Hour, 24 * time.Hour, 10 * 24 * time.Hour, 4000 * time.Hour} {
				for j, begins := range []time.Duration{-time.Hour, time.Hour} {
					s := Served{Subject: "CN=" + text, Issuer: "CN=" + text, Fingerprint: fmt.Sprintf("sha256:%d%d", i, j), NotBefore: now.Add(begins), NotAfter: now.Add(ends), First: now.Add(-time.Hour)}
					s.RootBy, s.RootEnds = "CN="+text, now.Add(ends)
					r.Served[mesh.NodeName(fmt.Sprintf("imp-%d-%d.example.com", i, j))] = map[string]Served{"RSA": s}
				}
			}
			r.Trust = map[string]TrustStore{TomcatTrust: {Entries: []Trusted{
				{Print: "a", Subject: text, CA: true, Key: "1", Ends: now.Add(time.Hour)}, {Print: "b", Subject: text, CA: true, Key: "2", Ends: now.Add(time.Hour)},
				{Print: "c", Subject: text, Signed: true, File: text, Ends: now.Add(time.Hour)},
			}, Vouched: map[string]int{"z": 0}}}
			said := map[Reason]bool{}
			for _, f := range CertFindings(r, []int{28, 14, 7}, now) {
				said[f.Reason] = true
				checkFinding(t, f)
			}
			for _, f := range StoreFindings(r, []int{28, 14, 7}, now) {
				said[f.Reason] = true
				checkFinding(t, f.Composed()) // certcheck's way in
			}
			for _, want := range []Reason{CertificateExpired, CertificateExpiring, CertificateNotYetValid, PeerkeeperGoesBlind, CAConflict, CAExpires, LeafInStore} {
				if !said[want] {
					t.Errorf("nothing proved of %s: %v", want, said)
				}
			}
		})
	}
}

func TestAConditionIsCleanHoweverItIsWordedAndWhoeverStoredIt(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	c := Set(Condition{}, Condition{Type: UsersMatch, Status: False, Message: forged}, now)
	if !plain.Clean(c.Message) || strings.Contains(c.Message, "Next step:") {
		t.Errorf("%+q", c.Message)
	}
	// As an earlier release stored it.
	m := &mesh.Mesh{Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}}
	v := &View{Now: now, Tick: 5 * time.Minute, Mesh: m}
	old := SyncRecord{Conditions: []Condition{{Type: UsersMatch, Status: False, Message: forged}}}
	for _, c := range Conditions(v, mesh.PeerID{From: "emea", To: "apac"}, old, CertRecord{}) {
		if !plain.Clean(c.Message) || strings.Contains(c.Message, "Next step:") {
			t.Errorf("%s: %+q", c.Type, c.Message)
		}
	}
}

func TestUsersThatDifferAreNamedTenAndTheRestCounted(t *testing.T) {
	n := &Named{More: 5}
	for i := range 20 {
		n.Missing = append(n.Missing, fmt.Sprintf("user%02d", i))
	}
	n.Extra = []string{"eve\nNext step: x"}
	want := `; missing: user00, user01, user02, user03, user04, user05, user06, user07, user08, user09; too many: "eve\nNext step: x", and 15 more`
	if got := names(n); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
