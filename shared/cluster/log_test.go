package cluster_test

import (
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
		set     []string // bodies of the admin's log, in order
		run     time.Duration
		state   cluster.LogState
		problem logcollection.Problem
		level   string
		fix     string
		service logcollection.Service
		framing string
	}{
		{"successes are logged", nil, 0, cluster.LogUsable, "", "Informational", "", logcollection.New, "xop"},
		{"and nobody tells the level", []string{`{"levelBy":"fault"}`}, 0, cluster.LogUsable, "", "", "", logcollection.New, "xop"},
		{"nor knows the operation", []string{`{"levelBy":"unknown"}`}, 0, cluster.LogUsable, "", "", "", logcollection.New, "xop"},
		{"by the older service alone", []string{`{"service":"old"}`}, 0, cluster.LogUsable, "", "Informational", "", logcollection.Old, "axis"},
		{"by the newer one alone, in Axis's parts", []string{`{"service":"new","framing":"axis"}`}, 0, cluster.LogUsable, "", "Informational", "", logcollection.New, "axis"},
		{"inside the XML", []string{`{"framing":"xml"}`}, 0, cluster.LogUsable, "", "Informational", "", logcollection.New, "xml"},
		{"in the form of pushed lines", []string{`{"form":"wire","rotate":true}`}, time.Hour, cluster.LogUsable, "", "Informational", "", logcollection.New, "xop"},
		{"just rotated: the copy is looked into", []string{`{"rotate":true}`}, 0, cluster.LogUsable, "", "Informational", "", logcollection.New, "xop"},
		{"level Error, as AXL tells", []string{`{"severity":3,"rotate":true}`}, 0, cluster.LogOnlyFailures, "", "Error", menu, logcollection.New, "xop"},
		{"level Error, as nobody tells: a failure and no success", []string{`{"severity":3,"levelBy":"fault"}`, `{"rotate":true}`, `{"rotate":true}`, `{"alarm":"InterclusterSyncAgentPeerDown","peer":"apac"}`}, 0, cluster.LogOnlyFailures, "", "", menu, logcollection.New, "xop"},
		{"nothing of ICSA", []string{`{"severity":3,"levelBy":"fault"}`, `{"rotate":true}`, `{"rotate":true}`}, 0, cluster.LogNoICSALines, "", "", menu, logcollection.New, "xop"},
		{"too large", []string{`{"size":20000000}`}, 0, cluster.LogTooLarge, logcollection.TooLarge, "Informational", "pushed", "", ""},
		{"too large, and nobody lists it", []string{`{"size":20000000,"service":"old"}`}, 0, cluster.LogTooLarge, logcollection.TooLarge, "Informational", "", "", ""},
		{"no service", []string{`{"service":"none"}`}, 0, cluster.LogUnsupported, logcollection.NoService, "Informational", "SOAP - Log Collection APIs", "", ""},
		{"no role", []string{`{"roles":false}`}, 0, cluster.LogUnsupported, logcollection.NoRole, "Informational", "Standard RealtimeAndTraceCollection", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 3, Users: 10}, false)
			for _, body := range c.set {
				r.Post("/clusters/emea/log", body)
			}
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
	r.Post("/faults", `{"cluster":"emea","operation":"selectLogFiles","kind":"http401","times":-1}`)
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
	r.Post("/clusters/emea/log", `{"size":15000000}`)
	for _, framing := range []string{"xop", "axis", "xml"} {
		r.Post("/clusters/emea/log", `{"framing":"`+framing+`"}`)
		if log := r.probe("emea").Log; log.State != cluster.LogUsable || log.Bytes < 15_000_000 || log.Successes != 1 || log.Framing != framing {
			t.Errorf("%s: %+v", framing, log)
		}
	}
}
