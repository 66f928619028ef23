// Supply tells what the built programs are made of: the modules that are really
// linked into them, read from the programs themselves, and their licences.
//
//	go run ./infra/supply sbom -to dist dist/*/bootstrap dist/peerkeeper
//	go run ./infra/supply licences dist/*/bootstrap dist/peerkeeper
//
// It judges no licence's meaning. A licence that it does not know, or that is
// not among those accepted, is a failure. The bills of materials are written by
// cyclonedx-gomod, whose module is in the folder cyclonedx: nothing of it is
// Peerkeeper's. The same programs give the same bytes.
package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
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

func command(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("which? supply sbom -to FOLDER PROGRAM…, or supply licences PROGRAM…")
	}
	flags := flag.NewFlagSet("supply "+args[0], flag.ContinueOnError)
	to := flags.String("to", ".", "the folder for NAME.cdx.json (sbom)")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("of which programs? run make build, and name what it built")
	}
	var programs []program
	for _, file := range flags.Args() {
		p, err := read(file)
		if err != nil {
			return err
		}
		programs = append(programs, p)
	}
	switch args[0] {
	case "licences":
		dirs, err := folders(ctx, programs)
		if err != nil {
			return err
		}
		licences, err := licencesOf(dirs)
		return errors.Join(list(out, programs, licences), err)
	case "sbom":
		return bills(ctx, programs, *to)
	}
	return fmt.Errorf("no verb %q: want sbom or licences", args[0])
}

// module is what is linked: a module, or Go's standard library.
type module struct{ Path, Version, Sum string }

// standard is the standard library's path, as Go's vulnerability database has it.
const standard = "stdlib"

// program is one built program.
type program struct {
	file    string
	name    string // dist/peersync/bootstrap is peersync
	arch    string
	modules []module // sorted by path
}

// read reads a program's own record of what it was built from.
func read(file string) (program, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return program{}, fmt.Errorf("%s holds no record of its modules, run make build: %w", file, err)
	}
	p := program{file: file, name: nameOf(file), modules: modulesOf(info)}
	for _, setting := range info.Settings {
		if setting.Key == "GOARCH" {
			p.arch = setting.Value
		}
	}
	return p, nil
}

func nameOf(file string) string {
	if base := filepath.Base(file); base != "bootstrap" {
		return base
	}
	return filepath.Base(filepath.Dir(file))
}

func modulesOf(info *debug.BuildInfo) []module {
	version, _, _ := strings.Cut(info.GoVersion, " ") // "go1.26.0 X:…" names experiments
	all := []module{{Path: standard, Version: strings.TrimPrefix(version, "go")}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, module{m.Path, m.Version, m.Sum})
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// union is every module of all programs, once.
func union(programs []program) []module {
	var all []module
	for _, p := range programs {
		all = append(all, p.modules...)
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.Path+"@"+a.Version, b.Path+"@"+b.Version) })
	return slices.Compact(all)
}

// folders asks Go where the modules' sources are.
func folders(ctx context.Context, programs []program) (map[module]string, error) {
	root, err := output(ctx, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	dirs := map[module]string{}
	args := []string{"mod", "download", "-json"}
	by := map[string]module{}
	for _, m := range union(programs) {
		if m.Path == standard {
			dirs[m] = strings.TrimSpace(string(root))
			continue
		}
		args, by[m.Path+"@"+m.Version] = append(args, m.Path+"@"+m.Version), m
	}
	if len(by) == 0 {
		return dirs, nil
	}
	text, err := output(ctx, nil, "go", args...)
	if err != nil {
		return nil, err
	}
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var got struct{ Path, Version, Dir, Sum string }
		if err := dec.Decode(&got); err != nil {
			return nil, fmt.Errorf("reading go mod download: %w", err)
		}
		m := by[got.Path+"@"+got.Version]
		if m.Sum != got.Sum {
			return nil, fmt.Errorf("%s@%s was built in as %s and is %s here", got.Path, got.Version, m.Sum, got.Sum)
		}
		dirs[m] = got.Dir
	}
	return dirs, nil
}

// output runs a command; without an environment in this one's.
func output(ctx context.Context, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, path.Join(args[:min(2, len(args))]...), err, &stderr)
	}
	return out, nil
}

// list prints each module once, with the programs that it is linked into.
func list(out io.Writer, programs []program, licences map[module][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODULE\tVERSION\tLICENCE\tLINKED INTO")
	for _, m := range union(programs) {
		var in []string
		for _, p := range programs {
			if slices.Contains(p.modules, m) {
				in = append(in, p.name)
			}
		}
		said := strings.Join(licences[m], ", ")
		if said == "" {
			said = "?"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.Path, m.Version, said, strings.Join(in, " "))
	}
	return w.Flush()
}
