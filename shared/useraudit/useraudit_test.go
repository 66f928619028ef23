package useraudit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/useraudit"
	"peerkeeper/shared/userset"
)

// rig is a simulated mesh that peersync watches and whose users are audited.
type rig struct {
	*simtest.Rig
	t      *testing.T
	memory *storetest.Memory
	looks  *peersync.Peersync
	audit  *useraudit.Audit
}

func watch(t *testing.T, cfg clustersim.Config) *rig {
	t.Helper()
	r := &rig{Rig: simtest.New(t, simtest.Start(), cfg, false), t: t, memory: storetest.NewMemory()}
	r.memory.Now = r.Clock.Now
	connector := r.Connector()
	r.looks = &peersync.Peersync{Mesh: r.Mesh, Store: r.memory, Clusters: connector, Now: r.Clock.Now}
	o := &operator.Operator{Mesh: r.Mesh, Store: r.memory, Now: r.Clock.Now, Clusters: connector}
	r.audit = &useraudit.Audit{Mesh: r.Mesh, Store: r.memory, Now: r.Clock.Now, Ask: o.Ask}
	return r
}

func (r *rig) tick() {
	r.t.Helper()
	if _, err := r.looks.Handle(r.t.Context(), run.Request{}); err != nil {
		r.t.Fatal(err)
	}
}

// readAll lets peersync read every cluster's users whole: a day, then one cluster a
// tick.
func (r *rig) readAll() {
	r.t.Helper()
	r.tick()
	r.Pass(25 * time.Hour)
	for range len(r.Mesh.Clusters) + 1 {
		r.Pass(5 * time.Minute)
		r.tick()
	}
}

func (r *rig) told() userset.Report {
	r.t.Helper()
	out, err := r.audit.Run(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// keep stores a report, as preflight does.
func (r *rig) keep(report userset.Report) {
	r.t.Helper()
	if err := record.WriteUserReport(r.t.Context(), r.memory, r.Mesh.Name, report); err != nil {
		r.t.Fatal(err)
	}
}

// someone is a user at home in a cluster.
func (r *rig) someone(id mesh.ClusterID) string {
	r.t.Helper()
	c, _ := r.Mesh.Cluster(id)
	client, err := r.looks.Clusters.Open(r.t.Context(), c, nil, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	ids, f := client.Named(r.t.Context(), c, nil, r.Clock.Now())
	if !f.Known() {
		r.t.Fatal(f)
	}
	first := ""
	for _, name := range ids {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}

func counts(r userset.Report) map[userset.Trouble]int {
	out := map[userset.Trouble]int{}
	for kind, n := range r.Counts {
		if n > 0 {
			out[kind] = n
		}
	}
	return out
}

func (r *rig) want(report userset.Report, want map[userset.Trouble]int) {
	r.t.Helper()
	if got := counts(report); !reflect.DeepEqual(got, want) {
		r.t.Errorf("told %v, want %v: %+v", got, want, report.Problems)
	}
	if len(report.Unread) > 0 {
		r.t.Errorf("not read: %+v", report.Unread)
	}
}

func TestEveryKindByName(t *testing.T) {
	r := watch(t, clustersim.Config{Clusters: 3, Users: 40})
	r.readAll()
	r.want(r.told(), map[userset.Trouble]int{})
	if report := r.told(); !report.Well() || report.Read["amer"] == nil {
		t.Errorf("%+v", report)
	}
	ada := r.someone("emea")
	r.Change("apac", clustersim.Users{Duplicate: strings.ToUpper(ada)})
	r.Change("apac", clustersim.Users{InvalidURI: 2}) // the duplicate is one of them
	r.Change("amer", clustersim.Users{Unassign: 3})
	r.Change("emea", clustersim.Users{UserID: new("no.uri"), DirectoryURI: new("")})
	r.Change("emea", clustersim.Users{UserID: new(" blank"), DirectoryURI: new("blank@example.com")})
	r.Change("amer", clustersim.Users{UserID: new("other"), DirectoryURI: new("sip:BLANK@example.com.")})
	r.Change("amer", clustersim.Users{UserID: new("ΣΟΦΟΣ"), DirectoryURI: new("sofos1@example.com")})
	r.Change("emea", clustersim.Users{UserID: new("σοφος"), DirectoryURI: new("sofos2@example.com")})
	r.Change("amer", clustersim.Users{UserID: new("Jörg"), DirectoryURI: new("jörg@example.com")})
	r.Change("emea", clustersim.Users{UserID: new("jo\u0308rg"), DirectoryURI: new("JO\u0308RG@example.com")}) // ö as two signs
	r.readAll()
	report := r.told()
	r.want(report, map[userset.Trouble]int{userset.DuplicateUserID: 3, userset.DuplicateDirectoryURI: 2, userset.InvalidDirectoryURI: 2, userset.Unassigned: 3, userset.NoDirectoryURI: 1, userset.InvalidUserID: 1})
	for _, p := range report.Problems {
		if p.Kind == userset.DuplicateUserID && p.Key == strings.ToLower(ada) {
			if len(p.Users) != 2 || p.Users[0].Cluster != "apac" || p.Users[1].Cluster != "emea" || p.Users[1].UserID != ada || p.Users[0].Node == "" || p.Users[1].DirectoryURI == "" {
				t.Errorf("%+v", p)
			}
		}
	}
	if report.Well() {
		t.Error("called well")
	}
	// Mended, and told so by the next audit, without another full reading.
	r.Change("apac", clustersim.Users{Remove: 1})
	if got := r.told().Counts[userset.DuplicateUserID]; got != 2 {
		t.Errorf("%d duplicates after the one was removed", got)
	}
}

// TestADuplicateWhateverICSADoesWithIt: what ICSA does with one is not documented.
// Whether or not it copies such a user, the audit names the user, and says nothing
// of a copy without a home, whatever UsersDiffer says.
func TestADuplicateWhateverICSADoesWithIt(t *testing.T) {
	for _, duplicates := range []string{"copied", "skipped"} {
		t.Run(duplicates, func(t *testing.T) {
			r := watch(t, clustersim.Config{Clusters: 2, Users: 30})
			r.readAll()
			ada := r.someone("emea")
			for _, id := range []string{"emea", "apac"} {
				r.Change(id, clustersim.Sync{Duplicates: new(duplicates)})
			}
			r.Change("apac", clustersim.Users{Duplicate: ada})
			for range 8 { // peersync judges that users differ, if they do, and names them
				r.Pass(31 * time.Minute)
				r.tick()
			}
			r.readAll()
			report := r.told()
			r.want(report, map[userset.Trouble]int{userset.DuplicateUserID: 1, userset.DuplicateDirectoryURI: 1})
			snapshot, err := record.Load(t.Context(), r.memory, r.Mesh)
			if err != nil {
				t.Fatal(err)
			}
			s := snapshot.Syncs[mesh.PeerID{From: "emea", To: "apac"}].Value
			differs := s.Condition(peer.UsersMatch).Status == peer.False
			if differs != (duplicates == "skipped") {
				t.Errorf("UsersMatch %s", s.Condition(peer.UsersMatch).Status)
			}
			if differs && (s.Named == nil || len(s.Named.Missing) != 1 || userset.Fold(userset.IDs, s.Named.Missing[0]) != report.Keys(userset.DuplicateUserID)[0]) {
				t.Errorf("UsersDiffer names %+v, the audit %v", s.Named, report.Keys(userset.DuplicateUserID))
			}
		})
	}
}

// TestACopyWithoutAHomeIsNamed: once peersync says that users differ, and as it
// names them. A user who is gone since the last sync is none of them yet.
func TestACopyWithoutAHomeIsNamed(t *testing.T) {
	r := watch(t, clustersim.Config{Clusters: 3, Users: 30})
	r.readAll()
	r.Change("emea", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeDeaf)})
	r.Change("apac", clustersim.Users{UserID: new("Gone")})
	r.Change("emea", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeOK)})
	r.Pass(time.Hour)
	r.tick()
	r.Change("emea", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeDeaf)})
	r.Change("apac", clustersim.Users{Remove: 1})
	r.Pass(time.Minute)
	r.want(r.told(), map[userset.Trouble]int{})
	for range 8 {
		r.Pass(31 * time.Minute)
		r.tick()
	}
	report := r.told()
	r.want(report, map[userset.Trouble]int{userset.CopyWithoutHome: 1})
	if len(report.Problems) == 1 && (report.Problems[0].Key != "gone" || len(report.Problems[0].Users) != 1 || report.Problems[0].Users[0].Cluster != "emea") {
		t.Errorf("%+v", report.Problems)
	}
	// Home again, elsewhere: the copy is old, and nobody is without a home.
	r.Change("amer", clustersim.Users{UserID: new("gone")})
	r.want(r.told(), map[userset.Trouble]int{userset.Moving: 1})
}

// TestWhoMovesIsNoDuplicate: emea was read before, apac after.
func TestWhoMovesIsNoDuplicate(t *testing.T) {
	r := watch(t, clustersim.Config{Clusters: 3, Users: 30})
	r.readAll()
	ada := r.someone("emea")
	r.Change("emea", clustersim.Users{Move: ada, To: "apac"})
	r.want(r.told(), map[userset.Trouble]int{}) // apac was read before: nobody can know yet
	r.rereadOnly("apac")
	r.want(r.told(), map[userset.Trouble]int{userset.Moving: 1})
	if report := r.told(); !report.Well() {
		t.Error("a user who moves is a problem")
	}
	r.Pass(2 * time.Hour) // the copies follow
	r.want(r.told(), map[userset.Trouble]int{})
}

// rereadOnly puts a new set of one cluster in force, at once.
func (r *rig) rereadOnly(id mesh.ClusterID) {
	r.t.Helper()
	c, _ := r.Mesh.Cluster(id)
	client, err := r.looks.Clusters.Open(r.t.Context(), c, nil, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := record.UsersKey(r.t.Context(), r.memory, r.Mesh.Name)
	if err != nil {
		r.t.Fatal(err)
	}
	heads, err := record.UserSets(r.t.Context(), r.memory, r.Mesh.Name, id)
	if err != nil {
		r.t.Fatal(err)
	}
	collector := userset.Collect(key)
	client.Set(r.t.Context(), r.Mesh.Owner, "", r.Clock.Now(), func(u cluster.User) {
		collector.Assigned(userset.User{Key: u.Key, ID: u.ID, URI: u.DirectoryURI}, u.URIRead)
	})
	collector.Unassigned(nil)
	set, err := collector.Set(heads[id].Value.Generation, r.Clock.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := record.WriteUsers(r.t.Context(), r.memory, r.Mesh.Name, id, heads[id], set); err != nil {
		r.t.Fatal(err)
	}
}

// TestWhatWasNotReadIsNotNone: neither before the first reading, nor while a
// cluster does not answer; and what was told before stays.
func TestWhatWasNotReadIsNotNone(t *testing.T) {
	r := watch(t, clustersim.Config{Clusters: 2, Users: 30})
	r.tick()
	if report := r.told(); report.Well() || len(report.Unread) != 2 || report.Read["emea"] != nil {
		t.Errorf("nothing was read, and it says %+v", report)
	}
	ada := r.someone("emea")
	r.Change("apac", clustersim.Users{Duplicate: ada})
	r.readAll()
	told := r.told()
	r.want(told, map[userset.Trouble]int{userset.DuplicateUserID: 1, userset.DuplicateDirectoryURI: 1})
	r.keep(told)
	r.Change("apac", clustersim.Users{Remove: 1})
	r.Fault(clustersim.Fault{Cluster: "apac", Operation: "executeSQLQuery", Kind: clustersim.FaultSOAP, Times: -1})
	report := r.told()
	if report.Counts[userset.DuplicateUserID] != 1 || report.Well() || len(report.Unread) == 0 {
		t.Errorf("apac does not answer, and it says %+v", report)
	}
	r.ClearFaults()
	r.Pass(time.Hour) // and so the copies are gone
	r.want(r.told(), map[userset.Trouble]int{})
}

// TestSuspectsThatCannotBeReadAreNoReport: suspects that cannot be read again
// are no report.
func TestSuspectsThatCannotBeReadAreNoReport(t *testing.T) {
	r := watch(t, clustersim.Config{Clusters: 2, Users: 30})
	r.Change("apac", clustersim.Users{Duplicate: r.someone("emea")})
	r.readAll()
	r.Fault(clustersim.Fault{Cluster: "apac", Operation: "executeSQLQuery", Kind: clustersim.FaultSOAP, Times: -1})
	if report := r.told(); len(report.Problems) != 0 || report.Well() {
		t.Errorf("%+v", report)
	}
}

// TestKilledAtEveryWriteOfASet: the set in force is whole, and at most this one
// cluster's day is lost.
func TestKilledAtEveryWriteOfASet(t *testing.T) {
	r := watch(t, clustersim.Config{Clusters: 2, Users: 30})
	r.readAll()
	for at := 0; ; at++ {
		writes, killed := 0, false
		r.memory.Fail = func(op string, key store.Key) error {
			if !strings.HasPrefix(key.SK, "USERS#") || op != "written" && op != "put" {
				return nil
			}
			if writes++; writes > at {
				killed = true
				return errors.New("killed")
			}
			return nil
		}
		r.Pass(25 * time.Hour)
		_, _ = r.looks.Handle(t.Context(), run.Request{})
		r.memory.Fail = nil
		if report := r.told(); len(report.Unread) != 0 || !report.Well() {
			t.Fatalf("killed at write %d: %+v", at, report)
		}
		if !killed {
			if at < 3 {
				t.Fatalf("only %d writes", at)
			}
			break
		}
		for range 10 {
			r.Pass(5 * time.Minute)
			r.tick()
		}
	}
}

// TestAPartialReadingWritesNoSet.
func TestAPartialReadingWritesNoSet(t *testing.T) {
	r := watch(t, clustersim.Config{Clusters: 2, Users: 400, AnswerBudget: 8 << 10})
	r.readAll()
	before := *r.told().Read["emea"]
	r.Pass(25 * time.Hour)
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultTruncate, When: clustersim.After, Times: -1})
	for range 4 {
		r.Pass(5 * time.Minute)
		r.tick()
	}
	r.ClearFaults()
	if got := *r.told().Read["emea"]; !got.Equal(before) {
		t.Errorf("a set of %s from a reading that was cut", got)
	}
}

// TestAMeshOfDuplicatesStaysBounded: two clusters of one and the same users.
func TestAMeshOfDuplicatesStaysBounded(t *testing.T) {
	r := watch(t, clustersim.Config{Clusters: 2, Users: 10})
	for i := range 1200 {
		if i%400 == 0 {
			r.Pass(time.Second)
		}
		name := fmt.Sprintf("someone.with.a.name.as.long.as.they.come.%04d", i)
		r.Change("emea", clustersim.Users{UserID: &name})
		r.Change("apac", clustersim.Users{UserID: &name})
	}
	r.readAll()
	report := r.told()
	if got := report.Counts[userset.DuplicateUserID]; got != 1200 {
		t.Errorf("%d duplicates counted, want 1200", got)
	}
	b, err := json.Marshal(report.Bounded())
	if err != nil || len(b) > 150_000 {
		t.Errorf("an item of %d bytes (%v)", len(b), err)
	}
	// Those that are not named are not fewer because a cluster does not answer.
	r.keep(report)
	r.Fault(clustersim.Fault{Cluster: "apac", Operation: "executeSQLQuery", Kind: clustersim.FaultSOAP, Times: -1})
	if report := r.told(); report.Counts[userset.DuplicateUserID] != 1200 || len(report.Unread) == 0 {
		t.Errorf("apac does not answer, and it counts %d", report.Counts[userset.DuplicateUserID])
	}
}

// TestACollisionIsNoReport: two users with one hash are told apart by name.
func TestACollisionIsNoReport(t *testing.T) {
	r := watch(t, clustersim.Config{Clusters: 2, Users: 30})
	r.readAll()
	heads, err := record.UserSets(t.Context(), r.memory, r.Mesh.Name, "emea", "apac")
	if err != nil {
		t.Fatal(err)
	}
	hash := func(id mesh.ClusterID) userset.Part {
		it, err := r.memory.Get(t.Context(), store.Users(r.Mesh.Name, id, heads[id].Value.Number(userset.IDs, 0)))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := store.Decode[userset.Part](it, record.UsersSchema)
		if err != nil {
			t.Fatal(err)
		}
		return doc.Value
	}
	key := store.Users(r.Mesh.Name, "apac", heads["apac"].Value.Number(userset.IDs, 0))
	part := hash("apac")
	copy(part.Hashes[8:16], hash("emea").Hashes[16:24])
	_, _, err = store.Claim(t.Context(), r.memory, key, record.UsersSchema, func(d *store.Doc[userset.Part], _ bool) (bool, error) {
		d.Value = part
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.want(r.told(), map[userset.Trouble]int{})
}
