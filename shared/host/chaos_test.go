package host_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/demo"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret/file"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/bolt"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/tlsprobe"
)

// The chaos run drives the whole engine against simulated clusters in this
// process: two hosts on one store, one thing at a time, everything that may go
// wrong drawn by rapid, time virtual. What must never happen is checked at every
// write that reaches a node and after every step. The same seed gives the same
// run, to the hash of its log.

const (
	chaosEpisode = 60 // steps
	chaosSteps   = 2040
	// chaosQuiet is the longest that repairing everything may take once the
	// trouble is over: two of Cisco's clocks, the least up-time, and room.
	chaosQuiet = 14 * time.Hour
)

// step is one drawn step of a plan.
type step struct {
	Kind   string
	Host   int
	Which  int    // which peer, cluster or kind of trouble
	Size   int    // how much
	Faults int    // in a thousand of the requests of this step
	Store  int    // in a thousand of the store's calls
	Crash  string // between which steps of an action
	How    string // panic, cancel or overlap
}

func drawStep(t *rapid.T) step {
	return step{
		Kind: rapid.SampledFrom([]string{
			"tick", "tick", "tick", "tick", "tick", "tick", "tick", "tick", "tick", "tick", "while", "while",
			"break", "break", "break", "break", "mend", "stop", "stop", "renew", "renew", "renew", "users", "clock", "pause", "resume", "approve", "approve", "approve", "duplicate", "late", "again",
			"crash", "crash", "reboot", "between", "names", "answers",
			"plan", "plan", "plan", "plan", "word", "word", "word", "word", "word", "word", "work", "work", "work", "work", "work", "work",
		}).Draw(t, "kind"),
		Host:   rapid.IntRange(0, 1).Draw(t, "host"),
		Which:  rapid.IntRange(0, 1<<16).Draw(t, "which"),
		Size:   rapid.IntRange(1, 20).Draw(t, "size"),
		Faults: rapid.SampledFrom([]int{0, 0, 0, 0, 10, 50, 300}).Draw(t, "faults"),
		Store:  rapid.SampledFrom([]int{0, 0, 0, 0, 5, 30}).Draw(t, "store"),
		Crash:  rapid.SampledFrom([]string{"", "", "", "", "looked", "intent", "lookedAgain", "sent", "readBack", "closed"}).Draw(t, "crash"),
		How:    rapid.SampledFrom([]string{"panic", "cancel", "overlap", "pause"}).Draw(t, "how"),
	}
}

// plan is an episode: what the mesh is like, and what happens.
type plan struct {
	Seed   int
	Bolt   bool
	Lag    int    // of what Load shows
	Window string // "" or a deny window
	One    string // restartForOnePeer
	Import string // importCertificates
	Limit  int    // importsPerMeshPerHour
	Start  string // startCommanded
	Every  int    // minutes between two syncs
	Auto   bool   // Cisco's auto recovery
	Wait   time.Duration
	Steps  []step
	Clock  string // what tells of syncs

	Apart   int    // clusters that have not joined the mesh
	Wish    int    // what people ask for at the beginning; 0 is nothing
	Release string // of every cluster
	Bells   bool   // whether the pages ask for restarts of the router
	First   string // how long a first full sync takes; "" is by the number of users
}

// What tells of syncs: a table that somebody has mapped, or ICSA's own log, with
// its successes or, at Cisco's default level, without.
const (
	clockTable = "table"
	clockLog   = "log"
	clockError = "log at level Error"
)

func drawPlan(t *rapid.T) plan {
	return plan{
		Seed:   rapid.IntRange(1, 1<<20).Draw(t, "seed"),
		Bolt:   rapid.IntRange(0, 3).Draw(t, "bolt") == 0,
		Lag:    rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "lag"),
		Window: rapid.SampledFrom([]string{"", "", "03:00-05:00"}).Draw(t, "window"),
		One:    rapid.SampledFrom([]string{"approve", "auto"}).Draw(t, "one"),
		Import: rapid.SampledFrom([]string{mesh.ImportApprove, mesh.ImportAuto}).Draw(t, "import"),
		Limit:  rapid.SampledFrom([]int{30, 30, 1}).Draw(t, "limit"),
		Start:  rapid.SampledFrom([]string{"", "", "auto", "2h0m0s"}).Draw(t, "start"),
		Every:  rapid.SampledFrom([]int{30, 30, 60}).Draw(t, "every"),
		Auto:   rapid.Bool().Draw(t, "auto"),
		Wait:   rapid.SampledFrom([]time.Duration{0, 0, 20 * time.Minute}).Draw(t, "wait"),
		Steps:  rapid.SliceOfN(rapid.Custom(drawStep), chaosEpisode, chaosEpisode).Draw(t, "steps"),
		Clock:  rapid.SampledFrom([]string{clockTable, clockTable, clockTable, clockTable, clockLog, clockError}).Draw(t, "clock"),

		Apart:   rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "apart"),
		Wish:    rapid.IntRange(0, 6).Draw(t, "wish"),
		Release: rapid.SampledFrom([]string{"14.0", "14.0", "14.0", "14.0", "12.5"}).Draw(t, "release"),
		Bells:   rapid.Bool().Draw(t, "bells"),
		First:   rapid.SampledFrom([]string{"", "15m", "40m"}).Draw(t, "first"),
	}
}

// tally counts over all episodes.
type tally struct {
	steps, ticks, faults, storeFaults, crashes, overlaps, writes, restarts, starts, notices, unknown, quiet int
	renewals, imports, importsUnknown, reloads                                                              int
	withoutDialect                                                                                          int // meshes
	plansAsked, plansDone, plannedWrites, plannedRestarts                                                   int
	byHand, troubles                                                                                        int            // stops by a person; troubles of the wire, of names and of nodes
	ends                                                                                                    map[string]int // plans, by kind and end
	wrong                                                                                                   int            // what people did not do as a plan told them
	elsewhere                                                                                               int            // pairs that stood still while a plan of others waited
	unattended                                                                                              int            // pairs that were broken when their plan had ended
	log                                                                                                     hash.Hash
}

func newTally() *tally { return &tally{log: sha256.New(), ends: map[string]int{}} }

func (c *tally) hash() string { return hex.EncodeToString(c.log.Sum(nil)[:8]) }

func TestChaos(t *testing.T) {
	steps := chaosSteps
	if s := os.Getenv("CHAOS_STEPS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("CHAOS_STEPS=%s: want a number", s)
		}
		steps = n
	}
	if testing.Short() {
		steps = 120
	}
	seed := 1
	if s := os.Getenv("CHAOS_SEED"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("CHAOS_SEED=%s: want a number", s)
		}
		seed = n
	}
	// rapid counts on from its seed for every episode: those of two seeds next to each
	// other would be the same for a good part.
	first := strconv.Itoa((seed-1)*1_000_000 + 1)
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa((steps + chaosEpisode - 1) / chaosEpisode), "rapid.seed": first, "rapid.nofailfile": "true", "rapid.shrinktime": "20s"} {
		was := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, was) })
	}
	total := newTally()
	began := time.Now()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		if err := play(t, p, total); err != nil {
			rt.Fatalf("%v", err)
		}
	})
	t.Logf("seed %d: %d steps, %d ticks besides %d to calm down, %.0f steps/s", seed, total.steps, total.ticks, total.quiet, float64(total.steps)/time.Since(began).Seconds())
	t.Logf("%d meshes without a dialect", total.withoutDialect)
	t.Logf("faults: %d of requests, %d of the store, %d crashes, %d overlaps, %d outcomes unknown", total.faults, total.storeFaults, total.crashes, total.overlaps, total.unknown)
	t.Logf("actions: %d writes reached a node, %d restarts and %d starts carried out, %d notices", total.writes, total.restarts, total.starts, total.notices)
	t.Logf("certificates: %d renewals that a cluster never learned of, %d imports carried out, %d of unknown outcome, %d restarts to read one", total.renewals, total.imports, total.importsUnknown, total.reloads)
	t.Logf("troubles: %d services that a person stopped, %d crashes, reboots, certificates in between, names and answers", total.byHand, total.troubles)
	t.Logf("plans: %d asked for, %d carried out to their end, %d writes for them, %d of them restarts", total.plansAsked, total.plansDone, total.plannedWrites, total.plannedRestarts)
	t.Logf("plans by kind and end: %s; %d things done otherwise than asked; %d pairs broken after their plan, %d stuck elsewhere while one waited", counts(total.ends), total.wrong, total.unattended, total.elsewhere)
	t.Logf("event log: %s", total.hash())
	if steps >= 2000 && (total.restarts < 10 || total.starts < 3 || total.crashes < 10 || total.unknown < 3 || total.imports < 10 || total.importsUnknown < 3 || total.plansDone < 5 || total.plannedRestarts < 5 ||
		total.ends["join done"] < 2 || total.ends["leave done"] < 2 || total.wrong < 10 || total.unattended < 2) {
		t.Error("hardly anything was tested")
	}
}

// TestChaosRepeats plays the same plan twice: the logs are equal. It is one that
// restarts, starts and imports within 40 steps, and whose runs die.
func TestChaosRepeats(t *testing.T) {
	var hashes []string
	for range 2 {
		total := newTally()
		p := rapid.Custom(drawPlan).Example(18)
		p.Steps = p.Steps[:40]
		if err := play(t, p, total); err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, total.hash())
		if total.imports == 0 || total.restarts == 0 || total.crashes == 0 || total.plannedWrites == 0 {
			t.Errorf("%d imports, %d restarts, %d crashes, %d writes of plans: hardly anything is shown to repeat", total.imports, total.restarts, total.crashes, total.plannedWrites)
		}
	}
	if hashes[0] != hashes[1] {
		t.Errorf("the same plan gave %s and %s", hashes[0], hashes[1])
	}
}

// chaos is one episode under way.
type chaos struct {
	wireMu sync.Mutex // what the wire counts: clusters are looked at side by side
	plan
	*tally
	sim    *clustersim.Sim
	clock  *demo.Stepped
	offset time.Duration // of the hosts' clock
	base   store.Store   // what is really stored
	mesh   *mesh.Mesh    // every cluster there is, each with each
	file   *mesh.Mesh    // mesh.yaml as it was last written
	hosts  [2]*host.Host
	pairs
	said          []alarm.Notice
	step          step
	n             int
	asked         int // proposals at the last look
	well          int // healthy peers at the last look
	acting        int // the host whose run is under way
	ctx           context.Context
	cancel        context.CancelFunc
	unlucky       int            // answers to writes that may be lost in the calm after
	deep          bool           // an overlapping run is under way
	lives         int            // how often a run may yet be broken off in this step
	sent          map[int64]bool // intents that were sent
	told          map[int64]bool // intents of which the person who paused was told
	names         names
	ca            *x509.Certificate            // of the mesh
	served        map[string]*x509.Certificate // by publishers, ever, by fingerprint
	acts          []act
	closed        map[int64]bool
	stoppedByHand map[peer.Target]time.Time // services that a person stopped, by true time
	covered       map[mesh.NodeName]bool    // nodes before which something shows a certificate of its own
	hidden        map[string]mesh.ClusterID // names that a cluster's DNS denies Peerkeeper
	broken        error                     // the first thing that must never happen
	plans         []string                  // that people asked for, by id
	checked       map[string]bool           // plans whose end was looked at
	gaveUp        map[string]int            // how often somebody has done in the calm what a plan waits for
}

// act is one write that reached a node.
type act struct {
	at      time.Time // true time
	clock   time.Time // the hosts' time
	target  peer.Target
	action  string
	applied bool
	certs   []*x509.Certificate // of an import
	planned peer.PlannedStep    // zero of a repair
}

func (c *chaos) fail(format string, args ...any) {
	if c.broken == nil {
		c.broken = fmt.Errorf("step %d (%+v), at %s: "+format, append([]any{c.n, c.step, c.clock.Now().Format(time.DateTime)}, args...)...)
		if os.Getenv("CHAOS_LOG") != "" {
			fmt.Println("FAILED", c.broken)
		}
	}
}

func (c *chaos) logf(format string, args ...any) {
	line := fmt.Sprintf("%d %s %s\n", c.n, c.clock.Now().UTC().Format(time.RFC3339), c.names.plain(fmt.Sprintf(format, args...)))
	_, _ = io.WriteString(c.log, line) // a hash takes everything
	if os.Getenv("CHAOS_LOG") != "" {
		fmt.Print(line)
	}
}

// names are what is called differently in every run, because keys are: the
// fingerprints of certificates, and the ids of imports, which are made of them.
// What is logged, drawn or sorted goes by these names.
type names struct {
	mu sync.Mutex
	of map[string]string
}

func (n *names) give(raw, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]string{}
	}
	n.of[raw] = name
}

// plain is a text that is the same in every run.
func (n *names) plain(text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, raw := range slices.Sorted(maps.Keys(n.of)) {
		text = strings.ReplaceAll(text, raw, n.of[raw])
	}
	return text
}

// meet names the proposal of an import when it is first written.
func (c *chaos) meet(it store.Item) {
	id, ok := strings.CutPrefix(it.SK, store.PrefixProposal)
	if !ok {
		return
	}
	d, err := store.Decode[record.Proposed](it, record.ProposedSchema)
	if p := d.Value.Proposal; err == nil && p.Action == peer.ImportCertificate {
		c.names.give(id, fmt.Sprintf("import of %s into %s since %d", c.names.plain(p.Value), p.Target.Cluster, p.Since.Unix()))
	}
}

// chance is a number below a thousand that depends on nothing but the episode,
// the step and what is asked: goroutines may ask in any order.
func (c *chaos) chance(parts ...any) int {
	h := fnv.New64a()
	fmt.Fprint(h, c.plan.Seed, "|", c.n, "|", c.deep, "|", c.clock.Now().Unix())
	for _, p := range parts {
		fmt.Fprint(h, "|", p)
	}
	return int(h.Sum64() % 1000)
}

type chaosClock struct{ c *chaos }

func (k chaosClock) Now() time.Time { return k.c.clock.Now().Add(k.c.offset) }
func (k chaosClock) Until(context.Context, time.Time) error {
	return errors.New("this clock is moved by hand")
}

var chaosStart = time.Date(2026, 10, 24, 18, 0, 0, 0, time.UTC) // the night on which summer time ends in Europe

func play(t *testing.T, p plan, total *tally) error {
	c := &chaos{plan: p, tally: total, clock: demo.NewStepped(chaosStart), sent: map[int64]bool{}, told: map[int64]bool{}, closed: map[int64]bool{}, served: map[string]*x509.Certificate{},
		stoppedByHand: map[peer.Target]time.Time{}, covered: map[mesh.NodeName]bool{}, hidden: map[string]mesh.ClusterID{}, checked: map[string]bool{}, gaveUp: map[string]int{}, pairs: newPairs()}
	if err := c.build(t.TempDir()); err != nil {
		return err
	}
	defer c.sim.Close()
	c.logf("episode %d", p.Seed)
	c.tick(0) // what a first start does
	c.look()
	c.wish()
	for i, s := range p.Steps {
		c.n, c.step = i+1, s
		c.steps++
		c.do(s)
		c.look()
		if c.broken != nil {
			return c.broken
		}
	}
	c.calm()
	if c.broken == nil {
		c.logf("end: %d acts", len(c.acts))
	}
	return c.broken
}

func (c *chaos) build(dir string) error {
	cfg := clustersim.Config{Clusters: 3, Apart: c.plan.Apart, Release: c.plan.Release, Users: 20, Clock: c.clock, Seed: uint64(c.plan.Seed), Epoch: chaosStart, Rate: 1}
	if c.plan.Clock == clockError {
		cfg.LogSeverity = 3
	}
	sim, err := clustersim.New(cfg)
	if err != nil {
		return err
	}
	c.sim = sim
	if err := demo.WriteFiles(sim, "", dir); err != nil {
		return err
	}
	if c.plan.Clock != clockTable {
		c.withoutDialect++
	}
	if err := c.begin(dir); err != nil {
		return err
	}
	if c.plan.Bolt {
		b, err := bolt.Open(filepath.Join(dir, "state.db"))
		if err != nil {
			return err
		}
		b.Now = chaosClock{c}.Now
		c.base = b
	} else {
		m := storetest.NewMemory()
		m.Now = chaosClock{c}.Now
		c.base = m
	}
	salt, err := file.LoadSalt(filepath.Join(dir, "salt"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return err
	}
	if c.ca, err = parsedPEM(string(ca)); err != nil {
		return err
	}
	c.names.give(chain.Fingerprint(c.ca), "the CA")
	for _, cl := range c.mesh.Clusters {
		c.own(cl.Publisher)
	}
	for i := range c.hosts {
		var s store.Store = faulty{c.base, c}
		if c.plan.Lag > 0 {
			s = storetest.Stale(s, c.plan.Lag)
		}
		secrets := &file.Source{Path: filepath.Join(dir, "secrets.json"), Salt: salt}
		c.start[i] = func() *host.Host {
			return &host.Host{
				Mesh: c.file, Store: s, Secrets: secrets, Sinks: []alarm.Sink{ear{c}},
				Clock: chaosClock{c}, Timeout: time.Minute, Backoff: time.Millisecond, Transport: wire{c, sim.Transport()},
				TLS: inProcessTLS{sim}, DNS: &dnsprobe.Client{Domain: c.mesh.Domain, Timeout: time.Minute, Dialer: inProcessDNS{sim}}, Crash: func(at string) { c.between(i, at) }, Privilege: repair.GrantPrivilege(),
			}
		}
		c.hosts[i] = c.start[i]()
	}
	for _, id := range c.mesh.IDs() {
		if err := c.pages(id); err != nil {
			return err
		}
		if c.plan.Every != 30 {
			// Then ICSA starts again by itself so late that Peerkeeper's restart is
			// asked for before.
			if err := c.admin("/clusters/"+string(id)+"/parameters", map[string]any{"service": peer.ICSA, "name": "ICSAPeriodicSyncInterval", "value": strconv.Itoa(c.plan.Every)}); err != nil {
				return err
			}
		}
		if !c.plan.Auto {
			if err := c.admin("/clusters/"+string(id)+"/parameters", map[string]any{"service": peer.ICSA, "name": "ICSAEnableAutoRecovery", "value": "f"}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *chaos) admin(path string, body map[string]any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	c.logf("admin %s %s", path, b)
	if id, ok := strings.CutSuffix(strings.TrimPrefix(path, "/clusters/"), "/users"); ok {
		c.moved[mesh.ClusterID(id)] = c.clock.Now()
	}
	return c.sim.Do(http.MethodPost, path, b)
}

func (c *chaos) mustAdmin(path string, body map[string]any) {
	if err := c.admin(path, body); err != nil {
		c.fail("%s: %v", path, err)
	}
}

// advance lets time pass, with all that the clusters do in it.
func (c *chaos) advance(d time.Duration) {
	end := c.clock.Now().Add(d)
	for {
		next := c.sim.Next()
		if next.IsZero() || next.After(end) {
			break
		}
		c.clock.Set(next)
		c.sim.Step(c.clock.Now())
	}
	c.clock.Set(end)
	c.sim.Step(end)
}

// runs runs one function on one host, as its schedule would, and survives its
// death.
func (c *chaos) runs(host int, function string, scheduled time.Time) {
	h := c.hosts[host]
	c.acting = host
	c.before(function)
	defer c.after(function)
	wasCtx, wasCancel := c.ctx, c.cancel
	c.ctx, c.cancel = context.WithCancel(context.Background())
	defer func() {
		c.cancel()
		c.ctx, c.cancel, c.acting = wasCtx, wasCancel, host
		if r := recover(); r != nil {
			if r != errKilled {
				panic(r)
			}
			c.logf("host %d was killed in %s", host, function)
		}
	}()
	a, err := h.Handle(c.ctx, run.Request{Mesh: c.mesh.Name, Function: function, ScheduledTime: scheduled})
	if function == "stucksync" && a.Skipped == "" {
		c.asked, c.well = a.Proposals, a.Peers[peer.Healthy]
	}
	peers, _ := json.Marshal(a.Peers)
	c.logf("host %d %s: %s proposals %d actions %d skipped %v failed %v", host, function, peers, a.Proposals, a.Actions, a.Skipped != "", err != nil)
}

var errKilled = errors.New("killed")

// between is called between the steps of an action.
func (c *chaos) between(host int, at string) {
	how := c.step.How
	if c.step.Kind == "calm" && c.chance("between", at) < 150 {
		// Most imports are made now; each may meet something else.
		c.step.Crash, how = at, []string{"panic", "cancel", "overlap", "pause"}[c.chance("how", at)%4]
	}
	if c.step.Crash != at || c.lives == 0 || c.deep {
		return
	}
	if c.step.Kind == "calm" {
		c.step.Crash = ""
	}
	c.lives--
	c.logf("host %d: %s at %s", host, how, at)
	switch how {
	case "panic":
		c.crashes++
		panic(errKilled)
	case "cancel":
		c.crashes++
		c.cancel()
	case "pause":
		h := c.hosts[1-host]
		way, err := person(h).Pause(context.Background(), "mesh", "chaos", 40*time.Minute)
		c.logf("paused, %d under way, failed %v", len(way), err != nil)
		if at == "lookedAgain" {
			// Past the last look nobody can call it back; the person who pauses is
			// told of it.
			for _, in := range way {
				c.told[in.Seq] = true
			}
		}
	case "overlap":
		// This host is held up, for longer than its lease; the other one
		// comes along.
		c.overlaps++
		c.deep = true
		c.advance(5 * time.Minute)
		c.runs(1-host, "peersync", time.Time{})
		c.runs(1-host, "stucksync", time.Time{})
		c.deep = false
		c.acting = host
	}
}

// tick is five minutes of one host's life.
func (c *chaos) tick(host int) {
	c.ticks++
	c.deploy()
	c.advance(150 * time.Second)
	c.runs(host, "peersync", time.Time{})
	switch at := c.clock.Now(); {
	case at.Sub(chaosStart)%(2*time.Hour) < 5*time.Minute:
		c.runs(host, "certcheck", time.Time{})
	case at.Sub(chaosStart)%(15*time.Minute) < 5*time.Minute:
		c.runs(host, "certcheck", at) // as scheduled: only what is due
	}
	c.advance(150 * time.Second)
	c.runs(host, "stucksync", time.Time{})
	c.runs(host, "peering", time.Time{})
	if c.clock.Now().Sub(chaosStart)%(24*time.Hour) < 5*time.Minute {
		c.runs(host, "preflight", time.Time{})
	}
}

func (c *chaos) peerAt(i int) mesh.PeerID     { return c.mesh.Peers[i%len(c.mesh.Peers)].ID }
func (c *chaos) clusterAt(i int) mesh.Cluster { return c.mesh.Clusters[i%len(c.mesh.Clusters)] }

func (c *chaos) do(s step) {
	c.lives = 1
	id := c.peerAt(s.Which)
	ctx := context.Background()
	h := c.hosts[s.Host]
	if s.Kind == "renew" && c.plan.Release == "12.5" {
		return // nobody but a person puts a certificate in there
	}
	switch s.Kind {
	case "tick":
		c.tick(s.Host)
	case "while":
		for range 8 {
			if c.tick(s.Host); c.broken != nil {
				return
			}
		}
	case "break":
		mode := []string{"stuck", "stuck", "stuck", "stuckAll", "stuckAll", "deaf", "badCredentials", "slow"}[s.Which/7%8]
		if mode == "stuckAll" {
			for _, p := range c.mesh.Peers {
				if p.ID.From == id.From && c.entry(p.ID) != nil {
					c.mustAdmin("/clusters/"+string(p.ID.From)+"/peers", map[string]any{"peer": p.ID.To, "mode": "stuck", "selfHeals": s.Size > 17})
					c.mustAdmin("/clusters/"+string(p.ID.To)+"/users", map[string]any{"add": s.Size})
				}
			}
			return
		}
		if c.entry(id) == nil {
			return
		}
		c.mustAdmin("/clusters/"+string(id.From)+"/peers", map[string]any{"peer": id.To, "mode": mode, "selfHeals": s.Size > 15})
		c.mustAdmin("/clusters/"+string(id.To)+"/users", map[string]any{"add": s.Size})
	case "mend":
		if c.entry(id) != nil {
			c.mustAdmin("/clusters/"+string(id.From)+"/peers", map[string]any{"peer": id.To, "mode": "ok"})
		}
	case "stop":
		cl := c.clusterAt(s.Which)
		service := []string{peer.ICSA, peer.SyncAgent, peer.XCPRouter, peer.AXL}[s.Size%4]
		c.stopByHand(peer.Target{Cluster: cl.ID, Node: cl.Publisher, Service: service})
	case "crash", "reboot", "between", "names", "answers":
		c.trouble(s)
	case "renew":
		for _, p := range c.mesh.Peers {
			if p.ID == id || p.ID.From == id.From && s.Size%3 == 0 { // two at once wait for each other
				c.renew(p.ID, s)
			}
		}
	case "users":
		if s.Size > 14 {
			c.mustAdmin("/clusters/"+string(id.To)+"/users", map[string]any{"remove": 1})
			return
		}
		c.mustAdmin("/clusters/"+string(id.To)+"/users", map[string]any{"add": s.Size})
	case "clock":
		was := c.offset
		c.offset = []time.Duration{0, time.Minute, -time.Minute, 20 * time.Minute, -20 * time.Minute, 3 * time.Hour, -3 * time.Hour}[s.Which%7]
		c.logf("the hosts' clock goes from %v to %v", was, c.offset)
	case "pause":
		scope := []record.Scope{"mesh", record.Scope(id.From), record.Scope(id.String()), record.Scope(id.From + "<>" + id.To)}[s.Size%4]
		_, err := person(h).Pause(ctx, scope, "chaos", time.Duration(s.Size)*3*time.Minute)
		c.logf("pause %s failed %v", scope, err != nil)
	case "resume":
		for _, scope := range []record.Scope{"mesh", record.Scope(id.From), record.Scope(id.String())} {
			ended, err := person(h).EndPause(ctx, scope)
			c.logf("resume %s failed %v", scope, err != nil || !ended)
		}
	case "plan":
		c.ask(s)
	case "word":
		c.say(s)
	case "work":
		c.work(s)
	case "approve":
		c.approveAll(h)
		c.tick(s.Host)
	case "duplicate":
		at := mustSchedule("stucksync").Next(chaosClock{c}.Now()).Add(-5 * time.Minute)
		before := len(c.acts)
		c.runs(s.Host, "stucksync", at)
		mid := len(c.acts)
		c.runs(1-s.Host, "stucksync", at)
		if mid > before && len(c.acts) > mid {
			c.fail("the same event acted twice")
		}
	case "late":
		before := len(c.acts)
		c.runs(s.Host, "stucksync", chaosClock{c}.Now().Add(-time.Duration(s.Size+5)*time.Minute))
		if len(c.acts) > before {
			c.fail("an event that was too late acted")
		}
	case "again":
		c.runs(s.Host, "peersync", time.Time{})
		c.runs(1-s.Host, "stucksync", time.Time{})
		c.runs(s.Host, "stucksync", time.Time{})
	}
}

// renew gives the publisher that a peer pulls from a new tomcat certificate that
// the pulling cluster never learns of by itself: mostly a self-signed one, for
// which an operator vouches, if not always at once; now and then one of a CA
// that the pulling cluster does not trust any more.
func (c *chaos) renew(id mesh.PeerID, s step) {
	to, _ := c.mesh.Cluster(id.To)
	from, _ := c.mesh.Cluster(id.From)
	issuer := "self"
	// While its Tomcat starts, as after a reboot, nobody looks into a trust store.
	if s.Size%4 == 0 && c.statusOf(peer.Target{Cluster: id.From, Node: from.Publisher, Service: "Cisco Tomcat"}) == "Started" {
		issuer = "ca"
		if c.holds(id.From, c.ca) {
			c.mustAdmin("/clusters/"+string(id.From)+"/trust", map[string]any{"remove": chain.Fingerprint(c.ca)})
		}
	}
	c.renewals++
	c.mustAdmin("/clusters/"+string(id.To)+"/certificates", map[string]any{"node": to.Publisher, "issuer": issuer})
	c.own(to.Publisher)
	c.serves(to.Publisher)
	c.mustAdmin("/clusters/"+string(id.From)+"/trust", map[string]any{"remove": to.Publisher})
	if issuer == "self" && s.Which%3 != 0 {
		c.accept(c.hosts[s.Host], to.Publisher)
	}
}

// serves is the certificate that a node serves, by the simulator's own word.
func (c *chaos) serves(node mesh.NodeName) *x509.Certificate {
	owner, _ := c.mesh.Owner(node)
	cl, _ := c.mesh.Cluster(owner)
	n, _ := cl.Node(node)
	chain, err := c.sim.ServedKey(n.Address, "RSA")
	if err != nil {
		c.fail("what %s serves: %v", node, err)
		return nil
	}
	c.meetCertificate(chain[0])
	return chain[0]
}

// accept is an operator who vouches for what a node serves now.
func (c *chaos) accept(h *host.Host, node mesh.NodeName) {
	if leaf := c.serves(node); leaf != nil {
		err := person(h).Accept(context.Background(), node, chain.Fingerprint(leaf))
		c.logf("accept %s of %s failed %v", chain.Fingerprint(leaf), node, err != nil)
	}
}

// acceptAll vouches for every self-signed certificate that a publisher serves.
func (c *chaos) acceptAll() {
	for _, cl := range c.mesh.Clusters {
		if leaf := c.serves(cl.Publisher); leaf != nil && bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
			c.accept(c.hosts[0], cl.Publisher)
		}
	}
}

// holds reports whether the publisher of a cluster holds every certificate in
// its tomcat-trust, as the simulator itself tells it.
func (c *chaos) holds(id mesh.ClusterID, certs ...*x509.Certificate) bool {
	cl, _ := c.mesh.Cluster(id)
	n, _ := cl.Node(cl.Publisher)
	platform := &cluster.Platform{Secrets: c.hosts[0].Secrets, Now: c.clock.Now, Timeout: time.Minute, Transport: c.sim.Transport()}
	login, err := platform.LogIn(context.Background(), cl, nil)
	var held certificate.Holding
	if err == nil {
		held, err = platform.Holding(context.Background(), cl, *n, login, nil)
	}
	if err != nil {
		c.fail("what %s holds: %v", cl.Publisher, err)
		return false
	}
	for _, cert := range certs {
		if !slices.ContainsFunc(held.Stores[peer.TomcatTrust], func(h certificate.HeldCertificate) bool { return h.X509.Equal(cert) }) {
			return false
		}
	}
	return true
}

func parsedPEM(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("not one certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

func mustSchedule(function string) run.Schedule {
	s, ok := run.Find(function)
	if !ok {
		panic(function)
	}
	return s
}

func (c *chaos) approveAll(h *host.Host) {
	planned, err := person(h).Plan(context.Background())
	c.logf("plan: %d, failed %v", len(planned), err != nil)
	slices.SortStableFunc(planned, func(a, b operator.Planned) int {
		return strings.Compare(a.First.UTC().Format(time.RFC3339)+c.names.plain(a.ID), b.First.UTC().Format(time.RFC3339)+c.names.plain(b.ID))
	})
	for _, p := range planned {
		if p.Approval == "" {
			continue
		}
		_, err := person(h).Approve(context.Background(), p.ID)
		c.logf("approve %s %s failed %v", p.ID, p.Target, err != nil)
	}
}

// look checks what must hold after every step.
func (c *chaos) look() {
	gate, err := repair.Load(context.Background(), c.base, c.mesh.Name)
	if err != nil {
		c.fail("the gate: %v", err)
		return
	}
	open := map[mesh.ClusterID]int{}
	for _, in := range gate.Open {
		if open[in.Target.Cluster]++; open[in.Target.Cluster] > 1 {
			c.fail("two open intents on %s", in.Target.Cluster)
		}
	}
	for _, cl := range gate.Closed {
		if c.closed[cl.Seq] {
			continue
		}
		c.closed[cl.Seq] = true
		c.logf("closed %d %s %s: %s", cl.Seq, cl.Action, cl.Target, cl.Outcome)
		if cl.Outcome == repair.DoneProven && !c.sent[cl.Seq] {
			// Proven by a person's or ICSA's own restart; that is not ours.
			c.logf("%d was never sent", cl.Seq)
		}
		if cl.Action == peer.ImportCertificate && cl.Outcome == repair.DoneProven {
			c.proven(cl)
		}
	}
	c.notices()
	c.kept()
	c.effects()
}

// proven checks that what an import claims is true: the store holds what the
// proposal is about.
func (c *chaos) proven(cl repair.Closure) {
	it, err := c.base.Get(context.Background(), store.Proposal(c.mesh.Name, cl.ID))
	if err != nil {
		c.fail("the proposal of %d: %v", cl.Seq, err)
		return
	}
	d, err := store.Decode[record.Proposed](it, record.ProposedSchema)
	source := d.Value.Proposal.Source
	if err != nil || source == nil {
		c.fail("the proposal of %d: %v %+v", cl.Seq, err, d.Value)
		return
	}
	want := c.ca
	if source.Issuer == "" {
		if want = c.served[source.Fingerprint]; want == nil {
			c.fail("%d imported %s, which was never seen", cl.Seq, source.Fingerprint)
			return
		}
	}
	if !c.holds(cl.Target.Cluster, want) {
		c.fail("%d says that %s is in the store of %s", cl.Seq, source.Fingerprint, cl.Target.Cluster)
	}
}

// notices checks that every incident is raised once and cleared once.
func (c *chaos) notices() {
	next := map[string]int{}
	for _, n := range c.said {
		want := next[n.Fingerprint] + 1
		switch {
		case n.State == alarm.Repeated && n.Transition == want-1, n.Transition < want: // said again
			continue
		case n.Transition > want:
			c.fail("%s %s%s: transition %d is heard after %d", n.Name, n.Cluster, n.Peer, n.Transition, want-1)
			return
		case (n.Transition%2 == 1) != (n.State == alarm.Raised):
			c.fail("%s %s%s: transition %d is %s", n.Name, n.Cluster, n.Peer, n.Transition, n.State)
			return
		}
		next[n.Fingerprint] = want
	}
}

// calm ends all trouble that is not Peerkeeper's to end, and waits until it has
// repaired the rest.
func (c *chaos) calm() {
	// The worst may still come while all is being repaired.
	c.n, c.step, c.lives, c.unlucky = c.n+1, step{Kind: "calm"}, 3, 2
	c.offset = 0
	ctx := context.Background()
	c.endTrouble()
	for _, scope := range c.scopes() {
		_, _ = person(c.hosts[0]).EndPause(ctx, scope) // most were never paused
	}
	c.deployNow()
	c.unattendedPairs()
	c.tidy()
	c.stuckElsewhere()
	var mend []string
	for _, cl := range c.sim.State().Clusters {
		for _, p := range cl.Peers {
			// What fails by a named cause is a person's to mend, also where the
			// agent then stood still with that error as its last word. Before release 14
			// no trust store is read, and nothing is restarted where no sync has shown
			// that a certificate is trusted.
			if p.Mode != "ok" && (p.Mode != "stuck" || p.LastError != "" || c.plan.Release == "12.5") {
				p.Mode = "ok"
				c.mustAdmin("/clusters/"+cl.ID+"/peers", map[string]any{"peer": p.ID, "mode": "ok"})
			}
			if p.Mode == "stuck" {
				mend = append(mend, cl.ID+">"+p.ID)
				c.mustAdmin("/clusters/"+p.ID+"/users", map[string]any{"add": 3}) // else the data may be equal, and nothing is to be done
			}
		}
		for _, n := range cl.Nodes {
			for service, status := range n.Services {
				if service == peer.XCPRouter && status == "Stopped" { // never Peerkeeper's to start
					c.mustAdmin("/clusters/"+cl.ID+"/services", map[string]any{"node": n.Name, "service": service, "status": "Started"})
				}
			}
		}
	}
	begin := c.clock.Now()
	end := begin.Add(chaosQuiet)
	for range c.underWay() {
		end = end.Add(chaosPlanQuiet)
	}
	alone, late := false, true
	helped := map[mesh.ClusterID]bool{}
	// Well for longer than an interval: a sync that was slow when it began may
	// still be missed once, and what lags behind catches up.
	streak, wanted := 0, 3+max(c.plan.Every, longestAsked)/5+2*c.plan.Lag
	for i := 0; streak < wanted && c.clock.Now().Before(end) && c.broken == nil; i++ {
		if i == c.plan.Seed%2*24 { // at once, or when all that is missing could long be imported
			c.acceptAll()
		}
		if c.plan.Clock == clockError && i%7 == 0 && c.well < len(c.file.Peers) {
			// That a change arrives is all that can show there that a peer syncs. Every
			// 35 min, so that each is looked at between a change and its sync.
			for _, id := range c.mesh.IDs() {
				c.mustAdmin("/clusters/"+string(id)+"/users", map[string]any{"add": 1})
			}
		}
		c.quiet++
		c.tick(0)
		c.ticks--
		c.look()
		if c.asked > 0 {
			c.approveAll(c.hosts[0])
		}
		// While plans wait, all else is repaired.
		if alone = alone || c.othersWell(); alone {
			c.finish()
		} else if c.clock.Now().Sub(begin) > chaosQuiet && len(c.underWay()) > 0 {
			c.fail("plans wait, and what they do not change is not well after %v: %s", chaosQuiet, c.states())
		}
		if i%6 == 5 || len(c.underWay()) == 0 {
			c.tidy()
		}
		if c.well == len(c.file.Peers) && c.healthy() && len(c.underWay()) == 0 {
			if late {
				late = false
				c.breakLate()
			}
			streak++
			continue
		}
		streak = 0
		c.help(helped)
	}
	if c.broken != nil {
		return
	}
	if streak < wanted {
		c.fail("not well again after %v (stuck were %v): %s", chaosQuiet, mend, c.states())
		return
	}
	c.atRest()
	items, err := alarm.Items(ctx, c.base, c.mesh.Name)
	if err != nil {
		c.fail("alarms: %v", err)
	}
	for _, it := range items {
		if it.Active() || len(it.Pending) > 0 {
			c.fail("all is well, and %s %s%s still stands: %s", it.Name, it.Cluster, it.Peer, it.Message)
		}
	}
	history, err := repair.History(ctx, c.base, c.mesh.Name, chaosStart.Add(-24*time.Hour), c.clock.Now())
	if err == nil {
		err = repair.Verify(ctx, c.base, c.mesh.Name, history)
	}
	if err != nil {
		c.fail("the audit: %v", err)
	}
	for _, e := range history {
		c.logf("audit %d %s: %s %s", e.Seq, e.Actor, e.Intent, e.Outcome)
	}
}

func (c *chaos) scopes() []record.Scope {
	out := []record.Scope{record.WholeMesh}
	for _, id := range c.mesh.IDs() {
		out = append(out, record.Scope(id))
	}
	for _, p := range c.mesh.Peers {
		out = append(out, record.Scope(p.ID.String()), record.Scope(p.ID.From+"<>"+p.ID.To))
	}
	return out
}

// help is the person to whom the ladder leaves what it may not or cannot do.
func (c *chaos) help(helped map[mesh.ClusterID]bool) {
	snapshot, err := record.Load(context.Background(), c.base, c.file)
	if err != nil {
		c.fail("%v", err)
		return
	}
	for _, p := range c.file.Peers {
		st := snapshot.States[p.ID].Value
		if st.State != peer.NeedsHuman || helped[p.ID.From] {
			continue
		}
		cl, _ := c.mesh.Cluster(p.ID.From)
		helped[p.ID.From] = c.restartByHand(peer.Target{Cluster: cl.ID, Node: cl.Publisher, Service: peer.ICSA}, st.Ladder.Evidence)
	}
	ids := slices.SortedFunc(maps.Keys(snapshot.Proposals), func(a, b string) int { return strings.Compare(c.names.plain(a), c.names.plain(b)) })
	for _, id := range ids {
		d := snapshot.Proposals[id].Value
		left := func(guard string) bool {
			return d.Ended.IsZero() && slices.ContainsFunc(d.Refused, func(r record.Refusal) bool { return r.Guard == guard })
		}
		// Three a day did not last (chaos stopped it again and again), it comes
		// and goes, or so much is wrong at once that Peerkeeper keeps its
		// hands off.
		t := d.Proposal.Target
		switch {
		case d.Proposal.Action == peer.StartService && (left("dayLimit") || left("mass") || left("overlay")):
			c.logf("a person starts %s", t)
			c.mustAdmin("/clusters/"+string(t.Cluster)+"/services", map[string]any{"node": t.Node, "service": t.Service, "status": "Started"})
		case d.Proposal.Action == peer.ImportCertificate && (left("dayLimit") || left("mass") || left("overlay") || left("importLimit") && c.plan.Seed%2 == 0): // elsewhere the hour is waited out
			c.logf("a person puts in %s: %v", t, d.Refused)
			print := d.Proposal.Value
			if d.Proposal.Source.Issuer != "" {
				print = chain.Fingerprint(c.ca)
			}
			c.mustAdmin("/clusters/"+string(t.Cluster)+"/trust", map[string]any{"add": print})
		case d.Proposal.Action == peer.RestartService && (left("mass") || left("overlay") || d.Proposal.Reload && left("dayLimit")) && !helped[t.Cluster]:
			helped[t.Cluster] = c.restartByHand(t, d.Proposal.Why)
		}
	}
}

// restartByHand is a person who restarts a service, unless Control Center shows
// that it is on its way up or down just now.
func (c *chaos) restartByHand(t peer.Target, why string) bool {
	for _, cl := range c.sim.State().Clusters {
		for _, n := range cl.Nodes {
			if n.Name == string(t.Node) && n.Services[t.Service] != "Started" {
				return false
			}
		}
	}
	c.logf("a person restarts %s: %s", t, why)
	c.mustAdmin("/clusters/"+string(t.Cluster)+"/services", map[string]any{"node": t.Node, "service": t.Service, "status": "Restart"})
	return true
}

func (c *chaos) healthy() bool {
	snapshot, err := record.Load(context.Background(), c.base, c.file)
	if err != nil {
		return false
	}
	for _, p := range c.file.Peers {
		if st := snapshot.States[p.ID].Value; st.State != peer.Healthy {
			return false
		}
	}
	items, err := alarm.Items(context.Background(), c.base, c.mesh.Name)
	for _, it := range items {
		if it.Active() {
			return false
		}
	}
	return err == nil
}

func (c *chaos) states() string {
	snapshot, err := record.Load(context.Background(), c.base, c.file)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, p := range c.file.Peers {
		st := snapshot.States[p.ID].Value
		fmt.Fprintf(&b, "\n%s %s/%s %v", p.ID, st.State, st.Cause, st.Overlays)
		for _, x := range append(snapshot.Syncs[p.ID].Value.Conditions, snapshot.PeerCert[p.ID].Value.Conditions...) {
			if x.Status != peer.True {
				fmt.Fprintf(&b, "\n   %s %s %s: %s", x.Type, x.Status, x.Reason, x.Message)
			}
		}
		if st.Ladder != nil {
			fmt.Fprintf(&b, "\n   ladder %+v", *st.Ladder)
		}
	}
	for _, d := range snapshot.Proposals {
		if d.Value.Ended.IsZero() {
			fmt.Fprintf(&b, "\nproposal %s %s: %v %s", d.Value.Proposal.Action, d.Value.Proposal.Target, d.Value.Refused, d.Value.Outcome)
		}
	}
	for _, p := range c.underWay() {
		fmt.Fprintf(&b, "\nplan %s %s %v is %s at %+v: %s", p.ID, p.Kind, p.Args, p.State, p.Current(), p.Why)
	}
	items, _ := alarm.Items(context.Background(), c.base, c.mesh.Name)
	for _, it := range items {
		if it.Active() {
			fmt.Fprintf(&b, "\nalarm %s %s%s: %s", it.Name, it.Cluster, it.Peer, it.Message)
		}
	}
	return b.String()
}

// atRest checks that a second run on an unchanged world writes nothing but its
// RUN item, and sends nothing. What a log says is judged by the run after the one
// that took the log's turn.
func (c *chaos) atRest() {
	c.runs(0, "peersync", time.Time{})
	c.runs(0, "peersync", time.Time{})
	c.runs(0, "stucksync", time.Time{})
	c.runs(0, "peering", time.Time{})
	before, acts := c.dump(), len(c.acts)
	c.runs(0, "peersync", time.Time{})
	c.runs(0, "stucksync", time.Time{})
	c.runs(0, "peering", time.Time{})
	after := c.dump()
	for key, body := range after {
		if before[key] != body && !strings.HasPrefix(key, store.PrefixRun) {
			c.fail("a second run wrote %s:\n%s\n%s", key, before[key], body)
		}
	}
	if len(c.acts) != acts {
		c.fail("a second run acted")
	}
}

func (c *chaos) dump() map[string]string {
	out := map[string]string{}
	for _, pk := range []string{store.Live(c.mesh.Name), store.Override(c.mesh.Name), store.Gate(c.mesh.Name).PK} {
		items, err := c.base.Load(context.Background(), pk, "")
		if err != nil {
			c.fail("%v", err)
		}
		for _, it := range items {
			out[it.SK] = string(it.Body)
		}
	}
	return out
}

// wire stands between a host and the clusters: it loses requests and answers,
// and sees to it that no write passes that must not.
type wire struct {
	c    *chaos
	next http.RoundTripper
}

var (
	wireOperation = regexp.MustCompile(`soap(?:Do|Get)[A-Za-z]+|executeSQL[A-Za-z]+|getCCMVersion|list[A-Z][A-Za-z]+|update[A-Z][A-Za-z]+|get[A-Z][A-Za-z]+`)
	wireRead      = regexp.MustCompile(`(?s)^(?:soapGet[A-Za-z]+|executeSQLQuery.*|getCCMVersion|list[A-Z][A-Za-z]+|get[A-Z][A-Za-z]+)$`)
	wireSQL       = regexp.MustCompile(`(?s)<sql>.*</sql>`)
	wireField     = regexp.MustCompile(`<(?:[a-z0-9]+:)?(NodeName|ControlType|item|processNodeName|name|service|value)>([^<]*)<`)
)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	c := w.c
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close() // it is read
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	what, a := c.asks(r, body)
	lose, late := c.lot(r.URL.Host, what, a)
	if lose && !late {
		return nil, fmt.Errorf("chaos before: %w", io.ErrUnexpectedEOF)
	}
	resp, err := w.next.RoundTrip(r)
	if lose && err == nil {
		_ = resp.Body.Close() // nobody hears it
		return nil, fmt.Errorf("chaos after: %w", io.ErrUnexpectedEOF)
	}
	return resp, err
}

// asks reads what a request asks for. The act is nil if it only reads.
func (c *chaos) asks(r *http.Request, body []byte) (what string, a *act) {
	if strings.HasPrefix(r.URL.Path, "/platformcom/") { // a body of base64 may look like anything
		what = r.Method + " " + r.URL.Path + "?" + r.URL.RawQuery
		switch {
		case r.Method == http.MethodGet:
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/trust/certificates"):
			a = c.importOf(r.URL.Host, body)
		default:
			c.fail("an unforeseen write: %s", what)
		}
		return what, a
	}
	what = string(wireOperation.Find(body)) + string(wireSQL.Find(body))
	switch {
	case strings.HasPrefix(what, "soapDoControlServices"):
		a = &act{}
		for _, m := range wireField.FindAllSubmatch(body, -1) {
			switch value := string(m[2]); string(m[1]) {
			case "NodeName":
				a.target.Node = mesh.NodeName(value)
			case "ControlType":
				a.action = value
			case "item":
				a.target.Service = value
			}
		}
		a.target.Cluster, _ = c.mesh.Owner(a.target.Node)
	case strings.HasPrefix(what, "updateServiceParameter"):
		a = &act{action: string(peer.SetParameter)}
		for _, m := range wireField.FindAllSubmatch(body, -1) {
			switch value := string(m[2]); string(m[1]) {
			case "processNodeName":
				a.target.Node = mesh.NodeName(value)
			case "name":
				a.target.Parameter = value
			case "service":
				a.target.Service = value
			}
		}
		a.target.Cluster, _ = c.mesh.Owner(a.target.Node)
	case what == "" && !strings.HasPrefix(r.URL.Path, "/axl"): // counters and logs
	case !wireRead.MatchString(what):
		c.fail("an unforeseen write, or a read that is not known: %q of %s", what, r.URL.Path)
	}
	return what, a
}

// importOf reads a request that puts certificates into a store of the node at an
// address.
func (c *chaos) importOf(address string, body []byte) *act {
	a := &act{action: string(peer.ImportCertificate)}
	for _, cl := range c.mesh.Clusters {
		for _, n := range cl.Nodes {
			if n.PlatformAddress == address {
				a.target.Cluster, a.target.Node = cl.ID, n.Name
			}
		}
	}
	var in struct {
		Service      []string `json:"service"`
		Certificates []string `json:"certificates"`
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in.Certificates) == 0 {
		c.fail("an import into %s that is none: %v", a.target.Node, err)
	}
	if !slices.Equal(in.Service, []string{"tomcat"}) {
		c.fail("an import into %v of %s", in.Service, a.target.Node)
	}
	a.target.Service = peer.TomcatTrust
	for _, text := range in.Certificates {
		cert, err := parsedPEM(text)
		if err != nil {
			c.fail("an import into %s: %v", a.target.Node, err)
			continue
		}
		a.certs = append(a.certs, cert)
	}
	return a
}

// lot decides whether a request, or its answer, is lost, and counts it. a is the
// write that it is, if it is one.
func (c *chaos) lot(host, what string, a *act) (lose, late bool) {
	c.wireMu.Lock()
	defer c.wireMu.Unlock()
	fault := c.chance("wire", host, what)
	lose = fault < c.step.Faults
	if a != nil && (c.step.Faults > 0 || c.step.Kind == "calm" && c.unlucky > 0) {
		lose = fault%3 != 0 // rare enough as it is
		c.unlucky--
	}
	late = fault%2 == 1
	if a != nil {
		a.at, a.clock, a.applied = c.clock.Now(), chaosClock{c}.Now(), !lose || late
		c.check(*a)
	}
	if lose {
		c.faults++
		if a != nil {
			c.unknown++
			if len(a.certs) > 0 {
				c.importsUnknown++
			}
		}
	}
	return lose, late
}

// check is called for every write on its way to a node.
func (c *chaos) check(a act) {
	c.writes++
	ctx, now := context.Background(), chaosClock{c}.Now()
	c.logf("write %s %s applied %v", a.action, a.target, a.applied)

	if ok, why := c.inForce().Policy.Allowed(now); !ok || c.inForce().Policy.Mode != mesh.Recover {
		c.fail("%s %s outside mode or window: %s", a.action, a.target, why)
	}
	gate, err := repair.Load(ctx, c.base, c.mesh.Name)
	if err != nil {
		c.fail("the gate: %v", err)
		return
	}
	var intent *repair.Intent
	for i, in := range gate.Open {
		// What an import is about stands in its parameter, and not in the request.
		target := in.Target
		if in.Action != peer.SetParameter {
			target.Parameter = ""
		}
		if target == a.target && strings.EqualFold(string(in.Action), a.action) {
			if intent != nil {
				c.fail("%s %s: two open intents ask for it", a.action, a.target)
			}
			intent = &gate.Open[i]
		}
	}
	if intent == nil {
		c.fail("%s %s without an intent in the gate", a.action, a.target)
		return
	}
	a.target = intent.Target
	if c.sent[intent.Seq] {
		c.fail("intent %d is sent twice", intent.Seq)
	}
	c.sent[intent.Seq] = true
	if !now.Before(intent.Deadline) {
		c.fail("intent %d is sent after its deadline", intent.Seq)
	}
	// As the store really has it, whatever was loaded.
	snapshot, err := record.Load(ctx, c.base, c.inForce())
	if err != nil {
		c.fail("%v", err)
		return
	}
	if word, what, stops := snapshot.Overrides.Stops(a.target.Cluster, intent.Peers, nil, now); stops && !c.told[intent.Seq] {
		c.fail("%s %s although %s is %s", a.action, a.target, word.Scope, what)
	}
	if !intent.Planned.IsZero() {
		a.planned = intent.Planned
		c.planned(a, intent, &gate)
		c.acts = append(c.acts, a)
		return
	}
	c.untouched(a, intent)
	for _, cl := range gate.Closed {
		if ago := now.Sub(cl.At); cl.Planned.IsZero() && cl.Action == intent.Action && cl.Target == intent.Target && ago < 30*time.Minute && ago > -24*time.Hour {
			c.fail("%s %s again, %v after it ended (%s)", a.action, a.target, ago, cl.Outcome)
		}
	}
	if intent.Action == peer.ImportCertificate {
		c.checkImport(a, intent, &gate, snapshot)
	} else {
		c.checkControl(a, intent, &gate, snapshot)
	}
	c.checkLimits(a)
	c.acts = append(c.acts, a)
	switch {
	case !a.applied:
	case intent.Action == peer.ImportCertificate:
		c.imports++
	case intent.Action == peer.RestartService:
		c.restarts++
	default:
		c.starts++
	}
}

// checkControl is called for every start and restart on its way to a node.
func (c *chaos) checkControl(a act, intent *repair.Intent, gate *repair.Gate, snapshot *record.Snapshot) {
	now := chaosClock{c}.Now()
	switch {
	case a.action != "Start" && a.action != "Restart":
		c.fail("%s is asked of %s", a.action, a.target)
	case a.target.Service != peer.ICSA && a.target.Service != peer.SyncAgent && a.target.Service != peer.AXL:
		c.fail("%s is touched", a.target)
	}
	services := snapshot.Clusters[a.target.Cluster].Value.Seen.Nodes[a.target.Node].Services.Fresh(now, 10*time.Minute)
	if !services.Known() {
		c.fail("%s %s on services that are %s", a.action, a.target, services.Why())
	}
	if a.action != "Restart" {
		c.checkStart(a, intent, gate, snapshot)
		return
	}
	if a.target.Service == peer.ICSA {
		reload := snapshot.Proposals[intent.ID].Value.Proposal.Reload
		if reload {
			c.checkApproved(a, intent, gate, snapshot)
			if a.applied {
				c.reloads++
			}
		}
		view := snapshot.Facts(c.inForce(), 5*time.Minute, now).View()
		for _, id := range intent.Peers {
			for _, x := range peer.Conditions(view, id, snapshot.Syncs[id].Value, snapshot.CertOf(id)) {
				switch {
				case reload: // it reads a certificate, and the sync may stand or not
				case x.Type == peer.Synced && x.Status != peer.False:
					c.fail("%s is restarted although %s's Synced is %s", a.target, id, x.Status)
				case slices.Contains(peer.Causes(), x.Type) && (x.Status == peer.False || x.Status == peer.UnknownStatus && x.Reason != peer.NotObservable):
					c.fail("%s is restarted although %s's %s is %s (%s)", a.target, id, x.Type, x.Status, x.Reason)
				}
			}
		}
	}
	for _, cl := range c.sim.State().Clusters {
		for _, n := range cl.Nodes {
			if up := n.UpTime[a.target.Service]; n.Name == string(a.target.Node) && time.Duration(up)*time.Second < 2*time.Hour {
				c.fail("%s is restarted after %v", a.target, time.Duration(up)*time.Second)
			}
		}
	}
}

// checkImport is called for every certificate on its way into a trust store.
func (c *chaos) checkImport(a act, intent *repair.Intent, gate *repair.Gate, snapshot *record.Snapshot) {
	into, _ := c.mesh.Cluster(a.target.Cluster)
	source := snapshot.Proposals[intent.ID].Value.Proposal.Source
	if source == nil || a.target.Node != into.Publisher || intent.Value == "" || source.Fingerprint != intent.Value || source.Cluster == into.ID {
		c.fail("an import into %s of %+v for the intent %+v", a.target.Node, source, *intent)
		return
	}
	var prints []string
	for _, cert := range a.certs {
		prints = append(prints, chain.Fingerprint(cert))
	}
	// Whatever is served to Peerkeeper: it must be the node's own.
	leaf := c.own(source.Node)
	if leaf == nil || chain.Fingerprint(leaf) != intent.Value {
		c.fail("%s is not the certificate of %s", intent.Value, source.Node)
		return
	}
	// A proposal that has ended tells of the time before: since then the node may
	// serve what it only named then, and two sources agree.
	if source.Pending && snapshot.Proposals[intent.ID].Value.Ended.IsZero() {
		c.checkApproved(a, intent, gate, snapshot)
	}
	if !slices.Equal(prints, intent.Before.Certificates) {
		c.fail("%v is sent for an intent of %v", prints, intent.Before.Certificates)
	}
	selfSigned := bytes.Equal(leaf.RawIssuer, leaf.RawSubject)
	switch {
	case selfSigned && !slices.Equal(prints, []string{intent.Value}):
		c.fail("%v is sent for %s, which is self-signed", prints, intent.Value)
	case selfSigned && !slices.Contains(snapshot.Accepted()[source.Node], intent.Value):
		c.fail("nobody has vouched for %s of %s", intent.Value, source.Node)
	case !selfSigned && (len(a.certs) != 1 || !a.certs[0].Equal(c.ca)):
		c.fail("%v is sent for %s, which %s signed", prints, intent.Value, leaf.Issuer)
	}
	if c.holds(into.ID, a.certs...) {
		c.fail("%v is sent to %s, which holds it", prints, a.target.Node)
	}
	if c.plan.Import != mesh.ImportAuto || !selfSigned {
		c.checkApproved(a, intent, gate, snapshot)
	}
}

// checkApproved is called for a write that a person must have approved, once for
// each time that it is sent.
func (c *chaos) checkApproved(a act, intent *repair.Intent, gate *repair.Gate, snapshot *record.Snapshot) {
	said, ok := snapshot.Overrides.Approvals[intent.ID]
	if !ok || said.At.Sub(intent.Written) > 5*time.Minute || !intent.Written.Before(said.Expires) {
		c.fail("%s %s is not approved: %+v", a.action, a.target, said)
	}
	spent := 0
	for _, u := range gate.Used {
		if u.ID == intent.ID && u.Approved.Equal(said.At) {
			spent++
		}
	}
	if spent != 1 {
		c.fail("the approval of %s %s is spent %d times", a.action, a.target, spent)
	}
}

// checkLimits counts what was sent before: imports by the hosts' clock, all else
// by true time.
func (c *chaos) checkLimits(a act) {
	inHour, perMesh, today, imports := 0, 0, 0, 0
	for _, b := range c.acts {
		if b.action != a.action || !b.planned.IsZero() {
			continue
		}
		if b.target == a.target && a.at.Sub(b.at) < 24*time.Hour {
			today++
		}
		ago := a.clock.Sub(b.clock)
		switch within := a.at.Sub(b.at) < time.Hour; {
		case len(a.certs) > 0 && ago < time.Hour && ago > -24*time.Hour:
			imports++
		case within && a.action == "Restart":
			perMesh++
			if b.target.Cluster == a.target.Cluster {
				inHour++
			}
		}
	}
	// A host's clock that steps forward by hours forgets its hours; what it
	// cannot forget is the service's own up-time.
	stepped := slices.ContainsFunc(c.plan.Steps[:min(c.n, len(c.plan.Steps))], func(s step) bool { return s.Kind == "clock" })
	if !stepped && (inHour >= 1 || perMesh >= 3 || today >= peer.MaxActionsPerDay) {
		c.fail("%s %s is beyond the limits: %d in its cluster, %d in the mesh, %d today", a.action, a.target, inHour, perMesh, today)
	}
	// Imports are counted by what was closed within a day, which no step of the
	// clock here reaches.
	if imports >= c.plan.Limit {
		c.fail("%s %s is beyond the limit: %d within the hour", a.action, a.target, imports)
	}
}

// faulty is a store that now and then refuses, or loses its answer.
type faulty struct {
	store.Store
	c *chaos
}

func (f faulty) fails(op string, key store.Key) (before, after error) {
	n := f.c.chance("store", op, key.PK, f.c.names.plain(key.SK))
	if n >= f.c.step.Store {
		return nil, nil
	}
	f.c.storeFaults++
	if n%2 == 0 || op == "get" {
		return errors.New("chaos: throttled"), nil
	}
	return nil, errors.New("chaos: the answer was lost")
}

func (f faulty) Get(ctx context.Context, key store.Key) (store.Item, error) {
	if ctx.Err() != nil {
		return store.Item{}, ctx.Err()
	}
	if before, _ := f.fails("get", key); before != nil {
		return store.Item{}, before
	}
	return f.Store.Get(ctx, key)
}

func (f faulty) GetMany(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if len(keys) > 0 { // one request, one chance to fail
		if before, _ := f.fails("get", keys[0]); before != nil {
			return nil, before
		}
	}
	return f.Store.GetMany(ctx, keys...)
}

func (f faulty) LoadNow(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if before, _ := f.fails("get", store.Key{PK: pk, SK: prefix}); before != nil {
		return nil, before
	}
	return f.Store.LoadNow(ctx, pk, prefix)
}

func (f faulty) Put(ctx context.Context, items ...store.Item) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var errs []error
	for _, it := range items {
		f.c.meet(it)
		before, after := f.fails("put", it.Key)
		if before != nil {
			errs = append(errs, &store.PutError{Key: it.Key, Cause: before})
			continue
		}
		if err := f.Store.Put(ctx, it); err != nil {
			errs = append(errs, err)
		} else if after != nil {
			errs = append(errs, &store.PutError{Key: it.Key, Cause: after})
		}
	}
	return errors.Join(errs...)
}

// ear hears the notices.
type ear struct{ c *chaos }

func (e ear) Name() string { return "ear" }

func (e ear) Send(_ context.Context, n alarm.Notice) error {
	if e.c.chance("ear", n.Fingerprint, n.Transition) < e.c.step.Store {
		return errors.New("chaos: the sink refuses")
	}
	e.c.tally.notices++
	e.c.said = append(e.c.said, n)
	e.c.checkSaid(n)
	e.c.unspoken(n)
	e.c.logf("said %s %s %s%s %d", n.State, n.Name, n.Cluster, n.Peer, n.Transition)
	return nil
}

// inProcessTLS and inProcessDNS are the simulator's own answers, without
// sockets.
type inProcessTLS struct{ sim *clustersim.Sim }

func (p inProcessTLS) ProbeAll(_ context.Context, t tlsprobe.Target) []tlsprobe.Outcome {
	var out []tlsprobe.Outcome
	for _, kind := range []tlsprobe.KeyType{tlsprobe.RSA, tlsprobe.ECDSA} {
		o := tlsprobe.Outcome{Asked: kind, Served: tlsprobe.Served{Address: t.Address, KeyType: kind}}
		chain, err := p.sim.ServedKey(t.Address, string(kind))
		switch {
		case errors.Is(err, clustersim.ErrUnreachable):
			o.Err = &tlsprobe.Error{Reason: tlsprobe.Refused, Address: t.Address, KeyType: kind, Err: err}
		case err != nil:
			o.Err = &tlsprobe.Error{Reason: tlsprobe.NoCommonSuite, Address: t.Address, KeyType: kind, Err: err}
		default:
			o.Served.Chain = chain
			for _, cert := range chain {
				o.Served.Raw = append(o.Served.Raw, cert.Raw)
			}
		}
		out = append(out, o)
	}
	return out
}

type inProcessDNS struct{ sim *clustersim.Sim }

func (d inProcessDNS) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	if network != "udp" {
		return nil, errors.New("only datagrams here")
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := far.Read(buffer)
			if err != nil {
				return
			}
			question := new(dns.Msg)
			if question.Unpack(buffer[:n]) != nil {
				return
			}
			reply, err := d.sim.ResolveAt(address, question)
			if err != nil {
				_ = near.SetReadDeadline(time.Unix(1, 0)) // its silence takes no time
				continue
			}
			packet, err := reply.Pack()
			if err != nil {
				return
			}
			if _, err := far.Write(packet); err != nil {
				return
			}
		}
	}()
	return near, nil
}
