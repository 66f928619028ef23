package peer

import (
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

func TestTheIntervalInEffectIsThatOfTheLastSync(t *testing.T) {
	iv := Interval{Value: 60 * time.Minute, Previous: 240 * time.Minute, Changed: ago(time.Hour),
		Earlier: []IntervalWas{{Value: 30 * time.Minute, Until: ago(3 * time.Hour)}}}
	r := ClusterRecord{Interval: iv}
	c := &mesh.Cluster{SyncInterval: mesh.Duration(45 * time.Minute)}
	for _, x := range []struct {
		name string
		last time.Time
		want time.Duration
	}{
		{"synced after the newest change", ago(30 * time.Minute), time.Hour},
		{"synced between the changes", ago(2 * time.Hour), 4 * time.Hour},
		{"not synced since before both", ago(5 * time.Hour), 30 * time.Minute},
	} {
		if got, basis := r.EffectiveInterval(c, x.last); got != x.want || basis != Measured {
			t.Errorf("%s: %v (%s), want %v", x.name, got, basis, x.want)
		}
	}
	if got, basis := (&ClusterRecord{}).EffectiveInterval(c, noon); got != 45*time.Minute || basis != Declared {
		t.Errorf("never read: %v (%s), want what mesh.yaml declares", got, basis)
	}
	if got := r.longestInterval(c, noon.Add(3*time.Hour+time.Minute)); got != time.Hour {
		t.Errorf("the old interval is over since a minute, and every peer is on %v; got %v", time.Hour, got)
	}
	if got := r.longestInterval(c, noon.Add(3*time.Hour)); got != 4*time.Hour {
		t.Errorf("the old interval ends now: %v", got)
	}
	if got := (&ClusterRecord{}).longestInterval(c, noon); got != 45*time.Minute {
		t.Errorf("never read: %v", got)
	}
	if got := r.longestInterval(c, noon); got != 4*time.Hour {
		t.Errorf("an hour after 240 min became 60, some peer may still be on %v; got %v", 4*time.Hour, got)
	}
}

// TestAnIntervalIsReadFromThePublisher: within Cisco's bounds, and what it was before
// is remembered from the second value on.
func TestAnIntervalIsReadFromThePublisher(t *testing.T) {
	m := clusters("emea", "apac")
	c, _ := m.Cluster("emea")
	at := noon
	read := func(prev Interval, minutes string) Interval {
		at = at.Add(tick)
		return interval(prev, Observation{At: at, Nodes: map[mesh.NodeName]Node{c.Publisher: {Parameters: Known(map[string]string{ParamInterval: minutes}, at)}}}, c)
	}
	first := read(Interval{}, "60")
	if first.Value != time.Hour || first.Previous != 0 || !first.Changed.IsZero() {
		t.Errorf("first read: %+v: what it was before is not known", first)
	}
	lowest := read(first, "30")
	if changed := at; lowest.Value != 30*time.Minute || lowest.Previous != time.Hour || !lowest.Changed.Equal(changed) || len(lowest.Earlier) != 0 {
		t.Errorf("changed: %+v", lowest)
	}
	if same := read(lowest, "30"); !same.Changed.Equal(lowest.Changed) || same.Previous != time.Hour {
		t.Errorf("read again: %+v, want %+v", same, lowest)
	}
	for _, no := range []string{"29", "1445", "", "half an hour"} {
		if got := read(lowest, no); got.Value != 30*time.Minute {
			t.Errorf("%q was read as %v", no, got.Value)
		}
	}
	third := read(lowest, "1444")
	if third.Value != 1444*time.Minute || third.Previous != 30*time.Minute || len(third.Earlier) != 1 || third.Earlier[0].Value != time.Hour || !third.Earlier[0].Until.Equal(lowest.Changed) {
		t.Errorf("changed again: %+v", third)
	}
}
