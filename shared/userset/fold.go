package userset

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fold is the one form by which user IDs, or URIs, are compared: two spellings
// of one are equal in it. It is what a report calls the key.
func Fold(k Kind, text string) string {
	if k == URIs {
		return foldURI(text)
	}
	return foldCase(strings.TrimSpace(text))
}

// foldCase makes letters of every script equal in either case: Unicode's simple
// folding, as strings.EqualFold has it. SQL's LOWER and Go's ToLower leave the
// final sigma, the long s and the Kelvin sign unlike.
func foldCase(s string) string {
	ascii := true
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(s)
	}
	return strings.Map(func(r rune) rune {
		first := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			first = min(first, f)
		}
		if next := unicode.SimpleFold(first); next != first {
			return unicode.ToLower(first)
		}
		return r
	}, s)
}

// foldURI takes the scheme, the final dot of the host and the case away, and
// writes escaped letters, digits and -._~ as themselves (RFC 3986 section 6.2.2:
// they need no escape).
func foldURI(uri string) string {
	uri = strings.TrimSpace(uri)
	for _, scheme := range [...]string{"sip:", "sips:", "im:", "xmpp:"} {
		if len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			uri = uri[len(scheme):]
			break
		}
	}
	if strings.Contains(uri, "%") {
		uri = unescape(uri)
	}
	return foldCase(strings.TrimSuffix(uri, "."))
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
			if c := byte(high<<4 | low); high >= 0 && low >= 0 && (c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0) {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }

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
