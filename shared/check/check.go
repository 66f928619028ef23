// Package check is what Cisco's chapter asks of a mesh before its clusters are peered and while they are, one row
// a check: passed, failed, unknown, declared, or for a person to see.
//
// It owns the table of checks with their stable ids, the rows as they are stored, and what preflight alone reads of
// a cluster. It judges by what others recorded (package peer, package certificate), by mesh.Lint and by that.
//
// It is pure: no clock, no network, no store. It never judges a peer's state and never leads to an action. It does
// not fail: what was not read is unknown, and an unknown never passes.
package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// Status is what a check came to.
type Status string

// The statuses. Only Fail is a fault; Declared is somebody's word in mesh.yaml, or lawful and worth knowing; Manual
// is what only a person can see.
const (
	Pass     Status = "pass"
	Fail     Status = "fail"
	Unknown  Status = "unknown"
	Declared Status = "declared"
	Manual   Status = "manual"
)

// Statuses lists the statuses, the one that wants somebody most first.
func Statuses() []Status { return []Status{Fail, Unknown, Manual, Declared, Pass} }

// Reasons that are of checks alone; the others are the judgement's.
const (
	CheckPassed      peer.Reason = "CheckPassed"
	AsDeclared       peer.Reason = "AsDeclared"
	Advised          peer.Reason = "Advised"         // lawful, and Cisco advises otherwise
	PreflightFailed  peer.Reason = "PreflightFailed" // of a finding
	NotDeclared      peer.Reason = "NotDeclared"
	NotNeeded        peer.Reason = "NotNeeded"
	NotListed        peer.Reason = "NotListed" // by the cluster itself
	OtherPort        peer.Reason = "OtherPort"
	PortClosed       peer.Reason = "PortClosed"
	ReplicationBad   peer.Reason = "ReplicationBad"
	RecoveryNotReady peer.Reason = "RecoveryNotReady" // SRMState
	BelowMinimum     peer.Reason = "BelowMinimum"
	TooManyClusters  peer.Reason = "TooManyClusters"
	WindowNeverOpen  peer.Reason = "WindowNeverOpen"
	NamesNeedDNS     peer.Reason = "NamesNeedDNS"
	RightMissing     peer.Reason = "RightMissing"
	OutOfRange       peer.Reason = "OutOfRange"
	NotAsDeclared    peer.Reason = "NotAsDeclared"
	SinceLater       peer.Reason = "SinceLater" // a later release has it
	UsersInvalid     peer.Reason = "UsersInvalid"
	TooManyRows      peer.Reason = "TooManyRows"
	Changing         peer.Reason = "Changing" // a plan changes the pair
)

// Row is one check of the mesh, a cluster, a node or a peer. Peers for which a check passed share their cluster's
// row.
type Row struct {
	ID      string         `json:"id"`
	Step    string         `json:"step"` // of the chapter: prerequisites, 1 … 9, delete, restrictions
	Cluster mesh.ClusterID `json:"cluster,omitempty"`
	Node    mesh.NodeName  `json:"node,omitempty"`
	Peer    mesh.PeerID    `json:"peer,omitzero"`
	Status  Status         `json:"status"`
	Reason  peer.Reason    `json:"reason"`
	Message string         `json:"message"`
	Basis   peer.Basis     `json:"basis"`
	Fix     string         `json:"fix"`
	Since   time.Time      `json:"since"`
	// Failed is what it failed with before it became unknown: what is not known clears no finding.
	Failed *Failure `json:"failed,omitempty"`
}

// Failure is a failed row without what it is about.
type Failure struct {
	Reason  peer.Reason `json:"reason"`
	Message string      `json:"message"`
	Fix     string      `json:"fix"`
	Since   time.Time   `json:"since"`
}

// failure is what the row failed with; nil if it did not fail when that could be told last.
func (r Row) failure() *Failure {
	if r.Status == Fail {
		return &Failure{Reason: r.Reason, Message: r.Message, Fix: r.Fix, Since: r.Since}
	}
	return r.Failed
}

// About is what the row is about, for people; "" is the whole mesh.
func (r Row) About() string {
	return cmp.Or(r.Peer.String(), string(r.Node), string(r.Cluster))
}

// same says whether two rows are one check of one thing.
func (r Row) same(other Row) bool {
	return r.ID == other.ID && r.Step == other.Step && r.Cluster == other.Cluster && r.Node == other.Node && r.Peer == other.Peer
}

// Bounds of a record: every row with its longest texts makes 300 KB, folded far less. 29 peers failing five checks each
// are 145 rows.
const (
	maxRows = 200
	maxText = 300 // characters of a message, and of a fix
)

// Next is the record of a new judgement: a row whose status has not changed keeps its since, and one that failed and
// is unknown now keeps what it failed with. What a clock ahead of now noted counts from now. Rows beyond the bound
// are counted in one that is unknown; they are the least bad.
func (r Record) Next(rows []Row, now time.Time) Record {
	next := slices.Clone(rows)
	for i, row := range next {
		row.Since = now
		if j := slices.IndexFunc(r.Rows, row.same); j >= 0 {
			row.carry(r.Rows[j], now)
		}
		next[i] = row
	}
	if more := len(next) - maxRows; more > 0 {
		slices.SortStableFunc(next, func(a, b Row) int { return a.rank() - b.rank() })
		next = append(next[:maxRows], Row{
			ID: tooMany, Step: restrictions, Cluster: next[0].Cluster, Status: Unknown, Reason: TooManyRows, Basis: peer.Measured, Since: now,
			Message: fmt.Sprintf("%d more rows are not kept: mend the others first", more),
		})
	}
	return Record{At: now, Rows: next}
}

// carry takes over what the row before knew.
func (r *Row) carry(before Row, now time.Time) {
	failed := before.failure()
	switch {
	case before.Status == r.Status:
		r.Since = before.Since
	case r.Status == Fail && failed != nil:
		r.Since = failed.Since // it was only lost from sight
	}
	instant.CountAsNow(now, &r.Since)
	if r.Status == Unknown && failed != nil {
		kept := *failed
		instant.CountAsNow(now, &kept.Since)
		r.Failed = &kept
	}
}

// rank orders rows, the worst first.
func (r Row) rank() int {
	if r.failure() != nil {
		return 0
	}
	return slices.Index(Statuses(), r.Status)
}

// Findings are the rows that failed, as what a person should know of a cluster; but for those that the judgement of
// peers and services says as findings of its own. What failed and cannot be told now stands.
func Findings(rows []Row) []peer.Finding {
	var out []peer.Finding
	for _, row := range rows {
		failed := row.failure()
		if failed == nil {
			continue
		}
		severity := severityOf(row.ID, failed.Reason)
		if severity == "" {
			continue
		}
		message := failed.Message
		if row.Status == Unknown {
			message += fmt.Sprintf("; since %s it cannot be told: %s", plain.Time(row.Since), row.Message)
		}
		again := "`peerkeeper preflight --now`"
		if row.Cluster != "" {
			again = fmt.Sprintf("`peerkeeper preflight %s --now`", row.Cluster)
		}
		f := peer.Finding{
			ID: peer.IDOf(PreflightFailed, row.ID, string(row.Node), row.Peer.String()), Severity: severity, Reason: PreflightFailed,
			Node: row.Node, Message: message, Since: failed.Since, Fix: failed.Fix + "; then " + again + " looks again",
		}
		out = append(out, f.Composed())
	}
	return out
}

// verdict is a row before it is known what it is about.
type verdict struct {
	status  Status
	reason  peer.Reason
	message string
	basis   peer.Basis
	fix     string
}

func pass(basis peer.Basis, format string, args ...any) *verdict {
	return &verdict{status: Pass, reason: CheckPassed, basis: basis, message: fmt.Sprintf(format, args...)}
}

func fail(why peer.Reason, basis peer.Basis, fix, format string, args ...any) *verdict {
	return &verdict{status: Fail, reason: why, basis: basis, fix: fix, message: fmt.Sprintf(format, args...)}
}

func unknown(why peer.Reason, fix, format string, args ...any) *verdict {
	return &verdict{status: Unknown, reason: why, basis: peer.Measured, fix: fix, message: fmt.Sprintf(format, args...)}
}

func declared(format string, args ...any) *verdict {
	return &verdict{status: Declared, reason: AsDeclared, basis: peer.Declared, message: fmt.Sprintf(format, args...)}
}

func manual(fix, format string, args ...any) *verdict {
	return &verdict{status: Manual, reason: peer.NotObservable, basis: peer.Declared, fix: fix, message: fmt.Sprintf(format, args...)}
}

// unread is a fact that is not known.
func unread[T any](f peer.Fact[T], what string) *verdict {
	detail := f.Detail
	if detail != "" {
		detail = ": " + detail
	}
	return unknown(f.Why(), "", "%s: not known%s", what, detail)
}

func (v *verdict) row(id, step string) Row {
	return Row{ID: id, Step: step, Status: v.status, Reason: v.reason, Message: plain.Line(v.message, maxText), Basis: v.basis, Fix: plain.Line(v.fix, maxText)}
}
