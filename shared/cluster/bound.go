package cluster

import (
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Bound is how much of one field of an observation a cluster may fill. What it
// sends beyond that is cut where it comes in, and the fact says so: one node
// that is broken or taken over fills no store, no alarm and no page.
type Bound struct {
	// Field is the field's path, through maps and slices.
	Field string
	// Name is what a finding calls it.
	Name string
	// Runes is the longest text; of a map, of its keys and texts.
	Runes int
	// Count is the most members of a map or slice; 0 for a single value.
	Count int
}

// Bounds are the fields of peer.Observation, and under Log those of
// peer.LogReading, that a cluster fills. Together they keep a cluster's items far
// below DynamoDB's 400 KB, whatever is sent.
//
// A host name has 253 characters at most (RFC 1035); a mesh has 30 clusters of
// six IM and Presence nodes at most (Cisco), which some databases list as well.
func Bounds() []Bound { return slices.Clone(bounds[:]) }

var bounds = [...]Bound{
	{Field: "Nodes.Services", Name: "service", Runes: 128, Count: 64},
	{Field: "Nodes.Services.Status", Name: "status", Runes: 16},
	{Field: "Nodes.Version", Name: "version", Runes: 64},
	{Field: "Nodes.Parameters", Name: "parameter", Runes: 255, Count: 16},
	{Field: "Nodes.Remarks", Name: "remark", Runes: 64, Count: 8},
	{Field: "Topology", Name: "node", Runes: hostName, Count: 256},
	{Field: "Users", Name: "node", Runes: hostName, Count: 256},
	{Field: "Entries", Name: "peer", Count: 64},
	{Field: "Entries.Address", Name: "address", Runes: hostName},
	{Field: "Entries.Protocol", Name: "protocol", Runes: 32},
	{Field: "Entries.Error", Name: "last_error", Runes: 64},
	{Field: "AXLVersion", Name: "version", Runes: 32},
	{Field: "SyncAgent", Name: "sync_status", Runes: 255},
	{Field: "Log.Words.Peers", Name: "log", Runes: 63, Count: mesh.MaxClusters},
	{Field: "Log.Words.Cluster", Name: "log", Count: 50},
	{Field: "Log.Cursor.Modified", Name: "log", Runes: 60},
	{Field: "Log.Level", Name: "log", Runes: 40},
	{Field: "Log.Detail", Name: "log", Runes: 400},
	{Field: "Word.Alarm", Name: "log", Runes: maxName}, // of every peer.Word
	{Field: "Word.Of", Name: "log", Runes: maxName},
	{Field: "Word.Text", Name: "log", Runes: maxText},
	{Field: "Detail", Name: "detail", Runes: 500}, // of every fact: what went wrong, with a server's words in it
}

const (
	hostName = 255
	// reasonRunes bounds Control Center's words on a service.
	reasonRunes = 255
	// userRunes bounds a user ID, which Cisco ends at 128 characters and which
	// may be a mail address.
	userRunes = 255
	// bucketsKept bounds the last characters of the user IDs of one home cluster.
	bucketsKept = 128
	// namedKept bounds the user IDs of one home cluster that are held at once.
	namedKept = 100_000
)

// bounded cuts an observation to its bounds and notes in each fact what was cut.
// A text that was cut stays what it is, for no lawful one is as long; a fact of
// whose members some were dropped is Partial.
func bounded(o *peer.Observation) {
	b := binder{}
	b.walk(reflect.ValueOf(o).Elem(), "")
}

// binder walks one value and remembers what it cut in the fact at hand.
type binder struct {
	names   []string
	dropped []string
}

func (b *binder) walk(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeFor[time.Time]():
			return
		case reflect.TypeFor[peer.Word]():
			path = "Word"
		}
		if isFact(v.Type()) {
			boundFact(v, path)
			return
		}
		for f, field := range v.Fields() {
			b.walk(field, join(path, f.Name))
		}
	case reflect.String:
		if limit, ok := boundOf(path); ok {
			v.SetString(b.text(v.String(), limit))
		}
	case reflect.Slice:
		if limit, ok := boundOf(path); ok && v.Len() > limit.Count {
			b.dropped = append(b.dropped, limit.Name)
			v.Set(v.Slice3(0, limit.Count, limit.Count))
		}
		for i := range v.Len() {
			b.walk(v.Index(i), path)
		}
	case reflect.Map:
		b.walkMap(v, path)
	}
}

func (b *binder) walkMap(v reflect.Value, path string) {
	if v.IsNil() {
		return
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	limit, ok := boundOf(path)
	out := reflect.MakeMapWithSize(v.Type(), min(len(keys), max(limit.Count, 0)))
	for _, key := range keys {
		if ok && out.Len() >= limit.Count {
			b.dropped = append(b.dropped, limit.Name)
			break
		}
		value := reflect.New(v.Type().Elem()).Elem()
		value.Set(v.MapIndex(key))
		b.walk(value, path)
		if ok {
			cut := reflect.New(v.Type().Key()).Elem()
			cut.SetString(b.text(key.String(), limit))
			key = cut
		}
		out.SetMapIndex(key, value)
	}
	v.Set(out)
}

func (b *binder) text(s string, limit Bound) string {
	out, cut := clipped(s, limit.Runes)
	if cut {
		b.names = append(b.names, limit.Name)
	}
	return out
}

// boundFact cuts one fact's value, and its words.
func boundFact(fact reflect.Value, path string) {
	var b binder
	b.walk(fact.FieldByName("Value"), path)
	detail, cut, knowledge := fact.FieldByName("Detail"), fact.FieldByName("Cut"), fact.FieldByName("Knowledge")
	if len(b.dropped) > 0 && knowledge.String() == string(peer.KnownFact) {
		knowledge.SetString(string(peer.PartialFact))
		fact.FieldByName("Reason").SetString(string(peer.RowsIncomplete))
		detail.SetString("there are more than are kept of: " + strings.Join(unique(b.dropped), ", "))
	}
	if limit, ok := boundOf("Detail"); ok {
		detail.SetString(clip(detail.String(), limit.Runes))
	}
	for _, name := range unique(append(b.names, b.dropped...)) {
		cut.SetString(addCut(cut.String(), name))
	}
}

// addCut adds a name to the names of what was cut.
func addCut(cut, name string) string {
	switch {
	case cut == "":
		return name
	case slices.Contains(strings.Split(cut, ", "), name):
		return cut
	}
	return cut + ", " + name
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func isFact(t reflect.Type) bool {
	return t.PkgPath() == reflect.TypeFor[peer.Fact[bool]]().PkgPath() && strings.HasPrefix(t.Name(), "Fact[")
}

func boundOf(path string) (Bound, bool) {
	for _, b := range bounds {
		if b.Field == path {
			return b, true
		}
	}
	return Bound{}, false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// clip is valid UTF-8 of at most n characters, with "…" as the last if it was
// cut. A character counts as many times as the bytes that JSON writes for it, so
// that a bound is one of the store as well.
func clip(s string, n int) string {
	out, _ := clipped(s, n)
	return out
}

func clipped(s string, n int) (out string, cut bool) {
	if !utf8.ValidString(s) {
		cut = len(s) > 8*n
		s = strings.ToValidUTF8(s[:min(len(s), 8*n)], "\uFFFD")
	}
	cost, end := 0, 0
	for i, r := range s {
		if cost <= n-len("…") {
			end = i
		}
		if cost += jsonBytes(r); cost > n {
			return s[:end] + "…", true
		}
	}
	return s, cut
}

// jsonBytes is how many bytes encoding/json writes for a character.
func jsonBytes(r rune) int {
	switch {
	case r == '"', r == '\\':
		return 2
	case r < 0x20, r == 0x7f, r == '<', r == '>', r == '&', r == '\u2028', r == '\u2029':
		return 6
	}
	return utf8.RuneLen(r)
}
