// Looks makes the clients of AWS that a function that looks makes, and nothing
// else: what such a function's start is measured against.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/awsclient"
	"peerkeeper/shared/secret/secretsmanager"
	"peerkeeper/shared/store/dynamo"
)

func main() {
	aws := awsclient.FromEnvironment(os.LookupEnv)
	clients := []any{
		dynamo.NewClient(aws.Config(awsclient.DynamoDB)),
		secretsmanager.NewClient(aws.Config(awsclient.SecretsManager)),
	}
	lambda.Start(func() (int, error) { return len(clients), nil })
}
