package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/check"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// Preflight is what Cisco's chapter asks of a mesh, row by row, as `preflight` tells it.
type Preflight struct {
	Mesh string `json:"mesh"`
	// AsOf is when the oldest row was judged; nil if none was.
	AsOf   *time.Time  `json:"asOf"`
	Checks []check.Row `json:"checks"`
	// Missing are the clusters whose checks have not been carried out yet.
	Missing []mesh.ClusterID `json:"-"`
	// Unread are the records of checks that could not be read, or not safely.
	Unread []record.Unread `json:"unread,omitempty"`
}

// Preflight reads the rows of the mesh as a whole and of the clusters named, or of all.
func (s Source) Preflight(ctx context.Context, now time.Time, only ...mesh.ClusterID) (Preflight, error) {
	snap, err := s.load(ctx, now, nil)
	if err != nil {
		return Preflight{}, err
	}
	out := Preflight{Mesh: s.Mesh.Name, Checks: []check.Row{}}
	for _, id := range append([]mesh.ClusterID{""}, s.Mesh.IDs()...) {
		if id != "" && len(only) > 0 && !slices.Contains(only, id) {
			continue
		}
		key := store.Preflight(s.Mesh.Name, id).SK
		if i := slices.IndexFunc(snap.unread, func(u record.Unread) bool { return u.Item == key }); i >= 0 {
			out.Unread = append(out.Unread, snap.unread[i])
			continue
		}
		r, judged := snap.checks[id]
		if !judged {
			if id != "" {
				out.Missing = append(out.Missing, id)
			}
			continue
		}
		if at := r.Value.At.UTC(); out.AsOf == nil || at.Before(*out.AsOf) {
			out.AsOf = &at
		}
		out.Checks = append(out.Checks, r.Value.Rows...)
	}
	return out.printable(), nil
}

// failed are the findings of a cluster's checks, or of the mesh's own under "".
func (snap *snapshot) failed(id mesh.ClusterID) []peer.Finding {
	return check.Findings(snap.checks[id].Value.Rows)
}

// failedFor are those that a directed peer may suffer from: of its two clusters, and of no other peer of theirs.
func (snap *snapshot) failedFor(id mesh.PeerID) []peer.Finding {
	var out []peer.Finding
	for _, end := range []mesh.ClusterID{id.From, id.To} {
		rows := slices.DeleteFunc(slices.Clone(snap.checks[end].Value.Rows), func(r check.Row) bool {
			return !r.Peer.IsZero() && r.Peer != id
		})
		out = append(out, check.Findings(rows)...)
	}
	return out
}

// cure is what to do about a finding, where nothing else tells it: of certificates `check certs` does.
func cure(f peer.Finding) string {
	if f.Reason != check.PreflightFailed {
		return ""
	}
	return f.Fix
}

// preflightSheet is the checks as the page shows them.
type preflightSheet struct {
	Counts  []checkCount
	Groups  []checkGroup
	Missing string
}

// checkGroup is the checks of one cluster, or of the mesh as a whole.
type checkGroup struct {
	Key, Name string
	At        time.Time
	Counts    []checkCount
	Parts     []checkPart
	Passed    string // ids
}

// checkPart is a group's rows of one status.
type checkPart struct {
	Title string
	Rows  []checkRow
}

type checkRow struct {
	Key, ID, Step, About, Message, Fix string
	Why                                peer.Reason // it is not known
	Failed                             string      // what it failed with before
	Since                              time.Time
}

type checkCount struct {
	Slug, Icon, Words string
	N                 int
}

// checkSign is how a status looks: colour never carries it alone.
type checkSign struct{ slug, icon, words, title string }

func checkSignOf(s check.Status) checkSign {
	switch s {
	case check.Fail:
		return checkSign{"stuck", "c-false", "failed", "Failed"}
	case check.Manual:
		return checkSign{"recovering", "c-see", "to see", "For a person to see, on Cisco’s pages or a command line"}
	case check.Declared:
		return checkSign{"declared", "c-said", "declared", "As declared, not verified"}
	case check.Pass:
		return checkSign{"healthy", "c-true", "passed", "Passed"}
	}
	return checkSign{"unknown", "s-unknown", "unknown", "Unknown"}
}

func countsOf(of map[check.Status]int) (out []checkCount) {
	for _, s := range check.Statuses() {
		if n := of[s]; n > 0 {
			sign := checkSignOf(s)
			out = append(out, checkCount{sign.slug, sign.icon, sign.words, n})
		}
	}
	return out
}

// preflightSheetOf is nil before anything was checked. Where something failed comes first.
func preflightSheetOf(snap *snapshot) *preflightSheet {
	if len(snap.checks) == 0 {
		return nil
	}
	s, total := &preflightSheet{}, map[check.Status]int{}
	var missing []mesh.ClusterID
	failing := map[string]bool{}
	for _, id := range append([]mesh.ClusterID{""}, snap.Mesh.IDs()...) {
		r, judged := snap.checks[id]
		if !judged {
			if id != "" {
				missing = append(missing, id)
			}
			continue
		}
		by := map[check.Status]int{}
		g := checkGroup{Key: "preflight-" + string(id), Name: cmp.Or(string(id), "the mesh"), At: r.Value.At}
		for _, row := range r.Value.Rows {
			by[row.Status]++
			total[row.Status]++
			failing[g.Key] = failing[g.Key] || row.Status == check.Fail || row.Failed != nil
		}
		g.Counts = countsOf(by)
		g.Parts, g.Passed = checkParts(g.Key, r.Value.Rows)
		s.Groups = append(s.Groups, g)
	}
	slices.SortStableFunc(s.Groups, func(a, b checkGroup) int {
		switch {
		case failing[a.Key] == failing[b.Key]:
			return 0
		case failing[a.Key]:
			return -1
		}
		return 1
	})
	s.Counts, s.Missing = countsOf(total), plain.List(missing)
	return s
}

// checkParts are a group's rows by status; of those that passed the ids are enough.
func checkParts(key string, rows []check.Row) (parts []checkPart, passed string) {
	var ids []string
	for _, status := range check.Statuses() {
		part := checkPart{Title: checkSignOf(status).title}
		for _, r := range rows {
			switch {
			case r.Status != status:
			case status == check.Pass:
				if !slices.Contains(ids, r.ID) {
					ids = append(ids, r.ID)
				}
			default:
				r = printableRow(r)
				row := checkRow{Key: fmt.Sprint(key, " ", r.ID, " ", r.Step, " ", r.About()), ID: r.ID, Step: stepWords(r.Step), About: cmp.Or(r.About(), "the mesh"), Message: r.Message, Fix: r.Fix, Since: r.Since}
				if status == check.Unknown {
					row.Why = r.Reason
				}
				if r.Failed != nil {
					row.Failed, row.Fix = r.Failed.Message, r.Failed.Fix
				}
				part.Rows = append(part.Rows, row)
			}
		}
		if len(part.Rows) > 0 {
			parts = append(parts, part)
		}
	}
	return parts, printable(plain.First(len(ids), ids))
}

// stepWords names a step of the chapter.
func stepWords(step string) string {
	if step != "" && step[0] >= '0' && step[0] <= '9' {
		return "step " + step
	}
	return step
}
