package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Story is what a demo plays, chapter by chapter.
type Story struct {
	Chapters []Chapter
}

// Chapter is a sequence of steps on one mesh: each breaks something, waits, says
// what Peerkeeper must show, mends it, and waits for health.
type Chapter struct {
	// Name tells a chapter from others; "" is the first.
	Name  string `yaml:"chapter"`
	Mesh  *Mesh  `yaml:"mesh"` // nil is a mesh as `peerkeeper sim` writes it
	Steps []Step `yaml:"steps"`
	// Silent is a chapter in which nobody is to be woken at all.
	Silent bool `yaml:"silent"`
}

// Mesh is what is special about a chapter's own mesh.
type Mesh struct {
	// NoDialect leaves what Cisco does not document unmapped, as in a mesh that
	// Peerkeeper has just met.
	NoDialect   bool `yaml:"noDialect"`
	LogSeverity int  `yaml:"logSeverity"` // of ICSA's Local Syslogs; 0 is Informational
	Clusters    int  `yaml:"clusters"`    // 0 is the demo's own number, as Users is
	Users       int  `yaml:"users"`
	// Apart are those that have no peers yet, the last; mesh.yaml does not list them.
	Apart int `yaml:"apart"`
	// Bells ask for a restart of Cisco XCP Router whenever an entry changes.
	Bells bool `yaml:"bells"`
	// Release of the clusters; "" is that of the demo.
	Release string `yaml:"release"`
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
	// Write is what the operator writes into mesh.yaml: its keys in the place of those
	// that stand there, and of clusters their ids. The host is started again with it.
	Write map[string]any `yaml:"write"`
	// Approve approves what `plan` shows for this cluster.
	Approve mesh.ClusterID `yaml:"approve"`
	// Preflight carries out the checks now, as `preflight --now` does.
	Preflight bool `yaml:"preflight"`
	// Follow lets a person do what the newest plan asks, for so long at most; Until is an
	// operation that is left to the acts that come, as is another mesh.yaml.
	Follow Span      `yaml:"follow"`
	Until  change.Op `yaml:"until"`
	// Peering is what a person says to the newest plan, or the asking for one, as
	// words of a command line: [plan, set, syncInterval=45, emea], [start],
	// [answer, "yes"].
	Peering []string `yaml:"peering"`
}

// Expected is what must be seen. Peers that it does not name must be Healthy.
type Expected struct {
	Peers    map[string]PeerSeen `yaml:"peers"`
	Findings []string            `yaml:"findings"` // "apac:ClusterDown", of severity warning or worse
	// Checks are those that failed at the last preflight: "emea replication:NODE". It looks
	// once a day, so what it found may be older than the step: nil leaves them out.
	Checks *[]string `yaml:"checks"`
	Alarms []string  `yaml:"alarms"` // "ClusterDown apac", those that stand
	// Actions are those closed since the step began, with their outcome.
	Actions []string `yaml:"actions"`
	// Plan are the clusters for which an action awaits approval.
	Plan []string `yaml:"plan"`
	// Plans are those under way, and those that ended since the step began: "set done",
	// or "restart-router waiting 4" with the step.
	Plans []string `yaml:"plans"`
}

// Seen is one shape for what was expected and what was found.
type Seen struct {
	Peers    map[string]PeerSeen `json:"peers"`
	Findings []string            `json:"findings"`
	Checks   []string            `json:"checks,omitempty"`
	Alarms   []string            `json:"alarms"`
	Actions  []string            `json:"actions"`
	Plan     []string            `json:"plan"`
	Plans    []string            `json:"plans,omitempty"`
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

// LoadStory reads every *.yaml of a folder, in the order of their names. A file
// without a mesh of its own goes on with the chapter before.
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
		var one Chapter
		if err := yaml.UnmarshalWithOptions(b, &one, yaml.Strict()); err != nil {
			return Story{}, fmt.Errorf("%s: %w", name, err)
		}
		if n := len(all.Chapters); n > 0 && one.Mesh == nil {
			all.Chapters[n-1].Steps = append(all.Chapters[n-1].Steps, one.Steps...)
			continue
		}
		all.Chapters = append(all.Chapters, one)
	}
	if !slices.ContainsFunc(all.Chapters, func(c Chapter) bool { return len(c.Steps) > 0 }) {
		return Story{}, errors.New("no scenario found: want *.yaml with steps")
	}
	return all, nil
}

// clusters are those a chapter is about: the first three, emea, apac and amer, and
// any other that it names; nil are all, of a mesh of its own size.
func (c Chapter) clusters(ids []mesh.ClusterID) map[mesh.ClusterID]bool {
	if c.Mesh != nil && c.Mesh.Clusters > 0 {
		return nil
	}
	out := map[mesh.ClusterID]bool{}
	for _, id := range ids[:min(3, len(ids))] {
		out[id] = true
	}
	for _, step := range c.Steps {
		for name := range step.Expect.Peers {
			if id, err := mesh.ParsePeerID(name); err == nil {
				out[id.From], out[id.To] = true, true
			}
		}
	}
	return out
}
