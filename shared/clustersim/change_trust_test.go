package clustersim

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"
)

// An issuing CA between the root and a node: it is served along, believed by way
// of the root, and ends by itself.
func TestIssuingCAThatEnds(t *testing.T) {
	r := newRig(t, Config{Users: 20})
	ends := r.Sim.now().AddDate(0, 0, 5)
	r.change("apac", Certificates{IntermediateNotAfter: new(ends)})
	served, err := r.Served(r.cluster("apac").publisher().address())
	if err != nil {
		t.Fatal(err)
	}
	if len(served) != 2 || !served[1].NotAfter.Equal(ends.Truncate(time.Second)) || served[0].CheckSignatureFrom(served[1]) != nil || served[1].CheckSignatureFrom(r.authority.cert) != nil {
		t.Fatalf("served %d certificates", len(served))
	}
	cert := r.cluster("apac").publisher().rsa
	if !r.trusts(r.cluster("emea"), cert, r.Sim.now()) {
		t.Error("while the issuing CA is in its time, the root vouches for the leaf")
	}
	if r.trusts(r.cluster("emea"), cert, ends.Add(time.Hour)) {
		t.Error("the root vouches for the leaf although the issuing CA is over")
	}
	if r.trusts(r.cluster("emea"), &tls.Certificate{Certificate: cert.Certificate[:1], Leaf: cert.Leaf}, r.Sim.now()) {
		t.Error("the root vouches for the leaf although the issuing CA was not sent")
	}
}

// What is put into a store: any certificate by its PEM, and an entry in which
// nothing is.
func TestTrustStoreByHand(t *testing.T) {
	r := newRig(t, Config{Users: 20})
	before := len(r.trust(r.cluster("emea").publisher(), tomcatTrust).prints)
	other, err := newAuthority(r.Sim.now())
	if err != nil {
		t.Fatal(err)
	}
	r.change("emea", Trust{Add: string(other.PEM())})
	r.change("emea", Trust{AddEmpty: true})
	store := r.trust(r.cluster("emea").publisher(), tomcatTrust)
	if len(store.prints) != before+1 || store.certs[fingerprint(other.cert)] == nil || store.empty != 1 {
		t.Errorf("%d certificates, %d empty entries", len(store.prints), store.empty)
	}
	if r.cluster("emea").believed[fingerprint(other.cert)] == nil {
		t.Error("ICSA has not read it")
	}
	for _, body := range []string{`{"add":"-----BEGIN CERTIFICATE-----\nAAAA"}`, `{"addEmpty":true,"remove":"x"}`, `{}`} {
		if err := r.Do("POST", "/clusters/emea/trust", []byte(body)); err == nil || !strings.Contains(err.Error(), ":") {
			t.Errorf("%s: %v", body, err)
		}
	}
}
