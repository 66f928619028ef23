package peer

import (
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// What the syncs of a peer, and the ICSA that makes them, show of the certificate
// that they meet. ICSA reads its trust store when it starts: what came into it
// since helps only after a restart.

// SyncedSince reports whether a sync of the peer is known to have succeeded
// after an instant, by our clock.
func (v *View) SyncedSince(id mesh.PeerID, at time.Time) bool {
	c := v.ClockAsRead(id)
	return c.Succeeded() && c.Last.After(at)
}

// FailedSince is when ICSA last logged, after an instant, that a sync of the peer failed
// which no success followed; zero if it did not, or its log does not tell.
func (v *View) FailedSince(id mesh.PeerID, at time.Time) time.Time {
	l := v.link(id)
	failure := l.words().Failure
	if !l.logFresh() || !l.failing(failure) || !l.puller.said(failure).After(at) {
		return time.Time{}
	}
	return failure.At
}

// Works reports whether a peer's syncs are known to succeed: its clock can be
// read, and no sync is overdue. Of a cluster out of sight it is as it was when
// its clock was read last: that time goes by shows nothing.
func (v *View) Works(id mesh.PeerID) bool {
	l := v.link(id)
	c, at := l.clockAsRead(), v.Now
	if !l.puller.entries.Known() || c.Source == ClockCisco {
		at = c.Read
	}
	interval, _ := l.puller.record.EffectiveInterval(l.puller.Cluster, v.Now)
	return c.Succeeded() && at.Sub(c.Last) <= interval+2*v.Tick && !l.stands(l.words().Failure, SyncRecord{})
}

// TrustUnread reports whether the ICSA that pulls may not have read what changed
// in its store at an instant: it has run since before, or has hardly begun since.
// measured says that the peer's clock tells it: its sync is overdue, and none has
// succeeded since. Without a clock, or with a log that tells of no failure, only the
// up-time speaks.
func (v *View) TrustUnread(id mesh.PeerID, changed time.Time) (unread, measured bool) {
	older := v.AgentOlder(id.From, changed)
	c, l := v.ClockAsRead(id), v.link(id)
	if !c.Readable() || c.Source == ClockCisco && !c.Last.After(changed) && !l.stands(l.words().Failure, SyncRecord{}) {
		return older, false
	}
	return (older || v.agentYoung(id.From)) && !v.Works(id) && !v.SyncedSince(id, changed), true
}

// AgentOlder reports whether ICSA on a cluster's publisher is known to have run
// since before an instant. Of a cluster out of sight it is as it was seen last:
// that it cannot be seen does not show that it was restarted. Before anything is
// done about it the gate wants it fresh.
func (v *View) AgentOlder(id mesh.ClusterID, changed time.Time) bool {
	c, ok := v.Mesh.Cluster(id)
	if !ok {
		return false
	}
	services := v.record(id).Seen.Nodes[c.Publisher].Services
	got, known := services.Get()
	agent, listed := got[ICSA]
	return known && listed && agent.Started() && agent.UpTime >= 0 && !services.At.Add(-agent.UpTime).After(changed)
}

// agentYoung reports whether ICSA on a cluster's publisher started so lately that
// its first sync may still be to come. What fails after that has another cause.
func (v *View) agentYoung(id mesh.ClusterID) bool {
	c, ok := v.Mesh.Cluster(id)
	if !ok {
		return false
	}
	services := v.record(id).Seen.Nodes[c.Publisher].Services
	got, known := services.Get()
	agent := got[ICSA]
	interval, _ := v.record(id).EffectiveInterval(c, v.Now)
	return known && agent.Started() && agent.UpTime >= 0 && v.Now.Sub(services.At.Add(-agent.UpTime)) <= interval+2*v.Tick
}

// ReplicationTime is how long a trust store takes to reach every node.
const ReplicationTime = time.Hour

// CertExchange is how long a new certificate may be on its way to a cluster
// without anything being wrong: one sync interval, then up to 60 minutes to reach
// every node (TAC-212647). carried is false where ICSA's certificate sync
// is known to be off, so that nothing is on its way.
func (v *View) CertExchange(puller mesh.ClusterID) (wait time.Duration, carried bool) {
	c, ok := v.Mesh.Cluster(puller)
	if !ok {
		return 0, false
	}
	r := v.record(puller)
	params, _ := r.Seen.Nodes[c.Publisher].Parameters.Get()
	switch strings.ToLower(params[ParamCertSync]) {
	case "f", "false", "0", "disabled":
		return 0, false
	}
	interval, _ := r.EffectiveInterval(c, v.Now)
	return interval + ReplicationTime, true
}

// SyncDue reports whether a sync of a cluster's has been due since an instant.
func (v *View) SyncDue(puller mesh.ClusterID, since time.Time) bool {
	c, ok := v.Mesh.Cluster(puller)
	if !ok {
		return false
	}
	interval, _ := v.record(puller).EffectiveInterval(c, v.Now)
	return v.Now.Sub(since) >= interval+v.Tick
}
