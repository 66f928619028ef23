package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// applier creates a template's resources in the emulator.
type applier struct {
	template template
	url      string // of the guard before the emulator
	region   string
	account  string
	guard    *guard

	resolver resolver
	made     map[string]physical
	under    map[string]bool // being made, so that a circle is seen
	failed   map[string]bool
	ctx      context.Context // of apply; nothing outlives it

	functions map[string]*deployed // by function name in functions/
	people    map[string]string    // access keys by managed policy
	secrets   []string             // names, all empty
	tables    []string
	topics    []string // ARNs
	queues    []string // URLs
}

// deployed is a function as the template has it.
type deployed struct {
	name    string // FunctionName; its access key here
	env     map[string]string
	level   string
	timeout time.Duration
	input   string // of its schedule; empty without one
}

// maker makes one type of resource.
type maker struct {
	// takes are the properties that are carried out, leaves those that have no
	// meaning here. Any other is an error.
	takes, leaves []string
	make          func(a *applier, id string, p map[string]any) (physical, error)
	// stays says that it holds something: a later deploy changes it in place, which is
	// not understood here. The others are only known of, and are made again.
	stays bool
}

// left are types that are not created, with the reason. A reference to one from
// a property that is carried out is an error.
func left() map[string]string {
	const network = "the functions run on this machine's network"
	const judged = "moto does not enforce it; infra/stack's tests read it"
	return map[string]string{
		"AWS::EC2::VPC": network, "AWS::EC2::RouteTable": network, "AWS::EC2::Subnet": network, "AWS::EC2::SubnetRouteTableAssociation": network,
		"AWS::EC2::FlowLog": network, "AWS::EC2::TransitGatewayVpcAttachment": network, "AWS::EC2::Route": network,
		"AWS::EC2::SecurityGroup": network, "AWS::EC2::SecurityGroupEgress": network,
		"AWS::SNS::TopicPolicy": judged, "AWS::SQS::QueuePolicy": judged,
		"AWS::Lambda::Permission":        "what starts a function is AWS's",
		"AWS::Logs::SubscriptionFilter":  "what CloudWatch Logs sends is CloudWatch Logs'",
		"AWS::Lambda::EventInvokeConfig": "what Lambda does with a failed event is Lambda's",
		"AWS::Scheduler::ScheduleGroup":  "the test is the clock",
		"AWS::CloudWatch::Alarm":         "nothing evaluates metrics here",
		"AWS::CloudWatch::Dashboard":     "for eyes only",
	}
}

func makers() map[string]maker {
	return map[string]maker{
		"AWS::DynamoDB::Table": {
			takes:  []string{"TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "TimeToLiveSpecification", "PointInTimeRecoverySpecification", "DeletionProtectionEnabled"},
			leaves: []string{"Tags", "SSESpecification"}, make: (*applier).table, stays: true,
		},
		"AWS::SecretsManager::Secret": {takes: []string{"Name", "Description"}, leaves: []string{"Tags"}, make: (*applier).secret, stays: true},
		"AWS::KMS::Key":               {takes: []string{"Description"}, leaves: []string{"Tags", "KeyPolicy", "EnableKeyRotation"}, make: (*applier).key, stays: true},
		"AWS::SNS::Topic":             {takes: []string{"TopicName", "DisplayName", "KmsMasterKeyId"}, leaves: []string{"Tags"}, make: (*applier).topic, stays: true},
		"AWS::SQS::Queue":             {takes: []string{"QueueName", "MessageRetentionPeriod", "SqsManagedSseEnabled"}, leaves: []string{"Tags"}, make: (*applier).queue, stays: true},
		"AWS::Logs::LogGroup":         {takes: []string{"LogGroupName", "RetentionInDays"}, leaves: []string{"Tags"}, make: (*applier).logGroup, stays: true},
		"AWS::IAM::Role":              {takes: []string{"Policies"}, leaves: []string{"Tags", "Description", "AssumeRolePolicyDocument"}, make: (*applier).role},
		"AWS::IAM::ManagedPolicy":     {takes: []string{"ManagedPolicyName", "PolicyDocument"}, leaves: []string{"Description"}, make: (*applier).managedPolicy},
		"AWS::EC2::VPCEndpoint": {
			takes:  []string{"ServiceName", "PolicyDocument"},
			leaves: []string{"Tags", "VpcId", "VpcEndpointType", "SubnetIds", "SecurityGroupIds", "PrivateDnsEnabled", "RouteTableIds"}, make: (*applier).endpoint,
		},
		"AWS::Lambda::Function": {
			takes:  []string{"FunctionName", "Role", "Environment", "Timeout", "LoggingConfig", "Handler", "Runtime"},
			leaves: []string{"Tags", "Description", "Architectures", "Code", "MemorySize", "VpcConfig", "ReservedConcurrentExecutions"}, make: (*applier).function,
		},
		"AWS::Scheduler::Schedule": {
			takes:  []string{"Target", "State"},
			leaves: []string{"Name", "GroupName", "Description", "ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow"},
			make:   (*applier).schedule,
		},
	}
}

// deploy has a template be what is there: what is new in it is made, and what it has no
// more is left, as it says, or gone.
func (a *applier) deploy(ctx context.Context, next template) error {
	var errs []error
	for id, is := range a.template.Resources {
		m, known := makers()[is.Type]
		if !known {
			continue
		}
		then, there := next.Resources[id]
		switch {
		case there && m.stays && reflect.DeepEqual(is.Properties, then.Properties):
			continue
		case m.stays && (there || is.DeletionPolicy != "Retain"):
			errs = append(errs, &notUnderstood{id, "a deploy that changes a " + is.Type})
		}
		delete(a.made, id)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	a.template = next
	return a.apply(ctx)
}

// apply creates everything that is not left out, and is not there yet.
func (a *applier) apply(ctx context.Context) error {
	a.ctx = ctx
	if a.made == nil {
		a.made = map[string]physical{}
	}
	a.under, a.failed = map[string]bool{}, map[string]bool{}
	a.functions, a.people = map[string]*deployed{}, map[string]string{}
	a.resolver = resolver{
		pseudo: map[string]string{"AWS::Region": a.region, "AWS::AccountId": a.account, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"},
		find:   a.find,
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(a.template.Resources)) {
		if _, ok := left()[a.template.Resources[id].Type]; ok {
			continue
		}
		if _, err := a.find(id); err != nil && !errors.Is(err, errFailed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// errFailed says that a resource could not be made, which was told already.
var errFailed = errors.New("it could not be made")

// find gives a resource, made by now if it was not before.
func (a *applier) find(id string) (p physical, err error) {
	if p, ok := a.made[id]; ok {
		return p, nil
	}
	if a.failed[id] {
		return physical{}, fmt.Errorf("%s: %w", id, errFailed)
	}
	defer func() { a.failed[id] = err != nil }()
	r, ok := a.template.Resources[id]
	if !ok {
		return physical{}, &notUnderstood{id, "no such resource"}
	}
	m, ok := makers()[r.Type]
	if !ok {
		if why, ok := left()[r.Type]; ok {
			return physical{}, &notUnderstood{id, "a " + r.Type + " is not created here: " + why}
		}
		return physical{}, &notUnderstood{id, "a " + r.Type + " is not known here"}
	}
	if a.under[id] {
		return physical{}, &notUnderstood{id, "refers to itself"}
	}
	a.under[id] = true
	defer delete(a.under, id)
	taken := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(r.Properties)) {
		switch {
		case slices.Contains(m.leaves, name):
		case slices.Contains(m.takes, name):
			v, err := a.resolver.value(id+"."+name, r.Properties[name])
			if err != nil {
				return physical{}, err
			}
			taken[name] = v
		default:
			return physical{}, &notUnderstood{id + "." + name, "a property of " + r.Type + " that is not known here"}
		}
	}
	if p, err = m.make(a, id, taken); err != nil {
		return physical{}, fmt.Errorf("%s, a %s: %w", id, r.Type, err)
	}
	a.made[id] = p
	return p, nil
}

// property reads a resolved property that must be there.
func property[T any](p map[string]any, path ...string) (T, error) {
	var v any = p
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	t, ok := v.(T)
	if !ok {
		return t, &notUnderstood{strings.Join(path, "."), fmt.Sprintf("%v is no %T", v, t)}
	}
	return t, nil
}

func (a *applier) table(_ string, p map[string]any) (physical, error) {
	name, err := property[string](p, "TableName")
	if err != nil {
		return physical{}, err
	}
	ttl, pitr := p["TimeToLiveSpecification"], p["PointInTimeRecoverySpecification"]
	delete(p, "TimeToLiveSpecification")
	delete(p, "PointInTimeRecoverySpecification")
	const service, target = "dynamodb", "DynamoDB_20120810."
	errs := []error{a.call(service, target+"CreateTable", p, nil)}
	if ttl != nil {
		errs = append(errs, a.call(service, target+"UpdateTimeToLive", map[string]any{"TableName": name, "TimeToLiveSpecification": ttl}, nil))
	}
	if pitr != nil {
		errs = append(errs, a.call(service, target+"UpdateContinuousBackups", map[string]any{"TableName": name, "PointInTimeRecoverySpecification": pitr}, nil))
	}
	a.tables = append(a.tables, name)
	return physical{name, map[string]string{"Arn": a.arn("dynamodb", "table/"+name)}}, errors.Join(errs...)
}

// secret makes a secret as the template has it: without a value.
func (a *applier) secret(_ string, p map[string]any) (physical, error) {
	name, err := property[string](p, "Name")
	if err != nil {
		return physical{}, err
	}
	var out struct{ ARN string }
	if err := a.call("secretsmanager", "secretsmanager.CreateSecret", p, &out); err != nil {
		return physical{}, err
	}
	a.secrets = append(a.secrets, name)
	a.guard.arns[name] = out.ARN
	return physical{out.ARN, map[string]string{"Id": out.ARN}}, nil
}

func (a *applier) key(_ string, p map[string]any) (physical, error) {
	var out struct{ KeyMetadata struct{ KeyId, Arn string } }
	if err := a.call("kms", "TrentService.CreateKey", p, &out); err != nil {
		return physical{}, err
	}
	return physical{out.KeyMetadata.KeyId, map[string]string{"Arn": out.KeyMetadata.Arn, "KeyId": out.KeyMetadata.KeyId}}, nil
}

func (a *applier) topic(_ string, p map[string]any) (physical, error) {
	name, err := property[string](p, "TopicName")
	if err != nil {
		return physical{}, err
	}
	attributes := map[string]string{}
	for _, attr := range []string{"DisplayName", "KmsMasterKeyId"} {
		if v, ok := p[attr].(string); ok {
			attributes[attr] = v
		}
	}
	arn, err := a.createTopic(name, attributes)
	if err != nil {
		return physical{}, err
	}
	if key := attributes["KmsMasterKeyId"]; key != "" {
		a.guard.keys[arn] = key
	}
	a.topics = append(a.topics, arn)
	return physical{arn, map[string]string{"TopicArn": arn, "TopicName": name}}, nil
}

func (a *applier) queue(_ string, p map[string]any) (physical, error) {
	name, err := property[string](p, "QueueName")
	if err != nil {
		return physical{}, err
	}
	attributes := map[string]string{}
	for attr, v := range p {
		if attr != "QueueName" {
			text, err := json.Marshal(v) // SQS wants texts; a number must not come as 1.2e+06
			if err != nil {
				return physical{}, err
			}
			attributes[attr] = strings.Trim(string(text), `"`)
		}
	}
	url, err := a.createQueue(name, attributes)
	a.queues = append(a.queues, url)
	return physical{url, map[string]string{"Arn": a.arn("sqs", name), "QueueName": name, "QueueUrl": url}}, err
}

func (a *applier) createQueue(name string, attributes map[string]string) (url string, _ error) {
	var out struct{ QueueUrl string }
	err := a.call("sqs", "AmazonSQS.CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes}, &out)
	return out.QueueUrl, err
}

func (a *applier) logGroup(_ string, p map[string]any) (physical, error) {
	name, err := property[string](p, "LogGroupName")
	if err != nil {
		return physical{}, err
	}
	err = a.call("logs", "Logs_20140328.CreateLogGroup", map[string]any{"logGroupName": name}, nil)
	if days, ok := p["RetentionInDays"]; ok {
		err = errors.Join(err, a.call("logs", "Logs_20140328.PutRetentionPolicy", map[string]any{"logGroupName": name, "retentionInDays": days}, nil))
	}
	return physical{name, map[string]string{"Arn": a.arn("logs", "log-group:"+name+":*")}}, err
}

// role hands a role's policies to the guard, under the role's logical id until
// a function takes it.
func (a *applier) role(id string, p map[string]any) (physical, error) {
	policies, err := property[[]any](p, "Policies")
	if err != nil {
		return physical{}, err
	}
	var all []statement
	for _, x := range policies {
		m, _ := x.(map[string]any)
		statements, err := parsePolicy(id, m["PolicyDocument"])
		if err != nil {
			return physical{}, err
		}
		all = append(all, statements...)
	}
	arn := "arn:aws:iam::" + a.account + ":role/" + id
	a.guard.policies[arn] = all
	return physical{id, map[string]string{"Arn": arn}}, nil
}

func (a *applier) managedPolicy(id string, p map[string]any) (physical, error) {
	name, err := property[string](p, "ManagedPolicyName")
	if err != nil {
		return physical{}, err
	}
	statements, err := parsePolicy(id, p["PolicyDocument"])
	if err != nil {
		return physical{}, err
	}
	a.guard.policies[name], a.people[id] = statements, name
	arn := "arn:aws:iam::" + a.account + ":policy/" + name
	return physical{arn, map[string]string{"PolicyArn": arn}}, nil
}

// endpoint hands an endpoint's policy to the guard.
func (a *applier) endpoint(id string, p map[string]any) (physical, error) {
	name, err := property[string](p, "ServiceName")
	if err != nil {
		return physical{}, err
	}
	if document, ok := p["PolicyDocument"]; ok {
		statements, err := parsePolicy(id, document)
		if err != nil {
			return physical{}, err
		}
		a.guard.endpoints[name[strings.LastIndexByte(name, '.')+1:]] = statements
	}
	return physical{"vpce-" + id, nil}, nil
}

func (a *applier) function(id string, p map[string]any) (physical, error) {
	name, err1 := property[string](p, "FunctionName")
	role, err2 := property[string](p, "Role")
	variables, err3 := property[map[string]any](p, "Environment", "Variables")
	seconds, err4 := property[float64](p, "Timeout")
	level, err5 := property[string](p, "LoggingConfig", "ApplicationLogLevel")
	runtime, err6 := property[string](p, "Runtime")
	handler, err7 := property[string](p, "Handler")
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		return physical{}, err
	}
	if runtime != "provided.al2023" || handler != "bootstrap" {
		return physical{}, &notUnderstood{id, "not a bootstrap on provided.al2023"}
	}
	f := &deployed{name: name, env: map[string]string{}, level: level, timeout: time.Duration(seconds * float64(time.Second))}
	for variable, v := range variables {
		text, ok := v.(string)
		if !ok {
			return physical{}, &notUnderstood{id + "." + variable, "no text"}
		}
		if strings.HasPrefix(variable, "AWS_LAMBDA_") || slices.Contains(reserved(), variable) {
			return physical{}, &notUnderstood{id + "." + variable, "Lambda sets this variable itself and refuses it in a template"}
		}
		f.env[variable] = text
	}
	arn := a.arn("lambda", "function:"+name)
	a.guard.policies[name], a.guard.functions[name] = a.guard.policies[role], arn
	delete(a.guard.policies, role)
	a.functions[strings.ToLower(id)] = f
	return physical{name, map[string]string{"Arn": arn}}, nil
}

// reserved are Lambda's own variables (its developer guide, "Defined runtime
// environment variables") that matter here.
func reserved() []string {
	return []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EXECUTION_ENV", "_HANDLER", "LAMBDA_TASK_ROOT", "TZ"}
}

func (a *applier) schedule(id string, p map[string]any) (physical, error) {
	target, err1 := property[string](p, "Target", "Arn")
	input, err2 := property[string](p, "Target", "Input")
	_, err3 := property[string](p, "Target", "RoleArn")
	if err := errors.Join(err1, err2, err3); err != nil {
		return physical{}, err
	}
	if p["State"] != "ENABLED" {
		return physical{}, &notUnderstood{id, "a schedule that is not enabled"}
	}
	for name, f := range a.functions {
		if a.made[strings.ToUpper(name[:1])+name[1:]].atts["Arn"] == target {
			f.input = input
			return physical{id, nil}, nil
		}
	}
	return physical{}, &notUnderstood{id, target + " is no function of this template"}
}

func (a *applier) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + a.region + ":" + a.account + ":" + resource
}

// call speaks to a service of AWS's JSON protocols. The emulator reads the
// service from the signature and does not check it.
func (a *applier) call(service, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := a.post(service, map[string]string{"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}, body)
	if err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

func (a *applier) post(service string, header map[string]string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(a.ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, v := range header {
		req.Header.Set(name, v)
	}
	req.Header.Set("Authorization", authorization(deployer, a.region, service))
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.300s", resp.Status, answer)
	}
	return answer, err
}

func TestApplierRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for name, resources := range map[string]string{
		"an unknown type":                 `{"X":{"Type":"AWS::Kinesis::Stream"}}`,
		"an unknown property":             `{"X":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"x","RedrivePolicy":{}}}}`,
		"an unknown intrinsic":            `{"X":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":{"Fn::ImportValue":"x"}}}}`,
		"a reference to what is left out": `{"V":{"Type":"AWS::EC2::VPC"},"X":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":{"Ref":"V"}}}}`,
		"a reference to nothing":          `{"X":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":{"Ref":"Nothing"}}}}`,
		"a circle":                        `{"X":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":{"Ref":"Y"}}},"Y":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":{"Ref":"X"}}}}`,
		"a name that is missing":          `{"X":{"Type":"AWS::SQS::Queue","Properties":{}}}`,
		"a variable of Lambda's own": `{"R":{"Type":"AWS::IAM::Role","Properties":{"Policies":[]}},"X":{"Type":"AWS::Lambda::Function","Properties":{"FunctionName":"x","Role":{"Fn::GetAtt":["R","Arn"]},
			"Runtime":"provided.al2023","Handler":"bootstrap","Timeout":3,"LoggingConfig":{"ApplicationLogLevel":"INFO"},"Environment":{"Variables":{"AWS_REGION":"x"}}}}}`,
		"a policy that is not understood": `{"R":{"Type":"AWS::IAM::Role","Properties":{"Policies":[{"PolicyDocument":{"Statement":[{"Effect":"Allow","NotAction":"a:b","Resource":"*"}]}}]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			a := &applier{url: "http://192.0.2.1:1", guard: newGuard(nil, "111122223333", "eu-central-1"), account: "111122223333", region: "eu-central-1"}
			if err := json.Unmarshal([]byte(resources), &a.template.Resources); err != nil {
				t.Fatal(err)
			}
			err := a.apply(t.Context())
			if _, ok := errors.AsType[*notUnderstood](err); !ok {
				t.Errorf("it said %v", err)
			}
		})
	}
}

// sns is a client for the deployer; SNS speaks a protocol of its own.
func (a *applier) sns() *sns.Client {
	return sns.New(sns.Options{Region: a.region, BaseEndpoint: &a.url, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: deployer, SecretAccessKey: deployer}, nil
	})})
}

func (a *applier) createTopic(name string, attributes map[string]string) (arn string, _ error) {
	out, err := a.sns().CreateTopic(a.ctx, &sns.CreateTopicInput{Name: &name, Attributes: attributes})
	if err != nil {
		return "", err
	}
	return *out.TopicArn, nil
}
