package stucksync

import (
	"slices"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/peer"
)

// undecided reports whether an alarm that is not firing cannot be judged now,
// so that it must not be cleared either.
func (j *tick) undecided(it alarm.Item) bool {
	kind, _ := alarm.Lookup(it.Name)
	if !it.Peer.IsZero() {
		for _, t := range kind.Conditions {
			c := condition(j.Conditions[it.Peer], t)
			// Where no success is told, a change that was seen copied since, and failures
			// that ICSA logs no more, clear to Unknown: more cannot be known there.
			sync := j.Book.Syncs[it.Peer].Value
			over := (c.Reason == peer.LogHasNoSyncLines || c.Reason == peer.ClockNotReadable) && !sync.Copied.IsZero() && !sync.Copied.Before(c.Since) ||
				c.Reason == peer.LogHasNoSyncLines && j.View.FailuresOver(it.Peer, sync)
			if c.Status == peer.UnknownStatus && c.Reason != peer.NotObservable && c.Reason != peer.Contradicted && !over {
				return true
			}
		}
		return false
	}
	if it.Cluster == "" {
		return it.Name == alarm.DuplicateUsers && j.duplicatesUnread()
	}
	r, ok := j.View.Clusters[it.Cluster]
	if !ok {
		return false
	}
	if kind.ClearedBy.Certcheck() {
		return j.certUnread(kind.ClearedBy, it)
	}
	if j.Book.Clusters[it.Cluster].Newer || !instant.Fresh(r.Seen.At, j.View.Now, 2*j.View.Tick) {
		return true
	}
	sight := j.View.Visibility(it.Cluster).Verdict
	switch kind.ClearedBy {
	case alarm.ByOutage:
		// Refused without having been asked says nothing of what was lost.
		c, _ := j.View.Mesh.Cluster(it.Cluster)
		_, lost := r.SilentSince[c.Publisher]
		return sight == peer.WaitingForPeers || (sight == peer.AccessDenied && (lost || r.Seen.Access.Why() == peer.NoCredentials))
	case alarm.BySight:
		return sight != peer.Visible
	case alarm.ByServices:
		return sight != peer.Visible || j.servicesUnread(r)
	}
	return false
}

func (j *tick) servicesUnread(r *peer.ClusterRecord) bool {
	for _, n := range r.Seen.Nodes {
		if !n.Services.Fresh(j.View.Now, 2*j.View.Tick).Known() {
			return true
		}
	}
	return false
}

// certUnread reports whether certcheck's word is too old, or whether what the
// alarm is about could not be read at its last look.
func (j *tick) certUnread(by alarm.Evidence, it alarm.Item) bool {
	cert := j.Book.Certs[it.Cluster]
	if cert.Newer || !instant.Fresh(cert.Value.At, j.View.Now, 2*peer.CertLook) {
		return true
	}
	unread := cert.Value.Unread(j.View.Now)
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
func (j *tick) removed(it alarm.Item) bool {
	if !it.Peer.IsZero() {
		_, ok := j.Mesh.Peer(it.Peer)
		return !ok
	}
	if it.Cluster != "" {
		_, ok := j.Mesh.Cluster(it.Cluster)
		return !ok
	}
	return false
}
