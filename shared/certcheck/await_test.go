package certcheck

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/tlsprobe"
)

// TestPutInAndNotReadYet: emea lacked apac's certificate and has it now. Whether
// its agent has read it shows in the clock of its peer entry alone; a site whose
// clock cannot be read must not wait for ever.
func TestPutInAndNotReadYet(t *testing.T) {
	k := &keys{}
	for _, c := range []struct {
		name    string
		entry   peer.Entry
		awaited bool
	}{
		{"an entry with a clock that stands still", peer.Entry{Address: string(apacPub), HasClock: true, LastSync: noon().Add(-time.Hour)}, true},
		{"an entry with a clock that has never run", peer.Entry{Address: string(apacPub), HasClock: true}, true},
		{"an entry without a clock", peer.Entry{Address: string(apacPub)}, false},
		{"no entry at all", peer.Entry{Address: "imp-mars.example.net", HasClock: true}, false},
		{"an entry that has synced since", peer.Entry{Address: string(apacPub), HasClock: true, LastSync: noon().Add(13 * time.Hour)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, k)
			b.platform()
			b.look(run.Request{})
			entry := func(e peer.Entry) {
				doc := b.stored().Clusters["emea"]
				doc.Value.Seen.Entries = peer.Known([]peer.Entry{e}, b.now)
				var changes record.Changes
				record.Add(&changes, doc)
				if _, err := changes.Write(t.Context(), b.store); err != nil {
					t.Fatal(err)
				}
			}
			entry(peer.Entry{Address: c.entry.Address, HasClock: c.entry.HasClock})
			renewed := b.issue(t, wish{cn: string(apacPub)})
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, renewed)
			b.own[apacPub] = map[string][]*issued{"tomcat": {renewed}}
			said := func() string {
				for _, f := range b.look(run.Request{}).Certs["apac"].Value.Findings {
					if f.Reason == peer.NotTrustedByPeers {
						return f.Severity + ": " + f.Message
					}
				}
				return ""
			}
			said()
			b.now = b.now.Add(6 * time.Hour)
			if m := said(); !strings.HasPrefix(m, "critical: ") || !strings.Contains(m, "is not in the tomcat-trust of emea") {
				t.Fatalf("lacking: %q", m)
			}
			b.stores[emeaPub] = map[string][]*issued{"tomcat-trust": append(slices.Clone(b.stores[emeaPub]["tomcat-trust"]), renewed)}
			b.stores[emeaSub] = b.stores[emeaPub]
			entry(c.entry)
			for range 3 {
				b.now = b.now.Add(6 * time.Hour)
				m := said()
				if got := strings.Contains(m, "is in the tomcat-trust of emea now"); got != c.awaited || !c.awaited && m != "" {
					t.Errorf("put in: %q", m)
				}
			}
			entry(peer.Entry{Address: string(apacPub), HasClock: true, LastSync: b.now.Add(time.Minute)})
			b.now = b.now.Add(6 * time.Hour)
			if m := said(); m != "" {
				t.Errorf("synced over it: %q", m)
			}
			if got := b.stored().Certs["apac"].Value.Awaited; len(got) != 0 {
				t.Errorf("still awaited: %v", got)
			}
		})
	}
}
