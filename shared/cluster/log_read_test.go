package cluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// otherLog is a node that lists its log as it is, and sends another one.
type otherLog struct {
	next http.RoundTripper
	file func() io.Reader
	sent int // bytes
}

func (o *otherLog) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(req)
	if err != nil || !strings.Contains(req.Header.Get("Soapaction"), "GetOneFile") {
		return resp, err
	}
	_ = resp.Body.Close()
	root := `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><r:GetOneFileReturn xmlns:r="http://schemas.cisco.com/ast/soap"><x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:1.a"/></r:GetOneFileReturn></e:Body></e:Envelope>`
	resp.Header.Set("Content-Type", `multipart/related; boundary=b; type="application/xop+xml"; start="<0.a>"`)
	body := io.MultiReader(strings.NewReader("--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <0.a>\r\n\r\n"+root+"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-ID: <1.a>\r\n\r\n"), o.file(), strings.NewReader("\r\n--b--\r\n"))
	resp.Body, resp.ContentLength = io.NopCloser(io.TeeReader(body, counting{&o.sent})), -1
	return resp, nil
}

type counting struct{ n *int }

func (c counting) Write(p []byte) (int, error) { *c.n += len(p); return len(p), nil }

// endless repeats a text for ever.
type endless struct{ text, left string }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == "" {
		e.left = e.text
	}
	n := copy(p, e.left)
	e.left = e.left[n:]
	return n, nil
}

// TestAHostileLog costs a turn, and nothing that is wrong is believed for it.
func TestAHostileLog(t *testing.T) {
	line := func(at, alarm, peer, text string) string {
		return "Mar  2 08:00:00 h local7 2 : 7: imp-emea-pub.example.com: " + at + " UTC : %UC_ICSA-2-" + alarm + ": %[remotePeerAddress=" + peer + "][AppID=Cisco Intercluster Sync Agent][ClusterID=][NodeID=imp-emea-pub]: " + text + "\n"
	}
	const past, apac = "Mar 02 2026 07:00:00.000", "imp-apac-pub.example.com"
	for _, c := range []struct {
		name  string
		file  func() io.Reader
		check func(g peer.LogReading) bool
	}{
		{"lines without end", func() io.Reader { return &endless{text: line(past, "InterClusterSyncAgentSyncFailure", apac, "x")} }, func(g peer.LogReading) bool {
			return g.Outcome == peer.LogFailed && g.Problem == "tooLarge" && len(g.Words.Peers) == 0
		}},
		{"one line without end", func() io.Reader { return &endless{text: "%UC_ICSA-2-"} }, func(g peer.LogReading) bool { return g.Outcome == peer.LogFailed && g.Problem == "tooLarge" }},
		{"bytes at random", func() io.Reader {
			b := make([]byte, 4<<20)
			_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // it gives what is asked for
			return strings.NewReader(string(b))
		}, func(g peer.LogReading) bool {
			return g.Outcome == peer.LogRead && len(g.Words.Peers)+len(g.Words.Cluster) == 0
		}},
		{"successes ahead of the node's clock", func() io.Reader {
			return strings.NewReader(line("Mar 02 2099 07:00:00.000", "InterClusterSyncAgentStatus", apac, "Periodic sync completed successfully") + line(past, "InterClusterSyncAgentStatus", apac, "Periodic sync completed successfully") + line("Mar 02 2026 11:00:00.000", "InterClusterSyncAgentStatus", apac, "Periodic sync completed successfully"))
		}, func(g peer.LogReading) bool {
			return g.Words.Peers["apac"].Success.At.Equal(time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC)) && !g.From.After(g.At)
		}},
		{"a last success ahead of the alarm that tells of it", func() io.Reader {
			return strings.NewReader(strings.ReplaceAll(line("Mar 02 2099 07:00:00.000", "InterClusterSyncAgentPeerPeriodicSyncingFailure", apac, "x"), "[AppID", "[lastSynchronizedTime=2098-03-02 07:00:00 +0000][AppID"))
		}, func(g peer.LogReading) bool {
			p := g.Words.Peers["apac"]
			return p.LastSynced.Alarm == "" && p.Periodic.Alarm != "" && p.Periodic.Dating == ciscolog.Undated
		}},
		{"thirty thousand peers that nobody has", func() io.Reader {
			var b strings.Builder
			for i := range 30_000 {
				b.WriteString(line(past, fmt.Sprintf("Forged%d", i), fmt.Sprintf("x%d.example.com", i), strings.Repeat("\x1b[31m\u202e<&>", 20)))
			}
			return strings.NewReader(b.String())
		}, func(g peer.LogReading) bool {
			return g.Outcome == peer.LogRead && len(g.Words.Peers) == 0 && len(g.Words.Cluster) == 50
		}},
		{"an alert that quotes an alarm", func() io.Reader {
			return strings.NewReader("Mar  2 08:00:00 h local7 2 : 7: h: " + past + " UTC : %UC_RTMT-2-RTMT_ALERT: %[AlertDetail= #012MatchedEvent : " + line(past, "InterClusterSyncAgentSyncFailure", apac, "x"))
		}, func(g peer.LogReading) bool { return len(g.Words.Peers)+len(g.Words.Cluster) == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 3, Users: 10}, false)
			other := &otherLog{next: r.Connector.Transport, file: c.file}
			r.Connector.Transport = other
			r.look("emea")
			g := r.client("emea").ReadLog(t.Context(), r.Mesh, &peer.LogRecord{}, cluster.LogTurn{Allowance: peer.Allowance{Requests: 4, Bytes: 64 << 20}, Fetch: true}, r.Clock.Now())
			if !c.check(g) {
				t.Errorf("%+v", g)
			}
			if g.Requests > 4 || other.sent > 17<<20 {
				t.Errorf("%d requests, %d bytes", g.Requests, other.sent)
			}
			body, err := json.Marshal(peer.LogRecord{}.After(g))
			if err != nil || len(body) > 120<<10 {
				t.Errorf("%d bytes are stored, %v", len(body), err)
			}
			for _, w := range g.Words.Cluster {
				if !plain.Clean(w.Text) || !plain.Clean(w.Of) || !plain.Clean(string(w.Alarm)) {
					t.Errorf("%q", w)
				}
			}
		})
	}
}

// TestAListThatComesBack is found again when the level is asked for, and until then
// costs nothing.
func TestAListThatComesBack(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	r.Change("emea", clustersim.Log{Service: new("old")})
	r.look("emea")
	var had peer.LogRecord
	turn := func(level bool) peer.LogReading {
		before := r.Requests("emea")["selectLogFiles"]
		g := r.client("emea").ReadLog(t.Context(), r.Mesh, &had, cluster.LogTurn{Allowance: peer.Allowance{Requests: 4, Bytes: 64 << 20}, Fetch: true, Level: level}, r.Clock.Now())
		if asked := r.Requests("emea")["selectLogFiles"] > before; g.Outcome != peer.LogRead || asked && !level {
			t.Errorf("asked for a list: %v; %+v", asked, g)
		}
		had = had.After(g)
		return g
	}
	if g := turn(true); g.Way != (peer.LogWay{List: "none", File: "DimeGetFileService"}) || len(g.Words.Peers) != 1 {
		t.Errorf("%+v", g)
	}
	r.Change("emea", clustersim.Log{Service: new("")})
	if g := turn(false); g.Way.List != "none" || !g.Unbroken || g.Requests != 1 {
		t.Errorf("%+v", g)
	}
	if g := turn(true); g.Way.List != "systems" || !g.Unbroken {
		t.Errorf("%+v", g)
	}
}

// TestWhatATurnMayCost is kept to whatever it meets.
func TestWhatATurnMayCost(t *testing.T) {
	for requests := range 5 {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 10}, false)
		r.look("emea")
		var had peer.LogRecord
		turn := func(a peer.Allowance) peer.LogReading {
			g := r.client("emea").ReadLog(t.Context(), r.Mesh, &had, cluster.LogTurn{Allowance: a, Fetch: true, Level: true}, r.Clock.Now())
			if g.Requests > a.Requests {
				t.Errorf("%d requests of %d: %+v", g.Requests, a.Requests, g)
			}
			return g
		}
		g := turn(peer.Allowance{Requests: requests, Bytes: 64 << 20})
		if want := map[bool]peer.LogOutcome{true: peer.LogRead, false: peer.LogNotFetched}[requests >= 2]; g.Outcome != want || g.LevelAsked != (requests >= 4) {
			t.Errorf("%d requests: %+v", requests, g)
		}
		had = had.After(turn(peer.Allowance{Requests: 12, Bytes: 64 << 20}))
		if g := turn(peer.Allowance{Requests: 12}); g.Outcome != peer.LogUnchanged {
			t.Errorf("without a byte: %+v", g)
		}
		for range 2 { // what is read is in no copy that is looked at
			r.Change("emea", clustersim.Log{Rotate: true}, clustersim.Log{Alarm: "SRMFailover"})
		}
		if g := turn(peer.Allowance{Requests: requests, Bytes: 64 << 20}); requests == 2 && g.Outcome != peer.LogReadPartly || requests >= 3 && (g.Outcome != peer.LogRead || g.Unbroken) {
			t.Errorf("%d requests after a rotation: %+v", requests, g)
		}
	}
}

// TestWhatEndsATurnBeforeTheLogIsFetched: nobody wants it now, it is more than may be
// read in this turn or in any, or the account lacks the role.
func TestWhatEndsATurnBeforeTheLogIsFetched(t *testing.T) {
	for _, c := range []struct {
		name    string
		set     clustersim.Log
		fetch   bool
		bytes   int64
		outcome peer.LogOutcome
		problem string
		wait    time.Duration
	}{
		{"nobody wants it now", clustersim.Log{}, false, 64 << 20, peer.LogNotFetched, "", 0},
		{"more than this turn may read", clustersim.Log{Size: new(2 << 20)}, true, 1 << 20, peer.LogNotFetched, "", 0},
		{"more than is read of any", clustersim.Log{Size: new(17 << 20)}, true, 64 << 20, peer.LogFailed, "tooLarge", 30 * time.Minute},
		{"the account lacks the role", clustersim.Log{Roles: new(false)}, true, 64 << 20, peer.LogFailed, "noRole", 24 * time.Hour},
	} {
		r := newRig(t, clustersim.Config{Clusters: 2, Users: 10}, false)
		r.Change("emea", c.set)
		r.look("emea")
		g := r.client("emea").ReadLog(t.Context(), r.Mesh, &peer.LogRecord{}, cluster.LogTurn{Allowance: peer.Allowance{Requests: 4, Bytes: c.bytes}, Fetch: c.fetch}, r.Clock.Now())
		if g.Outcome != c.outcome || g.Problem != c.problem || g.Wait != c.wait || (g.Detail == "") != (c.problem == "") {
			t.Errorf("%s: %+v", c.name, g)
		}
		if g.Requests != 1 || r.Requests("emea")["GetOneFile"] > 0 {
			t.Errorf("%s: %d requests, of them for a file %d", c.name, g.Requests, r.Requests("emea")["GetOneFile"])
		}
	}
}

// TestALogThatNobodyListsIsNotFetchedWithoutBytes: how large it is shows only as it
// comes, so that nothing is asked for of which nothing may be read.
func TestALogThatNobodyListsIsNotFetchedWithoutBytes(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	r.Change("emea", clustersim.Log{Service: new("old")})
	r.look("emea")
	had := peer.LogRecord{Way: peer.LogWay{List: "none"}}
	for _, relist := range []bool{false, true} { // what a listing takes comes off as well
		g := r.client("emea").ReadLog(t.Context(), r.Mesh, &had, cluster.LogTurn{Allowance: peer.Allowance{Requests: 12}, Fetch: true, Level: relist}, r.Clock.Now())
		if g.Outcome != peer.LogNotFetched || g.Problem != "" {
			t.Errorf("asked for a list: %v; %+v", relist, g)
		}
	}
	for name, n := range r.Requests("emea") {
		if n > 0 && strings.Contains(name, "GetOneFile") {
			t.Errorf("%d of %s", n, name)
		}
	}
}

// TestOnlyCiscosOwnAlarmOfAStuckSyncTellsOfTheLastOne: and only of a peer. Its words
// then begin with what it tells; those of others are left as they are.
func TestOnlyCiscosOwnAlarmOfAStuckSyncTellsOfTheLastOne(t *testing.T) {
	line := func(minute int, alarm, of string) string {
		return fmt.Sprintf("Mar  2 08:00:00 h local7 2 : 7: imp-emea-pub.example.com: Mar 02 2026 07:%02d:00.000 UTC : %%UC_ICSA-2-%s: %%[remotePeerAddress=%s][lastSynchronizedTime=2026-03-02 06:30:00 +0000][AppID=Cisco Intercluster Sync Agent][ClusterID=][NodeID=imp-emea-pub]: refused\n", minute, alarm, of)
	}
	const periodic, failure, apac, amer = "InterClusterSyncAgentPeerPeriodicSyncingFailure", "InterClusterSyncAgentSyncFailure", "imp-apac-pub.example.com", "imp-amer-pub.example.com"
	r := newRig(t, clustersim.Config{Clusters: 3, Users: 10}, false)
	r.Connector.Transport = &otherLog{next: r.Connector.Transport, file: func() io.Reader {
		return strings.NewReader(line(1, periodic, apac) + line(2, failure, amer) + line(3, periodic, "somewhere.example.com"))
	}}
	r.look("emea")
	g := r.client("emea").ReadLog(t.Context(), r.Mesh, &peer.LogRecord{}, cluster.LogTurn{Allowance: peer.Allowance{Requests: 4, Bytes: 64 << 20}, Fetch: true}, r.Clock.Now())
	if p := g.Words.Peers["apac"]; !p.LastSynced.At.Equal(time.Date(2026, 3, 2, 6, 30, 0, 0, time.UTC)) || p.Periodic.Text != "lastSynchronizedTime 2026-03-02 06:30:00 +0000: refused" {
		t.Errorf("of apac: %+v", p)
	}
	if p := g.Words.Peers["amer"]; p.LastSynced.Alarm != "" || p.Failure.Text != "refused" {
		t.Errorf("of amer: %+v", p)
	}
	if _, nobody := g.Words.Peers[""]; nobody || len(g.Words.Cluster) != 1 || g.Words.Cluster[0].Text != "refused" {
		t.Errorf("of none of its peers: %+v", g.Words)
	}
}

// TestTheLevelIsAskedForWhereTheFileStandsStill: of the node that told it last, with
// one request, and only if the record that the turn leaves wants it.
func TestTheLevelIsAskedForWhereTheFileStandsStill(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	r.look("emea")
	var had peer.LogRecord
	turn := func(requests int, wanted bool) peer.LogReading {
		g := r.client("emea").ReadLog(t.Context(), r.Mesh, &had, cluster.LogTurn{
			Allowance: peer.Allowance{Requests: requests, Bytes: 64 << 20}, Fetch: true, Level: had.Read.IsZero(),
			LevelWanted: func(after peer.LogRecord) bool { return wanted && after.Read.Equal(r.Clock.Now()) },
		}, r.Clock.Now())
		had = had.After(g)
		return g
	}
	if g := turn(4, false); g.Outcome != peer.LogRead || !g.LevelAsked || g.Requests != 3 {
		t.Errorf("the first turn: %+v", g)
	}
	r.Pass(time.Minute)
	if g := turn(4, false); g.Outcome != peer.LogUnchanged || g.LevelAsked {
		t.Errorf("nobody wants it: %+v", g)
	}
	if g := turn(2, true); g.Outcome != peer.LogUnchanged || g.Level != "Informational" || g.Requests != 2 || !had.Logged.To.Equal(r.Clock.Now()) {
		t.Errorf("it is wanted: %+v", g)
	}
	if g := turn(1, true); g.LevelAsked || g.Requests != 1 {
		t.Errorf("no request is left: %+v", g)
	}
	r.Change("emea", clustersim.Log{LevelBy: new("fault")})
	if g := turn(4, true); !g.LevelAsked || g.Level != "" || had.LevelBy == "" {
		t.Errorf("nobody tells it now, and somebody did: %+v %+v", g, had)
	}
}

// TestALineThatIsBeingWrittenIsReadWhole: the cursor does not pass it.
func TestALineThatIsBeingWrittenIsReadWhole(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 3, Users: 10}, false)
	line := func(minute int, text string) string {
		return fmt.Sprintf("Mar  2 08:00:00 h local7 2 : 7: imp-emea-pub.example.com: Mar 02 2026 07:%02d:00.000 UTC : %%UC_ICSA-6-InterClusterSyncAgentStatus: %%[remotePeerAddress=imp-apac-pub.example.com][AppID=Cisco Intercluster Sync Agent][ClusterID=][NodeID=imp-emea-pub]: %s", minute, text)
	}
	file := line(1, "Periodic sync completed successfully") + "\n" + line(31, "Periodic sync completed")
	r.Connector.Transport = &otherLog{next: r.Connector.Transport, file: func() io.Reader { return strings.NewReader(file) }}
	r.look("emea")
	var had peer.LogRecord
	read := func() peer.PeerWords {
		had.Cursor.Size = 0 // it is listed otherwise than it is sent
		had = had.After(r.client("emea").ReadLog(t.Context(), r.Mesh, &had, cluster.LogTurn{Allowance: peer.Allowance{Requests: 4, Bytes: 64 << 20}, Fetch: true}, r.Clock.Now()))
		return had.Peers["apac"]
	}
	if p := read(); p.Success.At.Minute() != 1 || p.Failure.Alarm != "" || had.Cursor.At.Minute() != 1 {
		t.Errorf("half of a line: %+v, %+v", p, had.Cursor)
	}
	since := had.Since
	file += " unsuccessfully: the peer has refused it\n"
	if p := read(); p.Success.At.Minute() != 1 || p.Failure.At.Minute() != 31 || had.Cursor.At.Minute() != 31 || !had.Since.Equal(since) {
		t.Errorf("all of it: %+v, %+v", p, had.Cursor)
	}
}

// TestALogInTheNodesOwnZoneDatesNothing: CET is a zone of several countries.
func TestALogInTheNodesOwnZoneDatesNothing(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 10}, false)
	r.Change("emea", clustersim.Log{Rotate: true, Zone: new("local")})
	for range 60 {
		r.Pass(time.Minute)
	}
	r.look("emea")
	g := r.client("emea").ReadLog(t.Context(), r.Mesh, &peer.LogRecord{}, cluster.LogTurn{Allowance: peer.Allowance{Requests: 4, Bytes: 64 << 20}, Fetch: true, Apart: time.Hour}, r.Clock.Now())
	if p := g.Words.Peers["apac"]; g.Outcome != peer.LogRead || !p.UndatedSuccess || p.UndatedFailure || p.Success.Dating != ciscolog.Undated || g.Logged != (peer.Span{}) || !g.Cursor.At.IsZero() {
		t.Errorf("%+v", g)
	}
}
