package peer

import (
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// VisibilityVerdict is what our own view of a cluster amounts to.
type VisibilityVerdict string

// The verdicts on what we see of a cluster. What Peerkeeper cannot reach is
// not therefore down: the peers that pull from it are asked first.
const (
	Visible         VisibilityVerdict = ""
	WaitingForPeers VisibilityVerdict = "awaiting"  // not answering; its peers have not had time to tell
	NotVisible      VisibilityVerdict = "notSeen"   // not answering us, but its peers advance, or nobody can tell
	Down            VisibilityVerdict = "down"      // not answering us, and no peer advances
	PublisherIsDown VisibilityVerdict = "publisher" // the publisher alone does not answer, and no peer advances
	AccessDenied    VisibilityVerdict = "refused"   // it answers, but our account or our trust does not fit
)

// Visibility is our own view of one cluster.
type Visibility struct {
	Verdict VisibilityVerdict
	// Trouble is the reason that every fact of the cluster is unknown for; ""
	// when the cluster lets us in.
	Trouble Reason
	Message string
	Since   time.Time
}

// Visibility is what we see of a cluster; Visible of one that is not in mesh.yaml.
func (v *View) Visibility(id mesh.ClusterID) Visibility {
	if e := v.ends[id]; e != nil {
		return e.visibility
	}
	return Visibility{}
}

// see judges what we see of a cluster from our seat, with its peers as witnesses.
func (v *View) see(e *end) Visibility {
	r, c := e.record, e.Cluster
	access := r.Seen.Access
	blind := access.Knowledge == UnknownFact && access.Reason != ""
	if blind && ourTrouble(access.Reason) {
		// Nothing was asked of the cluster, or it answered: silence proves nothing.
		return Visibility{Verdict: AccessDenied, Trouble: access.Reason, Message: access.Detail, Since: r.Seen.At}
	}
	since, whole := r.lostSince(c)
	if since.IsZero() {
		switch {
		case !blind:
			return Visibility{}
		case v.Now.Sub(r.NoAccessSince) <= v.patience(e)+v.Tick:
			return Visibility{WaitingForPeers, access.Reason, "no usable answer since " + plain.Time(r.NoAccessSince), r.NoAccessSince}
		}
		return Visibility{NotVisible, CannotSeeCluster, fmt.Sprintf("its nodes take connections, but none has given a usable answer since %s (%s)", plain.Time(r.NoAccessSince), access.Reason), r.NoAccessSince}
	}
	what := fmt.Sprintf("no node has answered since %s", plain.Time(since))
	if !whole {
		what = fmt.Sprintf("its publisher %s has not answered since %s", c.Publisher, plain.Time(since))
	}
	for _, n := range c.Nodes {
		if n.Name != c.Publisher && !whole {
			continue // a subscriber says nothing of the publisher
		}
		if message := v.contradiction(e, n.Name); message != "" {
			return Visibility{NotVisible, ReadByCertcheckOnly, message, since}
		}
	}
	// Its peers get one interval and a tick to tell, whatever they tell first.
	if v.Now.Sub(since) <= v.patience(e)+v.Tick {
		return Visibility{WaitingForPeers, AwaitingPeerEvidence, what + "; the clusters that pull from it have not had an interval to tell", since}
	}
	advanced, silent, unread := v.witnesses(e, since)
	if len(advanced) > 0 {
		return Visibility{NotVisible, CannotSeeCluster, fmt.Sprintf("%s, yet %s still sync from it: Peerkeeper cannot see it, its peers can", what, plain.List(advanced)), since}
	}
	if silent == 0 {
		return Visibility{NotVisible, CannotSeeCluster, fmt.Sprintf("%s, and no clock of the clusters that pull from it is readable (%d asked)", what, unread), since}
	}
	down := fmt.Sprintf("%s, and none of the %d clusters that pull from it and can tell has synced since", what, silent)
	if whole {
		return Visibility{Down, ClusterDown, down, since}
	}
	return Visibility{PublisherIsDown, PublisherDown, down, since}
}

// ourTrouble reports whether a look failed for a reason that lies with
// Peerkeeper's own account or trust, and that says nothing of the cluster.
func ourTrouble(why Reason) bool {
	switch why {
	case AccountRejected, Forbidden, NoCredentials, ServerCertificateUntrusted:
		return true
	}
	return why.refusesTLS()
}

// lostSince is since when the cluster (whole) or its publisher has not
// answered; zero when the publisher answers.
func (r *ClusterRecord) lostSince(c *mesh.Cluster) (since time.Time, whole bool) {
	pub, lost := r.SilentSince[c.Publisher]
	if !lost {
		return time.Time{}, false
	}
	whole, since = true, pub
	for _, n := range c.Nodes {
		t, lost := r.SilentSince[n.Name]
		if !lost {
			return pub, false
		}
		if t.After(since) {
			since = t
		}
	}
	return since, whole
}

// witnesses asks the clusters that pull from one whether they have synced since.
func (v *View) witnesses(e *end, since time.Time) (advanced []string, silent, unread int) {
	for _, l := range e.pulledBy {
		c := l.clock()
		interval, _ := l.interval()
		last := c.Last
		// One tick of slack: the last answer we had may be that old.
		switch {
		case last.After(since.Add(v.Tick)):
			advanced = append(advanced, string(l.id.From))
		case l.lostToICSA(since):
			silent++
		case !c.Readable() || c.Source == ClockCisco:
			// That a log tells of no success says nothing.
			unread++
		case since.Sub(last) > interval+2*v.Tick || !l.agentRuns() || (l.entry.HasError && l.entry.Error == ErrorCredentials):
			// Its sync stood still before, its own agent does not run, or it is
			// answered and refused: its silence says nothing of the cluster.
			unread++
		default:
			silent++
		}
	}
	return advanced, silent, unread
}

// agentRuns reports whether the pulling publisher's ICSA is known to run.
func (l *link) agentRuns() bool {
	services, ok := l.puller.record.Seen.Nodes[l.puller.Publisher].Services.Fresh(l.Now, l.maxAge()).Get()
	return ok && services[ICSA].Started()
}

// patience is the longest interval on which anybody pulls from the cluster, and
// the time until a log tells of it where nothing else does.
func (v *View) patience(e *end) time.Duration {
	longest := mesh.MinSyncInterval
	for _, l := range e.pulledBy {
		told := l.puller.record.longestInterval(l.puller.Cluster, v.Now)
		if !l.tableClock().Readable() && l.logFresh() {
			told += LogTurn + v.Tick
		}
		longest = max(longest, told)
	}
	return longest
}
