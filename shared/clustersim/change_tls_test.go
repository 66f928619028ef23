package clustersim

import (
	"strings"
	"testing"
	"time"
)

// Something in between shows Peerkeeper a certificate of its own, while ICSA of
// the other clusters meets the node itself and goes on syncing.
func TestServedOtherIsSeenByPeerkeeperOnly(t *testing.T) {
	r := newRig(t, Config{Clusters: 2, Users: 5})
	before := r.served(emeaPub)
	r.change("emea", TLS{Node: emeaPub, Served: "other"})
	if got := r.served(emeaPub); got == before {
		t.Error("the node's own certificate is still shown")
	}
	r.change("emea", Users{Add: 3})
	r.run(anHourAndABit)
	if got := r.copies("apac", "emea"); got != 8 {
		t.Errorf("apac holds %d users of emea, want 8: its ICSA meets the node itself", got)
	}
	r.change("emea", TLS{Node: emeaPub, Served: "own"})
	if got := r.served(emeaPub); got != before {
		t.Error("it is still in between")
	}
}

func TestCrashedServiceHasAnotherReason(t *testing.T) {
	r := newRig(t, Config{Clusters: 1, Users: 5})
	ask := func() string {
		return r.control(emeaPub, "soapGetServiceStatus", "<q:ServiceStatus>"+serviceICSA+"</q:ServiceStatus>", "read").body
	}
	for _, tt := range []struct {
		name string
		set  Services
		want string
	}{
		{"a person stops it", Services{Node: emeaPub, Service: serviceICSA, Status: "Stopped"}, "-1069"},
		{"it crashes", Services{Node: emeaPub, Service: serviceICSA, Status: "Stopped", Crash: true}, "-1019"},
		{"a person stops it again", Services{Node: emeaPub, Service: serviceICSA, Status: "Stopped"}, "-1069"},
		{"it runs", Services{Node: emeaPub, Service: serviceICSA, Status: "Started"}, ">-1<"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.change("emea", tt.set)
			if got := ask(); !strings.Contains(got, tt.want) {
				t.Errorf("want %s in %s", tt.want, got)
			}
		})
	}
}

func TestRebootBringsICSABackCommandedOutOfService(t *testing.T) {
	for _, tt := range []struct{ name, ha, want string }{
		{"with HA", "normal", "Stopped"},
		{"without HA", "idle", "Started"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Config{Clusters: 1, Users: 5})
			r.change("emea", Nodes{Node: emeaPub, HAState: tt.ha})
			r.change("emea", Nodes{Node: emeaPub, Reboot: true})
			r.advance(10 * time.Minute)
			n := r.nodeState(emeaPub)
			if n.Services[serviceICSA] != tt.want {
				t.Errorf("ICSA is %s, want %s", n.Services[serviceICSA], tt.want)
			}
			for _, name := range []string{serviceRouter, serviceAXL, "Cisco SIP Proxy", "Cisco Server Recovery Manager"} {
				if up := n.UpTime[name]; up < 0 || up > 600 {
					t.Errorf("%s has run for %d s since the reboot 10 min ago", name, up)
				}
			}
		})
	}
}
