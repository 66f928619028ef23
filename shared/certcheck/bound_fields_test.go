package certcheck

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/tlsprobe"
)

// ourWords are texts and lists of a certificate's record that Peerkeeper writes
// itself, however long the certificate is.
var ourWords = map[string]string{
	"Fingerprint":       "a digest",
	"Key":               "a digest",
	"Replaced":          "a digest",
	"Chain.Fingerprint": "a digest",
	"Cause":             "one of our reasons",
	"Change":            "composed from fields that are cut, and cut itself",
	"Error":             "cut where it is composed: see why",
	"TooLong":           "names of fields, of which there are five",
	"Former":            "a certificate that was cut when it was read",
}

// stuffed puts a text of 10,000 characters, or 300 of them, into every field
// that a certificate fills, and lists the fields.
func stuffed(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Struct:
		for f, field := range v.Fields() {
			if name := strings.TrimPrefix(path+"."+f.Name, "."); f.IsExported() && ourWords[name] == "" {
				stuffed(field, name)
			}
		}
	case reflect.String:
		v.SetString(strings.Repeat("x", 10_000))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 300, 300))
		for i := range v.Len() {
			stuffed(v.Index(i), path)
		}
	}
}

// unbounded calls back for every field that is longer than it may be.
func unbounded(v reflect.Value, path string, found func(path string)) {
	switch v.Kind() {
	case reflect.Struct:
		for f, field := range v.Fields() {
			if name := strings.TrimPrefix(path+"."+f.Name, "."); f.IsExported() && ourWords[name] == "" {
				unbounded(field, name, found)
			}
		}
	case reflect.String:
		if v.Len() > 500 {
			found(path)
		}
	case reflect.Slice:
		if v.Len() > maxNames {
			found(path + ", members")
		}
		for i := range v.Len() {
			unbounded(v.Index(i), path, found)
		}
	case reflect.Map, reflect.Pointer, reflect.Interface, reflect.Array:
		found(fmt.Sprintf("%s, a %s: teach this test", path, v.Kind()))
	}
}

func TestEveryFieldThatACertificateFillsHasABound(t *testing.T) {
	var s certificate.Served
	stuffed(reflect.ValueOf(&s).Elem(), "")
	bounded(&mesh.Cluster{ID: "apac"}, &s)
	said := map[string]bool{}
	unbounded(reflect.ValueOf(s), "", func(path string) {
		if !said[path] {
			t.Errorf("%s of certificate.Served has no bound: anyone who makes a certificate can fill it without end", path)
		}
		said[path] = true
	})
	for name := range ourWords {
		owner := reflect.TypeFor[certificate.Served]()
		if field, ok := strings.CutPrefix(name, "Chain."); ok {
			owner, name = reflect.TypeFor[peer.Issuer](), field
		}
		if _, ok := owner.FieldByName(name); !ok {
			t.Errorf("%s is no field of %s", name, owner)
		}
	}
}

// What a handshake's error says may quote the server that answered.
func TestWhyACertificateCouldNotBeReadIsCleanAndBounded(t *testing.T) {
	got := why(tlsprobe.Outcome{Asked: tlsprobe.RSA, Err: errors.New("refused: \x1b[2J" + strings.Repeat("x\n", 50_000))})
	if !strings.HasPrefix(got, "refused: ") || !plain.Clean(got) || utf8.RuneCountInString(got) > maxWhy {
		t.Errorf("%d characters: %.100q", utf8.RuneCountInString(got), got)
	}
}
