package clustersim

// EVERYTHING IN THIS FILE IS INVENTED. Cisco documents none of it, and a real
// cluster is certain to differ in at least some of it. What other files hold is
// evidenced in public material or marked there.
//
// Invented here:
//   - the peer table's columns (only its name has been seen, as a label);
//   - the internal names of service parameters;
//   - that the nodes of the other clusters are listed in enterprisenode, and that
//     copied users are enduser rows with tkuserprofile 100, tkassignmentstate 1,
//     enablecups 'f' and the home node's id as primarynodeid (inferred from one
//     row in a TAC document);
//   - the pkid of a copy, the error numbers of SQL refusals in AXL, the texts of
//     lasterror, dwell times of services, which node uses which form of fault;
//   - that eight of ten users at home have a client connected, and come back evenly
//     between the first and the last; that a stop of SIP Proxy or of Server Recovery
//     Manager signs them out and lets them sign in at once; that a node fails over and
//     falls back in one step; that a service which is not activated has no object in
//     PerfMon;
//   - that all parameters but the interval take effect at once;
//   - how long the first full sync of a new entry takes, that its copies come in
//     portions, and that the nodes of a new peer are listed when it begins; that an entry
//     made before Cisco Sync Agent has completed its sync at both ends tries again as
//     after any failure, and shows it in lasterror;
//   - that an entry without a password, made by SQL, logs in; that a changed user name is
//     refused as a changed password is;
//   - the reason code of a service that crashed; that the certificate of something
//     between Peerkeeper and a node is self-signed, and stands on both its ports;
//   - size and number of a node's logs, how often other services write to it, the texts of alarms but that of a success,
//     form and zone of lastSynchronizedTime, which alarm belongs to which cause of
//     a failed sync, that ICSA repeats the alarm of syncs that have stopped every
//     interval, and that every AXL tells the level of ICSA's alarms;
//   - that ICSA resolves no name of a certificate which is a domain above another
//     one, a wildcard or empty;
//   - how certificates reach a peer's tomcat-trust, and of the certificate
//     management interface all that is below under "Certificates": who may hand
//     a new certificate over, what ICSA has read and when, the delay of
//     replication, texts and status codes, which node answers in which form.

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

const peerTable = `
CREATE TABLE cupsinterclusterpeers (pkid CHAR(36), peeraddress VARCHAR(255), axlusername VARCHAR(128), protocol VARCHAR(8),
	lastsynctime VARCHAR(32), associatedusers INTEGER, lasterror VARCHAR(255));
`

// peerTimeLayout is how lastsynctime is written, always UTC.
const peerTimeLayout = "2006-01-02 15:04:05"

// Names of the service parameters that the simulator acts on.
const (
	paramSyncInterval    = "ICSAPeriodicSyncInterval"
	paramAutoRecovery    = "ICSAEnableAutoRecovery"
	paramCertificateSync = "ICSAPeriodicCertificateSync"
	// Told only where a scenario has set a scheme; where Cisco keeps it is not public.
	paramAddressScheme = "IMAddressScheme"
	paramDefaultDomain = "IMDefaultDomain"

	paramProxyProcesses      = "SIPProxyMaxProcesses"
	paramProxySpare          = "SIPProxyMaxSpareProcesses"
	paramProxyLeastProcesses = "SIPProxyMinSpareProcesses"
)

// parameter is one service parameter with its default. valueType is a value of
// AXL's XParam.
type parameter struct {
	service, name, initial, valueType string
}

var parameters = []parameter{
	{serviceICSA, paramSyncInterval, "30", "long"},
	{serviceICSA, paramAutoRecovery, "t", "boolean"},
	{serviceICSA, paramCertificateSync, "t", "boolean"},
	{serviceSIPProxy, paramProxyProcesses, "20", "long"},
	{serviceSIPProxy, paramProxySpare, "20", "long"},
	{serviceSIPProxy, paramProxyLeastProcesses, "20", "long"},
	{"Cisco ReplicationWatcher", "UserCheckInterval", "30", "long"},
}

// profileCopy is the tkuserprofile of copies; that of home users is 1.
const profileCopy = 100

// Ids of IM&P nodes are unique in the mesh, and those of another cluster are far
// from one's own: in the one row that Cisco shows, a copy's primarynodeid is 2802.
const (
	firstNodeID  = 2
	nodeIDsApart = 1400
)

// copyColumns says how a copy is made of the home row u of another cluster. The
// pkid is turned around so that nobody takes it for the home row's own: real
// clusters do not promise that they agree. A copy's mailid is empty, as in that row.
const copyColumns = `INSERT INTO enduser (pkid, userid, xcp_user_id, imaddress, directoryuri, mailid, status, tkuserprofile, tkassignmentstate, primarynodeid, enablecups)
	SELECT SUBSTR(pkid, 29, 8) || SUBSTR(pkid, 9, 20) || SUBSTR(pkid, 1, 8), userid, xcp_user_id, imaddress, directoryuri, '', 1, 100, 1, primarynodeid, 'f'`

// What lasterror says. The words before the colon are stable.
func lastErrorUnreachable(address, why string) string {
	return fmt.Sprintf("NotReachable: %s: %s", address, why)
}
func lastErrorCredentials(address string) string {
	return fmt.Sprintf("AuthenticationFailed: HTTP 401 from %s: AXL user name or password of this peer rejected", address)
}
func lastErrorService(address, service string) string {
	return fmt.Sprintf("ServiceNotRunning: %s on %s", service, address)
}
func lastErrorName(name string) string {
	return fmt.Sprintf("NameNotResolved: %s, listed in the peer's tomcat certificate", name)
}

// Stricter than Cisco's sentences: that two address schemes end the user sync
// itself is invented; Cisco says that all clusters must use one.
func lastErrorScheme(address, theirs, ours string) string {
	return fmt.Sprintf("DomainConflict: %s: IM address scheme %s, here %s", address, theirs, ours)
}

// Cisco says of it: displays as Failed.
func lastErrorSyncAgent(publisher string) string {
	return fmt.Sprintf("Failed: Cisco Sync Agent on %s has not completed the sync of users from Unified CM", publisher)
}
func lastErrorExpired(address string, at time.Time) string {
	return fmt.Sprintf("CertificateExpired: %s: not valid after %s", address, at.UTC().Format(time.RFC3339))
}
func lastErrorUntrusted(address, print string) string {
	return fmt.Sprintf("CertificateNotTrusted: %s: %s", address, print)
}

// Dwell times of a service between two resting states, of the simulated clock.
const (
	dwellStop   = 4 * time.Second
	dwellStart  = 12 * time.Second
	dwellRouter = 30 * time.Second
	dwellTomcat = 60 * time.Second
	// After ICSA has started, its peers sync one after the other.
	firstSyncAfter   = 3 * time.Second
	firstSyncStagger = 2 * time.Second
	// The first full sync of a new entry: per user, in so many portions.
	firstFullPerUser  = 20 * time.Millisecond
	firstFullPortions = 8
	// A backup is from this long ago: less than either stuck clock at the shortest
	// interval, so that restoring it alone does not make a peer stuck.
	backupAge = 45 * time.Minute
)

// firstFullOf is how long the first full sync of so many users takes: a whole number
// of seconds for each portion.
func firstFullOf(users int) time.Duration {
	portion := time.Duration(users) * firstFullPerUser / firstFullPortions
	return firstFullPortions * (portion + time.Second - 1).Truncate(time.Second)
}

// Certificates. Invented, each for want of a document:
//
//   - ICSA goes by what its publisher's tomcat-trust held when ICSA started, and
//     by what it has put there itself since. Cisco only says to restart ICSA
//     after an upload; that it needs no restart for what it learned itself is our
//     reading of "synchronises certificates".
//   - A periodic sync carries the tomcat certificates of all nodes of the peer
//     over, if certificate sync is on. A certificate that is new to it is taken
//     only from a peer that mayHandOver it. The button's force sync takes it
//     without asking, which is what the button is for.
//   - What a scenario removed from tomcat-trust does not come back by a periodic
//     sync, but by the button, by an upload or by the scenario.
//   - Trust stores of CUCM are its own, and the IM&P nodes of a cluster share
//     theirs with a delay: 20 minutes, where Cisco speaks of 15 to 30. A removal
//     is at once everywhere. A node that is down gets its copies when it is back.
//   - With TLS in a peer entry the cup and cup-xmpp certificates are carried over
//     as well, into cup-trust and cup-xmpp-trust; ICSA does not check these.
//   - cup and cup-xmpp are self-signed for five years; there is a tomcat-ECDSA
//     only where a scenario issues one; the CN of a multi-server certificate is
//     the named node's host with -ms, CUCM serves the same one, and it may be
//     self-signed.
//   - A publisher answers a trust store as an object, a subscriber as a bare
//     list, CUCM as an object with one text of many certificates. A publisher
//     takes an upload with 201 and messages, a subscriber with 200 and message,
//     CUCM with 200 and no body. Errors: publisher and CUCM message, subscriber
//     messages. A read-only account gets 403, a release before 14 the web server's
//     404, a service without a certificate 404 with a message. Uploads are all or
//     nothing. Names of files, tracking ids and the members of options are made up.
//   - ICSA's clean-up of stale certificates every 30 minutes is not modelled:
//     which it takes is not documented.

// mayHandOver tells whether a peer's new certificate may come by the periodic
// certificate sync. The new leaf vouches for itself no more than any other
// would; what vouches is the session that was good at the last sync, over the
// old one. A peer whose last sync failed has no such session.
func (c *cluster) mayHandOver(p *peer, cert *tls.Certificate) bool {
	return c.agent.certificateSync && p.lastError == "" && c.distrusted[fingerprint(cert.Leaf)] == nil
}

const defaultReplication = 20 * time.Minute

// trustFile is the name of a certificate in a store.
func trustFile(cert *x509.Certificate) string {
	return fmt.Sprintf("%s_%x.pem", cert.Subject.CommonName, cert.SerialNumber)
}

// dialectYAML tells Peerkeeper what the simulator invented.
const dialectYAML = `# Written by ` + "`peerkeeper sim`" + `: what the simulator invented. Cisco documents none of it.
queries:
  peers:
    evidence: simulator
    # last_error must be one of the words that Peerkeeper knows: credentials,
    # unreachable, certificate, names, domain, other, or '' for no error.
    sql: "SELECT peeraddress AS address, protocol AS protocol, lastsynctime AS last_sync, associatedusers AS users, CASE WHEN lasterror IS NULL OR lasterror = '' THEN '' WHEN lasterror LIKE 'AuthenticationFailed%' THEN 'credentials' WHEN lasterror LIKE 'NotReachable%' THEN 'unreachable' WHEN lasterror LIKE 'Certificate%' THEN 'certificate' WHEN lasterror LIKE 'NameNotResolved%' THEN 'names' WHEN lasterror LIKE 'DomainConflict%' THEN 'domain' ELSE 'other' END AS last_error FROM cupsinterclusterpeers"
parameters:
  sync_interval: [` + paramSyncInterval + `]
  auto_recovery: [` + paramAutoRecovery + `]
  certificate_sync: [` + paramCertificateSync + `]
  address_scheme: [` + paramAddressScheme + `]
  default_domain: [` + paramDefaultDomain + `]
  sip_proxy_processes: [` + paramProxyProcesses + `]
  sip_proxy_spare_processes: [` + paramProxySpare + `]
  sip_proxy_least_spare_processes: [` + paramProxyLeastProcesses + `]
`
