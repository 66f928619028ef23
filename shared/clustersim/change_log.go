package clustersim

import (
	"slices"
	"time"
)

// Log sets what a cluster's logs hold and how they are served, and has its
// publisher say an alarm. Zone "local" has the node's own zone in the inner time,
// where "UTC" has been seen; syslogd false is that its daemon has stopped, so that
// nothing is written or pushed. Sizes and rotation are of the publisher's log. An
// alarm that the catalogue does not know is taken as one of ICSA, severity 2.
// Pushes go to host:port or udp://host:port, or to tcp://host:port, and what may
// happen to them on the way is asked for one by one.
type Log struct {
	Severity *int    `json:"severity"`
	Form     *string `json:"form"`
	Push     *string `json:"push"`
	// Of what is pushed: lines or octets (counts, over TCP); each line twice; of
	// each two lines the second first, so that one waits for the next; garbage
	// before each.
	PushFraming *string `json:"pushFraming"`
	PushTwice   *bool   `json:"pushTwice"`
	PushSwapped *bool   `json:"pushSwapped"`
	PushGarbage *bool   `json:"pushGarbage"`

	Alarm   string  `json:"alarm"`
	Peer    string  `json:"peer"`
	Size    *int    `json:"size"`
	Rotate  bool    `json:"rotate"`
	Framing *string `json:"framing"`
	Service *string `json:"service"`
	LevelBy *string `json:"levelBy"`
	Zone    *string `json:"zone"`
	Syslogd *bool   `json:"syslogd"`
	Roles   *bool   `json:"roles"` // whether the read account has those of Log Collection
}

func (in Log) apply(s *Sim, c *cluster, now time.Time) error {
	one := func(field string, value *string, of ...string) error {
		if value != nil && *value != "" && !slices.Contains(of, *value) {
			return wrong(field, "%q is none of %v", *value, of)
		}
		return nil
	}
	for _, err := range []error{
		one("form", in.Form, "stored", "wire"), one("pushFraming", in.PushFraming, "lines", "octets"), one("framing", in.Framing, framedXOP, framedAxis, framedXML),
		one("service", in.Service, "new", "old", "none"), one("levelBy", in.LevelBy, "answer", "fault", "unknown"), one("zone", in.Zone, "UTC", "local"),
	} {
		if err != nil {
			return err
		}
	}
	if in.Severity != nil && (*in.Severity < 0 || *in.Severity > 7) {
		return wrong("severity", "%d: want 0 to 7, such as 6 (Informational) or 3 (Error)", *in.Severity)
	}
	if in.Size != nil && (*in.Size < 0 || *in.Size > logMaxSize) {
		return wrong("size", "%d bytes: want up to %d", *in.Size, logMaxSize)
	}
	remote := s.cluster(in.Peer)
	if in.Peer != "" && (remote == nil || remote == c) {
		return wrong("peer", "%q is not another cluster of this mesh", in.Peer)
	}
	var push *logPush
	if in.Push != nil && *in.Push != "" {
		var err error
		if push, err = newLogPush(*in.Push); err != nil {
			return wrong("push", "%q: %v", *in.Push, err)
		}
	}
	line, parameter, known := alarmNamed(in.Alarm)
	if in.Alarm != "" && known && parameter != "" && remote == nil {
		return wrong("peer", "%s names a peer: want the id of another cluster", line.name)
	}

	set := &c.logging
	if in.Severity != nil {
		set.severity = *in.Severity
	}
	for _, change := range []struct{ to, from *string }{{&set.form, in.Form}, {&set.framing, in.Framing}, {&set.service, in.Service}, {&set.levelBy, in.LevelBy}, {&set.zone, in.Zone}} {
		if change.from != nil {
			*change.to = *change.from
		}
	}
	if in.Push != nil {
		set.push.close()
		set.push = push
	}
	if in.PushFraming != nil {
		set.ways.octets = *in.PushFraming == "octets"
	}
	for _, change := range []struct{ to, from *bool }{{&set.ways.twice, in.PushTwice}, {&set.ways.swapped, in.PushSwapped}, {&set.ways.garbage, in.PushGarbage}} {
		if change.from != nil {
			*change.to = *change.from
		}
	}
	if in.Roles != nil {
		set.denied = !*in.Roles
	}
	pub := c.publisher()
	pub.writeOthers(now) // by what was so until now
	if in.Syslogd != nil {
		set.dead = !*in.Syslogd
	}
	if in.Rotate {
		pub.rotateLog(now)
	}
	if in.Size != nil {
		pub.padLog(*in.Size, now)
	}
	switch {
	case in.Alarm == "":
	case known:
		s.icsaSays(c, in.Alarm, c.peerOf(in.Peer), remote, now)
	default:
		line = alarmLine{facility: "UC_ICSA", severity: 2, name: in.Alarm, app: serviceICSA, text: "An alarm that the catalogue does not have."}
		if remote != nil {
			line.tags = [][2]string{{"remotePeerAddress", remote.publisher().name}}
		}
		s.logAlarm(pub, line, now)
	}
	return nil
}
