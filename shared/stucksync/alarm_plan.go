package stucksync

import (
	"fmt"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/change"
)

// stoppedByPerson is how long a plan that a person stopped may stand: one who has
// stopped it knows, and may forget.
const stoppedByPerson = 30 * time.Minute

// plansStopped fires for each plan that stands half way.
func (t *tick) plansStopped() []alarm.Firing {
	plans, err := t.Snapshot.Plans()
	if err != nil || plans.Newer {
		return nil // neither raised nor cleared: undecided says so
	}
	var out []alarm.Firing
	for _, e := range plans.Value.Plans {
		if e.State != change.Stopped || e.Stop != "" && t.View.Now.Sub(e.Since).Abs() < stoppedByPerson {
			continue
		}
		out = append(out, alarm.Firing{
			Name: alarm.PlanStopped, Subject: e.ID, Since: e.Since,
			Message: fmt.Sprintf("plan %s (%s) is stopped at step %d of %d: %s", e.ID, e.Kind, e.Step, e.Steps, e.Why),
			More:    []string{fmt.Sprintf("`peerkeeper peering show %s` says what to do; then `resume`, `skip` with a reason, or `abort`", e.ID)},
		})
	}
	return out
}

// plansUnread reports whether it cannot be read which plans are stopped.
func (t *tick) plansUnread() bool {
	plans, err := t.Snapshot.Plans()
	return err != nil || plans.Newer
}
