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
			Message: fmt.Sprintf("plan %s (%s) is stopped at step %d of %d: %s", e.ID, e.Kind, e.Step, e.Steps, e.Reason()),
			More:    []string{fmt.Sprintf("`peerkeeper peering show %s` says what to do; then `resume`, `skip` with a reason, or `abort`", e.ID)},
		})
	}
	return out
}

// How long a plan may wait for a person: less while it keeps something as it should not
// stay.
const (
	waitsFor  = 24 * time.Hour
	holdsLong = 4 * time.Hour
)

// plansWaiting fires for each plan that has waited long for a person.
func (t *tick) plansWaiting() []alarm.Firing {
	plans, err := t.Snapshot.Plans()
	if err != nil || plans.Newer {
		return nil
	}
	var out []alarm.Firing
	for _, e := range plans.Value.Plans {
		patience, holds := waitsFor, ""
		if e.Holds != "" {
			patience, holds = holdsLong, "; meanwhile "+e.Holds
		}
		if e.State != change.Waiting || t.View.Now.Sub(e.Since) < patience {
			continue
		}
		out = append(out, alarm.Firing{
			Name: alarm.PlanWaits, Subject: e.ID, Since: e.Since,
			Message: fmt.Sprintf("plan %s (%s) waits for a person at step %d of %d: %s%s", e.ID, e.Kind, e.Step, e.Steps, e.Reason(), holds),
			More:    []string{fmt.Sprintf("`peerkeeper peering show %s` says what it waits for; `stop` or `abort` if nobody will", e.ID)},
		})
	}
	return out
}

// plansUnread reports whether it cannot be read which plans are stopped.
func (t *tick) plansUnread() bool {
	plans, err := t.Snapshot.Plans()
	return err != nil || plans.Newer
}
