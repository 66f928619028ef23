package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/change"
	"peerkeeper/shared/check"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/tlsprobe"
)

// stage is where a story plays.
type stage struct {
	operator operator.Operator
	source   dashboard.Source
	sim      *clustersim.Sim
	secrets  func(mesh.ClusterID) error
	// preflight carries out the checks now.
	preflight func(context.Context) error
	pass      func(ctx context.Context, d time.Duration) error // lets time pass, and what is due in it happen
	hear      func(ctx context.Context) error                  // has the function peering look, now
	write     func(keys map[string]any) error                  // into mesh.yaml, and starts the host again with it
	plan      string                                           // the newest, by its id
	said      *collector
	tell      func(format string, args ...any)
	began     time.Time // of the step
	// spoken are the clusters that a story is about, nil all; a larger demo has more.
	spoken map[mesh.ClusterID]bool
}

// play plays the steps in order and compares each with what is found.
func (st *stage) play(ctx context.Context, chapter Chapter) (Result, error) {
	res := Result{OK: true}
	st.spoken = chapter.clusters(st.operator.Mesh.IDs())
	for _, step := range chapter.Steps {
		st.tell("— %s", step.Name)
		r, err := st.step(ctx, step)
		if err != nil {
			return res, fmt.Errorf("step %q: %w", step.Name, err)
		}
		res.Steps = append(res.Steps, r)
		res.OK = res.OK && r.OK && (r.Mended == nil || r.Mended.OK)
	}
	res.Alarms = st.said.results()
	for i, a := range res.Alarms {
		res.Alarms[i].Chapter, res.Alarms[i].Unwanted = chapter.Name, chapter.Silent
		if chapter.Silent || a.Raised != 1 || a.Cleared != 1 {
			res.OK = false
		}
	}
	return res, nil
}

func (st *stage) step(ctx context.Context, step Step) (StepResult, error) {
	r := StepResult{Name: step.Name}
	st.began = st.operator.Now()
	if err := st.acts(ctx, step.Break); err != nil {
		return r, err
	}
	if err := st.pass(ctx, time.Duration(step.Wait)); err != nil {
		return r, err
	}
	r.Expected = st.expected(step.Expect) // of the mesh as it is now
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
		found.Actions, found.Plans = healthy.Actions, healthy.Plans
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
	for _, d := range differences(want, got) {
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
			if err := st.sim.Do(http.MethodPost, a.Post, body); err != nil {
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
			retried, err := st.operator.RetryAccounts(ctx, a.Resume)
			if err != nil {
				return err
			}
			if !retried {
				return fmt.Errorf("resume: no account of %s is held back", a.Resume)
			}
		}
		switch {
		case a.Write != nil:
			st.tell("  operator: in mesh.yaml %s, and Peerkeeper is started again", written(a.Write))
			if err := st.write(a.Write); err != nil {
				return err
			}
		case a.Approve != "":
			if err := st.approve(ctx, a.Approve); err != nil {
				return err
			}
		case a.Preflight:
			st.tell("  operator: peerkeeper preflight --now")
			if err := st.preflight(ctx); err != nil {
				return err
			}
		case a.Follow > 0:
			if err := st.follow(ctx, time.Duration(a.Follow), a.Until); err != nil {
				return err
			}
		case len(a.Peering) > 0:
			if err := st.peering(ctx, a.Peering); err != nil {
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
	planned, err := st.operator.Plan(ctx)
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

// peering is what a person says to a plan, or the asking for one.
func (st *stage) peering(ctx context.Context, words []string) error {
	verb, rest := change.Verb(words[0]), words[1:]
	if verb == change.Ask {
		id, err := st.operator.AskForPlan(ctx, change.Kind(rest[0]), rest[1:])
		if err != nil {
			return err
		}
		st.plan = id
		st.tell("  operator: peerkeeper peering %s", strings.Join(words, " "))
		return st.hear(ctx)
	}
	p, err := record.LoadPlan(ctx, st.operator.Store, st.operator.Mesh.Name, st.plan)
	if err != nil {
		return err
	}
	at := p.Current()
	if at == nil {
		return fmt.Errorf("peering %s: plan %s has no step left", verb, p.ID)
	}
	w := change.Word{Verb: verb, Text: "as agreed", Yes: slices.Contains(rest, "yes"), Saw: map[int]time.Time{at.N: at.ServiceStart}}
	if err := st.say(ctx, &p.Plan, at, w); err != nil {
		return err
	}
	return st.hear(ctx)
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
	print := chain.Fingerprint(served.Leaf())
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

// expected fills in what a story leaves unsaid: every other peer of mesh.yaml is healthy,
// and none that has left it is to be seen but as Terminated.
func (st *stage) expected(e Expected) Seen {
	seen := Seen{Peers: map[string]PeerSeen{}, Findings: sorted(e.Findings), Checks: e.checks(), Alarms: sorted(e.Alarms), Actions: sorted(e.Actions), Plan: sorted(e.Plan), Plans: sorted(e.Plans)}
	for _, p := range st.operator.Mesh.Peers {
		if st.spokenOf(p.ID) {
			seen.Peers[p.ID.String()] = PeerSeen{State: peer.Healthy}
		}
	}
	maps.Copy(seen.Peers, e.Peers)
	for id, want := range seen.Peers {
		if want.Conditions == nil {
			want.Conditions = map[peer.Type]string{}
			seen.Peers[id] = want
		}
	}
	return seen
}

func (st *stage) spokenOf(id mesh.PeerID) bool {
	return st.spoken == nil || st.spoken[id.From] && st.spoken[id.To]
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
		want, named := e.Peers[p.ID.String()]
		if p.State == peer.Terminated && !named {
			continue
		}
		got := PeerSeen{Conditions: map[peer.Type]string{}}
		if !named || want.State != "" {
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
			id, checked := strings.CutPrefix(string(f.ID), string(check.PreflightFailed)+":")
			switch {
			case checked && e.Checks != nil:
				seen.Checks = append(seen.Checks, string(c.ID)+" "+id)
			case !checked && f.Severity != peer.Info:
				seen.Findings = append(seen.Findings, string(c.ID)+":"+string(f.Reason))
			}
		}
	}
	for _, a := range status.Alarms {
		if a.State == alarm.Cleared {
			continue
		}
		seen.Alarms = append(seen.Alarms, a.Name+" "+a.About())
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
	planned, err := st.operator.Plan(ctx)
	if err != nil {
		return Seen{}, err
	}
	for _, p := range planned {
		if p.Approval != "" && st.operator.Mesh.Policy.Mode == mesh.Recover {
			seen.Plan = append(seen.Plan, string(p.Cluster))
		}
	}
	if seen.Plans, err = st.plans(ctx); err != nil {
		return Seen{}, err
	}
	slices.Sort(seen.Checks)
	seen.Findings, seen.Alarms, seen.Actions, seen.Plan = sorted(seen.Findings), sorted(seen.Alarms), sorted(seen.Actions), sorted(seen.Plan)
	return seen, nil
}

// checks are the checks that must have failed, in order.
func (e Expected) checks() []string {
	if e.Checks == nil {
		return nil
	}
	return slices.Sorted(slices.Values(*e.Checks))
}

// plans are those under way, and those that ended since the step began.
func (st *stage) plans(ctx context.Context) ([]string, error) {
	plans, err := record.LoadPlans(ctx, st.operator.Store, st.operator.Mesh.Name)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range plans.Value.Plans {
		switch {
		case !e.State.Ended():
			out = append(out, fmt.Sprintf("%s %s %d", e.Kind, e.State, e.Step))
		case !e.Since.Before(st.began):
			out = append(out, fmt.Sprintf("%s %s", e.Kind, e.State))
		}
	}
	return sorted(out), nil
}

func sorted(s []string) []string {
	out := append([]string{}, s...)
	slices.Sort(out)
	return out
}
