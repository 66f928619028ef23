package main

import (
	"context"
	"errors"
	"fmt"
	"os"
)

type evidenceVerb struct {
	Peer name   `arg:"" help:"The directed peer, such as emea:apac." placeholder:"PEER"`
	Out  string `help:"The zip file to write." placeholder:"FILE"`
	kept
}

// Help is what peerkeeper evidence --help teaches.
func (evidenceVerb) Help() string {
	return `Writes a zip with what a TAC case needs of one peer: conditions, clocks, changes, both clusters' records, certificates, history, and the commands whose output belongs to it.
It contacts no cluster and holds no secret: none is ever stored.

Examples:

  peerkeeper evidence emea:apac --out case.zip`
}

// Run writes the bundle.
func (e *evidenceVerb) Run(ctx context.Context, t *terminal) (err error) {
	w, err := e.known(ctx)
	if err != nil {
		return err
	}
	id, err := w.peer(string(e.Peer))
	if err != nil {
		return err
	}
	if _, ok := w.Mesh.Peer(id); !ok {
		return w.noSuchPeer(id)
	}
	out := e.Out
	if out == "" {
		out = fmt.Sprintf("evidence-%s-%s-%s.zip", id.From, id.To, w.clock.Now().UTC().Format("20060102T150405Z"))
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usagef("%w; name another file with --out", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := w.operator().Evidence(ctx, id, f); err != nil {
		return err
	}
	if t.json {
		return t.answer(map[string]any{"peer": id, "file": out})
	}
	t.sayf("%s holds what is known of %s; its README.txt lists what to add by hand.", out, id)
	return nil
}
