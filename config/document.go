package config

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// chapters are the parts of the document, by what their messages' names begin
// with; the first that fits counts.
var chapters = []struct{ title, prefix string }{
	{"The file", "envoy.config.bootstrap."},
	{"Listeners", "envoy.config.listener."},
	{"The HTTP connection manager", "envoy.extensions.filters."},
	{"Routes", "envoy.config.route."},
	{"Routes", "envoy.extensions.retry."},
	{"Clusters", "envoy.config.cluster."},
	{"Clusters", "envoy.extensions."},
	{"Health checks", "envoy.config.core.v3.HealthCheck"},
	{"Endpoints", "envoy.config.endpoint."},
	{"Parts of several", ""},
}

// Document is docs/envoy-fields.md: every field that is honoured, in the order
// of Envoy's own definitions.
func Document() string {
	var b strings.Builder
	b.WriteString(`# Envoy's fields that lb honours

` + "`lb run --config FILE`" + ` reads an Envoy v3 bootstrap, YAML or JSON. This is every field that it
honours; any other is an error that names its line, never ignored. Where nothing is noted, a
field means what [Envoy's reference](https://www.envoyproxy.io/docs/envoy/latest/api-v3/api) says,
with Envoy's default. Envoy's own rules on values (ranges, required fields) hold, too.

`)
	written := map[protoreflect.FullName]bool{}
	last := ""
	for _, c := range chapters {
		for _, name := range sortedNames(c.prefix) {
			if written[name] {
				continue
			}
			written[name] = true
			if c.title != last {
				fmt.Fprintf(&b, "## %s\n\n", c.title)
				last = c.title
			}
			message(&b, name)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func sortedNames(prefix string) (names []protoreflect.FullName) {
	for name, set := range fields {
		if strings.HasPrefix(string(name), prefix) && len(set) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func message(b *strings.Builder, name protoreflect.FullName) {
	fmt.Fprintf(b, "### %s\n\n| field | note |\n|---|---|\n", name)
	d := descriptor(name)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if supported(d, f) {
			fmt.Fprintf(b, "| `%s` | %s |\n", f.Name(), notes[string(f.FullName())])
		}
	}
	b.WriteByte('\n')
}

// descriptor is that of a message in the table: all are linked in, since the
// bootstrap's descriptor leads to them or the converter reads them.
func descriptor(name protoreflect.FullName) protoreflect.MessageDescriptor {
	t, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		panic(fmt.Sprintf("config: internal error: %s is in the table of fields and not known", name))
	}
	return t.Descriptor()
}
