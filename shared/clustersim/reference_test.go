package clustersim

import (
	"encoding/xml"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reference is where Cisco's schemas lie next to a checkout; they may not be
// shipped, so the test is skipped without them.
const reference = "../../../shared/reference"

// bodyOf cuts the one element out of the SOAP body.
func bodyOf(t *testing.T, envelope string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(envelope))
	for {
		tok, err := d.Token()
		if err != nil {
			t.Fatalf("no body in %s: %v", envelope, err)
		}
		if start, ok := tok.(xml.StartElement); !ok || start.Name.Local != "Body" {
			continue
		}
		from := d.InputOffset()
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
		if err := d.Skip(); err != nil {
			t.Fatal(err)
		}
		return envelope[from:d.InputOffset()]
	}
}

// schemaOf is the schema inside a WSDL of Serviceability, as a file of its own.
func schemaOf(t *testing.T, dir, name string) string {
	t.Helper()
	wsdl, err := os.ReadFile(filepath.Join(reference, name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(wsdl)
	start, end := strings.Index(text, "<schema "), strings.Index(text, "</schema>")
	if start < 0 || end < 0 {
		t.Fatal("no schema in the WSDL")
	}
	schema := strings.Replace(text[start:end], "<schema ", `<schema xmlns:tns="http://schemas.cisco.com/ast/soap" xmlns:xsd="http://www.w3.org/2001/XMLSchema" `, 1) + "</schema>"
	path := filepath.Join(dir, filepath.Base(name)+".xsd")
	if err := os.WriteFile(path, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every answer fits Cisco's own schema, and an answer spoilt on purpose does
// not.
func TestAnswersFitTheSchemas(t *testing.T) {
	axlSchema := filepath.Join(reference, "axl", "14.0", "AXLSoap.xsd")
	if _, err := os.Stat(axlSchema); errors.Is(err, fs.ErrNotExist) {
		t.Skip("Cisco's schemas are not here")
	}
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	dir := t.TempDir()
	r := newRig(t, Config{Users: 10})
	parameter := "<processNodeName>" + emeaPub + "</processNodeName><name>" + paramSyncInterval + "</name><service>" + serviceICSA + "</service>"
	user := r.query(emeaPub, "SELECT FIRST 1 userid FROM enduser WHERE tkuserprofile = 1 AND status = 1").row(0)["userid"]
	answers := map[string]map[string]reply{
		axlSchema: {
			"version":    r.axlCall(emeaPub, "getCCMVersion", "", "write"),
			"rows":       r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT * FROM processnode</sql>", "write"),
			"no rows":    r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT * FROM processnode WHERE nodeid = 99</sql>", "write"),
			"update":     r.axlCall(emeaPub, "executeSQLUpdate", "<sql>UPDATE processnode SET mac = '' WHERE nodeid = 3</sql>", "write"),
			"nodes":      r.axlCall(emeaPub, "listProcessNode", "<searchCriteria><name>%</name></searchCriteria>", "write"),
			"parameter":  r.axlCall(emeaPub, "getServiceParameter", parameter, "write"),
			"parameters": r.axlCall(emeaPub, "listServiceParameter", "<searchCriteria><processNodeName>%</processNodeName></searchCriteria>", "write"),
			"set":        r.axlCall(emeaPub, "updateServiceParameter", parameter+"<value>45</value>", "write"),
			"reset":      r.axlCall(emeaPub, "doServiceParametersReset", "<processNodeName>"+emeaPub+"</processNodeName><service>"+serviceICSA+"</service>", "write"),
			"users":      r.axlCall(emeaPub, "listUser", "<searchCriteria><userid>%</userid></searchCriteria>", "write"),
			"user":       r.axlCall(emeaPub, "getUser", "<userid>"+user+"</userid>", "write"),
			"assigned":   r.axlCall(emeaPub, "listAssignedPresenceUsers", "<searchCriteria><userid>%</userid></searchCriteria>", "write"),
			"unassigned": r.axlCall(emeaPub, "listUnassignedPresenceUsers", "<searchCriteria><userid>%</userid></searchCriteria>", "write"),
		},
		schemaOf(t, dir, "perfmon/PerfmonService.wsdl"): {
			"replication": r.counters(emeaSub, replicates),
			"recovery":    r.counters(emeaPub, "Cisco Server Recovery Manager"),
		},
		schemaOf(t, dir, "controlcenter/ControlCenterServices.wsdl"): {
			"status":  r.control(emeaPub, "soapGetServiceStatus", "<q:ServiceStatus/>", "write"),
			"some":    r.control(emeaPub, "soapGetServiceStatus", "<q:ServiceStatus>Cisco Nothing</q:ServiceStatus>", "write"),
			"restart": r.control(emeaPub, "soapDoControlServices", controlRequest(emeaPub, "Restart", serviceICSA), "write"),
			"static":  r.control(emeaPub, "soapGetStaticServiceList", "<q:ServiceInformationResponse/>", "write"),
			"product": r.control(emeaPub, "getProductInformationList", "<q:ServiceInfo/>", "write"),
			"deploy":  r.control(emeaPub, "soapDoServiceDeployment", `<q:DeploymentServiceRequest><q:NodeName>`+emeaPub+`</q:NodeName><q:DeployType>Deploy</q:DeployType><q:ServiceList><q:item>Cisco XCP Message Archiver</q:item></q:ServiceList></q:DeploymentServiceRequest>`, "write"),
		},
	}
	check := func(schema string, files ...string) ([]byte, error) {
		return exec.CommandContext(t.Context(), xmllint, append([]string{"--noout", "--nonet", "--schema", schema}, files...)...).CombinedOutput()
	}
	for schema, set := range answers {
		var files []string
		for name, a := range set {
			if a.status != 200 {
				t.Fatalf("%s: %d %s", name, a.status, a.body)
			}
			path := filepath.Join(dir, name+".xml")
			if err := os.WriteFile(path, []byte(bodyOf(t, a.body)), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, path)
		}
		if out, err := check(schema, files...); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		spoilt, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "spoilt.xml")
		if err := os.WriteFile(path, []byte(strings.Replace(string(spoilt), "Response ", "Response unknown=\"1\" ", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := check(schema, path); err == nil {
			t.Errorf("an unknown attribute passed: %s", out)
		}
	}
}
