package stack

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"peerkeeper/infra/environment"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/metric"
	"peerkeeper/shared/run"
)

// complaints are what a check has against a template.
type complaints []string

func (c *complaints) say(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

// rule is something that holds for every template, with ways to break it, each
// of which the check must see.
type rule struct {
	name   string
	check  func(*made) complaints
	breaks map[string]func(*made)
}

func rules() []rule {
	return []rule{
		{"functions are arm64 on provided.al2023, in the VPC, without reserved concurrency, logging to a group of their own", functionsAsMeant, map[string]func(*made){
			"reserved concurrency": func(m *made) { m.Resources["Peersync"].set("ReservedConcurrentExecutions", 1.0) },
			"out of the VPC":       func(m *made) { m.Resources["Certcheck"].set("VpcConfig", nil) },
			"by another's way to the clusters": func(m *made) {
				m.Resources["Stucksync"].set("VpcConfig.SecurityGroupIds", m.Resources["Certcheck"].list("VpcConfig.SecurityGroupIds"))
			},
			"without its way to the clusters": func(m *made) {
				m.Resources["Peersync"].set("VpcConfig.SecurityGroupIds", m.Resources["Peersync"].list("VpcConfig.SecurityGroupIds")[:1])
			},
			"another architecture":                        func(m *made) { m.Resources["Peersync"].set("Architectures", []any{"x86_64"}) },
			"a log of Lambda's own making, kept for ever": func(m *made) { m.Resources["Stucksync"].set("LoggingConfig.LogGroup", nil) },
			"metrics below the log level":                 func(m *made) { m.Resources["Stucksync"].set("LoggingConfig.ApplicationLogLevel", "WARN") },
			"a function missing":                          func(m *made) { delete(m.Resources, "Certcheck") },
		}},
		{"functions find what they need in their environment, and no secret", environmentAsMeant, map[string]func(*made){
			"no table":  func(m *made) { m.Resources["Peersync"].set("Environment.Variables.PEERKEEPER_TABLE", nil) },
			"a secret":  func(m *made) { m.Resources["Peersync"].set("Environment.Variables.AXL_PASSWORD", "x") },
			"a name":    func(m *made) { m.Resources["Peersync"].set("Environment.Variables.PEERKEEPER_TABLE", "another") },
			"no prefix": func(m *made) { m.Resources["Stucksync"].set("Environment.Variables.PEERKEEPER_SECRET_PREFIX", "") },
		}},
		{"timeout < lease < period", timesInOrder, map[string]func(*made){
			"timeout at the lease": func(m *made) { m.Resources["Peersync"].set("Timeout", 240.0) },
		}},
		{"each function that runs by the clock has one schedule, at its own minutes", schedulesAsMeant, map[string]func(*made){
			"no schedule":    func(m *made) { delete(m.Resources, "CertcheckSchedule") },
			"another rhythm": func(m *made) { m.Resources["PeersyncSchedule"].set("ScheduleExpression", "cron(0/10 * * * ? *)") },
			"a retry":        func(m *made) { m.Resources["PeersyncSchedule"].set("Target.RetryPolicy.MaximumRetryAttempts", 1.0) },
			"an event as old as next": func(m *made) {
				m.Resources["PeersyncSchedule"].set("Target.RetryPolicy.MaximumEventAgeInSeconds", 300.0)
			},
			"no dead letters":       func(m *made) { m.Resources["PeersyncSchedule"].set("Target.DeadLetterConfig", nil) },
			"a window of 5 minutes": func(m *made) { m.Resources["StucksyncSchedule"].set("FlexibleTimeWindow.Mode", "FLEXIBLE") },
			"no scheduled time":     func(m *made) { m.Resources["PeersyncSchedule"].set("Target.Input", "{}") },
			"switched off":          func(m *made) { m.Resources["PeersyncSchedule"].set("State", "DISABLED") },
		}},
		{"a failed run is not repeated, and is kept", invocationsAsMeant, map[string]func(*made){
			"Lambda's own two retries": func(m *made) { m.Resources["PeersyncInvoke"].set("MaximumRetryAttempts", nil) },
			"an event as old as next":  func(m *made) { m.Resources["StucksyncInvoke"].set("MaximumEventAgeInSeconds", 300.0) },
			"nowhere to go":            func(m *made) { m.Resources["CertcheckInvoke"].set("DestinationConfig", nil) },
			"no configuration":         func(m *made) { delete(m.Resources, "CertcheckInvoke") },
		}},
		{"queues are encrypted, TLS only and alarmed", queuesAsMeant, map[string]func(*made){
			"not encrypted": func(m *made) { m.Resources["Failed"].set("SqsManagedSseEnabled", false) },
			"open":          func(m *made) { delete(m.Resources, "UndeliveredPolicy") },
			"unwatched":     func(m *made) { delete(m.Resources, "FailedDepthAlarm") },
		}},
		{"logs are kept for as long as the environment says", logsAsMeant, map[string]func(*made){
			"for ever": func(m *made) { m.Resources["PeersyncLogs"].set("RetentionInDays", nil) },
		}},
		{"alarms reach the topic, and what is missing is decided", alarmsAsMeant, map[string]func(*made){
			"unheard":                  func(m *made) { m.Resources["PeersyncErrorsAlarm"].set("AlarmActions", []any{}) },
			"never over":               func(m *made) { m.Resources["PeersyncErrorsAlarm"].set("OKActions", []any{}) },
			"silence taken for health": func(m *made) { m.Resources["PeersyncOverdueAlarm"].set("TreatMissingData", "notBreaching") },
			"another metric":           func(m *made) { m.Resources["PeersyncOverdueAlarm"].set("MetricName", "Completed") },
			"another dimension":        func(m *made) { m.Resources["PeersyncOverdueAlarm"].set("Dimensions", []any{}) },
			"too late to be near":      func(m *made) { m.Resources["PeersyncDurationAlarm"].set("Threshold", 180000.0) },
			"no throttles":             func(m *made) { delete(m.Resources, "StucksyncThrottlesAlarm") },
			"more than a week of data": func(m *made) { m.Resources["CertcheckOverdueAlarm"].set("EvaluationPeriods", 200.0) },
		}},
		{"a function is let out to AWS and to those ports of the clusters where it has business, and nothing is let in", egressAsMeant, map[string]func(*made){
			"everywhere": func(m *made) {
				m.Resources["FunctionGroup"].set("SecurityGroupEgress", []any{map[string]any{"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}})
			},
			"SSH to a cluster":                    func(m *made) { first := egress(m, "PeersyncGroup"); first["FromPort"], first["ToPort"] = 22.0, 22.0 },
			"a range of ports":                    func(m *made) { egress(m, "CertcheckGroup")["ToPort"] = 9000.0 },
			"a network that is not the clusters'": func(m *made) { egress(m, "CertcheckGroup")["CidrIp"] = "10.0.0.0/8" },
			"peersync to certificate management": func(m *made) {
				first := egress(m, "PeersyncGroup")
				first["FromPort"], first["ToPort"] = 443.0, 443.0
			},
			"certcheck not to certificate management": func(m *made) {
				r := m.Resources["CertcheckGroup"]
				r.set("SecurityGroupEgress", slices.DeleteFunc(r.list("SecurityGroupEgress"), func(e any) bool { return e.(map[string]any)["FromPort"] == 443.0 }))
			},
			"stucksync to the clusters' DNS": func(m *made) {
				m.Resources["StucksyncGroup"] = m.Resources["CertcheckGroup"]
			},
			"another prefix list":                func(m *made) { egress(m, "FunctionGroup")["DestinationPrefixListId"] = "pl-00000000" },
			"AWS's default, which is everywhere": func(m *made) { m.Resources["FunctionGroup"].set("SecurityGroupEgress", nil) },
			"let in": func(m *made) {
				m.Resources["CertcheckGroup"].set("SecurityGroupIngress", []any{map[string]any{"CidrIp": "192.0.2.0/24", "IpProtocol": "-1"}})
			},
		}},
		{"there is no way to the internet", noInternet, map[string]func(*made){
			"NAT":              func(m *made) { m.Resources["Nat"] = &resource{Type: "AWS::EC2::NatGateway"} },
			"internet gateway": func(m *made) { m.Resources["Igw"] = &resource{Type: "AWS::EC2::InternetGateway"} },
			"a default route": func(m *made) {
				m.Resources["Out"] = &resource{Type: "AWS::EC2::Route", Properties: map[string]any{"DestinationCidrBlock": "0.0.0.0/0"}}
			},
		}},
		{"every network of the clusters is routed over the link", routesAsMeant, map[string]func(*made){
			"one missing": func(m *made) {
				for _, id := range slices.Sorted(maps.Keys(m.all("AWS::EC2::Route")))[:1] {
					delete(m.Resources, id)
				}
			},
			"before the link is there": func(m *made) {
				for _, r := range m.all("AWS::EC2::Route") {
					r.DependsOn = nil
				}
			},
		}},
		{"endpoints stand where the environment says and serve only us", endpointsAsMeant, map[string]func(*made){
			"none for SNS":    func(m *made) { delete(m.Resources, "SnsEndpoint") },
			"no private DNS":  func(m *made) { m.Resources["SnsEndpoint"].set("PrivateDnsEnabled", false) },
			"for everybody":   func(m *made) { m.Resources["SnsEndpoint"].set("PolicyDocument", nil) },
			"other zones":     func(m *made) { m.Resources["SnsEndpoint"].set("SubnetIds", []any{}) },
			"not for routes":  func(m *made) { m.Resources["DynamodbEndpoint"].set("RouteTableIds", []any{}) },
			"functions early": func(m *made) { m.Resources["Peersync"].DependsOn = nil },
		}},
		{"the table outlives the stack, is on demand, encrypted and recoverable", tableAsMeant, map[string]func(*made){
			"removed":              func(m *made) { table(m).DeletionPolicy = "Delete" },
			"replaced":             func(m *made) { table(m).UpdateReplacePolicy = "" },
			"provisioned":          func(m *made) { table(m).set("BillingMode", "PROVISIONED") },
			"no recovery":          func(m *made) { table(m).set("PointInTimeRecoverySpecification", nil) },
			"no expiry":            func(m *made) { table(m).set("TimeToLiveSpecification.Enabled", false) },
			"a key of the stack's": func(m *made) { table(m).set("SSESpecification.KMSMasterKeyId", "x") },
			"protection":           func(m *made) { table(m).set("DeletionProtectionEnabled", !m.env.Production) },
		}},
		{"secrets are those the mesh names, empty, and outlive the stack", secretsAsMeant, map[string]func(*made){
			"a value":           func(m *made) { m.Resources[anySecret(m)].set("SecretString", "{}") },
			"a generated value": func(m *made) { m.Resources[anySecret(m)].set("GenerateSecretString", map[string]any{}) },
			"removed":           func(m *made) { m.Resources[anySecret(m)].DeletionPolicy = "" },
			"another name":      func(m *made) { m.Resources[anySecret(m)].set("Name", "x") },
			"one missing":       func(m *made) { delete(m.Resources, anySecret(m)) },
		}},
		{"nothing else outlives the stack", restIsRemoved, map[string]func(*made){
			"a queue": func(m *made) { m.Resources["Failed"].DeletionPolicy = "Retain" },
		}},
		{"grants name actions, resources and leading keys", grantsAreNarrow, map[string]func(*made){
			"every action":       func(m *made) { spoil(m, "PeersyncRole", "ItemsLive")["Action"] = "dynamodb:*" },
			"every table":        func(m *made) { spoil(m, "PeersyncRole", "ItemsLive")["Resource"] = "*" },
			"every key":          func(m *made) { delete(spoil(m, "PeersyncRole", "ItemsLive"), "Condition") },
			"a key not asked":    func(m *made) { delete(spoil(m, "PeersyncRole", "ItemsLive")["Condition"].(map[string]any), "Null") },
			"interfaces by code": func(m *made) { spoil(m, "PeersyncRole", "InterfacesNotByCode")["Effect"] = "Allow" },
			"anybody": func(m *made) {
				spoil(m, "PeersyncRole", "Failures")["Action"] = []any{"sqs:SendMessage", "iam:PassRole"}
			},
		}},
		{"no function but stucksync and peering writes the gate", gateHasOneWriter, map[string]func(*made){
			"peersync too": func(m *made) {
				s := spoil(m, "PeersyncRole", "ItemsLive")
				keys := s["Condition"].(map[string]any)["ForAllValues:StringEquals"].(map[string]any)
				keys["dynamodb:LeadingKeys"] = []any{m.env.Mesh.Name + "#gate"}
			},
			"by a pattern": func(m *made) {
				spoil(m, "PeersyncRole", "ItemsLive")["Condition"] = map[string]any{"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": []any{m.env.Mesh.Name + "#*"}}}
			},
			"nobody": func(m *made) { spoil(m, "StucksyncRole", "ItemsGate")["Action"] = []any{"dynamodb:GetItem"} },
		}},
		{"a function reads the accounts that it needs, by the whole ARN, and no other", accountsAsMeant, map[string]func(*made){
			"peersync reads another": func(m *made) { reads(m, "PeersyncRole", m.env.Secrets()[mesh.PlatformAccount][0]) },
			"certcheck reads the account of AXL": func(m *made) {
				reads(m, "CertcheckRole", m.env.Secrets()[mesh.ReadAccount][0])
			},
			"certcheck reads every secret": func(m *made) { spoil(m, "CertcheckRole", "Accounts")["Resource"] = "*" },
			"certcheck reads by a pattern": func(m *made) {
				spoil(m, "CertcheckRole", "Accounts")["Resource"] = "arn:aws:secretsmanager:" + m.env.Region + ":" + m.env.Account + ":secret:peerkeeper/*"
			},
			"certcheck does not read one": func(m *made) {
				s := spoil(m, "CertcheckRole", "Accounts")
				s["Resource"] = s["Resource"].([]any)[1:]
			},
			"certcheck may also change one": func(m *made) {
				spoil(m, "CertcheckRole", "Accounts")["Action"] = []any{"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"}
			},
			"a person reads one": func(m *made) { reads(m, "Operator", m.env.Secrets()[mesh.ReadAccount][0]) },
		}},
		{"an account that may change a cluster is read by nobody in mode observe, and then only by who acts", writeAccountsAreGuarded, map[string]func(*made){
			"peersync reads one": func(m *made) {
				if acting := slices.Concat(m.env.Secrets()[mesh.WriteAccount], m.env.Secrets()[mesh.PlatformWriteAccount]); len(acting) > 0 {
					reads(m, "PeersyncRole", acting...)
				} else { // dev names none: any secret will do
					spoil(m, "PeersyncRole", "Accounts")["Resource"] = "*"
				}
			},
		}},
		{"the topic is encrypted with a key that CloudWatch may use, and takes TLS only", topicAsMeant, map[string]func(*made){
			"SNS's own key": func(m *made) { m.Resources["Topic"].set("KmsMasterKeyId", "alias/aws/sns") },
			"CloudWatch locked out": func(m *made) {
				spoil(m, "Key", "CloudWatch")["Principal"] = map[string]any{"Service": "events.amazonaws.com"}
			},
			"any account's alarms":   func(m *made) { delete(spoil(m, "TopicPolicy", "CloudWatch"), "Condition") },
			"CloudWatch not allowed": func(m *made) { spoil(m, "TopicPolicy", "CloudWatch")["Effect"] = "Deny" },
			"plain HTTP":             func(m *made) { spoil(m, "TopicPolicy", "OnlyTLS")["Effect"] = "Allow" },
			"no rotation":            func(m *made) { m.Resources["Key"].set("EnableKeyRotation", false) },
		}},
		{"what can be tagged is tagged", tagged, map[string]func(*made){
			"a queue without": func(m *made) { m.Resources["Failed"].set("Tags", nil) },
		}},
		{"outputs say what to do next", outputsAsMeant, map[string]func(*made){
			"one missing": func(m *made) { delete(m.Outputs, "Next2Subscribe") },
		}},
	}
}

func TestEveryTemplate(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, name := range slices.Sorted(maps.Keys(templates)) {
				for _, c := range r.check(templates[name]) {
					t.Errorf("%s: %s", name, c)
				}
			}
		})
	}
}

// TestEveryRuleCanFail breaks templates, and expects each break to be seen.
func TestEveryRuleCanFail(t *testing.T) {
	for _, r := range rules() {
		if len(r.breaks) == 0 {
			t.Errorf("%s: nothing proves that it can fail", r.name)
		}
		for _, how := range slices.Sorted(maps.Keys(r.breaks)) {
			for _, name := range []string{"dev", "prod", "mending"} {
				m := templates[name].clone(t)
				r.breaks[how](m)
				if len(r.check(m)) == 0 {
					t.Errorf("%s: %s is not seen in %s", r.name, how, name)
				}
			}
		}
	}
}

func functionsAsMeant(m *made) (c complaints) {
	functions := m.all("AWS::Lambda::Function")
	if len(functions) != len(deployed(m.env)) {
		c.say("%d functions, want %d", len(functions), len(deployed(m.env)))
	}
	for _, f := range deployed(m.env) {
		r := m.Resources[f.id()]
		if r == nil {
			c.say("%s is missing", f.Name)
			continue
		}
		if got := r.text("FunctionName"); got != Name(m.env.Name)+"-"+f.Name {
			c.say("%s is called %s", f.Name, got)
		}
		if a := r.list("Architectures"); len(a) != 1 || a[0] != "arm64" || r.text("Runtime") != "provided.al2023" || r.text("Handler") != "bootstrap" {
			c.say("%s runs on %v %s %s", f.Name, a, r.text("Runtime"), r.text("Handler"))
		}
		if reserved := r.number("ReservedConcurrentExecutions"); f.Subscribes && reserved != 1 || !f.Subscribes && r.at("ReservedConcurrentExecutions") != nil {
			c.say("%s reserves %v places: one for what strangers start, and none else, which a fresh account refuses", f.Name, reserved)
		}
		groups := []string{"FunctionGroup"}
		if m.Resources[f.id()+"Group"] != nil {
			groups = append(groups, f.id()+"Group")
		}
		if g := r.list("VpcConfig.SecurityGroupIds"); !slices.EqualFunc(g, groups, refers) || len(r.list("VpcConfig.SubnetIds")) == 0 {
			c.say("%s is not in the VPC with the groups %v", f.Name, groups)
		}
		if !refers(r.at("LoggingConfig.LogGroup"), f.id()+"Logs") || r.text("LoggingConfig.ApplicationLogLevel") != "INFO" || r.text("LoggingConfig.LogFormat") != "JSON" {
			c.say("%s does not log JSON at INFO to its own group", f.Name)
		}
		if !refers(r.at("Role"), f.id()+"Role") {
			c.say("%s has a role that is not its own", f.Name)
		}
		if r.at("Code.ZipFile") != nil || r.at("Code.S3Key") == nil {
			c.say("%s has no archive for code", f.Name)
		}
	}
	return c
}

func environmentAsMeant(m *made) (c complaints) {
	known := []string{lambdahost.VarTable, lambdahost.VarTopic, lambdahost.VarMesh, lambdahost.VarSecretPrefix, "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SNS"}
	for id, r := range m.all("AWS::Lambda::Function") {
		v, _ := r.at("Environment.Variables").(map[string]any)
		if !refers(v[lambdahost.VarTable], tableID(m)) || !refers(v[lambdahost.VarTopic], "Topic") || v[lambdahost.VarMesh] != lambdahost.DefaultMesh ||
			v[lambdahost.VarSecretPrefix] != "peerkeeper/"+m.env.Name+"/" {
			c.say("%s: table, topic, mesh or secret prefix is missing or another: %v", id, v)
		}
		for name := range v {
			if !slices.Contains(known, name) {
				c.say("%s: nobody knows the variable %s", id, name)
			}
		}
	}
	return c
}

func timesInOrder(m *made) (c complaints) {
	for _, f := range deployed(m.env) {
		s, ok := run.Find(f.Name)
		r := m.Resources[f.id()]
		if !ok || r == nil {
			continue
		}
		timeout := time.Duration(r.number("Timeout")) * time.Second
		if timeout <= 0 || timeout >= s.Lease || s.Lease >= s.Period || timeout > 15*time.Minute {
			c.say("%s: timeout %s, lease %s, period %s", f.Name, timeout, s.Lease, s.Period)
		}
	}
	return c
}

func schedulesAsMeant(m *made) (c complaints) {
	minutes := map[int]string{}
	for _, s := range run.Schedules() {
		f := Functions()[slices.IndexFunc(Functions(), func(f Function) bool { return f.Name == s.Function })]
		r := m.Resources[f.id()+"Schedule"]
		if r == nil {
			c.say("%s has no schedule", s.Function)
			continue
		}
		first, period, err := parseCron(r.text("ScheduleExpression"))
		if err != nil || period != s.Period || first != s.Offset.Truncate(time.Minute) || r.text("ScheduleExpressionTimezone") != "UTC" || r.text("State") != "ENABLED" {
			c.say("%s: %s is not every %s after %s: %v", s.Function, r.text("ScheduleExpression"), s.Period, s.Offset, err)
			continue
		}
		for at := first; at < 24*time.Hour; at += period {
			if other, taken := minutes[int(at.Minutes())]; taken {
				c.say("%s and %s start in the same minute, %s after midnight", s.Function, other, at)
				break
			}
			minutes[int(at.Minutes())] = s.Function
		}
		if mode := r.text("FlexibleTimeWindow.Mode"); s.Period <= 5*time.Minute && mode != "OFF" {
			c.say("%s: window %s", s.Function, mode)
		}
		if n, ok := r.at("Target.RetryPolicy.MaximumRetryAttempts").(float64); !ok || n != 0 {
			c.say("%s is repeated %v times", s.Function, r.at("Target.RetryPolicy.MaximumRetryAttempts"))
		}
		if age := r.number("Target.RetryPolicy.MaximumEventAgeInSeconds"); age < 60 || age >= s.Period.Seconds() { // 60 is EventBridge Scheduler's least
			c.say("%s: an event may be %v s old, and the next comes after %s", s.Function, age, s.Period)
		}
		if !refers(r.at("Target.DeadLetterConfig.Arn"), "Undelivered") {
			c.say("%s has no dead-letter queue", s.Function)
		}
		if want := fmt.Sprintf(`{"function":%q,"mesh":%q,"scheduledTime":"<aws.scheduler.scheduled-time>"}`, s.Function, m.env.Mesh.Name); r.text("Target.Input") != want {
			c.say("%s: input %s, want %s", s.Function, r.text("Target.Input"), want)
		}
		if !refers(r.at("Target.Arn"), f.id()) || !refers(r.at("Target.RoleArn"), f.id()+"ScheduleRole") || !refers(r.at("GroupName"), "Schedules") {
			c.say("%s: the schedule starts something else, or with another's role", s.Function)
		}
	}
	if n := len(m.all("AWS::Scheduler::Schedule")); n != len(run.Schedules()) {
		c.say("%d schedules, want %d", n, len(run.Schedules()))
	}
	return c
}

var (
	cronForm  = regexp.MustCompile(`^cron\((\d+)(?:/(\d+))? (?:\*|0/(\d+)) \* \* \? \*\)$`)
	cronDaily = regexp.MustCompile(`^cron\((\d+) (\d+) \* \* \? \*\)$`)
)

// parseCron reads the forms in use back: every n minutes, every n hours, daily.
func parseCron(s string) (first, period time.Duration, err error) {
	if at := cronDaily.FindStringSubmatch(s); at != nil {
		minute, _ := strconv.Atoi(at[1])
		hour, _ := strconv.Atoi(at[2])
		return time.Duration(minute)*time.Minute + time.Duration(hour)*time.Hour, 24 * time.Hour, nil
	}
	part := cronForm.FindStringSubmatch(s)
	if part == nil || (part[2] == "") == (part[3] == "") {
		return 0, 0, fmt.Errorf("%q is not every n minutes or hours", s)
	}
	n := func(s string) time.Duration { i, _ := strconv.Atoi(s); return time.Duration(i) }
	return n(part[1]) * time.Minute, n(part[2])*time.Minute + n(part[3])*time.Hour, nil
}

func invocationsAsMeant(m *made) (c complaints) {
	for _, f := range deployed(m.env) {
		r := m.Resources[f.id()+"Invoke"]
		if r == nil {
			c.say("%s: Lambda's own two retries", f.Name)
			continue
		}
		if n, ok := r.at("MaximumRetryAttempts").(float64); !ok || int(n) != f.retries() {
			c.say("%s: retries %v", f.Name, r.at("MaximumRetryAttempts"))
		}
		most := 21600.0 // Lambda's, and 60 its least
		if s, ok := run.Find(f.Name); ok {
			most = min(most, s.Period.Seconds()-1)
		}
		if age := r.number("MaximumEventAgeInSeconds"); age < 60 || age > most {
			c.say("%s: an event may be %v s old", f.Name, age)
		}
		if !refers(r.at("DestinationConfig.OnFailure.Destination"), "Failed") || !refers(r.at("FunctionName"), f.id()) {
			c.say("%s: a failed run is kept nowhere", f.Name)
		}
	}
	return c
}

func queuesAsMeant(m *made) (c complaints) {
	for id, r := range m.all("AWS::SQS::Queue") {
		if r.at("SqsManagedSseEnabled") != true && r.at("KmsMasterKeyId") == nil {
			c.say("%s is not encrypted", id)
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(m.all("AWS::SQS::QueuePolicy"))), func(p *resource) bool {
			return refers(p.list("Queues")[0], id) && deniesPlain(p, "sqs:*")
		}) {
			c.say("%s takes messages without TLS", id)
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(m.all("AWS::CloudWatch::Alarm"))), func(a *resource) bool {
			return a.text("MetricName") == "ApproximateNumberOfMessagesVisible" && dimension(a, "QueueName") == r.text("QueueName") && a.number("Threshold") == 1
		}) {
			c.say("nobody hears of a message in %s", id)
		}
	}
	return c
}

func deniesPlain(r *resource, action string) bool {
	for _, p := range r.policies() {
		for _, s := range statements(p) {
			plain, _ := s.Condition["Bool"].(map[string]any)
			if s.Effect == "Deny" && slices.Contains(s.Actions, any(action)) && plain["aws:SecureTransport"] == "false" {
				return true
			}
		}
	}
	return false
}

func dimension(a *resource, name string) string {
	for _, d := range a.list("Dimensions") {
		if d := d.(map[string]any); d["Name"] == name {
			s, _ := d["Value"].(string)
			return s
		}
	}
	return ""
}

func logsAsMeant(m *made) (c complaints) {
	for id, r := range m.all("AWS::Logs::LogGroup") {
		if int(r.number("RetentionInDays")) != m.env.LogDays {
			c.say("%s keeps %v days, want %d", id, r.at("RetentionInDays"), m.env.LogDays)
		}
	}
	return c
}

func alarmsAsMeant(m *made) (c complaints) {
	alarms := m.all("AWS::CloudWatch::Alarm")
	for id, a := range alarms {
		for _, key := range []string{"AlarmActions", "OKActions"} {
			if l := a.list(key); len(l) != 1 || !refers(l[0], "Topic") {
				c.say("%s: %s do not reach the topic", id, key)
			}
		}
		if a.text("TreatMissingData") == "" || a.text("AlarmDescription") == "" {
			c.say("%s does not say what missing data or the alarm means", id)
		}
		// CloudWatch takes a day of data; a week where periods are an hour or more.
		most := 24 * time.Hour
		if a.number("Period") >= 3600 {
			most *= 7
		}
		if span := time.Duration(a.number("Period")*a.number("EvaluationPeriods")) * time.Second; span > most {
			c.say("%s looks back %s, at most %s", id, span, most)
		}
	}
	has := func(namespace, metricName, key, value string) *resource {
		for _, a := range alarms {
			if a.text("Namespace") == namespace && a.text("MetricName") == metricName && dimension(a, key) == value {
				return a
			}
		}
		return nil
	}
	for _, f := range deployed(m.env) {
		name := Name(m.env.Name) + "-" + f.Name
		for _, metricName := range []string{"Errors", "Throttles"} {
			if f.Subscribes && metricName == "Throttles" {
				continue // it waits for its one place
			}
			if a := has("AWS/Lambda", metricName, "FunctionName", name); a == nil || a.number("Threshold") != 1 {
				c.say("nobody hears of %s of %s", metricName, f.Name)
			}
		}
		if a := has("AWS/Lambda", "Duration", "FunctionName", name); a == nil || a.text("Statistic") != "Maximum" || a.number("Threshold") > 900*f.Timeout.Seconds() {
			c.say("nobody hears of %s coming near its timeout", f.Name)
		}
		s, ok := run.Find(f.Name)
		if !ok {
			continue
		}
		a := has(metric.Namespace, metric.RunCompleted, "function", f.Name)
		if a == nil {
			c.say("nobody hears when %s is overdue", f.Name)
			continue
		}
		window := time.Duration(a.number("Period")*a.number("EvaluationPeriods")) * time.Second
		if dimension(a, "mesh") != m.env.Mesh.Name || a.text("TreatMissingData") != "breaching" || a.text("ComparisonOperator") != "LessThanThreshold" || a.text("Statistic") != "Sum" ||
			a.number("Threshold") != 1 || a.at("DatapointsToAlarm") != a.at("EvaluationPeriods") || window <= s.Period || window > 3*s.Period {
			c.say("%s overdue is judged wrongly: %v", f.Name, a.Properties)
		}
	}
	return c
}

// egress is the first rule by which a group lets out.
func egress(m *made, group string) map[string]any {
	return m.Resources[group].list("SecurityGroupEgress")[0].(map[string]any)
}

// clusterPorts are the ports of the clusters where a group's function has
// business. Every mesh under test has its nodes on 8443.
func clusterPorts(m *made) map[string][]string {
	out := map[string][]string{"PeersyncGroup": {"tcp 8443"}, "CertcheckGroup": {"tcp 8443", "udp 53", "tcp 53"}, "PreflightGroup": {"tcp 8443", "tcp 7400"}}
	if slices.ContainsFunc(m.env.Mesh.Clusters, func(c mesh.Cluster) bool { return c.SIPFederation }) {
		out["PreflightGroup"] = append(out["PreflightGroup"], "tcp 5060")
	}
	out["PeeringGroup"] = out["PreflightGroup"] // which it carries out before a plan
	management := "tcp 443"
	if m.env.Name == "tls" { // whose certificate management is on the port of all else
		management = "tcp 8443"
		out["CertcheckGroup"] = append(out["CertcheckGroup"], "tcp 5061", "tcp 7400")
	}
	if len(m.env.Secrets()[mesh.PlatformAccount]) > 0 {
		out["CertcheckGroup"] = append(out["CertcheckGroup"], management)
	}
	if m.env.Mesh.Policy.Mode == mesh.Recover {
		out["StucksyncGroup"] = []string{"tcp 8443"}
		if len(m.env.Secrets()[mesh.PlatformWriteAccount]) > 0 {
			out["StucksyncGroup"] = append(out["StucksyncGroup"], management)
		}
	}
	return out
}

func egressAsMeant(m *made) (c complaints) {
	want := map[string]map[string]bool{"FunctionGroup": {m.env.Network.DynamoDBPrefixList + " tcp 443-443": true}}
	for group, ports := range clusterPorts(m) {
		want[group] = map[string]bool{}
		for _, p := range m.env.Network.OnPremises {
			for _, port := range ports {
				protocol, number, _ := strings.Cut(port, " ")
				want[group][fmt.Sprintf("%s %s %s-%s", p, protocol, number, number)] = true
			}
		}
	}
	if m.Resources["EndpointGroup"] != nil {
		want["EndpointGroup"] = map[string]bool{"127.0.0.1/32 -1 <nil>-<nil>": true}
	}
	if len(m.env.Network.Forward) > 0 {
		want["ResolverGroup"] = map[string]bool{}
	}
	for _, f := range m.env.Network.Forward {
		for _, s := range f.Servers {
			want["ResolverGroup"][fmt.Sprintf("%s/32 udp 53-53", s)], want["ResolverGroup"][fmt.Sprintf("%s/32 tcp 53-53", s)] = true, true
		}
	}
	for id, r := range m.all("AWS::EC2::SecurityGroup") {
		egress := r.list("SecurityGroupEgress")
		if len(egress) == 0 {
			c.say("%s: without a rule AWS lets everything out", id)
		}
		if len(egress)+1 > 60 {
			c.say("%s: %d rules, a group has 60", id, len(egress)+1)
		}
		for _, e := range egress {
			e := e.(map[string]any)
			to := e["CidrIp"]
			if to == nil {
				to = e["DestinationPrefixListId"]
			}
			rule := fmt.Sprintf("%v %v %v-%v", to, e["IpProtocol"], e["FromPort"], e["ToPort"])
			if !want[id][rule] {
				c.say("%s lets out %s", id, rule)
			}
			delete(want[id], rule)
		}
		for rule := range want[id] {
			c.say("%s does not let out %s", id, rule)
		}
		delete(want, id)
		for _, i := range r.list("SecurityGroupIngress") {
			if i := i.(map[string]any); id != "EndpointGroup" || !refers(i["SourceSecurityGroupId"], "FunctionGroup") || i["FromPort"] != 443.0 || i["ToPort"] != 443.0 {
				c.say("%s lets in %v", id, i)
			}
		}
	}
	for id := range want {
		c.say("%s is missing", id)
	}
	for id, r := range m.all("AWS::EC2::SecurityGroupEgress") {
		to := r.at("DestinationSecurityGroupId")
		if !refers(to, "EndpointGroup") && to != m.env.Network.Endpoints.SecurityGroup || r.number("FromPort") != 443 || r.number("ToPort") != 443 || r.text("IpProtocol") != "tcp" {
			c.say("%s lets out %v", id, r.Properties)
		}
	}
	for id := range m.all("AWS::EC2::SecurityGroupIngress") {
		c.say("%s lets somebody in", id)
	}
	return c
}

func noInternet(m *made) (c complaints) {
	for id, r := range m.all("AWS::EC2::NatGateway", "AWS::EC2::InternetGateway", "AWS::EC2::EIP", "AWS::EC2::EgressOnlyInternetGateway") {
		c.say("%s is a %s", id, r.Type)
	}
	for id, r := range m.all("AWS::EC2::Route") {
		if !slices.ContainsFunc(m.env.Network.OnPremises, func(p netip.Prefix) bool { return p.String() == r.text("DestinationCidrBlock") }) {
			c.say("%s leads to %s", id, r.text("DestinationCidrBlock"))
		}
	}
	for id, r := range m.all("AWS::EC2::Subnet") {
		if r.at("MapPublicIpOnLaunch") != false {
			c.say("%s gives public addresses", id)
		}
	}
	return c
}

func routesAsMeant(m *made) (c complaints) {
	if m.env.Network.Link == (environment.Link{}) {
		return nil
	}
	tables := 1
	if m.env.Network.Attach != nil {
		tables = len(m.env.Network.Attach.Subnets)
	}
	for _, p := range m.env.Network.OnPremises {
		n := 0
		for _, r := range m.all("AWS::EC2::Route") {
			if r.text("DestinationCidrBlock") == p.String() && (r.at("GatewayId") != nil) == (m.env.Network.Link.VPN != nil) {
				n++
				if d, _ := r.DependsOn.([]any); len(d) == 0 || !slices.Contains(d, any("Link")) {
					c.say("the route to %s is made before the link", p)
				}
			}
		}
		if n != tables {
			c.say("%d routes to %s, want %d", n, p, tables)
		}
	}
	return c
}

func endpointsAsMeant(m *made) (c complaints) {
	ours := m.env.Network.Create != nil
	for _, service := range environment.Services() {
		var found *resource
		for _, r := range m.all("AWS::EC2::VPCEndpoint") {
			if r.text("ServiceName") == "com.amazonaws."+m.env.Region+"."+service {
				found = r
			}
		}
		if (found != nil) == m.env.Network.Endpoints.Has(service) {
			c.say("%s: an endpoint is missing, or there is one too many", service)
		}
		if found == nil {
			continue
		}
		if service == "dynamodb" {
			if found.text("VpcEndpointType") != "Gateway" || len(found.list("RouteTableIds")) == 0 {
				c.say("dynamodb: no route leads to the endpoint")
			}
		} else if len(found.list("SubnetIds")) != len(m.env.Network.Endpoints.Zones) || found.at("PrivateDnsEnabled") != ours {
			c.say("%s: zones %v, private DNS %v", service, found.list("SubnetIds"), found.at("PrivateDnsEnabled"))
		}
		if found.at("PolicyDocument") == nil && (ours || service != "dynamodb") {
			c.say("%s: the endpoint serves everybody's resources", service)
		}
	}
	for id, r := range m.all("AWS::Lambda::Function") {
		d, _ := r.DependsOn.([]any)
		for way, r := range m.all("AWS::EC2::VPCEndpoint", "AWS::EC2::SecurityGroupEgress") {
			if named := r.at("PrivateDnsEnabled") == false; !named && !slices.Contains(d, any(way)) { // its name in the environment makes it wait
				c.say("%s may run before %s is there", id, way)
			}
		}
		v, _ := r.at("Environment.Variables").(map[string]any)
		for _, service := range []string{"SECRETS_MANAGER", "SNS"} {
			has := m.env.Network.Endpoints.Has(strings.ToLower(strings.ReplaceAll(service, "_", "")))
			if told := v["AWS_ENDPOINT_URL_"+service] != nil; told == (ours || has) {
				c.say("%s: the endpoint's own name is told %v, and private DNS is %v", id, told, ours || has)
			}
		}
	}
	return c
}

func tableID(m *made) string {
	for id := range m.all("AWS::DynamoDB::Table") {
		return id
	}
	return ""
}

func table(m *made) *resource { return m.Resources[tableID(m)] }

func tableAsMeant(m *made) (c complaints) {
	r := table(m)
	if r == nil || len(m.all("AWS::DynamoDB::Table")) != 1 {
		return complaints{"there is not one table"}
	}
	if r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain" {
		c.say("it goes with the stack")
	}
	if r.text("BillingMode") != "PAY_PER_REQUEST" || r.at("ProvisionedThroughput") != nil {
		c.say("it is not on demand")
	}
	if r.at("PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled") != true {
		c.say("it cannot be recovered")
	}
	if r.at("TimeToLiveSpecification.Enabled") != true || r.text("TimeToLiveSpecification.AttributeName") != "ttl" {
		c.say("its items do not expire")
	}
	if r.at("SSESpecification.SSEEnabled") != true || r.at("SSESpecification.KMSMasterKeyId") != nil {
		c.say("it is not encrypted with AWS's key")
	}
	if r.at("DeletionProtectionEnabled") != m.env.Production {
		c.say("deletion protection is %v, production %v", r.at("DeletionProtectionEnabled"), m.env.Production)
	}
	if r.text("TableName") != m.env.Table {
		c.say("it is called %s", r.text("TableName"))
	}
	return c
}

func anySecret(m *made) string {
	return slices.Sorted(maps.Keys(m.all("AWS::SecretsManager::Secret")))[0]
}

func secretsAsMeant(m *made) (c complaints) {
	want := map[string]bool{}
	for _, name := range m.env.Secrets().All() {
		want["peerkeeper/"+m.env.Name+"/"+name] = true
	}
	for id, r := range m.all("AWS::SecretsManager::Secret") {
		if !want[r.text("Name")] {
			c.say("%s: the mesh names no %s", id, r.text("Name"))
		}
		delete(want, r.text("Name"))
		if r.at("SecretString") != nil || r.at("GenerateSecretString") != nil {
			c.say("%s has a value in the template", id)
		}
		if r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain" {
			c.say("%s goes with the stack", id)
		}
	}
	for name := range want {
		c.say("%s is missing", name)
	}
	return c
}

func restIsRemoved(m *made) (c complaints) {
	for id, r := range m.Resources {
		if r.DeletionPolicy == "Retain" && r.Type != "AWS::DynamoDB::Table" && r.Type != "AWS::SecretsManager::Secret" {
			c.say("%s (%s) stays and costs", id, r.Type)
		}
	}
	return c
}

// spoil finds a statement by its Sid, to be changed.
func spoil(m *made, id, sid string) map[string]any {
	for _, p := range m.Resources[id].policies() {
		for _, s := range statements(p) {
			if s.Sid == sid {
				return s.raw
			}
		}
	}
	panic(id + " has no statement " + sid)
}

func grantsAreNarrow(m *made) (c complaints) {
	for id, r := range m.all("AWS::IAM::Role", "AWS::IAM::ManagedPolicy") {
		if len(r.list("ManagedPolicyArns")) > 0 {
			c.say("%s uses AWS's managed policies", id)
		}
		var denied bool
		for _, p := range r.policies() {
			for _, s := range statements(p) {
				denied = denied || s.Effect == "Deny" && s.does("ec2:CreateNetworkInterface")
			}
		}
		for _, p := range r.policies() {
			for _, s := range statements(p) {
				if s.Effect != "Allow" || s.does("sts:AssumeRole") {
					continue
				}
				for _, a := range s.Actions {
					service, _, _ := strings.Cut(a.(string), ":")
					if strings.Contains(a.(string), "*") {
						c.say("%s/%s allows %s", id, s.Sid, a)
					}
					if !slices.Contains([]string{"dynamodb", "secretsmanager", "sns", "kms", "sqs", "logs", "ec2", "lambda"}, service) {
						c.say("%s/%s allows %s", id, s.Sid, a)
					}
				}
				if slices.Contains(s.Resources, any("*")) && !(s.does("ec2:") && denied) {
					c.say("%s/%s is for every resource", id, s.Sid)
				}
				if s.does("dynamodb:") {
					null, _ := s.Condition["Null"].(map[string]any)
					if len(leadingKeys(s)) == 0 || null["dynamodb:LeadingKeys"] != "false" {
						c.say("%s/%s is for every item", id, s.Sid)
					}
				}
			}
		}
	}
	return c
}

func leadingKeys(s statement) []string {
	var out []string
	for _, operator := range []string{"ForAllValues:StringEquals", "ForAllValues:StringLike"} {
		m, _ := s.Condition[operator].(map[string]any)
		keys, _ := m["dynamodb:LeadingKeys"].([]any)
		for _, k := range keys {
			out = append(out, k.(string))
		}
	}
	return out
}

// matches is IAM's StringLike, for the patterns in use: a * at the end.
func matches(pattern, key string) bool {
	if head, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(key, head)
	}
	return pattern == key
}

func gateHasOneWriter(m *made) (c complaints) {
	may := []string{"StucksyncRole", "PeeringRole"}
	writes := map[string]bool{}
	for id, r := range m.all("AWS::IAM::Role") {
		for _, p := range r.policies() {
			for _, s := range statements(p) {
				writes[id] = writes[id] || s.Effect == "Allow" && (s.does("dynamodb:Put") || s.does("dynamodb:Update") || s.does("dynamodb:Delete") || s.does("dynamodb:Batch") || s.does("dynamodb:*") || s.does("dynamodb:Parti")) &&
					slices.ContainsFunc(leadingKeys(s), func(k string) bool { return matches(k, m.env.Mesh.Name+"#gate") })
			}
		}
		if writes[id] && !slices.Contains(may, id) {
			c.say("%s writes the gate", id)
		}
	}
	if !writes["StucksyncRole"] {
		c.say("stucksync cannot write the gate")
	}
	return c
}

// reads lets a role read secrets besides what it reads already.
func reads(m *made, role string, names ...string) {
	for id, r := range m.all("AWS::SecretsManager::Secret") {
		if !slices.Contains(names, strings.TrimPrefix(r.text("Name"), "peerkeeper/"+m.env.Name+"/")) {
			continue
		}
		p := m.Resources[role].policies()
		last := p[len(p)-1]
		last["Statement"] = append(last["Statement"].([]any), map[string]any{
			"Sid": "More", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": map[string]any{"Ref": id},
		})
	}
}

// secretReads are the secrets that each role or managed policy may read, by the
// mesh's names; what is no secret of the stack by itself.
func secretReads(m *made) map[string][]string {
	out := map[string][]string{}
	for id, r := range m.all("AWS::IAM::Role", "AWS::IAM::ManagedPolicy") {
		for _, p := range r.policies() {
			for _, s := range statements(p) {
				if s.Effect != "Allow" || !s.does("secretsmanager:") {
					continue
				}
				for _, on := range s.Resources {
					name := fmt.Sprintf("%v, which is no secret of this stack", on)
					for secret, r := range m.all("AWS::SecretsManager::Secret") {
						if refers(on, secret) {
							name = strings.TrimPrefix(r.text("Name"), "peerkeeper/"+m.env.Name+"/")
						}
					}
					out[id] = append(out[id], name)
				}
			}
		}
		slices.Sort(out[id])
	}
	return out
}

func accountsAsMeant(m *made) (c complaints) {
	names := m.env.Secrets()
	want := map[string][]string{"PeersyncRole": names[mesh.ReadAccount], "CertcheckRole": names[mesh.PlatformAccount], "PreflightRole": names[mesh.ReadAccount], "PeeringRole": names[mesh.ReadAccount]}
	if m.env.Mesh.Policy.Mode == mesh.Recover {
		want["PeeringRole"] = slices.Sorted(slices.Values(slices.Concat(names[mesh.ReadAccount], names[mesh.WriteAccount])))
		want["StucksyncRole"] = slices.Sorted(slices.Values(slices.Concat(names[mesh.WriteAccount], names[mesh.PlatformWriteAccount])))
	}
	for id, got := range secretReads(m) {
		if !slices.Equal(got, want[id]) {
			c.say("%s reads %v, want %v", id, got, want[id])
		}
	}
	for id, r := range m.all("AWS::IAM::Role", "AWS::IAM::ManagedPolicy") {
		for _, p := range r.policies() {
			for _, s := range statements(p) {
				for _, a := range s.Actions {
					if strings.HasPrefix(a.(string), "secretsmanager:") && a != "secretsmanager:GetSecretValue" {
						c.say("%s/%s may %s", id, s.Sid, a)
					}
				}
			}
		}
	}
	return c
}

func writeAccountsAreGuarded(m *made) (c complaints) {
	acting := slices.Concat(m.env.Secrets()[mesh.WriteAccount], m.env.Secrets()[mesh.PlatformWriteAccount])
	may := []string{"StucksyncRole", "PeeringRole"}
	for id, names := range secretReads(m) {
		for _, name := range names {
			switch {
			case strings.HasSuffix(name, "no secret of this stack"):
				c.say("%s reads %s", id, name)
			case slices.Contains(acting, name) && (m.env.Mesh.Policy.Mode != mesh.Recover || !slices.Contains(may, id)):
				c.say("%s reads %s in mode %s", id, name, m.env.Mesh.Policy.Mode)
			}
		}
	}
	return c
}

func topicAsMeant(m *made) (c complaints) {
	topic, key, rights := m.Resources["Topic"], m.Resources["Key"], m.Resources["TopicPolicy"]
	if !refers(topic.at("KmsMasterKeyId"), "Key") || key.at("EnableKeyRotation") != true {
		c.say("the topic is not encrypted with the stack's key, or the key does not rotate")
	}
	allows := func(r *resource, onlyHere bool, actions ...string) bool {
		for _, p := range r.policies() {
			for _, s := range statements(p) {
				principal, _ := s.raw["Principal"].(map[string]any)
				if s.Effect == "Allow" && principal["Service"] == "cloudwatch.amazonaws.com" && (!onlyHere || reflect.DeepEqual(s.Condition["StringEquals"], map[string]any{"aws:SourceAccount": m.env.Account})) &&
					!slices.ContainsFunc(actions, func(a string) bool { return !slices.Contains(s.Actions, any(a)) }) {
					return true
				}
			}
		}
		return false
	}
	if !allows(key, false, "kms:Decrypt", "kms:GenerateDataKey*") {
		c.say("CloudWatch may not use the key")
	}
	if !allows(rights, true, "sns:Publish") {
		c.say("CloudWatch may not publish")
	}
	if !deniesPlain(rights, "sns:Publish") {
		c.say("the topic takes messages without TLS")
	}
	return c
}

func tagged(m *made) (c complaints) {
	// Those that CloudFormation cannot tag, or that belong to one that is.
	without := []string{
		"AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPCGatewayAttachment", "AWS::EC2::Route", "AWS::EC2::VPNConnectionRoute", "AWS::EC2::SecurityGroupEgress",
		"AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Permission", "AWS::Logs::SubscriptionFilter", "AWS::Scheduler::Schedule", "AWS::IAM::ManagedPolicy",
		"AWS::CloudWatch::Dashboard", "AWS::Route53Resolver::ResolverRuleAssociation",
	}
	for id, r := range m.Resources {
		if slices.Contains(without, r.Type) {
			continue
		}
		got := map[string]string{}
		switch tags := r.at("Tags").(type) {
		case []any:
			for _, t := range tags {
				t := t.(map[string]any)
				got[t["Key"].(string)], _ = t["Value"].(string)
			}
		}
		for key, value := range m.env.Tags {
			if got[key] != value {
				c.say("%s (%s) has no tag %s", id, r.Type, key)
			}
		}
	}
	return c
}

func outputsAsMeant(m *made) (c complaints) {
	for _, id := range []string{"Next1Secrets", "Next2Subscribe", "Next3Link", "Next4Run", "Next5Status", "TableName", "TopicArn", "SecretPrefix", "DashboardUrl", "FunctionNames"} {
		if o, ok := m.Outputs[id].(map[string]any); !ok || o["Value"] == nil || o["Description"] == nil {
			c.say("%s is missing", id)
		}
	}
	return c
}
