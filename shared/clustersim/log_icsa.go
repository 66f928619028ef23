package clustersim

import (
	"slices"
	"strings"
	"time"
)

// alarmCatalogue are ICSA's alarms and those of its neighbours with their severities,
// as Cisco's alarm catalogue has them, and which of its parameters name the peer.
// The texts are invented but for that of a success.
var alarmCatalogue = []struct {
	facility, name string
	severity       int
	peer           string
	app, text      string
}{
	{"UC_ICSA", "InterclusterSyncAgentPeerDuplicate", 2, "hostname", serviceICSA, "The new peer is a node of a known peer."},
	{"UC_ICSA", "ICSACertificateFingerPrintMisMatch", 2, "", serviceICSA, "Fingerprints of certificates differ."},
	{"UC_ICSA", "ICSACertificateValidationFailure", 2, "", serviceICSA, "Certificate could not be validated."},
	{"UC_ICSA", "ICSACertificateCAConflict", 4, "", serviceICSA, "Certificates of a CA conflict."},
	{"UC_ICSA", "InterClusterSyncAgentPeerSyncFailure", 2, "remotePeerAddress", serviceICSA, "The host name of the peer cannot be read."},
	{"UC_ICSA", "InterClusterSyncAgentDomainConflict", 2, "remotePeerAddress", serviceICSA, "The proxy domains do not match."},
	{"UC_ICSA", "InterClusterSyncAgentSyncFailure", 2, "remotePeerAddress", serviceICSA, "The sync ended in an exception."},
	{"UC_ICSA", "InterClusterSyncAgentAxlClientTimeout", 6, "remotePeerAddress", serviceICSA, "AXL of the peer did not answer in time."},
	{"UC_ICSA", "InterClusterSyncAgentHeapSpaceError", 2, "", serviceICSA, "Out of heap space."},
	{"UC_ICSA", "InterClusterSyncAgentStatus", 6, "remotePeerAddress", serviceICSA, "Periodic sync completed successfully"},
	{"UC_ICSA", "InterClusterSyncAgentControllerStatus", 6, "remotePeerAddress", serviceICSA, "Peer sync controller created."},
	{"UC_ICSA", "InterClusterSyncAgentPeerPeriodicSyncingFailure", 2, "remotePeerAddress", serviceICSA, "Periodic syncing with the peer has stopped."},
	{"UC_ICSA", "InterclusterSyncAgentPeerDown", 2, "remotePeer", serviceICSA, "The peer cannot be reached via ping on TCP port 8443."},
	{"UC_ICSA", "MAencryptionMultiMaster", 2, "remotePeerAddress", serviceICSA, "Two masters for encrypted message archiving."},
	{"UC_ICSA", "InterClusterSyncAgentAppUserEndUserConflict", 3, "remotePeerAddress", serviceICSA, "An application user has the ID of a user."},
	{"UC_ReplWatcher", "DuplicateUserid", 1, "", "Cisco IM and Presence Data Monitor", "Cisco IM and Presence Data Monitor has detected that two or more users on the system share the same UserID value."},
	{"UC_ReplWatcher", "DuplicateDirectoryURI", 1, "", "Cisco IM and Presence Data Monitor", "Two or more users share the same directory URI."},
	{"UC_ReplWatcher", "DuplicateDirectoryURIWarning", 4, "", "Cisco IM and Presence Data Monitor", "Two or more users share the same directory URI."},
	{"UC_ReplWatcher", "InvalidDirectoryURI", 1, "", "Cisco IM and Presence Data Monitor", "One or more users have an invalid directory URI."},
	{"UC_ReplWatcher", "InvalidDirectoryURIWarning", 4, "", "Cisco IM and Presence Data Monitor", "One or more users have an invalid directory URI."},
	{"UC_ReplWatcher", "ReplicationFailure", 4, "", "Cisco IM and Presence Data Monitor", "Replication has failed."},
	{"UC_SRM", "SRMFailover", 2, "", serviceSRM, "Users fail over."},
	{"UC_SRM", "SRMFailed", 2, "", serviceSRM, "The service is in the state failed."},
	{"UC_SA", "SyncAgentAXLConnectionFailed", 2, "", "Cisco Sync Agent", "The AXL connection failed."},
	{"UC_SA", "NotInCucmServerListError", 2, "", "Cisco Sync Agent", "This node is not in the list of servers."},
	{"UC_XcpCM", "XCPConfigMgrR2RRequestTimedOut", 2, "", "Cisco XCP Config Manager", "A request timed out."},
}

// alarmNamed finds an alarm by name, without regard to case.
func alarmNamed(name string) (alarmLine, string, bool) {
	for _, a := range alarmCatalogue {
		if strings.EqualFold(a.name, name) {
			return alarmLine{facility: a.facility, severity: a.severity, name: a.name, app: a.app, text: a.text}, a.peer, true
		}
	}
	return alarmLine{}, "", false
}

// icsaSays logs an alarm about a peer on the publisher that pulls; remote may be
// nil, and address then names it.
func (s *Sim) icsaSays(c *cluster, name string, p *peer, remote *cluster, now time.Time) {
	l, parameter, ok := alarmNamed(name)
	if !ok {
		return
	}
	switch {
	case parameter != "" && p != nil:
		l.tags = append(l.tags, [2]string{parameter, p.address})
	case parameter != "" && remote != nil:
		l.tags = append(l.tags, [2]string{parameter, remote.publisher().name})
	}
	switch l.name {
	case "InterClusterSyncAgentPeerPeriodicSyncingFailure":
		last := "never"
		if p != nil && !p.last.IsZero() {
			// Form and zone are not documented: as Java prints a date, in the node's zone.
			last = p.last.In(c.timeZone).Format("Mon Jan 02 15:04:05 MST 2006")
		}
		l.tags = append(l.tags, [2]string{"lastSynchronizedTime", last})
	case "InterclusterSyncAgentPeerDuplicate":
		if remote != nil {
			l.tags = append(l.tags, [2]string{"existingPeer", remote.publisher().name})
		}
	case "ICSACertificateFingerPrintMisMatch", "ICSACertificateValidationFailure", "ICSACertificateCAConflict":
		subject, issuer := "", ""
		if remote != nil {
			leaf := remote.publisher().rsa.Leaf
			subject, issuer = leaf.Subject.CommonName, leaf.Issuer.CommonName
		}
		l.tags = append(l.tags, [2]string{"SubjectCN", subject}, [2]string{"IssuerCN", issuer})
		if l.name == "ICSACertificateValidationFailure" {
			l.tags = append(l.tags, [2]string{"ErrorCode", "20"})
		}
	}
	s.logAlarm(c.publisher(), l, now)
}

// logFirstSyncs writes what ICSA said of the syncs that a mesh begins with.
func (s *Sim) logFirstSyncs(c *cluster) {
	peers := slices.Clone(c.peers)
	slices.SortStableFunc(peers, func(a, b *peer) int { return a.last.Compare(b.last) })
	for _, p := range peers {
		s.logSync(p, s.cluster(p.id), "", p.last)
	}
}

// logSync is what ICSA says of a sync; why is "" for a success, else in the
// words of lasterror. Which alarm belongs to which obstacle is read from the
// catalogue's explanations, and for a refused password invented.
func (s *Sim) logSync(p *peer, remote *cluster, why string, now time.Time) {
	kind, _, _ := strings.Cut(why, ":")
	name := "InterClusterSyncAgentSyncFailure"
	switch {
	case why == "":
		name = "InterClusterSyncAgentStatus"
	case kind == "NotReachable" && strings.Contains(why, "8443"):
		name = "InterclusterSyncAgentPeerDown"
	case kind == "NotReachable":
		name = "InterClusterSyncAgentPeerSyncFailure"
	case kind == "CertificateExpired", kind == "CertificateNotTrusted":
		name = "ICSACertificateValidationFailure"
	case kind == "DomainConflict":
		name = "InterClusterSyncAgentDomainConflict"
	case kind == "ServiceNotRunning":
		name = "InterClusterSyncAgentAxlClientTimeout"
	}
	s.icsaSays(p.cluster, name, p, remote, now)
}

// overdue is when ICSA next says that the periodic sync of a peer has failed: by
// the same two clocks as its recovery, and again every interval while it lasts.
// Whether it says so where recovery is off is not documented; it is an alarm
// about syncs, so it does here.
func (c *cluster) overdue(p *peer) time.Time {
	if p.mode == ModeHung {
		return time.Time{}
	}
	from := p.moved(c.publisher().service(serviceICSA))
	first := from.Add(p.interval + stuckAfter)
	if p.lastError != "" && c.publisher().release.atLeast(sinceSyncInterval) {
		first = earlier(first, from.Add(failedPeriods*p.interval))
	}
	if p.alarmed.After(from) {
		if again := p.alarmed.Add(p.interval); again.After(first) {
			return again
		}
	}
	return first
}

func (s *Sim) sayOverdue(p *peer, now time.Time) {
	p.alarmed = now
	s.icsaSays(p.cluster, "InterClusterSyncAgentPeerPeriodicSyncingFailure", p, s.cluster(p.id), now)
}
