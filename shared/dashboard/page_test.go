package dashboard

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/store"
)

func ask(t *testing.T, h http.Handler, method, url string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, nil)
	r.Host = "127.0.0.1:8080"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func pageOf(s *scene) *Page {
	return &Page{Source: s.source(), Now: func() time.Time { return sceneNow }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func TestPageAnswers(t *testing.T) {
	h := pageOf(troubled(t, 3)).Handler()
	for _, c := range []struct {
		name, method, url string
		header            []string
		code              int
		typ, has          string
	}{
		{"the mesh", "GET", "/", nil, 200, "text/html; charset=utf-8", "1 of 6 peers is not healthy"},
		{"one peer", "GET", "/peer/apac%3Eemea", nil, 200, "text/html; charset=utf-8", "FourPeriodsMissed"},
		{"one peer as the page links it", "GET", "/peer/apac%3eemea", nil, 200, "text/html; charset=utf-8", "FourPeriodsMissed"},
		{"a peer that is none", "GET", "/peer/apac%3Emars", nil, 404, "text/plain; charset=utf-8", "no such peer"},
		{"a peer of one word", "GET", "/peer/apac", nil, 404, "text/plain; charset=utf-8", "no such peer"},
		{"status", "GET", "/api/status.json", nil, 200, "application/json", `"mesh":"acme"`},
		{"explain", "GET", "/api/explain/apac%3Eemea.json", nil, 200, "application/json", `"clocks":{"a":"2026-06-02T13:50:00Z","b":"2026-06-02T13:20:00Z","first":"b"`},
		{"explain of nobody", "GET", "/api/explain/apac%3Emars.json", nil, 404, "text/plain; charset=utf-8", "no such peer"},
		{"explain without .json", "GET", "/api/explain/apac%3Eemea", nil, 404, "text/plain; charset=utf-8", ""},
		{"style", "GET", "/app.css", nil, 200, "text/css; charset=utf-8", "prefers-color-scheme"},
		{"script", "GET", "/app.js", nil, 200, "text/javascript; charset=utf-8", "If-None-Match"},
		{"anything else", "GET", "/etc/passwd", nil, 404, "text/plain; charset=utf-8", ""},
		{"head", "HEAD", "/", nil, 200, "text/html; charset=utf-8", ""},
		{"post", "POST", "/", nil, 405, "text/plain; charset=utf-8", ""},
		{"delete of a peer", "DELETE", "/peer/apac%3Eemea", nil, 405, "text/plain; charset=utf-8", ""},
		{"put of nothing there", "PUT", "/nothing", nil, 405, "text/plain; charset=utf-8", ""},
		{"localhost", "GET", "/", []string{"Host", "LOCALHOST:9"}, 200, "text/html; charset=utf-8", ""},
		{"loopback in IPv6", "GET", "/", []string{"Host", "[::1]:8080"}, 200, "text/html; charset=utf-8", ""},
		{"a name that somebody points here", "GET", "/", []string{"Host", "rebind.example.com:8080"}, 421, "text/plain; charset=utf-8", ""},
		{"no name at all", "GET", "/", []string{"Host", ""}, 421, "text/plain; charset=utf-8", ""},
		{"a name with ours in front", "GET", "/", []string{"Host", "127.0.0.1.example.com"}, 421, "text/plain; charset=utf-8", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(t, h, c.method, c.url, c.header...)
			if w.Code != c.code {
				t.Fatalf("%d %s, want %d", w.Code, w.Body, c.code)
			}
			if got := w.Header().Get("Content-Type"); got != c.typ {
				t.Errorf("Content-Type %q, want %q", got, c.typ)
			}
			if !strings.Contains(w.Body.String(), c.has) {
				t.Errorf("the body has no %q", c.has)
			}
			if c.method == "HEAD" && w.Body.Len() != 0 {
				t.Error("HEAD has a body")
			}
			if c.code == 405 && w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow: %q", w.Header().Get("Allow"))
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "no-referrer",
				"Cache-Control":           "no-store",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestPageHosts(t *testing.T) {
	p := pageOf(newScene(t, 2))
	p.Hosts = []string{"mesh.example.com", "192.0.2.7:8080"}
	h := p.Handler()
	for host, want := range map[string]int{
		"mesh.example.com": 200, "mesh.example.com:8443": 200, "192.0.2.7:8080": 200,
		"192.0.2.7:9090": 421, "192.0.2.7": 421, "127.0.0.1:8080": 421, "localhost": 421,
	} {
		if w := ask(t, h, "GET", "/", "Host", host); w.Code != want {
			t.Errorf("Host %s: %d, want %d", host, w.Code, want)
		}
	}
}

// TestPageTag: the tag stays while nothing changes but the clock, and changes
// with the store.
func TestPageTag(t *testing.T) {
	s := newScene(t, 3)
	p := pageOf(s)
	now := sceneNow
	p.Now = func() time.Time { return now }
	h := p.Handler()
	for _, url := range []string{"/api/status.json", "/api/explain/emea%3Eapac.json"} {
		now = sceneNow
		first := ask(t, h, "GET", url)
		tag := first.Header().Get("ETag")
		now = sceneNow.Add(time.Minute)
		for _, header := range []string{tag, "W/\"other\", " + tag, strings.TrimPrefix(tag, "W/"), "*"} {
			w := ask(t, h, "HEAD", url, "If-None-Match", header)
			if w.Code != 304 || w.Body.Len() != 0 || w.Header().Get("ETag") != tag {
				t.Errorf("%s a minute later with %s: %d, want 304", url, header, w.Code)
			}
			if got := w.Header().Get("Peerkeeper-As-Of"); got != "2026-06-02T14:31:00Z" {
				t.Errorf("as of %q, want the minute later", got)
			}
		}
		if w := ask(t, h, "GET", url, "If-None-Match", `W/"other"`); w.Code != 200 {
			t.Errorf("%s with another tag: %d, want 200", url, w.Code)
		}
	}
	before := ask(t, h, "GET", "/api/status.json").Header().Get("ETag")
	html := ask(t, h, "GET", "/").Body.String()
	if !strings.Contains(html, `data-etag="`+strings.ReplaceAll(before, `"`, "&#34;")+`"`) {
		t.Error("the page does not carry the status' tag")
	}
	s.stuck("emea>apac", 4*time.Hour)
	if w := ask(t, h, "HEAD", "/api/status.json", "If-None-Match", before); w.Code != 200 || w.Header().Get("ETag") == before {
		t.Errorf("after a change: %d, want 200 and another tag", w.Code)
	}
	// A status also changes by growing old.
	now = sceneNow.Add(time.Hour)
	if w := ask(t, h, "HEAD", "/api/status.json", "If-None-Match", before); w.Code != 200 {
		t.Errorf("an hour later, all stale: %d, want 200", w.Code)
	}
}

// hostile is what a cluster may put into any text that it returns.
const hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[2J\u202Edesrever\r\n{{.}}\x00"

func TestHostileText(t *testing.T) {
	s := newScene(t, 2)
	since := sceneNow.Add(-time.Hour)
	s.look(since, nil)
	s.look(sceneNow.Add(-2*time.Minute), func(cs map[mesh.ClusterID]*peer.ClusterRecord) {
		node := cs["emea"].Seen.Nodes["imp-emea-pub.example.com"]
		node.Version = peer.Known(hostile, sceneNow)
		cs["emea"].Seen.Nodes["imp-emea-pub.example.com"] = node
	})
	rec := s.syncs[id("emea>apac")]
	for i := range rec.Conditions {
		rec.Conditions[i].Status, rec.Conditions[i].Message = peer.False, hostile
	}
	s.put(store.PeerSync("acme", id("emea>apac")), rec)
	state := s.states[id("emea>apac")]
	state.State, state.Cause = peer.Degraded, hostile
	state.Overlays = []peer.Overlay{hostile}
	state.Flips = []peer.Flip{{At: since, Type: hostile, From: hostile, To: hostile, Reason: hostile}}
	s.put(store.PeerStuck("acme", id("emea>apac")), state)
	cluster := *s.clusters["emea"]
	cluster.Findings = []peer.Finding{{ID: hostile, Severity: hostile, Reason: hostile, Message: hostile, Since: since}}
	s.put(store.Cluster("acme", "emea"), cluster)
	s.raise(hostile, hostile, "", hostile, hostile, since)
	h := pageOf(s).Handler()
	for _, url := range []string{"/", "/peer/emea%3Eapac", "/api/status.json", "/api/explain/emea%3Eapac.json"} {
		w := ask(t, h, "GET", url)
		if w.Code != 200 {
			t.Fatalf("%s: %d", url, w.Code)
		}
		body := w.Body.String()
		for _, bad := range []string{"<script>alert", "<img src=x", "\x1b", "\u202E", "\x00"} {
			if strings.HasPrefix(url, "/api/") && bad == "\u202E" {
				continue // JSON is for programs: it keeps what was read
			}
			if strings.Contains(body, bad) {
				t.Errorf("%s contains %q", url, bad)
			}
		}
		if !strings.Contains(body, "alert(1)") {
			t.Errorf("%s does not show the text at all", url)
		}
		if strings.HasPrefix(url, "/api/") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s is not JSON", url)
		}
	}
	st := status(t, s, sceneNow)
	e, err := s.source().Explain(t.Context(), id("emea>apac"), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := errors.Join(WriteStatus(&text, st, false), WriteMatrix(&text, st, false), WriteExplain(&text, e, false)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b", "\u202E", "\r", "\x00"} {
		if strings.Contains(text.String(), bad) {
			t.Errorf("the text for a terminal contains %q", bad)
		}
	}
}

func TestPageWithoutStore(t *testing.T) {
	s := newScene(t, 2)
	h := pageOf(s).Handler()
	s.store.Fail = func(string, store.Key) error { return errors.New("bucket of secrets") }
	for _, url := range []string{"/", "/peer/emea%3Eapac", "/api/status.json", "/api/explain/emea%3Eapac.json"} {
		w := ask(t, h, "GET", url)
		if w.Code != 503 || strings.Contains(w.Body.String(), "secrets") {
			t.Errorf("%s: %d %q, want 503 without the cause", url, w.Code, w.Body)
		}
	}
	if w := ask(t, h, "GET", "/app.js"); w.Code != 200 {
		t.Errorf("/app.js: %d; it needs no store", w.Code)
	}
}

// TestPageWithoutScript: everything is in the HTML, nothing inline.
func TestPageWithoutScript(t *testing.T) {
	body := ask(t, pageOf(troubled(t, 3)).Handler(), "GET", "/peer/apac%3Eemea").Body.String()
	for _, want := range []string{
		`<th scope="row">apac</th>`, `<th scope="col" data-key="col-emea">`, "apac pulls from emea: Stuck",
		"observe: never changes a cluster", "21:50 on 2 Jun in Asia/Singapore (2026-06-02 13:50 UTC)", "One direction only", procedure.ForceSync, "measured", "inferred", "declared",
		`aria-live="polite"`, `aria-current="true"`, "CertificateExpiring", "Clock A",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, bad := range []string{" style=", "<style", " onclick=", "http://", "https://"} {
		if i := strings.Index(body, bad); i >= 0 && !strings.HasPrefix(body[i:], "http://www.w3.org/2000/svg") {
			t.Errorf("the page has %q: …%s…", bad, body[max(0, i-40):i+60])
		}
	}
}

func BenchmarkPage870(b *testing.B) {
	s := troubled(b, 30)
	h := pageOf(s).Handler()
	for _, c := range []struct{ name, method, url string }{
		{"html", "GET", "/"}, {"json", "GET", "/api/status.json"}, {"unchanged", "HEAD", "/api/status.json"},
	} {
		b.Run(c.name, func(b *testing.B) {
			tag := ""
			size := 0
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), c.method, c.url, nil)
				r.Host = "localhost"
				if c.method == "HEAD" {
					r.Header.Set("If-None-Match", tag)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				tag, size = w.Header().Get("ETag"), w.Body.Len()
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

// FuzzRequest: whatever is asked under whatever name, nothing panics, and only
// a loopback name gets an answer.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][2]string{{"/peer/emea%3Eapac", "localhost"}, {"/api/explain/a%3Eb.json", "[::1]:1"}, {"/peer/%00", "127.0.0.1.example.com"}, {"//", "[::1"}} {
		f.Add(seed[0], seed[1], `W/"x"`)
	}
	h := pageOf(newScene(f, 2)).Handler()
	f.Fuzz(func(t *testing.T, path, host, tag string) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Host, r.URL.Path = host, path
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		name := strings.ToLower(host)
		ours := false
		for _, n := range []string{"localhost", "127.0.0.1", "[::1]"} {
			rest, ok := strings.CutPrefix(name, n)
			ours = ours || ok && (rest == "" || rest[0] == ':')
		}
		if !ours && w.Code != http.StatusMisdirectedRequest {
			t.Errorf("Host %q was answered with %d", host, w.Code)
		}
	})
}

func FuzzPrintable(f *testing.F) {
	f.Add(hostile)
	f.Add("emea holds all 200 users of apac")
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		for _, r := range got {
			if r != utf8.RuneError && !unicode.IsPrint(r) {
				t.Errorf("%q became %q, which has %q", s, got, r)
			}
		}
		if again := printable(got); again != got {
			t.Errorf("%q twice gives %q", got, again)
		}
	})
}
