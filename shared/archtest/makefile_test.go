package archtest

import (
	"go/ast"
	"os"
	"slices"
	"strings"
	"testing"
)

// The Makefile names tests that run without the race detector: each is there, in a
// package that it names, or it would run nowhere.
func TestLargeTestsRunWhereTheMakefileSays(t *testing.T) {
	b, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, "=")
		set[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	missing, in := strings.Split(set["LARGE"], "|"), strings.Fields(set["LARGEIN"])
	for _, p := range repository(t) {
		for _, f := range p.tests {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && slices.Contains(in, "./"+p.dir) {
					missing = slices.DeleteFunc(missing, func(name string) bool { return name == fn.Name.Name })
				}
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("none of %q has a test %q", in, missing)
	}
}
