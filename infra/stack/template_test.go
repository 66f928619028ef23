package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/run"
)

// TestFunctionsAndSchedules: what runs by the clock is deployed, and under its
// own name.
func TestFunctionsAndSchedules(t *testing.T) {
	for _, s := range run.Schedules() {
		if !slices.ContainsFunc(Functions(), func(f Function) bool { return f.Name == s.Function }) {
			t.Errorf("%s runs by the clock and is not deployed", s.Function)
		}
	}
	for _, f := range Functions() {
		if _, err := os.Stat(filepath.Join("../../functions", f.Name, "main.go")); err != nil {
			t.Errorf("%s is deployed and not written: %v", f.Name, err)
		}
	}
}

// TestIntakeIsDeployedWhereALogGroupIsNamed: one place, started by that group's
// lines alone, with rights to what was pushed alone, and no way to a cluster.
func TestIntakeIsDeployedWhereALogGroupIsNamed(t *testing.T) {
	if templates["dev"].Resources["Intake"] != nil {
		t.Error("it is deployed where nobody names a log group")
	}
	m := templates["syslog"]
	filter, may := m.Resources["IntakeSubscription"], m.Resources["IntakePermission"]
	if filter == nil || may == nil {
		t.Fatal("nothing sends it lines")
	}
	if filter.text("LogGroupName") != "/cisco/syslog" || filter.text("FilterPattern") != `?"UC_ICSA" ?"uc_icsa"` {
		t.Errorf("it is sent %s of %s", filter.text("FilterPattern"), filter.text("LogGroupName"))
	}
	if may.text("Principal") != "logs.amazonaws.com" || may.text("SourceAccount") != m.env.Account || may.text("SourceArn") != "arn:aws:logs:"+m.env.Region+":"+m.env.Account+":log-group:/cisco/syslog:*" {
		t.Errorf("who may start it: %v", may)
	}
	if m.Resources["IntakeGroup"] != nil {
		t.Error("it has a way to the clusters")
	}
	for _, g := range granted(t, m) {
		if g.Who == "intake" && strings.HasPrefix(g.On, "MESH#") && g.On != string(Pushed) {
			t.Errorf("it may %v on %s", g.Actions, g.On)
		}
	}
}

// TestCron: every schedule that can be written is read back as it was meant,
// to the minute; one that cannot is not written.
func TestCron(t *testing.T) {
	for _, c := range []struct {
		s    run.Schedule
		want string
	}{
		{run.Schedule{Period: 5 * time.Minute}, "cron(0/5 * * * ? *)"},
		{run.Schedule{Period: 5 * time.Minute, Offset: 150 * time.Second}, "cron(2/5 * * * ? *)"},
		{run.Schedule{Period: 6 * time.Hour, Offset: time.Minute}, "cron(1 0/6 * * ? *)"},
		{run.Schedule{Period: 24 * time.Hour, Offset: 3*time.Hour + 4*time.Minute}, "cron(4 3 * * ? *)"},
	} {
		got := cron(c.s)
		first, period, err := parseCron(got)
		if got != c.want || err != nil || period != c.s.Period || first != c.s.Offset.Truncate(time.Minute) {
			t.Errorf("%s after %s: %s (%s after %s, %v), want %s", c.s.Period, c.s.Offset, got, period, first, err, c.want)
		}
	}
	for _, period := range []time.Duration{7 * time.Minute, 90 * time.Second, 5 * time.Hour, 48 * time.Hour} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("every %s is written as %s", period, cron(run.Schedule{Period: period}))
				}
			}()
			cron(run.Schedule{Period: period})
		}()
	}
}

// differences lists the paths at which two decoded values differ.
func differences(path string, a, b any) []string {
	am, aok := a.(map[string]any)
	bm, bok := b.(map[string]any)
	if aok && bok {
		var out []string
		keys := maps.Clone(am)
		maps.Copy(keys, bm)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			out = append(out, differences(path+"."+k, am[k], bm[k])...)
		}
		return out
	}
	if reflect.DeepEqual(a, b) {
		return nil
	}
	return []string{path}
}

// decoded is a whole template, with the environment's name taken out.
func decoded(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(templateFile(name))
	if err != nil {
		t.Fatal(err)
	}
	for _, before := range []string{"peerkeeper-", "peerkeeper/", "Peerkeeper "} {
		data = bytes.ReplaceAll(data, []byte(before+name), []byte(before+"ENV"))
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEnvironmentsDifferOnlyWhereTheirFilesDo: the same file under another name
// gives the same template, so no environment is treated in its own way.
func TestEnvironmentsDifferOnlyWhereTheirFilesDo(t *testing.T) {
	for _, at := range differences("", decoded(t, "prod"), decoded(t, "twin")) {
		t.Errorf("prod's files under another name differ at %s", at)
	}
	// And a file that differs in one key shows there, and only there.
	var want []string
	for id := range templates["dev"].all("AWS::Logs::LogGroup") {
		want = append(want, ".Resources."+id+".Properties.RetentionInDays")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, differences("", decoded(t, "dev"), decoded(t, "logs"))); diff != "" {
		t.Errorf("another logs.retentionDays (-want +got):\n%s", diff)
	}
	if len(differences("", decoded(t, "dev"), decoded(t, "prod"))) == 0 {
		t.Error("dev and prod do not differ, and their files do")
	}
}

// TestObserveReadsNoWriteAccount: mode recover and mode observe differ in one
// grant, and in that alone.
func TestObserveReadsNoWriteAccount(t *testing.T) {
	for _, c := range []struct {
		acts, looks string
		secrets     []string
	}{
		{"prod", "observe", []string{"SecretEmeaWrite"}},
		{"mending", "watching", []string{"SecretEmeaWrite", "SecretEmeaPlatformWrite"}},
	} {
		grants := func(name string) string {
			data, err := json.Marshal(templates[name].Resources["StucksyncRole"].Properties)
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		for _, secret := range c.secrets {
			if s := grants(c.acts); !strings.Contains(s, "secretsmanager:GetSecretValue") || !strings.Contains(s, secret) {
				t.Errorf("%s: in mode recover stucksync does not read %s: %s", c.acts, secret, s)
			}
		}
		if s := grants(c.looks); strings.Contains(s, "secretsmanager") {
			t.Errorf("%s: in mode observe stucksync reads secrets: %s", c.looks, s)
		}
		if a, b := templates[c.acts].all("AWS::SecretsManager::Secret"), templates[c.looks].all("AWS::SecretsManager::Secret"); len(a) != len(b) {
			t.Errorf("changing the mode makes %d secrets into %d", len(a), len(b))
		}
	}
}

// TestWithoutPlatformAccountsCertcheckReadsNoSecret at all.
func TestWithoutPlatformAccountsCertcheckReadsNoSecret(t *testing.T) {
	for name, want := range map[string][]string{"dev": {"apac/platform", "emea/platform"}, "unread": nil} {
		if diff := cmp.Diff(want, secretReads(templates[name])["CertcheckRole"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if a, b := templates["dev"].all("AWS::SecretsManager::Secret"), templates["unread"].all("AWS::SecretsManager::Secret"); len(a) != len(b)+2 {
		t.Errorf("%d secrets with platform accounts, %d without", len(a), len(b))
	}
}

// TestFirewallPortsAreTold where AWS has nothing left to do for the link: those
// that some function is let out to.
func TestFirewallPortsAreTold(t *testing.T) {
	got, _ := templates["guest"].Outputs["Next3Link"].(map[string]any)["Value"].(string)
	if want := "Let through the site's firewall: 8443, 53, 443, 7400"; !strings.HasSuffix(got, want) {
		t.Errorf("%q does not end in %q", got, want)
	}
}

// TestAnotherTableIsAnotherResource: going on with a restored table must let
// the old one be, not replace it.
func TestAnotherTableIsAnotherResource(t *testing.T) {
	if a, b := tableID(templates["prod"]), tableID(templates["restored"]); a == b {
		t.Errorf("both are %s", a)
	}
}

// TestLargestMeshFits AWS's limits on one stack and one role.
func TestLargestMeshFits(t *testing.T) {
	m := templates["largest"]
	if n := len(m.Resources); n > 500 {
		t.Errorf("%d resources, CloudFormation takes 500", n)
	}
	data, err := os.ReadFile(templateFile("largest"))
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 1<<20 {
		t.Errorf("%d bytes, CloudFormation takes 1 MB", len(data))
	}
	for id, r := range m.all("AWS::IAM::Role") {
		size := 0
		for _, p := range r.policies() {
			size += len(resolved(t, p))
		}
		t.Logf("%s: %d characters", id, size)
		if size > 10240 {
			t.Errorf("%s: %d characters of inline policies, IAM takes 10,240", id, size)
		}
	}
}

// resolved is a policy with every reference as long as the longest ARN that it
// can become: a secret's.
func resolved(t *testing.T, policy map[string]any) string {
	t.Helper()
	arn := "arn:aws:secretsmanager:eu-central-1:444455556666:secret:peerkeeper/largest/region-00/platform-write-AbCdEf"
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			if v["Ref"] != nil || v["Fn::GetAtt"] != nil {
				return arn
			}
			out := map[string]any{}
			for k, x := range v {
				out[k] = walk(x)
			}
			return out
		case []any:
			out := make([]any, len(v))
			for i, x := range v {
				out[i] = walk(x)
			}
			return out
		}
		return v
	}
	data, err := json.Marshal(walk(policy))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestManifest: which account and region a stack goes to, and whether it is
// protected, stands beside the template.
func TestManifest(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(out, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Artifacts map[string]struct {
			Environment string `json:"environment"`
			Properties  struct {
				TerminationProtection bool   `json:"terminationProtection"`
				StackName             string `json:"stackName"`
			} `json:"properties"`
		} `json:"artifacts"`
		Missing []any `json:"missing"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Missing) > 0 {
		t.Errorf("synthesis wants to look up %v", manifest.Missing)
	}
	for name, m := range templates {
		a := manifest.Artifacts[Name(name)]
		if want := fmt.Sprintf("aws://%s/%s", m.env.Account, m.env.Region); a.Environment != want {
			t.Errorf("%s goes to %q, want %s", name, a.Environment, want)
		}
		if a.Properties.TerminationProtection != m.env.Production {
			t.Errorf("%s: termination protection %v, production %v", name, a.Properties.TerminationProtection, m.env.Production)
		}
	}
}

// finding is a line of cdk-nag's report.
type finding struct {
	Rule       string `json:"ruleId"`
	Resource   string `json:"resourceId"`
	Compliance string `json:"compliance"`
	Reason     string `json:"exceptionReason"`
	Info       string `json:"ruleInfo"`
}

func findings(t *testing.T, name string) []finding {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(out, "AwsSolutions-"+Name(name)+"-NagReport.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Lines []finding `json:"lines"`
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	return report.Lines
}

func TestNagFindsNothing(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		compliant := 0
		for _, f := range findings(t, name) {
			switch {
			case f.Compliance == "Compliant":
				compliant++
			case f.Compliance == "Suppressed" && len(f.Reason) > 20:
			default:
				t.Errorf("%s: %s at %s: %s %s", name, f.Rule, f.Resource, f.Compliance, f.Info)
			}
		}
		if compliant < 10 {
			t.Errorf("%s: cdk-nag has looked at %d things only", name, compliant)
		}
	}
	// It does find what is there to be found.
	if !slices.ContainsFunc(findings(t, bare), func(f finding) bool { return f.Rule == "AwsSolutions-SQS4" && f.Compliance == "Non-Compliant" }) {
		t.Errorf("an open queue is not found: %v", findings(t, bare))
	}
}

// granted reads the matrix back from a template, in the words of Matrix.
func granted(t *testing.T, m *made) []Grant {
	t.Helper()
	kind, accounts := map[string]string{}, m.env.Secrets()
	for on, names := range map[string][]string{
		"read accounts": accounts[mesh.ReadAccount], "write accounts, mode recover only": accounts[mesh.WriteAccount],
		"platform accounts": accounts[mesh.PlatformAccount], "platform write accounts, mode recover only": accounts[mesh.PlatformWriteAccount],
	} {
		for _, name := range names {
			kind["peerkeeper/"+m.env.Name+"/"+name] = on
		}
	}
	name := func(s statement, on any) string {
		if keys := leadingKeys(s); len(keys) > 0 {
			return strings.Replace(strings.Join(keys, " "), m.env.Mesh.Name, "MESH", 1)
		}
		for id, r := range m.Resources {
			if !refers(on, id) {
				continue
			}
			switch r.Type {
			case "AWS::SecretsManager::Secret":
				return kind[r.text("Name")]
			case "AWS::SNS::Topic":
				return "alarm topic"
			case "AWS::KMS::Key":
				if via, _ := s.Condition["StringEquals"].(map[string]any); via["kms:ViaService"] == "sns."+m.env.Region+".amazonaws.com" {
					return "alarm topic's key, through SNS"
				}
			case "AWS::SQS::Queue":
				if id == "Failed" {
					return "queue of failed runs"
				}
			case "AWS::Logs::LogGroup":
				return "its own logs"
			case "AWS::Lambda::Function":
				return "the functions"
			}
		}
		if on == "*" {
			return "network interfaces, Lambda itself only"
		}
		return fmt.Sprintf("%v", on)
	}
	var got []Grant
	add := func(who string, r *resource) {
		for _, p := range r.policies() {
			for _, s := range statements(p) {
				if s.Effect != "Allow" || s.does("sts:") {
					continue
				}
				var actions []string
				for _, a := range s.Actions {
					actions = append(actions, a.(string))
				}
				slices.Sort(actions)
				var had []string
				for _, on := range s.Resources {
					if n := name(s, on); !slices.Contains(had, n) {
						had = append(had, n)
						got = append(got, Grant{who, n, actions})
					}
				}
			}
		}
	}
	for _, f := range deployed(m.env) {
		add(f.Name, m.Resources[f.id()+"Role"])
	}
	for _, p := range People() {
		add(p.Name, m.Resources[strings.ToUpper(p.Name[:1])+p.Name[1:]])
	}
	return got
}

// TestMatrixIsTheTemplates: the matrix that is printed is what is granted, in
// mode recover to a mesh that names every kind of account. In mode observe those
// that act are missing, and always those that the mesh does not name.
func TestMatrixIsTheTemplates(t *testing.T) {
	order := func(g []Grant) []Grant {
		slices.SortFunc(g, func(a, b Grant) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		return g
	}
	for name, m := range templates {
		acts, names := m.env.Mesh.Policy.Mode == mesh.Recover, m.env.Secrets()
		granting := map[string]bool{
			"read accounts": true, "write accounts, mode recover only": acts && len(names[mesh.WriteAccount]) > 0,
			"platform accounts": len(names[mesh.PlatformAccount]) > 0, "platform write accounts, mode recover only": acts && len(names[mesh.PlatformWriteAccount]) > 0,
		}
		want := slices.DeleteFunc(order(Matrix()), func(g Grant) bool {
			is, account := granting[g.On]
			return account && !is || g.Who == "intake" && m.env.SyslogGroup == ""
		})
		if diff := cmp.Diff(want, order(granted(t, m))); diff != "" {
			t.Errorf("%s (-matrix +template):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(order(Matrix()), order(granted(t, templates["mending"]))); diff != "" {
		t.Errorf("where every kind of account is named (-matrix +template):\n%s", diff)
	}
	spoilt := templates["prod"].clone(t)
	spoil(spoilt, "CertcheckRole", "ItemsOverride")["Action"] = []any{"dynamodb:PutItem"}
	if cmp.Equal(order(Matrix()), order(granted(t, spoilt))) {
		t.Error("one more right in the template is not seen")
	}
}

// TestMatrixStandsInREADME: the matrix stands in infra/README.md, between its two marks.
func TestMatrixStandsInREADME(t *testing.T) {
	data, err := os.ReadFile("../README.md")
	if os.IsNotExist(err) {
		t.Fatal("there is no infra/README.md to compare with")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "<!-- iam -->\n")
	got, _, closed := strings.Cut(rest, "<!-- /iam -->")
	if !ok || !closed {
		t.Fatal("infra/README.md has no marks <!-- iam --> and <!-- /iam -->; put the output of `make iam` between them")
	}
	if diff := cmp.Diff(Markdown(Matrix()), got); diff != "" {
		t.Errorf("infra/README.md's matrix is another, see `make iam` (-want +got):\n%s", diff)
	}
}

// TestCfnLint asks AWS's own linter, where it is installed.
func TestCfnLint(t *testing.T) {
	lint, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("cfn-lint is not installed: pip install cfn-lint")
	}
	// W3010 wants zones to be looked up; here they are named, so that a
	// template is the same no matter who synthesises it.
	args := []string{"--ignore-checks", "W3010", "--"}
	for _, name := range []string{"dev", "prod", "mending", "unread", "attached", "forward", "static"} {
		args = append(args, templateFile(name))
	}
	if out, err := exec.CommandContext(t.Context(), lint, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDeployerMayMakeEverything that some template has, and no more kinds; and
// reads no secret, no item, and removes nothing that is to stay.
func TestDeployerMayMakeEverything(t *testing.T) {
	unused := map[string]bool{}
	for _, r := range rights() {
		for _, kind := range r.types {
			unused[kind] = true
		}
	}
	known := maps.Clone(unused)
	delete(unused, "Stack")
	for name, m := range templates {
		for id, r := range m.Resources {
			kind := r.Type[strings.LastIndex(r.Type, ":")+1:]
			if !known[kind] {
				t.Errorf("%s: nobody may make %s (%s)", name, id, r.Type)
			}
			delete(unused, kind)
		}
	}
	for kind := range unused {
		t.Errorf("no template has a %s", kind)
	}
	for _, name := range []string{"dev", "prod"} {
		network, rest, err := Deployer(templates[name].env)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{network, rest} {
			if len(data) > 6144 {
				t.Errorf("%s: %d characters, IAM takes 6,144 in a managed policy", name, len(data))
			}
			for _, never := range []string{"GetSecretValue", "PutSecretValue", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "DeleteTable", "DeleteSecret", `"*:*"`, "iam:*", "NAME", "REGION"} {
				if bytes.Contains(data, []byte(never)) {
					t.Errorf("%s: the deployer's policy holds %s", name, never)
				}
			}
		}
	}
}
