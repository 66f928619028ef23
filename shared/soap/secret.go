package soap

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a password. However it is printed, logged or encoded it shows as [redacted]; Reveal is the only way to the text.
// Hazard: fmt cannot call methods on unexported struct fields, so a struct that keeps a Secret in one must have its own Format.
type Secret string

// Reveal returns the text. Call it where the text is sent, nowhere else.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format covers every verb, %x and %d included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
