package archtest

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "peerkeeper"

// pkg is one package as its source says it, tests apart.
type pkg struct {
	dir     string // below the module's root, with slashes
	name    string
	fset    *token.FileSet
	files   map[string]*ast.File // not tests, by file name
	tests   map[string]*ast.File
	imports []string // of the files that are not tests
}

// source parses packages from texts: file path to content.
func source(files map[string]string) ([]*pkg, error) {
	byDir := map[string]*pkg{}
	for _, name := range sortedKeys(files) {
		dir := path.Dir(name)
		p := byDir[dir]
		if p == nil {
			p = &pkg{dir: dir, fset: token.NewFileSet(), files: map[string]*ast.File{}, tests: map[string]*ast.File{}}
			byDir[dir] = p
		}
		f, err := parser.ParseFile(p.fset, name, files[name], parser.ParseComments)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(name, "_test.go") {
			p.tests[name] = f
			continue
		}
		p.name = f.Name.Name
		p.files[name] = f
		for _, spec := range f.Imports {
			text, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(p.imports, text) {
				p.imports = append(p.imports, text)
			}
		}
	}
	var out []*pkg
	for _, dir := range sortedKeys(byDir) {
		out = append(out, byDir[dir])
	}
	return out, nil
}

// repository parses the module that this test stands in.
func repository(t *testing.T) []*pkg {
	t.Helper()
	files := map[string]string{}
	top := root(t)
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		switch {
		// Others may be writing files at this very moment.
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		if d.IsDir() {
			base := d.Name()
			// What a package keeps as its test data is not ours to judge.
			data := base == "testdata" && filepath.Dir(name) != top
			if name != top && (data || strings.HasPrefix(base, ".") || base == "node_modules" || base == "cdk.out" || base == "dist") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, name)
		files[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pkgs, err := source(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 10 {
		t.Fatalf("only %d packages found below %s", len(pkgs), top)
	}
	return pkgs
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("there is no go.mod above this test")
		}
		dir = up
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// one parses one package from the text of a file.
func one(t *testing.T, dir, text string) *pkg {
	t.Helper()
	pkgs, err := source(map[string]string{dir + "/x.go": text})
	if err != nil {
		t.Fatal(err)
	}
	return pkgs[0]
}

// catches fails the test unless offence is found wanting and innocence is not:
// a rule that cannot fail is none.
func catches(t *testing.T, rule func(*pkg) []string, dir string, offences map[string]string, innocent string) {
	t.Helper()
	for name, text := range offences {
		if len(rule(one(t, dir, text))) == 0 {
			t.Errorf("the rule does not catch: %s", name)
		}
	}
	if said := rule(one(t, dir, innocent)); len(said) > 0 {
		t.Errorf("the rule catches the innocent: %v", said)
	}
}
