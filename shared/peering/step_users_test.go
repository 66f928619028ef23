package peering

import (
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/userset"
)

func TestUsersMustHaveComeFromUnifiedCM(t *testing.T) {
	says := func(f peer.Fact[string]) func(s *scene) {
		return func(s *scene) {
			has := s.tables["emea"]
			has.SyncAgent = f
			s.tables["emea"] = has
		}
	}
	unread := func(why peer.Reason) func(s *scene) { return says(peer.Unknown[string](why, "no column tells it")) }
	const notYet = "not known yet, and nothing to confirm before it is: "
	looked(t, change.Step{Op: change.OpSyncAgent, Node: emeaPub}, []look{
		{"they have", nil, change.StepDone, `its user sync reads "Completed 2026-03-02 03:00:00"`},
		{"they are coming", says(peer.Known("In Progress", noon)), change.StepWaiting, `for a person to do it: its user sync reads "In Progress"`},
		{"ada says so too early", all(says(peer.Known("In Progress", noon)), confirmed), change.StepWaiting, "and it reads otherwise"},
		{"the database does not tell", unread(peer.NotObservable), change.StepWaiting, "it cannot be read: no column tells it"},
		{"and ada says so", all(unread(peer.NotObservable), confirmed), change.StepDone, "ada says so; it cannot be read: no column tells it"},
		{"the statement is refused, and ada says so", all(unread(peer.QueryRefused), confirmed), change.StepDone, "ada says so; it cannot be read: no column tells it"},
		{"it was too slow, and ada says so", all(unread(peer.TimedOut), confirmed), change.StepWaiting, notYet + "no column tells it"},
		{"the cluster cannot be reached, and ada says so", all(alone, confirmed), change.StepWaiting, notYet + "no connection"},
	})
}

// TestWhatIsNotKnownYetIsNothingToVouchFor: the plan asks nobody for it.
func TestWhatIsNotKnownYetIsNothingToVouchFor(t *testing.T) {
	s := newScene(t, change.Step{Op: change.OpSyncAgent, Node: emeaPub})
	all(alone, confirmed)(s)
	if got := s.looks(); !got.Unseen || got.Said != nil {
		t.Errorf("%+v", got)
	}
}

// compared has an audit have read all users at noon but for what a case says of it.
func compared(changes ...func(r *userset.Report)) func(s *scene) {
	return func(s *scene) {
		s.plan.Clusters, s.plan.Pairs = []mesh.ClusterID{"emea", "apac"}, []mesh.PeerID{emeaApac, emeaApac.Reverse()}
		at := noon
		s.report = &userset.Report{Mesh: s.Mesh.Name, AsOf: noon, Read: map[mesh.ClusterID]*time.Time{"emea": &at, "apac": &at, "amer": &at}, Counts: map[userset.Trouble]int{}}
		for _, change := range changes {
			change(s.report)
		}
	}
}

func problem(kind userset.Trouble, key string, more int, in ...mesh.ClusterID) func(r *userset.Report) {
	return func(r *userset.Report) {
		p := userset.Problem{Kind: kind, Key: key, More: more}
		for _, id := range in {
			p.Users = append(p.Users, userset.Found{Cluster: id, UserID: key})
		}
		r.Problems = append(r.Problems, p)
		r.Counts[kind]++
	}
}

func gap(id mesh.ClusterID, what string) func(r *userset.Report) {
	return func(r *userset.Report) {
		r.Unread = append(r.Unread, userset.Gap{Cluster: id, What: what, Reason: "too slow"})
	}
}

func readAt(id mesh.ClusterID, at *time.Time) func(r *userset.Report) {
	return func(r *userset.Report) { r.Read[id] = at }
}

func TestNoUserMayBeAtHomeTwice(t *testing.T) {
	twoDays, longer := ago(48*time.Hour), ago(48*time.Hour+time.Minute)
	grown := func(s *scene) {
		s.clusters["emea"].Home = []peer.HomeValue{{Users: 170, From: ago(24 * time.Hour), To: noon}}
	}
	const (
		none   = "none, in the audit of 2026-03-02 12:00 UTC"
		notYet = "not known yet, and nothing to confirm before it is: "
		then   = " (then `peerkeeper preflight --now` compares them)"
		untold = "it cannot be read: "
	)
	looked(t, change.Step{Op: change.OpDuplicates}, []look{
		{"nobody is", compared(), change.StepDone, none},
		{"the users have not been compared", nil, change.StepWaiting, notYet + "the users have not been compared yet: `peerkeeper preflight --now`"},
		{"one is", compared(problem(userset.DuplicateUserID, "grace", 0, "emea", "apac")), change.StepWaiting, "for a person to do it: 1 user ID or directory URI is twice in them: grace (`peerkeeper audit users` lists who; 2026-03-02 12:00 UTC)"},
		{"two are", compared(problem(userset.DuplicateUserID, "grace", 0, "emea", "apac"), problem(userset.DuplicateDirectoryURI, "grace@example.com", 0, "apac", "emea")), change.StepWaiting, "2 user IDs and directory URIs are twice in them: grace, grace@example.com"},
		{"ada says that none is", all(compared(problem(userset.DuplicateUserID, "grace", 0, "emea", "apac")), confirmed), change.StepWaiting, "and it reads otherwise"},
		{"one is, outside the plan", compared(problem(userset.DuplicateUserID, "grace", 0, "emea", "amer")), change.StepDone, none},
		{"one is, twice in one cluster", compared(problem(userset.DuplicateUserID, "grace", 0, "emea", "emea")), change.StepDone, none},
		{"one is, after another kind of problem", compared(problem(userset.Moving, "ada", 0, "emea", "apac"), problem(userset.DuplicateUserID, "grace", 0, "emea", "apac")), change.StepWaiting, "1 user ID or directory URI is twice in them: grace"},
		{"another kind of problem", compared(problem(userset.Moving, "grace", 1, "emea", "apac")), change.StepDone, none},
		{"a cluster has never been read", compared(readAt("apac", nil)), change.StepWaiting, notYet + "apac: its users have not been read, which is done within an hour" + then},
		{"and there is a gap for that", compared(readAt("apac", nil), gap("apac", userset.AllUsers)), change.StepWaiting, notYet + "apac: its users have not been read, which is done within an hour" + then},
		{"one that is not of the plan has not", compared(readAt("amer", nil)), change.StepDone, none},
		{"it was read two days ago", compared(readAt("apac", &twoDays)), change.StepDone, none},
		{"it was read longer ago", compared(readAt("apac", &longer)), change.StepWaiting, notYet + "apac: its users were last read at 2026-02-28 11:59 UTC"},
		{"it was read longer ago, and users have come since", all(compared(readAt("emea", &longer)), grown), change.StepWaiting, notYet + "emea: its users were last read at 2026-02-28 11:59 UTC" + then},
		{"nobody knows how many there are now", all(compared(), unrecorded("apac")), change.StepDone, none},
		{"users have come since", all(compared(), grown), change.StepWaiting, notYet + "emea: 170 users were compared at 2026-03-02 12:00 UTC, and 200 are there now, which are read within an hour"},
		{"some could not be read", compared(gap("apac", userset.Suspects)), change.StepWaiting, notYet + "apac: suspects: too slow" + then},
		{"some of somewhere", compared(gap("", userset.Suspects)), change.StepWaiting, notYet + "suspects: too slow"},
		{"some of a cluster that is not of the plan", compared(gap("amer", userset.Suspects)), change.StepDone, none},
		{"copies could not be read", compared(gap("apac", userset.Copies)), change.StepDone, none},
		{"copies could not be read, nor directory URIs", compared(gap("apac", userset.Copies), gap("apac", userset.DirectoryURIs)), change.StepWaiting, untold + "apac: directory URIs: too slow."},
		{"directory URIs are not told", compared(gap("apac", userset.DirectoryURIs)), change.StepWaiting, untold + "apac: directory URIs: too slow"},
		{"and ada says that none is twice", all(compared(gap("apac", userset.DirectoryURIs)), confirmed), change.StepDone, "ada says so; " + untold + "apac: directory URIs: too slow"},
		{"more are than are named", compared(func(r *userset.Report) { r.Counts[userset.DuplicateUserID] = 5 }), change.StepWaiting, untold + "5 more of kind duplicateUserID are in the mesh than are named"},
		{"one is in more places than are named", compared(problem(userset.DuplicateUserID, "grace", 3, "emea", "amer")), change.StepWaiting, untold + "grace is in 3 more places than are named"},
	})
}
