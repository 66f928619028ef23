package emulator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what a fault does to a request.
type Kind string

// The kinds.
const (
	Throttle    Kind = "throttle"    // refused for the moment, not carried out
	ServerError Kind = "serverError" // 500, not carried out
	Refuse      Kind = "refuse"      // 403, not carried out
	LostReply   Kind = "lostReply"   // carried out, and the connection cut before the answer
	LostRequest Kind = "lostRequest" // the connection cut before it was carried out
	FalseError  Kind = "falseError"  // carried out, and answered with 500
	Delay       Kind = "delay"       // carried out after Wait, or once Until is closed
	Unprocessed Kind = "unprocessed" // of a BatchGetItem the first Keep keys are read, the others left for later
)

// Rule is one fault.
type Rule struct {
	Service   string // "dynamodb", "sns", "secretsmanager"; "" = any
	Operation string // "PutItem", "Publish" …; "" = any
	Contains  string // part of the request's body; "" = any
	Kind      Kind
	Times     int           // how often it fires; 0 = once, negative = until Mend
	Wait      time.Duration // of a Delay
	Until     chan struct{} // of a Delay that waits for something else
	Keep      int           // keys that an Unprocessed still reads, at least one fewer than were asked for
}

// Proxy passes requests on to an emulator, unless a rule says otherwise.
type Proxy struct {
	target    *url.URL
	transport *http.Transport
	shelf     shelf

	// turn makes DynamoDB's writes take turns.
	turn sync.Mutex

	mu    sync.Mutex
	rules []*Rule
	seen  map[string]int

	held atomic.Int64
}

// newProxy passes on to the emulator at an address.
func newProxy(target string) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("emulator address %q: want http://HOST:PORT", target)
	}
	return &Proxy{target: u, transport: &http.Transport{MaxIdleConnsPerHost: 16}, seen: map[string]int{}}, nil
}

// Inject adds faults. Of several that fit, the oldest fires first.
func (p *Proxy) Inject(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rules {
		if r.Times == 0 {
			r.Times = 1
		}
		p.rules = append(p.rules, &r)
	}
}

// Mend removes all faults and says how many had not fired as often as asked.
func (p *Proxy) Mend() (left int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rules {
		if r.Times > 0 {
			left++
		}
	}
	p.rules = nil
	return left
}

// Held is how many requests a Delay keeps from being carried out now.
func (p *Proxy) Held() int { return int(p.held.Load()) }

// Seen counts the requests so far by "service.Operation", those that a fault
// answered included.
func (p *Proxy) Seen() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.seen)
}

func (p *Proxy) pick(service, operation string, body []byte) *Rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[service+"."+operation]++
	for i, r := range p.rules {
		if r.Service != "" && r.Service != service || r.Operation != "" && r.Operation != operation || !bytes.Contains(body, []byte(r.Contains)) {
			continue
		}
		if r.Times > 0 {
			if r.Times--; r.Times == 0 {
				p.rules = append(p.rules[:i:i], p.rules[i+1:]...)
			}
		}
		fired := *r
		return &fired
	}
	return nil
}

// ServeHTTP passes one request on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone, and a return is an empty 200
	}
	service, operation := serviceOf(r, body)
	rule := p.pick(service, operation, body)
	if rule == nil {
		rule = &Rule{}
	}
	switch rule.Kind {
	case Throttle:
		refuse(w, service, http.StatusBadRequest, throttleCode(service), "Rate exceeded (injected)")
		return
	case ServerError:
		refuse(w, service, http.StatusInternalServerError, "InternalServerError", "injected")
		return
	case Refuse:
		refuse(w, service, http.StatusForbidden, denyCode(service), "not authorized (injected)")
		return
	case LostRequest:
		panic(http.ErrAbortHandler)
	case Delay:
		timer := time.NewTimer(rule.Wait)
		p.held.Add(1)
		select {
		case <-timer.C:
		case <-rule.Until:
		case <-r.Context().Done(): // the client has gone
		}
		timer.Stop()
		p.held.Add(-1)
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler) // a return is an empty 200, and one that crosses the client's leaving reads as success
		}
	}
	later := func(answer []byte) ([]byte, error) { return answer, nil }
	if rule.Kind == Unprocessed {
		if body, later, err = partly(body, rule.Keep); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	status, header, answer, err := p.forward(r, service, operation, body)
	if err == nil && status == http.StatusOK {
		if answer, err = later(answer); rule.Kind == Unprocessed {
			header.Del("X-Amz-Crc32") // of the answer without them
			header.Set("Content-Length", strconv.Itoa(len(answer)))
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	switch rule.Kind {
	case LostReply:
		panic(http.ErrAbortHandler)
	case FalseError:
		refuse(w, service, http.StatusInternalServerError, "InternalServerError", "injected after the fact")
		return
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	_, _ = w.Write(answer) // a client that has gone is its own business
}

func (p *Proxy) forward(r *http.Request, service, operation string, body []byte) (int, http.Header, []byte, error) {
	if service == "dynamodb" && writes(operation) {
		p.turn.Lock()
		defer p.turn.Unlock()
	}
	shelved := body
	if service == "dynamodb" && operation == "PutItem" {
		shelved = p.shelf.store(body)
	}
	// Carried out whether or not the client is still there, as AWS does.
	out := r.Clone(context.WithoutCancel(r.Context()))
	out.URL.Scheme, out.URL.Host, out.Host = p.target.Scheme, p.target.Host, p.target.Host
	// moto reads region and service from the signature; the host is not checked.
	out.RequestURI = ""
	out.Body = io.NopCloser(bytes.NewReader(shelved))
	out.ContentLength = int64(len(shelved))
	out.Header.Set("Content-Length", strconv.Itoa(len(shelved)))
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		return 0, nil, nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return 0, nil, nil, err
	}
	header := resp.Header.Clone()
	if service == "dynamodb" {
		if restored := p.shelf.restore(answer); len(restored) != len(answer) {
			answer = restored
			header.Del("X-Amz-Crc32") // of the answer with its markers
		}
	}
	header.Del("Connection")
	header.Set("Content-Length", strconv.Itoa(len(answer)))
	return resp.StatusCode, header, answer, nil
}

func writes(operation string) bool {
	for _, verb := range []string{"Put", "Delete", "Update", "Transact", "BatchWrite", "Create"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}

func throttleCode(service string) string {
	switch service {
	case "dynamodb":
		return "ProvisionedThroughputExceededException"
	case "sns":
		return "Throttled"
	}
	return "ThrottlingException"
}

func denyCode(service string) string {
	if service == "sns" {
		return "AuthorizationError"
	}
	return "AccessDeniedException"
}

// refuse answers in the service's own way.
func refuse(w http.ResponseWriter, service string, status int, code, message string) {
	if service == "sns" {
		if code == "Throttled" {
			status = http.StatusTooManyRequests
		}
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>injected</RequestId></ErrorResponse>", code, message) // constants only
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"__type":%q,"message":%q}`, "com.amazonaws#"+code, message)
}
