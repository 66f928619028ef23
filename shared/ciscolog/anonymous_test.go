package ciscolog

import (
	"strings"
	"testing"
)

func TestALineCanBeSentWithoutNames(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"a success, stored", icsa,
			"Nov 27 10:00:00 NODE local7 6 : 62: NODE: Nov 27 2026 09:00:00.000 UTC : %UC_ICSA-6-InterClusterSyncAgentStatus: %[remotePeerAddress=PEER][AppID=Cisco Intercluster Sync Agent][ClusterID=][NodeID=NODE]: Periodic sync completed successfully."},
		{"blanks and order are kept, names in the sentence are not",
			"<189>7: IMPA: Nov 27 2026 09:00:00 AM.123 UTC :  %UC_ICSA-2-InterClusterSyncAgentAppUserEndUserConflict : %[ conflictingUserID =  jdoe ] [Node ID=impa][remotePeer=impb.example.com]: User jdoe (jdoe@example.com) of impb at 192.0.2.7 or 2001:db8:0:1::7, see backup.example.org in cluster-x.",
			"<189>7: NODE: Nov 27 2026 09:00:00 AM.123 UTC :  %UC_ICSA-2-InterClusterSyncAgentAppUserEndUserConflict : %[ conflictingUserID =  USER ] [Node ID=NODE][remotePeer=PEER]: User USER (USER) of PEER at ADDRESS or ADDRESS, see NAME in NODE."},
		{"names at both ends of the line",
			"amer: Nov 27 2026 09:00:00 UTC : %UC_ICSA-2-InterClusterSyncAgentSyncFailure: %[NodeID=impa]: no sync of amer",
			"NODE: Nov 27 2026 09:00:00 UTC : %UC_ICSA-2-InterClusterSyncAgentSyncFailure: %[NodeID=NODE]: no sync of NODE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := one(t, c.line).Anonymous("cluster-x", "amer"); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func FuzzAnonymous(f *testing.F) {
	f.Add(icsa, "impb.example.com")
	f.Fuzz(func(t *testing.T, line, name string) {
		e, ok := Parse([]byte(line), read)
		if !ok {
			return
		}
		if got := e.Anonymous(name); len(e.Peer) > 12 && strings.Contains(e.Peer, ".example.") && strings.Contains(got, e.Peer) {
			t.Errorf("%q still names %q", got, e.Peer)
		}
	})
}
