// Package plain makes text that others chose fit to be said: in a message, on
// a page, in a terminal, in a log. A cluster, and anyone who writes to one,
// chooses what stands in nearly every value that Peerkeeper reads; a terminal
// obeys an ESC, a bidi mark turns the words after it around, a line break
// starts a line that looks like ours.
//
// It owns one set of runes that may be said (Clean tells it) and three forms:
// Line for words, Quote and Word for values, List for several of them. Line
// shows every rune that may not be said as U+FFFD, one for one: nothing is
// silently removed, so that two values that differ never become "the same, and
// yet different", and a text never grows by being cleaned. Line breaks and
// tabs are the exception: they are layout, and become one space. Where the
// difference itself matters (who is "alice"?), Quote writes such runes out as
// Go does ("ali\u200bce").
//
// It never fails and never lengthens beyond the bound it was given. It knows
// nothing of Peerkeeper, and imports the standard library only.
//
// Values that are compared (user IDs in digests, fingerprints, names in keys)
// stay as they were read: clean what is said, not what is known.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unbounded is the bound of a text that something else bounds.
const Unbounded = int(^uint(0) >> 1)

// maxMarks is how many combining marks may follow one another. Lawful writing
// needs four or so; hundreds, stacked, paint over the lines above and below.
const maxMarks = 8

const (
	ellipsis    = "…"
	replacement = unicode.ReplacementChar
)

// sayable tells whether a rune may be said: it is seen, or it is the space,
// and it changes nothing but itself. unicode.IsPrint leaves out controls (C0,
// DEL, C1), line and paragraph separators, every other space, all of Cf (bidi
// marks, embeddings and isolates, zero-width joiners, the soft hyphen, the
// byte order mark, tags), surrogates, private use and what is not assigned.
// Joiners are lawful in Persian and in Indic scripts; there they show as
// U+FFFD, which is the price of user IDs that look alike and are not.
func sayable(r rune) bool {
	if r < utf8.RuneSelf {
		return ' ' <= r && r <= '~'
	}
	return unicode.IsPrint(r) && !invisible(r)
}

// invisible are letters, marks and symbols that unicode.IsPrint takes for
// visible and that nobody sees: Hangul fillers, variation selectors, the
// grapheme joiner, the blank Braille pattern.
func invisible(r rune) bool {
	const brailleBlank = '\u2800'
	return r == brailleBlank || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// layout are runes that only arrange words: they become a space.
func layout(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', '\u0085', '\u2028', '\u2029':
		return true
	}
	return unicode.Is(unicode.Zs, r) // of any width
}

// Clean tells whether a text is one line of valid UTF-8 in which every rune
// may be said, so that Line leaves it as it is but for its length.
func Clean(s string) bool {
	ascii := 0
	for ascii < len(s) && ' ' <= s[ascii] && s[ascii] <= '~' {
		ascii++
	}
	marks := 0
	for i := ascii; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == replacement && size == 1 || r != replacement && !sayable(r) {
			return false
		}
		if marks = count(marks, r); marks > maxMarks {
			return false
		}
		i += size
	}
	return true
}

// count is how many combining marks stand in a row once r is read.
func count(marks int, r rune) int {
	if r >= utf8.RuneSelf && unicode.Is(unicode.M, r) {
		return marks + 1
	}
	return 0
}

// Line is s as one line of valid UTF-8 that is safe to show anywhere, of at
// most max runes ("" below 1); what was cut ends in "…", and a base keeps its
// combining marks or goes with them. Line of a Line is the same Line.
func Line(s string, max int) string {
	if max < 1 {
		return ""
	}
	if Clean(s) && (len(s) <= max || utf8.RuneCountInString(s) <= max) {
		return s
	}
	var b strings.Builder
	n, marks := 0, 0
	base := 0 // where the last base begins, with all before it within the bound
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\r' && strings.HasPrefix(s[i+size:], "\n"): // one line end, one space
			size++
			r = ' '
		case layout(r):
			r = ' '
		case !sayable(r):
			r = replacement
		}
		if marks = count(marks, r); marks > maxMarks {
			r, marks = replacement, 0
		}
		if n == max {
			return b.String()[:base] + ellipsis // at least one rune makes room
		}
		if marks == 0 {
			base = b.Len()
		}
		b.WriteRune(r)
		n++
		i += size
	}
	return b.String()
}

// Break is s with every look-alike of a label of ours broken: where the label
// stands in it, in whatever case, U+FFFD takes the place of its last character.
// A label that counts for a reader ("Next step:") so occurs only where it was
// written, also in text that something else has run into one line. The label is
// ASCII.
func Break(s, label string) string {
	n := len(label)
	var b strings.Builder
	from := 0
	for i := 0; i+n <= len(s); i++ {
		if s[i]|0x20 == label[0]|0x20 && strings.EqualFold(s[i:i+n], label) {
			b.WriteString(s[from : i+n-1])
			b.WriteRune(replacement)
			i += n - 1
			from = i + 1
		}
	}
	if from == 0 {
		return s
	}
	b.WriteString(s[from:])
	return b.String()
}
