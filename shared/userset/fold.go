package userset

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold is the one form by which user IDs, or URIs, are compared: two spellings
// of one are equal in it. It is what a report calls the key.
func Fold(k Kind, text string) string {
	text = strings.TrimSpace(text)
	if k == URIs {
		text = plainURI(text)
	}
	return foldText(text)
}

// foldText makes letters of every script equal in either case, and however they
// are put together: Unicode's simple folding, as strings.EqualFold has it, between
// two canonical compositions (NFC; Unicode, section 3.13: caseless matching). A
// directory on macOS or a form in a browser writes ö as o and an umlaut. SQL's LOWER
// and Go's ToLower leave the final sigma, the long s and the Kelvin sign unlike. What
// only looks alike, or is only compatible, stays unlike.
func foldText(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	if !utf8.ValidString(s) {
		return s // what is no text has no letters
	}
	// Composed first, for the iota below a vowel folds to a letter that is none of
	// its marks; and once more, for ǰ has no upper case that is one letter.
	return norm.NFC.String(strings.Map(foldRune, norm.NFC.String(s)))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldRune gives one of the letters that are one letter but for their case.
func foldRune(r rune) rune {
	if unicode.SimpleFold(r) == r {
		return r // the dotless i is a letter of its own, although its upper case is I
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// plainURI takes the scheme and the final dot of the host away, and writes as
// themselves what needs no escape (RFC 3986 section 6.2.2: letters, digits and
// -._~) and what a URI cannot hold otherwise (RFC 3987 section 3.1: other scripts).
func plainURI(uri string) string {
	for _, scheme := range [...]string{"sip:", "sips:", "im:", "xmpp:"} {
		if len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			uri = uri[len(scheme):]
			break
		}
	}
	if strings.Contains(uri, "%") {
		all := unescape(uri, true)
		if !utf8.ValidString(all) {
			all = unescape(uri, false)
		}
		uri = all
	}
	return strings.TrimSuffix(uri, ".")
}

func unescape(s string, beyondASCII bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
			if c := byte(high<<4 | low); high >= 0 && low >= 0 && (c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 || beyondASCII && c >= utf8.RuneSelf) {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// hexDigit is the value of a digit, or -1.
func hexDigit(c byte) int {
	if c >= 'A' && c <= 'F' {
		c |= 0x20
	}
	return strings.IndexByte("0123456789abcdef", c)
}

const (
	// maxID is the longest user ID (Cisco's column has 128 characters), maxURI the
	// longest directory URI (Cisco: 254).
	maxID  = 128
	maxURI = 254
)

// InvalidID reports a user ID that no address can be made of. Most signs are
// lawful, for IM and Presence escapes them (XEP-0106): not a blank at either end
// (section 4.2), a control character or what is no text.
func InvalidID(id string) bool {
	return id == "" || strings.TrimSpace(id) != id || utf8.RuneCountInString(id) > maxID || unreadable(id)
}

// InvalidURI reports a directory URI that is none: not user@host, too long, or with
// signs that no side of one may hold. Which signs a user part may have differs
// between releases, so that all which RFC 3261 takes there, escaped or not, pass.
func InvalidURI(uri string) bool {
	at := strings.LastIndexByte(uri, '@')
	if at <= 0 || len(uri) > maxURI || unreadable(uri) || strings.ContainsAny(uri, " \"<>") {
		return true
	}
	host := strings.TrimSuffix(uri[at+1:], ".")
	if strings.HasPrefix(host, "[") {
		return !strings.HasSuffix(host, "]")
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsAny(label, "@/:;,?&=+$!'()*%#[]\\^`{|}~") {
			return true
		}
	}
	return false
}

// unreadable reports what is no text, or has control characters in it.
func unreadable(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}
