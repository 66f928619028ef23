package change

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
)

var update = flag.Bool("update", false, "write testdata again")

// file is a mesh.yaml of three clusters, but for its peers.
const file = `mesh: acme
domain: example.com
clusters:
  - id: emea
    release: 14.0.1SU3
    publisher: imp-emea-pub.example.com
    nodes:
      - {name: imp-emea-pub.example.com}
      - {name: imp-emea-sub.example.com}
    credentials: emea/read
    tls: {pins: ["sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"]}
    syncInterval: 1h
  - id: apac
    release: 14.0.1SU3
    publisher: imp-apac-pub.example.com
    nodes:
      - {name: imp-apac-pub.example.com}
    credentials: apac/read
    tls: {pins: ["sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"]}
  - id: amer
    release: 12.5.1SU6
    publisher: imp-amer-pub.example.com
    nodes:
      - {name: imp-amer-pub.example.com}
    credentials: amer/read
    tls: {pins: ["sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"]}
`

const (
	fullMesh = "peers:\n  topology: full-mesh\n"
	allPairs = "peers:\n  pairs:\n    - [emea, apac]\n    - [emea, amer]\n    - [apac, amer]\n"
	noAmer   = "peers:\n  pairs:\n    - [emea, apac]\n"
	recovers = "policy:\n  mode: recover\n"
	atNight  = recovers + "  windows:\n    - {kind: allow, from: \"22:00\", to: \"04:00\", timeZone: UTC}\n"
)

// read is the mesh that a mesh.yaml says.
func read(t *testing.T, text string) *mesh.Mesh {
	t.Helper()
	m, err := meshfile.Parse("mesh.yaml", []byte(text), func(string) ([]byte, error) { return authority(t), nil })
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return m
}

// authority is a CA file.
func authority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: noon, NotAfter: noon.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestPlansAsPeopleReadThem: every word of a plan of each kind, as testdata has it.
func TestPlansAsPeopleReadThem(t *testing.T) {
	before14 := func(text string) string { return strings.ReplaceAll(text, "14.0.1SU3", "12.5.1SU6") }
	for _, c := range []struct {
		name string
		mesh string
		kind Kind
		args []string
		goes func(p *Plan) // on from the draft
	}{
		{"add", file + noAmer + atNight, Add, []string{"apac", "amer"}, nil},
		{"edit-protocol", file + fullMesh + atNight, Edit, []string{"apac", "amer", "protocol=tls"}, func(p *Plan) {
			said := func(n int, yes bool) {
				p.Steps[n-1].Turn(StepDone, noon, "ada answered")
				p.Steps[n-1].Said = &Said{Verb: Answer, Actor: "ada", At: noon, Yes: yes}
			}
			p.Turn(Running, "", noon)
			for n := 1; n <= 9; n++ {
				p.Steps[n-1].Turn(StepDone, noon, "")
			}
			p.Steps[6].Before = "TCP"
			said(8, false)
			said(10, true)
			p.Steps[10].Turn(StepRunning, noon.Add(time.Minute), "it is looked at")
		}},
		{"edit-address", file + fullMesh + recovers, Edit, []string{"apac", "amer", "address=imp-amer-pub.example.com"}, nil},
		{"delete", file + fullMesh + recovers, Delete, []string{"emea", "amer"}, nil},
		{"join", file + noAmer + recovers, Join, []string{"latam", "publisher=imp-latam-pub.example.com:8443"}, nil},
		{"join-laid-out", file + noAmer + "    - [apac, amer]\n  protocol: tls\n" + atNight, Join, []string{"amer"}, nil},
		{"leave", before14(file) + allPairs + recovers, Leave, []string{"amer"}, nil},
		{"rotate-credentials", file + fullMesh + atNight, RotateCredentials, []string{"emea"}, nil},
		{"set", file + fullMesh, Set, []string{"syncInterval=45"}, func(p *Plan) {
			p.Turn(Waiting, "for a person to do it", noon)
			p.Steps[0].Turn(StepDone, noon, "no row fails")
			p.Steps[1].Before = "30"
			p.Steps[1].Turn(StepWaiting, noon, "it reads 30")
		}},
		{"activate-axl", file + fullMesh + recovers, ActivateAXL, []string{"emea"}, nil},
		{"restart-router", file + fullMesh + atNight, RestartRouter, []string{"emea"}, func(p *Plan) {
			p.Turn(Running, "", noon)
			for n := 1; n <= 3; n++ {
				p.Steps[n-1].Turn(StepDone, noon, "")
			}
			p.Steps[3].People, p.Steps[7].People = 412, 1
			p.Steps[3].Consent = &Consent{Actor: "ada", At: noon}
			p.Steps[3].Turn(StepWaiting, noon, "for a window")
			p.Turn(Waiting, "for a window", noon)
		}},
		{"tune-sip-proxy", file + fullMesh + recovers, TuneSIPProxy, []string{"apac"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := read(t, c.mesh)
			p := made(t, m, c.kind, c.args...)
			if c.goes != nil {
				c.goes(p)
			}
			var text bytes.Buffer
			enc := json.NewEncoder(&text)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", " ")
			v := p.View(m)
			v.Outlook = p.Outlook(Known{Mesh: m, Now: noon})
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", c.name+".json")
			if *update {
				if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text.String()); diff != "" {
				t.Errorf("%s differs (-want +got); go test -update writes it again:\n%s", path, diff)
			}
		})
	}
}

// TestMeshYAMLOnceAPersonHasPutTheLinesIn: the file that comes of it is read, and says what
// the step wants; the one before did not.
func TestMeshYAMLOnceAPersonHasPutTheLinesIn(t *testing.T) {
	items := func(lines string) (out string) {
		for line := range strings.Lines(lines) {
			if strings.HasPrefix(line, "    - ") {
				out += line
			}
		}
		return out
	}
	without := func(text, what string) (out string) {
		for line := range strings.Lines(text) {
			if !strings.Contains(line, what) {
				out += line
			}
		}
		return out
	}
	amer := strings.Index(file, "  - id: amer")
	for _, c := range []struct {
		name  string
		peers string // as mesh.yaml has them before
		kind  Kind
		args  []string
		wants string // of the file, in the words of the title
		puts  func(peers, lines string) string
		pairs string // that there are then
	}{
		{"a pair is added", noAmer, Add, []string{"emea", "amer"}, "mesh.yaml pairs emea and amer", func(peers, lines string) string {
			return file + peers + items(lines)
		}, "amer>emea apac>emea emea>amer emea>apac"},
		{"a listed pair ends", allPairs, Delete, []string{"emea", "apac"}, "mesh.yaml pairs emea and apac no more", func(peers, lines string) string {
			return file + without(peers, "[emea, apac]")
		}, "amer>apac amer>emea apac>amer emea>amer"},
		{"a pair of a full mesh ends", fullMesh, Delete, []string{"amer", "emea"}, "mesh.yaml pairs amer and emea no more", func(peers, lines string) string {
			return file + lines
		}, "amer>apac apac>amer apac>emea emea>apac"},
		{"a pair goes TLS", fullMesh, Edit, []string{"emea", "apac", "protocol=tls"}, "mesh.yaml has tls for emea and apac", func(peers, lines string) string {
			return file + peers + strings.TrimPrefix(lines, "peers:\n")
		}, "amer>apac amer>emea apac>amer apac>emea tls emea>amer emea>apac tls"},
		{"a cluster joins listed pairs", noAmer, Join, []string{"latam", "publisher=imp-latam-pub.example.com:8443"}, "mesh.yaml lists latam, with its pairs", func(peers, lines string) string {
			clusters, pairs, _ := strings.Cut(lines, "peers:\n")
			return file + strings.TrimPrefix(clusters, "clusters: # one more\n") + peers + items(pairs)
		}, "amer>latam apac>emea apac>latam emea>apac emea>latam latam>amer latam>apac latam>emea"},
		{"a cluster joins a full mesh", fullMesh, Join, []string{"latam", "publisher=imp-latam-pub.example.com"}, "mesh.yaml lists latam, with its pairs", func(peers, lines string) string {
			return file + strings.TrimPrefix(lines, "clusters: # one more\n") + peers
		}, "amer>apac amer>emea amer>latam apac>amer apac>emea apac>latam emea>amer emea>apac emea>latam latam>amer latam>apac latam>emea"},
		{"a cluster leaves listed pairs", allPairs, Leave, []string{"amer"}, "mesh.yaml lists amer no more", func(peers, lines string) string {
			return file[:amer] + without(peers, "amer")
		}, "apac>emea emea>apac"},
		{"a cluster leaves a full mesh", fullMesh, Leave, []string{"amer"}, "mesh.yaml lists amer no more", func(peers, lines string) string {
			return file[:amer] + peers
		}, "apac>emea emea>apac"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := read(t, file+c.peers)
			p := made(t, before, c.kind, c.args...)
			i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Op == OpMeshLines })
			v := p.View(before).Steps[i]
			if v.Title != c.wants {
				t.Errorf("it wants: %s", v.Title)
			}
			if done, says := p.Steps[i].Declared(before); done || p.Steps[i].State != StepPending {
				t.Errorf("before: %s, and that is as wanted", says)
			}
			after := read(t, c.puts(c.peers, v.Lines))
			if done, says := p.Steps[i].Declared(after); !done {
				t.Errorf("after: %s, and that is not as wanted", says)
			}
			var pairs []string
			for _, peer := range after.Peers {
				pairs = append(pairs, peer.ID.String())
				if peer.Protocol == mesh.TLSProto {
					pairs = append(pairs, "tls")
				}
			}
			if got := strings.Join(pairs, " "); got != c.pairs {
				t.Errorf("pairs\n got %s\nwant %s", got, c.pairs)
			}
		})
	}
}

// TestWhatMeshYAMLSaysAlreadyIsNoStep: the plan says what it says.
func TestWhatMeshYAMLSaysAlreadyIsNoStep(t *testing.T) {
	tls := read(t, file+allPairs+"  except:\n    - {pair: [emea, apac], protocol: tls}\n")
	for _, c := range []struct {
		mesh    *mesh.Mesh
		purpose Kind
		cluster mesh.ClusterID
		pair    mesh.PeerID
		done    bool
		want    string
	}{
		{tls, Add, "emea", mesh.PeerID{From: "emea", To: "apac"}, true, "mesh.yaml pairs emea and apac"},
		{read(t, file+noAmer), Add, "emea", mesh.PeerID{From: "emea", To: "amer"}, false, "mesh.yaml does not pair emea and amer"},
		{tls, Delete, "emea", mesh.PeerID{From: "emea", To: "apac"}, false, "mesh.yaml pairs emea and apac"},
		{tls, Edit, "emea", mesh.PeerID{From: "apac", To: "emea"}, true, "mesh.yaml has tls for apac and emea"},
		{tls, Edit, "emea", mesh.PeerID{From: "apac", To: "amer"}, false, "mesh.yaml has tcp for apac and amer"},
		{read(t, file+noAmer), Edit, "emea", mesh.PeerID{From: "apac", To: "amer"}, false, "mesh.yaml does not pair apac and amer"},
		{tls, Join, "amer", mesh.PeerID{}, true, "mesh.yaml lists amer"},
		{tls, Join, "latam", mesh.PeerID{}, false, "mesh.yaml does not list latam"},
		{tls, Leave, "amer", mesh.PeerID{}, false, "mesh.yaml lists amer"},
		{tls, Leave, "latam", mesh.PeerID{}, true, "mesh.yaml does not list latam"},
	} {
		s := Step{Op: OpMeshLines, Purpose: string(c.purpose), Cluster: c.cluster, Pair: c.pair, Value: "tls"}
		if done, says := s.Declared(c.mesh); done != c.done || says != c.want {
			t.Errorf("%s %s %s: %v, %s", c.purpose, c.cluster, c.pair, done, says)
		}
	}
}

// TestAStepIsShownWhenMeshYAMLHasItsClusterNoMore, and of a plan that a later version has
// written what this one knows.
func TestAStepIsShownWhenMeshYAMLHasItsClusterNoMore(t *testing.T) {
	m := read(t, file+fullMesh)
	for _, o := range append(ops(), op{name: "dance"}) {
		p := &Plan{Head: Head{ID: "c4f2", Kind: "dance", State: Waiting}, Steps: []Step{{N: 1, Op: o.name, Cluster: "latam", Node: "imp-latam-pub", State: StepWaiting}}}
		v := p.View(m)
		if s := v.Steps[0]; v.Title != "" || s.Title == "" && o.name != OpPrepare || s.Why == "" || s.Proof == "" {
			t.Errorf("%s: %q, %+v", o.name, v.Title, s)
		}
	}
	p := &Plan{Steps: []Step{{N: 1, Op: "dance"}, {N: 2, Op: OpPrepare, Purpose: "dance"}, {N: 3, Op: OpPrepare, Cluster: "latam", Purpose: prepareTryOnce}, {N: 4, Op: OpDeleteEntry, Pair: mesh.PeerID{From: "emea", To: "latam"}},
		{N: 5, Op: OpLook, Pair: mesh.PeerID{From: "emea", To: "apac"}, Value: "9000"}}}
	for i, want := range []string{"this version of Peerkeeper does not know the step dance", "a later version of Peerkeeper asks for it", "check-credentials A latam", "the publisher of latam", "Associated Users reads 9000"} {
		s := p.View(m).Steps[i]
		said := s.Title + s.Why
		if s.How != nil {
			said += s.How.Do
		}
		if !strings.Contains(said, want) {
			t.Errorf("step %d: %q lacks %q", s.N, said, want)
		}
	}
}
