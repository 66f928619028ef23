package e2e

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/dynamo"
	"peerkeeper/shared/tlsprobe"
)

// variant writes an environment of a name into a folder of its own: dev, but for
// what change makes of its two files.
func variant(t *testing.T, name string, change func(env, mesh map[string]any)) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files := map[string]map[string]any{"yaml": nil, "mesh.yaml": nil}
	for kind := range files {
		data, err := os.ReadFile(filepath.Join(root, "infra/environments/dev."+kind))
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]any
		if err := yaml.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		files[kind] = file
	}
	change(files["yaml"], files["mesh.yaml"])
	for kind, file := range files {
		data, err := yaml.Marshal(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+"."+kind), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// mending is dev in mode recover with a third cluster, because an agent's only peer is
// not restarted for without a person.
func mending(t *testing.T) (dir string) {
	t.Helper()
	return recovering(t, "mending", true)
}

// recovering is dev with mode recover, imports that need nobody, windows if any are named,
// every kind of account, and amer as a third cluster, if it is to have one.
func recovering(t *testing.T, name string, amer bool, windows ...any) (dir string) {
	t.Helper()
	return variant(t, name, func(env, m map[string]any) {
		policy := map[string]any{"mode": string(mesh.Recover), "importCertificates": string(mesh.ImportAuto)}
		if len(windows) > 0 {
			policy["windows"] = windows
		}
		m["policy"] = policy
		clusters := m["clusters"].([]any)
		if amer {
			network := env["network"].(map[string]any)
			network["onPremises"] = append(network["onPremises"].([]any), "203.0.113.0/24")
			text, err := yaml.Marshal(clusters[len(clusters)-1])
			if err != nil {
				t.Fatal(err)
			}
			var third map[string]any
			if err := yaml.Unmarshal([]byte(strings.NewReplacer("apac", "amer", "198.51.100.", "203.0.113.").Replace(string(text))), &third); err != nil {
				t.Fatal(err)
			}
			clusters = append(clusters, third)
		}
		for _, x := range clusters {
			c := x.(map[string]any)
			c["writeCredentials"], c["platformWriteCredentials"] = fmt.Sprint(c["id"], "/write"), fmt.Sprint(c["id"], "/platform-write")
		}
		m["clusters"] = clusters
	})
}

// store is the table, for one who may read all of it.
func (s *stage) store() store.Store {
	cfg := aws.Config{Region: s.region, BaseEndpoint: aws.String(s.url), Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: deployer, SecretAccessKey: deployer}, nil
	})}
	return dynamo.New(dynamo.NewClient(cfg), s.tables[0])
}

// gate is what the table holds of the gate.
func (s *stage) gate(t *testing.T) repair.Gate {
	t.Helper()
	g, err := repair.Load(t.Context(), s.store(), s.env.Mesh.Name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// closed expects that nothing is open, and how the last action ended.
func (s *stage) closed(t *testing.T, action peer.Action, target string, outcome repair.Outcome) repair.Closure {
	t.Helper()
	g := s.gate(t)
	if len(g.Open) > 0 || len(g.Closed) == 0 {
		t.Fatalf("open %+v, closed %+v", g.Open, g.Closed)
	}
	last := g.Closed[len(g.Closed)-1]
	if last.Action != action || last.Target.String() != target || last.Outcome != outcome {
		t.Errorf("the last action is %+v, want %s %s: %s", last, action, target, outcome)
	}
	return last
}

// of is a cluster as it is now.
func (s *stage) of(id string) clustersim.ClusterState {
	for _, c := range s.sim.State().Clusters {
		if c.ID == id {
			return c
		}
	}
	return clustersim.ClusterState{}
}

// sent is how often the nodes of a cluster were asked for an operation.
func (s *stage) sent(id, operation string) (n int) {
	for _, node := range s.of(id).Nodes {
		n += node.Requests[operation]
	}
	return n
}

// The operations by which a service is started or restarted, and a certificate
// put into a store.
const control, put = "soapDoControlServices", "POST /trust/certificates"

// plan is what the command lists.
func (s *stage) plan(t *testing.T) []operator.Planned {
	t.Helper()
	var answer struct{ Actions []operator.Planned }
	s.ask(t, reader, &answer, "plan")
	return answer.Actions
}

// announced lets time pass until stucksync asks for an action, and expects that
// it has only told of it.
func (s *stage) announced(t *testing.T, within time.Duration, kind peer.Action, target string) operator.Planned {
	t.Helper()
	var a run.Answer
	for range int(within / (5 * time.Minute)) {
		if a = s.tick(t); a.Proposals > 0 {
			break
		}
	}
	asked := s.plan(t)
	if a.Proposals != 1 || a.Actions != 0 || len(asked) != 1 || asked[0].Kind != kind || asked[0].Target != target {
		t.Fatalf("%+v; asked for is %+v, want %s %s alone", a, asked, kind, target)
	}
	return asked[0]
}

// ungranted lets time pass in which stucksync may not read the secrets of some
// accounts, and expects that what is asked for is not done for that reason alone.
func (s *stage) ungranted(t *testing.T, accounts ...string) {
	t.Helper()
	f := s.functions["stucksync"]
	var arns []string
	for _, a := range accounts {
		arns = append(arns, s.guard.arns[f.env[lambdahost.VarSecretPrefix]+a])
	}
	taken, back := s.guard.without(f.name, "Accounts", arns...)
	defer back()
	if taken != len(accounts) {
		t.Fatalf("the template grants %d of %v to stucksync", taken, accounts)
	}
	writes := func() (n int) {
		for _, c := range s.sim.State().Clusters {
			n += c.Writes
		}
		return n
	}
	before := writes()
	for range 2 {
		if a := s.tick(t); a.Proposals != 1 || a.Actions != 0 {
			t.Errorf("without the grant of %v: %+v", accounts, a)
		}
	}
	if n := writes() - before; n > 0 || len(s.gate(t).Open) > 0 {
		t.Errorf("without the grant of %v the clusters were changed %d times; open are %+v", accounts, n, s.gate(t).Open)
	}
	refused := s.guard.pardon()
	for _, why := range refused {
		if !slices.ContainsFunc(arns, func(arn string) bool {
			return strings.HasPrefix(why, f.name+" may not secretsmanager:GetSecretValue on "+arn)
		}) {
			t.Errorf("refused: %s", why)
		}
	}
	if len(refused) == 0 {
		t.Errorf("the guard refused nothing without the grant of %v", accounts)
	}
}

// TestMendingAsDeployed plays what mode recover does, as deployed: a service is
// started, a stuck agent restarted, a certificate imported, each once, each
// through the gate and read back, by the accounts that the template lets
// stucksync read, and by no other.
func TestMendingAsDeployed(t *testing.T) {
	s := newStage(t, mending(t), "mending", clustersim.Config{})
	h := &heard{stage: s, seen: map[string]string{}, count: map[string]int{}}
	part := func(name string, f func(t *testing.T)) { t.Helper(); part(t, name, f) }
	icsa := func(id string) string { return peer.ICSA + " on " + s.node(id, "publisher") }

	part("healthy", func(t *testing.T) {
		for _, c := range s.env.Mesh.Clusters {
			for _, account := range []string{"read", "write", "platform", "platform-write"} {
				s.putSecret(t, c.ID, account)
			}
		}
		s.check(t)
		s.healthy(t)
		h.expect(t)
	})

	part("ICSA has crashed on a publisher: told of, and nothing is started without the write account", func(t *testing.T) {
		s.set(t, "/clusters/apac/services", fmt.Sprintf(`{"node":%q,"service":%q,"status":"Stopped","crash":true}`, s.node("apac", "publisher"), peer.ICSA))
		if p := s.announced(t, 15*time.Minute, peer.StartService, icsa("apac")); p.Approval != "" || !slices.ContainsFunc(p.Refused, func(r record.Refusal) bool { return r.Guard == repair.GuardAnnounced }) {
			t.Errorf("announced is %+v", p)
		}
		s.ungranted(t, "apac/write")
		h.expect(t, "ServiceStopped apac raised")
	})
	part("with it, it is started once", func(t *testing.T) {
		if a := s.tick(t); a.Actions != 1 {
			t.Errorf("%+v; asked for is %+v", a, s.plan(t))
		}
		s.healthy(t)
		s.closed(t, peer.StartService, icsa("apac"), repair.DoneProven)
		if n, c := s.sent("apac", control), s.of("apac"); n != 1 || c.Writes != 1 {
			t.Errorf("it was asked to start %d times, and changed %d times", n, c.Writes)
		}
		h.expect(t, "ServiceStopped apac cleared")
	})

	// One message for both peers: they have one cause.
	const stuck = "InterClusterSyncAgentPeerPeriodicSyncingFailure amer>apac"
	part("every sync of a cluster is stuck, and stucksync is killed once it has sent its restart", func(t *testing.T) {
		s.set(t, "/clusters/amer/parameters", `{"service":"Cisco Intercluster Sync Agent","name":"ICSAEnableAutoRecovery","value":"f"}`)
		// Both last synced at once: of a peer that stands alone for a look, a
		// person would be asked.
		for _, to := range []string{"emea", "apac"} {
			s.set(t, "/clusters/amer/peers", fmt.Sprintf(`{"peer":%q,"forceSync":true}`, to))
		}
		s.tick(t)
		for _, to := range []string{"emea", "apac"} {
			s.set(t, "/clusters/amer/peers", fmt.Sprintf(`{"peer":%q,"mode":"stuck"}`, to))
			s.set(t, "/clusters/"+to+"/users", `{"add":5}`)
		}
		if p := s.announced(t, 3*time.Hour, peer.RestartService, icsa("amer")); p.Approval != "" || len(p.Peers) != 2 {
			t.Errorf("announced is %+v", p)
		}
		h.expect(t, stuck+" raised")
		s.forward(t, 5*time.Minute)
		s.look(t)
		// The node carries it out, and is slow to say so.
		s.set(t, "/faults", fmt.Sprintf(`{"cluster":"amer","operation":%q,"kind":"delay","when":"after","delay":"1m"}`, control))
		s.killOnce(t, "stucksync", "a restart", func() bool { return s.of("amer").ICSARestarts > 0 })
		if g := s.gate(t); len(g.Open) != 1 || g.Open[0].Action != peer.RestartService {
			t.Errorf("open is %+v", g.Open)
		}
	})
	part("the next run reads back, and sends nothing again", func(t *testing.T) {
		s.tick(t)
		if c := s.closed(t, peer.RestartService, icsa("amer"), repair.DoneProven); !strings.Contains(c.Evidence, "up-time") {
			t.Errorf("closed is %+v", c)
		}
		s.healthy(t)
		if n, c := s.sent("amer", control), s.of("amer"); n != 1 || c.ICSARestarts != 1 || c.ICSASelfRestarts != 0 || c.Writes != 1 {
			t.Errorf("it was asked %d times, restarted %d times and %d by itself, and changed %d times", n, c.ICSARestarts, c.ICSASelfRestarts, c.Writes)
		}
		h.expect(t, stuck+" cleared")
	})

	pub := s.node("apac", "publisher")
	imported := func(node, by string) string {
		return fmt.Sprintf("tomcat of %s in %s on %s", node, peer.TomcatTrust, s.node(by, "publisher"))
	}
	part("a publisher's certificate is renewed, accepted here, and never reaches one cluster", func(t *testing.T) {
		// Cisco restarts the agent after four periods of failing syncs, and would
		// read the store by itself: of two hours each, so that a person is sooner.
		for name, value := range map[string]string{"ICSAEnableAutoRecovery": `"f"`, "ICSAPeriodicSyncInterval": "120"} {
			s.set(t, "/clusters/emea/parameters", fmt.Sprintf(`{"service":%q,"name":%q,"value":%s}`, peer.ICSA, name, value))
		}
		s.tick(t) // an interval holds from the first sync after it was seen
		s.forward(t, time.Minute)
		s.set(t, "/clusters/emea/peers", `{"peer":"apac","forceSync":true}`)
		s.tick(t)
		s.renew(t, pub, "self", "emea")
		s.accept(t, pub)
		if p := s.announced(t, 4*time.Hour, peer.ImportCertificate, imported(pub, "emea")); p.Approval != "" {
			t.Errorf("announced is %+v", p)
		}
		s.ungranted(t, "emea/platform-write")
		if _, who := s.trust(t); who.verdicts[pub+" by emea"] != string(certificate.StaleCopy) {
			t.Errorf("who trusts whom: %v", who.verdicts)
		}
		h.expect(t, "CertificateNotTrusted apac raised")
	})
	part("it is imported once, with the account that may write", func(t *testing.T) {
		if a := s.tick(t); a.Actions != 1 {
			t.Errorf("%+v; asked for is %+v", a, s.plan(t))
		}
		s.closed(t, peer.ImportCertificate, imported(pub, "emea"), repair.DoneProven)
		for range 3 {
			s.tick(t)
		}
		if _, who := s.trust(t); who.verdicts[pub+" by emea"] != string(certificate.Trusted) {
			t.Errorf("certcheck does not see it: %v", who.verdicts)
		}
		if n, c := s.sent("emea", put), s.of("emea"); n != 1 || c.Writes != 1 {
			t.Errorf("it was put in %d times, and emea changed %d times", n, c.Writes)
		}
		h.expect(t)
	})
	part("a person approves the restart that reads it", func(t *testing.T) {
		p := s.announced(t, 3*time.Hour, peer.RestartService, icsa("emea"))
		if p.Approval == "" {
			t.Errorf("announced is %+v", p)
		}
		s.tick(t)
		if n := s.of("emea").ICSARestarts; n != 0 {
			t.Errorf("ICSA was restarted %d times before anybody approved it", n)
		}
		s.approve(t, p)
		if a := s.tick(t); a.Actions != 1 {
			t.Errorf("%+v; asked for is %+v", a, s.plan(t))
		}
		s.tick(t)
		s.closed(t, peer.RestartService, icsa("emea"), repair.DoneProven)
		for range 9 {
			s.tick(t)
		}
		s.healthy(t)
		h.expect(t, "CertificateNotTrusted apac cleared")
	})

	authority := fmt.Sprintf("the CA certificates of Simulated Mesh CA in %s on %s", peer.TomcatTrust, s.node("amer", "publisher"))
	part("one is renewed by a CA that one cluster does not know, and nobody tells: the sync that is overdue has it found", func(t *testing.T) {
		s.set(t, "/clusters/amer/peers", `{"peer":"emea","forceSync":true}`)
		s.tick(t)
		s.set(t, "/clusters/amer/trust", fmt.Sprintf(`{"remove":%q}`, s.authority(t)))
		s.renew(t, s.node("emea", "publisher"), "ca", "amer")
		p := s.announced(t, 4*time.Hour, peer.ImportCertificate, authority)
		if p.Approval == "" {
			t.Errorf("announced is %+v", p)
		}
		s.tick(t)
		if n := s.sent("amer", put); n != 0 {
			t.Errorf("a CA was put in %d times before anybody approved it", n)
		}
		// The sync that stands still over it has no message of its own.
		h.expect(t, "CertificateNotTrusted emea raised")
		s.approve(t, p)
		if a := s.tick(t); a.Actions != 1 {
			t.Errorf("%+v; asked for is %+v", a, s.plan(t))
		}
		s.closed(t, peer.ImportCertificate, authority, repair.DoneProven)
	})
	part("nobody approves a restart, and Cisco's own reads it", func(t *testing.T) {
		want := map[peer.State]int{peer.Healthy: len(s.env.Mesh.Peers)}
		for range int(3 * time.Hour / (5 * time.Minute)) {
			if a := s.tick(t); cmp.Equal(want, a.Peers) {
				break
			}
		}
		for range 3 { // certcheck sees it, too
			s.tick(t)
		}
		s.healthy(t)
		h.expect(t, "CertificateNotTrusted emea cleared")
		if n, c := s.sent("amer", put), s.of("amer"); n != 1 || c.ICSASelfRestarts == 0 || c.ICSARestarts != 1 {
			t.Errorf("it was put in %d times; ICSA of amer restarted %d times by itself, and %d times for Peerkeeper", n, c.ICSASelfRestarts, c.ICSARestarts)
		}
	})

	part("preflight checks every cluster once a person asks, with what another one pasted, and changes none", func(t *testing.T) {
		before := s.sim.State()
		emea := s.node("emea", "publisher")
		var kept struct{ Actor string }
		if code := s.give(t, anOperator, "admin:utils network connectivity "+s.node("apac", "publisher")+" 7400\nService not accessible\nadmin:", &kept, "preflight", "paste", emea); code != 0 || kept.Actor == "" {
			t.Errorf("exit %d, %+v", code, kept)
		}
		var said struct {
			AsOf   time.Time
			Checks []struct{ ID, Status, Cluster, Node, Message string }
		}
		if code := s.ask(t, anOperator, &said, "preflight", "--now"); code != 1 || said.AsOf.Before(s.clock.Now().Add(-time.Minute)) {
			t.Errorf("exit %d, as of %s", code, said.AsOf)
		}
		if !slices.ContainsFunc(said.Checks, func(c struct{ ID, Status, Cluster, Node, Message string }) bool {
			return c.ID == "ports-node-to-node" && c.Node == emea && c.Status == "fail" && strings.Contains(c.Message, kept.Actor)
		}) {
			t.Errorf("what was pasted of %s is not in %+v", emea, said.Checks)
		}
		var synced struct {
			Peers []struct{ ID, Synced string }
		}
		if code := s.ask(t, reader, &synced, "synced", "--since", "24h"); code != 0 || len(synced.Peers) != 6 {
			t.Errorf("synced: exit %d, %+v", code, synced)
		}
		var users struct {
			Read map[string]*time.Time
		}
		if s.ask(t, reader, &users, "audit", "users"); len(users.Read) != len(s.env.Mesh.Clusters) {
			t.Errorf("audit users: %+v", users)
		}
		passed := map[string]bool{}
		for _, c := range said.Checks {
			if c.ID == "replication" && c.Status == "pass" {
				passed[c.Cluster] = true
			}
		}
		if len(passed) != len(s.env.Mesh.Clusters) {
			t.Errorf("replication passes in %v, want every cluster: %+v", passed, said.Checks)
		}
		for i, c := range s.sim.State().Clusters {
			if c.Writes != before.Clusters[i].Writes {
				t.Errorf("preflight changed %s", c.ID)
			}
		}
	})

	part("in the end", func(t *testing.T) {
		h.balanced(t)
		var history struct {
			Entries  []repair.Entry
			Verified bool
		}
		if code := s.ask(t, reader, &history, "history", "--verify"); code != 0 || !history.Verified {
			t.Errorf("history: exit %d, verified %v", code, history.Verified)
		}
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		deed := func(who, what string) []string {
			return []string{who + ": " + what + ": intent", "stucksync: close: " + what + ": done"}
		}
		want := slices.Concat(
			deed("stucksync", "start "+icsa("apac")),
			deed("stucksync", "restart "+icsa("amer")),
			[]string{"a person: trust accept " + pub + ": done"},
			deed("stucksync", "importCertificate "+imported(pub, "emea")),
			[]string{"a person: approve: restart " + icsa("emea") + ": done"},
			deed("stucksync, approved by a person", "restart "+icsa("emea")),
			[]string{"a person: approve: importCertificate " + authority + ": done"},
			deed("stucksync, approved by a person", "importCertificate "+authority),
			[]string{"a person: preflight paste " + s.node("emea", "publisher") + ": done"},
		)
		var got []string
		for _, e := range history.Entries {
			what := e.Intent
			if head, tail, ok := strings.Cut(what, ": "); ok { // "close 7", "approve 61c6237eec"
				verb, _, _ := strings.Cut(head, " ")
				what = verb + ": " + tail
			}
			got = append(got, strings.ReplaceAll(e.Actor, me.Username, "a person")+": "+what+": "+e.Outcome)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("who decided what (-want +got):\n%s", diff)
		}
		changed := map[string]int{}
		for _, c := range s.sim.State().Clusters {
			changed[c.ID] = c.Writes
			for _, n := range c.Nodes {
				if n.RejectedLogIns > 0 {
					t.Errorf("%s rejected %d log-ins", n.Name, n.RejectedLogIns)
				}
			}
			if c.RouterRestarts > 0 {
				t.Errorf("the router of %s was restarted", c.ID)
			}
		}
		// A start; a restart and an import; an import and a restart.
		if diff := cmp.Diff(map[string]int{"apac": 1, "amer": 2, "emea": 2}, changed); diff != "" {
			t.Errorf("changes of clusters (-want +got):\n%s", diff)
		}
		for _, grant := range s.guard.unused() {
			if who, sid, _ := strings.Cut(grant, " "); !strings.HasSuffix(who, "-peering") && sid != "Failures" && sid != "Interfaces" && sid != "Logs" {
				t.Errorf("the template grants what nothing needed: %s", grant)
			}
		}
		for _, why := range s.guard.refusals() {
			t.Errorf("the template's policies refuse what was needed: %s", why)
		}
	})
}

// renew has a node serve a new certificate that one cluster does not learn.
func (s *stage) renew(t *testing.T, node, issuer, but string) {
	t.Helper()
	for _, h := range s.sim.Hosts() {
		if h.Name == node {
			s.set(t, "/clusters/"+h.Cluster+"/certificates", fmt.Sprintf(`{"node":%q,"issuer":%q}`, node, issuer))
		}
	}
	s.set(t, "/clusters/"+but+"/trust", fmt.Sprintf(`{"remove":%q}`, node))
}

// accept says to the command that what a node serves now is right.
func (s *stage) accept(t *testing.T, node string) {
	t.Helper()
	served, _ := tlsprobe.Prober{}.Probe(t.Context(), tlsprobe.Target{Address: s.address(node), ServerName: node}, tlsprobe.Any)
	if served.Leaf() == nil {
		t.Fatalf("%s serves nothing", node)
	}
	var accepted struct{ Node string }
	if code := s.ask(t, anOperator, &accepted, "trust", "accept", node, chain.Fingerprint(served.Leaf())); code != 0 || accepted.Node != node {
		t.Fatalf("exit %d: %+v", code, accepted)
	}
}

// approve lets stucksync do what it asked for.
func (s *stage) approve(t *testing.T, p operator.Planned) {
	t.Helper()
	var approved struct{ Approved operator.Planned }
	if code := s.ask(t, anOperator, &approved, "approve", p.ID); code != 0 || approved.Approved.ID != p.ID {
		t.Fatalf("exit %d: %+v", code, approved)
	}
}

// address is where a node answers.
func (s *stage) address(name string) string {
	for _, h := range s.sim.Hosts() {
		if h.Name == name {
			return h.Address
		}
	}
	return ""
}
