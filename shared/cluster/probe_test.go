package cluster_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

func (r *rig) probe(id mesh.ClusterID) cluster.Report {
	r.t.Helper()
	report, err := r.client(id).Probe(r.t.Context(), r.Mesh, r.Clock.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

func query(r cluster.Report, purpose string) cluster.QueryReport {
	for _, q := range r.Queries {
		if q.Purpose == purpose {
			return q
		}
	}
	return cluster.QueryReport{}
}

func guess(p cluster.Proposal, purpose string) cluster.ColumnGuess {
	for _, g := range p.Columns {
		if g.Purpose == purpose {
			return g
		}
	}
	return cluster.ColumnGuess{}
}

func TestProbeOfAWellCluster(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 3, Users: 20}, false)
	before := r.Cluster("emea").Writes
	p := r.probe("emea")
	if len(p.Nodes) != 2 || !p.Nodes[0].AXL.OK || !p.Nodes[1].ControlCenter.OK || !strings.Contains(p.Nodes[1].Role, "Subscriber") || p.Nodes[0].AXL.Version == "" {
		t.Errorf("nodes: %+v", p.Nodes)
	}
	if p.Log.State == "" {
		t.Error("its log was not asked for")
	}
	if p.CUCM == nil || !p.CUCM.AXL.OK || len(p.CUCM.Lacks) > 0 {
		t.Errorf("CUCM: %+v", p.CUCM)
	}
	for _, q := range p.Queries {
		// Nobody is without a node.
		if !q.OK || (q.Rows == 0) != (q.Purpose == "user_unassigned") || len(q.Absent) > 0 {
			t.Errorf("query %+v", q)
		}
	}
	if after := r.Cluster("emea").Writes; after != before {
		t.Errorf("a probe wrote %d times", after-before)
	}
}

func TestProbeProposesThePeerTable(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 3, Users: 20}, false)
	r.Dialect = cluster.NewDialect(nil) // a site that has mapped nothing
	p := r.probe("emea")
	if q := query(p, "peers"); q.OK || q.Reason != peer.NoDialect {
		t.Errorf("an unmapped table: %+v", q)
	}
	for purpose, column := range map[string]string{"address": "peeraddress", "protocol": "protocol", "last_sync": "lastsynctime", "users": "associatedusers"} {
		if g := guess(p.Proposal, purpose); g.Column != column || g.LeftOut || g.Why == "" {
			t.Errorf("%s: %+v", purpose, g)
		}
	}
	if g := guess(p.Proposal, "last_error"); g.Column != "lasterror" || !g.LeftOut {
		t.Errorf("a text that nobody has translated may not be proposed: %+v", g)
	}
	sql := p.Proposal.SQL()
	if !strings.HasSuffix(sql, "FROM cupsinterclusterpeers") || strings.Contains(sql, "axlusername") || strings.Contains(sql, "lasterror") {
		t.Errorf("SQL: %s", sql)
	}
	got := map[string]string{}
	for _, g := range p.Proposal.Parameters {
		got[g.Purpose] = g.Name
	}
	if len(got) != 3 || len(p.Proposal.Parameters) != 3 {
		t.Errorf("parameters: %+v", p.Proposal.Parameters)
	}
	if !p.Proposal.Same(r.probe("apac").Proposal) {
		t.Error("two clusters of one release lead to different proposals")
	}
	text, err := p.Proposal.YAML([]mesh.ClusterID{"emea", "apac"})
	if err != nil || !strings.HasPrefix(string(text), "# A PROPOSAL by peerkeeper probe, not a fact") || !strings.Contains(string(text), "emea, apac") {
		t.Errorf("%v\n%s", err, text)
	}
}

// A mesh.yaml need not name a Unified CM.
func TestProbeWithoutUnifiedCM(t *testing.T) {
	for _, down := range []bool{false, true} {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.declared("emea").CUCM = nil
		r.Change("emea", clustersim.Nodes{Node: string(pubOf("emea")), Down: &down})
		if p := r.probe("emea"); p.CUCM != nil || (len(p.Queries) == 0) != down {
			t.Errorf("publisher down %v: Unified CM %+v, %d queries", down, p.CUCM, len(p.Queries))
		}
	}
}

// Names come from the cluster: what is no peer table is passed over, and what could
// not stand in a statement is neither asked for nor proposed.
func TestProbePassesOverNamesThatAreNone(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.retell("systables", func(a string) string {
		var more strings.Builder
		for _, row := range [][2]string{
			{"phonepeers", "peeraddress"}, {"clusterpeers; DROP TABLE enduser", "peeraddress"},
			{"cupsinterclusterpeers", "hostaddress FROM enduser"}, {"ClusterPeerLog", "id"}, {"ClusterPeerLog", "note"},
		} {
			fmt.Fprintf(&more, "<row><tabname>%s</tabname><colname>%s</colname></row>", row[0], row[1])
		}
		return strings.Replace(a, "</return>", more.String()+"</return>", 1)
	})
	p := r.probe("emea").Proposal
	if p.Table != "cupsinterclusterpeers" || !slices.Equal(p.Others, []string{"ClusterPeerLog"}) || len(p.Remarks) > 0 {
		t.Errorf("table %s, others %q, remarks %q", p.Table, p.Others, p.Remarks)
	}
	for _, g := range p.Columns {
		if strings.Contains(g.Column, " ") {
			t.Errorf("proposed: %+v", g)
		}
	}
}

func TestProbeDoesNotTakeNamesForValues(t *testing.T) {
	t.Run("addresses that are no node of the mesh", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 3, Users: 5}, false)
		for _, to := range []string{"apac", "amer"} {
			r.Change("emea", clustersim.Peers{Peer: to, Address: new("somewhere.example.com")})
		}
		if g := guess(r.probe("emea").Proposal, "address"); !strings.Contains(g.Why, "0 of 2 values name a node") {
			t.Errorf("%+v", g)
		}
	})
	t.Run("a table without rows", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 1, Users: 5}, false)
		if g := guess(r.probe("emea").Proposal, "address"); !strings.Contains(g.Why, "the table is empty") {
			t.Errorf("%+v", g)
		}
	})
	t.Run("an interval out of Cisco's range", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		// listServiceParameter is asked for the publisher's.
		r.Change("emea", clustersim.Parameters{Node: "imp-emea-pub.example.com", Service: "Cisco Intercluster Sync Agent", Name: "ICSAPeriodicSyncInterval", Value: "15"})
		if slices.ContainsFunc(r.probe("emea").Proposal.Parameters, func(g cluster.ParameterGuess) bool { return g.Purpose == peer.ParamInterval }) {
			t.Error("15 is no interval that Cisco allows")
		}
	})
}

func TestProbeOfATroubledCluster(t *testing.T) {
	t.Run("subscriber down", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.Change("emea", clustersim.Nodes{Node: "imp-emea-sub.example.com", Down: new(true)})
		p := r.probe("emea")
		if n := p.Nodes[1]; n.ControlCenter.OK || n.ControlCenter.Reason != peer.CannotConnect || !p.Nodes[0].AXL.OK {
			t.Errorf("%+v", p.Nodes)
		}
		if q := query(p, "peers"); !q.OK || p.Proposal.Empty() || !strings.Contains(p.Cure, "imp-emea-sub") {
			t.Errorf("the publisher is asked all the same: %+v; cure %q", q, p.Cure)
		}
	})
	t.Run("publisher down", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.Change("emea", clustersim.Nodes{Node: "imp-emea-pub.example.com", Down: new(true)})
		p := r.probe("emea")
		if len(p.Queries) != 0 || !p.Proposal.Empty() || !p.Nodes[1].AXL.OK || p.CUCM == nil || !strings.Contains(p.Cure, "imp-emea-pub") {
			t.Errorf("%+v", p)
		}
	})
	t.Run("account rejected once its parameters are asked for", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.Fault(clustersim.Fault{Cluster: "emea", Operation: "listServiceParameter", Kind: clustersim.FaultHTTP401, Times: -1})
		p, err := r.client("emea").Probe(t.Context(), r.Mesh, r.Clock.Now())
		if soap.KindOf(err) != soap.AccountRejected || p.Log.State != "" {
			t.Errorf("it goes on: %v, log %+v", err, p.Log)
		}
	})
	t.Run("its account may not list parameters", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.Fault(clustersim.Fault{Cluster: "emea", Operation: "listServiceParameter", Kind: clustersim.FaultHTTP403, Times: -1})
		p := r.probe("emea")
		if q := p.Proposal; len(q.Parameters) != 0 || q.Table == "" || len(q.Remarks) != 1 || !strings.HasPrefix(q.Remarks[0], "the parameters of "+peer.ICSA+" cannot be listed: ") {
			t.Errorf("%+v", q)
		}
		if p.Log.State == "" {
			t.Error("its log was not asked for")
		}
	})
	t.Run("account rejected once the catalogue, or a table of it, is asked for", func(t *testing.T) {
		for _, words := range []string{"systables", "SELECT FIRST 30 "} {
			r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
			r.Connector.Transport = instead{r.Connector.Transport, words, http.StatusUnauthorized, ""}
			p, err := r.client("emea").Probe(t.Context(), r.Mesh, r.Clock.Now())
			if n := r.Requests("emea")["listServiceParameter"]; soap.KindOf(err) != soap.AccountRejected || p.Log.State != "" || n > 0 {
				t.Errorf("%q: it goes on: %v, log %+v, asked %d times for parameters", words, err, p.Log, n)
			}
		}
	})
	t.Run("a catalogue of very many tables", func(t *testing.T) {
		// Those that have a column of interest are asked for it, which they do not let
		// us: at most fifty tables, the peers' own among them.
		for column, unread := range map[string]int{"id": 0, "peeraddress": 49} {
			r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
			r.retell("systables", func(a string) string {
				var more strings.Builder
				for n := range 100 {
					fmt.Fprintf(&more, "<row><tabname>clusterpeerlog%d</tabname><colname>%s</colname></row>", n, column)
				}
				return strings.Replace(a, "</return>", more.String()+"</return>", 1)
			})
			p := r.probe("emea").Proposal
			if p.Table != "cupsinterclusterpeers" || len(p.Others) != 20 || slices.Contains(p.Others, p.Table) {
				t.Errorf("table %s, %d others: %q", p.Table, len(p.Others), p.Others)
			}
			if len(p.Remarks) != unread {
				t.Errorf("%d remarks, want %d: %q", len(p.Remarks), unread, p.Remarks)
			}
		}
	})
	t.Run("database refuses a query", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.Dialect = cluster.NewDialect(&mesh.Dialect{Queries: map[string]mesh.Query{
			"user_counts": {Evidence: "site", SQL: "SELECT nosuchcolumn AS node, 1 AS users FROM enduser"},
			"topology":    {Evidence: "site", SQL: "SELECT name AS name FROM processnode"},
		}})
		p := r.probe("emea")
		if q := query(p, "user_counts"); q.OK || q.Reason != peer.QueryRefused {
			t.Errorf("a column that does not exist: %+v", q)
		}
		if q := query(p, "topology"); q.OK || !strings.Contains(q.Detail, "node") {
			t.Errorf("a column that the answer lacks: %+v", q)
		}
		if q := query(p, "user_rows"); !q.OK {
			t.Errorf("the others are asked all the same: %+v", q)
		}
	})
	t.Run("columns that may be absent are", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.Dialect = cluster.NewDialect(&mesh.Dialect{Queries: map[string]mesh.Query{
			"topology": {Evidence: "site", SQL: "SELECT p.name AS node, p.tknodeusage AS usage FROM processnode p, enterprisenode e WHERE p.name = e.name AND p.tkprocessnoderole = 2"},
		}})
		if q := query(r.probe("emea"), "topology"); !q.OK || !slices.Equal(q.Absent, []string{"ha_state", "sync_status"}) || q.Rows != 2 {
			t.Errorf("%+v", q)
		}
	})
	t.Run("account rejected", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		client := r.client("emea")
		r.Change("emea", clustersim.Credentials{Password: new("changed by somebody")})
		_, err := client.Probe(t.Context(), r.Mesh, r.Clock.Now())
		if soap.KindOf(err) != soap.AccountRejected {
			t.Errorf("error %v", err)
		}
		if _, _, rejected := r.Load("emea"); rejected != 1 {
			t.Errorf("%d rejected log-ins, want 1", rejected)
		}
	})
}
