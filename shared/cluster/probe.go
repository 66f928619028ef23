package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/axl"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

// Report is what one cluster showed when a person had it probed: what each node
// can be asked, which of the dialect's queries fit, and a proposal for what is
// not mapped. It changes nothing and is kept nowhere.
type Report struct {
	Cluster mesh.ClusterID `json:"cluster"`
	At      time.Time      `json:"at"`
	Nodes   []NodeReport   `json:"nodes"`
	// CUCM is the cluster's Unified CM publisher; nil where mesh.yaml names none.
	CUCM    *CUCMReport   `json:"cucm,omitempty"`
	Queries []QueryReport `json:"queries"`
	// Cure is what to do about the one trouble that keeps the publisher from being
	// asked; the queries are then not tried.
	Cure     string   `json:"cure,omitempty"`
	Proposal Proposal `json:"proposal"`
	// Log is what the publisher's log can tell of syncs.
	Log LogReport `json:"log"`
}

// Ability is whether one thing can be asked, and if not, why.
type Ability struct {
	OK      bool        `json:"ok"`
	Version string      `json:"version,omitempty"`
	Reason  peer.Reason `json:"reason,omitempty"`
	Detail  string      `json:"detail,omitempty"`
}

func able(version string, err error) Ability {
	if err != nil {
		return Ability{Reason: reasonOf(err), Detail: explain(err)}
	}
	return Ability{OK: true, Version: version}
}

// NodeReport is one node. Role is what the cluster says of it, "" if it did
// not say.
type NodeReport struct {
	Node          mesh.NodeName `json:"node"`
	Publisher     bool          `json:"publisher"`
	Role          string        `json:"role,omitempty"`
	AXL           Ability       `json:"axl"`
	ControlCenter Ability       `json:"controlCenter"`
}

// CUCMReport is what the Unified CM publisher showed; its AXL is the one that
// Cisco supports.
type CUCMReport struct {
	Node mesh.NodeName `json:"node"`
	AXL  Ability       `json:"axl"`
	// Lacks are declared nodes that Unified CM does not list.
	Lacks []mesh.NodeName `json:"lacks,omitempty"`
}

// QueryReport is how one query of the dialect fared.
type QueryReport struct {
	Purpose  string   `json:"purpose"`
	Evidence Evidence `json:"evidence"`
	OK       bool     `json:"ok"`
	Rows     int      `json:"rows"`
	// Absent are optional columns that the answer has not.
	Absent []string    `json:"absent,omitempty"`
	Reason peer.Reason `json:"reason,omitempty"`
	Detail string      `json:"detail,omitempty"`
}

// Proposal is how what Cisco does not document might be mapped. It is made from
// names and from how values look, and is a fact only once a person has compared
// it with the cluster.
type Proposal struct {
	// Table is the likeliest peer table; "" if no table looks like one.
	Table   string        `json:"table,omitempty"`
	Columns []ColumnGuess `json:"columns,omitempty"`
	// Others are further tables whose name fits.
	Others     []string         `json:"others,omitempty"`
	Parameters []ParameterGuess `json:"parameters,omitempty"`
	Remarks    []string         `json:"remarks,omitempty"`
}

// ColumnGuess is a column of the peer table and why it may be what is looked
// for.
type ColumnGuess struct {
	Purpose string `json:"purpose"`
	Column  string `json:"column"`
	Why     string `json:"why"`
	// LeftOut says that it is not part of the proposed query, because of Why.
	LeftOut bool `json:"leftOut,omitempty"`
}

// ParameterGuess is a service parameter of ICSA and why it may be the one.
type ParameterGuess struct {
	Purpose string `json:"purpose"`
	Name    string `json:"name"`
	Value   string `json:"value"`
	Why     string `json:"why"`
}

// Probe asks the cluster of m what it can be asked. The proposal is held against
// the names in m, and what is shown of a log has them replaced. An error means that the account
// was rejected or the context ended: whatever else goes wrong is in the report.
func (c *Client) Probe(ctx context.Context, m *mesh.Mesh, now time.Time) (Report, error) {
	r := Report{Cluster: c.cluster.ID, At: now, Nodes: []NodeReport{}, Queries: []QueryReport{}}
	var trouble error // of the publisher
	for _, n := range c.cluster.Nodes {
		seen, refusal, err := c.probeNode(ctx, c.nodes[n.Name])
		r.Nodes = append(r.Nodes, seen)
		if err != nil {
			return r, err
		}
		if gone(refusal) && (n.Name == c.cluster.Publisher || r.Cure == "") {
			r.Cure = explain(refusal)
		}
		if n.Name == c.cluster.Publisher {
			trouble = refusal
		}
	}
	if c.cucm != nil {
		r.CUCM = c.probeCUCM(ctx)
	}
	if gone(trouble) {
		return r, nil
	}
	c.probeRoles(ctx, &r)
	for _, p := range defaults {
		q, err := c.probeQuery(ctx, p.name)
		if stop(ctx, err) {
			return r, err
		}
		r.Queries = append(r.Queries, q)
	}
	var err error
	r.Proposal, err = c.propose(ctx, m.Owner)
	if err != nil {
		return r, err
	}
	r.Log = c.probeLog(ctx, namesIn(m))
	return r, ctx.Err()
}

// brief is an error without its cure and without what it has from the certificate.
func brief(err error) string {
	var t *soap.TrustError
	var h *soap.HandshakeError
	switch {
	case errors.As(err, &t):
		return "certificate refused: " + t.Reason
	case errors.As(err, &h):
		return h.Error()
	}
	return err.Error()
}

// stop tells errors after which nothing more is asked.
func stop(ctx context.Context, err error) bool {
	return err != nil && (soap.KindOf(err) == soap.AccountRejected || ctx.Err() != nil)
}

// probeNode asks one node. refusal is why it could not be asked at all; err ends
// the probing.
func (c *Client) probeNode(ctx context.Context, n *node) (r NodeReport, refusal, err error) {
	r = NodeReport{Node: n.Name, Publisher: n.Name == c.cluster.Publisher}
	products, err := n.control.Products(ctx)
	r.ControlCenter = able(clip(products.Version, versionRunes), err)
	if gone(err) && ctx.Err() == nil {
		// AXL stands on the same port: it would say the same. The cure is said once.
		r.ControlCenter.Detail = brief(err)
		r.AXL = r.ControlCenter
		return r, err, nil
	}
	if stop(ctx, err) {
		return r, nil, err
	}
	// AXL is judged by what ICSA itself asks. That IM and Presence answers other
	// operations of Unified CM is likely and not documented.
	_, err = n.axl.CountNodes(ctx)
	r.AXL = able("", err)
	if err != nil {
		if stop(ctx, err) {
			return r, nil, err
		}
		return r, nil, nil
	}
	for _, source := range []struct {
		ask  func() (string, error)
		says string
	}{
		{func() (string, error) { return n.axl.Version(ctx, "") }, ""},
		{func() (string, error) { return products.Version, nil }, "release told by Control Center"},
		{func() (string, error) { return n.axl.ProductVersion(ctx) }, "release told by getCUPVersion"},
	} {
		version, err := source.ask()
		if stop(ctx, err) {
			return r, nil, err
		}
		if err == nil && version != "" {
			r.AXL.Version, r.AXL.Detail = clip(version, versionRunes), source.says
			return r, nil, nil
		}
	}
	r.AXL.Detail = "the release is told by none of getCCMVersion, getCUPVersion and Control Center"
	return r, nil, nil
}

// versionRunes bounds a release as a node tells it.
const versionRunes = 64

// probeRoles asks the publisher what each node is. That IM and Presence answers
// listProcessNode is likely and not documented.
func (c *Client) probeRoles(ctx context.Context, r *Report) {
	pub := c.publisher()
	if pub == nil {
		return
	}
	listed, err := pub.axl.ListProcessNodes(ctx)
	if soap.KindOf(err) == soap.Fault {
		listed, err = c.processNodes(ctx)
	}
	if err != nil {
		return // the report then has no roles, which it says by their absence
	}
	for i, n := range r.Nodes {
		for _, l := range listed {
			if strings.EqualFold(l.Name, string(n.Node)) {
				r.Nodes[i].Role = clip(strings.TrimSpace(l.Usage+" "+l.Role), versionRunes)
			}
		}
	}
}

// processNodes reads the roles from the table itself, whose columns Cisco's
// documents show, in the words of listProcessNode.
func (c *Client) processNodes(ctx context.Context) ([]axl.ProcessNode, error) {
	var out []axl.ProcessNode
	_, err := c.publisher().axl.Query(ctx, "SELECT name AS node, tknodeusage AS usage, tkprocessnoderole AS role FROM processnode WHERE systemnode = 'f'", []string{"node", "usage", "role"}, func(v [][]byte) error {
		n := axl.ProcessNode{Name: string(v[0]), Usage: "Subscriber", Role: "CUCM IM and Presence"}
		if string(v[1]) == "0" {
			n.Usage = "Publisher"
		}
		if string(v[2]) == "1" {
			n.Role = "CUCM Voice/Video"
		}
		out = append(out, n)
		return nil
	})
	return out, err
}

// probeCUCM asks Unified CM for its nodes. A rejection there is reported only:
// the account was just accepted by IM and Presence, so peersync keeps it.
func (c *Client) probeCUCM(ctx context.Context) *CUCMReport {
	r := &CUCMReport{Node: c.cucm.Name}
	listed, err := c.cucm.axl.ListProcessNodes(ctx)
	version := ""
	if err == nil {
		version, err = c.cucm.axl.Version(ctx, "")
	}
	r.AXL = able(version, err)
	if err != nil {
		if gone(err) {
			r.AXL.Detail = brief(err)
		}
		return r
	}
	for _, n := range c.cluster.Nodes {
		if !slices.ContainsFunc(listed, func(l axl.ProcessNode) bool { return strings.EqualFold(l.Name, string(n.Name)) }) {
			r.Lacks = append(r.Lacks, n.Name)
		}
	}
	return r
}

func (c *Client) probeQuery(ctx context.Context, name string) (QueryReport, error) {
	p, ok := c.dialect.query(name)
	r := QueryReport{Purpose: name, Evidence: p.evidence}
	if !ok {
		r.Reason, r.Detail = peer.NoDialect, p.why
		return r, nil
	}
	// One row of a stream is enough to see its columns.
	sql, first := rowsSQL(p.sql, Filter{}, "", 1), true
	rows, err := c.publisher().axl.Query(ctx, sql, p.columns, func(v [][]byte) error {
		for i, column := range p.columns {
			if first && v[i] == nil {
				r.Absent = append(r.Absent, strings.TrimPrefix(column, "?"))
			}
		}
		first = false
		return nil
	})
	r.Rows = rows
	switch {
	case err != nil:
		r.Reason, r.Detail = reasonOf(err), explain(err)
	case rows == 0:
		r.OK, r.Detail = true, "no row came, so its columns could not be checked"
	default:
		r.OK = true
	}
	return r, err
}

// A wanted column of the peer table: which names suggest it, and which values
// fit it.
type wanted struct {
	purpose string
	// hints are sets of words; a name that contains all words of one set
	// suggests the purpose, the first set the most.
	hints [][]string
	fits  func(value string, owner func(mesh.NodeName) (mesh.ClusterID, bool)) bool
	says  string // what fitting values are
}

var wantedColumns = [...]wanted{
	{"address", [][]string{{"address"}, {"host"}, {"fqdn"}, {"peer", "name"}, {"node", "name"}}, func(v string, owner func(mesh.NodeName) (mesh.ClusterID, bool)) bool {
		_, ok := owner(mesh.NodeName(v))
		return ok
	}, "name a node of mesh.yaml"},
	{"protocol", [][]string{{"protocol"}, {"transport"}}, func(v string, _ func(mesh.NodeName) (mesh.ClusterID, bool)) bool {
		return strings.EqualFold(v, string(mesh.TCP)) || strings.EqualFold(v, string(mesh.TLSProto))
	}, "are tcp or tls"},
	{"last_sync", [][]string{{"last", "sync"}, {"sync", "time"}, {"sync", "date"}}, func(v string, _ func(mesh.NodeName) (mesh.ClusterID, bool)) bool {
		_, err := parseTime(v)
		return err == nil
	}, "read as instants; that they are the last success, and in UTC, is for you to see"},
	{"users", [][]string{{"assoc", "user"}, {"user", "count"}, {"num", "user"}, {"total", "user"}}, func(v string, _ func(mesh.NodeName) (mesh.ClusterID, bool)) bool {
		_, err := strconv.Atoi(v)
		return err == nil
	}, "are whole numbers"},
	{"last_error", [][]string{{"error"}, {"fail"}, {"fault"}}, nil, ""},
}

// identifier is a name that can stand in a statement as it is. Names come from
// the cluster: anything else is passed over.
func identifier(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '_' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

const catalogueSQL = "SELECT t.tabname AS tabname, c.colno AS colno, c.colname AS colname FROM systables t, syscolumns c WHERE t.tabid = c.tabid AND t.tabid > 99 AND t.tabname LIKE '%peer%' ORDER BY 1, 2"

// tablesKept bounds the tables of which the columns are read.
const tablesKept = 50

// propose reads the database's catalogue and ICSA's parameters.
func (c *Client) propose(ctx context.Context, owner func(mesh.NodeName) (mesh.ClusterID, bool)) (Proposal, error) {
	p, err := c.proposeTable(ctx, owner)
	if stop(ctx, err) {
		return p, err
	}
	if err := c.proposeParameters(ctx, &p); stop(ctx, err) {
		return p, err
	}
	return p, nil
}

func (c *Client) proposeTable(ctx context.Context, owner func(mesh.NodeName) (mesh.ClusterID, bool)) (Proposal, error) {
	var p Proposal
	tables := map[string][]string{}
	var names []string
	_, err := c.publisher().axl.Query(ctx, catalogueSQL, []string{"tabname", "colname"}, func(v [][]byte) error {
		table, column := strings.TrimSpace(string(v[0])), strings.TrimSpace(string(v[1]))
		if !strings.Contains(strings.ToLower(table), "cluster") || !identifier(table) || !identifier(column) {
			return nil
		}
		if tables[table] == nil {
			if len(names) >= tablesKept {
				return nil
			}
			names = append(names, table)
		}
		tables[table] = append(tables[table], column)
		return nil
	})
	if err != nil {
		p.Remarks = append(p.Remarks, "the database's catalogue cannot be read: "+err.Error())
		return p, err
	}
	best := -1
	for _, table := range names {
		columns, score, err := c.mapTable(ctx, table, tables[table], owner)
		if stop(ctx, err) {
			return p, err
		}
		if err != nil {
			p.Remarks = append(p.Remarks, fmt.Sprintf("table %s cannot be read: %v", table, err))
			continue
		}
		if score > best {
			p.Table, p.Columns, best = table, columns, score
		}
	}
	for _, table := range names {
		if table != p.Table && len(p.Others) < 20 {
			p.Others = append(p.Others, table)
		}
	}
	if p.Table == "" {
		p.Remarks = append(p.Remarks, "no table has both \"cluster\" and \"peer\" in its name")
	}
	return p, nil
}

// mapTable guesses what the columns of one table are and holds the guesses
// against its rows. Of a row nothing is kept. The score is how many guesses
// stand; a named address counts for more than all others.
func (c *Client) mapTable(ctx context.Context, table string, columns []string, owner func(mesh.NodeName) (mesh.ClusterID, bool)) ([]ColumnGuess, int, error) {
	type candidate struct {
		wanted wanted
		column string
		fit    int
	}
	var candidates []candidate
	var read []string
	for _, w := range wantedColumns {
		for _, column := range ranked(columns, w.hints) {
			candidates = append(candidates, candidate{w, column, 0})
			if !slices.Contains(read, column) {
				read = append(read, column)
			}
		}
	}
	if len(read) == 0 {
		return nil, 0, nil
	}
	// At most 29 peers exist; the limit only bounds a table that is another.
	rows, err := c.publisher().axl.Query(ctx, "SELECT FIRST 30 "+strings.Join(read, ", ")+" FROM "+table, read, func(v [][]byte) error {
		for i := range candidates {
			value := strings.TrimSpace(string(v[slices.Index(read, candidates[i].column)]))
			if fits := candidates[i].wanted.fits; fits != nil && value != "" && fits(value, owner) {
				candidates[i].fit++
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	var out []ColumnGuess
	score := 0
	for _, w := range wantedColumns {
		of := slices.DeleteFunc(slices.Clone(candidates), func(x candidate) bool { return x.wanted.purpose != w.purpose })
		slices.SortStableFunc(of, func(a, b candidate) int { return b.fit - a.fit })
		for i, x := range of {
			g := ColumnGuess{Purpose: w.purpose, Column: x.column}
			switch {
			case w.fits == nil:
				g.LeftOut, g.Why = true, "its texts must first be turned into credentials, unreachable, certificate, names, domain, other or ''"
			case i > 0:
				g.LeftOut, g.Why = true, fmt.Sprintf("by its name as likely as %s, of whose values more fit", of[0].column)
				if of[0].fit == x.fit {
					g.Why = fmt.Sprintf("as likely as %s; compare the two", of[0].column)
				}
			case rows == 0:
				g.Why = "by its name only: the table is empty"
			case x.fit == 0 && w.purpose != "address":
				g.LeftOut, g.Why = true, fmt.Sprintf("by its name; none of %d values %s", rows, w.says)
			default:
				g.Why = fmt.Sprintf("by its name; %d of %d values %s", x.fit, rows, w.says)
				score++
				if w.purpose == "address" && x.fit > 0 {
					score += len(wantedColumns)
				}
			}
			out = append(out, g)
		}
	}
	return out, score, nil
}

// ranked are the columns that a purpose's hints suggest, best first. One that
// may hold a password is never read.
func ranked(columns []string, hints [][]string) []string {
	var out []string
	for _, words := range hints {
		for _, column := range columns {
			name := strings.ToLower(column)
			if strings.Contains(name, "pass") || strings.Contains(name, "pwd") || slices.Contains(out, column) {
				continue
			}
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(name, w) }) {
				out = append(out, column)
			}
		}
	}
	return out
}

// proposeParameters looks for ICSA's parameters among those that the publisher
// lists: their internal names are not published, their ranges are.
func (c *Client) proposeParameters(ctx context.Context, p *Proposal) error {
	listed, err := c.publisher().axl.ServiceParameters(ctx, string(c.cluster.Publisher), peer.ICSA)
	if soap.KindOf(err) == soap.Fault {
		listed, err = c.processConfig(ctx)
	}
	if err != nil {
		p.Remarks = append(p.Remarks, "the parameters of "+peer.ICSA+" cannot be listed: "+err.Error())
		return err
	}
	for _, l := range listed {
		name := strings.ToLower(l.Name)
		if !speakable(l.Name) {
			continue
		}
		minutes, notNumber := strconv.Atoi(l.Value)
		flag := strings.EqualFold(l.Value, "t") || strings.EqualFold(l.Value, "f")
		switch {
		case notNumber == nil && minutes >= 30 && minutes <= 1444 && (strings.Contains(name, "interval") || strings.Contains(name, "period")):
			p.Parameters = append(p.Parameters, ParameterGuess{peer.ParamInterval, l.Name, l.Value, "its name speaks of an interval, its value is within Cisco's 30 to 1444 minutes"})
		case flag && strings.Contains(name, "recover"):
			p.Parameters = append(p.Parameters, ParameterGuess{peer.ParamAutoRecovery, l.Name, l.Value, "its name speaks of recovery, its value is true or false"})
		case flag && strings.Contains(name, "cert"):
			p.Parameters = append(p.Parameters, ParameterGuess{peer.ParamCertSync, l.Name, l.Value, "its name speaks of certificates, its value is true or false"})
		}
	}
	if len(p.Parameters) == 0 {
		p.Remarks = append(p.Remarks, fmt.Sprintf("none of the %d parameters of %s looks like one of those wanted", len(listed), peer.ICSA))
	}
	return nil
}

// processConfig reads ICSA's parameters on the publisher by the dialect's query,
// where the node does not know listServiceParameter.
func (c *Client) processConfig(ctx context.Context) ([]axl.ServiceParameter, error) {
	var out []axl.ServiceParameter
	_, _, err := c.read(ctx, purposeParameters, func(v [][]byte) error {
		if c.spelled(v[0]) == c.cluster.Publisher && len(out) < parametersKept {
			out = append(out, axl.ServiceParameter{Node: string(c.cluster.Publisher), Name: string(v[1]), Service: peer.ICSA, Value: string(v[2])})
		}
		return nil
	})
	return out, err
}

// parametersKept bounds the parameters of one service that are looked at.
const parametersKept = 500

// speakable tells a parameter's name that can be written down as it is.
func speakable(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' })
}

// SQL is the proposed query of the peer table; "" if there is none.
func (p Proposal) SQL() string {
	var columns []string
	address := false
	for _, g := range p.Columns {
		if !g.LeftOut {
			columns = append(columns, g.Column+" AS "+g.Purpose)
			address = address || g.Purpose == "address"
		}
	}
	if p.Table == "" || !address {
		return ""
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + p.Table
}

// Empty reports whether nothing is proposed.
func (p Proposal) Empty() bool { return p.SQL() == "" && len(p.Parameters) == 0 }

// Same reports whether two clusters lead to the same proposal.
func (p Proposal) Same(o Proposal) bool {
	names := func(p Proposal) []string {
		var out []string
		for _, g := range p.Parameters {
			out = append(out, g.Purpose+" "+g.Name)
		}
		slices.Sort(out)
		return out
	}
	return p.SQL() == o.SQL() && slices.Equal(names(p), names(o))
}

// YAML writes the proposal as a dialect file. It says in its first lines, and
// beside each guess, that it is one.
func (p Proposal) YAML(from []mesh.ClusterID) ([]byte, error) {
	var b strings.Builder
	clusters := make([]string, len(from))
	for i, id := range from {
		clusters[i] = string(id)
	}
	comment := func(indent, text string) {
		b.WriteString(indent + "# " + strings.Map(func(r rune) rune {
			if r < ' ' || r == '\u0085' || r == '\u2028' || r == '\u2029' {
				return ' '
			}
			return r
		}, text) + "\n")
	}
	comment("", "A PROPOSAL by peerkeeper probe, not a fact: guessed from names in the database of")
	comment("", strings.Join(clusters, ", ")+" and from how values look. Cisco documents none of it. Compare every")
	comment("", "line with the cluster's own pages before you name this file under `dialect:` in")
	comment("", "mesh.yaml; `evidence: site` is then your word that you did.")
	if sql := p.SQL(); sql != "" {
		text, err := quoted(sql)
		if err != nil {
			return nil, err
		}
		b.WriteString("queries:\n  peers:\n    evidence: site\n")
		for _, g := range p.Columns {
			left := ""
			if g.LeftOut {
				left = ", LEFT OUT"
			}
			comment("    ", fmt.Sprintf("%s: %s%s: %s", g.Purpose, g.Column, left, g.Why))
		}
		for _, table := range p.Others {
			comment("    ", "another table whose name fits: "+table)
		}
		b.WriteString("    sql: " + text + "\n")
	}
	if len(p.Parameters) > 0 {
		b.WriteString("parameters:\n")
		for _, purpose := range []string{peer.ParamInterval, peer.ParamAutoRecovery, peer.ParamCertSync} {
			var names []string
			for _, g := range p.Parameters {
				if g.Purpose != purpose {
					continue
				}
				text, err := quoted(g.Name)
				if err != nil {
					return nil, err
				}
				comment("  ", fmt.Sprintf("%s: %s is %s here: %s", purpose, g.Name, g.Value, g.Why))
				names = append(names, text)
			}
			if len(names) > 0 {
				b.WriteString("  " + purpose + ": [" + strings.Join(names, ", ") + "]\n")
			}
		}
	}
	for _, r := range p.Remarks {
		comment("", r)
	}
	return []byte(b.String()), nil
}

// quoted writes a text as JSON, which YAML reads as the same text.
func quoted(s string) (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", errors.Join(errors.New("a name that cannot be written"), err)
	}
	return string(b), nil
}
