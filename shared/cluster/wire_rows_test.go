package cluster_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// findings judges what one look at emea brought.
func (r *rig) findings(o peer.Observation) map[peer.Reason]peer.Finding {
	c, _ := r.Mesh.Cluster("emea")
	rec := peer.Advance(peer.ClusterRecord{}, o, c)
	v := peer.Facts{Now: r.Clock.Now(), Tick: 5 * time.Minute, Mesh: r.Mesh, Clusters: map[mesh.ClusterID]*peer.ClusterRecord{"emea": &rec}}.View()
	out := map[peer.Reason]peer.Finding{}
	for _, f := range peer.Findings(v, "emea", nil) {
		out[f.Reason] = f
	}
	return out
}

// A node that takes the connection and refuses TLS has answered. What it is goes by its own reason, and none of them is a cluster that cannot be seen.
func TestEachRefusalOfTLSHasItsOwnReasonAndCure(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  clustersim.TLS
		want peer.Reason // "" is let in
		cure string
	}{
		{"RSA key exchange only", clustersim.TLS{Suites: &[]string{"TLS_RSA_WITH_AES_256_GCM_SHA384"}}, peer.RSAKeyExchangeOnly, "ECDHE"},
		{"no suite in common", clustersim.TLS{Suites: &[]string{"DES-CBC3-SHA"}}, peer.NoCommonCipherSuite, "Cipher Management"},
		{"a box that resets a ClientHello above 1,400 bytes", clustersim.TLS{MaxClientHello: new(1400)}, "", ""},
		{"a box that resets every ClientHello", clustersim.TLS{MaxClientHello: new(50)}, peer.ClosedInHandshake, "in front of it"},
		{"a client certificate demanded", clustersim.TLS{ClientCertificate: new(true)}, peer.ClientCertificateRequired, "no client certificate"},
		{"plain HTTP", clustersim.TLS{PlainHTTP: new(true)}, peer.NotTLS, "8443"},
		{"TLS 1.0 only", clustersim.TLS{MaxVersion: new("1.0")}, peer.ProtocolTooOld, "min-version 1.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, true)
			for _, n := range []mesh.NodeName{pubOf("emea"), subOf("emea")} {
				tt.set.Node = string(n)
				r.Change("emea", tt.set)
			}
			o := r.look("emea")
			if answers, known := o.Nodes[pubOf("emea")].Answers.Get(); !known || !answers {
				t.Errorf("the publisher counts as silent: %+v", o.Nodes[pubOf("emea")].Answers)
			}
			got := r.findings(o)
			for _, not := range []peer.Reason{peer.CannotSeeCluster, peer.PublisherDown, peer.ClusterDown, peer.AwaitingPeerEvidence} {
				if _, is := got[not]; is {
					t.Errorf("finding %s", not)
				}
			}
			if tt.want == "" {
				if !o.Users.Known() || len(got) > 0 {
					t.Errorf("not just read: %+v, findings %v", o.Users, got)
				}
				return
			}
			f, is := got[tt.want]
			if !is || !strings.Contains(f.Message, tt.cure) {
				t.Fatalf("findings %v, want %s with a cure that says %q", got, tt.want, tt.cure)
			}
			if read := tt.want == peer.RSAKeyExchangeOnly; o.Users.Known() != read {
				t.Errorf("users known: %v", o.Users.Known())
			}
		})
	}
}

func TestANegativeSerialNumberIsToldAndBlindsNobody(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, true)
	r.Change("emea", clustersim.Certificates{Node: string(pubOf("emea")), Negative: new(true)})
	o := r.look("emea")
	if _, is := r.findings(o)[peer.NegativeSerialNumber]; !is || !o.Users.Known() {
		t.Errorf("users %v, findings %v", o.Users, r.findings(o))
	}
}

// An HTTP 403 does not say why: its words are quoted, the causes are candidates.
func TestForbiddenQuotesTheStatusAndNamesCandidates(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultHTTP403, Text: "Host is not trusted", Times: -1})
	f, is := r.findings(r.look("emea"))[peer.Forbidden]
	if !is {
		t.Fatal("no finding")
	}
	for _, part := range []string{"HTTP 403", "Host is not trusted", "may be", "role", "host name or address", "locked"} {
		if !strings.Contains(f.Message, part) {
			t.Errorf("%q is not in %q", part, f.Message)
		}
	}
}

// HTTP 599 without a list leads down the ladder; the version found is asked first from then on.
func TestTheVersionFoundByTheLadderIsRemembered(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultHTTP599, Times: 3})
	o := r.look("emea")
	if !o.Users.Known() || o.AXLVersion != "12.0" {
		t.Fatalf("users %+v, AXL %q", o.Users, o.AXLVersion)
	}
	if _, is := r.findings(o)[peer.AXLVersionFound]; !is {
		t.Error("no finding")
	}
	// Another process, which knows nothing but the record.
	r.Connector = r.Rig.Connector()
	before := r.requests("executeSQLQuery")
	if again := r.look("emea"); !again.Users.Known() || again.AXLVersion != "12.0" {
		t.Errorf("users %+v, AXL %q", again.Users, again.AXLVersion)
	}
	if got := r.requests("executeSQLQuery") - before; got != 4 {
		t.Errorf("%d queries, want the 4 of a tick", got)
	}
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultHTTP599, Times: -1})
	if f, is := r.findings(r.look("emea"))[peer.AXLVersionRefused]; !is || !strings.Contains(f.Message, "8.0") {
		t.Errorf("every version refused: %+v", f)
	}
}

func (r *rig) requests(operation string) int {
	for _, n := range r.Cluster("emea").Nodes {
		if n.Name == string(pubOf("emea")) {
			return n.Requests[operation]
		}
	}
	return 0
}

// What Unified CM's AXL has and IM and Presence's may lack.
func TestReleaseIsReadWhereGetCCMVersionDoesNotExist(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	for _, op := range []string{"getCCMVersion", "listProcessNode", "listServiceParameter"} {
		r.Fault(clustersim.Fault{Cluster: "emea", Operation: op, Kind: clustersim.FaultSOAP, Times: -1})
	}
	seen := map[mesh.NodeName]string{}
	for range 3 {
		for name, n := range r.look("emea").Nodes {
			if v, ok := n.Version.Get(); ok {
				seen[name] = v
			}
		}
		r.Pass(5 * time.Minute)
	}
	for _, n := range []mesh.NodeName{pubOf("emea"), subOf("emea")} {
		if !strings.HasPrefix(seen[n], "14.0.1") {
			t.Errorf("release of %s is %q", n, seen[n])
		}
	}
	if n := r.requests("getCCMVersion"); n != 1 {
		t.Errorf("an operation that does not exist was asked for %d times", n)
	}
	report, err := r.client("emea").Probe(t.Context(), r.Mesh, r.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range report.Nodes {
		if publisher := n.Node == pubOf("emea"); strings.Contains(n.Role, "Publisher") != publisher || strings.Contains(n.Role, "Subscriber") == publisher {
			t.Errorf("%s is called %s", n.Node, n.Role)
		}
		if !n.AXL.OK || !strings.Contains(n.AXL.Detail, "Control Center") || !strings.Contains(n.Role, "IM and Presence") {
			t.Errorf("%s: %+v, role %q", n.Node, n.AXL, n.Role)
		}
	}
	if n := len(report.Proposal.Parameters); n != 3 {
		t.Errorf("%d parameters were found, want the publisher's three", n)
	}
}

// An answer that is not in UTF-8 is told with its cause and without its rows.
func TestAnswerNotInUTF8IsAFindingWithoutRows(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultNotUTF8})
	o := r.look("emea")
	f, is := r.findings(o)[peer.UnreadableAnswer]
	if o.Users.Known() || !is || !strings.Contains(f.Message, "not in UTF-8") || strings.Contains(f.Message, "nchen") {
		t.Errorf("users %+v, finding %+v", o.Users, f)
	}
}

// Whatever one field of one node holds, the record is written, the finding names the field, and the other clusters are as they were.
func TestAFieldThatIsTooLongIsCutAndNamed(t *testing.T) {
	for _, field := range []string{"sync_status", "version", "service", "reason", "address", "protocol", "last_error", "node"} {
		t.Run(field, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
			r.Fault(clustersim.Fault{Cluster: "emea", Kind: clustersim.FaultField, Field: field, Bytes: 500000, Times: -1})
			o := r.look("emea")
			if f, is := r.findings(o)[peer.ValueTooLong]; !is || !strings.Contains(f.Message, field) {
				t.Errorf("finding %+v, want one that names %s", f, field)
			}
			if apac := r.look("apac"); !apac.Users.Known() || !apac.Entries.Known() {
				t.Error("another cluster is not read")
			}
		})
	}
	t.Run("user", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.Fault(clustersim.Fault{Cluster: "emea", Kind: clustersim.FaultField, Field: "user", Bytes: 500000, Times: -1})
		if got := r.client("emea").Buckets(t.Context(), r.Mesh.Owner, r.Clock.Now()); got.Cut != "user" {
			t.Errorf("cut %q", got.Cut)
		}
		emea, _ := r.Mesh.Cluster("emea")
		ids, _ := r.client("emea").Named(t.Context(), emea, []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"}, r.Clock.Now())
		for _, id := range ids {
			if len(id) > 300 {
				t.Errorf("a user ID of %d bytes would be named", len(id))
			}
		}
	})
}

func TestTwentyThousandRowsAreCutAndPartial(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Fault(clustersim.Fault{Cluster: "emea", Kind: clustersim.FaultField, Field: "address", Rows: 20000, Value: "x", Times: -1})
	r.Fault(clustersim.Fault{Cluster: "emea", Kind: clustersim.FaultField, Field: "node", Rows: 20000, Value: "x", Times: -1})
	o := r.look("emea")
	if o.Entries.Known() || o.Users.Known() || o.Topology.Known() {
		t.Error("a cut list counts as whole")
	}
	if len(o.Entries.Value) > 64 || len(o.Users.Value) > 256 {
		t.Errorf("%d peers, %d nodes", len(o.Entries.Value), len(o.Users.Value))
	}
	if _, is := r.findings(o)[peer.ValueTooLong]; !is {
		t.Error("no finding")
	}
}

// Node names that are bare or addresses, and a CA: nothing else is needed, for the names in the certificates follow.
func TestBareNamesAndAddressesAreVerifiedByTheCA(t *testing.T) {
	for _, names := range []string{"fqdn", "host", "ip"} {
		t.Run(names, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 2, Users: 5, Names: names}, true)
			for i := range r.Mesh.Clusters {
				r.Mesh.Clusters[i].TLS.Pins = nil
			}
			c, _ := r.Mesh.Cluster("emea")
			o := r.look("emea")
			if !o.Access.Known() || !o.Users.Known() {
				t.Fatalf("%s: %+v", c.Publisher, o.Access)
			}
			if names == "fqdn" {
				return
			}
			for i := range c.Nodes { // what is written of the certificates' names goes
				c.Nodes[i].TLSName = ""
			}
			r.Connector = r.Rig.Connector()
			report, err := r.client("emea").Probe(t.Context(), r.Mesh, r.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(report.Cure, "tlsName: imp-emea-pub.example.com") || len(report.Queries) > 0 {
				t.Errorf("cure %q, queries %v", report.Cure, report.Queries)
			}
			for _, n := range report.Nodes {
				if strings.Contains(n.AXL.Detail+n.ControlCenter.Detail, "tlsName") {
					t.Errorf("the cure is said again: %+v", n)
				}
			}
		})
	}
}
