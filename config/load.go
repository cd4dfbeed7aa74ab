// Package config reads an Envoy v3 bootstrap file, YAML or JSON, into a
// topology.Static. There is no configuration format of our own.
//
// A field that we do not support is an error that names its path and line, never
// ignored; all errors are reported at once. So the file is first walked as a
// YAML tree against the message descriptors of Envoy's API (tree.go) with the
// table of what we honour (schema.go), then read into the published types, held
// against the rules that Envoy's API carries (rules.go), and converted
// (convert.go and those that it calls). What only follows from another error is
// not said.
//
// Source (source.go) reads the file again when it changes. Bootstrap, Listener
// and Cluster (dump.go) are the way back: topology's values in Envoy's words.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/dockerlb/dockerlb/topology"
)

// Load reads the file at path. What is wrong with its content is an Errors.
func Load(path string) (*topology.Static, error) {
	b, err := read(path)
	if err != nil {
		return nil, err
	}
	s, err := Parse(b)
	if err != nil {
		return nil, err
	}
	s.Path, s.LoadedAt = path, time.Now()
	return s, nil
}

// Parse reads a file's content. Its error is an Errors.
func Parse(content []byte) (*topology.Static, error) {
	root, errs := document(content)
	if errs != nil {
		return nil, errs
	}
	w := &walker{lines: map[string]int{}}
	m := new(bootstrap.Bootstrap)
	tree := w.message(root, m.ProtoReflect().Descriptor(), "")
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("bootstrap as JSON: %w", err)
	}
	if err := protojson.Unmarshal(text, m); err != nil {
		if len(w.errs) == 0 { // the walk has not seen what protojson minds
			w.errs = Errors{{Reason: err.Error()}}
		}
		return nil, w.errs.sorted()
	}
	c := &converter{lines: w.lines}
	s := c.bootstrap(m)
	c.rules(m, "")
	if err := append(w.errs, withoutConsequences(w.errs, c.errs, w.lines)...).sorted(); err != nil {
		return nil, err
	}
	if s.Bootstrap, err = canonical(m); err != nil {
		return nil, fmt.Errorf("bootstrap as JSON: %w", err)
	}
	return s, nil
}

// canonical is m as JSON: equal messages give equal bytes.
func canonical(m *bootstrap.Bootstrap) (json.RawMessage, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer // protojson varies its white space on purpose
	if err := json.Compact(&b, text); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// document is the one document of a file.
func document(content []byte) (*yaml.Node, error) {
	if trimmed := bytes.TrimSpace(content); len(trimmed) > 0 && trimmed[0] == '{' {
		// YAML reads JSON, but for tabs between its words. Within JSON's
		// strings there are none.
		content = bytes.ReplaceAll(content, []byte("\t"), []byte(" "))
	}
	d := yaml.NewDecoder(bytes.NewReader(content))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		return nil, Errors{{Reason: "the file is empty"}}
	case err != nil:
		return nil, Errors{syntaxError(err)}
	}
	switch err := d.Decode(&more); {
	case err == nil:
		return nil, Errors{{Line: more.Line, Reason: "a second document: want one bootstrap in a file"}}
	case !errors.Is(err, io.EOF):
		return nil, Errors{syntaxError(err)}
	}
	return doc.Content[0], nil
}

// syntaxError takes the line out of the YAML reader's message.
func syntaxError(err error) Error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if number, rest, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": "); ok {
		if line, err := strconv.Atoi(number); err == nil {
			return Error{Line: line, Reason: rest}
		}
	}
	return Error{Reason: text}
}
