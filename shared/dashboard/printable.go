package dashboard

import (
	"slices"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/change"
	"peerkeeper/shared/check"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/record"
)

// printable makes text harmless for people to see, on a page, in a terminal and
// in JSON: clusters, and those who write to them, choose the text in nearly every
// field. Messages are clean where they were composed; here are the values that
// stand beside them, and what others may have written into the store. The read
// model passes it before anybody gets it (Status, Explain).
func printable[S ~string](s S) S { return S(plain.Line(string(s), plain.Unbounded)) }

// each applies a change to a copy of a list.
func each[T any](list []T, change func(*T)) []T {
	list = slices.Clone(list)
	for i := range list {
		change(&list[i])
	}
	return list
}

// printable is the status with every text that was read from somewhere made
// harmless.
func (st Status) printable() Status {
	st.Mesh = printable(st.Mesh)
	st.Clocks = each(st.Clocks, func(s *string) { *s = printable(*s) })
	st.Overdue = each(st.Overdue, func(s *string) { *s = printable(*s) })
	runs := make(map[string]time.Time, len(st.LastRun))
	for f, at := range st.LastRun {
		runs[printable(f)] = at
	}
	st.LastRun = runs
	st.Clusters = each(st.Clusters, func(c *Cluster) {
		c.ID, c.Release, c.TimeZone = printable(c.ID), printable(c.Release), printable(c.TimeZone)
		c.Nodes = each(c.Nodes, func(n *Node) { n.Name, n.Release = printable(n.Name), printable(n.Release) })
		c.Findings = each(c.Findings, func(f *peer.Finding) {
			*f = f.Composed()
			f.KeyType, f.Subject = printable(f.KeyType), printable(f.Subject)
		})
	})
	st.Findings = each(st.Findings, func(f *peer.Finding) { *f = f.Composed() })
	st.Peers = each(st.Peers, func(p *Peer) { *p = p.printable() })
	if st.Pushed != nil {
		t := *st.Pushed
		t.RefusedFrom = printable(t.RefusedFrom)
		st.Pushed = &t
	}
	st.Alarms = each(st.Alarms, func(a *alarm.Notice) { *a = a.Clean() }) // it keeps its lines
	st.Plans = each(st.Plans, func(e *change.Entry) {
		e.ID, e.Kind, e.State, e.Why, e.Stop, e.Holds = printable(e.ID), printable(e.Kind), printable(e.State), printable(e.Why), printable(e.Stop), printable(e.Holds)
		e.Clusters = each(e.Clusters, func(id *mesh.ClusterID) { *id = printable(*id) })
		e.Pairs = each(e.Pairs, func(id *mesh.PeerID) { id.From, id.To = printable(id.From), printable(id.To) })
	})
	st.Unread = each(st.Unread, func(u *record.Unread) {
		u.Item, u.Reason, u.Message = printable(u.Item), printable(u.Reason), printable(u.Message)
	})
	return st
}

func (p Peer) printable() Peer {
	p.ID.From, p.ID.To = printable(p.ID.From), printable(p.ID.To)
	p.State, p.Cause = printable(p.State), printable(p.Cause)
	p.Overlays = each(p.Overlays, func(o *peer.Overlay) { *o = printable(*o) })
	p.Changing = printable(p.Changing)
	p.Conditions = each(p.Conditions, func(c *peer.Condition) {
		c.Type, c.Status, c.Reason = printable(c.Type), printable(c.Status), printable(c.Reason)
		c.Message, c.Basis = printable(c.Message), printable(c.Basis)
	})
	if p.Ladder != nil {
		l := *p.Ladder
		l.Rung, l.Evidence = printable(l.Rung), printable(l.Evidence)
		p.Ladder = &l
	}
	p.Asked = each(p.Asked, func(a *Asked) {
		a.ID, a.Action, a.Approval, a.Interrupts = printable(a.ID), printable(a.Action), printable(a.Approval), printable(a.Interrupts)
		a.Collect = each(a.Collect, func(s *string) { *s = printable(*s) })
		a.Refused = each(a.Refused, func(r *record.Refusal) { r.Guard, r.Why = printable(r.Guard), printable(r.Why) })
	})
	if p.LastAction != nil {
		a := *p.LastAction
		a.ID, a.Action, a.Outcome = printable(a.ID), printable(a.Action), printable(a.Outcome)
		p.LastAction = &a
	}
	return p
}

func (p Preflight) printable() Preflight {
	p.Mesh, p.Checks = printable(p.Mesh), each(p.Checks, func(r *check.Row) { *r = printableRow(*r) })
	p.Missing = each(p.Missing, func(id *mesh.ClusterID) { *id = printable(*id) })
	p.Unread = each(p.Unread, func(u *record.Unread) {
		u.Item, u.Reason, u.Message = printable(u.Item), printable(u.Reason), printable(u.Message)
	})
	return p
}

func printableRow(r check.Row) check.Row {
	r.ID, r.Step, r.Cluster, r.Node = printable(r.ID), printable(r.Step), printable(r.Cluster), printable(r.Node)
	r.Peer.From, r.Peer.To = printable(r.Peer.From), printable(r.Peer.To)
	r.Status, r.Reason, r.Basis = printable(r.Status), printable(r.Reason), printable(r.Basis)
	r.Message, r.Fix = printable(r.Message), printable(r.Fix)
	if r.Failed != nil {
		f := *r.Failed
		f.Reason, f.Message, f.Fix = printable(f.Reason), printable(f.Message), printable(f.Fix)
		r.Failed = &f
	}
	return r
}

func (e Explanation) printable() Explanation {
	e.Findings = each(e.Findings, func(f *peer.Finding) { *f = f.Composed() })
	e.Peer = e.Peer.printable()
	if e.Reverse != nil {
		r := *e.Reverse
		r.State, r.Cause, r.Words = printable(r.State), printable(r.Cause), printable(r.Words)
		e.Reverse = &r
	}
	e.Clocks.Basis, e.Clocks.From = printable(e.Clocks.Basis), printable(e.Clocks.From)
	e.Changes = each(e.Changes, func(f *peer.Flip) {
		f.Type, f.From, f.To, f.Reason = printable(f.Type), printable(f.From), printable(f.To), printable(f.Reason)
	})
	e.Next = each(e.Next, func(s *procedure.Step) { s.On, s.Do = printable(s.On), printable(s.Do) })
	return e
}
