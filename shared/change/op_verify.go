package change

import (
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/procedure"
)

// Whether a change of a pair has had its effect.
const (
	OpVerifyPair Op = "verifyPair"
	OpLook       Op = "look"
	OpVerifyGone Op = "verifyGone"
	OpLeftovers  Op = "leftovers"
)

// verifyLasts is about how long the first full sync of a pair takes.
const verifyLasts = 30 * time.Minute

func verifyPairOp() op {
	return op{name: OpVerifyPair, kind: Wait, lasts: verifyLasts}
}

func verifyPairText() text {
	return text{
		op: OpVerifyPair,
		title: func(c context) string {
			if c.step.Purpose == byCredentials {
				return fmt.Sprintf("%s syncs from %s with the new password", c.step.Pair.From, c.step.Pair.To)
			}
			return fmt.Sprintf("%s holds all users of %s", c.step.Pair.From, c.step.Pair.To)
		},
		why: func(c context) string {
			if c.step.Purpose == byCredentials {
				return "a password that was entered wrong shows at the next sync; should ICSA go on with a log-in from before (whether it does is not in Cisco's guides), only when that breaks: then its alarm tells"
			}
			return "what counts is the effect: a sync since the change, as many users as at home, every name resolved, and certificates exchanged where the protocol is TLS"
		},
		how: func(c context) procedure.Step {
			return procedure.CheckPeer(c.step.Node, c.far()).Then(fmt.Sprintf("To expect: the test passed, as many users as %s has, and a time after this change; the first full sync of a large cluster takes long.", c.step.Pair.To))
		},
		proof: func(context) string {
			return "the peer table and the counts of users, or, where the table cannot be read, copies and Cisco's own line of success"
		},
	}
}

func lookOp() op {
	return op{name: OpLook, kind: Manual, aftermath: true, lasts: 5 * time.Minute}
}

func lookText() text {
	return text{
		op: OpLook,
		title: func(c context) string {
			return fmt.Sprintf("every row that %s shows of %s has a check mark", c.step.Pair.From, c.step.Pair.To)
		},
		why: func(context) string {
			return "what only Cisco's own pages test: connectivity between all nodes, Enterprise Groups, message archiver"
		},
		how: func(c context) procedure.Step {
			users := fmt.Sprintf("the number of users of %s", c.step.Pair.To)
			if c.step.Value != "" {
				users = c.step.Value
			}
			return procedure.CheckStatusRows(c.step.Node, c.far(), c.step.Pair.To, users, c.protocol() == mesh.TLSProto).Then(fmt.Sprintf("If a notification asks for a restart of the router after all: `peerkeeper peering plan restart-router %s`, and another for %s.", c.step.Pair.From, c.step.Pair.To))
		},
		proof: func(context) string { return "a person says so" },
	}
}

func verifyGoneOp() op {
	return op{name: OpVerifyGone, kind: Wait, lasts: tick}
}

func verifyGoneText() text {
	return text{
		op: OpVerifyGone,
		title: func(c context) string {
			return fmt.Sprintf("%s holds neither an entry for %s nor copies of its users", c.step.Pair.From, c.step.Pair.To)
		},
		why: func(context) string { return "an entry that was forgotten on one side goes on trying to sync" },
		how: func(c context) procedure.Step {
			how := procedure.DeletePeer(c.step.Node, c.far())
			how.Do = "If its entry is still there: " + how.Do
			return how
		},
		proof: func(context) string {
			return "the peer table and the counts of users; where the table cannot be read, that copies are gone which were there; a person is asked only where there were none"
		},
	}
}

func leftoversOp() op {
	return op{name: OpLeftovers, kind: Manual, aftermath: true, lasts: 5 * time.Minute}
}

func leftoversText() text {
	return text{
		op: OpLeftovers,
		title: func(c context) string {
			return fmt.Sprintf("certificates of %s that %s still trusts", c.step.Pair.To, c.step.Pair.From)
		},
		why: func(context) string {
			return "a deleted peer leaves its certificates in the trust stores; one that comes back with another certificate then meets the old one. Peerkeeper never deletes a certificate"
		},
		how: func(c context) procedure.Step {
			return procedure.Step{On: string(c.step.Node), Menu: procedure.CertificateManagement, Do: fmt.Sprintf("Find in tomcat-trust, cup-trust and cup-xmpp-trust the certificates of %s's nodes; delete those that nobody needs, or leave them and say so.", c.step.Pair.To)}
		},
		proof: func(context) string { return "a person says so; those that were read are named" },
	}
}
