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
	if got := (&ClusterRecord{}).longestInterval(c, noon); got != 45*time.Minute {
		t.Errorf("never read: %v", got)
	}
	if got := r.longestInterval(c, noon); got != 4*time.Hour {
		t.Errorf("an hour after 240 min became 60, some peer may still be on %v; got %v", 4*time.Hour, got)
	}
}
