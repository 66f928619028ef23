package stucksync

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/intervention"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

var (
	noon     = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	emeaApac = mesh.PeerID{From: "emea", To: "apac"}
	apacEmea = mesh.PeerID{From: "apac", To: "emea"}
	amerApac = mesh.PeerID{From: "amer", To: "apac"}
)

// at is what a run knows of a mesh of three at noon, in mode recover; change says what
// is otherwise, before the view of it is made.
func at(t *testing.T, change func(*tick, *peer.Facts)) *tick {
	t.Helper()
	m := &mesh.Mesh{Name: "acme", Policy: mesh.Policy{Mode: mesh.Recover}}
	facts := peer.Facts{Now: noon, Tick: 5 * time.Minute, Mesh: m, Clusters: map[mesh.ClusterID]*peer.ClusterRecord{}}
	ids := []mesh.ClusterID{"emea", "apac", "amer"}
	for _, id := range ids {
		node := mesh.NodeName("imp-" + string(id) + "-pub")
		m.Clusters = append(m.Clusters, mesh.Cluster{ID: id, Publisher: node, Nodes: []mesh.Node{{Name: node}}, SyncInterval: mesh.Duration(30 * time.Minute)})
		facts.Clusters[id] = &peer.ClusterRecord{Seen: peer.Observation{Cluster: id, At: noon, Access: peer.Known(true, noon), Nodes: map[mesh.NodeName]peer.Node{node: {
			Answers: peer.Known(true, noon), Services: peer.Known(map[string]peer.Service{}, noon),
		}}}}
		for _, to := range ids {
			if to != id {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: id, To: to}})
			}
		}
	}
	s := storetest.NewMemory()
	s.Now = func() time.Time { return noon }
	snapshot, err := record.Load(t.Context(), s, m)
	if err != nil {
		t.Fatal(err)
	}
	tk := &tick{Stucksync: &Stucksync{Mesh: m, Store: s, Now: func() time.Time { return noon }},
		Grounds: intervention.Grounds{Actor: actor, Snapshot: snapshot, Conditions: map[mesh.PeerID][]peer.Condition{}, States: map[mesh.PeerID]peer.StateRecord{}},
		ladders: map[mesh.PeerID]peer.Ladder{}, refused: map[string][]record.Refusal{}, did: map[string]bool{}}
	if change != nil {
		change(tk, &facts)
	}
	tk.View = facts.View()
	records := map[mesh.ClusterID]certificate.Record{}
	for id, d := range tk.Snapshot.Certs {
		records[id] = d.Value
	}
	tk.Certificates = certificate.NewView(tk.View, records)
	return tk
}

func (tk *tick) cert(id mesh.ClusterID, change func(*certificate.Record)) {
	d := tk.Snapshot.Certs[id]
	change(&d.Value)
	tk.Snapshot.Certs[id] = d
}

// TestOneRunWritesWhatIsAskedFor, since when and what stops it; what nobody asks for
// any more ends, and stays readable for a month.
func TestOneRunWritesWhatIsAskedFor(t *testing.T) {
	asked := func(id string) peer.Proposal {
		return peer.Proposal{ID: id, Action: peer.RestartService, Target: peer.Target{Cluster: "emea", Node: "imp-emea-pub", Service: peer.ICSA}, Peers: []mesh.PeerID{emeaApac}}
	}
	known := func(id string, v record.Proposed, newer bool) store.Doc[record.Proposed] {
		d := store.NewDoc(store.Proposal("acme", id), record.ProposedSchema, v)
		d.Newer = newer
		return d
	}
	tk := at(t, nil)
	first := noon.Add(-time.Hour)
	tk.Snapshot.Proposals = map[string]store.Doc[record.Proposed]{
		"newer":      known("newer", record.Proposed{Proposal: asked("newer")}, true),
		"again":      known("again", record.Proposed{Proposal: asked("again"), First: first, Ended: first}, false),
		"over":       known("over", record.Proposed{Proposal: asked("over"), First: first}, false),
		"long over":  known("long over", record.Proposed{Proposal: asked("long over"), First: first, Ended: first}, false),
		"newer over": known("newer over", record.Proposed{Proposal: asked("newer over"), First: first}, true),
	}
	tk.asked = []peer.Proposal{asked("newer"), asked("new"), asked("again")}
	n, err := tk.act(t.Context(), &repair.Gate{}, nil)
	if err != nil || n != 0 {
		t.Fatalf("%d actions, %v", n, err)
	}
	snapshot, err := record.Load(t.Context(), tk.Store, tk.Mesh)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]struct{ first, ended time.Time }{"new": {noon, time.Time{}}, "again": {first, time.Time{}}, "over": {first, noon}} {
		d, ok := snapshot.Proposals[id]
		if !ok || !d.Value.First.Equal(want.first) || !d.Value.Ended.Equal(want.ended) {
			t.Errorf("%s: %v, asked for since %s, ended %s", id, ok, d.Value.First, d.Value.Ended)
		}
		if lives := !d.TTL.IsZero(); lives != (id == "over") || lives && !d.TTL.Equal(noon.Add(30*24*time.Hour)) {
			t.Errorf("%s is kept until %s", id, d.TTL)
		}
		if id != "over" && len(d.Value.Refused) == 0 {
			t.Errorf("%s: what stops it is not said", id)
		}
	}
	for _, id := range []string{"newer", "newer over", "long over"} {
		if d, ok := snapshot.Proposals[id]; ok {
			t.Errorf("%s was written: %+v", id, d.Value)
		}
	}
	if len(tk.refused["new"]) == 0 || tk.did["new"] {
		t.Errorf("the notice is told %v, done %v", tk.refused["new"], tk.did["new"])
	}

	// A gate that a newer version wrote stops everything, before every other guard.
	tk.Snapshot = snapshot
	if _, err := tk.act(t.Context(), &repair.Gate{}, store.ErrNewerSchema); err != nil {
		t.Fatal(err)
	}
	if r := tk.refused["new"]; len(r) < 2 || r[0].Guard != "gate" {
		t.Errorf("the gate is a newer version's: %v", r)
	}
}

// TestAnAlarmOnAStoppedService: what Peerkeeper does about it, and how to answer.
func TestAnAlarmOnAStoppedService(t *testing.T) {
	id := peer.IDOf(peer.ServiceStopped, "imp-emea-pub", peer.ICSA)
	other := peer.Proposal{ID: "o1", Action: peer.RestartService, Target: peer.Target{Cluster: "emea", Node: "imp-emea-pub", Service: peer.ICSA}}
	start := peer.Proposal{ID: "s1", Action: peer.StartService, Target: peer.Target{Cluster: "emea", Node: "imp-emea-pub", Service: peer.ICSA}, Why: "it was stopped at 09:00.", Interrupts: "nothing"}
	elsewhere := start
	elsewhere.ID, elsewhere.Target.Node = "s2", "imp-emea-sub"
	ask := func(p peer.Proposal) peer.Proposal { p.Approval = "a person may have stopped it on purpose"; return p }
	because := func(p peer.Proposal, why peer.StopCause) peer.Proposal { p.Stop = why; return p }
	for _, c := range []struct {
		name   string
		asked  []peer.Proposal
		mode   mesh.Mode
		step   string
		first  string
		says   []string
		silent []string
	}{
		{"nothing is asked for", []peer.Proposal{other, elsewhere}, mesh.Recover, "", "as found", nil, nil},
		{"it is started", []peer.Proposal{other, elsewhere, start}, mesh.Recover, "", "it was stopped at 09:00.", []string{"Peerkeeper: will start Cisco Intercluster Sync Agent on imp-emea-pub"}, []string{"Next step"}},
		{"it crashed, and a person is asked", []peer.Proposal{because(ask(start), peer.StopCrashed)}, mesh.Recover, "approval 2", "it was stopped at 09:00.", []string{"`peerkeeper approve s1`"}, []string{"Next step"}},
		{"it was stopped by somebody, and a person is asked", []peer.Proposal{because(ask(start), peer.StopMeant)}, mesh.Recover, "approval 2", "it was stopped at 09:00.", []string{"`peerkeeper maintenance start emea", "Otherwise `peerkeeper approve s1`."}, []string{"Otherwise start it"}},
		{"it was stopped by somebody, and is started all the same", []peer.Proposal{because(start, peer.StopMeant)}, mesh.Recover, "", "it was stopped at 09:00.", []string{"Otherwise start it: "}, []string{"Otherwise `peerkeeper"}},
		{"it was stopped by somebody, in mode observe", []peer.Proposal{because(ask(start), peer.StopMeant)}, mesh.Observe, "", "it was stopped at 09:00.", []string{"Otherwise start it: "}, []string{"Otherwise `peerkeeper"}},
	} {
		tk := at(t, func(tk *tick, _ *peer.Facts) { tk.Mesh.Policy.Mode = c.mode })
		tk.asked = c.asked
		one := alarm.Firing{Cluster: "emea"}
		if !tk.stopped(peer.Finding{ID: id, Since: noon.Add(-9 * time.Hour)}, &one) || one.Step != c.step {
			t.Errorf("%s: step %q, want %q", c.name, one.Step, c.step)
		}
		first, more := tk.stoppedNotice(alarm.Firing{Subject: string(id), Message: "as found"})
		mustSay(t, c.name, fmt.Sprint(first, "\n", more), append(c.says, c.first), c.silent)
	}
	tk := at(t, nil)
	if tk.stopped(peer.Finding{ID: id, Since: noon}, &alarm.Firing{Cluster: "emea"}) {
		t.Error("what was seen once may be a restart under way")
	}
}

// TestWhetherAnAlarmCanBeJudged that does not fire: only what is known clears one.
func TestWhetherAnAlarmCanBeJudged(t *testing.T) {
	blind := func(why peer.Reason) func(*tick, *peer.Facts) {
		return func(_ *tick, f *peer.Facts) { f.Clusters["emea"].Seen.Access = peer.Unknown[bool](why, "") }
	}
	both := func(all ...func(*tick, *peer.Facts)) func(*tick, *peer.Facts) {
		return func(tk *tick, f *peer.Facts) {
			for _, do := range all {
				do(tk, f)
			}
		}
	}
	lost := func(_ *tick, f *peer.Facts) {
		f.Clusters["emea"].SilentSince = map[mesh.NodeName]time.Time{"imp-emea-pub": noon.Add(-time.Hour)}
	}
	cond := func(s peer.Status, why peer.Reason) func(*tick, *peer.Facts) {
		return func(tk *tick, _ *peer.Facts) {
			tk.Conditions[emeaApac] = []peer.Condition{{Type: peer.Synced, Status: s, Reason: why}}
		}
	}
	certs := func(change func(*certificate.Record)) func(*tick, *peer.Facts) {
		return func(tk *tick, _ *peer.Facts) {
			tk.cert("emea", func(r *certificate.Record) {
				r.At = noon
				r.Served = map[mesh.NodeName]map[certificate.Place]certificate.Served{"imp-emea-pub": {{KeyType: "RSA"}: {Fingerprint: "sha256:aa", Error: "refused", Read: noon}}}
				change(r)
			})
		}
	}
	of := func(name string) alarm.Item { return alarm.Item{Notice: alarm.Notice{Name: name, Cluster: "emea"}} }
	about := func(name, subject string) alarm.Item { it := of(name); it.Subject = subject; return it }
	peerItem := alarm.Item{Notice: alarm.Notice{Name: alarm.PeriodicSyncingFailure, Peer: emeaApac}}
	const its, another = "CertificateExpiring:imp-emea-pub:RSA", "CertificateExpiring:imp-emea-sub:RSA"
	for _, c := range []struct {
		name      string
		it        alarm.Item
		do        func(*tick, *peer.Facts)
		undecided bool
	}{
		{"a sync that works", peerItem, cond(peer.True, peer.OnInterval), false},
		{"a sync of which nobody knows", peerItem, cond(peer.UnknownStatus, peer.CannotConnect), true},
		{"a sync that cannot be observed at all", peerItem, cond(peer.UnknownStatus, peer.NotObservable), false},
		{"a sync that another source contradicts", peerItem, cond(peer.UnknownStatus, peer.Contradicted), false},
		{"an alarm of Peerkeeper's own", alarm.Item{Notice: alarm.Notice{Name: alarm.RunOverdue}}, nil, false},
		{"a cluster that left the view", of(alarm.ClusterDown), func(_ *tick, f *peer.Facts) { delete(f.Clusters, "emea") }, false},
		{"a cluster that is down, and seen", of(alarm.ClusterDown), nil, false},
		{"whose record a newer version wrote", of(alarm.ClusterDown), func(tk *tick, _ *peer.Facts) {
			d := tk.Snapshot.Clusters["emea"]
			d.Newer = true
			tk.Snapshot.Clusters["emea"] = d
		}, true},
		{"that was looked at two ticks ago", of(alarm.ClusterDown), func(_ *tick, f *peer.Facts) { f.Clusters["emea"].Seen.At = noon.Add(-10 * time.Minute) }, false},
		{"that was looked at longer ago", of(alarm.ClusterDown), func(_ *tick, f *peer.Facts) { f.Clusters["emea"].Seen.At = noon.Add(-11 * time.Minute) }, true},
		{"that refuses the account: it is there", of(alarm.ClusterDown), blind(peer.AccountRejected), false},
		{"that was lost and refuses the account, which it may not have been asked", of(alarm.ClusterDown), both(blind(peer.AccountRejected), lost), true},
		{"of which there is no password", of(alarm.ClusterDown), blind(peer.NoCredentials), true},
		{"an account, while the cluster is seen", of(alarm.AccountRejected), nil, false},
		{"an account, while it is not seen", of(alarm.AccountRejected), blind(peer.NoCredentials), true},
		{"a stopped service, and all are read", of(alarm.ServiceStopped), nil, false},
		{"a stopped service, and it is not seen", of(alarm.ServiceStopped), blind(peer.NoCredentials), true},
		{"a stopped service, and one node's are not read", of(alarm.ServiceStopped), func(_ *tick, f *peer.Facts) {
			f.Clusters["emea"].Seen.Nodes["imp-emea-sub"] = peer.Node{Services: peer.Unknown[map[string]peer.Service](peer.TimedOut, "")}
		}, true},
		{"users who fell: the look tells", about(alarm.UsersFell, "UsersFell"), nil, false},
		{"a certificate that cannot be read now", about(alarm.CertificateExpiring, its), certs(func(*certificate.Record) {}), true},
		{"another certificate than the one that cannot be read", about(alarm.CertificateExpiring, another), certs(func(*certificate.Record) {}), false},
		{"a root, while any certificate cannot be read", about(alarm.PeerkeeperGoesBlind, "PeerkeeperGoesBlind:Root:2026-06-07"), certs(func(*certificate.Record) {}), true},
		{"a root, and every certificate is read", about(alarm.PeerkeeperGoesBlind, "PeerkeeperGoesBlind:Root:2026-06-07"), certs(func(r *certificate.Record) { r.Served = nil }), false},
		{"a certificate, after two periods of certcheck", about(alarm.CertificateExpiring, another), certs(func(r *certificate.Record) { r.At = noon.Add(-2 * peer.CertLook) }), false},
		{"a certificate, and certcheck has not looked for longer", about(alarm.CertificateExpiring, another), certs(func(r *certificate.Record) { r.At = noon.Add(-2*peer.CertLook - time.Second) }), true},
		{"a certificate, and a newer version wrote its record", about(alarm.CertificateExpiring, another), both(certs(func(*certificate.Record) {}), func(tk *tick, _ *peer.Facts) {
			d := tk.Snapshot.Certs["emea"]
			d.Newer = true
			tk.Snapshot.Certs["emea"] = d
		}), true},
		{"a DNS server: certcheck's look tells, whatever is read", about(alarm.DNSServerSilent, "DNSServerSilent:192.0.2.1"), certs(func(*certificate.Record) {}), false},
	} {
		if got := at(t, c.do).undecided(c.it); got != c.undecided {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	for it, removed := range map[alarm.Notice]bool{
		{Peer: emeaApac}: false, {Peer: mesh.PeerID{From: "emea", To: "mars"}}: true, {Cluster: "emea"}: false, {Cluster: "mars"}: true, {Name: alarm.RunOverdue}: false,
	} {
		if got := at(t, nil).removed(alarm.Item{Notice: it}); got != removed {
			t.Errorf("%s%s has left mesh.yaml: %v", it.Peer, it.Cluster, got)
		}
	}
}

// TestTheStateOfAStuckPeer is its rung's.
func TestTheStateOfAStuckPeer(t *testing.T) {
	for _, c := range []struct {
		name string
		l    peer.Ladder
		want peer.State
	}{
		{"the ladder's end", peer.Ladder{Rung: peer.RungHuman, ProveBy: noon.Add(time.Hour)}, peer.NeedsHuman},
		{"a step that waits", peer.Ladder{Rung: peer.RungRestart, Until: noon.Add(time.Second)}, peer.Cooling},
		{"a step that has waited, and has nothing to prove", peer.Ladder{Rung: peer.RungRestart, Until: noon}, peer.Stuck},
		{"a step that has to prove itself", peer.Ladder{Rung: peer.RungRestart, Until: noon.Add(-time.Hour), ProveBy: noon.Add(time.Hour)}, peer.Recovering},
		{"a step that has not begun", peer.Ladder{Rung: peer.RungRestart}, peer.Stuck},
	} {
		if got := rungState(c.l, noon); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestACertificateAlarmFires where it is worth a notice.
func TestACertificateAlarmFires(t *testing.T) {
	trusted := func(of map[mesh.PeerID]peer.Reason) func(*tick, *peer.Facts) {
		return func(tk *tick, _ *peer.Facts) {
			for id, why := range of {
				tk.Conditions[id] = []peer.Condition{{Type: peer.CertificateTrusted, Status: peer.True, Reason: why}}
			}
		}
	}
	lacking := peer.Finding{Reason: certificate.NotTrustedByPeers, Severity: peer.Critical, Lacking: []mesh.ClusterID{"emea", "amer"}}
	warning := lacking
	warning.Severity = peer.Warning
	for _, c := range []struct {
		name       string
		f          peer.Finding
		do         func(*tick, *peer.Facts)
		fires      bool
		step       string
		suppressed bool
	}{
		{"emea and amer lack it", lacking, nil, true, "import", false},
		{"a subscriber's, or syncs succeed still", warning, nil, false, "", false},
		{"both have synced over it", lacking, trusted(map[mesh.PeerID]peer.Reason{emeaApac: peer.SyncedOverServedLeaf, amerApac: peer.Contradicted}), false, "", false},
		{"one of both has synced over it", lacking, trusted(map[mesh.PeerID]peer.Reason{emeaApac: peer.SyncedOverServedLeaf}), true, "import", false},
		{"nobody lacks it by name", peer.Finding{Reason: certificate.NotTrustedByPeers, Severity: peer.Critical}, nil, true, "import", false},
		{"not valid yet", peer.Finding{Reason: certificate.CertificateNotYetValid}, nil, true, "", false},
		{"not valid yet, and all that pull from it sync", peer.Finding{Reason: certificate.CertificateNotYetValid}, trusted(map[mesh.PeerID]peer.Reason{emeaApac: peer.Contradicted, amerApac: peer.Contradicted}), false, "", false},
		{"not valid yet, and one that pulls from it syncs", peer.Finding{Reason: certificate.CertificateNotYetValid}, trusted(map[mesh.PeerID]peer.Reason{emeaApac: peer.Contradicted}), true, "", false},
		{"put in, and every ICSA has read it", peer.Finding{Reason: peer.TrustNotReloaded, Lacking: []mesh.ClusterID{"emea"}}, trusted(map[mesh.PeerID]peer.Reason{emeaApac: peer.Contradicted}), true, "import", true},
	} {
		one := alarm.Firing{Cluster: "apac"}
		if fires := at(t, c.do).notTrusted(c.f, &one); fires != c.fires || fires && (one.Step != c.step || one.Suppressed != c.suppressed) {
			t.Errorf("%s: fires %v, step %q, suppressed %v", c.name, fires, one.Step, one.Suppressed)
		}
	}
	// Put in, and not read: with the first sync that was due a restart waits for a person.
	arrived := func(ago, up time.Duration) func(*tick, *peer.Facts) {
		return func(tk *tick, f *peer.Facts) {
			n := f.Clusters["emea"].Seen.Nodes["imp-emea-pub"]
			n.Services = peer.Known(map[string]peer.Service{peer.ICSA: {Status: "Started", UpTime: up}}, noon)
			f.Clusters["emea"].Seen.Nodes["imp-emea-pub"] = n
			s := certificate.Served{Fingerprint: "sha256:aa", Subject: "CN=imp-apac-pub", SelfSigned: true, NotAfter: noon.AddDate(1, 0, 0), First: noon.AddDate(-1, 0, 0), Read: noon}
			tk.cert("apac", func(r *certificate.Record) {
				r.Served = map[mesh.NodeName]map[certificate.Place]certificate.Served{"imp-apac-pub": {{KeyType: "RSA"}: s}}
			})
			tk.cert("emea", func(r *certificate.Record) {
				r.Trust = map[string]certificate.Store{peer.TomcatTrust: {Nodes: []certificate.StoreNode{{Name: "imp-emea-pub", Read: noon}}, Entries: []certificate.Entry{{Print: "aa", Subject: "imp-apac-pub"}}, Came: map[string]time.Time{"aa": noon.Add(-ago)}}}
			})
		}
	}
	for _, c := range []struct {
		name       string
		do         func(*tick, *peer.Facts)
		step       string
		suppressed bool
	}{
		{"a sync may still show that it was read", arrived(10*time.Minute, time.Hour), "import", false},
		{"a sync was due since", arrived(50*time.Minute, time.Hour), "reload", false},
		{"ICSA was restarted since", arrived(50*time.Minute, time.Minute), "import", true},
	} {
		one := alarm.Firing{Cluster: "apac"}
		if fires := at(t, c.do).notTrusted(peer.Finding{Reason: peer.TrustNotReloaded}, &one); !fires || one.Step != c.step || one.Suppressed != c.suppressed {
			t.Errorf("%s: fires %v, step %q, suppressed %v", c.name, fires, one.Step, one.Suppressed)
		}
		one = alarm.Firing{Cluster: "apac", Suppressed: true}
		if at(t, c.do).notTrusted(peer.Finding{Reason: peer.TrustNotReloaded}, &one); !one.Suppressed {
			t.Errorf("%s: in maintenance it is said all the same", c.name)
		}
	}
}

// TestAnAlarmThatRisesAsTimeRunsOut: each threshold is a step, and the end the last.
func TestAnAlarmThatRisesAsTimeRunsOut(t *testing.T) {
	f := peer.Finding{ID: "CertificateExpiring:imp-emea-pub:RSA", Reason: peer.CertificateExpiring, Severity: peer.Warning, Since: noon}
	one := alarm.Firing{Subject: string(f.ID)}
	if ending(f, &one); one.Step != "2026-03-02" || one.Severity != peer.Warning || one.Subject != string(f.ID) {
		t.Errorf("%+v", one)
	}
	f.ID, f.Reason = "ChainCertificateExpired:imp-emea-pub:RSA", certificate.ChainExpired
	if ending(f, &one); one.Step != "over" || one.Severity != peer.Critical || one.Subject != "CertificateExpiring:imp-emea-pub:RSA" {
		t.Errorf("its CA has ended: %+v", one)
	}
}

// TestHowAPersonVouches for a publisher's certificate that Peerkeeper does not trust.
func TestHowAPersonVouches(t *testing.T) {
	for _, c := range []struct {
		name string
		s    certificate.Served
		want string
	}{
		{"pinned", certificate.Served{Fingerprint: "sha256:aa", Pinned: true}, ""},
		{"by tls.ca", certificate.Served{Fingerprint: "sha256:aa", CA: true}, ""},
		{"never read", certificate.Served{}, ""},
		{"nobody's", certificate.Served{Fingerprint: "sha256:aa"}, "`peerkeeper trust accept imp-apac-pub sha256:aa`"},
		{"disputed, and pinned", certificate.Served{Fingerprint: "sha256:aa", Pinned: true, Disputed: true}, "is not what its certificate management names"},
	} {
		tk := at(t, func(tk *tick, _ *peer.Facts) {
			tk.cert("apac", func(r *certificate.Record) {
				r.Served = map[mesh.NodeName]map[certificate.Place]certificate.Served{"imp-apac-pub": {{KeyType: "ECDSA"}: c.s}}
			})
		})
		if got := tk.unvouched("apac"); (got == "") != (c.want == "") {
			t.Errorf("%s: %q", c.name, got)
		} else if c.want != "" {
			mustSay(t, c.name, got, []string{c.want}, nil)
		}
	}
	if got := at(t, nil).unvouched("mars"); got != "" {
		t.Errorf("a cluster that left: %q", got)
	}
}

// TestWhatIsSaidOfManyImports: the first three, and that there are more.
func TestWhatIsSaidOfManyImports(t *testing.T) {
	tk := at(t, nil)
	ask := func(n int) {
		tk.asked = []peer.Proposal{{ID: "other", Action: peer.ImportCertificate, Source: &peer.CertSource{}, Peers: []mesh.PeerID{apacEmea}}}
		for i := range n {
			tk.asked = append(tk.asked, peer.Proposal{ID: fmt.Sprint("i", i), Action: peer.ImportCertificate, Approval: "it is asked for", Source: &peer.CertSource{}, Peers: []mesh.PeerID{emeaApac}})
		}
	}
	for n, want := range map[int]int{1: 1, 3: 3, 4: 4, 9: 4} {
		if ask(n); len(tk.importNotice("apac")) != want {
			t.Errorf("%d imports: %q", n, tk.importNotice("apac"))
		}
	}
	ask(0)
	mustSay(t, "nothing is asked for", fmt.Sprint(tk.importNotice("apac")), []string{"puts nothing into a trust store here", "Force Manual Sync"}, nil)
	tk.cert("apac", func(r *certificate.Record) { r.Findings = []peer.Finding{{Reason: peer.TrustNotReloaded}} })
	mustSay(t, "put in, and not read", fmt.Sprint(tk.importNotice("apac")), []string{"waits for the next sync"}, []string{"Force Manual Sync"})
	ask(1)
	mustSay(t, "put in, not read, and an import is asked for", fmt.Sprint(tk.importNotice("apac")), []string{"`peerkeeper approve i0`"}, []string{"waits for the next sync"})
}

// TestAFunctionThatDoesNotComplete is told of, but for stucksync itself.
func TestAFunctionThatDoesNotComplete(t *testing.T) {
	tk := at(t, func(tk *tick, _ *peer.Facts) {
		for _, s := range run.Schedules() {
			if s.Function == "peering" {
				continue // nobody runs it here
			}
			r := store.Run{FirstStarted: noon.Add(-48 * time.Hour), Started: noon.Add(-48 * time.Hour), Completed: noon.Add(-47 * time.Hour)}
			if s.Function == "certcheck" {
				r.Completed = time.Time{}
			}
			tk.Snapshot.Runs[s.Function] = store.Doc[store.Run]{Value: r}
		}
	})
	said := map[string]string{}
	for _, f := range tk.overdue() {
		said[f.Subject] = f.Message
	}
	// Preflight runs once a day, and is not overdue within two.
	if _, itself := said["stucksync"]; itself || len(said) != 2 {
		t.Errorf("%v", said)
	}
	mustSay(t, "peersync", said["peersync"], []string{"peersync has not completed since 2026-02-28 13:00 UTC"}, nil)
	mustSay(t, "certcheck", said["certcheck"], []string{"certcheck has never completed; it was first started at 2026-02-28 12:00 UTC"}, nil)
}

// TestAnAcknowledgedAlarmIsNotSaid, as long as its acknowledgement stands; of a peer
// it is its overlay too.
func TestAnAcknowledgedAlarmIsNotSaid(t *testing.T) {
	ack := func(expires time.Time, name string, cluster mesh.ClusterID, id mesh.PeerID, subject string) func(*tick, *peer.Facts) {
		return func(tk *tick, f *peer.Facts) {
			tk.Conditions[emeaApac] = []peer.Condition{{Type: peer.UsersMatch, Status: peer.False, Reason: peer.UsersMissing, Since: noon.Add(-time.Hour)}}
			f.Clusters["apac"].Findings = []peer.Finding{{ID: "ClusterDown", Reason: peer.ClusterDown, Since: noon.Add(-time.Hour)}}
			tk.Snapshot.Overrides.Acks = map[string]record.Override{alarm.Fingerprint("acme", name, cluster, id, subject): {Scope: record.WholeMesh, At: noon.Add(-time.Hour), Expires: expires}}
		}
	}
	later, before := noon.Add(time.Hour), noon.Add(-time.Minute)
	for _, c := range []struct {
		name          string
		do            func(*tick, *peer.Facts)
		peer, cluster bool // is not said
		overlay       bool
	}{
		{"nothing", ack(later, alarm.UsersDiffer, "", amerApac, ""), false, false, false},
		{"the peer's", ack(later, alarm.UsersDiffer, "", emeaApac, ""), true, false, true},
		{"the peer's, until a minute ago", ack(before, alarm.UsersDiffer, "", emeaApac, ""), false, false, false},
		{"the cluster's", ack(later, alarm.ClusterDown, "apac", mesh.PeerID{}, ""), false, true, false},
	} {
		tk := at(t, c.do)
		got := map[string]bool{}
		for _, f := range tk.firing() {
			got[f.Name] = f.Suppressed
		}
		if len(got) != 2 || got[alarm.UsersDiffer] != c.peer || got[alarm.ClusterDown] != c.cluster {
			t.Errorf("%s: %v", c.name, got)
		}
		if tk.acked("acme", emeaApac) != c.overlay {
			t.Errorf("%s: the peer is acknowledged: %v", c.name, !c.overlay)
		}
	}
}

// TestWhatANewerVersionRecordedIsNotUnderstood, of whichever of the four records a
// peer is judged by.
func TestWhatANewerVersionRecordedIsNotUnderstood(t *testing.T) {
	newer := func(d *store.Doc[peer.ClusterRecord]) { d.Newer = true }
	for _, c := range []struct {
		name string
		do   func(*tick)
		want bool
	}{
		{"none", func(*tick) {}, false},
		{"the sync's", func(tk *tick) { d := tk.Snapshot.Syncs[emeaApac]; d.Newer = true; tk.Snapshot.Syncs[emeaApac] = d }, true},
		{"the certificate's", func(tk *tick) {
			d := tk.Snapshot.PeerCert[emeaApac]
			d.Newer = true
			tk.Snapshot.PeerCert[emeaApac] = d
		}, true},
		{"the puller's", func(tk *tick) { d := tk.Snapshot.Clusters["emea"]; newer(&d); tk.Snapshot.Clusters["emea"] = d }, true},
		{"the other cluster's", func(tk *tick) { d := tk.Snapshot.Clusters["apac"]; newer(&d); tk.Snapshot.Clusters["apac"] = d }, true},
		{"a third cluster's", func(tk *tick) { d := tk.Snapshot.Clusters["amer"]; newer(&d); tk.Snapshot.Clusters["amer"] = d }, false},
	} {
		tk := at(t, nil)
		c.do(tk)
		all := true
		for _, cond := range tk.Snapshot.Conditions(tk.View, emeaApac) {
			all = all && cond.Reason == peer.NewerSchema && cond.Status == peer.UnknownStatus
		}
		if all != c.want {
			t.Errorf("%s: %+v", c.name, tk.Snapshot.Conditions(tk.View, emeaApac))
		}
	}
}

// TestPeersAndClustersAreCounted as the answer of a run has them.
func TestPeersAndClustersAreCounted(t *testing.T) {
	tk := at(t, func(_ *tick, f *peer.Facts) {
		f.Clusters["apac"].Seen.Access = peer.Unknown[bool](peer.TimedOut, "")
		f.Clusters["amer"].SilentSince = map[mesh.NodeName]time.Time{"imp-amer-sub": noon}
	})
	gone := mesh.PeerID{From: "emea", To: "mars"}
	tk.Snapshot.Gone = []mesh.PeerID{gone, {From: "mars", To: "emea"}}
	tk.Snapshot.States[gone] = store.NewDoc(store.PeerStuck("acme", gone), record.StateSchema, peer.StateRecord{State: peer.Healthy, Overlays: []peer.Overlay{peer.Paused}})
	over := mesh.PeerID{From: "mars", To: "emea"}
	tk.Snapshot.States[over] = store.NewDoc(store.PeerStuck("acme", over), record.StateSchema, peer.StateRecord{State: peer.Terminated, Since: noon.Add(-time.Hour)})
	answer := run.Answer{Peers: map[peer.State]int{}}
	changes := tk.foldAll(&answer)
	tk.count(&answer)
	if answer.Peers[peer.Terminated] != 2 || answer.Peers[peer.Healthy] != 6 {
		t.Errorf("%v", answer.Peers)
	}
	if got := answer.Clusters; got.Observed != 1 || got.Partial != 1 || got.Unreachable != 1 {
		t.Errorf("%+v", got)
	}
	if _, err := changes.Write(t.Context(), tk.Store); err != nil {
		t.Fatal(err)
	}
	if it, err := tk.Store.Get(t.Context(), store.PeerStuck("acme", gone)); err != nil {
		t.Errorf("%v", err)
	} else if d, _ := store.Decode[peer.StateRecord](it, record.StateSchema); d.Value.State != peer.Terminated || !d.Value.Since.Equal(noon) || d.Value.Overlays != nil {
		t.Errorf("%+v", d.Value)
	}
	if _, err := tk.Store.Get(t.Context(), store.PeerStuck("acme", over)); err == nil {
		t.Error("what ended before is written again")
	}
}

// TestWhatANoticeOfAPeerIsComposedFrom: its own condition, its ladder, and the
// restart that is asked for it.
func TestWhatANoticeOfAPeerIsComposedFrom(t *testing.T) {
	restart := peer.Proposal{ID: "r1", Action: peer.RestartService, Approval: "it is asked for", Target: peer.Target{Cluster: "emea", Node: "imp-emea-pub", Service: peer.ICSA}, Peers: []mesh.PeerID{emeaApac}, Interrupts: "nothing"}
	with := func(change func(*peer.Proposal)) peer.Proposal { p := restart; change(&p); return p }
	for _, c := range []struct {
		name    string
		alarm   string
		asked   peer.Proposal
		restart bool
		ladder  bool
	}{
		{"a stuck sync", alarm.PeriodicSyncingFailure, restart, true, true},
		{"users differ", alarm.UsersDiffer, restart, false, false},
		{"a start", alarm.PeriodicSyncingFailure, with(func(p *peer.Proposal) { p.Action = peer.StartService }), false, true},
		{"another service's restart", alarm.PeriodicSyncingFailure, with(func(p *peer.Proposal) { p.Target.Service = peer.AXL }), false, true},
		{"another peer's restart", alarm.PeriodicSyncingFailure, with(func(p *peer.Proposal) { p.Peers = []mesh.PeerID{amerApac} }), false, true},
	} {
		tk := at(t, func(tk *tick, _ *peer.Facts) {
			tk.Conditions[emeaApac] = []peer.Condition{
				{Type: peer.Synced, Status: peer.False, Reason: peer.FourPeriodsMissed, Message: "the sync stands", Since: noon.Add(-time.Hour)},
				{Type: peer.UsersMatch, Status: peer.False, Reason: peer.UsersMissing, Message: "users are missing", Since: noon.Add(-time.Hour)},
			}
			tk.ladders[emeaApac] = peer.Ladder{Rung: peer.RungHuman, Evidence: "nothing helped"}
		})
		tk.asked = []peer.Proposal{c.asked}
		out := tk.texts([]alarm.Firing{{Name: alarm.RunOverdue, Message: "as it is"}, {Name: c.alarm, Peer: emeaApac, Since: noon}})
		text := fmt.Sprint(out[1].Message, "\n", out[1].More)
		says, silent := []string{"the sync stands"}, []string{"users are missing"}
		if c.alarm == alarm.UsersDiffer {
			says, silent = silent, says
		}
		add := func(is bool, words string) {
			if is {
				says = append(says, words)
			} else {
				silent = append(silent, words)
			}
		}
		add(c.restart, "`peerkeeper approve r1`")
		add(c.ladder, "open a TAC case")
		mustSay(t, c.name, text, says, silent)
		if out[0].Message != "as it is" {
			t.Errorf("%s: an alarm without a peer reads %q", c.name, out[0].Message)
		}
	}
}

// TestWhatFiresOfACluster: what there is an alarm for, by the one that looks at it; a
// certificate that has expired suppresses the alarm that said that it would.
func TestWhatFiresOfACluster(t *testing.T) {
	expired := certificate.Served{Fingerprint: "sha256:aa", Subject: "CN=x", NotAfter: noon.Add(-time.Hour), Read: noon}
	found := func(tk *tick, f *peer.Facts) {
		f.Clusters["apac"].Findings = []peer.Finding{
			{ID: "HAState:imp-apac-pub", Reason: peer.HAState},                              // no alarm is about it
			{ID: "CertificateExpired:imp-apac-pub:RSA", Reason: peer.CertificateExpired},    // not peersync's to say
			{ID: "ServiceStopped:imp-apac-pub:x", Reason: peer.ServiceStopped, Since: noon}, // seen once
			{ID: "ClusterDown", Reason: peer.ClusterDown, Since: noon.Add(-time.Hour)},
		}
		tk.cert("apac", func(r *certificate.Record) {
			r.Served = map[mesh.NodeName]map[certificate.Place]certificate.Served{"imp-apac-pub": {{KeyType: "RSA"}: expired}}
		})
	}
	for _, c := range []struct {
		name string
		do   func(*tick, *peer.Facts)
		want string
	}{
		{"as it is", found, "[ClusterDown: CertificateExpired: CertificateExpiring:suppressed]"},
		{"in maintenance", func(tk *tick, f *peer.Facts) {
			found(tk, f)
			tk.Snapshot.Overrides.Maintenance = []record.Override{{Scope: "apac", At: noon.Add(-time.Hour)}}
		}, "[ClusterDown:suppressed CertificateExpired:suppressed CertificateExpiring:suppressed]"},
	} {
		var got []string
		for _, f := range at(t, c.do).clusterFiring("apac") {
			word := ""
			if f.Suppressed {
				word = "suppressed"
			}
			got = append(got, f.Name+":"+word)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// TestWhatAwaitsAnotherAlarm: a sync that is overdue or stands is about to be told of.
func TestWhatAwaitsAnotherAlarm(t *testing.T) {
	for _, c := range []struct {
		name   string
		synced peer.Condition
		want   bool
	}{
		{"it works", peer.Condition{Type: peer.Synced, Status: peer.True, Reason: peer.OnInterval}, false},
		{"it is overdue", peer.Condition{Type: peer.Synced, Status: peer.True, Reason: peer.Overdue}, true},
		{"it stands", peer.Condition{Type: peer.Synced, Status: peer.False, Reason: peer.FourPeriodsMissed}, true},
	} {
		tk := at(t, func(tk *tick, _ *peer.Facts) { tk.Conditions[emeaApac] = []peer.Condition{c.synced} })
		if got := tk.aboutToFire(alarm.PeriodicSyncingFailure, emeaApac); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	for overlay, want := range map[peer.Overlay]bool{peer.Maintenance: true, peer.Acknowledged: true, peer.Flapping: true, peer.Upgrading: true, peer.Rewound: true, peer.Changing: true, peer.Paused: false} {
		if got := suppressed([]peer.Overlay{overlay}); got != want {
			t.Errorf("%s keeps notices back: %v", overlay, got)
		}
	}
	// The certificate of which it is not told yet: an hour before the time for a sync
	// is up, and two of certcheck's periods after.
	sched, _ := run.Find("certcheck")
	for left, want := range map[time.Duration]bool{time.Hour: true, time.Hour + time.Second: false, -2*sched.Period + time.Second: true, -2 * sched.Period: false} {
		tk := at(t, func(tk *tick, _ *peer.Facts) {
			tk.Conditions[emeaApac] = []peer.Condition{{Type: peer.CertificateTrusted, Status: peer.UnknownStatus, Reason: peer.ExchangePending}}
			d := tk.Snapshot.PeerCert[emeaApac]
			d.Value.LeafFirst = noon.Add(left - 90*time.Minute)
			tk.Snapshot.PeerCert[emeaApac] = d
		})
		if got := tk.certWillSpeak(emeaApac); got != want {
			t.Errorf("%s before the time for a sync is up: %v", left, got)
		}
	}
}

// TestWhatTheMeshAsksFor: what certificates ask for comes beside
// what the syncs do.
func TestWhatTheMeshAsksFor(t *testing.T) {
	tk := at(t, func(tk *tick, f *peer.Facts) {
		tk.Mesh.Policy.ImportCertificates = mesh.ImportApprove
		n := f.Clusters["emea"].Seen.Nodes["imp-emea-pub"]
		n.Services = peer.Known(map[string]peer.Service{peer.ICSA: {Status: "Started", UpTime: time.Hour}}, noon)
		f.Clusters["emea"].Seen.Nodes["imp-emea-pub"] = n
		s := certificate.Served{Fingerprint: "sha256:aa", Subject: "CN=imp-apac-pub", SelfSigned: true, NotAfter: noon.AddDate(1, 0, 0), First: noon.AddDate(-1, 0, 0), Read: noon}
		tk.cert("apac", func(r *certificate.Record) {
			r.Served = map[mesh.NodeName]map[certificate.Place]certificate.Served{"imp-apac-pub": {{KeyType: "RSA"}: s}}
		})
		tk.cert("emea", func(r *certificate.Record) {
			r.Trust = map[string]certificate.Store{peer.TomcatTrust: {Nodes: []certificate.StoreNode{{Name: "imp-emea-pub", Read: noon}}, Entries: []certificate.Entry{{Print: "aa", Subject: "imp-apac-pub"}}, Came: map[string]time.Time{"aa": noon.Add(-50 * time.Minute)}}}
		})
		tk.Conditions[apacEmea] = []peer.Condition{{Type: peer.Synced, Status: peer.False, Reason: peer.FourPeriodsMissed, Since: noon.Add(-2 * time.Hour)}}
	})
	tk.climb(&repair.Gate{})
	if len(tk.ladders) != 1 || tk.ladders[apacEmea].Rung == "" {
		t.Errorf("the ladders: %+v", tk.ladders)
	}
	if i := len(tk.asked); i == 0 || !tk.asked[i-1].Reload || tk.asked[i-1].Target.Cluster != "emea" {
		t.Errorf("asked for: %+v", tk.asked)
	}
}

// TestAPeersState has what people said, what it was before, and in mode recover its
// rung's.
func TestAPeersState(t *testing.T) {
	stuck := func(mode mesh.Mode) func(*tick, *peer.Facts) {
		return func(tk *tick, _ *peer.Facts) {
			tk.Mesh.Policy.Mode = mode
			tk.Conditions[emeaApac] = []peer.Condition{{Type: peer.Synced, Status: peer.False, Reason: peer.FourPeriodsMissed, Since: noon.Add(-2 * time.Hour)}}
			tk.ladders[emeaApac] = peer.Ladder{Rung: peer.RungHuman}
			tk.Snapshot.Overrides.Acks = map[string]record.Override{
				alarm.Fingerprint("acme", alarm.PeriodicSyncingFailure, "", emeaApac, ""): {Scope: record.WholeMesh, At: noon.Add(-time.Hour), Expires: noon.Add(time.Hour)},
				alarm.Fingerprint("acme", alarm.UsersDiffer, "", emeaApac, ""):            {Scope: record.WholeMesh, At: noon.Add(-3 * time.Hour), Expires: noon.Add(-time.Hour)},
			}
		}
	}
	for mode, want := range map[mesh.Mode]peer.State{mesh.Recover: peer.NeedsHuman, mesh.Observe: peer.Stuck} {
		for range 10 { // whichever acknowledgement comes first
			got := at(t, stuck(mode)).fold(emeaApac, peer.StateRecord{State: peer.Stuck})
			if got.State != want || len(got.Overlays) != 1 || got.Overlays[0] != peer.Acknowledged {
				t.Fatalf("mode %s: %s %v", mode, got.State, got.Overlays)
			}
		}
	}
	if got := at(t, nil).fold(emeaApac, peer.StateRecord{State: peer.Healthy}); len(got.Overlays) != 0 {
		t.Errorf("nothing was said: %v", got.Overlays)
	}
}

// TestARunThatCannotReadSaysSo and does nothing; a dry run judges and writes nothing.
func TestARunThatCannotReadSaysSo(t *testing.T) {
	broken := errors.New("broken")
	stuck := func(tk *tick) {
		d := tk.Snapshot.Syncs[emeaApac]
		d.Value.Conditions = []peer.Condition{{Type: peer.Synced, Status: peer.False, Reason: peer.FourPeriodsMissed, Since: noon.Add(-2 * time.Hour)}}
		var c record.Changes
		record.Add(&c, d)
		if _, err := c.Write(t.Context(), tk.Store); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		req  run.Request
		fail func(op string, k store.Key) error
		want error
	}{
		{"a dry run", run.Request{DryRun: true}, nil, nil},
		{"the mesh cannot be read", run.Request{}, func(op string, k store.Key) error {
			if op == "load" && k.PK == store.Override("acme") {
				return broken
			}
			return nil
		}, broken},
		{"the gate cannot be read", run.Request{}, func(op string, k store.Key) error {
			if op == "get" && k == store.Gate("acme") {
				return broken
			}
			return nil
		}, broken},
	} {
		tk := at(t, nil)
		stuck(tk)
		tk.Store.(*storetest.Memory).Fail = c.fail
		if _, err := tk.Handle(t.Context(), c.req); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		tk.Store.(*storetest.Memory).Fail = nil
		if _, err := tk.Store.Get(t.Context(), store.PeerStuck("acme", emeaApac)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: a state is written: %v", c.name, err)
		}
		if items, err := alarm.Items(t.Context(), tk.Store, "acme"); err != nil || len(items) != 0 {
			t.Errorf("%s: alarms are written: %v, %v", c.name, items, err)
		}
	}
	// What an action turns on is read again before it, or nothing is done.
	tk := at(t, nil)
	if s, err := tk.recheck(t.Context(), &repair.Gate{}, peer.Proposal{ID: "p", Target: peer.Target{Cluster: "emea", Node: "imp-emea-pub", Service: peer.ICSA}, Peers: []mesh.PeerID{emeaApac}}); err != nil || s.Mesh == nil {
		t.Errorf("%+v, %v", s, err)
	}
	tk.Store.(*storetest.Memory).Fail = func(string, store.Key) error { return broken }
	if s, err := tk.recheck(t.Context(), &repair.Gate{}, peer.Proposal{ID: "p", Peers: []mesh.PeerID{emeaApac}}); !errors.Is(err, broken) || s.Mesh != nil {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestOneCauseSpeaksForThePeersThatItStops, for none that are suppressed or have
// no root, and the oldest alarm of it speaks.
func TestOneCauseSpeaksForThePeersThatItStops(t *testing.T) {
	root := func(id mesh.PeerID) (peer.Root, bool) { return peer.Root{Cause: "ICSA"}, id.From != "amer" }
	name := alarm.PeriodicSyncingFailure
	out, also := group([]alarm.Firing{
		{Name: alarm.ClusterDown, Cluster: "apac"},
		{Name: name, Peer: mesh.PeerID{From: "emea", To: "c04"}, Since: noon.Add(-time.Hour), Suppressed: true},
		{Name: name, Peer: amerApac, Since: noon.Add(-2 * time.Hour)},
		{Name: name, Peer: emeaApac, Since: noon},
		{Name: name, Peer: mesh.PeerID{From: "emea", To: "amer"}, Since: noon.Add(-time.Minute)},
		{Name: name, Peer: mesh.PeerID{From: "emea", To: "c05"}, Since: noon},
	}, root)
	var silent []bool
	for _, f := range out {
		silent = append(silent, f.Suppressed)
	}
	if fmt.Sprint(silent) != "[false true false true false true]" {
		t.Errorf("suppressed: %v", silent)
	}
	if got := fmt.Sprint(also); got != "map[4:[emea>apac emea>c05]]" {
		t.Errorf("spoken for: %s", got)
	}
}
