package operator

import (
	"context"
	"fmt"
	"slices"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/record"
	"peerkeeper/shared/remedy"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/secret"
)

// Checked is what came of trying the credentials of one entry.
type Checked struct {
	cluster.Attempt
	Node mesh.NodeName // that was asked
	Next []procedure.Step
	// Recorded says that the attempt stands in the audit.
	Recorded bool
}

// CheckCredentials tries, at most once, the user name and password that the entry of
// id.From for id.To carries or will carry. Nothing of them is kept or told: the audit
// says, where there is a Store, that they were sent, by whom, and with which
// outcome. An error is of the store; what was found stands beside it.
func (o *Operator) CheckCredentials(ctx context.Context, id mesh.PeerID, username string, password secret.Text) (Checked, error) {
	from, okFrom := o.Mesh.Cluster(id.From)
	to, okTo := o.Mesh.Cluster(id.To)
	if !okFrom || !okTo {
		return Checked{}, fmt.Errorf("%s is no pair of clusters of mesh %s", id, o.Mesh.Name)
	}
	var accepted map[mesh.NodeName][]string
	if o.Store != nil {
		snapshot, err := record.Load(ctx, o.Store, o.Mesh)
		if err != nil {
			return Checked{}, err
		}
		accepted = snapshot.Accepted()
	}
	within, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	c := Checked{Attempt: o.Clusters.TryAccount(within, to, accepted, username, password), Node: to.Publisher}
	c.Next = o.afterAttempt(id, from, to, c.Attempt)
	if o.Store == nil || c.Outcome == cluster.NotTried {
		return c, nil
	}
	// What was sent is entered even if somebody interrupts: it counts towards a lock.
	_, err := repair.Append(context.WithoutCancel(ctx), o.Store, o.Mesh.Name, repair.Entry{
		Time: o.Now(), Actor: o.Actor, Intent: "check-credentials " + id.String(), Outcome: string(c.Outcome), Evidence: "tried once on " + string(to.Publisher),
	})
	c.Recorded = err == nil
	return c, err
}

// afterAttempt is what a person does next.
func (o *Operator) afterAttempt(id mesh.PeerID, from, to *mesh.Cluster, a cluster.Attempt) []procedure.Step {
	users := func(format string, args ...any) procedure.Step {
		return procedure.Step{On: string(to.ID), Menu: procedure.ApplicationUsers, Do: fmt.Sprintf(format, args...)}
	}
	switch a.Outcome {
	case cluster.Accepted:
		return []procedure.Step{
			procedure.EnterCredentials(from.Publisher, to.Publisher, to.ID).Then("An entry that is not there yet takes them when it is added."),
			procedure.CheckPeer(from.Publisher, to.Publisher),
		}
	case cluster.Rejected:
		return []procedure.Step{
			{Do: "Do not try again before you know why: each rejected try counts towards the lock of the account, with which other clusters sync too. A locked account may answer the same."},
			users("Find %s's intercluster application user and compare its user ID, capitals included. If nobody knows its password, set a new one; every other cluster's entry for %s then needs it: `peerkeeper peering plan rotate-credentials %s`.", to.ID, to.ID, to.ID),
		}
	case cluster.NoRight:
		return []procedure.Step{
			users("Find the account: it needs a group with the role Standard AXL API Access."),
			{Do: "If it has the role: from 12.5 on a node may refuse a request for a host that it does not trust, so the name in mesh.yaml must be one by which the cluster knows the node; or the account is locked."},
		}
	}
	steps := remedy.For(o.Mesh, id, peer.Condition{Reason: a.Reason, Message: a.Detail})
	if a.Reason == peer.QueryRefused || a.Reason == peer.AXLVersionRefused { // their own steps are about Peerkeeper's queries
		steps = []procedure.Step{procedure.CheckService(to.Publisher, peer.AXL)}
	}
	if a.Outcome == cluster.Unclear {
		steps = slices.Insert(steps, 0, procedure.Step{Do: "Whether the account is accepted is not known, and the try may have counted: do not repeat it before this is mended."})
	}
	return steps
}
