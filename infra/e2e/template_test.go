package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// template is a synthesised template.
type template struct {
	Resources map[string]resource
	Outputs   map[string]struct{ Value any }
}

type resource struct {
	Type           string
	Properties     map[string]any
	DeletionPolicy string
}

// notUnderstood says what of a template cannot be carried out, and where.
type notUnderstood struct{ at, what string }

func (e *notUnderstood) Error() string { return e.at + ": " + e.what }

// physical is a resource that exists.
type physical struct {
	ref  string            // what Ref gives
	atts map[string]string // what Fn::GetAtt gives
}

// resolver replaces CloudFormation's references by what they stand for.
type resolver struct {
	pseudo map[string]string                 // AWS::Region and such
	find   func(id string) (physical, error) // a resource by its logical id
}

// noValue is what {"Ref": "AWS::NoValue"} leaves: nothing.
type noValue struct{}

// value resolves a decoded piece of JSON. at says where it stands.
func (r resolver) value(at string, v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if k != "Ref" && k != "Condition" && !strings.HasPrefix(k, "Fn::") {
				continue
			}
			if k == "Condition" && len(v) > 1 { // an IAM statement's, not CloudFormation's
				continue
			}
			if len(v) != 1 {
				return nil, &notUnderstood{at, k + " beside other keys"}
			}
			return r.intrinsic(at, k, v[k])
		}
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			x, err := r.value(at+"."+k, v[k])
			if err != nil {
				return nil, err
			}
			if x != (noValue{}) {
				out[k] = x
			}
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(v))
		for i, x := range v {
			x, err := r.value(fmt.Sprintf("%s[%d]", at, i), x)
			if err != nil {
				return nil, err
			}
			if x != (noValue{}) {
				out = append(out, x)
			}
		}
		return out, nil
	}
	return v, nil
}

func (r resolver) intrinsic(at, name string, arg any) (any, error) {
	at += "." + name
	switch name {
	case "Ref":
		id, ok := arg.(string)
		if !ok {
			return nil, &notUnderstood{at, "names no resource"}
		}
		return r.ref(at, id)
	case "Fn::GetAtt":
		id, attr, ok := "", "", false
		switch arg := arg.(type) {
		case string:
			id, attr, ok = strings.Cut(arg, ".")
		case []any:
			if len(arg) == 2 {
				id, _ = arg[0].(string)
				attr, ok = arg[1].(string)
			}
		}
		if !ok || id == "" {
			return nil, &notUnderstood{at, fmt.Sprintf("%v is no attribute", arg)}
		}
		return r.att(at, id, attr)
	case "Fn::Sub":
		return r.sub(at, arg)
	case "Fn::Join", "Fn::Select", "Fn::Split":
		args, ok := arg.([]any)
		if !ok || len(args) != 2 {
			return nil, &notUnderstood{at, "does not have two arguments"}
		}
		args = slices.Clone(args)
		for i := range args {
			var err error
			if args[i], err = r.value(fmt.Sprintf("%s[%d]", at, i), args[i]); err != nil {
				return nil, err
			}
		}
		return listed(at, name, args[0], args[1])
	}
	return nil, &notUnderstood{at, "an intrinsic that is not known here"}
}

func (r resolver) ref(at, id string) (any, error) {
	if id == "AWS::NoValue" {
		return noValue{}, nil
	}
	if strings.HasPrefix(id, "AWS::") {
		v, ok := r.pseudo[id]
		if !ok {
			return nil, &notUnderstood{at, id + " is not known here"}
		}
		return v, nil
	}
	p, err := r.find(id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return p.ref, nil
}

func (r resolver) att(at, id, attr string) (any, error) {
	p, err := r.find(id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	v, ok := p.atts[attr]
	if !ok {
		return nil, &notUnderstood{at, "what is the " + attr + " of " + id + "?"}
	}
	return v, nil
}

// sub replaces ${Name}, ${Name.Attribute} and ${!Literal}.
func (r resolver) sub(at string, arg any) (any, error) {
	text, own := "", map[string]any{}
	switch arg := arg.(type) {
	case string:
		text = arg
	case []any:
		if len(arg) == 2 {
			text, _ = arg[0].(string)
			own, _ = arg[1].(map[string]any)
		}
		if text == "" || own == nil {
			return nil, &notUnderstood{at, "not a text and its variables"}
		}
	default:
		return nil, &notUnderstood{at, "not a text"}
	}
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "${")
		out.WriteString(before)
		if !ok {
			return out.String(), nil
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return nil, &notUnderstood{at, "a ${ without its }"}
		}
		text = after
		var v any
		var err error
		id, attr, dotted := strings.Cut(name, ".")
		switch mine, given := own[name]; {
		case strings.HasPrefix(name, "!"):
			v = "${" + name[1:] + "}"
		case given:
			v, err = r.value(at+"."+name, mine)
		case dotted:
			v, err = r.att(at, id, attr)
		default:
			v, err = r.ref(at, name)
		}
		if err != nil {
			return nil, err
		}
		s, ok := v.(string)
		if !ok {
			return nil, &notUnderstood{at, name + " is no text"}
		}
		out.WriteString(s)
	}
}

func listed(at, name string, first, second any) (any, error) {
	switch name {
	case "Fn::Join":
		sep, ok := first.(string)
		list, isList := second.([]any)
		parts := make([]string, len(list))
		for i, x := range list {
			var isText bool
			parts[i], isText = x.(string)
			ok = ok && isText
		}
		if ok && isList {
			return strings.Join(parts, sep), nil
		}
	case "Fn::Split":
		sep, ok := first.(string)
		text, isText := second.(string)
		if ok && isText && sep != "" {
			var out []any
			for part := range strings.SplitSeq(text, sep) {
				out = append(out, part)
			}
			return out, nil
		}
	case "Fn::Select":
		list, ok := second.([]any)
		i, err := strconv.Atoi(fmt.Sprint(first))
		if ok && err == nil && i >= 0 && i < len(list) {
			return list[i], nil
		}
	}
	return nil, &notUnderstood{at, fmt.Sprintf("%v and %v do not fit", first, second)}
}

func TestReferences(t *testing.T) {
	r := resolver{
		pseudo: map[string]string{"AWS::Region": "eu-central-1"},
		find: func(id string) (physical, error) {
			if id != "Table" {
				return physical{}, &notUnderstood{id, "no such resource"}
			}
			return physical{"peerkeeper-dev", map[string]string{"Arn": "arn:table"}}, nil
		},
	}
	for _, c := range []struct{ name, in, want string }{
		{"a text", `"x"`, `"x"`},
		{"Ref", `{"Ref":"Table"}`, `"peerkeeper-dev"`},
		{"a pseudo parameter", `{"Ref":"AWS::Region"}`, `"eu-central-1"`},
		{"no value", `{"a":{"Ref":"AWS::NoValue"},"b":[{"Ref":"AWS::NoValue"},1]}`, `{"b":[1]}`},
		{"GetAtt", `{"Fn::GetAtt":["Table","Arn"]}`, `"arn:table"`},
		{"GetAtt, short", `{"Fn::GetAtt":"Table.Arn"}`, `"arn:table"`},
		{"Join", `{"Fn::Join":["/",["a",{"Ref":"Table"}]]}`, `"a/peerkeeper-dev"`},
		{"Select of Split", `{"Fn::Select":[1,{"Fn::Split":[":","a:b:c"]}]}`, `"b"`},
		{"Select with a text for a number", `{"Fn::Select":["0",["a"]]}`, `"a"`},
		{"Sub", `{"Fn::Sub":"${AWS::Region}-${Table}-${Table.Arn}-${!Literal}"}`, `"eu-central-1-peerkeeper-dev-arn:table-${Literal}"`},
		{"Sub with variables", `{"Fn::Sub":["${X}!",{"X":{"Ref":"Table"}}]}`, `"peerkeeper-dev!"`},
		{"an IAM condition", `{"Effect":"Allow","Condition":{"Null":{"a":"false"}}}`, `{"Condition":{"Null":{"a":"false"}},"Effect":"Allow"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.value("X", decode(t, c.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decode(t, c.want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, in := range map[string]string{
		"unknown intrinsic":     `{"Fn::ImportValue":"x"}`,
		"a condition":           `{"Fn::If":["A",1,2]}`,
		"condition reference":   `{"Condition":"A"}`,
		"unknown resource":      `{"Ref":"Nothing"}`,
		"unknown pseudo":        `{"Ref":"AWS::StackId"}`,
		"unknown attribute":     `{"Fn::GetAtt":["Table","StreamArn"]}`,
		"GetAtt of nothing":     `{"Fn::GetAtt":"Table"}`,
		"Ref beside others":     `{"Ref":"Table","x":1}`,
		"Sub unknown":           `{"Fn::Sub":"${Nothing}"}`,
		"Sub unclosed":          `{"Fn::Sub":"${Table"}`,
		"Join of a map":         `{"Fn::Join":["",[{"a":1}]]}`,
		"Select beyond the end": `{"Fn::Select":[3,["a"]]}`,
		"deep within":           `{"a":[{"b":{"Fn::Transform":{}}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			v, err := r.value("X", decode(t, in))
			if _, ok := errors.AsType[*notUnderstood](err); !ok {
				t.Errorf("it became %v, %v", v, err)
			}
		})
	}
}

func decode(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
