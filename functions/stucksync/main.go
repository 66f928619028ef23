// Stucksync is the Lambda that judges a mesh from what is stored of it, and
// has its alarms said. In mode recover it also acts, through the gate.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/alarm/sns"
	"peerkeeper/shared/awsclient"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/secret/secretsmanager"
	"peerkeeper/shared/stucksync"
)

func main() {
	f, err := lambdahost.New("stucksync", os.LookupEnv, lambdahost.Topic, lambdahost.WriteSecrets)
	if err != nil {
		lambdahost.Refuse(os.Stderr, "stucksync", err)
		os.Exit(1)
	}
	topic := &sns.Sink{API: sns.NewClient(f.AWS.Config(awsclient.SNS)), Topic: f.TopicARN}
	uc := &stucksync.Stucksync{Mesh: f.Mesh, Store: f.Store, Sinks: []alarm.Sink{topic}, Now: f.Now, Log: f.Log}
	if f.Acts() {
		secrets := &secretsmanager.Source{API: secretsmanager.NewClient(f.AWS.Config(awsclient.SecretsManager)), Prefix: f.SecretPrefix}
		uc.Clusters = &cluster.Connector{Dialect: cluster.NewDialect(f.Mesh.Dialect), Secrets: secrets, Now: f.Now, Log: f.Log}
		uc.Platform = &cluster.Platform{Secrets: secrets, Now: f.Now}
	}
	lambda.Start(lambdahost.Handler(f, uc.Handle))
}
