package stucksync

import (
	"fmt"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/userset"
)

// duplicateUsers fires while preflight's last audit names keys that are at home
// more than once.
func (t *tick) duplicateUsers() []alarm.Firing {
	r, err := t.Snapshot.UserReport()
	if err != nil || r == nil {
		return nil // neither raised nor cleared: undecided says so
	}
	var out []string
	for _, kind := range []struct {
		trouble userset.Trouble
		what    string
		cisco   string
	}{
		{userset.DuplicateUserID, "user ID", "DuplicateUserid"},
		{userset.DuplicateDirectoryURI, "directory URI", "DuplicateDirectoryURI"},
	} {
		n := r.Counts[kind.trouble]
		if n == 0 {
			continue
		}
		keys := r.Keys(kind.trouble)
		keys = keys[:min(len(keys), plain.Listed)]
		text := fmt.Sprintf("%s in more than one home (Cisco's %s): %s", plain.Count(n, kind.what, kind.what+"s"), kind.cisco, plain.List(keys))
		if more := n - len(keys); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, text)
	}
	if len(out) == 0 {
		return nil
	}
	return []alarm.Firing{{Name: alarm.DuplicateUsers, Message: out[0], More: out[1:]}}
}

// duplicatesUnread reports whether the last audit does not tell that there are no
// duplicates: what could not be read clears nothing.
func (t *tick) duplicatesUnread() bool {
	r, err := t.Snapshot.UserReport()
	return err != nil || r == nil || len(r.Unread) > 0
}
