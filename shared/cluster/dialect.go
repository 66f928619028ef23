package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"peerkeeper/shared/axl"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Evidence says how sure we are that a query fits a real IM and Presence
// database. Cisco publishes no data dictionary for it.
type Evidence string

// The grades of evidence. A condition that rests on less than Verified (or on
// the site's own word) is shown as inferred.
const (
	Verified   Evidence = "verified"   // Cisco's documents show table, columns and meaning
	ThirdParty Evidence = "thirdParty" // seen in public third-party material
	Guessed    Evidence = "inferred"   // columns are documented, the meaning is our reading
	Site       Evidence = "site"       // a site's override, checked there
	Simulator  Evidence = "simulator"  // invented by the simulator
)

// Purposes of the dialect's queries.
const (
	purposeCounts     = "user_counts"
	purposeBuckets    = "user_buckets"
	purposeRows       = "user_rows"
	purposeUnassigned = "user_unassigned"
	purposeTopology   = "topology"
	purposeTopologyHA = "topology_ha"
	purposeParameters = "parameters"
	purposePeers      = "peers"
)

// purpose is what a query is for and which columns it must return; "?" marks
// a column that may be absent.
type purpose struct {
	name     string
	columns  []string
	evidence Evidence
	sql      string
	why      string
}

// usersOf is the predicate for users that count: enabled, active, not deleted
// and assigned to a node; or a copy of a peer's user. That copies are rows of
// the same table with tkuserprofile 100 is our reading of one Cisco example.
const usersOf = "FROM enduser u, enterprisenode e WHERE u.primarynodeid = e.id AND u.status = 1 AND u.deletedtimestamp IS NULL AND (u.enablecups = 't' OR u.tkuserprofile = 100)"

// bucketOf sorts a user into a bucket: the last character of the user ID,
// which spreads numbered and spelled IDs alike and exists in any SQL.
const bucketOf = "LOWER(SUBSTR(u.userid, LENGTH(u.userid), 1))"

// userColumns are those of a query for users, row by row.
var userColumns = [...]string{"pkid", "userid", "node", "?imaddress", "?directoryuri"}

// defaults are the embedded queries. There is none for the peer table: its
// columns are not found in any public material, so a site must map them.
var defaults = [...]purpose{
	{purposeCounts, []string{"node", "users"}, Guessed,
		"SELECT e.name AS node, COUNT(*) AS users " + usersOf + " GROUP BY e.name",
		"columns are Cisco's; that copies stand in the same table is inferred"},
	{purposeBuckets, []string{"node", "bucket", "users", "weight", "low", "high"}, Guessed,
		"SELECT e.name AS node, " + bucketOf + " AS bucket, COUNT(*) AS users, SUM(LENGTH(u.userid)) AS weight, MIN(LOWER(u.userid)) AS low, MAX(LOWER(u.userid)) AS high " + usersOf + " GROUP BY 1, 2",
		"as user_counts"},
	{purposeRows, userColumns[:], Guessed,
		"SELECT FIRST {limit} u.pkid AS pkid, u.userid AS userid, e.name AS node, u.imaddress AS imaddress, u.directoryuri AS directoryuri " + usersOf + " AND u.pkid > {after}{nodes}{buckets}{user} ORDER BY u.pkid",
		"as user_counts"},
	{purposeUnassigned, userColumns[:], Guessed,
		"SELECT FIRST {limit} u.pkid AS pkid, u.userid AS userid, '' AS node, u.imaddress AS imaddress, u.directoryuri AS directoryuri FROM enduser u WHERE u.primarynodeid IS NULL AND u.status = 1 AND u.deletedtimestamp IS NULL AND u.enablecups = 't' AND u.tkuserprofile = 1 AND u.pkid > {after}{user} ORDER BY u.pkid",
		"Cisco finds users without a node by primarynodeid; that tkuserprofile 1 is a user of this cluster is inferred"},
	{purposeTopology, []string{"node", "usage", "?ha_state", "?sync_status"}, Verified,
		"SELECT p.name AS node, p.tknodeusage AS usage, e.tkhaserverstate AS ha_state, (SELECT MAX(syncstatus) FROM epassyncagentcfg) AS sync_status FROM processnode p, enterprisenode e WHERE p.name = e.name AND p.tkprocessnoderole = 2",
		"tables and columns are in Cisco's troubleshooting documents"},
	{purposeParameters, []string{"node", "name", "value"}, ThirdParty,
		"SELECT p.name AS node, c.paramname AS name, c.paramvalue AS value FROM processconfig c, processnode p, typeservice t WHERE c.fkprocessnode = p.pkid AND c.tkservice = t.enum AND t.nameforcontrol = 'Cisco Intercluster Sync Agent'",
		"Unified CM's data dictionary; the parameters' internal names are not published"},
	{purposePeers, []string{"address", "?protocol", "?last_sync", "?users", "?last_error"}, "", "",
		"no public material shows the peer table's columns; map it with `peerkeeper probe`"},
}

// topologyHA is topology with the redundancy groups and whether high availability
// is on there. It is asked instead, in the same request, unless the database refuses it or the site has a
// query of its own.
var topologyHA = purpose{purposeTopologyHA, []string{"node", "usage", "?ha_state", "?sync_status", "?ha_enabled", "?redundancy_group"}, ThirdParty,
	"SELECT p.name AS node, p.tknodeusage AS usage, e.tkhaserverstate AS ha_state, (SELECT MAX(syncstatus) FROM epassyncagentcfg) AS sync_status, (SELECT MAX(s.haenabled) FROM enterprisesubcluster s WHERE s.id = e.subclusterid) AS ha_enabled, (SELECT MAX(s.name) FROM enterprisesubcluster s WHERE s.id = e.subclusterid) AS redundancy_group FROM processnode p, enterprisenode e WHERE p.name = e.name AND p.tkprocessnoderole = 2",
	"as topology; that subclusterid is the id of the redundancy group is inferred, so that what it refuses is asked without it"}

// Dialect is the set of queries in force for a mesh.
type Dialect struct {
	queries    map[string]purpose
	parameters map[string][]string
}

// NewDialect lays a site's overrides over the embedded queries. A nil override
// gives the defaults.
func NewDialect(over *mesh.Dialect) Dialect {
	d := Dialect{queries: map[string]purpose{}, parameters: map[string][]string{}}
	for _, p := range defaults {
		if over != nil {
			if q, ok := over.Queries[p.name]; ok {
				p.sql, p.evidence, p.why = q.SQL, Evidence(q.Evidence), "from the site's dialect file"
			}
		}
		d.queries[p.name] = p
	}
	if d.queries[purposeTopology].evidence == Verified {
		d.queries[purposeTopologyHA] = topologyHA
	}
	if over != nil {
		maps.Copy(d.parameters, over.Parameters)
	}
	return d
}

// query gives the SQL of a purpose; ok is false where there is none.
func (d Dialect) query(name string) (purpose, bool) {
	p := d.queries[name]
	return p, p.sql != ""
}

// basis is how a statement that rests on the purpose's query may be labelled.
func (p purpose) basis() peer.Basis {
	switch p.evidence {
	case Verified, Site, Simulator:
		return peer.Measured
	}
	return peer.Inferred
}

// paramPurpose finds what a parameter's internal name means; "" if nobody said.
func (d Dialect) paramPurpose(name string) string {
	for _, p := range slices.Sorted(maps.Keys(d.parameters)) {
		if slices.ContainsFunc(d.parameters[p], func(n string) bool { return strings.EqualFold(n, name) }) {
			return p
		}
	}
	return ""
}

// rowsSQL fills the placeholders of user_rows. Every value is quoted as an SQL
// literal.
func rowsSQL(sql string, f Filter, after string, limit int) string {
	nodes := make([]string, len(f.Nodes))
	for i, n := range f.Nodes {
		nodes[i] = string(n)
	}
	return strings.NewReplacer(
		"{limit}", fmt.Sprint(limit),
		"{after}", axl.Quote(after),
		"{nodes}", and(inSQL("e.name", nodes)),
		"{buckets}", and(inSQL(bucketOf, f.Buckets)),
		"{user}", and(namedSQL(f.Users)),
	).Replace(sql)
}

// and appends a condition, if there is one.
func and(condition string) string {
	if condition == "" {
		return ""
	}
	return " AND " + condition
}

// inSQL is the condition that an expression is one of some values; "" for none.
func inSQL(expr string, values []string) string {
	if len(values) == 0 {
		return ""
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = axl.Quote(v)
	}
	return expr + " IN (" + strings.Join(quoted, ", ") + ")"
}

// namedSQL narrows to users by their IDs and, of those that could be one, by their
// IM addresses. An ID is compared as it is too: what LOWER makes of letters beyond
// ASCII is the database's own affair.
func namedSQL(users []string) string {
	if len(users) == 0 {
		return ""
	}
	var lower, addresses []string
	for _, u := range users {
		lower = append(lower, strings.ToLower(u))
		if strings.Contains(u, "@") {
			addresses = append(addresses, strings.ToLower(u))
		}
	}
	out := "(" + inSQL("LOWER(u.userid)", lower) + " OR " + inSQL("u.userid", users)
	if len(addresses) > 0 {
		out += " OR " + inSQL("LOWER(u.imaddress)", addresses)
	}
	return out + ")"
}

// Filter narrows a stream of user rows. Empty fields do not narrow.
type Filter struct {
	Nodes   []mesh.NodeName // home nodes, by name
	Buckets []string
	Users   []string // user IDs, or IM addresses
}
