package main

import (
	"context"
	"strings"

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
	return `Adds a fingerprint to those by which a node is recognised, from the next check on: after a renewal, or to read a node whose certificate has expired. It is recorded with your name.
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
	o := w.operator()
	if o.Actor, err = actor(); err != nil {
		return err
	}
	if err := o.Accept(ctx, node, pin); err != nil {
		return err
	}
	if t.json {
		return t.answer(map[string]any{"node": a.Node, "accepted": pin, "actor": o.Actor})
	}
	t.sayf("%s is recognised by this certificate from the next check on; recorded as decided by %s.", a.Node, o.Actor)
	return nil
}
