package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"unsafe"
)

// Redacted is what a Text shows instead of itself.
const Redacted = "[redacted]"

// Text is a secret string that shows itself only through Reveal.
//
// It holds a pointer, not the string: fmt does not call methods on unexported
// fields, so a struct{ password Text } printed with %+v shows an address where
// a plain string would show the password.
type Text struct {
	_ [0]func() // not comparable: == would compare addresses; use Equal
	p *string
}

// NewText wraps a secret.
func NewText(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{p: &s}
}

// Lent wraps a secret in bytes that stay their owner's, who must not change them
// while it is used: once they are cleared, no copy of the secret is left here.
func Lent(b []byte) Text {
	if len(b) == 0 {
		return Text{}
	}
	s := unsafe.String(unsafe.SliceData(b), len(b))
	return Text{p: &s}
}

// Reveal is the secret itself. Its result goes into a request and nowhere else.
func (t Text) Reveal() string {
	if t.p == nil {
		return ""
	}
	return *t.p
}

// IsZero says whether there is no secret at all.
func (t Text) IsZero() bool { return t.p == nil || *t.p == "" }

// Equal compares two secrets in a time that does not tell where they differ.
func (t Text) Equal(o Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(o.Reveal())) == 1
}

// String is Redacted.
func (t Text) String() string { return Redacted }

// GoString is Redacted.
func (t Text) GoString() string { return Redacted }

// Format writes Redacted for every verb, so that %x and %q do not spell it out.
func (t Text) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, Redacted) // fmt.State reports no errors of use
}

// LogValue is Redacted.
func (t Text) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText writes Redacted.
func (t Text) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON writes Redacted.
func (t Text) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }
