package cluster

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"peerkeeper/shared/certificate"
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

// deaf is a node that hangs up on everybody, and counts them.
type deaf struct{ asked *int }

func (d deaf) RoundTrip(*http.Request) (*http.Response, error) {
	*d.asked++
	return nil, io.ErrUnexpectedEOF
}

func TestRejectedSecretIsLookedUpAgainOnce(t *testing.T) {
	cl := &mesh.Cluster{ID: "emea", Credentials: "emea/read", WriteCredentials: "emea/write", TLS: mesh.TLS{Pins: []string{"sha256:00"}},
		Publisher: "imp-emea-pub.example.com", Nodes: []mesh.Node{{Name: "imp-emea-pub.example.com", Address: "192.0.2.1:8443"}}}
	platform := &mesh.Cluster{ID: "emea", PlatformCredentials: "emea/platform", TLS: cl.TLS, Publisher: cl.Publisher,
		Nodes: []mesh.Node{{Name: cl.Publisher, Address: "192.0.2.1:8443", PlatformAddress: "192.0.2.1:443"}}}
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
			_, err := conn.Open(t.Context(), cl, &notebook{version: "v1"}, nil)
			var refused *Refused
			if errors.As(err, &refused) != c.refused || c.refused && refused.Reason != peer.AccountRejected {
				t.Errorf("opening: %v", err)
			}
			if _, err := conn.ServiceController(t.Context(), cl, &notebook{version: "v1"}, nil); errors.As(err, &refused) != c.refused {
				t.Errorf("the hand: %v", err)
			}
			if source.looked != 2 {
				t.Errorf("looked again %d times for two rejected accounts", source.looked)
			}
		})
	}
	for name, c := range map[string]struct {
		newest string
		tried  bool
	}{
		"the platform account was rotated in the meantime": {"v2", true},
		"the platform account is still the rejected one":   {"v1", false},
	} {
		t.Run(name, func(t *testing.T) {
			source, asked := &kept{version: "v1", newest: c.newest}, 0
			p := &Platform{Secrets: source, Transport: deaf{&asked}}
			login, err := p.LogIn(t.Context(), platform, &notebook{version: "v1"})
			if c.tried {
				if err != nil || login.Version != c.newest {
					t.Fatalf("%+v, %v", login, err)
				}
				_, err = p.Holding(t.Context(), platform, platform.Nodes[0], login, nil)
			}
			var refused *certificate.Refused
			if !errors.As(err, &refused) || (refused.Reason == peer.AccountRejected) == c.tried {
				t.Errorf("%+v", err)
			}
			if source.looked != 1 || (asked > 0) != c.tried {
				t.Errorf("looked again %d times, asked the node %d times", source.looked, asked)
			}
		})
	}
	t.Run("nothing was rejected: nobody looks again", func(t *testing.T) {
		source := &kept{version: "v1", newest: "v2"}
		if _, err := (&Connector{Secrets: source}).Open(t.Context(), cl, nil, nil); err != nil || source.looked != 0 {
			t.Errorf("%v, looked %d times", err, source.looked)
		}
		asked := 0
		p := &Platform{Secrets: source, Transport: deaf{&asked}}
		login, err := p.LogIn(t.Context(), platform, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Holding(t.Context(), platform, platform.Nodes[0], login, nil)
		if err == nil || source.looked != 0 || asked == 0 {
			t.Errorf("the platform: %v, looked %d times, asked %d times", err, source.looked, asked)
		}
	})
}
