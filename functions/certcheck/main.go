// Certcheck is the Lambda that looks at the certificates and names of a mesh.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/certcheck"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/tlsprobe"
)

func main() {
	f, err := lambdahost.New("certcheck", os.LookupEnv)
	if err != nil {
		lambdahost.Refuse(os.Stderr, "certcheck", err)
		os.Exit(1)
	}
	uc := &certcheck.Certcheck{Mesh: f.Mesh, Store: f.Store, TLS: tlsprobe.Prober{}, DNS: &dnsprobe.Client{Domain: f.Mesh.Domain}, Now: f.Now, Log: f.Log}
	lambda.Start(f.Handler(uc.Handle))
}
