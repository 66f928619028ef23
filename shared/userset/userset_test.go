package userset

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestTwoSpellingsOfOneKey(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		a, b string
		same bool
	}{
		{IDs, "asmith", "ASmith", true},
		{IDs, "jörg", "JÖRG", true},
		{IDs, "σοφος", "ΣΟΦΟΣ", true}, // the small sigma at the end is another letter than the one before it
		{IDs, "\u212Aim", "kim", true},
		{IDs, "jo\u0308rg", "JÖRG", true}, // o and its umlaut as two signs
		{IDs, "\u212Bngstro\u0308m", "a\u030Angström", true},
		{IDs, "J\u030Can", "\u01F0an", true},          // no upper case of it is one letter
		{IDs, "a\u0323\u0307", "a\u0307\u0323", true}, // two marks, in any order
		{IDs, "한글", "\u1112\u1161\u11AB\u1100\u1173\u11AF", true},
		{IDs, "πα\u0345", "Πᾼ", true},
		{IDs, "παι", "πᾳ", false}, // an iota beside it is none below it
		{IDs, "\u00B5ser", "\u03BCser", true},
		{IDs, "ﬁona", "fiona", false}, // compatible, not canonical
		{IDs, "\xF6", "\xFC", false},  // no text
		{IDs, "straße", "strasse", false},
		{IDs, "STRA\u1E9EE", "straße", true},
		{IDs, "İbrahim", "ibrahim", false},
		{IDs, "аdа", "ada", false},         // Cyrillic
		{IDs, "ıbrahim", "ibrahim", false}, // the dotless i is a letter of its own
		{IDs, " asmith", "asmith", true},
		{IDs, "asmith", "asmith2", false},
		{IDs, "sip:asmith", "asmith", false}, // no URI, and so no scheme
		{URIs, "ada@example.com", "Ada@EXAMPLE.com.", true},
		{URIs, "sip:ada@example.com", "ada@example.com", true},
		{URIs, "SIPS:ada@example.com", "im:ada@example.com", true},
		{URIs, "a%64a@example.com", "ada@example.com", true},
		{URIs, "a%40da@example.com", "a@da@example.com", false}, // an escaped @ is not the sign that parts user and host
		{URIs, "j%C3%B6rg@example.com", "jo\u0308rg@example.com", true},
		{URIs, "j%c3%b6rg@example.com", "J%C3%B6RG@example.com", true},
		{URIs, "j%F6rg@example.com", "J%f6rg@example.com", true}, // no UTF-8: as it stands
		{URIs, "j%F6rg@example.com", "jörg@example.com", false},
		{URIs, "%4\u0011da@example.com", "ada@example.com", false}, // a control character is no digit
		{URIs, "50%@example.com", "50%@example.com", true},
		{URIs, "ada@example.com", "ada@example.org", false},
	} {
		if got := Fold(c.kind, c.a) == Fold(c.kind, c.b); got != c.same {
			t.Errorf("%q and %q: %q, %q", c.a, c.b, Fold(c.kind, c.a), Fold(c.kind, c.b))
		}
		h := NewKey().Hasher()
		if (h.Of(c.kind, c.a) == h.Of(c.kind, c.b)) != c.same {
			t.Errorf("%q and %q: hashes say otherwise", c.a, c.b)
		}
	}
}

// TestEveryLetterFoldsAsEqualFoldHasIt: to one of the letters that are equal to it.
func TestEveryLetterFoldsAsEqualFoldHasIt(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		f := foldRune(r)
		if foldRune(f) != f || !strings.EqualFold(string(r), string(f)) {
			t.Errorf("%U folds to %U", r, f)
		}
		if other := unicode.SimpleFold(r); foldRune(other) != f {
			t.Errorf("%U folds to %U, %U to %U", r, f, other, foldRune(other))
		}
	}
}

// BenchmarkFold: what has nothing to fold costs nothing.
func BenchmarkFold(b *testing.B) {
	for name, uri := range map[string]string{"ascii": "ada.lovelace0123@example.com", "mixed case": "Ada.Lovelace0123@example.com", "composed": "jörg.müller0123@example.com", "decomposed": "jo\u0308rg.mu\u0308ller0123@example.com"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Fold(URIs, uri)
			}
			if name == "ascii" && testing.AllocsPerRun(100, func() { Fold(URIs, uri) }) > 0 {
				b.Error("it allocates")
			}
		})
	}
}

func TestLawfulIsNotInvalid(t *testing.T) {
	for _, uri := range []string{"ada@example.com", "a.b+c_d@sub.example.com", "o'neil@example.com", "jörg@bücher.example", "ada@example", "ada@192.0.2.1", "ada@[2001:db8::1]", "user@mail.example@example.com", "+49 30"[:3] + "@example.com", "a%20b@example.com", "ada@host_1.example.com."} {
		if InvalidURI(uri) {
			t.Errorf("%q is called invalid", uri)
		}
	}
	for _, uri := range []string{"invalid uri of ada", "ada", "@example.com", "ada@", "ada@ex ample.com", "ada@example..com", "ada@-example.com", "ada@exa<mple.com", "a\nda@example.com", "\xff@example.com"} {
		if !InvalidURI(uri) {
			t.Errorf("%q is called valid", uri)
		}
	}
	for id, invalid := range map[string]bool{"asmith": false, "a smith": false, "a/b:c": false, "ada@example.com": false, "": true, " asmith": true, "asmith ": true, "a\tb": true, "\xff": true} {
		if InvalidID(id) != invalid {
			t.Errorf("%q: invalid %v", id, !invalid)
		}
	}
}

// TestWhatIsStoredIsReadBack: with marks, of both generations, and never mixed.
func TestWhatIsStoredIsReadBack(t *testing.T) {
	key := NewKey()
	make1 := func(before int64, n int) Set {
		c := Collect(key)
		for i := range n {
			c.Assigned(User{Key: fmt.Sprintf("%036d", i), ID: fmt.Sprintf("user%d", i), URI: fmt.Sprintf("user%d@example.com", i)}, true)
		}
		c.Unassigned([]User{{ID: "nobody", URI: "not a uri"}})
		s, err := c.Set(before, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	old, set := make1(0, 40_000), make1(1, 40_001)
	for n := range old.Parts {
		if _, both := set.Parts[n]; both {
			t.Fatalf("item %d is of both generations: a kill in between would leave half of each", n)
		}
	}
	if set.Head.Users != 40_002 || set.Head.Parts() != 3 || len(set.Parts) != 6 {
		t.Fatalf("%+v, %d items", set.Head.Users, len(set.Parts))
	}
	h := key.Hasher()
	for _, k := range Kinds() {
		var parts []Part
		for i := range set.Head.Parts() {
			p := set.Parts[set.Head.Number(k, i)]
			if b, _ := json.Marshal(p); len(b) > 200_000 {
				t.Errorf("an item of %d bytes", len(b))
			}
			parts = append(parts, p)
		}
		all, err := set.Head.Append(nil, parts)
		if err != nil || len(all) != 40_002 || k == IDs && all[12_345] != h.Of(IDs, "USER12345") {
			t.Errorf("%d hashes: %v", len(all), err)
		}
		for name, wrong := range map[string][]Part{"one is missing": parts[1:], "one is of the day before": append([]Part{old.Parts[old.Head.Number(k, 0)]}, parts[1:]...)} {
			if got, err := set.Head.Append(nil, wrong); !errors.Is(err, ErrTorn) || len(got) > 0 {
				t.Errorf("%s: %d hashes, %v", name, len(got), err)
			}
		}
	}
	for index, want := range map[int][2]string{0: {"", key36(255)}, 255: {"", key36(255)}, 256: {key36(255), key36(511)}, 40_000: {key36(39_935), ""}} {
		if after, until, ok := set.Head.Range(index); !ok || after != want[0] || until != want[1] {
			t.Errorf("user %d is after %q up to %q", index, after, until)
		}
	}
	if _, _, ok := set.Head.Range(40_001); ok {
		t.Error("one without a node has a range")
	}
	if n := set.Head.InvalidURI; n.Count != 1 || set.Head.Unassigned.Count != 1 || set.Head.Unassigned.IDs[0] != "nobody" {
		t.Errorf("%+v", set.Head)
	}
}

func key36(i int) string { return fmt.Sprintf("%036d", i) }

// TestURIsThatWereNotToldAreNotMissing.
func TestURIsThatWereNotToldAreNotMissing(t *testing.T) {
	c := Collect(NewKey())
	c.Assigned(User{Key: "1", ID: "ada"}, false)
	s, err := c.Set(0, time.Unix(0, 0))
	if err != nil || s.Head.NoURI.Count != 0 || s.Head.URIsRead || s.Head.Unassigned != nil {
		t.Errorf("%+v, %v", s.Head, err)
	}
}

func TestRepeatedFindsWhatAMapFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		sets := make([][]uint64, random.IntN(6))
		want := map[uint64][]Place{}
		spread := uint64(1) << random.IntN(63)
		for s := range sets {
			for i := range random.IntN(2000) {
				h := random.Uint64() % spread
				if random.IntN(2) == 0 {
					h <<= 40 // many share the first bytes, or the last
				}
				sets[s] = append(sets[s], h)
				if h != 0 {
					want[h] = append(want[h], Place{s, i})
				}
			}
		}
		maps.DeleteFunc(want, func(_ uint64, at []Place) bool { return len(at) < 2 })
		got, total := Repeated(sets, 1<<20)
		if total != len(want) || len(got) != total {
			t.Fatalf("%d repeated, want %d", total, len(want))
		}
		for h, at := range want {
			if !slices.Equal(got[h], at[:min(len(at), maxPlaces)]) {
				t.Fatalf("%x: %v, want %v", h, got[h], at)
			}
		}
	}
	if got, total := Repeated([][]uint64{{1, 2, 3}, {3, 2, 1}}, 2); len(got) != 2 || total != 3 {
		t.Errorf("%d of %d", len(got), total)
	}
}

func FuzzFold(f *testing.F) {
	f.Add("sip:Ada%41@Example.com.")
	f.Add("\u212A\u017F\u03C2\u0130")
	f.Fuzz(func(t *testing.T, s string) {
		for _, k := range Kinds() {
			once := Fold(k, s)
			if k == IDs && Fold(k, once) != once {
				t.Errorf("%q is folded to %q and that to %q", s, once, Fold(k, once))
			}
		}
		InvalidURI(s)
		InvalidID(s)
	})
}
