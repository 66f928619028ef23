// Package cost reckons what a synthesised template costs in a month, line by
// line, and what would make it less.
//
// It owns a dated table of list prices and the figures that were measured. It
// asks nobody: a bill is an estimate, and each line says what it rests on. A
// kind of resource whose price nobody has looked up is an error, so that
// nothing is left out in silence.
package cost

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
)

// Template is a CloudFormation template as far as it matters here.
type Template struct {
	Resources map[string]Resource
}

// Resource is a resource of a template.
type Resource struct {
	Type       string
	Properties map[string]any
}

func (r Resource) number(key string) float64 { n, _ := r.Properties[key].(float64); return n }

func (r Resource) text(key string) string { s, _ := r.Properties[key].(string); return s }

func (r Resource) count(key string) int { l, _ := r.Properties[key].([]any); return len(l) }

// Basis is what a line's quantity rests on.
type Basis string

// What a quantity may rest on.
const (
	Counted  Basis = "counted in the template"
	Measured Basis = "measured, then counted"
	Modelled Basis = "modelled from measured CPU and latency"
	Assumed  Basis = "assumed"
)

// Line is one line of a bill.
type Line struct {
	What     string
	Item     Item
	Quantity float64
	USD      float64
	Basis    Basis
}

// Bill is a month of 730 hours.
type Bill struct {
	Region   string
	Exact    bool // the region's own prices are noted
	Clusters int
	Lines    []Line
	Advice   []string
}

const (
	hours   = 730
	seconds = hours * 3600
	// noticesPerMonth is how many alarms are said.
	noticesPerMonth = 200
)

// free are kinds of resources that cost nothing by themselves.
func free() []string {
	return []string{
		"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::RouteTable", "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::Route", "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupEgress",
		"AWS::EC2::VPNGateway", "AWS::EC2::VPCGatewayAttachment", "AWS::EC2::CustomerGateway", "AWS::EC2::VPNConnectionRoute",
		"AWS::EC2::FlowLog", // refused traffic only: next to nothing
		"AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Permission", "AWS::Logs::SubscriptionFilter", "AWS::Scheduler::ScheduleGroup", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy",
		"AWS::SQS::Queue", // written to only when something fails
		"AWS::Route53Resolver::ResolverRule", "AWS::Route53Resolver::ResolverRuleAssociation", "AWS::CDK::Metadata",
		"AWS::Logs::LogGroup", // on the lines of those who write
	}
}

// Of reckons the bill of a template for a mesh of some clusters.
func Of(t Template, region string, clusters int) (Bill, error) {
	b := Bill{Region: region, Exact: true, Clusters: clusters}
	add := func(what string, item Item, quantity float64, basis Basis) float64 {
		price, exact := priceOf(item, region)
		b.Exact = b.Exact && exact
		b.Lines = append(b.Lines, Line{what, item, quantity, quantity * price, basis})
		return quantity * price
	}
	retention := 1.0
	for _, r := range t.Resources {
		if r.Type == "AWS::Logs::LogGroup" {
			retention = max(retention, r.number("RetentionInDays"))
		}
	}
	reads, writes, stored := 0.0, 0.0, 0.0
	secrets, kinds, alarms := 0, map[string]bool{}, 0
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		r := t.Resources[id]
		switch r.Type {
		case "AWS::Lambda::Function":
			name := strings.ToLower(id)
			s, ok := run.Find(name)
			if name == "intake" {
				events := eventsOf(clusters)
				add(fmt.Sprintf("%s: %.0f events of 0.1 s at %.0f MB", name, events, r.number("MemorySize")), LambdaGBSecond, events*0.1*r.number("MemorySize")/1024, Assumed)
				add(name, LambdaRequest, events/1e6, Assumed)
				add(name, LogIngest, events*logBytes/1e9, Assumed)
				add(name, LogStorage, events*logBytes/1e9*retention/30, Assumed)
				n, err := metricsOf(name)
				if err != nil {
					return Bill{}, err
				}
				add(name, MetricMonth, float64(n), Counted)
				reads, writes = reads+2*events, writes+2*events // a cluster's item and the counts
			}
			if !ok {
				continue // it runs when somebody asks
			}
			m, err := of(name, clusters)
			if err != nil {
				return Bill{}, err
			}
			runs := seconds / s.Period.Seconds()
			took := m.duration(r.number("MemorySize"))
			add(fmt.Sprintf("%s: %.0f runs of %.1f s at %.0f MB", name, runs, took.Seconds(), r.number("MemorySize")), LambdaGBSecond, runs*took.Seconds()*r.number("MemorySize")/1024, Modelled)
			add(name, LambdaRequest, runs/1e6, Counted)
			switch name {
			case "stucksync", "peering": // read accounts only to act, and for a plan
			case "certcheck": // begins a look in few of its runs; all of them are counted as if they did, but here
				add(name+"'s accounts, each look", SecretRequest, float64(readers(t, id))*seconds/peer.CertLook.Seconds()/10000, Counted)
			default:
				add(name+"'s accounts, each run", SecretRequest, float64(readers(t, id))*runs/10000, Counted)
			}
			n, err := metricsOf(name)
			if err != nil {
				return Bill{}, err
			}
			add(name, MetricMonth, float64(n), Counted)
			gb := runs * logBytes / 1e9
			add(name, LogIngest, gb, Assumed)
			add(name, LogStorage, gb*retention/30, Assumed)
			reads, writes, stored = reads+runs*m.reads, writes+runs*m.writes, stored+m.stored
		case "AWS::Scheduler::Schedule":
			s, ok := run.Find(strings.ToLower(strings.TrimSuffix(id, "Schedule")))
			if !ok {
				return Bill{}, fmt.Errorf("%s starts no function that runs by the clock", id)
			}
			add(s.Function, SchedulerRequest, seconds/s.Period.Seconds()/1e6, Counted)
		case "AWS::EC2::VPCEndpoint":
			if r.text("VpcEndpointType") == "Gateway" {
				continue // free
			}
			add(id, EndpointHour, float64(r.count("SubnetIds"))*hours, Counted)
		case "AWS::Route53Resolver::ResolverEndpoint":
			usd := add(id, ResolverHour, float64(r.count("IpAddresses"))*hours, Counted)
			b.advise(usd, "leave network.forward out: the functions then ask the clusters' DNS servers themselves")
		case "AWS::EC2::VPNConnection":
			add(id, VPNHour, hours, Counted)
			add(id+", its two tunnels", PublicAddressHour, 2*hours, Counted)
		case "AWS::EC2::TransitGatewayVpcAttachment":
			add(id, TransitHour, hours, Counted)
		case "AWS::SecretsManager::Secret":
			secrets, kinds[r.text("Description")] = secrets+1, true
		case "AWS::KMS::Key":
			add(id, KeyMonth, 1, Counted)
		case "AWS::SNS::Topic":
			add(id, TopicRequest, noticesPerMonth/1e6, Assumed)
		case "AWS::CloudWatch::Alarm":
			alarms++
		case "AWS::CloudWatch::Dashboard":
			add(id, DashboardMonth, 1, Counted)
		case "AWS::DynamoDB::Table":
		default:
			if !slices.Contains(free(), r.Type) {
				return Bill{}, fmt.Errorf("%s: nobody has looked up what a %s costs", id, r.Type)
			}
		}
	}
	hashes := usersHashes(clusters)
	what := fmt.Sprintf("table, hashes of users (%d in each cluster)", mesh.MinOVA)
	add(what, DynamoWrite, hashes.writes/1e6, Counted)
	add(what, DynamoRead, hashes.reads/1e6, Counted)
	add(what, DynamoStorage, hashes.stored/1e9, Counted)
	add("table", DynamoWrite, writes/1e6, Measured)
	add("table", DynamoRead, reads/1e6, Measured)
	add("table", DynamoStorage, stored/1e9, Measured)
	add("table", DynamoRecovery, stored/1e9, Measured)
	accounts := add(fmt.Sprintf("%d secrets", secrets), SecretMonth, float64(secrets), Counted)
	add(fmt.Sprintf("%d alarms", alarms), AlarmMonth, float64(alarms), Counted)
	slices.SortStableFunc(b.Lines, func(x, y Line) int {
		switch {
		case x.USD > y.USD:
			return -1
		case x.USD < y.USD:
			return 1
		}
		return strings.Compare(string(x.Item), string(y.Item))
	})
	if one, _ := priceOf(SecretMonth, region); secrets > len(kinds) {
		b.advise(accounts-float64(len(kinds))*one, fmt.Sprintf("let clusters share accounts in mesh.yaml where your rules allow it: one for each purpose is %d secrets", len(kinds)))
	}
	all, further, link := 0.0, 0.0, 0.0
	for _, l := range b.Lines {
		switch l.Item {
		case EndpointHour:
			all, further = all+l.USD, further+l.USD*(1-hours/l.Quantity)
		case VPNHour, PublicAddressHour, TransitHour:
			link += l.USD
		}
	}
	if further > 0 {
		b.advise(further, "endpoints in one zone: while that zone is away nobody looks and no alarm is said")
	}
	if all > 0 {
		b.advise(all, "attach to a VPC that has the endpoints already (network.attach, endpoints.existing)")
	}
	if link > 0 {
		b.advise(link, "attach to a VPC that is linked to the clusters already (network.attach, link: existing)")
	}
	return b, nil
}

// usersHashes is what the hashes of users cost in a month: each day peersync
// writes a cluster's set, 16 bytes a user in base64, into the half that is not in
// force, after it has read which items stand there, and preflight reads the set in
// force. Both read consistently: a unit for 4 KB; a unit of writing for 1 KB.
func usersHashes(clusters int) measurement {
	const days = 30
	bytes := float64(clusters) * mesh.MinOVA * 16 * 4 / 3
	return measurement{reads: days * 2 * bytes / 4096, writes: days * bytes / 1024, stored: 2 * bytes}
}

// eventsOf is how often a month CloudWatch Logs sends what nodes pushed: each
// cluster's lines of a sync come together, twice an hour, and a line of its own for
// each peer that fails besides; assumed.
func eventsOf(clusters int) float64 { return float64(clusters) * 4 * hours }

// readers counts the secrets that a function reads: in each run, since a value
// is kept for no longer than the shortest period.
func readers(t Template, function string) int {
	policies, _ := t.Resources[function+"Role"].Properties["Policies"].([]any)
	for _, p := range policies {
		doc, _ := p.(map[string]any)["PolicyDocument"].(map[string]any)
		list, _ := doc["Statement"].([]any)
		for _, s := range list {
			if s, _ := s.(map[string]any); s["Sid"] == "Accounts" {
				if l, ok := s["Resource"].([]any); ok {
					return len(l)
				}
				return 1
			}
		}
	}
	return 0
}

func (b *Bill) advise(usd float64, what string) {
	b.Advice = append(b.Advice, fmt.Sprintf("$%.2f less: %s", usd, what))
}

// Total is the whole month.
func (b Bill) Total() float64 {
	sum := 0.0
	for _, l := range b.Lines {
		sum += l.USD
	}
	return sum
}

// Write prints the bill, dearest line first.
func (b Bill) Write(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "A month (%d hours) of %d clusters in %s, at AWS's list prices of %s, without free tiers, tax and traffic over the link.\n", hours, b.Clusters, b.Region, Noted)
	fmt.Fprintln(&out, "An estimate: compare the prices with AWS's price pages before you rely on it.")
	if !b.Exact {
		fmt.Fprintf(&out, "No prices of %s are noted; these are us-east-1's.\n", b.Region)
	}
	fmt.Fprintln(&out)
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	small, smallest := 0.0, 0
	for _, l := range b.Lines {
		if l.USD < 0.05 {
			small, smallest = small+l.USD, smallest+1
			continue
		}
		fmt.Fprintf(t, "%8.2f\t%s\t%.4g\t%s\t%s\n", l.USD, l.Item, l.Quantity, l.What, l.Basis)
	}
	fmt.Fprintf(t, "%8.2f\t%d lines below $0.05\t\t\t\n", small, smallest)
	fmt.Fprintf(t, "%8.2f\ttotal, US dollars\t\t\t\n", b.Total())
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the bill: %w", err)
	}
	if len(b.Advice) > 0 {
		fmt.Fprintln(&out, "\nTo make it small:")
		for _, a := range b.Advice {
			fmt.Fprintln(&out, "  "+a)
		}
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("writing the bill: %w", err)
	}
	return nil
}
