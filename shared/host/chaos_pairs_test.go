package host_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// Plans that change pairs, in chaos: clusters join and leave, people make and delete
// entries, late, wrongly or not at all, and write mesh.yaml, which each host has in force
// when it is deployed there.

// chaosPlanQuiet is the longest that people take in the calm for a plan that was begun
// before, first full syncs and restarts included.
const chaosPlanQuiet = 10 * time.Hour

// pairs is what an episode knows of them.
type pairs struct {
	dir      string
	lines    map[mesh.ClusterID]map[string]any // of each cluster in mesh.yaml
	head     map[string]any                    // the rest of it
	says     written                           // what stands there now
	start    [2]func() *host.Host              // with the mesh.yaml of then
	due      [2]time.Time                      // when it is deployed; zero is never
	worn     map[mesh.PeerID]time.Time         // pairs that a plan changes, since when by true time
	raised   map[string]int                    // transitions of the alarms that stand, before a run
	moved    map[mesh.ClusterID]time.Time      // when the users of a cluster were last changed
	password map[mesh.ClusterID]string         // of its intercluster account
	seen     map[string]bool                   // steps whose effect was looked at
	changed  map[mesh.PeerID]bool              // pairs that a plan has changed
}

func newPairs() pairs {
	return pairs{worn: map[mesh.PeerID]time.Time{}, moved: map[mesh.ClusterID]time.Time{}, password: map[mesh.ClusterID]string{}, seen: map[string]bool{}, changed: map[mesh.PeerID]bool{}}
}

// written is what a person writes into mesh.yaml.
type written struct {
	clusters []mesh.ClusterID
	listed   bool          // pairs, in place of topology: full-mesh
	without  []mesh.PeerID // of those
	tls      []mesh.PeerID
}

func has(pairs []mesh.PeerID, id mesh.PeerID) bool {
	return slices.Contains(pairs, id) || slices.Contains(pairs, id.Reverse())
}

// begin writes the first mesh.yaml.
func (c *chaos) begin(dir string) error {
	c.dir, c.lines = dir, map[mesh.ClusterID]map[string]any{}
	var all []mesh.ClusterID
	for _, name := range []string{"mesh.yaml", "apart.yaml"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		var file map[string]any
		if err := yaml.Unmarshal(b, &file); err != nil {
			return err
		}
		clusters, _ := file["clusters"].([]any)
		for _, one := range clusters {
			line, _ := one.(map[string]any)
			id := mesh.ClusterID(fmt.Sprint(line["id"]))
			c.lines[id], all = line, append(all, id)
		}
		if c.head == nil {
			c.head = file
			c.says = written{clusters: slices.Clone(all)}
		}
	}
	var err error
	if c.mesh, err = c.load(written{clusters: all}); err == nil {
		c.file, err = c.load(c.says)
	}
	return err
}

// load reads a mesh.yaml as each host does, with what this episode has for a policy.
func (c *chaos) load(w written) (*mesh.Mesh, error) {
	file := maps.Clone(c.head)
	var clusters []any
	for _, id := range w.clusters {
		clusters = append(clusters, c.lines[id])
	}
	peers := map[string]any{"protocol": "tcp"}
	if !w.listed {
		peers["topology"] = "full-mesh"
	}
	var list, except []any
	for i, a := range w.clusters {
		for _, b := range w.clusters[i+1:] {
			id := mesh.PeerID{From: a, To: b}
			if w.listed && !has(w.without, id) {
				list = append(list, []any{string(a), string(b)})
			}
			if has(w.tls, id) && !has(w.without, id) {
				except = append(except, map[string]any{"pair": []any{string(a), string(b)}, "protocol": "tls"})
			}
		}
	}
	if w.listed {
		peers["pairs"] = list
	}
	if len(except) > 0 {
		peers["except"] = except
	}
	file["clusters"], file["peers"] = clusters, peers
	b, err := yaml.Marshal(file)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(c.dir, "mesh.yaml")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return nil, err
	}
	m, err := meshfile.Load(path)
	if err != nil {
		return nil, err
	}
	if c.plan.Clock != clockTable {
		m.Dialect = nil
		for i := range m.Clusters {
			m.Clusters[i].SyncInterval = mesh.Duration(time.Duration(c.plan.Every) * time.Minute) // declared: nothing reads it
			m.Clusters[i].AutoRecovery = c.plan.Auto
		}
	}
	m.Policy.Mode = mesh.Recover
	m.Policy.RestartForOnePeer = c.plan.One
	m.Policy.StartCommanded = c.plan.Start
	m.Policy.WaitForPeople = mesh.Duration(c.plan.Wait)
	m.Policy.ImportCertificates, m.Policy.Limits.ImportsPerMeshPerHour = c.plan.Import, c.plan.Limit
	if from, to, ok := strings.Cut(c.plan.Window, "-"); ok {
		m.Policy.Windows = []mesh.Window{{Kind: "deny", From: from, To: to, TimeZone: "Europe/Berlin"}}
	}
	return m, nil
}

// pages is how the pages of a cluster are from the beginning.
func (c *chaos) pages(id mesh.ClusterID) error {
	path := "/clusters/" + string(id)
	c.password[id] = "of the beginning"
	err := c.admin(path+"/credentials", map[string]any{"account": "intercluster", "password": c.password[id]})
	for _, p := range c.mesh.Peers {
		if err == nil && p.ID.To == id && c.entry(p.ID) != nil {
			err = c.admin("/clusters/"+string(p.ID.From)+"/peers", map[string]any{"peer": id, "password": c.password[id]})
		}
	}
	if err == nil && c.plan.First != "" {
		err = c.admin(path+"/sync", map[string]any{"firstFull": c.plan.First})
	}
	if err == nil && c.plan.Bells {
		err = c.admin(path+"/notification", map[string]any{"onChange": true})
	}
	return err
}

// write is a person who writes mesh.yaml, and deploys it: on the host at hand now, on the
// other one later.
func (c *chaos) write(host int, w written) {
	m, err := c.load(w)
	if err != nil {
		c.fail("%+v cannot be written: %v", w, err)
		return
	}
	c.says, c.file = w, m
	c.logf("mesh.yaml: %v listed %v without %v tls %v", w.clusters, w.listed, w.without, w.tls)
	c.due[host] = c.clock.Now()
	c.due[1-host] = c.clock.Now().Add(time.Duration(c.chance("deploy")%120) * time.Minute)
	c.deploy()
}

// deploy has a host begin with the mesh.yaml that is due there.
func (c *chaos) deploy() {
	for i := range c.hosts {
		if !c.due[i].IsZero() && !c.clock.Now().Before(c.due[i]) {
			c.due[i] = time.Time{}
			c.hosts[i] = c.start[i]()
			c.logf("host %d has mesh.yaml %v", i, c.file.IDs())
		}
	}
}

func (c *chaos) deployNow() {
	for i := range c.due {
		if !c.due[i].IsZero() {
			c.due[i] = c.clock.Now()
		}
	}
	c.deploy()
}

// inForce is the mesh of the host whose run is under way.
func (c *chaos) inForce() *mesh.Mesh { return c.hosts[c.acting].Mesh }

// entry is a peer entry as the simulator has it; nil if there is none.
func (c *chaos) entry(id mesh.PeerID) *clustersim.PeerState {
	for _, cl := range c.sim.State().Clusters {
		for i := range cl.Peers {
			if cl.ID == string(id.From) && cl.Peers[i].ID == string(id.To) {
				return &cl.Peers[i]
			}
		}
	}
	return nil
}

func (c *chaos) page(id mesh.PeerID, body map[string]any) {
	body["peer"] = id.To
	c.mustAdmin("/clusters/"+string(id.From)+"/peers", body)
}

// wish is what people ask for when an episode begins.
func (c *chaos) wish() {
	s := step{Kind: "plan", Which: c.plan.Seed, Size: 2}
	switch {
	case c.plan.Wish == 0:
		return
	case c.plan.Apart > 0:
		s.Which = 0
	case c.plan.Wish < 4:
		c.askFor(s, change.Leave, string(c.clusterAt(s.Which).ID))
		return
	}
	c.ask(s)
}

// ofPairs is a plan that changes pairs which somebody may ask for now.
func (c *chaos) ofPairs(s step) (change.Kind, []string) {
	var apart []mesh.ClusterID
	for _, id := range c.mesh.IDs() {
		if !slices.Contains(c.says.clusters, id) {
			apart = append(apart, id)
		}
	}
	if len(apart) > 0 && s.Which%4 != 3 {
		args := []string{string(apart[0])}
		if s.Size%2 == 0 {
			cl, _ := c.mesh.Cluster(apart[0])
			args = append(args, "publisher="+string(cl.Publisher))
		}
		return change.Join, args
	}
	if len(c.says.without) > 0 {
		id := c.says.without[0]
		return change.Add, []string{string(id.From), string(id.To)}
	}
	id := c.file.Peers[s.Which%len(c.file.Peers)].ID
	pair := []string{string(id.From), string(id.To)}
	switch s.Which / 4 % 6 {
	case 0, 1:
		if len(c.says.clusters) > 2 {
			return change.Leave, []string{string(id.To)}
		}
	case 2:
		if len(c.says.clusters) > 2 {
			return change.Delete, pair
		}
	case 3:
		protocol := "tls"
		if has(c.says.tls, id) {
			protocol = "tcp"
		}
		return change.Edit, append(pair, "protocol="+protocol)
	case 4:
		to, _ := c.mesh.Cluster(id.To)
		return change.Edit, append(pair, "address="+string(to.Publisher))
	}
	return change.RotateCredentials, []string{string(id.To)}
}

// work is a person who sits down to a plan, and does one thing after the other, until
// it waits for something else, or stops again.
func (c *chaos) work(s step) {
	plans := c.underWay()
	if len(plans) == 0 {
		return
	}
	id := plans[s.Which%len(plans)].ID
	for resumed := 0; c.broken == nil && resumed < 2; c.advance(time.Minute) {
		i := slices.IndexFunc(c.underWay(), func(p *record.Plan) bool { return p.ID == id })
		if i < 0 {
			return
		}
		p := c.underWay()[i]
		at := p.Current()
		if s.Size--; at == nil || p.State == change.Running || s.Size < -2 {
			return
		}
		if p.State == change.Stopped {
			resumed++
		}
		c.obey(p, at, s.Host)
	}
}

// does is a person who does what a step of a pair's plan asks for, mostly; what is said
// then is a word to the plan.
func (c *chaos) does(p *record.Plan, at *change.Step, host int) change.Word {
	w := change.Word{Verb: change.Confirm, Steps: []int{at.N}, Text: "chaos"}
	amiss := ""
	if n := c.chance("amiss", c.names.plain(p.ID), at.N); c.step.Kind != "calm" && n < 250 {
		amiss = []string{"forgets", "other side", "wrong value", "wrong password"}[n%4]
		c.wrong++
	}
	id := at.Pair
	if amiss == "other side" {
		id = id.Reverse()
	}
	to, _ := c.mesh.Cluster(id.To)
	right := map[string]any{"password": c.password[id.To]}
	switch at.Op {
	case change.OpAddEntry:
		right["present"], right["address"], right["protocol"] = true, string(to.Publisher), c.protocol(id)
		switch amiss {
		case "wrong value":
			right["address"], right["protocol"] = string(to.Nodes[1].Name), "tls"
		case "wrong password":
			right["password"] = "mistyped"
		}
		if amiss != "forgets" {
			c.page(id, right)
		}
	case change.OpEditEntry:
		if amiss != "forgets" && c.entry(id) != nil {
			key := "protocol"
			if at.Purpose == change.ByAddress {
				key = "address"
			}
			c.page(id, map[string]any{key: at.Value})
		}
	case change.OpDeleteEntry:
		if amiss != "forgets" {
			c.page(id, map[string]any{"present": false})
		}
	case change.OpEnterCredentials:
		if amiss == "wrong password" {
			right["password"] = "mistyped"
		}
		if amiss != "forgets" && c.entry(id) != nil {
			c.page(id, right)
		}
	case change.OpPrepare:
		if at.Purpose == "password" && amiss != "forgets" {
			c.password[at.Cluster] = "since " + c.clock.Now().Format(time.DateTime)
			c.mustAdmin("/clusters/"+string(at.Cluster)+"/credentials", map[string]any{"account": "intercluster", "password": c.password[at.Cluster]})
		}
	case change.OpAskBell:
		w.Verb = change.Answer
		for _, cl := range c.sim.State().Clusters {
			w.Yes = w.Yes || cl.ID == string(at.Pair.From) && cl.PendingNotification
		}
		w.Yes = w.Yes != (amiss == "other side")
	case change.OpAskEach:
		w.Verb, w.Yes = change.Answer, c.plan.Seed%3 > 0
	case change.OpMeshLines:
		if amiss != "forgets" {
			c.write(host, c.asTold(at))
		}
	case change.OpLayOut:
		if !slices.Contains(c.says.clusters, at.Cluster) {
			c.write(host, c.asTold(&change.Step{Purpose: string(change.Join), Cluster: at.Cluster}))
		}
		c.deployNow()
	case change.OpSyncAgent:
		c.mustAdmin("/clusters/"+string(at.Cluster)+"/sync", map[string]any{"completed": true})
	case change.OpDuplicates:
		if p.Steps[at.N-1].Said == nil {
			c.runs(host, "preflight", time.Time{})
		}
	case change.OpVerifyPair:
		c.mendEntry(at.Pair)
		c.mendEntry(at.Pair.Reverse())
	case change.OpVerifyGone:
		c.page(at.Pair, map[string]any{"present": false})
	}
	if amiss != "" {
		c.logf("%s: %s at step %d", c.names.plain(p.ID), amiss, at.N)
	}
	return w
}

// asTold is mesh.yaml as a plan's step has it.
func (c *chaos) asTold(at *change.Step) written {
	w := c.says
	w.clusters, w.without, w.tls = slices.Clone(w.clusters), slices.Clone(w.without), slices.Clone(w.tls)
	of := func(id mesh.PeerID) bool { return id == at.Pair || id == at.Pair.Reverse() }
	switch change.Kind(at.Purpose) {
	case change.Join:
		if !slices.Contains(w.clusters, at.Cluster) {
			w.clusters = append(w.clusters, at.Cluster)
		}
	case change.Leave:
		gone := func(id mesh.PeerID) bool { return id.From == at.Cluster || id.To == at.Cluster }
		w.clusters = slices.DeleteFunc(w.clusters, func(id mesh.ClusterID) bool { return id == at.Cluster })
		w.without, w.tls = slices.DeleteFunc(w.without, gone), slices.DeleteFunc(w.tls, gone)
	case change.Delete:
		w.listed, w.without = true, append(w.without, at.Pair)
	case change.Edit:
		w.tls = slices.DeleteFunc(w.tls, of)
		if at.Value == string(mesh.TLSProto) {
			w.tls = append(w.tls, at.Pair)
		}
	default:
		w.without = slices.DeleteFunc(w.without, of)
	}
	return w
}

// protocol is that of an entry as mesh.yaml has it.
func (c *chaos) protocol(id mesh.PeerID) string {
	if p, ok := c.file.Peer(id); ok {
		return string(p.Protocol)
	}
	return string(mesh.TCP)
}

// mendEntry is a person who puts one entry right, and has it sync at once.
func (c *chaos) mendEntry(id mesh.PeerID) {
	to, _ := c.mesh.Cluster(id.To)
	c.page(id, map[string]any{"present": true, "address": string(to.Publisher), "protocol": c.protocol(id), "password": c.password[id.To], "mode": "ok", "forceSync": true})
}

// tidy is a person who puts right what plans that have ended, or were given up, have left
// otherwise than mesh.yaml has it.
func (c *chaos) tidy() {
	for _, cl := range c.sim.State().Clusters {
		if cl.HAEnabled && slices.ContainsFunc(cl.Nodes, func(n clustersim.NodeState) bool { return n.Role != "cucm" && !n.Down && n.HAState != peer.HANormal }) {
			_ = c.admin("/clusters/"+cl.ID+"/ha", map[string]any{"fallback": true}) // the button is there only after a failover
		}
	}
	worn := c.wornNow()
	for _, p := range c.mesh.Peers {
		if worn[p.ID] != "" || worn[p.ID.Reverse()] != "" {
			continue
		}
		e := c.entry(p.ID)
		_, declared := c.file.Peer(p.ID)
		switch {
		case declared && c.amiss(p.ID) != "":
			c.mendEntry(p.ID)
		case !declared && e != nil:
			c.page(p.ID, map[string]any{"present": false})
		}
	}
}

// amiss is how an entry is not as mesh.yaml has it; "" if it is.
func (c *chaos) amiss(id mesh.PeerID) string {
	e := c.entry(id)
	to, _ := c.mesh.Cluster(id.To)
	switch {
	case e == nil:
		return "is missing"
	case e.Address != string(to.Publisher):
		return "names " + e.Address
	case e.Protocol != c.protocol(id):
		return "uses " + e.Protocol
	case strings.Contains(e.LastError, "user name or password"):
		return "has a wrong password"
	}
	return ""
}

// wornNow are the pairs that wear Changing, as PLANS has it.
func (c *chaos) wornNow() map[mesh.PeerID]string {
	plans, err := record.LoadPlans(context.Background(), c.base, c.mesh.Name)
	if err != nil {
		c.fail("the plans: %v", err)
	}
	return plans.Value.Changing()
}

// before remembers, before a run judges, which alarms stand.
func (c *chaos) before(function string) {
	if function != "stucksync" || len(c.worn) == 0 {
		return
	}
	c.raised = c.standing()
}

// standing are the alarms of pairs that stand, each with its transition.
func (c *chaos) standing() map[string]int {
	items, err := alarm.Items(context.Background(), c.base, c.mesh.Name)
	if err != nil {
		c.fail("alarms: %v", err)
	}
	out := map[string]int{}
	for fp, it := range items {
		if it.Active() && !it.Peer.IsZero() {
			out[fp] = it.Transition
		}
	}
	return out
}

// after checks, after a run, that no alarm was raised of a pair that a plan changes, and
// notes which they are.
func (c *chaos) after(function string) {
	switch {
	case c.deep:
	case function == "stucksync" && len(c.worn) > 0:
		items, err := alarm.Items(context.Background(), c.base, c.mesh.Name)
		if err != nil {
			c.fail("alarms: %v", err)
		}
		for fp, it := range items {
			if it.Active() && c.isWorn(it.Peer) && it.Transition > c.raised[fp] {
				c.fail("%s %s is raised while a plan changes it: %s", it.Name, it.Peer, it.Message)
			}
		}
	case function == "peering":
		now := c.wornNow()
		for id := range c.worn {
			if now[id] == "" {
				delete(c.worn, id)
			}
		}
		for id := range now {
			c.changed[id] = true
			if c.worn[id].IsZero() {
				c.worn[id] = c.clock.Now()
			}
		}
	}
}

// isWorn says that a plan changes a pair, and that every host knows: one whose reads lag
// may not for a while.
func (c *chaos) isWorn(id mesh.PeerID) bool {
	since, worn := c.worn[id]
	return worn && (c.plan.Lag == 0 || c.clock.Now().Sub(since) > 30*time.Minute)
}

// unspoken checks that no notice speaks of a pair that a plan changes, unless it was
// decided before.
func (c *chaos) unspoken(n alarm.Notice) {
	if n.State != alarm.Cleared && c.isWorn(n.Peer) && n.Transition > c.raised[n.Fingerprint] {
		c.fail("%s %s is said while a plan changes it: %s", n.Name, n.Peer, n.Message)
	}
}

// untouched checks that a repair leaves alone what a plan changes.
func (c *chaos) untouched(a act, intent *repair.Intent) {
	worn := c.wornNow()
	for _, id := range intent.Peers {
		if plan := worn[id]; plan != "" {
			c.fail("%s %s for %s, which plan %s changes", a.action, a.target, id, plan)
		}
	}
}

// allowed checks a restart of the router by a plan that changes pairs.
func (c *chaos) allowed(a act, p *record.Plan, s *change.Step) {
	if s.Consent == nil || len(p.Pairs) == 0 {
		return
	}
	cl, _ := c.mesh.Cluster(a.target.Cluster)
	before14 := c.plan.Release == "12.5"
	switch on := p.Step(s.Of); {
	case a.target.Service != peer.XCPRouter:
		c.fail("plan %s restarts %s", p.ID, a.target)
	case before14 && (p.Kind == change.Delete || p.Kind == change.Leave) && a.target.Node == cl.Publisher:
	case on == nil || on.Op != change.OpRouterDue || on.State != change.StepDone || !on.Said.Yes:
		c.fail("plan %s restarts %s, and nothing asks for it: %+v", p.ID, a.target, on)
	case !asks(p, on):
		c.fail("plan %s restarts %s, and no notification has asked for it", p.ID, a.target)
	}
	for _, b := range c.acts {
		was := p.Step(b.planned.Step)
		if on := p.Step(s.Of); on != nil && on.Op == change.OpRouterDue && b.planned.Plan == p.ID && b.applied && was != nil && was.Of == s.Of && b.target == a.target {
			c.fail("plan %s restarts %s again for one asking", p.ID, a.target)
		}
	}
	for _, st := range c.sim.State().Clusters {
		for _, n := range st.Nodes {
			up, listed := n.UpTime[a.target.Service]
			started := chaosClock{c}.Now().Add(-time.Duration(up) * time.Second)
			if n.Name == string(a.target.Node) && listed && up >= 0 && s.Consent.ServiceStart.Sub(started).Abs() > 6*time.Minute {
				c.fail("%s is approved as started at %s, and was at %s", a.target, s.Consent.ServiceStart.Format(time.DateTime), started.Format(time.DateTime))
			}
		}
	}
}

// asks says that a notification has asked for what due is about, since that was asked last.
func asks(p *record.Plan, due *change.Step) bool {
	yes := false
	for i := range p.Steps[:due.N-1] {
		s := &p.Steps[i]
		switch {
		case s.Op == change.OpRouterDue && s.Cluster == due.Cluster:
			yes = false
		case s.Op == change.OpAskBell && (s.Pair.From == due.Cluster || s.Pair.To == due.Cluster):
			yes = yes || s.State == change.StepDone && s.Said != nil && s.Said.Yes
		}
	}
	return yes
}

// effects checks that what a plan has seen of a pair is true in the clusters' own tables,
// when it has just seen it.
func (c *chaos) effects() {
	for _, id := range c.plans {
		if c.checked[id] && c.seen[id] {
			continue
		}
		p, err := record.LoadPlan(context.Background(), c.base, c.mesh.Name, id)
		if err != nil || len(p.Pairs) == 0 {
			continue
		}
		c.seen[id] = p.State.Ended()
		for i := range p.Steps {
			s := &p.Steps[i]
			key := fmt.Sprint(id, " ", s.N)
			if s.State != change.StepDone || c.seen[key] {
				continue
			}
			c.seen[key] = true
			if s.Said == nil && !s.Began.IsZero() && c.plan.Lag == 0 && c.offset == 0 {
				c.effect(p, s)
			}
		}
	}
}

func (c *chaos) effect(p *record.Plan, s *change.Step) {
	e := c.entry(s.Pair)
	switch s.Op {
	case change.OpVerifyPair:
		if amiss := c.amiss(s.Pair); amiss != "" && c.plan.Clock == clockTable {
			c.fail("plan %s has verified %s, whose entry %s", p.ID, s.Pair, amiss)
		}
		for _, cl := range c.sim.State().Clusters {
			if cl.ID == string(s.Pair.To) && c.clock.Now().Sub(c.moved[s.Pair.To]) > time.Hour && e != nil && e.AssociatedUsers != cl.Users {
				c.fail("plan %s has verified %s, which has %d of %d users", p.ID, s.Pair, e.AssociatedUsers, cl.Users)
			}
		}
		if e != nil && e.FirstFull {
			c.fail("plan %s has verified %s, whose first full sync is under way", p.ID, s.Pair)
		}
	case change.OpVerifyGone, change.OpDeleteEntry:
		if e != nil {
			c.fail("plan %s says that the entry %s is gone: %+v", p.ID, s.Pair, e)
		}
	case change.OpAddEntry:
		if e == nil {
			c.fail("plan %s says that the entry %s is there", p.ID, s.Pair)
		}
	}
}

// keeps checks that a plan that is done has left the clusters' tables as it says.
func (c *chaos) keeps(p *record.Plan) {
	if len(p.Pairs) == 0 || c.skipped(p) {
		return
	}
	for _, id := range p.Pairs {
		e := c.entry(id)
		switch p.Kind {
		case change.Leave, change.Delete:
			if e != nil {
				c.fail("plan %s is done, and the entry %s is there", p.ID, id)
			}
		case change.Join, change.Add:
			if e == nil {
				c.fail("plan %s is done, and there is no entry %s", p.ID, id)
			}
		}
	}
}

// skipped says that somebody skipped a step of a plan, or vouched for one that could not be
// read.
func (c *chaos) skipped(p *record.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s change.Step) bool {
		if s.Said == nil || s.Op == change.OpPrepare {
			return false
		}
		return s.Said.Verb == change.Skip || s.Said.Verb == change.Confirm && c.plan.Clock != clockTable || s.Said.Verb == change.Confirm && s.State == change.StepDone && strings.Contains(s.Evidence, "cannot be read")
	})
}

// othersWell says that all pairs are healthy that no plan changes, nor holds up the
// cluster of.
func (c *chaos) othersWell() bool {
	ctx := context.Background()
	gate, err := repair.Load(ctx, c.base, c.mesh.Name)
	if err != nil {
		c.fail("the gate: %v", err)
		return false
	}
	snapshot, err := record.Load(ctx, c.base, c.file)
	if err != nil {
		c.fail("%v", err)
		return false
	}
	worn := c.wornNow()
	for _, p := range c.file.Peers {
		held := slices.ContainsFunc(gate.Locks, func(l repair.Lock) bool { return l.Cluster == p.ID.From || l.Cluster == p.ID.To })
		if worn[p.ID] == "" && !held && snapshot.States[p.ID].Value.State != peer.Healthy {
			return false
		}
	}
	return true
}

// unattendedPairs checks, when nobody does anything for half an hour, that each pair whose
// entries are not as mesh.yaml has them has its state and its alarm, unless a plan
// changes it.
func (c *chaos) unattendedPairs() {
	if len(c.changed) == 0 || c.plan.Clock != clockTable {
		return
	}
	for range 6 {
		c.quiet++
		c.tick(0)
		c.ticks--
		c.look()
	}
	c.alarmed()
}

// stuckElsewhere has a pair stand still that no plan changes, while one waits: it is to be
// repaired before anybody goes on with the plan.
func (c *chaos) stuckElsewhere() {
	worn := c.wornNow()
	if len(worn) == 0 || c.plan.Seed%2 > 0 || c.plan.Release == "12.5" {
		return
	}
	for _, p := range c.file.Peers {
		if worn[p.ID] == "" && c.entry(p.ID) != nil {
			c.page(p.ID, map[string]any{"mode": "stuck", "selfHeals": false})
			c.elsewhere++
			return
		}
	}
}

// alarmed checks that a broken pair that no plan changes has its alarm.
func (c *chaos) alarmed() {
	snapshot, err := record.Load(context.Background(), c.base, c.file)
	if err != nil {
		c.fail("%v", err)
		return
	}
	items, err := alarm.Items(context.Background(), c.base, c.mesh.Name)
	if err != nil {
		c.fail("alarms: %v", err)
		return
	}
	// The plans themselves say what they change, and not PLANS: a pair that is worn there on
	// after its plan's end is silent without a reason.
	worn := map[mesh.PeerID]bool{}
	for _, p := range c.underWay() {
		for _, id := range p.Pairs {
			worn[id] = true
		}
	}
	for _, p := range c.file.Peers {
		amiss := c.amiss(p.ID)
		if amiss == "" || worn[p.ID] || strings.Contains(amiss, "password") {
			continue
		}
		c.unattended++
		st := snapshot.States[p.ID].Value
		raised := slices.ContainsFunc(slices.Collect(maps.Values(items)), func(it alarm.Item) bool {
			return it.Active() && (it.Peer == p.ID || it.Peer == p.ID.Reverse() || it.Cluster == p.ID.From || it.Cluster == p.ID.To)
		})
		quiet := slices.ContainsFunc(st.Overlays, func(o peer.Overlay) bool { return o != peer.Paused && o != peer.Changing })
		if st.State == peer.Healthy || !raised && !quiet && st.State != peer.StateUnknown {
			c.fail("the entry %s %s, no plan changes it, and it is %s %v without an alarm: %s", p.ID, amiss, st.State, st.Overlays, c.states())
		}
	}
}

// breakLate breaks a pair that a plan has changed, when all is well, and has it mended when
// that was told.
func (c *chaos) breakLate() {
	i := slices.IndexFunc(c.file.Peers, func(p mesh.Peer) bool { return c.changed[p.ID] })
	if i < 0 || c.plan.Clock != clockTable {
		return
	}
	id := c.file.Peers[i].ID
	c.look() // at plans that have ended just now
	c.page(id, map[string]any{"present": false})
	c.unattendedPairs()
	c.mendEntry(id)
}

// counts are numbers by name, in the order of the names.
func counts(of map[string]int) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		out = append(out, name+" "+strconv.Itoa(of[name]))
	}
	return strings.Join(out, ", ")
}
