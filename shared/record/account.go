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

// Accounts of a cluster that are held back each for itself, besides the one
// that looks, whose item has the cluster's own id.

// WriteAccount is the id of the AUTH item of a cluster's write account.
func WriteAccount(id mesh.ClusterID) mesh.ClusterID { return id + "/write" }

// PlatformAccount is the id of the AUTH item of a cluster's platform account.
func PlatformAccount(id mesh.ClusterID) mesh.ClusterID { return id + "/platform" }

// PlatformWriteAccount is that of the platform account that may write.
func PlatformWriteAccount(id mesh.ClusterID) mesh.ClusterID { return id + "/platform-write" }

// Rejected is the version of a secret that must not be tried, "" if any may. It
// is read consistently: a book may be a moment old, and one log-in too many
// locks the account for half an hour. A note on another secret, which mesh.yaml
// named before, says nothing of this one's versions. An error means that nobody
// knows, which is a reason not to try.
func Rejected(ctx context.Context, s store.Store, key store.Key, secret string) (string, error) {
	it, err := s.Get(ctx, key)
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
		return "", fmt.Errorf("whether the account in secret %s was refused cannot be read from %s: %w", secret, key.SK, err)
	}
	if doc.Value.Secret != secret {
		return "", nil
	}
	return doc.Value.Rejected, nil
}

// Reject notes at once that a secret version was refused, before anything else
// can log in with it; also when the caller's time is up.
func Reject(ctx context.Context, s store.Store, key store.Key, note Auth) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rejectWithin)
	defer cancel()
	_, _, err := store.Claim(ctx, s, key, AuthSchema, func(d *store.Doc[Auth], _ bool) (bool, error) {
		d.Value = note
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("noting in %s that an account was refused: %w", key.SK, err)
	}
	return nil
}

// rejectWithin bounds that note.
const rejectWithin = 5 * time.Second
