package record_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// TestShowNamesWhatItLeavesOut: what this version may not rely on is neither
// shown nor lost without a word, and costs nothing else its place.
func TestShowNamesWhatItLeavesOut(t *testing.T) {
	s, m := storetest.NewMemory(), triangle()
	put(t, s, store.Cluster("acme", "emea"), peer.ClusterRecord{Findings: []peer.Finding{{ID: "x"}}})
	put(t, s, store.PeerSync("acme", direction("emea", "apac")), peer.SyncRecord{FirstSeen: time.Unix(1, 0)})
	put(t, s, store.Auth("acme", "emea", "credentials"), record.Auth{Rejected: "v1"})
	for sk, body := range map[string]string{
		"ALARM#x":                `{"schema":"one"}`,
		"AUTH#apac":              `{"schema":"one"}`,
		"CLUSTER#apac":           `{"schema":2,"version":1}`,
		"LOG#emea":               `{"schema":"one"}`,
		"PEER#apac":              `{"schema":1,"version":1}`,
		"PEER#emea>amer#STUCK":   `{"schema":"one"}`,
		"PEER#pluto>mars#SYNC":   `{"schema":1,"version":1}`,
		"PROPOSAL#4f":            `{"schema":2,"version":1,"first":7}`,
		"SOMETHING#of-next-year": `{"schema":"one"}`,
	} {
		if err := s.Put(t.Context(), store.Item{Key: store.Key{PK: store.Live("acme"), SK: sk}, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := record.Show(t.Context(), s, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	facts := b.Facts(m, 5*time.Minute, time.Unix(9, 0))
	if alarms := record.Alarms[peer.Finding](b, 1); len(alarms) != 0 {
		t.Errorf("alarms %v", alarms)
	}
	if len(facts.Clusters) != 1 || len(facts.Clusters["emea"].Findings) != 1 || len(facts.Logs) != 0 {
		t.Errorf("clusters %v, logs %v: want emea's record alone", facts.Clusters, facts.Logs)
	}
	if len(b.Auths) != 0 || len(b.States) != 0 || len(b.Proposals) != 0 || b.Syncs[direction("emea", "apac")].Value.FirstSeen.IsZero() {
		t.Errorf("taken: %+v", b)
	}
	if !b.Kept()[direction("emea", "amer")] || !b.Kept()[direction("pluto", "mars")] || b.Kept()[direction("apac", "emea")] {
		t.Errorf("kept: %v", b.Kept())
	}
	got := map[string]peer.Reason{}
	for _, u := range b.Unread() {
		got[u.Item] = u.Reason
	}
	want := map[string]peer.Reason{
		"ALARM#x": peer.UnreadableAnswer, "CLUSTER#apac": peer.NewerSchema, "LOG#emea": peer.UnreadableAnswer, "PEER#apac": peer.UnreadableAnswer,
		"PEER#emea>amer#STUCK": peer.UnreadableAnswer, "PROPOSAL#4f": peer.NewerSchema,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unread (-want +got):\n%s", diff)
	}
}

// TestShowDecodesWhatChanged, and that alone.
func TestShowDecodesWhatChanged(t *testing.T) {
	s, m := storetest.NewMemory(), triangle()
	same, other := direction("emea", "apac"), direction("apac", "emea")
	conditions := []peer.Condition{{Type: peer.Synced, Status: peer.True}}
	put(t, s, store.PeerSync("acme", same), peer.SyncRecord{Conditions: conditions})
	put(t, s, store.PeerSync("acme", other), peer.SyncRecord{Conditions: conditions})
	show := func(before *record.Snapshot) *record.Snapshot {
		b, err := record.Show(t.Context(), s, m, before)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := show(nil)
	doc := first.Syncs[other]
	doc.Value.Conditions = []peer.Condition{{Type: peer.Synced, Status: peer.False}}
	var c record.Changes
	record.Add(&c, doc)
	if _, err := c.Write(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	second := show(first)
	if &first.Syncs[same].Value.Conditions[0] != &second.Syncs[same].Value.Conditions[0] {
		t.Error("what did not change was decoded again")
	}
	if got := second.Syncs[other].Value.Conditions[0].Status; got != peer.False {
		t.Errorf("what changed is shown as it was: %s", got)
	}
	was := map[string]any{}
	for sk, sum := range first.Sums() {
		was[sk] = sum
	}
	for sk, sum := range second.Sums() {
		if changed := was[sk] != any(sum); changed != (sk == store.PeerSync("acme", other).SK) {
			t.Errorf("%s changed: %v", sk, changed)
		}
	}
}

// TestShowOfAStoreThatIsDown is the only failure.
func TestShowOfAStoreThatIsDown(t *testing.T) {
	down := errors.New("no route to the store")
	if b, err := record.Show(t.Context(), silentStore{down}, triangle(), nil); b != nil || !errors.Is(err, down) {
		t.Errorf("%v, %v", b, err)
	}
}

type silentStore struct{ err error }

func (s silentStore) Load(context.Context, string, string) ([]store.Item, error) { return nil, s.err }
