package cluster_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/certmgr"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
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
		cut   int // entries that are not looked at
	}{
		{"whole, and it is there", snapshot(other, entry(whole), entry(other)), 0, true, true, 0},
		{"whole, and it is not", snapshot(other, entry(other)), 1, true, true, 0},
		{"what is no X.509, and is no certificate of ours", snapshot(other, entry(other), entry(noX509)), 1, true, true, 0},
		{"a damaged entry", snapshot(other, entry(other), entry(pem("-----BEGIN CERTIFICATE-----\nMIIC"))), -1, false, true, 0},
		{"an empty entry, where nothing is", snapshot(other, entry(other), entry(`""`)), 1, true, true, 0},
		{"more entries than are looked at", snapshot(other, slices.Repeat([]string{entry(other)}, 2001)...), -1, true, true, 1},
		{"more entries than are looked at, and it is among the first", snapshot(other, append([]string{entry(whole)}, slices.Repeat([]string{entry(other)}, 2001)...)...), 0, true, true, 2},
		{"entries under a name that is not known", snapshot(other, `{"filename":"x.pem","pem":`+whole+`}`), -1, false, true, 0},
		{"a damaged leaf of its own, and what is above it", snapshot(pem("-----BEGIN CERTIFICATE-----\nMIIC\n"+certmgr.Certificate{X509: own}.PEM()), entry(other)), 1, true, false, 0},
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
			if n, cut := held.Cut[peer.TomcatTrust]; n != c.cut || cut != (n > 0) {
				t.Errorf("%d entries are not looked at, want %d: %v", n, c.cut, held.Cut)
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

// certificateManagement answers what it is asked for, by path and service, with what
// it says of that, and notes it; anything else it does not know.
type certificateManagement struct {
	says  map[string]reply
	asked []string
}

type reply struct {
	status int // 0: nobody listens
	body   string
}

func (c *certificateManagement) RoundTrip(req *http.Request) (*http.Response, error) {
	_, what, _ := strings.Cut(req.URL.Path, "/certmgr/config")
	if service := req.URL.Query().Get("service"); service != "" {
		what += " " + service
	}
	c.asked = append(c.asked, what)
	says, known := c.says[what]
	if !known {
		says = reply{http.StatusNotFound, `{"message":"not found"}`}
	}
	if says.status == 0 {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return &http.Response{StatusCode: says.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(says.body)), Request: req}, nil
}

// A node that does not know the question for all that it holds is asked store by
// store. One that has no certificate management, or does not let us in, is asked
// nothing more, and says why.
func TestANodeWithoutASnapshotOfItsCertificates(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	emea := r.declared("emea")
	node, _ := emea.Node(emeaPub)
	ca, err := json.Marshal(emea.TLS.CA)
	if err != nil {
		t.Fatal(err)
	}
	const snapshot, refusal = "/snapshot/server", "imp-emea-pub.example.com refuses the platform account"
	store := reply{http.StatusOK, `{"certificates":[{"certificate":` + string(ca) + `}]}`}
	tomcat := map[string]reply{"/trust/certificate tomcat": store, "/identity/certificate tomcat": {http.StatusOK, emea.TLS.CA}}
	all := map[string]reply{"/trust/certificate cup": store, "/trust/certificate cup-xmpp": store}
	maps.Copy(all, tomcat)
	with := func(base map[string]reply, what string, says reply) map[string]reply {
		out := maps.Clone(base)
		out[what] = says
		return out
	}
	for _, c := range []struct {
		name   string
		says   map[string]reply
		reason peer.Reason // "" is read
		words  string
		stores []string
		asked  int
	}{
		{"the question is not known", all, "", "", []string{"cup-trust", "cup-xmpp-trust", "tomcat-trust"}, 7},
		{"nor is its answer", with(all, snapshot, reply{http.StatusOK, "<html>"}), "", "", []string{"cup-trust", "cup-xmpp-trust", "tomcat-trust"}, 7},
		{"services that are not active have no store", tomcat, "", "", []string{"tomcat-trust"}, 7},
		{"Tomcat's store does not answer", with(all, "/trust/certificate tomcat", reply{http.StatusNotFound, `{"message":"none"}`}), peer.ServiceNotActive, "none", nil, 2},
		{"another store fails", with(all, "/trust/certificate cup", reply{http.StatusInternalServerError, ""}), peer.QueryRefused, "500", nil, 4},
		{"what a service serves as cannot be told just now", with(all, "/identity/certificate tomcat", reply{http.StatusServiceUnavailable, ""}), peer.Overloaded, "503", nil, 3},
		{"what a service serves as is refused", with(all, "/identity/certificate tomcat", reply{http.StatusBadRequest, `{"message":"no such service"}`}), "", "", []string{"cup-trust", "cup-xmpp-trust", "tomcat-trust"}, 7},
		{"a release before 14", map[string]reply{snapshot: {http.StatusNotFound, "<html>"}}, certificate.Before14, "it came with release 14", nil, 1},
		{"Tomcat is down", map[string]reply{snapshot: {}}, peer.CannotConnect, "refuses connections", nil, 1},
		{"the question fails", with(all, snapshot, reply{http.StatusInternalServerError, ""}), peer.QueryRefused, "500", nil, 1},
		{"the account is refused", with(all, snapshot, reply{http.StatusUnauthorized, ""}), peer.AccountRejected, refusal, nil, 1},
		{"the account may not", with(all, snapshot, reply{http.StatusForbidden, ""}), peer.Forbidden, "the account lacks the role", nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers := &certificateManagement{says: c.says}
			p := &cluster.Platform{Secrets: r, Now: r.Clock.Now, Transport: answers}
			login, err := p.LogIn(t.Context(), emea, nil)
			if err != nil {
				t.Fatal(err)
			}
			held, err := p.Holding(t.Context(), emea, *node, login, nil)
			var no *certificate.Refused
			switch {
			case c.reason == "" && err != nil, c.reason != "" && !errors.As(err, &no):
				t.Fatalf("%v, want reason %q", err, c.reason)
			case no != nil && (no.Reason != c.reason || !strings.Contains(no.Message, c.words) || (no.Message == refusal) != (c.words == refusal)):
				t.Errorf("%s: %s; want %s: %s", no.Reason, no.Message, c.reason, c.words)
			}
			if stores := slices.Sorted(maps.Keys(held.Stores)); !slices.Equal(stores, c.stores) {
				t.Errorf("stores %q, want %q", stores, c.stores)
			}
			if served := c.reason == "" && c.says["/identity/certificate tomcat"].status == http.StatusOK; (len(held.Identities["tomcat"]) == 1) != served {
				t.Errorf("what Tomcat serves as is told: %v, want %v", !served, served)
			}
			if len(answers.asked) != c.asked {
				t.Errorf("asked %d times, want %d: %q", len(answers.asked), c.asked, answers.asked)
			}
		})
	}
}
