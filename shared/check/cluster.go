package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
)

func topology(f *Facts, c *mesh.Cluster) *verdict {
	listed := f.seen(c).Topology.Fresh(f.Now, f.fresh())
	nodes, ok := listed.Get()
	if !ok {
		return unread(listed, "the nodes that "+string(c.ID)+" lists")
	}
	var missing []string
	for _, n := range c.Nodes {
		if !slices.ContainsFunc(nodes, func(name mesh.NodeName) bool { return mesh.SameName(string(name), string(n.Name)) }) {
			missing = append(missing, string(n.Name))
		}
	}
	var more []string
	for _, name := range nodes {
		if _, known := f.Mesh.Owner(name); !known {
			more = append(more, plain.Value(name))
		}
	}
	fix := "compare mesh.yaml with " + procedure.PresenceTopology + ": names are compared as they stand there"
	switch {
	case len(missing) > 0:
		return fail(NotListed, peer.Measured, fix, "%s does not list %s", c.ID, plain.List(missing))
	case len(more) > 0:
		return fail(peer.UnlistedNode, peer.Measured, fix, "%s lists %s, mesh.yaml does not", c.ID, plain.List(more))
	}
	return pass(peer.Measured, "%s lists the %s of mesh.yaml", c.ID, plain.Count(len(c.Nodes), "node", "nodes"))
}

func sameDomain(f *Facts, c *mesh.Cluster) *verdict {
	domain, _ := f.Addressing(c.ID)
	switch {
	case domain == "":
		return unknown(peer.NotObservable, "read it in "+procedure.AdvancedConfiguration+"; `peerkeeper probe` helps to map where the database keeps it", "the default domain of %s is not told; mesh.yaml says %s", c.ID, f.Mesh.Domain)
	case !mesh.SameName(domain, f.Mesh.Domain):
		return fail(peer.DomainDiffers, peer.Measured, "all clusters share one default domain: "+procedure.AdvancedConfiguration, "the default domain of %s is %s, mesh.yaml says %s", c.ID, plain.Value(domain), f.Mesh.Domain)
	}
	return pass(peer.Measured, "the default domain of %s is %s", c.ID, domain)
}

func sameScheme(f *Facts, c *mesh.Cluster) *verdict {
	_, scheme := f.Addressing(c.ID)
	if scheme == "" {
		return unknown(peer.NotObservable, "read it in "+procedure.AdvancedConfiguration, "the IM address scheme of %s is not told", c.ID)
	}
	if want := f.Mesh.AddressScheme; want != "" && want != scheme {
		return fail(peer.AddressSchemeDiffers, peer.Measured, "all clusters use one scheme: "+procedure.AdvancedConfiguration, "%s makes IM addresses by the scheme %s, mesh.yaml says %s", c.ID, scheme, want)
	}
	for _, other := range f.Mesh.Clusters {
		if _, theirs := f.Addressing(other.ID); theirs != "" && theirs != scheme {
			return fail(peer.AddressSchemeDiffers, peer.Measured, "all clusters use one scheme: "+procedure.AdvancedConfiguration, "%s makes IM addresses by the scheme %s, %s by %s", c.ID, scheme, other.ID, theirs)
		}
	}
	return pass(peer.Measured, "%s makes IM addresses by the scheme %s, as every cluster that tells", c.ID, scheme)
}

func ova(f *Facts, c *mesh.Cluster) *verdict {
	switch {
	case c.OVA == 0:
		return unknown(NotDeclared, fmt.Sprintf("look at the virtual machine of %s and write `ova:` in mesh.yaml", c.Publisher), "ova of %s is not declared; peering needs at least the %d-user OVA on every cluster", c.ID, mesh.MinOVA)
	case c.OVA < mesh.MinOVA:
		return fail(BelowMinimum, peer.Declared, "deploy the larger OVA before the cluster is peered", "%s is declared with the %d-user OVA; peering needs at least %d", c.ID, c.OVA, mesh.MinOVA)
	}
	return declared("%s is declared with the %d-user OVA; not verified", c.ID, c.OVA)
}

func edition(f *Facts, c *mesh.Cluster) *verdict {
	return declared("%s is declared as %s; on Business Edition 6000 peering is not supported; not verified", c.ID, plain.Value(c.Edition))
}

// readRole is whether the read account may all that Peerkeeper asks.
func readRole(f *Facts, c *mesh.Cluster) *verdict {
	seen := f.seen(c)
	fix := "give the account of `credentials` the roles that infra/README.md lists"
	if access := seen.Access; !access.Known() {
		if access.Why() == peer.AccountRejected || access.Why() == peer.Forbidden {
			return fail(access.Why(), peer.Measured, fix, "the read account of %s is refused: %s", c.ID, access.Detail)
		}
		return unread(access, "what the read account of "+string(c.ID)+" may")
	}
	var lacks []string
	for _, n := range c.Nodes {
		if seen.Nodes[n.Name].Services.Reason == peer.Forbidden {
			lacks = append(lacks, "Control Center on "+string(n.Name))
		}
		if f.Setups[c.ID].Nodes[n.Name].Replication.Reason == PerfMonRefused {
			lacks = append(lacks, "PerfMon on "+string(n.Name))
		}
	}
	if seen.Users.Reason == peer.Forbidden {
		lacks = append(lacks, "AXL")
	}
	if why := f.Logs[c.ID]; why != "" {
		lacks = append(lacks, "the log files ("+why+")")
	}
	if len(lacks) > 0 {
		return fail(RightMissing, peer.Measured, fix, "the read account of %s is let in, and lacks the right for %s", c.ID, plain.List(lacks))
	}
	if !seen.Users.Fresh(f.Now, f.fresh()).Known() {
		return unread(seen.Users.Fresh(f.Now, f.fresh()), "whether the read account of "+string(c.ID)+" may read the database")
	}
	for _, n := range c.Nodes {
		if counted := f.Setups[c.ID].Nodes[n.Name].Replication; !counted.Known() && counted.Reason != peer.NotObservable {
			return unread(counted, "whether the read account of "+string(c.ID)+" may read PerfMon on "+string(n.Name))
		}
	}
	return pass(peer.Measured, "the read account of %s may read all that is asked", c.ID)
}

// PerfMonRefused is PerfMon that refuses the account which AXL accepts: a role is missing.
const PerfMonRefused peer.Reason = "PerfMonRefused"

func passwordAge(f *Facts, c *mesh.Cluster) *verdict {
	changed := f.Setups[c.ID].PasswordChanged
	at, ok := changed.Get()
	if !ok {
		v := unread(changed, "when the read account's password of "+string(c.ID)+" was changed")
		v.fix = "the credential policy of Unified CM says when it expires: Cisco locks out or refuses an account whose password has expired"
		return v
	}
	return pass(peer.Inferred, "the read account's password of %s was changed %s ago", c.ID, plain.Duration(f.Now.Sub(at).Truncate(time.Hour)))
}

func userTroubleshooter(f *Facts, c *mesh.Cluster) *verdict {
	return manual(procedure.SystemTroubleshooter+" of "+string(c.Publisher)+": in User Troubleshooter no duplicate or invalid user (it names ten at most)", "the User Troubleshooter of %s is seen on Cisco's page only", c.ID)
}

func interClusteringTroubleshooter(f *Facts, c *mesh.Cluster) *verdict {
	return manual(procedure.SystemTroubleshooter+" of "+string(c.Publisher)+": in Inter-Clustering Troubleshooter a check mark beside every entry", "the Inter-Clustering Troubleshooter of %s is seen on Cisco's page only", c.ID)
}

func certificateErrors(f *Facts, c *mesh.Cluster) *verdict {
	return manual(procedure.InterClustering+" of "+string(c.Publisher)+": each peer's certificate list shows a check mark beside every certificate; for any other error see the page's online help", "other certificate exchange errors of %s are seen on Cisco's page only", c.ID)
}

func interclusterUser(f *Facts, c *mesh.Cluster) *verdict {
	return manual("Cisco AXL Web Service creates it when it is activated; its user name and password go into the peer entries of all other clusters", "that the intercluster application user of %s exists is not to be read", c.ID)
}

func syncAgentCompleted(f *Facts, c *mesh.Cluster) *verdict {
	word := f.seen(c).SyncAgent.Fresh(f.Now, f.fresh())
	text, ok := word.Get()
	switch {
	case !ok:
		return unread(word, "the Sync Agent's user sync of "+string(c.ID))
	case !strings.HasPrefix(text, "Completed"):
		return fail(peer.SyncAgentNotCompleted, peer.Measured, "wait for it before peers are configured: they show Failed until it has completed; else Restart of Cisco Sync Agent in "+procedure.NetworkServices+" of "+string(c.Publisher), "the Sync Agent's user sync of %s reads %s", c.ID, plain.Value(text))
	}
	return pass(peer.Measured, "the Sync Agent's user sync of %s reads %s", c.ID, plain.Value(text))
}

func namesSurviveSplit(f *Facts, c *mesh.Cluster) *verdict {
	switch p, has := f.lint(mesh.LintNamesNeedDNS, c.ID); {
	case has:
		return fail(NamesNeedDNS, peer.Declared, "make DNS reachable in a split brain and declare `dnsSurvivesSplit: true`, or use IP addresses as node names", "%s", p.Message)
	case c.DNSSurvivesSplit:
		return declared("DNS of %s is declared to survive a split brain", c.ID)
	}
	return pass(peer.Declared, "the node names of %s and its peers are IP addresses", c.ID)
}

// parameter is one of ICSA's parameters on a node; nil verdict means that value holds it.
func (f *Facts) parameter(c *mesh.Cluster, n mesh.Node, purpose, called string, since mesh.Since) (value string, v *verdict) {
	version, _ := f.seen(c).Nodes[n.Name].Version.Get()
	if has, known := since.In(version, c.Release); known && !has {
		return "", &verdict{status: Declared, reason: SinceLater, basis: peer.Declared, message: fmt.Sprintf("%s has no %s: it comes with %s", n.Name, called, since)}
	}
	all := f.seen(c).Nodes[n.Name].Parameters.Fresh(f.Now, f.fresh())
	params, ok := all.Get()
	if !ok {
		return "", unread(all, called+" on "+string(n.Name))
	}
	value, has := params[purpose]
	if !has {
		return "", unknown(peer.NotObservable, "`peerkeeper probe` proposes which parameter it is: Cisco does not publish its internal name", "%s on %s is not told", called, n.Name)
	}
	return strings.TrimSpace(value), nil
}

func autoRecovery(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
	value, v := f.parameter(c, n, peer.ParamAutoRecovery, "auto recovery", mesh.SinceAutoRecovery)
	if v != nil {
		return v
	}
	on, ok := peer.SwitchOn(value)
	switch fix := procedure.EnableAutoRecovery(n.Name).Line(); {
	case !ok:
		return unknown(peer.UnreadableAnswer, fix, "auto recovery on %s reads %s", n.Name, plain.Value(value))
	case on:
		return pass(peer.Measured, "auto recovery is enabled on %s", n.Name)
	case !c.AutoRecovery:
		return declared("auto recovery is disabled on %s, as mesh.yaml declares: Cisco then raises its alarm and restarts nothing", n.Name)
	default:
		return fail(NotAsDeclared, peer.Measured, fix, "auto recovery is disabled on %s: ICSA does not restart itself when a sync is stuck for more than 2 h", n.Name)
	}
}

func certificateSync(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
	value, v := f.parameter(c, n, peer.ParamCertSync, "certificate sync", mesh.SinceCertificateSync)
	if v != nil {
		return v
	}
	on, ok := peer.SwitchOn(value)
	switch fix := procedure.SetParameter(n.Name, peer.ICSA, procedure.CertificateSyncParameter, "Perform certificate sync").Line(); {
	case !ok:
		return unknown(peer.UnreadableAnswer, fix, "certificate sync on %s reads %s", n.Name, plain.Value(value))
	case on:
		return pass(peer.Measured, "certificates are synced with the periodic sync on %s", n.Name)
	default:
		return fail(NotAsDeclared, peer.Measured, fix, "certificates are not synced with the periodic sync on %s: a renewed one needs %s by hand on every cluster", n.Name, procedure.ForceSync)
	}
}

func intervalRange(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
	value, v := f.parameter(c, n, peer.ParamInterval, "sync interval", mesh.SinceSyncInterval)
	if v != nil {
		return v
	}
	minutes, err := strconv.Atoi(value)
	is := time.Duration(minutes) * time.Minute
	if err != nil || is < mesh.MinSyncInterval || is > mesh.MaxSyncInterval {
		return fail(OutOfRange, peer.Measured, procedure.SetParameter(n.Name, peer.ICSA, procedure.IntervalParameter, strconv.Itoa(int(c.SyncInterval.D()/time.Minute))).Line(),
			"the sync interval on %s reads %s; Cisco takes 30 to 1444 min", n.Name, plain.Value(value))
	}
	return pass(peer.Measured, "the sync interval on %s is %s", n.Name, plain.Duration(is))
}

func intervalAlike(f *Facts, c *mesh.Cluster) *verdict {
	var first string
	for _, n := range c.Nodes {
		value, v := f.parameter(c, n, peer.ParamInterval, "sync interval", mesh.SinceSyncInterval)
		switch {
		case v != nil:
			return v
		case first == "":
			first = value
		case value != first:
			return fail(peer.ParametersDiffer, peer.Measured, procedure.SetParameter(n.Name, peer.ICSA, procedure.IntervalParameter, first).Line(), "the sync interval is %s min on %s and %s min on %s", plain.Value(first), c.Nodes[0].Name, plain.Value(value), n.Name)
		}
	}
	return pass(peer.Measured, "the sync interval is the same on every node of %s", c.ID)
}

// Cisco's words on resources: "multi cluster deployment with large number of clusters", and 20 to 10. How many are many
// is ours.
const (
	manyClusters = 10
	fewProxies   = 10
	// shortageResets of ICSA or Server Recovery Manager in a day, which nobody explains,
	// are taken for a shortage.
	shortageResets  = 2
	sipProxyService = "Cisco SIP Proxy"
)

// unexplained are the restarts of ICSA and Server Recovery Manager in the last day
// that Peerkeeper did not do.
func (f *Facts) unexplained(id mesh.ClusterID) []string {
	r := f.Clusters[id]
	if r == nil {
		return nil
	}
	var out []string
	for _, reset := range r.Resets {
		ours := slices.ContainsFunc(f.Done, func(d peer.Done) bool {
			return d.Target.Node == reset.Node && d.Target.Service == reset.Service && reset.At.Sub(d.At).Abs() < doneWithin
		})
		if !ours {
			out = append(out, fmt.Sprintf("a restart of %s on %s at %s", reset.Service, reset.Node, plain.Time(reset.At)))
		}
	}
	return out
}

// doneWithin is how near to an action of Peerkeeper a restart is put down to it.
const doneWithin = 20 * time.Minute

func sipProxyProcesses(f *Facts, c *mesh.Cluster) *verdict {
	seen := f.clustersSeen()
	if seen < manyClusters {
		return pass(peer.Declared, "a mesh of %s needs no smaller number of SIP Proxy processes", plain.Count(seen, "cluster", "clusters"))
	}
	params := f.Setups[c.ID].SIPProxy
	all, ok := params.Get()
	if !ok {
		return unread(params, "the SIP Proxy processes of "+string(c.ID))
	}
	var high []string
	for name, value := range all {
		if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && n > fewProxies {
			high = append(high, fmt.Sprintf("%s=%d", plain.Value(name), n))
		}
	}
	slices.Sort(high)
	switch {
	case len(all) == 0:
		return unknown(peer.NotObservable, "", "no parameter of %s on %s speaks of processes", sipProxyService, c.Publisher)
	case len(high) == 0:
		return pass(peer.Measured, "the SIP Proxy processes of %s are at %d or fewer", c.ID, fewProxies)
	}
	if resets := f.unexplained(c.ID); len(resets) >= shortageResets {
		return &verdict{status: Declared, reason: Advised, basis: peer.Inferred, fix: fmt.Sprintf("`peerkeeper peering plan tune-sip-proxy %s` makes a plan of it", c.ID),
			message: fmt.Sprintf("ICSA or Server Recovery Manager seems to run short of resources: %s within a day that nobody explains, %d clusters are seen, and %s has %s; Cisco recommends %d then", plain.List(resets), seen, c.Publisher, plain.List(high), fewProxies)}
	}
	return manual("only if ICSA or Cisco Server Recovery Manager runs short of resources: "+procedure.ServiceParameters+", "+sipProxyService+", maximum number of processes, of spare processes and the third from 20 to 10; then restart SIP Proxy, Server Recovery Manager and ICSA in a window",
		"%d clusters are seen, and %s has %s: Cisco recommends 10 where ICSA or Server Recovery Manager runs short", seen, c.Publisher, plain.List(high))
}
