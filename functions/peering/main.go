// Peering is the Lambda that carries out plans.
package main

import (
	"net"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/awsclient"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/peering"
	"peerkeeper/shared/preflight"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/secret/secretsmanager"
)

func main() {
	f, err := lambdahost.New("peering", os.LookupEnv, lambdahost.Secrets)
	if err != nil {
		lambdahost.Refuse(os.Stderr, "peering", err)
		os.Exit(1)
	}
	secrets := &secretsmanager.Source{API: secretsmanager.NewClient(f.AWS.Config(awsclient.SecretsManager)), Prefix: f.SecretPrefix}
	clusters := &cluster.Connector{Dialect: cluster.NewDialect(f.Mesh.Dialect), Secrets: secrets, Now: f.Now, Log: f.Log}
	f.Requests = func() int64 { return clusters.Counts().Requests }
	before := &preflight.Preflight{Mesh: f.Mesh, Store: f.Store, Clusters: clusters, Dial: &net.Dialer{}, Now: f.Now, Log: f.Log}
	uc := &peering.Peering{Mesh: f.Mesh, Store: f.Store, Clusters: clusters, Preflight: before.Of, Now: f.Now, Log: f.Log, Privilege: repair.GrantPrivilege()}
	lambda.Start(lambdahost.Handler(f, uc.Handle))
}
