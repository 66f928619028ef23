package alarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/store"
)

const (
	// claimFor is how long one deliverer has an alarm to itself. It is longer
	// than any sink may take for one item's notices, and short enough that
	// the claim of a deliverer that died is soon over.
	claimFor = 3 * time.Minute
	// restAfter is after how many refusals in a row a sink is left alone for
	// the rest of a delivery: thirty alarms must not each wait for the
	// timeout of a web hook that is down.
	restAfter = 3
	// recordWithin bounds writing down what was sent when the caller's time
	// is already up.
	recordWithin = 5 * time.Second
)

// SinkError says that a sink did not take a notice.
type SinkError struct {
	Sink   string
	Notice Notice
	Cause  error
}

func (e *SinkError) Error() string {
	return fmt.Sprintf("sending %s %s to %s: %v", e.Notice.State, describe(e.Notice), e.Sink, e.Cause)
}

// Unwrap gives the cause.
func (e *SinkError) Unwrap() error { return e.Cause }

// ErrNoSink says that there are notices and nowhere to send them.
var ErrNoSink = errors.New("alarms are waiting and no sink is configured")

// ErrTooLarge is what a sink's error wraps when its receiver takes notices, and
// not one as large as this: the notice is offered again, shortened.
var ErrTooLarge = errors.New("the receiver calls the notice too large")

// ErrResting says that a sink refused several notices in a row and was not
// asked again in this delivery. What it missed stays pending.
var ErrResting = errors.New("not tried: it has just refused several notices")

// Deliver sends every pending notice to every sink that has not taken it, the
// longest waiting alarm first, and per alarm and sink in the order in which
// the notices were decided. sent counts notices that were heard by a sink for
// the first time.
//
// Each alarm is claimed by a conditional write, so two deliverers do not send
// the same. What a sink took is recorded per sink: one that refuses neither
// holds up the others nor makes them hear twice. A deliverer that dies between
// sending and recording leaves the notices pending; they are sent again, with
// the same fingerprint, transition and state.
//
// now is asked again and again, because sending takes time.
func Deliver(ctx context.Context, s store.Store, meshName string, sinks []Sink, now func() time.Time) (sent int, err error) {
	items, err := Items(ctx, s, meshName)
	errs := []error{err}
	var waiting []Item
	for _, it := range items {
		if len(it.Pending) > 0 {
			waiting = append(waiting, it)
		}
	}
	if len(waiting) == 0 {
		return 0, err
	}
	if len(sinks) == 0 {
		return 0, errors.Join(err, ErrNoSink)
	}
	slices.SortFunc(waiting, func(a, b Item) int {
		return cmp.Or(a.Pending[0].Queued.Compare(b.Pending[0].Queued), strings.Compare(a.Fingerprint, b.Fingerprint))
	})
	outlets := nameSinks(sinks)
	for _, it := range waiting {
		if ctx.Err() != nil {
			errs = append(errs, context.Cause(ctx))
			break
		}
		n, err := deliverOne(ctx, s, store.Alarm(meshName, it.Fingerprint), outlets, now)
		sent += n
		errs = append(errs, err)
	}
	return sent, errors.Join(errs...)
}

// outlet is a sink with the name under which its deliveries are recorded.
type outlet struct {
	name     string
	sink     Sink
	refusals int // in a row
}

// nameSinks names sinks: by their Name method if they have one, else by type.
// Names must stay the same from one run to the next.
func nameSinks(sinks []Sink) []*outlet {
	used := map[string]int{}
	out := make([]*outlet, len(sinks))
	for i, sink := range sinks {
		name := strings.TrimPrefix(fmt.Sprintf("%T", sink), "*")
		if named, ok := sink.(interface{ Name() string }); ok {
			name = named.Name()
		}
		if used[name]++; used[name] > 1 {
			name = fmt.Sprintf("%s#%d", name, used[name])
		}
		out[i] = &outlet{name: name, sink: sink}
	}
	return out
}

func deliverOne(ctx context.Context, s store.Store, key store.Key, outlets []*outlet, now func() time.Time) (int, error) {
	var until time.Time
	doc, claimed, err := store.Claim(ctx, s, key, Schema, func(d *store.Doc[Item], _ bool) (bool, error) {
		at := now()
		if len(d.Value.Pending) == 0 || instant.Holds(d.Value.ClaimedUntil, at, claimFor) {
			return false, nil // delivered meanwhile, or somebody is at it
		}
		until = at.Add(claimFor)
		d.Value.ClaimedUntil = until
		return true, nil
	})
	if err != nil {
		return 0, fmt.Errorf("claiming %s: %w", key.SK, err)
	}
	if !claimed {
		return 0, nil
	}
	sent, pending, sendErr := send(ctx, doc.Value.Pending, outlets)

	// What was sent is recorded even if the caller's time ran out over it:
	// otherwise it would all be sent again.
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	_, _, err = store.Claim(record, s, key, Schema, func(d *store.Doc[Item], exists bool) (bool, error) {
		if !exists {
			return false, nil
		}
		at := now()
		if d.Value.ClaimedUntil.Equal(until) {
			d.Value.ClaimedUntil = time.Time{}
		}
		if sent > 0 {
			d.Value.LastSent = at
		}
		d.Value.Pending = merge(d.Value.Pending, pending, outlets)
		expire(d, at)
		return true, nil
	})
	if err != nil {
		err = fmt.Errorf("recording what was sent of %s: %w", key.SK, err)
	}
	return sent, errors.Join(sendErr, err)
}

// send offers each notice to each sink that has not taken it. A sink that
// refuses one notice is not offered the later ones of the same alarm: nobody
// shall hear that something is over before hearing that it began.
func send(ctx context.Context, pending []Pending, outlets []*outlet) (sent int, _ []Pending, _ error) {
	pending = slices.Clone(pending)
	behind := map[string]bool{}
	var errs []error
	for i := range pending {
		p := &pending[i]
		fresh := len(p.Done) == 0
		p.Done = slices.Clone(p.Done)
		heard := false
		for _, o := range outlets {
			if behind[o.name] || slices.Contains(p.Done, o.name) {
				continue
			}
			err := o.send(ctx, p.Notice)
			if err != nil {
				errs = append(errs, &SinkError{Sink: o.name, Notice: p.Notice, Cause: err})
				if !errors.Is(err, ErrTooLarge) {
					behind[o.name] = true
					continue
				}
			}
			// One that is too large at its shortest is given up: it would come no
			// nearer to anybody by being sent for ever, and what is said later of
			// the same alarm would never be heard. It stays where `status` reads it.
			heard = heard || err == nil
			p.Done = append(p.Done, o.name)
		}
		if heard && fresh {
			sent++
		}
	}
	return sent, pending, errors.Join(errs...)
}

func (o *outlet) send(ctx context.Context, n Notice) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if o.refusals >= restAfter {
		return ErrResting
	}
	err := o.offer(ctx, n.Clean())
	switch {
	case err == nil, errors.Is(err, ErrTooLarge): // it answers
		o.refusals = 0
	default:
		o.refusals++
	}
	return err
}

// offer sends a notice, and sends it again with half as much text as long as
// the receiver calls it too large.
func (o *outlet) offer(ctx context.Context, n Notice) error {
	whole := n
	for most := min(len(whole.Message), 2*MaxMessage) / 2; ; most /= 2 {
		err := o.sink.Send(ctx, n)
		if !errors.Is(err, ErrTooLarge) {
			return err
		}
		if most < leastMessage/2 {
			return fmt.Errorf("%w; the shortest was refused too, and it is not sent again", err)
		}
		n = whole.shortened(most)
	}
}

// merge marks in stored what was delivered, and drops what every sink has
// taken. stored may hold notices that were queued while we were sending.
func merge(stored, delivered []Pending, outlets []*outlet) []Pending {
	var left []Pending
	for _, p := range stored {
		i := slices.IndexFunc(delivered, func(d Pending) bool {
			return d.Notice.Transition == p.Notice.Transition && d.Notice.State == p.Notice.State && d.Queued.Equal(p.Queued)
		})
		if i >= 0 {
			for _, name := range delivered[i].Done {
				if !slices.Contains(p.Done, name) {
					p.Done = append(slices.Clone(p.Done), name)
				}
			}
		}
		if !slices.ContainsFunc(outlets, func(o *outlet) bool { return !slices.Contains(p.Done, o.name) }) {
			continue
		}
		left = append(left, p)
	}
	return left
}
