package peering

import (
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/change"
	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// deleted has ada have said at 11:50 that the entry is deleted; so many copies were there
// before.
func deleted(before string, state change.StepState) func(s *scene) {
	return func(s *scene) {
		s.before(change.Step{Op: change.OpDeleteEntry, Cluster: "emea", Pair: emeaApac.Reverse(), State: change.StepDone, Before: "999"})
		s.before(change.Step{Op: change.OpDeleteEntry, Cluster: "emea", Pair: emeaApac, State: state, Before: before, Evidence: "skipped by ada: INC7", Said: &change.Said{Verb: change.Confirm, Actor: "ada", At: ago(10 * time.Minute)}})
	}
}

// logTells has Cisco's log of emea be read at noon, and tell of a sync of apac so long ago; 0 is
// none.
func logTells(synced time.Duration) func(s *scene) {
	return func(s *scene) {
		r := peer.LogRecord{Read: noon, Since: ago(24 * time.Hour)}
		if synced > 0 {
			r.Add("apac", ciscolog.Event{Facility: ciscolog.ICSA, Alarm: ciscolog.Status, Text: "Periodic sync completed successfully"}.Outcome(), peer.Word{Alarm: ciscolog.Status, At: ago(synced), Dating: ciscolog.Dated})
		}
		put(s.t, s.Store, store.Log(s.Mesh.Name, "emea"), record.LogSchema, r)
	}
}

func TestWhatIsLeftOfADeletedEntry(t *testing.T) {
	began := func(d time.Duration) func(s *scene) {
		return func(s *scene) {
			s.step.Began, s.step.State = ago(d), change.StepRunning
			s.plan.Started = ago(3 * time.Hour)
		}
	}
	none := all(lists(), copies(0))
	countedBefore := func(s *scene) { s.clusters["emea"].Seen.Users.At = ago(31 * time.Minute) }
	nobodyAtHome := func(s *scene) {
		s.clusters["apac"].Seen.Users.Value[apacPub], s.clusters["apac"].Seen.Users.Value[apacSub] = 0, 0
	}
	saidAt := func(d time.Duration) func(s *scene) {
		return func(s *scene) { confirmed(s); s.step.Said.At = ago(d) }
	}
	did := deleted("200", change.StepDone)
	const (
		asks   = "for a person to look and confirm it: "
		adaDid = "ada said at 2026-03-02 11:50 UTC that the entry is deleted (step 2)"
		nobody = "nobody has said that the entry is deleted"
		blind  = "; it cannot be read: no connection"
		shown  = "no copies of users of apac, of which there were 200: by that the entry is gone (inferred), and "
	)
	looked(t, change.Step{Op: change.OpVerifyGone, Pair: emeaApac}, []look{
		{"nothing", none, change.StepDone, "no entry, and no copies"},
		{"the entry", copies(0), change.StepWaiting, "for a person to delete it: the entry for apac is there"},
		{"the entry, and ada says that it is gone", all(copies(0), confirmed), change.StepWaiting, "for a person to delete it: the entry for apac is there; ada confirmed it at 2026-03-02 11:50 UTC"},
		{"an entry for the subscriber", all(lists(entry(string(apacSub))), copies(0)), change.StepWaiting, "for a person to delete it: the entry for apac is there"},
		{"copies", all(lists(), copies(7)), change.StepRunning, "7 copies of users of apac are still there"},
		{"copies, as long as ICSA may take", all(lists(), copies(7), began(2*time.Hour)), change.StepRunning, "7 copies of users of apac are still there"},
		{"copies, for longer", all(lists(), copies(7), began(2*time.Hour+time.Minute)), change.StepWaiting, "for a person: 7 copies of users of apac are still there; is the entry deleted?"},
		{"copies, says ada, are gone", all(lists(), copies(7), began(2*time.Hour+time.Minute), confirmed), change.StepWaiting, "for a person: 7 copies of users of apac are still there; ada confirmed it"},
		{"copies that were counted before", all(none, countedBefore), change.StepRunning, "the copies have not been counted since"},
		{"copies are not counted", all(none, usersUnread("emea")), change.StepRunning, "the copies have not been counted since"},
		{"the cluster has never been read", all(none, unrecorded("emea")), change.StepRunning, "the copies have not been counted since"},
		{"nor after two looks", all(none, usersUnread("emea"), began(10*time.Minute)), change.StepWaiting, asks + nobody + "; it cannot be read: how many copies there are"},
		{"entries and copies cannot be read", all(alone, usersUnread("emea"), began(10*time.Minute)), change.StepWaiting, asks + nobody + blind + "; how many copies there are"},
		{"entries cannot be read, and no copies were known", all(alone, copies(0)), change.StepWaiting, asks + nobody + "; no copies of users of apac are there, but none were known before either" + blind},
		{"its copies have gone with it", all(alone, copies(0), did), change.StepDone, shown + "no copy comes without it; nobody need confirm it, though it cannot be read: no connection"},
		{"as far as anybody has said, it was left there", all(alone, copies(0), deleted("200", change.StepSkipped), nobodyAtHome), change.StepWaiting, asks + "step 2, which deletes the entry, was skipped by ada: INC7"},
		{"there were no copies of it", all(alone, copies(0), deleted("0", change.StepDone)), change.StepWaiting, asks + adaDid + "; no copies of users of apac are there, but none were known before either" + blind},
		{"its copies have gone, as have the users at home", all(alone, copies(0), did, nobodyAtHome), change.StepWaiting, asks + adaDid + "; no copies of users of apac are there, but none is at home there any more" + blind},
		{"its copies have gone, and who is at home is not known", all(alone, copies(0), did, usersUnread("apac")), change.StepDone, shown + "no copy comes without it"},
		{"its copies are not counted", all(alone, usersUnread("emea"), did, began(10*time.Minute)), change.StepWaiting, asks + adaDid + blind + "; how many copies there are"},
		{"its copies have gone, and its log is silent", all(alone, copies(0), did, logTells(0)), change.StepDone, shown + "Cisco's log tells of no sync of it any more"},
		{"its log told of a sync before", all(alone, copies(0), did, logTells(40*time.Minute)), change.StepDone, shown + "Cisco's log tells of no sync of it any more"},
		// Half an hour is its interval, and two looks are ten minutes.
		{"its log tells of a sync since", all(alone, copies(0), did, logTells(5*time.Minute)), change.StepRunning, "no copies of users of apac are there, and " + adaDid + "; but Cisco's log of emea tells of a sync of it at 2026-03-02 11:55 UTC; if none follows until 2026-03-02 12:35 UTC, the entry is gone"},
		{"of one, and none has followed", all(alone, copies(0), did, began(0), logTells(40*time.Minute)), change.StepDone, shown + "Cisco's log tells of no sync of it any more"},
		{"of one, and the copies are not counted", all(alone, usersUnread("emea"), did, logTells(5*time.Minute)), change.StepRunning, "the copies have not been counted since"},
		{"ada has looked at the entries", all(alone, copies(0), confirmed), change.StepDone, "ada says so; it cannot be read: no connection"},
		{"ada has counted", all(none, usersUnread("emea"), confirmed), change.StepDone, "ada says so; it cannot be read: how many copies there are"},
		{"ada has looked before the log told of a sync", all(alone, copies(0), did, logTells(5*time.Minute), saidAt(6*time.Minute)), change.StepRunning, "but Cisco's log of emea tells of a sync of it"},
		{"ada has looked since the log told of a sync", all(alone, copies(0), did, logTells(5*time.Minute), saidAt(4*time.Minute)), change.StepDone, "ada says so; it cannot be read: no connection"},
	})
	s := newScene(t, change.Step{Op: change.OpVerifyGone, Pair: emeaApac})
	all(copies(0), confirmed)(s)
	if got := s.looks(); !got.Said.Contradicted {
		t.Error("that the entry is there does not speak against what ada says")
	}
}

func TestCertificatesThatAreLeftOverAreNamed(t *testing.T) {
	holds := func(newer bool, subjects ...string) func(s *scene) {
		return func(s *scene) {
			r := certificate.Record{At: noon, Trust: map[string]certificate.Store{}}
			of := r.Trust["cup-xmpp-trust"]
			for _, subject := range subjects {
				of.Entries = append(of.Entries, certificate.Entry{Subject: subject})
			}
			r.Trust["cup-xmpp-trust"] = of
			schema := record.CertSchema
			if newer {
				schema++
			}
			put(s.t, s.Store, store.Cert(s.Mesh.Name, "emea"), schema, r)
		}
	}
	looked(t, change.Step{Op: change.OpLeftovers, Pair: emeaApac}, []look{
		{"one of the publisher", holds(false, "imp-amer-pub.example.com", string(apacPub)), change.StepWaiting, "for a person; held: cup-xmpp-trust imp-apac-pub.example.com"},
		{"none", holds(false, "imp-amer-pub.example.com"), change.StepWaiting, "for a person; none was found in what was read"},
		{"the stores are not read", nil, change.StepWaiting, "for a person; the trust stores of emea are not read here"},
		{"ada has seen to it", all(holds(false, string(apacPub)), confirmed), change.StepDone, "ada says so"},
	})
}
