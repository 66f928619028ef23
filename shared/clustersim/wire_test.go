package clustersim

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func xmlValid(s string) error {
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		if _, err := d.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func TestAXLWire(t *testing.T) {
	r := newSocketRig(t, Config{Users: 20})
	version := axlEnvelope("14.0", "getCCMVersion", "")
	action := `"CUCM:DB ver=14.0 getCCMVersion"`
	for _, test := range []struct {
		name   string
		call   func() reply
		status int
		has    []string
		hasNot []string
	}{
		{"version", func() reply { return r.post(emeaPub, axlPath, action, version, "read") }, 200,
			[]string{"<version>14.0.1.13900(8)</version>", `xmlns:ns="http://www.cisco.com/AXL/API/14.0"`}, nil},
		{"version of another node", func() reply {
			return r.axlCall(emeaPub, "getCCMVersion", "<processNodeName>"+emeaSub+"</processNodeName>", "read")
		}, 200, []string{"14.0.1.13900(8)"}, nil},
		{"version of a node of somebody else", func() reply {
			return r.axlCall(emeaPub, "getCCMVersion", "<processNodeName>"+apacPub+"</processNodeName>", "read")
		}, 500, []string{"<axlcode>5007</axlcode>", "not found"}, nil},
		{"version without SOAPAction", func() reply { return r.post(emeaPub, axlPath, "", version, "read") }, 200, []string{"14.0.1"}, nil},
		{"namespace 8.0, as ICSA sends", func() reply {
			return r.post(emeaPub, axlPath, "", axlEnvelope("8.0", "executeSQLQuery", "<sql>SELECT count(*) from processnode WHERE systemnode='f' and tknodeusage= 0</sql>"), "read")
		}, 200, []string{"<row><count>2</count></row>", "API/8.0"}, nil},
		{"unsupported version", func() reply {
			return r.post(emeaPub, axlPath, `"CUCM:DB ver=99.0 getCCMVersion"`, axlEnvelope("99.0", "getCCMVersion", ""), "read")
		}, 599, []string{"Supported axl versions are 11.x, 12.x and 14.0", "<html>"}, nil},
		{"version of SOAPAction and body disagree", func() reply {
			return r.post(emeaPub, axlPath, `"CUCM:DB ver=12.5 getCCMVersion"`, version, "read")
		}, 500, []string{"disagree"}, nil},
		{"operation of SOAPAction and body disagree", func() reply { return r.post(emeaPub, axlPath, `"CUCM:DB ver=14.0 listUser"`, version, "read") }, 500, []string{"disagree"}, nil},
		{"sequence on getCCMVersion", func() reply {
			return r.post(emeaPub, axlPath, action, strings.Replace(version, "<q:getCCMVersion", `<q:getCCMVersion sequence="1"`, 1), "read")
		}, 500, []string{"sequence"}, nil},
		{"sequence is echoed", func() reply {
			return r.post(emeaPub, axlPath, "", strings.Replace(axlEnvelope("14.0", "executeSQLQuery", "<sql>SELECT name FROM processnode</sql>"), "<q:executeSQLQuery", `<q:executeSQLQuery sequence="1563080407841"`, 1), "read")
		}, 200, []string{`sequence="1563080407841"`}, nil},
		{"qualified child", func() reply { return r.axlCall(emeaPub, "executeSQLQuery", "<q:sql>SELECT 1</q:sql>", "read") }, 500, []string{"unqualified"}, nil},
		{"no row", func() reply {
			return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT name FROM processnode WHERE nodeid = 99</sql>", "read")
		}, 200, []string{"<return></return>"}, []string{"<row>"}},
		{"NULL is an empty element", func() reply {
			return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT FIRST 1 mac, ipv6name FROM processnode WHERE ipv6name IS NULL AND systemnode = 'f'</sql>", "read")
		}, 200, []string{"<ipv6name/>"}, nil},
		{"missing table", func() reply {
			return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT a FROM peeruclusters</sql>", "read")
		}, 500,
			[]string{"<axlcode>-1</axlcode>", "table (peeruclusters) is not in the database", "<request>executeSQLQuery</request>"}, nil},
		{"missing column", func() reply {
			return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT p.colour FROM processnode p</sql>", "read")
		}, 500, []string{"Column (p.colour) not found"}, nil},
		{"syntax error", func() reply { return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT FROM WHERE</sql>", "read") }, 500, []string{"syntax error"}, nil},
		{"a write by executeSQLQuery", func() reply { return r.axlCall(emeaPub, "executeSQLQuery", "<sql>DELETE FROM enduser</sql>", "write") }, 500, []string{"syntax error"}, nil},
		{"two statements", func() reply {
			return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT 1 FROM processnode; DELETE FROM enduser</sql>", "write")
		}, 500, []string{"syntax error"}, nil},
		{"ATTACH", func() reply { return r.axlCall(emeaPub, "executeSQLUpdate", "<sql>ATTACH 'x' AS y</sql>", "write") }, 500, []string{"syntax error"}, nil},
		{"SQLite's own catalogue", func() reply {
			return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT name FROM sqlite_master</sql>", "read")
		}, 500, []string{"not in the database"}, nil},
		{"catalogue", func() reply {
			return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT c.colname, c.colno, c.coltype FROM systables t, syscolumns c WHERE t.tabid = c.tabid AND t.tabname = 'enduser' AND c.colname MATCHES '*nodeid'</sql>", "read")
		}, 200, []string{"<colname>primarynodeid</colname><colno>18</colno><coltype>2</coltype>"}, nil},
		{"read account may not write SQL", func() reply {
			return r.axlCall(emeaPub, "executeSQLUpdate", "<sql>UPDATE processnode SET description = 'x'</sql>", "read")
		}, 403, []string{"<html>"}, nil},
		{"read account may not set parameters", func() reply {
			return r.axlCall(emeaPub, "updateServiceParameter", "<processNodeName>"+emeaPub+"</processNodeName><name>"+paramSyncInterval+"</name><service>"+serviceICSA+"</service><value>45</value>", "read")
		}, 403, nil, nil},
		{"write account writes SQL", func() reply {
			return r.axlCall(emeaPub, "executeSQLUpdate", "<sql>UPDATE processnode SET description = 'it''s &lt;here&gt;' WHERE name = '"+emeaSub+"'</sql>", "write")
		}, 200, []string{"<rowsUpdated>1</rowsUpdated>"}, nil},
		{"and reads it back, escaped", func() reply {
			return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT description FROM processnode WHERE name = '"+emeaSub+"'</sql>", "read")
		}, 200, []string{"it&#39;s &lt;here&gt;"}, nil},
		{"list IM and Presence nodes", func() reply {
			return r.axlCall("cucm-emea.example.com", "listProcessNode", "<searchCriteria><name>%</name><processNodeRole>CUCM IM and Presence</processNodeRole></searchCriteria><returnedTags><name/><nodeUsage/></returnedTags>", "read")
		}, 200, []string{"<name>" + emeaPub + "</name><nodeUsage>Publisher</nodeUsage>", "<name>" + emeaSub + "</name>"}, []string{"cucm-emea", "<processNodeRole>"}},
		{"get a parameter", func() reply {
			return r.axlCall(emeaPub, "getServiceParameter", "<processNodeName>"+emeaPub+"</processNodeName><name>"+paramSyncInterval+"</name><service>"+serviceICSA+"</service>", "read")
		}, 200, []string{"<value>30</value><valueType>long</valueType>", ">" + emeaPub + "</processNodeName>"}, nil},
		{"list parameters of an unknown service", func() reply {
			return r.axlCall(emeaPub, "listServiceParameter", "<searchCriteria><service>Cisco Nothing</service></searchCriteria>", "read")
		}, 200, nil, []string{"<serviceParameter"}},
		{"set a parameter", func() reply {
			return r.axlCall(emeaPub, "updateServiceParameter", "<processNodeName>"+emeaPub+"</processNodeName><name>"+paramAutoRecovery+"</name><service>"+serviceICSA+"</service><value>F</value>", "write")
		}, 200, []string{"<return>{"}, nil},
		{"the database shows it in lower case", func() reply {
			return r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT paramvalue FROM processconfig WHERE paramname = '"+paramAutoRecovery+"' AND paramvalue = 'f'</sql>", "read")
		}, 200, []string{"<paramvalue>f</paramvalue>"}, nil},
		{"reset parameters", func() reply {
			return r.axlCall(emeaPub, "doServiceParametersReset", "<processNodeName>"+emeaPub+"</processNodeName><service>"+serviceICSA+"</service>", "write")
		}, 200, []string{"<return>true</return>"}, nil},
		{"list users on CUCM", func() reply {
			return r.axlCall("cucm-emea.example.com", "listUser", "<searchCriteria><userid>%</userid></searchCriteria><returnedTags><userid/><directoryUri/></returnedTags><skip>0</skip><first>3</first>", "read")
		}, 200, []string{"<directoryUri>"}, []string{"<mailid>"}},
		{"CUCM has no peer table", func() reply {
			return r.axlCall("cucm-emea.example.com", "executeSQLQuery", "<sql>SELECT pkid FROM cupsinterclusterpeers</sql>", "read")
		}, 500, []string{"not in the database"}, nil},
		{"CUCM knows its own users only", func() reply {
			return r.axlCall("cucm-emea.example.com", "executeSQLQuery", "<sql>SELECT COUNT(*) FROM enduser WHERE status = 1 AND enablecups = 't'</sql>", "read")
		}, 200, []string{"<count>20</count>"}, nil},
		{"assigned users", func() reply {
			return r.axlCall("cucm-emea.example.com", "listAssignedPresenceUsers", "<searchCriteria><server>"+emeaSub+"</server></searchCriteria>", "read")
		}, 200, []string{">" + emeaSub + "</server>"}, []string{emeaPub}},
		{"operation nobody has modelled", func() reply { return r.axlCall(emeaPub, "listPhone", "", "read") }, 500, []string{"listPhone"}, nil},
		{"not XML", func() reply { return r.post(emeaPub, axlPath, action, "hello", "read") }, 500, []string{"Fault"}, nil},
		{"document type", func() reply { return r.post(emeaPub, axlPath, action, "<!DOCTYPE x>"+version, "read") }, 500, []string{"Fault"}, nil},
		{"no credentials", func() reply { return r.post(emeaPub, axlPath, action, version, "") }, 401, []string{"<html>"}, nil},
		{"platform account", func() reply { return r.post(emeaPub, axlPath, action, version, "platform") }, 401, nil, nil},
		{"trailing slash missing", func() reply { return r.post(emeaPub, "/axl", action, version, "read") }, 404, nil, nil},
		{"another interface", func() reply { return r.post(emeaPub, "/realtimeservice2/services/RISService70", "", version, "read") }, 404, []string{"Not Found"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.call()
			if got.err != nil || got.status != test.status {
				t.Fatalf("status %d, want %d: %s %v", got.status, test.status, got.body, got.err)
			}
			for _, s := range test.has {
				if !strings.Contains(got.body, s) {
					t.Errorf("answer lacks %q: %s", s, got.body)
				}
			}
			for _, s := range test.hasNot {
				if strings.Contains(got.body, s) {
					t.Errorf("answer holds %q: %s", s, got.body)
				}
			}
			switch got.status {
			case 200, 500:
				if err := xmlValid(got.body); err != nil {
					t.Errorf("%v: %s", err, got.body)
				}
			}
			if date := got.header.Get("Date"); date != epoch.Format(http.TimeFormat) {
				t.Errorf("Date %q is not the simulated clock's", date)
			}
		})
	}
	if !r.logged("NOT MODELLED: AXL operation listPhone") {
		t.Error("what is not modelled was not logged")
	}
	if got := r.state("emea").Writes; got != 3 {
		t.Errorf("%d writes, want 3", got)
	}
	if got := r.nodeState(emeaPub).Requests["getCCMVersion"]; got < 8 {
		t.Errorf("%d requests counted", got)
	}
}

func TestFaultForms(t *testing.T) {
	for _, test := range []struct{ release, node, want string }{
		{"14.0", emeaPub, "<axlError><axlcode>"},
		{"14.0", emeaSub, `<ns2:axlError xmlns:ns2="http://www.cisco.com/AXL/API/12.5"><axlcode>`},
		{"12.5", emeaPub, "<ns2:axlError"},
		{"12.5", emeaSub, "<axl:code>-1</axl:code><axl:message>"},
		{"15.0", emeaPub, "<axlError><axlcode>"},
	} {
		r := newRig(t, Config{Users: 1, Clusters: 1, Release: test.release})
		got := r.post(test.node, axlPath, "", axlEnvelope("12.5", "executeSQLQuery", "<sql>SELECT x FROM nothing</sql>"), "read")
		if got.status != 500 || !strings.Contains(got.body, test.want) {
			t.Errorf("%s on %s: %d %s", test.release, test.node, got.status, got.body)
		}
	}
}

func TestSessions(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5})
	body, action := axlEnvelope("14.0", "getCCMVersion", ""), `"CUCM:DB ver=14.0 getCCMVersion"`
	first := r.post(emeaPub, axlPath, action, body, "read")
	cookie, attributes, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
	if !strings.HasPrefix(cookie, "JSESSIONIDSSO=") || !strings.Contains(attributes, "Secure; HttpOnly") || !strings.Contains(attributes, "path=/") {
		t.Fatalf("Set-Cookie %q", first.header.Get("Set-Cookie"))
	}
	with := func() int { return r.post(emeaPub, axlPath, action, body, "", "Cookie", cookie).status }
	for range 3 {
		r.advance(25 * time.Minute)
		if got := with(); got != 200 {
			t.Fatalf("the session died while in use: %d", got)
		}
	}
	if got := r.nodeState(emeaPub).LogIns; got != 1 {
		t.Errorf("%d log-ins, want 1", got)
	}
	r.advance(31 * time.Minute)
	if got := with(); got != 404 {
		t.Errorf("idle for 31 minutes: %d, want 404", got)
	}
	if got := r.post(emeaPub, axlPath, action, body, "read", "Cookie", cookie).status; got != 200 {
		t.Errorf("stale cookie with a password: %d", got)
	}
	if got := r.post(emeaSub, axlPath, action, body, "", "Cookie", cookie).status; got != 404 {
		t.Errorf("session of another node: %d, want 404", got)
	}

	old := r.account("emea", "read")
	fresh := r.post(emeaPub, axlPath, action, body, "read")
	cookie, _, _ = strings.Cut(fresh.header.Get("Set-Cookie"), ";")
	r.change("emea", Credentials{Password: new("another")})
	if got := with(); got != 404 {
		t.Errorf("session after the password changed: %d, want 404", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.nodeState(emeaPub).Address+axlPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(old.username, old.password)
	if got := r.send(req); got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("old password: %d", got.status)
	}
	if got := r.post(emeaPub, axlPath, action, body, "read").status; got != 200 {
		t.Errorf("new password: %d", got)
	}
	r.change("emea", Credentials{Username: new("axlreader2")})
	if got := r.post(emeaPub, axlPath, action, body, "read").status; got != 200 {
		t.Errorf("new user name: %d", got)
	}
	if got := r.nodeState(emeaPub).RejectedLogIns; got != 1 {
		t.Errorf("%d rejected log-ins, want 1", got)
	}
	if r.post(emeaPub, axlPath, action, body, "write").status != 200 {
		t.Error("the write account was touched")
	}
}

func TestSizeAndMemoryFaults(t *testing.T) {
	r := newRig(t, Config{Users: 300, Clusters: 2, AnswerBudget: 20000})
	got := r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT pkid, userid, directoryuri FROM enduser</sql>", "read")
	if got.status != 500 || !strings.Contains(got.body, "Total rows matched: 606 rows. Suggestive Row Fetch: less than ") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	_, rest, _ := strings.Cut(got.body, "less than ")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil || n < 100 || n > 600 {
		t.Fatalf("suggested %d rows: %v", n, err)
	}
	if rows := r.query(emeaPub, fmt.Sprintf("SELECT FIRST %d pkid, userid, directoryuri FROM enduser", n-n/10)).rows(); len(rows) != n-n/10 {
		t.Errorf("%d rows below the suggestion", len(rows))
	}
	node := r.cluster("emea").node(emeaPub)
	if err := node.reserve(axlMemory - 100); err != nil {
		t.Fatal(err)
	}
	got = r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT name FROM processnode</sql>", "read")
	if got.status != 500 || !strings.Contains(got.body, "Maximum AXL Memory Allocation Consumed") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if err := node.reserve(100 - axlMemory); err != nil {
		t.Fatal(err)
	}
	r.query(emeaPub, "SELECT name FROM processnode")
	if left := node.inFlight.Load(); left != 0 {
		t.Errorf("%d bytes of AXL memory leaked", left)
	}
}

func statusOf(t *testing.T, body, service string) (status, reason, upTime string) {
	t.Helper()
	var e struct {
		Items []struct {
			ServiceName, ServiceStatus, ReasonCode, UpTime string
		} `xml:"Body>soapGetServiceStatusResponse>soapGetServiceStatusReturn>ServiceInfoList>item"`
		Control []struct {
			ServiceName, ServiceStatus, ReasonCode, UpTime string
		} `xml:"Body>soapDoControlServicesResponse>soapDoControlServicesReturn>ServiceInfoList>item"`
	}
	if err := xml.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, i := range append(e.Items, e.Control...) {
		if i.ServiceName == service {
			return i.ServiceStatus, i.ReasonCode, i.UpTime
		}
	}
	t.Fatalf("no %s in %s", service, body)
	return "", "", ""
}

func TestControlCenter(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5})
	status := func(service string) string {
		t.Helper()
		got := r.control(emeaPub, "soapGetServiceStatus", "<q:ServiceStatus>"+service+"</q:ServiceStatus>", "read")
		if got.status != 200 {
			t.Fatalf("status: %d %s", got.status, got.body)
		}
		s, reason, up := statusOf(t, got.body, service)
		if n, err := strconv.Atoi(up); err != nil || (s == "Started") != (n >= 0) {
			t.Errorf("%s is %s with up-time %s", service, s, up)
		}
		return s + " " + reason
	}
	command := func(controlType, service string) string {
		t.Helper()
		got := r.control(emeaPub, "soapDoControlServices", controlRequest(emeaPub, controlType, service), "write")
		if got.status != 200 {
			t.Fatalf("%s %s: %d %s", controlType, service, got.status, got.body)
		}
		s, reason, _ := statusOf(t, got.body, service)
		return s + " " + reason
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	const xcp = "Cisco XCP Connection Manager"

	expect("ICSA", status(serviceICSA), "Started -1")
	expect("start what runs", command("Start", serviceICSA), "Started -1039")
	expect("start a servlet that runs", command("Start", serviceAXL), "Started -1057")
	expect("stop", command("Stop", serviceICSA), "Stopping -1")
	expect("command in between", command("Start", serviceICSA), "Stopping -1042")
	r.advance(10 * time.Second)
	expect("stopped", status(serviceICSA), "Stopped -1069")
	expect("stop what is stopped", command("Stop", serviceICSA), "Stopped -1040")
	expect("start", command("Start", serviceICSA), "Starting -1")
	expect("starting", status(serviceICSA), "Starting -1")
	r.advance(20 * time.Second)
	expect("started again", status(serviceICSA), "Started -1")
	expect("not activated", command("Start", "Cisco XCP Message Archiver"), "Stopped -1068")
	expect("unknown service", command("Start", "Cisco Nothing"), "Unknown -1010")
	expect("Tomcat", command("Restart", serviceTomcat), "Started -1042")

	// Stop and Start of the Router leave the XCP services down, Restart brings
	// them back.
	command("Stop", serviceRouter)
	r.advance(time.Minute)
	expect("XCP after the Router's stop", status(xcp), "Stopped -1069")
	command("Start", serviceRouter)
	r.advance(time.Minute)
	expect("Router", status(serviceRouter), "Started -1")
	expect("XCP after the Router's start", status(xcp), "Stopped -1069")
	command("Start", xcp)
	r.advance(time.Minute)
	command("Restart", serviceRouter)
	r.advance(2 * time.Second)
	expect("XCP while the Router restarts", status(xcp), "Stopping -1")
	r.advance(time.Minute)
	expect("XCP after the Router's restart", status(xcp), "Started -1")
	expect("config manager all the time", status(serviceXCPConfig), "Started -1")
	if got := r.state("emea").RouterRestarts; got != 1 {
		t.Errorf("%d router restarts, want 1", got)
	}

	for _, test := range []struct {
		name   string
		call   func() reply
		status int
		has    string
	}{
		{"node of another name", func() reply {
			return r.control(emeaPub, "soapDoControlServices", controlRequest(emeaSub, "Restart", serviceICSA), "write")
		}, 500, "local node"},
		{"read account", func() reply {
			return r.control(emeaPub, "soapDoControlServices", controlRequest(emeaPub, "Restart", serviceICSA), "read")
		}, 403, "<html>"},
		{"unknown control type", func() reply {
			return r.control(emeaPub, "soapDoControlServices", controlRequest(emeaPub, "Bounce", serviceICSA), "write")
		}, 500, "Bounce"},
		{"unqualified child", func() reply {
			return r.control(emeaPub, "soapGetServiceStatus", "<ServiceStatus></ServiceStatus>", "read")
		}, 500, "qualified"},
		{"all services", func() reply { return r.control(emeaPub, "soapGetServiceStatus", "<q:ServiceStatus/>", "read") }, 200, "Cisco Server Recovery Manager"},
		{"static list", func() reply {
			return r.control(emeaPub, "soapGetStaticServiceList", "<q:ServiceInformationResponse/>", "read")
		}, 200, "<ns1:Deployable>true</ns1:Deployable>"},
		{"product", func() reply { return r.control(emeaPub, "getProductInformationList", "<q:ServiceInfo/>", "read") }, 200, "<ns1:ActiveServerVersion>14.0.1.13900-8</ns1:ActiveServerVersion>"},
		{"unknown operation", func() reply { return r.control(emeaPub, "getFileDirectoryList", "", "read") }, 500, "not modelled"},
		{"deploy", func() reply {
			return r.control(emeaPub, "soapDoServiceDeployment", `<q:DeploymentServiceRequest><q:NodeName>`+emeaPub+`</q:NodeName><q:DeployType>Deploy</q:DeployType><q:ServiceList><q:item>Cisco XCP Message Archiver</q:item></q:ServiceList></q:DeploymentServiceRequest>`, "write")
		}, 200, "Starting"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.call()
			if got.status != test.status || !strings.Contains(got.body, test.has) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	r.advance(time.Minute)
	expect("deployed", status("Cisco XCP Message Archiver"), "Started -1")

	// The local time of the node, without a zone: Berlin is an hour ahead in March.
	got := r.control(emeaPub, "soapGetServiceStatus", "<q:ServiceStatus>Cisco XCP Message Archiver</q:ServiceStatus>", "read")
	if !strings.Contains(got.body, "<ns1:StartTime>Mon Mar 02 09:") {
		t.Errorf("start time: %s", got.body)
	}
}

func TestControlCenterRate(t *testing.T) {
	r := newRig(t, Config{Users: 1, Clusters: 1, ControlCenterRate: 3})
	ask := func() reply { return r.control(emeaPub, "soapGetServiceStatus", "<q:ServiceStatus/>", "read") }
	for range 3 {
		if got := ask(); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if got := ask(); got.status != 500 || !strings.Contains(got.body, "Exceeded allowed rate") {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.advance(time.Minute)
	if got := ask(); got.status != 200 {
		t.Errorf("a minute later: %d", got.status)
	}
}

// Nodes with bare names in Presence Topology find each other: their own resolver
// adds the domain.
func TestBareNamesSync(t *testing.T) {
	for _, names := range []string{namesFQDN, namesHost, namesIP} {
		t.Run(names, func(t *testing.T) {
			r := newRig(t, Config{Clusters: 2, Users: 5, Names: names})
			r.advance(2 * time.Hour)
			for _, id := range []string{"emea>apac", "apac>emea"} {
				p := r.peer(id)
				if p.LastError != "" || p.LastSynchronized == nil || r.now().Sub(*p.LastSynchronized) > time.Hour {
					t.Errorf("%s: last sync %v, %q", id, p.LastSynchronized, p.LastError)
				}
			}
		})
	}
}
