package meshfile

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// decoder reads the values of one file out of its tree. A value of the wrong
// kind is reported and leaves its field as it was.
type decoder struct {
	rep  *report
	file string
}

// keys is what a mapping may hold: what to do with each key's value.
type keys map[string]func(v *node, path string)

// object reads a mapping. It reports keys that are not allowed or stand twice.
func (d *decoder) object(n *node, path string, allowed keys) {
	if !d.is(mapping, n, path) {
		return
	}
	names := slices.Sorted(maps.Keys(allowed))
	lines := map[string]int{}
	for _, e := range n.entries {
		at := child(path, showKey(e.name))
		read, known := allowed[e.name]
		first, twice := lines[e.name]
		switch {
		case twice:
			d.rep.errs = append(d.rep.errs, &Error{File: d.file, Line: e.line, Column: e.column, Path: d.filePath(at),
				Message: fmt.Sprintf("the key stands twice, first on line %d", first), Cure: "keep one of them"})
		case !known:
			d.mark(at, e.line, e.column)
			if near := plain.Nearest(e.name, names); near != "" {
				d.rep.fail(at, "unknown key", "did you mean "+near+"?")
				// The misspelt key is the fault; that the right one is missing follows from it.
				if !slices.ContainsFunc(n.entries, func(e entry) bool { return e.name == near }) {
					d.rep.spoiled[child(path, near)] = true
				}
				continue
			}
			d.rep.fail(at, "unknown key", "allowed here: "+strings.Join(names, ", "))
		default:
			line, column := e.value.line, e.value.column
			if e.value.kind == nothing { // it stands nowhere: its key does
				line, column = e.line, e.column
			}
			d.mark(at, line, column)
			read(e.value, at)
		}
		if !twice {
			lines[e.name] = e.line
		}
	}
}

// mark notes where path stands in this decoder's file.
func (d *decoder) mark(path string, line, column int) {
	d.rep.at(path, origin{file: d.file, line: line, column: column, path: d.filePath(path)})
}

// filePath is what a path is called in the file; the dialect's file leaves out
// the key that named it.
func (d *decoder) filePath(path string) string {
	if path == "" {
		return ""
	}
	up := parentPath(path)
	if o, ok := d.rep.where[up]; ok {
		return strings.TrimPrefix(o.path+path[len(up):], ".")
	}
	return path
}

func (d *decoder) is(want kind, n *node, path string) bool {
	switch {
	case n.kind == want:
		return true
	case n.kind == refused:
		d.rep.spoiled[path] = true
	case n.kind == nothing:
		d.rep.fail(path, "has no value", "write "+want.String()+" or remove the key")
	case want == text && (n.kind == number || n.kind == boolean):
		d.rep.fail(path, "is "+n.kind.String()+", not text", "put it in quotes: "+strconv.Quote(n.text))
	case want == text && n.kind == mapping && len(n.entries) == 1:
		d.rep.fail(path, "is a mapping, not text", "if it is one word with a colon in it, put it in quotes")
	case want == number && n.kind == text:
		d.rep.fail(path, "is text, not a number", "write digits only, without quotes")
	case want == boolean:
		d.rep.fail(path, "is "+n.kind.String()+", not true or false", "write true or false")
	default:
		d.rep.fail(path, "is "+n.kind.String()+", not "+want.String(), "")
	}
	return false
}

// text reads a text without control characters: they would forge log lines.
func (d *decoder) text(n *node, path string) (string, bool) {
	if !d.is(text, n, path) {
		return "", false
	}
	if strings.ContainsFunc(n.text, unicode.IsControl) {
		d.rep.fail(path, "has a line break, tab or other control character in it", "write it on one line")
		return "", false
	}
	return n.text, true
}

func (d *decoder) choice(n *node, path string, words []string, otherwise string) string {
	s, ok := d.text(n, path)
	if !ok {
		return otherwise
	}
	if !slices.Contains(words, s) {
		d.rep.fail(path, show(s)+" is not known here", "write "+oneOf(words))
		return otherwise
	}
	return s
}

func (d *decoder) boolean(n *node, path string) bool {
	return d.is(boolean, n, path) && n.text == "true"
}

func (d *decoder) integer(n *node, path string) (int, bool) {
	if !d.is(number, n, path) {
		return 0, false
	}
	v, err := strconv.Atoi(n.text)
	if err != nil || strconv.Itoa(v) != n.text {
		d.rep.fail(path, n.text+" is not a whole number", "write decimal digits only")
		return 0, false
	}
	return v, true
}

func (d *decoder) interval(n *node, path string) (mesh.Duration, bool) {
	v, ok := d.span(n, path)
	if !ok {
		return 0, false
	}
	if message, cure := intervalFault(v); message != "" {
		d.rep.fail(path, message, cure)
		return 0, false
	}
	return v, true
}

func (d *decoder) span(n *node, path string) (mesh.Duration, bool) {
	if n.kind == number {
		d.rep.fail(path, n.text+" has no unit", "write minutes as in "+n.text+"m")
		return 0, false
	}
	s, ok := d.text(n, path)
	if !ok {
		return 0, false
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		d.rep.fail(path, show(s)+" is not a duration", "write minutes as in 30m")
		return 0, false
	}
	return mesh.Duration(v), true
}

func (d *decoder) list(n *node, path string, each func(v *node, path string)) {
	if !d.is(list, n, path) {
		return
	}
	for i, v := range n.items {
		at := item(path, i)
		d.mark(at, v.line, v.column)
		each(v, at)
	}
}

func (d *decoder) texts(n *node, path string) []string {
	var out []string
	d.list(n, path, func(v *node, path string) {
		// A refused item keeps its place, so that the others keep their paths.
		s, _ := d.text(v, path)
		out = append(out, s)
	})
	return out
}

// into makes the reader of a text field.
func into[T ~string](d *decoder, field *T) func(*node, string) {
	return func(v *node, path string) {
		if s, ok := d.text(v, path); ok {
			*field = T(s)
		}
	}
}

// defaults are what clusters take when they do not say otherwise.
type defaults struct {
	release      string
	syncInterval mesh.Duration
	autoRecovery bool
}

// decodeMesh reads the tree of mesh.yaml and fills in every default.
func decodeMesh(rep *report, file string, root *node, read func(string) ([]byte, error)) *mesh.Mesh {
	d := &decoder{rep: rep, file: file}
	d.mark("", root.line, root.column)
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
	var clusters, peers *node
	d.object(root, "", keys{
		"mesh":      into(d, &m.Name),
		"simulated": func(v *node, path string) { m.Simulated = d.boolean(v, path) },
		"clock":     func(v *node, path string) { m.Clock = d.clock(v, path) },
		"domain":    into(d, &m.Domain),
		"domains":   func(v *node, path string) { m.Domains = d.texts(v, path) },
		"dnsDomain": into(d, &m.DNSDomain),
		"addressScheme": func(v *node, path string) {
			m.AddressScheme = mesh.AddressScheme(d.choice(v, path, addressSchemes, ""))
		},
		"defaults": func(v *node, path string) {
			d.object(v, path, keys{
				"release": func(v *node, path string) {
					if s, ok := d.text(v, path); ok {
						if message, cure := releaseFault(s); message != "" {
							d.rep.fail(path, message, cure)
						} else {
							def.release = s
						}
					}
				},
				"syncInterval": func(v *node, path string) {
					if i, ok := d.interval(v, path); ok {
						def.syncInterval = i
					}
				},
				"autoRecovery": func(v *node, path string) { def.autoRecovery = d.boolean(v, path) },
			})
		},
		// Both wait for what they lean on, wherever it stands in the file.
		"clusters": func(v *node, _ string) { clusters = v },
		"peers":    func(v *node, _ string) { peers = v },
		"policy":   func(v *node, path string) { d.policy(v, path, &m.Policy) },
		"dialect":  func(v *node, path string) { m.Dialect = d.dialectFile(v, path, read) },
	})
	if clusters != nil {
		files := caFiles{read: read, seen: map[string]caFile{}}
		d.list(clusters, "clusters", func(v *node, path string) {
			m.Clusters = append(m.Clusters, d.cluster(v, path, def, &files))
		})
	}
	nodeNames(m)
	switch {
	case peers != nil:
		d.peers(peers, m)
	case len(m.Clusters) > 1:
		rep.blame("peers", "missing: which clusters peer with which", "write peers: {topology: full-mesh, protocol: tcp}, or list pairs")
	}
	return m
}

func (d *decoder) clock(n *node, path string) *mesh.Clock {
	c := &mesh.Clock{}
	d.object(n, path, keys{
		"epoch": func(v *node, path string) {
			s, ok := d.text(v, path)
			if !ok {
				return
			}
			t, err := time.Parse(time.RFC3339Nano, s)
			if err != nil {
				d.rep.fail(path, show(s)+" is not an instant", "write it as in 2026-01-31T12:00:00Z")
				return
			}
			c.Epoch = t.UTC()
		},
		"rate": func(v *node, path string) {
			if !d.is(number, v, path) {
				return
			}
			f, err := strconv.ParseFloat(v.text, 64)
			if err != nil {
				d.rep.fail(path, v.text+" is not a rate", rateCure)
				return
			}
			c.Rate = f
		},
	})
	return c
}

func (d *decoder) cluster(n *node, path string, def defaults, files *caFiles) mesh.Cluster {
	c := mesh.Cluster{
		Release: def.release, TimeZone: "UTC", SyncInterval: def.syncInterval, AutoRecovery: def.autoRecovery,
		Edition: standardEdition, Nodes: []mesh.Node{},
	}
	known := keys{
		"id":        into(d, &c.ID),
		"release":   into(d, &c.Release),
		"publisher": into(d, &c.Publisher),
		"cucm": func(v *node, path string) {
			cucm := d.node(v, path)
			c.CUCM = &cucm
		},
		"nodes": func(v *node, path string) {
			d.list(v, path, func(v *node, path string) { c.Nodes = append(c.Nodes, d.node(v, path)) })
		},
		"tls": func(v *node, path string) {
			d.object(v, path, keys{
				"ca": func(v *node, path string) { c.TLS.CA, c.TLS.Unread = d.caFile(v, path, files) },
				"pins": func(v *node, path string) {
					c.TLS.Pins = d.texts(v, path)
					for i, pin := range c.TLS.Pins {
						c.TLS.Pins[i] = normalPin(pin)
					}
				},
			})
		},
		"dns": func(v *node, path string) {
			c.DNS = d.texts(v, path)
			for i, server := range c.DNS {
				c.DNS[i] = normalDNS(server)
			}
		},
		"timeZone": into(d, &c.TimeZone),
		"syncInterval": func(v *node, path string) {
			if i, ok := d.interval(v, path); ok {
				c.SyncInterval = i
			}
		},
		"autoRecovery": func(v *node, path string) { c.AutoRecovery = d.boolean(v, path) },
		"ova": func(v *node, path string) {
			if users, ok := d.integer(v, path); ok {
				c.OVA = users
				if users == 0 { // 0 means "not declared" in a mesh, so it is refused here
					d.rep.fail(path, ovaMessage(0), ovaCure)
				}
			}
		},
		"edition":          into(d, &c.Edition),
		"sipFederation":    func(v *node, path string) { c.SIPFederation = d.boolean(v, path) },
		"dnsSurvivesSplit": func(v *node, path string) { c.DNSSurvivesSplit = d.boolean(v, path) },
		"ha": func(v *node, path string) {
			c.HA = mesh.Switch(d.choice(v, path, switches, ""))
		},
		"log": func(v *node, path string) {
			c.Log = normalLog(mesh.LogSource(d.choice(v, path, logSources, "")))
		},
		"syslogFrom": func(v *node, path string) {
			c.SyslogFrom = d.texts(v, path)
			for i, address := range c.SyslogFrom {
				c.SyslogFrom[i] = normalIP(address)
			}
		},
	}
	for _, a := range mesh.Accounts() {
		known[string(a)] = into(d, a.Of(&c))
	}
	d.object(n, path, known)
	platformAddresses(&c)
	return c
}

func (d *decoder) node(n *node, path string) mesh.Node {
	var out mesh.Node
	given := false
	d.object(n, path, keys{
		"name": into(d, &out.Name),
		"address": func(v *node, path string) {
			given = true
			into(d, &out.Address)(v, path)
		},
		"platformAddress": into(d, &out.PlatformAddress),
		"tlsName":         into(d, &out.TLSName),
	})
	if o, ok := d.rep.where[child(path, "name")]; ok && out.PlatformAddress == "" {
		d.rep.at(child(path, "platformAddress"), o) // it will be made of the name, if at all
	}
	if !given && out.Name != "" {
		out.Address = defaultAddress(string(out.Name))
		// An address made of a faulty name is that name's fault.
		if o, ok := d.rep.where[child(path, "name")]; ok {
			d.rep.at(child(path, "address"), o)
		}
	}
	return out
}

// peers reads the pairs and makes two directed peers of each.
func (d *decoder) peers(n *node, m *mesh.Mesh) {
	protocol := string(mesh.TCP)
	var topology, pairs *node
	d.object(n, "peers", keys{
		"topology": func(v *node, path string) {
			topology = v
			d.choice(v, path, []string{fullMesh}, fullMesh)
		},
		"pairs":    func(v *node, _ string) { pairs = v },
		"protocol": func(v *node, path string) { protocol = d.choice(v, path, protocols, protocol) },
	})
	add := func(from, to string, fromAt, toAt origin) {
		path := item("peers", len(m.Peers))
		d.rep.at(path+".id.from", fromAt)
		d.rep.at(path+".id.to", toAt)
		m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: mesh.ClusterID(from), To: mesh.ClusterID(to)}, Protocol: mesh.Protocol(protocol)})
	}
	switch {
	case topology != nil && pairs != nil:
		d.rep.fail("peers.topology", "topology and pairs are both given", "keep topology: full-mesh for all pairs, or list pairs")
	case pairs != nil:
		lines := map[string]int{}
		d.list(pairs, "peers.pairs", func(v *node, path string) {
			faults := len(d.rep.errs)
			ends := d.texts(v, path)
			if len(d.rep.errs) > faults || v.kind != list {
				return
			}
			if len(ends) != 2 {
				d.rep.fail(path, fmt.Sprintf("a pair names two clusters, here are %d", len(ends)), "write it as in [emea, apac]")
				return
			}
			if ends[0] == ends[1] {
				d.rep.fail(path, show(ends[0])+" is paired with itself", "name two different clusters")
				return
			}
			key := min(ends[0], ends[1]) + ">" + max(ends[0], ends[1])
			if first, twice := lines[key]; twice {
				d.rep.fail(path, fmt.Sprintf("%s and %s are a pair already, on line %d", ends[0], ends[1], first), "remove this one: each pair stands for both directions")
				return
			}
			lines[key] = v.line
			a, b := d.rep.where[path+"[0]"], d.rep.where[path+"[1]"]
			add(ends[0], ends[1], a, b)
			add(ends[1], ends[0], b, a)
		})
	case topology != nil:
		ids := m.IDs()
		ids = ids[:min(len(ids), mesh.MaxClusters)] // the 31st is refused elsewhere
		whole := d.rep.where["peers.topology"]
		for i, from := range ids {
			for _, to := range ids[i+1:] {
				if from != to && from != "" && to != "" { // both are faults of the clusters, reported there
					add(string(from), string(to), whole, whole)
					add(string(to), string(from), whole, whole)
				}
			}
		}
		m.Peers = dropTwice(m.Peers)
	default:
		d.rep.blame("peers", "neither topology nor pairs is given", "write topology: full-mesh, or pairs: [[emea, apac]]")
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

func (d *decoder) policy(n *node, path string, p *mesh.Policy) {
	d.object(n, path, keys{
		"mode": func(v *node, path string) { p.Mode = mesh.Mode(d.choice(v, path, modes, string(p.Mode))) },
		"windows": func(v *node, path string) {
			d.list(v, path, func(v *node, path string) { p.Windows = append(p.Windows, d.window(v, path)) })
		},
		"limits": func(v *node, path string) {
			figure := func(field *int) func(*node, string) {
				return func(v *node, path string) {
					if i, ok := d.integer(v, path); ok {
						*field = i
					}
				}
			}
			d.object(v, path, keys{
				"restartsPerClusterPerHour": figure(&p.Limits.RestartsPerClusterPerHour),
				"restartsPerMeshPerHour":    figure(&p.Limits.RestartsPerMeshPerHour),
				"importsPerMeshPerHour":     figure(&p.Limits.ImportsPerMeshPerHour),
			})
		},
		"restartForOnePeer": func(v *node, path string) {
			p.RestartForOnePeer = d.choice(v, path, restartAnswers, p.RestartForOnePeer)
		},
		"importCertificates": func(v *node, path string) {
			p.ImportCertificates = d.choice(v, path, importAnswers, p.ImportCertificates)
		},
		"startCommanded": func(v *node, path string) {
			if v.kind == text && (v.text == mesh.StartApprove || v.text == mesh.StartAuto) {
				p.StartCommanded = v.text
			} else if _, err := time.ParseDuration(v.text); v.kind == text && err != nil {
				d.rep.fail(path, show(v.text)+" is not known here", "write approve, auto, or after how long it is started without approval, as in 8h")
			} else if after, ok := d.span(v, path); ok {
				p.StartCommanded = after.D().String()
			}
		},
		"waitForPeople": func(v *node, path string) {
			if wait, ok := d.span(v, path); ok {
				p.WaitForPeople = wait
			}
		},
		"thresholds": func(v *node, path string) {
			d.object(v, path, keys{
				"certificateDays": func(v *node, path string) {
					p.Thresholds.CertificateDays = []int{}
					d.list(v, path, func(v *node, path string) {
						days, _ := d.integer(v, path)
						p.Thresholds.CertificateDays = append(p.Thresholds.CertificateDays, days)
					})
				},
			})
		},
		"notify": func(v *node, path string) {
			d.object(v, path, keys{
				"webhook":  into(d, &p.Notify.Webhook),
				"file":     into(d, &p.Notify.File),
				"selfTest": func(v *node, path string) { p.Notify.SelfTest = d.boolean(v, path) },
			})
		},
		"allowUnsupportedWrites": func(v *node, path string) { p.AllowUnsupportedWrites = d.boolean(v, path) },
	})
}

// window reads {kind: allow, days, from, to, timeZone}. The kind may also be a
// bare key, {allow, days: [sat]}. Without from and to it lasts the whole day.
func (d *decoder) window(n *node, path string) mesh.Window {
	var w mesh.Window
	kind := func(k string, v *node, at string) {
		if w.Kind != "" {
			d.rep.fail(at, "the window is allow and deny at once, or says it twice", "keep one")
			return
		}
		w.Kind = k
		d.rep.at(child(path, "kind"), d.rep.where[at])
	}
	bare := func(k string) func(*node, string) {
		return func(v *node, at string) {
			if v.kind != nothing && !(v.kind == boolean && v.text == "true") {
				d.rep.fail(at, "takes no value", "write kind: "+k+", or "+k+" alone")
			}
			kind(k, v, at)
		}
	}
	d.object(n, path, keys{
		"kind":  func(v *node, at string) { kind(d.choice(v, at, windowKinds, "allow"), v, at) },
		"allow": bare("allow"),
		"deny":  bare("deny"),
		"days": func(v *node, at string) {
			w.Days = d.texts(v, at)
			if !d.rep.spoiledBelow(at) {
				w.Days = normalDays(w.Days)
			}
		},
		"from":     into(d, &w.From),
		"to":       into(d, &w.To),
		"timeZone": into(d, &w.TimeZone),
	})
	if w.From == "" && w.To == "" && !d.rep.spoiled[child(path, "from")] && !d.rep.spoiled[child(path, "to")] {
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
func (d *decoder) caFile(n *node, path string, files *caFiles) (pem string, unread []string) {
	name, ok := d.text(n, path)
	if !ok {
		return "", nil
	}
	f, known := files.seen[name]
	if !known {
		f = files.open(name)
		files.seen[name] = f
	}
	if f.message != "" {
		d.rep.fail(path, f.message, f.cure).cause = f.cause
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
		return caFile{message: show(name) + " " + message, cure: cure}
	}
	const listed = 10
	for i, one := range unread {
		unread[i] = show(name) + ", " + one
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
		return nil, show(name) + " cannot be read here", relative, nil
	}
	data, err := read(name)
	if err != nil {
		return nil, "cannot be read: " + err.Error(), relative, err
	}
	if len(data) > limit {
		return nil, fmt.Sprintf("%s is larger than %d KiB", show(name), limit>>10), "is this the right file?", nil
	}
	return data, "", "", nil
}

// dialectFile reads the site's dialect, whose faults carry its own file name.
func (d *decoder) dialectFile(n *node, path string, read func(string) ([]byte, error)) *mesh.Dialect {
	name, ok := d.text(n, path)
	if !ok {
		return nil
	}
	data, message, cure, cause := readNamed(name, maxYAML, read)
	if message != "" {
		d.rep.fail(path, message, cure).cause = cause
		return nil
	}
	shown := name
	if !filepath.IsAbs(name) { // as a person at mesh.yaml's place would open it
		shown = filepath.Join(filepath.Dir(d.file), name)
	}
	root, ok := parseTree(d.rep, shown, data)
	if !ok {
		d.rep.spoiled[path] = true
		return nil
	}
	inner := &decoder{rep: d.rep, file: shown}
	return inner.dialect(root, path)
}

func (d *decoder) dialect(n *node, path string) *mesh.Dialect {
	d.rep.at(path, origin{file: d.file, line: n.line, column: n.column, path: ""})
	out := &mesh.Dialect{}
	queries, parameters := keys{}, keys{}
	for _, name := range dialectQueries {
		queries[name] = func(v *node, path string) {
			var q mesh.Query
			d.object(v, path, keys{
				"evidence": into(d, &q.Evidence),
				"sql": func(v *node, path string) {
					if d.is(text, v, path) {
						q.SQL = strings.TrimSpace(v.text)
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
		parameters[name] = func(v *node, path string) {
			if out.Parameters == nil {
				out.Parameters = map[string][]string{}
			}
			out.Parameters[name] = append([]string{}, d.texts(v, path)...)
		}
	}
	d.object(n, path, keys{
		"queries":    func(v *node, path string) { d.object(v, path, queries) },
		"parameters": func(v *node, path string) { d.object(v, path, parameters) },
	})
	return out
}
