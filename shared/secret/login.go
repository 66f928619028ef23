package secret

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Guard keeps an account from being locked out: one log-in too many costs half an
// hour.
type Guard interface {
	// Rejected is the version of the secret that must not be tried, "" if any may.
	// An error means that nobody knows, which is a reason not to try.
	Rejected(ctx context.Context) (version string, err error)
	// Reject notes that a version was refused.
	Reject(ctx context.Context, version, detail string) error
}

// What LogIn says where there is nothing to log in with. Any other error is the
// guard's.
var (
	ErrNoCredentials = errors.New("no credentials")
	ErrRejected      = errors.New("the account was rejected, and its secret has not changed")
)

// Login is one log-in to an account, under its guard.
type Login struct {
	Credentials
	guard   Guard
	mu      sync.Mutex
	unnoted error
}

// LogIn fetches a secret for one log-in. A version that was refused before is
// ErrRejected, after a source that keeps secrets for a while has looked again,
// once. Nothing is heeded or noted without a guard.
func LogIn(ctx context.Context, source Source, name string, guard Guard) (*Login, error) {
	rejected := ""
	if guard != nil {
		var err error
		if rejected, err = guard.Rejected(ctx); err != nil {
			return nil, err
		}
	}
	creds, err := source.Credentials(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrNoCredentials, name, err)
	}
	if rejected != "" && creds.Version == rejected {
		keeps, ok := source.(interface {
			Fresh(ctx context.Context, name, not string) (Credentials, error)
		})
		if !ok {
			return nil, ErrRejected
		}
		if creds, err = keeps.Fresh(ctx, name, rejected); err != nil || creds.Version == rejected {
			return nil, ErrRejected
		}
	}
	return &Login{Credentials: creds, guard: guard}, nil
}

// Refused notes at once that the account was refused with err, before anything
// else can log in with that version of its secret. It gives err, and with it why
// that could not be noted.
func (l *Login) Refused(ctx context.Context, detail string, err error) error {
	if l.guard == nil {
		return err
	}
	unnoted := l.guard.Reject(ctx, l.Version, detail)
	if unnoted == nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unnoted = unnoted
	return errors.Join(err, unnoted)
}

// Unnoted is why a refusal could not be noted, if one could not.
func (l *Login) Unnoted() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unnoted
}
