package peer

import (
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// What is said of a peer or a cluster is composed here, and cleaned once.
//
// A condition gets its message by Set and a finding its texts by Composed,
// wherever it is worded, so that no message can be stored with a control character,
// a bidi mark or a line break that a cluster chose, nor longer than a person
// reads. What is read from the store passes the same two on its way out
// (Conditions, certificate.View.Findings): others may write there. The values
// themselves, which are compared and counted, stay in their records as they were read.

const (
	// maxSaid bounds a message, in characters: ten names and the words around
	// them, with room to spare.
	maxSaid = 1500
	// maxValue bounds one value of a cluster within a message.
	maxValue = 120
	// maxName bounds what tells findings apart, and the names within them.
	maxName = 300
)

// said is a message as it may be stored and shown. What a person does next is
// said by notices and pages, never by a condition or a finding: whatever looks
// like it here came from a cluster.
func said(message string) string {
	return plain.Break(plain.Line(message, maxSaid), "Next step:")
}

// Composed is a finding as it may be stored and shown: no text in it, its id
// among them, has anything that a terminal or a page would obey. The subject is
// a value and stays as it was read.
func (f Finding) Composed() Finding {
	f.ID, f.Message, f.Fix = FindingID(plain.Line(string(f.ID), maxName)), said(f.Message), said(f.Fix)
	f.Severity, f.Reason = Severity(plain.Line(string(f.Severity), maxName)), Reason(plain.Line(string(f.Reason), maxName))
	f.Node = mesh.NodeName(plain.Line(string(f.Node), maxName))
	return f
}
