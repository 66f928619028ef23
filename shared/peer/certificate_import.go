package peer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// TomcatTrust is the store that Peerkeeper may add to. ICSA trusts by it whom
// it pulls from; the stores of SIP and XMPP are left to people.
const TomcatTrust = "tomcat-trust"

// CertSource is the certificate that an import is about. It is read anew, from
// its own node over a verified connection, right before it is imported.
type CertSource struct {
	Cluster mesh.ClusterID `json:"cluster"`
	Node    mesh.NodeName  `json:"node"`
	Service string         `json:"service"` // tomcat or tomcat-ECDSA
	KeyType string         `json:"keyType"`
	// Fingerprint is that of the node's own certificate, in full. Anything else
	// that is found there is not imported.
	Fingerprint string `json:"fingerprint"`
	// Issuer is the CA of a CA-signed one: its chain is imported, never itself.
	Issuer string `json:"issuer,omitempty"`
	// Chain is what the node served above it, for people to compare; the import
	// goes by what is read then.
	Chain []Issuer `json:"chain,omitempty"`
	// Pending says that the node has it and does not serve it, yet or to Peerkeeper:
	// it is read by certificate management.
	Pending bool `json:"pending,omitempty"`
	// Proofs are the sources that told that it is the node's own.
	Proofs []Proof `json:"proofs,omitempty"`
}

// Lines tell a person what to compare before agreeing to an import.
func (s CertSource) Lines() []string {
	out := []string{fmt.Sprintf("%s of %s (%s): %s", s.Service, s.Node, s.Cluster, s.Fingerprint)}
	if s.Issuer == "" {
		return out
	}
	out[0] += fmt.Sprintf(", signed by %s, which is what is imported", CommonName(s.Issuer))
	for _, c := range s.Chain {
		out = append(out, fmt.Sprintf("above it was served %s, to %s: %s", CommonName(c.Subject), clock(c.NotAfter), c.Fingerprint))
	}
	return out
}

// ImportLife is how long it is remembered that a certificate came into a store,
// and ICSA is waited for to read it. After a week whatever ails the peer is
// something else.
const ImportLife = 7 * 24 * time.Hour

// Imports proposes to put the certificates by which clusters are pulled from
// into the stores that lack them: of each publisher, as nobody pulls from a
// subscriber. Nothing is proposed of a certificate that Peerkeeper itself does
// not trust (by tls.ca, a pin, or `trust accept`), that has expired, that the
// next syncs may still carry over, or where somebody has switched ICSA's own
// certificate sync off: there people copy certificates, by Force Manual Sync.
//
// A CA is trusted for all that it will ever sign, a certificate that is not
// served yet is needed by nobody, and one that had been there may have been taken
// out on purpose: these wait for a person whatever the policy.
func Imports(v *View, matrix TrustMatrix, certs map[mesh.ClusterID]CertClusterRecord) []Proposal {
	m, now := v.Mesh, v.Now
	if p := m.Policy.ImportCertificates; p != mesh.ImportApprove && p != mesh.ImportAuto {
		return nil
	}
	var out []Proposal
	had := map[string]int{} // where in out
	for _, row := range matrix.Rows {
		to, ok := m.Cluster(row.Cluster)
		if !ok || row.Store != TomcatTrust || row.Node != to.Publisher || !now.Before(row.NotAfter) || row.Disputed || !vouchedFor(certs[row.Cluster], row) || row.byManagement() && to.PlatformWriteCredentials == "" {
			continue
		}
		proofs, synced := v.proofs(matrix, certs, row)
		for i, id := range matrix.Clusters {
			cell := row.Cells[i]
			from, ok := m.Cluster(id)
			if !ok || from.PlatformWriteCredentials == "" || cell.Verdict != TrustMissing && cell.Verdict != TrustStale {
				continue
			}
			began := row.First // of the time in which a sync may bring it
			if cell.Taken {
				began = later(began, cell.Since)
			}
			if exchange, carried := v.CertExchange(id); !carried || !row.Pending && now.Sub(began) < exchange {
				continue
			}
			what := row.Fingerprint
			if row.Issuer != "" {
				what = row.Issuer
			}
			key, p := fmt.Sprint(id, "|", what, "|", row.Pending), importOf(m, row, cell, from, certs[row.Cluster], proofs, synced)
			if at, proposed := had[key]; !proposed {
				had[key] = len(out)
				out = append(out, p)
			} else if !slices.Contains(out[at].Peers, p.Peers[0]) {
				out[at].Peers = append(out[at].Peers, p.Peers[0]) // the same CA mends both
			}
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// vouchedFor reports whether Peerkeeper would log in over the certificate.
func vouchedFor(r CertClusterRecord, row TrustRow) bool {
	s := r.Served[row.Node][row.KeyType]
	if row.byManagement() {
		s = r.Identity[row.Node][row.Service]
	}
	return s.Error == "" && s.Fingerprint == row.Fingerprint && (s.Pinned || s.CA)
}

func importOf(m *mesh.Mesh, row TrustRow, cell TrustCell, from *mesh.Cluster, of CertClusterRecord, proofs []Proof, synced []mesh.ClusterID) Proposal {
	what := row.Service + " of " + string(row.Node)
	p := Proposal{
		Action: ImportCertificate,
		Target: Target{Cluster: from.ID, Node: from.Publisher, Service: row.Store, Parameter: what},
		Value:  row.Fingerprint,
		Source: &CertSource{Cluster: row.Cluster, Node: row.Node, Service: row.Service, KeyType: row.KeyType, Fingerprint: row.Fingerprint, Issuer: row.Issuer, Pending: row.byManagement(), Proofs: proofs},
		Peers:  []mesh.PeerID{{From: from.ID, To: row.Cluster}},
		Since:  cell.Since,
		Why:    fmt.Sprintf("the %s of %s lacks %s (%s), %s", row.Store, from.ID, what, printStart(row.Fingerprint), measured(row, proofs, synced)),

		Interrupts: "nothing: a trust store grows, and Peerkeeper removes nothing from it",
	}
	var asks []string
	if row.Issuer != "" {
		p.Source.Chain = of.Served[row.Node][row.KeyType].Chain
		if row.byManagement() {
			p.Source.Chain = of.Identity[row.Node][row.Service].Chain
		}
		what = "the CA certificates of " + CommonName(row.Issuer)
		p.Target.Parameter = what
		p.Why = fmt.Sprintf("the %s of %s holds no CA of %s of %s (%s), %s", row.Store, from.ID, row.Service, row.Node, printStart(row.Fingerprint), measured(row, proofs, synced))
		asks = append(asks, "a CA is trusted for everything that it signs")
	}
	if row.Pending {
		p.Why = fmt.Sprintf("%s has a new %s certificate (%s) and does not serve it yet; the %s of %s does not trust it", row.Node, row.Service, printStart(row.Fingerprint), row.Store, from.ID)
		asks = append(asks, "it prepares a renewal that only you know of")
	}
	if row.Told {
		asks = append(asks, fmt.Sprintf("what is served to Peerkeeper is another (%s)", printStart(of.Served[row.Node][row.KeyType].Fingerprint)))
	} else if !row.Pending && len(proofs) < 2 {
		asks = append(asks, "one source alone tells that it is the node's own: it serves it to Peerkeeper")
	}
	if cell.Taken {
		asks = append(asks, "it had been there, and somebody may have taken it out on purpose")
	}
	if m.Policy.ImportCertificates == mesh.ImportApprove {
		asks = append(asks, "policy.importCertificates is approve")
	}
	if p.Since.IsZero() {
		p.Since = row.First
	}
	p.Approval = strings.Join(asks, ", and ")
	p.ID = proposalID(p.Action, p.Target, p.Value, p.Since)
	return p
}

// printStart is the beginning of a fingerprint, as people compare it first.
func printStart(fingerprint string) string {
	s := ShortPrint(fingerprint)
	return "sha256:" + s[:min(16, len(s))] + "…"
}

// Reloads proposes a restart of ICSA where a certificate has come into its
// trust store, whoever put it there, and ICSA has run since before: Cisco's flow asks for
// one then (TAC-212647, steps 2 and 6). Always with approval. It waits until
// every node has the certificate, or the hour that this may take is over, and
// until a sync has had its chance; a sync since then shows that it is not needed.
// Where the certificate is not served yet no sync can show anything: it is read
// before it is served, so that nobody drops.
func Reloads(v *View, matrix TrustMatrix) []Proposal {
	var out []Proposal
	for _, p := range v.Mesh.Peers {
		if came, ok := v.latestArrival(matrix, p.ID, false); ok {
			unread, measured := v.TrustUnread(p.ID, came.at)
			// Without a clock nothing shows that a sync fails. What came while ICSA's
			// own exchange could bring it, that brought it, and ICSA knows it.
			exchange, carried := v.CertExchange(p.ID.From)
			brought := !measured && carried && came.at.Sub(came.first) < exchange
			if unread && !brought && v.agentOlder(p.ID.From, came.at) && v.exchangeElapsed(p.ID.From, came) {
				out = append(out, v.reload(p.ID, came, "whether it needs to, its next sync shows")...)
			}
		}
		if came, ok := v.latestArrival(matrix, p.ID, true); ok && v.agentOlder(p.ID.From, came.at) {
			out = append(out, v.reload(p.ID, came, "it must have read this one before it is served")...)
		}
	}
	return Merge(out)
}

// reload is one such restart, if the certificate is where it must be by now.
func (v *View) reload(id mesh.PeerID, came arrival, because string) []Proposal {
	from, _ := v.Mesh.Cluster(id.From)
	if age := v.Now.Sub(came.at); came.spreading && age < ReplicationTime || age > ImportLife {
		return nil
	}
	p := Proposal{
		Action: RestartService, Reload: true, Target: Target{Cluster: from.ID, Node: from.Publisher, Service: ICSA}, Peers: []mesh.PeerID{id}, Since: came.at, MinAge: 2 * time.Hour,
		Why:        fmt.Sprintf("%s of %s came into the %s of %s at %s, and its Intercluster Sync Agent has run since before", came.service, came.node, TomcatTrust, from.ID, clock(came.at)),
		Approval:   "it reads its trust store when it starts, as Cisco's flow has it; " + because,
		Interrupts: fmt.Sprintf("the user syncs of %d peers of %s for about a minute; no sessions, chats or logins", len(pullsOf(v.Mesh, from.ID)), from.ID),
		Collect:    Evidence(from.Publisher),
	}
	p.ID = proposalID(p.Action, p.Target, "reload", p.Since)
	return []Proposal{p}
}

// Reloading says how it stands with what came into the stores of those that pull
// from a cluster: whether some ICSA that has run since before has yet to show by
// a sync that it has read it, and whether one has had its chance, so that a
// restart is asked for.
func Reloading(v *View, matrix TrustMatrix, id mesh.ClusterID) (waits, due bool) {
	for _, p := range v.Mesh.Peers {
		came, ok := v.latestArrival(matrix, p.ID, false)
		if !ok || p.ID.To != id || !v.agentOlder(p.ID.From, came.at) || v.SyncedSince(p.ID, came.at) {
			continue
		}
		waits = true
		due = due || v.exchangeElapsed(p.ID.From, came)
	}
	return waits, due
}

// hadItsChance reports whether a sync has been due since an arrival, and every
// node has had the time to get it.
func (v *View) exchangeElapsed(puller mesh.ClusterID, came arrival) bool {
	c, ok := v.Mesh.Cluster(puller)
	if !ok {
		return false
	}
	interval, _ := v.record(puller).EffectiveInterval(c, v.Now)
	age := v.Now.Sub(came.at)
	return age >= interval+v.Tick && (!came.spreading || age >= ReplicationTime)
}

// arrival is a certificate that came into a store which had lacked it.
type arrival struct {
	at        time.Time
	first     time.Time // since when the certificate is served
	node      mesh.NodeName
	service   string
	spreading bool // some node of the puller does not have it yet
}

// cameLast is the newest arrival among the certificates that a cluster meets
// when it pulls, or, pending, will meet.
func (v *View) latestArrival(matrix TrustMatrix, id mesh.PeerID, pending bool) (arrival, bool) {
	to, ok := v.Mesh.Cluster(id.To)
	if !ok {
		return arrival{}, false
	}
	var out arrival
	for _, r := range matrix.Of(id.To) {
		cell := matrix.Cell(r, id.From)
		if r.Pending != pending || r.Store != TomcatTrust || r.Node != to.Publisher || cell.Verdict != TrustYes && cell.Verdict != TrustByCA {
			continue
		}
		if cell.Came.After(out.at) {
			out = arrival{cell.Came, r.First, r.Node, r.Service, len(cell.Lacking) > 0}
		}
	}
	return out, !out.at.IsZero()
}

// TrustUnread reports whether the ICSA that pulls may not have read what changed
// in its store at an instant: it has run since before, or has hardly begun since.
// measured says that the peer's clock tells it: its sync is overdue, and none has
// succeeded since. Without a clock only the up-time speaks.
func (v *View) TrustUnread(id mesh.PeerID, changed time.Time) (unread, measured bool) {
	to, ok := v.Mesh.Cluster(id.To)
	if !ok {
		return false, false
	}
	older := v.agentOlder(id.From, changed)
	if e, listed, _ := v.record(id.From).Seen.EntryFor(to); !listed || !e.HasClock {
		return older, false
	}
	return (older || v.agentYoung(id.From)) && !v.Works(id) && !v.SyncedSince(id, changed), true
}

// agentYoung reports whether ICSA on a cluster's publisher started so lately that
// its first sync may still be to come. What fails after that has another cause.
func (v *View) agentYoung(id mesh.ClusterID) bool {
	c, ok := v.Mesh.Cluster(id)
	if !ok {
		return false
	}
	services := v.record(id).Seen.Nodes[c.Publisher].Services
	got, known := services.Get()
	agent := got[ICSA]
	interval, _ := v.record(id).EffectiveInterval(c, v.Now)
	return known && agent.Started() && agent.UpTime >= 0 && v.Now.Sub(services.At.Add(-agent.UpTime)) <= interval+2*v.Tick
}

// Works reports whether a peer's syncs are known to succeed: its clock can be
// read, and no sync is overdue. Of a cluster out of sight it is as it was when
// its clock was read last: that time goes by shows nothing.
func (v *View) Works(id mesh.PeerID) bool {
	from, ok := v.Mesh.Cluster(id.From)
	to, known := v.Mesh.Cluster(id.To)
	if !ok || !known {
		return false
	}
	r := v.record(id.From)
	e, listed, _ := r.Seen.EntryFor(to)
	interval, _ := r.EffectiveInterval(from, v.Now)
	skew, _ := r.Seen.Skew.Get()
	at := v.Now
	if !r.Seen.Entries.Fresh(v.Now, v.maxAge()).Known() {
		at = r.Seen.Entries.At
	}
	return listed && e.HasClock && !e.LastSync.IsZero() && at.Sub(e.LastSync.Add(-skew)) <= interval+2*v.Tick
}

// agentOlder reports whether ICSA on a cluster's publisher is known to have run
// since before an instant. Of a cluster out of sight it is as it was seen last:
// that it cannot be seen does not show that it was restarted. Before anything is
// done about it the gate wants it fresh.
func (v *View) agentOlder(id mesh.ClusterID, changed time.Time) bool {
	c, ok := v.Mesh.Cluster(id)
	if !ok {
		return false
	}
	services := v.record(id).Seen.Nodes[c.Publisher].Services
	got, known := services.Get()
	agent, listed := got[ICSA]
	return known && listed && agent.Started() && agent.UpTime >= 0 && !services.At.Add(-agent.UpTime).After(changed)
}

// SyncedSince reports whether a sync of the peer is known to have succeeded
// after an instant, by our clock.
func (v *View) SyncedSince(id mesh.PeerID, at time.Time) bool {
	to, ok := v.Mesh.Cluster(id.To)
	if !ok {
		return false
	}
	seen := v.record(id.From).Seen
	e, listed, _ := seen.EntryFor(to)
	skew, _ := seen.Skew.Get()
	return listed && e.HasClock && !e.LastSync.IsZero() && e.LastSync.Add(-skew).After(at)
}

// awaitsReload reports whether a peer is seen to fail over a certificate that
// its store holds by now.
func (v *View) awaitsReload(id mesh.PeerID, came time.Time) bool {
	unread, measured := v.TrustUnread(id, came)
	return !came.IsZero() && unread && measured
}

// NotReloaded lays over a verdict of the stores that ICSA may not have read them
// since: the store holds the certificate, and the sync stands all the same. That
// is no cause any more, so that the ladder may do what helps: restart the agent.
func NotReloaded(v *View, matrix TrustMatrix, id mesh.PeerID, cond Condition) Condition {
	came, ok := v.latestArrival(matrix, id, false)
	if cond.Status != True || !ok || !v.awaitsReload(id, came.at) {
		return cond
	}
	cond.Reason, cond.Basis = TrustNotReloaded, Inferred
	cond.Message = fmt.Sprintf("%s of %s came into %s's trust store at %s; no sync has succeeded since: the Intercluster Sync Agent reads it when it starts", came.service, came.node, id.From, clock(came.at))
	return cond
}

// mendingLife is for how long what is wrong with a certificate is looked at
// more often than otherwise: whoever mends it does so within a day, or not now.
const mendingLife = 24 * time.Hour

// ClustersToRecheck lists the clusters whose certificates are worth a look before their
// time, because something is being mended, so that an alarm does not outlive its
// cause by hours: both ends of a peer whose certificate or names are at fault,
// and where a certificate is about to be imported or has just been. A sync that
// is overdue may be so for its certificate, which is to be known before anybody
// thinks of restarting the agent.
func ClustersToRecheck(m *mesh.Mesh, conditions map[mesh.PeerID][]Condition, importing []mesh.ClusterID, now time.Time) []mesh.ClusterID {
	again := map[mesh.ClusterID]bool{}
	for _, id := range importing {
		again[id] = true
	}
	for _, p := range m.Peers {
		for _, t := range []Type{CertificateTrusted, NamesResolve} {
			c := find(conditions[p.ID], t)
			open := c.Status == False || c.Reason == ExchangePending || c.Reason == TrustNotReloaded || c.Reason == NextSyncDecides
			if open && now.Sub(c.Since) < mendingLife {
				again[p.ID.From], again[p.ID.To] = true, true
			}
		}
		if c := find(conditions[p.ID], Synced); c.Reason == Overdue || c.Status == False && now.Sub(c.Since) < mendingLife {
			again[p.ID.From], again[p.ID.To] = true, true
		}
	}
	return slices.DeleteFunc(m.IDs(), func(id mesh.ClusterID) bool { return !again[id] })
}
