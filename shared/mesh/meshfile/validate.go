package meshfile

import (
	"bytes"
	"cmp"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/pemfile"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/yamlfile"
)

// The words that a mesh may use, each in one place.
var (
	protocols      = []string{string(mesh.TCP), string(mesh.TLSProto)}
	topologies     = []string{string(mesh.FullMesh)}
	modes          = []string{string(mesh.Observe), string(mesh.Recover)}
	restartAnswers = []string{"approve", "auto"}
	importAnswers  = []string{mesh.ImportManual, mesh.ImportApprove, mesh.ImportAuto}
	addressSchemes = []string{string(mesh.SchemeUserID), string(mesh.SchemeDirectoryURI)}
	switches       = []string{string(mesh.On), string(mesh.Off)}
	logSources     = []string{string(mesh.LogPull), string(mesh.LogOff)}
	windowKinds    = []string{"allow", "deny"}
	weekdays       = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	evidences      = []string{"verified", "thirdParty", "inferred", "site", "simulator"}

	dialectQueries    = []string{"user_counts", "user_buckets", "user_rows", "user_unassigned", "topology", "parameters", "peers"}
	dialectParameters = []string{"sync_interval", "auto_recovery", "certificate_sync", "address_scheme", "default_domain",
		"sip_proxy_processes", "sip_proxy_spare_processes", "sip_proxy_least_spare_processes"}
)

const (
	standardEdition = "standard"
	dayBegin        = "00:00"
	dayEnd          = "24:00"

	maxDNSServers = 4   // what an IM&P node can be given is two; room for a change-over
	maxDomains    = 500 // bounded, and beyond what anybody has
	maxSyslogFrom = 16  // relays of one cluster: more than two are a mistake
	maxName       = 63
	maxThresholds = 10
	maxRate       = 1e6

	rateCure = "write how many virtual seconds pass per second, above 0 and at most 1000000"
	ovaCure  = "write 15000 or more, or leave ova out if it is not known"
	chapter  = `Cisco's chapter "Configure Intercluster Peers"`
)

// rules judges a mesh whose defaults are filled in, whichever file it came from.
type rules struct {
	m   *mesh.Mesh
	rep *yamlfile.Report
	ids roster
	// good are texts of CAs and names of time zones that were judged before:
	// clusters share them, and they are dear.
	good map[string]bool
}

func validate(m *mesh.Mesh, rep *yamlfile.Report) {
	v := &rules{m: m, rep: rep, ids: rosterOf(m, rep), good: map[string]bool{}}
	v.mesh()
	// Past the 31st a file is wrong as a whole; its every line need not be judged.
	for i := range min(len(m.Clusters), mesh.MaxClusters+1) {
		v.cluster(&m.Clusters[i], yamlfile.Item("clusters", i))
	}
	v.uniqueness()
	v.peers()
	v.policy(&m.Policy)
	v.dialect(m.Dialect)
}

func (v *rules) mesh() {
	m := v.m
	switch {
	case m.Name == "":
		v.rep.Blame("mesh", "missing: the mesh's name", "write a name as in mesh: acme")
	case !mesh.LawfulName(m.Name):
		v.rep.Blame("mesh", yamlfile.Show(m.Name)+" is not a name", "use a to z, 0 to 9 and -, at most 63")
	}
	switch {
	case m.Domain == "":
		v.rep.Blame("domain", "missing: the presence domain that all clusters share", "write it as in domain: example.com")
	case !isHost(m.Domain) || isIP(m.Domain):
		v.rep.Blame("domain", yamlfile.Show(m.Domain)+" is not a domain name", "write it as in example.com")
	}
	v.domains(m)
	if m.Clock != nil {
		if !m.Simulated {
			v.rep.Blame("clock", "only a simulated mesh has a clock of its own", "remove clock, or write simulated: true if this mesh is one of `sim`")
		}
		// The bounds keep virtual times within what JSON can write.
		if year := m.Clock.Epoch.Year(); m.Clock.Epoch.IsZero() {
			v.rep.Blame("clock.epoch", "missing: the instant at which virtual and real time agree", "write it as in 2026-01-31T12:00:00Z")
		} else if year < 2000 || year > 2100 {
			v.rep.Blame("clock.epoch", fmt.Sprintf("the year %d is out of range", year), "write a year from 2000 to 2100")
		}
		if r := m.Clock.Rate; !(r > 0 && r <= maxRate) || math.IsNaN(r) {
			v.rep.Blame("clock.rate", strconv.FormatFloat(r, 'g', -1, 64)+" is not a rate", rateCure)
		}
	}
	switch {
	case len(m.Clusters) == 0:
		v.rep.Blame("clusters", "missing: at least one cluster", "list each as in - id: emea")
	case len(m.Clusters) > mesh.MaxClusters:
		// Not blame: a fault within that cluster does not excuse it.
		v.rep.Fail(yamlfile.Item("clusters", mesh.MaxClusters), fmt.Sprintf("%s is cluster %d of %d: Cisco supports up to %d in a mesh (%s)",
			yamlfile.Show(string(m.Clusters[mesh.MaxClusters].ID)), mesh.MaxClusters+1, len(m.Clusters), mesh.MaxClusters, chapter),
			"split the file into meshes that do not peer with each other")
	}
}

// domains judges the names besides the presence domain.
func (v *rules) domains(m *mesh.Mesh) {
	if len(m.Domains) > maxDomains {
		v.rep.Blame(yamlfile.Item("domains", maxDomains), fmt.Sprintf("%d domains", len(m.Domains)), fmt.Sprintf("name at most %d", maxDomains))
	}
	for i, d := range m.Domains {
		at := yamlfile.Item("domains", i)
		same := func(other string) bool { return mesh.SameName(d, other) }
		switch {
		case !isHost(d) || isIP(d):
			v.rep.Blame(at, yamlfile.Show(d)+" is not a domain name", "write it as in example.com")
		case same(m.Domain):
			v.rep.Blame(at, yamlfile.Show(d)+" is the value of domain already", "name only the others here")
		case slices.ContainsFunc(m.Domains[:i], same):
			v.rep.Blame(at, yamlfile.Show(d)+" stands above already", "remove one")
		}
	}
	if m.DNSDomain != "" && (!isHost(m.DNSDomain) || isIP(m.DNSDomain)) {
		v.rep.Blame("dnsDomain", yamlfile.Show(m.DNSDomain)+" is not a domain name", "write the one in which the nodes' names stand, as in example.com")
	}
	if m.AddressScheme != "" {
		v.choice("addressScheme", string(m.AddressScheme), addressSchemes)
	}
}

func (v *rules) cluster(c *mesh.Cluster, path string) {
	at := func(key string) string { return yamlfile.Child(path, key) }
	switch id := string(c.ID); {
	case id == "":
		v.rep.Blame(at("id"), "missing: the cluster's short name", "write one as in id: emea")
	case !mesh.LawfulID(id):
		v.rep.Blame(at("id"), yamlfile.Show(id)+" is not a cluster id", mesh.LawfulIDs)
	}
	if message, cure := releaseFault(c.Release); message != "" && c.Release != "" {
		v.rep.Blame(at("release"), message, cure)
	}
	v.nodes(c, path)
	for _, a := range mesh.Accounts() {
		v.secret(at(string(a)), a.Secret(c), a == mesh.ReadAccount) // no other is needed
	}
	if c.PlatformWriteCredentials != "" && c.PlatformWriteCredentials == c.PlatformCredentials {
		v.rep.Blame(at("platformWriteCredentials"), "is the secret that reads as well: a rejected password would be tried twice", "name an account of its own, or leave it out and import by hand")
	}
	if c.PlatformWriteCredentials != "" && c.PlatformCredentials == "" {
		v.rep.Blame(at("platformWriteCredentials"), "is there without platformCredentials: what a store holds is read before anything is put into it", "name an account that reads as well, as in platformCredentials: "+string(c.ID)+"/platform")
	}
	v.tls(c, at("tls"))
	v.dns(c, at("dns"))
	v.timeZone(at("timeZone"), c.TimeZone, "missing: the cluster's time zone")
	if message, cure := intervalFault(c.SyncInterval); message != "" {
		v.rep.Blame(at("syncInterval"), message, cure)
	}
	if c.HA != "" {
		v.choice(at("ha"), string(c.HA), switches)
	}
	if c.Log != "" {
		v.choice(at("log"), string(c.Log), logSources)
	}
	v.syslogFrom(c.SyslogFrom, at("syslogFrom"))
	if c.OVA != 0 && c.OVA < mesh.MinOVA {
		v.rep.Blame(at("ova"), ovaMessage(c.OVA), ovaCure)
	}
	switch edition := strings.ToLower(c.Edition); {
	case c.Edition == standardEdition:
	case edition == "be6000" || edition == "be6k":
		v.rep.Blame(at("edition"), "be6000 cannot peer: Cisco does not support intercluster peering on Business Edition 6000 ("+chapter+")",
			"take the cluster out of the mesh, or write standard if it is one")
	default:
		v.rep.Blame(at("edition"), yamlfile.Show(c.Edition)+" is not known here", "write standard")
	}
}

func (v *rules) nodes(c *mesh.Cluster, path string) {
	nodesAt := yamlfile.Child(path, "nodes")
	if len(c.Nodes) == 0 {
		v.rep.Blame(nodesAt, "missing: at least one node", "list them as in - {name: imp-emea-pub.example.com}")
	}
	var names []string
	for i, n := range c.Nodes {
		v.node(n, yamlfile.Item(nodesAt, i))
		names = append(names, string(n.Name))
	}
	if c.CUCM != nil {
		v.node(*c.CUCM, yamlfile.Child(path, "cucm"))
	}
	at := yamlfile.Child(path, "publisher")
	switch {
	case c.Publisher == "":
		v.rep.Blame(at, "missing: the node name of the database publisher", "write one of the nodes' names")
	case len(c.Nodes) == 0 || slices.Contains(names, string(c.Publisher)) || v.rep.SpoiledBelow(nodesAt):
	default:
		cure := "add it to nodes, or write " + yamlfile.OneOf(names)
		if near := plain.Nearest(string(c.Publisher), names); near != "" {
			cure = "did you mean " + near + "?"
		}
		v.rep.Blame(at, yamlfile.Show(string(c.Publisher))+" is not among the cluster's nodes", cure)
	}
}

func (v *rules) node(n mesh.Node, path string) {
	at := yamlfile.Child(path, "name")
	switch name := string(n.Name); {
	case name == "":
		v.rep.Blame(at, "missing: the node's name", "write it exactly as Presence Topology shows it")
		return
	case !isIP(name) && !isHost(name):
		v.rep.Blame(at, yamlfile.Show(name)+" is not a host name, FQDN or IP address", "write it exactly as Presence Topology shows it")
		return
	}
	if n.TLSName != "" && !isHost(n.TLSName) && !isIP(n.TLSName) {
		v.rep.Blame(yamlfile.Child(path, "tlsName"), yamlfile.Show(n.TLSName)+" is not a host name, FQDN or IP address", "write what the node's certificate carries")
	}
	if !isHostPort(n.Address) {
		v.rep.Blame(yamlfile.Child(path, "address"), yamlfile.Show(n.Address)+" is not host:port", "write it as in "+yamlfile.Show(defaultAddress(string(n.Name))))
	}
	if n.PlatformAddress != "" && !isHostPort(n.PlatformAddress) {
		v.rep.Blame(yamlfile.Child(path, "platformAddress"), yamlfile.Show(n.PlatformAddress)+" is not host:port", "write it as in "+yamlfile.Show(defaultPlatformAddress(string(n.Name))))
	}
}

// secret checks the name of a secret. It never repeats what was written:
// somebody may have written the secret itself.
func (v *rules) secret(at, name string, required bool) {
	// The characters that a name in AWS Secrets Manager may have.
	good := func(c rune) bool { return isLetterOrDigit(c) || strings.ContainsRune("/_+=.@-", c) }
	switch {
	case name == "" && required:
		v.rep.Blame(at, "missing: the name of the secret with the account", "write a name as in emea/read, never the password")
	case len(name) > 256 || strings.ContainsFunc(name, func(c rune) bool { return !good(c) }):
		v.rep.Blame(at, "is not the name of a secret", "use letters, digits and /_+=.@-, as in emea/read; never the password")
	}
}

func (v *rules) tls(c *mesh.Cluster, path string) {
	if c.TLS.CA == "" && len(c.TLS.Pins) == 0 && !v.rep.SpoiledBelow(path) {
		v.rep.Blame(path, "neither ca nor pins is given: no server could be verified", "write tls: {ca: FILE}, or pins of the nodes' certificates, or both")
	}
	if c.TLS.CA != "" && !v.good[c.TLS.CA] {
		normal, unread, message, cure := normalCA([]byte(c.TLS.CA))
		switch {
		case message != "":
			v.rep.Blame(yamlfile.Child(path, "ca"), message, cure)
		case normal != c.TLS.CA || len(unread) > 0:
			v.rep.Blame(yamlfile.Child(path, "ca"), "has more in it than certificates", "keep the PEM certificates only")
		default:
			v.good[c.TLS.CA] = true
		}
	}
	seen := map[string]bool{}
	for i, pin := range c.TLS.Pins {
		at := yamlfile.Item(yamlfile.Child(path, "pins"), i)
		if normal, err := mesh.ParseFingerprint(pin); err != nil || pin != normal {
			what := yamlfile.Show(pin) + " is not a pin"
			var bad *mesh.FingerprintError
			if errors.As(err, &bad) && bad.Why != "" && !strings.HasPrefix(bad.Why, "it has") {
				what += " (" + bad.Why + ")"
			}
			v.rep.Blame(at, what, "write sha256: and the 64 hex digits of the certificate's SHA-256 fingerprint")
			continue
		}
		if seen[pin] {
			v.rep.Blame(at, "the same pin stands above", "remove one")
		}
		seen[pin] = true
	}
}

func (v *rules) dns(c *mesh.Cluster, path string) {
	if len(c.DNS) > maxDNSServers {
		v.rep.Blame(yamlfile.Item(path, maxDNSServers), fmt.Sprintf("%d DNS servers", len(c.DNS)), fmt.Sprintf("name at most %d, the primary first", maxDNSServers))
	}
	seen := map[string]bool{}
	for i, server := range c.DNS {
		at := yamlfile.Item(path, i)
		if ap, err := netip.ParseAddrPort(server); err != nil || ap.Port() == 0 || ap.Addr().Zone() != "" || ap.String() != server {
			v.rep.Blame(at, yamlfile.Show(server)+" is not the address of a DNS server", `write IP or IP:port, as in "192.0.2.53" or "[2001:db8::53]:53"`)
			continue
		}
		if seen[server] {
			v.rep.Blame(at, server+" stands above already", "remove one")
		}
		seen[server] = true
	}
}

// syslogFrom judges the addresses of a cluster's relays. Two clusters may share
// one: the lines themselves name the node.
func (v *rules) syslogFrom(addresses []string, path string) {
	if len(addresses) > maxSyslogFrom {
		v.rep.Blame(yamlfile.Item(path, maxSyslogFrom), fmt.Sprintf("%d addresses", len(addresses)), fmt.Sprintf("name at most %d", maxSyslogFrom))
	}
	for i, address := range addresses {
		at := yamlfile.Item(path, i)
		switch {
		case !isIP(address) || normalIP(address) != address:
			v.rep.Blame(at, yamlfile.Show(address)+" is not an IP address", `write the address that the lines come from, as in "192.0.2.14"`)
		case slices.Contains(addresses[:i], address):
			v.rep.Blame(at, address+" stands above already", "remove one")
		}
	}
}

func (v *rules) timeZone(at, zone, missing string) {
	if zone == "" {
		v.rep.Blame(at, missing, "write an IANA name as in Europe/Berlin")
		return
	}
	if v.good[zone] {
		return
	}
	// "Local" would be another zone on every machine.
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		v.rep.Blame(at, yamlfile.Show(zone)+" is not a known time zone", "write an IANA name as in Europe/Berlin")
		return
	}
	v.good[zone] = true
}

// uniqueness judges what no two clusters may share.
func (v *rules) uniqueness() {
	type place struct{ path, what string }
	ids, names, addresses, platforms := map[mesh.ClusterID]place{}, map[string]place{}, map[string]place{}, map[string]place{}
	said := func(p place) string {
		if line := v.rep.Line(p.path); line > 0 {
			return fmt.Sprintf("%s on line %d", p.what, line)
		}
		return p.what
	}
	type dialled struct {
		path string
		node mesh.Node
		cucm bool
	}
	for i, c := range v.m.Clusters {
		path := yamlfile.Item("clusters", i)
		if first, twice := ids[c.ID]; twice {
			v.rep.Blame(yamlfile.Child(path, "id"), yamlfile.Show(string(c.ID))+" is "+said(first)+" already", "give every cluster an id of its own")
		} else if c.ID != "" {
			ids[c.ID] = place{yamlfile.Child(path, "id"), "a cluster"}
		}
		var nodes []dialled
		for k, n := range c.Nodes {
			nodes = append(nodes, dialled{yamlfile.Item(yamlfile.Child(path, "nodes"), k), n, false})
		}
		if c.CUCM != nil {
			nodes = append(nodes, dialled{yamlfile.Child(path, "cucm"), *c.CUCM, true})
		}
		for _, d := range nodes {
			if d.node.Name == "" {
				continue
			}
			owner := place{yamlfile.Child(d.path, "name"), "a node of " + cmp.Or(string(c.ID), "a cluster")}
			if d.cucm {
				owner.what = "the CUCM of " + cmp.Or(string(c.ID), "a cluster")
			}
			name := strings.ToLower(string(d.node.Name))
			first, twice := names[name]
			switch {
			case twice && d.cucm && strings.HasPrefix(first.what, "the CUCM"):
				continue // clusters may be served by one CUCM cluster
			case twice:
				v.rep.Blame(yamlfile.Child(d.path, "name"), yamlfile.Show(string(d.node.Name))+" is "+said(first)+" already", "node names are unique in a mesh, capitals aside")
				continue
			}
			names[name] = owner
			// A server answers for itself only: two names at one address would be one server seen twice.
			address := strings.ToLower(d.node.Address)
			if first, twice := addresses[address]; twice && address != "" {
				v.rep.Blame(yamlfile.Child(d.path, "address"), yamlfile.Show(d.node.Address)+" is the address of "+said(first)+" already", "give every node its own address")
				continue
			}
			addresses[address] = place{yamlfile.Child(d.path, "address"), owner.what}
			// A node's own address may be its platform's as well: 8443 answers both.
			platform := strings.ToLower(d.node.PlatformAddress)
			if first, twice := platforms[platform]; twice && platform != "" {
				v.rep.Blame(yamlfile.Child(d.path, "platformAddress"), yamlfile.Show(d.node.PlatformAddress)+" is the platform address of "+said(first)+" already", "give every node its own address")
				continue
			}
			platforms[platform] = place{yamlfile.Child(d.path, "platformAddress"), owner.what}
		}
	}
}

// roster is the clusters that a pair may name.
type roster struct {
	known map[mesh.ClusterID]bool
	ids   []string // those that are offered
	// unread: a cluster has an id that could not be read, so none can be called
	// unknown.
	unread bool
}

func rosterOf(m *mesh.Mesh, rep *yamlfile.Report) roster {
	r := roster{known: map[mesh.ClusterID]bool{}, unread: rep.Spoiled("clusters")}
	for i, c := range m.Clusters {
		path := yamlfile.Item("clusters", i)
		switch {
		case c.ID == "":
			r.unread = r.unread || rep.Spoiled(path) || rep.Spoiled(yamlfile.Child(path, "id"))
		case !r.known[c.ID]:
			r.known[c.ID] = true
			if len(r.ids) < 2*mesh.MaxClusters {
				r.ids = append(r.ids, string(c.ID))
			}
		}
	}
	return r
}

// fault is what is wrong with a cluster that a pair names; "" if it is known, or
// if nobody can tell.
func (r roster) fault(id mesh.ClusterID) (message, cure string) {
	if r.unread || r.known[id] {
		return "", ""
	}
	cure = "write a cluster's id"
	if len(r.ids) > 0 && len(r.ids) <= 10 {
		cure = "write " + yamlfile.OneOf(r.ids)
	}
	if near := plain.Nearest(string(id), r.ids); near != "" {
		cure = "did you mean " + near + "?"
	}
	return "no cluster has the id " + yamlfile.Show(string(id)), cure
}

func (v *rules) peers() {
	if t := v.m.Topology; t != "" {
		v.choice("topology", string(t), topologies)
	}
	if n := len(v.ids.known); v.m.Topology == mesh.FullMesh && n <= mesh.MaxClusters && len(v.m.Peers) != n*(n-1) {
		v.rep.Blame("peers", fmt.Sprintf("topology is full-mesh, and %d of %d peers are there", len(v.m.Peers), n*(n-1)), writeAgain)
	}
	seen := map[mesh.PeerID]bool{}
	for i, p := range v.m.Peers {
		path := yamlfile.Item("peers", i)
		for _, end := range []struct {
			key string
			id  mesh.ClusterID
		}{{"id.from", p.ID.From}, {"id.to", p.ID.To}} {
			if message, cure := v.ids.fault(end.id); message != "" {
				v.rep.Blame(yamlfile.Child(path, end.key), message, cure)
			}
		}
		switch {
		case p.ID.From == p.ID.To:
			v.rep.Blame(yamlfile.Child(path, "id"), "a cluster is its own peer", "name two different clusters")
		case seen[p.ID]:
			v.rep.Blame(yamlfile.Child(path, "id"), yamlfile.Show(p.ID.String())+" is listed already", "remove one")
		}
		seen[p.ID] = true
		v.choice(yamlfile.Child(path, "protocol"), string(p.Protocol), protocols)
	}
}

func (v *rules) choice(at, value string, words []string) {
	if !slices.Contains(words, value) {
		v.rep.Blame(at, yamlfile.Show(value)+" is not known here", "write "+yamlfile.OneOf(words))
	}
}

func (v *rules) policy(p *mesh.Policy) {
	v.choice("policy.mode", string(p.Mode), modes)
	v.choice("policy.restartForOnePeer", p.RestartForOnePeer, restartAnswers)
	v.choice("policy.importCertificates", p.ImportCertificates, importAnswers)
	if wait := p.WaitForPeople.D(); wait < 0 || wait > 24*time.Hour {
		v.rep.Blame("policy.waitForPeople", inMinutes(wait)+" is no time to wait for a force sync by hand", "write 0m (do not wait) to 24h")
	}
	if _, ok := p.StartsCommanded(); !ok && p.StartCommanded != "" && p.StartCommanded != mesh.StartApprove {
		v.rep.Blame("policy.startCommanded", yamlfile.Show(p.StartCommanded)+" is no time after which a stopped service is started", "write approve, auto, or a duration as in 8h")
	}
	for i, w := range p.Windows {
		v.window(w, yamlfile.Item("policy.windows", i))
	}
	for _, limit := range []struct {
		key, forbid string
		value       int
	}{
		{"restartsPerClusterPerHour", "restarts write mode: observe", p.Limits.RestartsPerClusterPerHour},
		{"restartsPerMeshPerHour", "restarts write mode: observe", p.Limits.RestartsPerMeshPerHour},
		{"importsPerMeshPerHour", "imports write importCertificates: manual", p.Limits.ImportsPerMeshPerHour},
	} {
		if limit.value < 1 {
			v.rep.Blame(yamlfile.Child("policy.limits", limit.key), fmt.Sprintf("%d is not a limit", limit.value), "write 1 or more; to forbid "+limit.forbid)
		}
	}
	if n := p.Limits.ImportsPerMeshPerHour; n > mesh.MostImportsPerHour {
		v.rep.Blame("policy.limits.importsPerMeshPerHour", fmt.Sprintf("%d an hour are more than are counted", n), fmt.Sprintf("write 1 to %d", mesh.MostImportsPerHour))
	}
	v.thresholds(p.Thresholds.CertificateDays, "policy.thresholds.certificateDays")
	v.webhook(p.Notify.Webhook, "policy.notify.webhook")
	if strings.ContainsFunc(p.Notify.File, unicode.IsControl) {
		v.rep.Blame("policy.notify.file", "is not a file's path", "write a path")
	}
}

func (v *rules) thresholds(days []int, path string) {
	const cure = "write them from many to few, as in [28, 14, 7]"
	if len(days) == 0 || len(days) > maxThresholds {
		v.rep.Blame(path, fmt.Sprintf("has %d values", len(days)), fmt.Sprintf("write 1 to %d numbers of days, as in [28, 14, 7]", maxThresholds))
		return
	}
	for i, d := range days {
		switch {
		case d < 1:
			v.rep.Blame(yamlfile.Item(path, i), fmt.Sprintf("%d days is no warning", d), "write 1 or more")
		case i > 0 && d >= days[i-1] && days[i-1] > 0:
			v.rep.Blame(yamlfile.Item(path, i), fmt.Sprintf("%d does not come after %d", d, days[i-1]), cure)
		}
	}
}

// webhook checks where alarms go: the body names clusters and users, so it
// must be encrypted unless it stays on this machine. The address is not
// repeated in an error, as many hold a token.
func (v *rules) webhook(address, at string) {
	if address == "" {
		return
	}
	const cure = "write an https:// address, or http://localhost or http://127.0.0.1"
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		v.rep.Blame(at, "is not a web address", cure)
	case u.User != nil:
		v.rep.Blame(at, "has a user name or password in it", "take it out: mesh.yaml holds no secrets")
	case u.Scheme == "https":
	case u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1"):
	default:
		v.rep.Blame(at, "is not encrypted", cure)
	}
}

func (v *rules) window(w mesh.Window, path string) {
	at := func(key string) string { return yamlfile.Child(path, key) }
	if w.Kind == "" {
		v.rep.Blame(at("kind"), "missing: whether acting is allowed or denied", "write kind: allow or kind: deny")
	} else {
		v.choice(at("kind"), w.Kind, windowKinds)
	}
	faults := false
	for i, day := range w.Days {
		switch {
		case !slices.Contains(weekdays, day):
			v.rep.Blame(yamlfile.Item(at("days"), i), yamlfile.Show(day)+" is not a day", "write "+yamlfile.OneOf(weekdays))
			faults = true
		case slices.Contains(w.Days[:i], day):
			v.rep.Blame(yamlfile.Item(at("days"), i), day+" stands twice", "remove one")
			faults = true
		}
	}
	if !faults && !slices.IsSortedFunc(w.Days, byWeekday) {
		v.rep.Blame(at("days"), "the days are out of order", "write them from mon to sun")
	}
	good := true
	for _, end := range []struct{ key, value, last string }{{"from", w.From, "23:59"}, {"to", w.To, dayEnd}} {
		if _, err := time.Parse("15:04", end.value); (err == nil && len(end.value) == 5) || (end.value == dayEnd && end.last == dayEnd) {
			continue
		}
		good = false
		cure := `write it as in "22:00", from "00:00" to "` + end.last + `"`
		if end.value == "" {
			v.rep.Blame(at(end.key), "missing: "+end.key+" is needed with the other end", cure+"; leave both out for whole days")
		} else {
			v.rep.Blame(at(end.key), yamlfile.Show(end.value)+" is not a time of day", cure)
		}
	}
	if good && w.From == w.To {
		v.rep.Blame(at("to"), "the window ends when it begins", "for whole days leave from and to out")
	}
	v.timeZone(at("timeZone"), w.TimeZone, "missing: in which time zone the window is meant")
}

func (v *rules) dialect(d *mesh.Dialect) {
	if d == nil {
		return
	}
	if len(d.Queries) == 0 && len(d.Parameters) == 0 && !v.rep.SpoiledBelow("dialect") {
		v.rep.Blame("dialect", "has neither queries nor parameters", "remove it, or write what this site knows")
	}
	for _, name := range dialectQueries {
		q, ok := d.Queries[name]
		if !ok {
			continue
		}
		path := "dialect.queries." + name
		if q.Evidence == "" {
			v.rep.Blame(yamlfile.Child(path, "evidence"), "missing: how sure the query is", "write "+yamlfile.OneOf(evidences))
		} else {
			v.choice(yamlfile.Child(path, "evidence"), q.Evidence, evidences)
		}
		if message, cure := queryFault(q.SQL); message != "" {
			v.rep.Blame(yamlfile.Child(path, "sql"), message, cure)
		}
	}
	for name := range d.Queries {
		v.choice("dialect.queries."+yamlfile.ShowKey(name), name, dialectQueries)
	}
	for name, words := range d.Parameters {
		path := "dialect.parameters." + yamlfile.ShowKey(name)
		v.choice(path, name, dialectParameters)
		if len(words) == 0 {
			v.rep.Blame(path, "names no parameter", "list the names that this site's clusters use")
		}
		for i, word := range words {
			switch {
			case strings.TrimSpace(word) == "" || strings.ContainsFunc(word, unicode.IsControl):
				v.rep.Blame(yamlfile.Item(path, i), yamlfile.Show(word)+" is not a name", "write the parameter's name")
			case slices.Contains(words[:i], word):
				v.rep.Blame(yamlfile.Item(path, i), yamlfile.Show(word)+" stands twice", "remove one")
			}
		}
	}
}

// queryFault keeps a dialect to reading: it says what makes sql anything but
// one SELECT. Accounts should be read-only too; this is not the only fence.
func queryFault(sql string) (message, cure string) {
	words := strings.Fields(strings.ToUpper(sql))
	switch {
	case len(words) == 0:
		return "missing: the statement", "write one SELECT statement"
	case len(sql) > 8<<10:
		return "is longer than 8 KiB", "shorten it"
	case strings.Contains(sql, ";"):
		return "has a ; in it", "write one SELECT statement without ;"
	case words[0] != "SELECT":
		return "does not begin with SELECT", "write one SELECT statement: a dialect only reads"
	case slices.Contains(words, "INTO"): // SELECT … INTO TEMP makes a table
		return "has INTO in it", "write a SELECT that only reads"
	}
	return "", ""
}

func intervalFault(d mesh.Duration) (message, cure string) {
	const low, high = int(mesh.MinSyncInterval / time.Minute), int(mesh.MaxSyncInterval / time.Minute)
	cure = fmt.Sprintf("write %dm to %dm", low, high)
	minutes := inMinutes(d.D())
	switch {
	case d.D() < mesh.MinSyncInterval:
		return minutes + " is below Cisco's range", cure
	case d.D() > mesh.MaxSyncInterval:
		return minutes + " is above Cisco's range", cure
	case d.D()%time.Minute != 0:
		return minutes + " is not in whole minutes", cure
	}
	return "", ""
}

// inMinutes writes a duration as it stands in the file.
func inMinutes(d time.Duration) string { return strconv.FormatFloat(d.Minutes(), 'f', -1, 64) + "m" }

func ovaMessage(users int) string {
	return fmt.Sprintf("%d users is too small: peering needs at least the 15,000-user OVA on every cluster (%s)", users, chapter)
}

func releaseFault(s string) (message, cure string) {
	odd := func(c rune) bool { return !isLetterOrDigit(c) && !strings.ContainsRune(".()-", c) }
	if s == "" || s[0] < '1' || s[0] > '9' || len(s) > 32 || strings.ContainsFunc(s, odd) {
		return yamlfile.Show(s) + " is not a release", `write it as in "14.0.1SU3"`
	}
	return "", ""
}

// normalPin writes a pin the one way, whatever form of a fingerprint it has. What
// is none stays as it is, to be reported there.
func normalPin(pin string) string {
	if normal, err := mesh.ParseFingerprint(pin); err == nil {
		return normal
	}
	return pin
}

// normalDNS adds port 53 to a bare address.
func normalDNS(server string) string {
	if ap, err := netip.ParseAddrPort(server); err == nil {
		return ap.String()
	}
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")); err == nil {
		return netip.AddrPortFrom(ip, 53).String()
	}
	return server
}

// normalIP writes an address the one way: an IPv4 address that came as IPv6 is
// what a socket may show, and is the same sender. What is none stays as it is.
func normalIP(address string) string {
	if ip, err := netip.ParseAddr(address); err == nil {
		return ip.Unmap().String()
	}
	return address
}

// normalLog gives the default its one form.
func normalLog(log mesh.LogSource) mesh.LogSource {
	if log == mesh.LogPull {
		return ""
	}
	return log
}

// normalDays puts the days in the week's order. Words that are no days, and
// days that stand twice, stay where they are, to be reported there.
func normalDays(days []string) []string {
	if len(days) == 0 {
		return nil
	}
	for i, d := range days {
		if !slices.Contains(weekdays, d) || slices.Contains(days[:i], d) {
			return days
		}
	}
	return slices.SortedFunc(slices.Values(days), byWeekday)
}

func byWeekday(a, b string) int {
	return cmp.Compare(slices.Index(weekdays, a), slices.Index(weekdays, b))
}

// normalCA keeps the certificates of a PEM file and nothing else, so that a
// comment does not change the mesh. A private key is refused, since the mesh is
// copied to where keys must not go, and so is a block that may hold a CA and does
// not come whole: a CA that is lost without a word is looked for in vain when it
// is needed. unread are those that nobody can use, with their lines; one of them
// is no reason to do without the others.
func normalCA(data []byte) (normal string, unread []string, message, cure string) {
	var out bytes.Buffer
	blocks := pemfile.Read(data)
	for _, b := range blocks {
		switch {
		case b.Kind == pemfile.PrivateKey:
			return "", nil, "holds a private key", b.Cure
		case b.Kind == pemfile.NotPEM:
			return "", nil, b.Problem, b.Cure
		}
	}
	had := map[string]bool{}
	for _, b := range blocks {
		switch b.Kind {
		case pemfile.Certificate:
			if had[string(b.DER)] {
				continue
			}
			had[string(b.DER)] = true
			if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: b.DER}); err != nil {
				return "", nil, "holds a certificate that cannot be written (" + err.Error() + ")", "export the CA's certificate again, as PEM"
			}
		case pemfile.Unparsable:
			unread = append(unread, fmt.Sprintf("line %d: a certificate that cannot be read (%s)", b.Line, b.Problem))
		case pemfile.Other:
			unread = append(unread, fmt.Sprintf("line %d: %s", b.Line, b.Problem))
		default:
			return "", nil, fmt.Sprintf("holds, from line %d, %s", b.Line, b.Problem), b.Cure
		}
	}
	if out.Len() > 0 {
		return out.String(), unread, "", ""
	}
	first := blocks[0]
	if first.Kind == pemfile.Unparsable {
		message = "holds a certificate that cannot be read (" + first.Problem + ")"
		if len(blocks) > 1 {
			message = fmt.Sprintf("holds no certificate that can be read; the first, in line %d: %s", first.Line, first.Problem)
		}
		return "", nil, message, "export the CA's certificate again, as PEM"
	}
	return "", nil, fmt.Sprintf("holds no certificate: in line %d begins %s", first.Line, first.Problem), first.Cure
}

func isLetterOrDigit(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isIP(s string) bool {
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Zone() == ""
}

// isHost says whether s is a host name or FQDN without the final dot.
func isHost(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		odd := func(c rune) bool { return !isLetterOrDigit(c) && c != '-' }
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, odd) {
			return false
		}
	}
	// All digits at the end is a mistyped IP address, such as 192.0.2.300.
	return strings.ContainsFunc(labels[len(labels)-1], func(c rune) bool { return c < '0' || c > '9' })
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !isIP(host) && !isHost(host) {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

func defaultAddress(name string) string { return net.JoinHostPort(name, "8443") }

func defaultPlatformAddress(name string) string { return net.JoinHostPort(name, "443") }

// nodeNames gives every node the name that its certificate must carry, where
// that is another than its own, and the publisher the spelling that it has among
// the nodes.
func nodeNames(m *mesh.Mesh) {
	domain := cmp.Or(m.DNSDomain, m.Domain)
	fill := func(n *mesh.Node) {
		if name := string(n.Name); n.TLSName == "" && name != "" && domain != "" && !strings.Contains(name, ".") && !isIP(name) {
			n.TLSName = name + "." + domain
		}
	}
	for i := range m.Clusters {
		c := &m.Clusters[i]
		for k := range c.Nodes {
			fill(&c.Nodes[k])
		}
		if c.CUCM != nil {
			fill(c.CUCM)
		}
		if n, ok := c.Node(c.Publisher); ok && c.Publisher != "" {
			c.Publisher = n.Name
		}
	}
}

// platformAddresses fills in where the platform's interfaces are, for a cluster
// that has an account for them.
func platformAddresses(c *mesh.Cluster) {
	if c.PlatformCredentials == "" {
		return
	}
	fill := func(n *mesh.Node) {
		if n.PlatformAddress == "" && n.Name != "" {
			n.PlatformAddress = defaultPlatformAddress(string(n.Name))
		}
	}
	for i := range c.Nodes {
		fill(&c.Nodes[i])
	}
	if c.CUCM != nil {
		fill(c.CUCM)
	}
}
