// Package intervention is what a use case needs to change clusters, whatever
// leads it to: Access opens their accounts, under the guard against a lock-out,
// for shared/repair to act with; Grounds gathers what is known, for the gate to
// judge by.
//
// It decides nothing, and nothing of it changes a cluster: what it opens, only
// the gate uses. A rejected password is noted at once and not tried again.
package intervention

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/store"
)

// Access is how one use case reaches the clusters that it changes. All fields are
// needed but Platform, Privilege, Log and Crash.
type Access struct {
	Mesh  *mesh.Mesh
	Store store.Store
	Now   func() time.Time
	Log   *slog.Logger
	// Actor is who acts, for the audit: the function's name.
	Actor string
	// Clusters opens clusters with their write accounts.
	Clusters *cluster.Connector
	// Platform reads certificates and opens trust stores; nil imports none.
	Platform *cluster.Platform
	// Privilege is what main handed over; repairs need none.
	Privilege repair.Privilege
	// Crash is called between the steps of an action, for tests that kill the
	// process there.
	Crash func(step string)
}

// Repair is the gate, for a run that holds its lease.
func (a Access) Repair(lease *store.Lease) *repair.Repair {
	r := &repair.Repair{Mesh: a.Mesh, Store: a.Store, Open: a.controller, Recorded: a.recorded, Now: a.Now, Log: a.Log, Actor: a.Actor, Privilege: a.Privilege, Crash: a.Crash,
		CheckLease: func(ctx context.Context) error { return lease.Check(ctx, a.Now()) }}
	if a.Platform != nil {
		r.TrustStoreWriter, r.Source = a.writer, a.source
	}
	return r
}

// controller opens the services of a cluster with the write account.
func (a Access) controller(ctx context.Context, id mesh.ClusterID) (repair.ServiceController, error) {
	l, err := a.logIn(ctx, id, mesh.WriteAccount)
	if err != nil {
		return nil, err
	}
	controller, err := a.Clusters.ServiceController(ctx, l.cluster, l.guard, l.pins)
	if err != nil {
		return nil, err
	}
	return controller, nil
}

// writer opens the trust stores of a cluster with the account that may write them.
func (a Access) writer(ctx context.Context, id mesh.ClusterID) (repair.TrustStoreWriter, error) {
	l, err := a.logIn(ctx, id, mesh.PlatformWriteAccount)
	if err != nil {
		return nil, err
	}
	k, err := a.Platform.TrustStoreWriter(ctx, l.cluster, l.guard, l.pins)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// source reads what an import is about from its own node.
func (a Access) source(ctx context.Context, of peer.CertSource) ([]*x509.Certificate, error) {
	l, err := a.logIn(ctx, of.Cluster, mesh.PlatformWriteAccount)
	if err != nil {
		return nil, err
	}
	return a.Platform.Source(ctx, l.cluster, of, l.guard, l.pins)
}

// recorded gives a service as peersync's read account saw it after the intent's
// deadline.
func (a Access) recorded(ctx context.Context, in repair.Intent) (peer.Service, error) {
	r, err := record.ObservedCluster(ctx, a.Store, a.Mesh.Name, in.Target.Cluster)
	if err != nil {
		return peer.Service{}, err
	}
	services := r.Seen.Nodes[in.Target.Node].Services
	got, known := services.Get()
	svc, listed := got[in.Target.Service]
	if !known || !listed || !services.At.After(in.Deadline.Add(time.Minute)) {
		return peer.Service{}, fmt.Errorf("%s has not been seen since", in.Target)
	}
	if svc.UpTime >= 0 {
		svc.UpTime += max(0, a.Now().Sub(services.At))
	}
	return svc, nil
}

// login is what a log-in takes: the guard against a lock-out, and the certificates
// that people accepted.
type login struct {
	guard   record.AccountGuard
	cluster *mesh.Cluster
	pins    map[mesh.NodeName][]string
}

func (a Access) logIn(ctx context.Context, id mesh.ClusterID, account mesh.Account) (login, error) {
	c, ok := a.Mesh.Cluster(id)
	if !ok {
		return login{}, fmt.Errorf("%s is no longer in mesh.yaml", id)
	}
	pins, err := record.Accepted(ctx, a.Store, a.Mesh.Name)
	return login{record.AccountGuardOf(a.Store, a.Mesh.Name, c, account, a.Now), c, pins}, err
}

// Failure says why an action failed, in words that stay the same from one tick
// to the next.
func Failure(err error) string {
	var refused *cluster.Refused
	var platform *certificate.Refused
	var unfit *repair.Unfit
	switch kind := soap.KindOf(err); {
	case errors.As(err, &refused):
		return refused.Message
	case errors.As(err, &unfit):
		return unfit.Why
	case kind != soap.Other:
		return string(kind)
	case errors.As(err, &platform): // of the node that an import is about
		return platform.Message
	}
	return "see the log"
}
