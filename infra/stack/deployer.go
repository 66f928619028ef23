package stack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"peerkeeper/infra/environment"
)

// right is what CloudFormation needs to make, change and remove some types of
// resources. Written from the services' own lists of actions; without an
// account it has not been tried.
type right struct {
	types     []string
	actions   []string
	resources []string // ARNs after arn:aws:, with REGION, ACCOUNT, NAME and TABLE to be filled in; * is everything
}

// rights are all of them. None reads a secret's value or an item.
func rights() []right {
	return []right{
		{
			[]string{"VPC", "Subnet", "RouteTable", "SubnetRouteTableAssociation", "Route", "SecurityGroup", "SecurityGroupEgress", "VPCEndpoint", "FlowLog",
				"VPNGateway", "VPCGatewayAttachment", "CustomerGateway", "VPNConnection", "VPNConnectionRoute", "TransitGatewayVpcAttachment"},
			[]string{
				"ec2:CreateVpc", "ec2:DeleteVpc", "ec2:ModifyVpcAttribute", "ec2:CreateSubnet", "ec2:DeleteSubnet", "ec2:ModifySubnetAttribute",
				"ec2:CreateRouteTable", "ec2:DeleteRouteTable", "ec2:AssociateRouteTable", "ec2:DisassociateRouteTable", "ec2:CreateRoute", "ec2:DeleteRoute", "ec2:ReplaceRoute",
				"ec2:CreateSecurityGroup", "ec2:DeleteSecurityGroup", "ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress",
				"ec2:UpdateSecurityGroupRuleDescriptionsEgress", "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
				"ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint", "ec2:DeleteVpcEndpoints", "ec2:CreateFlowLogs", "ec2:DeleteFlowLogs",
				"ec2:CreateVpnGateway", "ec2:DeleteVpnGateway", "ec2:AttachVpnGateway", "ec2:DetachVpnGateway", "ec2:CreateCustomerGateway", "ec2:DeleteCustomerGateway",
				"ec2:CreateVpnConnection", "ec2:ModifyVpnConnection", "ec2:DeleteVpnConnection", "ec2:CreateVpnConnectionRoute", "ec2:DeleteVpnConnectionRoute",
				"ec2:CreateTransitGatewayVpcAttachment", "ec2:ModifyTransitGatewayVpcAttachment", "ec2:DeleteTransitGatewayVpcAttachment",
				"ec2:CreateTags", "ec2:DeleteTags", "ec2:Describe*", "ec2:GetManagedPrefixListEntries",
				"route53:AssociateVPCWithHostedZone", // an endpoint's private DNS
			},
			[]string{"*"}, // most have no name before they are made; the region limits them
		},
		{
			[]string{"ResolverEndpoint", "ResolverRule", "ResolverRuleAssociation"},
			[]string{
				"route53resolver:CreateResolverEndpoint", "route53resolver:DeleteResolverEndpoint", "route53resolver:GetResolverEndpoint", "route53resolver:UpdateResolverEndpoint",
				"route53resolver:AssociateResolverEndpointIpAddress", "route53resolver:DisassociateResolverEndpointIpAddress", "route53resolver:ListResolverEndpointIpAddresses", "route53resolver:ListResolverEndpoints",
				"route53resolver:CreateResolverRule", "route53resolver:DeleteResolverRule", "route53resolver:GetResolverRule", "route53resolver:UpdateResolverRule", "route53resolver:ListResolverRules",
				"route53resolver:AssociateResolverRule", "route53resolver:DisassociateResolverRule", "route53resolver:GetResolverRuleAssociation", "route53resolver:ListResolverRuleAssociations",
				"route53resolver:TagResource", "route53resolver:UntagResource", "route53resolver:ListTagsForResource", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
			},
			[]string{"*"},
		},
		{
			[]string{"Role", "ManagedPolicy"},
			[]string{
				"iam:CreateRole", "iam:DeleteRole", "iam:GetRole", "iam:UpdateRole", "iam:UpdateRoleDescription", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:GetRolePolicy",
				"iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:TagRole", "iam:UntagRole", "iam:PassRole",
				"iam:CreatePolicy", "iam:DeletePolicy", "iam:GetPolicy", "iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:GetPolicyVersion", "iam:ListPolicyVersions", "iam:ListEntitiesForPolicy",
			},
			[]string{"iam::ACCOUNT:role/NAME-*", "iam::ACCOUNT:policy/NAME-*"},
		},
		{
			[]string{"Function", "EventInvokeConfig"},
			[]string{
				"lambda:CreateFunction", "lambda:DeleteFunction", "lambda:GetFunction", "lambda:GetFunctionConfiguration", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration",
				"lambda:GetFunctionCodeSigningConfig", "lambda:GetRuntimeManagementConfig", "lambda:GetFunctionRecursionConfig", "lambda:ListTags", "lambda:TagResource", "lambda:UntagResource",
				"lambda:PutFunctionEventInvokeConfig", "lambda:UpdateFunctionEventInvokeConfig", "lambda:DeleteFunctionEventInvokeConfig", "lambda:GetFunctionEventInvokeConfig",
			},
			[]string{"lambda:REGION:ACCOUNT:function:NAME-*"},
		},
		{
			[]string{"Function", "Permission"},
			[]string{"lambda:AddPermission", "lambda:RemovePermission", "lambda:GetPolicy", "lambda:PutFunctionConcurrency", "lambda:DeleteFunctionConcurrency", "lambda:GetFunctionConcurrency"},
			[]string{"lambda:REGION:ACCOUNT:function:NAME-intake"},
		},
		{
			[]string{"SubscriptionFilter"},
			[]string{"logs:PutSubscriptionFilter", "logs:DeleteSubscriptionFilter", "logs:DescribeSubscriptionFilters"},
			[]string{"logs:REGION:ACCOUNT:log-group:SYSLOG:*"},
		},
		{[]string{"Function"}, []string{"s3:GetObject"}, []string{"s3:::cdk-*-assets-ACCOUNT-REGION/*"}},
		{
			[]string{"Schedule", "ScheduleGroup"},
			[]string{
				"scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:GetSchedule", "scheduler:UpdateSchedule",
				"scheduler:CreateScheduleGroup", "scheduler:DeleteScheduleGroup", "scheduler:GetScheduleGroup", "scheduler:ListTagsForResource", "scheduler:TagResource", "scheduler:UntagResource",
			},
			[]string{"scheduler:REGION:ACCOUNT:schedule/NAME/*", "scheduler:REGION:ACCOUNT:schedule-group/NAME"},
		},
		{
			[]string{"Table"},
			[]string{
				"dynamodb:CreateTable", "dynamodb:DescribeTable", "dynamodb:UpdateTable", "dynamodb:DescribeContinuousBackups", "dynamodb:UpdateContinuousBackups",
				"dynamodb:DescribeTimeToLive", "dynamodb:UpdateTimeToLive", "dynamodb:DescribeContributorInsights", "dynamodb:DescribeKinesisStreamingDestination", "dynamodb:GetResourcePolicy",
				"dynamodb:ListTagsOfResource", "dynamodb:TagResource", "dynamodb:UntagResource",
			}, // no DeleteTable: the table stays
			[]string{"dynamodb:REGION:ACCOUNT:table/TABLE"},
		},
		{
			[]string{"Secret"},
			[]string{"secretsmanager:CreateSecret", "secretsmanager:DescribeSecret", "secretsmanager:UpdateSecret", "secretsmanager:TagResource", "secretsmanager:UntagResource"}, // no DeleteSecret: they stay
			[]string{"secretsmanager:REGION:ACCOUNT:secret:PREFIX*"},
		},
		{[]string{"Key"}, []string{"kms:CreateKey"}, []string{"*"}},
		{
			[]string{"Key", "Topic", "Table"},
			[]string{
				"kms:DescribeKey", "kms:EnableKeyRotation", "kms:DisableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion",
				"kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription", "kms:CreateGrant",
			},
			[]string{"kms:REGION:ACCOUNT:key/*"},
		},
		{
			[]string{"Topic", "TopicPolicy"},
			[]string{
				"sns:CreateTopic", "sns:DeleteTopic", "sns:GetTopicAttributes", "sns:SetTopicAttributes", "sns:GetDataProtectionPolicy", "sns:ListSubscriptionsByTopic",
				"sns:ListTagsForResource", "sns:TagResource", "sns:UntagResource",
			},
			[]string{"sns:REGION:ACCOUNT:NAME-*"},
		},
		{
			[]string{"Queue", "QueuePolicy"},
			[]string{"sqs:CreateQueue", "sqs:DeleteQueue", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SetQueueAttributes", "sqs:ListQueueTags", "sqs:TagQueue", "sqs:UntagQueue"},
			[]string{"sqs:REGION:ACCOUNT:NAME-*"},
		},
		{
			[]string{"LogGroup"},
			[]string{
				"logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:DeleteRetentionPolicy", "logs:ListTagsForResource", "logs:TagResource", "logs:UntagResource",
				"logs:GetDataProtectionPolicy", "logs:DescribeIndexPolicies",
			},
			[]string{"logs:REGION:ACCOUNT:log-group:/aws/lambda/NAME-*", "logs:REGION:ACCOUNT:log-group:/peerkeeper/ENV/*"},
		},
		{[]string{"LogGroup"}, []string{"logs:DescribeLogGroups"}, []string{"*"}},
		{
			[]string{"Alarm"},
			[]string{"cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource", "cloudwatch:TagResource", "cloudwatch:UntagResource"},
			[]string{"cloudwatch:REGION:ACCOUNT:alarm:NAME-*"},
		},
		{[]string{"Dashboard"}, []string{"cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard"}, []string{"cloudwatch::ACCOUNT:dashboard/NAME"}},
		{[]string{"Stack"}, []string{"ssm:GetParameters"}, []string{"ssm:REGION:ACCOUNT:parameter/cdk-bootstrap/*"}}, // the stack's own check that CDK is bootstrapped
	}
}

// Deployer are the two policies (network, and the rest: one would be longer
// than IAM takes) for CloudFormation's role in an environment. Give them to cdk
// bootstrap instead of the AdministratorAccess that it takes otherwise.
func Deployer(env *environment.Environment) (network, rest []byte, err error) {
	fill := strings.NewReplacer("REGION", env.Region, "ACCOUNT", env.Account, "NAME", Name(env.Name), "TABLE", env.Table, "ENV", env.Name, "PREFIX", "peerkeeper/"+env.Name+"/", "SYSLOG", env.SyslogGroup)
	parts := map[bool][]any{}
	for _, r := range rights() {
		if env.SyslogGroup == "" && (slices.Contains(r.types, "SubscriptionFilter") || slices.Contains(r.types, "Permission")) {
			continue
		}
		s := object{"Effect": "Allow", "Action": slices.Sorted(slices.Values(r.actions))}
		var on []string
		for _, arn := range r.resources {
			if arn != "*" {
				arn = "arn:aws:" + fill.Replace(arn)
			} else {
				s["Condition"] = object{"StringEquals": object{"aws:RequestedRegion": []string{env.Region, "us-east-1"}}} // Route 53's is us-east-1
			}
			on = append(on, arn)
		}
		s["Resource"] = on
		isNetwork := slices.Contains(r.types, "VPC") || slices.Contains(r.types, "ResolverEndpoint")
		parts[isNetwork] = append(parts[isNetwork], s)
	}
	network, err = json.Marshal(policy(parts[true]...))
	if err != nil {
		return nil, nil, fmt.Errorf("writing the deployer's policy: %w", err)
	}
	rest, err = json.Marshal(policy(parts[false]...))
	if err != nil {
		return nil, nil, fmt.Errorf("writing the deployer's policy: %w", err)
	}
	return network, rest, nil
}
