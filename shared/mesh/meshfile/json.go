package meshfile

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"peerkeeper/shared/mesh"
)

func parseJSON(file string, data []byte) (*mesh.Mesh, error) {
	if m, ok := asWritten(file, data); ok {
		return m, nil
	}
	return walked(file, data)
}

// walked reads any mesh.json, and tells all that is wrong with it, with lines.
func walked(file string, data []byte) (*mesh.Mesh, error) {
	rep := newReport(file)
	w := &jsonWalk{rep: rep, file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	w.dec.UseNumber()
	switch {
	case len(data) > maxJSON:
		rep.fail("", fmt.Sprintf("the file is larger than %d MiB", maxJSON>>20), "is this the right file?")
	case !utf8.Valid(data):
		rep.fail("", "the file is not UTF-8 text", "write it again from mesh.yaml")
	default:
		w.document()
	}
	if err := rep.result(); err != nil {
		return nil, err
	}
	m := &mesh.Mesh{}
	if err := json.Unmarshal(data, m); err != nil {
		// The walk has judged every value; this is what it may have missed.
		rep.fail("", err.Error(), "write the file again from mesh.yaml").cause = err
		return nil, rep.result()
	}
	normalise(m)
	validate(m, rep)
	if err := rep.result(); err != nil {
		return nil, err
	}
	return m, nil
}

// asWritten reads a valid mesh that is byte for byte as WriteJSON writes it:
// then every key is there, once, and no other, and no fault needs its line. So
// a Lambda finds its file, at less than half of the walk's price.
func asWritten(file string, data []byte) (*mesh.Mesh, bool) {
	if len(data) > maxJSON || bytes.Contains(data, []byte("null")) { // a null would come out as it went in
		return nil, false
	}
	m := &mesh.Mesh{}
	if json.Unmarshal(data, m) != nil {
		return nil, false
	}
	normalise(m)
	var again bytes.Buffer
	if WriteJSON(&again, m) != nil || !bytes.Equal(again.Bytes(), data) {
		return nil, false
	}
	rep := newReport(file)
	validate(m, rep)
	return m, rep.result() == nil
}

// normalise gives empty lists the one form that Parse gives them.
func normalise(m *mesh.Mesh) {
	for i := range m.Clusters {
		c := &m.Clusters[i]
		c.DNS, c.TLS.Pins, c.TLS.Unread = emptyIsNil(c.DNS), emptyIsNil(c.TLS.Pins), emptyIsNil(c.TLS.Unread)
		platformAddresses(c)
	}
	m.Domains = emptyIsNil(m.Domains)
	nodeNames(m)
	m.Policy.Windows = emptyIsNil(m.Policy.Windows)
	for i := range m.Policy.Windows {
		m.Policy.Windows[i].Days = emptyIsNil(m.Policy.Windows[i].Days)
	}
	if m.Dialect != nil {
		if len(m.Dialect.Queries) == 0 {
			m.Dialect.Queries = nil
		}
		if len(m.Dialect.Parameters) == 0 {
			m.Dialect.Parameters = nil
		}
	}
}

func emptyIsNil[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

// jsonWalk reads the tokens of a JSON file along the Go type that it is meant
// for. encoding/json alone takes a key in any case, twice, or not at all.
type jsonWalk struct {
	rep  *report
	file string
	data []byte
	dec  *json.Decoder
	// Offsets only grow, so lines are counted on from the last one.
	offset, line int
}

var errRefused = errors.New("refused") // already reported

func (w *jsonWalk) document() {
	w.mark("")
	err := w.value(reflect.TypeFor[mesh.Mesh](), "")
	if err == nil {
		if _, err = w.dec.Token(); err == io.EOF {
			return
		}
		if err == nil {
			w.mark("")
			w.rep.fail("", "something follows the mesh", "one file holds one mesh")
			return
		}
	}
	if !errors.Is(err, errRefused) {
		w.mark("")
		w.rep.fail("", "not valid JSON: "+err.Error(), "write the file again from mesh.yaml").cause = err
	}
}

func (w *jsonWalk) originAt(path string, offset int64) origin {
	to := min(int(offset), len(w.data))
	if to < w.offset {
		w.offset, w.line = 0, 0
	}
	w.line += bytes.Count(w.data[w.offset:to], []byte("\n"))
	w.offset = to
	return origin{file: w.file, line: w.line + 1, path: path}
}

func (w *jsonWalk) mark(path string) { w.rep.at(path, w.originAt(path, w.dec.InputOffset())) }

func (w *jsonWalk) value(t reflect.Type, path string) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	tk, err := w.dec.Token()
	if err != nil {
		return err
	}
	w.mark(path)
	leaf := reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	switch {
	case tk == nil:
		w.rep.fail(path, "is null", "write a value or remove the key")
		return nil
	case tk == json.Delim('{') && !leaf && t.Kind() == reflect.Struct:
		return w.fields(t, path)
	case tk == json.Delim('{') && !leaf && t.Kind() == reflect.Map:
		return w.entries(t, path)
	case tk == json.Delim('[') && !leaf && t.Kind() == reflect.Slice:
		for i := 0; w.dec.More(); i++ {
			if err := w.value(t.Elem(), item(path, i)); err != nil {
				return err
			}
		}
		_, err := w.dec.Token()
		return err
	}
	return w.leaf(t, tk, path)
}

// leaf judges a single value, as encoding/json would, but with its line.
func (w *jsonWalk) leaf(t reflect.Type, tk json.Token, path string) error {
	if _, opens := tk.(json.Delim); opens {
		w.rep.fail(path, "is a list or an object", "write a single value")
		return errRefused
	}
	const cure = "write the file again from mesh.yaml"
	s, isText := tk.(string)
	number, isNumber := tk.(json.Number)
	_, isBool := tk.(bool)
	fits := false
	if u, ok := reflect.New(t).Interface().(encoding.TextUnmarshaler); ok {
		if isText {
			if err := u.UnmarshalText([]byte(s)); err != nil {
				w.rep.fail(path, err.Error(), cure).cause = err
				return nil
			}
		}
		fits = isText
	} else {
		switch t.Kind() {
		case reflect.String:
			fits = isText
		case reflect.Bool:
			fits = isBool
		case reflect.Int:
			_, err := strconv.Atoi(number.String())
			fits = isNumber && err == nil
		case reflect.Float64:
			_, err := number.Float64()
			fits = isNumber && err == nil
		}
	}
	if !fits {
		w.rep.fail(path, "a value of this kind does not fit here", cure)
	}
	return nil
}

// fields reads an object into a struct: every field that is always written
// must be there.
func (w *jsonWalk) fields(t reflect.Type, path string) error {
	types, required := map[string]reflect.Type{}, map[string]bool{}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		types[name] = t.Field(i).Type
		required[name] = options == ""
	}
	seen := map[string]bool{}
	for w.dec.More() {
		key, at, err := w.key(path, seen)
		if err != nil {
			return err
		}
		field, known := types[key]
		if !known {
			cure := "allowed here: " + strings.Join(slices.Sorted(maps.Keys(types)), ", ")
			if near := suggest(key, slices.Sorted(maps.Keys(types))); near != "" {
				cure = "did you mean " + near + "?"
			}
			w.rep.fail(at, "unknown key", cure)
			if err := w.skip(); err != nil {
				return err
			}
			continue
		}
		if err := w.value(field, at); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(required)) {
		if required[name] && !seen[name] {
			w.rep.fail(child(path, name), "missing", "write the file again from mesh.yaml")
		}
	}
	_, err := w.dec.Token()
	return err
}

func (w *jsonWalk) entries(t reflect.Type, path string) error {
	seen := map[string]bool{}
	for w.dec.More() {
		_, at, err := w.key(path, seen)
		if err != nil {
			return err
		}
		if err := w.value(t.Elem(), at); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

func (w *jsonWalk) key(path string, seen map[string]bool) (key, at string, err error) {
	tk, err := w.dec.Token()
	if err != nil {
		return "", "", err
	}
	key, _ = tk.(string)
	at = child(path, showKey(key))
	w.mark(at)
	if seen[key] {
		w.rep.fail(at, "the key stands twice", "keep one of them")
	}
	seen[key] = true
	return key, at, nil
}

// skip passes over a value of an unknown key.
func (w *jsonWalk) skip() error {
	for depth := 0; ; {
		tk, err := w.dec.Token()
		if err != nil {
			return err
		}
		switch tk {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
