// Package controlcenter reads and controls the services of one node through Cisco's Control Center SOAP interface.
//
// It owns the envelopes and the meaning of return and reason codes. The interface works on the node that receives the request, so
// one client is one node. It decides nothing: when a restart is right is its callers' business.
//
// It never sends a write twice, never waits for a service to come up, and never reads StartTime, which has no zone on the wire: UpTime
// is all it says about age.
//
// Failure promise: errors are *soap.Error, *RefusedError or *ActivateFirstError. After Control and Activate, anything but those two or a
// soap.Error that is not OutcomeUnknown means that the node may have acted: read back.
package controlcenter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/soap"
)

const (
	path  = "/controlcenterservice2/services/ControlCenterServices"
	space = "http://schemas.cisco.com/ast/soap"
)

// Client speaks to one node through one transport. It is safe for concurrent use.
type Client struct{ transport soap.RoundTripper }

// New makes the client.
func New(t soap.RoundTripper) *Client { return &Client{transport: t} }

// Status of a service. What the node says and we do not know is Unknown, as is nothing at all.
type Status string

// The statuses of the WSDL.
const (
	Started  Status = "Started"
	Stopped  Status = "Stopped"
	Starting Status = "Starting"
	Stopping Status = "Stopping"
	Unknown  Status = "Unknown"
)

// Reason codes (a dictionary in a public tool; a few also in Cisco's pages).
const (
	ReasonNone                = -1
	ReasonNoSuchService       = -1010
	ReasonNotRunning          = -1019
	ReasonTimedOut            = -1031
	ReasonDependency          = -1036
	ReasonDependent           = -1037
	ReasonAlreadyStarted      = -1039
	ReasonAlreadyStopped      = -1040
	ReasonTransition          = -1042 // not allowed from this state
	ReasonPendingRestart      = -1047
	ReasonPendingDependencies = -1048
	ReasonPendingDependents   = -1049
	ReasonAlreadyThere        = -1057 // already in the specified state
	ReasonNotActivated        = -1068
	ReasonCommandedOut        = -1069 // stopped because somebody said so
	ReasonException           = -1071
)

// Service is one service of the node as it was when the node answered.
type Service struct {
	Name       string
	Status     Status
	ReasonCode int // -1 is none
	Reason     string
	// UpTime is for how long the service has been running. It is negative if that is not known: the service is stopped, or the node
	// did not say. See Up.
	UpTime time.Duration
}

// Up is for how long the service has been running, and whether that is known.
func (s Service) Up() (time.Duration, bool) {
	if s.UpTime < 0 {
		return 0, false
	}
	return s.UpTime, true
}

// Action is what Control or Activate does.
type Action string

// The actions of the WSDL. Restart is the only safe one for the XCP Router: Stop and Start leave the other XCP services down (vendor document).
const (
	Start    Action = "Start"
	Stop     Action = "Stop"
	Restart  Action = "Restart"
	Activate Action = "Activate" // Client.Activate's own; the wire says Deploy
)

// RefusedError is a request the node understood and did not carry out.
type RefusedError struct {
	Node       string
	Action     Action // empty for a status request
	Service    string
	ReturnCode string // "0" if only the service has a reason
	ReasonCode int
	Reason     string
}

func (e *RefusedError) Error() string {
	what := "service status"
	if e.Action != "" {
		what = strings.ToLower(string(e.Action)) + " " + e.Service
	}
	s := fmt.Sprintf("%s: %s: refused (return code %s, reason %d)", e.Node, what, e.ReturnCode, e.ReasonCode)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// ActivateFirstError is a service that is not activated on the node: a person activates it under Service Activation.
type ActivateFirstError struct {
	Node, Service string
	Action        Action
}

func (e *ActivateFirstError) Error() string {
	return fmt.Sprintf("%s: %s %s: not activated on this node", e.Node, strings.ToLower(string(e.Action)), e.Service)
}

// information is ServiceInformationResponse. Every member may be xsi:nil, which decodes as empty.
type information struct {
	Code       string `xml:"ReturnCode"`
	ReasonCode string `xml:"ReasonCode"`
	Reason     string `xml:"ReasonString"`
	Items      []struct {
		Name       string `xml:"ServiceName"`
		Status     string `xml:"ServiceStatus"`
		ReasonCode string `xml:"ReasonCode"`
		Reason     string `xml:"ReasonCodeString"`
		UpTime     string `xml:"UpTime"`
	} `xml:"ServiceInfoList>item"`
}

func (c *Client) call(ctx context.Context, op string, write bool, out any, children ...soap.Element) (*soap.Answer, error) {
	body, err := soap.Envelope(space, op, true, children...)
	if err != nil {
		return nil, &soap.Error{Op: op, Kind: soap.Malformed, Cause: err} // not sent
	}
	a, err := c.transport.Do(ctx, soap.Request{Op: op, Path: path, Action: op, Body: body, Write: write})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return a, a.Decode(out)
}

var errNoReturn = errors.New("no return element in the answer")

// Services reads the status of the named services, or of all if none is named. A service the node does not know comes back as it
// answers: Unknown with a reason, or not at all.
func (c *Client) Services(ctx context.Context, names ...string) ([]Service, error) {
	if len(names) == 0 {
		names = []string{""} // one empty element asks for all (WSDL)
	}
	var asked []soap.Element
	for _, n := range names {
		asked = append(asked, soap.Text("ServiceStatus", n))
	}
	var out struct {
		Return *information `xml:"soapGetServiceStatusReturn"`
	}
	a, err := c.call(ctx, "soapGetServiceStatus", false, &out, asked...)
	if err != nil {
		return nil, err
	}
	if out.Return.empty() {
		return nil, a.Malformed(errNoReturn)
	}
	services, err := out.Return.services()
	if err != nil {
		return nil, a.Malformed(err)
	}
	if code := strings.TrimSpace(out.Return.Code); !success(code) {
		reason, err := number(out.Return.ReasonCode, ReasonNone)
		if err != nil {
			return nil, a.Malformed(err)
		}
		return nil, &RefusedError{Node: a.Node, ReturnCode: code, ReasonCode: reason, Reason: strings.TrimSpace(out.Return.Reason)}
	}
	return services, nil
}

// success: "0" is (WSDL, sample); an empty or nil code says nothing against it.
func success(code string) bool { return code == "0" || code == "" }

func number(text string, absent int) (int, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%.30q is not a number", text)
	}
	return n, nil
}

// empty: an answer that says nothing is not an answer that there are no services.
func (out *information) empty() bool {
	return out == nil || strings.TrimSpace(out.Code) == "" && len(out.Items) == 0
}

func (out *information) services() ([]Service, error) {
	var services []Service
	for _, i := range out.Items {
		s := Service{Name: strings.TrimSpace(i.Name), Status: Status(strings.TrimSpace(i.Status)), Reason: strings.TrimSpace(i.Reason)}
		switch s.Status {
		case Started, Stopped, Starting, Stopping:
		default:
			s.Status = Unknown
		}
		var err error
		if s.ReasonCode, err = number(i.ReasonCode, ReasonNone); err != nil {
			return nil, fmt.Errorf("reason code of %q: %w", s.Name, err)
		}
		seconds, err := number(i.UpTime, -1)
		if err != nil {
			return nil, fmt.Errorf("up-time of %q: %w", s.Name, err)
		}
		const century = 100 * 365 * 24 * 60 * 60
		if s.UpTime = -1; 0 <= seconds && seconds <= century {
			s.UpTime = time.Duration(seconds) * time.Second
		}
		services = append(services, s)
	}
	return services, nil
}

// Control starts, stops or restarts one service on node, which must be the node the client speaks to. It returns before the service
// is there: read Services until it is. "Already started" suffices for Start, "already stopped" for Stop; nothing of the kind for Restart.
func (c *Client) Control(ctx context.Context, node string, action Action, service string) error {
	var out struct {
		Return *information `xml:"soapDoControlServicesReturn"`
	}
	a, err := c.call(ctx, "soapDoControlServices", true, &out,
		soap.Parent("ControlServiceRequest",
			soap.Text("NodeName", node),
			soap.Text("ControlType", string(action)),
			soap.Parent("ServiceList", soap.Text("item", service))))
	if err != nil {
		return err
	}
	return out.Return.outcome(a, node, action, service)
}

// Activate activates one feature service on node, which must be the node the client speaks to; the node then starts it. It returns
// before the service is there. That it is activated already suffices.
func (c *Client) Activate(ctx context.Context, node, service string) error {
	var out struct {
		Return *information `xml:"soapDoServiceDeploymentReturn"`
	}
	a, err := c.call(ctx, "soapDoServiceDeployment", true, &out,
		soap.Parent("DeploymentServiceRequest",
			soap.Text("NodeName", node),
			soap.Text("DeployType", "Deploy"),
			soap.Parent("ServiceList", soap.Text("item", service))))
	if err != nil {
		return err
	}
	return out.Return.outcome(a, node, Activate, service)
}

// outcome is what the answer to a write means.
func (out *information) outcome(a *soap.Answer, node string, action Action, service string) error {
	if out.empty() {
		return a.Malformed(errNoReturn)
	}
	services, err := out.services()
	if err != nil {
		return a.Malformed(err)
	}
	reason, err := number(out.ReasonCode, ReasonNone)
	if err != nil {
		return a.Malformed(err)
	}
	code := strings.TrimSpace(out.Code)
	refused := &RefusedError{Node: node, Action: action, Service: service, ReturnCode: code, ReasonCode: reason, Reason: strings.TrimSpace(out.Reason)}
	found := Service{Status: Unknown, ReasonCode: ReasonNone}
	for _, s := range services {
		if s.Name == service {
			found = s
			if s.ReasonCode != ReasonNone && s.ReasonCode != 0 { // the service's own reason is the better one
				refused.ReasonCode, refused.Reason = s.ReasonCode, s.Reason
			}
		}
	}
	switch verdict(action, success(code), found.Status, refused.ReasonCode) {
	case done:
		if found.Name == "" && success(code) && refused.ReasonCode != ReasonAlreadyStarted && refused.ReasonCode != ReasonAlreadyStopped && refused.ReasonCode != ReasonAlreadyThere {
			return a.Malformed(fmt.Errorf("the answer says nothing about %q", service))
		}
		return nil
	case no:
		if refused.ReasonCode == ReasonNotActivated {
			return &ActivateFirstError{Node: node, Service: service, Action: action}
		}
		return refused
	}
	// A write, so this is OutcomeUnknown. The cause is not a RefusedError: nobody shall find one by errors.As.
	return a.Malformed(fmt.Errorf("%s %s: return code %s, reason %d, status %s: %.200q", strings.ToLower(string(action)), service, code, refused.ReasonCode, found.Status, refused.Reason))
}

type judgement int

const (
	unclear judgement = iota
	done
	no
)

// verdict says what the answer to a write means. Only codes that are certain to mean "nothing was done" are a refusal: timed out,
// exception and the pending ones are not, and -1069 is the code of a stopped service, as seen in the middle of a Restart too. Activate
// deploys and then starts, so what forbids only the start says nothing of the deployment, and -1068 may be the reason that stood before.
func verdict(action Action, success bool, status Status, reason int) judgement {
	switch reason {
	case ReasonNone, 0:
		if success {
			return done
		}
		return no
	case ReasonAlreadyThere:
		if action != Restart {
			return done
		}
		return no
	case ReasonAlreadyStarted:
		if action == Start || action == Activate {
			return done
		}
		return no
	case ReasonAlreadyStopped:
		switch action {
		case Stop:
			return done
		case Activate:
			return unclear
		}
		return no
	case ReasonCommandedOut:
		if success && (action == Stop || status == Starting || status == Started) {
			return done
		}
		return unclear
	case ReasonNoSuchService, ReasonTransition:
		return no
	case ReasonNotActivated:
		switch {
		case action != Activate:
			return no
		case success && (status == Starting || status == Started):
			return done
		}
	case ReasonNotRunning, ReasonDependency, ReasonDependent:
		if action != Activate {
			return no
		}
	}
	return unclear
}

// Products is what is installed on the node. Version is its active version, "14.0.1.13900-8".
type Products struct {
	Version            string
	Primary, Secondary string // node names
	Products           []Product
	Services           []StaticService
}

// Product is one installed product.
type Product struct {
	Name        string `xml:"ProductName"`
	Version     string `xml:"ProductVersion"`
	Description string `xml:"ProductDescription"`
	ID          string `xml:"ProductID"`
	ShortName   string `xml:"ShortName"`
}

// StaticService is what a service is, whatever its state.
type StaticService struct {
	Name       string
	Type       string // "Service" or "Servlet" (WSDL)
	Deployable bool   // a feature service, which has to be activated; else a network service
	Group      string
	Product    string // only from Products
	DependsOn  []string
}

// specification is ServiceSpecification and ProductServiceSpecification.
type specification struct {
	Name       string   `xml:"ServiceName"`
	Type       string   `xml:"ServiceType"`
	Deployable string   `xml:"Deployable"`
	Group      string   `xml:"GroupName"`
	Product    string   `xml:"ProductID"`
	DependsOn  []string `xml:"DependentServices>Service"`
}

func static(list []specification) []StaticService {
	var out []StaticService
	for _, s := range list {
		deployable := strings.TrimSpace(s.Deployable)
		out = append(out, StaticService{Name: strings.TrimSpace(s.Name), Type: s.Type, Deployable: deployable == "true" || deployable == "1", Group: s.Group, Product: s.Product, DependsOn: s.DependsOn})
	}
	return out
}

// Products reads what is installed. It is also the probe for whether Control Center answers on this node at all.
func (c *Client) Products(ctx context.Context) (Products, error) {
	var out struct {
		Return *struct {
			Version   string          `xml:"ActiveServerVersion"`
			Primary   string          `xml:"PrimaryNode"`
			Secondary string          `xml:"SecondaryNode"`
			Products  []Product       `xml:"Products>item"`
			Services  []specification `xml:"Services>item"`
		} `xml:"getProductInformationListReturn"`
	}
	a, err := c.call(ctx, "getProductInformationList", false, &out, soap.Element{Name: "ServiceInfo"})
	if err != nil {
		return Products{}, err
	}
	if out.Return == nil {
		return Products{}, a.Malformed(errNoReturn)
	}
	r := out.Return
	return Products{Version: strings.TrimSpace(r.Version), Primary: strings.TrimSpace(r.Primary), Secondary: strings.TrimSpace(r.Secondary), Products: r.Products, Services: static(r.Services)}, nil
}
