package repair

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
)

// Situation is what the guards judge by, besides the gate itself.
type Situation struct {
	Now       time.Time
	Mesh      *mesh.Mesh
	Overrides *record.Overrides
	Epoch     int64  // the gate's pause epoch before Overrides were read
	Newest    string // configuration hash of the newest run
	Actor     string // who acts: the function's name
	Lease     string // why the run's lease is not ours any more; "" if it is
	// Announced is when the proposal was first recorded, and with it the notice
	// that says what will be done and what to collect before; zero = never.
	Announced time.Time
	Failing   []Failing
	Unseen    int // clusters that do not answer Peerkeeper
	Overlays  map[mesh.PeerID][]peer.Overlay
	// Facts says why the facts behind the proposal may not be acted on; ""
	// when they are known and fresh.
	Facts string
	// UsersFell says that the cluster's users fell, which nobody has acknowledged;
	// "" if not.
	UsersFell string
	// Service is the target as it looked just now.
	Service peer.Service
	// Present says that the store holds already what would be imported.
	Present bool
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
		{"service", func(_ *Gate, p peer.Proposal, s Situation) string {
			if s.Actor != "peering" && !mayTouch(p) {
				return fmt.Sprintf("to %s %s signs users out; only an approved peering change may do it", p.Action, p.Target)
			}
			return ""
		}},
		{"import", func(_ *Gate, p peer.Proposal, s Situation) string { return mayImport(p, s) }},
		{"importLimit", func(g *Gate, p peer.Proposal, s Situation) string {
			limit := s.Mesh.Policy.Limits.ImportsPerMeshPerHour
			if n := imports(g, s.Now); p.Action == peer.ImportCertificate && n >= limit {
				return fmt.Sprintf("%d certificates were imported in the mesh within the hour, the limit is %d", n, limit)
			}
			return ""
		}},
		{"lease", func(_ *Gate, _ peer.Proposal, s Situation) string { return s.Lease }},
		{"configuration", func(_ *Gate, _ peer.Proposal, s Situation) string {
			if h := s.Mesh.Hash(); s.Newest != h {
				return fmt.Sprintf("this run's configuration (%s) is not that of the newest run (%s)", h, s.Newest)
			}
			return ""
		}},
		{"facts", func(_ *Gate, _ peer.Proposal, s Situation) string { return s.Facts }},
		{"announced", func(_ *Gate, _ peer.Proposal, s Situation) string {
			switch ago := s.Now.Sub(s.Announced); {
			case s.Announced.IsZero():
				return "no notice has been sent yet; the next run sends it"
			case ago < notice && ago > -ahead:
				return "the notice was sent a moment ago; the next run acts"
			}
			return ""
		}},
		{"override", func(_ *Gate, p peer.Proposal, s Situation) string {
			if s.Overrides == nil {
				return "what people said has not been read"
			}
			if s.Overrides.Newer {
				return "a newer version of Peerkeeper wrote down what people said"
			}
			if w, what, ok := s.Overrides.Stops(p.Target.Cluster, p.Peers, interrupted(s.Mesh, p), s.Now); ok {
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
		{"usersFell", func(_ *Gate, p peer.Proposal, s Situation) string {
			if s.UsersFell != "" {
				return fmt.Sprintf("the users of %s fell %s: nothing is done there until somebody acknowledges it (`peerkeeper ack`), or they are back", p.Target.Cluster, s.UsersFell)
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
		{"dayLimit", func(g *Gate, p peer.Proposal, s Situation) string {
			if n := today(g, s.Now, p); n >= peer.MaxActionsPerDay {
				return fmt.Sprintf("%s %s was done or tried %d times in 24 h without lasting effect; manual investigation needed", p.Action, p.Target, n)
			}
			return ""
		}},
		{"again", func(g *Gate, p peer.Proposal, s Situation) string {
			for _, c := range g.Closed {
				if c.Target == p.Target && c.Action == p.Action && g.counts(mark("closed", c.Seq), c.At, s.Now, again) {
					return fmt.Sprintf("the same action (%s %s) ended (%s) less than %v ago", c.Action, c.Target, c.Outcome, again)
				}
			}
			return ""
		}},
		{"mass", func(_ *Gate, p peer.Proposal, s Situation) string {
			if p.Action == peer.ImportCertificate && p.Approval != "" {
				// Certificates are renewed by the mesh, and each that is missing is
				// proven by the store itself: where a person looks, only other causes
				// count.
				s.Failing = slices.DeleteFunc(slices.Clone(s.Failing), func(f Failing) bool { return f.Root.Of(peer.CertificateTrusted) })
			}
			if p.Action == peer.StartService && p.Approval != "" {
				// The nodes themselves said which services are stopped, and a person who
				// stops them in several clusters knows why: no network explains it.
				s.Failing = slices.DeleteFunc(slices.Clone(s.Failing), func(f Failing) bool { return f.Root.Of(peer.ServicesRunning) })
			}
			return massStop(s)
		}},
		{"age", func(_ *Gate, p peer.Proposal, s Situation) string {
			if p.Action == peer.RestartService {
				return tooYoung(p, s.Service)
			}
			return ""
		}},
		{"commanded", func(_ *Gate, p peer.Proposal, s Situation) string { return commanded(p, s) }},
		{"needed", func(_ *Gate, p peer.Proposal, s Situation) string { return needless(p, s) }},
		{"approval", func(g *Gate, p peer.Proposal, s Situation) string {
			if p.Approval == "" {
				return ""
			}
			a, ok := s.Overrides.Approvals[p.ID]
			switch {
			case !ok || a.ID != p.ID:
				return fmt.Sprintf("approval required: %s (`peerkeeper approve %s`)", p.Approval, p.ID)
			case !s.Now.Before(a.Expires):
				return fmt.Sprintf("the approval of %s expired at %s", a.Actor, peer.Clock(a.Expires))
			case a.At.Sub(s.Now) > skew:
				// Nobody knows how long it would still live.
				return fmt.Sprintf("%s approved at %s, which is yet to come: set the clock right, and approve again", a.Actor, a.At.UTC().Format(time.RFC3339))
			case slices.ContainsFunc(g.Used, func(u Spent) bool { return u.by(a, s.Now) }):
				return "its approval was used"
			case p.Action == peer.RestartService && !s.Now.Add(-s.Service.UpTime).Before(a.At.Add(-skew)):
				// Whether the table remembers it or not: an approval is for
				// the service as the person saw it, whose clock may be ahead.
				return fmt.Sprintf("%s was restarted since %s approved, or less than %v before: approve again", p.Target, a.Actor, skew)
			}
			return ""
		}},
	}
}

// mayTouch says what may be done without the checks that peering makes first.
// XCP Router, SIP Proxy and SRM are never among it.
func mayTouch(p peer.Proposal) bool {
	switch p.Target.Service {
	case peer.ICSA, peer.AXL:
		return p.Action == peer.StartService || p.Action == peer.RestartService
	case peer.SyncAgent:
		return p.Action == peer.StartService
	case peer.TomcatTrust:
		return p.Action == peer.ImportCertificate
	}
	return false
}

// mayImport says why a certificate may not be imported whatever it is needed
// for. The judgement asks a person where it should; the gate makes sure.
func mayImport(p peer.Proposal, s Situation) string {
	if p.Action != peer.ImportCertificate {
		return ""
	}
	switch policy := s.Mesh.Policy.ImportCertificates; {
	case policy != mesh.ImportApprove && policy != mesh.ImportAuto:
		return "policy.importCertificates is manual: people copy certificates"
	case p.Source == nil || p.Source.Fingerprint == "" || p.Source.Fingerprint != p.Value:
		return "it does not say which certificate, and of which node"
	case p.Approval == "" && len(p.Source.Proofs) == 1:
		return "one source alone tells that the certificate is the node's own: it is imported with approval only"
	case p.Approval == "" && (policy != mesh.ImportAuto || p.Source.Issuer != "" || p.Source.Pending):
		return "a CA, and a certificate that is not served yet, are imported with approval only"
	}
	return ""
}

// commanded says why a service that a person may have stopped on purpose may not
// be started. The judgement asks a person where it should; the gate makes sure,
// by the reason code that the node tells now.
func commanded(p peer.Proposal, s Situation) string {
	_, byItself := s.Mesh.Policy.StartsCommanded()
	switch {
	case p.Action != peer.StartService || p.Approval != "":
		return ""
	case s.Service.Code == peer.CodeCommandedOut && p.Code != peer.CodeCommandedOut:
		return fmt.Sprintf("%s has been commanded out of service since this was decided", p.Target)
	case p.Stop.MayBeMeant() && !byItself:
		return fmt.Sprintf("%s may have been stopped on purpose, and policy.startCommanded is approve", p.Target)
	}
	return ""
}

// interrupted are the peers that an action touches besides those that ask for
// it: a restart of ICSA stops every sync of its cluster.
func interrupted(m *mesh.Mesh, p peer.Proposal) []mesh.PeerID {
	if p.Action != peer.RestartService {
		return nil
	}
	return m.PeersOf(p.Target.Cluster)
}

func tooYoung(p peer.Proposal, now peer.Service) string {
	if least := max(p.MinAge, leastAge); now.UpTime < least { // negative when it is not told
		return fmt.Sprintf("%s is up for %v only (minimum %v): it was restarted recently", p.Target, now.UpTime.Round(time.Minute), least)
	}
	return ""
}

// needless says why the target does not want the action any more.
func needless(p peer.Proposal, s Situation) string {
	switch now := s.Service; {
	case p.Action == peer.ImportCertificate && s.Present:
		return fmt.Sprintf("%s: it is there already", p.Target)
	case p.Action == peer.StartService && now.Status != "Stopped":
		return fmt.Sprintf("%s is %s", p.Target, now.Status)
	case p.Action == peer.RestartService && now.Status != "Started":
		return fmt.Sprintf("%s is %s, so a restart of it could not be verified", p.Target, now.Status)
	}
	return ""
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
	return judge(guards(), g, p, s)
}

func judge(by []guard, g *Gate, p peer.Proposal, s Situation) []Refusal {
	var out []Refusal
	for _, gd := range by {
		if why := gd.why(g, p, s); why != "" {
			out = append(out, Refusal{gd.name, why})
		}
	}
	return out
}
