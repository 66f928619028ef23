package archtest

import (
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
)

// pages are the README files that the repository holds, by their path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "README.md", "*/README.md").Output()
	if err != nil {
		t.Skip("not a git checkout, so nobody knows which pages belong to it")
	}
	pages := map[string]string{}
	for _, name := range strings.Fields(string(out)) {
		b, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = string(b)
	}
	return pages
}

var pageLink = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)

// heading is a heading's anchor, as GitHub and others make it.
func heading(line string) string {
	line = strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
	return regexp.MustCompile(`[^\p{L}\p{N} -]`).ReplaceAllString(strings.ReplaceAll(line, " ", "-"), "")
}

// The first page is for a newcomer, and can be read at one sitting; every link
// leads somewhere.
func TestPagesAreShortAndLinked(t *testing.T) {
	all := pages(t)
	if n := strings.Count(all["README.md"], "\n"); n > 250 {
		t.Errorf("README.md has %d lines: what is not for a newcomer belongs beside its package", n)
	}
	for name, text := range all {
		for _, m := range pageLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := name
			if m[1] != "" {
				target = path.Join(path.Dir(name), m[1])
			}
			page, ok := all[target]
			if !ok {
				t.Errorf("%s: %s leads nowhere", name, m[0])
				continue
			}
			if m[2] == "" {
				continue
			}
			found := strings.Contains(page, `<a id="`+m[2][1:]+`">`)
			for line := range strings.Lines(page) {
				found = found || strings.HasPrefix(line, "#") && heading(line) == m[2][1:]
			}
			if !found {
				t.Errorf("%s: %s leads to no heading of %s", name, m[0], target)
			}
		}
	}
}

// unlisted is the rule on the table of packages: a newcomer finds each of them there,
// by the last part of its path.
func unlisted(readme string, dirs ...string) []string {
	_, table, _ := strings.Cut(readme, "\n## Packages\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var out []string
	for _, dir := range dirs {
		name := regexp.QuoteMeta(path.Base(dir))
		if !regexp.MustCompile("`([a-z]+/)*" + name + "`").MatchString(table) {
			out = append(out, dir+" has no place in README.md's table of packages")
		}
	}
	return out
}

func TestEveryPackageIsInTheTable(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, p := range repository(t) {
		if len(p.files) > 0 && (fits("shared/...", p.dir) && !fits("shared/archtest/...", p.dir) || fits("functions/...", p.dir)) {
			dirs = append(dirs, p.dir)
		}
	}
	for _, said := range unlisted(string(readme), dirs...) {
		t.Error(said)
	}
	page := "# X\n`shared/elsewhere`\n## Packages\n| `shared/mesh`, `mesh/meshfile` | clusters |\n| `shared/store` (`bolt`) | items |\n## The command\n`shared/later`\n"
	if said := unlisted(page, "shared/mesh", "shared/mesh/meshfile", "shared/store/bolt"); len(said) > 0 {
		t.Errorf("the rule catches the innocent: %v", said)
	}
	if said := unlisted(page, "shared/elsewhere", "shared/later", "shared/meshes"); len(said) != 3 {
		t.Errorf("the rule does not catch what is not in the table: %v", said)
	}
}
