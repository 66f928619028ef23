package discovery

import (
	"fmt"
	"slices"
	"strings"

	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/mesh"
)

// name gives each cluster an id from its publisher's name, without the words that
// all of them share: imp-emea-pub and imp-apac-pub are emea and apac. A person may
// choose others; they are only names.
func name(all []Cluster) {
	words := make([][]string, len(all))
	for i, c := range all {
		label, _, _ := strings.Cut(strings.ToLower(string(c.Inventory.Publisher)), ".")
		if dnsname.IsAddress(string(c.Inventory.Publisher)) {
			label = fmt.Sprintf("cluster-%d", i+1)
		}
		words[i] = strings.FieldsFunc(label, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	}
	for len(all) > 1 && shared(words, func(w []string) string { return w[0] }) {
		for i := range words {
			words[i] = words[i][1:]
		}
	}
	for len(all) > 1 && shared(words, func(w []string) string { return w[len(w)-1] }) {
		for i := range words {
			words[i] = words[i][:len(words[i])-1]
		}
	}
	taken := map[string]bool{}
	for i := range all {
		id := strings.Join(words[i], "-")
		if id == "" {
			id = fmt.Sprintf("cluster-%d", i+1)
		}
		for n, base := 2, id; taken[id]; n++ {
			id = fmt.Sprintf("%s-%d", base, n)
		}
		taken[id] = true
		all[i].ID = mesh.ClusterID(id)
	}
}

// shared reports whether every name has a word to spare, and all have the same one.
func shared(words [][]string, of func([]string) string) bool {
	return !slices.ContainsFunc(words, func(w []string) bool { return len(w) < 2 || of(w) != of(words[0]) })
}
