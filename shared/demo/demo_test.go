package demo

import (
	"bytes"
	"encoding/json"
	"testing"

	"peerkeeper/shared/repair"
	"peerkeeper/testdata/scenarios"
)

func TestStoryPlaysToItsEnd(t *testing.T) {
	story, err := LoadStory(scenarios.Files)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	res, err := Demo{Clusters: 3, Users: 200, Story: story, Out: &out, Dir: t.TempDir(), Privilege: repair.GrantPrivilege()}.PlayOnce(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !res.OK {
		b, _ := json.MarshalIndent(res.Alarms, "", " ")
		t.Errorf("the story did not go as written:\n%s\n%s", out.String(), b)
	}
}
