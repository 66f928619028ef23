package cluster

import (
	"context"
	"errors"
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
)

// logIn fetches the secret of a cluster's account for one log-in. Errors are
// *Refused, or the guard's own where it cannot be read.
func logIn(ctx context.Context, secrets secret.Source, cl *mesh.Cluster, a mesh.Account, guard secret.Guard) (*secret.Login, error) {
	name := a.Secret(cl)
	if name == "" {
		return nil, &Refused{Reason: peer.NoCredentials, Message: fmt.Sprintf("mesh.yaml names no %s for %s", string(a), cl.ID)}
	}
	login, err := secret.LogIn(ctx, secrets, name, guard)
	switch {
	case errors.Is(err, secret.ErrNoCredentials):
		return nil, &Refused{peer.NoCredentials, err.Error(), err}
	case errors.Is(err, secret.ErrRejected):
		return nil, &Refused{Reason: peer.AccountRejected, Message: fmt.Sprintf("the account in secret %s was rejected and is not tried again until the secret changes or `peerkeeper resume %s` is given, so that it is not locked out", name, cl.ID)}
	}
	return login, err
}

// heeding notes a refused account before the node's slot is free for another
// request.
type heeding struct {
	next   soap.RoundTripper
	client *Client
	node   mesh.NodeName
}

// Do carries the request.
func (h heeding) Do(ctx context.Context, req soap.Request) (*soap.Answer, error) {
	a, err := h.next.Do(ctx, req)
	return a, heed(ctx, h.client.login.Load(), h.client.refusal(h.node), err)
}

// heed notes that the account was refused, if an error says so.
func heed(ctx context.Context, l *secret.Login, detail string, err error) error {
	if soap.KindOf(err) != soap.AccountRejected {
		return err
	}
	return l.Refused(ctx, detail, err)
}
