package peering

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"peerkeeper/shared/change"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// prepare is something of which only people know, but for names that were read not to resolve.
func (t *tick) prepare(_ context.Context, p *record.Plan, s *change.Step) error {
	if bad := t.unresolved(p, s); len(bad) > 0 {
		done := false
		t.confirmed(s, &done, plain.FirstBy(3, bad, "; "), "")
		return nil
	}
	if said := s.Said; said != nil && said.Verb == change.Confirm {
		s.Turn(change.StepDone, t.Now(), "%s says so%s", said.Actor, withNote(said.Text))
		return nil
	}
	s.Turn(change.StepWaiting, t.Now(), "for a person to see to it and confirm it")
	return nil
}

// unresolved are the names of the plan's pairs that were read not to resolve: ICSA does not
// connect to a peer of which one does not.
func (t *tick) unresolved(p *record.Plan, s *change.Step) (bad []string) {
	if s.Purpose != change.PrepareNames {
		return nil
	}
	for _, id := range p.Pairs {
		if c := peer.ConditionOf(t.grounds.Snapshot.Conditions(t.grounds.View, id), peer.NamesResolve); c.Status == peer.False {
			bad = append(bad, fmt.Sprintf("%s: %s", id, c.Message))
		}
	}
	return bad
}

func withNote(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// page reads what the peer table of the cluster on whose page a step is has of the other
// end; why says that it cannot be read.
func (t *tick) page(ctx context.Context, id mesh.PeerID) (has peer.Listed, why string) {
	read, err := t.entries(ctx, id.From)
	if err != nil {
		return peer.Listed{}, plain.Line(err.Error(), 200)
	}
	all, known := read.Peers.Get()
	switch {
	case known:
		return t.grounds.View.Listed(all, id.To), ""
	case read.Peers.Why() == peer.NoDialect:
		return peer.Listed{}, "how the peer table is read has not been said (`peerkeeper probe`)"
	}
	return peer.Listed{}, plain.Line(read.Peers.Detail, 200)
}

// addEntry sees that a person has made an entry, as it should be.
func (t *tick) addEntry(ctx context.Context, p *record.Plan, s *change.Step) error {
	has, why := t.page(ctx, s.Pair)
	e := has.Entry
	want, paired := t.Mesh.Peer(s.Pair)
	switch {
	case !paired:
		s.Turn(change.StepWaiting, t.Now(), "mesh.yaml does not pair %s and %s any more, as this run has it: put its lines back until the plan is through, or skip the step with a reason", s.Pair.From, s.Pair.To)
		return nil
	case why == "" && has.Found && has.Other != nil:
		done := false // Cisco raises InterclusterSyncAgentPeerDuplicate for it
		t.confirmed(s, &done, fmt.Sprintf("beside the entry for %s one for %s is there, which is of the same cluster: delete that one", plain.Value(e.Address), plain.Value(has.Other.Address)), "")
		return nil
	case why == "" && has.Found:
		done := e.Protocol == "" || e.Protocol == want.Protocol
		text := fmt.Sprintf("the entry for %s reads %s", plain.Value(e.Address), strings.ToUpper(plain.Name(e.Protocol)))
		switch {
		case e.Protocol == "":
			text = fmt.Sprintf("the entry for %s is there; the dialect does not tell its protocol", plain.Value(e.Address))
		case !done:
			text += fmt.Sprintf(", and mesh.yaml says %s", strings.ToUpper(string(want.Protocol)))
		}
		t.confirmed(s, &done, text, "")
		return nil
	}
	if report, err := t.grounds.Snapshot.UserReport(); err == nil && report != nil && s.Said == nil && has.Other == nil {
		// A join lasts for nights, in which users come.
		if keys := twice(report, func(homes map[mesh.ClusterID]bool) bool { return homes[s.Pair.From] && homes[s.Pair.To] }); len(keys) > 0 {
			s.Turn(change.StepWaiting, t.Now(), "no entry before that is mended: %s", areTwice(report, keys))
			return nil
		}
	}
	if busy, err := t.busy(ctx, p, s); err != nil {
		return err
	} else if busy != "" && s.Said == nil && has.Other == nil {
		s.Turn(change.StepRunning, t.Now(), "waits: %s", busy)
		return nil
	}
	if closed := p.OutsideWindow(t.known(), s); closed != "" && s.Said == nil && has.Other == nil {
		return t.outsideWindow(ctx, p, s, closed)
	}
	shown := t.address(ctx, s)
	switch {
	case s.State == change.StepFailed:
	case why != "":
		t.confirmed(s, nil, "", why+shown)
	default:
		done, text := false, "there is no entry for "+s.Value
		if has.Other != nil {
			text = fmt.Sprintf("the entry reads %s, and Cisco wants the publisher's node name %s: correct its Peer Address, and add no second one", plain.Value(has.Other.Address), s.Value)
		} else if len(has.Strangers) > 0 {
			text += fmt.Sprintf("; mesh.yaml tells no owner of %s: if that was meant, correct its Peer Address", plain.Values(has.Strangers))
		}
		t.confirmed(s, &done, text+shown, "")
	}
	return nil
}

// address copies the node name of the other end's publisher as its own Presence Topology
// has it into the step, and says whether it was read there.
func (t *tick) address(ctx context.Context, s *change.Step) string {
	to, _ := t.Mesh.Cluster(s.Pair.To)
	read, err := t.entries(ctx, s.Pair.To)
	names, known := read.Topology.Get()
	if err != nil || !known || len(names) == 0 {
		return fmt.Sprintf("; Presence Topology of %s cannot be read now, so compare the address there", s.Pair.To)
	}
	for _, name := range names {
		if mesh.SameName(string(name), string(to.Publisher)) {
			s.Value = plain.Name(name)
			return ""
		}
	}
	s.Turn(change.StepFailed, t.Now(), "Presence Topology of %s lists %s, and not its publisher as mesh.yaml has it, %s: correct mesh.yaml, and resume", s.Pair.To, plain.Values(names), to.Publisher)
	return ""
}

// busy says that another plan waits for a first full sync at an end of a pair, or restarts it:
// first full syncs are staggered over all plans. A pair that is begun goes on.
func (t *tick) busy(ctx context.Context, p *record.Plan, s *change.Step) (string, error) {
	if p.Begun(s) {
		return "", nil
	}
	gate, err := t.settled(ctx)
	if err != nil {
		return "", err
	}
	for _, end := range []mesh.ClusterID{s.Pair.From, s.Pair.To} {
		if l, held := gate.LockOn(end, t.Now()); held && l.Plan != p.ID {
			return (&repair.Locked{Lock: l}).Error(), nil
		}
	}
	return "", nil
}

// outsideWindow makes no entry now: the first full sync would fall into the hours that the
// policy's windows keep free. What pages of the pairs before have asked for is not to wait for
// the next window, so the pairs that are left are put off behind it.
func (t *tick) outsideWindow(ctx context.Context, p *record.Plan, s *change.Step, closed string) error {
	n, waits := s.N, ""
	switch asked, room := p.LayOutAgain(t.known(), s); {
	case asked && room:
		if err := p.Save(ctx, t.Store); err != nil {
			return err
		}
		p.PutOff(p.Step(n), t.Now())
		return nil
	case asked:
		waits = "; the restarts that pages have asked for wait with it, for the plan has no room for more steps"
	}
	s.Turn(change.StepRunning, t.Now(), "waits for a window of policy.windows before the next entry (%s); an entry that is made all the same is taken as it is%s", closed, waits)
	return nil
}

// editEntry sees that a person has changed an entry.
func (t *tick) editEntry(ctx context.Context, _ *record.Plan, s *change.Step) error {
	has, why := t.page(ctx, s.Pair)
	e := has.Entry
	if why == "" && s.Purpose == change.ByAddress {
		return t.editAddress(ctx, s, has)
	}
	switch {
	case why != "":
		t.confirmed(s, nil, "", why)
	case !has.Found:
		done := false
		t.confirmed(s, &done, fmt.Sprintf("no entry for %s is there", s.Pair.To), "")
	case e.Protocol == "":
		t.confirmed(s, nil, "", "the dialect does not tell the protocol")
	default:
		if s.Before == "" {
			s.Before = strings.ToUpper(plain.Name(e.Protocol))
		}
		done, text := string(e.Protocol) == s.Value, "its protocol reads "+strings.ToUpper(plain.Name(e.Protocol))
		if !done {
			text += t.otherEnd(ctx, s.Pair, e.Protocol)
		}
		t.confirmed(s, &done, text, "")
	}
	return nil
}

// otherEnd tells of an entry whose protocol is not changed yet that the other end's is, and
// what comes of that.
func (t *tick) otherEnd(ctx context.Context, id mesh.PeerID, protocol mesh.Protocol) string {
	has, why := t.page(ctx, id.Reverse())
	if why != "" || !has.Found || has.Entry.Protocol == "" || has.Entry.Protocol == protocol {
		return ""
	}
	return fmt.Sprintf(", and that of %s's entry for %s %s: it is %s's that is left, and presence between them is interrupted until both are alike (inferred)", id.To, id.From, strings.ToUpper(plain.Name(has.Entry.Protocol)), id.From)
}

// editAddress sees that an entry has the node name of the other end's publisher, letter by
// letter as its own Presence Topology has it.
func (t *tick) editAddress(ctx context.Context, s *change.Step, has peer.Listed) error {
	shown := t.address(ctx, s)
	if s.State == change.StepFailed {
		return nil
	}
	done, text := has.Found && has.Entry.Address == s.Value, fmt.Sprintf("no entry for %s is there", s.Pair.To)
	switch {
	case has.Found:
		text = fmt.Sprintf("the address reads %s", plain.Value(has.Entry.Address))
	case has.Other != nil:
		text = fmt.Sprintf("the address reads %s", plain.Value(has.Other.Address))
	}
	if done {
		shown = ""
	}
	t.confirmed(s, &done, text+shown, "")
	return nil
}

// deleteEntry sees that a person has deleted an entry.
func (t *tick) deleteEntry(ctx context.Context, p *record.Plan, s *change.Step) error {
	has, why := t.page(ctx, s.Pair)
	done, first := !has.Found && has.Other == nil, s.Evidence == ""
	if n, known := t.users(s.Pair.From, s.Pair.To).Get(); known && s.Before == "" {
		s.Before = strconv.Itoa(n) // copies, by which it may show that the entry is gone
	}
	switch {
	case why != "":
		t.confirmed(s, nil, "", why)
	case has.Found:
		t.confirmed(s, &done, fmt.Sprintf("the entry for %s is there", plain.Value(has.Entry.Address)), "")
	case has.Other != nil:
		t.confirmed(s, &done, fmt.Sprintf("an entry for %s is there, which is of the same cluster", plain.Value(has.Other.Address)), "")
	case len(has.Strangers) > 0:
		t.confirmed(s, nil, "", fmt.Sprintf("no entry names a node of %s, and mesh.yaml tells no owner of %s", s.Pair.To, plain.Values(has.Strangers)))
	case first && restartsAfter(p, s):
		t.confirmed(s, &done, "the entry is gone, and was before the plan came to it; whether the router was restarted after that, as Cisco wants, cannot be told: its restart follows, to be skipped with a reason if it was", "")
	case first:
		t.confirmed(s, &done, "the entry is gone, and was before the plan came to it", "")
	default:
		t.confirmed(s, &done, "the entry is gone", "")
	}
	return nil
}

// restartsAfter says that the restart follows which Cisco wants after an entry is deleted.
func restartsAfter(p *record.Plan, s *change.Step) bool {
	for i := range p.Steps[s.N:] {
		switch x := &p.Steps[s.N+i]; {
		case x.Op == change.OpRestart:
			return x.Cluster == s.Cluster && x.State != change.StepSkipped
		case x.Op == change.OpDeleteEntry || x.Op == change.OpVerifyGone:
			return false
		}
	}
	return false
}

// enterCredentials is what nobody can read; a sync since then shows it too.
func (t *tick) enterCredentials(_ context.Context, _ *record.Plan, s *change.Step) error {
	t.confirmed(s, nil, "", "no interface tells a password; the next sync shows whether it is right")
	return nil
}

// asked is a question that a person answers.
func (t *tick) asked(_ context.Context, _ *record.Plan, s *change.Step) error {
	if !t.answered(s) {
		s.Turn(change.StepWaiting, t.Now(), "for an answer")
	}
	return nil
}

// answered ends a question that a person has answered.
func (t *tick) answered(s *change.Step) bool {
	said := s.Said
	if said == nil || said.Verb != change.Answer {
		return false
	}
	answer := "no"
	if said.Yes {
		answer = "yes"
	}
	s.Turn(change.StepDone, t.Now(), "%s answered %s", said.Actor, answer)
	return true
}

// routerDue sees what the answers before come to; the steps of the restarts go by it.
func (t *tick) routerDue(_ context.Context, p *record.Plan, s *change.Step) error {
	due, why := p.RouterDue(s)
	s.Said = &change.Said{Verb: change.Answer, Actor: "peerkeeper", At: t.Now(), Yes: due}
	s.Turn(change.StepDone, t.Now(), "%s", why)
	return nil
}

// entries is what a cluster's database says of its entries, read once a look.
func (t *tick) entries(ctx context.Context, id mesh.ClusterID) (cluster.Entries, error) {
	if got, ok := t.tables[id]; ok {
		return got.Entries, got.err
	}
	var got table
	got.err = t.ask(ctx, id, func(ctx context.Context, client *cluster.Client) error {
		var err error
		got.Entries, err = client.Entries(ctx)
		return err
	})
	if t.tables == nil {
		t.tables = map[mesh.ClusterID]table{}
	}
	t.tables[id] = got
	return got.Entries, got.err
}
