package record_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// fill gives every instant of a value one and the same time, and every list, map
// and pointer one element.
func fill(v reflect.Value, at time.Time) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(at))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), at)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), at)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), at)
	case reflect.Map:
		key, one := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if key.Kind() == reflect.String {
			key.SetString("x")
		}
		fill(one, at)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, one)
	}
}

// ahead lists the paths of the instants that lie ahead of now.
func ahead(v reflect.Value, now time.Time, path string, out map[string]bool) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		if v.Interface().(time.Time).After(now) {
			out[path] = true
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				ahead(v.Field(i), now, path+"."+f.Name, out)
			}
		}
	case reflect.Pointer:
		ahead(v.Elem(), now, path, out)
	case reflect.Slice:
		for i := range v.Len() {
			ahead(v.Index(i), now, path, out)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			ahead(v.MapIndex(k), now, path, out)
		}
	}
}

// TestEveryStoredInstantIsPutRight: after a clock that was five hours ahead,
// nothing stored lies ahead of the clock but what may: the ends of certificates,
// and when something was read, which is then taken for no reading of now. A new
// field has to be put on one side or the other.
func TestEveryStoredInstantIsPutRight(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	reading := map[string]bool{
		// When something was read (Fact.Fresh and its like), or done every so often.
		".Seen.At": true, ".UserSet.At": true, ".Seen.Access.At": true, ".Seen.Skew.At": true, ".Seen.Users.At": true, ".Seen.Entries.At": true,
		".Seen.Topology.At": true, ".At": true, ".Served.Read": true, ".Ports.Read": true, ".Identity.Read": true, ".Trust.Nodes.Read": true, ".Named.At": true,
		".Seen.Nodes.Version.At": true, ".Seen.Nodes.Services.At": true, ".Seen.Nodes.Parameters.At": true, ".Seen.Nodes.HAState.At": true, ".Seen.Nodes.HAEnabled.At": true, ".Seen.Nodes.Answers.At": true, ".Seen.SyncAgent.At": true,
		".Conditions.Observed": true, ".Observed": true,
		".Read": true,
		// By the cluster's own clock.
		".Seen.Entries.Value.LastSync": true, ".Cursor.At": true, ".LogWords.Cluster.At": true,
		".LogWords.Peers.Success.At": true, ".LogWords.Peers.Failure.At": true, ".LogWords.Peers.Periodic.At": true, ".LogWords.Peers.LastSynced.At": true, ".LogWords.Peers.Cause.At": true, ".LogWords.Peers.Failing": true,
		// Ends that lie ahead by nature.
		".Findings.NotAfter": true, ".Trust.Entries.Ends": true, ".LeafEnds": true,
		".Retry": true, // of a log: no further than it is ever put off
		// Worked out again at every look.
		".Ladder.ProveBy": true, ".Ladder.Until": true,
		// Names an incident, by the last success; compared for being the same.
		".Ladder.Incident": true,
	}
	for _, place := range []string{".Served", ".Ports", ".Identity"} {
		for _, end := range []string{".NotBefore", ".NotAfter", ".Chain.NotAfter", ".Former.NotAfter", ".ChainEnds", ".RootEnds"} {
			reading[place+end] = true
		}
	}
	for name, record := range map[string]interface{ Reclock(time.Time) }{
		"CLUSTER": &peer.ClusterRecord{}, "CERT": &certificate.Record{}, "LOG": &peer.LogRecord{}, "PEER SYNC": &peer.SyncRecord{}, "PEER CERT": &peer.CertRecord{}, "PEER STUCK": &reclockedState{},
	} {
		v := reflect.ValueOf(record).Elem()
		fill(v, now.Add(5*time.Hour))
		record.Reclock(now)
		left := map[string]bool{}
		ahead(v, now, "", left)
		for path := range left {
			if !reading[path] {
				t.Errorf("%s: %s still lies ahead of the clock: does it keep from looking (put it right in Reclock), or may it lie there (say why here)?", name, path)
			}
		}
		if _, err := json.Marshal(record); err != nil {
			t.Error(err)
		}
	}
}

type reclockedState peer.StateRecord

func (r *reclockedState) Reclock(now time.Time) { (*peer.StateRecord)(r).Reclock(0, now) }

// TestAfterAWrongClockAMeshIsJudgedByThisOne: each kind of record, as one load
// gives it, counts what a clock five hours ahead noted from now, and leaves what a
// right clock noted.
func TestAfterAWrongClockAMeshIsJudgedByThisOne(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	id := direction("emea", "apac")
	for name, c := range map[string]struct{ noted, want time.Time }{
		"by a clock five hours ahead": {now.Add(5 * time.Hour), now},
		"by a right clock":            {now.Add(-time.Hour), now.Add(-time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory()
			put(t, s, store.Cluster("acme", "emea"), peer.ClusterRecord{NoAccessSince: c.noted})
			put(t, s, store.Cert("acme", "emea"), certificate.Record{Findings: []peer.Finding{{ID: "x", Since: c.noted}}})
			put(t, s, store.PeerSync("acme", id), peer.SyncRecord{FirstSeen: c.noted})
			put(t, s, store.PeerCert("acme", id), peer.CertRecord{LeafFirst: c.noted})
			put(t, s, store.PeerStuck("acme", id), peer.StateRecord{Since: c.noted})
			put(t, s, store.Proposal("acme", "4f"), record.Proposed{First: c.noted, Ended: c.noted})
			m := triangle()
			b, err := record.Load(t.Context(), s, m)
			if err != nil {
				t.Fatal(err)
			}
			b.ReclockClusters(now)
			b.ReclockPeers(m, now)
			for what, got := range map[string]time.Time{
				"no access since":      b.Clusters["emea"].Value.NoAccessSince,
				"a finding since":      b.Certs["emea"].Value.Findings[0].Since,
				"a peer first seen":    b.Syncs[id].Value.FirstSeen,
				"a certificate's leaf": b.PeerCert[id].Value.LeafFirst,
				"a state since":        b.States[id].Value.Since,
				"first proposed":       b.Proposals["4f"].Value.First,
				"no longer proposed":   b.Proposals["4f"].Value.Ended,
			} {
				if !got.Equal(c.want) {
					t.Errorf("%s %s, want %s", what, got, c.want)
				}
			}
		})
	}
	t.Run("a person was given no longer than policy.waitForPeople", func(t *testing.T) {
		s := storetest.NewMemory()
		m := triangle()
		m.Policy.WaitForPeople = mesh.Duration(2 * time.Hour)
		put(t, s, store.PeerStuck("acme", id), peer.StateRecord{Ladder: &peer.Ladder{ForceBy: now.Add(5 * time.Hour)}})
		b, err := record.Load(t.Context(), s, m)
		if err != nil {
			t.Fatal(err)
		}
		b.ReclockPeers(m, now)
		if got := b.States[id].Value.Ladder.ForceBy; !got.Equal(now.Add(2 * time.Hour)) {
			t.Errorf("until %s", got)
		}
	})
}
