package runtimeapi_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/lambdahost/runtimeapi"
)

const behaviour = "PEERKEEPER_RUNTIMEAPI_TEST"

// TestMain lets this program be the bootstrap of its own tests.
func TestMain(m *testing.M) {
	if how := os.Getenv(behaviour); how != "" {
		os.Exit(bootstrap(how))
	}
	os.Exit(m.Run())
}

// bootstrap speaks the Runtime API by hand, as its documentation says, so that
// the tests do not rest on aws-lambda-go's idea of it.
func bootstrap(how string) int {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"
	client := &http.Client{}
	post := func(path, body string) int {
		resp, err := client.Post(base+path, "application/json", strings.NewReader(body))
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if how == "refuse to start" {
		post("init/error", `{"errorMessage":"no table"}`)
		return 3
	}
	for {
		resp, err := client.Get(base + "invocation/next")
		if err != nil {
			return 1
		}
		event, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		switch how {
		case "echo":
			post("invocation/"+id+"/response", fmt.Sprintf(`{"event":%s,"deadline":%q,"secret":%q,"dir":%q}`, event, resp.Header.Get("Lambda-Runtime-Deadline-Ms"), os.Getenv("PEERKEEPER_NOT_PASSED_ON"), os.Getenv("LAMBDA_TASK_ROOT")))
		case "fail":
			post("invocation/"+id+"/error", `{"errorMessage":"it failed"}`)
		case "hang":
			select {}
		case "exit":
			return 7
		case "answer another":
			status := post("invocation/none/response", `{}`)
			post("invocation/"+id+"/response", fmt.Sprint(status))
		}
	}
}

func start(t *testing.T, how string, timeout time.Duration) *runtimeapi.Instance {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	i, err := runtimeapi.Start(runtimeapi.Function{Name: "test", Bootstrap: exe, Env: []string{behaviour + "=" + how}, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func TestEventsAndAnswers(t *testing.T) {
	t.Setenv("PEERKEEPER_NOT_PASSED_ON", "leaked")
	i := start(t, "echo", 0)
	if d, err := i.Ready(t.Context()); err != nil || d <= 0 {
		t.Fatal(d, err)
	}
	seen := map[string]bool{}
	for n := range 3 {
		r, err := i.Invoke(t.Context(), fmt.Appendf(nil, `{"n":%d}`, n))
		if err != nil || r.Failed || !bytes.Contains(r.Payload, fmt.Appendf(nil, `{"n":%d}`, n)) {
			t.Errorf("%s %v", r.Payload, err)
		}
		if bytes.Contains(r.Payload, []byte("leaked")) || bytes.Contains(r.Payload, []byte(`"deadline":""`)) {
			t.Errorf("environment: %s", r.Payload)
		}
		if seen[r.RequestID] {
			t.Error("a request id came twice")
		}
		seen[r.RequestID] = true
	}
}

func TestEnds(t *testing.T) {
	t.Run("an error is an answer", func(t *testing.T) {
		r, err := start(t, "fail", 0).Invoke(t.Context(), nil)
		if err != nil || !r.Failed || !bytes.Contains(r.Payload, []byte("it failed")) {
			t.Errorf("%+v %v", r, err)
		}
	})
	t.Run("a process that hangs is killed when its time is over", func(t *testing.T) {
		i := start(t, "hang", 200*time.Millisecond)
		if _, err := i.Invoke(t.Context(), nil); !errors.Is(err, runtimeapi.ErrTimeout) {
			t.Errorf("%v", err)
		}
		if _, err := i.Invoke(t.Context(), nil); !isExit(err) {
			t.Errorf("after the kill: %v", err)
		}
	})
	t.Run("a process that ends over an event", func(t *testing.T) {
		if _, err := start(t, "exit", 0).Invoke(t.Context(), nil); !isExit(err) || !strings.Contains(err.Error(), "exit status 7") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a process that does not start says why", func(t *testing.T) {
		if _, err := start(t, "refuse to start", 0).Ready(t.Context()); !isExit(err) || !strings.Contains(err.Error(), "no table") {
			t.Errorf("%v", err)
		}
	})
	t.Run("an answer to another event is refused", func(t *testing.T) {
		r, err := start(t, "answer another", 0).Invoke(t.Context(), nil)
		if err != nil || string(r.Payload) != "400" {
			t.Errorf("%s %v", r.Payload, err)
		}
	})
	t.Run("no such program", func(t *testing.T) {
		if _, err := runtimeapi.Start(runtimeapi.Function{Bootstrap: "none/bootstrap"}); err == nil {
			t.Error("it started")
		}
	})
}

func isExit(err error) bool {
	_, ok := errors.AsType[*runtimeapi.ExitedError](err)
	return ok
}
