// Package remedy says what a person does next about a directed peer, for each
// reason that a condition can have. Notices, explain and the page take it from
// here, so that they cannot disagree.
//
// It never decides which condition is in the way, and never says what Peerkeeper
// itself does.
package remedy

import (
	"strings"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// For lists the steps for a condition of a peer; none if there is nothing to do.
// Where a step would begin with the condition's message and that is "", it begins
// with what to do.
func For(m *mesh.Mesh, id mesh.PeerID, c peer.Condition) []procedure.Step {
	names, message := procedure.Names(m, id), strings.NewReplacer("{message}", strings.TrimSuffix(c.Message, "."))
	if c.Message == "" {
		message = strings.NewReplacer(told, "", "{message}", "")
	}
	out := make([]procedure.Step, 0, len(steps[c.Reason]))
	for _, s := range steps[c.Reason] {
		out = append(out, s.Fill(names).Fill(message)) // last: what a cluster wrote is filled in and not looked through
	}
	return out
}

// Steps that several reasons share. {fromPub} pulls from {toPub}.
var (
	checkPeer    = procedure.CheckPeer("{fromPub}", "{toPub}")
	troubleshoot = procedure.Troubleshoot("{fromPub}", "{toPub}")
	forceSync    = procedure.ForceManualSync("{fromPub}", "{toPub}").Then("There is no interface for this button: it is always a person's step.")
	resync       = procedure.ResyncCertificates("{fromPub}", "{toPub}")
	restartICSA  = after("If Last Synchronized Time has not moved after one more interval: ", procedure.RestartService("{fromPub}", peer.ICSA)).Then("All peers of {from} sync again; no user is signed out.")
	readStore    = procedure.RestartService("{fromPub}", peer.ICSA).Then("It reads its trust store when it starts.")
	autoRecovery = procedure.EnableAutoRecovery("{fromPub}")
	resume       = procedure.Step{Do: "Run `peerkeeper resume` for the cluster that refused us: a rejected secret version is not tried again until it changes or a person resumes (Cisco locks an account after repeated failures)."}
)

// routerIfAsked is what an entry that was added may make necessary.
func routerIfAsked(on mesh.NodeName) procedure.Step {
	return procedure.Step{On: string(on), Menu: procedure.NetworkServices, Do: "Only if a notification at the top right asks for it: restart Cisco XCP Router on every node, in a maintenance window. It signs out every user on the node."}
}

// told is how a step begins that says first what is wrong.
const told = "{message}. "

// after is a step that something else comes before; its own words go on in the
// sentence that a colon opens.
func after(what string, s procedure.Step) procedure.Step {
	if strings.HasSuffix(what, ": ") {
		s.Do = strings.ToLower(s.Do[:1]) + s.Do[1:]
	}
	s.Do = what + s.Do
	return s
}

// steps says what to do next for every reason that leaves a condition False or
// Unknown, or makes a peer wait. One table, so that a missing reason shows in
// its test. In the text, {from} pulls from {to}; see procedure.Names. The commands of
// the nodes' command line are of Cisco's CLI reference, not of the chapter.
var steps = map[peer.Reason][]procedure.Step{
	// Why something is not known.
	peer.NotChecked: {
		{Do: "Nothing has judged this yet. Let peersync, certcheck and stucksync each complete once: `peerkeeper run --once NAME` runs one now."},
	},
	peer.Stale: {
		{Do: "The last check is more than two periods old. See in the last runs which function is overdue, and read its log: on one machine that `peerkeeper run` is alive; on AWS the function's log group and its schedule."},
	},
	peer.NotObservable: {checkPeer, troubleshoot},
	peer.NoDialect: {
		{Do: "Run `peerkeeper probe` against {from} and {to}: it reads the database catalogue and proposes the missing query, which then goes into the dialect file that mesh.yaml names."},
		checkPeer,
	},
	peer.CannotConnect: {
		{Do: "From the machine Peerkeeper runs on, open TCP 8443 to the nodes of {from} and {to}. If that fails here but the peers sync, it is the way of Peerkeeper (VPN, route, firewall), not the mesh."},
		checkPeer,
	},
	peer.TimedOut: {
		{Do: "A node took longer than its deadline. A dead primary DNS server makes such stalls (Cisco's client waits 2 minutes and reads Not reachable): check the cluster findings for a silent DNS server first."},
		{On: "{fromPub}", Menu: procedure.FeatureServices, Do: "Choose each node from Server, click Go, and see that Cisco AXL Web Service under Database and Admin Services is Started."},
	},
	peer.AccountRejected: {
		{Do: "Peerkeeper's own read account was refused; this says nothing about the peers. Correct the account on the cluster or put a new version of its secret in place."},
		resume,
	},
	peer.Forbidden: {
		{Do: "A node answers HTTP 403, which does not say why. First candidate: a role is missing. On the cluster's Unified CM the account needs Standard AXL API Access or Standard AXL Read Only API Access, and for services a Serviceability role."},
		{Do: "Second: from 12.5 on a node may refuse a request for a host that it does not trust; the name or address in mesh.yaml must be one by which the cluster knows the node. Third: the account is locked."},
		resume,
	},
	peer.NoCredentials: {
		{Do: "The secret that mesh.yaml names for this cluster is not there, or lacks username or password. Create it under exactly that name."},
	},
	peer.ServerCertificateUntrusted: {
		{Do: "The node serves a certificate that mesh.yaml does not vouch for, so no password was sent. Compare its SHA-256 with the one on the node itself before accepting it."},
		{On: "{toPub}", Menu: procedure.CertificateManagement, Do: "Find tomcat and tomcat-ECDSA and read the fingerprint of the certificate shown."},
		{Do: "If they are equal: `peerkeeper trust accept NODE SHA256`. If not, somebody is in between: stop and find out who."},
	},
	peer.NoCommonCipherSuite: {
		{Menu: procedure.CipherManagement, Do: "{message}. Leave an AES suite (ECDHE or RSA, with GCM or SHA) in All TLS, and restart Cisco Tomcat on the node by `utils service restart Cisco Tomcat`."},
	},
	peer.ClosedInHandshake: {
		{Do: "The node's port takes the connection and closes it in the TLS handshake. Look at what stands in front of it (load balancer, inspecting firewall), then at Cisco Tomcat on the node."},
		checkPeer,
	},
	peer.ConnectionClosed: {
		{On: "{toPub}", Menu: procedure.FeatureServices, Do: "The node takes the request and closes the connection instead of answering: Cisco Tomcat on it, or what stands in front of it, fails. See that its web services are Started."},
	},
	peer.ProtocolTooOld: {
		{On: "{toPub}", Menu: procedure.CommandLine, Do: "{message}. Run `set tls min-version 1.2` on the node, or upgrade it: no password is sent over anything older."},
	},
	peer.ClientCertificateRequired: {
		{Do: "{message}. Peerkeeper has no client certificate: turn the demand off on whatever stands in front of the node, or on the node."},
	},
	peer.CertificateUnparsable: {
		{On: "{toPub}", Menu: procedure.CertificateManagement, Do: "{message}. Have the tomcat certificate issued again; a pin does not help, for nothing of it can be read."},
	},
	peer.ChainTooBig: {
		{On: "{toPub}", Menu: procedure.CertificateManagement, Do: "{message}. Look at the chain that the node serves: it is longer than any lawful one."},
	},
	peer.NotTLS: {
		{Do: "{message}. The address in mesh.yaml must be the node's 8443; a proxy or another service answers there."},
	},
	peer.HandshakeFailed: {
		{Do: "{message}. Read what Cisco Tomcat on the node, or whatever stands in front of it, logs at that minute."},
	},
	peer.ReadByCertcheckOnly: {
		{Do: "Certificates can be read over the port and requests get no answer: something in between lets handshakes through only, or Cisco Tomcat on the node hangs. Ask `peerkeeper probe`, and look at the node's web services."},
	},
	peer.RSAKeyExchangeOnly: {
		{Menu: procedure.CipherManagement, Do: "{message}"},
	},
	peer.NegativeSerialNumber: {
		{Menu: procedure.CertificateManagement, Do: "{message}"},
	},
	peer.ServiceNotActive: {
		{On: "{toPub}", Menu: procedure.FeatureServices, Do: "The web service that answers this is not active. Choose each node of {from} and {to} from Server and click Go; under Database and Admin Services, Cisco AXL Web Service must be Started, else select it and click Restart."},
	},
	peer.Overloaded: {
		{Do: "A node refused because of load (AXL's memory or rate limit, which ICSA itself shares). Peerkeeper asks less by itself; do not start exports or bulk jobs on it until this is gone."},
	},
	peer.QueryRefused: {
		{Do: "The database refused the query: this release names its tables or columns otherwise. Run `peerkeeper probe` and put what it proposes into the dialect file."},
	},
	peer.AXLVersionFound: {
		{Do: "{message}"},
	},
	peer.AXLVersionRefused: {
		{On: "{toPub}", Menu: procedure.FeatureServices, Do: "{message}. See that Cisco AXL Web Service is Started on the node itself, and that the address in mesh.yaml leads there and to no proxy."},
	},
	peer.UnreadableAnswer: {
		{Do: "The answer was not what the interface promises. `peerkeeper evidence {id}` has what is kept of it; a proxy or a login page in between is the usual cause."},
	},
	peer.RowsIncomplete: {
		{Do: "A count moved while it was being read, so it is not used. The next check reads it again."},
	},
	peer.ValueTooLong: {
		{Do: "A node sends more of a field than any lawful cluster does; the beginning is kept and the rest is not judged. Look at that node's database and at what answers at its address: it is damaged, or something stands in its place."},
	},
	peer.Crashed: {
		{Do: "Peerkeeper failed while reading this cluster; the others were not affected. This is a defect of Peerkeeper: keep the log of the run and report it."},
	},
	peer.AwaitingPeerEvidence: {
		{Do: "Wait one sync interval and a period: until then nobody can tell whether the cluster is down or only out of Peerkeeper's sight."},
		{Do: "Meanwhile, from the machine Peerkeeper runs on, open TCP 8443 to the nodes that do not answer."},
	},
	peer.CannotSeeCluster: {
		{Do: "Peerkeeper cannot see the cluster. That is no proof that it is down: check the way there first (VPN, Direct Connect, route, firewall for TCP 8443)."},
		checkPeer,
	},
	peer.NotYetDecided: {
		{Do: "Wait: a sync may still bring the difference. It is decided after two intervals, and the users are named by then."},
	},
	peer.ClockNotReadable: {
		checkPeer,
		{Do: "If the site's database has a column for it, map Last Synchronized Time in the dialect file (`peerkeeper probe` looks for one); until then a sync shows only by a change of users that arrives."},
	},
	peer.LogHasNoSyncLines: {
		checkPeer,
		procedure.LogSyncs("{fromPub}").Then("Peerkeeper then reads each success in the log."),
	},
	peer.ClockBackwards: {
		{On: "{fromPub}", Menu: procedure.CommandLine, Do: "Run `utils ntp status` on the nodes of {from}: the last sync lies in the future of the cluster's own clock, so no age can be told from it."},
		checkPeer,
	},
	peer.NewerSchema: {
		{Do: "A newer Peerkeeper wrote this. Read it with that version; this one neither judges nor acts on it."},
	},

	peer.Contradicted: {
		{Do: "Nothing on the clusters: {from} syncs from {to}. See why Peerkeeper is answered otherwise than the nodes are: other DNS servers than those in mesh.yaml ({fromDNS}), split DNS, or a box on its way that inspects TLS."},
		{On: "{fromPub}", Menu: procedure.CommandLine, Do: "`utils network host NAME` shows how the node itself resolves a name."},
	},

	// Configured and Compatible.
	peer.PeerMissing: {
		{On: "{fromPub}", Menu: procedure.InterClustering, Do: "Click Add New. Peer Address: {toPub}, exactly as Presence Topology on {to} shows it. Enter {to}'s intercluster AXL credentials, Protocol {protocol}, and Save."},
		routerIfAsked("{fromPub}"),
		troubleshoot,
	},
	peer.PeerDuplicate: {
		{On: "{fromPub}", Menu: procedure.InterClustering, Do: "{message}. Delete the entry that names another node than {to}'s database publisher {toPub}, on both sides."},
		troubleshoot,
	},
	peer.PeerMissingOnOtherSide: {
		{On: "{toPub}", Menu: procedure.InterClustering, Do: "Click Add New. Peer Address: {fromPub}, exactly as Presence Topology on {from} shows it. Enter {from}'s intercluster AXL credentials, Protocol {protocol}, and Save. Cisco wants the pair on both sides."},
		routerIfAsked("{toPub}"),
	},
	peer.AddressNotNodeName: {
		{On: "{toPub}", Menu: procedure.PresenceTopology, Do: "Read the node name of the database publisher; mesh.yaml has {toPub}."},
		{On: "{fromPub}", Menu: procedure.InterClustering, Do: "Find and select the entry for {to}; correct Peer Address to that node name, or delete the entry and add it with it. Save."},
	},
	peer.AddressNotPublisher: {
		{On: "{fromPub}", Menu: procedure.InterClustering, Do: "The entry names a node of {to} that is not its database publisher. Select it, set Peer Address to {toPub} and Save; Cisco refuses a second entry for the same cluster (InterclusterSyncAgentPeerDuplicate)."},
	},
	peer.ProtocolDiffers: {
		{On: "{fromPub}", Menu: procedure.InterClustering, Do: "Find and select {toPub}, set Protocol to {protocol} and Save. TCP is Cisco's recommendation and default; where this pair alone is to have another, mesh.yaml says so under peers.except."},
		{On: "{toPub}", Menu: procedure.InterClustering, Do: "Do the same for {fromPub}: both ends must name the same protocol."},
	},
	peer.DomainDiffers: {
		{On: "{fromPub}", Menu: procedure.AdvancedConfiguration, Do: "{message}. Correct the default domain of the cluster that is wrong; services are stopped on every node for it: in a window, with `peerkeeper maintenance` first."},
	},
	peer.AddressSchemeDiffers: {
		{On: "{fromPub}", Menu: procedure.AdvancedConfiguration, Do: "{message}. Compare IM Address Scheme with that of {to} and decide on one for all clusters. To change it, services are stopped on every node of the cluster: in a window, with `peerkeeper maintenance` first."},
	},
	peer.OtherDomains: {
		{Do: "Nothing, if those domains are meant: name them in mesh.yaml (domains). `peerkeeper user ID` shows one of the users."},
	},
	peer.HAState: {
		{Menu: procedure.CommandLine, Do: "`utils ha status` on the publisher tells which node serves whose users; " + procedure.Menus(procedure.RedundancyGroups) + " falls back by hand."},
	},
	peer.UsersFell: {
		{On: "{toPub}", Menu: procedure.PresenceTopology, Do: "{message}. See how many users each node has. If they were moved or unassigned on purpose, `peerkeeper ack` the alarm UsersFell; otherwise look at the licences, LDAP synchronisation and IM and Presence assignment in Unified CM, and at Cisco Sync Agent."},
	},
	peer.DomainConflict: {
		{On: "{fromPub}", Menu: procedure.SystemTroubleshooter, Do: "Compare the domain of {from} with that of {to}: ICSA reports InterClusterSyncAgentDomainConflict and retries every 30 min by itself once they agree on {domain}."},
	},

	// Reachable and Authenticated.
	peer.ClusterDown: {
		{On: "{to}", Do: "Check power, virtual machines and network of {to}. Nothing on {from} needs to be changed or restarted: ICSA retries every 5 min by itself."},
		checkPeer,
	},
	peer.PublisherDown: {
		{On: "{toPub}", Do: "Check the virtual machine and the network of the publisher. ICSA syncs between publishers only, so a subscriber cannot stand in for it."},
		checkPeer,
	},
	peer.PeerDown: {
		{On: "{fromPub}", Menu: procedure.CommandLine, Do: "{message}. `utils network connectivity {toPub} 8443` shows whether the node reaches it: open TCP 8443 from {from} to {to}, and see that Cisco Tomcat runs there. ICSA tries again every 5 min by itself."},
		checkPeer,
	},
	peer.AxlClientTimeout: {
		{On: "{toPub}", Menu: procedure.FeatureServices, Do: "{message}. See that Cisco AXL Web Service under Database and Admin Services is Started, and that no export or bulk job takes all of AXL. ICSA tries again every 5 min by itself."},
		checkPeer,
	},
	peer.PeerCredentialsRejected: {procedure.EnterCredentials("{fromPub}", "{toPub}", "{to}"), checkPeer},

	// ServicesRunning.
	peer.ServiceStopped: {
		{Menu: procedure.NetworkServices, Do: "{message}. Choose that node from Server and click Go; select Cisco Intercluster Sync Agent and click Start, or Cisco Sync Agent or Cisco XCP Router and click Restart, which for XCP Router also brings back the services that depend on it."},
		{Menu: procedure.FeatureServices, Do: "If it is Cisco AXL Web Service: choose the node from Server and click Go, select it under Database and Admin Services and click Restart."},
		checkPeer,
	},

	peer.HeapSpaceError: {procedure.RestartService("{fromPub}", peer.ICSA).Then("All peers of {from} sync again; no user is signed out. Collect before, for a TAC case: `file build log cisco_inter_cluster_sync_agent 1`.")},

	// UsersMatch.
	peer.CatchingUp:   {{Do: "Nothing: the copy is what the home was within the last interval, and the next sync brings the rest."}},
	peer.UsersMissing: {forceSync, troubleshoot, {Do: "`peerkeeper user ID` shows for one of them where it is home and who has a copy; a duplicate user ID or directory URI keeps a user from being copied."}},
	peer.UsersExtra: {
		{Do: "`peerkeeper user ID` shows for one of them where it is home. A user that left {to} or moved to another cluster may be left over on {from}."},
		forceSync, troubleshoot,
	},
	peer.UsersDiffer: {
		{Do: "The counts agree and the users do not: `peerkeeper audit users` names them within the day."},
		forceSync, troubleshoot,
	},

	// Synced.
	peer.Overdue:             {{Do: "Wait: one sync was missed. Below are the instants at which Cisco's own limits are reached."}, checkPeer},
	peer.StuckTwoHours:       {autoRecovery, forceSync, restartICSA, troubleshoot},
	peer.FourPeriodsMissed:   {autoRecovery, forceSync, restartICSA, troubleshoot},
	peer.HomeChangeNotCopied: {checkPeer, forceSync, restartICSA},
	peer.CiscoAlarm:          {autoRecovery, forceSync, restartICSA, troubleshoot},
	peer.NoSuccessLogged:     {checkPeer, forceSync, restartICSA, troubleshoot},

	// CertificateTrusted and NamesResolve.
	certificate.SourcesDiffer: {
		{On: "{toPub}", Do: "Compare `show cert own tomcat` on the node's CLI with what is served to Peerkeeper; an inspecting proxy or a load balancer on the way shows a certificate of its own. Put what is served into no trust store."},
	},
	peer.CertificateExpired: {
		{On: "{toPub}", Menu: procedure.CertificateManagement, Do: "{message}. Renew it: self-signed, Regenerate; signed by a CA, Generate CSR and upload what the CA returns. Then restart Cisco Tomcat on the node by `utils service restart Cisco Tomcat`."},
		resync.Then("Do this on every cluster that pulls from {to}. Certificates marked with an X are copied by hand."),
	},
	peer.CertificateNotUsable: {
		{On: "{toPub}", Menu: procedure.CertificateManagement, Do: "{message}. Look at that certificate's names (SAN), dates and issuer; correct and reissue it."},
		resync,
	},
	peer.CertificateRefused: {
		{On: "{fromPub}", Menu: procedure.CertificateManagement, Do: "{message}. Compare the certificate of {toPub} in tomcat-trust with what the node itself serves; if they differ, delete that one and load the right one."},
		resync,
		readStore,
	},
	peer.TrustNotRead: {
		procedure.CheckCertificates("{fromPub}", "{toPub}"),
		after("Otherwise: ", resync),
	},
	peer.NotInTrustStore: {
		after(told, resync),
		{On: "{fromPub}", Menu: procedure.CertificateManagement, Do: "If it does not: upload the file that `peerkeeper check certs --peer {id}` names, with Certificate Purpose tomcat-trust. Of a CA-signed certificate upload its CA certificates, never the leaf."},
		readStore,
	},
	peer.StaleCopyInTrustStore: {
		after(told, resync),
		{On: "{fromPub}", Menu: procedure.CertificateManagement, Do: "If it does not: upload the file that `peerkeeper check certs --peer {id}` names. The old copy may be deleted once the new one is there; Peerkeeper deletes nothing."},
		readStore,
	},
	peer.TrustNotReloaded: {
		{Do: "{message}. The next sync shows whether it has; it is tried every 5 min. After an interval without success Peerkeeper asks to restart the agent, with your approval."},
		after("Or do it yourself: ", procedure.RestartService("{fromPub}", peer.ICSA)),
		procedure.CheckCertificates("{fromPub}", "{toPub}"),
	},
	peer.NextSyncDecides: {
		{Do: "{message}. Wait one sync interval."},
		after("Or now: ", resync),
	},
	peer.ExchangePending: {
		{Do: "Wait: {message}. It may take one sync interval, and up to 60 minutes more until every node has it."},
	},
	peer.CertificateNotRead: {
		{Do: "No certificate of {to} has been read yet, or not from every node: see why in the findings of {to}. certcheck looks every 6 h, and every 15 min where something is being mended; `peerkeeper run --once certcheck` looks now."},
	},
	peer.NameNotResolving: {
		{Do: "{message}. Add the missing record, A or AAAA and PTR, in the DNS of {from} ({fromDNS}). ICSA resolves every name in the certificate of {to} and does not connect if one fails."},
		{Do: "If the name should no longer be in the certificate: reissue the certificate of {to} without it."},
		{On: "{fromPub}", Menu: procedure.CommandLine, Do: "`utils network host NAME` shows how the node itself resolves it."},
	},
	certificate.PeerkeeperGoesBlind: {
		{Do: "A root in tls.ca ends. Get the CA's new root certificate and add it to that file; the present one stays until it has ended. `peerkeeper check certs` names it."},
	},
	certificate.CAUnreadable: {
		{Do: "A certificate in the file that tls.ca names cannot be read. Export that CA's certificate again, as PEM, and put it in its place; `peerkeeper check certs` names the line."},
	},
	certificate.EmptyStoreEntries: {
		{Do: "A trust store lists entries in which no certificate is. Nothing is lost by them; they may be deleted on the certificate page of the node."},
	},
	certificate.NotAHostName: {
		{Do: "{message}. Have the tomcat certificate of {to} made again with its alternative names typed without blanks, mail addresses or URLs; ICSA resolves every one of them."},
	},
	peer.NamesNotChecked: {
		{Do: "{message}. Nothing is wrong as far as it is looked at; a sync that succeeds shows the rest. A certificate with so many names is not Cisco's own doing: ask who made it."},
	},
	peer.NoDNSDeclared: {
		{Do: "Name the DNS servers of {from} in mesh.yaml (dns: [ip:port], first = primary). Answers of any other resolver would say nothing about what ICSA sees."},
	},
	peer.AllServersSilent: {
		{Do: "None of {from}'s DNS servers ({fromDNS}) tells Peerkeeper about every name: {message}. Check that UDP and TCP 53 are open from here, then the servers themselves."},
		{On: "{fromPub}", Menu: procedure.CommandLine, Do: "`utils diagnose test` and `utils network host {toPub}` show whether the node can still resolve."},
	},
}
