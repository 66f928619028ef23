package lambdahost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/metric"
	"peerkeeper/shared/run"
)

func meshJSON(t *testing.T) string {
	t.Helper()
	m, err := meshfile.Load("../../testdata/meshes/one-cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := meshfile.WriteJSON(&b, m); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mesh.json")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func whole(t *testing.T) map[string]string {
	return map[string]string{
		VarTable: "peerkeeper", VarTopic: "arn:aws:sns:eu-central-1:111122223333:alarms", VarMesh: meshJSON(t), VarSecretPrefix: "",
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c",
	}
}

func in(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

func TestEnvironment(t *testing.T) {
	base := whole(t)
	for _, c := range []struct {
		name    string
		without []string
		with    map[string]string
		missing []string // nil = starts
		says    string
	}{
		{name: "all there, the prefix empty on purpose"},
		{name: "everything missing is said at once", without: []string{VarTable, VarTopic, VarSecretPrefix, "AWS_REGION", "AWS_ACCESS_KEY_ID"},
			missing: []string{VarTable, "AWS_REGION", "AWS_ACCESS_KEY_ID", VarSecretPrefix, VarTopic}},
		{name: "an empty table is none", with: map[string]string{VarTable: ""}, missing: []string{VarTable}},
		{name: "the other name of the region", without: []string{"AWS_REGION"}, with: map[string]string{"AWS_DEFAULT_REGION": "eu-west-1"}},
		{name: "no mesh file, besides what is missing", without: []string{VarTable}, with: map[string]string{VarMesh: "/nowhere/mesh.json"},
			missing: []string{VarTable}, says: "/nowhere/mesh.json"},
		{name: "an endpoint that is none", with: map[string]string{"AWS_ENDPOINT_URL_SNS": "localhost:5000"}, says: "SNS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := maps.Clone(base)
			for _, name := range c.without {
				delete(env, name)
			}
			maps.Copy(env, c.with)
			f, err := newFunction("peersync", in(env), &bytes.Buffer{}, &bytes.Buffer{}, Secrets, Topic)
			if c.missing == nil && c.says == "" {
				if err != nil || f.Store.Table() != "peerkeeper" {
					t.Errorf("%v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("it starts")
			}
			missing, _ := errors.AsType[*MissingError](err)
			if missing == nil {
				missing = &MissingError{}
			}
			if diff := cmp.Diff(c.missing, missing.Names); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q does not say %q", err, c.says)
			}
		})
	}
}

// Who may act needs the write accounts; in mode observe nobody asks for them.
func TestWriteSecretsAreNeededInModeRecoverOnly(t *testing.T) {
	for mode, needed := range map[mesh.Mode]bool{mesh.Observe: false, mesh.Recover: true} {
		env := whole(t)
		delete(env, VarSecretPrefix)
		m, err := meshfile.LoadJSON(env[VarMesh])
		if err != nil {
			t.Fatal(err)
		}
		m.Policy.Mode = mode
		for i := range m.Clusters {
			m.Clusters[i].WriteCredentials = "emea/write"
		}
		var b bytes.Buffer
		if err := meshfile.WriteJSON(&b, m); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(env[VarMesh], b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := newFunction("stucksync", in(env), &bytes.Buffer{}, &bytes.Buffer{}, Topic, WriteSecrets)
		if missing, _ := errors.AsType[*MissingError](err); (missing != nil) != needed {
			t.Errorf("%s: %v", mode, err)
		}
		if err == nil && f.Acts() {
			t.Errorf("%s: it acts without secrets", mode)
		}
	}
}

// Who looks at trust stores needs secrets where a cluster names a platform
// account, and nowhere else.
func TestPlatformSecretsAreNeededWhereTheMeshNamesThem(t *testing.T) {
	for name, c := range map[string]struct {
		secret, prefix string
		missing        bool
	}{
		"no cluster names one":                  {},
		"a cluster names one":                   {secret: "emea/platform", prefix: "peerkeeper/dev/"},
		"a cluster names one, without a prefix": {secret: "emea/platform", missing: true},
	} {
		t.Run(name, func(t *testing.T) {
			env := whole(t)
			delete(env, VarSecretPrefix)
			if c.prefix != "" {
				env[VarSecretPrefix] = c.prefix
			}
			m, err := meshfile.LoadJSON(env[VarMesh])
			if err != nil {
				t.Fatal(err)
			}
			cl := &m.Clusters[len(m.Clusters)-1]
			cl.PlatformCredentials = c.secret
			for i := range cl.Nodes {
				if c.secret != "" { // as mesh.yaml's reader fills it in
					cl.Nodes[i].PlatformAddress = string(cl.Nodes[i].Name) + ":443"
				}
			}
			var b bytes.Buffer
			if err := meshfile.WriteJSON(&b, m); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(env[VarMesh], b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := newFunction("certcheck", in(env), &bytes.Buffer{}, &bytes.Buffer{}, PlatformSecrets)
			missing, _ := errors.AsType[*MissingError](err)
			if (missing != nil) != c.missing || (err != nil) != c.missing || missing != nil && !cmp.Equal(missing.Names, []string{VarSecretPrefix}) {
				t.Fatalf("%v", err)
			}
			if err == nil && (f.ReadsPlatform() != (c.secret != "") || f.SecretPrefix != c.prefix) {
				t.Errorf("reads the platform: %v, prefix %q", f.ReadsPlatform(), f.SecretPrefix)
			}
		})
	}
}

func TestASimulatedMeshHasItsOwnClock(t *testing.T) {
	f, err := newFunction("peersync", in(whole(t)), &bytes.Buffer{}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(f.Now()); d > time.Minute || d < -time.Minute {
		t.Errorf("a real mesh is %s off", d)
	}
	f.Mesh.Simulated, f.Mesh.Clock = true, &mesh.Clock{Epoch: time.Now().Add(-time.Hour), Rate: 120}
	if ahead := time.Until(f.Now()); ahead < 118*time.Hour || ahead > 121*time.Hour {
		t.Errorf("the simulated clock is %s ahead, want 119 h", ahead)
	}
}

func TestEvents(t *testing.T) {
	var logs, metrics bytes.Buffer
	f, err := newFunction("peersync", in(whole(t)), &logs, &metrics)
	if err != nil {
		t.Fatal(err)
	}
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "run-1"})
	for _, c := range []struct {
		name, event string
		want        *run.Request // nil = refused
	}{
		{"nothing at all is a run now", `{}`, &run.Request{}},
		{"whole", `{"mesh":"m","function":"peersync","scheduledTime":"2026-03-01T12:00:00Z","only":["emea"],"dryRun":true}`,
			&run.Request{Mesh: "m", Function: "peersync", ScheduledTime: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Only: []mesh.ClusterID{"emea"}, DryRun: true}},
		{"a misspelled dryRun must not be a real run", `{"dryRunn":true}`, nil},
		{"for another function", `{"function":"stucksync"}`, nil},
		{"a time that the Scheduler did not fill in", `{"scheduledTime":"<aws.scheduler.scheduled-time>"}`, nil},
		{"not an object", `"peersync"`, nil},
		{"null is no run", `null`, nil},
		{"a list", `[]`, nil},
		{"a list of requests", `[{}]`, nil},
		{"a number", `1`, nil},
		{"a truth value", `true`, nil},
		{"nothing", ``, nil},
		{"blanks", " \n", nil},
		{"text after the object", `{"dryRun":false} and more`, nil},
		{"a second object", `{"dryRun":true}{}`, nil},
		{"a brace too many", `{}}`, nil},
		{"cut off", `{"dryRun":tru`, nil},
		{"dryRun twice", `{"dryRun":true,"dryRun":false}`, nil},
		{"dryRun in capitals", `{"DRYRUN":true}`, nil},
		{"dryRun twice, once in capitals", `{"dryRun":true,"DRYRUN":false}`, nil},
		{"dryRun without a value", `{"dryRun":null}`, nil},
		{"a time without a value", `{"scheduledTime":null}`, nil},
		{"dryRun in words", `{"dryRun":"true"}`, nil},
		{"EventBridge's own event", `{"version":"0","id":"1","detail-type":"Scheduled Event","source":"aws.scheduler"}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got *run.Request
			_, err := Handler(f, func(_ context.Context, r run.Request) (run.Answer, error) {
				got = &r
				return run.Answer{Mesh: "m", Function: "peersync"}, nil
			}).Invoke(ctx, []byte(c.event))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			if _, refused := errors.AsType[*EventError](err); refused != (c.want == nil) {
				t.Errorf("error %v", err)
			}
		})
	}
	if !strings.Contains(logs.String(), `"runId":"run-1"`) || !strings.Contains(logs.String(), `"timestamp":`) {
		t.Errorf("logs\n%s", logs.String())
	}
	if n := strings.Count(metrics.String(), "\n"); n != 1 { // the dry run and the refused have none
		t.Errorf("%d lines of metrics:\n%s", n, metrics.String())
	}
}

func TestAFailedRunIsCountedAndReturned(t *testing.T) {
	var logs, metrics bytes.Buffer
	f, err := newFunction("peersync", in(whole(t)), &logs, &metrics)
	if err != nil {
		t.Fatal(err)
	}
	sent := int64(40)
	f.Requests = func() int64 { return sent }
	broken := errors.New("the table is gone")
	_, err = Handler(f, func(context.Context, run.Request) (run.Answer, error) {
		sent += 7
		return run.Answer{}, broken
	}).Invoke(t.Context(), []byte(`{}`))
	if !errors.Is(err, broken) {
		t.Errorf("returned %v", err)
	}
	for _, part := range []string{`"RunCompleted":0`, `"Requests":7`, `"function":"peersync"`, `"mesh":"` + f.Mesh.Name + `"`} {
		if !strings.Contains(metrics.String(), part) {
			t.Errorf("no %s in %s", part, metrics.String())
		}
	}
	if !strings.Contains(logs.String(), "the table is gone") {
		t.Errorf("logs\n%s", logs.String())
	}
}

// The sample events are what infra gives EventBridge Scheduler.
// TestTextAfterAnEventIsRefused as lambda.Start passes it on.
func TestTextAfterAnEventIsRefused(t *testing.T) {
	var logs, metrics bytes.Buffer
	f, err := newFunction("peersync", in(whole(t)), &logs, &metrics)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	h := lambda.NewHandler(Handler(f, func(context.Context, run.Request) (run.Answer, error) {
		ran++
		return run.Answer{Mesh: "m", Function: "peersync"}, nil
	}))
	for event, runs := range map[string]bool{`{}`: true, `{} {}`: false, `{"dryRun":false} oops`: false, `null`: false, "{}\n": true} {
		before := ran
		answer, err := h.Invoke(t.Context(), []byte(event))
		if (err == nil) != runs || (ran > before) != runs {
			t.Errorf("%q: ran %v, %v", event, ran > before, err)
		}
		if runs && !strings.Contains(string(answer), `"function":"peersync"`) {
			t.Errorf("%q: answer %s", event, answer)
		}
	}
}

func FuzzEvent(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `{"mesh":"m","function":"peersync","scheduledTime":"2026-03-01T12:00:00Z","only":["emea"],"dryRun":true}`, `{"dryRun":true}{}`, `[]`, `{"dryRun":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		var req run.Request
		err := read(event, &req)
		var whole map[string]json.RawMessage
		if err == nil && (json.Unmarshal(event, &whole) != nil || whole == nil) {
			t.Errorf("%q is taken for a request", event)
		}
		var lenient run.Request
		if err == nil && (json.Unmarshal(event, &lenient) != nil || !cmp.Equal(req, lenient)) {
			t.Errorf("%q is read as %+v, and by encoding/json as %+v", event, req, lenient)
		}
	})
}

func TestSampleEvents(t *testing.T) {
	files, err := filepath.Glob("../../events/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if _, scheduled := run.Find(name); !scheduled {
			continue // other functions have tests of their own
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "<aws.scheduler.scheduled-time>", "2026-03-01T12:00:00Z")
		var req run.Request
		if err := errors.Join(read([]byte(text), &req), req.Check(name)); err != nil || req.Function != name || req.Mesh == "" || req.ScheduledTime.IsZero() || req.DryRun {
			t.Errorf("%s: %+v %v", path, req, err)
		}
	}
	for _, s := range run.Schedules() {
		if _, err := os.Stat("../../events/" + s.Function + ".json"); err != nil {
			t.Error(err)
		}
	}
}

// published is an event of another kind, as another service might send it.
type published struct {
	Source string    `json:"source"`
	At     time.Time `json:"at"`
	Detail detail    `json:"detail"`
}

type detail struct {
	Nodes []struct {
		Name string `json:"name"`
		Port int    `json:"port"`
	} `json:"nodes"`
	Labels map[string]bool `json:"labels"`
	Reason *string         `json:"reason"`
	Whole  json.RawMessage `json:"whole"`
}

func (p published) Check(string) error {
	if p.Source == "" {
		return errors.New("it has no source")
	}
	return nil
}

func (published) Dry() bool { return false }

// delivered is an answer of another kind.
type delivered struct {
	Sent int `json:"sent"`
}

func (d delivered) Summary() run.Summary {
	return run.Summary{Log: []slog.Attr{slog.Int("sent", d.Sent)}, Counts: []metric.Value{{Name: "Sent", Unit: metric.Count, Value: float64(d.Sent)}}}
}

// TestAFunctionOfAnotherKind has an event and an answer of its own, and is served
// with answer, log, metrics and errors like the others.
func TestAFunctionOfAnotherKind(t *testing.T) {
	const well = `{"source":"sns","at":"2026-03-01T12:00:00Z","detail":{"nodes":[{"name":"a","port":5061},{"name":"b"}],"labels":{"x":true},"whole":{"any":["thing",null]}}}`
	for _, c := range []struct {
		name, event string
		fails       error
		says        string // the error; "" = served
	}{
		{"served", well, nil, ""},
		{"a key deep inside that is not known", `{"source":"sns","detail":{"nodes":[{"name":"a"},{"nmae":"b"}]}}`, nil, "detail.nodes[1].nmae is no key that is known"},
		{"a value of the wrong kind", `{"source":"sns","detail":{"nodes":[{"port":"5061"}]}}`, nil, "detail.nodes[0].port is text; want a number"},
		{"a number with a fraction", `{"source":"sns","detail":{"nodes":[{"port":50.61}]}}`, nil, "detail.nodes[0].port cannot be taken"},
		{"an object for a list", `{"source":"sns","detail":{"nodes":{"name":"a"}}}`, nil, "detail.nodes is a JSON object; want a list"},
		{"a key that stands twice", `{"source":"sns","detail":{"labels":{"x":true,"x":false}}}`, nil, "detail.labels.x stands there twice"},
		{"no value", `{"source":"sns","detail":{"reason":null}}`, nil, "detail.reason is null"},
		{"no time", `{"source":"sns","at":"noon"}`, nil, "at cannot be taken: parsing time"},
		{"what its own check refuses", `{}`, nil, "it has no source"},
		{"a list", `[]`, nil, "it is a list; want a JSON object"},
		{"the run fails", well, errors.New("the receiver is gone"), "the receiver is gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var logs, metrics bytes.Buffer
			f, err := newFunction("delivery", in(whole(t)), &logs, &metrics)
			if err != nil {
				t.Fatal(err)
			}
			ran := false
			got, err := lambda.NewHandler(Handler(f, func(_ context.Context, p published) (delivered, error) {
				ran = true
				return delivered{len(p.Detail.Nodes)}, c.fails
			})).Invoke(t.Context(), []byte(c.event))
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(logs.String(), c.says)) {
				t.Errorf("error %v, want %q, in the log too:\n%s", err, c.says, logs.String())
			}
			if _, refused := errors.AsType[*EventError](err); refused == ran {
				t.Errorf("ran %v, and the event is refused %v", ran, refused)
			}
			want := map[bool]string{true: `"RunCompleted":1`, false: `"RunCompleted":0`}[c.says == ""]
			if ran && (!strings.Contains(metrics.String(), want) || !strings.Contains(metrics.String(), `"function":"delivery"`)) || !ran && metrics.Len() > 0 {
				t.Errorf("metrics %s", metrics.String())
			}
			if c.says == "" && (err != nil || string(got) != "{\"sent\":2}\n" || !strings.Contains(logs.String(), `"msg":"run completed"`) || !strings.Contains(logs.String(), `"sent":2`) || !strings.Contains(metrics.String(), `"Sent":2`)) {
				t.Errorf("answer %s, %v, log %s, metrics %s", got, err, logs.String(), metrics.String())
			}
		})
	}
}
