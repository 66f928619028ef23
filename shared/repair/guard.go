package repair

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// Situation is what the guards judge by, besides the gate itself.
type Situation struct {
	Now       time.Time
	Mesh      *mesh.Mesh
	Overrides *record.Overrides
	Epoch     int64  // the gate's pause epoch before Overrides were read
	Newest    string // configuration hash of the newest run
	Lease     string // why the run's lease is not ours any more; "" if it is
	Privilege Privilege
	// Announced is when the proposal was first recorded, and with it the notice
	// that says what will be done and what to collect before; zero = never.
	Announced time.Time
	Failing   []Failing
	Unseen    int // clusters that do not answer Peerkeeper
	// UsersFell says that the cluster's users fell, which nobody has acknowledged;
	// "" if not.
	UsersFell string

	// Peers are those for which the action is asked.
	Peers map[mesh.PeerID]Peer
	// Proposed is all that is known now leads to on the target's cluster, which
	// holds the action itself if it is still asked for.
	Proposed []peer.Proposal
	// ClusterUnknown says why what is recorded of the target's cluster is no ground
	// to act on; "" if it is one.
	ClusterUnknown string
	// Service is the target as it looked just now, with "Unknown" for its status
	// and the reason in ServiceUnknown where it is no service that was read.
	Service        peer.Service
	ServiceUnknown string
	// Present says that the store holds already what would be imported.
	Present bool
}

// Peer is what is known of one peer, now.
type Peer struct {
	Conditions []peer.Condition
	Overlays   []peer.Overlay
	Sync       peer.SyncRecord
}

// Failing is a peer that is not well, with the root cause it is put down to.
type Failing struct {
	Peer mesh.PeerID
	Root peer.Root
}

// Privilege is the right to do what no repair may: to restart Cisco XCP Router,
// SIP Proxy or Server Recovery Manager, which signs users out, and to set
// parameters. The function that carries out plans which people approved has it from main,
// and nobody else can make one: the zero value gives nothing.
type Privilege struct{ granted bool }

// GrantPrivilege makes a Privilege. Only main does.
func GrantPrivilege() Privilege { return Privilege{granted: true} }

// guard is one reason not to act.
type guard struct {
	name string
	// sentence says when it stops an action. It is what people read where the
	// refusal says no more.
	sentence string
	stops    func(g *Gate, p peer.Proposal, s Situation) *record.Refusal // nil: it does not
}

// stop is a refusal for a reason that stays the same while it lasts.
func stop(format string, args ...any) *record.Refusal {
	return &record.Refusal{Why: fmt.Sprintf(format, args...)}
}

// stopIf is a refusal whose details move with the clock, and are left out.
func stopIf(stopped bool) *record.Refusal {
	if stopped {
		return &record.Refusal{}
	}
	return nil
}

// stopFor is a refusal if there is a reason.
func stopFor(why string) *record.Refusal {
	if why == "" {
		return nil
	}
	return &record.Refusal{Why: why}
}

// The guards that others ask about by name. The mode and the approval are what
// people decide; that it was announced is a matter of one run.
const (
	GuardMode      = "mode"
	GuardAnnounced = "announced"
	GuardApproval  = "approval"
)

// guards are all that a kind of action must pass. Each is tested as the only
// thing that stops an action; the same action passes without it.
func guards(k kind) []guard {
	return append([]guard{
		{GuardMode, "policy.mode is observe, approved or not", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			if s.Mesh.Policy.Mode != mesh.Recover {
				return stop("policy.mode is observe: nothing is changed, approved or not")
			}
			return nil
		}},
		{"service", "it is not ICSA, Sync Agent (start only), AXL or tomcat-trust (import only), and no approved peering change asks for it", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if !s.Privilege.granted && !slices.Contains(k.on, p.Target.Service) {
				return stop("to %s %s signs users out; only an approved peering change may do it", p.Action, p.Target)
			}
			return nil
		}},
		{"lease", "another run took over", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal { return stopFor(s.Lease) }},
		{"configuration", "the newest run of another function has another configuration", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			if h := s.Mesh.Hash(); s.Newest != h {
				return stop("this run's configuration (%s) is not that of the newest run (%s)", h, s.Newest)
			}
			return nil
		}},
		{"facts", "what it rests on is Partial, Unknown, stale, or not so any more", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if s.ClusterUnknown == "" && k.facts != nil {
				return stopFor(k.facts(p, s))
			}
			return stopFor(s.ClusterUnknown)
		}},
		{GuardAnnounced, "no notice of it was sent before this run; the next run acts", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			ago := s.Now.Sub(s.Announced)
			return stopIf(s.Announced.IsZero() || ago < notice && ago > -ahead)
		}},
		{"override", "it is paused or in maintenance", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if s.Overrides == nil {
				return stop("what people decided has not been read")
			}
			if s.Overrides.Newer {
				return stop("a newer version of Peerkeeper wrote down what people decided")
			}
			var touched []mesh.PeerID // besides those that ask for it
			if k.interrupts {
				touched = s.Mesh.PeersOf(p.Target.Cluster)
			}
			if w, what, ok := s.Overrides.Stops(p.Target.Cluster, p.Peers, touched, s.Now); ok {
				return stop("%s is %s by %s: %s", w.Scope, what, w.Actor, w.Reason)
			}
			return nil
		}},
		{"epoch", "somebody paused or resumed, or began or ended maintenance, since it was decided", func(g *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			if g.PauseEpoch != s.Epoch {
				return stop("somebody paused or resumed since this was decided")
			}
			return nil
		}},
		{"overlay", "a peer concerned is Upgrading, Rewound or Flapping", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			for _, id := range p.Peers {
				for _, o := range s.Peers[id].Overlays {
					switch o {
					case peer.Upgrading, peer.Rewound, peer.Flapping:
						return stop("%s is %s", id, o)
					}
				}
			}
			return nil
		}},
		{"usersFell", "the cluster's own users fell by more than half within a day, and nobody has acknowledged it (UsersFell)", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if s.UsersFell != "" {
				return stop("the users of %s fell %s: nothing is done there until somebody acknowledges it (`peerkeeper ack`), or they are back", p.Target.Cluster, s.UsersFell)
			}
			return nil
		}},
		{"window", "a deny window, or outside every allow window", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			if ok, why := s.Mesh.Policy.Allowed(s.Now); !ok {
				return stopFor(why)
			}
			return nil
		}},
		{"open", "an intent is open on that cluster", func(g *Gate, p peer.Proposal, _ Situation) *record.Refusal {
			for _, o := range g.Open {
				if o.Target.Cluster == p.Target.Cluster {
					return stop("intent %d (%s %s) on %s is still open", o.Seq, o.Action, o.Target, o.Target.Cluster)
				}
			}
			return nil
		}},
		{"dayLimit", "it was done 3 times within a day", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if n := today(g, s.Now, p); n >= peer.MaxActionsPerDay {
				return stop("%s %s was done or tried %d times in 24 h without lasting effect; manual investigation needed", p.Action, p.Target, n)
			}
			return nil
		}},
		{"again", "the same action ended less than 30 min ago", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
			return stopIf(slices.ContainsFunc(g.Closed, func(c Closure) bool {
				return c.Target == p.Target && c.Action == p.Action && g.counts(mark("closed", c.Seq), c.At, s.Now, again)
			}))
		}},
		{"mass", "independent causes in at least 3 clusters and over 30 % of them; both of two clusters; half of the mesh out of sight (for an approved import, certificates do not count as causes; for an approved start, stopped services do not)", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			failing := s.Failing
			if p.Approval != "" && k.mends != "" {
				failing = slices.DeleteFunc(slices.Clone(failing), func(f Failing) bool { return f.Root.Of(k.mends) })
			}
			return stopFor(massStop(len(s.Mesh.Clusters), s.Unseen, failing))
		}},
		{"needed", "it is not stopped, or not started, any more; the certificate is there already", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if k.needless == nil {
				return nil
			}
			return stopFor(k.needless(p, s))
		}},
		{GuardApproval, "it is missing, for another action, expired, used, dated ahead of the gate by more than 5 min, or the service has been restarted since", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if p.Approval == "" || s.Overrides == nil {
				return nil
			}
			a, ok := s.Overrides.Approvals[p.ID]
			switch {
			case !ok || a.ID != p.ID:
				return stop("approval required: %s (`peerkeeper approve %s`)", p.Approval, p.ID)
			case !s.Now.Before(a.Expires):
				return stop("the approval of %s expired at %s", a.Actor, plain.Time(a.Expires))
			case a.At.Sub(s.Now) > skew:
				// Nobody knows how long it would still live.
				return stop("%s approved at %s, which is yet to come: set the clock right, and approve again", a.Actor, a.At.UTC().Format(time.RFC3339))
			case slices.ContainsFunc(g.Used, func(u Spent) bool { return u.ID == a.ID && u.Approved.Equal(a.At) }):
				return stop("its approval was used")
			case k.outdated != nil:
				return stopFor(k.outdated(a, p, s))
			}
			return nil
		}},
	}, k.guards...)
}

// massStop says why nothing at all may be done: too much is wrong at once for
// one agent to be at fault. Independent root causes over at least 3 clusters
// and more than 30 % of them stop everything; so does every cluster of a mesh
// of two failing by a cause of its own, where the network is nearer; and so
// does a network of ours that hides half of the mesh from us.
func massStop(all, unseen int, failing []Failing) string {
	roots, touched := map[peer.Root]bool{}, map[mesh.ClusterID]bool{}
	for _, f := range failing {
		roots[f.Root], touched[f.Root.Cluster] = true, true
	}
	n := len(touched)
	switch {
	case unseen >= 2 && 2*unseen >= all, unseen > 0 && unseen == all:
		return fmt.Sprintf("%d of %d clusters do not answer Peerkeeper: its own network is the suspect", unseen, all)
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
func Refusals(g *Gate, p peer.Proposal, s Situation) []record.Refusal {
	return judge(guards(kindOf(p.Action)), g, p, s)
}

func judge(by []guard, g *Gate, p peer.Proposal, s Situation) []record.Refusal {
	var out []record.Refusal
	for _, gd := range by {
		if r := gd.stops(g, p, s); r != nil {
			out = append(out, record.Refusal{Guard: gd.name, Why: r.Why})
		}
	}
	return out
}

// Explain puts a refusal into words: what was found, and by which guard.
func Explain(r record.Refusal) string {
	if r.Why != "" {
		return fmt.Sprintf("%s (%s)", r.Why, r.Guard)
	}
	for _, k := range kinds() {
		for _, gd := range guards(k) {
			if gd.name == r.Guard {
				return fmt.Sprintf("%s (%s)", gd.sentence, gd.name)
			}
		}
	}
	return r.Guard // of a newer version
}
