package repair

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The tables of guards and of kinds in this package's README are those of the
// code, word for word.
func TestTheTables(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	every := guards(kind{})
	ofGuards := "| guard | of | stops when |\n|---|---|---|\n"
	for _, g := range every {
		ofGuards += fmt.Sprintf("| %s | every action | %s |\n", g.name, g.sentence)
	}
	ofKinds := "| action | done as a repair to | proven by | guards of its own |\n|---|---|---|---|\n"
	for _, k := range kinds() {
		var own []string
		for _, g := range k.guards {
			own = append(own, g.name)
			ofGuards += fmt.Sprintf("| %s | %s | %s |\n", g.name, k.action, g.sentence)
		}
		ofKinds += fmt.Sprintf("| %s | %s | %s | %s |\n", k.action, cmp.Or(strings.Join(k.on, ", "), "nothing"), k.proof, cmp.Or(strings.Join(own, ", "), "none"))
	}
	for _, want := range []string{ofGuards, ofKinds} {
		if !strings.Contains(string(page), "\n\n"+want+"\n") {
			t.Errorf("README lacks this table:\n%s", want)
		}
	}
}

// A guard has one name, and a kind one row.
func TestNamesAreUnique(t *testing.T) {
	var names []string
	for _, g := range guards(kind{}) {
		names = append(names, g.name)
	}
	for _, k := range kinds() {
		names = append(names, string(k.action))
		for _, g := range k.guards {
			names = append(names, g.name)
		}
	}
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Errorf("some are there twice: %v", names)
	}
}
