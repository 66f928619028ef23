package plain

import (
	"fmt"
	"strings"
)

const (
	// Listed is how many of several things a message names: what a person
	// reads through at night. The rest is counted.
	Listed = 10
	// maxItem bounds one of them: a host name has at most 253 characters, a
	// sentence about one rarely more.
	maxItem = 300
)

// List is several things as words of a sentence: all of them, or the first ten
// and how many more there are ("a, b, c, d, e, f, g, h, i, j, and 991 more"),
// each as a Line of at most 300 runes.
func List[S ~string](items []S) string { return First(Listed, items) }

// First is List with another number of things that are named.
func First[S ~string](n int, items []S) string { return FirstBy(n, items, ", ") }

// FirstBy is First with another separator, for items that have commas in them.
func FirstBy[S ~string](n int, items []S, sep string) string {
	n = max(0, min(n, len(items)))
	words := make([]string, n, n+1)
	for i := range words {
		words[i] = Line(string(items[i]), maxItem)
	}
	if more := len(items) - n; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, sep)
}
