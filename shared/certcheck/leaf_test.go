package certcheck_test

import (
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/run"
)

// TestARenewedCertificateIsSeenAtTheNextRun: peersync meets it within five
// minutes, and certcheck looks at that cluster within fifteen, not within six
// hours. What one look has seen brings no other one forward.
func TestARenewedCertificateIsSeenAtTheNextRun(t *testing.T) {
	r := newRig(t, clustersim.Config{}, nil)
	sync := &peersync.Peersync{Mesh: r.Mesh, Store: r.check.Store, Clusters: &cluster.Connector{Dialect: cluster.NewDialect(r.Mesh.Dialect), Secrets: r.SecretsNow(), Now: r.Clock.Now, Timeout: time.Minute}, Now: r.Clock.Now}
	tick := func() {
		t.Helper()
		if _, err := sync.Handle(t.Context(), run.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	looks := func() clusters {
		t.Helper()
		before := map[string]time.Time{}
		snapshot, _ := r.stored()
		for id, d := range snapshot.Certs {
			before[string(id)] = d.Value.At
		}
		if _, err := r.check.Handle(t.Context(), run.Request{ScheduledTime: r.Clock.Now()}); err != nil {
			t.Fatal(err)
		}
		snapshot, _ = r.stored()
		out := clusters{}
		for id, d := range snapshot.Certs {
			if d.Value.At.After(before[string(id)]) {
				out[string(id)] = true
			}
		}
		return out
	}
	tick()
	r.look()
	tick()
	r.Clock.Move(15 * time.Minute)
	if got := looks(); len(got) != 0 {
		t.Errorf("nothing was renewed, and certcheck looked at %v", got)
	}
	r.Change("apac", clustersim.Certificates{Node: pub, KeyType: "RSA", Issuer: "self"}) // neither pinned nor by tls.ca: peersync is refused, and saw it
	r.Clock.Move(5 * time.Minute)
	sync.Clusters = &cluster.Connector{Dialect: cluster.NewDialect(r.Mesh.Dialect), Secrets: r.SecretsNow(), Now: r.Clock.Now, Timeout: time.Minute} // no connection outlives five minutes
	tick()
	r.Clock.Move(10 * time.Minute)
	if got := looks(); !got["apac"] || len(got) != 1 {
		t.Errorf("certcheck looked at %v, want apac alone", got)
	}
	snapshot, _ := r.stored()
	if !has(snapshot, "apac", certificate.CertificateUntrustedHere) {
		t.Error("the renewal is not said")
	}
	tick()
	r.Clock.Move(15 * time.Minute)
	if got := looks(); got["amer"] || got["emea"] && !got["apac"] {
		t.Errorf("certcheck looked again at %v", got)
	}
}

type clusters map[string]bool
