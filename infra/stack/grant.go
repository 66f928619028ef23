package stack

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store"
)

// Partition is a part of the table by leading key. MESH stands for the mesh's
// name.
type Partition string

// The partitions, as package store names them.
const (
	Live     Partition = "MESH#live"
	Gate     Partition = "MESH#gate"
	Override Partition = "MESH#override"
	Pushed   Partition = "MESH#push"
	Audit    Partition = "MESH#audit#*"
	Users    Partition = "MESH#users"
	Change   Partition = "MESH#change"
)

// key is the partition's leading key in a mesh; a pattern for the audit trail,
// which has one key a month.
func (p Partition) key(meshName string) string {
	switch p {
	case Live:
		return store.Live(meshName)
	case Gate:
		return store.Gate(meshName).PK
	case Override:
		return store.Override(meshName)
	case Pushed:
		return store.Pushed(meshName)
	case Users:
		return store.UsersKey(meshName).PK
	case Change:
		return store.Changes(meshName)
	case Audit:
		return meshName + "#audit#*"
	}
	panic("no such partition: " + string(p))
}

// Items are DynamoDB actions on the items of one partition.
type Items struct {
	Partition Partition
	Actions   []string // without dynamodb:
}

// onAccount is a kind of accounts as the matrix names it. In mode observe nobody
// may read one that may change a cluster, whatever the table says.
func onAccount(a mesh.Account) string {
	if a.Writes() {
		return a.String() + ", mode recover only"
	}
	return a.String()
}

// secretsOf are the names of the secrets of some kinds that a mesh's mode
// grants, each once.
func secretsOf(m *mesh.Mesh, kinds []mesh.Account) []string {
	var out []string
	for _, a := range kinds {
		if a.Writes() && m.Policy.Mode != mesh.Recover {
			continue
		}
		for i := range m.Clusters {
			if name := a.Secret(&m.Clusters[i]); name != "" {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// policyOf is all that a function may do.
func (b *builder) policyOf(f Function, logs awslogs.CfnLogGroup) object {
	var out []any
	allow := func(sid string, resource any, condition object, actions ...string) {
		s := object{"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
		if condition != nil {
			s["Condition"] = condition
		}
		out = append(out, s)
	}
	for _, i := range f.Items {
		allow("Items"+i.id(), b.table.AttrArn(), leading(i.Partition.key(b.env.Mesh.Name)), i.qualified()...)
	}
	var secrets []any
	for _, name := range secretsOf(b.env.Mesh, f.Accounts) {
		secrets = append(secrets, b.secrets[name].Ref()) // the whole ARN with its random end
	}
	if len(secrets) > 0 {
		allow("Accounts", secrets, nil, "secretsmanager:GetSecretValue")
	}
	if f.Publishes {
		allow("Alarms", b.topic.Ref(), nil, "sns:Publish")
		// SNS asks the key in the name of the publisher.
		allow("AlarmKey", b.key.AttrArn(), object{"StringEquals": object{"kms:ViaService": "sns." + b.env.Region + ".amazonaws.com"}},
			"kms:Decrypt", "kms:GenerateDataKey")
	}
	allow("Failures", b.failed.AttrArn(), nil, "sqs:SendMessage")
	allow("Logs", logs.AttrArn(), nil, "logs:CreateLogStream", "logs:PutLogEvents")
	allow("Interfaces", "*", nil, interfaceActions()...)
	// Lambda itself needs those, the code it runs does not (Lambda developer
	// guide, "Giving Lambda functions access to resources in a VPC").
	out = append(out, object{
		"Sid": "InterfacesNotByCode", "Effect": "Deny", "Action": interfaceActions(), "Resource": "*",
		"Condition": object{"ArnEquals": object{"lambda:SourceFunctionArn": b.arn("lambda", "function:"+b.name(f.Name))}},
	})
	return policy(out...)
}

// interfaceActions are what Lambda needs to place a function in a VPC. They
// cannot be limited to a resource.
func interfaceActions() []string {
	return []string{"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses"}
}

// itemActions are all that some function does to items.
func itemActions() []string {
	var out []string
	for _, f := range Functions() {
		for _, i := range f.Items {
			out = append(out, i.qualified()...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// leading limits a statement to items of one leading key. ForAllValues holds
// for a request that names no key at all, so Null shuts that door.
func leading(key string) object {
	operator := "ForAllValues:StringEquals"
	if strings.Contains(key, "*") {
		operator = "ForAllValues:StringLike"
	}
	return object{operator: object{"dynamodb:LeadingKeys": []string{key}}, "Null": object{"dynamodb:LeadingKeys": "false"}}
}

func (i Items) id() string {
	word, _, _ := strings.Cut(strings.TrimPrefix(string(i.Partition), "MESH#"), "#")
	return strings.ToUpper(word[:1]) + word[1:]
}

func (i Items) qualified() []string {
	out := make([]string, len(i.Actions))
	for j, a := range i.Actions {
		out[j] = "dynamodb:" + a
	}
	return out
}

// Person is somebody who uses the command with --table.
type Person struct {
	Name, What string
	Items      []Items
	Invokes    bool // may start the functions now
}

// People are those who may. Each is a managed policy to attach to a role.
func People() []Person {
	see := []string{"GetItem", "Query"}
	say := []string{"GetItem", "PutItem", "Query"}
	return []Person{
		{Name: "reader", What: "sees everything", Items: []Items{{Live, see}, {Gate, []string{"GetItem"}}, {Override, see}, {Pushed, []string{"Query"}}, {Change, []string{"Query"}}, {Audit, see}}},
		// What a person says bumps the pause epoch and moves the audit's head,
		// both in the gate; resuming a rejected account changes AUTH, in live.
		{Name: "operator", What: "sees everything, and may pause, resume, acknowledge, approve, accept certificates and say what plans of changes do", Invokes: true,
			Items: []Items{{Live, say}, {Gate, []string{"GetItem", "PutItem"}}, {Override, say}, {Pushed, []string{"Query"}}, {Change, []string{"Query"}}, {Audit, say}}},
	}
}

// people makes a managed policy for each kind of person; nobody has it until
// it is attached.
func (b *builder) people() {
	for _, p := range People() {
		var out []any
		for _, i := range p.Items {
			out = append(out, object{
				"Sid": "Items" + i.id(), "Effect": "Allow", "Action": i.qualified(), "Resource": b.table.AttrArn(),
				"Condition": leading(i.Partition.key(b.env.Mesh.Name)),
			})
		}
		if p.Invokes {
			var arns []any
			for _, f := range Functions() {
				if f.Subscribes {
					continue // nobody but CloudWatch Logs has what it takes
				}
				arns = append(arns, b.functions[f.Name].AttrArn())
			}
			out = append(out, object{"Sid": "Start", "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arns})
		}
		id := strings.ToUpper(p.Name[:1]) + p.Name[1:]
		awsiam.NewCfnManagedPolicy(b.stack, jsii.String(id), &awsiam.CfnManagedPolicyProps{
			ManagedPolicyName: jsii.String(b.name(p.Name)),
			Description:       jsii.String("Peerkeeper " + b.env.Name + ": " + p.What),
			PolicyDocument:    policy(out...),
		})
	}
}

// Grant is one line of the matrix: who may do what to which.
type Grant struct {
	Who     string
	On      string // a leading key of the table, a kind of secret, or a resource
	Actions []string
}

// Matrix is everything that functions and people may do.
func Matrix() []Grant {
	var out []Grant
	add := func(who, on string, actions ...string) {
		out = append(out, Grant{who, on, slices.Sorted(slices.Values(actions))})
	}
	for _, f := range Functions() {
		for _, i := range f.Items {
			add(f.Name, string(i.Partition), i.qualified()...)
		}
		for _, a := range f.Accounts {
			add(f.Name, onAccount(a), "secretsmanager:GetSecretValue")
		}
		if f.Publishes {
			add(f.Name, "alarm topic", "sns:Publish")
			add(f.Name, "alarm topic's key, through SNS", "kms:Decrypt", "kms:GenerateDataKey")
		}
		add(f.Name, "queue of failed runs", "sqs:SendMessage")
		add(f.Name, "its own logs", "logs:CreateLogStream", "logs:PutLogEvents")
		add(f.Name, "network interfaces, Lambda itself only", interfaceActions()...)
	}
	for _, p := range People() {
		for _, i := range p.Items {
			add(p.Name, string(i.Partition), i.qualified()...)
		}
		if p.Invokes {
			add(p.Name, "the functions", "lambda:InvokeFunction")
		}
	}
	return out
}

// Markdown writes the matrix as a table, with what all functions share said once.
func Markdown(matrix []Grant) string {
	type line struct {
		on, actions string
	}
	who := map[line][]string{}
	var order []line
	for _, g := range matrix {
		l := line{g.On, strings.Join(g.Actions, ", ")}
		if who[l] == nil {
			order = append(order, l)
		}
		who[l] = append(who[l], g.Who)
	}
	place := func(l line) int { return slices.Index(onOrder(), l.on) }
	slices.SortStableFunc(order, func(a, b line) int { return cmp.Compare(place(a), place(b)) })
	var b strings.Builder
	b.WriteString("| on | may | who |\n|---|---|---|\n")
	for _, l := range order {
		on := l.on
		if strings.HasPrefix(on, "MESH#") {
			on = "items `" + on + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", on, l.actions, strings.Join(who[l], ", "))
	}
	return b.String()
}

// onOrder is the order of the matrix's lines: what matters most first.
func onOrder() []string {
	out := []string{string(Gate), string(Live), string(Override), string(Pushed), string(Users), string(Change), string(Audit)}
	for _, a := range mesh.Accounts() {
		out = append(out, onAccount(a))
	}
	return append(out, "alarm topic", "alarm topic's key, through SNS", "the functions", "queue of failed runs", "its own logs", "network interfaces, Lambda itself only")
}
