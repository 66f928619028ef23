package peer

import (
	"fmt"

	"peerkeeper/shared/mesh"
)

// verdict is a condition before it has a type and a since.
type verdict struct {
	status  Status
	reason  Reason
	basis   Basis
	message string
}

func yes(why Reason, b Basis, format string, args ...any) verdict {
	return verdict{True, why, b, fmt.Sprintf(format, args...)}
}

func no(why Reason, b Basis, format string, args ...any) verdict {
	return verdict{False, why, b, fmt.Sprintf(format, args...)}
}

func unsure(why Reason, format string, args ...any) verdict {
	return verdict{UnknownStatus, why, Measured, fmt.Sprintf(format, args...)}
}

// link is one directed peer with both ends at hand.
type link struct {
	*View
	id                       mesh.PeerID
	decl                     mesh.Peer
	puller, home             *mesh.Cluster
	pullerRecord, homeRecord *ClusterRecord // from's and to's records; never nil
	pullerView, homeView     Visibility
	entry                    Entry
	hasEntry                 bool
	other                    *Entry
}

func newLink(v *View, id mesh.PeerID) *link {
	l := bareLink(v, id)
	l.pullerView, l.homeView = v.Visibility(id.From), v.Visibility(id.To)
	return l
}

// bareLink is a link without our view of its ends, for those who form that view.
func bareLink(v *View, id mesh.PeerID) *link {
	l := &link{View: v, id: id, pullerRecord: v.record(id.From), homeRecord: v.record(id.To)}
	l.puller, _ = v.Mesh.Cluster(id.From)
	l.home, _ = v.Mesh.Cluster(id.To)
	l.decl, _ = v.Mesh.Peer(id)
	if l.entries().Known() {
		l.entry, l.hasEntry, l.other = l.pullerRecord.Seen.EntryFor(l.home)
	}
	return l
}

func (l *link) entries() Fact[[]Entry] { return l.pullerRecord.Seen.Entries.Fresh(l.Now, l.maxAge()) }

// blind explains why a datum of a cluster is not Known: our own trouble with
// the cluster comes before the single request's reason.
func (l *link) blind(id mesh.ClusterID, s Visibility, why Reason, detail string) verdict {
	if s.Trouble != "" {
		return unsure(s.Trouble, "%s: %s", id, s.Message)
	}
	if detail == "" {
		return unsure(why, "no data from %s yet", id)
	}
	return unsure(why, "%s: %s", id, detail)
}
