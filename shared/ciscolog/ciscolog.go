// Package ciscolog reads what Cisco's own services say about syncs: the alarms in a node's CiscoSyslog file, and the same lines as a node
// pushes them over syslog. There is one parser for both, because the same alarm reaches us in sixteen forms by releases, facilities and relays.
//
// It owns the form of a line and the meaning of an alarm's name. It never judges a peer, and never guesses an instant: what is not said in a
// zone that is known reads as unknown. Severity is that of the alarm's own tag; the <PRI> in front of a pushed line tells another one [T].
//
// Failure promise: no input makes it fail or grow. What is not an alarm of a facility that concerns peers is passed over, a line that is too
// long is counted, and bytes that are no UTF-8 are replaced.
//
// Marks in comments: [V] Cisco's own page or sample, [T] seen by others, [I] inferred.
package ciscolog

import (
	"iter"
	"strings"
	"time"
)

// Alarm is the name of an alarm as Cisco's catalogue spells it, and for a name that is not in it as the line does.
type Alarm string

// The alarms that are known by name.
const (
	PeerDuplicate               Alarm = "InterclusterSyncAgentPeerDuplicate"
	CertificateMismatch         Alarm = "ICSACertificateFingerPrintMisMatch"
	CertificateInvalid          Alarm = "ICSACertificateValidationFailure"
	CertificateCAConflict       Alarm = "ICSACertificateCAConflict"
	PeerSyncFailure             Alarm = "InterClusterSyncAgentPeerSyncFailure" // the peer's host name or address cannot be read
	DomainConflict              Alarm = "InterClusterSyncAgentDomainConflict"
	SyncFailure                 Alarm = "InterClusterSyncAgentSyncFailure" // an exception
	AXLClientTimeout            Alarm = "InterClusterSyncAgentAxlClientTimeout"
	HeapSpaceError              Alarm = "InterClusterSyncAgentHeapSpaceError"             // names no peer
	Status                      Alarm = "InterClusterSyncAgentStatus"                     // "Periodic sync completed successfully"
	ControllerStatus            Alarm = "InterClusterSyncAgentControllerStatus"           // the peer's controller was created
	PeriodicSyncingFailure      Alarm = "InterClusterSyncAgentPeerPeriodicSyncingFailure" // Cisco's word for stuck
	PeerDown                    Alarm = "InterclusterSyncAgentPeerDown"                   // no answer "via ping on TCP port 8443"
	EncryptionMultiMaster       Alarm = "MAencryptionMultiMaster"
	AppUserEndUserConflict      Alarm = "InterClusterSyncAgentAppUserEndUserConflict"  // since 14
	FailedToCleanUpPeer         Alarm = "InterclusterSyncAgentFailedToCleanUpPeer"     // only in RTMT's list of 9.1
	FailedToSendCN              Alarm = "InterclusterSyncAgentFailedToSendCN"          // only in RTMT's list of 9.1
	PeerSyncFailed              Alarm = "InterclusterSyncAgentPeerSyncFailed"          // only in RTMT's list of 9.1
	AXLConnectionFailed         Alarm = "InterclusterSyncAgentAXLConnectionFailed"     // only in RTMT's list
	CASignedTrustCertFound      Alarm = "ICSACertificateCASignedTrustCertFound"        // only in RTMT's list
	periodicSyncFailureOf12_5   Alarm = "InterClusterSyncAgentPeerPeriodicSyncFailure" // release notes of 12.5(1), for PeriodicSyncingFailure
	SyncAgentConnectionFailed   Alarm = "SyncAgentAXLConnectionFailed"
	NotInServerList             Alarm = "NotInCucmServerListError"
	SRMFailover                 Alarm = "SRMFailover"
	SRMFailed                   Alarm = "SRMFailed"
	DuplicateUserID             Alarm = "DuplicateUserid"
	DuplicateDirectoryURI       Alarm = "DuplicateDirectoryURI"
	DuplicateURIWarning         Alarm = "DuplicateDirectoryURIWarning"
	InvalidDirectoryURI         Alarm = "InvalidDirectoryURI"
	InvalidURIWarning           Alarm = "InvalidDirectoryURIWarning"
	ReplicationFailure          Alarm = "ReplicationFailure"
	RouterRequestTimedOut       Alarm = "XCPConfigMgrR2RRequestTimedOut"
	RouterPasswordUnencryptable Alarm = "R2RPasswordEncryptionFailed"
)

// catalogue has who raises an alarm, and its severity [V: alarm catalogue 15; lines of ICSA itself have not been published].
var catalogue = map[Alarm]struct {
	facility Facility
	severity int
}{
	PeerDuplicate:               {ICSA, 2},
	CertificateMismatch:         {ICSA, 2},
	CertificateInvalid:          {ICSA, 2},
	CertificateCAConflict:       {ICSA, 4},
	PeerSyncFailure:             {ICSA, 2},
	DomainConflict:              {ICSA, 2},
	SyncFailure:                 {ICSA, 2},
	AXLClientTimeout:            {ICSA, 6},
	HeapSpaceError:              {ICSA, 2},
	Status:                      {ICSA, 6},
	ControllerStatus:            {ICSA, 6},
	PeriodicSyncingFailure:      {ICSA, 2},
	PeerDown:                    {ICSA, 2},
	EncryptionMultiMaster:       {ICSA, 2},
	AppUserEndUserConflict:      {ICSA, 3},
	FailedToCleanUpPeer:         {ICSA, undocumented},
	FailedToSendCN:              {ICSA, undocumented},
	PeerSyncFailed:              {ICSA, undocumented},
	AXLConnectionFailed:         {ICSA, undocumented},
	CASignedTrustCertFound:      {ICSA, undocumented},
	SyncAgentConnectionFailed:   {SyncAgent, 2},
	NotInServerList:             {SyncAgent, 2},
	SRMFailover:                 {Recovery, 2},
	SRMFailed:                   {Recovery, 2},
	DuplicateUserID:             {DataMonitor, 1},
	DuplicateDirectoryURI:       {DataMonitor, 1},
	DuplicateURIWarning:         {DataMonitor, 4},
	InvalidDirectoryURI:         {DataMonitor, 1},
	InvalidURIWarning:           {DataMonitor, 4},
	ReplicationFailure:          {DataMonitor, 4},
	RouterRequestTimedOut:       {RouterSetup, 2},
	RouterPasswordUnencryptable: {RouterSetup, 2},
}

// undocumented is the severity of what stands only in RTMT's list of alerts.
const undocumented = -1

// named is the catalogue's spelling of name, and name itself where the catalogue has none.
func named(name string) Alarm {
	if strings.EqualFold(name, string(periodicSyncFailureOf12_5)) {
		return PeriodicSyncingFailure
	}
	for a := range catalogue {
		if strings.EqualFold(name, string(a)) {
			return a
		}
	}
	return Alarm(name)
}

// Facility is who raised an alarm, in Cisco's spelling where it is one of these. Scan hands over these only.
type Facility string

// The facilities that tell of peers, or of what peers need.
const (
	ICSA        Facility = "UC_ICSA"        // Cisco Intercluster Sync Agent
	DataMonitor Facility = "UC_ReplWatcher" // Cisco IM and Presence Data Monitor
	Recovery    Facility = "UC_SRM"         // Cisco Server Recovery Manager
	SyncAgent   Facility = "UC_SA"          // Cisco Sync Agent
	RouterSetup Facility = "UC_XcpCM"       // Cisco XCP Config Manager
)

var facilities = [...]Facility{ICSA, DataMonitor, Recovery, SyncAgent, RouterSetup}

// Dating is how an event's instant is known.
type Dating string

// What may be said of an instant.
const (
	Undated   Dating = ""         // none was readable, its zone is not one we know, or the missing year could be two
	Dated     Dating = "said"     // the line says all of it
	YearAdded Dating = "inferred" // the line has no year: the one that puts it nearest to, and not after, the reference
)

// Outcome is what an event says about one sync.
type Outcome string

// The outcomes.
const (
	Neither   Outcome = ""          // it is about something else, or a line that was cut does not say
	Succeeded Outcome = "succeeded" // a sync completed
	Failed    Outcome = "failed"    // a sync did not, for whatever cause
)

// Event is one alarm. Its strings are valid UTF-8 and bounded by the length of a line; they hold names of hosts and users.
type Event struct {
	Facility Facility
	Severity int // 0 emergency to 7 debug, of the alarm's own tag
	Alarm    Alarm
	At       time.Time // UTC by the node's clock; zero where Dating is Undated
	Dating   Dating
	Seq      string // the node's running number of the line, "" if it has none; falls back to 0 at a restart
	Host     string // of the header: the node that wrote the line, or the relay's idea of it; "" if there is none

	App, Cluster, Node string // the tags AppID, ClusterID, NodeID

	Peer     string // remotePeerAddress, remotePeer, or hostname of a duplicate: a host's or a cluster's name or an address
	Existing string // existingPeer, of PeerDuplicate
	// LastSynced is lastSynchronizedTime where its form tells one instant (a zone, or seconds since 1970) that is not after At; else it is
	// zero, and LastSyncedText has what the line says. Cisco documents neither form nor zone.
	LastSynced     time.Time
	LastSyncedText string
	Subject        string // SubjectCN, of the certificate alarms
	Issuer         string // IssuerCN
	ErrorCode      string
	User           string // conflictingUserID
	Part           string // "16.1/3": one of several pieces of one message; "" if it is whole

	// Text is the sentence at the end, "" if the line was cut before it.
	Text string
	// Raw is the whole line; see Anonymous before it is shown to anybody.
	Raw string
	// Rest is everything after the alarm's name, tags and sentence: a peer may be named anywhere in it. See Names.
	Rest string
	// Cut tells that the line ended inside its tags.
	Cut bool
	// Line is a hash of the line as it was read, the same in every read of the file: a cursor finds its place by it.
	Line uint64
}

// Outcome tells what the event says about a sync of its peer. The name of the success line alone does not make it one: Cisco speaks of a
// "failed sync status" too [I], so its words count.
func (e Event) Outcome() Outcome {
	if e.Facility != ICSA {
		return Neither
	}
	switch e.Alarm {
	case Status:
		return e.status()
	case PeerSyncFailure, DomainConflict, SyncFailure, AXLClientTimeout, HeapSpaceError, PeriodicSyncingFailure, PeerDown, CertificateMismatch,
		CertificateInvalid, PeerSyncFailed, AXLConnectionFailed:
		return Failed
	}
	return Neither
}

// unwell are words of a status that is not a success.
var unwell = [...]string{"fail", "error", "exception", "unsuccess", "not ", "could n", "cannot", "unable", "timeout", "timed out", "abort", "incomplete", "partial", "reject", "refuse", "denied"}

func (e Event) status() Outcome {
	words := strings.ToLower(e.words())
	bad := false
	for _, w := range unwell {
		bad = bad || strings.Contains(words, w)
	}
	good := strings.Contains(strings.ReplaceAll(words, "unsuccess", ""), "success")
	switch {
	case good && bad:
		return Neither // it contradicts itself
	case bad:
		return Failed
	case good:
		return Succeeded
	case e.Cut || e.Part != "":
		return Neither // what would tell may stand in the part that is missing
	}
	return Succeeded
}

// words is what the line says apart from names of hosts, clusters and users, in which any word may occur.
func (e Event) words() string {
	var b strings.Builder
	rest, _ := tags(e.Rest, func(key, value string) {
		switch key {
		case "appid", "clusterid", "nodeid", "remotepeeraddress", "remotepeer", "hostname", "existingpeer", "lastsynchronizedtime", "subjectcn", "issuercn", "conflictinguserid":
		default:
			b.WriteString(value + "\n")
		}
	})
	text := " " + rest + " "
	for _, name := range []string{e.Peer, e.Node, e.Host} {
		if name != "" {
			text = strings.ReplaceAll(text, name, "")
		}
	}
	b.WriteString(text)
	return b.String()
}

// Names are the words after the alarm's own name that could be those of a host, a domain or an IPv4 address, as they are written. Cisco's own search
// for a peer takes the alarm's name, then anything, then the name [V], so the value that a tag carries may be another of the peer's names.
func (e Event) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for start, end := 0, 0; start < len(e.Rest); start = end + 1 {
			for end = start; end < len(e.Rest) && inName(e.Rest, end); {
				end++
			}
			if end > start && !yield(e.Rest[start:end]) {
				return
			}
		}
	}
}

// inName tells whether the byte at i is part of a name: a full stop at the end of a sentence is not.
func inName(s string, i int) bool {
	c := s[i]
	if c == '.' {
		return i+1 < len(s) && plain(s[i+1]) && i > 0 && plain(s[i-1])
	}
	return plain(c) || c == '-' || c == '_'
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c >= 0x80
}
