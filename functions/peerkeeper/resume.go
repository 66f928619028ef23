package main

import (
	"context"
	"strings"

	"peerkeeper/shared/mesh"
)

type resumeVerb struct {
	Scope name `arg:"" help:"mesh, a cluster (emea), a peer (emea:apac) or a pair (emea:apac --pair)." placeholder:"SCOPE"`
	Pair  bool `help:"Both directions of the peer."`
	kept
}

// Help is what peerkeeper resume --help teaches.
func (resumeVerb) Help() string {
	return `Ends the pause of what you name. Of a cluster it also lets a rejected account be tried again, once, at the next look; a new version of the secret does the same by itself. It is recorded with your name.
It never logs in itself. If the password is still wrong, the account is held back again, because a few rejections lock it for 30 minutes.

Examples:

  peerkeeper resume apac
  peerkeeper resume mesh`
}

// Run ends a pause, and resumes a cluster's accounts.
func (r *resumeVerb) Run(ctx context.Context, t *terminal) error {
	w, o, err := r.decides(ctx)
	if err != nil {
		return err
	}
	scope, err := w.scope(string(r.Scope), r.Pair)
	if err != nil {
		return err
	}
	var done []string
	ended, err := o.EndPause(ctx, scope)
	if err != nil {
		return err
	}
	if ended {
		done = append(done, "the pause is over")
	}
	if _, cluster := w.Cluster(mesh.ClusterID(scope)); cluster {
		retried, err := o.RetryAccounts(ctx, mesh.ClusterID(scope))
		if err != nil {
			return err
		}
		if retried {
			done = append(done, "its account is tried again at the next check")
		}
	}
	if len(done) == 0 {
		return usagef("%s is not paused, and no account of it is held back: nothing to resume", scope)
	}
	if t.json {
		return t.answer(map[string]any{"scope": scope, "resumed": done, "actor": o.Actor})
	}
	t.sayf("%s: %s; recorded as decided by %s.", scope, strings.Join(done, ", and "), o.Actor)
	return nil
}
