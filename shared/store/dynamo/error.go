package dynamo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"peerkeeper/shared/store"
)

// Kind is why a request to the table failed.
type Kind string

// The kinds.
const (
	Throttled   Kind = "throttled"   // refused for the moment, not carried out
	Unavailable Kind = "unavailable" // 5xx: may have been carried out
	Lost        Kind = "lost"        // no answer arrived: may have been carried out
	Overtaken   Kind = "overtaken"   // no answer arrived, and others have written since: may have been carried out
	Denied      Kind = "denied"      // IAM or the endpoint's policy
	NoTable     Kind = "no table"
	Refused     Kind = "refused" // anything else: our own mistake
)

// passes says whether the same request may be taken a little later.
func (k Kind) passes() bool { return k == Throttled || k == Unavailable || k == Lost }

// Error says which request failed, why, and what to do about it.
type Error struct {
	Op    string // GetItem, BatchGetItem, Query, PutItem or DeleteItem
	Table string
	Kind  Kind
	Cause error
}

func (e *Error) Error() string {
	cure := ""
	switch e.Kind {
	case Throttled:
		cure = "; the table keeps refusing: look at its throttled requests, and make it on demand if it is not"
	case Unavailable, Lost:
		cure = "; DynamoDB cannot be reached: look at the gateway endpoint, the route tables and the security group"
	case Overtaken:
		cure = "; whether this was written cannot be told, and the next run goes by what stands"
	case Denied:
		cure = "; the role or user that runs this needs dynamodb:" + e.Op + " on the table"
	case NoTable:
		cure = "; check PEERKEEPER_TABLE and AWS_REGION"
	}
	return fmt.Sprintf("%s on table %s: %s%s: %v", e.Op, e.Table, e.Kind, cure, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is compares kinds: errors.Is(err, &Error{Kind: Throttled}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Table == "" && t.Op == ""
}

// ForeignError says that an item of the table was not written by Peerkeeper,
// or was altered by hand.
type ForeignError struct {
	Key        store.Key
	Attributes []string // that are missing or of another type
}

func (e *ForeignError) Error() string {
	slices.Sort(e.Attributes)
	return fmt.Sprintf("item %s %s is not one of Peerkeeper's: its %s cannot be read; restore or remove it", e.Key.PK, e.Key.SK, strings.Join(e.Attributes, ", "))
}

// isConditional says whether the version was not the one read.
func isConditional(err error) bool {
	_, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	return ok
}

// kindOf reads an error of the SDK. What carries no answer of DynamoDB's may
// have been carried out.
func kindOf(err error) Kind {
	if _, ok := errors.AsType[*unreadError](err); ok {
		return Throttled
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded", "ThrottlingException", "Throttling",
			"RequestLimitExceeded", "LimitExceededException", "TooManyRequestsException",
			// Another writer's transaction holds the item for a moment.
			"TransactionConflictException",
			// A clock that is minutes off is corrected by the SDK at the second attempt.
			"RequestTimeTooSkewed":
			return Throttled
		case "AccessDeniedException", "UnrecognizedClientException", "MissingAuthenticationToken", "InvalidSignatureException",
			"IncompleteSignature", "ExpiredTokenException", "InvalidClientTokenId":
			return Denied
		case "ResourceNotFoundException":
			return NoTable
		case "InternalServerError", "InternalFailure", "ServiceUnavailable":
			return Unavailable
		}
	}
	if resp, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && resp.HTTPStatusCode() > 0 {
		switch status := resp.HTTPStatusCode(); {
		case status == http.StatusTooManyRequests:
			return Throttled
		case status >= 500:
			return Unavailable
		case status >= 400:
			return Refused
		}
		return Lost // a 200 that could not be read, or whose checksum was wrong
	}
	if _, ok := errors.AsType[*smithy.SerializationError](err); ok {
		return Refused
	}
	if _, ok := errors.AsType[*smithy.CanceledError](err); ok || errors.Is(err, context.DeadlineExceeded) {
		return Lost
	}
	if _, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return Lost
	}
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return Lost
	}
	return Refused
}
