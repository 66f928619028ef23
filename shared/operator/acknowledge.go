package operator

import (
	"context"
	"fmt"
	"strings"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// Acknowledge says that an alarm is known: it is not repeated. The fingerprint
// may be shortened as long as it fits one alarm only.
func (o *Operator) Acknowledge(ctx context.Context, fingerprint, reason string, lasts time.Duration) (alarm.Notice, error) {
	items, err := alarm.Items(ctx, o.Store, o.Mesh.Name)
	if err != nil {
		return alarm.Notice{}, err
	}
	var fits []alarm.Item
	for fp, it := range items {
		if it.Active() && strings.HasPrefix(fp, fingerprint) && fingerprint != "" {
			fits = append(fits, it)
		}
	}
	if len(fits) != 1 {
		return alarm.Notice{}, fmt.Errorf("%d alarms that stand have a fingerprint beginning with %q; `peerkeeper status` lists them", len(fits), fingerprint)
	}
	it := fits[0]
	known := o.override(record.WholeMesh, reason, lasts)
	known.Alarm, known.Cluster = it.Name, it.Cluster
	_, _, err = store.Claim(ctx, o.Store, store.Ack(o.Mesh.Name, it.Fingerprint), record.OverrideSchema, func(d *store.Doc[record.Override], _ bool) (bool, error) {
		d.Value = known
		return true, nil
	})
	if err != nil {
		return it.Notice, fmt.Errorf("acknowledging %s: %w", it.Name, err)
	}
	_, err = repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: known.At, Actor: o.Actor, Intent: "ack " + it.Name + " " + it.Peer.String() + string(it.Cluster), Outcome: "done", Evidence: reason})
	return it.Notice, err
}
