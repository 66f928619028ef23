package listener

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/binary"
	"html/template"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed login.html login.css
var web embed.FS

const (
	// cookieName begins as browsers demand of a cookie that only this host,
	// over TLS, may set.
	cookieName = "__Host-peerkeeper"
	// sessionLength is a shift.
	sessionLength = 12 * time.Hour
	nonceSize     = 16
	maxRevoked    = 4096
	// LogOut is where a form is posted to end a session.
	LogOut = "/logout"
	logIn  = "/login"
	style  = "/login.css"
)

// door lets in who has the token: people by a form and a cookie, scripts by an
// Authorization header.
type door struct {
	token *watched[[]byte] // its digest
	// boot is random, of this process: sessions end with it, and with every
	// change of the token.
	boot  []byte
	form  *template.Template
	often *often
	log   *slog.Logger
	tries tries

	mu      sync.Mutex
	revoked map[[nonceSize]byte]time.Time // logged out, until they would have expired
}

func newDoor(tokenFile string, o *often, logger *slog.Logger) (*door, error) {
	d := &door{boot: make([]byte, sha256.Size), often: o, log: logger, revoked: map[[nonceSize]byte]time.Time{},
		form: template.Must(template.ParseFS(web, "login.html"))}
	rand.Read(d.boot) // never fails: crypto/rand
	var err error
	d.token, err = watch(logger, func() ([]byte, error) { return readToken(tokenFile, d.boot) }, tokenFile)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// guard puts the door before a handler.
func (d *door) guard(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+logIn, d.showForm)
	mux.HandleFunc("POST "+logIn, d.enter)
	mux.HandleFunc("POST "+LogOut, d.leave)
	mux.HandleFunc("GET "+style, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		css, _ := web.ReadFile("login.css") // embedded
		_, _ = w.Write(css)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		switch d.admitted(r) {
		case in:
			next.ServeHTTP(w, r)
		case tooMany:
			d.tooManyTries(w, r)
		default:
			d.refuse(w, r)
		}
	})
	// A form on somebody else's site can neither log in nor log out here.
	own := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Harden(w.Header(), "'self'")
		own.ServeHTTP(w, r)
	})
}

type verdict int

const (
	out verdict = iota
	in
	tooMany
)

// admitted reports whether a request comes with a session or the token.
func (d *door) admitted(r *http.Request) verdict {
	if token, ok := bearer(r.Header.Get("Authorization")); ok {
		return d.try(r, token)
	}
	if d.session(r) {
		return in
	}
	return out
}

// try compares a token, if its address has a try left. A right one costs none.
func (d *door) try(r *http.Request, token string) verdict {
	from := asker(r)
	if !d.tries.take(from, time.Now()) {
		d.often.note(kindTries, from)
		return tooMany
	}
	if !hmac.Equal(digest(d.boot, token), d.token.get()) {
		d.often.note(kindToken, from)
		return out
	}
	d.tries.giveBack(from)
	return in
}

func asker(r *http.Request) netip.Prefix {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	return origin(net.TCPAddrFromAddrPort(ap))
}

// refuse sends a person to the form, and tells a script what is missing.
func (d *door) refuse(w http.ResponseWriter, r *http.Request) {
	page := r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/api/") && r.Header.Get("Authorization") == ""
	mode := r.Header.Get("Sec-Fetch-Mode")
	if page && (mode == "navigate" || mode == "" && strings.Contains(r.Header.Get("Accept"), "text/html")) {
		http.Redirect(w, r, logIn+"?"+url.Values{"next": {r.URL.EscapedPath()}}.Encode(), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="Peerkeeper"`)
	http.Error(w, "log in at "+logIn+", or send the token as Authorization: Bearer TOKEN", http.StatusUnauthorized)
}

func (d *door) tooManyTries(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", strconv.Itoa(int(d.tries.wait(asker(r), time.Now()).Seconds())+1))
	http.Error(w, "too many wrong tokens from your address; wait", http.StatusTooManyRequests)
}

// formData is what the form shows.
type formData struct {
	Next, Error string
	// Again has the browser ask once more by itself: after a link from another
	// site, such as a mail, it does not send a SameSite=Strict cookie at first.
	Again string
}

func (d *door) showForm(w http.ResponseWriter, r *http.Request) {
	next := within(r.URL.Query().Get("next"))
	if d.session(r) {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	data := formData{Next: next}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		data.Again = logIn + "?" + url.Values{"next": {next}}.Encode()
	}
	d.answer(w, http.StatusOK, data)
}

func (d *door) answer(w http.ResponseWriter, code int, data formData) {
	var b bytes.Buffer
	if err := d.form.Execute(&b, data); err != nil {
		d.log.Error("page: the log-in form cannot be shown", "error", err)
		http.Error(w, "the log-in form cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // a client that went away needs no answer
}

// enter is the form, filled in. The token is read from the body only: what
// stands in a URL ends in logs and histories.
func (d *door) enter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	if err := r.ParseForm(); err != nil {
		d.answer(w, http.StatusBadRequest, formData{Next: "/", Error: "The form did not arrive whole. Send it again."})
		return
	}
	next := within(r.PostForm.Get("next"))
	switch d.try(r, strings.TrimSpace(r.PostForm.Get("token"))) {
	case tooMany:
		wait := d.tries.wait(asker(r), time.Now())
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		d.answer(w, http.StatusTooManyRequests, formData{Next: next, Error: "Too many wrong tokens from your address. Try again in " + strconv.Itoa(int(math.Ceil(wait.Seconds()))) + " s."})
	case in:
		http.SetCookie(w, d.cookie(d.newSession(time.Now()), int(sessionLength.Seconds())))
		d.log.Info("page: logged in", "from", asker(r).Addr())
		http.Redirect(w, r, next, http.StatusSeeOther)
	default:
		d.answer(w, http.StatusForbidden, formData{Next: next, Error: "This is not the token."})
	}
}

// leave ends a session, here and not only in the browser.
func (d *door) leave(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		if nonce, until, ok := d.read(c.Value, time.Now()); ok {
			d.mu.Lock()
			for n, t := range d.revoked {
				if time.Now().After(t) || len(d.revoked) >= maxRevoked {
					delete(d.revoked, n)
				}
			}
			d.revoked[nonce] = until
			d.mu.Unlock()
		}
	}
	http.SetCookie(w, d.cookie("", -1))
	http.Redirect(w, r, logIn, http.StatusSeeOther)
}

func (d *door) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode}
}

// A session is when it ends (Unix seconds), a nonce, and a MAC over both under
// a key that only this process has and that hangs on the token.
func (d *door) newSession(now time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Add(sessionLength).Unix()))
	var nonce [nonceSize]byte
	rand.Read(nonce[:])
	b = append(b, nonce[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, d.mac(b)...))
}

func (d *door) mac(b []byte) []byte {
	mac := hmac.New(sha256.New, d.boot)
	mac.Write([]byte("session\x00"))
	mac.Write(d.token.get())
	mac.Write(b)
	return mac.Sum(nil)
}

// read opens a session's value; not ok if it is not ours or over.
func (d *door) read(value string, now time.Time) (nonce [nonceSize]byte, until time.Time, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	const head = 8 + nonceSize
	if err != nil || len(b) != head+sha256.Size || !hmac.Equal(b[head:], d.mac(b[:head])) {
		return nonce, until, false
	}
	copy(nonce[:], b[8:head])
	until = time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	return nonce, until, now.Before(until)
}

func (d *door) session(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	nonce, _, ok := d.read(c.Value, time.Now())
	d.mu.Lock()
	defer d.mu.Unlock()
	_, gone := d.revoked[nonce]
	return ok && !gone
}

// within keeps a path after log-in on this server: "//host" and "/\host" are
// other servers to a browser.
func within(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path, "\\\r\n") || u.Path == logIn || u.Path == LogOut {
		return "/"
	}
	return u.EscapedPath()
}
