package clustersim

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// State is what GET /state shows.
type State struct {
	Time     time.Time      `json:"time"`
	Clusters []ClusterState `json:"clusters"`
	// NotModelled counts what was asked for that nobody has modelled.
	NotModelled map[string]int `json:"notModelled,omitempty"`
}

// ClusterState is one cluster. ICSARestarts are those that somebody asked for,
// ICSASelfRestarts ICSA's own. Writes counts requests that may change a
// cluster and were carried out: AXL updates, parameter changes, service control
// and deployment, certificates added.
type ClusterState struct {
	ID               string      `json:"id"`
	Release          string      `json:"release"`
	Users            int         `json:"users"`
	Nodes            []NodeState `json:"nodes"`
	Peers            []PeerState `json:"peers"`
	ICSARestarts     int         `json:"icsaRestarts"`
	ICSASelfRestarts int         `json:"icsaSelfRestarts"`
	RouterRestarts   int         `json:"routerRestarts"`
	Writes           int         `json:"writes"`
	Log              LogState    `json:"log"`
	TrustUnderWay    int         `json:"trustUnderWay"` // certificates that have yet to reach another node
}

// NodeState is one node. LogIns counts user names with passwords that were
// checked, RejectedLogIns those found wrong.
type NodeState struct {
	Name           string            `json:"name"`
	Role           string            `json:"role"`
	Address        string            `json:"address"`
	Release        string            `json:"release"`
	Down           bool              `json:"down"`
	HAState        int               `json:"haState"`
	Services       map[string]string `json:"services"`
	UpTime         map[string]int    `json:"upTime"`
	Requests       map[string]int    `json:"requests"`
	LogIns         int               `json:"logIns"`
	RejectedLogIns int               `json:"rejectedLogIns"`
	// PlatformAddress is the HTTPS port, 443 on a real node. Trust counts the
	// certificates of each trust store that somebody has looked into or put one
	// into.
	PlatformAddress string         `json:"platformAddress"`
	Trust           map[string]int `json:"trust"`
}

// PeerState is one direction: the cluster pulls from ID.
type PeerState struct {
	ID               string     `json:"id"`
	Address          string     `json:"address"`
	Protocol         string     `json:"protocol"`
	Mode             string     `json:"mode"`
	LastSynchronized *time.Time `json:"lastSynchronized"`
	NextSync         time.Time  `json:"nextSync"`
	AssociatedUsers  int        `json:"associatedUsers"`
	LastError        string     `json:"lastError"`
}

// State shows the whole mesh.
func (s *Sim) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	out := State{Time: now.UTC(), Clusters: []ClusterState{}, NotModelled: s.unmodelled.counts()}
	for _, c := range s.clusters {
		cs := ClusterState{
			ID: c.id, Release: c.publisher().release.String(), Users: s.countHome(c), ICSARestarts: c.icsaRestarts, ICSASelfRestarts: c.selfRestarts,
			RouterRestarts: c.routerRestarts, Writes: c.writes, Log: LogState{Lines: c.logLines}, TrustUnderWay: len(c.copying), Nodes: []NodeState{}, Peers: []PeerState{},
		}
		for _, n := range c.nodes {
			ns := NodeState{
				Name: n.name, Role: string(n.role), Address: n.address(), Release: n.release.String(), Down: n.down, HAState: n.haState,
				Services: map[string]string{}, UpTime: map[string]int{}, Requests: map[string]int{}, LogIns: n.logIns, RejectedLogIns: n.rejected,
				PlatformAddress: n.platformAddress(), Trust: map[string]int{},
			}
			for name, store := range n.stores {
				ns.Trust[name] = len(store.prints)
			}
			for _, v := range n.services {
				status, up := v.status, v.upTime(now)
				if n.down {
					status, up = stopped, -1
				}
				ns.Services[v.name], ns.UpTime[v.name] = string(status), up
			}
			for name, count := range n.requests {
				ns.Requests[name] = count
			}
			cs.Nodes = append(cs.Nodes, ns)
		}
		for _, p := range c.peers {
			ps := PeerState{
				ID: p.id, Address: p.address, Protocol: p.protocol, Mode: string(p.mode), NextSync: p.next.UTC(), AssociatedUsers: p.users, LastError: p.lastError,
			}
			if !p.last.IsZero() {
				last := p.last.UTC()
				ps.LastSynchronized = &last
			}
			cs.Peers = append(cs.Peers, ps)
		}
		out.Clusters = append(out.Clusters, cs)
	}
	return out
}

func (s *Sim) countHome(c *cluster) int {
	if c.homeCounted == c.homeVersion {
		return c.homeUsers
	}
	n, err := c.db.number("SELECT COUNT(*) FROM enduser WHERE " + c.homeCondition())
	if err != nil {
		s.log("SIMULATOR FAULT: counting users of %s: %v", c.id, err)
		return -1
	}
	c.homeUsers, c.homeCounted = n, c.homeVersion
	return n
}

// adminError is a refusal of the admin interface: what is wrong with which
// field.
type adminError struct {
	status int
	text   string
}

func (e *adminError) Error() string { return e.text }

func wrong(field, format string, args ...any) error {
	return &adminError{http.StatusBadRequest, field + ": " + fmt.Sprintf(format, args...)}
}

// Admin serves the admin interface: JSON in, 204 out, 400 with {error}.
func (s *Sim) Admin() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/state" && r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(s.State()); err != nil {
				s.log("answering GET /state: %v", err)
			}
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		if err == nil {
			err = s.Do(r.Method, r.URL.Path, body)
		}
		if err == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		status := http.StatusBadRequest
		var refusal *adminError
		if errors.As(err, &refusal) {
			status = refusal.status
		} else if errors.Is(err, errSimulator) {
			status = http.StatusInternalServerError
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}); err != nil {
			s.log("answering %s %s: %v", r.Method, r.URL.Path, err)
		}
	})
}

// errSimulator marks failures that are not the caller's.
var errSimulator = errors.New("the simulator failed")

// Do is the admin interface without HTTP. What is due by now is done first.
func (s *Sim) Do(method, path string, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.closed {
		return fmt.Errorf("%s %s: simulation is closed: %w", method, path, errSimulator)
	}
	s.step(now)
	s.log("admin: %s %s %s", method, path, bytes.TrimSpace(body))
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/faults" && method == http.MethodPost:
		return s.addFault(body)
	case path == "/faults" && method == http.MethodDelete:
		s.faults = nil
		return nil
	case len(parts) == 3 && parts[0] == "clusters" && method == http.MethodPost:
		c := s.cluster(parts[1])
		if c == nil {
			return wrong("cluster", "%q is not in this mesh", parts[1])
		}
		if action := s.action(parts[2]); action != nil {
			return action(c, body, now)
		}
	}
	return &adminError{http.StatusNotFound, method + " " + path + ": no such admin call"}
}

func (s *Sim) action(name string) func(*cluster, []byte, time.Time) error {
	switch name {
	case "peers":
		return s.adminPeers
	case "services":
		return s.adminServices
	case "users":
		return s.adminUsers
	case "parameters":
		return s.adminParameters
	case "credentials":
		return s.adminCredentials
	case "certificates":
		return s.adminCertificates
	case "trust":
		return s.adminTrust
	case "tls":
		return s.adminTLS
	case "dns":
		return s.adminDNS
	case "scheme":
		return s.adminScheme
	case "ha":
		return s.adminHA
	case "nodes":
		return s.adminNodes
	case "reachable":
		return s.adminReachable
	case "log":
		return s.adminLog
	case "restore":
		return s.adminRestore
	}
	return nil
}

// decode is strict: an unknown field, a wrong type or anything after the object
// is an error that names it, and the keys there are.
func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		var mistyped *json.UnmarshalTypeError
		if errors.As(err, &mistyped) && mistyped.Field != "" {
			return wrong(mistyped.Field, "is a %s, wanted %s", mistyped.Value, mistyped.Type)
		}
		return wrong("body", "%v; its keys: %s", err, strings.Join(keys(reflect.TypeOf(into).Elem()), ", "))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return wrong("body", "more than one JSON value")
	}
	return nil
}

// keys are the JSON names of a struct's fields.
func keys(of reflect.Type) (names []string) {
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func (s *Sim) adminPeers(c *cluster, body []byte, now time.Time) error {
	var in struct {
		Peer             string     `json:"peer"`
		Mode             *peerMode  `json:"mode"`
		SelfHeals        *bool      `json:"selfHeals"`
		LastSynchronized *time.Time `json:"lastSynchronized"`
		Protocol         *string    `json:"protocol"`
		Address          *string    `json:"address"`
		Present          *bool      `json:"present"`
		ForceSync        bool       `json:"forceSync"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	remote := s.cluster(in.Peer)
	if remote == nil || remote == c {
		return wrong("peer", "%q is not another cluster of this mesh", in.Peer)
	}
	if in.Mode != nil {
		switch *in.Mode {
		case modeOK, modeStuck, modeSlow, modeDeaf, modeBadCredentials:
		default:
			return wrong("mode", "%q is none of ok, stuck, slow, deaf, badCredentials", *in.Mode)
		}
	}
	if in.Protocol != nil && *in.Protocol != "tcp" && *in.Protocol != "tls" {
		return wrong("protocol", "%q is neither tcp nor tls", *in.Protocol)
	}
	var p *peer
	for _, known := range c.peers {
		if known.id == in.Peer {
			p = known
		}
	}
	switch {
	case in.Present != nil && !*in.Present:
		if p == nil {
			return nil
		}
		return simulatorError(s.removePeer(p))
	case p == nil && in.Present == nil:
		return wrong("peer", "%s has no entry for %s; present: true makes one", c.id, in.Peer)
	case p == nil:
		p = s.newPeer(c, remote)
		p.next = now.Add(firstSyncAfter)
		if err := s.insertPeer(p); err != nil {
			return simulatorError(err)
		}
	}
	if in.Mode != nil && *in.Mode != p.mode {
		switch {
		case *in.Mode == modeSlow:
			p.next = p.next.Add(p.interval)
		case p.next.Before(now): // it stood still beyond its time
			p.next = now.Add(firstSyncAfter)
		}
		if p.mode == modeDeaf {
			p.seen = 0 // what was missed is caught up at the next sync
		}
		p.mode = *in.Mode
	}
	if in.SelfHeals != nil {
		p.selfHeals = *in.SelfHeals
	}
	if in.LastSynchronized != nil {
		p.last = in.LastSynchronized.UTC().Truncate(time.Second)
	}
	if in.Protocol != nil {
		p.protocol = *in.Protocol
	}
	if in.Address != nil {
		p.address = *in.Address
	}
	if in.ForceSync {
		// The button of the peer page, with "Also resync peer's Tomcat certificates".
		for _, n := range remote.presenceNodes() {
			for _, cert := range n.identities() {
				delete(c.distrusted, fingerprint(cert.Leaf))
			}
			s.learn(c, n, now, p.protocol == "tls")
		}
		if p.mode == modeStuck {
			p.mode = modeOK
		}
		p.seen = 0
		p.next = now
	}
	s.recordPeer(p)
	return nil
}

func simulatorError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errSimulator, err)
}

// nodeField finds a node of the cluster by name.
func (c *cluster) nodeField(name string) (*node, error) {
	if n := c.node(name); n != nil {
		return n, nil
	}
	return nil, wrong("node", "%q is not a node of %s", name, c.id)
}

func (s *Sim) adminServices(c *cluster, body []byte, now time.Time) error {
	var in struct {
		Node    string `json:"node"`
		Service string `json:"service"`
		Status  string `json:"status"`
		Crash   bool   `json:"crash"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	if in.Crash {
		if in.Status == "" {
			in.Status = string(stopped)
		}
		if in.Status != string(stopped) {
			return wrong("crash", "goes with the status Stopped only")
		}
	}
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	v := n.service(in.Service)
	if v == nil {
		return wrong("service", "%q is not a service of %s", in.Service, n.name)
	}
	switch status := serviceStatus(in.Status); status {
	case started, stopped, starting, stopping, unknown:
		v.crashed = in.Crash
		if status == v.status {
			return nil
		}
		if v.name == serviceICSA {
			c.selfRestarting = false // whatever ICSA was about to do by itself
		}
		s.settle(n, v, status, now)
		if v.name == serviceRouter && status == stopped {
			for _, x := range n.services {
				if x.xcp() && x.status == started {
					s.settle(n, x, stopped, now)
				}
			}
		}
	case "Restart":
		if _, code := s.control(n, v.name, "Restart", now); code != reasonNone {
			return wrong("status", "Restart refused: %d %s", code, reasonTexts[code])
		}
	case "NotActivated":
		v.activated = false
		s.settle(n, v, stopped, now)
	default:
		return wrong("status", "%q is none of Started, Stopped, Starting, Stopping, Unknown, Restart, NotActivated", in.Status)
	}
	return nil
}

func (s *Sim) adminParameters(c *cluster, body []byte, _ time.Time) error {
	var in struct {
		Node    string `json:"node"`
		Service string `json:"service"`
		Name    string `json:"name"`
		Value   any    `json:"value"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	var value string
	switch v := in.Value.(type) {
	case string:
		value = v
	case float64:
		value = strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		value = boolText(v)
	default:
		return wrong("value", "is missing or no string, number or boolean")
	}
	where, args := "paramname = ? AND fkprocessnode IN (SELECT pkid FROM processnode WHERE systemnode = 'f'", []any{value, in.Name}
	if in.Node != "" {
		n, err := c.nodeField(in.Node)
		if err != nil {
			return err
		}
		where += " AND pkid = ?"
		args = append(args, n.pkid)
	}
	where += ")"
	if in.Service != "" {
		where += " AND tkservice IN (SELECT enum FROM typeservice WHERE nameforcontrol = ?)"
		args = append(args, in.Service)
	}
	rows, err := c.db.exec("UPDATE processconfig SET paramvalue = ? WHERE "+where, args...)
	if err != nil {
		return simulatorError(err)
	}
	if rows == 0 {
		return wrong("name", "no parameter %q of service %q on node %q", in.Name, in.Service, in.Node)
	}
	s.readAgentParameters(c)
	return nil
}

func (s *Sim) adminCredentials(c *cluster, body []byte, _ time.Time) error {
	var in struct {
		Account   string  `json:"account"`
		Username  *string `json:"username"`
		Password  *string `json:"password"`
		Privilege *int    `json:"privilege"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	if in.Username == nil && in.Password == nil && in.Privilege == nil {
		return wrong("password", "is missing")
	}
	if in.Account == "" {
		in.Account = "read"
	}
	read := c.accounts[in.Account]
	if read == nil {
		return wrong("account", "%q is none of read, write, platform, platform-write", in.Account)
	}
	if in.Privilege != nil && (!strings.HasPrefix(in.Account, "platform") || *in.Privilege != 0 && *in.Privilege != 1) {
		return wrong("privilege", "0 or 1, of a platform account")
	}
	changed := *read
	if in.Username != nil {
		if *in.Username == "" {
			return wrong("username", "is empty")
		}
		changed.username = *in.Username
	}
	if in.Password != nil {
		if *in.Password == "" {
			return wrong("password", "is empty")
		}
		changed.password = *in.Password
	}
	if in.Privilege != nil {
		changed.write = *in.Privilege == 1
	}
	c.accounts[in.Account] = &changed
	for _, n := range c.nodes {
		for id, open := range n.sessions {
			if open.account == read {
				delete(n.sessions, id)
			}
		}
	}
	return nil
}

// adminCertificates renews an identity; absent fields stay as they are. A
// multi-server certificate is the same on every node of the cluster. One with
// "served": false is served when Cisco Tomcat has been restarted.
func (s *Sim) adminCertificates(c *cluster, body []byte, now time.Time) error {
	var in struct {
		Node        string     `json:"node"`
		Service     string     `json:"service"`
		KeyType     string     `json:"keyType"`
		NotBefore   *time.Time `json:"notBefore"`
		NotAfter    *time.Time `json:"notAfter"`
		SANs        *[]string  `json:"sans"`
		Issuer      string     `json:"issuer"`
		MultiServer *bool      `json:"multiServer"`
		Served      *bool      `json:"served"`
		Negative    *bool      `json:"negativeSerial"`
		// IntermediateNotAfter has an issuing CA sign that ends then.
		IntermediateNotAfter *time.Time `json:"intermediateNotAfter"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	if in.Served != nil && !*in.Served && in.Service != "" && in.Service != serviceNameTomcat {
		return wrong("served", "only tomcat waits for a restart here")
	}
	if in.Node == "" && in.IntermediateNotAfter != nil {
		in.Node = c.publisher().name
	}
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	if in.KeyType == "" {
		in.KeyType = keyRSA
	}
	if in.Service == "" {
		in.Service = serviceNameTomcat
	}
	if in.KeyType != keyRSA && in.KeyType != keyECDSA {
		return wrong("keyType", "%q is neither RSA nor ECDSA", in.KeyType)
	}
	slot := n.slot(in.Service, in.KeyType)
	if slot == nil {
		return wrong("service", "%s has no %s identity %q", n.name, in.KeyType, in.Service)
	}
	if in.Service != serviceNameTomcat {
		if err := s.issueOthers(n, now); err != nil {
			return simulatorError(err)
		}
	}
	old := *slot
	multi := old != nil && isMultiServer(old)
	spec := certSpec{CN: n.fqdn, SANs: []string{n.fqdn}, KeyType: in.KeyType, Issuer: issuerCA, NotBefore: now.Add(-time.Hour).Truncate(time.Second),
		NotAfter: now.AddDate(1, 0, 0).Truncate(time.Second), Avoid: old}
	if old != nil {
		if string(old.Leaf.RawIssuer) == string(old.Leaf.RawSubject) {
			spec.Issuer = issuerSelf
		}
		spec.SANs, spec.OddSANs = sanTexts(old), true
	}
	if in.MultiServer != nil && *in.MultiServer != multi {
		multi = *in.MultiServer
		spec.SANs = []string{n.fqdn}
		if multi {
			spec.SANs = nil
			for _, other := range c.nodes { // every CUCM and IM&P node
				spec.SANs = append(spec.SANs, other.fqdn)
			}
		}
	}
	holders := []*node{n}
	if multi {
		if in.Service == serviceNameCUP {
			return wrong("multiServer", "cup has no multi-server certificate")
		}
		spec.CN = multiServerName(n.fqdn)
		holders = c.nodes
	}
	switch in.Issuer {
	case "":
	case issuerCA, issuerSelf:
		spec.Issuer = in.Issuer
	default:
		return wrong("issuer", "%q is neither self nor ca", in.Issuer)
	}
	if in.IntermediateNotAfter != nil {
		if in.Issuer == issuerSelf {
			return wrong("intermediateNotAfter", "does not go with issuer self")
		}
		spec.Issuer = issuerCA
		if spec.By, err = s.authority.newIntermediate(*in.IntermediateNotAfter); err != nil {
			return simulatorError(err)
		}
	}
	if in.SANs != nil {
		spec.SANs, spec.OddSANs = *in.SANs, true
	}
	if in.NotAfter != nil {
		spec.NotAfter = *in.NotAfter
		if !spec.NotBefore.Before(spec.NotAfter) { // one that has expired was valid once
			spec.NotBefore = spec.NotAfter.AddDate(-1, 0, 0)
		}
	}
	if in.NotBefore != nil {
		spec.NotBefore = *in.NotBefore
	}
	spec.Negative = in.Negative != nil && *in.Negative
	cert, err := s.authority.issue(spec)
	if err != nil {
		return wrong("sans", "%v", err)
	}
	for _, holder := range holders {
		at := holder.slot(in.Service, in.KeyType)
		switch {
		case at == nil:
		case in.Served != nil && !*in.Served:
			holder.install(in.KeyType, &cert)
		default:
			*at = &cert
			if in.Service == serviceNameTomcat {
				delete(holder.installed, in.KeyType)
			}
		}
	}
	s.trustOwn(n, storeOf(in.Service), &cert, now)
	s.log("%s: certificate renewed: %s", n.name, fingerprint(cert.Leaf))
	return nil
}

// named are the certificates that a text means: one by its fingerprint, or what
// a node serves on 8443 now by the node's name. node says that it is the latter,
// which need not have reached anybody yet.
func (s *Sim) named(text string) (certs []*x509.Certificate, node bool) {
	if cert := s.known(strings.ToLower(text)); cert != nil {
		return []*x509.Certificate{cert}, false
	}
	for _, c := range s.clusters {
		for _, n := range c.nodes {
			if !equalNames(n.name, text) {
				continue
			}
			for _, cert := range []*tls.Certificate{n.rsa, n.ecdsa} {
				if cert != nil {
					certs = append(certs, cert.Leaf)
				}
			}
			return certs, true
		}
	}
	return nil, false
}

func (s *Sim) adminNodes(c *cluster, body []byte, now time.Time) error {
	var in struct {
		Node    string `json:"node"`
		Down    *bool  `json:"down"`
		Release string `json:"release"`
		HAState any    `json:"haState"`
		Add     string `json:"add"`
		Reboot  bool   `json:"reboot"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	if in.Add != "" {
		if in.Node != "" {
			return wrong("add", "does not go with node")
		}
		return s.addSubscriber(c, in.Add, now)
	}
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	version := n.release
	if in.Release != "" {
		if version, err = parseRelease(in.Release); err != nil {
			return wrong("release", "%v", err)
		}
	}
	state := n.haState
	switch v := in.HAState.(type) {
	case nil:
	case float64:
		state = int(v)
	case string:
		known := map[string]int{"idle": haIdle, "normal": haNormal, "backup": haBackup}
		number, err := strconv.Atoi(v)
		if named, ok := known[strings.ToLower(v)]; ok {
			number, err = named, nil
		}
		if err != nil {
			return wrong("haState", "%q is no number and none of idle, normal, backup", v)
		}
		state = number
	default:
		return wrong("haState", "is neither a string nor a number")
	}
	if state != n.haState {
		if _, err := c.db.exec("UPDATE enterprisenode SET tkhaserverstate = ? WHERE id = ?", state, n.id); err != nil {
			return simulatorError(err)
		}
		n.haState = state
	}
	if version != n.release {
		n.release = version
		// Parameters that the new release brings, at their defaults.
		if err := s.addParameters(c, n); err != nil {
			return simulatorError(err)
		}
		s.readAgentParameters(c)
		if !n.down {
			s.boot(n, now)
		}
	}
	if in.Down != nil && *in.Down != n.down {
		n.down = *in.Down
		clear(n.sessions)
		if !n.down {
			s.boot(n, now)
		}
		s.reconcileListener(n)
	}
	if in.Reboot {
		if n.down {
			return wrong("reboot", "%s is down; \"down\": false starts it", n.name)
		}
		s.reboot(n, now)
	}
	return nil
}

func (s *Sim) addSubscriber(c *cluster, name string, now time.Time) error {
	if !strings.HasSuffix(name, "."+domain) || len(name) > 255 || strings.ContainsAny(name, " /'\"") {
		return wrong("add", "%q is not a node name in %s", name, domain)
	}
	for _, other := range s.clusters {
		if other.node(name) != nil {
			return wrong("add", "%q is a node of %s already", name, other.id)
		}
	}
	n := s.addNode(c, name, roleSubscriber, c.publisher().release, now)
	if err := s.issueTo(n, now); err != nil {
		return simulatorError(err)
	}
	s.joinTrust(n, now)
	for _, v := range n.services {
		if v.activated {
			v.since = now
		}
	}
	rows := &batch{db: c.db}
	s.insertNode(c, n, rows)
	for _, other := range s.clusters {
		other.zone.set(n.fqdn, n.ip)
		if other != c {
			s.learn(other, n, now, false)
			b := &batch{db: other.db}
			b.add(insertEnterpriseNode, n.id, n.name, nil, "f", nil)
			rows.err = errors.Join(rows.err, b.err)
		}
	}
	if rows.err != nil {
		return simulatorError(rows.err)
	}
	if s.started {
		if err := s.openBoth(n); err != nil {
			return simulatorError(err)
		}
		s.reconcileListener(n)
	}
	return nil
}

func (s *Sim) adminReachable(c *cluster, body []byte, _ time.Time) error {
	var in struct {
		From  string `json:"from"`
		Value *bool  `json:"value"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	if in.Value == nil {
		return wrong("value", "is missing")
	}
	var from []string
	switch {
	case in.From == "peerkeeper":
		from = []string{in.From}
	case in.From == "all":
		from = []string{"peerkeeper"}
		for _, other := range s.clusters {
			if other != c {
				from = append(from, other.id)
			}
		}
	case s.cluster(in.From) != nil && in.From != c.id:
		from = []string{in.From}
	default:
		return wrong("from", "%q is neither peerkeeper, all nor another cluster", in.From)
	}
	for _, f := range from {
		if *in.Value {
			delete(c.blocked, f)
		} else {
			c.blocked[f] = true
		}
	}
	for _, n := range c.nodes {
		s.reconcileListener(n)
	}
	return nil
}

func (s *Sim) addFault(body []byte) error {
	var in struct {
		Cluster   string    `json:"cluster"`
		Node      string    `json:"node"`
		Operation string    `json:"operation"`
		Kind      faultKind `json:"kind"`
		When      faultTime `json:"when"`
		Times     int       `json:"times"`
		Delay     string    `json:"delay"`
		Text      string    `json:"text"`
		Field     string    `json:"field"`
		Value     string    `json:"value"`
		Bytes     int       `json:"bytes"`
		Rows      int       `json:"rows"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	f := &fault{Cluster: in.Cluster, Node: in.Node, Operation: in.Operation, Kind: in.Kind, When: in.When, Times: in.Times, delay: defaultDelay, text: in.Text, field: in.Field, value: in.Value, rows: in.Rows}
	if in.Cluster != "" && s.cluster(in.Cluster) == nil {
		return wrong("cluster", "%q is not in this mesh", in.Cluster)
	}
	if in.Node != "" {
		found := false
		for _, c := range s.clusters {
			found = found || c.node(in.Node) != nil && (in.Cluster == "" || in.Cluster == c.id)
		}
		if !found {
			return wrong("node", "%q is not in this mesh", in.Node)
		}
	}
	switch in.Kind {
	case fault503, fault401, fault403, fault599, faultSOAP, faultDrop, faultDelay, faultTruncate, faultGarbage, faultOversize, faultNotUTF8:
	case faultField:
		switch {
		case fieldTags[in.Field] == nil:
			return wrong("field", "%q is none of %s", in.Field, strings.Join(slices.Sorted(maps.Keys(fieldTags)), ", "))
		case in.Bytes < 0 || in.Bytes > maxFieldBytes || in.Bytes > 0 && in.Value != "":
			return wrong("bytes", "give a value, or its length up to %d", maxFieldBytes)
		case in.Rows < 0 || in.Rows > maxFieldRows:
			return wrong("rows", "up to %d", maxFieldRows)
		case in.Bytes > 0:
			f.value = strings.Repeat("x", in.Bytes)
		}
	default:
		return wrong("kind", "%q is none of http503, http401, http403, http599, fault, drop, delay, truncate, garbage, oversize, notUTF8, field", in.Kind)
	}
	if in.Field != "" && in.Kind != faultField {
		return wrong("field", "goes with kind field")
	}
	switch in.When {
	case "":
		f.When = before
	case before, after:
	default:
		return wrong("when", "%q is neither before nor after", in.When)
	}
	if in.Times == 0 {
		f.Times = 1
	}
	if in.Delay != "" {
		d, err := time.ParseDuration(in.Delay)
		if err != nil || d < 0 {
			return wrong("delay", "%q is not a duration", in.Delay)
		}
		f.delay = d
	}
	s.faults = append(s.faults, f)
	return nil
}
