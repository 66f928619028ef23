// Certcheck is the Lambda that looks at the certificates and names of a mesh,
// and at the trust stores of the clusters that have an account for them.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/awsclient"
	"peerkeeper/shared/certcheck"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/secret/secretsmanager"
	"peerkeeper/shared/tlsprobe"
)

func main() {
	f, err := lambdahost.New("certcheck", os.LookupEnv, lambdahost.PlatformSecrets)
	if err != nil {
		lambdahost.Refuse(os.Stderr, "certcheck", err)
		os.Exit(1)
	}
	uc := &certcheck.Certcheck{Mesh: f.Mesh, Store: f.Store, TLS: tlsprobe.Prober{}, DNS: &dnsprobe.Client{Domain: f.Mesh.Domain}, Now: f.Now, Log: f.Log}
	if f.ReadsPlatform() {
		secrets := &secretsmanager.Source{API: secretsmanager.NewClient(f.AWS.Config(awsclient.SecretsManager)), Prefix: f.SecretPrefix}
		uc.Platform = &cluster.Platform{Secrets: secrets, Now: f.Now}
	}
	lambda.Start(lambdahost.Handler(f, uc.Handle))
}
