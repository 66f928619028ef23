package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// tables is a DynamoDB of one table, fake, as far as a question needs it.
func tables(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		refuse := func(code string) {
			w.Header().Set("X-Amzn-Errortype", code)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#`+code+`","message":"as told"}`)
		}
		switch {
		case strings.Contains(string(body), "peerkeeper-absent"):
			refuse("ResourceNotFoundException")
		case strings.Contains(string(body), "peerkeeper-closed"):
			refuse("AccessDeniedException")
		default:
			_, _ = io.WriteString(w, `{"Items":[],"Count":0,"ScannedCount":0}`)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestQuestionsToATable: what an operator may get wrong is exit 2 in one line;
// a table of which nothing is known yet is an answer.
func TestQuestionsToATable(t *testing.T) {
	url := tables(t)
	mesh, err := filepath.Abs("../../infra/environments/dev.mesh.yaml")
	if err != nil {
		t.Fatal(err)
	}
	credentials := map[string]string{"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "nothing"}
	for _, c := range []struct {
		name, table, region string
		credentials         map[string]string
		code                int
		says                string
	}{
		{"without a region", "peerkeeper-dev", "", credentials, 2, "AWS_REGION"},
		{"without credentials", "peerkeeper-dev", "eu-central-1", nil, 2, "AWS_PROFILE"},
		{"a table that is not there", "peerkeeper-absent", "eu-central-1", credentials, 2, "peerkeeper-absent"},
		{"a table that one may not read", "peerkeeper-closed", "eu-central-1", credentials, 2, "denied"},
		{"a table without runs", "peerkeeper-dev", "eu-central-1", credentials, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
				t.Setenv(name, c.credentials[name])
			}
			t.Setenv("HOME", t.TempDir())
			t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			t.Setenv("AWS_REGION", c.region)
			t.Setenv("AWS_ENDPOINT_URL", url)
			out, errs, code := run1(t, t.TempDir(), "status", "--mesh", mesh, "--table", c.table, "--json")
			if code != c.code {
				t.Errorf("exit %d, want %d\n%s%s", code, c.code, out, errs)
			}
			if code == 2 && (out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.says)) {
				t.Errorf("stdout %q, want one line that names %q:\n%s", out, c.says, errs)
			}
			if code == 1 && !strings.Contains(out, `"emea>apac"`) {
				t.Errorf("the peers are not in %s", out)
			}
			out, errs, code = run1(t, t.TempDir(), "check", "certs", "--trust", "--mesh", mesh, "--table", c.table, "--json")
			if code != c.code || code == 2 && (out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.says)) || code == 1 && !strings.Contains(out, `"trust"`) {
				t.Errorf("check certs: exit %d, want %d\n%s%s", code, c.code, out, errs)
			}
		})
	}
	// What only the functions can do is not done from here with other accounts.
	if out, errs, code := run1(t, t.TempDir(), "check", "certs", "--now", "--mesh", mesh, "--table", "peerkeeper-dev"); code != 2 || !strings.Contains(errs, "certcheck") {
		t.Errorf("--now with --table: exit %d\n%s%s", code, out, errs)
	}
}
