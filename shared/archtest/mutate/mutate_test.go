package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module writes a module of one package and goes there.
func module(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	files["go.mod"] = "module tried\n\ngo 1.26\n"
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const late = `package due

func Late(days int) bool {
	return days > 30
}

func Name(first, last string) string { return first + " " + last }
`

func TestATestThatCannotFailIsNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		test string
		want []string
		ok   bool
	}{
		"nothing is checked": {
			`func TestLate(t *testing.T) { Late(31) }`,
			[]string{"due/due.go:4: > becomes >=", "due/due.go:4: > becomes <=", "0 of 2 changes noticed"}, false,
		},
		"the boundary is not": {
			`func TestLate(t *testing.T) { if !Late(31) || Late(29) { t.Fatal() } }`,
			[]string{"due/due.go:4: > becomes >=", "1 of 2 changes noticed"}, false,
		},
		"all is": {
			`func TestLate(t *testing.T) { if !Late(31) || Late(30) { t.Fatal() } }`,
			[]string{"2 of 2 changes noticed, 100 %"}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			module(t, map[string]string{"due/due.go": late, "due/due_test.go": "package due\n\nimport \"testing\"\n\n" + tt.test + "\n"})
			var out strings.Builder
			err := command(t.Context(), []string{"-n", "0", "./due"}, &out)
			if (err == nil) != tt.ok {
				t.Errorf("error %v, want none: %v", err, tt.ok)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, out.String())
				}
			}
		})
	}
}

func TestMutateSaysWhatIsWrong(t *testing.T) {
	module(t, map[string]string{"due/due.go": late, "due/due_test.go": "package due\n\nimport \"testing\"\n\nfunc TestLate(t *testing.T) { t.Fatal() }\n"})
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "of which packages?"},
		{[]string{"./absent"}, "nothing to change in ./absent"},
		{[]string{"./due"}, "./due fails without any change"},
	} {
		if err := command(t.Context(), tt.args, &strings.Builder{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("mutate %v: %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestTheSameSeedDrawsTheSame(t *testing.T) {
	module(t, map[string]string{"due/due.go": late})
	all, err := mutants("due")
	if err != nil {
		t.Fatal(err)
	}
	a, b := draw(all, 1, 3), draw(all, 1, 3)
	if len(a) != 1 || a[0] != b[0] {
		t.Errorf("drew %v, and then %v", a, b)
	}
}
