package ciscolog

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var errEnd = io.EOF

// layout is how a line is written, whatever it says.
type layout struct {
	stored, host, number, year, half, lower, unknownNames, shuffled bool
	blanks                                                          int // after the colon before the alarm
	digits                                                          int // of the fraction
	keyBlanks, between                                              string
}

func drawLayout(t *rapid.T) layout {
	is := func(what string) bool { return rapid.Bool().Draw(t, what) }
	return layout{
		stored: is("stored"), host: is("host"), number: is("number"), year: is("year"), half: is("twelve hours"), lower: is("lower case"),
		unknownNames: is("unknown names"), shuffled: is("shuffled"),
		blanks: rapid.IntRange(1, 3).Draw(t, "blanks"), digits: rapid.IntRange(0, 3).Draw(t, "digits"),
		keyBlanks: rapid.SampledFrom([]string{"", " "}).Draw(t, "key blanks"), between: rapid.SampledFrom([]string{"", " "}).Draw(t, "between"),
	}
}

// format writes an event as a node does.
func format(l layout, e Event) string {
	var b strings.Builder
	if l.stored {
		fmt.Fprintf(&b, "%s %s local7 %d : ", e.At.Add(7*time.Hour).Format("Jan _2 15:04:05"), "outer", e.Severity)
	} else {
		b.WriteString("<189>")
	}
	if l.number {
		b.WriteString(e.Seq + ": ")
	}
	if l.host {
		b.WriteString(e.Host + ": ")
	}
	stamp := "Jan 02 "
	if l.year {
		stamp += "2006 "
	}
	fraction := ""
	if l.digits > 0 {
		fraction = fmt.Sprintf(".%03d", e.At.Nanosecond()/1e6)[:1+l.digits]
	}
	if l.half {
		stamp = e.At.Format(stamp+"03:04:05 PM") + fraction
	} else {
		stamp = e.At.Format(stamp+"15:04:05") + fraction
	}
	alarm := fmt.Sprintf("%%%s-%d-%s", e.Facility, e.Severity, e.Alarm)
	list := [][2]string{{"remotePeerAddress", e.Peer}, {"App ID", e.App}, {"ClusterID", e.Cluster}, {"NodeID", e.Node}, {"SubjectCN", e.Subject}, {"IssuerCN", e.Issuer}}
	if l.shuffled {
		list[0], list[3] = list[3], list[0]
	}
	b.WriteString(stamp + " UTC :" + strings.Repeat(" ", l.blanks) + alarm + " : %")
	for _, tag := range list {
		key := tag[0]
		if l.unknownNames {
			key = "UNKNOWN_PARAMNAME:" + key
		}
		if l.lower {
			key = strings.ToLower(key)
		}
		b.WriteString("[" + l.keyBlanks + key + l.keyBlanks + "=" + l.keyBlanks + tag[1] + "]" + l.between)
	}
	b.WriteString(": " + e.Text)
	return b.String()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLayout(t)
		name := rapid.StringMatching(`[a-z][a-z0-9]{0,8}(\.example\.com)?`)
		value := rapid.StringMatching(`([A-Za-z0-9äé.,/()%-]+( [A-Za-z0-9äé.,/()%-]+){0,3})?`)
		want := Event{
			Facility: rapid.SampledFrom(facilities[:]).Draw(t, "facility"), Severity: rapid.IntRange(0, 7).Draw(t, "severity"),
			Alarm: rapid.SampledFrom(append(slices.Sorted(maps.Keys(catalogue)), "InterClusterSyncAgentNewOne")).Draw(t, "alarm"),
			At:    read.Add(-time.Duration(rapid.Int64Range(0, 360*24*int64(time.Hour/time.Millisecond)).Draw(t, "ago")) * time.Millisecond), Dating: Dated,
			Peer: name.Draw(t, "peer"), Node: name.Draw(t, "node"), App: value.Draw(t, "app"), Cluster: value.Draw(t, "cluster"),
			Subject: value.Draw(t, "subject"), Issuer: value.Draw(t, "issuer"), Text: value.Draw(t, "text"),
		}
		switch l.digits {
		case 0:
			want.At = want.At.Truncate(time.Second)
		case 1:
			want.At = want.At.Truncate(100 * time.Millisecond)
		case 2:
			want.At = want.At.Truncate(10 * time.Millisecond)
		}
		if !l.year {
			want.Dating = YearAdded
		}
		if l.number {
			want.Seq = rapid.StringMatching(`[0-9]{1,6}`).Draw(t, "seq")
		}
		if l.host {
			want.Host = name.Draw(t, "host")
		} else if l.stored && l.number {
			want.Host = "outer"
		}
		line := format(l, want)
		got, ok := Parse([]byte(line), read)
		if !ok {
			t.Fatalf("not read: %s", line)
		}
		ignore := []string{"Line", "Rest", "Raw"}
		if !l.number && !l.host { // the words of the outer header are then nobody's
			ignore = append(ignore, "Host", "Seq")
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Event{}, ignore...)); diff != "" {
			t.Fatalf("%s\n%s", line, diff)
		}
		if !slices.Contains(slices.Collect(got.Names()), want.Peer) {
			t.Fatalf("%s\ndoes not name %s", line, want.Peer)
		}
	})
}

// A file is read alike however it arrives, and whatever stands around its lines.
func TestAScanFindsWhatParseFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.OneOf(
			rapid.Just(icsa), rapid.Just("noise"), rapid.Just(""), rapid.Just(strings.TrimSpace(noise)),
			rapid.Just("1: a: Nov 27 2026 09:00:00 UTC : %UC_RTMT-2-RTMT_ALERT: %[AlertDetail= #012"+icsa),
			rapid.StringMatching(`[ %\[\]a-zA-Z:_0-9-]{0,60}`),
			rapid.Just(strings.Repeat("y", maxLine+1)),
		), 0, 12).Draw(t, "lines")
		var want []Event
		for _, line := range lines {
			if e, ok := Parse([]byte(line), read); ok && e.Facility.Known() {
				want = append(want, e)
			}
		}
		var got []Event
		size := rapid.SampledFrom([]int{1, 13, 5000, 1 << 20}).Draw(t, "size")
		extent, err := Scan(&inPieces{[]byte(strings.Join(lines, "\n") + "\n"), size}, read, func(e Event) error { got = append(got, e); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if n := int64(max(1, len(lines))); extent.Lines != n {
			t.Fatalf("%d lines, counted %d", n, extent.Lines)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(icsa))
	f.Add([]byte("<189>1: May 03 2026 01:10:24 PM.476 UTC : %UC_ICSA-2-A: %[ a b =[::1]][=][x"))
	f.Add([]byte("Feb 29 00:00:60.1 +1400 : %UC_SA-7-x-y"))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, ok := Parse(line, read)
		if !ok {
			return
		}
		for _, s := range []string{string(e.Facility), string(e.Alarm), e.Seq, e.Host, e.App, e.Node, e.Peer, e.Text, e.Rest, e.LastSyncedText, e.Subject} {
			if !utf8.ValidString(s) || len(s) > 3*len(line) {
				t.Errorf("%q from %q", s, line)
			}
		}
		if e.Severity < 0 || e.Severity > 7 || (e.Dating == Undated) != e.At.IsZero() || e.Dating == YearAdded && e.At.After(read) || e.LastSynced.After(e.At) {
			t.Errorf("%+v", e)
		}
		_ = e.Outcome()
		for name := range e.Names() {
			if name == "" || !strings.Contains(e.Rest, name) || strings.ContainsAny(name, " []=%") {
				t.Errorf("%q is no name: %+v", name, e)
			}
		}
	})
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(icsa+"\n"+noise), 7)
	f.Fuzz(func(t *testing.T, file []byte, size int) {
		if size < 1 {
			size = 1
		}
		count := func(r io.Reader) (n int, x Extent) {
			x, err := Scan(r, read, func(Event) error { n++; return nil })
			if err != nil {
				t.Fatal(err)
			}
			return n, x
		}
		n, x := count(bytes.NewReader(file))
		m, y := count(&inPieces{file, size})
		if n != m || x.Lines != y.Lines || x.Bytes != int64(len(file)) || x.Lines > x.Bytes {
			t.Errorf("%d events in one piece, %d in pieces of %d; %+v %+v", n, m, size, x, y)
		}
	})
}
