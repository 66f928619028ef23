package clustersim

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the database behind AXL's SQL
)

// queryTimeout bounds one statement, so that a cartesian product does not hold
// a cluster's database for ever. Wall time.
const queryTimeout = time.Minute

// The tables and columns below are those seen in public evidence about IM&P
// (and, for processconfig, processnodeservice and typeservice, about CUCM).
// What is not evidenced is in invented.go.
const schema = `
CREATE TABLE processnode (pkid CHAR(36), name VARCHAR(255), mac VARCHAR(12), systemnode CHAR(1), description VARCHAR(128),
	isactive CHAR(1), nodeid INTEGER, tknodeusage INTEGER, ipv6name VARCHAR(255), fklbmhubgroup CHAR(36), tkprocessnoderole INTEGER, tkssomode INTEGER);
CREATE TABLE enterprisenode (id INTEGER, name VARCHAR(255), subclusterid INTEGER, isprimary CHAR(1), tkhaserverstate INTEGER);
CREATE TABLE enterprisesubcluster (id INTEGER, name VARCHAR(128), haenabled CHAR(1));
CREATE TABLE epassyncagentcfg (ccmpublisherip VARCHAR(255), axluser VARCHAR(128), axlpassword VARCHAR(128), cucm_axluser_pkid CHAR(36), syncstatus VARCHAR(255));
CREATE TABLE processconfig (pkid CHAR(36), paramname VARCHAR(128), paramvalue VARCHAR(255), tkservice INTEGER, fkprocessnode CHAR(36));
CREATE TABLE processnodeservice (pkid CHAR(36), servername VARCHAR(255), tkservice INTEGER, tracelevel INTEGER, enable CHAR(1), isactive CHAR(1));
CREATE TABLE typeservice (enum INTEGER, nameforcontrol VARCHAR(128), tktracelevelgroups INTEGER);
CREATE TABLE applicationuser (pkid CHAR(36), name VARCHAR(128));
CREATE TABLE enduser (pkid CHAR(36), userid VARCHAR(128), xcp_user_id INTEGER, tkuserlocale INTEGER, imaddress VARCHAR(255), xep106imaddress VARCHAR(255),
	directoryuri VARCHAR(255), mailid VARCHAR(255), status INTEGER, fkdirectorypluginconfig CHAR(36), deletedtimestamp INTEGER, passwordreverse VARCHAR(128),
	tkuserprofile INTEGER, tkassignmentstate INTEGER, ocsprimaryuseraddress VARCHAR(255), fkucccmcipprofile CHAR(36), tkphonepresence INTEGER, primarynodeid INTEGER,
	xep106userid VARCHAR(255), xep106mailid VARCHAR(255), auth_pwd VARCHAR(128), login_stamp INTEGER, logout_stamp INTEGER, auth_count INTEGER, pwd_stamp INTEGER,
	last_status VARCHAR(255), fkucserviceprofile CHAR(36), enablecalendarpresence CHAR(1), enablecups CHAR(1), discoveryuseridentity VARCHAR(255));
CREATE TABLE systables (tabname VARCHAR(128), tabid INTEGER, tabtype CHAR(1));
CREATE TABLE syscolumns (colname VARCHAR(128), tabid INTEGER, colno INTEGER, coltype INTEGER, collength INTEGER);
`

// catalogue fills systables and syscolumns from the tables there are. Informix
// type codes: 0 CHAR, 2 INTEGER, 13 VARCHAR; its own tables have ids below 100.
const catalogue = `
INSERT INTO systables SELECT name, CASE WHEN name LIKE 'sys%' THEN rowid ELSE rowid + 99 END, 'T' FROM sqlite_master WHERE type = 'table';
INSERT INTO syscolumns SELECT c.name, t.tabid, c.cid + 1,
	CASE WHEN c.type LIKE 'CHAR%' THEN 0 WHEN c.type LIKE 'VARCHAR%' THEN 13 ELSE 2 END,
	CASE WHEN INSTR(c.type, '(') > 0 THEN CAST(SUBSTR(c.type, INSTR(c.type, '(') + 1) AS INTEGER) ELSE 4 END
	FROM systables t, pragma_table_info(t.tabname) c;
`

// indexes come after the bulk load: building them then is three times as fast
// as keeping them during it. The second one covers the counts by node.
const indexes = `
CREATE UNIQUE INDEX enduser_pkid ON enduser (pkid);
CREATE INDEX enduser_home ON enduser (primarynodeid, status, deletedtimestamp, enablecups, tkuserprofile);
`

// database is one cluster's. Every use of it holds mu; a caller that needs two takes
// them in the order of the clusters.
type database struct {
	mu     sync.Mutex
	uri    string
	db     *sql.DB
	anchor *sql.DB // keeps the memory alive should database/sql drop db's one connection
	memory memory  // known once it is loaded
}

func openDatabase() (*database, error) {
	d := &database{}
	// The memdb file system shares one memory among the connections of a process,
	// which lets one cluster ATTACH another's while it copies users. The name is
	// random because simulations in one process must not meet.
	d.uri = "file:/" + rand.Text() + "?vfs=memdb"
	options := "&_pragma=synchronous(0)&_pragma=journal_mode(off)&_pragma=case_sensitive_like(1)&_pragma=temp_store(2)"
	var err error
	if d.anchor, err = sql.Open("sqlite", d.uri+options); err != nil {
		return nil, fmt.Errorf("opening a cluster's database: %w", err)
	}
	d.anchor.SetMaxOpenConns(1)
	if d.db, err = sql.Open("sqlite", d.uri+options+"&_pragma=cache_size(-65536)"); err != nil {
		return nil, errors.Join(fmt.Errorf("opening a cluster's database: %w", err), d.anchor.Close())
	}
	d.db.SetMaxOpenConns(1)
	if _, err := d.db.Exec("PRAGMA page_size = 8192;" + schema + peerTable + catalogue); err != nil {
		return nil, errors.Join(fmt.Errorf("creating the schema: %w", err), d.Close())
	}
	if err := d.anchor.Ping(); err != nil {
		return nil, errors.Join(fmt.Errorf("anchoring the database: %w", err), d.Close())
	}
	return d, nil
}

func (d *database) Close() error { return errors.Join(d.db.Close(), d.anchor.Close()) }

// finishLoad builds the indexes and turns the roll-back journal on, which bulk
// loading goes without.
func (d *database) finishLoad() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.db.Exec(indexes + "PRAGMA journal_mode = memory;"); err != nil {
		return fmt.Errorf("indexing: %w", err)
	}
	return d.memory.learn(d.db)
}

// exec runs the simulator's own SQL, already in SQLite's dialect.
func (d *database) exec(query string, args ...any) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.execLocked(query, args...)
}

func (d *database) execLocked(query string, args ...any) (int, error) {
	d.memory.wrote(query)
	res, err := d.db.Exec(query, args...)
	if err != nil {
		return 0, fmt.Errorf("executing %q: %w", query, err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// rows is a query of the simulator's own; NULL reads as "".
func (d *database) rows(query string, args ...any) ([][]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rows, err := d.db.Query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("querying %q: %w", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out [][]string
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		targets := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		row := make([]string, len(columns))
		for i, v := range values {
			row[i] = v.String
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

func (d *database) number(query string, args ...any) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var n sql.NullInt64
	if err := d.db.QueryRow(query, args...).Scan(&n); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("querying %q: %w", query, err)
	}
	return int(n.Int64), nil
}

// query answers executeSQLQuery: each row is handed to row, whose arguments are
// valid until it returns; a nil value is NULL. The database is locked all the
// while, so row must not wait for anybody.
func (d *database) query(ctx context.Context, text string, columns func([]string), row func([]sql.RawBytes) error) error {
	st, err := rewrite(text)
	if err != nil {
		return err
	}
	if st.Verb != "SELECT" {
		return errSyntax()
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.memory.recall(st.SQL); ok {
		columns(r.columns)
		for _, values := range r.rows {
			if err := row(values); err != nil {
				return err
			}
		}
		return nil
	}
	rows, err := d.db.QueryContext(ctx, st.SQL)
	if err != nil {
		return informixError(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return informixError(err)
	}
	for i, name := range names {
		names[i] = columnLabel(name)
	}
	columns(names)
	r := remembered{columns: names}
	values := make([]sql.RawBytes, len(names))
	targets := make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return informixError(err)
		}
		r.add(values)
		if err := row(values); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return informixError(err)
	}
	d.memory.keep(st.SQL, r)
	return nil
}

// update answers executeSQLUpdate and says which table it wrote to.
func (d *database) update(ctx context.Context, text string) (table string, rows int, err error) {
	st, err := rewrite(text)
	if err != nil {
		return "", 0, err
	}
	switch st.Verb {
	case "UPDATE", "INSERT", "DELETE":
	default:
		return "", 0, errSyntax()
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memory.wrote(st.SQL)
	res, err := d.db.ExecContext(ctx, st.SQL)
	if err != nil {
		return st.Table, 0, informixError(err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return st.Table, 0, informixError(err)
	}
	return st.Table, int(n), nil
}

// informixError words SQLite's refusals as Informix does. SQLite tells a
// missing table from a missing column in its text only, so the text is read
// here, and nowhere else.
func informixError(err error) error {
	text := err.Error()
	after := func(marker string) (string, bool) {
		_, rest, found := strings.Cut(text, marker)
		if !found {
			return "", false
		}
		return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "(1)")), true
	}
	if name, ok := after("no such table: "); ok {
		return errNoTable(strings.TrimPrefix(name, "main."))
	}
	if name, ok := after("no such column: "); ok {
		return &sqlError{-217, fmt.Sprintf("Column (%s) not found in any table in the query (or SLV is undefined).", name)}
	}
	if name, ok := after("no such function: "); ok {
		return &sqlError{-674, fmt.Sprintf("Routine (%s) can not be resolved.", name)}
	}
	if name, ok := after("ambiguous column name: "); ok {
		return &sqlError{-324, fmt.Sprintf("Ambiguous column (%s).", name)}
	}
	if strings.Contains(text, "has no column named") {
		return &sqlError{-217, "Column not found in any table in the query (or SLV is undefined)."}
	}
	if strings.Contains(text, "UNIQUE constraint failed") {
		return &sqlError{-239, "Could not insert new row - duplicate value in a UNIQUE INDEX column."}
	}
	if strings.Contains(text, "interrupted") || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &sqlError{-213, "Statement interrupted by user."}
	}
	return errSyntax()
}
