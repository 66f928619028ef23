package logcollection

import (
	"errors"
	"fmt"
	"strings"

	"peerkeeper/shared/soap"
)

// Problem is what stands in the way, as far as a caller should act differently on it.
type Problem string

// The problems.
const (
	None         Problem = ""
	NoService    Problem = "noService"    // not there, or not activated: "SOAP - Log Collection APIs"
	NoRole       Problem = "noRole"       // 403, or 401 for an account that AXL takes: see Roles
	NoFile       Problem = "noFile"       // the path does not exist, or may not be read
	Throttled    Problem = "throttled"    // 429, 503, or "Exceeded allowed rate"; no limit of this service is documented
	DatesRefused Problem = "datesRefused" // "logcollectionservice -101"
	FieldRefused Problem = "fieldRefused" // "logcollectionservice -102"
	Refused      Problem = "refused"      // any other fault
	TooLarge     Problem = "tooLarge"     // more than the cap
	Unreadable   Problem = "unreadable"   // cut short, or in a form that is not known
	NoAnswer     Problem = "noAnswer"     // not reached, not trusted, or no answer in time
	Other        Problem = "other"        // the caller's own error
)

// Roles are those that the service asks for [T; read-only variants are not proven].
const Roles = "Standard CCM Admin Users and Standard RealtimeAndTraceCollection"

// NoFileError is a path that does not exist or may not be read: the node does not tell which [T].
type NoFileError struct {
	Node, Path string
	Cause      *soap.Error
}

func (e *NoFileError) Error() string {
	return fmt.Sprintf("%s: no file %s: %v", e.Node, e.Path, e.Cause)
}
func (e *NoFileError) Unwrap() error { return e.Cause }

// RefusedError is a refusal with one of the service's own numbers.
type RefusedError struct {
	Node, Op string
	Code     int // -101: a date; -102: a field that is nil [T]
	Cause    *soap.Error
}

func (e *RefusedError) Error() string { return e.Cause.Error() }
func (e *RefusedError) Unwrap() error { return e.Cause }

// TooLargeError is a file that has more than Max bytes, of which Max were read.
type TooLargeError struct {
	Node, Path string
	Max        int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s: %s is larger than the %d MB that are read of one file", e.Node, e.Path, e.Max>>20)
}

// classify gives a fault its type. The service has no codes of its own outside the text, so this one place looks at the words.
func classify(err error, file string) error {
	var e *soap.Error
	if !errors.As(err, &e) || e.Kind != soap.Fault || e.Cause == nil {
		return err
	}
	words := strings.ToLower(e.Cause.Error())
	switch {
	// Axis2's own words for a service that is not deployed, with status 500 or 404 [I].
	case strings.Contains(words, "service cannot be found"), strings.Contains(words, "endpoint reference"), strings.Contains(words, "no such service"):
		absent := *e
		absent.Kind = soap.NotFound
		return &absent
	case strings.Contains(words, "logcollectionservice -101"):
		return &RefusedError{Node: e.Node, Op: e.Op, Code: -101, Cause: e}
	case strings.Contains(words, "logcollectionservice -102"):
		return &RefusedError{Node: e.Node, Op: e.Op, Code: -102, Cause: e}
	// "FileName ... do not exist", status 500 [T].
	case file != "" && (strings.Contains(words, "not exist") || strings.Contains(words, "no such file") || strings.Contains(words, "not found")):
		return &NoFileError{Node: e.Node, Path: file, Cause: e}
	}
	return err
}

// ProblemOf sorts an error of this package.
func ProblemOf(err error) Problem {
	var noFile *NoFileError
	var refused *RefusedError
	var large *TooLargeError
	switch {
	case err == nil:
		return None
	case errors.As(err, &noFile):
		return NoFile
	case errors.As(err, &refused) && refused.Code == -101:
		return DatesRefused
	case errors.As(err, &refused):
		return FieldRefused
	case errors.As(err, &large):
		return TooLarge
	}
	switch soap.KindOf(err) {
	case soap.NotFound:
		return NoService
	case soap.Forbidden, soap.AccountRejected:
		return NoRole
	case soap.Throttled, soap.RateExceeded:
		return Throttled
	case soap.AnswerTooBig:
		return TooLarge
	case soap.Malformed, soap.Redirected:
		return Unreadable
	case soap.Unreachable, soap.Timeout, soap.Cancelled, soap.Untrusted:
		return NoAnswer
	case soap.Other:
		return Other
	}
	return Refused
}
