// Package certcheck looks at what decides whether one cluster may trust and
// find another: the certificates that the nodes serve, and whether every name
// in them resolves in the pulling cluster's own DNS.
//
// It owns the CERT and PEER…#CERT items, and changes nothing in a cluster. It
// sends no credential itself; trust stores, which only an OS administrator
// sees, are read through the Platform it is given, once per cluster until an
// account is refused, and never again with that version of the secret. What
// cannot be read keeps its last value with the reason beside it; a certificate
// is inspected first and judged second, so an expired or odd one is reported
// in full.
package certcheck

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/store"
	"peerkeeper/shared/tlsprobe"
)

// Prober reads the certificates that a TLS server serves.
type Prober interface {
	ProbeAll(ctx context.Context, t tlsprobe.Target) []tlsprobe.Outcome
}

// Resolver asks DNS servers, each separately.
type Resolver interface {
	Lookup(ctx context.Context, servers, names []string) (dnsprobe.Result, error)
}

// Platform reads what the nodes of a cluster hold, by the OS administrator's
// account. pins are the certificates accepted at run time. What it was refused is
// *certificate.Refused; it heeds what the guard knows of the account, and notes
// there at once that a node refused it.
type Platform interface {
	LogIn(ctx context.Context, c *mesh.Cluster, guard secret.Guard) (*secret.Login, error)
	Holding(ctx context.Context, c *mesh.Cluster, n mesh.Node, login *secret.Login, pins map[mesh.NodeName][]string) (certificate.Holding, error)
}

// Certcheck is the use case. All fields are needed but Platform, Every and Log.
type Certcheck struct {
	Mesh  *mesh.Mesh
	Store store.Store
	TLS   Prober
	DNS   Resolver
	// Platform reads trust stores; nil leaves them Unknown.
	Platform Platform
	// Every is how often a scheduled run looks at each cluster of itself; 0 is
	// peer.CertLook.
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

const (
	// clusterDeadline bounds each of the three parts of the look at a cluster:
	// its ports, its certificate management, its DNS servers.
	clusterDeadline = 60 * time.Second
	spare           = 30 * time.Second
)

// Handle carries out one look at every certificate and name.
func (c *Certcheck) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	sched, _ := run.Find("certcheck")
	r := run.Runner{Schedule: sched, Mesh: c.Mesh, Store: c.Store, Now: c.Now}
	return r.Once(ctx, req, func(ctx context.Context, _ *store.Lease) (run.Answer, error) {
		return c.tick(ctx, req)
	})
}

// tick holds what one look at a mesh works on. The second part is filled in this
// order.
type tick struct {
	*Certcheck
	now      time.Time
	only     []mesh.ClusterID // the clusters that are looked at; all of them if empty
	snapshot *record.Snapshot

	looks map[mesh.ClusterID]*look
	certs map[mesh.ClusterID]certificate.Record // what is known now; of clusters that are not looked at, what was
	dns   map[mesh.ClusterID]dnsprobe.Result
	view  *certificate.View
}

func (c *Certcheck) tick(ctx context.Context, req run.Request) (run.Answer, error) {
	snapshot, err := record.Load(ctx, c.Store, c.Mesh)
	if err != nil {
		return run.Answer{}, err
	}
	t := &tick{Certcheck: c, now: c.Now(), only: req.Only, snapshot: snapshot}
	snapshot.ReclockClusters(t.now)
	snapshot.ReclockPeers(c.Mesh, t.now)
	if !req.ScheduledTime.IsZero() && len(req.Only) == 0 {
		if t.only = t.due(); len(t.only) == 0 {
			return run.Answer{}, nil // it completed: there is nothing to look at yet
		}
	}
	looking := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		looking, cancel = context.WithDeadline(ctx, end.Add(-spare))
		defer cancel()
	}
	t.read(looking)
	t.resolve(looking)
	t.compare()
	answer, changes := t.judge()
	if req.DryRun {
		return answer, nil
	}
	errs := []error{}
	for _, id := range c.Mesh.IDs() {
		errs = append(errs, t.looks[id].err)
	}
	_, err = changes.Write(ctx, c.Store)
	return answer, errors.Join(append(errs, err)...)
}

// wanted says whether a cluster is looked at.
func (t *tick) wanted(id mesh.ClusterID) bool {
	return len(t.only) == 0 || slices.Contains(t.only, id)
}

// compare sets what was read against what was known, against the stores and
// against the other clusters.
func (t *tick) compare() {
	for _, cl := range t.Mesh.Clusters {
		if t.wanted(cl.ID) {
			next := t.certs[cl.ID]
			next.At = t.now
			next.ExplainChanges(t.Mesh, &cl, t.snapshot.Clusters[cl.ID].Value.Seen.Topology, t.now)
			next.Servers = nameServers(cl, t.dns[cl.ID], t.snapshot.Certs[cl.ID].Value.Servers, t.now)
			t.certs[cl.ID] = next
		}
	}
	t.judgeStores()
	for _, id := range t.Mesh.IDs() {
		if t.wanted(id) {
			certificate.SettleSources(t.Mesh, t.certs, id, t.now)
		}
	}
	sched, _ := run.Find("peersync")
	t.view = certificate.NewView(t.snapshot.Facts(t.Mesh, sched.Period, t.now).View(), t.certs)
}

// judge gives every cluster that was looked at its findings, and every peer of one
// its conditions.
func (t *tick) judge() (run.Answer, *record.Changes) {
	answer := run.Answer{Peers: map[peer.State]int{}}
	var changes record.Changes
	for _, cl := range t.Mesh.Clusters {
		if !t.wanted(cl.ID) {
			continue
		}
		l, doc := t.looks[cl.ID], t.snapshot.Certs[cl.ID]
		l.completeChains()
		next := t.certs[cl.ID]
		next.Findings = l.findings()
		if cut := next.Fit(&cl); len(cut) > 0 {
			next.Findings = append(next.Findings, tooLarge(&cl, cut, doc.Value.Findings, t.now))
		}
		countCluster(&answer.Clusters, next)
		doc.Value = next.Packed()
		record.Add(&changes, doc)
	}
	for _, p := range t.Mesh.Peers {
		if !t.wanted(p.ID.From) && !t.wanted(p.ID.To) {
			continue
		}
		doc := t.snapshot.PeerCert[p.ID]
		doc.Value = t.judgePeer(p.ID, doc.Value)
		record.Add(&changes, doc)
	}
	return answer, &changes
}

// due are the clusters that a scheduled run looks at: all of them where the last
// look at one is old enough, else those at which something is being mended.
//
// All, because what a store makes of a CA-signed certificate is seen only where
// both its clusters are looked at in one run: a cluster that was looked at
// sooner, by itself, would not meet the others again.
func (t *tick) due() []mesh.ClusterID {
	snapshot, now := t.snapshot, t.now
	conditions := map[mesh.PeerID][]peer.Condition{}
	for _, p := range t.Mesh.Peers {
		conditions[p.ID] = slices.Concat(snapshot.PeerCert[p.ID].Value.Conditions, snapshot.Syncs[p.ID].Value.Conditions)
	}
	var importing []mesh.ClusterID
	for _, d := range snapshot.Proposals {
		// Until this look shows it, what was imported is still asked for.
		p := d.Value
		ours := p.Proposal.Action == peer.ImportCertificate || p.Proposal.Reload
		if !ours || !p.Ended.IsZero() && now.Sub(p.Ended) > peer.ReplicationTime || p.Ended.IsZero() && p.Outcome == "" {
			continue
		}
		importing = append(importing, p.Proposal.Target.Cluster)
		for _, id := range p.Proposal.Peers {
			importing = append(importing, id.To)
		}
		if p.Proposal.Source != nil {
			importing = append(importing, p.Proposal.Source.Cluster)
		}
	}
	again := peer.ClustersToRecheck(t.Mesh, conditions, importing, now)
	every := t.Every
	if every == 0 {
		every = peer.CertLook
	}
	accepted := snapshot.Accepted()
	var out []mesh.ClusterID
	for i := range t.Mesh.Clusters {
		cl := &t.Mesh.Clusters[i]
		r := snapshot.Certs[cl.ID].Value
		// A run begins a moment earlier or later than the one before. A look that
		// lies ahead was noted by a clock that was wrong.
		if instant.Due(r.At, now, every-time.Minute) {
			return t.Mesh.IDs()
		}
		if slices.Contains(again, cl.ID) || unfinished(cl, r, now) || r.Outdated(snapshot.Clusters[cl.ID].Value.Leaves) || acceptedBy(cl, accepted) != r.Accepted {
			out = append(out, cl.ID)
		}
	}
	return out
}

// unfinished reports whether a look brought less than it could, for a reason
// that may have ended since: no secret yet, or one that was refused, which is
// not tried again until it has changed; or a node that did not show what it had
// shown within a day.
func unfinished(cl *mesh.Cluster, r certificate.Record, now time.Time) bool {
	if no := r.NoTrust; no != nil && cl.PlatformCredentials != "" && (no.Reason == peer.NoCredentials || no.Reason == peer.AccountRejected) {
		return true
	}
	for spot, s := range r.Serving() {
		if spot.Port == "" && s.Error != "" && now.Sub(s.Read) < 24*time.Hour {
			return true
		}
	}
	return false
}

// acceptedBy is a short hash of what people have accepted of a cluster's nodes.
// Where it is not that of the last look, what waits for it need not wait for the
// next. When it was accepted tells nothing: the person who did has another clock.
func acceptedBy(cl *mesh.Cluster, accepted map[mesh.NodeName][]string) string {
	var all []string
	for _, n := range cl.Nodes {
		for _, pin := range accepted[n.Name] {
			all = append(all, string(n.Name)+" "+pin)
		}
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
	return hex.EncodeToString(sum[:8])
}

// suspectOurselves reports whether every server of several clusters is silent:
// then it is our way to them, and no server's fault.
func suspectOurselves(dns map[mesh.ClusterID]dnsprobe.Result) bool {
	for _, r := range dns {
		for _, s := range r.Servers {
			if s.Down == "" {
				return false
			}
		}
	}
	return len(dns) > 1
}

func countCluster(n *run.Clusters, r certificate.Record) {
	read, unread := 0, 0
	for spot, s := range r.Serving() {
		switch {
		case spot.Port != "":
		case s.Error == "":
			read++
		default:
			unread++
		}
	}
	switch {
	case read == 0:
		n.Unreachable++
	case unread > 0:
		n.Partial++
	default:
		n.Observed++
	}
}

// judgePeer gives a peer its two conditions.
func (t *tick) judgePeer(id mesh.PeerID, prev peer.CertRecord) peer.CertRecord {
	remote, now := t.certs[id.To], t.now
	met := t.leaves(id.To, remote)
	next := peer.CertRecord{}
	for _, l := range slices.Concat(met, t.disputed(id.To, remote)) {
		// A sync must have met every one of them to show that it is trusted, and
		// the first to end ends the peer.
		if l.First.After(next.LeafFirst) {
			next.LeafFirst = l.First
		}
		if l.Sighted.After(next.LeafSeen) {
			next.LeafSeen = l.Sighted
		}
		if next.LeafEnds.IsZero() || l.NotAfter.Before(next.LeafEnds) {
			next.LeafEnds = l.NotAfter
		}
	}
	for _, l := range met {
		if l.Stale(now) {
			next.LeafEnds = time.Time{} // it may have been renewed: nothing follows from it
		}
	}
	before := func(of peer.Type) peer.Condition {
		for _, x := range prev.Conditions {
			if x.Type == of {
				return x
			}
		}
		return peer.Condition{}
	}
	shown := slices.Concat(met, t.disputed(id.To, remote))
	trusted := trusted(id, t.view, shown)
	names, failing, open := t.names(id, met)
	for _, cond := range []peer.Condition{trusted, names} {
		next.Conditions = append(next.Conditions, peer.Set(before(cond.Type), cond, now))
	}
	next.Standing = prev.Standing.
		After(peer.CertificateTrusted, atFault(trusted, shown), func(string) bool { return trusted.Status == peer.UnknownStatus }, now).
		After(peer.NamesResolve, lower(failing), func(name string) bool {
			return names.Status == peer.UnknownStatus || slices.Contains(lower(open), name)
		}, now)
	return next
}

// atFault is what a verdict on trust is about: the certificates that are served
// now, and what is wrong with them. Another certificate is another matter.
func atFault(cond peer.Condition, met []certificate.Served) []string {
	if cond.Status != peer.False {
		return nil
	}
	var out []string
	for _, s := range met {
		out = append(out, string(cond.Reason)+" "+certificate.ShortPrint(s.Fingerprint))
	}
	return out
}

func lower(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(n)
	}
	return out
}

// trusted judges whether the certificates that a puller meets are trusted: by their
// dates, by the stores, or else by what a sync has to show.
func trusted(id mesh.PeerID, view *certificate.View, met []certificate.Served) peer.Condition {
	cond := peer.Condition{Type: peer.CertificateTrusted, Status: peer.UnknownStatus, Basis: peer.Measured}
	to, _ := view.Mesh.Cluster(id.To)
	now := view.Now
	if len(met) == 0 {
		cond.Reason, cond.Message = peer.CertificateNotRead, fmt.Sprintf("%s shows no certificate", to.Publisher)
		return cond
	}
	for _, leaf := range met {
		switch {
		case leaf.Stale(now):
			cond.Reason, cond.Message = peer.CertificateNotRead, fmt.Sprintf("the certificate of %s was last read on %s and may have been renewed", to.Publisher, plain.Time(leaf.Read))
			return cond
		case !now.Before(leaf.NotAfter):
			cond.Status, cond.Reason = peer.False, peer.CertificateExpired
			cond.Message = fmt.Sprintf("the certificate of %s expired on %s", to.Publisher, leaf.NotAfter.UTC().Format("2006-01-02 15:04 MST"))
			return cond
		case now.Before(leaf.NotBefore):
			cond.Status, cond.Reason = peer.False, peer.CertificateNotUsable
			cond.Message = fmt.Sprintf("the certificate of %s is valid only from %s", to.Publisher, leaf.NotBefore.UTC().Format("2006-01-02 15:04 MST"))
			return cond
		}
	}
	if measured, ok := view.CertificateTrusted(id); ok {
		return measured
	}
	for _, leaf := range met {
		if at, by := leaf.Ends(); by != "" && !now.Before(at) {
			cond.Status, cond.Reason, cond.Basis = peer.False, peer.CertificateExpired, peer.Inferred
			cond.Message = fmt.Sprintf("the certificate of %s needs the CA %s, which expired on %s; %s's trust store, which may hold a newer one, is not read", to.Publisher, plain.Value(certificate.CommonName(by)), at.UTC().Format("2006-01-02 15:04 MST"), id.From)
			return cond
		}
	}
	switch why := view.ClockAsRead(id).Why; {
	case why == peer.ClockNotReadable, why == peer.NoDialect:
		cond.Reason, cond.Message = peer.NotObservable, fmt.Sprintf("whether %s trusts it is only on the Inter-Clustering page (Certificate Status)", id.From)
	default:
		cond.Reason, cond.Message = peer.TrustNotRead, fmt.Sprintf("no sync of %s has succeeded yet over the certificate that %s serves now", id.From, to.Publisher)
	}
	return cond
}

func (c *Certcheck) logger() *slog.Logger {
	if c.Log != nil {
		return c.Log
	}
	return slog.New(slog.DiscardHandler)
}
