package dashboard

import (
	"fmt"

	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// pushedWords is what became of the lines that nodes pushed, and what to do where
// lines are lost.
func pushedWords(t record.Tally) string {
	count := func(n int64, one, many string) string { return plain.Count(int(n), one, many) }
	said := fmt.Sprintf("since %s %s, %d of them about syncs and peers", stamp(t.Since), count(t.Lines, "line", "lines"), t.Kept)
	if t.Refused > 0 {
		said += "; " + count(t.Refused, "was", "were") + " refused"
		if t.RefusedFrom != "" {
			said += ", the newest from " + t.RefusedFrom
		}
		said += ": name a node's other address or a relay in syslogFrom"
	}
	if n := t.Dropped + t.Kernel; n > 0 {
		said += fmt.Sprintf("; %s lost (%d for want of room, %d by the kernel): send ICSA's alarms alone, or raise net.core.rmem_max", count(n, "was", "were"), t.Dropped, t.Kernel)
	}
	if t.Unreadable > 0 {
		said += "; " + count(t.Unreadable, "was too long or broken", "were too long or broken")
	}
	return said
}
