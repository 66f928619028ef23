package cluster

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/axl"
	"peerkeeper/shared/controlcenter"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

// asked are the services whose status every tick reads.
var asked = [...]string{peer.ICSA, peer.SyncAgent, peer.AXL, peer.XCPRouter, peer.SIPProxy, peer.SRM}

// Unobserved is the observation of a cluster that could not be opened: everything
// Unknown, for one reason.
func Unobserved(cl *mesh.Cluster, why peer.Reason, detail string, now time.Time) peer.Observation {
	o := peer.Observation{Cluster: cl.ID, At: now, Access: peer.Unknown[bool](why, detail), Nodes: map[mesh.NodeName]peer.Node{}}
	for _, n := range cl.Nodes {
		o.Nodes[n.Name] = unknownNode(why, detail)
	}
	o.Topology = peer.Unknown[[]mesh.NodeName](why, detail)
	o.Users = peer.Unknown[map[mesh.NodeName]int](why, detail)
	o.Entries = peer.Unknown[[]peer.Entry](why, detail)
	o.SyncAgent = peer.Unknown[string](why, detail)
	o.Skew = peer.Unknown[time.Duration](why, "")
	return o
}

func unknownNode(why peer.Reason, detail string) peer.Node {
	return peer.Node{
		Answers:    peer.Unknown[bool](why, detail),
		Services:   peer.Unknown[map[string]peer.Service](why, detail),
		Version:    peer.Unknown[string](why, detail),
		HAState:    peer.Unknown[int](why, detail),
		HAEnabled:  peer.Unknown[bool](why, detail),
		Parameters: peer.Unknown[map[string]string](why, detail),
	}
}

// Observe looks at the cluster once. It sends one request to each node, and
// five more to the publisher. Until one is let in they go one after the other,
// and if the account is rejected nothing else is sent. prev says what was there
// before. What the cluster sent is cut to Bounds.
func (c *Client) Observe(ctx context.Context, prev peer.Observation, now time.Time) peer.Observation {
	o := c.observe(ctx, prev, now)
	bounded(&o)
	return o
}

func (c *Client) observe(ctx context.Context, prev peer.Observation, now time.Time) peer.Observation {
	o := Unobserved(c.cluster, peer.NotChecked, "", now)
	order := slices.Clone(c.cluster.Nodes)
	slices.SortStableFunc(order, func(a, b mesh.Node) int {
		return boolInt(b.Name == c.cluster.Publisher) - boolInt(a.Name == c.cluster.Publisher)
	})
	for _, n := range order {
		c.nodes[n.Name].skew.forget()
	}
	if pub := c.publisher(); pub.axl.AXLVersion() == c.axlVersion {
		pub.axl.Use(prev.AXLVersion)
	}

	// Log in, node by node until one lets us in. A publisher that answers in
	// some other way may still have its AXL.
	admitted, db := false, database{}
	rest := order
	var first error
	for len(rest) > 0 && !admitted {
		n := rest[0]
		rest = rest[1:]
		seen, err := c.services(ctx, c.nodes[n.Name], now, asked[:]...)
		o.Nodes[n.Name] = seen
		if soap.KindOf(err) == soap.AccountRejected {
			return c.shutOut(o, peer.AccountRejected, c.refusal(n.Name), now)
		}
		admitted = err == nil || soap.KindOf(err) == soap.Forbidden
		if first == nil {
			first = err
		}
		switch {
		case n.Name != c.cluster.Publisher || admitted:
		case gone(err):
			db = unreadDatabase(seen.Services.Why(), fmt.Sprintf("%s; a subscriber's copy may be old and is not asked", notAsked(n.Name, err)))
		default:
			if db = c.database(ctx, prev, seen, now); db.rejected {
				return c.shutOut(o, peer.AccountRejected, c.refusal(n.Name), now)
			}
			admitted = db.answered
		}
	}
	if !admitted {
		why, detail := reasonOf(first), explain(first)
		if db.users.Reason != "" && !gone(first) {
			why, detail = db.users.Why(), db.users.Detail
		}
		return c.shutOut(o, why, detail, now)
	}
	o.Access = peer.Known(true, now)

	var mu sync.Mutex
	var each gang
	for _, n := range rest {
		each.Go(func() {
			seen, err := c.services(ctx, c.nodes[n.Name], now, asked[:]...)
			mu.Lock()
			defer mu.Unlock()
			o.Nodes[n.Name] = seen
			if soap.KindOf(err) == soap.AccountRejected {
				o.Access = peer.Unknown[bool](peer.AccountRejected, c.refusal(n.Name))
			}
		})
	}
	if db.users.Knowledge == "" {
		each.Go(func() {
			mu.Lock()
			pub := o.Nodes[c.cluster.Publisher]
			mu.Unlock()
			db = c.database(ctx, prev, pub, now)
		})
	}
	each.Wait()

	if v := c.publisher().axl.AXLVersion(); db.answered && v != c.axlVersion {
		o.AXLVersion = v
	}
	o.Users, o.UsersBasis, o.Entries, o.Topology, o.SyncAgent = db.users, db.basis, db.entries, db.topology, db.syncAgent
	for name, n := range o.Nodes {
		if v, ok := db.ha[name]; ok {
			n.HAState = peer.Known(v, now)
		}
		if on, ok := db.enabled[name]; ok {
			n.HAEnabled = peer.Known(on, now)
		} else if db.haEnabled.Why() == peer.QueryRefused {
			n.HAEnabled = db.haEnabled
		}
		switch p, ok := db.params.Value[name]; {
		case db.params.Known() && ok:
			n.Parameters = peer.Known(p, now)
		case !db.params.Known():
			n.Parameters = peer.Unknown[map[string]string](db.params.Why(), db.params.Detail)
		}
		if name == db.versionOf {
			n.Version = db.version
		}
		o.Nodes[name] = n
	}
	switch {
	case db.rejected:
		o.Access = peer.Unknown[bool](peer.AccountRejected, c.refusal(c.cluster.Publisher))
	case o.Access.Known() && db.users.Why() == peer.Forbidden:
		// It is let in and may not read: the account's trouble, to be said as such.
		o.Access = peer.Unknown[bool](peer.Forbidden, fmt.Sprintf("AXL on %s answers HTTP 403 to the account in secret %s: %s", c.cluster.Publisher, c.cluster.Credentials, db.users.Detail))
	}
	for _, n := range order {
		if skew, ok := c.nodes[n.Name].skew.get(); ok {
			o.Skew = peer.Known(skew.Round(time.Second), now)
			break
		}
	}
	return o
}

func (c *Client) refusal(n mesh.NodeName) string {
	return fmt.Sprintf("%s refuses the account in secret %s", n, c.account.Secret(c.cluster))
}

// shutOut is the observation of a cluster that let us in nowhere. Which nodes
// gave an answer stays known: a refusal is one.
func (c *Client) shutOut(o peer.Observation, why peer.Reason, detail string, now time.Time) peer.Observation {
	blind := Unobserved(c.cluster, why, detail, now)
	for name, n := range o.Nodes {
		b := blind.Nodes[name]
		if n.Answers.Why() != peer.NotChecked || n.Answers.Known() {
			b.Answers = n.Answers
		}
		blind.Nodes[name] = b
	}
	return blind
}

// gone reports whether a node did not answer, or is not one that we may speak
// to: asking it anything else would end the same way.
func gone(err error) bool {
	switch soap.KindOf(err) {
	case soap.Unreachable, soap.Timeout, soap.Cancelled, soap.Untrusted, soap.TLSRefused:
		return true
	}
	return false
}

// notAsked says why the publisher was asked nothing else.
func notAsked(n mesh.NodeName, err error) string {
	switch soap.KindOf(err) {
	case soap.Untrusted, soap.TLSRefused:
		return explain(err)
	}
	return fmt.Sprintf("the publisher %s did not answer", n)
}

// gang runs functions side by side. A panic in one of them comes out of Wait,
// in the caller's goroutine, where it can be recovered.
type gang struct {
	wg    sync.WaitGroup
	mu    sync.Mutex
	panic any
}

func (g *gang) Go(f func()) {
	g.wg.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.panic = fmt.Sprintf("%v\n%s", r, debug.Stack())
			}
		}()
		f()
	})
}

func (g *gang) Wait() {
	g.wg.Wait()
	if g.panic != nil {
		panic(g.panic)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// services asks one node for services of it. It tells a node that gave no
// connection (Answers false) from one that answered something else.
func (c *Client) services(ctx context.Context, n *node, now time.Time, names ...string) (peer.Node, error) {
	got, err := n.control.Services(ctx, names...)
	if err != nil {
		seen := unknownNode(reasonOf(err), explain(err))
		seen.Answers = answered(err, now)
		return seen, err
	}
	services := make(map[string]peer.Service, len(got))
	cut := ""
	for _, s := range got {
		if utf8.RuneCountInString(s.Reason) > reasonRunes {
			cut = addCut(cut, "reason")
		}
		services[s.Name] = serviceOf(s)
	}
	seen := unknownNode(peer.NotChecked, "")
	seen.Answers = peer.Known(true, now)
	seen.Services = peer.Known(services, now)
	seen.Services.Cut = cut
	seen.Remarks = n.skew.remarks()
	return seen, nil
}

// serviceOf is a service as it is recorded. Why it runs is no question.
func serviceOf(s controlcenter.Service) peer.Service {
	out := peer.Service{Status: string(s.Status), UpTime: -1}
	if up, known := s.Up(); known {
		out.UpTime = up
	}
	if s.Status != controlcenter.Started && s.ReasonCode != controlcenter.ReasonNone {
		out.Code = s.ReasonCode
	}
	return out
}

// answered says whether the node gave a connection: a refusal is an answer, be
// it of TLS, silence before the first byte is none, and a node that takes a
// request and then hangs is undecided.
func answered(err error, now time.Time) peer.Fact[bool] {
	var e *soap.Error
	if !errors.As(err, &e) {
		return peer.Unknown[bool](peer.UnreadableAnswer, err.Error())
	}
	switch e.Kind {
	case soap.Unreachable:
		return peer.Known(false, now)
	case soap.Timeout:
		if !e.Sent {
			return peer.Known(false, now)
		}
		return peer.Unknown[bool](peer.TimedOut, e.Error())
	case soap.Cancelled:
		return peer.Unknown[bool](peer.NotChecked, e.Error()) // we gave up, not the node
	}
	return peer.Known(true, now)
}

// turnLasts is peersync's period: one node's version is read in each.
const turnLasts = 5 * time.Minute

// database is what the publisher's AXL told in one tick.
type database struct {
	users     peer.Fact[map[mesh.NodeName]int]
	basis     peer.Basis
	entries   peer.Fact[[]peer.Entry]
	topology  peer.Fact[[]mesh.NodeName]
	ha        map[mesh.NodeName]int
	enabled   map[mesh.NodeName]bool // high availability, of those whose group tells
	groups    map[mesh.NodeName]string
	haEnabled peer.Fact[bool] // when it was refused to be told
	syncAgent peer.Fact[string]
	params    peer.Fact[map[mesh.NodeName]map[string]string]
	version   peer.Fact[string]
	versionOf mesh.NodeName
	rejected  bool
	answered  bool // some question was
}

func unreadDatabase(why peer.Reason, detail string) database {
	return database{
		users:     peer.Unknown[map[mesh.NodeName]int](why, detail),
		entries:   peer.Unknown[[]peer.Entry](why, detail),
		topology:  peer.Unknown[[]mesh.NodeName](why, detail),
		syncAgent: peer.Unknown[string](why, detail),
		params:    peer.Unknown[map[mesh.NodeName]map[string]string](why, detail),
		version:   peer.Unknown[string](why, detail),
	}
}

// database asks the publisher's AXL its five questions, one after the other.
// A rejected log-in, or AXL not answering at all, ends the questions.
func (c *Client) database(ctx context.Context, prev peer.Observation, pub peer.Node, now time.Time) database {
	db := unreadDatabase(peer.NotChecked, "")
	steps := []func() error{
		func() error { return c.readUsers(ctx, &db, prev, now) },
		func() error { return c.readEntries(ctx, &db, now) },
		func() error { return c.readTopology(ctx, &db, prev, now) },
		func() error { return c.readParameters(ctx, &db, now) },
		func() error { return c.readVersion(ctx, &db, prev, pub, now) },
	}
	for _, step := range steps {
		err := step()
		switch soap.KindOf(err) {
		case soap.AccountRejected:
			db.rejected = true
			fillUnlooked(&db, unreadDatabase(peer.AccountRejected, err.Error()))
			return db
		case soap.None, soap.Fault:
			db.answered = true
		}
		switch soap.KindOf(err) {
		case soap.VersionRefused, soap.Throttled, soap.Unreachable, soap.TLSRefused, soap.ConnectionLost, soap.Timeout, soap.Cancelled, soap.Untrusted, soap.NotFound, soap.Forbidden, soap.MemoryFull:
			// The rest would meet the same; MemoryFull and a 503 that lasted
			// mean that the ICSAs need the server more than we do.
			db.answered = db.answered || soap.KindOf(err) == soap.Forbidden
			rest := unreadDatabase(reasonOf(err), explain(err))
			fillUnlooked(&db, rest)
			return db
		}
	}
	return db
}

func fillUnlooked(db *database, rest database) {
	if db.users.Why() == peer.NotChecked {
		db.users = rest.users
	}
	if db.entries.Why() == peer.NotChecked {
		db.entries = rest.entries
	}
	if db.topology.Why() == peer.NotChecked {
		db.topology = rest.topology
	}
	if db.syncAgent.Why() == peer.NotChecked {
		db.syncAgent = rest.syncAgent
	}
	if db.params.Why() == peer.NotChecked {
		db.params = rest.params
	}
}

// read runs a purpose's query and gives each row to the callback. What the
// callback or the wire refuses becomes the fact's reason through wrong.
func (c *Client) read(ctx context.Context, name string, row func(v [][]byte) error) (p purpose, rows int, err error) {
	p, ok := c.dialect.query(name)
	if !ok {
		return p, 0, &Refused{Reason: peer.NoDialect, Message: fmt.Sprintf("no query for %s: %s", name, p.why)}
	}
	rows, err = c.publisher().axl.Query(ctx, p.sql, p.columns, row)
	return p, rows, err
}

// unread is the fact of a read that failed: Partial if rows had come already.
func unread[T any](v T, rows int, err error, now time.Time) peer.Fact[T] {
	switch {
	case rows > 0 && errors.Is(err, axl.ErrNotUTF8):
		return peer.Partial(v, now, peer.UnreadableAnswer, err.Error())
	case rows > 0:
		return peer.Partial(v, now, peer.RowsIncomplete, err.Error())
	}
	return peer.Unknown[T](reasonOf(err), explain(err))
}

// count reads a number of users; there are no negative ones.
func count(b []byte) (int, error) {
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no number of users", clip(string(b), 20))
	}
	return n, nil
}

func (c *Client) readUsers(ctx context.Context, db *database, prev peer.Observation, now time.Time) error {
	counts := map[mesh.NodeName]int{}
	p, rows, err := c.read(ctx, purposeCounts, func(v [][]byte) error {
		n, err := count(v[1])
		if err != nil {
			return fmt.Errorf("users of node %q: %w", clip(string(v[0]), hostName), err)
		}
		counts[mesh.NodeName(v[0])] += n
		return nil
	})
	db.basis = p.basis()
	if err != nil {
		db.users = unread(counts, rows, err, now)
		return err
	}
	if before, _ := prev.Users.Get(); rows == 0 && len(before) > 0 {
		// Not one row where there were users: more likely half an answer, a
		// database that is being rebuilt, or a right taken away, than nobody.
		db.users = peer.Partial(counts, now, peer.RowsIncomplete, "no user at all was listed, where there had been some")
		return nil
	}
	db.users = peer.Known(counts, now)
	return nil
}

func (c *Client) readEntries(ctx context.Context, db *database, now time.Time) error {
	var entries []peer.Entry
	_, rows, err := c.read(ctx, purposePeers, func(v [][]byte) error {
		e := peer.Entry{Address: string(v[0]), Protocol: mesh.Protocol(strings.ToLower(string(v[1]))), HasClock: v[2] != nil, HasError: v[4] != nil, Error: string(v[4])}
		if s := string(v[2]); s != "" {
			t, err := parseTime(s)
			if err != nil {
				return fmt.Errorf("last_sync of %q: %w", clip(string(v[0]), hostName), err)
			}
			e.LastSync = t
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		db.entries = unread(entries, rows, err, now)
		return ignoreNoDialect(err)
	}
	db.entries = peer.Known(entries, now)
	return nil
}

func ignoreNoDialect(err error) error {
	var r *Refused
	if errors.As(err, &r) {
		return nil
	}
	return err
}

// Instants outside these years are no last sync, and JSON takes none beyond 9999.
const firstYear, lastYear = 1970, 2999

// parseTime reads the forms in which a dialect may give an instant: RFC 3339,
// Informix's DATETIME text taken as UTC, or Unix seconds.
func parseTime(s string) (time.Time, error) {
	t, err := time.Time{}, error(nil)
	if n, notSeconds := strconv.ParseInt(s, 10, 64); notSeconds == nil {
		t = time.Unix(n, 0).UTC()
	} else if t, err = time.Parse(time.RFC3339, s); err != nil {
		t, err = time.Parse("2006-01-02 15:04:05.999999", s)
	}
	t = t.UTC()
	if err == nil && t.Year() >= firstYear && t.Year() <= lastYear {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is no instant: want RFC 3339, YYYY-MM-DD HH:MM:SS in UTC, or Unix seconds", clip(s, 40))
}

// spelled is a node's name as mesh.yaml spells it: the database may differ in
// case.
func (c *Client) spelled(name []byte) mesh.NodeName {
	if n, ok := c.cluster.Node(mesh.NodeName(name)); ok {
		return n.Name
	}
	return mesh.NodeName(name)
}

// refusedFor is how long a database that has refused to tell whether high
// availability is on is not asked again: it will refuse until it is upgraded.
const refusedFor = 24 * time.Hour

func (c *Client) readTopology(ctx context.Context, db *database, prev peer.Observation, now time.Time) error {
	asked := purposeTopology
	db.haEnabled = prev.Nodes[c.cluster.Publisher].HAEnabled
	if _, ok := c.dialect.query(purposeTopologyHA); ok && !(db.haEnabled.Why() == peer.QueryRefused && !db.haEnabled.Known() && now.Sub(db.haEnabled.At).Abs() < refusedFor) {
		asked = purposeTopologyHA
	}
	err := c.readTopologyBy(ctx, asked, db, now)
	if asked == purposeTopologyHA && soap.KindOf(err) == soap.Fault {
		db.haEnabled = peer.Unknown[bool](peer.QueryRefused, err.Error())
		db.haEnabled.At = now
		return c.readTopologyBy(ctx, purposeTopology, db, now)
	}
	return err
}

func (c *Client) readTopologyBy(ctx context.Context, purpose string, db *database, now time.Time) error {
	var nodes []mesh.NodeName
	ha, enabled, groups := map[mesh.NodeName]int{}, map[mesh.NodeName]bool{}, map[mesh.NodeName]string{}
	agent := ""
	_, rows, err := c.read(ctx, purpose, func(v [][]byte) error {
		name := c.spelled(v[0])
		nodes = append(nodes, name)
		if n, err := strconv.Atoi(string(v[2])); err == nil {
			ha[name] = n
		}
		if len(v[3]) > 0 {
			agent = string(v[3])
		}
		if len(v) > 5 { // the query without them has four columns
			if on, ok := peer.SwitchOn(string(v[4])); ok {
				enabled[name] = on
			}
			if len(v[5]) > 0 {
				groups[name] = clip(string(v[5]), hostName)
			}
		}
		return nil
	})
	if err != nil {
		db.topology = unread(nodes, rows, err, now)
		db.syncAgent = peer.Unknown[string](reasonOf(err), err.Error())
		return err
	}
	db.topology, db.ha, db.enabled, db.groups = peer.Known(nodes, now), ha, enabled, groups
	db.syncAgent = peer.Unknown[string](peer.NotObservable, "epassyncagentcfg has no status")
	if agent != "" {
		db.syncAgent = peer.Known(agent, now)
	}
	return nil
}

func (c *Client) readParameters(ctx context.Context, db *database, now time.Time) error {
	params := map[mesh.NodeName]map[string]string{}
	_, rows, err := c.read(ctx, purposeParameters, func(v [][]byte) error {
		what := c.dialect.paramPurpose(string(v[1]))
		if what == "" {
			return nil
		}
		name := c.spelled(v[0])
		if params[name] == nil {
			params[name] = map[string]string{}
		}
		params[name][what] = string(v[2])
		return nil
	})
	if err != nil {
		db.params = unread(params, rows, err, now)
		return err
	}
	db.params = peer.Known(params, now)
	return nil
}

// readVersion asks for one node's release: the publisher's if it restarted
// since we last looked, for a release only changes by a restart; else the
// nodes' in turn. Never the one that is unknown for longest, for one that
// cannot be read would keep the others from being.
func (c *Client) readVersion(ctx context.Context, db *database, prev peer.Observation, pub peer.Node, now time.Time) error {
	turn := now.Unix() / int64(turnLasts/time.Second)
	db.versionOf = c.cluster.Nodes[int(turn%int64(len(c.cluster.Nodes)))].Name
	if peer.NodeRestarted(prev.Nodes[c.cluster.Publisher].Services, pub.Services) {
		db.versionOf = c.cluster.Publisher
	}
	v, err := c.release(ctx, c.nodes[db.versionOf])
	if err != nil {
		db.version = peer.Unknown[string](reasonOf(err), err.Error())
		return err
	}
	db.version = peer.Known(v, now)
	return nil
}

// release asks for one node's release: the publisher's AXL, or, where IM and
// Presence does not know that question (no transcript shows that it does), the
// node's own Control Center, or an operation of IM and Presence's own.
func (c *Client) release(ctx context.Context, n *node) (string, error) {
	if !c.noVersion.Load() {
		v, err := c.publisher().axl.Version(ctx, string(n.Name))
		if err == nil || soap.KindOf(err) != soap.Fault {
			return v, err
		}
		c.noVersion.Store(true)
	}
	products, err := n.control.Products(ctx)
	if err == nil && products.Version != "" {
		return products.Version, nil
	}
	if err != nil && soap.KindOf(err) != soap.Fault {
		return "", err
	}
	return n.axl.ProductVersion(ctx)
}
