package stucksync

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/run"
)

// notTrusted completes the alarm on a certificate that peers do not trust, and
// says whether it fires.
func (t *tick) notTrusted(f peer.Finding, one *alarm.Firing) bool {
	if f.Reason == certificate.NotTrustedByPeers && f.Severity != peer.Critical {
		return false // a subscriber's certificate, or one over which syncs succeed still
	}
	if t.trustedAllTheSame(one.Cluster, f) {
		return false
	}
	// A plan that changes those pairs has their certificates exchanged, and sees to it.
	one.Suppressed = one.Suppressed || len(f.Lacking) > 0 && !slices.ContainsFunc(f.Lacking, func(from mesh.ClusterID) bool {
		return t.View.Changing[mesh.PeerID{From: from, To: one.Cluster}] == ""
	})
	switch f.Reason {
	case certificate.NotTrustedByPeers:
		one.Step = "import"
	case peer.TrustNotReloaded:
		waits, due := t.Certificates.Reloading(one.Cluster)
		one.Step = "import"
		if due {
			one.Step = "reload" // said once more: now a restart waits for a person
		}
		one.Suppressed = one.Suppressed || !waits // restarted, or read already: its next sync clears it
	}
	return true
}

// ending completes the alarm on a certificate or a root that ends: it rises as
// time runs out, and is said again when fewer days are left.
func ending(f peer.Finding, one *alarm.Firing) {
	if f.Reason == certificate.ChainExpired {
		// The alarm that said that it would; whether pullers hold a newer CA, their
		// syncs show.
		one.Subject = string(f.ID.As(peer.CertificateExpiring))
		one.Severity, one.Step = peer.Critical, "over"
		return
	}
	one.Severity = f.Severity
	one.Step = f.Since.UTC().Format(time.DateOnly) // since when so few days are left
}

// expiring is the alarm that said that a certificate would expire. It is not over
// when it has: the renewal ends both.
func expiring(id mesh.ClusterID, expired peer.Finding) alarm.Firing {
	return alarm.Firing{Name: alarm.CertificateExpiring, Cluster: id, Suppressed: true,
		Subject: string(expired.ID.As(peer.CertificateExpiring))}
}

// trustedAllTheSame reports whether every cluster that a certificate's finding
// is about has synced over it since: the finding stays, nobody is woken.
func (t *tick) trustedAllTheSame(id mesh.ClusterID, f peer.Finding) bool {
	pulling := f.Lacking
	switch f.Reason {
	case certificate.NotTrustedByPeers:
	case certificate.CertificateNotYetValid:
		for _, p := range t.View.Mesh.Peers {
			if p.ID.To == id {
				pulling = append(pulling, p.ID.From)
			}
		}
	default:
		return false
	}
	for _, from := range pulling {
		c := peer.ConditionOf(t.Conditions[mesh.PeerID{From: from, To: id}], peer.CertificateTrusted)
		if c.Reason != peer.Contradicted && c.Reason != peer.SyncedOverServedLeaf {
			return false
		}
	}
	return len(pulling) > 0
}

// certWillSpeak reports whether a certificate is about to be named as the cause
// of a peer's syncs that fail: it was renewed, the puller lacks it, and the time
// in which a sync could still carry it over is up within the hour that the
// alarm of the certificate may be waited for. By two of certcheck's looks after
// that it has been named, or nobody looks.
func (t *tick) certWillSpeak(id mesh.PeerID) bool {
	c := peer.ConditionOf(t.Conditions[id], peer.CertificateTrusted)
	first := t.Snapshot.PeerCert[id].Value.LeafFirst
	if c.Status != peer.UnknownStatus || c.Reason != peer.ExchangePending || first.IsZero() {
		return false
	}
	exchange, _ := t.View.CertExchange(id.From)
	sched, _ := run.Find("certcheck")
	left := first.Add(exchange).Sub(t.View.Now)
	return left <= certWait && left > -2*sched.Period
}

// certWait is how long the alarm of a stuck sync may wait for the alarm of the
// certificate that explains it.
const certWait = time.Hour

// importNotice says what Peerkeeper does about a certificate of a cluster that others
// do not trust, and what is left to people.
func (t *tick) importNotice(id mesh.ClusterID) []string {
	const shown = 3
	var lines []string
	for _, p := range t.asked {
		if p.Source == nil && !p.Reload || !slices.ContainsFunc(p.Peers, func(pr mesh.PeerID) bool { return pr.To == id }) {
			continue
		}
		switch in := (noticeInput{mesh: t.Mesh, proposal: &p, refused: t.refused[p.ID], did: t.did[p.ID]}); {
		case len(lines) == shown:
			lines = append(lines, "Peerkeeper: more of the same, `peerkeeper plan` lists it.")
		case len(lines) < shown:
			lines = append(lines, "Peerkeeper: "+will(in))
		}
	}
	resync := procedure.ResyncCertificates("each cluster named", "{toPub}").Fill(procedure.Names(t.Mesh, mesh.PeerID{To: id}))
	hand := fmt.Sprintf("Next step: %s. Peerkeeper looks again every 15 min for a day, then every 6 h.", resync.Line())
	unread := slices.ContainsFunc(t.Snapshot.Certs[id].Value.Findings, func(f peer.Finding) bool { return f.Reason == peer.TrustNotReloaded })
	switch {
	case len(lines) == 0 && unread:
		lines = []string{"Peerkeeper: waits for the next sync; if none succeeds within an interval, it asks for a restart of Cisco Intercluster Sync Agent, with approval."}
	case len(lines) == 0:
		lines = []string{"Peerkeeper: puts nothing into a trust store here" + t.unvouched(id) + " (`peerkeeper check certs --trust` says who lacks what).", hand}
	case t.Mesh.Policy.Mode != mesh.Recover:
		lines = append(lines, hand)
	}
	return lines
}

// unvouched says of a publisher's certificate that Peerkeeper itself does not
// trust how a person vouches for it; "" if it does.
func (t *tick) unvouched(id mesh.ClusterID) string {
	c, ok := t.Mesh.Cluster(id)
	if !ok {
		return ""
	}
	served := t.Snapshot.Certs[id].Value.Served[c.Publisher]
	for _, keyType := range []string{"RSA", "ECDSA"} {
		s := served[certificate.Place{KeyType: keyType}]
		if s.Disputed {
			return fmt.Sprintf(" as long as what %s serves to Peerkeeper (%s) is not what its certificate management names", c.Publisher, s.Fingerprint)
		}
		if s.Fingerprint != "" && !s.Pinned && !s.CA {
			return fmt.Sprintf(" as long as nobody has vouched for %s of %s: compare it on the node itself, then `peerkeeper trust accept %s %s`", s.Fingerprint, c.Publisher, c.Publisher, s.Fingerprint)
		}
	}
	return ""
}
