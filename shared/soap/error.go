package soap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Kind is what went wrong, as far as a caller should act differently on it. Its text is an identifier for logs and counters.
type Kind string

const (
	None            Kind = ""                // no error
	Unreachable     Kind = "unreachable"     // no connection came about
	TLSRefused      Kind = "tlsRefused"      // a connection, and no TLS on it; nothing was sent; Cause is a *HandshakeError
	ConnectionLost  Kind = "connectionLost"  // a connection, closed or reset instead of an answer
	Timeout         Kind = "timeout"         // the deadline passed
	Cancelled       Kind = "cancelled"       // the caller gave up
	Untrusted       Kind = "untrusted"       // the certificate was refused; nothing was sent; Cause is a *TrustError
	AccountRejected Kind = "accountRejected" // 401 to a request that carried the password
	Forbidden       Kind = "forbidden"       // 403: the role, a Host that is not trusted, a lock: it does not say
	NotFound        Kind = "notFound"        // 404 without a session to blame: the service is not activated on the node
	VersionRefused  Kind = "versionRefused"  // 599: see Supported
	Throttled       Kind = "throttled"       // 503: write throttle, or Tomcat busy or starting
	TooLarge        Kind = "tooLarge"        // AXL's 8 MB size fault: see Rows and Suggested
	MemoryFull      Kind = "memoryFull"      // AXL's 16 MB pool, shared by all its clients, is used up
	RateExceeded    Kind = "rateExceeded"    // Control Center's "Exceeded allowed rate"
	Fault           Kind = "fault"           // any other refusal: see Code
	AnswerTooBig    Kind = "answerTooBig"    // more than Endpoint.MaxAnswer
	Malformed       Kind = "malformed"       // not HTTP, not SOAP, or cut short
	Redirected      Kind = "redirected"      // 3xx: refused, credentials do not follow
	OutcomeUnknown  Kind = "outcomeUnknown"  // a Write that may have happened: read back before anything else
	Other           Kind = "other"           // KindOf an error that is not from here
)

// text is what a person reads.
func (k Kind) text() string {
	switch k {
	case Timeout:
		return "no answer in time"
	case TLSRefused:
		return "no TLS connection"
	case ConnectionLost:
		return "connection closed without an answer"
	case Untrusted:
		return "certificate not trusted"
	case AccountRejected:
		return "account rejected"
	case Forbidden:
		return "access denied"
	case NotFound:
		return "service not found"
	case VersionRefused:
		return "version refused"
	case TooLarge:
		return "query too large"
	case MemoryFull:
		return "AXL memory used up"
	case RateExceeded:
		return "allowed rate exceeded"
	case AnswerTooBig:
		return "answer too big"
	case Malformed:
		return "unreadable answer"
	case Redirected:
		return "redirect refused"
	case OutcomeUnknown:
		return "OUTCOME UNKNOWN"
	}
	return string(k)
}

// Error is a failed exchange.
type Error struct {
	Op, Node string
	Kind     Kind
	Code     string // axlcode if there was one, else the fault code
	Status   int    // HTTP status, 0 if none arrived
	Sent     bool   // a byte of the request may have left; false is certain

	Rows, Suggested int           // TooLarge: rows matched, and the number to stay below (0: not said)
	Supported       []string      // VersionRefused: as the page writes them, "12.x" included
	RetryAfter      time.Duration // what the server asked for, 0 if nothing
	Cause           error         // a transport error, or the server's words as short plain text
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Node != "" {
		b.WriteString(e.Node + ": ")
	}
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	b.WriteString(e.Kind.text())
	switch {
	case e.Status != 0 && e.Status != 200 && e.Code != "":
		fmt.Fprintf(&b, " (HTTP %d, code %s)", e.Status, e.Code)
	case e.Status != 0 && e.Status != 200:
		fmt.Fprintf(&b, " (HTTP %d)", e.Status)
	case e.Code != "":
		fmt.Fprintf(&b, " (code %s)", e.Code)
	}
	if inner, ok := e.Cause.(*Error); ok && inner.Op == e.Op && inner.Node == e.Node {
		bare := *inner // the cause of OutcomeUnknown is the same exchange: do not say node and operation twice
		bare.Op, bare.Node, bare.Status, bare.Code = "", "", 0, ""
		return b.String() + ": " + bare.Error()
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Cause }

// KindOf tells the kind of err: None for nil, Other for an error that did not come from this package.
func KindOf(err error) Kind {
	if err == nil {
		return None
	}
	if e, ok := asError(err); ok {
		return e.Kind
	}
	var trust *TrustError
	switch {
	case errors.As(err, &trust):
		return Untrusted
	case errors.Is(err, context.Canceled):
		return Cancelled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Other
}

func asError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// Unknown turns a failure after a write left into OutcomeUnknown, which keeps the failure as its cause.
func Unknown(e *Error) *Error {
	return &Error{Op: e.Op, Node: e.Node, Kind: OutcomeUnknown, Code: e.Code, Status: e.Status, Sent: true, RetryAfter: e.RetryAfter, Cause: e}
}

// waited is the error of giving up before a request was sent.
func waited(req Request, cause error) *Error {
	kind := Cancelled
	if isTimeout(cause) {
		kind = Timeout
	}
	return &Error{Op: req.Op, Kind: kind, Cause: cause}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
