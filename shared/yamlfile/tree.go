//go:build !lambda.norpc

package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Caps on a file's shape. They are far above any honest file (a mesh of 30
// clusters of 6 nodes has some 800 lines and 4000 words and signs) and keep the
// YAML library to about a second on files made to slow it down: it recurses on
// nesting, and takes quadratic time in the keys of one mapping and, within a block
// of text, in empty lines (observed with goccy/go-yaml 1.19.2: minutes for 500 KB).
const (
	maxTokens     = 20_000
	maxNodes      = 20_000 // with every alias counted as what it stands for
	maxNesting    = 12
	maxLines      = 10_000
	maxEmptyLines = 100_000_000 // empty lines times bytes of the file
)

// treeReader turns the parser's tree into nodes.
type treeReader struct {
	Format
	rep     *Report
	file    string
	anchors map[string]*node
	full    bool
}

// tree reads one YAML document. It reports and returns false when there is no
// tree to go on with.
func (f Format) tree(rep *Report, file string, data []byte) (*node, bool) {
	r := &treeReader{Format: f, rep: rep, file: file, anchors: map[string]*node{}}
	if len(data) > f.MaxBytes {
		r.fail(0, 0, fmt.Sprintf("the file is larger than %d KiB", f.MaxBytes>>10), fmt.Sprintf("%s takes some %d KiB: is this the right file?", f.Honest.What, f.Honest.KiB))
		return nil, false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // written by some editors on Windows
	if !utf8.Valid(data) {
		line := 1
		for rest := data; len(rest) > 0; {
			c, size := utf8.DecodeRune(rest)
			if c == utf8.RuneError && size == 1 {
				break
			}
			if c == '\n' {
				line++
			}
			rest = rest[size:]
		}
		r.fail(line, 0, "the file is not UTF-8 text", "save it as UTF-8")
		return nil, false
	}
	lines, empty := 0, 0
	for line := range bytes.Lines(data) {
		lines++
		if len(bytes.TrimSpace(line)) == 0 {
			empty++
		}
	}
	if lines > maxLines {
		r.fail(maxLines+1, 0, fmt.Sprintf("the file has more than %d lines", maxLines), fmt.Sprintf("%s has some %d: is this the right file?", f.Honest.What, f.Honest.Lines))
		return nil, false
	}
	if empty*len(data) > maxEmptyLines {
		r.fail(0, 0, fmt.Sprintf("%d empty lines in a file of %d KiB", empty, len(data)>>10), "remove the empty lines")
		return nil, false
	}
	doc, ok := r.parse(data)
	if !ok {
		return nil, false
	}
	root := r.convert(doc, 1)
	if r.full {
		return nil, false
	}
	return root, true
}

func (r *treeReader) fail(line, column int, message, cure string) {
	r.rep.errs = append(r.rep.errs, &Error{File: r.file, Line: line, Column: column, Message: message, Cure: cure})
}

func (r *treeReader) failAt(tk *token.Token, message, cure string) {
	line, column := place(tk)
	r.fail(line, column, message, cure)
}

func place(tk *token.Token) (line, column int) {
	if tk == nil || tk.Position == nil {
		return 0, 0
	}
	return max(tk.Position.Line, 1), max(tk.Position.Column, 1)
}

// parse gives the body of the file's one document.
func (r *treeReader) parse(data []byte) (body ast.Node, ok bool) {
	// The YAML library is not ours: a fault in it on some odd input must be an
	// error about the file, not the end of the process.
	defer func() {
		if p := recover(); p != nil {
			r.fail(0, 0, fmt.Sprintf("this YAML cannot be parsed (%v)", p), "keep to plain mappings, lists and quoted text")
			body, ok = nil, false
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if !r.fits(tokens) {
		return nil, false
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates are reported with all else
	if err != nil {
		var syntax yaml.Error
		if !errors.As(err, &syntax) {
			r.fail(0, 0, err.Error(), "")
			return nil, false
		}
		line, column := place(syntax.GetToken())
		cure := "compare its indentation, quotes and brackets with those of the lines around it"
		if lines := bytes.Split(data, []byte("\n")); line >= 1 && line <= len(lines) && bytes.HasPrefix(bytes.TrimLeft(lines[line-1], " "), []byte("\t")) {
			cure = "indent with spaces, YAML allows no tab there"
		}
		r.fail(line, column, "not valid YAML: "+syntax.GetMessage(), cure)
		return nil, false
	}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil && (doc.Start == nil || body == nil):
		case body != nil:
			tk := doc.Start
			if tk == nil {
				tk = doc.Body.GetToken()
			}
			r.failAt(tk, "a second YAML document begins here", "one file holds one "+r.Holds+": remove the line ---, or put what follows into a file of its own")
			return nil, false
		default:
			body = doc.Body
		}
	}
	if body == nil {
		r.fail(1, 1, "the file is empty", "begin with "+r.Begin)
		return nil, false
	}
	return body, true
}

// fits refuses, before anything recurses, what is too large or too deep, and
// what no file of ours has a use for.
func (r *treeReader) fits(tokens token.Tokens) bool {
	count, nesting, dashes, line := 0, 0, 0, 0
	for _, tk := range tokens {
		if tk.Type == token.CommentType {
			continue
		}
		if count++; count > maxTokens {
			r.failAt(tk, fmt.Sprintf("the file has more than %d words and signs", maxTokens), fmt.Sprintf("%s has some %d: is this the right file?", r.Honest.What, r.Honest.Words))
			return false
		}
		if tk.Position.Line != line {
			line, dashes = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			nesting++
		case token.MappingEndType, token.SequenceEndType:
			nesting--
		case token.SequenceEntryType:
			dashes++
		case token.TagType:
			r.failAt(tk, "YAML tags are not used here", "write the value alone")
			return false
		case token.DirectiveType:
			r.failAt(tk, "YAML directives are not used here", "remove the line")
			return false
		case token.MappingKeyType:
			r.failAt(tk, "YAML's ? keys are not used here", "write key: value")
			return false
		case token.AnchorType, token.AliasType:
			if !r.Aliases {
				r.failAt(tk, "YAML's "+tk.Value+" is not used here", "write the value out")
				return false
			}
		}
		if nesting > maxNesting || dashes > maxNesting || tk.Position.IndentNum > 1000 {
			r.failAt(tk, fmt.Sprintf("nested deeper than %d levels", maxNesting), "nothing in this file goes deeper than 6")
			return false
		}
	}
	return true
}

func (r *treeReader) convert(n ast.Node, depth int) *node {
	line, column := place(n.GetToken())
	out := &node{kind: refused, line: line, column: column, size: 1}
	if r.full {
		return out
	}
	if depth > maxNesting {
		r.full = true
		r.fail(line, column, fmt.Sprintf("nested deeper than %d levels", maxNesting), "nothing in this file goes deeper than 6")
		return out
	}
	switch n := n.(type) {
	case *ast.NullNode:
		out.kind = Nothing
	case *ast.StringNode:
		out.kind, out.text = Text, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = Text, n.Value.Value
	case *ast.BoolNode:
		out.kind, out.text = Boolean, strconv.FormatBool(n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = Number, n.GetToken().Value
	case *ast.SequenceNode:
		out.kind = List
		for _, v := range n.Values {
			one := r.convert(v, depth+1)
			out.items = append(out.items, one)
			r.grow(out, one)
		}
	case *ast.MappingNode:
		out.kind = Mapping
		if !n.IsFlowStyle && len(n.Values) > 0 {
			out.line, out.column = place(n.Values[0].Key.GetToken())
		}
		for _, v := range n.Values {
			r.addEntry(out, v, depth)
		}
	case *ast.MappingValueNode:
		out.kind = Mapping
		out.line, out.column = place(n.Key.GetToken())
		r.addEntry(out, n, depth)
	case *ast.AnchorNode:
		out = r.convert(n.Value, depth)
		r.anchors[n.Name.GetToken().Value] = out // after its value: no anchor holds itself
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		if known, ok := r.anchors[name]; ok {
			return known
		}
		r.fail(line, column, "no anchor &"+ShowKey(name)+" stands above this alias", "write the value out")
	default:
		r.fail(line, column, "this kind of YAML is not used here", "write a plain value")
	}
	return out
}

func (r *treeReader) addEntry(out *node, v *ast.MappingValueNode, depth int) {
	tk := v.Key.GetToken()
	e := entry{}
	e.line, e.column = place(tk)
	switch key := v.Key.(type) {
	case *ast.StringNode:
		e.name = key.Value
	case *ast.MergeKeyNode:
		r.fail(e.line, e.column, "YAML's merge key << is not used here", r.InsteadOfMerge)
		return
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		e.name = tk.Value
	default:
		r.fail(e.line, e.column, "a key must be a plain word", "write key: value")
		return
	}
	e.value = r.convert(v.Value, depth+1)
	out.entries = append(out.entries, e)
	r.grow(out, e.value)
}

// grow counts what an alias stands for each time it is used, so that a few
// lines of aliases cannot stand for millions of values.
func (r *treeReader) grow(out, part *node) {
	out.size = min(out.size+part.size, maxNodes+1)
	if out.size > maxNodes && !r.full {
		r.full = true
		r.fail(out.line, out.column, fmt.Sprintf("with its aliases written out the file has more than %d values", maxNodes), "write the values out where they belong")
	}
}
