package cluster_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// view is what both clusters' digests, read now, amount to.
func (r *rig) view(ids ...mesh.ClusterID) *peer.View {
	r.t.Helper()
	now := r.Clock.Now()
	v := peer.Facts{Now: now, Tick: 5 * time.Minute, Mesh: r.Mesh, Clusters: map[mesh.ClusterID]*peer.ClusterRecord{}, Buckets: map[mesh.ClusterID]peer.Fact[peer.Buckets]{}}
	for _, id := range ids {
		c, _ := r.Mesh.Cluster(id)
		o := r.look(id)
		rec := peer.Advance(peer.ClusterRecord{}, o, c)
		v.Buckets[id] = r.client(id).Buckets(r.t.Context(), r.Mesh.Owner, now)
		rec.UserSet = r.client(id).Set(r.t.Context(), r.Mesh.Owner, r.Mesh.Domain, now, nil)
		if !v.Buckets[id].Known() || !rec.UserSet.Known() {
			r.t.Fatalf("%s: buckets %+v, set %+v", id, v.Buckets[id].Reason, rec.UserSet)
		}
		v.Clusters[id] = &rec
	}
	return v.View()
}

var pulled = mesh.PeerID{From: "emea", To: "apac"}

// TestTiersNameExactlyWhoDiffers: the buckets find where, the rows of those
// buckets find who.
func TestTiersNameExactlyWhoDiffers(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 120, AnswerBudget: 6 << 10}, false)
	r.Pass(35 * time.Minute)
	v := r.view("emea", "apac")
	if diff, ok := v.BucketsDiffer(pulled, time.Hour); !ok || len(diff) != 0 {
		t.Errorf("copied, and yet buckets %v differ (%v)", diff, ok)
	}
	if same, ok := v.SetsEqual(pulled); !ok || !same {
		t.Errorf("copied, and yet the sets are not equal (%v %v)", same, ok)
	}
	apac, _ := r.Mesh.Cluster("apac")
	all := func(id mesh.ClusterID) []string {
		ids, whole := r.client(id).Named(t.Context(), apac, nil, r.Clock.Now())
		if !whole.Known() {
			t.Fatalf("%s: %+v", id, whole)
		}
		return slices.Sorted(maps.Keys(ids))
	}
	before := all("apac")
	if len(before) != 120 {
		t.Fatalf("%d users read, want 120", len(before))
	}
	r.Change("apac", clustersim.Users{Add: 3})
	r.Change("apac", clustersim.Users{Remove: 3}) // others may go than came
	r.Change("apac", clustersim.Users{Add: 4})
	after, copied := all("apac"), all("emea")
	var missing []string
	for _, id := range after {
		if !slices.Contains(copied, id) {
			missing = append(missing, id)
		}
	}
	v = r.view("emea", "apac")
	buckets, ok := v.BucketsDiffer(pulled, time.Hour)
	if !ok || len(buckets) == 0 {
		t.Fatalf("four users more, and the buckets say %v (%v)", buckets, ok)
	}
	atHome, fh := r.client("apac").Named(t.Context(), apac, buckets, r.Clock.Now())
	atCopy, fc := r.client("emea").Named(t.Context(), apac, buckets, r.Clock.Now())
	if !fh.Known() || !fc.Known() {
		t.Fatalf("not whole: %+v %+v", fh, fc)
	}
	var named []string
	for id := range atHome {
		if _, there := atCopy[id]; !there {
			named = append(named, id)
		}
	}
	slices.Sort(named)
	if !slices.Equal(named, missing) || len(named) == 0 {
		t.Errorf("named %v, want exactly %v", named, missing)
	}
	if len(atHome) >= len(after) {
		t.Errorf("naming %d users read all %d of them, not the buckets %v alone", len(named), len(atHome), buckets)
	}
	for _, id := range []mesh.ClusterID{"emea", "apac"} {
		if w := r.Cluster(id).Writes; w != 0 {
			t.Errorf("the read account wrote %d times on %s", w, id)
		}
	}
}

func TestOthersForTheSameNumber(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 60}, false)
	r.Pass(35 * time.Minute)
	r.Change("emea", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeDeaf)})
	r.Change("apac", clustersim.Users{Remove: 2})
	r.Pass(time.Minute)
	r.Change("apac", clustersim.Users{Add: 2})
	v := r.view("emea", "apac")
	apac, _ := r.Mesh.Cluster("apac")
	home, copied := v.Clusters["apac"].UsersOf(apac).Value, v.Clusters["emea"].UsersOf(apac).Value
	if home != copied {
		t.Fatalf("%d at home, %d copied: the case wants equal counts", home, copied)
	}
	if same, ok := v.SetsEqual(pulled); !ok || same {
		t.Errorf("two users were replaced and the sets are called equal (%v)", ok)
	}
	if diff, ok := v.BucketsDiffer(pulled, time.Hour); !ok || len(diff) == 0 {
		t.Errorf("two users were replaced and no bucket differs (%v)", ok)
	}
}

// TestTheStreamIsWhole: page sizes are learned from the size fault, and users
// who come while it runs make it Partial.
func TestTheStreamIsWhole(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 400, AnswerBudget: 8 << 10}, false)
	r.Pass(35 * time.Minute)
	read := func(during func(row int)) (int, peer.Fact[map[string]bool]) {
		seen := map[string]bool{}
		rows := 0
		got, _ := r.client("emea").Users(t.Context(), cluster.Filter{}, r.Clock.Now(), func(u cluster.User) error {
			rows++
			seen[strings.ToLower(u.ID)+"@"+string(u.Node)] = true
			if during != nil {
				during(rows)
			}
			return nil
		})
		return rows, peer.Fact[map[string]bool]{Knowledge: got.Knowledge, Reason: got.Reason, Value: seen}
	}
	rows, first := read(nil)
	if !first.Known() || rows != 800 || len(first.Value) != 800 {
		t.Fatalf("%d rows, %d users, %s %s; want 800 once each", rows, len(first.Value), first.Knowledge, first.Reason)
	}
	before, _, _ := r.Load("emea")
	if rows, again := read(nil); !again.Known() || rows != 800 {
		t.Errorf("read again: %d rows, %s", rows, again.Knowledge)
	}
	all, _, _ := r.Load("emea")
	if pages := all - before - 2; pages < 4 || pages > 100 {
		t.Errorf("%d pages for 800 rows at 8 KB an answer", pages)
	}
	_, added := read(func(row int) {
		if row == 100 {
			r.Change("emea", clustersim.Users{Add: 3})
		}
	})
	if added.Known() || added.Knowledge != peer.PartialFact {
		t.Errorf("users came while it ran, and the stream is %s", added.Knowledge)
	}
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultTruncate, When: clustersim.After, Times: 2})
	if _, cut := read(nil); cut.Known() {
		t.Error("a stream that was cut is called whole")
	}
	r.ClearFaults()
	if set := r.client("emea").Set(t.Context(), r.Mesh.Owner, r.Mesh.Domain, r.Clock.Now(), nil); !set.Known() || set.Value["emea"].Users != 403 {
		t.Errorf("afterwards the set is %s with %d users, want 403", set.Knowledge, set.Value["emea"].Users)
	}
}

func TestFindAUser(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
	r.Pass(35 * time.Minute)
	apac, _ := r.Mesh.Cluster("apac")
	ids, _ := r.client("apac").Named(t.Context(), apac, nil, r.Clock.Now())
	for _, id := range ids {
		for _, at := range []mesh.ClusterID{"apac", "emea"} {
			got, err := r.client(at).Find(t.Context(), strings.ToUpper(id))
			if err != nil || len(got) != 1 {
				t.Fatalf("%s on %s: %v, %v", id, at, got, err)
			}
			if owner, ok := r.Mesh.Owner(got[0].Node); !ok || owner != "apac" {
				t.Errorf("%s on %s is said to live on %s", id, at, got[0].Node)
			}
		}
		break
	}
	if got, err := r.client("emea").Find(t.Context(), "o'nobody"); err != nil || len(got) != 0 {
		t.Errorf("nobody found: %v, %v", got, err)
	}
}

// TestItemsOfTheLargestMesh: what is kept of one of thirty clusters of 75,000
// users fits items of 400 KB, whatever their user IDs look like.
func TestItemsOfTheLargestMesh(t *testing.T) {
	cluster, buckets := largestItems(t)
	for name, size := range map[string]int{"CLUSTER": cluster, "BUCKETS": buckets} {
		if size > 400<<10*3/4 {
			t.Errorf("the %s item of 30 clusters x 75,000 users is %d bytes", name, size)
		} else {
			t.Logf("the %s item of 30 clusters x 75,000 users is %d bytes", name, size)
		}
	}
}

func largestItems(t testing.TB) (cluster, digests int) {
	t.Helper()
	m := &mesh.Mesh{Name: "acme"}
	users := map[mesh.NodeName]int{}
	buckets := peer.Buckets{}
	set := map[mesh.ClusterID]peer.SetDigest{}
	var entries []peer.Entry
	now := simtest.Start()
	for i := range mesh.MaxClusters {
		id := mesh.ClusterID(fmt.Sprintf("cluster-%02d", i))
		c := mesh.Cluster{ID: id, Publisher: mesh.NodeName(fmt.Sprintf("imp-cluster-%02d-pub.collaboration.example.com", i))}
		for n := range 6 {
			name := c.Publisher
			if n > 0 {
				name = mesh.NodeName(fmt.Sprintf("imp-cluster-%02d-sub%d.collaboration.example.com", i, n))
			}
			c.Nodes = append(c.Nodes, mesh.Node{Name: name})
			users[name] = 12500
		}
		m.Clusters = append(m.Clusters, c)
		byKey := map[string]peer.Bucket{}
		for _, k := range "abcdefghijklmnopqrstuvwxyz0123456789-_." {
			byKey[string(k)] = peer.Bucket{Users: 1923, Weight: 61534, Low: "#0123456789abcd", High: "#0123456789abcd"}
		}
		buckets[id] = peer.DigestOf(byKey)
		set[id] = peer.SetDigest{Users: 75000, Sum: strings.Repeat("0123456789abcdef", 2)}
		entries = append(entries, peer.Entry{Address: string(c.Publisher), Protocol: mesh.TCP, LastSync: now, HasClock: true, HasError: true})
	}
	rec := peer.ClusterRecord{UserSet: peer.Known(set, now)}
	for i := range 600 {
		at := now.Add(time.Duration(i) * 5 * time.Minute)
		rec.Home = append(rec.Home, peer.HomeValue{Users: 75000 + i, From: at, To: at})
	}
	rec.Seen = peer.Observation{At: now, Users: peer.Known(users, now), Entries: peer.Known(entries, now), Nodes: map[mesh.NodeName]peer.Node{}}
	for _, n := range m.Clusters[0].Nodes {
		services := map[string]peer.Service{}
		for _, s := range []string{peer.ICSA, peer.SyncAgent, peer.AXL, peer.XCPRouter, peer.SIPProxy, peer.SRM} {
			services[s] = peer.Service{Status: "Started", UpTime: 1000 * time.Hour}
		}
		rec.Seen.Nodes[n.Name] = peer.Node{Services: peer.Known(services, now), Parameters: peer.Known(map[string]string{"sync_interval": "30"}, now)}
	}
	return encoded(t, rec), encoded(t, peer.BucketRecord{Buckets: peer.Known(buckets, now)})
}

func encoded[T any](t testing.TB, rec T) int {
	t.Helper()
	it, err := store.NewDoc(store.Key{PK: store.Live("acme"), SK: "any"}, 1, rec).Item()
	if err != nil {
		t.Fatal(err)
	}
	return len(it.Body)
}

func BenchmarkLargestItems(b *testing.B) {
	cluster, digests := 0, 0
	for b.Loop() {
		cluster, digests = largestItems(b)
	}
	b.ReportMetric(float64(cluster), "cluster-bytes")
	b.ReportMetric(float64(digests), "buckets-bytes")
}

// TestUsersOfNobodysNodesAreNotCounted: a node that mesh.yaml does not name is of
// no cluster, and its users are no reason to doubt the others'.
func TestUsersOfNobodysNodesAreNotCounted(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
	r.Pass(35 * time.Minute)
	only := func(n mesh.NodeName) (mesh.ClusterID, bool) {
		id, ok := r.Mesh.Owner(n)
		return id, ok && id == "emea"
	}
	client, now := r.client("emea"), r.Clock.Now()
	if got := client.Buckets(t.Context(), only, now); !got.Known() || len(got.Value) != 1 || got.Value["emea"].Users != 20 {
		t.Errorf("digests: %+v", got)
	}
	if got := client.Set(t.Context(), only, "", now, nil); !got.Known() || len(got.Value) != 1 || got.Value["emea"].Users != 20 {
		t.Errorf("set: %+v", got)
	}
}

// TestHomeUsersOfAnotherDomainAreCounted: those of this cluster; a copy's domain is
// its home's affair.
func TestHomeUsersOfAnotherDomainAreCounted(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
	r.Pass(35 * time.Minute)
	for _, c := range []struct {
		name, domain string
		others       []string
		foreign      int
	}{
		{"the mesh's own", r.Mesh.Domain, nil, 0},
		{"another", "elsewhere.example.org", nil, 20},
		{"another, and the cluster has the users' one too", "elsewhere.example.org", []string{r.Mesh.Domain}, 0},
		{"none is declared", "", nil, 0},
	} {
		got := r.client("emea").Set(t.Context(), r.Mesh.Owner, c.domain, r.Clock.Now(), nil, c.others...)
		if !got.Known() || got.Value["emea"].Foreign != c.foreign || got.Value["apac"].Foreign != 0 {
			t.Errorf("domain %s: %+v", c.name, got)
		}
	}
}

// TestUsersThatCannotBeReadAreUnknown: not none.
func TestUsersThatCannotBeReadAreUnknown(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
	r.Pass(35 * time.Minute)
	client, now := r.client("emea"), r.Clock.Now()
	emea := r.declared("emea")
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultSOAP, Times: -1})
	if got := client.Buckets(t.Context(), r.Mesh.Owner, now); got.Known() || got.Why() != peer.QueryRefused {
		t.Errorf("digests: %+v", got)
	}
	if got := client.Set(t.Context(), r.Mesh.Owner, "", now, nil); got.Known() || got.Why() != peer.QueryRefused || len(got.Value) != 0 {
		t.Errorf("set: %+v", got)
	}
	if ids, got := client.Named(t.Context(), emea, []string{"a"}, now); got.Known() || got.Why() != peer.QueryRefused || len(ids) != 0 {
		t.Errorf("named: %v, %+v", ids, got)
	}
	if got, err := client.Find(t.Context(), "anybody"); err == nil || len(got) != 0 {
		t.Errorf("found: %v, %v", got, err)
	}
}

// TestACountThatFailsAfterTheStreamMakesItPartial: whether users came meanwhile is
// then not known.
func TestACountThatFailsAfterTheStreamMakesItPartial(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
	r.Pass(35 * time.Minute)
	row := 0
	got, err := r.client("emea").Users(t.Context(), cluster.Filter{}, r.Clock.Now(), func(cluster.User) error {
		if row++; row == 1 {
			r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultSOAP, Times: -1})
		}
		return nil
	})
	if err == nil || got.Knowledge != peer.PartialFact || got.Why() != peer.QueryRefused || got.Value.Rows != 40 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestABucketWithoutANumberIsNotCounted: neither of its users nor of their letters.
func TestABucketWithoutANumberIsNotCounted(t *testing.T) {
	for _, column := range []string{"COUNT(*) AS users", "SUM(LENGTH(u.userid)) AS weight"} {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
		r.Dialect = cluster.NewDialect(nil)
		_, name, _ := strings.Cut(column, " AS ")
		other := &otherColumn{next: r.Connector.Transport, column: column, instead: "'many' AS " + name}
		r.Connector.Transport = other
		if got := r.client("emea").Buckets(t.Context(), r.Mesh.Owner, r.Clock.Now()); got.Known() || got.Why() == peer.QueryRefused || other.asked != 1 {
			t.Errorf("%s, asked for %d times: %+v", column, other.asked, got)
		}
	}
}

// TestAUserIsFoundWithWhatThePageShows.
func TestAUserIsFoundWithWhatThePageShows(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
	r.Change("emea", clustersim.Users{UserID: new("Ada"), IMAddress: new("ada@elsewhere.example.org")})
	got, err := r.client("emea").Find(t.Context(), "ada")
	if err != nil || len(got) != 1 || got[0].ID != "Ada" || got[0].IMAddress != "ada@elsewhere.example.org" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestUsersBetweenTwoRows: after the one and up to and with the other, in pieces; a
// range that does not end is no range.
func TestUsersBetweenTwoRows(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 1, Users: 1601}, false)
	between := func(after, until string) ([]string, error) {
		var keys []string
		err := r.client("emea").Between(t.Context(), after, until, func(u cluster.User) { keys = append(keys, u.Key) })
		return keys, err
	}
	all, err := between("", "")
	if err == nil || len(all) != 1600 || !slices.IsSorted(all) {
		t.Fatalf("all of them: %d, %v", len(all), err)
	}
	for _, c := range []struct{ after, until int }{{2, 5}, {0, 399}, {0, 400}, {0, 401}, {0, 1599}, {1500, 1501}} {
		got, err := between(all[c.after], all[c.until])
		if err != nil || !slices.Equal(got, all[c.after+1:c.until+1]) {
			t.Errorf("after row %d up to row %d: %d of them, %v", c.after, c.until, len(got), err)
		}
	}
	if rest, err := between(all[1500], ""); err != nil || len(rest) != 100 {
		t.Errorf("after row 1500 to the end: %d of them, %v", len(rest), err)
	}
}

// TestUsersAtHomeAreHandedOut: those of this cluster alone, and as many as are counted.
func TestUsersAtHomeAreHandedOut(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
	r.Pass(35 * time.Minute)
	n := 0
	got := r.client("emea").Set(t.Context(), r.Mesh.Owner, "", r.Clock.Now(), func(u cluster.User) {
		if id, _ := r.Mesh.Owner(u.Node); id != "emea" {
			t.Errorf("%s is at home on %s", u.ID, u.Node)
		}
		n++
	})
	if !got.Known() || n != 20 || got.Value["apac"].Users != 20 {
		t.Errorf("%d users were handed out: %+v", n, got)
	}
}

// TestSoManyRowsOfAUserThatSomeMayBeLeftOut: of several users that is an error, for one may
// be missing.
func TestSoManyRowsOfAUserThatSomeMayBeLeftOut(t *testing.T) {
	for _, c := range []struct {
		rows  int
		users []string
		fails bool
	}{
		{199, []string{"ada", "grace"}, false},
		{200, []string{"ada", "grace"}, true},
		{100, []string{"ada"}, false},
	} {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
		r.Change("emea", clustersim.Users{UserID: new("ada"), IMAddress: new("ada@example.com")})
		r.retell("userid", func(answer string) string {
			row := answer[strings.Index(answer, "<row>") : strings.Index(answer, "</row>")+len("</row>")]
			return answer[:strings.Index(answer, "<row>")] + strings.Repeat(row, c.rows) + answer[strings.LastIndex(answer, "</row>")+len("</row>"):]
		})
		got, err := r.client("emea").Find(t.Context(), c.users...)
		if (err != nil) != c.fails || !c.fails && len(got) != c.rows {
			t.Errorf("%d rows of %d users: %d, %v", c.rows, len(c.users), len(got), err)
		}
	}
}

// TestUserIDsThatEndInMoreCharactersThanAreKept: what is kept of them is not the whole.
func TestUserIDsThatEndInMoreCharactersThanAreKept(t *testing.T) {
	for characters, known := range map[int]bool{128: true, 129: false} {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
		r.Pass(35 * time.Minute)
		r.retell("COUNT(*) AS users", func(answer string) string {
			var rows strings.Builder
			for i := range characters {
				fmt.Fprintf(&rows, "<row><node>%s</node><bucket>%c</bucket><users>1</users><weight>5</weight><low>a</low><high>b</high></row>", pubOf("emea"), rune(0x100+i))
			}
			return answer[:strings.Index(answer, "<row>")] + rows.String() + answer[strings.LastIndex(answer, "</row>")+len("</row>"):]
		})
		if got := r.client("emea").Buckets(t.Context(), r.Mesh.Owner, r.Clock.Now()); got.Known() != known || got.Value["emea"].Users != 128 {
			t.Errorf("%d characters: %+v", characters, got)
		}
	}
}
