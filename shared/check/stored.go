package check

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Record is a PREFLIGHT item: the rows of one cluster, or of the mesh as a whole, when they were judged. Every
// function reads a mesh's items at every tick, and these for nothing: deflated they are a sixth, for rows repeat each
// other's words.
type Record struct {
	At     time.Time `json:"at"`
	Packed []byte    `json:"rows,omitempty"` // deflated JSON
}

// maxUnfolded bounds what packed rows unfold to: maxRows of the longest texts make 200 KB.
const maxUnfolded = 1 << 20

// Rows are the rows.
func (r Record) Rows() ([]Row, error) {
	if len(r.Packed) == 0 {
		return nil, nil
	}
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(r.Packed)), maxUnfolded+1))
	if err == nil && len(b) > maxUnfolded {
		err = fmt.Errorf("they unfold to more than %d bytes", maxUnfolded)
	}
	var rows []Row
	if err == nil {
		err = json.Unmarshal(b, &rows)
	}
	if err != nil {
		return nil, fmt.Errorf("the rows of a preflight cannot be read: %w", err)
	}
	return rows, nil
}

func pack(rows []Row) ([]byte, error) {
	b, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
