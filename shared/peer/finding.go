package peer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// Finding is something about a cluster that a person should know.
type Finding struct {
	ID       FindingID     `json:"id"`
	Severity Severity      `json:"severity"`
	Reason   Reason        `json:"reason"`
	Node     mesh.NodeName `json:"node,omitempty"`
	Message  string        `json:"message"`
	Since    time.Time     `json:"since,omitzero"`

	// Of findings on certificates.
	KeyType  string    `json:"keyType,omitempty"`
	Subject  string    `json:"subject,omitempty"`
	NotAfter time.Time `json:"notAfter,omitzero"`
	// Lacking are the clusters that do not trust the certificate.
	Lacking []mesh.ClusterID `json:"lacking,omitempty"`
	// Fix is what to click or run.
	Fix string `json:"fix,omitempty"`
}

// Findings lists what a person should know of a cluster, with the since of
// those that were there before.
func Findings(v *View, id mesh.ClusterID, prev []Finding) []Finding {
	e := v.ends[id]
	if e == nil {
		return nil
	}
	r, c, s := e.record, e.Cluster, e.visibility
	var out []Finding
	add := func(sev Severity, why Reason, node mesh.NodeName, subject, format string, args ...any) {
		f := Finding{ID: IDOf(why, string(node), subject), Severity: sev, Reason: why, Node: node, Message: fmt.Sprintf(format, args...), Since: v.Now}
		f = f.Composed()
		for _, p := range prev {
			if p.ID == f.ID {
				f.Since = p.Since
			}
		}
		out = append(out, f)
	}

	switch s.Verdict {
	case AccessDenied:
		add(Critical, s.Trouble, "", "", "%s", s.Message)
	case WaitingForPeers:
		add(Info, s.Trouble, "", "", "%s", s.Message)
	case NotVisible:
		add(Warning, s.Trouble, "", "", "%s", s.Message)
	case Down, PublisherIsDown:
		add(Critical, s.Trouble, "", "", "%s", s.Message)
	}

	for _, n := range c.Nodes {
		seen := r.Seen.Nodes[n.Name]
		if message := v.contradiction(e, n.Name); message != "" && s.Verdict == Visible {
			add(Warning, ReadByCertcheckOnly, n.Name, "", "%s", message)
		} else if since, lost := r.SilentSince[n.Name]; lost && s.Verdict != Down && s.Verdict != NotVisible && n.Name != c.Publisher && v.Now.Sub(since) > v.patience(e)+v.Tick {
			add(Warning, NodeUnreachable, n.Name, "", "%s has not answered Peerkeeper since %s; its services and their effect on users are unknown", n.Name, plain.Time(since))
		}
		if why := seen.Services.Reason; s.Verdict == Visible && (why == Forbidden || why == ServerCertificateUntrusted || why.refusesTLS()) {
			add(Critical, why, n.Name, "", "%s: %s", n.Name, seen.Services.Detail)
		}
		for _, why := range seen.Remarks {
			severity, text := why.worthAWord()
			add(severity, why, n.Name, "", "%s %s", n.Name, text)
		}
		services, _ := seen.Services.Fresh(v.Now, v.maxAge()).Get()
		for _, need := range requiredServices {
			if need.remote || (!need.all && n.Name != c.Publisher) {
				continue
			}
			if svc, listed := services[need.service]; listed && svc.Status == "Stopped" {
				why := stopCodeText(svc.Code)
				if why != "" {
					why = " (" + why + ")"
				}
				add(Critical, ServiceStopped, n.Name, need.service, "%s is stopped on %s%s", need.service, n.Name, why)
			}
		}
		if state, ok := seen.HAState.Fresh(v.Now, v.maxAge()).Get(); ok {
			if what := r.HAUnusual(c, n.Name, state); what != "" {
				add(Info, HAState, n.Name, "", "%s", what)
			}
		}
		if got, ok := seen.Version.Get(); ok && n.Name == c.Publisher && c.Release != "" && !sameRelease(c.Release, got) {
			add(Info, ReleaseDiffers, n.Name, "", "mesh.yaml declares release %s, %s runs %s", c.Release, n.Name, plain.Value(got))
		}
	}
	if r.Fell != nil {
		// Each fall is an incident of its own: who has acknowledged one has not seen the next.
		add(Critical, UsersFell, "", r.Fell.Since.UTC().Format(time.RFC3339), "%s", r.fallFinding(id))
	}
	if set, ok := r.UserSet.Fresh(v.Now, 2*UserSetPeriod).Get(); ok && set[id].Foreign > 0 {
		add(Info, OtherDomains, "", "", "%d users have an IM address in a domain that mesh.yaml does not name (domain, domains); in the Directory URI scheme that is lawful", set[id].Foreign)
	}
	if skew, ok := r.Seen.Skew.Get(); ok && skew.Abs() > 2*time.Minute {
		add(Warning, ClockSkew, "", "", "the cluster's clock differs from Peerkeeper's by more than 2 min (HTTP Date); times are corrected for it, certificates and logs are not")
	}
	if sa, ok := r.Seen.SyncAgent.Get(); ok && !strings.HasPrefix(sa, "Completed") {
		add(Warning, SyncAgentNotCompleted, c.Publisher, "", "the Sync Agent's user sync reads %s", plain.Quote(sa, maxValue))
	}
	names, more := firstTen(v.unlisted(r))
	for _, name := range names {
		add(Warning, UnlistedNode, "", name, "the cluster's database lists its node %s, mesh.yaml does not: it is not watched", plain.Value(name))
	}
	if more > 0 {
		add(Warning, UnlistedNode, "", "more", "the cluster's database lists %d more nodes that mesh.yaml does not", more)
	}
	strangers, unpaired := v.unlistedPeers(e)
	names, more = firstTen(strangers)
	for _, e := range names {
		add(Info, UnlistedPeer, "", e, "there is a peer entry for %s, which belongs to no cluster in mesh.yaml; it counts towards Cisco's limit of %d", plain.Value(e), mesh.MaxClusters)
	}
	if more > 0 {
		add(Info, UnlistedPeer, "", "more", "there are %d more peer entries that belong to no cluster in mesh.yaml", more)
	}
	names, _ = firstTen(unpaired)
	for _, name := range names {
		add(Info, UnlistedPeer, "", name, "there is a peer entry for %s, with whose cluster mesh.yaml does not pair %s: it is not watched", plain.Value(name), id)
	}
	for _, unusable := range r.unusable(c) {
		if s.Verdict == Visible {
			add(Warning, unusable.Reason, unusable.Node, "", "%s", unusable.Message)
		}
	}
	if v := r.Seen.AXLVersion; v != "" {
		add(Info, AXLVersionFound, c.Publisher, "", "AXL on %s refused the version that belongs to release %s and takes %s, which is asked first from now on; compare the release in mesh.yaml", c.Publisher, cmp.Or(c.Release, "14.0"), v)
	}
	for _, cut := range v.tooLong(c) {
		add(Warning, ValueTooLong, cut.node, cut.field, "%s", cut.message())
	}
	if p := r.differingParameters(c); p != "" {
		add(Warning, ParametersDiffer, "", "", "%s", p)
	}
	if iv := r.Interval; iv.Value != 0 && iv.Value != c.SyncInterval.D() {
		add(Info, IntervalDiffers, "", "", "the sync interval is %s on %s, mesh.yaml declares %s; the value read is used", plain.Duration(iv.Value), c.Publisher, c.SyncInterval)
	}
	for _, w := range e.ciscoAlarms(v.Now) {
		severity, why, about, message := w.finding(c.Publisher)
		add(severity, why, c.Publisher, about, "%s", message)
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// firstTen are the names that are listed one by one, and how many more there are.
func firstTen(names []string) ([]string, int) {
	const listed = 10
	slices.Sort(names)
	names = slices.Compact(names)
	n := min(len(names), listed)
	return names[:n], len(names) - n
}

func (v *View) unlisted(r *ClusterRecord) []string {
	nodes, _ := r.Seen.Topology.Get()
	var out []string
	for _, n := range nodes {
		// Some releases list the peers' nodes in the same table (inferred):
		// another cluster's node is not a missing one.
		if v.owner(n) == nil {
			out = append(out, string(n))
		}
	}
	return out
}

// unlistedPeers are the entries of clusters that mesh.yaml does not have, and of those
// that it does not pair with this one, such as one that was forgotten when a pair ended.
func (v *View) unlistedPeers(e *end) (strangers, unpaired []string) {
	entries, _ := e.record.Seen.Entries.Get()
	by, strangers := v.sort(entries)
	for to, f := range by {
		id := mesh.PeerID{From: e.ID, To: to}
		if to == e.ID || v.links[id] != nil || v.Changing[id] != "" {
			continue
		}
		if f.hasEntry {
			unpaired = append(unpaired, f.entry.Address)
		}
		if f.other != nil {
			unpaired = append(unpaired, f.other.Address)
		}
	}
	return strangers, unpaired
}

// differingParameters says which ICSA parameters differ between the nodes.
func (r *ClusterRecord) differingParameters(c *mesh.Cluster) string {
	pub, _ := r.Seen.Nodes[c.Publisher].Parameters.Get()
	var diffs []string
	for _, n := range c.Nodes {
		got, _ := r.Seen.Nodes[n.Name].Parameters.Get()
		for _, k := range sortedKeys(pub) {
			if v, has := got[k]; has && v != pub[k] {
				diffs = append(diffs, fmt.Sprintf("%s is %s on %s but %s on %s", plain.Value(k), plain.Value(pub[k]), c.Publisher, plain.Value(v), n.Name))
			}
		}
	}
	return plain.FirstBy(plain.Listed, diffs, "; ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// unusable lists why answers came and could not be used: each reason once, with
// the node that gave the answer.
func (r *ClusterRecord) unusable(c *mesh.Cluster) []Finding {
	var out []Finding
	add := func(node mesh.NodeName, why Reason, detail string) {
		switch why {
		case UnreadableAnswer, AXLVersionRefused, ConnectionClosed:
		default:
			return
		}
		if !slices.ContainsFunc(out, func(f Finding) bool { return f.Reason == why && f.Node == node }) {
			out = append(out, Finding{Reason: why, Node: node, Message: fmt.Sprintf("an answer of %s cannot be used: %s", node, detail)})
		}
	}
	for _, n := range c.Nodes {
		services := r.Seen.Nodes[n.Name].Services
		add(n.Name, services.Reason, services.Detail)
	}
	seen := &r.Seen
	add(c.Publisher, seen.Users.Reason, seen.Users.Detail)
	add(c.Publisher, seen.Entries.Reason, seen.Entries.Detail)
	add(c.Publisher, seen.Topology.Reason, seen.Topology.Detail)
	add(c.Publisher, seen.Nodes[c.Publisher].Parameters.Reason, seen.Nodes[c.Publisher].Parameters.Detail)
	return out
}

// sameRelease compares a declared release ("14.0.1SU3", "14.0") with a version
// as the node tells it ("14.0.1.13900-8") on the numbers that both have.
func sameRelease(declared, read string) bool {
	d, r := numbers(declared), numbers(read)
	n := min(len(d), len(r), 3)
	return n > 0 && slices.Equal(d[:n], r[:n])
}

func numbers(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ".") {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		switch {
		case end < 0:
			out = append(out, part)
		case end == 0:
			return out
		default:
			return append(out, part[:end])
		}
	}
	return out
}
