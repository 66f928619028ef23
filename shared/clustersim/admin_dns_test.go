package clustersim

import (
	"testing"

	"github.com/miekg/dns"
)

// Split DNS: what Peerkeeper is told of a name, and what ICSA is told of it, are
// two things.
func TestDNSAnswersDifferByWhoAsks(t *testing.T) {
	for _, c := range []struct {
		name, body string
		toUs       string // what Peerkeeper is answered
		icsaGoesOn bool
		undo       string
	}{
		{"the answer is for Peerkeeper alone", `{"for":"peerkeeper","name":"` + apacPub + `","answer":"nxdomain"}`, "NXDOMAIN", true,
			`{"for":"peerkeeper","name":"` + apacPub + `","answer":""}`},
		{"the answer is for ICSA alone", `{"for":"icsa","name":"` + apacPub + `","answer":"nxdomain"}`, "NOERROR", false,
			`{"for":"icsa","name":"` + apacPub + `","answer":""}`},
		{"for all", `{"for":"all","name":"` + apacPub + `","answer":"nxdomain"}`, "NXDOMAIN", false, `{"name":"` + apacPub + `","answer":""}`},
		{"for nobody in particular is for all", `{"name":"` + apacPub + `","answer":"nxdomain"}`, "NXDOMAIN", false, `{"name":"` + apacPub + `","answer":""}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{Users: 20})
			r.run(anHourAndABit)
			before := *r.peer("emea>apac").LastSynchronized
			ask := func() string {
				m := r.cluster("emea")
				return saidByDNS(m.zone.answer(dnsQuestion(apacPub, dns.TypeA)))[0]
			}
			r.do("/clusters/emea/dns", c.body)
			r.run(anHourAndABit)
			if got := ask(); got != c.toUs {
				t.Errorf("Peerkeeper is answered %s, want %s", got, c.toUs)
			}
			after := r.peer("emea>apac")
			if went := after.LastSynchronized.After(before); went != c.icsaGoesOn || (after.LastError == "") != c.icsaGoesOn {
				t.Errorf("ICSA synced since: %v (%q), want %v", went, after.LastError, c.icsaGoesOn)
			}
			r.do("/clusters/emea/dns", c.undo)
			r.run(anHourAndABit)
			if got := ask(); got != "NOERROR" || r.peer("emea>apac").LastError != "" {
				t.Errorf("mended: %s, %q", got, r.peer("emea>apac").LastError)
			}
		})
	}
	t.Run("servers that are silent to Peerkeeper alone", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		for _, n := range []string{"1", "2"} {
			r.do("/clusters/emea/dns", `{"for":"peerkeeper","server":`+n+`,"silent":true}`)
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
