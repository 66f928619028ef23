package cluster

import (
	"context"
	"errors"
	"testing"

	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
)

// notebook is a guard that keeps what it is told, or cannot.
type notebook struct {
	version, detail string
	full            error
}

func (n *notebook) Rejected(context.Context) (string, error) { return n.version, nil }

func (n *notebook) Reject(_ context.Context, version, detail string) error {
	if n.full == nil {
		n.version, n.detail = version, detail
	}
	return n.full
}

// TestARejectedAccountIsNotedAtOnce: and nothing else is.
func TestARejectedAccountIsNotedAtOnce(t *testing.T) {
	guard := &notebook{}
	login, err := secret.LogIn(t.Context(), &kept{version: "v1"}, "emea/write", guard)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{nil, &soap.Error{Kind: soap.Timeout}, &soap.Error{Kind: soap.Forbidden}, errors.New("a defect")} {
		if got := heed(t.Context(), login, "refused", err); got != err || guard.version != "" {
			t.Errorf("%v became %v; refused: %q", err, got, guard.version)
		}
	}
	no := &soap.Error{Kind: soap.AccountRejected}
	if got := heed(t.Context(), login, "refused", no); got != error(no) || guard.version != "v1" || guard.detail != "refused" || login.Unnoted() != nil {
		t.Errorf("%v; noted: %+v, %v", got, guard, login.Unnoted())
	}
	guard.full = errors.New("the store is down")
	if got := heed(t.Context(), login, "refused", no); soap.KindOf(got) != soap.AccountRejected || !errors.Is(got, guard.full) || !errors.Is(login.Unnoted(), guard.full) {
		t.Errorf("it cannot be noted, and that is not told: %v, %v", got, login.Unnoted())
	}
}
