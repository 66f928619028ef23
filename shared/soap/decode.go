package soap

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxDepth of nested elements; the deepest answer we know nests nine.
const maxDepth = 48

var (
	errDirective = errors.New("document type declarations are refused")
	errDepth     = fmt.Errorf("elements nested deeper than %d", maxDepth)
)

// guard is a token source that refuses what a hostile or broken server could use against a decoder: declarations (the home of
// entity bombs; encoding/xml would skip them) and deep nesting.
type guard struct {
	d     *xml.Decoder
	depth int
}

func newDecoder(r io.Reader) *xml.Decoder {
	return xml.NewTokenDecoder(&guard{d: xml.NewDecoder(r)})
}

// Token hands raw tokens on: the decoder above checks that tags match and resolves name spaces.
func (g *guard) Token() (xml.Token, error) {
	t, err := g.d.RawToken()
	switch t.(type) {
	case xml.Directive:
		return nil, errDirective
	case xml.StartElement:
		if g.depth++; g.depth > maxDepth {
			return nil, errDepth
		}
	case xml.EndElement:
		g.depth--
	}
	return t, err
}

// decodeEnvelope decodes the first element of the Body, which must be called want, into v, or returns the fault it is. It reads to
// the end of r. Without the check an answer to another operation would decode as an empty one to this.
func decodeEnvelope(r io.Reader, want string, v any) (*fault, error) {
	d := newDecoder(r)
	if err := descend(d, "Envelope"); err != nil {
		return nil, err
	}
	if err := descend(d, "Body"); err != nil {
		return nil, err
	}
	start, err := child(d)
	if err != nil {
		return nil, err
	}
	if start == nil {
		return nil, errors.New("the SOAP Body is empty")
	}
	var f *fault
	switch start.Name.Local {
	case "Fault":
		f, err = decodeFault(d)
	case want:
		err = d.DecodeElement(v, start)
	default:
		err = fmt.Errorf("<%.60s> instead of <%s>", start.Name.Local, want)
	}
	if err != nil {
		return nil, err
	}
	for range 2 { // what else the Body and the Envelope hold is of no interest, but both must be closed
		for {
			next, err := child(d)
			if err != nil {
				return nil, err
			}
			if next == nil {
				break
			}
			if err := d.Skip(); err != nil {
				return nil, err
			}
		}
	}
	for {
		t, err := d.Token()
		switch t := t.(type) {
		case xml.StartElement:
			return nil, fmt.Errorf("<%s> after the envelope", t.Name.Local)
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return nil, errors.New("text after the envelope")
			}
		}
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// descend enters the next element called name, passing over its siblings before it.
func descend(d *xml.Decoder, name string) error {
	for {
		start, err := child(d)
		switch {
		case errors.Is(err, io.EOF), err == nil && start == nil:
			return fmt.Errorf("no SOAP %s", name)
		case err != nil:
			return err
		case start.Name.Local == name:
			return nil
		case name == "Envelope":
			return fmt.Errorf("<%s> instead of a SOAP envelope", start.Name.Local)
		}
		if err := d.Skip(); err != nil {
			return err
		}
	}
}

// child returns the next start element at this level, nil at the end of the enclosing one.
func child(d *xml.Decoder) (*xml.StartElement, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		}
	}
}

// opening tells from the first bytes of an answer what the first element inside the Body is; empty if they do not say.
func opening(prefix []byte) (string, error) {
	d := newDecoder(strings.NewReader(string(prefix)))
	inBody := false
	for depth := 0; ; {
		t, err := d.Token()
		if errors.Is(err, errDirective) {
			return "", err
		}
		if err != nil {
			return "", nil // the prefix ends inside something
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch {
			case depth == 0 && t.Name.Local != "Envelope":
				return "", fmt.Errorf("<%s> instead of a SOAP envelope", t.Name.Local)
			case depth == 1:
				inBody = t.Name.Local == "Body"
			case depth == 2 && inBody:
				return t.Name.Local, nil
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}
