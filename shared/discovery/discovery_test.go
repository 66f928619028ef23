package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/discovery"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/secret"
)

// rig is a simulated mesh with a search that begins at emea's publisher and has one
// account that every cluster takes.
type rig struct {
	*simtest.Rig
	search discovery.Search
}

func newRig(t *testing.T, clusters int) *rig {
	t.Helper()
	r := &rig{Rig: simtest.New(t, simtest.Start(), clustersim.Config{Clusters: clusters, Users: 20, Seed: 1}, true)}
	for _, c := range r.Mesh.Clusters {
		r.Change(string(c.ID), clustersim.Credentials{Account: "read", Username: new("reader"), Password: new("the same on all")})
	}
	r.search = discovery.Search{
		Publisher: "imp-emea-pub.example.com", Account: "all/read", CA: r.Files["ca.pem"], Resolve: r.resolve, Now: r.Clock.Now,
		Secrets: simtest.Secrets{"all/read": secret.Credentials{Username: "reader", Password: secret.NewText("the same on all"), Version: "1"}},
	}
	return r
}

// resolve knows where the simulator's nodes listen.
func (r *rig) resolve(_ context.Context, host, _ string) (string, error) {
	for _, h := range r.Hosts() {
		if strings.EqualFold(h.Name, host) || h.Address == host {
			return h.Address, nil
		}
	}
	return "", fmt.Errorf("no such host as %s", host)
}

func (r *rig) asked(t *testing.T) map[mesh.ClusterID]int {
	t.Helper()
	out := map[mesh.ClusterID]int{}
	for _, c := range r.Mesh.Clusters {
		for _, n := range r.Requests(c.ID) {
			out[c.ID] += n
		}
	}
	return out
}

// parse reads what was written as it will be read.
func parse(t *testing.T, found discovery.Found, ca []byte) (*mesh.Mesh, string) {
	t.Helper()
	text := found.YAML(discovery.File{From: "imp-emea-pub.example.com", At: simtest.Start(), CA: "ca.pem"})
	m, err := meshfile.Parse("mesh.yaml", text, func(string) ([]byte, error) { return ca, nil })
	if err != nil {
		t.Fatalf("what was written is no mesh: %v\n%s", err, text)
	}
	return m, string(text)
}

func TestAWholeMeshIsFoundFromOnePublisher(t *testing.T) {
	for _, n := range []int{1, 3, 30} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			r := newRig(t, n)
			found, err := r.search.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			m, text := parse(t, found, r.search.CA)
			for _, want := range r.Mesh.Clusters {
				if !slices.ContainsFunc(m.Clusters, func(c mesh.Cluster) bool { return c.Publisher == want.Publisher }) {
					t.Errorf("%s is missing", want.Publisher)
				}
			}
			if len(m.Clusters) != n || len(m.Peers) != n*(n-1) || len(found.Unreached) > 0 {
				t.Fatalf("%d clusters and %d peers, unreached %v", len(m.Clusters), len(m.Peers), found.Unreached)
			}
			if gaps := found.Gaps(); len(gaps) > 0 {
				t.Errorf("not found out: %q", gaps)
			}
			for _, want := range r.Mesh.Clusters {
				i := slices.IndexFunc(m.Clusters, func(c mesh.Cluster) bool { return c.Publisher == want.Publisher })
				if i < 0 {
					t.Fatalf("%s is missing:\n%s", want.Publisher, text)
				}
				got := m.Clusters[i]
				if len(got.Nodes) != len(want.Nodes) || got.CUCM == nil || got.CUCM.Name != want.CUCM.Name || got.Release == "" || got.Credentials != "all/read" {
					t.Errorf("%+v, want the nodes of %+v", got, want)
				}
			}
			if n == 3 && (m.Clusters[0].ID != "emea" || !slices.ContainsFunc(m.Clusters, func(c mesh.Cluster) bool { return c.ID == "apac" })) {
				t.Errorf("ids %v", m.IDs())
			}
			if m.Domain != "example.com" || m.Policy.Mode != mesh.Observe {
				t.Errorf("domain %s, mode %s", m.Domain, m.Policy.Mode)
			}
			for _, c := range r.Mesh.Clusters {
				if _, logIns, rejected := r.Load(c.ID); logIns > 1 || rejected > 0 {
					t.Errorf("%s: %d log-ins, %d of them rejected; one node is asked, once", c.ID, logIns, rejected)
				}
			}
		})
	}
}

// TestAPairsOwnProtocolIsWritten: what most entries say stands for all, and a pair
// that says otherwise beside it. Two ends that differ are a gap, and no guess.
func TestAPairsOwnProtocolIsWritten(t *testing.T) {
	all := []string{"amer>apac", "amer>emea", "apac>amer", "apac>emea", "emea>amer", "emea>apac"}
	for _, tc := range []struct {
		name string
		tls  []string // entries
		want []string // peers over TLS
		gap  string
	}{
		{"all TCP", nil, nil, ""},
		{"all TLS", all, all, ""},
		{"one pair TLS", []string{"emea>amer", "amer>emea"}, []string{"amer>emea", "emea>amer"}, ""},
		{"one pair TCP", []string{"amer>apac", "amer>emea", "apac>amer", "emea>amer"}, []string{"amer>apac", "amer>emea", "apac>amer", "emea>amer"}, ""},
		{"two ends that differ", []string{"emea>apac"}, nil, "the entries of emea and apac for each other name two protocols"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, 3)
			for _, entry := range tc.tls {
				from, to, _ := strings.Cut(entry, ">")
				r.Change(from, clustersim.Peers{Peer: to, Protocol: new("tls")})
			}
			found, err := r.search.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			m, text := parse(t, found, r.search.CA)
			var got []string
			for _, p := range m.Peers {
				if p.Protocol == mesh.TLSProto {
					got = append(got, p.ID.String())
				}
			}
			if len(m.Peers) != len(all) || !slices.Equal(got, tc.want) {
				t.Errorf("%d peers, over TLS %q, want %q:\n%s", len(m.Peers), got, tc.want, text)
			}
			if gaps := strings.Join(found.Gaps(), "\n"); (gaps != "") != (tc.gap != "") || !strings.Contains(gaps, tc.gap) {
				t.Errorf("gaps %q, want %q", gaps, tc.gap)
			}
			if strings.Contains(text, "except:") != (len(tc.want) > 0 && len(tc.want) < len(all)) {
				t.Errorf("an exception where none is, or none:\n%s", text)
			}
		})
	}
}

func TestASubscriberWillDoToBeginWith(t *testing.T) {
	r := newRig(t, 2)
	r.search.Publisher = "imp-emea-sub.example.com"
	found, err := r.search.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := parse(t, found, r.search.CA); len(m.Clusters) != 2 || m.Clusters[0].Publisher != "imp-emea-pub.example.com" {
		t.Errorf("%+v", m.Clusters)
	}
}

// TestTheFirstRejectionEndsAnAccount: apac takes another password. It is asked once,
// amer not at all with that account, and both are named.
func TestTheFirstRejectionEndsAnAccount(t *testing.T) {
	r := newRig(t, 3)
	second := r.second(t)
	r.Change(string(second), clustersim.Credentials{Account: "read", Password: new("another")})
	before := r.asked(t)
	found, err := r.search.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Clusters) != 1 || len(found.Unreached) == 0 {
		t.Fatalf("%d clusters, unreached %v", len(found.Clusters), found.Unreached)
	}
	rejections := 0
	for _, c := range r.Mesh.Clusters {
		_, _, rejected := r.Load(c.ID)
		rejections += rejected
		if c.ID != "emea" && c.ID != second && r.asked(t)[c.ID] > before[c.ID] {
			t.Errorf("%s was asked with an account that %s rejected", c.ID, second)
		}
	}
	if rejections != 1 {
		t.Errorf("%d rejections, want one", rejections)
	}
	for _, u := range found.Unreached {
		if !u.Rejected || !strings.Contains(u.Why, "all/read") {
			t.Errorf("%+v does not say which account is to blame", u)
		}
	}
	if entries := string(found.Secrets([]string{"all/read"})); !strings.Contains(entries, string(found.Unreached[0].Host)+"/read") || strings.Contains(entries, "the same on all") {
		t.Errorf("entries to fill in: %s", entries)
	}
	// With an account of its own for the one, the others go on.
	r.search.Accounts = map[mesh.NodeName]string{found.Unreached[0].Host: "own/read"}
	r.search.Secrets = simtest.Secrets{
		"all/read": secret.Credentials{Username: "reader", Password: secret.NewText("the same on all"), Version: "1"},
		"own/read": secret.Credentials{Username: "reader", Password: secret.NewText("another"), Version: "1"},
	}
	if found, err = r.search.Find(t.Context()); err != nil || len(found.Clusters) != 3 {
		t.Errorf("%d clusters, %v: %v", len(found.Clusters), found.Unreached, err)
	}
}

// second is the cluster that is looked at after emea.
func (r *rig) second(t *testing.T) mesh.ClusterID {
	t.Helper()
	var order []string
	s := r.search
	s.Doing = func(text string) { order = append(order, text) }
	if _, err := s.Find(t.Context()); err != nil || len(order) < 2 {
		t.Fatal(order, err)
	}
	for _, c := range r.Mesh.Clusters {
		if strings.Contains(order[1], string(c.Publisher)) {
			return c.ID
		}
	}
	t.Fatalf("%q names no publisher", order[1])
	return ""
}

// TestNothingIsSentBeforeSomethingVouches: without a CA, and with nobody to ask, no
// host is sent anything.
func TestNothingIsSentBeforeSomethingVouches(t *testing.T) {
	r := newRig(t, 2)
	r.search.CA = nil
	_, err := r.search.Find(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nothing was sent to it") || !strings.Contains(err.Error(), "sha256:") {
		t.Errorf("%v; it has to name the fingerprint", err)
	}
	for id, n := range r.asked(t) {
		if n > 0 {
			t.Errorf("%s was sent %d requests", id, n)
		}
	}
}

func TestAPersonIsAskedOnceForEachHost(t *testing.T) {
	r := newRig(t, 2)
	r.search.CA = nil
	asked := map[mesh.NodeName]int{}
	refused := mesh.NodeName("imp-apac-pub.example.com")
	r.search.Confirm = func(_ context.Context, s discovery.Server) (bool, error) {
		asked[s.Name]++
		if s.Fingerprint != chain.Fingerprint(s.Leaf) || s.Leaf.Subject.CommonName != string(s.Name) && !slices.Contains(s.Leaf.DNSNames, string(s.Name)) {
			t.Errorf("%s is asked about with another's certificate %v", s.Name, s.Leaf.Subject)
		}
		return s.Name != refused, nil
	}
	found, err := r.search.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range asked {
		if n != 1 {
			t.Errorf("asked %d times about %s", n, name)
		}
	}
	if asked[refused] != 1 {
		t.Errorf("not asked about %s: %v", refused, asked)
	}
	text := found.YAML(discovery.File{From: "x", At: simtest.Start()})
	m, err := meshfile.Parse("mesh.yaml", text, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, c := range m.Clusters {
		if len(c.TLS.Pins) < 2 {
			t.Errorf("%s has the pins %v:\n%s", c.ID, c.TLS.Pins, text)
		}
	}
	if !strings.Contains(string(text), "was not confirmed") {
		t.Errorf("the file does not say that %s was not confirmed:\n%s", refused, text)
	}
}

func TestAnAcceptedFingerprintIsAPin(t *testing.T) {
	r := newRig(t, 1)
	r.search.CA = nil
	for _, h := range r.Hosts() {
		shown, err := r.Served(h.Address)
		if err != nil {
			t.Fatal(err)
		}
		r.search.Accept = append(r.search.Accept, chain.Fingerprint(shown[0]))
	}
	found, err := r.search.Find(t.Context())
	if err != nil || len(found.Gaps()) > 0 {
		t.Fatal(err, found.Gaps())
	}
}

// TestAPersonWhoEndsItEndsIt: nothing goes on behind the back of somebody who pressed
// Ctrl-C at a question.
func TestAPersonWhoEndsItEndsIt(t *testing.T) {
	r := newRig(t, 2)
	r.search.CA = nil
	gone := errors.New("nobody answered")
	r.search.Confirm = func(context.Context, discovery.Server) (bool, error) { return false, gone }
	if _, err := r.search.Find(t.Context()); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.search.Confirm = func(context.Context, discovery.Server) (bool, error) { cancel(); return false, ctx.Err() }
	if _, err := r.search.Find(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestWhatIsSilentIsAGap: a cluster whose nodes do not answer is named with the
// reason, and the others are found.
func TestWhatIsSilentIsAGap(t *testing.T) {
	r := newRig(t, 3)
	r.search.Resolve = func(ctx context.Context, host, port string) (string, error) {
		switch {
		case strings.Contains(host, "apac"):
			return "127.0.0.1:1", nil // where nothing listens: no test is given port 1
		case strings.Contains(host, "amer-sub"):
			return "", errors.New("its name does not resolve")
		}
		return r.resolve(ctx, host, port)
	}
	found, err := r.search.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, text := parse(t, found, r.search.CA)
	if len(m.Clusters) != 2 || !strings.Contains(text, "imp-apac-pub.example.com: its certificate cannot be seen") {
		t.Errorf("%d clusters:\n%s", len(m.Clusters), text)
	}
	if gaps := strings.Join(found.Gaps(), "\n"); !strings.Contains(gaps, "imp-apac-pub.example.com was not looked into") || !strings.Contains(gaps, "imp-amer-sub.example.com: its name does not resolve") {
		t.Errorf("gaps: %s", gaps)
	}
	if found.Secrets(nil) != nil {
		t.Error("an entry is asked for although no account is to blame")
	}
}

// TestNoSecretIsWritten: neither the file nor what is said of it holds the password.
func TestNoSecretIsWritten(t *testing.T) {
	r := newRig(t, 3)
	r.Change("apac", clustersim.Credentials{Account: "read", Password: new("another")})
	found, err := r.search.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, text := parse(t, found, r.search.CA)
	for _, said := range append(found.Gaps(), text, string(found.Secrets(nil)), fmt.Sprintf("%+v", found)) {
		if strings.Contains(said, "the same on all") || bytes.Contains([]byte(said), []byte("another\"")) {
			t.Errorf("the password is in: %s", said)
		}
	}
}
