package record

import "strings"

// Refusal is why an action was not taken at the last look: the guard that stopped
// it, by name, and what it found. Why is empty where that moves with the clock, so
// that an action that waits is not written again at every tick; the guard's own
// sentence says what it means then. In an item it is one text, "guard: why".
type Refusal struct {
	Guard, Why string
}

// MarshalText is the form in which it is stored.
func (r Refusal) MarshalText() ([]byte, error) {
	if r.Why == "" {
		return []byte(r.Guard), nil
	}
	return []byte(r.Guard + ": " + r.Why), nil
}

// UnmarshalText reads what MarshalText wrote. A guard's name has no colon.
func (r *Refusal) UnmarshalText(text []byte) error {
	r.Guard, r.Why, _ = strings.Cut(string(text), ": ")
	return nil
}
