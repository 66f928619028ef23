package logcollection

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/soap/soaptest"
)

const (
	log  = "/var/log/active/syslog/CiscoSyslog"
	text = "first line\r\n--not a boundary\n\x00\xff\x8b bytes that are no text\nlast line\n"
)

// fake answers without a wire: what a RoundTripper brings, as Wire would.
type fake func(req soap.Request) (contentType, body string, err error)

func (f fake) Do(_ context.Context, req soap.Request) (*soap.Answer, error) {
	kind, body, err := f(req)
	if err != nil {
		return nil, err
	}
	a := soap.NewAnswer(req, soaptest.NodeName, io.NopCloser(strings.NewReader(body)))
	a.ContentType = kind
	return a, nil
}

func says(kind, body string) *Client {
	return NewClient(fake(func(soap.Request) (string, string, error) { return kind, body, nil }))
}

func envelope(body string) string {
	return `<?xml version='1.0' encoding='UTF-8'?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>` + body + `</soapenv:Body></soapenv:Envelope>`
}

func fault(words string) string {
	return envelope(`<soapenv:Fault><faultcode>soapenv:Server</faultcode><faultstring>` + words + `</faultstring><detail/></soapenv:Fault>`)
}

type part struct{ header, body string }

func parts(boundary string, list ...part) string {
	var b strings.Builder
	for _, p := range list {
		b.WriteString("--" + boundary + "\r\n" + p.header + "\r\n\r\n" + p.body + "\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.String()
}

const (
	xopKind  = `multipart/related; boundary=MIMEBoundary_1f; type="application/xop+xml"; start="<0.1f@apache.org>"; start-info="text/xml"`
	axisKind = `multipart/related; type="text/xml"; start="<A1B2>"; boundary="----=_Part_7_12.34"`
)

func xop(root, href, id string) string {
	return parts("MIMEBoundary_1f",
		part{"Content-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <0.1f@apache.org>", fmt.Sprintf(root, href)},
		part{"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\nContent-ID: " + id, text})
}

var (
	xopRoot  = envelope(`<ns:GetOneFileReturn xmlns:ns="http://schemas.cisco.com/ast/soap"><xop:Include href="%s" xmlns:xop="http://www.w3.org/2004/08/xop/include"/></ns:GetOneFileReturn>`)
	axisRoot = envelope(`<ns1:GetOneFileResponse xmlns:ns1="http://schemas.cisco.com/ast/soap/"><GetOneFileReturn href="cid:C3D4" xmlns:ns2="x"/></ns1:GetOneFileResponse>`)
	inline   = base64.StdEncoding.EncodeToString([]byte(text))
)

func inXML(text string) string {
	return envelope(`<ns:GetOneFileReturn xmlns:ns="http://schemas.cisco.com/ast/soap">` + text + `</ns:GetOneFileReturn>`)
}

// answers are the framings in which a file has been seen to come, or may lawfully come.
var answers = []struct{ name, kind, body, framing string }{
	{"XOP, the boundary without quotes", xopKind, xop(xopRoot, "cid:1.1f@apache.org", "<1.1f@apache.org>"), framingXOP},
	{"XOP, the name escaped", xopKind, xop(xopRoot, "cid:1.urn%3Auuid%3A9%40apache.org", "<1.urn:uuid:9@apache.org>"), framingXOP},
	{"XOP, the names do not agree", xopKind, xop(xopRoot, "cid:1.1f@apache.org", "<other>"), framingXOP},
	{"XOP, the attachment without a name", xopKind, strings.Replace(xop(xopRoot, "cid:1.1f@apache.org", "X"), "\r\nContent-ID: X", "", 1), framingXOP},
	{"XOP, another part first", xopKind, parts("MIMEBoundary_1f",
		part{"Content-Type: application/xop+xml", fmt.Sprintf(xopRoot, "cid:2@a")}, part{"Content-Type: application/octet-stream\r\nContent-ID: <1@a>", "decoy"},
		part{"Content-Type: text/xml\r\nContent-ID: <3@a>", "<x/>"}, part{"Content-Type: application/octet-stream\r\nContent-ID: <2@a>", text}), framingXOP},
	{"Axis 1, the boundary quoted", axisKind, parts("----=_Part_7_12.34", part{"Content-Type: text/xml; charset=UTF-8\r\nContent-Transfer-Encoding: binary\r\nContent-Id: <A1B2>", axisRoot},
		part{"Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\nContent-Id: <C3D4>", text}), framingAxis},
	{"Axis 1, the attachment in base64", axisKind, parts("----=_Part_7_12.34", part{"Content-Type: text/xml", axisRoot},
		part{"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Id: <C3D4>", inline[:8] + "\r\n " + inline[8:]}), framingAxis},
	{"Axis 1, which names no attachment", axisKind, parts("----=_Part_7_12.34", part{"Content-Type: text/xml", envelope(`<GetOneFileResponse><GetOneFileReturn/></GetOneFileResponse>`)},
		part{"Content-Type: application/octet-stream", text}), framingAxis},
	{"parts, which no header announces", "", parts("----=_Part_7_12.34", part{"Content-Type: text/xml", axisRoot}, part{"Content-Type: application/octet-stream\r\nContent-Id: <C3D4>", text}), framingAxis},
	{"one part with the file inside", xopKind, parts("MIMEBoundary_1f", part{"Content-Type: application/xop+xml", inXML(inline)}), framingXOP},
	{"XML with the file inside", "text/xml;charset=UTF-8", inXML(inline), framingXML},
	{"XML with blanks and written line ends", "text/xml", inXML("\n  " + inline[:10] + "&#xd;\n" + inline[10:20] + "&#13;&#10; " + inline[20:] + "\n"), framingXML},
	{"the file alone", "application/octet-stream", text, framingWhole},
	{"the file alone, called XML", "text/xml", text, framingWhole},
}

func TestAFileComesInEveryFraming(t *testing.T) {
	for _, c := range answers {
		t.Run(c.name, func(t *testing.T) {
			var got bytes.Buffer
			extent, err := says(c.kind, c.body).File(t.Context(), New, log, 1<<20, func(r io.Reader) error {
				_, err := io.Copy(&got, r)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != text {
				t.Errorf("got %q", got.String())
			}
			if want := (Extent{int64(len(text)), c.framing}); extent != want {
				t.Errorf("%+v, want %+v", extent, want)
			}
		})
	}
}

func TestAnEmptyFileIsAFile(t *testing.T) {
	for name, c := range map[string]*Client{
		"XOP":            says(xopKind, strings.Replace(xop(xopRoot, "cid:1.1f@apache.org", "<1.1f@apache.org>"), text, "", 1)),
		"XML":            says("text/xml", inXML("")),
		"XML, one tag":   says("text/xml", strings.Replace(inXML(""), "></ns:GetOneFileReturn>", "/>", 1)),
		"XML, one blank": says("text/xml", inXML(" ")),
	} {
		extent, err := c.File(t.Context(), New, log, 100, func(r io.Reader) error { _, err := io.ReadAll(r); return err })
		if err != nil || extent.Bytes != 0 {
			t.Errorf("%s: %+v %v", name, extent, err)
		}
	}
}

// An answer that was cut anywhere is an error, never a file that is shorter.
func TestACutAnswerIsNeverAShortFile(t *testing.T) {
	for _, c := range answers {
		if c.framing == framingWhole || c.kind == "" {
			continue // the transport alone can tell
		}
		for n := range len(c.body) {
			var got bytes.Buffer
			_, err := says(c.kind, c.body[:n]).File(t.Context(), New, log, 1<<20, func(r io.Reader) error { _, err := io.Copy(&got, r); return err })
			if err == nil && got.String() != text {
				t.Fatalf("%s: cut at %d of %d: %q is taken for the file", c.name, n, len(c.body), got.String())
			}
			if err != nil && ProblemOf(err) == Other {
				t.Fatalf("%s: cut at %d: an error without a kind: %v", c.name, n, err)
			}
		}
	}
}

func TestAFileIsReadToACap(t *testing.T) {
	for _, c := range answers {
		for _, spare := range []int64{0, -1, -30} {
			limit := int64(len(text)) + spare
			var got bytes.Buffer
			extent, err := says(c.kind, c.body).File(t.Context(), New, log, limit, func(r io.Reader) error { _, err := io.Copy(&got, r); return err })
			var large *TooLargeError
			if (spare < 0) != errors.As(err, &large) || extent.Bytes != limit || got.String() != text[:limit] {
				t.Errorf("%s: cap %d of %d: %+v %v", c.name, limit, len(text), extent, err)
			}
		}
	}
}

func TestTheReadersOwnErrorComesBack(t *testing.T) {
	mine := errors.New("enough")
	for _, c := range answers {
		_, err := says(c.kind, c.body).File(t.Context(), New, log, 1<<20, func(r io.Reader) error {
			_, _ = io.ReadFull(r, make([]byte, 3))
			return mine
		})
		if err != mine {
			t.Errorf("%s: %v", c.name, err)
		}
		// What is not read is passed over, and the end is still looked at.
		if _, err := says(c.kind, c.body).File(t.Context(), New, log, 1<<20, func(io.Reader) error { return nil }); err != nil {
			t.Errorf("%s: unread: %v", c.name, err)
		}
	}
}

func TestWhatIsNoFileIsAnError(t *testing.T) {
	const words = "Error: FileName /var/log/active/x do not exist"
	for _, c := range []struct {
		name, kind, body string
		want             Problem
	}{
		{"a fault with status 200", "text/xml", fault(words), NoFile},
		{"a fault in parts", xopKind, parts("MIMEBoundary_1f", part{"Content-Type: application/xop+xml", fault(words)}), NoFile},
		{"-102", "text/xml", fault("Error: logcollectionservice -102"), FieldRefused},
		{"-101", "text/xml", fault("Error: logcollectionservice -101"), DatesRefused},
		{"too often", "text/xml", fault("Exceeded allowed rate for Log Collection"), Throttled},
		{"a service that is not deployed", "text/xml", fault("The service cannot be found for the endpoint reference (EPR) /logcollectionservice2"), NoService},
		{"another fault", "text/xml", fault("java.lang.NullPointerException"), Refused},
		{"an HTML page", "text/html", "<html><body>hello</body></html>", Unreadable},
		{"another operation's answer", "text/xml", envelope("<other/>"), Unreadable},
		{"an attachment that is named and not there", "text/xml", fmt.Sprintf(xopRoot, "cid:1"), Unreadable},
		{"parts without the attachment", xopKind, parts("MIMEBoundary_1f", part{"Content-Type: application/xop+xml", fmt.Sprintf(xopRoot, "cid:1")}), Unreadable},
		{"no base64", "text/xml", inXML("?!"), Unreadable},
		{"base64 that ends too soon", "text/xml", inXML("abc"), Unreadable},
		{"an element in the base64", "text/xml", inXML("abcd<x/>"), Unreadable},
		{"another boundary", strings.Replace(xopKind, "_1f", "_2f", 1), xop(xopRoot, "cid:1", "<1>"), Unreadable},
		{"no boundary", "multipart/related", "x", Unreadable},
		{"DIME", "application/dime", "\x0c\x20", Unreadable},
		{"a document type", "text/xml", `<!DOCTYPE x [<!ENTITY a "b">]>` + inXML(inline), Unreadable},
		{"nothing", "text/xml", "", Unreadable},
		{"nesting without end", "text/xml", "<Envelope>" + strings.Repeat("<a>", 1000), Unreadable},
		{"an envelope without end", "text/xml", "<Envelope>" + strings.Repeat("<a></a>", 200_000), Unreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := says(c.kind, c.body).File(t.Context(), New, log, 1<<20, func(r io.Reader) error { _, err := io.ReadAll(r); return err })
			if err == nil || ProblemOf(err) != c.want {
				t.Errorf("%q (%v), want %q", ProblemOf(err), err, c.want)
			}
		})
	}
	_, err := says("application/dime", "x").File(t.Context(), Old, log, 9, func(io.Reader) error { return nil })
	if !strings.Contains(fmt.Sprint(err), "application/dime") {
		t.Errorf("DIME is not named: %v", err)
	}
	_, err = says("text/xml", fault(words)).File(t.Context(), New, log, 9, func(io.Reader) error { return nil })
	var none *NoFileError
	if !errors.As(err, &none) || none.Path != log || none.Node != soaptest.NodeName {
		t.Errorf("%v", err)
	}
}

func TestListings(t *testing.T) {
	file := func(name, size, date string) string {
		return `<ns1:File><ns1:name>` + name + `</ns1:name><ns1:absolutepath>/var/log/active/syslog/` + name + `</ns1:absolutepath><ns1:filesize>` + size + `</ns1:filesize><ns1:modifiedDate>` + date + `</ns1:modifiedDate></ns1:File>`
	}
	nodes := func(files string) string {
		return envelope(`<ns1:selectLogFilesResponse xmlns:ns1="http://schemas.cisco.com/ast/soap"><ns1:ResultSet><ns1:SchemaFileSelectionResult><ns1:Node><ns1:name/><ns1:ServiceList><ns1:ServiceLogs><ns1:name>Event Viewer-Application Log</ns1:name>` + files + `</ns1:ServiceLogs></ns1:ServiceList></ns1:Node></ns1:SchemaFileSelectionResult></ns1:ResultSet></ns1:selectLogFilesResponse>`)
	}
	date := "Tue Sep 15 08:18:10 CDT 2026"
	some := nodes(`<ns1:SetOfFiles>` + file("CiscoSyslog", "1048576", date) + file("CiscoSyslog.1", "", "") + `<ns1:File xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/></ns1:SetOfFiles>`)
	want := []File{{"CiscoSyslog", log, 1 << 20, date}, {"CiscoSyslog.1", log + ".1", -1, ""}}
	for name, c := range map[string]*Client{"plain": says("text/xml", some), "in parts": says(xopKind, parts("MIMEBoundary_1f", part{"Content-Type: application/xop+xml", some}))} {
		got, err := c.Files(t.Context(), Selection{Systems: []string{"Event Viewer-Application Log"}})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	if got, err := says("text/xml", nodes("")).Files(t.Context(), Selection{}); err != nil || got != nil {
		t.Errorf("no match: %v %v", got, err)
	}
	if _, err := says("text/xml", fault("Error: logcollectionservice -102")).Files(t.Context(), Selection{}); ProblemOf(err) != FieldRefused {
		t.Errorf("%v", err)
	}
	if _, err := says("text/xml", some[:len(some)-30]).Files(t.Context(), Selection{}); ProblemOf(err) != Unreadable {
		t.Errorf("a cut listing: %v", err)
	}

	logs := envelope(`<ns1:listNodeServiceLogsResponse xmlns:ns1="http://schemas.cisco.com/ast/soap"><ns1:listNodeServiceLogsReturn><ns1:name>a</ns1:name><ns1:ServiceLog><ns1:item>Cisco Intercluster Sync Agent</ns1:item></ns1:ServiceLog><ns1:SystemLog><ns1:item>Event Viewer-Application Log</ns1:item></ns1:SystemLog></ns1:listNodeServiceLogsReturn><ns1:listNodeServiceLogsReturn><ns1:name>b</ns1:name><ns1:ServiceLog/></ns1:listNodeServiceLogsReturn></ns1:listNodeServiceLogsResponse>`)
	got, err := says("text/xml", logs).Logs(t.Context())
	if diff := cmp.Diff([]NodeLogs{{"a", []string{"Cisco Intercluster Sync Agent"}, []string{"Event Viewer-Application Log"}}, {Node: "b"}}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}

	for name, inner := range map[string]string{
		"attribute": `&lt;TimeZone&gt;&lt;LocalTimeZone value="Client: (GMT-6:0)Central"/&gt;&lt;/TimeZone&gt;`,
		"child":     `<![CDATA[<TimeZone><LocalTimeZone><value>Client: (GMT-6:0)Central</value></LocalTimeZone></TimeZone>]]>`,
	} {
		zone, err := says("text/xml", envelope(`<ns1:TimeZone xmlns:ns1="http://schemas.cisco.com/ast/soap">`+inner+`</ns1:TimeZone>`)).TimeZone(t.Context(), "a")
		if err != nil || zone != "Client: (GMT-6:0)Central" {
			t.Errorf("%s: %q %v", name, zone, err)
		}
	}
	if zone, err := says("text/xml", envelope(`<TimeZone>nothing known</TimeZone>`)).TimeZone(t.Context(), "a"); err != nil || zone != "" {
		t.Errorf("%q %v", zone, err)
	}
	if _, err := says("text/xml", fault("no")).TimeZone(t.Context(), "a"); ProblemOf(err) != Refused {
		t.Errorf("%v", err)
	}
}

// The requests are what the WSDL allows, where that and xmllint are at hand.
func TestRequestsAreValid(t *testing.T) {
	var requests []soap.Request
	c := NewClient(fake(func(req soap.Request) (string, string, error) {
		requests = append(requests, req)
		return "", "", io.EOF
	}))
	_, _ = c.TimeZone(t.Context(), soaptest.NodeName)
	_, _ = c.Logs(t.Context())
	_, _ = c.Files(t.Context(), Selection{Systems: []string{"Event Viewer-Application Log", "A & B"}})
	_, _ = c.File(t.Context(), New, log, 1, nil)
	_, _ = c.File(t.Context(), Old, log, 1, nil)
	body := func(r soap.Request) string {
		_, body, _ := strings.Cut(string(r.Body), "<soapenv:Body>")
		body, _, _ = strings.Cut(body, "</soapenv:Body>")
		return body
	}
	want := [][3]string{
		{path, `"getTimeZone"`, `<ns:LocalHost>` + soaptest.NodeName + `</ns:LocalHost>`},
		{path, `"listNodeServiceLogs"`, `<ns:listNodeServiceLogs><ns:ListRequest/></ns:listNodeServiceLogs>`},
		{path, `"selectLogFiles"`, `<ns:selectLogFiles><ns:FileSelectionCriteria><ns:ServiceLogs/><ns:SystemLogs><ns:item>Event Viewer-Application Log</ns:item><ns:item>A &amp; B</ns:item></ns:SystemLogs><ns:SearchStr/><ns:Frequency>OnDemand</ns:Frequency><ns:JobType>DownloadtoClient</ns:JobType><ns:ToDate/><ns:FromDate/><ns:TimeZone/><ns:RelText>None</ns:RelText><ns:RelTime>0</ns:RelTime><ns:Port>0</ns:Port><ns:IPAddress/><ns:UserName/><ns:Password/><ns:ZipInfo>false</ns:ZipInfo><ns:RemoteFolder/></ns:FileSelectionCriteria></ns:selectLogFiles>`},
		{path, `"GetOneFile"`, `<ns:FileName>` + log + `</ns:FileName>`},
		{oldPath, oldAction, `<ns:GetOneFile><FileName>` + log + `</FileName></ns:GetOneFile>`},
	}
	var got [][3]string
	for _, r := range requests {
		if r.Write {
			t.Errorf("%s is sent as a write", r.Op)
		}
		got = append(got, [3]string{r.Path, r.Action, body(r)})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("requests (-want +got):\n%s", diff)
	}
	wsdl, err := os.ReadFile(filepath.FromSlash("../../../shared/reference/logcollection/LogCollectionPortTypeService.wsdl"))
	if err != nil {
		t.Skip("Cisco's WSDL is not here")
	}
	tool, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	_, schema, _ := strings.Cut(string(wsdl), "<xsd:schema ")
	schema, _, _ = strings.Cut(schema, "</xsd:schema>")
	dir := t.TempDir()
	xsd := filepath.Join(dir, "schema.xsd")
	schema = `<xsd:schema xmlns:tns="http://schemas.cisco.com/ast/soap" xmlns:xsd="http://www.w3.org/2001/XMLSchema" ` + schema + "</xsd:schema>"
	schema = strings.ReplaceAll(schema, `type="string"`, `type="xsd:string"`)
	if err := os.WriteFile(xsd, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	lint := func(body string) error {
		at := strings.IndexAny(body, "/>")
		file := filepath.Join(dir, "request.xml")
		if err := os.WriteFile(file, []byte(body[:at]+` xmlns:ns="http://schemas.cisco.com/ast/soap"`+body[at:]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), tool, "--nonet", "--noout", "--schema", xsd, file).CombinedOutput(); err != nil {
			return fmt.Errorf("xmllint: %w\n%s", err, out)
		}
		return nil
	}
	for _, r := range requests[:4] { // the old service has a WSDL of its own
		if err := lint(body(r)); err != nil {
			t.Error(err)
		}
	}
	if lint(strings.Replace(body(requests[2]), "<ns:Port>0</ns:Port>", "<ns:Port/>", 1)) == nil {
		t.Error("the check accepts anything")
	}
}

// dial makes a client that goes over a socket.
func dial(t *testing.T, handle http.HandlerFunc, alter func(*soap.Endpoint)) (*Client, *soaptest.Node) {
	t.Helper()
	cert := soaptest.Issue(t, soaptest.NodeName, nil, nil)
	node := soaptest.NewNode(t, cert, handle)
	e := soap.Endpoint{Node: soaptest.NodeName, Address: node.Address, Trust: soap.Trust{Roots: cert.Pool()}, Username: "reader", Password: secret.NewText("hunter2")}
	if alter != nil {
		alter(&e)
	}
	w := NewWire(e)
	t.Cleanup(w.Close)
	return NewClient(w), node
}

func TestASessionIsOfOneService(t *testing.T) {
	rejectOnce := false
	c, node := dial(t, func(w http.ResponseWriter, r *http.Request) {
		service := strings.Split(r.URL.Path, "/")[1]
		for _, k := range r.Cookies() {
			if k.Value != service {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			if rejectOnce {
				rejectOnce = false
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		http.SetCookie(w, &http.Cookie{Name: "JSESSIONIDSSO", Value: service, Path: "/"})
		http.SetCookie(w, &http.Cookie{Name: "other", Value: "not a session"})
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, inXML(inline))
	}, nil)
	read := func(from Service) {
		t.Helper()
		if _, err := c.File(t.Context(), from, log, 1<<20, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
	for _, from := range []Service{New, Old, New, Old} {
		read(from)
	}
	rejectOnce = true
	read(New)
	var how []string
	for _, r := range node.Requests() {
		_, password := r.Header["Authorization"]
		how = append(how, fmt.Sprintf("%s %v %s", strings.Split(r.Path, "/")[1], password, r.Header.Get("Cookie")))
	}
	want := []string{
		"logcollectionservice2 true ", "logcollectionservice true ",
		"logcollectionservice2 false JSESSIONIDSSO=logcollectionservice2", "logcollectionservice false JSESSIONIDSSO=logcollectionservice",
		"logcollectionservice2 false JSESSIONIDSSO=logcollectionservice2", "logcollectionservice2 true ",
	}
	if diff := cmp.Diff(want, how); diff != "" {
		t.Error(diff)
	}
}

func TestRefusalsOfTheServer(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   Problem
	}{
		{"a path that does not exist", 500, fault("FileName /x does not exist"), NoFile},
		{"no role", 403, "<html/>", NoRole},
		{"no role, said as 401", 401, "<html/>", NoRole},
		{"no service", 404, "<html/>", NoService},
		{"no service, in Axis's words", 500, fault("The service cannot be found for the endpoint reference (EPR) x"), NoService},
		{"busy", 503, "<html/>", Throttled},
		{"busy, by another number", 429, "", Throttled},
		{"a page instead of a fault", 500, "<html>oops</html>", Refused},
		{"elsewhere", 302, "", Unreadable},
		{"what is this", 418, "", Unreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, node := dial(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://elsewhere.example.com/")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}, nil)
			_, err := client.File(t.Context(), New, "/x", 9, func(io.Reader) error { return nil })
			var e *soap.Error
			if ProblemOf(err) != c.want || !errors.As(err, &e) || e.Status != c.status {
				t.Errorf("%q (%v), want %q", ProblemOf(err), err, c.want)
			}
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Error("the password is in the error")
			}
			if n := len(node.Requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestADeadlineEndsAFileThatTricksOn(t *testing.T) {
	c, _ := dial(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, strings.TrimSuffix(inXML(inline), "</ns:GetOneFileReturn></soapenv:Body></soapenv:Envelope>"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, func(e *soap.Endpoint) { e.Timeout = 50 * time.Millisecond })
	_, err := c.File(t.Context(), New, log, 1<<20, func(r io.Reader) error { _, err := io.ReadAll(r); return err })
	if soap.KindOf(err) != soap.Timeout || ProblemOf(err) != NoAnswer {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerHasACap(t *testing.T) {
	c, _ := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		for range 100 {
			_, _ = w.Write(make([]byte, 64<<10))
		}
	}, func(e *soap.Endpoint) { e.MaxAnswer = 1 << 20 })
	_, err := c.File(t.Context(), New, log, 1<<30, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
	if ProblemOf(err) != TooLarge {
		t.Errorf("%v", err)
	}
}

func TestWhoeverPrintsAWireSeesItsNode(t *testing.T) {
	w := NewWire(soap.Endpoint{Node: "imp", Username: "reader", Password: secret.NewText("hunter2")})
	w.remember(path, []*http.Cookie{{Name: "JSESSIONID", Value: "session"}})
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(form, w); got != "logcollection.Wire(imp)" {
			t.Errorf("%s: %s", form, got)
		}
	}
}

func FuzzFile(f *testing.F) {
	for _, c := range answers {
		f.Add(c.kind, []byte(c.body))
	}
	f.Add(xopKind, []byte(fault("x")))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		var n int64
		extent, err := says(kind, string(body)).File(t.Context(), New, log, 1<<16, func(r io.Reader) error {
			m, err := io.Copy(io.Discard, r)
			n = m
			return err
		})
		if n != extent.Bytes || n > 1<<16 || n > int64(len(body)) {
			t.Errorf("%d bytes, said to be %d, of %d", n, extent.Bytes, len(body))
		}
		if p := ProblemOf(err); (err == nil) != (p == None) || p == Other {
			t.Errorf("%q %v", p, err)
		}
	})
}

func FuzzListing(f *testing.F) {
	f.Add("text/xml", []byte(envelope(`<selectLogFilesResponse><ResultSet><SchemaFileSelectionResult><Node><ServiceList><ServiceLogs><SetOfFiles><File><name>a</name><absolutepath>/a</absolutepath><filesize>1</filesize></File></SetOfFiles></ServiceLogs></ServiceList></Node></SchemaFileSelectionResult></ResultSet></selectLogFilesResponse>`)))
	f.Add(xopKind, []byte(parts("MIMEBoundary_1f", part{"Content-Type: application/xop+xml", fault("x")})))
	f.Add("text/xml", []byte(envelope(`<TimeZone>&lt;a value="b"/&gt;</TimeZone>`)))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		c := says(kind, string(body))
		files, err := c.Files(t.Context(), Selection{})
		if len(files) > maxFiles || err != nil && files != nil || ProblemOf(err) == Other {
			t.Errorf("%d files, %v", len(files), err)
		}
		for _, x := range files {
			if !strings.HasPrefix(x.Path, "/") || x.Size < -1 || len(x.Name) > 3*maxText {
				t.Errorf("%+v", x)
			}
		}
		if _, err := c.Logs(t.Context()); ProblemOf(err) == Other {
			t.Error(err)
		}
		if _, err := c.TimeZone(t.Context(), "a"); ProblemOf(err) == Other {
			t.Error(err)
		}
	})
}
