package certcheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/tlsprobe"
)

// Since when a certificate is there: of what is met at the first look at a port, or
// at a node's certificate management, since it was made, for all that is known; of
// what comes later, since it was seen.
func TestSinceWhenACertificateIsThere(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	made := b.leaf(apacPub).NotBefore
	sip := certificate.Place{Port: certificate.PortSIPTLS, KeyType: "RSA"}
	look := func() certificate.Record {
		t.Helper()
		r := b.look(run.Request{}).Certs["apac"].Value
		b.now = b.now.Add(6 * time.Hour)
		return r
	}
	first := func(what string, s certificate.Served, want time.Time) {
		t.Helper()
		if s.Fingerprint == "" || !s.First.Equal(want) {
			t.Errorf("%s: since %s, want %s", what, s.First, want)
		}
	}
	r := look()
	first("served at the first look", r.Served[apacPub][onRSA], made)
	first("named at the first look", r.Identity[apacPub]["tomcat"], made)

	ec := b.issue(t, wish{cn: string(apacPub), ecdsa: true})
	b.serve(string(apacPub)+":8443", tlsprobe.ECDSA, ec)
	b.own[apacPub]["tomcat-ECDSA"] = []*issued{ec}
	b.own[apacPub]["cup"] = []*issued{}
	came := b.now
	r = look()
	first("served besides at the second", r.Served[apacPub][certificate.Place{KeyType: "ECDSA"}], came)
	first("named besides at the second", r.Identity[apacPub]["tomcat-ECDSA"], came)
	first("still served", r.Served[apacPub][onRSA], made)
	if s, named := r.Identity[apacPub]["cup"]; named {
		t.Errorf("a list without a certificate is kept as %+v", s)
	}

	b.mesh.Peers[0].Protocol = mesh.TLSProto // and so SIP's port is looked at for the first time
	b.serve(string(apacPub)+":5061", tlsprobe.RSA, b.issue(t, wish{cn: string(apacPub)}))
	r = look()
	first("served at the first look at SIP's port", r.Ports[apacPub][sip], made)
	renewed := b.issue(t, wish{cn: string(apacPub)})
	b.serve(string(apacPub)+":5061", tlsprobe.RSA, renewed)
	b.own[apacPub]["tomcat"] = []*issued{renewed}
	came = b.now
	r = look()
	first("renewed on SIP's port", r.Ports[apacPub][sip], came)
	first("renewed by certificate management", r.Identity[apacPub]["tomcat"], came)
	if r.Identity[apacPub]["tomcat"].Former != nil || r.Ports[apacPub][sip].Former == nil {
		t.Error("what it was is kept with what the node names, and not with what is served")
	}
}

// A certificate that takes the place of one of the other key type changed with it;
// one that comes beside the other is no change.
func TestWhatTookThePlaceOfTheOtherKeyType(t *testing.T) {
	rsa, ec := certificate.Place{Port: "5061", KeyType: "RSA"}, certificate.Place{Port: "5061", KeyType: "ECDSA"}
	type places = map[certificate.Place]certificate.Served
	one, two := certificate.Served{Fingerprint: "sha256:11"}, certificate.Served{Fingerprint: "sha256:22"}
	for _, c := range []struct {
		name        string
		out, stored places
		want        string // what is replaced, by place
	}{
		{"RSA became ECDSA", places{ec: two}, places{rsa: one}, "5061/ECDSA sha256:11 RSA"},
		{"ECDSA became RSA", places{rsa: two}, places{ec: one}, "5061/RSA sha256:11 ECDSA"},
		{"ECDSA came besides", places{rsa: one, ec: two}, places{rsa: one}, ""},
		{"ECDSA stays, RSA is gone", places{ec: two}, places{rsa: one, ec: two}, ""},
		{"nothing was there", places{ec: two}, places{}, ""},
		{"what was there was never read", places{ec: two}, places{rsa: {Error: "refused"}}, ""},
		{"what is there could not be read", places{ec: {Error: "refused"}}, places{rsa: one}, ""},
		{"nothing is there any more", places{}, places{rsa: one}, ""},
		{"on another port", places{ec: two}, places{{KeyType: "RSA"}: one}, ""},
	} {
		otherKeyType(c.out, c.stored, "5061")
		got := ""
		for place, s := range c.out {
			if s.Replaced != "" || s.Former != nil {
				got += fmt.Sprint(place, " ", s.Replaced, " ", s.Former.KeyType)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A node whose certificate makes Peerkeeper panic costs its own port: what was known
// there stays, with the reason, and the node's other ports are read.
func TestWhatAPanicCosts(t *testing.T) {
	b := newBench(t, allKeys())
	b.mesh.Peers[0].Protocol = mesh.TLSProto
	b.serve(string(apacPub)+":5061", tlsprobe.RSA, b.issue(t, wish{cn: string(apacPub)}))
	b.look(run.Request{})
	for _, c := range []struct {
		at                            string
		served, sip, xmpp, subscriber bool // was read
	}{
		{string(apacPub) + ":8443", false, true, false, true},
		{string(apacPub) + ":5061", true, false, false, true},
		{string(apacPub) + ":7400", true, true, false, true},
	} {
		b.now = b.now.Add(6 * time.Hour)
		b.panicAt = c.at
		r := b.look(run.Request{}).Certs["apac"].Value
		ports := r.Ports[apacPub]
		sip, xmpp := ports[certificate.Place{Port: "5061", KeyType: "RSA"}], ports[certificate.Place{Port: "7400", KeyType: "RSA"}]
		for what, is := range map[string]struct {
			s    certificate.Served
			read bool
		}{"8443": {r.Served[apacPub][onRSA], c.served}, "5061": {sip, c.sip}, "the subscriber's": {r.Served[apacSub][onRSA], c.subscriber}} {
			if is.s.Fingerprint == "" || (is.s.Error == "") != is.read || is.s.Read.Equal(b.now) != is.read || !is.read && !strings.HasPrefix(is.s.Error, "reading it failed inside Peerkeeper: ") {
				t.Errorf("panic at %s: of %s is known %+v", c.at, what, is.s)
			}
		}
		if (xmpp.Error != "") != (c.at == string(apacPub)+":7400") || xmpp.Fingerprint != "" {
			t.Errorf("panic at %s: of 7400 is known %+v", c.at, xmpp)
		}
		if n := len(ports); n > 2 {
			t.Errorf("panic at %s: %d certificates of ports: %+v", c.at, n, ports)
		}
	}
}

// What a node said of its own certificates stays while it says nothing, with that it
// was not read.
func TestWhatANodeSaidStaysWhileItSaysNothing(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	b.look(run.Request{})
	silent := &certificate.Refused{Reason: peer.CannotConnect, Message: "no connection"}
	for _, c := range []struct {
		name   string
		refuse map[mesh.NodeName]*certificate.Refused
		read   []mesh.NodeName
	}{
		{"the subscriber says nothing", map[mesh.NodeName]*certificate.Refused{apacSub: silent}, []mesh.NodeName{apacPub}},
		{"nobody says anything", map[mesh.NodeName]*certificate.Refused{apacPub: silent, apacSub: silent}, nil},
		{"both do again", nil, []mesh.NodeName{apacPub, apacSub}},
	} {
		b.now, b.refuse = b.now.Add(6*time.Hour), c.refuse
		r := b.look(run.Request{}).Certs["apac"].Value
		for _, n := range []mesh.NodeName{apacPub, apacSub} {
			want := "not read at the last check"
			if slices.Contains(c.read, n) {
				want = ""
			}
			if s := r.Identity[n]["tomcat"]; s.Fingerprint != chain.Fingerprint(b.leaf(n)) || s.Error != want {
				t.Errorf("%s: %s named %+v", c.name, n, s)
			}
		}
	}
}

// Why a cluster's stores were not read is told by the first that went wrong, and of
// one refused account no other node is asked.
func TestWhyStoresAreNotRead(t *testing.T) {
	no := func(reason peer.Reason) *certificate.Refused {
		return &certificate.Refused{Reason: reason, Message: "as the node says"}
	}
	type refuse = map[mesh.NodeName]*certificate.Refused
	for _, c := range []struct {
		name    string
		release string // of emea, in mesh.yaml
		seen    string // as AXL told it; "": not read
		refuse  refuse
		want    peer.Reason // "": they were read
		node    mesh.NodeName
		asked   int
	}{
		{"they were", "14.0.1SU3", "", nil, "", "", 2},
		{"14, exactly", "14", "", nil, "", "", 2},
		{"15", "15.0.1", "", nil, "", "", 2},
		{"nobody knows the release", "", "", nil, "", "", 2},
		{"mesh.yaml says 14, the publisher 12.5", "14.0.1SU3", "12.5.1.10000-22", nil, certificate.Before14, "", 0},
		{"mesh.yaml says 12.5, the publisher 14", "12.5.1", "14.0.1.10000-20", nil, "", "", 2},
		{"the subscriber gives no connection", "14.0.1SU3", "", refuse{emeaSub: no(peer.CannotConnect)}, peer.CannotConnect, emeaSub, 2},
		{"each for its own reason: the publisher's is told", "14.0.1SU3", "", refuse{emeaPub: no(peer.CannotConnect), emeaSub: no(peer.UnreadableAnswer)}, peer.CannotConnect, emeaPub, 2},
		{"the account is refused", "14.0.1SU3", "", refuse{emeaPub: no(peer.AccountRejected)}, peer.AccountRejected, emeaPub, 1},
		{"the account may not read them", "14.0.1SU3", "", refuse{emeaPub: no(peer.Forbidden)}, peer.Forbidden, emeaPub, 1},
		{"404 of a release that has it", "14.0.1SU3", "", refuse{emeaPub: no(certificate.Before14), emeaSub: no(certificate.Before14)}, peer.ServiceNotActive, emeaPub, 2},
		{"404 of who knows what release", "", "", refuse{emeaPub: no(certificate.Before14), emeaSub: no(certificate.Before14)}, certificate.Before14, emeaPub, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, allKeys())
			b.platform()
			b.mesh.Clusters[0].Release = c.release
			if c.seen != "" {
				doc := b.stored().Clusters["emea"]
				doc.Value.Seen.Nodes = map[mesh.NodeName]peer.Node{emeaPub: {Version: peer.Known(c.seen, b.now)}}
				var changes record.Changes
				record.Add(&changes, doc)
				if _, err := changes.Write(t.Context(), b.store); err != nil {
					t.Fatal(err)
				}
			}
			if c.refuse != nil {
				b.refuse = c.refuse
			}
			r := b.look(run.Request{}).Certs["emea"].Value
			var got certificate.NoLook
			if r.NoTrust != nil {
				got = *r.NoTrust
			}
			if got.Reason != c.want || got.Node != c.node {
				t.Errorf("%+v, want %s of %q", got, c.want, c.node)
			}
			asked := slices.DeleteFunc(b.asked, func(n mesh.NodeName) bool { return n != emeaPub && n != emeaSub })
			if len(asked) != c.asked {
				t.Errorf("asked %v, want %d", asked, c.asked)
			}
		})
	}
}

// Where no connection came about at all, or there was no time for one, the node was
// not reached; a server that behaves badly was.
func TestWhichServersWereNotReached(t *testing.T) {
	for reason, want := range map[tlsprobe.Reason]bool{
		tlsprobe.Refused: true, tlsprobe.Unreachable: true, tlsprobe.Timeout: true, tlsprobe.Cancelled: true,
		tlsprobe.NotTLS: false, tlsprobe.Reset: false, tlsprobe.HandshakeFailed: false, "": false,
	} {
		if got := unreached(reason); got != want {
			t.Errorf("%s: %v", reason, got)
		}
	}
}

// A port is dialled on the host of the node's address, which may be IPv6 or without a
// port.
func TestWhereAnotherPortIsDialled(t *testing.T) {
	for address, want := range map[string]string{"imp-apac-pub.example.com:8443": "imp-apac-pub.example.com:5061", "[2001:db8::7]:8443": "[2001:db8::7]:5061", "imp-apac-pub": "imp-apac-pub:5061"} {
		if got := onPort(mesh.Node{Address: address}, "5061"); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// What a look could not note down and must be known fails the run, and what was seen
// is kept all the same.
func TestARefusalThatCannotBeNoted(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	b.refuse[emeaPub] = &certificate.Refused{Reason: peer.AccountRejected, Message: "refused"}
	b.store = unwritable{b.store}
	if _, err := b.certcheck().Handle(t.Context(), run.Request{}); !errors.Is(err, errStore) {
		t.Errorf("the run says %v", err)
	}
	if r := b.stored().Certs["emea"].Value; !r.At.Equal(b.now) || r.NoTrust == nil || r.NoTrust.Reason != peer.AccountRejected {
		t.Errorf("kept: at %s, %+v", r.At, r.NoTrust)
	}
}

// unwritable is a store that takes no AUTH item.
type unwritable struct{ store.Store }

// Put fails for AUTH items.
func (u unwritable) Put(ctx context.Context, items ...store.Item) error {
	if slices.ContainsFunc(items, func(it store.Item) bool { return strings.HasPrefix(it.SK, store.PrefixAuth) }) {
		return errStore
	}
	return u.Store.Put(ctx, items...)
}
