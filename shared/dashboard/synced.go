package dashboard

import (
	"context"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// SyncedSince is, of each peer, whether a sync has succeeded since an instant.
type SyncedSince struct {
	Since time.Time    `json:"since"`
	Peers []PeerSynced `json:"peers"`
}

// PeerSynced is one directed peer.
type PeerSynced struct {
	ID     mesh.PeerID `json:"id"`
	Last   *time.Time  `json:"last"`   // null where no success is known
	Synced string      `json:"synced"` // yes, no or unknown
	Basis  peer.Basis  `json:"basis"`
}

// All reports whether every peer has.
func (s SyncedSince) All() bool {
	for _, p := range s.Peers {
		if p.Synced != "yes" {
			return false
		}
	}
	return true
}

// clockDoubt is how far a cluster's clock may be off that was not compared.
const clockDoubt = 10 * time.Minute

// Synced tells which peers have synced since an instant; of those that pull from
// one cluster if home is not "".
func (s Source) Synced(ctx context.Context, since time.Time, home mesh.ClusterID, now time.Time) (SyncedSince, error) {
	snap, err := s.load(ctx, now, nil)
	if err != nil {
		return SyncedSince{}, err
	}
	out := SyncedSince{Since: since, Peers: []PeerSynced{}}
	for _, p := range s.Mesh.Peers {
		if home == "" || p.ID.To == home {
			out.Peers = append(out.Peers, syncedSince(p.ID, snap.view.ClockAsRead(p.ID), since, now, 2*snap.Tick))
		}
	}
	return out, nil
}

// syncedSince: a success stays one however long ago it was read. That there was none
// is told by Last Synchronized Time alone, read lately: a line that is missing in a
// log says nothing.
func syncedSince(id mesh.PeerID, c peer.Clock, since, now time.Time, fresh time.Duration) PeerSynced {
	out := PeerSynced{ID: id, Synced: "unknown", Basis: c.Basis}
	doubt := time.Duration(0)
	if !c.Compared {
		doubt = clockDoubt
	}
	if c.Succeeded() {
		last := c.Last.UTC()
		out.Last = &last
		if !last.Add(-doubt).Before(since) {
			out.Synced = "yes"
		}
	}
	never := c.Source == peer.ClockDialect && (c.Told.IsZero() || c.Last.Add(doubt).Before(since))
	if never && !c.Read.Before(since) && now.Sub(c.Read).Abs() <= fresh {
		out.Synced = "no"
	}
	return out
}
