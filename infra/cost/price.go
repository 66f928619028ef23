package cost

import "fmt"

// Noted is when the prices below were written down.
const Noted = "August 2025"

// Item is something that AWS bills.
type Item string

// The items.
const (
	LambdaGBSecond    Item = "Lambda arm64, GB-second"
	LambdaRequest     Item = "Lambda, million requests"
	SchedulerRequest  Item = "EventBridge Scheduler, million invocations"
	DynamoWrite       Item = "DynamoDB on demand, million write units"
	DynamoRead        Item = "DynamoDB on demand, million read units"
	DynamoStorage     Item = "DynamoDB, GB-month"
	DynamoRecovery    Item = "DynamoDB point-in-time recovery, GB-month"
	EndpointHour      Item = "interface endpoint, zone-hour"
	EndpointData      Item = "interface endpoint, GB"
	ResolverHour      Item = "Route 53 Resolver endpoint, address-hour"
	VPNHour           Item = "site-to-site VPN, hour"
	PublicAddressHour Item = "public IPv4 address, hour"
	TransitHour       Item = "Transit Gateway attachment, hour"
	SecretMonth       Item = "Secrets Manager, secret-month"
	SecretRequest     Item = "Secrets Manager, 10,000 requests"
	KeyMonth          Item = "KMS key, month"
	TopicRequest      Item = "SNS, million publications"
	QueueRequest      Item = "SQS, million requests"
	LogIngest         Item = "CloudWatch Logs, GB taken in"
	LogStorage        Item = "CloudWatch Logs, GB-month kept"
	MetricMonth       Item = "CloudWatch, metric-month"
	AlarmMonth        Item = "CloudWatch, alarm-month"
	DashboardMonth    Item = "CloudWatch, dashboard-month"
)

// price is an item's list price in US dollars in the two regions noted.
type price struct {
	item                Item
	usEast1, euCentral1 float64
}

// prices are list prices before tax, discounts and free tiers, from the price
// pages of the services at aws.amazon.com (lambda, eventbridge, dynamodb,
// privatelink, route53, vpn, vpc, transit-gateway, secrets-manager, kms, sns,
// sqs, cloudwatch; each /pricing), written down by hand in August 2025. They
// change: compare before you rely on one. DynamoDB's is the price since
// November 2024, when on demand became half of what it was.
func prices() []price {
	return []price{
		{LambdaGBSecond, 0.0000133334, 0.0000133334},
		{LambdaRequest, 0.20, 0.20},
		{SchedulerRequest, 1.00, 1.00},
		{DynamoWrite, 0.625, 0.7625},
		{DynamoRead, 0.125, 0.1525},
		{DynamoStorage, 0.25, 0.306},
		{DynamoRecovery, 0.20, 0.2448},
		{EndpointHour, 0.01, 0.012},
		{EndpointData, 0.01, 0.01},
		{ResolverHour, 0.125, 0.125},
		{VPNHour, 0.05, 0.05},
		{PublicAddressHour, 0.005, 0.005},
		{TransitHour, 0.05, 0.06},
		{SecretMonth, 0.40, 0.40},
		{SecretRequest, 0.05, 0.05},
		{KeyMonth, 1.00, 1.00},
		{TopicRequest, 0.50, 0.50},
		{QueueRequest, 0.40, 0.40},
		{LogIngest, 0.50, 0.63},
		{LogStorage, 0.03, 0.0324},
		{MetricMonth, 0.30, 0.30},
		{AlarmMonth, 0.10, 0.10},
		{DashboardMonth, 3.00, 3.00},
	}
}

// priceOf is an item's price in a region; in one that is not noted it is
// us-east-1's, and exact is false.
func priceOf(item Item, region string) (usd float64, exact bool) {
	for _, p := range prices() {
		if p.item == item {
			switch region {
			case "us-east-1":
				return p.usEast1, true
			case "eu-central-1":
				return p.euCentral1, true
			}
			return p.usEast1, false
		}
	}
	panic(fmt.Sprintf("no price of %q is noted", item))
}
