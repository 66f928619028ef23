package soap

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/secret"
)

// secret.Text hides itself; that an endpoint, a client and a transport do not undo it is theirs to prove.
func TestPasswordIsNeverShown(t *testing.T) {
	const text = "Tr0ub4dor&3"
	e := Endpoint{Node: nodeName, Username: "reader", Password: secret.NewText(text)}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %[1]v"} {
		for what, value := range map[string]any{
			"endpoint": e, "endpoint's pointer": &e, "client": New(e), "client by value": struct{ C *Client }{New(e)}, "client in an unexported field": struct{ c *Client }{New(e)},
			"transport": NewTransport(e), "transport by value": struct{ T *Transport }{NewTransport(e)},
		} {
			shown[what+" "+verb] = fmt.Sprintf(verb, value)
		}
	}
	j, err := json.Marshal(struct{ Password secret.Text }{e.Password})
	if err != nil {
		t.Fatal(err)
	}
	shown["JSON"] = string(j)
	x, err := xml.Marshal(e.Password)
	if err != nil {
		t.Fatal(err)
	}
	shown["XML"] = string(x)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "endpoint", e, "client", New(e))
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "password", e.Password, "group", slog.GroupValue(slog.Any("inner", NewTransport(e))))
	shown["slog"] = log.String()
	for how, got := range shown {
		if strings.Contains(got, text) || strings.Contains(strings.ToLower(got), fmt.Sprintf("%x", text)) || got == "" {
			t.Errorf("%s shows %q", how, got)
		}
	}
	if plain := fmt.Sprintf("%x", struct{ p string }{text}); !strings.Contains(plain, fmt.Sprintf("%x", text)) {
		t.Error("the search finds nothing")
	}
}

func TestFaultVariants(t *testing.T) {
	const message = "Item not valid: The specified jdoe was not found"
	tests := []struct {
		name, body string
		code, text string
	}{
		{"current", `<faultstring>other words</faultstring><detail><axlError><axlcode>5007</axlcode><axlmessage>` + message + `</axlmessage><request>getUser</request></axlError></detail>`, "5007", message},
		{"with a name space", `<detail><ns2:axlError xmlns:ns2="http://www.cisco.com/AXL/API/11.5"><ns2:axlmessage>` + message + `</ns2:axlmessage><ns2:axlcode>5007</ns2:axlcode></ns2:axlError></detail><faultstring>x</faultstring>`, "5007", message},
		{"axl:Error of old releases", `<faultstring>x</faultstring><detail><axl:Error xmlns:axl="http://www.cisco.com/AXL/1.0"><code>5007</code><message>` + message + `</message><request>getUser</request></axl:Error></detail>`, "5007", message},
		{"axl:error", `<faultstring>x</faultstring><detail><axl:error xmlns:axl="a"><axl:code>5007</axl:code><axl:message>` + message + `</axl:message></axl:error></detail>`, "5007", message},
		{"Error", `<detail><Error><code>5007</code><message><![CDATA[` + message + `]]></message></Error></detail>`, "5007", message},
		{"no detail", `<faultstring>` + message + `</faultstring>`, "soapenv:Server", message},
		{"nothing at all", ``, "soapenv:Server", "a fault without a text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := decodeEnvelope(strings.NewReader(faultBody(tt.body)), "getUserResponse", &struct{}{})
			if err != nil || f == nil {
				t.Fatalf("%v, %v", f, err)
			}
			e := f.err("getUser", nodeName, 500)
			if e.Code != tt.code || e.Cause.Error() != tt.text || e.Kind != Fault {
				t.Errorf("got %s %q %q, want %q %q", e.Kind, e.Code, e.Cause, tt.code, tt.text)
			}
		})
	}
}

func TestSizeFaultWordings(t *testing.T) {
	tests := []struct {
		text            string
		rows, suggested int
	}{
		{"Query request too large. Total rows matched: 2816 rows. Suggestive Row Fetch: less than 844 rows", 2816, 844},
		{"Query request too large. Total rows matched: 75000 rows. Suggested row fetch: less than 9000 rows", 75000, 9000},
		{"Query request too large.", 0, 0},
		{"Total rows matched: 99999999999999999999 rows. Suggested row fetch: less than", 0, 0},
	}
	for _, tt := range tests {
		e := (&fault{text: tt.text}).err("executeSQLQuery", nodeName, 500)
		if e.Kind != TooLarge || e.Rows != tt.rows || e.Suggested != tt.suggested {
			t.Errorf("%q: %s rows %d suggested %d", tt.text, e.Kind, e.Rows, e.Suggested)
		}
	}
}

func TestSupportedVersions(t *testing.T) {
	for page, want := range map[string][]string{
		"HTTP Status 599 - Incorrect axl version. Supported axl versions are 12.x, 14.0 and 15.0": {"12.x", "14.0", "15.0"},
		"Supported axl versions are 10.5, 11.0, 11.5 and 12.0.":                                   {"10.5", "11.0", "11.5", "12.0"},
		"version 3.2 is wrong":           nil,
		"supported: x.x, .5, 7, and 9.y": nil,
	} {
		if diff := cmp.Diff(want, supportedVersions(page)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", page, diff)
		}
	}
}

func TestPlainText(t *testing.T) {
	for page, want := range map[string]string{
		"<html><script>alert(1)</script><b>No</b>&nbsp;access</html>": "No access",
		"a < b and c<5":               "a < b and c<5",
		"<!-- <b>hidden</b> -->shown": "shown",
		"one\r\n\ttwo\x00\x1b[31m":    "one two[31m",
		"turned \u202earound":         "turned around",
		"cut <b":                      "cut",
		"bad \xff byte":               "bad ? byte",
		"&lt;b&gt;":                   "<b>",
		strings.Repeat("é", 300):      strings.Repeat("é", longestText-1) + "…",
	} {
		if got := plainText(page); got != want {
			t.Errorf("%q: got %q, want %q", page, got, want)
		}
	}
}

func TestHostileXML(t *testing.T) {
	deep := strings.Repeat("<a>", maxDepth+1) + strings.Repeat("</a>", maxDepth+1)
	envelope := func(body string) string {
		return `<e:Envelope xmlns:e="x"><e:Body>` + body + `</e:Body></e:Envelope>`
	}
	for name, body := range map[string]string{
		"entity bomb":          `<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + envelope("<opResponse>&b;</opResponse>"),
		"undeclared entity":    envelope("<opResponse>&b;</opResponse>"),
		"too deep":             envelope("<opResponse>" + deep + "</opResponse>"),
		"too deep in a fault":  envelope("<Fault>" + deep + "</Fault>"),
		"tags that cross":      envelope("<opResponse><a></opResponse></a>"),
		"not XML":              "{}",
		"other encoding":       `<?xml version="1.0" encoding="UTF-16"?>` + envelope("<opResponse/>"),
		"no Body":              `<e:Envelope xmlns:e="x"><e:Header/></e:Envelope>`,
		"not an envelope":      `<opResponse/>`,
		"another operation":    envelope("<otherResponse/>"),
		"text after the end":   envelope("<opResponse/>") + "x",
		"second root":          envelope("<opResponse/>") + "<x/>",
		"cut":                  envelope("<opResponse/>")[:40],
		"cut before the close": strings.TrimSuffix(envelope("<opResponse/>"), "</e:Envelope>"),
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := decodeEnvelope(strings.NewReader(body), "opResponse", &struct{}{}); err == nil {
				t.Errorf("accepted: %+v", f)
			}
		})
	}
	for name, body := range map[string]string{
		"header, siblings, comments, prefixes": `<?xml version="1.0" encoding="UTF-8"?><!-- a --><S:Envelope xmlns:S="x"><S:Header><h><Body/></h></S:Header><S:Body><n:opResponse xmlns:n="y"/><more><x/></more></S:Body><S:Extra/></S:Envelope> <!-- z --> `,
		"as deep as allowed":                   envelope("<opResponse>" + strings.Repeat("<a>", maxDepth-3) + strings.Repeat("</a>", maxDepth-3) + "</opResponse>"),
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := decodeEnvelope(strings.NewReader(body), "opResponse", &struct{}{}); err != nil || f != nil {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}

func TestEnvelope(t *testing.T) {
	const hostile = `'; <sql>&amp;]]> "x" ` + "\t\n é 😀"
	body, err := Envelope("http://www.cisco.com/AXL/API/14.0", "executeSQLQuery", false, Text("sql", hostile))
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Body struct {
			Query struct {
				SQL struct {
					XMLName xml.Name
					Text    string `xml:",chardata"`
				} `xml:"sql"`
			} `xml:"http://www.cisco.com/AXL/API/14.0 executeSQLQuery"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
	if err := xml.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.Body.Query.SQL; got.Text != hostile || got.XMLName.Space != "" {
		t.Errorf("arrives as %q in name space %q", got.Text, got.XMLName.Space)
	}
	body, err = Envelope("http://schemas.cisco.com/ast/soap", "op", true, Parent("List", Text("item", "a"), Text("item", "")))
	if err != nil || !strings.Contains(string(body), `<ns:op><ns:List><ns:item>a</ns:item><ns:item/></ns:List></ns:op>`) {
		t.Errorf("%s, %v", body, err)
	}
	for name, e := range map[string]Element{
		"NUL":            Text("sql", "a\x00b"),
		"broken UTF-8":   Text("sql", "a\xffb"),
		"escape":         Text("sql", "\x1b"),
		"name with a <":  Text("a><b", ""),
		"no name":        Text("", "x"),
		"in a child":     Parent("a", Text("b", "\x01")),
		"name from a nr": Text("1a", ""),
	} {
		if body, err := Envelope("x", "op", false, e); err == nil {
			t.Errorf("%s: accepted: %s", name, body)
		}
	}
}

// FuzzFault feeds an answer to everything that reads one: nothing panics, a fault's words are short and printable, and what the opening says
// agrees with the decoder.
func FuzzFault(f *testing.F) {
	for _, seed := range []string{okBody, faultBody(""), faultBody(`<faultstring>Query request too large. Total rows matched: 2816 rows. Suggestive Row Fetch: less than 844 rows</faultstring><detail><a:Error xmlns:a="x"><code>-1</code></a:Error></detail>`),
		`<!DOCTYPE a>`, `<html><body>HTTP Status 599 - Supported axl versions are 12.x, 14.0</body></html>`, "", "<Envelope><Body><Fault/></Body></Envelope>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		flt, err := decodeEnvelope(strings.NewReader(body), "getCCMVersionResponse", &struct{}{})
		first, _ := opening([]byte(body))
		if err == nil && (first == "Fault") != (flt != nil) {
			t.Errorf("opening says %q, decoder %+v", first, flt)
		}
		texts := []string{plainText(body)}
		if flt != nil {
			e := flt.err("op", nodeName, 500)
			texts = append(texts, e.Cause.Error(), e.Code)
			if e.Rows < 0 || e.Suggested < 0 || e.Error() == "" {
				t.Errorf("%+v", e)
			}
		}
		for _, s := range texts {
			if utf8.RuneCountInString(s) > longestText || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("not short plain text: %q", s)
			}
		}
		for _, v := range supportedVersions(body) {
			if !strings.Contains(v, ".") {
				t.Errorf("version %q", v)
			}
		}
	})
}
