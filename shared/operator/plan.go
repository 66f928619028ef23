package operator

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// Planned is what `plan` shows of one action.
type Planned struct {
	ID      string         `json:"id"`
	Kind    peer.Action    `json:"kind"`
	Target  string         `json:"target"`
	Cluster mesh.ClusterID `json:"cluster"`
	Peers   []mesh.PeerID  `json:"peers"`
	Why     string         `json:"why"`
	// Source is of an import: which certificate, and of which node.
	Source   *peer.CertSource `json:"source,omitempty"`
	Approval string           `json:"approval"` // why a person is needed; "" if none is
	// Interrupts is what it costs, Collect what to gather before.
	Interrupts string           `json:"interrupts"`
	Collect    []string         `json:"collect,omitempty"`
	Refused    []record.Refusal `json:"refused,omitempty"` // what stopped it at the last look
	First      time.Time        `json:"first"`
	Ended      time.Time        `json:"ended,omitzero"`
	Outcome    string           `json:"outcome,omitempty"`

	proposal peer.Proposal
}

// Plan lists the actions that are asked for now.
func (o *Operator) Plan(ctx context.Context) ([]Planned, error) {
	return o.planned(ctx, func(p record.Proposed) bool { return p.Ended.IsZero() })
}

// WouldHave lists the actions of the time past that recover would have taken but
// for its mode.
func (o *Operator) WouldHave(ctx context.Context, past time.Duration) ([]Planned, error) {
	now := o.Now()
	return o.planned(ctx, func(p record.Proposed) bool {
		return (p.Ended.IsZero() || now.Sub(p.Ended) <= past) && onlyMode(p.Refused)
	})
}

// planned lists actions in the order in which they were first asked for.
func (o *Operator) planned(ctx context.Context, wanted func(record.Proposed) bool) ([]Planned, error) {
	snapshot, err := record.Load(ctx, o.Store, o.Mesh)
	if err != nil {
		return nil, err
	}
	out := []Planned{}
	for id, d := range snapshot.Proposals {
		v, p := d.Value, d.Value.Proposal
		if !wanted(v) {
			continue
		}
		out = append(out, Planned{
			ID: id, Kind: p.Action, Target: p.Target.String(), Cluster: p.Target.Cluster, Peers: p.Peers, Why: p.Why, Source: p.Source, Approval: p.Approval,
			Interrupts: p.Interrupts, Collect: p.Collect, Refused: v.Refused, First: v.First, Ended: v.Ended, Outcome: v.Outcome, proposal: p,
		})
	}
	slices.SortFunc(out, func(a, b Planned) int {
		return cmp.Or(a.First.Compare(b.First), strings.Compare(a.ID, b.ID))
	})
	return out, nil
}

// onlyMode reports whether nothing but the mode, or an approval that would
// have been asked for, stood in the way.
func onlyMode(refused []record.Refusal) bool {
	return !slices.ContainsFunc(refused, func(r record.Refusal) bool { return r.Guard != repair.GuardMode && r.Guard != repair.GuardApproval })
}
