package soap

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"unicode/utf8"
)

// Element is one element of a request. An element has text or children.
type Element struct {
	Name     string
	Text     string
	Children []Element
}

// Text is an element with text.
func Text(name, text string) Element { return Element{Name: name, Text: text} }

// Parent is an element with children.
func Parent(name string, children ...Element) Element { return Element{Name: name, Children: children} }

// Qualified says whether the elements inside the operation carry its name space: AXL's do not, Control Center's do (WSDL).
type Qualified bool

const envelopeSpace = "http://schemas.xmlsoap.org/soap/envelope/"

// Envelope builds the request for op in space. It fails on text that XML cannot carry (a NUL, broken UTF-8) rather than
// replacing it: a statement that arrives altered is worse than none.
func Envelope(space, op string, qualified Qualified, children ...Element) ([]byte, error) {
	return EnvelopeOf(space, qualified, Element{Name: op, Children: children})
}

// EnvelopeOf is Envelope for a request whose one element in the Body may be a bare text: that is how a WSDL of style document with
// simple parts has it.
func EnvelopeOf(space string, qualified Qualified, body Element) ([]byte, error) {
	op := body.Name
	var b bytes.Buffer
	b.WriteString(`<soapenv:Envelope xmlns:soapenv="` + envelopeSpace + `" xmlns:ns="`)
	if err := escape(&b, space); err != nil {
		return nil, fmt.Errorf("%s: name space: %w", op, err)
	}
	b.WriteString(`"><soapenv:Header/><soapenv:Body>`)
	prefix := ""
	if qualified {
		prefix = "ns:"
	}
	if err := write(&b, prefix, "ns:", body); err != nil {
		return nil, fmt.Errorf("building %s: %w", op, err)
	}
	b.WriteString(`</soapenv:Body></soapenv:Envelope>`)
	return b.Bytes(), nil
}

func write(b *bytes.Buffer, prefix, own string, e Element) error {
	if !simpleName(e.Name) {
		return fmt.Errorf("element name %q", e.Name)
	}
	b.WriteString("<" + own + e.Name)
	if e.Text == "" && len(e.Children) == 0 {
		b.WriteString("/>")
		return nil
	}
	b.WriteByte('>')
	if err := escape(b, e.Text); err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	for _, c := range e.Children {
		if err := write(b, prefix, prefix, c); err != nil {
			return err
		}
	}
	b.WriteString("</" + own + e.Name + ">")
	return nil
}

// simpleName admits the names Cisco uses: letters and digits, a letter first.
func simpleName(s string) bool {
	for i, r := range s {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

func escape(b *bytes.Buffer, s string) error {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return fmt.Errorf("byte %d is not UTF-8", i)
			}
		}
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return fmt.Errorf("byte %d: XML cannot carry %U", i, r)
		}
	}
	return xml.EscapeText(b, []byte(s))
}
