package sns_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/alarm/sns"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store/dynamo/emulator"
)

func raised() alarm.Notice {
	return alarm.Notice{
		Name: alarm.PeriodicSyncingFailure, Severity: peer.Critical, State: alarm.Raised, Mesh: "acme", Peer: mesh.PeerID{From: "emea", To: "apac"},
		Fingerprint: "0123456789abcdef", Transition: 3, Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Message: "no sync since 09:12 UTC; users jdoe and asmith are missing", Runbook: "shared/alarm/README.md#alarm-interclustersyncagentpeerperiodicsyncingfailure",
	}
}

func down() alarm.Notice {
	n := raised()
	n.Name, n.Peer, n.Cluster, n.Message, n.Runbook = alarm.ClusterDown, mesh.PeerID{}, "apac", "no node answers", "shared/alarm/README.md#alarm-clusterdown"
	return n
}

// topic keeps what is published.
type topic struct {
	err error
	got []*api.PublishInput
}

func (t *topic) Publish(_ context.Context, in *api.PublishInput, _ ...func(*api.Options)) (*api.PublishOutput, error) {
	t.got = append(t.got, in)
	return &api.PublishOutput{MessageId: aws.String("1")}, t.err
}

func send(t *testing.T, n alarm.Notice) *api.PublishInput {
	t.Helper()
	to := &topic{}
	if err := (&sns.Sink{API: to, Topic: "arn:aws:sns:eu-central-1:111122223333:alarms"}).Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return to.got[0]
}

func TestAttributes(t *testing.T) {
	for _, c := range []struct {
		n    alarm.Notice
		want map[string]string
	}{
		{raised(), map[string]string{"alarm": alarm.PeriodicSyncingFailure, "severity": "critical", "state": "raised", "mesh": "acme", "peer": "emea>apac", "fingerprint": "0123456789abcdef", "transition": "3"}},
		{down(), map[string]string{"alarm": alarm.ClusterDown, "severity": "critical", "state": "raised", "mesh": "acme", "cluster": "apac", "fingerprint": "0123456789abcdef", "transition": "3"}},
	} {
		got := map[string]string{}
		for name, v := range send(t, c.n).MessageAttributes {
			if *v.DataType != "String" {
				t.Errorf("%s is a %s", name, *v.DataType)
			}
			got[name] = *v.StringValue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("attributes (-want +got):\n%s", diff)
		}
	}
}

func TestBodyGolden(t *testing.T) {
	cleared := raised()
	cleared.State, cleared.Transition = alarm.Cleared, 4
	for name, n := range map[string]alarm.Notice{"raised": raised(), "cluster": down(), "cleared": cleared} {
		t.Run(name, func(t *testing.T) {
			body, err := sns.Body(n)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile("testdata/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), sns.Subject(n)+"\n\n"+body+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// lastLine is what a program reads.
func lastLine(t *testing.T, body string) alarm.Notice {
	t.Helper()
	var n alarm.Notice
	if err := json.Unmarshal([]byte(body[strings.LastIndexByte(body, '\n')+1:]), &n); err != nil {
		t.Fatalf("the last line is not JSON: %v", err)
	}
	return n
}

func TestWhatAClusterSaysCannotForgeLines(t *testing.T) {
	n := raised()
	n.Message = "bad\n\n{\"name\":\"forged\"}\r\x1b[2Jend\u2028x"
	body, err := sns.Body(n)
	if err != nil {
		t.Fatal(err)
	}
	if got := lastLine(t, body); got.Name != n.Name {
		t.Errorf("the last line says %s", got.Name)
	}
	for line := range strings.SplitSeq(body, "\n") {
		if strings.HasPrefix(line, `{"name":"forged"`) {
			t.Errorf("a forged line: %s", line)
		}
	}
	if strings.ContainsAny(body, "\r\x1b") {
		t.Error("control characters came through")
	}
}

func TestAMessageTooLongIsCutInBoth(t *testing.T) {
	for _, long := range []string{strings.Repeat("ü", 300<<10), strings.Repeat(`"\`, 100<<10), strings.Repeat("\x00", 300<<10)} {
		n := raised()
		n.Message = long
		in := send(t, n)
		if len(*in.Message) > sns.MaxBody || !utf8.ValidString(*in.Message) {
			t.Errorf("%d bytes", len(*in.Message))
		}
		if got := lastLine(t, *in.Message); !strings.Contains(got.Message, "bytes more are in the store") || got.Fingerprint != n.Fingerprint {
			t.Errorf("the cut is not told: %.80s", got.Message)
		}
	}
	n := raised()
	n.Runbook = strings.Repeat("x", 300<<10)
	if _, err := sns.Body(n); err == nil {
		t.Error("a notice that cannot fit was published")
	}
}

func TestEverySubjectFits(t *testing.T) {
	var longest string
	for _, e := range alarm.Catalogue() {
		n := alarm.Notice{Name: e.Name, Severity: e.Severity, State: alarm.Repeated, Mesh: "an-environment-with-a-very-long-name", Peer: mesh.PeerID{From: "north-america", To: "asia-pacific"}}
		if s := sns.Subject(n); len(s) > len(longest) {
			longest = s
		}
	}
	checkSubject(t, longest)
	if !strings.Contains(longest, "InterCluster") || !strings.Contains(longest, "REPEATED") {
		t.Errorf("%q says too little", longest)
	}
}

func checkSubject(t *testing.T, s string) {
	t.Helper()
	if len(s) == 0 || len(s) >= 100 {
		t.Errorf("subject of %d characters", len(s))
	}
	for _, r := range s {
		if r < ' ' || r > '~' {
			t.Errorf("subject %q holds %U", s, r)
		}
	}
}

func FuzzSubjectAndBody(f *testing.F) {
	f.Add("ClusterDown", "acme", "apac", "", "no node answers")
	f.Add("Ä\n", "\x00", "\xff", "a>b", "\u202e\r\n")
	f.Fuzz(func(t *testing.T, name, meshName, cluster, peer, message string) {
		id, _ := mesh.ParsePeerID(strings.ToValidUTF8(peer, "?")) // none if it is no peer's
		n := alarm.Notice{Name: name, Mesh: meshName, Cluster: mesh.ClusterID(cluster), Peer: id, Message: message, State: alarm.Raised}
		checkSubject(t, sns.Subject(n))
		body, err := sns.Body(n)
		if err != nil {
			return // names of 240 KB
		}
		if len(body) > sns.MaxBody {
			t.Fatalf("%d bytes", len(body))
		}
		lastLine(t, body)
	})
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		kind sns.Kind
		want string
	}{
		{"no grant", &smithy.GenericAPIError{Code: "AuthorizationError"}, sns.Denied, "sns:Publish"},
		{"no grant on the key", &smithy.GenericAPIError{Code: "KMSAccessDenied"}, sns.Denied, "kms:GenerateDataKey"},
		{"no such topic", &smithy.GenericAPIError{Code: "NotFound"}, sns.NoTopic, "PEERKEEPER_TOPIC_ARN"},
		{"a mistake of ours", &smithy.GenericAPIError{Code: "InvalidParameter"}, sns.Refused, "refused"},
		{"throttled to the end", &smithy.GenericAPIError{Code: "Throttled"}, sns.Unavailable, "endpoint"},
		{"no network", errors.New("i/o timeout"), sns.Unavailable, "endpoint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&sns.Sink{API: &topic{err: c.err}, Topic: "arn:x"}).Send(t.Context(), raised())
			if !errors.Is(err, &sns.Error{Kind: c.kind}) || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s and %q", err, c.kind, c.want)
			}
		})
	}
}

func TestAgainstTheEmulator(t *testing.T) {
	e, err := emulator.Start(t.Context())
	if missing, ok := errors.AsType[*emulator.MissingError](err); ok {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	client := sns.NewClient(e.Config())
	made, err := client.CreateTopic(t.Context(), &api.CreateTopicInput{Name: aws.String(fmt.Sprintf("alarms-%d", time.Now().UnixNano()))})
	if err != nil {
		t.Fatal(err)
	}
	sink := &sns.Sink{API: client, Topic: *made.TopicArn}
	e.Inject(emulator.Rule{Service: "sns", Operation: "Publish", Kind: emulator.Throttle}, emulator.Rule{Service: "sns", Operation: "Publish", Kind: emulator.LostReply})
	if err := sink.Send(t.Context(), raised()); err != nil {
		t.Errorf("through a throttle and a lost answer: %v", err)
	}
	if left := e.Mend(); left > 0 {
		t.Errorf("%d faults did not fire", left)
	}
	e.Inject(emulator.Rule{Service: "sns", Operation: "Publish", Kind: emulator.Refuse})
	if err := sink.Send(t.Context(), raised()); !errors.Is(err, &sns.Error{Kind: sns.Denied}) {
		t.Errorf("refused: %v", err)
	}
	sink.Topic += "-gone"
	if err := sink.Send(t.Context(), raised()); !errors.Is(err, &sns.Error{Kind: sns.NoTopic}) {
		t.Errorf("no such topic: %v", err)
	}
}

func TestAMessageThatSNSCallsTooLongIsToldApart(t *testing.T) {
	for _, c := range []struct {
		name, words string
		large       bool
	}{
		{"too long", "Invalid parameter: Message too long", true},
		{"a subject is not what can be shortened", "Invalid parameter: Subject", false},
		{"another mistake", "Invalid parameter: TopicArn Reason: no valid arn", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cause := &smithy.GenericAPIError{Code: "InvalidParameter", Message: c.words}
			err := (&sns.Sink{API: &topic{err: cause}, Topic: "arn:x"}).Send(t.Context(), raised())
			if errors.Is(err, alarm.ErrTooLarge) != c.large || !errors.Is(err, &sns.Error{Kind: sns.Refused}) || !errors.Is(err, cause) {
				t.Errorf("%v", err)
			}
		})
	}
}
