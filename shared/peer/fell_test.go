package peer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

// A cluster's users over a day, looked at every five minutes; a count below zero
// is a look that brought no whole count.
func TestUsersFell(t *testing.T) {
	m := clusters("emea", "apac")
	c, _ := m.Cluster("apac")
	type look struct {
		users               int
		acknowledged, maint bool
	}
	times := func(n int, users ...int) (out []look) {
		for _, u := range users {
			for range n {
				out = append(out, look{users: u})
			}
		}
		return out
	}
	join := func(all ...[]look) (out []look) {
		for _, a := range all {
			out = append(out, a...)
		}
		return out
	}
	slow := func(from, to, looks int) (out []look) {
		for i := range looks + 1 {
			out = append(out, look{users: from - (from-to)*i/looks})
		}
		return out
	}
	maintained := func(all []look) []look {
		for i := range all {
			all[i].maint = true
		}
		return all
	}
	const day = 288
	for _, tt := range []struct {
		name  string
		looks []look
		from  int // of the fall that stands at the end; 0 = none
	}{
		{"nobody goes", times(12, 200), 0},
		{"all of 200 vanish", times(3, 200, 0), 200},
		{"three become one: no more than that", times(3, 3, 1), 0},
		{"39 become 19: more than half, and twenty", times(3, 39, 19), 39},
		{"39 become 20: nineteen", times(3, 39, 20), 0},
		{"15 become 5: ten", times(3, 15, 5), 0},
		{"200 become 100: half, and not more", times(3, 200, 100), 0},
		{"200 become 99", times(3, 200, 99), 200},
		{"a slow decline within twenty hours", slow(1000, 400, 240), 1000},
		{"the same over four days is the way of the world", slow(1000, 400, 4*day), 0},
		{"it stands the day after, when the greatest of the day is small", join(times(3, 200), times(day+20, 0)), 200},
		{"it stands while nothing can be read", join(times(3, 200, 0), times(5, -1)), 200},
		{"half a read raises nothing", join(times(3, 200), times(3, -1)), 0},
		{"they come back", times(3, 200, 0, 200), 0},
		{"a few come back", times(3, 200, 0, 50), 200},
		{"acknowledged: the new count is the normal one", join(times(3, 200, 10), []look{{users: 10, acknowledged: true}}, times(3, 10)), 0},
		{"acknowledged, and they fall once more", join(times(3, 400, 100), []look{{users: 100, acknowledged: true}}, times(3, 100, 0)), 100},
		{"acknowledged while nothing can be read: the next whole count decides", join(times(3, 200, 0), []look{{users: -1, acknowledged: true}}, times(3, -1)), 200},
		{"in a maintenance", join(times(3, 200), maintained(times(3, 0)), times(3, 0)), 0},
		{"a maintenance does not forget what fell before", join(times(3, 200, 0), maintained(times(3, 0)), times(3, 0)), 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r ClusterRecord
			for i, l := range tt.looks {
				at := noon.Add(time.Duration(i) * tick)
				obs := Observation{Cluster: "apac", At: at, Access: Known(true, at), Users: Known(map[mesh.NodeName]int{pub("apac"): l.users, pub("emea"): 5}, at)}
				if l.users < 0 {
					obs.Users = Partial(map[mesh.NodeName]int{}, at, RowsIncomplete, "cut")
				}
				r = Advance(r, obs, c)
				r.WatchUsers(c, l.acknowledged, l.maint)
			}
			switch {
			case tt.from == 0 && r.Fell != nil:
				t.Errorf("fell %s", r.Fell)
			case tt.from != 0 && (r.Fell == nil || r.Fell.From != tt.from):
				t.Errorf("fell %v, want from %d", r.Fell, tt.from)
			}
			if len(r.Peaks) > 26 {
				t.Errorf("%d peaks are kept", len(r.Peaks))
			}
		})
	}
}

// Equal copies of a cluster whose users are gone make nobody Healthy.
func TestAnEmptyClusterIsNotHealthy(t *testing.T) {
	s := newScene()
	for _, id := range []mesh.ClusterID{"emea", "apac", "amer"} {
		s.Clusters[id].Seen.Users.Value[pub("apac")], s.Clusters[id].Seen.Users.Value[sub("apac")] = 0, 0
	}
	s.apac().Home = append(s.apac().Home, HomeValue{From: ago(time.Hour), To: noon})
	s.apac().Fell = &Fall{Since: ago(time.Hour), From: 200}
	got := Judge(s.View(), watched, SyncRecord{})
	if c := got.Condition(UsersMatch); c.Status != UnknownStatus || c.Reason != UsersFell || !strings.Contains(c.Message, "from 200 to 0") || !Counted(c, got) {
		t.Errorf("%+v", c)
	}
	back := Judge(s.View(), watched.Reverse(), SyncRecord{})
	if c := back.Condition(UsersMatch); c.Status != True {
		t.Errorf("what apac holds of emea is as good as before: %+v", c)
	}
	found := Findings(s.View(), "apac", nil)
	if len(found) != 1 || found[0].Reason != UsersFell || found[0].Severity != "critical" || !strings.Contains(found[0].Message, "peerkeeper ack") {
		t.Errorf("%+v", found)
	}
}

// TestAFallIsFromTheGreatestCountOfTheDay: of a day's, the hours' greatest.
func TestAFallIsFromTheGreatestCountOfTheDay(t *testing.T) {
	c, _ := newScene().Mesh.Cluster("apac")
	seen := Observation{Cluster: "apac", At: noon, Users: Known(map[mesh.NodeName]int{pub("apac"): 10}, noon)}
	for _, peaks := range [][]Peak{{{Users: 300, At: ago(3 * time.Hour)}, {Users: 200, At: ago(time.Hour)}}, {{Users: 200, At: ago(3 * time.Hour)}, {Users: 300, At: ago(time.Hour)}}} {
		r := ClusterRecord{Seen: seen, Peaks: peaks}
		if r.WatchUsers(c, false, false); r.Fell == nil || r.Fell.From != 300 || r.Fell.To != 10 {
			t.Errorf("%v: %v, want from 300 to 10", peaks, r.Fell)
		}
	}
}

// TestWhichCountsAreRememberedOfADay: the greatest of each hour, and when it was
// last so.
func TestWhichCountsAreRememberedOfADay(t *testing.T) {
	c, _ := newScene().Mesh.Cluster("apac")
	at := noon.Add(30 * time.Minute)
	whole := func(n int) Fact[map[mesh.NodeName]int] { return Known(map[mesh.NodeName]int{pub("apac"): n}, at) }
	kept := Peak{Users: 50, At: at.Add(-fellWithin)}
	hour := Peak{Users: 200, At: noon}
	for _, x := range []struct {
		name  string
		users Fact[map[mesh.NodeName]int]
		prev  []Peak
		want  []Peak
	}{
		{"more in the hour", whole(201), []Peak{kept, hour}, []Peak{kept, {Users: 201, At: at}}},
		{"as many: it was so until now", whole(200), []Peak{kept, hour}, []Peak{kept, {Users: 200, At: at}}},
		{"fewer", whole(199), []Peak{kept, hour}, []Peak{kept, hour}},
		{"one that is older than a day", whole(199), []Peak{{Users: 50, At: at.Add(-fellWithin - time.Second)}, hour}, []Peak{hour}},
		{"half a count changes nothing", Partial(map[mesh.NodeName]int{}, at, RowsIncomplete, "cut"), []Peak{{Users: 50, At: ago(48 * time.Hour)}}, []Peak{{Users: 50, At: ago(48 * time.Hour)}}},
	} {
		if got := peaks(ClusterRecord{Peaks: x.prev}, Observation{At: at, Users: x.users}, c); !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}
