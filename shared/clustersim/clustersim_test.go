package clustersim

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// RSA keys are slow to make: all tests share them.
var sharedAuthority = sync.OnceValues(func() (*authority, error) { return newAuthority(epoch) })

// testClock is a virtual clock.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// rig is a simulation with its clock, and a client of it that knows nothing of
// Peerkeeper.
type rig struct {
	*Sim
	t      *testing.T
	clock  *testClock
	client *http.Client
	mu     sync.Mutex
	lines  []string
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{t: t, clock: &testClock{now: epoch}}
	cfg.Clock = r.clock
	cfg.Log = func(line string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lines = append(r.lines, line)
	}
	a, err := sharedAuthority()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSim(cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	r.Sim = s
	r.client = &http.Client{Transport: s.Transport()}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return r
}

// newSocketRig talks to real sockets and verifies the mesh's CA.
func newSocketRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := newRig(t, cfg)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	r.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialTLSContext: r.dialTLS}}
	return r
}

// dialTLS verifies the node's name, which is not what it dials.
func (r *rig) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	name := ""
	for _, h := range r.Hosts() {
		if h.Address == address || h.PlatformAddress == address {
			name = h.Name
		}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(r.authority.PEM()) {
		return nil, errors.New("ca.pem holds no certificate")
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: name, Time: r.clock.Now}}
	return dialer.DialContext(ctx, network, address)
}

func (r *rig) advance(d time.Duration) {
	r.clock.mu.Lock()
	r.clock.now = r.clock.now.Add(d)
	now := r.clock.now
	r.clock.mu.Unlock()
	r.Step(now)
}

func (r *rig) change(cluster string, changes ...Change) {
	r.t.Helper()
	if err := r.Change(cluster, changes...); err != nil {
		r.t.Fatalf("%s: %T: %v", cluster, changes[0], err)
	}
}

func (r *rig) fault(f Fault) {
	r.t.Helper()
	if err := r.AddFault(f); err != nil {
		r.t.Fatalf("%+v: %v", f, err)
	}
}

func (r *rig) logged(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if strings.Contains(line, part) {
			return true
		}
	}
	return false
}

func (r *rig) peer(id string) PeerState {
	r.t.Helper()
	from, to, _ := strings.Cut(id, ">")
	for _, c := range r.State().Clusters {
		for _, p := range c.Peers {
			if c.ID == from && p.ID == to {
				return p
			}
		}
	}
	r.t.Fatalf("no peer %s", id)
	return PeerState{}
}

func (r *rig) state(id string) ClusterState {
	r.t.Helper()
	for _, c := range r.State().Clusters {
		if c.ID == id {
			return c
		}
	}
	r.t.Fatalf("no cluster %s", id)
	return ClusterState{}
}

func (r *rig) nodeState(name string) NodeState {
	r.t.Helper()
	for _, c := range r.State().Clusters {
		for _, n := range c.Nodes {
			if n.Name == name {
				return n
			}
		}
	}
	r.t.Fatalf("no node %s", name)
	return NodeState{}
}

const (
	emeaPub = "imp-emea-pub.example.com"
	emeaSub = "imp-emea-sub.example.com"
	apacPub = "imp-apac-pub.example.com"
	amerPub = "imp-amer-pub.example.com"
)

// reply is an HTTP answer as a plain client sees it.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r reply) row(i int) map[string]string { return r.rows()[i] }

// rows reads executeSQLQuery's rows by encoding/xml alone.
func (r reply) rows() []map[string]string {
	var envelope struct {
		Rows []struct {
			Columns []struct {
				XMLName xml.Name
				Text    string `xml:",chardata"`
			} `xml:",any"`
		} `xml:"Body>executeSQLQueryResponse>return>row"`
	}
	if err := xml.Unmarshal([]byte(r.body), &envelope); err != nil {
		return []map[string]string{{"error": err.Error()}}
	}
	var out []map[string]string
	for _, row := range envelope.Rows {
		m := map[string]string{}
		for _, c := range row.Columns {
			m[c.XMLName.Local] = c.Text
		}
		out = append(out, m)
	}
	return out
}

func (r *rig) account(cluster, kind string) *account {
	r.Sim.mu.Lock()
	defer r.Sim.mu.Unlock()
	copied := *r.cluster(cluster).accounts[kind]
	return &copied
}

// post sends one request; "" as account sends no Authorization.
func (r *rig) post(node, path, action, body, kind string, header ...string) reply {
	r.t.Helper()
	n := r.nodeState(node)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "https://"+n.Address+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	if action != "" {
		req.Header.Set("SOAPAction", action)
	}
	if kind != "" {
		a := r.account(r.clusterOf(node), kind)
		req.SetBasicAuth(a.username, a.password)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return r.send(req)
}

func (r *rig) clusterOf(node string) string {
	for _, h := range r.Hosts() {
		if h.Name == node {
			return h.Cluster
		}
	}
	r.t.Fatalf("no node %s", node)
	return ""
}

func (r *rig) send(req *http.Request) reply {
	res, err := r.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	var b bytes.Buffer
	_, err = io.Copy(&b, res.Body)
	return reply{res.StatusCode, res.Header, b.String(), err}
}

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return err.Error()
	}
	return b.String()
}

func axlEnvelope(version, operation, children string) string {
	return `<e:Envelope xmlns:e="` + soapNamespace + `"><e:Body><q:` + operation + ` xmlns:q="` + axlNamespace + version + `">` + children + `</q:` + operation + `></e:Body></e:Envelope>`
}

func (r *rig) axlCall(node, operation, children, kind string) reply {
	r.t.Helper()
	return r.post(node, axlPath, `"CUCM:DB ver=14.0 `+operation+`"`, axlEnvelope("14.0", operation, children), kind)
}

func (r *rig) query(node, sql string) reply {
	r.t.Helper()
	out := r.axlCall(node, "executeSQLQuery", "<sql>"+escape(sql)+"</sql>", "read")
	if out.status != http.StatusOK {
		r.t.Fatalf("%s: %d %s %v", sql, out.status, out.body, out.err)
	}
	return out
}

func (r *rig) control(node, operation, children, kind string) reply {
	r.t.Helper()
	body := `<e:Envelope xmlns:e="` + soapNamespace + `"><e:Body><q:` + operation + ` xmlns:q="` + astNamespace + `">` + children + `</q:` + operation + `></e:Body></e:Envelope>`
	return r.post(node, controlCenterPath, operation, body, kind)
}

func controlRequest(node, controlType, service string) string {
	return fmt.Sprintf(`<q:ControlServiceRequest><q:NodeName>%s</q:NodeName><q:ControlType>%s</q:ControlType><q:ServiceList><q:item>%s</q:item></q:ServiceList></q:ControlServiceRequest>`, node, controlType, service)
}
