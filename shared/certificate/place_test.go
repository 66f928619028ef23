package certificate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
)

// TestPlaces: each port and key type with its identity, the store in which peers
// need it, and how it is stored.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		place                  Place
		stored, service, store string
	}{
		{Place{"", "RSA"}, "RSA", "tomcat", "tomcat-trust"},
		{Place{"", "ECDSA"}, "ECDSA", "tomcat-ECDSA", "tomcat-trust"},
		{Place{PortSIPTLS, "RSA"}, "5061/RSA", "cup", "cup-trust"},
		{Place{PortSIPTLS, "ECDSA"}, "5061/ECDSA", "cup-ECDSA", "cup-trust"},
		{Place{PortXMPP, "RSA"}, "7400/RSA", "cup-xmpp", "cup-xmpp-trust"},
	} {
		text, err := c.place.MarshalText()
		var back Place
		if err != nil || back.UnmarshalText(text) != nil || back != c.place || string(text) != c.stored {
			t.Errorf("%+v is stored as %q and read as %+v", c.place, text, back)
		}
		if c.place.Service() != c.service || c.place.Store() != c.store {
			t.Errorf("%s is %s, needed in %s", c.stored, c.place.Service(), c.place.Store())
		}
	}
	if got := StoreOf("cup-xmpp-s2s"); got != "cup-xmpp-trust" {
		t.Errorf("the identity towards other companies is needed in %s", got)
	}
}

// TestServing: node by node, 8443 before the other ports, and a caller that has found what
// it wants may stop.
func TestServing(t *testing.T) {
	r := Record{
		Served:   map[mesh.NodeName]map[Place]Served{"b": {onRSA: {}, onECDSA: {}}, "a": {onRSA: {}}},
		Ports:    map[mesh.NodeName]map[Place]Served{"a": {{PortXMPP, "RSA"}: {}, {PortSIPTLS, "RSA"}: {}}, "c": {{PortSIPTLS, "RSA"}: {}}},
		Identity: map[mesh.NodeName]map[string]Served{"a": {"cup-ECDSA": {}, "cup": {}}},
	}
	var got []string
	for spot := range r.Serving() {
		got = append(got, string(spot.Node)+" "+spot.Place.String())
	}
	if diff := cmp.Diff([]string{"a RSA", "a 5061/RSA", "a 7400/RSA", "b ECDSA", "b RSA", "c 5061/RSA"}, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	for store := range r.ByStore() {
		got = append(got, store)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"cup-trust", "cup-trust", "cup-trust", "cup-trust", "cup-xmpp-trust", "tomcat-trust", "tomcat-trust", "tomcat-trust"}, got); diff != "" {
		t.Error(diff)
	}
	for stop := 1; stop <= len(got); stop++ {
		n := 0
		for range r.ByStore() {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("stopped after %d, and was shown %d", stop, n)
		}
	}
}

// TestWhatIsServedAtAPlaceIsSetThere, on 8443 and on another port.
func TestWhatIsServedAtAPlaceIsSetThere(t *testing.T) {
	r := Record{Served: map[mesh.NodeName]map[Place]Served{"a": {}}, Ports: map[mesh.NodeName]map[Place]Served{"a": {}}}
	for i, port := range []string{"", PortSIPTLS} {
		spot := Spot{"a", Place{port, "RSA"}}
		if _, ok := r.ServedAt(spot); ok {
			t.Errorf("%s was never read", spot.Place)
		}
		r.SetServed(spot, Served{Fingerprint: fmt.Sprint(i)})
		if s, ok := r.ServedAt(spot); !ok || s.Fingerprint != fmt.Sprint(i) {
			t.Errorf("%s: %v %+v", spot.Place, ok, s)
		}
	}
	if len(r.Served["a"]) != 1 || len(r.Ports["a"]) != 1 {
		t.Errorf("%+v", r)
	}
}
