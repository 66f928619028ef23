package peer

import (
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

func TestStarts(t *testing.T) {
	v, _, _ := stuck{}.view()
	pub := mesh.NodeName("imp-emea-pub.example.com")
	stop := func(name string, since time.Time) {
		r := v.Clusters["emea"]
		r.Seen.Nodes[pub].Services.Value[name] = Service{Status: "Stopped", UpTime: -1}
		r.Findings = append(r.Findings, Finding{ID: IDOf(ServiceStopped, string(pub), name), Reason: ServiceStopped, Node: pub, Since: since})
	}
	for _, name := range []string{ICSA, XCPRouter, SIPProxy, SRM} {
		stop(name, at12.Add(-10*time.Minute))
	}
	stop(AXL, at12) // seen once
	got := Starts(v, "emea")
	if len(got) != 1 || got[0].Target.Service != ICSA || got[0].Action != StartService {
		t.Errorf("%+v", got)
	}
	v.Clusters["emea"].Seen.Nodes[pub] = Node{} // not read
	if got := Starts(v, "emea"); len(got) != 0 {
		t.Errorf("on what is not known: %+v", got)
	}
}
