package peer

import (
	"fmt"
	"slices"
	"strings"

	"peerkeeper/shared/plain"
)

// requiredService is one service that the peer depends on.
type requiredService struct {
	service string
	remote  bool
	all     bool // every node, else the publisher only
}

// What the chapter asks for: AXL on all nodes, Sync Agent on the publisher,
// ICSA on all nodes; XCP Router because presence between clusters runs through it.
var requiredServices = [...]requiredService{
	{service: ICSA, all: true},
	{service: SyncAgent},
	{service: AXL, all: true},
	{service: XCPRouter, all: true},
	{service: AXL, remote: true},
}

func (l *link) servicesRunning() verdict {
	var stopped, unread []string
	basis := Measured
	var why Reason
	for _, n := range requiredServices {
		e := l.puller
		if n.remote {
			e = l.home
		}
		for _, node := range e.Nodes {
			if !n.all && node.Name != e.Publisher {
				continue
			}
			if node.Name == e.Publisher && e.visibility.Verdict == PublisherIsDown && !n.remote {
				return no(PublisherDown, Inferred, "%s does not answer, so nothing runs there that anyone could use", node.Name)
			}
			services := e.record.Seen.Nodes[node.Name].Services.Fresh(l.Now, l.maxAge())
			got, known := services.Get()
			svc, listed := got[n.service]
			switch {
			case !known:
				if why == "" {
					why = services.Why()
					if e.visibility.Trouble != "" {
						why = e.visibility.Trouble
					}
				}
				unread = append(unread, fmt.Sprintf("%s (%s)", node.Name, e.ID))
			case !listed || svc.Status == "Unknown":
				if why == "" {
					why = UnreadableAnswer // not NotObservable: Control Center is where it shows
				}
				unread = append(unread, fmt.Sprintf("%s on %s", n.service, node.Name))
			case !svc.Started():
				stopped = append(stopped, fmt.Sprintf("%s is %s on %s", n.service, plain.Value(strings.ToLower(svc.Status)), node.Name))
			}
		}
	}
	if len(stopped) > 0 {
		return no(ServiceStopped, basis, "%s", plain.FirstBy(plain.Listed, stopped, "; "))
	}
	if v, logged := l.heapLogged(); logged {
		return v
	}
	if len(unread) > 0 {
		return unsure(why, "not read: %s", plain.List(slices.Compact(unread)))
	}
	return yes(AllStarted, Measured, "Cisco Intercluster Sync Agent, Sync Agent, AXL and XCP Router run where they must")
}
