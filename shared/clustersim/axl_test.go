package clustersim

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const homeWhere = " FROM enduser u, enterprisenode e WHERE u.primarynodeid = e.id AND u.status = 1 AND u.deletedtimestamp IS NULL AND (u.enablecups = 't' OR u.tkuserprofile = 100)"

// The six statements that Peerkeeper sends, word for word, over real sockets.
func TestProductQueries(t *testing.T) {
	r := newSocketRig(t, Config{Users: 100})
	t.Run("user counts", func(t *testing.T) {
		got := map[string]string{}
		for _, row := range r.query(emeaPub, "SELECT e.name AS node, COUNT(*) AS users"+homeWhere+" GROUP BY e.name").rows() {
			got[row["node"]] = row["users"]
		}
		want := map[string]string{}
		for _, id := range []string{"emea", "apac", "amer"} {
			want["imp-"+id+"-pub.example.com"], want["imp-"+id+"-sub.example.com"] = "50", "50"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("user buckets", func(t *testing.T) {
		rows := r.query(emeaPub, "SELECT e.name AS node, LOWER(SUBSTR(u.userid, LENGTH(u.userid), 1)) AS bucket, COUNT(*) AS users, SUM(LENGTH(u.userid)) AS weight, MIN(LOWER(u.userid)) AS low, MAX(LOWER(u.userid)) AS high"+homeWhere+" GROUP BY 1, 2").rows()
		total := 0
		for _, row := range rows {
			n, err := strconv.Atoi(row["users"])
			if err != nil || len(row["bucket"]) != 1 || row["low"] > row["high"] || row["weight"] == "" {
				t.Errorf("bad bucket %v", row)
			}
			total += n
		}
		if total != 300 {
			t.Errorf("buckets hold %d users, want 300", total)
		}
	})
	t.Run("user rows in pages", func(t *testing.T) {
		last, seen := "", map[string]bool{}
		for {
			rows := r.query(emeaPub, "SELECT FIRST 70 u.pkid AS pkid, u.userid AS userid, e.name AS node"+homeWhere+" AND u.pkid > '"+last+"' AND LOWER(SUBSTR(u.userid, LENGTH(u.userid), 1)) IN ('a','e','n','r','s','z','2') AND e.name IN ('"+apacPub+"') ORDER BY u.pkid").rows()
			for _, row := range rows {
				if row["pkid"] <= last || row["node"] != apacPub || seen[row["pkid"]] {
					t.Fatalf("row %v after %s", row, last)
				}
				last = row["pkid"]
				seen[last] = true
			}
			if len(rows) < 70 {
				break
			}
		}
		if len(seen) == 0 {
			t.Error("no row")
		}
	})
	t.Run("topology", func(t *testing.T) {
		got := map[string]string{}
		for _, row := range r.query(emeaSub, "SELECT p.name AS node, p.tknodeusage AS usage, e.tkhaserverstate AS ha_state, (SELECT MAX(syncstatus) FROM epassyncagentcfg) AS sync_status FROM processnode p, enterprisenode e WHERE p.name = e.name AND p.tkprocessnoderole = 2").rows() {
			got[row["node"]] = row["usage"] + " " + row["ha_state"] + " " + strings.Fields(row["sync_status"])[0]
		}
		if diff := cmp.Diff(map[string]string{emeaPub: "0 3 Completed", emeaSub: "1 3 Completed"}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("parameters", func(t *testing.T) {
		got := map[string]string{}
		for _, row := range r.query(emeaPub, "SELECT p.name AS node, c.paramname AS name, c.paramvalue AS value FROM processconfig c, processnode p, typeservice t WHERE c.fkprocessnode = p.pkid AND c.tkservice = t.enum AND t.nameforcontrol = 'Cisco Intercluster Sync Agent'").rows() {
			got[row["node"]+" "+row["name"]] = row["value"]
		}
		want := map[string]string{}
		for _, n := range []string{emeaPub, emeaSub} {
			want[n+" "+paramSyncInterval], want[n+" "+paramAutoRecovery], want[n+" "+paramCertificateSync] = "30", "t", "t"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("peers", func(t *testing.T) {
		rows := r.query(emeaPub, "SELECT peeraddress AS address, protocol AS protocol, lastsynctime AS last_sync, associatedusers AS users, lasterror AS last_error FROM cupsinterclusterpeers").rows()
		if len(rows) != 2 || rows[0]["address"] != apacPub || rows[0]["users"] != "100" || rows[0]["protocol"] != "tcp" || rows[0]["last_error"] != "" || len(rows[0]["last_sync"]) != len(peerTimeLayout) {
			t.Errorf("peers: %v", rows)
		}
	})
}
