// Package pemfile reads certificates from PEM text as people and servers hand
// it out, and accounts for every BEGIN in it.
//
// encoding/pem skips what it cannot read without a word, so that of two CAs one
// is lost and nobody knows why a server is not trusted. Here each BEGIN becomes
// a Block, with its line and, where no certificate came of it, with what is
// wrong and what mends it. A byte order mark, Windows line ends, blanks,
// comments, and files that were joined without a line end between them are no
// fault. What callers make of a fault is theirs to say.
//
// It never repeats what stands in a block: that may be a private key. It never
// fails as a whole, reads no file and imports the standard library only.
package pemfile

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is what became of a block.
type Kind string

const (
	Certificate Kind = "certificate" // read
	Unparsable  Kind = "unparsable"  // its bytes came whole, and are no certificate that can be read here
	Damaged     Kind = "damaged"     // its bytes did not come whole
	PrivateKey  Kind = "private key" // must not be where it is
	Trusted     Kind = "trusted"     // OpenSSL's TRUSTED CERTIFICATE: a certificate with rules that nobody here obeys
	Container   Kind = "container"   // PKCS #7 or #12: certificates in another wrapping
	Other       Kind = "other"       // no certificate at all: a request, a list of revoked ones, parameters
	NotPEM      Kind = "not PEM"     // the text as a whole: empty, binary, UTF-16, or without a BEGIN
)

// Block is one BEGIN, or the whole text if it is no PEM.
type Block struct {
	Kind Kind
	Line int    // of the BEGIN, from 1
	Type string // what stands behind BEGIN, cleaned
	// Certificate is there for the kinds Certificate and Trusted, if it could be
	// read; DER are its bytes, also of one that is Unparsable.
	Certificate *x509.Certificate
	DER         []byte
	// Problem and Cure are "" for the kind Certificate. Neither repeats what stands
	// in the block.
	Problem, Cure string
}

const (
	begin  = "-----BEGIN "
	end    = "-----END "
	dashes = "-----"
)

const (
	again = "export the certificate again, as PEM (Base64)"
	ascii = "save it as plain text, or: iconv -f UTF-16 -t UTF-8 FILE > ca.pem"
)

// Certificates are the certificates that can be read, each once, in the order of
// the text.
func Certificates(text []byte) []*x509.Certificate {
	var out []*x509.Certificate
	had := map[string]bool{}
	for _, b := range Read(text) {
		if b.Kind == Certificate && !had[string(b.DER)] {
			had[string(b.DER)] = true
			out = append(out, b.Certificate)
		}
	}
	return out
}

// Read accounts for every BEGIN of a text. It gives at least one block.
func Read(text []byte) []Block {
	if b, ok := foreign(text); ok {
		return []Block{b}
	}
	var out []Block
	rest, line := text, 1
	for {
		at := bytes.Index(rest, []byte(begin))
		between := rest
		if at >= 0 {
			between = rest[:at]
		}
		out = append(out, strays(between, line)...)
		line += lines(between)
		if at < 0 {
			break
		}
		rest = rest[at:]
		size := len(rest)
		if next := bytes.Index(rest[len(begin):], []byte(begin)); next >= 0 {
			size = len(begin) + next
		}
		b, used := read(rest[:size], line)
		out = append(out, b)
		line += lines(rest[:used])
		rest = rest[used:]
	}
	if len(out) == 0 {
		return []Block{{Kind: NotPEM, Line: 1, Problem: "holds no PEM certificate", Cure: "write a file with at least one -----BEGIN CERTIFICATE-----"}}
	}
	return out
}

// foreign recognises what is no PEM text at all.
func foreign(text []byte) (Block, bool) {
	not := func(problem, cure string) (Block, bool) {
		return Block{Kind: NotPEM, Line: 1, Problem: problem, Cure: cure}, true
	}
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}), bytes.HasPrefix(text, []byte{0xfe, 0xff}), bytes.Contains(wide(text), []byte(begin)):
		return not("is UTF-16 text", ascii)
	case len(text) > 1 && text[0] == 0x30 && !bytes.Contains(text, []byte(begin)) && text[1] >= 0x80:
		if cert, err := x509.ParseCertificate(text); err == nil && cert != nil {
			return not("is a certificate in DER form, which is binary", "openssl x509 -inform DER -in FILE -out ca.pem")
		}
		return not("is binary (DER): a certificate in another wrapping, or none", "a PKCS #7: openssl pkcs7 -inform DER -print_certs -in FILE -out ca.pem; a PKCS #12: openssl pkcs12 -nokeys -in FILE -out ca.pem")
	}
	return Block{}, false
}

// wide is a text of two bytes each without the empty halves; nil for any other.
func wide(text []byte) []byte {
	if bytes.Count(text, []byte{0}) < len(text)/3 {
		return nil
	}
	return bytes.ReplaceAll(text, []byte{0}, nil)
}

func lines(text []byte) int {
	// A lone CR ended lines once; a CR before an LF belongs to it.
	return bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r")) - bytes.Count(text, []byte("\r\n"))
}

// read reads one block, from its BEGIN to the next BEGIN at most; used is where
// it ends.
func read(text []byte, line int) (b Block, used int) {
	b = Block{Line: line}
	bad := func(kind Kind, problem, cure string) (Block, int) {
		b.Kind, b.Problem, b.Cure = kind, problem, cure
		return b, max(used, len(begin))
	}
	head := text[len(begin):]
	// What ends a block that cannot be read is no END without a BEGIN.
	if at := bytes.Index(text, []byte(end)); at >= 0 {
		used = at + len(end)
	}
	stop := bytes.Index(head, []byte(dashes))
	if eol := bytes.IndexAny(head, "\r\n"); stop < 0 || eol >= 0 && eol < stop {
		return bad(Damaged, "a BEGIN line that does not end in five hyphens", again)
	}
	label := strings.TrimSpace(string(head[:stop]))
	b.Type = word(label)
	body := head[stop+len(dashes):]
	used = len(text) - len(body)
	foot := bytes.Index(body, []byte(end))
	if foot < 0 {
		if kind, problem, cure := typed(b.Type); kind == PrivateKey {
			return bad(kind, problem, cure)
		}
		return bad(Damaged, "a damaged PEM block: it begins and does not end", again)
	}
	tail := body[foot+len(end):]
	stop = bytes.Index(tail, []byte(dashes))
	used = len(text) - len(tail)
	if stop >= 0 {
		used += stop + len(dashes)
	}
	kind, problem, cure := typed(b.Type)
	switch {
	case kind == PrivateKey:
		return bad(kind, problem, cure)
	case stop < 0 || strings.TrimSpace(string(tail[:stop])) != label:
		return bad(Damaged, "a damaged PEM block: its END is not that of its BEGIN", again)
	case kind == Other || kind == Container:
		return bad(kind, problem, cure)
	}
	der, err := decode(body[:foot])
	if err != nil {
		return bad(Damaged, "a damaged PEM block: "+err.Error(), again)
	}
	return certificate(b, kind, der), used
}

// typed says what a block of a type is; the kind Certificate is still to be read.
func typed(label string) (kind Kind, problem, cure string) {
	switch upper := strings.ToUpper(label); {
	case strings.Contains(upper, "PRIVATE KEY"):
		return PrivateKey, "a private key", "keep only the CA's certificates in it, and the key elsewhere"
	case upper == "CERTIFICATE", upper == "X509 CERTIFICATE":
		return Certificate, "", ""
	case upper == "TRUSTED CERTIFICATE":
		return Trusted, "", ""
	case strings.HasPrefix(upper, "PKCS"), upper == "CMS":
		return Container, fmt.Sprintf("a PEM block of type %q, which holds certificates in another wrapping", label), "openssl pkcs7 -print_certs -in FILE -out ca.pem"
	}
	return Other, fmt.Sprintf("a PEM block of type %q, which is no certificate", label), "keep only the CA's certificates in it"
}

// certificate finishes a block whose bytes came whole.
func certificate(b Block, kind Kind, der []byte) Block {
	b.Kind, b.DER = kind, der
	if kind == Trusted {
		// Behind the certificate stand the uses that OpenSSL lets it have.
		var first asn1.RawValue
		if _, err := asn1.Unmarshal(der, &first); err == nil {
			b.DER = first.FullBytes
		}
		b.Problem = "an OpenSSL TRUSTED CERTIFICATE, whose rules of trust nobody here would obey"
		b.Cure = "openssl x509 -in FILE -out ca.pem"
	}
	cert, err := x509.ParseCertificate(b.DER)
	switch {
	case err == nil:
		b.Certificate = cert
	case kind == Certificate:
		b.Kind, b.Problem, b.Cure = Unparsable, err.Error(), again
	}
	return b
}

// decode is the body of a block: headers, which end in an empty line, are left
// out.
func decode(body []byte) ([]byte, error) {
	text := string(body)
	if first, rest, headed := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n"); headed && strings.Contains(first, ": ") {
		text = rest
	}
	if strings.Contains(text, `\n`) {
		return nil, errors.New(`it has \n in it where line ends belong`)
	}
	text = strings.Map(func(r rune) rune {
		if r == '\ufeff' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	if text == "" {
		return nil, errors.New("nothing stands between BEGIN and END")
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("what stands between BEGIN and END is no Base64")
	}
	return der, nil
}

// strays are the BEGIN and END lines outside of blocks that are not as PEM
// writes them, so that what they were meant to hold would be lost without a word.
func strays(text []byte, line int) []Block {
	var out []Block
	for i, one := range splitLines(text) {
		s := string(one)
		if at := strings.Index(s, end); at >= 0 {
			out = append(out, Block{Kind: Damaged, Line: line + i, Problem: "an END without its BEGIN", Cure: again})
			continue
		}
		upper := strings.ToUpper(s)
		for at := strings.Index(upper, "BEGIN"); at >= 0; {
			before := strings.TrimRight(upper[:at], " \t")
			if last, _ := utf8.DecodeLastRuneInString(before); isDash(last) {
				out = append(out, Block{Kind: Damaged, Line: line + i, Problem: "a BEGIN line that is not as PEM writes it: five hyphens, BEGIN, a blank, what it is, five hyphens", Cure: again})
				break
			}
			next := strings.Index(upper[at+1:], "BEGIN")
			if next < 0 {
				break
			}
			at += 1 + next
		}
	}
	return out
}

func isDash(r rune) bool {
	return r != utf8.RuneError && unicode.Is(unicode.Dash, r)
}

func splitLines(text []byte) [][]byte {
	return bytes.Split(bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n")), []byte("\n"))
}

// word is what stands behind BEGIN, as one short line.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	const longest = 40
	if len(s) > longest {
		s = s[:longest]
	}
	return s
}
