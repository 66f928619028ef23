// Package lambdahost is what the Lambda functions have in common: they read
// their configuration from the environment, find AWS, and turn an event into a
// request and an answer into log lines and metrics.
//
// It is wiring and judges nothing. It asks AWS for nothing at start; the first
// request goes out when the first event needs it. A function that is not
// configured does not start, and says all that is missing at once.
package lambdahost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // provided.al2023 has no time zone database, and mesh.json names zones

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/store/dynamo"
)

// The variables of the environment, besides AWS's own.
const (
	VarTable        = "PEERKEEPER_TABLE"
	VarTopic        = "PEERKEEPER_TOPIC_ARN"
	VarMesh         = "PEERKEEPER_MESH" // DefaultMesh if unset
	VarSecretPrefix = "PEERKEEPER_SECRET_PREFIX"
)

// DefaultMesh is where `make build` puts the mesh: beside the bootstrap, which
// is the working directory of a Lambda.
const DefaultMesh = "./mesh.json"

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
	varLogLevel      = "AWS_LAMBDA_LOG_LEVEL"
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

// Need is something that not every function has.
type Need int

// The needs.
const (
	Secrets         Need = iota // the prefix of the secrets' names
	WriteSecrets                // the same, but only if the mesh's mode is recover
	PlatformSecrets             // the same, but only if a cluster names platformCredentials
	Topic                       // the topic of the alarms
)

// Function is one Lambda function, configured.
type Function struct {
	Name         string
	Mesh         *mesh.Mesh
	Store        *dynamo.Store
	SecretPrefix string // if it needs Secrets, or the others when they are needed
	TopicARN     string // if it needs Topic
	// AWS is for the clients of the other services.
	AWS aws.Config
	Log *slog.Logger
	// Requests counts the requests to clusters so far; nil if there are none.
	Requests func() int64

	lookup  func(string) (string, bool)
	metrics io.Writer
	runID   *runID
}

// MissingError names the variables that are not set.
type MissingError struct{ Names []string }

func (e *MissingError) Error() string {
	return "not set in the function's environment: " + strings.Join(e.Names, ", ")
}

// New configures a function from its environment (os.LookupEnv). The error
// joins all that is wrong.
func New(name string, lookup func(string) (string, bool), needs ...Need) (*Function, error) {
	return newFunction(name, lookup, os.Stderr, os.Stdout, needs...)
}

func newFunction(name string, lookup func(string) (string, bool), logs, metrics io.Writer, needs ...Need) (*Function, error) {
	f := &Function{Name: name, lookup: lookup, metrics: metrics, runID: &runID{}}
	var missing []string
	need := func(names ...string) string {
		for _, n := range names {
			if v, _ := lookup(n); v != "" {
				return v
			}
		}
		missing = append(missing, names[0])
		return ""
	}
	path, _ := lookup(VarMesh)
	if path == "" {
		path = DefaultMesh
	}
	var errMesh error
	f.Mesh, errMesh = meshfile.LoadJSON(path)
	table := need(VarTable)
	f.AWS.Region = need(varRegion, varDefaultRegion)
	need(varKey)
	need(varSecretKey)
	for _, n := range needs {
		switch n {
		case Topic:
			f.TopicARN = need(VarTopic)
		case Secrets, WriteSecrets, PlatformSecrets:
			if n == WriteSecrets && !f.Acts() || n == PlatformSecrets && !f.ReadsPlatform() {
				continue
			}
			prefix, set := lookup(VarSecretPrefix) // may be empty on purpose
			if !set {
				missing = append(missing, VarSecretPrefix)
			}
			f.SecretPrefix = prefix
		}
	}
	var errs []error
	if len(missing) > 0 {
		errs = append(errs, &MissingError{missing})
	}
	for _, s := range []Service{DynamoDB, SecretsManager, SNS} {
		if e := f.Endpoint(s); e != "" {
			if u, err := url.Parse(e); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				errs = append(errs, fmt.Errorf("the endpoint of %s is %q: want http(s)://HOST", s, e))
			}
		}
	}
	if errMesh != nil {
		errs = append(errs, errMesh)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s cannot start: %w", name, err)
	}
	f.Log = logger(logs, f.runID, level(lookup)).With("function", name, "mesh", f.Mesh.Name)
	f.AWS.Credentials = environment{lookup}
	f.AWS.HTTPClient = awshttp.NewBuildableClient().WithTimeout(requestWithin).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout, d.KeepAlive = dialWithin, keepAlive }).
		WithTransportOptions(func(t *http.Transport) { t.TLSHandshakeTimeout = dialWithin })
	f.Store = dynamo.New(dynamo.NewClient(f.AWS, f.Endpoint(DynamoDB)), table)
	f.Store.Now = f.Now
	return f, nil
}

// Acts says whether the mesh's owner lets Peerkeeper change a cluster.
func (f *Function) Acts() bool { return f.Mesh != nil && f.Mesh.Policy.Mode == mesh.Recover }

// ReadsPlatform says whether some cluster's owner lets Peerkeeper read what
// only an OS administrator sees. Without it nobody needs a client for it.
func (f *Function) ReadsPlatform() bool {
	return f.Mesh != nil && slices.ContainsFunc(f.Mesh.Clusters, func(c mesh.Cluster) bool { return c.PlatformCredentials != "" })
}

// Now is the time of the mesh: the wall's, unless the mesh is a simulated one
// with a clock of its own.
func (f *Function) Now() time.Time {
	now := time.Now()
	if f.Mesh.Simulated && f.Mesh.Clock != nil {
		return f.Mesh.Clock.At(now)
	}
	return now
}

// Endpoint is where a service is to be found if not at its own address; "" is
// its own.
func (f *Function) Endpoint(s Service) string {
	if ignore, _ := f.lookup(varNoEndpoint); strings.EqualFold(ignore, "true") {
		return ""
	}
	if e, _ := f.lookup(varEndpoint + "_" + string(s)); e != "" {
		return e
	}
	e, _ := f.lookup(varEndpoint)
	return e
}

// environment is the function's role, as Lambda puts it into the environment.
// It does not change while the process lives.
type environment struct {
	lookup func(string) (string, bool)
}

// Retrieve implements aws.CredentialsProvider.
func (e environment) Retrieve(context.Context) (aws.Credentials, error) {
	key, _ := e.lookup(varKey)
	secretKey, _ := e.lookup(varSecretKey)
	session, _ := e.lookup(varSession)
	return aws.Credentials{AccessKeyID: key, SecretAccessKey: secretKey, SessionToken: session, Source: "environment"}, nil
}
