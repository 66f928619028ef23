package change

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// TestAJoinByAnotherPublisherThanMeshYAMLHas: before anything is laid out, with both names and
// the cure.
func TestAJoinByAnotherPublisherThanMeshYAMLHas(t *testing.T) {
	m := world("14.0", "emea", "apac", "latam")
	latam := &m.Clusters[2]
	latam.Publisher = "imp-latam-pub.example.com"
	latam.Nodes = []mesh.Node{
		{Name: latam.Publisher, Address: "192.0.2.17:8443", TLSName: "cups1.example.org"},
		{Name: "imp-latam-sub.example.com", Address: "192.0.2.18:8443"},
	}
	byAddress := world("14.0", "emea", "latam")
	byAddress.Clusters[1].Publisher = "2001:DB8::17"
	byAddress.Clusters[1].Nodes[0].Name = "2001:DB8::17"
	without := *m
	without.Clusters = m.Clusters[:2]
	without.Peers = slices.DeleteFunc(slices.Clone(m.Peers), func(p mesh.Peer) bool { return p.ID.From == "latam" || p.ID.To == "latam" })
	for _, c := range []struct {
		name string
		mesh *mesh.Mesh
		said string
		says string // "" if it is the same
	}{
		{"as it is", m, "imp-latam-pub.example.com", ""},
		{"with the port", m, "imp-latam-pub.example.com:8443", ""},
		{"in capitals, with the final dot", m, "IMP-LATAM-PUB.Example.com.", ""},
		{"without its domain", m, "imp-latam-pub", ""},
		{"by its address", m, "192.0.2.17", ""},
		{"by its address and port", m, "192.0.2.17:8443", ""},
		{"by what its certificate carries", m, "cups1.example.org", ""},
		{"a node name that is an address, written otherwise", byAddress, "[2001:db8:0::17]:8443", ""},
		{"nobody has said", m, "", ""},
		{"another host", m, "imp-braz-pub.example.com", "--publisher says imp-braz-pub.example.com, and mesh.yaml has imp-latam-pub.example.com as the publisher of latam"},
		{"the same name in another domain", m, "imp-latam-pub.example.net", "mesh.yaml has imp-latam-pub.example.com"},
		{"the subscriber, without its domain", m, "imp-latam-sub", "of which imp-latam-sub.example.com is a subscriber"},
		{"the subscriber", m, "IMP-LATAM-SUB.example.com", "of which imp-latam-sub.example.com is a subscriber"},
		{"an address that mesh.yaml does not have", m, "192.0.2.99", "does not tell whether that is its address"},
		{"a name where the node name is an address", byAddress, "imp-latam-pub", "mesh.yaml has 2001:DB8::17"},
	} {
		args := []string{"latam", "publisher=" + c.said}
		_, err := Make(Known{Mesh: c.mesh, Now: noon}, "c4f2", Word{Kind: Join, Args: args, Actor: "ada", At: noon})
		p := made(t, &without, Join, args...)
		_, later := p.LayOut(Known{Mesh: c.mesh, Now: noon})
		if c.says == "" {
			if err != nil || later != nil {
				t.Errorf("%s: %v; %v", c.name, err, later)
			}
			continue
		}
		if !errors.As(err, new(*UsageError)) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "leave --publisher out") {
			t.Errorf("%s, with its cluster in mesh.yaml: %v", c.name, err)
		}
		if later == nil || !strings.Contains(later.Error(), c.says) || !strings.Contains(later.Error(), "resume") || len(p.Steps) != 2 {
			t.Errorf("%s, when its cluster stands in mesh.yaml: %v", c.name, later)
		}
	}
}

// TestRestartsThatOnlyAPageAsksForAreEstimatedApart: until the pages have been looked at.
func TestRestartsThatOnlyAPageAsksForAreEstimatedApart(t *testing.T) {
	m := world("14.0", "emea", "apac", "amer")
	p := made(t, m, Add, "emea", "apac")
	estimate := func() string { return p.View(m).Estimate }
	if got := estimate(); !strings.HasSuffix(got, "; up to 4 restarts more (1 h 28 min, 10 steps for people) if a page asks for it") {
		t.Errorf("a draft: %s", got)
	}
	before, _, _ := strings.Cut(estimate(), ";")
	answer := func(yes bool) {
		for i := range p.Steps {
			if s := &p.Steps[i]; s.Op == OpAskBell {
				s.State, s.Said = StepDone, &Said{Verb: Answer, Actor: "ada", Yes: yes}
			}
		}
	}
	answer(false)
	if got := estimate(); strings.Contains(got, "more (") || !strings.HasPrefix(got, before) {
		t.Errorf("no page asks: %s, and before %s", got, before)
	}
	answer(true)
	if got := estimate(); strings.Contains(got, "more (") || strings.HasPrefix(got, before) {
		t.Errorf("a page asks: %s, and before %s", got, before)
	}
	if got := made(t, world("12.5", "emea", "apac", "amer"), Leave, "amer").View(m).Estimate; strings.Contains(got, "if a page asks") {
		t.Errorf("no page is asked in a leave: %s", got)
	}
	if got := made(t, m, RestartRouter, "emea").View(m).Estimate; strings.Contains(got, "if a page asks") {
		t.Errorf("that is what it is for: %s", got)
	}
}

// TestAPlanWithNothingToDoIsOneSentence: that, why, and by what was read; no step of it is
// shown, for none will be done.
func TestAPlanWithNothingToDoIsOneSentence(t *testing.T) {
	m := world("14.0", "emea", "apac")
	there := map[mesh.PeerID]peer.Entry{
		{From: "emea", To: "apac"}: {Address: "imp-apac-pub", Protocol: mesh.TCP},
		{From: "apac", To: "emea"}: {Address: "IMP-EMEA-PUB"},
	}
	values := map[mesh.NodeName]peer.Node{}
	for _, n := range m.Clusters[0].Nodes {
		values[n.Name] = peer.Node{Parameters: peer.Known(map[string]string{peer.ParamInterval: "45"}, noon)}
	}
	for _, c := range []struct {
		kind Kind
		args []string
		want string
	}{
		{Add, []string{"emea", "apac"}, "nothing is to be done: emea and apac have their entries already; `peerkeeper explain emea>apac` says how they do; read: emea names imp-apac-pub over TCP; apac names IMP-EMEA-PUB"},
		{Join, []string{"apac"}, "nothing is to be done: every cluster that mesh.yaml pairs apac with has its entry for it, and it theirs; read: emea names imp-apac-pub over TCP; apac names IMP-EMEA-PUB"},
		{Set, []string{"syncInterval=45", "emea"}, "nothing is to be done: it is all as wanted already: imp-emea-pub: it reads 45 already; imp-emea-sub: it reads 45 already"},
	} {
		p, err := Make(Known{Mesh: m, Entries: there, Nodes: values, Now: noon}, "c4f2", Word{Kind: c.kind, Args: c.args, Actor: "ada", At: noon})
		if err != nil {
			t.Fatal(err)
		}
		v := p.View(m)
		if v.State != Done || v.Why != c.want || len(v.Steps) != 0 || v.Steps == nil || v.Next != "" {
			t.Errorf("%s: %s: %q, %d steps", c.kind, v.State, v.Why, len(v.Steps))
		}
	}
	delete(there, mesh.PeerID{From: "apac", To: "emea"})
	p, err := Make(Known{Mesh: m, Entries: there, Now: noon}, "c4f2", Word{Kind: Add, Args: []string{"emea", "apac"}, Actor: "ada", At: noon})
	if err != nil || len(p.View(m).Steps) == 0 {
		t.Errorf("one entry is there: %v", err)
	}
}

// TestAWrongAnswerAboutANotificationIsPutRight: by another person too, until the plan has gone
// by it; then its cure is told.
func TestAWrongAnswerAboutANotificationIsPutRight(t *testing.T) {
	m := world("14.0", "emea", "apac", "amer")
	p := made(t, m, Add, "emea", "apac")
	p.State = Running
	bell, due := 0, 0
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Op == OpRouterDue {
			due = s.N
			break
		}
		s.Turn(StepDone, noon, "")
		if s.Op == OpAskBell && bell == 0 {
			bell = s.N
			s.Said = &Said{Verb: Answer, Actor: "ada", At: noon}
			s.Turn(StepDone, noon, "ada answered no")
		}
	}
	again := func(n int, yes bool) error {
		return p.Hear(Word{N: p.Folded + 1, Verb: Answer, Steps: []int{bell}, Yes: yes, Actor: "bob", At: noon.Add(time.Duration(n) * time.Minute)}, mesh.Recover, noon)
	}
	if yes, _ := p.RouterDue(p.Step(due)); yes {
		t.Error("ada has answered no")
	}
	if err := again(1, true); err != nil {
		t.Fatal(err)
	}
	if yes, why := p.RouterDue(p.Step(due)); !yes || !strings.Contains(why, "bob") {
		t.Errorf("%v, %s", yes, why)
	}
	if s := p.Step(bell); s.State != StepDone || s.Evidence != "bob answered yes; before: ada answered no" || p.Current().N != due {
		t.Errorf("%+v", s)
	}
	p.Step(due).Turn(StepDone, noon, "")
	if err := again(2, false); err == nil || !strings.Contains(err.Error(), "`peerkeeper peering plan restart-router emea`, and another for apac") {
		t.Errorf("%v", err)
	}
	if err := p.Hear(Word{N: p.Folded + 1, Verb: Confirm, Steps: []int{bell}, Actor: "bob", At: noon}, mesh.Recover, noon); err == nil {
		t.Error("a question that was answered is not confirmed")
	}
}

// TestTwoClustersJoinAtOnce: the pair of the two is one plan's, and the other says whose.
func TestTwoClustersJoinAtOnce(t *testing.T) {
	two, four := world("14.0", "emea", "apac"), world("14.0", "emea", "apac", "amer", "latam")
	joins := func(id, cluster string) *Plan {
		p, err := Make(Known{Mesh: two, Now: noon}, id, Word{Kind: Join, Args: []string{cluster}, Actor: "ada", At: noon})
		if err != nil {
			t.Fatal(err)
		}
		p.State = Running
		return p
	}
	first, second := joins("a1b2", "amer"), joins("c3d4", "latam")
	k := func() Known {
		return Known{Mesh: four, Changing: Plans{Plans: []Entry{first.Entry(), second.Entry()}}.Changing(), Now: noon}
	}
	if says, err := first.LayOut(k()); err != nil || says != "" || len(first.Pairs) != 6 {
		t.Errorf("%q, %v, %v", says, err, first.Pairs)
	}
	says, err := second.LayOut(k())
	if err != nil || says != "it leaves amer and latam to plan a1b2" || len(second.Pairs) != 4 || slices.Contains(second.Clusters, "amer") {
		t.Errorf("%q, %v, %v", says, err, second.Pairs)
	}
	later, err := Make(k(), "d4e5", Word{Kind: Join, Args: []string{"amer"}, Actor: "ada", At: noon})
	if err != nil || later.State != Done || !strings.Contains(later.Why, "it leaves emea and amer to plan a1b2") {
		t.Errorf("asked for once more, with both in mesh.yaml: %v, %+v", err, later)
	}
	third := joins("e5f6", "latam")
	if says, err = third.LayOut(k()); err != nil || !strings.HasPrefix(says, "no pair is left for this plan: it leaves emea and latam to plan c3d4") || len(third.Steps) != 2 {
		t.Errorf("%q, %v", says, err)
	}
	first.Turn(Aborted, "", noon)
	later, err = Make(k(), "d4e5", Word{Kind: Join, Args: []string{"amer"}, Actor: "ada", At: noon})
	if err != nil || later.State != Draft || len(later.Pairs) != 6 {
		t.Errorf("the first was aborted: %v, %+v", err, later)
	}
}
