package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// The two key types on 8443.
var onRSA = certificate.Place{KeyType: "RSA"}

// TestCheckCertsTrustAndTimeline: the matrix, the list of copies and the
// timeline, for people and for machines.
func TestCheckCertsTrustAndTimeline(t *testing.T) {
	sim := simulate(t, "--users", "20")
	must(t, 0, sim.dir, "run", "--once", "peersync")
	must(t, 0, sim.dir, "run", "--once", "certcheck")
	a := mustJSON[struct {
		Findings []any
		Trust    struct {
			Clusters []string
			Rows     []struct {
				Node, Service, Store string
				Cells                []struct{ Verdict, Why string }
			}
		}
		Timeline struct {
			Peer   string
			Events []struct{ Breaks bool }
			Plans  []struct {
				Node  string
				Steps []struct{ Phase, Do string }
			}
		}
	}](t, 0, sim.dir, "check", "certs", "--trust", "--peer", "emea:apac")
	if a.Findings == nil || len(a.Trust.Clusters) != 3 || len(a.Trust.Rows) != 6 || len(a.Trust.Rows[0].Cells) != 3 {
		t.Fatalf("%+v", a.Trust)
	}
	for _, r := range a.Trust.Rows {
		if r.Service != "tomcat" || r.Store != "tomcat-trust" {
			t.Errorf("row %+v", r)
		}
		trusted := 0
		for _, c := range r.Cells {
			if c.Verdict == "trusted" {
				trusted++
			}
		}
		if trusted != 2 {
			t.Errorf("%s is trusted by %d of 2 clusters: %+v", r.Node, trusted, r.Cells)
		}
	}
	if tl := a.Timeline; tl.Peer != "emea>apac" || len(tl.Events) != 2 || !tl.Events[0].Breaks || len(tl.Plans) != 2 || len(tl.Plans[0].Steps) < 8 {
		t.Errorf("timeline %+v", tl)
	}
	if out := must(t, 0, sim.dir, "check", "certs", "--trust"); !strings.Contains(out, "CERTIFICATE OF") || !strings.Contains(out, "copied by hand") {
		t.Error(out)
	}
	if out := must(t, 0, sim.dir, "check", "certs", "--peer", "emea:apac"); !strings.Contains(out, "BREAKS") || !strings.Contains(out, "utils service restart Cisco Tomcat") {
		t.Error(out)
	}
	// Without the flags the answer is what it was.
	plain := mustJSON[map[string]any](t, 0, sim.dir, "check", "certs")
	if _, ok := plain["trust"]; ok || plain["findings"] == nil {
		t.Errorf("%v", plain)
	}
	if _, _, code := run1(t, sim.dir, "check", "certs", "--peer", "emea:mars"); code != 2 {
		t.Errorf("an unknown peer: exit %d, want 2", code)
	}
}

// TestCheckCertsExitsByWhatPeersSuffer: a name that does not resolve is a
// problem, whichever side it is found on.
func TestCheckCertsExitsByWhatPeersSuffer(t *testing.T) {
	sim := simulate(t, "--users", "20")
	must(t, 0, sim.dir, "check", "certs", "--now")
	sim.post(t, "/clusters/emea/dns", `{"name":"imp-apac-pub.example.com","answer":"nxdomain"}`)
	a := mustJSON[struct {
		Findings []struct{ ID, Severity, Reason, Cluster, Means, Fix string }
	}](t, 1, sim.dir, "check", "certs", "--now")
	found := false
	const means = "ICSA resolves every name in a peer's certificate"
	for _, f := range a.Findings {
		found = found || f.Reason == "SANNotResolving" && f.Cluster == "emea" && f.Severity == "critical" && f.Fix != "" && strings.HasPrefix(f.Means, means)
	}
	if out := must(t, 1, sim.dir, "check", "certs"); !strings.Contains(out, means) {
		t.Error(out)
	}
	if !found {
		t.Errorf("%+v", a.Findings)
	}
}

// TestCertificatesOfEveryPortAreListed, not those of 8443 alone.
func TestCertificatesOfEveryPortAreListed(t *testing.T) {
	now := time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC)
	m := &mesh.Mesh{Clusters: []mesh.Cluster{{ID: "emea"}}}
	one := func(subject string, days int) certificate.Served {
		return certificate.Served{Fingerprint: "sha256:00", Subject: subject, NotAfter: now.AddDate(0, 0, days)}
	}
	const node = "imp-emea-pub.example.com"
	snapshot := &record.Snapshot{Certs: map[mesh.ClusterID]store.Doc[certificate.Record]{"emea": {Value: certificate.Record{
		At: now, Served: map[mesh.NodeName]map[certificate.Place]certificate.Served{node: {onRSA: one("CN=tomcat", 100)}},
		Ports: map[mesh.NodeName]map[certificate.Place]certificate.Served{node: {{Port: "5061", KeyType: "RSA"}: one("CN=cup", 200), {Port: "7400", KeyType: "RSA"}: {Error: "in clear"}}},
	}}}}
	var out bytes.Buffer
	if err := showCerts(&terminal{stdout: &out}, m, snapshot, nil, now); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		if f := strings.Fields(line); len(f) > 4 && f[0] == "emea" {
			got = append(got, strings.Join(f[1:5], " "))
		}
	}
	if want := []string{node + " RSA 100 CN=tomcat", node + " 5061/RSA 200 CN=cup"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q in\n%s", got, want, out.String())
	}
}
