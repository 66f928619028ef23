package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/check"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// preflight stores rows of a cluster, or of the mesh as a whole, as judged at eight.
func (s *scene) preflight(id mesh.ClusterID, rows ...check.Row) {
	at := sceneNow.Add(-6*time.Hour - 30*time.Minute)
	for i := range rows {
		rows[i].Cluster, rows[i].Since = id, at
	}
	s.put(store.Preflight(s.mesh.Name, id), check.Record{At: at, Rows: rows})
}

// checked is what preflight makes of a cluster on which something of each kind was found.
func (s *scene) checked(id mesh.ClusterID) []check.Row {
	pub, sub := mesh.NodeName(fmt.Sprintf("imp-%s-pub.example.com", id)), mesh.NodeName(fmt.Sprintf("imp-%s-sub.example.com", id))
	return []check.Row{
		{ID: "topology", Step: "prerequisites", Status: check.Pass, Reason: check.CheckPassed, Basis: peer.Measured, Message: "it lists the 2 nodes of mesh.yaml"},
		{ID: "ports-7400", Step: "prerequisites", Node: pub, Status: check.Unknown, Reason: check.OtherPort, Basis: peer.Measured, Message: fmt.Sprintf("mesh.yaml reaches %s by 192.0.2.1:40001, so its own ports are not seen from here", pub)},
		{ID: "ova", Step: "prerequisites", Status: check.Declared, Reason: check.AsDeclared, Basis: peer.Declared, Message: fmt.Sprintf("%s is declared with the 15000-user OVA; not verified", id)},
		{ID: "replication", Step: "prerequisites", Node: sub, Status: check.Fail, Reason: check.ReplicationBad, Basis: peer.Measured, Message: fmt.Sprintf("database replication of %s is 3 (bad), 2 is wanted (PerfMon)", sub),
			Fix: fmt.Sprintf("on the command line of %s: `utils dbreplication runtimestate`, then as Cisco's troubleshooting of database replication says", pub)},
		{ID: "troubleshooter", Step: "6", Status: check.Manual, Reason: peer.NotObservable, Basis: peer.Declared, Message: fmt.Sprintf("the Inter-Clustering Troubleshooter of %s is seen on Cisco's page only", id),
			Fix: fmt.Sprintf("Diagnostics > System Troubleshooter of %s: in Inter-Clustering Troubleshooter a check mark beside every entry", pub)},
		{ID: "auto-recovery", Step: "8", Node: pub, Status: check.Pass, Reason: check.CheckPassed, Basis: peer.Measured, Message: "auto recovery is enabled"},
		{ID: "auto-recovery", Step: "8", Node: sub, Status: check.Pass, Reason: check.CheckPassed, Basis: peer.Measured, Message: "auto recovery is enabled"},
	}
}

// checkedAll has carried out the checks of every cluster but the last, and those of the mesh.
func (s *scene) checkedAll() *scene {
	clusters := s.mesh.IDs()
	for i, id := range clusters[:len(clusters)-1] {
		rows := s.checked(id)
		if i%2 == 1 {
			rows = slices.DeleteFunc(rows, func(r check.Row) bool { return r.Status == check.Fail })
		}
		s.preflight(id, rows...)
	}
	s.preflight("", check.Row{ID: "sizing", Step: "prerequisites", Status: check.Manual, Reason: peer.NotObservable, Basis: peer.Declared, Message: "sizing of the mesh is for a person to compare with Cisco's SRND",
		Fix: "Cisco Collaboration Solution Reference Network Designs, chapter Collaboration Instant Messaging and Presence"})
	return s
}

func ids(all []peer.Finding) string {
	out := []string{}
	for _, f := range all {
		out = append(out, string(f.ID))
	}
	return strings.Join(out, " ")
}

// Bad replication on a node is found at its cluster, with the cure, and at the peers of that cluster; a fault of the
// mesh is the mesh's. None of them is an alarm, and no peer's state changes for it.
func TestAFailedCheckIsToldWhereFindingsAre(t *testing.T) {
	s := newScene(t, 3)
	s.preflight("emea", s.checked("emea")...)
	s.preflight("", check.Row{ID: "cluster-limit", Step: "restrictions", Status: check.Fail, Reason: check.TooManyClusters, Basis: peer.Measured, Message: "31 clusters are seen; Cisco supports 30", Fix: "split the mesh"})
	st := status(t, s, sceneNow)
	const replication = "PreflightFailed:replication:imp-emea-sub.example.com"
	emea := st.Clusters[0].Findings
	if ids(emea) != replication || ids(st.Clusters[1].Findings) != "" || ids(st.Findings) != "PreflightFailed:cluster-limit" {
		t.Fatalf("emea %s, apac %s, the mesh %s", ids(emea), ids(st.Clusters[1].Findings), ids(st.Findings))
	}
	if f := emea[0]; f.Severity != peer.Warning || !f.Since.Equal(sceneNow.Add(-6*time.Hour-30*time.Minute)) || !strings.Contains(f.Message, "3 (bad)") ||
		!strings.Contains(f.Fix, "utils dbreplication runtimestate") || !strings.HasSuffix(f.Fix, "`peerkeeper preflight emea --now` looks again") {
		t.Errorf("%+v", f)
	}
	if len(st.Alarms) != 0 || st.Counts[peer.Healthy] != 6 {
		t.Errorf("alarms %v, peers %v", st.Alarms, st.Counts)
	}
	for p, want := range map[string]string{"emea>apac": replication, "amer>emea": replication, "apac>amer": ""} {
		e, err := s.source().Explain(t.Context(), id(p), sceneNow)
		if err != nil || ids(e.Findings) != want {
			t.Errorf("%s: %s, %v", p, ids(e.Findings), err)
		}
		var out bytes.Buffer
		if err := WriteExplain(&out, e, false); err != nil || strings.Contains(out.String(), "to do: on the command line of") != (want != "") {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
	var out bytes.Buffer
	if err := WriteStatus(&out, st, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"PreflightFailed: database replication", "to do: on the command line of imp-emea-pub.example.com", "  the mesh\n    warning   PreflightFailed: 31 clusters are seen"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status does not say %q:\n%s", want, out.String())
		}
	}

	rows := s.checked("emea")
	for i := range rows {
		if rows[i].Status == check.Fail {
			rows[i].Status = check.Pass
		}
	}
	s.preflight("emea", rows...)
	if got := status(t, s, sceneNow).Clusters[0].Findings; len(got) != 0 {
		t.Errorf("good again, and still %s", ids(got))
	}
}

// What is wrong with one entry in mesh.yaml is no other peer's trouble.
func TestAFailedCheckOfOnePeerIsToldAtThatPeer(t *testing.T) {
	s := newScene(t, 3)
	s.preflight("emea", check.Row{ID: mesh.LintPeerOneEnd, Step: "4", Peer: id("emea>apac"), Status: check.Fail, Reason: peer.PeerMissingOnOtherSide, Basis: peer.Declared, Message: "emea pulls apac, and apac does not pull emea", Fix: "mesh.yaml"})
	for p, want := range map[string]int{"emea>apac": 1, "apac>emea": 0, "emea>amer": 0} {
		e, err := s.source().Explain(t.Context(), id(p), sceneNow)
		if err != nil || len(e.Findings) != want {
			t.Errorf("%s: %s, %v", p, ids(e.Findings), err)
		}
	}
	if got := ids(status(t, s, sceneNow).Clusters[0].Findings); got != "PreflightFailed:"+mesh.LintPeerOneEnd+":emea>apac" {
		t.Error(got)
	}
}

// The rows as `preflight` lists them: those of the mesh first; what was not carried out and what a newer version wrote
// are named, and never taken for passed.
func TestRowsOfTheWholeMeshOrOfOneCluster(t *testing.T) {
	s := newScene(t, 3)
	s.preflight("", check.Row{ID: "sizing", Step: "prerequisites", Status: check.Manual, Reason: peer.NotObservable, Basis: peer.Declared, Message: "m", Fix: "f"})
	s.preflight("emea", s.checked("emea")[:2]...)
	s.putSchema(store.Preflight("acme", "apac"), 2, check.Record{At: sceneNow, Rows: check.Rows{{ID: "topology", Cluster: "apac", Status: check.Pass}}})
	for only, want := range map[mesh.ClusterID]string{
		"":     `sizing topology ports-7400, missing [amer], unread [PREFLIGHT#apac NewerSchema]`,
		"emea": `sizing topology ports-7400, missing [], unread []`,
		"apac": `sizing, missing [], unread [PREFLIGHT#apac NewerSchema]`,
		"amer": `sizing, missing [amer], unread []`,
	} {
		var named []mesh.ClusterID
		if only != "" {
			named = append(named, only)
		}
		p, err := s.source().Preflight(t.Context(), sceneNow, named...)
		if err != nil || p.AsOf == nil {
			t.Fatalf("%+v, %v", p, err)
		}
		var rows, unread []string
		for _, r := range p.Checks {
			rows = append(rows, r.ID)
		}
		for _, u := range p.Unread {
			unread = append(unread, u.Item+" "+string(u.Reason))
		}
		got := fmt.Sprintf("%s, missing %v, unread %v", strings.Join(rows, " "), p.Missing, unread)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", only, diff)
		}
		b, err := json.Marshal(p)
		if err != nil || !bytes.Contains(b, []byte(`"checks":[{"id":"sizing","step":"prerequisites","status":"manual"`)) {
			t.Errorf("%s, %v", b, err)
		}
	}
}

// The page has a fold for each cluster, those where something failed first; in it what failed with its cure, what is
// unknown with the reason, what a person must go and see, and of what passed the names.
func TestPageListsTheChecks(t *testing.T) {
	s := newScene(t, 3)
	if strings.Contains(page(t, s), "h-preflight") {
		t.Error("a section before anything was checked")
	}
	rows := s.checked("amer")
	rows[1].Failed = &check.Failure{Message: "no connection to port 7400", Fix: "open port 7400", Since: sceneNow.Add(-24 * time.Hour)}
	s.preflight("amer", rows...)
	s.preflight("apac", s.checked("apac")[:1]...)
	at := 0
	html := page(t, s)
	for _, want := range []string{
		`<h2 id="h-preflight">`, `<span>1 failed</span>`, `<span>4 passed</span>`,
		`<summary><b>amer</b>`, `<span>1 failed</span>`, `<span>1 unknown</span>`, `<span>1 to see</span>`, `<span>1 declared</span>`, `<span>3 passed</span>`,
		`<h3>Failed</h3>`, `is 3 (bad)`, `<b>To do</b> on the command line of imp-amer-pub.example.com`,
		`<h3>Unknown</h3>`, `so its own ports are not seen from here <code>OtherPort</code>`, `<b>It failed before:</b> no connection to port 7400`, `<b>To do</b> open port 7400`,
		`<h3>For a person to see`, `<b>To do</b> Diagnostics &gt; System Troubleshooter of imp-amer-pub.example.com`,
		`<h3>As declared`, `15000-user OVA`, `<h3>Passed</h3>`, `topology, auto-recovery</p>`,
		`<summary><b>apac</b>`, `<span>1 passed</span>`, `Not carried out yet: emea.`,
	} {
		i := strings.Index(html[at:], want)
		if i < 0 {
			t.Fatalf("%q is not there after what comes before it:\n%s", want, html[at:])
		}
		at += i
	}
}

// page is the page's HTML.
func page(t *testing.T, s *scene) string {
	t.Helper()
	h := (&Page{Source: s.source(), Now: func() time.Time { return sceneNow }}).Handler()
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Body.String()
}

// A cluster's checks are opened with the keyboard, and stay open and in focus when others change beneath.
func TestChecksAreOpenedByKeyboardAndStayOpen(t *testing.T) {
	ctx, cancel := context.WithTimeout(browser(t), 5*time.Minute)
	defer cancel()
	s := newScene(t, 3)
	s.preflight("emea", s.checked("emea")...)
	url := serve(t, s)
	const opened = `document.querySelector('details[data-key="preflight-emea"]').open && document.activeElement.tagName === "SUMMARY"`
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(360, 780), chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS(`#matrix[role="grid"]`)), chromedp.Focus(chromedp.CSS(`details.checks summary`)), chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	s.preflight("apac", s.checked("apac")...)
	if _, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](`document.querySelector('details[data-key="preflight-apac"]') !== null && `+opened, chromedp.WithPollingTimeout(0))); err != nil {
		t.Fatal(err)
	}
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(document.querySelectorAll("details").forEach(d => { d.open = true }), document.documentElement.scrollWidth > innerWidth)`))
	if err != nil || wide {
		t.Errorf("the page is wider than the window: %v, %v", wide, err)
	}
}
