package peer

import (
	"testing"
	"time"
)

func TestAuthenticatedReadsWhatTheEntryReports(t *testing.T) {
	judged(t, Authenticated, []conditionCase{
		{"accepted at the last sync", func(*scene) {}, True, CredentialsAccepted, Measured, ""},
		{"refused", func(s *scene) { s.entry(func(e *Entry) { e.Error = ErrorCredentials }) }, False, PeerCredentialsRejected, Measured, "apac refuses"},
		{"the sync now fails before its log-in", func(s *scene) { s.entry(func(e *Entry) { e.Error = ErrorNames }) }, UnknownStatus, CannotConnect, Measured, "names"},
		{"no column tells", func(s *scene) { s.lastSync(time.Hour); s.entry(func(e *Entry) { e.HasError = false }) }, UnknownStatus, NotObservable, Measured, "Peer Connectivity Test"},
		{"overdue without an error", func(s *scene) { s.lastSync(time.Hour) }, True, CredentialsAccepted, Measured, "no error"},
	})
}
