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
	"runtime"
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
func fixture(t *testing.T, arch string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "empty", "bootstrap")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", file, "./infra/supply/testdata/program")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

func TestOfABuiltProgram(t *testing.T) {
	file := fixture(t, runtime.GOARCH)
	var out bytes.Buffer
	if err := command(t.Context(), []string{"licences", file}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`github.com/aws/aws-lambda-go +v\S+ +Apache-2.0, MIT-0 +empty`, `stdlib +1\.\S+ +BSD-3-Clause +empty`} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("%s is not in\n%s", want, &out)
		}
	}

	if err := command(t.Context(), []string{"licences", "main.go"}, &out); err == nil {
		t.Error("a file that is no program passes")
	}
}

// Each program has a bill of its own, which names every module that the program
// itself records, and is the same the next time.
func TestBillOfABuiltProgram(t *testing.T) {
	file := fixture(t, "arm64")
	p, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for range 2 {
		to := t.TempDir()
		if err := command(t.Context(), []string{"sbom", "-to", to, file}, nil); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(to, "empty.cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
		t.Errorf("the same program gives another bill:\n%s", diff)
	}
	for _, fault := range faults(texts[0], p) {
		t.Error(fault)
	}
}

// bom is what is read of a bill (https://cyclonedx.org/docs/1.5/json/).
type bom struct {
	Format      string `json:"bomFormat"`
	SpecVersion string `json:"specVersion"`
	Version     int    `json:"version"`
	Metadata    struct {
		Component  component  `json:"component"`
		Properties []property `json:"properties"`
	} `json:"metadata"`
	Components   []component `json:"components"`
	Dependencies []struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	} `json:"dependencies"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
	Hashes  []struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	} `json:"hashes"`
	Licences []struct {
		Licence struct {
			ID string `json:"id"`
		} `json:"license"`
	} `json:"licenses"`
}

type property struct{ Name, Value string }

// faults checks a bill against the schema of CycloneDX 1.5, as far as its parts
// are used, and against the program.
func faults(text string, p program) []string {
	var b bom
	if err := json.Unmarshal([]byte(text), &b); err != nil {
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
	must(b.Version == 1, "version %d", b.Version)
	must(b.Metadata.Component.Type == "application" && strings.Contains(b.Metadata.Component.PURL, "goarch="+p.arch+"&"), "the program is %+v", b.Metadata.Component)
	must(slices.ContainsFunc(b.Metadata.Properties, func(x property) bool {
		return x.Name == "cdx:gomod:binary:hash:SHA-256" && regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(x.Value)
	}), "the program has no hash in %v", b.Metadata.Properties)
	refs, libraries := map[string]bool{b.Metadata.Component.Ref: true}, map[string]string{}
	for _, c := range b.Components {
		must(c.Type == "library", "%s: type %q", c.Name, c.Type)
		must(c.Ref != "" && !refs[c.Ref], "bom-ref %q is missing or there twice", c.Ref)
		refs[c.Ref] = true
		libraries[c.Name] = c.Version
		must(strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@"+c.Version), "%s: purl %q", c.Name, c.PURL)
		must(c.Name == "std" || len(c.Licences) > 0 && c.Licences[0].Licence.ID != "", "%s: no licence", c.Name)
		for _, h := range c.Hashes {
			must(h.Algorithm == "SHA-256" && regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(h.Content), "%s: hash %v", c.Name, h)
		}
	}
	for _, m := range p.modules {
		name, version := m.Path, m.Version
		if m.Path == standard {
			name, version = "std", "go"+m.Version
		}
		must(libraries[name] == version, "%s is there as %q, built in as %s", name, libraries[name], version)
	}
	must(len(b.Components) == len(p.modules), "%d components of %d modules", len(b.Components), len(p.modules))
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
	p := program{arch: "arm64", modules: []module{{"example.com/m", "v1.0.0", "h1:x"}, {standard, "1.26.0", ""}}}
	const hash = `"0000000000000000000000000000000000000000000000000000000000000000"`
	const whole = `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,
"metadata":{"component":{"type":"application","bom-ref":"whole","purl":"pkg:golang/x@v1?goarch=arm64&goos=linux"},"properties":[{"name":"cdx:gomod:binary:hash:SHA-256","value":` + hash + `}]},
"components":[{"type":"library","bom-ref":"m","name":"example.com/m","version":"v1.0.0","purl":"pkg:golang/example.com/m@v1.0.0?type=module","hashes":[{"alg":"SHA-256","content":` + hash + `}],"licenses":[{"license":{"id":"MIT"}}]},
{"type":"library","bom-ref":"s","name":"std","version":"go1.26.0","purl":"pkg:golang/std@go1.26.0"}],
"dependencies":[{"ref":"whole","dependsOn":["m"]},{"ref":"s"}]}`
	if got := faults(whole, p); len(got) > 0 {
		t.Fatalf("a whole one: %v", got)
	}
	for name, spoil := range map[string][2]string{
		"format":             {`"CycloneDX"`, `"SPDX"`},
		"spec version":       {`"1.5"`, `"1.4"`},
		"version":            {`"version":1,`, `"version":0,`},
		"processor":          {"goarch=arm64", "goarch=amd64"},
		"program's hash":     {`"value":` + hash, `"value":"00"`},
		"type":               {`"type":"library"`, `"type":"program"`},
		"reference twice":    {`"bom-ref":"s"`, `"bom-ref":"m"`},
		"purl":               {"pkg:golang/example.com/m@", "example.com/m@"},
		"no licence":         {`"licenses"`, `"acknowledgement"`},
		"hash":               {`"content":` + hash, `"content":"00"`},
		"another version":    {`"version":"v1.0.0"`, `"version":"v1.0.1"`},
		"dangling":           {`["m"]`, `["n"]`},
		"dependencies twice": {`{"ref":"s"}`, `{"ref":"whole"}`},
	} {
		spoilt := strings.Replace(whole, spoil[0], spoil[1], 1)
		if spoilt == whole || len(faults(spoilt, p)) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}
