package stucksync

import (
	"slices"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// firing lists every problem that exists now.
func (t *tick) firing() []alarm.Firing {
	var out []alarm.Firing
	ofPeers := peerKinds()
	for _, p := range t.Mesh.Peers {
		out = append(out, t.peerFiring(p.ID, ofPeers)...)
	}
	for _, c := range t.Mesh.Clusters {
		out = append(out, t.clusterFiring(c.ID)...)
	}
	out = append(out, t.duplicateUsers()...)
	out = append(out, t.plansStopped()...)
	out = append(out, t.plansWaiting()...)
	out = append(out, t.overdue()...)
	out = append(out, t.selfTest()...)
	for i, f := range out {
		fp := alarm.Fingerprint(t.Mesh.Name, f.Name, f.Cluster, f.Peer, f.Subject)
		if w, ok := t.Snapshot.Overrides.Acks[fp]; ok && w.Silences(t.View.Now) {
			out[i].Suppressed = true
		}
	}
	return out
}

// peerKinds are the alarms that speak of a directed peer.
func peerKinds() []alarm.Kind {
	return slices.DeleteFunc(alarm.Catalogue(), func(k alarm.Kind) bool { return k.Scope != alarm.PeerScope })
}

// peerFiring lists a peer's problems: those whose condition is False, and was
// so at the look before.
func (t *tick) peerFiring(id mesh.PeerID, kinds []alarm.Kind) []alarm.Firing {
	silent := suppressed(t.States[id].Overlays)
	var out []alarm.Firing
	for _, k := range kinds {
		for _, typ := range k.Conditions {
			c := peer.ConditionOf(t.Conditions[id], typ)
			if c.Status != peer.False || peer.FirstCheck(c) || t.View.NextSyncTells(id, typ) {
				continue
			}
			out = append(out, alarm.Firing{
				Name: k.Name, Peer: id, Message: c.Message, Since: c.Since, Suppressed: silent || t.aboutToFire(k.Awaits, id),
			})
			break
		}
	}
	return out
}

// suppressed reports whether a peer's overlays suppress its notices. Paused does
// not: a person who stops repairs still wants to hear what is broken.
func suppressed(overlays []peer.Overlay) bool {
	for _, o := range overlays {
		switch o {
		case peer.Maintenance, peer.Acknowledged, peer.Flapping, peer.Upgrading, peer.Rewound, peer.Changing:
			return true
		}
	}
	return false
}

// aboutToFire reports whether an alarm is about to name the cause of a peer's
// trouble.
func (t *tick) aboutToFire(name string, id mesh.PeerID) bool {
	switch name {
	case alarm.PeriodicSyncingFailure:
		synced := peer.ConditionOf(t.Conditions[id], peer.Synced)
		return synced.Reason == peer.Overdue || synced.Status == peer.False || t.View.NextTurnTells(id)
	case alarm.CertificateNotTrusted:
		return t.certWillSpeak(id)
	}
	return false
}

// clusterFiring lists the problems of a cluster: its findings for which there is
// an alarm.
func (t *tick) clusterFiring(id mesh.ClusterID) []alarm.Firing {
	silent := t.View.Upgrading(id) || t.Snapshot.Overrides.MaintenanceOf(id, t.View.Now)
	var out []alarm.Firing
	fire := func(f peer.Finding, certcheck bool) {
		k, ok := alarm.OfFinding(f.Reason)
		if !ok || k.ClearedBy.Certcheck() != certcheck {
			return
		}
		one := alarm.Firing{Name: k.Name, Cluster: id, Subject: subject(k, f), Message: f.Message, Since: f.Since, Suppressed: silent}
		if !t.complete(f, &one) {
			return
		}
		out = append(out, one)
		if k.Name == alarm.CertificateExpired {
			out = append(out, expiring(id, f))
		}
	}
	for _, f := range t.View.Clusters[id].Findings {
		fire(f, false)
	}
	for _, f := range t.Certificates.Findings(id) {
		fire(f, true)
	}
	return out
}

// complete completes an alarm of which a cluster's finding does not say all, and
// says whether it fires.
func (t *tick) complete(f peer.Finding, one *alarm.Firing) bool {
	switch one.Name {
	case alarm.ServiceStopped:
		return t.stopped(f, one)
	case alarm.CertificateNotTrusted:
		return t.notTrusted(f, one)
	case alarm.CertificateExpiring, alarm.PeerkeeperGoesBlind:
		ending(f, one)
	}
	return true
}

// subject tells a cluster's alarms of one name apart.
func subject(k alarm.Kind, f peer.Finding) string {
	switch k.Subject {
	case alarm.NodeSubject:
		return string(f.Node)
	case alarm.FindingSubject:
		return string(f.ID)
	}
	return ""
}
