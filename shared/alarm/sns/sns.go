// Package sns publishes alarms to an SNS topic: a subject for a pager, text for
// a person, the same fact as JSON on the last line, and the attributes by which
// a subscription filters and a receiver drops repeats.
//
// It owns one publication per notice. Anything but an acknowledged publication
// is an error, so the notice is sent again with the same fingerprint and
// transition; SNS and its subscribers may show it twice.
package sns

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/plain"
)

const (
	// maxSubject: SNS wants "less than 100 characters", ASCII, no line breaks
	// or control characters (API reference, Publish).
	maxSubject = 99
	// MaxBody bounds the text. SNS takes 256 KB, attributes included.
	MaxBody = 240 << 10
	// sendWithin bounds one notice with all its attempts.
	sendWithin = 15 * time.Second
	attempts   = 4
	maxWait    = 2 * time.Second
)

// API is what the sink asks of SNS; *sns.Client has it.
type API interface {
	Publish(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// NewClient gives a client for a sink.
func NewClient(cfg aws.Config) *sns.Client {
	return sns.NewFromConfig(cfg, func(o *sns.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, maxWait
			// SNS's own words for "slower", which the SDK's list does not have.
			o.Retryables = append([]retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: map[string]struct{}{
				"Throttled": {}, "KMSThrottling": {}, "KMSThrottlingException": {},
			}}}, o.Retryables...)
		})
	})
}

// Sink is one topic.
type Sink struct {
	API   API
	Topic string // ARN
}

// Kind is why a notice was not published.
type Kind string

// The kinds.
const (
	Denied      Kind = "denied" // IAM, the endpoint's policy, or the topic's key
	NoTopic     Kind = "no topic"
	Refused     Kind = "refused"     // our own mistake
	Unavailable Kind = "unavailable" // throttled, out of order, out of reach
)

// Error says why a notice was not published, and what to do.
type Error struct {
	Topic string
	Kind  Kind
	Cause error
}

func (e *Error) Error() string {
	cure := ""
	switch e.Kind {
	case Denied:
		cure = "; this function needs sns:Publish on it and, where it is encrypted, kms:GenerateDataKey and kms:Decrypt on its key"
	case NoTopic:
		cure = "; check PEERKEEPER_TOPIC_ARN"
	case Unavailable:
		cure = "; look at the interface endpoint, its security group and its private DNS"
	}
	return fmt.Sprintf("topic %s: %s%s: %v", e.Topic, e.Kind, cure, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is compares kinds: errors.Is(err, &Error{Kind: Denied}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Topic == ""
}

// Name is the name under which deliveries are recorded.
func (s *Sink) Name() string { return "sns" }

// Send implements alarm.Sink.
func (s *Sink) Send(ctx context.Context, n alarm.Notice) error {
	n = n.Clean()
	body, err := Body(n)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	// No MessageStructure: it would need the text once per protocol, and the
	// SDK sends one body for all. A mail shows the text; a queue or a function
	// filters by the attributes and reads the last line.
	_, err = s.API.Publish(ctx, &sns.PublishInput{
		TopicArn: &s.Topic, Subject: aws.String(Subject(n)), Message: &body, MessageAttributes: attributes(n),
	})
	if err != nil {
		if tooLarge(err) {
			err = errors.Join(alarm.ErrTooLarge, err)
		}
		return &Error{Topic: s.Topic, Kind: kindOf(err), Cause: err}
	}
	return nil
}

// tooLarge reports whether SNS refuses a message for its size: "Invalid
// parameter: Message too long" is its answer (API reference, Publish; it has no
// error code of its own for a single message). Only the message can be
// shortened, so a parameter that is too long in another way is not meant.
func tooLarge(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return false
	}
	words := strings.ToLower(api.ErrorMessage())
	return strings.Contains(words, "message too long") || strings.Contains(words, "message must be shorter")
}

func kindOf(err error) Kind {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return Unavailable
	}
	kinds := map[string]Kind{
		"AuthorizationError": Denied, "AuthorizationErrorException": Denied, "AccessDenied": Denied, "AccessDeniedException": Denied,
		"KMSAccessDenied": Denied, "KMSAccessDeniedException": Denied, "KMSDisabled": Denied, "KMSNotFound": Denied, "KMSInvalidState": Denied, "KMSOptInRequired": Denied,
		"InvalidClientTokenId": Denied, "SignatureDoesNotMatch": Denied, "ExpiredToken": Denied, "InvalidSecurity": Denied,
		"NotFound": NoTopic, "NotFoundException": NoTopic,
		"InvalidParameter": Refused, "InvalidParameterException": Refused, "ParameterValueInvalid": Refused, "ValidationException": Refused, "ValidationError": Refused,
	}
	return cmp.Or(kinds[api.ErrorCode()], Unavailable)
}

// attributes are all text, so that one filter policy fits them all. Those that
// would be empty are left out: SNS refuses an empty value.
func attributes(n alarm.Notice) map[string]types.MessageAttributeValue {
	out := map[string]types.MessageAttributeValue{}
	for name, value := range map[string]string{
		"alarm": n.Name, "severity": string(n.Severity), "state": string(n.State), "mesh": n.Mesh, "cluster": string(n.Cluster), "peer": n.Peer.String(),
		"fingerprint": n.Fingerprint, "transition": strconv.Itoa(n.Transition),
	} {
		if value != "" {
			out[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
		}
	}
	return out
}

// what an alarm speaks of: a peer, a cluster or the whole mesh.
func what(n alarm.Notice) string {
	switch {
	case !n.Peer.IsZero():
		return "peer " + n.Peer.String()
	case n.Cluster != "":
		return "cluster " + string(n.Cluster)
	}
	return "mesh " + n.Mesh
}

// Subject is a notice in one short line of ASCII, such as
// "RAISED critical ClusterDown: cluster apac (mesh acme)".
func Subject(n alarm.Notice) string {
	s := fmt.Sprintf("%s %s %s: %s", strings.ToUpper(string(n.State)), n.Severity, n.Name, what(n))
	if !n.Peer.IsZero() || n.Cluster != "" {
		s += " (mesh " + n.Mesh + ")"
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxSubject {
		s = s[:maxSubject-3] + "..."
	}
	return s
}

// Body is a notice as a person reads it, with its JSON as the last line. A
// message that would not fit is cut in both.
func Body(n alarm.Notice) (string, error) {
	n.Message = plain.Line(n.Message, plain.Unbounded) // here a line break would end what is ours
	for most := len(n.Message); ; most /= 2 {
		cut := n
		cut.Message = shorten(n.Message, most)
		body, err := body(cut)
		if err != nil || len(body) <= MaxBody {
			return body, err
		}
		if most == 0 {
			return "", fmt.Errorf("the notice %s of %s is larger than an SNS message even without its text", n.Name, what(n))
		}
	}
}

func body(n alarm.Notice) (string, error) {
	var fact strings.Builder
	enc := json.NewEncoder(&fact)
	enc.SetEscapeHTML(false) // "emea>apac" stays readable
	if err := enc.Encode(n); err != nil {
		return "", fmt.Errorf("encoding the notice %s: %w", n.Name, err)
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s: %s, %s of mesh %s (%s)", strings.ToUpper(string(n.State)), n.Name, what(n), n.Mesh, n.Severity)
	line("%s %s", map[bool]string{true: "Over since", false: "Since"}[n.State == alarm.Cleared], n.Since.UTC().Format("2006-01-02 15:04:05 MST"))
	line("")
	if n.State == alarm.Cleared {
		line("It was: %s", n.Message)
	} else {
		line("%s", n.Message)
		if entry, ok := alarm.Lookup(n.Name); ok {
			line("")
			line("What it means: %s", entry.Summary)
			line("How soon: %s", map[alarm.Urgency]string{alarm.Page: "now", alarm.Ticket: "the next working day"}[entry.Urgency])
		}
		line("What to do: %s", n.Runbook)
		if !n.Peer.IsZero() {
			line("More: peerkeeper explain '%s'", n.Peer)
		} else {
			line("More: peerkeeper status")
		}
	}
	line("")
	line("Fingerprint %s, transition %d. The same two may come again; they mean the same event.", n.Fingerprint, n.Transition)
	line("")
	b.WriteString(strings.TrimSuffix(fact.String(), "\n"))
	return b.String(), nil
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return fmt.Sprintf("%s … (%d bytes more are in the store)", s[:most], len(s)-most)
}
