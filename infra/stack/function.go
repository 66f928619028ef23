package stack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"peerkeeper/infra/environment"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/run"
)

// Function is one Lambda. When it runs, and for how long it may hold its lease,
// stands in run.Schedules; one that is not there runs only when it is invoked.
type Function struct {
	Name     string // as under functions/ and dist/
	What     string
	MemoryMB int
	// Timeout is below the lease, so that a lease never ends under a run.
	Timeout time.Duration
	// Flexible lets EventBridge Scheduler choose a moment within this long
	// after the minute; 0 is off.
	Flexible time.Duration
	// Items are what it may do in the table, by leading key.
	Items []Items
	// Accounts are the credentials it may read, and with that where it may log
	// in.
	Accounts []mesh.Account
	// Probes lets it look at what the nodes serve and ask the clusters' DNS
	// servers, which takes no account.
	Probes bool
	// Knocks lets it see whether the clusters' XMPP ports, and, with SIP
	// federation, SIP ports, take a connection.
	Knocks bool
	// Publishes lets it send to the alarm topic.
	Publishes bool
	// Subscribes has CloudWatch Logs send it what comes into the environment's log
	// group for syslog; where it names none, the function is not deployed.
	Subscribes bool
}

// Functions are all of them; another one joins by a row here.
func Functions() []Function {
	return []Function{
		{
			Name: "peersync", What: "looks at every cluster", MemoryMB: 512, Timeout: 3 * time.Minute,
			// It forgets what it remembers of peers that have left mesh.yaml.
			Items:    []Items{{Live, []string{"DeleteItem", "GetItem", "PutItem", "Query"}}, {Override, []string{"Query"}}, {Pushed, []string{"Query"}}, {Users, []string{"BatchGetItem", "GetItem", "PutItem"}}},
			Accounts: []mesh.Account{mesh.ReadAccount},
		},
		{
			Name: "stucksync", What: "judges, says alarms, and repairs where that is allowed", MemoryMB: 512, Timeout: 3 * time.Minute,
			Items: []Items{
				// What an action turns on is read again before it: many items at once.
				{Live, []string{"BatchGetItem", "GetItem", "PutItem", "Query"}}, {Override, []string{"Query"}},
				{Gate, []string{"GetItem", "PutItem"}}, {Audit, []string{"GetItem", "PutItem"}},
			},
			Accounts:  []mesh.Account{mesh.WriteAccount, mesh.PlatformWriteAccount},
			Publishes: true,
		},
		{
			Name: "certcheck", What: "looks at certificates, trust stores and names", MemoryMB: 512, Timeout: 10 * time.Minute, Flexible: 2 * time.Minute,
			Items:    []Items{{Live, []string{"GetItem", "PutItem", "Query"}}, {Override, []string{"Query"}}},
			Accounts: []mesh.Account{mesh.PlatformAccount}, Probes: true,
		},
		{
			Name: "preflight", What: "carries out the chapter's checks once a day", MemoryMB: 512, Timeout: 10 * time.Minute, Flexible: 2 * time.Minute,
			// Users who are twice in the mesh are found by their hashes.
			Items:    []Items{{Live, []string{"GetItem", "PutItem", "Query"}}, {Override, []string{"Query"}}, {Users, []string{"BatchGetItem", "GetItem"}}},
			Accounts: []mesh.Account{mesh.ReadAccount}, Knocks: true,
		},
		{
			Name: "peering", What: "carries out the plans of people", MemoryMB: 512, Timeout: 3 * time.Minute,
			// Before a plan it carries preflight's checks of a cluster out, but audits no
			// users.
			Items: []Items{
				{Live, []string{"BatchGetItem", "GetItem", "PutItem", "Query"}}, {Override, []string{"Query"}},
				{Change, []string{"GetItem", "PutItem", "Query"}},
				{Gate, []string{"GetItem", "PutItem"}}, {Audit, []string{"GetItem", "PutItem"}},
			},
			Accounts: []mesh.Account{mesh.ReadAccount, mesh.WriteAccount}, Knocks: true,
		},
		{
			// At the word of strangers it writes, so it can write nowhere else, and
			// reaches no cluster.
			Name: "intake", What: "takes what nodes push of their logs", MemoryMB: 256, Timeout: time.Minute,
			Items: []Items{{Pushed, []string{"GetItem", "PutItem"}}}, Subscribes: true,
		},
	}
}

// deployed are those that an environment has.
func deployed(env *environment.Environment) []Function {
	return slices.DeleteFunc(Functions(), func(f Function) bool { return f.Subscribes && env.SyslogGroup == "" })
}

// eventAge is how long an event may wait before it is not worth running: the
// next one is near then, or the caller has turned away. Lambda keeps an
// event for 6 hours at most.
func eventAge(function string) time.Duration {
	s, ok := run.Find(function)
	if !ok {
		return 5 * time.Minute
	}
	return min(s.Period*4/5, 6*time.Hour)
}

// id is the prefix of a function's logical ids: "peersync" is Peersync.
func (f Function) id() string { return strings.ToUpper(f.Name[:1]) + f.Name[1:] }

func (b *builder) function(f Function) {
	name := b.name(f.Name)
	logs := awslogs.NewCfnLogGroup(b.stack, jsii.String(f.id()+"Logs"), &awslogs.CfnLogGroupProps{
		LogGroupName:    jsii.String("/aws/lambda/" + name),
		RetentionInDays: jsii.Number(b.env.LogDays),
	})
	logs.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil) // what must last stands in the table
	role := awsiam.NewCfnRole(b.stack, jsii.String(f.id()+"Role"), &awsiam.CfnRoleProps{
		Description: jsii.String("What " + name + " may do"),
		AssumeRolePolicyDocument: policy(object{
			"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": object{"Service": "lambda.amazonaws.com"},
		}),
		Policies: []any{&awsiam.CfnRole_PolicyProperty{PolicyName: jsii.String("peerkeeper"), PolicyDocument: b.policyOf(f, logs)}},
	})
	code := b.Code(f.Name)
	bound := code.Bind(constructs.NewConstruct(b.stack, jsii.String(f.id()+"Code")))
	if bound.S3Location == nil {
		panic("the code of " + f.Name + " is no archive: Lambda takes no inline code for provided.al2023")
	}
	groups := []*string{b.net.group}
	if way := b.way(f); way != nil {
		groups = append(groups, way.AttrGroupId())
	}
	fn := awslambda.NewCfnFunction(b.stack, jsii.String(f.id()), &awslambda.CfnFunctionProps{
		FunctionName:  jsii.String(name),
		Description:   jsii.String(fmt.Sprintf("Peerkeeper, mesh %s: %s", b.env.Mesh.Name, f.What)),
		Runtime:       jsii.String("provided.al2023"),
		Handler:       jsii.String("bootstrap"),
		Architectures: jsii.Strings("arm64"),
		Code: &awslambda.CfnFunction_CodeProperty{
			S3Bucket: bound.S3Location.BucketName, S3Key: bound.S3Location.ObjectKey, S3ObjectVersion: bound.S3Location.ObjectVersion,
		},
		Role:        role.AttrArn(),
		MemorySize:  jsii.Number(f.MemoryMB),
		Timeout:     jsii.Number(f.Timeout.Seconds()),
		Environment: &awslambda.CfnFunction_EnvironmentProperty{Variables: b.variables()},
		// JSON also for Lambda's own lines. INFO and no higher: the metrics are
		// log lines too, and Lambda drops what is below the level.
		LoggingConfig: &awslambda.CfnFunction_LoggingConfigProperty{
			LogFormat: jsii.String("JSON"), LogGroup: logs.Ref(),
			ApplicationLogLevel: jsii.String("INFO"), SystemLogLevel: jsii.String("INFO"),
		},
		VpcConfig: &awslambda.CfnFunction_VpcConfigProperty{
			SubnetIds: &b.net.subnets, SecurityGroupIds: &groups,
		},
	})
	if f.Subscribes {
		// Whatever is sent takes one place of the account's. The others reserve none:
		// a fresh account has 10 in all and refuses it, and the lease keeps two runs
		// apart.
		fn.SetReservedConcurrentExecutions(jsii.Number(1))
	}
	code.BindToResource(fn, nil)
	for _, way := range b.net.ways { // a function that runs before it can reach AWS fails and alarms
		fn.AddDependency(way)
	}
	b.functions[f.Name] = fn

	awslambda.NewCfnEventInvokeConfig(b.stack, jsii.String(f.id()+"Invoke"), &awslambda.CfnEventInvokeConfigProps{
		FunctionName: fn.Ref(), Qualifier: jsii.String("$LATEST"),
		// The next tick is the retry; and what acts must not act twice. What is
		// pushed comes once, and may be taken twice.
		MaximumRetryAttempts:     jsii.Number(f.retries()),
		MaximumEventAgeInSeconds: jsii.Number(eventAge(f.Name).Seconds()),
		DestinationConfig: &awslambda.CfnEventInvokeConfig_DestinationConfigProperty{
			OnFailure: &awslambda.CfnEventInvokeConfig_OnFailureProperty{Destination: b.failed.AttrArn()},
		},
	})
}

func (f Function) retries() int {
	if f.Subscribes {
		return 2
	}
	return 0
}

// subscribe has CloudWatch Logs send a function the lines of ICSA. The pattern
// spares the others; form and case of a facility's name differ by release.
func (b *builder) subscribe(f Function) {
	group := b.arn("logs", "log-group:"+b.env.SyslogGroup)
	may := awslambda.NewCfnPermission(b.stack, jsii.String(f.id()+"Permission"), &awslambda.CfnPermissionProps{
		Action: jsii.String("lambda:InvokeFunction"), FunctionName: b.functions[f.Name].AttrArn(), Principal: jsii.String("logs.amazonaws.com"),
		SourceAccount: jsii.String(b.env.Account), SourceArn: jsii.String(group + ":*"),
	})
	filter := awslogs.NewCfnSubscriptionFilter(b.stack, jsii.String(f.id()+"Subscription"), &awslogs.CfnSubscriptionFilterProps{
		DestinationArn: b.functions[f.Name].AttrArn(), LogGroupName: jsii.String(b.env.SyslogGroup), FilterName: jsii.String(b.name(f.Name)),
		FilterPattern: jsii.String(`?"UC_ICSA" ?"uc_icsa"`),
	})
	filter.AddDependency(may)
}

// variables are what a function finds in its environment. No secret is ever
// among them.
func (b *builder) variables() map[string]*string {
	out := map[string]*string{
		"PEERKEEPER_TABLE":         b.table.Ref(),
		"PEERKEEPER_TOPIC_ARN":     b.topic.Ref(),
		"PEERKEEPER_MESH":          jsii.String("./mesh.json"),
		"PEERKEEPER_SECRET_PREFIX": jsii.String(b.secretPrefix()),
	}
	for variable, address := range b.net.addresses {
		out[variable] = address
	}
	return out
}

// schedules has EventBridge Scheduler start the functions that run by the clock.
func (b *builder) schedules() {
	group := awsscheduler.NewCfnScheduleGroup(b.stack, jsii.String("Schedules"), &awsscheduler.CfnScheduleGroupProps{Name: jsii.String(Name(b.env.Name))})
	for _, f := range deployed(b.env) {
		s, ok := run.Find(f.Name)
		if !ok {
			continue
		}
		role := awsiam.NewCfnRole(b.stack, jsii.String(f.id()+"ScheduleRole"), &awsiam.CfnRoleProps{
			Description: jsii.String("Starts " + b.name(f.Name)),
			AssumeRolePolicyDocument: policy(object{
				"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": object{"Service": "scheduler.amazonaws.com"},
				// The group's ARN, not the schedule's: that is what EventBridge
				// Scheduler sends (its user guide, "Confused deputy prevention").
				"Condition": object{"StringEquals": object{
					"aws:SourceAccount": b.env.Account,
					"aws:SourceArn":     b.arn("scheduler", "schedule-group/"+Name(b.env.Name)),
				}},
			}),
			Policies: []any{&awsiam.CfnRole_PolicyProperty{PolicyName: jsii.String("start"), PolicyDocument: policy(
				object{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": b.functions[f.Name].AttrArn()},
				object{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": b.lost.AttrArn()},
			)}},
		})
		window := &awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")}
		if f.Flexible > 0 {
			window = &awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("FLEXIBLE"), MaximumWindowInMinutes: jsii.Number(f.Flexible.Minutes())}
		}
		// The scheduled time is what makes a second delivery of the same event
		// harmless; EventBridge Scheduler puts it in.
		input, err := json.Marshal(object{"mesh": b.env.Mesh.Name, "function": f.Name, "scheduledTime": "SCHEDULED"})
		if err != nil {
			panic(err) // three strings are always JSON
		}
		awsscheduler.NewCfnSchedule(b.stack, jsii.String(f.id()+"Schedule"), &awsscheduler.CfnScheduleProps{
			Name: jsii.String(b.name(f.Name)), GroupName: group.Ref(), Description: jsii.String(f.Name + " " + f.What),
			ScheduleExpression: jsii.String(cron(s)), ScheduleExpressionTimezone: jsii.String("UTC"), State: jsii.String("ENABLED"),
			FlexibleTimeWindow: window,
			Target: &awsscheduler.CfnSchedule_TargetProperty{
				Arn: b.functions[f.Name].AttrArn(), RoleArn: role.AttrArn(),
				Input: jsii.String(strings.Replace(string(input), "SCHEDULED", "<aws.scheduler.scheduled-time>", 1)),
				RetryPolicy: &awsscheduler.CfnSchedule_RetryPolicyProperty{
					MaximumRetryAttempts: jsii.Number(0), MaximumEventAgeInSeconds: jsii.Number(eventAge(f.Name).Seconds()),
				},
				DeadLetterConfig: &awsscheduler.CfnSchedule_DeadLetterConfigProperty{Arn: b.lost.AttrArn()},
			},
		})
	}
}

// cron writes a schedule as EventBridge Scheduler's cron. It is not a rate with
// a start date, which would keep half a minute: CreateSchedule refuses a start
// date more than five minutes past, so no template could hold one. EventBridge
// Scheduler invokes at some second of the minute, so offsets are cut to whole
// minutes.
func cron(s run.Schedule) string {
	minutes, offset := int(s.Period.Minutes()), int(s.Offset.Minutes())
	switch {
	case time.Duration(minutes)*time.Minute == s.Period && minutes < 60 && 60%minutes == 0:
		return fmt.Sprintf("cron(%d/%d * * * ? *)", offset, minutes)
	case s.Period == 24*time.Hour:
		return fmt.Sprintf("cron(%d %d * * ? *)", offset%60, offset/60)
	case minutes%60 == 0 && minutes < 24*60 && 24*60%minutes == 0 && offset < 60:
		return fmt.Sprintf("cron(%d 0/%d * * ? *)", offset, minutes/60)
	}
	panic(fmt.Sprintf("%s: a period of %s is no cron expression", s.Function, s.Period))
}
