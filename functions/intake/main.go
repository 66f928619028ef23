// Intake is the Lambda that takes what nodes pushed into a log group.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"peerkeeper/shared/intake"
	"peerkeeper/shared/lambdahost"
)

func main() {
	f, err := lambdahost.New("intake", os.LookupEnv)
	if err != nil {
		lambdahost.Refuse(os.Stderr, "intake", err)
		os.Exit(1)
	}
	in := intake.New(f.Mesh, f.Store, f.Now, f.Log)
	lambda.Start(lambdahost.Handler(f, in.Handle))
}
