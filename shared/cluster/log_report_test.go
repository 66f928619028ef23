package cluster

import (
	"fmt"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/peer"
)

// What a log is reported to tell of syncs, line by line.
func TestWhatALogTellsIsCounted(t *testing.T) {
	success := ciscolog.Event{Facility: ciscolog.ICSA, Alarm: ciscolog.Status, Dating: ciscolog.Dated, Text: "Periodic sync completed successfully", Raw: "it completed"}
	failure := ciscolog.Event{Facility: ciscolog.ICSA, Alarm: ciscolog.PeriodicSyncingFailure, Dating: ciscolog.Dated, Text: "Periodic syncing failed", Raw: "it failed"}
	undated := failure
	undated.Dating = ciscolog.Undated
	other := success
	other.Facility = "SRM"
	r := LogReport{Alarms: map[ciscolog.Alarm]int{}}
	second := success
	second.Raw = "it completed again"
	for _, e := range []ciscolog.Event{other, failure, undated, success, second} {
		r.count(e, nil)
	}
	if r.Successes != 2 || r.Failures != 2 || r.Undated != 1 || r.Alarms[ciscolog.Status] != 2 || r.Alarms[ciscolog.PeriodicSyncingFailure] != 2 || len(r.Alarms) != 2 {
		t.Errorf("%+v", r)
	}
	if r.Sample != "it completed" {
		t.Errorf("the first success is the line to look at, not %q", r.Sample)
	}
	failed := LogReport{Alarms: map[ciscolog.Alarm]int{}}
	failed.count(failure, nil)
	again := failure
	again.Raw = "it failed again"
	failed.count(again, nil)
	if failed.Sample != "it failed" {
		t.Errorf("without a success it is the first line, not %q", failed.Sample)
	}
}

// The names of alarms are the node's to choose: fifty are told apart, and those go on being
// counted.
func TestALogOfManyAlarmsIsBounded(t *testing.T) {
	r := LogReport{Alarms: map[ciscolog.Alarm]int{}}
	for range 2 {
		for i := range 60 {
			r.count(ciscolog.Event{Facility: ciscolog.ICSA, Alarm: ciscolog.Alarm(fmt.Sprintf("Alarm%02d", i))}, nil)
		}
	}
	if len(r.Alarms) != 50 || r.Alarms["Alarm00"] != 2 || r.Alarms["Alarm49"] != 2 {
		t.Errorf("%d alarms: %v", len(r.Alarms), r.Alarms)
	}
}

// A log and its copy are reported as one: from the first line of both to the last.
func TestALogAndItsCopyAreReportedAsOne(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 2, hour, 0, 0, 0, time.UTC) }
	var r LogReport
	for _, x := range []ciscolog.Extent{{}, {First: at(8), Last: at(10)}, {First: at(9), Last: at(9)}, {First: at(6), Last: at(8)}, {First: at(10), Last: at(12)}, {}} {
		r.span(x)
	}
	if r.First == nil || !r.First.Equal(at(6)) || !r.Last.Equal(at(12)) {
		t.Errorf("from %v to %v", r.First, r.Last)
	}
}

// What was not asked because an earlier statement went wrong has that for its reason; what
// was read, or went wrong by itself, stays.
func TestWhatWasNotAskedHasTheReasonOfWhatWentWrong(t *testing.T) {
	db := unreadDatabase(peer.NotChecked, "")
	fillUnlooked(&db, unreadDatabase(peer.Overloaded, "the pool of AXL is full"))
	for name, why := range map[string]peer.Reason{"users": db.users.Why(), "entries": db.entries.Why(), "topology": db.topology.Why(), "syncAgent": db.syncAgent.Why(), "params": db.params.Why()} {
		if why != peer.Overloaded {
			t.Errorf("%s: %s", name, why)
		}
	}
	fillUnlooked(&db, unreadDatabase(peer.TimedOut, ""))
	for name, why := range map[string]peer.Reason{"users": db.users.Why(), "entries": db.entries.Why(), "topology": db.topology.Why(), "syncAgent": db.syncAgent.Why(), "params": db.params.Why()} {
		if why != peer.Overloaded {
			t.Errorf("%s was asked, and is %s now", name, why)
		}
	}
}
