package main

import (
	"fmt"
	"peerkeeper/shared/plain"
	"slices"
	"strings"
)

// suggest says what a mistyped name may have meant, or what there is.
func suggest(name string, have []string) string {
	type near struct {
		name string
		far  int
	}
	var nearest []near
	for _, h := range have {
		// A third of the letters wrong is still a slip; more is another word.
		if d := distance(strings.ToLower(name), strings.ToLower(h)); d <= max(1, len(h)/3) {
			nearest = append(nearest, near{h, d})
		}
	}
	slices.SortStableFunc(nearest, func(a, b near) int { return a.far - b.far })
	switch {
	case len(nearest) > 0:
		return fmt.Sprintf("did you mean %s?", nearest[0].name)
	case len(have) == 0:
		return "there is none"
	}
	return "there " + plural(len(have), "is ", "are ") + listed(have)
}

// listed writes names out, but not thirty clusters' worth of them.
func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return plain.List(names)
}

// distance is how many letters must be changed, added, taken away or swapped
// with their neighbour to make a into b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	d := make([][]int, len(s)+1)
	for i := range d {
		d[i] = make([]int, len(t)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(s)][len(t)]
}
