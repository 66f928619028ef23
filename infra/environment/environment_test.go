package environment

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/yamlfile"
)

func TestShippedEnvironments(t *testing.T) {
	names, err := Names("../environments")
	if err != nil || !cmp.Equal(names, []string{"dev", "prod"}) {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		if _, err := Load("../environments", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shipped is the text of a shipped file.
func shipped(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../environments", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// loadText loads an environment "dev" of two texts.
func loadText(t testing.TB, env, mesh string) (*Environment, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"dev.yaml": env, "dev.mesh.yaml": mesh} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(dir, "dev")
	if err != nil {
		return nil, err
	}
	return got, nil
}

// replaced changes a text that must be there.
func replaced(t testing.TB, text, old, new string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("%q is not in the file", old)
	}
	return strings.Replace(text, old, new, 1)
}

const (
	create = "create: {cidr: 10.90.0.0/26, zones: [eu-central-1a, eu-central-1b]}"
	attach = "attach: {vpc: vpc-0a1b2c3d, subnets: [{id: subnet-0a1b2c3d, zone: eu-central-1a, routeTable: rtb-0a1b2c3d}, {id: subnet-1a1b2c3d, zone: eu-central-1b, routeTable: rtb-0a1b2c3d}]}"
	link   = "link: {transitGateway: tgw-0123456789abcdef0}"
	zones  = "endpoints: {zones: [eu-central-1a]}"
	onPrem = "onPremises: [192.0.2.0/24, 198.51.100.0/24]"
)

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		want     []string // "line: path: …" each must be said
	}{
		"a key that does not exist":             {"production: false", "prodution: false", []string{":6: prodution: unknown key: did you mean production?"}},
		"a key given twice":                     {"production: false", "production: false\nproduction: true", []string{":7: production: the key stands twice, first on line 6: keep one of them"}},
		"no account":                            {`account: "111122223333"`, "account:", []string{"account: is missing"}},
		"an account of eleven digits":           {`"111122223333"`, `"11112222333"`, []string{":4: account: \"11112222333\""}},
		"a region that is none":                 {"region: eu-central-1\n", "region: Frankfurt\n", []string{":5: region: \"Frankfurt\""}},
		"China":                                 {"region: eu-central-1\n", "region: cn-north-1\n", []string{":5: region: is in a partition of its own"}},
		"a word for true":                       {"production: false", "production: yes please", []string{":6: production: is text, not true or false: write true or false"}},
		"zones of another region":               {"zones: [eu-central-1a, eu-central-1b]", "zones: [us-east-1a, eu-central-1b]", []string{"network.create.zones[0]: \"us-east-1a\" is no zone of eu-central-1"}},
		"a zone twice":                          {"zones: [eu-central-1a, eu-central-1b]", "zones: [eu-central-1a, eu-central-1a]", []string{"zones[1]: eu-central-1a is given twice"}},
		"a VPC too small for its zones":         {"10.90.0.0/26", "10.90.0.0/28", []string{"network.create.cidr: 10.90.0.0/28 does not give 2 subnets"}},
		"a VPC over the clusters' network":      {"10.90.0.0/26", "192.0.2.0/26", []string{"network.onPremises[0]: 192.0.2.0/24 overlaps the VPC's 192.0.2.0/26"}},
		"created and attached":                  {create, create + "\n  " + attach, []string{"network.attach: stands beside create"}},
		"no VPC":                                {create, "", []string{"network: no VPC"}},
		"a network with host bits":              {onPrem, "onPremises: [192.0.2.1/24, 198.51.100.0/24]", []string{"onPremises[0]: 192.0.2.1/24 has host bits: did you mean 192.0.2.0/24?"}},
		"everywhere":                            {onPrem, "onPremises: [0.0.0.0/0]", []string{"onPremises[0]: 0.0.0.0/0 is everywhere"}},
		"IPv6":                                  {onPrem, `onPremises: ["2001:db8::/32"]`, []string{"onPremises[0]: 2001:db8::/32 is IPv6"}},
		"overlapping networks":                  {onPrem, "onPremises: [192.0.2.0/24, 192.0.2.0/25]", []string{"onPremises[1]: 192.0.2.0/25 overlaps 192.0.2.0/24"}},
		"more rules than a group holds":         {onPrem, "onPremises: [10.0.1.0/24, 10.0.2.0/24, 10.0.3.0/24, 10.0.4.0/24, 10.0.5.0/24, 10.0.6.0/24, 10.0.7.0/24, 10.0.8.0/24, 10.0.9.0/24]", []string{"network.onPremises: names 9 networks"}},
		"no link for a VPC just made":           {link, "link: existing", []string{"network.link: a VPC that is created has no link yet"}},
		"two links":                             {link, "link: {transitGateway: tgw-0123456789abcdef0, vpn: {asn: 64512}}", []string{"network.link: wants one of vpn and transitGateway"}},
		"another word for a link":               {link, "link: internet", []string{`network.link: "internet" is no link`}},
		"a VPN device by name":                  {link, "link: {vpn: {customerGateway: {address: vpn.example.com, asn: 65010}}}", []string{"customerGateway.address: is no IPv4 address"}},
		"a prefix list of no form":              {"dynamodbPrefixList: pl-66a5400f", "dynamodbPrefixList: com.amazonaws.eu-central-1.dynamodb", []string{"network.dynamodbPrefixList"}},
		"an endpoint where no subnet is":        {zones, "endpoints: {zones: [eu-central-1c]}", []string{"network.endpoints.zones[0]: no subnet is in eu-central-1c"}},
		"existing endpoints in a new VPC":       {zones, "endpoints: {existing: [sns], securityGroup: sg-0a1b2c3d}", []string{"network.endpoints.existing: a VPC that is created"}},
		"a service that is none":                {zones, "endpoints: {existing: [s3]}", []string{`existing[0]: "s3" is no such service`}},
		"a group of no endpoint":                {zones, "endpoints: {securityGroup: sg-0a1b2c3d}", []string{"network.endpoints.securityGroup: belongs to no existing endpoint"}},
		"a DNS server elsewhere":                {zones, zones + "\n  forward: [{domain: example.com, servers: [203.0.113.53]}]", []string{"network.forward[0].servers[0]: 203.0.113.53 is in none of onPremises"}},
		"no DNS server":                         {zones, zones + "\n  forward: [{domain: example.com}]", []string{"network.forward[0].servers: is missing"}},
		"a retention CloudWatch does not know":  {"retentionDays: 14", "retentionDays: 15", []string{"logs.retentionDays: is no retention"}},
		"a retention that is no number":         {"retentionDays: 14", "retentionDays: two weeks", []string{"logs.retentionDays: is text, not a number: write digits only, without quotes"}},
		"a retention beyond all":                {"retentionDays: 14", "retentionDays: 3654", []string{"logs.retentionDays: is not such a number: want 1 to 3653"}},
		"a subscriber that is no account":       {"logs:", "alarms: {subscriberAccounts: [me]}\nlogs:", []string{`alarms.subscriberAccounts[0]: "me"`}},
		"a table of no name":                    {"logs:", "table: \"a b\"\nlogs:", []string{`table: "a b"`}},
		"a tag's key that AWS does not take":    {"tags: {system: peerkeeper,", "tags: {\"system!\": peerkeeper,", []string{"is no tag", "_ . : / = + - @"}},
		"a tag of AWS's":                        {"tags: {system: peerkeeper,", "tags: {\"aws:system\": peerkeeper,", []string{"is no tag"}},
		"an anchor":                             {"production: false", "production: &p false", []string{":6: YAML's & is not used here"}},
		"not YAML":                              {"production: false", "production: [", []string{"not valid YAML"}},
		"a cluster outside the networks":        {onPrem, "onPremises: [192.0.2.0/24]", []string{"dev.mesh.yaml:19: clusters[1].cucm.address: 198.51.100.10 is in none", "dev.mesh.yaml:21: clusters[1].nodes[0].address: 198.51.100.11 is in none", "clusters[1].dns[1]"}},
		"several at once, in the file's order":  {"production: false", "production: 1\nowner: me", []string{":6: production: is a number, not true or false", ":7: owner: unknown key: allowed here: account, alarms, logs"}},
		"attached, and the endpoint's routes":   {create, "attach: {vpc: vpc-0a1b2c3d, subnets: [{id: subnet-0a1b2c3d, zone: eu-central-1a}]}", []string{"network.link: routes have to be added", "network.endpoints: DynamoDB's endpoint needs every subnet's routeTable"}},
		"attached, a subnet twice":              {create, strings.Replace(attach, "subnet-1a1b2c3d", "subnet-0a1b2c3d", 1), []string{"subnets[1].id: subnet-0a1b2c3d is given twice"}},
		"attached, an existing group not named": {create, attach + "\n  #", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadText(t, replaced(t, shipped(t, "dev.yaml"), c.old, c.new), shipped(t, "dev.mesh.yaml"))
			if c.want == nil {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("nothing is said")
			}
			at := 0
			for _, want := range c.want {
				i := strings.Index(err.Error()[at:], want)
				if i < 0 {
					t.Errorf("want %q in, and in this order:\n%v", want, err)
					continue
				}
				at += i
			}
			var one *yamlfile.Error
			if !errors.As(err, &one) {
				t.Errorf("no *yamlfile.Error in %T", err)
			}
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !hasLine.MatchString(line) {
					t.Errorf("no file and line: %s", line)
				}
			}
		})
	}
}

var hasLine = regexp.MustCompile(`^[^:]*\.yaml:[0-9]+: `)

func TestMeshFaults(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a port the group does not let out": {`"192.0.2.11:8443"`, `"192.0.2.11:40003"`, "dev.mesh.yaml:10: clusters[0].nodes[0].address: port 40003 is not let out"},
		"a DNS server elsewhere":            {`dns: ["192.0.2.53"`, `dns: ["203.0.113.53"`, "dev.mesh.yaml:15: clusters[0].dns[0]: 203.0.113.53 is in none of network.onPremises"},
		"a platform's port likewise":        {`platformAddress: "192.0.2.12:443"`, `platformAddress: "192.0.2.12:9443"`, "dev.mesh.yaml:11: clusters[0].nodes[1].platformAddress: port 9443 is not let out"},
		"a platform elsewhere":              {`platformAddress: "192.0.2.12:443"`, `platformAddress: "203.0.113.12:443"`, "dev.mesh.yaml:11: clusters[0].nodes[1].platformAddress: 203.0.113.12 is in none of network.onPremises"},
		"a platform by a name that nobody resolves": {`, platformAddress: "192.0.2.12:443"`, "",
			`dev.mesh.yaml:11: clusters[0].nodes[1].name: imp-emea-sub.lab.example.com is in none of network.forward, without which a VPC that is created does not find names of the clusters' own DNS: write platformAddress: "192.0.2.12:443"`},
		"simulated":                    {"domain: lab.example.com", "domain: lab.example.com\nsimulated: true", "a simulated mesh cannot be deployed"},
		"a file for alarms":            {"{mode: observe}", "{mode: observe, notify: {file: alarms.jsonl}}", "policy.notify.file: a Lambda has no disk"},
		"a secret's name with a space": {"credentials: emea/read", `credentials: "emea read"`, "clusters[0].credentials"},
		"a fault of the mesh itself":   {"mode: observe", "mode: watch", "policy.mode"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadText(t, shipped(t, "dev.yaml"), replaced(t, shipped(t, "dev.mesh.yaml"), c.old, c.new))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q in: %v", c.want, err)
			}
		})
	}
	// Faults of both files come together.
	_, err := loadText(t, replaced(t, shipped(t, "dev.yaml"), "production: false", "production: 1"), replaced(t, shipped(t, "dev.mesh.yaml"), "mode: observe", "mode: watch"))
	if err == nil || !strings.Contains(err.Error(), "dev.yaml:6: production") || !strings.Contains(err.Error(), "policy.mode") {
		t.Errorf("one of the two files is not spoken of: %v", err)
	}
}

// TestPlatformByName: a node's platform may be looked for by name where the
// name is forwarded, where the VPC is somebody else's, and where all of the node
// is; and nobody looks without an account.
func TestPlatformByName(t *testing.T) {
	byName := func(t *testing.T, mesh string) string {
		return replaced(t, mesh, `, platformAddress: "192.0.2.12:443"`, "")
	}
	for name, c := range map[string]struct {
		env, mesh func(t *testing.T, text string) string
	}{
		"forwarded": {func(t *testing.T, env string) string {
			return replaced(t, env, zones, zones+"\n  forward: [{domain: Example.com, servers: [192.0.2.53]}]")
		}, byName},
		"in an attached VPC": {func(t *testing.T, env string) string { return replaced(t, env, create, attach) }, byName},
		"as all of the node": {nil, func(t *testing.T, mesh string) string {
			return replaced(t, mesh, `, address: "192.0.2.12:8443", platformAddress: "192.0.2.12:443"`, "")
		}},
		"on the port of all else": {nil, func(t *testing.T, mesh string) string {
			return replaced(t, mesh, `platformAddress: "192.0.2.12:443"`, `platformAddress: "192.0.2.12:8443"`)
		}},
		"no account": {nil, func(t *testing.T, mesh string) string {
			return replaced(t, byName(t, mesh), "    platformCredentials: emea/platform\n", "")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			env, mesh := shipped(t, "dev.yaml"), c.mesh(t, shipped(t, "dev.mesh.yaml"))
			if c.env != nil {
				env = c.env(t, env)
			}
			if _, err := loadText(t, env, mesh); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
	// Another domain's forwarding does not help.
	other := replaced(t, shipped(t, "dev.yaml"), zones, zones+"\n  forward: [{domain: ample.com, servers: [192.0.2.53]}]")
	if _, err := loadText(t, other, byName(t, shipped(t, "dev.mesh.yaml"))); err == nil || !strings.Contains(err.Error(), "is in none of network.forward") {
		t.Errorf("a name of example.com with ample.com forwarded: %v", err)
	}
}

// TestSecretsOfAccountsThatAct have names that Secrets Manager takes, too.
func TestSecretsOfAccountsThatAct(t *testing.T) {
	env, err := Load("../environments", "dev")
	if err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string]bool{"emea/platform-write": false, "emea platform": true} {
		env.Mesh.Clusters[0].PlatformWriteCredentials = name
		about := yamlfile.NewReport("dev.mesh.yaml")
		env.agree(about, "dev.yaml")
		err := about.Err()
		var one *yamlfile.Error
		if errors.As(err, &one) != refused || refused && one.Path != "clusters[0].platformWriteCredentials" {
			t.Errorf("%q: %v", name, err)
		}
		if got := env.Secrets()[mesh.PlatformWriteAccount]; !slices.Equal(got, []string{name}) {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestNamesOfEnvironments(t *testing.T) {
	for _, name := range []string{"", "../dev", "Dev", "a-name-that-is-longer-than-that", "no-such"} {
		if _, err := Load("../environments", name); err == nil {
			t.Errorf("%q: no error", name)
		}
	}
}

func TestWhatAnEnvironmentSays(t *testing.T) {
	env, err := loadText(t, replaced(t, replaced(t, replaced(t, shipped(t, "dev.yaml"), create, attach), link, "link: existing"), zones,
		"endpoints: {existing: [secretsmanager, sns, dynamodb], securityGroup: sg-0a1b2c3d}\n  forward: [{domain: example.com., servers: [192.0.2.53]}]"), shipped(t, "dev.mesh.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := Network{
		Attach: &Attach{VPC: "vpc-0a1b2c3d", Subnets: []Subnet{
			{"subnet-0a1b2c3d", "eu-central-1a", "rtb-0a1b2c3d"}, {"subnet-1a1b2c3d", "eu-central-1b", "rtb-0a1b2c3d"},
		}},
		OnPremises:         []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")},
		DynamoDBPrefixList: "pl-66a5400f",
		Endpoints:          Endpoints{Zones: []string{"eu-central-1a", "eu-central-1b"}, Existing: []string{"secretsmanager", "sns", "dynamodb"}, SecurityGroup: "sg-0a1b2c3d"},
		Forward:            []Forward{{"example.com", []netip.Addr{netip.MustParseAddr("192.0.2.53")}}},
	}
	if diff := cmp.Diff(want, env.Network, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if env.Account != "111122223333" || env.Region != "eu-central-1" || env.Production || env.LogDays != 14 || env.Table != "peerkeeper-dev" || env.Tags["environment"] != "dev" {
		t.Errorf("%+v", env)
	}
	if diff := cmp.Diff(Accounts{mesh.ReadAccount: []string{"apac/read", "emea/read"}, mesh.PlatformAccount: []string{"apac/platform", "emea/platform"}}, env.Secrets()); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

func TestAccountKeepsItsZero(t *testing.T) {
	env, err := loadText(t, replaced(t, shipped(t, "dev.yaml"), `"111122223333"`, "011122223333"), shipped(t, "dev.mesh.yaml"))
	if err != nil || env.Account != "011122223333" {
		t.Errorf("%v, %v", env, err)
	}
}

func TestSubnets(t *testing.T) {
	for _, c := range []struct {
		cidr  string
		zones int
		want  []string
	}{
		{"10.90.0.0/26", 1, []string{"10.90.0.0/26"}},
		{"10.90.0.0/26", 2, []string{"10.90.0.0/27", "10.90.0.32/27"}},
		{"10.90.0.0/24", 3, []string{"10.90.0.0/26", "10.90.0.64/26", "10.90.0.128/26"}},
		{"10.90.255.0/25", 4, []string{"10.90.255.0/27", "10.90.255.32/27", "10.90.255.64/27", "10.90.255.96/27"}},
	} {
		var got []string
		for _, p := range (Create{netip.MustParsePrefix(c.cidr), make([]string, c.zones)}).Subnets() {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s in %d zones (-want +got):\n%s", c.cidr, c.zones, diff)
		}
	}
}

// FuzzEnvironment: no text makes the reader panic, and one it takes has what
// the stack relies on.
func FuzzEnvironment(f *testing.F) {
	f.Add(shipped(f, "dev.yaml"))
	f.Add(shipped(f, "prod.yaml"))
	f.Add("account: [\n")
	f.Add("network: {create: {cidr: 10.0.0.0/8, zones: []}}")
	f.Add("- a\n---\n- b")
	f.Add("account: 1\naccount: 2\n? x: y")
	f.Fuzz(func(t *testing.T, text string) {
		rep := yamlfile.NewReport("fuzz.yaml")
		env := &Environment{Name: "fuzz"}
		root, ok := format.Parse(rep, "fuzz.yaml", "", []byte(text))
		if !ok {
			if rep.Err() == nil {
				t.Error("refused without a word")
			}
			return
		}
		env.read(root)
		if rep.Err() != nil {
			return
		}
		if !isAccount.MatchString(env.Account) || !isRegion.MatchString(env.Region) || (env.Network.Create == nil) == (env.Network.Attach == nil) || len(env.Network.OnPremises) == 0 {
			t.Errorf("taken: %+v", env)
		}
	})
}
