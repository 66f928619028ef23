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
			if err := enc.Encode(p.View(m)); err != nil {
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
