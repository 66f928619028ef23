package clustersim

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	syslogPath = "/var/log/active/syslog/CiscoSyslog"
	success    = "%UC_ICSA-6-InterClusterSyncAgentStatus"
)

// logCall is one request to the newer log service.
func (r *rig) logCall(node, operation, body string, header ...string) reply {
	r.t.Helper()
	return r.post(node, newLogPath, `"`+operation+`"`, `<e:Envelope xmlns:e="`+soapNamespace+`" xmlns:q="`+astNamespace+`"><e:Body>`+body+`</e:Body></e:Envelope>`, "read", header...)
}

func (r *rig) getFile(node, path string) reply {
	r.t.Helper()
	return r.logCall(node, "GetOneFile", "<q:FileName>"+path+"</q:FileName>")
}

func (r *rig) getOldFile(node, path string) reply {
	r.t.Helper()
	return r.post(node, oldLogPath, "http://schemas.cisco.com/ast/soap/action/#LogCollectionPort#GetOneFile",
		`<e:Envelope xmlns:e="`+soapNamespace+`"><e:Body><q:GetOneFile xmlns:q="`+oldLogSpace+`"><FileName>`+path+`</FileName></q:GetOneFile></e:Body></e:Envelope>`, "read")
}

const everyFile = `<q:selectLogFiles><q:FileSelectionCriteria><q:ServiceLogs/><q:SystemLogs><q:item>Event Viewer-Application Log</q:item></q:SystemLogs><q:SearchStr/><q:Frequency>OnDemand</q:Frequency><q:JobType>DownloadtoClient</q:JobType><q:ToDate/><q:FromDate/><q:TimeZone/><q:RelText>None</q:RelText><q:RelTime>0</q:RelTime><q:Port>0</q:Port><q:IPAddress/><q:UserName/><q:Password/><q:ZipInfo>false</q:ZipInfo><q:RemoteFolder/></q:FileSelectionCriteria></q:selectLogFiles>`

// attached takes an answer in parts apart, as a client would.
func attached(t *testing.T, a reply) (root, file string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || a.status != 200 {
		t.Fatalf("%d %s %v: %s", a.status, kind, err, a.body)
	}
	if kind != "multipart/related" {
		inside := regexp.MustCompile(`GetOneFileReturn[^>]*>([^<]*)<`).FindStringSubmatch(a.body)
		if inside == nil {
			return a.body, ""
		}
		text, err := base64.StdEncoding.DecodeString(inside[1])
		if err != nil {
			t.Fatal(err)
		}
		return a.body, string(text)
	}
	parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
	wanted := ""
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return root, file
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		id := p.Header.Get("Content-Id")
		if root == "" {
			root = string(text)
			if id != params["start"] {
				t.Errorf("the root is called %s, announced as %s", id, params["start"])
			}
			if cid := regexp.MustCompile(`href="cid:([^"]+)"`).FindStringSubmatch(root); cid != nil {
				wanted, err = url.PathUnescape(cid[1])
				if err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		if id != "<"+wanted+">" {
			t.Errorf("the attachment is called %s, wanted %s", id, wanted)
		}
		file = string(text)
	}
}

func (r *rig) logOf(node string) string {
	r.t.Helper()
	_, file := attached(r.t, r.getFile(node, syslogPath))
	return file
}

func TestICSASaysEverySyncInItsLog(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	if got := r.logOf(emeaPub); strings.Count(got, success) != 2 || !strings.Contains(got, "[remotePeerAddress="+apacPub+"]") {
		t.Errorf("the syncs that a mesh begins with: %s", got)
	}
	before := r.state("emea").Log.Lines
	r.run(time.Hour)
	log := r.logOf(emeaPub)
	if n := r.state("emea").Log.Lines; n != before+4 || strings.Count(log, success) != 6 {
		t.Errorf("an hour of two peers: %d lines more, %d successes", n-before, strings.Count(log, success))
	}
	line := regexp.MustCompile(`(?m)^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d imp-emea-pub local7 6 : \d+: imp-emea-pub\.example\.com: Mar 02 2026 \d\d:\d\d:\d\d\.\d{3} UTC : %UC_ICSA-6-InterClusterSyncAgentStatus: %\[remotePeerAddress=imp-apac-pub\.example\.com\]\[AppID=Cisco Intercluster Sync Agent\]\[ClusterID=\]\[NodeID=imp-emea-pub\]: Periodic sync completed successfully$`)
	if !line.MatchString(log) {
		t.Errorf("no line of the stored form in\n%s", log)
	}
	if strings.Contains(r.logOf(emeaSub), success) {
		t.Error("a node has another node's log")
	}
}

func TestWhatFailsIsSaidWithItsCause(t *testing.T) {
	for _, c := range []struct {
		name, cluster string
		change        Change
		want          string
	}{
		{"unreachable", "apac", Reachable{From: "emea", Value: new(false)}, "%UC_ICSA-2-InterclusterSyncAgentPeerDown: %[remotePeer=" + apacPub + "]"},
		{"wrong password", "emea", Peers{Peer: "apac", Mode: new(ModeBadCredentials)}, "%UC_ICSA-2-InterClusterSyncAgentSyncFailure: %[remotePeerAddress=" + apacPub + "]"},
		{"wrong address", "emea", Peers{Peer: "apac", Address: new("nowhere.example.com")}, "%UC_ICSA-2-InterClusterSyncAgentPeerSyncFailure: %[remotePeerAddress=nowhere.example.com]"},
		{"AXL stopped", "apac", Services{Node: apacPub, Service: serviceAXL, Status: "Stopped"}, "%UC_ICSA-6-InterClusterSyncAgentAxlClientTimeout"},
		{"expired", "apac", Certificates{Node: apacPub, NotAfter: new(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))}, "%UC_ICSA-2-ICSACertificateValidationFailure: %[SubjectCN=" + apacPub + "]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{Users: 5})
			r.change(c.cluster, c.change)
			r.run(31 * time.Minute)
			if log := r.logOf(emeaPub); !strings.Contains(log, c.want) {
				t.Errorf("no %s in\n%s", c.want, log)
			}
		})
	}
}

func TestAStuckPeerIsSaidByCiscosAlarmUntilItSyncs(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	r.change("emea", Parameters{Node: emeaPub, Service: "Cisco Intercluster Sync Agent", Name: "ICSAEnableAutoRecovery", Value: "f"})
	r.change("emea", Peers{Peer: "apac", Mode: new(ModeStuck)})
	count := func() int {
		return strings.Count(r.logOf(emeaPub), "PeerPeriodicSyncingFailure: %[remotePeerAddress="+apacPub)
	}
	r.run(2 * time.Hour)
	if n := count(); n != 0 {
		t.Errorf("said %d times within 2 h", n)
	}
	r.run(time.Hour)
	if n := count(); n < 1 || n > 2 {
		t.Errorf("said %d times within 3 h", n)
	}
	r.run(2 * time.Hour)
	n := count()
	if n < 4 || n > 6 {
		t.Errorf("said %d times within 5 h: want one an interval", n)
	}
	r.change("emea", Peers{Peer: "apac", Mode: new(ModeOK)})
	r.run(2 * time.Hour)
	if again := count(); again != n {
		t.Errorf("said %d times more after it was mended", again-n)
	}
	r.change("emea", Parameters{Node: emeaPub, Service: "Cisco Intercluster Sync Agent", Name: "ICSAEnableAutoRecovery", Value: "t"})
	r.change("emea", Peers{Peer: "apac", Mode: new(ModeStuck)})
	r.run(3 * time.Hour)
	if again := count(); again != n+1 || r.state("emea").ICSASelfRestarts != 1 {
		t.Errorf("before ICSA restarts itself it says why, once: said %d times, %d restarts", again-n, r.state("emea").ICSASelfRestarts)
	}
}

func TestTheLevelDecidesWhatIsLogged(t *testing.T) {
	r := newRig(t, Config{Users: 5, LogSeverity: 3})
	r.change("apac", Reachable{From: "emea", Value: new(false)})
	r.run(time.Hour)
	log := r.logOf(emeaPub)
	if strings.Contains(log, success) || !strings.Contains(log, "InterclusterSyncAgentPeerDown") {
		t.Errorf("at level Error failures only:\n%s", log)
	}
	r.change("emea", Log{Severity: new(6)})
	r.run(time.Hour)
	if !strings.Contains(r.logOf(emeaPub), success) {
		t.Error("no success at level Informational")
	}
	if _, err := New(Config{Clock: r.clock, LogSeverity: 8}); err == nil {
		t.Error("level 8 is taken")
	}
}

func TestAlarmsOnRequest(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	r.change("emea", Log{Alarm: "InterclusterSyncAgentPeerDown", Peer: "apac"})
	r.change("emea", Log{Alarm: "interclustersyncagentheapspaceerror"})
	r.change("emea", Log{Alarm: "DuplicateUserid"})
	r.change("emea", Log{Alarm: "InterClusterSyncAgentBrandNew", Peer: "amer"})
	r.change("emea", Log{Form: new("wire")})
	r.change("emea", Log{Alarm: "InterClusterSyncAgentPeerPeriodicSyncingFailure", Peer: "apac"})
	log := r.logOf(emeaPub)
	for _, want := range []string{
		"%UC_ICSA-2-InterclusterSyncAgentPeerDown: %[remotePeer=" + apacPub, "%UC_ICSA-2-InterClusterSyncAgentHeapSpaceError: %[AppID", "%UC_ReplWatcher-1-DuplicateUserid: %[AppID=Cisco IM and Presence Data Monitor]",
		"%UC_ICSA-2-InterClusterSyncAgentBrandNew: %[remotePeerAddress=imp-amer-pub.example.com]", "\n<189>", " UTC :  %UC_ICSA-2-InterClusterSyncAgentPeerPeriodicSyncingFailure: %[remotePeerAddress=" + apacPub + "][lastSynchronizedTime=Mon Mar 02 ", "[App ID=",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in\n%s", want, log)
		}
	}
	for body, field := range map[string]string{
		`{"severity":9}`: "severity", `{"form":"x"}`: "form", `{"push":"nowhere"}`: "push", `{"push":"http://a:1"}`: "push", `{"pushFraming":"none"}`: "pushFraming", `{"alarm":"InterclusterSyncAgentPeerDown"}`: "peer",
		`{"alarm":"x","peer":"emea"}`: "peer", `{"size":-1}`: "size", `{"size":900000000}`: "size", `{"framing":"dime"}`: "framing", `{"service":"x"}`: "service", `{"levelBy":"x"}`: "levelBy", `{"nothing":1}`: "body",
	} {
		if err := r.Do(http.MethodPost, "/clusters/emea/log", []byte(body)); err == nil || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestBothServicesInEveryFraming(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5})
	want := r.logOf(emeaPub)
	for _, framing := range []string{"", "xop", "axis", "xml"} {
		r.change("emea", Log{Framing: new(framing)})
		for name, a := range map[string]reply{"new": r.getFile(emeaPub, syslogPath), "old": r.getOldFile(emeaPub, syslogPath)} {
			if _, file := attached(t, a); file != want {
				t.Errorf("%s in %q: %d bytes, want %d: %s", name, framing, len(file), len(want), a.body[:min(len(a.body), 900)])
			}
		}
		root, _ := attached(t, r.logCall(emeaPub, "selectLogFiles", everyFile))
		if err := xmlValid(root); err != nil || !strings.Contains(root, "<ns1:absolutepath>"+syslogPath+"</ns1:absolutepath>") {
			t.Errorf("%q: %v %s", framing, err, root)
		}
	}
	if kind := r.getOldFile(emeaPub, syslogPath).header.Get("Content-Type"); kind != contentXML {
		t.Errorf("the framing asked for: %s", kind)
	}
	for service, served := range map[string][2]int{"new": {200, 404}, "old": {404, 200}, "none": {404, 404}, "": {200, 200}} {
		r.change("emea", Log{Service: new(service)})
		if got := [2]int{r.getFile(emeaPub, syslogPath).status, r.getOldFile(emeaPub, syslogPath).status}; got != served {
			t.Errorf("service %q: %v", service, got)
		}
	}
}

func TestRefusalsOfLogCollection(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	with := func(old, new string) string { return strings.Replace(everyFile, old, new, 1) }
	for _, c := range []struct {
		name string
		got  reply
		code int
		says string
	}{
		{"a file that is not there", r.getFile(emeaPub, "/etc/passwd"), 500, "do not exist"},
		{"the same of the old service", r.getOldFile(emeaPub, syslogPath+".9"), 500, "do not exist"},
		{"a nil element", r.logCall(emeaPub, "selectLogFiles", with("<q:SearchStr/>", `<q:SearchStr xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>`)), 500, "logcollectionservice -102"},
		{"a child left out", r.logCall(emeaPub, "selectLogFiles", with("<q:SearchStr/>", "")), 500, "logcollectionservice -102"},
		{"absolute dates", r.logCall(emeaPub, "selectLogFiles", with("<q:ToDate/>", "<q:ToDate>01/01/26 01:00 AM</q:ToDate>")), 500, "logcollectionservice -101"},
		{"a push to a server", r.logCall(emeaPub, "selectLogFiles", with("DownloadtoClient", "PushtoSFTPServer")), 500, "not modelled"},
		{"another operation", r.logCall(emeaPub, "deleteEverything", "<q:deleteEverything/>"), 500, "not modelled"},
		{"a body that is not the action's", r.logCall(emeaPub, "getTimeZone", everyFile), 500, "disagree"},
	} {
		if c.got.status != c.code || !strings.Contains(c.got.body, c.says) {
			t.Errorf("%s: %d %s", c.name, c.got.status, c.got.body)
		}
	}
	cookie := func(a reply) string { return strings.Split(a.header.Get("Set-Cookie"), ";")[0] }
	one := cookie(r.getFile(emeaPub, syslogPath))
	for name, a := range map[string]reply{
		"of Log Collection, sent to AXL":          r.post(emeaPub, axlPath, "", axlEnvelope("14.0", "getCCMVersion", ""), "", "Cookie", one),
		"of AXL, sent to Log Collection":          r.logCall(emeaPub, "getTimeZone", "<q:LocalHost>x</q:LocalHost>", "Cookie", cookie(r.axlCall(emeaPub, "getCCMVersion", "", "read"))),
		"of the old service, sent to the new one": r.logCall(emeaPub, "getTimeZone", "<q:LocalHost>x</q:LocalHost>", "Cookie", cookie(r.getOldFile(emeaPub, syslogPath))),
	} {
		if a.status != 500 {
			t.Errorf("a cookie %s: %d", name, a.status)
		}
	}
	if a := r.logCall(emeaPub, "getTimeZone", "<q:LocalHost>x</q:LocalHost>", "Cookie", one); a.status != 200 || !strings.Contains(a.body, "Client: (GMT+1:0)CET-Europe/Berlin") {
		t.Errorf("its own cookie: %d %s", a.status, a.body)
	}
	r.change("emea", Log{Roles: new(false)})
	if got := r.getFile(emeaPub, syslogPath).status; got != 403 {
		t.Errorf("without the roles: %d", got)
	}
	if got := r.axlCall(emeaPub, "getCCMVersion", "", "read").status; got != 200 {
		t.Errorf("AXL without the roles of Log Collection: %d", got)
	}
}

func TestRotationAndSize(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	before := r.logOf(emeaPub)
	r.change("emea", Log{Rotate: true})
	r.change("emea", Log{Alarm: "SRMFailover"})
	if _, old := attached(t, r.getFile(emeaPub, syslogPath+".1")); old != before || strings.Count(r.logOf(emeaPub), "\n") != 1 {
		t.Errorf("a copy of %d bytes, want %d; %s", len(old), len(before), r.logOf(emeaPub))
	}
	for range 6 {
		r.change("emea", Log{Rotate: true})
	}
	if root, _ := attached(t, r.logCall(emeaPub, "selectLogFiles", everyFile)); strings.Count(root, "<ns1:File>") != 1+logCopies {
		t.Errorf("%s", root)
	}
	r.change("emea", Log{Size: new(20000000)})
	r.change("emea", Log{Alarm: "SRMFailover"})
	if n := len(r.logOf(emeaPub)); n < 20_000_000 || n > 20_010_000 {
		t.Errorf("%d bytes", n)
	}
}

func TestPushedLines(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	r.change("emea", Log{Push: new(packets.LocalAddr().String())})
	r.change("emea", Log{Alarm: "InterclusterSyncAgentPeerDown", Peer: "apac"})
	buf := make([]byte, 4096)
	if err := packets.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n, _, err := packets.ReadFrom(buf)
	if got := string(buf[:n]); err != nil || !regexp.MustCompile(`^<189>\d+: imp-emea-pub\.example\.com: Mar 02 2026 08:00:00 AM\.000 UTC :  %UC_ICSA-2-InterclusterSyncAgentPeerDown: %\[remotePeer=imp-apac-pub\.example\.com\]\[App ID=`).MatchString(got) {
		t.Errorf("%v %s", err, got)
	}
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	r.change("emea", Log{Push: new("tcp://" + stream.Addr().String()), Form: new("stored")})
	r.change("emea", Log{Alarm: "InterclusterSyncAgentPeerDown", Peer: "apac"})
	conn, err := stream.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "Mar  2 09:00:00 imp-emea-pub local7 2 : ") {
		t.Errorf("%v %s", err, line)
	}
	r.change("emea", Log{Push: new("")})
	r.change("apac", Log{Push: new("tcp://" + stream.Addr().String()), Severity: new(3)})
	r.run(time.Hour) // successes are neither logged nor pushed
	_ = stream.Close()
	r.change("apac", Log{Alarm: "HeapSpaceError"})
}

// TestWhatHappensToLinesOnTheirWay: counted, twice, in another order, and with
// garbage between them, each on request and each taken back.
func TestWhatHappensToLinesOnTheirWay(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	type alarms = []string
	const down, failed = "InterclusterSyncAgentPeerDown", "InterClusterSyncAgentSyncFailure"
	on, off := new(true), new(false)
	for _, c := range []struct {
		name string
		ways Log
		want alarms
	}{
		{"as they are", Log{}, alarms{down, failed}},
		{"twice", Log{PushTwice: on}, alarms{down, down, failed, failed}},
		{"in another order", Log{PushTwice: off, PushSwapped: on}, alarms{failed, down}},
		{"garbage between them", Log{PushSwapped: off, PushGarbage: on}, alarms{"garbage", down, "garbage", failed}},
		{"counted", Log{PushGarbage: off, PushFraming: new("octets")}, alarms{down, failed}},
		{"counted, in the stored form", Log{Form: new("stored")}, alarms{down, failed}},
		{"all of it", Log{Form: new(""), PushTwice: on, PushSwapped: on, PushGarbage: on}, alarms{"garbage", failed, failed, "garbage", down, down}},
		{"as they were", Log{PushFraming: new("lines"), PushTwice: off, PushSwapped: off, PushGarbage: off}, alarms{down, failed}},
	} {
		c.ways.Push = new("tcp://" + stream.Addr().String())
		r.change("emea", c.ways)
		for _, alarm := range []string{down, failed} {
			r.change("emea", Log{Alarm: alarm, Peer: "apac"})
		}
		r.change("emea", Log{Push: new("")}) // which ends the connection
		conn, err := stream.Accept()
		if err != nil {
			t.Fatal(err)
		}
		sent, err := io.ReadAll(conn)
		conn.Close()
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(sent), strings.Join(garbage(), "\n")+"\n", "%UC_NONE-0-garbage: ")
		var got alarms
		for _, m := range regexp.MustCompile(`%UC_\w+-\d-(\w+):`).FindAllStringSubmatch(text, -1) {
			got = append(got, m[1])
		}
		octets := strings.HasPrefix(c.name, "counted") || c.name == "all of it"
		if !slices.Equal(got, c.want) || regexp.MustCompile(`\d <189>`).MatchString(text) != octets {
			t.Errorf("%s: %v, want %v\n%q", c.name, got, c.want, text)
		}
	}
}

func TestTheLevelOfAlarmsIsTold(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	ask := func(node string) reply {
		return r.axlCall(node, "getSyslogConfiguration", "<serverName>"+emeaPub+"</serverName><serviceGroup>IM and Presence Services</serviceGroup><service>Cisco Intercluster Sync Agent</service>", "read")
	}
	local := func(level string) string {
		return "<AlarmLevelEvent>" + level + "</AlarmLevelEvent><RemoteServerName1/><RemoteServerName2/><RemoteServerName3/><RemoteServerName4/><RemoteServerName5/><monitor>Local Syslogs</monitor><Enable>true</Enable>"
	}
	for _, node := range []string{"cucm-emea.example.com", emeaPub} {
		if a := ask(node); a.status != 200 || !strings.Contains(a.body, local("Informational")) {
			t.Errorf("%s: %d %s", node, a.status, a.body)
		}
	}
	checkSyslogSchema(t, ask(emeaPub).body)
	r.change("emea", Log{Severity: new(3)})
	if a := ask(emeaPub); !strings.Contains(a.body, local("Error")) {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, by := range []string{"fault", "unknown"} {
		r.change("emea", Log{LevelBy: new(by)})
		if a := ask(emeaPub); a.status != 500 || !strings.Contains(a.body, "Fault") {
			t.Errorf("%s: %d %s", by, a.status, a.body)
		}
	}
}

func checkSyslogSchema(t *testing.T, body string) {
	t.Helper()
	schema := filepath.Join(reference, "axl", "14.0", "AXLSoap.xsd")
	_, err := os.Stat(schema)
	xmllint, toolErr := exec.LookPath("xmllint")
	if errors.Is(err, fs.ErrNotExist) || toolErr != nil {
		return
	}
	file := filepath.Join(t.TempDir(), "answer.xml")
	if err := os.WriteFile(file, []byte(bodyOf(t, body)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), xmllint, "--noout", "--nonet", "--schema", schema, file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Answers of the newer log service fit its WSDL, and one that was spoilt does
// not.
func TestLogAnswersFitTheSchema(t *testing.T) {
	wsdl, err := os.ReadFile(filepath.Join(reference, "logcollection", "LogCollectionPortTypeService.wsdl"))
	if err != nil {
		t.Skip("Cisco's WSDL is not here")
	}
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	dir := t.TempDir()
	_, schema, _ := strings.Cut(string(wsdl), "<xsd:schema ")
	schema, _, _ = strings.Cut(schema, "</xsd:schema>")
	schema = `<xsd:schema xmlns:tns="` + astNamespace + `" xmlns:xsd="http://www.w3.org/2001/XMLSchema" ` + schema + "</xsd:schema>"
	xsd := filepath.Join(dir, "logs.xsd")
	if err := os.WriteFile(xsd, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Config{Users: 5})
	r.change("emea", Log{Framing: new("xml")})
	check := func(name, body string) ([]byte, error) {
		file := filepath.Join(dir, name+".xml")
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.CommandContext(t.Context(), xmllint, "--noout", "--nonet", "--schema", xsd, file).CombinedOutput()
	}
	for name, a := range map[string]reply{
		"zone": r.logCall(emeaPub, "getTimeZone", "<q:LocalHost>x</q:LocalHost>"), "names": r.logCall(emeaPub, "listNodeServiceLogs", "<q:listNodeServiceLogs><q:ListRequest/></q:listNodeServiceLogs>"),
		"files": r.logCall(emeaPub, "selectLogFiles", everyFile), "file": r.getFile(emeaPub, syslogPath),
	} {
		body := bodyOf(t, a.body)
		if out, err := check(name, body); err != nil {
			t.Errorf("%s: %v %s", name, err, out)
		}
		if out, err := check(name, strings.Replace(body, ">", fmt.Sprintf(" spoilt=%q>", "1"), 1)); err == nil {
			t.Errorf("%s: an unknown attribute passed: %s", name, out)
		}
	}
}
