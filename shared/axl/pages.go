package axl

import (
	"context"
	"errors"
	"fmt"

	"peerkeeper/shared/soap"
)

const (
	firstPage = 1000
	// pageBytes a page should stay below: while one client reads more, the others are to stay under 2 MB (vendor document), and
	// we cannot know whether an ICSA is reading more just now.
	pageBytes = 2 << 20
	// pageShare of that is aimed at, for rows grow longer than the average.
	pageShare = 0.8
	// suggestedShare of the number in a size fault is used; public clients take 0.5 to 0.7.
	suggestedShare = 0.6
	// growth of a page over the one before it, at most: rows further on may be longer than those measured.
	growth = 2
)

// PageSize is what was learned about how many rows one node gives at once. The zero value knows nothing. Keep one per node and
// statement, and pass it again; not for concurrent use.
type PageSize struct {
	Rows    int `json:"rows"`    // of the next page, 0: not yet known
	Ceiling int `json:"ceiling"` // the node refused more than this, 0: it never refused
}

// PageStats is what a paged read took.
type PageStats struct {
	Pages, Rows int
	Bytes       int64
}

// KeyError is an answer that does not go forward: reading on would never end or would miss rows.
type KeyError struct {
	Column string
	Key    string
	Reason string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("paging by %s: key %.64q: %s", e.Column, e.Key, e.Reason)
}

// Pages reads a large table in pages by its key, which is the first of columns. build gives the statement for at most limit rows
// (FIRST) with keys beyond after (empty: from the beginning; use Quote), ordered by key: SKIP is no snapshot, and rows would be missed.
// A page the node finds too large is asked for again in a size it suggests; later pages grow and shrink with the measured bytes per row
// and stay below 2 MB. The last page is the first that has fewer rows than asked for.
//
// After an error the rows handed over are only a part. Even without one the read is not a snapshot: count before and after.
func (c *Client) Pages(ctx context.Context, size *PageSize, columns []string, build func(after string, limit int) string, row func([][]byte) error) (PageStats, error) {
	var stats PageStats
	if len(columns) == 0 {
		return stats, errors.New("paging: no columns")
	}
	if size.Rows < 1 {
		size.Rows = firstPage
	}
	after := ""
	var last []byte
	for {
		limit := size.Rows
		last = last[:0]
		rows, bytes, err := c.query(ctx, build(after, limit), columns, func(values [][]byte) error {
			switch key := values[0]; {
			case len(key) == 0:
				return &KeyError{columns[0], "", "empty"}
			case string(key) == after:
				return &KeyError{columns[0], after, "came again on the page after it"}
			default:
				last = append(last[:0], key...)
			}
			return row(values)
		})
		stats.Bytes += bytes
		stats.Rows += rows
		if err != nil {
			if rows == 0 && size.refused(err) {
				continue
			}
			return stats, err
		}
		stats.Pages++
		if rows < limit {
			return stats, nil
		}
		size.measured(rows, bytes)
		after = string(last)
	}
}

// refused learns from a size fault; false if err is none or there is nothing smaller to try.
func (s *PageSize) refused(err error) bool {
	var e *soap.Error
	if !errors.As(err, &e) || e.Kind != soap.TooLarge || s.Rows <= 1 {
		return false
	}
	smaller := s.Rows / 2
	if e.Suggested > 0 {
		smaller = min(int(float64(e.Suggested)*suggestedShare), s.Rows-1)
	}
	s.Rows = max(smaller, 1)
	s.Ceiling = s.Rows
	return true
}

// measured fits the next page to the bytes per row of a full one.
func (s *PageSize) measured(rows int, bytes int64) {
	if rows < 1 || bytes < 1 {
		return
	}
	fit := int(pageShare * pageBytes * float64(rows) / float64(bytes))
	s.Rows = max(min(fit, s.Rows*growth), 1)
	if s.Ceiling > 0 {
		s.Rows = min(s.Rows, s.Ceiling)
	}
}
