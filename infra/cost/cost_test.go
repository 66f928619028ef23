package cost

import (
	"math"
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/run"
)

// template is a small one: a function, its schedule, the table, an endpoint in
// two zones, two secrets and an alarm.
func template() Template {
	return Template{Resources: map[string]Resource{
		"Peersync":         {"AWS::Lambda::Function", map[string]any{"MemorySize": 512.0}},
		"PeersyncSchedule": {"AWS::Scheduler::Schedule", nil},
		"PeersyncLogs":     {"AWS::Logs::LogGroup", map[string]any{"RetentionInDays": 60.0}},
		"PeersyncRole": {"AWS::IAM::Role", map[string]any{"Policies": []any{map[string]any{"PolicyDocument": map[string]any{"Statement": []any{
			map[string]any{"Sid": "Accounts", "Resource": []any{"a", "b"}},
		}}}}}},
		"Table":       {"AWS::DynamoDB::Table", nil},
		"SnsEndpoint": {"AWS::EC2::VPCEndpoint", map[string]any{"VpcEndpointType": "Interface", "SubnetIds": []any{"a", "b"}}},
		"Dynamo":      {"AWS::EC2::VPCEndpoint", map[string]any{"VpcEndpointType": "Gateway"}},
		"SecretA":     {"AWS::SecretsManager::Secret", map[string]any{"Description": "looks"}},
		"SecretB":     {"AWS::SecretsManager::Secret", map[string]any{"Description": "acts"}},
		"Alarm":       {"AWS::CloudWatch::Alarm", nil},
	}}
}

func bill(t *testing.T, template Template, region string, clusters int) Bill {
	t.Helper()
	b, err := Of(template, region, clusters)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// usd sums the lines of an item.
func (b Bill) usd(item Item) (usd float64) {
	for _, l := range b.Lines {
		if l.Item == item {
			usd += l.USD
		}
	}
	return usd
}

func TestLines(t *testing.T) {
	b := bill(t, template(), "us-east-1", 3)
	const runs = 730 * 12 // every 5 minutes
	for name, c := range map[string]struct{ got, want float64 }{
		"endpoint in two zones, the gateway free": {b.usd(EndpointHour), 2 * 730 * 0.01},
		"secrets":             {b.usd(SecretMonth), 2 * 0.40},
		"two secrets a tick":  {b.usd(SecretRequest), 2 * runs * 0.05 / 10000},
		"writes":              {b.usd(DynamoWrite), (runs*16 + 28_125) * 0.625 / 1e6}, // 28,125: a day's 320 KB of hashes of each cluster's users
		"reads":               {b.usd(DynamoRead), (runs*12 + 14_062.5) * 0.125 / 1e6},
		"alarm":               {b.usd(AlarmMonth), 0.10},
		"schedule":            {b.usd(SchedulerRequest), runs * 1.00 / 1e6},
		"log kept two months": {b.usd(LogStorage), runs * logBytes / 1e9 * 2 * 0.03},
		// 100 ms of AWS, 320 ms of waiting, 16 ms of CPU at 512/1769 of a core.
		"GB-seconds": {b.usd(LambdaGBSecond), runs * (0.1 + 0.32 + 0.016*1769/512) * 0.5 * 0.0000133334},
	} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("%s: $%.6f, want $%.6f", name, c.got, c.want)
		}
	}
	sum := 0.0
	for _, l := range b.Lines {
		sum += l.USD
	}
	if b.Total() != sum {
		t.Errorf("total %f, lines %f", b.Total(), sum)
	}
}

// TestSecretsAreReadInEachRun by who looks, and by who acts only then.
func TestSecretsAreReadInEachRun(t *testing.T) {
	tmpl := template()
	before := bill(t, tmpl, "us-east-1", 3).usd(SecretRequest)
	for name, want := range map[string]float64{"Certcheck": 730.0 / 6 * 2 * 0.05 / 10000, "Stucksync": 0, "Peering": 0} {
		tmpl = template()
		tmpl.Resources[name] = tmpl.Resources["Peersync"]
		tmpl.Resources[name+"Role"] = tmpl.Resources["PeersyncRole"]
		if got := bill(t, tmpl, "us-east-1", 3).usd(SecretRequest) - before; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: $%.6f more, want $%.6f", name, got, want)
		}
	}
}

func TestAdvice(t *testing.T) {
	tmpl := template()
	tmpl.Resources["SecretC"] = Resource{"AWS::SecretsManager::Secret", map[string]any{"Description": "acts"}}
	tmpl.Resources["Resolver"] = Resource{"AWS::Route53Resolver::ResolverEndpoint", map[string]any{"IpAddresses": []any{"a", "b"}}}
	tmpl.Resources["Vpn"] = Resource{Type: "AWS::EC2::VPNConnection"}
	advice := strings.Join(bill(t, tmpl, "us-east-1", 3).Advice, "\n")
	for _, want := range []string{
		"$0.40 less: let clusters share accounts in mesh.yaml where your rules allow it: one for each purpose is 2 secrets",
		"$182.50 less: leave network.forward out",     // 2 addresses x 730 x 0.125
		"$7.30 less: endpoints in one zone",           // 730 x 0.01
		"$14.60 less: attach to a VPC that has the",   // both zones
		"$43.80 less: attach to a VPC that is linked", // 730 x (0.05 + 2 x 0.005)
	} {
		if !strings.Contains(advice, want) {
			t.Errorf("missing %q in:\n%s", want, advice)
		}
	}
	tmpl = template()
	delete(tmpl.Resources, "SnsEndpoint")
	if b := bill(t, tmpl, "us-east-1", 3); len(b.Advice) != 0 {
		t.Errorf("advice about what is not there: %v", b.Advice)
	}
}

func TestRegions(t *testing.T) {
	us, eu, other := bill(t, template(), "us-east-1", 3), bill(t, template(), "eu-central-1", 3), bill(t, template(), "ap-southeast-1", 3)
	if !us.Exact || !eu.Exact || eu.Total() <= us.Total() {
		t.Errorf("us-east-1 %v %.2f, eu-central-1 %v %.2f", us.Exact, us.Total(), eu.Exact, eu.Total())
	}
	var said strings.Builder
	if err := other.Write(&said); err != nil {
		t.Fatal(err)
	}
	if other.Exact || !strings.Contains(said.String(), "No prices of ap-southeast-1 are noted") {
		t.Errorf("another region's prices pass for its own:\n%s", said.String())
	}
}

func TestUnknownResourceIsAnError(t *testing.T) {
	tmpl := template()
	tmpl.Resources["Nat"] = Resource{Type: "AWS::EC2::NatGateway"}
	if _, err := Of(tmpl, "us-east-1", 3); err == nil || !strings.Contains(err.Error(), "AWS::EC2::NatGateway") {
		t.Errorf("a NAT gateway is left out in silence: %v", err)
	}
}

func TestBeyondWhatWasMeasured(t *testing.T) {
	for _, n := range []int{0, mesh.MaxClusters + 1} {
		if _, err := Of(template(), "us-east-1", n); err == nil {
			t.Errorf("%d clusters: no error", n)
		}
	}
}

// TestBiggerCostsMore for every function, and each is measured.
func TestBiggerCostsMore(t *testing.T) {
	for _, s := range run.Schedules() {
		before := measurement{}
		for n := 1; n <= mesh.MaxClusters; n++ {
			m, err := of(s.Function, n)
			if err != nil {
				t.Fatal(err)
			}
			if m.duration(512) < before.duration(512) || m.reads < before.reads || m.writes < before.writes {
				t.Errorf("%s: %d clusters take less than %d", s.Function, n, n-1)
			}
			before = m
		}
	}
}

func TestMetricsAreCounted(t *testing.T) {
	judges, err := metricsOf("stucksync")
	if err != nil {
		t.Fatal(err)
	}
	looks, err := metricsOf("certcheck")
	if err != nil {
		t.Fatal(err)
	}
	if looks < 5 || judges != looks+1 { // PeersNotHealthy
		t.Errorf("stucksync %d, certcheck %d", judges, looks)
	}
}

func TestResize(t *testing.T) {
	m := &mesh.Mesh{Clusters: []mesh.Cluster{{ID: "emea", Credentials: "emea/read", WriteCredentials: "emea/write"}}}
	Resize(m, 3)
	names := map[string]bool{}
	for _, c := range m.Clusters {
		names[c.Credentials], names[c.WriteCredentials] = true, true
		if c.PlatformCredentials != "" {
			t.Errorf("%s has a platform account", c.ID)
		}
	}
	m.Clusters[0].PlatformWriteCredentials = "emea/platform-write"
	if Resize(m, 1); m.Clusters[0].PlatformWriteCredentials != "emea/platform-write" {
		t.Errorf("leaving clusters out renames an account to %s", m.Clusters[0].PlatformWriteCredentials)
	}
	if Resize(m, 3); m.Clusters[2].PlatformWriteCredentials != "c03/platform-write" || m.Clusters[2].Credentials != "c03/read" {
		t.Errorf("the third cluster's accounts are %s and %s", m.Clusters[2].Credentials, m.Clusters[2].PlatformWriteCredentials)
	}
	if len(m.Clusters) != 3 || len(names) != 6 {
		t.Errorf("%d clusters, accounts %v", len(m.Clusters), names)
	}
	if Resize(m, 2); len(m.Clusters) != 2 {
		t.Errorf("%d clusters, want 2", len(m.Clusters))
	}
}
