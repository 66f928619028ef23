package cluster

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-03-02T08:00:00Z":           "2026-03-02T08:00:00Z",
		"2026-03-02T09:00:00+01:00":      "2026-03-02T08:00:00Z",
		"2026-03-02 08:00:00":            "2026-03-02T08:00:00Z",
		"2026-03-02 08:00:00.25":         "2026-03-02T08:00:00.25Z",
		"1772438400":                     "2026-03-02T08:00:00Z",
		"1772438400000":                  "", // milliseconds: a year beyond all reason
		"-1":                             "",
		"9223372036854775807":            "",
		"Mon Mar 02 08:00:00 2026":       "", // no zone
		"2026-03-02":                     "",
		"":                               "",
		"0001-01-01 00:00:00":            "",
		"9999-12-31T23:59:59-23:00":      "",
		"2026-02-30 08:00:00":            "",
		"2026-03-02 08:00:00 2026-03-02": "",
	} {
		got, err := parseTime(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q was read as %s", text, got)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %s, %v; want %s", text, got.Format(time.RFC3339Nano), err, want)
		}
	}
}

// FuzzParseTime: what is read can be stored, and is the same when read again.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-03-02T08:00:00Z", "2026-03-02 08:00:00", "1772438400", "", "-1", "9999-12-31T23:59:59-23:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTime(s)
		if err != nil {
			return
		}
		b, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("%q was read as an instant that cannot be stored: %v", s, err)
		}
		var back time.Time
		if err := json.Unmarshal(b, &back); err != nil || !back.Equal(got) {
			t.Errorf("%q: %s became %s (%v)", s, got, back, err)
		}
	})
}

// FuzzRowsSQL: no user ID, bucket or node name ends its literal.
func FuzzRowsSQL(f *testing.F) {
	f.Add("jdoe", "e", "imp-apac-pub.example.com", "")
	f.Add("o'neil", "'", "x'; DROP TABLE enduser --", "'")
	f.Fuzz(func(t *testing.T, user, bucket, node, after string) {
		p, _ := NewDialect(nil).query(purposeRows)
		strip := func(sql string) string {
			var out strings.Builder
			in := false
			for i := 0; i < len(sql); i++ {
				switch {
				case sql[i] != '\'':
					if !in {
						out.WriteByte(sql[i])
					}
				case in && i+1 < len(sql) && sql[i+1] == '\'':
					i++
				default:
					in = !in
				}
			}
			if in {
				t.Errorf("an open literal in %q", sql)
			}
			return out.String()
		}
		filter := Filter{Nodes: []mesh.NodeName{mesh.NodeName(node)}, Buckets: []string{bucket}, Users: []string{user}}
		plain := Filter{Nodes: []mesh.NodeName{"n"}, Buckets: []string{"b"}, Users: []string{"u"}}
		if strings.Contains(user, "@") {
			plain.Users[0] = "u@" // it may be an IM address
		}
		if got, want := strip(rowsSQL(p.sql, filter, after, 10)), strip(rowsSQL(p.sql, plain, "x", 10)); got != want {
			t.Errorf("outside its literals the statement reads\n%s\nwant\n%s", got, want)
		}
	})
}

func TestDialect(t *testing.T) {
	d := NewDialect(&mesh.Dialect{
		Queries:    map[string]mesh.Query{"peers": {Evidence: "site", SQL: "SELECT 1"}},
		Parameters: map[string][]string{"sync_interval": {"ICSAInterval", "OldInterval"}},
	})
	if p, ok := d.query(purposePeers); !ok || p.basis() != peer.Measured || p.evidence != Site {
		t.Errorf("a site's own query is %+v (%v)", p, ok)
	}
	if p, _ := d.query(purposeCounts); p.basis() != peer.Inferred {
		t.Errorf("that copies stand in enduser is our reading, not %s", p.basis())
	}
	if _, ok := NewDialect(nil).query(purposePeers); ok {
		t.Error("there is a default for the peer table, which nobody has published")
	}
	if got := d.paramPurpose("icsainterval"); got != "sync_interval" {
		t.Errorf("ICSAInterval is %q", got)
	}
	if got := d.paramPurpose("other"); got != "" {
		t.Errorf("other is %q", got)
	}
}

func TestAXLVersion(t *testing.T) {
	for release, want := range map[string]string{"": "14.0", "14.0": "14.0", "14.0.1SU3": "14.0", "12.5(1)SU4": "12.5", "15.0.1.10000-1": "15.0", "14": "14.0"} {
		if got := axlVersion(release); got != want {
			t.Errorf("%q speaks %q, want %q", release, got, want)
		}
	}
}

func TestBucketsOfTwoNodesAreAddedUp(t *testing.T) {
	sum := addBucket(peer.Bucket{Users: 1, Weight: 4, Low: "b", High: "b"}, peer.Bucket{Users: 2, Weight: 8, Low: "a", High: "c"})
	if sum != (peer.Bucket{Users: 3, Weight: 12, Low: "a", High: "c"}) {
		t.Errorf("%+v", sum)
	}
}
