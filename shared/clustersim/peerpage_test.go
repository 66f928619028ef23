package clustersim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

// One cluster of three has no peers, and mesh.yaml does not know it.
func newApartRig(t *testing.T) *rig { return newRig(t, Config{Clusters: 3, Apart: 1, Users: 40}) }

// join makes both entries of a pair, as a person does who makes no mistake.
func (r *rig) join(a, b string) {
	r.t.Helper()
	r.change(a, Peers{Peer: b, Present: new(true)})
	r.change(b, Peers{Peer: a, Present: new(true)})
}

// listed are the nodes of another cluster that a cluster has heard of.
func (r *rig) listed(publisher, of string) int {
	r.t.Helper()
	return len(r.query(publisher, "SELECT name FROM enterprisenode WHERE name LIKE 'imp-"+of+"-%'").rows())
}

func TestAClusterThatIsApartHasNoPeersUntilSomebodyMakesEntries(t *testing.T) {
	r := newApartRig(t)
	if n := len(r.state("amer").Peers) + r.copies("amer", "emea") + r.copies("emea", "amer") + r.listed(amerPub, "emea") + r.listed(emeaPub, "amer"); n != 0 {
		t.Errorf("amer and the others know of each other: %d peers, users and nodes", n)
	}
	if got := r.copies("emea", "apac"); got != 40 || len(r.state("emea").Peers) != 1 {
		t.Errorf("the others have %d peers and %d copies", len(r.state("emea").Peers), got)
	}
	r.join("emea", "amer")
	r.run(time.Minute)
	for _, id := range []string{"emea>amer", "amer>emea"} {
		if p := r.peer(id); p.LastError != "" || p.LastSynchronized == nil || p.AssociatedUsers != 40 || p.FirstFull {
			t.Errorf("%s after a minute: %+v", id, p)
		}
	}
	if r.copies("amer", "emea") != 40 || r.listed(amerPub, "emea") != 2 || r.listed(emeaPub, "amer") != 2 || r.listed(amerPub, "apac") != 0 {
		t.Error("copies and nodes have come of the one peer only")
	}
	r.run(3 * time.Hour)
	if c := r.state("amer"); c.ICSASelfRestarts != 0 || r.copies("amer", "emea") != 40 {
		t.Errorf("ICSA restarted itself %d times, %d copies", c.ICSASelfRestarts, r.copies("amer", "emea"))
	}
}

func TestFilesOfAMeshWithAClusterApart(t *testing.T) {
	files, err := newApartRig(t).Files("")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(files["mesh.yaml"]), "amer") || !strings.Contains(string(files["apart.yaml"]), "publisher: "+amerPub) || strings.Contains(string(files["apart.yaml"]), "apac") {
		t.Errorf("mesh.yaml:\n%s\napart.yaml:\n%s", files["mesh.yaml"], files["apart.yaml"])
	}
	if !strings.Contains(string(files["secrets.json"]), "amer/read") {
		t.Error("amer's accounts are missing from secrets.json")
	}
	whole, err := newRig(t, Config{Users: 1}).Files("")
	if _, there := whole["apart.yaml"]; there || err != nil {
		t.Errorf("apart.yaml of a mesh without such a cluster, %v", err)
	}
}

// What goes wrong on the page Inter-Clustering, and what is seen of it at both ends
// after half an hour.
func TestMistakesOfPeopleOnThePageInterClustering(t *testing.T) {
	const good = "40 users"
	wrongPassword := "AuthenticationFailed: HTTP 401"
	for name, c := range map[string]struct {
		emea, amer      []Peers
		toAmer, toEmea  string // "40 users", the beginning of an error, or "no entry"
		protocolOfFirst string
	}{
		"the name of the subscriber instead of the publisher's": {
			[]Peers{{Peer: "amer", Present: new(true), Address: new("imp-amer-sub.example.com")}}, []Peers{{Peer: "emea", Present: new(true)}},
			"NotReachable: imp-amer-sub.example.com", good, "tcp"},
		"a bare name where the node's is an FQDN": {
			[]Peers{{Peer: "amer", Present: new(true), Address: new("imp-amer-pub")}}, []Peers{{Peer: "emea", Present: new(true)}},
			"NotReachable: imp-amer-pub:", good, "tcp"},
		"a wrong name, and then the right one": {
			[]Peers{{Peer: "amer", Present: new(true), Address: new("imp-amer-pub")}, {Peer: "amer", Address: new(amerPub)}}, []Peers{{Peer: "emea", Present: new(true)}},
			good, good, "tcp"},
		"a wrong password": {
			[]Peers{{Peer: "amer", Present: new(true), Password: new("typo")}}, []Peers{{Peer: "emea", Present: new(true)}},
			wrongPassword, good, "tcp"},
		"a wrong user name": {
			[]Peers{{Peer: "amer", Present: new(true), Username: new("administrator")}}, []Peers{{Peer: "emea", Present: new(true)}},
			wrongPassword, good, "tcp"},
		"TLS on one side only: users are synced all the same": {
			[]Peers{{Peer: "amer", Present: new(true), Protocol: new("tls")}}, []Peers{{Peer: "emea", Present: new(true)}},
			good, good, "tls"},
		"the second side is forgotten": {
			[]Peers{{Peer: "amer", Present: new(true)}}, nil, good, "no entry", "tcp"},
		"deleted on one side only": {
			[]Peers{{Peer: "amer", Present: new(true)}}, []Peers{{Peer: "emea", Present: new(true)}, {Peer: "emea", Present: new(false)}}, good, "no entry", "tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newApartRig(t)
			for cluster, made := range map[string][]Peers{"emea": c.emea, "amer": c.amer} {
				for _, entry := range made {
					r.change(cluster, entry)
				}
			}
			r.run(30 * time.Minute)
			for _, end := range [][3]string{{"emea", "amer", c.toAmer}, {"amer", "emea", c.toEmea}} {
				found, want := "no entry", end[2]
				for _, p := range r.state(end[0]).Peers {
					if p.ID == end[1] {
						if found = p.LastError; found == "" {
							found = fmt.Sprintf("%d users", p.AssociatedUsers)
						}
					}
				}
				if !strings.HasPrefix(found, want) {
					t.Errorf("%s>%s shows %q, want %q", end[0], end[1], found, want)
				}
				if copies := r.copies(end[0], end[1]); (copies == 40) != (want == good) || copies != 40 && copies != 0 {
					t.Errorf("%s>%s: %d copies", end[0], end[1], copies)
				}
			}
			if got := r.peer("emea>amer").Protocol; got != c.protocolOfFirst {
				t.Errorf("protocol %s", got)
			}
		})
	}
}

func TestARotatedPasswordIsRefusedUntilEachEntryHasIt(t *testing.T) {
	r := newRig(t, Config{Users: 10})
	r.run(time.Hour)
	r.change("amer", Credentials{Account: "intercluster", Password: new("new-one")})
	r.run(35 * time.Minute)
	for id, refused := range map[string]bool{"emea>amer": true, "apac>amer": true, "amer>emea": false, "amer>apac": false, "emea>apac": false} {
		if got := strings.HasPrefix(r.peer(id).LastError, "AuthenticationFailed"); got != refused {
			t.Errorf("%s: refused %v, want %v", id, got, refused)
		}
	}
	r.change("emea", Peers{Peer: "amer", Password: new("new-one")})
	r.change("apac", Peers{Peer: "amer", Password: new("the old one")})
	r.run(6 * time.Minute)
	if one, other := r.peer("emea>amer").LastError, r.peer("apac>amer").LastError; one != "" || other == "" {
		t.Errorf("with the new password %q, with another %q", one, other)
	}
}

// A person who tries the account before entering it sees what ICSA will.
func TestTheInterclusterAccountLogsInByAXL(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	const version = "getCCMVersion"
	if got := r.axlCall(amerPub, version, "", intercluster); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.axlCall(amerPub, "executeSQLUpdate", "<sql>UPDATE enduser SET mailid = ''</sql>", intercluster); got.status == 200 {
		t.Error("it may write")
	}
	old := r.account("amer", intercluster)
	r.change("amer", Credentials{Account: intercluster, Password: new("new-one")})
	r.cluster("amer").accounts["old"] = old
	if got := r.axlCall(amerPub, version, "", "old"); got.status != 401 {
		t.Errorf("with the old password: %d", got.status)
	}
}

func TestTheBellAsksForARouterRestartWhenAnEntryChanges(t *testing.T) {
	for name, change := range map[string]Peers{
		"added":    {Peer: "amer", Present: new(true)},
		"deleted":  {Peer: "apac", Present: new(false)},
		"protocol": {Peer: "apac", Protocol: new("tls")},
		"address":  {Peer: "apac", Address: new(apacPub)},
		"password": {Peer: "apac", Password: new("typo")},
	} {
		t.Run(name, func(t *testing.T) {
			r := newApartRig(t)
			rings := func() bool { return r.state("emea").PendingNotification }
			r.change("emea", change)
			if rings() {
				t.Error("it asks although nobody said that it does")
			}
			r = newApartRig(t)
			r.change("emea", Notification{OnChange: new(true)})
			if rings() {
				t.Error("it asks before anything has changed")
			}
			r.change("emea", change)
			if !rings() || r.state("apac").PendingNotification {
				t.Error("it asks on the cluster whose page it is, and there only")
			}
			for _, node := range []string{emeaPub, emeaSub} {
				r.change("emea", Services{Node: node, Service: serviceRouter, Status: "Restart"})
				r.advance(time.Minute)
			}
			if rings() {
				t.Error("it still asks after a restart on every node")
			}
		})
	}
}

func TestTheFirstFullSyncOfANewEntryTakesItsTime(t *testing.T) {
	r := newApartRig(t)
	r.change("emea", Sync{FirstFull: new("4h")})
	r.join("emea", "amer")
	r.run(time.Minute)
	if p := r.peer("amer>emea"); p.FirstFull || p.AssociatedUsers != 40 {
		t.Errorf("the other end is not done by its users: %+v", p)
	}
	had := 0
	for range 7 {
		p, copies := r.peer("emea>amer"), r.copies("emea", "amer")
		if !p.FirstFull || p.LastSynchronized != nil || p.LastError != "" || copies != p.AssociatedUsers || copies <= had || copies > 40 {
			t.Errorf("at %s: %+v, %d copies after %d", r.now().Format(time.TimeOnly), p, copies, had)
		}
		had = copies
		r.run(30 * time.Minute)
	}
	if strings.Contains(r.logOf(emeaPub), "PeriodicSyncingFailure") || r.state("emea").ICSASelfRestarts != 0 {
		t.Error("ICSA takes a first full sync for one that has stopped")
	}
	r.change("amer", Users{Add: 5})
	r.run(30 * time.Minute)
	if p := r.peer("emea>amer"); p.FirstFull || p.LastSynchronized == nil || p.AssociatedUsers != 45 || r.copies("emea", "amer") != 45 {
		t.Errorf("at its end: %+v, %d copies", p, r.copies("emea", "amer"))
	}
	if !strings.Contains(r.logOf(emeaPub), "[remotePeerAddress="+amerPub+"][AppID=Cisco Intercluster Sync Agent][ClusterID=][NodeID=imp-emea-pub]: Periodic sync completed") {
		t.Error("its success is not logged")
	}
}

func TestARestartOfICSABeginsTheFirstFullSyncAgain(t *testing.T) {
	r := newApartRig(t)
	r.change("emea", Sync{FirstFull: new("40m")})
	r.join("emea", "amer")
	r.run(36 * time.Minute)
	before := r.copies("emea", "amer")
	r.change("emea", Services{Node: emeaPub, Service: serviceICSA, Status: "Restart"})
	r.run(6 * time.Minute)
	if after := r.copies("emea", "amer"); before < 30 || after >= before || !r.peer("emea>amer").FirstFull {
		t.Errorf("%d copies before the restart, %d after it", before, after)
	}
	r.run(36 * time.Minute)
	if p := r.peer("emea>amer"); p.FirstFull || r.copies("emea", "amer") != 40 {
		t.Errorf("%+v", p)
	}
}

func TestAnEntryMadeBeforeSyncAgentHasCompletedIsFailed(t *testing.T) {
	r := newApartRig(t)
	r.change("amer", Sync{Completed: new(false)})
	r.join("emea", "amer")
	r.run(time.Hour)
	for _, id := range []string{"emea>amer", "amer>emea"} {
		if p := r.peer(id); !strings.HasPrefix(p.LastError, "Failed: Cisco Sync Agent on "+amerPub) || p.LastSynchronized != nil || p.AssociatedUsers != 0 {
			t.Errorf("%s: %+v", id, p)
		}
	}
	if p := r.peer("emea>apac"); p.LastError != "" {
		t.Errorf("a peer of before: %+v", p)
	}
	r.change("amer", Sync{Completed: new(true)})
	r.run(6 * time.Minute)
	for _, id := range []string{"emea>amer", "amer>emea"} {
		if p := r.peer(id); p.LastError != "" || p.AssociatedUsers != 40 {
			t.Errorf("%s: %+v", id, p)
		}
	}
}

// What other tests and scenarios were written for: of one seed, every row, user and
// password is what it has always been.
func TestASeedGivesTheMeshThatItAlwaysGave(t *testing.T) {
	r := newRig(t, Config{Clusters: 4, Users: 30, Seed: 7})
	r.change("emea", Peers{Peer: "apac", Mode: new(ModeStuck), SelfHeals: new(true)})
	r.change("apac", Users{Add: 7})
	r.run(4 * time.Hour)
	sum := sha256.New()
	for _, id := range []string{"emea", "apac", "amer", "c04"} {
		publisher := "imp-" + id + "-pub.example.com"
		for _, table := range []string{"enduser", "cupsinterclusterpeers", "enterprisenode", "processnode", "processconfig", "applicationuser"} {
			fmt.Fprintln(sum, r.query(publisher, "SELECT * FROM "+table).body)
		}
		for _, kind := range []string{"read", "write", "platform", "platform-write"} {
			fmt.Fprintln(sum, *r.account(id, kind))
		}
	}
	if got, want := hex.EncodeToString(sum.Sum(nil)), "6ec348bda4760ca07c595b063fa12f8d961c9e68a70126188273891c6743c4ca"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
