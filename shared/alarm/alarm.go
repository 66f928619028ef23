// Package alarm decides when a problem is said aloud, says it at least once,
// and takes it back once.
//
// It owns the alarm items and their delivery; it never decides whether
// something is wrong. Between two kills of the process an alarm may be sent
// again with the same fingerprint and transition, and is never lost.
//
// A notice is composed here and nowhere else: what fires brings its lines, one
// by one (Firing.Message, Firing.More), and this package cleans each, bounds
// them and joins them. That is why every receiver gets one line of ours per
// line, and why no caller and no sink can forget it. An alarm stays small
// enough for every store whatever its message, and a receiver that calls a
// notice too large is given it again, shorter.
package alarm

import (
	"cmp"
	"context"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// State is where a notice stands.
type State string

// The states of a notice.
const (
	Raised   State = "raised"
	Cleared  State = "cleared"
	Repeated State = "repeated"
)

// Notice is what is sent: the same fields in the JSON-lines file, the webhook
// body and, as message attributes, SNS.
type Notice struct {
	Name        string         `json:"name"`
	Severity    peer.Severity  `json:"severity"`
	State       State          `json:"state"`
	Mesh        string         `json:"mesh"`
	Cluster     mesh.ClusterID `json:"cluster,omitempty"`
	Peer        mesh.PeerID    `json:"peer,omitzero"`
	Fingerprint string         `json:"fingerprint"`
	Transition  int            `json:"transition"`
	Since       time.Time      `json:"since"`
	Message     string         `json:"message"`
	Runbook     string         `json:"runbook"`
}

// About is what a notice speaks of: a peer, a cluster or the mesh.
func (n Notice) About() string {
	return cmp.Or(n.Peer.String(), string(n.Cluster), n.Mesh)
}

// Sink sends notices somewhere. An error means that nobody may have heard it,
// so it is sent again, with the same fingerprint and transition.
type Sink interface {
	Send(ctx context.Context, n Notice) error
}
