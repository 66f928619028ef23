package certificate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// TestTimelineOrder: whatever is renewed, the new certificate is made before it
// is trusted, trusted everywhere and pinned before it is served, and served
// before that is verified.
func TestTimelineOrder(t *testing.T) {
	order := []Phase{PhaseMake, PhaseTrust, PhasePin, PhaseCheck, PhaseServe, PhaseVerify}
	for _, c := range []struct {
		name   string
		issuer string
		multi  bool
		proto  mesh.Protocol
	}{
		{"self-signed", "", false, mesh.TCP},
		{"CA-signed", "Example CA", false, mesh.TCP},
		{"CA-signed multi-server", "Example CA", true, mesh.TCP},
		{"self-signed, SIP over TLS", "", false, mesh.TLSProto},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := certMesh(4, 3, c.proto)
			served := installed(m)
			for _, n := range m.Clusters[1].Nodes {
				s := served[n.Name][onRSA]
				if c.issuer != "" {
					s = caSigned(n.Name, "ca "+string(n.Name), c.issuer)
				}
				if c.multi {
					s.Fingerprint = print64("one for all")
				}
				served[n.Name][onRSA] = s
			}
			r := trusting(m, served)
			if c.proto == mesh.TLSProto {
				change(r, "apac", func(r *Record, _ *Store) {
					r.Ports = map[mesh.NodeName]map[Place]Served{}
					for _, n := range m.Clusters[1].Nodes {
						r.Ports[n.Name] = map[Place]Served{{Port: "5061", KeyType: "RSA"}: selfSigned(n.Name, string(n.Name)+" cup")}
					}
				})
			}
			tl := known(m, r).Timeline(mesh.PeerID{From: "emea", To: "apac"})
			cup := slices.DeleteFunc(slices.Clone(tl.Plans), func(p RenewalPlan) bool { return p.Service != "cup" })
			want := 0
			if c.proto == mesh.TLSProto {
				want = 3
			}
			if len(cup) != want {
				t.Errorf("%d plans of cup, want %d", len(cup), want)
			}
			// The stores of cup are not read here, those of tomcat are.
			if unread := len(tl.Unread) > 0; unread != (c.proto == mesh.TLSProto) {
				t.Errorf("unread: %q", tl.Unread)
			}
			if e, ok := tl.Breaks(); !ok || e.Node != m.Clusters[1].Publisher {
				t.Errorf("breaks by %+v", e)
			}
			if !slices.IsSortedFunc(tl.Events, func(a, b Event) int { return a.At.Compare(b.At) }) {
				t.Error("events are not in the order of time")
			}
			if c.multi && len(tl.Plans) != 1+3 {
				t.Errorf("%d plans, want one RSA for three nodes and three ECDSA", len(tl.Plans))
			}
			for _, p := range tl.Plans {
				last := -1
				told := map[Phase]int{}
				for _, s := range p.Steps {
					at := slices.Index(order, s.Phase)
					if at < last {
						t.Errorf("%s %s: %s comes after %s", p.Node, p.Service, s.Phase, order[last])
					}
					last = at
					told[s.Phase]++
					if s.By.After(p.NotAfter) || s.Do == "" {
						t.Errorf("step %+v of a certificate that ends %s", s, p.NotAfter)
					}
				}
				for _, phase := range order {
					// Peerkeeper itself logs in over tomcat alone.
					if (told[phase] == 0) != (phase == PhasePin && p.Service == "cup") {
						t.Errorf("%s %s: %d steps %s", p.Node, p.Service, told[phase], phase)
					}
				}
				trust := 0
				for _, s := range p.Steps {
					if s.Phase == PhaseTrust && strings.Contains(s.Do, "Upload") {
						trust++
						if p.Service == "tomcat" && c.issuer != "" && !strings.Contains(s.Do, "never the leaf") {
							t.Errorf("a CA-signed leaf is copied: %s", s.Do)
						}
					}
				}
				if trust != 3 {
					t.Errorf("%s: trusted by %d clusters, want every one of 3", p.Node, trust)
				}
				if !p.Start.Before(p.Trust) || !p.Trust.Before(p.Serve) || !p.Serve.Before(p.NotAfter) {
					t.Errorf("start %s, trust %s, serve %s, end %s", p.Start, p.Trust, p.Serve, p.NotAfter)
				}
			}
		})
	}
}

// TestTimelineSaysWhatIsUnread, whatever else is known to be missing.
func TestTimelineSaysWhatIsUnread(t *testing.T) {
	m := certMesh(2, 2, mesh.TLSProto)
	r := trusting(m, installed(m))
	sub := m.Clusters[1].Nodes[1].Name
	change(r, "apac", func(r *Record, _ *Store) {
		r.Ports = map[mesh.NodeName]map[Place]Served{sub: {{Port: "5061", KeyType: "RSA"}: selfSigned(sub, "cup")}}
	})
	change(r, "emea", func(_ *Record, s *Store) { s.Entries = nil })
	if tl := known(m, r).Timeline(mesh.PeerID{From: "emea", To: "apac"}); len(tl.Unread) != 1 || !strings.Contains(tl.Unread[0], "trust store is not read") {
		t.Errorf("cup-trust was never read, and tomcat-trust lacks all: %q", tl.Unread)
	}
}

// TestTimelineFollowsTheWork: what certcheck has seen done is marked so.
func TestTimelineFollowsTheWork(t *testing.T) {
	m := certMesh(3, 1, mesh.TCP)
	r := trusting(m, installed(m))
	pub := m.Clusters[1].Publisher
	next := selfSigned(pub, "next")
	change(r, "apac", func(r *Record, _ *Store) {
		r.Identity = map[mesh.NodeName]map[string]Served{pub: {"tomcat": next}}
	})
	change(r, "emea", func(_ *Record, s *Store) {
		s.Entries = append(slices.Clone(s.Entries), Entry{Print: ShortPrint(next.Fingerprint), Subject: string(pub), Ends: next.NotAfter})
	})
	tl := known(m, r).Timeline(mesh.PeerID{From: "emea", To: "apac"})
	done := map[mesh.ClusterID]bool{}
	pinned := ""
	for _, p := range tl.Plans {
		for _, s := range p.Steps {
			if p.Service == "tomcat" && s.Phase == PhaseTrust && strings.Contains(s.Do, "Upload") {
				done[s.Cluster] = s.Done
			}
			if p.Service == "tomcat" && s.Phase == PhasePin {
				pinned = s.Do
			}
		}
	}
	if diff := cmp.Diff(map[mesh.ClusterID]bool{"emea": true, "amer": false}, done); diff != "" {
		t.Errorf("trusted already (-want +got): %s", diff)
	}
	if !strings.Contains(pinned, next.Fingerprint) {
		t.Errorf("the pin to accept is not named: %s", pinned)
	}
}

func TestTimelineUnread(t *testing.T) {
	m := certMesh(2, 1, mesh.TCP)
	tl := known(m, map[mesh.ClusterID]Record{}).Timeline(mesh.PeerID{From: "emea", To: "apac"})
	if len(tl.Events)+len(tl.Plans) != 0 || len(tl.Unread) == 0 {
		t.Errorf("%+v", tl)
	}
	if b, err := json.Marshal(tl); err != nil || !strings.Contains(string(b), `"events":[]`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestMajor(t *testing.T) {
	for release, want := range map[string]int{"14.0.1SU3": 14, "12.5": 12, "11.5.1.13900-52": 11, "15": 15} {
		if got, ok := Major(release); !ok || got != want {
			t.Errorf("%s: %d", release, got)
		}
	}
	for _, release := range []string{"", "SU3", "next"} {
		if _, ok := Major(release); ok {
			t.Errorf("%q has a release", release)
		}
	}
}

// inShort is a plan's steps in short: what it is for, on which cluster, and whether
// it is done.
func inShort(steps []RenewalStep) string {
	var out []string
	for _, s := range steps {
		text := string(s.Phase)
		if s.Cluster != "" {
			text += " " + string(s.Cluster)
		}
		if strings.Contains(s.Do, "One cluster at a time") {
			text += " restart"
		}
		if s.Done {
			text += " done"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// next has apac's publisher name a new certificate that it does not serve yet.
func (e *exchange) next(change func(*Served)) Served {
	s := selfSigned(apacPublisher, "the next one")
	s.Pinned = false
	change(&s)
	e.name(s)
	return s
}

// inStore puts a certificate into a cluster's store.
func (e *exchange) inStore(id mesh.ClusterID, s Served) {
	change(e.certs, id, func(_ *Record, store *Store) {
		store.Entries = append(slices.Clone(store.Entries), Entry{Print: ShortPrint(s.Fingerprint), Subject: string(apacPublisher), Ends: s.NotAfter})
	})
}

// byCA has apac serve certificates of a CA, which the stores of the clusters named
// hold until some day.
func (e *exchange) byCA(multi bool, ends time.Time, holding ...mesh.ClusterID) {
	for i, node := range []mesh.NodeName{apacPublisher, apacSubject} {
		s := caSigned(node, fmt.Sprint("by CA ", i), "Example CA")
		if multi {
			s = caSigned(apacPublisher, "by CA 0", "Example CA")
		}
		e.certs["apac"].Served[node][onRSA] = s
	}
	e.unnamed()
	for _, id := range holding {
		change(e.certs, id, func(_ *Record, store *Store) {
			store.Entries = append(slices.Clone(store.Entries), Entry{Print: "ca", Subject: "Example CA", CA: true, Ends: ends})
			at := len(store.Entries) - 1
			store.Vouched = map[string]int{ShortPrint(print64("by CA 0")): at, ShortPrint(print64("by CA 1")): at}
		})
	}
	for _, id := range []mesh.ClusterID{"emea", "amer"} {
		change(e.certs, id, func(_ *Record, store *Store) {
			store.Checked = []string{ShortPrint(print64("by CA 0")), ShortPrint(print64("by CA 1"))}
		})
	}
}

// TestThePlanOfARenewal of the certificate of apac's publisher, which emea and amer
// pull from: its steps in short, and what they say.
func TestThePlanOfARenewal(t *testing.T) {
	const selfSignedSteps = "make apac, make apac, trust emea, trust amer, trust emea restart, trust amer restart, pin, check, serve apac, verify emea, verify amer"
	end := certNoon().AddDate(4, 0, 0)
	for _, c := range []struct {
		name   string
		do     func(*exchange)
		want   string
		says   []string
		silent []string
	}{
		{"self-signed, nothing done", func(*exchange) {}, selfSignedSteps, []string{
			"Generate Self-signed, Certificate Purpose tomcat. Do not restart Cisco Tomcat yet", "the new tomcat.pem of imp-apac-pub.example.com", "peerkeeper trust accept imp-apac-pub.example.com SHA256", "utils service restart Cisco Tomcat",
		}, []string{"CSR", "release before", "the signed certificate", "let Peerkeeper do it"}},
		{"before release 12 two services are stopped first", func(e *exchange) { e.m.Clusters[1].Release = "11.5.1SU8" }, "make apac, " + selfSignedSteps, []string{"release before 12.0: stop"}, nil},
		{"release 12.0 needs no such stop", func(e *exchange) { e.m.Clusters[1].Release = "12.0.1" }, selfSignedSteps, nil, []string{"release before"}},
		{"a release that nobody knows", func(e *exchange) { e.m.Clusters[1].Release = "" }, selfSignedSteps, nil, []string{"release before"}},
		{"made, and nobody has it yet", func(e *exchange) { e.next(func(*Served) {}) },
			"make apac done, make apac done, trust emea, trust amer, trust emea restart, trust amer restart, pin, check, serve apac, verify emea, verify amer",
			[]string{"peerkeeper trust accept imp-apac-pub.example.com " + print64("the next one")}, []string{"let Peerkeeper do it"}},
		{"made, and Peerkeeper may import it", func(e *exchange) {
			e.m.Policy.Mode = mesh.Recover
			e.next(func(*Served) {})
		}, "make apac done, make apac done, trust emea, trust amer, trust emea restart, trust amer restart, pin, check, serve apac, verify emea, verify amer", []string{"Or let Peerkeeper do it"}, nil},
		{"Peerkeeper may import, and there is nothing to import yet", func(e *exchange) { e.m.Policy.Mode = mesh.Recover }, selfSignedSteps, nil, []string{"let Peerkeeper do it"}},
		{"made, accepted here, and emea has it", func(e *exchange) {
			e.m.Policy.Mode = mesh.Recover
			e.m.Clusters[2].PlatformWriteCredentials = ""
			e.inStore("emea", e.next(func(s *Served) { s.Pinned = true }))
		}, "make apac done, make apac done, trust emea done, trust amer, trust amer restart, pin done, check, serve apac, verify emea, verify amer", nil, []string{"let Peerkeeper do it"}},
		{"made, and tls.ca vouches for it", func(e *exchange) { e.next(func(s *Served) { s.CA = true }) },
			"make apac done, make apac done, trust emea, trust amer, trust emea restart, trust amer restart, pin done, check, serve apac, verify emea, verify amer", nil, nil},
		{"by a CA that emea holds for longer", func(e *exchange) { e.byCA(false, end.AddDate(1, 0, 0), "emea") },
			"make apac, make apac, trust emea done, trust amer, trust amer restart, pin, check, serve apac, serve apac, verify emea, verify amer",
			[]string{"Generate CSR, Certificate Purpose tomcat, and have Example CA sign it", "the CA certificates of Example CA, never the leaf", "tomcat: the signed certificate"}, []string{"Self-signed", "Multi-server"}},
		{"by a CA that ends with it", func(e *exchange) { e.byCA(false, end, "emea") },
			"make apac, make apac, trust emea, trust amer, trust emea restart, trust amer restart, pin, check, serve apac, serve apac, verify emea, verify amer", nil, nil},
		{"by a CA, for all nodes", func(e *exchange) { e.byCA(true, end.AddDate(1, 0, 0), "emea", "amer") },
			"make apac, make apac, trust emea done, trust amer done, pin, pin, check, serve apac, serve apac, serve apac, verify emea, verify amer",
			[]string{"Certificate Purpose tomcat, Distribution Multi-server (SAN), and have"}, nil},
		{"by a CA that tls.ca has: nothing to pin", func(e *exchange) {
			e.byCA(false, end.AddDate(1, 0, 0), "emea", "amer")
			e.serve(apacPublisher, func(s *Served) { s.CA = true })
		}, "make apac, make apac, trust emea done, trust amer done, pin done, check, serve apac, serve apac, verify emea, verify amer", []string{"nothing to pin as long as Example CA signs again: tls.ca of apac vouches for it"}, []string{"trust accept"}},
		{"self-signed, and tls.ca holds it: the next one needs a pin", func(e *exchange) { e.serve(apacPublisher, func(s *Served) { s.CA = true }) }, selfSignedSteps, nil, []string{"nothing to pin"}},
		{"for all nodes, and tls.ca vouches for it on one", func(e *exchange) {
			e.byCA(true, end.AddDate(1, 0, 0), "emea", "amer")
			e.serve(apacSubject, func(s *Served) { s.CA = true })
		}, "make apac, make apac, trust emea done, trust amer done, pin, pin, check, serve apac, serve apac, serve apac, verify emea, verify amer", nil, []string{"nothing to pin"}},
		{"signed by a CA from now on, made and trusted", func(e *exchange) {
			s := e.next(func(s *Served) { s.SelfSigned, s.Issuer = false, "CN=Example CA" })
			change(e.certs, "emea", func(_ *Record, store *Store) {
				store.Entries = append(slices.Clone(store.Entries), Entry{Print: "ca", Subject: "Example CA", CA: true, Ends: end})
				store.Vouched = map[string]int{ShortPrint(s.Fingerprint): len(store.Entries) - 1}
			})
		}, "make apac done, make apac done, trust emea done, trust amer, trust amer restart, pin, check, serve apac done, serve apac, verify emea, verify amer",
			[]string{"and have Example CA sign it", "the CA certificates of Example CA, never the leaf"}, []string{"Self-signed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchange()
			c.do(e)
			plans := e.view().Timeline(emeaApac()).Plans
			i := slices.IndexFunc(plans, func(p RenewalPlan) bool { return p.Node == apacPublisher && p.Service == "tomcat" })
			if i < 0 {
				t.Fatalf("no plan: %+v", plans)
			}
			p := plans[i]
			if got := inShort(p.Steps); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			text := ""
			for _, s := range p.Steps {
				text += s.On + ": " + s.Do + "\n"
			}
			for _, says := range c.says {
				if !strings.Contains(text, says) {
					t.Errorf("it does not say %q:\n%s", says, text)
				}
			}
			for _, silent := range c.silent {
				if strings.Contains(text, silent) {
					t.Errorf("it says %q:\n%s", silent, text)
				}
			}
			if !p.Start.Equal(end.AddDate(0, 0, -28)) || !p.Trust.Equal(end.AddDate(0, 0, -14)) || !p.Serve.Equal(end.AddDate(0, 0, -7)) {
				t.Errorf("start %s, trust %s, serve %s", p.Start, p.Trust, p.Serve)
			}
		})
	}
}

// TestTheDaysOfAPlanAreThePolicys: the first threshold begins it, the last is the
// latest day to serve the new one.
func TestTheDaysOfAPlanAreThePolicys(t *testing.T) {
	for _, c := range []struct {
		days                []int
		start, trust, serve int
	}{{[]int{30}, 30, 30, 30}, {[]int{60, 10}, 60, 60, 10}, {[]int{90, 60, 30, 5}, 90, 60, 5}} {
		e := newExchange()
		e.m.Policy.Thresholds.CertificateDays = c.days
		p := e.view().Timeline(emeaApac()).Plans[0]
		if before := func(n int) time.Time { return p.NotAfter.AddDate(0, 0, -n) }; !p.Start.Equal(before(c.start)) || !p.Trust.Equal(before(c.trust)) || !p.Serve.Equal(before(c.serve)) {
			t.Errorf("%v: start %s, trust %s, serve %s", c.days, p.Start, p.Trust, p.Serve)
		}
	}
}

// TestWhoMayImportIsSaidInThePlan: Peerkeeper is offered where it may write into the
// store, and nowhere else.
func TestWhoMayImportIsSaidInThePlan(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(e *exchange)
		store string
		want  bool
	}{
		{"approved imports", func(e *exchange) { e.m.Policy.ImportCertificates = mesh.ImportApprove }, peer.TomcatTrust, true},
		{"imports by itself", func(e *exchange) { e.m.Policy.ImportCertificates = mesh.ImportAuto }, peer.TomcatTrust, true},
		{"people import", func(e *exchange) { e.m.Policy.ImportCertificates = mesh.ImportManual }, peer.TomcatTrust, false},
		{"mode observe", func(e *exchange) { e.m.Policy.Mode = mesh.Observe }, peer.TomcatTrust, false},
		{"no account may write there", func(e *exchange) { e.m.Clusters[0].PlatformWriteCredentials = "" }, peer.TomcatTrust, false},
		{"the store of SIP's certificates", func(*exchange) {}, "cup-trust", false},
	} {
		e := newExchange()
		e.m.Policy.Mode = mesh.Recover
		c.do(e)
		if got := importable(e.m.Policy, &e.m.Clusters[0], c.store); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestWhatBreaksAPeer: the events of emea>apac, each with whether the peer stops then.
func TestWhatBreaksAPeer(t *testing.T) {
	soon := certNoon().AddDate(1, 0, 0)
	const leaf, sub = "2030-06-02 the tomcat certificate of imp-apac-pub.example.com ends!", "2030-06-02 the tomcat certificate of imp-apac-sub1.example.com ends"
	for _, c := range []struct {
		name string
		do   func(e *exchange)
		want []string
	}{
		{"the publisher's certificate ends; the subscriber's is a nuisance", func(*exchange) {}, []string{leaf, sub}},
		{"an intermediate ends before it", func(e *exchange) {
			e.serve(apacPublisher, func(s *Served) { s.ChainEnds, s.ChainBy = soon, "CN=Example Issuing,O=Example" })
		}, []string{"2027-06-02 the CA Example Issuing ends, which the tomcat certificate of imp-apac-pub.example.com needs!", leaf, sub}},
		{"an intermediate ends after it", func(e *exchange) {
			e.serve(apacPublisher, func(s *Served) { s.ChainEnds, s.ChainBy = soon.AddDate(9, 0, 0), "CN=Example Issuing" })
		}, []string{leaf, sub}},
		{"an intermediate of the subscriber's ends", func(e *exchange) {
			e.serve(apacSubject, func(s *Served) { s.ChainEnds, s.ChainBy = soon, "CN=Example Issuing" })
		}, []string{"2027-06-02 the CA Example Issuing ends, which the tomcat certificate of imp-apac-sub1.example.com needs", leaf, sub}},
		{"the CA by which emea trusts it ends before it", func(e *exchange) { e.byCA(false, soon, "emea", "amer") }, []string{
			"2027-06-02 the CA Example CA ends, by which emea trusts tomcat of imp-apac-pub.example.com!", "2027-06-02 the CA Example CA ends, by which emea trusts tomcat of imp-apac-sub1.example.com", leaf, sub,
		}},
		{"the CA by which emea trusts it ends after it", func(e *exchange) { e.byCA(false, soon.AddDate(9, 0, 0), "emea", "amer") }, []string{leaf, sub}},
		{"the CA ends, and emea holds the certificate itself", func(e *exchange) {
			e.byCA(false, soon, "emea", "amer")
			e.inStore("emea", e.certs["apac"].Served[apacPublisher][onRSA])
		}, []string{"2027-06-02 the CA Example CA ends, by which emea trusts tomcat of imp-apac-sub1.example.com", leaf, sub}},
		{"it becomes valid tomorrow", func(e *exchange) {
			e.serve(apacPublisher, func(s *Served) { s.NotBefore = certNoon().AddDate(0, 0, 1) })
		}, []string{"2026-06-03 the tomcat certificate of imp-apac-pub.example.com becomes valid", leaf, sub}},
		{"it becomes valid at this moment", func(e *exchange) { e.serve(apacPublisher, func(s *Served) { s.NotBefore = certNoon() }) }, []string{leaf, sub}},
		{"what is not served yet breaks nobody", func(e *exchange) { e.next(func(s *Served) { s.NotAfter = soon }) }, []string{leaf, sub}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchange()
			c.do(e)
			var got []string
			for _, ev := range e.view().Timeline(emeaApac()).Events {
				text := ev.At.Format("2006-01-02 ") + ev.What
				if ev.Breaks {
					text += "!"
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUnderTLSEveryNodeCounts: SIP's and XMPP's certificates of a subscriber break
// a peer too, and who does not pull over TLS need not trust them.
func TestUnderTLSEveryNodeCounts(t *testing.T) {
	m := certMesh(4, 2, mesh.TLSProto)
	for i := range m.Peers {
		if m.Peers[i].ID.From == "amer" {
			m.Peers[i].Protocol = mesh.TCP
		}
	}
	r := trusting(m, installed(m))
	cup, xmpp := selfSigned(apacSubject, "cup"), selfSigned(apacSubject, "xmpp")
	cup.NotBefore, cup.NotAfter = certNoon().AddDate(0, 0, 3), certNoon().AddDate(1, 0, 0)
	change(r, "apac", func(r *Record, _ *Store) {
		tomcat := r.Served[apacSubject][onRSA]
		tomcat.ChainEnds, tomcat.ChainBy = certNoon().AddDate(2, 0, 0), "CN=Example Issuing"
		r.Served[apacSubject][onRSA] = tomcat
		r.Ports = map[mesh.NodeName]map[Place]Served{apacSubject: {{PortSIPTLS, "RSA"}: cup, {PortXMPP, "ECDSA"}: xmpp}}
	})
	tl := known(m, r).Timeline(emeaApac())
	if e, ok := tl.Breaks(); !ok || e.Node != apacSubject || e.Service != "cup" || !e.At.Equal(cup.NotAfter) {
		t.Errorf("breaks first by %+v, %v", e, ok)
	}
	if e := tl.Events[0]; e.What != "the cup certificate of imp-apac-sub1.example.com becomes valid" || e.Breaks {
		t.Errorf("first of all: %+v", e)
	}
	if n := len(slices.DeleteFunc(slices.Clone(tl.Events), func(e Event) bool { return !strings.Contains(e.What, "Example Issuing") })); n != 1 {
		t.Errorf("the intermediate of tomcat's ends %d times", n)
	}
	if p := tl.Plans[0]; p.Service != "cup" || inShort(p.Steps) != "make apac, make apac, trust emea, trust c04, check, serve apac, verify emea, verify amer, verify c04" {
		t.Errorf("%s: %s", p.Service, inShort(p.Steps))
	} else if s := p.Steps[5]; !strings.Contains(s.Do, "Cisco SIP Proxy and Cisco Presence Engine") {
		t.Errorf("what serves it: %s", s.Do)
	}
	i := slices.IndexFunc(tl.Plans, func(p RenewalPlan) bool { return p.Service == "cup-xmpp-ECDSA" })
	if i < 0 || !strings.Contains(tl.Plans[i].Steps[5].Do, "Cisco XCP Router") {
		t.Errorf("XMPP's: %+v", tl.Plans)
	}
	for i := range m.Clusters {
		m.Clusters[i].Release = "11.5.1"
	}
	if p := known(m, r).Timeline(emeaApac()).Plans[0]; strings.Contains(p.Steps[0].Do, "release before 12.0") {
		t.Error("the stop of before release 12 is tomcat's alone")
	}
}

// TestWhatTheTimelineCannotSpeakOf is said, and only that.
func TestWhatTheTimelineCannotSpeakOf(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(e *exchange)
		want []string
	}{
		{"all is read", func(*exchange) {}, nil},
		{"the publisher's certificate was never read", func(e *exchange) { delete(e.certs["apac"].Served, apacPublisher); e.unnamed() }, []string{"no certificate of imp-apac-pub.example.com has been read"}},
		{"emea's store is not read", func(e *exchange) { change(e.certs, "emea", func(r *Record, _ *Store) { r.Trust = nil }) }, []string{"emea's trust store is not read, so which steps are done already is not known"}},
		{"amer's store is not read, which is not this peer's", func(e *exchange) { change(e.certs, "amer", func(r *Record, _ *Store) { r.Trust = nil }) }, nil},
		{"something else is served than the node names", func(e *exchange) { e.inBetween() }, []string{"what imp-apac-pub.example.com serves to Peerkeeper is not the tomcat certificate that its certificate management names, which is the one shown here"}},
	} {
		e := newExchange()
		c.do(e)
		if diff := cmp.Diff(c.want, e.view().Timeline(emeaApac()).Unread); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestAPeerThatLeftHasNoTimeline, and nothing of it breaks.
func TestAPeerThatLeftHasNoTimeline(t *testing.T) {
	tl := newExchange().view().Timeline(mesh.PeerID{From: "emea", To: "mars"})
	if len(tl.Events)+len(tl.Plans)+len(tl.Unread) != 0 {
		t.Errorf("%+v", tl)
	}
	if e, ok := tl.Breaks(); ok || e != (Event{}) {
		t.Errorf("breaks by %+v", e)
	}
}
