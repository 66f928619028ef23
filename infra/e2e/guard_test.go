package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

// guard stands before the fault proxy and holds callers to the template's own
// policies. Who calls is told by the access key. It reads a policy as IAM's user
// guide says, as far as these templates go; a condition that it does not know
// is an error when the policy is given to it, and never ignored.
type guard struct {
	next    http.Handler
	account string
	region  string
	// invoke has a function carry out what somebody who may start it sends: moto runs
	// none without Docker.
	invoke func(w http.ResponseWriter, r *http.Request, function string, payload []byte)

	mu        sync.Mutex
	policies  map[string][]statement // by access key
	functions map[string]string      // ARNs of those callers that are functions
	endpoints map[string][]statement // endpoint policies by service
	arns      map[string]string      // of secrets, by name
	keys      map[string]string      // of KMS keys, by the topic that they encrypt
	refused   []string
	used      map[string]bool // "caller Sid"
}

type statement struct {
	Sid, Effect      string
	Principal        any
	Action, Resource any
	Condition        map[string]map[string]any
}

func newGuard(next http.Handler, account, region string) *guard {
	return &guard{
		next: next, account: account, region: region, policies: map[string][]statement{}, functions: map[string]string{}, endpoints: map[string][]statement{},
		arns: map[string]string{}, keys: map[string]string{}, used: map[string]bool{},
	}
}

// parsePolicy reads a resolved policy document.
func parsePolicy(at string, document any) ([]statement, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	var p struct {
		Version   string
		Statement []statement
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields() // NotAction, NotResource
	if err := dec.Decode(&p); err != nil {
		return nil, &notUnderstood{at, err.Error()}
	}
	for _, s := range p.Statement {
		for operator, of := range s.Condition {
			for key := range of {
				if !slices.Contains(conditions(), operator+" "+key) {
					return nil, &notUnderstood{at, operator + " of " + key}
				}
			}
		}
	}
	return p.Statement, nil
}

// conditions are those that guard understands.
func conditions() []string {
	return []string{
		"ForAllValues:StringEquals dynamodb:LeadingKeys", "ForAllValues:StringLike dynamodb:LeadingKeys", "Null dynamodb:LeadingKeys",
		"StringEquals kms:ViaService", "ArnEquals lambda:SourceFunctionArn", "StringEquals aws:PrincipalAccount",
	}
}

// attempt is one request as IAM sees it.
type attempt struct {
	action, resource string
	context          map[string][]string // of condition keys
}

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, x := range v {
			s, _ := x.(string)
			out = append(out, s)
		}
		return out
	}
	return nil
}

// like is IAM's wildcard, whose * also goes over a slash.
func like(pattern, s string) bool {
	hide := strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`)
	ok, err := path.Match(hide.Replace(pattern), strings.ReplaceAll(s, "/", "\x00"))
	return ok && err == nil
}

func (s statement) covers(a attempt) bool {
	some := func(patterns any, v string) bool {
		return slices.ContainsFunc(texts(patterns), func(p string) bool { return like(p, v) })
	}
	if !some(s.Action, a.action) || !some(s.Resource, a.resource) {
		return false
	}
	for operator, of := range s.Condition {
		for key, want := range of {
			have := a.context[key]
			all := func(same func(pattern, v string) bool) bool {
				for _, h := range have {
					if !slices.ContainsFunc(texts(want), func(w string) bool { return same(w, h) }) {
						return false
					}
				}
				return true
			}
			equal := func(w, h string) bool { return w == h }
			ok := false
			switch operator {
			case "ForAllValues:StringEquals":
				ok = all(equal)
			case "ForAllValues:StringLike":
				ok = all(like)
			case "Null":
				ok = (len(have) == 0) == slices.Contains(texts(want), "true")
			case "StringEquals", "ArnEquals":
				ok = len(have) > 0 && all(equal)
			}
			if !ok {
				return false
			}
		}
	}
	return true
}

// decide is IAM's rule: a Deny wins, without an Allow nothing is allowed.
func decide(statements []statement, a attempt) (allowed bool, by string) {
	for _, s := range statements {
		if !s.covers(a) {
			continue
		}
		if s.Effect == "Deny" {
			return false, s.Sid
		}
		allowed, by = true, s.Sid
	}
	return allowed, by
}

// ServeHTTP refuses what the caller's policy does not allow. The deployer, who
// has none, may do everything.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set("X-Moto-Account-Id", g.account) // everything is in the template's own account
	caller, service := signer(r)
	if caller != deployer {
		if why := g.judge(caller, service, r, body); why != "" {
			g.mu.Lock()
			g.refused = append(g.refused, why)
			g.mu.Unlock()
			deny(w, service, why)
			return
		}
	}
	if service == "lambda" {
		g.invoke(w, r, invocation(r), body)
		return
	}
	g.next.ServeHTTP(w, r)
}

// invocation is the name of the function that a request to Lambda invokes; "" if it
// is another request.
func invocation(r *http.Request) string {
	rest, ok := strings.CutPrefix(r.URL.Path, "/2015-03-31/functions/")
	name, invokes := strings.CutSuffix(rest, "/invocations")
	if !ok || !invokes || r.Method != http.MethodPost {
		return ""
	}
	return name
}

// deployer is the access key of the one who applies the template.
const deployer = "deployer"

// signer reads caller and service from the signature's scope.
func signer(r *http.Request) (caller, service string) {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	rest, _, _ = strings.Cut(rest, ",")
	parts := strings.Split(rest, "/")
	if len(parts) < 5 {
		return "nobody", ""
	}
	return parts[0], parts[3]
}

func (g *guard) judge(caller, service string, r *http.Request, body []byte) (refusal string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	attempts, err := g.attempts(service, r, body)
	if err != nil {
		return fmt.Sprintf("%s: %v", caller, err)
	}
	statements, known := g.policies[caller]
	if !known {
		return caller + " has no policy"
	}
	for i, a := range attempts {
		a.context["aws:PrincipalAccount"] = []string{g.account}
		if arn, ok := g.functions[caller]; ok { // Lambda says which function's code it is
			a.context["lambda:SourceFunctionArn"] = []string{arn}
		}
		ok, sid := decide(statements, a)
		if !ok {
			return fmt.Sprintf("%s may not %s on %s %v", caller, a.action, a.resource, a.context["dynamodb:LeadingKeys"])
		}
		g.used[caller+" "+sid] = true
		if policy, has := g.endpoints[service]; has && i == 0 { // the others are the service's own
			if ok, _ := decide(policy, a); !ok {
				return fmt.Sprintf("%s: the endpoint of %s does not let %s on %s through", caller, service, a.action, a.resource)
			}
		}
	}
	return ""
}

// attempts are what a request amounts to: itself, and for a publication to an
// encrypted topic what SNS asks the key in the caller's name.
func (g *guard) attempts(service string, r *http.Request, body []byte) ([]attempt, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	a := attempt{action: service + ":" + operation, context: map[string][]string{}}
	switch service {
	case "dynamodb":
		var in struct {
			TableName, KeyConditionExpression string
			Item, Key                         struct{ PK struct{ S string } }
			ExpressionAttributeValues         map[string]struct{ S string }
			RequestItems                      map[string]struct {
				Keys []struct{ PK struct{ S string } }
			}
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		a.resource = "arn:aws:dynamodb:" + g.region + ":" + g.account + ":table/" + in.TableName
		pk := in.Item.PK.S + in.Key.PK.S
		if value, ok := strings.CutPrefix(in.KeyConditionExpression, "pk = "); ok {
			name, _, _ := strings.Cut(value, " ")
			pk = in.ExpressionAttributeValues[name].S
		}
		if pk != "" {
			a.context["dynamodb:LeadingKeys"] = []string{pk}
		}
		if len(in.RequestItems) > 0 { // a batch: IAM asks for each table, with all of its leading keys at once
			var out []attempt
			for _, table := range slices.Sorted(maps.Keys(in.RequestItems)) {
				one := attempt{action: a.action, resource: a.resource + table, context: map[string][]string{}}
				for _, k := range in.RequestItems[table].Keys {
					one.context["dynamodb:LeadingKeys"] = append(one.context["dynamodb:LeadingKeys"], k.PK.S)
				}
				out = append(out, one)
			}
			return out, nil
		}
	case "secretsmanager":
		var in struct{ SecretId string }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		a.resource = in.SecretId
		if arn, ok := g.arns[in.SecretId]; ok {
			a.resource = arn
		}
	case "sns":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		a.action, a.resource = "sns:"+form.Get("Action"), form.Get("TopicArn")
		if key, ok := g.keys[a.resource]; ok && a.action == "sns:Publish" {
			via := map[string][]string{"kms:ViaService": {"sns." + g.region + ".amazonaws.com"}}
			return []attempt{a, {"kms:GenerateDataKey", key, maps.Clone(via)}, {"kms:Decrypt", key, via}}, nil
		}
	case "lambda":
		name := invocation(r)
		if name == "" {
			return nil, fmt.Errorf("%s %s of Lambda", r.Method, r.URL.Path)
		}
		a.action, a.resource = "lambda:InvokeFunction", "arn:aws:lambda:"+g.region+":"+g.account+":function:"+name
	default:
		return nil, fmt.Errorf("a request to %q", service)
	}
	return []attempt{a}, nil
}

func deny(w http.ResponseWriter, service, why string) {
	if service == "sns" {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>refused by the template's policy</Message></Error></ErrorResponse>")
		return
	}
	status := http.StatusBadRequest
	if service == "lambda" {
		status = http.StatusForbidden
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": "AccessDeniedException", "message": why})
}

// refusals are all requests refused so far.
func (g *guard) refusals() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.refused)
}

// pardon forgets the requests refused so far, and gives them.
func (g *guard) pardon() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.refused
	g.refused = nil
	return out
}

// without takes resources out of a statement of a caller's policy, as if the
// template did not grant them, and tells how many that were. back undoes it.
func (g *guard) without(caller, sid string, resources ...string) (taken int, back func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	whole := g.policies[caller]
	less := slices.Clone(whole)
	for i := range less {
		if less[i].Sid != sid {
			continue
		}
		left := []any{}
		for _, r := range texts(less[i].Resource) {
			if slices.Contains(resources, r) {
				taken++
				continue
			}
			left = append(left, r)
		}
		less[i].Resource = left
	}
	g.policies[caller] = less
	return taken, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.policies[caller] = whole
	}
}

// unused are the functions' statements that no request needed.
func (g *guard) unused() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for caller := range g.functions {
		for _, s := range g.policies[caller] {
			if s.Effect == "Allow" && !g.used[caller+" "+s.Sid] {
				out = append(out, caller+" "+s.Sid)
			}
		}
	}
	slices.Sort(out)
	return out
}

const sample = `{"Version":"2012-10-17","Statement":[
 {"Sid":"Live","Effect":"Allow","Action":["dynamodb:BatchGetItem","dynamodb:GetItem","dynamodb:PutItem"],"Resource":"arn:aws:dynamodb:eu-central-1:111122223333:table/t",
  "Condition":{"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["acme#live"]},"Null":{"dynamodb:LeadingKeys":"false"}}},
 {"Sid":"Audit","Effect":"Allow","Action":"dynamodb:PutItem","Resource":"arn:aws:dynamodb:eu-central-1:111122223333:table/t",
  "Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["acme#audit#*"]},"Null":{"dynamodb:LeadingKeys":"false"}}},
 {"Sid":"Alarms","Effect":"Allow","Action":"sns:Publish","Resource":"arn:topic"},
 {"Sid":"Key","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:key","Condition":{"StringEquals":{"kms:ViaService":"sns.eu-central-1.amazonaws.com"}}},
 {"Sid":"Secrets","Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":["arn:secret/a"]},
 {"Sid":"Not","Effect":"Deny","Action":"dynamodb:PutItem","Resource":"*","Condition":{"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["acme#audit#2020-01"]}}}]}`

func TestGuardHoldsCallersToTheirPolicy(t *testing.T) {
	passed := 0
	g := newGuard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ }), "111122223333", "eu-central-1")
	p, err := parsePolicy("sample", decode(t, sample))
	if err != nil {
		t.Fatal(err)
	}
	g.policies["stucksync"], g.arns["a"], g.keys["arn:topic"] = p, "arn:secret/a", "arn:key"
	item := func(pk string) string {
		return fmt.Sprintf(`{"TableName":"t","Item":{"pk":{"S":%q}}}`, pk)
	}
	const put, get, many = "DynamoDB_20120810.PutItem", "DynamoDB_20120810.GetItem", "DynamoDB_20120810.BatchGetItem"
	batch := func(table string, pks ...string) string {
		var keys []string
		for _, pk := range pks {
			keys = append(keys, fmt.Sprintf(`{"pk":{"S":%q},"sk":{"S":"x"}}`, pk))
		}
		return fmt.Sprintf(`{"RequestItems":{%q:{"ConsistentRead":true,"Keys":[%s]}}}`, table, strings.Join(keys, ","))
	}
	for _, c := range []struct {
		name, caller, service, target, body string
		allowed                             bool
	}{
		{"its own partition", "stucksync", "dynamodb", put, item("acme#live"), true},
		{"another partition", "stucksync", "dynamodb", put, item("acme#gate"), false},
		{"another table", "stucksync", "dynamodb", put, strings.Replace(item("acme#live"), `"t"`, `"u"`, 1), false},
		{"a pattern of keys", "stucksync", "dynamodb", put, item("acme#audit#2026-11"), true},
		{"a denied one of them", "stucksync", "dynamodb", put, item("acme#audit#2020-01"), false},
		{"no key at all", "stucksync", "dynamodb", "DynamoDB_20120810.Scan", `{"TableName":"t"}`, false},
		{"an action that is not there", "stucksync", "dynamodb", "DynamoDB_20120810.DeleteItem", `{"TableName":"t","Key":{"pk":{"S":"acme#live"}}}`, false},
		{"a get", "stucksync", "dynamodb", get, `{"TableName":"t","Key":{"pk":{"S":"acme#live"}}}`, true},
		{"a batch", "stucksync", "dynamodb", many, batch("t", "acme#live", "acme#live"), true},
		{"a batch of another table", "stucksync", "dynamodb", many, batch("u", "acme#live"), false},
		{"a batch that goes beyond its partition", "stucksync", "dynamodb", many, batch("t", "acme#live", "acme#override"), false},
		{"a batch that names no key", "stucksync", "dynamodb", many, batch("t"), false},
		{"another caller", "peersync", "dynamodb", put, item("acme#live"), false},
		{"a secret by its name", "stucksync", "secretsmanager", "secretsmanager.GetSecretValue", `{"SecretId":"a"}`, true},
		{"another secret", "stucksync", "secretsmanager", "secretsmanager.GetSecretValue", `{"SecretId":"b"}`, false},
		{"a publication, with its key", "stucksync", "sns", "", "Action=Publish&TopicArn=arn%3Atopic", true},
		{"another topic", "stucksync", "sns", "", "Action=Publish&TopicArn=arn%3Aother", false},
		{"another service", "stucksync", "sqs", "AmazonSQS.SendMessage", `{}`, false},
		{"the deployer", deployer, "sqs", "AmazonSQS.CreateQueue", `{}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(c.body))
			r.Header.Set("X-Amz-Target", c.target)
			r.Header.Set("Authorization", authorization(c.caller, "eu-central-1", c.service))
			before := passed
			g.ServeHTTP(httptest.NewRecorder(), r)
			if (passed > before) != c.allowed {
				t.Errorf("let through: %v; %v", passed > before, g.refusals())
			}
		})
	}
	g.policies["stucksync"] = slices.DeleteFunc(p, func(s statement) bool { return s.Sid == "Key" })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("Action=Publish&TopicArn=arn%3Atopic"))
	r.Header.Set("Authorization", authorization("stucksync", "eu-central-1", "sns"))
	before := passed
	if g.ServeHTTP(httptest.NewRecorder(), r); passed != before {
		t.Error("published to an encrypted topic without a right to its key")
	}
}

// TestGuardHandsOverWhatAPersonInvokes: a function that the policy names, and nothing
// else of Lambda.
func TestGuardHandsOverWhatAPersonInvokes(t *testing.T) {
	var invoked []string
	g := newGuard(http.NotFoundHandler(), "111122223333", "eu-central-1")
	g.invoke = func(_ http.ResponseWriter, _ *http.Request, function string, payload []byte) {
		invoked = append(invoked, function+" "+string(payload))
	}
	p, err := parsePolicy("sample", decode(t, `{"Version":"2012-10-17","Statement":[{"Sid":"Start","Effect":"Allow","Action":"lambda:InvokeFunction","Resource":["arn:aws:lambda:eu-central-1:111122223333:function:peering"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	g.policies["operator"] = p
	for path, want := range map[string]int{
		"/2015-03-31/functions/peering/invocations": http.StatusOK,
		"/2015-03-31/functions/intake/invocations":  http.StatusForbidden,
		"/2015-03-31/functions/peering/policy":      http.StatusForbidden,
	} {
		r, w := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}")), httptest.NewRecorder()
		r.Header.Set("Authorization", authorization("operator", "eu-central-1", "lambda"))
		if g.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if !slices.Equal(invoked, []string{"peering {}"}) {
		t.Errorf("invoked: %v", invoked)
	}
}

func TestGuardRefusesToGuess(t *testing.T) {
	for name, document := range map[string]string{
		"an unknown operator": `{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`,
		"an unknown key":      `{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpc":"vpc-1"}}}]}`,
		"NotAction":           `{"Statement":[{"Effect":"Allow","NotAction":"a:b","Resource":"*"}]}`,
	} {
		if _, err := parsePolicy(name, decode(t, document)); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func authorization(caller, region, service string) string {
	return "AWS4-HMAC-SHA256 Credential=" + caller + "/20260101/" + region + "/" + service + "/aws4_request, SignedHeaders=host, Signature=none"
}
