package dashboard

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// Certificates is who trusts whose certificate, as /api/trust.json has it.
type Certificates struct {
	Mesh  string             `json:"mesh"`
	AsOf  time.Time          `json:"asOf"`
	Trust certificate.Matrix `json:"trust"`
	// Copy are the certificates that a person must copy by hand.
	Copy []certificate.Copy `json:"copy"`
}

func (snap *snapshot) certificates() Certificates {
	return Certificates{Mesh: snap.Mesh.Name, AsOf: snap.now.UTC(), Trust: snap.certs.Trust(), Copy: snap.certs.Copies()}
}

func (h *handler) trust(w http.ResponseWriter, r *http.Request) {
	if e, ok := h.current(w, r); ok {
		h.json(w, r, e, "trust", "", func() (string, any, error) { return e.snap.tag(nil, nil), e.snap.certificates(), nil })
	}
}

// trustSheet is the matrix of trust as the page shows it: a row is the cluster
// whose certificates are meant, a column the one that must trust them.
type trustSheet struct {
	Columns []string
	Rows    []trustRow
	Legend  []trustSign
	Copies  []copyRow
	More    int // copies of files beyond those listed
	// Unread says why no store, or not every store, is read.
	Unread []string
	None   bool // no store is read at all
}

type trustRow struct {
	ID    string
	Cells []trustMark
}

type trustMark struct {
	Slug, Icon, Words string
	Self              bool
	N                 int // certificates that have the worst verdict, where there are several
}

type trustSign struct{ Slug, Icon, Name, Meaning string }

// copyRow is one file with every store that it must be copied to.
type copyRow struct {
	Key, File, Node, From, Store string
	To                           []string // "imp-emea-pub.example.com (emea)"
	Stale                        int      // of them hold a former copy
}

// copiesShown is how many files the page lists; the command lists all.
const copiesShown = 20

// trustSigns gives each verdict its sign: colour never carries it alone.
func trustSigns() map[certificate.Verdict]trustSign {
	return map[certificate.Verdict]trustSign{
		certificate.Missing:   {"stuck", "c-false", "missing", "not in the trust store"},
		certificate.StaleCopy: {"degraded", "s-suspect", "old copy", "the store holds a former certificate of the same name"},
		certificate.Unknown:   {"unknown", "s-unknown", "unknown", "the trust store is not read"},
		certificate.CATrusted: {"healthy", "t-ca", "by its CA", "the store holds the CA that signed it"},
		certificate.Trusted:   {"healthy", "c-true", "trusted", "the store holds the certificate itself"},
	}
}

func trustSheetOf(snap *snapshot) *trustSheet {
	c := snap.certificates()
	m := c.Trust
	if len(m.Rows) == 0 {
		return nil
	}
	s := &trustSheet{None: true}
	signs, here := trustSigns(), map[certificate.Verdict]bool{}
	of := map[mesh.ClusterID][]certificate.Row{}
	for _, r := range m.Rows {
		of[r.Cluster] = append(of[r.Cluster], r)
	}
	for _, owner := range m.Clusters {
		s.Columns = append(s.Columns, printable(string(owner)))
		row := trustRow{ID: printable(string(owner)), Cells: make([]trustMark, len(m.Clusters))}
		for j, puller := range m.Clusters {
			verdict, words, n := pairWords(of[owner], j, owner, puller)
			if verdict == "" {
				row.Cells[j].Self = owner == puller
				continue
			}
			here[verdict] = true
			s.None = s.None && verdict == certificate.Unknown
			row.Cells[j] = trustMark{Slug: signs[verdict].Slug, Icon: signs[verdict].Icon, Words: words, N: n}
		}
		s.Rows = append(s.Rows, row)
	}
	for _, v := range certificate.Verdicts() {
		if here[v] {
			s.Legend = append(s.Legend, signs[v])
		}
	}
	files := map[string]int{}
	for _, copied := range c.Copy {
		key := fmt.Sprint(cmp.Or(copied.Issuer, copied.Fingerprint), " ", copied.Store)
		i, had := files[key]
		if !had {
			if len(s.Copies) == copiesShown {
				s.More++
				continue
			}
			i = len(s.Copies)
			files[key] = i
			s.Copies = append(s.Copies, copyRow{Key: printable(key), File: printable(copied.File), Node: printable(string(copied.Node)), From: printable(string(copied.From)), Store: copied.Store})
		}
		s.Copies[i].To = append(s.Copies[i].To, printable(fmt.Sprintf("%s (%s)", copied.Publisher, copied.To)))
		if copied.Stale != "" {
			s.Copies[i].Stale++
		}
	}
	s.Unread = whyUnread(snap)
	return s
}

// pairWords sums up what one cluster makes of all certificates of another.
func pairWords(rows []certificate.Row, j int, owner, puller mesh.ClusterID) (certificate.Verdict, string, int) {
	by := map[certificate.Verdict][]string{}
	total := 0
	for _, r := range rows {
		if v := r.Cells[j].Verdict; v != "" && !r.Pending {
			by[v] = append(by[v], fmt.Sprintf("%s of %s", r.Service, r.Node))
			total++
		}
	}
	for _, v := range certificate.Verdicts() {
		list := by[v]
		if len(list) == 0 {
			continue
		}
		what := plain.First(4, list)
		words := fmt.Sprintf("%s's trust store on %d certificates of %s: %s: %s", puller, total, owner, trustSigns()[v].Name, what)
		n := len(list)
		if n == total || v == certificate.Trusted {
			n = 0
		}
		return v, printable(words), n
	}
	return "", "", 0
}

// whyUnread groups the clusters whose stores are not read by the reason.
func whyUnread(snap *snapshot) []string {
	by := map[peer.Reason][]string{}
	for _, id := range snap.Mesh.IDs() {
		switch r, looked := snap.certs.Records[id]; {
		case !looked:
			by[peer.NotChecked] = append(by[peer.NotChecked], string(id))
		case r.NoTrust != nil:
			by[r.NoTrust.Reason] = append(by[r.NoTrust.Reason], string(id))
		}
	}
	words := map[peer.Reason]string{
		certificate.Before14:            "certificate management came with release 14",
		peer.NoCredentials:              "no platform account: platformCredentials in mesh.yaml, and its secret",
		peer.AccountRejected:            "the platform account was refused and is not tried again",
		peer.ServerCertificateUntrusted: "Peerkeeper does not trust the node, so no password was sent",
		peer.NotChecked:                 "not looked at yet",
	}
	var out []string
	for _, why := range slices.Sorted(maps.Keys(by)) {
		out = append(out, printable(fmt.Sprintf("%s: %s", plain.List(by[why]), cmp.Or(words[why], string(why)))))
	}
	return out
}

// timelineSheet is a peer's timeline as the panel shows it.
type timelineSheet struct {
	Figure *timelineFigure
	First  string // what breaks first, in words
	At     time.Time
	Plans  []planRow
	Unread []string
}

type planRow struct {
	Key, Title string
	Ends       time.Time
	Steps      []planStep
	Left       int // steps not done
}

type planStep struct {
	Phase, By, Where, Do string
	Done                 bool
}

// timelineFigure is drawn in the units of an SVG 360 wide; the nearer, the
// wider: the axis is the square root of time.
type timelineFigure struct {
	Words         string
	Height, AxisY int
	Ticks         []timelineTick
	Rows          []timelineBar
}

type timelineTick struct {
	X              float64
	Y              int
	Text, Anchor   string
	Today, Visible bool
}

type timelineBar struct {
	Y, TextY, MarkY           int
	Text, Class               string
	OK, StartX, Start, ServeX float64 // the bar: free, to be renewed, too late for all steps
	Serve, EndX               float64
	Words                     string
}

const (
	timelineRows = 8
	barHeight    = 26
)

func timelineSheetOf(snap *snapshot, id mesh.PeerID) *timelineSheet {
	tl := snap.certs.Timeline(id)
	if len(tl.Events) == 0 {
		return nil
	}
	s := &timelineSheet{Figure: timelineFigureOf(tl, snap.now)}
	for _, u := range tl.Unread {
		s.Unread = append(s.Unread, printable(u))
	}
	if e, ok := tl.Breaks(); ok {
		s.First, s.At = printable(e.What), e.At
	}
	for _, p := range tl.Plans {
		row := planRow{Key: printable(p.Service + " " + p.Fingerprint), Title: printable(fmt.Sprintf("%s of %s", p.Service, p.Node)), Ends: p.NotAfter}
		if more := len(p.Nodes) - 1; more > 0 {
			row.Title += fmt.Sprintf(" and %d more nodes", more)
		}
		for _, st := range p.Steps {
			where := st.On
			if st.Menu != "" {
				where += " › " + st.Menu
			}
			row.Steps = append(row.Steps, planStep{string(st.Phase), st.By.UTC().Format("2 Jan 2006"), printable(where), printable(st.Do), st.Done})
			if !st.Done {
				row.Left++
			}
		}
		s.Plans = append(s.Plans, row)
	}
	return s
}

func timelineFigureOf(tl certificate.Timeline, now time.Time) *timelineFigure {
	const left, right = 4.0, 352.0
	plans := tl.Plans[:min(timelineRows, len(tl.Plans))]
	last := now.AddDate(0, 0, 30)
	for _, p := range plans {
		if p.NotAfter.After(last) {
			last = p.NotAfter
		}
	}
	whole := last.Sub(now).Hours()
	x := func(t time.Time) float64 {
		share := math.Sqrt(max(0, t.Sub(now).Hours()) / whole)
		return math.Round(10*(left+(right-left)*min(1, share))) / 10
	}
	f := &timelineFigure{AxisY: 18, Height: 24 + barHeight*len(plans)}
	var words []string
	for _, tick := range []struct {
		text string
		at   time.Time
	}{{"now", now}, {"7 d", now.AddDate(0, 0, 7)}, {"28 d", now.AddDate(0, 0, 28)}, {"90 d", now.AddDate(0, 0, 90)}, {"1 y", now.AddDate(1, 0, 0)}, {"2 y", now.AddDate(2, 0, 0)}, {"4 y", now.AddDate(4, 0, 0)}} {
		if tick.at.After(last) {
			break
		}
		one := timelineTick{X: x(tick.at), Y: f.Height - 2, Text: tick.text, Anchor: "middle", Today: tick.text == "now"}
		if one.Today {
			one.Anchor = "start"
		}
		if n := len(f.Ticks); n > 0 && one.X-f.Ticks[n-1].X < 26 {
			continue // labels that would touch
		}
		f.Ticks = append(f.Ticks, one)
	}
	round := func(v float64) float64 { return math.Round(10*max(0, v)) / 10 }
	for i, p := range plans {
		y := 24 + i*barHeight
		b := timelineBar{Y: y + 13, TextY: y + 9, MarkY: y + 10, EndX: x(p.NotAfter), StartX: x(p.Start), ServeX: x(p.Serve)}
		b.OK, b.Start, b.Serve = round(b.StartX-left), round(b.ServeX-b.StartX), round(b.EndX-b.ServeX)
		b.Text = printable(fmt.Sprintf("%s of %s to %s", p.Service, p.Node, p.NotAfter.UTC().Format("2 Jan 2006")))
		if !p.NotAfter.After(now) {
			b.Class, b.Text = "over", b.Text+": over"
		}
		words = append(words, b.Text)
		f.Rows = append(f.Rows, b)
	}
	f.Words = "Certificates and when they end: " + plain.FirstBy(plain.Listed, words, "; ") + "."
	return f
}
