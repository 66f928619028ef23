// Package awsclient is how a Lambda's clients of AWS are set up, whichever service
// they are of: who asks, in which region, at which address, and for how long a
// request may take.
//
// All is read from the environment, by AWS's own variables; AWS is asked for
// nothing. The options that are a service's own (what is tried again, and how
// often) are its adapter's: dynamo, secretsmanager and sns each have a NewClient,
// for a Lambda, a person with a profile and a test alike.
package awsclient

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// AWS's variables that are honoured. The endpoint may also be named for one
// service: AWS_ENDPOINT_URL_DYNAMODB, _SECRETS_MANAGER and _SNS.
const (
	varRegion        = "AWS_REGION"
	varDefaultRegion = "AWS_DEFAULT_REGION"
	varKey           = "AWS_ACCESS_KEY_ID"
	varSecretKey     = "AWS_SECRET_ACCESS_KEY"
	varSession       = "AWS_SESSION_TOKEN"
	varEndpoint      = "AWS_ENDPOINT_URL"
	varNoEndpoint    = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
)

// Service is an AWS service by the name that its endpoint variable ends in.
type Service string

// The services.
const (
	DynamoDB       Service = "DYNAMODB"
	SecretsManager Service = "SECRETS_MANAGER"
	SNS            Service = "SNS"
)

// Limits of one request to AWS. An idle function in a VPC may find that its
// connections are gone without a word; the retries need short ones.
const (
	dialWithin    = 2 * time.Second
	requestWithin = 5 * time.Second
	keepAlive     = 15 * time.Second
)

// Environment is a Lambda's, as far as it is about AWS.
type Environment struct {
	lookup func(string) (string, bool)
	client *awshttp.BuildableClient // shared by the clients of all services
}

// FromEnvironment takes os.LookupEnv.
func FromEnvironment(lookup func(string) (string, bool)) Environment {
	return Environment{lookup, awshttp.NewBuildableClient().WithTimeout(requestWithin).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout, d.KeepAlive = dialWithin, keepAlive }).
		WithTransportOptions(func(t *http.Transport) { t.TLSHandshakeTimeout = dialWithin })}
}

func (e Environment) first(names ...string) string {
	for _, n := range names {
		if v, _ := e.lookup(n); v != "" {
			return v
		}
	}
	return ""
}

// Missing names the variables without which nothing can be asked.
func (e Environment) Missing() []string {
	var out []string
	for _, names := range [][]string{{varRegion, varDefaultRegion}, {varKey}, {varSecretKey}} {
		if e.first(names...) == "" {
			out = append(out, names[0])
		}
	}
	return out
}

// Check says which endpoint is none.
func (e Environment) Check() error {
	for _, s := range []Service{DynamoDB, SecretsManager, SNS} {
		if at := e.endpoint(s); at != "" {
			if u, err := url.Parse(at); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return fmt.Errorf("the endpoint of %s is %q: want http(s)://HOST", s, at)
			}
		}
	}
	return nil
}

// Config is for the client of a service.
func (e Environment) Config(s Service) aws.Config {
	cfg := aws.Config{Region: e.first(varRegion, varDefaultRegion), Credentials: e, HTTPClient: e.client}
	if at := e.endpoint(s); at != "" {
		cfg.BaseEndpoint = aws.String(at)
	}
	return cfg
}

// endpoint is where a service is to be found if not at its own address; "" is
// its own.
func (e Environment) endpoint(s Service) string {
	if ignore, _ := e.lookup(varNoEndpoint); strings.EqualFold(ignore, "true") {
		return ""
	}
	return e.first(varEndpoint+"_"+string(s), varEndpoint)
}

// Retrieve implements aws.CredentialsProvider. The function's role is what Lambda
// puts into the environment; it does not change while the process lives.
func (e Environment) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: e.first(varKey), SecretAccessKey: e.first(varSecretKey), SessionToken: e.first(varSession), Source: "environment"}, nil
}
