package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// remote counts what is carried out, and notices two at once.
type remote struct {
	done, inside, together atomic.Int64
	meeting                bool // it answers nobody before two have met
}

func (r *remote) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.inside.Add(1) > 1 {
		r.together.Add(1)
	}
	for r.meeting && r.together.Load() == 0 && req.Context().Err() == nil {
		runtime.Gosched()
	}
	if !r.meeting {
		<-time.After(2 * time.Millisecond) // long enough to meet another
	}
	r.inside.Add(-1)
	r.done.Add(1)
	_, _ = w.Write([]byte(`{"ok":true}`))
}

func behind(t *testing.T) (*Proxy, *remote, string) {
	t.Helper()
	r := &remote{}
	target := httptest.NewServer(r)
	t.Cleanup(target.Close)
	p, err := newProxy(target.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(p)
	t.Cleanup(front.Close)
	return p, r, front.URL
}

func ask(t *testing.T, url, target, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", target)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(resp.Body)
	return resp.StatusCode, b.String()
}

const putItem = "DynamoDB_20120810.PutItem"

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		status int // 0 = the connection is cut
		says   string
		done   int64
	}{
		{Throttle, 400, "ProvisionedThroughputExceededException", 0},
		{ServerError, 500, "InternalServerError", 0},
		{Refuse, 403, "AccessDeniedException", 0},
		{LostRequest, 0, "", 0},
		{LostReply, 0, "", 1},
		{FalseError, 500, "InternalServerError", 1},
		{Delay, 200, "ok", 1},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			p, r, url := behind(t)
			p.Inject(Rule{Service: "dynamodb", Operation: "PutItem", Contains: "GATE", Kind: c.kind, Wait: time.Millisecond})
			if status, _ := ask(t, url, putItem, `{"x":"OTHER"}`); status != 200 {
				t.Errorf("a request that the rule does not mean got %d", status)
			}
			before := r.done.Load()
			status, body := ask(t, url, putItem, `{"x":"GATE"}`)
			if status != c.status || !strings.Contains(body, c.says) || r.done.Load()-before != c.done {
				t.Errorf("%d %s, carried out %d times; want %d %s, %d", status, body, r.done.Load()-before, c.status, c.says, c.done)
			}
			if status, _ := ask(t, url, putItem, `{"x":"GATE"}`); status != 200 {
				t.Errorf("a rule without Times fired twice: %d", status)
			}
			if left := p.Mend(); left != 0 {
				t.Errorf("%d rules are left", left)
			}
		})
	}
}

// TestWhatIsHeldIsNotCarriedOut: until its time has come, and never if the client has gone.
func TestWhatIsHeldIsNotCarriedOut(t *testing.T) {
	p, r, url := behind(t)
	p.Inject(Rule{Service: "dynamodb", Operation: "PutItem", Kind: Delay, Wait: time.Minute})
	ctx, gone := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
		if err == nil {
			req.Header.Set("X-Amz-Target", putItem)
			_, err = (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		}
		ended <- err
	}()
	for p.Held() == 0 {
		runtime.Gosched()
	}
	gone()
	if err := <-ended; err == nil {
		t.Error("it was answered")
	}
	for p.Held() > 0 {
		runtime.Gosched()
	}
	if n := r.done.Load(); n != 0 {
		t.Errorf("it was carried out %d times", n)
	}
}

// A batch answered in part: what is kept was asked for, what is left comes back
// as it was asked.
func TestUnprocessedKeys(t *testing.T) {
	const request = `{"RequestItems":{"t":{"ConsistentRead":true,"Keys":[{"pk":1},{"pk":2},{"pk":3}]}}}`
	for _, c := range []struct {
		keep        int
		asked, left string
		answered    string
	}{
		{2, `[{"pk":1},{"pk":2}]`, `[{"pk":3}]`, `{"t":["x"]}`},
		{9, `[{"pk":1},{"pk":2}]`, `[{"pk":3}]`, `{"t":["x"]}`},
		{0, `[{"pk":1}]`, `[{"pk":1},{"pk":2},{"pk":3}]`, `{}`},
	} {
		t.Run(fmt.Sprint("keep ", c.keep), func(t *testing.T) {
			less, later, err := partly([]byte(request), c.keep)
			if err != nil || string(less) != `{"RequestItems":{"t":{"ConsistentRead":true,"Keys":`+c.asked+`}}}` {
				t.Errorf("asked %s, %v", less, err)
			}
			answer, err := later([]byte(`{"Responses":{"t":["x"]},"UnprocessedKeys":{}}`))
			if want := `{"Responses":` + c.answered + `,"UnprocessedKeys":{"t":{"ConsistentRead":true,"Keys":` + c.left + `}}}`; err != nil || string(answer) != want {
				t.Errorf("answered %s, %v; want %s", answer, err, want)
			}
		})
	}
	if _, _, err := partly([]byte(`{"TableName":"t"}`), 1); err == nil {
		t.Error("cut what is no batch")
	}
}

func TestSNSAndSecretsAreRefusedInTheirOwnWords(t *testing.T) {
	p, _, url := behind(t)
	p.Inject(Rule{Kind: Throttle, Times: 2})
	if status, body := ask(t, url, "secretsmanager.GetSecretValue", `{}`); status != 400 || !strings.Contains(body, "ThrottlingException") {
		t.Errorf("%d %s", status, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("Action=Publish&Version=2010-03-31"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/20260301/eu-central-1/sns/aws4_request, SignedHeaders=host, Signature=x")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests || p.Seen()["sns.Publish"] != 1 {
		t.Errorf("%d, seen %v", resp.StatusCode, p.Seen())
	}
}

func TestWritesTakeTurnsAndReadsDoNot(t *testing.T) {
	for target, turns := range map[string]bool{putItem: true, "DynamoDB_20120810.DeleteItem": true, "DynamoDB_20120810.GetItem": false} {
		t.Run(target, func(t *testing.T) {
			_, r, url := behind(t)
			r.meeting = !turns
			var wg sync.WaitGroup
			for range 12 {
				wg.Go(func() { ask(t, url, target, `{}`) })
			}
			wg.Wait()
			if met := r.together.Load(); (met == 0) != turns {
				t.Errorf("%d met each other", met)
			}
		})
	}
}

func TestLongBodiesAreShelvedAndComeBack(t *testing.T) {
	long := strings.Repeat(`ä"`, 135_000) // 405,000 bytes, more in JSON
	request, err := json.Marshal(map[string]any{"TableName": "t", "Item": map[string]any{"pk": map[string]string{"S": "p"}, "body": map[string]string{"S": long}}})
	if err != nil {
		t.Fatal(err)
	}
	var s shelf
	short := s.store(request)
	if len(short) > 1000 {
		t.Fatalf("%d bytes go to the emulator", len(short))
	}
	if got := s.restore(short); !bytes.Equal(got, request) {
		t.Error("it did not come back as it was")
	}
	small := []byte(`{"Item":{"body":{"S":"x"}}}`)
	if !bytes.Equal(s.store(small), small) {
		t.Error("a small one was shelved")
	}
}

func TestMotoTellsItsAddress(t *testing.T) {
	b := &banner{url: make(chan string, 1)}
	for _, piece := range []string{"WARNING: This is a development server.\n * Runn", "ing on http://127.0.0.1:412", "35\nPress CTRL+C to quit\n", "127.0.0.1 - - \"GET / HTTP/1.1\" 200 -\n"} {
		if n, err := b.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Errorf("%d %v", n, err)
		}
	}
	if url := <-b.url; url != "http://127.0.0.1:41235" || len(b.begun) > 0 {
		t.Errorf("%s, %d bytes are kept", url, len(b.begun))
	}
}

func TestNoEmulatorSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(Variable, "")
	_, err := Start(t.Context())
	missing, ok := errors.AsType[*MissingError](err)
	if !ok {
		t.Fatal(err)
	}
	for _, part := range []string{"pip install", "docker image motoserver/moto", "AWS_ENDPOINT_URL"} {
		if !strings.Contains(fmt.Sprint(missing), part) {
			t.Errorf("%q does not say %s", missing, part)
		}
	}
}
