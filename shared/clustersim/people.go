package clustersim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

var givenNames = strings.Fields(`Ada Adam Aiko Alan Alice Amir Ana Andre Anna Anton Aya Ben Bianca Boris Carla Carlos Chen Clara Dana Daniel
	David Diego Dora Elena Emil Emma Eric Erik Eva Farah Felix Fiona Frank Gita Grace Hana Hans Hassan Helen Hugo Ian Ines Ingrid Ivan Jack Jana
	Jane Jean John Jonas Jorge Julia Kai Karin Kevin Kim Lara Laura Lena Leo Lin Lisa Lucas Luis Maria Mark Marta Mei Mia Milan Mina Nadia Nils
	Nina Noah Nora Olga Oliver Omar Oscar Otto Paul Pedro Peter Priya Quinn Rachel Raj Rosa Ruth Sam Sara Sofia Stefan Sven Tara Tim Tom Uma Vera
	Viktor Wei Yara Yusuf Zoe`)

var surnames = strings.Fields(`Abe Adams Ahmed Allen Alvarez Andersen Baker Bauer Becker Bell Bennett Berg Bianchi Blanc Brown Bruno Campbell
	Carter Castro Chan Chavez Chen Choi Clark Cohen Collins Cook Cooper Costa Cox Cruz Davies Davis Diaz Doe Dubois Edwards Evans Fernandez
	Fischer Flores Foster Fuchs Garcia Gomez Gonzalez Gray Green Gupta Hall Hansen Harris Hill Hoffmann Huang Hughes Ito Ivanov Jackson James
	Jansen Jensen Johnson Jones Kato Kaya Keller Kelly Khan Kim King Klein Koch Kumar Lang Larsen Lee Lehmann Lewis Li Lim Lopez Ma Martin
	Martinez Mehta Meyer Miller Mitchell Moore Morales Morgan Moretti Morris Mueller Murphy Nakamura Nelson Nguyen Nielsen Novak Olsen Ortiz
	Parker Patel Perez Peters Petrov Phillips Pham Pinto Popov Price Rao Reed Reyes Ricci Richter Rivera Roberts Robinson Rodriguez Romano Rossi
	Russo Saito Sanchez Sato Schmidt Schneider Schulz Scott Sharma Silva Singh Smith Sousa Stewart Suzuki Tan Tanaka Taylor Thomas Torres Tran
	Turner Vargas Vogel Wagner Walker Wang Ward Watson Weber White Williams Wilson Wolf Wong Wood Wright Wu Yamada Yang Young Zhang Zimmermann`)

// people makes user IDs as directories have them, unique in the mesh without
// regard to case: initial and surname mostly, else given.surname, mixed case,
// employee numbers.
type people struct {
	random *rand.Rand
	taken  map[string]int // how often a stem was used, in lower case
	staff  int
}

func newPeople(random *rand.Rand) *people {
	return &people{random: random, taken: map[string]int{}, staff: 100000}
}

func (p *people) next() string {
	given := givenNames[p.random.IntN(len(givenNames))]
	surname := surnames[p.random.IntN(len(surnames))]
	var stem string
	switch p.random.IntN(10) {
	case 0:
		p.staff++
		return "e" + strconv.Itoa(p.staff)
	case 1, 2:
		stem = strings.ToLower(given + "." + surname)
	case 3:
		stem = given[:1] + surname
	default:
		stem = strings.ToLower(given[:1] + surname)
	}
	key := strings.ToLower(stem)
	p.taken[key]++
	if n := p.taken[key]; n > 1 {
		return stem + strconv.Itoa(n)
	}
	return stem
}

func newPKID(random *rand.Rand) string {
	a, b := random.Uint64(), random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

func newPassword(random *rand.Rand) string {
	const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	b := make([]byte, 20)
	for i := range b {
		b[i] = letters[random.IntN(len(letters))]
	}
	return string(b)
}
