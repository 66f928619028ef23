package plain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestLine(t *testing.T) {
	for _, c := range []struct {
		name, in string
		max      int
		want     string
	}{
		{"clean words stay as they are", "Replication is broken on imp-apac-sub.example.com", 80, "Replication is broken on imp-apac-sub.example.com"},
		{"letters of every script stay", "Jürgen Ærø Ελένη Никита 田中 आनंद", 80, "Jürgen Ærø Ελένη Никита 田中 आनंद"},
		{"a line break starts no line", "x\nNext step: call 555", 80, "x Next step: call 555"},
		{"a line end of two characters is one space", "a\r\nb\tc", 80, "a b c"},
		{"separators of lines and paragraphs, and NEL", "a\u2028b\u2029c\u0085d", 80, "a b c d"},
		{"a terminal is told nothing", "a\x1b[31mb\a\x00\x7f\u009bc", 80, "a\ufffd[31mb\ufffd\ufffd\ufffd\ufffdc"},
		{"no mark turns the words around", "a\u202eb\u2066c\u200fd\u061c", 80, "a\ufffdb\ufffdc\ufffdd\ufffd"},
		{"what nobody sees is shown", "ali\u200bce\ufeff\u00ad\u2060\u3164\ufe0f\U000e0041\u2800", 80, "ali\ufffdce" + strings.Repeat("\ufffd", 7)},
		{"spaces of any width are spaces", "a\u00a0b\u3000c", 80, "a b c"},
		{"bytes that are no UTF-8, one for one", "a\xff\xc3b", 80, "a\ufffd\ufffdb"},
		{"a replacement character that was there stays", "a\ufffdb", 80, "a\ufffdb"},
		{"private use and what is not assigned", "\ue000\U0010ffff\u0378", 80, "\ufffd\ufffd\ufffd"},
		{"what fits is not cut", "abcde", 5, "abcde"},
		{"what does not fit says so", "abcdef", 5, "abcd…"},
		{"runes are counted, not bytes", "äöüßé", 5, "äöüßé"},
		{"a letter keeps its accents or goes with them", "abcde\u0301\u0302", 6, "abcd…"},
		{"a letter goes with its accents where they stand last", "abce\u0301fg", 5, "abc…"},
		{"marks do not pile up", "a" + strings.Repeat("\u0301", 10), 80, "a" + strings.Repeat("\u0301", 8) + "\ufffd\u0301"},
		{"room for the mark only", "ab", 1, "…"},
		{"no room", "ab", 0, ""},
		{"nothing", "", 5, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Line(c.in, c.max); got != c.want {
				t.Errorf("Line(%+q, %d) = %+q, want %+q", c.in, c.max, got, c.want)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	for _, c := range []struct {
		name, in string
		max      int
		want     string
	}{
		{"words", "Next step: none", 80, `"Next step: none"`},
		{"a quote does not end it", `a" b\`, 80, `"a\" b\\"`},
		{"controls are written out", "a\r\n\t\x00\x1b\x7f\u0085", 80, `"a\r\n\t\x00\x1b\x7f\u0085"`},
		{"what nobody sees is written out", "ali\u200bce\u202e\U000e0041", 80, `"ali\u200bce\u202e\U000e0041"`},
		{"bytes that are no UTF-8", "a\xff", 80, `"a\xff"`},
		{"a cut never splits what is written out", "abc\x1bdef", 9, `"abc"…`},
		{"the mark stands outside", "abcdefghij", 8, `"abcde"…`},
		{"what fits exactly", "abcdef", 8, `"abcdef"`},
		{"a letter goes with its accents", "abcde\u0301fgh", 8, `"abcd"…`},
		{"nothing", "", 8, `""`},
		{"no room", "abc", 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Quote(c.in, c.max); got != c.want {
				t.Errorf("Quote(%+q, %d) = %s, want %s", c.in, c.max, got, c.want)
			}
		})
	}
}

func TestWord(t *testing.T) {
	for in, want := range map[string]string{
		"alice": "alice", "alice@example.com": "alice@example.com", "imp-emea-pub.example.com": "imp-emea-pub.example.com",
		"sha256:ab12": "sha256:ab12", "2001:db8::1": "2001:db8::1", "Zoë": "Zoë", "o'neil": "o'neil",
		"": `""`, "alice, and 3 more": `"alice, and 3 more"`, "Next step: none": `"Next step: none"`,
		"a\nb": `"a\nb"`, `DOM\al`: `"DOM\\al"`, "al\u200bice": `"al\u200bice"`, "b`": "\"b`\"",
	} {
		if got := Word(in, 80); got != want {
			t.Errorf("Word(%+q) = %s, want %s", in, got, want)
		}
	}
}

func TestListNamesTenAndCountsTheRest(t *testing.T) {
	names := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = "n" + strconv.Itoa(i)
		}
		return out
	}
	for _, c := range []struct {
		in   []string
		want string
	}{
		{nil, ""},
		{names(1), "n0"},
		{names(10), "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9"},
		{names(11), "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, and 1 more"},
		{names(1001), "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, and 991 more"},
	} {
		if got := List(c.in); got != c.want {
			t.Errorf("%d names: %q, want %q", len(c.in), got, c.want)
		}
	}
	if got, want := FirstBy(1, []string{"a\nb", "c"}, "; "), "a b; and 1 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := List([]string{strings.Repeat("x", 500_000), "y"}); len(got) > 320 {
		t.Errorf("one long item makes a list of %d bytes", len(got))
	}
}

// hostile draws text that is thick with what may not be said.
func hostile() *rapid.Generator[string] {
	pieces := []string{"\n", "\r\n", "\x1b[2J", "\x00", "\u202e", "\u2067", "\u200b", "\ufeff", "\u2028", "\u0301", "\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309", "\xff", "\xe2\x80", "\ufe0f", "\u3164", "…", "\ufffd", `"`, `\`, "<b>", "e", "é", "田", "\U0001f600", " ", "Next step: "}
	return rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.SampledFrom(pieces)), func(p []string) string { return strings.Join(p, "") }))
}

// check holds for whatever is said, by whichever form.
func check(t interface{ Errorf(string, ...any) }, said string, most int) {
	if !utf8.ValidString(said) {
		t.Errorf("not UTF-8: %+q", said)
	}
	if n := utf8.RuneCountInString(said); n > max(0, most) {
		t.Errorf("%d runes, %d allowed: %+q", n, most, said)
	}
	for _, r := range said {
		// Said apart from what the package says of itself.
		if !unicode.IsGraphic(r) || unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || unicode.IsSpace(r) && r != ' ' {
			t.Errorf("%+q has %U", said, r)
		}
	}
	if !Clean(said) {
		t.Errorf("not clean: %+q", said)
	}
}

func TestWhateverIsSaidIsCleanAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, max := hostile().Draw(t, "s"), rapid.IntRange(-1, 60).Draw(t, "max")
		line := Line(s, max)
		check(t, line, max)
		if again := Line(line, max); again != line {
			t.Fatalf("a line of a line differs: %+q, %+q", line, again)
		}
		if whole := Line(s, Unbounded); max >= utf8.RuneCountInString(s) && line != whole {
			t.Fatalf("%+q fits in %d and was cut: %+q", s, max, line)
		}
		check(t, Word(s, max), max)
		check(t, Quote(s, max), max)
	})
}

func TestAQuotedValueIsTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := hostile().Draw(t, "s")
		if got, err := strconv.Unquote(Quote(s, Unbounded)); err != nil || got != s {
			t.Fatalf("%+q was quoted and read back as %+q: %v", s, got, err)
		}
	})
}

func TestJSONMeansWhatItMeantAndShowsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]string{hostile().Draw(t, "key"): hostile().Draw(t, "value")}
		b, err := json.MarshalIndent(in, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		shown := JSON(b)
		for line := range strings.SplitSeq(string(shown), "\n") {
			if !Clean(strings.ReplaceAll(line, "\t", " ")) {
				t.Fatalf("not clean: %+q", line)
			}
		}
		var was, is map[string]string
		if err := errors.Join(json.Unmarshal(b, &was), json.Unmarshal(shown, &is)); err != nil || !maps.Equal(was, is) {
			t.Fatalf("%s became %s: %v", b, shown, err)
		}
	})
}

type word string

func TestALogLineIsOneLineWhateverIsLogged(t *testing.T) {
	const bad = "x\nlevel=ERROR msg=forged\x1b[2J\u202e\u3164"
	for name, handler := range map[string]func(io.Writer, *slog.HandlerOptions) slog.Handler{
		"text": func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) },
		"json": func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) },
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			log := slog.New(handler(&out, &slog.HandlerOptions{ReplaceAttr: LogAttr}))
			log.With("with", bad).WithGroup("g").Warn(bad, "s", bad, "w", word(bad), "err", fmt.Errorf("e: %w", errors.New(bad)), "list", []string{bad}, "n", 7)
			line, rest, _ := strings.Cut(out.String(), "\n")
			if rest != "" || !Clean(line) {
				t.Errorf("%+q", out.String())
			}
			if strings.Contains(line, `\n`) || !strings.Contains(line, "7") {
				t.Errorf("%s", line)
			}
		})
	}
}

func TestArgsKeepWhatIsNoText(t *testing.T) {
	got := fmt.Sprintf("%d %v %s %s %v %6.1f|%-4s|", Args([]any{3, nil, word("a\nb"), errors.New("c\x1bd"), 90 * time.Second, 2.5, "é\t"})...)
	if want := "3 <nil> a b c\ufffdd 1m30s    2.5|é   |"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestALabelOfOursOccursOnlyWhereItWasWritten(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Next": "Next", "no label": "no label",
		"Next step: x, NEXT STEP:y": "Next step\ufffd x, NEXT STEP\ufffdy",
		"xNext step:":               "xNext step\ufffd",
		"Next steNext step:é":       "Next steNext step\ufffdé",
	} {
		if got := Break(in, "Next step:"); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\nb\u202e\x1b\xff", 3)
	f.Add("e\u0301\u0302", 1)
	f.Fuzz(func(t *testing.T, s string, max int) {
		if max > 1<<20 {
			max = 1 << 20
		}
		line := Line(s, max)
		check(t, line, max)
		if again := Line(line, max); again != line {
			t.Errorf("a line of a line differs: %+q, %+q", line, again)
		}
		check(t, Quote(s, max), max)
		check(t, Word(s, max), max)
	})
}

func TestCleanTextCostsNothing(t *testing.T) {
	for _, s := range []string{"Replication is broken on imp-apac-sub.example.com", "Jürgen in Ærøskøbing"} {
		if n := testing.AllocsPerRun(100, func() { Line(s, 200) }); n > 0 {
			t.Errorf("%q: %v allocations", s, n)
		}
	}
}

func BenchmarkLineClean(b *testing.B) {
	const s = "apac's users are not all on emea: 3 are missing (alice, bob, carol); the last sync ended 12 min ago"
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		Line(s, 1000)
	}
}

func BenchmarkLineDirty(b *testing.B) {
	const s = "apac's users are not all on emea:\n3 are missing (al\u200bice, bob, carol)\x1b; the last sync ended 12 min ago"
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		Line(s, 1000)
	}
}
