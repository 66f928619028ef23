package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// Ahead is when marks that lie ahead of the gate's clock were first found to.
	Ahead map[string]time.Time `json:"ahead,omitempty"`
	// Last is the newest entry of the audit: the chain's head. It is written
	// here first, under compare-and-swap, and then as an item of its own.
	Last *Entry `json:"last,omitempty"`
}

// Intent is one action that is meant, written before anything is sent.
type Intent struct {
	Seq    int64         `json:"seq"` // of the audit entry that opened it
	ID     string        `json:"id"`  // of the proposal
	Action peer.Action   `json:"action"`
	Target peer.Target   `json:"target"`
	Value  string        `json:"value,omitempty"`
	Peers  []mesh.PeerID `json:"peers,omitempty"`
	Actor  string        `json:"actor"`
	// MinAge is how long the service must have run, as the proposal had it.
	MinAge   time.Duration `json:"minAge,omitempty"`
	Before   Before        `json:"before"`
	Written  time.Time     `json:"written"`
	Deadline time.Time     `json:"deadline"` // nothing is sent after it
	Sent     string        `json:"sent,omitempty"`
}

// Before is what the target looked like when the intent was written.
type Before struct {
	Status string        `json:"status,omitempty"`
	Code   int           `json:"code,omitempty"` // why it does not run
	UpTime time.Duration `json:"upTime,omitempty"`
	Value  string        `json:"value,omitempty"`
	// Certificates are what an import puts into the store, all of it, whether or
	// not some of it was there.
	Certificates []string `json:"certificates,omitempty"`
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
	NotDone    Outcome = "notDone" // read back, or refused by the node: it did not happen
	NotSent    Outcome = "notSent" // the second look made it needless, or nothing reached the node
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
	// Approved is when the approval was given, by the clock of who gave it. It
	// tells one approval of an action from the next; no order is read from it,
	// for that clock is not the gate's. Zero in what a release before this wrote.
	Approved time.Time `json:"approved,omitzero"`
}

// by reports whether it was this approval that was spent.
func (u Spent) by(a record.Approval, now time.Time) bool {
	if u.Approved.IsZero() {
		if u.At.After(now) { // another clock's: it counts as now
			u.At = now
		}
		return u.ID == a.ID && !a.At.After(u.At)
	}
	return u.ID == a.ID && u.Approved.Equal(a.At)
}

const (
	sendWindow  = time.Minute      // from the intent to its deadline
	proofWindow = 10 * time.Minute // how long a restarted service may take to be up
	keepClosed  = 24 * time.Hour
	keepNotSent = time.Hour          // nothing came of it, and another try waits for half an hour only
	keepSpent   = 7 * 24 * time.Hour // longer than any approval lives
	// DynamoDB takes 400 KB: what the gate remembers is bounded whatever
	// happens.
	maxClosed, maxSpent, maxEvidence = 300, 500, 500
	// again is how soon the same action on the same target may follow one
	// that was closed, however it ended.
	again = 30 * time.Minute
	// leastAge is the up-time below which nothing is restarted, whatever the
	// proposal says.
	leastAge = 2 * time.Hour
	// notice is how long before it is done an action must have been told of, so
	// that a person may pause it, or collect the evidence that it wipes away.
	notice = 4 * time.Minute
	// ahead is how far in the future a note may lie and still count: further
	// ahead, the clock that wrote it was wrong.
	ahead = 24 * time.Hour
	// skew is how far the clock of who approves may be ahead of the gate's.
	skew = 5 * time.Minute
	// giveUp is how long an intent that cannot be read back blocks its
	// cluster before it is closed as unknown, in so many words.
	giveUp = 24 * time.Hour
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

// imports counts those of the last hour, whatever came of them, and those under
// way.
func imports(g *Gate, now time.Time) int {
	n := 0
	for _, c := range g.Closed {
		if c.Action == peer.ImportCertificate && c.Outcome != NotSent && g.counts(mark("closed", c.Seq), c.Meant, now, time.Hour) {
			n++
		}
	}
	for _, o := range g.Open {
		if o.Action == peer.ImportCertificate {
			n++
		}
	}
	return n
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

// within reports whether an instant lies less than d ago. What lies ahead
// counts as just now: the clock stepped back. Nothing is forgotten for that,
// but a clock that was wrong by more than a day must not block for ever.
func within(now, at time.Time, d time.Duration) bool {
	ago := now.Sub(at)
	return ago < d && ago > -ahead
}

func restarts(g *Gate, now time.Time, id mesh.ClusterID) int {
	n := 0
	for _, r := range g.Restarts {
		if g.counts(mark("restart", r.Seq), r.At, now, time.Hour) && (id == "" || r.Cluster == id) {
			n++
		}
	}
	return n
}

// today counts how often an action was sent to its target within a day.
func today(g *Gate, now time.Time, p peer.Proposal) int {
	n := 0
	for _, c := range g.Closed {
		if c.Target == p.Target && c.Action == p.Action && c.Outcome != NotSent && g.counts(mark("closed", c.Seq), c.At, now, keepClosed) {
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

// forget drops what is too old to count, and the oldest of what is too much.
func (g *Gate) forget(now time.Time) {
	g.found(now)
	g.Restarts = slices.DeleteFunc(slices.Clone(g.Restarts), func(r Restart) bool { return !g.counts(mark("restart", r.Seq), r.At, now, time.Hour) })
	g.Closed = slices.DeleteFunc(slices.Clone(g.Closed), func(c Closure) bool {
		key := mark("closed", c.Seq)
		return !g.counts(key, c.At, now, keepClosed) || c.Outcome == NotSent && !g.counts(key, c.At, now, keepNotSent)
	})
	g.Used = slices.DeleteFunc(slices.Clone(g.Used), func(u Spent) bool { return now.Sub(u.At).Abs() >= keepSpent })
	// Imports first, but those of the hour that they are limited by: a renewed mesh
	// closes hundreds a day, and what restarts are limited by is kept.
	more := len(g.Closed) - maxClosed
	g.Closed = slices.DeleteFunc(g.Closed, func(c Closure) bool {
		if more <= 0 || c.Action != peer.ImportCertificate || g.counts(mark("closed", c.Seq), c.Meant, now, time.Hour) {
			return false
		}
		more--
		return true
	})
	g.Closed = g.Closed[max(0, len(g.Closed)-maxClosed):]
	g.Used = g.Used[max(0, len(g.Used)-maxSpent):]
}

// Done lists what the gate did and does, as the ladder wants it. An intent
// whose outcome cannot be told counts as done: nothing is tried on top of it.
func (g *Gate) Done() []peer.Done {
	var out []peer.Done
	for _, c := range g.Closed {
		if c.Outcome != NotSent {
			out = append(out, peer.Done{Target: c.Target, Action: c.Action, At: g.effective(mark("closed", c.Seq), c.Meant), Closed: g.effective(mark("closed", c.Seq), c.At), Failed: c.Outcome == NotDone})
		}
	}
	for _, o := range g.Open {
		out = append(out, peer.Done{Target: o.Target, Action: o.Action, At: g.effective(mark("open", o.Seq), o.Written), Open: true})
	}
	return out
}

// short bounds a text that came from a cluster.
func short(s string) string {
	if len(s) <= maxEvidence {
		return s
	}
	return strings.ToValidUTF8(s[:maxEvidence], "") + "…"
}
