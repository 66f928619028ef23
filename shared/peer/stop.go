package peer

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// Reason codes of Control Center that say why a service does not run (a
// dictionary in a public tool; the first two also stand in Cisco's pages). 0 is
// a code that was not told.
const (
	CodeCommandedOut = -1069 // "Component is commanded out of service"
	CodeNotActivated = -1068
)

// Stop is what is remembered of a service that does not run: a person may have
// stopped it on purpose, and only what the node looked like before can tell.
type Stop struct {
	// Since is the first look that did not show it running.
	Since time.Time `json:"since"`
	// Ran is the last look before that which did; zero if none did.
	Ran time.Time `json:"ran,omitzero"`
	// Fell are the other services of the node that were started again around the
	// stop: what restarted them may have taken this one down.
	Fell []string `json:"fell,omitempty"`
}

const (
	// aftermath is how long after a stop was first seen another service that starts
	// still counts as part of the same event: a restart of the XCP Router, the
	// longest, takes some minutes.
	aftermath = 15 * time.Minute
	// unwatchedGap is how long may lie between the look that showed a service
	// running and the one that did not, if up-times are to tell what came between:
	// three looks.
	unwatchedGap = 15 * time.Minute
	// afterReboot is how near to a reboot a stop must have been seen to be the
	// reboot's doing.
	afterReboot = time.Hour
	// settling is how long after a reboot HA is left to itself: SRM takes a node
	// over after 90 s, and the services of a node come up within some minutes.
	// Replication is not read today; its setup is waited for by the same time.
	settling = 10 * time.Minute
	// leastOthers is how many other services must have started again to call it a
	// reboot.
	leastOthers = 3
	// fellKept bounds what is remembered.
	fellKept = 8
)

// stopsSeen is what is remembered of stopped services after a look.
func stopsSeen(prev ClusterRecord, obs Observation) map[mesh.NodeName]map[string]Stop {
	out := map[mesh.NodeName]map[string]Stop{}
	for name, n := range obs.Nodes {
		was := prev.Stopped[name]
		services, known := n.Services.Get()
		if !known {
			if len(was) > 0 {
				out[name] = was
			}
			continue
		}
		before := prev.Seen.Nodes[name].Services
		for _, service := range startable { // of others nobody asks why
			svc, listed := services[service]
			if !listed || svc.Started() || svc.Status == "Unknown" {
				continue
			}
			stop, had := was[service]
			if !had {
				stop = Stop{Since: obs.At}
				if ran, ok := before.Get(); ok && ran[service].Started() {
					stop.Ran = instant.Earlier(before.At, obs.At)
				}
			}
			for other, o := range services {
				if other == service || !o.Started() || o.UpTime < 0 || stop.Ran.IsZero() || len(stop.Fell) == fellKept || slices.Contains(stop.Fell, other) {
					continue
				}
				if start := n.Services.At.Add(-o.UpTime); start.After(stop.Ran) && !start.After(stop.Since.Add(aftermath)) {
					stop.Fell = append(slices.Clone(stop.Fell), other)
				}
			}
			slices.Sort(stop.Fell)
			if out[name] == nil {
				out[name] = map[string]Stop{}
			}
			out[name][service] = stop
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// StopCause is what a stop is put down to.
type StopCause string

// The causes. What a person did on purpose is not undone without asking; what a
// crash or a reboot did is.
const (
	StopCrashed    StopCause = "crashed"      // any code but "commanded out of service"
	StopRebooted   StopCause = "rebooted"     // the node was restarted, and it did not come back
	StopByRestart  StopCause = "otherRestart" // another service was restarted and took it down
	StopByUs       StopCause = "ours"         // an action of Peerkeeper's on the node, within the hour
	StopMeant      StopCause = "commanded"    // the node's other services ran on
	StopUnclear    StopCause = "unclear"      // commanded out of service, and nobody saw how
	StopEverywhere StopCause = "everywhere"   // on every node at once
	StopInactive   StopCause = "notActivated" // switched off under Service Activation
)

// MayBeMeant reports whether a person may have stopped it on purpose.
func (c StopCause) MayBeMeant() bool {
	return c == StopMeant || c == StopUnclear || c == StopEverywhere
}

// stopped is one service that does not run, and what it is put down to.
type stopped struct {
	cause StopCause
	since time.Time
	// because says what was measured, as the end of "commanded out of service, …".
	because string
	// until is when it can be judged, or acted on; zero is now.
	until time.Time
}

// whyStopped puts a stopped service of a node down to a cause.
//
// "Commanded out of service" is the code of a person's Stop in Control Center,
// and also that of a service that did not come back after a reboot with HA on,
// that another restart took down, or that is in the middle of one (TAC-217304).
// Where nobody saw the stop happen, the up-times of the node's other services
// are all there is: if they began within the hour before it was first seen, it
// was the reboot; if they have run for longer, it may have been stopped at any
// time since, by a person as likely as not, and a person is asked.
func (v *View) whyStopped(c *mesh.Cluster, node mesh.NodeName, service string, done []Done) stopped {
	r := v.record(c.ID)
	seen := r.Seen.Nodes[node].Services
	services, _ := seen.Get()
	stop := r.Stopped[node][service]
	out := stopped{since: instant.Earlier(stop.Since, v.Now)}
	switch code := services[service].Code; {
	case code == CodeNotActivated:
		out.cause, out.because = StopInactive, "it is not activated on the node"
		return out
	case code != CodeCommandedOut && v.stoppedEverywhere(c, service):
		out.cause, out.because = StopEverywhere, fmt.Sprintf("it is stopped on every node of %s (reason code %s)", c.ID, codeText(code))
		return out
	case code != CodeCommandedOut:
		out.cause, out.because = StopCrashed, fmt.Sprintf("nobody commanded it out of service (reason code %s)", codeText(code))
		return out
	}
	for _, d := range done {
		// An instant ahead of the clock counts as now.
		at := instant.Earlier(instant.Later(d.At, d.Closed), v.Now)
		before := !instant.Earlier(d.At, v.Now).After(stop.Since) // what was meant later did not stop it
		if d.Target.Cluster == c.ID && d.Target.Node == node && d.Action != ImportCertificate && before && (d.Open || !at.Before(stop.Since.Add(-time.Hour))) {
			out.cause, out.because = StopByUs, fmt.Sprintf("%s of %s by Peerkeeper at %s may have left it so", d.Action, d.Target.Service, plain.Time(d.At))
			return out
		}
	}
	others, starting := 0, false
	var boot time.Time // when the first of the others began
	for name, o := range services {
		switch {
		case name == service:
		case o.Restarting():
			starting = true
		case o.Started() && o.UpTime >= 0:
			if start := seen.At.Add(-o.UpTime); boot.IsZero() || start.Before(boot) {
				boot = start
			}
			others++
		}
	}
	watched := !stop.Ran.IsZero() && stop.Since.Sub(stop.Ran) <= unwatchedGap
	switch {
	case starting && v.Now.Sub(out.since) < afterReboot:
		// The node is on its way up or down; what it was shows when it is there.
		out.cause, out.until = StopUnclear, v.Now.Add(v.Tick)
		out.because = "and other services of the node are starting or stopping"
	case others >= leastOthers && boot.After(stop.Ran) && !boot.Before(stop.Since.Add(-afterReboot)):
		out.cause, out.because = StopRebooted, fmt.Sprintf("the node was rebooted: all its other services began at %s or later", plain.Time(boot))
		out.until = v.settled(r, node, boot)
	case watched && len(stop.Fell) > 0:
		out.cause, out.because = StopByRestart, fmt.Sprintf("%s was started again about then", plain.List(stop.Fell))
	case others == 0:
		out.cause, out.because = StopUnclear, "and no other service of the node tells whether the node was restarted"
	case stop.Ran.IsZero():
		out.cause, out.because = StopUnclear, fmt.Sprintf("before Peerkeeper first saw it, at %s; the node's other services have run since %s or later", plain.Time(out.since), plain.Time(boot))
	case boot.After(stop.Ran) || !watched && v.startedSince(services, seen.At, service, stop.Ran):
		out.cause, out.because = StopUnclear, fmt.Sprintf("between %s and %s, when Peerkeeper did not look, and the node was restarted meanwhile", plain.Time(stop.Ran), plain.Time(out.since))
	default:
		out.cause, out.because = StopMeant, fmt.Sprintf("between %s and %s, while the node's other services ran on", plain.Time(stop.Ran), plain.Time(out.since))
	}
	return out
}

// startedSince reports whether another service of a node began after an instant.
func (v *View) startedSince(services map[string]Service, at time.Time, but string, since time.Time) bool {
	for name, o := range services {
		if name != but && o.Started() && o.UpTime >= 0 && at.Add(-o.UpTime).After(since) {
			return true
		}
	}
	return false
}

// stoppedEverywhere reports whether a service is stopped on each of the nodes, at
// least two, where it must run.
func (v *View) stoppedEverywhere(c *mesh.Cluster, service string) bool {
	n := 0
	for _, need := range requiredServices {
		if need.service != service || need.remote {
			continue
		}
		for _, node := range c.Nodes {
			if !need.all && node.Name != c.Publisher {
				continue
			}
			got, known := v.record(c.ID).Seen.Nodes[node.Name].Services.Fresh(v.Now, v.maxAge()).Get()
			if !known || got[service].Status != "Stopped" {
				return false
			}
			n++
		}
	}
	return n > 1
}

// HA states that are at rest (enterprisenode.tkhaserverstate).
const (
	HAIdle   = 2
	HANormal = 3
)

// settled is when a node that was rebooted has settled, as far as that is read:
// some minutes later, and with its HA state Idle or Normal where that is known.
// A state that stays otherwise for an hour needs a fallback by a person, which
// no start of a service waits for.
func (v *View) settled(r *ClusterRecord, node mesh.NodeName, boot time.Time) time.Time {
	until := boot.Add(settling)
	if state, known := r.Seen.Nodes[node].HAState.Fresh(v.Now, v.maxAge()).Get(); known && state != HAIdle && state != HANormal {
		until = boot.Add(afterReboot)
	}
	return until
}

// stopCodeText is a reason code for people, "" for none.
func stopCodeText(code int) string {
	switch code {
	case 0, -1:
		return ""
	case CodeCommandedOut:
		return "commanded out of service"
	case CodeNotActivated:
		return "not activated"
	}
	return fmt.Sprintf("reason code %d", code)
}

func codeText(code int) string {
	if code == 0 {
		return "unknown"
	}
	return fmt.Sprint(code)
}

// StopProcedures names what Cisco has people stop ICSA or the Sync Agent for, so
// that a person who is asked about a stop can tell whether one of them is under way.
const StopProcedures = "moving 100 users or more between clusters, centralising a deployment, upgrades, a change of domain or of address scheme, and a CA conflict (ICSACertificateCAConflict)"
