package clustersim

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// startTimeLayout is how a node writes StartTime: its local time, without a
// zone.
const startTimeLayout = "Mon Jan 02 15:04:05 2006"

func (s *Sim) controlCenter(c *exchangeCall) *answer {
	if c.parseError != nil {
		return c.soapFault(0, "The request is not a SOAP envelope that the Control Center understands")
	}
	if c.operation.Name.Space != astNamespace {
		return c.soapFault(0, "The operation is not in the namespace "+astNamespace)
	}
	if action := strings.Trim(strings.TrimSpace(c.r.Header.Get("SOAPAction")), `"`); action != "" && action != c.name {
		return c.soapFault(0, fmt.Sprintf("SOAPAction %q and operation %s disagree", action, c.name))
	}
	if f := c.operation.foreign(astNamespace); f != nil {
		return c.soapFault(0, fmt.Sprintf("Element %s: children of an operation are qualified", f.Name.Local))
	}
	run, write, ok := controlOperation(c.name)
	if !ok {
		return c.notModelled("Control Center operation " + c.name)
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if minute := now.Unix() / 60; minute != c.n.minute {
		c.n.minute, c.n.minuteCount = minute, 0
	}
	if c.n.minuteCount++; c.n.minuteCount > s.cfg.ControlCenterRate {
		return c.soapFault(0, fmt.Sprintf("Exceeded allowed rate for Control Center requests. Current allowed rate is %d requests per minute.", s.cfg.ControlCenterRate))
	}
	if write && !c.account.write {
		return c.forbidden()
	}
	a := run(s, c, now)
	if write && a.status == http.StatusOK {
		c.n.cluster.writes++
	}
	return a
}

// controlOperation finds what to run, with the simulation locked. A function
// and not a table, because an operation may open a listener, which leads back
// here.
func controlOperation(name string) (run func(*Sim, *exchangeCall, time.Time) *answer, write, ok bool) {
	switch name {
	case "soapGetServiceStatus":
		return (*Sim).getServiceStatus, false, true
	case "soapDoControlServices":
		return (*Sim).doControlServices, true, true
	case "soapDoServiceDeployment":
		return (*Sim).doServiceDeployment, true, true
	case "soapGetStaticServiceList":
		return (*Sim).getStaticServiceList, false, true
	case "getProductInformationList":
		return (*Sim).getProductInformationList, false, true
	}
	return nil, false, false
}

// outcome is one service of an answer: as it is, and the code for what was
// asked.
type outcome struct {
	name    string
	service *service // nil if the node has none of that name
	code    int
}

// serviceAnswer is the type that status, control and deployment share.
func (s *Sim) serviceAnswer(c *exchangeCall, now time.Time, code int, list []outcome) *answer {
	m := c.controlResponse()
	m.leaf("ns1:ReturnCode", "0")
	m.integer("ns1:ReasonCode", code)
	m.leaf("ns1:ReasonString", strings.TrimSpace(reasonTexts[code]))
	m.start("ns1:ServiceInfoList")
	for _, o := range list {
		status, upTime, start := unknown, -1, ""
		if o.service != nil {
			status, upTime = o.service.status, o.service.upTime(now)
			if status == started {
				start = o.service.since.In(c.n.cluster.timeZone).Format(startTimeLayout)
			}
		}
		m.start("ns1:item")
		m.leaf("ns1:ServiceName", o.name)
		m.leaf("ns1:ServiceStatus", string(status))
		m.integer("ns1:ReasonCode", o.code)
		m.leaf("ns1:ReasonCodeString", reasonTexts[o.code])
		m.leaf("ns1:StartTime", start)
		m.integer("ns1:UpTime", upTime)
		m.end(1)
	}
	return s.ok(m)
}

func (c *exchangeCall) controlResponse() *markup {
	m := c.s.pages.envelope()
	m.start("ns1:"+c.name+"Response", "xmlns:ns1", astNamespace)
	m.start("ns1:" + c.name + "Return")
	return m
}

func (s *Sim) getServiceStatus(c *exchangeCall, now time.Time) *answer {
	var list []outcome
	for _, asked := range c.operation.Children {
		name := strings.TrimSpace(asked.Text)
		if name == "" { // one empty element asks for all
			list = nil
			for _, v := range c.n.services {
				list = append(list, outcome{v.name, v, v.reason()})
			}
			break
		}
		v := c.n.service(name)
		if v == nil {
			list = append(list, outcome{name, nil, reasonNoSuchService})
			continue
		}
		list = append(list, outcome{v.name, v, v.reason()})
	}
	if len(c.operation.Children) == 0 {
		return c.soapFault(0, "Element ServiceStatus is missing")
	}
	return s.serviceAnswer(c, now, reasonNone, list)
}

// own refuses a request for another node: the interface acts on the node that
// receives it only.
func (c *exchangeCall) own(request *element) *answer {
	// Cisco's own sample for a restart sends the name as nil, which means this node.
	if name := request.value("NodeName"); name != "" && !equalNames(name, c.n.name) {
		return c.soapFault(0, fmt.Sprintf("NodeName %q is not this node: operations work on the local node %s only", name, c.n.name))
	}
	if list := request.child("ServiceList"); list == nil || len(list.Children) == 0 {
		return c.soapFault(0, "ServiceList is empty")
	}
	return nil
}

func (s *Sim) doControlServices(c *exchangeCall, now time.Time) *answer {
	request := c.operation.child("ControlServiceRequest")
	if request == nil {
		return c.soapFault(0, "Element ControlServiceRequest is missing")
	}
	if refusal := c.own(request); refusal != nil {
		return refusal
	}
	controlType := request.value("ControlType")
	switch controlType {
	case "Start", "Stop", "Restart":
	default:
		return c.soapFault(0, fmt.Sprintf("ControlType %q is none of Start, Stop, Restart", controlType))
	}
	var list []outcome
	for _, item := range request.child("ServiceList").Children {
		name := strings.TrimSpace(item.Text)
		v, code := s.control(c.n, name, controlType, now)
		s.log("%s: %s %s asked for by %s: %d", c.n.name, controlType, name, c.account.username, code)
		if v != nil {
			name = v.name
		}
		list = append(list, outcome{name, v, code})
	}
	return s.serviceAnswer(c, now, reasonNone, list)
}

func (s *Sim) doServiceDeployment(c *exchangeCall, now time.Time) *answer {
	request := c.operation.child("DeploymentServiceRequest")
	if request == nil {
		return c.soapFault(0, "Element DeploymentServiceRequest is missing")
	}
	if refusal := c.own(request); refusal != nil {
		return refusal
	}
	deployType := request.value("DeployType")
	if deployType != "Deploy" && deployType != "UnDeploy" {
		return c.soapFault(0, fmt.Sprintf("DeployType %q is none of Deploy, UnDeploy", deployType))
	}
	var list []outcome
	for _, item := range request.child("ServiceList").Children {
		name := strings.TrimSpace(item.Text)
		v, code := s.deploy(c.n, name, deployType == "Deploy", now)
		list = append(list, outcome{name, v, code})
	}
	return s.serviceAnswer(c, now, reasonNone, list)
}

// serviceSpecifications writes the fixed list of services; productID is only in
// the product's form.
func (c *exchangeCall) serviceSpecifications(m *markup, productID bool) {
	m.start("ns1:Services")
	for _, v := range c.n.services {
		kind := "Service"
		if v.servlet {
			kind = "Servlet"
		}
		m.start("ns1:item")
		m.leaf("ns1:ServiceName", v.name)
		m.leaf("ns1:ServiceType", kind)
		m.leaf("ns1:Deployable", fmt.Sprint(v.feature))
		m.leaf("ns1:GroupName", v.group)
		if productID {
			product := "CUP"
			if c.n.role == roleCUCM {
				product = "CallManager"
			}
			if v.group == groupDatabase || v.group == groupPlatform {
				product = "Common"
			}
			m.leaf("ns1:ProductID", product)
		}
		m.start("ns1:DependentServices")
		if v.name == serviceRouter {
			for _, x := range c.n.services {
				if x.xcp() {
					m.leaf("ns1:Service", x.name)
				}
			}
		}
		m.end(2)
	}
	m.end(1)
}

func (s *Sim) getStaticServiceList(c *exchangeCall, _ time.Time) *answer {
	m := c.controlResponse()
	c.serviceSpecifications(m, false)
	return s.ok(m)
}

func (s *Sim) getProductInformationList(c *exchangeCall, _ time.Time) *answer {
	m := c.controlResponse()
	m.leaf("ns1:ActiveServerVersion", c.n.release.String())
	primary, secondary := c.n.name, ""
	if c.n.role != roleCUCM {
		primary = c.n.cluster.publisher().name
		for _, n := range c.n.cluster.nodes {
			if n.role == roleSubscriber && secondary == "" {
				secondary = n.name
			}
		}
	}
	m.leaf("ns1:PrimaryNode", primary)
	m.leaf("ns1:SecondaryNode", secondary)
	m.start("ns1:Products")
	m.start("ns1:item")
	product := [...]string{"IM and Presence", "Cisco Unified CM IM and Presence", "CUP"}
	if c.n.role == roleCUCM {
		product = [...]string{"Unified CM", "Cisco Unified Communications Manager", "CallManager"}
	}
	m.leaf("ns1:ProductName", product[0])
	m.leaf("ns1:ProductVersion", c.n.release.String())
	m.leaf("ns1:ProductDescription", product[1])
	m.leaf("ns1:ProductID", product[2])
	m.leaf("ns1:ShortName", product[2])
	m.end(2)
	c.serviceSpecifications(m, true)
	return s.ok(m)
}
