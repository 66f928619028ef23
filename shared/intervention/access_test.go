package intervention

import (
	"errors"
	"fmt"
	"testing"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/soap"
)

// TestWhyAnActionFailed: the plan says why in words that people can act on, and
// that stay the same from one look to the next.
func TestWhyAnActionFailed(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("looking at tomcat-trust: %w", err) }
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"the account that writes", &cluster.Refused{Reason: peer.NoCredentials, Message: "no credentials emea/platform-write"}, "no credentials emea/platform-write"},
		{"the account of the node that has it", &certificate.Refused{Reason: peer.NoCredentials, Message: "no credentials apac/platform-write"}, "no credentials apac/platform-write"},
		{"that node's answer", &certificate.Refused{Reason: peer.TimedOut, Message: "after 4.7 s", Cause: &soap.Error{Kind: soap.Timeout}}, string(soap.Timeout)},
		{"what was read there", &repair.Unfit{Why: "it is signed by a CA"}, "it is signed by a CA"},
		{"anything else", errors.New("at 0xc000012345"), "see the log"},
	} {
		if got := Failure(wrap(c.err)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
