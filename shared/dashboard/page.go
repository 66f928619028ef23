package dashboard

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/listener"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

//go:embed web
var web embed.FS

// Page serves a mesh's status to browsers. It only answers GET and HEAD, loads
// nothing from anywhere else, and needs no JavaScript to be read.
type Page struct {
	Source
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Hosts are the Host header values that are answered, such as
	// "127.0.0.1:8080"; a value without a port fits every port. Any other is
	// refused, or a web site could read the page by pointing its own name here
	// (DNS rebinding). None means this machine's loopback names only.
	Hosts []string
	// Title stands above the mesh's name; "" means Peerkeeper.
	Title string
	// Note stands at the foot of the page.
	Note string
	// LogOut is where the page's button for it is posted; "" where nobody logs
	// in.
	LogOut string
	// Log hears of a store that does not answer; nil means slog.Default.
	Log *slog.Logger
}

// Handler is the page: /, /peer/{id}, /api/status.json, /api/explain/{id}.json,
// /app.css and /app.js.
func (p *Page) Handler() http.Handler {
	h := &handler{Page: p, tmpl: template.Must(template.New("page.html").Funcs(template.FuncMap{
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"stamp": stamp,
	}).ParseFS(web, "web/page.html"))}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", h.page)
	mux.HandleFunc("/peer/{id}", h.page)
	mux.HandleFunc("/api/status.json", h.status)
	mux.HandleFunc("/api/explain/{file}", h.explain)
	mux.HandleFunc("/api/trust.json", h.trust)
	mux.HandleFunc("/app.css", h.asset("web/app.css", "text/css; charset=utf-8"))
	mux.HandleFunc("/app.js", h.asset("web/app.js", "text/javascript; charset=utf-8"))
	return h.guard(mux)
}

type handler struct {
	*Page
	tmpl  *template.Template
	press press
	// before is what was loaded last; in the press's turn only.
	before *record.Snapshot
}

// headerAsOf tells the script the instant of an answer without a body. It is
// the mesh's clock, which in a simulated mesh is not the browser's.
const headerAsOf = "Peerkeeper-As-Of"

// guard sets what every answer carries, and refuses what is not for this page.
func (h *handler) guard(next http.Handler) http.Handler {
	hosts := h.Hosts
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "[::1]"}
	}
	forms := "'none'"
	if h.LogOut != "" {
		forms = "'self'"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listener.Harden(w.Header(), forms)
		switch {
		case !listener.Answers(hosts, r):
			listener.Misdirected(w, hosts)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this page only shows; it takes GET and HEAD", http.StatusMethodNotAllowed)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (h *handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

func (h *handler) logger() *slog.Logger {
	if h.Log != nil {
		return h.Log
	}
	return slog.Default()
}

// current finds the mesh as it is, or answers the request itself.
func (h *handler) current(w http.ResponseWriter, r *http.Request) (*edition, bool) {
	e, err := h.edition(r.Context())
	if err != nil {
		h.unavailable(w, r, err)
		return nil, false
	}
	w.Header().Set(headerAsOf, e.snap.now.UTC().Format(time.RFC3339Nano))
	return e, true
}

func (h *handler) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, context.Canceled) {
		h.logger().ErrorContext(r.Context(), "the page cannot be shown", "error", err)
	}
	w.Header().Set("Retry-After", "5")
	http.Error(w, "the store does not answer; try again", http.StatusServiceUnavailable)
}

// serve answers with a document of an edition. Its tag is known before it is
// made where it is the edition's own.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, e *edition, name, etag string, do func() (*document, error)) {
	w.Header().Set("Vary", "Accept-Encoding")
	if etag != "" {
		w.Header().Set("ETag", etag)
		if matches(r.Header.Get("If-None-Match"), etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	d, err := h.made(r.Context(), e, name, do)
	switch {
	case errors.Is(err, ErrNoSuchPeer):
		http.Error(w, "no such peer in this mesh", http.StatusNotFound)
		return
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		h.unavailable(w, r, err)
		return
	case err != nil:
		h.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", d.etag)
	if matches(r.Header.Get("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", d.contentType)
	body := d.body
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		body = d.zipped
	}
	h.write(w, r, body)
}

// takesGzip reads an Accept-Encoding header: gzip, unless its weight is 0.
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		weight, weighed := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
		n, err := strconv.ParseFloat(weight, 64)
		return !weighed || err == nil && n > 0
	}
	return false
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	var id mesh.PeerID
	if raw := r.PathValue("id"); raw != "" {
		var err error
		if id, err = mesh.ParsePeerID(raw); err != nil {
			http.Error(w, "no such peer in this mesh", http.StatusNotFound)
			return
		}
	}
	e, ok := h.current(w, r)
	if !ok {
		return
	}
	etag := e.etag
	if id != (mesh.PeerID{}) {
		etag = "" // of a peer that is none there is none
	}
	h.serve(w, r, e, "page "+id.String(), etag, func() (*document, error) {
		body, err := h.html(e, id)
		if err != nil {
			return nil, err
		}
		return newDocument("text/html; charset=utf-8", e.etag, body), nil
	})
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	if e, ok := h.current(w, r); ok {
		h.json(w, r, e, "status", e.etag, func() (string, any, error) { return e.etag, e.status, nil })
	}
}

func (h *handler) explain(w http.ResponseWriter, r *http.Request) {
	raw, ok := strings.CutSuffix(r.PathValue("file"), ".json")
	id, err := mesh.ParsePeerID(raw)
	if !ok || err != nil {
		http.Error(w, "no such peer in this mesh", http.StatusNotFound)
		return
	}
	e, ok := h.current(w, r)
	if !ok {
		return
	}
	h.json(w, r, e, "explain "+id.String(), "", func() (string, any, error) {
		x, err := e.snap.explain(id)
		return e.snap.tag(nil, []Peer{x.Peer}), x, err
	})
}

// tag names what is shown, without the instant of asking: the items it comes
// from, and what time alone has made of them (too old, expiring, overdue).
func (snap *snapshot) tag(clusters []Cluster, peers []Peer) string {
	sum := sha256.New()
	part := func(s string) { fmt.Fprintf(sum, "%d:%s", len(s), s) }
	part(snap.Mesh.Hash())
	for sk, of := range snap.Sums() {
		part(sk)
		sum.Write(of[:])
	}
	for _, c := range clusters {
		for _, f := range c.Findings {
			part(string(f.ID))
			part(string(f.Severity))
			part(f.Message)
		}
	}
	for _, p := range peers {
		part(string(p.State))
		part(p.Cause)
		for _, c := range p.Conditions {
			part(string(c.Status))
			part(string(c.Reason))
		}
	}
	for _, function := range slices.Sorted(maps.Keys(snap.runs)) {
		if snap.overdue(function, snap.runs[function]) {
			part(function)
		}
	}
	// Weak: the body's instant may differ under the same tag.
	return `W/"` + hex.EncodeToString(sum.Sum(nil)[:12]) + `"`
}

func (h *handler) json(w http.ResponseWriter, r *http.Request, e *edition, name, etag string, value func() (etag string, value any, err error)) {
	if r.Method == http.MethodHead && etag != "" && !matches(r.Header.Get("If-None-Match"), etag) {
		w.Header().Set("ETag", etag) // who only asks whether it changed needs no document
		w.Header().Set("Content-Type", "application/json")
		return
	}
	h.serve(w, r, e, name, etag, func() (*document, error) {
		etag, v, err := value()
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		return newDocument("application/json", etag, append(plain.JSON(body), '\n')), nil
	})
}

// matches compares If-None-Match weakly, as RFC 9110 has it.
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

func (h *handler) asset(name, contentType string) http.HandlerFunc {
	body, err := web.ReadFile(name)
	if err != nil {
		panic(err) // embedded: it is there or the program does not build
	}
	d := newDocument(contentType, "", body)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			w.Header().Set("Content-Encoding", "gzip")
			h.write(w, r, d.zipped)
			return
		}
		h.write(w, r, d.body)
	}
}

func (h *handler) write(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		h.logger().DebugContext(r.Context(), "the reader went away", "error", err)
	}
}

func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.logger().ErrorContext(r.Context(), "the page cannot be shown", "error", err)
	http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
}

// title is what stands above the mesh's name.
func (h *handler) title() string { return cmp.Or(h.Title, "Peerkeeper") }
