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

// TestWhatToClickIsFilledIn with the node, the identity, its store and what serves it.
func TestWhatToClickIsFilledIn(t *testing.T) {
	const node = mesh.NodeName("imp-emea-pub.example.com")
	for _, c := range []struct {
		name string
		f    peer.Finding
		says string
	}{
		{"RSA", NewFinding(peer.CertificateExpiring, node, "RSA", "", ""), "on imp-emea-pub.example.com, "},
		{"RSA: its identity", NewFinding(peer.CertificateExpiring, node, "RSA", "", ""), "> tomcat: generate"},
		{"ECDSA: its identity", NewFinding(peer.CertificateExpiring, node, "ECDSA", "", ""), "> tomcat-ECDSA: generate"},
		{"ECDSA: its store", NewFinding(peer.CertificateExpiring, node, "ECDSA", "", ""), "every peer cluster's tomcat-trust"},
		{"XMPP: its identity", NewFinding(peer.CertificateExpiring, node, "ECDSA", "cup-xmpp-ECDSA", ""), "> cup-xmpp-ECDSA: generate"},
		{"XMPP: its store", NewFinding(peer.CertificateExpiring, node, "RSA", "cup-xmpp", ""), "every peer cluster's cup-xmpp-trust"},
		{"XMPP: what serves it", NewFinding(peer.CertificateExpiring, node, "RSA", "cup-xmpp", ""), "restart of Cisco XCP Router"},
		{"SIP: what serves it", NewFinding(peer.CertificateExpiring, node, "RSA", "cup", ""), "restart of Cisco SIP Proxy and Cisco Presence Engine"},
		{"of no node", NewFinding(CAConflict, "", "", "tomcat", ""), "stop ICSA on all nodes"},
		{"of no node, where the row names one", NewFinding(SameSubjectOther, "", "", "tomcat", ""), "on the node, Cisco Unified IM and Presence OS Administration > Security > Certificate Management > tomcat-trust"},
	} {
		if !strings.Contains(c.f.Fix, c.says) {
			t.Errorf("%s: %q does not say %q", c.name, c.f.Fix, c.says)
		}
	}
	if f := completed(peer.Finding{ID: "its own", Severity: peer.Critical, KeyType: "RSA"}, SelfSigned, ""); f.ID != "its own" || f.Severity != peer.Critical {
		t.Errorf("an id and a severity that it has are lost: %+v", f)
	}
	defer func() {
		if r := fmt.Sprint(recover()); r != "certificate: no row for finding NoSuchReason" {
			t.Errorf("of a reason without a row: %s", r)
		}
	}()
	NewFinding("NoSuchReason", node, "RSA", "", "")
}

// TestWhatEndsIsSaidOfWhatIsMeant: chains, ports, and certificates that share a
// subject.
func TestWhatEndsIsSaidOfWhatIsMeant(t *testing.T) {
	const node = mesh.NodeName("imp-emea-pub.example.com")
	second := mesh.NodeName("imp-emea-sub1.example.com")
	ending := func(what string, days int) Served {
		s := selfSigned(node, what)
		s.NotAfter = certNoon().AddDate(0, 0, days)
		return s
	}
	chained := func(what string, days int) Served {
		s := caSigned(node, what, "Example Issuing")
		s.ChainEnds, s.ChainBy = certNoon().AddDate(0, 0, days), "CN=Example Issuing"
		return s
	}
	chainSaid := peer.Finding{ID: "ChainCertificateExpired:imp-emea-pub.example.com:RSA", Reason: ChainExpired, Message: "said by the look"}
	for _, c := range []struct {
		name string
		r    Record
		want []string // id, severity, and what is said
	}{
		{"two nodes, of which the first is well", Record{Served: map[mesh.NodeName]map[Place]Served{node: {onECDSA: ending("a", 999), onRSA: ending("b", 999)}, second: {onRSA: ending("c", 10)}}},
			[]string{"CertificateExpiring:imp-emea-pub.example.com:RSA warning the RSA certificate of imp-emea-sub1.example.com"}},
		{"two certificates of one subject, each on its own node", Record{Served: map[mesh.NodeName]map[Place]Served{node: {onRSA: ending("a", 10)}, second: {onRSA: ending("b", 10)}}},
			[]string{"CertificateExpiring:imp-emea-pub.example.com:RSA warning the RSA certificate of imp-emea-pub.example.com", "CertificateExpiring:imp-emea-sub1.example.com:RSA warning the RSA certificate of imp-emea-sub1.example.com"}},
		{"SIP's after tomcat's", Record{
			Served: map[mesh.NodeName]map[Place]Served{node: {}, second: {onRSA: ending("t", 10)}},
			Ports:  map[mesh.NodeName]map[Place]Served{node: {{PortSIPTLS, "RSA"}: ending("c", 10)}},
		}, []string{"CertificateExpiring:imp-emea-sub1.example.com:RSA warning the RSA certificate of imp-emea-sub1.example.com", "CertificateExpiring:imp-emea-pub.example.com:5061/RSA warning the RSA (port 5061) certificate of imp-emea-pub.example.com"}},
		{"something else is served than the node names, which ends: last of all", Record{
			Served:   map[mesh.NodeName]map[Place]Served{node: {onRSA: having(ending("shown", 999), func(s *Served) { s.Disputed = true })}},
			Ports:    map[mesh.NodeName]map[Place]Served{node: {{PortSIPTLS, "RSA"}: ending("c", 10)}},
			Identity: map[mesh.NodeName]map[string]Served{node: {"tomcat": ending("its own", 10), "cup": ending("cup", 10)}},
		}, []string{"CertificateExpiring:imp-emea-pub.example.com:5061/RSA warning the RSA (port 5061)", "CertificateExpiring:imp-emea-pub.example.com:named/RSA warning the RSA (named by certificate management, and not what is served to Peerkeeper) certificate"}},
		{"the sources differ, and certificate management names none any more", Record{
			Served:   map[mesh.NodeName]map[Place]Served{node: {onRSA: having(ending("shown", 999), func(s *Served) { s.Disputed = true })}},
			Identity: map[mesh.NodeName]map[string]Served{node: {"tomcat": {NotAfter: certNoon().AddDate(0, 0, 10)}}},
		}, nil},
		{"the sources agree: what is named is said once", Record{
			Served:   map[mesh.NodeName]map[Place]Served{node: {onRSA: ending("a", 10)}},
			Identity: map[mesh.NodeName]map[string]Served{node: {"tomcat": ending("a", 10)}},
		}, []string{"CertificateExpiring:imp-emea-pub.example.com:RSA warning"}},
		{"its CA ends in ten days", Record{Served: map[mesh.NodeName]map[Place]Served{node: {onRSA: chained("a", 10)}}},
			[]string{"CertificateExpiring:imp-emea-pub.example.com:RSA warning the RSA certificate of imp-emea-pub.example.com (CN=imp-emea-pub.example.com,O=Example) needs the CA Example Issuing, which expires on 2026-06-12 12:00 UTC, in less than 14 days; the certificate itself on 2030-06-02"}},
		{"its CA has ended, which the look said too", Record{Findings: []peer.Finding{chainSaid}, Served: map[mesh.NodeName]map[Place]Served{node: {onRSA: chained("a", -1)}}},
			[]string{"ChainCertificateExpired:imp-emea-pub.example.com:RSA warning the RSA certificate of imp-emea-pub.example.com (CN=imp-emea-pub.example.com,O=Example) needs the CA Example Issuing, which expired on 2026-06-01 12:00 UTC"}},
		{"the CA of another node has ended", Record{Findings: []peer.Finding{chainSaid}, Served: map[mesh.NodeName]map[Place]Served{second: {onRSA: chained("a", -1)}}},
			[]string{"ChainCertificateExpired:imp-emea-pub.example.com:RSA said by the look", "ChainCertificateExpired:imp-emea-sub1.example.com:RSA warning"}},
		{"what the look said of the chain stands while only the leaf is about to end", Record{Findings: []peer.Finding{chainSaid, {ID: "SelfSigned:imp-emea-pub.example.com:RSA", Reason: SelfSigned, Message: "self-signed"}}, Served: map[mesh.NodeName]map[Place]Served{node: {onRSA: ending("a", 10)}}},
			[]string{"ChainCertificateExpired:imp-emea-pub.example.com:RSA said by the look", "SelfSigned:imp-emea-pub.example.com:RSA self-signed", "CertificateExpiring:imp-emea-pub.example.com:RSA warning"}},
		{"its CA has ended, and other things were said of the node", Record{Findings: []peer.Finding{{ID: "SelfSigned:imp-emea-pub.example.com:RSA", Reason: SelfSigned, Message: "self-signed"}}, Served: map[mesh.NodeName]map[Place]Served{node: {onRSA: chained("a", -1)}}},
			[]string{"SelfSigned:imp-emea-pub.example.com:RSA self-signed", "ChainCertificateExpired:imp-emea-pub.example.com:RSA warning"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, f := range known(certMesh(1, 2, mesh.TCP), map[mesh.ClusterID]Record{"emea": c.r}).Findings("emea") {
				text := string(f.ID) + " " + string(f.Severity) + " " + f.Message
				got = append(got, strings.Replace(text, "  ", " ", 1))
			}
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("%q\nwant %q", got, c.want)
			}
		})
	}
}

// TestHowUrgentAnEndIs: the last threshold is critical, the only one is not.
func TestHowUrgentAnEndIs(t *testing.T) {
	for _, c := range []struct {
		days  []int
		limit int
		want  bool
	}{{[]int{28, 14, 7}, 7, true}, {[]int{28, 14, 7}, 14, false}, {[]int{28}, 28, false}} {
		if got := urgent(c.days, c.limit); got != c.want {
			t.Errorf("%d of %v: %v", c.limit, c.days, got)
		}
	}
}

// TestUntilWhenPeerkeeperSees: the roots in tls.ca that end, each once, with the
// nodes that nothing else there vouches for.
func TestUntilWhenPeerkeeperSees(t *testing.T) {
	const pub, sub = mesh.NodeName("imp-emea-pub.example.com"), mesh.NodeName("imp-emea-sub1.example.com")
	rooted := func(by string, days int, change func(*Served)) Served {
		s := caSigned(pub, by, by)
		s.RootBy, s.RootEnds, s.Pinned = "CN="+by, certNoon().AddDate(0, 0, days), false
		change(&s)
		return s
	}
	same := func(*Served) {}
	for _, c := range []struct {
		name string
		r    map[mesh.NodeName]map[Place]Served
		want []string
	}{
		{"a root ends in ten days, by which both key types are seen", map[mesh.NodeName]map[Place]Served{pub: {onECDSA: rooted("Root", 10, same), onRSA: rooted("Root", 10, same)}, sub: {onRSA: rooted("Root", 10, same)}},
			[]string{"warning 2026-05-29 Peerkeeper goes blind on 2026-06-12 12:00 UTC: the root Root in tls.ca ends then, and no other root there vouches for imp-emea-pub.example.com, imp-emea-sub1.example.com"}},
		{"in five days", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("Root", 5, same)}}, []string{"critical 2026-05-31 Peerkeeper goes blind on 2026-06-07"}},
		{"in a year", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("Root", 365, same)}}, nil},
		{"one in a year, another in ten days", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("Root", 365, same)}, sub: {onRSA: rooted("Root 2", 10, same)}},
			[]string{"warning 2026-05-29 Peerkeeper goes blind on 2026-06-12 12:00 UTC: the root Root 2 in tls.ca ends then, and no other root there vouches for imp-emea-sub1.example.com"}},
		{"two of one name, which end apart", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("Root", 10, same)}, sub: {onRSA: rooted("Root", 5, same)}},
			[]string{"warning 2026-05-29 Peerkeeper goes blind on 2026-06-12", "critical 2026-05-31 Peerkeeper goes blind on 2026-06-07"}},
		{"two that end together", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("Root", 10, same)}, sub: {onRSA: rooted("Root 2", 10, same)}},
			[]string{"warning 2026-05-29 Peerkeeper goes blind on 2026-06-12 12:00 UTC: the root Root in", "warning 2026-05-29 Peerkeeper goes blind on 2026-06-12 12:00 UTC: the root Root 2 in"}},
		{"at this moment", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("Root", 0, same)}}, []string{"critical 2026-06-02 Peerkeeper went blind on 2026-06-02 12:00 UTC: the root Root in tls.ca ended then"}},
		{"all that it vouches for is pinned too", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("Root", 10, func(s *Served) { s.Pinned = true })}},
			[]string{"warning 2026-05-29 the root Root in tls.ca ends on 2026-06-12 12:00 UTC, and no other root there vouches for imp-emea-pub.example.com: what is pinned is still read"}},
		{"one of two is pinned too", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("Root", 10, func(s *Served) { s.Pinned = true })}, sub: {onRSA: rooted("Root", 10, same)}},
			[]string{"warning 2026-05-29 Peerkeeper goes blind"}},
		{"one cannot be read for long, and may have another", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("Root", 10, func(s *Served) { s.Error, s.Read = "refused", certNoon().AddDate(0, 0, -9) })}, sub: {onRSA: rooted("Root", 10, same)}},
			[]string{"warning 2026-05-29 Peerkeeper goes blind on 2026-06-12 12:00 UTC: the root Root in tls.ca ends then, and no other root there vouches for imp-emea-sub1.example.com"}},
		{"no root ends", map[mesh.NodeName]map[Place]Served{pub: {onRSA: rooted("", 10, func(s *Served) { s.RootEnds, s.RootBy = time.Time{}, "" })}, sub: {onRSA: rooted("Root", 10, same)}},
			[]string{"warning 2026-05-29 Peerkeeper goes blind on 2026-06-12"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			ids := map[peer.FindingID]bool{}
			for _, f := range rootFindings(Record{Served: c.r}, []int{28, 14, 7}, certNoon()) {
				got = append(got, string(f.Severity)+" "+f.Since.Format(time.DateOnly)+" "+f.Message)
				ids[f.ID] = true
			}
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) || len(ids) != len(got) {
				t.Errorf("%q\nwant %q", got, c.want)
			}
		})
	}
}

// TestWhatMayBeTrueUnread: of what cannot be read no end is said, and none is taken
// back.
func TestWhatMayBeTrueUnread(t *testing.T) {
	const pub, sub = mesh.NodeName("imp-emea-pub.example.com"), mesh.NodeName("imp-emea-sub1.example.com")
	read := selfSigned(pub, "read")
	failing := func(s Served, days int) Served {
		s.Error, s.Read = "refused", certNoon().AddDate(0, 0, -days)
		return s
	}
	for _, c := range []struct {
		name string
		r    Record
		want []string
	}{
		{"all is read", Record{Served: map[mesh.NodeName]map[Place]Served{pub: {onRSA: read}}}, nil},
		{"not read now", Record{Served: map[mesh.NodeName]map[Place]Served{pub: {onRSA: failing(read, 0), onECDSA: read}}}, []string{"imp-emea-pub.example.com:RSA"}},
		{"SIP's, not read now: its own end is known", Record{Ports: map[mesh.NodeName]map[Place]Served{pub: {{PortSIPTLS, "RSA"}: failing(read, 0)}}}, nil},
		{"SIP's, not read for long", Record{Ports: map[mesh.NodeName]map[Place]Served{pub: {{PortSIPTLS, "RSA"}: failing(read, 9)}}}, []string{"imp-emea-pub.example.com:5061/RSA"}},
		{"the subscriber's, not read for long: said under the first that has one of its name", Record{Served: map[mesh.NodeName]map[Place]Served{pub: {onRSA: read}, sub: {onRSA: failing(selfSigned(pub, "former"), 9)}}},
			[]string{"imp-emea-pub.example.com:RSA", "imp-emea-sub1.example.com:RSA"}},
		{"one of two nodes that serve it is read", Record{Served: map[mesh.NodeName]map[Place]Served{pub: {onRSA: failing(read, 9)}, sub: {onRSA: read}}}, []string{"imp-emea-pub.example.com:RSA"}},
		{"never read", Record{Served: map[mesh.NodeName]map[Place]Served{pub: {onRSA: {Error: "refused"}}}}, []string{"imp-emea-pub.example.com:RSA"}},
	} {
		if got := c.r.Unread(certNoon()); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
