package dashboard

import (
	"fmt"
	"math"
	"strings"
	"time"
)

type clockRow struct {
	Interval, Basis, From string
	Last, Pushed, A, B    time.Time
	HasLast, HasA, FirstA bool
	HasPushed             bool
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

func clockRowOf(c Clocks, now time.Time) *clockRow {
	row := &clockRow{Interval: c.Interval.String(), Basis: basisWords(c.Basis), From: c.From, FirstA: c.First == "a"}
	if c.LastSync != nil {
		row.Last, row.HasLast = *c.LastSync, true
	}
	if c.Pushed != nil {
		row.Pushed, row.HasPushed = *c.Pushed, true
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
