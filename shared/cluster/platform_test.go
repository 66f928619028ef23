package cluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"peerkeeper/shared/certmgr"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/peer"
)

// told answers every request with one snapshot.
type told string

func (s told) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(s))), Request: req}, nil
}

// What an entry of a store is that cannot be read, nobody knows: it may be the
// very certificate that is looked for. Such a store shows what it lacks to nobody.
func TestAStoreThatIsNotReadWhole(t *testing.T) {
	r, _ := shelves(t)
	leaf, own := r.leaf("apac", apacPub), r.leaf("emea", emeaPub)
	pem := func(text string) string {
		out, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	whole, other := pem(certmgr.Certificate{X509: leaf}.PEM()), pem(certmgr.Certificate{X509: own}.PEM())
	noX509 := pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	snapshot := func(identity string, entries ...string) told {
		return told(fmt.Sprintf(`{"server":%q,"identities":[{"service":"tomcat","certificate":%s}],"trusts":[{"service":"tomcat","certificate_data":[%s]}]}`, emeaPub, identity, strings.Join(entries, ",")))
	}
	entry := func(text string) string { return `{"filename":"x.pem","certificate":` + text + `}` }
	for _, c := range []struct {
		name  string
		says  told
		lacks int // -1: it cannot be told
		shown bool
		own   bool
	}{
		{"whole, and it is there", snapshot(other, entry(whole), entry(other)), 0, true, true},
		{"whole, and it is not", snapshot(other, entry(other)), 1, true, true},
		{"what is no X.509, and is no certificate of ours", snapshot(other, entry(other), entry(noX509)), 1, true, true},
		{"a damaged entry", snapshot(other, entry(other), entry(pem("-----BEGIN CERTIFICATE-----\nMIIC"))), -1, false, true},
		{"an empty entry, where nothing is", snapshot(other, entry(other), entry(`""`)), 1, true, true},
		{"more entries than are looked at", snapshot(other, slices.Repeat([]string{entry(other)}, 2001)...), -1, true, true},
		{"more entries than are looked at, and it is among the first", snapshot(other, append([]string{entry(whole)}, slices.Repeat([]string{entry(other)}, 2001)...)...), 0, true, true},
		{"entries under a name that is not known", snapshot(other, `{"filename":"x.pem","pem":`+whole+`}`), -1, false, true},
		{"a damaged leaf of its own, and what is above it", snapshot(pem("-----BEGIN CERTIFICATE-----\nMIIC\n"+certmgr.Certificate{X509: own}.PEM()), entry(other)), 1, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &cluster.Platform{Secrets: r, Now: r.Clock.Now, Transport: c.says}
			emea := r.declared("emea")
			n, _ := emea.Node(emeaPub)
			login, err := p.LogIn(t.Context(), emea, nil)
			if err != nil {
				t.Fatal(err)
			}
			held, err := p.Holding(t.Context(), emea, *n, login, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, shown := held.Stores[peer.TomcatTrust]; shown != c.shown {
				t.Errorf("the store is shown: %v, want %v", shown, c.shown)
			}
			if _, own := held.Identities["tomcat"]; own != c.own {
				t.Errorf("what it serves as is told: %v, want %v", own, c.own)
			}
			if whole := c.shown && c.own; whole != (len(held.Unreadable) == 0) {
				t.Errorf("not read: %v", held.Unreadable)
			}
			k, err := p.TrustStoreWriter(t.Context(), emea, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			lacks, err := k.Lacks(t.Context(), emeaPub, peer.TomcatTrust, []string{chain.Fingerprint(leaf)})
			if (err != nil) != (c.lacks < 0) || err == nil && len(lacks) != c.lacks {
				t.Errorf("lacks %v, %v", lacks, err)
			}
		})
	}
}
