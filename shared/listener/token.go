package listener

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// minToken is the shortest token, in characters: sixteen random ones of an
// alphabet of 64 are 96 bits.
const minToken = 16

const maxToken = 1024

// making is a command line that makes a token file as it should be. It is
// removed first: writing into a file leaves its mode.
func making(name string) string {
	return fmt.Sprintf("(umask 077; rm -f %[1]s; head -c 32 /dev/urandom | base64 > %[1]s)", name)
}

// readToken gives a digest of the token in a file. The token itself is kept
// nowhere. Its errors never hold what is in the file.
func readToken(name string, key []byte) ([]byte, error) {
	text, info, err := load("--token-file", name)
	if err != nil {
		return nil, fmt.Errorf("%w; a new one: %s", err, making(name))
	}
	wrong := func(format string, args ...any) ([]byte, error) {
		return nil, fmt.Errorf("--token-file %s %s", name, fmt.Sprintf(format, args...))
	}
	// On Windows the mode says nothing about who may read.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return wrong("may be read or written by others (mode %04o), so it is a secret no more: make a new one, %s", mode, making(name))
	}
	if owner, ok := ownerOf(info); ok && owner != os.Geteuid() && owner != 0 {
		return wrong("belongs to another account (uid %d), which can change it: chown it to the one that runs Peerkeeper", owner)
	}
	token := bytes.TrimRight(text, "\r\n")
	switch {
	case len(token) == 0:
		return wrong("is empty: %s", making(name))
	case len(token) < minToken:
		return wrong("has a token of %d characters, which can be guessed; at least %d are needed: %s", len(token), minToken, making(name))
	case len(token) > maxToken:
		return wrong("has more than %d characters: name the right file, or make one, %s", maxToken, making(name))
	case bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return wrong("has a blank, a line break or a character beyond ASCII inside its token, which no browser and no header carries faithfully: %s", making(name))
	}
	return digest(key, string(token)), nil
}

// digest lets two tokens be compared in constant time, whatever their lengths.
func digest(key []byte, token string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("token\x00" + token))
	return mac.Sum(nil)
}

// bearer is the token of an Authorization header.
func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}
