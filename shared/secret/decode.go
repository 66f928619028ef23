package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FormatError says what is wrong with one secret, or with a whole file of
// them. It tells names and positions, never a value: encoding/json's own
// errors quote what they could not read, so they are not passed on.
type FormatError struct {
	Name   string // of the secret; "" for the text as a whole
	Reason string
}

func (e *FormatError) Error() string {
	if e.Name == "" {
		return e.Reason
	}
	return fmt.Sprintf("secret %q: %s", e.Name, e.Reason)
}

// Decode reads one secret, {"username": "…", "password": "…", "version": "…"?},
// as it stands in secrets.json and in Secrets Manager. The credentials' Version
// is "" if the secret does not say. All that is wrong is said at once, one
// *FormatError each.
func Decode(name string, text []byte) (Credentials, error) {
	fields, err := object(name, text)
	errs := []error{err}
	value := map[string]string{}
	for _, f := range fields {
		switch f.Name {
		case "username", "password", "version":
		default:
			errs = append(errs, &FormatError{name, fmt.Sprintf("unknown key %q; want username, password and perhaps version", f.Name)})
			continue
		}
		// A string literal decodes or it does not begin with a quote: the
		// raw value is valid JSON already.
		var s *string
		if json.Unmarshal(f.Value, &s) != nil || s == nil {
			errs = append(errs, &FormatError{name, fmt.Sprintf("%q is not a string", f.Name)})
			continue
		}
		if *s == "" {
			errs = append(errs, &FormatError{name, fmt.Sprintf("%q is empty", f.Name)})
			continue
		}
		if what, cure := Unsendable(f.Name, *s); what != "" {
			if cure != "" {
				what += ": " + cure
			}
			errs = append(errs, &FormatError{name, what})
			continue
		}
		value[f.Name] = *s
	}
	if err == nil {
		for _, need := range []string{"username", "password"} {
			if !slices.ContainsFunc(fields, func(e Entry) bool { return e.Name == need }) {
				errs = append(errs, &FormatError{name, fmt.Sprintf("no %q", need)})
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Credentials{}, err
	}
	return Credentials{Username: value["username"], Password: NewText(value["password"]), Version: value["version"]}, nil
}

// Unsendable says what in a value of a field ("username", "password") would be sent
// with it although nobody meant it, and how to give it without; "" if nothing. An
// account that refuses it would be one log-in nearer to being locked, and its
// password looks right on a screen. It never tells the value, nor where in it.
func Unsendable(field, value string) (what, cure string) {
	const again = "store it again without"
	first, _ := utf8.DecodeRuneInString(value)
	last, _ := utf8.DecodeLastRuneInString(value)
	quoted := fmt.Sprintf("%q", field)
	switch {
	case strings.TrimSpace(value) == "":
		return quoted + " is nothing but blanks", ""
	case last == '\n' || last == '\r':
		return quoted + " ends in a line end, which would be sent as a part of it", again + " (printf '%s' instead of echo; no line end before the closing quote)"
	case first == '\ufeff' || last == '\ufeff':
		return quoted + " begins or ends with a byte order mark, which an editor put there and which would be sent as a part of it", again
	case unicode.IsSpace(first) || unicode.IsSpace(last):
		return quoted + " begins or ends with a blank, which would be sent as a part of it", again
	case strings.ContainsFunc(value, unicode.IsControl):
		return quoted + " holds a control character (a tab, a line end or the like)", again
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) }):
		return quoted + " holds a character that cannot be seen (a zero-width or direction mark)", "it came along when the text was copied; type it instead"
	case field == "username" && strings.Contains(value, ":"):
		return quoted + " holds a colon, which HTTP Basic authentication (RFC 7617) cannot send", "the nodes would take it for the end of the name"
	}
	return "", ""
}

// Entry is one name of a secrets file with the raw text of its secret.
type Entry struct {
	Name  string
	Value json.RawMessage
}

// Entries splits a secrets file into its secrets, in the order of the file.
func Entries(text []byte) ([]Entry, error) { return object("", text) }

// object splits one JSON object, strictly: nothing after it, no name twice.
// Go's own decoder would let the last of two equal names win.
func object(name string, text []byte) ([]Entry, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // Windows editors begin a file with it
	if !utf8.Valid(text) {
		return nil, &FormatError{name, "not UTF-8"}
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	broken := func(what string) error {
		line := 1 + bytes.Count(text[:min(int(dec.InputOffset()), len(text))], []byte("\n"))
		return &FormatError{name, fmt.Sprintf("%s, at or after line %d", what, line)}
	}
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, broken("not a JSON object")
	}
	var out []Entry
	seen := map[string]bool{}
	var errs []error
	for dec.More() {
		tok, err := dec.Token()
		key, ok := tok.(string)
		if err != nil || !ok {
			return nil, errors.Join(append(errs, broken("broken JSON"))...)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, errors.Join(append(errs, broken("broken JSON"))...)
		}
		if seen[key] {
			errs = append(errs, broken(fmt.Sprintf("%q stands there twice", key)))
			continue
		}
		seen[key] = true
		out = append(out, Entry{key, raw})
	}
	if tok, err := dec.Token(); err != nil || tok != json.Delim('}') {
		return nil, errors.Join(append(errs, broken("broken JSON"))...)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		errs = append(errs, broken("something follows the JSON object"))
	}
	return out, errors.Join(errs...)
}
