package host_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/peer"
)

// hearing keeps what was said of stopped services.
type hearing struct{ said []alarm.Notice }

func (*hearing) Name() string { return "hearing" }

func (h *hearing) Send(_ context.Context, n alarm.Notice) error {
	if n.Name == alarm.ServiceStopped {
		h.said = append(h.said, n)
	}
	return nil
}

func (h *hearing) count(state alarm.State) int {
	n := 0
	for _, x := range h.said {
		if x.State == state {
			n++
		}
	}
	return n
}

// ticks lets both functions run every five minutes.
func (r *crashRig) ticks(d time.Duration) {
	for ; d > 0; d -= 5 * time.Minute {
		r.pass(5 * time.Minute)
		r.once("peersync")
		r.once("stucksync")
	}
}

// runs reports whether a service runs on a node, by the simulator's own word.
func (r *crashRig) runs(node, service string) bool {
	for _, c := range r.sim.State().Clusters {
		for _, n := range c.Nodes {
			if n.Name == node {
				return n.Services[service] == "Started"
			}
		}
	}
	return false
}

func (r *crashRig) stop(cluster, node, service string, crash bool) {
	r.change(cluster, clustersim.Services{Node: node, Service: service, Status: "Stopped", Crash: crash})
}

const (
	emeaPublisher  = "imp-emea-pub.example.com"
	emeaSubscriber = "imp-emea-sub.example.com"
)

// TestWhatAPersonStoppedWaitsForAPerson: two nodes of emea have ICSA commanded
// out of service. Nothing starts it but a person's word; the notice says what
// Cisco has it stopped for and how to answer, and comes again.
func TestWhatAPersonStoppedWaitsForAPerson(t *testing.T) {
	t.Parallel()
	r, ear := newCrashRig(t), &hearing{}
	r.host.Sinks = []alarm.Sink{ear}
	r.ticks(20 * time.Minute)
	r.stop("emea", emeaPublisher, peer.ICSA, false)
	r.stop("emea", emeaSubscriber, peer.ICSA, false)
	r.ticks(time.Hour)
	if r.runs(emeaPublisher, peer.ICSA) || r.runs(emeaSubscriber, peer.ICSA) {
		t.Fatal("it was started without a word")
	}
	if len(ear.said) != 2 || ear.count(alarm.Raised) != 2 {
		t.Fatalf("said: %+v, want one notice for each node", ear.said)
	}
	for _, want := range []string{"commanded out of service", "approve", "moving 100 users", "CA conflict", "peerkeeper maintenance start emea"} {
		if !strings.Contains(ear.said[0].Message, want) {
			t.Errorf("the notice lacks %q:\n%s", want, ear.said[0].Message)
		}
	}
	r.ticks(8 * time.Hour)
	if n := ear.count(alarm.Repeated); n < 4 {
		t.Errorf("it was said again %d times in 8 h, want twice for each node", n)
	}
	if r.runs(emeaPublisher, peer.ICSA) {
		t.Fatal("it was started without a word")
	}
	for _, p := range r.asked() {
		if strings.HasSuffix(p.Target, emeaPublisher) {
			if _, err := person(r.host).Approve(t.Context(), p.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.ticks(15 * time.Minute)
	if !r.runs(emeaPublisher, peer.ICSA) || r.runs(emeaSubscriber, peer.ICSA) {
		t.Errorf("after the approval of one: publisher %v, subscriber %v", r.runs(emeaPublisher, peer.ICSA), r.runs(emeaSubscriber, peer.ICSA))
	}
	// Maintenance is the other answer.
	if _, err := person(r.host).StartMaintenance(t.Context(), "emea", "moving 300 users", 6*time.Hour); err != nil {
		t.Fatal(err)
	}
	before := len(ear.said)
	r.ticks(5 * time.Hour)
	if after := len(ear.said); after != before || r.runs(emeaSubscriber, peer.ICSA) {
		t.Errorf("in maintenance: %d notices more, started %v", after-before, r.runs(emeaSubscriber, peer.ICSA))
	}
}

// TestStartedAsBefore: what a crash or a reboot stopped is started within half
// an hour; what the policy lets go is started as it says.
func TestStartedAsBefore(t *testing.T) {
	for _, tt := range []struct {
		name, policy string
		play         func(r *crashRig)
		within       time.Duration
		node         string
		service      string
		want         bool
	}{
		{"ICSA crashes on the publisher", "", func(r *crashRig) { r.stop("emea", emeaPublisher, peer.ICSA, true) }, 30 * time.Minute, emeaPublisher, peer.ICSA, true},
		{"ICSA crashes on both nodes", "", func(r *crashRig) {
			r.stop("emea", emeaPublisher, peer.ICSA, true)
			r.stop("emea", emeaSubscriber, peer.ICSA, true)
		}, time.Hour, emeaPublisher, peer.ICSA, false},
		{"the publisher reboots, and ICSA comes back commanded out of service", "", func(r *crashRig) {
			r.change("emea", clustersim.Nodes{Node: emeaPublisher, Reboot: true})
		}, 30 * time.Minute, emeaPublisher, peer.ICSA, true},
		{"a person stops the Sync Agent", "", func(r *crashRig) { r.stop("emea", emeaPublisher, peer.SyncAgent, false) }, time.Hour, emeaPublisher, peer.SyncAgent, false},
		{"a person stops ICSA, and the policy is auto", "auto", func(r *crashRig) { r.stop("emea", emeaPublisher, peer.ICSA, false) }, 30 * time.Minute, emeaPublisher, peer.ICSA, true},
		{"a person stops ICSA, and the policy gives two hours", "2h0m0s", func(r *crashRig) { r.stop("emea", emeaPublisher, peer.ICSA, false) }, 110 * time.Minute, emeaPublisher, peer.ICSA, false},
		{"a person stopped ICSA more than the policy's two hours ago", "2h0m0s", func(r *crashRig) { r.stop("emea", emeaPublisher, peer.ICSA, false) }, 140 * time.Minute, emeaPublisher, peer.ICSA, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newCrashRig(t)
			r.host.Mesh.Policy.StartCommanded = tt.policy
			r.ticks(20 * time.Minute)
			tt.play(r)
			r.ticks(tt.within)
			if got := r.runs(tt.node, tt.service); got != tt.want {
				t.Errorf("it runs: %v, want %v; asked for: %+v", got, tt.want, r.asked())
			}
		})
	}
}
