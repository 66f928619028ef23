package dashboard

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/check"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// snapshot is what is stored of the mesh at one instant, as it is judged then.
type snapshot struct {
	Source
	*record.Snapshot
	now      time.Time
	view     *peer.View
	certs    *certificate.View
	runs     map[string]store.Run
	alarms   []alarm.Notice
	unread   []record.Unread
	pushed   *record.Tally
	checks   map[mesh.ClusterID]store.Doc[check.Record]
	unusable map[string]peer.Reason // by sort key
	// declared are the peers of mesh.yaml.
	declared map[mesh.PeerID]bool
}

// load reads the store once. What before decoded is not decoded again.
func (s Source) load(ctx context.Context, now time.Time, before *record.Snapshot) (*snapshot, error) {
	if s.Tick == 0 {
		sched, _ := run.Find("peersync")
		s.Tick = sched.Period
	}
	recorded, err := record.Show(ctx, s.Store, s.Mesh, before)
	if err != nil {
		return nil, err
	}
	pushed, tally, unreadable := record.Pushed(ctx, s.Store, s.Mesh)
	facts := recorded.Facts(s.Mesh, s.Tick, now)
	facts.Pushed = pushed
	snap := &snapshot{
		Source: s, Snapshot: recorded, now: now, view: facts.View(),
		runs: map[string]store.Run{}, alarms: []alarm.Notice{},
		unusable: map[string]peer.Reason{}, declared: make(map[mesh.PeerID]bool, len(s.Mesh.Peers)),
	}
	snap.certs = recorded.Certificates(snap.view)
	for _, p := range s.Mesh.Peers {
		snap.declared[p.ID] = true
	}
	for function, doc := range recorded.Runs {
		snap.runs[function] = doc.Value
	}
	for _, a := range record.Alarms[alarm.Item](recorded, alarm.Schema) {
		if a.Active() { // cleared ones are kept for a while; what is shown stands
			snap.alarms = append(snap.alarms, a.Notice)
		}
	}
	slices.SortStableFunc(snap.alarms, func(a, b alarm.Notice) int {
		return cmp.Or(a.Severity.Rank()-b.Severity.Rank(), a.Since.Compare(b.Since), strings.Compare(a.Fingerprint, b.Fingerprint))
	})
	snap.checks = recorded.Checks(s.Mesh)
	snap.pushed, snap.unread = tally, recorded.Unread()
	if unreadable != nil {
		snap.unread = append(snap.unread, record.Unread{Item: store.Pushed(s.Mesh.Name), Reason: peer.UnreadableAnswer, Message: unreadable.Error()})
	}
	for _, u := range snap.unread {
		snap.unusable[u.Item] = u.Reason
	}
	return snap, nil
}

// stored is what the store holds of one directed peer.
type stored struct {
	sync                    peer.SyncRecord
	cert                    peer.CertRecord
	state                   peer.StateRecord
	judged                  bool        // there is a state
	noSync, noCert, noState peer.Reason // why the record cannot be used; "" if it can
}

func (snap *snapshot) stored(id mesh.PeerID) stored {
	if !snap.Kept()[id] {
		return stored{}
	}
	name := snap.Mesh.Name
	state, judged := snap.States[id]
	return stored{
		sync: snap.Syncs[id].Value, cert: snap.CertOf(id), state: state.Value, judged: judged,
		noSync: snap.unusable[store.PeerSync(name, id).SK], noCert: snap.unusable[store.PeerCert(name, id).SK], noState: snap.unusable[store.PeerStuck(name, id).SK],
	}
}

// unusableCluster says why what was last seen of a cluster cannot be used; "" if
// it can.
func (snap *snapshot) unusableCluster(id mesh.ClusterID) peer.Reason {
	return snap.unusable[store.Cluster(snap.Mesh.Name, id).SK]
}

// overdue reports whether a scheduled function has not completed for two of
// its periods. One that never began is not overdue: nobody runs it here.
func (snap *snapshot) overdue(function string, r store.Run) bool {
	sched, ok := run.Find(function)
	if !ok {
		return false
	}
	period := sched.Period
	if normal, _ := run.Find("peersync"); period == normal.Period {
		period = snap.Tick
	}
	_, overdue := run.Overdue(snap.runs, function, period, snap.now)
	return overdue
}
