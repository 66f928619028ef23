package mesh

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"peerkeeper/shared/plain"
)

// Problem is something in a mesh that is legal and yet unwise. It never stops
// a mesh from being loaded; preflight shows it.
type Problem struct {
	ID      string    `json:"id"`                // one of the Lint… constants
	Cluster ClusterID `json:"cluster,omitempty"` // "" if the problem is a peer's or the whole mesh's
	Peer    PeerID    `json:"peer,omitzero"`
	Message string    `json:"message"`
	Source  string    `json:"source"` // who says that it is unwise
}

// The ids of the problems that Lint knows.
const (
	LintMixedReleases        = "mixed-releases"
	LintIntervalNotSettable  = "interval-not-settable"
	LintRecoveryNotSettable  = "auto-recovery-not-settable"
	LintRecoveryOff          = "auto-recovery-off"
	LintNamesNeedDNS         = "names-need-dns"
	LintFewDNSServers        = "few-dns-servers"
	LintOVANotDeclared       = "ova-not-declared"
	LintNoCUCM               = "no-cucm"
	LintNoPeers              = "no-peers"
	LintPeerTwice            = "peer-twice"
	LintPeerOneEnd           = "peer-one-end"
	LintPeerProtocolsDiffer  = "peer-protocols-differ"
	LintTLSTrunk             = "tls-trunk"
	LintNoAllowWindow        = "no-allow-window"
	LintRecoverWithReadsOnly = "recover-with-reads-only"
)

// Where the reasons come from.
const (
	chapter      = `Cisco, "Configure Intercluster Peers", 12.5(1)SU3`
	releaseNotes = "Cisco, release notes 12.5(1), and the chapter compared between 12.5(1) and 15"
	dnsTAC       = "Cisco TAC document 217581"
)

// Lint lists what is legal and yet unwise, in a stable order: the mesh's own
// problems, then each cluster's in the order of the file, then the peers'. It
// judges declarations only; nothing here was measured.
func (m *Mesh) Lint() []Problem {
	var out []Problem
	out = append(out, m.lintReleases()...)
	out = append(out, m.lintPolicy()...)
	out = append(out, m.lintProtocol()...)
	for i := range m.Clusters {
		out = append(out, m.lintCluster(&m.Clusters[i])...)
	}
	return append(out, m.lintPeers()...)
}

func (m *Mesh) lintReleases() []Problem {
	trains := map[string][]string{}
	for _, c := range m.Clusters {
		if r, ok := parseRelease(c.Release); ok {
			trains[r.train()] = append(trains[r.train()], string(c.ID))
		}
	}
	if len(trains) < 2 {
		return nil
	}
	var parts []string
	for train, ids := range trains {
		parts = append(parts, train+" ("+plain.List(ids)+")")
	}
	slices.Sort(parts)
	return []Problem{{
		ID: LintMixedReleases,
		Message: "the clusters are declared at different releases: " + plain.FirstBy(plain.Listed, parts, "; ") +
			"; service parameters, and whether deleting a peer needs a Cisco XCP Router restart, differ between them",
		Source: releaseNotes,
	}}
}

func (m *Mesh) lintPolicy() []Problem {
	if m.Policy.Mode != Recover {
		return nil
	}
	if slices.ContainsFunc(m.Policy.Windows, func(w Window) bool { return w.Kind == "allow" }) {
		return nil
	}
	return []Problem{{
		ID:      LintNoAllowWindow,
		Message: "policy.mode is recover and no window says when acting is allowed: a restart may come in working hours, and a Cisco XCP Router restart drops every user on the node",
		Source:  "practice: one cluster pair at a time, in a maintenance window",
	}}
}

func (m *Mesh) lintProtocol() []Problem {
	var ids []string
	for _, p := range m.Peers {
		if p.Protocol == TLSProto {
			ids = append(ids, p.ID.String())
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return []Problem{{
		ID: LintTLSTrunk,
		Message: fmt.Sprintf("%d of %d peers use TLS (%s): Cisco recommends TCP, the default, as the intercluster trunk transport for all clusters",
			len(ids), len(m.Peers), some(ids)),
		Source: chapter,
	}}
}

func (m *Mesh) lintCluster(c *Cluster) []Problem {
	var out []Problem
	add := func(id, source, format string, args ...any) {
		out = append(out, Problem{ID: id, Cluster: c.ID, Message: fmt.Sprintf(format, args...), Source: source})
	}
	release, declared := parseRelease(c.Release)
	// Both are about parameters that older releases lack: nothing could be set there.
	if declared && release.before(release1251SU3) && c.SyncInterval.D() != MinSyncInterval {
		add(LintIntervalNotSettable, releaseNotes,
			"sync interval %s on %s: the interval can be set from 12.5(1)SU3 on; before, it is 30 min", c.SyncInterval, c.Release)
	}
	if declared && c.AutoRecovery && release.before(release1251) {
		add(LintRecoveryNotSettable, releaseNotes, "autoRecovery on %s: the parameter exists from 12.5(1) on", c.Release)
	}
	if !c.AutoRecovery && !(declared && release.before(release1251)) {
		add(LintRecoveryOff, chapter, "autoRecovery is off: when a periodic sync is stuck for more than 2 hours Cisco raises the alarm and does not restart the Intercluster Sync Agent")
	}
	multi := len(m.Clusters) > 1
	if multi && !c.DNSSurvivesSplit {
		if names := m.namesSeenFrom(c); len(names) > 0 {
			add(LintNamesNeedDNS, chapter,
				"dnsSurvivesSplit is false and %d node names among %s and its peers are not IP addresses (%s): if DNS is lost in a split brain, presence updates and IM history between the clusters are lost too; use IP addresses as node names, or make DNS survive and declare it",
				len(names), c.ID, some(names))
		}
	}
	switch len(c.DNS) {
	case 0:
		add(LintFewDNSServers, dnsTAC, "no DNS server is named: whether the names in peers' certificates resolve for this cluster can only be inferred")
	case 1:
		add(LintFewDNSServers, dnsTAC, "one DNS server only (%s): while it is silent, peers read Not reachable", c.DNS[0])
	}
	if multi && c.OVA == 0 {
		add(LintOVANotDeclared, chapter, "ova is not declared: peering needs at least the %d-user OVA on every cluster", MinOVA)
	}
	if c.CUCM == nil {
		add(LintNoCUCM, "Cisco, IM and Presence configuration guide, AXL statement", "cucm is not given: AXL is supported on the CUCM publisher and not on IM and Presence, so data that both have cannot be read from the supported side")
	}
	if multi && len(m.PeersOf(c.ID)) == 0 {
		add(LintNoPeers, chapter, "no peer has this cluster at either end: its users and the other clusters' do not see each other's presence")
	}
	if m.Policy.Mode == Recover && (c.WriteCredentials == "" || c.WriteCredentials == c.Credentials) {
		add(LintRecoverWithReadsOnly, "Cisco, AXL authentication: read-only access is a role of its own", "policy.mode is recover and writeCredentials names no second account: acting would use the account meant for looking, or fail")
	}
	return out
}

// namesSeenFrom lists the node names that c must resolve and that are not IP
// addresses: its own and its peers'.
func (m *Mesh) namesSeenFrom(c *Cluster) []string {
	var names []string
	for _, other := range m.Clusters {
		_, out := m.Peer(PeerID{From: c.ID, To: other.ID})
		_, in := m.Peer(PeerID{From: other.ID, To: c.ID})
		if other.ID != c.ID && !out && !in {
			continue
		}
		for _, n := range other.Nodes {
			if _, err := netip.ParseAddr(string(n.Name)); err != nil {
				names = append(names, string(n.Name))
			}
		}
	}
	return names
}

func (m *Mesh) lintPeers() []Problem {
	peers := slices.Clone(m.Peers)
	slices.SortStableFunc(peers, func(a, b Peer) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	var out []Problem
	add := func(id string, p PeerID, message string) {
		out = append(out, Problem{ID: id, Peer: p, Message: message, Source: chapter})
	}
	for i, p := range peers {
		if i > 0 && peers[i-1].ID == p.ID {
			add(LintPeerTwice, p.ID, fmt.Sprintf("%s is listed more than once; one entry per direction is enough", p.ID))
			continue
		}
		back, ok := m.Peer(p.ID.Reverse())
		switch {
		case !ok:
			add(LintPeerOneEnd, p.ID, fmt.Sprintf("%s is listed and %s is not: a peer is configured on both publishers", p.ID, p.ID.Reverse()))
		case back.Protocol != p.Protocol && p.ID.From < p.ID.To:
			add(LintPeerProtocolsDiffer, p.ID, fmt.Sprintf("%s uses %s and %s uses %s: both ends should use the same", p.ID, p.Protocol, back.ID, back.Protocol))
		}
	}
	return out
}

// some names the first three of a list, so that a mesh of 30 clusters still
// makes a readable sentence.
func some(names []string) string {
	return plain.First(3, names)
}

// release is a declared release as numbers, such as 12.5(1)SU3 = 12, 5, 1, 3.
type release struct{ major, minor, maintenance, su int }

var (
	release1251    = release{12, 5, 1, 0}
	release1251SU3 = release{12, 5, 1, 3}
)

// Since is the release from which on something is so, such as that ICSA has a service
// parameter.
type Since struct {
	release release
	text    string
}

// Since when ICSA has which parameter (release notes, and the chapter compared
// between 12.5(1) and 15).
var (
	SinceAutoRecovery    = Since{release1251, "12.5(1)"}
	SinceSyncInterval    = Since{release1251SU3, "12.5(1)SU3"}
	SinceCertificateSync = Since{release{12, 5, 1, 4}, "12.5(1)SU4"}

	// SinceDeleteWithoutRestart: deleting a peer does not ask for a restart of Cisco XCP
	// Router any more (release notes 14.0(1)).
	SinceDeleteWithoutRestart = Since{release{14, 0, 1, 0}, "14.0(1)"}
)

// String is the release.
func (s Since) String() string { return s.text }

// In says whether a release is that or a later one: that which a node told, else the
// declared one; known is false where neither can be read.
func (s Since) In(told, declared string) (has, known bool) {
	for _, text := range []string{told, declared} {
		if r, ok := parseRelease(text); ok {
			return !r.before(s.release), true
		}
	}
	return false, false
}

// parseRelease reads "14.0", "14.0.1SU3", "12.5(1)SU3" and "15"; a word after
// the SU number, as in "14.0.1SU3a", is left out.
func parseRelease(s string) (release, bool) {
	if r, ok := parseVersion(s); ok {
		return r, true
	}
	version, su, hasSU := strings.Cut(strings.ToUpper(strings.NewReplacer("(", ".", ")", "", " ", "").Replace(s)), "SU")
	parts := strings.Split(strings.TrimRight(version, "."), ".")
	var numbers [3]int
	for i := range min(len(parts), len(numbers)) {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 {
			return release{}, false
		}
		numbers[i] = n
	}
	r := release{major: numbers[0], minor: numbers[1], maintenance: numbers[2]}
	// A release without its maintenance number ("12.5") is taken as its first,
	// (1): Cisco has shipped no (0), and "14.0" is how people write 14.0(1).
	if r.maintenance == 0 {
		r.maintenance = 1
	}
	digits := strings.IndexFunc(su, func(c rune) bool { return c < '0' || c > '9' })
	if digits >= 0 {
		su = su[:digits]
	}
	if hasSU {
		n, err := strconv.Atoi(su)
		if err != nil {
			return release{}, false
		}
		r.su = n
	}
	return r, true
}

// parseVersion reads a version as a node tells it, 14.0.1.13900-8: of the fourth
// number the thousands beyond ten are the service update (inferred from every
// version that Cisco lists).
func parseVersion(s string) (release, bool) {
	parts := strings.Split(strings.NewReplacer("(", "-", ")", "").Replace(s), ".")
	if len(parts) != 4 || !strings.Contains(parts[3], "-") {
		return release{}, false
	}
	build, _, _ := strings.Cut(parts[3], "-")
	var n [4]int
	for i, text := range []string{parts[0], parts[1], parts[2], build} {
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 {
			return release{}, false
		}
		n[i] = v
	}
	return release{n[0], n[1], n[2], max(0, n[3]/1000-10)}, true
}

func (r release) train() string { return fmt.Sprintf("%d.%d", r.major, r.minor) }

func (r release) before(other release) bool {
	return slices.Compare([]int{r.major, r.minor, r.maintenance, r.su}, []int{other.major, other.minor, other.maintenance, other.su}) < 0
}
