package clustersim

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRewrite(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"plain", "select name from processnode", "SELECT name from processnode"},
		{"first", "SELECT FIRST 5 a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a LIMIT 5"},
		{"skip and first", "SELECT SKIP 10 FIRST 5 a FROM t", "SELECT a FROM t LIMIT 5 OFFSET 10"},
		{"skip alone", "SELECT SKIP 10 a FROM t", "SELECT a FROM t LIMIT -1 OFFSET 10"},
		{"limit before the columns", "SELECT LIMIT 3 a FROM t", "SELECT a FROM t LIMIT 3"},
		{"any case, any blanks", "sElEcT\n\tskip 0\tfirst 2 a\nFROM t;", "SELECT a FROM t LIMIT 2 OFFSET 0"},
		{"a column named first", "SELECT first, skip FROM t", "SELECT first , skip FROM t"},
		{"in a subquery", "SELECT a FROM (SELECT FIRST 2 a FROM t) x WHERE a > 1", "SELECT a FROM ( SELECT a FROM t LIMIT 2 ) x WHERE a > 1"},
		{"in both", "SELECT FIRST 1 a FROM (SELECT SKIP 1 FIRST 2 a FROM t)", "SELECT a FROM ( SELECT a FROM t LIMIT 2 OFFSET 1 ) LIMIT 1"},
		{"in an expression", "SELECT a, (SELECT FIRST 1 b FROM u) FROM t", "SELECT a , ( SELECT b FROM u LIMIT 1 ) FROM t"},
		{"union", "SELECT FIRST 2 a FROM t UNION SELECT b FROM u", "SELECT a FROM t UNION SELECT b FROM u LIMIT 2"},
		{"distinct stays", "SELECT FIRST 2 DISTINCT a FROM t", "SELECT DISTINCT a FROM t LIMIT 2"},
		{"unique", "SELECT UNIQUE a FROM t", "SELECT DISTINCT a FROM t"},
		{"literals are left alone", "SELECT 'SELECT FIRST 5 ; -- x' FROM t WHERE a = 'it''s (' AND b = ')'", "SELECT 'SELECT FIRST 5 ; -- x' FROM t WHERE a = 'it''s (' AND b = ')'"},
		{"double quotes are literals too", `SELECT a FROM t WHERE b = "it's"`, "SELECT a FROM t WHERE b = 'it''s'"},
		{"comments go", "SELECT a {first 3} FROM t -- skip 2\nWHERE b = 1 /* x */", "SELECT a FROM t WHERE b = 1"},
		{"matches and nvl", "SELECT NVL(a, 'x') FROM t WHERE a MATCHES '*y'", "SELECT IFNULL ( a , 'x' ) FROM t WHERE a GLOB '*y'"},
		{"substring", "SELECT SUBSTRING(a FROM 2 FOR LENGTH(b)) FROM t", "SELECT SUBSTR ( a , 2 , LENGTH ( b ) ) FROM t"},
		{"owner", "SELECT tabname FROM informix.systables", "SELECT tabname FROM systables"},
		{"operators", "SELECT a||b FROM t WHERE a<>1 AND b>=2 AND c!=3.5e-1", "SELECT a || b FROM t WHERE a <> 1 AND b >= 2 AND c != 3.5e-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := rewrite(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if got.SQL != test.want {
				t.Errorf("\n got %s\nwant %s", got.SQL, test.want)
			}
		})
	}
	for name, in := range map[string]string{
		"empty": "", "two statements": "SELECT 1; SELECT 2", "open literal": "SELECT 'a", "open parenthesis": "SELECT (1", "closing parenthesis": "SELECT 1)",
		"parameter": "SELECT ?", "SQLite's catalogue": "SELECT * FROM sqlite_master", "pragma function": "SELECT * FROM pragma_table_info('enduser')",
		"backticks": "SELECT `a` FROM t", "brackets": "SELECT [a] FROM t", "cast": "SELECT a::INT FROM t", "NUL": "SELECT \x00", "not UTF-8": "SELECT '\xff'",
		"extension": "SELECT load_extension('x')", "open comment": "SELECT {a",
	} {
		if got, err := rewrite(in); err == nil {
			t.Errorf("%s: accepted as %q", name, got.SQL)
		} else if refused := new(sqlError); !errors.As(err, &refused) {
			t.Errorf("%s: %T is no sqlError", name, err)
		}
	}
}

func TestWrittenTable(t *testing.T) {
	for in, want := range map[string]string{
		"UPDATE EndUser SET a = 1": "enduser", "insert into informix.enduser values (1)": "enduser", "DELETE FROM cupsinterclusterpeers": "cupsinterclusterpeers", "SELECT 1": "",
	} {
		got, err := rewrite(in)
		if err != nil || got.Table != want {
			t.Errorf("%s: %q %v", in, got.Table, err)
		}
	}
}

func TestColumnLabel(t *testing.T) {
	for in, want := range map[string]string{"Name": "name", "COUNT ( * )": "count", "max ( a )": "max", "LOWER ( a )": "expression", "a || b": "expression", "'x'": "constant", "1": "constant"} {
		if got := columnLabel(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// What Informix does by case, SQLite must too.
func TestDialectOfTheDatabase(t *testing.T) {
	r := newRig(t, Config{Users: 5, Clusters: 1})
	count := func(where string) string {
		return r.query(emeaPub, "SELECT COUNT(*) FROM processnode WHERE "+where).row(0)["count"]
	}
	for where, want := range map[string]string{
		"name LIKE 'imp-%'": "2", "name LIKE 'IMP-%'": "0", "name MATCHES 'imp-*'": "2", `name = "` + emeaPub + `"`: "1", "systemnode = 'f'": "3",
		"name = 'SELECT FIRST 1 x'": "0", "SUBSTR(name, -3) = 'com'": "3", "LENGTH(name) > 5 AND NVL(ipv6name, 'none') = 'none'": "4",
	} {
		if got := count(where); got != want {
			t.Errorf("%s: %s rows, want %s", where, got, want)
		}
	}
}

// A statement that would never end is ended, and the database lives on.
func TestEndlessStatement(t *testing.T) {
	r := newRig(t, Config{Users: 200, Clusters: 1})
	db := r.cluster("emea").db
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := db.query(ctx, "SELECT COUNT(*) FROM enduser a, enduser b, enduser c, enduser d, enduser e", func([]string) {}, func([]sql.RawBytes) error { return nil })
	if refused := new(sqlError); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
	if n := r.query(emeaPub, "SELECT COUNT(*) FROM enduser").row(0)["count"]; n != "204" {
		t.Errorf("%s rows afterwards", n)
	}
}

// Whatever a client sends, a statement that is accepted as a SELECT changes
// nothing, and the database never sees two statements.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{
		"SELECT SKIP 1 FIRST 2 a FROM t WHERE b = 'x;y' -- c\n", "UPDATE t SET a = \"b\"", "SELECT SUBSTRING(a FROM 1 FOR 2) FROM (SELECT FIRST 3 * FROM u)",
		"SELECT 'a''b' || {c} 1.5e+3", "DELETE FROM informix.t;", "SELECT ((((", "select \"", "INSERT INTO t SELECT FIRST 1 a FROM u",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := rewrite(in)
		if err != nil {
			if refused := new(sqlError); !errors.As(err, &refused) {
				t.Fatalf("%T is no sqlError", err)
			}
			return
		}
		tokens, err := tokenize(out.SQL)
		if err != nil {
			t.Fatalf("%q became %q, which is no statement: %v", in, out.SQL, err)
		}
		depth := 0
		for _, tok := range tokens {
			switch {
			case tok.kind != tokenSymbol:
				if tok.kind == tokenWord && forbidden(tok.text) {
					t.Fatalf("%q lets %s through", in, tok.text)
				}
			case tok.text == ";":
				t.Fatalf("%q became two statements: %q", in, out.SQL)
			case tok.text == "(":
				depth++
			case tok.text == ")":
				if depth--; depth < 0 {
					t.Fatalf("%q is not balanced", out.SQL)
				}
			}
		}
		if depth != 0 || !strings.EqualFold(tokens[0].text, out.Verb) {
			t.Fatalf("%q became %q", in, out.SQL)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	f.Add(axlEnvelope("14.0", "executeSQLQuery", "<sql>SELECT 1</sql>"))
	f.Add("<a/>")
	f.Add("<!DOCTYPE a><a/>")
	f.Add(`<Envelope xmlns="` + soapNamespace + `"><Body><x y="1"/></Body></Envelope>`)
	f.Fuzz(func(t *testing.T, in string) {
		e, err := parseEnvelope(strings.NewReader(in))
		if (e == nil) == (err == nil) {
			t.Fatalf("element %v with error %v", e, err)
		}
	})
}
