package change

import (
	"fmt"

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
	if owner, known := l.Mesh.Owner(mesh.NodeName(address)); !known || owner != b.ID {
		whose := "no node of a cluster in mesh.yaml; if the publisher has another name now, correct mesh.yaml first"
		if known {
			whose = fmt.Sprintf("a node of %s", owner)
		}
		return usagef("%s is %s. An entry is not pointed at another cluster, for then the old one's certificates stay in tomcat-trust and its own do not come: that is `peerkeeper peering plan delete %s %s` and an add", plain.Value(address), whose, a.ID, b.ID)
	}
	if !mesh.SameName(address, string(b.Publisher)) {
		return usagef("%s is not the database publisher of %s: the address of an entry is %s", plain.Value(address), b.ID, b.Publisher)
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
