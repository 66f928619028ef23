// Package axl speaks Cisco's AXL to one node: SQL, the version, process nodes and service parameters.
//
// It owns the AXL envelopes, the version negotiation and the row decoder, which never holds an answer whole. It decides nothing:
// which statement to run and what a number means is its callers' business. Cisco supports AXL on the CUCM publisher; on IM and
// Presence it exists and is what the Intercluster Sync Agent itself uses, but Cisco does not support it for others (vendor document).
//
// It never sends a write twice and never reports a cut answer as complete.
//
// Failure promise: errors are *soap.Error, *MissingColumnError, or what a row callback returned. Rows are handed over as they arrive, so an error
// after rows means that what the caller has is a part; only a nil error means all of it. A write whose answer cannot be read
// is soap.OutcomeUnknown.
package axl

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"peerkeeper/shared/soap"
)

const (
	path        = "/axl/"                         // the trailing slash is required (vendor document)
	space       = "http://www.cisco.com/AXL/API/" // + version
	virtualNode = "EnterpriseWideData"            // the row of processnode that is no node
)

// Client speaks to one node, through one transport. It is safe for concurrent use.
type Client struct {
	transport soap.RoundTripper

	mu      sync.Mutex
	version string
}

// New makes a client that starts with version ("14.0"); see AXLVersion.
func New(t soap.RoundTripper, version string) *Client {
	return &Client{transport: t, version: version}
}

// AXLVersion is the version spoken now: the one given to New, or what the node made us change to.
func (c *Client) AXLVersion() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// call sends one operation. If the node refuses the version, the best of those that it names is used from then on, or the first that it
// takes of a ladder where it names none, and a read is sent again at once; a write is left to its caller, who will find the new version in place.
func (c *Client) call(ctx context.Context, op string, write bool, children ...soap.Element) (*soap.Answer, error) {
	version := c.AXLVersion()
	a, err := c.send(ctx, version, op, write, children)
	var e *soap.Error
	if !errors.As(err, &e) || e.Kind != soap.VersionRefused {
		return a, err
	}
	better := choose(e.Supported, version)
	if len(e.Supported) == 0 && !write {
		return c.climb(ctx, err, op, version, children)
	}
	if better == "" {
		return nil, err
	}
	c.mu.Lock()
	c.version = better
	c.mu.Unlock()
	if write {
		return nil, err
	}
	return c.send(ctx, better, op, write, children)
}

func (c *Client) send(ctx context.Context, version, op string, write bool, children []soap.Element) (*soap.Answer, error) {
	// The name space is on the operation alone; its children carry none (XSD).
	body, err := soap.Envelope(space+version, op, false, children...)
	if err != nil {
		return nil, &soap.Error{Op: op, Kind: soap.Malformed, Cause: err} // not sent
	}
	return c.transport.Do(ctx, soap.Request{Op: op, Path: path, Action: `"CUCM:DB ver=` + version + " " + op + `"`, Body: body, Write: write})
}

// newest version whose shapes are known: the operations used here are the same in 12.5, 14.0 and 15.0 (XSD).
const newestMajor = 15

// choose picks the highest supported version up to the newest known, or else the lowest beyond it; "" if there is none but refused.
func choose(supported []string, refused string) string {
	best, bestMajor, bestMinor := "", 0, 0
	for _, s := range supported {
		before, after, _ := strings.Cut(s, ".")
		major, err := strconv.Atoi(before)
		if err != nil {
			continue
		}
		minor, err := strconv.Atoi(after)
		if err != nil { // "12.x": the last release of that line
			minor = map[int]int{8: 5, 9: 1, 10: 5, 11: 5, 12: 5}[major]
		}
		name := fmt.Sprintf("%d.%d", major, minor)
		if name == refused {
			continue
		}
		known, bestKnown := major <= newestMajor, bestMajor <= newestMajor
		higher := major > bestMajor || major == bestMajor && minor > bestMinor
		if best == "" || known && !bestKnown || known && bestKnown && higher || !known && !bestKnown && !higher {
			best, bestMajor, bestMinor = name, major, minor
		}
	}
	return best
}

// CountNodes asks what ICSA itself asks of a peer before it syncs (TAC capture): how many publishers the node's database lists. It
// is the statement by which to tell whether AXL answers on an IM and Presence node, where other operations may not exist.
func (c *Client) CountNodes(ctx context.Context) (int, error) {
	n := 0
	_, err := c.Query(ctx, "SELECT count(*) FROM processnode WHERE systemnode='f' AND tknodeusage= 0", []string{"?count"}, func(v [][]byte) error {
		if v[0] != nil {
			n, _ = strconv.Atoi(string(v[0])) // the name of the column is from one capture; that there is a row suffices
		}
		return nil
	})
	return n, err
}

// ProductVersion is the release as an operation of IM and Presence's own tells it, getCUPVersion (third party; in no schema of Unified CM).
func (c *Client) ProductVersion(ctx context.Context) (string, error) {
	var out struct {
		Version string `xml:"return>version"`
	}
	a, err := c.ask(ctx, "getCUPVersion", &out)
	if err != nil {
		return "", err
	}
	if out.Version == "" {
		return "", a.Malformed(errors.New("no version in the answer"))
	}
	return strings.TrimSpace(out.Version), nil
}

// Version is the node's own release, "14.0.1.13900(155)"; of node if that is not empty. It is the cheapest call there is.
func (c *Client) Version(ctx context.Context, node string) (string, error) {
	var criteria []soap.Element // and no sequence attribute: this one request refuses it (XSD)
	if node != "" {
		criteria = []soap.Element{soap.Text("processNodeName", node)}
	}
	var out struct {
		Version string `xml:"return>componentVersion>version"`
	}
	a, err := c.ask(ctx, "getCCMVersion", &out, criteria...)
	if err != nil {
		return "", err
	}
	if out.Version == "" {
		return "", a.Malformed(errors.New("no version in the answer"))
	}
	return strings.TrimSpace(out.Version), nil
}

// ask is a read whose answer is small enough to be decoded whole.
func (c *Client) ask(ctx context.Context, op string, out any, children ...soap.Element) (*soap.Answer, error) {
	a, err := c.call(ctx, op, false, children...)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return a, a.Decode(out)
}

// ProcessNode is one server of the cluster. Usage is "Publisher" or "Subscriber", Role "CUCM Voice/Video" or "CUCM IM and Presence" (XSD).
type ProcessNode struct {
	UUID        string `xml:"uuid,attr"`
	Name        string `xml:"name"`
	Description string `xml:"description"`
	Usage       string `xml:"nodeUsage"`
	Role        string `xml:"processNodeRole"`
}

// ListProcessNodes lists the servers the node knows, without the virtual one.
func (c *Client) ListProcessNodes(ctx context.Context) ([]ProcessNode, error) {
	var out struct {
		Return *struct {
			Nodes []ProcessNode `xml:"processNode"`
		} `xml:"return"`
	}
	a, err := c.ask(ctx, "listProcessNode", &out,
		soap.Parent("searchCriteria", soap.Text("name", "%")),
		soap.Parent("returnedTags", tags("name", "description", "nodeUsage", "processNodeRole")...))
	if err != nil {
		return nil, err
	}
	if out.Return == nil {
		return nil, a.Malformed(errNoReturn)
	}
	var nodes []ProcessNode
	for _, n := range out.Return.Nodes {
		if n.Name != virtualNode {
			nodes = append(nodes, n)
		}
	}
	return nodes, nil
}

var errNoReturn = errors.New("no return element in the answer")

func tags(names ...string) []soap.Element {
	out := make([]soap.Element, len(names))
	for i, n := range names {
		out[i] = soap.Element{Name: n}
	}
	return out
}

// ServiceParameter is one parameter of one service on one node. Name is the internal name, which Cisco does not publish: discover it.
type ServiceParameter struct {
	UUID    string `xml:"uuid,attr"`
	Node    string `xml:"processNodeName"`
	Name    string `xml:"name"`
	Service string `xml:"service"`
	Value   string `xml:"value"`
	Type    string `xml:"valueType"`
}

// ServiceParameters lists the parameters of service on node.
func (c *Client) ServiceParameters(ctx context.Context, node, service string) ([]ServiceParameter, error) {
	var out struct {
		Return *struct {
			Parameters []ServiceParameter `xml:"serviceParameter"`
		} `xml:"return"`
	}
	a, err := c.ask(ctx, "listServiceParameter", &out,
		soap.Parent("searchCriteria", soap.Text("processNodeName", node), soap.Text("service", service)),
		soap.Parent("returnedTags", tags("processNodeName", "name", "service", "value", "valueType")...))
	if err != nil {
		return nil, err
	}
	if out.Return == nil {
		return nil, a.Malformed(errNoReturn)
	}
	return out.Return.Parameters, nil
}

// SetServiceParameter changes one parameter. Booleans are "T" and "F" here, "t" and "f" in SQL (observation, vendor document).
func (c *Client) SetServiceParameter(ctx context.Context, node, service, name, value string) error {
	const op = "updateServiceParameter"
	a, err := c.call(ctx, op, true,
		soap.Text("processNodeName", node), soap.Text("name", name), soap.Text("service", service), soap.Text("value", value))
	if err != nil {
		return err
	}
	defer a.Close()
	var out struct {
		Return string `xml:"return"`
	}
	if err := a.Decode(&out); err != nil {
		return err
	}
	// StandardResponse: true, false, or the braced UUID of what was changed (XSD).
	switch result := strings.TrimSpace(out.Return); {
	case result == "true", strings.HasPrefix(result, "{") && strings.HasSuffix(result, "}"):
		return nil
	case result == "false":
		return &soap.Error{Op: op, Node: a.Node, Kind: soap.Fault, Status: 200, Sent: true, Cause: errors.New("the node answered false")}
	}
	return a.Malformed(errors.New("neither true, false nor an identifier in the answer"))
}

// AlarmMonitor is one destination of a service's alarms and the level from which they reach it. Name is the node's own word for the destination:
// no schema lists them, and the Serviceability page calls them Local Syslogs, Remote Syslogs and SDI Trace. Level is Emergency to Informational,
// or Debug (XSD); Enabled is false also where the node does not say.
type AlarmMonitor struct {
	Name, Level string
	Enabled     bool
}

// AlarmMonitors reads at which level a service of a group ("IM and Presence Services") on node sends its alarms where. The operation is in the
// schemas of 11.0 to 15.0; which node of a cluster answers it for an IM and Presence server is not known, so a fault means no more than that
// the level is not known.
func (c *Client) AlarmMonitors(ctx context.Context, node, group, service string) ([]AlarmMonitor, error) {
	var out struct {
		Configuration *struct {
			Monitors []struct {
				Name    string `xml:"monitor"`
				Level   string `xml:"AlarmLevelEvent"`
				Enabled string `xml:"Enable"`
			} `xml:"alarmConfigs>AlarmConfig"`
		} `xml:"return>syslogConfiguration"`
	}
	a, err := c.ask(ctx, "getSyslogConfiguration", &out, soap.Text("serverName", node), soap.Text("serviceGroup", group), soap.Text("service", service))
	if err != nil {
		return nil, err
	}
	if out.Configuration == nil {
		return nil, a.Malformed(errNoReturn)
	}
	var list []AlarmMonitor
	for _, m := range out.Configuration.Monitors[:min(len(out.Configuration.Monitors), 16)] { // the schema allows four
		on := strings.ToLower(strings.TrimSpace(m.Enabled))
		list = append(list, AlarmMonitor{strings.TrimSpace(m.Name), strings.TrimSpace(m.Level), on == "true" || on == "t" || on == "1"})
	}
	return list, nil
}

// Update runs an SQL statement that changes the database and returns how many rows it changed. Not supported by Cisco on IM and Presence.
func (c *Client) Update(ctx context.Context, sql string) (int, error) {
	a, err := c.call(ctx, "executeSQLUpdate", true, soap.Text("sql", sql))
	if err != nil {
		return 0, err
	}
	defer a.Close()
	var out struct {
		Rows string `xml:"return>rowsUpdated"`
	}
	if err := a.Decode(&out); err != nil {
		return 0, err
	}
	rows, err := strconv.Atoi(strings.TrimSpace(out.Rows))
	if err != nil || rows < 0 {
		return 0, a.Malformed(fmt.Errorf("rowsUpdated is %.20q", out.Rows))
	}
	return rows, nil
}

// Query runs an SQL statement and calls row for each row, with the values of columns in that order. Values are the bytes of a
// buffer: they are good only during the call. NULL and the empty string both arrive as an empty value. A column named with a leading "?" may
// be absent from the answer, and its value is then nil; any other absent column is a *MissingColumnError. Columns not named are passed over.
//
// It returns the rows handed over, and after an error they are only a part. An error from row ends the query and is returned as it is.
func (c *Client) Query(ctx context.Context, sql string, columns []string, row func(values [][]byte) error) (int, error) {
	rows, _, err := c.query(ctx, sql, columns, row)
	return rows, err
}

func (c *Client) query(ctx context.Context, sql string, columns []string, row func([][]byte) error) (int, int64, error) {
	const op = "executeSQLQuery"
	a, err := c.call(ctx, op, false, soap.Text("sql", sql))
	if err != nil {
		return 0, 0, err
	}
	defer a.Close()
	s := newScanner(a.Body, columns, row)
	err = s.run(op + "Response")
	var known *soap.Error
	var missing *MissingColumnError
	switch {
	case err == nil:
	case s.stopped: // the callback's own error
	case errors.As(err, &known):
	case errors.As(err, &missing):
		missing.Node = a.Node
	default:
		err = a.Malformed(err)
	}
	return s.rows, s.total, err
}

// MissingColumnError is an answer without a column that was asked for: the statement and the database do not fit together.
type MissingColumnError struct {
	Node   string
	Column string
	Row    int // 1 is the first
}

func (e *MissingColumnError) Error() string {
	return fmt.Sprintf("%s: executeSQLQuery: row %d has no column %q", e.Node, e.Row, e.Column)
}

// Quote makes an SQL string literal of s. Informix knows no escape but the doubled quote. A character that XML cannot carry makes the
// query fail before anything is sent.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
