package cluster

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

func TestIdentifier(t *testing.T) {
	for name, want := range map[string]bool{
		"cupsinterclusterpeers": true, "a_1": true, "": false, "1a": false, "_a": false,
		"peers; DROP TABLE enduser": false, "peers--": false, "p\u00e9ers": false, strings.Repeat("a", 129): false,
	} {
		if identifier(name) != want {
			t.Errorf("identifier(%q) = %v", name, !want)
		}
	}
}

func TestRankedNeverReadsPasswords(t *testing.T) {
	got := ranked([]string{"axlpassword_address", "hostpwd", "hostname", "peeraddress"}, wantedColumns[0].hints)
	if len(got) != 2 || got[0] != "peeraddress" || got[1] != "hostname" {
		t.Errorf("%v", got)
	}
}

// Names come from a cluster: whatever they hold, the file that is written is
// YAML and says what the proposal says.
func FuzzProposalYAML(f *testing.F) {
	f.Add("ICSAPeriodicSyncInterval", "30", "a remark")
	f.Add("a\"b: [c]", "t\nqueries: {}", "x\n    sql: DELETE FROM enduser")
	f.Add("#", "\u2028", "\u0085queries:")
	f.Fuzz(func(t *testing.T, name, value, remark string) {
		if !speakable(name) {
			return // propose passes it over
		}
		p := Proposal{
			Table: "cupsinterclusterpeers", Columns: []ColumnGuess{{Purpose: "address", Column: "peeraddress", Why: remark}}, Others: []string{name},
			Parameters: []ParameterGuess{{Purpose: peer.ParamInterval, Name: name, Value: value, Why: remark}}, Remarks: []string{remark},
		}
		text, err := p.YAML([]mesh.ClusterID{"emea"})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Queries    map[string]struct{ Evidence, SQL string }
			Parameters map[string][]string
		}
		if err := yaml.UnmarshalWithOptions(text, &got, yaml.Strict()); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if len(got.Queries) != 1 || got.Queries["peers"].SQL != p.SQL() || got.Queries["peers"].Evidence != "site" {
			t.Errorf("queries %+v\n%s", got.Queries, text)
		}
		if names := got.Parameters[peer.ParamInterval]; len(got.Parameters) != 1 || len(names) != 1 || names[0] != name {
			t.Errorf("parameters %q, want %q\n%s", got.Parameters, name, text)
		}
	})
}
