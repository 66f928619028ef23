package peer

import (
	"slices"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

func TestUsersMatchComparesCountsThatWereReadWhole(t *testing.T) {
	judged(t, UsersMatch, []conditionCase{
		{"equal counts", func(*scene) {}, True, CountsEqual, Measured, "200"},
		{"equal counts by a query nobody confirmed", func(s *scene) { s.emea().Seen.UsersBasis = Inferred; s.apac().Seen.UsersBasis = Inferred }, True, CountsEqual, Inferred, ""},
		{"home unread", func(s *scene) { s.apac().Seen.Users = Unknown[map[mesh.NodeName]int](QueryRefused, "fault") }, UnknownStatus, QueryRefused, Measured, "apac"},
		{"half a home count is no smaller home", func(s *scene) {
			s.apac().Seen.Users = Partial(map[mesh.NodeName]int{pub("apac"): 5}, noon, RowsIncomplete, "cut")
		}, UnknownStatus, RowsIncomplete, Measured, ""},
		{"the copy lacks some, for hours", func(s *scene) { s.copied(150) }, UnknownStatus, NotYetDecided, Measured, "emea lacks 50 of apac's 200 users"},
		{"it holds some that nobody is home to", func(s *scene) { s.copied(207) }, UnknownStatus, NotYetDecided, Measured, "emea holds 7 users of apac that apac itself has not (200)"},
		{"every user is proven the same", func(s *scene) { s.sets("one", "one") }, True, SetEqual, Measured, "200"},
		{"as many, and not the same ones", func(s *scene) { s.sets("one", "another") }, UnknownStatus, NotYetDecided, Measured, "as many as there are, but not the same ones"},
		{"the copy's digest is of another count: it says nothing of now", func(s *scene) { s.buckets(190, 200) }, True, CountsEqual, Measured, "200"},
		{"the home's digest is of another count", func(s *scene) { s.buckets(200, 190) }, True, CountsEqual, Measured, "200"},
		{"the digests are of this count, and differ", func(s *scene) { s.buckets(200, 200) }, UnknownStatus, NotYetDecided, Measured, "not the same ones"},
		{"copies unread", func(s *scene) { s.emea().Seen.Users = Unknown[map[mesh.NodeName]int](MemoryName, "pool") }, UnknownStatus, MemoryName, Measured, "emea"},
		{"too old", func(s *scene) { s.apac().Seen.Users.At = ago(11 * time.Minute) }, UnknownStatus, Stale, Measured, "last read"},
	})
}

// buckets gives both ends a digest of apac's users, who are not the same.
func (s *scene) buckets(copied, home int) {
	s.Buckets = map[mesh.ClusterID]Fact[Buckets]{
		"emea": Known(Buckets{"apac": DigestOf(map[string]Bucket{"x": {Users: copied, High: "zoe"}})}, noon),
		"apac": Known(Buckets{"apac": DigestOf(map[string]Bucket{"x": {Users: home, High: "zac"}})}, noon),
	}
}

// sets gives both ends a digest, an hour old, of every user of apac.
func (s *scene) sets(home, copied string) {
	s.apac().UserSet = Known(map[mesh.ClusterID]SetDigest{"apac": {Users: 200, Sum: home}}, ago(time.Hour))
	s.emea().UserSet = Known(map[mesh.ClusterID]SetDigest{"apac": {Users: 200, Sum: copied}}, ago(time.Hour))
}

// A digest of every user counts while both ends hold what they held when it was
// read, and while the copy had time to follow.
func TestWhenTheDigestsOfAllUsersSpeak(t *testing.T) {
	moved := func(s *scene, at time.Time) { // apac's users changed then, from 190 to 200
		s.apac().Home = []HomeValue{{Users: 190, From: ago(24 * time.Hour), To: at.Add(-tick)}, {Users: 200, From: at, To: noon}}
	}
	for _, c := range []struct {
		name      string
		change    func(s *scene)
		equal, ok bool
	}{
		{"the same users", func(*scene) {}, true, true},
		{"not the same users", func(s *scene) { s.sets("one", "another") }, false, true},
		{"the copy's was never read", func(s *scene) { s.emea().UserSet = Fact[map[mesh.ClusterID]SetDigest]{} }, false, false},
		{"the home's was never read", func(s *scene) { s.apac().UserSet = Fact[map[mesh.ClusterID]SetDigest]{} }, false, false},
		{"the copy's is older than two days", func(s *scene) { s.emea().UserSet.At = ago(49 * time.Hour) }, false, false},
		{"the home's is older than two days", func(s *scene) { s.apac().UserSet.At = ago(49 * time.Hour) }, false, false},
		{"the copy's was read in part", func(s *scene) {
			s.emea().UserSet = Partial(s.emea().UserSet.Value, ago(time.Hour), RowsIncomplete, "users came")
		}, false, false},
		{"the copy has changed since", func(s *scene) { s.copied(199) }, false, false},
		{"the home has changed since", func(s *scene) { s.apac().Seen.Users.Value[pub("apac")]++ }, false, false},
		{"the home's count cannot be read now", func(s *scene) { s.apac().Seen.Users = Unknown[map[mesh.NodeName]int](QueryRefused, "fault") }, false, false},
		{"the home moved two intervals before", func(s *scene) { moved(s, ago(2*time.Hour)) }, true, true},
		{"the home moved less than two intervals before", func(s *scene) { moved(s, ago(119*time.Minute)) }, false, false},
		{"the home moved after its digest was read", func(s *scene) {
			s.apac().UserSet.At = ago(10 * time.Hour)
			moved(s, ago(9*time.Hour))
		}, false, false},
		{"nothing is known of what the home was", func(s *scene) { s.apac().Home = nil }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			s.sets("one", "one")
			c.change(s)
			if equal, ok := s.View().SetsEqual(watched); equal != c.equal || ok != c.ok {
				t.Errorf("equal %v (%v), want %v (%v)", equal, ok, c.equal, c.ok)
			}
		})
	}
}

// The digests of two clusters are compared where both were read in one look: users
// may have come between two.
func TestWhenTheDigestsOfBucketsSpeak(t *testing.T) {
	digest := func(high string, at time.Time) Fact[Buckets] {
		return Known(Buckets{"apac": DigestOf(map[string]Bucket{"x": {Users: 200, High: high}})}, at)
	}
	for _, c := range []struct {
		name         string
		copied, home Fact[Buckets]
		differ       []string
		ok           bool
	}{
		{"the same", digest("zoe", noon), digest("zoe", noon), nil, true},
		{"one differs", digest("zoe", noon), digest("zac", noon), []string{"x"}, true},
		{"read a look apart", digest("zoe", noon), digest("zoe", ago(tick)), nil, true},
		{"read six minutes apart", digest("zoe", noon), digest("zac", ago(6*time.Minute)), nil, false},
		{"the copy's was not read", Fact[Buckets]{}, digest("zoe", noon), nil, false},
		{"the home's was not read", digest("zoe", noon), Fact[Buckets]{}, nil, false},
		{"both are too old", digest("zoe", ago(2*time.Hour)), digest("zac", ago(2*time.Hour)), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			s.Buckets = map[mesh.ClusterID]Fact[Buckets]{"emea": c.copied, "apac": c.home}
			differ, ok := s.View().BucketsDiffer(watched, time.Hour)
			if !slices.Equal(differ, c.differ) || ok != c.ok {
				t.Errorf("%v differ (%v), want %v (%v)", differ, ok, c.differ, c.ok)
			}
		})
	}
}

// What proves that home and copy are the same users, digests of buckets and of
// whole sets at once: the newer one counts, and of two as new the one that denies it.
func TestWhichDigestCounts(t *testing.T) {
	type digest struct {
		equal bool
		age   time.Duration // 0 is none
	}
	const hour = time.Hour
	for _, c := range []struct {
		name          string
		buckets, sets digest
		want          Reason
		age           time.Duration
	}{
		{"none", digest{}, digest{}, CountsEqual, 0},
		{"buckets alone", digest{true, 10 * time.Minute}, digest{}, BucketsEqual, 10 * time.Minute},
		{"buckets as old as two intervals and two looks", digest{true, 70 * time.Minute}, digest{}, BucketsEqual, 70 * time.Minute},
		{"buckets older than that", digest{true, 71 * time.Minute}, digest{}, CountsEqual, 0},
		{"buckets alone, which differ", digest{false, 10 * time.Minute}, digest{}, UsersDiffer, 10 * time.Minute},
		{"sets alone", digest{}, digest{true, hour}, SetEqual, hour},
		{"sets alone, which differ", digest{}, digest{false, hour}, UsersDiffer, hour},
		{"both equal", digest{true, hour}, digest{true, hour}, SetEqual, hour},
		{"newer sets deny older buckets", digest{true, hour}, digest{false, 30 * time.Minute}, UsersDiffer, 30 * time.Minute},
		{"older sets deny newer buckets", digest{true, 30 * time.Minute}, digest{false, hour}, UsersDiffer, hour},
		{"newer sets clear older buckets", digest{false, hour}, digest{true, 30 * time.Minute}, SetEqual, 30 * time.Minute},
		{"older sets do not clear newer buckets", digest{false, 30 * time.Minute}, digest{true, hour}, UsersDiffer, 30 * time.Minute},
		{"sets clear buckets of the same look", digest{false, hour}, digest{true, hour}, SetEqual, hour},
		{"both deny it, the sets as old", digest{false, hour}, digest{false, hour}, UsersDiffer, hour},
		{"both deny it, the sets newer", digest{false, hour}, digest{false, 30 * time.Minute}, UsersDiffer, 30 * time.Minute},
		{"both deny it, the sets older", digest{false, 30 * time.Minute}, digest{false, hour}, UsersDiffer, 30 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			if d := c.buckets; d.age > 0 {
				s.Buckets = map[mesh.ClusterID]Fact[Buckets]{}
				for id, high := range map[mesh.ClusterID]string{"emea": "zoe", "apac": map[bool]string{true: "zoe", false: "zac"}[d.equal]} {
					s.Buckets[id] = Known(Buckets{"apac": DigestOf(map[string]Bucket{"x": {Users: 200, High: high}})}, ago(d.age))
				}
			}
			if d := c.sets; d.age > 0 {
				s.sets("one", map[bool]string{true: "one", false: "another"}[d.equal])
				s.emea().UserSet.At, s.apac().UserSet.At = ago(d.age), ago(d.age)
			}
			if why, shown := s.View().link(watched).proof(200, 200); why != c.want || !shown.Equal(ago(c.age)) {
				t.Errorf("%s as of %s, want %s as of %s", why, shown, c.want, ago(c.age))
			}
		})
	}
	s := newScene()
	if why, shown := s.View().link(watched).proof(200, 199); why != UsersDiffer || !shown.Equal(noon) {
		t.Errorf("other counts: %s as of %s", why, shown)
	}
	s.apac().Seen.Users = Unknown[map[mesh.NodeName]int](QueryRefused, "fault")
	if c := s.View().link(watched).compare(); c.proof != "" || !c.shown.IsZero() {
		t.Errorf("a count that is not known, and a proof: %+v", c)
	}
}

// Since when a copy has been wrong: since the home no longer had what it holds.
func TestSinceWhenACopyDiffers(t *testing.T) {
	s := newScene()
	s.apac().Home = []HomeValue{{Users: 190, From: ago(9 * time.Hour), To: ago(8 * time.Hour)}, {Users: 195, From: ago(7 * time.Hour), To: ago(6 * time.Hour)}, {Users: 190, From: ago(5 * time.Hour), To: ago(4 * time.Hour)}, {Users: 200, From: ago(3 * time.Hour), To: noon}}
	l := s.View().link(watched)
	for copied, want := range map[int]time.Time{
		190: ago(3 * time.Hour), // what it had last counts
		195: ago(5 * time.Hour),
		150: noon, // never seen
		200: noon, // as many: first seen now
	} {
		if got := l.differsSince(200, copied); !got.Equal(want) {
			t.Errorf("holding %d: since %s, want %s", copied, got, want)
		}
	}
	if got := l.differsSince(210, 200); !got.Equal(noon) {
		t.Errorf("what the home has had until now: since %s", got)
	}
}

// A reading of all users says little once a tenth as many have come, and twenty at least.
func TestSoManyUsersHaveComeThatTheirReadingSaysLittle(t *testing.T) {
	read := ago(time.Hour)
	for _, c := range []struct {
		name  string
		home  []HomeValue // before the reading, and after
		now   int
		from  int
		grown bool
	}{
		{"a tenth", []HomeValue{{Users: 900, From: ago(3 * time.Hour)}, {Users: 1000, From: ago(time.Minute)}}, 1000, 900, true},
		{"less than a tenth", []HomeValue{{Users: 901, From: ago(3 * time.Hour)}, {Users: 1000, From: ago(time.Minute)}}, 1000, 901, false},
		{"twenty", []HomeValue{{Users: 10, From: ago(3 * time.Hour)}}, 30, 10, true},
		{"nineteen", []HomeValue{{Users: 10, From: ago(3 * time.Hour)}}, 29, 10, false},
		{"none, and some have gone", []HomeValue{{Users: 100, From: ago(3 * time.Hour)}}, 10, 100, false},
		{"those who came before the reading were read", []HomeValue{{Users: 10, From: ago(3 * time.Hour)}, {Users: 100, From: read}}, 100, 100, false},
		{"what was before the reading is forgotten", []HomeValue{{Users: 10, From: ago(30 * time.Minute)}, {Users: 60, From: ago(time.Minute)}}, 100, 10, true},
		{"nothing is remembered", nil, 100, 0, false},
	} {
		s := newScene()
		r := s.apac()
		r.Home = c.home
		r.Seen.Users.Value[pub("apac")], r.Seen.Users.Value[sub("apac")] = c.now, 0
		apac, _ := s.Mesh.Cluster("apac")
		if from, to, got := r.Grew(apac, read); got != c.grown || from != c.from || got && to != c.now {
			t.Errorf("%s: %v, from %d to %d", c.name, got, from, to)
		}
		r.Seen.Users = Unknown[map[mesh.NodeName]int](TimedOut, "")
		if _, _, got := r.Grew(apac, read); got {
			t.Errorf("%s, and nobody knows how many there are now", c.name)
		}
	}
}

// A difference is another one where nobody looked for longer than an interval, and
// the home is not what it was before that.
func TestADifferenceThatNobodyWatched(t *testing.T) {
	since := ago(2 * time.Hour)
	for _, c := range []struct {
		name string
		home []HomeValue
		want bool
	}{
		{"one value ever since", []HomeValue{{Users: 200, From: ago(24 * time.Hour), To: noon}}, false},
		{"another value after an hour without a look", []HomeValue{{Users: 190, From: ago(24 * time.Hour), To: ago(time.Hour)}, {Users: 200, From: noon, To: noon}}, true},
		{"after an interval without a look", []HomeValue{{Users: 190, From: ago(24 * time.Hour), To: ago(30 * time.Minute)}, {Users: 200, From: noon, To: noon}}, false},
		{"after a moment more", []HomeValue{{Users: 190, From: ago(24 * time.Hour), To: ago(31 * time.Minute)}, {Users: 200, From: noon, To: noon}}, true},
		{"that was seen at the look before already", []HomeValue{{Users: 190, From: ago(24 * time.Hour), To: ago(time.Hour)}, {Users: 200, From: ago(5 * time.Minute), To: noon}}, false},
		{"and nobody had looked since long before it began", []HomeValue{{Users: 190, From: ago(24 * time.Hour), To: ago(150 * time.Minute)}, {Users: 200, From: noon, To: noon}}, false},
		{"nothing is remembered", nil, false},
	} {
		s := newScene()
		s.apac().Home = c.home
		if got := s.View().link(watched).unwatched(since, 30*time.Minute); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestUsersOverTime(t *testing.T) {
	const half = 30 * time.Minute
	stands := func(n int) func(_, _ int) int { return func(_, _ int) int { return n } }
	busy := func(m int) int { return 75000 + 3*(m/5) }
	cases := []struct {
		name    string
		film    film
		minutes int
		want    string
	}{
		{"home idle", film{interval: half, home: always(200)}, 600, "0 True/CountsEqual"},
		{"ten users added at minute 10, copied at 32", film{interval: half, home: step(10, 200, 210)}, 120,
			"0 True/CountsEqual, 10 True/CatchingUp, 35 True/CountsEqual"},
		{"users removed", film{interval: half, home: step(10, 200, 150)}, 120,
			"0 True/CountsEqual, 10 True/CatchingUp, 35 True/CountsEqual"},
		{"deaf: the clock runs, the data do not", film{interval: half, home: step(10, 200, 210), copied: stands(200)}, 600,
			"0 True/CountsEqual, 10 True/CatchingUp, 65 Unknown/NotYetDecided, 70 False/UsersMissing"},
		{"deaf since before the first look", film{interval: half, home: always(210), copied: stands(200)}, 600,
			"0 Unknown/NotYetDecided, 60 False/UsersMissing"},
		{"copies that nobody is home to", film{interval: half, home: always(200), copied: stands(207)}, 600,
			"0 Unknown/NotYetDecided, 60 False/UsersExtra"},
		{"busy home, healthy sync", film{interval: half, home: busy}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, one sync in two is missed", film{interval: half, home: busy, syncs: func(m int) bool { return (m/30)%2 == 0 }}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, healthy sync, cluster clock an hour ahead", film{interval: half, home: busy, skew: time.Hour}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, healthy sync, cluster clock 29 minutes ahead", film{interval: half, home: busy, skew: 29 * time.Minute}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, healthy sync, cluster clock two hours behind", film{interval: half, home: busy, skew: -2 * time.Hour}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, healthy sync, no clock readable", film{interval: half, home: busy, noClock: true}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, deaf copy", film{interval: half, home: busy, copied: stands(75000)}, 600,
			"0 True/CountsEqual, 5 True/CatchingUp, 35 Unknown/NotYetDecided, 65 False/UsersMissing"},
		{"busy home, a tick that sees no change hides no lag", film{interval: 4 * time.Hour, home: busy}, 2000,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"longest interval", film{interval: 1444 * time.Minute, home: step(10, 200, 210)}, 3000,
			"0 True/CountsEqual, 10 True/CatchingUp, 1450 True/CountsEqual"},
		{"first full sync of 75,000 under way for two hours", film{interval: half, home: always(75000), copied: func(m, _ int) int { return min(75000, 600*m) }, syncs: never}, 300,
			"0 Unknown/NotYetDecided, 125 True/CountsEqual"},
		{"first full sync that stalls half way", film{interval: half, home: always(75000), copied: func(m, _ int) int { return min(40000, 600*m) }}, 300,
			"0 Unknown/NotYetDecided, 130 False/UsersMissing"},
		{"others for the same number, noticed by the buckets", film{interval: half, home: always(200), digest: func(m int) (string, string) {
			if m >= 20 {
				return "new", "old"
			}
			return "old", "old"
		}}, 300, "0 True/BucketsEqual, 30 Unknown/NotYetDecided, 90 False/UsersDiffer"},
		{"others for the same number, copied by the next sync", film{interval: half, home: always(200), digest: func(m int) (string, string) {
			h, c := "old", "old"
			if m >= 20 {
				h = "new"
			}
			if m >= 32 {
				c = "new"
			}
			return h, c
		}}, 300, "0 True/BucketsEqual, 30 Unknown/NotYetDecided, 35 True/BucketsEqual"},
		{"the same after the count had come and gone before: old counts tell nothing of new users", film{interval: half, home: func(m int) int { return map[int]int{1: 201}[m/100] + 200*(1-map[int]int{1: 1}[m/100]) }, digest: func(m int) (string, string) {
			h, c := "old", "old"
			if m >= 320 {
				h = "new"
			}
			if m >= 332 {
				c = "new"
			}
			return h, c
		}}, 500, "0 True/BucketsEqual, 100 True/CatchingUp, 125 True/BucketsEqual, 200 True/CatchingUp, 215 True/BucketsEqual, 330 Unknown/NotYetDecided, 335 True/BucketsEqual"},
		{"peersync off from minute 20 to 400, changes copied meanwhile", film{interval: half, home: busy, blackout: func(m int) bool { return m > 20 && m < 400 }}, 700,
			"0 True/CountsEqual, 5 True/CatchingUp, 400 Unknown/NotYetDecided, 425 True/CatchingUp"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			shots := c.film.play(c.minutes)
			if got := when(shots, users); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// A copy that comes to equal its home shows that a sync brought it, however late;
// a home that goes back to what its copy has shows nothing.
func TestAChangeThatIsSeenCopied(t *testing.T) {
	at := func(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
	for name, c := range map[string]struct {
		film film
		want time.Time // zero is never
		late bool      // too late to be progress
	}{
		"within the interval":                {film{interval: 30 * time.Minute, home: step(10, 200, 210)}, at(35), false},
		"after four intervals and a look":    {film{interval: 30 * time.Minute, home: step(30, 200, 210), syncs: func(m int) bool { return m > 150 }}, at(155), false},
		"a look later":                       {film{interval: 30 * time.Minute, home: step(25, 200, 210), syncs: func(m int) bool { return m > 150 }}, at(155), true},
		"after five hours":                   {film{interval: 30 * time.Minute, home: step(10, 200, 210), syncs: func(m int) bool { return m > 300 }}, at(305), true},
		"the home changed back":              {film{interval: 30 * time.Minute, home: func(m int) int { return map[bool]int{true: 210, false: 200}[m >= 10 && m < 60] }, syncs: never}, time.Time{}, true},
		"nothing ever changed":               {film{interval: 30 * time.Minute, home: always(200)}, time.Time{}, true},
		"it differed since before we looked": {film{interval: 30 * time.Minute, home: always(200), copied: step2(100, 190, 200)}, time.Time{}, true},
	} {
		c.film.noClock = true
		got := c.film.last(360)
		if !got.Copied.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got.Copied, c.want)
		}
		if !c.want.IsZero() && got.Progress.IsZero() != c.late {
			t.Errorf("%s: progress %s, want it: %v", name, got.Progress, !c.late)
		}
	}
}

func step2(at, before, after int) func(int, int) int {
	return func(m, _ int) int { return step(at, before, after)(m) }
}
