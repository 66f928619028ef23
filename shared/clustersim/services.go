package clustersim

import (
	"cmp"
	"strings"
	"time"
)

// Control names of the services that the simulator treats specially.
const (
	serviceICSA      = "Cisco Intercluster Sync Agent"
	serviceRouter    = "Cisco XCP Router"
	serviceXCPConfig = "Cisco XCP Config Manager"
	serviceAXL       = "Cisco AXL Web Service"
	serviceSOAP      = "Cisco SOAP Web Service"
	serviceTomcat    = "Cisco Tomcat"
	serviceSIPProxy  = "Cisco SIP Proxy"
	serviceSRM       = "Cisco Server Recovery Manager"

	serviceConnections    = "Cisco XCP Connection Manager"
	serviceWebConnections = "Cisco XCP Web Connection Manager"
)

const (
	groupPresence = "IM and Presence Services"
	groupDatabase = "Database and Admin Services"
	groupPlatform = "Platform Services"
	groupCUCM     = "CM Services"
)

// serviceStatus is the enumeration of the Control Center's WSDL.
type serviceStatus string

const (
	started  serviceStatus = "Started"
	stopped  serviceStatus = "Stopped"
	starting serviceStatus = "Starting"
	stopping serviceStatus = "Stopping"
	unknown  serviceStatus = "Unknown"
)

// Reason codes of the Control Center, from public tools and documents.
const (
	reasonNone           = -1
	reasonNoSuchService  = -1010
	reasonCrashed        = -1019 // "not running"; that a crash shows it is invented
	reasonAlreadyStarted = -1039
	reasonAlreadyStopped = -1040
	reasonNotAllowed     = -1042
	reasonAlreadyThere   = -1057
	reasonNotActivated   = -1068
	reasonCommandedOut   = -1069
)

var reasonTexts = map[int]string{
	reasonNone:           " ", // a blank is what the wire shows
	reasonNoSuchService:  "No such service",
	reasonCrashed:        "Service is not running",
	reasonAlreadyStarted: "Service is already started",
	reasonAlreadyStopped: "Service is already stopped",
	reasonNotAllowed:     "Transition is not allowed",
	reasonAlreadyThere:   "Service is already in the specified state",
	reasonNotActivated:   "Service Not Activated",
	reasonCommandedOut:   "Component is commanded out of service",
}

// serviceKind is what is fixed about a service. Feature services are
// deployable, network services are not.
type serviceKind struct {
	name, group string
	servlet     bool
	feature     bool
	inactive    bool // not activated on a fresh node
}

// presenceServices are those of an IM&P node, from a published answer of a CUCM
// publisher; which of them are feature services and which are activated is
// known in part only.
var presenceServices = []serviceKind{
	{name: serviceTomcat, group: groupPlatform},
	{name: "Cisco ReplicationWatcher", group: groupPresence},
	{name: serviceSRM, group: groupPresence},
	{name: "Cisco Route Datastore", group: groupPresence},
	{name: "Cisco Login Datastore", group: groupPresence},
	{name: "Cisco SIP Registration Datastore", group: groupPresence},
	{name: "Cisco Presence Datastore", group: groupPresence},
	{name: serviceXCPConfig, group: groupPresence},
	{name: serviceRouter, group: groupPresence},
	{name: "Cisco OAM Agent", group: groupPresence},
	{name: "Cisco Client Profile Agent", group: groupPresence},
	{name: serviceICSA, group: groupPresence},
	{name: "Cisco Config Agent", group: groupPresence},
	{name: "Cisco Sync Agent", group: groupPresence},
	{name: serviceSIPProxy, group: groupPresence, feature: true},
	{name: "Cisco SIP Proxy Logger", group: groupPresence},
	{name: "Cisco Presence Engine", group: groupPresence, feature: true},
	{name: "Cisco XCP Text Conference Manager", group: groupPresence, feature: true},
	{name: serviceWebConnections, group: groupPresence, feature: true},
	{name: serviceConnections, group: groupPresence, feature: true},
	{name: "Cisco XCP Authentication Service", group: groupPresence, feature: true},
	{name: "Cisco XCP SIP Federation Connection Manager", group: groupPresence, feature: true, inactive: true},
	{name: "Cisco XCP XMPP Federation Connection Manager", group: groupPresence, feature: true, inactive: true},
	{name: "Cisco XCP Message Archiver", group: groupPresence, feature: true, inactive: true},
	{name: "Cisco XCP Directory Service", group: groupPresence, feature: true, inactive: true},
	{name: "Cisco XCP File Transfer Manager", group: groupPresence, feature: true, inactive: true},
	{name: "Cisco RCC Device Selection Service", group: groupPresence},
	{name: serviceAXL, group: groupDatabase, servlet: true, feature: true},
	{name: "Cisco Bulk Provisioning Service", group: groupDatabase, feature: true, inactive: true},
	{name: "Cisco IM and Presence Admin", group: groupDatabase, servlet: true},
	{name: "Platform Administrative Web Service", group: groupDatabase, servlet: true, feature: true},
	{name: serviceSOAP, group: groupPlatform, servlet: true},
	{name: "Cisco SOAPMessage Service", group: groupPlatform, servlet: true},
	{name: "Cisco CCMService Web Service", group: groupPlatform, servlet: true},
	{name: "Cisco RTMT Web Service", group: groupPlatform, servlet: true},
	{name: "Cisco RIS Data Collector", group: groupPlatform},
	{name: "Cisco AMC Service", group: groupPlatform},
	{name: "Aupair", group: groupPlatform},
}

var callManagerServices = []serviceKind{
	{name: serviceTomcat, group: groupPlatform},
	{name: "Cisco CallManager", group: groupCUCM, feature: true},
	{name: "Cisco CTIManager", group: groupCUCM, feature: true},
	{name: "Cisco Tftp", group: groupCUCM, feature: true},
	{name: serviceAXL, group: groupDatabase, servlet: true, feature: true},
	{name: serviceSOAP, group: groupPlatform, servlet: true},
	{name: "Cisco RIS Data Collector", group: groupPlatform},
	{name: "Cisco AMC Service", group: groupPlatform},
}

// service is one service on one node. In Starting and Stopping, due is when the
// dwell ends; a zero due stays so until somebody changes it (a scenario's
// doing).
type service struct {
	serviceKind
	status    serviceStatus
	activated bool
	since     time.Time // start of a Started one
	due       time.Time
	restart   bool          // Stopping goes on to Starting
	crashed   bool          // it stopped by itself, and nobody told it to
	staysDown bool          // it does not come back when it is started
	takes     time.Duration // how long it starts; 0 = as long as its kind does
}

func (k serviceKind) dwell() time.Duration {
	switch k.name {
	case serviceRouter:
		return dwellRouter
	case serviceTomcat:
		return dwellTomcat
	}
	return dwellStart
}

// xcp are the services that live and die with the XCP Router.
func (k serviceKind) xcp() bool {
	return strings.HasPrefix(k.name, "Cisco XCP ") && k.name != serviceRouter && k.name != serviceXCPConfig
}

func (v *service) upTime(now time.Time) int {
	if v.status != started {
		return -1
	}
	return max(0, int(now.Sub(v.since)/time.Second))
}

func (v *service) reason() int {
	switch {
	case !v.activated:
		return reasonNotActivated
	case v.status == stopped && v.crashed:
		return reasonCrashed
	case v.status == stopped:
		return reasonCommandedOut
	}
	return reasonNone
}

func (n *node) service(name string) *service {
	for _, v := range n.services {
		if strings.EqualFold(v.name, name) {
			return v
		}
	}
	return nil
}

func (n *node) running(name string) bool {
	v := n.service(name)
	return !n.down && v != nil && v.status == started
}

// beginStart and the like are the only places where a service changes; each
// tells the agent, whose peers live and die with ICSA.
func (s *Sim) beginStart(n *node, v *service, now time.Time) {
	v.status, v.due, v.restart, v.crashed = starting, now.Add(cmp.Or(v.takes, v.dwell())), false, false
	s.serviceChanged(n, v, now)
}

func (s *Sim) beginStop(n *node, v *service, now time.Time, restart bool) {
	v.status, v.due, v.restart = stopping, now.Add(dwellStop), restart
	s.serviceChanged(n, v, now)
}

func (s *Sim) settle(n *node, v *service, status serviceStatus, now time.Time) {
	v.status, v.due, v.restart = status, time.Time{}, false
	if status != stopped {
		v.crashed = false
	}
	if status == started {
		v.since = now
		v.activated = true
	}
	s.serviceChanged(n, v, now)
}

// serviceDue carries on a service whose dwell has ended.
func (s *Sim) serviceDue(n *node, v *service, now time.Time) {
	switch {
	case v.status == stopping && v.restart:
		s.beginStart(n, v, now)
	case v.status == stopping:
		s.settle(n, v, stopped, now)
	case v.staysDown || n.staysDown:
		v.crashed = true
		s.settle(n, v, stopped, now)
	default:
		s.settle(n, v, started, now)
	}
}

func (s *Sim) serviceChanged(n *node, v *service, now time.Time) {
	s.log("%s: %s %s", n.name, v.name, v.status)
	switch v.name {
	case serviceTomcat:
		if v.status != started {
			clear(n.sessions)
		} else {
			n.serveInstalled()
		}
		s.reconcileListener(n)
	case serviceICSA:
		if n.role == rolePublisher && v.status == started {
			s.agentStarted(n.cluster, now)
		}
	case serviceRouter:
		if v.status == started {
			n.notified = false
		}
	case serviceSIPProxy, serviceSRM:
		s.signOut(n, now)
	}
	s.routerFollows(n, now)
}

// routerFollows notes since when a node's router runs or does not, and what that does
// to people.
func (s *Sim) routerFollows(n *node, now time.Time) {
	if n.role == roleCUCM {
		return
	}
	switch up := n.running(serviceRouter); {
	case up && !n.routerDown.IsZero():
		n.routerDown, n.routerUp = time.Time{}, now
	case !up && n.routerDown.IsZero():
		n.routerDown = now
	}
	s.peopleFollow(n.cluster, now)
}

// control is one service of a Control Center request; the reason code is what
// the answer carries.
func (s *Sim) control(n *node, name, controlType string, now time.Time) (v *service, reason int) {
	if v = n.service(name); v == nil {
		return nil, reasonNoSuchService
	}
	// Which of the two codes a real node sends is not known; clients must take
	// either, so web services send the one and the others the other.
	already := func(code int) int {
		if v.servlet {
			return reasonAlreadyThere
		}
		return code
	}
	switch {
	case v.name == serviceTomcat:
		return v, reasonNotAllowed // it hosts this very interface
	case !v.activated:
		return v, reasonNotActivated
	case v.status == starting || v.status == stopping || v.status == unknown:
		return v, reasonNotAllowed
	case controlType == "Start" && v.status == started:
		return v, already(reasonAlreadyStarted)
	case controlType == "Stop" && v.status == stopped:
		return v, already(reasonAlreadyStopped)
	}
	if controlType == "Restart" {
		if v.name == serviceICSA {
			n.cluster.icsaRestarts++
		}
		if v.name == serviceRouter {
			n.cluster.routerRestarts++
		}
	}
	switch {
	case controlType == "Stop":
		s.beginStop(n, v, now, false)
	case v.status == stopped:
		s.beginStart(n, v, now)
	default:
		s.beginStop(n, v, now, true)
	}
	// Stop takes the XCP services along and Start leaves them where they are;
	// Restart brings back those that ran.
	if v.name == serviceRouter && controlType != "Start" {
		for _, x := range n.services {
			if x.xcp() && (x.status == started || x.status == starting) {
				s.beginStop(n, x, now, controlType == "Restart")
			}
		}
	}
	return v, reasonNone
}

// deploy activates or deactivates a feature service.
func (s *Sim) deploy(n *node, name string, activate bool, now time.Time) (*service, int) {
	v := n.service(name)
	switch {
	case v == nil:
		return nil, reasonNoSuchService
	case !v.feature:
		return v, reasonNotAllowed
	case activate == v.activated:
		return v, reasonAlreadyThere
	case activate:
		v.activated = true
		s.beginStart(n, v, now)
	default:
		v.activated = false
		s.settle(n, v, stopped, now)
	}
	return v, reasonNone
}

// boot starts a node again: everything activated comes up with its dwell, and
// what a person had stopped comes up too.
func (s *Sim) boot(n *node, now time.Time) {
	clear(n.sessions)
	if n.role == rolePublisher {
		n.cluster.selfRestarting = false
	}
	for _, v := range n.services {
		if v.activated {
			s.beginStart(n, v, now)
		}
	}
}

// reboot starts a node again. With HA on, ICSA comes back commanded out of
// service (TAC-217304); a state of Idle is how a node without HA reads. A node that
// stays down is not seen again.
func (s *Sim) reboot(n *node, now time.Time) {
	if n.staysDown {
		s.setDown(n, true, now)
		return
	}
	s.boot(n, now)
	if v := n.service(serviceICSA); v != nil && n.haState != haIdle {
		s.settle(n, v, stopped, now)
	}
	s.log("%s: rebooted", n.name)
}

// setDown switches a node off, or on again.
func (s *Sim) setDown(n *node, down bool, now time.Time) {
	n.down = down
	clear(n.sessions)
	if !down {
		s.boot(n, now)
	}
	s.routerFollows(n, now)
	s.reconcileListener(n)
}
