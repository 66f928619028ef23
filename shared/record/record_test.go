package record_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

func TestLoadAndWrite(t *testing.T) {
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}, Peers: []mesh.Peer{{ID: mesh.PeerID{From: "emea", To: "apac"}}}}
	s := store.NewMemory()
	b, err := record.Load(t.Context(), s, m)
	if err != nil {
		t.Fatal(err)
	}
	doc := b.Clusters["emea"]
	doc.Value.Findings = []peer.Finding{{ID: "x"}}
	gone := store.NewDoc(store.PeerStuck("acme", mesh.PeerID{From: "emea", To: "amer"}), record.StateSchema, peer.StateRecord{State: peer.Healthy})
	var c record.Changes
	record.Add(&c, doc)
	record.Add(&c, gone)
	if n, err := c.Write(t.Context(), s); n != 2 || err != nil {
		t.Fatalf("%d written, %v", n, err)
	}
	if b, err = record.Load(t.Context(), s, m); err != nil || len(b.Clusters["emea"].Value.Findings) != 1 || len(b.Gone) != 1 {
		t.Fatalf("%+v, gone %v, %v", b.Clusters["emea"].Value, b.Gone, err)
	}
	var same record.Changes
	record.Add(&same, b.Clusters["emea"])
	if n, err := same.Write(t.Context(), s); n != 0 || err != nil {
		t.Errorf("%d written although nothing changed, %v", n, err)
	}
	var late record.Changes
	doc.Value.Findings = nil
	record.Add(&late, doc) // with the version of before
	if _, err := late.Write(t.Context(), s); err == nil {
		t.Error("a late writer was not told")
	}
	if v := b.View(m, 5*time.Minute, time.Now()); v.Clusters["apac"] == nil {
		t.Error("a cluster without an item is missing from the view")
	}
}

// What clusters are judged by is there before what peers are judged by; what
// cannot be read of either is told.
func TestLoadAhead(t *testing.T) {
	id := mesh.PeerID{From: "emea", To: "apac"}
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}, Peers: []mesh.Peer{{ID: id}}}
	s := store.NewMemory()
	var c record.Changes
	record.Add(&c, store.NewDoc(store.Cluster("acme", "emea"), record.ClusterSchema, peer.ClusterRecord{Findings: []peer.Finding{{ID: "x"}}}))
	record.Add(&c, store.NewDoc(store.PeerSync("acme", id), record.SyncSchema, peer.SyncRecord{FirstSeen: time.Unix(1, 0)}))
	if _, err := c.Write(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	b, rest, err := record.LoadAhead(t.Context(), s, m)
	if err != nil || len(b.Clusters["emea"].Value.Findings) != 1 || b.Clusters["apac"].Key == (store.Key{}) || len(b.Syncs) != 0 {
		t.Fatalf("ahead: %+v, %v", b, err)
	}
	if err := rest(); err != nil || b.Syncs[id].Value.FirstSeen.IsZero() || b.States[id].Key == (store.Key{}) {
		t.Errorf("the rest: %+v, %v", b, err)
	}

	for _, key := range []store.Key{store.Cluster("acme", "apac"), store.PeerCert("acme", id)} {
		if err := s.Put(t.Context(), store.Item{Key: key, Body: []byte(`{"schema":1,"version":1,"findings":7,"conditions":7}`)}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = record.Load(t.Context(), s, m)
	for _, want := range []string{"CLUSTER#apac", "PEER#emea>apac#CERT"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in the error %v", want, err)
		}
	}
}

// FuzzLoad: whatever a store holds, loading it ends, and what is newer or
// damaged is never made into something to write over it.
func FuzzLoad(f *testing.F) {
	f.Add("CLUSTER#emea", []byte(`{"schema":1,"version":1}`))
	f.Add("PEER#emea>apac#SYNC", []byte(`{"schema":9,"version":1,"conditions":7}`))
	f.Add("PEER#emea#SYNC", []byte(`{}`))
	f.Add("AUTH#emea", []byte(`{"schema":1,"at":"yesterday"}`))
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}, Peers: []mesh.Peer{{ID: mesh.PeerID{From: "emea", To: "apac"}}}}
	f.Fuzz(func(t *testing.T, sk string, body []byte) {
		s := store.NewMemory()
		if s.Put(t.Context(), store.Item{Key: store.Key{PK: store.Live("acme"), SK: sk}, Body: body}) != nil {
			return
		}
		b, err := record.Load(t.Context(), s, m)
		if err != nil {
			return
		}
		for _, d := range b.Clusters {
			if d.Newer {
				var c record.Changes
				d.Value.Findings = []peer.Finding{{ID: "x"}}
				record.Add(&c, d)
				if n, err := c.Write(t.Context(), s); n != 0 || err != nil {
					t.Errorf("a newer item was written over (%d, %v)", n, err)
				}
			}
		}
	})
}
