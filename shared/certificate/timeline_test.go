package certificate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
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
