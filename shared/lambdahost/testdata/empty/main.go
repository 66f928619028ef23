// Empty is the smallest Lambda there is: what the others are measured against.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() (string, error) { return "", nil }) }
