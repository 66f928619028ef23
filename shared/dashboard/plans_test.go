package dashboard

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store"
)

// TestPlansUnderWayAreShown: on the page, in status and for programs; one that has
// ended is not, and what stands in one is harmless.
func TestPlansUnderWayAreShown(t *testing.T) {
	s := newScene(t, 3)
	s.look(sceneNow, nil)
	s.put(store.Plans("acme"), change.Plans{Plans: []change.Entry{
		{ID: "0d12af", Kind: change.Join, State: change.Draft, Clusters: []mesh.ClusterID{"amer"}, Steps: 2, Since: sceneNow.Add(-2 * time.Hour)},
		{ID: "4f2a1c", Kind: change.RestartRouter, State: change.Waiting, Clusters: []mesh.ClusterID{"emea"}, Step: 4, Steps: 12, Why: "step 4: for an approval: 80 people\x1b[2J <b>", Since: sceneNow.Add(-time.Hour)},
		{ID: "77ab01", Kind: change.Set, State: change.Done, Clusters: []mesh.ClusterID{"emea"}, Steps: 4, Since: sceneNow.Add(-time.Hour)},
	}})
	st, err := s.source().Status(t.Context(), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := WriteStatus(&text, st, false); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	page := httptest.NewRecorder()
	(&Page{Source: s.source(), Now: func() time.Time { return sceneNow }}).Handler().ServeHTTP(page, httptest.NewRequest("GET", "http://127.0.0.1/", nil))
	for name, got := range map[string]string{"status": text.String(), "json": string(b), "page": page.Body.String()} {
		if !strings.Contains(got, "4f2a1c") || !strings.Contains(got, "80 people") || strings.Contains(got, "77ab01") || strings.Contains(got, "\x1b") {
			t.Errorf("%s:\n%s", name, got)
		}
		if draft := strings.Index(got, "0d12af"); draft < strings.Index(got, "4f2a1c") {
			t.Errorf("%s: a draft stands before what waits for a person:\n%s", name, got)
		}
	}
	if body := page.Body.String(); strings.Contains(body, "80 people <b>") || !strings.Contains(body, "at step 4 of 12") || !strings.Contains(body, "peering show 4f2a1c") {
		t.Errorf("page:\n%s", body)
	}
}

// TestARunBookIsHarmless: whatever a plan says.
func TestARunBookIsHarmless(t *testing.T) {
	s := newScene(t, 2)
	p, err := change.Make(change.Known{Mesh: s.mesh, Now: sceneNow}, "4f2a1c", change.Word{Kind: change.RestartRouter, Args: []string{"emea"}, Actor: "<script>alert(1)</script>", At: sceneNow})
	if err != nil {
		t.Fatal(err)
	}
	p.Steps[0].Turn(change.StepFailed, sceneNow, "<img src=x onerror=alert(1)>")
	var out bytes.Buffer
	if err := RunBook(&out, p.View(s.mesh), sceneNow); err != nil {
		t.Fatal(err)
	}
	if page := out.String(); strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Count(page, "<li>") != len(p.Steps) || strings.Contains(page, "src=") && strings.Contains(page, "http") {
		t.Errorf("%s", page)
	}
}
