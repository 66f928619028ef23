package lambdahost

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"peerkeeper/shared/plain"
)

// read reads an event, strictly: a misspelled dryRun must not be a real run, nor
// one that stands twice, and what is no request at all (null, a list, the event
// of another service) is refused by what it is. An error names the place, such as
// detail.nodes[2].name. A type that unmarshals itself reads what is below it as
// it likes.
func read(event []byte, request any) error {
	if err := check(event, reflect.TypeOf(request).Elem(), ""); err != nil {
		return err
	}
	return json.Unmarshal(event, request)
}

// fault is what is wrong at a place of an event.
func fault(at, format string, args ...any) error {
	if at == "" {
		at = "it"
	}
	return fmt.Errorf("%s %w", at, fmt.Errorf(format, args...))
}

// check says what of a JSON text does not fit a type.
func check(text []byte, t reflect.Type, at string) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	first, err := dec.Token()
	switch {
	case errors.Is(err, io.EOF):
		return fault(at, "is empty; want %s", wanted(t))
	case err != nil:
		return err
	case first == nil && at == "":
		return fault(at, "is null; want %s", wanted(t))
	case first == nil:
		return fault(at, "is null; leave it out, or give it a value")
	}
	reads := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	switch {
	case reads:
		err = json.Unmarshal(text, reflect.New(t).Interface())
	case t.Kind() == reflect.Pointer:
		return check(text, t.Elem(), at)
	case t.Kind() == reflect.Struct && first == json.Delim('{'):
		return checkObject(dec, fields(t), at)
	case t.Kind() == reflect.Map && first == json.Delim('{'):
		return checkObject(dec, func(string) reflect.Type { return t.Elem() }, at)
	case t.Kind() == reflect.Slice && first == json.Delim('['):
		return checkList(dec, t.Elem(), at)
	default:
		if err = json.Unmarshal(text, reflect.New(t).Interface()); err != nil && wanted(t) != kindOf(first) {
			return fault(at, "is %s; want %s", kindOf(first), wanted(t))
		}
	}
	if err != nil {
		return fault(at, "cannot be taken: %w", err)
	}
	return nil
}

// checkObject checks the keys of an object whose brace has been read. typeOf
// gives nil for a key that there is not.
func checkObject(dec *json.Decoder, typeOf func(key string) reflect.Type, at string) error {
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		place := plain.Line(key, 40)
		if at != "" {
			place = at + "." + place
		}
		// encoding/json takes keys without regard to case, and the last of two.
		if folded := strings.ToLower(key); seen[folded] {
			return fault(place, "stands there twice")
		} else {
			seen[folded] = true
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		t := typeOf(key)
		if t == nil {
			return fault(place, "is no key that is known")
		}
		if err := check(value, t, place); err != nil {
			return err
		}
	}
	return ends(dec, at)
}

// checkList checks the elements of a list whose bracket has been read.
func checkList(dec *json.Decoder, element reflect.Type, at string) error {
	for i := 0; dec.More(); i++ {
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if err := check(value, element, fmt.Sprintf("%s[%d]", at, i)); err != nil {
			return err
		}
	}
	return ends(dec, at)
}

// ends reads the closing brace or bracket, after which there is nothing.
func ends(dec *json.Decoder, at string) error {
	if _, err := dec.Token(); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault(at, "is followed by something else")
	}
	return nil
}

// fields gives the type of each key of a struct, as it is written.
func fields(t reflect.Type) func(key string) reflect.Type {
	of := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-" || f.Anonymous && name == "":
			continue
		case name == "":
			name = f.Name
		}
		of[name] = f.Type
	}
	return func(key string) reflect.Type { return of[key] }
}

// wanted is what a type is read from, in words.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Struct, reflect.Map:
		return "a JSON object"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "a truth value"
	case reflect.Interface:
		return "a value"
	}
	return "a number"
}

// kindOf is what a JSON value is, in the same words.
func kindOf(first json.Token) string {
	switch first.(type) {
	case json.Delim:
		if first == json.Delim('[') {
			return "a list"
		}
		return "a JSON object"
	case string:
		return "text"
	case bool:
		return "a truth value"
	}
	return "a number"
}
