package change

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

// nights is a mesh of four clusters with windows from 22:00 to 04:00, which c04 joins.
func nights(t *testing.T) (*mesh.Mesh, *Plan) {
	t.Helper()
	m := world("14.0", "c01", "c02", "c03", "c04")
	m.Policy.Windows = []mesh.Window{{Kind: "allow", From: "22:00", To: "04:00", TimeZone: "UTC"}}
	p := made(t, m, Join, "c04")
	p.State = Running
	return m, p
}

func clock(text string) time.Time {
	at, err := time.Parse(time.RFC3339, "2026-03-"+text+":00Z")
	if err != nil {
		panic(err)
	}
	return at
}

// until does all steps before the entry of a pair: made in half an hour, and asked on which
// page for restarts.
func until(p *Plan, pair string, began time.Time, lasts time.Duration, bell string) *Step {
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Op == OpAddEntry && s.Pair.String() == pair {
			return s
		}
		s.Began = began
		s.Turn(StepDone, began, "")
		switch s.Op {
		case OpAskBell:
			s.Said = &Said{Verb: Answer, Actor: "ada", At: began, Yes: s.Pair.String() == bell}
		case OpVerifyPair:
			s.Since = began.Add(lasts)
		}
	}
	return nil
}

// TestAPairIsBegunWhereItEndsInItsWindow: by how long first full syncs were measured to take,
// whatever was thought when the join was laid out.
func TestAPairIsBegunWhereItEndsInItsWindow(t *testing.T) {
	const half, two, seven = 30 * time.Minute, 2 * time.Hour, 7 * time.Hour
	for _, c := range []struct {
		name string
		at   string
		took time.Duration // the first full syncs before
		bell string
		says string // "" if it is begun
	}{
		{"a window that has just opened", "02T22:00", half, "", ""},
		{"before it opens", "02T21:55", half, "", "outside every allow window"},
		// 10 min for the entries, half an hour, and 80 min for the routers of four nodes.
		{"it just fits", "03T02:00", half, "", ""},
		{"it does not any more", "03T02:05", half, "", "this one closes in 1 h 55 min; a first full sync takes about 30 min, and restarts, if pages ask for them, 1 h 20 min"},
		{"first full syncs prove longer", "03T01:00", two, "", "a first full sync takes about 2 h"},
		{"and fit earlier", "03T00:30", two, "", ""},
		{"routers that are due already count too", "03T01:40", half, "c01>c04", "restarts, if pages ask for them, 2 h"},
		{"what fits in no window goes into any", "03T03:55", seven, "", ""},
	} {
		m, p := nights(t)
		s := until(p, "c02>c04", clock("02T23:00"), c.took, c.bell)
		got := p.OutsideWindow(Known{Mesh: m, Now: clock(c.at)}, s)
		if (c.says == "") != (got == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", c.name, got, c.says)
		}
	}
	m, p := nights(t)
	s := until(p, "c04>c02", clock("02T23:00"), half, "")
	if got := p.OutsideWindow(Known{Mesh: m, Now: clock("03T03:55")}, s); got != "" {
		t.Errorf("the second entry of a pair that is begun: %s", got)
	}
	m.Policy.Windows = nil
	if got := p.OutsideWindow(Known{Mesh: m, Now: clock("03T03:55")}, until(p, "c02>c04", clock("02T23:00"), half, "")); got != "" {
		t.Errorf("without windows: %s", got)
	}
	m, p = nights(t)
	m.Policy.Windows[0].To = "23:00" // it was made shorter since
	m.Policy.Windows = append(m.Policy.Windows, mesh.Window{Kind: "allow", Days: []string{"sat"}, From: "08:00", To: "18:00", TimeZone: "UTC"})
	s = until(p, "c02>c04", clock("01T23:00"), half, "")
	if got := p.OutsideWindow(Known{Mesh: m, Now: clock("02T22:00")}, s); got == "" {
		t.Error("a night that has become an hour, with a longer window on Saturday: it is begun")
	}
	if got := p.OutsideWindow(Known{Mesh: m, Now: clock("07T08:00")}, s); got != "" {
		t.Errorf("on Saturday: %s", got)
	}
}

// TestClocksChangeWhileAWindowIsOpen: a night in which it is put forward has an hour less.
func TestClocksChangeWhileAWindowIsOpen(t *testing.T) {
	m, p := nights(t)
	m.Policy.Windows[0].TimeZone = "Europe/Berlin" // on 29 March 02:00 becomes 03:00
	s := until(p, "c02>c04", clock("02T23:00"), 30*time.Minute, "")
	// 22:00 to 04:00 are 21:00 to 03:00 UTC in winter; that night until 02:00.
	for at, fits := range map[string]bool{"28T01:00": true, "29T00:00": true, "29T01:00": false, "29T21:00": true} {
		if got := p.OutsideWindow(Known{Mesh: m, Now: clock(at)}, s); (got == "") != fits {
			t.Errorf("at %s: %q", at, got)
		}
	}
}

// TestRestartsDoNotWaitForAPairThatDoesNotFit: the batch ends before it, and it comes at the
// plan's end, however often a run is killed between.
func TestRestartsDoNotWaitForAPairThatDoesNotFit(t *testing.T) {
	m, p := nights(t)
	laid := len(p.Steps)
	k := Known{Mesh: m, Now: clock("03T03:00")}
	s := until(p, "c02>c04", clock("02T23:00"), 30*time.Minute, "c04>c01")
	n := s.N
	for killed := range 2 {
		if asked, room := p.LayOutAgain(k, p.Step(n)); !asked || !room {
			t.Fatalf("asked %v, room %v", asked, room)
		}
		if got, want := len(p.Steps)-laid, []int{2*(2+4+2+2) + 3*12, 0}[killed]; got != want || p.Head.Steps != len(p.Steps) {
			t.Fatalf("%d steps more, want %d; the head has %d of %d", got, want, p.Head.Steps, len(p.Steps))
		}
		laid = len(p.Steps)
		if killed == 1 {
			break
		}
		if why := p.OutsideWindow(Known{Mesh: m, Now: clock("03T22:00")}, p.Step(n)); why == "" {
			t.Error("killed before it was put off, the next window makes it here, and again there")
		}
	}
	p.PutOff(p.Step(n), k.Now)
	p.SkipDependants(k.Now)
	at := p.Current()
	if at.Op != OpRouterDue || at.Cluster != "c01" {
		t.Fatalf("it goes on with step %d: %s of %s", at.N, at.Op, at.Cluster)
	}
	if open, _ := p.openPairs(); len(open) != 4 || p.verified(open) != 2 {
		t.Errorf("%v are open, and %d verified", open, p.verified(open))
	}
	var entries, due []string
	for i := range p.Steps {
		x := &p.Steps[i]
		if x.State.Over() {
			continue
		}
		switch x.Op {
		case OpAddEntry:
			entries = append(entries, x.Pair.String())
		case OpRouterDue:
			due = append(due, fmt.Sprint(x.Cluster))
		}
	}
	if want := []string{"c02>c04", "c04>c02", "c03>c04", "c04>c03"}; !slices.Equal(entries, want) {
		t.Errorf("entries: %v", entries)
	}
	if want := []string{"c01", "c04", "c02", "c03", "c04"}; !slices.Equal(due, want) {
		t.Errorf("routers: %v", due)
	}
	if put := p.Step(n); put.State != StepSkipped || !strings.Contains(put.Evidence, "put off to step ") {
		t.Errorf("%+v", put)
	}

	m, p = nights(t)
	s = until(p, "c02>c04", clock("02T23:00"), 30*time.Minute, "")
	if asked, _ := p.LayOutAgain(Known{Mesh: m, Now: clock("03T03:00")}, s); asked {
		t.Error("no page has asked, and nothing is put off")
	}
	p.Steps = append(p.Steps, make([]Step, MaxSteps-len(p.Steps)-20)...)
	s = until(p, "c02>c04", clock("02T23:00"), 30*time.Minute, "c04>c01")
	if _, room := p.LayOutAgain(Known{Mesh: m, Now: clock("03T03:00")}, s); room {
		t.Error("there is no room for it")
	}
}

// TestAJoinOfThirtyLargeClustersHasRoom: six nodes are the most that a cluster has.
func TestAJoinOfThirtyLargeClustersHasRoom(t *testing.T) {
	large := func(nodes int) *mesh.Mesh {
		m := world("14.0", thirty(mesh.MaxClusters)...)
		for i := range m.Clusters {
			c := &m.Clusters[i]
			for n := len(c.Nodes); n < nodes; n++ {
				c.Nodes = append(c.Nodes, mesh.Node{Name: mesh.NodeName(fmt.Sprintf("imp-%s-%d", c.ID, n))})
			}
		}
		m.Policy.Windows = []mesh.Window{{Kind: "allow", From: "22:00", To: "00:00", TimeZone: "UTC"}}
		return m
	}
	p := made(t, large(6), Join, "c30")
	if len(p.Steps) > roomy {
		t.Errorf("%d steps, want %d at most", len(p.Steps), roomy)
	}
	for _, nodes := range []int{14, 20} {
		m := large(nodes)
		without := *m
		without.Clusters = m.Clusters[:29]
		without.Peers = slices.DeleteFunc(slices.Clone(m.Peers), func(p mesh.Peer) bool { return p.ID.From == "c30" || p.ID.To == "c30" })
		for name, m := range map[string]*mesh.Mesh{"before mesh.yaml lists it": &without, "when it does": m} {
			_, err := Make(Known{Mesh: m, Now: noon}, "c4f2", Word{Kind: Join, Args: []string{"c30"}, Actor: "ada", At: noon})
			if err == nil || !strings.Contains(err.Error(), "at most 2000 are carried out as one: list `pairs` in mesh.yaml, of c30 with some of its peers first, and join again for the others") {
				t.Errorf("%d nodes, %s: %v", nodes, name, err)
			}
		}
	}
}
