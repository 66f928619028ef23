package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
)

// follow is a person who does what the newest plan asks, on Cisco's pages as the step says,
// and tells it so. It ends where the plan has ended or stops, where it comes to an
// operation that is left to the story, where it needs another mesh.yaml, or after a time.
func (st *stage) follow(ctx context.Context, within time.Duration, until change.Op) error {
	end := st.operator.Now().Add(within)
	told := 0 // the step, so that what was said once is said again only later
	for {
		if err := st.hear(ctx); err != nil {
			return err
		}
		p, err := record.LoadPlan(ctx, st.operator.Store, st.operator.Mesh.Name, st.plan)
		if err != nil {
			return err
		}
		at := p.Current()
		if !p.State.Active() || at == nil || at.Op == until || st.lacksLines(at) || !st.operator.Now().Before(end) {
			return nil
		}
		said := false
		if p.State == change.Waiting && at.N != told {
			if said, err = st.obey(ctx, &p.Plan, at); err != nil {
				return fmt.Errorf("step %d of plan %s: %w", at.N, p.ID, err)
			}
			told = at.N
		}
		if !said {
			told = 0
			if err := st.pass(ctx, 5*time.Minute); err != nil {
				return err
			}
		}
	}
}

// lacksLines says that a step waits for a mesh.yaml that is not the one in force.
func (st *stage) lacksLines(at *change.Step) bool {
	done, _ := at.Declared(st.operator.Mesh)
	return at.Op == change.OpMeshLines && !done
}

// rotated is the password that an intercluster account gets.
const rotated = "rotated"

// obey does one step and says so; said is false where the step goes on by what it reads.
func (st *stage) obey(ctx context.Context, p *change.Plan, at *change.Step) (said bool, err error) {
	kind := at.KindOf(st.operator.Mesh.Policy.Mode)
	entry := func(body map[string]any) error {
		body["peer"] = at.Pair.To
		return st.do(at.Pair.From, "peers", body)
	}
	w := change.Word{Verb: change.Confirm}
	switch at.Op {
	case change.OpAddEntry:
		to, _ := st.operator.Mesh.Peer(at.Pair)
		err = entry(map[string]any{"present": true, "address": at.Value, "protocol": to.Protocol})
	case change.OpEditEntry:
		field := "protocol"
		if at.Purpose == change.ByAddress {
			field = "address"
		}
		err = entry(map[string]any{field: at.Value})
	case change.OpDeleteEntry:
		err = entry(map[string]any{"present": false})
	case change.OpEnterCredentials:
		err = entry(map[string]any{"password": rotated})
	case change.OpDisableHA, change.OpEnableHA:
		err = st.do(at.Cluster, "ha", map[string]any{"enabled": at.Op == change.OpEnableHA})
	case change.OpPrepare:
		if p.Kind == change.RotateCredentials {
			err = st.do(at.Cluster, "credentials", map[string]any{"account": "intercluster", "password": rotated})
		}
	case change.OpVerifyPair, change.OpVerifyGone:
		if e := st.entry(at.Pair); (e == nil) != (at.Op == change.OpVerifyGone) || e != nil && (e.LastError != "" || e.FirstFull) {
			return false, nil // the page shows it otherwise
		}
	case change.OpAskBell:
		w = change.Word{Verb: change.Answer, Yes: st.bell(at.Pair.From)}
	case change.OpDuplicates:
		return true, st.preflight(ctx)
	case change.OpRestart:
		if kind == change.Manual {
			err = st.do(at.Cluster, "services", map[string]any{"node": at.Node, "service": at.Service, "status": "Restart"})
			break
		}
		w = change.Word{Verb: change.Approve, Saw: map[int]time.Time{at.N: at.ServiceStart}}
	default:
		switch kind {
		case change.Question:
			w = change.Word{Verb: change.Answer}
		case change.Wait, change.Check:
			return false, nil
		}
	}
	if err != nil {
		return true, err
	}
	return true, st.say(ctx, p, at, w)
}

// say says something to a plan's step.
func (st *stage) say(ctx context.Context, p *change.Plan, at *change.Step, w change.Word) error {
	text := fmt.Sprintf("%s %s", w.Verb, p.ID)
	switch w.Verb {
	case change.Approve, change.Confirm, change.Answer, change.Skip:
		w.Steps = []int{at.N}
		text = fmt.Sprintf("%s %d", text, at.N)
	}
	if w.Verb == change.Answer {
		text += map[bool]string{true: " yes", false: " no"}[w.Yes]
	}
	st.tell("  operator: peerkeeper peering %s", text)
	_, err := st.operator.Tell(ctx, p, w)
	return err
}

// do is something done to a cluster of the simulator.
func (st *stage) do(id mesh.ClusterID, verb string, body map[string]any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/clusters/%s/%s", id, verb)
	st.tell("  simulator: %s %s", path, b)
	return st.sim.Do(http.MethodPost, path, b)
}

// bell says whether a cluster's notifications ask for a restart of Cisco XCP Router.
func (st *stage) bell(id mesh.ClusterID) bool {
	c := st.cluster(id)
	return c != nil && c.PendingNotification
}

// entry is what a cluster's page shows of a peer; nil if it has no entry.
func (st *stage) entry(id mesh.PeerID) *clustersim.PeerState {
	c := st.cluster(id.From)
	if c == nil {
		return nil
	}
	for i := range c.Peers {
		if c.Peers[i].ID == string(id.To) {
			return &c.Peers[i]
		}
	}
	return nil
}

func (st *stage) cluster(id mesh.ClusterID) *clustersim.ClusterState {
	all := st.sim.State().Clusters
	for i := range all {
		if all[i].ID == string(id) {
			return &all[i]
		}
	}
	return nil
}
