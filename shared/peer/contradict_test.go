package peer

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// A cause that says that no sync can succeed, and a sync that has succeeded
// since: the sync is right. Cases differ from "NXDOMAIN for Peerkeeper since an
// hour ago, the last sync ten minutes ago".
func TestACauseIsContradictedByALaterSync(t *testing.T) {
	hourAgo := ago(time.Hour)
	type given struct {
		*scene
		cert CertRecord
		sync SyncRecord
	}
	fails := func(typ Type, why Reason, since time.Time) Condition {
		return Condition{Type: typ, Status: False, Reason: why, Basis: Measured, Message: "it is so.", Since: since}
	}
	cert := func(c Condition) func(*given) {
		return func(g *given) { g.cert.Conditions = []Condition{c} }
	}
	both := func(all ...func(*given)) func(*given) {
		return func(g *given) {
			for _, f := range all {
				f(g)
			}
		}
	}
	lastSync := func(at time.Time) func(*given) {
		return func(g *given) { g.entry(func(e *Entry) { e.LastSync = at }) }
	}
	reports := func(word string) func(*given) {
		return func(g *given) { g.entry(func(e *Entry) { e.Error = word }) }
	}
	name := "imp-apac-pub.example.com"
	for _, c := range []struct {
		name   string
		typ    Type
		given  func(*given)
		status Status
		reason Reason
	}{
		{"names: split DNS", NamesResolve, func(*given) {}, UnknownStatus, Contradicted},
		{"names: the last sync is older than the first look that found it", NamesResolve, lastSync(ago(61 * time.Minute)), False, NameNotResolving},
		{"names: the last sync is as old as that look", NamesResolve, lastSync(hourAgo), False, NameNotResolving},
		{"names: the sync is as old as an interval and two ticks", NamesResolve, lastSync(ago(40 * time.Minute)), UnknownStatus, Contradicted},
		{"names: the sync is older than that, and the contradiction lapses with it", NamesResolve, lastSync(ago(40*time.Minute + time.Second)), False, NameNotResolving},
		{"names: the next sync has failed", NamesResolve, reports(ErrorNames), False, NameNotResolving},
		{"names: it was seen again a minute ago, first an hour ago", NamesResolve, func(g *given) { g.cert.Observed = ago(time.Minute) }, UnknownStatus, Contradicted},
		{"names: another name fails since five minutes ago", NamesResolve, func(g *given) {
			g.cert.Standing = Standing{"NamesResolve:" + name: hourAgo, "NamesResolve:other.example.com": ago(5 * time.Minute)}
		}, False, NameNotResolving},
		{"names: the False flickered, the name is the same", NamesResolve, func(g *given) {
			g.cert.Conditions[0].Since = ago(time.Minute)
			g.cert.Standing = Standing{"NamesResolve:" + name: hourAgo}
		}, UnknownStatus, Contradicted},
		{"names: the clock of the puller is an hour ahead, its last sync was 70 min ago", NamesResolve, func(g *given) {
			g.emea().Seen.Skew = Known(time.Hour, noon)
			lastSync(ago(10 * time.Minute))(g)
		}, False, NameNotResolving},
		{"names: the clock of the puller is an hour behind, its last sync was 10 min ago", NamesResolve, func(g *given) {
			g.emea().Seen.Skew = Known(-time.Hour, noon)
			lastSync(ago(70 * time.Minute))(g)
		}, UnknownStatus, Contradicted},
		{"names: how far the puller's clock is off is not known", NamesResolve, func(g *given) { g.emea().Seen.Skew = Fact[time.Duration]{} }, False, NameNotResolving},
		{"names: the last sync lies two looks ahead, by a clock that was compared a look ago", NamesResolve, lastSync(noon.Add(2 * tick)), UnknownStatus, Contradicted},
		{"names: the last sync lies an hour ahead", NamesResolve, lastSync(noon.Add(time.Hour)), False, NameNotResolving},
		{"names: the clock is not readable", NamesResolve, func(g *given) { g.emea().Seen.Entries = Unknown[[]Entry](NoDialect, "") }, False, NameNotResolving},
		{"names: it has never synced", NamesResolve, lastSync(time.Time{}), False, NameNotResolving},
		{"names: the entry was read too long ago", NamesResolve, func(g *given) { g.emea().Seen.Entries.At = ago(11 * time.Minute) }, False, NameNotResolving},
		{"names: a change of the home was seen copied, no clock", NamesResolve, func(g *given) {
			g.entry(func(e *Entry) { e.HasClock, e.LastSync = false, time.Time{} })
			g.sync.Progress = ago(5 * time.Minute)
		}, False, NameNotResolving},
		{"names: what certcheck saw is 13 hours old", NamesResolve, func(g *given) { g.cert.Observed = ago(13 * time.Hour) }, UnknownStatus, Stale},
		{"trust: not in the store", CertificateTrusted, cert(fails(CertificateTrusted, NotInTrustStore, hourAgo)), UnknownStatus, Contradicted},
		{"trust: expired is a date", CertificateTrusted, cert(fails(CertificateTrusted, CertificateExpired, hourAgo)), False, CertificateExpired},
		{"trust: expires between two looks of certcheck", CertificateTrusted, both(cert(Condition{Type: CertificateTrusted, Status: True, Reason: InTrustStore, Since: hourAgo}),
			func(g *given) { g.cert.LeafEnds = ago(20 * time.Minute) }), False, CertificateExpired},
		{"credentials: the entry names them, and yet it has synced since", Authenticated, func(g *given) {
			g.sync.Conditions = []Condition{fails(Authenticated, PeerCredentialsRejected, hourAgo)}
			reports(ErrorCredentials)(g)
		}, UnknownStatus, Contradicted},
		{"credentials: rejected after the last sync", Authenticated, func(g *given) {
			g.sync.Conditions = []Condition{fails(Authenticated, PeerCredentialsRejected, ago(5*time.Minute))}
			reports(ErrorCredentials)(g)
		}, False, PeerCredentialsRejected},
		{"compatible: two schemes, and yet it syncs", Compatible, func(g *given) { g.sync.Conditions = []Condition{fails(Compatible, DomainConflict, hourAgo)} }, UnknownStatus, Contradicted},
		{"reachable", Reachable, func(g *given) { g.sync.Conditions = []Condition{fails(Reachable, ClusterDown, hourAgo)} }, UnknownStatus, Contradicted},
		{"a stopped service is a fact of its own", ServicesRunning, func(g *given) { g.sync.Conditions = []Condition{fails(ServicesRunning, ServiceStopped, hourAgo)} }, False, ServiceStopped},
		{"so is a missing entry", Configured, func(g *given) { g.sync.Conditions = []Condition{fails(Configured, PeerMissingOnOtherSide, hourAgo)} }, False, PeerMissingOnOtherSide},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &given{scene: newScene()}
			g.cert = CertRecord{Observed: ago(15 * time.Minute), Conditions: []Condition{fails(NamesResolve, NameNotResolving, hourAgo)}}
			c.given(g)
			for _, c := range g.sync.Conditions {
				g.sync.Standing = g.sync.Standing.afterVerdict(c, c.Since)
			}
			for _, c := range g.cert.Conditions {
				if g.cert.Standing == nil {
					g.cert.Standing = g.cert.Standing.afterVerdict(c, c.Since)
				}
			}
			got := find(Conditions(g.View(), watched, g.sync, g.cert), c.typ)
			if got.Status != c.status || got.Reason != c.reason {
				t.Fatalf("%s %s, want %s %s: %s", got.Status, got.Reason, c.status, c.reason, got.Message)
			}
			if got.Reason != Contradicted {
				return
			}
			for _, fact := range []string{"it is so", plain.Time(hourAgo), "emea synced from apac at 2026-03-02 "} {
				if !strings.Contains(got.Message, fact) {
					t.Errorf("%q is not told: %s", fact, got.Message)
				}
			}
			if Counted(got, g.sync) {
				t.Error("it keeps the peer from being Healthy")
			}
		})
	}
}

// What stands keeps its first sight while nobody can say otherwise.
func TestStandingFaultsKeepTheirFirstSight(t *testing.T) {
	never := func(string) bool { return false }
	always := func(string) bool { return true }
	var s Standing
	s = s.After(NamesResolve, []string{"a"}, never, ago(60*time.Minute))
	s = s.After(CertificateTrusted, []string{"x"}, never, ago(60*time.Minute))
	s = s.After(NamesResolve, []string{"a", "b"}, never, ago(45*time.Minute))
	s = s.After(NamesResolve, nil, always, ago(30*time.Minute)) // nobody answered
	want := Standing{"NamesResolve:a": ago(60 * time.Minute), "NamesResolve:b": ago(45 * time.Minute), "CertificateTrusted:x": ago(60 * time.Minute)}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	s = s.After(NamesResolve, []string{"b"}, never, ago(15*time.Minute)) // a resolves
	s = s.After(NamesResolve, []string{"a", "b"}, never, noon)
	if want := (Standing{"NamesResolve:a": noon, "NamesResolve:b": ago(45 * time.Minute), "CertificateTrusted:x": ago(60 * time.Minute)}); cmp.Diff(want, s) != "" {
		t.Error(cmp.Diff(want, s))
	}
	if s = s.After(NamesResolve, nil, never, noon).After(CertificateTrusted, nil, never, noon); s != nil {
		t.Errorf("all is well, and remembered: %v", s)
	}
}

// Nobody is told of a cause that has not had the time to show.
func TestTheNextSyncTells(t *testing.T) {
	for _, c := range []struct {
		name  string
		typ   Type
		given func(*scene)
		want  bool
	}{
		{"the last sync is ten minutes old", NamesResolve, func(*scene) {}, true},
		{"a sync has failed since", NamesResolve, func(s *scene) { s.entry(func(e *Entry) { e.Error = ErrorNames }) }, false},
		{"a sync is overdue", NamesResolve, func(s *scene) { s.entry(func(e *Entry) { e.LastSync = ago(41 * time.Minute) }) }, false},
		{"the clock is not readable", NamesResolve, func(s *scene) { s.entry(func(e *Entry) { e.HasClock = false }) }, false},
		{"an entry that is missing need not be waited for", Configured, func(*scene) {}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.given(s)
			if got := s.View().NextSyncTells(watched, c.typ); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// That names do not resolve for Peerkeeper stays a finding; how loud it is, the
// cluster's syncs say.
func TestFindingsOnNamesAreEasedBySyncs(t *testing.T) {
	s := newScene()
	found := []Finding{{ID: "SANNotResolving:192.0.2.53:53:NXDomain", Severity: "critical", Reason: SANNotResolving, Message: "NXDOMAIN"}, {ID: "x", Severity: "critical", Reason: CertificateExpired}}
	at := func(apac, amer Condition) func(mesh.PeerID) []Condition {
		return func(id mesh.PeerID) []Condition {
			if id.To == "apac" {
				return []Condition{apac}
			}
			return []Condition{amer}
		}
	}
	against := Condition{Type: NamesResolve, Status: UnknownStatus, Reason: Contradicted, Message: "both facts"}
	fails := Condition{Type: NamesResolve, Status: False, Reason: NameNotResolving}
	well := Condition{Type: NamesResolve, Status: True, Reason: AllResolve}
	got := EaseNames(found, s.Mesh, "emea", at(against, well))
	if got[0].Severity != "info" || !strings.Contains(got[0].Message, "succeed all the same") || got[1].Severity != "critical" || found[0].Severity != "critical" {
		t.Errorf("%+v", got)
	}
	for name, conditions := range map[string]func(mesh.PeerID) []Condition{"one peer fails for it": at(against, fails), "no sync contradicts it": at(well, well)} {
		if got := EaseNames(found, s.Mesh, "emea", conditions); got[0].Severity != "critical" {
			t.Errorf("%s: eased", name)
		}
	}
	later := against
	later.Message = "the same of another peer"
	told := ContradictedFindings(s.Mesh, "emea", at(against, later))
	if len(told) != 1 || told[0].Severity != "info" || !strings.Contains(told[0].Message, "emea>apac, emea>amer: both facts") {
		t.Errorf("%+v", told)
	}
	if told := ContradictedFindings(s.Mesh, "emea", at(fails, well)); len(told) > 0 {
		t.Errorf("%+v", told)
	}
}

// TestWhatAContradictedFaultMayStillCome: an untrusted certificate stops syncs when
// ICSA next reads its trust store, however well they run.
func TestWhatAContradictedFaultMayStillCome(t *testing.T) {
	for typ, want := range map[Type]string{CertificateTrusted: "; it syncs until ICSA next reads its trust store", NamesResolve: "", Reachable: ""} {
		if got := untilRead(typ); got != want {
			t.Errorf("%s: %q, want %q", typ, got, want)
		}
	}
}
