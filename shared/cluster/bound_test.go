package cluster

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// ownFields are texts and lists of an observation, or of a log's reading, that
// Peerkeeper writes itself.
var ownFields = map[string]bool{
	"Cluster":      true, // of mesh.yaml
	"Nodes":        true, // by the names in mesh.yaml
	"UsersBasis":   true,
	"Word.Dating":  true,
	"Word.Peer":    true, // of mesh.yaml
	"Log.Outcome":  true,
	"Log.Way.List": true,
	"Log.Way.File": true,
	"Log.LevelBy":  true, // of mesh.yaml
	"Log.Problem":  true,

	"Log.Cursor.Line": true, // a hash
}

// fillable lists the paths of an observation that hold text or members.
func fillable(t reflect.Type, path string, add func(path string, kind reflect.Kind)) {
	switch t.Kind() {
	case reflect.Struct:
		switch t {
		case reflect.TypeFor[time.Time]():
			return
		case reflect.TypeFor[peer.Word]():
			path = "Word"
		}
		if isFact(t) {
			value, _ := t.FieldByName("Value")
			fillable(value.Type, path, add)
			return
		}
		for f := range t.Fields() {
			fillable(f.Type, join(path, f.Name), add)
		}
	case reflect.String:
		add(path, t.Kind())
	case reflect.Map, reflect.Slice, reflect.Array, reflect.Pointer:
		add(path, t.Kind())
		if t.Kind() == reflect.Map && t.Key().Kind() != reflect.String {
			add(path+" (a map by something else than text)", reflect.Invalid)
		}
		fillable(t.Elem(), path, add)
	case reflect.Interface, reflect.Func, reflect.Chan:
		add(path, reflect.Invalid)
	}
}

func TestEveryFieldThatAClusterFillsHasABound(t *testing.T) {
	used := map[string]bool{"Detail": true}
	check := func(path string, kind reflect.Kind) {
		if ownFields[path] {
			return
		}
		b, ok := boundOf(path)
		used[path] = true
		switch {
		case !ok || kind == reflect.Invalid:
			t.Errorf("%s has no bound: a cluster can fill it without end", path)
		case kind != reflect.String && b.Count <= 0:
			t.Errorf("%s has no bound on its members", path)
		case kind == reflect.String && b.Runes <= 0:
			t.Errorf("%s has no bound on its length", path)
		}
	}
	fillable(reflect.TypeFor[peer.Observation](), "", check)
	fillable(reflect.TypeFor[peer.LogReading](), "Log", check)
	for _, b := range Bounds() {
		if !used[b.Field] {
			t.Errorf("%s is bounded, and is no field of peer.Observation or peer.LogReading", b.Field)
		}
		if b.Name == "" {
			t.Errorf("%s has no name for a finding", b.Field)
		}
	}
}

// fill puts text into every string and n members into every list and map.
func fill(v reflect.Value, text string, n int) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for f, field := range v.Fields() {
			if f.Name != "Knowledge" && f.Name != "Reason" {
				fill(field, text, n)
			}
		}
		if isFact(v.Type()) {
			v.FieldByName("Knowledge").SetString(string(peer.KnownFact))
			v.FieldByName("Cut").SetString("")
		}
	case reflect.String:
		v.SetString(text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), text, n)
		}
	case reflect.Map:
		if v.Type() == reflect.TypeFor[map[mesh.NodeName]peer.Node]() {
			n = 6
		}
		v.Set(reflect.MakeMap(v.Type()))
		for i := range n {
			value := reflect.New(v.Type().Elem()).Elem()
			fill(value, text, n)
			v.SetMapIndex(reflect.ValueOf(fmt.Sprintf("%06d", i)+text).Convert(v.Type().Key()), value)
		}
	}
}

func TestAnItemStaysFarBelowItsLimitWhateverAClusterSends(t *testing.T) {
	for name, text := range map[string]string{
		"long":              strings.Repeat("x", 100_000),
		"line breaks":       strings.Repeat("\n", 100_000),
		"markup":            strings.Repeat("<&>", 30_000),
		"broken characters": strings.Repeat("\xff\xfe", 50_000),
		"far characters":    strings.Repeat("\U0001F600", 25_000),
		"short":             "x",
	} {
		t.Run(name, func(t *testing.T) {
			var o peer.Observation
			fill(reflect.ValueOf(&o).Elem(), text, 300)
			o.Cluster, o.UsersBasis = "emea", peer.Measured
			for k, n := range o.Nodes {
				delete(o.Nodes, k)
				o.Nodes[mesh.NodeName(fmt.Sprintf("node-%d.example.com", len(k)+len(o.Nodes)))] = n
			}
			bounded(&o)
			body, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			if len(body) > 250<<10 {
				t.Errorf("%d bytes, want at most 250 KiB of DynamoDB's 400", len(body))
			}
			if !utf8.Valid(body) {
				t.Error("not UTF-8")
			}
			if o.Entries.Known() || o.Users.Known() || o.Topology.Known() {
				t.Error("a list that was cut is taken for a whole one")
			}
			if name == "long" && o.Entries.Cut != "address, last_error, peer, protocol" {
				t.Errorf("the peer table says that %q was cut", o.Entries.Cut)
			}
			if name != "short" && (!o.SyncAgent.Known() || o.SyncAgent.Cut != "sync_status") {
				t.Errorf("the Sync Agent's word: %+v", o.SyncAgent)
			}
			t.Logf("%d bytes", len(body))
		})
	}
}

// The LOG item holds what one reading may, and its own figures.
func TestALogsItemStaysFarBelowItsLimitWhateverALogHolds(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 100_000), strings.Repeat("\n", 100_000), strings.Repeat("<&>", 30_000), strings.Repeat("\xff\xfe", 50_000), strings.Repeat("\U0001F600", 25_000)} {
		g := peer.LogReading{Outcome: peer.LogRead, LevelAsked: true, Level: ciscolog.Level(text), Cursor: peer.LogCursor{Line: "0123456789abcdef", Modified: text}}
		g.Words.Peers = map[mesh.ClusterID]peer.PeerWords{}
		for i := range 40 {
			word := peer.Word{Alarm: ciscolog.Alarm(fmt.Sprintf("%02d", i) + text), At: time.Unix(1e9+1, 5e6), Dating: ciscolog.YearAdded, Of: text, Text: text}
			id := mesh.ClusterID(fmt.Sprintf("%02d", i) + strings.Repeat("a", 61))
			g.Words.Peers[id] = peer.PeerWords{Success: word, Failure: word, Cause: word, Periodic: word, LastSynced: word, UndatedSuccess: true, UndatedFailure: true}
			word.Peer = id
			g.Words.Cluster = append(g.Words.Cluster, word, word)
			g.Words.Cluster[2*i].Of = "x" + text
		}
		(&binder{}).walk(reflect.ValueOf(&g).Elem(), "Log")
		body, err := json.Marshal(peer.LogRecord{}.After(g))
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > 120<<10 || len(g.Words.Peers) != mesh.MaxClusters || len(g.Words.Cluster) != 50 || !utf8.Valid(body) {
			t.Errorf("%d bytes for %d peers and %d words, want at most 120 KiB of DynamoDB's 400", len(body), len(g.Words.Peers), len(g.Words.Cluster))
		}
		t.Logf("%d bytes", len(body))
	}
}

func TestWhatIsWithinItsBoundIsNotTouched(t *testing.T) {
	var o peer.Observation
	fill(reflect.ValueOf(&o).Elem(), "imp-münchen.example.com", 4)
	for name, n := range o.Nodes { // the statuses of the WSDL are shorter than that
		for k := range n.Services.Value {
			n.Services.Value[k] = peer.Service{Status: "Started"}
		}
		o.Nodes[name] = n
	}
	before, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	bounded(&o)
	after, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		at := 0
		for at < min(len(before), len(after)) && before[at] == after[at] {
			at++
		}
		t.Errorf("changed at %.100s", before[max(0, at-40):])
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		n              int
	}{
		{"short enough", "abc", "abc", 3},
		{"a character more", "abcdef", "ab…", 5},
		{"far characters whole or not at all", "ab\U0001F600cd", "ab…", 6},
		{"a line end counts as JSON writes it", "a\nb", "a…", 5},
		{"no UTF-8", "a\xffb", "a\uFFFDb", 10},
		{"empty", "", "", 10},
	} {
		if got := clip(c.in, c.n); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
