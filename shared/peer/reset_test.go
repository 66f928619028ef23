package peer

import (
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

// TestServicesThatRestartByThemselves: ICSA and Server Recovery Manager, not a node
// that was rebooted, not a service that was stopped.
func TestServicesThatRestartByThemselves(t *testing.T) {
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	look := func(minutes int, up map[string]time.Duration) Observation {
		services := map[string]Service{}
		for name, d := range up {
			services[name] = Service{Status: "Started", UpTime: d}
			if d < 0 {
				services[name] = Service{Status: "Stopped", UpTime: d}
			}
		}
		o := Observation{At: at.Add(time.Duration(minutes) * time.Minute)}
		o.Nodes = map[mesh.NodeName]Node{"a": {Services: Known(services, o.At)}}
		return o
	}
	const h = time.Hour
	all := func(icsa, srm, rest time.Duration) map[string]time.Duration {
		return map[string]time.Duration{ICSA: icsa, SRM: srm, AXL: rest, XCPRouter: rest, SIPProxy: rest, "Cisco Tomcat": rest}
	}
	c := &mesh.Cluster{ID: "emea", Publisher: "a", Nodes: []mesh.Node{{Name: "a"}}}
	for _, x := range []struct {
		name  string
		looks []Observation
		want  int
	}{
		{"all run on", []Observation{look(0, all(h, h, h)), look(5, all(h+1, h+1, h+1))}, 0},
		{"ICSA restarted", []Observation{look(0, all(h, h, h)), look(5, all(60, h+1, h+1))}, 1},
		{"both restarted", []Observation{look(0, all(h, h, h)), look(5, all(60, 60, h+1))}, 2},
		{"the node was rebooted", []Observation{look(0, all(h, h, h)), look(5, all(60, 60, 60))}, 0},
		{"it was stopped, and started", []Observation{look(0, all(h, h, h)), look(5, all(-1, h, h)), look(10, all(60, h+2, h+2))}, 0},
		{"twice in a day", []Observation{look(0, all(h, h, h)), look(5, all(60, h, h)), look(600, all(30, h, h))}, 2},
		{"once a day", []Observation{look(0, all(h, h, h)), look(5, all(60, h, h)), look(5+24*60, all(30, h, h))}, 1},
	} {
		var r ClusterRecord
		for _, o := range x.looks {
			r = Advance(r, o, c)
		}
		if len(r.Resets) != x.want {
			t.Errorf("%s: %+v", x.name, r.Resets)
		}
	}
	r := ClusterRecord{}
	for i := range 200 {
		r = Advance(r, look(i*5, all(time.Duration(200-i), h, h)), c)
	}
	if len(r.Resets) != resetsKept {
		t.Errorf("%d are remembered", len(r.Resets))
	}
}
