package clustersim

import (
	"fmt"
	"strings"
)

// alarmLevels are AXL's names of levels by severity.
var alarmLevels = [...]string{"Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"}

// getSyslogConfiguration tells the level of a service's alarms, where a scenario
// lets it: which node of a real cluster answers for an IM and Presence server,
// and what its monitors are called, is not known. Here all do, and the monitors
// have the page's names.
func (s *Sim) getSyslogConfiguration(c *exchangeCall) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	settings := c.n.cluster.logging
	switch settings.levelBy {
	case "unknown":
		return c.soapFault(-1, "Unknown operation getSyslogConfiguration")
	case "fault":
		return c.soapFault(5003, "The specified syslog configuration could not be read")
	}
	server := c.operation.value("serverName")
	n := c.n.cluster.node(server)
	if n == nil {
		return c.notFound("serverName", server)
	}
	service := c.operation.value("service")
	if group := c.operation.value("serviceGroup"); group != groupPresence || n.role == roleCUCM || n.service(service) == nil {
		return c.soapFault(-1, fmt.Sprintf("Service %q of group %q is not on %s", service, group, server))
	}
	level := severityError
	if service == serviceICSA {
		level = settings.severity
	}
	m := c.response()
	m.start("return")
	m.start("syslogConfiguration")
	m.leaf("serverName", n.name)
	m.leaf("serviceGroup", groupPresence)
	m.leaf("service", service)
	m.start("alarmConfigs")
	for _, monitor := range []string{"Local Syslogs", "Remote Syslogs", "SDI Trace"} {
		m.start("AlarmConfig")
		on := monitor != "Remote Syslogs"
		switch monitor {
		case "Local Syslogs":
			m.leaf("AlarmLevelEvent", alarmLevels[level])
		default:
			m.leaf("AlarmLevelEvent", alarmLevels[severityError])
		}
		for i := range 5 {
			m.leaf(fmt.Sprintf("RemoteServerName%d", i+1), "")
		}
		m.leaf("monitor", monitor)
		m.leaf("Enable", strings.ToLower(fmt.Sprint(on)))
		m.end(1)
	}
	return s.ok(m)
}
