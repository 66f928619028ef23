package plain

import (
	"fmt"
	"log/slog"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON is encoded JSON in which every rune that may not be said is written as an
// escape (\u202e), as encoding/json writes control characters by itself. It
// means what it meant, and is safe to look at: programs get the value as it was
// read, a terminal gets nothing to obey. Line breaks and tabs between values
// stay.
func JSON(b []byte) []byte {
	i := 0
	for i < len(b) && (' ' <= b[i] && b[i] <= '~' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	if i == len(b) {
		return b
	}
	out := append(make([]byte, 0, len(b)+16), b[:i]...)
	marks := 0
	for i < len(b) {
		r, size := utf8.DecodeRune(b[i:])
		marks = count(marks, r)
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			out = append(out, byte(r))
		case r == utf8.RuneError && size == 1:
			out = append(out, `\ufffd`...) // encoding/json writes none
		case r != utf8.RuneError && !sayable(r) || marks > maxMarks:
			if r > 0xffff {
				hi, lo := utf16.EncodeRune(r)
				out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
		default:
			out = append(out, b[i:i+size]...)
		}
		i += size
	}
	return out
}

// maxLogged bounds one value of a log line, in characters.
const maxLogged = 4000

// LogAttr is a slog.HandlerOptions.ReplaceAttr that makes every text and error
// of a log line a Line: who logs an error logs words of whatever answered.
// A message of several lines becomes one.
func LogAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		if s := a.Value.String(); !Clean(s) || len(s) > maxLogged {
			a.Value = slog.StringValue(Line(s, maxLogged))
		}
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			a.Value = slog.StringValue(Line(v.Error(), maxLogged))
		case fmt.Stringer:
			a.Value = slog.StringValue(Line(v.String(), maxLogged))
		case []string:
			a.Value = slog.StringValue(List(v))
		default:
			if s, ok := text(v); ok {
				a.Value = slog.StringValue(Line(s, maxLogged))
			}
		}
	}
	return a
}
