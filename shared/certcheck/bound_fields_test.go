package certcheck

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

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
	if want := []string{fieldChain, fieldSubject, fieldIssuer, fieldNames, fieldName}; !slices.Equal(s.TooLong, want) {
		t.Errorf("noted as cut: %q, want %q", s.TooLong, want)
	}
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

// TestALawfulCertificateIsKeptAsItIs, with as many names, and as long ones, as a
// server's may have.
func TestALawfulCertificateIsKeptAsItIs(t *testing.T) {
	s := certificate.Served{Subject: strings.Repeat("s", maxSubject), Issuer: strings.Repeat("ü", maxSubject-1) + "\t", Chain: make([]peer.Issuer, maxAbove)}
	for range maxNames {
		s.Names = append(s.Names, strings.Repeat("n", maxName))
	}
	kept := s
	kept.Names = slices.Clone(s.Names)
	bounded(&mesh.Cluster{ID: "apac"}, &kept)
	if diff := cmp.Diff(s, kept); diff != "" {
		t.Error(diff)
	}
}

// TestWhatWasCutIsSaid: how many names there are is said only where some are left out.
func TestWhatWasCutIsSaid(t *testing.T) {
	for want, s := range map[string]certificate.Served{
		"the RSA certificate of imp-apac-pub.example.com is longer, or has more, than any lawful one: subject of the certificate; Peerkeeper looks at the beginning only": {TooLong: []string{fieldSubject}},
		"the RSA certificate of imp-apac-pub.example.com is longer, or has more, than any lawful one: names of the certificate; of its 3 names the first 2 are looked at": {TooLong: []string{fieldNames}, Names: []string{"a", "b"}, MoreNames: 1},
		"": {Names: []string{"a", "b"}},
	} {
		f := &finder{now: noon()}
		subject{node: mesh.Node{Name: apacPub}, Place: onRSA, s: s}.tooLong(f)
		got := ""
		for _, x := range f.out {
			got += x.Message
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
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
