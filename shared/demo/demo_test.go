package demo

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"peerkeeper/shared/repair"
	"peerkeeper/testdata/scenarios"
)

// plansFrom is the first chapter in which people ask for plans.
const plansFrom = "plans"

func TestStoryPlaysToItsEnd(t *testing.T) { plays(t, false) }

// TestStoryOfPlansPlaysToItsEnd: those chapters are long, and what runs at once in them
// runs at once in the others.
func TestStoryOfPlansPlaysToItsEnd(t *testing.T) { plays(t, true) }

// plays plays the chapters of plans, or those before them.
func plays(t *testing.T, ofPlans bool) {
	t.Helper()
	story, err := LoadStory(scenarios.Files)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(story.Chapters, func(c Chapter) bool { return c.Name == plansFrom })
	if i < 1 {
		t.Fatalf("no chapter is called %q", plansFrom)
	}
	if ofPlans {
		story.Chapters = story.Chapters[i:]
	} else {
		story.Chapters = story.Chapters[:i]
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
