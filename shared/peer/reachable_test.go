package peer

import (
	"testing"
	"time"
)

func TestReachableGoesBySyncsBeforeWhatPeerkeeperSees(t *testing.T) {
	judged(t, Reachable, []conditionCase{
		{"synced ten minutes ago", func(*scene) {}, True, SyncedRecently, Measured, ""},
		{"no sync lately, but it answers us", func(s *scene) { s.lastSync(time.Hour) }, True, ReachableFromPeerkeeper, Inferred, "not measured"},
		{"ICSA itself says that it does not reach it", func(s *scene) { s.lastSync(time.Hour); s.entry(func(e *Entry) { e.Error = ErrorUnreachable }) }, UnknownStatus, CannotConnect, Measured, "answers Peerkeeper"},
		{"lost ten minutes ago", func(s *scene) { s.lastSync(time.Hour); s.lose("apac", ago(10*time.Minute)) }, UnknownStatus, AwaitingPeerEvidence, Measured, ""},
		{"lost an hour ago and nobody syncs", func(s *scene) { s.outage(time.Hour) }, False, ClusterDown, Inferred, "no peer that pulls"},
		{"publisher lost an hour ago and nobody syncs", func(s *scene) { s.outage(time.Hour, pub("apac")) }, False, PublisherDown, Inferred, ""},
		{"lost to us alone", func(s *scene) { s.lastSync(time.Hour); s.lose("apac", ago(time.Hour)) }, UnknownStatus, CannotSeeCluster, Measured, "amer"},
		{"our account is rejected there", func(s *scene) { s.lastSync(time.Hour); s.reject("apac") }, UnknownStatus, AccountRejected, Measured, "apac"},
		{"the pulling cluster cannot be seen", func(s *scene) { s.lose("emea", ago(time.Hour)) }, UnknownStatus, CannotSeeCluster, Measured, "emea"},
	})
}
