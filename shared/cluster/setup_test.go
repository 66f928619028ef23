package cluster_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

// TestWhatPreflightAloneAsks: SIP Proxy's processes, replication and Server Recovery
// Manager of each node, and since when the password is what it is.
func TestWhatPreflightAloneAsks(t *testing.T) {
	for value, want := range map[string]time.Time{ // zero is not known
		" 1772323200 ":  time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		"":              {},
		"yesterday":     {},
		"0":             {},
		"-1772323200":   {},
		"1772323200000": {}, // milliseconds
	} {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.Connector.Transport = instead{r.Connector.Transport, "FROM credential", http.StatusOK, `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><n:executeSQLQueryResponse xmlns:n="http://www.cisco.com/AXL/API/14.0"><return><row><changed>` + value + `</changed></row></return></n:executeSQLQueryResponse></e:Body></e:Envelope>`}
		s, err := r.client("emea").Setup(t.Context(), r.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		if at, known := s.PasswordChanged.Get(); known == want.IsZero() || !at.Equal(want) {
			t.Errorf("%q: the password is of %s (known: %v), want %s", value, at, known, want)
		}
		if params, known := s.SIPProxy.Get(); !known || len(params) != 3 || params["SIPProxyMaxProcesses"] != "20" {
			t.Errorf("SIP Proxy: %+v", s.SIPProxy)
		}
		for _, node := range []mesh.NodeName{pubOf("emea"), subOf("emea")} {
			replication, known := s.Nodes[node].Replication.Get()
			recovery, told := s.Nodes[node].SRM.Get()
			if !known || !told || replication != peer.ReplicationGood || recovery != peer.SRMNormal {
				t.Errorf("%s: %+v", node, s.Nodes[node])
			}
		}
	}
}

// TestPerfMonIsAskedOnlyByAnAccountThatAXLTakes: of any other its refusal would not
// be told from a rejected account.
func TestPerfMonIsAskedOnlyByAnAccountThatAXLTakes(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   clustersim.FaultKind
		reason peer.Reason // why nothing is known of the nodes; "" is known
		ends   bool
	}{
		{"AXL takes it, and the database refuses the question", clustersim.FaultSOAP, "", false},
		{"AXL forbids it", clustersim.FaultHTTP403, peer.Forbidden, false},
		{"AXL rejects it", clustersim.FaultHTTP401, "", true},
	} {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: c.kind, Times: -1})
		s, err := r.client("emea").Setup(t.Context(), r.Clock.Now())
		if c.ends != (soap.KindOf(err) == soap.AccountRejected) || c.ends != (len(s.Nodes) == 0) {
			t.Errorf("%s: %v, of nodes %+v", c.name, err, s.Nodes)
		}
		for name, n := range s.Nodes {
			if n.Replication.Reason != c.reason || n.SRM.Reason != c.reason {
				t.Errorf("%s: of %s is known %+v", c.name, name, n)
			}
		}
		asked := 0
		for operation, n := range r.Requests("emea") {
			if strings.Contains(strings.ToLower(operation), "perfmon") {
				asked += n
			}
		}
		if want := !c.ends && c.reason == ""; want != (asked > 0) {
			t.Errorf("%s: PerfMon was asked %d times", c.name, asked)
		}
		if s.SIPProxy.Known() || s.PasswordChanged.Known() {
			t.Errorf("%s: known all the same: %+v", c.name, s)
		}
	}
}
