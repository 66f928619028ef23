package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

const tick = 5 * time.Minute

// sceneNow is when every scene is looked at.
var sceneNow = time.Date(2026, 6, 2, 14, 30, 0, 0, time.UTC)

// scene is a mesh whose items are judged by package peer itself, so that what
// is shown is what really gets stored.
type scene struct {
	t        testing.TB
	looking  sync.RWMutex // held by a page that is served
	mesh     *mesh.Mesh
	store    *storetest.Memory
	clusters map[mesh.ClusterID]*peer.ClusterRecord
	certs    map[mesh.ClusterID]*certificate.Record
	// lastSync holds back a peer's clock; absent means "10 minutes ago".
	lastSync map[mesh.PeerID]time.Time
	syncs    map[mesh.PeerID]peer.SyncRecord
	states   map[mesh.PeerID]peer.StateRecord
	// certNot is a certificate or name condition other than True.
	certNot map[mesh.PeerID]peer.Condition
	// as overrides a folded state, for the ladder's states.
	as map[mesh.PeerID]peer.State
}

func sceneMesh(n int) *mesh.Mesh {
	m := &mesh.Mesh{Name: "acme", Domain: "example.com", Policy: mesh.Policy{Mode: mesh.Observe, Thresholds: mesh.Thresholds{CertificateDays: []int{28, 14, 7}}}}
	ids := []mesh.ClusterID{"emea", "apac", "amer"}
	zones := []string{"Europe/Berlin", "Asia/Singapore", "America/New_York"}
	for i := range n {
		id := mesh.ClusterID(fmt.Sprintf("c%02d", i+1))
		if i < len(ids) {
			id = ids[i]
		}
		node := func(role string) mesh.NodeName {
			return mesh.NodeName(fmt.Sprintf("imp-%s-%s.example.com", id, role))
		}
		m.Clusters = append(m.Clusters, mesh.Cluster{
			ID: id, Release: "14.0.1SU3", Publisher: node("pub"), TimeZone: zones[i%len(zones)],
			Nodes: []mesh.Node{
				{Name: node("pub"), Address: fmt.Sprintf("192.0.2.%d:8443", 2*i+1)},
				{Name: node("sub"), Address: fmt.Sprintf("192.0.2.%d:8443", 2*i+2)},
			},
			DNS:          []string{"198.51.100.1:53", "198.51.100.2:53"},
			SyncInterval: mesh.Duration(30 * time.Minute), AutoRecovery: true,
		})
	}
	for _, a := range m.Clusters {
		for _, b := range m.Clusters {
			if a.ID != b.ID {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: a.ID, To: b.ID}, Protocol: mesh.TCP})
			}
		}
	}
	return m
}

// newScene is a mesh of n clusters, healthy for a day and looked at last two
// minutes ago.
func newScene(t testing.TB, n int) *scene {
	s := &scene{
		t: t, mesh: sceneMesh(n), store: storetest.NewMemory(),
		clusters: map[mesh.ClusterID]*peer.ClusterRecord{}, certs: map[mesh.ClusterID]*certificate.Record{},
		lastSync: map[mesh.PeerID]time.Time{}, syncs: map[mesh.PeerID]peer.SyncRecord{}, states: map[mesh.PeerID]peer.StateRecord{},
		certNot: map[mesh.PeerID]peer.Condition{}, as: map[mesh.PeerID]peer.State{},
	}
	s.store.Now = func() time.Time { return sceneNow }
	s.look(sceneNow.Add(-26*time.Hour), nil)
	s.look(sceneNow.Add(-2*time.Minute), nil)
	return s
}

func (s *scene) source() Source { return Source{Store: s.store, Mesh: s.mesh, Tick: tick} }

func id(s string) mesh.PeerID {
	p, err := mesh.ParsePeerID(s)
	if err != nil {
		panic(err)
	}
	return p
}

// look is one round of peersync, certcheck and stucksync at an instant. change
// may alter what is read before it is judged.
func (s *scene) look(at time.Time, change func(map[mesh.ClusterID]*peer.ClusterRecord)) {
	for i := range s.mesh.Clusters {
		s.clusters[s.mesh.Clusters[i].ID] = s.read(&s.mesh.Clusters[i], at)
	}
	if change != nil {
		change(s.clusters)
	}
	v := peer.Facts{Now: at, Tick: tick, Mesh: s.mesh, Clusters: s.clusters}.View()
	for _, c := range s.mesh.Clusters {
		rec := s.clusters[c.ID]
		rec.Findings = peer.Findings(v, c.ID, rec.Findings)
		s.put(store.Cluster(s.mesh.Name, c.ID), *rec)
		cert := certificate.Record{At: at}
		if known := s.certs[c.ID]; known != nil {
			cert.Findings = known.Findings
		}
		s.put(store.Cert(s.mesh.Name, c.ID), cert)
	}
	for _, p := range s.mesh.Peers {
		sync := peer.Judge(v, p.ID, s.syncs[p.ID])
		cert := peer.CertRecord{Observed: at}
		for _, c := range []peer.Condition{
			{Type: peer.CertificateTrusted, Status: peer.True, Reason: peer.SyncedOverServedLeaf, Basis: peer.Inferred, Message: "a sync succeeded over the certificate now served"},
			{Type: peer.NamesResolve, Status: peer.True, Reason: peer.AllResolve, Basis: peer.Measured, Message: "all 3 names of the certificate resolve in both DNS servers"},
		} {
			c.Since = sceneNow.Add(-26 * time.Hour)
			if not, ok := s.certNot[p.ID]; ok && not.Type == c.Type {
				c = not
			}
			cert.Conditions = append(cert.Conditions, c)
		}
		conditions := peer.Conditions(v, p.ID, sync, cert)
		as, cause := peer.StateOf(conditions, sync)
		state := peer.Fold(v, p.ID, conditions, s.states[p.ID], as, cause)
		if as, ok := s.as[p.ID]; ok {
			state.State = as
		}
		s.syncs[p.ID], s.states[p.ID] = sync, state
		s.put(store.PeerSync(s.mesh.Name, p.ID), sync)
		s.put(store.PeerCert(s.mesh.Name, p.ID), cert)
		s.put(store.PeerStuck(s.mesh.Name, p.ID), state)
	}
	for _, f := range []string{"peersync", "stucksync", "certcheck"} {
		s.put(store.RunOf(s.mesh.Name, f), store.Run{ScheduledTime: at, Started: at, Completed: at.Add(20 * time.Second)})
	}
}

// read is what a good look at a healthy cluster of 200 users yields.
func (s *scene) read(c *mesh.Cluster, at time.Time) *peer.ClusterRecord {
	users := map[mesh.NodeName]int{}
	entries := []peer.Entry{}
	for _, o := range s.mesh.Clusters {
		users[o.Nodes[0].Name], users[o.Nodes[1].Name] = 120, 80
		if o.ID == c.ID {
			continue
		}
		last, held := s.lastSync[mesh.PeerID{From: c.ID, To: o.ID}]
		if !held {
			last = at.Add(-10 * time.Minute)
		}
		entries = append(entries, peer.Entry{Address: string(o.Publisher), Protocol: mesh.TCP, LastSync: last, HasClock: true})
	}
	nodes := map[mesh.NodeName]peer.Node{}
	for _, n := range c.Nodes {
		services := map[string]peer.Service{}
		for _, name := range []string{peer.ICSA, peer.SyncAgent, peer.AXL, peer.XCPRouter} {
			services[name] = peer.Service{Status: "Started", UpTime: 9 * 24 * time.Hour}
		}
		nodes[n.Name] = peer.Node{
			Answers:  peer.Known(true, at),
			Services: peer.Known(services, at),
			Version:  peer.Known("14.0.1.13900-8", at),
			Parameters: peer.Known(map[string]string{
				peer.ParamInterval: "30", peer.ParamAutoRecovery: "t",
			}, at),
		}
	}
	rec := peer.Advance(peer.ClusterRecord{}, peer.Observation{
		Cluster: c.ID, At: at, Access: peer.Known(true, at), Nodes: nodes,
		Users: peer.Known(users, at), UsersBasis: peer.Measured,
		Entries: peer.Known(entries, at), SyncAgent: peer.Known("Completed", at),
		Skew: peer.Known(time.Duration(0), at),
	}, c)
	if old := s.clusters[c.ID]; old != nil {
		rec.Home, rec.Findings = old.Home, old.Findings
	}
	if len(rec.Home) == 0 {
		rec.Home = []peer.HomeValue{{Users: 200, From: at, To: at}}
	}
	rec.Home[len(rec.Home)-1].To = at
	return &rec
}

// put writes an item over whatever is there.
func (s *scene) put(key store.Key, value any) { s.putSchema(key, 1, value) }

func (s *scene) putSchema(key store.Key, schema int, value any) {
	s.t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		s.t.Fatal(err)
	}
	body := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &body); err != nil {
		s.t.Fatal(err)
	}
	maps.Copy(body, map[string]json.RawMessage{"schema": json.RawMessage(fmt.Sprint(schema)), "version": json.RawMessage("1")})
	if raw, err = json.Marshal(body); err != nil {
		s.t.Fatal(err)
	}
	s.putRaw(key, raw)
}

func (s *scene) putRaw(key store.Key, raw []byte) {
	s.t.Helper()
	ctx := s.t.Context()
	old, err := s.store.Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.t.Fatal(err)
	}
	if err := s.store.Put(ctx, store.Item{Key: key, Version: old.Version, Body: raw}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) remove(key store.Key) {
	s.t.Helper()
	it, err := s.store.Get(s.t.Context(), key)
	if err == nil {
		err = s.store.Delete(s.t.Context(), key, it.Version)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) raise(name string, sev peer.Severity, cluster mesh.ClusterID, p, message string, since time.Time) {
	about, _ := mesh.ParsePeerID(p)
	fp := alarm.Fingerprint(s.mesh.Name, name, cluster, about, "")
	s.put(store.Alarm(s.mesh.Name, fp), alarm.Item{Notice: alarm.Notice{
		Name: name, Severity: sev, State: alarm.Raised, Mesh: s.mesh.Name, Cluster: cluster, Peer: about,
		Fingerprint: fp, Transition: 1, Since: since, Message: message, Runbook: "#" + name,
	}})
}

// stuck lets one peer's clock stand still for so long.
func (s *scene) stuck(p string, since time.Duration) {
	s.lastSync[id(p)] = sceneNow.Add(-since)
	s.look(sceneNow.Add(-2*time.Minute), nil)
}

// troubled is a mesh with one of nearly everything, for the pictures and the
// golden files.
func troubled(t testing.TB, n int) *scene {
	s := newScene(t, n)
	s.lastSync[id("apac>emea")] = sceneNow.Add(-3*time.Hour - 10*time.Minute)
	before := sceneNow.Add(-75 * time.Minute)
	s.look(before, nil)
	if n > 3 {
		s.certNot[id("c05>c09")] = peer.Condition{
			Type: peer.NamesResolve, Status: peer.False, Reason: peer.NameNotResolving, Basis: peer.Measured, Since: before,
			Message: "imp-c09-sub.example.com has no A or AAAA record in 198.51.100.1 and 198.51.100.2",
		}
		s.lastSync[id("c05>c09")] = before.Add(-5 * time.Minute) // or its syncs would contradict it
		s.as[id("c11>c04")] = peer.Recovering
		s.as[id("c12>c04")] = peer.Cooling
		s.as[id("c20>c21")] = peer.NeedsHuman
		s.lastSync[id("c14>c02")] = sceneNow
		s.lastSync[id("c22>c06")] = sceneNow.Add(-70 * time.Minute)
		s.lastSync[id("c11>c04")] = sceneNow.Add(-4 * time.Hour)
		s.lastSync[id("c12>c04")] = sceneNow.Add(-4 * time.Hour)
		s.lastSync[id("c20>c21")] = sceneNow.Add(-9 * time.Hour)
		delete(s.lastSync, id("c14>c02"))
	}
	s.certs["amer"] = &certificate.Record{Findings: []peer.Finding{{
		ID: "CertificateExpiring:imp-amer-pub.example.com:RSA", Severity: "warning", Reason: peer.CertificateExpiring, Node: "imp-amer-pub.example.com",
		Message: "the tomcat certificate (RSA) of imp-amer-pub.example.com expires in 13 days, on 2026-06-15", Since: sceneNow.Add(-20 * time.Hour),
	}}}
	stopped := func(cs map[mesh.ClusterID]*peer.ClusterRecord) {
		if n > 3 {
			rec := cs["c08"]
			sub := rec.Seen.Nodes["imp-c08-sub.example.com"]
			services := maps.Clone(sub.Services.Value)
			services[peer.ICSA] = peer.Service{Status: "Stopped", UpTime: -1}
			sub.Services.Value = services
			rec.Seen.Nodes["imp-c08-sub.example.com"] = sub
			cs["c17"].Seen.Access = peer.Unknown[bool](peer.AccountRejected, "the read account was refused (HTTP 401); not tried again until the secret changes")
			cs["c17"].Seen.Entries = peer.Unknown[[]peer.Entry](peer.AccountRejected, "HTTP 401")
			cs["c17"].Seen.Users = peer.Unknown[map[mesh.NodeName]int](peer.AccountRejected, "HTTP 401")
		}
	}
	s.look(sceneNow.Add(-7*time.Minute), stopped)
	s.look(sceneNow.Add(-2*time.Minute), stopped)
	s.raise(alarm.PeriodicSyncingFailure, peer.Critical, "", "apac>emea", "apac has not synced emea's users since 2026-06-02 11:20 UTC; measured by Peerkeeper", sceneNow.Add(-40*time.Minute))
	if n > 3 {
		s.raise(alarm.ServiceStopped, peer.Critical, "c08", "", "Cisco Intercluster Sync Agent is stopped on imp-c08-sub.example.com", sceneNow.Add(-7*time.Minute))
		s.raise(alarm.AccountRejected, peer.Critical, "c17", "", "c17 refuses Peerkeeper's own account; nobody watches this cluster", sceneNow.Add(-7*time.Minute))
	}
	return s
}
