package dashboard

import (
	"bytes"
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
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
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
	tmpl *template.Template
	// known is what the last load decoded; the map is never changed once it
	// is here.
	known atomic.Pointer[map[string]decoded]
}

// policy is the Content-Security-Policy: nothing but this server's own script,
// style and data, and no way to be framed or to send a form anywhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// headerAsOf tells the script the instant of an answer without a body. It is
// the mesh's clock, which in a simulated mesh is not the browser's.
const headerAsOf = "Peerkeeper-As-Of"

// guard sets what every answer carries, and refuses what is not for this page.
func (h *handler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy":      policy,
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cache-Control":                "no-store",
		} {
			w.Header().Set(name, value)
		}
		switch {
		case !allowed(h.Hosts, r.Host):
			http.Error(w, "this name is not one that Peerkeeper answers to", http.StatusMisdirectedRequest)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this page only shows; it takes GET and HEAD", http.StatusMethodNotAllowed)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// allowed reports whether a Host header value is one of ours.
func allowed(hosts []string, host string) bool {
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "[::1]"}
	}
	bare := host
	if name, _, err := net.SplitHostPort(host); err == nil {
		bare = name
		if strings.Contains(name, ":") {
			bare = "[" + name + "]"
		}
	}
	for _, h := range hosts {
		if strings.EqualFold(h, host) || strings.EqualFold(h, bare) {
			return true
		}
	}
	return false
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

// load reads the store, or answers the request itself.
func (h *handler) load(w http.ResponseWriter, r *http.Request) (*snapshot, bool) {
	var known map[string]decoded
	if last := h.known.Load(); last != nil {
		known = *last
	}
	snap, err := h.Source.load(r.Context(), h.now(), known)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			h.logger().ErrorContext(r.Context(), "the page cannot be shown", "error", err)
		}
		w.Header().Set("Retry-After", "5")
		http.Error(w, "the store does not answer; try again", http.StatusServiceUnavailable)
		return nil, false
	}
	h.known.Store(&snap.items)
	w.Header().Set(headerAsOf, snap.now.UTC().Format(time.RFC3339Nano))
	return snap, true
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
	snap, ok := h.load(w, r)
	if !ok {
		return
	}
	st := snap.status()
	var chosen *Explanation
	if id != (mesh.PeerID{}) {
		e, err := snap.explain(id)
		if err != nil {
			http.Error(w, "no such peer in this mesh", http.StatusNotFound)
			return
		}
		chosen = &e
	}
	var b bytes.Buffer
	sheet := h.sheet(st, chosen, snap.tag(st.Clusters, st.Peers))
	sheet.Trust = trustSheetOf(snap)
	if chosen != nil {
		sheet.Chosen.Timeline = timelineSheetOf(snap, id)
	}
	if err := h.tmpl.Execute(&b, sheet); err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	h.write(w, r, b.Bytes())
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	snap, ok := h.load(w, r)
	if !ok {
		return
	}
	st := snap.status()
	h.json(w, r, snap.tag(st.Clusters, st.Peers), st)
}

func (h *handler) explain(w http.ResponseWriter, r *http.Request) {
	raw, ok := strings.CutSuffix(r.PathValue("file"), ".json")
	id, err := mesh.ParsePeerID(raw)
	if !ok || err != nil {
		http.Error(w, "no such peer in this mesh", http.StatusNotFound)
		return
	}
	snap, ok := h.load(w, r)
	if !ok {
		return
	}
	e, err := snap.explain(id)
	if err != nil {
		http.Error(w, "no such peer in this mesh", http.StatusNotFound)
		return
	}
	h.json(w, r, snap.tag(nil, []Peer{e.Peer}), e)
}

// tag names what is shown, without the instant of asking: the items it comes
// from, and what time alone has made of them (too old, expiring, overdue).
func (snap *snapshot) tag(clusters []Cluster, peers []Peer) string {
	sum := sha256.New()
	part := func(s string) { fmt.Fprintf(sum, "%d:%s", len(s), s) }
	part(snap.Mesh.Hash())
	for _, sk := range slices.Sorted(maps.Keys(snap.items)) {
		part(sk)
		d := snap.items[sk]
		sum.Write(d.sum[:])
	}
	for _, c := range clusters {
		for _, f := range c.Findings {
			part(f.ID)
			part(f.Severity)
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

func (h *handler) json(w http.ResponseWriter, r *http.Request, etag string, value any) {
	w.Header().Set("ETag", etag)
	w.Header().Set("Content-Type", "application/json")
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if r.Method == http.MethodHead {
		return
	}
	body, err := json.Marshal(value)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.write(w, r, append(plain.JSON(body), '\n'))
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
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		h.write(w, r, body)
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
