package plain

import "strings"

// Names longer than these are nobody's slip, and cost more than they are worth.
const (
	maxGot  = 64  // runes
	maxWord = 300 // runes
)

// Nearest is the word that was probably meant; "" if none is near. Capitals, _
// and - are not looked at; up to a third of the letters may be wrong.
func Nearest(got string, words []string) string {
	want, best := "", 1<<30
	for _, w := range words {
		if d := distance(letters(got), letters(w)); d < best {
			want, best = w, d
		}
	}
	if best > max(1, min(len(got), len(want))/3) {
		return ""
	}
	return want
}

func letters(s string) []rune {
	return []rune(strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s)))
}

// distance is how many letters must be changed, added, taken away or swapped
// with their neighbour to make a into b.
func distance(a, b []rune) int {
	if len(a) > maxGot || len(b) > maxWord {
		return 1 << 20
	}
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d[i][j] = min(change, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
