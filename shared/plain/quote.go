package plain

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Quote is s between double quotes, of at most max runes all told, with
// everything that may not be said written out as Go does (\n, \x1b, \u202e,
// \xff for a byte that is no UTF-8), so that two values that differ look
// different and none can pass for the words around it. What is cut ends in
// `"…`: the mark stands outside the quotes. Below 3 runes there is no room.
func Quote(s string, max int) string {
	const quotes = 2
	if max <= quotes {
		return ""
	}
	var b strings.Builder
	b.WriteByte('"')
	n, marks := quotes, 0 // n counts the runes written, and the closing quote
	end := 1              // what is kept if it must be cut: up to the last base that leaves room for "…"
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		marks = count(marks, r)
		if n < max && (marks == 0 || marks > maxMarks) {
			end = b.Len()
		}
		next := written(s[i:i+size], r, marks > maxMarks)
		if n += utf8.RuneCountInString(next); n > max {
			return b.String()[:end] + `"` + ellipsis
		}
		b.WriteString(next)
		i += size
	}
	b.WriteByte('"')
	return b.String()
}

// Word is a value as a word of a sentence, of at most max runes: as it is if
// nobody can mistake where it begins and ends (a host name, a user ID, a mail
// address, a fingerprint), else quoted.
func Word[S ~string](s S, max int) string {
	if s == "" || !Clean(string(s)) || strings.ContainsAny(string(s), " \"\\`,;…") {
		return Quote(string(s), max)
	}
	return Line(string(s), max)
}

// written is one rune of a quoted value. escape: also one that may be said.
func written(raw string, r rune, escape bool) string {
	switch {
	case r == '"' || r == '\\':
		return `\` + raw
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r == utf8.RuneError && len(raw) == 1:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case r < ' ' || r == 0x7f:
		return fmt.Sprintf(`\x%02x`, r)
	case escape || !sayable(r) && r != utf8.RuneError:
		if r > 0xffff {
			return fmt.Sprintf(`\U%08x`, r)
		}
		return fmt.Sprintf(`\u%04x`, r)
	}
	return raw
}

// maxValue bounds one value, or one name, within a message.
const maxValue = 120

// Value is Word within a message: 120 runes of what somebody else chose.
func Value[S ~string](s S) string { return Word(s, maxValue) }

// Values are several of them: ten, and how many more.
func Values[S ~string](list []S) string {
	words := make([]string, 0, Listed)
	for _, v := range list[:min(len(list), Listed)] {
		words = append(words, Value(v))
	}
	// What is beyond the ten is counted, not written out.
	for range list[len(words):] {
		words = append(words, "")
	}
	return List(words)
}

// Name is a name within a message where words around it tell where it ends: a
// Line of at most 120 runes.
func Name[S ~string](s S) string { return Line(string(s), maxValue) }
