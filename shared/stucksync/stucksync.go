// Package stucksync judges: it folds what peersync and certcheck recorded into
// one state per directed peer, decides which alarms stand, and has them said.
//
// It owns the PEER…#STUCK, PROPOSAL and ALARM items. It contacts no cluster
// unless the policy's mode is recover and something is to be done, and then
// only through shared/repair. What is not known neither raises nor clears an
// alarm and is never acted on; a first bad look is Suspect and says nothing yet.
package stucksync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// Stucksync is the use case. All fields are needed but Platform, Log and Crash.
type Stucksync struct {
	Mesh  *mesh.Mesh
	Store store.Store
	Sinks []alarm.Sink
	Now   func() time.Time
	Log   *slog.Logger
	// Clusters opens clusters with their write accounts, in mode recover; nil
	// never acts, whatever the mode.
	Clusters *cluster.Connector
	// Platform reads certificates and opens trust stores, in mode recover; nil
	// imports none.
	Platform *cluster.Platform
	// Crash is called between the steps of an action, for tests that kill the
	// process there.
	Crash func(step string)
}

// Handle carries out one tick.
func (s *Stucksync) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	req.Function = "stucksync"
	return run.Leased(ctx, s.Store, s.Mesh, req, s.Now, func(ctx context.Context, lease *store.Lease) (run.Answer, error) {
		return s.tick(ctx, req, lease)
	})
}

// tick is what one tick found.
type tick struct {
	book       *record.Snapshot
	view       *peer.View
	conditions map[mesh.PeerID][]peer.Condition
	states     map[mesh.PeerID]peer.StateRecord
	ladders    map[mesh.PeerID]peer.Ladder
	lease      *store.Lease     // nil in a dry run, which never acts
	matrix     peer.TrustMatrix // what the stores make of the certificates
	asked      []peer.Proposal
	exchanged  []peer.Proposal     // what exchange has worked out; nil before
	failing    []repair.Failing    // what failures has worked out; nil before
	refused    map[string][]string // by proposal: which guards stopped it at this look
	did        map[string]bool     // proposals that were carried out at this look
}

func (s *Stucksync) tick(ctx context.Context, req run.Request, lease *store.Lease) (run.Answer, error) {
	now := s.Now()
	book, err := record.Load(ctx, s.Store, s.Mesh)
	if err != nil {
		return run.Answer{}, err
	}
	book.ReclockClusters(now)
	book.ReclockPeers(s.Mesh, now)
	sched, _ := run.Find("peersync")
	j := &tick{book: book, view: book.View(s.Mesh, sched.Period, now),
		conditions: map[mesh.PeerID][]peer.Condition{}, states: map[mesh.PeerID]peer.StateRecord{}, ladders: map[mesh.PeerID]peer.Ladder{}, lease: lease, refused: map[string][]string{}, did: map[string]bool{}}
	for _, id := range s.Mesh.IDs() {
		if book.Clusters[id].Newer {
			j.view.Clusters[id] = &peer.ClusterRecord{} // not ours to judge by, still less to act on
		}
	}
	answer := run.Answer{Peers: map[peer.State]int{}}
	gate, err := s.settled(ctx, j)
	shut := err
	if err != nil && !errors.Is(err, store.ErrNewerSchema) {
		return answer, err
	}
	for _, p := range s.Mesh.Peers {
		j.conditions[p.ID] = j.read(p.ID)
	}
	asked := s.climb(j, &gate)
	answer.Proposals = len(asked)
	var changes record.Changes
	for _, p := range s.Mesh.Peers {
		doc := book.States[p.ID]
		doc.Value = s.fold(j, p.ID, doc.Value)
		j.states[p.ID] = doc.Value
		answer.Peers[doc.Value.State]++
		record.Add(&changes, doc)
	}
	for _, id := range book.Gone {
		doc := book.States[id]
		if doc.Value.State != peer.Terminated {
			doc.Value.State, doc.Value.Since, doc.Value.Overlays = peer.Terminated, now, nil
			record.Add(&changes, doc)
		}
		answer.Peers[peer.Terminated]++
	}
	for _, id := range s.Mesh.IDs() {
		access := j.view.Clusters[id].Seen.Access
		switch {
		case !access.Known():
			answer.Clusters.Unreachable++
		case len(j.view.Clusters[id].SilentSince) > 0:
			answer.Clusters.Partial++
		default:
			answer.Clusters.Observed++
		}
	}
	if req.DryRun {
		return answer, nil
	}
	// A conflict on a state is another run's word and no reason to keep an
	// alarm back.
	_, err = changes.Write(ctx, s.Store)
	errs := []error{err}
	answer.Actions, err = s.act(ctx, j, &gate, asked, shut)
	errs = append(errs, err)
	changed, err := alarm.Settle(ctx, s.Store, alarm.Check{
		Mesh: s.Mesh.Name, Firing: j.texts(s.Mesh, alarm.Inhibit(j.firing(s.Mesh))), Unknown: j.undecided, Removed: s.removed, Now: now,
	})
	errs = append(errs, err)
	for _, it := range changed {
		s.logger().Info("alarm", "name", it.Name, "state", it.State, "peer", it.Peer, "cluster", it.Cluster, "message", it.Message)
	}
	sent, err := alarm.Deliver(ctx, s.Store, s.Mesh.Name, s.Sinks, s.Now)
	answer.Notices = sent
	return answer, errors.Join(append(errs, err)...)
}

// settled reads the gate after closing what an earlier run left open. A gate
// of a newer version is an error by which nothing may be done, and judged on.
func (s *Stucksync) settled(ctx context.Context, j *tick) (repair.Gate, error) {
	if j.lease != nil && s.Clusters != nil {
		if _, err := s.repairer(j).Settle(ctx); err != nil {
			// What cannot be read back stays open and keeps its cluster shut;
			// looking goes on.
			s.logger().Warn("reading back what is open", "error", err)
		}
	}
	return repair.Load(ctx, s.Store, s.Mesh.Name)
}

// fold gives a peer its state, with what people said laid over it.
func (s *Stucksync) fold(j *tick, id mesh.PeerID, prev peer.StateRecord) peer.StateRecord {
	state, cause := peer.StateOf(j.conditions[id], j.book.Syncs[id].Value)
	ladder, climbing := j.ladders[id]
	if climbing && s.Mesh.Policy.Mode == mesh.Recover {
		state = rungState(ladder, j.view.Now)
	}
	said := j.book.Overrides.Overlays(id, j.view.Now)
	if j.acked(s.Mesh.Name, id) {
		said = append(said, peer.Acknowledged)
	}
	if slices.Contains(prev.Overlays, peer.Flapping) {
		said = append(said, peer.Flapping) // judged anew, by its lower threshold
	}
	prev.Overlays = said
	next := peer.FoldAs(j.view, id, j.conditions[id], prev, state, cause)
	switch {
	case climbing:
		next.Ladder = &ladder
	case condition(j.conditions[id], peer.Synced).Status != peer.True:
		// A flicker does not end the incident; what was tried stays known.
		next.Ladder = prev.Ladder
	}
	return next
}

// acked reports whether a person has acknowledged an alarm of this peer.
func (j *tick) acked(meshName string, id mesh.PeerID) bool {
	for fp, w := range j.book.Overrides.Acks {
		if !w.Silences(j.view.Now) {
			continue
		}
		for _, name := range peerAlarmNames() {
			if alarm.Fingerprint(meshName, name, "", id.String(), "") == fp {
				return true
			}
		}
	}
	return false
}

// read is a peer's conditions as they stand now; records of a newer schema are
// not understood and say nothing.
func (j *tick) read(id mesh.PeerID) []peer.Condition {
	cs := peer.Conditions(j.view, id, j.book.Syncs[id].Value, j.book.CertOf(id))
	if !j.book.Syncs[id].Newer && !j.book.PeerCert[id].Newer && !j.book.Clusters[id.From].Newer && !j.book.Clusters[id.To].Newer {
		return cs
	}
	for i := range cs {
		cs[i].Status, cs[i].Reason = peer.UnknownStatus, peer.NewerSchema
		cs[i].Message = "recorded by a newer version of Peerkeeper than this one"
	}
	return cs
}

// removed reports whether an alarm's cluster or peer has left mesh.yaml.
func (s *Stucksync) removed(it alarm.Item) bool {
	if it.Peer != "" {
		id, err := mesh.ParsePeerID(it.Peer)
		if err != nil {
			return true
		}
		_, ok := s.Mesh.Peer(id)
		return !ok
	}
	if it.Cluster != "" {
		_, ok := s.Mesh.Cluster(it.Cluster)
		return !ok
	}
	return false
}

func peerAlarmNames() []string {
	return []string{alarm.PeriodicSyncingFailure, alarm.UsersDiffer, alarm.PeerCredentialsRejected, alarm.PeerMisconfigured, alarm.NameNotResolving}
}

// peerAlarms says which conditions each peer alarm speaks of.
func peerAlarms(name string) []peer.Type {
	switch name {
	case alarm.PeriodicSyncingFailure:
		return []peer.Type{peer.Synced}
	case alarm.UsersDiffer:
		return []peer.Type{peer.UsersMatch}
	case alarm.PeerCredentialsRejected:
		return []peer.Type{peer.Authenticated}
	case alarm.PeerMisconfigured:
		return []peer.Type{peer.Configured, peer.Compatible}
	case alarm.NameNotResolving:
		return []peer.Type{peer.NamesResolve}
	}
	return nil
}

// firing lists every problem that exists now.
func (j *tick) firing(m *mesh.Mesh) []alarm.Firing {
	var out []alarm.Firing
	for _, p := range m.Peers {
		id, st := p.ID, j.states[p.ID]
		held := suppressed(st.Overlays)
		for _, name := range peerAlarmNames() {
			for _, t := range peerAlarms(name) {
				c := condition(j.conditions[id], t)
				if c.Status != peer.False || peer.FirstCheck(c) || j.view.NextSyncTells(id, t) {
					continue
				}
				out = append(out, alarm.Firing{
					Name: name, Peer: id.String(), Message: c.Message, Since: c.Since,
					Suppressed: held || (name == alarm.UsersDiffer && j.clockWillSpeak(m, id)) || (name == alarm.PeriodicSyncingFailure && j.certWillSpeak(id)),
				})
				break
			}
		}
	}
	for _, c := range m.Clusters {
		out = append(out, j.clusterFiring(c.ID)...)
	}
	out = append(out, j.overdue()...)
	out = append(out, j.selfTest(m)...)
	for i, f := range out {
		fp := alarm.Fingerprint(m.Name, f.Name, f.Cluster, f.Peer, f.Subject)
		if w, ok := j.book.Overrides.Acks[fp]; ok && w.Silences(j.view.Now) {
			out[i].Suppressed = true
		}
	}
	return out
}

// quiet reports whether a peer's overlays hold its notices. Paused does not:
// whoever stops repairs still wants to hear what is broken.
func suppressed(overlays []peer.Overlay) bool {
	for _, o := range overlays {
		switch o {
		case peer.Maintenance, peer.Acknowledged, peer.Flapping, peer.Upgrading, peer.Rewound:
			return true
		}
	}
	return false
}

// clockWillSpeak reports whether the peer's clock is itself overdue: the alarm
// of the stuck sync is about to name the same cause.
func (j *tick) clockWillSpeak(m *mesh.Mesh, id mesh.PeerID) bool {
	synced := condition(j.conditions[id], peer.Synced)
	return synced.Reason == peer.Overdue || synced.Status == peer.False
}

// certWillSpeak reports whether a certificate is about to be named as the cause
// of a peer's syncs that fail: it was renewed, the puller lacks it, and the time
// in which a sync could still carry it over is up within the hour that the
// alarm of the certificate may be waited for. By two of certcheck's looks after
// that it has been named, or nobody looks.
func (j *tick) certWillSpeak(id mesh.PeerID) bool {
	c := condition(j.conditions[id], peer.CertificateTrusted)
	first := j.book.PeerCert[id].Value.LeafFirst
	if c.Status != peer.UnknownStatus || c.Reason != peer.ExchangePending || first.IsZero() {
		return false
	}
	exchange, _ := j.view.CertExchange(id.From)
	sched, _ := run.Find("certcheck")
	left := first.Add(exchange).Sub(j.view.Now)
	return left <= certWait && left > -2*sched.Period
}

// certWait is how long the alarm of a stuck sync may wait for the alarm of the
// certificate that explains it.
const certWait = time.Hour

// clusterAlarms maps the findings that are said aloud to their alarm.
func clusterAlarms(why peer.Reason) string {
	switch why {
	case peer.ServiceStopped:
		return alarm.ServiceStopped
	case peer.AccountRejected, peer.Forbidden, peer.NoCredentials:
		return alarm.AccountRejected
	case peer.CannotSeeCluster, peer.ServerCertificateUntrusted, peer.ReadByCertcheckOnly:
		return alarm.CannotSeeCluster
	case peer.ClusterDown:
		return alarm.ClusterDown
	case peer.PublisherDown:
		return alarm.PublisherDown
	case peer.NodeUnreachable:
		return alarm.NodeUnreachable
	case peer.CertificateExpired:
		return alarm.CertificateExpired
	case peer.CertificateExpiring, peer.ChainExpired:
		return alarm.CertificateExpiring
	case peer.PeerkeeperGoesBlind:
		return alarm.PeerkeeperGoesBlind
	case peer.NotTrustedByPeers, peer.TrustNotReloaded, peer.CertificateNotYetValid:
		return alarm.CertificateNotTrusted
	case peer.DNSServerSilent:
		return alarm.DNSServerSilent
	case peer.UsersFell:
		return alarm.UsersFell
	}
	if why.RefusesTLS() {
		return alarm.TLSRefused
	}
	return ""
}

func (j *tick) clusterFiring(id mesh.ClusterID) []alarm.Firing {
	r, cert := j.view.Clusters[id], j.book.Certs[id].Value
	if j.book.Certs[id].Newer {
		cert = peer.CertClusterRecord{}
	}
	held := j.view.Upgrading(id) || j.book.Overrides.MaintenanceOf(id, j.view.Now)
	var out []alarm.Firing
	for i, f := range append(slices.Clone(r.Findings), peer.CertFindings(cert, j.view.Mesh.Policy.Thresholds.CertificateDays, j.view.Now)...) {
		name := clusterAlarms(f.Reason)
		if name == "" {
			continue
		}
		if name == alarm.TLSRefused && i >= len(r.Findings) {
			continue // what certcheck meets on some port; peersync tells whether it blinds anybody
		}
		if f.Reason == peer.NotTrustedByPeers && f.Severity != string(alarm.Critical) {
			continue // a subscriber's certificate, or one over which syncs succeed still
		}
		if j.trustedAllTheSame(id, f) {
			continue
		}
		// What was seen once may be a restart under way; the next look tells.
		if f.Reason == peer.ServiceStopped && !f.Since.Before(r.Seen.At) {
			continue
		}
		one := alarm.Firing{Name: name, Cluster: id, Subject: subject(name, f), Message: f.Message, Since: f.Since, Suppressed: held}
		switch {
		case f.Reason == peer.ServiceStopped:
			one.Step = j.waitsForStart(f)
		case f.Reason == peer.NotTrustedByPeers:
			one.Step = "import"
		case f.Reason == peer.TrustNotReloaded:
			waits, due := peer.Reloading(j.view, j.matrix, id)
			one.Step = "import"
			if due {
				one.Step = "reload" // said once more: now a restart waits for a person
			}
			one.Suppressed = one.Suppressed || !waits // restarted, or read already: its next sync clears it
		case f.Reason == peer.ChainExpired:
			// The alarm that said that it would; whether pullers hold a newer CA, their
			// syncs show.
			one.Subject = string(peer.CertificateExpiring) + strings.TrimPrefix(f.ID, string(peer.ChainExpired))
			one.Severity, one.Step = alarm.Critical, "over"
		case name == alarm.CertificateExpiring, name == alarm.PeerkeeperGoesBlind:
			one.Severity = alarm.Severity(f.Severity)      // it rises as time runs out
			one.Step = f.Since.UTC().Format(time.DateOnly) // since when so few days are left
		}
		out = append(out, one)
		if name == alarm.CertificateExpired {
			// That it was about to expire is not over: the renewal ends both.
			out = append(out, alarm.Firing{Name: alarm.CertificateExpiring, Cluster: id, Suppressed: true,
				Subject: string(peer.CertificateExpiring) + strings.TrimPrefix(f.ID, string(peer.CertificateExpired))})
		}
	}
	return out
}

// trustedAllTheSame reports whether every cluster that a certificate's finding
// is about has synced over it since: the finding stays, nobody is woken.
func (j *tick) trustedAllTheSame(id mesh.ClusterID, f peer.Finding) bool {
	pulling := f.Lacking
	switch f.Reason {
	case peer.NotTrustedByPeers:
	case peer.CertificateNotYetValid:
		for _, p := range j.view.Mesh.Peers {
			if p.ID.To == id {
				pulling = append(pulling, p.ID.From)
			}
		}
	default:
		return false
	}
	for _, from := range pulling {
		c := condition(j.conditions[mesh.PeerID{From: from, To: id}], peer.CertificateTrusted)
		if c.Reason != peer.Contradicted && c.Reason != peer.SyncedOverServedLeaf {
			return false
		}
	}
	return len(pulling) > 0
}

// subject tells a cluster's alarms of one name apart: by finding for what
// belongs to a node or server, one for the cluster's own state.
func subject(name string, f peer.Finding) string {
	switch name {
	case alarm.AccountRejected, alarm.CannotSeeCluster, alarm.ClusterDown, alarm.PublisherDown:
		return ""
	case alarm.TLSRefused:
		return string(f.Node) // one alarm, however the refusal changes
	}
	return f.ID
}

// overdue lists the functions that have begun once and have not completed for
// two periods. stucksync cannot tell of itself; the page and `status` do.
func (j *tick) overdue() []alarm.Firing {
	runs := map[string]store.Run{}
	for name, r := range j.book.Runs {
		runs[name] = r.Value
	}
	var out []alarm.Firing
	for _, s := range run.Schedules() {
		if s.Function == "stucksync" {
			continue
		}
		if since, overdue := run.Overdue(runs, s.Function, s.Period, j.view.Now); overdue {
			what := "has not completed since"
			if runs[s.Function].Completed.IsZero() {
				what = "has never completed; it was first started at"
			}
			out = append(out, alarm.Firing{Name: alarm.RunOverdue, Subject: s.Function, Since: since,
				Message: fmt.Sprintf("%s %s %s, more than two of its periods (%d min)", s.Function, what, since.UTC().Format("2006-01-02 15:04 MST"), int(s.Period.Minutes()))})
		}
	}
	return out
}

// selfTestHour is when the day's self-test is sent, in UTC: somebody is awake in
// most places.
const selfTestHour = 9 * time.Hour

// selfTest fires at the first look of the day, and is over at the next.
func (j *tick) selfTest(m *mesh.Mesh) []alarm.Firing {
	if !m.Policy.Notify.SelfTest || j.lease == nil || j.lease.Before.Completed.IsZero() {
		return nil
	}
	day := func(t time.Time) time.Time { return t.Add(-selfTestHour).UTC().Truncate(24 * time.Hour) }
	if last := j.lease.Before.Completed; !day(j.view.Now).After(day(last)) && !instant.Ahead(last, j.view.Now, 0) {
		return nil
	}
	return []alarm.Firing{{Name: alarm.SelfTest, Since: j.view.Now, Message: fmt.Sprintf("This is a test: notices of mesh %s arrive. The next one is due in a day.", m.Name)}}
}

// undecided reports whether an alarm that is not firing cannot be judged now,
// so that it must not be cleared either.
func (j *tick) undecided(it alarm.Item) bool {
	if it.Peer != "" {
		id, err := mesh.ParsePeerID(it.Peer)
		if err != nil {
			return false
		}
		for _, t := range peerAlarms(it.Name) {
			if c := condition(j.conditions[id], t); c.Status == peer.UnknownStatus && c.Reason != peer.NotObservable && c.Reason != peer.Contradicted {
				return true
			}
		}
		return false
	}
	if it.Cluster == "" {
		return false
	}
	r, ok := j.view.Clusters[it.Cluster]
	if !ok {
		return false
	}
	certs := it.Name == alarm.CertificateExpired || it.Name == alarm.CertificateExpiring || it.Name == alarm.PeerkeeperGoesBlind || it.Name == alarm.CertificateNotTrusted || it.Name == alarm.DNSServerSilent
	if certs {
		return j.certUnread(it)
	}
	if j.book.Clusters[it.Cluster].Newer || !instant.Fresh(r.Seen.At, j.view.Now, 2*j.view.Tick) {
		return true
	}
	sight := j.view.Visibility(it.Cluster).Verdict
	switch it.Name {
	case alarm.CannotSeeCluster, alarm.ClusterDown, alarm.PublisherDown:
		// Refused without having been asked says nothing of what was lost.
		c, _ := j.view.Mesh.Cluster(it.Cluster)
		_, lost := r.SilentSince[c.Publisher]
		return sight == peer.WaitingForPeers || (sight == peer.AccessDenied && (lost || r.Seen.Access.Why() == peer.NoCredentials))
	case alarm.AccountRejected, alarm.TLSRefused:
		return sight != peer.Visible
	case alarm.NodeUnreachable:
		return sight != peer.Visible
	case alarm.ServiceStopped:
		return sight != peer.Visible || j.servicesUnread(r)
	}
	return false
}

func (j *tick) servicesUnread(r *peer.ClusterRecord) bool {
	for _, n := range r.Seen.Nodes {
		if !n.Services.Fresh(j.view.Now, 2*j.view.Tick).Known() {
			return true
		}
	}
	return false
}

// certUnread reports whether certcheck's word is too old, or whether some
// certificate of the cluster could not be read at its last look.
func (j *tick) certUnread(it alarm.Item) bool {
	cert := j.book.Certs[it.Cluster]
	if cert.Newer || !instant.Fresh(cert.Value.At, j.view.Now, 2*peer.CertLook) {
		return true
	}
	if it.Name == alarm.DNSServerSilent {
		return false
	}
	if it.Name == alarm.PeerkeeperGoesBlind {
		return len(peer.UnreadCerts(cert.Value, j.view.Now)) > 0 // one of these may be what it vouched for
	}
	// The subject is the finding's id, which ends in the node and key type.
	return slices.ContainsFunc(peer.UnreadCerts(cert.Value, j.view.Now), func(at string) bool { return strings.HasSuffix(it.Subject, ":"+at) })
}

func condition(cs []peer.Condition, t peer.Type) peer.Condition {
	i := slices.IndexFunc(cs, func(c peer.Condition) bool { return c.Type == t })
	if i < 0 {
		return peer.Condition{Type: t, Status: peer.UnknownStatus, Reason: peer.NotChecked}
	}
	return cs[i]
}

func (s *Stucksync) logger() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.New(slog.DiscardHandler)
}
