// Package logcollection reads log files of one node through Cisco's Log Collection service: which files there are, and what one of them says.
//
// It owns the envelopes, the framings in which the service answers (MTOM/XOP, MIME parts of Axis 1, plain XML, base64 inside the XML), and what
// its faults mean. A file is a stream: it is read once, to a cap, and never held. It asks for a list or a download and never for a push to
// another server, which the same operation can do too.
//
// A node answers for its own files only [T]. There are no ranges, no offsets and no compression: a file comes whole, every time [V: WSDL].
//
// Failure promise: errors are *NoFileError, *RefusedError, *TooLargeError, *soap.Error, or what a reader's callback returned; ProblemOf sorts them.
// A nil error of File means that the file was read to its end. A cut answer is never a short file.
//
// Marks in comments: [V] Cisco's own page, WSDL or sample; [T] third party, often seen on a live node; [I] inferred. Nothing here was seen on
// a live node of IM and Presence by us.
package logcollection

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"peerkeeper/shared/soap"
)

const (
	// path is the service that everything is asked of, files included; it exists since 9.1 at least [T], and needs the network service "SOAP - Log
	// Collection APIs" [V].
	path  = "/logcollectionservice2/services/LogCollectionPortTypeService"
	space = "http://schemas.cisco.com/ast/soap" // [V: WSDL]

	// oldPath is the older service, for files alone. "DIME" is a name only: it answers in MIME parts [T].
	oldPath   = "/logcollectionservice/services/DimeGetFileService"
	oldSpace  = "http://schemas.cisco.com/ast/soap/" // with the final slash [T]
	oldAction = "http://schemas.cisco.com/ast/soap/action/#LogCollectionPort#GetOneFile"
)

const (
	maxListing = 2 << 20 // bytes of an answer that is no file
	maxFiles   = 2000    // of a listing that are kept
	maxText    = 512     // bytes of a name, a path or a date in it
)

// Service is one of the two that give a file.
type Service string

// The services that give a file.
const (
	New Service = "logcollectionservice2" // [V-sample]
	Old Service = "DimeGetFileService"    // [T]
)

// Client speaks to one node through one transport, which must be or wrap a Wire. It is safe for concurrent use.
type Client struct{ transport soap.RoundTripper }

// NewClient makes the client.
func NewClient(t soap.RoundTripper) *Client { return &Client{transport: t} }

// ask carries one request and gives the XML of its answer, from whatever framing it came in.
func (c *Client) ask(ctx context.Context, op string, body soap.Element) (*soap.Answer, []byte, error) {
	text, err := soap.EnvelopeOf(space, true, body)
	if err != nil {
		return nil, nil, &soap.Error{Op: op, Kind: soap.Malformed, Cause: err} // not sent
	}
	a, err := c.transport.Do(ctx, soap.Request{Op: op, Path: path, Action: `"` + op + `"`, Body: text})
	if err != nil {
		return nil, nil, classify(err, "")
	}
	defer a.Close()
	// Every operation may answer in parts, of which there is one [T].
	root, err := rootXML(a.ContentType, a.Body, maxListing)
	if err != nil {
		return a, nil, failed(a, err)
	}
	return a, root, nil
}

// failed types an error met while an answer was read.
func failed(a *soap.Answer, err error) error {
	var known *soap.Error
	if errors.As(err, &known) {
		return err
	}
	return a.Malformed(err)
}

// TimeZone asks for the node's time zone, as selectLogFiles wants it back; host is the node's name. The answer is a text that is itself XML, in
// which the value stands as an attribute or a child "value" [T]; "" if it cannot be found there. It is the cheapest call of the service.
func (c *Client) TimeZone(ctx context.Context, host string) (string, error) {
	const op = "getTimeZone"
	a, root, err := c.ask(ctx, op, soap.Text("LocalHost", host))
	if err != nil {
		return "", err
	}
	var out struct {
		Text string `xml:",chardata"`
	}
	if err := decode(a, root, "TimeZone", &out); err != nil {
		return "", err
	}
	return zoneValue(out.Text), nil
}

func zoneValue(text string) string {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = false
	for depth, inValue := 0, false; depth < 32; {
		t, err := d.Token()
		if err != nil {
			return ""
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			inValue = strings.EqualFold(t.Name.Local, "value")
			for _, at := range t.Attr {
				if strings.EqualFold(at.Name.Local, "value") && strings.TrimSpace(at.Value) != "" {
					return cut(at.Value)
				}
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(t)); inValue && s != "" {
				return cut(s)
			}
		case xml.EndElement:
			depth--
			inValue = false
		}
	}
	return ""
}

// NodeLogs is what one node of the cluster keeps logs of, by the names that Files takes.
type NodeLogs struct {
	Node              string
	Services, Systems []string
}

// Logs lists what there are logs of. Any node answers for all of the cluster [T].
func (c *Client) Logs(ctx context.Context) ([]NodeLogs, error) {
	const op = "listNodeServiceLogs"
	// ListRequest must be there, and empty [V: WSDL].
	a, root, err := c.ask(ctx, op, soap.Parent(op, soap.Element{Name: "ListRequest"}))
	if err != nil {
		return nil, err
	}
	var out struct {
		Nodes []struct {
			Name     string   `xml:"name"`
			Services []string `xml:"ServiceLog>item"`
			Systems  []string `xml:"SystemLog>item"` // may be left out, against the WSDL [T]
		} `xml:"listNodeServiceLogsReturn"`
	}
	if err := decode(a, root, op+"Response", &out); err != nil {
		return nil, err
	}
	var list []NodeLogs
	for _, n := range out.Nodes[:min(len(out.Nodes), 100)] {
		list = append(list, NodeLogs{cut(n.Name), cutAll(n.Services), cutAll(n.Systems)})
	}
	return list, nil
}

// Selection is what Files lists: logs by the names that Logs gives. RTMT calls "Event Viewer-Application Log" what the file system calls
// CiscoSyslog [V]; whether it is a service's log or the system's differs by client [T].
type Selection struct{ Services, Systems []string }

// File is one file of a listing.
type File struct {
	Name string `json:"name"`
	Path string `json:"path"` // what File takes
	Size int64  `json:"size"` // bytes; negative if the node did not say
	// Modified is as `date` prints it on the node, "Tue Sep 15 08:18:10 CDT 2026" [T]. Its zone is an abbreviation and not an offset: compare it as
	// a text, and take no instant from it.
	Modified string `json:"modified"`
}

// Files lists the files of a selection on the node that is asked, whatever their age. No file is no error.
func (c *Client) Files(ctx context.Context, s Selection) ([]File, error) {
	const op = "selectLogFiles"
	items := func(name string, names []string) soap.Element {
		e := soap.Element{Name: name}
		for _, n := range names {
			e.Children = append(e.Children, soap.Text("item", n))
		}
		return e
	}
	empty := func(name string) soap.Element { return soap.Element{Name: name} }
	// All sixteen children in the WSDL's order. The service is stricter than its WSDL, which allows xsi:nil: that brings "logcollectionservice -102"
	// [T]. Empty dates, no zone and no relative time give every file [V-sample]; absolute dates have brought -101 [T]. DownloadtoClient only lists
	// [V]; the other job type pushes files to a server, and is not for us.
	a, root, err := c.ask(ctx, op, soap.Parent(op, soap.Parent("FileSelectionCriteria",
		items("ServiceLogs", s.Services), items("SystemLogs", s.Systems),
		empty("SearchStr"), soap.Text("Frequency", "OnDemand"), soap.Text("JobType", "DownloadtoClient"),
		empty("ToDate"), empty("FromDate"), empty("TimeZone"), soap.Text("RelText", "None"), soap.Text("RelTime", "0"),
		soap.Text("Port", "0"), empty("IPAddress"), empty("UserName"), empty("Password"), soap.Text("ZipInfo", "false"), empty("RemoteFolder"))))
	if err != nil {
		return nil, err
	}
	var out struct {
		Results []struct {
			Nodes []struct {
				Files []struct {
					Name     string `xml:"name"`
					Path     string `xml:"absolutepath"`
					Size     string `xml:"filesize"`
					Modified string `xml:"modifiedDate"`
				} `xml:"ServiceList>ServiceLogs>SetOfFiles>File"`
			} `xml:"Node"`
		} `xml:"ResultSet>SchemaFileSelectionResult"`
	}
	if err := decode(a, root, op+"Response", &out); err != nil {
		return nil, err
	}
	var list []File
	for _, r := range out.Results {
		for _, n := range r.Nodes {
			for _, f := range n.Files {
				name, path := strings.TrimSpace(f.Name), strings.TrimSpace(f.Path)
				// A nil entry names no file; a path that was cut would name another.
				if !strings.HasPrefix(path, "/") || len(path) > maxText || len(list) == maxFiles {
					continue
				}
				size, err := strconv.ParseInt(strings.TrimSpace(f.Size), 10, 64)
				if err != nil || size < 0 {
					size = -1
				}
				list = append(list, File{cut(name), path, size, cut(f.Modified)})
			}
		}
	}
	return list, nil
}

// Extent is what a file came to.
type Extent struct {
	Bytes   int64
	Framing string // xop, axis, xml or whole: how it came, for a person who probes
}

// File reads one file from its beginning and hands it to read as a stream. Beyond max bytes the stream ends in a *TooLargeError. What read
// leaves is passed over. Without an error the whole file was there.
func (c *Client) File(ctx context.Context, from Service, name string, max int64, read func(io.Reader) error) (Extent, error) {
	const op = "GetOneFile"
	req := soap.Request{Op: op}
	var err error
	switch from {
	case Old:
		// rpc/encoded: the operation is qualified and its child is not; xsi:type may be left out [T].
		req.Path, req.Action = oldPath, oldAction
		req.Body, err = soap.Envelope(oldSpace, op, false, soap.Text("FileName", name))
	default:
		// No element of the operation: the bare FileName is the body [V: WSDL].
		req.Path, req.Action = path, `"`+op+`"`
		req.Body, err = soap.EnvelopeOf(space, true, soap.Text("FileName", name))
	}
	if err != nil {
		return Extent{}, &soap.Error{Op: op, Kind: soap.Malformed, Cause: err} // not sent
	}
	a, err := c.transport.Do(ctx, req)
	if err != nil {
		return Extent{}, classify(err, name)
	}
	defer a.Close()
	s := &stream{left: max, tooLarge: &TooLargeError{Node: a.Node, Path: name, Max: max}}
	framing, err := openFile(a.ContentType, a.Body, func(r io.Reader) error {
		s.from = r
		if s.failed = read(s); s.failed != nil {
			s.stopped = true
			return s.failed
		}
		return nil
	})
	extent := Extent{Bytes: s.n, Framing: framing}
	var large *TooLargeError
	switch {
	case err == nil:
		return extent, nil
	case errors.As(err, &large):
		return extent, large
	case s.stopped && s.broken == nil: // read's own error
		return extent, s.failed
	}
	var f *faultError
	if errors.As(err, &f) {
		return extent, classify(faultOf(a, f.page), name)
	}
	return extent, failed(a, err)
}

// stream bounds a file and remembers whose error ended it.
type stream struct {
	from     io.Reader
	n, left  int64
	tooLarge *TooLargeError
	broken   error // of the answer
	failed   error // of the callback
	stopped  bool
}

func (s *stream) Read(p []byte) (int, error) {
	if s.broken != nil {
		return 0, s.broken
	}
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > s.left+1 {
		p = p[:s.left+1] // one more than allowed, to tell "exactly the cap" from "more"
	}
	n, err := s.from.Read(p)
	if int64(n) > s.left {
		n, err = int(s.left), s.tooLarge
	}
	s.n += int64(n)
	s.left -= int64(n)
	if err != nil && err != io.EOF { // io.EOF itself: one that is wrapped is a failure
		s.broken = err
	}
	return n, err
}

// decode reads the answer's one element, or the fault that it is.
func decode(a *soap.Answer, page []byte, want string, v any) error {
	// soap decodes <op>Response; the parts of this WSDL have names of their own.
	op, simple := strings.CutSuffix(want, "Response")
	if !simple {
		return decodeNamed(a, page, want, v)
	}
	err := soap.NewAnswer(soap.Request{Op: op}, a.Node, io.NopCloser(bytes.NewReader(page))).Decode(v)
	if err != nil {
		return classify(err, "")
	}
	return nil
}

// decodeNamed decodes an element that is no <op>Response.
func decodeNamed(a *soap.Answer, page []byte, want string, v any) error {
	first, err := firstInBody(page)
	if err != nil {
		return a.Malformed(err)
	}
	if first.Local == "Fault" {
		return classify(faultOf(a, page), "")
	}
	if first.Local != want {
		return a.Malformed(fmt.Errorf("<%.60s> instead of <%s>", first.Local, want))
	}
	// The envelope was seen to be whole and lawful; now the one element is taken out of it.
	d := xml.NewDecoder(bytes.NewReader(page))
	for {
		t, err := d.Token()
		if err != nil {
			return a.Malformed(err)
		}
		if start, ok := t.(xml.StartElement); ok && start.Name == first {
			if err := d.DecodeElement(v, &start); err != nil {
				return a.Malformed(err)
			}
			return nil
		}
	}
}

// faultOf is the error that a fault's page says.
func faultOf(a *soap.Answer, page []byte) error {
	var ignore struct{}
	err := soap.NewAnswer(soap.Request{Op: a.Op}, a.Node, io.NopCloser(bytes.NewReader(page))).Decode(&ignore)
	if err == nil {
		return a.Malformed(errors.New("an answer to another operation"))
	}
	return err
}

func cut(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func cutAll(list []string) []string {
	var out []string
	for _, s := range list[:min(len(list), maxFiles)] {
		if s = cut(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
