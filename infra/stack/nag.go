package stack

import (
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// accept says which of cdk-nag's AwsSolutions findings are right and yet meant,
// each for one resource and with its reason.
func (b *builder) accept() {
	type exception struct{ rule, finding, reason string }
	accept := func(c constructs.IConstruct, e exception) {
		s := &cdknag.NagPackSuppression{Id: &e.rule, Reason: &e.reason}
		if e.finding != "" {
			s.AppliesTo = &[]any{e.finding}
		}
		cdknag.NagSuppressions_AddResourceSuppressions(c, &[]*cdknag.NagPackSuppression{s}, jsii.Bool(false))
	}
	for _, s := range b.secrets {
		accept(s, exception{"AwsSolutions-SMG4", "", "the account is Cisco's: a rotation that AWS starts by itself would not change it there, and a rejected password locks it for 30 minutes"})
	}
	for _, q := range []constructs.IConstruct{b.lost, b.failed} {
		accept(q, exception{"AwsSolutions-SQS3", "", "it is itself where failed events end"})
	}
	for _, f := range deployed(b.env) {
		accept(b.stack.Node().FindChild(jsii.String(f.id()+"Role")), exception{"AwsSolutions-IAM5", "Resource::*",
			"Lambda's network interface actions take no resource; the function's own code is denied them"})
	}
}
