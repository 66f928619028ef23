// Package secret is the port through which credentials come: a name in, a
// user name and a password out.
//
// It never writes a secret anywhere. A password is a Text, which shows itself
// only through Reveal.
package secret

import (
	"context"
	"errors"
)

// Credentials are one account of a cluster.
type Credentials struct {
	Username string
	Password Text
	// Version tells one value of the secret from the next: the store's own
	// version id, or a salted digest. It is safe to log and to keep; equal
	// versions mean equal credentials.
	Version string
}

// ErrNotFound says that no secret of that name exists.
var ErrNotFound = errors.New("no such secret")

// Source finds credentials by secret name.
type Source interface {
	Credentials(ctx context.Context, name string) (Credentials, error)
}
