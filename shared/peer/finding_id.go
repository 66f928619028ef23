package peer

import (
	"slices"
	"strings"
)

// Severity is how bad a finding or an alarm is, in syslog's words.
type Severity string

// The severities in use.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Rank orders severities, worst first; an unknown word comes last.
func (s Severity) Rank() int {
	order := []Severity{Critical, Warning, Info}
	if i := slices.Index(order, s); i >= 0 {
		return i
	}
	return len(order)
}

// FindingID names a finding within its cluster: its reason, and what it is
// about, joined by colons. It is part of an alarm's fingerprint and so stays as
// it is while the finding stands.
type FindingID string

// IDOf is the id of a finding on what the parts name; empty ones are left out.
func IDOf(why Reason, about ...string) FindingID {
	parts := []string{string(why)}
	for _, p := range about {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return FindingID(strings.Join(parts, ":"))
}

// Reason is the reason that the id begins with.
func (id FindingID) Reason() Reason {
	why, _, _ := strings.Cut(string(id), ":")
	return Reason(why)
}

// As is the id with another reason, of a finding on the same thing.
func (id FindingID) As(why Reason) FindingID {
	return FindingID(string(why) + strings.TrimPrefix(string(id), string(id.Reason())))
}

// And is the id with one more part.
func (id FindingID) And(part string) FindingID { return id + FindingID(":"+part) }

// On reports whether the id ends in a place, such as "node:RSA".
func (id FindingID) On(place string) bool { return strings.HasSuffix(string(id), ":"+place) }
