package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// A list in a sentence grows with what a cluster sends, or with the mesh: ten
// are named and the rest is counted, by plain.List and its kin. joins are the
// functions that join by a comma or a semicolon themselves, and why they may.
var joins = map[string]string{
	"shared/certificate.differences":    "six parts at most, each with lists of its own",
	"shared/certificate.importOf":       "what a policy asks for: three parts at most",
	"shared/certcheck.tooLong":          "the names of our own bounds",
	"shared/certcheck.whyOpen":          "one part for each DNS server in mesh.yaml",
	"shared/stucksync.local":            "two clusters",
	"shared/stucksync.blockers":         "one part for each guard",
	"shared/cluster.boundFact":          "the names of our own bounds",
	"shared/cluster.mapTable":           "SQL",
	"shared/cluster.SQL":                "SQL",
	"shared/cluster.inSQL":              "SQL",
	"shared/cluster.YAML":               "a file, not a sentence",
	"shared/tlsprobe.someOf":            "six names, and how many there are",
	"shared/host.Handle":                "the functions of a host",
	"shared/listener.Misdirected":       "what --host names",
	"shared/listener.prepare":           "three flags",
	"shared/mesh.String":                "the days of a week",
	"shared/yamlfile.Object":            "the keys of our own format",
	"shared/dashboard.facts":            "what a line of the page is made of",
	"functions/peerkeeper.inWords":      "the counts of one answer",
	"functions/peerkeeper.Run":          "what a person has just decided",
	"shared/yamlfile.OneOf":             "the words of our own format",
	"shared/dashboard.countWords":       "the states",
	"functions/peerkeeper.fishScript":   "a script, not a sentence",
	"functions/peerkeeper.watch":        "what --host names",
	"functions/peerkeeper.checkSecrets": "a person has to add each of them",
	"shared/lambdahost.Error":           "the variables of a function",
	"shared/secret/file.Error":          "the keys of one secret",
	"shared/store/dynamo.Error":         "the attributes of one item",
}

// lists is the rule: sentences list by plain.
func lists(p *pkg) []string {
	if p.dir == everywhere || fits("shared/clustersim/...", p.dir) || p.dir == "shared/clustersim" || fits("infra/...", p.dir) || p.dir == "infra" {
		return nil
	}
	var out []string
	for name, f := range p.files {
		imported := importNames(f)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			key := path.Clean(p.dir) + "." + fn.Name.Name
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 2 {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "Join" {
					return true
				}
				x, ok := sel.X.(*ast.Ident)
				sep, lit := call.Args[1].(*ast.BasicLit)
				if !ok || imported[x.Name] != "strings" || !lit || !strings.ContainsAny(sep.Value, ",;") {
					return true
				}
				if joins[key] == "" {
					out = append(out, fmt.Sprintf("%s:%d: %s joins a list without a bound: plain.List names ten and counts the rest", name, p.fset.Position(n.Pos()).Line, key))
				}
				return true
			})
		}
	}
	slices.Sort(out)
	return out
}

func TestSentencesListTenAndCountTheRest(t *testing.T) {
	for _, p := range repository(t) {
		for _, said := range lists(p) {
			t.Error(said)
		}
	}
	catches(t, lists, "shared/x", map[string]string{
		"by commas":     "package x\nimport \"strings\"\nfunc f(a []string) string { return strings.Join(a, \", \") }\n",
		"by semicolons": "package x\nimport s \"strings\"\nfunc f(a []string) string { return s.Join(a, \"; \") }\n",
	}, "package x\nimport \"strings\"\nfunc f(a []string) string { return strings.Join(a, \" \") }\n")
}

// former are words that nobody uses any more, and what stands for them. A reader
// at night reads every sentence once.
var former = map[string]string{
	"anew": "again", "ails": "is wrong with", "lest": "or, so that", "whoever": "who, the one who, those who", "whomever": "the one whom",
}

// spoken is the rule: what is written, for people or beside code, is present-day
// English.
func spoken(p *pkg) []string {
	var out []string
	for name, f := range p.files {
		check := func(at token.Pos, text string) {
			for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
				if instead := former[word]; instead != "" {
					out = append(out, fmt.Sprintf("%s:%d: %q: say %s", name, p.fset.Position(at).Line, word, instead))
				}
			}
		}
		for _, c := range f.Comments {
			check(c.Pos(), c.Text())
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && p.dir != "shared/archtest" {
				check(lit.Pos(), lit.Value)
			}
			return true
		})
	}
	slices.Sort(out)
	return out
}

func TestWordsAreSpokenToday(t *testing.T) {
	for _, p := range repository(t) {
		for _, said := range spoken(p) {
			t.Error(said)
		}
	}
	catches(t, spoken, "shared/x", map[string]string{
		"in a comment":  "// Package x begins anew.\npackage x\n",
		"in a sentence": "package x\nconst a = \"ask whoever runs it\"\n",
	}, "// Package x begins again.\npackage x\nconst a = \"ask those who run it; at least, renew\"\n")
}

// menuPath is a way through Cisco's pages, or what leads on from one.
var menuPath = regexp.MustCompile(`(^|\b[A-Z][\w-]*|\}|\bpage) > [A-Z{]`)

// menus is the rule: the ways through Cisco's pages stand in procedure, so that
// one step is called alike wherever it is told. The simulator shares nothing.
func menus(p *pkg) []string {
	if p.dir == "shared/procedure" || fits("shared/clustersim/...", p.dir) {
		return nil
	}
	var out []string
	for name, f := range p.files {
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil && menuPath.MatchString(text) {
				out = append(out, fmt.Sprintf("%s:%d: a way through Cisco's pages: procedure names the page", name, p.fset.Position(lit.Pos()).Line))
			}
			return true
		})
	}
	slices.Sort(out)
	return out
}

func TestMenusStandInProcedure(t *testing.T) {
	for _, p := range repository(t) {
		for _, said := range menus(p) {
			t.Error(said)
		}
	}
	catches(t, menus, "shared/x", map[string]string{
		"two menus":        "package x\nconst a = \"fall back in System > Presence Redundancy Groups\"\n",
		"what leads on":    "package x\nconst a = page + \" > Generate CSR\"\n",
		"a place to fill":  "package x\nconst a = \"certificate page > {store}: delete it\"\n",
		"below that place": "package x\nconst a = \"{page} > Upload\"\n",
	}, "package x\nconst a = \"SELECT pkid FROM enduser WHERE pkid > {after}\"\n")
}
