package check

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Record is a PREFLIGHT item: the rows of one cluster, or of the mesh as a whole, when they were judged.
type Record struct {
	At   time.Time `json:"at"`
	Rows Rows      `json:"rows,omitempty"`
}

// Rows are rows as they are stored: deflated JSON. Every function reads a mesh's items at every tick, and these for
// nothing; deflated they are a sixth, for rows repeat each other's words.
type Rows []Row

// maxUnfolded bounds what stored rows unfold to: maxRows of the longest texts make 300 KB.
const maxUnfolded = 1 << 20

// UnmarshalJSON unfolds them.
func (r *Rows) UnmarshalJSON(b []byte) error {
	var packed []byte
	if err := json.Unmarshal(b, &packed); err != nil {
		return err
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxUnfolded+1))
	if err == nil && len(plain) > maxUnfolded {
		err = fmt.Errorf("they unfold to more than %d bytes", maxUnfolded)
	}
	if err == nil {
		err = json.Unmarshal(plain, (*[]Row)(r))
	}
	if err != nil {
		return fmt.Errorf("the rows of a preflight cannot be read: %w", err)
	}
	return nil
}

// MarshalJSON folds them.
func (r Rows) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal([]Row(r))
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
	return json.Marshal(out.Bytes())
}
