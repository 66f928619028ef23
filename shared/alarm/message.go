package alarm

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// Bounds of what is said and stored of one alarm. A person reads a notice at
// night; a text message holds 1,600 characters, a chat message some 4,000; an
// item of the store holds 400 KB with every notice that waits.
const (
	// MaxMessage bounds a notice's message, in bytes.
	MaxMessage = 6000
	// maxLine bounds one of its lines, in characters, where all fit; the
	// longest are cut further where they do not.
	maxLine = 2000
	// maxLines bounds their number.
	maxLines = 16
	// leastMessage is about the shortest message that a receiver is offered.
	leastMessage = 160
	// maxItem bounds an alarm as it is stored, in bytes of JSON.
	maxItem = 96 << 10
	// maxField bounds what tells alarms apart: names from mesh.yaml, and the
	// subject, which may hold a name from a cluster.
	maxField = 512
)

// message puts a notice's lines together. It is the one place where a line
// break comes into a message: whatever a line is made of, it stays one line, so
// no value of a cluster can begin a line that looks like ours, or end one.
//
// What a person does next begins a line after the first; anything else that
// looks like it is broken, because some receivers run the lines into one.
func message(lines ...string) string {
	const label = "Next step:"
	ours := make([]string, len(lines))
	for i, line := range lines {
		line = plain.Line(line, maxLine) // first: a line break may stand within the label
		rest, is := strings.CutPrefix(line, label)
		if ours[i] = plain.Break(line, label); is && i > 0 {
			ours[i] = label + plain.Break(rest, label)
		}
	}
	return within(MaxMessage, ours)
}

// within is lines as a text of at most most bytes. The longest lines are cut
// first: the last one says what to do, and is mostly short.
func within(most int, lines []string) string {
	if more := len(lines) - maxLines; more > 0 {
		short := append([]string(nil), lines[:maxLines-2]...)
		lines = append(short, fmt.Sprintf("%d lines are left out.", more+1), lines[len(lines)-1])
	}
	const tooShort = 120 // for a line to make sense: two whole ones say more than ten stumps
	for limit := maxLine; ; limit = limit * 3 / 4 {
		if limit < tooShort && len(lines) > 2 {
			lines, limit = []string{lines[0], lines[len(lines)-1]}, most
		}
		cut := make([]string, len(lines))
		for i, line := range lines {
			cut[i] = plain.Line(line, limit)
		}
		lines = cut // a shorter line of a line is the same line
		if text := strings.Join(lines, "\n"); len(text) <= most {
			return text
		}
	}
}

// Clean is the notice with nothing in it that a terminal, a page or a mail
// reader would obey: every field one line, the message's own lines kept whole.
// What is composed here is so already; what is read from a store is what anyone
// with write access to it left there.
func (n Notice) Clean() Notice {
	n.Name, n.Mesh = plain.Line(n.Name, maxField), plain.Line(n.Mesh, maxField)
	for _, id := range []*mesh.ClusterID{&n.Cluster, &n.Peer.From, &n.Peer.To} {
		*id = mesh.ClusterID(plain.Line(string(*id), maxField))
	}
	n.Severity, n.State = peer.Severity(plain.Line(string(n.Severity), maxField)), State(plain.Line(string(n.State), maxField))
	n.Fingerprint, n.Runbook = plain.Line(n.Fingerprint, maxField), plain.Line(n.Runbook, maxField)
	lines := strings.Split(n.Message, "\n")
	for i, line := range lines {
		lines[i] = plain.Line(line, plain.Unbounded)
	}
	n.Message = strings.Join(lines, "\n")
	return n
}

// shortened is the notice with a message of about most bytes, which says how
// much of it is left out and where it is read whole.
func (n Notice) shortened(most int) Notice {
	where := "peerkeeper status"
	if !n.Peer.IsZero() {
		where = "peerkeeper explain '" + n.Peer.String() + "'"
	}
	note := func(left int) string {
		return fmt.Sprintf("Shortened: %d characters are left out; `%s` has them.", left, where)
	}
	whole := utf8.RuneCountInString(n.Message)
	text := within(max(leastMessage/2, most-len(note(whole))), strings.Split(n.Message, "\n"))
	n.Message = text + "\n" + note(whole-utf8.RuneCountInString(text))
	return n
}

// bound keeps an item storable however much waits in it: the messages of what
// waits are cut until it fits.
func (it *Item) bound() {
	for most := MaxMessage / 2; it.size() > maxItem && most >= leastMessage; most /= 2 {
		for i := range it.Pending {
			n := &it.Pending[i].Notice
			n.Message = within(most, strings.Split(n.Message, "\n"))
		}
	}
}

func (it *Item) size() int {
	b, _ := json.Marshal(it) // an error has no bytes, and storing the item will say so
	return len(b)
}
