package peering

import (
	"context"
	"fmt"
	"strings"

	"peerkeeper/shared/change"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// prepare is something of which only people know.
func (t *tick) prepare(_ context.Context, _ *record.Plan, s *change.Step) error {
	if said := s.Said; said != nil && said.Verb == change.Confirm {
		s.Turn(change.StepDone, t.Now(), "%s says so%s", said.Actor, withNote(said.Text))
		return nil
	}
	s.Turn(change.StepWaiting, t.Now(), "for a person to see to it and confirm it")
	return nil
}

func withNote(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// entry finds the entry of a pair in what was read: found says that it names the other
// end's publisher, other is an entry that names another of its nodes, or an address.
func (t *tick) entry(all []peer.Entry, id mesh.PeerID) (e peer.Entry, found bool, other string) {
	to, _ := t.Mesh.Cluster(id.To)
	for _, x := range all {
		if mesh.SameName(x.Address, string(to.Publisher)) {
			return x, true, other
		}
		if _, theirs := to.Node(mesh.NodeName(x.Address)); theirs || t.dials(to, x.Address) {
			other = x.Address
		}
	}
	return peer.Entry{}, false, other
}

// dials says that an address is one at which a node of a cluster is reached.
func (t *tick) dials(c *mesh.Cluster, address string) bool {
	for _, n := range c.Nodes {
		if host, _, ok := strings.Cut(n.Address, ":"); ok && mesh.SameName(host, address) {
			return true
		}
	}
	return false
}

// page reads the peer table of the cluster on whose page a step is; why says that it
// cannot be read.
func (t *tick) page(ctx context.Context, id mesh.ClusterID) (all []peer.Entry, why string) {
	read, err := t.entries(ctx, id)
	if err != nil {
		return nil, plain.Line(err.Error(), 200)
	}
	all, known := read.Peers.Get()
	switch {
	case known:
		return all, ""
	case read.Peers.Why() == peer.NoDialect:
		return nil, "how the peer table is read has not been said (`peerkeeper probe`)"
	}
	return nil, plain.Line(read.Peers.Detail, 200)
}

// addEntry sees that a person has made an entry, as it should be.
func (t *tick) addEntry(ctx context.Context, p *record.Plan, s *change.Step) error {
	all, why := t.page(ctx, s.Cluster)
	e, found, other := t.entry(all, s.Pair)
	want, _ := t.Mesh.Peer(s.Pair)
	if why == "" && found {
		done := e.Protocol == "" || e.Protocol == want.Protocol
		text := fmt.Sprintf("the entry for %s reads %s", plain.Value(e.Address), strings.ToUpper(string(plain.Name(e.Protocol))))
		if !done {
			text += fmt.Sprintf(", and mesh.yaml says %s", strings.ToUpper(string(want.Protocol)))
		}
		t.confirmed(s, &done, text, "")
		return nil
	}
	if wait := t.outsideWindow(p); wait != "" && s.Said == nil && other == "" {
		s.Turn(change.StepRunning, t.Now(), "%s", wait)
		return nil
	}
	shown := t.address(ctx, s)
	switch {
	case s.State == change.StepFailed:
	case why != "":
		t.confirmed(s, nil, "", why+shown)
	default:
		done, text := false, "there is no entry for "+s.Value
		if other != "" {
			text = fmt.Sprintf("the entry reads %s, and Cisco wants the publisher's node name %s", plain.Value(other), s.Value)
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
	if err != nil || !known {
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

// outsideWindow says that a join makes no entries now: the first full syncs would fall
// into the hours that the policy's windows keep free.
func (t *tick) outsideWindow(p *record.Plan) string {
	if p.Kind != change.Join {
		return ""
	}
	if ok, why := t.Mesh.Policy.Allowed(t.Now()); !ok {
		return "waits for a window of policy.windows before the next entry (" + why + "); an entry that is made all the same is taken as it is"
	}
	return ""
}

// editEntry sees that a person has changed an entry.
func (t *tick) editEntry(ctx context.Context, _ *record.Plan, s *change.Step) error {
	all, why := t.page(ctx, s.Cluster)
	e, found, other := t.entry(all, s.Pair)
	switch {
	case why != "":
		t.confirmed(s, nil, "", why)
	case s.Purpose == change.ByAddress:
		done, text := found && e.Address == s.Value, "the address reads "+plain.Value(other)
		if found {
			text = "the address reads " + plain.Value(e.Address)
		} else if other == "" {
			text = fmt.Sprintf("no entry for %s is there", s.Pair.To)
		}
		t.confirmed(s, &done, text, "")
	case !found:
		done := false
		t.confirmed(s, &done, fmt.Sprintf("no entry for %s is there", s.Pair.To), "")
	case e.Protocol == "":
		t.confirmed(s, nil, "", "the dialect does not tell the protocol")
	default:
		if s.Before == "" {
			s.Before = strings.ToUpper(plain.Name(e.Protocol))
		}
		done := string(e.Protocol) == s.Value
		t.confirmed(s, &done, "its protocol reads "+strings.ToUpper(plain.Name(e.Protocol)), "")
	}
	return nil
}

// deleteEntry sees that a person has deleted an entry.
func (t *tick) deleteEntry(ctx context.Context, _ *record.Plan, s *change.Step) error {
	all, why := t.page(ctx, s.Cluster)
	if why != "" {
		t.confirmed(s, nil, "", why)
		return nil
	}
	e, found, other := t.entry(all, s.Pair)
	done, text := !found && other == "", "the entry is gone"
	if found {
		text = fmt.Sprintf("the entry for %s is there", plain.Value(e.Address))
	} else if other != "" {
		text = fmt.Sprintf("an entry for %s is there, which is of the same cluster", plain.Value(other))
	}
	t.confirmed(s, &done, text, "")
	return nil
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
