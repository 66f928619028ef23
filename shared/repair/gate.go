package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// Gate is the GATE item of a mesh: intent, limit, lock and kill switch in one.
type Gate struct {
	// PauseEpoch grows with every pause, resume and maintenance: whoever
	// decided before it grew must look again.
	PauseEpoch int64 `json:"pauseEpoch"`
	// Open are the intents whose outcome is not known yet. One of them never
	// expires into a resend: it is read back, and closed.
	Open []Intent `json:"open,omitempty"`
	// Restarts are those of the last hour, counted when they are meant.
	Restarts []Restart `json:"restarts,omitempty"`
	// Closed are the outcomes of the last day.
	Closed []Closure `json:"closed,omitempty"`
	// Used are the approvals that were spent; each is good for one action.
	Used []Spent `json:"used,omitempty"`
	// Last is the newest entry of the audit: the chain's head. It is written
	// here first, under compare-and-swap, and then as an item of its own.
	Last *Entry `json:"last,omitempty"`
}

// Intent is one action that is meant, written before anything is sent.
type Intent struct {
	Seq      int64         `json:"seq"` // of the audit entry that opened it
	ID       string        `json:"id"`  // of the proposal
	Action   peer.Action   `json:"action"`
	Target   peer.Target   `json:"target"`
	Value    string        `json:"value,omitempty"`
	Peers    []mesh.PeerID `json:"peers,omitempty"`
	Actor    string        `json:"actor"`
	Before   Before        `json:"before"`
	Written  time.Time     `json:"written"`
	Deadline time.Time     `json:"deadline"` // nothing is sent after it
	Sent     string        `json:"sent,omitempty"`
}

// Before is what the target looked like when the intent was written.
type Before struct {
	Status string        `json:"status,omitempty"`
	UpTime time.Duration `json:"upTime,omitempty"`
	Value  string        `json:"value,omitempty"`
}

// Restart is one restart that was meant.
type Restart struct {
	Seq     int64          `json:"seq"`
	Cluster mesh.ClusterID `json:"cluster"`
	At      time.Time      `json:"at"`
}

// Outcome is how an intent ended.
type Outcome string

// The outcomes.
const (
	DoneProven Outcome = "done"    // read back and proven
	NotDone    Outcome = "notDone" // read back: it did not happen
	NotSent    Outcome = "notSent" // the second look made it needless, or the send was refused
	Unproven   Outcome = "unknown" // it can no longer be told
)

// Closure is a closed intent.
type Closure struct {
	Seq      int64       `json:"seq"`
	ID       string      `json:"id"`
	Action   peer.Action `json:"action"`
	Target   peer.Target `json:"target"`
	At       time.Time   `json:"at"`
	Meant    time.Time   `json:"meant"`
	Outcome  Outcome     `json:"outcome"`
	Evidence string      `json:"evidence"`
}

// Spent is a used approval.
type Spent struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

const (
	sendWindow  = time.Minute      // from the intent to its deadline
	proofWindow = 10 * time.Minute // how long a restarted service may take to be up
	keepClosed  = 24 * time.Hour
	keepSpent   = 7 * 24 * time.Hour // longer than any approval lives
	// giveUp is how long an intent that cannot be read back blocks its
	// cluster before it is closed as unknown, in so many words.
	giveUp = 24 * time.Hour
)

// Situation is what the guards judge by, besides the gate itself.
type Situation struct {
	Now      time.Time
	Mesh     *mesh.Mesh
	Said     *record.Said
	Epoch    int64  // the gate's pause epoch when Said was read
	Newest   string // configuration hash of the newest run
	Failing  []Failing
	Unseen   int // clusters that do not answer Peerkeeper
	Overlays map[mesh.PeerID][]peer.Overlay
	// Facts says why the facts behind the proposal may not be acted on; ""
	// when they are known and fresh.
	Facts string
	// Service is the target as it looked just now.
	Service peer.Service
}

// Failing is a peer that is not well, with the root cause it is put down to.
type Failing struct {
	Peer mesh.PeerID
	Root peer.Root
}

// Refusal says which guard stopped an action, and why.
type Refusal struct {
	Guard string `json:"guard"`
	Why   string `json:"why"`
}

func (r *Refusal) Error() string { return r.Guard + ": " + r.Why }

// guard is one reason not to act. A guard that has none returns "".
type guard struct {
	name string
	why  func(g *Gate, p peer.Proposal, s Situation) string
}

// guards are all of them. Each is tested as the only thing that stops an
// action; the same action passes without it.
func guards() []guard {
	return []guard{
		{"mode", func(_ *Gate, _ peer.Proposal, s Situation) string {
			if s.Mesh.Policy.Mode != mesh.Recover {
				return "policy.mode is observe: nothing is changed, approved or not"
			}
			return ""
		}},
		{"configuration", func(_ *Gate, _ peer.Proposal, s Situation) string {
			if h := s.Mesh.Hash(); s.Newest != h {
				return fmt.Sprintf("this run's configuration (%s) is not that of the newest run (%s)", h, s.Newest)
			}
			return ""
		}},
		{"facts", func(_ *Gate, _ peer.Proposal, s Situation) string { return s.Facts }},
		{"said", func(_ *Gate, p peer.Proposal, s Situation) string {
			if s.Said.Newer {
				return "a newer version of Peerkeeper wrote down what people said"
			}
			if w, what, ok := s.Said.Stops(p.Target.Cluster, p.Peers, s.Now); ok {
				return fmt.Sprintf("%s is %s by %s: %s", w.Scope, what, w.Actor, w.Reason)
			}
			return ""
		}},
		{"epoch", func(g *Gate, _ peer.Proposal, s Situation) string {
			if g.PauseEpoch != s.Epoch {
				return "somebody paused or resumed since this was decided"
			}
			return ""
		}},
		{"overlay", func(_ *Gate, p peer.Proposal, s Situation) string {
			for _, id := range p.Peers {
				for _, o := range s.Overlays[id] {
					switch o {
					case peer.Upgrading, peer.Rewound, peer.Flapping:
						return fmt.Sprintf("%s is %s", id, o)
					}
				}
			}
			return ""
		}},
		{"window", func(_ *Gate, _ peer.Proposal, s Situation) string {
			if ok, why := s.Mesh.Policy.Allowed(s.Now); !ok {
				return why
			}
			return ""
		}},
		{"open", func(g *Gate, p peer.Proposal, _ Situation) string {
			for _, o := range g.Open {
				if o.Target.Cluster == p.Target.Cluster {
					return fmt.Sprintf("intent %d (%s %s) on %s is still open", o.Seq, o.Action, o.Target, o.Target.Cluster)
				}
			}
			return ""
		}},
		{"clusterLimit", func(g *Gate, p peer.Proposal, s Situation) string {
			if p.Action != peer.RestartService {
				return ""
			}
			limit := s.Mesh.Policy.Limits.RestartsPerClusterPerHour
			if n := restarts(g, s.Now, p.Target.Cluster); n >= limit {
				return fmt.Sprintf("%d restarts in %s within the hour, the limit is %d", n, p.Target.Cluster, limit)
			}
			return ""
		}},
		{"meshLimit", func(g *Gate, p peer.Proposal, s Situation) string {
			if p.Action != peer.RestartService {
				return ""
			}
			limit := s.Mesh.Policy.Limits.RestartsPerMeshPerHour
			if n := restarts(g, s.Now, ""); n >= limit {
				return fmt.Sprintf("%d restarts in the mesh within the hour, the limit is %d", n, limit)
			}
			return ""
		}},
		{"mass", func(_ *Gate, _ peer.Proposal, s Situation) string { return massStop(s) }},
		{"age", func(_ *Gate, p peer.Proposal, s Situation) string {
			if p.Action == peer.RestartService && (s.Service.UpTime < 0 || s.Service.UpTime < p.MinAge) {
				return fmt.Sprintf("%s has run for %v, less than %v: it was restarted, by whomever", p.Target, s.Service.UpTime.Round(time.Minute), p.MinAge)
			}
			return ""
		}},
		{"needed", func(_ *Gate, p peer.Proposal, s Situation) string { return needless(p, s.Service) }},
		{"approval", func(g *Gate, p peer.Proposal, s Situation) string {
			if p.Approval == "" {
				return ""
			}
			a, ok := s.Said.Approvals[p.ID]
			switch {
			case !ok || a.ID != p.ID:
				return fmt.Sprintf("it needs a person: %s (`peerkeeper approve %s`)", p.Approval, p.ID)
			case !s.Now.Before(a.Expires):
				return fmt.Sprintf("the approval of %s expired at %s", a.Actor, a.Expires.UTC().Format(time.RFC3339))
			case slices.ContainsFunc(g.Used, func(u Spent) bool { return u.ID == p.ID }):
				return "its approval was used"
			}
			return ""
		}},
	}
}

// needless says why the target does not want the action any more.
func needless(p peer.Proposal, now peer.Service) string {
	switch {
	case p.Action == peer.StartService && now.Status != "Stopped":
		return fmt.Sprintf("%s is %s", p.Target, now.Status)
	case p.Action == peer.RestartService && now.Status != "Started":
		return fmt.Sprintf("%s is %s, which a restart may not be proven from", p.Target, now.Status)
	}
	return ""
}

func restarts(g *Gate, now time.Time, id mesh.ClusterID) int {
	n := 0
	for _, r := range g.Restarts {
		if now.Sub(r.At) < time.Hour && (id == "" || r.Cluster == id) {
			n++
		}
	}
	return n
}

// massStop says why nothing at all may be done: too much is wrong at once for
// one agent to be at fault. Independent root causes over at least 3 clusters
// and more than 30 % of them stop everything; so does every cluster of a mesh
// of two failing by a cause of its own, where the network is nearer; and so
// does a network of ours that hides half of the mesh from us.
func massStop(s Situation) string {
	roots, touched := map[peer.Root]bool{}, map[mesh.ClusterID]bool{}
	for _, f := range s.Failing {
		roots[f.Root], touched[f.Root.Cluster] = true, true
	}
	n, all := len(touched), len(s.Mesh.Clusters)
	switch {
	case s.Unseen >= 2 && 2*s.Unseen >= all, s.Unseen > 0 && s.Unseen == all:
		return fmt.Sprintf("%d of %d clusters do not answer Peerkeeper: its own network is the suspect", s.Unseen, all)
	case len(roots) < 2:
		return ""
	case n >= 3 && 10*n > 3*all:
		return fmt.Sprintf("%d independent causes in %d of %d clusters at once: more likely the network between them, or Peerkeeper itself", len(roots), n, all)
	case all == 2 && n == 2:
		return fmt.Sprintf("both clusters fail at once by %d causes: more likely the network between them", len(roots))
	}
	return ""
}

// Refusals judges a proposal by every guard.
func Refusals(g *Gate, p peer.Proposal, s Situation) []Refusal {
	var out []Refusal
	for _, gd := range guards() {
		if why := gd.why(g, p, s); why != "" {
			out = append(out, Refusal{gd.name, why})
		}
	}
	return out
}

// Load reads the gate, consistently. ErrNewerSchema if a newer version wrote it.
func Load(ctx context.Context, s store.Store, meshName string) (Gate, error) {
	it, err := s.Get(ctx, store.Gate(meshName))
	if errors.Is(err, store.ErrNotFound) {
		return Gate{}, nil
	}
	if err != nil {
		return Gate{}, fmt.Errorf("reading the gate of mesh %s: %w", meshName, err)
	}
	d, err := store.Decode[Gate](it, GateSchema)
	if err == nil && d.Newer {
		err = fmt.Errorf("the gate of mesh %s: %w", meshName, store.ErrNewerSchema)
	}
	return d.Value, err
}

// forget drops what is too old to count.
func (g *Gate) forget(now time.Time) {
	g.Restarts = slices.DeleteFunc(g.Restarts, func(r Restart) bool { return now.Sub(r.At) >= time.Hour })
	g.Closed = slices.DeleteFunc(g.Closed, func(c Closure) bool { return now.Sub(c.At) >= keepClosed })
	g.Used = slices.DeleteFunc(g.Used, func(u Spent) bool { return now.Sub(u.At) >= keepSpent })
}

// Done lists the gate's closures as the ladder wants them. An intent whose
// outcome cannot be told counts as done: nothing is tried on top of it.
func (g *Gate) Done() []peer.Done {
	var out []peer.Done
	for _, c := range g.Closed {
		if c.Outcome == DoneProven || c.Outcome == Unproven {
			out = append(out, peer.Done{Target: c.Target, Action: c.Action, At: c.Meant, Proven: c.Outcome == DoneProven})
		}
	}
	return out
}
