package procedure

import (
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
)

// The same step on a page of ours and in one line of a notice.
func TestAStepInOneLine(t *testing.T) {
	for _, c := range []struct {
		name string
		step Step
		want string
	}{
		{"on a page of one node", ForceManualSync("imp-emea-pub.example.com", "imp-apac-pub.example.com"),
			"in Cisco Unified CM IM and Presence Administration of imp-emea-pub.example.com, Presence > Inter-Clustering: Find and select imp-apac-pub.example.com, click Force Manual Sync and confirm with OK"},
		{"a network service", StartService("imp-emea-pub.example.com", "Cisco Intercluster Sync Agent"),
			"in Cisco Unified IM and Presence Serviceability of imp-emea-pub.example.com, Tools > Control Center - Network Services: Choose imp-emea-pub.example.com from Server, click Go, select Cisco Intercluster Sync Agent and click Start"},
		{"a feature service, which the chapter has restarted", StartService("imp-emea-pub.example.com", "Cisco AXL Web Service"),
			"in Cisco Unified IM and Presence Serviceability of imp-emea-pub.example.com, Tools > Control Center Feature Services: Choose imp-emea-pub.example.com from Server, click Go, select Cisco AXL Web Service and click Restart"},
		{"on the command line", Step{On: "imp-emea-pub.example.com", Menu: CommandLine, Do: "`utils ntp status`."}, "on the command line of imp-emea-pub.example.com: `utils ntp status`"},
		{"nowhere in particular", Step{Menu: CipherManagement, Do: "leave an AES suite"}, "in Cisco Unified IM and Presence OS Administration, Security > Cipher Management: leave an AES suite"},
		{"not Cisco's", Step{Do: "Name the DNS servers in mesh.yaml."}, "Name the DNS servers in mesh.yaml"},
		{"two sentences", Step{Do: "One."}.Then("Two."), "One. Two"},
		{"none", Step{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.step.Line(); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	m := &mesh.Mesh{Domain: "example.com", Clusters: []mesh.Cluster{{ID: "emea", Publisher: "imp-emea-pub.example.com", DNS: []string{"192.0.2.1:53", "192.0.2.2:53"}}, {ID: "apac", Publisher: "imp-apac-pub.example.com"}},
		Peers: []mesh.Peer{{ID: mesh.PeerID{From: "emea", To: "apac"}, Protocol: mesh.TLSProto}}}
	const text = "{id} {from} {to} {fromPub} {toPub} {fromDNS} {protocol} {domain}"
	for _, c := range []struct{ from, to, want string }{
		{"emea", "apac", "emea>apac emea apac imp-emea-pub.example.com imp-apac-pub.example.com 192.0.2.1:53, 192.0.2.2:53 TLS example.com"},
		{"apac", "emea", "apac>emea apac emea imp-apac-pub.example.com imp-emea-pub.example.com none declared TCP example.com"},
		{"emea", "gone", "emea>gone emea gone imp-emea-pub.example.com the publisher of gone 192.0.2.1:53, 192.0.2.2:53 TCP example.com"},
	} {
		if got := Names(m, mesh.PeerID{From: mesh.ClusterID(c.from), To: mesh.ClusterID(c.to)}).Replace(text); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
	if strings.Contains(Names(m, m.Peers[0].ID).Replace("{message}"), "emea") {
		t.Error("a message is not ours to fill in")
	}
}
