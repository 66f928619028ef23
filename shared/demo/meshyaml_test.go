package demo

import "testing"

// What people write into mesh.yaml while Peerkeeper watches, and what they do on the
// pages of clusters by hand, without a plan.
func TestPeopleChangeMeshYAMLAndEntriesByHand(t *testing.T) {
	for _, c := range []struct {
		name, story string
		alarms      []string
	}{
		{"a fourth cluster is written down, then entered on each page, and taken out again", `
mesh: {clusters: 4, apart: 1, users: 60}
steps:
  - name: nobody speaks of c04
    wait: 30m
  - name: it stands in mesh.yaml, and nobody has made an entry
    break:
      - {write: {clusters: [emea, apac, amer, c04]}}
    wait: 10m
    expect:
      peers:
        emea>c04: {state: Degraded, cause: Configured, conditions: {Configured: False PeerMissing}}
        apac>c04: {state: Degraded, cause: Configured}
        amer>c04: {state: Degraded, cause: Configured}
        c04>emea: {state: Degraded, cause: Configured}
        c04>apac: {state: Degraded, cause: Configured}
        c04>amer: {state: Degraded, cause: Configured}
      alarms: [PeerMisconfigured amer>c04, PeerMisconfigured c04>amer, PeerMisconfigured c04>apac, PeerMisconfigured c04>emea]
    mend:
      - {post: /clusters/emea/peers, body: {peer: c04, present: true}}
      - {post: /clusters/apac/peers, body: {peer: c04, present: true}}
      - {post: /clusters/amer/peers, body: {peer: c04, present: true}}
      - {post: /clusters/c04/peers, body: {peer: emea, present: true}}
      - {post: /clusters/c04/peers, body: {peer: apac, present: true}}
      - {post: /clusters/c04/peers, body: {peer: amer, present: true}}
    healthyWithin: 2h
  - name: it is taken out, and its entries stay
    break:
      - {write: {clusters: [emea, apac, amer]}}
    wait: 40m
    expect:
      peers:
        c04>emea: {state: Terminated}
`, []string{"PeerMisconfigured amer>c04", "PeerMisconfigured c04>amer", "PeerMisconfigured c04>apac", "PeerMisconfigured c04>emea"}},
		{"pairs are listed, and one of them uses TLS", `
mesh: {users: 60}
steps:
  - name: one pair of three is listed
    break:
      - {write: {peers: {pairs: [[emea, apac]], protocol: tcp}}}
    wait: 30m
  - name: TLS at both ends, and then in mesh.yaml
    break:
      - {post: /clusters/emea/peers, body: {peer: apac, protocol: tls}}
      - {post: /clusters/apac/peers, body: {peer: emea, protocol: tls}, wait: 35m}
      - {write: {peers: {pairs: [[emea, apac]], protocol: tcp, except: [{pair: [emea, apac], protocol: tls}]}}}
    healthyWithin: 1h
  - name: all pairs again
    break:
      - {write: {peers: {topology: full-mesh, protocol: tcp, except: [{pair: [emea, apac], protocol: tls}]}}}
    wait: 1h30m
`, []string{"PeerMisconfigured apac>emea", "PeerMisconfigured emea>apac"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			playStory(t, c.story, c.alarms)
		})
	}
}
