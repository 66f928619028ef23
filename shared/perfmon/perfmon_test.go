package perfmon

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/soap/soaptest"
)

const replicates = "Number of Replicates Created and State of Replication"

// fake answers in the place of a node.
type fake func(soap.Request) (string, error)

func (f fake) Do(_ context.Context, req soap.Request) (*soap.Answer, error) {
	body, err := f(req)
	if err != nil {
		return nil, err
	}
	return soap.NewAnswer(req, soaptest.NodeName, io.NopCloser(strings.NewReader(body))), nil
}

func envelope(inside string) string {
	return `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><ns1:perfmonCollectCounterDataResponse xmlns:ns1="http://schemas.cisco.com/ast/soap">` +
		inside + `</ns1:perfmonCollectCounterDataResponse></soapenv:Body></soapenv:Envelope>`
}

func says(inside string) fake {
	return func(soap.Request) (string, error) { return envelope(inside), nil }
}

func value(name, value, status string) string {
	return "<ns1:perfmonCollectCounterDataReturn><ns1:Name>" + name + "</ns1:Name><ns1:Value>" + value + "</ns1:Value><ns1:CStatus>" + status + "</ns1:CStatus></ns1:perfmonCollectCounterDataReturn>"
}

func TestCountersOfAnObject(t *testing.T) {
	inside := value(`\\imp-emea-pub\`+replicates+`(ReplicateCount)\Number_of_Replicates_Created`, "0", "1") +
		value(`\\imp-emea-pub\`+replicates+`(ReplicateCount)\Replicate_state`, " 2 ", "1") +
		value(`\\imp-emea-pub\`+strings.ToUpper(replicates)+`(Odd (one)\two)\Replicate_State`, "3", "0")
	got, err := New(says(inside)).Collect(t.Context(), soaptest.NodeName, replicates)
	if err != nil {
		t.Fatal(err)
	}
	want := Counters{
		{"ReplicateCount", "Number_of_Replicates_Created", 0, true},
		{"ReplicateCount", "Replicate_state", 2, true},
		{`Odd (one)\two`, "Replicate_State", 3, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{2}, got.Values("REPLICATE_STATE")); diff != "" {
		t.Errorf("the usable values, whatever the case (-want +got):\n%s", diff)
	}
	if got, err := New(says("")).Collect(t.Context(), soaptest.NodeName, replicates); err != nil || got != nil {
		t.Errorf("an object without counters: %v, %v", got, err)
	}
}

func TestCounterThatCannotBeUnderstood(t *testing.T) {
	for name, inside := range map[string]string{
		"another object":          value(`\\h\Cisco Sync Agent\NumberOfSyncErrors`, "0", "1"),
		"no name":                 value("", "0", "1"),
		"no host":                 value(replicates+`\Replicate_State`, "0", "1"),
		"no counter":              value(`\\h\`+replicates+`(ReplicateCount)\`, "0", "1"),
		"an instance without end": value(`\\h\`+replicates+`(ReplicateCount\Replicate_State`, "0", "1"),
		"a longer object":         value(`\\h\`+replicates+` too\Replicate_State`, "0", "1"),
		"a name without end":      value(`\\h\`+replicates+`\`+strings.Repeat("x", longestName), "0", "1"),
		"a value that is a word":  value(`\\h\`+replicates+`\Replicate_State`, "good", "1"),
		"a value beyond a long":   value(`\\h\`+replicates+`\Replicate_State`, "9223372036854775808", "1"),
		"more than are taken":     strings.Repeat(value(`\\h\`+replicates+`\Replicate_State`, "2", "1"), MostCounters+1),
		"no end":                  "<ns1:open>",
	} {
		if got, err := New(says(inside)).Collect(t.Context(), soaptest.NodeName, replicates); soap.KindOf(err) != soap.Malformed || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := New(says("")).Collect(t.Context(), "a\x00", replicates); soap.KindOf(err) != soap.Malformed {
		t.Errorf("a host that XML cannot carry: %v", err)
	}
	unusable := value(`\\h\`+replicates+`\Replicate_State`, "", "0")
	if got, err := New(says(unusable)).Collect(t.Context(), soaptest.NodeName, replicates); err != nil || len(got.Values("Replicate_State")) != 0 {
		t.Errorf("what the node calls unusable needs no value: %v, %v", got, err)
	}
}

// What a node may answer instead of counters keeps its kind, so that a caller can wait, or tell a right that is missing from a password.
func TestWhatANodeAnswersInstead(t *testing.T) {
	fault := func(text string) string {
		return `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><soapenv:Fault><faultcode>soapenv:Server.generalException</faultcode><faultstring>` + text + `</faultstring></soapenv:Fault></soapenv:Body></soapenv:Envelope>`
	}
	for _, c := range []struct {
		name   string
		status int
		body   string
		kind   soap.Kind
	}{
		{"the rate is exceeded", 500, fault("Exceeded allowed rate for Perfmon information. Current allowed rate for perfmon information is 80 requests per minute.PerfmonService"), soap.RateExceeded},
		{"no such object", 500, fault("No such object"), soap.Fault},
		{"the role is missing", 403, "<html>Access denied</html>", soap.Forbidden},
		{"the password is wrong", 401, "<html>Unauthorized</html>", soap.AccountRejected},
		{"the service is not active", 404, "<html>Not Found</html>", soap.NotFound},
		{"a page instead of SOAP", 200, "<html>Welcome</html>", soap.Malformed},
		{"more than is read", 200, envelope(strings.Repeat(value(`\\h\`+replicates+`\Replicate_State`, "2", "1"), 100)), soap.AnswerTooBig},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert := soaptest.Issue(t, soaptest.NodeName, nil, nil)
			node := soaptest.NewNode(t, cert, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			wire := soap.New(soap.Endpoint{Node: soaptest.NodeName, Address: node.Address, Username: "reader", Password: secret.NewText("secret"),
				Trust: soap.Trust{Roots: cert.Pool()}, Now: time.Now, Timeout: time.Minute, MaxAnswer: 4096})
			defer wire.Close()
			if _, err := New(wire).Collect(t.Context(), soaptest.NodeName, replicates); soap.KindOf(err) != c.kind {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Requests are checked against the schema inside Cisco's WSDL, where that and xmllint are at hand.
func TestRequestsAreValid(t *testing.T) {
	var asked soap.Request
	_, _ = New(fake(func(req soap.Request) (string, error) { asked = req; return "", io.EOF })).Collect(t.Context(), soaptest.NodeName, "Cisco A & B")
	_, body, _ := strings.Cut(string(asked.Body), "<soapenv:Body>")
	body, _, _ = strings.Cut(body, "</soapenv:Body>")
	want := `<ns:perfmonCollectCounterData><ns:Host>` + soaptest.NodeName + `</ns:Host><ns:Object>Cisco A &amp; B</ns:Object></ns:perfmonCollectCounterData>`
	if body != want || asked.Action != "perfmonCollectCounterData" || asked.Path != "/perfmonservice2/services/PerfmonService" || asked.Write {
		t.Fatalf("request %+v\n%s", asked, body)
	}
	wsdl, err := os.ReadFile(filepath.FromSlash("../../../shared/reference/perfmon/PerfmonService.wsdl"))
	if err != nil {
		t.Skip("Cisco's WSDL is not here")
	}
	tool, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	_, schema, _ := strings.Cut(string(wsdl), "<schema ")
	schema, _, _ = strings.Cut(schema, "</schema>")
	dir := t.TempDir()
	xsd := filepath.Join(dir, "schema.xsd")
	schema = `<schema xmlns:tns="http://schemas.cisco.com/ast/soap" xmlns:xsd="http://www.w3.org/2001/XMLSchema" ` + schema + "</schema>"
	if err := os.WriteFile(xsd, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	lint := func(body string) error {
		file := filepath.Join(dir, "request.xml")
		at := strings.Index(body, ">")
		if err := os.WriteFile(file, []byte(body[:at]+` xmlns:ns="`+space+`"`+body[at:]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), tool, "--nonet", "--noout", "--schema", xsd, file).CombinedOutput(); err != nil {
			return fmt.Errorf("xmllint: %w\n%s", err, out)
		}
		return nil
	}
	if err := lint(body); err != nil {
		t.Error(err)
	}
	if lint(strings.Replace(body, "ns:Host", "ns:Node", 2)) == nil {
		t.Error("the check accepts anything")
	}
}

func FuzzCounterName(f *testing.F) {
	f.Add(`\\host\`+replicates+`(ReplicateCount)\Replicate_State`, replicates)
	f.Add(`\\host\Cisco Sync Agent\NumberOfSyncErrors`, "Cisco Sync Agent")
	f.Add(`\\h\o(\)\c`, "o")
	f.Fuzz(func(t *testing.T, name, object string) {
		c, err := parse(name, object)
		if err != nil {
			return
		}
		if c.Name == "" || len(name) > longestName || c.Instance != "" && strings.Contains(c.Name, `)\`) {
			t.Errorf("%q of %q is %+v", name, object, c)
		}
	})
}
