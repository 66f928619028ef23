package listener

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const goodToken = "correct-horse-battery-staple-4711"

// files are a certificate for the loopback and mesh.example.com, its key, and a
// token, as they should be.
type files struct {
	t                     *testing.T
	dir, cert, key, token string
}

func newFiles(t *testing.T) *files {
	t.Helper()
	dir := t.TempDir()
	f := &files{t, dir, filepath.Join(dir, "page.pem"), filepath.Join(dir, "page.key"), filepath.Join(dir, "page.token")}
	f.renew(1, time.Now().AddDate(1, 0, 0))
	f.write(f.token, goodToken+"\r\n")
	return f
}

func (f *files) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// renew puts another certificate with another key in place.
func (f *files) renew(serial int64, until time.Time) {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "mesh.example.com"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until,
		DNSNames: []string{"mesh.example.com", "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		f.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(f.cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	f.write(f.key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}

func (f *files) config(address string) Config {
	return Config{Address: address, Cert: f.cert, Key: f.key, Token: f.token}
}

// lines is a log that tests read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// serve opens, lets the listener be set otherwise, and serves until the test ends.
func serve(t *testing.T, c Config, h http.Handler, set ...func(*Listener)) *Listener {
	t.Helper()
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range set {
		f(l)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return l
}

var secretPage = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "the mesh at %s", r.URL.Path)
})

// TestAddressBeyondThisMachineNeedsTLSAndAToken: every way of writing such an
// address is refused without the files, and said what would do.
func TestAddressBeyondThisMachineNeedsTLSAndAToken(t *testing.T) {
	f := newFiles(t)
	for _, address := range []string{"0.0.0.0", "0.0.0.0:0", ":0", "[::]:0", "::", "[::ffff:0.0.0.0]:0", "192.0.2.1:8080", "[2001:db8::1]:8080", "[fe80::1%lo]:8080", "224.0.0.1:80"} {
		_, err := Open(t.Context(), Config{Address: address})
		if err == nil {
			t.Errorf("%s was opened", address)
			continue
		}
		for _, says := range []string{"--listen " + address, "--tls-cert FILE", "--tls-key FILE", "--token-file FILE", "127.0.0.1:"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %q does not say %q", address, err, says)
			}
		}
		c := f.config(address)
		c.Local = "demo"
		if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "demo is for this machine alone") {
			t.Errorf("demo at %s with every file: %v", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "127.1.2.3:0", "[::1]:0", "[::ffff:127.0.0.1]:0"} {
		l, err := Open(t.Context(), Config{Address: address, Local: "demo"})
		if err != nil {
			if strings.Contains(address, "[::1]") {
				t.Logf("this machine has no IPv6: %v", err)
				continue
			}
			t.Errorf("%s: %v", address, err)
			continue
		}
		if ap := l.Addr().(*net.TCPAddr); !ap.IP.IsLoopback() {
			t.Errorf("%s is open at %s", address, ap)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	// With the files it is open.
	l, err := Open(t.Context(), f.config("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	if ip := l.Addr().(*net.TCPAddr).IP; !ip.Equal(net.IPv4zero) || ip.To4() == nil {
		t.Errorf("0.0.0.0 listens on %s, want IPv4 only", ip)
	}
	if !strings.HasPrefix(l.URL(), "https://") || strings.Contains(l.URL(), "0.0.0.0") {
		t.Errorf("URL %s, want one that can be asked", l.URL())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestEverythingWrongIsSaidAtOnce, each with its cure.
func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	f := newFiles(t)
	pipe := filepath.Join(f.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(f.dir, name)
		f.write(name, text)
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	other := newFiles(t)
	for _, c := range []struct {
		name   string
		change func(*Config)
		says   []string
	}{
		{"certificate missing, token too short, name with a scheme", func(c *Config) {
			c.Cert, c.Token, c.Hosts = "nowhere.pem", put("short", "12345\n", 0o600), []string{"https://mesh.example.com/"}
		}, []string{"--tls-cert nowhere.pem", "5 characters", "at least 16", "umask 077", `--host "https://mesh.example.com/"`}},
		{"no key named", func(c *Config) { c.Key = "" }, []string{"--tls-key FILE"}},
		{"token for all to read", func(c *Config) { c.Token = put("open", goodToken, 0o644) }, []string{"mode 0644", "umask 077"}},
		{"token for a group to read", func(c *Config) { c.Token = put("group", goodToken, 0o640) }, []string{"mode 0640"}},
		{"token for all to write", func(c *Config) { c.Token = put("writable", goodToken, 0o602) }, []string{"mode 0602"}},
		{"empty token", func(c *Config) { c.Token = put("empty", "\r\n", 0o600) }, []string{"is empty", "base64"}},
		{"two lines", func(c *Config) { c.Token = put("two", goodToken+"\n"+goodToken+"\n", 0o600) }, []string{"line break"}},
		{"token is a pipe", func(c *Config) { c.Token = pipe }, []string{"no regular file"}},
		{"key is a folder", func(c *Config) { c.Key = f.dir }, []string{"--tls-key " + f.dir, "no regular file"}},
		{"certificate and key exchanged", func(c *Config) { c.Cert, c.Key = c.Key, c.Cert }, []string{"exchange the two"}},
		{"key of another certificate", func(c *Config) { c.Key = other.key }, []string{"does not match"}},
		{"encrypted key", func(c *Config) {
			c.Key = put("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600)
		}, []string{"encrypted", "openssl pkey"}},
		{"wildcard name", func(c *Config) { c.Hosts = []string{"*.example.com"} }, []string{"without *"}},
		{"name with a blank", func(c *Config) { c.Hosts = []string{"mesh example"} }, []string{"no host name"}},
		{"no port", func(c *Config) { c.Address = "localhost:http:" }, []string{"--listen"}},
		{"a port alone", func(c *Config) { c.Address = "8080" }, []string{"HOST:PORT"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := f.config("0.0.0.0:0")
			c.change(&config)
			_, err := Open(t.Context(), config)
			if err == nil {
				t.Fatal("it was opened")
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%q does not say %q", err, says)
				}
			}
			if strings.Contains(err.Error(), goodToken) {
				t.Errorf("the error holds the token: %v", err)
			}
			if checked := Check(t.Context(), config); checked == nil || checked.Error() != err.Error() {
				t.Errorf("checked: %v, opened: %v", checked, err)
			}
		})
	}
}

// TestHostsThatAreAnswered: a web site that points its own name here reads
// nothing, and a person who used another name is told which do.
func TestHostsThatAreAnswered(t *testing.T) {
	l := serve(t, Config{Address: "127.0.0.1:0", Hosts: []string{"mesh.example.com", "proxy.example.com:8443"}}, secretPage)
	port := portOf(l.Addr())
	for host, want := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "LOCALHOST:" + port: 200, "mesh.example.com": 200, "mesh.example.com:9": 200, "Mesh.Example.com.": 200, "proxy.example.com:8443": 200,
		"proxy.example.com": 421, "127.0.0.1:1": 421, "evil.example.com:" + port: 421, "mesh.example.com.evil.example.com": 421, "192.0.2.1:" + port: 421,
	} {
		code, body, _ := ask(t, http.DefaultClient, "GET", l.URL()+"/", func(r *http.Request) { r.Host = host })
		if code != want {
			t.Errorf("Host %s: %d, want %d", host, code, want)
		}
		if want == 421 && (!strings.Contains(body, "mesh.example.com") || !strings.Contains(body, "--host NAME")) {
			t.Errorf("Host %s is not told which names are answered: %s", host, body)
		}
	}
}

func ask(t *testing.T, client *http.Client, method, at string, change func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, at, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

// person is a browser: it keeps cookies, follows nothing by itself, and trusts
// the certificate at hand.
func (f *files) person(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	text, err := os.ReadFile(f.cert)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func enter(t *testing.T, client *http.Client, at, token, next string) (int, string, http.Header) {
	t.Helper()
	form := url.Values{"token": {token}, "next": {next}}.Encode()
	return ask(t, client, "POST", at+"/login", func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = io.NopCloser(strings.NewReader(form))
		r.ContentLength = int64(len(form))
	})
}

func asBrowser(r *http.Request) { r.Header.Set("Accept", "text/html,*/*") }

// TestLogInAndOut is a person's whole visit.
func TestLogInAndOut(t *testing.T) {
	f, said := newFiles(t), &lines{}
	c := f.config("127.0.0.1:0")
	c.Log = said.log()
	l := serve(t, c, secretPage)
	person, at := f.person(t), l.URL()

	code, body, header := ask(t, person, "GET", at+"/peer/emea%3Eapac", asBrowser)
	if code != 303 || header.Get("Location") != "/login?next=%2Fpeer%2Femea%253Eapac" || strings.Contains(body, "the mesh") {
		t.Errorf("without a session: %d to %q, want the form", code, header.Get("Location"))
	}
	code, body, header = ask(t, person, "GET", at+"/login?next=%2Fpeer%2Femea%253Eapac", asBrowser)
	if code != 200 || !strings.Contains(body, `<label for="token">`) || !strings.Contains(body, `value="/peer/emea%3Eapac"`) {
		t.Errorf("the form: %d %s", code, body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if header.Get(name) != want {
			t.Errorf("%s: %q", name, header.Get(name))
		}
	}
	if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy: %q", csp)
	}
	if code, _, header := enter(t, person, at, goodToken[1:], "/"); code != 403 || header.Get("Set-Cookie") != "" {
		t.Errorf("a wrong token: %d %v", code, header)
	}
	code, _, header = enter(t, person, at, goodToken, "/peer/emea%3Eapac")
	if code != 303 || header.Get("Location") != "/peer/emea%3Eapac" {
		t.Errorf("the right token: %d to %q", code, header.Get("Location"))
	}
	cookie := header.Get("Set-Cookie")
	for _, want := range []string{"__Host-peerkeeper=", "Path=/", "HttpOnly", "Secure", "SameSite=Strict", "Max-Age=43200"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie has no %s: %s", want, cookie)
		}
	}
	if strings.Contains(cookie, goodToken) {
		t.Error("the cookie is the token")
	}
	if code, body, _ := ask(t, person, "GET", at+"/", asBrowser); code != 200 || body != "the mesh at /" {
		t.Errorf("with the session: %d %s", code, body)
	}
	stolen := person.Jar.Cookies(mustURL(t, at))
	if code, _, _ := ask(t, person, "POST", at+"/logout", nil); code != 303 {
		t.Errorf("logging out: %d", code)
	}
	if code, _, _ := ask(t, person, "GET", at+"/", asBrowser); code != 303 {
		t.Errorf("after logging out: %d, want the form", code)
	}
	if code, _, _ := ask(t, person, "GET", at+"/", func(r *http.Request) { asBrowser(r); r.AddCookie(stolen[0]) }); code != 303 {
		t.Errorf("a copy of the session after logging out: %d, want the form", code)
	}
	if strings.Contains(said.String(), goodToken) || strings.Contains(said.String(), goodToken[1:]) {
		t.Errorf("a token is in the log:\n%s", said)
	}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestWhatDoesNotOpenTheDoor: only a session or the token in a header does.
func TestWhatDoesNotOpenTheDoor(t *testing.T) {
	f := newFiles(t)
	l := serve(t, f.config("127.0.0.1:0"), secretPage)
	at, person := l.URL(), f.person(t)
	_, _, header := enter(t, person, at, goodToken, "/")
	good := (&http.Response{Header: header}).Cookies()[0].Value
	flipped := []byte(good)
	flipped[3] ^= 1
	for name, change := range map[string]func(*http.Request){
		"nothing":             func(*http.Request) {},
		"token in the URL":    func(r *http.Request) { r.URL.RawQuery = "token=" + goodToken + "&access_token=" + goodToken },
		"token as the cookie": func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookieName, Value: goodToken}) },
		"session changed":     func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookieName, Value: string(flipped)}) },
		"session cut":         func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookieName, Value: good[:40]}) },
		"empty session":       func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookieName, Value: ""}) },
		"basic log-in":        func(r *http.Request) { r.SetBasicAuth("peerkeeper", goodToken) },
		"empty bearer":        func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") },
		"half a bearer":       func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+goodToken[:20]) },
	} {
		stranger := f.person(t)
		code, body, header := ask(t, stranger, "GET", at+"/api/status.json", change)
		if code != 401 || strings.Contains(body, "the mesh") || header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %q, want 401", name, code, body)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"the token as a bearer": func(r *http.Request) { r.Header.Set("Authorization", "bearer "+goodToken) },
		"the session":           func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookieName, Value: good}) },
	} {
		if code, body, _ := ask(t, f.person(t), "GET", at+"/api/status.json", change); code != 200 {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	// Another site's form neither logs in nor out.
	for _, path := range []string{"/login", "/logout"} {
		if code, _, _ := ask(t, person, "POST", at+path, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); code != 403 {
			t.Errorf("a form of another site to %s: %d, want 403", path, code)
		}
	}
	if code, _, _ := ask(t, person, "GET", at+"/", asBrowser); code != 200 {
		t.Errorf("the person is logged out by another site: %d", code)
	}
}

// TestAfterLogInPeopleStayHere: the way on after the form leads nowhere else.
func TestAfterLogInPeopleStayHere(t *testing.T) {
	for next, want := range map[string]string{
		"/peer/emea%3Eapac": "/peer/emea%3Eapac", "/": "/", "": "/", "//evil.example.com": "/", "https://evil.example.com/": "/",
		"/\\evil.example.com": "/", "javascript:alert(1)": "/", "peer": "/", "/%2F/evil": "/", "/login": "/", "/\r\nSet-Cookie: a=b": "/",
	} {
		if got := within(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

// TestLinkFromAMailFindsTheSession: a browser keeps a strict cookie back after a
// link from elsewhere, so the form asks once more by itself.
func TestLinkFromAMailFindsTheSession(t *testing.T) {
	f := newFiles(t)
	l := serve(t, f.config("127.0.0.1:0"), secretPage)
	person := f.person(t)
	_, body, _ := ask(t, person, "GET", l.URL()+"/login?next=%2Fpeer%2Fa%253Eb", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	if !strings.Contains(body, `http-equiv="refresh" content="0; url=/login?next=%2Fpeer%2Fa%253Eb"`) {
		t.Errorf("the form does not ask again:\n%s", body)
	}
	enter(t, person, l.URL(), goodToken, "/")
	if code, _, header := ask(t, person, "GET", l.URL()+"/login?next=%2Fpeer%2Fa%253Eb", asBrowser); code != 303 || header.Get("Location") != "/peer/a%3Eb" {
		t.Errorf("asked again with the session: %d to %q", code, header.Get("Location"))
	}
}

// TestTriesAreLimited, for forms and scripts together, and for each address by
// itself; who is logged in goes on.
func TestTriesAreLimited(t *testing.T) {
	f, said := newFiles(t), &lines{}
	c := f.config("127.0.0.1:0")
	c.Log = said.log()
	l := serve(t, c, secretPage)
	at, inside, stranger := l.URL(), f.person(t), f.person(t)
	enter(t, inside, at, goodToken, "/")
	for range 20 { // a right token costs no try
		if code, _, _ := ask(t, f.person(t), "GET", at+"/", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+goodToken) }); code != 200 {
			t.Fatalf("a script with the token: %d", code)
		}
	}
	for i := range triesAtOnce {
		if code, _, _ := enter(t, stranger, at, fmt.Sprint("wrong", i), "/"); code != 403 {
			t.Errorf("wrong token %d: %d, want 403", i, code)
		}
	}
	code, body, header := enter(t, stranger, at, goodToken, "/")
	if wait, err := strconv.Atoi(header.Get("Retry-After")); code != 429 || err != nil || wait < 1 || wait > 31 || !strings.Contains(body, "Too many wrong tokens") {
		t.Errorf("the sixth: %d, wait %q", code, header.Get("Retry-After"))
	}
	if code, _, _ := ask(t, stranger, "GET", at+"/", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+goodToken) }); code != 429 {
		t.Errorf("by a header: %d, want 429", code)
	}
	if code, _, _ := ask(t, inside, "GET", at+"/", asBrowser); code != 200 {
		t.Errorf("who is logged in: %d", code)
	}
	// Another address has its own tries.
	elsewhere := f.person(t)
	elsewhere.Transport.(*http.Transport).DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).DialContext
	if code, _, _ := enter(t, elsewhere, at, goodToken, "/"); code != 303 {
		t.Errorf("from another address: %d, want in", code)
	}
	if n := strings.Count(said.String(), "wrong tokens"); n > 2 {
		t.Errorf("%d lines about wrong tokens in a second:\n%s", n, said)
	}
}

// TestSessionsEnd by themselves, and with the token.
func TestSessionsEnd(t *testing.T) {
	f := newFiles(t)
	d, err := newDoor(f.token, newOften(slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s := d.newSession(now)
	for at, want := range map[time.Duration]bool{0: true, sessionLength - time.Minute: true, sessionLength + time.Second: false, 240 * time.Hour: false} {
		if _, _, ok := d.read(s, now.Add(at)); ok != want {
			t.Errorf("after %s: %v, want %v", at, ok, want)
		}
	}
	f.write(f.token, "another-token-of-enough-characters")
	d.token.looked = time.Time{} // its second is over
	if _, _, ok := d.read(s, now); ok {
		t.Error("the session outlives its token")
	}
	next, err := newDoor(f.token, newOften(slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := next.read(d.newSession(now), now); ok {
		t.Error("a session of another process is taken")
	}
	// A token that became readable by others is not taken over, nor does it
	// shut the page.
	s = d.newSession(now)
	f.write(f.token, "yet-another-token-of-enough-characters")
	if err := os.Chmod(f.token, 0o644); err != nil {
		t.Fatal(err)
	}
	d.token.looked = time.Time{}
	if _, _, ok := d.read(s, now); !ok {
		t.Error("a token file for all to read replaced the token")
	}
}

// TestRenewedCertificateIsServed without a restart, whole, and never half.
func TestRenewedCertificateIsServed(t *testing.T) {
	f, said := newFiles(t), &lines{}
	c := f.config("127.0.0.1:0")
	c.Log = said.log()
	l := serve(t, c, secretPage)
	served := func() int64 {
		t.Helper()
		l.cert.mu.Lock()
		l.cert.looked = time.Time{} // its second is over
		l.cert.mu.Unlock()
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", l.Addr().String()) //nolint:gosec // the serial number is what is looked at
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := served(); got != 1 {
		t.Errorf("serial %d, want 1", got)
	}
	oldKey, err := os.ReadFile(f.key)
	if err != nil {
		t.Fatal(err)
	}
	f.renew(2, time.Now().AddDate(1, 0, 0))
	newKey, err := os.ReadFile(f.key)
	if err != nil {
		t.Fatal(err)
	}
	f.write(f.key, string(oldKey)) // half done
	for range 3 {
		if got := served(); got != 1 {
			t.Errorf("half renewed: serial %d, want still 1", got)
		}
	}
	f.write(f.key, string(newKey))
	if got := served(); got != 2 {
		t.Errorf("renewed: serial %d, want 2", got)
	}
	if n := strings.Count(said.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d lines about the half, want one:\n%s", n, said)
	}
	if _, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}}).DialContext(t.Context(), "tcp", l.Addr().String()); err == nil { //nolint:gosec // refused is what is tested
		t.Error("TLS 1.1 is spoken")
	}
}

// TestNotesAtTheStart: what is lawful and will be complained of.
func TestNotesAtTheStart(t *testing.T) {
	f := newFiles(t)
	f.renew(3, time.Now().Add(-time.Hour))
	if err := os.Chmod(f.key, 0o644); err != nil {
		t.Fatal(err)
	}
	c := f.config("127.0.0.1:0")
	c.Hosts, c.Keep = []string{"mesh.example.com", "other.example.com:8443"}, 1<<30
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	notes := strings.Join(l.Notes(), "\n")
	for _, want := range []string{"expired on", "may be read by everybody", "does not carry the name other.example.com", "LimitNOFILE"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "name mesh.example.com") {
		t.Errorf("complains of a name that it carries:\n%s", notes)
	}
}

// TestFilesAreKeptForTheWork: whatever may be opened, readers get the small
// part.
func TestFilesAreKeptForTheWork(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit uint64
		keep  int
		want  int
	}{
		{"as usual", 1024, 0, 256},
		{"thirty clusters of three nodes", 1024, 844, 180},
		{"a generous system", 1 << 20, 844, 512},
		{"no limit", 1<<64 - 1, 844, 512},
		{"too few for the work itself", 256, 844, minShare},
	} {
		if got := share(c.limit, c.keep); got != c.want {
			t.Errorf("%s: %d connections, want %d", c.name, got, c.want)
		}
	}
}

// places bounds how many connections there may be.
func places(n int) func(*Listener) { return func(l *Listener) { l.bound.total = n } }

// TestIdleConnectionsGiveWay: more than a thousand that only wait take neither
// the files nor the page, and are one line in the log.
func TestIdleConnectionsGiveWay(t *testing.T) {
	said := &lines{}
	l := serve(t, Config{Address: "127.0.0.1:0", Log: said.log()}, secretPage, places(64))
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range 1100 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	for range 20 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		if code, body, _ := ask(t, client, "GET", l.URL()+"/", nil); code != 200 {
			t.Fatalf("among 1,100 idle connections: %d %s", code, body)
		}
	}
	if n := l.bound.open(); n > l.bound.each(origin(l.Addr())) {
		t.Errorf("%d connections are open, want at most %d of one address", n, l.bound.each(origin(l.Addr())))
	}
	if n := strings.Count(said.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings for 1,100 connections, want one:\n%s", n, said)
	}
}

// TestBusyConnectionsAreNotPushedOut: who is being answered keeps the place, the
// next one of the same address is told to come again, and another address still
// has room.
func TestBusyConnectionsAreNotPushedOut(t *testing.T) {
	release := make(chan struct{})
	l := serve(t, Config{Address: "127.0.0.1:0"}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		io.WriteString(w, "whole")
	}), places(16))
	each := l.bound.each(origin(l.Addr()))
	var busy []net.Conn
	for range each {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /slow HTTP/1.1\r\nHost: localhost:%s\r\n\r\n", portOf(l.Addr()))
		busy = append(busy, c)
	}
	waitUntil(t, func() bool {
		l.bound.mu.Lock()
		defer l.bound.mu.Unlock()
		n := 0
		for c := range l.bound.conns {
			if !c.idle {
				n++
			}
		}
		return n == each
	})
	refused, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	answer, _ := io.ReadAll(refused) // nothing was sent, so nothing resets it
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 503 ")) || !bytes.Contains(answer, []byte("Retry-After: 5")) {
		t.Errorf("the next of the same address is told %q, want 503", answer)
	}
	if res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil); err != nil {
		t.Errorf("it is no answer in HTTP: %v", err)
	} else if _, err := io.ReadAll(res.Body); err != nil {
		t.Errorf("its length is wrong: %v", err)
	}
	elsewhere := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext, DisableKeepAlives: true}}
	if code, _, _ := ask(t, elsewhere, "GET", l.URL()+"/", nil); code != 200 {
		t.Errorf("another address: %d, want 200", code)
	}
	close(release)
	for i, c := range busy {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 200 {
			t.Errorf("busy reader %d was not answered: %v", i, err)
		}
	}
}

func waitUntil(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(end) {
			t.Fatal("in vain")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestManyOfOneAddressPushOutNoOther: where all places are taken, it is an
// address with many that gives one up.
func TestManyOfOneAddressPushOutNoOther(t *testing.T) {
	l := serve(t, Config{Address: "127.0.0.1:0"}, secretPage, places(16))
	dial := func(from byte) net.Conn {
		t.Helper()
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}).Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	first := dial(3)
	waitUntil(t, func() bool { return l.bound.open() == 1 })
	for range 40 {
		dial(4)
	}
	for range 40 {
		dial(5)
	}
	waitUntil(t, func() bool { return l.bound.open() == 16 })
	fmt.Fprintf(first, "GET / HTTP/1.1\r\nHost: localhost:%s\r\n\r\n", portOf(l.Addr()))
	if res, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil || res.StatusCode != 200 {
		t.Errorf("the reader who came first: %v", err)
	}
}

// TestStrangersFillNoLog: what one connection does wrong is no line of its own.
func TestStrangersFillNoLog(t *testing.T) {
	f, said := newFiles(t), &lines{}
	c := f.config("127.0.0.1:0")
	c.Log = slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelInfo}))
	l := serve(t, c, secretPage)
	for range 30 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n") // to a port that speaks TLS
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	if said.String() != "" {
		t.Errorf("thirty failed handshakes said\n%s", said)
	}
}

// TestSlowOnesAreCutOff: a client that says nothing, a byte now and then, half a body,
// or takes nothing of a long answer, holds a place for as long as the deadlines
// say. They are short here.
func TestSlowOnesAreCutOff(t *testing.T) {
	const short = 200 * time.Millisecond
	long := bytes.Repeat([]byte("a long answer. "), 1<<20)
	f := newFiles(t)
	for _, c := range []struct {
		name  string
		guard bool
		do    func(c net.Conn)
	}{
		{"nothing at all", false, func(net.Conn) {}},
		{"a byte of the headers now and then", false, func(c net.Conn) {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
			trickle(c)
		}},
		{"a byte of the body now and then", false, func(c net.Conn) {
			fmt.Fprintf(c, "POST /read HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n", c.RemoteAddr())
			trickle(c)
		}},
		{"nothing of the answer is taken", false, func(c net.Conn) {
			fmt.Fprintf(c, "GET /long HTTP/1.1\r\nHost: %s\r\n\r\n", c.RemoteAddr())
		}},
		{"nothing of many answers is taken", false, func(c net.Conn) {
			io.WriteString(c, strings.Repeat(fmt.Sprintf("GET /long HTTP/1.1\r\nHost: %s\r\n\r\n", c.RemoteAddr()), 20))
		}},
		{"nothing after a first answer", false, func(c net.Conn) {
			fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", c.RemoteAddr())
		}},
		{"half a handshake", true, func(c net.Conn) { io.WriteString(c, "\x16\x03\x01\x02\x00\x01") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := Config{Address: "127.0.0.1:0"}
			if c.guard {
				config = f.config("127.0.0.1:0")
			}
			l, err := Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			l.slow = deadlines{short, short, short, short}
			cut := make(chan struct{})
			l.bound.Listener = telling{l.bound.Listener, cut}
			ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
			done := make(chan error, 1)
			go func() {
				done <- l.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/read":
						io.Copy(io.Discard, r.Body)
					case "/long":
						w.Write(long)
					}
				}))
			}()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go c.do(conn)
			select {
			case <-cut:
			case <-time.After(time.Minute):
				t.Error("it holds its place")
			}
			if n := l.bound.open(); n != 0 {
				t.Errorf("%d places are taken", n)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// telling tells when the one connection that comes is closed.
type telling struct {
	net.Listener
	closed chan struct{}
}

func (w telling) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return told{c, w.closed}, nil
}

type told struct {
	net.Conn
	closed chan struct{}
}

func (w told) Close() error {
	defer close(w.closed)
	return w.Conn.Close()
}

// trickle sends a byte now and then until it is cut off.
func trickle(c net.Conn) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := io.WriteString(c, "a"); err != nil {
			return
		}
	}
}

// open is how many connections there are.
func (b *bounded) open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}
