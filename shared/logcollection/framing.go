package logcollection

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
)

// The framings of an answer, as Extent names them.
const (
	framingXOP   = "xop"   // MTOM/XOP, Axis2: the root is application/xop+xml, the boundary stands without quotes [T]
	framingAxis  = "axis"  // MIME parts, Axis 1: the root is text/xml, the boundary is quoted and has a = in it [T]
	framingXML   = "xml"   // the file is base64 inside the XML, which the WSDL allows [V]
	framingWhole = "whole" // the answer is the file [I]
)

const (
	maxRoot  = 1 << 20  // the XML part of an answer with a file
	maxTail  = 64 << 10 // what may follow a file inside the XML
	maxGuess = 64 << 10 // a part that may not be the file, but is taken if no other is
	maxDepth = 48       // of elements
)

// faultError is a fault in place of a file.
type faultError struct{ page []byte }

func (e *faultError) Error() string { return "a fault in place of a file" }

// open tells what an answer is: its root and further parts, or one document. The content type is believed if it says multipart; where it says
// nothing, the first bytes do.
func open(contentType string, body io.Reader) (*partsReader, *bufio.Reader, error) {
	b := bufio.NewReaderSize(body, 64<<10)
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		kind = strings.TrimSpace(kind)
	}
	switch {
	case kind == "application/dime":
		// Twelve bytes of header a record, as the old service's name promises; nobody has seen one since.
		return nil, nil, errors.New("the answer is application/dime, which Peerkeeper does not read")
	case strings.HasPrefix(kind, "multipart/"):
		boundary := params["boundary"]
		if boundary == "" {
			boundary, _ = sniff(b)
		}
		if boundary == "" || len(boundary) > 200 {
			return nil, nil, errors.New("an answer in parts without a boundary")
		}
		return newParts(b, boundary), nil, nil
	case kind == "":
		if boundary, ok := sniff(b); ok {
			return newParts(b, boundary), nil, nil
		}
	}
	return nil, b, nil
}

// partsReader is a multipart.Reader whose NextRawPart ends in io.EOF after the last boundary only. The standard one does so too where an answer is
// cut inside the header of a part.
type partsReader struct {
	parts *multipart.Reader
	last  []byte // the boundary that ends all
	from  *recorder
}

func newParts(r io.Reader, boundary string) *partsReader {
	from := &recorder{from: r}
	return &partsReader{multipart.NewReader(from, boundary), []byte("--" + boundary + "--"), from}
}

func (p *partsReader) NextRawPart() (*multipart.Part, error) {
	part, err := p.parts.NextRawPart()
	if errors.Is(err, io.EOF) && !bytes.Contains(p.from.tail, p.last) {
		err = io.ErrUnexpectedEOF
	}
	return part, err
}

// recorder keeps the last bytes that were read: more than multipart.Reader reads ahead.
type recorder struct {
	from io.Reader
	tail []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	const kept = 8 << 10
	n, err := r.from.Read(p)
	r.tail = append(r.tail, p[:n]...)
	if over := len(r.tail) - kept; over > 0 {
		r.tail = append(r.tail[:0], r.tail[over:]...)
	}
	return n, err
}

// sniff finds the boundary that a body begins with. It reads nothing away.
func sniff(b *bufio.Reader) (string, bool) {
	head, _ := b.Peek(512)
	line, _, found := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte("\n"))
	boundary, ok := bytes.CutPrefix(bytes.TrimRight(line, "\r \t"), []byte("--"))
	return string(boundary), ok && found && len(boundary) > 0
}

// rootXML is the XML of an answer that carries no file: the one document, or the first part.
func rootXML(contentType string, body io.Reader, limit int64) ([]byte, error) {
	parts, whole, err := open(contentType, body)
	if err != nil {
		return nil, err
	}
	if parts == nil {
		return limited(whole, limit)
	}
	root, err := parts.NextRawPart()
	if err != nil {
		return nil, partsEnded(err)
	}
	text, err := limited(decoded(root), limit)
	if err != nil {
		return nil, err
	}
	// The last boundary must be seen: what was cut before it may lack an end.
	for {
		if _, err := parts.NextRawPart(); errors.Is(err, io.EOF) {
			return text, nil
		} else if err != nil {
			return nil, partsEnded(err)
		}
	}
}

func limited(r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("an answer of more than %d KB that is no file", limit>>10)
	}
	return text, err
}

// partsEnded words the end of an answer that should have had more parts.
func partsEnded(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("an answer in parts that ends before its last boundary")
	}
	return err
}

// decoded undoes a part's transfer encoding; binary is what has been seen [T].
func decoded(p *multipart.Part) io.Reader {
	if strings.EqualFold(strings.TrimSpace(p.Header.Get("Content-Transfer-Encoding")), "base64") {
		return base64.NewDecoder(base64.StdEncoding, &base64Text{from: p})
	}
	return p
}

// openFile finds the file in an answer, hands it to read, and tells how it was framed. After read it makes sure that the answer was whole, unless
// read failed. Its error is a *faultError for a fault.
func openFile(contentType string, body io.Reader, read func(io.Reader) error) (string, error) {
	parts, whole, err := open(contentType, body)
	if err != nil {
		return "", err
	}
	if parts == nil {
		return openWhole(whole, read)
	}
	rootPart, err := parts.NextRawPart()
	if err != nil {
		return "", partsEnded(err)
	}
	framing := framingAxis
	if kind, _, _ := mime.ParseMediaType(rootPart.Header.Get("Content-Type")); kind == "application/xop+xml" {
		framing = framingXOP
	}
	root := bufio.NewReaderSize(decoded(rootPart), 4<<10)
	content, err := enterRoot(root)
	if err != nil {
		return framing, err
	}
	if content.inline {
		// Parts, and yet the file is text inside the first one: legal by the WSDL.
		if err := readInline(root, read); err != nil {
			return framing, err
		}
		_, err := parts.NextRawPart()
		for err == nil {
			_, err = parts.NextRawPart()
		}
		if !errors.Is(err, io.EOF) {
			return framing, partsEnded(err)
		}
		return framing, nil
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(root, maxRoot)); err != nil || n == maxRoot {
		return framing, errors.Join(err, errors.New("the first part of the answer has no end"))
	}
	return framing, attachment(parts, content.id, read)
}

// attachment reads the part that the root names, else the first that is no XML.
func attachment(parts *partsReader, id string, read func(io.Reader) error) error {
	var guess []byte
	guessed := false
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) && (guessed || id == "") {
			return read(bytes.NewReader(guess)) // the part of another name, or an empty file: the root named none
		}
		if err != nil {
			return partsEnded(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		isXML := kind == "text/xml" || strings.HasSuffix(kind, "+xml")
		named := contentID(p.Header.Get("Content-ID"))
		from := decoded(p)
		switch {
		case id != "" && named == id, id == "" && !isXML, id != "" && named == "" && !isXML:
		case isXML || guessed:
			continue
		default:
			// Another name than the root's: it is the file if no better part comes. One too large to be kept aside is no decoy.
			text, err := io.ReadAll(io.LimitReader(from, maxGuess+1))
			if err != nil {
				return err
			}
			if len(text) <= maxGuess {
				guess, guessed = text, true
				continue
			}
			from = io.MultiReader(bytes.NewReader(text), from)
		}
		if err := read(from); err != nil {
			return err
		}
		// The boundary after the file tells that it was whole.
		for {
			if _, err := parts.NextRawPart(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return partsEnded(err)
			}
		}
	}
}

// contentID is a name as cid: and Content-ID both mean it: the one is escaped (%40), the other in angle brackets.
func contentID(s string) string {
	s = strings.TrimSpace(s)
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
	if plain, err := url.PathUnescape(s); err == nil {
		s = plain
	}
	return strings.ToLower(s)
}

// openWhole reads an answer that is one document: XML with the file inside, or the file itself.
func openWhole(b *bufio.Reader, read func(io.Reader) error) (string, error) {
	head, err := b.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF")), " \t\r\n")
	if len(head) == 0 && err != nil {
		return "", errors.New("an empty answer")
	}
	if len(head) > 0 && head[0] != '<' || syslogHead(head) {
		return framingWhole, read(b)
	}
	content, err := enterRoot(b)
	if err != nil {
		return framingXML, err
	}
	if !content.inline {
		if content.id != "" {
			return framingXML, errors.New("the answer names an attachment that it does not have")
		}
		return framingXML, read(bytes.NewReader(nil)) // an empty file: enterRoot saw the end of its element
	}
	return framingXML, readInline(b, read)
}

// syslogHead tells a pushed line, <189>, from XML.
func syslogHead(head []byte) bool {
	return len(head) > 1 && head[0] == '<' && head[1] >= '0' && head[1] <= '9'
}

// content is how the root of an answer carries the file.
type content struct {
	inline bool   // base64 text follows in the reader
	id     string // of the attachment that is named, "" if none is
}

// enterRoot reads an envelope up to the file's place in it, and where a text begins there, not a byte further.
func enterRoot(b *bufio.Reader) (content, error) {
	var seen bytes.Buffer // for a fault, which is read again as a whole
	in := &teeBytes{from: b, to: &seen}
	d := xml.NewDecoder(in)
	var path []string
	for {
		t, err := d.RawToken() // RawToken, because the element that holds the file is left half read
		if err != nil {
			if errors.Is(err, io.EOF) && len(path) == 0 && seen.Len() > 0 {
				return content{}, errors.New("an envelope without GetOneFileReturn")
			}
			return content{}, err
		}
		switch t := t.(type) {
		case xml.Directive:
			return content{}, errors.New("document type declarations are refused")
		case xml.EndElement:
			if len(path) == 0 {
				return content{}, errors.New("an element that ends was never begun")
			}
			path = path[:len(path)-1]
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if len(path) == 1 && t.Name.Local != "Envelope" {
				return content{}, fmt.Errorf("<%.60s> instead of a SOAP envelope", t.Name.Local)
			}
			if len(path) > maxDepth {
				return content{}, fmt.Errorf("elements nested deeper than %d", maxDepth)
			}
			switch t.Name.Local {
			case "Fault":
				rest, err := limited(b, maxTail)
				if err != nil {
					return content{}, err
				}
				return content{}, &faultError{append(seen.Bytes(), rest...)}
			case "GetOneFileReturn":
				in.to = nil
				return enterReturn(in, d, t, path)
			}
		}
		if seen.Len() > maxRoot {
			return content{}, errors.New("no file within the first MB of the answer")
		}
	}
}

// enterReturn looks into the element that holds the file or names it.
func enterReturn(b *teeBytes, d *xml.Decoder, start xml.StartElement, path []string) (content, error) {
	if id, ok := reference(start.Attr); ok {
		return content{id: id}, nil
	}
	if start.Name.Local != "" && b.last == '>' && b.before == '/' { // <GetOneFileReturn/>: an empty file
		return content{}, drained(d, len(path))
	}
	first, err := b.firstOfText()
	if err != nil {
		return content{}, err
	}
	if first != '<' {
		return content{inline: true}, nil
	}
	for {
		t, err := d.RawToken()
		if err != nil {
			return content{}, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if id, ok := reference(t.Attr); ok {
				return content{id: id}, nil
			}
			return content{}, fmt.Errorf("<%.60s> in place of a file", t.Name.Local)
		case xml.EndElement:
			return content{}, drained(d, len(path)-1)
		}
	}
}

// drained reads what is left of an envelope in which open elements are open.
func drained(d *xml.Decoder, open int) error {
	for open > 0 {
		t, err := d.RawToken()
		if err != nil {
			return err
		}
		switch t.(type) {
		case xml.StartElement:
			if open++; open > maxDepth {
				return fmt.Errorf("elements nested deeper than %d", maxDepth)
			}
		case xml.EndElement:
			open--
		}
	}
	return nil
}

// reference finds cid:… among attributes: xop:Include has it in href, and Axis 1 on the element itself [T].
func reference(list []xml.Attr) (string, bool) {
	for _, a := range list {
		if a.Name.Local != "href" {
			continue
		}
		if len(a.Value) > 4 && strings.EqualFold(a.Value[:4], "cid:") {
			return contentID(a.Value[4:]), true
		}
	}
	return "", false
}

// teeBytes gives a decoder one byte at a time, so that it reads none ahead, and remembers the last two.
type teeBytes struct {
	from         *bufio.Reader
	to           *bytes.Buffer // nil: nothing is kept
	last, before byte
}

func (t *teeBytes) ReadByte() (byte, error) {
	c, err := t.from.ReadByte()
	if err != nil {
		return 0, err
	}
	t.before, t.last = t.last, c
	if t.to != nil {
		t.to.WriteByte(c)
	}
	return c, nil
}

func (t *teeBytes) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := t.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

// firstOfText passes over blanks and shows the byte after them.
func (t *teeBytes) firstOfText() (byte, error) {
	for range maxTail {
		head, err := t.from.Peek(1)
		if err != nil {
			return 0, unexpected(err)
		}
		switch head[0] {
		case ' ', '\t', '\r', '\n':
			_, _ = t.from.Discard(1) // it was peeked
		default:
			return head[0], nil
		}
	}
	return 0, errors.New("blanks in place of a file")
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readInline decodes the file that stands as base64 in the XML, and sees that the envelope ends after it.
func readInline(b *bufio.Reader, read func(io.Reader) error) error {
	text := &base64Text{from: b, xml: true}
	file := base64.NewDecoder(base64.StdEncoding, text)
	if err := read(file); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, file); err != nil { // what read did not want
		return err
	}
	if !text.ended {
		return errors.New("the file's text has no end")
	}
	tail, err := limited(b, maxTail)
	if err != nil {
		return err
	}
	closing, _, _ := bytes.Cut(tail, []byte(">"))
	if !bytes.HasPrefix(closing, []byte("</")) || !bytes.HasSuffix(bytes.TrimSpace(closing), []byte("GetOneFileReturn")) {
		return fmt.Errorf("%.60q in the file's text", closing)
	}
	if end := bytes.LastIndex(tail, []byte("Envelope")); end < 0 || !bytes.Contains(tail[end:], []byte(">")) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// base64Text is base64 as XML and MIME carry it: without blanks and ends of lines, which in XML may be written &#xd; too. In XML it ends at the
// next tag, which it leaves unread but for its first byte.
type base64Text struct {
	from  io.Reader
	xml   bool
	ended bool
}

func (t *base64Text) Read(p []byte) (int, error) {
	if t.xml {
		return t.readXML(p)
	}
	for {
		n, err := t.from.Read(p)
		kept := 0
		for _, c := range p[:n] {
			if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				p[kept] = c
				kept++
			}
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}

func (t *base64Text) readXML(p []byte) (int, error) {
	b := t.from.(*bufio.Reader)
	for !t.ended {
		// What is buffered is looked at in place, so that not a byte after the text is taken away.
		if _, err := b.Peek(1); err != nil {
			return 0, unexpected(err)
		}
		head, _ := b.Peek(min(b.Buffered(), len(p)))
		kept, taken := 0, 0
	text:
		for taken < len(head) {
			switch c := head[taken]; c {
			case '<':
				t.ended = true
				break text
			case '&':
				if taken > 0 {
					break text // it begins the next look
				}
				entity, err := b.Peek(6)
				end := bytes.IndexByte(entity, ';')
				if end < 0 && err != nil {
					return 0, unexpected(err)
				}
				if end < 0 {
					return 0, errors.New("an entity in a file's base64")
				}
				switch strings.ToLower(string(entity[:end])) {
				case "&#xd", "&#xa", "&#x9", "&#13", "&#10", "&#9":
				default:
					return 0, errors.New("an entity in a file's base64")
				}
				taken = end + 1
				break text
			case ' ', '\t', '\r', '\n':
			default:
				p[kept] = c
				kept++
			}
			taken++
		}
		_, _ = b.Discard(taken) // it was peeked
		if kept > 0 {
			return kept, nil
		}
	}
	return 0, io.EOF
}

// firstInBody is the name of the first element in the Body of an envelope, after the whole of it was seen to be lawful.
func firstInBody(page []byte) (xml.Name, error) {
	d := xml.NewDecoder(bytes.NewReader(page))
	var first xml.Name
	depth, inBody := 0, false
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if first.Local == "" {
				return first, errors.New("no SOAP envelope with a Body")
			}
			return first, nil
		}
		if err != nil {
			return first, err
		}
		switch t := t.(type) {
		case xml.Directive:
			return first, errors.New("document type declarations are refused")
		case xml.StartElement:
			switch {
			case depth == 0 && t.Name.Local != "Envelope":
				return first, fmt.Errorf("<%.60s> instead of a SOAP envelope", t.Name.Local)
			case depth == 1:
				inBody = t.Name.Local == "Body"
			case depth == 2 && inBody && first.Local == "":
				first = t.Name
			}
			if depth++; depth > maxDepth {
				return first, fmt.Errorf("elements nested deeper than %d", maxDepth)
			}
		case xml.EndElement:
			depth--
		}
	}
}
