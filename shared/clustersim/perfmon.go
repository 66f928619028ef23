package clustersim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	perfmonPath = "/perfmonservice2/services/PerfmonService"
	perfmonRate = 80 // requests a minute and node: Cisco's default

	xmppCM = "Cisco XCP CM"
	webCM  = "Cisco XCP Web CM"
	jsm    = "Cisco XCP JSM"

	replicationGood = 2
)

// counter is one value of a PerfMon object. instance is "" of an object that has
// none.
type counter struct {
	object, instance, name string
	value                  int64
}

// counters are those of a node, as Cisco's RTMT guide names objects and counters.
// A scenario's own values come first. The caller holds the lock.
func (n *node) counters(now time.Time) []counter {
	throttled := int64(0)
	if n.inFlight.Load() > axlMemory {
		throttled = 1
	}
	queue := int64(0)
	if n.replication != replicationGood {
		queue = 1000
	}
	list := []counter{
		{"Number of Replicates Created and State of Replication", "ReplicateCount", "Number_of_Replicates_Created", 42},
		{"Number of Replicates Created and State of Replication", "ReplicateCount", "Replicate_State", int64(n.replication)},
		{"Enterprise Replication Perfmon Counters", "ReplicationQueueDepth", "ReplicationQueueDepth", queue},
		{"DB Local_DSN", "DSN", "CcmDbSpace_Used", 41},
		{"AXL Web Service", "", "ThrottleCount", 0},
		{"AXL Web Service", "", "ThrottleState", throttled},
	}
	if n.role != roleCUCM {
		online := int64(0)
		for kind, k := range kindsOfClient {
			connected := n.connected(kind, now)
			online += connected
			if n.service(k.service).activated {
				list = append(list, counter{k.object, "", k.counter, connected})
			}
		}
		list = append(list,
			counter{serviceSRM, "", "SRMState", int64(n.srmState())},
			counter{"Cisco Sync Agent", "", "NumberOfSyncErrors", 0},
			// One session of the Presence Engine for every licensed user besides.
			counter{jsm, "", "JsmIMSessions", n.homeUsers + online},
			counter{jsm, "", "JsmOnlineUsers", online},
			counter{jsm, "", "JsmSessionsTotal", n.homeUsers + online},
			counter{serviceRouter, "", "RouterNormalPackets", 100 * online},
		)
	}
	for i, c := range list {
		if v, set := n.perfmon[strings.ToLower(c.name)]; set {
			list[i].value = v
		}
	}
	return list
}

// srmState is Server Recovery Manager's state: that of the node, but Down where the
// service does not run.
func (n *node) srmState() int {
	if !n.running(serviceSRM) {
		return srmDown
	}
	return n.haState
}

// perfmonService is PerfMon. Only perfmonCollectCounterData is modelled, which
// needs no session.
func (s *Sim) perfmonService(c *exchangeCall) *answer {
	if c.parseError != nil {
		return c.soapFault(0, "The request is not a SOAP envelope that PerfMon understands")
	}
	if c.operation.Name.Space != astNamespace {
		return c.soapFault(0, "The operation is not in the namespace "+astNamespace)
	}
	if f := c.operation.foreign(astNamespace); f != nil {
		return c.soapFault(0, fmt.Sprintf("Element %s: children of an operation are qualified", f.Name.Local))
	}
	if c.name != "perfmonCollectCounterData" {
		return c.notModelled("PerfMon operation " + c.name)
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.n.cluster.perfmonDenied && !c.account.write {
		return c.forbidden()
	}
	if minute := now.Unix() / 60; minute != c.n.perfmonMinute {
		c.n.perfmonMinute, c.n.perfmonCount = minute, 0
	}
	if c.n.perfmonCount++; c.n.perfmonCount > perfmonRate {
		return c.soapFault(0, fmt.Sprintf("Exceeded allowed rate for Perfmon information. Current allowed rate for perfmon information is %d requests per minute.PerfmonService", perfmonRate))
	}
	host, object := c.operation.value("Host"), c.operation.value("Object")
	if !equalNames(host, c.n.name) && !equalNames(host, c.n.fqdn) && host != c.n.ip.String() {
		return c.soapFault(0, fmt.Sprintf("Host %q is not this node", host))
	}
	s.countHome(c.n.cluster)
	m := s.pages.envelope()
	m.start("ns1:"+c.name+"Response", "xmlns:ns1", astNamespace)
	found := false
	for _, v := range c.n.counters(now) {
		if !strings.EqualFold(v.object, object) {
			continue
		}
		found = true
		name := v.object
		if v.instance != "" {
			name += "(" + v.instance + ")"
		}
		m.start("ns1:" + c.name + "Return")
		m.leaf("ns1:Name", `\\`+c.n.name+`\`+name+`\`+v.name)
		m.leaf("ns1:Value", strconv.FormatInt(v.value, 10))
		m.leaf("ns1:CStatus", "1")
		m.end(1)
	}
	if !found {
		return c.soapFault(0, fmt.Sprintf("The object %q does not exist", object))
	}
	return s.ok(m)
}
