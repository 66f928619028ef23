package meshfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/yamlfile"
)

const meshes = "../../../testdata/meshes"

const pin = "sha256:0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"

// newCA makes a self-signed certificate, and its key, as PEM.
func newCA(t testing.TB) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.com CA"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: kder}))
}

// files is a read function over a map.
func files(content map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		s, ok := content[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(s), nil
	}
}

// base is a good file; the bad ones differ from it in a few lines.
const base = `mesh: acme
domain: example.com
defaults: {release: "14.0"}
clusters:
  - id: emea
    publisher: imp-emea-pub.example.com
    nodes:
      - {name: imp-emea-pub.example.com}
      - {name: imp-emea-sub.example.com}
    credentials: emea/read
    tls: {ca: ca.pem}
    dns: [192.0.2.53]
    syncInterval: 30m
    ova: 15000
  - id: apac
    publisher: imp-apac-pub.example.com
    nodes:
      - {name: imp-apac-pub.example.com}
    credentials: apac/read
    tls: {ca: ca.pem}
peers: {topology: full-mesh, protocol: tcp}
policy:
  mode: observe
  windows: []
`

func TestBadFiles(t *testing.T) {
	ca, key := newCA(t)
	other := map[string]string{
		"ca.pem": ca, "key.pem": ca + key, "empty.pem": "", "broken.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"good-dialect.yaml": "queries: {peers: {evidence: site, sql: SELECT 1}}\n",
		"bad-dialect.yaml":  "queries:\n  peer: {}\n  peers: {evidence: hearsay, sql: DELETE FROM x}\n  topology: {evidence: site, sql: \"SELECT 1; SELECT 2\"}\n  user_rows: {evidence: site, sql: SELECT a FROM b INTO TEMP c}\n  parameters: {sql: 5}\nparameters:\n  sync_interval: []\n  auto_recovery: [a, a]\n",
		"torn-dialect.yaml": "queries: {\n",
	}
	var thirtyOne strings.Builder
	for i := range 31 {
		fmt.Fprintf(&thirtyOne, "  - {id: c%d, publisher: p%d, nodes: [{name: p%d}], credentials: c, tls: {ca: ca.pem}}\n", i+1, i+1, i+1)
	}
	const chapterCure = `(Cisco's chapter "Configure Intercluster Peers")`
	const allKeys = "autoRecovery, credentials, cucm, dns, dnsSurvivesSplit, edition, ha, id, log, nodes, ova, platformCredentials, platformWriteCredentials, publisher, release, sipFederation, syncInterval, syslogFrom, timeZone, tls, writeCredentials"
	tests := []struct {
		name     string
		old, new string // in base; old "" = the whole file
		want     []string
	}{
		// The issue's own list.
		{"unknown key with a near one", "    dns: [", "    DNS: [", []string{"12: clusters[0].DNS: unknown key: did you mean dns?"}},
		{"unknown key with none near", "    dns: [", "    resolvers: [", []string{"12: clusters[0].resolvers: unknown key: allowed here: " + allKeys}},
		{"duplicate cluster id", "id: apac", "id: emea", []string{`15: clusters[1].id: "emea" is a cluster on line 5 already: give every cluster an id of its own`}},
		{"interval 29", "30m", "29m", []string{"13: clusters[0].syncInterval: 29m is below Cisco's range: write 30m to 1444m"}},
		{"interval 1445", "30m", "1445m", []string{"13: clusters[0].syncInterval: 1445m is above Cisco's range: write 30m to 1444m"}},
		{"31st cluster", "", "mesh: acme\ndomain: example.com\nclusters:\n" + thirtyOne.String() + "peers: {topology: full-mesh}\n", []string{
			`34: clusters[30]: "c31" is cluster 31 of 31: Cisco supports up to 30 in a mesh ` + chapterCure + ": split the file into meshes that do not peer with each other"}},
		{"peer naming an unknown cluster", "topology: full-mesh", "pairs: [[emea, latam]]", []string{`21: peers.pairs[0][1]: no cluster has the id "latam": write emea or apac`}},
		{"peer with two letters swapped", "topology: full-mesh", "pairs: [[emea, apca]]", []string{`21: peers.pairs[0][1]: no cluster has the id "apca": did you mean apac?`}},
		{"peer naming a misspelt cluster", "topology: full-mesh", "pairs: [[emea, apacc]]", []string{`21: peers.pairs[0][1]: no cluster has the id "apacc": did you mean apac?`}},
		{"edition be6000", "ova: 15000", "edition: be6000", []string{"14: clusters[0].edition: be6000 cannot peer: Cisco does not support intercluster peering on Business Edition 6000 " + chapterCure + ": take the cluster out of the mesh, or write standard if it is one"}},
		{"ova 5000", "ova: 15000", "ova: 5000", []string{"14: clusters[0].ova: 5000 users is too small: peering needs at least the 15,000-user OVA on every cluster " + chapterCure + ": write 15000 or more, or leave ova out if it is not known"}},
		{"publisher not among nodes", "publisher: imp-emea-pub.", "publisher: imp-emea-pbu.", []string{`6: clusters[0].publisher: "imp-emea-pbu.example.com" is not among the cluster's nodes: did you mean imp-emea-pub.example.com?`}},

		// The file as YAML.
		{"empty", "", " \n", []string{"1: the file is empty: begin with mesh: NAME"}},
		{"only a comment", "", "# mesh\n", []string{"1: the file is empty: begin with mesh: NAME"}},
		{"not a mapping", "", "- mesh\n", []string{"1: is a list, not a mapping: write its keys, each with its value, as key: value"}},
		{"open bracket", "dns: [192.0.2.53]", "dns: [192.0.2.53", []string{"13: not valid YAML: ',' or ']' must be specified: compare its indentation, quotes and brackets with those of the lines around it"}},
		{"a list item indented more than the others", "  - id: apac", "    - id: apac", []string{"15: not valid YAML: non-map value is specified: compare its indentation, quotes and brackets with those of the lines around it"}},
		{"tab", "    credentials: emea/read", "\tcredentials: emea/read", []string{"10: not valid YAML: found character '\t' that cannot start any token: indent with spaces, YAML allows no tab there"}},
		{"second document", "policy:", "---\npolicy:", []string{"22: a second YAML document begins here: one file holds one mesh: remove the line ---, or put what follows into a file of its own"}},
		{"duplicate key", "    ova: 15000", "    ova: 15000\n    ova: 25000", []string{"15: clusters[0].ova: the key stands twice, first on line 14: keep one of them"}},
		{"merge key", "    ova: 15000", "    <<: {ova: 15000}", []string{"14: YAML's merge key << is not used here: write the keys out, or put what clusters share under defaults"}},
		{"tag", "ova: 15000", "ova: !!int 15000", []string{"14: YAML tags are not used here: write the value alone"}},
		{"alias of nothing", "ova: 15000", "ova: *size", []string{"14: no anchor &size stands above this alias: write the value out"}},
		{"anchor within itself", "dns: [192.0.2.53]", "dns: &d [*d]", []string{"12: no anchor &d stands above this alias: write the value out"}},
		{"deep", "dns: [192.0.2.53]", "dns: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), []string{"12: nested deeper than 12 levels: nothing in this file goes deeper than 6"}},
		{"Latin-1", "mode: observe", "mode: observ\xe9", []string{"23: the file is not UTF-8 text: save it as UTF-8"}},
		{"Windows line ends", "", strings.ReplaceAll(strings.Replace(base, "30m", "29m", 1), "\n", "\r\n"), []string{"13: clusters[0].syncInterval: 29m is below Cisco's range: write 30m to 1444m"}},

		// Kinds of value.
		{"release without quotes", `"14.0"`, "14.0", []string{`3: defaults.release: is a number, not text: put it in quotes: "14.0"`}},
		{"ova as text", "ova: 15000", `ova: "15000"`, []string{"14: clusters[0].ova: is text, not a number: write digits only, without quotes"}},
		{"ova with a fraction", "ova: 15000", `ova: 15000.5`, []string{"14: clusters[0].ova: 15000.5 is not a whole number: write decimal digits only"}},
		{"yes is text", "ova: 15000", `sipFederation: yes`, []string{"14: clusters[0].sipFederation: is text, not true or false: write true or false"}},
		{"key without a value", "ova: 15000", "ova:", []string{"14: clusters[0].ova: has no value: write a number or remove the key"}},
		{"list for text", "credentials: apac/read", "credentials: [apac/read]", []string{"19: clusters[1].credentials: is a list, not text: write one value"}},
		{"account written out", "credentials: apac/read", "credentials: {username: a, password: b}", []string{"19: clusters[1].credentials: is a mapping, not text: write one value"}},
		{"line break in a name", "credentials: apac/read", `credentials: "apac\nread"`, []string{"19: clusters[1].credentials: has a line break, tab or other control character in it: write it on one line"}},
		{"interval without a unit", "30m", "30", []string{"13: clusters[0].syncInterval: 30 has no unit: write minutes as in 30m"}},
		{"interval in words", "30m", "half an hour", []string{`13: clusters[0].syncInterval: "half an hour" is not a duration: write minutes as in 30m`}},
		{"interval with seconds", "30m", "30m30s", []string{"13: clusters[0].syncInterval: 30.5m is not in whole minutes: write 30m to 1444m"}},
		{"default interval", `{release: "14.0"}`, "{syncInterval: 10m}", []string{"3: defaults.syncInterval: 10m is below Cisco's range: write 30m to 1444m"}},

		// Names and addresses.
		{"missing keys", "", "policy: {}\nclusters:\n- dns: []\n", []string{
			"1: domain: missing: the presence domain that all clusters share: write it as in domain: example.com",
			"1: mesh: missing: the mesh's name: write a name as in mesh: acme",
			"3: clusters[0].credentials: missing: the name of the secret with the account: write a name as in emea/read, never the password",
			"3: clusters[0].id: missing: the cluster's short name: write one as in id: emea",
			"3: clusters[0].nodes: missing: at least one node: list them as in - {name: imp-emea-pub.example.com}",
			"3: clusters[0].publisher: missing: the node name of the database publisher: write one of the nodes' names",
			"3: clusters[0].tls: neither ca nor pins is given: no server could be verified: write tls: {ca: FILE}, or pins of the nodes' certificates, or both"}},
		{"mesh name", "mesh: acme", "mesh: Acme Corp", []string{`1: mesh: "Acme Corp" is not a name: use a to z, 0 to 9 and -, at most 63`}},
		{"cluster id", "id: apac", "id: 1apac", []string{`15: clusters[1].id: "1apac" is not a cluster id: begin with a letter, then use a to z, 0 to 9 and -, at most 63`}},
		{"node name twice, capitals aside", "{name: imp-emea-sub.example.com}", "{name: IMP-APAC-PUB.example.com}", []string{`18: clusters[1].nodes[0].name: "imp-apac-pub.example.com" is a node of emea on line 9 already: node names are unique in a mesh, capitals aside`}},
		{"two nodes at one address", "{name: imp-emea-sub.example.com}", `{name: imp-emea-sub.example.com, address: "imp-emea-pub.example.com:8443"}`, []string{`9: clusters[0].nodes[1].address: "imp-emea-pub.example.com:8443" is the address of a node of emea on line 8 already: give every node its own address`}},
		{"two nodes at one platform address", "{name: imp-emea-sub.example.com}", `{name: imp-emea-sub.example.com, platformAddress: "imp-emea-pub.example.com:443"}
    platformCredentials: emea/platform`, []string{`9: clusters[0].nodes[1].platformAddress: "imp-emea-pub.example.com:443" is the platform address of a node of emea on line 8 already: give every node its own address`}},
		{"platform address without a port", "{name: imp-emea-sub.example.com}", "{name: imp-emea-sub.example.com, platformAddress: 192.0.2.12}", []string{`9: clusters[0].nodes[1].platformAddress: "192.0.2.12" is not host:port: write it as in "imp-emea-sub.example.com:443"`}},
		{"platform account of a node without a name", "{name: imp-emea-sub.example.com}", `{address: "192.0.2.12:8443"}
    platformCredentials: emea/platform`, []string{`9: clusters[0].nodes[1].name: missing: the node's name: write it exactly as Presence Topology shows it`}},
		{"node name with a space", "{name: imp-emea-sub.example.com}", "{name: imp emea}", []string{`9: clusters[0].nodes[1].name: "imp emea" is not a host name, FQDN or IP address: write it exactly as Presence Topology shows it`}},
		{"IP address mistyped", "{name: imp-emea-sub.example.com}", "{name: 192.0.2.300}", []string{`9: clusters[0].nodes[1].name: "192.0.2.300" is not a host name, FQDN or IP address: write it exactly as Presence Topology shows it`}},
		{"address without a port", "{name: imp-emea-sub.example.com}", "{name: imp-emea-sub.example.com, address: 192.0.2.12}", []string{`9: clusters[0].nodes[1].address: "192.0.2.12" is not host:port: write it as in "imp-emea-sub.example.com:8443"`}},
		{"no nodes", "    nodes:\n      - {name: imp-apac-pub.example.com}\n", "", []string{"15: clusters[1].nodes: missing: at least one node: list them as in - {name: imp-emea-pub.example.com}"}},
		{"password for a secret's name", "credentials: apac/read", `credentials: "pa$$word"`, []string{"19: clusters[1].credentials: is not the name of a secret: use letters, digits and /_+=.@-, as in emea/read; never the password"}},
		{"time zone", "ova: 15000", "timeZone: Europe/Atlantis", []string{`14: clusters[0].timeZone: "Europe/Atlantis" is not a known time zone: write an IANA name as in Europe/Berlin`}},
		{"local time zone", "ova: 15000", "timeZone: Local", []string{`14: clusters[0].timeZone: "Local" is not a known time zone: write an IANA name as in Europe/Berlin`}},
		{"DNS server by name", "192.0.2.53", "dns.example.com", []string{`12: clusters[0].dns[0]: "dns.example.com" is not the address of a DNS server: write IP or IP:port, as in "192.0.2.53" or "[2001:db8::53]:53"`}},
		{"DNS server twice", "192.0.2.53", `192.0.2.53, "192.0.2.53:53"`, []string{"12: clusters[0].dns[1]: 192.0.2.53:53 stands above already: remove one"}},
		{"five DNS servers", "[192.0.2.53]", "[192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5]", []string{"12: clusters[0].dns[4]: 5 DNS servers: name at most 4, the primary first"}},
		{"release in words", `"14.0"`, "latest", []string{`3: defaults.release: "latest" is not a release: write it as in "14.0.1SU3"`}},

		// What servers are verified with.
		{"neither CA nor pins", "    tls: {ca: ca.pem}\npeers", "    tls: {}\npeers", []string{"20: clusters[1].tls: neither ca nor pins is given: no server could be verified: write tls: {ca: FILE}, or pins of the nodes' certificates, or both"}},
		{"no tls at all", "    tls: {ca: ca.pem}\npeers", "peers", []string{"15: clusters[1].tls: neither ca nor pins is given: no server could be verified: write tls: {ca: FILE}, or pins of the nodes' certificates, or both"}},
		{"short pin", "{ca: ca.pem}\npeers", "{pins: [\"sha256:abcd\"]}\npeers", []string{`20: clusters[1].tls.pins[0]: "sha256:abcd" is not a pin: write sha256: and the 64 hex digits of the certificate's SHA-256 fingerprint`}},
		{"pin twice", "{ca: ca.pem}\npeers", "{pins: ['" + pin + "', '" + strings.ToUpper(pin) + "']}\npeers", []string{"20: clusters[1].tls.pins[1]: the same pin stands above: remove one"}},
		{"a pin in openssl's words is the same pin", "{ca: ca.pem}\npeers", "{pins: ['" + pin + "', 'sha256 Fingerprint=" + strings.ToUpper(pin[7:]) + "']}\npeers", []string{"20: clusters[1].tls.pins[1]: the same pin stands above: remove one"}},
		{"SHA-1 pin", "{ca: ca.pem}\npeers", "{pins: [\"" + pin[7:47] + "\"]}\npeers", []string{`20: clusters[1].tls.pins[0]: "` + pin[7:47] + `" is not a pin (40 digits are a SHA-1 fingerprint, which can be forged): write sha256: and the 64 hex digits of the certificate's SHA-256 fingerprint`}},
		{"pin without quotes", "{ca: ca.pem}\npeers", "{pins: [" + pin + "]}\npeers", []string{"20: clusters[1].tls.pins[0]: is a mapping, not text: if it is one word with a colon in it, put it in quotes"}},
		{"CA file missing", "{ca: ca.pem}\npeers", "{ca: nowhere.pem}\npeers", []string{"20: clusters[1].tls.ca: cannot be read: open nowhere.pem: file does not exist: name a readable file, relative to mesh.yaml"}},
		{"CA file empty", "{ca: ca.pem}\npeers", "{ca: empty.pem}\npeers", []string{`20: clusters[1].tls.ca: "empty.pem" holds no PEM certificate: write a file with at least one -----BEGIN CERTIFICATE-----`}},
		{"CA file broken", "{ca: ca.pem}\npeers", "{ca: broken.pem}\npeers", []string{`20: clusters[1].tls.ca: "broken.pem" holds a certificate that cannot be read (x509: malformed certificate): export the CA's certificate again, as PEM`}},
		{"CA file with its key", "{ca: ca.pem}\npeers", "{ca: key.pem}\npeers", []string{`20: clusters[1].tls.ca: "key.pem" holds a private key: keep only the CA's certificates in it, and the key elsewhere`}},

		// Peers.
		{"no peers said", "peers: {topology: full-mesh, protocol: tcp}\n", "", []string{"1: peers: missing: which clusters peer with which: write peers: {topology: full-mesh, protocol: tcp}, or list pairs"}},
		{"topology unknown", "full-mesh", "star", []string{`21: peers.topology: "star" is not known here: write full-mesh`}},
		{"topology and pairs, and what is wrong with each", "topology: full-mesh", "topology: full-mesh, pairs: [[emea, apac], [apac, emea], [emea, emae], [emea], [apac, apac]], except: [{pair: [emea, apac], protocol: tls}, {pair: [emea, apax], protocol: tls}]", []string{
			"21: peers.topology: topology and pairs are both given: keep topology: full-mesh for all pairs, or list pairs",
			"21: peers.pairs[1]: apac and emea are a pair already, on line 21: remove this one: each pair stands for both directions",
			`21: peers.pairs[2][1]: no cluster has the id "emae": did you mean emea?`,
			"21: peers.pairs[3]: a pair names two clusters, here are 1: write it as in [emea, apac]",
			`21: peers.pairs[4]: "apac" is paired with itself: name two different clusters`,
			`21: peers.except[1].pair[1]: no cluster has the id "apax": did you mean apac?`,
		}},
		{"topology and pairs", "topology: full-mesh", "topology: full-mesh, pairs: []", []string{"21: peers.topology: topology and pairs are both given: keep topology: full-mesh for all pairs, or list pairs"}},
		{"neither", "topology: full-mesh, ", "", []string{"21: peers: neither topology nor pairs is given: write topology: full-mesh, or pairs: [[emea, apac]]"}},
		{"protocol", "protocol: tcp", "protocol: udp", []string{`21: peers.protocol: "udp" is not known here: write tcp or tls`}},
		{"pair twice", "topology: full-mesh", "pairs: [[emea, apac], [apac, emea]]", []string{"21: peers.pairs[1]: apac and emea are a pair already, on line 21: remove this one: each pair stands for both directions"}},
		{"pair with itself", "topology: full-mesh", "pairs: [[emea, emea]]", []string{`21: peers.pairs[0]: "emea" is paired with itself: name two different clusters`}},
		{"exception of an unknown cluster in a full mesh", "protocol: tcp", "except: [{pair: [emea, amer], protocol: tls}]", []string{`21: peers.except[0].pair[1]: no cluster has the id "amer": write emea or apac`}},
		{"exception of a pair that is misspelt", "topology: full-mesh", "pairs: [[emea, apca]], except: [{pair: [emea, apac], protocol: tls}]", []string{`21: peers.pairs[0][1]: no cluster has the id "apca": did you mean apac?`}},
		{"exception and neither topology nor pairs", "topology: full-mesh, protocol: tcp", "except: [{pair: [emea, apac], protocol: tls}]", []string{"21: peers: neither topology nor pairs is given: write topology: full-mesh, or pairs: [[emea, apac]]"}},
		{"exceptions as a mapping", "protocol: tcp", "except: {pair: [emea, apac], protocol: tls}", []string{"21: peers.except: is a mapping, not a list: write each item on a line of its own after -, or all in [ ]"}},
		{"pair of three", "topology: full-mesh", "pairs: [[emea, apac, amer]]", []string{"21: peers.pairs[0]: a pair names two clusters, here are 3: write it as in [emea, apac]"}},

		// Policy.
		{"mode", "mode: observe", "mode: act", []string{`23: policy.mode: "act" is not known here: write observe or recover`}},
		{"window without a zone", "windows: []", `windows: [{kind: allow, from: "22:00", to: "06:00"}]`, []string{"24: policy.windows[0].timeZone: missing: in which time zone the window is meant: write an IANA name as in Europe/Berlin"}},
		{"window with one end", "windows: []", `windows: [{deny, to: 06:00, timeZone: UTC}]`, []string{`24: policy.windows[0].from: missing: from is needed with the other end: write it as in "22:00", from "00:00" to "23:59"; leave both out for whole days`}},
		{"window without a kind", "windows: []", `windows: [{timeZone: UTC}]`, []string{"24: policy.windows[0].kind: missing: whether acting is allowed or denied: write kind: allow or kind: deny"}},
		{"window that is both", "windows: []", `windows: [{allow, deny, timeZone: UTC}]`, []string{"24: policy.windows[0].deny: the window is allow and deny at once, or says it twice: keep one"}},
		{"hour 25", "windows: []", `windows: [{allow, from: "25:00", to: "6:00", timeZone: UTC}]`, []string{
			`24: policy.windows[0].from: "25:00" is not a time of day: write it as in "22:00", from "00:00" to "23:59"`,
			`24: policy.windows[0].to: "6:00" is not a time of day: write it as in "22:00", from "00:00" to "24:00"`}},
		{"window of no length", "windows: []", `windows: [{allow, from: "22:00", to: "22:00", timeZone: UTC}]`, []string{"24: policy.windows[0].to: the window ends when it begins: for whole days leave from and to out"}},
		{"days", "windows: []", `windows: [{allow, days: [sat, Sun, sat], timeZone: UTC}]`, []string{
			`24: policy.windows[0].days[1]: "Sun" is not a day: write mon, tue, wed, thu, fri, sat or sun`,
			"24: policy.windows[0].days[2]: sat stands twice: remove one"}},
		{"limit of none", "windows: []", "limits: {restartsPerMeshPerHour: 0}", []string{"24: policy.limits.restartsPerMeshPerHour: 0 is not a limit: write 1 or more; to forbid restarts write mode: observe"}},
		{"thresholds upwards", "windows: []", "thresholds: {certificateDays: [7, 14, -1]}", []string{
			"24: policy.thresholds.certificateDays[1]: 14 does not come after 7: write them from many to few, as in [28, 14, 7]",
			"24: policy.thresholds.certificateDays[2]: -1 days is no warning: write 1 or more"}},
		{"no thresholds", "windows: []", "thresholds: {certificateDays: []}", []string{"24: policy.thresholds.certificateDays: has 0 values: write 1 to 10 numbers of days, as in [28, 14, 7]"}},
		{"restart answer", "windows: []", "restartForOnePeer: ask", []string{`24: policy.restartForOnePeer: "ask" is not known here: write approve or auto`}},
		{"start answer", "windows: []", "startCommanded: ask", []string{`24: policy.startCommanded: "ask" is not known here: write approve, auto, or after how long it is started without approval, as in 8h`}},
		{"start answer without a unit", "windows: []", "startCommanded: 12", []string{`24: policy.startCommanded: 12 has no unit: write minutes as in 12m`}},
		{"start answer of no time", "windows: []", "startCommanded: 0m", []string{`24: policy.startCommanded: "0s" is no time after which a stopped service is started: write approve, auto, or a duration as in 8h`}},
		{"import answer", "windows: []", "importCertificates: always", []string{`24: policy.importCertificates: "always" is not known here: write manual, approve or auto`}},
		{"no imports", "windows: []", "limits: {importsPerMeshPerHour: 0}", []string{"24: policy.limits.importsPerMeshPerHour: 0 is not a limit: write 1 or more; to forbid imports write importCertificates: manual"}},
		{"more imports than are counted", "windows: []", "limits: {importsPerMeshPerHour: 101}", []string{"24: policy.limits.importsPerMeshPerHour: 101 an hour are more than are counted: write 1 to 100"}},
		{"one secret to read and to write", "credentials: emea/read", "credentials: emea/read\n    platformCredentials: emea/platform\n    platformWriteCredentials: emea/platform", []string{
			"12: clusters[0].platformWriteCredentials: is the secret that reads as well: a rejected password would be tried twice: name an account of its own, or leave it out and import by hand"}},
		{"an account that writes and none that reads", "credentials: emea/read", "credentials: emea/read\n    platformWriteCredentials: emea/platform-write", []string{
			"11: clusters[0].platformWriteCredentials: is there without platformCredentials: what a store holds is read before anything is put into it: name an account that reads as well, as in platformCredentials: emea/platform"}},
		{"webhook in clear", "windows: []", `notify: {webhook: "http://alarms.example.com/x"}`, []string{"24: policy.notify.webhook: is not encrypted: write an https:// address, or http://localhost or http://127.0.0.1"}},
		{"webhook to localhost's namesake", "windows: []", `notify: {webhook: "http://localhost.example.com/x"}`, []string{"24: policy.notify.webhook: is not encrypted: write an https:// address, or http://localhost or http://127.0.0.1"}},
		{"webhook with a password", "windows: []", `notify: {webhook: "https://u:p@alarms.example.com/x"}`, []string{"24: policy.notify.webhook: has a user name or password in it: take it out: mesh.yaml holds no secrets"}},

		// A simulated mesh's clock.
		{"clock of a real mesh", "mesh: acme", "mesh: acme\nclock: {epoch: 2026-01-31T12:00:00Z, rate: 60}", []string{"2: clock: only a simulated mesh has a clock of its own: remove clock, or write simulated: true if this mesh is one of `sim`"}},
		{"clock standing still", "mesh: acme", "mesh: acme\nsimulated: true\nclock: {epoch: 2026-01-31, rate: 0}", []string{
			`3: clock.epoch: "2026-01-31" is not an instant: write it as in 2026-01-31T12:00:00Z`,
			"3: clock.rate: 0 is not a rate: write how many virtual seconds pass per second, above 0 and at most 1000000"}},
		{"clock of infinite rate", "mesh: acme", "mesh: acme\nsimulated: true\nclock: {epoch: 2026-01-31T12:00:00Z, rate: .inf}", []string{
			"3: clock.rate: .inf is not a rate: write how many virtual seconds pass per second, above 0 and at most 1000000"}},

		// The site's dialect: its faults carry its own name and lines.
		{"dialect missing", "policy:", "dialect: nowhere.yaml\npolicy:", []string{"22: dialect: cannot be read: open nowhere.yaml: file does not exist: name a readable file, relative to mesh.yaml"}},
		{"dialect torn", "policy:", "dialect: torn-dialect.yaml\npolicy:", []string{"torn-dialect.yaml:1: not valid YAML: could not find flow mapping end token '}': compare its indentation, quotes and brackets with those of the lines around it"}},
		{"dialect's faults, after the mesh's", "policy:\n  mode: observe", "dialect: bad-dialect.yaml\npolicy:\n  mode: act", []string{
			`24: policy.mode: "act" is not known here: write observe or recover`,
			"bad-dialect.yaml:2: queries.peer: unknown key: did you mean peers?",
			`bad-dialect.yaml:3: queries.peers.evidence: "hearsay" is not known here: write verified, thirdParty, inferred, site or simulator`,
			"bad-dialect.yaml:3: queries.peers.sql: does not begin with SELECT: write one SELECT statement: a dialect only reads",
			"bad-dialect.yaml:4: queries.topology.sql: has a ; in it: write one SELECT statement without ;",
			"bad-dialect.yaml:5: queries.user_rows.sql: has INTO in it: write a SELECT that only reads",
			"bad-dialect.yaml:6: queries.parameters.evidence: missing: how sure the query is: write verified, thirdParty, inferred, site or simulator",
			`bad-dialect.yaml:6: queries.parameters.sql: is a number, not text: put it in quotes: "5"`,
			"bad-dialect.yaml:8: parameters.sync_interval: names no parameter: list the names that this site's clusters use",
			`bad-dialect.yaml:9: parameters.auto_recovery[1]: "a" stands twice: remove one`}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if tc.old != "" && !strings.Contains(base, tc.old) {
				t.Fatalf("the good file has no %q", tc.old)
			}
			data := tc.new
			if tc.old != "" {
				data = strings.Replace(base, tc.old, tc.new, 1)
			}
			m, err := Parse("mesh.yaml", []byte(data), files(other))
			if m != nil || err == nil {
				t.Fatalf("got mesh %v, error %v: want no mesh and an error", m, err)
			}
			var want []string
			for _, w := range tc.want {
				if w[0] >= '0' && w[0] <= '9' {
					w = "mesh.yaml:" + w
				}
				want = append(want, w)
			}
			if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := Parse("mesh.yaml", []byte(base), files(other)); err != nil {
		t.Errorf("the good file itself: %v", err)
	}
}

// parseBad reads a file of testdata/meshes/bad and holds its faults against those
// that stand beside it.
func parseBad(t *testing.T, name string) error {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(meshes, "bad", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(meshes, "bad", name+".errors"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse("mesh.yaml", data, nil)
	if err == nil {
		t.Fatalf("%s is accepted", name)
	}
	if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	return err
}

func TestFaultsOfExceptionsAtOnce(t *testing.T) { parseBad(t, "exceptions") }

func TestTenFaultsAtOnce(t *testing.T) {
	err := parseBad(t, "ten-faults")
	var all yamlfile.Errors
	if !errors.As(err, &all) || len(all) != 10 {
		t.Fatalf("errors.As gives %d faults, want 10", len(all))
	}
	var one *yamlfile.Error
	if !errors.As(err, &one) || one.Line != 3 || one.Path != "defaults.syncInterval" || one.Cure != "write 30m to 1444m" {
		t.Errorf("errors.As gives %#v, want the fault on line 3", one)
	}
}

func TestMissingFileIsTheSystemsError(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "mesh.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no mesh.yaml: %v, want fs.ErrNotExist", err)
	}
	path := filepath.Join(dir, "mesh.yaml")
	if err := os.WriteFile(path, []byte(base), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	var all yamlfile.Errors
	if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &all) || len(all) != 2 {
		t.Errorf("no ca.pem: %v, want both clusters' lines and fs.ErrNotExist", err)
	}
}

func TestTooLarge(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"more than 1 MiB", "mesh: " + strings.Repeat("a", maxYAML), "the file is larger than 1024 KiB"},
		{"many lines", strings.Repeat("#\n", 10_001), "the file has more than 10000 lines"},
		{"thousands of clusters", "mesh: m\ndomain: d\nclusters: [" + strings.Repeat("{}, ", 4000) + "]\npeers: {topology: full-mesh}",
			`"" is cluster 31 of 4000: Cisco supports up to 30 in a mesh (` + chapter + ")"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("mesh.yaml", []byte(tc.data), nil)
			var all yamlfile.Errors
			if !errors.As(err, &all) {
				t.Fatalf("error %v, want Errors", err)
			}
			if !slices.ContainsFunc(all, func(e *yamlfile.Error) bool { return e.Message == tc.want }) {
				t.Errorf("%d errors, the first %v: none says %q", len(all), all[0], tc.want)
			}
		})
	}
}

// contractExample is a mesh.yaml with every key that people rely on.
const contractExample = `mesh: acme
simulated: true            # only written by sim; allows --rate; with clock: {epoch, rate}
domain: example.com
defaults: {syncInterval: 30m, autoRecovery: true, release: "14.0"}
clusters:
  - id: emea
    release: "14.0.1SU3"             # declared; compared with what is read, a difference is information
    publisher: imp-emea-pub.example.com      # node name exactly as in Presence Topology
    cucm: {name: cucm-emea.example.com, address: "127.0.0.1:40003"}        # optional
    nodes:                            # Peerkeeper dials address (default name:8443) and verifies name
      - {name: imp-emea-pub.example.com, address: "127.0.0.1:40001"}
      - {name: imp-emea-sub.example.com, address: "127.0.0.1:40002"}
    credentials: emea/read            # secret names; clusters may share one
    writeCredentials: emea/write      # recover mode only
    platformCredentials: emea/platform
    tls: {ca: ca.pem, pins: ["` + pin + `"]}    # at least one of the two; sim writes both
    dns: ["127.0.0.1:40010", "127.0.0.1:40011"]     # ip:port, first = primary
    timeZone: Europe/Berlin
    syncInterval: 30m                 # 30m..1444m
    autoRecovery: true
    ova: 15000
    edition: standard                 # be6000 is refused
    sipFederation: false
    dnsSurvivesSplit: true
peers: {topology: full-mesh, protocol: tcp}       # or pairs: [[emea, apac]]
policy:
  mode: observe                       # recover
  windows: []                         # {allow|deny, days, from, to, timeZone}
  limits: {}                          # restartsPerClusterPerHour: 1, restartsPerMeshPerHour: 3, …
  restartForOnePeer: approve          # or auto: restart ICSA although its other peers advance
  thresholds: {}                      # certificateDays: [28, 14, 7], …
  notify: {webhook: "", file: ""}
`

func TestContractExample(t *testing.T) {
	ca, _ := newCA(t)
	got, err := Parse("mesh.yaml", []byte(contractExample), files(map[string]string{"ca.pem": "emea's CA\n" + ca}))
	if err != nil {
		t.Fatal(err)
	}
	want := &mesh.Mesh{
		Name: "acme", Simulated: true, Domain: "example.com",
		Clusters: []mesh.Cluster{{
			ID: "emea", Release: "14.0.1SU3", Publisher: "imp-emea-pub.example.com",
			CUCM: &mesh.Node{Name: "cucm-emea.example.com", Address: "127.0.0.1:40003", PlatformAddress: "cucm-emea.example.com:443"},
			Nodes: []mesh.Node{
				{Name: "imp-emea-pub.example.com", Address: "127.0.0.1:40001", PlatformAddress: "imp-emea-pub.example.com:443"},
				{Name: "imp-emea-sub.example.com", Address: "127.0.0.1:40002", PlatformAddress: "imp-emea-sub.example.com:443"},
			},
			Credentials: "emea/read", WriteCredentials: "emea/write", PlatformCredentials: "emea/platform",
			TLS: mesh.TLS{CA: ca, Pins: []string{pin}},
			DNS: []string{"127.0.0.1:40010", "127.0.0.1:40011"}, TimeZone: "Europe/Berlin",
			SyncInterval: mesh.Duration(30 * time.Minute), AutoRecovery: true, OVA: 15000, Edition: "standard", DNSSurvivesSplit: true,
		}},
		Topology: mesh.FullMesh, Peers: []mesh.Peer{},
		Policy: mesh.Policy{
			Mode: mesh.Observe, Limits: mesh.Limits{RestartsPerClusterPerHour: 1, RestartsPerMeshPerHour: 3, ImportsPerMeshPerHour: 30},
			RestartForOnePeer: "approve", ImportCertificates: mesh.ImportApprove, Thresholds: mesh.Thresholds{CertificateDays: []int{28, 14, 7}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mesh (-want +got):\n%s", diff)
	}
}

// Where the platform's interfaces are is asked only where there is an account
// for them, and written out by either form of the file.
func TestPlatformAddress(t *testing.T) {
	ca, _ := newCA(t)
	for _, tc := range []struct{ name, text, want string }{
		{"no account", base, ""},
		{"by default on 443", strings.Replace(base, "credentials: emea/read", "credentials: emea/read\n    platformCredentials: emea/platform", 1), "imp-emea-pub.example.com:443"},
		{"as declared", strings.Replace(base, "{name: imp-emea-pub.example.com}", `{name: imp-emea-pub.example.com, platformAddress: "127.0.0.1:40443"}`, 1), "127.0.0.1:40443"},
		{"on the port of all else", strings.Replace(base, "{name: imp-emea-pub.example.com}", `{name: imp-emea-pub.example.com, platformAddress: "imp-emea-pub.example.com:8443"}`, 1), "imp-emea-pub.example.com:8443"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := Parse("mesh.yaml", []byte(tc.text), files(map[string]string{"ca.pem": ca}))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Clusters[0].Nodes[0].PlatformAddress; got != tc.want {
				t.Errorf("platform address %q, want %q", got, tc.want)
			}
			var b bytes.Buffer
			if err := WriteJSON(&b, m); err != nil {
				t.Fatal(err)
			}
			again, err := parseJSON("mesh.json", b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, again); diff != "" {
				t.Errorf("mesh.json read back (-want +got):\n%s", diff)
			}
		})
	}
}

// loadExamples reads every example mesh, each beside a fresh ca.pem.
func loadExamples(t *testing.T) map[string]*mesh.Mesh {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(meshes)); err != nil {
		t.Fatal(err)
	}
	ca, _ := newCA(t)
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte(ca), 0o600); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*mesh.Mesh{}
	for _, path := range paths {
		if strings.HasSuffix(path, "-dialect.yaml") {
			continue // read by the mesh that names it
		}
		m, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(path), ".yaml")] = m
	}
	return out
}

func TestExampleMeshes(t *testing.T) {
	got := loadExamples(t)
	if len(got) != 4 {
		t.Fatalf("%d example meshes, want 4", len(got))
	}
	two := got["two-clusters"]
	wantPeers := []mesh.Peer{
		{ID: mesh.PeerID{From: "apac", To: "emea"}, Protocol: mesh.TCP},
		{ID: mesh.PeerID{From: "emea", To: "apac"}, Protocol: mesh.TCP},
	}
	if diff := cmp.Diff(wantPeers, two.Peers); diff != "" {
		t.Errorf("two-clusters peers (-want +got):\n%s", diff)
	}
	apac := two.Clusters[1]
	if apac.Nodes[0].Address != "imp-apac-pub.example.com:8443" || apac.TimeZone != "UTC" || apac.SyncInterval.D() != 30*time.Minute || !apac.AutoRecovery || apac.Edition != "standard" || apac.Release != "" {
		t.Errorf("two-clusters: defaults of apac are %+v", apac)
	}
	one := got["one-cluster"]
	wantPins := []string{pin, "sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"}
	if diff := cmp.Diff(wantPins, one.Clusters[0].TLS.Pins); diff != "" || len(one.Peers) != 0 {
		t.Errorf("one-cluster has peers %v, pins (-want +got):\n%s", one.Peers, diff)
	}
	three := got["three-regions"]
	for name, want := range map[string][]string{
		"three-regions": {"amer>emea tls", "apac>emea tls", "emea>amer tls", "emea>apac tls"},
		"one-pair-tls":  {"amer>apac tcp", "amer>emea tcp", "apac>amer tcp", "apac>emea tls", "emea>amer tcp", "emea>apac tls"},
	} {
		if diff := cmp.Diff(want, protocolsOf(got[name])); diff != "" {
			t.Errorf("%s peers (-want +got):\n%s", name, diff)
		}
	}
	if got["one-pair-tls"].Topology != mesh.FullMesh || two.Topology != mesh.FullMesh || three.Topology != "" {
		t.Errorf("topologies %q, %q and %q", got["one-pair-tls"].Topology, two.Topology, three.Topology)
	}
	wantPolicy := mesh.Policy{
		Mode: mesh.Recover,
		Windows: []mesh.Window{
			{Kind: "allow", Days: []string{"mon", "tue", "wed", "thu", "fri"}, From: "22:00", To: "05:30", TimeZone: "Europe/Berlin"},
			{Kind: "deny", Days: []string{"sat", "sun"}, From: "00:00", To: "24:00", TimeZone: "Europe/Berlin"},
		},
		Limits:            mesh.Limits{RestartsPerClusterPerHour: 1, RestartsPerMeshPerHour: 2, ImportsPerMeshPerHour: 10},
		RestartForOnePeer: "auto", ImportCertificates: mesh.ImportAuto,
		Thresholds: mesh.Thresholds{CertificateDays: []int{60, 30, 14, 7, 1}},
		Notify:     mesh.Notify{Webhook: "https://alarms.example.com/peerkeeper", File: "/var/log/peerkeeper/alarms.jsonl", SelfTest: true},
	}
	if diff := cmp.Diff(wantPolicy, three.Policy); diff != "" {
		t.Errorf("three-regions policy (-want +got):\n%s", diff)
	}
	wantDialect := &mesh.Dialect{
		Queries: map[string]mesh.Query{
			"peers":       {Evidence: "site", SQL: "SELECT remote_cluster, address, last_sync FROM cupsinterclusterpeers"},
			"user_counts": {Evidence: "inferred", SQL: "SELECT nodeid, count(*) FROM enduser GROUP BY nodeid"},
		},
		Parameters: map[string][]string{
			"sync_interval": {"InterClusterPeerPeriodicSyncInterval"},
			"auto_recovery": {"EnableAutoRecovery", "EnableICSAAutoRecovery"},
		},
	}
	if diff := cmp.Diff(wantDialect, three.Dialect); diff != "" {
		t.Errorf("three-regions dialect (-want +got):\n%s", diff)
	}
	if dns := three.Clusters[2].DNS; dns[0] != "[2001:db8:3::53]:53" {
		t.Errorf("three-regions: amer's first DNS server is %s", dns[0])
	}
}

func protocolsOf(m *mesh.Mesh) []string {
	var out []string
	for _, p := range m.Peers {
		out = append(out, p.ID.String()+" "+string(p.Protocol))
	}
	return out
}

// TestAPairsOwnProtocol: whichever way pairs and the exception are written, both
// directions have it, and no other pair has.
func TestAPairsOwnProtocol(t *testing.T) {
	for _, tc := range []struct{ name, peers, want string }{
		{"beside full-mesh", "{topology: full-mesh, except: [{pair: [emea, apac], protocol: tls}]}", "tls"},
		{"the other way round", "{topology: full-mesh, protocol: tcp, except: [{pair: [apac, emea], protocol: tls}]}", "tls"},
		{"beside pairs, and before them", "{except: [{protocol: tls, pair: [emea, apac]}], pairs: [[apac, emea]]}", "tls"},
		{"TCP where the rest has TLS", "{topology: full-mesh, protocol: tls, except: [{pair: [emea, apac], protocol: tcp}]}", "tcp"},
		{"what the rest has anyway", "{topology: full-mesh, protocol: tls, except: [{pair: [emea, apac], protocol: tls}]}", "tls"},
		{"none", "{topology: full-mesh, protocol: tls, except: []}", "tls"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := strings.Replace(strings.ReplaceAll(base, "ca: ca.pem", "pins: ['"+pin+"']"), "{topology: full-mesh, protocol: tcp}", tc.peers, 1)
			m, err := Parse("mesh.yaml", []byte(data), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"apac>emea " + tc.want, "emea>apac " + tc.want}, protocolsOf(m)); diff != "" {
				t.Errorf("peers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestThirtyClustersAreAMesh(t *testing.T) {
	var b strings.Builder
	b.WriteString("mesh: acme\ndomain: example.com\npeers: {topology: full-mesh}\nclusters:\n")
	for i := range mesh.MaxClusters {
		fmt.Fprintf(&b, "  - {id: c%d, publisher: p%d, nodes: [{name: p%d}], credentials: shared, tls: {pins: [%q]}}\n", i, i, i, pin)
	}
	m, err := Parse("mesh.yaml", []byte(b.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Peers) != 870 {
		t.Errorf("%d directed peers, want 30 x 29 = 870", len(m.Peers))
	}
}

func TestLayoutDoesNotChangeTheHash(t *testing.T) {
	ca, _ := newCA(t)
	hash := func(data, ca string) string {
		t.Helper()
		m, err := Parse("mesh.yaml", []byte(data), files(map[string]string{"ca.pem": ca}))
		if err != nil {
			t.Fatal(err)
		}
		return m.Hash()
	}
	want := hash(base, ca)
	for name, data := range map[string]string{
		"pairs instead of full mesh": strings.Replace(base, "topology: full-mesh", "pairs: [[apac, emea]]", 1),
		"defaults written out":       strings.Replace(base, "30m\n", "30m\n    timeZone: UTC\n    edition: standard\n    autoRecovery: true\n", 1),
		"an anchor and an alias":     strings.Replace(strings.Replace(base, "tls: {ca: ca.pem}", "tls: &verify {ca: ca.pem}", 1), "tls: {ca: ca.pem}", "tls: *verify", 1),
		"other order of keys":        strings.Replace(strings.Replace(base, "domain: example.com\n", "", 1), "policy:\n", "domain: 'example.com'\npolicy:\n", 1),
		"Windows line ends and mark": "\ufeff" + strings.ReplaceAll(base, "\n", "\r\n"),
		"minutes as an hour's part":  strings.Replace(base, "30m", "0.5h", 1),
		"DNS port written out":       strings.Replace(base, "192.0.2.53", `"192.0.2.53:53"`, 1),
	} {
		if got := hash(data, ca); got != want {
			t.Errorf("%s: hash %s, want %s", name, got, want)
		}
	}
	if got := hash(base, "# renewed\n"+strings.ReplaceAll(ca, "\n", "\r\n")); got != want {
		t.Errorf("CA file with other line ends: hash %s, want %s", got, want)
	}
	if got := hash(strings.Replace(base, "30m", "31m", 1), ca); got == want {
		t.Error("another interval has the same hash")
	}
	if got := hash(strings.Replace(base, "protocol: tcp", "protocol: tls", 1), ca); got == want {
		t.Error("another protocol has the same hash")
	}
}

func TestJSONRoundTrip(t *testing.T) {
	examples := loadExamples(t)
	simulated, err := Parse("mesh.yaml", []byte(strings.Replace(strings.Replace(base, "mesh: acme", "mesh: acme\nsimulated: true\nclock: {epoch: 2026-01-31T12:00:00+01:00, rate: 0.5}", 1), "ca: ca.pem", "pins: ['"+pin+"']", 2)), nil)
	if err != nil {
		t.Fatal(err)
	}
	examples["simulated"] = simulated
	for name, m := range examples {
		t.Run(name, func(t *testing.T) {
			var first, second bytes.Buffer
			if err := WriteJSON(&first, m); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "mesh.json")
			if err := os.WriteFile(path, first.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			back, err := LoadJSON(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, back); diff != "" {
				t.Errorf("mesh (-written +read):\n%s", diff)
			}
			if m.Hash() != back.Hash() {
				t.Errorf("hash %s became %s", m.Hash(), back.Hash())
			}
			if err := WriteJSON(&second, back); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Errorf("the bytes changed:\n%s", cmp.Diff(first.String(), second.String()))
			}
		})
	}
}

// TestAnOlderMeshJSON: a file that was written before topology was is the mesh that
// it was, to every function that compares.
func TestAnOlderMeshJSON(t *testing.T) {
	m := loadExamples(t)["two-clusters"]
	var b bytes.Buffer
	if err := WriteJSON(&b, m); err != nil {
		t.Fatal(err)
	}
	const topology = "  \"topology\": \"full-mesh\",\n"
	if !strings.Contains(b.String(), topology) {
		t.Fatalf("it is not written:\n%s", b.String())
	}
	old, err := parseJSON("mesh.json", []byte(strings.Replace(b.String(), topology, "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if old.Topology != "" || old.Hash() != m.Hash() {
		t.Errorf("topology %q, hash %s, want none and %s", old.Topology, old.Hash(), m.Hash())
	}
}

func TestBadJSON(t *testing.T) {
	m := loadExamples(t)["three-regions"]
	var b bytes.Buffer
	if err := WriteJSON(&b, m); err != nil {
		t.Fatal(err)
	}
	good := b.String()
	differs := func(text string) string {
		return fmt.Sprintf("mesh.json:%d: differs from what Peerkeeper writes: write the file again from mesh.yaml", 1+strings.Count(good[:strings.Index(good, text)], "\n"))
	}
	days := good[strings.Index(good, `"certificateDays"`):]
	days = days[:strings.Index(days, "]")+1]
	tests := []struct{ name, old, new, want string }{
		{"interval 29", `"24h4m0s"`, `"29m0s"`, "mesh.json: clusters[1].syncInterval: 29m is below Cisco's range: write 30m to 1444m"},
		{"key in capitals", `"domain"`, `"Domain"`, differs(`"domain"`)},
		{"key twice", `"domain"`, `"domain": "example.org", "domain"`, differs(`"domain"`)},
		{"key missing", `"autoRecovery": true,`, ``, differs(`"autoRecovery"`)},
		{"key that nobody knows", `"domain"`, `"colour": 1, "domain"`, differs(`"domain"`)},
		{"null", `"edition": "standard"`, `"edition": null`, differs(`"edition"`)},
		{"null for a list", days, `"certificateDays": null`, differs(`"certificateDays"`)},
		{"list for text", `"domain": "example.com"`, `"domain": ["example.com"]`, "mesh.json: json: cannot unmarshal array into Go struct field Mesh.domain of type string: write the file again from mesh.yaml"},
		{"peer to nowhere", `"apac>emea"`, `"apac>emeA"`, `mesh.json: peers[1].id.to: no cluster has the id "emeA": did you mean emea?`},
		{"full mesh in which peers are missing", `  "peers": [`, "  \"topology\": \"full-mesh\",\n  \"peers\": [", "mesh.json: peers: topology is full-mesh, and 4 of 6 peers are there: write the file again from mesh.yaml"},
		{"topology that nobody knows", `  "peers": [`, "  \"topology\": \"star\",\n  \"peers\": [", `mesh.json: topology: "star" is not known here: write full-mesh`},
		{"peer twice", `"apac>emea"`, `"amer>emea"`, `mesh.json: peers[1].id: "amer>emea" is listed already: remove one`},
		{"peer with itself", `"apac>emea"`, `"emea>emea"`, `mesh.json: peer "emea>emea": want two different clusters as in emea>apac (emea pulls from apac): write the file again from mesh.yaml`},
		{"DNS without its port", `"198.51.100.53:53"`, `"198.51.100.53"`, `mesh.json: clusters[0].dns[0]: "198.51.100.53" is not the address of a DNS server: write IP or IP:port, as in "192.0.2.53" or "[2001:db8::53]:53"`},
		{"a query that writes", `"SELECT nodeid`, `"DELETE nodeid`, "mesh.json: dialect.queries.user_counts.sql: does not begin with SELECT: write one SELECT statement: a dialect only reads"},
		{"something after it", "\n}\n", "\n}\n{}\n", "mesh.json: invalid character '{' after top-level value: write the file again from mesh.yaml"},
		{"an end without its line", "\n}\n", "\n}", fmt.Sprintf("mesh.json:%d: differs from what Peerkeeper writes: write the file again from mesh.yaml", strings.Count(good, "\n")+1)},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(good, tc.old) {
				t.Fatalf("the good file has no %q", tc.old)
			}
			m, err := parseJSON("mesh.json", []byte(strings.Replace(good, tc.old, tc.new, 1)))
			if m != nil || err == nil {
				t.Fatalf("got mesh %v, error %v: want no mesh and an error", m, err)
			}
			if got := err.Error(); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	alone := loadExamples(t)["one-cluster"]
	b.Reset()
	if err := WriteJSON(&b, alone); err != nil {
		t.Fatal(err)
	}
	if _, err := parseJSON("mesh.json", b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := parseJSON("mesh.json", bytes.Replace(b.Bytes(), []byte(`"peers": []`), []byte(`"peers": null`), 1)); err == nil {
		t.Error("null for no peers: no error")
	}
	for name, data := range map[string]string{"empty": "", "torn": good[:len(good)/2], "null": "null", "list": "[]", "deep": strings.Repeat(`{"clusters":[`, 50_000)} {
		if _, err := parseJSON("mesh.json", []byte(data)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	ca, _ := newCA(f)
	dialect, err := os.ReadFile(filepath.Join(meshes, "site-dialect.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	read := files(map[string]string{"ca.pem": ca, "site-dialect.yaml": string(dialect)})
	paths, err := filepath.Glob(filepath.Join(meshes, "*.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	bad, err := filepath.Glob(filepath.Join(meshes, "bad/*.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(paths, bad...) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(base))
	f.Add([]byte(contractExample))
	f.Add([]byte("a: &a [*a]\n? b\n: |\n  c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("mesh.yaml", data, read)
		if err != nil {
			var all yamlfile.Errors
			if m != nil || !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("mesh %v with error %v: want Errors alone", m, err)
			}
			return
		}
		var b bytes.Buffer
		if err := WriteJSON(&b, m); err != nil {
			t.Fatal(err)
		}
		back, err := parseJSON("mesh.json", b.Bytes())
		if err != nil {
			t.Fatalf("what was parsed is refused as JSON: %v\n%s", err, b.Bytes())
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Errorf("mesh (-parsed +read back):\n%s", diff)
		}
		m.Lint()
	})
}

func FuzzParseJSON(f *testing.F) {
	m, err := Parse("mesh.yaml", []byte(strings.ReplaceAll(base, "ca: ca.pem", "pins: ['"+pin+"']")), nil)
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteJSON(&b, m); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseJSON("mesh.json", data)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteJSON(&b, m); err != nil {
			t.Fatal(err)
		}
		back, err := parseJSON("mesh.json", b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Errorf("mesh (-read +read again):\n%s", diff)
		}
	})
}
