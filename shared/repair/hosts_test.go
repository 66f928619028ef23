//go:build unix

package repair

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/bolt"
	"peerkeeper/shared/store/dynamo"
	"peerkeeper/shared/store/dynamo/emulator"
)

// Two hosts are two processes, that share a store, a simulated node over HTTP, and
// a history. What time it is the test says, in a file: nobody waits for a lease
// to run out. Each host's clock differs from that by its skew.

const (
	hostVariable = "PEERKEEPER_HOST" // an assignment: this process is a host
	hostPeriod   = 5 * time.Minute
	hostLease    = 5 * time.Minute
	hostClusters = 12
)

// assignment is what a host is told once.
type assignment struct {
	Name, Bolt, Table, URL, History, Clock, Node string
	Skew                                         time.Duration
}

// order is one run: look after one cluster, and stop, as SIGSTOP does, at a step.
type order struct {
	Cluster mesh.ClusterID
	StopAt  string
	Times   int // how often, 0 = once, each on the next cluster
	Say     bool
}

// report is how the last run of an order ended.
type report struct {
	Skip    string
	Token   int64
	Closed  int
	Refused []record.Refusal
	Outcome Outcome
	Text    string
	Err     string
}

func (r report) String() string {
	b, _ := json.Marshal(r)
	return string(b)
}

// keeping is the clock of the stores: on the days of this test nothing expires, whatever day it is run on.
func keeping() time.Time { return noon }

// rightNow is what the test's clock says.
func rightNow(path string) time.Time {
	b, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	ns, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		panic(err)
	}
	return noon.Add(time.Duration(ns))
}

// TestChildHost is a host: it carries out the orders that it reads.
func TestChildHost(t *testing.T) {
	text := os.Getenv(hostVariable)
	if text == "" {
		return // only a child has work here
	}
	var a assignment
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	say := appender(t, a.History)
	var under store.Store
	if a.Bolt != "" {
		s, err := bolt.Open(a.Bolt)
		if err != nil {
			t.Fatal(err)
		}
		s.Now = keeping
		under = s
	} else {
		cfg := aws.Config{Region: emulator.Region, Credentials: emulator.Credentials(), BaseEndpoint: &a.URL}
		s := dynamo.New(dynamo.NewClient(cfg), a.Table)
		s.FirstWait, s.Now = 2*time.Millisecond, keeping
		under = s
	}
	h := &oneHost{assignment: a, say: say, store: &recorder{Store: under, client: a.Name, say: say}}
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		var o order
		if err := json.Unmarshal(orders.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		var r report
		all := meshOf(hostClusters).Clusters
		for i := range max(1, o.Times) {
			if o.Times > 0 {
				o.Cluster = all[i%len(all)].ID
			}
			r = h.run(t.Context(), o)
		}
		fmt.Println("REPORT " + r.String())
	}
}

type oneHost struct {
	assignment
	say   func(line)
	store store.Store
}

func (h *oneHost) now() time.Time { return rightNow(h.Clock).Add(h.Skew) }

func (h *oneHost) run(ctx context.Context, o order) (out report) {
	failed := func(err error) report {
		out.Err = err.Error()
		return out
	}
	_, _, s := calm()
	s.Mesh = meshOf(hostClusters)
	s.Newest = s.Mesh.Hash()
	l, skip, err := store.Begin(ctx, h.store, "acme", "stucksync", time.Time{}, hostPeriod, hostLease, s.Newest, h.now())
	if err != nil || skip != "" {
		out.Skip = skip
		return failed(errors.Join(err, errors.New(skip)))
	}
	out.Token = l.Run.Token
	h.say(line{Kind: "begin", Client: h.Name, Token: l.Run.Token})
	r := &Repair{
		Mesh: s.Mesh, Store: h.store, Now: h.now, Actor: "stucksync",
		Open: func(context.Context, mesh.ClusterID) (ServiceController, error) {
			return remote{h.Node, h.Name, l.Run.Token}, nil
		},
		CheckLease: func(ctx context.Context) error { return l.Check(ctx, h.now()) },
		Crash: func(step string) {
			if step == o.StopAt {
				h.say(line{Kind: "stop", Client: h.Name, Token: l.Run.Token, Note: step})
				// A signal to a process stops this thread when it pleases: the step is
				// not left before the process has been stopped and goes on.
				goesOn := make(chan os.Signal, 1)
				signal.Notify(goesOn, syscall.SIGCONT)
				if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
					panic(err)
				}
				<-goesOn
				signal.Stop(goesOn)
			}
		},
	}
	if out.Closed, err = r.Settle(ctx); err != nil {
		return failed(err)
	}
	if o.Say { // a person's word beside it
		if _, err := Append(ctx, h.store, "acme", Entry{Time: h.now(), Actor: h.Name, Intent: "ack", Outcome: "done"}); err != nil {
			return failed(err)
		}
	}
	t := peer.Target{Cluster: o.Cluster, Node: mesh.NodeName("imp-" + o.Cluster + "-pub.example.com"), Service: peer.ICSA}
	to := mesh.ClusterID("emea")
	if o.Cluster == to {
		to = "apac"
	}
	p := peer.Proposal{ID: "restart " + string(o.Cluster), Action: peer.RestartService, Target: t, Peers: []mesh.PeerID{{From: o.Cluster, To: to}}, MinAge: 2 * time.Hour, Why: "it is stuck"}
	res, err := r.Do(ctx, p, func(ctx context.Context, g *Gate) (Situation, error) {
		now, err := remote{h.Node, h.Name, l.Run.Token}.Service(ctx, t.Node, t.Service)
		s.Service, s.Epoch, s.Announced = now, g.PauseEpoch, h.now().Add(-notice)
		s.Failing = []Failing{{p.Peers[0], peer.Root{Cause: "Synced", Cluster: o.Cluster}}}
		s.Peers = map[mesh.PeerID]Peer{p.Peers[0]: stuck()}
		return s, err
	})
	out.Refused, out.Outcome, out.Text = res.Refused, res.Outcome, res.Text
	if err != nil {
		return failed(err)
	}
	if err := l.Complete(ctx, h.now()); err != nil {
		return failed(err)
	}
	return out
}

// remote is the simulated node's Control Center as a host sees it.
type remote struct {
	url, host string
	token     int64
}

func (r remote) ask(ctx context.Context, method string, node mesh.NodeName, into any) error {
	q := url.Values{"node": {string(node)}, "host": {r.host}, "token": {strconv.FormatInt(r.token, 10)}}
	req, err := http.NewRequestWithContext(ctx, method, r.url+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return json.NewDecoder(resp.Body).Decode(into)
}

func (r remote) Service(ctx context.Context, node mesh.NodeName, _ string) (peer.Service, error) {
	var up time.Duration
	err := r.ask(ctx, http.MethodGet, node, &up)
	return peer.Service{Status: "Started", UpTime: up}, err
}

func (r remote) Control(ctx context.Context, node mesh.NodeName, _ peer.Action, _ string) error {
	var up time.Duration
	return r.ask(ctx, http.MethodPost, node, &up)
}

func (remote) Parameter(context.Context, mesh.NodeName, string, string) (string, int, error) {
	return "", 0, errors.ErrUnsupported
}

func (remote) SetParameter(context.Context, mesh.NodeName, string, string, string) error {
	return errors.ErrUnsupported
}

func (remote) Activate(context.Context, mesh.NodeName, string) error { return errors.ErrUnsupported }

func (remote) Readiness(context.Context) (peer.Readiness, error) {
	return peer.Readiness{}, errors.ErrUnsupported
}

func (remote) Refused(error) bool   { return false }
func (remote) Uncertain(error) bool { return true }

// pair is where two hosts meet: store, node, clock and history.
type pair struct {
	t     *testing.T
	store store.Store
	a     assignment
	say   func(line)

	mu    sync.Mutex
	right time.Duration // since noon
	since map[string]time.Time
}

func newPair(t *testing.T, a assignment, s store.Store) *pair {
	p := &pair{t: t, store: s, a: a, since: map[string]time.Time{}}
	p.a.History, p.a.Clock = historyPath(t), filepath.Join(t.TempDir(), "clock")
	p.say = appender(t, p.a.History)
	p.pass(0)
	node := httptest.NewServer(p)
	t.Cleanup(node.Close)
	p.a.Node = node.URL
	return p
}

// ServeHTTP is every node: GET tells the up-time of its ICSA, POST restarts it.
func (p *pair) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	node, now := r.FormValue("node"), noon.Add(p.right)
	if _, seen := p.since[node]; !seen {
		p.since[node] = now.Add(-5 * time.Hour)
	}
	if r.Method == http.MethodPost {
		token, _ := strconv.ParseInt(r.FormValue("token"), 10, 64)
		p.say(line{Kind: "sent", Client: r.FormValue("host"), Token: token, Cluster: clusterOf(node), At: now})
		p.since[node] = now
	}
	_ = json.NewEncoder(w).Encode(now.Sub(p.since[node]))
}

func clusterOf(node string) string {
	return strings.TrimSuffix(strings.TrimPrefix(node, "imp-"), "-pub.example.com")
}

// pass lets time pass, for everybody at once.
func (p *pair) pass(d time.Duration) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.right += d
	next := p.a.Clock + ".next"
	err := os.WriteFile(next, []byte(strconv.FormatInt(int64(p.right), 10)), 0o600)
	if err == nil {
		err = os.Rename(next, p.a.Clock)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// process is one host.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	name string
}

func (p *pair) host(name string, skew time.Duration) *process {
	p.t.Helper()
	a := p.a
	a.Name, a.Skew = name, skew
	text, err := json.Marshal(a)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(p.t.Context(), os.Args[0], "-test.run=^TestChildHost$") //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), hostVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	h := &process{p.t, cmd, in, bufio.NewScanner(out), name}
	p.t.Cleanup(h.kill)
	return h
}

func (h *process) kill() {
	_ = h.cmd.Process.Kill() // it may have ended
	_ = h.cmd.Wait()
}

func (h *process) tell(o order) {
	h.t.Helper()
	b, err := json.Marshal(o)
	if err == nil {
		_, err = h.in.Write(append(b, '\n'))
	}
	if err != nil {
		h.t.Fatalf("host %s: %v", h.name, err)
	}
}

// heard waits for the report on an order; false if the host has died.
func (h *process) heard() (report, bool) {
	for h.out.Scan() {
		if text, ok := strings.CutPrefix(h.out.Text(), "REPORT "); ok {
			var r report
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				h.t.Errorf("host %s said %q: %v", h.name, text, err)
			}
			return r, true
		}
	}
	return report{}, false
}

func (h *process) runs(o order) report {
	h.t.Helper()
	h.tell(o)
	r, alive := h.heard()
	if !alive {
		h.t.Fatalf("host %s has ended", h.name)
	}
	return r
}

// stopped waits until the host has been stopped.
func (h *process) stopped() {
	h.t.Helper()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(h.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || !status.Stopped() {
			h.t.Fatalf("host %s did not stop: %v %v", h.name, status, err)
		}
		return
	}
}

func (h *process) goesOn() report {
	h.t.Helper()
	if err := h.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		h.t.Fatal(err)
	}
	r, alive := h.heard()
	if !alive {
		h.t.Fatalf("host %s has ended", h.name)
	}
	return r
}

// sent counts what a host has sent to a cluster; "" is any.
func (p *pair) sent(host string, cluster mesh.ClusterID) int {
	p.t.Helper()
	n := 0
	for _, l := range readHistory(p.t, p.a.History) {
		if l.Kind == "sent" && l.Client == host && (cluster == "" || l.Cluster == string(cluster)) {
			n++
		}
	}
	return n
}

// writes waits until a host is in the middle of a write.
func (p *pair) writes(host string) {
	p.t.Helper()
	from := len(readHistory(p.t, p.a.History))
	for p.t.Context().Err() == nil {
		for _, l := range readHistory(p.t, p.a.History)[from:] {
			if l.Kind == "call" && l.Client == host && l.Op.Put {
				return
			}
		}
	}
}

// holds is what must be true of every history.
func (p *pair) holds(apart time.Duration) {
	t := p.t
	t.Helper()
	lines := readHistory(t, p.a.History)
	linearizable(t, p.a.History, lines)

	holder, sentBy := map[int64]string{}, map[int64]string{}
	last, times := map[string]time.Time{}, map[string]int{}
	for _, l := range lines {
		switch l.Kind {
		case "begin":
			if other, taken := holder[l.Token]; taken {
				t.Errorf("token %d is held by %s and by %s", l.Token, other, l.Client)
			}
			holder[l.Token] = l.Client
		case "sent":
			times[l.Cluster]++
			if holder[l.Token] != l.Client {
				t.Errorf("%s acted by token %d, which %q holds", l.Client, l.Token, holder[l.Token])
			}
			if other, twice := sentBy[l.Token]; twice {
				t.Errorf("two actions by token %d: %s, then %s", l.Token, other, l.Client)
			}
			sentBy[l.Token] = l.Client
			if before, again := last[l.Cluster]; again && l.At.Sub(before) < time.Hour-apart {
				t.Errorf("%s was restarted twice within %v: the limit is once an hour, by clocks that are %v apart", l.Cluster, l.At.Sub(before), apart)
			}
			last[l.Cluster] = l.At
		}
	}
	// Every action was meant: one intent each, which the audit still has.
	entries, err := History(t.Context(), p.store, "acme", noon.Add(-time.Hour), noon.Add(p.right+time.Hour))
	if err == nil {
		err = Verify(t.Context(), p.store, "acme", entries)
	}
	if err != nil {
		t.Fatal(err)
	}
	meant := map[string]int{}
	for _, e := range entries {
		if e.Outcome == "intent" {
			meant[e.Intent]++
		}
	}
	total := 0
	for cluster, n := range times {
		total += n
		of := fmt.Sprintf("%s %s", peer.RestartService, peer.Target{Cluster: mesh.ClusterID(cluster), Node: mesh.NodeName("imp-" + cluster + "-pub.example.com"), Service: peer.ICSA})
		if n > meant[of] {
			t.Errorf("%s was sent %d times and meant %d times", of, n, meant[of])
		}
	}
	t.Logf("%d runs began, %d restarts were sent, %d entries of the audit in one chain", len(holder), total, len(entries))
}

// stores runs a test over one bolt file, and over one table.
func stores(t *testing.T, test func(t *testing.T, open func(t *testing.T) *pair)) {
	t.Run("one bolt file", func(t *testing.T) {
		test(t, func(t *testing.T) *pair {
			path := filepath.Join(t.TempDir(), "state.db")
			s, err := bolt.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			s.Now = keeping
			return newPair(t, assignment{Bolt: path}, s)
		})
	})
	t.Run("one DynamoDB", func(t *testing.T) {
		e, err := emulator.Start(t.Context())
		if missing, ok := errors.AsType[*emulator.MissingError](err); ok {
			t.Skip(missing.Error())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
		tables := 0
		test(t, func(t *testing.T) *pair {
			tables++
			name := fmt.Sprintf("hosts-%d-%d", os.Getpid(), tables)
			if err := e.CreateTable(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			// Now and then the answer to a write of the gate is lost.
			e.Inject(emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: "GATE", Kind: emulator.LostReply, Times: 9})
			t.Cleanup(func() { e.Mend() })
			s := dynamo.New(dynamo.NewClient(e.Config()), name)
			s.Now = keeping
			return newPair(t, assignment{Table: name, URL: e.URL}, s)
		})
	})
}

// A host is stopped in the middle of an action for longer than its lease, and
// goes on when another has taken over: at once, or when that one has acted.
// What it was about to do it does not do any more, by whatever clock.
func TestAHostThatWasStoppedBeyondItsLeaseSendsNothing(t *testing.T) {
	stores(t, func(t *testing.T, open func(t *testing.T) *pair) {
		for _, skew := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
			t.Run(fmt.Sprintf("its clock is %v off", skew), func(t *testing.T) {
				p := open(t)
				a, b := p.host("a", skew), p.host("b", 0)
				clusters := meshOf(hostClusters).Clusters
				n := 0
				for _, step := range []string{"looked", "intent", "lookedAgain", "sent", "readBack"} {
					for _, late := range []bool{false, true} {
						c := clusters[n].ID
						n++
						t.Logf("stopped at %s, the other has acted: %v", step, late)
						p.pass(3 * time.Hour)
						a.tell(order{Cluster: c, StopAt: step})
						a.stopped()
						before := p.sent("a", c)
						if (before == 1) != (step == "sent" || step == "readBack") {
							t.Fatalf("%d sent before it was stopped", before)
						}
						b.runs(order{Cluster: c}) // the lease is held, or not by b's clock
						p.pass(10 * time.Minute)
						took := b.runs(order{Cluster: c})
						if took.Token == 0 {
							t.Fatalf("the lease outlives its holder: %v", took)
						}
						if late {
							p.pass(70 * time.Minute)
							if acted := b.runs(order{Cluster: c}); before == 0 && p.sent("b", c) != 1 {
								t.Errorf("the other did not act in its place: %v, %v", took, acted)
							}
						}
						r := a.goesOn()
						if after := p.sent("a", c); after != before {
							t.Errorf("it has sent %d more: %v", after-before, r)
						}
						if r.Outcome == DoneProven || r.Err == "" {
							t.Errorf("it believes that its run stands: %v", r)
						}
						if all := p.sent("a", c) + p.sent("b", c); all > 1 {
							t.Errorf("%s was restarted %d times", c, all)
						}
					}
				}
				p.holds(skew.Abs())
			})
		}
	})
}

// Two hosts work on one mesh at the same time, by clocks that are seven minutes
// apart, so that each takes the other's lease for free; one is killed in the
// middle, and another comes in its place.
func TestTwoHostsByClocksThatAreMinutesApart(t *testing.T) {
	stores(t, func(t *testing.T, open func(t *testing.T) *pair) {
		p := open(t)
		const ahead = 7 * time.Minute
		rounds := 6
		a, b := p.host("a", ahead), p.host("b", 0)
		for round := range rounds {
			p.pass(65 * time.Minute)
			both := order{Times: 6, Say: true}
			a.tell(both)
			b.tell(both)
			if round == rounds/2 {
				p.writes(a.name)
				a.kill()
			} else if _, alive := a.heard(); !alive {
				t.Fatalf("host %s has ended", a.name)
			}
			if _, alive := b.heard(); !alive {
				t.Fatal("host b has ended")
			}
			if round == rounds/2 {
				a = p.host("c", -ahead)
			}
		}
		p.holds(2 * ahead)
		if p.sent("a", "")+p.sent("b", "")+p.sent("c", "") < 3 {
			t.Error("hardly anything was sent: nothing was tested")
		}
	})
}
