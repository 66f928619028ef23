package alarm_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// peerOf is a peer as "emea>apac", and none as anything else.
func peerOf(s string) mesh.PeerID {
	id, _ := mesh.ParsePeerID(s)
	return id
}

func down(cluster mesh.ClusterID) alarm.Firing {
	return alarm.Firing{Name: alarm.ClusterDown, Cluster: cluster, Message: "no node answers", Since: noon.Add(-time.Hour)}
}

// stored applies checks one after the other, as the store would keep them.
type stored map[string]alarm.Item

func (b stored) apply(look alarm.Check) []alarm.Item {
	look.Mesh = "acme"
	changed := alarm.Reconcile(b, look)
	for _, it := range changed {
		b[it.Fingerprint] = it
	}
	return changed
}

// named says of the alarms of one name that they cannot be judged now.
func named(name string) func(alarm.Item) bool {
	return func(it alarm.Item) bool { return it.Name == name }
}

// said lists an item's pending notices as "raised 1".
func said(it alarm.Item) []string {
	out := []string{}
	for _, p := range it.Pending {
		out = append(out, fmt.Sprintf("%s %d", p.Notice.State, p.Notice.Transition))
	}
	return out
}

func TestReconcile(t *testing.T) {
	type step struct {
		after   time.Duration // since noon
		firing  []alarm.Firing
		unknown bool
		removed bool
		deliver bool // before the look
		want    []string
	}
	all := func(alarm.Item) bool { return true }
	apac := down("apac")
	suppressed := apac
	suppressed.Suppressed = true
	day := alarm.RepeatEvery
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"raised once however long it lasts", []step{
			{firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: time.Minute, firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: time.Hour, firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
		}},
		{"cleared once", []step{
			{firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: time.Minute, want: []string{"raised 1", "cleared 2"}},
			{after: time.Hour, want: []string{"raised 1", "cleared 2"}},
		}},
		{"raised again counts on", []step{
			{firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: 1 * time.Minute, want: []string{"raised 1", "cleared 2"}},
			{after: 2 * time.Minute, deliver: true, firing: []alarm.Firing{apac}, want: []string{"raised 3"}},
			{after: 3 * time.Minute, want: []string{"raised 3", "cleared 4"}},
		}},
		{"what cannot be judged is not cleared", []step{
			{firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: time.Minute, unknown: true, want: []string{"raised 1"}},
			{after: 2 * time.Minute, want: []string{"raised 1", "cleared 2"}},
		}},
		{"what fires is known, whatever else is not", []step{
			{firing: []alarm.Firing{apac}, unknown: true, want: []string{"raised 1"}},
		}},
		{"suppressed is not raised until it no longer is", []step{
			{firing: []alarm.Firing{suppressed}},
			{after: time.Minute, firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
		}},
		{"suppressed does not clear what is raised", []step{
			{firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: time.Minute, firing: []alarm.Firing{suppressed}, want: []string{"raised 1"}},
			{after: 2 * time.Minute, want: []string{"raised 1", "cleared 2"}},
		}},
		{"suppressed and over was never anything", []step{
			{firing: []alarm.Firing{suppressed}},
			{after: time.Minute},
		}},
		{"repeated every 24 hours, with the transition of the raise", []step{
			{firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: day - time.Second, deliver: true, firing: []alarm.Firing{apac}, want: []string{}},
			{after: day, firing: []alarm.Firing{apac}, want: []string{"repeated 1"}},
			{after: day + time.Hour, firing: []alarm.Firing{apac}, want: []string{"repeated 1"}},
			{after: 2 * day, deliver: true, firing: []alarm.Firing{apac}, want: []string{"repeated 1"}},
			{after: 2*day + time.Minute, want: []string{"repeated 1", "cleared 2"}},
		}},
		{"not repeated while the raise itself waits to be sent", []step{
			{firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: 3 * day, firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
		}},
		{"not repeated while suppressed, and at once afterwards", []step{
			{firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: 3 * day, deliver: true, firing: []alarm.Firing{suppressed}, want: []string{}},
			{after: 3*day + time.Minute, firing: []alarm.Firing{apac}, want: []string{"repeated 1"}},
		}},
		{"removed from the mesh clears, even what cannot be judged", []step{
			{firing: []alarm.Firing{apac}, want: []string{"raised 1"}},
			{after: time.Minute, unknown: true, removed: true, want: []string{"raised 1", "cleared 2"}},
		}},
		{"said twice, suppressed once", []step{
			{firing: []alarm.Firing{suppressed, apac, suppressed}, want: []string{"raised 1"}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := stored{}
			fp := alarm.Fingerprint("acme", alarm.ClusterDown, "apac", mesh.PeerID{}, "")
			for i, s := range c.steps {
				if it, ok := b[fp]; ok && s.deliver {
					it.Pending = nil
					b[fp] = it
				}
				look := alarm.Check{Firing: s.firing, Now: noon.Add(s.after)}
				if s.unknown {
					look.Unknown = all
				}
				if s.removed {
					look.Removed = all
				}
				b.apply(look)
				if again := b.apply(look); again != nil {
					t.Errorf("step %d: the same look changes something again: %+v", i, again)
				}
				want := s.want
				if want == nil {
					want = []string{}
				}
				if diff := cmp.Diff(want, said(b[fp])); diff != "" {
					t.Errorf("step %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestNotice(t *testing.T) {
	b := stored{}
	f := alarm.Firing{Name: alarm.ServiceStopped, Cluster: "emea", Subject: "imp-emea-sub.example.com", Message: "ICSA is stopped on imp-emea-sub.example.com", Since: noon.Add(-time.Minute)}
	b.apply(alarm.Check{Firing: []alarm.Firing{f}, Now: noon})
	fp := alarm.Fingerprint("acme", f.Name, f.Cluster, mesh.PeerID{}, f.Subject)
	want := alarm.Notice{
		Name: f.Name, Severity: peer.Critical, State: alarm.Raised, Mesh: "acme", Cluster: "emea", Fingerprint: fp,
		Transition: 1, Since: f.Since, Message: f.Message, Runbook: "shared/alarm/README.md#alarm-servicestopped",
	}
	it := b[fp]
	if diff := cmp.Diff([]alarm.Pending{{Notice: want, Queued: noon}}, it.Pending); diff != "" {
		t.Errorf("raise (-want +got):\n%s", diff)
	}
	b.apply(alarm.Check{Now: noon.Add(time.Hour), Removed: func(alarm.Item) bool { return true }})
	it = b[fp]
	want.State, want.Transition, want.Since = alarm.Cleared, 2, noon.Add(time.Hour)
	want.Message = "no longer in mesh.yaml; it was: " + f.Message
	if diff := cmp.Diff(want, it.Pending[1].Notice); diff != "" || it.Reason != alarm.ReasonRemoved {
		t.Errorf("clear, reason %q (-want +got):\n%s", it.Reason, diff)
	}
	b.apply(alarm.Check{Firing: []alarm.Firing{{Name: "Misspelt", Cluster: "emea"}}, Now: noon})
	if it := b[alarm.Fingerprint("acme", "Misspelt", "emea", mesh.PeerID{}, "")]; len(it.Pending) != 1 || it.Severity != peer.Critical || !it.Since.Equal(noon) {
		t.Errorf("an alarm that the catalogue does not know is kept quiet: %+v", it)
	}
}

func TestFingerprint(t *testing.T) {
	seen := map[string]string{}
	for _, a := range [][5]string{
		{"acme", "X", "emea", "", ""}, {"acme", "X", "", "emea>apac", ""}, {"acme", "X", "", "", "emea"}, {"acme", "Xe", "mea", "", ""},
		{"acm", "eX", "emea", "", ""}, {"other", "X", "emea", "", ""}, {"acme", "X", "emea", "emea>apac", ""}, {"acme", "X", "emea", "", "a,b"},
	} {
		fp := alarm.Fingerprint(a[0], a[1], mesh.ClusterID(a[2]), peerOf(a[3]), a[4])
		if was, ok := seen[fp]; ok {
			t.Errorf("%v and %v have one fingerprint", was, a)
		}
		seen[fp] = fmt.Sprint(a)
	}
	// Receivers keep fingerprints: this one must never change.
	if fp := alarm.Fingerprint("acme", "ClusterDown", "apac", mesh.PeerID{}, ""); fp != "bdd771e4861ba8a7" {
		t.Errorf("the fingerprint changed to %s", fp)
	}
}

func TestCatalogue(t *testing.T) {
	all := alarm.Catalogue()
	kinds, of := map[string]alarm.Kind{}, map[peer.Reason]string{}
	for _, k := range all {
		if _, twice := kinds[k.Name]; twice {
			t.Errorf("%s stands there twice", k.Name)
		}
		kinds[k.Name] = k
		for _, why := range k.Findings {
			if other := of[why]; other != "" {
				t.Errorf("a finding %s fires %s and %s", why, other, k.Name)
			}
			of[why] = k.Name
		}
	}
	for _, want := range []string{"InterClusterSyncAgentPeerPeriodicSyncingFailure", "UsersDiffer", "ServiceStopped", "AccountRejected", "CannotSeeCluster", "ClusterDown", "PublisherDown", "CertificateExpired", "CertificateExpiring", "DNSServerSilent", "NameNotResolving", "PeerCredentialsRejected", "PeerMisconfigured", "RunOverdue", "NodeUnreachable"} {
		if k, ok := alarm.Lookup(want); !ok || k.Name != want {
			t.Errorf("no %s", want)
		}
	}
	for _, k := range all {
		if k.Summary == "" || k.Runbook() != "shared/alarm/README.md#alarm-"+strings.ToLower(k.Name) || k.Severity == "" || k.Urgency == "" || k.Scope == "" {
			t.Errorf("%s is not complete: %+v", k.Name, k)
		}
		if ofPeer := k.Scope == alarm.PeerScope; ofPeer != (len(k.Conditions) > 0) || ofPeer != (k.Effect != "") || !ofPeer && k.Next.Do != "" {
			t.Errorf("%s: an alarm of a peer, and no other, has conditions and an effect", k.Name)
		}
		for _, typ := range k.Conditions {
			if !slices.Contains(peer.Types(), typ) {
				t.Errorf("%s speaks of %s, which is no condition", k.Name, typ)
			}
		}
		if ofCluster := k.Scope == alarm.ClusterScope; ofCluster != (len(k.Findings) > 0) || ofCluster != (k.ClearedBy != "") {
			t.Errorf("%s: an alarm of a cluster, and no other, has findings and says what clears it", k.Name)
		}
		if (k.Reach != alarm.ReachesNone) && k.Scope != alarm.ClusterScope {
			t.Errorf("%s reaches peers and is no cluster's alarm", k.Name)
		}
		for _, cause := range k.InhibitedBy {
			if cause == alarm.Outage || cause == alarm.Cause {
				continue
			}
			c, ok := kinds[cause]
			switch {
			case !ok:
				t.Errorf("%s is inhibited by %s, which is no alarm", k.Name, cause)
			case slices.Contains(c.InhibitedBy, k.Name) || k.Class != "" && slices.Contains(c.InhibitedBy, k.Class):
				t.Errorf("%s and %s inhibit each other", k.Name, cause)
			case k.Scope == alarm.PeerScope && c.Scope == alarm.ClusterScope && c.Reach == alarm.ReachesNone:
				t.Errorf("%s is inhibited by %s, which reaches no peer", k.Name, cause)
			}
		}
		if k.Class != "" && k.Scope == alarm.ClusterScope && k.Reach == alarm.ReachesNone {
			t.Errorf("%s is a cause of others and reaches no peer", k.Name)
		}
		if slices.Contains(k.InhibitedBy, k.Class) {
			t.Errorf("%s inhibits itself", k.Name)
		}
		if _, ok := kinds[k.Awaits]; k.Awaits != "" && !ok {
			t.Errorf("%s awaits %s, which is no alarm", k.Name, k.Awaits)
		}
	}
	if k, _ := alarm.Lookup(alarm.PeriodicSyncingFailure); !strings.Contains(k.Summary, "Measured by Peerkeeper") || !strings.Contains(k.Summary, "Cisco's own alarm") {
		t.Errorf("the stuck sync does not say who measured it: %s", k.Summary)
	}
	if _, ok := alarm.Lookup("Nothing"); ok {
		t.Error("found an alarm that does not exist")
	}
	all[0].Name = "changed"
	if alarm.Catalogue()[0].Name == "changed" {
		t.Error("the catalogue can be changed from outside")
	}
}

func TestInhibit(t *testing.T) {
	stuck := func(peer string) alarm.Firing {
		return alarm.Firing{Name: alarm.PeriodicSyncingFailure, Peer: peerOf(peer)}
	}
	differ := func(peer string) alarm.Firing { return alarm.Firing{Name: alarm.UsersDiffer, Peer: peerOf(peer)} }
	cluster := func(name string, id mesh.ClusterID) alarm.Firing { return alarm.Firing{Name: name, Cluster: id} }
	heldDown := cluster(alarm.ClusterDown, "apac")
	heldDown.Suppressed = true
	for _, c := range []struct {
		name       string
		firing     []alarm.Firing
		suppressed []int
	}{
		{"a stuck sync by itself", []alarm.Firing{stuck("emea>apac")}, nil},
		{"a cluster that is down explains its peers, both ways", []alarm.Firing{cluster(alarm.ClusterDown, "apac"), stuck("emea>apac"), stuck("apac>emea"), stuck("emea>amer")}, []int{1, 2}},
		{"the order does not matter", []alarm.Firing{stuck("emea>apac"), cluster(alarm.ClusterDown, "apac")}, []int{0}},
		{"a stuck sync explains that users differ, on that peer alone", []alarm.Firing{stuck("emea>apac"), differ("emea>apac"), differ("apac>emea")}, []int{1}},
		{"an expired certificate explains only who pulls from it", []alarm.Firing{cluster(alarm.CertificateExpired, "apac"), stuck("emea>apac"), stuck("apac>emea")}, []int{1}},
		{"a publisher down explains the stopped service", []alarm.Firing{cluster(alarm.PublisherDown, "emea"), cluster(alarm.ServiceStopped, "emea"), cluster(alarm.ServiceStopped, "apac")}, []int{1}},
		{"a cause that is suppressed explains all the same", []alarm.Firing{heldDown, stuck("emea>apac")}, []int{0, 1}},
		{"a warning explains nothing", []alarm.Firing{cluster(alarm.DNSServerSilent, "emea"), cluster(alarm.CertificateExpiring, "emea"), stuck("emea>apac")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.firing)
			var suppressed []int
			for i, f := range alarm.Inhibit(c.firing) {
				if f.Suppressed {
					suppressed = append(suppressed, i)
				}
			}
			if diff := cmp.Diff(c.suppressed, suppressed); diff != "" {
				t.Errorf("suppressed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, c.firing); diff != "" {
				t.Errorf("the argument was changed:\n%s", diff)
			}
		})
	}
}

func TestSettle(t *testing.T) {
	t.Run("a steady state writes nothing", func(t *testing.T) {
		m := storetest.NewMemory()
		look := alarm.Check{Mesh: "acme", Firing: []alarm.Firing{down("apac"), down("emea")}, Now: noon}
		if changed, err := alarm.Settle(t.Context(), m, look); err != nil || len(changed) != 2 {
			t.Fatal(changed, err)
		}
		m.Fail = func(op string, k store.Key) error {
			if op != "load" {
				return fmt.Errorf("%s of %s", op, k.SK)
			}
			return nil
		}
		if changed, err := alarm.Settle(t.Context(), m, look); err != nil || changed != nil {
			t.Error(changed, err)
		}
	})
	t.Run("a stale load raises nothing twice", func(t *testing.T) {
		s := storetest.Stale(storetest.NewMemory(), 4)
		for i := range 12 {
			look := alarm.Check{Mesh: "acme", Now: noon.Add(time.Duration(i) * time.Minute)}
			if i < 6 {
				look.Firing = []alarm.Firing{down("apac")}
			}
			if _, err := alarm.Settle(t.Context(), s, look); err != nil {
				t.Fatal(err)
			}
		}
		it := read(t, s, down("apac"))
		if diff := cmp.Diff([]string{"raised 1", "cleared 2"}, said(it)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("one alarm that cannot be written does not keep the others", func(t *testing.T) {
		m := storetest.NewMemory()
		bad := store.Alarm("acme", alarm.Fingerprint("acme", alarm.ClusterDown, "apac", mesh.PeerID{}, ""))
		boom := errors.New("throttled")
		m.Fail = func(op string, k store.Key) error {
			if op == "put" && k == bad {
				return boom
			}
			return nil
		}
		changed, err := alarm.Settle(t.Context(), m, alarm.Check{Mesh: "acme", Firing: []alarm.Firing{down("apac"), down("emea")}, Now: noon})
		if !errors.Is(err, boom) || len(changed) != 1 || changed[0].Cluster != "emea" {
			t.Error(changed, err)
		}
	})
	t.Run("an alarm of a newer schema is left alone and told", func(t *testing.T) {
		m := storetest.NewMemory()
		fp := alarm.Fingerprint("acme", alarm.ClusterDown, "apac", mesh.PeerID{}, "")
		body := fmt.Sprintf(`{"schema":9,"name":"ClusterDown","mesh":"acme","cluster":"apac","fingerprint":%q,"state":"raised","transition":1}`, fp)
		if err := m.Put(t.Context(), store.Item{Key: store.Alarm("acme", fp), Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
		if _, err := alarm.Settle(t.Context(), m, alarm.Check{Mesh: "acme", Now: noon}); !errors.Is(err, store.ErrNewerSchema) {
			t.Errorf("error %v", err)
		}
	})
}

func read(t *testing.T, s store.Store, f alarm.Firing) alarm.Item {
	t.Helper()
	items, err := alarm.Items(t.Context(), s, "acme")
	it, there := items[alarm.Fingerprint("acme", f.Name, f.Cluster, f.Peer, f.Subject)]
	if err != nil || !there {
		t.Fatal(there, err)
	}
	return it
}

// Whatever happens in whatever order: raises and clears alternate, transitions
// count up by one, nothing is cleared by a partial look, and nothing is suppressed
// back once the sinks take notices again.
func TestBookHoldsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := stored{}
		now := noon
		fp := alarm.Fingerprint("acme", alarm.ClusterDown, "apac", mesh.PeerID{}, "")
		var told []alarm.Notice
		for range rapid.IntRange(1, 120).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "hours")) * time.Hour)
			fires, suppressed, unknown := rapid.Bool().Draw(t, "fires"), rapid.Bool().Draw(t, "suppressed"), rapid.Bool().Draw(t, "unknown")
			look := alarm.Check{Now: now, Unknown: func(alarm.Item) bool { return unknown }}
			if fires {
				f := down("apac")
				f.Suppressed = suppressed
				look.Firing = []alarm.Firing{f}
			}
			before := b[fp]
			b.apply(look)
			after := b[fp]
			switch {
			case !fires && unknown && !cmp.Equal(before, after):
				t.Fatalf("a look that knows nothing changed the alarm")
			case fires && !suppressed && !after.Active() && len(after.Pending) < 40:
				t.Fatalf("a firing alarm does not stand")
			case fires && before.Active() && !after.Active():
				t.Fatalf("a firing alarm was cleared")
			case !fires && !unknown && after.Active() && len(after.Pending) < 40:
				t.Fatalf("an alarm stands although nothing fires")
			}
			if _, exists := b[fp]; rapid.Bool().Draw(t, "delivered") && exists {
				for _, p := range after.Pending {
					told = append(told, p.Notice)
				}
				after.Pending = nil
				b[fp] = after
			}
		}
		for _, p := range b[fp].Pending {
			told = append(told, p.Notice)
		}
		transition, standing := 0, false
		for _, n := range told {
			switch n.State {
			case alarm.Repeated:
				if !standing || n.Transition != transition {
					t.Fatalf("repeat of %d after %d, standing %v", n.Transition, transition, standing)
				}
			case alarm.Raised, alarm.Cleared:
				if (n.State == alarm.Raised) == standing || n.Transition != transition+1 {
					t.Fatalf("%s %d after %d, standing %v", n.State, n.Transition, transition, standing)
				}
				transition, standing = n.Transition, !standing
			}
		}
	})
}

func FuzzStoredItem(f *testing.F) {
	f.Add([]byte(`{"schema":1,"name":"ClusterDown","state":"raised","mesh":"acme","fingerprint":"ab","transition":1,"since":"2026-03-01T12:00:00Z","pending":[{"notice":{"name":"ClusterDown"},"queued":"2026-03-01T12:00:00Z","done":["file"]}]}`))
	f.Add([]byte(`{"schema":1,"transition":-5,"pending":[null,{}],"peer":">"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := storetest.NewMemory()
		if s.Put(t.Context(), store.Item{Key: store.Alarm("acme", "ab"), Body: body}) != nil {
			return
		}
		items, err := alarm.Items(t.Context(), s, "acme")
		if err != nil {
			return
		}
		// Whatever was stored, reconciling it neither panics nor never ends.
		b := stored(items)
		for _, look := range []alarm.Check{{Now: noon}, {Now: noon, Firing: []alarm.Firing{down("apac")}}, {Now: noon, Unknown: named(alarm.ClusterDown)}} {
			b.apply(look)
			if again := b.apply(look); again != nil {
				t.Fatalf("not level-triggered: %+v", again)
			}
		}
	})
}

// TestSeverityRises: what becomes critical is said at once, under the same
// transition, and cleared once.
func TestSeverityRises(t *testing.T) {
	now := time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC)
	items := map[string]alarm.Item{}
	var said []string
	look := func(at time.Time, severity peer.Severity) {
		l := alarm.Check{Mesh: "acme", Now: at}
		if severity != "" {
			l.Firing = []alarm.Firing{{Name: alarm.CertificateExpiring, Cluster: "apac", Subject: "one certificate", Message: "it expires", Severity: severity}}
		}
		for _, it := range alarm.Reconcile(items, l) {
			for _, p := range it.Pending {
				if p.Queued.Equal(at) {
					said = append(said, fmt.Sprintf("%s %s %d", p.Notice.State, p.Notice.Severity, p.Notice.Transition))
				}
			}
			items[it.Fingerprint] = it
		}
	}
	look(now, peer.Warning)
	look(now.Add(time.Hour), peer.Warning)
	look(now.Add(2*time.Hour), peer.Critical)
	look(now.Add(3*time.Hour), peer.Critical)
	look(now.Add(4*time.Hour), "")
	want := []string{"raised warning 1", "repeated critical 1", "cleared warning 2"}
	if !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}
