package clustersim

import "time"

// DNS changes what a cluster's DNS servers answer: for one name, or one
// server as a whole. "for" says to whom: Peerkeeper, the cluster's own ICSA, or
// both ("all", as if it were absent).
type DNS struct {
	For    string  `json:"for"`
	Name   string  `json:"name"`
	Answer *string `json:"answer"`
	Server int     `json:"server"`
	Silent *bool   `json:"silent"`
	Lame   *string `json:"lame"`
}

func (in DNS) apply(s *Sim, c *cluster, _ time.Time) error {
	var to []asker
	switch in.For {
	case "", "all":
		to = []asker{fromPeerkeeper, fromICSA}
	case string(fromPeerkeeper), string(fromICSA):
		to = []asker{asker(in.For)}
	default:
		return wrong("for", "%q is none of peerkeeper, icsa, all", in.For)
	}
	switch {
	case in.Name == "" && in.Server == 0:
		return wrong("name", "give a name with its answer, or a server with silent or lame")
	case in.Name != "" && in.Server != 0:
		return wrong("server", "does not go with name")
	case in.Server != 0:
		if in.Server < 1 || in.Server > len(c.dns) {
			return wrong("server", "%d is neither 1 (primary) nor 2", in.Server)
		}
		if in.Silent == nil && in.Lame == nil || in.Answer != nil {
			return wrong("silent", "or lame is what a server takes")
		}
		if in.Lame != nil && *in.Lame != "" && *in.Lame != lameEmpty && *in.Lame != lameReferral {
			return wrong("lame", "%q is neither empty nor referral; \"\" for the truth again", *in.Lame)
		}
		if in.Silent != nil {
			c.dns[in.Server-1].silence(*in.Silent, to)
		}
		if in.Lame != nil {
			c.dns[in.Server-1].makeLame(*in.Lame, to)
		}
		return nil
	case in.Answer == nil || in.Silent != nil || in.Lame != nil:
		return wrong("answer", "is what a name takes; empty for the truth again")
	}
	if err := c.zone.override(in.Name, *in.Answer, to...); err != nil {
		return wrong("answer", "%v", err)
	}
	return nil
}

// silence makes one server silent to those named, or lets it speak again.
func (d *dnsAddress) silence(on bool, to []asker) {
	for _, who := range to {
		switch who {
		case fromICSA:
			d.silentToICSA = on
		case fromPeerkeeper:
			d.silent = on
			if d.server != nil {
				d.server.silence(on)
			}
		}
	}
}
