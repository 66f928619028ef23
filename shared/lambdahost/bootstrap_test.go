package lambdahost_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/lambdahost/runtimeapi"
	"peerkeeper/shared/lambdahost/stand"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/dynamo/emulator"
)

// functions are the Lambdas: every program under functions but the command.
func functions() []string {
	mains, _ := filepath.Glob("../../functions/*/main.go") // the pattern is one
	var out []string
	for _, path := range mains {
		if name := filepath.Base(filepath.Dir(path)); name != "peerkeeper" {
			out = append(out, name)
		}
	}
	return out
}

// builds holds each bootstrap built once for this machine.
type builds struct {
	mu   sync.Mutex
	dir  string
	path map[string]string
}

var built = builds{path: map[string]string{}} // filled as tests need them

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "peerkeeper-bootstrap-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built.dir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func bootstrap(t testing.TB, pkg string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.path[pkg] == "" {
		path, err := stand.Build(t.Context(), built.dir, pkg)
		if err != nil {
			t.Fatal(err)
		}
		built.path[pkg] = path
	}
	return built.path[pkg]
}

func newStand(t testing.TB) *stand.Stand {
	t.Helper()
	s, err := stand.New(t.Context(), t.TempDir(), stand.Options{Users: 40})
	if missing, ok := errors.AsType[*emulator.MissingError](err); ok {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// lambda is one started bootstrap with what it printed.
type lambda struct {
	*runtimeapi.Instance
	name string
	out  *safeBuffer
	logs *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func start(t testing.TB, s *stand.Stand, name string) *lambda {
	t.Helper()
	l := &lambda{name: name, out: &safeBuffer{}, logs: &safeBuffer{}}
	i, err := runtimeapi.Start(runtimeapi.Function{Name: name, Bootstrap: bootstrap(t, "./functions/"+name), Env: s.Environment(name), Stdout: l.out, Stderr: l.logs, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	l.Instance = i
	t.Cleanup(func() { _ = i.Close() })
	return l
}

func (l *lambda) send(t testing.TB, event []byte) (run.Answer, error) {
	t.Helper()
	r, err := l.Invoke(t.Context(), event)
	if err != nil {
		return run.Answer{}, err
	}
	if r.Failed {
		return run.Answer{}, fmt.Errorf("%s: %s", l.name, r.Payload)
	}
	var a run.Answer
	if err := json.Unmarshal(r.Payload, &a); err != nil {
		t.Fatalf("%s answered %s", l.name, r.Payload)
	}
	return a, nil
}

// sample is the function's sample event for a scheduled time.
func sample(t testing.TB, name string, at time.Time) []byte {
	t.Helper()
	b, err := os.ReadFile("../../events/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return stand.Event(b, at)
}

func forced(name string) []byte { return fmt.Appendf(nil, `{"mesh":"acme","function":%q}`, name) }

func must(t testing.TB, a run.Answer, err error) run.Answer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestASecondDeliveryIsSkipped(t *testing.T) {
	s := newStand(t)
	at := time.Now().UTC().Truncate(time.Minute)
	for _, sched := range run.Schedules() {
		name := sched.Function
		l := start(t, s, name)
		a, err := l.send(t, sample(t, name, at))
		must(t, a, err)
		if a.Skipped != "" || a.Function != name || a.Mesh != "acme" || !a.ScheduledTime.Equal(at) {
			t.Errorf("%s answered %+v", name, a)
		}
		want := run.Clusters{Observed: 3}
		if name == "peering" {
			want = run.Clusters{} // no plan runs
		}
		if diff := cmp.Diff(want, a.Clusters); diff != "" {
			t.Errorf("%s clusters (-want +got):\n%s\n%s", name, diff, l.logs)
		}
		again, err := l.send(t, sample(t, name, at))
		if must(t, again, err).Skipped == "" {
			t.Errorf("%s ran a second time for the same scheduled time", name)
		}
		late, err := l.send(t, sample(t, name, at.Add(-7*time.Hour)))
		if must(t, late, err).Skipped == "" {
			t.Errorf("%s ran for a time long past", name)
		}
		if n := strings.Count(l.out.String(), `"RunCompleted":1`); n != 1 {
			t.Errorf("%s printed %d completed runs:\n%s", name, n, l.out)
		}
		if !strings.Contains(l.logs.String(), `"runId":"`) || !strings.Contains(l.logs.String(), `"msg":"run skipped"`) {
			t.Errorf("%s logged\n%s", name, l.logs)
		}
	}
	// Who asked AWS for what: peersync and preflight read their accounts, certcheck
	// the platform's, stucksync and peering none, and only stucksync may publish.
	seen := s.Seen()
	if n := seen["secretsmanager.GetSecretValue"]; n != 9 {
		t.Errorf("%d secrets were read for 3 clusters, want 3 each", n)
	}
	for op := range seen {
		if op == "dynamodb.Scan" || op == "dynamodb.BatchWriteItem" || op == "dynamodb.UpdateItem" {
			t.Errorf("%s is not in the grants", op)
		}
	}
}

// A problem is said through the topic, once, and taken back once, whatever
// fails on the way.
func TestAlarmReachesASubscriberThroughFaults(t *testing.T) {
	s := newStand(t)
	sync, stuck := start(t, s, "peersync"), start(t, s, "stucksync")
	both := func() run.Answer {
		t.Helper()
		a, err := sync.send(t, forced("peersync"))
		must(t, a, err)
		a, err = stuck.send(t, forced("stucksync"))
		return must(t, a, err)
	}
	a, err := start(t, s, "certcheck").send(t, forced("certcheck"))
	must(t, a, err)
	both()
	if a := both(); a.Peers[peer.Healthy] != 6 {
		t.Fatalf("at first: %+v\n%s", a, stuck.logs)
	}
	if got := receive(t, s); len(got) != 0 {
		t.Fatalf("a healthy mesh said %v", got)
	}

	service(t, s, "Stopped")
	s.Inject(
		emulator.Rule{Service: "dynamodb", Operation: "PutItem", Kind: emulator.Throttle, Times: 4},
		emulator.Rule{Service: "dynamodb", Operation: "Query", Kind: emulator.Throttle, Times: 2},
		emulator.Rule{Service: "dynamodb", Operation: "PutItem", Kind: emulator.LostReply, Times: 5},
		emulator.Rule{Service: "secretsmanager", Kind: emulator.Throttle, Times: 1},
	)
	both()
	if left := s.Mend(); left > 1 { // the secrets may still be remembered
		t.Errorf("%d faults did not fire", left)
	}
	// The topic refuses for a whole run: the notice must wait and not be lost.
	s.Inject(emulator.Rule{Service: "sns", Operation: "Publish", Kind: emulator.Refuse, Times: -1})
	a, err = sync.send(t, forced("peersync"))
	must(t, a, err)
	if _, err := stuck.send(t, forced("stucksync")); err == nil || !strings.Contains(err.Error(), "sns:Publish") {
		t.Errorf("the refusal was not told: %v", err)
	}
	s.Mend()
	if got := receive(t, s); len(got) != 0 {
		t.Fatalf("a topic that refuses delivered %v", got)
	}
	both()
	raised := receive(t, s)
	if diff := cmp.Diff([]string{"ServiceStopped apac raised 1"}, raised); diff != "" {
		t.Fatalf("raised (-want +got):\n%s\n%s", diff, stuck.logs)
	}
	both()
	if got := receive(t, s); len(got) != 0 {
		t.Errorf("said again: %v", got)
	}

	service(t, s, "Started")
	// The publication is acknowledged to nobody: it may come twice, and both
	// are the same pair.
	s.Inject(emulator.Rule{Service: "sns", Operation: "Publish", Kind: emulator.LostReply})
	both()
	both()
	cleared := receive(t, s)
	if len(cleared) == 0 || len(cleared) > 2 {
		t.Fatalf("%d messages for one clear", len(cleared))
	}
	for _, m := range cleared {
		if m != "ServiceStopped apac cleared 2" {
			t.Errorf("received %s", m)
		}
	}
}

func service(t *testing.T, s *stand.Stand, status string) {
	t.Helper()
	for _, h := range s.Sim.Hosts() {
		if h.Cluster == "apac" && h.Role == "subscriber" {
			if err := s.Sim.Change("apac", clustersim.Services{Node: h.Name, Service: "Cisco Intercluster Sync Agent", Status: status}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// receive reads a queue as a subscriber would: attributes, and JSON in the
// last line that agrees with them.
func receive(t *testing.T, s *stand.Stand) []string {
	t.Helper()
	got, err := s.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, m := range got {
		var n alarm.Notice
		if err := json.Unmarshal([]byte(m.Body[strings.LastIndexByte(m.Body, '\n')+1:]), &n); err != nil {
			t.Errorf("last line of %q: %v", m.Body, err)
		}
		a := m.Attributes
		if a["alarm"] != n.Name || a["fingerprint"] != n.Fingerprint || a["transition"] != fmt.Sprint(n.Transition) || a["state"] != string(n.State) {
			t.Errorf("attributes %v differ from %+v", a, n)
		}
		out = append(out, fmt.Sprintf("%s %s %s %s", a["alarm"], a["cluster"]+a["peer"], a["state"], a["transition"]))
	}
	return out
}

// A killed run leaves its lease; the next run of the same time waits for it,
// and nothing that was written is lost or doubled.
func TestKilledInTheMiddle(t *testing.T) {
	s := newStand(t)
	at := time.Now().UTC().Truncate(time.Minute)
	// The kill comes when the run is under way: while its Query hangs.
	s.Inject(emulator.Rule{Service: "dynamodb", Operation: "Query", Kind: emulator.Delay, Wait: 10 * time.Minute, Times: -1})
	l := start(t, s, "peersync")
	done := make(chan error, 1)
	go func() {
		_, err := l.Invoke(context.WithoutCancel(t.Context()), sample(t, "peersync", at))
		done <- err
	}()
	waitFor(t, func() bool { return s.Seen()["dynamodb.Query"] > 0 })
	if err := l.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*runtimeapi.ExitedError](<-done); !ok {
		t.Error("the invocation did not see the end of the process")
	}
	s.Mend()
	next := start(t, s, "peersync")
	a, err := next.send(t, sample(t, "peersync", at))
	if must(t, a, err); !strings.Contains(a.Skipped, "under way") {
		t.Errorf("while the dead run's lease lasts: %+v", a)
	}
	expireLease(t, s)
	a, err = next.send(t, sample(t, "peersync", at))
	if must(t, a, err); a.Skipped != "" || a.Clusters.Observed != 3 {
		t.Errorf("after the lease: %+v", a)
	}
	runs, err := store.LoadDocs[store.Run](t.Context(), s.Store(), store.Live("acme"), store.PrefixRun, store.RunSchema)
	if err != nil {
		t.Fatal(err)
	}
	if r := runs["RUN#peersync"].Value; !r.Finished() || r.Token != 2 {
		t.Errorf("the record of the runs: %+v", r)
	}
}

// expireLease does what four minutes do.
func expireLease(t *testing.T, s *stand.Stand) {
	t.Helper()
	_, _, err := store.Claim(t.Context(), s.Store(), store.RunOf("acme", "peersync"), store.RunSchema, func(d *store.Doc[store.Run], exists bool) (bool, error) {
		if !exists || d.Value.LeaseUntil.IsZero() {
			t.Error("the killed run holds no lease")
		}
		d.Value.LeaseUntil = time.Now().Add(-time.Second)
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	end := time.NewTimer(2 * time.Minute)
	defer end.Stop()
	for !done() {
		select {
		case <-ticker.C:
		case <-end.C:
			t.Fatal("it did not happen")
		}
	}
}

func TestARotatedSecretIsPickedUp(t *testing.T) {
	s := newStand(t)
	l := start(t, s, "peersync")
	a, err := l.send(t, forced("peersync"))
	must(t, a, err)
	// The password changes in the cluster; Secrets Manager learns of it late.
	if err := s.Rotate(t.Context(), "apac", "read", "Rotated-1", false); err != nil {
		t.Fatal(err)
	}
	a, err = l.send(t, forced("peersync"))
	if must(t, a, err); a.Clusters.Unreachable != 1 {
		t.Errorf("with the old password: %+v", a.Clusters)
	}
	if err := s.StoreSecret(t.Context(), "apac", "read"); err != nil {
		t.Fatal(err)
	}
	// A new process has no memory of the old secret.
	next := start(t, s, "peersync")
	a, err = next.send(t, forced("peersync"))
	if must(t, a, err); a.Clusters.Observed != 3 {
		t.Errorf("with the new password: %+v\n%s", a.Clusters, next.logs)
	}
	for _, text := range []string{l.logs.String(), l.out.String(), next.logs.String(), next.out.String()} {
		if strings.Contains(text, "Rotated-1") {
			t.Error("a password was logged")
		}
	}
}

// certs are what certcheck has stored of every cluster.
func certs(t *testing.T, s *stand.Stand) map[mesh.ClusterID]certificate.Record {
	t.Helper()
	snapshot, err := record.Load(t.Context(), s.Store(), s.Mesh)
	if err != nil {
		t.Fatal(err)
	}
	out := map[mesh.ClusterID]certificate.Record{}
	for id, d := range snapshot.Certs {
		out[id] = d.Value
	}
	return out
}

// platformAsked counts the requests to certificate management, and the log-ins
// that some node has refused.
func platformAsked(s *stand.Stand) (requests, refused int) {
	for _, c := range s.Sim.State().Clusters {
		for _, n := range c.Nodes {
			refused += n.RejectedLogIns
			for name, k := range n.Requests {
				if strings.Contains(name, "snapshot") || strings.Contains(name, "certificate") {
					requests += k
				}
			}
		}
	}
	return requests, refused
}

// A built certcheck reads every node's trust stores with the platform accounts
// from Secrets Manager. A password that is refused is tried once, by whatever
// process, until its secret changes.
func TestTrustStoresAreReadWithThePlatformAccount(t *testing.T) {
	s := newStand(t)
	var logs []*safeBuffer
	fresh := func() *lambda {
		l := start(t, s, "certcheck")
		logs = append(logs, l.logs, l.out)
		return l
	}
	look := func(l *lambda) map[mesh.ClusterID]certificate.Record {
		t.Helper()
		a, err := l.send(t, forced("certcheck"))
		if must(t, a, err); a.Clusters.Observed != 3 {
			t.Errorf("%+v\n%s", a, l.logs)
		}
		return certs(t, s)
	}
	warm := fresh()
	for id, r := range look(warm) {
		store := r.Trust["tomcat-trust"]
		if r.NoTrust != nil || len(store.Nodes) != 2 || len(store.Entries) == 0 {
			t.Errorf("%s: %+v, its tomcat-trust %+v", id, r.NoTrust, store)
		}
		for _, n := range store.Nodes {
			if n.Read.IsZero() {
				t.Errorf("the store of %s was not read", n.Name)
			}
		}
	}

	if requests, _ := platformAsked(s); requests < 6 {
		t.Errorf("certificate management of 6 nodes was asked %d times", requests)
	}

	if err := s.Rotate(t.Context(), "apac", "platform", "Rotated-1", false); err != nil {
		t.Fatal(err)
	}
	for i, l := range []*lambda{warm, warm, fresh()} {
		got := look(l)
		if no := got["apac"].NoTrust; no == nil || no.Reason != peer.AccountRejected || got["emea"].NoTrust != nil {
			t.Errorf("look %d with the old password: apac %+v, emea %+v", i, no, got["emea"].NoTrust)
		}
	}
	if _, refused := platformAsked(s); refused != 1 {
		t.Errorf("%d log-ins with a password that was refused, want one", refused)
	}
	if err := s.StoreSecret(t.Context(), "apac", "platform"); err != nil {
		t.Fatal(err)
	}
	if no := look(fresh())["apac"].NoTrust; no != nil {
		t.Errorf("with the new password: %+v", no)
	}
	for _, text := range logs {
		if strings.Contains(text.String(), "Rotated-1") {
			t.Error("a password was logged")
		}
	}
}

// A mesh that names no platform account costs certcheck no secret and no node
// a request.
func TestWithoutPlatformAccountsNobodyPays(t *testing.T) {
	s := newStand(t)
	for i := range s.Mesh.Clusters {
		s.Mesh.Clusters[i].PlatformCredentials, s.Mesh.Clusters[i].PlatformWriteCredentials = "", ""
	}
	var b bytes.Buffer
	if err := meshfile.WriteJSON(&b, s.Mesh); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.MeshPath(), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := start(t, s, "certcheck").send(t, forced("certcheck"))
	if must(t, a, err); a.Clusters.Observed != 3 {
		t.Errorf("%+v", a)
	}
	if n := s.Seen()["secretsmanager.GetSecretValue"]; n != 0 {
		t.Errorf("%d secrets were read", n)
	}
	if requests, _ := platformAsked(s); requests != 0 {
		t.Errorf("certificate management was asked %d times", requests)
	}
	for id, r := range certs(t, s) {
		if r.NoTrust == nil || r.NoTrust.Reason != peer.NoCredentials || len(r.Trust) > 0 {
			t.Errorf("%s: %+v", id, r.NoTrust)
		}
	}
}

func TestNothingIsAskedAtStart(t *testing.T) {
	s := newStand(t)
	before := s.Seen()
	for _, name := range functions() {
		if _, err := start(t, s, name).Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, s.Seen()); diff != "" {
		t.Errorf("asked before the first event:\n%s", diff)
	}
}

func TestUnconfiguredFunctionsSayAllThatIsMissing(t *testing.T) {
	for name, want := range map[string][]string{
		"peersync":  {"PEERKEEPER_TABLE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "PEERKEEPER_SECRET_PREFIX", "mesh.json"},
		"stucksync": {"PEERKEEPER_TABLE", "AWS_REGION", "PEERKEEPER_TOPIC_ARN", "mesh.json"},
		"certcheck": {"PEERKEEPER_TABLE", "AWS_REGION", "mesh.json"},
	} {
		t.Run(name, func(t *testing.T) {
			logs := &safeBuffer{}
			i, err := runtimeapi.Start(runtimeapi.Function{Name: name, Bootstrap: bootstrap(t, "./functions/"+name), Stderr: logs})
			if err != nil {
				t.Fatal(err)
			}
			defer i.Close()
			_, err = i.Ready(t.Context())
			if _, ok := errors.AsType[*runtimeapi.ExitedError](err); !ok {
				t.Fatalf("it started: %v", err)
			}
			for _, w := range want {
				if !strings.Contains(logs.String(), w) {
					t.Errorf("%s is not named in\n%s", w, logs)
				}
			}
			if name == "certcheck" && strings.Contains(logs.String(), "SECRET_PREFIX") {
				t.Error("certcheck wants secrets")
			}
		})
	}
}
