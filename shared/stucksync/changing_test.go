package stucksync

import (
	"slices"
	"testing"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// TestWhatAPlanChangesIsHeld: a repair that the changed pairs alone ask for waits for
// the plan, and one that others ask for too goes on for those, by what they say.
func TestWhatAPlanChangesIsHeld(t *testing.T) {
	emeaAmer := mesh.PeerID{From: "emea", To: "amer"}
	restart := func(id mesh.PeerID, approval string) peer.Proposal {
		return peer.Proposal{ID: id.String(), Action: peer.RestartService, Target: peer.Target{Cluster: id.From, Node: "imp-emea-pub", Service: peer.ICSA}, Peers: []mesh.PeerID{id}, Approval: approval}
	}
	both := restart(emeaApac, "")
	both.Peers = append(both.Peers, emeaAmer)
	for _, c := range []struct {
		name        string
		changing    []mesh.PeerID
		asked       []peer.Proposal
		free, held  []mesh.PeerID // who asks for it
		withoutWord bool          // of a person
	}{
		{"no plan", nil, []peer.Proposal{restart(emeaApac, ""), restart(emeaAmer, "")}, []mesh.PeerID{emeaApac, emeaAmer}, nil, true},
		{"the pair that asks", []mesh.PeerID{emeaApac}, []peer.Proposal{restart(emeaApac, "")}, nil, []mesh.PeerID{emeaApac}, true},
		{"one of two that ask", []mesh.PeerID{emeaApac}, []peer.Proposal{restart(emeaApac, ""), restart(emeaAmer, "")}, []mesh.PeerID{emeaAmer}, []mesh.PeerID{emeaApac}, true},
		{"one of two, and the other's needs approval", []mesh.PeerID{emeaApac}, []peer.Proposal{restart(emeaApac, ""), restart(emeaAmer, "the other peers advance")}, []mesh.PeerID{emeaAmer}, []mesh.PeerID{emeaApac}, false},
		{"one of two that a service's stop concerns", []mesh.PeerID{emeaApac}, []peer.Proposal{both}, []mesh.PeerID{emeaAmer}, nil, true},
		{"another pair", []mesh.PeerID{amerApac}, []peer.Proposal{restart(emeaApac, "")}, []mesh.PeerID{emeaApac}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tk := at(t, func(_ *tick, f *peer.Facts) {
				f.Changing = map[mesh.PeerID]string{}
				for _, id := range c.changing {
					f.Changing[id] = "c4f2"
				}
			})
			askers := func(all []peer.Proposal) (out []mesh.PeerID) {
				for _, p := range peer.Merge(all) {
					out = append(out, p.Peers...)
				}
				slices.SortFunc(out, func(a, b mesh.PeerID) int { return -slices.Compare([]byte(a.String()), []byte(b.String())) })
				return out
			}
			free, held := tk.sorted(c.asked)
			if got := askers(free); !slices.Equal(got, c.free) {
				t.Errorf("goes on for %v, want %v", got, c.free)
			}
			if got := askers(held); !slices.Equal(got, c.held) {
				t.Errorf("held for %v, want %v", got, c.held)
			}
			for _, p := range peer.Merge(free) {
				if (p.Approval == "") != c.withoutWord {
					t.Errorf("approval: %q", p.Approval)
				}
			}
		})
	}
}

// TestCertificatesThatAPlanHasExchangedAreNotNamed: where a pair goes TLS, the other end
// lacks the certificate until the next sync has brought it.
func TestCertificatesThatAPlanHasExchangedAreNotNamed(t *testing.T) {
	for name, c := range map[string]struct {
		changing, lacking []mesh.ClusterID // pulling from apac
		suppressed        bool
	}{
		"no plan":                        {nil, []mesh.ClusterID{"emea"}, false},
		"a plan changes the pair":        {[]mesh.ClusterID{"emea"}, []mesh.ClusterID{"emea"}, true},
		"a plan changes one pair of two": {[]mesh.ClusterID{"emea"}, []mesh.ClusterID{"amer", "emea"}, false},
		"a plan changes another pair":    {[]mesh.ClusterID{"amer"}, []mesh.ClusterID{"emea"}, false},
		"who lacks it has not been told": {[]mesh.ClusterID{"emea"}, nil, false},
		"two plans change one pair each": {[]mesh.ClusterID{"amer", "emea"}, []mesh.ClusterID{"amer", "emea"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			tk := at(t, func(_ *tick, f *peer.Facts) {
				f.Changing = map[mesh.PeerID]string{}
				for _, from := range c.changing {
					f.Changing[mesh.PeerID{From: from, To: "apac"}] = "c4f2"
				}
			})
			one := alarm.Firing{Cluster: "apac"}
			fires := tk.notTrusted(peer.Finding{Reason: certificate.NotTrustedByPeers, Severity: peer.Critical, Lacking: c.lacking}, &one)
			if !fires || one.Suppressed != c.suppressed {
				t.Errorf("fires %v, suppressed %v, want %v", fires, one.Suppressed, c.suppressed)
			}
		})
	}
}
