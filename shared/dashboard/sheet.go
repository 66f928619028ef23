package dashboard

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/record"
)

// sheet is what the template shows: every text already made printable, every
// instant already in words.
type sheet struct {
	Title, DocTitle, Mesh, Headline, Mode, Note string
	Simulated                                   bool
	IconColor                                   string // hex, of the worst state
	Size                                        string // class name by the number of clusters
	ETag                                        string
	AsOf                                        time.Time
	Runs                                        []runRow
	Counts                                      []countRow
	Alarms                                      []alarmRow
	Plans                                       []changeRow
	Groups                                      []groupRow
	Unread                                      []record.Unread
	Clocks                                      []string
	Pushed                                      string
	Columns                                     []string
	Rows                                        []matrixRow
	Legend                                      []legendRow
	Clusters                                    []clusterRow
	Trust                                       *trustSheet     // nil before certcheck has looked
	Preflight                                   *preflightSheet // nil before preflight has looked
	Chosen                                      *panel
	LogOut                                      string
	Parts                                       *parts
}

// instant is a time in the three ways that the page writes it; ISO is "" for
// a time that is not known.
type instant struct{ ISO, Rel, Abs string }

// When puts an instant relative to the sheet's own.
func (s *sheet) When(t time.Time) instant {
	if t.IsZero() {
		return instant{}
	}
	return instant{t.UTC().Format(time.RFC3339), ago(t, s.AsOf), stamp(t)}
}

type runRow struct {
	Name    string
	At      time.Time
	Overdue bool
}

type countRow struct {
	Slug  string
	State peer.State
	N     int
}

type alarmRow struct {
	Fingerprint, Name, About, Message string
	Severity                          peer.Severity
	Linked                            bool // About is a peer of this mesh
	Since                             time.Time
	Local                             string
}

type groupRow struct {
	Key, Slug, Who, Link   string
	State                  peer.State
	Cause, Reason, Message string
	Since                  time.Time
	HasSince               bool
}

type matrixRow struct {
	ID    string
	Cells []cell
}

type cell struct {
	Peer, Slug, Words      string
	State                  peer.State
	Self, Chosen, Changing bool
}

type legendRow struct {
	Slug, Meaning string
	State         peer.State
	Here          bool // in this mesh now
}

type clusterRow struct {
	ID, Release, UsersText, TimeZone string
	Declared                         bool
	Observed                         time.Time
	Nodes                            []string
	Findings                         []findingRow
}

type findingRow struct {
	Key, Message, Fix string
	Severity          peer.Severity
	Reason            peer.Reason
	Since             time.Time
}

type panel struct {
	From, To, Slug, Cause string
	State                 peer.State
	Since                 time.Time
	HasSince              bool
	Overlays              []overlayRow
	Back                  *backRow
	Ladder                *ladderRow
	LastAction            *Acted
	Next                  []procedure.Step
	Conditions            []conditionRow
	Findings              []findingRow
	Clocks                *clockRow
	Timeline              *timelineSheet // nil while no certificate has been read
	Changes               []peer.Flip
}

type overlayRow struct{ Name, Words string }

type ladderRow struct {
	Rung, Evidence string
	Entered        time.Time
}

type backRow struct{ ID, Slug, Words string }

type conditionRow struct {
	Type, Status, Class, Icon, Reason, Message string
	BasisText, BasisClass                      string
	Since, Observed                            time.Time
	HasSince, HasObserved                      bool
}

// sheet is the page without a chosen peer.
func (h *handler) sheet(st Status, etag string) *sheet {
	st = st.printable()
	s := &sheet{
		LogOut: h.LogOut,
		Title:  h.title(), Mesh: st.Mesh, Mode: modeWords(st.Policy), Note: h.Note, Simulated: st.Simulated,
		AsOf: st.AsOf, ETag: etag, Headline: headline(st), IconColor: iconColor(st),
	}
	s.DocTitle = fmt.Sprintf("%s · %s", s.Headline, s.Mesh)
	switch n := len(st.Clusters); {
	case n <= 5:
		s.Size = "small"
	case n <= 14:
		s.Size = "medium"
	default:
		s.Size = "large"
	}
	for _, f := range st.functions() {
		s.Runs = append(s.Runs, runRow{f, st.LastRun[f], slices.Contains(st.Overdue, f)})
	}
	for _, f := range st.Overdue {
		if _, ok := st.LastRun[f]; !ok {
			s.Runs = append(s.Runs, runRow{Name: f, Overdue: true})
		}
	}
	s.Plans = changeRows(st.Plans)
	for _, state := range peer.States() {
		g := signOf(state)
		if n := st.Counts[state]; n > 0 {
			s.Counts = append(s.Counts, countRow{g.slug, state, n})
		}
		s.Legend = append(s.Legend, legendRow{g.slug, g.meaning, state, st.Counts[state] > 0})
	}
	for _, a := range st.Alarms {
		s.Alarms = append(s.Alarms, h.alarmRow(st, a))
	}
	for _, g := range st.groups() {
		row := groupRow{
			Slug: signOf(g.State).slug, State: g.State, Who: g.who(), Since: g.Since, HasSince: !g.Since.IsZero(),
			Cause: g.Cause, Reason: string(g.Reason), Message: g.Message,
			Key: string(g.State) + " " + g.Peers[0].String(),
		}
		if len(g.Peers) == 1 {
			row.Link = g.Peers[0].String()
		}
		s.Groups = append(s.Groups, row)
	}
	s.Unread, s.Clocks = st.Unread, st.Clocks
	if st.Pushed != nil {
		s.Pushed = pushedWords(*st.Pushed)
	}
	s.matrix(st)
	for _, c := range st.Clusters {
		s.Clusters = append(s.Clusters, clusterRowOf(c))
	}
	return s
}

// headline says in one line how the mesh is.
func headline(st Status) string {
	total := len(st.Peers) - st.Counts[peer.Terminated]
	healthy := st.Counts[peer.Healthy]
	switch {
	case total == 0:
		return "No peers yet"
	case healthy == total && len(st.Overdue) == 0 && len(st.Unread) == 0:
		return fmt.Sprintf("All %d peers are healthy", total)
	case st.Counts[peer.StateUnknown] == total:
		return fmt.Sprintf("Nothing is known of %d peers", total)
	case healthy == total:
		return fmt.Sprintf("All %d peers were healthy at the last check", total)
	}
	changing := st.changing()
	ill := total - healthy - changing
	switch {
	case ill == 0:
		return plain.Count(changing, "peer is", "peers are") + fmt.Sprintf(" being changed by a plan, the other %d are healthy", healthy)
	case ill == 1:
		return fmt.Sprintf("1 of %d peers is not healthy", total) + besides(changing)
	}
	return fmt.Sprintf("%d of %d peers are not healthy", ill, total) + besides(changing)
}

func besides(changing int) string {
	if changing == 0 {
		return ""
	}
	return "; " + plain.Count(changing, "more is", "more are") + " being changed by a plan"
}

// changing counts the peers that are not healthy while a plan changes them.
func (st Status) changing() int {
	n := 0
	for _, p := range st.Peers {
		if p.Changing != "" && p.State != peer.Healthy && p.State != peer.Terminated {
			n++
		}
	}
	return n
}

// iconColor colours the tab's icon: it can be seen while the tab is not.
func iconColor(st Status) string {
	for _, s := range []peer.State{peer.NeedsHuman, peer.Stuck, peer.Degraded} {
		if st.Counts[s] > 0 {
			return "b3261e"
		}
	}
	if !st.Healthy() {
		return "7a8288"
	}
	return "2f6f4f"
}

func (h *handler) alarmRow(st Status, a alarm.Notice) alarmRow {
	row := alarmRow{Fingerprint: a.Fingerprint, Severity: a.Severity, Name: a.Name, About: a.About(), Message: a.Message, Since: a.Since, Local: stamp(a.Since)}
	cluster := a.Cluster
	if !a.Peer.IsZero() {
		_, row.Linked = st.Peer(a.Peer)
		cluster = a.Peer.From
	}
	// The time zone of the cluster that is concerned: its people are asked.
	if c, ok := h.Mesh.Cluster(cluster); ok {
		if zone, err := time.LoadLocation(c.TimeZone); err == nil && zone != time.UTC {
			row.Local = fmt.Sprintf("%s in %s (%s)", a.Since.In(zone).Format("15:04 on 2 Jan"), c.TimeZone, stamp(a.Since))
		}
	}
	return row
}

func (s *sheet) matrix(st Status) {
	m := st.Matrix()
	by := make(map[mesh.PeerID]*Peer, len(st.Peers))
	for i := range st.Peers {
		by[st.Peers[i].ID] = &st.Peers[i]
	}
	for i, from := range m.Clusters {
		s.Columns = append(s.Columns, string(from))
		row := matrixRow{ID: string(from), Cells: make([]cell, len(m.Clusters))}
		for j, to := range m.Clusters {
			p := by[mesh.PeerID{From: from, To: to}]
			if p == nil {
				row.Cells[j].Self = i == j
				continue
			}
			words := fmt.Sprintf("%s pulls from %s: %s", from, to, p.State)
			if !p.Since.IsZero() {
				words += " since " + stamp(p.Since)
			}
			if p.Cause != "" {
				words += ", " + p.Cause
			}
			if p.Changing != "" {
				words += ", plan " + p.Changing + " changes it"
			}
			row.Cells[j] = cell{Peer: p.ID.String(), Slug: signOf(p.State).slug, State: p.State, Words: words, Changing: p.Changing != ""}
		}
		s.Rows = append(s.Rows, row)
	}
}

func clusterRowOf(c Cluster) clusterRow {
	row := clusterRow{
		ID: string(c.ID), Release: cmp.Or(c.Release, "not known"), Declared: c.Basis == peer.Declared && c.Release != "",
		TimeZone: c.TimeZone, Observed: c.Observed, UsersText: "not read",
	}
	if c.Users != nil {
		row.UsersText = fmt.Sprint(*c.Users)
	}
	for _, n := range c.Nodes {
		if n.Release != "" || n.HAState != nil {
			row.Nodes = append(row.Nodes, fmt.Sprintf("%s · %s · %s, HA %s", n.Name, cmp.Or(n.Release, "release not read"), n.HAText(), n.HA))
		}
	}
	row.Findings = findingRows(string(c.ID), c.Findings)
	return row
}

func findingRows(about string, all []peer.Finding) (out []findingRow) {
	for _, f := range all {
		out = append(out, findingRow{Key: about + " " + string(f.ID), Severity: f.Severity, Reason: f.Reason, Message: f.Message, Fix: cure(f), Since: f.Since})
	}
	return out
}

func panelOf(e Explanation) *panel {
	p := &panel{
		From: string(e.ID.From), To: string(e.ID.To), Slug: signOf(e.State).slug, State: e.State, Cause: e.Cause,
		Since: e.Since, HasSince: !e.Since.IsZero(), Next: e.Next, Changes: e.Changes, LastAction: e.LastAction,
	}
	for _, o := range e.Overlays {
		p.Overlays = append(p.Overlays, overlayRow{string(o), e.overlayWords(o)})
	}
	if e.Reverse != nil {
		p.Back = &backRow{e.Reverse.ID.String(), signOf(e.Reverse.State).slug, e.Reverse.Words}
	}
	if l := e.Ladder; l != nil {
		p.Ladder = &ladderRow{rungWords(l.Rung), l.Evidence, l.Entered}
	}
	for _, c := range e.Conditions {
		row := conditionRow{
			Type: string(c.Type), Status: string(c.Status), Reason: string(c.Reason), Message: c.Message,
			BasisText: knownBy(c), BasisClass: string(c.Basis), Class: "unknown-c", Icon: "s-unknown",
			Since: c.Since, HasSince: !c.Since.IsZero(), Observed: c.Observed, HasObserved: !c.Observed.IsZero(),
		}
		switch c.Status {
		case peer.True:
			row.Class, row.Icon = "true", "c-true"
		case peer.False:
			row.Class, row.Icon = "false", "c-false"
		}
		p.Conditions = append(p.Conditions, row)
	}
	p.Findings = findingRows(e.ID.String(), e.Findings)
	if e.Clocks.Interval != 0 {
		p.Clocks = clockRowOf(e.Clocks, e.AsOf)
	}
	return p
}
