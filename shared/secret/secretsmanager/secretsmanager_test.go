package secretsmanager_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"peerkeeper/shared/secret"
	"peerkeeper/shared/secret/secretsmanager"
	"peerkeeper/shared/store/dynamo/emulator"
)

const password = "hunter2-Wörd"

// vault answers as Secrets Manager does.
type vault struct {
	mu      sync.Mutex
	text    string
	version int
	err     error
	delay   time.Duration
	asked   []string
}

func (v *vault) GetSecretValue(ctx context.Context, in *api.GetSecretValueInput, _ ...func(*api.Options)) (*api.GetSecretValueOutput, error) {
	v.mu.Lock()
	v.asked = append(v.asked, *in.SecretId)
	text, version, err, delay := v.text, v.version, v.err, v.delay
	v.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return &api.GetSecretValueOutput{SecretString: &text, VersionId: aws.String(fmt.Sprint("v", version))}, nil
}

func (v *vault) rotate() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.version++
	v.text = fmt.Sprintf(`{"username":"axl","password":"%s-%d"}`, password, v.version)
}

func (v *vault) requests() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.asked)
}

func newVault() *vault {
	v := &vault{}
	v.rotate()
	return v
}

func TestCacheAndRotation(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := newVault()
	s := &secretsmanager.Source{API: v, Prefix: "peerkeeper/dev/", Now: func() time.Time { return now }}
	for _, step := range []struct {
		name   string
		after  time.Duration
		rotate bool
		reject string // ask with Fresh, this version having been rejected
		want   string
		asked  int
	}{
		{"first", 0, false, "", "v1", 1},
		{"remembered", time.Minute, false, "", "v1", 1},
		{"rotated within five minutes, nobody complains", time.Minute, true, "", "v1", 1},
		{"the old version is rejected: one look finds the new one", time.Second, false, "v1", "v2", 2},
		{"and is remembered", time.Second, false, "v1", "v2", 2},
		{"the new one is rejected too, at once: it was just read", time.Second, false, "v2", "v2", 2},
		{"a quarter of a minute later: one look", 15 * time.Second, false, "v2", "v2", 3},
		{"no hammering", time.Second, false, "v2", "v2", 3},
		{"five minutes later", 5 * time.Minute, true, "", "v3", 4},
	} {
		now = now.Add(step.after)
		if step.rotate {
			v.rotate()
		}
		get := s.Credentials
		if step.reject != "" {
			get = func(ctx context.Context, name string) (secret.Credentials, error) {
				return s.Fresh(ctx, name, step.reject)
			}
		}
		c, err := get(t.Context(), "emea/read")
		if err != nil || c.Version != step.want || v.requests() != step.asked {
			t.Fatalf("%s: version %s after %d requests (%v), want %s after %d", step.name, c.Version, v.requests(), err, step.want, step.asked)
		}
	}
	if v.asked[0] != "peerkeeper/dev/emea/read" {
		t.Errorf("asked for %s", v.asked[0])
	}
}

func TestThirtyClustersAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault()
		v.delay = time.Second
		s := &secretsmanager.Source{API: v}
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				if c, err := s.Credentials(t.Context(), "shared/read"); err != nil || c.Username != "axl" {
					t.Errorf("%+v %v", c, err)
				}
			})
		}
		wg.Wait()
		if n := v.requests(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// A caller that waits for another's look may give up; the look goes on.
func TestAWaiterMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault()
		v.delay = time.Minute
		s := &secretsmanager.Source{API: v}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Credentials(t.Context(), "x"); err != nil {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Credentials(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the waiter: %v", err)
		}
		wg.Wait()
	})
}

func TestAnOutageOfSecretsManager(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := newVault()
	s := &secretsmanager.Source{API: v, Now: func() time.Time { return now }}
	if _, err := s.Credentials(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	v.err = &smithy.GenericAPIError{Code: "InternalServiceError"}
	now = now.Add(30 * time.Minute)
	if c, err := s.Credentials(t.Context(), "x"); err != nil || c.Version != "v1" {
		t.Errorf("after half an hour: %v", err)
	}
	now = now.Add(time.Hour)
	if _, err := s.Credentials(t.Context(), "x"); !errors.Is(err, &secretsmanager.Error{Kind: secretsmanager.Unavailable}) {
		t.Errorf("after an hour and a half: %v", err)
	}
	// What was taken away is not kept.
	now = now.Add(-time.Hour)
	v.err = &types.ResourceNotFoundException{}
	if _, err := s.Credentials(t.Context(), "x"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("a secret that was removed: %v", err)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		v    *vault
		kind secretsmanager.Kind
		want string
	}{
		{"no such secret, or an empty one", &vault{err: &types.ResourceNotFoundException{Message: aws.String("can't find")}}, secretsmanager.Missing, "put-secret-value --secret-id dev/emea/read"},
		{"marked for deletion", &vault{err: &types.InvalidRequestException{}}, secretsmanager.Deleted, "aws secretsmanager restore-secret --secret-id dev/emea/read"},
		{"with a line end after the password", &vault{text: "{\"username\":\"axl\",\"password\":\"hunter2\\n\"}"}, secretsmanager.Malformed, "ends in a line end"},
		{"no grant", &vault{err: &smithy.GenericAPIError{Code: "AccessDeniedException"}}, secretsmanager.Denied, "secretsmanager:GetSecretValue"},
		{"no grant on the key", &vault{err: &types.DecryptionFailure{}}, secretsmanager.Denied, "kms:Decrypt"},
		{"throttled to the end", &vault{err: &smithy.GenericAPIError{Code: "ThrottlingException"}}, secretsmanager.Unavailable, "endpoint"},
		{"no network", &vault{err: errors.New("dial tcp: i/o timeout")}, secretsmanager.Unavailable, "endpoint"},
		{"not JSON", &vault{text: password}, secretsmanager.Malformed, "not a JSON object"},
		{"a misspelled key", &vault{text: `{"username":"axl","pasword":"` + password + `"}`}, secretsmanager.Malformed, `unknown key "pasword"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &secretsmanager.Source{API: c.v, Prefix: "dev/"}
			got, err := s.Credentials(t.Context(), "emea/read")
			if !errors.Is(err, &secretsmanager.Error{Kind: c.kind}) {
				t.Fatalf("%+v %v, want %s", got, err, c.kind)
			}
			for _, part := range []string{"dev/emea/read", c.want} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "hunter") {
				t.Errorf("error %q tells the password", err)
			}
		})
	}
}

func TestAgainstTheEmulator(t *testing.T) {
	e, err := emulator.Start(t.Context())
	if missing, ok := errors.AsType[*emulator.MissingError](err); ok {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	client := secretsmanager.NewClient(e.Config())
	name := aws.String(fmt.Sprintf("peerkeeper/%d/emea/read", time.Now().UnixNano()))
	now := time.Now()
	s := &secretsmanager.Source{API: client, Now: func() time.Time { return now }}
	if _, err := s.Credentials(t.Context(), *name); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("before it exists: %v", err)
	}
	if _, err := client.CreateSecret(t.Context(), &api.CreateSecretInput{Name: name}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Credentials(t.Context(), *name); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("while it is empty: %v", err)
	}
	put := func(text string) {
		t.Helper()
		if _, err := client.PutSecretValue(t.Context(), &api.PutSecretValueInput{SecretId: name, SecretString: &text}); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"username":"axl","password":"one"}`)
	e.Inject(emulator.Rule{Service: "secretsmanager", Kind: emulator.Throttle, Times: 2})
	first, err := s.Credentials(t.Context(), *name)
	if err != nil || first.Password.Reveal() != "one" {
		t.Fatal(err)
	}
	put(`{"username":"axl","password":"two"}`)
	now = now.Add(time.Minute)
	second, err := s.Fresh(t.Context(), *name, first.Version)
	if err != nil || second.Password.Reveal() != "two" || second.Version == first.Version {
		t.Errorf("after a rotation: version %s, was %s, %v", second.Version, first.Version, err)
	}
	e.Inject(emulator.Rule{Service: "secretsmanager", Kind: emulator.Refuse})
	now = now.Add(time.Hour)
	if _, err := s.Credentials(t.Context(), *name); !errors.Is(err, &secretsmanager.Error{Kind: secretsmanager.Denied}) {
		t.Errorf("without a grant: %v", err)
	}
}
