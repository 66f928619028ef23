package peer

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
)

// ciscoAlarm is what an alarm of Cisco's means for a cluster, and its cure, both
// by Cisco's alarm catalogue and guides as far as they say.
type ciscoAlarm struct {
	severity Severity
	says     string
	cure     string
	// once says that it is raised once for an event, and not again for as long as
	// that lasts.
	once bool
}

// ciscoAlarms are those of ICSA and its neighbours that are a cluster's, or that
// name a peer and say nothing of its syncs. A name that is not here is kept in the
// log's item and said by nobody.
var ciscoAlarms = map[ciscolog.Alarm]ciscoAlarm{
	ciscolog.HeapSpaceError:         {severity: Critical, says: "ICSA has run out of heap space; none of its peers can sync", cure: "restart Cisco Intercluster Sync Agent there"},
	ciscolog.CertificateMismatch:    {severity: Warning, says: "the fingerprint of a certificate is another than that in the trust store", cure: "compare it with the source server; delete it and load it again"},
	ciscolog.CertificateInvalid:     {severity: Warning, says: "a certificate cannot be validated", cure: "compare it with the source server; delete it and load it again"},
	ciscolog.CertificateCAConflict:  {severity: Warning, says: "two certificates of one CA conflict", cure: "stop Cisco Intercluster Sync Agent on all nodes, delete the conflicting certificate everywhere, load it again, start the agent"},
	ciscolog.EncryptionMultiMaster:  {severity: Warning, says: "two clusters are masters of encrypted message archiving", cure: "leave one master only"},
	ciscolog.AppUserEndUserConflict: {severity: Warning, says: "a local application user has the ID of a user of a peer", cure: "rename the application user"},

	ciscolog.DuplicateUserID:       {severity: Warning, says: "two or more users share one user ID", cure: "`utils users validate all` names them; correct them where they are homed: " + procedure.Menus(procedure.SystemTroubleshooter) + " lists ten"},
	ciscolog.DuplicateDirectoryURI: {severity: Warning, says: "two or more users share one directory URI", cure: "`utils users validate all` names them; correct the directory URI in LDAP or Unified CM"},
	ciscolog.DuplicateURIWarning:   {severity: Warning, says: "two or more users share one directory URI, which is not the IM address here", cure: "`utils users validate all` names them; correct the directory URI in LDAP or Unified CM"},
	ciscolog.InvalidDirectoryURI:   {severity: Warning, says: "users have an empty or invalid directory URI", cure: "`utils users validate all` names them; correct the directory URI in LDAP or Unified CM"},
	ciscolog.InvalidURIWarning:     {severity: Warning, says: "users have an empty or invalid directory URI, which is not the IM address here", cure: "`utils users validate all` names them; correct the directory URI in LDAP or Unified CM"},
	ciscolog.ReplicationFailure:    {severity: Warning, says: "the database does not replicate", cure: "`utils dbreplication runtimestate` on the publisher"},

	ciscolog.SRMFailover: {severity: Warning, once: true, says: "the users of a node failed over to its partner", cure: "`utils ha status` and why; then fall back in " + procedure.Menus(procedure.RedundancyGroups) + ", if automatic fallback is off"},
	ciscolog.SRMFailed:   {severity: Critical, once: true, says: "a redundancy group is in the state Failed: its users have no service", cure: "`utils ha status`, then recover it by hand in " + procedure.Menus(procedure.RedundancyGroups)},

	ciscolog.SyncAgentConnectionFailed: {severity: Warning, says: "the Sync Agent does not reach AXL on Unified CM, so no user change arrives", cure: "see that Cisco AXL Web Service runs on Unified CM's publisher, and its address and account in the Sync Agent's settings"},
	ciscolog.NotInServerList:           {severity: Warning, says: "Unified CM does not list this node", cure: "add it in Unified CM, " + procedure.Menus(procedure.UnifiedCMServers)},

	ciscolog.RouterRequestTimedOut:       {severity: Warning, once: true, says: "a request between routers of two clusters timed out", cure: "see that Cisco XCP Router runs on both sides and TCP 7400 is open between their nodes"},
	ciscolog.RouterPasswordUnencryptable: {severity: Warning, once: true, says: "the password between routers could not be encrypted", cure: "collect the logs of Cisco XCP Config Manager for a TAC case"},
}

// eventFor is how long an alarm that is raised once for an event is told of.
const eventFor = 24 * time.Hour

// ciscoAlarms are the alarms of Cisco's in the cluster's log that still say
// something of now.
func (e *end) ciscoAlarms(now time.Time) []Word {
	if e.log == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(e.log.Cluster), func(w Word) bool {
		a, known := ciscoAlarms[w.Alarm]
		return !known || !e.lasts(w, a, now)
	})
}

// finding is an alarm of Cisco's as a finding: with Cisco's name, what it is about,
// if that is not the cluster itself, and Cisco's cure.
func (w Word) finding(on mesh.NodeName) (severity Severity, why Reason, about, message string) {
	a := ciscoAlarms[w.Alarm]
	why, about = Reason(w.Alarm), cmp.Or(string(w.Peer), w.Of)
	if w.Alarm == ciscolog.HeapSpaceError {
		why = HeapSpaceError
	}
	of := ""
	if about != "" {
		of = " of " + plain.Value(about)
	}
	return a.severity, why, about, fmt.Sprintf("Cisco's own alarm %s%s stands in the log of %s: %s. Cisco's cure: %s", w.Alarm, of, on, a.says, a.cure)
}

// lasts reports whether an alarm still says something of now. One that is raised
// again while its cause lasts is over when no such line came for long enough, and
// none stands after it whose instant cannot be read.
func (e *end) lasts(w Word, a ciscoAlarm, now time.Time) bool {
	switch {
	case w.Dating == ciscolog.Undated:
		return false
	case w.Alarm == ciscolog.HeapSpaceError:
		return w == e.heapError()
	case a.once:
		return now.Sub(e.said(w)) <= eventFor
	}
	again := slices.ContainsFunc(e.log.Cluster, func(o Word) bool { return o.same(w) && o.Dating == ciscolog.Undated })
	return again || !e.silentAfter(w, now)
}
