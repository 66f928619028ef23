package axl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	bufferSize = 64 << 10
	maxRow     = 8 << 20 // one row must fit; AXL itself refuses answers over 8 MB
	maxDepth   = 48
	maxShape   = 256 // columns of a row whose names are remembered
)

var (
	// ErrNotUTF8 is an answer that no reader can be sure of: what else is in it may be broken too.
	ErrNotUTF8   = errors.New("the answer is not in UTF-8")
	errText      = errors.New("text where only elements may stand")
	errDirective = errors.New("document type declarations are refused")
	errTag       = errors.New("malformed tag")
	errNesting   = errors.New("end tag does not match its start tag")
	errDepth     = fmt.Errorf("elements nested deeper than %d", maxDepth)
	errRow       = fmt.Errorf("a row longer than %d bytes", maxRow)
	errEntity    = errors.New("unknown entity")
	errChild     = errors.New("an element inside a column")
)

// scanner reads the answer to executeSQLQuery without holding it: a bounded buffer, rows decoded in place, values that alias the
// buffer. It knows one shape (Envelope, Body, …Response, return, row, columns) and compares local names only. Within a row it guesses that
// the tags are those of the first row, byte for byte, and falls back to parsing when they are not.
//
// It takes prefixes, attributes, comments, processing instructions, CDATA, entities and white space; it insists that tags match
// and that the envelope is closed and nothing follows: an answer cut anywhere is an error.
type scanner struct {
	from    io.Reader
	readErr error // sticky; io.EOF at the end
	buf     []byte
	pos     int // next byte to look at
	end     int // of what was read
	keep    int // start of the row in hand, which must stay in buf when it is refilled; -1: none
	total   int64

	columns []string // local names
	may     []bool   // be absent
	row     func([][]byte) error
	rows    int
	stopped bool // by row

	values   [][]byte
	spans    []span // of the row in hand
	rowOpen  []byte // "<row>" as the first row wrote it
	rowClose []byte
	shape    []step
	learned  bool
}

// span is a value, relative to keep; start -1: not seen.
type span struct{ start, end int }

// step is one column of the row as it was first written.
type step struct {
	open, close, empty []byte // "<pkid>", "</pkid>", "<pkid/>"
	column             int    // -1: not asked for
}

func newScanner(from io.Reader, columns []string, row func([][]byte) error) *scanner {
	s := &scanner{from: from, buf: make([]byte, bufferSize), keep: -1, row: row}
	for _, c := range columns {
		name, optional := strings.CutPrefix(c, "?")
		s.columns = append(s.columns, name)
		s.may = append(s.may, optional)
	}
	s.values = make([][]byte, len(columns))
	s.spans = make([]span, len(columns))
	return s
}

// run reads the whole answer, whose Body must hold response.
func (s *scanner) run(response string) error {
	if err := s.need(2); err == nil && bytes.HasPrefix(s.buf[s.pos:s.end], []byte("\xef\xbb\xbf")) {
		s.pos += 3
	}
	envelope, err := s.open("Envelope", false)
	if err != nil {
		return err
	}
	body, err := s.open("Body", true)
	if err != nil {
		return err
	}
	answer, err := s.open(response, false)
	if err != nil {
		return err
	}
	result, err := s.open("return", true)
	if err != nil {
		return err
	}
	if result != nil {
		if err := s.readRows(result); err != nil {
			return err
		}
	}
	for _, name := range [][]byte{answer, body, envelope} {
		if err := s.closing(name); err != nil {
			return err
		}
	}
	return s.nothingMore()
}

// open enters the element called name and returns its raw name for closing, nil if it is empty ("<return/>"). If others may stand
// before it they are passed over.
func (s *scanner) open(name string, others bool) ([]byte, error) {
	for {
		if err := s.misc(); err != nil {
			return nil, err
		}
		t, err := s.tag()
		if err != nil {
			return nil, err
		}
		own := string(t.local)
		switch {
		case t.closing:
			return nil, fmt.Errorf("no <%s>", name)
		case own == name && t.empty && name != "return":
			return nil, fmt.Errorf("<%s> is empty", name)
		case own == name:
			raw := bytes.Clone(t.raw)
			s.pos += t.size
			if t.empty {
				return nil, nil
			}
			return raw, nil
		case !others:
			return nil, fmt.Errorf("<%.60s> instead of <%s>", own, name)
		}
		if err := s.skip(t); err != nil {
			return nil, err
		}
	}
}

// closing passes over what is left inside an element and its end tag.
func (s *scanner) closing(name []byte) error {
	for {
		if err := s.misc(); err != nil {
			return err
		}
		t, err := s.tag()
		if err != nil {
			return err
		}
		if t.closing {
			if !bytes.Equal(t.raw, name) {
				return errNesting
			}
			s.pos += t.size
			return nil
		}
		if err := s.skip(t); err != nil {
			return err
		}
	}
}

// nothingMore accepts only the end of the answer, which the transport must confirm.
func (s *scanner) nothingMore() error {
	err := s.misc()
	if err == io.ErrUnexpectedEOF && s.readErr == io.EOF && s.pos == s.end {
		return nil // not the same as a transport that broke off: that is another error
	}
	if err == nil {
		return errors.New("an element after the envelope")
	}
	return err
}

func (s *scanner) readRows(result []byte) error {
	for {
		if len(s.rowOpen) > 0 && bytes.HasPrefix(s.buf[s.pos:s.end], s.rowOpen) {
			s.pos += len(s.rowOpen)
			if err := s.readRow(); err != nil {
				return err
			}
			continue
		}
		if err := s.misc(); err != nil {
			return err
		}
		t, err := s.tag()
		if err != nil {
			return err
		}
		switch {
		case t.closing && bytes.Equal(t.raw, result):
			s.pos += t.size
			return nil
		case t.closing:
			return errNesting
		case string(t.local) == "row":
			s.rowOpen = append(append(append(s.rowOpen[:0], '<'), t.raw...), '>')
			s.rowClose = append(append(append(s.rowClose[:0], "</"...), t.raw...), '>')
			s.pos += t.size
			if t.empty {
				s.keep = s.pos
				s.unseen()
				err = s.deliver()
			} else {
				err = s.readRow()
			}
		default:
			err = s.skip(t)
		}
		if err != nil {
			return err
		}
	}
}

func (s *scanner) unseen() {
	for i := range s.spans {
		s.spans[i].start = -1
	}
}

// readRow reads what follows a row's start tag, and hands the row over.
func (s *scanner) readRow() error {
	s.keep = s.pos
	s.unseen()
	for k := 0; ; k++ {
		rest := s.buf[s.pos:s.end]
		if k < len(s.shape) {
			if n, ok := s.guess(&s.shape[k], rest); ok {
				s.pos += n
				continue
			}
		} else if s.learned && bytes.HasPrefix(rest, s.rowClose) {
			s.pos += len(s.rowClose)
			return s.deliver()
		}
		done, err := s.readColumn()
		if err != nil {
			return err
		}
		if done {
			s.learned = true
			return s.deliver()
		}
	}
}

// guess takes a column written exactly as in the first row, with a value that needs no decoding; it returns the bytes it spans.
func (s *scanner) guess(st *step, rest []byte) (int, bool) {
	if st.column >= 0 && s.spans[st.column].start >= 0 {
		return 0, false // twice: readColumn will say so
	}
	if !bytes.HasPrefix(rest, st.open) {
		if !bytes.HasPrefix(rest, st.empty) {
			return 0, false
		}
		if st.column >= 0 {
			s.spans[st.column] = span{}
		}
		return len(st.empty), true
	}
	value := rest[len(st.open):]
	n := bytes.IndexByte(value, '<')
	if n < 0 || !bytes.HasPrefix(value[n:], st.close) {
		return 0, false
	}
	value = value[:n]
	if st.column >= 0 {
		if bytes.IndexByte(value, '&') >= 0 || bytes.IndexByte(value, '\r') >= 0 {
			return 0, false
		}
		start := s.pos + len(st.open) - s.keep
		s.spans[st.column] = span{start, start + n}
	}
	return len(st.open) + n + len(st.close), true
}

// readColumn parses the next column of the row, or its end.
func (s *scanner) readColumn() (done bool, err error) {
	if err := s.misc(); err != nil {
		return false, err
	}
	t, err := s.tag()
	if err != nil {
		return false, err
	}
	if t.closing {
		if !bytes.Equal(t.raw, s.rowClose[2:len(s.rowClose)-1]) {
			return false, errNesting
		}
		s.pos += t.size
		return true, nil
	}
	column := -1
	for i, name := range s.columns {
		if string(t.local) == name {
			column = i
			break
		}
	}
	if !s.learned && len(s.shape) < maxShape {
		raw := string(t.raw)
		s.shape = append(s.shape, step{[]byte("<" + raw + ">"), []byte("</" + raw + ">"), []byte("<" + raw + "/>"), column})
	}
	if column < 0 {
		return false, s.skip(t)
	}
	if s.spans[column].start >= 0 {
		return false, fmt.Errorf("column %q twice in row %d", s.columns[column], s.rows+1)
	}
	if t.empty {
		s.pos += t.size
		s.spans[column] = span{}
		return false, nil
	}
	name, length := s.pos+1-s.keep, len(t.raw)
	s.pos += t.size
	v, err := s.value(name, length)
	s.spans[column] = v
	return false, err
}

// value decodes a column's text in place, up to and including its end tag; the raw name stands at name, relative to keep.
func (s *scanner) value(name, length int) (span, error) {
	out := span{s.pos - s.keep, s.pos - s.keep}
	for {
		n, err := s.find("<", 0)
		if err != nil {
			return out, err
		}
		at := s.keep + out.end
		n2, err := decode(s.buf[at:], s.buf[s.pos:s.pos+n], true)
		if err != nil {
			return out, err
		}
		out.end += n2
		s.pos += n
		if err := s.need(1); err != nil {
			return out, err
		}
		switch s.buf[s.pos+1] {
		case '/':
			t, err := s.tag()
			if err != nil {
				return out, err
			}
			if !bytes.Equal(t.raw, s.buf[s.keep+name:s.keep+name+length]) {
				return out, errNesting
			}
			s.pos += t.size
			return out, nil
		case '?':
			err = s.instruction()
		case '!':
			var is bool
			if is, err = s.at("<![CDATA["); is && err == nil {
				s.pos += len("<![CDATA[")
				if n, err = s.find("]]>", 0); err != nil {
					return out, err
				}
				at := s.keep + out.end
				n2, _ := decode(s.buf[at:], s.buf[s.pos:s.pos+n], false)
				out.end += n2
				s.pos += n + len("]]>")
			} else if err == nil {
				err = s.comment()
			}
		default:
			err = errChild
		}
		if err != nil {
			return out, err
		}
	}
}

// decode writes text to dst, which may overlap it from below: the result is never longer. Line ends become \n (XML); entities are resolved if
// that is asked for.
func decode(dst, text []byte, entities bool) (int, error) {
	if bytes.IndexByte(text, '\r') < 0 && (!entities || bytes.IndexByte(text, '&') < 0) {
		return copy(dst, text), nil
	}
	w := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\r':
			if i+1 < len(text) && text[i+1] == '\n' {
				i++
			}
			dst[w] = '\n'
			w++
		case c == '&' && entities:
			n := bytes.IndexByte(text[i:], ';')
			if n < 0 {
				return w, errEntity
			}
			r, ok := entity(text[i+1 : i+n])
			if !ok {
				return w, errEntity
			}
			w += utf8.EncodeRune(dst[w:w+utf8.RuneLen(r)], r)
			i += n
		default:
			dst[w] = c
			w++
		}
	}
	return w, nil
}

func entity(name []byte) (rune, bool) {
	switch string(name) {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if len(name) < 2 || name[0] != '#' || len(name) > 12 {
		return 0, false
	}
	digits, base := name[1:], 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || n > unicode.MaxRune {
		return 0, false
	}
	r := rune(n)
	if !utf8.ValidRune(r) || r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
		return 0, false // XML has no such character
	}
	return r, true
}

// deliver hands the row over.
func (s *scanner) deliver() error {
	for i, v := range s.spans {
		if v.start < 0 {
			if !s.may[i] {
				return &MissingColumnError{Column: s.columns[i], Row: s.rows + 1}
			}
			s.values[i] = nil
			continue
		}
		from, to := s.keep+v.start, s.keep+v.end
		s.values[i] = s.buf[from:to:to]
		if !utf8.Valid(s.values[i]) {
			return fmt.Errorf("%w: row %d, column %q", ErrNotUTF8, s.rows+1, s.columns[i])
		}
	}
	s.rows++
	err := s.row(s.values)
	s.stopped = err != nil
	s.keep = -1
	return err
}

// skip passes over the element that starts with t, whatever it holds.
func (s *scanner) skip(t tag) error {
	s.pos += t.size
	if t.empty {
		return nil
	}
	// Names are kept as a copy: the buffer may move under them.
	names := append(make([]byte, 0, 64), t.raw...)
	starts := append(make([]int, 0, 8), 0)
	for {
		n, err := s.find("<", 0)
		if err != nil {
			return err
		}
		s.pos += n
		if err := s.need(1); err != nil {
			return err
		}
		switch s.buf[s.pos+1] {
		case '?':
			err = s.instruction()
		case '!':
			var is bool
			if is, err = s.at("<![CDATA["); is && err == nil {
				s.pos += len("<![CDATA[")
				if n, err = s.find("]]>", 0); err == nil {
					s.pos += n + len("]]>")
				}
			} else if err == nil {
				err = s.comment()
			}
		default:
			var inner tag
			if inner, err = s.tag(); err != nil {
				return err
			}
			s.pos += inner.size
			switch last := starts[len(starts)-1]; {
			case inner.closing && !bytes.Equal(inner.raw, names[last:]):
				return errNesting
			case inner.closing && len(starts) == 1:
				return nil
			case inner.closing:
				names, starts = names[:last], starts[:len(starts)-1]
			case !inner.empty && len(starts) == maxDepth:
				return errDepth
			case !inner.empty:
				starts = append(starts, len(names))
				names = append(names, inner.raw...)
			}
		}
		if err != nil {
			return err
		}
	}
}

// misc passes over white space, comments and processing instructions, and stops before a tag.
func (s *scanner) misc() error {
	for {
		if err := s.need(0); err != nil {
			return err
		}
		switch s.buf[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
			continue
		case '<':
		default:
			return errText
		}
		if err := s.need(1); err != nil {
			return err
		}
		var err error
		switch s.buf[s.pos+1] {
		case '!':
			err = s.comment()
		case '?':
			err = s.instruction()
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// comment passes over a comment; anything else that starts with "<!" is refused.
func (s *scanner) comment() error {
	is, err := s.at("<!--")
	if err != nil {
		return err
	}
	if !is {
		if is, err = s.at("<![CDATA["); err == nil && is {
			return errText
		}
		if err != nil {
			return err
		}
		return errDirective
	}
	return s.past("<!--", "-->")
}

// instruction passes over "<?…?>"; the XML declaration must not name another encoding.
func (s *scanner) instruction() error {
	n, err := s.find("?>", len("<?"))
	if err != nil {
		return err
	}
	text := s.buf[s.pos : s.pos+n]
	if bytes.HasPrefix(text, []byte("<?xml")) && len(text) > 5 && isSpace(text[5]) {
		if _, value, ok := bytes.Cut(text, []byte("encoding")); ok {
			value = bytes.Trim(value, " \t\r\n='\"")
			if len(value) < 5 || !bytes.EqualFold(value[:5], []byte("utf-8")) {
				return ErrNotUTF8
			}
		}
	}
	s.pos += n + len("?>")
	return nil
}

// tag is a start or end tag at pos. Its slices are good until the buffer is refilled.
type tag struct {
	raw, local     []byte
	closing, empty bool
	size           int // bytes, "<" and ">" included
}

func (s *scanner) tag() (tag, error) {
	var t tag
	i := 1
	if err := s.need(i); err != nil {
		return t, err
	}
	if s.buf[s.pos] != '<' {
		return t, errTag
	}
	if s.buf[s.pos+1] == '/' {
		t.closing = true
		i++
	}
	from := i
	for {
		if err := s.need(i); err != nil {
			return t, err
		}
		c := s.buf[s.pos+i]
		if isSpace(c) || c == '/' || c == '>' {
			break
		}
		if c == '<' || c == '=' || c == '"' || c == '\'' || c == '&' || c == '!' || c == '?' {
			return t, errTag
		}
		i++
	}
	to := i
	if from == to {
		return t, errTag
	}
	for quote := byte(0); ; i++ {
		if err := s.need(i); err != nil {
			return t, err
		}
		c := s.buf[s.pos+i]
		if c == '<' {
			return t, errTag
		}
		if quote != 0 {
			if c == quote {
				quote = 0
			}
			continue
		}
		if c == '>' {
			break
		}
		switch {
		case t.closing && !isSpace(c):
			return t, errTag
		case t.empty: // something between "/" and ">"
			return t, errTag
		case c == '"' || c == '\'':
			quote = c
		case c == '/':
			t.empty = true
		}
	}
	t.size = i + 1
	t.raw = s.buf[s.pos+from : s.pos+to]
	t.local = t.raw
	if prefix, local, ok := bytes.Cut(t.raw, []byte(":")); ok {
		if len(prefix) == 0 || len(local) == 0 || bytes.IndexByte(local, ':') >= 0 {
			return t, errTag
		}
		t.local = local
	}
	return t, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// at tells whether the input goes on with text.
func (s *scanner) at(text string) (bool, error) {
	for i := range len(text) {
		if err := s.need(i); err != nil {
			return false, err
		}
		if s.buf[s.pos+i] != text[i] {
			return false, nil
		}
	}
	return true, nil
}

// past moves behind the next end after start, which stands at pos. If there is none pos stays, so that a cut comment is never taken for the end.
func (s *scanner) past(start, end string) error {
	n, err := s.find(end, len(start))
	if err == nil {
		s.pos += n + len(end)
	}
	return err
}

// find returns the distance from pos to the first text that starts at least from bytes on, reading as far as needed.
func (s *scanner) find(text string, from int) (int, error) {
	for {
		rest := s.buf[s.pos:s.end]
		if from < len(rest) {
			if n := bytes.Index(rest[from:], []byte(text)); n >= 0 {
				return from + n, nil
			}
			from = max(from, len(rest)-len(text)+1)
		}
		if err := s.more(); err != nil {
			return 0, err
		}
	}
}

// need makes the byte at pos+i available.
func (s *scanner) need(i int) error {
	for s.pos+i >= s.end {
		if err := s.more(); err != nil {
			return err
		}
	}
	return nil
}

// more reads on. It moves what must stay (the row in hand, or what begins at pos) to the front of the buffer and lets the
// buffer grow if that fills it. The end of the input is io.ErrUnexpectedEOF: nobody asks for more unless something is missing.
func (s *scanner) more() error {
	if s.readErr != nil {
		if s.readErr == io.EOF {
			return io.ErrUnexpectedEOF
		}
		return s.readErr
	}
	base := s.pos
	if s.keep >= 0 {
		base = s.keep
	}
	if base > 0 {
		copy(s.buf, s.buf[base:s.end])
		s.end -= base
		s.pos -= base
		if s.keep >= 0 {
			s.keep = 0
		}
	}
	if s.end == len(s.buf) {
		if len(s.buf) >= maxRow {
			return errRow
		}
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for range 100 {
		n, err := s.from.Read(s.buf[s.end:])
		s.end += n
		s.total += int64(n)
		s.readErr = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return s.more()
		}
	}
	s.readErr = io.ErrNoProgress
	return s.readErr
}
