package dashboard

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
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
	Groups                                      []groupRow
	Unread                                      []Unread
	Clocks                                      []string
	Columns                                     []string
	Rows                                        []matrixRow
	Legend                                      []legendRow
	Clusters                                    []clusterRow
	Trust                                       *trustSheet // nil before certcheck has looked
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
	Peer, Slug, Words string
	State             peer.State
	Self, Chosen      bool
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
	Key, Message string
	Severity     peer.Severity
	Reason       peer.Reason
	Since        time.Time
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

type clockRow struct {
	Interval, Basis, From string
	Last, A, B            time.Time
	HasLast, HasA, FirstA bool
	Figure                *figure
}

// figure is the line from the last success to both limits, in the units of an
// SVG 360 wide.
type figure struct {
	Words                                    string
	Start, End, OK, LateX, Late, OverX, Over float64
	Ticks                                    []float64
	Marks                                    []figureMark
}

type figureMark struct {
	X                   float64
	Y1, Y2, TextY       int
	Anchor, Text, Class string
}

// parts is the HTML that all pages of an edition share: with 870 cells it is
// most of the work.
type parts struct {
	sheet            *sheet
	Attention, Below template.HTML
	Rows             []template.HTML
}

// html is the page, with one peer's panel if id names one. In the press's turn
// only.
func (h *handler) html(e *edition, id mesh.PeerID) ([]byte, error) {
	var chosen *Explanation
	if id != (mesh.PeerID{}) {
		x, err := e.snap.explain(id)
		if err != nil {
			return nil, err
		}
		chosen = &x
	}
	if e.parts == nil {
		made, err := h.parts(e)
		if err != nil {
			return nil, err
		}
		e.parts = made
	}
	s := *e.parts.sheet
	s.Parts = e.parts
	if chosen != nil {
		s.Chosen = panelOf(chosen.printable())
		s.Chosen.Timeline = timelineSheetOf(e.snap, id)
		s.DocTitle = fmt.Sprintf("%s %s · %s", chosen.ID, chosen.State, s.Mesh)
		var err error
		if s.Parts, err = h.marked(e.parts, id); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	err := h.tmpl.Execute(&b, &s)
	return b.Bytes(), err
}

// parts renders what the pages of an edition share.
func (h *handler) parts(e *edition) (*parts, error) {
	s := h.sheet(e.status, e.etag)
	s.Trust = trustSheetOf(e.snap)
	p := &parts{sheet: s}
	var errs [2]error
	p.Attention, errs[0] = h.part("attention", s)
	p.Below, errs[1] = h.part("below", s)
	for _, row := range s.Rows {
		text, err := h.part("row", row)
		if err != nil {
			return nil, err
		}
		p.Rows = append(p.Rows, text)
	}
	return p, errors.Join(errs[:]...)
}

// part renders one part. What it returns has been escaped by the template.
func (h *handler) part(name string, data any) (template.HTML, error) {
	var b strings.Builder
	err := h.tmpl.ExecuteTemplate(&b, name, data)
	return template.HTML(b.String()), err
}

// marked is the parts with one peer's cell marked as the chosen one.
func (h *handler) marked(p *parts, id mesh.PeerID) (*parts, error) {
	out := *p
	for i, row := range p.sheet.Rows {
		at := slices.IndexFunc(row.Cells, func(c cell) bool { return c.Peer == id.String() })
		if at < 0 {
			continue
		}
		row.Cells = slices.Clone(row.Cells)
		row.Cells[at].Chosen = true
		text, err := h.part("row", row)
		if err != nil {
			return nil, err
		}
		out.Rows = slices.Clone(p.Rows)
		out.Rows[i] = text
	}
	return &out, nil
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
	case total-healthy == 1:
		return fmt.Sprintf("1 of %d peers is not healthy", total)
	}
	return fmt.Sprintf("%d of %d peers are not healthy", total-healthy, total)
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
			row.Cells[j] = cell{Peer: p.ID.String(), Slug: signOf(p.State).slug, State: p.State, Words: words}
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
	for _, f := range c.Findings {
		row.Findings = append(row.Findings, findingRow{
			Key: string(c.ID) + " " + string(f.ID), Severity: f.Severity, Reason: f.Reason, Message: f.Message, Since: f.Since,
		})
	}
	return row
}

func panelOf(e Explanation) *panel {
	p := &panel{
		From: string(e.ID.From), To: string(e.ID.To), Slug: signOf(e.State).slug, State: e.State, Cause: e.Cause,
		Since: e.Since, HasSince: !e.Since.IsZero(), Next: e.Next, Changes: e.Changes, LastAction: e.LastAction,
	}
	for _, o := range e.Overlays {
		p.Overlays = append(p.Overlays, overlayRow{string(o), overlayWords(o)})
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
	if e.Clocks.Interval != 0 {
		p.Clocks = clockRowOf(e.Clocks, e.AsOf)
	}
	return p
}

func clockRowOf(c Clocks, now time.Time) *clockRow {
	row := &clockRow{Interval: c.Interval.String(), Basis: basisWords(c.Basis), From: c.From, FirstA: c.First == "a"}
	if c.LastSync != nil {
		row.Last, row.HasLast = *c.LastSync, true
	}
	if c.A != nil && c.B != nil {
		row.A, row.B, row.HasA = *c.A, *c.B, true
		if row.HasLast {
			row.Figure = figureOf(c, now)
		}
	}
	return row
}

// figureOf draws the time since the last success against both limits.
func figureOf(c Clocks, now time.Time) *figure {
	const left, right = 4.0, 356.0
	start, first := *c.LastSync, c.At()
	end := now
	for _, t := range []time.Time{*c.A, *c.B} {
		if t.After(end) {
			end = t
		}
	}
	whole := max(end.Sub(start), time.Minute)
	x := func(t time.Time) float64 {
		at := left + (right-left)*0.96*float64(t.Sub(start))/float64(whole)
		return math.Round(10*min(max(at, left), right)) / 10
	}
	due := start.Add(c.Interval.D())
	f := &figure{
		Start: left, End: right, LateX: x(due), OverX: x(first),
		OK: x(earlier(now, due)) - left,
	}
	f.Late = max(0, x(earlier(now, first))-f.LateX)
	f.Over = max(0, x(now)-f.OverX)
	for _, w := range []*float64{&f.OK, &f.Late, &f.Over} {
		*w = math.Round(10**w) / 10
	}
	for t := due; !t.After(end) && len(f.Ticks) < 100; t = t.Add(c.Interval.D()) {
		f.Ticks = append(f.Ticks, x(t))
	}
	anchor := func(at float64) string {
		switch {
		case at < 40:
			return "start"
		case at > 325:
			return "end"
		}
		return "middle"
	}
	clock := func(name string, t time.Time, y int) figureMark {
		m := figureMark{X: x(t), Y1: 28, Y2: 46, TextY: y, Anchor: anchor(x(t)), Text: name + " " + t.Format("15:04")}
		if t.Equal(first) && strings.EqualFold(name, c.First) {
			m.Class = "first"
		}
		return m
	}
	// Labels that would touch go on two lines.
	yA, yB := 60, 60
	if math.Abs(x(*c.A)-x(*c.B)) < 80 {
		yB = 73
	}
	for _, m := range []struct {
		t time.Time
		y *int
	}{{*c.A, &yA}, {*c.B, &yB}} {
		if x(m.t) < 100 { // beside "last success"
			*m.y = 73
		}
	}
	f.Marks = []figureMark{clock("A", *c.A, yA), clock("B", *c.B, yB)}
	f.Marks = append(f.Marks, figureMark{X: x(now), Y1: 22, Y2: 46, TextY: 16, Anchor: anchor(x(now)), Text: "now", Class: "now"})
	f.Words = fmt.Sprintf("Last success %s, now %s; clock A at %s, clock B at %s.", stamp(start), stamp(now), stamp(*c.A), stamp(*c.B))
	return f
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
