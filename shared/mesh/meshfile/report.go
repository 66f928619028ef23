package meshfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is one fault of a mesh file: where it is, what is wrong and what would
// be right.
type Error struct {
	File    string
	Line    int    // from 1; 0 if the fault has no line
	Column  int    // from 1; 0 if unknown
	Path    string // such as clusters[2].syncInterval; "" for the whole file
	Message string // what is wrong
	Cure    string // what would be right; "" if the message says it
	cause   error
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

// Unwrap is the operating system's error when a file that mesh.yaml names
// could not be read, and nil otherwise.
func (e *Error) Unwrap() error { return e.cause }

// Errors are all faults of a mesh file, by file and line.
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

// origin is where a value of the mesh stands in a file, and what its path is
// called there: a cluster's sync interval may come from defaults.syncInterval.
type origin struct {
	file         string
	line, column int
	path         string
}

// report collects the faults of one mesh. Paths are those of mesh.Mesh's JSON,
// which are also mesh.yaml's but for defaults and pairs.
type report struct {
	file    string
	errs    Errors
	where   map[string]origin
	spoiled map[string]bool // paths already refused: no second word about them
}

func newReport(file string) *report {
	return &report{file: file, where: map[string]origin{}, spoiled: map[string]bool{}}
}

// at says where the value at path stands.
func (r *report) at(path string, o origin) { r.where[path] = o }

// fail refuses the value at path. A value that is not in the file is refused
// at the nearest mapping around its place.
func (r *report) fail(path, message, cure string) *Error {
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

// blame is fail for a rule about a value that was read: it says nothing if the
// value, or one around it, was refused before.
func (r *report) blame(path, message, cure string) {
	for up := path; ; up = parentPath(up) {
		if r.spoiled[up] {
			return
		}
		if up == "" {
			break
		}
	}
	r.fail(path, message, cure)
}

// spoiledBelow says whether path or a value within it was refused.
func (r *report) spoiledBelow(path string) bool {
	for p := range r.spoiled {
		if p == path || strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[") {
			return true
		}
	}
	return false
}

// result is the faults found, in the order of the file, each once; nil if none.
func (r *report) result() error {
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

func child(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// show quotes a value for an error, shortened.
func show(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return strconv.Quote(s)
}

// showKey writes a key as it is if it looks like one, and quotes it if not.
func showKey(s string) string {
	odd := func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_' && c != '-' }
	if s == "" || len(s) > 60 || strings.ContainsFunc(s, odd) {
		return show(s)
	}
	return s
}

// oneOf is how a closed set of words is offered.
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
