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
