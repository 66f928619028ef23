package peer

import (
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
)

// startable are the services that Peerkeeper may start. Restarts of XCP
// Router, SIP Proxy and SRM belong to peering, which checks more first.
var startable = [...]string{ICSA, SyncAgent, AXL}

// Starts proposes to start what is stopped and must run, once it has been seen
// stopped at two looks. What a person may have stopped on purpose is started with
// approval only, unless policy.startCommanded says otherwise. done are the gate's
// actions of the last day.
func Starts(v *View, id mesh.ClusterID, done ...Done) []Proposal {
	r := v.record(id)
	c, ok := v.Mesh.Cluster(id)
	if !ok {
		return nil
	}
	var out []Proposal
	for _, f := range r.Findings {
		if f.Reason != ServiceStopped || !f.Since.Before(r.Seen.At) {
			continue
		}
		for _, name := range startable {
			t := Target{Cluster: id, Node: f.Node, Service: name}
			svc, known := r.Seen.Nodes[f.Node].Services.Fresh(v.Now, v.maxAge()).Get()
			if !known || svc[name].Status != "Stopped" || f.ID != IDOf(ServiceStopped, string(f.Node), name) {
				continue
			}
			stop := v.whyStopped(c, f.Node, name, done)
			if stop.cause == StopInactive || v.Now.Before(stop.until) {
				continue // Start is refused there; or it is too early to tell
			}
			p := Proposal{
				ID: proposalID(StartService, t, "", f.Since), Action: StartService, Target: t, Since: f.Since, Peers: pullsOf(v.Mesh, c.ID),
				Why: f.Message, Interrupts: "none (the service is stopped)", Stop: stop.cause, Code: svc[name].Code,
			}
			if svc[name].Code == CodeCommandedOut || stop.cause == StopEverywhere {
				p.Why += ": " + stop.because
			}
			after, byItself := v.Mesh.Policy.StartsCommanded()
			if stop.cause.MayBeMeant() && (!byItself || v.Now.Sub(stop.since) < after) {
				p.Approval = "a person may have stopped it on purpose"
			}
			out = append(out, p)
		}
	}
	return out
}

// RemoteAXL proposes to restart the Cisco AXL Web Service of a publisher whose
// AXL fails although Control Center says that it runs. Always with approval:
// it serves more than peering.
func RemoteAXL(v *View, id mesh.ClusterID) []Proposal {
	r := v.record(id)
	c, ok := v.Mesh.Cluster(id)
	if !ok || v.Visibility(id).Verdict != Visible {
		return nil
	}
	services, known := r.Seen.Nodes[c.Publisher].Services.Fresh(v.Now, v.maxAge()).Get()
	users := r.Seen.Users.Fresh(v.Now, v.maxAge())
	if !known || !services[AXL].Started() || users.Known() {
		return nil
	}
	switch users.Why() {
	case ServiceNotActive, TimedOut, UnreadableAnswer, Stale:
	default:
		return nil
	}
	t := Target{Cluster: id, Node: c.Publisher, Service: AXL}
	return []Proposal{{
		// Once a day at most: the incident's beginning is not recorded.
		ID: proposalID(RestartService, t, "", v.Now.Truncate(24*time.Hour)), Action: RestartService, Target: t, Since: users.At, MinAge: 2 * time.Hour,
		Peers: v.Mesh.PeersOf(id), Why: fmt.Sprintf("AXL on %s fails (%s) although Control Center shows it started", c.Publisher, users.Why()),
		Approval:   "the AXL Web Service serves more than peering",
		Interrupts: "everything that uses AXL on " + string(c.Publisher) + " for about a minute, the peers' syncs included",
		Collect:    []string{"on the CLI of " + string(c.Publisher) + ": file build log deployment_info 1", "utils service list"},
	}}
}
