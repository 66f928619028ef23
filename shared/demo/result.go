package demo

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Result is how a story went.
type Result struct {
	Steps  []StepResult  `json:"steps"`
	Alarms []AlarmResult `json:"alarms"`
	OK     bool          `json:"ok"`
}

// Differences names, one line each, what did not go as the story says.
func (r Result) Differences() []string {
	var out []string
	for _, s := range r.Steps {
		for _, d := range differences(s.Expected, s.Found) {
			out = append(out, fmt.Sprintf("step %q: %s", s.Name, d))
		}
		if s.Mended == nil {
			continue
		}
		healthy := Seen{Peers: map[string]PeerSeen{}}
		for id := range s.Mended.Found.Peers {
			healthy.Peers[id] = PeerSeen{State: peer.Healthy}
		}
		for _, d := range differences(healthy, s.Mended.Found) {
			out = append(out, fmt.Sprintf("step %q, after mending: %s", s.Name, d))
		}
	}
	for _, a := range r.Alarms {
		if a.Unwanted {
			out = append(out, fmt.Sprintf("alarm %s %s: expected none in chapter %q", a.Name, cmp.Or(a.Peer.String(), string(a.Cluster)), a.Chapter))
			continue
		}
		if a.Raised != 1 || a.Cleared != 1 {
			out = append(out, fmt.Sprintf("alarm %s %s: expected to be raised once and cleared once, found raised %d times and cleared %d times", a.Name, cmp.Or(a.Peer.String(), string(a.Cluster)), a.Raised, a.Cleared))
		}
	}
	return out
}

// StepResult is one step's outcome. Mended is what was seen after mending,
// against a mesh in which all is healthy.
type StepResult struct {
	Name     string        `json:"name"`
	Expected Seen          `json:"expected"`
	Found    Seen          `json:"found"`
	OK       bool          `json:"ok"`
	Mended   *MendedResult `json:"mended,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// MendedResult is what was seen after a step was mended.
type MendedResult struct {
	Found Seen `json:"found"`
	OK    bool `json:"ok"`
}

// AlarmResult counts one alarm's distinct transitions over one chapter.
type AlarmResult struct {
	Chapter string         `json:"chapter,omitempty"` // on whose mesh
	Name    string         `json:"name"`
	Peer    mesh.PeerID    `json:"peer,omitzero"`
	Cluster mesh.ClusterID `json:"cluster,omitempty"`
	Raised  int            `json:"raised"`
	Cleared int            `json:"cleared"`
	// Unwanted is one of a chapter in which nobody was to be woken.
	Unwanted bool `json:"unwanted,omitempty"`
}

func same(a, b Seen) bool { return len(differences(a, b)) == 0 }

// differences names, one line each, where what was found is not what was
// expected.
func differences(want, got Seen) []string {
	var out []string
	add := func(what string, w, g any) {
		ws, gs := fmt.Sprint(w), fmt.Sprint(g)
		if ws != gs {
			out = append(out, fmt.Sprintf("%s: expected %s, found %s", what, ws, gs))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(union(want.Peers, got.Peers))) {
		w, ok1 := want.Peers[id]
		g, ok2 := got.Peers[id]
		if !ok1 || !ok2 {
			out = append(out, fmt.Sprintf("%s: expected %v, found %v", id, ok1, ok2))
			continue
		}
		add(id+" state", w.State, g.State)
		add(id+" cause", w.Cause, g.Cause)
		add(id+" overlays", w.Overlays, g.Overlays)
		for _, t := range peer.Types() {
			add(id+" "+string(t), w.Conditions[t], g.Conditions[t])
			add(id+" "+string(t)+" message", w.Says[t], g.Says[t])
		}
	}
	add("findings", want.Findings, got.Findings)
	add("checks that failed", want.Checks, got.Checks)
	add("alarms", want.Alarms, got.Alarms)
	add("actions", want.Actions, got.Actions)
	add("plan", want.Plan, got.Plan)
	add("plans", want.Plans, got.Plans)
	return out
}

func union[V any](a, b map[string]V) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}
