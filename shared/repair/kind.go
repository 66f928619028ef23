package repair

import (
	"context"
	"fmt"

	"peerkeeper/shared/peer"
)

// executor is one kind of action on one target: how the target is looked at, how
// the action is sent, and what proves it. The gate's order of steps is the same
// for all.
type executor interface {
	// look reads the target for the guards and for the later proof.
	check(ctx context.Context, s *Situation) (Before, error)
	// again says why the action, already meant, must not be sent after all.
	recheck(ctx context.Context, in Intent) string
	// send is called at most once.
	send(ctx context.Context) error
	// readBack looks whether an intent came true. "" means that it cannot be
	// told yet.
	readBack(ctx context.Context, in Intent) (Outcome, string)
	// Refused says of an error of send that the node got the write and said no,
	// Uncertain that the write may have happened.
	Refused(err error) bool
	Uncertain(err error) bool
}

// executor opens the target of an action. source is of an import, and needed to send
// it only: reading back goes by what the intent remembers.
func (r *Repair) executor(ctx context.Context, a peer.Action, t peer.Target, value string, source *peer.CertSource) (executor, error) {
	if a == peer.ImportCertificate {
		if r.TrustStoreWriter == nil {
			return nil, fmt.Errorf("nothing here puts certificates into the stores of %s", t.Cluster)
		}
		k, err := r.TrustStoreWriter(ctx, t.Cluster)
		if err != nil {
			return nil, err
		}
		return &importing{TrustStoreWriter: k, r: r, target: t, source: source}, nil
	}
	hand, err := r.Open(ctx, t.Cluster)
	if err != nil {
		return nil, err
	}
	if a == peer.SetParameter {
		return parameter{hand, t, value}, nil
	}
	return service{hand, r, a, t}, nil
}
