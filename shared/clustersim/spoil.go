package clustersim

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// fieldTags are the elements in which an answer carries a field. Those of SQL
// answers are the names that Peerkeeper's statements give their columns.
var fieldTags = map[string][]string{
	"sync_status": {"sync_status"},
	"version":     {"version", "ActiveServerVersion"},
	"service":     {"ServiceName"},
	"reason":      {"ReasonCodeString"},
	"address":     {"address"},
	"protocol":    {"protocol"},
	"last_error":  {"last_error"},
	"node":        {"node"},
	"user":        {"userid", "high"},
}

// spoils are the faults that leave an answer what it is and put something else
// into it. They wait for an answer that has the place, so that one which is to
// happen once does.
func (k FaultKind) spoils() bool { return k == FaultNotUTF8 || k == FaultField }

// spoil puts what faults ask for into a whole answer.
func (c *exchangeCall) spoil(a *answer) *answer {
	s := c.s
	s.mu.Lock()
	asked := slices.ContainsFunc(s.faults, func(f *Fault) bool { return f.Kind.spoils() && f.matches(c.n, c.name) })
	s.mu.Unlock()
	if !asked || a.status != http.StatusOK || a.sendOnly >= 0 {
		return a
	}
	var text []byte
	for _, piece := range a.body.pieces {
		text = append(text, piece...)
	}
	changed := false
	s.mu.Lock()
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool {
		if !f.Kind.spoils() || !f.matches(c.n, c.name) {
			return false
		}
		out, ok := f.put(text)
		if !ok {
			return false
		}
		s.log("%s: fault %s %s in %s", c.n.name, f.Kind, f.Field, c.name)
		text, changed = out, true
		if f.Times > 0 {
			f.Times--
		}
		return f.Times == 0
	})
	s.mu.Unlock()
	if !changed {
		return a
	}
	a.body.drop()
	a.body = &page{from: s.pages}
	_, _ = a.body.Write(text) // no budget, so nothing refuses
	return a
}

// put is the answer with the fault in it; false if it has no place for it.
func (f *Fault) put(text []byte) ([]byte, bool) {
	if f.Kind == FaultNotUTF8 {
		for _, tag := range []string{"node", "userid", "address", "version", "name", "ServiceName"} {
			if out, ok := replaced(text, tag, "M\xfcnchen"); ok {
				return out, true
			}
		}
		return nil, false
	}
	found := false
	for _, tag := range fieldTags[f.Field] {
		if f.Rows > 0 {
			if out, ok := multiplied(text, tag, f.Value, f.Rows); ok {
				text, found = out, true
			}
			continue
		}
		parts := [][]byte{text}
		if f.Field == "sync_status" { // one datum, which every row repeats
			parts = bytes.SplitAfter(text, []byte("</row>"))
		}
		for i, part := range parts {
			if out, ok := replaced(part, tag, f.Value); ok {
				parts[i], found = out, true
			}
		}
		text = bytes.Join(parts, nil)
	}
	return text, found
}

// multiplied is the answer with its first row that many times more, each with
// another value of the field.
func multiplied(text []byte, tag, value string, rows int) ([]byte, bool) {
	from, end := bytes.Index(text, []byte("<row>")), bytes.Index(text, []byte("</row>"))
	if from < 0 || end < from {
		return nil, false
	}
	end += len("</row>")
	var more []byte
	for i := range rows {
		row, ok := replaced(text[from:end], tag, fmt.Sprintf("%s%d", value, i+1))
		if !ok {
			return nil, false
		}
		more = append(more, row...)
	}
	return slices.Concat(text[:end], more, text[end:]), true
}

// valueEscapes leaves everything as it is but what would be markup: a value that
// no XML may carry is sent all the same.
var valueEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// replaced puts a value into the first element of a name.
func replaced(text []byte, tag, value string) ([]byte, bool) {
	for _, name := range []string{tag, "ns1:" + tag} {
		open, empty := []byte("<"+name+">"), []byte("<"+name+"/>")
		from := bytes.Index(text, open)
		whole := []byte("<" + name + ">" + valueEscapes.Replace(value) + "</" + name + ">")
		if at := bytes.Index(text, empty); at >= 0 && (from < 0 || at < from) {
			return slices.Concat(text[:at], whole, text[at+len(empty):]), true
		}
		if from < 0 {
			continue
		}
		end := bytes.Index(text[from:], []byte("</"+name+">"))
		if end < 0 {
			continue
		}
		return slices.Concat(text[:from], whole, text[from+end+len("</"+name+">"):]), true
	}
	return nil, false
}
