package clustersim

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// What is answered from memory is what the database would answer: every write to
// a table that a statement names is seen, however it comes about.
func TestARememberedAnswerIsNeverOld(t *testing.T) {
	d, err := openDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := d.finishLoad(); err != nil {
		t.Fatal(err)
	}
	const count = "select count(*) from enduser"
	ask := func(statement string) string {
		t.Helper()
		var rows []string
		if err := d.query(t.Context(), statement, func([]string) {}, func(values []sql.RawBytes) error {
			for _, v := range values {
				rows = append(rows, string(v))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(rows, " ")
	}
	want := func(answer string) {
		t.Helper()
		for range 2 {
			if got := ask(count); got != answer {
				t.Fatalf("%s users, want %s", got, answer)
			}
		}
	}
	want("0")
	if _, err := d.exec("INSERT INTO enduser (pkid, userid) VALUES ('1', 'ann')"); err != nil {
		t.Fatal(err)
	}
	want("1")
	if _, _, err := d.update(t.Context(), "insert into enduser (pkid, userid) values ('2', 'bob')"); err != nil {
		t.Fatal(err)
	}
	want("2")
	if err := d.insertUsers([]newUser{{userid: "eve"}}); err != nil {
		t.Fatal(err)
	}
	want("3")
	if _, err := d.exec("UPDATE cupsinterclusterpeers SET lasterror = 'x'"); err != nil {
		t.Fatal(err)
	}
	if len(d.memory.kept) != 1 {
		t.Errorf("a write to another table is no reason to count users again: %v", d.memory.kept)
	}
	fill := func(rows int) {
		t.Helper()
		if _, err := d.exec(fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO enduser (pkid, userid) SELECT HEX(RANDOMBLOB(16)), HEX(RANDOMBLOB(16)) FROM n", rows)); err != nil {
			t.Fatal(err)
		}
	}
	fill(10_000) // 330 KB
	for i := range 9 {
		ask(fmt.Sprintf("select userid from enduser where userid <> '%d'", i))
	}
	if n := len(d.memory.kept); n == 0 || d.memory.size > maxMemory {
		t.Errorf("after nine answers of 330 KB %d are kept, %d bytes", n, d.memory.size)
	}
	fill(10_000)
	ask("select userid from enduser")
	for statement, r := range d.memory.kept {
		if r.size > maxRemembered {
			t.Errorf("%s: %d bytes are kept", statement, r.size)
		}
	}
}
