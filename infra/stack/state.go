package stack

import (
	"strings"
	"unicode"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"

	"peerkeeper/shared/mesh"
)

// state is what outlives the stack: the table and the secrets.
func (b *builder) state() {
	id := "Table"
	if b.env.Table != Name(b.env.Name) {
		// Another table, such as a restored one, is another resource: the one
		// before it is let go and not replaced.
		id += camel(b.env.Table)
	}
	b.table = awsdynamodb.NewCfnTable(b.stack, &id, &awsdynamodb.CfnTableProps{
		TableName: jsii.String(b.env.Table),
		// The keys and attributes are package store/dynamo's.
		AttributeDefinitions: []any{
			&awsdynamodb.CfnTable_AttributeDefinitionProperty{AttributeName: jsii.String("pk"), AttributeType: jsii.String("S")},
			&awsdynamodb.CfnTable_AttributeDefinitionProperty{AttributeName: jsii.String("sk"), AttributeType: jsii.String("S")},
		},
		KeySchema: []any{
			&awsdynamodb.CfnTable_KeySchemaProperty{AttributeName: jsii.String("pk"), KeyType: jsii.String("HASH")},
			&awsdynamodb.CfnTable_KeySchemaProperty{AttributeName: jsii.String("sk"), KeyType: jsii.String("RANGE")},
		},
		BillingMode:                      jsii.String("PAY_PER_REQUEST"),
		DeletionProtectionEnabled:        jsii.Bool(b.env.Production),
		PointInTimeRecoverySpecification: &awsdynamodb.CfnTable_PointInTimeRecoverySpecificationProperty{PointInTimeRecoveryEnabled: jsii.Bool(true)},
		TimeToLiveSpecification:          &awsdynamodb.CfnTable_TimeToLiveSpecificationProperty{AttributeName: jsii.String("ttl"), Enabled: jsii.Bool(true)},
		// AWS's own key for DynamoDB, not one of this stack's: a key that goes
		// with the stack would make the table that stays unreadable.
		SseSpecification: &awsdynamodb.CfnTable_SSESpecificationProperty{SseEnabled: jsii.Bool(true)},
	})
	b.table.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)

	names := b.env.Secrets()
	for _, a := range mesh.Accounts() {
		for _, name := range names[a] {
			b.secret(name, a.Purpose())
		}
	}
}

// secret makes a secret without a value: a person gives it one, so no template,
// history or log of CloudFormation's ever holds it.
func (b *builder) secret(name, what string) {
	if b.secrets[name] != nil { // one account for several purposes
		return
	}
	s := awssecretsmanager.NewCfnSecret(b.stack, jsii.String("Secret"+camel(name)), &awssecretsmanager.CfnSecretProps{
		Name:        jsii.String(b.secretPrefix() + name),
		Description: jsii.String("The Cisco account with which Peerkeeper " + what + `: {"username": "…", "password": "…"}`),
		// No KmsKeyId: AWS's own key, for the same reason as the table's.
	})
	s.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	b.secrets[name] = s
}

// camel makes a logical id of a name: letters and digits only, and different
// for different names.
func camel(name string) string {
	var b strings.Builder
	up := true
	for _, r := range name {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			if up {
				r = unicode.ToUpper(r)
			}
			b.WriteRune(r)
			up = false
		default:
			up = true
		}
	}
	return b.String() + digest(name)
}
