package ciscolog

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// read is when every line of these tests was read, unless a test says otherwise.
var read = time.Date(2026, time.November, 27, 12, 0, 0, 0, time.UTC)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

// The forms in which lines of such nodes have been seen, with other names in them.
func TestEveryFormOfALine(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       Event
	}{
		{
			"1 stored by IM&P: outer time local, inner time UTC",
			"May  3 08:10:24 impa local7 1 : 62: impa.example.com: May 03 2026 13:10:24.476 UTC : %UC_ReplWatcher-1-DuplicateUserid: %[AppID=Cisco IM and Presence Data Monitor][ClusterID=][NodeID=impa]: two or more users share the same UserID value.",
			Event{Facility: DataMonitor, Severity: 1, Alarm: DuplicateUserID, At: at("2026-05-03T13:10:24.476Z"), Dating: Dated, Seq: "62", Host: "impa.example.com", App: "Cisco IM and Presence Data Monitor", Node: "impa", Text: "two or more users share the same UserID value."},
		},
		{
			"2 a blank before the colon, and inside tags",
			"May  3 08:10:24 impa local7 2 : 9: impa.example.com: May 03 2026 13:10:24.476 UTC : %UC_SERVICEMANAGER-2-ServiceFailed : %[ServiceName=Cisco Tomcat][ Reason= crashed ][AppID=Cisco Service Manager][ClusterID=][NodeID=impa]: Service terminated.",
			Event{Facility: "UC_SERVICEMANAGER", Severity: 2, Alarm: "ServiceFailed", At: at("2026-05-03T13:10:24.476Z"), Dating: Dated, Seq: "9", Host: "impa.example.com", App: "Cisco Service Manager", Node: "impa", Text: "Service terminated."},
		},
		{
			"3 two blanks, severity 6",
			"May  3 08:10:24 impa local7 6 : 10: impa.example.com: May 03 2026 13:10:24.476 UTC :  %UC_GENERIC-6-ServiceStarted: %[AppID=Cisco Presence Engine][ClusterID=][NodeID=impa]: Service is now running.",
			Event{Facility: "UC_GENERIC", Severity: 6, Alarm: "ServiceStarted", At: at("2026-05-03T13:10:24.476Z"), Dating: Dated, Seq: "10", Host: "impa.example.com", App: "Cisco Presence Engine", Node: "impa", Text: "Service is now running."},
		},
		{
			"4 facility local99, fraction of two digits",
			"May  3 08:10:24 impa local99 0 : 11: impa.example.com: May 03 2026 13:10:24.19 UTC :  %UC_CERT-0-CertValidLessthanADay: %[Message=soon][AppID=Cisco Certificate Monitor][ClusterID=][NodeID=impa]: Certificate expires.",
			Event{Facility: "UC_CERT", Severity: 0, Alarm: "CertValidLessthanADay", At: at("2026-05-03T13:10:24.19Z"), Dating: Dated, Seq: "11", Host: "impa.example.com", App: "Cisco Certificate Monitor", Node: "impa", Text: "Certificate expires."},
		},
		{
			"5 no colon after the host, no fraction, three blanks",
			"May  3 08:10:24 cma local7 3 : 12: cma.example.com May 03 2026 13:10:24 UTC :   %UC_CALLMANAGER-3-DeviceUnregistered: %[DeviceName=SEP1][AppID=Cisco CallManager][ClusterID=A][NodeID=cma]: Device unregistered.",
			Event{Facility: "UC_CALLMANAGER", Severity: 3, Alarm: "DeviceUnregistered", At: at("2026-05-03T13:10:24Z"), Dating: Dated, Seq: "12", Host: "cma.example.com", App: "Cisco CallManager", Cluster: "A", Node: "cma", Text: "Device unregistered."},
		},
		{
			"6 no year, facility of several parts, tags as text",
			"May 13 08:10:24 cma local7 6 : 13: May 13 13:10:24.476 UTC : %CCM_SERVICEMANAGER-GENERIC-6-ServiceActivated: Service activated. App ID:Cisco Service Manager Cluster ID: Node ID:cma",
			Event{Facility: "CCM_SERVICEMANAGER-GENERIC", Severity: 6, Alarm: "ServiceActivated", At: at("2026-05-13T13:10:24.476Z"), Dating: YearAdded, Seq: "13", Host: "cma", App: "Cisco Service Manager", Node: "cma", Text: "Service activated."},
		},
		{
			"7 pushed: PRI of another severity, no host, twelve hours, keys with blanks",
			"<189>14: May 03 2026 01:10:24 PM.476 UTC :  %UC_AUDITLOG-5-AdministrativeEvent: %[ UserID =adm][ ClientAddress =192.0.2.9][App ID=Cisco Tomcat][Cluster ID=][Node ID=cma]: Audit Event.",
			Event{Facility: "UC_AUDITLOG", Severity: 5, Alarm: "AdministrativeEvent", At: at("2026-05-03T13:10:24.476Z"), Dating: Dated, Seq: "14", App: "Cisco Tomcat", Node: "cma", Text: "Audit Event."},
		},
		{
			"8 pushed by RTMT, quoting another alarm, cut at the end",
			"<189>15: cma: May 03 2026 12:10:24 AM.476 UTC : %UC_RTMT-2-RTMT_ALERT: %[AlertName=SyslogSeverityMatchFound][AlertDetail= At once#012MatchedEvent : May  3 08:10:24 impa local7 2 : 62: impa.example.com: May 03 2026 13:10:24.476 UTC : %UC_ICSA-2-InterClusterSyncAgentSyncFailure: %[remotePeerAddress=impb]#012",
			Event{Facility: "UC_RTMT", Severity: 2, Alarm: "RTMT_ALERT", At: at("2026-05-03T00:10:24.476Z"), Dating: Dated, Seq: "15", Host: "cma", Text: "#012"},
		},
		{
			"9 pushed by the collector about an IM&P node, no year",
			"<111>16: cma.example.com: May 03 13:10:24.476 UTC : %UC_RTMT-2-RTMT_ALERT: %[AlertName=CriticalServiceDown][AlertDetail= down#012AppID : Cisco Presence Engine#012NodeID : impa]",
			Event{Facility: "UC_RTMT", Severity: 2, Alarm: "RTMT_ALERT", At: at("2026-05-03T13:10:24.476Z"), Dating: YearAdded, Seq: "16", Host: "cma.example.com", Cut: true},
		},
		{
			"10 no PRI, number, host or year; a key with a slash",
			"May 03 01:10:24 PM.476 UTC :  %UC_LOGIN-4-AuthenticationFailed: %[Login Date/Time=May 3][AppID=Cisco Tomcat][ClusterID=][NodeID=cma]: Login failed.",
			Event{Facility: "UC_LOGIN", Severity: 4, Alarm: "AuthenticationFailed", At: at("2026-05-03T13:10:24.476Z"), Dating: YearAdded, App: "Cisco Tomcat", Node: "cma", Text: "Login failed."},
		},
		{
			"12 after a relay, two empty fields",
			": : 17: May 03 13:10:24.476 UTC :  %CCM_RTMT-RTMT-2-RTMT-ERROR-ALERT: RTMT alert. App ID:Cisco AMC Service Cluster ID: Node ID:cma",
			Event{Facility: "CCM_RTMT-RTMT", Severity: 2, Alarm: "RTMT-ERROR-ALERT", At: at("2026-05-03T13:10:24.476Z"), Dating: YearAdded, Seq: "17", App: "Cisco AMC Service", Node: "cma", Text: "RTMT alert."},
		},
		{
			"13 after a relay, fraction of one digit, a tag that the catalogue does not know",
			"May 03 2026 13:10:24.1 UTC :  %UC_ICSA-2-InterClusterSyncAgentSyncFailure: %[UNKNOWN_PARAMNAME:remotePeerAddress=impb][AppID=Cisco Intercluster Sync Agent][ClusterID=][NodeID=impa]: The sync failed.",
			Event{Facility: ICSA, Severity: 2, Alarm: SyncFailure, At: at("2026-05-03T13:10:24.1Z"), Dating: Dated, App: "Cisco Intercluster Sync Agent", Node: "impa", Peer: "impb", Text: "The sync failed."},
		},
		{
			"14 a process before the number, blanks between tags",
			"May  3 08:10:24 cma local7 2 ccm: 18: cma.example.com: May 03 2026 13:10:24.476 UTC : %UC_CALLMANAGER-2-CodeYellowEntry: %[Thread=a] [AverageDelay=22] [AppID=Cisco CallManager] [ClusterID=] [NodeID=cma]: Code yellow.",
			Event{Facility: "UC_CALLMANAGER", Severity: 2, Alarm: "CodeYellowEntry", At: at("2026-05-03T13:10:24.476Z"), Dating: Dated, Seq: "18", Host: "cma.example.com", App: "Cisco CallManager", Node: "cma", Text: "Code yellow."},
		},
		{
			"15 in lower case",
			"May  3 08:10:24 impa local7 6 : 62: impa.example.com: May 03 2026 13:10:24.476 UTC : %uc_icsa-6-interclustersyncagentstatus: %[remotepeeraddress=impb][appid=Cisco Intercluster Sync Agent][clusterid=][nodeid=impa]: Periodic sync completed successfully.",
			Event{Facility: ICSA, Severity: 6, Alarm: Status, At: at("2026-05-03T13:10:24.476Z"), Dating: Dated, Seq: "62", Host: "impa.example.com", App: "Cisco Intercluster Sync Agent", Node: "impa", Peer: "impb", Text: "Periodic sync completed successfully."},
		},
		{
			"16 in parts, no blank before the colon",
			"19: impa: May 03 2026 13:10:24.476 UTC: %UC_ICSA-2-InterClusterSyncAgentSyncFailure: %[remotePeerAddress=impb][part=16.1/3]: The sync",
			Event{Facility: ICSA, Severity: 2, Alarm: SyncFailure, At: at("2026-05-03T13:10:24.476Z"), Dating: Dated, Seq: "19", Host: "impa", Peer: "impb", Part: "16.1/3", Text: "The sync"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Parse([]byte(c.line), read)
			if !ok {
				t.Fatal("not read")
			}
			if got.Line == 0 || !strings.HasSuffix(c.line, got.Rest) || got.Raw != c.line {
				t.Errorf("hash %d, rest %q", got.Line, got.Rest)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Event{}, "Line", "Rest", "Raw")); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("11 a message of the operating system is none of ours", func(t *testing.T) {
		if e, ok := Parse([]byte("<14>17: : audispd:node=impa type=SYSCALL msg=audit(1.2:3): arch=1"), read); ok {
			t.Errorf("read as %v", e)
		}
	})
}

// icsa is a line of ICSA with a success on it.
const icsa = "Nov 27 10:00:00 impa local7 6 : 62: impa.example.com: Nov 27 2026 09:00:00.000 UTC : %UC_ICSA-6-InterClusterSyncAgentStatus: %[remotePeerAddress=impb.example.com][AppID=Cisco Intercluster Sync Agent][ClusterID=][NodeID=impa]: Periodic sync completed successfully."

func one(t *testing.T, line string) Event {
	t.Helper()
	e, ok := Parse([]byte(line), read)
	if !ok {
		t.Fatalf("not read: %s", line)
	}
	return e
}

func TestWhatALineSaysOfASync(t *testing.T) {
	swap := func(old, new string) string {
		out := strings.Replace(icsa, old, new, 1)
		if out == icsa {
			panic(old)
		}
		return out
	}
	const sentence = "Periodic sync completed successfully."
	for _, c := range []struct {
		name, line string
		want       Outcome
	}{
		{"the success line", icsa, Succeeded},
		{"the success line without a sentence", swap(": "+sentence, ":"), Succeeded},
		{"the success line in other words", swap(sentence, "Sync of users done."), Succeeded},
		{"the name of the success line over a failure", swap(sentence, "Periodic sync failed."), Failed},
		{"unsuccessful is no success", swap(sentence, "Periodic sync was unsuccessful."), Failed},
		{"a failure in a tag of it", swap("[AppID", "[syncStatus=Failed][AppID"), Neither},
		{"a failure in a tag, and no word of success", strings.Replace(swap("[AppID", "[syncStatus=Failed][AppID"), sentence, "Status.", 1), Failed},
		{"cut inside its tags", icsa[:strings.Index(icsa, "[AppID")], Neither},
		{"the first of two parts", strings.Replace(swap("[AppID", "[part=3.1/2][AppID"), sentence, "Periodic sync", 1), Neither},
		{"a peer called failover is no failure", swap("impb.example.com", "failover-error.example.com"), Succeeded},
		{"a node called not ready is no failure", swap("NodeID=impa", "NodeID=exception-1"), Succeeded},
		{"its controller was created", swap("AgentStatus", "AgentControllerStatus"), Neither},
		{"stuck, by the catalogue's name", swap("AgentStatus", "AgentPeerPeriodicSyncingFailure"), Failed},
		{"stuck, by the name in the release notes of 12.5", swap("AgentStatus", "AgentPeerPeriodicSyncFailure"), Failed},
		{"a name that nobody knows", swap("AgentStatus", "AgentSomethingNew"), Neither},
		{"another facility's alarm of that name", swap("UC_ICSA", "UC_OTHER"), Neither},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := one(t, c.line).Outcome(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	if got := one(t, swap("AgentStatus", "AgentPeerPeriodicSyncFailure")).Alarm; got != PeriodicSyncingFailure {
		t.Errorf("two names of one alarm: %s", got)
	}
	if got := one(t, swap("AgentStatus", "AgentSomethingNew")).Alarm; got != "InterClusterSyncAgentSomethingNew" {
		t.Errorf("an unknown name is kept: %s", got)
	}
}

func TestTheInstantOfALine(t *testing.T) {
	line := func(stamp string) string {
		return "Nov 27 10:00:00 impa local7 6 : 62: impa: " + stamp + " : %UC_ICSA-6-InterClusterSyncAgentStatus: text"
	}
	for _, c := range []struct {
		name, stamp, reference string
		want                   string // "" is unknown
		how                    Dating
	}{
		{"UTC", "Nov 27 2026 09:00:00.123 UTC", "2026-11-27T12:00:00Z", "2026-11-27T09:00:00.123Z", Dated},
		{"GMT", "Nov 27 2026 09:00:00 GMT", "2026-11-27T12:00:00Z", "2026-11-27T09:00:00Z", Dated},
		{"an offset", "Nov 27 2026 10:00:00 +0100", "2026-11-27T12:00:00Z", "2026-11-27T09:00:00Z", Dated},
		{"an offset with a colon", "Nov 27 2026 04:30:00.5 -04:30", "2026-11-27T12:00:00Z", "2026-11-27T09:00:00.5Z", Dated},
		{"the offset of a zone that has a name is not known", "Nov 27 2026 10:00:00.123 CET", "2026-11-27T12:00:00Z", "", Undated},
		{"CST is of three zones", "Nov 27 2026 10:00:00.123 CST", "2026-11-27T12:00:00Z", "", Undated},
		{"no zone is not UTC", "Nov 27 2026 10:00:00.123", "2026-11-27T12:00:00Z", "", Undated},
		{"midnight in twelve hours", "Nov 27 2026 12:00:01 AM.5 UTC", "2026-11-27T12:00:00Z", "2026-11-27T00:00:01.5Z", Dated},
		{"noon in twelve hours", "Nov 27 2026 12:00:01 PM UTC", "2026-11-27T13:00:00Z", "2026-11-27T12:00:01Z", Dated},
		{"thirteen has no afternoon", "Nov 27 2026 13:00:01 PM UTC", "2026-11-27T13:00:00Z", "", Undated},
		{"a year that is said is kept, also ahead of us", "Nov 28 2027 09:00:00 UTC", "2026-11-27T12:00:00Z", "2027-11-28T09:00:00Z", Dated},
		{"no year: this one", "Nov 27 09:00:00 UTC", "2026-11-27T12:00:00Z", "2026-11-27T09:00:00Z", YearAdded},
		{"no year: this very second", "Nov 27 12:00:00 UTC", "2026-11-27T12:00:00Z", "2026-11-27T12:00:00Z", YearAdded},
		{"no year: New Year's Eve is of last year", "Dec 31 23:59:59.9 UTC", "2026-01-01T00:00:10Z", "2025-12-31T23:59:59.9Z", YearAdded},
		{"no year: tomorrow would be the future, so it is a year ago", "Nov 28 09:00:00 UTC", "2026-11-27T12:00:00Z", "2025-11-28T09:00:00Z", YearAdded},
		{"no year: a minute ahead is of now or of a year ago", "Nov 27 12:01:00 UTC", "2026-11-27T12:00:00Z", "", Undated},
		{"no year, and an offset that reaches over New Year", "Jan 01 00:30:00 +0100", "2026-01-01T00:00:00Z", "2025-12-31T23:30:00Z", YearAdded},
		{"no year: 29 February is of a leap year", "Feb 29 09:00:00 UTC", "2027-03-01T00:00:00Z", "2024-02-29T09:00:00Z", YearAdded},
		{"no year and nothing to go by", "Nov 27 09:00:00 UTC", "", "", Undated},
		{"31 November", "Nov 31 2026 09:00:00 UTC", "2026-11-27T12:00:00Z", "", Undated},
		{"25 o'clock", "Nov 27 2026 25:00:00 UTC", "2026-11-27T12:00:00Z", "", Undated},
		{"only the local time of the outer header", "impa", "2026-11-27T12:00:00Z", "", Undated},
	} {
		t.Run(c.name, func(t *testing.T) {
			var reference time.Time
			if c.reference != "" {
				reference = at(c.reference)
			}
			e, ok := Parse([]byte(line(c.stamp)), reference)
			if !ok {
				t.Fatal("not read")
			}
			var want time.Time
			if c.want != "" {
				want = at(c.want)
			}
			if !e.At.Equal(want) || e.Dating != c.how {
				t.Errorf("%v %q, want %v %q", e.At, e.Dating, want, c.how)
			}
		})
	}
}

func TestLastSynchronizedTimeIsReadOnlyWhereItSaysOneInstant(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"RFC 3339", "2026-11-27T05:00:00Z", "2026-11-27T05:00:00Z"},
		{"with an offset", "2026-11-27 06:00:00 +0100", "2026-11-27T05:00:00Z"},
		{"as Java prints a date in UTC", "Fri Nov 27 05:00:00 UTC 2026", "2026-11-27T05:00:00Z"},
		{"as Java prints a date elsewhere", "Fri Nov 27 06:00:00 CET 2026", ""},
		{"SQL, in UTC", "2026-11-27 05:00:00.0 UTC", "2026-11-27T05:00:00Z"},
		{"SQL, in nobody knows which zone", "2026-11-27 05:00:00.0", ""},
		{"twelve hours", "Nov 27, 2026 5:00:00 AM GMT", "2026-11-27T05:00:00Z"},
		{"seconds since 1970", "1795755600", "2026-11-27T05:00:00Z"},
		{"milliseconds since 1970", "1795755600000", "2026-11-27T05:00:00Z"},
		{"never", "0", ""},
		{"later than the alarm itself", "2026-11-27T09:00:01Z", ""},
		{"words", "never", ""},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := one(t, "1: impa: Nov 27 2026 09:00:00.000 UTC : %UC_ICSA-2-InterClusterSyncAgentPeerPeriodicSyncingFailure: %[remotePeerAddress=impb][lastSynchronizedTime="+c.text+"][AppID=x][ClusterID=][NodeID=impa]: stuck")
			var want time.Time
			if c.want != "" {
				want = at(c.want)
			}
			if !e.LastSynced.Equal(want) || e.LastSyncedText != c.text {
				t.Errorf("%v from %q, want %v", e.LastSynced, e.LastSyncedText, want)
			}
		})
	}
}

func TestQuotedAlarmsAreIgnored(t *testing.T) {
	for name, line := range map[string]string{
		"inside an alert of RTMT":                       "Nov 27 10:00:00 cma local7 2 : 1: cma: Nov 27 2026 09:00:00 UTC : %UC_RTMT-2-RTMT_ALERT: %[AlertName=SyslogSeverityMatchFound][AlertDetail= #012MatchedEvent : " + icsa + "#012",
		"on a line of its own, when an alert is broken": "MatchedEvent : " + icsa,
		"in the text of another program":                "Nov 27 10:00:00 impa local5 6 : audit: [cmd=grep " + icsa + "]",
	} {
		t.Run(name, func(t *testing.T) {
			if e, ok := Parse([]byte(line), read); ok && e.Facility == ICSA {
				t.Errorf("taken for an alarm of ICSA: %+v", e)
			}
			if _, err := Scan(strings.NewReader(line+"\n"), read, func(e Event) error { t.Errorf("handed over: %+v", e); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCertificateAlarmsNameSubjectAndIssuer(t *testing.T) {
	e := one(t, "1: impa: Nov 27 2026 09:00:00 UTC : %UC_ICSA-2-ICSACertificateValidationFailure : %[SubjectCN=impb.example.com][IssuerCN=Example Root, Inc.][ErrorCode=20][AppID=x][ClusterID=][NodeID=impa]: invalid")
	if e.Subject != "impb.example.com" || e.Issuer != "Example Root, Inc." || e.ErrorCode != "20" || e.Peer != "" {
		t.Errorf("%+v", e)
	}
	e = one(t, "1: impa: Nov 27 2026 09:00:00 UTC : %UC_ICSA-2-InterclusterSyncAgentPeerDuplicate : %[hostname=impb2][existingPeer=impb][AppID=x][NodeID=impa]: duplicate")
	if e.Peer != "impb2" || e.Existing != "impb" {
		t.Errorf("%+v", e)
	}
	e = one(t, "1: impa: Nov 27 2026 09:00:00 UTC : %UC_ICSA-2-InterclusterSyncAgentPeerDown : %[remotePeer=[2001:db8::7]][NodeID=impa]: down")
	if e.Peer != "[2001:db8::7]" || e.Node != "impa" {
		t.Errorf("%+v", e)
	}
}

func TestAPeerIsFoundByWholeNames(t *testing.T) {
	e := one(t, "1: impa: Nov 27 2026 09:00:00 UTC : %UC_ICSA-6-InterClusterSyncAgentStatus: %[remotePeerAddress=imp10.example.com][NodeID=impa]: Sync with Cluster-APAC completed at imp7.")
	names := slices.Collect(e.Names())
	for name, want := range map[string]bool{
		"imp10.example.com": true, "Cluster-APAC": true, "imp7": true,
		"imp1": false, "imp1.example.com": false, "example.com": false, "imp10": false, "APAC": false, "imp7.": false, "": false,
	} {
		if slices.Contains(names, name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestAFileIsReadInOnePass(t *testing.T) {
	old := "Nov 20 10:00:00 impa local7 6 : 1: impa: Nov 20 2026 09:00:00.000 UTC :  %UC_GENERIC-6-ServiceStarted: %[AppID=x][ClusterID=][NodeID=impa]: started\n"
	newest := "Nov 27 10:00:00 impa local7 6 : 9: impa: Nov 27 2026 11:59:00.000 UTC :  %UC_GENERIC-6-ServiceStarted: %[AppID=x][ClusterID=][NodeID=impa]: started"
	failure := strings.Replace(strings.Replace(icsa, "ICSA-6", "ICSA-2", 1), "AgentStatus", "AgentSyncFailure", 1)
	file := "garbage\n\n" + old + icsa + "\r\n" + strings.Repeat("x", 3*maxLine) + "% %UC_ICSA-2-Never\n" + failure + "\n" + strings.Repeat("%", 1000) + "\n" + newest + "\n"
	for _, size := range []int{1, 7, 4096, 1 << 20} {
		var got []Alarm
		extent, err := Scan(&inPieces{[]byte(file), size}, read, func(e Event) error {
			got = append(got, e.Alarm)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Alarm{Status, SyncFailure}, got); diff != "" {
			t.Errorf("pieces of %d: %s", size, diff)
		}
		want := Extent{Bytes: int64(len(file)), Lines: 8, TooLong: 1, First: at("2026-11-20T09:00:00Z"), Last: at("2026-11-27T11:59:00Z")}
		want.Severities[6], want.Severities[2] = 1, 1
		if diff := cmp.Diff(want, extent); diff != "" {
			t.Errorf("pieces of %d: %s", size, diff)
		}
	}
}

// What syslogd has not written to its end may be a success now and a failure in the
// next read, which finds it whole.
func TestALineThatIsBeingWrittenIsLeftToTheNextRead(t *testing.T) {
	whole := strings.Replace(icsa, "Periodic sync completed successfully", "Periodic sync completed unsuccessfully", 1) + "\n"
	for end := strings.Index(whole, "completed"); end <= len(whole); end++ {
		var got []Outcome
		extent, err := Scan(strings.NewReader(noise+"\n"+whole[:end]), read, func(e Event) error { got = append(got, e.Outcome()); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if written := end == len(whole); written != slices.Equal(got, []Outcome{Failed}) || !written && len(got) > 0 || extent.Last.Equal(at("2026-11-27T09:00:00Z")) != written {
			t.Errorf("%q: %v, its end is of %s", whole[max(0, end-20):end], got, extent.Last)
		}
	}
}

// inPieces reads at most size bytes at a time.
type inPieces struct {
	rest []byte
	size int
}

func (r *inPieces) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, errEnd
	}
	n := copy(p[:min(len(p), r.size)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// The place in a file is found again by the hash of a line, whatever has been written before and after it.
func TestALineHasTheSameHashInEveryRead(t *testing.T) {
	first, second := one(t, icsa), one(t, icsa+"\r\n")
	if first.Line != second.Line {
		t.Error("one line, two hashes")
	}
	if other := one(t, strings.Replace(icsa, "09:00:00.000", "09:00:00.001", 1)); other.Line == first.Line {
		t.Error("two lines, one hash")
	}
}

func TestNothingIsMadeForALineThatDoesNotMatch(t *testing.T) {
	log := bytes.Repeat([]byte(noise), 2000)
	s := scanner{reference: read, each: func(Event) error { t.Error("an event"); return nil }}
	if err := s.lines(log); err != nil { // it makes the tail once
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() {
		if err := s.lines(log); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations in a block of 2000 lines", n)
	}
}

func TestWhichAlarmsALevelLetsThrough(t *testing.T) {
	for _, c := range []struct {
		alarm         Alarm
		level         Level
		logged, known bool
	}{
		{Status, "Informational", true, true},
		{Status, "informational", true, true},
		{Status, "DEBUG", true, true},
		{Status, "Error", false, true},
		{Status, "error", false, true},
		{PeriodicSyncingFailure, "Error", true, true},
		{PeriodicSyncingFailure, "Critical", true, true},
		{PeriodicSyncingFailure, "Alert", false, true},
		{PeriodicSyncingFailure, "Off", false, true},
		{AXLClientTimeout, "Error", false, true},
		{PeerSyncFailed, "Error", false, false}, // its severity is not documented
		{PeerSyncFailed, Off, false, true},
		{SRMFailover, "Alert", false, false}, // another service's level is its own
		{Status, "Verbose", false, false},
		{Status, "", false, false},
		{"InterClusterSyncAgentBrandNew", "Error", false, false},
	} {
		if logged, known := c.alarm.LoggedAt(c.level); logged != c.logged || known != c.known {
			t.Errorf("%s at level %q: logged %v, known %v", c.alarm, c.level, logged, known)
		}
	}
}
