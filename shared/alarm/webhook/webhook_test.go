package webhook_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/alarm/webhook"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

var notice = alarm.Notice{
	Name: alarm.ClusterDown, Severity: peer.Critical, State: alarm.Raised, Mesh: "acme", Cluster: "apac", Fingerprint: "00ff", Transition: 3,
	Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Message: "no node answers", Runbook: "shared/alarm/README.md#alarm-clusterdown",
}

func sink(t *testing.T, address string, opt webhook.Options) *webhook.Sink {
	t.Helper()
	s, err := webhook.New(address, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestPost(t *testing.T) {
	var got struct {
		method, path, key, contentType, user, password string
		notice                                         alarm.Notice
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, json.Unmarshal(body, &got.notice)); err != nil {
			t.Error(err)
		}
		got.method, got.path, got.key, got.contentType = r.Method, r.URL.RequestURI(), r.Header.Get("Idempotency-Key"), r.Header.Get("Content-Type")
		got.user, got.password, _ = r.BasicAuth()
		w.WriteHeader(http.StatusAccepted)
	})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	secure := httptest.NewTLSServer(handler)
	defer secure.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())

	for name, s := range map[string]*webhook.Sink{
		"http to this machine": sink(t, strings.Replace(plain.URL, "http://", "http://bob:pass@", 1)+"/hook/T0?token=abc", webhook.Options{}),
		"https":                sink(t, strings.Replace(secure.URL, "https://", "https://bob:pass@", 1)+"/hook/T0?token=abc", webhook.Options{TLS: &tls.Config{RootCAs: roots}}),
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.Send(t.Context(), notice); err != nil {
				t.Fatal(err)
			}
			if got.method != "POST" || got.path != "/hook/T0?token=abc" || got.key != "00ff-3-raised" || got.contentType != "application/json" || got.user != "bob" || got.password != "pass" {
				t.Errorf("request %+v", got)
			}
			if diff := cmp.Diff(notice, got.notice); diff != "" {
				t.Errorf("notice (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	followed := false
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { followed = true })
	mux.HandleFunc("/redirect/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere?token=abc", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/badredirect/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://[::1/token=abc")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/500/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "token=abc is wrong", 500) })
	say := func(path string, status int, words string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, words, status) })
	}
	say("/413/", 413, "")
	say("/slack/", 400, "msg_too_long")
	say("/teams/", 400, `{"error":{"code":"RequestEntityTooLarge","message":"Message size too large."}}`)
	say("/pager/", 422, `{"errors":["'payload.summary' exceeds the maximum length"]}`)
	say("/long/", 500, "the queue is too long") // its trouble, not the notice's
	mux.HandleFunc("/400/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) })
	mux.HandleFunc("/hang/", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(release)
	untrusted := httptest.NewUnstartedServer(mux)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of our refusal
	untrusted.StartTLS()
	defer untrusted.Close()
	// A port that was closed a moment ago may be another test's by now; nobody is given port 1.
	const nobody = "http://127.0.0.1:1"

	for _, c := range []struct {
		name, base, path string
		status           int
		is               error
	}{
		{"a redirect is not followed", server.URL, "/redirect", 307, webhook.ErrRedirected},
		{"a redirect to nowhere", server.URL, "/badredirect", 302, webhook.ErrRedirected},
		{"server error", server.URL, "/500", 500, webhook.ErrRefused},
		{"bad request", server.URL, "/400", 400, webhook.ErrRefused},
		{"too large, by the status for it", server.URL, "/413", 413, alarm.ErrTooLarge},
		{"too large, as Slack says it", server.URL, "/slack", 400, alarm.ErrTooLarge},
		{"too large, as Teams says it", server.URL, "/teams", 400, alarm.ErrTooLarge},
		{"too large, for one of its fields", server.URL, "/pager", 422, alarm.ErrTooLarge},
		{"out of order, in words like those", server.URL, "/long", 500, webhook.ErrRefused},
		{"no answer", server.URL, "/hang", 0, webhook.ErrTimeout},
		{"nobody there", nobody, "", 0, nil},
		{"a certificate nobody vouches for", untrusted.URL, "/400", 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := strings.Replace(c.base, "://", "://bob:passw0rd@", 1) + c.path + "/T0SECRET?token=abc"
			var options webhook.Options
			if c.is == webhook.ErrTimeout {
				options.Timeout = 300 * time.Millisecond
			}
			err := sink(t, address, options).Send(t.Context(), notice)
			we, ok := errors.AsType[*webhook.Error](err)
			if !ok || we.Status != c.status || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("error %v", err)
			}
			for _, hidden := range []string{"passw0rd", "T0SECRET", "token", "abc"} {
				if strings.Contains(err.Error(), hidden) {
					t.Errorf("error %q tells %s", err, hidden)
				}
			}
		})
	}
	if followed {
		t.Error("a redirect was followed")
	}
}

func TestEndlessAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	if err := sink(t, server.URL, webhook.Options{Timeout: time.Minute}).Send(t.Context(), notice); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sink(t, "https://192.0.2.1/", webhook.Options{}).Send(ctx, notice); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A receiver that gives up because the sender hung up may still be heard saying 2xx.
func TestAnAnswerToOurHangingUp(t *testing.T) {
	var hangUp context.CancelFunc
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hangUp()
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	s := sink(t, server.URL, webhook.Options{})
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		hangUp = cancel
		if err := s.Send(ctx, notice); !errors.Is(err, context.Canceled) {
			t.Fatalf("delivered although the sender had left: %v", err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"https://hooks.example.com/T0":          true,
		"https://192.0.2.1:8443/":               true,
		"http://127.0.0.1:9000/hook":            true,
		"http://[::1]/hook":                     true,
		"http://localhost/hook":                 true,
		"http://hooks.example.com/T0SECRET":     false,
		"http://192.0.2.1/T0SECRET":             false,
		"http://localhost.example.com/T0SECRET": false,
		"ftp://hooks.example.com/T0SECRET":      false,
		"hooks.example.com/T0SECRET":            false,
		"https:///T0SECRET":                     false,
		"https://[::1/T0SECRET":                 false,
		"https://h/%zzT0SECRET":                 false,
		"":                                      false,
	} {
		s, err := webhook.New(address, webhook.Options{})
		if (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
		if err != nil && (!errors.Is(err, webhook.ErrAddress) || strings.Contains(err.Error(), "T0SECRET")) {
			t.Errorf("%q: error %q", address, err)
		}
		if s != nil {
			s.Close()
		}
	}
}

func TestANoticeIsSentAgainShorterToAReceiverThatTakesNoMoreThan32KB(t *testing.T) {
	const most = 32 << 10
	var got alarm.Notice
	refused := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		if err != nil {
			refused++
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	// As somebody else may have written it into the store: 78 KB that nobody bounded.
	s := storetest.NewMemory()
	long := notice
	long.Message = strings.Repeat("imp-apac-sub.example.com, ", 3000)
	doc := store.NewDoc(store.Alarm("acme", long.Fingerprint), alarm.Schema, alarm.Item{Notice: long, Pending: []alarm.Pending{{Notice: long, Queued: long.Since}}})
	it, _, err := doc.Change()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	sinks := []alarm.Sink{sink(t, server.URL, webhook.Options{})}
	if _, err := alarm.Deliver(t.Context(), s, "acme", sinks, func() time.Time { return long.Since }); err != nil {
		t.Fatal(err)
	}
	if refused != 1 || !strings.Contains(got.Message, "characters are left out") || got.Fingerprint != notice.Fingerprint {
		t.Errorf("refused %d times; got %d bytes, %.200s", refused, len(got.Message), got.Message)
	}
}
