package awsclient

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

func in(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

func TestEndpoints(t *testing.T) {
	env := map[string]string{}
	e := FromEnvironment(in(env))
	check := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, s := range []Service{DynamoDB, SecretsManager, SNS} {
			got = append(got, aws.ToString(e.Config(s).BaseEndpoint))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("none", "", "", "")
	env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
	check("one for all", "http://127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1")
	env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = "http://127.0.0.1:2"
	check("one of its own", "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:1")
	env["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
	check("ignored", "", "", "")
}

func TestTheRoleIsTheEnvironments(t *testing.T) {
	e := FromEnvironment(in(map[string]string{"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}))
	cfg := e.Config(SNS)
	got, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || got.AccessKeyID != "a" || got.SecretAccessKey != "b" || got.SessionToken != "c" || cfg.Region != "eu-west-1" {
		t.Errorf("%s: %+v, %v", cfg.Region, got, err)
	}
	if missing := e.Missing(); len(missing) > 0 {
		t.Errorf("missing %q", missing)
	}
}
