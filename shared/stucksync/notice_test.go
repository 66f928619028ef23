package stucksync

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/intervention"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

func tell(change func(*noticeInput)) noticeInput {
	t := noticeInput{
		kind: kindOf(alarm.PeriodicSyncingFailure), peer: mesh.PeerID{From: "emea", To: "apac"}, reverse: peer.Healthy,
		condition: peer.Condition{Type: peer.Synced, Status: peer.False, Reason: peer.FourPeriodsMissed, Basis: peer.Measured, Since: time.Date(2026, 3, 2, 9, 5, 0, 0, time.UTC),
			Message: "last success 2026-03-02 07:05 UTC: four periods of 30 min have passed"},
		mesh: &mesh.Mesh{Policy: mesh.Policy{Mode: mesh.Recover}, Clusters: []mesh.Cluster{
			{ID: "emea", Publisher: "imp-emea-pub.example.com", TimeZone: "Europe/Berlin"}, {ID: "apac", Publisher: "imp-apac-pub.example.com", TimeZone: "Asia/Tokyo"},
		}},
	}
	change(&t)
	return t
}

func kindOf(name string) alarm.Kind {
	k, _ := alarm.Lookup(name)
	return k
}

func restartOf(t *noticeInput) *peer.Proposal {
	return &peer.Proposal{ID: "1ebab35c4e", Action: peer.RestartService, Target: peer.Target{Cluster: "emea", Node: "imp-emea-pub.example.com", Service: peer.ICSA},
		Interrupts: "the user syncs of 29 peers of emea for about a minute; no sessions, chats or logins", Collect: []string{"file build log inter_cluster 1", "utils service list"}}
}

const firstLine = "Users in emea do not see who was added, moved or removed in apac since Mon 2 Mar 10:05 CET (emea), Mon 2 Mar 18:05 JST (apac); the other direction, apac>emea, works. Cause: last success 2026-03-02 07:05 UTC: four periods of 30 min have passed (measured).\n"

func TestNotices(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*noticeInput)
		want   string
	}{
		{"a restart is about to come", func(t *noticeInput) {
			t.proposal, t.ladder, t.refused = restartOf(t), &peer.Ladder{Rung: peer.RungRestart}, []record.Refusal{{Guard: "announced"}}
		}, firstLine + `Peerkeeper: will restart Cisco Intercluster Sync Agent on imp-emea-pub.example.com at its next run, in 5 min, unless paused (` + "`peerkeeper pause emea`" + `); impact: the user syncs of 29 peers of emea for about a minute; no sessions, chats or logins.
Collect before: file build log inter_cluster 1; utils service list.
Next step: none needed yet; ` + "`peerkeeper explain emea>apac`" + ` shows how far the repair is.`},
		{"it waits until the service is old enough", func(t *noticeInput) {
			t.proposal, t.ladder = restartOf(t), &peer.Ladder{Rung: peer.RungRestart, Until: time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC), Evidence: "it has run since 09:00 UTC"}
		}, firstLine + `Peerkeeper: will restart Cisco Intercluster Sync Agent on imp-emea-pub.example.com after Mon 2 Mar 12:00 CET (emea) unless paused (` + "`peerkeeper pause emea`" + `); impact: the user syncs of 29 peers of emea for about a minute; no sessions, chats or logins. Why then: it has run since 09:00 UTC.
Collect before: file build log inter_cluster 1; utils service list.
Next step: none needed yet; ` + "`peerkeeper explain emea>apac`" + ` shows how far the repair is.`},
		{"a person must agree", func(t *noticeInput) {
			t.proposal, t.ladder = restartOf(t), &peer.Ladder{Rung: peer.RungRestart}
			t.proposal.Approval = "28 of the 28 other peers of this ICSA advance"
		}, firstLine + `Peerkeeper: waits for approval: 28 of the 28 other peers of this ICSA advance. ` + "`peerkeeper approve 1ebab35c4e`" + ` lets it restart Cisco Intercluster Sync Agent on imp-emea-pub.example.com once (impact: the user syncs of 29 peers of emea for about a minute; no sessions, chats or logins).
Collect before: file build log inter_cluster 1; utils service list.
Next step: in Cisco Unified CM IM and Presence Administration of imp-emea-pub.example.com, Presence > Inter-Clustering: Find and select imp-apac-pub.example.com, click Force Manual Sync and confirm with OK, or ` + "`peerkeeper approve 1ebab35c4e`" + `.`},
		{"a window holds it", func(t *noticeInput) {
			t.proposal, t.ladder, t.refused = restartOf(t), &peer.Ladder{Rung: peer.RungRestart}, []record.Refusal{{Guard: "announced"}, {Guard: "window", Why: "outside every allow window"}}
		}, firstLine + `Peerkeeper: would restart Cisco Intercluster Sync Agent on imp-emea-pub.example.com and does not: outside every allow window (window).
Collect before: file build log inter_cluster 1; utils service list.
Next step: none needed yet; ` + "`peerkeeper explain emea>apac`" + ` shows how far the repair is.`},
		{"observe", func(t *noticeInput) {
			t.mesh.Policy.Mode = mesh.Observe
			t.proposal, t.ladder = restartOf(t), &peer.Ladder{Rung: peer.RungRestart}
		}, firstLine + `Peerkeeper: nothing by itself, policy.mode is observe. In mode recover it would restart Cisco Intercluster Sync Agent on imp-emea-pub.example.com (impact: the user syncs of 29 peers of emea for about a minute; no sessions, chats or logins).
Collect before: file build log inter_cluster 1; utils service list.
Next step: in Cisco Unified CM IM and Presence Administration of imp-emea-pub.example.com, Presence > Inter-Clustering: Find and select imp-apac-pub.example.com, click Force Manual Sync and confirm with OK.`},
		{"Cisco's own recovery is awaited", func(t *noticeInput) {
			t.ladder = &peer.Ladder{Rung: peer.RungCisco, Evidence: "auto recovery is on: ICSA should restart itself by 2026-03-02 09:45 UTC"}
		}, firstLine + `Peerkeeper: auto recovery is on: ICSA should restart itself by 2026-03-02 09:45 UTC.
Next step: none needed yet; ` + "`peerkeeper explain emea>apac`" + ` shows how far the repair is.`},
		{"the ladder's end", func(t *noticeInput) {
			t.reverse = peer.Stuck
			t.ladder = &peer.Ladder{Rung: peer.RungHuman, Evidence: "it was restarted at 09:10 UTC and the sync still stands"}
		}, `Users in emea do not see who was added, moved or removed in apac since Mon 2 Mar 10:05 CET (emea), Mon 2 Mar 18:05 JST (apac); the other direction, apac>emea, is Stuck. Cause: last success 2026-03-02 07:05 UTC: four periods of 30 min have passed (measured).
Peerkeeper: it was restarted at 09:10 UTC and the sync still stands.
Next step: in Cisco Unified CM IM and Presence Administration of imp-emea-pub.example.com, Presence > Inter-Clustering: Find and select imp-apac-pub.example.com, click Force Manual Sync and confirm with OK; if that does not help, open a TAC case with ` + "`peerkeeper evidence emea>apac`" + `.`},
		{"a wrong password", func(t *noticeInput) {
			t.kind, t.reverse = kindOf(alarm.PeerCredentialsRejected), peer.StateUnknown
			t.condition.Reason, t.condition.Message = peer.PeerCredentialsRejected, "apac refuses the AXL user name or password in emea's peer entry"
			t.also = []mesh.PeerID{{From: "amer", To: "apac"}}
		}, `Users in emea do not see who was added, moved or removed in apac since Mon 2 Mar 10:05 CET (emea), Mon 2 Mar 18:05 JST (apac); how the other direction, apac>emea, does is not known. Cause: apac refuses the AXL user name or password in emea's peer entry (measured).
The same cause, and no notice of its own: amer>apac.
Peerkeeper: restarts nothing for it; ICSA itself tries again every 5 min.
Next step: in Cisco Unified CM IM and Presence Administration of imp-emea-pub.example.com, Presence > Inter-Clustering: Find and select imp-apac-pub.example.com. Enter the AXL user name and password of apac's intercluster application user again and click Save. Only this direction uses them; the other end keeps its own copy; ` + "`peerkeeper explain emea>apac`" + ` says what else there is to do.`},
		{"the machine has no such time zone, and a newer version found the reason", func(t *noticeInput) {
			t.kind, t.condition.Reason = kindOf(alarm.PeerCredentialsRejected), "FoundByANewerVersion"
			t.mesh.Clusters[1].TimeZone = "Asia/Edo"
		}, strings.Replace(firstLine, "Mon 2 Mar 18:05 JST", "Mon 2 Mar 09:05 UTC", 1) + `Peerkeeper: restarts nothing for it; ICSA itself tries again every 5 min.
Next step: ` + "`peerkeeper explain emea>apac`."},
		{"the address schemes differ: not the peers' page", func(t *noticeInput) {
			t.kind = kindOf(alarm.PeerMisconfigured)
			t.condition.Type, t.condition.Reason, t.condition.Message = peer.Compatible, peer.AddressSchemeDiffers, "emea has the scheme userid, apac directoryURI"
		}, `Presence between emea and apac does not flow, or one way only, since Mon 2 Mar 10:05 CET (emea), Mon 2 Mar 18:05 JST (apac); the other direction, apac>emea, works. Cause: emea has the scheme userid, apac directoryURI (measured).
Peerkeeper: restarts nothing for it; ICSA itself tries again every 5 min.
Next step: in Cisco Unified CM IM and Presence Administration of imp-emea-pub.example.com, Presence > Settings > Advanced Configuration: Compare IM Address Scheme with that of apac and decide on one for all clusters. To change it, services are stopped on every node of the cluster: in a window, with ` + "`peerkeeper maintenance` first; `peerkeeper explain emea>apac`" + ` says what else there is to do.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, strings.Join(compose(tell(c.change)), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// mesh30 is a full mesh of thirty clusters.
func mesh30() (ids []mesh.ClusterID, peers []mesh.PeerID) {
	for i := range 30 {
		ids = append(ids, mesh.ClusterID(fmt.Sprintf("c%02d", i+1)))
	}
	for _, a := range ids {
		for _, b := range ids {
			if a != b {
				peers = append(peers, mesh.PeerID{From: a, To: b})
			}
		}
	}
	return ids, peers
}

// One cause is one notice, in a mesh of thirty clusters.
func TestOneCauseIsOneNotice(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 5, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		peers func(mesh.PeerID) string // which alarm a peer fires, "" = none
		also  []alarm.Firing
		root  func(mesh.PeerID) peer.Root
		fire  int
	}{
		{"c07 is down", func(p mesh.PeerID) string {
			if p.From == "c07" || p.To == "c07" {
				return alarm.PeriodicSyncingFailure
			}
			return ""
		}, []alarm.Firing{{Name: alarm.ClusterDown, Cluster: "c07"}}, func(p mesh.PeerID) peer.Root { return peer.Root{Cause: p.String(), Cluster: p.From} }, 58},
		{"c07's certificate expired", func(p mesh.PeerID) string {
			if p.To == "c07" {
				return alarm.PeriodicSyncingFailure
			}
			return ""
		}, []alarm.Firing{{Name: alarm.CertificateExpired, Cluster: "c07"}}, func(p mesh.PeerID) peer.Root { return peer.Root{Cause: p.String(), Cluster: p.From} }, 29},
		{"a name in c07's certificate resolves nowhere", func(p mesh.PeerID) string {
			if p.To == "c07" {
				return alarm.NameNotResolving
			}
			return ""
		}, nil, func(p mesh.PeerID) peer.Root { return peer.Root{Cause: "NamesResolve:c07", Cluster: "c07"} }, 29},
		{"c07's ICSA stands still", func(p mesh.PeerID) string {
			if p.From == "c07" {
				return alarm.PeriodicSyncingFailure
			}
			return ""
		}, nil, func(p mesh.PeerID) peer.Root { return peer.Root{Cause: "ICSA:c07", Cluster: "c07"} }, 29},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, peers := mesh30()
			var firing []alarm.Firing
			for _, p := range peers {
				if name := c.peers(p); name != "" {
					firing = append(firing, alarm.Firing{Name: name, Peer: p, Since: at})
				}
			}
			if len(firing) != c.fire {
				t.Fatalf("%d peers fire", len(firing))
			}
			grouped, also := group(alarm.Inhibit(append(firing, c.also...)), func(p mesh.PeerID) (peer.Root, bool) { return c.root(p), p.From != "" })
			raised := alarm.Reconcile(nil, alarm.Check{Mesh: "acme", Firing: grouped, Now: at})
			loud := 0
			for _, it := range raised {
				if it.Active() {
					loud++
				}
			}
			if loud != 1 {
				t.Errorf("%d notices", loud)
			}
			named := 0
			for _, ids := range also {
				named += len(ids)
			}
			if len(c.also) == 0 && named != c.fire-1 {
				t.Errorf("the notice names %d others, want %d", named, c.fire-1)
			}
		})
	}
}

func TestEachOfTwoCausesHasItsNotice(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 5, 0, 0, time.UTC)
	firing := []alarm.Firing{
		{Name: alarm.PeriodicSyncingFailure, Peer: mesh.PeerID{From: "emea", To: "apac"}, Since: at}, {Name: alarm.PeriodicSyncingFailure, Peer: mesh.PeerID{From: "emea", To: "amer"}, Since: at.Add(-time.Minute)},
		{Name: alarm.PeriodicSyncingFailure, Peer: mesh.PeerID{From: "amer", To: "apac"}, Since: at}, {Name: alarm.UsersDiffer, Peer: mesh.PeerID{From: "emea", To: "amer"}, Since: at},
	}
	grouped, also := group(firing, func(p mesh.PeerID) (peer.Root, bool) {
		return peer.Root{Cause: string(p.From), Cluster: p.From}, p.From != ""
	})
	var held []bool
	for _, f := range grouped {
		held = append(held, f.Suppressed)
	}
	if diff := cmp.Diff([]bool{true, false, false, false}, held); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[int][]mesh.PeerID{1: {{From: "emea", To: "apac"}}}, also); diff != "" {
		t.Error(diff)
	}
	if firing[0].Suppressed {
		t.Error("the argument was changed")
	}
}

// Once a day, by the same way as alarms: raised at the day's first look, over at
// the next, however irregular the looks are.
func TestSelfTest(t *testing.T) {
	m := &mesh.Mesh{Name: "acme", Policy: mesh.Policy{Notify: mesh.Notify{SelfTest: true}}}
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, time.UTC) }
	looks := []time.Time{at(1, 8, 50), at(1, 8, 57), at(1, 9, 2), at(1, 9, 7), at(1, 23, 57), at(2, 0, 2), at(2, 8, 57), at(2, 14, 0), at(2, 14, 5), at(3, 9, 0), at(3, 9, 5)}
	items := map[string]alarm.Item{}
	var said []string
	var before time.Time
	for _, now := range looks {
		tk := &tick{Stucksync: &Stucksync{Mesh: m}, Grounds: intervention.Grounds{View: &peer.View{Facts: peer.Facts{Now: now}}, Lease: &store.Lease{Before: store.Run{Completed: before}}}}
		for _, it := range alarm.Reconcile(items, alarm.Check{Mesh: "acme", Firing: tk.selfTest(), Now: now}) {
			items[it.Fingerprint] = it
			said = append(said, fmt.Sprintf("%s %s %s", now.Format("2 15:04"), it.State, it.Severity))
		}
		before = now
	}
	want := []string{"1 09:02 raised info", "1 09:07 cleared info", "2 14:00 raised info", "2 14:05 cleared info", "3 09:00 raised info", "3 09:05 cleared info"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
	m.Policy.Notify.SelfTest = false
	tk := &tick{Stucksync: &Stucksync{Mesh: m}, Grounds: intervention.Grounds{View: &peer.View{Facts: peer.Facts{Now: at(4, 9, 0)}}, Lease: &store.Lease{Before: store.Run{Completed: at(3, 9, 5)}}}}
	if got := tk.selfTest(); len(got) != 0 {
		t.Error("not asked for, and sent")
	}
}

func mustSay(t *testing.T, name, text string, says, silent []string) {
	t.Helper()
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("%s: it does not say %q: %s", name, s, text)
		}
	}
	for _, s := range silent {
		if strings.Contains(text, s) {
			t.Errorf("%s: it says %q: %s", name, s, text)
		}
	}
}
