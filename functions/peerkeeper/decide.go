package main

import (
	"context"
	"errors"
	"strings"

	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
)

type trustVerb struct {
	Accept acceptVerb `cmd:"" help:"Accept a node's certificate."`
}

type acceptVerb struct {
	Node name `arg:"" help:"The node's name as in mesh.yaml." placeholder:"NODE"`
	// More than one where what openssl prints was not quoted: it has a blank.
	SHA256 []string `arg:"" name:"sha256" help:"The certificate's SHA-256 fingerprint as openssl prints it, compared by you with the node's own." placeholder:"SHA256"`
	kept
}

// Help is what peerkeeper trust accept --help teaches.
func (acceptVerb) Help() string {
	return `Adds a fingerprint to those by which a node is recognised, from the next look on: after a renewal, or to read a node whose certificate has expired. It is recorded with your name.
It never fetches the fingerprint for you: compare it with what the node's own administration page shows. It does not touch any cluster's trust store.

Examples:

  openssl x509 -noout -fingerprint -sha256 -in tomcat.pem
  peerkeeper trust accept imp-emea-sub.example.com 5E:0C:…
  peerkeeper trust accept imp-emea-sub.example.com "sha256 Fingerprint=5E:0C:…"     # the whole line`
}

// Run accepts a certificate.
func (a *acceptVerb) Run(ctx context.Context, t *terminal) error {
	w, err := a.open(ctx)
	if err != nil {
		return err
	}
	pin, err := mesh.ParseFingerprint(strings.Join(a.SHA256, " "))
	if err != nil {
		return usage{err}
	}
	node := mesh.NodeName(a.Node)
	if _, ok := w.Owner(node); !ok {
		var names []string
		for _, c := range w.Clusters {
			for _, n := range c.Nodes {
				names = append(names, string(n.Name))
			}
		}
		return usagef("%s is no node of mesh %s: %s", a.Node, w.Name, suggest(string(a.Node), names))
	}
	who, err := actor()
	if err != nil {
		return err
	}
	h := &host.Host{Mesh: w.Mesh, Store: w.store, Clock: w.clock, Log: t.log}
	if err := h.Accept(ctx, node, pin, who); err != nil {
		return err
	}
	if t.json {
		return t.answer(map[string]any{"node": a.Node, "accepted": pin, "actor": who})
	}
	t.sayf("%s is recognised by this certificate from the next look on; recorded as decided by %s.", a.Node, who)
	return nil
}

type resumeVerb struct {
	Scope name `arg:"" help:"mesh, a cluster (emea), a peer (emea:apac) or a pair (emea:apac --pair)." placeholder:"SCOPE"`
	Pair  bool `help:"Both directions of the peer."`
	kept
}

// Help is what peerkeeper resume --help teaches.
func (resumeVerb) Help() string {
	return `Ends the pause of what you name. Of a cluster it also lets a rejected account be tried again, once, at the next look; a new version of the secret does the same by itself. It is recorded with your name.
It never logs in itself. If the password is still wrong, the account is held back again, because a few rejections lock it for 30 minutes.

Examples:

  peerkeeper resume apac
  peerkeeper resume mesh`
}

// Run ends a pause, and resumes a cluster's accounts.
func (r *resumeVerb) Run(ctx context.Context, t *terminal) error {
	w, err := r.known(ctx)
	if err != nil {
		return err
	}
	scope, err := r.scope(w, string(r.Scope), r.Pair)
	if err != nil {
		return err
	}
	who, err := actor()
	if err != nil {
		return err
	}
	h := w.person(t)
	var done []string
	err = h.Unpause(ctx, scope, who)
	var none *host.NothingToEndError
	switch {
	case err == nil:
		done = append(done, "the pause is over")
	case !errors.As(err, &none):
		return err
	}
	if _, cluster := w.Cluster(mesh.ClusterID(scope)); cluster {
		err := h.Resume(ctx, mesh.ClusterID(scope), who)
		var nothing *host.NothingToResumeError
		switch {
		case err == nil:
			done = append(done, "its account is tried again at the next look")
		case !errors.As(err, &nothing):
			return err
		}
	}
	if len(done) == 0 {
		return usagef("%s is not paused, and no account of it is held back: nothing to resume", scope)
	}
	if t.json {
		return t.answer(map[string]any{"scope": scope, "resumed": done, "actor": who})
	}
	t.sayf("%s: %s; recorded as decided by %s.", scope, strings.Join(done, ", and "), who)
	return nil
}
