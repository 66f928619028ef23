package change

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// Edit changes the protocol of a pair, or the address by which one end names the other.
const Edit Kind = "edit"

// What an entry is edited in: a step's Purpose, which stays.
const (
	byProtocol = "protocol"
	ByAddress  = "address"
)

func edit() kind {
	return kind{
		name: Edit, usage: "A B --protocol tcp|tls | --address NAME",
		about: "change the protocol of a pair on both ends, or correct the address by which A's entry names B's publisher",
		title: func(h Head) string {
			protocol, rest := option(h.Args, byProtocol)
			address, rest := option(rest, ByAddress)
			h.Args = rest
			if address != "" {
				return fmt.Sprintf("set the address in %s's entry for %s to %s", plain.Name(at(rest, 0)), plain.Name(at(rest, 1)), plain.Name(address))
			}
			return fmt.Sprintf("set the protocol between %s to %s", pairTitle(h), plain.Name(protocol))
		},
		build: func(k Known, args []string) (*layout, error) {
			protocol, args := option(args, byProtocol)
			address, args := option(args, ByAddress)
			a, b, err := pairOf(k, Edit, args)
			if err != nil {
				return nil, err
			}
			pairs := both(a, b)
			l := &layout{Known: k, clusters: []mesh.ClusterID{a.ID, b.ID}, pairs: pairs}
			if !l.paired(a, b) {
				return nil, usagef("%s is no pair of mesh.yaml: `peerkeeper peering plan add %s %s`", pairs[0], a.ID, b.ID)
			}
			switch {
			case (protocol == "") == (address == ""):
				return nil, usagef("edit takes one of --protocol tcp|tls and --address NAME")
			case protocol != "" && protocol != string(mesh.TCP) && protocol != string(mesh.TLSProto):
				return nil, usagef("%s is no protocol of an entry: tcp or tls", plain.Value(protocol))
			case address != "":
				return l, l.readdress(a, b, address)
			}
			want := mesh.Protocol(protocol)
			if l.protocolIs(want, pairs) {
				l.nothing = fmt.Sprintf("both entries use %s already", protocol)
			}
			l.meshLines(Edit, a.ID, pairs[0], protocol)
			l.checks(a, b)
			if want == mesh.TLSProto {
				l.prepare(a, prepareRoots)
			}
			for _, id := range pairs {
				l.onPage(OpEditEntry, id, byProtocol, protocol)
			}
			l.restartsIfAsked(a, b)
			l.verify(OpVerifyPair, "", pairs...)
			l.verify(OpLook, "", pairs...)
			return l, nil
		},
	}
}

func (l *layout) protocolIs(want mesh.Protocol, pairs []mesh.PeerID) bool {
	for _, id := range pairs {
		p, _ := l.Mesh.Peer(id)
		if e, there := l.Entries[id]; !there || e.Protocol != want || p.Protocol != want {
			return false
		}
	}
	return true
}

// readdress corrects how one end names the other's publisher. An entry is not pointed at
// another cluster: Cisco names that as what leaves tomcat-trust out of step.
func (l *layout) readdress(a, b *mesh.Cluster, address string) error {
	owner, node := l.named(address)
	switch {
	case owner == nil:
		return usagef("%s is no node of a cluster in mesh.yaml; if the publisher has another name now, correct mesh.yaml first. %s", plain.Value(address), notPointed(a, b))
	case owner != b:
		return usagef("%s is a node of %s. %s", plain.Value(address), owner.ID, notPointed(a, b))
	case node != b.Publisher:
		return usagef("%s is not the database publisher of %s: the address of an entry is %s", plain.Value(address), b.ID, b.Publisher)
	case !mesh.SameName(address, string(node)):
		return usagef("%s is another name of %s, and the address of an entry is its node name exactly as Presence Topology of %s shows it: --address %s; if that shows another, correct mesh.yaml first", plain.Value(address), node, b.ID, node)
	}
	id := mesh.PeerID{From: a.ID, To: b.ID}
	if e, there := l.Entries[id]; there && e.Address == string(b.Publisher) {
		l.nothing = fmt.Sprintf("the address in %s's entry is %s already", a.ID, e.Address)
	}
	l.checks(a, b)
	l.onPage(OpEditEntry, id, ByAddress, string(b.Publisher))
	l.restartsIfAsked(a, b)
	l.verify(OpVerifyPair, "", both(a, b)...)
	l.verify(OpLook, "", both(a, b)...)
	return nil
}

func notPointed(a, b *mesh.Cluster) string {
	return fmt.Sprintf("An entry is not pointed at another cluster, for then the old one's certificates stay in tomcat-trust and its own do not come: that is `peerkeeper peering plan delete %s %s` and an add", a.ID, b.ID)
}

// named is the node that goes by a name, by the address at which it is asked, or by its name
// with or without the domain; nil if none does.
func (l *layout) named(name string) (*mesh.Cluster, mesh.NodeName) {
	for _, same := range []func(n mesh.Node) bool{
		func(n mesh.Node) bool { return mesh.SameName(name, string(n.Name)) },
		func(n mesh.Node) bool {
			host, _, err := net.SplitHostPort(n.Address)
			return err == nil && !strings.HasPrefix(host, "127.") && mesh.SameName(name, host)
		},
		func(n mesh.Node) bool {
			return mesh.SameName(name+"."+l.Mesh.Domain, string(n.Name)) || mesh.SameName(name, string(n.Name)+"."+l.Mesh.Domain)
		},
	} {
		for i := range l.Mesh.Clusters {
			c := &l.Mesh.Clusters[i]
			if j := slices.IndexFunc(c.Nodes, same); j >= 0 {
				return c, c.Nodes[j].Name
			}
		}
	}
	return nil, ""
}
