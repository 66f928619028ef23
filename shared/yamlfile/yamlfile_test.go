//go:build !lambda.norpc

package yamlfile

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// menu is a format for tests: it takes what a mesh.yaml takes.
var menu = Format{
	Holds: "menu", Begin: "soup: NAME", MaxBytes: 1 << 20, Aliases: true,
	Honest:         Size{What: "a menu of a week", KiB: 3, Lines: 80, Words: 400},
	InsteadOfMerge: "write the keys out",
}

// plainly is one that takes what an environment takes.
var plainly = Format{
	Holds: "menu", Begin: "soup: NAME", MaxBytes: 1 << 10, EmptyIsAbsent: true, NumbersAreText: true,
	Honest: menu.Honest, InsteadOfMerge: "write the keys out",
}

func TestTooLarge(t *testing.T) {
	var indented strings.Builder
	for i := range 900 {
		indented.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	bomb := "a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n"
	tests := []struct{ name, data, want string }{
		{"more bytes than the format takes", strings.Repeat("a", menu.MaxBytes+1), "menu.yaml: the file is larger than 1024 KiB: a menu of a week takes some 3 KiB: is this the right file?"},
		{"many keys", strings.Repeat("a: b\n", maxTokens/3+1), "menu.yaml:6667: the file has more than 20000 words and signs: a menu of a week has some 400: is this the right file?"},
		{"many lines", strings.Repeat("#\n", maxLines+1), "menu.yaml:10001: the file has more than 10000 lines: a menu of a week has some 80: is this the right file?"},
		{"aliases of aliases", bomb, "with its aliases written out the file has more than 20000 values: write the values out where they belong"},
		{"dashes on one line", strings.Repeat("- ", 1000) + "a", "menu.yaml:1: nested deeper than 12 levels"},
		{"brackets", strings.Repeat("[", menu.MaxBytes-1), "menu.yaml:1: nested deeper than 12 levels"},
		{"braces never closed", strings.Repeat("{a: ", 5000), "menu.yaml:1: nested deeper than 12 levels"},
		{"indented keys", indented.String(), "nested deeper than 12 levels"},
		{"question marks", strings.Repeat("? ", 10_000), "menu.yaml:1: YAML's ? keys are not used here: write key: value"},
		{"empty lines in a text", "a: |\n" + strings.Repeat("\n", 500_000), "menu.yaml:10001: the file has more than 10000 lines"},
		{"a text and empty lines", "a: |\n " + strings.Repeat("x", 500_000) + strings.Repeat("\n", 9_000), "menu.yaml: 8999 empty lines in a file of 497 KiB: remove the empty lines"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			rep := NewReport("menu.yaml")
			if _, ok := menu.Parse(rep, "menu.yaml", "", []byte(tc.data)); ok {
				t.Error("it is read")
			}
			if err := rep.Err(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestWhatAFormatTakes(t *testing.T) {
	for _, tc := range []struct {
		name, data string
		format     Format
		want       []string
		soup       string
	}{
		{"an alias where there may be one", "chef: &a Ann\nsoup: *a\n", menu, nil, "Ann"},
		{"an alias where there may be none", "chef: &a Ann\nsoup: *a\n", plainly, []string{"menu.yaml:1: YAML's & is not used here: write the value out"}, ""},
		{"a merge key", "<<: {soup: leek}\nsoup: leek\n", plainly, []string{"menu.yaml:1: YAML's merge key << is not used here: write the keys out"}, "leek"},
		{"no value is a fault", "soup:\n", menu, []string{"menu.yaml:1: soup: has no value: write text or remove the key"}, ""},
		{"no value is no key, which must be there", "\nsoup:\n", plainly, []string{"menu.yaml:2: soup: is missing"}, ""},
		{"no key", "chef: Ann\n", plainly, []string{"menu.yaml:1: soup: is missing"}, ""},
		{"a misspelt key is one fault", "chef: Ann\nsuop: leek\n", plainly, []string{"menu.yaml:2: suop: unknown key: did you mean soup?"}, ""},
		{"a number is a fault", "soup: 0147\n", menu, []string{`menu.yaml:1: soup: is a number, not text: put it in quotes: "0147"`}, ""},
		{"a number is the text that it is written as", "soup: 0147\n", plainly, nil, "0147"},
		{"true is no text in either", "soup: true\n", plainly, []string{`menu.yaml:1: soup: is true or false, not text: put it in quotes: "true"`}, ""},
		{"two documents", "soup: leek\n---\nsoup: pea\n", plainly, []string{"menu.yaml:2: a second YAML document begins here: one file holds one menu: remove the line ---, or put what follows into a file of its own"}, ""},
		{"nothing", "# closed\n", plainly, []string{"menu.yaml:1: the file is empty: begin with soup: NAME"}, ""},
		{"several, in the file's order", "chef: [Ann]\nsoup: a\nsoup: b\ntable: 2\n", plainly, []string{
			"menu.yaml:1: chef: is a list, not text: write one value",
			"menu.yaml:3: soup: the key stands twice, first on line 2: keep one of them",
			"menu.yaml:4: table: unknown key: allowed here: chef, soup"}, "a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rep := NewReport("menu.yaml")
			var soup string
			if root, ok := tc.format.Parse(rep, "menu.yaml", "", []byte(tc.data)); ok {
				f := root.Fields("chef", "soup!")
				f["chef"].Text()
				soup, _ = f["soup"].Text()
			}
			var got []string
			if err := rep.Err(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			if soup != tc.soup {
				t.Errorf("soup is %q, want %q", soup, tc.soup)
			}
		})
	}
}

// TestPlaces: a fault of what was made of a value is that value's, with its path
// in its own file.
func TestPlaces(t *testing.T) {
	rep := NewReport("menu.yaml")
	root, ok := menu.Parse(rep, "menu.yaml", "", []byte("shared:\n  soup: leek\ndays: [{}, {chef: Ann}]\nwine: cellar.yaml\n"))
	if !ok {
		t.Fatal(rep.Err())
	}
	f := root.Fields("shared", "days", "wine")
	f["shared"].Fields("soup")
	for _, day := range f["days"].Items() {
		day.Fields("chef", "soup")
		rep.Place(Child(day.Path, "soup"), "shared.soup")
	}
	if inner, ok := menu.Parse(rep, "cellar.yaml", "wine", []byte("\nred: [a]\n")); ok {
		inner.Fields("red")["red"].Items()[0].Fail("is out", "")
	}
	rep.Blame("days[0].soup", "is cold", "heat it")
	rep.Blame("days[0].soup", "is cold", "heat it")
	rep.Blame("days[1].cook", "is away", "")
	if rep.Line("days[1].chef") != 3 || rep.Line("days[1].cook") != 0 || !rep.Spoiled("days[0].soup") || !rep.SpoiledBelow("days") {
		t.Error("where and what was refused is not known")
	}
	want := "menu.yaml:2: shared.soup: is cold: heat it\nmenu.yaml:3: days[1].cook: is away\ncellar.yaml:2: red[0]: is out"
	if err := rep.Err(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// FuzzParse: no text makes the reader panic, and what is refused is refused with
// a word.
func FuzzParse(f *testing.F) {
	f.Add("soup: leek\n", true)
	f.Add("a: &a [*a]\n? b\n: |\n  c\n", true)
	f.Add("- a\n---\n- b", false)
	f.Add("a:\n  - {b: 1, b: 2}\n  - ~\n<<: *x\n", false)
	f.Fuzz(func(t *testing.T, text string, aliases bool) {
		format := plainly
		if aliases {
			format = menu
		}
		rep := NewReport("menu.yaml")
		root, ok := format.Parse(rep, "menu.yaml", "", []byte(text))
		var all Errors
		if err := rep.Err(); !ok && (!errors.As(err, &all) || len(all) == 0) {
			t.Errorf("refused without a word: %v", err)
		}
		for depth := 0; ok && depth < 3 && root.Kind() == Mapping; depth++ {
			var next Value
			for name, v := range root.Pairs() {
				if next = v; rep.Line(v.Path) == 0 {
					t.Errorf("%q stands nowhere", name)
				}
				v.Text()
				v.Items()
				v.Int()
				v.Bool()
			}
			root = next
		}
	})
}
