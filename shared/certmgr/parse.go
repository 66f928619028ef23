package certmgr

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"peerkeeper/shared/pemfile"
)

const (
	certificateBlock = "CERTIFICATE"
	beginMark        = "-----BEGIN "
	longestWords     = 200
	longestName      = 255 // of a file in a store
)

// Certificate is one that could be read.
type Certificate struct {
	File string // name in the trust store, empty where the answer has none
	X509 *x509.Certificate
}

// Unreadable is an entry that is there and could not be read.
type Unreadable struct {
	File        string
	Index       int    // of the entry within its list or text, from 0
	Fingerprint string // "sha256:…" of its bytes if at least the PEM was whole
	Reason      string
}

// Bundle is a list of certificates as a node sent it, repetitions included.
type Bundle struct {
	Certificates []Certificate
	Unreadable   []Unreadable
	// Empty counts the entries with an empty certificate: nothing is there.
	Empty int
	// Cut counts the entries beyond maxEntries, which are not looked at: anything
	// may be there.
	Cut int
}

// maxEntries bounds the entries of one list that are looked at. A store as
// installed holds a few dozen of Cisco's own, a mesh of 30 clusters adds some
// hundreds.
const maxEntries = 2000

func (b *Bundle) add(more Bundle) {
	b.Certificates = append(b.Certificates, more.Certificates...)
	b.Unreadable = append(b.Unreadable, more.Unreadable...)
	b.Empty += more.Empty
	b.Cut += more.Cut
}

func (b *Bundle) full() bool { return len(b.Certificates)+len(b.Unreadable) >= maxEntries }

// parsePEM reads a text that may hold several certificates; each BEGIN in it is
// accounted for.
func parsePEM(file, text string) Bundle {
	var out Bundle
	file = clean(file, longestName)
	bad := func(index int, print, reason string) {
		out.Unreadable = append(out.Unreadable, Unreadable{File: file, Index: index, Fingerprint: print, Reason: reason})
	}
	if strings.TrimSpace(text) == "" {
		bad(0, "", "empty")
		return out
	}
	for index, b := range pemfile.Read([]byte(text)) {
		switch {
		case out.full():
			out.Cut++
		case b.Kind == pemfile.NotPEM:
			// Bare base64 of the DER: seen with other products' interfaces, harmless to take.
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
			if err != nil {
				bad(0, "", "no PEM block")
				return out
			}
			out.take(file, 0, der)
		case b.Certificate != nil:
			out.Certificates = append(out.Certificates, Certificate{File: file, X509: b.Certificate})
		case b.Kind == pemfile.Unparsable:
			bad(index, "sha256:"+fingerprint(b.DER), clean(b.Problem, longestWords))
		case b.Kind == pemfile.Damaged:
			bad(index, "", "damaged PEM block")
		default:
			// The content is not repeated: it may be a private key.
			bad(index, "", fmt.Sprintf("a PEM block of type %q", clean(b.Type, 40)))
		}
	}
	return out
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func (b *Bundle) take(file string, index int, der []byte) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		b.Unreadable = append(b.Unreadable, Unreadable{File: file, Index: index, Fingerprint: "sha256:" + fingerprint(der), Reason: clean(err.Error(), longestWords)})
		return
	}
	b.Certificates = append(b.Certificates, Certificate{File: file, X509: cert})
}

// entry is one certificate of a list: {"certificate": …} with a file name in
// snapshots. A member that is there and null is as empty as an empty text; one
// that is not there says that the entry's form is not known.
type entry struct {
	File        string          `json:"filename"`
	Certificate json.RawMessage `json:"certificate"`
}

// read is the PEM text of an entry, which may also be the bare text.
func (e *entry) read(raw json.RawMessage) (text string, ok bool) {
	if json.Unmarshal(raw, &text) == nil { // null too: nothing is there
		return text, true
	}
	if json.Unmarshal(raw, e) != nil || e.Certificate == nil {
		return "", false
	}
	return text, json.Unmarshal(e.Certificate, &text) == nil
}

// parseEntries reads a JSON list entry by entry.
func parseEntries(raw json.RawMessage) (Bundle, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return Bundle{}, fmt.Errorf("list of certificates: %w", jsonFault(err))
	}
	if list == nil {
		return Bundle{}, errors.New("list of certificates: null")
	}
	var out Bundle
	for i, one := range list {
		if out.full() {
			out.Cut++
			continue
		}
		var e entry
		text, ok := e.read(one)
		switch {
		case !ok:
			out.Unreadable = append(out.Unreadable, Unreadable{File: clean(e.File, longestName), Index: i, Reason: "neither an object with a certificate nor a text"})
			continue
		case strings.TrimSpace(text) == "":
			out.Empty++
			continue
		}
		read := parsePEM(e.File, text)
		for k := range read.Unreadable {
			if len(read.Unreadable)+len(read.Certificates) == 1 {
				read.Unreadable[k].Index = i // the only one of its text: the place in the list says more
			}
		}
		out.add(read)
	}
	return out, nil
}

// parseTrust takes {"certificates": [...]} or the bare list [T: both were seen].
func parseTrust(body []byte) (Bundle, error) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' {
		return parseEntries(body)
	}
	var object struct {
		Certificates json.RawMessage `json:"certificates"`
	}
	if err := decodeObject(body, &object); err != nil {
		return Bundle{}, err
	}
	if object.Certificates == nil {
		return Bundle{}, errors.New("no list of certificates")
	}
	return parseEntries(object.Certificates)
}

// parseIdentity takes the PEM text [T], the same as a JSON text or list, or an
// object around it (which nobody has shown, and which costs nothing).
func parseIdentity(body []byte) (Bundle, error) {
	body = bytes.TrimSpace(body)
	var out Bundle
	switch {
	case len(body) == 0:
		return out, errors.New("empty")
	case body[0] == '[':
		return parseEntries(body)
	case body[0] == '"':
		var text string
		if err := json.Unmarshal(body, &text); err != nil {
			return out, jsonFault(err)
		}
		out = parsePEM("", text)
	case body[0] == '{':
		var object struct {
			Certificate  *string         `json:"certificate"`
			Certificates json.RawMessage `json:"certificates"`
		}
		if err := decodeObject(body, &object); err != nil {
			return out, err
		}
		switch {
		case object.Certificates != nil:
			return parseEntries(object.Certificates)
		case object.Certificate != nil:
			out = parsePEM("", *object.Certificate)
		default:
			return out, errors.New("no certificate in the answer")
		}
	case body[0] == '<':
		return out, errors.New("a page instead of a certificate")
	default:
		if !bytes.Contains(body, []byte(beginMark)) {
			return out, errors.New("no certificate in the answer")
		}
		out = parsePEM("", string(body))
	}
	return out, nil
}

func parseSnapshot(body []byte) (*Snapshot, error) {
	var wire struct {
		TrackingID string            `json:"trackingId"`
		Server     string            `json:"server"`
		Identities []json.RawMessage `json:"identities"`
		Trusts     []json.RawMessage `json:"trusts"`
		Revoked    []json.RawMessage `json:"revokedCertificates"`
	}
	if err := decodeObject(body, &wire); err != nil {
		return nil, err
	}
	// Half an answer must not look like a node that trusts nobody.
	if wire.Identities == nil || wire.Trusts == nil {
		return nil, errors.New("no lists of identities and trusts")
	}
	out := &Snapshot{TrackingID: clean(wire.TrackingID, longestName), Server: clean(wire.Server, longestName), Revoked: len(wire.Revoked)}
	for i, raw := range wire.Identities {
		var one struct {
			Service     string `json:"service"`
			Certificate string `json:"certificate"`
			CSR         string `json:"csr"`
		}
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("identity %d: %w", i, jsonFault(err))
		}
		id := Identity{Service: Service(clean(one.Service, longestName)), CSR: one.CSR}
		if strings.TrimSpace(one.Certificate) != "" { // a service without a certificate is nothing unusual [T]
			id.Bundle = parsePEM("", one.Certificate)
		}
		out.Identities = append(out.Identities, id)
	}
	for i, raw := range wire.Trusts {
		var one struct {
			Service string          `json:"service"`
			Data    json.RawMessage `json:"certificate_data"`
		}
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("trust %d: %w", i, jsonFault(err))
		}
		b, err := parseEntries(one.Data)
		if err != nil {
			return nil, fmt.Errorf("trust %d: %w", i, err)
		}
		out.Trusts = append(out.Trusts, TrustStore{Service: Service(clean(one.Service, longestName)), Bundle: b})
	}
	return out, nil
}

func parseOptions(body []byte) (*Options, error) {
	var members map[string]json.RawMessage
	if err := decodeObject(body, &members); err != nil {
		return nil, err
	}
	out := &Options{Lists: map[string][]string{}}
	for name, raw := range members {
		var list []string
		if json.Unmarshal(raw, &list) == nil && list != nil { // another kind of member is not our business
			for i := range list {
				list[i] = clean(list[i], longestName)
			}
			out.Lists[clean(name, longestName)] = list
		}
	}
	return out, nil
}

// parseReceipt reads what comes with 200 or 201: nothing, or JSON [I]. Anything
// else, such as a log-in page, did not come from the interface.
func parseReceipt(body []byte) (string, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return "", nil
	}
	if !json.Valid(body) {
		return "", errors.New("the answer is not JSON")
	}
	return wordsOf(body), nil
}

// wordsOf are the node's words in an error or a receipt: message, or the first
// of messages [T]; a member of messages may be an object around its text.
func wordsOf(body []byte) string {
	var object struct {
		Message  json.RawMessage   `json:"message"`
		Messages []json.RawMessage `json:"messages"`
	}
	if json.Unmarshal(body, &object) != nil {
		return ""
	}
	for _, raw := range append([]json.RawMessage{object.Message}, object.Messages...) {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			var inner struct {
				Message string `json:"message"`
			}
			if json.Unmarshal(raw, &inner) != nil {
				continue
			}
			text = inner.Message
		}
		if text = clean(text, longestWords); text != "" {
			return text
		}
	}
	return ""
}

// decodeObject decodes one JSON object and nothing after it.
func decodeObject(body []byte, into any) error {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return errors.New("empty")
	case body[0] == '<':
		return errors.New("a page instead of JSON")
	case body[0] != '{':
		return errors.New("not a JSON object")
	}
	return jsonFault(json.Unmarshal(body, into))
}

// jsonFault keeps what is wrong with JSON and leaves out what was in it.
func jsonFault(err error) error {
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("a %s where %s belongs", clean(kind.Value, 40), kind.Type)
	}
	return errors.New("not readable as JSON")
}

// clean makes one printable line of at most n bytes.
func clean(s string, n int) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1 // control characters, and the invisible ones that turn text around
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > n {
		const more = "…"
		s = strings.ToValidUTF8(s[:max(0, n-len(more))], "") + more
	}
	return s
}
