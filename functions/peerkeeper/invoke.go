package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"peerkeeper/shared/plain"
	"peerkeeper/shared/run"
)

// invokeWithin bounds one run of a function from here: Lambda's own longest.
const invokeWithin = 15 * time.Minute

// maxInvoked bounds what a function answers.
const maxInvoked = 6 << 20 // Lambda's own limit of a synchronous answer

// invoke has the function of the table's environment carry a request out, and waits. Functions are named after the
// environment, and so is the table, unless the environment's file names another one.
//
// It is one signed request (Lambda's Invoke API): the service's own client is 2 MB for this call.
func invoke(ctx context.Context, table string, req run.Request) error {
	ctx, cancel := context.WithTimeout(ctx, invokeWithin)
	defer cancel()
	function := table + "-" + req.Function
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}))
	if err != nil {
		return usagef("the AWS configuration cannot be read: %w", err)
	}
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return usagef("there are no AWS credentials: log in with the aws command, or set AWS_PROFILE: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, lambdaEndpoint(cfg.Region, os.Getenv)+"/2015-03-31/functions/"+function+"/invocations", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), "lambda", cfg.Region, time.Now()); err != nil {
		return fmt.Errorf("signing the request to function %s: %w", function, err)
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		return fmt.Errorf("function %s: %w", function, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxInvoked))
	if err != nil {
		return fmt.Errorf("function %s: reading its answer: %w", function, err)
	}
	return invoked(function, resp.StatusCode, resp.Header.Get("X-Amz-Function-Error"), answer)
}

// invoked is what an invocation came to.
func invoked(function string, status int, failure string, body []byte) error {
	said := plain.Line(string(body), 300)
	switch {
	case status == http.StatusNotFound:
		return usagef("there is no function %s in this account and region: with a table of another name than its environment's, invoke the function by hand", function)
	case status == http.StatusForbidden:
		return usagef("you may not invoke function %s: the operator's policy allows it (%s)", function, said)
	case status != http.StatusOK:
		return fmt.Errorf("function %s was not carried out: HTTP %d: %s", function, status, said)
	case failure != "":
		return fmt.Errorf("function %s failed: %s", function, said)
	}
	var a run.Answer
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("function %s gave an answer that cannot be read: %w", function, err)
	}
	if a.Skipped != "" {
		return errors.New(function + " was skipped: " + a.Skipped)
	}
	return nil
}

// lambdaEndpoint is where Lambda is asked, with the variables by which AWS's own clients are sent elsewhere.
func lambdaEndpoint(region string, env func(string) string) string {
	for _, name := range []string{"AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL"} {
		if url := env(name); url != "" {
			return strings.TrimSuffix(url, "/")
		}
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain += ".cn"
	}
	return "https://lambda." + region + "." + domain
}
