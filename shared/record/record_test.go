package record_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

func TestLoadAndWrite(t *testing.T) {
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}, Peers: []mesh.Peer{{ID: mesh.PeerID{From: "emea", To: "apac"}}}}
	s := storetest.NewMemory()
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
	quiet := &asked{Store: s, of: map[string]struct{}{}}
	if n, err := same.Write(t.Context(), quiet); n != 0 || err != nil || quiet.calls != 0 {
		t.Errorf("%d written in %d requests although nothing changed, %v", n, quiet.calls, err)
	}
	var late record.Changes
	doc.Value.Findings = nil
	record.Add(&late, doc) // with the version of before
	if _, err := late.Write(t.Context(), s); err == nil {
		t.Error("a late writer was not told")
	}
	if v := b.Facts(m, 5*time.Minute, time.Now()); v.Clusters["apac"] == nil {
		t.Error("a cluster without an item is missing from the view")
	}
}

// What clusters are judged by is there before what peers are judged by; what
// cannot be read of either is told.
func TestLoadAhead(t *testing.T) {
	id := mesh.PeerID{From: "emea", To: "apac"}
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}, Peers: []mesh.Peer{{ID: id}}}
	s := storetest.NewMemory()
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

// TestADamagedItemIsNamed: also one under a key that nothing writes.
func TestADamagedItemIsNamed(t *testing.T) {
	m := triangle()
	for _, sk := range []string{"CERT#emea", "AUTH#emea", "RUN#peersync", "PIN#imp-emea-pub", "PROPOSAL#4f", "PEER#emea>apac#SYNC", "PEER#emea>apac#STUCK", "PEER#emea#SYNC"} {
		s := storetest.NewMemory()
		if err := s.Put(t.Context(), store.Item{Key: store.Key{PK: store.Live("acme"), SK: sk}, Body: []byte(`{"schema":"one"}`)}); err != nil {
			t.Fatal(err)
		}
		if b, err := record.Load(t.Context(), s, m); err == nil || !strings.Contains(err.Error(), sk) || b == nil {
			t.Errorf("%s: %v; the rest is loaded: %v", sk, err, b != nil)
		}
	}
}

// TestPeersOfAClusterThatLeftAreGone: those of the mesh are not.
func TestPeersOfAClusterThatLeftAreGone(t *testing.T) {
	s := storetest.NewMemory()
	left := mesh.PeerID{From: "emea", To: "mars"}
	for _, id := range []mesh.PeerID{direction("emea", "apac"), left} {
		put(t, s, store.PeerStuck("acme", id), peer.StateRecord{State: peer.Healthy})
	}
	b, err := record.Load(t.Context(), s, triangle())
	if err != nil || len(b.Gone) != 1 || b.Gone[0] != left {
		t.Errorf("gone %v, %v", b.Gone, err)
	}
}

// TestCertificatesOfANewerVersionAreNotJudged: they are there, and what they say
// is not understood.
func TestCertificatesOfANewerVersionAreNotJudged(t *testing.T) {
	read := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for schema, judged := range map[int]bool{record.CertSchema: true, record.CertSchema + 1: false} {
		s := storetest.NewMemory()
		it, _, err := store.NewDoc(store.Cert("acme", "emea"), schema, certificate.Record{At: read, Served: map[mesh.NodeName]map[certificate.Place]certificate.Served{
			"imp-emea-pub": {{KeyType: "RSA"}: {Read: read}},
		}}).Change()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), it); err != nil {
			t.Fatal(err)
		}
		b, err := record.Load(t.Context(), s, triangle())
		if err != nil {
			t.Fatal(err)
		}
		facts := b.Facts(triangle(), 5*time.Minute, read)
		if _, known := facts.CertificateRead["emea"]; known != judged {
			t.Errorf("schema %d: certificates count as read: %v", schema, known)
		}
		if _, known := b.Certificates(facts.View()).Records["emea"]; known != judged {
			t.Errorf("schema %d: certificates are judged: %v", schema, known)
		}
	}
}

// TestACertificateOnSeveralPortsIsReadOnEach: it is stored once.
func TestACertificateOnSeveralPortsIsReadOnEach(t *testing.T) {
	ends := time.Date(2027, 3, 2, 8, 0, 0, 0, time.UTC)
	tomcat := certificate.Served{Fingerprint: "sha256:00", Subject: "CN=imp-emea-pub", NotAfter: ends}
	s := storetest.NewMemory()
	put(t, s, store.Cert("acme", "emea"), certificate.Record{Ports: map[mesh.NodeName]map[certificate.Place]certificate.Served{
		"imp-emea-pub": {{KeyType: "RSA"}: tomcat, {Port: "443", KeyType: "RSA"}: tomcat},
	}}.Packed())
	b, err := record.Load(t.Context(), s, triangle())
	if err != nil {
		t.Fatal(err)
	}
	for place, got := range b.Certs["emea"].Value.Ports["imp-emea-pub"] {
		if !got.NotAfter.Equal(ends) || got.Subject != tomcat.Subject {
			t.Errorf("%s: %q ends %s", place, got.Subject, got.NotAfter)
		}
	}
}

// What cannot be read of the digests is told by who asks for them; those of a
// newer release are read, and not written over.
func TestBuckets(t *testing.T) {
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, body string
		users      int
		newer      bool
		err        string
	}{
		{name: "none"},
		{name: "ours", body: `{"schema":1,"version":1,"buckets":{"k":"known","v":{"apac":{"n":5,"s":"a=00000000"}},"at":"2026-03-01T12:00:00Z"}}`, users: 5},
		{name: "newer", body: `{"schema":2,"version":1,"buckets":{"k":"known","v":{"apac":{"n":5,"s":"a=00000000"}},"at":"2026-03-01T12:00:00Z"}}`, users: 5, newer: true},
		{name: "newer and unreadable", body: `{"schema":2,"version":1,"buckets":7}`, newer: true},
		{name: "unreadable", body: `{"schema":1,"version":1,"buckets":7}`, err: "BUCKETS#emea"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := storetest.NewMemory()
			if c.body != "" {
				if err := s.Put(t.Context(), store.Item{Key: store.Buckets("acme", "emea"), Body: []byte(c.body)}); err != nil {
					t.Fatal(err)
				}
			}
			b, err := record.Load(t.Context(), s, m)
			if err != nil {
				t.Fatalf("a caller that needs no digests is kept from everything else: %v", err)
			}
			buckets, err := b.Buckets(m)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want an error that names %s", err, c.err)
				}
				return
			}
			doc := buckets["emea"]
			if err != nil || doc.Newer != c.newer || doc.Value.Buckets.Value["apac"].Users != c.users || doc.Key != store.Buckets("acme", "emea") || len(buckets) != 2 {
				t.Errorf("%+v, %v", buckets, err)
			}
			var changes record.Changes
			doc.Value.Buckets = peer.Known(peer.Buckets{}, at)
			record.Add(&changes, doc)
			if n, err := changes.Write(t.Context(), s); n == 0 != c.newer || err != nil {
				t.Errorf("%d written, %v", n, err)
			}
		})
	}
}

// FuzzLoad: whatever a store holds, loading it ends, and what is newer or
// damaged is never made into something to write over it.
func FuzzLoad(f *testing.F) {
	f.Add("CLUSTER#emea", []byte(`{"schema":1,"version":1}`))
	f.Add("PEER#emea>apac#SYNC", []byte(`{"schema":9,"version":1,"conditions":7}`))
	f.Add("PEER#emea#SYNC", []byte(`{}`))
	f.Add("BUCKETS#emea", []byte(`{"schema":2,"version":1,"buckets":7}`))
	f.Add("LOG#emea", []byte(`{"schema":1,"version":1,"cursor":7}`))
	f.Add("AUTH#emea", []byte(`{"schema":1,"at":"yesterday"}`))
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}, Peers: []mesh.Peer{{ID: mesh.PeerID{From: "emea", To: "apac"}}}}
	f.Fuzz(func(t *testing.T, sk string, body []byte) {
		s := storetest.NewMemory()
		if s.Put(t.Context(), store.Item{Key: store.Key{PK: store.Live("acme"), SK: sk}, Body: body}) != nil {
			return
		}
		b, err := record.Load(t.Context(), s, m)
		if err != nil {
			return
		}
		buckets, err := b.Buckets(m)
		if err != nil {
			return
		}
		for _, d := range buckets {
			if d.Newer {
				var c record.Changes
				d.Value.Buckets = peer.Known(peer.Buckets{}, time.Unix(1, 0))
				record.Add(&c, d)
				if n, err := c.Write(t.Context(), s); n != 0 || err != nil {
					t.Errorf("newer digests were written over (%d, %v)", n, err)
				}
			}
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

// Which pairs a plan changes is known to every judgement, and to the consistent read
// before an action; not from a plan that has not begun or has ended, nor from what a
// newer version wrote.
func TestThePairsThatAPlanChanges(t *testing.T) {
	id := mesh.PeerID{From: "emea", To: "apac"}
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}, Peers: []mesh.Peer{{ID: id}}}
	for state, want := range map[change.State]string{change.Draft: "", change.Running: "c4f2", change.Waiting: "c4f2", change.Stopped: "c4f2", change.Done: "", "newer": ""} {
		s := storetest.NewMemory()
		schema := record.PlansSchema
		if state == "newer" {
			state, schema = change.Running, schema+1
		}
		put := store.NewDoc(store.Plans("acme"), schema, change.Plans{Plans: []change.Entry{{ID: "c4f2", State: state, Pairs: []mesh.PeerID{id}}}})
		it, err := put.Item()
		if err == nil {
			err = s.Put(t.Context(), it)
		}
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := record.Load(t.Context(), s, m)
		if err != nil {
			t.Fatal(err)
		}
		reread, err := record.Reread(t.Context(), s, m, []mesh.PeerID{id}, "")
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string]*record.Snapshot{"loaded": loaded, "read again": reread} {
			if got := b.Facts(m, 5*time.Minute, time.Now()).Changing[id]; got != want {
				t.Errorf("%s, %s: %q, want %q", name, state, got, want)
			}
		}
	}
}
