// Package stack is everything that Peerkeeper owns in AWS, for one environment:
// network, table, secrets, functions, schedules, alarms.
//
// It owns the template and nothing that runs. It looks nothing up: what a
// template says comes from the environment's files alone, so two environments
// differ only where their files do. No secret's value is ever in it. What holds
// state (table, secrets) outlives the stack.
package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"peerkeeper/infra/environment"
)

// Props are what a stack is made from.
type Props struct {
	Environment *environment.Environment
	// Code gives a function's code by the function's name. Lambda takes no
	// inline code for provided.al2023.
	Code func(function string) awslambda.Code
}

// Name is the name of an environment's stack, and what the names of all that
// it owns begin with.
func Name(environment string) string { return "peerkeeper-" + environment }

// builder is a stack being built. Constructs are L1: what stands here is what
// stands in the template, under the ids that stand here.
type builder struct {
	Props
	stack awscdk.Stack
	env   *environment.Environment

	net       network
	key       awskms.CfnKey
	topic     awssns.CfnTopic
	table     awsdynamodb.CfnTable
	secrets   map[string]awssecretsmanager.CfnSecret // by the mesh's name
	lost      awssqs.CfnQueue                        // what the scheduler could not deliver
	failed    awssqs.CfnQueue                        // runs that failed
	functions map[string]awslambda.CfnFunction
}

// New gives the stack of an environment.
func New(scope constructs.Construct, id string, props Props) awscdk.Stack {
	env := props.Environment
	b := &builder{Props: props, env: env, secrets: map[string]awssecretsmanager.CfnSecret{}, functions: map[string]awslambda.CfnFunction{}}
	b.stack = awscdk.NewStack(scope, &id, &awscdk.StackProps{
		// With a fixed account and region the CDK command refuses to deploy
		// with another account's credentials, and deploys to no other region.
		Env:                   &awscdk.Environment{Account: jsii.String(env.Account), Region: jsii.String(env.Region)},
		StackName:             jsii.String(Name(env.Name)),
		Description:           jsii.String("Peerkeeper: keeps the intercluster peers of mesh " + env.Mesh.Name + " in sync"),
		TerminationProtection: jsii.Bool(env.Production),
		AnalyticsReporting:    jsii.Bool(false),
	})
	for _, key := range slices.Sorted(maps.Keys(env.Tags)) {
		awscdk.Tags_Of(b.stack).Add(jsii.String(key), jsii.String(env.Tags[key]), nil)
	}
	b.network()
	b.state()
	b.notices()
	for _, f := range deployed(env) {
		b.function(f)
		if f.Subscribes {
			b.subscribe(f)
		}
	}
	b.schedules()
	b.people()
	b.alarms()
	b.dashboard()
	b.outputs()
	b.accept()
	return b.stack
}

func (b *builder) name(rest string) string { return Name(b.env.Name) + "-" + rest }

// secretPrefix stands before every secret's name, so that two environments may
// share an account.
func (b *builder) secretPrefix() string { return "peerkeeper/" + b.env.Name + "/" }

// arn writes an ARN of this account and region.
func (b *builder) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, b.env.Region, b.env.Account, resource)
}

// object is a piece of JSON that CloudFormation takes as it is: policies.
type object = map[string]any

func policy(statements ...any) object {
	return object{"Version": "2012-10-17", "Statement": statements}
}

// outputs tell the operator what to do next.
func (b *builder) outputs() {
	out := func(id, description string, value string) {
		awscdk.NewCfnOutput(b.stack, &id, &awscdk.CfnOutputProps{Description: &description, Value: &value})
	}
	region := " --region " + b.env.Region
	first := b.env.Secrets().All()[0]
	out("Next1Secrets", fmt.Sprintf("1. Give each of the %d secrets its value; secret.json holds username and password", len(b.secrets)),
		fmt.Sprintf("aws secretsmanager put-secret-value%s --secret-id %s%s --secret-string file://secret.json", region, b.secretPrefix(), first))
	out("Next2Subscribe", "2. Have the alarms sent to somebody",
		fmt.Sprintf("aws sns subscribe%s --topic-arn %s --protocol email --notification-endpoint you@example.com", region, *b.topic.Ref()))
	out("Next3Link", "3. Connect the clusters", b.nextLink())
	out("Next4Run", "4. Look for the first time", fmt.Sprintf("aws lambda invoke%s --function-name %s --cli-binary-format raw-in-base64-out --payload '{}' /dev/stdout", region, b.name("peersync")))
	out("Next5Status", "5. See what it found", "peerkeeper status --table "+b.env.Table)
	out("TableName", "Peer state; stays when the stack is removed", *b.table.Ref())
	out("TopicArn", "Where alarms are published", *b.topic.Ref())
	out("SecretPrefix", "What stands before each secret's name in mesh.yaml", b.secretPrefix())
	out("DashboardUrl", "The functions at a glance", fmt.Sprintf("https://%s.console.aws.amazon.com/cloudwatch/home?region=%s#dashboards:name=%s", b.env.Region, b.env.Region, Name(b.env.Name)))
	var names []string
	for _, f := range deployed(b.env) {
		names = append(names, b.name(f.Name))
	}
	out("FunctionNames", "The functions", strings.Join(names, " "))
}
