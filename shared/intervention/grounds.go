package intervention

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// Grounds is what one run knows of a mesh, and has made of it.
type Grounds struct {
	Actor        string       // the function that runs
	Lease        *store.Lease // nil in a dry run, which never acts
	Snapshot     *record.Snapshot
	View         *peer.View
	Certificates *certificate.View
	Conditions   map[mesh.PeerID][]peer.Condition
	States       map[mesh.PeerID]peer.StateRecord

	exchanged []peer.Proposal  // what Exchange has worked out; nil before
	failing   []repair.Failing // what failures has worked out; nil before
}

// Exchange is what the mesh's certificates ask for: those that a trust store
// lacks, and a restart of an ICSA that has not read what came into its own. Each
// of its proposals is held against it, so it is worked out once: of a renewed
// mesh of thirty there are hundreds.
func (g *Grounds) Exchange() []peer.Proposal {
	if g.exchanged == nil {
		g.exchanged = append([]peer.Proposal{}, g.Certificates.Proposals()...)
	}
	return g.exchanged
}

// Situation gathers what the guards judge by. The target's service is as
// peersync saw it; the gate reads it again before it acts.
func (g *Grounds) Situation(gate *repair.Gate, p peer.Proposal) repair.Situation {
	id := p.Target.Cluster
	sit := repair.Situation{
		Now: g.View.Now, Mesh: g.View.Mesh, Overrides: &g.Snapshot.Overrides, Epoch: gate.PauseEpoch, Newest: g.newest(), Announced: g.Snapshot.Proposals[p.ID].Value.First,
		Failing: g.failures(), Peers: map[mesh.PeerID]repair.Peer{}, Service: peer.Service{Status: "Unknown", UpTime: -1},
	}
	for _, id := range g.View.Mesh.IDs() {
		switch g.View.Visibility(id).Verdict {
		case peer.WaitingForPeers, peer.NotVisible:
			sit.Unseen++
		}
	}
	for _, id := range p.Peers {
		sit.Peers[id] = repair.Peer{Conditions: g.Conditions[id], Overlays: g.States[id].Overlays, Changing: g.View.Changing[id], Sync: g.Snapshot.Syncs[id].Value}
	}
	r := g.View.Clusters[id]
	switch {
	case r == nil:
		sit.ClusterUnknown = fmt.Sprintf("%s is no longer in mesh.yaml", id)
		return sit
	case g.Snapshot.Clusters[id].Newer:
		sit.ClusterUnknown = fmt.Sprintf("the record of %s was written by a newer version of Peerkeeper", id)
	}
	switch plans, err := g.Snapshot.Plans(); {
	case err != nil:
		sit.ClusterUnknown = fmt.Sprintf("which plans change %s cannot be read", id)
	case plans.Newer:
		sit.ClusterUnknown = fmt.Sprintf("the plans that may change %s were written by a newer version of Peerkeeper", id)
	}
	if r.Fell != nil {
		sit.UsersFell = r.Fell.String()
	}
	sit.Proposed = slices.Concat(peer.Starts(g.View, id, gate.Done()...), g.Exchange())
	services := r.Seen.Nodes[p.Target.Node].Services.Fresh(g.View.Now, 2*g.View.Tick)
	got, known := services.Get()
	svc, listed := got[p.Target.Service]
	switch {
	case !known:
		sit.ServiceUnknown = fmt.Sprintf("the services of %s are not known (%s)", p.Target.Node, services.Why())
	case !listed:
		sit.ServiceUnknown = fmt.Sprintf("%s is not listed", p.Target)
	default:
		if svc.UpTime >= 0 {
			svc.UpTime += max(0, g.View.Now.Sub(services.At)) // as it must be by now
		}
		sit.Service = svc
	}
	return sit
}

// failures are the peers that are not well, with their causes, but for those that a
// plan changes: what fails while people change it is no sign of a fault in the
// network. They are the same for every proposal.
func (g *Grounds) failures() []repair.Failing {
	if g.failing == nil {
		g.failing = []repair.Failing{}
		for _, pr := range g.View.Mesh.Peers {
			if root, ok := peer.RootOf(g.View, pr.ID, g.Conditions); ok && g.View.Changing[pr.ID] == "" {
				g.failing = append(g.failing, repair.Failing{Peer: pr.ID, Root: root})
			}
		}
	}
	return g.failing
}

// newest is the configuration hash of the newest run of any function. Our own
// record carries what this very run wrote; what it found there counts.
func (g *Grounds) newest() string {
	hash, at := g.View.Mesh.Hash(), time.Time{}
	newer := func(r store.Run) {
		if r.Started.After(at) {
			at, hash = r.Started, r.ConfigHash
		}
	}
	for function, r := range g.Snapshot.Runs {
		if function != g.Actor {
			newer(r.Value)
		}
	}
	if g.Lease != nil {
		newer(g.Lease.Before)
	}
	return hash
}
