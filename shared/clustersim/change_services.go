package clustersim

import (
	"time"
)

// Services sets a service's status at once, whatever Cisco would do on the way
// there: a serviceStatus, or NotActivated. Restart is a request as by Control
// Center. crash is a stop with another reason than a person's.
type Services struct {
	Node    string `json:"node"`
	Service string `json:"service"`
	Status  string `json:"status"`
	Crash   bool   `json:"crash"`
	// StaysDown is a service that crashes whenever it has been started, from now on.
	StaysDown *bool `json:"staysDown"`
	// Takes is how long its start takes from now on, such as 2m; 0s is as ever.
	Takes *string `json:"takes"`
}

func (in Services) apply(s *Sim, c *cluster, now time.Time) error {
	if in.Crash {
		if in.Status == "" {
			in.Status = string(stopped)
		}
		if in.Status != string(stopped) {
			return wrong("crash", "goes with the status Stopped only")
		}
	}
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	v := n.service(in.Service)
	if v == nil {
		return wrong("service", "%q is not a service of %s", in.Service, n.name)
	}
	if in.StaysDown != nil {
		v.staysDown = *in.StaysDown
	}
	if in.Takes != nil {
		takes, err := time.ParseDuration(*in.Takes)
		if err != nil || takes < 0 {
			return wrong("takes", "%q is not a duration", *in.Takes)
		}
		v.takes = takes
	}
	if in.Status == "" && (in.StaysDown != nil || in.Takes != nil) {
		return nil
	}
	switch status := serviceStatus(in.Status); status {
	case started, stopped, starting, stopping, unknown:
		v.crashed = in.Crash
		if status == v.status {
			return nil
		}
		if v.name == serviceICSA {
			c.selfRestarting = false // whatever ICSA was about to do by itself
		}
		s.settle(n, v, status, now)
		if v.name == serviceRouter && status == stopped {
			for _, x := range n.services {
				if x.xcp() && x.status == started {
					s.settle(n, x, stopped, now)
				}
			}
		}
	case "Restart":
		if _, code := s.control(n, v.name, "Restart", now); code != reasonNone {
			return wrong("status", "Restart refused: %d %s", code, reasonTexts[code])
		}
	case "NotActivated":
		v.activated = false
		s.settle(n, v, stopped, now)
	default:
		return wrong("status", "%q is none of Started, Stopped, Starting, Stopping, Unknown, Restart, NotActivated", in.Status)
	}
	return nil
}
