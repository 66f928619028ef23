package dashboard

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// textWidth is the width that status and explain keep to, in columns.
const textWidth = 80

// sign is how a state looks where there is room for two letters. Capitals want
// somebody; the letters alone tell the states apart, colour only repeats it.
type sign struct {
	letters string
	ansi    string // SGR parameters
	slug    string // class name and symbol id on the page
	meaning string
}

func signOf(s peer.State) sign {
	switch s {
	case peer.Healthy:
		return sign{"ok", "32", "healthy", "user sync healthy; presence path not measured"}
	case peer.Suspect:
		return sign{"su", "33", "suspect", "one bad check, or a sync missed; not decided yet"}
	case peer.Degraded:
		return sign{"DG", "1;33", "degraded", "failing, and the cause is known"}
	case peer.Stuck:
		return sign{"ST", "1;31", "stuck", "everything known is good, and yet no sync"}
	case peer.Recovering:
		return sign{"re", "36", "recovering", "a repair is under way, not proven yet"}
	case peer.Cooling:
		return sign{"co", "36", "cooling", "waiting before the next repair"}
	case peer.NeedsHuman:
		return sign{"NH", "1;35", "human", "at the end of what may be done unattended"}
	case peer.Terminated:
		return sign{"--", "2", "terminated", "no longer in mesh.yaml"}
	}
	return sign{"??", "2;37", "unknown", "not known now; nothing is concluded from it"}
}

// ago writes an instant relative to now.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "never"
	case d.Abs() < time.Minute:
		return "just now"
	case d < 0:
		return "in " + plain.Duration(-d)
	default:
		return plain.Duration(d) + " ago"
	}
}

// seen says when a cluster was looked at.
func seen(t, now time.Time) string {
	if t.IsZero() {
		return "not read yet"
	}
	return "seen " + ago(t, now)
}

// stamp writes an instant to the minute, in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04 MST")
}

// modeWords says what a mode may do.
func modeWords(m mesh.Mode) string {
	if m == mesh.Recover {
		return "recover: acts within the policy, through its gate"
	}
	return "observe: never changes a cluster"
}

// paper writes lines, remembers the first error, and wraps.
type paper struct {
	w     io.Writer
	color bool
	err   error
}

func (p *paper) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// paint colours text, which must already be padded: escapes have no width.
func (p *paper) paint(ansi, s string) string {
	if !p.color || ansi == "" {
		return s
	}
	return "\x1b[" + ansi + "m" + s + "\x1b[0m"
}

func (p *paper) heading(s string) { p.line("\n%s", p.paint("1", s)) }

// wrapped writes text under an indent, broken at spaces.
func (p *paper) wrapped(indent int, text string) {
	for _, l := range wrap(text, textWidth-indent) {
		p.line("%s%s", strings.Repeat(" ", indent), l)
	}
}

// hanging writes a label and text beside it, the text wrapped under itself.
func (p *paper) hanging(indent int, label, text string) {
	lines := wrap(text, textWidth-indent)
	if len(lines) == 0 {
		lines = []string{""}
	}
	p.line("%s", strings.TrimRight(pad(label, indent)+lines[0], " "))
	for _, l := range lines[1:] {
		p.line("%s%s", strings.Repeat(" ", indent), l)
	}
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

func pad(s string, width int) string {
	if n := utf8.RuneCountInString(s); n < width {
		return s + strings.Repeat(" ", width-n)
	}
	return s
}

// clip shortens to a width, the cut shown.
func clip(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	return string(r[:width-1]) + "…"
}

// countWords is "5 Healthy, 1 Stuck", worst first.
func countWords(counts map[peer.State]int) string {
	var parts []string
	for _, s := range peer.States() {
		if n := counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return "no peers"
	}
	return strings.Join(parts, ", ")
}

// listedPeers is up to how many peers status lists one by one.
const listedPeers = 12

// WriteStatus writes a status for a terminal of 80 columns. Beyond a dozen
// peers they are grouped by cause, and the healthy ones counted.
func WriteStatus(w io.Writer, st Status, color bool) error {
	st = st.printable()
	p := &paper{w: w, color: color}
	p.line("%s  %s", p.paint("1", st.Mesh), modeWords(st.Policy))
	p.line("as of %s", stamp(st.AsOf))
	p.wrapped(0, countWords(st.Counts))

	p.heading("RUNS")
	if len(st.LastRun) == 0 {
		p.line("  nothing has completed yet")
	}
	for _, f := range st.functions() {
		late := ""
		if slices.Contains(st.Overdue, f) {
			late = "  " + p.paint("1;33", "OVERDUE")
		}
		p.line("  %s  %s  %s%s", pad(f, 10), stamp(st.LastRun[f]), ago(st.LastRun[f], st.AsOf), late)
	}
	for _, f := range st.Overdue {
		if _, ok := st.LastRun[f]; !ok {
			p.line("  %s  %s  %s", pad(f, 10), "never completed", p.paint("1;33", "OVERDUE"))
		}
	}

	for _, c := range st.Clocks {
		p.hanging(2, "", c)
	}
	if st.Pushed != nil {
		p.heading("PUSHED LINES")
		p.wrapped(2, pushedWords(*st.Pushed))
	}

	if len(st.Alarms) > 0 {
		p.heading("ALARMS")
		for _, a := range st.Alarms {
			p.line("  %s  %s  since %s", pad(string(a.Severity), 8), a.About(), stamp(a.Since))
			p.wrapped(12, a.Name+": "+a.Message)
		}
	}

	if len(st.Plans) > 0 {
		p.heading("PLANS")
		for _, r := range changeRows(st.Plans) {
			p.line("  %s  %s, since %s", r.ID, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Kind, r.State, r.Where)), stamp(r.Since))
			if r.Why != "" {
				p.wrapped(4, r.Why)
			}
			if r.Holds != "" {
				p.wrapped(4, "meanwhile "+r.Holds)
			}
		}
	}

	p.heading("CLUSTERS")
	idWidth, relWidth := 4, 7
	for _, c := range st.Clusters {
		idWidth, relWidth = max(idWidth, min(len(c.ID), 16)), max(relWidth, min(len(releaseText(c)), 30))
	}
	for _, c := range st.Clusters {
		users := "users not read"
		if c.Users != nil {
			users = fmt.Sprintf("%d users", *c.Users)
		}
		p.line("  %s  %s  %s  %s", pad(clip(string(c.ID), 16), idWidth), pad(clip(releaseText(c), 30), relWidth), users, seen(c.Observed, st.AsOf))
		for _, n := range c.Nodes {
			if n.Release != "" || n.HAState != nil {
				p.wrapped(4, fmt.Sprintf("%s  %s  %s, HA %s", n.Name, cmp.Or(n.Release, "release not read"), n.HAText(), n.HA))
			}
		}
		p.findings(c.Findings)
	}
	if len(st.Findings) > 0 {
		p.line("  the mesh")
		p.findings(st.Findings)
	}

	p.heading("PEERS  a>b: a pulls the users of b")
	if len(st.Peers) <= listedPeers {
		p.peers(st)
	} else {
		p.groups(st)
	}

	if len(st.Unread) > 0 {
		p.heading("NOT READ")
		for _, u := range st.Unread {
			p.wrapped(2, u.Item+": "+string(u.Reason)+": "+u.Message)
		}
	}
	return p.err
}

// findings lists what a person should know of a cluster, of the mesh or of a peer's ends.
func (p *paper) findings(all []peer.Finding) {
	for _, f := range all {
		since := ""
		if !f.Since.IsZero() {
			since = " (since " + stamp(f.Since) + ")"
		}
		p.hanging(14, "    "+string(f.Severity), string(f.Reason)+": "+f.Message+since)
		if do := cure(f); do != "" {
			p.hanging(14, "", "to do: "+do)
		}
	}
}

// peers lists every peer.
func (p *paper) peers(st Status) {
	width := 9
	for _, x := range st.Peers {
		width = max(width, min(len(x.ID.String()), 30))
	}
	for _, x := range st.Peers {
		s := signOf(x.State)
		rest := x.Cause
		for _, o := range x.Overlays {
			rest += "  [" + string(o) + "]"
		}
		p.line("  %s  %s  %s", p.paint(s.ansi, s.letters), pad(clip(x.ID.String(), 30), width),
			strings.TrimRight(pad(string(x.State), 10)+"  "+pad(lasting(x.Since, st.AsOf), longest)+" "+rest, " "))
		if c, ok := x.causing(); ok {
			p.wrapped(6, string(c.Reason)+": "+c.Message)
		}
	}
}

// groups lists what is not Healthy by cause, and counts the rest.
func (p *paper) groups(st Status) {
	for _, g := range st.groups() {
		s := signOf(g.State)
		p.line("  %s  %s", p.paint(s.ansi, s.letters), strings.Join(nonEmpty(string(g.State), g.who(), lasting(g.Since, st.AsOf)), "  "))
		if g.Reason == peer.Reason(g.Cause) {
			p.wrapped(6, g.Cause+": "+g.Message)
		} else if g.Reason != "" {
			p.wrapped(6, g.Cause+", "+string(g.Reason)+": "+g.Message)
		} else if g.Cause != "" {
			p.wrapped(6, g.Cause)
		}
	}
	if n := st.Counts[peer.Healthy]; n > 0 {
		s := signOf(peer.Healthy)
		p.line("  %s  %d Healthy", p.paint(s.ansi, s.letters), n)
	}
}

// longest is the width of "for under 1 min" and "for 23 h 59 min".
const longest = 15

// lasting is "for 7 min", or nothing if it is not known since when.
func lasting(since, now time.Time) string {
	if since.IsZero() {
		return ""
	}
	return "for " + plain.Duration(now.Sub(since))
}

// causing is the condition that explains the state, if it is one.
func (x Peer) causing() (peer.Condition, bool) {
	if x.State == peer.Healthy {
		return peer.Condition{}, false
	}
	want := x.Cause
	if want == peer.DataDiffers {
		want = string(peer.UsersMatch)
	}
	for _, c := range x.Conditions {
		if string(c.Type) == want && c.Reason != peer.NotChecked {
			return c, true
		}
	}
	return peer.Condition{}, false
}

// WriteMatrix writes every directed peer as two letters. Thirty clusters fit
// 120 columns: their columns are numbered, and the rows carry the numbers.
func WriteMatrix(w io.Writer, st Status, color bool) error {
	st = st.printable()
	p := &paper{w: w, color: color}
	m := st.Matrix()
	n := len(m.Clusters)
	label, widest := 0, 2
	for _, id := range m.Clusters {
		label = max(label, min(len(id), 14))
		widest = max(widest, len(id))
	}
	numbered := label+2+n*(widest+2) > textWidth
	cell := widest + 2
	head := func(i int) string { return string(m.Clusters[i]) }
	if numbered {
		cell = 3
		head = func(i int) string { return fmt.Sprintf("%2d", i+1) }
		label += 3
	}
	p.line("%s  %s  as of %s", p.paint("1", st.Mesh), "row pulls the users of column", stamp(st.AsOf))
	p.line("")
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", label+1))
	for i := range n {
		b.WriteString(right(head(i), cell))
	}
	p.line("%s", b.String())
	for i, row := range m.Cells {
		b.Reset()
		name := clip(string(m.Clusters[i]), 14)
		if numbered {
			name = fmt.Sprintf("%2d %s", i+1, name)
		}
		b.WriteString(pad(name, label+1))
		for j, s := range row {
			switch {
			case s != nil:
				g := signOf(*s)
				b.WriteString(strings.Repeat(" ", cell-2) + p.paint(g.ansi, g.letters))
			case i == j:
				b.WriteString(right("·", cell))
			default:
				b.WriteString(strings.Repeat(" ", cell))
			}
		}
		p.line("%s", strings.TrimRight(b.String(), " "))
	}
	p.line("")
	for _, s := range peer.States() {
		if st.Counts[s] == 0 {
			continue
		}
		g := signOf(s)
		p.line("%s  %s %s %s", p.paint(g.ansi, g.letters), right(fmt.Sprint(st.Counts[s]), 4), pad(string(s), 10), g.meaning)
	}
	return p.err
}

func right(s string, width int) string {
	if n := utf8.RuneCountInString(s); n < width {
		return strings.Repeat(" ", width-n) + s
	}
	return s
}

// WriteExplain writes one peer for a terminal of 80 columns.
func WriteExplain(w io.Writer, e Explanation, color bool) error {
	e = e.printable()
	p := &paper{w: w, color: color}
	s := signOf(e.State)
	p.line("%s  %s pulls the users of %s", p.paint("1", e.ID.String()), e.ID.From, e.ID.To)
	state := string(e.State)
	if e.Cause != "" {
		state += " (" + e.Cause + ")"
	}
	if !e.Since.IsZero() {
		state += fmt.Sprintf(" for %s, since %s", plain.Duration(e.AsOf.Sub(e.Since)), stamp(e.Since))
	}
	p.line("%s  %s", p.paint(s.ansi, s.letters), state)
	for _, o := range e.Overlays {
		p.line("    %s: %s", o, e.overlayWords(o))
	}
	if e.Reverse != nil {
		p.wrapped(4, e.Reverse.Words)
	}
	if a := e.LastAction; a != nil {
		p.wrapped(4, fmt.Sprintf("Last action, proposed since %s: %s. %s", stamp(a.At), a.Action, a.Outcome))
	}
	if l := e.Ladder; l != nil {
		p.wrapped(4, fmt.Sprintf("Repair since %s: %s. %s.", stamp(l.Entered), rungWords(l.Rung), l.Evidence))
	}

	if len(e.Next) > 0 {
		p.heading("WHAT TO DO NEXT")
		for i, step := range e.Next {
			where := strings.Join(nonEmpty(step.On, step.Menu), " · ")
			label := fmt.Sprintf("%3d  ", i+1)
			if where != "" {
				p.hanging(5, label, where)
				label = ""
			}
			p.hanging(5, label, step.Do)
		}
	}

	if len(e.Findings) > 0 {
		p.heading("FOUND BY PREFLIGHT AT ITS ENDS")
		p.findings(e.Findings)
	}

	p.heading("CONDITIONS")
	for _, c := range e.Conditions {
		mark, ansi := "?", "2;37"
		switch c.Status {
		case peer.True:
			mark, ansi = "+", "32"
		case peer.False:
			mark, ansi = "X", "1;31"
		}
		p.line("  %s  %s %s", p.paint(ansi, mark), pad(string(c.Type), 18), string(c.Reason))
		p.wrapped(5, c.Message)
		p.wrapped(5, "("+facts(c)+")")
	}

	p.heading("CISCO'S CLOCKS")
	c := e.Clocks
	p.line("  sync interval %s (%s)", c.Interval.String(), cmp.Or(string(c.Basis), "not known"))
	if c.LastSync != nil {
		p.line("  last success  %s  %s", stamp(*c.LastSync), ago(*c.LastSync, e.AsOf))
	}
	if c.Pushed != nil {
		p.line("  pushed        %s  %s, unconfirmed", stamp(*c.Pushed), ago(*c.Pushed, e.AsOf))
	}
	if c.From != "" {
		p.wrapped(2, c.From)
	}
	for _, k := range []struct {
		name, what string
		at         *time.Time
	}{{"a", "interval + 2 h", c.A}, {"b", "4 intervals", c.B}} {
		if k.at == nil {
			continue
		}
		first := ""
		if k.name == c.First {
			first = ", first"
		}
		p.line("  clock %s  %s  %s  (%s%s)", strings.ToUpper(k.name), stamp(*k.at), ago(*k.at, e.AsOf), k.what, first)
	}

	p.heading("CHANGES IN THE LAST 24 H")
	if len(e.Changes) == 0 {
		p.line("  none")
	}
	for _, f := range e.Changes {
		why := ""
		if f.Reason != "" {
			why = "  " + string(f.Reason)
		}
		p.line("  %s  %s %s > %s%s", stamp(f.At), pad(string(f.Type), 18), f.From, f.To, why)
	}
	return p.err
}

// facts is how a condition is known, since when, and when it was last read.
func facts(c peer.Condition) string {
	parts := []string{knownBy(c)}
	if !c.Since.IsZero() {
		parts = append(parts, "since "+stamp(c.Since))
	}
	if !c.Observed.IsZero() {
		parts = append(parts, "read "+stamp(c.Observed))
	}
	return strings.Join(parts, ", ")
}

// knownBy labels how a condition is known; what is Unknown has no basis.
func knownBy(c peer.Condition) string {
	if c.Status == peer.UnknownStatus {
		return "not known"
	}
	return basisWords(c.Basis)
}

// basisWords labels how a statement is known.
func basisWords(b peer.Basis) string {
	if b == peer.Cisco {
		return "Cisco's own alarm"
	}
	return string(b)
}

// overlayWords says what an overlay holds back.
func (p Peer) overlayWords(o peer.Overlay) string {
	switch o {
	case peer.Paused:
		return "a person has paused it; no actions"
	case peer.Maintenance:
		return "declared maintenance; no notices, no actions"
	case peer.Flapping:
		return "went to and fro in the last 24 h; notices are held"
	case peer.Acknowledged:
		return "a person knows of it; not repeated"
	case peer.Upgrading:
		return "nodes differ in version or restarted together"
	case peer.Rewound:
		return "counts or clocks jumped back, as after a restored backup"
	case peer.Changing:
		if p.Changing == "" {
			return "a plan changed it until a moment ago"
		}
		return fmt.Sprintf("plan %s changes it; no notices, no repairs (`peerkeeper peering show %s`)", p.Changing, p.Changing)
	}
	return "held"
}

func nonEmpty(all ...string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// releaseText is a cluster's release; one that is only declared says so.
func releaseText(c Cluster) string {
	switch {
	case c.Release == "":
		return "?"
	case c.Basis == peer.Declared:
		return c.Release + " (declared)"
	}
	return c.Release
}
