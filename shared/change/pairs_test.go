package change

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// world is a full mesh of clusters, each of two nodes.
func world(release string, ids ...mesh.ClusterID) *mesh.Mesh {
	m := &mesh.Mesh{Name: "acme", Policy: mesh.Policy{Mode: mesh.Recover}, Topology: mesh.FullMesh}
	for _, id := range ids {
		pub, sub := mesh.NodeName("imp-"+id+"-pub"), mesh.NodeName("imp-"+id+"-sub")
		m.Clusters = append(m.Clusters, mesh.Cluster{ID: id, Release: release, Publisher: pub, Nodes: []mesh.Node{{Name: pub}, {Name: sub}}})
	}
	for _, a := range ids {
		for _, b := range ids {
			if a != b {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: a, To: b}, Protocol: mesh.TCP})
			}
		}
	}
	return m
}

func thirty(n int) []mesh.ClusterID {
	var out []mesh.ClusterID
	for i := range n {
		out = append(out, mesh.ClusterID(fmt.Sprintf("c%02d", i+1)))
	}
	return out
}

// outline is a plan in few words: each step with the clusters that it is about.
func outline(p *Plan) string {
	var out []string
	for _, s := range p.Steps {
		text := string(s.Op)
		switch {
		case !s.Pair.IsZero() && s.Op != OpMeshLines:
			text += " " + s.Pair.String()
		case s.Op == OpRestart:
			text += " " + string(s.Node)
		case s.Op == OpPrepare:
			text += " " + s.Purpose
		default:
			text += " " + string(s.Cluster)
		}
		if s.State != StepPending {
			text += " " + string(s.State)
		}
		switch s.Op {
		case OpAwaitHA, OpFallback, OpAwaitPeople, OpDisableHA: // with each restart
		default:
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

func TestWhatPlansOfPairsComeTo(t *testing.T) {
	const checks = "preflight emea, preflight apac, syncAgent emea, syncAgent apac, "
	const restarts = "routerDue emea, askHA emea, restart imp-emea-pub, restart imp-emea-sub, enableHA emea, routerDue apac, askHA apac, restart imp-apac-pub, restart imp-apac-sub, enableHA apac, "
	const verified = "verifyPair emea>apac, verifyPair apac>emea, look emea>apac, look apac>emea"
	for _, c := range []struct {
		name    string
		release string
		kind    Kind
		args    []string
		want    string
	}{
		{"two clusters become peers", "14.0", Add, []string{"emea", "apac"}, "meshLines emea done, " + checks +
			"duplicates emea, prepare backup, prepare ntp, prepare ports, prepare names, prepare roots, " +
			"addEntry emea>apac, askBell emea>apac, addEntry apac>emea, askBell apac>emea, " + restarts + verified},
		{"a pair goes TLS", "14.0", Edit, []string{"protocol=tls", "emea", "apac"}, "meshLines emea, " + checks + "prepare roots, " +
			"editEntry emea>apac, askBell emea>apac, editEntry apac>emea, askBell apac>emea, " + restarts + verified},
		{"a pair goes TCP, which needs no CAs", "14.0", Edit, []string{"emea", "apac", "protocol=tcp"}, "meshLines emea done, " + checks +
			"editEntry emea>apac, askBell emea>apac, editEntry apac>emea, askBell apac>emea, " + restarts + verified},
		{"an address is corrected", "14.0", Edit, []string{"emea", "apac", "address=imp-apac-pub"}, checks + "editEntry emea>apac, askBell emea>apac, " + restarts + verified},
		{"a pair ends, of release 14", "14.0", Delete, []string{"emea", "apac"}, "meshLines emea, preflight emea, preflight apac, prepare backup, deleteEntry emea>apac, deleteEntry apac>emea, " +
			"verifyGone emea>apac, verifyGone apac>emea, leftovers emea>apac, leftovers apac>emea"},
		{"a pair ends, before release 14", "12.5", Delete, []string{"emea", "apac"}, "meshLines emea, preflight emea, preflight apac, prepare backup, " +
			"deleteEntry emea>apac, askHA emea, restart imp-emea-pub, enableHA emea, deleteEntry apac>emea, askHA apac, restart imp-apac-pub, enableHA apac, " +
			"verifyGone emea>apac, verifyGone apac>emea, leftovers emea>apac, leftovers apac>emea"},
		{"a cluster leaves, of release 14", "14.0", Leave, []string{"amer"}, "preflight amer, preflight emea, preflight apac, prepare backup, " +
			"deleteEntry emea>amer, deleteEntry amer>emea, verifyGone emea>amer, verifyGone amer>emea, deleteEntry apac>amer, deleteEntry amer>apac, verifyGone apac>amer, verifyGone amer>apac, " +
			"leftovers emea>amer, leftovers apac>amer, meshLines amer"},
		{"a cluster leaves, before release 14", "12.5", Leave, []string{"amer"}, "preflight amer, preflight emea, preflight apac, prepare backup, askEach amer, " +
			"deleteEntry emea>amer, askHA emea, restart imp-emea-pub, enableHA emea, deleteEntry apac>amer, askHA apac, restart imp-apac-pub, enableHA apac, " +
			"deleteEntry amer>emea, askHA amer, restart imp-amer-pub, deleteEntry amer>apac, restart imp-amer-pub, enableHA amer, " +
			"routerDue amer, askHA amer, restart imp-amer-pub, enableHA amer, " +
			"verifyGone emea>amer, verifyGone amer>emea, verifyGone apac>amer, verifyGone amer>apac, leftovers emea>amer, leftovers apac>amer, meshLines amer"},
		{"a password is rotated", "14.0", RotateCredentials, []string{"emea"}, "preflight emea, syncAgent emea, prepare password, prepare tryOnce, " +
			"enterCredentials amer>emea, enterCredentials apac>emea, verifyPair amer>emea, verifyPair apac>emea"},
	} {
		p, err := Make(Known{Mesh: world(c.release, "emea", "apac", "amer"), Users: map[mesh.ClusterID]int{"amer": 9000, "apac": 800}, Now: noon}, "c4f2", Word{Kind: c.kind, Args: c.args, Actor: "ada", At: noon})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := outline(p); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestWhatPlansOfOneListedPairComeTo: mesh.yaml lists a pair, and a cluster without any.
func TestWhatPlansOfOneListedPairComeTo(t *testing.T) {
	for _, c := range []struct {
		release string
		kind    Kind
		args    []string
		want    string
	}{
		{"14.0", Delete, []string{"emea", "apac"}, "preflight emea, preflight apac, prepare backup, deleteEntry emea>apac, deleteEntry apac>emea, " +
			"verifyGone emea>apac, verifyGone apac>emea, leftovers emea>apac, leftovers apac>emea, meshLines emea"},
		{"12.5", Leave, []string{"apac"}, "preflight apac, preflight emea, prepare backup, " +
			"deleteEntry emea>apac, askHA emea, restart imp-emea-pub, enableHA emea, deleteEntry apac>emea, askHA apac, restart imp-apac-pub, enableHA apac, " +
			"verifyGone emea>apac, verifyGone apac>emea, leftovers emea>apac, meshLines apac"},
		{"12.5", Leave, []string{"amer"}, "preflight amer, prepare backup, meshLines amer"},
	} {
		m := world(c.release, "emea", "apac", "amer")
		m.Topology = ""
		m.Peers = slices.DeleteFunc(m.Peers, func(p mesh.Peer) bool { return p.ID.From == "amer" || p.ID.To == "amer" })
		if got := outline(made(t, m, c.kind, c.args...)); got != c.want {
			t.Errorf("%s %v\n got %s\nwant %s", c.kind, c.args, got, c.want)
		}
	}
}

// TestWhatIsNoPlanOfPairs: each is refused with the cure, and as a mistake of the command
// line.
func TestWhatIsNoPlanOfPairs(t *testing.T) {
	m := world("14.0", "emea", "apac", "amer")
	m.Peers = slices.DeleteFunc(m.Peers, func(p mesh.Peer) bool { return p.ID.From == "amer" || p.ID.To == "amer" })
	full := world("14.0", thirty(mesh.MaxClusters)...)
	nowhere := world("", "emea", "apac")
	for _, c := range []struct {
		kind Kind
		mesh *mesh.Mesh
		args string
		says string
	}{
		{Add, m, "emea", "add takes two clusters"},
		{Add, m, "latam emea", "latam is no cluster of mesh acme"},
		{Delete, m, "emea", "delete takes two clusters"},
		{Edit, m, "emea protocol=tls", "edit takes two clusters"},
		{RotateCredentials, m, "latam", "latam is no cluster of mesh acme"},
		{Add, m, "emea emea", "no peer of itself"},
		{Add, m, "emea latam", "latam is no cluster of mesh acme"},
		{Edit, m, "emea apac", "one of --protocol tcp|tls and --address NAME"},
		{Edit, m, "emea apac protocol=tls address=imp-apac-pub", "one of --protocol"},
		{Edit, m, "emea apac protocol=udp", "tcp or tls"},
		{Edit, m, "emea amer protocol=tls", "`peerkeeper peering plan add emea amer`"},
		{Edit, m, "emea apac address=imp-amer-pub", "imp-amer-pub is a node of amer. An entry is not pointed at another cluster"},
		{Edit, m, "emea apac address=imp-latam-pub", "correct mesh.yaml first"},
		{Edit, m, "emea apac address=imp-apac-sub", "not the database publisher of apac"},
		{Delete, m, "emea amer", "no pair of mesh.yaml, and no entry of it was read"},
		{Delete, nowhere, "emea apac", "declare `release` in mesh.yaml"},
		{Leave, nowhere, "emea", "declare `release` in mesh.yaml"},
		{Leave, m, "emea apac", "leave takes one cluster"},
		{Join, full, "latam", "Cisco supports no more in one mesh"},
		{Join, m, "Latam!", "begin with a letter"},
		{Join, m, "latam apac", "join takes one cluster"},
		{Join, m, "amer", "pairs amer with no cluster: add its pairs under peers"},
		{RotateCredentials, m, "amer", "no cluster of mesh.yaml pulls users from amer"},
	} {
		_, err := Make(Known{Mesh: c.mesh, Now: noon}, "c4f2", Word{Kind: c.kind, Args: strings.Fields(c.args), Actor: "ada", At: noon})
		var never *UsageError
		if !errors.As(err, &never) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: %v, want %q", c.kind, c.args, err, c.says)
		}
	}
}

// TestAnAddressThatIsNoneOfAnEntry: another cluster's, another node's, and the publisher's own
// by another name, each with why.
func TestAnAddressThatIsNoneOfAnEntry(t *testing.T) {
	m := world("14.0", "emea", "apac", "amer")
	m.Domain = "example.com"
	for i := range m.Clusters {
		for j := range m.Clusters[i].Nodes {
			m.Clusters[i].Nodes[j].Address = fmt.Sprintf("192.0.2.%d%d:8443", i, j)
		}
	}
	for address, says := range map[string]string{
		"imp-amer-pub":             "imp-amer-pub is a node of amer. An entry is not pointed at another cluster, for then the old one's certificates stay in tomcat-trust",
		"imp-amer-sub":             "is a node of amer. An entry is not pointed",
		"imp-amer-pub.example.com": "is a node of amer. An entry is not pointed",
		"192.0.2.20":               "is a node of amer. An entry is not pointed",
		"198.51.100.7":             "is no node of a cluster in mesh.yaml; if the publisher has another name now, correct mesh.yaml first. An entry is not pointed",
		"imp-apac-sub":             "is not the database publisher of apac: the address of an entry is imp-apac-pub",
		"192.0.2.11":               "is not the database publisher of apac: the address of an entry is imp-apac-pub",
		"192.0.2.10":               "192.0.2.10 is another name of imp-apac-pub, and the address of an entry is its node name exactly as Presence Topology of apac shows it: --address imp-apac-pub",
		"imp-apac-pub.example.com": "is another name of imp-apac-pub",
	} {
		_, err := Make(Known{Mesh: m, Now: noon}, "c4f2", Word{Kind: Edit, Args: []string{"emea", "apac", "address=" + address}, Actor: "ada", At: noon})
		if err == nil || !errors.As(err, new(*UsageError)) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", address, err, says)
		}
	}
	if got := made(t, m, Edit, "emea", "apac", "address=IMP-apac-pub."); got.Steps[4].Value != "imp-apac-pub" {
		t.Errorf("it is entered as %+v", got.Steps[4])
	}
}

// TestAPairIsChangedByOnePlanAtATime: that is no mistake of the command line; it comes
// later.
func TestAPairIsChangedByOnePlanAtATime(t *testing.T) {
	k := Known{Mesh: world("14.0", "emea", "apac", "amer"), Changing: map[mesh.PeerID]string{{From: "apac", To: "emea"}: "a1b2"}, Now: noon}
	_, err := Make(k, "c4f2", Word{Kind: Leave, Args: []string{"emea"}, Actor: "ada", At: noon})
	if err == nil || errors.As(err, new(*UsageError)) || !strings.Contains(err.Error(), "plan a1b2 changes apac>emea") {
		t.Errorf("%v", err)
	}
	if _, err := Make(k, "c4f2", Word{Kind: Add, Args: []string{"emea", "amer"}, Actor: "ada", At: noon}); err != nil {
		t.Errorf("another pair: %v", err)
	}
	k.Leaving = map[mesh.ClusterID]string{"amer": "d3e4"}
	if _, err := Make(k, "c4f2", Word{Kind: Add, Args: []string{"emea", "amer"}, Actor: "ada", At: noon}); err == nil || errors.As(err, new(*UsageError)) || !strings.Contains(err.Error(), "plan d3e4 takes amer out of the mesh") {
		t.Errorf("with a cluster that leaves: %v", err)
	}
}

// TestAJoinMakesNoPairWithAClusterThatLeaves: that plan was laid out before the pair was,
// and would leave its entries behind.
func TestAJoinMakesNoPairWithAClusterThatLeaves(t *testing.T) {
	two, three := world("14.0", "emea", "apac"), world("14.0", "emea", "apac", "amer")
	leave := made(t, two, Leave, "apac")
	leave.State = Running
	k := Known{Mesh: two, Leaving: Plans{Plans: []Entry{leave.Entry()}}.Leaving(), Now: noon}
	join, err := Make(k, "a1b2", Word{Kind: Join, Args: []string{"amer"}, Actor: "ada", At: noon})
	if err != nil {
		t.Fatal(err)
	}
	k.Mesh = three
	if _, err := join.LayOut(k); err == nil || !strings.Contains(err.Error(), "takes apac out of the mesh") {
		t.Errorf("while apac leaves: %v", err)
	}
	leave.State = Draft
	k.Leaving = Plans{Plans: []Entry{leave.Entry()}}.Leaving()
	if _, err := join.LayOut(k); err != nil {
		t.Errorf("nobody has started that plan: %v", err)
	}
}

// TestWhatIsPeeredAlreadyIsNothingToDo: both entries were read, as mesh.yaml has them.
func TestWhatIsPeeredAlreadyIsNothingToDo(t *testing.T) {
	m := world("14.0", "emea", "apac", "amer")
	entries := func(protocol mesh.Protocol, pairs ...string) map[mesh.PeerID]peer.Entry {
		out := map[mesh.PeerID]peer.Entry{}
		for _, text := range pairs {
			id, _ := mesh.ParsePeerID(text)
			out[id] = peer.Entry{Address: "imp-" + string(id.To) + "-pub", Protocol: protocol}
		}
		return out
	}
	for _, c := range []struct {
		name    string
		kind    Kind
		args    []string
		entries map[mesh.PeerID]peer.Entry
		done    bool
	}{
		{"both entries are there", Add, []string{"emea", "apac"}, entries(mesh.TCP, "emea>apac", "apac>emea"), true},
		{"one is", Add, []string{"emea", "apac"}, entries(mesh.TCP, "emea>apac"), false},
		{"of both the protocol cannot be read", Add, []string{"emea", "apac"}, entries("", "emea>apac", "apac>emea"), true},
		{"both are, with another protocol", Add, []string{"emea", "apac"}, entries(mesh.TLSProto, "emea>apac", "apac>emea"), false},
		{"both have the protocol", Edit, []string{"emea", "apac", "protocol=tcp"}, entries(mesh.TCP, "emea>apac", "apac>emea"), true},
		{"both have another", Edit, []string{"emea", "apac", "protocol=tls"}, entries(mesh.TCP, "emea>apac", "apac>emea"), false},
		{"both have it, and mesh.yaml does not", Edit, []string{"emea", "apac", "protocol=tls"}, entries(mesh.TLSProto, "emea>apac", "apac>emea"), false},
		{"only mesh.yaml has it", Edit, []string{"emea", "apac", "protocol=tcp"}, entries(mesh.TLSProto, "emea>apac", "apac>emea"), false},
		{"one has it, and the other was not read", Edit, []string{"emea", "apac", "protocol=tcp"}, entries(mesh.TCP, "emea>apac"), false},
		{"the entry has the address", Edit, []string{"emea", "apac", "address=imp-apac-pub"}, entries(mesh.TCP, "emea>apac"), true},
		{"only the other end's has", Edit, []string{"emea", "apac", "address=imp-apac-pub"}, entries(mesh.TCP, "apac>emea"), false},
		{"it has joined", Join, []string{"amer"}, entries(mesh.TCP, "emea>amer", "amer>emea", "apac>amer", "amer>apac"), true},
		{"it has joined but for one entry", Join, []string{"amer"}, entries(mesh.TCP, "emea>amer", "amer>emea", "apac>amer"), false},
	} {
		p, err := Make(Known{Mesh: m, Entries: c.entries, Now: noon}, "c4f2", Word{Kind: c.kind, Args: c.args, Actor: "ada", At: noon})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if (p.State == Done) != c.done {
			t.Errorf("%s: the plan is %s: %s", c.name, p.State, p.Why)
		}
		for _, s := range p.Steps {
			if _, there := c.entries[s.Pair]; s.Op == OpAddEntry && !c.done && (s.State == StepDone) != (there && c.entries[s.Pair].Protocol == mesh.TCP) {
				t.Errorf("%s: step %d, the entry of %s, is %s", c.name, s.N, s.Pair, s.State)
			}
		}
		if c.kind == Join && !c.done && (len(p.Pairs) != 2 || p.Pairs[0].From != "apac") {
			t.Errorf("%s: it is for %v", c.name, p.Pairs)
		}
	}
}

// TestAJoinOfTheThirtiethCluster: pair by pair, with the restarts of each window at its end.
func TestAJoinOfTheThirtiethCluster(t *testing.T) {
	m := world("14.0", thirty(mesh.MaxClusters)...)
	count := func(p *Plan, op Op) (n int) {
		for _, s := range p.Steps {
			if s.Op == op {
				n++
			}
		}
		return n
	}
	slowly := func(first time.Duration) *Plan {
		t.Helper()
		p, err := Make(Known{Mesh: m, FirstSync: map[mesh.ClusterID]time.Duration{"c30": first}, Now: noon}, "c4f2", Word{Kind: Join, Args: []string{"c30"}, Actor: "ada", At: noon})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := made(t, m, Join, "c30")
	if got := count(slowly(24*time.Hour), OpRouterDue); got != 30 {
		t.Errorf("without windows nothing hurries, and %d times it is asked whether routers are restarted", got)
	}
	if count(p, OpAddEntry) != 58 || count(p, OpRouterDue) != 30 || len(p.Pairs) != 58 || len(p.Steps) > MaxSteps {
		t.Errorf("without windows: %d entries, %d clusters of which the routers may be restarted, %d pairs, %d steps", count(p, OpAddEntry), count(p, OpRouterDue), len(p.Pairs), len(p.Steps))
	}
	m.Policy.Windows = []mesh.Window{{Kind: "allow", From: "22:00", To: "04:00", TimeZone: "UTC"}}
	p = made(t, m, Join, "c30")
	entries, most, batches := 0, 0, 0
	for _, s := range p.Steps {
		switch s.Op {
		case OpAddEntry:
			entries++
		case OpRouterDue:
			if entries > 0 {
				batches++
			}
			most, entries = max(most, entries), 0
		}
	}
	// The new cluster's two nodes take 40 min, a pair 10 for its entries, 30 for its first
	// full sync and 40 for the other's nodes: four pairs, of two entries each, are 6 h.
	if most != 8 || batches != 8 {
		t.Errorf("in nights of six hours: %d entries at most before restarts, %d times", most, batches)
	}
	if got := count(slowly(5*time.Hour), OpRouterDue); got != 58 {
		t.Errorf("first full syncs that take five hours: %d clusters to be looked at, want one pair a night", got)
	}
	m.Policy.Windows = []mesh.Window{{Kind: "deny", From: "00:00", To: "24:00", TimeZone: "UTC"}}
	if got := count(made(t, m, Join, "c30"), OpRouterDue); got != 58 {
		t.Errorf("windows that never open: %d clusters to be looked at, want those of one pair", got)
	}
}

// TestABellIsAnsweredOnce: of either side, for both clusters, and by one restart.
func TestABellIsAnsweredOnce(t *testing.T) {
	p := &Plan{Head: Head{ID: "c4f2", Kind: Join}}
	add := func(op Op, cluster mesh.ClusterID, pair string, yes bool) *Step {
		s := Step{N: len(p.Steps) + 1, Op: op, Cluster: cluster, State: StepDone}
		if pair != "" {
			s.Pair, _ = mesh.ParsePeerID(pair)
			s.Said = &Said{Verb: Answer, Actor: "ada", Yes: yes}
		}
		p.Steps = append(p.Steps, s)
		return &p.Steps[len(p.Steps)-1]
	}
	due := func(cluster mesh.ClusterID) bool {
		yes, _ := p.RouterDue(add(OpRouterDue, cluster, "", false))
		return yes
	}
	add(OpAskBell, "emea", "emea>latam", true)
	add(OpAskBell, "latam", "latam>emea", false)
	add(OpAskBell, "apac", "apac>latam", false)
	add(OpAskBell, "latam", "latam>apac", false)
	if !due("emea") || due("apac") || !due("latam") {
		t.Error("the page of emea asked: emea and latam are restarted, and apac is not")
	}
	add(OpAskBell, "amer", "amer>latam", false)
	add(OpAskBell, "latam", "latam>amer", false)
	if due("amer") || due("latam") {
		t.Error("nothing has asked since")
	}
	skipped := add(OpAskBell, "latam", "latam>amer", true)
	skipped.State = StepSkipped
	if due("latam") {
		t.Error("a question that was skipped asks for nothing")
	}
}

// TestOneRestartAtTheEndOfALeave: only if a person has chosen it.
func TestOneRestartAtTheEndOfALeave(t *testing.T) {
	p := made(t, world("12.5", "emea", "apac", "amer"), Leave, "amer")
	asked := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Op == OpAskEach })
	due := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Op == OpRouterDue })
	for _, c := range []struct {
		name string
		said *Said
		goes StepState
		want bool
		says string
	}{
		{"nobody has answered", nil, StepDone, false, "each connection has a restart of its own"},
		{"one for each", &Said{Verb: Answer, Actor: "ada", Yes: true}, StepDone, false, "each connection has a restart of its own"},
		{"one at the end", &Said{Verb: Answer, Actor: "ada"}, StepDone, true, "ada chose one restart for all connections"},
		{"the question was skipped", &Said{Verb: Skip, Actor: "ada"}, StepSkipped, false, "each connection has a restart of its own"},
	} {
		p.Steps[asked].Said, p.Steps[asked].State = c.said, c.goes
		if got, says := p.RouterDue(&p.Steps[due]); got != c.want || says != c.says {
			t.Errorf("%s: %v, %s", c.name, got, says)
		}
	}
}

// TestALeaveDisablesHighAvailabilityForItsRestartsAlone: once, or once for each window, never
// while another cluster is at work, and never while copies are waited for.
func TestALeaveDisablesHighAvailabilityForItsRestartsAlone(t *testing.T) {
	for _, c := range []struct {
		name     string
		clusters int
		windows  []mesh.Window
		want     []int // restarts of the cluster that leaves, each time
	}{
		{"two clusters", 2, nil, []int{1}},
		{"three clusters", 3, nil, []int{2}},
		{"thirty clusters, and no windows", 30, nil, []int{29}},
		// A deletion takes about 5 min, and a restart with all that is waited for 20.
		{"ten clusters, and nights of two hours", 10, []mesh.Window{{Kind: "allow", From: "22:00", To: "00:00", TimeZone: "UTC"}}, []int{4, 4, 1}},
		{"three clusters, and windows of a quarter of an hour", 3, []mesh.Window{{Kind: "allow", From: "22:00", To: "22:15", TimeZone: "UTC"}}, []int{1, 1}},
		{"a cluster that is the last", 1, nil, nil},
	} {
		m := world("12.5", thirty(c.clusters)...)
		m.Policy.Windows = c.windows
		var got []int
		off := map[mesh.ClusterID]bool{}
		each := 0
		for _, s := range made(t, m, Leave, "c01").Steps {
			switch {
			case s.Op == OpAskEach:
				each = s.N
			case s.Op == OpRouterDue:
				each = 0 // the one restart at the end, if that is chosen
			case s.Op == OpDisableHA:
				off[s.Cluster] = true
				if s.Cluster == "c01" && (each > 0 || c.clusters == 2) {
					got = append(got, 0)
				}
			case s.Op == OpEnableHA:
				off[s.Cluster] = false
			case s.Op == OpRestart && !off[s.Cluster]:
				t.Errorf("%s: step %d restarts %s with high availability on", c.name, s.N, s.Node)
			case s.Op == OpRestart && s.Cluster == "c01" && s.Of == each && (each > 0 || c.clusters == 2):
				got[len(got)-1]++
			case off["c01"] && (s.Cluster != "c01" || s.Op == OpVerifyGone || s.Op == OpMeshLines || s.Op == OpLeftovers):
				t.Errorf("%s: with high availability of c01 off, step %d is %s of %s", c.name, s.N, s.Op, s.Cluster)
			}
		}
		if !slices.Equal(got, c.want) || off["c01"] {
			t.Errorf("%s: high availability of c01 is off for %v restarts each time, want %v; at the end it is off: %v", c.name, got, c.want, off["c01"])
		}
	}
}

// TestAJoinThatIsLaidOut when its cluster stands in mesh.yaml, or cannot be.
func TestAJoinThatIsLaidOut(t *testing.T) {
	m := world("14.0", "emea", "apac", "amer")
	without := *m
	without.Clusters = m.Clusters[:2]
	without.Peers = slices.DeleteFunc(slices.Clone(m.Peers), func(p mesh.Peer) bool { return p.ID.From == "amer" || p.ID.To == "amer" })
	lonely := *m
	lonely.Peers = without.Peers
	p := made(t, &without, Join, "amer")
	if _, err := p.LayOut(Known{Mesh: &lonely, Now: noon}); err == nil || !strings.Contains(err.Error(), "pairs amer with no cluster") || len(p.Steps) != 2 || len(p.Pairs) != 4 {
		t.Errorf("mesh.yaml lists it without pairs: %v; %s", err, outline(p))
	}
	there := map[mesh.PeerID]peer.Entry{}
	for _, peered := range m.Peers {
		there[peered.ID] = peer.Entry{Address: "imp-" + string(peered.ID.To) + "-pub", Protocol: mesh.TCP}
	}
	nothing, err := p.LayOut(Known{Mesh: m, Entries: there, Now: noon})
	if err != nil || nothing != "every cluster that mesh.yaml pairs amer with has its entry for it, and it theirs; read: emea names imp-amer-pub over TCP; amer names imp-emea-pub over TCP; apac names imp-amer-pub over TCP; amer names imp-apac-pub over TCP" || len(p.Steps) != 2 || len(p.Pairs) != 0 {
		t.Errorf("all entries are there: %q, %v; %s", nothing, err, outline(p))
	}
	p = made(t, &without, Join, "amer")
	nothing, err = p.LayOut(Known{Mesh: m, Now: noon})
	if got := outline(p); nothing != "" || err != nil || !strings.HasPrefix(got, "meshLines amer, layOut amer, preflight amer, syncAgent amer, duplicates amer, ") || !strings.Contains(got, "addEntry apac>amer") || p.Head.Steps != len(p.Steps) || p.Steps[2].N != 3 {
		t.Errorf("%q, %v; %s", nothing, err, got)
	}
}

// TestAClusterWhoseReleaseIsUnknownIsNotParted: which of them it is.
func TestAClusterWhoseReleaseIsUnknownIsNotParted(t *testing.T) {
	for _, unknown := range []int{0, 1} {
		m := world("12.5", "emea", "apac")
		m.Clusters[unknown].Release = ""
		for kind, args := range map[Kind][]string{Leave: {"emea"}, Delete: {"emea", "apac"}} {
			_, err := Make(Known{Mesh: m, Now: noon}, "c4f2", Word{Kind: kind, Args: args})
			if err == nil || !strings.Contains(err.Error(), "the release of "+string(m.Clusters[unknown].ID)+" is not known") {
				t.Errorf("%s, %s: %v", kind, m.Clusters[unknown].ID, err)
			}
		}
	}
}

// TestTheLinesForMeshYAML: what a person puts into the file.
func TestTheLinesForMeshYAML(t *testing.T) {
	full := world("14.0", "emea", "apac", "amer")
	pairs := world("14.0", "emea", "apac", "amer")
	pairs.Topology = ""
	apart := *pairs
	apart.Peers = slices.DeleteFunc(slices.Clone(pairs.Peers), func(p mesh.Peer) bool { return p.ID.From == "amer" || p.ID.To == "amer" })
	lines := func(m *mesh.Mesh, kind Kind, args ...string) string {
		p := made(t, m, kind, args...)
		for _, s := range p.View(m).Steps {
			if s.Lines != "" {
				return s.Lines
			}
		}
		return ""
	}
	for _, c := range []struct {
		name, got string
		want      []string
		never     string
	}{
		{"a cluster joins a full mesh", lines(full, Join, "latam", "publisher=imp-latam-pub.example.com:8443"), []string{"id: latam", "publisher: imp-latam-pub.example.com ", `address: "imp-latam-pub.example.com:8443"`}, "pairs:"},
		{"a cluster joins listed pairs", lines(pairs, Join, "latam"), []string{"[emea, latam]", "[apac, latam]", "[amer, latam]"}, ""},
		{"a pair is added", lines(&apart, Add, "emea", "amer"), []string{"- [emea, amer]"}, "apac"},
		{"a pair of a full mesh ends", lines(full, Delete, "emea", "apac"), []string{"in place of topology: full-mesh", "[emea, amer]", "[apac, amer]"}, "- [emea, apac]"},
		{"a listed pair ends", lines(pairs, Delete, "emea", "apac"), []string{"without [emea, apac]"}, "full-mesh"},
		{"a pair goes TLS", lines(full, Edit, "emea", "apac", "protocol=tls"), []string{"{pair: [emea, apac], protocol: tls}"}, ""},
		{"a cluster leaves", lines(pairs, Leave, "amer"), []string{"id: amer", "every pair that names amer"}, ""},
		{"a cluster leaves a full mesh", lines(full, Leave, "amer"), []string{"id: amer", "except: without the lines that name amer"}, "pairs:"},
		{"a cluster joins by a publisher that nobody has named", lines(full, Join, "latam"), []string{"publisher: PUBLISHER #", "- {name: PUBLISHER}"}, "address"},
		{"the only pair ends", lines(world("14.0", "emea", "apac"), Delete, "emea", "apac"), []string{"pairs: [] # there is no other"}, "- ["},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.got, want) {
				t.Errorf("%s: lacks %q:\n%s", c.name, want, c.got)
			}
		}
		if c.never != "" && strings.Contains(c.got, c.never) {
			t.Errorf("%s: has %q:\n%s", c.name, c.never, c.got)
		}
	}
}

// TestPairStepsSayWhatTheyAre: as the others do, and of no step a person would have to
// guess.
func TestPairStepsSayWhatTheyAre(t *testing.T) {
	m := world("12.5", "emea", "apac", "amer")
	for _, p := range []*Plan{
		made(t, m, Add, "emea", "apac"), made(t, m, Edit, "emea", "apac", "protocol=tls"), made(t, m, Edit, "emea", "apac", "address=imp-apac-pub"),
		made(t, m, Delete, "emea", "apac"), made(t, m, Join, "latam", "publisher=imp-latam-pub"), made(t, m, Join, "amer"), made(t, m, Leave, "amer"), made(t, m, RotateCredentials, "emea"),
	} {
		v := p.View(m)
		if strings.Contains(v.Title, "?") || !plain.Clean(v.Title) {
			t.Errorf("%s: %q", p.Kind, v.Title)
		}
		for _, s := range v.Steps {
			if s.Title == "" || s.Why == "" || s.Proof == "" || s.Interrupts == "" || s.Kind == Manual && s.How == nil || strings.Contains(fmt.Sprint(s), "%!") {
				t.Errorf("%s step %d: %+v", p.Kind, s.N, s)
			}
		}
	}
}

// TestWhatAPlanHolds: a plan that waits says what it keeps as it should not stay.
func TestWhatAPlanHolds(t *testing.T) {
	m := acme(mesh.Recover)
	p := made(t, m, RestartRouter, "emea")
	p.State = Waiting
	holds := func(at int, state StepState) string {
		for i := range p.Steps {
			p.Steps[i].State = StepDone
			if i+1 > at {
				p.Steps[i].State = StepPending
			}
		}
		p.Steps[at-1].State = state
		return p.Entry().Holds
	}
	const disabled = "high availability of emea is still disabled (step 12 enables it)"
	for _, c := range []struct {
		name  string
		at    int
		state StepState
		want  string
	}{
		{"the question", 2, StepWaiting, ""},
		{"the first approval", 4, StepWaiting, disabled},
		{"the group does not settle", 5, StepWaiting, disabled + "; repairs of emea are held"},
		{"high availability is to be enabled again", 12, StepWaiting, disabled},
	} {
		if got := holds(c.at, c.state); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
