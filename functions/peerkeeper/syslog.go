package main

import (
	"context"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/intake"
	"peerkeeper/shared/record"
	"peerkeeper/shared/syslogd"
)

// pushes is where nodes push their logs to.
type pushes struct {
	server *syslogd.Server
	intake *intake.Intake
}

// syslog opens the address to which nodes push; nil if there is to be none.
func (r *runVerb) syslog(t *terminal, w *watched) (*pushes, error) {
	if r.Syslog == "" {
		return nil, nil
	}
	in := intake.New(w.Mesh, w.store, w.clock.Now, t.log)
	server, err := syslogd.Open(syslogd.Config{Address: r.Syslog, Known: in.Knows, Wanted: ciscolog.Concerns, Log: t.log})
	if err != nil {
		return nil, usage{err}
	}
	for _, note := range server.Notes() {
		t.notef("peerkeeper: %s", note)
	}
	return &pushes{server, in}, nil
}

// serve takes lines and writes what they say, until the context ends. An error is
// that the address is lost.
func (p *pushes) serve(ctx context.Context, w *watched) error {
	written := make(chan struct{})
	go func() {
		defer close(written)
		p.intake.Run(ctx, w.clock.Until, p.lost)
	}()
	err := p.server.Serve(ctx, p.intake.Take)
	if ctx.Err() != nil {
		<-written
	}
	return err
}

func (p *pushes) lost() record.Tally {
	lost := p.server.Lost()
	t := record.Tally{Lines: p.server.Passed(), Refused: lost.Refused, Unreadable: lost.Unreadable, Dropped: lost.Dropped, Kernel: lost.Kernel}
	if lost.RefusedFrom.IsValid() {
		t.RefusedFrom = lost.RefusedFrom.String()
	}
	return t
}
