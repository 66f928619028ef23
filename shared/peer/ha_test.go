package peer

import (
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
)

func TestHighAvailabilityIsTold(t *testing.T) {
	for _, tt := range []struct {
		name     string
		state    int
		declared mesh.Switch
		read     Fact[bool]
		ha       mesh.Switch
		says     string // in an information; "" = none
	}{
		{"Normal", 3, "", Known(true, noon), mesh.On, ""},
		{"Idle, and HA is off", 2, "", Known(false, noon), mesh.Off, ""},
		{"Idle, and nobody tells whether HA is on", 2, "", Unknown[bool](QueryRefused, ""), "", ""},
		{"Idle although HA is on", 2, "", Known(true, noon), mesh.On, "Idle although"},
		{"Idle, declared off whatever is read", 2, mesh.Off, Known(true, noon), mesh.Off, ""},
		{"in backup mode", 4, "", Known(true, noon), mesh.On, "Running in Backup Mode"},
		{"failed over", 8, "", Known(true, noon), mesh.On, "Failed Over (inferred)"},
		{"a state whose word nobody publishes", 11, mesh.On, Fact[bool]{}, mesh.On, "state 11 (its word is not published)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			c, _ := s.Mesh.Cluster("emea")
			c.HA = tt.declared
			n := s.emea().Seen.Nodes[sub("emea")]
			n.HAState, n.HAEnabled = Known(tt.state, noon), tt.read
			s.emea().Seen.Nodes[sub("emea")] = n
			if got := s.emea().HA(c, sub("emea")); got != tt.ha {
				t.Errorf("HA %q, want %q", got, tt.ha)
			}
			found := Findings(s.View(), "emea", nil)
			switch {
			case tt.says == "" && len(found) > 0:
				t.Errorf("%+v", found)
			case tt.says != "" && (len(found) != 1 || found[0].Severity != "info" || !strings.Contains(found[0].Message, tt.says)):
				t.Errorf("%+v, want an information that says %q", found, tt.says)
			}
		})
	}
}
