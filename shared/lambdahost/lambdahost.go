// Package lambdahost is what the Lambda functions have in common: they read
// their configuration from the environment, find AWS, and turn an event into a
// request and an answer into log lines and metrics.
//
// It is wiring and judges nothing. It asks AWS for nothing at start; the first
// request goes out when the first event needs it. A function that is not
// configured does not start, and says all that is missing at once.
//
// A use case becomes a function in four places:
//
//   - functions/NAME/main.go: New, what the use case needs, and Handler, which takes
//     any Request and Answer (run's own are those of a function that looks at
//     clusters);
//   - infra/stack.Functions: a row with its memory, its timeout and its rights;
//   - infra/README.md: the matrix of rights, which `make iam` prints;
//   - archtest's table of layers: a row with what the use case may import, and why.
//
// One that runs by the clock has a row in run.Schedules, a sample event in events
// and a line in host besides. `make build` builds whatever is under functions.
package lambdahost

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // provided.al2023 has no time zone database, and mesh.json names zones

	"peerkeeper/shared/awsclient"
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

// varLogLevel is Lambda's own setting of a function's log level.
const varLogLevel = "AWS_LAMBDA_LOG_LEVEL"

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
	AWS          awsclient.Environment
	Log          *slog.Logger
	// Requests counts the requests to clusters so far; nil if there are none.
	Requests func() int64

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
	f := &Function{Name: name, metrics: metrics, runID: &runID{}}
	var missing []string
	need := func(name string) string {
		v, _ := lookup(name)
		if v == "" {
			missing = append(missing, name)
		}
		return v
	}
	path, _ := lookup(VarMesh)
	if path == "" {
		path = DefaultMesh
	}
	var errMesh error
	f.Mesh, errMesh = meshfile.LoadJSON(path)
	table := need(VarTable)
	f.AWS = awsclient.FromEnvironment(lookup)
	missing = append(missing, f.AWS.Missing()...)
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
	errs = append(errs, f.AWS.Check(), errMesh)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s cannot start: %w", name, err)
	}
	f.Log = logger(logs, f.runID, level(lookup)).With("function", name, "mesh", f.Mesh.Name)
	f.Store = dynamo.New(dynamo.NewClient(f.AWS.Config(awsclient.DynamoDB)), table)
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
