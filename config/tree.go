package config

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/dockerlb/dockerlb/labels"
)

// walker compares a YAML tree with the message descriptors of Envoy's API and
// makes the JSON value that protojson reads. It knows the line of everything,
// which a parsed message does not.
type walker struct {
	lines map[string]int // by path
	errs  Errors
	nodes int // walked so far
	// tried, if set, is told each field that is accepted (tests).
	tried func(protoreflect.FieldDescriptor)
}

// maxNodes bounds a tree whose aliases multiply, or contain themselves.
const maxNodes = 1 << 20

// maxErrors is how many errors are collected: who has more has another kind of
// file.
const maxErrors = 1000

func (w *walker) fail(n *yaml.Node, path, format string, args ...any) {
	if len(w.errs) >= maxErrors {
		return
	}
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
	ones := map[protoreflect.Name]protoreflect.Name{} // of a oneof, the field that is set
	seen := map[protoreflect.Name]int{}               // its line
	for _, e := range w.entries(n, path, 0) {
		key, value := e.key, e.value
		at := join(path, key.Value)
		if key.Value == "@type" {
			out["@type"] = value.Value
			continue
		}
		f := field(d, key.Value)
		if f == nil && key.Value == "config" && (d.FullName() == filterMessage || d.FullName() == httpFilterMessage) {
			// The spelling of old: the name says which type it is.
			f = d.Fields().ByName("typed_config")
		}
		switch {
		case f == nil:
			w.unknown(key, at, d)
			continue
		case !supported(d, f):
			w.unsupported(key, at, f)
			continue
		}
		name := f.Name()
		at = join(path, string(name))
		if line, double := seen[name]; double {
			if !e.merged {
				w.fail(key, at, "given twice, first in line %d", line)
			}
			continue
		}
		seen[name] = key.Line
		if w.tried != nil {
			w.tried(f)
		}
		w.lines[at] = key.Line
		if deref(value).Tag == "!!null" {
			continue // protojson: as if it were not there
		}
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			if other := ones[o.Name()]; other != "" {
				w.fail(key, at, "only one of %s and %s can be given", other, name)
				continue
			}
			ones[o.Name()] = name
		}
		if key.Value == "config" {
			value = w.typed(n, value, at)
			if value == nil {
				continue
			}
		}
		if v := w.value(value, f, at); v != nil {
			out[string(name)] = v
		}
	}
	return out
}

// The two messages whose typed_config was config once.
const (
	filterMessage     = "envoy.config.listener.v3.Filter"
	httpFilterMessage = "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter"
)

// typed is an untyped config of a filter with the @type that the filter's name
// stands for.
func (w *walker) typed(filter, config *yaml.Node, path string) *yaml.Node {
	var name string
	for i := 0; i+1 < len(filter.Content); i += 2 {
		if filter.Content[i].Value == "name" {
			name = deref(filter.Content[i+1]).Value
		}
	}
	config = deref(config)
	t := untyped[name]
	if t == "" || config.Kind != yaml.MappingNode {
		w.fail(config, path, "want a typed_config: what config is for %q is not known", name)
		return nil
	}
	with := *config
	key := &yaml.Node{Kind: yaml.ScalarNode, Value: "@type", Line: config.Line}
	value := &yaml.Node{Kind: yaml.ScalarNode, Value: "type.googleapis.com/" + t, Line: config.Line}
	with.Content = append([]*yaml.Node{key, value}, config.Content...)
	return &with
}

// entry is a key and its value. merged: by a merge key, so that one given here
// counts more.
type entry struct {
	key, value *yaml.Node
	merged     bool
}

// maxMerge bounds merge keys within merge keys.
const maxMerge = 8

// entries are a mapping's own, then those that it merges in ("<<: *other").
func (w *walker) entries(n *yaml.Node, path string, depth int) []entry {
	var own, merged []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		if w.nodes++; w.nodes >= maxNodes {
			w.tooLarge(n, path)
			return nil
		}
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			w.fail(key, path, "want the name of a field, got %s", kindOf(key))
		case key.Tag != "!!merge":
			own = append(own, entry{key, value, depth > 0})
		default:
			others := []*yaml.Node{deref(value)}
			if others[0].Kind == yaml.SequenceNode {
				others = others[0].Content
			}
			for _, o := range others {
				if o = deref(o); o.Kind != yaml.MappingNode || depth == maxMerge {
					w.fail(key, path, "<< wants a mapping, or a list of them")
					continue
				}
				merged = append(merged, w.entries(o, path, depth+1)...)
			}
		}
	}
	return append(own, merged...)
}

// unknown reports a field that Envoy does not have either.
func (w *walker) unknown(key *yaml.Node, at string, d protoreflect.MessageDescriptor) {
	var names, others []string
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if supported(d, f) {
			names = append(names, string(f.Name()))
		} else {
			others = append(others, string(f.Name()))
		}
	}
	meant := labels.Nearest(key.Value, append(names, others...))
	switch {
	case meant != "":
		w.fail(key, at, "unknown field; did you mean %s?", meant)
	case len(names) == 0:
		w.fail(key, at, "unknown field: a %s has none here", d.Name())
	case len(names) > 12:
		w.fail(key, at, "unknown field of a %s (docs/envoy-fields.md lists those there are)", d.Name())
	default:
		w.fail(key, at, "unknown field: a %s has %s", d.Name(), strings.Join(names, ", "))
	}
}

// unsupported reports a field that Envoy has and we do not honour.
func (w *walker) unsupported(key *yaml.Node, at string, f protoreflect.FieldDescriptor) {
	if why := notSupported[string(f.FullName())]; why != "" {
		w.fail(key, at, "not supported: %s", why)
		return
	}
	w.fail(key, at, "not supported (docs/envoy-fields.md lists what is)")
}

func (w *walker) tooLarge(n *yaml.Node, path string) {
	if w.nodes == maxNodes {
		w.fail(n, path, "too large: more than %d values, aliases counted in", maxNodes)
	}
}

func field(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if f := d.Fields().ByName(protoreflect.Name(name)); f != nil {
		return f
	}
	return d.Fields().ByJSONName(name)
}

func (w *walker) value(n *yaml.Node, f protoreflect.FieldDescriptor, path string) any {
	n = deref(n)
	switch {
	case f.IsMap():
		return w.mapping(n, f, path)
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

// mapping walks a map: of names to messages, the only one that is supported.
func (w *walker) mapping(n *yaml.Node, f protoreflect.FieldDescriptor, path string) any {
	if n.Kind != yaml.MappingNode {
		w.fail(n, path, "want a mapping, got %s", kindOf(n))
		return nil
	}
	out := map[string]any{}
	for _, e := range w.entries(n, path, 0) {
		at := path + "[" + e.key.Value + "]"
		if _, double := out[e.key.Value]; double {
			if !e.merged {
				w.fail(e.key, at, "given twice")
			}
			continue
		}
		w.lines[at] = e.key.Line
		if v := w.single(e.value, f.MapValue(), at); v != nil {
			out[e.key.Value] = v
		}
	}
	return out
}

func (w *walker) single(n *yaml.Node, f protoreflect.FieldDescriptor, path string) any {
	if w.nodes++; w.nodes >= maxNodes {
		w.tooLarge(n, path)
		return nil
	}
	n = deref(n)
	if rule, ok := only[f.FullName()]; ok && n.Kind == yaml.ScalarNode && n.Value != rule.value {
		w.fail(n, path, "%s", rule.reason)
		return nil
	}
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
		if !utf8.ValidString(text) {
			w.fail(n, path, "not UTF-8")
			return nil
		}
		return text
	case protoreflect.BytesKind:
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			w.fail(n, path, "not base64")
			return nil
		}
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
		if meant := labels.Nearest(text, enumNames(f.Enum())); meant != "" {
			w.fail(n, path, "%q is no value of it; did you mean %s?", text, meant)
			return nil
		}
		w.fail(n, path, "%q is not one of %s", text, strings.Join(enumNames(f.Enum()), ", "))
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

func enumNames(e protoreflect.EnumDescriptor) []string {
	var names []string
	for i := range e.Values().Len() {
		names = append(names, string(e.Values().Get(i).Name()))
	}
	return names
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
	switch t, err := duration(n.Value); {
	case err != nil:
		w.fail(n, path, "%q is not a duration such as 0.25s", n.Value)
		return nil
	case t < 0:
		w.fail(n, path, "%s is less than nothing", n.Value)
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
	if now := ofV2[name]; now != "" {
		w.fail(n, join(path, "@type"), "%s is of Envoy's v2 API, which ended with Envoy 1.18: use type.googleapis.com/%s", name, now)
		return nil
	}
	m, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil || !supportedType(name) {
		w.fail(n, join(path, "@type"), "%s is not supported", name)
		return nil
	}
	return w.message(n, m.Descriptor(), path)
}

func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
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
