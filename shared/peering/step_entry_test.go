package peering

import (
	"errors"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/userset"
)

const (
	apacSub  = mesh.NodeName("imp-apac-sub.example.com")
	stranger = "198.51.100.7"
)

func entry(address string) peer.Entry { return peer.Entry{Address: address, Protocol: mesh.TCP} }

func tls(e peer.Entry) peer.Entry { e.Protocol = mesh.TLSProto; return e }

func untold(e peer.Entry) peer.Entry { e.Protocol = ""; return e }

// denied has policy.windows deny noon.
func denied(s *scene) {
	s.plan.Kind = change.Join
	s.Mesh.Policy.Windows = []mesh.Window{{Kind: "deny", From: "11:00", To: "13:00", TimeZone: "UTC"}}
}

func TestAnEntryIsMadeWhenThePageHasIt(t *testing.T) {
	apac, amer := entry(string(apacPub)), entry("imp-amer-pub.example.com")
	second := func(pair mesh.PeerID, state change.StepState) func(s *scene) {
		return func(s *scene) {
			denied(s)
			s.before(change.Step{Op: change.OpAddEntry, Cluster: pair.From, Pair: pair, State: state})
			s.before(change.Step{Op: change.OpAskBell, Cluster: pair.From, Pair: pair, State: change.StepDone})
			lists()(s)
		}
	}
	const waits = "waits for a window of policy.windows before the next entry (denied by the window "
	looked(t, change.Step{Op: change.OpAddEntry, Pair: emeaApac, Value: string(apacPub)}, []look{
		{"it is there", nil, change.StepDone, "the entry for imp-apac-pub.example.com reads TCP"},
		{"mesh.yaml does not pair them any more", func(s *scene) { s.Mesh.Peers = nil }, change.StepWaiting, "mesh.yaml does not pair emea and apac any more"},
		{"beside it is one for the subscriber", lists(apac, entry(string(apacSub))), change.StepWaiting, "beside the entry for imp-apac-pub.example.com one for imp-apac-sub.example.com is there, which is of the same cluster: delete that one"},
		{"it uses the other protocol", lists(tls(apac)), change.StepWaiting, "the entry for imp-apac-pub.example.com reads TLS, and mesh.yaml says TCP"},
		{"the dialect does not tell its protocol", lists(untold(apac)), change.StepDone, "the entry for imp-apac-pub.example.com is there; the dialect does not tell its protocol"},
		{"it is not there", lists(amer), change.StepWaiting, "for a person to do it: there is no entry for imp-apac-pub.example.com"},
		{"nor, says ada, should it not be", all(lists(amer), confirmed), change.StepWaiting, "ada confirmed it at 2026-03-02 11:50 UTC, and it reads otherwise: there is no entry for imp-apac-pub.example.com"},
		{"it names the subscriber", lists(entry(string(apacSub))), change.StepWaiting, "the entry reads imp-apac-sub.example.com, and Cisco wants the publisher's node name imp-apac-pub.example.com"},
		{"an address belongs to nobody", lists(amer, entry(stranger)), change.StepWaiting, "there is no entry for imp-apac-pub.example.com; mesh.yaml tells no owner of 198.51.100.7: if that was meant, correct its Peer Address"},
		{"the peer table cannot be read", alone, change.StepWaiting, "it cannot be read: no connection"},
		{"the statement for it is refused", tableUnread(peer.QueryRefused, "no such column"), change.StepWaiting, "it cannot be read: no such column"},
		{"nobody has said how it is read", tableUnread(peer.NoDialect, ""), change.StepWaiting, "it cannot be read: how the peer table is read has not been said (`peerkeeper probe`)"},
		{"and ada says that it is there", all(tableUnread(peer.NoDialect, ""), confirmed), change.StepDone, "ada says so; it cannot be read: how the peer table is read has not been said"},

		{"a join comes to it in a window that denies", all(denied, lists()), change.StepRunning, waits},
		{"an add does not wait for one", all(denied, func(s *scene) { s.plan.Kind = change.Add }, lists()), change.StepWaiting, "there is no entry for imp-apac-pub.example.com"},
		{"a window that allows is open", all(denied, lists(), func(s *scene) { s.Mesh.Policy.Windows[0].Kind, s.Mesh.Policy.Windows[0].To = "allow", "15:00" }), change.StepWaiting, "there is no entry for imp-apac-pub.example.com"},
		{"a window that allows is open, and closes before the pair would be made", all(denied, lists(), func(s *scene) { s.Mesh.Policy.Windows[0].Kind = "allow" }), change.StepRunning, "waits for a window of policy.windows before the next entry (this one closes in 1 h;"},
		{"the other end's entry is made already", second(emeaApac.Reverse(), change.StepDone), change.StepWaiting, "there is no entry for imp-apac-pub.example.com"},
		{"the other end's entry was left out", second(emeaApac.Reverse(), change.StepSkipped), change.StepRunning, waits},
		{"it is another pair's that is made", second(mesh.PeerID{From: "amer", To: "emea"}, change.StepDone), change.StepRunning, waits},
		{"somebody is at it all the same", all(denied, lists(), confirmed), change.StepWaiting, "ada confirmed it"},
		{"somebody has entered the subscriber", all(denied, lists(entry(string(apacSub)))), change.StepWaiting, "the entry reads imp-apac-sub.example.com"},
		{"a user has come to both since the comparison", all(lists(), compared(problem(userset.DuplicateUserID, "grace", 0, "apac", "emea"))), change.StepWaiting, "no entry before that is mended: 1 user ID or directory URI is twice in them: grace ("},
		{"a user has come to two others", all(lists(), compared(problem(userset.DuplicateUserID, "grace", 0, "apac", "amer"))), change.StepWaiting, "for a person to do it: there is no entry for imp-apac-pub.example.com"},
		{"somebody is at it all the same, with a user in both", all(lists(), compared(problem(userset.DuplicateUserID, "grace", 0, "apac", "emea")), confirmed), change.StepWaiting, "ada confirmed it"},
		{"somebody has entered the subscriber, with a user in both", all(lists(entry(string(apacSub))), compared(problem(userset.DuplicateUserID, "grace", 0, "apac", "emea"))), change.StepWaiting, "the entry reads imp-apac-sub.example.com"},
		{"it was made all the same", denied, change.StepDone, "the entry for imp-apac-pub.example.com reads TCP"},
	})
}

func TestTheAddressOfAnEntryIsThatOfPresenceTopology(t *testing.T) {
	compare := "there is no entry for imp-apac-pub.example.com; Presence Topology of apac cannot be read now, so compare the address there"
	spelled := peer.Known([]mesh.NodeName{"IMP-APAC-SUB.example.com", "IMP-APAC-PUB.example.com"}, noon)
	looked(t, change.Step{Op: change.OpAddEntry, Pair: emeaApac, Value: string(apacPub)}, []look{
		{"letter by letter", all(lists(), topology(spelled)), change.StepWaiting, "there is no entry for IMP-APAC-PUB.example.com"},
		{"it is another publisher", all(lists(), topology(peer.Known([]mesh.NodeName{apacSub}, noon))), change.StepFailed, "Presence Topology of apac lists imp-apac-sub.example.com, and not its publisher as mesh.yaml has it, imp-apac-pub.example.com: correct mesh.yaml, and resume"},
		{"it lists nothing", all(lists(), topology(peer.Known([]mesh.NodeName{}, noon))), change.StepWaiting, compare},
		{"it was read in part", all(lists(), topology(peer.Partial([]mesh.NodeName{apacSub}, noon, peer.TimedOut, ""))), change.StepWaiting, compare},
		{"apac cannot be reached", all(lists(), func(s *scene) { s.unreachable("apac") }), change.StepWaiting, compare},
		{"apac answers with an error and half its nodes", all(lists(), func(s *scene) {
			has := s.tables["apac"]
			has.err = errors.New("the account was rejected")
			s.tables["apac"] = has
		}), change.StepWaiting, compare},
	})

	s := newScene(t, change.Step{Op: change.OpAddEntry, Pair: emeaApac, Value: string(apacPub)})
	all(lists(), topology(spelled))(s)
	if got := s.looks(); got.Value != "IMP-APAC-PUB.example.com" {
		t.Errorf("a person is told to enter %s", got.Value)
	}
}

func TestWhetherAnEntryHasTheNewProtocol(t *testing.T) {
	apac := entry(string(apacPub))
	looked(t, change.Step{Op: change.OpEditEntry, Pair: emeaApac, Value: "tls"}, []look{
		{"it has", lists(tls(apac)), change.StepDone, "its protocol reads TLS."},
		{"it has the old one", nil, change.StepWaiting, "for a person to do it: its protocol reads TCP"},
		{"the dialect does not tell", lists(untold(apac)), change.StepWaiting, "it cannot be read: the dialect does not tell the protocol"},
		{"there is no entry", lists(), change.StepWaiting, "for a person to do it: no entry for apac is there"},
		{"it cannot be read", alone, change.StepWaiting, "it cannot be read: no connection"},
	})
	s := newScene(t, change.Step{Op: change.OpEditEntry, Pair: emeaApac, Value: "tls"})
	s.looks()
	lists(tls(apac))(s)
	if got := s.looks(); got.Before != "TCP" {
		t.Errorf("to undo it %q would be set again", got.Before)
	}
}

func TestWhetherAnEntryHasTheNewAddress(t *testing.T) {
	spelled := topology(peer.Known([]mesh.NodeName{"IMP-apac-pub.example.com"}, noon))
	untold := topology(peer.Unknown[[]mesh.NodeName](peer.TimedOut, ""))
	looked(t, change.Step{Op: change.OpEditEntry, Pair: emeaApac, Purpose: change.ByAddress, Value: string(apacPub)}, []look{
		{"it has", nil, change.StepDone, "the address reads imp-apac-pub.example.com"},
		{"in other letters than Presence Topology", spelled, change.StepWaiting, "for a person to do it: the address reads imp-apac-pub.example.com"},
		{"it names the subscriber", lists(entry(string(apacSub))), change.StepWaiting, "for a person to do it: the address reads imp-apac-sub.example.com"},
		{"there is no entry", lists(), change.StepWaiting, "for a person to do it: no entry for apac is there"},
		{"there is no entry, and Presence Topology is not read", all(lists(), untold), change.StepWaiting, "no entry for apac is there; Presence Topology of apac cannot be read now"},
		{"apac has another publisher", topology(peer.Known([]mesh.NodeName{apacSub}, noon)), change.StepFailed, "correct mesh.yaml, and resume"},
		{"the peer table cannot be read", alone, change.StepWaiting, "it cannot be read: no connection"},
	})
	s := newScene(t, change.Step{Op: change.OpEditEntry, Pair: emeaApac, Purpose: change.ByAddress, Value: string(apacPub)})
	untold(s)
	if got := s.looks(); got.Evidence != "the address reads imp-apac-pub.example.com" {
		t.Errorf("of an entry that is right a person is told %q", got.Evidence)
	}
}

func TestWhetherAnEntryIsDeleted(t *testing.T) {
	amer := entry("imp-amer-pub.example.com")
	lookedBefore := func(s *scene) {
		s.step.State, s.step.Began, s.step.Evidence = change.StepWaiting, ago(time.Hour), "for a person to do it"
	}
	next := func(steps ...change.Step) func(s *scene) {
		return func(s *scene) {
			n := s.step.N
			for _, step := range steps {
				s.follows(step)
			}
			s.step = s.plan.Step(n)
		}
	}
	restart := change.Step{Op: change.OpRestart, Cluster: "emea", Node: emeaPub}
	skipped, elsewhere := restart, restart
	skipped.State, elsewhere.Cluster = change.StepSkipped, "apac"
	other, gone := change.Step{Op: change.OpDeleteEntry, Cluster: "emea"}, change.Step{Op: change.OpVerifyGone, Cluster: "emea"}
	ask := change.Step{Op: change.OpAskHA, Cluster: "emea"}
	looked(t, change.Step{Op: change.OpDeleteEntry, Pair: emeaApac}, []look{
		{"it is gone", all(lists(amer), lookedBefore), change.StepDone, "the entry is gone."},
		{"it was gone before", lists(amer), change.StepDone, "the entry is gone, and was before the plan came to it."},
		{"it was gone before, and a restart follows", all(lists(amer), next(restart)), change.StepDone, "the entry is gone, and was before the plan came to it; whether the router was restarted after that, as Cisco wants, cannot be told"},
		{"it is gone, and a restart follows", all(lists(amer), lookedBefore, next(restart)), change.StepDone, "the entry is gone."},
		{"it was gone before, and a restart that is skipped follows", all(lists(amer), next(skipped)), change.StepDone, "the entry is gone, and was before the plan came to it."},
		{"it was gone before, and a restart of the other end follows", all(lists(amer), next(elsewhere)), change.StepDone, "the entry is gone, and was before the plan came to it."},
		{"it was gone before, and a restart follows the next deletion", all(lists(amer), next(other, restart)), change.StepDone, "the entry is gone, and was before the plan came to it."},
		{"it was gone before, and a restart follows what is seen then", all(lists(amer), next(gone, restart)), change.StepDone, "the entry is gone, and was before the plan came to it."},
		{"it was gone before, and a restart follows a question", all(lists(amer), next(ask, restart)), change.StepDone, "the entry is gone, and was before the plan came to it; whether"},
		{"it is there", nil, change.StepWaiting, "for a person to do it: the entry for imp-apac-pub.example.com is there"},
		{"one for the subscriber is there", lists(amer, entry(string(apacSub))), change.StepWaiting, "for a person to do it: an entry for imp-apac-sub.example.com is there, which is of the same cluster"},
		{"an address belongs to nobody", lists(amer, entry(stranger)), change.StepWaiting, "it cannot be read: no entry names a node of apac, and mesh.yaml tells no owner of 198.51.100.7"},
		{"it cannot be read", alone, change.StepWaiting, "it cannot be read: no connection"},
		{"and ada has deleted it", all(alone, confirmed), change.StepDone, "ada says so; it cannot be read: no connection"},
	})
	s := newScene(t, change.Step{Op: change.OpDeleteEntry, Pair: emeaApac})
	usersUnread("emea")(s)
	if got := s.looks(); got.Before != "" {
		t.Errorf("of copies that were not counted %q are remembered", got.Before)
	}
	s = newScene(t, change.Step{Op: change.OpDeleteEntry, Pair: emeaApac})
	s.looks()
	copies(7)(s)
	if got := s.looks(); got.Before != "200" {
		t.Errorf("of 200 copies that were there at first %q are remembered", got.Before)
	}
}

func TestWhatOnlyPeopleKnow(t *testing.T) {
	noted := func(s *scene) { confirmed(s); s.step.Said.Text = "INC7" }
	yes := func(s *scene) { s.said(change.Answer); s.step.Said.Yes = true }
	no := func(s *scene) { s.said(change.Answer) }
	for op, cases := range map[change.Op][]look{
		change.OpPrepare: {
			{"nobody has said it", nil, change.StepWaiting, "for a person to see to it and confirm it"},
			{"an answer is no confirmation", yes, change.StepWaiting, "for a person to see to it and confirm it"},
			{"ada says so", confirmed, change.StepDone, "ada says so"},
			{"ada says so, with a note", noted, change.StepDone, "ada says so: INC7"},
		},
		change.OpEnterCredentials: {
			{"a password is not read", nil, change.StepWaiting, "no interface tells a password; the next sync shows whether it is right"},
			{"ada has entered it", confirmed, change.StepDone, "ada says so"},
		},
		change.OpAskBell: {
			{"nobody has answered", nil, change.StepWaiting, "for an answer"},
			{"a confirmation is no answer", confirmed, change.StepWaiting, "for an answer"},
			{"yes", yes, change.StepDone, "ada answered yes"},
			{"no", no, change.StepDone, "ada answered no"},
		},
	} {
		t.Run(string(op), func(t *testing.T) { looked(t, change.Step{Op: op, Pair: emeaApac}, cases) })
	}
}

func TestNamesThatDoNotResolveArePreparedFirst(t *testing.T) {
	pair := func(s *scene) { s.plan.Pairs = []mesh.PeerID{emeaApac} }
	names := change.Step{Op: change.OpPrepare, Purpose: change.PrepareNames}
	unresolved := all(pair, certcheckFinds(peer.NamesResolve, peer.False))
	looked(t, names, []look{
		{"one does not", unresolved, change.StepWaiting, "for a person to do it: emea>apac: as certcheck found it"},
		{"ada says that it does", all(unresolved, confirmed), change.StepWaiting, "and it reads otherwise: emea>apac: as certcheck found it"},
		{"all do", all(pair, certcheckFinds(peer.NamesResolve, peer.True)), change.StepWaiting, "for a person to see to it and confirm it"},
		{"ada says so", all(pair, confirmed), change.StepDone, "ada says so"},
		{"one of another pair does not", certcheckFinds(peer.NamesResolve, peer.False), change.StepWaiting, "for a person to see to it and confirm it"},
	})
	names.Purpose = "ntp"
	looked(t, names, []look{{"names are no matter for clocks", all(unresolved, confirmed), change.StepDone, "ada says so"}})
}

func TestTheRouterIsDueWhenABellAskedForIt(t *testing.T) {
	for _, asked := range []bool{true, false} {
		s := newScene(t, change.Step{Op: change.OpRouterDue})
		s.before(change.Step{Op: change.OpAskBell, Cluster: "emea", Pair: emeaApac, State: change.StepDone, Said: &change.Said{Verb: change.Answer, Actor: "ada", Yes: asked}})
		got := s.looks()
		if got.State != change.StepDone || got.Said == nil || got.Said.Yes != asked || !got.Said.At.Equal(noon) {
			t.Errorf("asked %v: %+v, %+v", asked, got, got.Said)
		}
	}
}
