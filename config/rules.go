package config

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Envoy's API carries rules with its fields (protoc-gen-validate), and Envoy
// rejects a file that breaks one. The generated messages check them; what is
// here finds out which place of the file they speak of.

// ruled is a message with rules.
type ruled interface {
	proto.Message
	ValidateAll() error
}

// broken is the error of one rule.
type broken interface {
	error
	Field() string
	Reason() string
	Cause() error
}

// rules reports every rule that m, which stands at path, breaks.
func (c *converter) rules(m ruled, path string) {
	c.brokenRules(m.ValidateAll(), m.ProtoReflect().Descriptor(), path)
}

func (c *converter) brokenRules(err error, d protoreflect.MessageDescriptor, path string) {
	if all, ok := err.(interface{ AllErrors() []error }); ok {
		for _, one := range all.AllErrors() {
			c.brokenRules(one, d, path)
		}
		return
	}
	rule, ok := err.(broken)
	if !ok {
		if err != nil {
			c.fail(path, "%s", err)
		}
		return
	}
	name, index := rule.Field(), ""
	if i := strings.IndexByte(name, '['); i >= 0 {
		name, index = name[:i], name[i:]
	}
	if o := oneof(d, name); o != nil {
		c.fail(path, "one of these is required: %s", strings.Join(choices(d, o), ", "))
		return
	}
	f := goField(d, name)
	if f == nil {
		c.fail(path, "%s: %s", rule.Field(), rule.Reason())
		return
	}
	at := join(path, string(f.Name())) + index
	if rule.Cause() != nil && f.Message() != nil {
		below := f.Message()
		if f.IsMap() {
			below = f.MapValue().Message()
		}
		c.brokenRules(rule.Cause(), below, at)
		return
	}
	c.fail(at, "%s", c.inWords(rule.Reason(), at))
}

// inWords says of a place what a rule's reason says of a value.
func (c *converter) inWords(reason, at string) string {
	empty := strings.HasPrefix(reason, "value length must be at least 1 ") || strings.HasPrefix(reason, "value must contain at least 1 ")
	switch {
	case empty && !c.given(at):
		return "is required"
	case empty:
		return "must not be empty"
	}
	return strings.TrimPrefix(reason, "value ")
}

// goField finds a field by the name of its Go struct field.
func goField(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	for i := range d.Fields().Len() {
		if f := d.Fields().Get(i); sameName(string(f.Name()), name) {
			return f
		}
	}
	return nil
}

func oneof(d protoreflect.MessageDescriptor, name string) protoreflect.OneofDescriptor {
	for i := range d.Oneofs().Len() {
		if o := d.Oneofs().Get(i); !o.IsSynthetic() && sameName(string(o.Name()), name) {
			return o
		}
	}
	return nil
}

// sameName compares PathSpecifier with path_specifier.
func sameName(proto, golang string) bool {
	return strings.EqualFold(strings.ReplaceAll(proto, "_", ""), strings.ReplaceAll(golang, "_", ""))
}

// choices are the fields of a oneof that we honour.
func choices(d protoreflect.MessageDescriptor, o protoreflect.OneofDescriptor) (names []string) {
	for i := range o.Fields().Len() {
		if f := o.Fields().Get(i); supported(d, f) {
			names = append(names, string(f.Name()))
		}
	}
	return names
}

// typed reads a typed_config that the walker has found to be m, and reports
// the rules that it breaks.
func (c *converter) typed(a interface{ UnmarshalTo(proto.Message) error }, m ruled, path string) bool {
	if err := a.UnmarshalTo(m); err != nil {
		c.fail(path, "want a %s", m.ProtoReflect().Descriptor().FullName())
		return false
	}
	c.rules(m, path)
	return true
}

// withoutConsequences are the errors of the conversion that are no mere
// consequence of what the walk of the tree has found: of a field that it has
// left out, or left out of the message that misses one.
func withoutConsequences(walked, converted Errors, lines map[string]int) Errors {
	bad, incomplete := map[string]bool{}, map[string]bool{}
	for _, e := range walked {
		bad[e.Path] = true
		incomplete[parent(e.Path)] = true
	}
	var out Errors
	seen := map[string]bool{}
	for _, e := range converted {
		absent := lines[e.Path] == 0
		consequence := seen[e.Path+e.Reason] || incomplete[e.Path] || absent && incomplete[parent(e.Path)]
		for p := e.Path; p != "" && !consequence; p = parent(p) {
			consequence = bad[p]
		}
		if !consequence {
			seen[e.Path+e.Reason] = true
			out = append(out, e)
		}
	}
	return out
}

// parent is the path of the message that a path's last field stands in.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// index is a path's element.
func index(path, field string, i int) string { return fmt.Sprintf("%s.%s[%d]", path, field, i) }
