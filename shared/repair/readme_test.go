package repair

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The table of guards in this package's README is that of the code.
func TestTheTableOfGuards(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), "| guard | stops when |\n|---|---|\n")
	if !ok {
		t.Fatal("there is no table of guards")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var written, coded []string
	for line := range strings.Lines(table) {
		names, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		written = append(written, strings.Split(names, ", ")...)
	}
	for _, g := range guards() {
		coded = append(coded, g.name)
	}
	slices.Sort(written)
	slices.Sort(coded)
	if !slices.Equal(written, coded) {
		t.Errorf("README has %v,\nthe code %v", written, coded)
	}
}
