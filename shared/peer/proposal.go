package peer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// Action is something that may be done to a cluster.
type Action string

// The actions.
const (
	StartService   Action = "start"
	RestartService Action = "restart"
	SetParameter   Action = "setParameter"
	// ImportCertificate puts a certificate into a trust store.
	ImportCertificate Action = "importCertificate"
	// ActivateService activates a feature service that is not activated on a node.
	ActivateService Action = "activateService"
)

// Target is what an action is done to. Actions are keyed by target, not by
// peer: one restart touches every peer of the agent.
type Target struct {
	Cluster mesh.ClusterID `json:"cluster"`
	Node    mesh.NodeName  `json:"node"`
	Service string         `json:"service"` // or the trust store
	// Parameter is what of it: a service parameter, or a certificate by its
	// service and node.
	Parameter string `json:"parameter,omitempty"`
}

// String writes the target as a person would say it.
func (t Target) String() string {
	s := fmt.Sprintf("%s on %s", t.Service, t.Node)
	switch {
	case t.Service == TomcatTrust:
		s = t.Parameter + " in " + s
	case t.Parameter != "":
		s = t.Parameter + " of " + s
	}
	return s
}

// Proposal is an action that the judgement asks for. Whether it is taken is
// the gate's business.
type Proposal struct {
	// ID names this very action for this very incident: an approval is bound
	// to it and to nothing else.
	ID     string      `json:"id"`
	Action Action      `json:"action"`
	Target Target      `json:"target"`
	Value  string      `json:"value,omitempty"`  // of SetParameter; the fingerprint of ImportCertificate
	Source *CertSource `json:"source,omitempty"` // of ImportCertificate
	// Reload is a restart of ICSA that is asked for because its trust store has
	// changed, and not because it is stuck.
	Reload bool          `json:"reload,omitempty"`
	Peers  []mesh.PeerID `json:"peers"` // whose state asks for it
	Since  time.Time     `json:"since"` // of the incident
	Why    string        `json:"why"`
	// Approval says why a person must agree first; "" means nobody need.
	Approval string `json:"approval,omitempty"`
	// Interrupts is what users and syncs lose while it is done.
	Interrupts string `json:"interrupts"`
	// Collect is what to gather before, for a TAC case.
	Collect []string `json:"collect,omitempty"`
	// MinAge is how long the service must have run: younger, somebody
	// restarted it already.
	MinAge time.Duration `json:"minAge,omitempty"`
	// Stop is what the stop is put down to that a start undoes, and Code the reason
	// code that it was read with.
	Stop StopCause `json:"stop,omitempty"`
	Code int       `json:"code,omitempty"`
	// Planned is the step of a plan that asks for it; zero for a repair.
	Planned PlannedStep `json:"planned,omitzero"`
}

// PlannedStep is one step of one plan.
type PlannedStep struct {
	Plan string `json:"plan"`
	Step int    `json:"step"` // from 1
}

// IsZero reports whether it is no step of any plan.
func (s PlannedStep) IsZero() bool { return s == PlannedStep{} }

// String is how people name it, as in "c4f2 step 3".
func (s PlannedStep) String() string { return fmt.Sprintf("%s step %d", s.Plan, s.Step) }

func proposalID(a Action, t Target, value string, since time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%s|%s|%s|%d", a, t.Cluster, t.Node, t.Service, t.Parameter, value, since.Unix()))
	return hex.EncodeToString(sum[:5])
}

// MaxActionsPerDay is how often Peerkeeper starts, or restarts, one service in a day.
// What does not last by then is a person's business.
const MaxActionsPerDay = 3

// Evidence is what TAC asks for, to be gathered on the node's CLI before
// anything is restarted.
func Evidence(node mesh.NodeName) []string {
	return []string{
		"on the CLI of " + string(node) + ": file build log cisco_inter_cluster_sync_agent 1",
		"file build log inter_cluster 1",
		"utils service list",
		"utils imdb_replication status",
		"show cert list trust",
	}
}

// Merge joins the proposals of one target and action: a restart asked for by
// two peers is one restart. It needs approval only if all who ask for it say so.
func Merge(proposals []Proposal) []Proposal {
	var out []Proposal
	for _, p := range proposals {
		i := slices.IndexFunc(out, func(o Proposal) bool {
			return o.Target == p.Target && o.Action == p.Action && o.Value == p.Value
		})
		if i < 0 {
			p.Peers = slices.Clone(p.Peers)
			out = append(out, p)
			continue
		}
		o := &out[i]
		for _, id := range p.Peers {
			if !slices.Contains(o.Peers, id) {
				o.Peers = append(o.Peers, id)
			}
		}
		if p.Since.Before(o.Since) {
			o.Since, o.ID = p.Since, p.ID
		}
		if p.Approval == "" {
			o.Approval = ""
		}
		o.MinAge = max(o.MinAge, p.MinAge)
		if p.Why != o.Why {
			o.Why += "; " + p.Why
		}
	}
	for i := range out {
		slices.SortFunc(out[i].Peers, func(a, b mesh.PeerID) int { return strings.Compare(a.String(), b.String()) })
	}
	return out
}
