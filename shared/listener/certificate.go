package listener

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"time"
)

// watchPair reads the certificate and its key, and again whenever they change.
// The notes are what is lawful and yet worth saying.
func watchPair(cert, key string, hosts []string, logger *slog.Logger) (*watched[*tls.Certificate], []string, error) {
	w, err := watch(logger, func() (*tls.Certificate, error) { return loadPair(cert, key) }, cert, key)
	if err != nil {
		return nil, nil, err
	}
	return w, pairNotes(cert, key, w.value, hosts, time.Now()), nil
}

func loadPair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, _, errCert := load("--tls-cert", certFile)
	key, _, errKey := load("--tls-key", keyFile)
	if err := errors.Join(errCert, errKey); err != nil {
		return nil, err
	}
	has := func(b []byte, what string) bool { return bytes.Contains(b, []byte(what)) }
	switch {
	case !has(cert, "BEGIN CERTIFICATE") && has(key, "BEGIN CERTIFICATE"):
		return nil, fmt.Errorf("--tls-cert %s has no certificate, but --tls-key %s has one: exchange the two", certFile, keyFile)
	case has(key, "ENCRYPTED"):
		return nil, fmt.Errorf("--tls-key %s is encrypted, and nobody is there to type its passphrase: (umask 077; openssl pkey -in %s -out page.key), and name that", keyFile, keyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s with --tls-key %s: %w; both are PEM, the certificate first and then its chain, and the key is that certificate's", certFile, keyFile, err)
	}
	return &pair, nil
}

// pairNotes say what a browser will complain of, and what others may read.
func pairNotes(certFile, keyFile string, pair *tls.Certificate, hosts []string, now time.Time) []string {
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if info, err := os.Stat(keyFile); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		note("--tls-key %s may be read by everybody on this machine (mode %04o): chmod o= %s", keyFile, info.Mode().Perm(), keyFile)
	}
	leaf := pair.Leaf
	if leaf == nil {
		return notes
	}
	const soon = 14 * 24 * time.Hour
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		note("--tls-cert %s expired on %s: browsers refuse it; a renewed file is read by itself", certFile, leaf.NotAfter.UTC().Format(time.DateOnly))
	case left < soon:
		note("--tls-cert %s expires on %s; a renewed file is read by itself", certFile, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	for _, h := range hosts {
		name := h
		if bare, _, err := net.SplitHostPort(h); err == nil {
			name = bare
		}
		if err := leaf.VerifyHostname(name); err != nil {
			note("--tls-cert %s does not carry the name %s, so browsers warn there", certFile, name)
		}
	}
	return notes
}
