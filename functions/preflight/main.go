// Preflight is the Lambda that carries out the chapter's checks of a mesh.
package main

import (
	"net"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/awsclient"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/preflight"
	"peerkeeper/shared/secret/secretsmanager"
	"peerkeeper/shared/useraudit"
)

func main() {
	f, err := lambdahost.New("preflight", os.LookupEnv, lambdahost.Secrets)
	if err != nil {
		lambdahost.Refuse(os.Stderr, "preflight", err)
		os.Exit(1)
	}
	secrets := &secretsmanager.Source{API: secretsmanager.NewClient(f.AWS.Config(awsclient.SecretsManager)), Prefix: f.SecretPrefix}
	clusters := &cluster.Connector{Dialect: cluster.NewDialect(f.Mesh.Dialect), Secrets: secrets, Now: f.Now, Log: f.Log}
	f.Requests = func() int64 { return clusters.Counts().Requests }
	uc := &preflight.Preflight{Mesh: f.Mesh, Store: f.Store, Clusters: clusters, Audit: (*useraudit.Audit).Run, Dial: &net.Dialer{}, Now: f.Now, Log: f.Log}
	lambda.Start(lambdahost.Handler(f, uc.Handle))
}
