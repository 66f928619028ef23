package yamlfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"peerkeeper/shared/plain"
)

// Format is in what the files of one kind differ from those of another.
type Format struct {
	Holds    string // what one file holds, such as "mesh"
	Begin    string // how one begins, such as "mesh: NAME"
	MaxBytes int
	Honest   Size // told where a file is refused for its size
	// InsteadOfMerge is what is right where YAML's merge key << stands.
	InsteadOfMerge string
	// Aliases says that anchors and aliases may stand for values.
	Aliases bool
	// EmptyIsAbsent says that a key without a value is as good as no key; it is
	// a fault otherwise.
	EmptyIsAbsent bool
	// NumbersAreText says that a number is taken as it is written where a text is
	// wanted: an account number keeps its leading zero.
	NumbersAreText bool
}

// Size is how large an honest file is.
type Size struct {
	What              string // such as "a mesh of 30 clusters"
	KiB, Lines, Words int
}

// Parse reads the one document in data. Its faults, and the values' places, go
// into rep: file is what errors call it, and path where in rep its root belongs,
// "" for the file that rep is about. It returns false when nothing can be read.
func (f Format) Parse(rep *Report, file, path string, data []byte) (Value, bool) {
	root, ok := f.tree(rep, file, data)
	if !ok {
		rep.spoiled[path] = true
		return Value{}, false
	}
	rep.where[path] = origin{file: file, line: root.line, column: root.column}
	return Value{Path: path, doc: &document{f, rep, file}, node: root}, true
}

type document struct {
	Format
	*Report
	file string
}

// Value is a YAML value at its place. A value of the wrong kind is reported when
// it is read, and reads as the zero value; so does, without a word, one that is
// not there.
type Value struct {
	Path string
	doc  *document
	node *node // nil: not there
}

// There says whether the file has the value.
func (v Value) There() bool { return v.node != nil }

// Kind is what the value is, whatever is wanted.
func (v Value) Kind() Kind {
	if v.node == nil {
		return Nothing
	}
	return v.node.kind
}

// Fail refuses the value.
func (v Value) Fail(message, cure string) *Error { return v.doc.Fail(v.Path, message, cure) }

// part is the value that a key or an item of v holds, which stands at line and
// column if it stands nowhere itself.
func (v Value) part(path string, n *node, line, column int) Value {
	if n.kind != Nothing {
		line, column = n.line, n.column
	} else if v.doc.EmptyIsAbsent {
		n = nil
	}
	v.doc.mark(path, v.doc.file, line, column)
	return Value{Path: path, doc: v.doc, node: n}
}

// Keys is what a mapping may hold: what to do with each key's value.
type Keys map[string]func(Value)

// Object reads a mapping, key by key as they stand. It reports keys that are not
// allowed or stand twice.
func (v Value) Object(allowed Keys) {
	if !v.is(Mapping) {
		return
	}
	names := slices.Sorted(maps.Keys(allowed))
	lines := map[string]int{}
	for _, e := range v.node.entries {
		at := Child(v.Path, ShowKey(e.name))
		read, known := allowed[e.name]
		first, twice := lines[e.name]
		switch {
		case twice:
			v.doc.errs = append(v.doc.errs, &Error{File: v.doc.file, Line: e.line, Column: e.column, Path: v.doc.name(at),
				Message: fmt.Sprintf("the key stands twice, first on line %d", first), Cure: "keep one of them"})
		case !known:
			v.doc.mark(at, v.doc.file, e.line, e.column)
			if near := plain.Nearest(e.name, names); near != "" {
				v.doc.Fail(at, "unknown key", "did you mean "+near+"?")
				// The misspelt key is the fault; that the right one is missing follows from it.
				if !slices.ContainsFunc(v.node.entries, func(e entry) bool { return e.name == near }) {
					v.doc.spoiled[Child(v.Path, near)] = true
				}
				continue
			}
			v.doc.Fail(at, "unknown key", "allowed here: "+strings.Join(names, ", "))
		default:
			read(v.part(at, e.value, e.line, e.column))
		}
		if !twice {
			lines[e.name] = e.line
		}
	}
}

// Fields is Object for a caller that reads the values in an order of its own: all
// names are in it, and those that the file has not are not there. A name marked
// with ! must be given.
func (v Value) Fields(names ...string) map[string]Value {
	out, allowed := map[string]Value{}, Keys{}
	for i, marked := range names {
		name := strings.TrimSuffix(marked, "!")
		names[i] = name
		out[name] = Value{Path: Child(v.Path, name), doc: v.doc}
		allowed[name] = func(f Value) { out[name] = f }
		if name != marked {
			defer func() {
				if f := out[name]; v.There() && !f.There() {
					v.doc.Blame(f.Path, "is missing", "")
				}
			}()
		}
	}
	v.Object(allowed)
	return out
}

// Pairs are the values of a mapping that may have any keys.
func (v Value) Pairs() map[string]Value {
	out, allowed := map[string]Value{}, Keys{}
	if v.node != nil {
		for _, e := range v.node.entries {
			allowed[e.name] = func(f Value) { out[e.name] = f }
		}
	}
	v.Object(allowed)
	return out
}

// Items are the values of a list.
func (v Value) Items() []Value {
	if !v.is(List) {
		return nil
	}
	out := make([]Value, len(v.node.items))
	for i, n := range v.node.items {
		out[i] = v.part(Item(v.Path, i), n, n.line, n.column)
	}
	return out
}

// Texts reads a list of texts. A refused item keeps its place, so that the
// others keep their paths.
func (v Value) Texts() []string {
	var out []string
	for _, one := range v.Items() {
		s, _ := one.Text()
		out = append(out, s)
	}
	return out
}

// Text reads a text without control characters: they would forge log lines.
func (v Value) Text() (string, bool) {
	s, ok := v.Block()
	if ok && strings.ContainsFunc(s, unicode.IsControl) {
		v.Fail("has a line break, tab or other control character in it", "write it on one line")
		return "", false
	}
	return s, ok
}

// Block reads a text of any number of lines.
func (v Value) Block() (string, bool) {
	if v.Kind() == Number && v.doc.NumbersAreText || v.is(Text) {
		return v.node.text, true
	}
	return "", false
}

// Into makes the reader of a text field.
func Into[T ~string](field *T) func(Value) {
	return func(v Value) {
		if s, ok := v.Text(); ok {
			*field = T(s)
		}
	}
}

// Choice reads one of a closed set of words.
func (v Value) Choice(words []string, otherwise string) string {
	s, ok := v.Text()
	if !ok {
		return otherwise
	}
	if !slices.Contains(words, s) {
		v.Fail(Show(s)+" is not known here", "write "+OneOf(words))
		return otherwise
	}
	return s
}

// Bool reads true or false.
func (v Value) Bool() bool { return v.is(Boolean) && v.node.text == "true" }

// Number reads a number as it is written.
func (v Value) Number() (string, bool) {
	if !v.is(Number) {
		return "", false
	}
	return v.node.text, true
}

// Int reads a whole number.
func (v Value) Int() (int, bool) {
	s, ok := v.Number()
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil || strconv.Itoa(n) != s {
		v.Fail(s+" is not a whole number", "write decimal digits only")
		return 0, false
	}
	return n, true
}

// is says whether the value is of the kind that is wanted, and refuses it if not.
func (v Value) is(want Kind) bool {
	if v.node == nil {
		return false
	}
	switch n := v.node; {
	case n.kind == want:
		return true
	case n.kind == refused:
		v.doc.spoiled[v.Path] = true
	case n.kind == Nothing:
		v.Fail("has no value", "write "+want.String()+" or remove the key")
	case want == Text && (n.kind == Number || n.kind == Boolean):
		v.Fail("is "+n.kind.String()+", not text", "put it in quotes: "+strconv.Quote(n.text))
	case want == Text && n.kind == Mapping && len(n.entries) == 1:
		v.Fail("is a mapping, not text", "if it is one word with a colon in it, put it in quotes")
	case want == Number && n.kind == Text:
		v.Fail("is text, not a number", "write digits only, without quotes")
	case want == Boolean:
		v.Fail("is "+n.kind.String()+", not true or false", "write true or false")
	case want == List:
		v.Fail("is "+n.kind.String()+", not a list", "write each item on a line of its own after -, or all in [ ]")
	case want == Mapping:
		v.Fail("is "+n.kind.String()+", not a mapping", "write its keys, each with its value, as key: value")
	default:
		v.Fail("is "+n.kind.String()+", not "+want.String(), "write one value")
	}
	return false
}
