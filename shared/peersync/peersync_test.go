package peersync_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// watcher is peersync on a simulated mesh, with a store that counts.
type watcher struct {
	*rig
	*peersync.Peersync
	memory *storetest.Memory

	mu   sync.Mutex
	puts map[string]int                   // by sort key
	fail func(op string, sk string) error // nil = nothing fails
}

func watch(t *testing.T, cfg clustersim.Config) *watcher {
	t.Helper()
	return watchOver(t, newRig(t, cfg, false))
}

func watchOver(t *testing.T, r *rig) *watcher {
	t.Helper()
	w := &watcher{rig: r, memory: storetest.NewMemory(), puts: map[string]int{}}
	w.memory.Now = w.Clock.Now
	w.memory.Fail = func(op string, key store.Key) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if op == "written" {
			w.puts[key.SK]++
		}
		if w.fail != nil {
			return w.fail(op, key.SK)
		}
		return nil
	}
	w.Peersync = &peersync.Peersync{Mesh: w.rig.Mesh, Store: w.memory, Clusters: w.Connector, Now: w.Clock.Now}
	return w
}

// tick runs peersync now, whatever is due.
func (w *watcher) tick() run.Answer {
	w.t.Helper()
	a, err := w.Handle(w.t.Context(), run.Request{})
	if err != nil {
		w.t.Fatalf("tick at %s: %v", w.Clock.Now(), err)
	}
	return a
}

func (w *watcher) counted() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.puts
	w.puts = map[string]int{}
	return out
}

func (w *watcher) snapshot() *record.Snapshot {
	w.t.Helper()
	b, err := record.Load(w.t.Context(), w.memory, w.Mesh)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *watcher) buckets() map[mesh.ClusterID]store.Doc[peer.BucketRecord] {
	w.t.Helper()
	b, err := w.snapshot().Buckets(w.Mesh)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *watcher) condition(p string, t peer.Type) peer.Condition {
	w.t.Helper()
	id, err := mesh.ParsePeerID(p)
	if err != nil {
		w.t.Fatal(err)
	}
	r := w.snapshot().Syncs[id].Value
	return r.Condition(t)
}

// TestASteadyTickWritesOneItemPerCluster and its RUN, twice: begun and
// completed. Once an interval come the digests of users, and what a turn at the
// cluster's log cost.
func TestASteadyTickWritesOneItemPerCluster(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 4, Users: 15})
	for range 30 { // two and a half hours: first looks, buckets and sets are behind us
		w.tick()
		w.Pass(5 * time.Minute)
	}
	w.counted()
	interval := map[string]int{}
	for range 24 {
		w.tick()
		w.Pass(5 * time.Minute)
		puts := w.counted()
		for sk, n := range puts {
			switch {
			case (strings.HasPrefix(sk, store.PrefixBuckets) || strings.HasPrefix(sk, store.PrefixLog)) && n == 1:
				interval[sk]++
			case strings.HasPrefix(sk, store.PrefixCluster) && n == 1:
			case sk == "RUN#peersync" && n == 2:
			default:
				t.Errorf("%s: %s was written %d times although nothing changed", w.Clock.Now().Format("15:04"), sk, n)
			}
		}
	}
	for sk, n := range interval {
		if n != 4 {
			t.Errorf("%s was written %d times in 2 h, want once an interval", sk, n)
		}
	}
	if len(interval) != 2*4 {
		t.Errorf("written once an interval: %v, want digests and logs of 4 clusters", interval)
	}
}

// TestKilledBetweenClusterAndBuckets: what did not get written is read again,
// and nothing false is said meanwhile.
func TestKilledBetweenClusterAndBuckets(t *testing.T) {
	for _, lost := range []string{store.PrefixCluster, store.PrefixBuckets} {
		w := watch(t, clustersim.Config{Clusters: 2, Users: 15})
		kills := 0
		for range 14 {
			w.fail = func(op, sk string) error {
				if op == "put" && strings.HasPrefix(sk, lost) && w.Clock.Now().Minute()%30 < 5 {
					kills++
					return errors.New("killed")
				}
				return nil
			}
			_, err := w.Handle(t.Context(), run.Request{})
			w.fail = nil
			if err != nil {
				w.Pass(5 * time.Minute) // past the lease
				w.tick()
			}
			for _, p := range []string{"emea>apac", "apac>emea"} {
				if c := w.condition(p, peer.UsersMatch); c.Status == peer.False || c.Reason == peer.NotYetDecided {
					t.Errorf("without %s: %s is %s %s %s", lost, p, c.Status, c.Reason, c.Message)
				}
			}
			w.Pass(5 * time.Minute)
		}
		if kills < 4 {
			t.Errorf("%s was lost %d times only", lost, kills)
		}
		for id, doc := range w.buckets() {
			if age := w.Clock.Now().Sub(doc.Value.Buckets.At); !doc.Value.Buckets.Known() || age > 40*time.Minute {
				t.Errorf("without %s: the digests of %s are %v old", lost, id, age)
			}
		}
	}
}

func TestFirstTickKnowsAndAlarmsNobody(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 3, Users: 15})
	a := w.tick()
	if a.Clusters.Observed != 3 || a.Clusters.Partial != 0 || a.Clusters.Unreachable != 0 {
		t.Errorf("%+v", a.Clusters)
	}
	if a.ScheduledTime.IsZero() || a.Function != "peersync" || a.Mesh != "acme" {
		t.Errorf("%+v", a)
	}
	for id, doc := range w.snapshot().Syncs {
		for _, c := range doc.Value.Conditions {
			if c.Status == peer.False {
				t.Errorf("%s %s is False at the first look: %s", id, c.Type, c.Message)
			}
		}
	}
}

// TestARejectedSecretIsTriedOnce: by nobody again, until it changes or a
// person resumes; also where loads lag behind and the process is a new one.
func TestARejectedSecretIsTriedOnce(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 3, Users: 10})
	w.tick()
	old := w.SecretsNow()
	w.Change("apac", clustersim.Credentials{Password: new("changed by somebody")})
	w.Connector.Secrets = old
	rejected := func() int { _, _, n := w.Load("apac"); return n }
	for range 5 {
		w.Pass(5 * time.Minute)
		w.Clusters = &cluster.Connector{Dialect: w.Connector.Dialect, Secrets: w.Connector.Secrets, Now: w.Clock.Now, Backoff: time.Millisecond, Transport: w.Connector.Transport} // a new process, no session
		w.Store = storetest.Stale(w.memory, 40)
		w.tick()
	}
	if n := rejected(); n != 1 {
		t.Errorf("%d rejected log-ins in five ticks, want 1", n)
	}
	for _, p := range []string{"emea>apac", "apac>emea"} {
		if c := w.condition(p, peer.UsersMatch); c.Status != peer.UnknownStatus || c.Reason != peer.AccountRejected {
			t.Errorf("%s UsersMatch %s %s, want Unknown AccountRejected", p, c.Status, c.Reason)
		}
	}
	if c := w.condition("emea>amer", peer.UsersMatch); c.Status != peer.True {
		t.Errorf("emea>amer does not touch apac, and UsersMatch is %s %s", c.Status, c.Reason)
	}

	// A person resumes, with the same wrong password.
	_, _, err := store.Claim(t.Context(), w.memory, store.Auth("acme", "apac", mesh.ReadAccount), record.AuthSchema, func(d *store.Doc[record.Auth], _ bool) (bool, error) {
		d.Value.Rejected = ""
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Store = w.memory
	w.Pass(5 * time.Minute)
	w.tick()
	w.Pass(5 * time.Minute)
	w.tick()
	if n := rejected(); n != 2 {
		t.Errorf("%d rejected log-ins after resume, want one more", n)
	}

	// The secret changes.
	w.Clusters.Secrets = w.Rig
	w.Pass(5 * time.Minute)
	w.tick()
	if c := w.condition("emea>apac", peer.UsersMatch); c.Status != peer.True {
		t.Errorf("after a new secret UsersMatch is %s %s: %s", c.Status, c.Reason, c.Message)
	}
	if n := rejected(); n != 2 {
		t.Errorf("the new secret was rejected as well")
	}
}

// TestARejectionInADeepLookEndsTheClustersLooks: the password changes between
// the first look and the buckets.
func TestARejectionInADeepLookEndsTheClustersLooks(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 2, Users: 10})
	old := w.SecretsNow()
	w.Connector.Secrets = old
	w.Connector.Transport = &meddler{next: w.Sim.Transport(), when: "SUM(LENGTH(u.userid))", do: func() {
		w.Change("apac", clustersim.Credentials{Password: new("changed by somebody")})
	}}
	for range 4 {
		w.tick()
		w.Pass(5 * time.Minute)
	}
	if _, _, n := w.Load("apac"); n != 1 {
		t.Errorf("%d rejected log-ins, want 1", n)
	}
	if a := w.snapshot().Auths["apac"].Value; a.Rejected == "" {
		t.Error("the rejection was not noted")
	}
}

// meddler does something when a request says something, once.
type meddler struct {
	next http.RoundTripper
	when string
	do   func()
	once sync.Once
}

func (m *meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	if body, err := r.GetBody(); err == nil {
		var b strings.Builder
		buf := make([]byte, 64<<10)
		for {
			n, err := body.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
		if strings.Contains(b.String(), m.when) {
			m.once.Do(m.do)
		}
	}
	return m.next.RoundTrip(r)
}

// TestAPanicCostsItsCluster, at every kind of look.
func TestAPanicCostsItsCluster(t *testing.T) {
	for _, request := range []string{"soapGetServiceStatus", "GROUP BY e.name", "SUM(LENGTH(u.userid))", "ORDER BY u.pkid"} {
		t.Run(request, func(t *testing.T) {
			w := watch(t, clustersim.Config{Clusters: 3, Users: 10})
			hosts := map[string]bool{}
			for _, h := range w.Hosts() {
				hosts[h.Address] = h.Cluster == "apac"
			}
			w.Connector.Transport = panicking{w.Sim.Transport(), hosts, request}
			for range 12 {
				w.tick()
				w.Pass(5 * time.Minute)
			}
			if c := w.condition("emea>amer", peer.UsersMatch); c.Status != peer.True {
				t.Errorf("emea>amer UsersMatch is %s %s", c.Status, c.Reason)
			}
		})
	}
}

// panicking answers one kind of request with a body that breaks the reader.
type panicking struct {
	next  http.RoundTripper
	hosts map[string]bool
	when  string
}

func (p panicking) RoundTrip(r *http.Request) (*http.Response, error) {
	broken := false
	m := &meddler{next: p.next, when: p.when, do: func() { broken = p.hosts[r.URL.Host] }}
	resp, err := m.RoundTrip(r)
	if broken && err == nil {
		resp.Body = landmine{resp.Body}
	}
	return resp, err
}

type landmine struct{ io.Closer }

func (landmine) Read([]byte) (int, error) { panic("a defect") }

// TestKilledAtEveryWrite: whatever is not written now is written at the next
// tick, and nothing false is left.
func TestKilledAtEveryWrite(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 2, Users: 10})
	users, kills := 10, 0
	for _, when := range []string{"put", "written"} {
		for nth := 1; nth <= 9; nth++ {
			w.tick()
			w.Pass(35 * time.Minute) // all is copied
			w.tick()
			w.Pass(5 * time.Minute)
			w.Change("apac", clustersim.Users{Add: 4})
			users += 4
			n := 0
			w.fail = func(op, _ string) error {
				if op == when {
					n++
				}
				if n >= nth {
					return errors.New("killed")
				}
				return nil
			}
			_, err := w.Handle(t.Context(), run.Request{})
			w.fail = nil
			if n >= nth {
				kills++
				if err == nil {
					t.Errorf("%s %d: nothing could be written any more, and the run says that it completed", when, nth)
				}
			}
			w.Pass(5 * time.Minute) // past the lease
			w.tick()
			for _, p := range []string{"emea>apac", "apac>emea"} {
				for _, typ := range []peer.Type{peer.Configured, peer.Reachable, peer.UsersMatch, peer.Synced} {
					if c := w.condition(p, typ); c.Status != peer.True {
						t.Errorf("%s %d: %s %s is %s %s after the kill", when, nth, p, typ, c.Status, c.Reason)
					}
				}
			}
			apac, _ := w.Mesh.Cluster("apac")
			rec := w.snapshot().Clusters["apac"].Value
			if n := rec.UsersOf(apac).Value; n != users {
				t.Errorf("%s %d: apac is home to %d users, want %d", when, nth, n, users)
			}
		}
	}
	if kills < 10 {
		t.Errorf("only %d kills: the case no longer meets every write", kills)
	}
}

// TestDeliveredTwiceAndLate: an event is worked on once, and not when it is
// older than a period.
func TestDeliveredTwiceAndLate(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 2, Users: 10})
	due := w.Clock.Now()
	handle := func(at time.Time) run.Answer {
		t.Helper()
		a, err := w.Handle(t.Context(), run.Request{ScheduledTime: at})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := handle(due); a.Skipped != "" || !a.ScheduledTime.Equal(due) {
		t.Errorf("the first delivery: %+v", a)
	}
	before, _, _ := w.Load("emea")
	if a := handle(due); a.Skipped == "" {
		t.Error("the second delivery ran again")
	}
	w.Pass(11 * time.Minute)
	if a := handle(due.Add(5 * time.Minute)); a.Skipped == "" {
		t.Error("an event six minutes old ran")
	}
	if after, _, _ := w.Load("emea"); after != before {
		t.Errorf("%d requests for what was skipped", after-before)
	}
	if _, err := w.Handle(t.Context(), run.Request{Only: []mesh.ClusterID{"mars"}}); err == nil {
		t.Error("a cluster that is not there was accepted")
	}
	if _, err := w.Handle(t.Context(), run.Request{Mesh: "other"}); err == nil {
		t.Error("a request for another mesh was accepted")
	}
}

func TestOverlappingRunsMeetOnce(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 2, Users: 10})
	var wg sync.WaitGroup
	var mu sync.Mutex
	ran := 0
	for range 4 {
		wg.Go(func() {
			a, err := w.Handle(context.WithoutCancel(t.Context()), run.Request{ScheduledTime: simtest.Start()})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if a.Skipped == "" {
				ran++
			}
		})
	}
	wg.Wait()
	if ran != 1 {
		t.Errorf("%d of four deliveries ran, want 1", ran)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 2, Users: 10})
	if _, err := w.Handle(t.Context(), run.Request{DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if puts := w.counted(); len(puts) != 0 {
		t.Errorf("a dry run wrote %v", puts)
	}
}

// spoil puts something else into the item of emea>apac.
func (w *watcher) spoil(body string) store.Key {
	w.t.Helper()
	key := store.PeerSync("acme", mesh.PeerID{From: "emea", To: "apac"})
	it, err := w.memory.Get(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	it.Body = []byte(body)
	if err := w.memory.Put(w.t.Context(), it); err != nil {
		w.t.Fatal(err)
	}
	return key
}

// TestANewerSchemaIsLeftAlone, readable or not, and the rest goes on.
func TestANewerSchemaIsLeftAlone(t *testing.T) {
	for _, body := range []string{`{"schema":9,"version":2,"conditions":[]}`, `{"schema":9,"version":2,"conditions":"told otherwise"}`} {
		w := watch(t, clustersim.Config{Clusters: 2, Users: 10})
		w.tick()
		key := w.spoil(body)
		w.Pass(5 * time.Minute)
		w.tick()
		if got, err := w.memory.Get(t.Context(), key); err != nil || string(got.Body) != body {
			t.Errorf("written over: %s (%v)", got.Body, err)
		}
		if c := w.condition("apac>emea", peer.Synced); c.Status != peer.True {
			t.Errorf("the other direction is %s", c.Status)
		}
	}
}

// TestADamagedPeerEndsTheTick, though it is read while the clusters are asked:
// nothing is judged, and nothing recorded, from a snapshot that is not whole.
func TestADamagedPeerEndsTheTick(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 2, Users: 10})
	w.tick()
	key := w.spoil(`{"schema":1,"version":2,"conditions":"told otherwise"}`)
	w.Pass(5 * time.Minute)
	w.counted()
	if _, err := w.Handle(t.Context(), run.Request{}); err == nil || !strings.Contains(err.Error(), key.SK) {
		t.Errorf("the damage was not told: %v", err)
	}
	for sk := range w.counted() {
		if sk != "RUN#peersync" {
			t.Errorf("%s was written", sk)
		}
	}
}

// TestAPeerThatComesBackStartsAnew: what was remembered of it left with it.
func TestAPeerThatComesBackStartsAnew(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 3, Users: 10})
	w.tick()
	all := w.Mesh.Peers
	w.Mesh.Peers = nil
	for _, p := range all {
		if p.ID.To != "apac" && p.ID.From != "apac" {
			w.Mesh.Peers = append(w.Mesh.Peers, p)
		}
	}
	w.Pass(5 * time.Minute)
	w.tick()
	if _, err := w.memory.Get(t.Context(), store.PeerSync("acme", mesh.PeerID{From: "emea", To: "apac"})); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("emea>apac left mesh.yaml and is still remembered: %v", err)
	}
	w.Mesh.Peers = all
	w.Pass(5 * time.Minute)
	w.tick()
	if c := w.condition("emea>apac", peer.UsersMatch); c.Status != peer.True {
		t.Errorf("emea>apac came back %s %s", c.Status, c.Reason)
	}
}

// TestDifferingUsersAreNamed: a deaf direction turns False after two
// intervals, in the very tick with the names, and tells no lies before.
func TestDifferingUsersAreNamed(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 3, Users: 30})
	w.tick()
	w.Change("emea", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeDeaf)})
	w.Change("apac", clustersim.Users{Add: 3})
	for range 40 {
		w.Pass(5 * time.Minute)
		w.tick()
		c := w.condition("emea>apac", peer.UsersMatch)
		if c.Status != peer.False {
			continue
		}
		if !strings.Contains(c.Message, "missing: ") || strings.Count(c.Message, ",") != 2 {
			t.Errorf("False without the three names: %s", c.Message)
		}
		if lasted := w.Clock.Now().Sub(simtest.Start()); lasted < time.Hour || lasted > 100*time.Minute {
			t.Errorf("False after %v, want after two intervals", lasted)
		}
		if c := w.condition("amer>apac", peer.UsersMatch); c.Status != peer.True {
			t.Errorf("amer>apac, which is not deaf, is %s", c.Status)
		}
		return
	}
	t.Error("never False")
}

// TestTiersStayOnCommonBoundaries: a cluster that missed its buckets once is
// read together with the others again.
func TestTiersStayOnCommonBoundaries(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 2, Users: 20})
	w.tick()
	w.Fault(clustersim.Fault{Cluster: "apac", Kind: clustersim.FaultDrop, Times: -1})
	for range 9 { // emea's are read meanwhile, at half past
		w.Pass(5 * time.Minute)
		w.tick()
	}
	w.ClearFaults()
	for range 12 {
		w.tick()
		w.Pass(5 * time.Minute)
	}
	b := w.buckets()
	if a, z := b["emea"].Value.Buckets.At, b["apac"].Value.Buckets.At; !a.Equal(z) {
		t.Errorf("emea's buckets are of %s, apac's of %s: they never compare", a.Format("15:04"), z.Format("15:04"))
	}
	if r := w.condition("emea>apac", peer.UsersMatch).Reason; r != peer.BucketsEqual && r != peer.SetEqual {
		t.Errorf("the proof is %s", r)
	}
}

// TestOneClusterWhoseRowsAreNeverWhole does not keep the others from tier 3.
func TestOneClusterWhoseRowsAreNeverWhole(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 3, Users: 20})
	hosts := map[string]bool{}
	for _, h := range w.Hosts() {
		hosts[h.Address] = h.Cluster == "emea"
	}
	w.Connector.Transport = refusing{w.Sim.Transport(), hosts}
	for range 14 {
		w.tick()
		w.Pass(5 * time.Minute)
	}
	for id, want := range map[mesh.ClusterID]bool{"emea": false, "apac": true, "amer": true} {
		if got := w.snapshot().Clusters[id].Value.UserSet.Known(); got != want {
			t.Errorf("%s: every user read: %v, want %v", id, got, want)
		}
	}
}

type refusing struct {
	next  http.RoundTripper
	hosts map[string]bool
}

func (p refusing) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if p.hosts[r.URL.Host] {
		refuse := false
		m := &meddler{next: p.next, when: "ORDER BY u.pkid", do: func() { refuse = true }}
		resp, err = m.RoundTrip(r)
		if refuse && err == nil {
			_ = resp.Body.Close()
			return nil, errors.New("connection reset")
		}
		return resp, err
	}
	return p.next.RoundTrip(r)
}
