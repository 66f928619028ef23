package main

import (
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peerkeeper/infra/environment"
	"peerkeeper/infra/stack"
	"peerkeeper/shared/mesh/meshfile"
)

// program writes an ELF header and no more: what tells one machine's programs
// from another's.
func program(t *testing.T, path string, machine elf.Machine) {
	t.Helper()
	var h [64]byte
	copy(h[:], "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(h[16:], uint16(elf.ET_EXEC))
	binary.LittleEndian.PutUint16(h[18:], uint16(machine))
	binary.LittleEndian.PutUint32(h[20:], 1)  // version
	binary.LittleEndian.PutUint16(h[52:], 64) // size of this header
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, h[:], 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestStage: what is deployed is the arm64 program and this environment's mesh,
// whatever else make build left in dist.
func TestStage(t *testing.T) {
	prod, err := environment.Load("environments", "prod")
	if err != nil {
		t.Fatal(err)
	}
	dist, staged := t.TempDir(), t.TempDir()
	program(t, filepath.Join(dist, "peersync", "bootstrap"), elf.EM_AARCH64)
	if err := os.WriteFile(filepath.Join(dist, "peersync", "mesh.json"), []byte("another environment's"), 0o644); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(staged, "peersync")
	if err := stage(filepath.Join(dist, "peersync"), to, prod.Mesh); err != nil {
		t.Fatal(err)
	}
	m, err := meshfile.LoadJSON(filepath.Join(to, "mesh.json"))
	if err != nil || m.Hash() != prod.Mesh.Hash() {
		t.Errorf("the mesh that goes along is %v, %v", m, err)
	}
	if info, err := os.Stat(filepath.Join(to, "bootstrap")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("bootstrap cannot be run: %v, %v", info, err)
	}

	program(t, filepath.Join(dist, "amd64", "bootstrap"), elf.EM_X86_64)
	if err := stage(filepath.Join(dist, "amd64"), filepath.Join(staged, "amd64"), prod.Mesh); err == nil || !strings.Contains(err.Error(), "arm64") {
		t.Errorf("a program for this machine would be deployed: %v", err)
	}
	if err := stage(filepath.Join(dist, "none"), filepath.Join(staged, "none"), prod.Mesh); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("a function that is not built: %v", err)
	}
}

func TestCommand(t *testing.T) {
	var out strings.Builder
	if err := command([]string{"iam"}, &out); err != nil || out.String() != stack.Markdown(stack.Matrix()) {
		t.Errorf("iam: %v\n%s", err, out.String())
	}
	out.Reset()
	to := t.TempDir()
	if err := command([]string{"deployer", "-dir", "environments", "-env", "dev", "-to", to}, &out); err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(out.String()) {
		if data, err := os.ReadFile(strings.TrimSpace(path)); err != nil || !json.Valid(data) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for want, args := range map[string][]string{
		`no verb "deploy"`:      {"deploy"},
		"only dev, prod":        {"cost", "-dir", "environments", "-env", "test"},
		"want small letters":    {"template", "-dir", "environments"},
		"flag provided but not": {"iam", "-envv", "x"},
	} {
		if err := command(args, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// TestWithoutNodeThereIsASentence instead of a stack trace.
func TestWithoutNodeThereIsASentence(t *testing.T) {
	empty, broken := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "node"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, says string }{
		{"no node", empty, "https://nodejs.org"},
		{"a node that fails", broken, "node --version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PATH", c.path)
			t.Setenv("JSII_NODE", "")
			t.Setenv("JSII_RUNTIME", "")
			for _, verb := range [][]string{{"cost", "-env", "dev", "-dir", "environments"}, {"template", "-env", "dev", "-dir", "environments"}, {}} {
				var out strings.Builder
				err := inNode(func() error { panic("what jsii does where its process ends") })
				if c.path == empty {
					err = command(verb, &out)
				}
				if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "goroutine") || out.Len() > 0 {
					t.Errorf("%v: %v, %q", verb, err, out.String())
				}
			}
			var out strings.Builder
			if err := command([]string{"iam"}, &out); err != nil || out.Len() == 0 {
				t.Errorf("who may do what needs no node: %v", err)
			}
		})
	}
}
