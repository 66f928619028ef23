package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/tlsprobe"
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
		for _, d := range Differences(s.Expected, s.Found) {
			out = append(out, fmt.Sprintf("step %q: %s", s.Name, d))
		}
		if s.Mended == nil {
			continue
		}
		healthy := Seen{Peers: map[string]PeerSeen{}}
		for id := range s.Mended.Found.Peers {
			healthy.Peers[id] = PeerSeen{State: peer.Healthy}
		}
		for _, d := range Differences(healthy, s.Mended.Found) {
			out = append(out, fmt.Sprintf("step %q, after mending: %s", s.Name, d))
		}
	}
	for _, a := range r.Alarms {
		if a.Raised != 1 || a.Cleared != 1 {
			out = append(out, fmt.Sprintf("alarm %s %s: expected to be raised once and cleared once, found raised %d times and cleared %d times", a.Name, cmp.Or(a.Peer, string(a.Cluster)), a.Raised, a.Cleared))
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

// AlarmResult counts one alarm's distinct transitions over the whole story.
type AlarmResult struct {
	Name    string         `json:"name"`
	Peer    string         `json:"peer,omitempty"`
	Cluster mesh.ClusterID `json:"cluster,omitempty"`
	Raised  int            `json:"raised"`
	Cleared int            `json:"cleared"`
}

// stage is where a story plays.
type stage struct {
	operator operator.Operator
	source  dashboard.Source
	admin   func(method, path string, body []byte) error
	secrets func(mesh.ClusterID) error
	pass    func(ctx context.Context, d time.Duration) error // lets time pass, and what is due in it happen
	said    *Collector
	tell    func(format string, args ...any)
	began   time.Time // of the step
	// spoken are the clusters that a story is about; a larger demo has more.
	spoken map[mesh.ClusterID]bool
}

// play plays the steps in order and compares each with what is found.
func (st *stage) play(ctx context.Context, story Story) (Result, error) {
	res := Result{OK: true}
	st.spoken = story.clusters(st.operator.Mesh.IDs())
	for _, step := range story.Steps {
		st.tell("— %s", step.Name)
		r, err := st.step(ctx, step)
		if err != nil {
			return res, fmt.Errorf("step %q: %w", step.Name, err)
		}
		res.Steps = append(res.Steps, r)
		res.OK = res.OK && r.OK && (r.Mended == nil || r.Mended.OK)
	}
	res.Alarms = st.said.Results()
	for _, a := range res.Alarms {
		if a.Raised != 1 || a.Cleared != 1 {
			res.OK = false
		}
	}
	return res, nil
}

func (st *stage) step(ctx context.Context, step Step) (StepResult, error) {
	r := StepResult{Name: step.Name, Expected: st.expected(step.Expect)}
	st.began = st.operator.Now()
	if err := st.acts(ctx, step.Break); err != nil {
		return r, err
	}
	if err := st.pass(ctx, time.Duration(step.Wait)); err != nil {
		return r, err
	}
	found, err := st.found(ctx, step.Expect)
	if err != nil {
		return r, err
	}
	r.Found, r.OK = found, same(r.Expected, found)
	st.report(r.OK, "seen as it should be", r.Expected, found)
	if err := st.acts(ctx, step.Mend); err != nil {
		return r, err
	}
	if step.Within == 0 {
		return r, nil
	}
	healthy := st.expected(Expected{})
	st.began = st.operator.Now()
	end := st.operator.Now().Add(time.Duration(step.Within))
	for {
		found, err := st.found(ctx, Expected{})
		if err != nil {
			return r, err
		}
		// What was done on the way to health is the mending's own business.
		found.Actions = healthy.Actions
		ok := same(healthy, found)
		if ok || !st.operator.Now().Before(end) {
			r.Mended = &MendedResult{Found: found, OK: ok}
			st.report(ok, "healthy again", healthy, found)
			return r, nil
		}
		if err := st.pass(ctx, 5*time.Minute); err != nil {
			return r, err
		}
	}
}

func (st *stage) report(ok bool, text string, want, got Seen) {
	if ok {
		st.tell("  %s", text)
		return
	}
	for _, d := range Differences(want, got) {
		st.tell("  NOT as expected: %s", d)
	}
}

func (st *stage) acts(ctx context.Context, acts []Act) error {
	for _, a := range acts {
		switch {
		case a.Post != "":
			body, err := json.Marshal(instants(a.Body, st.operator.Now()))
			if err != nil {
				return err
			}
			st.tell("  simulator: %s %s", a.Post, body)
			if err := st.admin(http.MethodPost, a.Post, body); err != nil {
				return fmt.Errorf("%s %s: %w", a.Post, body, err)
			}
		case a.Accept != "":
			if err := st.accept(ctx, a.Accept); err != nil {
				return err
			}
		case a.Secret != "":
			st.tell("  operator: a new version of the secret %s/read", a.Secret)
			if err := st.secrets(a.Secret); err != nil {
				return err
			}
		case a.Resume != "":
			st.tell("  operator: peerkeeper resume %s", a.Resume)
			if err := st.operator.Resume(ctx, a.Resume); err != nil {
				return err
			}
		}
		switch {
		case a.Mode != "":
			st.tell("  operator: policy.mode: %s in mesh.yaml", a.Mode)
			st.operator.Mesh.Policy.Mode = a.Mode
		case a.Approve != "":
			if err := st.approve(ctx, a.Approve); err != nil {
				return err
			}
		}
		if a.Wait > 0 {
			if err := st.pass(ctx, time.Duration(a.Wait)); err != nil {
				return err
			}
		}
	}
	return nil
}

// approve does what an operator does after reading the plan.
func (st *stage) approve(ctx context.Context, id mesh.ClusterID) error {
	planned, err := st.operator.Plan(ctx, 0)
	if err != nil {
		return err
	}
	for _, p := range planned {
		if p.Cluster == id && p.Approval != "" {
			st.tell("  operator: peerkeeper approve %s (%s %s)", p.ID, p.Kind, p.Target)
			_, err := st.operator.Approve(ctx, p.ID)
			return err
		}
	}
	return fmt.Errorf("approve: nothing on %s awaits approval", id)
}

// accept does what an operator does after reading a fingerprint by hand.
func (st *stage) accept(ctx context.Context, node mesh.NodeName) error {
	owner, ok := st.operator.Mesh.Owner(node)
	if !ok {
		return fmt.Errorf("accept: %s is no node", node)
	}
	c, _ := st.operator.Mesh.Cluster(owner)
	n, _ := c.Node(node)
	served, err := tlsprobe.Prober{Timeout: 5 * time.Second}.Probe(ctx, tlsprobe.Target{Address: n.Address, ServerName: n.ServerName()}, tlsprobe.Any)
	if served.Leaf() == nil {
		return fmt.Errorf("accept %s: no certificate read: %w", node, err)
	}
	print := tlsprobe.Fingerprint(served.Leaf())
	st.tell("  operator: peerkeeper trust accept %s %s", node, print)
	return st.operator.Accept(ctx, node, print)
}

// instants replaces "@+1h" by the instant an hour from now.
func instants(body map[string]any, now time.Time) map[string]any {
	out := maps.Clone(body)
	for k, v := range out {
		s, ok := v.(string)
		if !ok || !strings.HasPrefix(s, "@") {
			continue
		}
		if d, err := time.ParseDuration(s[1:]); err == nil {
			out[k] = now.Add(d).UTC().Format(time.RFC3339)
		}
	}
	return out
}

// expected fills in what a story leaves unsaid: every other peer is healthy.
func (st *stage) expected(e Expected) Seen {
	seen := Seen{Peers: map[string]PeerSeen{}, Findings: sorted(e.Findings), Alarms: sorted(e.Alarms), Actions: sorted(e.Actions), Plan: sorted(e.Plan)}
	for _, p := range st.operator.Mesh.Peers {
		if !st.spokenOf(p.ID) {
			continue
		}
		want, named := e.Peers[p.ID.String()]
		if !named {
			want = PeerSeen{State: peer.Healthy}
		}
		if want.Conditions == nil {
			want.Conditions = map[peer.Type]string{}
		}
		seen.Peers[p.ID.String()] = want
	}
	return seen
}

func (st *stage) spokenOf(id mesh.PeerID) bool { return st.spoken[id.From] && st.spoken[id.To] }

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

// found reads the same from the store, through the page's own eyes.
func (st *stage) found(ctx context.Context, e Expected) (Seen, error) {
	status, err := st.source.Status(ctx, st.operator.Now())
	if err != nil {
		return Seen{}, err
	}
	seen := Seen{Peers: map[string]PeerSeen{}}
	for _, p := range status.Peers {
		if !st.spokenOf(p.ID) {
			continue
		}
		want := e.Peers[p.ID.String()]
		got := PeerSeen{Conditions: map[peer.Type]string{}}
		if _, named := e.Peers[p.ID.String()]; !named || want.State != "" {
			got.State = p.State
		}
		if want.Cause != "" {
			got.Cause = p.Cause
		}
		if want.Overlays != nil {
			got.Overlays = p.Overlays
		}
		for _, c := range p.Conditions {
			if asked, ok := want.Conditions[c.Type]; ok {
				got.Conditions[c.Type] = string(c.Status)
				if strings.Contains(asked, " ") {
					got.Conditions[c.Type] += " " + string(c.Reason)
				}
			}
			if words, ok := want.Says[c.Type]; ok {
				if got.Says == nil {
					got.Says = map[peer.Type]string{}
				}
				got.Says[c.Type] = c.Message
				if strings.Contains(c.Message, words) {
					got.Says[c.Type] = words
				}
			}
		}
		seen.Peers[p.ID.String()] = got
	}
	for _, c := range status.Clusters {
		for _, f := range c.Findings {
			if f.Severity != "info" {
				seen.Findings = append(seen.Findings, string(c.ID)+":"+string(f.Reason))
			}
		}
	}
	for _, a := range status.Alarms {
		if a.State == alarm.Cleared {
			continue
		}
		seen.Alarms = append(seen.Alarms, a.Name+" "+subjectOf(a))
	}
	gate, err := repair.Load(ctx, st.operator.Store, st.operator.Mesh.Name)
	if err != nil {
		return Seen{}, err
	}
	for _, c := range gate.Closed {
		if !c.At.Before(st.began) {
			seen.Actions = append(seen.Actions, fmt.Sprintf("%s %s: %s", c.Action, c.Target, c.Outcome))
		}
	}
	planned, err := st.operator.Plan(ctx, 0)
	if err != nil {
		return Seen{}, err
	}
	for _, p := range planned {
		if p.Approval != "" && st.operator.Mesh.Policy.Mode == mesh.Recover {
			seen.Plan = append(seen.Plan, string(p.Cluster))
		}
	}
	seen.Findings, seen.Alarms, seen.Actions, seen.Plan = sorted(seen.Findings), sorted(seen.Alarms), sorted(seen.Actions), sorted(seen.Plan)
	return seen, nil
}

func subjectOf(n alarm.Notice) string {
	switch {
	case n.Peer != "":
		return n.Peer
	case n.Cluster != "":
		return string(n.Cluster)
	}
	return n.Mesh
}

func sorted(s []string) []string {
	out := append([]string{}, s...)
	slices.Sort(out)
	return out
}

func same(a, b Seen) bool { return len(Differences(a, b)) == 0 }

// Differences names, one line each, where what was found is not what was
// expected.
func Differences(want, got Seen) []string {
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
	add("alarms", want.Alarms, got.Alarms)
	add("actions", want.Actions, got.Actions)
	add("plan", want.Plan, got.Plan)
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
