package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/secret"
)

type checkCredentialsVerb struct {
	A name `arg:"" help:"The cluster whose entry it is, or will be." placeholder:"A"`
	B name `arg:"" help:"The cluster that the entry is for, whose account is tried." placeholder:"B"`
	kept
}

// Help is what peerkeeper peering check-credentials --help teaches.
func (checkCredentialsVerb) Help() string {
	return `Asks at this terminal for the user name and password that A's entry for B carries or will carry, those of B's intercluster application user, and tries them: B's publisher proves its certificate first, as for every other request; then one log-in over AXL with the question that Cisco Intercluster Sync Agent (ICSA) itself asks first, which only reads. Nothing is ever sent twice, and no fault is answered by another try.
They are taken from a terminal alone, never from a flag, a file, a pipe or the environment, and are kept nowhere. Where there is a state, the history gets who tried which entry and the outcome, and nothing of what was typed.
Exit 0 if they are accepted. The other outcomes are rejected, noRight (the account may not use AXL), notTried (nothing was sent: no way there, or a certificate that nothing vouches for) and unknown (no answer that says it; the try may have counted). A rejected try brings the account nearer to its lock, and other clusters sync with the same account: find out why before you try again.
Peerkeeper asks from its own seat. Accepted here, A's ICSA may still be kept away by what its own cluster resolves, reaches and trusts.

Examples:

  peerkeeper peering check-credentials emea apac
  peerkeeper peering check-credentials emea apac --json    # asked on stderr, answered on stdout`
}

// Run tries the credentials of one entry.
func (v *checkCredentialsVerb) Run(ctx context.Context, t *terminal) error {
	w, err := v.atHand(ctx)
	if err != nil {
		return err
	}
	a, err := w.cluster(string(v.A))
	if err != nil {
		return err
	}
	b, err := w.cluster(string(v.B))
	switch {
	case err != nil:
		return err
	case a.ID == b.ID:
		return usagef("%s has no entry for itself: name two clusters", a.ID)
	case !t.asks:
		return usagef("a user name and a password are asked for at a terminal alone, and there is none here (stdin and stderr must be one); no flag, file or pipe is taken instead")
	}
	o := w.operator()
	o.Clusters = w.clusters(t, nil)
	if o.Actor, err = actor(); err != nil {
		return err
	}
	id := mesh.PeerID{From: a.ID, To: b.ID}
	t.notef("The account that %s's entry for %s names, %s's intercluster application user, is tried once on %s. A rejected try counts towards its lock.", a.ID, b.ID, b.ID, b.Publisher)
	username, err := t.prompt(ctx, "User name:", false)
	if err != nil {
		return err
	}
	password, err := t.prompt(ctx, "Password (not shown):", true)
	if err != nil {
		return err
	}
	// What net/http makes of it for its header is beyond reach, and goes with the process.
	defer clear(password)
	typed := secret.Lent(password)
	for _, field := range []struct{ name, value string }{{"username", string(username)}, {"password", typed.Reveal()}} {
		if what, _ := secret.Unsendable(field.name, field.value); what != "" {
			return usagef("nothing was sent: %s", what)
		}
	}
	var checked operator.Checked
	err = t.wait(ctx, fixed("asking %s once", b.Publisher), func(ctx context.Context) (err error) {
		checked, err = o.CheckCredentials(ctx, id, string(username), typed)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case checked.Outcome == "":
		return err
	case err != nil:
		t.notef("peerkeeper: this is not in the history: %v", err)
	}
	return v.tell(t, id, checked)
}

// atHand opens a mesh with what is known of it, which need not be there.
func (v *checkCredentialsVerb) atHand(ctx context.Context) (*watched, error) {
	if _, err := os.Stat(v.State); v.Table == "" && errors.Is(err, fs.ErrNotExist) {
		return v.mesh()
	}
	return v.open(ctx)
}

func (v *checkCredentialsVerb) tell(t *terminal, id mesh.PeerID, c operator.Checked) error {
	limits := "Peerkeeper asked from its own seat: " + string(id.From) + "'s ICSA goes its own way, and may still be kept away by names (its cluster's DNS), by ports (8443 between the clusters) or by trust (its own trust store)."
	if t.json {
		err := t.answer(struct {
			Peer     mesh.PeerID            `json:"peer"`
			Node     mesh.NodeName          `json:"node"`
			Outcome  cluster.AttemptOutcome `json:"outcome"`
			Reason   peer.Reason            `json:"reason,omitempty"`
			Message  string                 `json:"message,omitempty"`
			Next     []procedure.Step       `json:"next"`
			Limits   string                 `json:"limits"`
			Recorded bool                   `json:"recorded"`
		}{id, c.Node, c.Outcome, c.Reason, c.Detail, c.Next, limits, c.Recorded})
		if err != nil {
			return err
		}
	} else {
		said := map[cluster.AttemptOutcome]string{
			cluster.Accepted: "accepted",
			cluster.Rejected: "rejected",
			cluster.NoRight:  "this account may not use AXL",
			cluster.NotTried: "not tried, nothing was sent",
			cluster.Unclear:  "not known, there was no verdict",
		}[c.Outcome]
		t.sayf("%s on %s: %s%s", id, c.Node, said, after(": ", c.Detail))
		for _, s := range c.Next {
			t.sayf("  next: %s.", s.Line())
		}
		t.sayf("%s", limits)
	}
	if c.Outcome != cluster.Accepted {
		return problem{}
	}
	return nil
}
