package clustersim

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is a rule: what goes wrong with which requests. Empty fields of the
// first three match everything. The first rule that matches is applied, one of a
// kind that spoils an answer after that.
type Fault struct {
	Cluster   string    `json:"cluster"`
	Node      string    `json:"node"`
	Operation string    `json:"operation"` // as GET /state counts it: "executeSQLQuery", "GET /snapshot/server"
	Kind      FaultKind `json:"kind"`
	When      FaultTime `json:"when"`  // "" = Before
	Times     int       `json:"times"` // how many requests; 0 = one, negative = all until ClearFaults
	// Delay is how long FaultDelay lasts, wall time; 0 = 2 s. A fault that holds an
	// answer back sends it in the end.
	Delay time.Duration `json:"-"`
	Text  string        `json:"text"` // of the page of FaultHTTP403 and FaultHTTP599; "" = Cisco's
	// Field, Value and Bytes are of FaultField: which value is replaced, by what, or
	// by how many letters. With Rows the first row of an SQL answer comes so many
	// times more, each with another value.
	Field string `json:"field"`
	Value string `json:"value"`
	Bytes int    `json:"bytes"`
	Rows  int    `json:"rows"`
}

// FaultKind is what goes wrong.
type FaultKind string

// The kinds of faults.
const (
	FaultHTTP503  FaultKind = "http503"
	FaultHTTP401  FaultKind = "http401"
	FaultHTTP403  FaultKind = "http403" // for whatever reason
	FaultHTTP599  FaultKind = "http599" // the AXL version; without a text the page names none
	FaultSOAP     FaultKind = "fault"
	FaultDrop     FaultKind = "drop"
	FaultDelay    FaultKind = "delay"
	FaultTruncate FaultKind = "truncate"
	FaultGarbage  FaultKind = "garbage"
	FaultOversize FaultKind = "oversize"
	FaultNotUTF8  FaultKind = "notUTF8" // a byte of Latin-1 in the first value
	FaultField    FaultKind = "field"   // another value in the first place of a field
)

// FaultTime is when it goes wrong.
type FaultTime string

// A fault is seen before a request is carried out or after it.
const (
	Before FaultTime = "before" // the request is not carried out
	After  FaultTime = "after"  // it is, but the answer is spoilt
)

const (
	defaultDelay  = 2 * time.Second
	oversizeBytes = 80 << 20
	maxFieldBytes = 20 << 20
	maxFieldRows  = 100_000
)

// AddFault adds a rule behind those there are.
func (s *Sim) AddFault(f Fault) error {
	return s.locked(func(time.Time) error { return s.addFault(f) })
}

// ClearFaults takes all rules away.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Sim) addFault(f Fault) error {
	if f.Cluster != "" && s.cluster(f.Cluster) == nil {
		return wrong("cluster", "%q is not in this mesh", f.Cluster)
	}
	if f.Node != "" {
		found := false
		for _, c := range s.clusters {
			found = found || c.node(f.Node) != nil && (f.Cluster == "" || f.Cluster == c.id)
		}
		if !found {
			return wrong("node", "%q is not in this mesh", f.Node)
		}
	}
	switch f.Kind {
	case FaultHTTP503, FaultHTTP401, FaultHTTP403, FaultHTTP599, FaultSOAP, FaultDrop, FaultDelay, FaultTruncate, FaultGarbage, FaultOversize, FaultNotUTF8:
	case FaultField:
		switch {
		case fieldTags[f.Field] == nil:
			return wrong("field", "%q is none of %s", f.Field, strings.Join(slices.Sorted(maps.Keys(fieldTags)), ", "))
		case f.Bytes < 0 || f.Bytes > maxFieldBytes || f.Bytes > 0 && f.Value != "":
			return wrong("bytes", "give a value, or its length up to %d", maxFieldBytes)
		case f.Rows < 0 || f.Rows > maxFieldRows:
			return wrong("rows", "up to %d", maxFieldRows)
		case f.Bytes > 0:
			f.Value = strings.Repeat("x", f.Bytes)
		}
	default:
		return wrong("kind", "%q is none of http503, http401, http403, http599, fault, drop, delay, truncate, garbage, oversize, notUTF8, field", f.Kind)
	}
	if f.Field != "" && f.Kind != FaultField {
		return wrong("field", "goes with kind field")
	}
	switch f.When {
	case "":
		f.When = Before
	case Before, After:
	default:
		return wrong("when", "%q is neither before nor after", f.When)
	}
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Delay == 0 {
		f.Delay = defaultDelay
	}
	s.faults = append(s.faults, &f)
	return nil
}

// matches reports whether the fault is meant for a request.
func (f *Fault) matches(n *node, operation string) bool {
	return (f.Cluster == "" || f.Cluster == n.cluster.id) && (f.Node == "" || equalNames(f.Node, n.name)) && (f.Operation == "" || f.Operation == operation)
}

// fires takes the first rule that matches; a used-up rule goes.
func (s *Sim) fires(n *node, operation string) *Fault {
	for i, f := range s.faults {
		if f.Kind.spoils() || !f.matches(n, operation) {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		copied := *f
		return &copied
	}
	return nil
}

// fault spoils an answer; a is nil if there is none because nothing was done.
func (c *exchangeCall) fault(f *Fault, a *answer) (*answer, error) {
	s := c.s
	if a != nil && f.Kind != FaultTruncate {
		a.body.drop()
	}
	switch f.Kind {
	case FaultHTTP503:
		return s.html(http.StatusServiceUnavailable, "Service Unavailable"), nil
	case FaultHTTP401:
		out := s.html(http.StatusUnauthorized, "Unauthorized")
		out.challenge = true
		return out, nil
	case FaultHTTP403:
		return s.html(http.StatusForbidden, orElse(f.Text, "Access to the requested resource has been denied")), nil
	case FaultHTTP599:
		return s.html(599, orElse(f.Text, "Incorrect axl version.")), nil
	case FaultSOAP:
		if c.rest {
			return s.restRefusal(c.n, http.StatusInternalServerError, "simulated fault"), nil
		}
		return c.soapFault(-1, "simulated fault"), nil
	case FaultTruncate:
		if a == nil {
			a = c.s.soap(http.StatusOK, c.s.pages.envelope().finish())
		}
		a.sendOnly = a.body.size / 2
		return a, nil
	case FaultGarbage:
		return s.plain(http.StatusOK, contentXML, "\x00\x01 this is not XML <<<]]> &nonsense;\n"), nil
	case FaultOversize:
		return c.oversize(), nil
	}
	return nil, errDropped
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// oversize is a well-formed answer of rows without end, as far as any client
// should read. All its pieces are the same one.
func (c *exchangeCall) oversize() *answer {
	m := c.s.pages.envelope()
	m.start("ns:executeSQLQueryResponse", "xmlns:ns", axlNamespace+"14.0")
	m.start("return")
	row := &page{from: c.s.pages}
	for row.size < chunkBytes-128 {
		row.WriteString("<row><pkid>00000000-0000-0000-0000-000000000000</pkid><userid>oversize</userid></row>")
	}
	piece := row.pieces[0]
	p := &page{} // no pool: the piece is shared
	p.pieces = append(p.pieces, m.pieces...)
	p.size = m.size
	for p.size < oversizeBytes {
		p.pieces = append(p.pieces, piece)
		p.size += len(piece)
	}
	tail := &markup{page: &page{from: c.s.pages}, open: m.open}
	tail.finish()
	p.pieces = append(p.pieces, tail.pieces...)
	p.size += tail.size
	return c.s.soap(http.StatusOK, p)
}

// wait lets wall time pass, until the client or the simulation is gone.
func (s *Sim) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return errDropped
	}
}
