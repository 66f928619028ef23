package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const (
	mit    = "The MIT License\n\nPermission is hereby granted, free of charge, to any\nperson obtaining a copy of this software. The above copyright notice and this permission notice shall be included in all copies"
	mit0   = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
	bsd2   = "Redistribution and use in source and binary forms, with or\n without modification, are permitted provided that"
	bsd3   = bsd2 + "\nNeither the name of X may be used to endorse or promote products derived from this software"
	apache = "                                 Apache License\n                           Version 2.0, January 2004"
	gpl    = "GNU GENERAL PUBLIC LICENSE\nTERMS AND CONDITIONS"
)

func TestLicences(t *testing.T) {
	m := module{Path: "github.com/aws/aws-lambda-go", Version: "v1.0.0"}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
		wrong *licenceError
	}{
		{"MIT", map[string]string{"LICENSE": mit}, []string{"MIT"}, nil},
		{"MIT without its notice", map[string]string{"LICENSE": mit0}, []string{"MIT-0"}, nil},
		{"BSD with two clauses", map[string]string{"LICENSE.txt": bsd2}, []string{"BSD-2-Clause"}, nil},
		{"BSD with three", map[string]string{"License.md": bsd3}, []string{"BSD-3-Clause"}, nil},
		{"Apache", map[string]string{"LICENCE": apache, "NOTICE": "whatever"}, []string{"Apache-2.0"}, nil},
		{"two files", map[string]string{"LICENSE": apache, "LICENSE-MIT": mit}, []string{"Apache-2.0", "MIT"}, nil},
		{"third parties in one file", map[string]string{"LICENSE-3RD-PARTY.md": mit + "\n" + bsd3}, []string{"BSD-3-Clause", "MIT"}, nil},
		{"what is no licence file", map[string]string{"LICENSE": mit, "license.go": "package m", "licensing/x": gpl}, []string{"MIT"}, nil},
		{"none at all", map[string]string{"README.md": mit}, nil, &licenceError{m, "", ""}},
		{"one that nobody knows", map[string]string{"LICENSE": "You may look, but not touch."}, nil, &licenceError{m, "LICENSE", ""}},
		{"a known one beside an unknown one", map[string]string{"LICENSE": mit, "COPYING": "Ask first."}, []string{"MIT"}, &licenceError{m, "COPYING", ""}},
		{"one that a person has read, in another version", map[string]string{"LICENSE": mit, "LICENSE-SUMMARY": "See LICENSE and LICENSE-GPL."}, []string{"MIT"}, &licenceError{m, "LICENSE-SUMMARY", ""}},
		{"one that is not accepted", map[string]string{"COPYING": gpl}, []string{"GPL"}, &licenceError{m, "COPYING", "GPL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := licences(m, root)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("licences (-want +got):\n%s", diff)
			}
			wrong, _ := errors.AsType[*licenceError](err)
			if fmt.Sprint(wrong) != fmt.Sprint(c.wrong) || (err != nil) != (c.wrong != nil) {
				t.Errorf("it said %v, want %v", err, c.wrong)
			}
		})
	}
}

// fixture builds a small program of two dependencies at most, for both verbs.
func fixture(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "empty", "bootstrap")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", file, "./shared/lambdahost/testdata/empty")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

func TestOfABuiltProgram(t *testing.T) {
	file := fixture(t)
	var out bytes.Buffer
	if err := command(t.Context(), []string{"licences", file}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`github.com/aws/aws-lambda-go +v\S+ +Apache-2.0, MIT-0 +empty`, `stdlib +1\.\S+ +BSD-3-Clause +empty`} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("%s is not in\n%s", want, &out)
		}
	}

	to := filepath.Join(t.TempDir(), "sbom.json")
	if err := command(t.Context(), []string{"sbom", "-to", to, file}, &out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults(t, text) {
		t.Error(fault)
	}
	if !strings.Contains(string(text), `"pkg:golang/github.com/aws/aws-lambda-go@v`) || !strings.Contains(string(text), `"go:sum"`) {
		t.Errorf("a module is missing in\n%s", text)
	}
	var again bytes.Buffer
	if err := command(t.Context(), []string{"sbom", file}, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), again.String()); diff != "" {
		t.Errorf("the same program gives another bill:\n%s", diff)
	}

	if err := command(t.Context(), []string{"sbom", "main.go"}, &out); err == nil {
		t.Error("a file that is no program passes")
	}
}

// faults checks a bill against what the schema of CycloneDX 1.5 requires of the
// parts that are used here.
func faults(t *testing.T, text []byte) []string {
	t.Helper()
	var b bom
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return []string{err.Error()}
	}
	var out []string
	must := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	must(b.Format == "CycloneDX", "bomFormat %q", b.Format)
	must(b.SpecVersion == "1.5", "specVersion %q", b.SpecVersion)
	must(regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`).MatchString(b.SerialNumber), "serialNumber %q", b.SerialNumber)
	must(b.Version >= 1, "version %d", b.Version)
	must(len(b.Components) > 0, "no components")
	refs := map[string]bool{}
	for _, c := range append([]component{b.Metadata.Component}, b.Components...) {
		must(slices.Contains([]string{"application", "library"}, c.Type), "%s: type %q", c.Name, c.Type)
		must(c.Name != "", "a component without a name")
		must(c.Ref != "" && !refs[c.Ref], "bom-ref %q is missing or there twice", c.Ref)
		refs[c.Ref] = true
		must(c.Type != "library" || strings.HasPrefix(c.PURL, "pkg:golang/") && strings.Contains(c.PURL, "@"), "%s: purl %q", c.Name, c.PURL)
		must(c.Type != "library" || len(c.Licences) > 0, "%s: no licence", c.Name)
		for _, h := range c.Hashes {
			must(h.Algorithm == "SHA-256" && regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(h.Content), "%s: hash %v", c.Name, h)
		}
		for _, l := range c.Licences {
			known := slices.ContainsFunc(kinds(), func(k kind) bool { return k.id == l.Licence.ID && !k.named })
			must((known || l.Licence.ID == "") && (l.Licence.ID == "") != (l.Licence.Name == ""), "%s: licence %+v is neither an id of SPDX nor a name", c.Name, l.Licence)
		}
	}
	told := map[string]bool{}
	for _, d := range b.Dependencies {
		must(refs[d.Ref] && !told[d.Ref], "dependencies of %q: no such component, or told twice", d.Ref)
		told[d.Ref] = true
		for _, on := range d.DependsOn {
			must(refs[on], "%s depends on %q, which is no component", d.Ref, on)
		}
	}
	return out
}

// TestFaultsAreFound: every check of the bill can fail.
func TestFaultsAreFound(t *testing.T) {
	m := module{"example.com/m", "v1.0.0", "h1:x"}
	whole := func() bom {
		p := program{name: "peersync", module: "peerkeeper", version: "v1.0.0", sha256: strings.Repeat("0", 64), modules: []module{m}}
		return bomOf([]program{p}, map[module][]string{m: {"MIT"}})
	}
	text := func(b bom) []byte {
		out, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := faults(t, text(whole())); len(got) > 0 {
		t.Fatalf("a whole one: %v", got)
	}
	for name, spoil := range map[string]func(b *bom){
		"format":             func(b *bom) { b.Format = "SPDX" },
		"spec version":       func(b *bom) { b.SpecVersion = "1.4" },
		"serial number":      func(b *bom) { b.SerialNumber = "urn:uuid:1" },
		"version":            func(b *bom) { b.Version = 0 },
		"no components":      func(b *bom) { b.Components = nil },
		"type":               func(b *bom) { b.Components[0].Type = "program" },
		"name":               func(b *bom) { b.Components[0].Name = "" },
		"reference twice":    func(b *bom) { b.Components[1].Ref = b.Components[0].Ref },
		"purl":               func(b *bom) { b.Components[1].PURL = "example.com/m" },
		"no licence":         func(b *bom) { b.Components[1].Licences = nil },
		"unknown licence":    func(b *bom) { b.Components[1].Licences[0].Licence.ID = "mit" },
		"hash":               func(b *bom) { b.Components[0].Hashes[0].Content = "00" },
		"dangling":           func(b *bom) { b.Dependencies[1].DependsOn[0] = "pkg:golang/nothing@v1" },
		"of nothing":         func(b *bom) { b.Dependencies[1].Ref = "program:nothing" },
		"dependencies twice": func(b *bom) { b.Dependencies = append(b.Dependencies, b.Dependencies[0]) },
	} {
		b := whole()
		spoil(&b)
		if len(faults(t, text(b))) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}
