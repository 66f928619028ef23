package check

import (
	"fmt"
	"slices"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// lints says what becomes of each problem that mesh.Lint knows: those with an id here are rows of their own, the others
// are told by the check that is named.
var lints = map[string]struct {
	step   string
	status Status
	reason peer.Reason
	by     string // the check that tells it
}{
	mesh.LintMixedReleases:        {by: "release-gap"},
	mesh.LintIntervalNotSettable:  {step: "9", status: Fail, reason: SinceLater},
	mesh.LintRecoveryNotSettable:  {step: "8", status: Fail, reason: SinceLater},
	mesh.LintRecoveryOff:          {step: "8", status: Declared, reason: Advised},
	mesh.LintNamesNeedDNS:         {by: "names-survive-split"},
	mesh.LintFewDNSServers:        {step: restrictions, status: Declared, reason: Advised},
	mesh.LintOVANotDeclared:       {by: "ova"},
	mesh.LintNoCUCM:               {step: prerequisites, status: Declared, reason: NotDeclared},
	mesh.LintNoPeers:              {step: "4", status: Fail, reason: peer.PeerMissing},
	mesh.LintPeerTwice:            {step: "4", status: Declared, reason: Advised},
	mesh.LintPeerOneEnd:           {step: "4", status: Fail, reason: peer.PeerMissingOnOtherSide},
	mesh.LintPeerProtocolsDiffer:  {step: "4", status: Fail, reason: peer.ProtocolDiffers},
	mesh.LintTLSTrunk:             {by: "protocol-tcp"},
	mesh.LintNoAllowWindow:        {step: restrictions, status: Declared, reason: Advised},
	mesh.LintRecoverWithReadsOnly: {step: prerequisites, status: Fail, reason: peer.NoCredentials},
}

// lint finds a problem of a cluster.
func (f *Facts) lint(id string, c mesh.ClusterID) (mesh.Problem, bool) {
	for _, p := range f.problems() {
		if p.ID == id && p.Cluster == c {
			return p, true
		}
	}
	return mesh.Problem{}, false
}

// lints are the rows of a cluster's problems in mesh.yaml, or of the mesh's own.
func (f *Facts) lints(id mesh.ClusterID) []Row {
	var out []Row
	for _, p := range f.problems() {
		l := lints[p.ID]
		at := p.Cluster
		if !p.Peer.IsZero() {
			at = p.Peer.From
		}
		if l.by != "" || at != id {
			continue
		}
		v := verdict{status: l.status, reason: l.reason, basis: peer.Declared, message: p.Message, fix: "mesh.yaml; " + p.Source}
		r := v.row(p.ID, l.step)
		r.Cluster, r.Peer = id, p.Peer
		out = append(out, r)
	}
	return out
}

func (f *Facts) problems() []mesh.Problem {
	if f.linted == nil {
		f.linted = f.Mesh.Lint()
		if f.linted == nil {
			f.linted = []mesh.Problem{}
		}
	}
	return f.linted
}

func sizing(*Facts) *verdict {
	return manual("Cisco Collaboration Solution Reference Network Designs, chapter Collaboration Instant Messaging and Presence", "sizing of the mesh is for a person to compare with Cisco's SRND")
}

// clustersSeen counts the clusters of mesh.yaml, and entries of peers that belong to none of them.
func (f *Facts) clustersSeen() int {
	foreign := map[string]bool{}
	for _, r := range f.Clusters {
		entries, _ := r.Seen.Entries.Get()
		for _, e := range entries {
			if _, ours := f.Mesh.Owner(mesh.NodeName(e.Address)); !ours {
				foreign[mesh.NameKey(e.Address)] = true
			}
		}
	}
	return len(f.Mesh.Clusters) + len(foreign)
}

func clusterLimit(f *Facts) *verdict {
	n := f.clustersSeen()
	others := ""
	if more := n - len(f.Mesh.Clusters); more > 0 {
		others = fmt.Sprintf(", %d of them known from peer entries only", more)
	}
	if n > mesh.MaxClusters {
		return fail(TooManyClusters, peer.Measured, "take the peers out that are not needed, or split the mesh", "%d clusters are seen%s; Cisco supports %d in one mesh", n, others, mesh.MaxClusters)
	}
	return pass(peer.Measured, "%s seen%s; Cisco supports %d", plain.Count(n, "cluster is", "clusters are"), others, mesh.MaxClusters)
}

func releaseGap(f *Facts) *verdict {
	for i := range f.Mesh.Clusters {
		c := &f.Mesh.Clusters[i]
		var versions []string
		for _, n := range c.Nodes {
			if v, ok := f.seen(c).Nodes[n.Name].Version.Get(); ok {
				versions = append(versions, v)
			}
		}
		slices.Sort(versions)
		if versions = slices.Compact(versions); len(versions) > 1 {
			return fail(peer.ReleaseDiffers, peer.Measured, "finish the upgrade of the cluster before peers are changed", "the nodes of %s run %s", c.ID, plain.Values(versions))
		}
	}
	if p, has := f.lint(mesh.LintMixedReleases, ""); has {
		return &verdict{status: Declared, reason: Advised, basis: peer.Declared, message: p.Message}
	}
	return pass(peer.Declared, "the clusters are of one release train")
}

func windows(f *Facts) *verdict {
	if len(f.Mesh.Policy.Windows) == 0 {
		return declared("no window is declared")
	}
	var never []string
	for _, w := range f.Mesh.Policy.NeverOpen(f.Now) {
		never = append(never, w.String())
	}
	if len(never) > 0 {
		return fail(WindowNeverOpen, peer.Declared, "correct policy.windows in mesh.yaml: a deny wins over an allow", "nothing is ever allowed in the window %s", plain.List(never))
	}
	return declared("%s declared; each can be met", plain.Count(len(f.Mesh.Policy.Windows), "window is", "windows are"))
}
