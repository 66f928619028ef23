package peer

import (
	"testing"
	"time"
)

func TestAuthenticatedReadsWhatTheEntryReports(t *testing.T) {
	judged(t, Authenticated, []conditionCase{
		{"accepted at the last sync", func(*scene) {}, True, CredentialsAccepted, Measured, "worked at the last sync"},
		{"accepted at a sync that is as old as one may be", func(s *scene) { s.lastSync(40 * time.Minute) }, True, CredentialsAccepted, Measured, "worked at the last sync"},
		{"an older sync proves nothing", func(s *scene) { s.lastSync(41 * time.Minute) }, True, CredentialsAccepted, Measured, "no error"},
		{"the peer table cannot be read", func(s *scene) { s.emea().Seen.Entries = Unknown[[]Entry](QueryRefused, "fault") }, UnknownStatus, QueryRefused, Measured, "emea: fault"},
		{"the peer table is not mapped", func(s *scene) { s.emea().Seen.Entries = Unknown[[]Entry](NoDialect, "not mapped") }, UnknownStatus, NotObservable, Measured, "Peer Connectivity Test"},
		{"refused", func(s *scene) { s.entry(func(e *Entry) { e.Error = ErrorCredentials }) }, False, PeerCredentialsRejected, Measured, "apac refuses"},
		{"the sync now fails before its log-in", func(s *scene) { s.entry(func(e *Entry) { e.Error = ErrorNames }) }, UnknownStatus, CannotConnect, Measured, "names"},
		{"no column tells", func(s *scene) { s.lastSync(time.Hour); s.entry(func(e *Entry) { e.HasError = false }) }, UnknownStatus, NotObservable, Measured, "Peer Connectivity Test"},
		{"overdue without an error", func(s *scene) { s.lastSync(time.Hour) }, True, CredentialsAccepted, Measured, "no error"},
	})
}
