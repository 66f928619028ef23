package mesh

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// fingerprintPrefix begins a certificate's fingerprint as Peerkeeper writes it,
// "sha256:" and 64 small hex digits.
const fingerprintPrefix = "sha256:"

// FingerprintError says that a text is not the SHA-256 fingerprint of a
// certificate.
type FingerprintError struct {
	Text string
	// Why says what it is instead; "" if nobody can tell.
	Why string
}

func (e *FingerprintError) Error() string {
	text := e.Text
	if runes := []rune(text); len(runes) > maxFingerprintShown {
		text = string(runes[:maxFingerprintShown]) + "…"
	}
	why := ""
	if e.Why != "" {
		why = " (" + e.Why + ")"
	}
	return fmt.Sprintf("%q is no SHA-256 fingerprint%s: want 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256 -in FILE` prints them", text, why)
}

const (
	maxFingerprintShown = 100 // runes
	// maxFingerprint bounds what is read at all: the longest form, three
	// characters a byte and a label, has some 120 bytes.
	maxFingerprint = 400
)

// ParseFingerprint reads the SHA-256 fingerprint of a certificate in the forms
// in which people find it: as openssl prints it ("sha256 Fingerprint=AB:CD:…",
// "SHA256 Fingerprint=…" before OpenSSL 3), as browsers and Windows do (capitals,
// blanks or hyphens between the bytes, "SHA-256: …"), as mesh.yaml has it
// ("sha256:ab…"), bare, and as base64 of 32 bytes with its padding. It returns
// "sha256:" and 64 small hex digits. The error is a *FingerprintError.
func ParseFingerprint(text string) (string, error) {
	refuse := func(why string, args ...any) (string, error) {
		return "", &FingerprintError{text, fmt.Sprintf(why, args...)}
	}
	rest := strings.TrimSpace(text)
	if len(rest) > maxFingerprint {
		return refuse("%d bytes", len(rest))
	}
	algorithm, rest := label(rest)
	if after, public := strings.CutPrefix(rest, "//"); public && algorithm == "sha256" && len(after) > 40 {
		return refuse("it is the hash of a public key, as curl's --pinnedpubkey takes it, not of a certificate")
	}
	digits := strings.Map(func(r rune) rune {
		if r == ':' || r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, rest)
	if b, err := hex.DecodeString(digits); err == nil {
		is := map[int]string{16: "md5", 20: "sha1", 28: "sha224", 48: "sha384", 64: "sha512"}[len(b)]
		switch {
		case len(b) == 32 && (algorithm == "" || algorithm == "sha256"):
			return fingerprintPrefix + strings.ToLower(digits), nil
		case len(b) == 32:
			return refuse("it says %s", algorithmName(algorithm))
		case is == "sha1" || is == "md5":
			return refuse("%d digits are a %s fingerprint, which can be forged", len(digits), algorithmName(is))
		case is != "":
			return refuse("%d digits are a %s fingerprint", len(digits), algorithmName(is))
		case len(digits) > 0:
			return refuse("it has %d digits", len(digits))
		}
		return refuse("")
	}
	if algorithm == "sha256" && len(rest) == 43 {
		if _, err := base64.RawStdEncoding.DecodeString(rest); err == nil {
			return refuse("it is the fingerprint of an SSH key, not of a certificate")
		}
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		if b, err := encoding.Strict().DecodeString(rest); err == nil && len(b) == 32 && (algorithm == "" || algorithm == "sha256") {
			return fingerprintPrefix + hex.EncodeToString(b), nil
		}
	}
	return refuse("")
}

// label takes what stands before the digits: an algorithm, the word fingerprint,
// and what divides them from the digits. algorithm is "" if none is named.
func label(s string) (algorithm, rest string) {
	const dividers = " \t\r\n:="
	// Compared in place: a text in capitals or small letters may have another length.
	begins := func(word string) bool { return len(s) > len(word) && strings.EqualFold(s[:len(word)], word) }
	for _, a := range []struct{ written, name string }{
		{"sha-256", "sha256"}, {"sha256", "sha256"}, {"sha2-256", "sha256"}, {"sha-1", "sha1"}, {"sha1", "sha1"}, {"sha-384", "sha384"}, {"sha384", "sha384"}, {"sha-512", "sha512"}, {"sha512", "sha512"}, {"md5", "md5"},
	} {
		if begins(a.written) && strings.IndexByte(dividers+"/", s[len(a.written)]) >= 0 {
			algorithm, s = a.name, s[len(a.written):]
			break
		}
	}
	if strings.HasPrefix(s, "//") || strings.HasPrefix(s, "/") && algorithm != "" {
		return algorithm, "//" + strings.TrimLeft(s, "/")
	}
	s = strings.TrimLeft(s, dividers)
	if word := "fingerprint"; begins(word) {
		s = s[len(word):]
	}
	return algorithm, strings.TrimSpace(strings.TrimLeft(s, dividers))
}

// algorithmName is an algorithm as people write it.
func algorithmName(algorithm string) string {
	switch algorithm {
	case "md5":
		return "MD5"
	case "":
		return "another algorithm"
	}
	return "SHA-" + strings.TrimPrefix(algorithm, "sha")
}
