// Package file reads credentials from secrets.json on one machine.
//
// It owns nothing but the reading: it never writes the file, and no error of
// its own holds a value from it. The file is read for every call, so a rotated
// password counts at once; it is decoded again only if its bytes have changed.
// A file with any mistake gives no secrets at all, and all its mistakes at once.
package file

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"peerkeeper/shared/secret"
)

const (
	maxSize  = 1 << 20 // bytes; ninety secrets are about 10 KB
	saltSize = 32
	minSalt  = 16
)

// Source is a secrets file.
type Source struct {
	Path string
	// Salt keys the digest that tells apart the values of a secret that has no
	// version of its own. Without it nobody can try passwords against a digest
	// seen in a log or in the state; with the same salt the digest is the same
	// after a restart. LoadSalt keeps one. At least 16 bytes.
	Salt []byte
	// Unsafe reads the file although others may read or change it. Anyone who can
	// change it chooses to whom a cluster's password is sent next.
	Unsafe bool

	mu      sync.Mutex
	digest  [sha256.Size]byte // of the text that decoded is of
	decoded map[string]secret.Credentials
}

// Error says what is wrong with the file.
type Error struct {
	Path  string
	Cause error
}

func (e *Error) Error() string { return "secrets file " + e.Path + ": " + e.Cause.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// MissingError says that the file has no secret of that name, and which it
// has. errors.Is secret.ErrNotFound.
type MissingError struct {
	Path  string
	Name  string
	Names []string // that exist
}

func (e *MissingError) Error() string {
	there := "it is empty"
	if len(e.Names) > 0 {
		there = "it has " + strings.Join(e.Names, ", ")
	}
	return fmt.Sprintf("secrets file %s has no secret %q; %s", e.Path, e.Name, there)
}

// Is says that this is a secret not found.
func (e *MissingError) Is(target error) bool { return target == secret.ErrNotFound }

// Credentials implements secret.Source.
func (s *Source) Credentials(ctx context.Context, name string) (secret.Credentials, error) {
	if ctx.Err() != nil {
		return secret.Credentials{}, context.Cause(ctx)
	}
	all, err := s.read()
	if err != nil {
		return secret.Credentials{}, err
	}
	c, ok := all[name]
	if !ok {
		return secret.Credentials{}, &MissingError{Path: s.Path, Name: name, Names: slices.Sorted(maps.Keys(all))}
	}
	if c.Version == "" {
		if len(s.Salt) < minSalt {
			return secret.Credentials{}, &Error{s.Path, fmt.Errorf("secret %q has no version, and there is no salt of at least %d bytes to tell its values apart", name, minSalt)}
		}
		c.Version = digest(s.Salt, c)
	}
	return c, nil
}

// Names lists the secrets, sorted.
func (s *Source) Names() ([]string, error) {
	all, err := s.read()
	return slices.Sorted(maps.Keys(all)), err
}

// Warning says whether others may read or change the file, and the cure; "" means
// no. Such a file is not read unless Unsafe is set.
func (s *Source) Warning() (string, error) {
	info, err := os.Stat(s.Path)
	if err != nil {
		return "", &Error{s.Path, bare(err)}
	}
	if why := exposed(s.Path, info); why != "" {
		return "secrets file " + s.Path + " " + why, nil
	}
	return "", nil
}

// ExposedError says that others may read or change the file, and the cure.
type ExposedError struct{ Why string }

func (e *ExposedError) Error() string { return e.Why }

// read gives what the file holds; nobody may change it.
func (s *Source) read() (map[string]secret.Credentials, error) {
	text, err := s.text()
	if err != nil {
		return nil, &Error{s.Path, bare(err)}
	}
	if len(text) > maxSize {
		return nil, &Error{s.Path, fmt.Errorf("larger than %d bytes", maxSize)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := sha256.Sum256(text)
	if s.decoded != nil && sum == s.digest {
		return s.decoded, nil
	}
	all, err := parse(text)
	if err != nil {
		return nil, &Error{s.Path, err}
	}
	s.decoded, s.digest = all, sum
	return all, nil
}

// text is what stands in the file. It is the file that was opened whose owner and
// mode count: the name may be another one's by now.
func (s *Source) text() (text []byte, err error) {
	// A named pipe without a writer must not be waited for.
	f, err := os.OpenFile(s.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file, and it is read again for each log-in: a pipe has nothing left by then")
	}
	if why := exposed(s.Path, info); why != "" && !s.Unsafe {
		return nil, &ExposedError{"it " + why}
	}
	return io.ReadAll(io.LimitReader(f, maxSize+1))
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+") == "" && path != "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

func parse(text []byte) (map[string]secret.Credentials, error) {
	entries, err := secret.Entries(text)
	errs := []error{err}
	all := map[string]secret.Credentials{}
	for _, e := range entries {
		if e.Name == "" {
			errs = append(errs, &secret.FormatError{Reason: "a secret has an empty name"})
			continue
		}
		c, err := secret.Decode(e.Name, e.Value)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all[e.Name] = c
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

// digest tells one value from another. It covers the user name too, and not
// the secret's name: equal credentials have equal versions.
func digest(salt []byte, c secret.Credentials) string {
	mac := hmac.New(sha256.New, salt)
	for _, part := range []string{c.Username, c.Password.Reveal()} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return "digest-" + hex.EncodeToString(mac.Sum(nil)[:12])
}

func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// LoadSalt reads the salt that is kept in a file, and makes the file with a
// random salt if there is none. It belongs beside the state, readable by the
// owner alone: anyone who has both a digest and the salt can try passwords.
// Losing it costs no more than that every rejected secret is tried once again.
func LoadSalt(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, fmt.Errorf("salt file %s is not a regular file; remove it to have a new one made", path)
	}
	salt, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSalt(path); err != nil {
			return nil, fmt.Errorf("making the salt file %s: %w", path, bare(err))
		}
		salt, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("salt file %s: %w", path, bare(err))
	}
	if len(salt) != saltSize {
		return nil, fmt.Errorf("salt file %s has %d bytes, not %d; remove it to have a new one made", path, len(salt), saltSize)
	}
	return salt, nil
}

// makeSalt links a whole file into place: of two processes that start at once,
// one wins and both read the same salt.
func makeSalt(path string) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	tmp, err := os.CreateTemp(dir, base+".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	salt := make([]byte, saltSize)
	if _, err := rand.Read(salt); err != nil {
		return errors.Join(err, tmp.Close())
	}
	_, err = tmp.Write(salt)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
