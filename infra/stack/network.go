package stack

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53resolver"
	"github.com/aws/jsii-runtime-go"

	"peerkeeper/infra/environment"
)

// network is what the rest of the stack needs of the network.
type network struct {
	vpc     *string
	subnets []*string
	zones   []string  // of subnets, in the same order
	tables  []*string // route tables, each once
	group   *string   // the security group that all functions share
	// addresses are endpoints that have no private DNS, by the variable that
	// tells the AWS SDK.
	addresses map[string]*string
	ways      []awscdk.CfnResource // what must be there before a function runs
	vpn       awsec2.CfnVPNConnection
}

func (b *builder) network() {
	b.net.addresses = map[string]*string{}
	if b.env.Network.Create != nil {
		b.createVPC(*b.env.Network.Create)
	} else {
		for _, s := range b.env.Network.Attach.Subnets {
			b.net.subnets = append(b.net.subnets, jsii.String(s.ID))
			b.net.zones = append(b.net.zones, s.Zone)
			if s.RouteTable != "" && !slices.ContainsFunc(b.net.tables, func(t *string) bool { return *t == s.RouteTable }) {
				b.net.tables = append(b.net.tables, jsii.String(s.RouteTable))
			}
		}
		b.net.vpc = jsii.String(b.env.Network.Attach.VPC)
	}
	b.link()
	b.groups()
	b.forward()
}

func named(name string) *[]*awscdk.CfnTag {
	return &[]*awscdk.CfnTag{{Key: jsii.String("Name"), Value: &name}}
}

// createVPC makes a VPC with no way out: no internet gateway, no NAT. One route
// table serves all subnets, since all routes are the same.
func (b *builder) createVPC(c environment.Create) {
	name := Name(b.env.Name)
	vpc := awsec2.NewCfnVPC(b.stack, jsii.String("Vpc"), &awsec2.CfnVPCProps{
		CidrBlock: jsii.String(c.CIDR.String()), EnableDnsSupport: jsii.Bool(true), EnableDnsHostnames: jsii.Bool(true), Tags: named(name),
	})
	table := awsec2.NewCfnRouteTable(b.stack, jsii.String("Routes"), &awsec2.CfnRouteTableProps{VpcId: vpc.Ref(), Tags: named(name)})
	for i, cidr := range c.Subnets() {
		id := "Subnet" + strings.ToUpper(c.Zones[i][len(c.Zones[i])-1:])
		s := awsec2.NewCfnSubnet(b.stack, &id, &awsec2.CfnSubnetProps{
			VpcId: vpc.Ref(), CidrBlock: jsii.String(cidr.String()), AvailabilityZone: jsii.String(c.Zones[i]), MapPublicIpOnLaunch: jsii.Bool(false),
			Tags: named(name + "-" + c.Zones[i]),
		})
		awsec2.NewCfnSubnetRouteTableAssociation(b.stack, jsii.String(id+"Routes"), &awsec2.CfnSubnetRouteTableAssociationProps{SubnetId: s.Ref(), RouteTableId: table.Ref()})
		b.net.subnets = append(b.net.subnets, s.Ref())
		b.net.zones = append(b.net.zones, c.Zones[i])
	}
	b.net.vpc, b.net.tables = vpc.Ref(), []*string{table.Ref()}

	// What was refused on the way to a cluster, or came uninvited. Accepted
	// traffic is in the functions' own logs and would only cost.
	logs := awslogs.NewCfnLogGroup(b.stack, jsii.String("RefusedLogs"), &awslogs.CfnLogGroupProps{
		LogGroupName: jsii.String("/peerkeeper/" + b.env.Name + "/refused"), RetentionInDays: jsii.Number(b.env.LogDays),
	})
	logs.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil)
	role := awsiam.NewCfnRole(b.stack, jsii.String("RefusedRole"), &awsiam.CfnRoleProps{
		Description: jsii.String("Writes the VPC's flow log"),
		AssumeRolePolicyDocument: policy(object{
			"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": object{"Service": "vpc-flow-logs.amazonaws.com"},
			"Condition": object{"StringEquals": object{"aws:SourceAccount": b.env.Account}},
		}),
		Policies: []any{&awsiam.CfnRole_PolicyProperty{PolicyName: jsii.String("write"), PolicyDocument: policy(object{
			"Effect": "Allow", "Action": []string{"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}, "Resource": logs.AttrArn(),
		})}},
	})
	awsec2.NewCfnFlowLog(b.stack, jsii.String("Refused"), &awsec2.CfnFlowLogProps{
		ResourceId: vpc.Ref(), ResourceType: jsii.String("VPC"), TrafficType: jsii.String("REJECT"),
		LogGroupName: logs.Ref(), DeliverLogsPermissionArn: role.AttrArn(),
	})
}

// link connects the VPC to the clusters' networks.
func (b *builder) link() {
	link := b.env.Network.Link
	switch {
	case link.TransitGateway != "":
		a := awsec2.NewCfnTransitGatewayVpcAttachment(b.stack, jsii.String("Link"), &awsec2.CfnTransitGatewayVpcAttachmentProps{
			TransitGatewayId: jsii.String(link.TransitGateway), VpcId: b.net.vpc, SubnetIds: b.onePerZone(), Tags: named(Name(b.env.Name)),
		})
		b.routes(&awsec2.CfnRouteProps{TransitGatewayId: jsii.String(link.TransitGateway)}, a)
	case link.VPN != nil:
		g := awsec2.NewCfnVPNGateway(b.stack, jsii.String("Gateway"), &awsec2.CfnVPNGatewayProps{Type: jsii.String("ipsec.1"), Tags: named(Name(b.env.Name))})
		if link.VPN.ASN != 0 {
			g.SetAmazonSideAsn(jsii.Number(link.VPN.ASN))
		}
		a := awsec2.NewCfnVPCGatewayAttachment(b.stack, jsii.String("Link"), &awsec2.CfnVPCGatewayAttachmentProps{VpcId: b.net.vpc, VpnGatewayId: g.Ref()})
		// Static routes also where BGP is spoken: propagation would take
		// whatever the site announces, a default route included.
		b.routes(&awsec2.CfnRouteProps{GatewayId: g.Ref()}, a)
		if c := link.VPN.CustomerGateway; c != nil {
			b.site(g, *c)
		}
	}
}

func (b *builder) site(g awsec2.CfnVPNGateway, c environment.CustomerGateway) {
	site := awsec2.NewCfnCustomerGateway(b.stack, jsii.String("Site"), &awsec2.CfnCustomerGatewayProps{
		Type: jsii.String("ipsec.1"), IpAddress: jsii.String(c.Address.String()), Tags: named(Name(b.env.Name)),
	})
	if c.ASN <= 1<<31-1 { // CloudFormation has another property for the upper half
		site.SetBgpAsn(jsii.Number(c.ASN))
	} else {
		site.SetBgpAsnExtended(jsii.Number(c.ASN))
	}
	// The pre-shared keys are AWS's to make; they are not in the template.
	b.net.vpn = awsec2.NewCfnVPNConnection(b.stack, jsii.String("Vpn"), &awsec2.CfnVPNConnectionProps{
		Type: jsii.String("ipsec.1"), CustomerGatewayId: site.Ref(), VpnGatewayId: g.Ref(), StaticRoutesOnly: jsii.Bool(c.Static), Tags: named(Name(b.env.Name)),
	})
	if !c.Static {
		return
	}
	for _, p := range b.env.Network.OnPremises {
		awsec2.NewCfnVPNConnectionRoute(b.stack, jsii.String("VpnRoute"+digest(p.String())), &awsec2.CfnVPNConnectionRouteProps{
			VpnConnectionId: b.net.vpn.Ref(), DestinationCidrBlock: jsii.String(p.String()),
		})
	}
}

// routes sends the clusters' networks over the link, once it is there.
func (b *builder) routes(to *awsec2.CfnRouteProps, after awscdk.CfnResource) {
	for i, table := range b.net.tables {
		for _, p := range b.env.Network.OnPremises {
			props := *to
			props.RouteTableId, props.DestinationCidrBlock = table, jsii.String(p.String())
			r := awsec2.NewCfnRoute(b.stack, jsii.String(fmt.Sprintf("Route%d%s", i, digest(p.String()))), &props)
			r.AddDependency(after)
			b.net.ways = append(b.net.ways, r)
		}
	}
}

// onePerZone picks a subnet in each zone: what a Transit Gateway and an
// endpoint take.
func (b *builder) onePerZone(zones ...string) *[]*string {
	var out []*string
	var had []string
	for i, z := range b.net.zones {
		if !slices.Contains(had, z) && (len(zones) == 0 || slices.Contains(zones, z)) {
			had, out = append(had, z), append(out, b.net.subnets[i])
		}
	}
	return &out
}

// digest tells two names apart in a logical id. It is not for secrecy.
func digest(s string) string { return fmt.Sprintf("%08X", crc32.ChecksumIEEE([]byte(s))) }

// groups are the security group that all functions share, by which they reach
// AWS, and the endpoints behind it. DNS at the VPC's own resolver needs no rule:
// security groups do not see it.
func (b *builder) groups() {
	n := b.env.Network
	group := awsec2.NewCfnSecurityGroup(b.stack, jsii.String("FunctionGroup"), &awsec2.CfnSecurityGroupProps{
		VpcId: b.net.vpc, GroupDescription: jsii.String("Peerkeeper " + b.env.Name + ": the functions"), Tags: named(b.name("functions")),
		SecurityGroupEgress: []any{&awsec2.CfnSecurityGroup_EgressProperty{
			DestinationPrefixListId: jsii.String(n.DynamoDBPrefixList), IpProtocol: jsii.String("tcp"), FromPort: jsii.Number(443), ToPort: jsii.Number(443),
			Description: jsii.String("DynamoDB"),
		}},
	})
	b.net.group = group.AttrGroupId()

	if !n.Endpoints.Has("dynamodb") {
		b.net.ways = append(b.net.ways, awsec2.NewCfnVPCEndpoint(b.stack, jsii.String("DynamodbEndpoint"), &awsec2.CfnVPCEndpointProps{
			VpcId: b.net.vpc, VpcEndpointType: jsii.String("Gateway"), ServiceName: jsii.String("com.amazonaws." + b.env.Region + ".dynamodb"),
			RouteTableIds: &b.net.tables, PolicyDocument: b.onlyOurs(itemActions(), b.arn("dynamodb", "table/"+b.env.Table)),
		}))
	}
	endpoints := jsii.String(n.Endpoints.SecurityGroup)
	if !n.Endpoints.Has("secretsmanager") || !n.Endpoints.Has("sns") {
		own := awsec2.NewCfnSecurityGroup(b.stack, jsii.String("EndpointGroup"), &awsec2.CfnSecurityGroupProps{
			VpcId: b.net.vpc, GroupDescription: jsii.String("Peerkeeper " + b.env.Name + ": the endpoints"), Tags: named(b.name("endpoints")),
			SecurityGroupIngress: []any{&awsec2.CfnSecurityGroup_IngressProperty{
				SourceSecurityGroupId: b.net.group, IpProtocol: jsii.String("tcp"), FromPort: jsii.Number(443), ToPort: jsii.Number(443), Description: jsii.String("The functions"),
			}},
			// An endpoint opens no connection; without a rule of its own a
			// group would be let out to everywhere.
			SecurityGroupEgress: []any{&awsec2.CfnSecurityGroup_EgressProperty{
				CidrIp: jsii.String("127.0.0.1/32"), IpProtocol: jsii.String("-1"), Description: jsii.String("Nowhere"),
			}},
		})
		b.endpoint("SecretsmanagerEndpoint", "secretsmanager", "SECRETS_MANAGER", own, []string{"secretsmanager:GetSecretValue"}, b.arn("secretsmanager", "secret:"+b.secretPrefix()+"*"))
		b.endpoint("SnsEndpoint", "sns", "SNS", own, []string{"sns:Publish"}, b.arn("sns", b.name("alarms")))
		b.toEndpoints("Endpoints", group, own.AttrGroupId())
	}
	if *endpoints != "" {
		b.toEndpoints("ExistingEndpoints", group, endpoints)
	}
}

func (b *builder) toEndpoints(id string, from awsec2.CfnSecurityGroup, to *string) {
	b.net.ways = append(b.net.ways, awsec2.NewCfnSecurityGroupEgress(b.stack, jsii.String("FunctionGroupTo"+id), &awsec2.CfnSecurityGroupEgressProps{
		GroupId: from.AttrGroupId(), DestinationSecurityGroupId: to, IpProtocol: jsii.String("tcp"), FromPort: jsii.Number(443), ToPort: jsii.Number(443),
		Description: jsii.String("Endpoints of AWS services"),
	}))
}

// endpoint makes an interface endpoint, unless there is one. In a VPC that is
// not ours it has no private DNS: that would lead everybody in the VPC to an
// endpoint made for us, and fails where there is another. The functions are
// told its own name instead.
func (b *builder) endpoint(id, service, variable string, group awsec2.CfnSecurityGroup, actions []string, resource string) {
	n := b.env.Network
	if n.Endpoints.Has(service) {
		return
	}
	ours := n.Create != nil
	e := awsec2.NewCfnVPCEndpoint(b.stack, &id, &awsec2.CfnVPCEndpointProps{
		VpcId: b.net.vpc, VpcEndpointType: jsii.String("Interface"), ServiceName: jsii.String("com.amazonaws." + b.env.Region + "." + service),
		SubnetIds: b.onePerZone(n.Endpoints.Zones...), SecurityGroupIds: &[]*string{group.AttrGroupId()}, PrivateDnsEnabled: jsii.Bool(ours),
		PolicyDocument: b.onlyOurs(actions, resource),
	})
	if ours {
		b.net.ways = append(b.net.ways, e)
	} else {
		// DnsEntries are "zone:name"; the first is the regional name.
		name := awscdk.Fn_Select(jsii.Number(1), awscdk.Fn_Split(jsii.String(":"), awscdk.Fn_Select(jsii.Number(0), e.AttrDnsEntries()), nil))
		b.net.addresses["AWS_ENDPOINT_URL_"+variable] = awscdk.Fn_Join(jsii.String(""), &[]*string{jsii.String("https://"), name})
	}
}

// onlyOurs is an endpoint's policy: this account, for what the functions do to
// our resources. A gateway endpoint in an attached VPC serves everybody whose
// route table it is in, so there it is left as AWS makes it.
func (b *builder) onlyOurs(actions []string, resource string) any {
	if b.env.Network.Create == nil && strings.HasPrefix(actions[0], "dynamodb:") {
		return nil
	}
	return policy(object{
		"Effect": "Allow", "Principal": "*", "Action": actions, "Resource": resource,
		"Condition": object{"StringEquals": object{"aws:PrincipalAccount": b.env.Account}},
	})
}

// forward has Route 53 Resolver ask the clusters' DNS servers. In an attached
// VPC that holds for everybody in it.
func (b *builder) forward() {
	rules := b.env.Network.Forward
	if len(rules) == 0 {
		return
	}
	var egress []any
	var had []string
	for _, r := range rules {
		for _, s := range r.Servers {
			if slices.Contains(had, s.String()) {
				continue
			}
			had = append(had, s.String())
			for _, protocol := range []string{"udp", "tcp"} {
				egress = append(egress, &awsec2.CfnSecurityGroup_EgressProperty{
					CidrIp: jsii.String(s.String() + "/32"), IpProtocol: jsii.String(protocol), FromPort: jsii.Number(53), ToPort: jsii.Number(53), Description: jsii.String("DNS"),
				})
			}
		}
	}
	group := awsec2.NewCfnSecurityGroup(b.stack, jsii.String("ResolverGroup"), &awsec2.CfnSecurityGroupProps{
		VpcId: b.net.vpc, GroupDescription: jsii.String("Peerkeeper " + b.env.Name + ": Route 53 Resolver"), SecurityGroupEgress: egress, Tags: named(b.name("resolver")),
	})
	var addresses []any
	for _, s := range (*b.onePerZone())[:2] { // two at least, and two are enough
		addresses = append(addresses, &awsroute53resolver.CfnResolverEndpoint_IpAddressRequestProperty{SubnetId: s})
	}
	e := awsroute53resolver.NewCfnResolverEndpoint(b.stack, jsii.String("Resolver"), &awsroute53resolver.CfnResolverEndpointProps{
		Name: jsii.String(Name(b.env.Name)), Direction: jsii.String("OUTBOUND"), IpAddresses: addresses, SecurityGroupIds: &[]*string{group.AttrGroupId()},
	})
	for _, r := range rules {
		var targets []any
		for _, s := range r.Servers {
			targets = append(targets, &awsroute53resolver.CfnResolverRule_TargetAddressProperty{Ip: jsii.String(s.String()), Port: jsii.String("53")})
		}
		id := "Forward" + camel(r.Domain)
		rule := awsroute53resolver.NewCfnResolverRule(b.stack, &id, &awsroute53resolver.CfnResolverRuleProps{
			RuleType: jsii.String("FORWARD"), DomainName: jsii.String(r.Domain), ResolverEndpointId: e.AttrResolverEndpointId(), TargetIps: targets,
		})
		b.net.ways = append(b.net.ways, awsroute53resolver.NewCfnResolverRuleAssociation(b.stack, jsii.String(id+"Here"), &awsroute53resolver.CfnResolverRuleAssociationProps{
			ResolverRuleId: rule.AttrResolverRuleId(), VpcId: b.net.vpc,
		}))
	}
}

// nextLink is what is left to do for the link, which AWS cannot do alone.
func (b *builder) nextLink() string {
	link := b.env.Network.Link
	switch {
	case link.TransitGateway != "":
		return "Have the owner of " + link.TransitGateway + " accept the attachment if it is shared, and add a route back to the VPC"
	case b.net.vpn != nil:
		return fmt.Sprintf("Configure the site's device: aws ec2 describe-vpn-connections --region %s --vpn-connection-ids %s", b.env.Region, *b.net.vpn.Ref())
	case link.VPN != nil:
		return "Associate the gateway " + Name(b.env.Name) + " with your Direct Connect gateway"
	}
	var ports []string
	for _, f := range deployed(b.env) {
		for _, p := range reaches(b.env.Mesh, f) {
			if n := fmt.Sprint(p.Number); !slices.Contains(ports, n) {
				ports = append(ports, n)
			}
		}
	}
	return "Nothing: the VPC is linked already. Let through the site's firewall: " + strings.Join(ports, ", ")
}
