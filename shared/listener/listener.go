// Package listener opens the one address at which people and scripts may ask
// Peerkeeper something, and keeps it from harming the work: who may ask, how
// many at once, and for how long.
//
// It owns the socket, its bounds and deadlines, TLS, the token with its log-in
// form, and the names that are answered. It knows nothing of meshes or pages:
// what is served is somebody else's handler.
//
// Its failure promise: whatever readers do, they use at most a quarter of the
// files that this process may open, each for a bounded time, and what they do
// is said once a minute at most. An address that other machines can reach is
// never served without TLS and a token. A certificate or a token that cannot be
// read again leaves the one before in use.
package listener

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// deadlines of one connection. Everything that is served is rendered before it
// is written, so that they bound the reader alone.
type deadlines struct {
	header time.Duration // from the connection, or the first byte of its next request, to the end of the headers; the TLS handshake too
	read   time.Duration // to the end of the body
	write  time.Duration // from the headers to the last byte of the answer
	idle   time.Duration // between two requests
}

const maxHeader = 16 << 10 // bytes

// Config is what is to be listened to. Its file names and hosts come from
// flags, by whose names its errors speak.
type Config struct {
	// Address is HOST, HOST:PORT or :PORT.
	Address string
	// Cert, Key and Token name files: all three, or none. Beyond this machine's
	// loopback they are needed.
	Cert, Key, Token string
	// Hosts are answered besides the address itself.
	Hosts []string
	// Local refuses every address beyond the loopback, and says that Verb never
	// takes one.
	Local string
	// Keep is how many files the work needs open at once. A quarter of what the
	// process may open is the most that readers get anyway.
	Keep int
	// Log hears, once a minute at most, of what was refused; nil discards.
	Log *slog.Logger
}

// Listener is an open address.
type Listener struct {
	bound *bounded
	cert  *watched[*tls.Certificate] // nil without TLS
	door  *door                      // nil without a token
	hosts []string
	notes []string
	errs  *log.Logger
	often *often
	slow  deadlines
}

// Check says what Open would find wrong, and opens nothing.
func Check(ctx context.Context, c Config) error {
	_, _, err := prepare(ctx, c)
	return err
}

// Open checks everything and then listens. Its error names each thing that is
// wrong, on a line of its own, with its cure.
func Open(ctx context.Context, c Config) (*Listener, error) {
	l, at, err := prepare(ctx, c)
	if err != nil {
		return nil, err
	}
	inner, err := listen(ctx, at)
	if err != nil {
		return nil, err
	}
	limit := openFiles()
	if c.Keep > 0 && limit < uint64(c.Keep+minShare) {
		l.notes = append(l.notes, fmt.Sprintf("this process may open %d files, and the mesh needs about %d: raise it (ulimit -n, or LimitNOFILE= of the service)", limit, c.Keep))
	}
	l.bound = &bounded{Listener: inner, total: share(limit, c.Keep), plain: l.cert == nil, often: l.often}
	l.hosts = answered(at, inner.Addr(), c.Hosts)
	return l, nil
}

func prepare(ctx context.Context, c Config) (*Listener, address, error) {
	logger := cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	at, err := resolve(ctx, c.Address)
	errs := []error{err, checkHosts(c.Hosts)}
	l := &Listener{often: newOften(logger), slow: deadlines{header: 5 * time.Second, read: 10 * time.Second, write: 30 * time.Second, idle: time.Minute}}
	l.errs = log.New(serverErrors{logger, l.often}, "", 0)
	files := []struct{ flag, name string }{{"--tls-cert", c.Cert}, {"--tls-key", c.Key}, {"--token-file", c.Token}}
	var missing []string
	for _, f := range files {
		if f.name == "" {
			missing = append(missing, f.flag+" FILE")
		}
	}
	beyond := err == nil && !at.ip.IsLoopback()
	switch {
	case beyond && c.Local != "":
		errs = append(errs, fmt.Errorf("--listen %s: %s is for this machine alone and takes a loopback address only, such as 127.0.0.1:8080", c.Address, c.Local))
	case beyond && len(missing) > 0:
		errs = append(errs, fmt.Errorf("--listen %s can be reached from other machines, which takes TLS and a token: add %s; or keep it on this machine (--listen 127.0.0.1:%d) and reach it through ssh -L", c.Address, strings.Join(missing, ", "), cmp.Or(at.port, defaultPort)))
	case len(missing) > 0 && len(missing) < len(files):
		errs = append(errs, fmt.Errorf("TLS and the token go together: add %s, or leave all of --tls-cert, --tls-key and --token-file out", strings.Join(missing, ", ")))
	}
	// What is there is checked even where something is missing: all mistakes
	// are told at once.
	if c.Cert != "" && c.Key != "" {
		var pairNotes []string
		l.cert, pairNotes, err = watchPair(c.Cert, c.Key, c.Hosts, logger)
		errs = append(errs, err)
		l.notes = append(l.notes, pairNotes...)
	} else {
		errs = append(errs, readable("--tls-cert", c.Cert), readable("--tls-key", c.Key))
	}
	if c.Token != "" {
		l.door, err = newDoor(c.Token, l.often, logger)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, at, err
	}
	return l, at, nil
}

func listen(ctx context.Context, at address) (net.Listener, error) {
	var config net.ListenConfig
	inner, err := config.Listen(ctx, at.network(), netip.AddrPortFrom(at.ip, at.port).String())
	switch {
	case err == nil:
		return inner, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: stop that one, or choose another address with --listen 127.0.0.1:PORT", at.given)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("this account may not listen on %s: choose a port above 1023 with --listen", at.given)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is no address of this machine: --listen takes one that is, such as 127.0.0.1:8080", at.given)
	}
	return nil, fmt.Errorf("cannot listen on %s: %w; --listen takes HOST:PORT such as 127.0.0.1:8080", at.given, err)
}

// Addr is the address that is listened to.
func (l *Listener) Addr() net.Addr { return l.bound.Addr() }

// URL is where a browser on this machine finds it. A wildcard is no address to
// ask at: it is then the first of this machine's.
func (l *Listener) URL() string {
	scheme := "http"
	if l.cert != nil {
		scheme = "https"
	}
	at := l.Addr().String()
	if ap, err := netip.ParseAddrPort(at); err == nil && ap.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(reachable(ap.Addr()), ap.Port()).String()
	}
	return scheme + "://" + at
}

// Hosts are the Host headers that are answered.
func (l *Listener) Hosts() []string { return slices.Clone(l.hosts) }

// Guarded reports whether readers log in.
func (l *Listener) Guarded() bool { return l.door != nil }

// Notes are what the person who starts it should know, one sentence each.
func (l *Listener) Notes() []string { return l.notes }

// Close stops listening, and ends what is open.
func (l *Listener) Close() error {
	l.often.stop()
	return l.bound.Close()
}

// Serve answers until the context ends. The handler is asked only by those who
// ask under a right name and, where there is a token, have it.
func (l *Listener) Serve(ctx context.Context, handler http.Handler) error {
	if l.door != nil {
		handler = l.door.guard(handler)
	}
	protocols := new(http.Protocols)
	// One protocol with one set of deadlines: in HTTP/2 a reader that takes
	// nothing costs streams inside a connection that looks busy.
	protocols.SetHTTP1(true)
	srv := &http.Server{
		Handler:           l.known(handler),
		ReadHeaderTimeout: l.slow.header, ReadTimeout: l.slow.read, WriteTimeout: l.slow.write, IdleTimeout: l.slow.idle,
		MaxHeaderBytes: maxHeader, Protocols: protocols, ConnState: l.bound.state, ErrorLog: l.errs,
	}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close() // a client that still reads has had the grace
		}
	})
	defer stop()
	defer l.often.stop()
	var err error
	if l.cert != nil {
		srv.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return l.cert.get(), nil },
		}
		err = srv.ServeTLS(l.bound, "", "")
	} else {
		err = srv.Serve(l.bound)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// known refuses who asks under a name that is not ours, or a web site could
// read the page by pointing its own name here (DNS rebinding).
func (l *Listener) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Answers(l.hosts, r) {
			Harden(w.Header(), "'none'")
			Misdirected(w, l.hosts)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serverErrors takes what net/http says of single connections: a stranger who
// breaks off a handshake must not fill the log.
type serverErrors struct {
	log   *slog.Logger
	often *often
}

func (s serverErrors) Write(p []byte) (int, error) {
	switch {
	case bytes.Contains(p, []byte("panic serving")):
		s.log.Error("an answer failed", "error", string(p))
	case bytes.Contains(p, []byte("Accept error")):
		s.often.note(kindAccept, netip.Prefix{})
	default:
		s.log.Debug("connection", "error", strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// share is how many connections readers may have: a quarter of the files that
// may be opened, and nothing of what the work needs.
func share(limit uint64, keep int) int {
	const most = 512
	n := min(limit/4, most)
	if spare := int64(limit) - int64(keep); limit < 1<<31 && spare < int64(n) {
		n = uint64(max(spare, 0))
	}
	return max(int(n), minShare)
}

// minShare still lets one browser in.
const minShare = 8

func portOf(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return strconv.Itoa(tcp.Port)
	}
	_, port, _ := net.SplitHostPort(addr.String())
	return port
}
