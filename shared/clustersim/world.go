package clustersim

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"
	_ "time/tzdata" // StartTime is local time, also where the machine has no zone files

	"golang.org/x/sync/errgroup"
)

const domain = "example.com"

// Regions of the first clusters; the rest take the zones in turn.
var (
	clusterIDs = []string{"emea", "apac", "amer"}
	timeZones  = []string{"Europe/Berlin", "Asia/Singapore", "America/New_York", "Europe/London", "Asia/Tokyo", "America/Los_Angeles", "Australia/Sydney", "America/Sao_Paulo"}
)

func clusterID(index int) string {
	if index < len(clusterIDs) {
		return clusterIDs[index]
	}
	return fmt.Sprintf("c%02d", index+1)
}

// New builds the world: databases, users, certificates, and all peers with
// their first sync behind them. It opens no sockets.
func New(cfg Config) (*Sim, error) { return newSim(cfg, nil) }

// newSim takes an authority so that many small simulations can share its keys;
// nil makes one.
func newSim(cfg Config, a *authority) (*Sim, error) {
	switch {
	case cfg.Clock == nil:
		return nil, errors.New("a simulated mesh needs a clock")
	case cfg.Clusters < 0 || cfg.Clusters > maxClusters:
		return nil, fmt.Errorf("%d clusters: a mesh has 1 to %d", cfg.Clusters, maxClusters)
	case cfg.Users < 0:
		return nil, fmt.Errorf("%d users per cluster", cfg.Users)
	}
	if cfg.Clusters == 0 {
		cfg.Clusters = 3
	}
	if cfg.Apart < 0 || cfg.Apart >= cfg.Clusters {
		return nil, fmt.Errorf("%d of %d clusters apart: at least one is in the mesh", cfg.Apart, cfg.Clusters)
	}
	if cfg.Users == 0 {
		cfg.Users = 200
	}
	if cfg.Release == "" {
		cfg.Release = "14.0"
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1"
	}
	if cfg.Rate == 0 {
		cfg.Rate = 1
	}
	if cfg.AnswerBudget == 0 {
		cfg.AnswerBudget = defaultAnswerBudget
	}
	if cfg.TrustReplication == 0 {
		cfg.TrustReplication = defaultReplication
	}
	if cfg.ControlCenterRate == 0 {
		cfg.ControlCenterRate = defaultControlRate
	}
	if cfg.LogSeverity == 0 {
		cfg.LogSeverity = severityInformational
	}
	if cfg.LogSeverity < 0 || cfg.LogSeverity > 7 {
		return nil, fmt.Errorf("level %d of Local Syslogs: want 1 to 7", cfg.LogSeverity)
	}
	switch cfg.Names {
	case "", namesFQDN, namesHost, namesIP:
	default:
		return nil, fmt.Errorf("names %q: want fqdn, host or ip", cfg.Names)
	}
	if cfg.Ports != "" && cfg.Ports != portsCisco {
		return nil, fmt.Errorf("ports %q: want cisco, or none for free ones", cfg.Ports)
	}
	version, err := parseRelease(cfg.Release)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(cfg.Listen); err != nil {
		return nil, fmt.Errorf("listening on %q: %w", cfg.Listen, err)
	}
	random := rand.New(rand.NewPCG(cfg.Seed, 0x1c5a))
	s := &Sim{cfg: cfg, authority: a, random: random, names: newPeople(random), pages: &chunks{}, done: make(chan struct{})}
	s.log = func(format string, args ...any) {
		if cfg.Log != nil {
			cfg.Log(fmt.Sprintf(format, args...))
		}
	}
	if err := s.build(version); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sim) build(version release) error {
	now := s.now()
	if s.authority == nil {
		var err error
		if s.authority, err = newAuthority(now); err != nil {
			return err
		}
	}
	for i := range s.cfg.Clusters {
		if err := s.addCluster(i, version, now); err != nil {
			return fmt.Errorf("building cluster %s: %w", clusterID(i), err)
		}
	}
	if err := s.issueFirst(now); err != nil {
		return err
	}
	for _, c := range s.clusters {
		s.publishNames(c)
	}
	// User IDs are drawn one after the other, so that they depend on the seed
	// alone; loading them is independent work.
	var load errgroup.Group
	load.SetLimit(4)
	for _, c := range s.clusters {
		users := s.drawUsers(c, s.cfg.Users)
		users = append(users, s.drawSpare(c, 2*max(1, s.cfg.Users/100), now)...)
		c.loaded = len(users)
		load.Go(func() error {
			c.db.mu.Lock()
			defer c.db.mu.Unlock()
			return c.db.insertUsers(users)
		})
	}
	if err := load.Wait(); err != nil {
		return err
	}
	for _, c := range s.clusters {
		c.homeVersion = 1
	}
	for _, c := range s.clusters {
		s.readParameters(c)
		if err := s.firstPeers(c, now); err != nil {
			return fmt.Errorf("peers of %s: %w", c.id, err)
		}
		s.logFirstSyncs(c)
	}
	for _, c := range s.clusters {
		load.Go(c.db.finishLoad)
	}
	return load.Wait()
}

func (s *Sim) addCluster(index int, version release, now time.Time) error {
	id := clusterID(index)
	zoneName := timeZones[index%len(timeZones)]
	location, err := time.LoadLocation(zoneName)
	if err != nil {
		return err
	}
	db, err := openDatabase()
	if err != nil {
		return err
	}
	c := &cluster{
		id: id, index: index, timeZone: location, zone: newZone(), db: db,
		accounts: map[string]*account{}, believed: map[string]*x509.Certificate{}, distrusted: map[string]*x509.Certificate{}, blocked: map[string]bool{},
		logging: logSettings{severity: s.cfg.LogSeverity, levelBy: "answer"},
	}
	s.clusters = append(s.clusters, c)
	for i := range c.dns {
		c.dns[i].inProcess = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + 2*index + i)}), 53).String()
	}
	c.accounts["read"] = &account{username: "axlreader-" + id, password: newPassword(s.random)}
	c.accounts["write"] = &account{username: "axlwriter-" + id, password: newPassword(s.random), write: true}
	c.accounts["platform"] = &account{username: "osreader-" + id, password: newPassword(s.random)}                   // privilege 0
	c.accounts["platform-write"] = &account{username: "osadmin-" + id, password: newPassword(s.random), write: true} // privilege 1
	// Apart from the mesh's own stream, so that what follows is drawn as ever.
	c.accounts[intercluster] = &account{username: "icsa-" + id, password: newPassword(rand.New(rand.NewPCG(s.cfg.Seed, uint64(0x1c5b+index))))}
	for _, n := range []struct {
		name string
		role role
	}{
		{"imp-" + id + "-pub." + domain, rolePublisher},
		{"imp-" + id + "-sub." + domain, roleSubscriber},
		{"cucm-" + id + "." + domain, roleCUCM},
	} {
		s.addNode(c, n.name, n.role, version, now)
	}
	return s.fillSmallTables(c, now)
}

// addNode makes a node that has been up for some days. Its rows in databases
// and zones are the caller's business.
func (s *Sim) addNode(c *cluster, name string, r role, version release, now time.Time) *node {
	n := &node{
		cluster: c, name: name, fqdn: name, role: r, pkid: newPKID(s.random), nodeid: len(c.nodes) + 2, release: version, haOn: true, haState: haNormal, replication: replicationGood,
		sessions: map[string]*session{}, requests: map[string]int{}, stores: map[string]*trustStore{},
	}
	s.nextIP++
	n.ip = documentationIP(s.nextIP)
	if s.cfg.Ports == portsCisco {
		n.ip = netip.AddrFrom4([4]byte{127, 0, byte((1 + s.nextIP) >> 8), byte(1 + s.nextIP)})
	}
	switch s.cfg.Names {
	case namesHost:
		n.name, _, _ = strings.Cut(name, ".")
	case namesIP:
		n.name = n.ip.String()
	}
	kinds := callManagerServices
	if r != roleCUCM {
		had := len(c.presenceNodes())
		n.id = firstNodeID + c.index*nodeIDsApart + had
		if n.group = had / 2; n.group > 0 {
			n.haOn, n.haState = false, haIdle // until somebody turns it on for two nodes
		}
		kinds = presenceServices
	}
	up := now.Add(-time.Duration(3+s.random.IntN(60))*24*time.Hour - time.Duration(s.random.IntN(86400))*time.Second)
	for i, k := range kinds {
		v := &service{serviceKind: k, activated: !k.inactive, status: started, since: up.Add(time.Duration(i) * 3 * time.Second)}
		if k.inactive {
			v.status, v.since = stopped, time.Time{}
		}
		n.services = append(n.services, v)
	}
	c.nodes = append(c.nodes, n)
	for kind := range n.people {
		n.people[kind].on = n
	}
	return n
}

const (
	namesFQDN  = "fqdn"
	namesHost  = "host"
	namesIP    = "ip"
	portsCisco = "cisco"
)

// documentationIP walks through the ranges that documentation may use.
func documentationIP(n int) netip.Addr {
	if n <= 250 {
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
	}
	return netip.AddrFrom4([4]byte{198, 51, 100, byte((n - 251) % 250)})
}

// issueFirst gives every node a CA-signed RSA tomcat certificate of two years,
// half of it gone, and fills every tomcat-trust.
func (s *Sim) issueFirst(now time.Time) error {
	var work errgroup.Group
	work.SetLimit(4)
	for _, c := range s.clusters {
		for _, n := range c.nodes {
			work.Go(func() error { return s.issueTo(n, now) })
		}
	}
	if err := work.Wait(); err != nil {
		return err
	}
	s.firstTrust()
	return nil
}

func (s *Sim) issueTo(n *node, now time.Time) error {
	cert, err := s.authority.issue(certSpec{
		CN: n.fqdn, SANs: []string{n.fqdn}, KeyType: keyRSA, Issuer: issuerCA,
		NotBefore: now.AddDate(-1, 0, 0).Truncate(time.Second), NotAfter: now.AddDate(1, 0, 0).Truncate(time.Second),
	})
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", n.name, err)
	}
	n.rsa = &cert
	return nil
}

// publishNames tells a cluster's DNS about every node of the mesh.
func (s *Sim) publishNames(c *cluster) {
	for _, other := range s.clusters {
		for _, n := range other.nodes {
			c.zone.set(n.fqdn, n.ip)
		}
	}
}

// newUser is one enduser row to be.
type newUser struct {
	pkid, userid string
	node         int   // enterprisenode.id; 0 = unassigned
	deleted      int64 // deletedtimestamp of one deleted in the directory; 0 = active
	disabled     bool  // not enabled for IM and Presence
}

// drawUsers makes users and spreads them over the cluster's nodes.
func (s *Sim) drawUsers(c *cluster, n int) []newUser {
	nodes := c.presenceNodes()
	out := make([]newUser, n)
	for i := range out {
		out[i] = newUser{pkid: newPKID(s.random), userid: s.names.next(), node: nodes[i%len(nodes)].id}
	}
	return out
}

// drawSpare makes those that every real table has and no count of home users
// may include: users deleted in the directory, and users who are not enabled for
// IM and Presence.
func (s *Sim) drawSpare(c *cluster, n int, now time.Time) []newUser {
	out := s.drawUsers(c, n)
	for i := range out {
		if i%2 == 0 {
			out[i].deleted = now.AddDate(0, 0, -1).Unix()
		} else {
			out[i].disabled, out[i].node = true, 0
		}
	}
	return out
}

// insertUsers adds home users; the database is locked by the caller.
func (d *database) insertUsers(users []newUser) error {
	const together = 16 // rows per statement: three times as fast as one
	first := 0
	if err := d.db.QueryRow("SELECT COALESCE(MAX(rowid), 0) FROM enduser").Scan(&first); err != nil {
		return fmt.Errorf("adding users: %w", err)
	}
	d.memory.wrote("enduser")
	tx, err := d.db.Begin()
	if err != nil {
		return fmt.Errorf("adding users: %w", err)
	}
	for n := together; len(users) > 0; {
		n = min(n, len(users))
		insert, err := tx.Prepare(`WITH new (pkid, userid, address, id, node, deleted, cups) AS (VALUES ` + strings.Repeat("(?, ?, ?, ?, ?, ?, ?), ", n-1) + `(?, ?, ?, ?, ?, ?, ?))
			INSERT INTO enduser (pkid, userid, xcp_user_id, imaddress, xep106imaddress, directoryuri, mailid, status, deletedtimestamp, tkuserprofile, tkassignmentstate, primarynodeid, enablecalendarpresence, enablecups)
			SELECT pkid, userid, id, address, address, address, address, deleted = 0, NULLIF(deleted, 0), 1, node > 0, NULLIF(node, 0), 'f', cups FROM new`)
		if err != nil {
			return errors.Join(fmt.Errorf("adding users: %w", err), tx.Rollback())
		}
		args := make([]any, 0, 7*n)
		for ; len(users) >= n; users = users[n:] {
			args = args[:0]
			for _, u := range users[:n] {
				first++
				args = append(args, u.pkid, u.userid, strings.ToLower(u.userid)+"@"+domain, 1000+first, u.node, u.deleted, boolText(!u.disabled))
			}
			if _, err := insert.Exec(args...); err != nil {
				return errors.Join(fmt.Errorf("adding users: %w", err), tx.Rollback())
			}
		}
		if err := insert.Close(); err != nil {
			return errors.Join(fmt.Errorf("adding users: %w", err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("adding users: %w", err)
	}
	return nil
}

// firstPeers makes the full mesh's entries of one cluster, as if each had synced
// within the last interval.
func (s *Sim) firstPeers(c *cluster, now time.Time) error {
	for _, remote := range s.clusters {
		if remote == c || s.strangers(c, remote) {
			continue
		}
		p := s.newPeer(c, remote)
		offset := time.Duration(s.random.Int64N(int64(p.interval/time.Second)))*time.Second + time.Second
		p.next = now.Truncate(time.Second).Add(offset)
		p.last = p.next.Add(-p.interval)
		n, err := s.copyUsers(c, remote, false, fmt.Sprintf(" AND rowid <= %d", remote.loaded))
		if err != nil {
			return err
		}
		p.users, p.seen = n, remote.homeVersion
		if err := s.insertPeer(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sim) newPeer(c, remote *cluster) *peer {
	login := remote.accounts[intercluster]
	return &peer{
		cluster: c, id: remote.id, pkid: newPKID(s.random), address: remote.publisher().name, username: login.username, password: login.password,
		protocol: "tcp", mode: ModeOK, interval: c.agent.interval,
	}
}

// strangers are two clusters of which one is apart, and neither has an entry for the
// other.
func (s *Sim) strangers(a, b *cluster) bool {
	return (s.apart(a) || s.apart(b)) && a.peerOf(b.id) == nil && b.peerOf(a.id) == nil
}

// apart tells whether a cluster began without peers.
func (s *Sim) apart(c *cluster) bool { return c.index >= s.cfg.Clusters-s.cfg.Apart }

// fillSmallTables writes what one cluster's database knows of nodes, services
// and parameters. The nodes of other clusters follow in listRemoteNodes.
func (s *Sim) fillSmallTables(c *cluster, now time.Time) error {
	statements := &batch{db: c.db}
	statements.add("INSERT INTO processnode (pkid, name, systemnode, description, isactive, nodeid, tknodeusage, tkprocessnoderole, tkssomode) VALUES (?, 'EnterpriseWideData', 't', '', 't', 1, 1, 1, 0)", newPKID(s.random))
	for _, n := range c.nodes {
		s.insertNode(c, n, statements)
	}
	statements.add("INSERT INTO epassyncagentcfg (ccmpublisherip, axluser, syncstatus) VALUES (?, ?, ?)",
		c.nodes[len(c.nodes)-1].name, "axlsync-"+c.id, "Completed "+now.Add(-time.Hour).UTC().Format(peerTimeLayout))
	for i, k := range presenceServices {
		statements.add("INSERT INTO typeservice (enum, nameforcontrol, tktracelevelgroups) VALUES (?, ?, 1)", i+1, k.name)
	}
	for _, name := range []string{"axlreader-" + c.id, "axlwriter-" + c.id, "icsa-" + c.id} {
		statements.add("INSERT INTO applicationuser (pkid, name) VALUES (?, ?)", newPKID(s.random), name)
	}
	// Ids of nodes are drawn when clusters are made, so earlier clusters learn of
	// later ones here, and the other way round.
	for _, other := range s.clusters {
		if other == c || s.strangers(c, other) {
			continue
		}
		for _, n := range other.presenceNodes() {
			statements.add(insertEnterpriseNode, n.id, n.name, nil, boolText(n.role == rolePublisher), nil)
		}
		back := &batch{db: other.db}
		for _, n := range c.presenceNodes() {
			back.add(insertEnterpriseNode, n.id, n.name, nil, boolText(n.role == rolePublisher), nil)
		}
		if back.err != nil {
			return back.err
		}
	}
	return statements.err
}

const insertEnterpriseNode = "INSERT INTO enterprisenode (id, name, subclusterid, isprimary, tkhaserverstate) VALUES (?, ?, ?, ?, ?)"

// insertNode writes one node of the cluster itself.
func (s *Sim) insertNode(c *cluster, n *node, statements *batch) {
	usage, processRole, description := 0, 2, "IM and Presence publisher"
	switch n.role {
	case roleSubscriber:
		usage, description = 1, "IM and Presence subscriber"
	case roleCUCM:
		processRole, description = 1, "Unified CM publisher"
	}
	statements.add("INSERT INTO processnode (pkid, name, mac, systemnode, description, isactive, nodeid, tknodeusage, tkprocessnoderole, tkssomode) VALUES (?, ?, '', 'f', ?, 't', ?, ?, ?, 0)",
		n.pkid, n.name, description, n.nodeid, usage, processRole)
	if n.role == roleCUCM {
		return
	}
	if name := "DefaultCUPSubcluster"; len(n.partners()) == 0 || n.role == rolePublisher {
		if n.group > 0 {
			name = fmt.Sprintf("Subcluster%d", n.group+1)
		}
		statements.add("INSERT INTO enterprisesubcluster (id, name, haenabled) VALUES (?, ?, ?)", n.groupID(), name, boolText(n.haOn))
	}
	statements.add(insertEnterpriseNode, n.id, n.name, n.groupID(), boolText(n.role == rolePublisher), n.haState)
	for i, k := range presenceServices {
		statements.add("INSERT INTO processnodeservice (pkid, servername, tkservice, tracelevel, enable, isactive) VALUES (?, ?, ?, 127, 't', ?)",
			newPKID(s.random), n.name, i+1, boolText(!k.inactive))
	}
	s.insertParameters(n, statements)
}

// insertParameters writes the node's service parameters at their defaults; those
// there are stay.
func (s *Sim) insertParameters(n *node, statements *batch) {
	for _, p := range parameters {
		if !n.release.has(p) {
			continue
		}
		service := 0
		for i, k := range presenceServices {
			if k.name == p.service {
				service = i + 1
			}
		}
		statements.add(`INSERT INTO processconfig (pkid, paramname, paramvalue, tkservice, fkprocessnode) SELECT ?1, ?2, ?3, ?4, ?5
			WHERE NOT EXISTS (SELECT 1 FROM processconfig WHERE paramname = ?2 AND tkservice = ?4 AND fkprocessnode = ?5)`,
			newPKID(s.random), p.name, p.initial, service, n.pkid)
	}
}

func (s *Sim) addParameters(c *cluster, n *node) error {
	if n.role == roleCUCM {
		return nil
	}
	statements := &batch{db: c.db}
	s.insertParameters(n, statements)
	return statements.err
}

func boolText(b bool) string {
	if b {
		return "t"
	}
	return "f"
}

// batch runs statements until the first that fails.
type batch struct {
	db  *database
	err error
}

func (b *batch) add(query string, args ...any) {
	if b.err == nil {
		_, b.err = b.db.exec(query, args...)
	}
}

// identities are a node's certificates in the order they are offered: a client
// that takes both kinds gets RSA.
func (n *node) identities() []tls.Certificate {
	var out []tls.Certificate
	for _, cert := range []*tls.Certificate{n.rsa, n.ecdsa} {
		if cert != nil {
			out = append(out, *cert)
		}
	}
	return out
}
