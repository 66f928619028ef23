package peer

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

func TestAdvance(t *testing.T) {
	s := newScene()
	s.apac().Seen.AXLVersion = "12.0"
	c, _ := s.Mesh.Cluster("apac")
	look := func(change func(*Observation)) ClusterRecord {
		prev := *s.apac()
		obs := newScene().apac().Seen
		obs.At = noon.Add(tick)
		change(&obs)
		return Advance(prev, obs, c)
	}
	node := func(o *Observation, name mesh.NodeName, change func(*Node)) {
		n := o.Nodes[name]
		change(&n)
		o.Nodes[name] = n
	}
	restarted := func(o *Observation, name mesh.NodeName, services ...string) {
		node(o, name, func(n *Node) {
			for _, svc := range services {
				n.Services.Value[svc] = Service{Status: "Started", UpTime: time.Minute}
			}
		})
	}
	type advanceCase struct {
		name   string
		change func(*Observation)
		holds  func(r ClusterRecord) bool
	}
	cases := []advanceCase{
		{"a silent node is lost since this look", func(o *Observation) {
			node(o, sub("apac"), func(n *Node) { n.Answers = Known(false, o.At) })
		}, func(r ClusterRecord) bool {
			return r.SilentSince[sub("apac")].Equal(noon.Add(tick)) && len(r.SilentSince) == 1
		}},
		{"one that takes the request and hangs is lost too", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) { n.Answers = Unknown[bool](TimedOut, "30 s") })
		}, func(r ClusterRecord) bool { return r.SilentSince[pub("apac")].Equal(noon.Add(tick)) }},
		{"one that was not asked is not", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) { n.Answers = Unknown[bool](AccountRejected, "") })
		}, func(r ClusterRecord) bool { return len(r.SilentSince) == 0 }},
		{"both nodes are silent: both are lost", func(o *Observation) {
			for _, name := range []mesh.NodeName{pub("apac"), sub("apac")} {
				node(o, name, func(n *Node) { n.Answers = Known(false, o.At) })
			}
		}, func(r ClusterRecord) bool { return len(r.SilentSince) == 2 }},
		{"one service restarted is no node restarted", func(o *Observation) { restarted(o, pub("apac"), ICSA) }, func(r ClusterRecord) bool { return len(r.Restarted) == 0 }},
		{"most services restarted is", func(o *Observation) { restarted(o, pub("apac"), ICSA, AXL, XCPRouter, SRM) }, func(r ClusterRecord) bool { return len(r.Restarted) == 1 }},
		{"three of the five that can be compared is", func(o *Observation) {
			restarted(o, pub("apac"), ICSA, AXL, XCPRouter)
			node(o, pub("apac"), func(n *Node) { n.Services.Value[SRM] = Service{Status: "Stopped", UpTime: -1} })
		}, func(r ClusterRecord) bool { return len(r.Restarted) == 1 }},
		{"half of the services restarted is not", func(o *Observation) { restarted(o, pub("apac"), ICSA, AXL, XCPRouter) }, func(r ClusterRecord) bool { return len(r.Restarted) == 0 }},
		{"a stopped service is no restart", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) {
				for svc := range n.Services.Value {
					n.Services.Value[svc] = Service{Status: "Stopped", UpTime: -1}
				}
			})
		}, func(r ClusterRecord) bool { return len(r.Restarted) == 0 }},
		{"a clock went backwards", func(o *Observation) { o.Entries.Value[0].LastSync = ago(45 * time.Minute) }, func(r ClusterRecord) bool { return r.Rewound.Equal(noon.Add(tick)) }},
		{"users left here and there is no restore", func(o *Observation) {
			o.Users.Value[pub("apac")] -= 100
			o.Users.Value[pub("emea")] -= 100
		}, func(r ClusterRecord) bool { return r.Rewound.IsZero() }},
		{"unless no clock can be read and many left at once", func(o *Observation) {
			o.Entries = Unknown[[]Entry](NoDialect, "")
			o.Users.Value[pub("apac")] -= 100
			o.Users.Value[pub("emea")] -= 100
		}, func(r ClusterRecord) bool { return !r.Rewound.IsZero() }},
		{"one leaver on each side is no restore", func(o *Observation) {
			o.Entries = Unknown[[]Entry](NoDialect, "")
			o.Users.Value[pub("apac")]--
			o.Users.Value[pub("emea")]--
		}, func(r ClusterRecord) bool { return r.Rewound.IsZero() }},
		{"an entry that was made again has never synced: no restore", func(o *Observation) { o.Entries.Value[0].LastSync = time.Time{} }, func(r ClusterRecord) bool { return r.Rewound.IsZero() }},
		{"a clock went back within a minute: the node's clock was set", func(o *Observation) { o.Entries.Value[0].LastSync = ago(11 * time.Minute) }, func(r ClusterRecord) bool { return r.Rewound.IsZero() }},
		{"neither a clock nor the users can be read: nothing shows a restore", func(o *Observation) {
			o.Entries = Unknown[[]Entry](NoDialect, "")
			o.Users = Unknown[map[mesh.NodeName]int](QueryRefused, "")
		}, func(r ClusterRecord) bool { return r.Rewound.IsZero() }},
		{"the entries tell no clock, and many left at once", func(o *Observation) {
			for i := range o.Entries.Value {
				o.Entries.Value[i].HasClock = false
			}
			o.Users.Value[pub("apac")] -= 100
			o.Users.Value[pub("emea")] -= 100
		}, func(r ClusterRecord) bool { return !r.Rewound.IsZero() }},
		{"no clock, and a hundredth left on each side", func(o *Observation) {
			o.Entries = Unknown[[]Entry](NoDialect, "")
			o.Users.Value[pub("apac")] -= 2
			o.Users.Value[pub("emea")] -= 4
		}, func(r ClusterRecord) bool { return !r.Rewound.IsZero() }},
		{"only its own users left: no restore", func(o *Observation) {
			o.Entries = Unknown[[]Entry](NoDialect, "")
			o.Users.Value[pub("apac")] -= 100
		}, func(r ClusterRecord) bool { return r.Rewound.IsZero() }},
		{"a half count neither lowers nor lengthens the ring", func(o *Observation) {
			o.Users = Partial(map[mesh.NodeName]int{pub("apac"): 3}, o.At, RowsIncomplete, "")
		}, func(r ClusterRecord) bool {
			return len(r.Home) == 1 && r.Home[0].Users == 200 && r.UsersOf(c).Value == 200
		}},
		{"the same count lengthens its span", func(*Observation) {}, func(r ClusterRecord) bool { return len(r.Home) == 1 && r.Home[0].To.Equal(noon.Add(tick)) }},
		{"a new interval is remembered with the old one", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) {
				n.Parameters = Known(map[string]string{ParamInterval: "240"}, o.At)
			})
		}, func(r ClusterRecord) bool {
			return r.Interval.Value == 4*time.Hour && r.Interval.Previous == 30*time.Minute
		}},
		{"an interval that Cisco does not allow is not read", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) { n.Parameters = Known(map[string]string{ParamInterval: "1445"}, o.At) })
		}, func(r ClusterRecord) bool { return r.Interval.Value == 30*time.Minute }},
		{"1444 is", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) { n.Parameters = Known(map[string]string{ParamInterval: "1444"}, o.At) })
		}, func(r ClusterRecord) bool { return r.Interval.Value == 1444*time.Minute }},
		{"the AXL version found is asked again while nothing is read", func(o *Observation) { o.Users = Unknown[map[mesh.NodeName]int](TimedOut, "") }, func(r ClusterRecord) bool { return r.Seen.AXLVersion == "12.0" }},
		{"it is forgotten once the declared one is taken", func(*Observation) {}, func(r ClusterRecord) bool { return r.Seen.AXLVersion == "" }},
		{"another one that was found takes its place", func(o *Observation) { o.AXLVersion = "14.0" }, func(r ClusterRecord) bool { return r.Seen.AXLVersion == "14.0" }},
		{"by what users are counted stays while it is not told", func(o *Observation) { o.UsersBasis = "" }, func(r ClusterRecord) bool { return r.Seen.UsersBasis == Measured }},
		{"and is what was told last", func(o *Observation) { o.UsersBasis = Inferred }, func(r ClusterRecord) bool { return r.Seen.UsersBasis == Inferred }},
		{"nothing at all was read", func(o *Observation) { *o = Observation{Cluster: "apac", At: noon.Add(tick)} }, func(r ClusterRecord) bool {
			return r.UsersOf(c).Known() && r.Seen.Entries.Known() && !r.NoAccessSince.IsZero()
		}},
	}
	odd := s.apac().Seen.Nodes[sub("apac")]
	odd.Remarks = []Reason{NegativeSerialNumber}
	s.apac().Seen.Nodes[sub("apac")] = odd
	cases = append(cases, []advanceCase{
		{"a remark on a node's TLS stays while the node cannot be asked", func(o *Observation) {
			node(o, sub("apac"), func(n *Node) { n.Answers = Unknown[bool](TimedOut, "30 s") })
		}, func(r ClusterRecord) bool { return len(r.Seen.Nodes[sub("apac")].Remarks) == 1 }},
		{"and is over when it answers without", func(*Observation) {}, func(r ClusterRecord) bool { return len(r.Seen.Nodes[sub("apac")].Remarks) == 0 }},
		{"what it shows now takes the place of what it showed", func(o *Observation) {
			node(o, sub("apac"), func(n *Node) {
				n.Answers, n.Remarks = Unknown[bool](ClosedInHandshake, ""), []Reason{RSAKeyExchangeOnly}
			})
		}, func(r ClusterRecord) bool {
			return slices.Equal(r.Seen.Nodes[sub("apac")].Remarks, []Reason{RSAKeyExchangeOnly})
		}},
	}...)
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			if r := look(x.change); !x.holds(r) {
				b, _ := json.MarshalIndent(r, "", " ")
				t.Errorf("it does not hold:\n%s", b)
			}
		})
	}
}

// TestAClusterWithoutUsersLooksLikeNoRestore: nothing can shrink there.
func TestAClusterWithoutUsersLooksLikeNoRestore(t *testing.T) {
	c, _ := newScene().Mesh.Cluster("apac")
	empty := Observation{Users: Known(map[mesh.NodeName]int{pub("apac"): 0, pub("emea"): 0}, noon)}
	if rewound(empty, empty, c) {
		t.Error("it looks restored at every look")
	}
}

// TestARestartIsRememberedForADay: what else happened around it is judged by it.
func TestARestartIsRememberedForADay(t *testing.T) {
	c, _ := newScene().Mesh.Cluster("apac")
	for before, kept := range map[time.Duration]int{24*time.Hour - time.Minute: 1, 24 * time.Hour: 0} {
		r := Advance(ClusterRecord{Restarted: map[mesh.NodeName]time.Time{pub("apac"): ago(before)}}, Observation{Cluster: "apac", At: noon}, c)
		if len(r.Restarted) != kept {
			t.Errorf("%s later: %v", before, r.Restarted)
		}
	}
}

// TestANodeHasRestartedIfMostOfItsServicesBeganAgain: three at the least, of those
// that ran both times.
func TestANodeHasRestartedIfMostOfItsServicesBeganAgain(t *testing.T) {
	const long, young, began, none = 10 * time.Hour, time.Minute, 0, -1
	all := func(up ...time.Duration) Fact[map[string]Service] {
		services := map[string]Service{}
		for i, d := range up {
			services[string(rune('a'+i))] = Service{Status: "Started", UpTime: d}
		}
		return Known(services, noon)
	}
	for _, c := range []struct {
		name          string
		before, after Fact[map[string]Service]
		want          bool
	}{
		{"three of five", all(long, long, long, long, long), all(young, young, young, long, long), true},
		{"three that began this minute", all(long, long, long, long, long), all(began, began, began, long, long), true},
		{"two of two", all(long, long), all(young, young), false},
		{"three of six, of which the others had just begun before", all(long, long, long, began, began, began), all(young, young, young, long, long, long), false},
		{"three, and three that were not there before", all(long, long, long), all(young, young, young, long, long, long), true},
		{"three, and many that did not run before", all(long, long, long, none, none, none, none, none, none), all(young, young, young, long, long, long, long, long, long), true},
		{"three, and many that do not run now", all(long, long, long, long, long, long, long, long, long), all(young, young, young, none, none, none, none, none, none), true},
		{"it could not be read before", Unknown[map[string]Service](TimedOut, ""), all(young, young, young), false},
		{"it was read in part before", Partial(all(long, long, long).Value, noon, RowsIncomplete, ""), all(young, young, young), false},
		{"it cannot be read now", all(long, long, long), Unknown[map[string]Service](TimedOut, ""), false},
	} {
		if got := NodeRestarted(c.before, c.after); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestHowLongTheHomeCountsAreKept: two of the longest intervals and an hour, and six
// hundred at the most.
func TestHowLongTheHomeCountsAreKept(t *testing.T) {
	c, _ := newScene().Mesh.Cluster("apac")
	obs := Observation{Cluster: "apac", At: noon, Users: Known(map[mesh.NodeName]int{pub("apac"): 7}, noon)}
	long := 2*mesh.MaxSyncInterval + time.Hour
	many := make([]HomeValue, ringLength-1)
	for i := range many {
		many[i] = HomeValue{Users: 100 + i, To: ago(time.Minute)}
	}
	for _, x := range []struct {
		name string
		prev []HomeValue
		want int
	}{
		{"one that was so just long enough ago", []HomeValue{{Users: 1, To: ago(long)}}, 2},
		{"an older one", []HomeValue{{Users: 1, To: ago(long + time.Minute)}}, 1},
		{"as many as are kept", many, ringLength},
		{"one more", append([]HomeValue{{Users: 1, To: ago(2 * time.Minute)}}, many...), ringLength},
	} {
		if r := Advance(ClusterRecord{Home: x.prev}, obs, c); len(r.Home) != x.want || r.Home[len(r.Home)-1].Users != 7 {
			t.Errorf("%s: %d are kept, want %d", x.name, len(r.Home), x.want)
		}
	}
}
