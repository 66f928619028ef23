package cluster_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/secret"
)

const typedName, typedPassword = "icsa-of-apac", "Correct horse 1"

// TestAnAccountIsTriedOnce: whatever the publisher answers, it gets one request at
// most, and one log-in; where it could not be verified, none. Nothing of the account
// is in what is said or logged.
func TestAnAccountIsTriedOnce(t *testing.T) {
	pub := string(pubOf("apac"))
	fault := func(kind clustersim.FaultKind, text string) func(*rig) {
		return func(r *rig) {
			r.Fault(clustersim.Fault{Cluster: "apac", Node: pub, Operation: "executeSQLQuery", Kind: kind, Times: -1, Text: text, Delay: time.Hour})
		}
	}
	for _, tc := range []struct {
		name     string
		breaks   func(r *rig)
		password string
		want     cluster.AttemptOutcome
		reason   peer.Reason
		logIns   int
		says     string
	}{
		{"right", nil, typedPassword, cluster.Accepted, "", 1, ""},
		{"wrong password", nil, "wrong horse", cluster.Rejected, peer.AccountRejected, 1, "account rejected"},
		{"no role for AXL, or whatever a 403 means", fault(clustersim.FaultHTTP403, ""), typedPassword, cluster.NoRight, peer.Forbidden, 0, "Standard AXL API Access"},
		{"busy", fault(clustersim.FaultHTTP503, ""), typedPassword, cluster.Unclear, peer.Overloaded, 0, "503"},
		{"another AXL version is wanted", fault(clustersim.FaultHTTP599, "Incorrect axl version. Supported axl versions are 12.x, 14.0 and 15.0."), typedPassword, cluster.Unclear, peer.AXLVersionRefused, 0, "599"},
		{"another AXL version is wanted, none is named", fault(clustersim.FaultHTTP599, ""), typedPassword, cluster.Unclear, peer.AXLVersionRefused, 0, "599"},
		{"AXL refuses the question", fault(clustersim.FaultSOAP, ""), typedPassword, cluster.Unclear, peer.QueryRefused, 0, ""},
		{"closed without an answer", fault(clustersim.FaultDrop, ""), typedPassword, cluster.Unclear, peer.ConnectionClosed, 0, "closed"},
		{"no answer in time", func(r *rig) { r.Timeout = time.Second; fault(clustersim.FaultDelay, "")(r) }, typedPassword, cluster.Unclear, peer.TimedOut, 0, "in time"},
		{"garbage", fault(clustersim.FaultGarbage, ""), typedPassword, cluster.Unclear, peer.UnreadableAnswer, 0, "unreadable"},
		{"rows without end", fault(clustersim.FaultOversize, ""), typedPassword, cluster.Unclear, peer.UnreadableAnswer, 0, "too big"},
		{"AXL is not activated", func(r *rig) {
			r.Change("apac", clustersim.Services{Node: pub, Service: peer.AXL, Status: "Stopped"})
		}, typedPassword, cluster.Unclear, peer.ServiceNotActive, 0, "404"},
		{"nobody answers", func(r *rig) { r.Change("apac", clustersim.Reachable{From: "peerkeeper", Value: new(false)}) }, typedPassword, cluster.NotTried, peer.CannotConnect, 0, ""},
		{"a certificate that nothing vouches for", func(r *rig) {
			c, _ := r.Mesh.Cluster("apac")
			c.TLS.CA, c.TLS.Pins = "", []string{"sha256:" + strings.Repeat("0", 64)}
		}, typedPassword, cluster.NotTried, peer.ServerCertificateUntrusted, 0, "not trusted"},
		{"TLS 1.0 only", func(r *rig) { r.Change("apac", clustersim.TLS{Node: pub, MaxVersion: new("1.0")}) }, typedPassword, cluster.NotTried, peer.ProtocolTooOld, 0, "min-version 1.2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			silent := tc.reason == peer.TimedOut
			try := func(t *testing.T) {
				r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, !silent)
				r.Change("apac", clustersim.Credentials{Account: "intercluster", Username: new(typedName), Password: new(typedPassword)})
				if tc.breaks != nil {
					tc.breaks(r)
				}
				var log bytes.Buffer
				r.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				apac, _ := r.Mesh.Cluster("apac")
				typed := []byte(tc.password)
				got := r.TryAccount(t.Context(), apac, nil, typedName, secret.Lent(typed))
				clear(typed)
				if got.Outcome != tc.want || got.Reason != tc.reason || !strings.Contains(got.Detail, tc.says) {
					t.Errorf("%+v, want %s, %s and %q", got, tc.want, tc.reason, tc.says)
				}
				all, logIns, rejected := r.Load("apac")
				if sent := all > 0 || logIns > 0; all > 1 || logIns > 1 || logIns < tc.logIns || sent && tc.want == cluster.NotTried {
					t.Errorf("%d requests, %d log-ins, want %d", all, logIns, tc.logIns)
				}
				if (rejected == 1) != (tc.want == cluster.Rejected) {
					t.Errorf("%d rejected log-ins", rejected)
				}
				for _, said := range []string{log.String(), got.Detail} {
					if strings.Contains(said, typedName) || strings.Contains(said, tc.password) {
						t.Errorf("the account is in: %s", said)
					}
				}
			}
			if silent { // nothing else may take time
				synctest.Test(t, try)
				return
			}
			try(t)
		})
	}
}

// TestAnAttemptThatIsInterrupted: before anything was sent, nothing was tried.
func TestAnAttemptThatIsInterrupted(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	apac, _ := r.Mesh.Cluster("apac")
	if got := r.TryAccount(ctx, apac, nil, typedName, secret.NewText(typedPassword)); got.Outcome != cluster.NotTried {
		t.Errorf("%+v", got)
	}
	if all, logIns, _ := r.Load("apac"); all > 0 || logIns > 0 {
		t.Errorf("%d requests, %d log-ins", all, logIns)
	}
}
