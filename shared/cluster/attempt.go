package cluster

import (
	"context"
	"errors"

	"peerkeeper/shared/axl"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
)

// Attempt is what came of one log-in with an account that is not Peerkeeper's own.
type Attempt struct {
	Outcome AttemptOutcome
	Reason  peer.Reason // "" where it was accepted
	Detail  string      // the node's answer, or why there is none; "" where it was accepted
}

// AttemptOutcome is what is known of an account afterwards.
type AttemptOutcome string

// The outcomes of an attempt.
const (
	Accepted AttemptOutcome = "accepted"
	Rejected AttemptOutcome = "rejected"
	NoRight  AttemptOutcome = "noRight"  // HTTP 403, which does not say why
	NotTried AttemptOutcome = "notTried" // nothing was sent
	// Unclear is an answer that is no verdict, or none: the log-in may have counted.
	Unclear AttemptOutcome = "unknown"
)

// icsaVersion is the AXL version that ICSA itself speaks to its peers, up to release
// 15 (TAC-217581). No other is tried.
const icsaVersion = "8.0"

// attemptAnswer bounds the answer, in bytes: it is one number.
const attemptAnswer = 64 << 10

// TryAccount logs in to a cluster's publisher, at most once, and asks what ICSA asks
// of a peer before it syncs, which only reads. Whatever goes wrong, nothing is sent
// a second time, and neither the session nor the account is kept. pins are accepted
// besides those of mesh.yaml.
func (c *Connector) TryAccount(ctx context.Context, cl *mesh.Cluster, pins map[mesh.NodeName][]string, username string, password secret.Text) Attempt {
	trust, _, err := trustOf(cl, pins)
	if err != nil {
		return Attempt{NotTried, peer.ServerCertificateUntrusted, err.Error()}
	}
	pub, ok := cl.Node(cl.Publisher)
	if !ok { // no mesh.yaml is like that
		return Attempt{NotTried, peer.CannotConnect, string(cl.ID) + " has no publisher among its nodes"}
	}
	wire := soap.New(soap.Endpoint{
		Node: string(pub.Name), TLSName: pub.ServerName(), Address: pub.Address, Trust: trust, Username: username, Password: password,
		Now: c.Now, Timeout: c.Timeout, MaxAnswer: attemptAnswer, Transport: c.Transport,
	})
	defer wire.Close()
	once := &firstOnly{next: wire}
	if c.Log != nil {
		once.next = soap.Trace(wire, soap.LogTo(c.Log))
	}
	_, err = axl.New(once, icsaVersion).CountNodes(ctx)
	return attemptOf(err)
}

func attemptOf(err error) Attempt {
	var e *soap.Error
	sent := !errors.As(err, &e) || e.Sent
	switch kind := soap.KindOf(err); {
	case kind == soap.None:
		return Attempt{Outcome: Accepted}
	case kind == soap.AccountRejected:
		return Attempt{Rejected, reasonOf(err), explain(err)}
	case kind == soap.Forbidden:
		return Attempt{NoRight, reasonOf(err), explain(err)}
	case !sent:
		return Attempt{NotTried, reasonOf(err), explain(err)}
	}
	return Attempt{Unclear, reasonOf(err), err.Error()}
}

// firstOnly carries one request; any other ends as the first one did. What is above
// it would ask again in another AXL version.
type firstOnly struct {
	next soap.RoundTripper
	used bool
	err  error
}

// Do carries the first request.
func (f *firstOnly) Do(ctx context.Context, req soap.Request) (*soap.Answer, error) {
	if f.used {
		return nil, f.err
	}
	var a *soap.Answer
	f.used = true
	a, f.err = f.next.Do(ctx, req)
	return a, f.err
}
