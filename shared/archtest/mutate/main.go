// Mutate shows whether tests can fail: it changes one place of a package at a
// time, runs that package's own tests against the change, and lists the
// changes that no test noticed.
//
//	go run ./shared/archtest/mutate -n 20 -seed 1 ./shared/peer ./shared/repair
//
// Nothing in the tree is written: each change is laid over the source for one
// test run. The same seed over the same source draws the same changes. A
// survivor is either a missing test or a change that means nothing; which of
// the two is for a person to say.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

// command mutates each package named. It is an error if fewer of the changes
// are noticed than asked for.
func command(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	n := flags.Int("n", 20, "how many changes are drawn in each package; 0 for every one")
	seed := flags.Uint64("seed", 1, "which are drawn")
	least := flags.Float64("least", 90, "the percentage that must be noticed")
	limit := flags.Duration("timeout", 2*time.Minute, "a test run that takes longer has noticed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("of which packages? mutate ./shared/peer ./shared/repair")
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tried, noticed := 0, 0
	for _, pkg := range flags.Args() {
		all, err := mutants(pkg)
		if err != nil {
			return err
		}
		drawn := draw(all, *n, *seed)
		if err := run(ctx, pkg, "", *limit); err != nil {
			return fmt.Errorf("%s fails without any change: %w", pkg, err)
		}
		caught, built := 0, 0
		for _, m := range drawn {
			err := m.test(ctx, dir, pkg, *limit)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, errNotBuilt):
				continue
			case err == nil:
				fmt.Fprintf(out, "survived: %s\n", m)
			case errors.Is(err, errFailed):
				caught++
			default:
				return err
			}
			built++
		}
		fmt.Fprintf(out, "%s: %d of %d changes noticed (of %d)\n", pkg, caught, built, len(all))
		tried, noticed = tried+built, noticed+caught
	}
	share := 100 * float64(noticed) / float64(max(1, tried))
	fmt.Fprintf(out, "%d of %d changes noticed, %.0f %%\n", noticed, tried, share)
	if share < *least {
		return fmt.Errorf("less than %.0f %% were noticed", *least)
	}
	return nil
}

// mutant is one change of one file: the bytes from start to end are replaced.
type mutant struct {
	file       string
	line       int
	start, end int
	with       string
	what       string
}

func (m mutant) String() string { return fmt.Sprintf("%s:%d: %s", m.file, m.line, m.what) }

// Why a test run is no success.
var (
	errNotBuilt = errors.New("it does not compile")
	errFailed   = errors.New("a test fails")
)

// test runs the package's tests with the change: nil if none notices,
// errNotBuilt, errFailed (also where the tests hang), or another error if
// nothing could be run.
func (m mutant) test(ctx context.Context, dir, pkg string, limit time.Duration) error {
	src, err := os.ReadFile(m.file)
	if err != nil {
		return err
	}
	changed := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(changed, slices.Concat(src[:m.start], []byte(m.with), src[m.end:]), 0o600); err != nil {
		return err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return err
	}
	return run(ctx, pkg, overlay, limit)
}

// run runs the package's tests; an error carries what they print.
func run(ctx context.Context, pkg, overlay string, limit time.Duration) error {
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout=" + limit.String()}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	said, err := exec.CommandContext(ctx, "go", append(args, pkg)...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return err
	case bytes.Contains(said, []byte("[build failed]")):
		return errNotBuilt
	}
	return fmt.Errorf("%w: %s", errFailed, bytes.TrimSpace(said))
}

// draw takes n of the changes, the same ones for the same seed; 0 takes all.
func draw(all []mutant, n int, seed uint64) []mutant {
	if n <= 0 || n >= len(all) {
		return all
	}
	out := slices.Clone(all)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	out = out[:n]
	slices.SortFunc(out, func(a, b mutant) int {
		return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.start, b.start))
	})
	return out
}

// mutants lists every change that can be made to a package's code, tests apart.
func mutants(pkg string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(pkg, "*.go"))
	if err != nil {
		return nil, err
	}
	var out []mutant
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, src, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			for _, m := range changes(fset, src, n) {
				m.file = file
				out = append(out, m)
			}
			return true
		})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("nothing to change in %s", pkg)
	}
	return out, nil
}

// swapped are the operators that are put in another's place: the boundary and
// the opposite of a comparison, the other of two connectives or signs.
var swapped = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL},
}

// changes are those that begin at one node of the source.
func changes(fset *token.FileSet, src []byte, n ast.Node) []mutant {
	at := func(pos, end token.Pos, with, what string) mutant {
		p := fset.Position(pos)
		return mutant{line: p.Line, start: p.Offset, end: fset.Position(end).Offset, with: with, what: what}
	}
	var out []mutant
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if text(n.X) || text(n.Y) {
			return nil // + joins texts, and - does not compile
		}
		for _, to := range swapped[n.Op] {
			out = append(out, at(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), to.String(), n.Op.String()+" becomes "+to.String()))
		}
	case *ast.IfStmt:
		cond := string(src[fset.Position(n.Cond.Pos()).Offset:fset.Position(n.Cond.End()).Offset])
		out = append(out,
			at(n.Cond.Pos(), n.Cond.End(), "false && ("+cond+")", "the branch is never taken"),
			at(n.Cond.Pos(), n.Cond.End(), "true || ("+cond+")", "the branch is always taken"))
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			out = append(out, at(n.OpPos, n.OpPos+1, "", "! is left out"))
		}
	case *ast.IncDecStmt:
		to := map[token.Token]string{token.INC: "--", token.DEC: "++"}[n.Tok]
		out = append(out, at(n.TokPos, n.TokPos+2, to, n.Tok.String()+" becomes "+to))
	case *ast.BranchStmt:
		if n.Tok == token.CONTINUE && n.Label == nil {
			out = append(out, at(n.Pos(), n.End(), "break", "continue becomes break"))
		}
	case *ast.Ident:
		if n.Name == "true" || n.Name == "false" {
			to := map[string]string{"true": "false", "false": "true"}[n.Name]
			out = append(out, at(n.Pos(), n.End(), to, n.Name+" becomes "+to))
		}
	}
	return out
}

// text reports whether an expression is a text by what it begins with.
func text(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.BinaryExpr:
		return text(e.X) || text(e.Y)
	case *ast.CallExpr:
		id, ok := e.Fun.(*ast.Ident)
		return ok && id.Name == "string"
	}
	return false
}
