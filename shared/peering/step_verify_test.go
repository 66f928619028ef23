package peering

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/change"
	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// synced has emea's entry for apac have synced so long ago; 0 is never.
func synced(d time.Duration) func(s *scene) {
	return emeaEntry(func(e *peer.Entry) {
		e.LastSync = time.Time{}
		if d > 0 {
			e.LastSync = ago(d)
		}
	})
}

// emeaEntry changes emea's entry for apac, as peersync read it.
func emeaEntry(change func(e *peer.Entry)) func(s *scene) {
	return func(s *scene) {
		all := s.clusters["emea"].Seen.Entries.Value
		for i := range all {
			if all[i].Address == string(apacPub) {
				change(&all[i])
			}
		}
	}
}

// copies has emea hold so many copies of apac's users.
func copies(n int) func(s *scene) {
	return func(s *scene) {
		users := s.clusters["emea"].Seen.Users.Value
		users[apacPub], users[apacSub] = n, 0
	}
}

func usersUnread(id mesh.ClusterID) func(s *scene) {
	return func(s *scene) {
		s.clusters[id].Seen.Users = peer.Unknown[map[mesh.NodeName]int](peer.TimedOut, "too slow")
	}
}

// clockless has neither the peer table nor a log tell when emea syncs.
func clockless(s *scene) {
	emeaEntry(func(e *peer.Entry) { e.HasClock = false })(s)
}

// finds has peersync have found something else of emea's side than the facts say now.
func finds(of peer.Type, status peer.Status) func(s *scene) {
	return func(s *scene) { s.found[of] = status }
}

// certcheckFinds has certcheck have looked at both ends at noon, and found this.
func certcheckFinds(of peer.Type, status peer.Status) func(s *scene) {
	return func(s *scene) {
		for _, id := range s.Mesh.IDs() {
			put(s.t, s.Store, store.Cert(s.Mesh.Name, id), record.CertSchema, certificate.Record{At: noon})
		}
		put(s.t, s.Store, store.PeerCert(s.Mesh.Name, emeaApac), record.CertSchema, peer.CertRecord{Conditions: []peer.Condition{{Type: of, Status: status, Message: "as certcheck found it"}}, Standing: peer.Standing{string(of) + ":it": noon}})
	}
}

// overTLS has the two clusters use TLS, by mesh.yaml and by both entries.
func overTLS(s *scene) {
	for i := range s.Mesh.Peers {
		s.Mesh.Peers[i].Protocol = mesh.TLSProto
	}
	for _, r := range s.clusters {
		for i := range r.Seen.Entries.Value {
			r.Seen.Entries.Value[i].Protocol = mesh.TLSProto
		}
	}
}

func TestAPairWorksWhenItIsReadTo(t *testing.T) {
	began := func(d time.Duration) func(s *scene) {
		return func(s *scene) {
			s.step.Began, s.step.State = ago(d), change.StepRunning
			s.plan.Started = ago(d)
		}
	}
	// Four intervals of 30 min, and two looks of 5 min.
	patience := began(2*time.Hour + 10*time.Minute)
	impatience := began(2*time.Hour + 10*time.Minute + 30*time.Second)
	long := func(s *scene) { s.clusters["emea"].LongestSync = time.Hour }
	missing := func(s *scene) { s.clusters["emea"].Seen.Entries.Value = s.clusters["emea"].Seen.Entries.Value[1:] }
	readBefore := func(id mesh.ClusterID) func(s *scene) {
		return func(s *scene) { s.clusters[id].Seen.Users.At = ago(31 * time.Minute) }
	}
	const (
		well     = "both ends name each other's publisher, protocol tcp; synced at 2026-03-02 11:50 UTC; Associated Users: 200, as many as at home"
		mend     = "for a person to mend it (`peerkeeper explain emea>apac` says how): "
		ends     = "its two ends have not both been read since the change"
		notSince = "emea>apac has not synced since 2026-03-02 11:30 UTC"
	)
	looked(t, change.Step{Op: change.OpVerifyPair, Pair: emeaApac}, []look{
		{"it works", nil, change.StepDone, well + "."},
		{"it works, at last", began(5 * time.Hour), change.StepDone, well + "."},
		{"it was counted ten minutes ago", func(s *scene) {
			for _, r := range s.clusters {
				r.Seen.Users.At = ago(10 * time.Minute)
			}
		}, change.StepDone, well + "."},
		{"an end has never been read", unrecorded("emea"), change.StepRunning, "not read yet: when it synced (Last Synchronized Time); how many users it holds (Associated Users)"},
		{"one end was read before the change", readBefore("emea"), change.StepRunning, ends},
		{"the other end was", readBefore("apac"), change.StepRunning, ends},
		{"it has not synced since the change", synced(31 * time.Minute), change.StepRunning, notSince},
		{"it has never synced", synced(0), change.StepRunning, notSince},
		{"it has four intervals for it", all(synced(3*time.Hour), patience), change.StepRunning, "emea>apac has not synced since 2026-03-02 09:50 UTC"},
		{"and no more", all(synced(3*time.Hour), impatience), change.StepWaiting, "for a person, after 2 h 10 min: emea>apac has not synced since 2026-03-02 09:49 UTC"},
		{"a full sync of an hour has an hour more", all(synced(3*time.Hour), impatience, long), change.StepRunning, "emea>apac has not synced since 2026-03-02 09:49 UTC"},
		{"ada has seen it sync, and it reads otherwise", all(synced(31*time.Minute), confirmed), change.StepRunning, notSince + "; ada confirmed it at 2026-03-02 11:50 UTC"},
		{"half of the users are there", copies(100), change.StepRunning, "it holds 100 of 200 users"},
		{"they stay away", all(copies(100), impatience), change.StepWaiting, "for a person, after 2 h 10 min: it holds 100 of 200 users; mend that (`peerkeeper explain emea>apac`), or skip the step with a reason"},
		{"Cisco's log tells of a failure since", logFails(10 * time.Minute), change.StepWaiting, mend + "ICSA of emea has logged at 2026-03-02 11:50 UTC that a sync from apac failed, and none that succeeded since the change"},
		{"Cisco's log tells of a failure before", logFails(40 * time.Minute), change.StepDone, well},
		{"the entry has gone", missing, change.StepWaiting, mend + ""},
		{"the entry uses the other protocol", emeaEntry(func(e *peer.Entry) { e.Protocol = mesh.TLSProto }), change.StepWaiting, mend + ""},
		{"the password in it is wrong", emeaEntry(func(e *peer.Entry) { e.Error = "credentials" }), change.StepWaiting, mend + ""},
		{"ICSA does not run", func(s *scene) {
			s.clusters["emea"].Seen.Nodes[emeaPub].Services.Value[peer.ICSA] = peer.Service{Status: "Stopped", UpTime: -1, Code: peer.CodeCommandedOut}
		}, change.StepWaiting, mend + ""},
		{"nothing tells when it synced", all(clockless, began(time.Minute)), change.StepRunning, "not read yet: when it synced (Last Synchronized Time)"},
		{"nor in ten minutes", all(clockless, began(10*time.Minute)), change.StepRunning, "not read yet: when it synced (Last Synchronized Time)"},
		{"nor after two looks", all(clockless, began(11*time.Minute)), change.StepWaiting, "for a person to look and confirm it; it cannot be read: when it synced (Last Synchronized Time)"},
		{"ada has seen it", all(clockless, confirmed), change.StepDone, "ada says that the rest is so, which cannot be read: when it synced (Last Synchronized Time)"},
		{"the users are not counted here", usersUnread("emea"), change.StepRunning, "not read yet: how many users it holds (Associated Users)"},
		{"the users are not counted at home", usersUnread("apac"), change.StepRunning, "not read yet: how many users it holds (Associated Users)"},
		{"peersync has not judged the sync yet", finds(peer.Synced, peer.False), change.StepRunning, "it synced at 2026-03-02 11:50 UTC, and the next look has yet to say so"},
		{"as many users, but others", finds(peer.UsersMatch, peer.False), change.StepWaiting, mend + "as peersync found it"},
		{"as many users, who are not compared", finds(peer.UsersMatch, peer.UnknownStatus), change.StepRunning, "as peersync found it"},
		{"as many as were at home at the last sync", all(copies(199), finds(peer.UsersMatch, peer.True)), change.StepDone, "Associated Users: 199, and 200 at home, where they have just changed"},
		{"the releases do not go together", finds(peer.Compatible, peer.False), change.StepWaiting, mend + "as peersync found it"},
		{"the other end's name does not resolve", certcheckFinds(peer.NamesResolve, peer.False), change.StepWaiting, mend + "as certcheck found it"},
		{"certificates are no matter over TCP", certcheckFinds(peer.CertificateTrusted, peer.False), change.StepDone, well},
		{"with TLS they are", all(overTLS, certcheckFinds(peer.CertificateTrusted, peer.False)), change.StepWaiting, mend + "as certcheck found it"},
		{"with TLS they are exchanged", all(overTLS, certcheckFinds(peer.CertificateTrusted, peer.True)), change.StepDone, strings.Replace(well, "tcp", "tls", 1) + "; as certcheck found it."},
		{"with TLS they are not read", overTLS, change.StepRunning, "whether certificates are exchanged (Certificate Status)"},
	})
}

// TestWhatIsReadOfAPairSpeaksAgainstAPerson: be it wrong, or still to come, or both.
func TestWhatIsReadOfAPairSpeaksAgainstAPerson(t *testing.T) {
	for name, tt := range map[string]struct {
		read func(s *scene)
		want bool
	}{
		"it has not synced":                            {synced(31 * time.Minute), true},
		"its password is wrong":                        {emeaEntry(func(e *peer.Entry) { e.Error = "credentials" }), true},
		"its password is wrong, and it has not synced": {all(emeaEntry(func(e *peer.Entry) { e.Error = "credentials" }), synced(31*time.Minute)), true},
		"nothing tells when it synced":                 {clockless, false},
	} {
		s := newScene(t, change.Step{Op: change.OpVerifyPair, Pair: emeaApac})
		all(tt.read, confirmed)(s)
		if got := s.looks(); got.Said.Contradicted != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// logFails has Cisco's log of emea tell that a sync from apac failed, so long ago; the entry
// has not synced for an hour.
func logFails(d time.Duration) func(s *scene) {
	return func(s *scene) {
		r := peer.LogRecord{Read: noon, Since: ago(24 * time.Hour)}
		r.Add("apac", ciscolog.Event{Facility: ciscolog.ICSA, Alarm: ciscolog.PeriodicSyncingFailure}.Outcome(), peer.Word{Alarm: ciscolog.PeriodicSyncingFailure, At: ago(d), Dating: ciscolog.Dated})
		put(s.t, s.Store, store.Log(s.Mesh.Name, "emea"), record.LogSchema, r)
		if d < 20*time.Minute {
			synced(time.Hour)(s)
		}
	}
}

// TestEntriesThatMeshYAMLDoesNotTellOf: whether they log in with the new password.
func TestEntriesThatMeshYAMLDoesNotTellOf(t *testing.T) {
	unpaired := func(s *scene) { s.Mesh.Peers = nil }
	of := func(address string, change func(e *peer.Entry)) peer.Entry {
		e := peer.Entry{Address: address, Protocol: mesh.TCP, LastSync: ago(10 * time.Minute), HasClock: true, HasError: true}
		if change != nil {
			change(&e)
		}
		return e
	}
	refused := func(e *peer.Entry) { e.Error = peer.ErrorCredentials }
	late := func(e *peer.Entry) { e.LastSync = ago(30 * time.Minute) }
	noClock := func(e *peer.Entry) { e.HasClock = false }
	ahead := func(s *scene) { s.clusters["emea"].Seen.Skew = peer.Known(25*time.Minute, noon) }
	pub, sub := string(apacPub), string(apacSub)
	looked(t, change.Step{Op: change.OpVerifyPair, Pair: emeaApac}, []look{
		{"it has synced since", all(unpaired, lists(of(pub, nil))), change.StepDone, "the entry for imp-apac-pub.example.com synced at 2026-03-02 11:50 UTC"},
		{"it names the subscriber", all(unpaired, lists(of(sub, nil))), change.StepDone, "the entry for imp-apac-sub.example.com synced at 2026-03-02 11:50 UTC"},
		{"both are there", all(unpaired, lists(of(pub, nil), of(sub, late))), change.StepRunning, "the entry for imp-apac-sub.example.com has not synced since 2026-03-02 11:30 UTC"},
		{"by a clock that is ahead it has", all(unpaired, ahead, lists(of(pub, nil))), change.StepRunning, "the entry for imp-apac-pub.example.com has not synced since 2026-03-02 11:30 UTC"},
		{"its password is refused", all(unpaired, lists(of(pub, refused))), change.StepWaiting, "apac refuses the AXL user name or password in emea's entry for imp-apac-pub.example.com"},
		{"nothing tells when it synced", all(unpaired, lists(of(pub, noClock)), confirmed), change.StepDone, "ada says that the rest is so, which cannot be read: when the entry for imp-apac-pub.example.com synced"},
		{"its cluster has never been read", all(unpaired, unrecorded("emea"), lists(of(pub, nil))), change.StepDone, "the entry for imp-apac-pub.example.com synced at 2026-03-02 11:50 UTC"},
		{"it is gone", all(unpaired, lists()), change.StepDone, "no entry for apac is there any more"},
		{"the peer table cannot be read", all(unpaired, alone, clockless, confirmed), change.StepDone, "ada says that the rest is so, which cannot be read: no connection"},
		{"the peer table cannot be read now, and was since", all(unpaired, alone), change.StepDone, "synced at 2026-03-02 11:50 UTC"},
	})
}

func TestSinceWhenAPairIsAsThePlanWantsIt(t *testing.T) {
	at := func(s string) time.Time {
		out, err := time.Parse("15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return time.Date(2026, 3, 2, out.Hour(), out.Minute(), 0, 0, time.UTC)
	}
	step := func(op change.Op, pair mesh.PeerID, state change.StepState) change.Step {
		return change.Step{Op: op, Cluster: pair.From, Pair: pair, State: state, Began: at("11:40"), Since: at("11:45")}
	}
	back := emeaApac.Reverse()
	other := mesh.PeerID{From: "emea", To: "amer"}
	for _, tt := range []struct {
		name string
		step change.Step
		want string
	}{
		{"its entry was looked for", step(change.OpAddEntry, emeaApac, change.StepDone), "11:40"},
		{"its entry was left out", step(change.OpAddEntry, emeaApac, change.StepSkipped), "11:30"},
		{"the other end's entry brings it no user", step(change.OpAddEntry, back, change.StepDone), "11:30"},
		{"its entry was edited", step(change.OpEditEntry, emeaApac, change.StepDone), "11:45"},
		{"the other end's entry was edited", step(change.OpEditEntry, back, change.StepDone), "11:45"},
		{"editing it was left out", step(change.OpEditEntry, emeaApac, change.StepSkipped), "11:30"},
		{"the other end's entry was deleted", step(change.OpDeleteEntry, back, change.StepDone), "11:45"},
		{"its password was entered", step(change.OpEnterCredentials, emeaApac, change.StepDone), "11:45"},
		{"the other end's password is another", step(change.OpEnterCredentials, back, change.StepDone), "11:30"},
		{"another pair's entry was edited", step(change.OpEditEntry, other, change.StepDone), "11:30"},
		{"its entry was looked for before the plan was started", change.Step{Op: change.OpAddEntry, Cluster: "emea", Pair: emeaApac, State: change.StepDone, Began: at("11:00")}, "11:30"},
		{"a bell was read", step(change.OpAskBell, emeaApac, change.StepDone), "11:30"},
		{"it was edited before the plan was started", change.Step{Op: change.OpEditEntry, Cluster: "emea", Pair: emeaApac, State: change.StepDone, Since: at("11:00")}, "11:30"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, change.Step{Op: change.OpVerifyPair, Pair: emeaApac})
			s.before(tt.step)
			if got := changed(s.plan, s.step); !got.Equal(at(tt.want)) {
				t.Errorf("since %s, want %s", got.Format("15:04"), tt.want)
			}
		})
	}
}

func TestAPersonIsToldHowManyUsersToExpect(t *testing.T) {
	s := newScene(t, change.Step{Op: change.OpLook, Pair: emeaApac})
	if got := s.looks(); got.Value != "200" || got.State != change.StepWaiting {
		t.Errorf("%+v", got)
	}
	s = newScene(t, change.Step{Op: change.OpLook, Pair: emeaApac})
	usersUnread("apac")(s)
	if got := s.looks(); got.Value != "" {
		t.Errorf("of users nobody has counted: %+v", got)
	}
}
