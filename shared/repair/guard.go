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

	// Consent is who approved a planned step; zero: nobody did.
	Consent Consent
	// Readiness is what the target's cluster told of itself just now, for a restart
	// that signs people out.
	Readiness peer.Readiness
	// Value is what the parameter reads just now, and Matches how many have its name.
	Value   string
	Matches int
	// read says that the target was read for this very judgement. Before that
	// nothing is known of a planned step's target, and a judgement only tells
	// whether to read it.
	read bool
}

// Consent is a person's word for one action: for a planned step, and no other, of
// one plan, on the target as the person saw it.
type Consent struct {
	Actor  string
	At     time.Time
	Plan   string
	Step   int
	Target peer.Target
	// Started is when the service had begun that the person saw; zero if that was
	// not read.
	Started time.Time
}

// Peer is what is known of one peer, now.
type Peer struct {
	Conditions []peer.Condition
	Overlays   []peer.Overlay
	// Changing is the plan that changes it; "" if none does.
	Changing string
	Sync     peer.SyncRecord
}

// Failing is a peer that is not well, with the root cause it is put down to.
type Failing struct {
	Peer mesh.PeerID
	Root peer.Root
}

// Privilege is the right to carry out plans: to restart Cisco XCP Router, SIP Proxy
// or Server Recovery Manager, which signs users out, to set parameters and to
// activate services. The function that carries out plans which people approved has
// it from main, and nobody else can make one: the zero value gives nothing.
type Privilege struct{ granted bool }

// GrantPrivilege makes a Privilege. Only main does.
func GrantPrivilege() Privilege { return Privilege{granted: true} }

// guard is one reason not to act.
type guard struct {
	of   domain
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
	GuardService   = "service"
	GuardNeeded    = "needed"
	GuardReady     = "ready"
)

// domain is which actions a guard judges.
type domain int

// The domains. What limits an automaton (facts, and counts by the hour and the day)
// does not judge a step that a person approved: its own conditions, read just
// before it is sent, stand in for them.
const (
	repairs domain = 1 << iota
	plans
	both = repairs | plans
)

// guards are all that a kind of action must pass as a repair, or as a step of a
// plan. Each is tested as the only thing that stops an action; the same action
// passes without it.
func guards(k kind, of domain) []guard {
	return slices.DeleteFunc(append([]guard{
		{both, GuardMode, "policy.mode is observe, approved or not", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			if s.Mesh.Policy.Mode != mesh.Recover {
				return stop("policy.mode is observe: nothing is changed, approved or not")
			}
			return nil
		}},
		{repairs, GuardService, "it is not ICSA, Sync Agent (start only), AXL or tomcat-trust (import only)", func(_ *Gate, p peer.Proposal, _ Situation) *record.Refusal {
			if !slices.Contains(k.on, p.Target.Service) {
				return stop("to %s %s is no repair; only a plan that people approved may do it", p.Action, p.Target)
			}
			return nil
		}},
		{plans, GuardService, "no plan does this to it, or main has not let the function carry out plans", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			switch {
			case !s.Privilege.granted:
				return stop("the function that runs may not carry out plans, and so not %s", p.Planned)
			case !slices.Contains(k.inPlans, p.Target.Service):
				return stop("no plan may %s %s", p.Action, p.Target)
			}
			return nil
		}},
		{both, "lease", "another run took over", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal { return stopFor(s.Lease) }},
		{both, "configuration", "the newest run of another function has another configuration", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			if h := s.Mesh.Hash(); s.Newest != h {
				return stop("this run's configuration (%s) is not that of the newest run (%s)", h, s.Newest)
			}
			return nil
		}},
		{repairs, "facts", "what it rests on is Partial, Unknown, stale, or not so any more", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if s.ClusterUnknown == "" && k.facts != nil {
				return stopFor(k.facts(p, s))
			}
			return stopFor(s.ClusterUnknown)
		}},
		{both, GuardAnnounced, "no notice of it was sent before this run; the next run acts", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			ago := s.Now.Sub(s.Announced)
			return stopIf(s.Announced.IsZero() || ago < notice && ago > -ahead)
		}},
		{both, "override", "it is paused or in maintenance", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
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
		{both, "epoch", "somebody paused or resumed, began or ended maintenance, or stopped a plan, since it was decided", func(g *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			if g.PauseEpoch != s.Epoch {
				return stop("somebody paused or resumed, or stopped a plan, since this was decided")
			}
			return nil
		}},
		{both, "overlay", "a peer concerned is Upgrading, Rewound or Flapping, or a plan (a planned step: another plan) changes it", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			for _, id := range p.Peers {
				if plan := s.Peers[id].Changing; plan != "" && plan != p.Planned.Plan {
					return stop("plan %s changes %s (`peerkeeper peering show %s`)", plan, id, plan)
				}
				for _, o := range s.Peers[id].Overlays {
					switch o {
					case peer.Upgrading, peer.Rewound, peer.Flapping:
						return stop("%s is %s", id, o)
					}
				}
			}
			return nil
		}},
		{both, "usersFell", "the cluster's own users fell by more than half within a day, and nobody has acknowledged it (UsersFell)", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if s.UsersFell != "" {
				return stop("the users of %s fell %s: nothing is done there until somebody acknowledges it (`peerkeeper ack`), or they are back", p.Target.Cluster, s.UsersFell)
			}
			return nil
		}},
		{both, "window", "a deny window, or outside every allow window", func(_ *Gate, _ peer.Proposal, s Situation) *record.Refusal {
			if ok, why := s.Mesh.Policy.Allowed(s.Now); !ok {
				return stopFor(why)
			}
			return nil
		}},
		{both, "open", "an intent is open on that cluster", func(g *Gate, p peer.Proposal, _ Situation) *record.Refusal {
			for _, o := range g.Open {
				if o.Target.Cluster == p.Target.Cluster {
					return stop("intent %d (%s %s) on %s is still open", o.Seq, o.Action, o.Target, o.Target.Cluster)
				}
			}
			return nil
		}},
		{both, "locked", "a step of a plan is under way on that cluster; a planned step needs that lock for itself", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
			switch l, ok := g.LockOn(p.Target.Cluster, s.Now); {
			case ok && l.PlannedStep != p.Planned:
				return stop("plan %s is under way on %s (`peerkeeper peering show %s`)", l.PlannedStep, p.Target.Cluster, l.Plan)
			case !ok && !p.Planned.IsZero():
				return stop("plan %s has not locked %s", p.Planned, p.Target.Cluster)
			}
			return nil
		}},
		{repairs, "dayLimit", "it was done 3 times within a day", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if n := today(g, s.Now, p); n >= peer.MaxActionsPerDay {
				return stop("%s %s was done or tried %d times in 24 h without lasting effect; manual investigation needed", p.Action, p.Target, n)
			}
			return nil
		}},
		{repairs, "again", "the same action ended less than 30 min ago", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
			return stopIf(slices.ContainsFunc(g.Closed, func(c Closure) bool {
				return c.Target == p.Target && c.Action == p.Action && g.counts(mark("closed", c.Seq), c.At, s.Now, again)
			}))
		}},
		{repairs, "mass", "independent causes in at least 3 clusters and over 30 % of them; both of two clusters; half of the mesh out of sight (for an approved import, certificates do not count as causes; for an approved start, stopped services do not)", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			failing := s.Failing
			if p.Approval != "" && k.mends != "" {
				failing = slices.DeleteFunc(slices.Clone(failing), func(f Failing) bool { return f.Root.Of(k.mends) })
			}
			return stopFor(massStop(len(s.Mesh.Clusters), s.Unseen, failing))
		}},
		{both, GuardNeeded, "it is not stopped, or not started, any more; what it would bring is there already", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if k.needless == nil || !p.Planned.IsZero() && !s.read {
				return nil
			}
			return stopFor(k.needless(p, s))
		}},
		{plans, GuardReady, "the step's own conditions, read just before it is sent, do not hold: of a restart that signs users out, replication, high availability and SRMState; of any restart, an up-time to verify it by; of a parameter, that exactly one has the name", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
			if k.ready == nil || !s.read {
				return nil
			}
			return stopFor(k.ready(p, s))
		}},
		{repairs, GuardApproval, "it is missing, for another action, expired, used, dated ahead of the gate by more than 5 min, or the service has been restarted since", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
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
				return stopFor(k.outdated(consentTo(p, s), p, s))
			}
			return nil
		}},
		{plans, GuardApproval, "it restarts a service, or asks for approval, and nobody approved this very step of this plan, on this target; the approval was used, or is dated ahead of the gate by more than 5 min; the service has been restarted since it was seen", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
			c := consentTo(p, s)
			switch {
			case c.Actor == "" && p.Approval == "" && !k.interrupts:
				return nil
			case c.Actor == "":
				return stop("approval required (`peerkeeper peering approve %s --step %d`)", p.Planned.Plan, p.Planned.Step)
			case c.Plan != p.Planned.Plan || c.Step != p.Planned.Step || c.Target != p.Target:
				return stop("%s approved step %d of plan %s on %s, which is not this step", c.Actor, c.Step, c.Plan, c.Target)
			case c.At.Sub(s.Now) > skew:
				return stop("%s approved at %s, which is yet to come: set the clock right, and approve again", c.Actor, c.At.UTC().Format(time.RFC3339))
			case slices.ContainsFunc(g.Used, func(u Spent) bool { return u.ID == spentAs(p) && u.Approved.Equal(c.At) }):
				return stop("the approval of %s was used; `peerkeeper peering approve %s --step %d` gives another", c.Actor, p.Planned.Plan, p.Planned.Step)
			case k.outdated != nil && s.read:
				return stopFor(k.outdated(c, p, s))
			}
			return nil
		}},
	}, k.guards...), func(g guard) bool { return g.of&of == 0 })
}

// consentTo is a person's word for an action: for a repair that needs one, what
// people approved by its id, for a planned step what the plan brings. Neither
// serves for the other. It is zero where nobody was asked, or has answered.
func consentTo(p peer.Proposal, s Situation) Consent {
	switch {
	case !p.Planned.IsZero():
		return s.Consent
	case p.Approval == "" || s.Overrides == nil:
		return Consent{}
	}
	a := s.Overrides.Approvals[p.ID]
	return Consent{Actor: a.Actor, At: a.At, Target: p.Target}
}

// spentAs is what the approval of an action is remembered by once it is used.
func spentAs(p peer.Proposal) string {
	if !p.Planned.IsZero() {
		return p.Planned.String()
	}
	return p.ID
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

// Refusals judges a proposal by every guard of what it is, a repair or a step of a
// plan. Of a step's target nothing is judged before Do has read it.
func Refusals(g *Gate, p peer.Proposal, s Situation) []record.Refusal {
	return judge(guardsOf(p), g, p, s)
}

func guardsOf(p peer.Proposal) []guard {
	if !p.Planned.IsZero() {
		return guards(kindOf(p.Action), plans)
	}
	return guards(kindOf(p.Action), repairs)
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
		for _, gd := range guards(k, both) {
			if gd.name == r.Guard {
				return fmt.Sprintf("%s (%s)", gd.sentence, gd.name)
			}
		}
	}
	return r.Guard // of a newer version
}
