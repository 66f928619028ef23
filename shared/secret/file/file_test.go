package file_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/secret"
	"peerkeeper/shared/secret/file"
)

var _ secret.Source = &file.Source{}

var salt = []byte("0123456789abcdef0123456789abcdef")

func source(t *testing.T, text string) *file.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secrets.json")
	write(t, path, text)
	return &file.Source{Path: path, Salt: salt}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func version(t *testing.T, s *file.Source, name string) string {
	t.Helper()
	c, err := s.Credentials(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c.Version
}

func TestCredentials(t *testing.T) {
	s := source(t, `{"emea/read": {"username": "axl", "password": "hunter2"}, "apac/read": {"username": "axl", "password": "other", "version": "v7"}}`)
	c, err := s.Credentials(t.Context(), "emea/read")
	if err != nil || c.Username != "axl" || c.Password.Reveal() != "hunter2" {
		t.Errorf("%+v, %v", c, err)
	}
	if v := version(t, s, "apac/read"); v != "v7" {
		t.Errorf("version %q", v)
	}
	names, err := s.Names()
	if diff := cmp.Diff([]string{"apac/read", "emea/read"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestMissing(t *testing.T) {
	s := source(t, `{"emea/read": {"username": "axl", "password": "hunter2"}}`)
	_, err := s.Credentials(t.Context(), "emea/write")
	if !errors.Is(err, secret.ErrNotFound) {
		t.Fatal(err)
	}
	for _, want := range []string{s.Path, `"emea/write"`, "emea/read"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	s.Path += ".gone"
	if _, err := s.Credentials(t.Context(), "x"); !errors.Is(err, os.ErrNotExist) || errors.Is(err, secret.ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestRotation(t *testing.T) {
	s := source(t, `{"emea/read": {"username": "axl", "password": "hunter2"}}`)
	before := version(t, s, "emea/read")
	// Same size, and on a coarse clock the same time.
	write(t, s.Path, `{"emea/read": {"username": "axl", "password": "hunter3"}}`)
	c, err := s.Credentials(t.Context(), "emea/read")
	if err != nil || c.Password.Reveal() != "hunter3" || c.Version == before {
		t.Errorf("after the rotation: version %q, %v", c.Version, err)
	}
	write(t, s.Path, `{"emea/read": {"username": "axl", "password": "hunter2"}}`)
	if version(t, s, "emea/read") != before {
		t.Error("the old password has a new version")
	}
}

func TestDigest(t *testing.T) {
	text := `{"a": {"username": "axl", "password": "hunter2"}, "b": {"username": "axl", "password": "hunter2"},
	          "c": {"username": "axlh", "password": "unter2"}, "d": {"username": "axl", "password": "hunter2x"}}`
	s := source(t, text)
	a := version(t, s, "a")
	if again := version(t, source(t, text), "a"); a != again {
		t.Errorf("not stable over a restart: %s, %s", a, again)
	}
	if version(t, s, "b") != a {
		t.Error("equal credentials have different versions")
	}
	if version(t, s, "c") == a || version(t, s, "d") == a {
		t.Error("different credentials have equal versions")
	}
	other := s
	other.Salt = bytes.Repeat([]byte{7}, 32)
	if version(t, other, "a") == a {
		t.Error("the salt does not count")
	}
	for _, plain := range []string{"hunter2", "axlhunter2", "axl:hunter2"} {
		sum := sha256.Sum256([]byte(plain))
		if strings.Contains(a, hex.EncodeToString(sum[:12])) {
			t.Error("a plain hash")
		}
	}
	s.Salt = []byte("short")
	if _, err := s.Credentials(t.Context(), "a"); err == nil {
		t.Error("a digest with hardly any salt")
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	s := source(t, `{
	  "emea/read": {"username": "axl", "pasword": "hunter2"},
	  "apac/read": "hunter2",
	  "": {"username": "axl", "password": "hunter2"},
	  "amer/read": {"username": "axl", "password": "hunter2"},
	  "amer/read": {"username": "axl", "password": "hunter2"}
	}`)
	_, err := s.Credentials(t.Context(), "amer/read")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{s.Path, `secret "emea/read": unknown key "pasword"`, `secret "emea/read": no "password"`, `secret "apac/read": not a JSON object`, "empty name", `"amer/read" stands there twice, at or after line 6`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter") {
		t.Errorf("the error tells a password: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	s := source(t, `{"a": {"username": "axl", "password": "`+strings.Repeat("x", 1<<20)+`"}}`)
	if _, err := s.Credentials(t.Context(), "a"); err == nil {
		t.Error("no error")
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source(t, `{}`).Credentials(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWarning(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // modes say nothing there
	}
	s := source(t, `{}`)
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o620: true} {
		if err := os.Chmod(s.Path, mode); err != nil {
			t.Fatal(err)
		}
		if w, err := s.Warning(); (w != "") != warns || err != nil {
			t.Errorf("mode %o: %q %v", mode, w, err)
		}
	}
}

// TestAFileThatOthersMayReadIsNotUsed: nor one that another user may change.
func TestAFileThatOthersMayReadIsNotUsed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing there")
	}
	s := source(t, `{"emea/read": {"username": "axl", "password": "hunter2"}}`)
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o620: false, 0o644: false, 0o777: false} {
		if err := os.Chmod(s.Path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := s.Credentials(t.Context(), "emea/read")
		var exposed *file.ExposedError
		if (err == nil) != good || errors.As(err, &exposed) == good {
			t.Errorf("mode %o: %v", mode, err)
		}
		if err != nil && !strings.Contains(err.Error(), "chmod 600 "+s.Path) {
			t.Errorf("mode %o: no cure in %v", mode, err)
		}
		unsafe := &file.Source{Path: s.Path, Salt: s.Salt, Unsafe: true}
		if _, err := unsafe.Credentials(t.Context(), "emea/read"); err != nil {
			t.Errorf("mode %o, unsafe: %v", mode, err)
		}
	}
	if err := errors.Join(os.Chmod(s.Path, 0o600), os.Chown(s.Path, 54321, -1)); err != nil {
		t.Skipf("only root can give a file away: %v", err)
	}
	_, err := s.Credentials(t.Context(), "emea/read")
	if err == nil || !strings.Contains(err.Error(), "belongs to 54321") || !strings.Contains(err.Error(), "chown ") {
		t.Errorf("another user's file: %v", err)
	}
	if w, err := s.Warning(); w == "" || err != nil {
		t.Errorf("another user's file: %q %v", w, err)
	}
}

func TestAPipeIsNoSecretsFile(t *testing.T) {
	s := &file.Source{Path: t.TempDir(), Salt: salt, Unsafe: true}
	if _, err := s.Names(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestLoadSalt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.salt")
	salts := make([][]byte, 6)
	var wg sync.WaitGroup
	for i := range salts {
		wg.Go(func() {
			var err error
			if salts[i], err = file.LoadSalt(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range salts {
		if len(s) != 32 || !bytes.Equal(s, salts[0]) || bytes.Equal(s, make([]byte, 32)) {
			t.Errorf("salts differ: %x, %x", s, salts[0])
		}
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if left, _ := filepath.Glob(path + ".new-*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
	write(t, path, "short")
	if _, err := file.LoadSalt(path); err == nil {
		t.Error("a short salt was taken")
	}
	if other, err := file.LoadSalt(filepath.Join(t.TempDir(), "s")); err != nil || bytes.Equal(other, salts[0]) {
		t.Errorf("two salts are equal, %v", err)
	}
}

func FuzzSecretsFile(f *testing.F) {
	for _, s := range []string{`{"a":{"username":"u","password":"p"}}`, `{}`, `{"a":{},"a":1}`, "\ufeff{ }", `{"a":{"username":"u","password":"p"}}x`} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "secrets.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := &file.Source{Path: path, Salt: salt}
		names, err := s.Names()
		if err != nil {
			if _, ok := errors.AsType[*file.Error](err); !ok {
				t.Fatalf("error of another type: %v", err)
			}
			return
		}
		for _, name := range names {
			c, err := s.Credentials(t.Context(), name)
			if err != nil || c.Username == "" || c.Password.IsZero() || c.Version == "" {
				t.Fatalf("%q: %+v %v", name, c, err)
			}
		}
	})
}
