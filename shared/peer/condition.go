// Package peer is the judgement: what is known of each directed peer, what
// that means, and in which state it leaves the peer.
//
// It is pure: no clock, no network, no store. The same facts give the same
// judgement, on a Lambda and on one machine. What is not Known never turns a
// condition False and never clears an alarm.
package peer

import (
	"time"
)

// Status is a condition's truth.
type Status string

// The three truths.
const (
	True          Status = "True"
	False         Status = "False"
	UnknownStatus Status = "Unknown"
)

// Basis says how a statement is known.
type Basis string

// The bases that a person is shown.
const (
	Measured Basis = "measured" // read from the cluster concerned
	Inferred Basis = "inferred" // concluded from what was read elsewhere or by an unconfirmed query
	Declared Basis = "declared" // mesh.yaml says so
	Cisco    Basis = "cisco"    // Cisco's own alarm or status
)

// Type names a condition of a directed peer.
type Type string

// The conditions, in the order in which they are shown.
const (
	Configured         Type = "Configured"
	Compatible         Type = "Compatible"
	Reachable          Type = "Reachable"
	Authenticated      Type = "Authenticated"
	ServicesRunning    Type = "ServicesRunning"
	UsersMatch         Type = "UsersMatch"
	Synced             Type = "Synced"
	CertificateTrusted Type = "CertificateTrusted"
	NamesResolve       Type = "NamesResolve"
	PresencePath       Type = "PresencePath"
)

// Types lists every condition in order.
func Types() []Type {
	return []Type{Configured, Compatible, Reachable, Authenticated, ServicesRunning, UsersMatch, Synced, CertificateTrusted, NamesResolve, PresencePath}
}

// Causes are the conditions whose falsehood explains a failing sync, in the
// order in which the first one names the state's cause.
func Causes() []Type {
	return []Type{Configured, Compatible, Reachable, Authenticated, ServicesRunning, CertificateTrusted, NamesResolve}
}

// Condition is one statement about one directed peer.
type Condition struct {
	Type    Type      `json:"type"`
	Status  Status    `json:"status"`
	Reason  Reason    `json:"reason"`
	Message string    `json:"message"`
	Basis   Basis     `json:"basis"`
	Since   time.Time `json:"since,omitzero"` // moves only when Status changes
	// Observed is when the facts behind it were last read; derived when the
	// record is read, never stored per peer.
	Observed time.Time `json:"observed,omitzero"`
}

// Reason is a fixed code that says why.
type Reason string

// Reasons of facts, conditions and findings. One word each, never reused for
// another meaning: scripts match on them.
const (
	// Why something is not known.
	NotChecked                 Reason = "NotChecked"
	Stale                      Reason = "Stale"
	NotObservable              Reason = "NotObservable"
	NoDialect                  Reason = "NoDialect"
	CannotConnect              Reason = "CannotConnect"
	TimedOut                   Reason = "TimedOut"
	AccountRejected            Reason = "AccountRejected"
	Forbidden                  Reason = "Forbidden"
	NoCredentials              Reason = "NoCredentials"
	ServerCertificateUntrusted Reason = "ServerCertificateUntrusted"
	ServiceNotActive           Reason = "ServiceNotActive"
	Overloaded                 Reason = "Overloaded"
	QueryRefused               Reason = "QueryRefused"
	UnreadableAnswer           Reason = "UnreadableAnswer"
	RowsIncomplete             Reason = "RowsIncomplete"
	Crashed                    Reason = "Crashed"
	AwaitingPeerEvidence       Reason = "AwaitingPeerEvidence"
	CannotSeeCluster           Reason = "CannotSeeCluster"
	NotYetDecided              Reason = "NotYetDecided"
	ClockNotReadable           Reason = "ClockNotReadable"
	LogHasNoSyncLines          Reason = "LogHasNoSyncLines"
	ClockBackwards             Reason = "ClockBackwards"
	NewerSchema                Reason = "NewerSchema"
	// Contradicted: we see a cause, and its effect is measured not to be there.
	Contradicted Reason = "Contradicted"

	// Configured and Compatible.
	EntriesMatch           Reason = "EntriesMatch"
	CopiesExist            Reason = "CopiesExist"
	PeerMissing            Reason = "PeerMissing"
	PeerMissingOnOtherSide Reason = "PeerMissingOnOtherSide"
	AddressNotNodeName     Reason = "AddressNotNodeName"
	AddressNotPublisher    Reason = "AddressNotPublisher"
	ProtocolDiffers        Reason = "ProtocolDiffers"
	DomainsMatch           Reason = "DomainsMatch"
	DomainDiffers          Reason = "DomainDiffers"
	DomainConflict         Reason = "DomainConflict"
	AddressSchemeDiffers   Reason = "AddressSchemeDiffers"
	PeerDuplicate          Reason = "PeerDuplicate"

	// Reachable and Authenticated.
	SyncedRecently          Reason = "SyncedRecently"
	ReachableFromPeerkeeper Reason = "ReachableFromPeerkeeper"
	ClusterDown             Reason = "ClusterDown"
	PublisherDown           Reason = "PublisherDown"
	PeerDown                Reason = "PeerDown"         // ICSA's own word: no answer on port 8443
	AxlClientTimeout        Reason = "AxlClientTimeout" // ICSA's own word
	CredentialsAccepted     Reason = "CredentialsAccepted"
	PeerCredentialsRejected Reason = "PeerCredentialsRejected"

	// ServicesRunning.
	AllStarted     Reason = "AllStarted"
	ServiceStopped Reason = "ServiceStopped"
	HeapSpaceError Reason = "HeapSpaceError"

	// UsersMatch.
	CountsEqual  Reason = "CountsEqual"
	BucketsEqual Reason = "BucketsEqual"
	SetEqual     Reason = "SetEqual"
	CatchingUp   Reason = "CatchingUp"
	UsersMissing Reason = "UsersMissing"
	UsersExtra   Reason = "UsersExtra"
	UsersDiffer  Reason = "UsersDiffer"

	// Synced.
	OnInterval          Reason = "OnInterval"
	Overdue             Reason = "Overdue"
	StuckTwoHours       Reason = "StuckTwoHours"
	FourPeriodsMissed   Reason = "FourPeriodsMissed"
	HomeChangeNotCopied Reason = "HomeChangeNotCopied"
	// CiscoAlarm: Cisco's own alarm of a stuck sync; also a finding that is one.
	CiscoAlarm      Reason = "CiscoAlarm"
	NoSuccessLogged Reason = "NoSuccessLogged"

	// CertificateTrusted and NamesResolve.
	SyncedOverServedLeaf  Reason = "SyncedOverServedLeaf"
	CertificateExpired    Reason = "CertificateExpired"
	CertificateNotUsable  Reason = "CertificateNotUsable"
	CertificateRefused    Reason = "CertificateRefused" // by ICSA, which says so
	TrustNotRead          Reason = "TrustNotRead"
	AllResolve            Reason = "AllResolve"
	OneServerResolves     Reason = "OneServerResolves"
	NameNotResolving      Reason = "NameNotResolving"
	NoDNSDeclared         Reason = "NoDNSDeclared"
	AllServersSilent      Reason = "AllServersSilent"
	NamesNotChecked       Reason = "NamesNotChecked" // a certificate has more than are looked at
	CertificateNotRead    Reason = "CertificateNotRead"
	InTrustStore          Reason = "InTrustStore"
	TrustedByCA           Reason = "TrustedByCA"
	NotInTrustStore       Reason = "NotInTrustStore"
	StaleCopyInTrustStore Reason = "StaleCopyInTrustStore"
	ExchangePending       Reason = "ExchangePending"
	// TrustNotReloaded: the store holds it, and ICSA may not have read it yet; a
	// finding too, with the id of NotTrustedByPeers, because it is one trouble.
	TrustNotReloaded Reason = "TrustNotReloaded"
	// NextSyncDecides: the store lacks it, and no sync was due since that could
	// show whether ICSA believes it all the same.
	NextSyncDecides Reason = "NextSyncDecides"

	// Findings.
	NodeUnreachable       Reason = "NodeUnreachable"
	ReleaseDiffers        Reason = "ReleaseDiffers"
	ClockSkew             Reason = "ClockSkew"
	UnlistedNode          Reason = "UnlistedNode"
	UnlistedPeer          Reason = "UnlistedPeer"
	SyncAgentNotCompleted Reason = "SyncAgentNotCompleted"
	ParametersDiffer      Reason = "ParametersDiffer"
	IntervalDiffers       Reason = "IntervalDiffers"
	OtherDomains          Reason = "OtherDomains"
	UsersFell             Reason = "UsersFell"
	HAState               Reason = "HAState"
	CertificateExpiring   Reason = "CertificateExpiring"
	CertificateChanged    Reason = "CertificateChanged"
	DNSServerSilent       Reason = "DNSServerSilent"
	SANNotResolving       Reason = "SANNotResolving"
	ValueTooLong          Reason = "ValueTooLong"
	AXLVersionRefused     Reason = "AXLVersionRefused"
	AXLVersionFound       Reason = "AXLVersionFound"
)

// Set returns next with Since carried over from prev when the status is the
// same, as Kubernetes conditions do: Since moves only on a flip. It is how every
// condition comes to be, so it is where a message is cleaned and bounded.
func Set(prev Condition, next Condition, now time.Time) Condition {
	if prev.Status == next.Status && !prev.Since.IsZero() {
		next.Since = prev.Since
	} else {
		next.Since = now
	}
	next.Message = said(next.Message)
	return next
}

// ConditionOf finds a condition by type; one that nobody has judged is Unknown.
func ConditionOf(cs []Condition, t Type) Condition {
	c := find(cs, t)
	if c.Status == "" {
		c.Status, c.Reason = UnknownStatus, NotChecked
	}
	return c
}

func find(cs []Condition, t Type) Condition {
	for _, c := range cs {
		if c.Type == t {
			return c
		}
	}
	return Condition{Type: t}
}
