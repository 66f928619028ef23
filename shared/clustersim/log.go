package clustersim

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Local Syslogs of a cluster's ICSA: alarms of a greater number are not logged.
const (
	severityError         = 3 // Cisco's default
	severityInformational = 6
)

// Files of a node's log. Where it is cut and how many copies stay is invented.
const (
	logFolder   = "/var/log/active/syslog/"
	logFile     = "CiscoSyslog"
	logMaxBytes = 5 << 20
	logCopies   = 4
	logMaxSize  = 64 << 20 // that an admin may ask for
)

// logSettings are what a scenario sets about the logs of a cluster.
type logSettings struct {
	severity int
	form     string // of lines: stored, wire, or "" for files stored and pushes wired
	push     *logPush
	ways     pushWays
	framing  string // xop, axis, xml, or "" for that of the service asked
	service  string // new, old, none, or "" for both
	levelBy  string // how getSyslogConfiguration answers: answer, fault, unknown
	zone     string // of the inner time: local, or "" for UTC
	dead     bool   // the syslog daemon does not run
	denied   bool   // the read account lacks the roles
}

// logState is the log of one node.
type logState struct {
	now      []byte // CiscoSyslog
	old      [][]byte
	modified []time.Time // of CiscoSyslog and its copies
	number   int         // of the last line; begins again when the node restarts
	others   time.Time   // the newest line of another service
	kept     bool        // a scenario has set its size: it is not cut by itself
}

// alarmLine is one alarm on its way into a log.
type alarmLine struct {
	facility string
	severity int
	name     string
	tags     [][2]string // without AppID, ClusterID and NodeID
	app      string
	text     string
}

func (n *node) short() string {
	name, _, _ := strings.Cut(n.name, ".")
	return name
}

// message is the part that both forms share.
func (n *node) message(l alarmLine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%%%s-%d-%s: %%", l.facility, l.severity, l.name)
	for _, tag := range append(l.tags[:len(l.tags):len(l.tags)], [][2]string{{"AppID", l.app}, {"ClusterID", ""}, {"NodeID", n.short()}}...) {
		b.WriteString("[" + tag[0] + "=" + tag[1] + "]")
	}
	b.WriteString(": " + l.text)
	return b.String()
}

// storedLine is how a node's own log has it: the outer time is the node's local
// one, the inner time is UTC, unless a scenario has it otherwise.
func (n *node) storedLine(l alarmLine, number int, now time.Time) string {
	local := now.In(n.cluster.timeZone)
	inner := now.UTC()
	if n.cluster.logging.zone == "local" {
		inner = local
	}
	return fmt.Sprintf("%s %s local7 %d : %d: %s: %s : %s", local.Format("Jan _2 15:04:05"), n.short(), l.severity, number, n.name, inner.Format("Jan 02 2006 15:04:05.000 MST"), n.message(l))
}

// wireLine is how a node pushes it: another severity in front, no outer time,
// twelve hours, and blanks in the names of tags.
func (n *node) wireLine(l alarmLine, number int, now time.Time) string {
	text := strings.NewReplacer("[AppID=", "[App ID=", "[ClusterID=", "[Cluster ID=", "[NodeID=", "[Node ID=").Replace(n.message(l))
	return fmt.Sprintf("<189>%d: %s: %s.%03d UTC :  %s", number, n.name, now.UTC().Format("Jan 02 2006 03:04:05 PM"), now.Nanosecond()/1e6, text)
}

// logAlarm writes an alarm of ICSA or another service of the node, if the level
// lets it, and pushes it where somebody listens.
func (s *Sim) logAlarm(n *node, l alarmLine, now time.Time) {
	c := n.cluster
	if n.down || c.logging.dead || l.severity > c.logging.severity {
		return
	}
	n.writeOthers(now)
	n.syslog.number++
	c.logLines++
	stored, wired := n.storedLine(l, n.syslog.number, now), n.wireLine(l, n.syslog.number, now)
	line := stored
	if c.logging.form == "wire" {
		line = wired
	}
	n.append(line, now)
	if c.logging.push != nil {
		if c.logging.form == "stored" {
			wired = stored
		}
		if !c.logging.push.send(wired, c.logging.ways) {
			s.log("%s: a pushed line was lost: nobody takes them at %s", n.name, c.logging.push.address)
		}
	}
}

func (n *node) append(line string, now time.Time) {
	st := &n.syslog
	if len(st.now) > logMaxBytes && !st.kept {
		n.rotateLog(now)
	}
	st.now = append(append(st.now, line...), '\n')
	st.modified[0] = now
}

func (n *node) rotateLog(now time.Time) {
	st := &n.syslog
	st.old = append([][]byte{st.now}, st.old...)
	st.modified = append([]time.Time{now}, st.modified...)
	if len(st.old) > logCopies {
		st.old, st.modified = st.old[:logCopies], st.modified[:logCopies+1]
	}
	st.now, st.kept = nil, false
}

// othersEvery is how often a service that is not ICSA writes something.
const othersEvery = 20 * time.Minute

// writeOthers writes what other services have logged by now: users log in.
func (n *node) writeOthers(now time.Time) {
	n.begin(now)
	if n.cluster.logging.dead || n.syslog.kept || n.down {
		n.syslog.others = now
		return
	}
	if up := n.service(serviceTomcat).since; up.After(n.syslog.others) {
		n.syslog.others = up // the node was down
	}
	for at := n.syslog.others.Add(othersEvery); !at.After(now); at = at.Add(othersEvery) {
		n.syslog.number++
		n.syslog.others = at
		n.append(n.storedLine(alarmLine{facility: "UC_LOGIN", severity: 6, name: "AuthenticationSucceeded", app: "Cisco Tomcat", tags: [][2]string{{"UserID", "somebody"}}, text: "Login succeeded."}, n.syslog.number, at), at)
	}
}

// begin writes what a log holds before ICSA says anything: lines of the forms in
// which other services' alarms have been seen, one of which quotes an alarm of
// ICSA that this node never raised.
func (n *node) begin(now time.Time) {
	if n.syslog.modified != nil {
		return
	}
	n.syslog.modified, n.syslog.others = []time.Time{now}, now
	at := now.Add(-3 * time.Hour)
	l := alarmLine{facility: "UC_GENERIC", severity: 6, name: "ServiceStarted", app: "Cisco Presence Engine", text: "Service is now running."}
	stored := func(l alarmLine) string {
		n.syslog.number++
		at = at.Add(time.Minute)
		return n.storedLine(l, n.syslog.number, at)
	}
	failed := stored(alarmLine{facility: "UC_SERVICEMANAGER", severity: 2, name: "ServiceFailed", app: "Cisco Service Manager", tags: [][2]string{{"ServiceName", "Cisco AMC Service"}, {" Reason", " stopped "}}, text: "Service terminated."})
	quoted := strings.ReplaceAll(stored(alarmLine{facility: "UC_ICSA", severity: 2, name: "InterClusterSyncAgentSyncFailure", app: serviceICSA, tags: [][2]string{{"remotePeerAddress", "imp-elsewhere-pub." + domain}}, text: "quoted from another node"}), "%%", "%")
	for _, line := range []string{
		strings.Replace(stored(l), " UTC : ", " UTC :  ", 1),
		strings.Replace(failed, "-ServiceFailed:", "-ServiceFailed :", 1),
		strings.Replace(stored(alarmLine{facility: "UC_CERT", severity: 4, name: "CertValidfor7days", app: "Cisco Certificate Monitor", text: "Certificate expires."}), "local7", "local99", 1),
		strings.Replace(stored(l), n.name+":", n.name, 1),
		stored(alarmLine{facility: "UC_RTMT", severity: 2, name: "RTMT_ALERT", app: "Cisco AMC Service", tags: [][2]string{{"AlertName", "SyslogSeverityMatchFound"}, {"AlertDetail", " At once#012MatchedEvent : " + quoted + "#012"}}, text: "RTMT Alert"}),
		strings.Replace(stored(l), "local7 6 :", "local7 6 java:", 1),
		at.In(n.cluster.timeZone).Format("Jan _2 15:04:05 ") + n.short() + " local5 6 : audispd:node=" + n.short() + " type=SYSCALL msg=audit(1.2:3): arch=c000003e",
	} {
		n.syslog.now = append(append(n.syslog.now, line...), '\n')
	}
}

// padLog makes the log as large as asked, with old lines of other services.
func (n *node) padLog(size int, now time.Time) {
	n.begin(now)
	line := n.storedLine(alarmLine{facility: "UC_GENERIC", severity: 6, name: "ServiceStarted", app: "Cisco Presence Engine", text: strings.Repeat("Service is now running. ", 8)}, 1, now.Add(-24*time.Hour)) + "\n"
	missing := size - len(n.syslog.now)
	if missing > 0 {
		pad := bytes.Repeat([]byte(line), missing/len(line)+1)
		n.syslog.now = append(pad, n.syslog.now...)
	}
	n.syslog.modified[0], n.syslog.kept = now, true
}

// logFile is the content of a log by its path.
func (n *node) logFile(path string, now time.Time) ([]byte, bool) {
	n.writeOthers(now)
	for i := range len(n.syslog.old) + 1 {
		name, content := n.logName(i)
		if path == logFolder+name {
			return content, true
		}
	}
	return nil, false
}

func (n *node) logName(i int) (string, []byte) {
	if i == 0 {
		return logFile, n.syslog.now
	}
	return fmt.Sprintf("%s.%d", logFile, i), n.syslog.old[i-1]
}
