package peer

func (l *link) reachable(memory SyncRecord) verdict {
	if l.puller.visibility.Trouble != "" && !l.puller.entries.Known() {
		return l.puller.blind(l.puller.visibility.Trouble, "")
	}
	if l.recent() {
		return yes(SyncedRecently, Measured, "%s's ICSA reached %s at its last sync", l.id.From, l.id.To)
	}
	switch l.home.visibility.Verdict {
	case Down:
		return no(ClusterDown, Inferred, "no node of %s answers Peerkeeper, and no peer that pulls from it has advanced since", l.id.To)
	case PublisherIsDown:
		return no(PublisherDown, Inferred, "%s of %s does not answer Peerkeeper, and no peer that pulls from it has advanced since", l.home.Publisher, l.id.To)
	}
	if v, logged := l.causeLogged(Reachable, memory); logged {
		return v
	}
	switch l.home.visibility.Verdict {
	case WaitingForPeers, NotVisible:
		return unsure(l.home.visibility.Trouble, "%s: %s", l.id.To, l.home.visibility.Message)
	}
	if l.hasEntry && l.entry.HasError && l.entry.Error == ErrorUnreachable {
		// The pulling ICSA's own word comes before what we see from our seat. It
		// says so of a name that does not resolve too, hence no False.
		return unsure(CannotConnect, "ICSA of %s reports that it does not reach %s, which answers Peerkeeper: look at the names and at the way between the two clusters", l.id.From, l.home.Publisher)
	}
	if ok, known := l.home.record.Seen.Nodes[l.home.Publisher].Answers.Fresh(l.Now, l.maxAge()).Get(); known && ok {
		return yes(ReachableFromPeerkeeper, Inferred, "%s answers Peerkeeper; the path from %s itself is not measured", l.home.Publisher, l.id.From)
	}
	return l.home.blind(NotChecked, "")
}
