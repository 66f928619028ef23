package cluster

import (
	"context"
	"errors"
	"testing"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/secret"
)

// kept is a source that keeps a secret for a while, as Secrets Manager's does.
type kept struct {
	version, newest string
	looked          int
}

func (k *kept) Credentials(context.Context, string) (secret.Credentials, error) {
	return secret.Credentials{Username: "u", Password: secret.NewText("p"), Version: k.version}, nil
}

func (k *kept) Fresh(_ context.Context, _, not string) (secret.Credentials, error) {
	k.looked++
	return secret.Credentials{Username: "u", Password: secret.NewText("p"), Version: k.newest}, nil
}

func TestRejectedSecretIsLookedUpAgainOnce(t *testing.T) {
	cl := &mesh.Cluster{ID: "emea", Credentials: "emea/read", WriteCredentials: "emea/write", TLS: mesh.TLS{Pins: []string{"sha256:00"}},
		Publisher: "imp-emea-pub.example.com", Nodes: []mesh.Node{{Name: "imp-emea-pub.example.com", Address: "192.0.2.1:8443"}}}
	for name, c := range map[string]struct {
		newest  string
		refused bool
	}{
		"it was rotated in the meantime": {"v2", false},
		"it is still the rejected one":   {"v1", true},
	} {
		t.Run(name, func(t *testing.T) {
			source := &kept{version: "v1", newest: c.newest}
			conn := &Connector{Secrets: source}
			_, err := conn.Open(t.Context(), cl, "v1", nil)
			var refused *Refused
			if errors.As(err, &refused) != c.refused || c.refused && refused.Reason != peer.AccountRejected {
				t.Errorf("opening: %v", err)
			}
			if _, err := conn.Hand(t.Context(), cl, "v1", nil); errors.As(err, &refused) != c.refused {
				t.Errorf("the hand: %v", err)
			}
			if source.looked != 2 {
				t.Errorf("looked again %d times for two rejected accounts", source.looked)
			}
		})
	}
	t.Run("nothing was rejected: nobody looks again", func(t *testing.T) {
		source := &kept{version: "v1", newest: "v2"}
		if _, err := (&Connector{Secrets: source}).Open(t.Context(), cl, "", nil); err != nil || source.looked != 0 {
			t.Errorf("%v, looked %d times", err, source.looked)
		}
	})
}
