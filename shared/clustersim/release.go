package clustersim

import (
	"fmt"
	"strconv"
	"strings"
)

// release is a version as IM&P counts it: 14.0.1.13900-8 is 14.0(1)SU3. The
// thousands of build are the service update.
type release struct {
	major, minor, maintenance, build, patch int
}

// The full versions behind the short names, each a release that knows the sync
// interval parameter.
var shortReleases = map[string]release{
	"12.5": {12, 5, 1, 13900, 17},
	"14.0": {14, 0, 1, 13900, 8},
	"14":   {14, 0, 1, 13900, 8},
	"15.0": {15, 0, 1, 12900, 11},
	"15":   {15, 0, 1, 12900, 11},
}

func parseRelease(s string) (release, error) {
	if r, ok := shortReleases[s]; ok {
		return r, nil
	}
	fault := fmt.Errorf("release %q is neither 12.5, 14.0 or 15.0 nor a version such as 14.0.1.13900-8", s)
	version, patch, ok := strings.Cut(s, "-")
	parts := strings.Split(version, ".")
	if !ok || len(parts) != 4 {
		return release{}, fault
	}
	var n [5]int
	for i, p := range append(parts, patch) {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 {
			return release{}, fault
		}
		n[i] = v
	}
	r := release{n[0], n[1], n[2], n[3], n[4]}
	if _, known := axlVersions[r.major]; !known {
		return release{}, fault
	}
	return r, nil
}

// String is how the Control Center writes it, axl how getCCMVersion does.
func (r release) String() string {
	return fmt.Sprintf("%d.%d.%d.%d-%d", r.major, r.minor, r.maintenance, r.build, r.patch)
}

func (r release) axl() string {
	return fmt.Sprintf("%d.%d.%d.%d(%d)", r.major, r.minor, r.maintenance, r.build, r.patch)
}

// declared is how people write it in mesh.yaml.
func (r release) declared() string {
	s := fmt.Sprintf("%d.%d.%d", r.major, r.minor, r.maintenance)
	if su := (r.build - 10000) / 1000; su > 0 {
		s += fmt.Sprintf("SU%d", su)
	}
	return s
}

// axlVersions are those that a release answers: its own and two majors back.
var axlVersions = map[int]struct {
	versions []string
	text     string
}{
	12: {[]string{"10.0", "10.5", "11.0", "11.5", "12.0", "12.5"}, "10.x, 11.x and 12.x"},
	14: {[]string{"11.0", "11.5", "12.0", "12.5", "14.0"}, "11.x, 12.x and 14.0"},
	15: {[]string{"12.0", "12.5", "14.0", "15.0"}, "12.x, 14.0 and 15.0"},
}

// answers tells whether AXL takes a namespace version. 8.0 is what ICSA itself
// sends to every release without trouble, and 1.0 stands for the oldest.
func (r release) answers(version string) bool {
	if version == "8.0" || version == "1.0" {
		return true
	}
	for _, v := range axlVersions[r.major].versions {
		if v == version {
			return v != "12.5" || r.major > 12 || r.minor >= 5
		}
	}
	return false
}

func (r release) atLeast(other release) bool {
	a := [...]int{r.major, r.minor, r.maintenance, r.build}
	b := [...]int{other.major, other.minor, other.maintenance, other.build}
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return true
}

// Since when ICSA has which service parameter.
var (
	sinceAutoRecovery    = release{12, 5, 1, 0, 0}
	sinceSyncInterval    = release{12, 5, 1, 13900, 0}
	sinceCertificateSync = release{12, 5, 1, 14900, 0}
)

func (r release) has(p parameter) bool {
	switch p.name {
	case paramAutoRecovery:
		return r.atLeast(sinceAutoRecovery)
	case paramSyncInterval:
		return r.atLeast(sinceSyncInterval)
	case paramCertificateSync:
		return r.atLeast(sinceCertificateSync)
	}
	return true
}
