package cluster_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/soap"
)

// retold is a cluster that answers one request in other words.
type retold struct {
	next  http.RoundTripper
	asked string // in the request
	say   func(answer string) string
}

func (w retold) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	res, err := w.next.RoundTrip(r)
	if err != nil || !bytes.Contains(body, []byte(w.asked)) {
		return res, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	told := w.say(string(answer))
	res.Body, res.ContentLength = io.NopCloser(strings.NewReader(told)), int64(len(told))
	return res, nil
}

func (r *rig) retell(asked string, say func(answer string) string) {
	r.Connector.Transport = retold{r.Connector.Transport, asked, say}
}

func (r *rig) inventory(id mesh.ClusterID) cluster.Inventory {
	r.t.Helper()
	i, err := r.client(id).Inventory(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return i
}

// What a publisher tells of its cluster, of which a mesh.yaml is begun.
func TestInventoryOfAWellCluster(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 3, Users: 20}, false)
	i := r.inventory("emea")
	slices.SortFunc(i.Peers, func(a, b cluster.PeerEntry) int { return strings.Compare(string(a.Address), string(b.Address)) })
	want := cluster.Inventory{
		Nodes: []mesh.NodeName{pubOf("emea"), subOf("emea")}, Publisher: pubOf("emea"), CUCM: "cucm-emea.example.com",
		Release: "14.0.1.13900(8)", Domain: "example.com", Domains: []string{"example.com"},
		Peers:  []cluster.PeerEntry{{pubOf("amer"), mesh.TCP}, {pubOf("apac"), mesh.TCP}},
		Others: []mesh.NodeName{pubOf("apac"), subOf("apac"), pubOf("amer"), subOf("amer")},
	}
	if diff := cmp.Diff(want, i); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// How nodes are listed differs: the publisher stands anywhere, a name may be none,
// and not every IM and Presence node knows listProcessNode.
func TestInventoryOfNodesHoweverTheyAreListed(t *testing.T) {
	swapped := func(answer string) string {
		return strings.NewReplacer(string(pubOf("emea")), string(subOf("emea")), string(subOf("emea")), string(pubOf("emea"))).Replace(answer)
	}
	for _, c := range []struct {
		name      string
		prepare   func(*rig)
		nodes     []mesh.NodeName
		publisher mesh.NodeName
		cucm      mesh.NodeName
		gap       string
	}{
		{"the subscriber before the publisher", func(r *rig) {
			r.retell("listProcessNode", func(a string) string {
				a = swapped(a) // now the subscriber comes first, as the publisher
				a = strings.Replace(a, "Publisher</nodeUsage><processNodeRole>CUCM IM", "subscriber</nodeUsage><processNodeRole>CUCM IM", 1)
				return strings.Replace(a, "Subscriber</nodeUsage><processNodeRole>CUCM IM", "publisher</nodeUsage><processNodeRole>CUCM IM", 1)
			})
		}, []mesh.NodeName{pubOf("emea"), subOf("emea")}, pubOf("emea"), "cucm-emea.example.com", ""},
		{"nobody says which is the publisher", func(r *rig) {
			r.retell("listProcessNode", func(a string) string { return strings.ReplaceAll(a, "<nodeUsage>Publisher", "<nodeUsage>") })
		}, []mesh.NodeName{pubOf("emea"), subOf("emea")}, "", "", ""},
		{"one under a name that is none", func(r *rig) {
			r.retell("listProcessNode", func(a string) string {
				return strings.ReplaceAll(a, "<name>"+string(subOf("emea")), "<name>two words")
			})
		}, []mesh.NodeName{pubOf("emea")}, pubOf("emea"), "cucm-emea.example.com", `a node is listed under a name that is none: "two words"`},
		{"by the table, where the operation is refused", func(r *rig) {
			r.Fault(clustersim.Fault{Cluster: "emea", Operation: "listProcessNode", Kind: clustersim.FaultSOAP, Times: -1})
		}, []mesh.NodeName{pubOf("emea"), subOf("emea")}, pubOf("emea"), "cucm-emea.example.com", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
			c.prepare(r)
			i := r.inventory("emea")
			if !slices.Equal(i.Nodes, c.nodes) || i.Publisher != c.publisher || i.CUCM != c.cucm {
				t.Errorf("nodes %q, publisher %q, Unified CM %q", i.Nodes, i.Publisher, i.CUCM)
			}
			if gaps := strings.Join(i.Gaps, "; "); gaps != c.gap {
				t.Errorf("gaps: %q, want %q", gaps, c.gap)
			}
		})
	}
	t.Run("more than any cluster has", func(t *testing.T) {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
		r.retell("listProcessNode", func(a string) string {
			var more strings.Builder
			for n := range 100 {
				fmt.Fprintf(&more, "<processNode><name>n%d.example.com</name><nodeUsage>Subscriber</nodeUsage><processNodeRole>CUCM IM and Presence</processNodeRole></processNode>", n)
			}
			return strings.Replace(a, "</return>", more.String()+"</return>", 1)
		})
		if i := r.inventory("emea"); len(i.Nodes) != 60 {
			t.Errorf("%d nodes are kept, want 60", len(i.Nodes))
		}
	})
}

// The release is told by the operation of Unified CM, or else by Control Center.
func TestInventoryOfTheRelease(t *testing.T) {
	r := newInventoryRig(t)
	if got := r.inventory("emea").Release; got != "14.0.1.13900(8)" {
		t.Errorf("by getCCMVersion: %q", got)
	}
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "getCCMVersion", Kind: clustersim.FaultSOAP, Times: -1})
	if i := r.inventory("emea"); i.Release != "14.0.1.13900-8" || len(i.Gaps) > 0 {
		t.Errorf("by Control Center: %q, gaps %q", i.Release, i.Gaps)
	}
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "getProductInformationList", Kind: clustersim.FaultSOAP, Times: -1})
	if i := r.inventory("emea"); i.Release != "" || len(i.Gaps) != 1 || !strings.HasPrefix(i.Gaps[0], "its release: ") {
		t.Errorf("by neither: %q, gaps %q", i.Release, i.Gaps)
	}
}

// The domain is that of most of the addresses that were looked at, whatever case
// they are spelled in; what is no address has none.
func TestInventoryOfTheDomain(t *testing.T) {
	r := newInventoryRig(t)
	for user, address := range map[string]string{"a": "a@Sales.example.net", "b": "b@sales.example.net", "c": "c@sales.EXAMPLE.net", "d": "d@mail.example.org@sales.example.net", "e": "no address", "f": "f@not a host", "g": "sales.example.net", "h": "h@sales.example.net"} {
		r.Change("emea", clustersim.Users{UserID: &user, IMAddress: &address})
	}
	if i := r.inventory("emea"); !slices.Equal(i.Domains, []string{"example.com", "sales.example.net"}) {
		t.Errorf("domains %q", i.Domains)
	}
	r = newInventoryRig(t)
	for n := range 30 {
		user := fmt.Sprintf("s%02d", n)
		address := user + "@sales.example.net"
		r.Change("emea", clustersim.Users{UserID: &user, IMAddress: &address})
	}
	if i := r.inventory("emea"); i.Domain != "sales.example.net" {
		t.Errorf("30 of 35 in sales.example.net, and it is %q", i.Domain)
	}
}

// A rejection ends it at once; whatever else is refused is a gap, and the rest is
// read.
func TestInventoryOfATroubledCluster(t *testing.T) {
	for _, operation := range []string{"listProcessNode", "getCCMVersion", "executeSQLQuery"} {
		r := newInventoryRig(t)
		r.Fault(clustersim.Fault{Cluster: "emea", Operation: operation, Kind: clustersim.FaultHTTP401, Times: -1})
		if _, err := r.client("emea").Inventory(t.Context()); soap.KindOf(err) != soap.AccountRejected {
			t.Errorf("the account is rejected at %s: %v", operation, err)
		}
	}
	r := newInventoryRig(t)
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultSOAP, Times: -1})
	i := r.inventory("emea")
	if len(i.Nodes) != 2 || i.Release == "" || len(i.Peers)+len(i.Others) != 0 {
		t.Errorf("%+v", i)
	}
	for n, what := range []string{"its domain: ", "its peer entries: ", "the nodes of its peers: "} {
		if len(i.Gaps) != 3 || !strings.HasPrefix(i.Gaps[n], what) {
			t.Fatalf("gaps %q", i.Gaps)
		}
	}
	r = newInventoryRig(t)
	r.Change("emea", clustersim.Nodes{Node: string(pubOf("emea")), Down: new(true)})
	if _, err := r.client("emea").Inventory(t.Context()); err == nil {
		t.Error("an inventory of a publisher that does not answer")
	}
}

// A peer entry by the cluster's own name, or by none, leads nowhere.
func TestInventoryOfPeersThatLeadNowhere(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 3, Users: 5}, false)
	r.Change("emea", clustersim.Peers{Peer: "amer", Address: new(string(subOf("emea")))})
	if i := r.inventory("emea"); !slices.Equal(i.Peers, []cluster.PeerEntry{{pubOf("apac"), mesh.TCP}}) {
		t.Errorf("peers %q", i.Peers)
	}
	r.Change("emea", clustersim.Peers{Peer: "amer", Address: new("two words")})
	if i := r.inventory("emea"); !slices.Equal(i.Peers, []cluster.PeerEntry{{pubOf("apac"), mesh.TCP}}) {
		t.Errorf("peers %q", i.Peers)
	}
}

func newInventoryRig(t *testing.T) *rig {
	return newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
}
