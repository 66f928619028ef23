package clustersim

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	defaultInterval = 30 * time.Minute
	retryAfter      = 5 * time.Minute // a failed sync, by the alarm catalogue
	stuckAfter      = 2 * time.Hour   // on top of one interval: our reading of "stuck for more than 2 hours"
	failedPeriods   = 4
)

// PeerMode is what a scenario does to one direction.
type PeerMode string

// The modes of a direction.
const (
	ModeOK             PeerMode = "ok"
	ModeStuck          PeerMode = "stuck"          // clock and copies stand still
	ModeHung           PeerMode = "hung"           // as stuck, and ICSA says nothing of it
	ModeSlow           PeerMode = "slow"           // one interval late
	ModeDeaf           PeerMode = "deaf"           // the clock advances, nothing is copied
	ModeBadCredentials PeerMode = "badCredentials" // the entry's password is wrong
)

// peer is one entry of a cluster's peer table, and what its ICSA knows of it.
// The table mirrors it; only entries' presence, address, protocol and user name
// are read back from there, when somebody has written to it by SQL.
type peer struct {
	cluster  *cluster // the one that pulls
	id       string   // of the remote cluster; the address if no cluster answers to it
	pkid     string
	address  string
	username string
	password string // "" = of an entry made by SQL, which has none: as if it were right
	protocol string
	// held is a log-in from before the account got another password, which goes on until
	// a sync fails, ICSA starts again or the entry is saved. Whether ICSA keeps one is
	// not documented.
	held bool

	mode      PeerMode
	selfHeals bool
	interval  time.Duration // in effect: the parameter's value at the last sync
	last      time.Time     // last success; zero = never
	next      time.Time
	lastError string
	users     int
	alarmed   time.Time // when ICSA last said that its syncs have stopped
	seen      int       // homeVersion of the remote that was copied; 0 = none

	// fresh is an entry whose first full sync has not ended; portion is how much of it
	// has, progress when that last changed or, before, when the entry was made.
	fresh    bool
	portion  int
	progress time.Time
}

// peerOf is the cluster's entry for a remote cluster; nil if it has none.
func (c *cluster) peerOf(id string) *peer {
	for _, p := range c.peers {
		if p.id == id {
			return p
		}
	}
	return nil
}

// agentParameters are ICSA's on a publisher, as they stand in the database. A peer goes
// by the interval of its last sync: Cisco says that a new one takes effect after the
// next.
type agentParameters struct {
	interval        time.Duration
	autoRecovery    bool
	certificateSync bool
}

// readParameters reads the service parameters again when somebody wrote.
func (s *Sim) readParameters(c *cluster) {
	rows, err := c.db.rows(`SELECT p.name, t.nameforcontrol, c.paramname, c.paramvalue FROM processconfig c JOIN processnode p ON c.fkprocessnode = p.pkid JOIN typeservice t ON c.tkservice = t.enum`)
	if err != nil {
		s.log("%s: reading the service parameters: %v", c.id, err)
		return
	}
	all := map[string]map[string]map[string]string{} // State hands it out, so that it is never changed
	for _, row := range rows {
		node, service := row[0], row[1]
		if all[node] == nil {
			all[node] = map[string]map[string]string{}
		}
		if all[node][service] == nil {
			all[node][service] = map[string]string{}
		}
		all[node][service][row[2]] = row[3]
	}
	c.parameters, c.agent = all, agentParameters{interval: defaultInterval, certificateSync: true}
	for name, value := range all[c.publisher().name][serviceICSA] {
		on := strings.EqualFold(value, "t")
		switch name {
		case paramSyncInterval:
			if minutes, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && minutes > 0 {
				c.agent.interval = time.Duration(minutes) * time.Minute
			}
		case paramAutoRecovery:
			c.agent.autoRecovery = on
		case paramCertificateSync:
			c.agent.certificateSync = on
		}
	}
}

func (p *peer) due() time.Time {
	if p.stands() {
		return time.Time{}
	}
	return p.next
}

func (p *peer) stands() bool { return p.mode == ModeStuck || p.mode == ModeHung }

// agentStarted begins again: all peers sync within seconds, one after the other.
// Any start mends what was stuck, but one of ICSA's own only where the scenario
// says that it heals.
func (s *Sim) agentStarted(c *cluster, now time.Time) {
	own := c.selfRestarting
	c.selfRestarting = false
	s.agentReads(c)
	for i, p := range c.peers {
		if p.stands() && (!own || p.selfHeals) {
			p.mode = ModeOK
		}
		p.next = now.Add(firstSyncAfter + time.Duration(i)*firstSyncStagger)
		p.portion, p.held = 0, false
		s.icsaSays(c, "InterClusterSyncAgentControllerStatus", p, s.cluster(p.id), now)
	}
}

// selfRestartDue is when ICSA next restarts itself, by whichever of the two
// clocks of whichever peer comes first. Both count from the last success or
// from ICSA's own start, whichever is later, so that a restart that did not help
// is not repeated sooner than its clock.
func (c *cluster) selfRestartDue() time.Time {
	pub := c.publisher()
	icsa := pub.service(serviceICSA)
	if !pub.running(serviceICSA) {
		return time.Time{}
	}
	var first time.Time
	for _, p := range c.peers {
		from := p.moved(icsa)
		if c.agent.autoRecovery {
			first = earlier(first, from.Add(p.interval+stuckAfter))
		}
		if p.lastError != "" && pub.release.atLeast(sinceSyncInterval) {
			first = earlier(first, from.Add(failedPeriods*p.interval))
		}
	}
	return first
}

// moved is from when ICSA's clocks count: the last success, its own start, or
// what a new entry has come to.
func (p *peer) moved(icsa *service) time.Time {
	from := p.last
	if icsa.since.After(from) {
		from = icsa.since
	}
	if p.fresh && p.progress.After(from) {
		from = p.progress
	}
	return from
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func (s *Sim) selfRestart(c *cluster, now time.Time) {
	pub := c.publisher()
	s.log("%s: ICSA restarts itself: periodic syncing failure", c.id)
	c.selfRestarts++
	c.selfRestarting = true
	s.beginStop(pub, pub.service(serviceICSA), now, true)
}

// sync is one periodic sync of one peer.
func (s *Sim) sync(p *peer, now time.Time) {
	c := p.cluster
	remote := s.cluster(p.id)
	if why := s.obstacle(p, remote, now); why != "" {
		if why != p.lastError {
			s.log("%s>%s: sync failed: %s", c.id, p.id, why)
		}
		p.lastError, p.held = why, false
		p.next, p.portion = now.Add(retryAfter), 0
		s.logSync(p, remote, why, now)
		s.recordPeer(p)
		return
	}
	if p.fresh && p.mode != ModeDeaf {
		whole, err := s.pullPortion(p, remote, now)
		if err != nil {
			s.log("%s>%s: copying users: %v", c.id, p.id, err)
			p.next = now.Add(retryAfter)
			return
		}
		if !whole {
			s.recordPeer(p)
			return
		}
	}
	if p.mode != ModeDeaf && p.seen != remote.homeVersion {
		n, err := s.copyUsers(c, remote, true, "")
		if err != nil {
			s.log("%s>%s: copying users: %v", c.id, p.id, err)
			p.next = now.Add(retryAfter)
			return
		}
		p.users, p.seen = n, remote.homeVersion
		s.log("%s>%s: copied %d users", c.id, p.id, n)
	}
	if c.agent.certificateSync {
		for _, n := range remote.presenceNodes() {
			s.learn(c, n, now, p.protocol == "tls")
		}
	}
	p.last, p.lastError, p.fresh = now, "", false
	p.interval = c.agent.interval
	p.next = now.Add(p.interval)
	if p.mode == ModeSlow {
		p.next = now.Add(2 * p.interval)
	}
	s.logSync(p, remote, "", now)
	s.recordPeer(p)
}

// obstacle is why ICSA cannot pull now, in the words of lasterror; "" if it can.
func (s *Sim) obstacle(p *peer, remote *cluster, now time.Time) string {
	c := p.cluster
	if remote == nil || !equalNames(p.address, remote.publisher().name) {
		return lastErrorUnreachable(p.address, "no publisher has this node name")
	}
	pub := remote.publisher()
	if !c.resolves(p.address) {
		return lastErrorUnreachable(p.address, "the address does not resolve")
	}
	if remote.blocked[c.id] || !pub.running(serviceTomcat) {
		return lastErrorUnreachable(p.address, "no answer on TCP port 8443")
	}
	for _, cert := range []*tls.Certificate{pub.rsa, pub.ecdsa} {
		if cert == nil {
			continue
		}
		for _, name := range sans(cert) {
			if !c.resolves(name) {
				return lastErrorName(name)
			}
		}
		if now.After(cert.Leaf.NotAfter) || now.Before(cert.Leaf.NotBefore) {
			return lastErrorExpired(p.address, cert.Leaf.NotAfter)
		}
		if !s.trusts(c, cert, now) {
			if !c.mayHandOver(p, cert) {
				return lastErrorUntrusted(p.address, fingerprint(cert.Leaf))
			}
			s.log("%s: certificate of %s reached tomcat-trust by periodic certificate sync", c.id, pub.name)
			s.learnOne(c, cert.Leaf, now)
		}
	}
	if !pub.running(serviceAXL) {
		return lastErrorService(p.address, serviceAXL)
	}
	if p.mode == ModeBadCredentials || !p.logsIn(remote) {
		return lastErrorCredentials(p.address)
	}
	if theirs, ours := remote.schemeOrDefault(), c.schemeOrDefault(); theirs != ours {
		return lastErrorScheme(p.address, theirs, ours)
	}
	if p.fresh {
		for _, end := range []*cluster{c, remote} {
			if end.syncIncomplete {
				return lastErrorSyncAgent(end.publisher().name)
			}
		}
	}
	return ""
}

// logsIn tells whether the entry's user name and password are those of the remote
// cluster's intercluster account.
func (p *peer) logsIn(remote *cluster) bool {
	login := remote.accounts[intercluster]
	return p.held || p.password == "" || p.username == login.username && p.password == login.password
}

// pullPortion carries on the first full sync of a new entry, of which copies come in
// portions; whole says that it is at its end, where all of them are made again.
func (s *Sim) pullPortion(p *peer, remote *cluster, now time.Time) (whole bool, err error) {
	c := p.cluster
	if p.portion == 0 {
		p.users = 0
		s.log("%s>%s: first full sync begins", c.id, p.id)
		if err := s.meet(c, remote); err != nil {
			return false, err
		}
	}
	span := firstFullOf(s.countHome(remote))
	if c.firstFull != nil {
		span = *c.firstFull
	}
	if span == 0 || p.portion == firstFullPortions {
		return true, nil
	}
	// Home users of the beginning are the first rows; those made since come at the end.
	n, err := s.copyUsers(c, remote, p.portion == 0, fmt.Sprintf(" AND rowid > %d AND rowid <= %d",
		remote.loaded*p.portion/firstFullPortions, remote.loaded*(p.portion+1)/firstFullPortions))
	if err != nil {
		return false, err
	}
	p.portion++
	p.users, p.progress, p.next, p.lastError = p.users+n, now, now.Add(span/firstFullPortions), ""
	return false, nil
}

// meet lists the nodes of a new peer where they do not stand yet.
func (s *Sim) meet(c, remote *cluster) error {
	statements := &batch{db: c.db}
	for _, n := range remote.presenceNodes() {
		statements.add(`INSERT INTO enterprisenode (id, name, isprimary) SELECT ?1, ?2, ?3
			WHERE NOT EXISTS (SELECT 1 FROM enterprisenode WHERE id = ?1)`, n.id, n.name, boolText(n.role == rolePublisher))
	}
	return statements.err
}

// sans are the names of a certificate that need resolving; sanTexts all of them.
// A domain in which another of the names lies is no server, and people's meshes
// with such certificates sync; nor is a wildcard, nor nothing at all.
func sans(cert *tls.Certificate) []string {
	all := cert.Leaf.DNSNames
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return name == "" || strings.HasPrefix(name, "*.") || slices.ContainsFunc(all, func(other string) bool {
			return strings.HasSuffix(strings.ToLower(other), "."+strings.ToLower(name))
		})
	})
}

func sanTexts(cert *tls.Certificate) []string {
	out := append([]string(nil), cert.Leaf.DNSNames...)
	for _, ip := range cert.Leaf.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

// resolves asks the cluster's own DNS servers in turn, as ICSA does; addresses
// need no resolving, and a bare name is looked for in the nodes' own domain.
func (c *cluster) resolves(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	if !strings.Contains(name, ".") {
		name += "." + domain
	}
	for _, server := range c.dns {
		if server.silentToICSA || server.lame[fromICSA] != "" {
			continue // glibc asks the next one
		}
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
			reply := c.zone.answerTo(fromICSA, new(dns.Msg).SetQuestion(dns.Fqdn(name), kind))
			if reply != nil && reply.Rcode == dns.RcodeSuccess && len(reply.Answer) > 0 {
				return true
			}
		}
	}
	return false
}

// homeCondition is the condition for a home user: enabled, active, not deleted and
// assigned to one of the cluster's own nodes.
func (c *cluster) homeCondition() string {
	return "enablecups = 't' AND status = 1 AND deletedtimestamp IS NULL AND primarynodeid IN (" + c.nodeIDs() + ")"
}

func (c *cluster) copyCondition() string {
	return fmt.Sprintf("tkuserprofile = %d AND primarynodeid IN (%s)", profileCopy, c.nodeIDs())
}

func (c *cluster) nodeIDs() string {
	var ids []string
	for _, n := range c.presenceNodes() {
		ids = append(ids, strconv.Itoa(n.id))
	}
	return strings.Join(ids, ", ")
}

// copyUsers copies those of remote's home users to c that a further condition names,
// "" for all, and replaces what was there: fresh databases have nothing to replace
// and no index to find it by.
func (s *Sim) copyUsers(c, remote *cluster, replace bool, which string) (copied int, err error) {
	lower, upper := c.db, remote.db
	if remote.index < c.index {
		lower, upper = upper, lower
	}
	lower.mu.Lock()
	defer lower.mu.Unlock()
	upper.mu.Lock()
	defer upper.mu.Unlock()
	if _, err := c.db.execLocked("ATTACH ? AS peer", remote.db.uri); err != nil {
		return 0, err
	}
	defer func() {
		_, detach := c.db.execLocked("DETACH peer")
		err = errors.Join(err, detach)
	}()
	if replace {
		if _, err := c.db.execLocked("DELETE FROM enduser WHERE " + remote.copyCondition()); err != nil {
			return 0, err
		}
	}
	condition := remote.homeCondition() + which
	if c.skipsDuplicates {
		condition += " AND LOWER(userid) NOT IN (SELECT LOWER(userid) FROM main.enduser WHERE " + c.homeCondition() + ")"
	}
	return c.db.execLocked(copyColumns + " FROM peer.enduser WHERE " + condition)
}

// recordPeer mirrors the entry into the table.
func (s *Sim) recordPeer(p *peer) {
	last := ""
	if !p.last.IsZero() {
		last = p.last.UTC().Format(peerTimeLayout)
	}
	if _, err := p.cluster.db.exec(`UPDATE cupsinterclusterpeers SET peeraddress = ?, axlusername = ?, protocol = ?, lastsynctime = NULLIF(?, ''), associatedusers = ?, lasterror = ? WHERE pkid = ?`,
		p.address, p.username, p.protocol, last, p.users, p.lastError, p.pkid); err != nil {
		s.log("%s>%s: recording the peer: %v", p.cluster.id, p.id, err)
	}
}

func (s *Sim) insertPeer(p *peer) error {
	_, err := p.cluster.db.exec("INSERT INTO cupsinterclusterpeers (pkid) VALUES (?)", p.pkid)
	if err == nil {
		p.cluster.peers = append(p.cluster.peers, p)
		s.recordPeer(p)
	}
	return err
}

// removePeer forgets an entry, and the copies it made.
func (s *Sim) removePeer(p *peer) error {
	c := p.cluster
	if _, err := c.db.exec("DELETE FROM cupsinterclusterpeers WHERE pkid = ?", p.pkid); err != nil {
		return err
	}
	return s.forgetPeer(p)
}

func (s *Sim) forgetPeer(p *peer) error {
	c := p.cluster
	for i, other := range c.peers {
		if other == p {
			c.peers = append(c.peers[:i:i], c.peers[i+1:]...)
			break
		}
	}
	remote := s.cluster(p.id)
	if remote == nil {
		return nil
	}
	_, err := c.db.exec("DELETE FROM enduser WHERE " + remote.copyCondition())
	return err
}

// reloadPeers follows what somebody wrote into the peer table by SQL: entries
// appear, vanish or change their address, protocol and user name.
func (s *Sim) reloadPeers(c *cluster, now time.Time) error {
	rows, err := c.db.rows("SELECT pkid, peeraddress, axlusername, protocol FROM cupsinterclusterpeers ORDER BY rowid")
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, row := range rows {
		kept[row[0]] = true
		var p *peer
		for _, known := range c.peers {
			if known.pkid == row[0] {
				p = known
			}
		}
		if p == nil {
			p = &peer{cluster: c, id: row[1], pkid: row[0], mode: ModeOK, interval: c.agent.interval, next: now.Add(firstSyncAfter), fresh: true, progress: now}
			for _, remote := range s.clusters {
				if remote != c && equalNames(remote.publisher().name, row[1]) {
					p.id = remote.id
				}
			}
			c.peers = append(c.peers, p)
		}
		p.address, p.username, p.protocol = row[1], row[2], row[3]
	}
	for _, p := range append([]*peer(nil), c.peers...) {
		if !kept[p.pkid] {
			if err := s.forgetPeer(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func equalNames(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}
