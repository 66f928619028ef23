// Package yamlfile reads YAML that people write: a document into a tree that
// knows its lines, and the tree into values, strictly.
//
// It owns what is asked of every such file: that it is not too large, too deep or
// cleverer than it need be, that no key is unknown or stands twice, and that a
// value is of the kind that is wanted. What the keys mean is its caller's. All
// faults of a file come back at once, as Errors, each with its place and with
// what would be right; it never guesses and it never opens a file.
package yamlfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is one fault of a file: where it is, what is wrong and what would be
// right.
type Error struct {
	File    string
	Line    int    // from 1; 0 if the fault has no line
	Column  int    // from 1; 0 if unknown
	Path    string // such as clusters[2].syncInterval; "" for the whole file
	Message string // what is wrong
	Cure    string // what would be right; "" if the message says it
	Cause   error  // the operating system's, if a file that this one names cannot be read
}

// Error writes "mesh.yaml:17: clusters[2].syncInterval: message: cure".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	for _, part := range []string{e.Path, e.Message, e.Cure} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Cause }

// Errors are all faults of a file and of those that it names, by file and line.
type Errors []*Error

// Error writes one fault per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Error and what caused it.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// origin is where a value stands in a file, and what its path is called there:
// a cluster's sync interval may come from defaults.syncInterval.
type origin struct {
	file         string
	line, column int
	path         string
}

// Report collects the faults of a file. Paths are those of what is made of it,
// which are mostly the file's own.
type Report struct {
	file    string
	errs    Errors
	where   map[string]origin
	spoiled map[string]bool // paths already refused: no second word about them
}

// NewReport is an empty report on a file.
func NewReport(file string) *Report {
	return &Report{file: file, where: map[string]origin{}, spoiled: map[string]bool{}}
}

// Place says that what is at path was made of what stands at another, and is its
// fault. It does nothing if that stands nowhere.
func (r *Report) Place(path, madeOf string) {
	if o, ok := r.where[madeOf]; ok {
		r.where[path] = o
	}
}

// Line is where the value at path stands, 0 if it is not in the file.
func (r *Report) Line(path string) int { return r.where[path].line }

// mark notes where path stands in a file.
func (r *Report) mark(path, file string, line, column int) {
	r.where[path] = origin{file: file, line: line, column: column, path: r.name(path)}
}

// name is what a path below the root is called in the file: what is around it may
// have another name there, or none.
func (r *Report) name(path string) string {
	up := parentPath(path)
	if o, ok := r.where[up]; ok {
		return strings.TrimPrefix(o.path+path[len(up):], ".")
	}
	return path
}

// Fail refuses the value at path. A value that is not in the file is refused
// at the nearest mapping around its place.
func (r *Report) Fail(path, message, cure string) *Error {
	r.spoiled[path] = true
	e := &Error{File: r.file, Path: path, Message: message, Cure: cure}
	for up := path; ; {
		if o, ok := r.where[up]; ok {
			e.File, e.Line, e.Column = o.file, o.line, o.column
			e.Path = strings.TrimPrefix(o.path+path[len(up):], ".")
			break
		}
		if up == "" {
			break
		}
		up = parentPath(up)
	}
	r.errs = append(r.errs, e)
	return e
}

// Blame is Fail for a rule about a value that was read: it says nothing if the
// value, or one around it, was refused before.
func (r *Report) Blame(path, message, cure string) {
	for up := path; ; up = parentPath(up) {
		if r.spoiled[up] {
			return
		}
		if up == "" {
			break
		}
	}
	r.Fail(path, message, cure)
}

// Spoiled says whether the value at path was refused, or was misspelt.
func (r *Report) Spoiled(path string) bool { return r.spoiled[path] }

// SpoiledBelow says whether path or a value within it was refused.
func (r *Report) SpoiledBelow(path string) bool {
	for p := range r.spoiled {
		if p == path || strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[") {
			return true
		}
	}
	return false
}

// Err is the faults found, as Errors, in the order of the file, each once; nil if
// there are none.
func (r *Report) Err() error {
	if len(r.errs) == 0 {
		return nil
	}
	fileRank := func(e *Error) int {
		if e.File == r.file {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(r.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(fileRank(a), fileRank(b)), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	r.errs = slices.CompactFunc(r.errs, func(a, b *Error) bool { return a.Error() == b.Error() && a.Column == b.Column })
	return r.errs
}

// parentPath is the path of the value around: "a[2].b" -> "a[2]" -> "a" -> "".
func parentPath(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// Child is the path of a key's value.
func Child(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Item is the path of a list's item, from 0.
func Item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// Show quotes a value for an error, shortened.
func Show(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return strconv.Quote(s)
}

// ShowKey writes a key as it is if it looks like one, and quotes it if not.
func ShowKey(s string) string {
	odd := func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_' && c != '-' }
	if s == "" || len(s) > 60 || strings.ContainsFunc(s, odd) {
		return Show(s)
	}
	return s
}

// OneOf is how a closed set of words is offered.
func OneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
