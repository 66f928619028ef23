package peer

import (
	"testing"
	"time"
)

func TestServicesRunningWantsEachServiceWhereItMustRun(t *testing.T) {
	judged(t, ServicesRunning, []conditionCase{
		{"all started", func(*scene) {}, True, AllStarted, Measured, ""},
		{"ICSA stopped on the subscriber", func(s *scene) { s.service("emea", sub("emea"), ICSA, "Stopped") }, False, ServiceStopped, Measured, "imp-emea-sub"},
		{"AXL stopped on the subscriber", func(s *scene) { s.service("emea", sub("emea"), AXL, "Stopped") }, False, ServiceStopped, Measured, "imp-emea-sub"},
		{"XCP Router stopped on the subscriber", func(s *scene) { s.service("emea", sub("emea"), XCPRouter, "Stopped") }, False, ServiceStopped, Measured, "imp-emea-sub"},
		{"Sync Agent stopped on the publisher", func(s *scene) { s.service("emea", pub("emea"), SyncAgent, "Stopped") }, False, ServiceStopped, Measured, "imp-emea-pub"},
		{"ICSA stopped on the remote subscriber is the other direction's", func(s *scene) { s.service("apac", sub("apac"), ICSA, "Stopped") }, True, AllStarted, Measured, ""},
		{"AXL stopped on the remote publisher", func(s *scene) { s.service("apac", pub("apac"), AXL, "Stopped") }, False, ServiceStopped, Measured, "imp-apac-pub"},
		{"AXL stopped on the remote subscriber", func(s *scene) { s.service("apac", sub("apac"), AXL, "Stopped") }, True, AllStarted, Measured, ""},
		{"Sync Agent runs on the publisher only", func(s *scene) { s.service("emea", sub("emea"), SyncAgent, "Stopped") }, True, AllStarted, Measured, ""},
		{"starting", func(s *scene) { s.service("emea", pub("emea"), XCPRouter, "Starting") }, False, ServiceStopped, Measured, "is starting"},
		{"status Unknown proves nothing and counts", func(s *scene) { s.service("emea", pub("emea"), ICSA, "Unknown") }, UnknownStatus, UnreadableAnswer, Measured, ICSA},
		{"not listed", func(s *scene) { delete(s.emea().Seen.Nodes[pub("emea")].Services.Value, ICSA) }, UnknownStatus, UnreadableAnswer, Measured, ICSA},
		{"one node unread", func(s *scene) { s.unread("emea", sub("emea"), TimedOut) }, UnknownStatus, TimedOut, Measured, "imp-emea-sub"},
		{"one node unread, since our account is rejected", func(s *scene) { s.reject("emea"); s.unread("emea", sub("emea"), TimedOut) }, UnknownStatus, AccountRejected, Measured, "imp-emea-sub"},
		{"one node unread, another stopped", func(s *scene) {
			s.unread("emea", sub("emea"), TimedOut)
			s.service("emea", pub("emea"), ICSA, "Stopped")
		}, False, ServiceStopped, Measured, "imp-emea-pub"},
		{"own publisher down", func(s *scene) { s.down("emea", time.Hour, pub("emea")) }, False, PublisherDown, Inferred, "imp-emea-pub"},
		{"no node read: the publisher's reason comes first", func(s *scene) {
			s.unread("emea", pub("emea"), UnreadableAnswer)
			s.unread("emea", sub("emea"), TimedOut)
		}, UnknownStatus, UnreadableAnswer, Measured, "imp-emea-sub"},
	})
}
