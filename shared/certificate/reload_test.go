package certificate

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// prepared has apac's publisher name a certificate that it does not serve yet, and
// that came into emea's store a while ago.
func (e *exchange) prepared(ago time.Duration, notOn ...int) {
	s := e.next(func(s *Served) { s.Pinned = true })
	e.came(48 * time.Hour)
	change(e.certs, "emea", func(_ *Record, store *Store) {
		print := ShortPrint(s.Fingerprint)
		store.Entries = append(store.Entries, Entry{Print: print, Subject: string(apacPublisher), Ends: s.NotAfter, Not: notOn})
		store.Came = map[string]time.Time{print: certNoon().Add(-ago)}
	})
}

// TestACertificateIsReadBeforeItIsServed: no sync can show whether ICSA has read what
// is not served yet, so that a restart is asked for whatever the syncs do.
func TestACertificateIsReadBeforeItIsServed(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(e *exchange)
		want bool
	}{
		{"it came, and ICSA has run since before", func(e *exchange) { e.prepared(10 * time.Minute); e.synced(time.Minute) }, true},
		{"it was always there", func(e *exchange) {
			e.prepared(10 * time.Minute)
			change(e.certs, "emea", func(_ *Record, store *Store) { store.Came = nil })
		}, false},
		{"ICSA was restarted since", func(e *exchange) { e.prepared(10 * time.Minute); e.icsa("emea", 9*time.Minute) }, false},
		{"not every node has it yet", func(e *exchange) { e.prepared(59*time.Minute, 1) }, false},
		{"not every node has it in an hour", func(e *exchange) { e.prepared(time.Hour, 1) }, true},
		{"it came a week ago", func(e *exchange) { e.prepared(ImportLife) }, true},
		{"it came more than a week ago", func(e *exchange) { e.prepared(ImportLife + time.Second) }, false},
	} {
		e := newExchange()
		c.do(e)
		got := e.reloads()
		if (len(got) > 0) != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
		for _, p := range got {
			if !strings.Contains(p.Approval, "it must have read this one before it is served") || !strings.Contains(p.Why, "tomcat of imp-apac-pub.example.com came into the tomcat-trust of emea at") {
				t.Errorf("%s: %q, %q", c.name, p.Why, p.Approval)
			}
		}
	}
}

// TestWhatWaitsForAReload of what came into the stores of those that pull from apac:
// whether some ICSA has yet to show that it has read it, and whether one has had its
// chance.
func TestWhatWaitsForAReload(t *testing.T) {
	for _, c := range []struct {
		name       string
		do         func(e *exchange)
		waits, due bool
	}{
		{"nothing came", func(*exchange) {}, false, false},
		{"it came, and the next sync is not due", func(e *exchange) { e.came(34 * time.Minute) }, true, false},
		{"it came, and a sync has been due since", func(e *exchange) { e.came(35 * time.Minute) }, true, true},
		{"it came, and a node of emea does not have it yet", func(e *exchange) { e.came(59*time.Minute, 1) }, true, false},
		{"it came an hour ago, and a node of emea does not have it", func(e *exchange) { e.came(time.Hour, 1) }, true, true},
		{"a sync has succeeded since", func(e *exchange) { e.came(time.Hour); e.synced(time.Minute) }, false, false},
		{"ICSA was restarted since", func(e *exchange) { e.came(time.Hour); e.icsa("emea", time.Minute) }, false, false},
		{"of one that is not served yet the timeline tells", func(e *exchange) { e.prepared(time.Hour); e.synced(time.Minute) }, false, false},
		{"emea's is due, and amer's is not", func(e *exchange) {
			e.came(time.Hour)
			change(e.certs, "amer", func(_ *Record, store *Store) {
				store.Came = map[string]time.Time{ShortPrint(print64(string(apacPublisher) + " RSA")): certNoon().Add(-time.Minute)}
			})
		}, true, true},
	} {
		e := newExchange()
		c.do(e)
		if waits, due := e.view().Reloading("apac"); waits != c.waits || due != c.due {
			t.Errorf("%s: waits %v, due %v", c.name, waits, due)
		}
		if waits, due := e.view().Reloading("amer"); waits || due {
			t.Errorf("%s: of amer, to which nothing came: waits %v, due %v", c.name, waits, due)
		}
	}
}

// TestTheLatestArrivalCounts: of both certificates of a publisher, and never one of
// another node or store.
func TestTheLatestArrivalCounts(t *testing.T) {
	e := newExchange()
	e.came(3 * time.Hour)
	twin := selfSigned(apacPublisher, "its twin")
	e.certs["apac"].Served[apacPublisher][onECDSA] = twin
	change(e.certs, "emea", func(_ *Record, store *Store) {
		store.Entries = append(store.Entries, Entry{Print: ShortPrint(twin.Fingerprint), Subject: string(apacPublisher), EC: true, Not: []int{1}})
		store.Came[ShortPrint(twin.Fingerprint)] = certNoon().Add(-2 * time.Hour)
		store.Came[ShortPrint(print64(string(apacSubject)+" RSA"))] = certNoon().Add(-time.Hour) // nobody pulls from it
	})
	came, ok := e.view().latestArrival(emeaApac(), false)
	if !ok || !came.at.Equal(certNoon().Add(-2*time.Hour)) || came.service != "tomcat-ECDSA" || came.node != apacPublisher || !came.spreading || !came.first.Equal(twin.First) {
		t.Errorf("%v %+v", ok, came)
	}
	change(e.certs, "emea", func(_ *Record, store *Store) { // whichever of the two is listed first
		store.Came[ShortPrint(print64(string(apacPublisher)+" RSA"))] = certNoon().Add(-time.Minute)
	})
	if came, ok = e.view().latestArrival(emeaApac(), false); !ok || came.service != "tomcat" || came.spreading || !came.at.Equal(certNoon().Add(-time.Minute)) {
		t.Errorf("%v %+v", ok, came)
	}
}

// TestByACAIsAnArrivalToo: what comes is the CA.
func TestByACAIsAnArrivalToo(t *testing.T) {
	e := newExchange()
	e.byCA(false, certNoon().AddDate(5, 0, 0), "emea")
	change(e.certs, "emea", func(_ *Record, store *Store) {
		store.Came = map[string]time.Time{ShortPrint(print64("by CA 0")): certNoon().Add(-time.Hour)}
	})
	if came, ok := e.view().latestArrival(emeaApac(), false); !ok || came.service != "tomcat" || came.spreading {
		t.Errorf("%v %+v", ok, came)
	}
	m := mesh.PeerID{From: "amer", To: "apac"}
	if came, ok := e.view().latestArrival(m, false); ok {
		t.Errorf("amer lacks the CA: %+v", came)
	}
	if got := e.reloads(); len(got) != 1 || got[0].Action != peer.RestartService {
		t.Errorf("%+v", got)
	}
}
