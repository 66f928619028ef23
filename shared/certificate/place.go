package certificate

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"peerkeeper/shared/mesh"
)

// Ports of intercluster traffic besides 8443, with the identity that each
// serves (port usage guide).
const (
	PortSIPTLS = "5061" // SIP Proxy: cup
	PortXMPP   = "7400" // XCP Router: cup-xmpp
)

// Place is where a node serves a certificate: a port, and the type of key that is
// asked for there.
type Place struct {
	Port    string // "" is 8443
	KeyType string // RSA or ECDSA
}

// String is the place as it is stored, and stands in ids: "RSA", or "5061/RSA".
func (p Place) String() string {
	if p.Port == "" {
		return p.KeyType
	}
	return p.Port + "/" + p.KeyType
}

// MarshalText writes what String does.
func (p Place) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Place) UnmarshalText(text []byte) error {
	*p = Place{KeyType: string(text)}
	if port, keyType, ported := strings.Cut(string(text), "/"); ported {
		*p = Place{port, keyType}
	}
	return nil
}

// Service names the identity that is served there.
func (p Place) Service() string {
	name := map[string]string{"": "tomcat", PortSIPTLS: "cup", PortXMPP: "cup-xmpp"}[p.Port]
	if p.KeyType == "ECDSA" {
		name += "-ECDSA"
	}
	return name
}

// Store is the trust store in which peers need what is served there.
func (p Place) Store() string { return StoreOf(p.Service()) }

// StoreOf is the trust store behind an identity, as people see it.
func StoreOf(service string) string {
	name := strings.TrimSuffix(service, "-ECDSA")
	if name == "cup-xmpp-s2s" {
		name = "cup-xmpp"
	}
	return name + "-trust"
}

// Spot is a place on one node.
type Spot struct {
	Node mesh.NodeName
	Place
}

// Serving yields every certificate that the nodes serve: node by node, of each what
// is on 8443 before the other ports.
func (r Record) Serving() iter.Seq2[Spot, Served] {
	return func(yield func(Spot, Served) bool) {
		nodes := slices.Concat(slices.Collect(maps.Keys(r.Served)), slices.Collect(maps.Keys(r.Ports)))
		slices.Sort(nodes)
		for _, node := range slices.Compact(nodes) {
			for _, served := range []map[Place]Served{r.Served[node], r.Ports[node]} {
				for _, place := range slices.SortedFunc(maps.Keys(served), byText) {
					if !yield(Spot{node, place}, served[place]) {
						return
					}
				}
			}
		}
	}
}

func byText(a, b Place) int {
	return cmp.Or(strings.Compare(a.Port, b.Port), strings.Compare(a.KeyType, b.KeyType))
}

// ByStore yields every certificate of the record, those that certificate management
// names included, with the trust store in which peers need it.
func (r Record) ByStore() iter.Seq2[string, Served] {
	return func(yield func(string, Served) bool) {
		for spot, s := range r.Serving() {
			if !yield(spot.Store(), s) {
				return
			}
		}
		for _, byService := range r.Identity {
			for service, s := range byService {
				if !yield(StoreOf(service), s) {
					return
				}
			}
		}
	}
}

// ServedAt is what a node serves at a place; ok is false where it was never read.
func (r Record) ServedAt(spot Spot) (s Served, ok bool) {
	s, ok = r.on(spot.Port)[spot.Node][spot.Place]
	return s, ok
}

// SetServed sets what is served at a place that has been read.
func (r Record) SetServed(spot Spot, s Served) { r.on(spot.Port)[spot.Node][spot.Place] = s }

func (r Record) on(port string) map[mesh.NodeName]map[Place]Served {
	if port == "" {
		return r.Served
	}
	return r.Ports
}

// editAll lets every certificate of the record be changed where it is.
func (r *Record) editAll(change func(*Served)) {
	each := func(_ mesh.NodeName, s *Served) { change(s) }
	edit(r.Served, each)
	edit(r.Ports, each)
	edit(r.Identity, each)
}

func edit[K comparable](all map[mesh.NodeName]map[K]Served, change func(mesh.NodeName, *Served)) {
	for node, places := range all {
		for place, s := range places {
			change(node, &s)
			places[place] = s
		}
	}
}
