// Package config reads an Envoy v3 bootstrap file, YAML or JSON, into a
// topology.Static. There is no configuration format of our own.
//
// A field that we do not support is an error that names its path and line, never
// ignored; all errors are reported at once. So the file is first walked as a
// YAML tree against the message descriptors of Envoy's API (tree.go) with the
// table of what we honour (schema.go), then read into the published types, then
// converted (convert.go).
package config

import (
	"encoding/json"
	"fmt"
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
func Parse(b []byte) (*topology.Static, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, Errors{{Reason: err.Error()}}
	}
	w := &walker{lines: map[string]int{}}
	m := new(bootstrap.Bootstrap)
	if len(doc.Content) == 0 {
		return nil, Errors{{Reason: "the file is empty"}}
	}
	tree := w.message(doc.Content[0], m.ProtoReflect().Descriptor(), "")
	if len(w.errs) > 0 {
		return nil, w.errs.sorted()
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("bootstrap as JSON: %w", err)
	}
	if err := protojson.Unmarshal(text, m); err != nil {
		return nil, Errors{{Reason: err.Error()}}
	}
	c := &converter{lines: w.lines}
	s := c.bootstrap(m)
	if err := c.errs.sorted(); err != nil {
		return nil, err
	}
	return s, nil
}
