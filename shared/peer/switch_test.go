package peer_test

import (
	"testing"

	"peerkeeper/shared/peer"
)

// TestSwitchesOfTheDatabase: what stands for on and off, and what is written in its
// place.
func TestSwitchesOfTheDatabase(t *testing.T) {
	for _, c := range []struct{ on, off string }{
		{"t", "f"}, {"T", "F"}, {"true", "false"}, {"True", "False"}, {"TRUE", "FALSE"}, {"1", "0"}, {"on", "off"}, {"Enabled", "Disabled"},
	} {
		for value, want := range map[string]bool{c.on: true, c.off: false, " " + c.on + " ": true, c.off + "\n": false} {
			if on, ok := peer.SwitchOn(value); !ok || on != want {
				t.Errorf("%q reads %v, %v", value, on, ok)
			}
			for _, to := range []bool{true, false} {
				word := c.off
				if to {
					word = c.on
				}
				if got, ok := peer.WriteSwitch(value, to); !ok || got != word {
					t.Errorf("in the place of %q, %v is written %q, want %q", value, to, got, word)
				}
			}
		}
	}
	for _, value := range []string{"", " ", "yes", "2", "tr", "on off", "t f"} {
		if on, ok := peer.SwitchOn(value); ok {
			t.Errorf("%q reads %v", value, on)
		}
		if got, ok := peer.WriteSwitch(value, true); ok {
			t.Errorf("in the place of %q, %q is written", value, got)
		}
	}
}
