package ciscolog

import "strings"

// Level is that of a service's Local Syslogs: the least severe alarms that are logged, as AXL and the Serviceability page call them, or Off.
type Level string

// Off is that nothing is logged: Enable Alarm is not ticked.
const Off Level = "off"

// levels are by severity.
var levels = [...]Level{"Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"}

// LoggedAt tells whether an alarm of ICSA's is logged at a level of its Local Syslogs. known is false where the level is none that is known, the
// alarm is another service's, whose level is its own, or its severity is not documented.
func (a Alarm) LoggedAt(l Level) (logged, known bool) {
	is, listed := catalogue[a]
	if !listed || is.facility != ICSA {
		return false, false
	}
	if strings.EqualFold(string(l), string(Off)) {
		return false, true
	}
	for severity, level := range levels {
		if strings.EqualFold(string(l), string(level)) && is.severity != undocumented {
			return is.severity <= severity, true
		}
	}
	return false, false
}
