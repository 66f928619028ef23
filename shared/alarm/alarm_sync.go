package alarm

import (
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// PeriodicSyncingFailure has the name of Cisco's own alarm.
const PeriodicSyncingFailure = "InterClusterSyncAgentPeerPeriodicSyncingFailure"

var periodicSyncingFailure = Kind{
	Name: PeriodicSyncingFailure, Severity: peer.Critical, Urgency: Page, Scope: PeerScope,
	Conditions:  []peer.Type{peer.Synced},
	InhibitedBy: []string{Outage, Cause},
	Awaits:      CertificateNotTrusted,
	Summary:     "The periodic sync of this peer stands still. Users homed on the remote cluster who were added or moved since are shown as offline or not found. Measured by Peerkeeper, or Cisco's own alarm of the same name, read in the agent's log: the message says which.",
	Effect:      changesMissing,
	Next:        procedure.ForceManualSync("{fromPub}", "{toPub}"),
}

// UsersDiffer is about the copy of a cluster's users, where the clock is well.
const UsersDiffer = "UsersDiffer"

var usersDiffer = Kind{
	Name: UsersDiffer, Severity: peer.Critical, Urgency: Ticket, Scope: PeerScope,
	Conditions:  []peer.Type{peer.UsersMatch},
	InhibitedBy: []string{PeriodicSyncingFailure, UsersFell, Outage, Cause},
	Awaits:      PeriodicSyncingFailure,
	Summary:     "The sync runs, and yet the copy of the remote cluster's users is not what the remote cluster has. The users who differ have no presence across this peer.",
	Effect:      "Users in {from} see some users of {to} as offline or not at all",
	Next:        procedure.ForceManualSync("{fromPub}", "{toPub}").Then("`peerkeeper explain {id}` names the users."),
}

// changesMissing is what users notice of a sync that does not come about.
const changesMissing = "Users in {from} do not see who was added, moved or removed in {to}"
