package stucksync_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/stucksync"
	"peerkeeper/shared/userset"
)

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// script is a mesh whose records a test writes, as peersync and certcheck
// would, and a stucksync that reads them.
type script struct {
	tb interface {
		Helper()
		Fatalf(string, ...any)
		Context() context.Context
	}
	now      time.Time
	mesh     *mesh.Mesh
	memory   *storetest.Memory
	store    store.Store
	fail     func(op, sk string) error
	heard    []alarm.Notice
	deaf     bool // the sink refuses
	clusters map[mesh.ClusterID]*peer.ClusterRecord
	certs    map[mesh.ClusterID]*certificate.Record
	peers    map[mesh.PeerID]map[peer.Type]peer.Condition
	leaf     map[mesh.PeerID]time.Time // since when the remote publisher serves its certificate
	puts     map[string]int
	copied   time.Time                          // when a change was last seen copied
	logs     map[mesh.ClusterID]*peer.LogRecord // read at every look
}

func (s *script) Send(_ context.Context, n alarm.Notice) error {
	if s.deaf {
		return errors.New("the sink is down")
	}
	s.heard = append(s.heard, n)
	return nil
}

func play(tb interface {
	Helper()
	Fatalf(string, ...any)
	Context() context.Context
}, ids ...mesh.ClusterID) *script {
	s := &script{tb: tb, now: start, memory: storetest.NewMemory(), clusters: map[mesh.ClusterID]*peer.ClusterRecord{}, certs: map[mesh.ClusterID]*certificate.Record{},
		peers: map[mesh.PeerID]map[peer.Type]peer.Condition{}, leaf: map[mesh.PeerID]time.Time{}, puts: map[string]int{}, mesh: &mesh.Mesh{Name: "acme", Domain: "example.com", Policy: mesh.Policy{Mode: mesh.Observe, Thresholds: mesh.Thresholds{CertificateDays: []int{28, 14, 7}}}}}
	s.store = s.memory
	s.memory.Now = func() time.Time { return s.now }
	s.memory.Fail = func(op string, k store.Key) error {
		if op == "written" {
			s.puts[k.SK]++
		}
		if s.fail != nil {
			return s.fail(op, k.SK)
		}
		return nil
	}
	for _, id := range ids {
		pub, sub := mesh.NodeName("imp-"+string(id)+"-pub.example.com"), mesh.NodeName("imp-"+string(id)+"-sub.example.com")
		s.mesh.Clusters = append(s.mesh.Clusters, mesh.Cluster{ID: id, Publisher: pub, SyncInterval: mesh.Duration(30 * time.Minute), Nodes: []mesh.Node{{Name: pub}, {Name: sub}}, TimeZone: "UTC"})
		s.clusters[id] = &peer.ClusterRecord{}
		s.certs[id] = &certificate.Record{}
		for _, other := range ids {
			if other != id {
				p := mesh.PeerID{From: id, To: other}
				s.mesh.Peers = append(s.mesh.Peers, mesh.Peer{ID: p, Protocol: mesh.TCP})
				s.peers[p] = map[peer.Type]peer.Condition{}
				for _, t := range peer.Types() {
					s.peers[p][t] = peer.Condition{Type: t, Status: peer.True, Reason: "Fine", Message: "fine", Since: start}
				}
			}
		}
	}
	return s
}

// set gives a condition; its since moves with the status.
func (s *script) set(p string, t peer.Type, status peer.Status, why peer.Reason) {
	id, _ := mesh.ParsePeerID(p)
	c := s.peers[id][t]
	if c.Status != status {
		c.Since = s.now
	}
	c.Status, c.Reason, c.Message = status, why, string(why)
	s.peers[id][t] = c
}

// finding adds or, with message "", removes a finding of peersync's.
func (s *script) finding(id mesh.ClusterID, f peer.Finding, there bool) {
	r := s.clusters[id]
	i := slices.IndexFunc(r.Findings, func(x peer.Finding) bool { return x.ID == f.ID })
	switch {
	case there && i < 0:
		f.Since = s.now
		r.Findings = append(slices.Clone(r.Findings), f)
	case !there && i >= 0:
		r.Findings = slices.Delete(slices.Clone(r.Findings), i, i+1)
	}
}

// looked stores what peersync and certcheck would have, as of now.
func (s *script) looked() {
	s.tb.Helper()
	snapshot, err := record.Load(s.tb.Context(), s.memory, s.mesh)
	if err != nil {
		s.tb.Fatalf("%v", err)
	}
	fail := s.fail
	s.fail = nil
	var changes record.Changes
	for id, r := range s.clusters {
		r.Seen.At = s.now
		if r.Seen.Access.Reason == "" {
			r.Seen.Access = peer.Known(true, s.now)
		}
		if r.Seen.Nodes == nil {
			r.Seen.Nodes = map[mesh.NodeName]peer.Node{}
			c, _ := s.mesh.Cluster(id)
			for _, n := range c.Nodes {
				r.Seen.Nodes[n.Name] = peer.Node{Services: peer.Known(map[string]peer.Service{}, s.now)}
			}
		}
		for name, n := range r.Seen.Nodes {
			if n.Services.Known() {
				n.Services.At = s.now
			}
			r.Seen.Nodes[name] = n
		}
		doc := snapshot.Clusters[id]
		doc.Value = *r
		record.Add(&changes, doc)
		cert := snapshot.Certs[id]
		s.certs[id].At = s.now
		cert.Value = *s.certs[id]
		record.Add(&changes, cert)
	}
	for id, cs := range s.peers {
		sync, cert := snapshot.Syncs[id], snapshot.PeerCert[id]
		sync.Value.Conditions, cert.Value.Conditions, cert.Value.LeafFirst = nil, nil, s.leaf[id]
		sync.Value.Copied = s.copied
		for _, t := range peer.Types() {
			if t == peer.CertificateTrusted || t == peer.NamesResolve {
				cert.Value.Conditions = append(cert.Value.Conditions, cs[t])
			} else {
				sync.Value.Conditions = append(sync.Value.Conditions, cs[t])
			}
		}
		record.Add(&changes, sync)
		record.Add(&changes, cert)
	}
	logs, err := snapshot.Logs(s.mesh, s.now)
	if err != nil {
		s.tb.Fatalf("%v", err)
	}
	for id, r := range s.logs {
		doc := logs[id]
		r.Read, r.Cursor.At = s.now, s.now
		doc.Value = *r
		record.Add(&changes, doc)
	}
	if _, err := changes.Write(s.tb.Context(), s.memory); err != nil {
		s.tb.Fatalf("%v", err)
	}
	s.fail = fail
	s.puts = map[string]int{}
}

func (s *script) judge() (run.Answer, error) {
	u := &stucksync.Stucksync{Mesh: s.mesh, Store: s.store, Sinks: []alarm.Sink{s}, Now: func() time.Time { return s.now }}
	return u.Handle(s.tb.Context(), run.Request{})
}

// tick is five minutes, a look and a judgement.
func (s *script) tick() {
	s.tb.Helper()
	s.now = s.now.Add(5 * time.Minute)
	s.looked()
	s.now = s.now.Add(time.Minute)
	if _, err := s.judge(); err != nil {
		s.tb.Fatalf("%v", err)
	}
	s.now = s.now.Add(-time.Minute)
}

// standing lists the alarms that are raised, by name and whom they speak of.
func (s *script) standing() []string {
	items, err := alarm.Items(s.tb.Context(), s.memory, "acme")
	if err != nil {
		s.tb.Fatalf("%v", err)
	}
	var out []string
	for _, it := range items {
		if it.Active() {
			out = append(out, fmt.Sprintf("%s %s%s", it.Name, it.Peer, it.Cluster))
		}
	}
	slices.Sort(out)
	return out
}

func (s *script) expect(what string, want ...string) {
	s.tb.Helper()
	if got := s.standing(); !slices.Equal(got, want) {
		s.tb.Fatalf("%s: standing %v, want %v", what, got, want)
	}
}

func TestASteadyTickWritesItsRunOnly(t *testing.T) {
	s := play(t, "emea", "apac", "amer")
	s.set("emea>apac", peer.Synced, peer.False, peer.FourPeriodsMissed)
	for range 3 {
		s.tick()
	}
	for range 10 {
		s.tick()
		for sk, n := range s.puts {
			if sk != "RUN#stucksync" || n != 2 {
				t.Errorf("%s was written %d times although nothing changed", sk, n)
			}
		}
	}
}

// After a roll-back a state may hold a rung of the version that was taken back.
// That peer is left alone, and every other one is judged and told of, run by run.
func TestARungOfANewerVersionStopsNobodyElse(t *testing.T) {
	s := play(t, "emea", "apac", "amer")
	s.set("emea>apac", peer.Synced, peer.False, peer.FourPeriodsMissed)
	for range 3 {
		s.tick()
	}
	id := mesh.PeerID{From: "emea", To: "apac"}
	snapshot, err := record.Load(t.Context(), s.memory, s.mesh)
	if err != nil {
		t.Fatal(err)
	}
	doc := snapshot.States[id]
	if doc.Value.State != peer.Stuck || doc.Value.Ladder == nil {
		t.Fatalf("%+v", doc.Value)
	}
	doc.Value.Ladder.Rung = "moveToCloud"
	var changes record.Changes
	record.Add(&changes, doc)
	if _, err := changes.Write(t.Context(), s.memory); err != nil {
		t.Fatal(err)
	}
	s.set("amer>emea", peer.Reachable, peer.False, peer.PublisherDown)
	for range 3 {
		s.tick() // fails the test if the run fails
	}
	if snapshot, err = record.Load(t.Context(), s.memory, s.mesh); err != nil {
		t.Fatal(err)
	}
	if got := snapshot.States[id].Value.Ladder; got == nil || got.Rung != "moveToCloud" {
		t.Errorf("the ladder is %+v, and was to be left alone", got)
	}
	if got := snapshot.States[mesh.PeerID{From: "amer", To: "emea"}].Value.State; got != peer.Degraded {
		t.Errorf("amer>emea is %s", got)
	}
	if at := snapshot.Runs["stucksync"].Value.Completed; at.Before(s.now) {
		t.Errorf("stucksync completed last at %s, and it is %s", at, s.now)
	}
}

// TestAStuckSyncWaitsForItsCertificate: of a renewed certificate that no sync
// brings, the alarm is the certificate's. The stuck sync over it is told only
// where that would take too long, or where nobody looks at certificates any more.
func TestAStuckSyncWaitsForItsCertificate(t *testing.T) {
	const stuck, untrusted = alarm.PeriodicSyncingFailure + " emea>apac", alarm.CertificateNotTrusted + " apac"
	for _, c := range []struct {
		name   string
		served time.Duration // for how long already; one interval and an hour may pass
		trust  peer.Status
		why    peer.Reason
		stands []string
	}{
		{"about to be called missing", 75 * time.Minute, peer.UnknownStatus, peer.ExchangePending, nil},
		{"half of the time is left", 10 * time.Minute, peer.UnknownStatus, peer.ExchangePending, []string{stuck}},
		{"nobody has looked for long", 3 * time.Hour, peer.UnknownStatus, peer.ExchangePending, []string{stuck}},
		{"unknown for another reason", 75 * time.Minute, peer.UnknownStatus, peer.NotObservable, []string{stuck}},
		{"trusted", 75 * time.Minute, peer.True, peer.InTrustStore, []string{stuck}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := play(t, "emea", "apac")
			id := mesh.PeerID{From: "emea", To: "apac"}
			s.leaf[id] = start.Add(-c.served)
			s.set(id.String(), peer.CertificateTrusted, c.trust, c.why)
			s.set(id.String(), peer.Synced, peer.False, peer.FourPeriodsMissed)
			s.tick()
			s.tick()
			s.expect("stuck", c.stands...)
			if c.stands != nil {
				return
			}
			s.set(id.String(), peer.CertificateTrusted, peer.False, peer.NotInTrustStore)
			s.certs["apac"].Findings = []peer.Finding{{ID: "NotTrustedByPeers:imp-apac-pub.example.com:RSA", Severity: peer.Critical, Reason: certificate.NotTrustedByPeers, Message: "not trusted", Since: s.now}}
			for range 3 {
				s.tick()
			}
			s.expect("named", untrusted)
			if len(s.heard) != 1 {
				t.Errorf("heard %v", s.heard)
			}
		})
	}
}

// TestDuplicateUsersAreNamedAndClearedByAReadingOnly.
func TestDuplicateUsersAreNamedAndClearedByAReadingOnly(t *testing.T) {
	s := play(t, "emea", "apac")
	audited := func(r userset.Report) []string {
		r.Mesh = "acme"
		if err := record.WriteUserReport(t.Context(), s.memory, "acme", r); err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(5 * time.Minute)
		s.looked()
		before := len(s.heard)
		s.tick()
		var out []string
		for _, n := range s.heard[before:] {
			if n.Name == alarm.DuplicateUsers {
				out = append(out, fmt.Sprint(n.State, " ", n.Message))
			}
		}
		return out
	}
	many := userset.Report{Counts: map[userset.Trouble]int{userset.DuplicateUserID: 30, userset.Unassigned: 3}}
	for i := range 30 {
		many.Problems = append(many.Problems, userset.Problem{Kind: userset.DuplicateUserID, Key: fmt.Sprintf("user%02d", i)})
	}
	if got := audited(userset.Report{Counts: map[userset.Trouble]int{userset.Unassigned: 3}}); len(got) != 0 {
		t.Errorf("without a duplicate: %q", got)
	}
	got := audited(many)
	if len(got) != 1 || !strings.HasPrefix(got[0], "raised 30 user IDs") || !strings.Contains(got[0], "user00, ") || !strings.Contains(got[0], "user09 and 20 more") || strings.Contains(got[0], "user10") || !strings.Contains(got[0], "DuplicateUserid") {
		t.Errorf("raised: %q", got)
	}
	if got := audited(userset.Report{Unread: []userset.Gap{{Cluster: "apac", What: "suspects"}}}); len(got) != 0 {
		t.Errorf("apac was not read: %q", got)
	}
	if got := audited(userset.Report{}); len(got) != 1 || !strings.HasPrefix(got[0], "cleared") {
		t.Errorf("cleared: %q", got)
	}
}

func TestAlarmsAreNotClearedByIgnorance(t *testing.T) {
	cases := []struct {
		name   string
		begin  func(s *script)
		alarm  string
		blind  func(s *script) // what is not known any more
		mended func(s *script)
	}{
		{
			"a stuck sync, then the cluster is out of sight",
			func(s *script) { s.set("emea>apac", peer.Synced, peer.False, peer.FourPeriodsMissed) },
			alarm.PeriodicSyncingFailure + " emea>apac",
			func(s *script) { s.set("emea>apac", peer.Synced, peer.UnknownStatus, peer.CannotConnect) },
			func(s *script) { s.set("emea>apac", peer.Synced, peer.True, peer.OnInterval) },
		}, {
			"a success that is not logged, then whether one would be is not known",
			func(s *script) { s.set("emea>apac", peer.Synced, peer.False, peer.NoSuccessLogged) },
			alarm.PeriodicSyncingFailure + " emea>apac",
			func(s *script) { s.set("emea>apac", peer.Synced, peer.UnknownStatus, peer.LogHasNoSyncLines) },
			func(s *script) { s.set("emea>apac", peer.Synced, peer.True, peer.OnInterval) },
		}, {
			"Cisco's own alarm of a stuck sync, then its log is not read",
			func(s *script) { s.set("emea>apac", peer.Synced, peer.False, peer.CiscoAlarm) },
			alarm.PeriodicSyncingFailure + " emea>apac",
			func(s *script) { s.set("emea>apac", peer.Synced, peer.UnknownStatus, peer.ClockNotReadable) },
			func(s *script) { s.set("emea>apac", peer.Synced, peer.True, peer.OnInterval) },
		}, {
			"users differ, then undecided",
			func(s *script) { s.set("emea>apac", peer.UsersMatch, peer.False, peer.UsersMissing) },
			alarm.UsersDiffer + " emea>apac",
			func(s *script) { s.set("emea>apac", peer.UsersMatch, peer.UnknownStatus, peer.NotYetDecided) },
			func(s *script) { s.set("emea>apac", peer.UsersMatch, peer.True, peer.CountsEqual) },
		}, {
			"a password refused, then the sync fails before its log-in",
			func(s *script) { s.set("emea>apac", peer.Authenticated, peer.False, peer.PeerCredentialsRejected) },
			alarm.PeerCredentialsRejected + " emea>apac",
			func(s *script) { s.set("emea>apac", peer.Authenticated, peer.UnknownStatus, peer.CannotConnect) },
			func(s *script) { s.set("emea>apac", peer.Authenticated, peer.True, peer.CredentialsAccepted) },
		}, {
			"a service stopped, then its node is not read",
			func(s *script) {
				s.finding("apac", peer.Finding{ID: "ServiceStopped:imp-apac-sub.example.com:" + peer.ICSA, Reason: peer.ServiceStopped, Node: "imp-apac-sub.example.com", Message: "stopped"}, true)
			},
			alarm.ServiceStopped + " apac",
			func(s *script) {
				s.finding("apac", peer.Finding{ID: "ServiceStopped:imp-apac-sub.example.com:" + peer.ICSA}, false)
				s.clusters["apac"].Seen.Nodes["imp-apac-sub.example.com"] = peer.Node{Services: peer.Unknown[map[string]peer.Service](peer.TimedOut, "")}
			},
			func(s *script) {
				s.clusters["apac"].Seen.Nodes["imp-apac-sub.example.com"] = peer.Node{Services: peer.Known(map[string]peer.Service{}, s.now)}
			},
		}, {
			"a cluster down, then our own secret cannot be read",
			func(s *script) {
				s.clusters["apac"].SilentSince = map[mesh.NodeName]time.Time{"imp-apac-pub.example.com": s.now, "imp-apac-sub.example.com": s.now}
				s.finding("apac", peer.Finding{ID: "ClusterDown", Reason: peer.ClusterDown, Message: "down"}, true)
			},
			alarm.ClusterDown + " apac",
			func(s *script) {
				s.finding("apac", peer.Finding{ID: "ClusterDown"}, false)
				s.clusters["apac"].Seen.Access = peer.Unknown[bool](peer.NoCredentials, "no secret")
			},
			func(s *script) {
				s.clusters["apac"].SilentSince, s.clusters["apac"].Seen.Access = nil, peer.Known(true, s.now)
			},
		}, {
			"an account rejected, then blinded by a certificate",
			func(s *script) {
				s.clusters["apac"].Seen.Access = peer.Unknown[bool](peer.AccountRejected, "401")
				s.finding("apac", peer.Finding{ID: "AccountRejected", Reason: peer.AccountRejected, Message: "401"}, true)
			},
			alarm.AccountRejected + " apac",
			func(s *script) {
				s.finding("apac", peer.Finding{ID: "AccountRejected"}, false)
				s.clusters["apac"].Seen.Access = peer.Unknown[bool](peer.ServerCertificateUntrusted, "no pin")
			},
			func(s *script) { s.clusters["apac"].Seen.Access = peer.Known(true, s.now) },
		}, {
			"a certificate expired, then not read for two days",
			func(s *script) {
				s.certs["apac"].Served = map[mesh.NodeName]map[certificate.Place]certificate.Served{"imp-apac-pub.example.com": {onRSA: {Fingerprint: "sha256:1", NotAfter: start.Add(-time.Hour), Read: start}}}
			},
			alarm.CertificateExpired + " apac",
			func(s *script) {
				s.certs["apac"].Served["imp-apac-pub.example.com"][onRSA] = certificate.Served{Fingerprint: "sha256:1", NotAfter: start.Add(-time.Hour), Read: start.Add(-48 * time.Hour), Error: "refused"}
			},
			func(s *script) {
				s.certs["apac"].Served["imp-apac-pub.example.com"][onRSA] = certificate.Served{Fingerprint: "sha256:2", NotAfter: start.AddDate(2, 0, 0), Read: s.now}
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := play(t, "emea", "apac", "amer")
			s.tick()
			s.expect("well")
			c.begin(s)
			s.tick()
			s.tick()
			s.expect("begun", c.alarm)
			c.blind(s)
			for range 5 {
				s.tick()
				s.expect("not known", c.alarm)
			}
			c.mended(s)
			s.tick()
			s.expect("mended")
			if len(s.heard) != 2 || s.heard[0].State != alarm.Raised || s.heard[1].State != alarm.Cleared {
				t.Errorf("heard %+v, want one raised and one cleared", s.heard)
			}
		})
	}
}

// TestFailuresThatAreOverClearAnAlarmToUnknown: where ICSA logs no successes nothing
// else can ever end what its failures began.
func TestFailuresThatAreOverClearAnAlarmToUnknown(t *testing.T) {
	s := play(t, "emea", "apac", "amer")
	failed := start
	s.logs = map[mesh.ClusterID]*peer.LogRecord{"emea": {Level: "Error", LevelAt: start, Since: start.Add(-time.Hour)}}
	s.logs["emea"].Add("apac", ciscolog.Failed, peer.Word{Alarm: ciscolog.PeriodicSyncingFailure, At: failed, Dating: ciscolog.Dated})
	s.set("emea>apac", peer.Synced, peer.False, peer.CiscoAlarm)
	s.tick()
	s.tick()
	s.expect("raised", alarm.PeriodicSyncingFailure+" emea>apac")
	s.set("emea>apac", peer.Synced, peer.UnknownStatus, peer.LogHasNoSyncLines)
	for s.now.Before(failed.Add(2 * time.Hour)) {
		s.tick()
		if s.now.After(failed.Add(2 * time.Hour)) {
			break
		}
		s.expect("failures may go on", alarm.PeriodicSyncingFailure+" emea>apac")
	}
	s.tick()
	s.expect("no failure for two hours")
}

// TestACopyThatCameClearsAnAlarmToUnknown, if it came after nothing told any more
// that the sync stands.
func TestACopyThatCameClearsAnAlarmToUnknown(t *testing.T) {
	for _, why := range []peer.Reason{peer.ClockNotReadable, peer.LogHasNoSyncLines} {
		s := play(t, "emea", "apac", "amer")
		s.set("emea>apac", peer.Synced, peer.False, peer.HomeChangeNotCopied)
		s.copied = s.now // an earlier change
		s.tick()
		s.tick()
		s.expect("raised", alarm.PeriodicSyncingFailure+" emea>apac")
		s.now = s.now.Add(5 * time.Minute)
		s.set("emea>apac", peer.Synced, peer.UnknownStatus, why)
		s.tick()
		s.expect("not known", alarm.PeriodicSyncingFailure+" emea>apac")
		s.copied = s.now
		s.tick()
		s.expect("copied")
	}
}

// TestAFirstBadLookIsNotSaid, not even while another cause stands.
func TestAFirstBadLookIsNotSaid(t *testing.T) {
	s := play(t, "emea", "apac")
	s.set("emea>apac", peer.ServicesRunning, peer.False, peer.ServiceStopped)
	s.tick()
	s.tick()
	s.now = s.now.Add(5 * time.Minute)
	s.set("emea>apac", peer.Authenticated, peer.False, peer.PeerCredentialsRejected)
	s.now = s.now.Add(-5 * time.Minute)
	id, _ := mesh.ParsePeerID("emea>apac")
	c := s.peers[id][peer.Authenticated]
	c.Since = s.now.Add(5 * time.Minute)
	s.peers[id][peer.Authenticated] = c
	s.tick()
	s.expect("first look")
	s.tick()
	s.expect("second look", alarm.PeerCredentialsRejected+" emea>apac")
}

func TestPeersyncDeadClearsNothing(t *testing.T) {
	s := play(t, "emea", "apac")
	s.set("emea>apac", peer.Synced, peer.False, peer.FourPeriodsMissed)
	s.tick()
	s.expect("stuck", alarm.PeriodicSyncingFailure+" emea>apac")
	for range 10 {
		s.now = s.now.Add(30 * time.Minute)
		if _, err := s.judge(); err != nil {
			t.Fatal(err)
		}
		s.expect("nobody looks", alarm.PeriodicSyncingFailure+" emea>apac")
	}
}

func TestWhatLeftTheMeshIsTerminated(t *testing.T) {
	s := play(t, "emea", "apac", "amer")
	s.set("emea>apac", peer.Synced, peer.False, peer.FourPeriodsMissed)
	s.tick()
	s.expect("stuck", alarm.PeriodicSyncingFailure+" emea>apac")
	s.mesh.Clusters = slices.DeleteFunc(s.mesh.Clusters, func(c mesh.Cluster) bool { return c.ID == "apac" })
	s.mesh.Peers = slices.DeleteFunc(s.mesh.Peers, func(p mesh.Peer) bool { return p.ID.From == "apac" || p.ID.To == "apac" })
	a, err := s.judge()
	if err != nil {
		t.Fatal(err)
	}
	if a.Peers[peer.Terminated] != 4 {
		t.Errorf("%v, want four peers Terminated", a.Peers)
	}
	s.expect("gone")
	if n := s.heard[len(s.heard)-1]; n.State != alarm.Cleared {
		t.Errorf("last heard %+v", n)
	}
}

// TestOnceUnderAnyInterleaving: whatever turns true, false or unknown, and
// whichever writes, loads and sinks fail, every alarm is raised once and
// cleared once per time that it was so, in that order; an Unknown moves
// nothing; and when all is well and works again nothing is left standing.
func TestOnceUnderAnyInterleaving(t *testing.T) {
	types := map[peer.Type]string{peer.Synced: alarm.PeriodicSyncingFailure, peer.UsersMatch: alarm.UsersDiffer, peer.Authenticated: alarm.PeerCredentialsRejected, peer.Configured: alarm.PeerMisconfigured, peer.NamesResolve: alarm.NameNotResolving}
	ordered := []peer.Type{peer.Synced, peer.UsersMatch, peer.Authenticated, peer.Configured, peer.NamesResolve}
	peers := []string{"emea>apac", "apac>emea"}
	rapid.Check(t, func(rt *rapid.T) {
		s := play(rt, "emea", "apac")
		stale := rapid.IntRange(0, 6).Draw(rt, "stale")
		s.store = storetest.Stale(s.memory, stale)
		broken := rapid.Bool()
		for range rapid.IntRange(1, 25).Draw(rt, "ticks") {
			for _, p := range peers {
				typ := rapid.SampledFrom(ordered).Draw(rt, "type")
				status := rapid.SampledFrom([]peer.Status{peer.True, peer.False, peer.UnknownStatus}).Draw(rt, "status")
				s.set(p, typ, status, peer.Reason("Drawn"+string(status)))
			}
			before := s.standing()
			s.deaf = broken.Draw(rt, "sink down")
			kill := rapid.IntRange(0, 12).Draw(rt, "kill after")
			n := 0
			s.fail = nil
			if broken.Draw(rt, "kill") {
				s.fail = func(op, _ string) error {
					if op == "put" || op == "written" {
						n++
					}
					if n > kill {
						return errors.New("killed")
					}
					return nil
				}
			}
			s.now = s.now.Add(5 * time.Minute)
			s.looked()
			s.now = s.now.Add(time.Minute)
			_, _ = s.judge() // what fails is told; what matters is what is left
			s.now = s.now.Add(-time.Minute)
			s.fail = nil
			after := s.standing()
			for _, p := range peers {
				id, _ := mesh.ParsePeerID(p)
				for typ, name := range types {
					is := name + " " + p
					had, has := slices.Contains(before, is), slices.Contains(after, is)
					if s.peers[id][typ].Status == peer.UnknownStatus && had != has && stale == 0 {
						rt.Fatalf("%s went from %v to %v while %s is Unknown", is, had, has, typ)
					}
				}
			}
		}
		for _, p := range peers {
			for _, typ := range ordered {
				s.set(p, typ, peer.True, "Fine")
			}
		}
		s.deaf = false
		for range 6 {
			s.now = s.now.Add(5 * time.Minute)
			s.looked()
			_, _ = s.judge()
		}
		s.expect("all is well again")
		last := map[string]alarm.Notice{}
		heard := map[string]bool{}
		for _, n := range s.heard {
			key := fmt.Sprintf("%s/%d/%s", n.Fingerprint, n.Transition, n.State)
			if heard[key] {
				continue // at least once: the same again is no second alarm
			}
			heard[key] = true
			was, ok := last[n.Fingerprint]
			switch {
			case !ok && (n.State != alarm.Raised || n.Transition != 1):
				rt.Fatalf("%s begins with %s %d", n.Name, n.State, n.Transition)
			case ok && n.State == alarm.Raised && (was.State == alarm.Raised || n.Transition != was.Transition+1),
				ok && n.State == alarm.Cleared && (was.State == alarm.Cleared || n.Transition != was.Transition+1):
				rt.Fatalf("%s: %s %d after %s %d", n.Name, n.State, n.Transition, was.State, was.Transition)
			}
			if n.State != alarm.Repeated {
				last[n.Fingerprint] = n
			}
		}
		for fp, n := range last {
			if n.State != alarm.Cleared {
				rt.Fatalf("%s %s (%s) was raised and never cleared", n.Name, n.Peer, fp)
			}
		}
	})
}
