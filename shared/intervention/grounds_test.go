package intervention

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

var now = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

const pub = mesh.NodeName("imp-emea-pub")

// ground is what a run knows of two clusters, one of which it wants to act on.
// change says what is otherwise.
func ground(change func(*Grounds, *peer.Facts)) *Grounds {
	m := &mesh.Mesh{Name: "acme"}
	facts := peer.Facts{Now: now, Tick: 5 * time.Minute, Mesh: m, Clusters: map[mesh.ClusterID]*peer.ClusterRecord{}}
	for _, id := range []mesh.ClusterID{"emea", "apac"} {
		node := mesh.NodeName("imp-" + string(id) + "-pub")
		m.Clusters = append(m.Clusters, mesh.Cluster{ID: id, Publisher: node, Nodes: []mesh.Node{{Name: node}}})
		seen := peer.Observation{Cluster: id, At: now, Access: peer.Known(true, now), Nodes: map[mesh.NodeName]peer.Node{node: {
			Answers:  peer.Known(true, now),
			Services: peer.Known(map[string]peer.Service{peer.ICSA: {Status: "Started", UpTime: time.Hour}, peer.AXL: {Status: "Started", UpTime: -1}, peer.SRM: {Status: "Started"}}, now.Add(-3*time.Minute)),
		}}}
		facts.Clusters[id] = &peer.ClusterRecord{Seen: seen}
	}
	g := &Grounds{Actor: "stucksync", Snapshot: &record.Snapshot{Clusters: map[mesh.ClusterID]store.Doc[peer.ClusterRecord]{}, Runs: map[string]store.Doc[store.Run]{}}}
	if change != nil {
		change(g, &facts)
	}
	g.View = facts.View()
	g.Certificates = certificate.NewView(g.View, nil)
	return g
}

func restart(service string) peer.Proposal {
	return peer.Proposal{ID: "4f", Action: peer.RestartService, Target: peer.Target{Cluster: "emea", Node: pub, Service: service}}
}

// TestWhatIsNotKnownIsNoGroundToAct: it is said what is not known, and the service
// counts as unknown, not as stopped.
func TestWhatIsNotKnownIsNoGroundToAct(t *testing.T) {
	for _, c := range []struct {
		name             string
		change           func(*Grounds, *peer.Facts)
		service          string
		cluster, unknown string // what is said of the cluster, of the service
		up               time.Duration
	}{
		{"all is known: the service has run three minutes more since it was read", nil, peer.ICSA, "", "", time.Hour + 3*time.Minute},
		{"how long it has run is not told", nil, peer.AXL, "", "", -1},
		{"it was read in the very second that it began", nil, peer.SRM, "", "", 3 * time.Minute},
		{"the node does not list the service", nil, peer.SyncAgent, "", "is not listed", -1},
		{"its services were read longer ago than two ticks", func(_ *Grounds, f *peer.Facts) {
			n := f.Clusters["emea"].Seen.Nodes[pub]
			n.Services.At = now.Add(-11 * time.Minute)
			f.Clusters["emea"].Seen.Nodes[pub] = n
		}, peer.ICSA, "", "the services of imp-emea-pub are not known", -1},
		{"the cluster left mesh.yaml", func(_ *Grounds, f *peer.Facts) { delete(f.Clusters, "emea") }, peer.ICSA, "emea is no longer in mesh.yaml", "", -1},
		{"a newer version wrote the record", func(g *Grounds, _ *peer.Facts) {
			var newer store.Doc[peer.ClusterRecord]
			newer.Newer = true
			g.Snapshot.Clusters["emea"] = newer
		}, peer.ICSA, "the record of emea was written by a newer version", "", time.Hour + 3*time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := ground(c.change).Situation(&repair.Gate{}, restart(c.service))
			if (s.ClusterUnknown == "") != (c.cluster == "") || !strings.Contains(s.ClusterUnknown, c.cluster) {
				t.Errorf("of the cluster: %q, want %q", s.ClusterUnknown, c.cluster)
			}
			if (s.ServiceUnknown == "") != (c.unknown == "") || !strings.Contains(s.ServiceUnknown, c.unknown) {
				t.Errorf("of the service: %q, want %q", s.ServiceUnknown, c.unknown)
			}
			if s.Service.UpTime != c.up || s.Service.Started() != (c.unknown == "" && !strings.Contains(c.cluster, "no longer")) {
				t.Errorf("the service: %+v, want it up for %s", s.Service, c.up)
			}
		})
	}
}

// TestUsersWhoFellAreAGroundToWait.
func TestUsersWhoFellAreAGroundToWait(t *testing.T) {
	fell := ground(func(_ *Grounds, f *peer.Facts) { f.Clusters["emea"].Fell = &peer.Fall{Since: now} })
	if s := fell.Situation(&repair.Gate{}, restart(peer.ICSA)); s.UsersFell == "" {
		t.Error("it is not said")
	}
	if s := ground(nil).Situation(&repair.Gate{}, restart(peer.ICSA)); s.UsersFell != "" {
		t.Errorf("%q", s.UsersFell)
	}
}

// TestWhoRunsWithAnotherConfigurationIsNoticed: the newest run's counts, of any
// function; of this one what its run found, not what it wrote.
func TestWhoRunsWithAnotherConfigurationIsNoticed(t *testing.T) {
	run := func(hash string, ago time.Duration) store.Run {
		return store.Run{ConfigHash: hash, Started: now.Add(-ago)}
	}
	for _, c := range []struct {
		name   string
		runs   map[string]store.Run
		before *store.Run // of our own; nil is a dry run
		want   string     // "" is our own configuration's
	}{
		{"nobody has run", nil, nil, ""},
		{"another function, lately", map[string]store.Run{"peersync": run("new", time.Minute), "certcheck": run("old", time.Hour)}, nil, "new"},
		{"this run itself", map[string]store.Run{"stucksync": run("ours", 0)}, nil, ""},
		{"this function before", map[string]store.Run{"stucksync": run("ours", 0), "peersync": run("old", time.Hour)}, new(run("before", time.Minute)), "before"},
		{"another since this function", map[string]store.Run{"peersync": run("new", time.Minute)}, new(run("before", time.Hour)), "new"},
	} {
		g := ground(func(g *Grounds, _ *peer.Facts) {
			for function, r := range c.runs {
				g.Snapshot.Runs[function] = store.Doc[store.Run]{Value: r}
			}
			if c.before != nil {
				g.Lease = &store.Lease{Before: *c.before}
			}
		})
		want := c.want
		if want == "" {
			want = g.View.Mesh.Hash()
		}
		if got := g.Situation(&repair.Gate{}, restart(peer.ICSA)).Newest; got != want {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}

// TestWhatARunWorksOutOnceStays: what the certificates ask for and which peers are not
// well is the same for every proposal of a run, though it is nothing.
func TestWhatARunWorksOutOnceStays(t *testing.T) {
	lacking := func(g *Grounds, f *peer.Facts) {
		f.Mesh.Policy.ImportCertificates = mesh.ImportAuto
		f.Mesh.Peers = []mesh.Peer{{ID: mesh.PeerID{From: "apac", To: "emea"}}, {ID: mesh.PeerID{From: "emea", To: "apac"}}} // the first is well
		for i := range f.Mesh.Clusters {
			f.Mesh.Clusters[i].PlatformWriteCredentials = "x"
		}
		g.Conditions = map[mesh.PeerID][]peer.Condition{{From: "emea", To: "apac"}: {{Type: peer.Synced, Status: peer.False, Reason: peer.FourPeriodsMissed, Since: now.Add(-time.Hour)}}}
	}
	served := certificate.Served{Fingerprint: "sha256:aa", Subject: "CN=imp-apac-pub", SelfSigned: true, Pinned: true, NotAfter: now.AddDate(1, 0, 0), First: now.AddDate(-1, 0, 0), Read: now}
	records := map[mesh.ClusterID]certificate.Record{
		"emea": {Trust: map[string]certificate.Store{peer.TomcatTrust: {Nodes: []certificate.StoreNode{{Name: pub, Read: now}}}}},
		"apac": {Served: map[mesh.NodeName]map[certificate.Place]certificate.Served{"imp-apac-pub": {{KeyType: "RSA"}: served}}},
	}
	g := ground(lacking)
	g.Certificates = certificate.NewView(g.View, records)
	s := g.Situation(&repair.Gate{}, restart(peer.ICSA))
	if len(s.Proposed) != 1 || s.Proposed[0].Action != peer.ImportCertificate {
		t.Errorf("asked for: %+v", s.Proposed)
	}
	if len(s.Failing) != 1 || s.Failing[0].Peer.To != "apac" {
		t.Errorf("not well: %+v", s.Failing)
	}
	g.Certificates, g.Conditions = certificate.NewView(g.View, nil), nil
	if again := g.Situation(&repair.Gate{}, restart(peer.ICSA)); len(again.Proposed) != 1 || len(again.Failing) != 1 {
		t.Errorf("worked out again: %d asked for, %d not well", len(again.Proposed), len(again.Failing))
	}
	g = ground(nil)
	if s := g.Situation(&repair.Gate{}, restart(peer.ICSA)); len(s.Proposed) != 0 || len(s.Failing) != 0 {
		t.Errorf("all is well: %+v, %+v", s.Proposed, s.Failing)
	}
	g.Certificates = certificate.NewView(ground(lacking).View, records)
	if got := g.Exchange(); len(got) != 0 {
		t.Errorf("that nothing was asked for is worked out again: %+v", got)
	}
}

// TestClustersOutOfSightAreCounted: what cannot be seen is a reason to do less.
func TestClustersOutOfSightAreCounted(t *testing.T) {
	unseen := func(ids ...mesh.ClusterID) int {
		g := ground(func(_ *Grounds, f *peer.Facts) {
			for _, id := range ids {
				r := f.Clusters[id]
				r.Seen.Access = peer.Unknown[bool](peer.TimedOut, "")
				for name, n := range r.Seen.Nodes {
					n.Answers = peer.Unknown[bool](peer.TimedOut, "")
					n.Services = peer.Unknown[map[string]peer.Service](peer.TimedOut, "")
					r.Seen.Nodes[name] = n
					r.SilentSince = map[mesh.NodeName]time.Time{name: now.Add(-time.Minute)}
				}
			}
		})
		return g.Situation(&repair.Gate{}, restart(peer.ICSA)).Unseen
	}
	for want, ids := range [][]mesh.ClusterID{nil, {"apac"}, {"apac", "emea"}} {
		if got := unseen(ids...); got != want {
			t.Errorf("%v out of sight: %d are counted", ids, got)
		}
	}
}

// TestWhatAPlanChanges: whose pairs they are is told, they are no sign of a fault in
// the network, and of plans that cannot be understood any cluster may be one's.
func TestWhatAPlanChanges(t *testing.T) {
	pair := mesh.PeerID{From: "emea", To: "apac"}
	proposal := restart(peer.ICSA)
	proposal.Peers = []mesh.PeerID{pair}
	failing := func(changing string) repair.Situation {
		return ground(func(g *Grounds, f *peer.Facts) {
			f.Mesh.Peers = []mesh.Peer{{ID: pair}}
			f.Changing = map[mesh.PeerID]string{pair: changing}
			g.Conditions = map[mesh.PeerID][]peer.Condition{pair: {{Type: peer.Synced, Status: peer.False, Reason: peer.FourPeriodsMissed, Since: now.Add(-time.Hour)}}}
		}).Situation(&repair.Gate{}, proposal)
	}
	if s := failing("c4f2"); s.Peers[pair].Changing != "c4f2" || len(s.Failing) != 0 || s.ClusterUnknown != "" {
		t.Errorf("changed: %+v, not well %+v, %q", s.Peers[pair], s.Failing, s.ClusterUnknown)
	}
	if s := failing(""); s.Peers[pair].Changing != "" || len(s.Failing) != 1 {
		t.Errorf("not changed: %+v, not well %+v", s.Peers[pair], s.Failing)
	}
	for _, c := range []struct {
		plans  any
		want   string
		schema int
	}{
		{[]string{}, "", record.PlansSchema},
		{[]string{}, "written by a newer version", record.PlansSchema + 1},
		{7, "cannot be read", record.PlansSchema},
	} {
		s := storetest.NewMemory()
		it, err := store.NewDoc(store.Plans("acme"), c.schema, struct {
			Plans any `json:"plans"`
		}{c.plans}).Item()
		if err == nil {
			err = s.Put(t.Context(), it)
		}
		if err != nil {
			t.Fatal(err)
		}
		g := ground(nil)
		if g.Snapshot, err = record.Load(t.Context(), s, g.View.Mesh); err != nil {
			t.Fatal(err)
		}
		if got := g.Situation(&repair.Gate{}, proposal).ClusterUnknown; (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v in schema %d: %q, want %q", c.plans, c.schema, got, c.want)
		}
	}
}
