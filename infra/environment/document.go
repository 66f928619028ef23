package environment

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// document is one YAML file being read, and its faults so far.
type document struct {
	file string
	errs []*Error
}

// maxFile bounds an environment file; an honest one has some 2 KB, and the YAML
// library is slow on files made to slow it down.
const maxFile = 64 << 10

func (d *document) fail(line int, path, message, cure string) {
	d.errs = append(d.errs, &Error{File: d.file, Line: line, Path: path, Message: message, Cure: cure})
}

// value is a YAML value at its place. The zero value is one that is not there.
type value struct {
	doc  *document
	node ast.Node // nil = not there
	path string
	line int // of the value, or of the mapping it should be in
}

func (d *document) parse(data []byte) (root value, ok bool) {
	// The YAML library is not ours: a fault in it on some odd input is an
	// error about the file.
	defer func() {
		if p := recover(); p != nil {
			d.fail(0, "", fmt.Sprintf("this YAML cannot be parsed (%v)", p), "keep to plain mappings, lists and quoted text")
			root, ok = value{}, false
		}
	}()
	if len(data) > maxFile {
		d.fail(0, "", fmt.Sprintf("the file is larger than %d KiB", maxFile>>10), "is this the right file?")
		return value{}, false
	}
	tokens := lexer.Tokenize(string(data))
	for _, tk := range tokens {
		switch tk.Type {
		case token.TagType, token.DirectiveType, token.MappingKeyType, token.AnchorType, token.AliasType, token.MergeKeyType:
			d.fail(tk.Position.Line, "", fmt.Sprintf("YAML's %s is not used here", tk.Value), "write the value out")
		}
	}
	if len(d.errs) > 0 {
		return value{}, false
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates are reported with all else
	if err != nil {
		var syntax yaml.Error
		line, message := 0, err.Error()
		if errors.As(err, &syntax) {
			message = syntax.GetMessage()
			if tk := syntax.GetToken(); tk != nil {
				line = tk.Position.Line
			}
		}
		d.fail(line, "", "not valid YAML: "+message, "")
		return value{}, false
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		d.fail(1, "", fmt.Sprintf("%d YAML documents", len(file.Docs)), "one file holds one environment; begin with account:")
		return value{}, false
	}
	return value{doc: d, node: file.Docs[0].Body, line: 1}, true
}

func (v value) there() bool { return v.node != nil }

func (v value) fail(message, cure string) { v.doc.fail(v.line, v.path, message, cure) }

// at wraps a value that a key or an item holds.
func (v value) at(n ast.Node, path string, line int) value {
	if _, null := n.(*ast.NullNode); null {
		n = nil
	}
	return value{doc: v.doc, node: n, path: path, line: line}
}

// fields gives the values of a mapping's keys. A key that is not among those
// named is a fault, so is one given twice, and so is a required one (marked
// with !) that is not there.
func (v value) fields(names ...string) map[string]value {
	out := map[string]value{}
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, "!")
		out[names[i]] = value{doc: v.doc, path: join(v.path, names[i]), line: v.line}
		if name != names[i] {
			defer func() {
				if f := out[names[i]]; v.there() && !f.there() {
					f.fail("is missing", "")
				}
			}()
		}
	}
	if !v.there() {
		return out
	}
	var entries []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	default:
		v.fail("is not a mapping", "want keys: "+strings.Join(names, ", "))
		return out
	}
	seen := map[string]int{}
	for _, e := range entries {
		name, line := e.Key.GetToken().Value, e.Key.GetToken().Position.Line
		if first, twice := seen[name]; twice {
			v.doc.fail(line, join(v.path, name), "is given twice", fmt.Sprintf("the first is in line %d", first))
			continue
		}
		seen[name] = line
		if !slices.Contains(names, name) {
			v.doc.fail(line, join(v.path, name), "no such key", "want one of "+strings.Join(names, ", "))
			continue
		}
		out[name] = v.at(e.Value, join(v.path, name), line)
	}
	return out
}

// items gives the values of a list.
func (v value) items() []value {
	if !v.there() {
		return nil
	}
	list, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.fail("is not a list", "write [first, second]")
		return nil
	}
	out := make([]value, len(list.Values))
	for i, n := range list.Values {
		line := v.line
		if tk := n.GetToken(); tk != nil {
			line = tk.Position.Line
		}
		out[i] = v.at(n, fmt.Sprintf("%s[%d]", v.path, i), line)
	}
	return out
}

// pairs gives the keys of a mapping that may have any.
func (v value) pairs() map[string]value {
	out := map[string]value{}
	if !v.there() {
		return out
	}
	var names []string
	switch n := v.node.(type) {
	case *ast.MappingNode:
		for _, e := range n.Values {
			names = append(names, e.Key.GetToken().Value)
		}
	case *ast.MappingValueNode:
		names = []string{n.Key.GetToken().Value}
	default:
		v.fail("is not a mapping", "write {key: value}")
		return out
	}
	slices.Sort(names)
	return v.fields(slices.Compact(names)...)
}

// text is a scalar as it is written: an account number keeps its leading zero.
func (v value) text() string {
	if !v.there() {
		return ""
	}
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value
	}
	v.fail("is not plain text", "")
	return ""
}

func (v value) boolean() bool {
	if !v.there() {
		return false
	}
	b, ok := v.node.(*ast.BoolNode)
	if !ok {
		v.fail("is not true or false", "")
		return false
	}
	return b.Value
}

// number is a whole number between two bounds; 0 if there is none.
func (v value) number(low, high int64) int {
	if !v.there() {
		return 0
	}
	n := int64(-1)
	if i, ok := v.node.(*ast.IntegerNode); ok {
		switch x := i.Value.(type) {
		case int64:
			n = x
		case uint64:
			n = int64(min(x, 1<<62))
		}
	}
	if n < low || n > high {
		v.fail("is not such a number", fmt.Sprintf("want %d to %d", low, high))
		return 0
	}
	return int(n)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
