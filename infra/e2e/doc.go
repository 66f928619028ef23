// Package e2e runs what infra deploys against an emulator: the templates that
// infra synthesises for dev, for dev in mode recover with every kind of account,
// with a third cluster and without, and for dev with a log group into which nodes
// push, the built bootstraps with the very environment the template gives them,
// and a simulated mesh.
//
// It is tests only. CloudFormation is not emulated: moto's skips what it does
// not know and says CREATE_COMPLETE all the same. A small applier creates what
// the functions need through the services' own APIs instead, and fails on every
// type, property, reference or intrinsic that it does not understand. The roles
// of the template are held to: a request that they do not allow is refused. What a
// person's command invokes is started here, as Lambda would.
//
// What it does not prove: that CloudFormation takes the template, IAM's own
// reading of a policy, DynamoDB's own atomicity, the network, and that
// EventBridge Scheduler, Lambda and SNS do what AWS says of them.
package e2e
