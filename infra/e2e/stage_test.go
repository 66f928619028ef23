package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"peerkeeper/infra/environment"
	"peerkeeper/shared/alarm"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/lambdahost/runtimeapi"
	"peerkeeper/shared/lambdahost/stand"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/store/dynamo/emulator"
)

// root is the module's folder.
const root = "../.."

// built are the programs, each built once for all plays.
var built struct {
	mu   sync.Mutex
	dir  string
	path map[string]string // by package
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "peerkeeper-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built.dir, built.path = dir, map[string]string{}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// program builds a package by build, unless it has been built.
func program(t *testing.T, pkg string, build func(ctx context.Context, dir, pkg string) (string, error)) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.path[pkg] == "" {
		path, err := build(t.Context(), built.dir, pkg)
		if err != nil {
			t.Fatal(err)
		}
		built.path[pkg] = path
	}
	return built.path[pkg]
}

// stage is an environment as deployed, on this machine: what the template makes
// stands in the emulator, the functions are built and wait in a folder each, and
// the mesh that they look at is simulated.
type stage struct {
	*applier
	faults *emulator.Proxy
	env    *environment.Environment
	from   string // the folder of the environment's files
	policy any    // as the environment's mesh.yaml has it
	sim    *clustersim.Sim
	admin  string // URL
	clock  *clock
	dir    string // mesh.yaml, mesh.json and what belongs to them
	desk   string // the folder from which people use the command
	// files are the simulator's as they were at the deploy: of a certificate that
	// is renewed later, what is deployed knows nothing.
	files map[string][]byte
	bin   map[string]string
	queue string // URL; an operator's subscription to the alarms
	// invoked are the sandboxes of what people have invoked, in order.
	invoked   []*sandbox
	invokedMu sync.Mutex
	// checked is when certcheck was last started by its schedule.
	checked time.Time
}

// clock is the simulated mesh's time. It runs as the wall's, and can be put
// forward: the rate, counted from a distant epoch, holds the whole difference.
type clock struct {
	mu sync.Mutex
	c  mesh.Clock
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.c.At(time.Now())
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := time.Now()
	c.c.Rate = float64(c.c.At(wall).Add(d).Sub(c.c.Epoch)) / float64(wall.Sub(c.c.Epoch))
}

// synthesise has infra synthesise an environment of a folder.
func synthesise(t *testing.T, dir, name string) template {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed, and the CDK is a JavaScript program: https://nodejs.org")
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./infra", "template", "-dir", dir, "-env", name)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("synthesising %s: %v\n%s", name, err, &stderr)
	}
	var tpl template
	if err := json.Unmarshal(out, &tpl); err != nil {
		t.Fatal(err)
	}
	return tpl
}

// The account is one of this run's own: several may share an emulator.
func (s *stage) open(t *testing.T) {
	t.Helper()
	e, err := emulator.Start(t.Context())
	if missing, ok := errors.AsType[*emulator.MissingError](err); ok {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	s.faults = e.Proxy
	s.guard = newGuard(e.Proxy, s.env.Account, s.env.Region)
	s.guard.invoke = s.invocation
	front := httptest.NewServer(s.guard)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	s.url, s.account, s.region = front.URL, s.env.Account, s.env.Region
}

// newStage deploys the environment of a name from a folder. Beside the environment's
// clusters there are those that stand apart.
func newStage(t *testing.T, dir, name string, sim clustersim.Config) *stage {
	t.Helper()
	s := &stage{applier: &applier{}, dir: t.TempDir(), bin: map[string]string{}, clock: &clock{c: mesh.Clock{Epoch: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Rate: 1}}}
	s.desk = s.dir
	s.load(t, dir, name)
	s.open(t)
	t.Cleanup(func() { s.remove(context.WithoutCancel(t.Context())) })
	if err := s.deploy(t.Context(), synthesise(t, s.from, name)); err != nil {
		t.Fatal(err)
	}

	sim.Clusters, sim.Users, sim.Clock, sim.Seed = len(s.env.Mesh.Clusters)+sim.Apart, 50, s.clock, 1
	var err error
	if s.sim, err = clustersim.New(sim); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.sim.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.sim.Start(); err != nil {
		t.Fatal(err)
	}
	admin := httptest.NewServer(s.sim.Admin())
	t.Cleanup(admin.Close)
	s.admin = admin.URL

	if s.files, err = s.sim.Files(s.admin); err != nil {
		t.Fatal(err)
	}
	for name := range s.functions {
		s.bin[name] = filepath.Join(s.dir, name, "bootstrap")
		err := os.Mkdir(filepath.Dir(s.bin[name]), 0o700)
		if err == nil {
			err = os.Link(program(t, "./functions/"+name, bootstrap), s.bin[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.writeMesh(t)
	s.subscribe(t)
	return s
}

// load reads the environment of a name from a folder.
func (s *stage) load(t *testing.T, dir, name string) {
	t.Helper()
	var err error
	if s.from, err = filepath.Abs(dir); err != nil {
		t.Fatal(err)
	}
	if s.env, err = environment.Load(s.from, name); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.from, name+".mesh.yaml"))
	var file map[string]any
	if err = errors.Join(err, yaml.Unmarshal(text, &file)); err != nil {
		t.Fatal(err)
	}
	s.policy = file["policy"]
}

// redeploy deploys the environment's files from another folder: the template, and the
// functions with their mesh.json.
func (s *stage) redeploy(t *testing.T, dir string) {
	t.Helper()
	s.load(t, dir, s.env.Name)
	if err := s.deploy(s.ctx, synthesise(t, s.from, s.env.Name)); err != nil {
		t.Fatal(err)
	}
	s.writeMesh(t)
}

// bootstrap builds a Lambda.
func bootstrap(ctx context.Context, dir, pkg string) (string, error) {
	return stand.Build(ctx, dir, pkg)
}

// remove takes the template's resources away, for an emulator that lives on.
func (s *stage) remove(ctx context.Context) {
	s.ctx = ctx
	for _, name := range s.tables {
		_ = s.call("dynamodb", "DynamoDB_20120810.DeleteTable", map[string]any{"TableName": name}, nil) // the emulator may be gone
	}
	for _, name := range s.secrets {
		_ = s.call("secretsmanager", "secretsmanager.DeleteSecret", map[string]any{"SecretId": name, "ForceDeleteWithoutRecovery": true}, nil)
	}
	for _, arn := range s.topics {
		_, _ = s.sns().DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: &arn})
	}
	for _, url := range append(s.queues, s.queue) {
		_ = s.call("sqs", "AmazonSQS.DeleteQueue", map[string]any{"QueueUrl": url}, nil)
	}
	for id, r := range s.template.Resources {
		if r.Type == "AWS::Logs::LogGroup" {
			_ = s.call("logs", "Logs_20140328.DeleteLogGroup", map[string]any{"logGroupName": s.made[id].ref}, nil)
		}
	}
}

// writeMesh writes the environment's mesh with the simulator's clusters in it,
// and its mesh.json beside every bootstrap as `make build` does.
func (s *stage) writeMesh(t *testing.T) {
	t.Helper()
	files := maps.Clone(s.files)
	var m, apart map[string]any
	if err := errors.Join(yaml.Unmarshal(files["mesh.yaml"], &m), yaml.Unmarshal(files["apart.yaml"], &apart)); err != nil {
		t.Fatal(err)
	}
	s.clock.mu.Lock()
	m["clock"] = map[string]any{"epoch": s.clock.c.Epoch.Format(time.RFC3339), "rate": s.clock.c.Rate}
	s.clock.mu.Unlock()
	m["mesh"], m["policy"] = s.env.Mesh.Name, s.policy
	simulated := map[string]map[string]any{}
	for _, file := range []map[string]any{m, apart} {
		all, _ := file["clusters"].([]any)
		for _, x := range all {
			c := x.(map[string]any)
			simulated[fmt.Sprint(c["id"])] = c
		}
	}
	var clusters []any
	for _, of := range s.env.Mesh.Clusters {
		c, ok := simulated[string(of.ID)]
		if !ok {
			t.Fatalf("the simulator has no cluster %s", of.ID)
		}
		c["credentials"] = of.Credentials
		for key, name := range map[string]string{
			"writeCredentials": of.WriteCredentials, "platformCredentials": of.PlatformCredentials, "platformWriteCredentials": of.PlatformWriteCredentials,
		} {
			if c[key] = name; name == "" {
				delete(c, key)
			}
		}
		clusters = append(clusters, c)
	}
	m["clusters"] = clusters
	var err error
	if files["mesh.yaml"], err = yaml.Marshal(m); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read, err := meshfile.Load(filepath.Join(s.dir, "mesh.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.env.Mesh.Policy, read.Policy); diff != "" {
		t.Fatalf("the policy is not the environment's (-want +got):\n%s", diff)
	}
	var b bytes.Buffer
	if err := meshfile.WriteJSON(&b, read); err != nil {
		t.Fatal(err)
	}
	for _, path := range s.bin {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "mesh.json"), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// subscribe has a queue hear what an operator wants to hear: no repeats.
func (s *stage) subscribe(t *testing.T) {
	t.Helper()
	var err error
	if s.queue, err = s.createQueue("somebody-on-call", nil); err != nil {
		t.Fatal(err)
	}
	_, err = s.sns().Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: &s.topics[0], Protocol: ptr("sqs"), Endpoint: ptr(s.arn("sqs", "somebody-on-call")),
		Attributes: map[string]string{"RawMessageDelivery": "true", "FilterPolicy": `{"state":["raised","cleared"]}`},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ptr(s string) *string { return &s }

// accounts are the simulated clusters' accounts as they are now.
func (s *stage) accounts(t *testing.T) []secret.Entry {
	t.Helper()
	files, err := s.sim.Files(s.admin)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := secret.Entries(files["secrets.json"])
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// putSecret gives the secret of a cluster's account ("read", "platform") its
// present value, as the operator does.
func (s *stage) putSecret(t *testing.T, id mesh.ClusterID, account string) {
	t.Helper()
	entries, name := s.accounts(t), string(id)+"/"+account
	i := slices.IndexFunc(entries, func(e secret.Entry) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("the simulator has no account %s", name)
	}
	full := s.functions["peersync"].env[lambdahost.VarSecretPrefix] + name
	if !slices.Contains(s.secrets, full) {
		t.Fatalf("the template has no secret %s; it has %v", full, s.secrets)
	}
	err := s.call("secretsmanager", "secretsmanager.PutSecretValue", map[string]any{"SecretId": full, "SecretString": string(entries[i].Value), "ClientRequestToken": fmt.Sprintf("%032d", time.Now().UnixNano())}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// set posts to the simulator's admin URL.
func (s *stage) set(t *testing.T, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s %s: %s %s", path, body, resp.Status, text)
	}
}

// node is a cluster's "publisher" or "subscriber".
func (s *stage) node(id, role string) string {
	for _, h := range s.sim.Hosts() {
		if h.Cluster == id && h.Role == role {
			return h.Name
		}
	}
	return ""
}

// sandbox is a started function with what it printed.
type sandbox struct {
	*runtimeapi.Instance
	name string
	logs *buffer
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *buffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *buffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start starts a function with the template's environment and what Lambda adds
// to it.
func (s *stage) start(t *testing.T, name string) *sandbox {
	t.Helper()
	b, err := s.launch(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (s *stage) launch(name string) (*sandbox, error) {
	f := s.functions[name]
	env := s.credentials(f.name)
	env = append(env, "AWS_LAMBDA_LOG_LEVEL="+f.level)
	for variable, v := range f.env {
		env = append(env, variable+"="+v)
	}
	b := &sandbox{name: name, logs: &buffer{}}
	var err error
	b.Instance, err = runtimeapi.Start(runtimeapi.Function{Name: f.name, Bootstrap: s.bin[name], Env: env, Timeout: f.timeout, Stdout: b.logs, Stderr: b.logs})
	return b, err
}

// invocation has a function carry out what a person sends it, in a new sandbox, and
// answers as Lambda does.
func (s *stage) invocation(w http.ResponseWriter, r *http.Request, function string, payload []byte) {
	name := ""
	for n, f := range s.functions {
		if f.name == function {
			name = n
		}
	}
	if name == "" {
		http.Error(w, "Function not found: "+function, http.StatusNotFound)
		return
	}
	b, err := s.launch(name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer b.Close()
	s.invokedMu.Lock()
	s.invoked = append(s.invoked, b)
	s.invokedMu.Unlock()
	said, err := b.Invoke(context.WithoutCancel(r.Context()), payload) // it runs to its end whoever waits
	if err != nil {
		said = runtimeapi.Result{Failed: true, Payload: fmt.Appendf(nil, `{"errorType":"Runtime.ExitError","errorMessage":%q}`, err)}
	}
	if said.Failed {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
	}
	_, _ = w.Write(said.Payload)
}

// credentials are a role's, by the access key that the guard knows it by.
func (s *stage) credentials(key string) []string {
	return []string{"AWS_REGION=" + s.region, "AWS_ACCESS_KEY_ID=" + key, "AWS_SECRET_ACCESS_KEY=none", "AWS_ENDPOINT_URL=" + s.url}
}

// event is the schedule's own, with the time that EventBridge Scheduler puts in.
func (s *stage) event(t *testing.T, name string) []byte {
	t.Helper()
	input := s.functions[name].input
	if !strings.Contains(input, "<aws.scheduler.scheduled-time>") {
		t.Fatalf("the schedule of %s sends %q, without its scheduled time", name, input)
	}
	return stand.Event([]byte(input), s.clock.Now().Truncate(time.Second))
}

// send has a function handle one event.
func (b *sandbox) send(t *testing.T, event []byte) (run.Answer, error) {
	t.Helper()
	r, err := b.Invoke(t.Context(), event)
	if err != nil {
		return run.Answer{}, err
	}
	if r.Failed {
		return run.Answer{}, fmt.Errorf("%s: %s", b.name, r.Payload)
	}
	var a run.Answer
	if err := json.Unmarshal(r.Payload, &a); err != nil {
		t.Fatalf("%s answered %s", b.name, r.Payload)
	}
	return a, nil
}

// forward lets time pass: mesh.json tells the functions that start from now on.
func (s *stage) forward(t *testing.T, d time.Duration) {
	t.Helper()
	s.clock.forward(d)
	s.sim.Step(s.clock.Now())
	s.writeMesh(t)
}

// tick is one period of the schedules, each function that is due in a new
// sandbox. It gives stucksync's answer.
func (s *stage) tick(t *testing.T) run.Answer {
	t.Helper()
	s.forward(t, 5*time.Minute)
	s.look(t)
	if now := s.clock.Now(); now.Sub(s.checked) >= 15*time.Minute {
		s.checked = now
		b := s.start(t, "certcheck")
		a, err := b.send(t, s.event(t, "certcheck"))
		b.Close()
		if err != nil || a.Skipped != "" {
			t.Fatalf("%v %s\n%s", err, a.Skipped, b.logs)
		}
	}
	b := s.start(t, "stucksync")
	defer b.Close()
	a, err := b.send(t, s.event(t, "stucksync"))
	if err != nil || a.Skipped != "" {
		t.Fatalf("%v %s\n%s", err, a.Skipped, b.logs)
	}
	s.unlogged(t, b)
	return a
}

// healthy expects every peer to be well within three periods: a first look alone
// proves nothing.
func (s *stage) healthy(t *testing.T) {
	t.Helper()
	want := map[peer.State]int{peer.Healthy: len(s.env.Mesh.Peers)}
	var got run.Answer
	for range 3 {
		got = s.tick(t)
		delete(got.Peers, peer.Terminated) // of clusters that have left
		if cmp.Equal(want, got.Peers) {
			return
		}
	}
	t.Fatalf("the peers are %v, want %v", got.Peers, want)
}

func (s *stage) look(t *testing.T) run.Answer {
	t.Helper()
	b := s.start(t, "peersync")
	defer b.Close()
	a, err := b.send(t, s.event(t, "peersync"))
	if err != nil || a.Skipped != "" {
		t.Fatalf("%v %s\n%s", err, a.Skipped, b.logs)
	}
	return a
}

// check has certcheck look at every certificate, in a new sandbox, as a person
// would: whether it is due or not.
func (s *stage) check(t *testing.T) {
	t.Helper()
	b := s.start(t, "certcheck")
	defer b.Close()
	a, err := b.send(t, fmt.Appendf(nil, `{"mesh":%q,"function":"certcheck"}`, s.env.Mesh.Name))
	if err != nil || a.Skipped != "" || a.Clusters.Observed != len(s.env.Mesh.Clusters) {
		t.Fatalf("%+v %v\n%s", a, err, b.logs)
	}
	s.unlogged(t, b)
}

// unlogged expects that a sandbox printed no password.
func (s *stage) unlogged(t *testing.T, b *sandbox) {
	t.Helper()
	for _, e := range s.accounts(t) {
		var account struct{ Password string }
		if err := json.Unmarshal(e.Value, &account); err != nil || account.Password == "" {
			t.Fatalf("the account %s has no password: %v", e.Name, err)
		}
		if strings.Contains(b.logs.String(), account.Password) {
			t.Errorf("%s logged the password of %s", b.name, e.Name)
		}
	}
}

// message is a notice as it came out of the queue.
type message struct {
	Alarm, About, State, Fingerprint, Transition string
	text                                         string
}

func (m message) String() string { return m.Alarm + " " + m.About + " " + m.State }

// receive takes what has arrived in the operator's queue.
func (s *stage) receive(t *testing.T) []message {
	t.Helper()
	all := []message{}
	for {
		var got struct {
			Messages []struct {
				Body, ReceiptHandle string
				MessageAttributes   map[string]struct{ StringValue string }
			}
		}
		if err := s.call("sqs", "AmazonSQS.ReceiveMessage", map[string]any{"QueueUrl": s.queue, "MaxNumberOfMessages": 10, "MessageAttributeNames": []string{"All"}}, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			return all
		}
		for _, m := range got.Messages {
			attr := func(name string) string { return m.MessageAttributes[name].StringValue }
			var n alarm.Notice
			if err := json.Unmarshal([]byte(m.Body[strings.LastIndexByte(m.Body, '\n')+1:]), &n); err != nil {
				t.Errorf("the last line of %q: %v", m.Body, err)
			}
			if attr("alarm") != n.Name || attr("fingerprint") != n.Fingerprint || attr("transition") != fmt.Sprint(n.Transition) || attr("mesh") != s.env.Mesh.Name {
				t.Errorf("the attributes %v differ from %+v", m.MessageAttributes, n)
			}
			all = append(all, message{attr("alarm"), attr("cluster") + attr("peer"), attr("state"), attr("fingerprint"), attr("transition"), n.Message})
			if err := s.call("sqs", "AmazonSQS.DeleteMessage", map[string]any{"QueueUrl": s.queue, "ReceiptHandle": m.ReceiptHandle}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// command is the built command: it reads mesh.yaml, which no Lambda does.
func command(t *testing.T) string {
	t.Helper()
	return program(t, "./functions/peerkeeper", func(ctx context.Context, dir, pkg string) (string, error) {
		path := filepath.Join(dir, "peerkeeper")
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, pkg)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building the command: %w\n%s", err, out)
		}
		return path, nil
	})
}

// status asks the command how the mesh is.
func (s *stage) status(t *testing.T) (code int, st status) {
	t.Helper()
	return s.ask(t, reader, &st, "status"), st
}

// trust asks the command who trusts whose tomcat certificate.
func (s *stage) trust(t *testing.T) (code int, out trust) {
	t.Helper()
	var answer struct {
		Trust struct {
			Clusters []string
			Rows     []struct {
				Node, Fingerprint string
				Cells             []struct{ Verdict string }
			}
		}
	}
	code = s.ask(t, reader, &answer, "check", "certs", "--trust")
	out = trust{map[string]string{}, map[string]string{}}
	for _, r := range answer.Trust.Rows {
		out.prints[r.Node] = r.Fingerprint
		for i, id := range answer.Trust.Clusters {
			if v := r.Cells[i].Verdict; v != "" {
				out.verdicts[r.Node+" by "+id] = v
			}
		}
	}
	return code, out
}

// trust is what the clusters' stores say of each node's certificate.
type trust struct {
	verdicts map[string]string // by "NODE by CLUSTER"
	prints   map[string]string // fingerprints by node
}

// Those who use the command with --table, by the ids of their policies.
const reader, anOperator = "Reader", "Operator"

// ask runs the command as somebody who has that policy alone.
func (s *stage) ask(t *testing.T, person string, answer any, args ...string) (code int) {
	t.Helper()
	return s.give(t, person, "", answer, args...)
}

// give is ask with something on stdin.
func (s *stage) give(t *testing.T, person, input string, answer any, args ...string) (code int) {
	t.Helper()
	code, out, complaint := s.say(t, person, input, args...)
	if code > 1 {
		t.Fatalf("exit %d: %s", code, complaint)
	}
	if err := json.Unmarshal(out, answer); err != nil {
		t.Fatalf("%v in %s\n%s", err, out, complaint)
	}
	return code
}

// say is give for what may fail.
func (s *stage) say(t *testing.T, person, input string, args ...string) (code int, out []byte, complaint string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command(t), append(args, "--mesh", filepath.Join(s.desk, "mesh.yaml"), "--table", s.tables[0], "--json")...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(s.credentials(s.people[person]), "HOME="+s.desk, "PATH=/usr/bin:/bin")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Error(err)
	}
	return cmd.ProcessState.ExitCode(), out, stderr.String()
}

type status struct {
	Mesh    string
	LastRun map[string]time.Time
	Peers   []struct{ ID, State string }
	Alarms  []struct{ Name, State, Cluster, Peer string }
}

func (s status) peers() map[string]string {
	out := map[string]string{}
	for _, p := range s.Peers {
		out[p.ID] = p.State
	}
	return out
}
