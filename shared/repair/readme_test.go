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
	ofSteps := "| guard of a planned step | stops when |\n|---|---|\n"
	for _, g := range guards(kind{}, plans) {
		ofSteps += fmt.Sprintf("| %s | %s |\n", g.name, g.sentence)
	}
	ofGuards := "| guard of a repair | of | stops when |\n|---|---|---|\n"
	for _, g := range guards(kind{}, repairs) {
		ofGuards += fmt.Sprintf("| %s | every action | %s |\n", g.name, g.sentence)
	}
	ofKinds := "| action | done as a repair to | done as a planned step to | proven by | guards of its own, as a repair |\n|---|---|---|---|---|\n"
	for _, k := range kinds() {
		var own []string
		for _, g := range k.guards {
			own = append(own, g.name)
			ofGuards += fmt.Sprintf("| %s | %s | %s |\n", g.name, k.action, g.sentence)
		}
		ofKinds += fmt.Sprintf("| %s | %s | %s | %s | %s |\n", k.action, cmp.Or(strings.Join(k.on, ", "), "nothing"), cmp.Or(strings.Join(k.inPlans, ", "), "nothing"), k.proof, cmp.Or(strings.Join(own, ", "), "none"))
	}
	for _, want := range []string{ofGuards, ofSteps, ofKinds} {
		if !strings.Contains(string(page), "\n\n"+want+"\n") {
			t.Errorf("README lacks this table:\n%s", want)
		}
	}
}

// A guard has one name among those of one table, and a kind one row.
func TestNamesAreUnique(t *testing.T) {
	for _, of := range []domain{repairs, plans} {
		var names []string
		for _, g := range guards(kind{}, of) {
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
}
