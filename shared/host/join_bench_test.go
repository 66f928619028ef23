package host_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// BenchmarkJoin30 is a join of the thirtieth cluster by people who do at once what they are
// told, every five minutes: how large its plan is, and what peering reads and writes for it
// in DynamoDB's units, by itself and to hear 400 words.
func BenchmarkJoin30(b *testing.B) {
	for range b.N {
		joinThirty(b)
	}
}

func joinThirty(b *testing.B) {
	r := simtest.New(b, simtest.Start(), clustersim.Config{Clusters: 30, Users: 60, Seed: 1}, false)
	newcomer := r.Mesh.IDs()[29]
	change1 := func(from, to mesh.ClusterID, in clustersim.Peers) {
		in.Peer = string(to)
		r.Change(string(from), in)
	}
	there, gone := true, false
	for _, id := range r.Mesh.IDs()[:29] {
		change1(id, newcomer, clustersim.Peers{Present: &gone})
		change1(newcomer, id, clustersim.Peers{Present: &gone})
	}
	m := &metered{Memory: storetest.NewMemory()}
	m.Now = r.Clock.Now
	h := &host.Host{
		Mesh: r.Mesh, Store: m, Secrets: r.SecretsNow(), Clock: byHand{r.Clock}, Timeout: time.Minute, Backoff: time.Millisecond,
		Transport: r.Transport(), TLS: inProcessTLS{r.Sim}, DNS: &dnsprobe.Client{Domain: r.Mesh.Domain, Timeout: time.Minute, Dialer: inProcessDNS{r.Sim}},
	}
	handle := func(function string) spent {
		m.spent = spent{}
		if _, err := h.Handle(b.Context(), run.Request{Function: function}); err != nil {
			b.Fatal(err)
		}
		return m.spent
	}
	for range 7 + 30 { // until every user of each cluster has been read once
		handle("peersync")
		r.Pass(5 * time.Minute)
	}
	handle("preflight")
	idle := handle("peering")
	b.ReportMetric(idle.reads, "idle-reads")
	b.ReportMetric(idle.writes, "idle-writes")

	person := person(h)
	id, err := person.AskForPlan(b.Context(), change.Join, []string{string(newcomer)})
	if err != nil {
		b.Fatal(err)
	}
	var all spent
	ticks, words := 0, 0
	tick := func() {
		s := handle("peering")
		all.reads, all.writes = all.reads+s.reads, all.writes+s.writes
		ticks++
	}
	tick()
	load := func() *record.Plan {
		p, err := record.LoadPlan(b.Context(), m.Memory, r.Mesh.Name, id)
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	say := func(p *record.Plan, w change.Word) {
		if _, err := person.Tell(b.Context(), &p.Plan, w); err != nil {
			b.Fatal(err)
		}
		words++
		tick()
	}
	say(load(), change.Word{Verb: change.Start})
	most := 0
	for p := load(); !p.State.Ended(); p = load() {
		s := p.Current()
		if p.State == change.Stopped {
			b.Fatalf("it stopped: %s", p.Why)
		}
		if s.State != change.StepWaiting || s.Op == change.OpVerifyPair || s.Op == change.OpDuplicates {
			r.Pass(5 * time.Minute)
			handle("peersync")
			tick()
			if ticks > 5000 {
				b.Fatalf("it does not end: step %d of %d: %s", s.N, len(p.Steps), s.Evidence)
			}
			continue
		}
		w := change.Word{Verb: change.Confirm, Steps: []int{s.N}}
		switch s.Op {
		case change.OpAddEntry:
			change1(s.Pair.From, s.Pair.To, clustersim.Peers{Present: &there})
		case change.OpAskBell, change.OpAskHA:
			w.Verb = change.Answer
		}
		say(p, w)
	}
	items, err := m.Memory.Load(b.Context(), store.Changes(r.Mesh.Name), "")
	if err != nil {
		b.Fatal(err)
	}
	total := 0
	for _, it := range items {
		if strings.HasPrefix(it.SK, store.PrefixChange) {
			total, most = total+size(it), max(most, size(it))
		}
	}
	b.ReportMetric(float64(len(items)), "items")
	b.ReportMetric(float64(total), "bytes")
	b.ReportMetric(float64(most), "largest-bytes")
	b.ReportMetric(float64(words), "words")
	b.ReportMetric(float64(ticks), "runs")
	b.ReportMetric(all.reads, "reads")
	b.ReportMetric(all.writes, "writes")
	b.ReportMetric(r.Clock.Now().Sub(simtest.Start()).Hours(), "hours")
}
