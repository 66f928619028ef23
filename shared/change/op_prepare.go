package change

import (
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
)

// OpPrepare is something that people see to before a change, and say so.
const OpPrepare Op = "prepare"

// What people see to: a step's Purpose. Steps are stored, so these stay.
const (
	prepareBackup    = "backup"
	prepareTime      = "ntp"
	preparePorts     = "ports"
	PrepareNames     = "names" // of which some can be read
	prepareRoots     = "roots"
	preparePassword  = "password"
	prepareTryOnce   = "tryOnce"
	prepareStrangers = "strangers"
)

// prepareAll is what comes before new entries.
var prepareAll = []string{prepareBackup, prepareTime, preparePorts, PrepareNames, prepareRoots}

// preparations are their texts: title, reason, and what a person does.
func preparations(c context) (title, why string, how procedure.Step) {
	all := plain.List(c.plan.Clusters)
	switch c.step.Purpose {
	case prepareBackup:
		return "a backup of " + all + " is there", "what is deleted or entered wrong is mended soonest from a backup that was made before", procedure.BackUp(all)
	case prepareTime:
		return "the clocks of " + all + " are right", "certificates and Last Synchronized Time are judged by clocks", commandLine("`utils ntp status` on every node: synchronised, and the time is right. Mend what is not before the entries are made.")
	case preparePorts:
		return "ports 8443 and 7400 are open both ways between all nodes of " + all, "users come over 8443 between publishers; presence and messages go over 7400 from every node to every node; Peerkeeper asks from its own seat only", commandLine("`utils network connectivity NODE 7400` on every node for every node of the other clusters; 8443 likewise; 5060 too where SIP federation is used. Where one is closed, have the firewall between them opened first: without 8443 no user is copied, without 7400 no presence flows.")
	case PrepareNames:
		return "every name in the certificates of " + all + " resolves in the others' DNS servers, each of them", "ICSA resolves all alternative names of a peer's tomcat certificate, and does not connect if one fails", commandLine("`utils network host NAME` on each publisher for every name; `peerkeeper check certs` lists the names, and those that do not resolve. Add those to the DNS servers first.")
	case prepareRoots:
		return "the CAs that signed the certificates of " + all + " are in the others' tomcat-trust and cup-xmpp-trust", "a certificate whose CA is not trusted is refused, and the connection with it; ICSA exchanges the certificates of the peers themselves, and Cisco has people upload the CAs behind them (TAC-212647)", procedure.Step{Menu: procedure.CertificateManagement, Do: "Find: each root and intermediate of the others stands in tomcat-trust and in cup-xmpp-trust; upload what is missing on the publisher."}
	case preparePassword:
		return fmt.Sprintf("the intercluster application user of %s has its new password", c.step.Cluster), "every other cluster logs in to it with that account; from now on they are refused until their entry is changed", procedure.Step{On: string(c.step.Cluster), Do: "Give the account its new password. Where it is kept is not in Cisco's chapter: application users are kept in Unified CM. " + unlisted(c)}
	case prepareStrangers:
		return fmt.Sprintf("entries of which mesh.yaml does not tell whose they are have %s's new password too, where they are for it", c.step.Cluster), "an entry that keeps the old password goes on trying it, and nobody watches it", procedure.Step{Menu: procedure.InterClustering, Do: fmt.Sprintf("They are, as read: %s. Where such an address is %s's, enter the new password there. Whom %s itself has an entry for has probably one back: look on the page of that cluster.", c.step.Value, c.step.Cluster, c.step.Cluster)}
	case prepareTryOnce:
		return "the new password was tried once", "a password that is entered wrong on many clusters may lock the account: ICSA tries a sync that failed again every 5 min", procedure.Step{Do: fmt.Sprintf("`peerkeeper peering check-credentials %s %s` asks for it at a prompt, tries it once and keeps nothing. If it is rejected, do not try again: the command says what to look at.", firstPeer(c), c.step.Cluster)}
	}
	return c.step.Purpose, "a later version of Peerkeeper asks for it", procedure.Step{}
}

// unlisted warns of entries that keep the old password because no step is about them.
func unlisted(c context) string {
	if c.step.Value == "" {
		return fmt.Sprintf("Every entry for %s that was read has a step here; of a cluster that mesh.yaml does not list none is read.", c.step.Cluster)
	}
	return fmt.Sprintf("The peer tables of %s have not been read: look on their pages first for entries for %s that mesh.yaml does not tell of, and in clusters that it does not list. Such an entry has no step here, keeps the old password, and fails from then on.", c.step.Value, c.step.Cluster)
}

func firstPeer(c context) mesh.ClusterID {
	if len(c.plan.Pairs) == 0 {
		return "A"
	}
	return c.plan.Pairs[0].From
}

func commandLine(do string) procedure.Step {
	return procedure.Step{Menu: procedure.CommandLine, Do: do}
}

func prepareOp() op {
	return op{name: OpPrepare, kind: Manual, lasts: 5 * time.Minute}
}

func prepareText() text {
	return text{
		op:    OpPrepare,
		title: func(c context) string { title, _, _ := preparations(c); return title },
		why:   func(c context) string { _, why, _ := preparations(c); return why },
		how:   func(c context) procedure.Step { _, _, how := preparations(c); return how },
		interrupts: func(c context) string {
			if c.step.Purpose == preparePassword {
				return fmt.Sprintf("syncs of users from %s, for each cluster until its entry has the new password", c.step.Cluster)
			}
			return "nothing"
		},
		proof: func(context) string { return "a person says so" },
	}
}
