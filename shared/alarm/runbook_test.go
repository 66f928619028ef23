package alarm_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/procedure"
)

// Every notice links to a section that says what to do, and no section is about
// an alarm that does not exist.
func TestTheRunbookHasEveryAlarm(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, k := range alarm.Catalogue() {
		_, anchor, _ := strings.Cut(k.Runbook(), "#")
		known[anchor] = true
		head := "<a id=\"" + anchor + "\"></a>\n### " + k.Name + " (" // with its urgency
		_, section, ok := strings.Cut(strings.ReplaceAll(string(page), "\n## ", "\n### "), head)
		if !ok {
			t.Errorf("%s has no section with the anchor %s", k.Name, anchor)
			continue
		}
		urgency, rest, _ := strings.Cut(section, ")\n")
		if urgency != string(k.Urgency) && urgency != "information" {
			t.Errorf("%s is called %s, its urgency is %s", k.Name, urgency, k.Urgency)
		}
		text, _, _ := strings.Cut(rest, "<a id=")
		if k.Urgency == alarm.Page && !strings.Contains(text, "\n1. ") {
			t.Errorf("%s wakes somebody, and does not say what to do:\n%s", k.Name, text)
		}
	}
	for _, m := range regexp.MustCompile(`<a id="([^"]+)">`).FindAllStringSubmatch(string(page), -1) {
		if !known[m[1]] {
			t.Errorf("%s is about no alarm of the catalogue", m[1])
		}
	}
}

// What to click is called in the runbook what procedure calls it: a path that is
// no page's, or another name for the button, fails here.
func TestTheRunbookHasCiscosWords(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{
		procedure.InterClustering, procedure.PresenceTopology, procedure.ServiceParameters, procedure.SystemTroubleshooter, procedure.AdvancedConfiguration,
		procedure.NetworkServices, procedure.FeatureServices, procedure.CertificateManagement, procedure.CipherManagement,
	}
	for n, line := range strings.Split(string(page), "\n") {
		left := line
		for _, p := range pages {
			_, menus, _ := strings.Cut(p, " > ")
			left = strings.ReplaceAll(strings.ReplaceAll(left, p, ""), menus, "")
		}
		left = strings.ReplaceAll(left, "emea>apac", "")
		if strings.Contains(left, ">") && !strings.Contains(left, "<a id=") {
			t.Errorf("line %d has a way through the pages that is not procedure's: %s", n+1, line)
		}
		if strings.Contains(strings.ReplaceAll(line, procedure.ForceSync, ""), " Sync with") || strings.Contains(line, "Force Sync") {
			t.Errorf("line %d calls the button otherwise than %q: %s", n+1, procedure.ForceSync, line)
		}
		if strings.Contains(line, "lso resync") && !strings.Contains(line, `"`+procedure.AlsoResync+`"`) {
			t.Errorf("line %d names the choice otherwise than %q: %s", n+1, procedure.AlsoResync, line)
		}
	}
}
