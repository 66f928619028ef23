package change

import (
	"fmt"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
)

// A peer entry, on one cluster's page. No interface writes it, and no plan asks for the
// password that it holds: a person does each of these.
const (
	OpAddEntry         Op = "addEntry"
	OpEditEntry        Op = "editEntry"
	OpDeleteEntry      Op = "deleteEntry"
	OpEnterCredentials Op = "enterCredentials"
)

// far is the publisher that the step's entry names, or what else it names its cluster by.
func (c context) far() mesh.NodeName {
	if (c.step.Op == OpDeleteEntry || c.step.Op == OpEnterCredentials) && c.step.Value != "" {
		return mesh.NodeName(plain.Name(c.step.Value)) // as it was read there
	}
	if cl, ok := c.mesh.Cluster(c.step.Pair.To); ok {
		return cl.Publisher
	}
	return mesh.NodeName("the publisher of " + c.step.Pair.To)
}

func (c context) protocol() mesh.Protocol {
	if p, ok := c.mesh.Peer(c.step.Pair); ok && p.Protocol != "" {
		return p.Protocol
	}
	return mesh.TCP
}

func addEntryOp() op {
	return op{name: OpAddEntry, kind: Manual, lasts: 5 * time.Minute}
}

func addEntryText() text {
	return text{
		op: OpAddEntry,
		title: func(c context) string {
			return fmt.Sprintf("enter %s on the page of %s", c.step.Pair.To, c.step.Pair.From)
		},
		why: func(c context) string {
			return fmt.Sprintf("%s pulls the users of %s by this entry; each side has its own", c.step.Pair.From, c.step.Pair.To)
		},
		how: func(c context) procedure.Step {
			return procedure.AddPeer(c.step.Node, c.step.Pair.To, c.step.Value, c.protocol()).Then(fmt.Sprintf("Peer Address is the node name of the publisher exactly as %s of %s shows it. `peerkeeper peering check-credentials %s %s` tries the account once beforehand.", procedure.Menus(procedure.PresenceTopology), c.step.Pair.To, c.step.Pair.From, c.step.Pair.To))
		},
		interrupts: func(context) string {
			return "nothing; the first full sync takes long in a large cluster"
		},
		proof: func(context) string {
			return "the peer table has it, with that address and protocol; where it cannot be read, a person says so and the effect is waited for"
		},
		undo: func(c context) string {
			return "delete it: " + procedure.DeletePeer(c.step.Node, c.far()).Do
		},
	}
}

func editEntryOp() op {
	return op{name: OpEditEntry, kind: Manual, lasts: 5 * time.Minute}
}

func editEntryText() text {
	return text{
		op: OpEditEntry,
		title: func(c context) string {
			if c.step.Purpose == ByAddress {
				return fmt.Sprintf("set the address in %s's entry for %s to %s", c.step.Pair.From, c.step.Pair.To, c.step.Value)
			}
			return fmt.Sprintf("set the protocol of %s's entry for %s to %s", c.step.Pair.From, c.step.Pair.To, strings.ToUpper(c.step.Value))
		},
		why: func(c context) string {
			if c.step.Purpose == ByAddress {
				return "an entry names the database publisher by its node name, exactly as Presence Topology has it"
			}
			return "both ends of a pair use the same protocol"
		},
		how: func(c context) procedure.Step {
			if c.step.Purpose == ByAddress {
				return procedure.EditPeerAddress(c.step.Node, c.step.Pair.To, c.step.Value)
			}
			return procedure.EditPeerProtocol(c.step.Node, c.far(), mesh.Protocol(c.step.Value))
		},
		interrupts: func(c context) string {
			if c.step.Purpose == ByAddress {
				return "syncs of this direction, until the address is right"
			}
			return "presence between the two clusters, from the first end's change until the other end has the same protocol and, with TLS, certificates are exchanged (inferred; Cisco names no interruption)"
		},
		proof: func(context) string { return "the peer table has it; where it cannot be read, a person says so" },
		undo: func(c context) string {
			if c.step.Before != "" {
				return "set it to " + c.step.Before + " again"
			}
			return "set it to what it was before"
		},
	}
}

func deleteEntryOp() op {
	return op{name: OpDeleteEntry, kind: Manual, lasts: 5 * time.Minute}
}

func deleteEntryText() text {
	return text{
		op: OpDeleteEntry,
		title: func(c context) string {
			return fmt.Sprintf("delete the entry for %s on the page of %s", c.step.Pair.To, c.step.Pair.From)
		},
		why: func(c context) string {
			return "an entry that is left on one side goes on trying; Cisco wants it deleted on both"
		},
		how: func(c context) procedure.Step { return procedure.DeletePeer(c.step.Node, c.far()) },
		interrupts: func(c context) string {
			return fmt.Sprintf("people of %s see no presence of those of %s any more", c.step.Pair.From, c.step.Pair.To)
		},
		proof: func(context) string { return "the peer table lacks it; where it cannot be read, a person says so" },
		undo: func(c context) string {
			return fmt.Sprintf("`peerkeeper peering plan add %s %s`", c.step.Pair.From, c.step.Pair.To)
		},
	}
}

func enterCredentialsOp() op {
	return op{name: OpEnterCredentials, kind: Manual, lasts: 5 * time.Minute}
}

func enterCredentialsText() text {
	return text{
		op: OpEnterCredentials,
		title: func(c context) string {
			return fmt.Sprintf("enter the new password in %s's entry for %s", c.step.Pair.From, c.step.Pair.To)
		},
		why: func(c context) string {
			return fmt.Sprintf("%s logs in to %s with what stands there", c.step.Pair.From, c.step.Pair.To)
		},
		how: func(c context) procedure.Step {
			return procedure.EnterCredentials(c.step.Node, c.far(), c.step.Pair.To)
		},
		proof: func(context) string { return "a person says so, and then the next sync" },
		undo:  func(context) string { return "the account's former password, and that in every entry" },
	}
}
