package axl

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/soap"
)

const node = "imp-emea-pub.example.com"

// fake answers in the place of a node.
type fake func(soap.Request) (io.Reader, error)

func (f fake) Do(_ context.Context, req soap.Request) (*soap.Answer, error) {
	r, err := f(req)
	if err != nil {
		return nil, err
	}
	return soap.NewAnswer(req, node, io.NopCloser(r)), nil
}

// says answers every operation with what stands inside its response element, and records the requests.
func says(asked *[]soap.Request, inside string) fake {
	return func(req soap.Request) (io.Reader, error) {
		if asked != nil {
			*asked = append(*asked, req)
		}
		return strings.NewReader(response(req.Op, inside)), nil
	}
}

func response(op, inside string) string {
	return `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><ns:` + op + `Response xmlns:ns="http://www.cisco.com/AXL/API/14.0" sequence="5">` + inside + `</ns:` + op + `Response></soapenv:Body></soapenv:Envelope>`
}

func TestOperations(t *testing.T) {
	ctx := t.Context()
	tests := []struct {
		op, inside string
		write      bool
		call       func(*Client) (any, error)
		want       any
		request    string // inside the Body, without name spaces
	}{
		{"getCCMVersion", `<return><componentVersion><version>14.0.1.13900(155)</version></componentVersion></return>`, false,
			func(c *Client) (any, error) { return c.Version(ctx, "") }, "14.0.1.13900(155)", `<ns:getCCMVersion/>`},
		{"getCCMVersion", `<return><componentVersion><version>14.0.1.13900(155)</version></componentVersion></return>`, false,
			func(c *Client) (any, error) { return c.Version(ctx, node) }, "14.0.1.13900(155)", `<ns:getCCMVersion><processNodeName>` + node + `</processNodeName></ns:getCCMVersion>`},
		{"listProcessNode", `<return><processNode uuid="{00000000-0000-0000-0000-000000000000}"><name>EnterpriseWideData</name></processNode><processNode uuid="{5A3C1F0E-6F7C-4F0E-9D6B-0A1B2C3D4E5F}"><name>` + node + `</name><description>IM&amp;P publisher</description><nodeUsage>Publisher</nodeUsage><processNodeRole>CUCM IM and Presence</processNodeRole></processNode></return>`, false,
			func(c *Client) (any, error) { return c.ListProcessNodes(ctx) },
			[]ProcessNode{{UUID: "{5A3C1F0E-6F7C-4F0E-9D6B-0A1B2C3D4E5F}", Name: node, Description: "IM&P publisher", Usage: "Publisher", Role: "CUCM IM and Presence"}},
			`<ns:listProcessNode><searchCriteria><name>%</name></searchCriteria><returnedTags><name/><description/><nodeUsage/><processNodeRole/></returnedTags></ns:listProcessNode>`},
		{"listServiceParameter", `<return><serviceParameter uuid="{0B1C2D3E-4F50-4162-8374-95A6B7C8D9E0}"><processNodeName uuid="{1}">` + node + `</processNodeName><name>interval</name><service>Cisco Intercluster Sync Agent</service><value>30</value><valueType>long</valueType></serviceParameter></return>`, false,
			func(c *Client) (any, error) { return c.ServiceParameters(ctx, node, "Cisco Intercluster Sync Agent") },
			[]ServiceParameter{{UUID: "{0B1C2D3E-4F50-4162-8374-95A6B7C8D9E0}", Node: node, Name: "interval", Service: "Cisco Intercluster Sync Agent", Value: "30", Type: "long"}},
			`<ns:listServiceParameter><searchCriteria><processNodeName>` + node + `</processNodeName><service>Cisco Intercluster Sync Agent</service></searchCriteria><returnedTags><processNodeName/><name/><service/><value/><valueType/></returnedTags></ns:listServiceParameter>`},
		{"getSyslogConfiguration", `<return><syslogConfiguration><serverName>` + node + `</serverName><alarmConfigs><AlarmConfig><AlarmLevelEvent>Informational</AlarmLevelEvent><RemoteServerName1/><monitor>Local Syslogs</monitor><Enable>true</Enable></AlarmConfig><AlarmConfig><AlarmLevelEvent>Error</AlarmLevelEvent><monitor>Remote Syslogs</monitor></AlarmConfig></alarmConfigs></syslogConfiguration></return>`, false,
			func(c *Client) (any, error) {
				return c.AlarmMonitors(ctx, node, "IM and Presence Services", "Cisco Intercluster Sync Agent")
			},
			[]AlarmMonitor{{"Local Syslogs", "Informational", true}, {"Remote Syslogs", "Error", false}},
			`<ns:getSyslogConfiguration><serverName>` + node + `</serverName><serviceGroup>IM and Presence Services</serviceGroup><service>Cisco Intercluster Sync Agent</service></ns:getSyslogConfiguration>`},
		{"updateServiceParameter", `<return>{0B1C2D3E-4F50-4162-8374-95A6B7C8D9E0}</return>`, true,
			func(c *Client) (any, error) { return nil, c.SetServiceParameter(ctx, node, "s", "interval", "45") }, nil,
			`<ns:updateServiceParameter><processNodeName>` + node + `</processNodeName><name>interval</name><service>s</service><value>45</value></ns:updateServiceParameter>`},
		{"executeSQLUpdate", `<return><rowsUpdated>2</rowsUpdated></return>`, true,
			func(c *Client) (any, error) { return c.Update(ctx, "UPDATE t SET a=1 WHERE b<2") }, 2,
			`<ns:executeSQLUpdate><sql>UPDATE t SET a=1 WHERE b&lt;2</sql></ns:executeSQLUpdate>`},
		{"executeSQLQuery", `<return><row><count>7</count></row></return>`, false,
			func(c *Client) (any, error) {
				return c.Query(ctx, "SELECT count(*) FROM processnode", []string{"count"}, func([][]byte) error { return nil })
			}, 1, `<ns:executeSQLQuery><sql>SELECT count(*) FROM processnode</sql></ns:executeSQLQuery>`},
	}
	var requests []string
	for _, tt := range tests {
		t.Run(tt.op, func(t *testing.T) {
			var asked []soap.Request
			got, err := tt.call(New(says(&asked, tt.inside), "14.0"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			req := asked[0]
			if req.Op != tt.op || req.Path != "/axl/" || req.Action != `"CUCM:DB ver=14.0 `+tt.op+`"` || req.Write != tt.write {
				t.Errorf("request %+v", req)
			}
			_, body, _ := strings.Cut(string(req.Body), "<soapenv:Body>")
			body, _, _ = strings.Cut(body, "</soapenv:Body>")
			if body != tt.request || !strings.Contains(string(req.Body), `xmlns:ns="http://www.cisco.com/AXL/API/14.0"`) {
				t.Errorf("request body %s", req.Body)
			}
			requests = append(requests, body)
		})
	}
	valid(t, requests)
}

// valid checks requests against Cisco's own schema, where that and xmllint are at hand.
func valid(t *testing.T, requests []string) {
	t.Helper()
	schema, err := filepath.Abs("../../../shared/reference/axl/14.0/AXLSoap.xsd")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(schema); err != nil {
		t.Skip("Cisco's schemas are not here")
	}
	tool, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	args := []string{"--nonet", "--noout", "--schema", schema}
	for i, body := range requests {
		at := strings.IndexAny(body, "/> ")
		request := body[:at] + ` xmlns:ns="http://www.cisco.com/AXL/API/14.0"` + body[at:]
		file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.xml", i))
		if err := os.WriteFile(file, []byte(request), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
		t.Errorf("xmllint: %v\n%s\n%s", err, out, requests)
	}
}

func TestAnswersThatSayTooLittle(t *testing.T) {
	ctx := t.Context()
	calls := map[string]struct {
		call  func(*Client) error
		write bool
	}{
		"version":    {func(c *Client) error { _, err := c.Version(ctx, ""); return err }, false},
		"nodes":      {func(c *Client) error { _, err := c.ListProcessNodes(ctx); return err }, false},
		"parameters": {func(c *Client) error { _, err := c.ServiceParameters(ctx, node, "s"); return err }, false},
		"query":      {func(c *Client) error { _, err := c.Query(ctx, "s", nil, nil); return err }, false},
		"set":        {func(c *Client) error { return c.SetServiceParameter(ctx, node, "s", "n", "v") }, true},
		"update":     {func(c *Client) error { _, err := c.Update(ctx, "s"); return err }, true},
	}
	for name, tt := range calls {
		t.Run(name, func(t *testing.T) {
			want := soap.Malformed
			if tt.write {
				want = soap.OutcomeUnknown
			}
			for _, inside := range []string{"", "<other/>"} {
				if err := tt.call(New(says(nil, inside), "14.0")); soap.KindOf(err) != want {
					t.Errorf("%q: got %v, want %s", inside, err, want)
				}
			}
			cut := fake(func(req soap.Request) (io.Reader, error) {
				return strings.NewReader(response(req.Op, "<return/>")[:150]), nil
			})
			if err := tt.call(New(cut, "14.0")); soap.KindOf(err) != want {
				t.Errorf("cut: got %v, want %s", err, want)
			}
		})
	}
	if err := New(says(nil, "<return>false</return>"), "14.0").SetServiceParameter(ctx, node, "s", "n", "v"); soap.KindOf(err) != soap.Fault {
		t.Errorf("false: %v", err)
	}
	if _, err := New(says(nil, "<return/>"), "14.0").Update(ctx, "a\x00b"); soap.KindOf(err) != soap.Malformed {
		t.Errorf("a statement XML cannot carry: %v", err)
	}
}

func TestQueryErrors(t *testing.T) {
	two := `<return><row><pkid>1</pkid></row><row><pkid>2</pkid></row></return>`
	t.Run("missing column", func(t *testing.T) {
		_, err := New(says(nil, two), "14.0").Query(t.Context(), "s", []string{"pkid", "homecluster"}, func([][]byte) error { return nil })
		var missing *MissingColumnError
		if !errors.As(err, &missing) || missing.Column != "homecluster" || missing.Node != node || missing.Row != 1 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the callback stops", func(t *testing.T) {
		stop := errors.New("enough")
		rows, err := New(says(nil, two), "14.0").Query(t.Context(), "s", []string{"pkid"}, func([][]byte) error { return stop })
		if err != stop || rows != 1 {
			t.Errorf("got %d, %v", rows, err)
		}
	})
	t.Run("cut after rows", func(t *testing.T) {
		cut := fake(func(req soap.Request) (io.Reader, error) {
			return strings.NewReader(strings.TrimSuffix(response(req.Op, two), "</soapenv:Envelope>")), nil
		})
		rows, err := New(cut, "14.0").Query(t.Context(), "s", []string{"pkid"}, func([][]byte) error { return nil })
		if rows != 2 || soap.KindOf(err) != soap.Malformed || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %d, %v", rows, err)
		}
	})
	t.Run("values cannot grow into each other", func(t *testing.T) {
		_, err := New(says(nil, `<return><row><a>1</a><b>2</b></row></return>`), "14.0").Query(t.Context(), "s", []string{"a", "b"}, func(v [][]byte) error {
			_ = append(v[0], "overwritten-by-caller"...)
			if string(v[1]) != "2" {
				t.Errorf("b is %q", v[1])
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestVersionNegotiation(t *testing.T) {
	refuse := func(supported ...string) *soap.Error {
		return &soap.Error{Kind: soap.VersionRefused, Status: 599, Supported: supported, Sent: true}
	}
	for _, tt := range []struct {
		name      string
		supported []string
		asked     string
		want      string // "": none fits
	}{
		{"highest", []string{"12.x", "14.0", "15.0"}, "11.5", "15.0"},
		{"12.x is 12.5", []string{"11.5", "12.x"}, "14.0", "12.5"},
		{"not beyond what is known", []string{"14.0", "15.0", "17.0"}, "12.5", "15.0"},
		{"unless there is nothing else", []string{"18.0", "17.0"}, "15.0", "17.0"},
		{"minor counts", []string{"11.5", "11.0"}, "14.0", "11.5"},
		{"the refused one is no choice", []string{"14.0"}, "14.0", ""},
		{"none is named: the ladder", nil, "14.0", "15.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var actions []string
			c := New(fake(func(req soap.Request) (io.Reader, error) {
				actions = append(actions, req.Action)
				if strings.Contains(req.Action, "ver="+tt.asked+" ") {
					return nil, refuse(tt.supported...)
				}
				return strings.NewReader(response(req.Op, "<return><componentVersion><version>v</version></componentVersion></return>")), nil
			}), tt.asked)
			_, err := c.Version(t.Context(), "")
			if tt.want == "" {
				if soap.KindOf(err) != soap.VersionRefused || len(actions) != 1 {
					t.Errorf("%v after %q", err, actions)
				}
				return
			}
			if err != nil || c.AXLVersion() != tt.want {
				t.Fatalf("%v, speaks %s", err, c.AXLVersion())
			}
			if _, err := c.Version(t.Context(), ""); err != nil || len(actions) != 3 {
				t.Errorf("not remembered: %v, %q", err, actions)
			}
		})
	}
	t.Run("a read is asked again once, a write never", func(t *testing.T) {
		asked := 0
		c := New(fake(func(soap.Request) (io.Reader, error) { asked++; return nil, refuse("12.x", "14.0", "15.0") }), "11.5")
		if _, err := c.Update(t.Context(), "s"); soap.KindOf(err) != soap.VersionRefused || asked != 1 || c.AXLVersion() != "15.0" {
			t.Errorf("write: %v, asked %d times, speaks %s", err, asked, c.AXLVersion())
		}
		if _, err := c.Version(t.Context(), ""); soap.KindOf(err) != soap.VersionRefused || asked != 3 {
			t.Errorf("read: %v, asked %d times", err, asked)
		}
	})
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"jdoe": "'jdoe'", "": "''", "O'Hara": "'O''Hara'", "'; DELETE FROM enduser; --": "'''; DELETE FROM enduser; --'", `a\'`: `'a\'''`} {
		if got := Quote(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// table is a node with n rows whose answers may not exceed limit bytes (0: any).
type table struct {
	n, limit int
	wide     func(i int) int // bytes of a row's second column
	asked    []int           // FIRST of each request
	largest  int             // answer
}

var statement = regexp.MustCompile(`^SELECT FIRST (\d+) pkid, v FROM t WHERE pkid > '(.*)' ORDER BY pkid$`)

func build(after string, limit int) string {
	return fmt.Sprintf("SELECT FIRST %d pkid, v FROM t WHERE pkid > %s ORDER BY pkid", limit, Quote(after))
}

func (tb *table) Do(ctx context.Context, req soap.Request) (*soap.Answer, error) {
	var in struct {
		SQL string `xml:"Body>executeSQLQuery>sql"`
	}
	if err := xml.Unmarshal(req.Body, &in); err != nil {
		return nil, err
	}
	m := statement.FindStringSubmatch(in.SQL)
	if m == nil {
		return nil, fmt.Errorf("statement %q", in.SQL)
	}
	first, _ := strconv.Atoi(m[1])
	tb.asked = append(tb.asked, first)
	var b strings.Builder
	rows := 0
	for i := range tb.n {
		if key := fmt.Sprintf("%08d", i); key > m[2] && rows < first {
			fmt.Fprintf(&b, "<row><pkid>%s</pkid><v>%s</v></row>", key, strings.Repeat("v", tb.wide(i)))
			rows++
		}
	}
	if tb.limit > 0 && b.Len() > tb.limit {
		return nil, &soap.Error{Op: req.Op, Node: node, Kind: soap.TooLarge, Rows: rows, Suggested: rows * tb.limit / b.Len()}
	}
	tb.largest = max(tb.largest, b.Len())
	return soap.NewAnswer(req, node, io.NopCloser(strings.NewReader(answer(b.String())))), nil
}

func TestPages(t *testing.T) {
	constant := func(n int) func(int) int { return func(int) int { return n } }
	read := func(t *testing.T, tb *table, size *PageSize) PageStats {
		t.Helper()
		next := 0
		stats, err := New(tb, "14.0").Pages(t.Context(), size, []string{"pkid", "v"}, build, func(v [][]byte) error {
			if string(v[0]) != fmt.Sprintf("%08d", next) || len(v[1]) != tb.wide(next) {
				return fmt.Errorf("row %d is %s", next, v[0])
			}
			next++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if next != tb.n || stats.Rows != tb.n {
			t.Fatalf("%d rows of %d, %+v", next, tb.n, stats)
		}
		return stats
	}
	t.Run("grows to what fits into 2 MB and stays below", func(t *testing.T) {
		tb := &table{n: 75_000, wide: constant(150)}
		var size PageSize
		stats := read(t, tb, &size)
		if tb.largest > pageBytes || tb.largest < pageBytes/2 {
			t.Errorf("largest page %d bytes", tb.largest)
		}
		if stats.Pages != len(tb.asked) || stats.Pages > 15 {
			t.Errorf("%+v, asked %v", stats, tb.asked)
		}
		again := &table{n: 75_000, wide: constant(150)}
		if s := read(t, again, &size); again.asked[0] != size.Rows || s.Pages >= stats.Pages {
			t.Errorf("what was learned is not used: asked %v", again.asked)
		}
	})
	t.Run("shrinks when rows grow", func(t *testing.T) {
		tb := &table{n: 40_000, wide: func(i int) int { return i / 40 }}
		read(t, tb, &PageSize{})
		last := tb.asked[len(tb.asked)-1]
		if tb.largest > pageBytes*3/2 || last > 2500 || last < 1500 { // a row is 1000 bytes long in the end
			t.Errorf("largest page %d bytes, asked %v", tb.largest, tb.asked)
		}
	})
	t.Run("learns from the size fault", func(t *testing.T) {
		tb := &table{n: 3000, limit: 50_000, wide: constant(60)} // about 100 bytes a row: 500 fit
		var size PageSize
		stats := read(t, tb, &size)
		if tb.asked[0] != firstPage || tb.asked[1] < 250 || tb.asked[1] > 350 || len(tb.asked) != stats.Pages+1 {
			t.Errorf("asked %v", tb.asked)
		}
		again := &table{n: 3000, limit: 50_000, wide: constant(60)}
		if s := read(t, again, &size); len(again.asked) != s.Pages {
			t.Errorf("refused again: %v", again.asked)
		}
	})
	t.Run("down to one row", func(t *testing.T) {
		read(t, &table{n: 5, limit: 900, wide: constant(800)}, &PageSize{})
	})
	t.Run("a single row too large", func(t *testing.T) {
		tb := &table{n: 5, limit: 100, wide: constant(800)}
		_, err := New(tb, "14.0").Pages(t.Context(), &PageSize{}, []string{"pkid", "v"}, build, func([][]byte) error { return nil })
		if soap.KindOf(err) != soap.TooLarge {
			t.Errorf("got %v, asked %v", err, tb.asked)
		}
	})
	t.Run("an exact number of pages", func(t *testing.T) {
		tb := &table{n: 20, wide: constant(1)}
		if s := read(t, tb, &PageSize{Rows: 10, Ceiling: 10}); s.Pages != 3 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("an empty table", func(t *testing.T) {
		if s := read(t, &table{wide: constant(1)}, &PageSize{}); s.Pages != 1 || s.Rows != 0 || s.Bytes == 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("a node that ignores the key", func(t *testing.T) {
		same := says(nil, "<return><row><pkid>1</pkid></row></return>")
		_, err := New(same, "14.0").Pages(t.Context(), &PageSize{Rows: 1}, []string{"pkid"}, build, func([][]byte) error { return nil })
		var key *KeyError
		if !errors.As(err, &key) || key.Key != "1" {
			t.Errorf("got %v", err)
		}
		_, err = New(says(nil, "<return><row><pkid/></row></return>"), "14.0").Pages(t.Context(), &PageSize{Rows: 1}, []string{"pkid"}, build, func([][]byte) error { return nil })
		if !errors.As(err, &key) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a failure in the middle", func(t *testing.T) {
		tb := &table{n: 25, wide: constant(1)}
		pages := 0
		broken := fake(func(req soap.Request) (io.Reader, error) {
			if pages++; pages == 2 {
				return nil, &soap.Error{Op: req.Op, Node: node, Kind: soap.MemoryFull}
			}
			a, err := tb.Do(t.Context(), req)
			if err != nil {
				return nil, err
			}
			return a.Body, nil
		})
		s, err := New(broken, "14.0").Pages(t.Context(), &PageSize{Rows: 10, Ceiling: 10}, []string{"pkid", "v"}, build, func([][]byte) error { return nil })
		if soap.KindOf(err) != soap.MemoryFull || s.Pages != 1 || s.Rows != 10 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// Over the real transport: a version that is refused by its HTML page, rows over TLS, and an answer that the server cuts.
func TestOverTLS(t *testing.T) {
	cut := false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("SOAPAction") != `"CUCM:DB ver=15.0 executeSQLQuery"` {
			w.WriteHeader(599)
			_, _ = io.WriteString(w, `<!-- custom Cisco error page --><html><body>HTTP Status 599 - Incorrect axl version. Supported axl versions are 12.x, 14.0 and 15.0</body></html>`)
			return
		}
		body := bigAnswer(0, 20_000)
		if cut {
			body = body[:len(body)/2]
		}
		_, _ = w.Write(body)
		if cut {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	transport := soap.New(soap.Endpoint{Node: node, Address: server.Listener.Addr().String(), Trust: soap.Trust{Pins: []string{chain.Fingerprint(server.Certificate())}}})
	defer transport.Close()
	c := New(soap.Limit(transport, soap.NewFlight(soap.NewBudget(64<<20))), "11.5")
	query := func() (int, error) {
		n := 0
		rows, err := c.Query(t.Context(), "SELECT", []string{"pkid", "node"}, func(v [][]byte) error {
			if want := fmt.Sprintf("%08x-6f7c-4f0e-9d6b-0a1b2c3d4e5f", n); string(v[0]) != want {
				return fmt.Errorf("row %d is %s", n, v[0])
			}
			n++
			return nil
		})
		return rows, err
	}
	if rows, err := query(); err != nil || rows != 20_000 || c.AXLVersion() != "15.0" {
		t.Fatalf("%d rows, %v, version %s", rows, err, c.AXLVersion())
	}
	cut = true
	if rows, err := query(); soap.KindOf(err) != soap.Malformed || rows < 5_000 || rows > 10_000 {
		t.Errorf("cut: %d rows, %v", rows, err)
	}
}
