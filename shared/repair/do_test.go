package repair

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

var (
	errRefused = errors.New("the node said no")
	errLost    = errors.New("the answer was lost")
	errNoWay   = errors.New("connection refused")
)

// rig is one service on one node, with a controller that reaches it and a clock.
type rig struct {
	*Repair
	t     *testing.T
	now   time.Time
	store *storetest.Memory
	s     Situation

	status  string
	since   time.Time // of its start
	code    int       // why it does not run
	unread  error     // of every read
	begins  time.Duration
	answer  error // of the next Control
	applies bool  // whether Control does what it says
	sent    []time.Time
	opened  int
	looks   int
	onLook  func(n int)
	value   string // of the parameter
	matches int    // parameters that have its name
	ready   peer.Readiness
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, now: noon, store: storetest.NewMemory(), status: "Started", since: noon.Add(-5 * time.Hour), applies: true, value: "30", matches: 1, ready: readyFor(icsa.Node)}
	r.store.Now = func() time.Time { return r.now }
	_, _, r.s = calm()
	r.Repair = &Repair{
		Mesh: r.s.Mesh, Store: r.store, Now: func() time.Time { return r.now }, Actor: "stucksync",
		Open:       func(context.Context, mesh.ClusterID) (ServiceController, error) { r.opened++; return r, nil },
		CheckLease: func(context.Context) error { return nil },
	}
	return r
}

func (r *rig) Service(context.Context, mesh.NodeName, string) (peer.Service, error) {
	r.look()
	return r.service(), r.unread
}

func (r *rig) look() {
	r.looks++
	if r.onLook != nil {
		r.onLook(r.looks)
	}
}

func (r *rig) service() peer.Service {
	switch {
	case r.status != "Started":
		return peer.Service{Status: r.status, UpTime: -1, Code: r.code}
	case r.since.After(r.now): // it has accepted a restart and not begun it
		return peer.Service{Status: "Started", UpTime: 6 * time.Hour}
	}
	return peer.Service{Status: "Started", UpTime: r.now.Sub(r.since)}
}

func (r *rig) Control(context.Context, mesh.NodeName, peer.Action, string) error {
	r.sent = append(r.sent, r.now)
	if r.applies {
		r.status, r.since = "Started", r.now.Add(r.begins)
	}
	return r.answer
}

func (r *rig) Parameter(context.Context, mesh.NodeName, string, string) (string, int, error) {
	r.look()
	return r.value, r.matches, r.unread
}

func (r *rig) SetParameter(_ context.Context, _ mesh.NodeName, _, _, value string) error {
	r.sent = append(r.sent, r.now)
	if r.applies {
		r.value = value
	}
	return r.answer
}

// Activate starts the service too.
func (r *rig) Activate(context.Context, mesh.NodeName, string) error {
	r.sent = append(r.sent, r.now)
	if r.applies {
		r.status, r.code, r.since = "Started", 0, r.now.Add(r.begins)
	}
	return r.answer
}

func (r *rig) Readiness(context.Context) (peer.Readiness, error) { return r.ready, r.unread }

func (r *rig) Refused(err error) bool   { return errors.Is(err, errRefused) }
func (r *rig) Uncertain(err error) bool { return errors.Is(err, errLost) }

func (r *rig) do(p peer.Proposal) Result {
	r.t.Helper()
	res, err := r.Do(r.t.Context(), p, func(context.Context, *Gate) (Situation, error) {
		s := r.s
		s.Service, s.Proposed = r.service(), []peer.Proposal{p}
		return s, nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

func (r *rig) settle() int {
	r.t.Helper()
	n, err := r.Settle(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) gate() Gate {
	r.t.Helper()
	g, err := Load(r.t.Context(), r.store, "acme")
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

// ended is how the only action so far ended, "open" while it has not.
func (r *rig) ended() Outcome {
	r.t.Helper()
	g := r.gate()
	switch {
	case len(g.Open) == 1 && len(g.Closed) == 0:
		return "open"
	case len(g.Open) == 0 && len(g.Closed) == 1:
		return g.Closed[0].Outcome
	}
	r.t.Fatalf("%d open, %d closed", len(g.Open), len(g.Closed))
	return ""
}

func (r *rig) verify() {
	r.t.Helper()
	entries, err := History(r.t.Context(), r.store, "acme", noon.AddDate(-1, 0, 0), r.now)
	if err == nil {
		err = Verify(r.t.Context(), r.store, "acme", entries)
	}
	if err != nil {
		r.t.Error(err)
	}
}

// ending is what is expected of an action: its outcome at once and after the
// next ticks, how often it was sent, and what the evidence says.
type ending struct {
	now, later Outcome
	sent       int
	says       string
}

// plays does an action and settles it, and checks how it ended. sent counts what
// reached the node; calm takes back what was to happen while it was done.
func (r *rig) plays(p peer.Proposal, want ending, sent func() int, calm func()) {
	r.t.Helper()
	r.do(p)
	calm()
	if got := r.ended(); got != want.now {
		r.t.Errorf("right after: %s, want %s", got, want.now)
	}
	for range 3 {
		r.now = r.now.Add(5 * time.Minute)
		r.settle()
	}
	if got := r.ended(); got != want.later {
		r.t.Errorf("after the next ticks: %s, want %s", got, want.later)
	}
	if n := sent(); n != want.sent {
		r.t.Errorf("sent %d times, want %d", n, want.sent)
	}
	if g := r.gate(); !strings.Contains(g.Closed[0].Evidence, want.says) {
		r.t.Errorf("evidence %q, want %q", g.Closed[0].Evidence, want.says)
	}
	r.verify()
}

func TestDo(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*rig)
		ending
	}{
		{"restarted and proven by a lower up-time", func(*rig) {}, ending{DoneProven, DoneProven, 1, "up-time under 1 min (before: Started, 5 h)"}},
		{"up for exactly the least time", func(r *rig) { r.since = noon.Add(-2 * time.Hour) }, ending{DoneProven, DoneProven, 1, "before: Started, 2 h"}},
		{"the node takes a moment to begin: that is no failure", func(r *rig) { r.begins = 20 * time.Second }, ending{"open", DoneProven, 1, "before: Started, 5 h"}},
		{"the answer is lost, and it happened", func(r *rig) { r.answer = errLost }, ending{"open", DoneProven, 1, ""}},
		{"the answer is lost, and it did not happen", func(r *rig) { r.answer, r.applies = errLost, false }, ending{"open", NotDone, 1, "before: Started, 5 h"}},
		{"the node refuses", func(r *rig) { r.answer, r.applies = errRefused, false }, ending{NotDone, NotDone, 1, "refused"}},
		{"nothing reached the node", func(r *rig) { r.answer, r.applies = errNoWay, false }, ending{NotSent, NotSent, 1, "not taken"}},
		{"paused between the intent and the second look", func(r *rig) {
			r.onLook = func(n int) {
				if n == 2 {
					if _, err := Interrupt(r.t.Context(), r.store, "acme", Entry{Time: r.now, Actor: "jdoe", Intent: "pause mesh", Outcome: "done"}); err != nil {
						r.t.Error(err)
					}
				}
			}
		}, ending{NotSent, NotSent, 0, "paused or resumed"}},
		{"restarted by a person between the intent and the second look", func(r *rig) {
			r.onLook = func(n int) {
				if n == 2 {
					r.since = r.now
				}
			}
		}, ending{NotSent, NotSent, 0, "restarted"}},
		{"stopped between the intent and the second look", func(r *rig) {
			r.onLook = func(n int) {
				if n == 2 {
					r.status = "Stopped"
				}
			}
		}, ending{NotSent, NotSent, 0, "is Stopped"}},
		{"the lease is lost after the intent", func(r *rig) {
			n := 0
			r.CheckLease = func(context.Context) error {
				if n++; n > 2 {
					return store.ErrLeaseLost
				}
				return nil
			}
		}, ending{NotSent, NotSent, 0, "lease"}},
		{"the window closes between the two looks", func(r *rig) {
			r.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", From: "10:00", To: "12:00", TimeZone: "UTC"}}
			r.s.Newest = r.Mesh.Hash()
			r.now = noon.Add(-20 * time.Second)
			r.onLook = func(n int) {
				if n == 2 {
					r.now = noon
				}
			}
		}, ending{NotSent, NotSent, 0, "outside every allow window"}},
		{"it cannot be read back at once", func(r *rig) {
			r.onLook = func(n int) {
				if n == 3 {
					r.unread = errNoWay
				}
			}
		}, ending{"open", DoneProven, 1, "before: Started, 5 h"}},
		{"the service cannot be read at the second look", func(r *rig) {
			r.onLook = func(n int) {
				if r.unread = nil; n == 2 {
					r.unread = errNoWay
				}
			}
		}, ending{NotSent, NotSent, 0, "could not be read again"}},
		{"the second look takes until the deadline", func(r *rig) {
			r.onLook = func(n int) {
				if n == 2 {
					r.now = r.now.Add(60 * time.Second)
				}
			}
		}, ending{NotSent, NotSent, 0, "deadline"}},
		{"the clock steps back between the two looks", func(r *rig) {
			r.onLook = func(n int) {
				if n == 2 {
					r.now = r.now.Add(-time.Hour)
				}
			}
		}, ending{NotSent, NotSent, 0, ""}},
		{"somebody else, with a clock ahead, closed the intent", func(r *rig) {
			r.onLook = func(n int) {
				if n == 2 {
					in := r.gate().Open[0]
					if _, err := r.close(r.t.Context(), in, NotDone, "it has run ever since"); err != nil {
						r.t.Error(err)
					}
				}
			}
		}, ending{NotDone, NotDone, 0, "ever since"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			c.prepare(r)
			r.plays(restart(), c.ending, func() int { return len(r.sent) }, func() { r.onLook, r.unread = nil, nil })
		})
	}
}

// TestAStartStopsForWhatAPersonDoesMeanwhile: who commands a service out of service
// between the two looks is not overruled.
func TestAStartStopsForWhatAPersonDoesMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after int
		ends          Outcome
	}{
		{"it crashed, and still is as it was", -1019, -1019, DoneProven},
		{"it crashed, and a person commands it out of service meanwhile", -1019, peer.CodeCommandedOut, NotSent},
		{"it was commanded out of service, which was decided about", peer.CodeCommandedOut, peer.CodeCommandedOut, DoneProven},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.status, r.code = "Stopped", c.before
			p := start()
			p.Code = c.before
			r.onLook = func(n int) {
				if n == 2 {
					r.code = c.after
				}
			}
			r.do(p)
			if got := r.ended(); got != c.ends || (len(r.sent) == 1) != (c.ends == DoneProven) {
				t.Errorf("%s, sent %d times, want %s", got, len(r.sent), c.ends)
			}
		})
	}
}

// TestWhatARestartCountsAs: it is one of its cluster's hour from the moment it is
// meant; a start is none, and what was not sent is none any more.
func TestWhatARestartCountsAs(t *testing.T) {
	counts := func(prepare func(r *rig), p peer.Proposal) int {
		r := newRig(t)
		prepare(r)
		if _, err := Append(t.Context(), r.store, "acme", entry(0)); err != nil {
			t.Fatal(err)
		}
		r.do(p)
		g := r.gate()
		entries := history(t, r.store)
		if i := int(g.Closed[0].Seq) - 1; i != 1 || entries[i].Outcome != "intent" {
			t.Errorf("it is numbered %d, which is not the entry of its intent", g.Closed[0].Seq)
		}
		if len(g.Used) != 0 {
			t.Errorf("it needed no approval, and spent %+v", g.Used)
		}
		return restarts(&g, r.now, "emea")
	}
	if n := counts(func(*rig) {}, restart()); n != 1 {
		t.Errorf("a restart counts as %d", n)
	}
	if n := counts(func(r *rig) { r.answer, r.applies = errNoWay, false }, restart()); n != 0 {
		t.Errorf("a restart that reached nobody counts as %d", n)
	}
	if n := counts(func(r *rig) { r.answer, r.applies = errRefused, false }, restart()); n != 1 {
		t.Errorf("a restart that the node refused counts as %d", n)
	}
	if n := counts(func(r *rig) { r.status = "Stopped" }, start()); n != 0 {
		t.Errorf("a start counts as %d restarts", n)
	}
}

// TestOneIntentsDeadlineHoldsUpNoOther: each is read back when its own is over.
func TestOneIntentsDeadlineHoldsUpNoOther(t *testing.T) {
	r := newRig(t)
	amer := peer.Target{Cluster: "amer", Node: "imp-amer-pub.example.com", Service: peer.ICSA}
	if _, _, err := change(t.Context(), r.store, "acme", func(g *Gate) (*Entry, error) {
		g.Open = []Intent{
			{Seq: 1, Action: peer.RestartService, Target: amer, Written: r.now, Deadline: r.now.Add(sendWindow)},
			{Seq: 2, Action: peer.RestartService, Target: icsa, Before: Before{UpTime: 6 * time.Hour}, Written: r.now.Add(-5 * time.Minute), Deadline: r.now.Add(-4 * time.Minute)},
		}
		return &Entry{Time: r.now, Actor: "jdoe", Intent: "two at once", Outcome: "done"}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := r.settle(); n != 1 {
		t.Errorf("closed %d, want the one that is overdue", n)
	}
	if g := r.gate(); len(g.Open) != 1 || g.Open[0].Seq != 1 {
		t.Errorf("still open: %+v", g.Open)
	}
}

// TestWhatNobodyRecordedIsNotReadBack: in mode observe no cluster is opened for it.
func TestWhatNobodyRecordedIsNotReadBack(t *testing.T) {
	r := newRig(t)
	r.answer = errLost
	r.do(restart())
	r.s.Mesh.Policy.Mode = mesh.Observe
	r.opened, r.Recorded = 0, nil
	for _, after := range []time.Duration{5 * time.Minute, 23 * time.Hour} {
		if r.now = noon.Add(after); r.settle() != 0 || r.ended() != "open" {
			t.Errorf("%v later it is %s", after, r.ended())
		}
	}
	r.now = noon.Add(25 * time.Hour)
	if r.settle(); r.ended() != Unproven || r.opened != 0 {
		t.Errorf("%s, opened %d times", r.ended(), r.opened)
	}
}

// TestWhichImportsCountInTheirHour: those that were sent, and those under way.
func TestWhichImportsCountInTheirHour(t *testing.T) {
	g := Gate{
		Closed: []Closure{importedAgo(DoneProven, 59*time.Minute), importedAgo(NotDone, time.Minute), importedAgo(NotSent, time.Minute), importedAgo(DoneProven, time.Hour), closedOnce(DoneProven, time.Minute)},
		Open:   []Intent{{Action: peer.RestartService, Target: icsa}, {Action: peer.ImportCertificate, Target: imported().Target}},
	}
	if n := imports(&g, noon); n != 3 {
		t.Errorf("%d imports, want the two that were sent within the hour and the one under way", n)
	}
}

// What an action came to is told by the service itself.
func TestWhatProvesARestartAndAStart(t *testing.T) {
	in := Intent{Written: noon, Deadline: noon.Add(sendWindow), Before: Before{Status: "Started", UpTime: 5 * time.Hour}}
	up := func(d time.Duration) peer.Service { return peer.Service{Status: "Started", UpTime: d} }
	is := func(status string) peer.Service { return peer.Service{Status: status, UpTime: -1} }
	const m = time.Minute
	soon, late := noon.Add(5*m), noon.Add(sendWindow+proofWindow+time.Second)
	kinds := map[string]func(Intent, peer.Service, time.Time) (Outcome, string){"restart": provenByUpTime, "start": startService().prove}
	for _, c := range []struct {
		kind, name string
		now        peer.Service
		at         time.Time
		want       Outcome
	}{
		{"restart", "it runs since a minute", up(m), soon, DoneProven},
		{"restart", "it has run ever since", up(5*time.Hour + 5*m), soon, NotDone},
		{"restart", "it has, by a clock that is a minute off", up(5*time.Hour + 4*m), soon, NotDone},
		{"restart", "it is starting", is("Starting"), soon, ""},
		{"restart", "it is down ten minutes after the deadline", is("Stopped"), late, Unproven},
		{"restart", "it is down, and ten minutes are not over", is("Stopped"), noon.Add(sendWindow + proofWindow), ""},
		{"restart", "it does not tell its up-time", up(-1), late, ""},
		{"start", "it runs", up(m), soon, DoneProven},
		{"start", "it is starting", is("Starting"), soon, ""},
		{"start", "it is starting, and ten minutes are not over", is("Starting"), noon.Add(sendWindow + proofWindow), ""},
		{"start", "it is still starting ten minutes after the deadline", is("Starting"), late, NotDone},
		{"start", "it is stopped", is("Stopped"), soon, NotDone},
	} {
		if got, _ := kinds[c.kind](in, c.now, c.at); got != c.want {
			t.Errorf("%s: %s: %q, want %q", c.kind, c.name, got, c.want)
		}
	}
}

// TestWhatTheLadderHearsOfTheGate: what was sent, or may have been.
func TestWhatTheLadderHearsOfTheGate(t *testing.T) {
	g := Gate{
		Closed: []Closure{closedOnce(DoneProven, time.Hour), closedOnce(NotDone, 2*time.Hour), closedOnce(NotSent, 3*time.Hour), closedOnce(Unproven, 4*time.Hour)},
		Open:   []Intent{{Seq: 9, Action: peer.RestartService, Target: icsa, Written: noon}},
	}
	var got []string
	for _, d := range g.Done() {
		got = append(got, fmt.Sprintf("%s open %v failed %v", noon.Sub(d.At), d.Open, d.Failed))
	}
	want := "1h0m0s open false failed false, 2h0m0s open false failed true, 4h0m0s open false failed false, 0s open true failed false"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}

// TestHowLongTheGateRemembers: what came of a day, and an hour of what was not sent;
// however frequent it is while there is room.
func TestHowLongTheGateRemembers(t *testing.T) {
	for _, c := range []struct {
		name   string
		closed Closure
		kept   bool
	}{
		{"a restart of 23 h ago", closedOnce(DoneProven, 23*time.Hour), true},
		{"a restart of a day ago", closedOnce(DoneProven, 24*time.Hour), false},
		{"one that failed 23 h ago", closedOnce(NotDone, 23*time.Hour), true},
		{"one that was not sent, 59 min ago", closedOnce(NotSent, 59*time.Minute), true},
		{"one that was not sent, an hour ago", closedOnce(NotSent, time.Hour), false},
		{"an import of 23 h ago", importedAgo(DoneProven, 23*time.Hour), true},
	} {
		g := Gate{Closed: []Closure{c.closed}}
		if g.forget(noon); (len(g.Closed) == 1) != c.kept {
			t.Errorf("%s: remembered %v, want %v", c.name, len(g.Closed) == 1, c.kept)
		}
	}
}

// Where there is no room, what is frequent goes first, and no more of it than has to.
func TestWhatTheGateForgetsForWantOfRoom(t *testing.T) {
	g := Gate{}
	for i := range maxClosed + 4 {
		c := closedOnce(DoneProven, 2*time.Hour)
		if i < 10 {
			c = importedAgo(DoneProven, 2*time.Hour)
		}
		c.Seq = int64(i)
		g.Closed = append(g.Closed, c)
	}
	g.forget(noon)
	if len(g.Closed) != maxClosed || g.Closed[0].Seq != 4 || g.Closed[5].Action != peer.ImportCertificate || g.Closed[6].Action != peer.RestartService {
		t.Errorf("%d are remembered, from %d on", len(g.Closed), g.Closed[0].Seq)
	}
	g = Gate{Used: []Spent{{"r1", noon.Add(-keepSpent), noon}, {"r2", noon.Add(time.Second - keepSpent), noon}, {"r3", noon.Add(keepSpent), noon}}}
	if g.forget(noon); len(g.Used) != 1 || g.Used[0].ID != "r2" {
		t.Errorf("approvals used: %+v", g.Used)
	}
}

// Of which nothing could be read before it is done, nothing is.
func TestWhatCannotBeJudgedIsNotDone(t *testing.T) {
	r := newRig(t)
	_, err := r.Do(t.Context(), restart(), func(context.Context, *Gate) (Situation, error) { return r.s, errNoWay })
	if g := r.gate(); !errors.Is(err, errNoWay) || len(g.Open)+len(g.Closed)+len(r.sent)+r.opened != 0 {
		t.Errorf("%v; opened %d times, sent %d, the gate is %+v", err, r.opened, len(r.sent), g)
	}
}

func TestUnknownOutcomeBlocksUntilItIsReadBack(t *testing.T) {
	r := newRig(t)
	r.answer, r.applies = errLost, false
	r.do(restart())
	for range 4 {
		r.now = r.now.Add(20 * time.Second)
		r.settle()
		if res := r.do(restart()); len(res.Refused) == 0 || res.Refused[0].Guard != "open" {
			t.Fatalf("at %v: %+v", r.now.Sub(noon), res)
		}
	}
	r.now = noon.Add(90 * time.Second)
	if n := r.settle(); n != 0 {
		t.Error("that nothing happened is believed while it may be on its way")
	}
	r.now = noon.Add(2 * time.Minute)
	if n := r.settle(); n != 1 || len(r.sent) != 1 {
		t.Errorf("closed %d, sent %d", n, len(r.sent))
	}
}

func TestReadBackLate(t *testing.T) {
	for _, c := range []struct {
		name    string
		applies bool
		after   time.Duration
		want    Outcome
	}{
		{"a day later, it happened and has run for longer than before since", true, 20 * time.Hour, Unproven},
		{"a day later, it did not happen", false, 20 * time.Hour, NotDone},
		{"an hour later, it happened", true, time.Hour, DoneProven},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.answer, r.applies = errLost, c.applies
			r.do(restart())
			r.now = r.now.Add(c.after)
			r.settle()
			if got := r.ended(); got != c.want {
				t.Errorf("%s, want %s: %s", got, c.want, r.gate().Closed[0].Evidence)
			}
		})
	}
	t.Run("it never came up again", func(t *testing.T) {
		r := newRig(t)
		r.answer = errLost
		r.do(restart())
		r.status = "Stopped"
		r.now = r.now.Add(10 * time.Minute)
		if r.settle(); r.ended() != "open" {
			t.Error("closed while it may still come up")
		}
		r.now = r.now.Add(2 * time.Minute)
		if r.settle(); r.ended() != Unproven {
			t.Errorf("%s; our own restart may have taken it down", r.ended())
		}
	})
	t.Run("a start that did not hold", func(t *testing.T) {
		r := newRig(t)
		r.status, r.applies = "Stopped", false
		r.do(start())
		r.now = r.now.Add(5 * time.Minute)
		if r.settle(); r.ended() != NotDone {
			t.Error(r.ended())
		}
	})
	t.Run("the cluster left mesh.yaml", func(t *testing.T) {
		r := newRig(t)
		r.answer = errLost
		r.do(restart())
		r.Open = func(context.Context, mesh.ClusterID) (ServiceController, error) {
			return nil, errors.New("no longer in mesh.yaml")
		}
		r.now = r.now.Add(23 * time.Hour)
		if r.settle(); r.ended() != "open" {
			t.Error("closed although nobody looked")
		}
		r.now = r.now.Add(2 * time.Hour)
		if r.settle(); r.ended() != Unproven {
			t.Error(r.ended())
		}
	})
	t.Run("the clock that wrote it was a year ahead", func(t *testing.T) {
		r := newRig(t)
		r.answer = errLost
		r.now = noon.AddDate(1, 0, 0)
		r.since = r.now.Add(-5 * time.Hour)
		r.do(restart())
		r.now = noon
		r.since = noon.Add(-time.Minute)
		if r.settle(); r.ended() != DoneProven {
			t.Error(r.ended())
		}
		r.verify()
	})
}

func TestObserveOpensNoHand(t *testing.T) {
	r := newRig(t)
	r.answer = errLost
	r.do(restart())
	r.opened = 0
	r.Mesh.Policy.Mode = mesh.Observe
	seen := errors.New("not seen since")
	r.Recorded = func(context.Context, Intent) (peer.Service, error) { return r.service(), seen }
	r.now = r.now.Add(5 * time.Minute)
	r.settle()
	if got := r.ended(); got != "open" {
		t.Error(got)
	}
	seen = nil
	r.settle()
	if got := r.ended(); got != DoneProven {
		t.Errorf("%s by what the read account saw", got)
	}
	r.s.Newest = r.Mesh.Hash()
	if res := r.do(restart()); len(res.Refused) == 0 {
		t.Errorf("acts in observe: %+v", res)
	}
	if r.opened != 0 {
		t.Errorf("opened the write account %d times in observe", r.opened)
	}
}

func TestRefusedOpensNoHand(t *testing.T) {
	r := newRig(t)
	r.s.ClusterUnknown = "stale"
	if res := r.do(restart()); len(res.Refused) != 1 || r.opened != 0 {
		t.Errorf("%+v, opened %d times", res, r.opened)
	}
}

// A table restored to before an action holds its intent, open, and its
// approval, unspent: neither authorises anything.
func TestRestoredTable(t *testing.T) {
	r := newRig(t)
	p := restart()
	p.Approval = "the other peers advance"
	r.s.Overrides.Approvals["r1"] = record.Approval{ID: "r1", Actor: "jdoe", At: noon, Expires: noon.Add(4 * time.Hour)}
	var backup store.Item
	r.Crash = func(step string) {
		if step == "intent" {
			backup, _ = r.store.Get(t.Context(), store.Gate("acme"))
		}
	}
	if r.do(p); r.ended() != DoneProven || len(r.sent) != 1 {
		t.Fatal(r.ended())
	}
	r.Crash = nil
	restore := func(g Gate) {
		if _, _, err := store.Claim(t.Context(), r.store, store.Gate("acme"), GateSchema, func(d *store.Doc[Gate], _ bool) (bool, error) {
			d.Value = g
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	old, err := store.Decode[Gate](backup, GateSchema)
	if err != nil {
		t.Fatal(err)
	}
	restore(old.Value)
	r.now = noon.Add(10 * time.Minute)
	if r.settle(); r.ended() != DoneProven || len(r.sent) != 1 {
		t.Errorf("the old intent: %s, sent %d times", r.ended(), len(r.sent))
	}
	restore(Gate{}) // before anything was spent
	r.now = noon.Add(3 * time.Hour)
	if res := r.do(p); len(res.Refused) != 1 || res.Refused[0].Guard != "approval" || len(r.sent) != 1 {
		t.Errorf("the approval spent in a forgotten past: %+v", res)
	}
}

func TestApprovalsAreSpentEvenIfNothingWasSent(t *testing.T) {
	r := newRig(t)
	p := restart()
	p.Approval = "the other peers advance"
	agree := func() {
		r.s.Overrides.Approvals["r1"] = record.Approval{ID: "r1", Actor: "jdoe", At: r.now, Expires: r.now.Add(4 * time.Hour)}
	}
	agree()
	r.answer, r.applies = errNoWay, false
	r.do(p)
	r.answer, r.applies = nil, true
	r.now = r.now.Add(time.Hour)
	if res := r.do(p); len(res.Refused) != 1 || res.Refused[0].Guard != "approval" {
		t.Errorf("%+v", res)
	}
	agree()
	if res := r.do(p); res.Outcome != DoneProven {
		t.Errorf("approved again: %+v", res)
	}
}

// The clock of the person who approves is not the gate's: an approval from a minute
// ahead is one like any other, and once spent it stays so.
func TestApprovalFromAheadIsSpentOnce(t *testing.T) {
	r, s, p, _ := importRig(t)
	p.ID, p.Approval = "r1", "it had been there before"
	r.s.Overrides.Approvals["r1"] = record.Approval{ID: "r1", Actor: "jdoe", At: noon.Add(time.Minute), Expires: noon.Add(4*time.Hour + time.Minute)}
	if res := r.do(p); res.Outcome != DoneProven || len(s.added) != 1 {
		t.Fatalf("%+v, sent %d times", res, len(s.added))
	}
	s.holds = nil // somebody took it out
	for range 5 {
		r.now = r.now.Add(31 * time.Minute)
		if res := r.do(p); len(res.Refused) != 1 || res.Refused[0].Guard != "approval" || len(s.added) != 1 {
			t.Fatalf("at %s: %+v, sent %d times", r.now.Format(time.TimeOnly), res, len(s.added))
		}
	}
	r.s.Overrides.Approvals["r1"] = record.Approval{ID: "r1", Actor: "jdoe", At: r.now.Add(-time.Minute), Expires: r.now.Add(4 * time.Hour)}
	if res := r.do(p); res.Outcome != DoneProven || len(s.added) != 2 {
		t.Errorf("approved again: %+v, sent %d times", res, len(s.added))
	}
}

func TestGateOfANewerVersion(t *testing.T) {
	r := newRig(t)
	if _, err := Append(t.Context(), r.store, "acme", entry(0)); err != nil {
		t.Fatal(err)
	}
	it, err := r.store.Get(t.Context(), store.Gate("acme"))
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(it.Body, &body); err != nil {
		t.Fatal(err)
	}
	body["schema"] = GateSchema + 1
	if it.Body, err = json.Marshal(body); err == nil {
		err = r.store.Put(t.Context(), it)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Do(t.Context(), restart(), func(context.Context, *Gate) (Situation, error) { return r.s, nil }); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("acts by a gate that it does not understand: %v", err)
	}
	if _, err := r.Settle(t.Context()); !errors.Is(err, store.ErrNewerSchema) {
		t.Error(err)
	}
	if _, err := Append(t.Context(), r.store, "acme", entry(1)); !errors.Is(err, store.ErrNewerSchema) {
		t.Error(err)
	}
	if _, _, err := change(t.Context(), r.store, "acme", func(*Gate) (*Entry, error) { return nil, nil }); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("it judges by what it does not understand, be it to leave it as it is: %v", err)
	}
	if len(r.sent)+r.opened != 0 {
		t.Error("touched the cluster")
	}
}

// The answer to the compare-and-swap is lost: whether the intent stands is not
// known, so nothing is sent; if it stands, it is read back like any other.
func TestLostAnswerOfTheIntent(t *testing.T) {
	r := newRig(t)
	r.store.Fail = func(op string, key store.Key) error {
		if op == "written" && key == store.Gate("acme") {
			return fmt.Errorf("lost")
		}
		return nil
	}
	if _, err := r.Do(t.Context(), restart(), func(context.Context, *Gate) (Situation, error) { return r.s, nil }); err == nil || len(r.sent) != 0 {
		t.Fatalf("sent %d times, %v", len(r.sent), err)
	}
	r.store.Fail = nil
	r.now = r.now.Add(5 * time.Minute)
	if r.settle(); r.ended() != NotDone || len(r.sent) != 0 {
		t.Errorf("%s, sent %d times", r.ended(), len(r.sent))
	}
	r.verify()
}

// Two runs that decide the same at once: one of them acts.
func TestTwoAtOnce(t *testing.T) {
	r := newRig(t)
	var second Result
	r.onLook = func(n int) {
		if n == 1 { // both have looked; the other one is quicker
			r.onLook = nil
			second = r.do(restart())
		}
	}
	first := r.do(restart())
	if second.Outcome != DoneProven || len(first.Refused) == 0 || len(r.sent) != 1 {
		t.Errorf("first %+v, second %+v, sent %d times", first, second, len(r.sent))
	}
}

// After 400 days without a word the newest entry's own item is forgotten. The
// gate still opens.
func TestSilenceOfYears(t *testing.T) {
	r := newRig(t)
	if _, err := Append(t.Context(), r.store, "acme", entry(0)); err != nil {
		t.Fatal(err)
	}
	r.now = noon.AddDate(2, 0, 0)
	if _, err := Append(t.Context(), r.store, "acme", Entry{Time: r.now, Actor: "jdoe", Intent: "pause mesh", Outcome: "done"}); err != nil {
		t.Error(err)
	}
	r.verify()
}

// A clock that was ahead for a moment leaves entries in the future; the chain
// is still read whole.
func TestClockAhead(t *testing.T) {
	r := newRig(t)
	for _, at := range []time.Time{noon, noon.AddDate(0, 7, 0), noon.Add(time.Hour)} {
		if _, err := Append(t.Context(), r.store, "acme", Entry{Time: at, Actor: "jdoe", Intent: "ack", Outcome: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	r.now = noon.Add(2 * time.Hour)
	r.verify()
}

// TestWhatIsReadBackAndCannotBeWrittenDownIsTold: the next run reads it back again.
func TestWhatIsReadBackAndCannotBeWrittenDownIsTold(t *testing.T) {
	r := newRig(t)
	p := restart()
	if _, _, err := store.Claim(t.Context(), r.store, store.Gate("acme"), GateSchema, func(d *store.Doc[Gate], _ bool) (bool, error) {
		d.Value.Open = append(d.Value.Open, Intent{Seq: 1, ID: p.ID, Action: p.Action, Target: p.Target, Written: noon.Add(-2 * time.Hour), Deadline: noon.Add(-2*time.Hour + time.Minute)})
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	r.store.Fail = func(op string, key store.Key) error {
		if op == "put" {
			return errNoWay
		}
		return nil
	}
	if n, err := r.Settle(t.Context()); n != 0 || !errors.Is(err, errNoWay) {
		t.Errorf("%d are closed, %v", n, err)
	}
	r.store.Fail = nil
	if r.settle() != 1 || len(r.gate().Open) != 0 {
		t.Errorf("%+v", r.gate().Open)
	}
}
