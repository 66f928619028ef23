package main

import (
	"context"
	"time"
)

type ackVerb struct {
	Fingerprint name   `arg:"" help:"The alarm, by the beginning of its fingerprint in status --json." placeholder:"FINGERPRINT"`
	Reason      reason `help:"Why, for the record." required:"" placeholder:"TEXT"`
	For         span   `help:"For how long; otherwise as long as the alarm stands." placeholder:"TIME"`
	kept
}

// Help is what peerkeeper ack --help teaches.
func (ackVerb) Help() string {
	return `Says that you know of an alarm: it is not repeated any more. Its clearing is still sent. It is recorded with your name.
It never clears the alarm, and stops no repair: for that, pause.

Examples:

  peerkeeper ack 3fa8 --reason "carrier ticket 4711"`
}

// Run acknowledges an alarm.
func (a *ackVerb) Run(ctx context.Context, t *terminal) error {
	_, o, err := a.decides(ctx)
	if err != nil {
		return err
	}
	n, err := o.Acknowledge(ctx, string(a.Fingerprint), string(a.Reason), time.Duration(a.For))
	if err != nil {
		return usage{err}
	}
	if t.json {
		return t.answer(map[string]any{"acknowledged": n, "actor": o.Actor})
	}
	t.sayf("%s %s%s is known to %s and not repeated.", n.Name, n.Peer, n.Cluster, o.Actor)
	return nil
}
