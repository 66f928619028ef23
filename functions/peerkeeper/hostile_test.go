package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/alarm/sns"
	"peerkeeper/shared/alarm/webhook"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/demo"
	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret/file"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/bolt"
)

// Whatever one cluster sends, every word of Peerkeeper is clean and short, and
// no other cluster's record, alarm or run is the worse for it. Everything is as
// it runs: the simulator's sockets, the functions, the state file, every sink,
// the page, and the command as people call it.

// Marks by which a value is known wherever it comes out.
const (
	forgedStep = "Next step: call +1 555 0100"
	turned     = "x\u202e\u2066\u200f\u200b\u2028\u2029\u3164\ufeff\u0085\U000e0041" + forgedStep
	markup     = `<hostile-element onload=x>"' onmouseover='hostile`
)

// spoilt are the fields of a cluster's answers that are replaced, by the names
// that the simulator gives them.
var spoilt = [...]string{"sync_status", "version", "service", "reason", "address", "protocol", "last_error", "node", "user"}

// long is a value of half a megabyte, of lines that each look like ours.
var long = strings.Repeat("x\n"+forgedStep+" ", 16_000)

const forever = -1 // until faults are deleted

// Every field that a cluster fills and that has a bound is replaced here, or has
// a reason not to be.
func TestEveryFieldThatAClusterFillsIsTriedWithHostileValues(t *testing.T) {
	elsewhere := map[string]string{
		"status":    "one of five words of the WSDL: any other is refused where it is read",
		"parameter": "its names are ours; its values are numbers or T and F",
		"peer":      "the number of entries: the case of 20,000 peers",
		"detail":    "what went wrong: the case of a page of an error",
		"log":       "of an alarm in its log: the cases of a hostile log, where logs are read",
		"remark":    "Control Center's words on a service: the field reason",
	}
	for _, b := range cluster.Bounds() {
		if !slices.Contains(spoilt[:], b.Name) && elsewhere[b.Name] == "" {
			t.Errorf("%s (%s) can be filled by a cluster, and no hostile value is tried in it", b.Field, b.Name)
		}
	}
	sim := besiege(t).sim
	for _, field := range spoilt {
		if err := sim.AddFault(clustersim.Fault{Cluster: "apac", Kind: clustersim.FaultField, Field: field, Value: "x"}); err != nil {
			t.Errorf("the simulator cannot stage %s: %v", field, err)
		}
	}
	err := sim.AddFault(clustersim.Fault{Cluster: "apac", Kind: clustersim.FaultField, Field: "?", Value: "x"})
	if err == nil {
		t.Fatal("the simulator takes any field")
	}
	_, list, _ := strings.Cut(err.Error(), "none of ")
	for field := range strings.SplitSeq(list, ", ") {
		if !slices.Contains(spoilt[:], field) {
			t.Errorf("the simulator stages %s, and no hostile value is tried in it", field)
		}
	}
}

// topic takes what is published, and keeps it.
type topic struct{ got []*api.PublishInput }

func (t *topic) Publish(_ context.Context, in *api.PublishInput, _ ...func(*api.Options)) (*api.PublishOutput, error) {
	t.got = append(t.got, in)
	return &api.PublishOutput{MessageId: aws.String("1")}, nil
}

// besieged is a mesh of which one cluster, apac, sends what no cluster should.
type besieged struct {
	t     *testing.T
	dir   string
	sim   *clustersim.Sim
	clock *demo.Stepped
	host  *host.Host
	state *bolt.Store

	mu     sync.Mutex
	bodies []string // that the web hook got
	topic  topic
	screen bytes.Buffer
	log    bytes.Buffer
}

// eightHours of simulated time end about now, where the verbs go on.
const siege = 8 * time.Hour

func besiege(t *testing.T) *besieged {
	t.Helper()
	b := &besieged{t: t, dir: t.TempDir(), clock: demo.NewStepped(time.Now().UTC().Add(-siege).Truncate(time.Second))}
	sim, err := clustersim.New(clustersim.Config{Clusters: 3, Users: 20, Seed: 1, Clock: b.clock, Epoch: b.clock.Now().Add(siege)})
	if err != nil {
		t.Fatal(err)
	}
	b.sim = sim
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(sim.Start(), demo.WriteFiles(sim, "", b.dir)); err != nil {
		t.Fatal(err)
	}
	m, err := meshfile.Load(filepath.Join(b.dir, "mesh.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if b.state, err = bolt.Open(filepath.Join(b.dir, "state.db")); err != nil {
		t.Fatal(err)
	}
	b.state.Now = b.clock.Now
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.bodies = append(b.bodies, string(body))
	}))
	t.Cleanup(receiver.Close)
	hook, err := webhook.New(receiver.URL, webhook.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hook.Close)
	b.host = &host.Host{
		Mesh: m, Store: b.state, Secrets: &file.Source{Path: filepath.Join(b.dir, "secrets.json"), Salt: []byte("0123456789abcdef")}, Clock: b.clock,
		Sinks: []alarm.Sink{
			&alarm.Lines{Path: filepath.Join(b.dir, "alarms.jsonl")}, &alarm.Writer{W: &b.screen, Now: b.clock.Now},
			hook, &sns.Sink{API: &b.topic, Topic: "arn:aws:sns:eu-central-1:111122223333:alarms"},
		},
		Log:     slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: plain.LogAttr})),
		Timeout: time.Minute, Backoff: time.Millisecond, DNSTimeout: time.Minute,
	}
	return b
}

func (b *besieged) post(path string, body any) {
	b.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.sim.Do(http.MethodPost, path, text); err != nil {
		b.t.Fatalf("POST %s %.200s: %v", path, text, err)
	}
}

// look has time pass and every function look once. A run that fails is what
// must not be, whatever was sent.
func (b *besieged) look(after time.Duration, functions ...string) {
	b.t.Helper()
	b.clock.Set(b.clock.Now().Add(after))
	b.sim.Step(b.clock.Now())
	for _, f := range functions {
		a, err := b.host.Handle(b.t.Context(), run.Request{Function: f})
		if err != nil {
			b.t.Errorf("%s fails: %.500v", f, err)
		}
		if a.Skipped != "" {
			b.t.Errorf("%s is skipped: %s", f, a.Skipped)
		}
	}
}

// spoil replaces every field of apac's answers for good, and gives values that
// only people can give: user IDs at home elsewhere, names in a certificate.
func (b *besieged) spoil(value string) {
	b.t.Helper()
	for _, field := range spoilt {
		b.post("/faults", map[string]any{"cluster": "apac", "kind": "field", "field": field, "value": value, "times": forever})
	}
	userID, name := shortly(value), ascii(shortly(value)) // a SAN is ASCII by its own rules
	b.post("/clusters/emea/peers", map[string]any{"peer": "amer", "mode": "deaf"})
	for i := range 12 {
		b.post("/clusters/amer/users", map[string]any{"duplicate": fmt.Sprintf("u%02d%s", i, userID)})
	}
	b.post("/clusters/apac/certificates", map[string]any{"node": "imp-apac-pub.example.com", "keyType": "RSA", "sans": []string{"imp-apac-pub.example.com", name, name + "2"}})
}

// shortly is no more of a value than a user ID may have.
func shortly(value string) string { return value[:min(len(value), 90)] }

func ascii(value string) string {
	return strings.Map(func(r rune) rune {
		if r > 0x7f {
			return -1
		}
		return r
	}, value)
}

// clean checks one line of text.
func (b *besieged) clean(where, line string) {
	b.t.Helper()
	if !plain.Clean(line) {
		b.t.Errorf("%s is not clean: %.300q", where, line)
	}
	if strings.HasPrefix(strings.TrimSpace(line), forgedStep) {
		b.t.Errorf("%s has a next step that is not ours: %.300q", where, line)
	}
}

// text checks text of our own lines.
func (b *besieged) text(where, text string) {
	b.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		b.clean(where, strings.ReplaceAll(line, "\t", " "))
	}
}

// messageKeys are the keys of JSON whose values are words for people. Everything else
// is a value, which stands as it was read, escaped.
var messageKeys = []string{"message", "why", "approval", "interrupts", "fix", "do", "on", "evidence", "refused", "what", "reason", "detail", "change", "remarks"}

// json checks JSON: as bytes, and every message in it.
func (b *besieged) json(where, text string) {
	b.t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		b.t.Errorf("%s is no JSON: %v: %.300s", where, err, text)
		return
	}
	b.text(where, text)
	b.words(where, "", v)
}

func (b *besieged) words(where, key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			b.words(where+"."+k, k, x)
		}
	case []any:
		for _, x := range v {
			b.words(where, key, x)
		}
	case string:
		if !slices.Contains(messageKeys, key) {
			return
		}
		if key == "message" && strings.Contains(v, forgedStep) {
			b.t.Errorf("%s has a next step that is not ours: %.300q", where, v)
		}
		for line := range strings.SplitSeq(v, "\n") {
			b.clean(where, line)
		}
		if len(v) > alarm.MaxMessage {
			b.t.Errorf("%s has %d bytes", where, len(v))
		}
	}
}

// heard checks what every sink got.
func (b *besieged) heard() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.bodies) == 0 {
		b.t.Error("no alarm was sent, so nothing was proved of alarms")
	}
	for _, body := range b.bodies {
		b.json("the web hook's body", body)
		if len(body) > 32<<10 {
			b.t.Errorf("a notice of %d bytes", len(body))
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(readFile(b.t, filepath.Join(b.dir, "alarms.jsonl"))), "\n") {
		b.json("the file of alarms", line)
	}
	b.text("the screen", b.screen.String())
	for _, in := range b.topic.got {
		if strings.ContainsFunc(*in.Subject, func(r rune) bool { return r < ' ' || r > '~' }) || len(*in.Subject) > 99 {
			b.t.Errorf("SNS subject %q", *in.Subject)
		}
		b.text("the SNS message", *in.Message)
		if len(*in.Message) > 64<<10 {
			b.t.Errorf("an SNS message of %d bytes", len(*in.Message))
		}
		for name, v := range in.MessageAttributes {
			b.clean("SNS attribute "+name, *v.StringValue)
		}
	}
	b.text("the log", b.log.String())
}

// items checks what is stored.
func (b *besieged) items() {
	b.t.Helper()
	items, err := b.state.Load(b.t.Context(), store.Live(b.host.Mesh.Name), "")
	if err != nil {
		b.t.Fatal(err)
	}
	largest := ""
	size := 0
	for _, it := range items {
		if len(it.Body) > size {
			largest, size = it.SK, len(it.Body)
		}
		if strings.HasPrefix(it.SK, store.PrefixAlarm) && len(it.Body) > 100<<10 {
			b.t.Errorf("%s has %d bytes", it.SK, len(it.Body))
		}
	}
	if size > 250<<10 {
		b.t.Errorf("%s has %d bytes of the 400 KB that an item may have", largest, size)
	}
	b.t.Logf("%d items, the largest %s of %d bytes", len(items), largest, size)
}

var tagName = regexp.MustCompile(`<[a-zA-Z][-a-zA-Z0-9]*`)

// page checks the page as a browser gets it, and its JSON.
func (b *besieged) page() {
	b.t.Helper()
	page := &dashboard.Page{Source: dashboard.Source{Store: b.state, Mesh: b.host.Mesh}, Now: b.clock.Now, Hosts: []string{"page.example"}}
	server := httptest.NewServer(page.Handler())
	defer server.Close()
	paths := []string{"/", "/api/status.json", "/api/trust.json"}
	for _, p := range b.host.Mesh.Peers {
		paths = append(paths, "/peer/"+url.PathEscape(p.ID.String()), "/api/explain/"+string(p.ID.From)+":"+string(p.ID.To)+".json")
	}
	for _, path := range paths {
		code, body, err := get(b.t.Context(), server.URL+path, "page.example")
		if err != nil || code != http.StatusOK && !strings.HasPrefix(path, "/api/explain") {
			b.t.Errorf("%s: %d %v", path, code, err)
			continue
		}
		if strings.HasPrefix(path, "/api") {
			if code == http.StatusOK {
				b.json(path, body)
			}
			continue
		}
		b.text(path, body)
		for _, tag := range tagName.FindAllString(body, -1) {
			if strings.Contains(tag, "hostile") {
				b.t.Errorf("%s: a cluster's value is an element: %s", path, tag)
			}
		}
		if strings.Contains(body, `"' onmouseover=`) {
			b.t.Errorf("%s: a cluster's quotes end an attribute", path)
		}
	}
}

// verbs calls every verb that says what clusters sent.
func (b *besieged) verbs(value string) {
	b.t.Helper()
	lines := [][]string{
		{"status"}, {"matrix"}, {"plan"}, {"plan", "--would-have", "7d"}, {"history"}, {"probe"},
		{"check", "certs"}, {"check", "certs", "--trust"}, {"status", "-v"}, {"probe", "-v"},
	}
	for _, p := range b.host.Mesh.Peers {
		lines = append(lines, []string{"explain", string(p.ID.From) + ":" + string(p.ID.To)})
	}
	if !strings.ContainsRune(value, 0) { // no argument of a command can hold it
		lines = append(lines, []string{"user", "u00" + shortly(value)})
	}
	for _, args := range lines {
		for _, asJSON := range []bool{false, true} {
			where := "peerkeeper " + args[0]
			if asJSON {
				args, where = append(slices.Clone(args), "--json"), where+" --json"
			}
			out, errs, code := run1(b.t, b.dir, args...)
			if code > 2 || strings.Contains(errs, "goroutine ") {
				b.t.Errorf("%s: exit %d: %.500s", where, code, errs)
			}
			b.text(where+" on stderr", errs)
			switch {
			case code == 2: // refused, such as a user ID that no cluster can hold
			case asJSON:
				b.json(where, out)
			default:
				b.text(where, out)
			}
		}
	}
	for i, p := range b.host.Mesh.Peers {
		name := filepath.Join(b.dir, fmt.Sprintf("case-%d.zip", i))
		must(b.t, 0, b.dir, "evidence", string(p.ID.From)+":"+string(p.ID.To), "--out", name)
		z, err := zip.OpenReader(name)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				b.t.Fatal(err)
			}
			body, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil {
				b.t.Fatal(err)
			}
			if strings.HasSuffix(f.Name, ".json") {
				b.json("evidence "+f.Name, string(body))
			} else {
				b.text("evidence "+f.Name, string(body))
			}
		}
		if err := z.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestWhateverAClusterSendsNothingElseIsSpoiltAndEveryWordIsClean(t *testing.T) {
	fields := func(value string) func(*besieged) { return func(b *besieged) { b.spoil(value) } }
	words := "x\n" + forgedStep + "\r\n" + markup + "`\\;=cmd|' /C calc'!A0"
	for _, c := range []struct {
		name, value string
		spoil       func(*besieged)
		// findings on apac that show that the value came as far as that.
		findings []peer.Reason
	}{
		{"words and markup", words, fields(words),
			[]peer.Reason{peer.SyncAgentNotCompleted, peer.UnlistedNode, peer.UnlistedPeer, peer.ReleaseDiffers}},
		{"marks that turn words around, and what nobody sees", turned, fields(turned),
			[]peer.Reason{peer.SyncAgentNotCompleted, peer.UnlistedNode, peer.UnlistedPeer, peer.ReleaseDiffers}},
		{"what no XML may carry", "x\x1b[2J\x1b]0;t\x07\x7f" + forgedStep, fields("x\x1b[2J\x1b]0;t\x07\x7f" + forgedStep), nil},
		{"half a megabyte", long, fields(long),
			[]peer.Reason{peer.ValueTooLong, peer.SyncAgentNotCompleted, peer.UnlistedNode, peer.UnlistedPeer}},
		{"20,000 peers, of which each has such a name", words, func(b *besieged) {
			for _, field := range []string{"address", "node"} {
				b.post("/faults", map[string]any{"cluster": "apac", "kind": "field", "field": field, "value": words, "rows": 20_000, "times": forever})
			}
		}, []peer.Reason{peer.ValueTooLong}},
		{"a page of an error", words, func(b *besieged) {
			b.post("/faults", map[string]any{"cluster": "apac", "kind": "http403", "text": words, "times": forever})
		}, nil},
		{"characters of another code page", words, func(b *besieged) {
			b.post("/faults", map[string]any{"cluster": "apac", "kind": "notUTF8", "times": forever})
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := besiege(t)
			b.look(time.Minute, "peersync", "certcheck", "stucksync")
			c.spoil(b)
			for i := range 9 {
				functions := []string{"peersync", "stucksync"}
				if i%4 == 1 {
					functions = []string{"peersync", "certcheck", "stucksync"}
				}
				b.look(45*time.Minute, functions...)
			}
			b.look(5*time.Minute, "peersync", "certcheck", "stucksync")

			st, err := dashboard.Source{Store: b.state, Mesh: b.host.Mesh}.Status(t.Context(), b.clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			kept, err := record.Load(t.Context(), b.state, b.host.Mesh)
			if err != nil {
				t.Fatal(err)
			}
			for _, cl := range st.Clusters {
				if at := kept.Clusters[cl.ID].Value.Seen.At; b.clock.Now().Sub(at) > time.Minute {
					t.Errorf("the record of %s was last written at %s", cl.ID, at)
				}
				if cl.ID != "apac" && b.clock.Now().Sub(cl.Observed) > time.Minute {
					t.Errorf("%s was last read at %s", cl.ID, cl.Observed)
				}
			}
			for _, p := range st.Peers {
				if p.ID.From == "amer" && p.ID.To == "emea" && p.State != "Healthy" {
					t.Errorf("%s, which apac has nothing to do with, is %s: %+v", p.ID, p.State, p.Conditions)
				}
			}
			found := map[peer.Reason]bool{}
			var tooLong []string
			for _, cl := range st.Clusters {
				for _, f := range cl.Findings {
					if cl.ID == "apac" {
						found[f.Reason] = true
					} else if f.Reason == peer.ValueTooLong {
						t.Errorf("%s is said to have sent too much: %s", cl.ID, f.Message)
					}
					if f.Reason == peer.ValueTooLong {
						tooLong = append(tooLong, string(f.ID))
					}
				}
			}
			for _, want := range c.findings {
				if !found[want] {
					t.Errorf("apac has no finding %s: the value did not come as far as it should", want)
				}
			}
			if c.value == long {
				for _, field := range spoilt {
					if field != "user" && !strings.Contains(strings.Join(tooLong, " "), field) {
						t.Errorf("no finding ValueTooLong names %s: %v", field, tooLong)
					}
				}
			}
			b.heard()
			b.items()
			b.page()
			b.verbs(c.value)
		})
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
