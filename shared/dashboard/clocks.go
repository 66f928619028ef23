package dashboard

import (
	"fmt"
	"maps"
	"slices"
	"time"

	instants "peerkeeper/shared/instant"
	"peerkeeper/shared/plain"
)

// disagreeing says of what lies furthest ahead of the asker's clock: somebody's clock
// is wrong, or was. Functions run all the same, but ages are not what they
// seem, and a person who wonders should be told why.
func (snap *snapshot) disagreeing() []string {
	var furthest time.Time
	what := ""
	note := func(at time.Time, format string, args ...any) {
		if instants.Ahead(at, snap.now, instants.Skew) && at.After(furthest) {
			furthest, what = at, fmt.Sprintf(format, args...)
		}
	}
	for _, function := range slices.Sorted(maps.Keys(snap.runs)) {
		r := snap.runs[function]
		note(r.Started, "a run of %s began", function)
		note(r.Completed, "a run of %s completed", function)
	}
	for _, id := range snap.Mesh.IDs() {
		if r := snap.view.Clusters[id]; r != nil {
			note(r.Seen.At, "%s was read", id)
		}
		if r, looked := snap.certs.Records[id]; looked {
			note(r.At, "the certificates of %s were read", id)
		}
	}
	for _, a := range snap.alarms {
		note(a.Since, "%s was raised", a.Name)
	}
	if what == "" {
		return nil
	}
	return []string{fmt.Sprintf("Clocks disagree: %s at %s, %s ahead of this machine's clock (%s). Either this clock or that one is wrong, or was until it was put right: compare `date -u` on each machine that runs Peerkeeper, and look at NTP there (`timedatectl`, `chronyc tracking`). The functions run all the same.",
		what, stamp(furthest), plain.Duration(furthest.Sub(snap.now)), stamp(snap.now))}
}
