package userset

import (
	"slices"
)

// Place is one user: which set, and which of it.
type Place struct{ Set, Index int }

// Repeated finds the hashes that occur more than once in sets of one kind, with
// their places, at most most of them; total is how many there are. The sets are
// left as they are, and one copy of them all is sorted in place: the work grows
// with the users, and the memory is 16 bytes for each of them.
func Repeated(sets [][]uint64, most int) (places map[uint64][]Place, total int) {
	n := 0
	for _, s := range sets {
		n += len(s)
	}
	all := make([]uint64, 0, n)
	for _, s := range sets {
		all = append(all, s...)
	}
	radix(all, 56)
	places = map[uint64][]Place{}
	for i := 1; i < len(all); i++ {
		if all[i] != all[i-1] || all[i] == 0 || i > 1 && all[i] == all[i-2] {
			continue
		}
		if total++; len(places) < most {
			places[all[i]] = nil
		}
	}
	if len(places) == 0 {
		return places, total
	}
	// One bit for 65,536 values of the hash's end keeps the map out of the loop.
	var maybe [1024]uint64
	for h := range places {
		maybe[h>>6&1023] |= 1 << (h & 63)
	}
	for s, set := range sets {
		for i, h := range set {
			if maybe[h>>6&1023]&(1<<(h&63)) == 0 {
				continue
			}
			if at, wanted := places[h]; wanted && len(at) < maxPlaces {
				places[h] = append(at, Place{s, i})
			}
		}
	}
	return places, total
}

// maxPlaces bounds the users that are read again for one key.
const maxPlaces = 64

// radix sorts in place by the byte at shift, and what shares one by the next:
// American flag sort. Hashes are spread evenly, so that two bytes leave few to sort.
func radix(a []uint64, shift int) {
	if len(a) < 256 || shift < 0 {
		slices.Sort(a)
		return
	}
	var end [256]int
	for _, v := range a {
		end[byte(v>>shift)]++
	}
	var next [256]int
	sum := 0
	for b, n := range end {
		next[b] = sum
		sum += n
		end[b] = sum
	}
	first := next
	for b := range 256 {
		for next[b] < end[b] {
			v := a[next[b]]
			for to := int(byte(v >> shift)); to != b; to = int(byte(v >> shift)) {
				a[next[to]], v = v, a[next[to]]
				next[to]++
			}
			a[next[b]] = v
			next[b]++
		}
	}
	for b := range 256 {
		if part := a[first[b]:end[b]]; len(part) > 1 {
			radix(part, shift-8)
		}
	}
}
