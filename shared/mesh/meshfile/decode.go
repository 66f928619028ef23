package meshfile

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/yamlfile"
)

// decoder makes a mesh of the values of one file.
type decoder struct {
	rep  *yamlfile.Report
	file string
}

// format is how mesh.yaml and a dialect file are written.
var format = yamlfile.Format{
	Holds: "mesh", Begin: "mesh: NAME", MaxBytes: maxYAML, Aliases: true,
	Honest:         yamlfile.Size{What: "a mesh of 30 clusters", KiB: 30, Lines: 800, Words: 4000},
	InsteadOfMerge: "write the keys out, or put what clusters share under defaults",
}

func interval(v yamlfile.Value) (mesh.Duration, bool) {
	length, ok := span(v)
	if !ok {
		return 0, false
	}
	if message, cure := intervalFault(length); message != "" {
		v.Fail(message, cure)
		return 0, false
	}
	return length, true
}

func span(v yamlfile.Value) (mesh.Duration, bool) {
	if v.Kind() == yamlfile.Number {
		n, _ := v.Number()
		v.Fail(n+" has no unit", "write minutes as in "+n+"m")
		return 0, false
	}
	s, ok := v.Text()
	if !ok {
		return 0, false
	}
	length, err := time.ParseDuration(s)
	if err != nil {
		v.Fail(yamlfile.Show(s)+" is not a duration", "write minutes as in 30m")
		return 0, false
	}
	return mesh.Duration(length), true
}

// defaults are what clusters take when they do not say otherwise.
type defaults struct {
	release      string
	syncInterval mesh.Duration
	autoRecovery bool
}

// decodeMesh reads the tree of mesh.yaml and fills in every default.
func decodeMesh(rep *yamlfile.Report, file string, root yamlfile.Value, read func(string) ([]byte, error)) *mesh.Mesh {
	d := &decoder{rep: rep, file: file}
	m := &mesh.Mesh{
		Clusters: []mesh.Cluster{},
		Peers:    []mesh.Peer{},
		Policy: mesh.Policy{
			Mode:               mesh.Observe,
			Limits:             mesh.Limits{RestartsPerClusterPerHour: 1, RestartsPerMeshPerHour: 3, ImportsPerMeshPerHour: 30},
			RestartForOnePeer:  "approve",
			ImportCertificates: mesh.ImportApprove,
			Thresholds:         mesh.Thresholds{CertificateDays: []int{28, 14, 7}},
		},
	}
	// Cisco's defaults: interval 30 min (the chapter), auto recovery enabled
	// (release notes 12.5(1)).
	def := defaults{syncInterval: mesh.Duration(mesh.MinSyncInterval), autoRecovery: true}
	var clusters, peers yamlfile.Value
	root.Object(yamlfile.Keys{
		"mesh":      yamlfile.Into(&m.Name),
		"simulated": func(v yamlfile.Value) { m.Simulated = v.Bool() },
		"clock":     func(v yamlfile.Value) { m.Clock = d.clock(v) },
		"domain":    yamlfile.Into(&m.Domain),
		"domains":   func(v yamlfile.Value) { m.Domains = v.Texts() },
		"dnsDomain": yamlfile.Into(&m.DNSDomain),
		"addressScheme": func(v yamlfile.Value) {
			m.AddressScheme = mesh.AddressScheme(v.Choice(addressSchemes, ""))
		},
		"defaults": func(v yamlfile.Value) {
			v.Object(yamlfile.Keys{
				"release": func(v yamlfile.Value) {
					if s, ok := v.Text(); ok {
						if message, cure := releaseFault(s); message != "" {
							v.Fail(message, cure)
						} else {
							def.release = s
						}
					}
				},
				"syncInterval": func(v yamlfile.Value) {
					if i, ok := interval(v); ok {
						def.syncInterval = i
					}
				},
				"autoRecovery": func(v yamlfile.Value) { def.autoRecovery = v.Bool() },
			})
		},
		// Both wait for what they lean on, wherever it stands in the file.
		"clusters": func(v yamlfile.Value) { clusters = v },
		"peers":    func(v yamlfile.Value) { peers = v },
		"policy":   func(v yamlfile.Value) { d.policy(v, &m.Policy) },
		"dialect":  func(v yamlfile.Value) { m.Dialect = d.dialectFile(v, read) },
	})
	if clusters.There() {
		files := caFiles{read: read, seen: map[string]caFile{}}
		for _, v := range clusters.Items() {
			m.Clusters = append(m.Clusters, d.cluster(v, def, &files))
		}
	}
	nodeNames(m)
	switch {
	case peers.There():
		d.peers(peers, m)
	case len(m.Clusters) > 1:
		rep.Blame("peers", "missing: which clusters peer with which", "write peers: {topology: full-mesh, protocol: tcp}, or list pairs")
	}
	return m
}

func (d *decoder) clock(v yamlfile.Value) *mesh.Clock {
	c := &mesh.Clock{}
	v.Object(yamlfile.Keys{
		"epoch": func(v yamlfile.Value) {
			s, ok := v.Text()
			if !ok {
				return
			}
			t, err := time.Parse(time.RFC3339Nano, s)
			if err != nil {
				v.Fail(yamlfile.Show(s)+" is not an instant", "write it as in 2026-01-31T12:00:00Z")
				return
			}
			c.Epoch = t.UTC()
		},
		"rate": func(v yamlfile.Value) {
			s, ok := v.Number()
			if !ok {
				return
			}
			f, err := strconv.ParseFloat(s, 64)
			if err != nil {
				v.Fail(s+" is not a rate", rateCure)
				return
			}
			c.Rate = f
		},
	})
	return c
}

func (d *decoder) cluster(v yamlfile.Value, def defaults, files *caFiles) mesh.Cluster {
	c := mesh.Cluster{
		Release: def.release, TimeZone: "UTC", SyncInterval: def.syncInterval, AutoRecovery: def.autoRecovery,
		Edition: standardEdition, Nodes: []mesh.Node{},
	}
	known := yamlfile.Keys{
		"id":        yamlfile.Into(&c.ID),
		"release":   yamlfile.Into(&c.Release),
		"publisher": yamlfile.Into(&c.Publisher),
		"cucm": func(v yamlfile.Value) {
			cucm := d.node(v)
			c.CUCM = &cucm
		},
		"nodes": func(v yamlfile.Value) {
			for _, v := range v.Items() {
				c.Nodes = append(c.Nodes, d.node(v))
			}
		},
		"tls": func(v yamlfile.Value) {
			v.Object(yamlfile.Keys{
				"ca": func(v yamlfile.Value) { c.TLS.CA, c.TLS.Unread = d.caFile(v, files) },
				"pins": func(v yamlfile.Value) {
					c.TLS.Pins = v.Texts()
					for i, pin := range c.TLS.Pins {
						c.TLS.Pins[i] = normalPin(pin)
					}
				},
			})
		},
		"dns": func(v yamlfile.Value) {
			c.DNS = v.Texts()
			for i, server := range c.DNS {
				c.DNS[i] = normalDNS(server)
			}
		},
		"timeZone": yamlfile.Into(&c.TimeZone),
		"syncInterval": func(v yamlfile.Value) {
			if i, ok := interval(v); ok {
				c.SyncInterval = i
			}
		},
		"autoRecovery": func(v yamlfile.Value) { c.AutoRecovery = v.Bool() },
		"ova": func(v yamlfile.Value) {
			if users, ok := v.Int(); ok {
				c.OVA = users
				if users == 0 { // 0 means "not declared" in a mesh, so it is refused here
					v.Fail(ovaMessage(0), ovaCure)
				}
			}
		},
		"edition":          yamlfile.Into(&c.Edition),
		"sipFederation":    func(v yamlfile.Value) { c.SIPFederation = v.Bool() },
		"dnsSurvivesSplit": func(v yamlfile.Value) { c.DNSSurvivesSplit = v.Bool() },
		"ha": func(v yamlfile.Value) {
			c.HA = mesh.Switch(v.Choice(switches, ""))
		},
		"log": func(v yamlfile.Value) {
			c.Log = normalLog(mesh.LogSource(v.Choice(logSources, "")))
		},
		"syslogFrom": func(v yamlfile.Value) {
			c.SyslogFrom = v.Texts()
			for i, address := range c.SyslogFrom {
				c.SyslogFrom[i] = normalIP(address)
			}
		},
	}
	for _, a := range mesh.Accounts() {
		known[string(a)] = yamlfile.Into(a.Of(&c))
	}
	v.Object(known)
	platformAddresses(&c)
	return c
}

func (d *decoder) node(v yamlfile.Value) mesh.Node {
	var out mesh.Node
	given := false
	v.Object(yamlfile.Keys{
		"name": yamlfile.Into(&out.Name),
		"address": func(v yamlfile.Value) {
			given = true
			yamlfile.Into(&out.Address)(v)
		},
		"platformAddress": yamlfile.Into(&out.PlatformAddress),
		"tlsName":         yamlfile.Into(&out.TLSName),
	})
	name := yamlfile.Child(v.Path, "name")
	if out.PlatformAddress == "" { // it will be made of the name, if at all
		d.rep.Place(yamlfile.Child(v.Path, "platformAddress"), name)
	}
	if !given && out.Name != "" {
		out.Address = defaultAddress(string(out.Name))
		// An address made of a faulty name is that name's fault.
		d.rep.Place(yamlfile.Child(v.Path, "address"), name)
	}
	return out
}

// peers reads the pairs and makes two directed peers of each.
func (d *decoder) peers(v yamlfile.Value, m *mesh.Mesh) {
	protocol := string(mesh.TCP)
	var topology, pairs, except yamlfile.Value
	v.Object(yamlfile.Keys{
		"topology": func(v yamlfile.Value) {
			topology = v
			v.Choice(topologies, "")
		},
		"pairs":    func(v yamlfile.Value) { pairs = v },
		"protocol": func(v yamlfile.Value) { protocol = v.Choice(protocols, protocol) },
		"except":   func(v yamlfile.Value) { except = v },
	})
	exceptions := d.exceptions(except)
	add := func(p pair, fromAt, toAt string) {
		own := mesh.Protocol(protocol)
		if e, ok := exceptions[p.sorted()]; ok {
			own = cmp.Or(e.protocol, own)
		}
		path := yamlfile.Item("peers", len(m.Peers))
		d.rep.Place(path+".id.from", fromAt)
		d.rep.Place(path+".id.to", toAt)
		m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: p[0], To: p[1]}, Protocol: own})
	}
	both := func(p pair, at, bt string) {
		add(p, at, bt)
		add(pair{p[1], p[0]}, bt, at)
	}
	if topology.There() && pairs.There() { // what else is wrong with the pairs is told all the same
		topology.Fail("topology and pairs are both given", "keep topology: full-mesh for all pairs, or list pairs")
	}
	switch {
	case pairs.There():
		lines := map[pair]int{}
		for _, v := range pairs.Items() {
			p, ok := d.pair(v)
			if !ok {
				continue
			}
			if first, twice := lines[p.sorted()]; twice {
				v.Fail(fmt.Sprintf("%s and %s are a pair already, on line %d", p[0], p[1], first), "remove this one: each pair stands for both directions")
				continue
			}
			lines[p.sorted()] = d.rep.Line(v.Path)
			both(p, yamlfile.Item(v.Path, 0), yamlfile.Item(v.Path, 1))
		}
	case topology.There():
		m.Topology = mesh.FullMesh
		ids := m.IDs()
		ids = ids[:min(len(ids), mesh.MaxClusters)] // the 31st is refused elsewhere
		for i, from := range ids {
			for _, to := range ids[i+1:] {
				if from != to && from != "" && to != "" { // both are faults of the clusters, reported there
					both(pair{from, to}, topology.Path, topology.Path)
				}
			}
		}
		m.Peers = dropTwice(m.Peers)
	default:
		d.rep.Blame(v.Path, "neither topology nor pairs is given", "write topology: full-mesh, or pairs: [[emea, apac]]")
	}
	if topology.There() {
		pairs = yamlfile.Value{} // with it every two clusters are a pair
	}
	d.exceptionsOf(exceptions, m, pairs)
}

// pair is two clusters, as the file names them.
type pair [2]mesh.ClusterID

func (p pair) sorted() pair { return pair{min(p[0], p[1]), max(p[0], p[1])} }

// pair reads [emea, apac].
func (d *decoder) pair(v yamlfile.Value) (pair, bool) {
	ends := v.Texts()
	switch {
	case v.Kind() != yamlfile.List || d.rep.SpoiledBelow(v.Path):
	case len(ends) != 2:
		v.Fail(fmt.Sprintf("a pair names two clusters, here are %d", len(ends)), "write it as in [emea, apac]")
	case ends[0] == ends[1]:
		v.Fail(yamlfile.Show(ends[0])+" is paired with itself", "name two different clusters")
	default:
		return pair{mesh.ClusterID(ends[0]), mesh.ClusterID(ends[1])}, true
	}
	return pair{}, false
}

// exception is what one pair has otherwise than the rest.
type exception struct {
	named    pair   // in the order of the file
	path     string // of the named pair
	protocol mesh.Protocol
}

// exceptions reads {pair: [emea, apac], protocol: tls}, by the sorted pair. One that
// says what the rest has is lawful.
func (d *decoder) exceptions(list yamlfile.Value) map[pair]exception {
	out := map[pair]exception{}
	for _, v := range list.Items() {
		e, read := exception{path: yamlfile.Child(v.Path, "pair")}, false
		v.Object(yamlfile.Keys{
			"pair":     func(v yamlfile.Value) { e.named, read = d.pair(v) },
			"protocol": func(v yamlfile.Value) { e.protocol = mesh.Protocol(v.Choice(protocols, "")) },
		})
		if !read {
			d.rep.Blame(e.path, "missing: which pair is meant", "write it as in pair: [emea, apac]")
		}
		if e.protocol == "" {
			d.rep.Blame(yamlfile.Child(v.Path, "protocol"), "missing: what the pair has otherwise than the rest", "write "+yamlfile.OneOf(protocols))
		}
		if first, twice := out[e.named.sorted()]; read && twice {
			d.rep.Fail(e.path, fmt.Sprintf("%s and %s have an exception already, on line %d", e.named[0], e.named[1], d.rep.Line(first.path)), "keep one of them: it stands for both directions")
		} else if read {
			out[e.named.sorted()] = e
		}
	}
	return out
}

// exceptionsOf judges whose exceptions they are.
func (d *decoder) exceptionsOf(exceptions map[pair]exception, m *mesh.Mesh, pairs yamlfile.Value) {
	clusters := rosterOf(m, d.rep)
	listed, misspelt := map[pair]bool{}, d.rep.SpoiledBelow(pairs.Path)
	for _, p := range m.Peers {
		listed[pair{p.ID.From, p.ID.To}.sorted()] = true
		message, _ := clusters.fault(p.ID.From)
		misspelt = misspelt || message != ""
	}
	for key, e := range exceptions {
		known := true
		for i, id := range e.named {
			if message, cure := clusters.fault(id); message != "" {
				d.rep.Blame(yamlfile.Item(e.path, i), message, cure)
				known = false
			}
		}
		// Where pairs are misspelt or not read, that is the fault. In a full mesh all
		// clusters that are known are pairs.
		if known && !listed[key] && pairs.There() && !misspelt && !clusters.unread {
			d.rep.Blame(e.path, fmt.Sprintf("%s and %s are no pair here", e.named[0], e.named[1]), fmt.Sprintf("add [%s, %s] to pairs, or remove the exception", e.named[0], e.named[1]))
		}
	}
}

// dropTwice drops the peers that a duplicated cluster id would list twice: the
// id is the fault, and it is reported.
func dropTwice(peers []mesh.Peer) []mesh.Peer {
	seen := map[mesh.PeerID]bool{}
	return slices.DeleteFunc(peers, func(p mesh.Peer) bool {
		twice := seen[p.ID]
		seen[p.ID] = true
		return twice
	})
}

// sortPeers gives the peers one order whichever way the file listed them.
func sortPeers(m *mesh.Mesh) {
	slices.SortFunc(m.Peers, func(a, b mesh.Peer) int { return strings.Compare(a.ID.String(), b.ID.String()) })
}

func (d *decoder) policy(v yamlfile.Value, p *mesh.Policy) {
	v.Object(yamlfile.Keys{
		"mode": func(v yamlfile.Value) { p.Mode = mesh.Mode(v.Choice(modes, string(p.Mode))) },
		"windows": func(v yamlfile.Value) {
			for _, v := range v.Items() {
				p.Windows = append(p.Windows, d.window(v))
			}
		},
		"limits": func(v yamlfile.Value) {
			figure := func(field *int) func(yamlfile.Value) {
				return func(v yamlfile.Value) {
					if i, ok := v.Int(); ok {
						*field = i
					}
				}
			}
			v.Object(yamlfile.Keys{
				"restartsPerClusterPerHour": figure(&p.Limits.RestartsPerClusterPerHour),
				"restartsPerMeshPerHour":    figure(&p.Limits.RestartsPerMeshPerHour),
				"importsPerMeshPerHour":     figure(&p.Limits.ImportsPerMeshPerHour),
			})
		},
		"restartForOnePeer": func(v yamlfile.Value) {
			p.RestartForOnePeer = v.Choice(restartAnswers, p.RestartForOnePeer)
		},
		"importCertificates": func(v yamlfile.Value) {
			p.ImportCertificates = v.Choice(importAnswers, p.ImportCertificates)
		},
		"startCommanded": func(v yamlfile.Value) {
			var word string
			if v.Kind() == yamlfile.Text {
				word, _ = v.Block()
			}
			if word == mesh.StartApprove || word == mesh.StartAuto {
				p.StartCommanded = word
			} else if _, err := time.ParseDuration(word); v.Kind() == yamlfile.Text && err != nil {
				v.Fail(yamlfile.Show(word)+" is not known here", "write approve, auto, or after how long it is started without approval, as in 8h")
			} else if after, ok := span(v); ok {
				p.StartCommanded = after.D().String()
			}
		},
		"waitForPeople": func(v yamlfile.Value) {
			if wait, ok := span(v); ok {
				p.WaitForPeople = wait
			}
		},
		"thresholds": func(v yamlfile.Value) {
			v.Object(yamlfile.Keys{
				"certificateDays": func(v yamlfile.Value) {
					p.Thresholds.CertificateDays = []int{}
					for _, v := range v.Items() {
						days, _ := v.Int()
						p.Thresholds.CertificateDays = append(p.Thresholds.CertificateDays, days)
					}
				},
			})
		},
		"notify": func(v yamlfile.Value) {
			v.Object(yamlfile.Keys{
				"webhook":  yamlfile.Into(&p.Notify.Webhook),
				"file":     yamlfile.Into(&p.Notify.File),
				"selfTest": func(v yamlfile.Value) { p.Notify.SelfTest = v.Bool() },
			})
		},
		"allowUnsupportedWrites": func(v yamlfile.Value) { p.AllowUnsupportedWrites = v.Bool() },
	})
}

// window reads {kind: allow, days, from, to, timeZone}. The kind may also be a
// bare key, {allow, days: [sat]}. Without from and to it lasts the whole day.
func (d *decoder) window(v yamlfile.Value) mesh.Window {
	var w mesh.Window
	at := func(key string) string { return yamlfile.Child(v.Path, key) }
	kind := func(k string, v yamlfile.Value) {
		if w.Kind != "" {
			v.Fail("the window is allow and deny at once, or says it twice", "keep one")
			return
		}
		w.Kind = k
		d.rep.Place(at("kind"), v.Path)
	}
	bare := func(k string) func(yamlfile.Value) {
		return func(v yamlfile.Value) {
			if v.Kind() != yamlfile.Nothing && !(v.Kind() == yamlfile.Boolean && v.Bool()) {
				v.Fail("takes no value", "write kind: "+k+", or "+k+" alone")
			}
			kind(k, v)
		}
	}
	v.Object(yamlfile.Keys{
		"kind":  func(v yamlfile.Value) { kind(v.Choice(windowKinds, "allow"), v) },
		"allow": bare("allow"),
		"deny":  bare("deny"),
		"days": func(v yamlfile.Value) {
			w.Days = v.Texts()
			if !d.rep.SpoiledBelow(v.Path) {
				w.Days = normalDays(w.Days)
			}
		},
		"from":     yamlfile.Into(&w.From),
		"to":       yamlfile.Into(&w.To),
		"timeZone": yamlfile.Into(&w.TimeZone),
	})
	if w.From == "" && w.To == "" && !d.rep.Spoiled(at("from")) && !d.rep.Spoiled(at("to")) {
		w.From, w.To = dayBegin, dayEnd
	}
	return w
}

// caFiles reads each CA file once, however many clusters name it.
type caFiles struct {
	read func(string) ([]byte, error)
	seen map[string]caFile
}

type caFile struct {
	pem           string
	unread        []string // what of it is no certificate that can be read
	message, cure string   // if it was refused
	cause         error
}

// caFile is the PEM text of a file of CAs, and what of it nobody can read.
func (d *decoder) caFile(v yamlfile.Value, files *caFiles) (pem string, unread []string) {
	name, ok := v.Text()
	if !ok {
		return "", nil
	}
	f, known := files.seen[name]
	if !known {
		f = files.open(name)
		files.seen[name] = f
	}
	if f.message != "" {
		v.Fail(f.message, f.cure).Cause = f.cause
	}
	return f.pem, f.unread
}

func (files *caFiles) open(name string) caFile {
	data, message, cure, cause := readNamed(name, maxCA, files.read)
	if message != "" {
		return caFile{message: message, cure: cure, cause: cause}
	}
	pem, unread, message, cure := normalCA(data)
	if message != "" {
		return caFile{message: yamlfile.Show(name) + " " + message, cure: cure}
	}
	const listed = 10
	for i, one := range unread {
		unread[i] = yamlfile.Show(name) + ", " + one
	}
	if more := len(unread) - listed; more > 0 {
		unread = append(unread[:listed], fmt.Sprintf("and %d more", more))
	}
	return caFile{pem: pem, unread: unread}
}

// readNamed reads a file that mesh.yaml names.
func readNamed(name string, limit int, read func(string) ([]byte, error)) (data []byte, message, cure string, cause error) {
	const relative = "name a readable file, relative to mesh.yaml"
	switch {
	case name == "":
		return nil, "is empty", relative, nil
	case read == nil:
		return nil, yamlfile.Show(name) + " cannot be read here", relative, nil
	}
	data, err := read(name)
	if err != nil {
		return nil, "cannot be read: " + err.Error(), relative, err
	}
	if len(data) > limit {
		return nil, fmt.Sprintf("%s is larger than %d KiB", yamlfile.Show(name), limit>>10), "is this the right file?", nil
	}
	return data, "", "", nil
}

// dialectFile reads the site's dialect, whose faults carry its own file name.
func (d *decoder) dialectFile(v yamlfile.Value, read func(string) ([]byte, error)) *mesh.Dialect {
	name, ok := v.Text()
	if !ok {
		return nil
	}
	data, message, cure, cause := readNamed(name, maxYAML, read)
	if message != "" {
		v.Fail(message, cure).Cause = cause
		return nil
	}
	shown := name
	if !filepath.IsAbs(name) { // as a person at mesh.yaml's place would open it
		shown = filepath.Join(filepath.Dir(d.file), name)
	}
	root, ok := format.Parse(d.rep, shown, v.Path, data)
	if !ok {
		return nil
	}
	return dialect(root)
}

func dialect(v yamlfile.Value) *mesh.Dialect {
	out := &mesh.Dialect{}
	queries, parameters := yamlfile.Keys{}, yamlfile.Keys{}
	for _, name := range dialectQueries {
		queries[name] = func(v yamlfile.Value) {
			var q mesh.Query
			v.Object(yamlfile.Keys{
				"evidence": yamlfile.Into(&q.Evidence),
				"sql": func(v yamlfile.Value) {
					if sql, ok := v.Block(); ok {
						q.SQL = strings.TrimSpace(sql)
					}
				},
			})
			if out.Queries == nil {
				out.Queries = map[string]mesh.Query{}
			}
			out.Queries[name] = q
		}
	}
	for _, name := range dialectParameters {
		parameters[name] = func(v yamlfile.Value) {
			if out.Parameters == nil {
				out.Parameters = map[string][]string{}
			}
			out.Parameters[name] = append([]string{}, v.Texts()...)
		}
	}
	v.Object(yamlfile.Keys{
		"queries":    func(v yamlfile.Value) { v.Object(queries) },
		"parameters": func(v yamlfile.Value) { v.Object(parameters) },
	})
	return out
}
