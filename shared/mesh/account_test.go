package mesh

import (
	"encoding/json"
	"testing"
)

// The kinds of accounts are the keys of mesh.yaml and of mesh.json, and each has a
// secret, words and an item of its own.
func TestAccounts(t *testing.T) {
	words, items := map[string]bool{}, map[string]bool{}
	for _, a := range Accounts() {
		c := Cluster{ID: "emea"}
		*a.Of(&c) = "emea/secret"
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]any
		if err := json.Unmarshal(text, &keys); err != nil {
			t.Fatal(err)
		}
		if keys[string(a)] != "emea/secret" || a.Secret(&c) != "emea/secret" {
			t.Errorf("%q is not where mesh.json has it: %s", string(a), text)
		}
		words[a.String()], items[a.Item("emea")] = true, true
		for _, b := range Accounts() {
			if a != b && b.Secret(&c) != "" {
				t.Errorf("%s and %s are one", a, b)
			}
		}
	}
	if n := len(Accounts()); len(words) != n || len(items) != n {
		t.Errorf("%d accounts, %d names, %d items", n, len(words), len(items))
	}
}
