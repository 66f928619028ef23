package main

import (
	"slices"
	"strings"
	"testing"
)

// TestWhatOpensslPrintsIsAccepted: the whole line, quoted or not.
func TestWhatOpensslPrintsIsAccepted(t *testing.T) {
	sim := simulate(t, "--users", "5", "--clusters", "1")
	must(t, 0, sim.dir, "run", "--once", "peersync")
	const colons = "5E:0C:1A:2B:3C:4D:5E:6F:70:81:92:A3:B4:C5:D6:E7:F8:09:1A:2B:3C:4D:5E:6F:70:81:92:A3:B4:C5:D6:E7"
	want := "sha256:" + strings.ToLower(strings.ReplaceAll(colons, ":", ""))
	for _, form := range [][]string{{"sha256 Fingerprint=" + colons}, {"sha256", "Fingerprint=" + colons}, {"SHA256 Fingerprint=" + colons}, {strings.ToLower(colons)}, {want}} {
		got := mustJSON[struct{ Accepted string }](t, 0, sim.dir, append([]string{"trust", "accept", "imp-emea-sub.example.com"}, form...)...)
		if got.Accepted != want {
			t.Errorf("%q is accepted as %q", form, got.Accepted)
		}
	}
}

// TestAReasonIsOneCleanLine: what a person writes cannot forge a line of the
// history.
func TestAReasonIsOneCleanLine(t *testing.T) {
	sim := simulate(t, "--users", "5", "--clusters", "1")
	must(t, 0, sim.dir, "run", "--once", "peersync")
	must(t, 0, sim.dir, "pause", "mesh", "--reason", "  change \x1b[31m 4711\n2    2026-01-01  root  approve\u202e ")
	type history struct {
		Entries []struct{ Intent, Evidence string }
	}
	entries := mustJSON[history](t, 0, sim.dir, "history").Entries
	if len(entries) != 1 || entries[0].Evidence != "change \uFFFD[31m 4711 2    2026-01-01  root  approve\uFFFD" {
		t.Errorf("%+q", entries)
	}
	if lines := slices.Collect(strings.Lines(must(t, 0, sim.dir, "history"))); len(lines) != 2 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}
