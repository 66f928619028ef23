package alarm

import "peerkeeper/shared/peer"

// The alarms on nodes that answer Peerkeeper and refuse it.
const (
	AccountRejected = "AccountRejected"
	TLSRefused      = "TLSRefused"
)

var accountRejected = Kind{
	Name: AccountRejected, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Cause, Reach: ReachesBoth,
	Findings: []peer.Reason{peer.AccountRejected, peer.Forbidden, peer.NoCredentials}, ClearedBy: BySight,
	Summary: "The cluster refuses Peerkeeper's own account. Users notice nothing; nobody watches this cluster until the password is right.",
}

// Of certcheck's findings with the same reasons none fires: they are about one
// port, and peersync tells whether that blinds anybody.
var tlsRefused = Kind{
	Name: TLSRefused, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Cause, Reach: ReachesBoth,
	Findings: peer.TLSRefusals(), Subject: NodeSubject, ClearedBy: BySight,
	Summary: "A node takes Peerkeeper's connection, and no TLS comes about: cipher suites, version, certificate, or something in front of it. Users need not notice; nobody watches what that node alone can tell.",
}
