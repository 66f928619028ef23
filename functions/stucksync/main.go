// Stucksync is the Lambda that judges a mesh from what is stored of it, and
// has its alarms said.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/alarm/sns"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/stucksync"
)

func main() {
	f, err := lambdahost.New("stucksync", os.LookupEnv, lambdahost.Topic)
	if err != nil {
		lambdahost.Refuse(os.Stderr, "stucksync", err)
		os.Exit(1)
	}
	topic := &sns.Sink{API: sns.NewClient(f.AWS, f.Endpoint(lambdahost.SNS)), Topic: f.TopicARN}
	uc := &stucksync.Stucksync{Mesh: f.Mesh, Store: f.Store, Sinks: []alarm.Sink{topic}, Now: f.Now, Log: f.Log}
	lambda.Start(f.Handler(uc.Handle))
}
