package peersync_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// logWatch is peersync on a mesh whose databases nobody has mapped: what is known
// of syncs stands in logs.
func logWatch(t *testing.T, cfg clustersim.Config, sockets bool) *watcher {
	t.Helper()
	w := watchOver(t, newRig(t, cfg, sockets))
	w.Connector.Dialect = cluster.NewDialect(nil)
	return w
}

// ticks lets so much time pass, a tick every five minutes.
func (w *watcher) ticks(d time.Duration) {
	w.t.Helper()
	for end := w.Clock.Now().Add(d); w.Clock.Now().Before(end); w.Pass(5 * time.Minute) {
		w.tick()
	}
}

func (w *watcher) log(id mesh.ClusterID) peer.LogRecord {
	w.t.Helper()
	return w.logDoc(id).Value
}

func (w *watcher) logDoc(id mesh.ClusterID) store.Doc[peer.LogRecord] {
	w.t.Helper()
	logs, err := w.snapshot().Logs(w.Mesh, w.Clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return logs[id]
}

// logRequests are what a cluster's nodes were asked for its log.
func (w *watcher) logRequests(id mesh.ClusterID) int {
	n := w.Requests(id)
	return n["selectLogFiles"] + n["GetOneFile"] + n["getSyslogConfiguration"]
}

// hours follows what each cluster is asked in every hour that begins at a tick.
type hours struct {
	w    *watcher
	seen map[mesh.ClusterID][]int
	most int // requests of one cluster in one hour
}

func (h *hours) tick() {
	h.w.t.Helper()
	if h.seen == nil {
		h.seen = map[mesh.ClusterID][]int{}
		for _, id := range h.w.Mesh.IDs() {
			h.seen[id] = []int{h.w.logRequests(id)}
		}
	}
	h.w.tick()
	for id, seen := range h.seen {
		seen = append(seen, h.w.logRequests(id))
		h.seen[id] = seen
		h.most = max(h.most, seen[len(seen)-1]-seen[max(0, len(seen)-13)]) // twelve ticks make an hour
	}
	h.w.Pass(5 * time.Minute)
}

func TestLogIsPulledWithinItsBudget(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 4, Users: 10}, true)
	h := hours{w: w}
	for range 6 * 12 {
		h.tick()
	}
	for _, id := range w.Mesh.IDs() {
		r := w.log(id)
		if w.Clock.Now().Sub(r.Read) > 40*time.Minute || r.Since.After(simtest.Start()) || r.Problem != "" || r.Level != "Informational" || r.LevelBy == "" || len(r.Peers) != 3 || len(r.Cluster) != 0 {
			t.Errorf("%s: %+v", id, r)
		}
		for home, words := range r.Peers {
			if age := w.Clock.Now().Sub(words.Success.At); words.Success.Dating != ciscolog.Dated || age > 70*time.Minute || words.Failure.Alarm != "" {
				t.Errorf("%s>%s: %+v", id, home, words)
			}
		}
		if n := w.logRequests(id); n < 2*6 {
			t.Errorf("%s was asked for its log %d times in 6 h", id, n)
		}
	}
	if h.most > 4 {
		t.Errorf("%d requests for one log within an hour, at most 4 are allowed", h.most)
	}
	if c := w.condition("emea>apac", peer.Synced); c.Status != peer.True || c.Reason != peer.OnInterval || c.Basis != peer.Cisco {
		t.Errorf("%+v", c)
	}
}

// TestLogsOfALargeMesh measures what thirty logs cost.
func TestLogsOfALargeMesh(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 30, Users: 3}, false)
	perTick, asked, bytes := 0, 0, int64(0)
	for i := range 30 {
		a, err := w.Handle(t.Context(), run.Request{})
		if err != nil {
			t.Fatal(err)
		}
		w.Pass(5 * time.Minute)
		perTick = max(perTick, a.Logs.Read+a.Logs.Unchanged)
		if i >= 18 { // the last hour
			asked, bytes = asked+a.Logs.Requests, bytes+a.Logs.Bytes
		}
	}
	if asked > 4*30 || perTick > 15 {
		t.Errorf("%d requests in an hour, %d logs in one tick", asked, perTick)
	}
	size := 0
	for _, id := range w.Mesh.IDs() {
		it, err := w.memory.Get(t.Context(), store.Log(w.Mesh.Name, id))
		if err != nil || len(w.log(id).Peers) != 29 {
			t.Fatalf("%s: %v %+v", id, err, w.log(id))
		}
		size = max(size, len(it.Body))
	}
	t.Logf("30 clusters without a dialect: %.1f requests and %.1f KB per cluster and hour, at most %d logs in one tick; the largest item has %d bytes", float64(asked)/30, float64(bytes)/30/1000, perTick, size)
}

func TestALogThatIsRotatedIsFollowed(t *testing.T) {
	for _, c := range []struct {
		name     string
		rotate   int
		unbroken bool
	}{{"once between two reads", 1, true}, {"twice: what stood in the older copy was not seen", 2, false}} {
		t.Run(c.name, func(t *testing.T) {
			w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, true)
			w.ticks(2 * time.Hour)
			before := w.log("emea")
			h := hours{w: w}
			for range c.rotate {
				w.Change("emea", clustersim.Log{Rotate: true})
				w.Change("emea", clustersim.Log{Alarm: "InterclusterSyncAgentPeerDown", Peer: "apac"})
			}
			for range 24 {
				h.tick()
			}
			after := w.log("emea")
			if after.Since.Equal(before.Since) != c.unbroken || w.Clock.Now().Sub(after.Read) > 70*time.Minute || after.Rotated {
				t.Errorf("before %+v\nafter %+v", before, after)
			}
			if words := after.Peers["apac"]; words.Failure.Alarm != ciscolog.PeerDown || !words.Success.At.After(words.Failure.At) {
				t.Errorf("%+v", words)
			}
			if h.most > 4 {
				t.Errorf("%d requests within an hour", h.most)
			}
		})
	}
}

// TestKilledBetweenBudgetAndWords loses budget, and no line: what was said
// meanwhile is found by the next turn, and nothing twice.
func TestKilledBetweenBudgetAndWords(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	w.ticks(2 * time.Hour)
	before := w.log("emea")
	w.Change("emea", clustersim.Log{Alarm: "InterclusterSyncAgentPeerDown", Peer: "apac"})
	said := w.Clock.Now()
	charged, killed := false, false
	w.fail = func(op, sk string) error {
		switch {
		case killed:
			return errors.New("killed") // a process that is dead writes nothing more
		case op == "written" && sk == "LOG#emea":
			charged = true
		case op == "put" && sk == "LOG#emea" && charged:
			killed = true
			return errors.New("killed")
		}
		return nil
	}
	for !killed {
		_, err := w.Handle(t.Context(), run.Request{})
		if killed != (err != nil) {
			t.Fatal(err)
		}
		w.Pass(5 * time.Minute)
	}
	w.fail = nil
	dead := w.log("emea")
	if dead.Cursor != before.Cursor || dead.Peers["apac"].Failure.Alarm != "" || len(dead.Spent) == 0 || dead.Spent[len(dead.Spent)-1].Bytes < 16<<20 {
		t.Errorf("the cursor moved without its words, or nothing was charged: %+v", dead)
	}
	h := hours{w: w}
	for range 2 * 12 {
		h.tick()
	}
	if h.most > 4 {
		t.Errorf("%d requests within an hour", h.most)
	}
	after := w.log("emea")
	if words := after.Peers["apac"]; words.Failure.Alarm != ciscolog.PeerDown || words.Failure.At.Sub(said).Abs() > time.Second || !after.Since.Equal(before.Since) || len(after.Cluster) != 0 {
		t.Errorf("after the next turn: %+v", after)
	}
}

// TestTwoHostsAtOneLog: the one that comes second finds the charge of the other,
// asks nothing, and overwrites nothing.
func TestTwoHostsAtOneLog(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	w.ticks(2 * time.Hour)
	var other, wrote atomic.Bool
	own := w.memory.Fail
	w.memory.Fail = func(op string, key store.Key) error {
		if op == "put" && key.SK == "LOG#emea" && other.CompareAndSwap(false, true) {
			doc := w.logDoc("emea")
			doc.Value = doc.Value.Charged(peer.Allowance{Requests: 1}, w.Clock.Now())
			it, _, err := doc.Change()
			if err := errors.Join(err, w.memory.Put(t.Context(), it)); err != nil {
				t.Error(err)
			}
			wrote.Store(true)
		}
		return own(op, key)
	}
	for !wrote.Load() {
		asked := w.logRequests("emea")
		w.tick() // which another run's charge does not make fail
		if n := w.logRequests("emea"); wrote.Load() && n != asked {
			t.Errorf("%d requests by the one that came second", n-asked)
		}
		w.Pass(5 * time.Minute)
	}
	if spent := w.log("emea").Spent; spent[len(spent)-1].Requests != 1 {
		t.Errorf("%+v", spent)
	}
	w.ticks(time.Hour)
	if age := w.Clock.Now().Sub(w.log("emea").Read); age > 40*time.Minute {
		t.Errorf("not read for %v", age)
	}
}

// TestALogThatHangsCostsTheOthersNothing, and its own cluster but its log. Nothing but what hangs takes time here.
func TestALogThatHangsCostsTheOthersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := logWatch(t, clustersim.Config{Clusters: 3, Users: 10}, false)
		w.Timeout = time.Second
		w.Fault(clustersim.Fault{Cluster: "emea", Operation: "selectLogFiles", Kind: clustersim.FaultDelay, Delay: 90 * time.Second, Times: -1})
		began := time.Now()
		w.ticks(3 * time.Hour)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("three hours took %v, of which each of at most three requests may take one second", took)
		}
		r := w.log("emea")
		if r.Problem != "noAnswer" || r.Failures < 2 || r.Failures > 3 || !r.Read.IsZero() || r.Retry.Sub(r.Turn) < time.Hour {
			t.Errorf("%+v", r)
		}
		if n := w.Requests("emea")["selectLogFiles"]; n > 3 {
			t.Errorf("asked %d times in 3 h, want half an hour, an hour, two hours between", n)
		}
		for _, id := range []mesh.ClusterID{"apac", "amer"} {
			if r := w.log(id); w.Clock.Now().Sub(r.Read) > 40*time.Minute || len(r.Peers) != 2 {
				t.Errorf("%s: %+v", id, r)
			}
		}
		if seen := w.snapshot().Clusters["emea"].Value.Seen; !seen.Access.Known() || w.Clock.Now().Sub(seen.At) > 6*time.Minute || !seen.Users.Known() {
			t.Errorf("what is seen of emea: %+v", seen.Access)
		}
	})
}

func TestALogSwitchedOffIsAskedForNothing(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	c, _ := w.Mesh.Cluster("emea")
	c.Log = mesh.LogOff
	w.ticks(2 * time.Hour)
	if _, err := w.memory.Get(t.Context(), store.Log(w.Mesh.Name, "emea")); w.logRequests("emea") != 0 || !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%d requests, %v", w.logRequests("emea"), err)
	}
	if len(w.log("apac").Peers) != 1 {
		t.Errorf("%+v", w.log("apac"))
	}
}

// TestALogAtLevelError holds failures, and says that it is no witness of anything
// else.
func TestALogAtLevelError(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 3, Users: 10, LogSeverity: 3}, true)
	w.ticks(time.Hour)
	w.Change("apac", clustersim.Reachable{From: "emea", Value: new(false)})
	w.ticks(2 * time.Hour)
	r := w.log("emea")
	if r.Level != "Error" || r.LevelBy == "" || r.Read.IsZero() || len(r.Peers) != 1 {
		t.Errorf("%+v", r)
	}
	if c := w.condition("emea>apac", peer.Synced); c.Status != peer.UnknownStatus || c.Reason != peer.LogHasNoSyncLines || !strings.Contains(c.Message, "level Error") {
		t.Errorf("%+v", c)
	}
	if p := r.Peers["apac"]; p.Failure.Alarm != ciscolog.PeerDown || p.Failure.Dating != ciscolog.Dated || !strings.Contains(p.Failure.Text, "8443") || p.Success.Alarm != "" {
		t.Errorf("%+v", p)
	}
}

// TestAStuckPeersOwnAlarm is kept with the last success that it tells of, where
// its form can be read.
func TestAStuckPeersOwnAlarm(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	w.ticks(time.Hour)
	w.Change("emea", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeStuck)})
	w.ticks(4 * time.Hour)
	p := w.log("emea").Peers["apac"]
	if p.Periodic.Alarm != ciscolog.PeriodicSyncingFailure || p.Periodic.Dating != ciscolog.Dated || !strings.HasPrefix(p.Periodic.Text, "lastSynchronizedTime Mon Mar 02 ") || !p.Periodic.At.After(p.Success.At) {
		t.Errorf("%+v", p)
	}
	if p.LastSynced.Alarm != "" { // CET is a zone of several countries
		t.Errorf("an instant was guessed: %+v", p.LastSynced)
	}
}

// TestALogThatTheAccountMayNotRead is tried once a day, and says nothing of the
// account.
func TestALogThatTheAccountMayNotRead(t *testing.T) {
	for name, role := range map[string]bool{"403, for want of a role": false, "401": true} {
		t.Run(name, func(t *testing.T) {
			w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, false)
			w.Change("emea", clustersim.Log{Roles: &role})
			if role {
				w.Fault(clustersim.Fault{Cluster: "emea", Operation: "selectLogFiles", Kind: clustersim.FaultHTTP401, Times: -1})
			}
			w.ticks(3 * time.Hour)
			if r := w.log("emea"); r.Problem != "noRole" || r.Retry.Sub(r.Turn) != 24*time.Hour || w.logRequests("emea") != 1 {
				t.Errorf("%d requests: %+v", w.logRequests("emea"), r)
			}
			if note := w.snapshot().Auths["emea"]; note.Version != 0 || !w.snapshot().Clusters["emea"].Value.Seen.Access.Known() {
				t.Errorf("the account counts as rejected: %+v", note)
			}
			w.Change("emea", clustersim.Log{Roles: new(true)})
			w.ClearFaults()
			if _, err := w.Handle(t.Context(), run.Request{Only: []mesh.ClusterID{"emea"}}); err != nil { // somebody waits for it
				t.Fatal(err)
			}
			if r := w.log("emea"); r.Problem != "" || r.Read.IsZero() || len(r.Peers) != 1 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestALogThatIsNotServed(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, true)
	w.Change("emea", clustersim.Log{Service: new("none")})
	w.Change("apac", clustersim.Log{Service: new("old"), Framing: new("xml")})
	w.ticks(3 * time.Hour)
	if r := w.log("emea"); r.Problem != "noService" || r.Retry.Sub(r.Turn) != 24*time.Hour {
		t.Errorf("%+v", r)
	}
	r := w.log("apac")
	if r.Problem != "" || w.Clock.Now().Sub(r.Read) > 40*time.Minute || r.Since.After(simtest.Start()) || len(r.Peers) != 1 {
		t.Errorf("by the older service: %+v", r)
	}
	if n := w.Requests("apac"); n["selectLogFiles"] > 1 {
		t.Errorf("what does not exist is asked for again and again: %v", n)
	}
}

// TestAHealthyMeshWithAClockOfItsOwnNeedsNoLog: only whether it has changed is
// asked, until a peer is in trouble. What else Cisco says in it waits for six hours.
func TestAHealthyMeshWithAClockOfItsOwnNeedsNoLog(t *testing.T) {
	w := watch(t, clustersim.Config{Clusters: 2, Users: 10})
	w.ticks(2 * time.Hour)
	if n := w.Requests("emea"); n["GetOneFile"] != 1 || n["selectLogFiles"] < 3 || n["selectLogFiles"] > 5 {
		t.Errorf("%v", n)
	}
	w.Change("emea", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeBadCredentials)})
	w.ticks(2 * time.Hour)
	if n := w.Requests("emea"); n["GetOneFile"] < 2 || w.log("emea").Peers["apac"].Failure.Alarm != ciscolog.SyncFailure {
		t.Errorf("%v %+v", n, w.log("emea"))
	}
	if n := w.Requests("apac"); n["GetOneFile"] != 1 {
		t.Errorf("%v", n)
	}
	w.ticks(150 * time.Minute)
	if n := w.Requests("apac"); n["GetOneFile"] != 2 {
		t.Errorf("after six hours: %v", n)
	}
}

func TestAClusterThatIsUpgradedIsLeftAlone(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	w.ticks(time.Hour)
	w.Change("emea", clustersim.Nodes{Node: "imp-emea-sub.example.com", Release: "15.0"})
	w.ticks(time.Hour)
	asked := w.logRequests("emea")
	w.ticks(time.Hour)
	if n := w.logRequests("emea"); n != asked {
		t.Errorf("asked for its log %d times while its nodes' versions differ", n-asked)
	}
}

// TestALogTooLargeToFollow is told, and costs a listing.
func TestALogTooLargeToFollow(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, true)
	w.Change("emea", clustersim.Log{Size: new(20000000)})
	w.Change("apac", clustersim.Log{Size: new(6000000)})
	h := hours{w: w}
	for range 36 {
		h.tick()
	}
	if r := w.log("emea"); r.Problem != "tooLarge" || w.Requests("emea")["GetOneFile"] != 0 {
		t.Errorf("%+v", r)
	}
	if n := w.Requests("apac")["GetOneFile"]; n < 2 || n > 4 {
		t.Errorf("a log of 6 MB was fetched %d times in 3 h, want once an hour", n)
	}
	w.Change("emea", clustersim.Log{Rotate: true})
	w.ticks(time.Hour)
	if r := w.log("emea"); r.Problem != "" || r.Read.IsZero() {
		t.Errorf("after its rotation: %+v", r)
	}
}

// TestAPeerThatGoesSilentIsFoundByTheLevel: of the only peer of its agent nothing
// but the level shows that its successes would be there. It is asked for while they
// are missed, within the log's budget, and not while they come.
func TestAPeerThatGoesSilentIsFoundByTheLevel(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	began := w.Clock.Now()
	w.ticks(3 * time.Hour)
	if told := w.log("emea").LevelAt; told.Sub(began) > 40*time.Minute {
		t.Errorf("the level was asked for again %s after the first turn, while every sync succeeded", told.Sub(began))
	}
	last := w.log("emea").Peers["apac"].Success.At
	w.Change("emea", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeHung)})
	h := hours{w: w}
	raised := time.Time{}
	for w.Clock.Now().Before(last.Add(8 * time.Hour)) {
		h.tick()
		c := w.condition("emea>apac", peer.Synced)
		switch {
		case c.Status == peer.False && raised.IsZero():
			raised = w.Clock.Now()
		case c.Status == peer.False:
		case !raised.IsZero():
			t.Errorf("%s %s at %s, False since %s: %s", c.Status, c.Reason, w.Clock.Now(), raised, c.Message)
		}
		if c.Status == peer.False && c.Reason != peer.NoSuccessLogged {
			t.Fatalf("%+v", c)
		}
	}
	if after := raised.Sub(last); after < 150*time.Minute || after > 240*time.Minute {
		t.Errorf("found %s after its last sync", after)
	}
	if h.most > 4 {
		t.Errorf("%d requests within an hour", h.most)
	}
}

// TestALevelThatIsLoweredRaisesNothing: successes are logged no more, which the
// level tells at the first that is missed.
func TestALevelThatIsLoweredRaisesNothing(t *testing.T) {
	for name, change := range map[string]clustersim.Log{
		"to Error, which AXL tells":    {Severity: new(3)},
		"to Alert":                     {Severity: new(1)},
		"to Error, and nobody tells":   {Severity: new(3), LevelBy: new("fault")},
		"the syslog daemon dies":       {Syslogd: new(false)},
		"the node writes its own zone": {Zone: new("local")},
	} {
		t.Run(name, func(t *testing.T) {
			w := logWatch(t, clustersim.Config{Clusters: 3, Users: 10}, false)
			w.ticks(2 * time.Hour)
			w.Change("emea", change)
			h := hours{w: w}
			for range 6 * 12 {
				h.tick()
				for _, id := range []mesh.PeerID{{From: "emea", To: "apac"}, {From: "emea", To: "amer"}} {
					if c := w.condition(id.String(), peer.Synced); c.Status == peer.False {
						t.Fatalf("%s: %+v", id, c)
					}
				}
			}
			if c := w.condition("emea>apac", peer.Synced); c.Status != peer.UnknownStatus || c.Reason != peer.LogHasNoSyncLines {
				t.Errorf("%+v", c)
			}
			w.Change("emea", clustersim.Log{Severity: new(6), LevelBy: new("answer"), Syslogd: new(true), Zone: new("UTC")})
			for range 4 * 12 {
				h.tick()
				if c := w.condition("emea>apac", peer.Synced); c.Status == peer.False {
					t.Fatalf("set back: %+v", c)
				}
			}
			if c := w.condition("emea>apac", peer.Synced); c.Reason != peer.OnInterval {
				t.Errorf("set back: %+v", c)
			}
			if h.most > 4 {
				t.Errorf("%d requests within an hour", h.most)
			}
		})
	}
}
