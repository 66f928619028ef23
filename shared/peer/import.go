package peer

import (
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
)

// TomcatTrust is the store that Peerkeeper may add to. ICSA trusts by it whom
// it pulls from; the stores of SIP and XMPP are left to people.
const TomcatTrust = "tomcat-trust"

// CertSource is the certificate that an import is about. It is read again, from
// its own node over a verified connection, right before it is imported.
type CertSource struct {
	Cluster mesh.ClusterID `json:"cluster"`
	Node    mesh.NodeName  `json:"node"`
	Service string         `json:"service"` // tomcat or tomcat-ECDSA
	KeyType string         `json:"keyType"`
	// Fingerprint is that of the node's own certificate, in full. Anything else
	// that is found there is not imported.
	Fingerprint string `json:"fingerprint"`
	// Issuer is the CA of a CA-signed one: its chain is imported, never itself.
	Issuer string `json:"issuer,omitempty"`
	// Chain is what the node served above it, for people to compare; the import
	// goes by what is read then.
	Chain []Issuer `json:"chain,omitempty"`
	// Pending says that the node has it and does not serve it, yet or to Peerkeeper:
	// it is read by certificate management.
	Pending bool `json:"pending,omitempty"`
	// Proofs are the sources that told that it is the node's own.
	Proofs []Proof `json:"proofs,omitempty"`
}

// Issuer is one certificate of a served chain above the leaf.
type Issuer struct {
	Fingerprint string    `json:"fingerprint"`
	Subject     string    `json:"subject"`
	NotAfter    time.Time `json:"notAfter"`
}

// Proof is one of the sources that tell that a certificate is the node's own.
type Proof string

// The sources.
const (
	ProofServed   Proof = "served"   // to Peerkeeper, in a handshake that proved the key
	ProofIdentity Proof = "identity" // the node's certificate management names it
	ProofSynced   Proof = "synced"   // a peer that holds it, and no other of that name, has synced since it was first served here
)

// Import is a proposal to put a certificate, or the CAs above it, into the trust
// store of a cluster's publisher, from where it replicates. parameter says which of
// the two. Why and Approval are the caller's.
func Import(into *mesh.Cluster, source CertSource, parameter string, since time.Time) Proposal {
	p := Proposal{
		Action: ImportCertificate, Target: Target{Cluster: into.ID, Node: into.Publisher, Service: TomcatTrust, Parameter: parameter},
		Value: source.Fingerprint, Source: &source, Peers: []mesh.PeerID{{From: into.ID, To: source.Cluster}}, Since: since,
		Interrupts: "nothing: a trust store grows, and Peerkeeper removes nothing from it",
	}
	p.ID = proposalID(p.Action, p.Target, p.Value, p.Since)
	return p
}

// Reload is a proposal to restart ICSA, with approval, because something came into
// its trust store since it started.
func (v *View) Reload(id mesh.PeerID, since time.Time, why, approval string) Proposal {
	from, _ := v.Mesh.Cluster(id.From)
	p := Proposal{
		Action: RestartService, Reload: true, Target: Target{Cluster: from.ID, Node: from.Publisher, Service: ICSA}, Peers: []mesh.PeerID{id},
		Since: since, MinAge: 2 * time.Hour, Why: why, Approval: approval,
		Interrupts: fmt.Sprintf("the user syncs of %d peers of %s for about a minute; no sessions, chats or logins", len(pullsOf(v.Mesh, from.ID)), from.ID),
		Collect:    Evidence(from.Publisher),
	}
	p.ID = proposalID(p.Action, p.Target, "reload", p.Since)
	return p
}
