package main

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"
)

type auditJSON struct {
	Mesh     string
	Read     map[string]*string
	Problems []struct {
		Kind, Key string
		Users     []struct{ Cluster, Node, UserID, IMAddress, DirectoryURI string }
	}
	Counts map[string]int
	Unread []struct{ Cluster, What, Reason string }
}

// TestAuditUsersFromTheCommandLine: on a simulated mesh whose day is fifteen
// seconds long.
func TestAuditUsersFromTheCommandLine(t *testing.T) {
	sim := simulate(t, "--users", "30", "--rate", "5760")
	run := func() { run1(t, sim.dir, "run", "--once", "peersync") }
	run()
	a := mustJSON[auditJSON](t, 1, sim.dir, "audit", "users")
	if a.Mesh != "acme" || len(a.Unread) != 3 || a.Read["emea"] != nil {
		t.Errorf("nothing was read yet: %+v", a)
	}
	sim.post(t, "/clusters/emea/users", `{"userid":"=zz.one","directoryuri":"zz.one@example.com"}`)
	sim.post(t, "/clusters/apac/users", `{"userid":"zz.two","imaddress":"zz.two@example.com","directoryuri":"ZZ.one@example.com."}`)
	sim.post(t, "/clusters/apac/users", `{"duplicate":"=ZZ.One"}`)
	deadline := time.Now().Add(5 * time.Minute)
	for len(a.Unread) > 0 && time.Now().Before(deadline) {
		run()
		a = mustJSON[auditJSON](t, 1, sim.dir, "audit", "users")
	}
	if a.Counts["duplicateUserID"] != 1 || a.Counts["duplicateDirectoryURI"] != 1 || len(a.Problems) != 2 || a.Problems[0].Key != "=zz.one" || len(a.Problems[0].Users) != 2 {
		t.Fatalf("%+v", a)
	}
	rows, err := csv.NewReader(strings.NewReader(must(t, 1, sim.dir, "audit", "users", "--csv"))).ReadAll()
	if err != nil || len(rows) != 5 || rows[1][1] != "'=zz.one" {
		t.Errorf("%q, %v", rows, err)
	}
	if text := must(t, 1, sim.dir, "audit", "users"); !strings.Contains(text, "user ID more than once: 1") || !strings.Contains(text, "zz.two") {
		t.Errorf("%s", text)
	}
	if _, _, code := run1(t, sim.dir, "audit", "users", "--csv", "--json"); code != 2 {
		t.Errorf("two forms at once: exit %d", code)
	}
	// By IM address, which is another user's ID nowhere.
	type whereabouts struct {
		Home  *struct{ Cluster string }
		Homes []struct{ Cluster string }
	}
	out, _, _ := run1(t, sim.dir, "user", "ZZ.two@example.com", "--json") // copied or not yet
	w := decode[whereabouts](t, out)
	if w.Home == nil || w.Home.Cluster != "apac" || len(w.Homes) != 1 {
		t.Errorf("%+v", w)
	}
}

type syncedJSON struct {
	Since string
	Peers []struct {
		ID, Synced, Basis string
		Last              *string
	}
}

func TestSyncedFromTheCommandLine(t *testing.T) {
	sim := simulate(t, "--users", "20")
	run1(t, sim.dir, "run", "--once", "peersync")
	s := mustJSON[syncedJSON](t, 0, sim.dir, "synced", "--since", "2h")
	if len(s.Peers) != 6 || s.Peers[0].Synced != "yes" || s.Peers[0].Last == nil || s.Peers[0].Basis == "" {
		t.Errorf("%+v", s)
	}
	if s := mustJSON[syncedJSON](t, 1, sim.dir, "synced", "--since", "1s", "--home", "emea"); len(s.Peers) != 2 {
		t.Errorf("%+v", s)
	}
	for _, args := range [][]string{{"--since", "yesterday"}, {"--since", "-2h"}, {"--since", "2999-01-01T00:00:00Z"}, {"--since", "2h", "--home", "mars"}, {}} {
		if _, _, code := run1(t, sim.dir, append([]string{"synced"}, args...)...); code != 2 {
			t.Errorf("synced %v: exit %d", args, code)
		}
	}
}
