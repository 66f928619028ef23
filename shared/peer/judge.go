package peer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// View is everything that is known of one mesh at one instant.
type View struct {
	Now      time.Time
	Tick     time.Duration // peersync's period
	Mesh     *mesh.Mesh
	Clusters map[mesh.ClusterID]*ClusterRecord
	// Buckets by the cluster they were read from. Missing ones are Unknown.
	Buckets map[mesh.ClusterID]Fact[Buckets]
	// Certificates are what certcheck saw last, by cluster; a second witness of
	// whether a node is there.
	Certificates map[mesh.ClusterID]CertClusterRecord
}

// maxAge is how long a fact of peersync's stays usable: two of its periods.
func (v *View) maxAge() time.Duration { return 2 * v.Tick }

// SyncRecord is the PEER#…#SYNC item: every condition of one directed peer but
// CertificateTrusted and NamesResolve, and the memory that judging needs.
// It holds nothing that moves while the peer does not.
type SyncRecord struct {
	Conditions []Condition `json:"conditions"`
	// Differs is the episode in which the copy has not equalled the home.
	Differs Difference `json:"differs,omitzero"`
	// Progress is when a change of the home was last seen copied in time.
	Progress time.Time `json:"progress,omitzero"`
	// FirstSeen is where the clock of a peer that has never synced starts: when
	// its entry was first seen, or its first full sync was last seen to bring
	// something. Zero while there is no entry.
	FirstSeen time.Time `json:"firstSeen"`
	// Named are the users that differ, once tier 3 has looked.
	Named *Named `json:"named,omitempty"`
	// Standing is since when the causes that are False have been.
	Standing Standing `json:"standing,omitempty"`
}

// Difference is an episode of a copy that does not equal its home.
type Difference struct {
	// Since is when the same difference began: it begins anew whenever a sync
	// has brought the copy closer than it was.
	Since time.Time `json:"since,omitzero"`
	// Least is the smallest difference of the counts in the episode.
	Least int `json:"least,omitempty"`
}

// Named lists users that one side has and the other has not.
type Named struct {
	At      time.Time `json:"at"`
	Missing []string  `json:"missing,omitempty"` // at home, not copied
	Extra   []string  `json:"extra,omitempty"`   // copied, not at home
	More    int       `json:"more,omitempty"`    // beyond those listed
}

// Condition finds a condition by type; the zero Condition if it has not been
// judged yet.
func (r *SyncRecord) Condition(t Type) Condition { return find(r.Conditions, t) }

func find(cs []Condition, t Type) Condition {
	for _, c := range cs {
		if c.Type == t {
			return c
		}
	}
	return Condition{Type: t}
}

// verdict is a condition before it has a type and a since.
type verdict struct {
	status  Status
	reason  Reason
	basis   Basis
	message string
}

func yes(why Reason, b Basis, format string, args ...any) verdict {
	return verdict{True, why, b, fmt.Sprintf(format, args...)}
}
func no(why Reason, b Basis, format string, args ...any) verdict {
	return verdict{False, why, b, fmt.Sprintf(format, args...)}
}
func unsure(why Reason, format string, args ...any) verdict {
	return verdict{UnknownStatus, why, Measured, fmt.Sprintf(format, args...)}
}

// link is one directed peer with both ends at hand.
type link struct {
	*View
	id                       mesh.PeerID
	decl                     mesh.Peer
	puller, home             *mesh.Cluster
	pullerRecord, homeRecord *ClusterRecord // from's and to's records; never nil
	pullerView, homeView     Visibility
	entry                    Entry
	hasEntry                 bool
	other                    *Entry
	prev                     *SyncRecord
}

// Judge gives the peersync conditions of one directed peer. prev is the stored
// record, the zero one for a new peer.
func Judge(v *View, id mesh.PeerID, prev SyncRecord) SyncRecord {
	l := newLink(v, id, &prev)
	next := prev
	switch {
	case l.entries().Known() && !l.hasEntry:
		next.FirstSeen = time.Time{}
	case next.FirstSeen.IsZero():
		next.FirstSeen = v.Now
	}
	users := l.users(&next)
	if l.homeRecord.Fell != nil && users.status == True {
		users = unsure(UsersFell, "%s holds what %s has, and %s's users fell %s: that both hold equally little proves nothing", l.id.From, l.id.To, l.id.To, l.homeRecord.Fell)
	}
	verdicts := []struct {
		t Type
		v verdict
	}{
		{Configured, l.configured()},
		{Compatible, l.compatible()},
		{Reachable, l.reachable()},
		{Authenticated, l.authenticated()},
		{ServicesRunning, l.servicesRunning()},
		{UsersMatch, users},
		{Synced, l.synced(&next)},
		{PresencePath, unsure(NotObservable, "nothing outside the clusters can see the XMPP path on port 7400; user sync says nothing about it")},
	}
	next.Conditions = make([]Condition, 0, len(verdicts))
	for _, x := range verdicts {
		c := Condition{Type: x.t, Status: x.v.status, Reason: x.v.reason, Basis: x.v.basis, Message: x.v.message}
		next.Conditions = append(next.Conditions, Set(prev.Condition(x.t), c, v.Now))
		if contradictable(x.t) {
			var atFault []string
			if c.Status == False {
				atFault = []string{string(c.Reason)}
			}
			next.Standing = next.Standing.After(x.t, atFault, func(string) bool { return c.Status == UnknownStatus }, v.Now)
		}
	}
	return next
}

func newLink(v *View, id mesh.PeerID, prev *SyncRecord) *link {
	l := bareLink(v, id, prev)
	l.pullerView, l.homeView = v.Visibility(id.From), v.Visibility(id.To)
	return l
}

// bareLink is a link without our view of its ends, for those who form that view.
func bareLink(v *View, id mesh.PeerID, prev *SyncRecord) *link {
	l := &link{View: v, id: id, prev: prev, pullerRecord: v.record(id.From), homeRecord: v.record(id.To)}
	l.puller, _ = v.Mesh.Cluster(id.From)
	l.home, _ = v.Mesh.Cluster(id.To)
	l.decl, _ = v.Mesh.Peer(id)
	if l.entries().Known() {
		l.entry, l.hasEntry, l.other = l.pullerRecord.Seen.EntryFor(l.home)
	}
	return l
}

func (v *View) record(id mesh.ClusterID) *ClusterRecord {
	if r := v.Clusters[id]; r != nil {
		return r
	}
	return &ClusterRecord{}
}

// lastSync is the entry's last success by our clock; zero if it never
// succeeded or cannot be read. The entry itself is in the cluster's clock.
func (l *link) lastSync() time.Time {
	last := l.entry.LastSync
	if skew, ok := l.pullerRecord.Seen.Skew.Get(); ok && !last.IsZero() {
		last = last.Add(-skew)
	}
	return last
}

// interval is the sync interval in effect for this peer.
func (l *link) interval() (time.Duration, Basis) {
	return l.pullerRecord.EffectiveInterval(l.puller, l.lastSync())
}

func (l *link) clocks() Clocks { return ClocksOf(l.pullerRecord, l.puller, l.lastSync()) }

func (l *link) entries() Fact[[]Entry] { return l.pullerRecord.Seen.Entries.Fresh(l.Now, l.maxAge()) }

// blind explains why a datum of a cluster is not Known: our own trouble with
// the cluster comes before the single request's reason.
func (l *link) blind(id mesh.ClusterID, s Visibility, why Reason, detail string) verdict {
	if s.Trouble != "" {
		return unsure(s.Trouble, "%s: %s", id, s.Message)
	}
	if detail == "" {
		return unsure(why, "no data from %s yet", id)
	}
	return unsure(why, "%s: %s", id, detail)
}

func (l *link) configured() verdict {
	here := l.entries()
	if here.Why() == NoDialect && !here.Known() {
		// Nobody has told how to read the peer table: copies are evidence.
		if n, ok := l.pullerRecord.CopiedUsers(l.home).Fresh(l.Now, l.maxAge()).Get(); ok && n > 0 {
			return yes(CopiesExist, Inferred, "%s holds %d users of %s, so a peer entry has worked; the entry itself is not readable", l.id.From, n, l.id.To)
		}
		return unsure(NotObservable, "the peer table is not mapped; `peerkeeper probe` proposes a mapping")
	}
	if !here.Known() {
		return l.blind(l.id.From, l.pullerView, here.Why(), here.Detail)
	}
	if !l.hasEntry {
		if l.other != nil {
			if _, ok := l.home.Node(mesh.NodeName(l.other.Address)); ok {
				return no(AddressNotPublisher, Measured, "%s's peer entry names %s, which is not %s's database publisher %s", l.id.From, value(l.other.Address), l.id.To, l.home.Publisher)
			}
			return no(AddressNotNodeName, Measured, "%s's peer entry reads %s; Cisco wants the node name %s as Presence Topology shows it", l.id.From, value(l.other.Address), l.home.Publisher)
		}
		return no(PeerMissing, Measured, "%s has no peer entry for %s", l.id.From, l.home.Publisher)
	}
	if l.entry.Protocol != "" && l.entry.Protocol != l.decl.Protocol {
		return no(ProtocolDiffers, Measured, "%s's entry for %s uses %s, mesh.yaml says %s", l.id.From, l.id.To, value(l.entry.Protocol), l.decl.Protocol)
	}
	there := l.homeRecord.Seen.Entries.Fresh(l.Now, l.maxAge())
	if !there.Known() {
		if there.Why() == NoDialect {
			return yes(EntriesMatch, Measured, "%s has its entry for %s; the other end's is not readable", l.id.From, l.id.To)
		}
		return l.blind(l.id.To, l.homeView, there.Why(), there.Detail)
	}
	back, ok, _ := l.homeRecord.Seen.EntryFor(l.puller)
	if !ok {
		return no(PeerMissingOnOtherSide, Measured, "%s has no peer entry back to %s; Cisco wants the pair on both sides", l.id.To, l.puller.Publisher)
	}
	if back.Protocol != l.entry.Protocol {
		return no(ProtocolDiffers, Measured, "%s says %s, %s says %s", l.id.From, value(l.entry.Protocol), l.id.To, value(back.Protocol))
	}
	return yes(EntriesMatch, Measured, "both ends name each other's publisher, protocol %s", l.decl.Protocol)
}

func (l *link) compatible() verdict {
	if v, differ := l.schemesDiffer(); differ {
		return v
	}
	if l.hasEntry && l.entry.HasError && l.entry.Error == ErrorDomain {
		return no(DomainConflict, Cisco, "ICSA of %s reports a domain conflict with %s; it retries every 30 min", l.id.From, l.id.To)
	}
	return yes(DomainsMatch, Declared, "both declared in domain %s; no conflict reported", l.Mesh.Domain)
}

// recent reports whether the entry's clock shows a success young enough that
// the network path and the credentials must have worked.
func (l *link) recent() bool {
	if !l.hasEntry || !l.entry.HasClock || l.entry.LastSync.IsZero() {
		return false
	}
	interval, _ := l.interval()
	return l.age() <= interval+2*l.Tick && (!l.entry.HasError || l.entry.Error == "")
}

// age is how long ago the entry last synced.
func (l *link) age() time.Duration { return l.Now.Sub(l.lastSync()) }

func (l *link) reachable() verdict {
	if l.pullerView.Trouble != "" && !l.entries().Known() {
		return l.blind(l.id.From, l.pullerView, l.pullerView.Trouble, "")
	}
	if l.recent() {
		return yes(SyncedRecently, Measured, "%s's ICSA reached %s at its last sync", l.id.From, l.id.To)
	}
	switch l.homeView.Verdict {
	case Down:
		return no(ClusterDown, Inferred, "no node of %s answers Peerkeeper, and no peer that pulls from it has advanced since", l.id.To)
	case PublisherIsDown:
		return no(PublisherDown, Inferred, "%s of %s does not answer Peerkeeper, and no peer that pulls from it has advanced since", l.home.Publisher, l.id.To)
	case WaitingForPeers, NotVisible:
		return unsure(l.homeView.Trouble, "%s: %s", l.id.To, l.homeView.Message)
	}
	if l.hasEntry && l.entry.HasError && l.entry.Error == ErrorUnreachable {
		// The pulling ICSA's own word comes before what we see from our seat. It
		// says so of a name that does not resolve too, hence no False.
		return unsure(CannotConnect, "ICSA of %s reports that it does not reach %s, which answers Peerkeeper: look at the names and at the way between the two clusters", l.id.From, l.home.Publisher)
	}
	if ok, known := l.homeRecord.Seen.Nodes[l.home.Publisher].Answers.Fresh(l.Now, l.maxAge()).Get(); known && ok {
		return yes(ReachableFromPeerkeeper, Inferred, "%s answers Peerkeeper; the path from %s itself is not measured", l.home.Publisher, l.id.From)
	}
	return l.blind(l.id.To, l.homeView, NotChecked, "")
}

// Words of the dialect's optional column last_error. They are ours: the site's
// SQL (or the simulator's invented column) must yield them.
const (
	ErrorCredentials = "credentials"
	ErrorUnreachable = "unreachable"
	ErrorCertificate = "certificate"
	ErrorNames       = "names"
	ErrorDomain      = "domain"
	ErrorOther       = "other"
)

// errorWord keeps what a site's query may yield out of messages, if it is none
// of our words: it may change with each try.
func errorWord(s string) string {
	switch s {
	case ErrorUnreachable, ErrorCertificate, ErrorNames, ErrorDomain:
		return s
	}
	return ErrorOther
}

func (l *link) authenticated() verdict {
	if e := l.entries(); !e.Known() && e.Why() != NoDialect {
		return l.blind(l.id.From, l.pullerView, e.Why(), e.Detail)
	}
	if l.recent() {
		return yes(CredentialsAccepted, Measured, "the entry's credentials worked at the last sync")
	}
	if !l.hasEntry || !l.entry.HasError {
		return unsure(NotObservable, "only the Inter-Clustering page's Peer Connectivity Test shows whether the entry's credentials are accepted")
	}
	switch l.entry.Error {
	case ErrorCredentials:
		return no(PeerCredentialsRejected, Measured, "%s refuses the AXL user name or password in %s's peer entry", l.id.To, l.id.From)
	case "":
		return yes(CredentialsAccepted, Measured, "the entry reports no error")
	}
	// Not NotObservable: a password that was refused is not right again because
	// something else now fails before it is asked for.
	return unsure(CannotConnect, "the sync of %s from %s fails before or after its log-in (%s), so its credentials are not tried", l.id.From, l.id.To, errorWord(l.entry.Error))
}

// needed is one service that the peer depends on.
type requiredService struct {
	service string
	remote  bool
	all     bool // every node, else the publisher only
}

// needs is the chapter's word: AXL on all nodes, Sync Agent on the publisher,
// ICSA on all nodes; XCP Router because presence between clusters runs through it.
var requiredServices = [...]requiredService{
	{service: ICSA, all: true},
	{service: SyncAgent},
	{service: AXL, all: true},
	{service: XCPRouter, all: true},
	{service: AXL, remote: true},
}

func (l *link) servicesRunning() verdict {
	var stopped, unread []string
	basis := Measured
	var why Reason
	for _, n := range requiredServices {
		c, r, s, id := l.puller, l.pullerRecord, l.pullerView, l.id.From
		if n.remote {
			c, r, s, id = l.home, l.homeRecord, l.homeView, l.id.To
		}
		for _, node := range c.Nodes {
			if !n.all && node.Name != c.Publisher {
				continue
			}
			if node.Name == c.Publisher && s.Verdict == PublisherIsDown && !n.remote {
				return no(PublisherDown, Inferred, "%s does not answer, so nothing runs there that anyone could use", node.Name)
			}
			services := r.Seen.Nodes[node.Name].Services.Fresh(l.Now, l.maxAge())
			got, known := services.Get()
			svc, listed := got[n.service]
			switch {
			case !known:
				if why == "" {
					why = services.Why()
					if s.Trouble != "" {
						why = s.Trouble
					}
				}
				unread = append(unread, fmt.Sprintf("%s (%s)", node.Name, id))
			case !listed || svc.Status == "Unknown":
				if why == "" {
					why = UnreadableAnswer // not NotObservable: Control Center is where it shows
				}
				unread = append(unread, fmt.Sprintf("%s on %s", n.service, node.Name))
			case !svc.Started():
				stopped = append(stopped, fmt.Sprintf("%s is %s on %s", n.service, value(strings.ToLower(svc.Status)), node.Name))
			}
		}
	}
	if len(stopped) > 0 {
		return no(ServiceStopped, basis, "%s", plain.FirstBy(plain.Listed, stopped, "; "))
	}
	if len(unread) > 0 {
		return unsure(why, "not read: %s", plain.List(slices.Compact(unread)))
	}
	return yes(AllStarted, Measured, "Cisco Intercluster Sync Agent, Sync Agent, AXL and XCP Router run where they must")
}

// EffectiveInterval is the sync interval that governs a peer whose last sync
// was at lastSync: a new value takes effect after the next sync. The basis is
// Declared where the parameter was not read.
func (r *ClusterRecord) EffectiveInterval(c *mesh.Cluster, lastSync time.Time) (time.Duration, Basis) {
	iv := r.Interval
	if iv.Value == 0 {
		return c.SyncInterval.D(), Declared
	}
	if iv.Previous == 0 || iv.Changed.IsZero() || lastSync.After(iv.Changed) {
		return iv.Value, Measured
	}
	for _, was := range iv.Earlier {
		if !lastSync.After(was.Until) {
			return was.Value, Measured
		}
	}
	return iv.Previous, Measured
}

// longestInterval is the longest interval on which any peer of the cluster may
// still be syncing: the value read, or the one before while it may be in effect.
func (r *ClusterRecord) longestInterval(c *mesh.Cluster, now time.Time) time.Duration {
	longest, _ := r.EffectiveInterval(c, now)
	if iv := r.Interval; iv.Value != 0 && now.Sub(iv.Changed) <= iv.Previous {
		longest = max(longest, iv.Previous)
	}
	return longest
}

// Clocks are Cisco's two limits on an unsuccessful sync.
type Clocks struct {
	Interval time.Duration
	Basis    Basis
	// A is when periodic sync counts as stuck: interval + 2 h (our reading of
	// "stuck for more than 2 hours").
	A time.Duration
	// B is when ICSA restarts after failing for four sync periods.
	B time.Duration
}

// First is the limit that is reached first, and its name.
func (c Clocks) First() (time.Duration, Reason) {
	if c.A < c.B {
		return c.A, StuckTwoHours
	}
	return c.B, FourPeriodsMissed
}

// ClocksOf computes both limits from the interval in effect.
func ClocksOf(r *ClusterRecord, c *mesh.Cluster, lastSync time.Time) Clocks {
	interval, basis := r.EffectiveInterval(c, lastSync)
	return Clocks{Interval: interval, Basis: basis, A: interval + 2*time.Hour, B: 4 * interval}
}

func (l *link) synced(next *SyncRecord) verdict {
	entries := l.entries()
	if !entries.Known() && entries.Why() != NoDialect {
		return l.blind(l.id.From, l.pullerView, entries.Why(), entries.Detail)
	}
	if entries.Known() && !l.hasEntry {
		return unsure(PeerMissing, "there is no entry that could sync")
	}
	clocks := l.clocks()
	limit, which := clocks.First()
	if !l.entry.HasClock {
		return l.syncedByProgress(next, limit)
	}
	age, last := l.age(), "last success "+l.entry.LastSync.UTC().Format("2006-01-02 15:04 MST")
	if l.entry.LastSync.IsZero() {
		age, last = l.Now.Sub(next.FirstSeen), "it has never succeeded since Peerkeeper first saw its entry, or its first sync last brought users"
	}
	switch {
	case age < -2*l.Tick:
		return unsure(ClockBackwards, "%s lies in the future of %s's own clock", last, l.id.From)
	case age > limit && which == FourPeriodsMissed:
		return no(FourPeriodsMissed, Measured, "%s: four periods of %v have passed (Cisco restarts ICSA at this point); measured by Peerkeeper, not Cisco's own alarm", last, clocks.Interval)
	case age > limit:
		return no(StuckTwoHours, Measured, "%s: more than 2 h beyond its interval of %v; measured by Peerkeeper, not Cisco's own alarm", last, clocks.Interval)
	case age > clocks.Interval+2*l.Tick:
		return yes(Overdue, Measured, "%s; one sync of %v was missed, this turns False %v after the last success", last, clocks.Interval, limit)
	}
	return yes(OnInterval, Measured, "syncs on its interval of %v (%s)", clocks.Interval, clocks.Basis)
}

// syncedByProgress stands in where Last Synchronized Time is not readable.
func (l *link) syncedByProgress(next *SyncRecord, limit time.Duration) verdict {
	home, hk := l.homeRecord.HomeUsers(l.home).Fresh(l.Now, l.maxAge()).Get()
	copied, ck := l.pullerRecord.CopiedUsers(l.home).Fresh(l.Now, l.maxAge()).Get()
	if hk && ck && home != copied && !next.Differs.Since.IsZero() && l.changedSince(next.Differs.Since) && l.Now.Sub(next.Differs.Since) > limit {
		return no(HomeChangeNotCopied, Inferred, "a change of %s's users at %s has not been copied within %v", l.id.To, next.Differs.Since.UTC().Format("2006-01-02 15:04 MST"), limit)
	}
	if !next.Progress.IsZero() {
		return unsure(ClockNotReadable, "Last Synchronized Time is only on Cisco's page; a change of %s's users was seen copied at %s", l.id.To, next.Progress.UTC().Format("2006-01-02 15:04 MST"))
	}
	return unsure(ClockNotReadable, "Last Synchronized Time is only on Cisco's page, and no change of %s's users has been seen copied yet", l.id.To)
}

// changedSince reports whether the home really changed around t, as opposed to
// having differed ever since Peerkeeper first looked.
func (l *link) changedSince(t time.Time) bool {
	for i, h := range l.homeRecord.Home {
		if i > 0 && !h.From.Before(t) {
			return true
		}
	}
	return false
}

// users judges the copies against the home. A copy may lawfully lag: it is
// right while it equals what the home was within the window that its own last
// sync, or two intervals, allow.
func (l *link) users(next *SyncRecord) verdict {
	homeFact := l.homeRecord.HomeUsers(l.home).Fresh(l.Now, l.maxAge())
	copyFact := l.pullerRecord.CopiedUsers(l.home).Fresh(l.Now, l.maxAge())
	home, hk := homeFact.Get()
	copied, ck := copyFact.Get()
	switch {
	case !hk:
		return l.blind(l.id.To, l.homeView, homeFact.Why(), homeFact.Detail)
	case !ck:
		return l.blind(l.id.From, l.pullerView, copyFact.Why(), copyFact.Detail)
	}
	basis := l.pullerRecord.Seen.UsersBasis
	if l.homeRecord.Seen.UsersBasis == Inferred || basis == "" {
		basis = Inferred
	}
	interval, _ := l.interval()
	proof, shown := l.proof(home, copied, interval)
	if proof != UsersDiffer && home == copied {
		if since := next.Differs.Since; !since.IsZero() {
			if limit, _ := l.clocks().First(); l.Now.Sub(since) <= limit+l.Tick && l.changedSince(since) {
				next.Progress = l.Now
			}
			next.Differs, next.Named = Difference{}, nil
		}
		return yes(proof, basis, "%s holds all %d users of %s", l.id.From, home, l.id.To)
	}

	gap := max(home-copied, copied-home)
	switch d := &next.Differs; {
	case d.Since.IsZero():
		*d = Difference{Since: l.differsSince(home, copied), Least: gap}
	case gap < d.Least:
		*d = Difference{Since: l.Now, Least: gap}
		if l.hasEntry && l.entry.HasClock && l.entry.LastSync.IsZero() {
			next.FirstSeen = l.Now // the first full sync is under way
		}
	case l.unwatched(d.Since, interval):
		*d = Difference{Since: l.Now, Least: gap}
	}
	window := l.Now.Add(-2*interval - l.Tick)
	if l.hasEntry && l.entry.HasClock {
		if w := l.lastSync().Add(-interval); w.After(window) && !w.After(l.Now) {
			window = w
		}
	}
	lasted := l.Now.Sub(next.Differs.Since)
	what := describe(l.id, home, copied)
	switch {
	case home != copied && l.explained(copied, window):
		return yes(CatchingUp, basis, "%s; the copy equals what %s was within the last interval", what, l.id.To)
	case home == copied && shown.Before(next.Differs.Since.Add(interval)):
		// Equal counts, and only an old look says that they are not the same
		// users: the next one decides.
	case lasted >= 2*interval:
		why := UsersDiffer
		if copied < home {
			why = UsersMissing
		} else if copied > home {
			why = UsersExtra
		}
		return no(why, basis, "%s since %s%s", what, next.Differs.Since.UTC().Format("2006-01-02 15:04 MST"), names(next.Named))
	}
	return unsure(NotYetDecided, "%s since %s; a sync may still bring it, decided after two intervals of %v", what, next.Differs.Since.UTC().Format("2006-01-02 15:04 MST"), interval)
}

func describe(id mesh.PeerID, home, copied int) string {
	switch {
	case copied < home:
		return fmt.Sprintf("%s lacks %d of %s's %d users", id.From, home-copied, id.To, home)
	case copied > home:
		return fmt.Sprintf("%s holds %d users of %s that %s itself has not (%d)", id.From, copied-home, id.To, id.To, home)
	}
	return fmt.Sprintf("%s holds %d users of %s, as many as there are, but not the same ones", id.From, copied, id.To)
}

func names(n *Named) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	more := n.More
	for _, side := range []struct {
		what  string
		users []string
	}{{"missing", n.Missing}, {"too many", n.Extra}} {
		if len(side.users) > 0 {
			shown := side.users[:min(len(side.users), plain.Listed)]
			more += len(side.users) - len(shown)
			fmt.Fprintf(&b, "; %s: %s", side.what, values(shown))
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, ", and %d more", more)
	}
	return b.String()
}

// unwatched reports whether Peerkeeper did not look for longer than an
// interval after t, and the home changed over it: nobody can tell any more that
// the difference is the same one.
func (l *link) unwatched(t time.Time, interval time.Duration) bool {
	n := len(l.homeRecord.Home)
	if n < 2 {
		return false
	}
	from, before := l.homeRecord.Home[n-1].From, l.homeRecord.Home[n-2].To
	return from.Equal(l.Now) && before.After(t.Add(-interval)) && from.Sub(before) > max(interval, l.maxAge())
}

// differsSince is when the home last had the value that the copy has: the
// copy has been wrong since then. Never seen: since now. Where the counts are
// equal the ring tells nothing: the difference was first seen now.
func (l *link) differsSince(home, copied int) time.Time {
	if home == copied {
		return l.Now
	}
	for i := len(l.homeRecord.Home) - 1; i >= 0; i-- {
		if h := l.homeRecord.Home[i]; h.Users == copied && i+1 < len(l.homeRecord.Home) {
			return l.homeRecord.Home[i+1].From
		}
	}
	return l.Now
}

// explained reports whether the home's values since window span the copy's.
func (l *link) explained(copied int, window time.Time) bool {
	lo, hi, any := 0, 0, false
	for _, h := range l.homeRecord.Home {
		if h.To.Before(window) {
			continue
		}
		if !any {
			lo, hi, any = h.Users, h.Users, true
		}
		lo, hi = min(lo, h.Users), max(hi, h.Users)
	}
	return any && lo <= copied && copied <= hi
}

// proof is the strongest evidence at hand that home and copy are the same
// users, and when it was read; UsersDiffer when the digests contradict equal
// counts. A bucket digest speaks only of the counts that it was read with, and
// contradicts whatever was read before it.
func (l *link) proof(home, copied int, interval time.Duration) (why Reason, shown time.Time) {
	if home != copied {
		return UsersDiffer, l.Now
	}
	why, shown = CountsEqual, l.Now
	diff, ok := l.View.BucketsDiffer(l.id, 2*interval+2*l.Tick)
	a, b := l.View.Buckets[l.id.From], l.View.Buckets[l.id.To]
	if ok && b.Value[l.id.To].Users == home && a.Value[l.id.To].Users == copied {
		why, shown = BucketsEqual, older(a.At, b.At)
		if len(diff) > 0 {
			why = UsersDiffer
		}
	}
	if equal, ok := l.View.SetsEqual(l.id); ok {
		read := older(l.pullerRecord.UserSet.At, l.homeRecord.UserSet.At)
		switch {
		case !equal && (why != UsersDiffer || read.After(shown)):
			why, shown = UsersDiffer, read
		case equal && (why != UsersDiffer || !read.Before(shown)):
			why, shown = SetEqual, read
		}
	}
	return why, shown
}

func older(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// BucketsDiffer compares the bucket digests of a peer's home and copy. ok is
// false where they are missing, too old, or not read in one tick.
func (v *View) BucketsDiffer(id mesh.PeerID, maxAge time.Duration) (differing []string, ok bool) {
	fa, fb := v.Buckets[id.From].Fresh(v.Now, maxAge), v.Buckets[id.To].Fresh(v.Now, maxAge)
	ba, ka := fa.Get()
	bb, kb := fb.Get()
	if !ka || !kb || fa.At.Sub(fb.At).Abs() > v.Tick {
		return nil, false
	}
	return bb[id.To].differing(ba[id.To])
}

// setPeriod is how often tier 3 reads every user.
const setPeriod = 24 * time.Hour

// SetsEqual compares the digests of whole sets (tier 3). ok is false unless
// both were read within the last two days while the home held still.
func (v *View) SetsEqual(id mesh.PeerID) (equal, ok bool) {
	a, b := v.record(id.From), v.record(id.To)
	fa, fb := a.UserSet.Fresh(v.Now, 2*setPeriod), b.UserSet.Fresh(v.Now, 2*setPeriod)
	sa, ka := fa.Get()
	sb, kb := fb.Get()
	if !ka || !kb || len(b.Home) == 0 {
		return false, false
	}
	last := b.Home[len(b.Home)-1]
	from, ok := v.Mesh.Cluster(id.From)
	if !ok {
		return false, false
	}
	interval := a.longestInterval(from, fa.At)
	// The copy may lag: only what was read two intervals after the last
	// change of the home speaks.
	if len(b.Home) > 1 && (fa.At.Sub(last.From) < 2*interval || fb.At.Before(last.From)) {
		return false, false
	}
	x, y := sa[id.To], sb[id.To]
	// What either side holds now must be what it held then: a copy that has
	// been mended since is not contradicted by yesterday's digest.
	to, _ := v.Mesh.Cluster(id.To)
	if copied, known := a.CopiedUsers(to).Get(); !known || copied != x.Users {
		return false, false
	}
	if home, known := b.HomeUsers(to).Get(); !known || home != y.Users {
		return false, false
	}
	return x.Sum == y.Sum && x.Users == y.Users, true
}
