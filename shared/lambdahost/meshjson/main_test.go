package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh/meshfile"
)

func TestWrite(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	const from = "../../../testdata/meshes/one-cluster.yaml"
	if err := write(from, []string{a, b}); err != nil {
		t.Fatal(err)
	}
	want, err := meshfile.Load(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{a, b} {
		got, err := meshfile.LoadJSON(filepath.Join(dir, "mesh.json"))
		if err != nil || got.Hash() != want.Hash() {
			t.Errorf("what a Lambda reads differs (-want +got):\n%s %v", cmp.Diff(want, got), err)
		}
	}
	empty := t.TempDir()
	if err := write("../../../testdata/meshes/bad/ten-faults.yaml", []string{empty}); err == nil {
		t.Error("a faulty mesh was taken")
	}
	if _, err := os.Stat(filepath.Join(empty, "mesh.json")); err == nil {
		t.Error("a faulty mesh was written")
	}
}
