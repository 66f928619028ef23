package host_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/tlsprobe"
)

// TestSomethingInBetweenIsNotImported: on Peerkeeper's way to apac's publisher
// something shows a certificate of its own, which a person accepted so that
// Peerkeeper may talk to the node. Its peers meet the node itself and go on
// syncing. Nothing is put into any store, and one finding says what differs.
func TestSomethingInBetweenIsNotImported(t *testing.T) {
	for _, policy := range []string{mesh.ImportAuto, mesh.ImportApprove} {
		for _, since := range []string{"always", "a while"} {
			t.Run(policy+", in between for "+since, func(t *testing.T) {
				t.Parallel()
				r := newCrashRig(t)
				r.host.Mesh.Policy.ImportCertificates = policy
				if since == "a while" {
					r.ticks(10 * time.Minute)
					r.once("certcheck")
				}
				r.change("apac", clustersim.TLS{Node: apacPublisher, Served: "other"})
				c, _ := r.host.Mesh.Cluster("apac")
				n, _ := c.Node(apacPublisher)
				shown, _ := tlsprobe.Prober{}.Probe(t.Context(), tlsprobe.Target{Address: n.Address, ServerName: apacPublisher}, tlsprobe.Any)
				if err := person(r.host).Accept(t.Context(), apacPublisher, chain.Fingerprint(shown.Leaf())); err != nil {
					t.Fatal(err)
				}
				for range 6 {
					r.ticks(30 * time.Minute)
					r.once("certcheck")
				}
				if got := r.asked(); len(got) > 0 {
					t.Errorf("asked for: %+v", got)
				}
				if n := r.puts(); n != 0 {
					t.Errorf("%d requests put something into emea's stores", n)
				}
				snapshot, err := record.Load(context.Background(), r.host.Store, r.host.Mesh)
				if err != nil {
					t.Fatal(err)
				}
				var about []peer.Finding
				for _, f := range snapshot.Certs["apac"].Value.Findings {
					if f.Node == apacPublisher && f.Severity != peer.Info || f.Reason == peer.CertificateChanged {
						about = append(about, f)
					}
				}
				if len(about) != 1 || about[0].Reason != certificate.SourcesDiffer || !strings.Contains(about[0].Message, chain.Fingerprint(shown.Leaf())) {
					t.Errorf("findings: %+v, want one that says what differs", about)
				}
				if got := r.trusted(); got.Status != peer.True {
					t.Errorf("emea>apac CertificateTrusted: %+v; its store holds what the node names", got)
				}
			})
		}
	}
}
