package config

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// walker compares a YAML tree with the message descriptors of Envoy's API and
// makes the JSON value that protojson reads. It knows the line of everything,
// which a parsed message does not.
type walker struct {
	lines map[string]int // by path
	errs  Errors
	nodes int // walked so far
}

// maxNodes bounds a tree whose aliases multiply, or contain themselves.
const maxNodes = 1 << 20

func (w *walker) fail(n *yaml.Node, path, format string, args ...any) {
	w.errs = append(w.errs, Error{Line: n.Line, Path: path, Reason: fmt.Sprintf(format, args...)})
}

// message walks a mapping. Names are accepted in both spellings of protobuf's
// JSON form: connect_timeout and connectTimeout.
func (w *walker) message(n *yaml.Node, d protoreflect.MessageDescriptor, path string) any {
	n = deref(n)
	w.lines[path] = n.Line
	switch d.FullName() {
	case "google.protobuf.Any":
		return w.any(n, path)
	case "google.protobuf.Duration", "google.protobuf.Timestamp", "google.protobuf.StringValue",
		"google.protobuf.BytesValue", "google.protobuf.BoolValue", "google.protobuf.DoubleValue",
		"google.protobuf.FloatValue", "google.protobuf.UInt32Value", "google.protobuf.Int32Value",
		"google.protobuf.UInt64Value", "google.protobuf.Int64Value":
		return w.wellKnown(n, d, path)
	}
	if n.Kind != yaml.MappingNode {
		w.fail(n, path, "want a mapping (%s), got %s", d.Name(), kindOf(n))
		return nil
	}
	out := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		w.lines[at] = key.Line
		if key.Value == "@type" {
			out["@type"] = value.Value
			continue
		}
		f := field(d, key.Value)
		if f == nil {
			w.fail(key, at, "%s has no such field", d.FullName())
			continue
		}
		if !supported(d, f) {
			w.fail(key, at, "not supported")
			continue
		}
		name := string(f.Name())
		if _, double := out[name]; double {
			w.fail(key, at, "given twice")
			continue
		}
		at = join(path, name)
		w.lines[at] = key.Line
		if v := w.value(value, f, at); v != nil {
			out[name] = v
		}
	}
	return out
}

func field(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if f := d.Fields().ByName(protoreflect.Name(name)); f != nil {
		return f
	}
	return d.Fields().ByJSONName(name)
}

func (w *walker) value(n *yaml.Node, f protoreflect.FieldDescriptor, path string) any {
	n = deref(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil // protojson: as if it were not there
	}
	switch {
	case f.IsMap():
		w.fail(n, path, "not supported")
		return nil
	case f.IsList():
		if n.Kind != yaml.SequenceNode {
			w.fail(n, path, "want a list, got %s", kindOf(n))
			return nil
		}
		out := make([]any, 0, len(n.Content))
		for i, c := range n.Content {
			at := path + "[" + strconv.Itoa(i) + "]"
			w.lines[at] = c.Line
			if v := w.single(c, f, at); v != nil {
				out = append(out, v)
			}
		}
		return out
	}
	return w.single(n, f, path)
}

func (w *walker) single(n *yaml.Node, f protoreflect.FieldDescriptor, path string) any {
	if w.nodes++; w.nodes >= maxNodes {
		if w.nodes == maxNodes {
			w.fail(n, path, "too large: more than %d values, aliases counted in", maxNodes)
		}
		return nil
	}
	n = deref(n)
	if m := f.Message(); m != nil {
		return w.message(n, m, path)
	}
	if n.Kind != yaml.ScalarNode {
		w.fail(n, path, "want one value, got %s", kindOf(n))
		return nil
	}
	return w.scalar(n, f, path)
}

func (w *walker) scalar(n *yaml.Node, f protoreflect.FieldDescriptor, path string) any {
	text := n.Value
	var err error
	switch f.Kind() {
	case protoreflect.StringKind:
		return text
	case protoreflect.BytesKind:
		return text
	case protoreflect.BoolKind:
		if text == "true" || text == "false" {
			return text == "true"
		}
		w.fail(n, path, "%q is not true or false", text)
		return nil
	case protoreflect.EnumKind:
		if f.Enum().Values().ByName(protoreflect.Name(text)) != nil {
			return text
		}
		if i, err := strconv.ParseInt(text, 10, 32); err == nil {
			if v := f.Enum().Values().ByNumber(protoreflect.EnumNumber(i)); v != nil {
				return string(v.Name())
			}
		}
		w.fail(n, path, "%q is not one of %s", text, enumNames(f.Enum()))
		return nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		_, err = strconv.ParseUint(text, 10, 32)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		_, err = strconv.ParseUint(text, 10, 64)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		_, err = strconv.ParseInt(text, 10, 32)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		_, err = strconv.ParseInt(text, 10, 64)
	default:
		_, err = strconv.ParseFloat(text, 64)
	}
	if err != nil {
		w.fail(n, path, "%q is not a number of kind %s", text, f.Kind())
		return nil
	}
	return text // protojson takes numbers as strings too
}

func enumNames(e protoreflect.EnumDescriptor) string {
	var names []string
	for i := range e.Values().Len() {
		names = append(names, string(e.Values().Get(i).Name()))
	}
	return strings.Join(names, ", ")
}

// wellKnown are the messages that JSON writes as one value.
func (w *walker) wellKnown(n *yaml.Node, d protoreflect.MessageDescriptor, path string) any {
	if n.Kind != yaml.ScalarNode {
		w.fail(n, path, "want one value, got %s", kindOf(n))
		return nil
	}
	if f := d.Fields().ByName("value"); f != nil && d.Fields().Len() == 1 {
		return w.scalar(n, f, path)
	}
	if _, err := duration(n.Value); err != nil {
		w.fail(n, path, "%q is not a duration such as 0.25s", n.Value)
		return nil
	}
	return n.Value
}

// any walks a google.protobuf.Any by its @type.
func (w *walker) any(n *yaml.Node, path string) any {
	if n.Kind != yaml.MappingNode {
		w.fail(n, path, "want a mapping with @type, got %s", kindOf(n))
		return nil
	}
	var url string
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "@type" {
			url = n.Content[i+1].Value
		}
	}
	if url == "" {
		w.fail(n, path, "no @type in it")
		return nil
	}
	name := protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:])
	m, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil || !supportedType(name) {
		w.fail(n, join(path, "@type"), "%s is not supported", name)
		return nil
	}
	return w.message(n, m.Descriptor(), path)
}

func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return strconv.Quote(n.Value)
	}
	return "nothing"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
