package clustersim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

const (
	soapNamespace = "http://schemas.xmlsoap.org/soap/envelope/"
	axlNamespace  = "http://www.cisco.com/AXL/API/"
	astNamespace  = "http://schemas.cisco.com/ast/soap"

	maxRequestBytes = 1 << 20
	maxRequestDepth = 64
	chunkBytes      = 64 << 10
)

// element is one element of a request, with names resolved, so that any prefix
// a client chooses is fine.
type element struct {
	Name     xml.Name
	Attrs    []xml.Attr
	Text     string
	Children []*element
}

func (e *element) attr(local string) (string, bool) {
	for _, a := range e.Attrs {
		if a.Name.Local == local && a.Name.Space == "" {
			return a.Value, true
		}
	}
	return "", false
}

// child finds by local name; whether the namespace is right has been checked
// for the whole request before.
func (e *element) child(local string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Name.Local == local {
			return c
		}
	}
	return nil
}

// value is the trimmed text of a child, "" without one.
func (e *element) value(local string) string {
	if c := e.child(local); c != nil {
		return strings.TrimSpace(c.Text)
	}
	return ""
}

// foreign reports the first descendant whose namespace is not want.
func (e *element) foreign(want string) *element {
	for _, c := range e.Children {
		if c.Name.Space != want {
			return c
		}
		if f := c.foreign(want); f != nil {
			return f
		}
	}
	return nil
}

var errNotSOAP = errors.New("not a SOAP 1.1 envelope with one operation")

// parseEnvelope reads a SOAP 1.1 request and returns the operation element. A
// document type is refused: nobody's client needs one, and entities are a trap.
func parseEnvelope(r io.Reader) (*element, error) {
	decoder := xml.NewDecoder(io.LimitReader(r, maxRequestBytes))
	var root *element
	var stack []*element
	for {
		tok, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading a request: %w", err)
		}
		switch t := tok.(type) {
		case xml.Directive:
			return nil, fmt.Errorf("document type in a request: %w", errNotSOAP)
		case xml.StartElement:
			e := &element{Name: t.Name}
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					e.Attrs = append(e.Attrs, a)
				}
			}
			switch {
			case len(stack) > 0:
				parent := stack[len(stack)-1]
				parent.Children = append(parent.Children, e)
			case root != nil:
				return nil, errNotSOAP
			default:
				root = e
			}
			if stack = append(stack, e); len(stack) > maxRequestDepth {
				return nil, fmt.Errorf("nested deeper than %d: %w", maxRequestDepth, errNotSOAP)
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].Text += string(t)
			}
		}
	}
	if root == nil || root.Name != (xml.Name{Space: soapNamespace, Local: "Envelope"}) {
		return nil, errNotSOAP
	}
	body := root.child("Body")
	if body == nil || body.Name.Space != soapNamespace || len(body.Children) != 1 {
		return nil, errNotSOAP
	}
	return body.Children[0], nil
}

// chunks recycles the pieces of answers among all nodes of one simulation.
type chunks struct{ pool sync.Pool }

func (c *chunks) get() []byte {
	if b, ok := c.pool.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, chunkBytes)
}

func (c *chunks) put(b []byte) { c.pool.Put(&b) }

// page is the body of an answer, in pieces that go back to the pool as soon as
// each is sent. grow, if set, is asked before a piece is added and may refuse;
// release is told what was given back.
type page struct {
	from    *chunks
	pieces  [][]byte
	size    int
	grow    func(n int) error
	release func(n int)
	err     error // the first refusal; Write after it does nothing
}

func (p *page) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	written := len(b)
	for len(b) > 0 {
		last := len(p.pieces) - 1
		if last < 0 || len(p.pieces[last]) == cap(p.pieces[last]) {
			if p.grow != nil {
				if p.err = p.grow(chunkBytes); p.err != nil {
					return 0, p.err
				}
			}
			p.pieces = append(p.pieces, p.from.get())
			last++
		}
		room := cap(p.pieces[last]) - len(p.pieces[last])
		n := min(room, len(b))
		p.pieces[last] = append(p.pieces[last], b[:n]...)
		p.size += n
		b = b[n:]
	}
	return written, nil
}

func (p *page) WriteString(s string) {
	for len(s) > 0 {
		n := min(len(s), 4096)
		if _, err := p.Write([]byte(s[:n])); err != nil {
			return
		}
		s = s[n:]
	}
}

// cut keeps the first n bytes.
func (p *page) cut(n int) {
	kept := 0
	for i, piece := range p.pieces {
		if kept+len(piece) >= n {
			p.pieces[i] = piece[:n-kept]
			for _, rest := range p.pieces[i+1:] {
				p.giveBack(rest)
			}
			p.pieces = p.pieces[:i+1]
			p.size = n
			return
		}
		kept += len(piece)
	}
}

func (p *page) giveBack(piece []byte) {
	if p.from != nil {
		p.from.put(piece)
	}
	if p.release != nil {
		p.release(chunkBytes)
	}
}

// drop gives everything back that was not sent.
func (p *page) drop() {
	for _, piece := range p.pieces {
		p.giveBack(piece)
	}
	p.pieces, p.size = nil, 0
}

// WriteTo sends and gives back piece by piece.
func (p *page) WriteTo(w io.Writer) (int64, error) {
	var sent int64
	for len(p.pieces) > 0 {
		piece := p.pieces[0]
		p.pieces = p.pieces[1:]
		n, err := w.Write(piece)
		p.giveBack(piece)
		sent += int64(n)
		if err != nil {
			p.drop()
			return sent, err
		}
	}
	return sent, nil
}

// markup writes XML with everything escaped; prefixes are part of names.
type markup struct {
	*page
	open []string
}

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#xD;")

func escapeInto(p *page, s []byte) {
	if clean(s) {
		_, _ = p.Write(s) // a refusal is kept in p.err
		return
	}
	var b bytes.Buffer
	// A bytes.Buffer takes everything, and EscapeText replaces what XML cannot hold.
	_ = xml.EscapeText(&b, s)
	_, _ = p.Write(b.Bytes())
}

// clean is true for what needs no escaping: printable ASCII but & < > ' ".
func clean(s []byte) bool {
	for _, c := range s {
		if c < 0x20 || c > 0x7e || c == '&' || c == '<' || c == '>' || c == '"' || c == '\'' {
			return false
		}
	}
	return true
}

func (m *markup) start(name string, attrs ...string) {
	m.tag(name, attrs)
	m.WriteString(">")
	m.open = append(m.open, name)
}

func (m *markup) tag(name string, attrs []string) {
	m.WriteString("<")
	m.WriteString(name)
	for i := 0; i+1 < len(attrs); i += 2 {
		m.WriteString(" " + attrs[i] + `="` + xmlEscapes.Replace(attrs[i+1]) + `"`)
	}
}

// end closes the n innermost elements.
func (m *markup) end(n int) {
	for range n {
		last := len(m.open) - 1
		m.WriteString("</" + m.open[last] + ">")
		m.open = m.open[:last]
	}
}

func (m *markup) leaf(name, text string, attrs ...string) {
	m.tag(name, attrs)
	if text == "" {
		m.WriteString("/>")
		return
	}
	m.WriteString(">")
	escapeInto(m.page, []byte(text))
	m.WriteString("</" + name + ">")
}

func (m *markup) integer(name string, n int) { m.leaf(name, strconv.Itoa(n)) }

// finish closes whatever is open.
func (m *markup) finish() *page {
	m.end(len(m.open))
	return m.page
}

func (c *chunks) envelope() *markup {
	m := &markup{page: &page{from: c}}
	m.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	m.start("soapenv:Envelope", "xmlns:soapenv", soapNamespace)
	m.start("soapenv:Body")
	return m
}
