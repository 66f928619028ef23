package cluster_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/controlcenter"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

func (r *rig) controller(id mesh.ClusterID) *cluster.ServiceController {
	r.t.Helper()
	k, err := r.ServiceController(r.t.Context(), r.declared(id), nil, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return k
}

// TestAServiceIsRestartedOnTheNodeThatWasNamed: and on no other, once.
func TestAServiceIsRestartedOnTheNodeThatWasNamed(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Pass(time.Hour)
	k := r.controller("emea")
	up := func(node mesh.NodeName) time.Duration {
		t.Helper()
		s, err := k.Service(t.Context(), node, peer.ICSA)
		if err != nil || !s.Started() {
			t.Fatalf("ICSA on %s: %+v, %v", node, s, err)
		}
		return s.UpTime
	}
	pub, sub := up(emeaPub), up(emeaSub)
	if err := k.Control(t.Context(), emeaPub, peer.RestartService, peer.ICSA); err != nil {
		t.Fatal(err)
	}
	r.Pass(5 * time.Minute)
	if now := up(emeaPub); now >= pub {
		t.Errorf("ICSA on the publisher is up for %s, before the restart %s", now, pub)
	}
	if now := up(emeaSub); now <= sub {
		t.Errorf("ICSA on the subscriber is up for %s, before %s", now, sub)
	}
	if s := r.Cluster("emea"); s.Writes != 1 || s.ICSARestarts != 1 {
		t.Errorf("%d writes, %d restarts", s.Writes, s.ICSARestarts)
	}
}

// TestAStoppedServiceIsStarted.
func TestAStoppedServiceIsStarted(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Change("emea", clustersim.Services{Node: string(emeaSub), Service: peer.SyncAgent, Status: "Stopped"})
	k := r.controller("emea")
	if s, err := k.Service(t.Context(), emeaSub, peer.SyncAgent); err != nil || s.Started() {
		t.Fatalf("before: %+v, %v", s, err)
	}
	if err := k.Control(t.Context(), emeaSub, peer.StartService, peer.SyncAgent); err != nil {
		t.Fatal(err)
	}
	r.Pass(5 * time.Minute)
	if s, err := k.Service(t.Context(), emeaSub, peer.SyncAgent); err != nil || !s.Started() {
		t.Errorf("after: %+v, %v", s, err)
	}
}

// TestAFeatureServiceIsActivatedOnTheNodeThatWasNamed: it then runs there; a network
// service cannot be, and that is a refusal.
func TestAFeatureServiceIsActivatedOnTheNodeThatWasNamed(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	for _, node := range []mesh.NodeName{emeaPub, emeaSub} {
		r.Change("emea", clustersim.Services{Node: string(node), Service: peer.AXL, Status: "NotActivated"})
	}
	k := r.controller("emea")
	if s, err := k.Service(t.Context(), emeaSub, peer.AXL); err != nil || s.Started() || s.Code != controlcenter.ReasonNotActivated {
		t.Fatalf("before: %+v, %v", s, err)
	}
	if err := k.Activate(t.Context(), emeaSub, peer.AXL); err != nil {
		t.Fatal(err)
	}
	r.Pass(5 * time.Minute)
	if s, err := k.Service(t.Context(), emeaSub, peer.AXL); err != nil || !s.Started() {
		t.Errorf("after: %+v, %v", s, err)
	}
	if s, err := k.Service(t.Context(), emeaPub, peer.AXL); err != nil || s.Started() {
		t.Errorf("on the other node: %+v, %v", s, err)
	}
	if err := k.Activate(t.Context(), emeaSub, peer.AXL); err != nil {
		t.Errorf("activated already: %v", err)
	}
	if err := k.Activate(t.Context(), emeaSub, peer.ICSA); !k.Refused(err) || k.Uncertain(err) {
		t.Errorf("a network service: %v", err)
	}
	if err := k.Activate(t.Context(), apacPub, peer.AXL); err == nil || !strings.Contains(err.Error(), "is no node of emea") {
		t.Errorf("a node of apac: %v", err)
	}
}

// TestNothingIsSentForWhatCannotBeDone: another cluster's node, and an action that
// Control Center has not.
func TestNothingIsSentForWhatCannotBeDone(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	k := r.controller("emea")
	before, _, _ := r.Load("emea")
	if err := k.Control(t.Context(), apacPub, peer.RestartService, peer.ICSA); err == nil || !strings.Contains(err.Error(), "is no node of emea") {
		t.Errorf("a node of apac: %v", err)
	}
	if _, err := k.Service(t.Context(), apacPub, peer.ICSA); err == nil || !strings.Contains(err.Error(), "is no node of emea") {
		t.Errorf("a service of a node of apac: %v", err)
	}
	if err := k.Control(t.Context(), emeaPub, peer.Action("StopService"), peer.ICSA); err == nil || !strings.Contains(err.Error(), "StopService") {
		t.Errorf("a stop: %v", err)
	}
	if after, _, _ := r.Load("emea"); after != before {
		t.Errorf("%d requests were sent", after-before)
	}
}

// TestAParameterIsSetOnOneNode: the other keeps its own.
func TestAParameterIsSetOnOneNode(t *testing.T) {
	const name = "ICSAPeriodicSyncInterval"
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	k := r.controller("emea")
	read := func(node mesh.NodeName, name string) (string, int) {
		t.Helper()
		value, matches, err := k.Parameter(t.Context(), node, peer.ICSA, name)
		if err != nil {
			t.Fatal(err)
		}
		return value, matches
	}
	if err := k.SetParameter(t.Context(), emeaPub, peer.ICSA, name, "60"); err != nil {
		t.Fatal(err)
	}
	for node, want := range map[mesh.NodeName]string{emeaPub: "60", emeaSub: "30"} {
		if value, matches := read(node, strings.ToLower(name)); value != want || matches != 1 {
			t.Errorf("%s: %q, %d match; want %q", node, value, matches, want)
		}
	}
	if value, matches := read(emeaPub, "ICSANoSuchParameter"); value != "" || matches != 0 {
		t.Errorf("a parameter that there is not: %q, %d match", value, matches)
	}
}

// TestWhetherAWriteMayHaveHappened: what a node refused did not, an answer that was
// lost may have, and what nobody knows anything of may have too.
func TestWhetherAWriteMayHaveHappened(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	k := r.controller("emea")
	for _, c := range []struct {
		name               string
		err                error
		refused, uncertain bool
	}{
		{"it went well", nil, false, false},
		{"Control Center refuses", fmt.Errorf("restarting: %w", &controlcenter.RefusedError{ReturnCode: "-1"}), true, false},
		{"the service is not activated there", &controlcenter.ActivateFirstError{}, true, false},
		{"the account may not", &soap.Error{Kind: soap.Forbidden}, true, false},
		{"the account is refused", &soap.Error{Kind: soap.AccountRejected}, true, false},
		{"the connection ended after it was sent", &soap.Error{Kind: soap.OutcomeUnknown}, false, true},
		{"no connection came about", &soap.Error{Kind: soap.Unreachable}, false, false},
		{"nobody knows", errors.New("a defect"), false, true},
	} {
		if refused, uncertain := k.Refused(c.err), k.Uncertain(c.err); refused != c.refused || uncertain != c.uncertain {
			t.Errorf("%s: refused %v, uncertain %v", c.name, refused, uncertain)
		}
	}
}

// TestTheWriteAccountIsOpenedAnewWhenItOrTheTrustChanges: and kept otherwise, or
// each action would log in once more.
func TestTheWriteAccountIsOpenedAnewWhenItOrTheTrustChanges(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	emea := r.declared("emea")
	first := r.controller("emea")
	if r.controller("emea") != first {
		t.Error("opened again for nothing")
	}
	pins := map[mesh.NodeName][]string{emeaPub: {"sha256:00"}}
	pinned, err := r.ServiceController(t.Context(), emea, nil, pins)
	if err != nil || pinned == first {
		t.Errorf("a certificate was accepted, and the old trust is kept (%v)", err)
	}
	if again, err := r.ServiceController(t.Context(), emea, nil, map[mesh.NodeName][]string{emeaPub: slices.Clone(pins[emeaPub])}); err != nil || again != pinned {
		t.Errorf("opened again for the same trust (%v)", err)
	}
	creds, err := r.Connector.Secrets.Credentials(t.Context(), "emea/write")
	if err != nil {
		t.Fatal(err)
	}
	var no *cluster.Refused
	if _, err := r.ServiceController(t.Context(), emea, refused(creds.Version), nil); !errors.As(err, &no) || no.Reason != peer.AccountRejected {
		t.Errorf("the rejected version: %v", err)
	}
	broken := *emea
	broken.TLS.CA = "no certificate"
	if _, err := r.ServiceController(t.Context(), &broken, nil, nil); !errors.As(err, &no) || no.Reason != peer.ServerCertificateUntrusted {
		t.Errorf("tls.ca that holds nothing: %v", err)
	}
	r.Drop(emea)
	if r.controller("emea") == first {
		t.Error("kept after it was dropped")
	}
}

// TestRequestsAreCountedOverAllClusters: what the metrics of a run say.
func TestRequestsAreCountedOverAllClusters(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.look("emea")
	one := r.Counts()
	r.look("apac")
	both := r.Counts()
	emea, apac := r.client("emea").Counts(), r.client("apac").Counts()
	if one.Requests != emea.Requests || both.Requests != emea.Requests+apac.Requests || both.Sent != emea.Sent+apac.Sent || both.Received != emea.Received+apac.Received || both.Received <= one.Received || both.Writes != 0 || both.Failures != 0 {
		t.Errorf("of emea %+v, of both %+v", one, both)
	}
	r.Drop(r.declared("apac"))
	if left := r.Counts(); left != one {
		t.Errorf("without apac %+v, want %+v", left, one)
	}
}
