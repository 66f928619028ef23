package demo

import (
	"bytes"
	"slices"
	"testing"
	"testing/fstest"
)

// What other people's networks do to us, and what Peerkeeper must make of it:
// each story is played on a simulated mesh of its own, by the real functions.
// Alarms are all that were ever said; what a step does not name is Healthy and
// without a finding of severity warning or worse.
func TestRightAboutOtherPeoplesNetworks(t *testing.T) {
	for _, c := range []struct {
		name, story string
		alarms      []string
	}{
		{"split DNS: one cluster's servers answer Peerkeeper NXDOMAIN, and its ICSA goes on syncing", `
steps:
  - name: from the first look on, nobody is told, and the next sync contradicts it
    break:
      - {post: /clusters/emea/dns, body: {for: peerkeeper, name: imp-apac-pub.example.com, answer: nxdomain}}
    wait: 1h15m
    expect:
      peers:
        emea>apac: {state: Healthy, conditions: {NamesResolve: Unknown Contradicted, Synced: "True", UsersMatch: "True"}, says: {NamesResolve: imp-apac-pub.example.com}}
  - name: looks and syncs go on at their own paces, and it stays so
    wait: 8h
    expect:
      peers:
        emea>apac: {state: Healthy, conditions: {NamesResolve: Unknown Contradicted}}
    mend:
      - {post: /clusters/emea/dns, body: {name: imp-apac-pub.example.com, answer: ""}}
    healthyWithin: 6h30m
`, nil},
		{"split DNS, and later the name is gone for ICSA as well: the contradiction lapses with its sync", `
steps:
  - name: contradicted
    break:
      - {post: /clusters/emea/dns, body: {for: peerkeeper, name: imp-apac-pub.example.com, answer: nxdomain}}
    wait: 1h15m
    expect:
      peers:
        emea>apac: {state: Healthy, conditions: {NamesResolve: Unknown Contradicted}}
  - name: now ICSA is refused too
    break:
      - {post: /clusters/emea/dns, body: {for: icsa, name: imp-apac-pub.example.com, answer: nxdomain}}
    wait: 50m
    expect:
      peers:
        emea>apac: {state: Degraded, cause: NamesResolve, conditions: {NamesResolve: False NameNotResolving}}
      alarms: [NameNotResolving emea>apac]
    mend:
      - {post: /clusters/emea/dns, body: {for: icsa, name: imp-apac-pub.example.com, answer: ""}}
      - {post: /clusters/emea/dns, body: {for: peerkeeper, name: imp-apac-pub.example.com, answer: ""}}
    healthyWithin: 1h30m
`, []string{"NameNotResolving emea>apac"}},
		{"user IDs that are mail addresses, and the Directory URI scheme with two domains: all is lawful", `
steps:
  - name: IDs with an at sign, a percent sign and a quote
    break:
      - {post: /clusters/apac/users, body: {userid: "anna.berg@mail.example.org", imaddress: "anna.berg@mail.example.org@example.com"}}
      - {post: /clusters/apac/users, body: {userid: "100%o'brien", imaddress: "100%o'brien@EXAMPLE.COM"}}
    wait: 2h30m
  - name: every cluster by Directory URI
    break:
      - {post: /clusters/emea/scheme, body: {addressScheme: directoryURI, domains: [example.com, sales.example.net]}}
      - {post: /clusters/apac/scheme, body: {addressScheme: directoryURI, domains: [example.com, sales.example.net]}}
      - {post: /clusters/amer/scheme, body: {addressScheme: directoryURI}}
    wait: 3h
  - name: one cluster by another scheme
    break:
      - {post: /clusters/amer/scheme, body: {addressScheme: userid}}
    wait: 1h15m
    expect:
      peers:
        amer>emea: {state: Degraded, cause: Compatible, conditions: {Compatible: False AddressSchemeDiffers}}
        amer>apac: {state: Degraded, cause: Compatible, conditions: {Compatible: False AddressSchemeDiffers}}
        emea>amer: {state: Degraded, cause: Compatible, conditions: {Compatible: False AddressSchemeDiffers}}
        apac>amer: {state: Degraded, cause: Compatible, conditions: {Compatible: False AddressSchemeDiffers}}
      alarms: [PeerMisconfigured amer>apac, PeerMisconfigured amer>emea, PeerMisconfigured apac>amer]
    mend:
      - {post: /clusters/amer/scheme, body: {addressScheme: directoryURI}}
    healthyWithin: 1h30m
`, []string{"PeerMisconfigured amer>apac", "PeerMisconfigured amer>emea", "PeerMisconfigured apac>amer"}},
		{"all users of a cluster vanish", `
steps:
  - name: equal, empty copies prove nothing
    wait: 30m
  - name: gone
    break:
      - {post: /clusters/apac/users, body: {unassign: 200}}
    wait: 1h15m
    expect:
      peers:
        emea>apac: {state: Unknown, conditions: {UsersMatch: Unknown UsersFell}}
        amer>apac: {state: Unknown, conditions: {UsersMatch: Unknown UsersFell}}
      findings: ["apac:UsersFell"]
      alarms: [UsersFell apac]
  - name: they are back
    break:
      - {post: /clusters/apac/users, body: {add: 180}}
    wait: 1h
`, []string{"UsersFell apac"}},
		{"a node has failed over, and high availability is off elsewhere: information", `
steps:
  - name: both are lawful
    break:
      - {post: /clusters/apac/nodes, body: {node: imp-apac-sub.example.com, haState: 8}}
      - {post: /clusters/amer/ha, body: {enabled: false, automaticFallback: false}}
    wait: 30m
`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			playStory(t, c.story, c.alarms)
		})
	}
}

// playStory plays one story on a mesh of three clusters, and compares the alarms
// that were raised in it, each once, and cleared.
func playStory(t *testing.T, text string, alarms []string) {
	t.Helper()
	story, err := LoadStory(fstest.MapFS{"story.yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	res, err := Demo{Clusters: 3, Users: 200, Story: story, Out: &out, Dir: t.TempDir()}.PlayOnce(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !res.OK {
		t.Errorf("it did not go as written:\n%s", out.String())
	}
	var said []string
	for _, a := range res.Alarms {
		said = append(said, a.Name+" "+a.Peer.String()+string(a.Cluster))
	}
	slices.Sort(said)
	if !slices.Equal(said, alarms) {
		t.Errorf("alarms raised: %q, want %q\n%s", said, alarms, out.String())
	}
}
