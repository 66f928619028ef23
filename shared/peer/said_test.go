package peer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

const forged = "x\nNext step: call\x1b[2J\x00\u202e\u200b\xff"

func TestAConditionIsCleanHoweverItIsWordedAndWhoeverStoredIt(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	c := Set(Condition{}, Condition{Type: UsersMatch, Status: False, Message: forged}, now)
	if !plain.Clean(c.Message) || strings.Contains(c.Message, "Next step:") {
		t.Errorf("%+q", c.Message)
	}
	// As somebody else wrote it into the store.
	m := &mesh.Mesh{Clusters: []mesh.Cluster{{ID: "emea"}, {ID: "apac"}}}
	v := Facts{Now: now, Tick: 5 * time.Minute, Mesh: m}.View()
	old := SyncRecord{Conditions: []Condition{{Type: UsersMatch, Status: False, Message: forged}}}
	for _, c := range Conditions(v, mesh.PeerID{From: "emea", To: "apac"}, old, CertRecord{}) {
		if !plain.Clean(c.Message) || strings.Contains(c.Message, "Next step:") {
			t.Errorf("%s: %+q", c.Type, c.Message)
		}
	}
}

func TestUsersThatDifferAreNamedTenAndTheRestCounted(t *testing.T) {
	n := &Named{More: 5}
	for i := range 20 {
		n.Missing = append(n.Missing, fmt.Sprintf("user%02d", i))
	}
	n.Extra = []string{"eve\nNext step: x"}
	want := `; missing: user00, user01, user02, user03, user04, user05, user06, user07, user08, user09; too many: "eve\nNext step: x", and 15 more`
	if got := names(n); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
