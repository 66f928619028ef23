// Package stand is a test stand for built bootstraps: a simulated mesh, the AWS
// emulator with a table, a topic with a queue behind it and the secrets, and
// the environment by which a function finds them.
//
// It owns all of these and takes them down again. It is never linked into a
// Lambda. What it cannot show is a real account: IAM, VPC and DynamoDB's own
// atomicity.
package stand

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	secretsapi "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"

	"peerkeeper/shared/alarm/sns"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/secret/secretsmanager"
	"peerkeeper/shared/store/dynamo"
	"peerkeeper/shared/store/dynamo/emulator"
)

// Options are what differs from three clusters of 50 users.
type Options struct {
	Clusters, Users int
	Latency         time.Duration // of the simulated nodes
}

// Stand is everything that a function meets.
type Stand struct {
	*emulator.Emulator
	Sim   *clustersim.Sim
	Mesh  *mesh.Mesh
	Dir   string // of mesh.json
	Table string
	Topic string // ARN
	Queue string // URL; subscribed to the topic
	// Prefix stands before the secrets' names.
	Prefix string

	secrets *secretsapi.Client
}

type wall struct{}

func (wall) Now() time.Time { return time.Now() }

// New sets up a stand with its files in dir.
func New(ctx context.Context, dir string, opt Options) (_ *Stand, err error) {
	s := &Stand{Dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.Emulator, err = emulator.Start(ctx); err != nil {
		return nil, err
	}
	s.Sim, err = clustersim.New(clustersim.Config{Clusters: opt.Clusters, Users: max(opt.Users, 50), Latency: opt.Latency, Clock: wall{}, Seed: 1, Epoch: time.Now().UTC(), Rate: 1})
	if err != nil {
		return nil, err
	}
	if err := s.Sim.Start(); err != nil {
		return nil, err
	}
	if err := s.writeMesh(); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("peerkeeper-%d-%d", os.Getpid(), time.Now().UnixNano()) // one emulator may serve many stands
	s.Table, s.Prefix = name, name+"/"
	if err := s.CreateTable(ctx, name); err != nil {
		return nil, err
	}
	s.secrets = secretsmanager.NewClient(s.Config())
	if err := s.putSecrets(ctx); err != nil {
		return nil, err
	}
	return s, s.subscribe(ctx, name)
}

// Close takes the stand down.
func (s *Stand) Close() error {
	var errs []error
	if s.Sim != nil {
		errs = append(errs, s.Sim.Close())
	}
	if s.Emulator != nil {
		errs = append(errs, s.Emulator.Close())
	}
	return errors.Join(errs...)
}

func (s *Stand) files() (map[string][]byte, error) { return s.Sim.Files("") }

// writeMesh writes mesh.json as `make build` does.
func (s *Stand) writeMesh() error {
	files, err := s.files()
	if err != nil {
		return err
	}
	s.Mesh, err = meshfile.Parse("mesh.yaml", files["mesh.yaml"], func(name string) ([]byte, error) {
		if b, ok := files[name]; ok {
			return b, nil
		}
		return nil, os.ErrNotExist
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := meshfile.WriteJSON(&b, s.Mesh); err != nil {
		return err
	}
	return os.WriteFile(s.MeshPath(), b.Bytes(), 0o600)
}

// MeshPath is where mesh.json is.
func (s *Stand) MeshPath() string { return filepath.Join(s.Dir, "mesh.json") }

func (s *Stand) putSecrets(ctx context.Context) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	entries, err := secret.Entries(files["secrets.json"])
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, err := s.secrets.CreateSecret(ctx, &secretsapi.CreateSecretInput{Name: aws.String(s.Prefix + e.Name), SecretString: aws.String(string(e.Value))})
		if err != nil {
			return fmt.Errorf("creating secret %s: %w", e.Name, err)
		}
	}
	return nil
}

// Rotate changes the password of a cluster's account ("read", "platform"), in
// the cluster and, if told, in Secrets Manager.
func (s *Stand) Rotate(ctx context.Context, id mesh.ClusterID, account, password string, stored bool) error {
	if err := s.Sim.Change(string(id), clustersim.Credentials{Account: account, Password: &password}); err != nil {
		return err
	}
	if !stored {
		return nil
	}
	return s.StoreSecret(ctx, id, account)
}

// StoreSecret brings an account's secret in Secrets Manager up to date.
func (s *Stand) StoreSecret(ctx context.Context, id mesh.ClusterID, account string) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	entries, err := secret.Entries(files["secrets.json"])
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name != string(id)+"/"+account {
			continue
		}
		_, err := s.secrets.PutSecretValue(ctx, &secretsapi.PutSecretValueInput{SecretId: aws.String(s.Prefix + e.Name), SecretString: aws.String(string(e.Value))})
		return err
	}
	return fmt.Errorf("cluster %s has no %s account", id, account)
}

func (s *Stand) subscribe(ctx context.Context, name string) error {
	topics := sns.NewClient(s.Config())
	topic, err := topics.CreateTopic(ctx, &snsapi.CreateTopicInput{Name: &name})
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", name, err)
	}
	s.Topic = *topic.TopicArn
	var queue struct{ QueueUrl string }
	if err := s.sqs(ctx, "CreateQueue", map[string]any{"QueueName": name}, &queue); err != nil {
		return err
	}
	s.Queue = queue.QueueUrl
	var attrs struct{ Attributes struct{ QueueArn string } }
	if err := s.sqs(ctx, "GetQueueAttributes", map[string]any{"QueueUrl": s.Queue, "AttributeNames": []string{"QueueArn"}}, &attrs); err != nil {
		return err
	}
	_, err = topics.Subscribe(ctx, &snsapi.SubscribeInput{
		TopicArn: &s.Topic, Protocol: aws.String("sqs"), Endpoint: &attrs.Attributes.QueueArn, Attributes: map[string]string{"RawMessageDelivery": "true"},
	})
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", name, err)
	}
	return nil
}

// Message is what a queue received of the topic.
type Message struct {
	Body       string
	Attributes map[string]string
}

// Receive takes all messages that have arrived.
func (s *Stand) Receive(ctx context.Context) ([]Message, error) {
	var out []Message
	for {
		var got struct {
			Messages []struct {
				Body, ReceiptHandle string
				MessageAttributes   map[string]struct{ StringValue string }
			}
		}
		err := s.sqs(ctx, "ReceiveMessage", map[string]any{"QueueUrl": s.Queue, "MaxNumberOfMessages": 10, "MessageAttributeNames": []string{"All"}}, &got)
		if err != nil || len(got.Messages) == 0 {
			return out, err
		}
		for _, m := range got.Messages {
			msg := Message{Body: m.Body, Attributes: map[string]string{}}
			for name, v := range m.MessageAttributes {
				msg.Attributes[name] = v.StringValue
			}
			out = append(out, msg)
			if err := s.sqs(ctx, "DeleteMessage", map[string]any{"QueueUrl": s.Queue, "ReceiptHandle": m.ReceiptHandle}, nil); err != nil {
				return out, err
			}
		}
	}
}

// sqs speaks to the emulator's SQS, which has no client among our modules. The
// emulator reads the service from the signature and does not check it.
func (s *Stand) sqs(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=emulator/20260101/"+emulator.Region+"/sqs/aws4_request, SignedHeaders=host, Signature=none")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return fmt.Errorf("SQS %s: %w", operation, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("SQS %s: %w", operation, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("SQS %s: %s: %.300s", operation, resp.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// Store is the table, for a look into it.
func (s *Stand) Store() *dynamo.Store {
	return dynamo.New(dynamo.NewClient(s.Config()), s.Table)
}

// Environment is what a function finds in its environment. Each gets what it
// needs and no more, as infra gives it.
func (s *Stand) Environment(function string) []string {
	env := append(s.Emulator.Environment(), lambdahost.VarTable+"="+s.Table, lambdahost.VarMesh+"="+s.MeshPath())
	switch function {
	case "peersync", "certcheck", "preflight", "peering":
		env = append(env, lambdahost.VarSecretPrefix+"="+s.Prefix)
	case "stucksync":
		env = append(env, lambdahost.VarTopic+"="+s.Topic)
	}
	return env
}

// Tags are the build tags of a Lambda, as in the Makefile, which says why.
const Tags = "lambda.norpc,nethttpomithttp2"

// Lean are the compiler's flags for a Lambda, as in the Makefile, which says why.
const Lean = "-gcflags=github.com/aws/...=-l -gcflags=net/...=-l -gcflags=crypto/tls=-l -gcflags=crypto/x509=-l -gcflags=crypto/internal/...=-l -gcflags=crypto/internal/fips140/bigmod= -gcflags=crypto/internal/fips140/nistec/...= -gcflags=crypto/internal/fips140/edwards25519/...= -gcflags=crypto/internal/fips140/sha256= -gcflags=crypto/internal/fips140/aes/...= -gcflags=encoding/xml=-l -gcflags=encoding/asn1=-l -gcflags=encoding/json=-l -gcflags=log/...=-l -gcflags=regexp/...=-l -gcflags=fmt=-l -gcflags=os=-l -gcflags=time=-l -gcflags=mime/...=-l -gcflags=vendor/...=-l -gcflags=golang.org/x/...=-l -gcflags=math/big=-l -gcflags=compress/...=-l -gcflags=bufio=-l -gcflags=context=-l -gcflags=io/...=-l -gcflags=reflect=-l -gcflags=strconv=-l -gcflags=peerkeeper/...=-l -gcflags=peerkeeper/shared/axl= -gcflags=peerkeeper/shared/ciscolog= -gcflags=peerkeeper/shared/soap="

// Build builds a function's bootstrap for this machine, as `make build` does
// for Lambda.
func Build(ctx context.Context, dir, pkg string, env ...string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg), "bootstrap")
	mod := exec.CommandContext(ctx, "go", "env", "GOMOD")
	root, err := mod.Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	args := append([]string{"build", "-tags", Tags}, strings.Fields(Lean)...)
	cmd := exec.CommandContext(ctx, "go", append(args, "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, pkg)...)
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(root)))
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// Event fills in a sample event what EventBridge Scheduler fills in.
func Event(sample []byte, scheduled time.Time) []byte {
	return bytes.ReplaceAll(sample, []byte("<aws.scheduler.scheduled-time>"), []byte(scheduled.UTC().Format(time.RFC3339)))
}
