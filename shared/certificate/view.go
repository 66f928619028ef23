// Package certificate is what is known of a mesh's certificates, and what that
// comes to: who must trust which certificate and does, what a person should know,
// what may be put into which trust store, and how a certificate is renewed
// without a drop.
//
// It owns the record of one cluster's certificates and stores (CERT#cluster), the
// table of findings, the matrix of trust, the proposals of imports and reloads, and
// the timeline of a peer. Of syncs and services it asks the judgement (package
// peer), which knows nothing of certificates but the condition that comes of them.
//
// It is pure: no clock, no network, no store, no handshake. It never judges a peer's
// state and never decides whether an action is taken. It does not fail: what was not
// read is unknown, and an unknown neither clears a finding nor leads to a proposal.
package certificate

import (
	"sync"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// View is what is known of a mesh at one instant, with the certificates.
type View struct {
	*peer.View
	// Records are what certcheck stored, by cluster; one that it has not looked at,
	// or that this release cannot read, is not there.
	Records map[mesh.ClusterID]Record
	trust   func() Matrix
}

// NewView joins both. No record may change once Trust has been asked for.
func NewView(v *peer.View, records map[mesh.ClusterID]Record) *View {
	return &View{View: v, Records: records, trust: sync.OnceValue(func() Matrix { return matrixOf(v.Mesh, records, v.Now) })}
}

// Trust is every certificate that peers need against every cluster that needs it.
// It is worked out when it is first asked for, and once.
func (v *View) Trust() Matrix { return v.trust() }
