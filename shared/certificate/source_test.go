package certificate

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// TestTwoSourcesOfOneCertificate: what apac's publisher serves to Peerkeeper, and
// what its certificate management names. amer's store holds the served one, and
// emea's none, unless a case says otherwise.
func TestTwoSourcesOfOneCertificate(t *testing.T) {
	const agreed, disputed, open = "they agree", "they differ", "neither"
	differs := func(e *exchange) Served {
		return e.next(func(s *Served) { s.Pinned = true })
	}
	hold := func(e *exchange, id mesh.ClusterID, s Served) { e.inStore(id, s) }
	none := func(e *exchange) {
		change(e.certs, "amer", func(_ *Record, store *Store) { forget(store, print64(string(apacPublisher)+" RSA")) })
	}
	byCA := func(s *Served) { s.SelfSigned, s.Issuer = false, "CN=Example CA" }
	vouch := func(e *exchange, prints ...string) {
		change(e.certs, "amer", func(_ *Record, store *Store) {
			store.Entries = append(store.Entries, Entry{Print: "ca", Subject: "Example CA", CA: true, Ends: certNoon().AddDate(1, 0, 0)})
			store.Vouched = map[string]int{}
			for _, p := range prints {
				store.Vouched[ShortPrint(p)] = len(store.Entries) - 1
			}
		})
	}
	servedPrint := print64(string(apacPublisher) + " RSA")
	for _, c := range []struct {
		name string
		do   func(*exchange)
		want string
	}{
		{"both are the same", func(*exchange) {}, agreed},
		{"both were the same, and it cannot be read now", func(e *exchange) { e.serve(apacPublisher, func(s *Served) { s.Error = "timed out" }) }, open},
		{"both are the same, which certificate management named at an earlier look", func(e *exchange) {
			s := e.certs["apac"].Served[apacPublisher][onRSA]
			s.Error = "not read at the last look"
			e.name(s)
		}, open},
		{"certificate management was never read", func(e *exchange) { e.unnamed() }, open},
		{"certificate management names none", func(e *exchange) { e.name(Served{}) }, open},
		{"nothing is served", func(e *exchange) {
			differs(e)
			e.serve(apacPublisher, func(s *Served) { *s = Served{Error: "refused"} })
		}, open},
		{"a renewal that is not served yet: the peers hold the served one alone", func(e *exchange) { differs(e) }, open},
		{"neither is in any store", func(e *exchange) { differs(e); none(e) }, disputed},
		{"the peers hold the one that the node names alone", func(e *exchange) { none(e); hold(e, "amer", differs(e)) }, disputed},
		{"one peer holds each", func(e *exchange) { hold(e, "emea", differs(e)) }, disputed},
		{"neither is in any store, and both agreed before", func(e *exchange) {
			differs(e)
			none(e)
			e.serve(apacPublisher, func(s *Served) { s.Agreed = certNoon().Add(-6 * time.Hour) })
		}, open},
		{"the node names what took the place of the served one", func(e *exchange) {
			e.next(func(s *Served) { s.Replaced = servedPrint })
			none(e)
		}, open},
		{"the served one took the place of what the node names", func(e *exchange) {
			own := differs(e)
			e.serve(apacPublisher, func(s *Served) { s.Replaced = own.Fingerprint })
		}, disputed},
		{"by one CA, and the named one is newer: a renewal", func(e *exchange) {
			e.serve(apacPublisher, byCA)
			own := e.next(func(s *Served) { byCA(s); s.NotBefore = s.NotBefore.Add(time.Hour) })
			vouch(e, servedPrint, own.Fingerprint)
		}, open},
		{"by one CA, and the named one is no newer", func(e *exchange) {
			e.serve(apacPublisher, byCA)
			own := e.next(byCA)
			vouch(e, servedPrint, own.Fingerprint)
		}, disputed},
		{"the served one is self-signed, the named one by a CA and newer", func(e *exchange) {
			own := e.next(func(s *Served) { byCA(s); s.NotBefore = s.NotBefore.Add(time.Hour) })
			vouch(e, servedPrint, own.Fingerprint)
		}, disputed},
		{"the served one is by a CA, the named one self-signed and newer", func(e *exchange) {
			e.serve(apacPublisher, byCA)
			own := e.next(func(s *Served) { s.NotBefore = s.NotBefore.Add(time.Hour) })
			hold(e, "emea", own)
		}, disputed},
		{"by a CA of which no store knows the served one", func(e *exchange) {
			none(e)
			e.serve(apacPublisher, byCA)
			own := e.next(func(s *Served) { byCA(s); s.NotBefore = s.NotBefore.Add(time.Hour) })
			vouch(e, own.Fingerprint)
		}, disputed},
		{"certificate management was read last before it was served so", func(e *exchange) {
			none(e)
			e.next(func(s *Served) { s.Error, s.Read = "not read at the last look", certNoon().Add(-2*time.Hour) })
			e.serve(apacPublisher, func(s *Served) { s.Sighted = certNoon().Add(-time.Hour) })
		}, open},
		{"certificate management was read last when it was served so already", func(e *exchange) {
			none(e)
			e.next(func(s *Served) { s.Error, s.Read = "not read at the last look", certNoon().Add(-time.Hour) })
			e.serve(apacPublisher, func(s *Served) { s.Sighted = certNoon().Add(-2 * time.Hour) })
		}, disputed},
		{"certificate management has not been read for too long", func(e *exchange) {
			none(e)
			e.next(func(s *Served) { s.Error, s.Read = "not read at the last look", certNoon().AddDate(0, 0, -9) })
			e.serve(apacPublisher, func(s *Served) { s.Sighted = certNoon().AddDate(0, 0, -10) })
		}, open},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchange()
			c.do(e)
			was := e.certs["apac"].Served[apacPublisher][onRSA].Agreed
			SettleSources(e.m, e.certs, "apac", certNoon())
			served, own := e.certs["apac"].Served[apacPublisher][onRSA], e.certs["apac"].Identity[apacPublisher]["tomcat"]
			got := open
			switch {
			case served.Disputed:
				got = disputed
			case !served.Agreed.Equal(was):
				got = agreed
			}
			if got != c.want || own.Disputed != served.Disputed {
				t.Errorf("%s, want %s; of the named one %v", got, c.want, own.Disputed)
			}
			if c.want == disputed && served.Fingerprint != own.Fingerprint {
				e.name(having(served, func(s *Served) { s.Disputed = true }))
				SettleSources(e.m, e.certs, "apac", certNoon())
				if s, own := e.certs["apac"].Served[apacPublisher][onRSA], e.certs["apac"].Identity[apacPublisher]["tomcat"]; s.Disputed || own.Disputed {
					t.Error("the node names the served one now, and they are still said to differ")
				}
			}
		})
	}
}

// TestOtherPortsHaveOneSource: what SIP's port serves is not compared, and hides
// nothing of what 8443 does.
func TestOtherPortsHaveOneSource(t *testing.T) {
	e := newExchange()
	e.unnamed()
	r := e.certs["apac"]
	cup, other := selfSigned(apacPublisher, "cup"), selfSigned(apacSubject, "what the node names")
	r.Ports = map[mesh.NodeName]map[Place]Served{apacPublisher: {{PortSIPTLS, "RSA"}: cup}}
	r.Identity = map[mesh.NodeName]map[string]Served{
		apacPublisher: {"cup": selfSigned(apacPublisher, "another cup")},
		apacSubject:   {"tomcat": other},
	}
	e.certs["apac"] = r
	for _, id := range []mesh.ClusterID{"emea", "amer"} {
		change(e.certs, id, func(_ *Record, store *Store) { forget(store, print64(string(apacSubject)+" RSA")) })
	}
	SettleSources(e.m, e.certs, "apac", certNoon())
	if s := e.certs["apac"].Ports[apacPublisher][Place{PortSIPTLS, "RSA"}]; s.Disputed {
		t.Error("of SIP's port it is said that the sources differ")
	}
	if !e.certs["apac"].Served[apacSubject][onRSA].Disputed {
		t.Error("of the subscriber it is not said that the sources differ")
	}
}

// TestWhoVouches: whether the store of a publisher has a certificate, or its CA, and
// whether it has no other of that name.
func TestWhoVouches(t *testing.T) {
	const pub = mesh.NodeName("imp-emea-pub.example.com")
	s := selfSigned(apacPublisher, "asked for")
	print := ShortPrint(s.Fingerprint)
	entry := Entry{Print: print, Subject: string(apacPublisher)}
	another := Entry{Print: "other", Subject: strings.ToUpper(string(apacPublisher))}
	ca := Entry{Print: "ca", Subject: "Example CA", CA: true}
	on := func(e Entry, not ...int) Entry { e.Not = not; return e }
	for _, c := range []struct {
		name       string
		store      Store
		held, only bool
	}{
		{"it holds it", Store{Entries: []Entry{entry}}, true, true},
		{"it holds nothing", Store{}, false, false},
		{"it holds another of that name", Store{Entries: []Entry{another}}, false, false},
		{"it holds both", Store{Entries: []Entry{another, entry}}, true, false},
		{"it holds both, the other on the subscriber alone", Store{Entries: []Entry{on(another, 0), entry}}, true, true},
		{"the subscriber alone holds it", Store{Entries: []Entry{on(entry, 0)}}, false, false},
		{"it holds it and a CA of that name", Store{Entries: []Entry{entry, {Print: "ca", Subject: string(apacPublisher), CA: true}}}, true, true},
		{"it holds its CA", Store{Entries: []Entry{ca}, Vouched: map[string]int{print: 0}}, true, true},
		{"the subscriber alone holds its CA", Store{Entries: []Entry{on(ca, 0)}, Vouched: map[string]int{print: 0}}, false, false},
		{"it holds the CA of another", Store{Entries: []Entry{ca}, Vouched: map[string]int{"other": 0}}, false, false},
		{"a record that points behind its entries", Store{Entries: []Entry{ca}, Vouched: map[string]int{print: 1}}, false, false},
		{"a record that points before its entries", Store{Entries: []Entry{ca}, Vouched: map[string]int{print: -1}}, false, false},
	} {
		c.store.Nodes = []StoreNode{{Name: pub, Read: certNoon()}, {Name: "imp-emea-sub1.example.com", Read: certNoon()}}
		if held, only := holds(Record{Trust: map[string]Store{peer.TomcatTrust: c.store}}, pub, s); held != c.held || only != c.only {
			t.Errorf("%s: held %v, alone %v", c.name, held, only)
		}
	}
	unread := Store{Nodes: []StoreNode{{Name: pub}}, Entries: []Entry{entry}}
	for name, r := range map[string]Record{"never read": {Trust: map[string]Store{peer.TomcatTrust: unread}}, "no store": {}, "another publisher's": {Trust: map[string]Store{peer.TomcatTrust: {Nodes: []StoreNode{{Name: "x", Read: certNoon()}}, Entries: []Entry{entry}}}}} {
		if held, only := holds(r, pub, s); held || only {
			t.Errorf("%s: held %v, alone %v", name, held, only)
		}
	}
}

// TestSourcesThatDifferAreSaid once, with what each of them showed.
func TestSourcesThatDifferAreSaid(t *testing.T) {
	say := func(do func(*exchange)) (out []peer.Finding) {
		e := newExchange()
		e.inBetween()
		do(e)
		for _, f := range e.view().StoreFindings("apac") {
			if f.Reason == SourcesDiffer {
				out = append(out, f)
			}
		}
		return out
	}
	own, shown := print64(string(apacPublisher)+" RSA"), print64("of something in between")
	basic := []string{"imp-apac-pub.example.com serves " + shown + " to Peerkeeper since 2026-06-02 07:00 UTC at the latest", "names " + own + " as its tomcat certificate", "the one that it names is vouched for by the store of emea, amer"}
	for _, c := range []struct {
		name   string
		do     func(*exchange)
		says   []string
		silent []string
	}{
		{"it is pinned", func(*exchange) {}, nil, []string{"the served one is vouched for", "synced since", "does not trust"}},
		{"nobody accepted it", func(e *exchange) { e.serve(apacPublisher, func(s *Served) { s.Pinned = false }) }, []string{"; Peerkeeper does not trust the served one"}, nil},
		{"tls.ca vouches for it", func(e *exchange) { e.serve(apacPublisher, func(s *Served) { s.Pinned, s.CA = false, true }) }, nil, []string{"does not trust"}},
		{"a store holds the served one too", func(e *exchange) { e.inStore("amer", e.certs["apac"].Served[apacPublisher][onRSA]) }, []string{"; the served one is vouched for by the store of amer"}, nil},
		{"one that pulls has synced since", func(e *exchange) { e.synced(time.Hour) }, []string{"; emea synced since"}, nil},
		{"one that pulls synced before", func(e *exchange) { e.synced(6 * time.Hour) }, nil, []string{"synced since"}},
	} {
		got := say(c.do)
		if len(got) != 1 || got[0].Node != apacPublisher || got[0].Subject == "" || got[0].NotAfter.IsZero() {
			t.Errorf("%s: %+v", c.name, got)
			continue
		}
		for _, says := range append(c.says, basic...) {
			if !strings.Contains(got[0].Message, says) {
				t.Errorf("%s: %q does not say %q", c.name, got[0].Message, says)
			}
		}
		for _, silent := range c.silent {
			if strings.Contains(got[0].Message, silent) {
				t.Errorf("%s: %q says %q", c.name, got[0].Message, silent)
			}
		}
	}
	if got := say(func(e *exchange) {
		e.serve(apacPublisher, func(s *Served) { s.Error, s.Read = "refused", certNoon().AddDate(0, 0, -9) })
	}); len(got) != 0 {
		t.Errorf("it has not been read for long, and may be another by now: %+v", got)
	}
	if got := say(func(e *exchange) { // of the subscriber the sources differ, of the publisher they do not
		e.serve(apacPublisher, func(s *Served) { s.Disputed = false })
		e.serve(apacSubject, func(s *Served) { s.Disputed = true })
	}); len(got) != 1 || got[0].Node != apacSubject {
		t.Errorf("the subscriber's alone: %+v", got)
	}
}

// TestWhyAnImportIsAskedFor: the sources that agree are named, and what a person is
// asked about.
func TestWhyAnImportIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		name          string
		do            func(*exchange)
		why, approval string
		pending       bool
		proofs        []peer.Proof
	}{
		{"both sources agree", func(*exchange) {}, "which imp-apac-pub.example.com serves to Peerkeeper and names as its own by certificate management", "", false, []peer.Proof{peer.ProofServed, peer.ProofIdentity}},
		{"certificate management is not read", func(e *exchange) { e.unnamed() }, "which imp-apac-pub.example.com serves to Peerkeeper", "one source alone tells that it is the node's own", false, []peer.Proof{peer.ProofServed}},
		{"a peer that holds it has synced over it", func(e *exchange) {
			e.unnamed()
			e.serve(apacPublisher, func(s *Served) { s.Sighted = certNoon().Add(-2 * time.Hour) })
			e.v.Clusters["amer"].Seen.Entries = peer.Known([]peer.Entry{{Address: string(apacPublisher), HasClock: true, LastSync: certNoon().Add(-time.Hour)}}, certNoon())
		}, "which imp-apac-pub.example.com serves to Peerkeeper; the store of amer holds it, and a sync has succeeded there since it was first seen", "", false, []peer.Proof{peer.ProofServed, peer.ProofSynced}},
		{"something else is served", func(e *exchange) { e.inBetween(); e.lack(apacPublisher, 24*time.Hour) }, "which the certificate management of imp-apac-pub.example.com names as its own", "what is served to Peerkeeper is another (sha256:" + print64("of something in between")[7:23] + "…)", true, []peer.Proof{peer.ProofIdentity}},
		{"not served yet", func(e *exchange) { e.came(48 * time.Hour); e.next(func(s *Served) { s.Pinned = true }) }, "imp-apac-pub.example.com has a new tomcat certificate (sha256:" + print64("the next one")[7:23] + "…) and does not serve it yet; the tomcat-trust of emea does not trust it", "it prepares a renewal that only you know of", true, []peer.Proof{peer.ProofIdentity}},
	} {
		e := newExchange()
		c.do(e)
		all := e.imports()
		if len(all) == 0 {
			t.Errorf("%s: nothing is asked for", c.name)
			continue
		}
		p := all[0]
		if !strings.HasSuffix(p.Why, c.why) || p.Approval != c.approval && !strings.HasPrefix(p.Approval, c.approval+":") || p.Source.Pending != c.pending {
			t.Errorf("%s: %q, approval %q, pending %v", c.name, p.Why, p.Approval, p.Source.Pending)
		}
		if len(p.Source.Proofs) != len(c.proofs) {
			t.Errorf("%s: proofs %v", c.name, p.Source.Proofs)
		}
	}
}
