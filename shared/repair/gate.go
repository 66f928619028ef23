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
	"peerkeeper/shared/store"
)

// Gate is the GATE item of a mesh: intent, limit, lock and kill switch in one.
type Gate struct {
	// PauseEpoch grows with every pause, resume and maintenance, and with every word
	// by which a plan does less: what was
	// decided before it grew must be decided again.
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
	// Locks are the clusters on which a step of a plan is under way.
	Locks []Lock `json:"locks,omitempty"`
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
	// Planned is the plan's step that it is; zero for a repair.
	Planned peer.PlannedStep `json:"planned,omitzero"`
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
	// Planned is the plan's step that it was; zero for a repair.
	Planned peer.PlannedStep `json:"planned,omitzero"`
}

// Spent is a used approval.
type Spent struct {
	ID string    `json:"id"` // of the proposal, or the step's name
	At time.Time `json:"at"`
	// Approved is when the approval was given, by the clock of who gave it. It
	// tells one approval of an action from the next; no order is read from it,
	// for that clock is not the gate's.
	Approved time.Time `json:"approved,omitzero"`
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

// forget drops what is too old to count, and the oldest of what is too much.
func (g *Gate) forget(now time.Time) {
	g.found(now)
	g.Restarts = slices.DeleteFunc(slices.Clone(g.Restarts), func(r Restart) bool { return !g.counts(mark("restart", r.Seq), r.At, now, time.Hour) })
	g.Closed = slices.DeleteFunc(slices.Clone(g.Closed), func(c Closure) bool {
		key := mark("closed", c.Seq)
		return !g.counts(key, c.At, now, keepClosed) || c.Outcome == NotSent && !g.counts(key, c.At, now, keepNotSent)
	})
	g.Used = slices.DeleteFunc(slices.Clone(g.Used), func(u Spent) bool { return now.Sub(u.At).Abs() >= keepSpent })
	g.Locks = slices.DeleteFunc(slices.Clone(g.Locks), func(l Lock) bool { return !g.holds(l, now) })
	// What is frequent first, but that of the hour that it is limited by: a renewed
	// mesh closes hundreds of imports a day, and what restarts are limited by is kept.
	more := len(g.Closed) - maxClosed
	g.Closed = slices.DeleteFunc(g.Closed, func(c Closure) bool {
		if more <= 0 || !kindOf(c.Action).frequent || g.counts(mark("closed", c.Seq), c.Meant, now, time.Hour) {
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
