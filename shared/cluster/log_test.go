package cluster_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/logcollection"
)

func TestProbeTellsWhatTheLogIsGoodFor(t *testing.T) {
	menu := "Cisco Intercluster Sync Agent: Local Syslogs"
	for _, c := range []struct {
		name    string
		set     []clustersim.Change // in order
		run     time.Duration
		state   cluster.LogState
		problem logcollection.Problem
		level   ciscolog.Level
		fix     string
		service logcollection.Service
		framing string
	}{
		{"successes are logged", nil, 0, cluster.LogUsable, "", "Informational", "", logcollection.New, "xop"},
		{"and nobody tells the level", []clustersim.Change{clustersim.Log{LevelBy: new("fault")}}, 0, cluster.LogUsable, "", "", "", logcollection.New, "xop"},
		{"nor knows the operation", []clustersim.Change{clustersim.Log{LevelBy: new("unknown")}}, 0, cluster.LogUsable, "", "", "", logcollection.New, "xop"},
		{"by the older service alone", []clustersim.Change{clustersim.Log{Service: new("old")}}, 0, cluster.LogUsable, "", "Informational", "", logcollection.Old, "axis"},
		{"by the newer one alone, in Axis's parts", []clustersim.Change{clustersim.Log{Service: new("new"), Framing: new("axis")}}, 0, cluster.LogUsable, "", "Informational", "", logcollection.New, "axis"},
		{"inside the XML", []clustersim.Change{clustersim.Log{Framing: new("xml")}}, 0, cluster.LogUsable, "", "Informational", "", logcollection.New, "xml"},
		{"in the form of pushed lines", []clustersim.Change{clustersim.Log{Form: new("wire"), Rotate: true}}, time.Hour, cluster.LogUsable, "", "Informational", "", logcollection.New, "xop"},
		{"just rotated: the copy is looked into", []clustersim.Change{clustersim.Log{Rotate: true}}, 0, cluster.LogUsable, "", "Informational", "", logcollection.New, "xop"},
		{"level Error, as AXL tells", []clustersim.Change{clustersim.Log{Severity: new(3), Rotate: true}}, 0, cluster.LogOnlyFailures, "", "Error", menu, logcollection.New, "xop"},
		{"level Error, as nobody tells: a failure and no success", []clustersim.Change{clustersim.Log{Severity: new(3), LevelBy: new("fault")}, clustersim.Log{Rotate: true}, clustersim.Log{Rotate: true}, clustersim.Log{Alarm: "InterclusterSyncAgentPeerDown", Peer: "apac"}}, 0, cluster.LogOnlyFailures, "", "", menu, logcollection.New, "xop"},
		{"nothing of ICSA", []clustersim.Change{clustersim.Log{Severity: new(3), LevelBy: new("fault")}, clustersim.Log{Rotate: true}, clustersim.Log{Rotate: true}}, 0, cluster.LogNoICSALines, "", "", menu, logcollection.New, "xop"},
		{"too large", []clustersim.Change{clustersim.Log{Size: new(20000000)}}, 0, cluster.LogTooLarge, logcollection.TooLarge, "Informational", "pushed", "", ""},
		{"too large, and nobody lists it", []clustersim.Change{clustersim.Log{Size: new(20000000), Service: new("old")}}, 0, cluster.LogTooLarge, logcollection.TooLarge, "Informational", "", "", ""},
		{"no service", []clustersim.Change{clustersim.Log{Service: new("none")}}, 0, cluster.LogUnsupported, logcollection.NoService, "Informational", "SOAP - Log Collection APIs", "", ""},
		{"no role", []clustersim.Change{clustersim.Log{Roles: new(false)}}, 0, cluster.LogUnsupported, logcollection.NoRole, "Informational", "Standard RealtimeAndTraceCollection", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 3, Users: 10}, false)
			r.Change("emea", c.set...)
			for range int(c.run / time.Minute) {
				r.Pass(time.Minute)
			}
			log := r.probe("emea").Log
			if log.State != c.state || log.Problem != c.problem || log.Level != c.level || log.Service != c.service || log.Framing != c.framing {
				t.Errorf("%+v", log)
			}
			if (c.fix == "") != (log.Fix == "") && log.State != cluster.LogTooLarge || !strings.Contains(log.Fix, c.fix) {
				t.Errorf("fix: %q", log.Fix)
			}
			if log.State == cluster.LogUsable && (log.Successes == 0 || log.Undated > 0 || log.First == nil || log.Last == nil || log.Alarms[ciscolog.Status] != log.Successes) {
				t.Errorf("%+v", log)
			}
			if names := log.Sample; strings.Contains(names, "example.com") || strings.Contains(names, "imp-") || (names == "") != (len(log.Alarms) == 0) {
				t.Errorf("the line to send: %q", log.Sample)
			}
			if t.Failed() {
				return
			}
			if n := r.Requests("emea"); c.problem == logcollection.NoRole && n["selectLogFiles"]+n["GetOneFile"] != 1 {
				t.Errorf("an account that is refused is tried again: %v", n)
			}
		})
	}
}

// What Log Collection refuses says nothing of the account: AXL has just taken it.
func TestARefusalByLogCollectionIsNoRejectedAccount(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "selectLogFiles", Kind: clustersim.FaultHTTP401, Times: -1})
	p := r.probe("emea") // fails the test if the account counts as rejected
	if p.Log.State != cluster.LogUnsupported || p.Log.Problem != logcollection.NoRole || !p.Nodes[0].AXL.OK {
		t.Errorf("%+v", p.Log)
	}
	if len(p.Queries) == 0 || p.Proposal.Empty() {
		t.Error("the rest of the probe is missing")
	}
}

func TestALogOfEverySizeIsReadOverASocket(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 10}, true)
	r.Change("emea", clustersim.Log{Size: new(15000000)})
	for _, framing := range []string{"xop", "axis", "xml"} {
		r.Change("emea", clustersim.Log{Framing: new(framing)})
		if log := r.probe("emea").Log; log.State != cluster.LogUsable || log.Bytes < 15_000_000 || log.Successes != 1 || log.Framing != framing {
			t.Errorf("%s: %+v", framing, log)
		}
	}
}

// TestProbeSaysWhatALevelBelowCriticalHides: then no line is no good news.
func TestProbeSaysWhatALevelBelowCriticalHides(t *testing.T) {
	for severity, want := range []cluster.LogState{cluster.LogNoICSALines, cluster.LogNoICSALines, cluster.LogOnlyFailures, cluster.LogOnlyFailures} {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 10}, false)
		r.Change("emea", clustersim.Log{Severity: &severity})
		log := r.probe("emea").Log
		if hidden := strings.Contains(log.Detail, "neither successes nor failures are logged"); log.State != want || hidden != (severity < 2) || log.Fix == "" {
			t.Errorf("level %s: %s: %s", log.Level, log.State, log.Detail)
		}
	}
}

// TestTheLineToSendNamesNobodyOfTheMesh: neither the cluster's own nodes nor any
// other's, by whatever name, address or domain mesh.yaml knows them.
func TestTheLineToSendNamesNobodyOfTheMesh(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 3, Users: 10}, false)
	apac, _ := r.Mesh.Cluster("apac")
	apac.SyslogFrom = []string{"relay7"}
	apac.Nodes[1].TLSName = "chat-asia.corp.invalid"
	apac.Nodes[1].Address = "apacbox:8443"
	apac.CUCM.Name = "CUCMASIA"
	r.Mesh.Domains = []string{"subsidiary"}
	names := []string{"amer", "apac", "emea", "relay7", "chat-asia.corp.invalid", "apacbox", "cucmasia", "subsidiary", "imp-amer-pub", "example.com", "imp-apac-sub"}
	line := "Mar  2 08:00:00 h local7 2 : 7: imp-emea-pub.example.com: Mar 02 2026 07:00:00.000 UTC : %UC_ICSA-6-InterClusterSyncAgentStatus: %[remotePeerAddress=imp-apac-pub.example.com][AppID=Cisco Intercluster Sync Agent][ClusterID=][NodeID=imp-emea-pub]: Periodic sync completed successfully of " + strings.Join(names, ", ") + "\n"
	r.Connector.Transport = &otherLog{next: r.Connector.Transport, file: func() io.Reader { return strings.NewReader(line) }}
	sample := r.probe("emea").Log.Sample
	for _, name := range names {
		if sample == "" || strings.Contains(strings.ToLower(sample), name) {
			t.Errorf("%s stands in %q", name, sample)
		}
	}
}

// TestTheLevelIsThatOfLocalSyslogs: whatever other destinations a node lists, in
// whatever order, and however it writes the name.
func TestTheLevelIsThatOfLocalSyslogs(t *testing.T) {
	monitor := func(name, level, on string) string {
		return "<AlarmConfig><AlarmLevelEvent>" + level + "</AlarmLevelEvent><monitor>" + name + "</monitor><Enable>" + on + "</Enable></AlarmConfig>"
	}
	remote, trace := monitor("Remote Syslogs", "Error", "true"), monitor("SDI Trace", "Debug", "true")
	for _, c := range []struct {
		name, monitors string
		level          ciscolog.Level
		by             string
	}{
		{"the last of three", remote + trace + monitor("Local Syslogs", "Informational", "true"), "Informational", "cucm-emea.example.com"},
		{"in one word", remote + monitor("LOCALSYSLOG", "Warning", "t"), "Warning", "cucm-emea.example.com"},
		{"after another that is local", monitor("Local Trace", "Debug", "true") + monitor("Local Syslogs", "Error", "true"), "Error", "cucm-emea.example.com"},
		{"turned off", remote + monitor("Local Syslogs", "Informational", "false"), ciscolog.Off, "cucm-emea.example.com"},
		{"not among them", remote + trace, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
			r.retell("getSyslogConfiguration", func(a string) string {
				before, rest, _ := strings.Cut(a, "<alarmConfigs>")
				_, after, _ := strings.Cut(rest, "</alarmConfigs>")
				return before + "<alarmConfigs>" + c.monitors + "</alarmConfigs>" + after
			})
			if log := r.probe("emea").Log; log.Level != c.level || log.LevelBy != c.by {
				t.Errorf("level %q, as %q says", log.Level, log.LevelBy)
			}
		})
	}
}
