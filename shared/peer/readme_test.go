package peer

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The picture of states and rungs on the first page is that of the code.
func TestTheDrawnStates(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, drawn, ok := strings.Cut(string(page), "```mermaid\nstateDiagram-v2\n")
	if !ok {
		t.Fatal("there is no picture")
	}
	drawn, _, _ = strings.Cut(drawn, "```")
	found := map[string]bool{}
	for line := range strings.Lines(drawn) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), ":")
		for _, name := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "state "), " {"), " --> ") {
			if name != "" && name != "}" && name != "[*]" && name != "ladder" {
				found[name] = true
			}
		}
	}
	var want []string
	for _, r := range rungs {
		want = append(want, string(r.rung))
	}
	for _, s := range States() {
		want = append(want, string(s))
	}
	for _, name := range want {
		if !found[name] {
			t.Errorf("%s is not drawn", name)
		}
	}
	for name := range found {
		if !slices.Contains(want, name) {
			t.Errorf("%s is drawn, and is neither a state nor a rung", name)
		}
	}
}
