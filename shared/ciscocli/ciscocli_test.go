package ciscocli

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const usersText = `admin:utils users validate all

Users with Duplicate User IDs
---------------------------------------------
 User ID: user3
  Node Name
  cucm-imp-1
  cucm-imp-2

Users with No Directory URI Configured
-----------------------------------------------------
 Node Name: cucm-imp-2
 User ID
 user4

Users with Invalid Directory URI Configured
-----------------------------------------------------
 Node Name: cucm-imp-2
 User ID   Directory URI
 user1     asdf@ASDF@asdf@ADSF@cisco

Users with Duplicate Directory URIs
-----------------------------------------------------
Directory URI: user1@cisco.com
 Node Name   User ID
 cucm-imp-1  user4
 cucm-imp-2  user3
admin:`

const replicationText = `admin:utils dbreplication runtimestate

Server Time: Wed Jul  3 09:11:03 CDT 2019

Cluster Replication State: Replication status command started at: 2019-07-03-07-54
     Replication status command COMPLETED 681 tables checked out of 681
     No Errors or Mismatches found.

DB Version: ccm10_5_2_15900_8

Cluster Detailed View from CUCM10 (2 Servers):

                                PING      DB/RPC/   REPL.    Replication    REPLICATION SETUP
SERVER-NAME         IP ADDRESS  (msec)    DbMon?    QUEUE    Group ID       (RTMT) & Details
-----------         ----------  ------    -------   -----    -----------    ------------------
imp-emea-pub        192.0.2.20  0.013     Y/Y/Y     0        (g_2)          (2) Setup Completed
imp-emea-sub        192.0.2.30  0.230     Y/Y/Y     0        (g_3)          (3) Bad Replication
imp-emea-sb2        192.0.2.31  Failed    N/N/N     --       (-)            (-) ?
`

const haText = `admin: utils ha status
Subcluster Name: DefaultCluster
Node 1 Name : kal-cup1 State: Failed Over with Critical Services not Running Reason:
Critical Service Down
Node 2 Name : shorty-cups State: Running in Backup Mode Reason: Critical Service Down
`

const connectivityText = `admin:utils network connectivity imp-apac-pub.example.com 7400
Service accessible
admin:utils network connectivity imp-apac-sub.example.com 7400
Service not accessible
admin:utils network connectivity 192.0.2.30
This command can take up to 3 minutes to complete.
Continue (y/n)?y
Running test, please wait ...
.
Network connectivity test with 192.0.2.30 completed successfully.
admin:`

func TestWhatPeoplePaste(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Output
	}{
		{"users, as Cisco prints them", usersText, Output{Command: Users, Problems: map[Problem]People{
			DuplicateUserIDs: {1, []string{"user3"}}, NoURI: {1, []string{"user4"}}, InvalidURIs: {1, []string{"user1"}}, DuplicateURIs: {1, []string{"user1@cisco.com"}},
		}, Nodes: []string{"cucm-imp-1", "cucm-imp-2"}}},
		{"users, of whom none is wrong", "Users with Duplicate User IDs\r\n----\r\n\r\nUsers with No Directory URI Configured\r\n-----\r\nadmin:", Output{Command: Users, Problems: map[Problem]People{DuplicateUserIDs: {}, NoURI: {}}}},
		{"replication, with one that is bad and one that is not known", replicationText, Output{Command: Replication, States: []State{
			{"imp-emea-pub", "192.0.2.20", "Setup Completed", 2}, {"imp-emea-sub", "192.0.2.30", "Bad Replication", 3}, {"imp-emea-sb2", "192.0.2.31", "?", -1},
		}, Nodes: []string{"imp-emea-pub", "192.0.2.20", "imp-emea-sub", "192.0.2.30", "imp-emea-sb2", "192.0.2.31"}}},
		{"a row that a narrow terminal broke", "imp-emea-pub        192.0.2.20  0.013     Y/Y/Y\n 0   (g_2)   (2) Setup Completed\n", Output{Command: Replication, States: []State{{"imp-emea-pub", "192.0.2.20", "Setup Completed", 2}}, Nodes: []string{"imp-emea-pub", "192.0.2.20"}}},
		{"high availability after a failure, a reason on the next line", haText, Output{Command: HA, States: []State{
			{Node: "kal-cup1", Word: "Failed Over with Critical Services not Running Reason: Critical Service Down"},
			{Node: "shorty-cups", Word: "Running in Backup Mode Reason: Critical Service Down"},
		}, Nodes: []string{"kal-cup1", "shorty-cups"}}},
		{"high availability, each on a line", "Subcluster Name: Default\n\tName: a\n\tState: Normal\n\tReason: none\n", Output{Command: HA, States: []State{{Node: "a", Word: "Normal Reason: none"}}, Nodes: []string{"a"}}},
		{"users, two columns and an ID with a blank", "Users with Invalid Directory URI Configured\n----\n Node Name: a\n User ID   Directory URI\n ada smith   x@@y\n bob\tz\n eve\nadmin:", Output{Command: Users, Problems: map[Problem]People{InvalidURIs: {3, []string{"ada smith", "bob", "eve"}}}, Nodes: []string{"a"}}},
		{"with a terminal's colours", "\x1b[0mSubcluster Name: D\nNode 1 \x1b[1mName : a\x1b[0m State: Normal\n", normal},
		{"redirected by PowerShell", "\xff\xfe" + inUTF16("Subcluster Name: D\r\nName: a State: Normal\r\n"), normal},
		{"saved with a mark by an editor", "\ufeffSubcluster Name: D\nName: a State: Normal\n", normal},
		{"lines that end as a terminal ends them", "Subcluster Name: D\rName: a State: Normal\radmin:", normal},
		{"connectivity, of two ports and of the database's", connectivityText, Output{Command: Connectivity, Connections: []Connection{
			{"imp-apac-pub.example.com", 7400, true}, {"imp-apac-sub.example.com", 7400, false}, {"192.0.2.30", 0, true},
		}}},
		{"connectivity, all on one line as a browser copies it", "admin:utils network connectivity 10.1.89.30 This command can take up to 3 minutes to complete. Continue (y/n)?y Running test, please wait ... ...... Network connectivity test with 10.1.89.30 completed successfully .",
			Output{Command: Connectivity, Connections: []Connection{{"10.1.89.30", 0, true}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(strings.NewReader(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

var normal = Output{Command: HA, States: []State{{Node: "a", Word: "Normal"}}, Nodes: []string{"a"}}

func inUTF16(ascii string) string {
	var b strings.Builder
	for _, c := range []byte(ascii) {
		b.Write([]byte{c, 0})
	}
	return b.String()
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"garbage":                  "\x00\xff\xfe",
		"another command":          "admin:utils service list\nCisco Tomcat[STARTED]\n",
		"a mail about the command": "please send me the output of utils ha status",
	} {
		if out, err := Parse(strings.NewReader(text)); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	for _, text := range []string{"", " \r\n\t\n", "\ufeff\n"} {
		if _, err := Parse(strings.NewReader(text)); !errors.Is(err, ErrNothing) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Parse(strings.NewReader(strings.Repeat("x", 10<<20))); !errors.Is(err, ErrTooLong) {
		t.Errorf("10 MB: %v", err)
	}
	if _, err := Parse(strings.NewReader(usersText + "\n" + haText)); err == nil || !strings.Contains(err.Error(), "one at a time") {
		t.Errorf("two commands at once: %v", err)
	}
}

// TestAnAnswerThatBreaksOffIsRefused: what is missing might be what is wrong, so that nothing of it says that all is well.
func TestAnAnswerThatBreaksOffIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"users, after the first heading":  {"admin:utils users validate all\n\nUsers with Duplicate User IDs\n", `line 3: the answer of ` + "`utils users validate`" + ` breaks off: no prompt follows the section "Users with Duplicate User IDs"`},
		"users, in the middle of one":     {usersText[:strings.Index(usersText, "user4")+3], `no prompt follows the section "Users with No Directory URI Configured"`},
		"users, before the last prompt":   {strings.TrimSuffix(usersText, "admin:"), `no prompt follows the section "Users with Duplicate Directory URIs"`},
		"users, before any heading":       {"admin:utils users validate all\n", "line 1: the answer"},
		"high availability, a group only": {"Subcluster Name: DefaultCluster\n", "line 1: the answer"},
		"high availability, no state":     {"Subcluster Name: D\nNode 1 Name : a State: Normal\nNode 2 Name : b State:", `line 3: the answer of ` + "`utils ha status`" + ` breaks off: b has no state`},
		"high availability, half a state": {"Subcluster Name: D\nNode 1 Name : a State: Nor", `the state of a may go on`},
		"replication, no server":          {replicationText[:strings.Index(replicationText, "imp-emea-pub")], "line 13: the answer"},
		"connectivity, no answer":         {"admin:utils network connectivity imp-apac-pub.example.com 7400\n", `line 1: the answer of ` + "`utils network connectivity`" + ` breaks off: it does not say whether imp-apac-pub.example.com is accessible`},
		"connectivity, the last answer":   {connectivityText + "utils network connectivity b 8443\nServ", `line 11: the answer`},
		"connectivity, half an answer":    {"admin:utils network connectivity b\nNetwork connectivity test with b comp", `whether b is accessible`},
	} {
		out, err := Parse(strings.NewReader(c.text))
		if !errors.Is(err, ErrCut) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	if _, err := Parse(strings.NewReader("admin:utils users validate all\nadmin:")); err == nil || !strings.Contains(err.Error(), "has printed no section") {
		t.Errorf("a validation that prints nothing: %v", err)
	}
}

// All are counted and the first ten are named, whatever the number.
func TestWhatIsKeptIsBounded(t *testing.T) {
	text := "Users with No Directory URI Configured\n----\nNode Name: a\nUser ID\n" + strings.Repeat(strings.Repeat("u", 1000)+"\n", 3000) + "admin:"
	out, err := Parse(strings.NewReader(text))
	if p := out.Problems[NoURI]; err != nil || p.Count != 3000 || len(p.First) != maxKeys || len([]rune(p.First[0])) > maxName {
		t.Errorf("%d, %d named, %v", p.Count, len(p.First), err)
	}
	rows := strings.Repeat("node 192.0.2.1 0.1 Y/Y/Y 0 (g_2) (2) Setup Completed\n", 1000)
	if out, err := Parse(strings.NewReader(rows)); err != nil || len(out.States) != maxNodes {
		t.Errorf("%d nodes, %v", len(out.States), err)
	}
}

// TestTheLongestPasteIsReadAtOnce: the work grows with the text, however it is broken into lines.
func TestTheLongestPasteIsReadAtOnce(t *testing.T) {
	for _, c := range [][2]string{
		{"", "a\n"},
		{"Subcluster Name: a\n", "Name:\n"},
		{"Users with No Directory URI Configured\n", "Node Name: a\n"},
		{"", "utils network connectivity a 1\naccessible\n"},
	} {
		text := c[0] + strings.Repeat(c[1], (MaxBytes-len(c[0]))/len(c[1]))
		if _, err := Parse(strings.NewReader(text)); errors.Is(err, ErrTooLong) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{usersText, replicationText, haText, connectivityText} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		told := len(out.Connections) + len(out.States) + len(out.Problems)
		if told == 0 || len(out.States) > maxNodes || len(out.Connections) > maxNodes {
			t.Errorf("%+v of %q", out, text)
		}
		for _, p := range out.Problems {
			if len(p.First) > maxKeys || len(p.First) > p.Count {
				t.Errorf("%+v of %q", p, text)
			}
		}
	})
}
