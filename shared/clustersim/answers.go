package clustersim

import (
	"bytes"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
)

// memory keeps what whole statements were answered until a table that they name
// is written. A mesh is asked the same at every look, and to count 450,000 users
// once more each time costs more than all that is watching.
type memory struct {
	tables map[string]int // how often each table was written
	kept   map[string]remembered
	size   int // bytes of all that is kept
}

type remembered struct {
	columns []string
	rows    [][]sql.RawBytes
	size    int            // bytes of all rows
	tables  map[string]int // what it names, as it was then
}

// Bounds of what one database keeps. The longest answer that is worth it counts
// the users of 30 clusters by day, some 200 KB; a page of all users is longer, and
// would seldom be asked for again.
const (
	maxRemembered = 512 << 10 // bytes of an answer
	maxMemory     = 1 << 20   // bytes of all
)

func (r *remembered) add(values []sql.RawBytes) {
	if r.size > maxRemembered {
		return
	}
	row := make([]sql.RawBytes, len(values))
	for i, v := range values {
		row[i] = bytes.Clone(v)
		r.size += len(v) + 1
	}
	r.rows = append(r.rows, row)
}

// learn is told the tables that there are; what names none of them is not kept.
func (m *memory) learn(db *sql.DB) error {
	rows, err := db.Query("SELECT LOWER(name) FROM sqlite_master WHERE type IN ('table', 'view')")
	if err != nil {
		return fmt.Errorf("listing the tables: %w", err)
	}
	defer rows.Close()
	m.tables = map[string]int{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		m.tables[name] = 0
	}
	return rows.Err()
}

var identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// named gives the tables that a statement names, and how often each was written.
func (m *memory) named(statement string) map[string]int {
	found := map[string]int{}
	for _, word := range identifier.FindAllString(strings.ToLower(statement), -1) {
		if writes, ok := m.tables[word]; ok {
			found[word] = writes
		}
	}
	return found
}

// wrote takes note of a statement that may have changed what it names.
func (m *memory) wrote(statement string) {
	for name := range m.named(statement) {
		m.tables[name]++
	}
}

func (m *memory) recall(statement string) (remembered, bool) {
	r, ok := m.kept[statement]
	for name, writes := range r.tables {
		if m.tables[name] != writes {
			delete(m.kept, statement)
			m.size -= r.size
			return remembered{}, false
		}
	}
	return r, ok
}

func (m *memory) keep(statement string, r remembered) {
	r.tables = m.named(statement)
	// What depends on the moment is worked out each time.
	if r.size > maxRemembered || len(r.tables) == 0 || strings.Contains(strings.ToLower(statement), "current") {
		return
	}
	if m.kept == nil || m.size+r.size > maxMemory {
		m.kept, m.size = map[string]remembered{}, 0
	}
	m.kept[statement], m.size = r, m.size+r.size
}
