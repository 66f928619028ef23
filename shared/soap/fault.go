package soap

import (
	"encoding/xml"
	"errors"
	"html"
	"strconv"
	"strings"
	"unicode"
)

// fault is a SOAP fault, whatever its dress: axlError, axl:Error, axl:error, with axlcode or code, axlmessage or message
// (vendor document and fixtures), or none of them (Control Center).
type fault struct {
	code, text          string // faultcode, faultstring
	axlCode, axlMessage string
}

// decodeFault reads the children of an open Fault element, in any order.
func decodeFault(d *xml.Decoder) (*fault, error) {
	f := &fault{}
	var path []string
	for {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
		case xml.EndElement:
			if len(path) == 0 {
				return f, nil
			}
			path = path[:len(path)-1]
		case xml.CharData:
			if field := f.field(path); field != nil {
				*field += string(t)
			}
		}
	}
}

// field is where the text at path belongs, nil if nowhere.
func (f *fault) field(path []string) *string {
	switch {
	case len(path) == 1 && path[0] == "faultcode":
		return &f.code
	case len(path) == 1 && path[0] == "faultstring":
		return &f.text
	case len(path) >= 2 && path[0] == "detail":
		switch path[len(path)-1] {
		case "axlcode", "code":
			return &f.axlCode
		case "axlmessage", "message":
			return &f.axlMessage
		}
	}
	return nil
}

// err classifies the fault. Cisco gives the interesting ones no code of their own (axlcode -1 stands for SQL errors, size and
// memory alike), so this one place looks at the words; they differ by release, hence fragments (vendor document).
func (f *fault) err(op, node string, status int) *Error {
	e := &Error{Op: op, Node: node, Kind: Fault, Status: status, Sent: true, Code: plainText(f.axlCode)}
	if e.Code == "" {
		e.Code = plainText(f.code)
	}
	words := f.axlMessage
	if strings.TrimSpace(words) == "" {
		words = f.text
	}
	lower := strings.ToLower(f.axlMessage + "\n" + f.text)
	switch {
	case strings.Contains(lower, "query request too large"), strings.Contains(lower, "total rows matched"):
		e.Kind = TooLarge
		e.Rows = numberAfter(lower, "total rows matched:")
		// "Suggestive Row Fetch: less than 844", "Suggested row fetch: less than 844"
		e.Suggested = numberAfter(lower, "row fetch: less than")
	case strings.Contains(lower, "maximum axl memory allocation consumed"):
		e.Kind = MemoryFull
	case strings.Contains(lower, "exceeded allowed rate"):
		e.Kind = RateExceeded
	}
	if words = plainText(words); words == "" {
		words = "a fault without a text"
	}
	e.Cause = errors.New(words)
	return e
}

// numberAfter is the number that follows label, 0 if none does.
func numberAfter(s, label string) int {
	_, rest, ok := strings.Cut(s, label)
	if !ok {
		return 0
	}
	rest = strings.TrimLeft(rest, " \t\r\n")
	end := 0
	for end < len(rest) && '0' <= rest[end] && rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(rest[:end])
	if err != nil {
		return 0
	}
	return n
}

// supportedVersions reads the only place where a server says which AXL versions it takes, the text of its 599 page (fixture):
// "Incorrect axl version. Supported axl versions are 12.x, 14.0 and 15.0".
func supportedVersions(page string) []string {
	lower := strings.ToLower(page)
	at := strings.Index(lower, "supported")
	if at < 0 {
		return nil
	}
	var found []string
	for _, word := range strings.FieldsFunc(lower[at:], func(r rune) bool { return r != '.' && r != 'x' && (r < '0' || r > '9') }) {
		major, minor, dotted := strings.Cut(strings.Trim(word, "."), ".")
		if _, err := strconv.Atoi(major); err != nil || !dotted {
			continue
		}
		if _, err := strconv.Atoi(minor); err == nil || minor == "x" {
			found = append(found, major+"."+minor)
		}
	}
	return found
}

// longestText that is taken from a server into an error.
const longestText = 200

// plainText makes one short printable line of a page or a message: no tags, scripts, styles, comments or control characters.
func plainText(page string) string {
	var b strings.Builder
	for page != "" {
		lt := strings.IndexByte(page, '<')
		if lt < 0 {
			b.WriteString(page)
			break
		}
		b.WriteString(page[:lt])
		page = page[lt:]
		var closing string
		switch {
		case strings.HasPrefix(page, "<!--"):
			closing = "-->"
		case hasPrefixFold(page, "<script"):
			closing = "</script>"
		case hasPrefixFold(page, "<style"):
			closing = "</style>"
		case len(page) > 1 && (page[1] == '/' || page[1] == '!' || page[1] == '?' || unicode.IsLetter(rune(page[1]))):
			closing = ">"
		default: // a lone "<" is text
			b.WriteByte('<')
			page = page[1:]
			continue
		}
		b.WriteByte(' ')
		end := indexFold(page, closing)
		if end < 0 {
			break
		}
		page = page[end+len(closing):]
	}
	text := strings.ToValidUTF8(html.UnescapeString(b.String()), "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1 // control characters, and the invisible ones that turn text around
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > longestText {
		text = string(runes[:longestText-1]) + "…"
	}
	return text
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func indexFold(s, sub string) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return -1
}
