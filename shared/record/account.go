package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store"
)

// AuthSchema is the schema of AUTH items.
const AuthSchema = 1

// Auth is the AUTH#cluster item: the secret version that a cluster refused.
type Auth struct {
	Secret   string    `json:"secret"`
	Rejected string    `json:"rejected"` // the secret's version; "" = resumed by a person
	At       time.Time `json:"at"`
	Detail   string    `json:"detail,omitempty"`
}

// AccountGuard is the secret.Guard of one account of a cluster, by its AUTH item.
type AccountGuard struct {
	store  store.Store
	key    store.Key
	secret string
	now    func() time.Time
}

// AccountGuardOf is the guard of one of a cluster's accounts.
func AccountGuardOf(s store.Store, meshName string, c *mesh.Cluster, a mesh.Account, now func() time.Time) AccountGuard {
	return AccountGuard{s, store.Auth(meshName, c.ID, a), a.Secret(c), now}
}

// Rejected is the version of the secret that must not be tried, "" if any may. It
// is read consistently: a snapshot may be a moment old. A note on another secret,
// which mesh.yaml named before, says nothing of this one's versions. An error
// means that nobody knows, which is a reason not to try.
func (g AccountGuard) Rejected(ctx context.Context) (string, error) {
	it, err := g.store.Get(ctx, g.key)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	var doc store.Doc[Auth]
	if err == nil {
		doc, err = store.Decode[Auth](it, AuthSchema)
		if err == nil && doc.Newer {
			err = store.ErrNewerSchema
		}
	}
	if err != nil {
		return "", fmt.Errorf("whether the account in secret %s was refused cannot be read from %s: %w", g.secret, g.key.SK, err)
	}
	if doc.Value.Secret != g.secret {
		return "", nil
	}
	return doc.Value.Rejected, nil
}

// Reject notes at once that the cluster refused a version of the secret, before
// anything else can log in with it; also when the caller's time is up.
func (g AccountGuard) Reject(ctx context.Context, version, detail string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rejectWithin)
	defer cancel()
	_, _, err := store.Claim(ctx, g.store, g.key, AuthSchema, func(d *store.Doc[Auth], _ bool) (bool, error) {
		d.Value = Auth{Secret: g.secret, Rejected: version, At: g.now(), Detail: detail}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("noting in %s that an account was refused: %w", g.key.SK, err)
	}
	return nil
}

// rejectWithin bounds that note.
const rejectWithin = 5 * time.Second
