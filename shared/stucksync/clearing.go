package stucksync

import (
	"slices"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/peer"
)

// undecided reports whether an alarm that is not firing cannot be judged now,
// so that it must not be cleared either.
func (t *tick) undecided(it alarm.Item) bool {
	kind, _ := alarm.Lookup(it.Name)
	if !it.Peer.IsZero() {
		for _, typ := range kind.Conditions {
			c := peer.ConditionOf(t.Conditions[it.Peer], typ)
			// Where no success is told, a change that was seen copied since, and failures
			// that ICSA logs no more, clear to Unknown: more cannot be known there.
			sync := t.Snapshot.Syncs[it.Peer].Value
			over := (c.Reason == peer.LogHasNoSyncLines || c.Reason == peer.ClockNotReadable) && !sync.Copied.IsZero() && !sync.Copied.Before(c.Since) ||
				c.Reason == peer.LogHasNoSyncLines && t.View.FailuresOver(it.Peer, sync)
			if c.Status == peer.UnknownStatus && c.Reason != peer.NotObservable && c.Reason != peer.Contradicted && !over {
				return true
			}
		}
		return false
	}
	if it.Cluster == "" {
		return it.Name == alarm.DuplicateUsers && t.duplicatesUnread() || (it.Name == alarm.PlanStopped || it.Name == alarm.PlanWaits) && t.plansUnread()
	}
	r, ok := t.View.Clusters[it.Cluster]
	if !ok {
		return false
	}
	if kind.ClearedBy.Certcheck() {
		return t.certUnread(kind.ClearedBy, it)
	}
	if t.Snapshot.Clusters[it.Cluster].Newer || !instant.Fresh(r.Seen.At, t.View.Now, 2*t.View.Tick) {
		return true
	}
	sight := t.View.Visibility(it.Cluster).Verdict
	switch kind.ClearedBy {
	case alarm.ByOutage:
		// Refused without having been asked says nothing of what was lost.
		c, _ := t.View.Mesh.Cluster(it.Cluster)
		_, lost := r.SilentSince[c.Publisher]
		return sight == peer.WaitingForPeers || (sight == peer.AccessDenied && (lost || r.Seen.Access.Why() == peer.NoCredentials))
	case alarm.BySight:
		return sight != peer.Visible
	case alarm.ByServices:
		return sight != peer.Visible || t.servicesUnread(r)
	}
	return false
}

func (t *tick) servicesUnread(r *peer.ClusterRecord) bool {
	for _, n := range r.Seen.Nodes {
		if !n.Services.Fresh(t.View.Now, 2*t.View.Tick).Known() {
			return true
		}
	}
	return false
}

// certUnread reports whether certcheck's word is too old, or whether what the
// alarm is about could not be read at its last look.
func (t *tick) certUnread(by alarm.Evidence, it alarm.Item) bool {
	cert := t.Snapshot.Certs[it.Cluster]
	if cert.Newer || !instant.Fresh(cert.Value.At, t.View.Now, 2*peer.CertLook) {
		return true
	}
	unread := cert.Value.Unread(t.View.Now)
	switch by {
	case alarm.ByEveryCert:
		return len(unread) > 0
	case alarm.ByItsCert:
		// The subject is the finding's id, which ends in the node and key type.
		return slices.ContainsFunc(unread, func(at string) bool { return peer.FindingID(it.Subject).On(at) })
	}
	return false
}

// removed reports whether an alarm's cluster or peer has left mesh.yaml.
func (t *tick) removed(it alarm.Item) bool {
	if !it.Peer.IsZero() {
		_, ok := t.Mesh.Peer(it.Peer)
		return !ok
	}
	if it.Cluster != "" {
		_, ok := t.Mesh.Cluster(it.Cluster)
		return !ok
	}
	return false
}
