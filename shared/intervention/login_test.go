package intervention

import (
	"errors"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

func access(s store.Store) Access {
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea", Publisher: pub, WriteCredentials: "emea/write", Nodes: []mesh.Node{{Name: pub}}}}}
	return Access{Mesh: m, Store: s, Now: func() time.Time { return now }, Clusters: &cluster.Connector{}}
}

// TestWhatAnActionLeftIsReadFromTheLookAfterIt: an earlier one shows what was there
// before, and the account that acts is not needed for it.
func TestWhatAnActionLeftIsReadFromTheLookAfterIt(t *testing.T) {
	in := repair.Intent{Target: peer.Target{Cluster: "emea", Node: pub, Service: peer.ICSA}, Deadline: now.Add(-10 * time.Minute)}
	for _, c := range []struct {
		name string
		seen time.Duration // before now
		of   map[string]peer.Service
		up   time.Duration
		not  bool
	}{
		{"seen since", 4 * time.Minute, map[string]peer.Service{peer.ICSA: {Status: "Started", UpTime: time.Minute}}, 5 * time.Minute, false},
		{"seen since by a clock a little ahead", -10 * time.Second, map[string]peer.Service{peer.ICSA: {Status: "Started", UpTime: time.Minute}}, time.Minute, false},
		{"just started", 0, map[string]peer.Service{peer.ICSA: {Status: "Started"}}, 0, false},
		{"just started when it was seen", 4 * time.Minute, map[string]peer.Service{peer.ICSA: {Status: "Started"}}, 4 * time.Minute, false},
		{"how long it runs is not told", 4 * time.Minute, map[string]peer.Service{peer.ICSA: {Status: "Stopped", UpTime: -1}}, -1, false},
		{"seen within a minute of the deadline", 9 * time.Minute, map[string]peer.Service{peer.ICSA: {Status: "Started"}}, 0, true},
		{"seen before", time.Hour, map[string]peer.Service{peer.ICSA: {Status: "Started"}}, 0, true},
		{"not listed", time.Minute, map[string]peer.Service{peer.AXL: {Status: "Started"}}, 0, true},
	} {
		s := storetest.NewMemory()
		rec := peer.ClusterRecord{Seen: peer.Observation{Nodes: map[mesh.NodeName]peer.Node{pub: {Services: peer.Known(c.of, now.Add(-c.seen))}}}}
		it, _, err := store.NewDoc(store.Cluster("acme", "emea"), record.ClusterSchema, rec).Change()
		if err == nil {
			err = s.Put(t.Context(), it)
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := access(s).recorded(t.Context(), in)
		if (err != nil) != c.not || err == nil && got.UpTime != c.up {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	if _, err := access(storetest.NewMemory()).recorded(t.Context(), in); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nothing is recorded: %v", err)
	}
}

// TestNobodyLogsInWhoDoesNotKnowWhetherTheAccountWasRefused: one log-in too many
// locks it.
func TestNobodyLogsInWhoDoesNotKnowWhetherTheAccountWasRefused(t *testing.T) {
	broken := errors.New("broken")
	for _, partition := range []string{store.Live("acme"), store.Override("acme")} {
		s := storetest.NewMemory()
		s.Fail = func(_ string, k store.Key) error {
			if k.PK == partition {
				return broken
			}
			return nil
		}
		if _, err := access(s).controller(t.Context(), "emea"); !errors.Is(err, broken) {
			t.Errorf("%s is not readable: %v", partition, err)
		}
	}
	if _, err := access(storetest.NewMemory()).controller(t.Context(), "mars"); err == nil || !strings.Contains(err.Error(), "mars is no longer in mesh.yaml") {
		t.Errorf("a cluster that left: %v", err)
	}
}
