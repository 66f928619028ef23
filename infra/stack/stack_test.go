package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"peerkeeper/infra/environment"
	"peerkeeper/shared/mesh"
)

// resource is a resource of a decoded template.
type resource struct {
	Type                string
	Properties          map[string]any
	DependsOn           any            `json:",omitempty"`
	DeletionPolicy      string         `json:",omitempty"`
	UpdateReplacePolicy string         `json:",omitempty"`
	Metadata            map[string]any `json:",omitempty"`
}

// made is an environment and the template that came of it.
type made struct {
	env       *environment.Environment
	Resources map[string]*resource
	Outputs   map[string]any
}

// What TestMain has synthesised, once for all tests: jsii is slow to start and
// crashes under t.Parallel.
var (
	out       string
	templates = map[string]*made{}
)

const bare = "bare" // a stack with findings, for the tests of cdk-nag itself

func TestMain(m *testing.M) {
	code := 1
	func() {
		defer jsii.Close()
		var err error
		if out, err = os.MkdirTemp("", "peerkeeper"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		defer os.RemoveAll(out)
		if err := synthesise(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		code = m.Run()
	}()
	os.Exit(code)
}

// variants are the environments under test: the two that are shipped and
// changes of them, one for each thing an environment can say.
func variants() (map[string]*environment.Environment, error) {
	load := func(name string) (*environment.Environment, error) { return environment.Load("../environments", name) }
	envs := map[string]*environment.Environment{}
	for _, name := range []string{"dev", "prod"} {
		env, err := load(name)
		if err != nil {
			return nil, err
		}
		envs[name] = env
	}
	var failed error
	vary := func(name, from string, change func(*environment.Environment)) {
		env, err := load(from)
		if err != nil {
			failed = err
			return
		}
		env.Name, env.Table = name, strings.Replace(env.Table, Name(from), Name(name), 1)
		change(env)
		envs[name] = env
	}
	vary("twin", "prod", func(*environment.Environment) {})
	vary("syslog", "dev", func(e *environment.Environment) { e.SyslogGroup = "/cisco/syslog" })
	vary("logs", "dev", func(e *environment.Environment) { e.LogDays = 365 })
	vary("restored", "prod", func(e *environment.Environment) { e.Table = "peerkeeper-prod-2026-11-23" })
	vary("observe", "prod", func(e *environment.Environment) { e.Mesh.Policy.Mode = mesh.Observe })
	platformWrite := func(e *environment.Environment) {
		e.SyslogGroup = "/cisco/syslog"
		for i := range e.Mesh.Clusters {
			e.Mesh.Clusters[i].PlatformWriteCredentials = string(e.Mesh.Clusters[i].ID) + "/platform-write"
		}
	}
	vary("mending", "prod", platformWrite)
	vary("watching", "prod", func(e *environment.Environment) {
		platformWrite(e)
		e.Mesh.Policy.Mode = mesh.Observe
	})
	vary("unread", "dev", func(e *environment.Environment) {
		for i := range e.Mesh.Clusters {
			e.Mesh.Clusters[i].PlatformCredentials = ""
		}
	})
	vary("tls", "prod", func(e *environment.Environment) {
		e.Mesh.Peers[0].Protocol = mesh.TLSProto
		for _, c := range e.Mesh.Clusters {
			for i := range c.Nodes {
				c.Nodes[i].PlatformAddress = c.Nodes[i].Address
			}
		}
	})
	vary("static", "prod", func(e *environment.Environment) {
		e.Network.Link.VPN.CustomerGateway.Static = true
		e.Network.Link.VPN.CustomerGateway.ASN = 4200000000
	})
	vary("direct", "prod", func(e *environment.Environment) { e.Network.Link.VPN.CustomerGateway = nil })
	vary("forward", "prod", func(e *environment.Environment) {
		e.Network.Forward = []environment.Forward{
			{Domain: "example.com", Servers: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("198.51.100.53")}},
			{Domain: "lab.example.com", Servers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}},
		}
	})
	attach := func(e *environment.Environment) {
		e.Network.Create = nil
		e.Network.Attach = &environment.Attach{VPC: "vpc-0a1b2c3d", Subnets: []environment.Subnet{
			{ID: "subnet-0a1b2c3d", Zone: "eu-central-1a", RouteTable: "rtb-0a1b2c3d"}, {ID: "subnet-1a1b2c3d", Zone: "eu-central-1b", RouteTable: "rtb-1a1b2c3d"},
		}}
	}
	vary("attached", "dev", attach)
	vary("guest", "dev", func(e *environment.Environment) {
		attach(e)
		e.Network.Link = environment.Link{}
		e.Network.Endpoints = environment.Endpoints{Existing: environment.Services(), SecurityGroup: "sg-0a1b2c3d"}
	})
	vary("largest", "prod", func(e *environment.Environment) {
		first := e.Mesh.Clusters[0]
		e.Mesh.Clusters = nil
		for i := range mesh.MaxClusters {
			c := first
			c.ID = mesh.ClusterID(fmt.Sprintf("region-%02d", i))
			c.Credentials, c.WriteCredentials = string(c.ID)+"/read", string(c.ID)+"/write"
			c.PlatformCredentials, c.PlatformWriteCredentials = string(c.ID)+"/platform", string(c.ID)+"/platform-write"
			e.Mesh.Clusters = append(e.Mesh.Clusters, c)
		}
	})
	return envs, failed
}

func synthesise() error {
	envs, err := variants()
	if err != nil {
		return err
	}
	code := filepath.Join(out, "code")
	if err := os.Mkdir(code, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(code, "bootstrap"), []byte("not a program"), 0o644); err != nil {
		return err
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(out), AnalyticsReporting: jsii.Bool(false)})
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{ReportFormats: &[]cdknag.NagReportFormat{cdknag.NagReportFormat_JSON}}), nil)
	for _, name := range slices.Sorted(maps.Keys(envs)) {
		New(app, Name(name), Props{Environment: envs[name], Code: func(string) awslambda.Code {
			return awslambda.Code_FromAsset(jsii.String(code), nil)
		}})
	}
	awssqs.NewCfnQueue(awscdk.NewStack(app, jsii.String(Name(bare)), nil), jsii.String("Open"), nil)
	app.Synth(nil)
	for name, env := range envs {
		data, err := os.ReadFile(templateFile(name))
		if err != nil {
			return err
		}
		t := &made{env: env}
		if err := json.Unmarshal(data, t); err != nil {
			return fmt.Errorf("decoding %s: %w", name, err)
		}
		templates[name] = t
	}
	return nil
}

func templateFile(name string) string {
	return filepath.Join(out, Name(name)+".template.json")
}

// clone is a template to spoil.
func (m *made) clone(t *testing.T) *made {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	c := &made{env: m.env}
	if err := json.Unmarshal(data, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// all are the resources of a type, by logical id.
func (m *made) all(types ...string) map[string]*resource {
	out := map[string]*resource{}
	for id, r := range m.Resources {
		if slices.Contains(types, r.Type) {
			out[id] = r
		}
	}
	return out
}

// at reads a property by path, such as "Target.RetryPolicy"; nil if absent.
func (r *resource) at(path string) any {
	var v any = r.Properties
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// set changes a property by path; nil removes it.
func (r *resource) set(path string, value any) {
	m := r.Properties
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		m = m[key].(map[string]any)
	}
	if value == nil {
		delete(m, keys[len(keys)-1])
		return
	}
	m[keys[len(keys)-1]] = value
}

func (r *resource) text(path string) string { s, _ := r.at(path).(string); return s }

func (r *resource) number(path string) float64 { n, _ := r.at(path).(float64); return n }

func (r *resource) list(path string) []any {
	l, _ := r.at(path).([]any)
	return l
}

// refers says whether a value is a reference to a logical id.
func refers(v any, id string) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	if m["Ref"] == id {
		return true
	}
	get, _ := m["Fn::GetAtt"].([]any)
	return len(get) == 2 && get[0] == id
}

// policies are the policy documents that a resource holds.
func (r *resource) policies() []map[string]any {
	var out []map[string]any
	for _, path := range []string{"PolicyDocument", "AssumeRolePolicyDocument", "KeyPolicy"} {
		if p, ok := r.at(path).(map[string]any); ok {
			out = append(out, p)
		}
	}
	for _, p := range r.list("Policies") {
		out = append(out, p.(map[string]any)["PolicyDocument"].(map[string]any))
	}
	return out
}

// statement is one statement of a policy, its scalars as lists.
type statement struct {
	Sid, Effect        string
	Actions, Resources []any
	Condition          map[string]any
	raw                map[string]any
}

func statements(p map[string]any) []statement {
	list := func(v any) []any {
		if l, ok := v.([]any); ok {
			return l
		}
		if v == nil {
			return nil
		}
		return []any{v}
	}
	var out []statement
	for _, v := range list(p["Statement"]) {
		m := v.(map[string]any)
		s := statement{Actions: list(m["Action"]), Resources: list(m["Resource"]), raw: m}
		s.Sid, _ = m["Sid"].(string)
		s.Effect, _ = m["Effect"].(string)
		s.Condition, _ = m["Condition"].(map[string]any)
		out = append(out, s)
	}
	return out
}

func (s statement) does(prefix string) bool {
	return slices.ContainsFunc(s.Actions, func(a any) bool { return strings.HasPrefix(a.(string), prefix) })
}
