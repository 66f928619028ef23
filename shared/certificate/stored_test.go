package certificate

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// TestWhatIsStoredIsWhatIsKnown: one certificate in several places is stored once,
// and every place has the whole again; what differs stands where it is.
func TestWhatIsStoredIsWhatIsKnown(t *testing.T) {
	one := selfSigned(apacPublisher, "one for all")
	former := selfSigned(apacPublisher, "the former one")
	replacing := func(s Served, by Served, keyType string) Served {
		s.Replaced, s.Former = by.Fingerprint, by.AsFormer(keyType)
		return s
	}
	for _, c := range []struct {
		name     string
		pub, sub Served
		subjects int // how often one stands in the item
	}{
		{"one certificate on two nodes", one, one, 1},
		{"two certificates", one, selfSigned(apacSubject, "its own"), 2},
		{"one fingerprint, and another account of it", one, having(one, func(s *Served) { s.Subject = "CN=told otherwise" }), 2},
		{"a node that could not be read", one, Served{Error: "no route"}, 1},
		{"a fingerprint without dates", one, Served{Fingerprint: one.Fingerprint + "0", Error: "no route"}, 1},
		{"dates without a fingerprint", one, Served{Subject: "CN=x", NotAfter: certNoon()}, 2},
		{"dates without a fingerprint, beside a node that could not be read", Served{Subject: "CN=x", NotAfter: certNoon()}, Served{Error: "no route"}, 2},
		{"one that replaced another, which is forgotten on one node", replacing(one, former, "RSA"), having(one, func(s *Served) { s.Replaced = former.Fingerprint }), 2},
		{"one that replaced another, on two nodes", replacing(one, former, "RSA"), replacing(one, former, "RSA"), 2},
		{"one that replaced another, of another key type", replacing(one, former, "RSA"), replacing(one, former, "ECDSA"), 3},
		{"another account of what was replaced", replacing(one, former, "RSA"), replacing(one, having(former, func(s *Served) { s.Subject = "CN=told otherwise" }), "RSA"), 3},
		{"what was replaced is not known", replacing(one, Served{}, "RSA"), one, 1},
		{"what replaced it forgot its fingerprint", having(one, func(s *Served) { s.Former = former.AsFormer("RSA") }), one, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Record{
				Served: map[mesh.NodeName]map[Place]Served{apacPublisher: {onRSA: c.pub}, apacSubject: {onRSA: c.sub}},
				Ports:  map[mesh.NodeName]map[Place]Served{apacPublisher: {{PortSIPTLS, "RSA"}: c.pub}},
			}
			body, err := json.Marshal(r.Packed())
			if err != nil {
				t.Fatal(err)
			}
			var back Record
			if err := json.Unmarshal(body, &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, back.Unpacked()); diff != "" {
				t.Errorf("(-seen +stored):\n%s", diff)
			}
			if n := strings.Count(string(body), `"subject":`); n != c.subjects {
				t.Errorf("%d subjects are stored, want %d: %s", n, c.subjects, body)
			}
		})
	}
}

// TestARecordThatWouldBeTooLarge is cut, the least needed first, as far as it must
// be and no further.
func TestARecordThatWouldBeTooLarge(t *testing.T) {
	long := func(n, bytes int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%0*d.example.com", bytes-12, i))
		}
		return out
	}
	many := func(r *Record, where string, nodes int, change func(*Served)) {
		for i := range nodes {
			node := mesh.NodeName(fmt.Sprintf("imp-apac-sub%d.example.com", i))
			if i == 0 {
				node = apacPublisher
			}
			s := selfSigned(node, fmt.Sprint(where, i))
			change(&s)
			switch where {
			case "ports":
				r.Ports[node] = map[Place]Served{{PortSIPTLS, "RSA"}: s}
			case "identity":
				r.Identity[node] = map[string]Served{"tomcat": s}
			default:
				r.Served[node] = map[Place]Served{onRSA: s}
			}
		}
	}
	findings := func(r *Record, n int) {
		for i := range n {
			r.Findings = append(r.Findings, peer.Finding{ID: peer.FindingID(fmt.Sprint(i)), Severity: peer.Info, Message: strings.Repeat("m", 1000)})
		}
		r.Findings = append(r.Findings, peer.Finding{ID: "worst", Severity: peer.Critical})
	}
	store := func(r *Record, name string, n int) {
		s := Store{}
		for _, subject := range long(n, 1000) {
			s.Entries = append(s.Entries, Entry{Print: "p", Subject: subject})
		}
		r.Trust[name] = s
	}
	for _, c := range []struct {
		name  string
		fill  func(*Record)
		cut   []string
		check func(*testing.T, Record)
	}{
		{"small enough", func(r *Record) { findings(r, 200); store(r, "cup-trust", 50) }, nil, func(t *testing.T, r Record) {
			if len(r.Findings) != 201 || len(r.Trust) != 1 || r.NoTrust != nil {
				t.Errorf("%d findings, %d stores, %+v", len(r.Findings), len(r.Trust), r.NoTrust)
			}
		}},
		{"too many findings: the worst stay", func(r *Record) { findings(r, 400) }, []string{"findings"}, func(t *testing.T, r Record) {
			if n := len(r.Findings); r.Findings[0].ID != "worst" || n < 50 || n > 61 || r.Findings[1].ID != "0" {
				t.Errorf("%d, the first is %s", n, r.Findings[0].ID)
			}
		}},
		{"too many names on other ports: there alone", func(r *Record) {
			many(r, "ports", 4, func(s *Served) { s.Names, s.MoreNames = long(100, 1000), 7 })
			many(r, "served", 1, func(s *Served) { s.Names = long(3, 100) })
		}, []string{"findings", "names of certificates"}, func(t *testing.T, r Record) {
			if s := r.Ports[apacPublisher][Place{PortSIPTLS, "RSA"}]; len(s.Names) != 0 || s.MoreNames != 107 {
				t.Errorf("%d names on a port, %d more", len(s.Names), s.MoreNames)
			}
			if s := r.Served[apacPublisher][onRSA]; len(s.Names) != 3 || s.MoreNames != 0 {
				t.Errorf("the publisher's are cut too: %d", len(s.Names))
			}
		}},
		{"too many names by certificate management, and of what was replaced", func(r *Record) {
			many(r, "identity", 2, func(s *Served) { s.Names = long(100, 1000) })
			former := selfSigned(apacPublisher, "former")
			former.Names = long(200, 1000)
			many(r, "served", 2, func(s *Served) { s.Names, s.Replaced, s.Former = long(3, 100), "sha256:0", former.AsFormer("RSA") })
		}, []string{"findings", "names of certificates"}, func(t *testing.T, r Record) {
			if s := r.Identity[apacPublisher]["tomcat"]; len(s.Names) != 0 || s.MoreNames != 100 {
				t.Errorf("%d names, %d more", len(s.Names), s.MoreNames)
			}
			if s := r.Served[apacPublisher][onRSA]; len(s.Names) != 3 || s.Former == nil || s.Former.Names != nil || s.Former.Subject == "" {
				t.Errorf("%d names, former %+v", len(s.Names), s.Former)
			}
			if s := r.Served["imp-apac-sub1.example.com"][onRSA]; len(s.Names) != 0 || s.MoreNames != 3 {
				t.Errorf("the subscriber's: %d names, %d more", len(s.Names), s.MoreNames)
			}
		}},
		{"the stores of SIP and XMPP before tomcat's", func(r *Record) { store(r, "cup-trust", 200); store(r, peer.TomcatTrust, 200) },
			[]string{"findings", "names of certificates", "trust stores"}, func(t *testing.T, r Record) {
				if _, kept := r.Trust[peer.TomcatTrust]; !kept || len(r.Trust) != 1 || r.NoTrust == nil || r.NoTrust.Reason != peer.ValueTooLong {
					t.Errorf("%d stores, %+v", len(r.Trust), r.NoTrust)
				}
			}},
		{"chains before tomcat's store", func(r *Record) {
			store(r, peer.TomcatTrust, 200)
			many(r, "served", 20, func(s *Served) {
				for range 10 {
					s.Chain = append(s.Chain, peer.Issuer{Subject: long(1, 1000)[0]})
				}
			})
		}, []string{"findings", "names of certificates", "trust stores", "chains of certificates"}, func(t *testing.T, r Record) {
			if s := r.Served[apacPublisher][onRSA]; s.Chain != nil || len(r.Trust) != 1 || r.NoTrust != nil {
				t.Errorf("chain %d, %d stores, %+v", len(s.Chain), len(r.Trust), r.NoTrust)
			}
		}},
		{"tomcat's store, once nothing else is left", func(r *Record) { store(r, peer.TomcatTrust, 400) },
			[]string{"findings", "names of certificates", "trust stores", "chains of certificates"}, func(t *testing.T, r Record) {
				if len(r.Trust) != 0 || r.NoTrust == nil {
					t.Errorf("%d stores, %+v", len(r.Trust), r.NoTrust)
				}
			}},
		{"the publisher's own names last", func(r *Record) { many(r, "served", 1, func(s *Served) { s.Names = long(400, 1000) }) },
			[]string{"findings", "names of certificates", "trust stores", "chains of certificates"}, func(t *testing.T, r Record) {
				if s := r.Served[apacPublisher][onRSA]; len(s.Names) != 0 || s.MoreNames != 400 {
					t.Errorf("%d names, %d more", len(s.Names), s.MoreNames)
				}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Record{Served: map[mesh.NodeName]map[Place]Served{}, Ports: map[mesh.NodeName]map[Place]Served{}, Identity: map[mesh.NodeName]map[string]Served{}, Trust: map[string]Store{}}
			c.fill(&r)
			cut := r.Fit(&mesh.Cluster{ID: "apac", Publisher: apacPublisher})
			if !slices.Equal(cut, c.cut) {
				t.Errorf("cut %q, want %q", cut, c.cut)
			}
			if body, err := json.Marshal(r.Packed()); err != nil || len(body) > 300<<10 {
				t.Errorf("%d bytes, %v", len(body), err)
			}
			c.check(t, r)
		})
	}
}

// TestARecordOfTheReleaseBeforeIsRead: there every place has the whole.
func TestARecordOfTheReleaseBeforeIsRead(t *testing.T) {
	const old = `{"at":"2026-06-02T12:00:00Z","served":{"imp-apac-pub.example.com":{"RSA":{"fingerprint":"sha256:aa","subject":"CN=x","issuer":"CN=x","notBefore":"2026-01-01T00:00:00Z","notAfter":"2030-01-01T00:00:00Z","names":["x"],"first":"2026-01-02T00:00:00Z","replaced":"sha256:bb","former":{"keyType":"RSA","subject":"CN=y","issuer":"CN=y","names":["y"],"notAfter":"2029-01-01T00:00:00Z"}},"ECDSA":{"fingerprint":"","subject":"","issuer":"","notBefore":"0001-01-01T00:00:00Z","notAfter":"0001-01-01T00:00:00Z","first":"0001-01-01T00:00:00Z","error":"no route"}}}}`
	var r Record
	if err := json.Unmarshal([]byte(old), &r); err != nil {
		t.Fatal(err)
	}
	r = r.Unpacked()
	again, err := json.Marshal(r.Packed())
	if err != nil {
		t.Fatal(err)
	}
	var back Record
	if err := json.Unmarshal(again, &back); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Record{r, back.Unpacked()} {
		s := r.Served["imp-apac-pub.example.com"][onRSA]
		if s.Subject != "CN=x" || len(s.Names) != 1 || s.Former == nil || s.Former.Subject != "CN=y" || s.Former.Names[0] != "y" || s.NotAfter.Year() != 2030 || s.First.Day() != 2 {
			t.Errorf("%+v", s)
		}
		if r.Served["imp-apac-pub.example.com"][onECDSA].Error != "no route" || r.Certificates != nil {
			t.Errorf("%+v", r)
		}
	}
}

// TestNoFieldIsLostInStoring: packing and unpacking lose no field of a place.
func TestNoFieldIsLostInStoring(t *testing.T) {
	full := Served{}
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case string:
			f.SetString("x")
		case peer.Reason:
			f.SetString("y")
		case bool:
			f.SetBool(true)
		case int:
			f.SetInt(7)
		case time.Time:
			f.Set(reflect.ValueOf(certNoon()))
		case []string:
			f.Set(reflect.ValueOf([]string{"n"}))
		case []peer.Issuer:
			f.Set(reflect.ValueOf([]peer.Issuer{{Fingerprint: "i"}}))
		case *Former:
			f.Set(reflect.ValueOf(&Former{KeyType: "RSA", Subject: "was", Names: []string{"w"}}))
		default:
			t.Errorf("a field of type %s: teach this test to fill it", f.Type())
		}
	}
	places := map[mesh.NodeName]map[Place]Served{"a": {onRSA: full, onECDSA: {Error: "no route"}}, "b": {onRSA: full}}
	r := Record{Served: places, Ports: map[mesh.NodeName]map[Place]Served{"a": {{Port: "5061", KeyType: "RSA"}: full}}}
	body, err := json.Marshal(r.Packed())
	if err != nil {
		t.Fatal(err)
	}
	var back Record
	if err := json.Unmarshal(body, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back.Unpacked()); diff != "" {
		t.Errorf("(-seen +stored):\n%s", diff)
	}
	if n := strings.Count(string(body), `"subject":"was"`); n != 1 {
		t.Errorf("what was replaced is stored %d times", n)
	}
}
