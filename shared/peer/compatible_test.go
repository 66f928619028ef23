package peer

import (
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

func TestCompatibleWantsOneDomainAndOneAddressScheme(t *testing.T) {
	judged(t, Compatible, []conditionCase{
		{"one domain", func(*scene) {}, True, DomainsMatch, Declared, "example.com"},
		{"ICSA reports a conflict", func(s *scene) { s.entry(func(e *Entry) { e.Error = ErrorDomain }) }, False, DomainConflict, Cisco, "30 min"},
		{"users of other domains are lawful", func(s *scene) {
			s.apac().UserSet = Known(map[mesh.ClusterID]SetDigest{"apac": {Users: 200, Foreign: 3}}, ago(time.Hour))
		}, True, DomainsMatch, Declared, "example.com"},
		{"one scheme, spelled in two ways", func(s *scene) {
			s.parameter("emea", ParamScheme, "UserID@[Default_Domain]")
			s.parameter("apac", ParamScheme, "userid")
		}, True, DomainsMatch, Declared, ""},
		{"two schemes", func(s *scene) {
			s.parameter("emea", ParamScheme, "Directory URI")
			s.parameter("apac", ParamScheme, "userid")
		}, False, AddressSchemeDiffers, Measured, "emea makes IM addresses by the scheme Directory URI, apac by UserID@[Default_Domain]"},
		{"only one cluster tells its scheme", func(s *scene) { s.parameter("emea", ParamScheme, "directoryURI") }, True, DomainsMatch, Declared, ""},
		{"one default domain, in capitals and with a final dot", func(s *scene) {
			s.parameter("emea", ParamDomain, "EXAMPLE.com.")
			s.parameter("apac", ParamDomain, "example.com")
		}, True, DomainsMatch, Declared, ""},
		{"half a read tells no domain", func(s *scene) {
			n := s.emea().Seen.Nodes[pub("emea")]
			n.Parameters = Partial(map[string]string{ParamDomain: "example.net"}, noon, RowsIncomplete, "cut")
			s.emea().Seen.Nodes[pub("emea")] = n
			s.parameter("apac", ParamDomain, "example.com")
		}, True, DomainsMatch, Declared, ""},
		{"two default domains", func(s *scene) {
			s.parameter("emea", ParamDomain, "example.com")
			s.parameter("apac", ParamDomain, "example.net")
		}, False, DomainDiffers, Measured, "example.net"},
	})
}
