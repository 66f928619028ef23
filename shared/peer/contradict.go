package peer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// A cause (Reachable, Authenticated, Compatible, NamesResolve,
// CertificateTrusted) that is False says that no sync can succeed. One that
// succeeds all the same contradicts it: then Peerkeeper's view differs, and not
// the peer. Split DNS that answers us NXDOMAIN and a box that inspects TLS are
// the usual reasons.
//
// Only Last Synchronized Time and ICSA's own log tell of a success. That a change of the home was
// seen copied (SyncRecord.Progress) does not: the count of a home that changes
// back equals its copy again although nothing was synced, and a copy that came
// has no instant, so that the sync may have been the last one before the fault.
// Where the clock cannot be read, or its skew is not known, nothing contradicts.

// Standing is since when each thing that a False rests on has been seen, by
// condition and thing ("NamesResolve:imp-apac-pub.example.com"). A sync must be
// later than the first sight; that the same thing is seen again says nothing new.
type Standing map[string]time.Time

// After is the memory after a look at a condition. atFault are the things that
// this look found at fault, undecided tells those that it could not judge: they
// keep what was remembered, the others are forgotten.
func (s Standing) After(t Type, atFault []string, undecided func(thing string) bool, now time.Time) Standing {
	out := maps.Clone(s)
	maps.DeleteFunc(out, func(key string, _ time.Time) bool {
		thing, of := strings.CutPrefix(key, string(t)+":")
		return of && !slices.Contains(atFault, thing) && !undecided(thing)
	})
	for _, thing := range atFault {
		key := string(t) + ":" + thing
		if _, had := out[key]; had {
			continue
		}
		if out == nil {
			out = Standing{}
		}
		out[key] = now
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// afterVerdict is the memory after a condition that rests on nothing but its reason.
func (s Standing) afterVerdict(c Condition, now time.Time) Standing {
	var atFault []string
	if c.Status == False {
		atFault = []string{string(c.Reason)}
	}
	return s.After(c.Type, atFault, func(string) bool { return c.Status == UnknownStatus }, now)
}

// since is the newest first sight among the things that a False of a type rests on.
func (s Standing) since(t Type) time.Time {
	var newest time.Time
	for key, at := range s {
		if of, _, _ := strings.Cut(key, ":"); of == string(t) && at.After(newest) {
			newest = at
		}
	}
	return newest
}

// contradictable are the causes whose effect a sync measures. That a service
// is stopped or an entry missing is a fact of its own.
func contradictable(t Type) bool {
	switch t {
	case Compatible, Reachable, Authenticated, CertificateTrusted, NamesResolve:
		return true
	}
	return false
}

// contradicted answers a cause that stands by a sync that succeeded after it was
// first seen, and that is no older than an interval and two ticks. An expired
// certificate is a date, which nothing contradicts.
func contradicted(v *View, id mesh.PeerID, c Condition, standing Standing) Condition {
	if c.Status != False || !contradictable(c.Type) || c.Reason == CertificateExpired {
		return c
	}
	l := v.link(id)
	first := standing.since(c.Type)
	last, young := l.youngSync()
	if !young || !last.After(first) || l.failsSince() && c.Reason != PeerCredentialsRejected && c.Reason != DomainConflict {
		return c
	}
	c.Status, c.Reason, c.Basis = UnknownStatus, Contradicted, Measured
	c.Message = fmt.Sprintf("Peerkeeper sees since %s: %s. Yet %s synced from %s at %s, so Peerkeeper's view differs and not the peer%s",
		plain.Time(first), strings.TrimSuffix(c.Message, "."), id.From, id.To, plain.Time(last), untilRead(c.Type))
	return c
}

// untilRead is what may still come of a fact that syncs contradict.
func untilRead(t Type) string {
	if t == CertificateTrusted {
		return "; it syncs until ICSA next reads its trust store"
	}
	return ""
}

// youngSync is the peer's last success by our clock, and whether it is known
// and no older than an interval and two ticks.
func (l *link) youngSync() (last time.Time, young bool) {
	c := l.clock()
	if !l.tellsOfNow() || !c.Compared {
		return time.Time{}, false
	}
	interval, _ := l.interval()
	age := l.age()
	return c.Last, age <= interval+2*l.Tick && age >= -2*l.Tick
}

// NextSyncTells reports whether a cause that is seen at fault has not had the
// time to show: the last sync is young, no try has failed since, and the next one
// either fails, or contradicts it. Until then nobody need be told.
func (v *View) NextSyncTells(id mesh.PeerID, t Type) bool {
	if !contradictable(t) {
		return false
	}
	l := v.link(id)
	_, young := l.youngSync()
	return young && !l.failsSince()
}

// ContradictedFindings are the causes of one cluster's peers that its own syncs
// contradict: both facts are told, as information, once for each cause.
func ContradictedFindings(m *mesh.Mesh, id mesh.ClusterID, conditions func(mesh.PeerID) []Condition) []Finding {
	var out []Finding
	for _, t := range Causes() {
		var first Condition
		var which []string
		for _, p := range pullsOf(m, id) {
			if c := find(conditions(p), t); c.Reason == Contradicted {
				if len(which) == 0 {
					first = c
				}
				which = append(which, p.String())
			}
		}
		if len(which) > 0 {
			out = append(out, Finding{
				ID: IDOf(Contradicted, string(t)), Severity: Info, Reason: Contradicted, Since: first.Since,
				Message: fmt.Sprintf("%s of %s: %s", t, plain.List(which), first.Message),
			})
		}
	}
	return out
}

// EaseNames lowers what is found on names in a cluster's DNS to an information
// where the cluster's own syncs contradict it. That the names do not resolve for
// Peerkeeper stays a finding.
func EaseNames(findings []Finding, m *mesh.Mesh, id mesh.ClusterID, conditions func(mesh.PeerID) []Condition) []Finding {
	against, failing := false, false
	for _, p := range pullsOf(m, id) {
		switch c := find(conditions(p), NamesResolve); {
		case c.Reason == Contradicted:
			against = true
		case c.Status == False:
			failing = true
		}
	}
	if !against || failing {
		return findings
	}
	out := slices.Clone(findings)
	for i, f := range out {
		if f.Reason == SANNotResolving && f.Severity != Info {
			out[i].Severity = Info
			out[i].Message += fmt.Sprintf("; %s's syncs succeed all the same, so its nodes resolve them otherwise than Peerkeeper does", id)
		}
	}
	return out
}
