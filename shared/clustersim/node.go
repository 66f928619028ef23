package clustersim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	axlPath           = "/axl/"
	controlCenterPath = "/controlcenterservice2/services/ControlCenterServices"

	sessionCookie = "JSESSIONIDSSO"
	sessionIdle   = 30 * time.Minute

	contentXML  = "text/xml;charset=UTF-8"
	contentHTML = "text/html;charset=utf-8"
)

// answer is one HTTP answer before it is sent, by socket or in process.
type answer struct {
	status      int
	contentType string
	cookie      string
	challenge   bool   // WWW-Authenticate
	realm       string // of the challenge; "" = that of AXL and the Control Center
	body        *page
	sendOnly    int // of the declared body, what is sent before the connection breaks; -1 = all
}

// errDropped ends a connection without an answer.
var errDropped = errors.New("connection closed by the node")

func (s *Sim) plain(status int, contentType, text string) *answer {
	p := &page{from: s.pages}
	p.WriteString(text)
	return &answer{status: status, contentType: contentType, body: p, sendOnly: -1}
}

// html is a Tomcat error page: what is not SOAP comes as HTML from these nodes.
func (s *Sim) html(status int, text string) *answer {
	return s.plain(status, contentHTML, fmt.Sprintf(
		"<!-- custom Cisco error page --><html><head><title>HTTP Status %d</title></head><body><h1>HTTP Status %d - %s</h1></body></html>\n",
		status, status, xmlEscapes.Replace(text)))
}

func (s *Sim) soap(status int, body *page) *answer {
	return &answer{status: status, contentType: contentXML, body: body, sendOnly: -1}
}

// absent is the answer to what nobody has modelled, where the real interface
// would have nothing: the web server's page. It is logged, and counted in State.
func (s *Sim) absent(n *node, what string) *answer {
	s.unmodelled.note(what)
	s.log("NOT MODELLED: %s on %s", what, n.name)
	return s.html(http.StatusNotFound, "Not Found")
}

// notModelled is absent for an operation of an interface that is there: it
// answers as it does to what it does not know, by a fault.
func (c *exchangeCall) notModelled(what string) *answer {
	if c.rest {
		return c.s.absent(c.n, what)
	}
	c.s.unmodelled.note(what)
	c.s.log("NOT MODELLED: %s on %s", what, c.n.name)
	text := what + " is not supported (not modelled by the simulator)"
	if c.log != "" {
		return c.logFault(text)
	}
	return c.soapFault(-1, text)
}

// tally counts what was asked for and is not modelled.
type tally struct {
	mu sync.Mutex
	by map[string]int
}

func (t *tally) note(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string]int{}
	}
	if _, known := t.by[what]; known || len(t.by) < 1000 {
		t.by[what]++
	}
}

func (t *tally) counts() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.by)
}

// broken is a failure of the simulator itself.
func (s *Sim) broken(n *node, what string, err error) *answer {
	s.log("SIMULATOR FAULT: %s on %s: %v", what, n.name, err)
	return s.plain(http.StatusInternalServerError, "text/plain;charset=utf-8", "the simulator itself failed, see its log\n")
}

// exchange answers one request to a node. The body has been read when it
// returns, and nothing of the simulation is locked.
func (s *Sim) exchange(n *node, r *http.Request) (*answer, error) {
	s.mu.Lock()
	open := n.listening()
	tomcat := n.service(serviceTomcat).status
	s.mu.Unlock()
	if !open {
		return nil, errDropped
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBytes+1))
	if err != nil {
		return nil, errDropped
	}
	if tomcat != started {
		return s.html(http.StatusServiceUnavailable, "Service Unavailable"), nil
	}
	if len(body) > maxRequestBytes {
		return s.html(http.StatusRequestEntityTooLarge, "Request Entity Too Large"), nil
	}
	var call exchangeCall
	switch r.URL.Path {
	case axlPath:
		call = exchangeCall{s: s, n: n, r: r, handle: s.axl, axl: true}
	case controlCenterPath:
		call = exchangeCall{s: s, n: n, r: r, handle: s.controlCenter}
	case perfmonPath:
		call = exchangeCall{s: s, n: n, r: r, handle: s.perfmonService}
	case newLogPath, oldLogPath:
		s.mu.Lock()
		served := n.logServed(r.URL.Path)
		s.mu.Unlock()
		if !served {
			return s.html(http.StatusNotFound, "Not Found"), nil
		}
		call = exchangeCall{s: s, n: n, r: r, handle: s.logCollection, log: r.URL.Path}
	case strings.TrimSuffix(axlPath, "/"):
		return s.html(http.StatusNotFound, "Not Found"), nil // the trailing slash is required
	default:
		path, rest := strings.CutPrefix(r.URL.Path, certificatePath)
		if !rest || !strings.HasPrefix(path, "/") {
			return s.absent(n, r.Method+" "+r.URL.Path), nil
		}
		call = exchangeCall{s: s, n: n, r: r, rest: true, name: r.Method + " " + path, body: body}
		return call.run()
	}
	switch r.Method {
	case http.MethodPost:
		call.operation, call.parseError = parseEnvelope(bytes.NewReader(body))
		call.name = "invalid"
		if call.operation != nil {
			call.name = call.operation.Name.Local
			if call.log != "" {
				call.name = logOperation(call.name)
			}
		}
	case http.MethodGet:
		call.name = http.MethodGet
	default:
		return s.html(http.StatusMethodNotAllowed, "Method Not Allowed"), nil
	}
	return call.run()
}

// exchangeCall is one request on its way through faults, log-in and operation.
type exchangeCall struct {
	s          *Sim
	n          *node
	r          *http.Request
	axl        bool
	log        string // path of the log service; "" = another one
	rest       bool   // certificate management, with body instead of operation
	body       []byte
	name       string // of the operation; GET, or "invalid"; method and path of REST
	operation  *element
	parseError error
	account    *account
	release    release // of the node when the request came
	handle     func(*exchangeCall) *answer
}

func (c *exchangeCall) run() (*answer, error) {
	s, n := c.s, c.n
	s.mu.Lock()
	n.requests[c.name]++
	c.release = n.release
	f := s.fires(n, c.name)
	s.mu.Unlock()
	if f != nil {
		s.log("%s: fault %s %s on %s", n.name, f.Kind, f.When, c.name)
		if f.Kind == FaultDelay && f.When == Before {
			if err := s.wait(c.r.Context(), f.Delay); err != nil {
				return nil, errDropped
			}
		} else if f.When == Before {
			// Nothing has been applied, and nothing will be.
			return c.fault(f, nil)
		}
	}
	if err := s.wait(c.r.Context(), s.cfg.Latency); err != nil {
		return nil, errDropped
	}
	a := c.spoil(c.answer())
	switch {
	case f == nil || f.Kind == FaultDelay && f.When == Before:
		return a, nil
	case f.Kind == FaultDelay:
		if err := s.wait(c.r.Context(), f.Delay); err != nil {
			a.body.drop()
			return nil, errDropped
		}
		return a, nil
	}
	return c.fault(f, a)
}

func (c *exchangeCall) answer() *answer {
	s, n := c.s, c.n
	if c.rest {
		return s.certificateREST(c)
	}
	if c.axl {
		s.mu.Lock()
		running := n.running(serviceAXL)
		s.mu.Unlock()
		if !running {
			return s.html(http.StatusNotFound, "Not Found")
		}
	} else {
		s.mu.Lock()
		running := n.running(serviceSOAP)
		s.mu.Unlock()
		if !running {
			return s.html(http.StatusNotFound, "Not Found")
		}
	}
	account, cookie, refusal := c.logIn()
	if refusal != nil {
		return refusal
	}
	c.account = account
	var a *answer
	switch {
	case c.name == http.MethodGet && c.axl:
		a = s.plain(http.StatusOK, contentHTML, "<html><head><title>Cisco CallManager: AXL Web Service</title></head><body><h1>Cisco CallManager: AXL Web Service</h1><p>The AXL Web Service is working and accepting requests. Use HTTP POST to send a request.</p></body></html>\n")
	case c.name == http.MethodGet:
		a = s.absent(n, "GET "+c.r.URL.RequestURI())
	default:
		a = c.handle(c)
	}
	a.cookie = cookie
	return a
}

// logIn finds who asks: by session cookie, or by Basic, which opens a session.
// A stale cookie without a password is 404; that is Cisco's way of saying "log
// in again".
func (c *exchangeCall) logIn() (*account, string, *answer) {
	s, n := c.s, c.n
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	username, password, basic := c.r.BasicAuth()
	if cookie, err := c.r.Cookie(sessionCookie); err == nil {
		if known := n.sessions[cookie.Value]; known != nil && now.Sub(known.used) <= sessionIdle {
			if known.path != c.log {
				// A cookie of one of these services makes the other one fail.
				return nil, "", s.html(http.StatusInternalServerError, "Internal Server Error")
			}
			known.used = now
			return known.account, "", nil
		}
		delete(n.sessions, cookie.Value)
		if !basic {
			return nil, "", s.html(http.StatusNotFound, "Not Found")
		}
	}
	refuse := func() (*account, string, *answer) {
		a := s.html(http.StatusUnauthorized, "Unauthorized")
		a.challenge = true
		return nil, "", a
	}
	if !basic {
		return refuse()
	}
	n.logIns++
	for _, kind := range []string{"read", "write", intercluster} {
		known := n.cluster.accounts[kind]
		if known.username != username || known.password != password {
			continue
		}
		id := s.openSession(n, known, now)
		n.sessions[id].path = c.log
		return known, fmt.Sprintf("%s=%s; path=/; domain=.%s; Secure; HttpOnly; Expires=%s", sessionCookie, id, n.name,
			now.Add(sessionIdle).UTC().Format(http.TimeFormat)), nil
	}
	n.rejected++
	s.log("%s: log-in of %q rejected", n.name, username)
	return refuse()
}

func (s *Sim) openSession(n *node, a *account, now time.Time) string {
	if len(n.sessions) >= 256 { // clients that never send the cookie back
		for id, known := range n.sessions {
			if now.Sub(known.used) > sessionIdle {
				delete(n.sessions, id)
			}
		}
	}
	s.sessions++
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %d", s.cfg.Seed, n.name, s.sessions))
	id := strings.ToUpper(hex.EncodeToString(sum[:16]))
	n.sessions[id] = &session{account: a, used: now}
	return id
}

// forbidden is what an account gets that may only read.
func (c *exchangeCall) forbidden() *answer {
	return c.s.html(http.StatusForbidden, "Access to the requested resource has been denied")
}

// soapFault is an error of the operation. The form of its detail depends on
// who answers; which node uses which is invented, the forms are not.
func (c *exchangeCall) soapFault(code int, message string) *answer {
	m := c.s.pages.envelope()
	m.start("soapenv:Fault")
	m.leaf("faultcode", "soapenv:Server")
	m.leaf("faultstring", message)
	if c.axl {
		m.start("detail")
		text := fmt.Sprint(code)
		old := c.release.major < 14
		switch {
		case old && c.n.role == roleSubscriber:
			m.start("axl:Error", "xmlns:axl", axlNamespace+"9.1")
			m.leaf("axl:code", text)
			m.leaf("axl:message", message)
			m.leaf("request", c.name)
		case old || c.n.role == roleSubscriber:
			m.start("ns2:axlError", "xmlns:ns2", axlNamespace+c.version())
			m.leaf("axlcode", text)
			m.leaf("axlmessage", message)
			m.leaf("request", c.name)
		default:
			m.start("axlError")
			m.leaf("axlcode", text)
			m.leaf("axlmessage", message)
			m.leaf("request", c.name)
		}
	}
	return c.s.soap(http.StatusInternalServerError, m.finish())
}
