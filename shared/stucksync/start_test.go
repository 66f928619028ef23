package stucksync_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/stucksync"
)

// TestACrashedICSAIsStarted by the run after the one that announced it. What keeps a
// run from that stands in the proposal, and is no failure of the run.
func TestACrashedICSAIsStarted(t *testing.T) {
	const node = mesh.NodeName("imp-emea-pub.example.com")
	for _, c := range []struct {
		name    string
		before  func(*simtest.Rig, *stucksync.Stucksync) // the run that would act
		within  time.Duration                            // what that run has of time; 0 is all it wants
		stopped string                                   // the guard that stops it; "" is none
		says    string                                   // of the standing alarm
		left    bool                                     // it is not started
	}{
		{name: "it is started", says: "has just asked the node to start"},
		{name: "the run has no write account", before: func(_ *simtest.Rig, u *stucksync.Stucksync) { u.Clusters = nil }, says: "at its next run", left: true},
		{name: "policy.mode is observe again", before: func(_ *simtest.Rig, u *stucksync.Stucksync) { u.Mesh.Policy.Mode = mesh.Observe }, stopped: "mode", says: "nothing by itself", left: true},
		{name: "the run has no more time than its alarms need", within: 29 * time.Second, stopped: "time", says: "this run had no time left", left: true},
		{name: "somebody started it after the look", before: func(r *simtest.Rig, _ *stucksync.Stucksync) {
			r.Change("emea", clustersim.Services{Node: string(node), Service: peer.ICSA, Status: "Started"})
		}, stopped: "needed", says: "is Started", left: true},
		{name: "the node does not answer any more", before: func(r *simtest.Rig, _ *stucksync.Stucksync) {
			r.Change("emea", clustersim.Nodes{Node: string(node), Down: new(true)})
		}, stopped: "failed", says: "unreachable", left: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := simtest.New(t, start, clustersim.Config{Users: 5}, false)
			s := play(t, "emea", "apac", "amer")
			s.mesh = r.Mesh
			s.mesh.Policy.Mode = mesh.Recover
			r.Change("emea", clustersim.Services{Node: string(node), Service: peer.ICSA, Status: "Stopped", Crash: true})
			s.finding("emea", peer.Finding{ID: peer.IDOf(peer.ServiceStopped, string(node), peer.ICSA), Reason: peer.ServiceStopped, Node: node, Message: "ICSA is stopped"}, true)
			s.clusters["emea"].Seen.Nodes = map[mesh.NodeName]peer.Node{node: {Services: peer.Known(map[string]peer.Service{peer.ICSA: {Status: "Stopped", UpTime: -1, Code: -1}}, s.now)}}
			u := &stucksync.Stucksync{Mesh: s.mesh, Store: s.store, Sinks: []alarm.Sink{s}, Now: func() time.Time { return s.now }, Clusters: r.Connector()}
			tick := func(ctx context.Context) int {
				r.Pass(5 * time.Minute)
				s.now = s.now.Add(5 * time.Minute)
				s.looked()
				a, err := u.Handle(ctx, run.Request{})
				if err != nil || a.Proposals != 1 {
					t.Fatalf("%d asked for, %v", a.Proposals, err)
				}
				return a.Actions
			}
			if n := tick(t.Context()); n != 0 {
				t.Fatalf("%d actions before it was announced", n)
			}
			if c.before != nil {
				c.before(r, u)
			}
			ctx := t.Context()
			if c.within > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.within)
				defer cancel()
			}
			n, asked := tick(ctx), r.Requests("emea")["soapDoControlServices"]
			if want := map[bool]int{false: 1, true: 0}[c.left]; n != want || asked != want {
				t.Errorf("%d actions, the node was asked %d times; want %d", n, asked, want)
			}
			book, err := record.Load(t.Context(), s.store, s.mesh)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range book.Proposals {
				guard := ""
				if p := d.Value; len(p.Refused) > 0 {
					guard = p.Refused[0].Guard
				}
				if guard != c.stopped || strings.HasPrefix(d.Value.Outcome, "Starting") == c.left {
					t.Errorf("stopped by %q, want %q; outcome %q", guard, c.stopped, d.Value.Outcome)
				}
			}
			items, err := alarm.Items(t.Context(), s.memory, s.mesh.Name)
			if err != nil || len(items) != 1 {
				t.Errorf("%d alarms, %v", len(items), err)
			}
			for _, it := range items {
				if !strings.Contains(it.Message, c.says) {
					t.Errorf("the alarm does not say %q: %s", c.says, it.Message)
				}
			}
		})
	}
}
