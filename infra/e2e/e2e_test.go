package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store/dynamo/emulator"
)

// heard keeps what a subscriber has heard, and drops what it has heard before:
// delivery is at least once, and a repeat has the same fingerprint and
// transition.
type heard struct {
	stage *stage
	seen  map[string]string // "fingerprint transition" -> the message
	count map[string]int    // of new messages
	texts []string          // of the last of them
	twice int
}

// news is what has arrived since, without repeats, sorted.
func (h *heard) news(t *testing.T) []string {
	t.Helper()
	out := []string{}
	h.texts = nil
	for _, m := range h.stage.receive(t) {
		key := m.Fingerprint + " " + m.Transition
		if had, ok := h.seen[key]; ok {
			if had != m.String() {
				t.Errorf("transition %s is both %q and %q", key, had, m)
			}
			h.twice++
			continue
		}
		h.seen[key] = m.String()
		h.count[m.String()]++
		out, h.texts = append(out, m.String()), append(h.texts, m.String()+": "+m.text)
	}
	slices.Sort(out)
	return out
}

func (h *heard) expect(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), h.news(t)); diff != "" {
		t.Errorf("heard (-want +got):\n%s\n%s", diff, strings.Join(h.texts, "\n\n"))
	}
}

// part is one part of a play. The parts build on each other.
func part(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	began := time.Now()
	if !t.Run(name, f) {
		t.FailNow() // the rest would only repeat it
	}
	t.Logf("%s: %.1f s", name, time.Since(began).Seconds())
}

// balanced expects every alarm that was raised to have been cleared as often.
func (h *heard) balanced(t *testing.T) {
	t.Helper()
	for said, n := range h.count {
		opposite := strings.NewReplacer(" raised", " cleared", " cleared", " raised").Replace(said)
		if n != h.count[opposite] {
			t.Errorf("%s: %d, and %s: %d", said, n, opposite, h.count[opposite])
		}
	}
}

// TestDevAsDeployed plays a day of dev: deployed without secrets, healthy, and
// one incident after the other, each said once and taken back once, whatever
// AWS does meanwhile.
func TestDevAsDeployed(t *testing.T) {
	s := newStage(t, filepath.Join(root, "infra/environments"), "dev", clustersim.Config{})
	h := &heard{stage: s, seen: map[string]string{}, count: map[string]int{}}
	part := func(name string, f func(t *testing.T)) { t.Helper(); part(t, name, f) }

	// trusted expects every store to hold the certificate of every node of the
	// others, but for what differs.
	trusted := func(t *testing.T, but map[string]string) (exit int) {
		t.Helper()
		code, got := s.trust(t)
		want := map[string]string{}
		for _, h := range s.sim.Hosts() {
			for _, c := range s.env.Mesh.Clusters {
				if h.Role != "cucm" && h.Cluster != string(c.ID) {
					want[h.Name+" by "+string(c.ID)] = string(certificate.Trusted)
				}
			}
		}
		maps.Copy(want, but)
		if diff := cmp.Diff(want, got.verdicts); diff != "" {
			t.Errorf("who trusts whom (-want +got):\n%s", diff)
		}
		return code
	}

	part("deployed, and no secret has a value yet", func(t *testing.T) {
		s.check(t)
		s.tick(t)
		if a := s.tick(t); a.Peers[peer.StateUnknown] != len(s.env.Mesh.Peers) {
			t.Errorf("without accounts: %+v", a)
		}
		h.expect(t, "AccountRejected apac raised", "AccountRejected emea raised")
		for _, c := range s.sim.State().Clusters {
			for _, n := range c.Nodes {
				if len(n.Requests) > 0 {
					t.Errorf("%s was asked without an account: %v", n.Name, n.Requests)
				}
			}
		}
	})

	part("the secrets have their values: healthy", func(t *testing.T) {
		for _, c := range s.env.Mesh.Clusters {
			s.putSecret(t, c.ID, "read")
			s.putSecret(t, c.ID, "platform")
		}
		s.check(t)
		s.healthy(t)
		h.expect(t, "AccountRejected apac cleared", "AccountRejected emea cleared")
		code, st := s.status(t)
		want := map[string]string{}
		for _, p := range s.env.Mesh.Peers {
			want[p.ID.String()] = string(peer.Healthy)
		}
		if diff := cmp.Diff(want, st.peers()); diff != "" || code != 0 || st.Mesh != s.env.Mesh.Name {
			t.Errorf("status: exit %d, mesh %q (-want +got):\n%s", code, st.Mesh, diff)
		}
		trusted(t, nil)
		if got := slices.Sorted(maps.Keys(st.LastRun)); !cmp.Equal(got, []string{"certcheck", "peersync", "stucksync"}) {
			t.Errorf("status knows the runs of %v", got)
		}
	})

	part("a password is changed in the cluster and in Secrets Manager, and a warm peersync goes on", func(t *testing.T) {
		s.forward(t, 5*time.Minute)
		b := s.start(t, "peersync")
		look := func(rejected int) {
			t.Helper()
			now := fmt.Appendf(nil, `{"mesh":%q,"function":"peersync"}`, s.env.Mesh.Name)
			want := run.Clusters{Observed: len(s.env.Mesh.Clusters) - rejected, Unreachable: rejected}
			if a, err := b.send(t, now); err != nil || a.Clusters != want {
				t.Errorf("%+v %v\n%s", a, err, b.logs)
			}
		}
		look(0)
		s.set(t, "/clusters/apac/credentials", `{"password":"Rotated-1"}`)
		s.putSecret(t, "apac", "read")
		look(1) // with what it remembers, and not twice
		// What is a quarter of a minute old is asked for again once it has been
		// rejected.
		timer := time.NewTimer(16 * time.Second)
		<-timer.C
		look(0)
		if strings.Contains(b.logs.String(), "Rotated-") {
			t.Error("a password was logged")
		}
	})

	const stopped = "ServiceStopped apac"
	part("a service stops while DynamoDB throttles and loses answers", func(t *testing.T) {
		s.service(t, "Stopped")
		s.faults.Inject(
			emulator.Rule{Service: "dynamodb", Operation: "PutItem", Kind: emulator.Throttle, Times: 4},
			emulator.Rule{Service: "dynamodb", Operation: "Query", Kind: emulator.Throttle, Times: 2},
			emulator.Rule{Service: "dynamodb", Operation: "PutItem", Kind: emulator.LostReply, Times: 5},
			emulator.Rule{Service: "dynamodb", Operation: "GetItem", Kind: emulator.LostReply, Times: 1},
			emulator.Rule{Service: "secretsmanager", Kind: emulator.Throttle, Times: 1},
		)
		s.tick(t)
		if left := s.faults.Mend(); left > 0 {
			t.Errorf("%d faults did not fire", left)
		}
	})
	part("SNS refuses for a whole run, and stucksync is killed twice: the alarm waits, and arrives", func(t *testing.T) {
		s.faults.Inject(emulator.Rule{Service: "sns", Operation: "Publish", Kind: emulator.Refuse, Times: -1})
		s.forward(t, 5*time.Minute)
		s.look(t)
		b := s.start(t, "stucksync")
		if _, err := b.send(t, s.event(t, "stucksync")); err == nil || !strings.Contains(err.Error(), "sns:Publish") {
			t.Errorf("the refusal was not told: %v", err)
		}
		s.faults.Mend()
		h.expect(t)

		// Killed before SNS hears of it, then after SNS has heard and before
		// that is written down: the lease of a killed run holds four minutes.
		for _, kind := range []emulator.Kind{emulator.Delay, emulator.LostReply} {
			s.forward(t, 5*time.Minute)
			s.look(t)
			s.faults.Inject(emulator.Rule{Service: "sns", Operation: "Publish", Kind: kind, Times: -1, Wait: time.Minute})
			s.kill(t, "stucksync", "sns.Publish")
			s.faults.Mend()
		}
		s.tick(t)
		h.expect(t, stopped+" raised")
		if h.twice == 0 {
			t.Error("a publication whose answer was lost did not come again: nobody could have known that it had arrived")
		}
		code, st := s.status(t)
		if code != 1 || len(st.Alarms) != 1 || st.Alarms[0].Name != "ServiceStopped" || st.Alarms[0].State != "raised" || st.Alarms[0].Cluster != "apac" {
			t.Errorf("status: exit %d, %+v", code, st.Alarms)
		}
	})
	part("it runs again, peersync is killed in the middle, and SNS loses an answer", func(t *testing.T) {
		s.service(t, "Started")
		s.forward(t, 5*time.Minute)
		s.faults.Inject(emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: "CLUSTER#", Kind: emulator.Delay, Wait: time.Minute, Times: -1})
		s.kill(t, "peersync", "dynamodb.PutItem")
		s.faults.Mend()
		s.faults.Inject(emulator.Rule{Service: "sns", Operation: "Publish", Kind: emulator.LostReply})
		s.healthy(t)
		s.faults.Mend()
		h.expect(t, stopped+" cleared")
		if code, st := s.status(t); code != 0 || len(st.Alarms) > 0 {
			t.Errorf("status: exit %d, %+v", code, st.Alarms)
		}
	})

	part("a password is changed in the cluster, and later in Secrets Manager", func(t *testing.T) {
		s.set(t, "/clusters/apac/credentials", `{"password":"Rotated-2"}`)
		for range 3 {
			s.tick(t)
		}
		h.expect(t, "AccountRejected apac raised")
		s.putSecret(t, "apac", "read")
		s.healthy(t)
		h.expect(t, "AccountRejected apac cleared")
	})
	const stuck = "InterClusterSyncAgentPeerPeriodicSyncingFailure emea>apac"
	part("a peer is stuck", func(t *testing.T) {
		s.set(t, "/clusters/emea/peers", `{"peer":"apac","mode":"stuck"}`)
		// Clock B: four intervals of 30 minutes, and some for the judgement.
		for range 20 {
			s.forward(t, 5*time.Minute)
			s.tick(t)
			if news := h.news(t); len(news) > 0 {
				if diff := cmp.Diff([]string{stuck + " raised"}, news); diff != "" {
					t.Fatalf("heard (-want +got):\n%s", diff)
				}
				return
			}
		}
		t.Error("nothing was said in more than three hours")
	})
	part("it syncs again", func(t *testing.T) {
		s.set(t, "/clusters/emea/peers", `{"peer":"apac","mode":"ok"}`)
		s.forward(t, 35*time.Minute)
		s.healthy(t)
		h.expect(t, stuck+" cleared")
	})

	part("a CA is taken out of a trust store that holds what it signed: nothing is wrong", func(t *testing.T) {
		s.set(t, "/clusters/emea/trust", fmt.Sprintf(`{"remove":%q}`, s.authority(t)))
		s.check(t)
		for range 2 {
			s.tick(t)
		}
		trusted(t, nil)
		h.expect(t)
	})
	const untrusted = "CertificateNotTrusted apac"
	pub, print := s.node("apac", "publisher"), ""
	part("a certificate is taken out of a trust store", func(t *testing.T) {
		_, known := s.trust(t)
		if print = known.prints[pub]; print == "" {
			t.Fatalf("%s serves no certificate: %v", pub, known)
		}
		s.set(t, "/clusters/emea/trust", fmt.Sprintf(`{"remove":%q}`, print))
		s.check(t)
		s.tick(t)
		h.expect(t)    // whether a sync succeeds all the same is not known yet
		for range 12 { // until one is overdue, and certcheck's schedule has seen it
			s.tick(t)
		}
		h.expect(t, untrusted+" raised")
		// Six hours on it is the same incident, also where the syncs that fail
		// meanwhile count as stuck.
		for range int(6 * time.Hour / (5 * time.Minute)) {
			s.tick(t)
		}
		h.expect(t)
		if exit := trusted(t, map[string]string{pub + " by emea": string(certificate.Missing)}); exit != 1 {
			t.Errorf("check certs: exit %d", exit)
		}
		code, st := s.status(t)
		if want := map[string]string{"emea>apac": string(peer.Degraded), "apac>emea": string(peer.Healthy)}; code != 1 || !cmp.Equal(want, st.peers()) {
			t.Errorf("status: exit %d, %v, want %v", code, st.peers(), want)
		}
	})
	part("it is put back", func(t *testing.T) {
		s.set(t, "/clusters/emea/trust", fmt.Sprintf(`{"add":%q}`, print))
		for range 7 { // an interval, and certcheck's schedule sees it by itself
			s.tick(t)
		}
		s.healthy(t)
		h.expect(t, untrusted+" cleared")
		if exit := trusted(t, nil); exit != 0 {
			t.Errorf("check certs: exit %d", exit)
		}
	})

	part("in the end", func(t *testing.T) {
		if h.count[untrusted+" raised"] != 1 {
			t.Errorf("%s was raised %d times", untrusted, h.count[untrusted+" raised"])
		}
		h.balanced(t)
		for _, c := range s.sim.State().Clusters {
			if c.Writes+c.ICSARestarts+c.RouterRestarts > 0 {
				t.Errorf("%s was changed %d times, and dev only looks", c.ID, c.Writes+c.ICSARestarts+c.RouterRestarts)
			}
		}
		for _, why := range s.guard.refusals() {
			t.Errorf("the template's policies refuse what was needed: %s", why)
		}
		t.Logf("repeats dropped: %d; not needed on this day: %v; asked of AWS: %v", h.twice, s.guard.unused(), s.faults.Seen())
	})
}

// authority is the fingerprint of the CA that signed the simulated nodes'
// certificates.
func (s *stage) authority(t *testing.T) string {
	t.Helper()
	files, err := s.sim.Files(s.admin)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(files["ca.pem"])
	if block == nil {
		t.Fatal("the simulator has no CA")
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(block.Bytes))
}

// service stops or starts ICSA on apac's subscriber.
func (s *stage) service(t *testing.T, status string) {
	t.Helper()
	s.set(t, "/clusters/apac/services", fmt.Sprintf(`{"node":%q,"service":"Cisco Intercluster Sync Agent","status":%q}`, s.node("apac", "subscriber"), status))
}

// kill starts a function and kills it (-9) once it has sent a request.
func (s *stage) kill(t *testing.T, name, request string) {
	t.Helper()
	before := s.faults.Seen()[request]
	s.killOnce(t, name, request, func() bool { return s.faults.Seen()[request] > before })
}

// killOnce starts a function and kills it once it has done something.
func (s *stage) killOnce(t *testing.T, name, what string, done func() bool) {
	t.Helper()
	b := s.start(t, name)
	event := s.event(t, name)
	ended := make(chan error, 1)
	go func() {
		_, err := b.Invoke(context.WithoutCancel(t.Context()), event)
		ended <- err
	}()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	end := time.NewTimer(2 * time.Minute)
	defer end.Stop()
	for !done() {
		select {
		case <-ticker.C:
		case err := <-ended:
			t.Fatalf("%s ended without %s: %v\n%s", name, what, err, b.logs)
		case <-end.C:
			t.Fatalf("%s did not come to %s\n%s", name, what, b.logs)
		}
	}
	// A publication that is let through takes a moment to be one.
	settle := time.NewTimer(100 * time.Millisecond)
	<-settle.C
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Errorf("%s had answered before it was killed", name)
	}
}
