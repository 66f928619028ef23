package repair

import (
	"context"
	"fmt"
	"time"

	"peerkeeper/shared/peer"
)

// kind is one kind of action: all that is particular to it. What is common, the
// order of steps and most guards, is the gate's. Fields that are not set are
// those of an action that needs nothing of the sort.
type kind struct {
	action peer.Action
	// on are the services, or trust stores, that it is done to as a repair, and
	// inPlans those that it is done to as a step of a plan, with a Privilege.
	on, inPlans []string
	// summary says what it does, as in "lets Peerkeeper …".
	summary func(p peer.Proposal) string
	// byHand is how a person does the same on Cisco's pages.
	byHand func(p peer.Proposal) string

	// guards are its own as a repair, besides those of every repair.
	guards []guard
	// facts says why what the proposal rests on does not stand, as far as it is
	// known now.
	facts func(p peer.Proposal, s Situation) string
	// needless says why the target does not want it any more.
	needless func(p peer.Proposal, s Situation) string
	// ready says why a planned step's own conditions do not hold.
	ready func(p peer.Proposal, s Situation) string
	// outdated says why an approval is not for the target as it is now.
	outdated func(c Consent, p peer.Proposal, s Situation) string
	// mends is the condition for which it is asked where the nodes themselves say
	// what they lack: once a person has approved it, causes of that sort are no
	// sign of a fault in the network, however many there are.
	mends peer.Type
	// interrupts says that the service stops for a moment, and with it every peer
	// of its cluster: it is limited by the hour.
	interrupts bool
	// frequent says that a mesh may see hundreds a day: the gate forgets them
	// before others.
	frequent bool

	// open reaches the target. To send, it needs the whole proposal; to read back,
	// what an intent remembers of one.
	open func(ctx context.Context, r *Repair, p peer.Proposal) (executor, error)
	// prove tells from a service as somebody has read it what became of an intent;
	// nil where a service tells nothing of it.
	prove func(in Intent, now peer.Service, at time.Time) (Outcome, string)
	// proof names what proves that it was done.
	proof string
}

// kinds are all that there are.
func kinds() []kind {
	return []kind{startService(), restartService(), setParameter(), importCertificate(), activateService()}
}

// kindOf is the kind of an action. What this version does not know may not be
// done to anything.
func kindOf(a peer.Action) kind {
	for _, k := range kinds() {
		if k.action == a {
			return k
		}
	}
	return kind{
		action: a, summary: summarize, byHand: func(peer.Proposal) string { return "" },
		open: func(context.Context, *Repair, peer.Proposal) (executor, error) {
			return nil, fmt.Errorf("this version of Peerkeeper does not know the action %q", a)
		},
	}
}

// Summary says what an action does, as in "lets Peerkeeper …".
func Summary(p peer.Proposal) string { return kindOf(p.Action).summary(p) }

// ByHand says how a person does the same on Cisco's pages.
func ByHand(p peer.Proposal) string { return kindOf(p.Action).byHand(p) }

func summarize(p peer.Proposal) string { return fmt.Sprintf("%s %s", p.Action, p.Target) }

// executor does one action to one target: how the target is looked at, how the
// action is sent, and what proves it. The gate's order of steps is the same for
// all.
type executor interface {
	// check reads the target for the guards and for the later proof.
	check(ctx context.Context, s *Situation) (Before, error)
	// recheck says why the action, already meant, must not be sent after all.
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
