package clustersim

import (
	"testing"

	"github.com/miekg/dns"
)

// Split DNS: what Peerkeeper is told of a name, and what ICSA is told of it, are
// two things.
func TestDNSAnswersDifferByWhoAsks(t *testing.T) {
	for _, c := range []struct {
		name       string
		set        DNS
		toUs       string // what Peerkeeper is answered
		icsaGoesOn bool
		undo       DNS
	}{
		{"the answer is for Peerkeeper alone", DNS{For: "peerkeeper", Name: apacPub, Answer: new("nxdomain")}, "NXDOMAIN", true,
			DNS{For: "peerkeeper", Name: apacPub, Answer: new("")}},
		{"the answer is for ICSA alone", DNS{For: "icsa", Name: apacPub, Answer: new("nxdomain")}, "NOERROR", false,
			DNS{For: "icsa", Name: apacPub, Answer: new("")}},
		{"for all", DNS{For: "all", Name: apacPub, Answer: new("nxdomain")}, "NXDOMAIN", false, DNS{Name: apacPub, Answer: new("")}},
		{"for nobody in particular is for all", DNS{Name: apacPub, Answer: new("nxdomain")}, "NXDOMAIN", false, DNS{Name: apacPub, Answer: new("")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{Users: 20})
			r.run(anHourAndABit)
			before := *r.peer("emea>apac").LastSynchronized
			ask := func() string {
				m := r.cluster("emea")
				return saidByDNS(m.zone.answer(dnsQuestion(apacPub, dns.TypeA)))[0]
			}
			r.change("emea", c.set)
			r.run(anHourAndABit)
			if got := ask(); got != c.toUs {
				t.Errorf("Peerkeeper is answered %s, want %s", got, c.toUs)
			}
			after := r.peer("emea>apac")
			if went := after.LastSynchronized.After(before); went != c.icsaGoesOn || (after.LastError == "") != c.icsaGoesOn {
				t.Errorf("ICSA synced since: %v (%q), want %v", went, after.LastError, c.icsaGoesOn)
			}
			r.change("emea", c.undo)
			r.run(anHourAndABit)
			if got := ask(); got != "NOERROR" || r.peer("emea>apac").LastError != "" {
				t.Errorf("mended: %s, %q", got, r.peer("emea>apac").LastError)
			}
		})
	}
	t.Run("servers that are silent to Peerkeeper alone", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		for _, n := range []int{1, 2} {
			r.change("emea", DNS{For: "peerkeeper", Server: n, Silent: new(true)})
		}
		r.run(anHourAndABit)
		if got := r.peer("emea>apac").LastError; got != "" {
			t.Errorf("ICSA fails: %s", got)
		}
		if _, err := r.ResolveAt(r.cluster("emea").dns[0].address(), dnsQuestion(apacPub, dns.TypeA)); err == nil {
			t.Error("Peerkeeper is answered")
		}
	})
	t.Run("a word that is none", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		if err := r.Do("POST", "/clusters/emea/dns", []byte(`{"for":"nobody","name":"x.example.com","answer":"nxdomain"}`)); err == nil {
			t.Error("taken")
		}
	})
}
