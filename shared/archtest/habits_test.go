package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// documented is the rule: every package says what it is.
func documented(p *pkg) []string {
	if len(p.files) == 0 {
		return nil
	}
	want := []string{"Package " + p.name + " "}
	if p.name == "main" {
		name := path.Base(p.dir)
		want = []string{"Command " + name + " ", strings.ToUpper(name[:1]) + name[1:] + " "} // as godoc has it
	}
	for _, f := range p.files {
		if f.Doc != nil && slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(f.Doc.Text(), w) }) {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s has no doc comment that begins with %q", p.dir, want[0])}
}

func TestPackagesAreDocumented(t *testing.T) {
	for _, p := range repository(t) {
		for _, said := range documented(p) {
			t.Error(said)
		}
	}
	catches(t, documented, "shared/alarm", map[string]string{
		"no comment":          "package alarm\n",
		"comment set apart":   "// Package alarm raises alarms.\n\npackage alarm\n",
		"another one's":       "// Package notice raises alarms.\npackage alarm\n",
		"only of a licence":   "// Copyright\npackage alarm\n",
		"command undescribed": "// Package main is a command.\npackage main\n",
	}, "// Package alarm raises alarms.\npackage alarm\n")
}

// vague are names that say nothing of what is inside.
var vague = [...]string{"util", "utils", "common", "helper", "helpers", "types", "models", "model", "misc", "base", "shared", "lib", "pkg", "core", "internal", "cmd"}

func named(std []string) func(*pkg) []string {
	return func(p *pkg) []string {
		name := p.name
		switch {
		case name == "" || name == "main":
			return nil
		case slices.Contains(vague[:], name):
			return []string{fmt.Sprintf("%s: the name %s says nothing", p.dir, name)}
		case slices.Contains(std, name):
			return []string{fmt.Sprintf("%s: %s is a package of the standard library", p.dir, name)}
		case name != path.Base(p.dir):
			return []string{fmt.Sprintf("%s: the package is called %s", p.dir, name)}
		case strings.ContainsAny(name, "_") || strings.ToLower(name) != name:
			return []string{fmt.Sprintf("%s: a package's name is one lower-case word", p.dir)}
		}
		return nil
	}
}

// standardNames asks Go for the names of its own packages.
func standardNames(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "std").Output()
	if err != nil {
		t.Fatalf("go list std: %v", err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if !strings.Contains(line, "internal") && !strings.HasPrefix(line, "vendor/") {
			names = append(names, path.Base(line))
		}
	}
	return names
}

func TestPackagesAreNamed(t *testing.T) {
	rule := named(standardNames(t))
	for _, p := range repository(t) {
		for _, said := range rule(p) {
			t.Error(said)
		}
	}
	for dir, text := range map[string]string{
		"shared/util": "package util", "shared/helpers": "package helpers", "shared/types": "package types",
		"shared/json": "package json", "shared/context": "package context", "shared/alarm": "package alarms", "shared/my_alarm": "package my_alarm",
	} {
		if len(rule(one(t, dir, text))) == 0 {
			t.Errorf("the rule does not catch %s in %s", text, dir)
		}
	}
	if said := rule(one(t, "shared/host", "package host")); len(said) > 0 {
		t.Error(said)
	}
}

// habits is the rule on what stops a review, for code that is not a test.
func habits(p *pkg) []string {
	var out []string
	globals := packageVars(p)
	for name, f := range p.files {
		at := func(n ast.Node, what string) {
			out = append(out, fmt.Sprintf("%s:%d: %s", name, p.fset.Position(n.Pos()).Line, what))
		}
		imported := importNames(f)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			inMain := ok && p.name == "main" && fn.Recv == nil && fn.Name.Name == "main"
			if ok && fn.Recv == nil && fn.Name.Name == "init" {
				at(fn, "init(): wiring nobody sees; build values where they are used")
			}
			ast.Inspect(d, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				x, ok := sel.X.(*ast.Ident)
				if !ok || x.Obj != nil { // a variable, not a package
					return true
				}
				switch use := imported[x.Name] + "." + sel.Sel.Name; {
				case forbidden[use] != "" && !(inMain && allowedInMain[use]):
					at(n, use+": "+forbidden[use])
				case strings.HasPrefix(use, "log.Fatal") || strings.HasPrefix(use, "log.Panic"):
					at(n, use+": only main may exit")
				}
				return true
			})
		}
		for _, n := range assigned(f, globals) {
			at(n, "a package-level var changes: pass the value, or keep it in a struct")
		}
	}
	slices.Sort(out)
	return out
}

// forbidden are uses of other packages, with the reason.
var forbidden = map[string]string{
	"os.Exit":                       "only main may exit",
	"time.Sleep":                    "wait on a timer and the context",
	"context.Background":            "below main a context comes from the caller",
	"context.TODO":                  "a context comes from the caller",
	"net/http.DefaultClient":        "it follows redirects, has no deadline and is everybody's",
	"net/http.DefaultTransport":     "it is everybody's",
	"net/http.DefaultServeMux":      "it is everybody's",
	"net/http.Get":                  "http.DefaultClient in disguise",
	"net/http.Post":                 "http.DefaultClient in disguise",
	"net/http.PostForm":             "http.DefaultClient in disguise",
	"net/http.Head":                 "http.DefaultClient in disguise",
	"net/http.ListenAndServe":       "no deadlines, and it cannot be ended",
	"net/http.Handle":               "http.DefaultServeMux in disguise",
	"net/http.HandleFunc":           "http.DefaultServeMux in disguise",
	"log/slog.SetDefault":           "a package-level var that changes",
	"math/rand.Seed":                "a package-level var that changes",
	"crypto/tls.InsecureSkipVerify": "verify",
	grantPrivilege:                  "only main says who may sign users out",
}

const grantPrivilege = module + "/shared/repair.GrantPrivilege"

var allowedInMain = map[string]bool{"os.Exit": true, "context.Background": true, grantPrivilege: true}

func importNames(f *ast.File) map[string]string {
	out := map[string]string{}
	for _, spec := range f.Imports {
		text := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(text)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		out[name] = text
	}
	return out
}

func packageVars(p *pkg) map[string]bool {
	out := map[string]bool{}
	for _, f := range p.files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				for _, id := range s.(*ast.ValueSpec).Names {
					if id.Name != "_" {
						out[id.Name] = true
					}
				}
			}
		}
	}
	return out
}

// assigned finds where a package-level var, an element or a field of one is
// written, or its address is taken so that it might be.
func assigned(f *ast.File, globals map[string]bool) []ast.Node {
	topLevel := func(id *ast.Ident) bool {
		if !globals[id.Name] {
			return false
		}
		if id.Obj == nil {
			return true // declared in another file of the package
		}
		spec, ok := id.Obj.Decl.(*ast.ValueSpec)
		if !ok {
			return false
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && slices.Contains(g.Specs, ast.Spec(spec)) {
				return true
			}
		}
		return false
	}
	var base func(e ast.Expr) *ast.Ident
	base = func(e ast.Expr) *ast.Ident {
		switch e := e.(type) {
		case *ast.Ident:
			return e
		case *ast.IndexExpr:
			return base(e.X)
		case *ast.SelectorExpr:
			return base(e.X)
		case *ast.ParenExpr:
			return base(e.X)
		case *ast.StarExpr:
			return base(e.X)
		}
		return nil
	}
	var out []ast.Node
	check := func(n ast.Node, e ast.Expr) {
		if id := base(e); id != nil && topLevel(id) {
			out = append(out, n)
		}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						check(n, e)
					}
				}
			case *ast.IncDecStmt:
				check(n, n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					check(n, n.X)
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && id.Obj == nil && len(n.Args) > 0 {
					check(n, n.Args[0])
				}
			}
			return true
		})
	}
	return out
}

func TestHabits(t *testing.T) {
	for _, p := range repository(t) {
		for _, said := range habits(p) {
			t.Error(said)
		}
	}
	in := func(imports, body string) string {
		return "package x\nimport (\n" + imports + "\n)\n" + body
	}
	catches(t, habits, "shared/x", map[string]string{
		"init":                         "package x\nfunc init() {}\n",
		"os.Exit":                      in(`"os"`, "func f() { os.Exit(1) }"),
		"os.Exit under another name":   in(`system "os"`, "func f() { system.Exit(1) }"),
		"log.Fatal":                    in(`"log"`, "func f() { log.Fatalf(\"x\") }"),
		"time.Sleep":                   in(`"time"`, "func f() { time.Sleep(1) }"),
		"time.Sleep as a value":        in(`"time"`, "var sleep = time.Sleep"),
		"context.Background":           in(`"context"`, "func f() { _ = context.Background() }"),
		"http.DefaultClient":           in(`"net/http"`, "func f() { _ = http.DefaultClient }"),
		"http.Get":                     in(`"net/http"`, "func f() { http.Get(\"\") }"),
		"a privilege taken":            in(`"peerkeeper/shared/repair"`, "func f() { _ = repair.GrantPrivilege() }"),
		"slog.SetDefault":              in(`"log/slog"`, "func f() { slog.SetDefault(nil) }"),
		"var set":                      "package x\nvar n int\nfunc f() { n = 1 }\n",
		"var counted":                  "package x\nvar n int\nfunc f() { n++ }\n",
		"map written":                  "package x\nvar m = map[string]int{}\nfunc f() { m[\"a\"] = 1 }\n",
		"map emptied":                  "package x\nvar m = map[string]int{}\nfunc f() { delete(m, \"a\") }\n",
		"field written":                "package x\nvar s struct{ n int }\nfunc f() { s.n = 1 }\n",
		"address taken":                "package x\nvar n int\nfunc f() *int { return &n }\n",
		"Background in main's helpers": in(`"context"`, "func g() { _ = context.Background() }"),
	}, in(`"errors"`, `
var ErrGone = errors.New("gone")
var table = [...]string{"a"}
var _ = table
func f() (n int) {
	table := []string{"b"}
	table[0] = "c"
	n = 1
	return n
}`))
	grants := "package main\nimport \"peerkeeper/shared/repair\"\nfunc main() { _ = repair.GrantPrivilege() }\n"
	if said := habits(one(t, "functions/x", grants)); len(said) > 0 {
		t.Errorf("main may hand out a privilege: %v", said)
	}
	main := "package main\nimport (\"context\"; \"os\")\nfunc main() { _ = context.Background(); os.Exit(0) }\n"
	if said := habits(one(t, "functions/x", main)); len(said) > 0 {
		t.Errorf("main may exit: %v", said)
	}
	if said := habits(one(t, "functions/x", strings.Replace(main, "func main", "func run", 1))); len(said) != 2 {
		t.Errorf("only main may exit: %v", said)
	}
	// A var of another file of the same package.
	two, err := source(map[string]string{"shared/x/a.go": "package x\nvar n int\n", "shared/x/b.go": "package x\nfunc f() { n = 1 }\n"})
	if err != nil {
		t.Fatal(err)
	}
	if len(habits(two[0])) == 0 {
		t.Error("the rule does not catch a var that another file changes")
	}
}

// allowed at the top of the repository; dot entries are free.
var allowed = [...]string{"functions", "infra", "shared", "events", "testdata", "go.mod", "go.sum", "cdk.json", "Makefile", "README.md", "LICENSE"}

// layout is the rule on the repository's top and on shared's.
func layout(files []string) []string {
	var out []string
	for _, name := range files {
		top, rest, _ := strings.Cut(name, "/")
		switch {
		case strings.HasPrefix(top, "."):
		case !slices.Contains(allowed[:], top):
			out = append(out, top+" has no place at the top")
		case top == "shared" && rest != "" && !strings.Contains(rest, "/"):
			out = append(out, name+": shared holds packages, no files")
		case top == "functions" && strings.Count(rest, "/") == 0:
			out = append(out, name+": functions holds one folder per function")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestLayout(t *testing.T) {
	for _, said := range layout(tracked(t)) {
		t.Error(said)
	}
	for _, bad := range []string{"cmd/x/main.go", "pkg/x.go", "internal/x/x.go", "docs/x.md", "main.go", "shared/x.go", "functions/main.go"} {
		if len(layout([]string{bad})) != 1 {
			t.Errorf("the rule does not catch %s", bad)
		}
	}
	if said := layout([]string{".ci/run", "shared/mesh/mesh.go", "functions/peersync/main.go", "go.mod"}); len(said) > 0 {
		t.Errorf("the rule catches the innocent: %v", said)
	}
}

// tracked lists the files that git would keep; without git, what is there.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err == nil {
		return strings.Fields(string(out))
	}
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name()+strings.Repeat("/x/x", map[bool]int{true: 1}[e.IsDir()]))
	}
	return names
}
