package certcheck

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
)

// readSlack is what a sync may take beyond its interval, and our own looks.
const readSlack = 15 * time.Minute

// awaitReading goes on saying that a publisher's certificate is not trusted by
// clusters that have it in their store at last: their Intercluster Sync Agent
// reads the store when it starts [Security Guide 12.5(1)SU2: "restart ICSA" if
// tomcat-trust is right and access still fails], and until it has, they are
// refused as before. It is over when a sync has succeeded since, or when the
// agent has started since and had an interval's time: whatever fails then has
// another cause. Where the entry's clock cannot be read, nothing is awaited.
//
// It returns since when each is awaited, by "cluster fingerprint".
func (c *Certcheck) awaitReading(f *finder, cl *mesh.Cluster, was peer.CertClusterRecord, matrix peer.TrustMatrix, book *record.Book, now time.Time) map[string]time.Time {
	var awaited map[string]time.Time
	var before *peer.TrustMatrix // as of the look before, if it is needed
	for _, p := range f.prev {
		if p.Reason != peer.NotTrustedByPeers || p.Severity != "critical" || p.Node != cl.Publisher {
			continue
		}
		if before == nil {
			before = c.matrixBefore(book, was.At)
		}
		var clusters []string
		for _, row := range matrix.Of(cl.ID) {
			if row.Pending || row.Node != p.Node || row.KeyType != p.KeyType || row.Store != "tomcat-trust" {
				continue
			}
			for i, puller := range matrix.Clusters {
				if v := row.Cells[i].Verdict; v != peer.TrustYes && v != peer.TrustByCA {
					continue
				}
				key := string(puller) + " " + peer.ShortPrint(row.Fingerprint)
				since, known := was.Awaited[key]
				if !known {
					if !lacked(before, row, puller) {
						continue
					}
					since = now
				}
				if c.hasRead(book, mesh.PeerID{From: puller, To: cl.ID}, p.Since, since, now) {
					continue
				}
				if awaited == nil {
					awaited = map[string]time.Time{}
				}
				awaited[key] = since
				clusters = append(clusters, string(puller))
			}
		}
		if len(clusters) == 0 {
			continue
		}
		again := p
		again.Message = fmt.Sprintf("the certificate of %s (%s) is in the tomcat-trust of %s now, and no sync has succeeded over it yet: the Intercluster Sync Agent reads its trust store when it starts",
			p.Node, peer.CommonName(p.Subject), strings.Join(clusters, ", "))
		again.Fix = fmt.Sprintf("wait for the next sync; if it fails: Cisco Unified IM and Presence Serviceability > Tools > Control Center - Network Services, the publisher of %s: Cisco Intercluster Sync Agent, Restart", strings.Join(clusters, ", "))
		f.add(again)
	}
	return awaited
}

// matrixBefore is the matrix as it was at the look before.
func (c *Certcheck) matrixBefore(book *record.Book, at time.Time) *peer.TrustMatrix {
	certs := map[mesh.ClusterID]peer.CertClusterRecord{}
	for id, d := range book.Certs {
		certs[id] = d.Value
	}
	m := peer.Trust(c.Mesh, certs, at)
	return &m
}

// lacked reports whether a cluster's store was known not to have a certificate.
func lacked(before *peer.TrustMatrix, row peer.TrustRow, puller mesh.ClusterID) bool {
	return slices.ContainsFunc(before.Of(row.Cluster), func(r peer.TrustRow) bool {
		if r.Fingerprint != row.Fingerprint || r.Store != row.Store || r.Pending {
			return false
		}
		v := before.Cell(r, puller).Verdict
		return v == peer.TrustMissing || v == peer.TrustStale
	})
}

// hasRead reports whether the pulling agent has shown that it knows what its
// store has since an instant, or cannot show it.
func (c *Certcheck) hasRead(book *record.Book, id mesh.PeerID, lackedSince, since, now time.Time) bool {
	to, _ := c.Mesh.Cluster(id.To)
	from, _ := c.Mesh.Cluster(id.From)
	rec := book.Clusters[id.From].Value
	if e, listed, _ := rec.Seen.EntryFor(to); !listed || !e.HasClock {
		return true
	}
	if syncedSince(book, id, to, lackedSince) {
		return true
	}
	services := rec.Seen.Nodes[from.Publisher].Services
	all, ok := services.Get()
	agent := all[peer.ICSA]
	if !ok || !agent.Started() || agent.UpTime < 0 {
		return false
	}
	started := services.At.Add(-agent.UpTime)
	interval, _ := rec.EffectiveInterval(from, now)
	return started.After(since) && now.Sub(started) > interval+readSlack
}
