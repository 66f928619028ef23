package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store"
)

// The two key types on 8443.
var onRSA = certificate.Place{KeyType: "RSA"}

// withCertificates gives every cluster of a scene its certificates and stores:
// each store holds everything but what lacks names, by puller and owner.
func withCertificates(s *scene, lacks map[mesh.ClusterID]mesh.ClusterID) {
	print := func(n mesh.NodeName) string { return fmt.Sprintf("sha256:%064x", []byte(n)[:min(32, len(n))]) }
	for _, c := range s.mesh.Clusters {
		rec := certificate.Record{At: sceneNow, Served: map[mesh.NodeName]map[certificate.Place]certificate.Served{}}
		st := certificate.Store{}
		for _, n := range c.Nodes {
			rec.Served[n.Name] = map[certificate.Place]certificate.Served{onRSA: {
				Fingerprint: print(n.Name), Subject: "CN=" + string(n.Name), SelfSigned: true, First: sceneNow.AddDate(0, -6, 0), Read: sceneNow,
				NotBefore: sceneNow.AddDate(0, -6, 0), NotAfter: sceneNow.AddDate(0, 0, 40),
			}}
			st.Nodes = append(st.Nodes, certificate.StoreNode{Name: n.Name, Read: sceneNow})
		}
		for _, o := range s.mesh.Clusters {
			if owner, ok := lacks[c.ID]; ok && owner == o.ID {
				continue
			}
			for _, n := range o.Nodes {
				st.Entries = append(st.Entries, certificate.Entry{Print: certificate.ShortPrint(print(n.Name)), Subject: string(n.Name), Ends: sceneNow.AddDate(0, 0, 40)})
			}
		}
		rec.Trust = map[string]certificate.Store{"tomcat-trust": st}
		s.put(store.Cert(s.mesh.Name, c.ID), rec)
	}
}

// TestPageShowsTrust: the matrix, the copies by hand, and JSON that says the
// same.
func TestPageShowsTrust(t *testing.T) {
	s := newScene(t, 3)
	s.look(sceneNow.Add(-2*time.Minute), nil)
	withCertificates(s, map[mesh.ClusterID]mesh.ClusterID{"emea": "apac"})
	html := answerOf(t, s, "/").Body.String()
	for _, want := range []string{
		"emea&#39;s trust store on 2 certificates of apac: missing: tomcat of imp-apac-pub.example.com, tomcat of imp-apac-sub.example.com",
		"amer&#39;s trust store on 2 certificates of apac: trusted",
		"To be copied by hand", "<b>tomcat.pem</b> from imp-apac-pub.example.com", "imp-emea-pub.example.com (emea)",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	var c Certificates
	if err := json.Unmarshal(answerOf(t, s, "/api/trust.json").Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Trust.Rows) != 6 || len(c.Copy) != 2 || c.Copy[0].To != "emea" || c.Copy[0].Store != "tomcat-trust" {
		t.Errorf("%+v", c)
	}
}

// TestPageWithoutStores says so instead of showing a wall of question marks.
func TestPageWithoutStores(t *testing.T) {
	s := newScene(t, 3)
	s.look(sceneNow.Add(-2*time.Minute), nil)
	withCertificates(s, nil)
	for _, c := range s.mesh.Clusters {
		s.put(store.Cert(s.mesh.Name, c.ID), certificate.Record{At: sceneNow, NoTrust: &certificate.NoLook{Reason: certificate.Before14}, Served: map[mesh.NodeName]map[certificate.Place]certificate.Served{
			c.Publisher: {onRSA: {Fingerprint: "sha256:00", Subject: "CN=x", NotAfter: sceneNow.AddDate(1, 0, 0), Read: sceneNow}},
		}})
	}
	html := answerOf(t, s, "/").Body.String()
	if !strings.Contains(html, "No trust store is read") || !strings.Contains(html, "certificate management came with release 14") || strings.Contains(html, `class="trustm"`) {
		t.Error("the page does not say that no store is read")
	}
}

// TestPageShowsTimeline: the picture, and the steps in their order.
func TestPageShowsTimeline(t *testing.T) {
	s := newScene(t, 3)
	s.look(sceneNow.Add(-2*time.Minute), nil)
	withCertificates(s, nil)
	html := answerOf(t, s, "/peer/emea%3Eapac").Body.String()
	for _, want := range []string{`class="certline"`, "Without renewal this direction stops", "Renewing tomcat of imp-apac-pub.example.com", "Do not restart Cisco Tomcat yet"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	at := 0
	for _, phase := range []string{"<b>make</b>", "<b>trust</b>", "<b>pin</b>", "<b>check</b>", "<b>serve</b>", "<b>verify</b>"} {
		next := strings.Index(html[at:], phase)
		if next < 0 {
			t.Fatalf("%s does not follow in the plan", phase)
		}
		at += next
	}
}

// TestTrustOfThirtyClusters: 30 by 30 cells, one line per file to copy, and a
// hostile name does no harm.
func TestTrustOfThirtyClusters(t *testing.T) {
	s := newScene(t, 30)
	s.look(sceneNow.Add(-2*time.Minute), nil)
	lacks := map[mesh.ClusterID]mesh.ClusterID{}
	for _, c := range s.mesh.Clusters {
		if c.ID != "apac" {
			lacks[c.ID] = "apac"
		}
	}
	withCertificates(s, lacks)
	w := answerOf(t, s, "/")
	html := w.Body.String()
	if n := strings.Count(html, `class="tmark`); n != 870 {
		t.Errorf("%d cells, want 870", n)
	}
	if n := strings.Count(html, `data-key="copy-`); n != 2 {
		t.Errorf("%d files to copy, want 2 for 29 clusters each", n)
	}
	t.Logf("the page of 30 clusters has %d bytes", w.Body.Len())
	rec := certificate.Record{At: sceneNow, Served: map[mesh.NodeName]map[certificate.Place]certificate.Served{
		"imp-apac-pub.example.com": {onRSA: {Fingerprint: "sha256:00", Subject: "CN=<script>alert(1)</script>\u202e", Issuer: "CN=\u202e<b>", NotAfter: sceneNow.AddDate(1, 0, 0), First: sceneNow.AddDate(-1, 0, 0), Read: sceneNow}},
	}}
	s.put(store.Cert(s.mesh.Name, "apac"), rec)
	html = answerOf(t, s, "/peer/emea%3Eapac").Body.String()
	if strings.Contains(html, "<script>alert") || strings.Contains(html, "\u202e") {
		t.Error("a certificate's subject reaches the page as it is")
	}
}

func answerOf(t *testing.T, s *scene, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := ask(t, pageOf(s).Handler(), http.MethodGet, path)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w
}
