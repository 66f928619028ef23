package peer

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
)

func TestFindings(t *testing.T) {
	cases := []struct {
		name   string
		broken func(s *scene)
		want   string // ids of apac's findings, "" = none
	}{
		{"all well", func(*scene) {}, ""},
		{"a service stopped", func(s *scene) { s.service("apac", sub("apac"), ICSA, "Stopped") }, "ServiceStopped:imp-apac-sub.example.com:Cisco Intercluster Sync Agent"},
		{"a service starting", func(s *scene) { s.service("apac", sub("apac"), ICSA, "Starting") }, ""},
		{"release", func(s *scene) { c, _ := s.Mesh.Cluster("apac"); c.Release = "15.0" }, "ReleaseDiffers:imp-apac-pub.example.com"},
		{"declared more precisely, to SU level", func(s *scene) { c, _ := s.Mesh.Cluster("apac"); c.Release = "14.0.1SU3" }, ""},
		{"clock", func(s *scene) { s.apac().Seen.Skew = Known(-3*time.Minute, noon) }, "ClockSkew"},
		{"Sync Agent", func(s *scene) {
			s.apac().Seen.SyncAgent = Known("Sync Completed, but currently failed to connect to the CUCM Database Monitor. Retrying... 2021-11-15 01:04:27", noon)
		}, "SyncAgentNotCompleted:imp-apac-pub.example.com"},
		{"a node mesh.yaml does not know", func(s *scene) {
			s.apac().Seen.Topology = Known([]mesh.NodeName{pub("apac"), sub("apac"), "imp-apac-sub2.example.com", pub("emea")}, noon)
		}, "UnlistedNode:imp-apac-sub2.example.com"},
		{"an entry for nobody", func(s *scene) {
			s.apac().Seen.Entries.Value = append(s.apac().Seen.Entries.Value, Entry{Address: "imp-old-pub.example.com"})
		}, "UnlistedPeer:imp-old-pub.example.com"},
		{"parameters", func(s *scene) {
			s.apac().Seen.Nodes[sub("apac")].Parameters.Value[ParamAutoRecovery] = "f"
		}, "ParametersDiffer"},
		{"interval", func(s *scene) { s.apac().Interval.Value = time.Hour }, "IntervalDiffers"},
		{"subscriber lost ten minutes ago", func(s *scene) { s.lose("apac", ago(10*time.Minute), sub("apac")) }, ""},
		{"subscriber lost an hour ago", func(s *scene) { s.lose("apac", ago(time.Hour), sub("apac")) }, "NodeUnreachable:imp-apac-sub.example.com"},
		{"lost", func(s *scene) { s.outage(time.Hour) }, "ClusterDown"},
		{"rejected", func(s *scene) { s.reject("apac") }, "AccountRejected"},
		{"one node's certificate does not fit ours", func(s *scene) {
			n := s.apac().Seen.Nodes[sub("apac")]
			n.Services.Reason, n.Services.Detail = ServerCertificateUntrusted, "no pin matches"
			s.apac().Seen.Nodes[sub("apac")] = n
		}, "ServerCertificateUntrusted:imp-apac-sub.example.com"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.broken(s)
			first := Findings(s.View(), "apac", nil)
			var ids []string
			for _, f := range first {
				ids = append(ids, string(f.ID))
				if f.Message == "" || f.Severity == "" || !f.Since.Equal(noon) {
					t.Errorf("%+v lacks something", f)
				}
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			s.Now = noon.Add(time.Minute)
			if diff := cmp.Diff(first, Findings(s.View(), "apac", first)); diff != "" {
				t.Errorf("a minute later, nothing having changed: %s", diff)
			}
		})
	}
}
