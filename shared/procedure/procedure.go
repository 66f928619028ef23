// Package procedure is what people do by hand on Cisco's pages: the pages by the
// menus that lead to them, and each step that more than one place of Peerkeeper
// speaks of, written once. A button has one name here, so that what a notice
// calls it is what explain, plan and the runbook call it.
//
// It owns Cisco's words and never says when a step is due. Evidence: the chapter
// "Configure Intercluster Peers", 12.5(1)SU3, where a page or step says nothing
// else; [G] is the administration or configuration guide, which the chapter does
// not repeat; TAC is a document of Cisco TAC. The online help of the
// Inter-Clustering page, with all its fields, is NOT FOUND.
package procedure

import (
	"fmt"
	"strings"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// The pages, by their menus as the page titles read.
const (
	InterClustering       = administration + " > Presence > Inter-Clustering"
	PresenceTopology      = administration + " > System > Presence Topology"
	RedundancyGroups      = administration + " > System > Presence Redundancy Groups" // [G]
	ServiceParameters     = administration + " > System > Service Parameters"
	SystemTroubleshooter  = administration + " > Diagnostics > System Troubleshooter"
	AdvancedConfiguration = administration + " > Presence > Settings > Advanced Configuration" // [G]
	NetworkServices       = serviceability + " > Tools > Control Center - Network Services"
	FeatureServices       = serviceability + " > Tools > Control Center Feature Services" // sic: the chapter has no dash here
	ServiceActivation     = serviceability + " > Tools > Service Activation"              // [G]
	CertificateManagement = platform + " > Security > Certificate Management"             // [G]
	CipherManagement      = platform + " > Security > Cipher Management"                  // [G]
	AlarmConfiguration    = serviceability + " > Alarm > Configuration"                   // [G]
	UnifiedCMServers      = unifiedCM + " > System > Server"                              // [G]
	DisasterRecovery      = "Disaster Recovery System > Backup > Manual Backup"           // [G]
	ApplicationUsers      = unifiedCM + " > User Management > Application User"           // [G]
	CommandLine           = "command line"

	unifiedCM      = "Cisco Unified CM Administration"
	administration = "Cisco Unified CM IM and Presence Administration"
	serviceability = "Cisco Unified IM and Presence Serviceability"
	platform       = "Cisco Unified IM and Presence OS Administration"
)

// The words on the Inter-Clustering page.
const (
	// ForceSync is the button; the chapter also calls it "Force Sync". There is
	// no interface for it: it is always a person's step.
	ForceSync = "Force Manual Sync"
	// AlsoResync is the choice in its confirmation window.
	AlsoResync = "Also resync peer's Tomcat certificates"
	// secure is what its Inter-cluster Peer Status must say in the end; the panel
	// refreshes every 60 s (TAC-212647).
	secure = `Certificate Status must read "Connection is secure"`
)

// The services of which people speak by name.
const (
	icsa     = "Cisco Intercluster Sync Agent"
	axl      = "Cisco AXL Web Service"
	sipProxy = "Cisco SIP Proxy"
	// xcpRouter is restarted where a notification asks for it.
	xcpRouter = "Cisco XCP Router"
)

// Service parameters by the names that Cisco's page shows. The third of SIP Proxy
// is called like the first in every guide; what it is, is inferred.
const (
	IntervalParameter          = "Inter Cluster Peer Periodic Sync Interval (mins)"
	AutoRecoveryParameter      = "Enable Auto Recovery for Inter-Cluster Peer Periodic Syncing Failure"
	CertificateSyncParameter   = "Certificate Sync during Inter-Cluster Periodic Sync"
	MaxProcessesParameter      = "Maximum no. of processes"
	MaxSpareProcessesParameter = "Maximum no. of spare processes"
	ThirdProcessesParameter    = "Maximum no. of processes (the chapter names it a second time; probably the minimum number of spare processes)"
)

// Step is one thing for a person to do.
type Step struct {
	// On is the node or cluster to do it on; "" when it is done elsewhere.
	On string `json:"on,omitempty"`
	// Menu is the way through Cisco's pages, as the page titles read.
	Menu string `json:"menu,omitempty"`
	Do   string `json:"do"`
}

// ForceManualSync makes a peer sync now.
func ForceManualSync(on, peer mesh.NodeName) Step {
	return Step{string(on), InterClustering, fmt.Sprintf("Find and select %s, click %s and confirm with OK.", peer, ForceSync)}
}

// ResyncCertificates makes a peer fetch the other end's certificates.
func ResyncCertificates(on, peer mesh.NodeName) Step {
	return Step{string(on), InterClustering, fmt.Sprintf("Find and select %s, click %s, choose %q, click OK and wait 60 s: %s.", peer, ForceSync, AlsoResync, secure)}
}

// CheckCertificates reads whether a peer's certificates are exchanged.
func CheckCertificates(on, peer mesh.NodeName) Step {
	return Step{string(on), InterClustering, fmt.Sprintf("Find and select %s: %s.", peer, secure)}
}

// CheckPeer reads what only Cisco's page shows of a peer.
func CheckPeer(on, peer mesh.NodeName) Step {
	return Step{string(on), InterClustering, fmt.Sprintf("Find and select %s. In Inter-cluster Peer Status read Peer Connectivity Test, Associated Users and Last Synchronized Time; the panel refreshes every 60 s.", peer)}
}

// Troubleshoot has Cisco's own tests run.
func Troubleshoot(on, peer mesh.NodeName) Step {
	return Step{string(on), SystemTroubleshooter, fmt.Sprintf("In Inter-Clustering Troubleshooter every row for %s must have a check mark; its Problem and Solution columns say what else is wrong.", peer)}
}

// EnterCredentials mends a peer's account.
func EnterCredentials(on, peer mesh.NodeName, of mesh.ClusterID) Step {
	return Step{string(on), InterClustering, fmt.Sprintf("Find and select %s. Enter the AXL user name and password of %s's intercluster application user again and click Save. Only this direction uses them; the other end keeps its own copy.", peer, of)}
}

// AddPeer makes the entry of another cluster. address is its publisher's node name.
func AddPeer(on mesh.NodeName, of mesh.ClusterID, address string, protocol mesh.Protocol) Step {
	return Step{string(on), InterClustering, fmt.Sprintf("Click Add New. Peer Address: %s. AXL Username and AXL Password: those of %s's intercluster application user. Protocol: %s. Click Save.", address, of, strings.ToUpper(string(protocol)))}
}

// EditPeerProtocol changes the protocol of an entry.
func EditPeerProtocol(on, peer mesh.NodeName, protocol mesh.Protocol) Step {
	return Step{string(on), InterClustering, fmt.Sprintf("Find and select %s, set Protocol to %s and click Save.", peer, strings.ToUpper(string(protocol)))}
}

// EditPeerAddress changes how an entry names the publisher that it is for.
func EditPeerAddress(on mesh.NodeName, of mesh.ClusterID, address string) Step {
	return Step{string(on), InterClustering, fmt.Sprintf("Find and select the entry of %s, set Peer Address to %s and click Save.", of, address)}
}

// DeletePeer takes an entry away.
func DeletePeer(on, peer mesh.NodeName) Step {
	return Step{string(on), InterClustering, fmt.Sprintf("Click Find, select %s and click Delete.", peer)}
}

// ReadBell reads what the pages ask for after a change.
func ReadBell(on mesh.NodeName) Step {
	return Step{string(on), administration, fmt.Sprintf("Look at the notifications at the top right of the page header: is a restart of %s advised?", xcpRouter)}
}

// CheckStatusRows reads every row of an entry's status, and Cisco's own tests of it.
func CheckStatusRows(on, peer mesh.NodeName, of mesh.ClusterID, users string, tls bool) Step {
	do := fmt.Sprintf("Find and select %s. In Inter-cluster Peer Status every row has a check mark, Associated Users reads %s, and for Enterprise Groups and message archiver encryption no conflict is shown", peer, users)
	if tls {
		do += "; " + secure
	}
	return Step{string(on), InterClustering, fmt.Sprintf("%s. In %s, section Inter-Clustering Troubleshooter, every row for %s has a check mark, and section User Troubleshooter shows no problem.", do, Menus(SystemTroubleshooter), of)}
}

// BackUp makes a backup of a cluster [G].
func BackUp(clusters string) Step {
	return Step{"", DisasterRecovery, fmt.Sprintf("On the publisher of each of %s make a backup, and see that it ended without an error.", clusters)}
}

// EnableAutoRecovery lets ICSA restart itself.
func EnableAutoRecovery(on mesh.NodeName) Step {
	return Step{string(on), ServiceParameters, fmt.Sprintf("Choose %s and %s (Active): with %s set to Enabled, ICSA restarts itself. Give it one interval before restarting it.", on, icsa, AutoRecoveryParameter)}
}

// SetParameter sets a service parameter.
func SetParameter(on mesh.NodeName, service, name, value string) Step {
	return Step{string(on), ServiceParameters, fmt.Sprintf("Choose %s from Server and %s from Service, set %s to %s and click Save.", on, service, name, value)}
}

// StartService starts a service that is stopped. The chapter says Start of ICSA
// alone, and Restart of the others; XCP Router so brings back the services that
// depend on it.
func StartService(on mesh.NodeName, service string) Step {
	if service == icsa {
		return control(on, service, "Start")
	}
	return RestartService(on, service)
}

// RestartService restarts a service.
func RestartService(on mesh.NodeName, service string) Step { return control(on, service, "Restart") }

func control(on mesh.NodeName, service, button string) Step {
	page := NetworkServices
	if service == axl || service == sipProxy {
		page = FeatureServices
	}
	return Step{string(on), page, fmt.Sprintf("Choose %s from Server, click Go, select %s and click %s.", on, service, button)}
}

// CheckService reads whether a service runs.
func CheckService(on mesh.NodeName, service string) Step {
	step := control(on, service, "")
	step.Do = fmt.Sprintf("Choose %s from Server and click Go: Status of %s reads Started.", on, service)
	return step
}

// ActivateService activates a feature service [G].
func ActivateService(on mesh.NodeName, service string) Step {
	return Step{string(on), ServiceActivation, fmt.Sprintf("Choose %s from Server, click Go, check %s and click Save.", on, service)}
}

// DisableHA turns high availability off in every redundancy group of a cluster [G].
func DisableHA(on string) Step {
	return Step{on, RedundancyGroups, "Find and select each group, uncheck Enable High Availability and click Save; wait until both nodes read Idle."}
}

// EnableHA turns it on again [G].
func EnableHA(on string) Step {
	return Step{on, RedundancyGroups, "Find and select each group, check Enable High Availability and click Save; wait until both nodes read Normal."}
}

// CheckHA reads the state of a cluster's redundancy groups [G].
func CheckHA(on string) Step {
	return Step{on, RedundancyGroups, "Find and select each group: both nodes read Normal, or Idle where high availability is off."}
}

// Fallback brings a node that failed over back [G].
func Fallback(on string) Step {
	return Step{on, RedundancyGroups, "Find and select the group and click Fallback beside the node that reads Failed Over; wait until both nodes read Normal."}
}

// UploadCertificate puts a certificate into a trust store [G].
func UploadCertificate(on mesh.NodeName, store, what string) Step {
	return Step{string(on), CertificateManagement, fmt.Sprintf("Upload Certificate/Certificate chain, Certificate Purpose %s: %s.", store, what)}
}

// LogSyncs has ICSA log its syncs that succeed too [G].
func LogSyncs(on mesh.NodeName) Step {
	return Step{string(on), AlarmConfiguration, fmt.Sprintf("Choose %s from Server, IM and Presence Services from Service Group and %s: Local Syslogs, Enable Alarm, Alarm Event Level Informational, Apply to All Nodes, Save.", on, icsa)}
}

// RestartTomcat makes a node serve its new certificate.
func RestartTomcat(on mesh.NodeName) Step {
	return Step{string(on), CommandLine, "`utils service restart Cisco Tomcat`."}
}

// Below is a button or an entry of a page, with those that lead on from it.
func Below(page string, names ...string) string {
	return strings.Join(append([]string{page}, names...), " > ")
}

// Menus is a page without the name of its application.
func Menus(page string) string {
	_, menus, _ := strings.Cut(page, " > ")
	return menus
}

// Then is the step with another sentence.
func (s Step) Then(more string) Step {
	s.Do += " " + more
	return s
}

// Fill is the step with its placeholders replaced.
func (s Step) Fill(names *strings.Replacer) Step {
	return Step{On: names.Replace(s.On), Menu: s.Menu, Do: names.Replace(s.Do)}
}

// Line is the step as words of a sentence, without the full stop at its end.
func (s Step) Line() string {
	do := strings.TrimSuffix(s.Do, ".")
	app, menus, _ := strings.Cut(s.Menu, " > ")
	switch {
	case s.Menu == "":
		return do
	case s.Menu == CommandLine:
		app = "on the " + app
	default:
		app = "in " + app
	}
	if s.On != "" {
		app += " of " + s.On
	}
	if menus != "" {
		app += ", " + menus
	}
	return app + ": " + do
}

// Names fills the placeholders of a text about a directed peer: {id}, {from} and
// {to} are the peer and its clusters, {fromPub} and {toPub} their publishers,
// {fromDNS} the DNS servers of the one that pulls, {protocol} and {domain} what
// mesh.yaml declares.
func Names(m *mesh.Mesh, id mesh.PeerID) *strings.Replacer {
	fromPub, toPub, dns, protocol := "the publisher of "+string(id.From), "the publisher of "+string(id.To), "none declared", "TCP"
	if c, ok := m.Cluster(id.From); ok {
		fromPub = string(c.Publisher)
		if len(c.DNS) > 0 {
			dns = plain.List(c.DNS)
		}
	}
	if c, ok := m.Cluster(id.To); ok {
		toPub = string(c.Publisher)
	}
	if p, ok := m.Peer(id); ok && p.Protocol == mesh.TLSProto {
		protocol = "TLS"
	}
	return strings.NewReplacer("{id}", id.String(), "{from}", string(id.From), "{to}", string(id.To), "{domain}", m.Domain, "{fromPub}", fromPub, "{toPub}", toPub, "{fromDNS}", dns, "{protocol}", protocol)
}
