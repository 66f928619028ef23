package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAClusterThatMayJoin: `sim --apart` gives a person the lines of a cluster that
// mesh.yaml does not know, as they stand there once they are copied.
func TestAClusterThatMayJoin(t *testing.T) {
	sim := simulate(t, "--users", "5", "--apart", "1")
	type status struct {
		Clusters []struct{ ID string }
		Peers    []struct {
			ID         string
			Conditions []struct{ Type, Reason string }
		}
	}
	must(t, 0, sim.dir, "run", "--once", "peersync")
	if got := mustJSON[status](t, 1, sim.dir, "status"); len(got.Clusters) != 2 || len(got.Peers) != 2 {
		t.Errorf("%+v", got)
	}
	apart, err := os.ReadFile(filepath.Join(sim.dir, "apart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, lines, found := strings.Cut(string(apart), "clusters:\n")
	if !found {
		t.Fatalf("no clusters in\n%s", apart)
	}
	sim.edit(t, "\nclusters:\n", "\nclusters:\n"+lines)
	must(t, 0, sim.dir, "run", "--once", "peersync")
	missing := 0
	for _, p := range mustJSON[status](t, 1, sim.dir, "status").Peers {
		for _, c := range p.Conditions {
			if c.Type == "Configured" && c.Reason == "PeerMissing" && strings.Contains(p.ID, "amer") {
				missing++
			}
		}
	}
	if missing != 4 {
		t.Errorf("%d of amer's 4 entries are said to be missing", missing)
	}
	if _, says, code := run1(t, t.TempDir(), "sim", "--dir", ".", "--clusters", "3", "--apart", "3"); code != 2 || !strings.Contains(says, "3 of 3 clusters apart") {
		t.Errorf("exit %d: %s", code, says)
	}
}
