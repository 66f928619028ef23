package clustersim

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The two services that give log files.
const (
	newLogPath  = "/logcollectionservice2/services/LogCollectionPortTypeService"
	oldLogPath  = "/logcollectionservice/services/DimeGetFileService"
	oldLogSpace = "http://schemas.cisco.com/ast/soap/" // with a final slash

	systemLog = "Event Viewer-Application Log" // as RTMT calls CiscoSyslog

	framedXOP  = "xop"
	framedAxis = "axis"
	framedXML  = "xml"
)

// logServed tells whether the node has the service; without it the web server
// answers as for any path that is not there.
func (n *node) logServed(path string) bool {
	switch n.cluster.logging.service {
	case "none":
		return false
	case "new":
		return path == newLogPath
	case "old":
		return path == oldLogPath
	}
	return true
}

// logCollection is both services.
func (s *Sim) logCollection(c *exchangeCall) *answer {
	old := c.r.URL.Path == oldLogPath
	if c.parseError != nil {
		return c.logFault("The request is not a SOAP envelope that Log Collection understands")
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.n.cluster.logging.denied && !c.account.write {
		return c.forbidden()
	}
	action := strings.Trim(strings.TrimSpace(c.r.Header.Get("SOAPAction")), `"`)
	if old {
		if c.name != "GetOneFile" || c.operation.Name.Space != oldLogSpace {
			return c.logFault(fmt.Sprintf("No such operation '%s'", c.name))
		}
		if action != "http://schemas.cisco.com/ast/soap/action/#LogCollectionPort#GetOneFile" {
			return c.logFault(fmt.Sprintf("SOAPAction %q is not that of GetOneFile", action))
		}
		file := c.operation.child("FileName")
		if file == nil || file.Name.Space != "" {
			return c.logFault("FileName is missing, or is in a namespace")
		}
		return s.oneFile(c, strings.TrimSpace(file.Text), true, now)
	}
	if c.operation.Name.Space != astNamespace {
		return c.logFault("The operation is not in the namespace " + astNamespace)
	}
	if f := c.operation.foreign(astNamespace); f != nil {
		return c.logFault(fmt.Sprintf("Element %s: children are qualified", f.Name.Local))
	}
	// The body of a style document request is the message's element, which for two
	// of the four operations is not called as they are.
	operation := map[string]string{"FileName": "GetOneFile", "LocalHost": "getTimeZone", "listNodeServiceLogs": "listNodeServiceLogs", "selectLogFiles": "selectLogFiles"}[c.operation.Name.Local]
	if operation == "" {
		return c.notModelled("Log Collection operation " + c.operation.Name.Local)
	}
	if action != "" && action != operation {
		return c.logFault(fmt.Sprintf("SOAPAction %q and body %s disagree", action, c.operation.Name.Local))
	}
	switch operation {
	case "GetOneFile":
		return s.oneFile(c, strings.TrimSpace(c.operation.Text), false, now)
	case "getTimeZone":
		return s.logTimeZone(c, now)
	case "listNodeServiceLogs":
		return s.logNames(c)
	}
	return s.logFiles(c, now)
}

// logOperation is the name under which a request to the services is counted and
// faulted.
func logOperation(body string) string {
	switch body {
	case "FileName":
		return "GetOneFile"
	case "LocalHost":
		return "getTimeZone"
	}
	return body
}

func (c *exchangeCall) logFault(message string) *answer { return c.soapFault(0, message) }

// framed dresses an answer without a file: several releases send one in parts.
func (s *Sim) framed(c *exchangeCall, m *markup) *answer {
	switch c.n.cluster.logging.framing {
	case framedXML, framedAxis:
		return s.ok(m)
	}
	boundary, id := s.boundary(c)
	body := &page{from: s.pages}
	body.WriteString(xopPart(boundary, id))
	body.take(m.finish())
	body.WriteString("\r\n--" + boundary + "--\r\n")
	return &answer{status: http.StatusOK, contentType: xopType(boundary, id), body: body, sendOnly: -1}
}

// take moves the pieces of another page of the same pool to the end of this one.
func (p *page) take(o *page) {
	p.pieces = append(p.pieces, o.pieces...)
	p.size += o.size
	o.pieces, o.size = nil, 0
}

func (s *Sim) boundary(c *exchangeCall) (boundary, id string) {
	s.sessions++ // as good a counter as any
	id = fmt.Sprintf("%08x%s", s.sessions, strings.ReplaceAll(c.n.pkid, "-", "")[:16])
	return "MIMEBoundary_" + id, id
}

func xopType(boundary, id string) string {
	return fmt.Sprintf(`multipart/related; boundary=%s; type="application/xop+xml"; start="<0.%s@apache.org>"; start-info="text/xml"`, boundary, id)
}

func xopPart(boundary, id string) string {
	return "--" + boundary + "\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <0." + id + "@apache.org>\r\n\r\n"
}

// oneFile is GetOneFile of either service.
func (s *Sim) oneFile(c *exchangeCall, path string, old bool, now time.Time) *answer {
	file, ok := c.n.logFile(path, now)
	if !ok {
		return c.logFault(fmt.Sprintf("Error: FileName %s do not exist", path))
	}
	framing := c.n.cluster.logging.framing
	if framing == "" {
		framing = framedXOP
		if old {
			framing = framedAxis
		}
	}
	boundary, id := s.boundary(c)
	m := s.pages.envelope()
	if old {
		m.start("ns1:GetOneFileResponse", "soapenv:encodingStyle", "http://schemas.xmlsoap.org/soap/encoding/", "xmlns:ns1", oldLogSpace)
	}
	name, space := "ns1:GetOneFileReturn", []string{"xmlns:ns1", astNamespace}
	if old {
		name, space = "GetOneFileReturn", nil
	}
	body := &page{from: s.pages}
	switch framing {
	case framedXML:
		m.start(name, space...)
		encoder := base64.NewEncoder(base64.StdEncoding, m.page)
		_, _ = encoder.Write(file) // a page without grow takes everything
		_ = encoder.Close()
		return s.ok(m)
	case framedAxis:
		boundary = fmt.Sprintf("----=_Part_%d_%s.%d", s.sessions, id[8:16], now.Unix())
		m.leaf(name, "", append(space, "href", "cid:"+strings.ToUpper(id))...)
		body.WriteString("--" + boundary + "\r\nContent-Type: text/xml; charset=UTF-8\r\nContent-Transfer-Encoding: binary\r\nContent-Id: <0" + strings.ToUpper(id) + ">\r\n\r\n")
		body.take(m.finish())
		body.WriteString("\r\n--" + boundary + "\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\nContent-Id: <" + strings.ToUpper(id) + ">\r\n\r\n")
	default:
		m.start(name, space...)
		m.leaf("xop:Include", "", "xmlns:xop", "http://www.w3.org/2004/08/xop/include", "href", "cid:1."+id+"%40apache.org")
		body.WriteString(xopPart(boundary, id))
		body.take(m.finish())
		body.WriteString("\r\n--" + boundary + "\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <1." + id + "@apache.org>\r\n\r\n")
	}
	_, _ = body.Write(file) // a page without grow takes everything
	body.WriteString("\r\n--" + boundary + "--\r\n")
	kind := xopType(boundary, id)
	if framing == framedAxis {
		kind = fmt.Sprintf(`multipart/related; type="text/xml"; start="<0%s>"; boundary="%s"`, strings.ToUpper(id), boundary)
	}
	return &answer{status: http.StatusOK, contentType: kind, body: body, sendOnly: -1}
}

// logTimeZone answers with a text that is itself XML.
func (s *Sim) logTimeZone(c *exchangeCall, now time.Time) *answer {
	name, offset := now.In(c.n.cluster.timeZone).Zone()
	m := s.pages.envelope()
	m.leaf("ns1:TimeZone", fmt.Sprintf(`<TimeZone><LocalTimeZone value="Client: (GMT%+d:%d)%s-%s"/></TimeZone>`, offset/3600, offset%3600/60, name, c.n.cluster.timeZone), "xmlns:ns1", astNamespace)
	return s.framed(c, m)
}

// logNames answers for every node of the cluster.
func (s *Sim) logNames(c *exchangeCall) *answer {
	if c.operation.child("ListRequest") == nil {
		return c.logFault("Element ListRequest is missing")
	}
	m := s.pages.envelope()
	m.start("ns1:listNodeServiceLogsResponse", "xmlns:ns1", astNamespace)
	for _, n := range c.n.cluster.nodes {
		if (n.role == roleCUCM) != (c.n.role == roleCUCM) {
			continue
		}
		m.start("ns1:listNodeServiceLogsReturn")
		m.leaf("ns1:name", n.name)
		m.start("ns1:ServiceLog")
		for _, v := range n.services {
			m.leaf("ns1:item", v.name)
		}
		m.end(1)
		m.start("ns1:SystemLog")
		m.leaf("ns1:item", systemLog)
		m.leaf("ns1:item", "Event Viewer-System Log")
		m.end(2)
	}
	return s.framed(c, m)
}

// logFiles lists the files of this node alone, however the cluster is made up.
func (s *Sim) logFiles(c *exchangeCall, now time.Time) *answer {
	criteria := c.operation.child("FileSelectionCriteria")
	if criteria == nil || len(criteria.Children) != 16 {
		return c.logFault("Error: logcollectionservice -102")
	}
	for _, e := range criteria.Children {
		for _, a := range e.Attrs {
			if a.Name.Local == "nil" { // allowed by the WSDL and refused by the service
				return c.logFault("Error: logcollectionservice -102")
			}
		}
	}
	if criteria.value("ToDate")+criteria.value("FromDate") != "" {
		return c.logFault("Error: logcollectionservice -101")
	}
	if job := criteria.value("JobType"); job != "DownloadtoClient" {
		return c.notModelled("selectLogFiles with JobType " + job)
	}
	m := s.pages.envelope()
	m.start("ns1:selectLogFilesResponse", "xmlns:ns1", astNamespace)
	m.start("ns1:ResultSet")
	m.start("ns1:SchemaFileSelectionResult")
	m.start("ns1:Node")
	m.leaf("ns1:name", "") // empty, as seen
	m.start("ns1:ServiceList")
	for _, kind := range []string{"ServiceLogs", "SystemLogs"} {
		for _, item := range criteria.child(kind).Children {
			m.start("ns1:ServiceLogs")
			m.leaf("ns1:name", strings.TrimSpace(item.Text))
			if kind == "SystemLogs" && strings.TrimSpace(item.Text) == systemLog {
				c.n.writeOthers(now)
				m.start("ns1:SetOfFiles")
				for i := range len(c.n.syslog.old) + 1 {
					name, content := c.n.logName(i)
					m.start("ns1:File")
					m.leaf("ns1:name", name)
					m.leaf("ns1:absolutepath", logFolder+name)
					m.leaf("ns1:filesize", fmt.Sprint(len(content)))
					m.leaf("ns1:modifiedDate", c.n.syslog.modified[i].In(c.n.cluster.timeZone).Format(time.UnixDate))
					m.end(1)
				}
				m.end(1)
			}
			m.end(1)
		}
	}
	return s.framed(c, m)
}
