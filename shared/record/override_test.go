package record_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// triangle is a mesh of three clusters that all pull from each other.
func triangle() *mesh.Mesh {
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}, {ID: "amer"}}}
	for _, from := range m.IDs() {
		for _, to := range m.IDs() {
			if from != to {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: from, To: to}})
			}
		}
	}
	return m
}

func direction(from, to mesh.ClusterID) mesh.PeerID { return mesh.PeerID{From: from, To: to} }

func TestWhatAScopeCovers(t *testing.T) {
	m := triangle()
	for _, tt := range []struct {
		scope    string
		clusters []mesh.ClusterID
		peers    []string
	}{
		{"mesh", []mesh.ClusterID{"emea", "apac", "amer"}, []string{"emea>apac", "emea>amer", "apac>emea", "apac>amer", "amer>emea", "amer>apac"}},
		{"emea", []mesh.ClusterID{"emea"}, []string{"emea>apac", "emea>amer", "apac>emea", "amer>emea"}},
		{"emea>apac", nil, []string{"emea>apac"}},
		{"emea<>apac", nil, []string{"emea>apac", "apac>emea"}},
		{"apac<>emea", nil, []string{"emea>apac", "apac>emea"}},
	} {
		t.Run(tt.scope, func(t *testing.T) {
			s, err := record.ParseScope(tt.scope, m)
			if err != nil {
				t.Fatal(err)
			}
			var clusters []mesh.ClusterID
			for _, id := range m.IDs() {
				if s.CoversCluster(id) {
					clusters = append(clusters, id)
				}
			}
			var peers []string
			for _, p := range m.Peers {
				if s.CoversPeer(p.ID) {
					peers = append(peers, p.ID.String())
				}
			}
			if diff := cmp.Diff(tt.clusters, clusters); diff != "" {
				t.Errorf("clusters (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.peers, peers); diff != "" {
				t.Errorf("peers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAScopeThatTheMeshLacks(t *testing.T) {
	for scope, want := range map[string]string{
		"":              `"" is neither mesh, a cluster of mesh acme`,
		"emae":          `"emae" is neither mesh, a cluster of mesh acme`,
		"emea>emae":     `"emae" is no cluster of mesh acme`,
		"emae<>emea":    `"emae" is no cluster of mesh acme`,
		"emea>emea":     "a cluster is not its own peer",
		"emea<>emea":    "a cluster is not its own peer",
		"emea>apac>us":  `"apac>us" is no cluster`,
		"emea<>apac>us": `"apac>us" is no cluster`,
	} {
		if _, err := record.ParseScope(scope, triangle()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", scope, err, want)
		}
	}
}

// What a person has said holds until its time or until it is taken back, for
// what it names and for nothing else.
func TestWhatAPauseAndAMaintenanceStop(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	pause := func(scope record.Scope) record.Override {
		return record.Override{Scope: scope, Reason: "change 4711", Actor: "ada", At: now.Add(-time.Hour)}
	}
	until := func(w record.Override, at time.Time) record.Override { w.Expires = at; return w }
	ended := func(w record.Override) record.Override { w.Ended = true; return w }
	for _, tt := range []struct {
		name               string
		pauses, maintained []record.Override
		of                 []mesh.PeerID // that ask for the action
		interrupted        []mesh.PeerID // that it touches besides
		what               string        // "" passes
		overlays           []peer.Overlay
		cluster            bool // emea as a whole is in maintenance
	}{
		{name: "nobody said anything"},
		{name: "the mesh is paused", pauses: []record.Override{pause("mesh")}, what: "paused", overlays: []peer.Overlay{peer.Paused}},
		{name: "the cluster is", pauses: []record.Override{pause("emea")}, what: "paused", overlays: []peer.Overlay{peer.Paused}},
		{name: "another cluster is, whose peer asks for nothing", pauses: []record.Override{pause("amer")}},
		{name: "the peer that asks for it is", pauses: []record.Override{pause("emea>apac")}, of: []mesh.PeerID{direction("emea", "apac")}, what: "paused", overlays: []peer.Overlay{peer.Paused}},
		{name: "its pair is", pauses: []record.Override{pause("apac<>emea")}, of: []mesh.PeerID{direction("emea", "apac")}, what: "paused", overlays: []peer.Overlay{peer.Paused}},
		{name: "the cluster at the other end of a peer that asks is", pauses: []record.Override{pause("apac")}, of: []mesh.PeerID{direction("emea", "apac")}, what: "paused", overlays: []peer.Overlay{peer.Paused}},
		{name: "a peer that it interrupts is", pauses: []record.Override{pause("emea>amer")}, interrupted: []mesh.PeerID{direction("emea", "amer")}, what: "paused"},
		{name: "the cluster at the other end of a peer that it interrupts is", pauses: []record.Override{pause("amer")}, interrupted: []mesh.PeerID{direction("emea", "amer")}},
		{name: "the pause has run out", pauses: []record.Override{until(pause("emea"), now)}},
		{name: "the pause runs out in a second", pauses: []record.Override{until(pause("emea"), now.Add(time.Second))}, what: "paused", overlays: []peer.Overlay{peer.Paused}},
		{name: "the pause was taken back", pauses: []record.Override{ended(pause("emea"))}},
		{name: "one was taken back, another stands", pauses: []record.Override{ended(pause("emea")), pause("mesh")}, what: "paused", overlays: []peer.Overlay{peer.Paused}},
		{name: "an item without a scope", pauses: []record.Override{pause("")}},
		{name: "the cluster is in maintenance", maintained: []record.Override{pause("emea")}, what: "in maintenance", overlays: []peer.Overlay{peer.Maintenance}, cluster: true},
		{name: "the mesh is", maintained: []record.Override{pause("mesh")}, what: "in maintenance", overlays: []peer.Overlay{peer.Maintenance}, cluster: true},
		{name: "one of its peers is", maintained: []record.Override{pause("emea>apac")}, overlays: []peer.Overlay{peer.Maintenance}},
		{name: "the maintenance is over", maintained: []record.Override{until(pause("emea"), now.Add(-time.Second))}},
		{name: "paused twice and in maintenance", pauses: []record.Override{pause("mesh"), pause("emea")}, maintained: []record.Override{pause("emea")}, what: "paused", overlays: []peer.Overlay{peer.Paused, peer.Maintenance}, cluster: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said := record.Overrides{Pauses: tt.pauses, Maintenance: tt.maintained}
			w, what, stops := said.Stops("emea", tt.of, tt.interrupted, now)
			if what != tt.what || stops != (tt.what != "") || stops && w.Actor != "ada" {
				t.Errorf("it stops %v (%q, %+v), want %q", stops, what, w, tt.what)
			}
			if diff := cmp.Diff(tt.overlays, said.Overlays(direction("emea", "apac"), now)); diff != "" {
				t.Errorf("overlays of emea>apac (-want +got):\n%s", diff)
			}
			if got := said.MaintenanceOf("emea", now); got != tt.cluster {
				t.Errorf("emea in maintenance: %v, want %v", got, tt.cluster)
			}
		})
	}
}

// put stores a document as its first writer would.
func put[T any](t *testing.T, s store.Store, key store.Key, v T) {
	t.Helper()
	it, _, err := store.NewDoc(key, 1, v).Change()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), it); err != nil {
		t.Fatal(err)
	}
}

// What is read just before an action is all that people may have said about it.
func TestRereadReadsWhateverCouldStopAnAction(t *testing.T) {
	m := triangle()
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	s := storetest.NewMemory()
	asks := direction("emea", "apac")
	for _, scope := range []record.Scope{"mesh", "emea", "apac", "emea>apac", "emea<>amer", "amer<>emea", "amer>emea"} {
		put(t, s, store.Pause("acme", string(scope)), record.Override{Scope: scope, Actor: "ada", At: now})
		put(t, s, store.Maintenance("acme", string(scope)), record.Override{Scope: scope, Actor: "ada", At: now})
	}
	put(t, s, store.Pause("acme", "apac>amer"), record.Override{Scope: "apac>amer", Actor: "ada", At: now}) // of nobody concerned, and no harm
	put(t, s, store.Approval("acme", "4f"), record.Approval{ID: "4f", Actor: "ada", At: now})
	put(t, s, store.Approval("acme", "50"), record.Approval{ID: "50", Actor: "ada", At: now})
	put(t, s, store.Proposal("acme", "4f"), record.Proposed{First: now})
	put(t, s, store.RunOf("acme", "peersync"), store.Run{ConfigHash: "abc"})
	put(t, s, store.Cluster("acme", "amer"), peer.ClusterRecord{Findings: []peer.Finding{{ID: "x"}}})
	put(t, s, store.Log("acme", "amer"), peer.LogRecord{Read: now})
	put(t, s, store.PeerSync("acme", asks), peer.SyncRecord{FirstSeen: now})
	put(t, s, store.PeerStuck("acme", asks), peer.StateRecord{State: peer.Stuck})
	put(t, s, store.PeerStuck("acme", direction("amer", "apac")), peer.StateRecord{State: peer.Stuck})

	b, err := record.Reread(t.Context(), s, m, []mesh.PeerID{asks}, "4f", "peersync", "stucksync")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.Overrides.Pauses); n != 8 {
		t.Errorf("%d pauses were read, want all 8", n)
	}
	if n := len(b.Overrides.Maintenance); n != 7 {
		t.Errorf("%d maintenances were read, want 7", n)
	}
	if len(b.Overrides.Approvals) != 2 || b.Overrides.Approvals["4f"].Actor != "ada" {
		t.Errorf("approvals %+v", b.Overrides.Approvals)
	}
	if !b.Proposals["4f"].Value.First.Equal(now) {
		t.Errorf("the proposal: %+v", b.Proposals)
	}
	if b.Runs["peersync"].Value.ConfigHash != "abc" {
		t.Errorf("the runs: %+v", b.Runs)
	}
	if len(b.Clusters["amer"].Value.Findings) != 1 || b.Clusters["emea"].Key == (store.Key{}) {
		t.Errorf("the clusters: %+v", b.Clusters)
	}
	if got := b.Facts(m, 5*time.Minute, now).Logs; !got["amer"].Read.Equal(now) {
		t.Errorf("what the clusters' logs say: %+v", got)
	}
	if b.States[asks].Value.State != peer.Stuck || !b.Syncs[asks].Value.FirstSeen.Equal(now) {
		t.Errorf("the peer that asks: %+v %+v", b.States[asks], b.Syncs[asks])
	}
	if b.States[direction("amer", "apac")].Value.State != "" {
		t.Error("a peer that asks for nothing was read")
	}

	damaged := store.Item{Key: store.Cluster("acme", "emea"), Body: []byte(`{"schema":1,"version":1,"findings":7}`)}
	if err := s.Put(t.Context(), damaged); err != nil {
		t.Fatal(err)
	}
	if _, err := record.Reread(t.Context(), s, m, nil, ""); err == nil || !strings.Contains(err.Error(), "CLUSTER#emea") {
		t.Errorf("a damaged record: %v", err)
	}
	if _, err := record.ObservedCluster(t.Context(), s, "acme", "emea"); err == nil || !strings.Contains(err.Error(), "CLUSTER#emea") {
		t.Errorf("a damaged record alone: %v", err)
	}
	if r, err := record.ObservedCluster(t.Context(), s, "acme", "amer"); err != nil || len(r.Findings) != 1 {
		t.Errorf("one record: %+v, %v", r, err)
	}
	if _, err := record.ObservedCluster(t.Context(), s, "acme", "apac"); err == nil || !strings.Contains(err.Error(), "apac") {
		t.Errorf("a record that is not there: %v", err)
	}
}

// TestAReasonIsOneLineThatFits: a reason is read at night, in a notice or in a
// terminal, or it is asked for again.
func TestAReasonIsOneLineThatFits(t *testing.T) {
	long := strings.Repeat("é", record.MaxReason)
	for _, tt := range []struct{ name, text, want, refused string }{
		{"as it is", "change 4711", "change 4711", ""},
		{"with space around it", "  change 4711\n", "change 4711", ""},
		{"of two lines", "change 4711\nemea", "change 4711 emea", ""},
		{"of as many characters as are kept", long, long, ""},
		{"of one more", long + "é", "", "has 501 characters, at most 500"},
		{"empty", "", "", "empty"},
		{"of spaces", " \t\n ", "", "empty"},
		{"of what no terminal may be sent", "\x1b\x07", "", "empty"},
	} {
		got, err := record.ReasonOf(tt.text)
		if got != tt.want || (err == nil) != (tt.refused == "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
			t.Errorf("%s: %q, %v; want %q, refused: %q", tt.name, got, err, tt.want, tt.refused)
		}
	}
}

// TestAnAcknowledgementIsOfOneAlarmWhileItLasts: who knows of an alarm is left
// in peace by that one, and by no other.
func TestAnAcknowledgementIsOfOneAlarmWhileItLasts(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	began := now.Add(-2 * time.Hour)
	ack := record.Override{Scope: "emea", Alarm: "PeerStuck", Cluster: "emea", At: now.Add(-time.Hour)}
	with := func(change func(*record.Override)) record.Override {
		a := ack
		change(&a)
		return a
	}
	for _, tt := range []struct {
		name string
		ack  record.Override
		want bool
	}{
		{"since it began", ack, true},
		{"of another alarm", with(func(a *record.Override) { a.Alarm = "PeerDown" }), false},
		{"of another cluster", with(func(a *record.Override) { a.Cluster = "apac" }), false},
		{"that ran out", with(func(a *record.Override) { a.Expires = now }), false},
		{"taken back", with(func(a *record.Override) { a.Ended = true }), false},
		{"of the alarm before this one", with(func(a *record.Override) { a.At = began.Add(-31 * time.Minute) }), false},
		{"by a laptop half an hour behind, as it began", with(func(a *record.Override) { a.At = began.Add(-30 * time.Minute) }), true},
	} {
		said := record.Overrides{Acks: map[string]record.Override{"f1": tt.ack}}
		if got := said.AcknowledgedOf("PeerStuck", "emea", began, now); got != tt.want {
			t.Errorf("an acknowledgement %s: %v", tt.name, got)
		}
	}
	none := record.Overrides{}
	if none.AcknowledgedOf("PeerStuck", "emea", began, now) {
		t.Error("acknowledged by nobody")
	}
}

// A pause that cannot be read may be one that stops the action.
func TestAnActionIsNotTakenPastAPauseThatCannotBeRead(t *testing.T) {
	s := storetest.NewMemory()
	if err := s.Put(t.Context(), store.Item{Key: store.Pause("acme", "emea"), Body: []byte(`{"schema":1,"version":1,"scope":7}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := record.Reread(t.Context(), s, triangle(), nil, ""); err == nil || !strings.Contains(err.Error(), "PAUSE#emea") {
		t.Errorf("%v", err)
	}
}

// What was said through a newer version is not understood: nothing may act.
func TestWhatANewerVersionSaid(t *testing.T) {
	for _, key := range []store.Key{store.Pause("acme", "emea"), store.Maintenance("acme", "emea"), store.Ack("acme", "f1"), store.Approval("acme", "4f")} {
		s := storetest.NewMemory()
		if err := s.Put(t.Context(), store.Item{Key: key, Body: []byte(`{"schema":2,"version":1}`)}); err != nil {
			t.Fatal(err)
		}
		b, err := record.Load(t.Context(), s, triangle())
		if err != nil || !b.Overrides.Newer {
			t.Errorf("%s: newer %v, %v", key.SK, b.Overrides.Newer, err)
		}
	}
}

func TestWhatPeopleAccepted(t *testing.T) {
	s := storetest.NewMemory()
	put(t, s, store.Pin("acme", "imp-emea-pub"), record.Pin{Node: "imp-emea-pub", SHA256: []string{"sha256:00", "sha256:01"}})
	want := map[mesh.NodeName][]string{"imp-emea-pub": {"sha256:00", "sha256:01"}}
	got, err := record.Accepted(t.Context(), s, "acme")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("accepted (-want +got):\n%s%v", diff, err)
	}
	if err := s.Put(t.Context(), store.Item{Key: store.Pin("acme", "imp-apac-pub"), Body: []byte(`{"schema":1,"version":1,"sha256":7}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := record.Accepted(t.Context(), s, "acme"); err == nil || !strings.Contains(err.Error(), "imp-apac-pub") {
		t.Errorf("a damaged item: %v", err)
	}
}

// Certificates were looked at no earlier than both ends were.
func TestWhenCertificatesOfAPeerWereLookedAt(t *testing.T) {
	early, late := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ from, to time.Time }{{early, late}, {late, early}, {early, early}} {
		b, err := record.Load(t.Context(), storetest.NewMemory(), triangle())
		if err != nil {
			t.Fatal(err)
		}
		for id, at := range map[mesh.ClusterID]time.Time{"emea": tt.from, "apac": tt.to} {
			d := b.Certs[id]
			d.Value.At = at
			b.Certs[id] = d
		}
		if got := b.CertOf(direction("emea", "apac")).Observed; !got.Equal(early) {
			t.Errorf("looked at %s and %s: observed %s", tt.from, tt.to, got)
		}
	}
}

// asked counts what a store is asked for.
type asked struct {
	store.Store
	calls int
	most  int                 // keys in one call
	of    map[string]struct{} // partitions
}

func (a *asked) count(keys ...store.Key) {
	a.calls++
	a.most = max(a.most, len(keys))
	for _, k := range keys {
		a.of[k.PK] = struct{}{}
	}
}

func (a *asked) Get(ctx context.Context, k store.Key) (store.Item, error) {
	a.count(k)
	return a.Store.Get(ctx, k)
}

func (a *asked) GetMany(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
	a.count(keys...)
	return a.Store.GetMany(ctx, keys...)
}

func (a *asked) Put(ctx context.Context, items ...store.Item) error {
	a.count()
	return a.Store.Put(ctx, items...)
}

func (a *asked) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	a.count(store.Key{PK: pk})
	return a.Store.Load(ctx, pk, prefix)
}

func (a *asked) LoadNow(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	a.count(store.Key{PK: pk})
	return a.Store.LoadNow(ctx, pk, prefix)
}

// Each proposal is judged again in each tick: its cost in requests must not grow
// with the mesh.
func TestRereadingForAProposalAtThirtyClustersIsTwoRequests(t *testing.T) {
	m := &mesh.Mesh{Name: "acme"}
	for i := range 30 {
		m.Clusters = append(m.Clusters, mesh.Cluster{ID: mesh.ClusterID(fmt.Sprintf("c%02d", i))})
	}
	for _, from := range m.IDs() {
		for _, to := range m.IDs() {
			if from != to {
				m.Peers = append(m.Peers, mesh.Peer{ID: direction(from, to)})
			}
		}
	}
	s := &asked{Store: storetest.NewMemory(), of: map[string]struct{}{}}
	put(t, s.Store, store.Pause("acme", "c07<>c12"), record.Override{Scope: "c07<>c12", Actor: "ada"})
	put(t, s.Store, store.Cert("acme", "c29"), certificate.Record{Findings: []peer.Finding{{ID: "x"}}})
	b, err := record.Reread(t.Context(), s, m, []mesh.PeerID{direction("c07", "c12")}, "4f", "peersync", "stucksync", "certcheck")
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Overrides.Pauses) != 1 || len(b.Certs["c29"].Value.Findings) != 1 || len(b.Clusters) != 30 {
		t.Errorf("%d pauses, %d findings of c29, %d clusters", len(b.Overrides.Pauses), len(b.Certs["c29"].Value.Findings), len(b.Clusters))
	}
	if s.calls > 2 {
		t.Errorf("%d calls", s.calls)
	}
	// DynamoDB takes 100 keys in one request; a call stays within one partition.
	if s.most > 100 || len(s.of) > s.calls {
		t.Errorf("at most %d keys in a call, of %d partitions in %d calls", s.most, len(s.of), s.calls)
	}
	with := s.most
	s.most = 0
	if _, err := record.Reread(t.Context(), s, m, []mesh.PeerID{direction("c07", "c12")}, "", "peersync", "stucksync", "certcheck"); err != nil || s.most != with-1 {
		t.Errorf("without a proposal %d keys are read, with one %d; %v", s.most, with, err)
	}
}

// What people say is read as it is now, not as a lagging copy has it.
func TestRereadSeesAPauseThatLoadDoesNotSeeYet(t *testing.T) {
	s := storetest.Stale(storetest.NewMemory(), 5)
	put(t, s, store.Pause("acme", "mesh"), record.Override{Scope: "mesh", Actor: "ada"})
	late, err := record.Load(t.Context(), s, triangle())
	if err != nil {
		t.Fatal(err)
	}
	now, err := record.Reread(t.Context(), s, triangle(), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(late.Overrides.Pauses) != 0 || len(now.Overrides.Pauses) != 1 {
		t.Errorf("loaded %d pauses, read again %d; want 0 and 1", len(late.Overrides.Pauses), len(now.Overrides.Pauses))
	}
}

// A store that cannot be read is no leave to act, nor to forget what was said.
func TestAStoreThatIsDown(t *testing.T) {
	down := errors.New("down")
	for _, at := range []string{store.Live("acme"), store.Override("acme")} {
		s := storetest.NewMemory()
		s.Fail = func(_ string, k store.Key) error {
			if k.PK == at {
				return down
			}
			return nil
		}
		if b, err := record.Load(t.Context(), s, triangle()); !errors.Is(err, down) || b != nil {
			t.Errorf("%s: loaded %+v, %v", at, b, err)
		}
		if _, err := record.Reread(t.Context(), s, triangle(), nil, ""); !errors.Is(err, down) {
			t.Errorf("%s: reading again: %v", at, err)
		}
	}
	s := storetest.NewMemory()
	s.Fail = func(string, store.Key) error { return down }
	if _, err := record.Accepted(t.Context(), s, "acme"); !errors.Is(err, down) {
		t.Errorf("what was accepted: %v", err)
	}
}

// A record of a newer version is not ours to act by.
func TestARecordOfANewerVersionIsNotRead(t *testing.T) {
	s := storetest.NewMemory()
	if err := s.Put(t.Context(), store.Item{Key: store.Cluster("acme", "emea"), Body: []byte(`{"schema":99,"version":1}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := record.ObservedCluster(t.Context(), s, "acme", "emea"); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("%v", err)
	}
}
