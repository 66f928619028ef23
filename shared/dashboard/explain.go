package dashboard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// Explanation is one peer of a Status with what a person needs to act on it.
type Explanation struct {
	Peer
	AsOf    time.Time        `json:"asOf"`
	Reverse *Reverse         `json:"reverse"` // nil where mesh.yaml has no peer back
	Clocks  Clocks           `json:"clocks"`
	Changes []peer.Flip      `json:"changes24h"` // newest first
	Next    []procedure.Step `json:"next"`
	// Findings are what preflight found at its two ends that it may suffer from.
	Findings []peer.Finding `json:"findings,omitempty"`
}

// Reverse is the same pair seen from the other end.
type Reverse struct {
	ID    mesh.PeerID `json:"id"`
	State peer.State  `json:"state"`
	Since time.Time   `json:"since,omitzero"`
	Cause string      `json:"cause,omitempty"`
	// Words says how the two directions compare.
	Words string `json:"words"`
}

// Clocks are the instants at which Cisco's two limits on a sync that does not
// succeed are reached, counted from the last success.
type Clocks struct {
	// A is last sync + interval + 2 h ("stuck for more than 2 hours"), B is
	// last sync + 4 intervals; null while the last sync is not known.
	A *time.Time `json:"a"`
	B *time.Time `json:"b"`
	// First is "a" or "b": which comes first with this interval.
	First    string        `json:"first"`
	Interval mesh.Duration `json:"interval"`
	// Basis says whether the interval was read from the publisher or is
	// mesh.yaml's.
	Basis    peer.Basis `json:"basis"`
	LastSync *time.Time `json:"lastSync"`
	// Read is when the last sync was read from the peer table.
	Read time.Time `json:"read,omitzero"`
	// Source is where the last success is known from.
	Source peer.ClockSource `json:"source"`
	// Pushed is the last success that a node pushed and nothing confirms yet: the
	// instants do not count from it.
	Pushed *time.Time `json:"pushed,omitempty"`
	// From says what the instants count from where it is not a last sync.
	From string `json:"from,omitempty"`
}

// At is the instant at which the first of the two limits is reached; zero if
// it cannot be told.
func (c Clocks) At() time.Time {
	switch {
	case c.First == "a" && c.A != nil:
		return *c.A
	case c.First == "b" && c.B != nil:
		return *c.B
	}
	return time.Time{}
}

// Explain reads one peer as it stands at now. ErrNoSuchPeer if neither
// mesh.yaml nor the store knows it.
func (s Source) Explain(ctx context.Context, id mesh.PeerID, now time.Time) (Explanation, error) {
	snap, err := s.load(ctx, now, nil)
	if err != nil {
		return Explanation{}, err
	}
	return snap.explain(id)
}

func (snap *snapshot) explain(id mesh.PeerID) (Explanation, error) {
	if !snap.declared[id] && !slices.Contains(snap.gone(), id) {
		return Explanation{}, fmt.Errorf("%s: %w", id, ErrNoSuchPeer)
	}
	p := snap.peerAt(id)
	e := Explanation{Peer: p, AsOf: snap.now.UTC(), Clocks: snap.clocks(id), Changes: []peer.Flip{}, Next: []procedure.Step{}, Findings: snap.failedFor(id)}
	if snap.declared[id.Reverse()] {
		back := snap.peerAt(id.Reverse())
		e.Reverse = &Reverse{ID: back.ID, State: back.State, Since: back.Since, Cause: back.Cause, Words: asymmetry(p, back)}
	}
	for _, f := range slices.Backward(p.flips) {
		if snap.now.Sub(f.At) <= 24*time.Hour {
			e.Changes = append(e.Changes, f)
		}
	}
	slices.SortStableFunc(e.Changes, func(a, b peer.Flip) int { return b.At.Compare(a.At) })
	counted := func(c peer.Condition) bool { return peer.Counted(c, p.sync) }
	if steps := next(snap.Mesh, p, counted); steps != nil {
		e.Next = steps
	}
	return e.printable(), nil
}

// clocks computes the limits as peer.Judge applies them.
func (snap *snapshot) clocks(id mesh.PeerID) Clocks {
	_, ok1 := snap.Mesh.Cluster(id.From)
	_, ok2 := snap.Mesh.Cluster(id.To)
	if !ok1 || !ok2 {
		return Clocks{Source: peer.ClockNone}
	}
	clock, limits := snap.view.ClockAsRead(id), snap.view.Limits(id)
	out := Clocks{Interval: mesh.Duration(limits.Interval), Basis: limits.Basis, First: "b", Source: snap.clockOf(id)}
	if _, which := limits.First(); which == peer.StuckTwoHours {
		out.First = "a"
	}
	if at, unconfirmed := snap.view.PushedSuccess(id); unconfirmed {
		at = at.UTC()
		out.Pushed = &at
	}
	if clock.Source == peer.ClockCisco {
		out.From = "the last success in ICSA's own log; a later one may not be in it yet"
	}
	if !clock.Readable() {
		out.From = "the last sync is not readable here; Cisco's page shows it as Last Synchronized Time"
		return out
	}
	out.Read = clock.Read
	start := clock.Last.UTC()
	if start.IsZero() {
		// As Judge has it: the clock of a peer that has never synced starts
		// when it was first judged.
		start = snap.Syncs[id].Value.FirstSeen
		out.From = "it has never synced; counted from when Peerkeeper first looked"
		if start.IsZero() {
			return out
		}
	} else {
		out.LastSync = &start
	}
	a, b := start.Add(limits.A).UTC(), start.Add(limits.B).UTC()
	out.A, out.B = &a, &b
	return out
}

// asymmetry compares the two directions in words.
func asymmetry(p, back Peer) string {
	there := back.ID
	good, goodBack := p.State == peer.Healthy, back.State == peer.Healthy
	switch {
	case good && goodBack:
		return "Both directions are Healthy."
	case good:
		return fmt.Sprintf("This direction is Healthy, the other (%s) is %s: users of %s are known on %s, not surely the other way round.", there, back.State, p.ID.To, p.ID.From)
	case goodBack:
		return fmt.Sprintf("One direction only: %s is Healthy, so the two clusters can talk to each other; look at what this direction does not share with it.", there)
	case p.State == back.State && p.Cause == back.Cause:
		return fmt.Sprintf("Both directions are %s for the same cause.", p.State)
	}
	return fmt.Sprintf("Neither direction is Healthy: %s is %s as well.", there, back.State)
}
