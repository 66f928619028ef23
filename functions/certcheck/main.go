// Certcheck is the Lambda that looks at the certificates and names of a mesh.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/certcheck"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/secret/secretsmanager"
	"peerkeeper/shared/tlsprobe"
)

func main() {
	f, err := lambdahost.New("certcheck", os.LookupEnv, lambdahost.Secrets)
	if err != nil {
		lambdahost.Refuse(os.Stderr, "certcheck", err)
		os.Exit(1)
	}
	secrets := &secretsmanager.Source{API: secretsmanager.NewClient(f.AWS, f.Endpoint(lambdahost.SecretsManager)), Prefix: f.SecretPrefix}
	uc := &certcheck.Certcheck{Platform: &cluster.Platform{Secrets: secrets, Now: f.Now},
		Mesh: f.Mesh, Store: f.Store, TLS: tlsprobe.Prober{}, DNS: &dnsprobe.Client{Domain: f.Mesh.Domain}, Now: f.Now, Log: f.Log}
	lambda.Start(f.Handler(uc.Handle))
}
