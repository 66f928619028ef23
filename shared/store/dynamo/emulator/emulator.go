// Package emulator stands in for AWS in tests and in `make invoke`: moto_server
// behind a proxy that injects faults. It owns the process that it starts and
// nothing else; it is never linked into a Lambda.
//
// The proxy lets DynamoDB writes through one at a time, because moto checks a
// condition and writes in two steps. What this cannot show is therefore
// DynamoDB's own atomicity, and IAM, which moto does not enforce.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Variable names an emulator that is already running; it wins over starting
// one.
const Variable = "AWS_ENDPOINT_URL"

// startWithin bounds moto_server's start: Python, on a busy machine.
const startWithin = 60 * time.Second

// Region is where everything is, as far as the emulator is concerned.
const Region = "eu-central-1"

// MissingError says that there is no emulator on this machine.
type MissingError struct{ Cause error }

func (e *MissingError) Error() string {
	return "no AWS emulator: install moto's server (pip install 'moto[server]'), or run the docker image motoserver/moto and set " + Variable + " to its address"
}

// Unwrap gives the cause.
func (e *MissingError) Unwrap() error { return e.Cause }

// Emulator is a running emulator behind its fault proxy.
type Emulator struct {
	*Proxy
	// URL is the proxy's address, for AWS_ENDPOINT_URL.
	URL string

	server *httptest.Server
	stop   func() error
}

// Start takes the emulator that AWS_ENDPOINT_URL names, or runs moto_server on the
// loopback, or else moto's image where a Docker engine answers,
// and puts the proxy in front. With none of them the error is a *MissingError.
func Start(ctx context.Context) (*Emulator, error) {
	target, stop := os.Getenv(Variable), func() error { return nil }
	if target == "" {
		var err error
		if target, stop, err = moto(ctx); err != nil {
			return nil, err
		}
	}
	proxy, err := newProxy(target)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	server := httptest.NewServer(proxy)
	return &Emulator{Proxy: proxy, URL: server.URL, server: server, stop: stop}, nil
}

// Close ends the proxy and the process that Start began.
func (e *Emulator) Close() error {
	e.server.CloseClientConnections()
	e.server.Close()
	return e.stop()
}

func moto(ctx context.Context) (url string, stop func() error, _ error) {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		url, stop, dockerErr := image(ctx)
		if errors.Is(dockerErr, errNoEngine) {
			return "", nil, &MissingError{errors.Join(err, dockerErr)}
		}
		return url, stop, dockerErr
	}
	// A port that we chose would be another's by the time that Python has started: moto takes one, and tells it.
	cmd := exec.Command(path, "-H", "127.0.0.1", "-p", "0") // not bound to ctx: Close ends it
	cmd.Env = append(os.Environ(), "MOTO_ENABLE_ISO_REGIONS=false")
	said := &banner{url: make(chan string, 1)}
	cmd.Stderr = said
	ended := make(chan struct{})
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("starting %s: %w", path, err)
	}
	go func() {
		_ = cmd.Wait() // killed by stop, so always an error
		close(ended)
	}()
	stop = func() error {
		err := kill(cmd)
		<-ended
		return err
	}
	late := time.NewTimer(startWithin)
	defer late.Stop()
	select {
	case url = <-said.url:
	case <-ended:
		return "", nil, errors.Join(fmt.Errorf("%s ended before it told its address", path), stop())
	case <-late.C:
		return "", nil, errors.Join(fmt.Errorf("%s does not tell its address", path), stop())
	case <-ctx.Done():
		return "", nil, errors.Join(context.Cause(ctx), stop())
	}
	if err := await(ctx, path, url, ended); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return url, stop, nil
}

// banner finds moto's address in what it says at its start, and forgets the rest: a line for each request.
type banner struct {
	url   chan string
	begun []byte // until it is found
	found bool
}

var running = regexp.MustCompile(`Running on (http://127\.0\.0\.1:[0-9]+)\s`)

func (b *banner) Write(p []byte) (int, error) {
	if !b.found {
		b.begun = append(b.begun, p...)
		if m := running.FindSubmatch(b.begun); m != nil {
			b.url <- string(m[1])
			b.found, b.begun = true, nil
		}
	}
	return len(p), nil
}

// await waits until an emulator answers. ended is closed if its process ends.
func await(ctx context.Context, what, url string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for !ready(ctx, url) {
		timer := time.NewTimer(50 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ended:
			timer.Stop()
			return fmt.Errorf("%s ended before it answered", what)
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s does not answer: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

func ready(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/moto-api/", nil)
	if err != nil {
		return false
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// Credentials are ones that the emulator takes; it takes any.
func Credentials() aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "emulator", SecretAccessKey: "emulator"}, nil
	})
}

// Config is an AWS configuration for clients of the emulator.
func (e *Emulator) Config() aws.Config {
	return aws.Config{Region: Region, Credentials: Credentials(), BaseEndpoint: aws.String(e.URL)}
}

// Environment is what a function needs to find the emulator.
func (e *Emulator) Environment() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + e.URL, "AWS_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=emulator", "AWS_SECRET_ACCESS_KEY=emulator",
	}
}

// CreateTable makes a table as infra makes it: keys, on demand, TTL.
func (e *Emulator) CreateTable(ctx context.Context, name string) error {
	client := dynamodb.NewFromConfig(e.Config())
	key := func(name string, kind types.KeyType) types.KeySchemaElement {
		return types.KeySchemaElement{AttributeName: aws.String(name), KeyType: kind}
	}
	attr := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: types.ScalarAttributeTypeS}
	}
	_, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{key("pk", types.KeyTypeHash), key("sk", types.KeyTypeRange)},
		AttributeDefinitions: []types.AttributeDefinition{attr("pk"), attr("sk")},
	})
	if err != nil {
		return fmt.Errorf("creating table %s: %w", name, err)
	}
	_, err = client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: &name, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("ttl"), Enabled: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("setting the TTL of table %s: %w", name, err)
	}
	return nil
}

// serviceOf reads from a request which service and operation it is for.
func serviceOf(r *http.Request, body []byte) (service, operation string) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		prefix, op, _ := strings.Cut(target, ".")
		name, _, _ := strings.Cut(strings.ToLower(prefix), "_")
		return name, op // DynamoDB_20120810.PutItem, secretsmanager.GetSecretValue
	}
	for field := range strings.SplitSeq(string(body), "&") { // SNS speaks the query protocol
		if op, ok := strings.CutPrefix(field, "Action="); ok {
			return scope(r), op
		}
	}
	return scope(r), ""
}

// scope reads the service from the signature's credential scope.
func scope(r *http.Request) string {
	_, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, ",")
	parts := strings.Split(rest, "/")
	if len(parts) < 5 {
		return ""
	}
	return parts[3]
}
