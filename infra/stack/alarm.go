package stack

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"peerkeeper/shared/metric"
	"peerkeeper/shared/run"
)

// nearTimeout is how much of its timeout a run may take before somebody should
// know: past it the last clusters are no longer looked at.
const nearTimeout = 0.8

// notices are where alarms go, and where events that failed end.
func (b *builder) notices() {
	b.key = awskms.NewCfnKey(b.stack, jsii.String("Key"), &awskms.CfnKeyProps{
		Description:       jsii.String("Peerkeeper " + b.env.Name + ": the alarm topic"),
		EnableKeyRotation: jsii.Bool(true),
		KeyPolicy: policy(
			object{"Sid": "Account", "Effect": "Allow", "Principal": object{"AWS": fmt.Sprintf("arn:aws:iam::%s:root", b.env.Account)}, "Action": "kms:*", "Resource": "*"},
			// Without this CloudWatch's alarms vanish without a word; AWS's own
			// key for SNS cannot be told to allow it. No condition: whether
			// CloudWatch names the account to KMS is not documented, and the
			// topic's own policy lets only this account's alarms in.
			object{
				"Sid": "CloudWatch", "Effect": "Allow", "Principal": object{"Service": "cloudwatch.amazonaws.com"},
				"Action": []string{"kms:Decrypt", "kms:GenerateDataKey*"}, "Resource": "*",
			},
		),
	})
	b.key.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil) // 30 days' grace; nothing that stays needs it
	b.topic = awssns.NewCfnTopic(b.stack, jsii.String("Topic"), &awssns.CfnTopicProps{
		TopicName: jsii.String(b.name("alarms")), DisplayName: jsii.String("Peerkeeper " + b.env.Name), KmsMasterKeyId: b.key.AttrArn(),
	})
	statements := []any{
		object{
			"Sid": "CloudWatch", "Effect": "Allow", "Principal": object{"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish", "Resource": b.topic.Ref(),
			"Condition": object{
				"StringEquals": object{"aws:SourceAccount": b.env.Account},
				"ArnLike":      object{"aws:SourceArn": b.arn("cloudwatch", "alarm:"+b.name("*"))},
			},
		},
		object{
			"Sid": "OnlyTLS", "Effect": "Deny", "Principal": object{"AWS": "*"}, "Action": "sns:Publish", "Resource": b.topic.Ref(),
			"Condition": object{"Bool": object{"aws:SecureTransport": "false"}},
		},
	}
	if len(b.env.Subscribers) > 0 {
		var accounts []string
		for _, a := range b.env.Subscribers {
			accounts = append(accounts, fmt.Sprintf("arn:aws:iam::%s:root", a))
		}
		statements = append(statements, object{
			"Sid": "Subscribers", "Effect": "Allow", "Principal": object{"AWS": accounts}, "Action": "sns:Subscribe", "Resource": b.topic.Ref(),
			"Condition": object{"StringEquals": object{"sns:Protocol": []string{"sqs", "lambda", "https"}}},
		})
	}
	awssns.NewCfnTopicPolicy(b.stack, jsii.String("TopicPolicy"), &awssns.CfnTopicPolicyProps{Topics: &[]*string{b.topic.Ref()}, PolicyDocument: policy(statements...)})

	b.lost = b.queue("Undelivered", "undelivered")
	b.failed = b.queue("Failed", "failed")
}

// queue keeps what went wrong for two weeks. Encrypted with SQS's own key:
// Lambda and EventBridge Scheduler need no right to it.
func (b *builder) queue(id, name string) awssqs.CfnQueue {
	q := awssqs.NewCfnQueue(b.stack, jsii.String(id), &awssqs.CfnQueueProps{
		QueueName: jsii.String(b.name(name)), SqsManagedSseEnabled: jsii.Bool(true), MessageRetentionPeriod: jsii.Number((14 * 24 * time.Hour).Seconds()),
	})
	q.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil)
	awssqs.NewCfnQueuePolicy(b.stack, jsii.String(id+"Policy"), &awssqs.CfnQueuePolicyProps{Queues: &[]*string{q.Ref()}, PolicyDocument: policy(object{
		"Sid": "OnlyTLS", "Effect": "Deny", "Principal": object{"AWS": "*"}, "Action": "sqs:*", "Resource": q.AttrArn(),
		"Condition": object{"Bool": object{"aws:SecureTransport": "false"}},
	})})
	return q
}

// watch is one CloudWatch alarm.
type watch struct {
	id, name, what    string
	namespace, metric string
	dimensions        map[string]string
	statistic         string
	period            time.Duration
	of, out           int // datapoints: out of the last of, this many
	below             bool
	threshold         float64
	missing           string
}

func (b *builder) alarms() {
	for _, f := range deployed(b.env) {
		fn := map[string]string{"FunctionName": b.name(f.Name)}
		// How long one look at the metrics is; a run within is enough.
		period, runs := 5*time.Minute, 3
		s, scheduled := run.Find(f.Name)
		if scheduled {
			period = min(s.Period, time.Hour)
			runs = int(2*s.Period/period) + 1
		}
		once := watch{namespace: "AWS/Lambda", dimensions: fn, statistic: "Sum", period: period, of: 1, out: 1, threshold: 1, missing: "notBreaching"}

		failing := once
		failing.id, failing.name, failing.metric = f.id()+"Errors", f.Name+"-errors", "Errors"
		failing.what = f.Name + " failed. Read its log group, and the queue of failed runs."
		if scheduled && s.Period <= time.Hour {
			failing.of, failing.out = 3, 2 // one failed tick is mended by the next
		}
		b.alarm(failing)

		throttled := once
		throttled.id, throttled.name, throttled.metric = f.id()+"Throttles", f.Name+"-throttles", "Throttles"
		throttled.what = f.Name + " was refused a place to run: the account's concurrency is used up. Ask for more in Service Quotas."
		if !f.Subscribes { // it has one place and is to wait for it: Lambda keeps what comes
			b.alarm(throttled)
		}

		slow := once
		slow.id, slow.name, slow.metric = f.id()+"Duration", f.Name+"-slow", "Duration"
		slow.statistic, slow.threshold = "Maximum", nearTimeout*float64(f.Timeout.Milliseconds())
		slow.what = fmt.Sprintf("%s took more than %.0f %% of its %s. Which cluster answers slowly stands in its log.", f.Name, nearTimeout*100, f.Timeout)
		b.alarm(slow)

		if !scheduled {
			continue
		}
		b.alarm(watch{
			id: f.id() + "Overdue", name: f.Name + "-overdue",
			what:      fmt.Sprintf("%s has not completed a run for %s; it should every %s. Nobody is looking.", f.Name, time.Duration(runs)*period, s.Period),
			namespace: metric.Namespace, metric: metric.RunCompleted, dimensions: map[string]string{"mesh": b.env.Mesh.Name, "function": f.Name},
			statistic: "Sum", period: period, of: runs, out: runs, below: true, threshold: 1,
			// A function that does not run says nothing at all.
			missing: "breaching",
		})
	}
	for _, q := range []struct{ id, name, what string }{
		{"Undelivered", "undelivered", "EventBridge Scheduler could not start a function. The message in the queue says which and why."},
		{"Failed", "failed", "A run failed. The message in the queue holds the request and the error."},
	} {
		b.alarm(watch{
			id: q.id + "Depth", name: q.name, what: q.what, namespace: "AWS/SQS", metric: "ApproximateNumberOfMessagesVisible",
			dimensions: map[string]string{"QueueName": b.name(q.name)}, statistic: "Maximum", period: 5 * time.Minute, of: 1, out: 1, threshold: 1, missing: "notBreaching",
		})
	}
}

func (b *builder) alarm(w watch) {
	var dimensions []any
	for _, name := range sortedKeys(w.dimensions) {
		dimensions = append(dimensions, &awscloudwatch.CfnAlarm_DimensionProperty{Name: jsii.String(name), Value: jsii.String(w.dimensions[name])})
	}
	operator := "GreaterThanOrEqualToThreshold"
	if w.below {
		operator = "LessThanThreshold"
	}
	awscloudwatch.NewCfnAlarm(b.stack, jsii.String(w.id+"Alarm"), &awscloudwatch.CfnAlarmProps{
		AlarmName: jsii.String(b.name(w.name)), AlarmDescription: jsii.String(w.what),
		Namespace: &w.namespace, MetricName: &w.metric, Dimensions: dimensions, Statistic: &w.statistic, Period: jsii.Number(w.period.Seconds()),
		EvaluationPeriods: jsii.Number(w.of), DatapointsToAlarm: jsii.Number(w.out),
		ComparisonOperator: &operator, Threshold: jsii.Number(w.threshold), TreatMissingData: &w.missing,
		AlarmActions: &[]*string{b.topic.Ref()}, OkActions: &[]*string{b.topic.Ref()},
	})
}
