package cluster

import (
	"context"
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/secret"
)

// logIn fetches the secret of a cluster's account for one log-in. rejected is the
// version that the cluster has refused before ("" if none): it is not tried
// again.
func logIn(ctx context.Context, secrets secret.Source, cl *mesh.Cluster, a mesh.Account, rejected string) (secret.Credentials, *Refused) {
	name := a.Secret(cl)
	if name == "" {
		return secret.Credentials{}, &Refused{Reason: peer.NoCredentials, Message: fmt.Sprintf("mesh.yaml names no %s for %s", string(a), cl.ID)}
	}
	creds, err := secrets.Credentials(ctx, name)
	if err != nil {
		return creds, &Refused{peer.NoCredentials, fmt.Sprintf("no credentials %s: %v", name, err), err}
	}
	creds = fresher(ctx, secrets, name, creds, rejected)
	if rejected != "" && rejected == creds.Version {
		return creds, &Refused{Reason: peer.AccountRejected, Message: fmt.Sprintf("the account in secret %s was rejected and is not tried again until the secret changes or `peerkeeper resume %s` is given, so that it is not locked out", name, cl.ID)}
	}
	return creds, nil
}

// fresher asks a source that keeps secrets for a while to look again, once,
// when what it kept is the version that was rejected.
func fresher(ctx context.Context, secrets secret.Source, name string, kept secret.Credentials, rejected string) secret.Credentials {
	source, ok := secrets.(interface {
		Fresh(ctx context.Context, name, not string) (secret.Credentials, error)
	})
	if rejected == "" || kept.Version != rejected || !ok {
		return kept
	}
	fresh, err := source.Fresh(ctx, name, rejected)
	if err != nil {
		return kept // and so it stays refused
	}
	return fresh
}
