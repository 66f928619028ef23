package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// maxName bounds a name on the command line: a host name has at most 253
// characters, a user ID 128, an IM address some more.
const maxName = 255

// name is a name that a person gives: of a user, a cluster, a peer, a node, an
// action, an alarm. A script whose variable is empty gets no answer about
// everybody.
type name string

// UnmarshalText reads a name, without the blanks around it.
func (n *name) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	switch runes := utf8.RuneCountInString(text); {
	case text == "":
		return errors.New("it is empty: name something (is a variable of your script not set?)")
	case runes > maxName:
		return fmt.Errorf("it has %d characters, beginning with %s: a name has at most %d", runes, plain.Quote(text, 40), maxName)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s is not UTF-8", plain.Quote(text, 40))
	case strings.ContainsFunc(text, unicode.IsControl):
		return fmt.Errorf("%s holds control characters", plain.Quote(text, 40))
	}
	*n = name(text)
	return nil
}

// reason is why a person decides something, for the record.
type reason string

// UnmarshalText reads a reason.
func (r *reason) UnmarshalText(b []byte) error {
	text, err := record.ReasonOf(string(b))
	*r = reason(text)
	return err
}

// span is a duration in which days may be written, such as 7d or 36h.
type span time.Duration

// maxSpan is the longest time that may be named, in days: ten years.
const maxSpan = 3650

// UnmarshalText reads a duration with days.
func (s *span) UnmarshalText(b []byte) error {
	if days, ok := strings.CutSuffix(string(b), "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && 0 < n && n <= maxSpan {
			*s = span(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(string(b))
	if err != nil || d <= 0 || d > maxSpan*24*time.Hour {
		return fmt.Errorf("%s is no time: write 30m, 36h or 7d, at most %dd", plain.Quote(string(b), 40), maxSpan)
	}
	*s = span(d)
	return nil
}
