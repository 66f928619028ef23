// Peersync is the Lambda that looks at every cluster of a mesh.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/awsclient"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/secret/secretsmanager"
)

func main() {
	f, err := lambdahost.New("peersync", os.LookupEnv, lambdahost.Secrets)
	if err != nil {
		lambdahost.Refuse(os.Stderr, "peersync", err)
		os.Exit(1)
	}
	secrets := &secretsmanager.Source{API: secretsmanager.NewClient(f.AWS.Config(awsclient.SecretsManager)), Prefix: f.SecretPrefix}
	clusters := &cluster.Connector{Dialect: cluster.NewDialect(f.Mesh.Dialect), Secrets: secrets, Now: f.Now, Log: f.Log}
	f.Requests = func() int64 { return clusters.Counts().Requests }
	uc := &peersync.Peersync{Mesh: f.Mesh, Store: f.Store, Clusters: clusters, Now: f.Now, Log: f.Log}
	lambda.Start(lambdahost.Handler(f, uc.Handle))
}
