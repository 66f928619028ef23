package peer

import (
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
)

func TestConfiguredComparesThePeerEntriesOfBothEnds(t *testing.T) {
	judged(t, Configured, []conditionCase{
		{"both ends name each other", func(*scene) {}, True, EntriesMatch, Measured, "both ends"},
		{"the table is not mapped, but copies exist", func(s *scene) { s.emea().Seen.Entries = Unknown[[]Entry](NoDialect, "not mapped") }, True, CopiesExist, Inferred, "200 users"},
		{"the table is not mapped and there are no copies", func(s *scene) { s.emea().Seen.Entries = Unknown[[]Entry](NoDialect, "not mapped"); s.copied(0) }, UnknownStatus, NotObservable, Measured, "probe"},
		{"no entry", func(s *scene) { s.emea().Seen.Entries.Value = s.emea().Seen.Entries.Value[1:] }, False, PeerMissing, Measured, "imp-apac-pub"},
		{"entry names the subscriber", func(s *scene) { s.entry(func(e *Entry) { e.Address = string(sub("apac")) }) }, False, AddressNotPublisher, Measured, "not apac's database publisher"},
		{"entry names the address", func(s *scene) { s.entry(func(e *Entry) { e.Address = "192.0.2.1" }); s.only("apac", "192.0.2.1:8443") }, False, AddressNotNodeName, Measured, "node name"},
		{"entry names the IPv6 address", func(s *scene) {
			s.entry(func(e *Entry) { e.Address = "2001:db8::7" })
			s.only("apac", "[2001:db8::7]:8443")
		}, False, AddressNotNodeName, Measured, "node name"},
		{"entry in another case", func(s *scene) { s.entry(func(e *Entry) { e.Address = strings.ToUpper(e.Address) }) }, True, EntriesMatch, Measured, ""},
		{"entry with a final dot, in a column filled up with blanks", func(s *scene) { s.entry(func(e *Entry) { e.Address += ".  " }) }, True, EntriesMatch, Measured, ""},
		{"the other side has none", func(s *scene) { s.apac().Seen.Entries.Value = nil }, False, PeerMissingOnOtherSide, Measured, "both sides"},
		{"entry uses TLS where mesh.yaml says TCP", func(s *scene) { s.entry(func(e *Entry) { e.Protocol = mesh.TLSProto }) }, False, ProtocolDiffers, Measured, "mesh.yaml says tcp"},
		{"the two ends differ", func(s *scene) { s.apac().Seen.Entries.Value[0].Protocol = mesh.TLSProto }, False, ProtocolDiffers, Measured, ""},
		{"the other end's table is unread", func(s *scene) { s.apac().Seen.Entries = Unknown[[]Entry](QueryRefused, "fault") }, UnknownStatus, QueryRefused, Measured, "apac"},
		{"the other end's table is not mapped", func(s *scene) { s.apac().Seen.Entries = Unknown[[]Entry](NoDialect, "not mapped") }, True, EntriesMatch, Measured, "the other end's is not readable"},
		{"half a peer table proves no missing entry", func(s *scene) { s.emea().Seen.Entries = Partial([]Entry{}, noon, RowsIncomplete, "cut") }, UnknownStatus, RowsIncomplete, Measured, ""},
	})
}
