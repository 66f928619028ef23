package certificate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// exchange is a mesh of three in which apac's publisher serves a certificate
// that emea's trust store lacks, for a day by now.
type exchange struct {
	m     *mesh.Mesh
	v     *peer.Facts
	certs map[mesh.ClusterID]Record
}

const (
	apacPublisher = mesh.NodeName("imp-apac-pub.example.com")
	apacSubject   = mesh.NodeName("imp-apac-sub1.example.com")
)

func emeaApac() mesh.PeerID { return mesh.PeerID{From: "emea", To: "apac"} }

func newExchange() *exchange {
	m := certMesh(3, 2, mesh.TCP)
	m.Policy.ImportCertificates = mesh.ImportAuto
	e := &exchange{m: m, v: &peer.Facts{Now: certNoon(), Tick: 5 * time.Minute, Mesh: m, Clusters: map[mesh.ClusterID]*peer.ClusterRecord{}}}
	served := map[mesh.NodeName]map[Place]Served{}
	for i := range m.Clusters {
		c := &m.Clusters[i]
		c.SyncInterval, c.PlatformWriteCredentials = mesh.Duration(30*time.Minute), string(c.ID)+"/platform-write"
		for _, n := range c.Nodes {
			s := selfSigned(n.Name, string(n.Name)+" RSA")
			s.Pinned = true
			served[n.Name] = map[Place]Served{onRSA: s}
		}
		e.v.Clusters[c.ID] = &peer.ClusterRecord{}
		e.icsa(c.ID, 30*24*time.Hour)
	}
	e.certs = trusting(m, served)
	e.name(served[apacPublisher][onRSA])
	e.lack(apacPublisher, 24*time.Hour)
	return e
}

// name is apac's certificate management naming its publisher's certificate.
func (e *exchange) name(s Served) {
	r := e.certs["apac"]
	r.Identity = map[mesh.NodeName]map[string]Served{apacPublisher: {"tomcat": s}}
	e.certs["apac"] = r
}

// unnamed is certificate management that is not read.
func (e *exchange) unnamed() {
	r := e.certs["apac"]
	r.Identity = nil
	e.certs["apac"] = r
}

// icsa says since when the Intercluster Sync Agent of a publisher runs.
func (e *exchange) icsa(id mesh.ClusterID, up time.Duration) {
	c, _ := e.m.Cluster(id)
	e.v.Clusters[id].Seen.Nodes = map[mesh.NodeName]peer.Node{c.Publisher: {
		Services: peer.Known(map[string]peer.Service{peer.ICSA: {Status: "Started", UpTime: up}}, certNoon()),
	}}
}

// lack takes a node's certificate out of emea's store.
func (e *exchange) lack(node mesh.NodeName, ago time.Duration) {
	change(e.certs, "emea", func(_ *Record, store *Store) {
		print := print64(string(node) + " RSA")
		forget(store, print)
		store.Lacks = map[string]time.Time{ShortPrint(print): certNoon().Add(-ago)}
	})
}

// came puts it back, as seen for the first time a while ago.
func (e *exchange) came(ago time.Duration, notOn ...int) {
	change(e.certs, "emea", func(_ *Record, store *Store) {
		print := ShortPrint(print64(string(apacPublisher) + " RSA"))
		store.Entries = append(store.Entries, Entry{Print: print, Subject: string(apacPublisher), Ends: certNoon().AddDate(4, 0, 0), Not: notOn})
		store.Lacks, store.Came = nil, map[string]time.Time{print: certNoon().Add(-ago)}
	})
}

// synced is when emea last pulled from apac, as its peer table says.
func (e *exchange) synced(ago time.Duration) {
	e.v.Clusters["emea"].Seen.Entries = peer.Known([]peer.Entry{{Address: string(apacPublisher), HasClock: true, LastSync: certNoon().Add(-ago)}}, certNoon())
}

func (e *exchange) serve(node mesh.NodeName, do func(*Served)) {
	s := e.certs["apac"].Served[node][onRSA]
	do(&s)
	e.certs["apac"].Served[node][onRSA] = s
}

// inBetween has something on Peerkeeper's way show a certificate of its own, which
// is pinned; the node names its own, and every store holds that.
func (e *exchange) inBetween() {
	e.came(48 * time.Hour)
	e.serve(apacPublisher, func(s *Served) {
		own := *s
		*s = selfSigned(apacPublisher, "of something in between")
		s.Pinned, s.Replaced, s.Read = true, own.Fingerprint, certNoon()
		s.Sighted, s.First = certNoon().Add(-5*time.Hour), certNoon().Add(-5*time.Hour)
	})
	SettleSources(e.m, e.certs, "apac", certNoon())
}

func (e *exchange) imports() []peer.Proposal {
	return e.view().imports()
}

func (e *exchange) reloads() []peer.Proposal { return e.view().reloads() }

func (e *exchange) view() *View { return NewView(e.v.View(), e.certs) }

func TestImports(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(e *exchange)
		want []string // targets; "!" behind one that needs approval
	}{
		{"a publisher's certificate that one cluster lacks", func(*exchange) {}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com"}},
		{"certificate management is not read: what is served to Peerkeeper alone asks a person", func(e *exchange) {
			e.unnamed()
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com!"}},
		{"certificate management was not read at this look", func(e *exchange) {
			s := e.certs["apac"].Served[apacPublisher][onRSA]
			s.Error = "not read at the last look"
			e.name(s)
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com!"}},
		{"certificate management is not read, and a peer that holds it has synced since it was first served", func(e *exchange) {
			e.unnamed()
			e.serve(apacPublisher, func(s *Served) { s.Sighted = certNoon().Add(-2 * time.Hour) })
			e.v.Clusters["amer"].Seen.Entries = peer.Known([]peer.Entry{{Address: string(apacPublisher), HasClock: true, LastSync: certNoon().Add(-10 * time.Minute)}}, certNoon())
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com"}},
		{"the peer that synced since holds the old one too, and a sync may have met that", func(e *exchange) {
			e.unnamed()
			e.serve(apacPublisher, func(s *Served) { s.Sighted = certNoon().Add(-2 * time.Hour) })
			change(e.certs, "amer", func(_ *Record, s *Store) {
				s.Entries = append(slices.Clone(s.Entries), Entry{Print: "old", Subject: string(apacPublisher), File: "old.pem"})
			})
			e.v.Clusters["amer"].Seen.Entries = peer.Known([]peer.Entry{{Address: string(apacPublisher), HasClock: true, LastSync: certNoon().Add(-10 * time.Minute)}}, certNoon())
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com!"}},
		{"the peer that holds it synced last before it was first seen", func(e *exchange) {
			e.unnamed()
			e.serve(apacPublisher, func(s *Served) { s.Sighted = certNoon().Add(-2 * time.Hour) })
			e.v.Clusters["amer"].Seen.Entries = peer.Known([]peer.Entry{{Address: string(apacPublisher), HasClock: true, LastSync: certNoon().Add(-3 * time.Hour)}}, certNoon())
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com!"}},
		{"what is served to Peerkeeper is not what the node names, and its peers hold that one", func(e *exchange) {
			e.inBetween()
		}, nil},
		{"what is served is not what the node names, which one store lacks: that one, with approval", func(e *exchange) {
			e.inBetween()
			e.lack(apacPublisher, 24*time.Hour)
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com!"}},
		{"the policy asks for a person", func(e *exchange) { e.m.Policy.ImportCertificates = mesh.ImportApprove }, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com!"}},
		{"people import", func(e *exchange) { e.m.Policy.ImportCertificates = mesh.ImportManual }, nil},
		{"nothing is said of the policy", func(e *exchange) { e.m.Policy.ImportCertificates = "" }, nil},
		{"no account may write there", func(e *exchange) { e.m.Clusters[0].PlatformWriteCredentials = "" }, nil},
		{"Peerkeeper itself does not trust it", func(e *exchange) { e.serve(apacPublisher, func(s *Served) { s.Pinned = false }) }, nil},
		{"it could not be read now", func(e *exchange) { e.serve(apacPublisher, func(s *Served) { s.Error = "timed out" }) }, nil},
		{"it has expired", func(e *exchange) {
			e.serve(apacPublisher, func(s *Served) { s.NotAfter = certNoon().Add(-time.Minute) })
		}, nil},
		{"it is new, and a sync may still bring it", func(e *exchange) {
			e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-89 * time.Minute) })
		}, nil},
		{"it is new, and a sync should have brought it", func(e *exchange) {
			e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-91 * time.Minute) })
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com"}},
		{"somebody switched certificate sync off", func(e *exchange) {
			nodes := e.v.Clusters["emea"].Seen.Nodes
			n := nodes["imp-emea-pub.example.com"]
			n.Parameters = peer.Known(map[string]string{peer.ParamCertSync: "f"}, certNoon())
			nodes["imp-emea-pub.example.com"] = n
		}, nil},
		{"certificate sync is on", func(e *exchange) {
			nodes := e.v.Clusters["emea"].Seen.Nodes
			n := nodes["imp-emea-pub.example.com"]
			n.Parameters = peer.Known(map[string]string{peer.ParamCertSync: "t"}, certNoon())
			nodes["imp-emea-pub.example.com"] = n
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com"}},
		{"nobody pulls from a subscriber", func(e *exchange) {
			e.came(time.Hour)
			e.lack(apacSubject, 24*time.Hour)
		}, nil},
		{"whether the store holds it is not known", func(e *exchange) {
			change(e.certs, "emea", func(r *Record, _ *Store) { r.Trust = nil })
		}, nil},
		{"the store was read too long ago", func(e *exchange) {
			change(e.certs, "emea", func(_ *Record, store *Store) { store.Nodes[0].Read = certNoon().Add(-13 * time.Hour) })
		}, nil},
		{"a CA needs a person whatever the policy, and is imported once for all that it signed", func(e *exchange) {
			e.unnamed()
			for _, keyType := range []string{"RSA", "ECDSA"} {
				s := caSigned(apacPublisher, "by CA "+keyType, "Example CA")
				s.CA = true
				e.certs["apac"].Served[apacPublisher][Place{KeyType: keyType}] = s
			}
			change(e.certs, "emea", func(_ *Record, store *Store) {
				store.Checked = []string{ShortPrint(print64("by CA RSA")), ShortPrint(print64("by CA ECDSA"))}
			})
			for _, id := range []mesh.ClusterID{"amer"} {
				change(e.certs, id, func(r *Record, _ *Store) { r.Trust = nil })
			}
		}, []string{"the CA certificates of Example CA in tomcat-trust on imp-emea-pub.example.com!"}},
		{"what is not served yet needs a person whatever the policy", func(e *exchange) {
			e.came(48 * time.Hour)
			r := e.certs["apac"]
			s := selfSigned(apacPublisher, "the next one")
			s.Pinned, s.First = true, certNoon().Add(-time.Minute)
			r.Identity = map[mesh.NodeName]map[string]Served{apacPublisher: {"tomcat": s}}
			e.certs["apac"] = r
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-amer-pub.example.com!", "tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com!"}},
		{"what is not served yet and not accepted here", func(e *exchange) {
			e.came(48 * time.Hour)
			r := e.certs["apac"]
			next := selfSigned(apacPublisher, "the next one")
			next.Pinned = false
			r.Identity = map[mesh.NodeName]map[string]Served{apacPublisher: {"tomcat": next}}
			e.certs["apac"] = r
		}, nil},
		{"somebody may have taken it out on purpose", func(e *exchange) {
			change(e.certs, "emea", func(_ *Record, store *Store) {
				store.Taken = []string{ShortPrint(print64(string(apacPublisher) + " RSA"))}
			})
		}, []string{"tomcat of imp-apac-pub.example.com in tomcat-trust on imp-emea-pub.example.com!"}},
		{"taken out, and a sync may bring it again", func(e *exchange) {
			e.lack(apacPublisher, 89*time.Minute)
			change(e.certs, "emea", func(_ *Record, store *Store) {
				store.Taken = []string{ShortPrint(print64(string(apacPublisher) + " RSA"))}
			})
		}, nil},
		{"nothing is missing", func(e *exchange) { e.came(48 * time.Hour) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchange()
			c.do(e)
			var got []string
			for _, p := range e.imports() {
				s := p.Target.String()
				if p.Approval != "" {
					s += "!"
				}
				if p.Source == nil || p.Source.Fingerprint != p.Value || p.Source.Node != apacPublisher || len(p.Peers) != 1 || p.ID == "" || p.Since.IsZero() {
					t.Errorf("half a proposal: %+v", p)
				}
				got = append(got, s)
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A CA that signed for two clusters is imported once, and for both.
func TestOneCAForTwo(t *testing.T) {
	e := newExchange()
	e.unnamed()
	change(e.certs, "emea", func(_ *Record, store *Store) {
		for _, id := range []mesh.ClusterID{"apac", "amer"} {
			node := mesh.NodeName("imp-" + string(id) + "-pub.example.com")
			s := caSigned(node, "by CA "+string(id), "Example CA")
			s.CA = true
			e.certs[id].Served[node][onRSA] = s
			store.Checked = append(store.Checked, ShortPrint(print64("by CA "+string(id))))
		}
	})
	var got []string
	for _, p := range e.imports() {
		if p.Target.Cluster == "emea" {
			got = append(got, fmt.Sprint(p.Target, " for ", p.Peers))
		}
	}
	if diff := cmp.Diff([]string{"the CA certificates of Example CA in tomcat-trust on imp-emea-pub.example.com for [emea>apac emea>amer]"}, got); diff != "" {
		t.Error(diff)
	}
}

// An approval is for this certificate, here, missing since then.
func TestImportIsNamedByWhatItIs(t *testing.T) {
	id := func(do func(*exchange)) string {
		e := newExchange()
		do(e)
		for _, p := range e.imports() {
			if p.Target.Cluster == "emea" {
				return p.ID
			}
		}
		t.Fatal("nothing is proposed for emea")
		return ""
	}
	same := id(func(*exchange) {})
	if got := id(func(e *exchange) { e.v.Now = e.v.Now.Add(time.Hour) }); got != same {
		t.Error("an hour later it has another name")
	}
	if got := id(func(e *exchange) { e.lack(apacPublisher, 23*time.Hour) }); got == same {
		t.Error("missing again, it has the old name")
	}
	if got := id(func(e *exchange) {
		e.serve(apacPublisher, func(s *Served) { s.Fingerprint = print64("another") })
	}); got == same {
		t.Error("another certificate has the old name")
	}
}

func TestReloads(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(e *exchange)
		want bool
	}{
		{"it came, no sync has succeeded since, and ICSA has run since before", func(e *exchange) { e.came(time.Hour); e.synced(26 * time.Hour) }, true},
		{"a sync has succeeded since", func(e *exchange) { e.came(time.Hour); e.synced(10 * time.Minute) }, false},
		{"syncs have worked all along", func(e *exchange) { e.came(20 * time.Minute); e.synced(25 * time.Minute) }, false},
		{"ICSA was restarted since", func(e *exchange) { e.came(time.Hour); e.synced(26 * time.Hour); e.icsa("emea", 50*time.Minute) }, false},
		{"ICSA is stopped", func(e *exchange) { e.came(time.Hour); e.synced(26 * time.Hour); e.icsa("emea", -1) }, false},
		{"how ICSA is is not known", func(e *exchange) { e.came(time.Hour); e.synced(26 * time.Hour); e.v.Clusters["emea"].Seen.Nodes = nil }, false},
		{"the next sync has not had its chance", func(e *exchange) { e.came(34 * time.Minute); e.synced(26 * time.Hour) }, false},
		{"it has not reached every node, within the hour that this may take", func(e *exchange) { e.came(59*time.Minute, 1); e.synced(26 * time.Hour) }, false},
		{"it has not reached every node in an hour", func(e *exchange) { e.came(61*time.Minute, 1); e.synced(26 * time.Hour) }, true},
		{"the clock cannot be read: the up-time alone speaks", func(e *exchange) { e.came(time.Hour) }, true},
		{"the clock cannot be read, and ICSA itself has brought it", func(e *exchange) {
			e.came(time.Hour)
			e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-80 * time.Minute) })
		}, false},
		{"its sync is overdue, although ICSA could have brought it", func(e *exchange) {
			e.came(time.Hour)
			e.synced(26 * time.Hour)
			e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-80 * time.Minute) })
		}, true},
		{"a week later it is something else", func(e *exchange) { e.came(8 * 24 * time.Hour) }, false},
		{"it is still missing", func(e *exchange) { e.synced(26 * time.Hour) }, false},
		{"it was always there", func(e *exchange) {
			e.came(time.Hour)
			e.synced(26 * time.Hour)
			change(e.certs, "emea", func(_ *Record, store *Store) { store.Came = nil })
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchange()
			c.do(e)
			got := e.reloads()
			if (len(got) > 0) != c.want {
				t.Fatalf("%d proposals, want %t", len(got), c.want)
			}
			for _, p := range got {
				if !p.Reload || p.Approval == "" || p.Action != peer.RestartService || p.Target.String() != "Cisco Intercluster Sync Agent on imp-emea-pub.example.com" || p.MinAge != 2*time.Hour {
					t.Errorf("%+v", p)
				}
			}
		})
	}
}

// The finding, and with it the alarm, stands until ICSA has read the store.
func TestNotReloaded(t *testing.T) {
	e := newExchange()
	look := func() (peer.Condition, []string) {
		v := e.view()
		cond, ok := v.CertificateTrusted(emeaApac())
		if !ok {
			t.Fatal("the stores do not decide it")
		}
		var findings []string
		for _, f := range v.trustFindings("apac") {
			findings = append(findings, string(f.ID)+" "+string(f.Severity))
		}
		return cond, findings
	}
	want := func(when string, reason peer.Reason, status peer.Status, findings ...string) {
		t.Helper()
		cond, got := look()
		if cond.Reason != reason || cond.Status != status || !slices.Equal(got, findings) {
			t.Errorf("%s: %s %s %v, want %s %s %v", when, cond.Status, cond.Reason, got, status, reason, findings)
		}
	}
	const critical = "NotTrustedByPeers:imp-apac-pub.example.com:RSA critical"
	e.synced(26 * time.Hour)
	want("missing", peer.NotInTrustStore, peer.False, critical)
	e.came(20 * time.Minute)
	want("there, and not read", peer.TrustNotReloaded, peer.True, critical)
	seen := e.v.Now
	e.v.Now = seen.Add(time.Hour)
	want("emea is out of sight", peer.TrustNotReloaded, peer.True, critical)
	e.v.Now = seen
	e.icsa("emea", 10*time.Minute)
	want("read, and its sync is still to come", peer.TrustNotReloaded, peer.True, critical)
	e.icsa("emea", 41*time.Minute)
	e.came(time.Hour)
	want("read, and what still fails has another cause", peer.InTrustStore, peer.True)
	e.icsa("emea", 30*24*time.Hour)
	e.synced(5 * time.Minute)
	want("a sync has succeeded", peer.InTrustStore, peer.True)
	e.synced(25 * time.Minute)
	want("it worked all along", peer.InTrustStore, peer.True)

	// Taken out again, and believed still: out of sight it is no worse.
	e = newExchange()
	e.synced(20 * time.Minute)
	const warning = "NotTrustedByPeers:imp-apac-pub.example.com:RSA warning"
	want("missing, and its syncs succeed", peer.SyncedOverServedLeaf, peer.True, warning)
	e.v.Now = seen.Add(3 * time.Hour)
	want("missing, and emea is out of sight", peer.SyncedOverServedLeaf, peer.True, warning)
	e.v.Clusters["emea"].Seen.Entries.At = e.v.Now
	want("missing, and seen to sync no more", peer.NotInTrustStore, peer.False, critical)
}

// An ECDSA certificate whose RSA twin is trusted is no page while it is missing,
// and becomes none by being put in.
func TestTwinThatWasPutIn(t *testing.T) {
	e := newExchange()
	e.synced(26 * time.Hour)
	e.came(48 * time.Hour)
	twin := selfSigned(apacPublisher, string(apacPublisher)+" ECDSA")
	e.certs["apac"].Served[apacPublisher][onECDSA] = twin
	for _, id := range []mesh.ClusterID{"emea", "amer"} {
		change(e.certs, id, func(_ *Record, store *Store) {
			delete(store.Came, ShortPrint(print64(string(apacPublisher)+" RSA"))) // it was always there
			if id == "amer" {
				store.Entries = append(store.Entries, Entry{Print: ShortPrint(twin.Fingerprint), Subject: string(apacPublisher), Ends: twin.NotAfter, EC: true})
			}
		})
	}
	found := func() (out []string) {
		for _, f := range e.view().trustFindings("apac") {
			out = append(out, string(f.ID)+" "+string(f.Severity))
		}
		return out
	}
	want := []string{"ECDSAMissing:imp-apac-pub.example.com:ECDSA warning"}
	if diff := cmp.Diff(want, found()); diff != "" {
		t.Errorf("missing: %s", diff)
	}
	change(e.certs, "emea", func(_ *Record, store *Store) {
		store.Entries = append(store.Entries, Entry{Print: ShortPrint(twin.Fingerprint), Subject: string(apacPublisher), Ends: twin.NotAfter, EC: true})
		store.Came = map[string]time.Time{ShortPrint(twin.Fingerprint): certNoon().Add(-time.Hour)}
	})
	if diff := cmp.Diff(want, found()); diff != "" {
		t.Errorf("put in, and not read: %s", diff)
	}
}

// A multi-server certificate is the publisher's finding, whichever node mesh.yaml
// lists first.
func TestMultiServerIsThePublishers(t *testing.T) {
	for _, subscriberFirst := range []bool{false, true} {
		e := newExchange()
		c, _ := e.m.Cluster("apac")
		if subscriberFirst {
			slices.Reverse(c.Nodes)
		}
		for _, n := range c.Nodes {
			e.certs["apac"].Served[n.Name][onRSA] = e.certs["apac"].Served[apacPublisher][onRSA]
		}
		var got []string
		for _, f := range e.view().trustFindings("apac") {
			got = append(got, string(f.ID)+" "+string(f.Severity))
		}
		if diff := cmp.Diff([]string{"NotTrustedByPeers:imp-apac-pub.example.com:RSA critical"}, got); diff != "" {
			t.Errorf("the subscriber first, %v: %s", subscriberFirst, diff)
		}
	}
}

func TestLookAgain(t *testing.T) {
	m := certMesh(4, 1, mesh.TCP)
	at := func(id mesh.PeerID, t peer.Type, s peer.Status, why peer.Reason, ago time.Duration) map[mesh.PeerID][]peer.Condition {
		return map[mesh.PeerID][]peer.Condition{id: {{Type: t, Status: s, Reason: why, Since: certNoon().Add(-ago)}}}
	}
	for _, c := range []struct {
		name       string
		conditions map[mesh.PeerID][]peer.Condition
		importing  []mesh.ClusterID
		want       string
	}{
		{"all is well", at(emeaApac(), peer.CertificateTrusted, peer.True, peer.InTrustStore, time.Hour), nil, ""},
		{"not trusted", at(emeaApac(), peer.CertificateTrusted, peer.False, peer.NotInTrustStore, time.Hour), nil, "emea apac"},
		{"not trusted for longer than a day", at(emeaApac(), peer.CertificateTrusted, peer.False, peer.NotInTrustStore, 25*time.Hour), nil, ""},
		{"a name does not resolve", at(emeaApac(), peer.NamesResolve, peer.False, peer.NameNotResolving, time.Hour), nil, "emea apac"},
		{"on its way", at(emeaApac(), peer.CertificateTrusted, peer.UnknownStatus, peer.ExchangePending, time.Hour), nil, "emea apac"},
		{"not read by ICSA", at(emeaApac(), peer.CertificateTrusted, peer.True, peer.TrustNotReloaded, time.Hour), nil, "emea apac"},
		{"missing, and the next sync decides", at(emeaApac(), peer.CertificateTrusted, peer.UnknownStatus, peer.NextSyncDecides, time.Hour), nil, "emea apac"},
		{"unknown because of Peerkeeper", at(emeaApac(), peer.CertificateTrusted, peer.UnknownStatus, peer.TrustNotRead, time.Hour), nil, ""},
		{"another condition", at(emeaApac(), peer.UsersMatch, peer.False, peer.UsersMissing, time.Hour), nil, ""},
		{"a sync is overdue, for whatever reason", at(emeaApac(), peer.Synced, peer.True, peer.Overdue, 90*24*time.Hour), nil, "emea apac"},
		{"a sync stands", at(emeaApac(), peer.Synced, peer.False, peer.FourPeriodsMissed, time.Hour), nil, "emea apac"},
		{"a sync stands for longer than a day", at(emeaApac(), peer.Synced, peer.False, peer.FourPeriodsMissed, 25*time.Hour), nil, ""},
		{"imported", nil, []mesh.ClusterID{"c04", "apac"}, "apac c04"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, id := range peer.ClustersToRecheck(m, c.conditions, c.importing, certNoon()) {
				got = append(got, string(id))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%q, want %q", s, c.want)
			}
		})
	}
}

// TestWhatIsComparedBeforeAnImport: of a CA the certificate that it signed, and what
// was served above it.
func TestWhatIsComparedBeforeAnImport(t *testing.T) {
	s := peer.CertSource{Cluster: "apac", Node: apacPublisher, Service: "tomcat", Fingerprint: "sha256:aa", Chain: []peer.Issuer{{Subject: "CN=Example CA,O=Example", Fingerprint: "sha256:bb", NotAfter: certNoon()}}}
	if diff := cmp.Diff([]string{"tomcat of imp-apac-pub.example.com (apac): sha256:aa"}, ImportLines(s)); diff != "" {
		t.Error(diff)
	}
	s.Issuer = "CN=Example CA,O=Example"
	if diff := cmp.Diff([]string{
		"tomcat of imp-apac-pub.example.com (apac): sha256:aa, signed by Example CA, which is what is imported",
		"above it was served Example CA, to 2026-06-02 12:00 UTC: sha256:bb",
	}, ImportLines(s)); diff != "" {
		t.Error(diff)
	}
}

// TestSinceWhenAnImportIsNeeded: since the store is known to lack the certificate;
// one that was taken out is awaited again from then on.
func TestSinceWhenAnImportIsNeeded(t *testing.T) {
	first := func(e *exchange) time.Time {
		for _, p := range e.imports() {
			if p.Target.Cluster == "emea" {
				return p.Since
			}
		}
		return time.Time{}
	}
	e := newExchange()
	if at := first(e); !at.Equal(certNoon().AddDate(0, 0, -1)) {
		t.Errorf("%s", at)
	}
	taken := func(ago time.Duration, served time.Duration) time.Time {
		e := newExchange()
		e.lack(apacPublisher, ago)
		e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-served) })
		change(e.certs, "emea", func(_ *Record, store *Store) {
			store.Taken = []string{ShortPrint(print64(string(apacPublisher) + " RSA"))}
		})
		return first(e)
	}
	if at := taken(90*time.Minute, 1000*time.Hour); at.IsZero() {
		t.Error("taken out an interval and an hour ago: nothing is asked for")
	}
	if at := taken(1000*time.Hour, 89*time.Minute); !at.IsZero() {
		t.Error("taken out long ago, and served again since: a sync may bring it")
	}
}

// TestTwoCertificatesTwoImports, of which the first comes by a sync yet; one by a CA
// is another matter than one that is not.
func TestTwoCertificatesTwoImports(t *testing.T) {
	e := newExchange()
	e.unnamed()
	for i, s := range []Served{having(selfSigned(apacPublisher, "just renewed"), func(s *Served) { s.First = certNoon() }), caSigned(apacPublisher, "by a CA", "Example CA")} {
		s.CA = true
		e.certs["apac"].Served[apacPublisher][[]Place{onRSA, onECDSA}[i]] = s
	}
	for _, id := range []mesh.ClusterID{"emea", "amer"} {
		change(e.certs, id, func(_ *Record, store *Store) { store.Checked = []string{ShortPrint(print64("by a CA"))} })
	}
	var got []string
	for _, p := range e.imports() {
		got = append(got, p.Target.String())
	}
	if diff := cmp.Diff([]string{"the CA certificates of Example CA in tomcat-trust on imp-emea-pub.example.com", "the CA certificates of Example CA in tomcat-trust on imp-amer-pub.example.com"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestASyncByACAProvesNothing of the certificate itself: any that the CA signed would
// have done.
func TestASyncByACAProvesNothing(t *testing.T) {
	e := newExchange()
	change(e.certs, "amer", func(_ *Record, s *Store) { forget(s, print64(string(apacPublisher)+" RSA")) })
	e.byCA(false, certNoon().AddDate(5, 0, 0), "amer")
	e.serve(apacPublisher, func(s *Served) { s.CA, s.Sighted = true, certNoon().Add(-2*time.Hour) })
	e.v.Clusters["amer"].Seen.Entries = peer.Known([]peer.Entry{{Address: string(apacPublisher), HasClock: true, LastSync: certNoon().Add(-time.Hour)}}, certNoon())
	got := e.imports()
	if len(got) != 1 || !slices.Equal(got[0].Source.Proofs, []peer.Proof{peer.ProofServed}) || !strings.Contains(got[0].Approval, "one source alone") {
		t.Errorf("%+v", got)
	}
}

// TestWhatIsCopiedByHand, as one reads it.
func TestWhatIsCopiedByHand(t *testing.T) {
	copies := func(e *exchange) (out []string) {
		for _, c := range e.view().Copies() {
			out = append(out, c.String())
		}
		return out
	}
	e := newExchange()
	if diff := cmp.Diff([]string{"tomcat.pem of imp-apac-pub.example.com (apac) to tomcat-trust of imp-emea-pub.example.com (emea)"}, copies(e)); diff != "" {
		t.Error(diff)
	}
	change(e.certs, "emea", func(_ *Record, s *Store) {
		s.Entries = append(s.Entries, Entry{Print: "old", Subject: string(apacPublisher), File: "old.pem"})
	})
	if diff := cmp.Diff([]string{"tomcat.pem of imp-apac-pub.example.com (apac) to tomcat-trust of imp-emea-pub.example.com (emea); the old copy there is old.pem"}, copies(e)); diff != "" {
		t.Error(diff)
	}
}

// TestWhatOthersMakeOfACertificate: the findings on apac's certificates, in short.
func TestWhatOthersMakeOfACertificate(t *testing.T) {
	store := func(id mesh.ClusterID, do func(*Store)) func(*exchange) {
		return func(e *exchange) { change(e.certs, id, func(_ *Record, s *Store) { do(s) }) }
	}
	lacks := func(id mesh.ClusterID, node mesh.NodeName) func(*exchange) {
		return store(id, func(s *Store) { forget(s, print64(string(node)+" RSA")) })
	}
	tls := func(e *exchange) {
		for i := range e.m.Peers {
			e.m.Peers[i].Protocol = mesh.TLSProto
		}
		r := e.certs["apac"]
		r.Ports = map[mesh.NodeName]map[Place]Served{apacPublisher: {{PortSIPTLS, "RSA"}: selfSigned(apacPublisher, "cup")}}
		e.certs["apac"] = r
		for _, id := range []mesh.ClusterID{"emea", "amer"} {
			change(e.certs, id, func(r *Record, s *Store) { r.Trust["cup-trust"] = Store{Nodes: s.Nodes} })
		}
	}
	const missing = "NotTrustedByPeers:imp-apac-pub.example.com:RSA"
	for _, c := range []struct {
		name string
		do   func(*exchange)
		want []string
	}{
		{"emea lacks it", func(*exchange) {}, []string{missing + " critical of emea"}},
		{"both lack it", lacks("amer", apacPublisher), []string{missing + " critical of emea, amer"}},
		{"of emea it is not known, and amer lacks it", func(e *exchange) {
			change(e.certs, "emea", func(r *Record, _ *Store) { r.Trust = nil })
			lacks("amer", apacPublisher)(e)
		}, []string{missing + " critical of amer"}},
		{"emea has it, and amer lacks it", func(e *exchange) { e.came(48 * time.Hour); e.synced(time.Minute); lacks("amer", apacPublisher)(e) }, []string{missing + " critical of amer"}},
		{"it is on its way to emea, whose interval is longer, and amer lacks it", func(e *exchange) {
			e.m.Clusters[0].SyncInterval = mesh.Duration(24 * time.Hour)
			e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-2 * time.Hour) })
			lacks("amer", apacPublisher)(e)
		}, []string{missing + " critical of amer"}},
		{"it is on its way", func(e *exchange) {
			e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-90*time.Minute + time.Second) })
		}, nil},
		{"it should have come by now", func(e *exchange) {
			e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-90 * time.Minute) })
		}, []string{missing + " critical of emea"}},
		{"a subscriber's: nobody pulls from it", func(e *exchange) { e.came(48 * time.Hour); e.synced(time.Minute); lacks("emea", apacSubject)(e) },
			[]string{"NotTrustedByPeers:imp-apac-sub1.example.com:RSA warning of emea"}},
		{"a subscriber's that came: nobody has to read it", func(e *exchange) {
			e.came(48 * time.Hour)
			e.synced(26 * time.Hour)
			store("emea", func(s *Store) {
				s.Came = map[string]time.Time{ShortPrint(print64(string(apacSubject) + " RSA")): certNoon().Add(-time.Hour)}
			})(e)
		}, nil},
		{"it was always there, and syncs fail for another reason", func(e *exchange) {
			e.came(48 * time.Hour)
			e.synced(26 * time.Hour)
			store("emea", func(s *Store) { s.Came = nil })(e)
		}, nil},
		{"SIP's, under TLS", tls, []string{missing + " critical of emea", "NotTrustedByPeers:imp-apac-pub.example.com:RSA:cup critical of emea, amer"}},
		{"nobody vouches for it", func(e *exchange) {
			e.unnamed()
			lacks("amer", apacPublisher)(e)
			e.serve(apacPublisher, func(s *Served) { s.Pinned = false })
		}, []string{missing + " critical of emea, amer unvouched"}},
		{"not served yet, and nobody has it", func(e *exchange) { e.came(48 * time.Hour); e.synced(time.Minute); e.next(func(*Served) {}) },
			[]string{"RenewedButNotServed:imp-apac-pub.example.com:RSA warning do not restart Cisco Tomcat yet: it is not trusted by emea, amer"}},
		{"not served yet, and emea's ICSA has to read it", func(e *exchange) {
			e.prepared(time.Hour)
			e.synced(time.Minute)
			e.inStore("amer", e.certs["apac"].Identity[apacPublisher]["tomcat"])
		}, []string{"RenewedButNotServed:imp-apac-pub.example.com:RSA warning do not restart Cisco Tomcat yet: the Intercluster Sync Agent of emea has not read its trust store since it came"}},
		{"not served yet, and of two clusters it is not known", func(e *exchange) {
			e.next(func(*Served) {})
			for _, id := range []mesh.ClusterID{"emea", "amer"} {
				change(e.certs, id, func(r *Record, _ *Store) { r.Trust = nil })
			}
		}, []string{"RenewedButNotServed:imp-apac-pub.example.com:RSA warning whether 2 clusters trust it is not known"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchange()
			c.do(e)
			var got []string
			for _, f := range e.view().trustFindings("apac") {
				text := string(f.ID) + " " + string(f.Severity)
				if _, of, ok := strings.Cut(f.Message, "; "); ok && f.Reason == NotServedYet {
					text += " " + of
				}
				if len(f.Lacking) > 0 {
					text += " of " + strings.Trim(strings.ReplaceAll(fmt.Sprint(f.Lacking), " ", ", "), "[]")
				}
				if strings.Contains(f.Message, "nothing else tells that it is the node's own") && strings.HasPrefix(f.Fix, "first compare") {
					text += " unvouched"
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAnECDSATwin is spared while its RSA twin is trusted, by a CA too; where nobody
// knows the twin it is a certificate like any other.
func TestAnECDSATwin(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(e *exchange)
		want peer.Reason
	}{
		{"its twin is trusted", func(e *exchange) { e.came(48 * time.Hour) }, ECDSAMissing},
		{"its twin's CA is trusted", func(e *exchange) { e.byCA(false, certNoon().AddDate(5, 0, 0), "emea", "amer") }, ECDSAMissing},
		{"its twin is not trusted either", func(*exchange) {}, NotTrustedByPeers},
		{"it has no twin", func(e *exchange) { delete(e.certs["apac"].Served[apacPublisher], onRSA); e.unnamed() }, NotTrustedByPeers},
		{"its twin is not served yet", func(e *exchange) {
			delete(e.certs["apac"].Served[apacPublisher], onRSA)
			e.inStore("emea", e.next(func(*Served) {}))
		}, NotTrustedByPeers},
	} {
		e := newExchange()
		c.do(e)
		e.certs["apac"].Served[apacPublisher][onECDSA] = selfSigned(apacPublisher, "its ECDSA")
		v := e.view()
		got := v.trustFindings("apac")
		i := slices.IndexFunc(got, func(f peer.Finding) bool { return f.KeyType == "ECDSA" })
		if i < 0 || got[i].Reason != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestTrustOverAPeer: how it stands with what emea meets at apac, at its edges.
func TestTrustOverAPeer(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(e *exchange)
		want peer.Reason // "" where a sync has to show it
	}{
		{"the store lacks it, and syncs fail", func(e *exchange) { e.synced(26 * time.Hour) }, peer.NotInTrustStore},
		{"the store lacks it, which a sync may mend", func(e *exchange) {
			e.synced(26 * time.Hour)
			e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-90*time.Minute + time.Second) })
		}, peer.ExchangePending},
		{"the store lacks it, and the time for a sync is up", func(e *exchange) {
			e.synced(26 * time.Hour)
			e.serve(apacPublisher, func(s *Served) { s.First = certNoon().Add(-90 * time.Minute) })
		}, peer.NotInTrustStore},
		{"nobody vouches for it, and the time for a sync is up", func(e *exchange) {
			e.synced(26 * time.Hour)
			e.unnamed()
			change(e.certs, "amer", func(_ *Record, s *Store) { forget(s, print64(string(apacPublisher)+" RSA")) })
			e.serve(apacPublisher, func(s *Served) { s.Pinned, s.First = false, certNoon().Add(-90*time.Minute) })
		}, peer.NotInTrustStore},
		{"the store lacks it, and a sync has succeeded since it was known to", func(e *exchange) { e.synced(time.Minute) }, peer.SyncedOverServedLeaf},
		{"the store lacks it since just now, and syncs have worked", func(e *exchange) { e.lack(apacPublisher, 10*time.Minute); e.synced(20 * time.Minute) }, peer.NextSyncDecides},
		{"it came, and syncs fail", func(e *exchange) { e.came(time.Hour); e.synced(26 * time.Hour) }, peer.TrustNotReloaded},
		{"it came, and syncs work", func(e *exchange) { e.came(time.Hour); e.synced(time.Minute) }, peer.InTrustStore},
		{"whether the store holds it is not known", func(e *exchange) { change(e.certs, "emea", func(r *Record, _ *Store) { r.Trust = nil }) }, ""},
	} {
		e := newExchange()
		c.do(e)
		cond, ok := e.view().CertificateTrusted(emeaApac())
		if ok != (c.want != "") || cond.Reason != c.want {
			t.Errorf("%s: %v %s: %s", c.name, ok, cond.Reason, cond.Message)
		}
	}
	if cond, ok := newExchange().view().CertificateTrusted(mesh.PeerID{From: "emea", To: "mars"}); ok {
		t.Errorf("of a cluster that left: %+v", cond)
	}
}
