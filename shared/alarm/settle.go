package alarm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/store"
)

const (
	// Schema is the schema number of ALARM items.
	Schema = 1
	// RepeatEvery is how often a lasting alarm is said again.
	RepeatEvery = 24 * time.Hour
	// KeepCleared is how long a cleared and delivered alarm stays readable.
	// Transitions start again at 1 when it is forgotten.
	KeepCleared = 30 * 24 * time.Hour
	// maxPending bounds an item while its sinks refuse. Beyond it the alarm
	// waits: it is level-triggered, so whatever is true when the sinks take
	// notices again is what gets said.
	maxPending = 40
)

// Firing is one problem that exists now.
type Firing struct {
	Name    string
	Cluster mesh.ClusterID
	Peer    mesh.PeerID
	// Subject tells several alarms of one name apart, such as the node or the
	// certificate. It is part of the fingerprint, as it is.
	Subject string
	// Message is the notice's first line, which stands alone where there is room
	// for one only; More are the lines after it. A line break within one of them
	// is not one of ours, and becomes a space.
	Message string
	More    []string
	// Severity is its kind's unless it has risen; "" is the kind's.
	Severity peer.Severity
	// Step is how far a problem has come that gets worse by steps, such as the
	// days that are left; "" has none. Each step is said once, and below critical
	// nothing is said between two steps: a ticket need not be opened every day.
	Step string
	// Since is when the problem began; zero means now.
	Since time.Time
	// Suppressed says not to raise or repeat now: explained by another alarm,
	// acknowledged, paused, in maintenance. It does not clear what is raised.
	Suppressed bool
}

// Check is what one run found out: what fires, and what it could not judge.
type Check struct {
	Mesh   string
	Firing []Firing
	// Unknown says that an alarm cannot be judged now: it is neither raised
	// nor cleared. nil means that all is known.
	Unknown func(Item) bool
	// Removed says that an alarm's cluster or peer is no longer in mesh.yaml:
	// it is cleared, whatever else is known. nil means none.
	Removed func(Item) bool
	Now     time.Time
}

// byFingerprint indexes what fires. Of one alarm said twice, the one that is
// not suppressed wins.
func (c Check) byFingerprint() map[string]Firing {
	firing := make(map[string]Firing, len(c.Firing))
	for _, f := range c.Firing {
		fp := Fingerprint(c.Mesh, f.Name, f.Cluster, f.Peer, f.Subject)
		if had, twice := firing[fp]; !twice || had.Suppressed && !f.Suppressed {
			firing[fp] = f
		}
	}
	return firing
}

// explained suppresses what a raised alarm explains that cannot be judged now:
// while nobody knows whether a cause is over, its effects are no news.
func (c Check) explained(items map[string]Item) []Firing {
	if c.Unknown == nil {
		return c.Firing
	}
	firing := c.byFingerprint()
	var causes []Firing
	for fp, it := range items {
		if _, fires := firing[fp]; fires || !it.Active() || !c.Unknown(it) || c.Removed != nil && c.Removed(it) {
			continue
		}
		causes = append(causes, Firing{Name: it.Name, Cluster: it.Cluster, Peer: it.Peer, Subject: it.Subject})
	}
	return suppress(c.Firing, causes)
}

// Pending is a notice that not every sink has taken yet.
type Pending struct {
	Notice Notice    `json:"notice"`
	Queued time.Time `json:"queued"`
	Done   []string  `json:"done,omitempty"` // names of sinks that took it
}

// Item is an alarm as it is stored. Its Notice is the last one that was
// decided; State is "" and Transition 0 while the alarm waits for its grace.
//
// Transition counts: 1 is the first raise, 2 its clear, 3 the next raise. A
// repeat has the transition of its raise.
type Item struct {
	Notice
	Subject string `json:"subject,omitempty"`
	// FirstSeen is when the problem was first seen of this time; zero while
	// it does not exist.
	FirstSeen time.Time `json:"firstSeen,omitzero"`
	// Shown is when the newest raise was decided.
	Shown        time.Time `json:"shown,omitzero"`
	Pending      []Pending `json:"pending,omitempty"` // oldest first
	ClaimedUntil time.Time `json:"claimedUntil,omitzero"`
	LastSent     time.Time `json:"lastSent,omitzero"`
	RepeatAt     time.Time `json:"repeatAt,omitzero"`
	// Step is the step that was said last (Firing.Step).
	Step string `json:"step,omitempty"`
	// Reason says why it was cleared, if not because the problem is gone.
	Reason string `json:"reason,omitempty"`
}

// ReasonRemoved is the reason of an alarm whose cluster or peer left the mesh.
const ReasonRemoved = "Removed"

// Active says whether the alarm stands: raised and not cleared.
func (it Item) Active() bool { return it.State == Raised || it.State == Repeated }

// settled says that nothing is left to say or to wait for.
func (it Item) settled() bool {
	return !it.Active() && it.FirstSeen.IsZero() && len(it.Pending) == 0
}

// Fingerprint is the stable name of an alarm: equal for equal arguments, in
// every process and every release.
func Fingerprint(meshName, name string, cluster mesh.ClusterID, peer mesh.PeerID, subject string) string {
	h := sha256.New()
	for _, part := range []string{meshName, name, string(cluster), peer.String(), subject} {
		fmt.Fprintf(h, "%d:%s,", len(part), part) // lengths keep ("a", "bc") and ("ab", "c") apart
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Reconcile compares what is stored with what fires and returns the items that
// change, by fingerprint. It is pure and level-triggered: called again with its
// own result and the same check it returns nothing.
func Reconcile(items map[string]Item, check Check) []Item {
	firing := check.byFingerprint()
	var changed []Item
	all := slices.AppendSeq(slices.Collect(maps.Keys(items)), maps.Keys(firing))
	slices.Sort(all)
	for _, fp := range slices.Compact(all) {
		it, exists := items[fp]
		f, fires := firing[fp]
		if !exists {
			it = newItem(fp, check.Mesh, f)
		}
		var differs bool
		switch {
		case fires:
			differs = it.fire(f, kindOf(f.Name), check.Now)
		case check.Removed != nil && check.Removed(it):
			differs = it.gone(check.Now, ReasonRemoved)
		case check.Unknown != nil && check.Unknown(it):
		default:
			differs = it.gone(check.Now, "")
		}
		if differs {
			changed = append(changed, it)
		}
	}
	return changed
}

func newItem(fp, meshName string, f Firing) Item {
	n := Notice{Name: f.Name, Mesh: meshName, Cluster: f.Cluster, Peer: f.Peer, Fingerprint: fp}
	return Item{Notice: n.Clean(), Subject: plain.Line(f.Subject, maxField)}
}

// fire moves an item whose problem exists, and says whether anything changed.
func (it *Item) fire(f Firing, kind Kind, now time.Time) bool {
	differs, text := false, message(append([]string{f.Message}, f.More...)...)
	// One seen first ahead of the clock was seen by another: the grace begins here.
	if (it.FirstSeen.IsZero() || instant.Ahead(it.FirstSeen, now, 0)) && (!f.Suppressed || kind.Grace > 0) {
		it.FirstSeen = now
		differs = true
	}
	if f.Severity != "" {
		kind.Severity = f.Severity
	}
	if f.Suppressed || now.Sub(it.FirstSeen) < kind.Grace || len(it.Pending) >= maxPending {
		return differs
	}
	if !it.Active() {
		it.Transition++
		it.Shown = now
		it.Reason = ""
		it.Since = f.Since
		if it.Since.IsZero() {
			it.Since = now
		}
		it.say(Raised, text, kind, now)
		it.RepeatAt, it.Step = now.Add(RepeatEvery), f.Step
		return true
	}
	// What has become worse is said at once, under the same transition.
	risen := it.Severity != peer.Critical && kind.Severity == peer.Critical || it.Step != f.Step
	daily := f.Step == "" || kind.Severity == peer.Critical
	if !risen && (!daily || it.RepeatAt.IsZero() || instant.Holds(it.RepeatAt, now, RepeatEvery)) {
		// Nobody is told again, but where a standing alarm is read it says what is
		// so now: what was to be done may have been done.
		differs = differs || it.Message != text
		it.Message = text
		return differs
	}
	it.RepeatAt, it.Step = now.Add(RepeatEvery), f.Step
	// A notice that is still waiting says the same; a second one would be noise.
	if risen || len(it.Pending) == 0 {
		it.say(Repeated, text, kind, now)
	}
	return true
}

// gone moves an item whose problem does not exist, and says whether anything
// changed.
func (it *Item) gone(now time.Time, reason string) bool {
	if it.Active() {
		if len(it.Pending) >= maxPending {
			return false
		}
		it.FirstSeen = time.Time{}
		it.RepeatAt, it.Step = time.Time{}, ""
		it.Transition++
		it.Since = now
		it.Reason = reason
		was, _, _ := strings.Cut(it.Message, "\n") // what was to be done is over
		if reason == ReasonRemoved {
			was = "no longer in mesh.yaml; it was: " + was
		}
		it.say(Cleared, message(was), kindOf(it.Name), now)
		return true
	}
	if it.FirstSeen.IsZero() {
		return false
	}
	it.FirstSeen = time.Time{} // resolved before shown: never shown
	return true
}

// say decides a notice and queues it.
func (it *Item) say(state State, text string, kind Kind, now time.Time) {
	it.State = state
	it.Message = text
	it.Severity = kind.Severity
	it.Runbook = kind.Runbook()
	it.Pending = append(slices.Clone(it.Pending), Pending{Notice: it.Notice, Queued: now})
	it.bound()
}

// kindOf is the alarm of a name. One that the catalogue does not know is a
// mistake in the program, and no reason to keep quiet about a problem.
func kindOf(name string) Kind {
	if k, ok := Lookup(name); ok {
		return k
	}
	return Kind{Name: name, Severity: peer.Critical, Urgency: Page}
}

// Items loads every alarm of a mesh, by fingerprint. With an error the result
// is not whole.
func Items(ctx context.Context, s store.Store, meshName string) (map[string]Item, error) {
	docs, err := store.LoadDocs[Item](ctx, s, store.Live(meshName), store.PrefixAlarm, Schema)
	items := make(map[string]Item, len(docs))
	for sk, d := range docs {
		// The key is the authority: the item is written back there.
		it := d.Value
		it.Notice = it.Notice.Clean() // others can write the table
		it.Fingerprint = strings.TrimPrefix(sk, store.PrefixAlarm)
		items[it.Fingerprint] = it
	}
	return items, err
}

// Settle brings the stored alarms into line with a check, and returns the items
// that it changed. What a raised alarm explains is suppressed while nobody can say
// whether that one is over. Each is read again, consistently, before it is written, so
// that a stale load cannot raise twice. An alarm that cannot be written does
// not keep the others from being; the errors are joined.
func Settle(ctx context.Context, s store.Store, check Check) ([]Item, error) {
	items, err := Items(ctx, s, check.Mesh)
	errs := []error{err}
	check.Firing = check.explained(items)
	firing := check.byFingerprint()
	var changed []Item
	for _, stale := range Reconcile(items, check) {
		fp := stale.Fingerprint
		one := check
		one.Firing = nil
		if f, fires := firing[fp]; fires {
			one.Firing = []Firing{f}
		}
		doc, wrote, err := store.Claim(ctx, s, store.Alarm(check.Mesh, fp), Schema, func(d *store.Doc[Item], exists bool) (bool, error) {
			now := map[string]Item{}
			if exists {
				now[fp] = d.Value
			}
			next := Reconcile(now, one)
			if len(next) == 0 {
				return false, nil
			}
			d.Value = next[0]
			expire(d, check.Now)
			return true, nil
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("settling %s: %w", describe(stale.Notice), err))
			continue
		}
		if wrote {
			changed = append(changed, doc.Value)
		}
	}
	return changed, errors.Join(errs...)
}

// expire lets the store forget an alarm about which all is said, and keeps it
// from forgetting any other.
func expire(d *store.Doc[Item], now time.Time) {
	d.TTL = time.Time{}
	if d.Value.settled() {
		d.TTL = now.Add(KeepCleared)
	}
}

func describe(n Notice) string { return n.Name + " " + n.About() }
