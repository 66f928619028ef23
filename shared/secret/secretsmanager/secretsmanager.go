// Package secretsmanager reads credentials from AWS Secrets Manager: the
// secret string is {"username": "…", "password": "…"}, as in secrets.json.
//
// It owns a short memory of what it read and writes nothing. A value is kept
// for five minutes, asked for once however many want it, and kept for up to an
// hour while Secrets Manager itself cannot be reached. A value that a cluster
// has rejected is asked for once more and then left alone (Fresh). No error
// holds any part of a secret.
package secretsmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"peerkeeper/shared/secret"
)

const (
	// keep is how long a value counts as current.
	keep = 5 * time.Minute
	// keepUnreachable is how long it serves when nobody can say better.
	keepUnreachable = time.Hour
	// lookAgain is how old a rejected value must be before it is asked for
	// again: thirty clusters that share an account ask once.
	lookAgain = 15 * time.Second
	attempts  = 4
	maxWait   = 2 * time.Second
)

// API is what the source asks of Secrets Manager; *secretsmanager.Client has it.
type API interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// NewClient gives a client for a source.
func NewClient(cfg aws.Config) *secretsmanager.Client {
	return secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = attempts, maxWait })
	})
}

// Source finds credentials by name.
type Source struct {
	API API
	// Prefix stands before every name, such as "peerkeeper/dev/": mesh.yaml's
	// "emea/read" is then peerkeeper/dev/emea/read.
	Prefix string
	Now    func() time.Time // nil means time.Now

	mu      sync.Mutex
	entries map[string]*entry
}

// entry is what is known of one secret. Who holds turn may ask.
type entry struct {
	turn  chan struct{}
	creds secret.Credentials
	at    time.Time // when it was read; zero means never
}

// Kind is why a secret could not be read.
type Kind string

// The kinds.
const (
	Missing     Kind = "missing" // no such secret, or none with a value
	Deleted     Kind = "marked for deletion"
	Denied      Kind = "denied"      // IAM, the endpoint's policy, or the KMS key
	Malformed   Kind = "malformed"   // not the JSON it should be
	Unavailable Kind = "unavailable" // throttled, out of order, out of reach
)

// Error says which secret could not be read, why, and what to do.
type Error struct {
	Secret string // its whole name in Secrets Manager
	Kind   Kind
	Cause  error // never holds the secret
}

func (e *Error) Error() string {
	cure := ""
	switch e.Kind {
	case Missing:
		cure = `; it must exist in this region and have a value: aws secretsmanager put-secret-value --secret-id ` + e.Secret + ` --secret-string file://secret.json, with {"username": "…", "password": "…"}`
	case Deleted:
		cure = `; nothing can be read from or put into it before: aws secretsmanager restore-secret --secret-id ` + e.Secret
	case Denied:
		cure = "; this function needs secretsmanager:GetSecretValue on it and, where it has a key of its own, kms:Decrypt"
	case Malformed:
		cure = `; want {"username": "…", "password": "…"} as the secret string`
	case Unavailable:
		cure = "; look at the interface endpoint, its security group and its private DNS"
	}
	return fmt.Sprintf("secret %s is %s%s: %v", e.Secret, e.Kind, cure, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is compares kinds, and makes Missing a secret not found.
func (e *Error) Is(target error) bool {
	if target == secret.ErrNotFound {
		return e.Kind == Missing || e.Kind == Deleted
	}
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Secret == ""
}

// Credentials implements secret.Source. The version is Secrets Manager's own
// version id.
func (s *Source) Credentials(ctx context.Context, name string) (secret.Credentials, error) {
	return s.get(ctx, name, func(e *entry, now time.Time) bool { return now.Sub(e.at) < keep })
}

// Fresh is Credentials after a cluster has rejected the version not: if that is
// what we remember, Secrets Manager is asked whether there is a newer one, at
// most once in 15 s. It may well return the same version again.
func (s *Source) Fresh(ctx context.Context, name, not string) (secret.Credentials, error) {
	return s.get(ctx, name, func(e *entry, now time.Time) bool {
		if e.creds.Version == not {
			return now.Sub(e.at) < lookAgain
		}
		return now.Sub(e.at) < keep
	})
}

func (s *Source) get(ctx context.Context, name string, good func(*entry, time.Time) bool) (secret.Credentials, error) {
	if ctx.Err() != nil {
		return secret.Credentials{}, context.Cause(ctx)
	}
	e := s.entry(name)
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return secret.Credentials{}, context.Cause(ctx)
	}
	now := s.now()
	if !e.at.IsZero() && good(e, now) {
		return e.creds, nil
	}
	creds, err := s.read(ctx, s.Prefix+name)
	if err != nil {
		if errors.Is(err, &Error{Kind: Unavailable}) && !e.at.IsZero() && now.Sub(e.at) < keepUnreachable {
			return e.creds, nil
		}
		return secret.Credentials{}, err
	}
	e.creds, e.at = creds, now
	return creds, nil
}

func (s *Source) entry(name string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = map[string]*entry{}
	}
	if s.entries[name] == nil {
		s.entries[name] = &entry{turn: make(chan struct{}, 1)}
	}
	return s.entries[name]
}

func (s *Source) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Source) read(ctx context.Context, id string) (secret.Credentials, error) {
	out, err := s.API.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return secret.Credentials{}, &Error{Secret: id, Kind: kindOf(err), Cause: err}
	}
	if out.SecretString == nil {
		return secret.Credentials{}, &Error{Secret: id, Kind: Malformed, Cause: errors.New("it is binary")}
	}
	creds, err := secret.Decode(id, []byte(*out.SecretString))
	if err != nil {
		return secret.Credentials{}, &Error{Secret: id, Kind: Malformed, Cause: err}
	}
	if creds.Version = aws.ToString(out.VersionId); creds.Version == "" {
		return secret.Credentials{}, &Error{Secret: id, Kind: Malformed, Cause: errors.New("it came without a version id")}
	}
	return creds, nil
}

// kindOf reads an error of the SDK, which never quotes a secret: it is made
// before there is one.
func kindOf(err error) Kind {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return Unavailable
	}
	kinds := map[string]Kind{
		"ResourceNotFoundException":   Missing,
		"AccessDeniedException":       Denied,
		"AccessDenied":                Denied,
		"DecryptionFailure":           Denied,
		"DecryptionFailureException":  Denied,
		"UnrecognizedClientException": Denied,
		"InvalidSignatureException":   Denied,
		"ExpiredTokenException":       Denied,
		"InvalidClientTokenId":        Denied,
		"MissingAuthenticationToken":  Denied,
		// Reading has only one state of a secret to object to (GetSecretValue,
		// "Errors"): it is scheduled for deletion.
		"InvalidRequestException":   Deleted,
		"InvalidParameterException": Missing, // a name that no secret can have
		"ValidationException":       Missing,
	}
	return cmp.Or(kinds[api.ErrorCode()], Unavailable)
}
