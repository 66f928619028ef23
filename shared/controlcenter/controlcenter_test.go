package controlcenter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/soap"
)

const (
	node = "imp-emea-pub.example.com"
	icsa = "Cisco Intercluster Sync Agent"
)

// fake answers in the place of a node.
type fake func(soap.Request) (string, error)

func (f fake) Do(_ context.Context, req soap.Request) (*soap.Answer, error) {
	body, err := f(req)
	if err != nil {
		return nil, err
	}
	return soap.NewAnswer(req, node, io.NopCloser(strings.NewReader(body))), nil
}

func says(asked *soap.Request, inside string) fake {
	return func(req soap.Request) (string, error) {
		if asked != nil {
			*asked = req
		}
		return `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><ns1:` + req.Op + `Response xmlns:ns1="http://schemas.cisco.com/ast/soap" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` +
			inside + `</ns1:` + req.Op + `Response></soapenv:Body></soapenv:Envelope>`, nil
	}
}

func item(name, status, code, reason, up string) string {
	return "<ns1:item><ns1:ServiceName>" + name + "</ns1:ServiceName><ns1:ServiceStatus>" + status + "</ns1:ServiceStatus><ns1:ReasonCode>" + code +
		"</ns1:ReasonCode><ns1:ReasonCodeString>" + reason + "</ns1:ReasonCodeString><ns1:StartTime>Tue Jun 02 04:12:55 2026</ns1:StartTime><ns1:UpTime>" + up + "</ns1:UpTime></ns1:item>"
}

func listOf(element, returnCode, reasonCode string, items ...string) string {
	return "<ns1:" + element + "><ns1:ReturnCode>" + returnCode + "</ns1:ReturnCode><ns1:ReasonCode>" + reasonCode + "</ns1:ReasonCode><ns1:ReasonString/><ns1:ServiceInfoList>" +
		strings.Join(items, "") + "</ns1:ServiceInfoList></ns1:" + element + ">"
}

func TestServices(t *testing.T) {
	var asked soap.Request
	inside := listOf("soapGetServiceStatusReturn", "0", "-1",
		item(icsa, "Started", "-1", " ", "86400"),
		item("Cisco XCP Router", "Stopped", "-1069", "Component is commanded out of service", "-1"),
		item("Cisco Sync Agent", "Rebooting", "-1", "", ""),
		`<ns1:item><ns1:ServiceName>Cisco SIP Proxy</ns1:ServiceName><ns1:ServiceStatus xsi:nil="true"/><ns1:ReasonCode xsi:nil="true"/><ns1:ReasonCodeString xsi:nil="true"/><ns1:StartTime xsi:nil="true"/><ns1:UpTime xsi:nil="true"/></ns1:item>`,
		item("Cisco AXL Web Service", "Started", "-1", "", "0"))
	got, err := New(says(&asked, inside)).Services(t.Context(), icsa, "Cisco XCP Router")
	if err != nil {
		t.Fatal(err)
	}
	want := []Service{
		{icsa, Started, -1, "", 24 * time.Hour},
		{"Cisco XCP Router", Stopped, ReasonCommandedOut, "Component is commanded out of service", -1},
		{"Cisco Sync Agent", Unknown, -1, "", -1},
		{"Cisco SIP Proxy", Unknown, -1, "", -1},
		{"Cisco AXL Web Service", Started, -1, "", 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if up, known := got[0].Up(); up != 24*time.Hour || !known {
		t.Errorf("up %s, %v", up, known)
	}
	if _, known := got[1].Up(); known {
		t.Error("a stopped service has an up-time")
	}
	if up, known := got[4].Up(); up != 0 || !known {
		t.Error("a service that just started has none")
	}
	if asked.Op != "soapGetServiceStatus" || asked.Action != "soapGetServiceStatus" || asked.Write || asked.Path != "/controlcenterservice2/services/ControlCenterServices" {
		t.Errorf("request %+v", asked)
	}
}

func TestServicesThatSayNothing(t *testing.T) {
	tests := []struct {
		name, inside string
		kind         soap.Kind
	}{
		{"no return", "", soap.Malformed},
		{"empty return", "<ns1:soapGetServiceStatusReturn/>", soap.Malformed},
		{"all nil", `<ns1:soapGetServiceStatusReturn><ns1:ReturnCode xsi:nil="true"/><ns1:ServiceInfoList xsi:nil="true"/></ns1:soapGetServiceStatusReturn>`, soap.Malformed},
		{"another return", listOf("soapDoControlServicesReturn", "0", "-1"), soap.Malformed},
		{"up-time is a word", listOf("soapGetServiceStatusReturn", "0", "-1", item(icsa, "Started", "-1", "", "long")), soap.Malformed},
		{"refused as a whole", listOf("soapGetServiceStatusReturn", "-1", "-1071"), soap.Other},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(says(nil, tt.inside)).Services(t.Context())
			if soap.KindOf(err) != tt.kind {
				t.Errorf("got %v", err)
			}
			var refused *RefusedError
			if tt.kind == soap.Other && (!errors.As(err, &refused) || refused.ReturnCode != "-1" || refused.ReasonCode != ReasonException) {
				t.Errorf("got %#v", err)
			}
		})
	}
}

// What became of a write, as its callers tell it.
const (
	suffices      = "suffices"
	refused       = "refused"
	activateFirst = "activate first"
	notKnown      = "unknown"
)

// became checks that an error of a write can be taken for one thing only.
func became(t *testing.T, err error, action Action) string {
	t.Helper()
	var r *RefusedError
	var a *ActivateFirstError
	switch {
	case soap.KindOf(err) == soap.OutcomeUnknown:
		if errors.As(err, &r) || errors.As(err, &a) {
			t.Errorf("%v can be taken for a refusal", err)
		}
		return notKnown
	case errors.As(err, &a):
		if a.Node != node || a.Service != icsa || a.Action != action {
			t.Errorf("%+v", a)
		}
		return activateFirst
	case errors.As(err, &r):
		if r.Error() == "" || r.Action != action {
			t.Errorf("%+v", r)
		}
		return refused
	case err != nil:
		return err.Error()
	}
	return suffices
}

func TestControl(t *testing.T) {
	one := func(returnCode, reason, status, code string) string {
		return listOf("soapDoControlServicesReturn", returnCode, reason, item(icsa, status, code, "words", "-1"))
	}
	tests := []struct {
		name   string
		action Action
		inside string
		want   string
	}{
		{"restarting", Restart, one("0", "-1", "Starting", "-1"), suffices},
		{"started already", Start, one("0", "-1", "Started", "-1039"), suffices},
		{"started already, said with a return code", Start, one("1", "-1039", "Started", "-1039"), suffices},
		{"there already", Start, one("0", "-1", "Started", "-1057"), suffices},
		{"stopped already", Stop, one("0", "-1", "Stopped", "-1040"), suffices},
		{"stop: there already", Stop, one("0", "-1", "Stopped", "-1057"), suffices},
		{"stopped: commanded out of service", Stop, one("0", "-1", "Stopped", "-1069"), suffices},
		{"starting, the old reason still shown", Start, one("0", "-1", "Starting", "-1069"), suffices},
		{"already started does not suffice for a stop", Stop, one("0", "-1", "Started", "-1039"), refused},
		{"already stopped does not suffice for a start", Start, one("0", "-1", "Stopped", "-1040"), refused},
		{"nothing of the kind suffices for a restart", Restart, one("0", "-1", "Started", "-1057"), refused},
		{"no such service", Restart, one("0", "-1", "Unknown", "-1010"), refused},
		{"transition not allowed", Restart, one("0", "-1", "Stopping", "-1042"), refused},
		{"refused as a whole", Restart, listOf("soapDoControlServicesReturn", "1", "-1"), refused},
		{"not activated", Start, one("0", "-1", "Stopped", "-1068"), activateFirst},
		{"not activated, said as a whole", Start, listOf("soapDoControlServicesReturn", "1", "-1068"), activateFirst},
		{"timed out", Restart, one("0", "-1", "Stopping", "-1031"), notKnown},
		{"exception", Restart, one("1", "-1071", "Unknown", "-1071"), notKnown},
		{"stopped in the middle of a restart", Restart, one("0", "-1", "Stopped", "-1069"), notKnown},
		{"pending", Restart, one("0", "-1", "Stopped", "-1048"), notKnown},
		{"a code nobody knows", Restart, one("0", "-1", "Started", "-4711"), notKnown},
		{"another service", Restart, listOf("soapDoControlServicesReturn", "0", "-1", item("Cisco XCP Router", "Started", "-1", "", "5")), notKnown},
		{"no service", Restart, listOf("soapDoControlServicesReturn", "0", "-1"), notKnown},
		{"code is a word", Restart, one("0", "-1", "Started", "x"), notKnown},
		{"no return", Restart, "", notKnown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked soap.Request
			err := New(says(&asked, tt.inside)).Control(t.Context(), node, tt.action, icsa)
			got := became(t, err, tt.action)
			if got != tt.want {
				t.Errorf("%s (%v), want %s", got, err, tt.want)
			}
			if !asked.Write || asked.Action != "soapDoControlServices" {
				t.Errorf("request %+v", asked)
			}
		})
	}
}

func TestActivate(t *testing.T) {
	one := func(returnCode, reason, status, code string) string {
		return listOf("soapDoServiceDeploymentReturn", returnCode, reason, item(icsa, status, code, "words", "-1"))
	}
	tests := []struct {
		name   string
		inside string
		want   string
	}{
		{"starting", one("0", "-1", "Starting", "-1"), suffices},
		{"activated already", one("0", "-1", "Started", "-1057"), suffices},
		{"started already, said with a return code", one("1", "-1039", "Started", "-1039"), suffices},
		{"starting, the old reason still shown", one("0", "-1", "Starting", "-1068"), suffices},
		{"no such service", one("0", "-1", "Unknown", "-1010"), refused},
		{"a network service", one("0", "-1", "Started", "-1042"), refused},
		{"refused as a whole", listOf("soapDoServiceDeploymentReturn", "1", "-1"), refused},
		{"still not activated", one("0", "-1", "Stopped", "-1068"), notKnown},
		{"still not activated, said with a return code", one("1", "-1068", "Starting", "-1068"), notKnown},
		{"stopped already", one("0", "-1", "Stopped", "-1040"), notKnown},
		{"activated, and the start needs another service", one("0", "-1", "Stopped", "-1036"), notKnown},
		{"activated, and does not run", one("0", "-1", "Stopped", "-1019"), notKnown},
		{"timed out", one("0", "-1", "Stopped", "-1031"), notKnown},
		{"another service", listOf("soapDoServiceDeploymentReturn", "0", "-1", item("Cisco XCP Router", "Started", "-1", "", "5")), notKnown},
		{"the answer to another request", listOf("soapDoControlServicesReturn", "0", "-1", item(icsa, "Starting", "-1", "", "-1")), notKnown},
		{"no return", "", notKnown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked soap.Request
			err := New(says(&asked, tt.inside)).Activate(t.Context(), node, icsa)
			if got := became(t, err, Activate); got != tt.want {
				t.Errorf("%s (%v), want %s", got, err, tt.want)
			}
			if !asked.Write || asked.Action != "soapDoServiceDeployment" {
				t.Errorf("request %+v", asked)
			}
		})
	}
}

func TestProducts(t *testing.T) {
	got, err := New(says(nil, `<ns1:getProductInformationListReturn><ns1:ActiveServerVersion>14.0.1.13900-8</ns1:ActiveServerVersion><ns1:PrimaryNode>`+node+`</ns1:PrimaryNode><ns1:SecondaryNode xsi:nil="true"/>
<ns1:Products><ns1:item><ns1:ProductName>IM and Presence</ns1:ProductName><ns1:ProductVersion>14.0.1.13900-8</ns1:ProductVersion><ns1:ProductDescription>d</ns1:ProductDescription><ns1:ProductID>CUP</ns1:ProductID><ns1:ShortName>CUP</ns1:ShortName></ns1:item></ns1:Products>
<ns1:Services><ns1:item><ns1:ServiceName>Cisco AXL Web Service</ns1:ServiceName><ns1:ServiceType>Servlet</ns1:ServiceType><ns1:Deployable>true</ns1:Deployable><ns1:GroupName>g</ns1:GroupName><ns1:ProductID>Common</ns1:ProductID><ns1:DependentServices><ns1:Service>a</ns1:Service><ns1:Service>b</ns1:Service></ns1:DependentServices></ns1:item></ns1:Services></ns1:getProductInformationListReturn>`)).Products(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Products{Version: "14.0.1.13900-8", Primary: node,
		Products: []Product{{"IM and Presence", "14.0.1.13900-8", "d", "CUP", "CUP"}},
		Services: []StaticService{{"Cisco AXL Web Service", "Servlet", true, "g", "Common", []string{"a", "b"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("products (-want +got):\n%s", diff)
	}
	if _, err := New(says(nil, "")).Products(t.Context()); soap.KindOf(err) != soap.Malformed {
		t.Errorf("no return: %v", err)
	}
}

func TestTransportErrorsPassThrough(t *testing.T) {
	down := fake(func(req soap.Request) (string, error) {
		return "", &soap.Error{Op: req.Op, Node: node, Kind: soap.NotFound, Status: 404, Sent: true}
	})
	c := New(down)
	_, errServices := c.Services(t.Context())
	errControl := c.Control(t.Context(), node, Start, icsa)
	errActivate := c.Activate(t.Context(), node, icsa)
	_, errProducts := c.Products(t.Context())
	for _, err := range []error{errServices, errControl, errActivate, errProducts} {
		if soap.KindOf(err) != soap.NotFound {
			t.Errorf("got %v", err)
		}
	}
	if _, err := New(says(nil, "")).Services(t.Context(), "a\x00"); soap.KindOf(err) != soap.Malformed {
		t.Errorf("a name XML cannot carry: %v", err)
	}
}

// Requests are checked against the schema inside Cisco's WSDL, where that and xmllint are at hand.
func TestRequestsAreValid(t *testing.T) {
	var requests []string
	c := New(fake(func(req soap.Request) (string, error) {
		_, body, _ := strings.Cut(string(req.Body), "<soapenv:Body>")
		body, _, _ = strings.Cut(body, "</soapenv:Body>")
		requests = append(requests, body)
		return "", io.EOF
	}))
	_, _ = c.Services(t.Context())
	_, _ = c.Services(t.Context(), icsa, "Cisco A & B")
	_ = c.Control(t.Context(), node, Restart, icsa)
	_, _ = c.Products(t.Context())
	_ = c.Activate(t.Context(), node, "Cisco AXL Web Service")
	want := []string{
		`<ns:soapGetServiceStatus><ns:ServiceStatus/></ns:soapGetServiceStatus>`,
		`<ns:soapGetServiceStatus><ns:ServiceStatus>Cisco Intercluster Sync Agent</ns:ServiceStatus><ns:ServiceStatus>Cisco A &amp; B</ns:ServiceStatus></ns:soapGetServiceStatus>`,
		`<ns:soapDoControlServices><ns:ControlServiceRequest><ns:NodeName>` + node + `</ns:NodeName><ns:ControlType>Restart</ns:ControlType><ns:ServiceList><ns:item>Cisco Intercluster Sync Agent</ns:item></ns:ServiceList></ns:ControlServiceRequest></ns:soapDoControlServices>`,
		`<ns:getProductInformationList><ns:ServiceInfo/></ns:getProductInformationList>`,
		`<ns:soapDoServiceDeployment><ns:DeploymentServiceRequest><ns:NodeName>` + node + `</ns:NodeName><ns:DeployType>Deploy</ns:DeployType><ns:ServiceList><ns:item>Cisco AXL Web Service</ns:item></ns:ServiceList></ns:DeploymentServiceRequest></ns:soapDoServiceDeployment>`,
	}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Fatalf("requests (-want +got):\n%s", diff)
	}
	wsdl, err := os.ReadFile(filepath.FromSlash("../../../shared/reference/controlcenter/ControlCenterServices.wsdl"))
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
	lint := func(requests ...string) error {
		args := []string{"--nonet", "--noout", "--schema", xsd}
		for i, body := range requests {
			at := strings.Index(body, ">")
			file := filepath.Join(dir, fmt.Sprintf("%d.xml", i))
			if err := os.WriteFile(file, []byte(body[:at]+` xmlns:ns="http://schemas.cisco.com/ast/soap"`+body[at:]), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, file)
		}
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("xmllint: %w\n%s", err, out)
		}
		return nil
	}
	if err := lint(requests...); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{strings.Replace(requests[2], "Restart", "Bounce", 1), strings.Replace(requests[4], "Deploy<", "Activate<", 1)} {
		if lint(wrong) == nil {
			t.Errorf("the check accepts %s", wrong)
		}
	}
}
