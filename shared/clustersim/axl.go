package clustersim

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// version is the AXL version of the request's namespace.
func (c *exchangeCall) version() string {
	if c.operation == nil {
		return fmt.Sprintf("%d.%d", c.release.major, c.release.minor)
	}
	return strings.TrimPrefix(c.operation.Name.Space, axlNamespace)
}

var errAXLMemory = errors.New("AXL memory is used up")

// axl checks what AXL checks of every request, then carries out the operation.
func (s *Sim) axl(c *exchangeCall) *answer {
	if c.parseError != nil {
		return c.soapFault(-1, "The request is not a SOAP envelope that AXL understands")
	}
	version, ok := strings.CutPrefix(c.operation.Name.Space, axlNamespace)
	if !ok {
		return c.soapFault(-1, "The operation is not in a namespace of AXL")
	}
	supported := func(v string) bool { return c.release.answers(v) }
	if action := strings.Trim(strings.TrimSpace(c.r.Header.Get("SOAPAction")), `"`); action != "" {
		declared, operation, ok := strings.Cut(strings.TrimPrefix(action, "CUCM:DB ver="), " ")
		if !strings.HasPrefix(action, "CUCM:DB ver=") {
			return c.soapFault(-1, "SOAPAction is not of the form CUCM:DB ver=<version> <operation>")
		}
		if !supported(declared) {
			return c.unsupported()
		}
		if declared != version || ok && operation != c.name {
			return c.soapFault(-1, fmt.Sprintf("SOAPAction %q and body {%s}%s disagree", action, c.operation.Name.Space, c.name))
		}
	}
	if !supported(version) {
		return c.unsupported()
	}
	if f := c.operation.foreign(""); f != nil {
		return c.soapFault(-1, fmt.Sprintf("Element {%s}%s: children of an AXL operation are unqualified", f.Name.Space, f.Name.Local))
	}
	operation, ok := axlOperations[c.name]
	if !ok {
		return c.notModelled("AXL operation " + c.name)
	}
	if operation.write && !c.account.write {
		return c.forbidden()
	}
	if _, ok := c.operation.attr("sequence"); ok && operation.noSequence {
		return c.soapFault(-1, "Attribute sequence is not allowed on "+c.name)
	}
	a := operation.run(s, c)
	if operation.write && a.status == http.StatusOK {
		s.mu.Lock()
		c.n.cluster.writes++
		s.mu.Unlock()
	}
	return a
}

func (c *exchangeCall) unsupported() *answer {
	return c.s.html(599, "Incorrect axl version. Supported axl versions are "+axlVersions[c.release.major].text+". ")
}

type axlOperation struct {
	run        func(*Sim, *exchangeCall) *answer
	write      bool
	noSequence bool
}

var axlOperations = map[string]axlOperation{
	"getCCMVersion":               {run: (*Sim).getCCMVersion, noSequence: true},
	"executeSQLQuery":             {run: (*Sim).executeSQLQuery},
	"executeSQLUpdate":            {run: (*Sim).executeSQLUpdate, write: true},
	"listProcessNode":             {run: (*Sim).listProcessNode},
	"getServiceParameter":         {run: (*Sim).getServiceParameter},
	"listServiceParameter":        {run: (*Sim).listServiceParameter},
	"updateServiceParameter":      {run: (*Sim).updateServiceParameter, write: true},
	"doServiceParametersReset":    {run: (*Sim).doServiceParametersReset, write: true},
	"getSyslogConfiguration":      {run: (*Sim).getSyslogConfiguration},
	"listUser":                    {run: (*Sim).listUser},
	"getUser":                     {run: (*Sim).getUser},
	"listAssignedPresenceUsers":   {run: (*Sim).listAssignedPresenceUsers},
	"listUnassignedPresenceUsers": {run: (*Sim).listUnassignedPresenceUsers},
}

// response opens the answer of the operation; the caller writes into <return>.
func (c *exchangeCall) response() *markup {
	m := c.s.pages.envelope()
	attrs := []string{"xmlns:ns", c.operation.Name.Space}
	if sequence, ok := c.operation.attr("sequence"); ok {
		attrs = append(attrs, "sequence", sequence)
	}
	m.start("ns:"+c.name+"Response", attrs...)
	return m
}

func (s *Sim) ok(m *markup) *answer { return s.soap(http.StatusOK, m.finish()) }

// sqlFault reports what the database refused.
func (c *exchangeCall) sqlFault(what string, err error) *answer {
	var refused *sqlError
	if errors.As(err, &refused) {
		return c.soapFault(-1, refused.Error())
	}
	return c.s.broken(c.n, what, err)
}

func (c *exchangeCall) notFound(kind, name string) *answer {
	return c.soapFault(5007, fmt.Sprintf("Item not valid: The specified %s was not found", strings.TrimSpace(kind+" "+name)))
}

func (s *Sim) getCCMVersion(c *exchangeCall) *answer {
	s.mu.Lock()
	n := c.n
	if name := c.operation.value("processNodeName"); name != "" {
		n = n.cluster.node(name)
	}
	version := ""
	if n != nil {
		version = n.release.axl()
	}
	s.mu.Unlock()
	if version == "" {
		return c.notFound("processNode", c.operation.value("processNodeName"))
	}
	m := c.response()
	m.start("return")
	m.start("componentVersion")
	m.leaf("version", version)
	return s.ok(m)
}

// reserve takes AXL memory of the node for an answer in the making, or gives it
// back. It is called with a database locked, so it must not lock the simulation.
func (n *node) reserve(bytes int) error {
	if n.inFlight.Add(int64(bytes)) > axlMemory && bytes > 0 {
		n.inFlight.Add(int64(-bytes))
		return errAXLMemory
	}
	return nil
}

func (s *Sim) executeSQLQuery(c *exchangeCall) *answer {
	db, err := s.databaseOf(c.n)
	if err != nil {
		return s.broken(c.n, "opening CUCM's database", err)
	}
	m := c.response()
	m.grow = c.n.reserve
	m.release = func(bytes int) { _ = c.n.reserve(-bytes) } // giving back is never refused
	// The first piece was taken before grow was set; release will give it back.
	if err := c.n.reserve(chunkBytes * len(m.pieces)); err != nil {
		m.release = nil
		m.drop()
		return c.memoryFault()
	}
	m.start("return")
	var start, end, empty [][]byte
	rows, size, encoded := 0, 0, 0
	err = db.query(c.r.Context(), c.operation.value("sql"), func(columns []string) {
		for _, name := range columns {
			start = append(start, []byte("<"+name+">"))
			end = append(end, []byte("</"+name+">"))
			empty = append(empty, []byte("<"+name+"/>"))
		}
	}, func(values []sql.RawBytes) error {
		rows++
		for _, v := range values {
			size += len(v)
		}
		if size > s.cfg.AnswerBudget {
			return nil // rows go on being counted, for the fault's text
		}
		encoded++
		m.WriteString("<row>")
		for i, v := range values {
			if v == nil {
				_, _ = m.Write(empty[i]) // a refusal is kept in m.err
				continue
			}
			_, _ = m.Write(start[i])
			escapeInto(m.page, v)
			_, _ = m.Write(end[i])
		}
		m.WriteString("</row>")
		return m.err
	})
	switch {
	case errors.Is(err, errAXLMemory):
		m.drop()
		return c.memoryFault()
	case err != nil:
		m.drop()
		return c.sqlFault("executeSQLQuery", err)
	case encoded < rows:
		m.drop()
		return c.soapFault(-1, fmt.Sprintf("Query request too large. Total rows matched: %d rows. Suggestive Row Fetch: less than %d rows",
			rows, max(1, rows*s.cfg.AnswerBudget/size)))
	}
	m.end(len(m.open))
	if m.err != nil {
		m.drop()
		return c.memoryFault()
	}
	return s.soap(http.StatusOK, m.page)
}

func (c *exchangeCall) memoryFault() *answer {
	return c.soapFault(-1, "Maximum AXL Memory Allocation Consumed. Please retry once requests in progress have completed")
}

func (s *Sim) executeSQLUpdate(c *exchangeCall) *answer {
	if c.n.role == roleCUCM {
		return c.notModelled("executeSQLUpdate on CUCM")
	}
	cl := c.n.cluster
	table, rows, err := cl.db.update(c.r.Context(), c.operation.value("sql"))
	if err != nil {
		return c.sqlFault("executeSQLUpdate", err)
	}
	if err := s.written(cl, table); err != nil {
		return s.broken(c.n, "executeSQLUpdate", err)
	}
	m := c.response()
	m.start("return")
	m.integer("rowsUpdated", rows)
	return s.ok(m)
}

// written makes the rest of the simulation follow what was written to a table.
func (s *Sim) written(c *cluster, table string) error {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch table {
	case "enduser":
		c.homeVersion++
		for _, p := range c.peers {
			p.seen = 0 // copies may have been touched: make them again
		}
	case "processconfig":
		s.readParameters(c)
	case "cupsinterclusterpeers":
		return s.reloadPeers(c, now)
	}
	return nil
}

// axlUUID is the form of a key in AXL.
func axlUUID(pkid string) string { return "{" + strings.ToUpper(pkid) + "}" }

func pkidOf(uuid string) string { return strings.ToLower(strings.Trim(uuid, "{}")) }

// tags are the returnedTags of a request: whether a field is wanted. Without
// the element everything is.
func (c *exchangeCall) tags() func(string) bool {
	returned := c.operation.child("returnedTags")
	if returned == nil || len(returned.Children) == 0 {
		return func(string) bool { return true }
	}
	return func(name string) bool { return returned.child(name) != nil }
}

// window is skip and first of a list request, as SQL.
func (c *exchangeCall) window() string {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(c.operation.value(name)); err == nil && n >= 0 {
			return n
		}
		return otherwise
	}
	return fmt.Sprintf(" LIMIT %d OFFSET %d", number("first", -1), number("skip", 0))
}

// criteria turns searchCriteria into conditions: % is AXL's wildcard, without
// regard to case. At least one criterion must be there.
func (c *exchangeCall) criteria(columns map[string]string) (where string, args []any, refusal *answer) {
	search := c.operation.child("searchCriteria")
	if search == nil || len(search.Children) == 0 {
		return "", nil, c.soapFault(-1, "At least one element under searchCriteria has to be mentioned")
	}
	for _, criterion := range search.Children {
		column, ok := columns[criterion.Name.Local]
		if !ok {
			return "", nil, c.notModelled(c.name + " by " + criterion.Name.Local)
		}
		where += " AND LOWER(COALESCE(" + column + ", '')) LIKE LOWER(?)"
		args = append(args, strings.TrimSpace(criterion.Text))
	}
	return where, args, nil
}

func (s *Sim) listProcessNode(c *exchangeCall) *answer {
	const processRole = "CASE tkprocessnoderole WHEN 2 THEN 'CUCM IM and Presence' ELSE 'CUCM Voice/Video' END"
	where, args, refusal := c.criteria(map[string]string{"name": "name", "description": "description", "processNodeRole": processRole})
	if refusal != nil {
		return refusal
	}
	rows, err := c.n.cluster.db.rows("SELECT pkid, name, description, CASE tknodeusage WHEN 0 THEN 'Publisher' ELSE 'Subscriber' END, "+processRole+
		" FROM processnode WHERE 1 = 1"+where+" ORDER BY nodeid"+c.window(), args...)
	if err != nil {
		return s.broken(c.n, c.name, err)
	}
	wanted := c.tags()
	m := c.response()
	m.start("return")
	for _, row := range rows {
		m.start("processNode", "uuid", axlUUID(row[0]))
		for i, tag := range []string{"name", "description", "nodeUsage", "processNodeRole"} {
			if wanted(tag) {
				m.leaf(tag, row[i+1])
			}
		}
		m.end(1)
	}
	return s.ok(m)
}

const parameterSelect = `SELECT c.pkid, p.pkid, p.name, c.paramname, t.nameforcontrol, c.paramvalue
	FROM processconfig c JOIN processnode p ON c.fkprocessnode = p.pkid JOIN typeservice t ON c.tkservice = t.enum WHERE 1 = 1`

// findParameter looks for the one that a request names, by uuid or by node,
// name and service.
func (c *exchangeCall) findParameter() ([]string, *answer) {
	query, args := parameterSelect+" AND c.pkid = ?", []any{pkidOf(c.operation.value("uuid"))}
	if c.operation.child("uuid") == nil {
		query = parameterSelect + " AND LOWER(p.name) = LOWER(?) AND c.paramname = ? AND t.nameforcontrol = ?"
		args = []any{c.operation.value("processNodeName"), c.operation.value("name"), c.operation.value("service")}
	}
	rows, err := c.n.cluster.db.rows(query, args...)
	if err != nil {
		return nil, c.s.broken(c.n, c.name, err)
	}
	if len(rows) != 1 {
		return nil, c.notFound("ServiceParameter", c.operation.value("name"))
	}
	return rows[0], nil
}

func writeParameter(m *markup, row []string, wanted func(string) bool) {
	m.start("serviceParameter", "uuid", axlUUID(row[0]))
	if wanted("processNodeName") {
		m.leaf("processNodeName", row[2], "uuid", axlUUID(row[1]))
	}
	for _, field := range []struct{ tag, value string }{{"name", row[3]}, {"service", row[4]}, {"value", row[5]}, {"valueType", valueType(row[4], row[3])}} {
		if wanted(field.tag) {
			m.leaf(field.tag, field.value)
		}
	}
	m.end(1)
}

func valueType(service, name string) string {
	for _, p := range parameters {
		if p.service == service && p.name == name {
			return p.valueType
		}
	}
	return "string"
}

func (s *Sim) getServiceParameter(c *exchangeCall) *answer {
	row, refusal := c.findParameter()
	if refusal != nil {
		return refusal
	}
	m := c.response()
	m.start("return")
	writeParameter(m, row, c.tags())
	return s.ok(m)
}

func (s *Sim) listServiceParameter(c *exchangeCall) *answer {
	where, args, refusal := c.criteria(map[string]string{"processNodeName": "p.name", "service": "t.nameforcontrol"})
	if refusal != nil {
		return refusal
	}
	rows, err := c.n.cluster.db.rows(parameterSelect+where+" ORDER BY p.nodeid, c.rowid"+c.window(), args...)
	if err != nil {
		return s.broken(c.n, c.name, err)
	}
	m := c.response()
	m.start("return")
	for _, row := range rows {
		writeParameter(m, row, c.tags())
	}
	return s.ok(m)
}

func (s *Sim) updateServiceParameter(c *exchangeCall) *answer {
	row, refusal := c.findParameter()
	if refusal != nil {
		return refusal
	}
	if c.operation.child("value") == nil {
		return c.soapFault(-1, "Element value is missing")
	}
	value := c.operation.value("value")
	switch valueType(row[4], row[3]) {
	case "boolean": // T and F in AXL, t and f in the database
		switch value = strings.ToLower(value); value {
		case "t", "f":
		case "true":
			value = "t"
		case "false":
			value = "f"
		default:
			return c.soapFault(-1, "Value is not valid for a boolean parameter")
		}
	case "long":
		if _, err := strconv.Atoi(value); err != nil {
			return c.soapFault(-1, "Value is not valid for a numeric parameter")
		}
	}
	if _, err := c.n.cluster.db.exec("UPDATE processconfig SET paramvalue = ? WHERE pkid = ?", value, row[0]); err != nil {
		return s.broken(c.n, c.name, err)
	}
	if err := s.written(c.n.cluster, "processconfig"); err != nil {
		return s.broken(c.n, c.name, err)
	}
	m := c.response()
	m.leaf("return", axlUUID(row[0]))
	return s.ok(m)
}

func (s *Sim) doServiceParametersReset(c *exchangeCall) *answer {
	node, service := c.operation.value("processNodeName"), c.operation.value("service")
	rows, err := c.n.cluster.db.rows(parameterSelect+" AND LOWER(p.name) = LOWER(?) AND t.nameforcontrol = ?", node, service)
	if err != nil {
		return s.broken(c.n, c.name, err)
	}
	if len(rows) == 0 {
		return c.notFound("service", service)
	}
	for _, row := range rows {
		for _, p := range parameters {
			if p.service != row[4] || p.name != row[3] {
				continue
			}
			if _, err := c.n.cluster.db.exec("UPDATE processconfig SET paramvalue = ? WHERE pkid = ?", p.initial, row[0]); err != nil {
				return s.broken(c.n, c.name, err)
			}
		}
	}
	if err := s.written(c.n.cluster, "processconfig"); err != nil {
		return s.broken(c.n, c.name, err)
	}
	m := c.response()
	m.leaf("return", "true")
	return s.ok(m)
}

// userSelect are the users that CUCM knows: those of this cluster, active ones.
const userSelect = "SELECT pkid, userid, mailid, directoryuri, CASE WHEN enablecups = 't' THEN 'true' ELSE 'false' END FROM enduser WHERE tkuserprofile = 1 AND status = 1"

func writeUser(m *markup, row []string, wanted func(string) bool) {
	m.start("user", "uuid", axlUUID(row[0]))
	given, surname := personName(row[1])
	// In the order of the schema's sequence.
	for _, field := range []struct{ tag, value string }{
		{"firstName", given}, {"lastName", surname}, {"userid", row[1]}, {"mailid", row[2]},
		{"homeCluster", "true"}, {"imAndPresenceEnable", row[4]}, {"directoryUri", row[3]},
	} {
		if wanted(field.tag) {
			m.leaf(field.tag, field.value)
		}
	}
	m.end(1)
}

// personName reads a name out of a user ID; the database keeps none.
func personName(userid string) (given, surname string) {
	stem := strings.TrimRight(userid, "0123456789")
	if given, surname, ok := strings.Cut(stem, "."); ok {
		return capital(given), capital(surname)
	}
	if len(stem) < 2 {
		return "", userid
	}
	return strings.ToUpper(stem[:1]), capital(stem[1:])
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (s *Sim) listUser(c *exchangeCall) *answer {
	where, args, refusal := c.criteria(map[string]string{"userid": "userid"})
	if refusal != nil {
		return refusal
	}
	rows, err := c.n.cluster.db.rows(userSelect+where+" ORDER BY pkid"+c.window(), args...)
	if err != nil {
		return s.broken(c.n, c.name, err)
	}
	m := c.response()
	m.start("return")
	for _, row := range rows {
		writeUser(m, row, c.tags())
	}
	return s.ok(m)
}

func (s *Sim) getUser(c *exchangeCall) *answer {
	name, query, arg := c.operation.value("userid"), userSelect+" AND LOWER(userid) = LOWER(?)", c.operation.value("userid")
	if c.operation.child("uuid") != nil {
		name = c.operation.value("uuid")
		query, arg = userSelect+" AND pkid = ?", pkidOf(name)
	}
	rows, err := c.n.cluster.db.rows(query, arg)
	if err != nil {
		return s.broken(c.n, c.name, err)
	}
	if len(rows) == 0 {
		return c.notFound("", name)
	}
	m := c.response()
	m.start("return")
	writeUser(m, rows[0], c.tags())
	return s.ok(m)
}

func (s *Sim) listAssignedPresenceUsers(c *exchangeCall) *answer {
	where, args, refusal := c.criteria(map[string]string{"userid": "u.userid", "server": "e.name", "presenceRedundancyGroup": "g.name"})
	if refusal != nil {
		return refusal
	}
	rows, err := c.n.cluster.db.rows(`SELECT u.pkid, u.userid, p.pkid, e.name, g.name FROM enduser u JOIN enterprisenode e ON u.primarynodeid = e.id
		JOIN processnode p ON p.name = e.name JOIN enterprisesubcluster g ON g.id = e.subclusterid WHERE u.tkuserprofile = 1 AND u.status = 1 AND u.enablecups = 't'`+
		where+" ORDER BY u.pkid"+c.window(), args...)
	if err != nil {
		return s.broken(c.n, c.name, err)
	}
	wanted := c.tags()
	m := c.response()
	m.start("return")
	for _, row := range rows {
		m.start("assignedPresenceUsers", "uuid", axlUUID(row[0]))
		if wanted("userid") {
			m.leaf("userid", row[1])
		}
		if wanted("server") {
			m.leaf("server", row[3], "uuid", axlUUID(row[2]))
		}
		if wanted("presenceRedundancyGroup") {
			m.leaf("presenceRedundancyGroup", row[4])
		}
		m.end(1)
	}
	return s.ok(m)
}

func (s *Sim) listUnassignedPresenceUsers(c *exchangeCall) *answer {
	where, args, refusal := c.criteria(map[string]string{"userid": "userid"})
	if refusal != nil {
		return refusal
	}
	rows, err := c.n.cluster.db.rows(userSelect+" AND enablecups = 't' AND primarynodeid IS NULL"+where+" ORDER BY pkid"+c.window(), args...)
	if err != nil {
		return s.broken(c.n, c.name, err)
	}
	m := c.response()
	m.start("return")
	for _, row := range rows {
		m.start("unassignedPresenceUsers", "uuid", axlUUID(row[0]))
		m.leaf("userid", row[1])
		m.end(1)
	}
	return s.ok(m)
}

// databaseOf is what executeSQLQuery asks: the cluster's, or for CUCM its own,
// made when first asked for and refreshed when users have changed.
func (s *Sim) databaseOf(n *node) (*database, error) {
	if n.role != roleCUCM {
		return n.cluster.db, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := n.cluster
	if s.closed {
		return nil, context.Canceled
	}
	if c.cucm == nil {
		db, err := openDatabase()
		if err != nil {
			return nil, err
		}
		if err := db.finishLoad(); err != nil {
			return nil, errors.Join(err, db.Close())
		}
		// What only IM&P has is not in CUCM's database.
		for _, table := range []string{"cupsinterclusterpeers", "epassyncagentcfg", "enterprisenode", "enterprisesubcluster"} {
			_, dropped := db.exec("DROP TABLE " + table)
			_, listed := db.exec("DELETE FROM systables WHERE tabname = ?", table)
			if err := errors.Join(dropped, listed); err != nil {
				return nil, errors.Join(err, db.Close())
			}
		}
		c.cucm = db
	}
	return c.cucm, s.refreshCUCM(c)
}

func (s *Sim) refreshCUCM(c *cluster) error {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.cucm.mu.Lock()
	defer c.cucm.mu.Unlock()
	if _, err := c.cucm.execLocked("ATTACH ? AS imp", c.db.uri); err != nil {
		return err
	}
	var errs []error
	run := func(query string) {
		_, err := c.cucm.execLocked(query)
		errs = append(errs, err)
	}
	for _, table := range []string{"processnode", "processnodeservice", "processconfig", "typeservice", "applicationuser"} {
		run("DELETE FROM main." + table)
		run("INSERT INTO main." + table + " SELECT * FROM imp." + table)
	}
	if c.cucmVersion != c.homeVersion {
		run("DELETE FROM main.enduser")
		// CUCM assigns users to nodes elsewhere: its enduser has no primarynodeid.
		run("INSERT INTO main.enduser (pkid, userid, directoryuri, mailid, status, tkuserprofile, enablecups) SELECT pkid, userid, directoryuri, mailid, status, tkuserprofile, enablecups FROM imp.enduser WHERE tkuserprofile = 1")
		c.cucmVersion = c.homeVersion
	}
	run("DETACH imp")
	return errors.Join(errs...)
}
