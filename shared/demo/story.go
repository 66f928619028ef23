package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Story is what a demo plays: each step breaks something, waits, says what
// Peerkeeper must show, mends it, and waits for health.
type Story struct {
	Steps []Step `yaml:"steps"`
}

// Step is one incident.
type Step struct {
	Name   string   `yaml:"name"`
	Break  []Act    `yaml:"break"`
	Wait   Span     `yaml:"wait"`
	Expect Expected `yaml:"expect"`
	Mend   []Act    `yaml:"mend"`
	// Within is how long the mesh may take to be healthy again; 0 = it is not
	// asked.
	Within Span `yaml:"healthyWithin"`
}

// Act is one thing done: a call to the simulator, or what an operator would do.
type Act struct {
	Post string         `yaml:"post"` // path of the simulator's admin URL
	Body map[string]any `yaml:"body"` // a value "@+1h" is an instant from now
	// Wait lets time pass before the next act.
	Wait Span `yaml:"wait"`
	// Accept accepts the certificate that the node serves now.
	Accept mesh.NodeName `yaml:"accept"`
	// Secret writes the simulator's present password of a cluster to the file.
	Secret mesh.ClusterID `yaml:"secret"`
	Resume mesh.ClusterID `yaml:"resume"`
	// Mode is what the operator writes into mesh.yaml.
	Mode mesh.Mode `yaml:"mode"`
	// Approve approves what `plan` shows for this cluster.
	Approve mesh.ClusterID `yaml:"approve"`
}

// Expected is what must be seen. Peers that it does not name must be Healthy.
type Expected struct {
	Peers    map[string]PeerSeen `yaml:"peers"`
	Findings []string            `yaml:"findings"` // "apac:ClusterDown", of severity warning or worse
	Alarms   []string            `yaml:"alarms"`   // "ClusterDown apac", those that stand
	// Actions are those closed since the step began, with their outcome.
	Actions []string `yaml:"actions"`
	// Plan are the clusters for which an action awaits approval.
	Plan []string `yaml:"plan"`
}

// Seen is one shape for what was expected and what was found.
type Seen struct {
	Peers    map[string]PeerSeen `json:"peers"`
	Findings []string            `json:"findings"`
	Alarms   []string            `json:"alarms"`
	Actions  []string            `json:"actions"`
	Plan     []string            `json:"plan"`
}

// PeerSeen is one peer's state and the conditions in question: "False", or
// "False UsersMissing" with the reason. Says are words in a condition's message.
type PeerSeen struct {
	State      peer.State           `yaml:"state" json:"state"`
	Cause      string               `yaml:"cause" json:"cause,omitempty"`
	Overlays   []peer.Overlay       `yaml:"overlays" json:"overlays,omitempty"`
	Conditions map[peer.Type]string `yaml:"conditions" json:"conditions"`
	Says       map[peer.Type]string `yaml:"says" json:"says,omitempty"`
}

// Span is a duration in YAML, such as 2h30m.
type Span time.Duration

// UnmarshalYAML reads time.Duration's form.
func (s *Span) UnmarshalYAML(b []byte) error {
	d, err := time.ParseDuration(strings.Trim(strings.TrimSpace(string(b)), `"'`))
	*s = Span(d)
	return err
}

// LoadStory reads every *.yaml of a folder, in the order of their names.
func LoadStory(files fs.FS) (Story, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return Story{}, err
	}
	slices.Sort(names)
	var all Story
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return Story{}, err
		}
		var one Story
		if err := yaml.UnmarshalWithOptions(b, &one, yaml.Strict()); err != nil {
			return Story{}, fmt.Errorf("%s: %w", name, err)
		}
		all.Steps = append(all.Steps, one.Steps...)
	}
	if len(all.Steps) == 0 {
		return Story{}, errors.New("no scenario found: want *.yaml with steps")
	}
	return all, nil
}

// clusters are those a story is about: the first three, emea, apac and amer, and
// any other that it names.
func (s Story) clusters(ids []mesh.ClusterID) map[mesh.ClusterID]bool {
	out := map[mesh.ClusterID]bool{}
	for _, id := range ids[:min(3, len(ids))] {
		out[id] = true
	}
	for _, step := range s.Steps {
		for name := range step.Expect.Peers {
			if id, err := mesh.ParsePeerID(name); err == nil {
				out[id.From], out[id.To] = true, true
			}
		}
	}
	return out
}
