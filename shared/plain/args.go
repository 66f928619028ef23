package plain

import (
	"fmt"
	"reflect"
)

// Args are the arguments of a format, for a writer of lines: each text, error
// or Stringer among them as a Line, so that only the format's own words break a
// line or paint it. Numbers and all else stay.
func Args(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a
		switch v := a.(type) {
		case nil:
		case error:
			out[i] = Line(v.Error(), Unbounded)
		case fmt.Stringer:
			if k := reflect.ValueOf(v).Kind(); k < reflect.Bool || k > reflect.Complex128 { // a number's words are its type's
				out[i] = Line(v.String(), Unbounded)
			}
		default:
			if s, ok := text(v); ok {
				out[i] = Line(s, Unbounded)
			}
		}
	}
	return out
}

// text is a value of any type whose kind is text.
func text(v any) (string, bool) {
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.String {
		return "", false
	}
	return r.String(), true
}
