// Command gen writes labels.md, the reference of all labels, from the schema
// in package labels. `go generate ./labels` runs it.
package main

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/template"

	"github.com/dockerlb/dockerlb/labels"
)

//go:embed labels.md.tmpl
var page string

func main() {
	out := flag.String("o", "labels.md", "the file to write")
	flag.Parse()
	text, err := render()
	if err == nil {
		err = os.WriteFile(*out, text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// render is labels.md.
func render() ([]byte, error) {
	t, err := template.New("labels.md").Funcs(template.FuncMap{"table": table}).Parse(page)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, nil)
	return b.Bytes(), err
}

// table is the Markdown table of one scope's keys.
func table(scope string) string {
	var b strings.Builder
	b.WriteString("| label | meaning | default | example |\n|---|---|---|---|\n")
	for _, k := range labels.Keys() {
		if string(k.Scope) != scope {
			continue
		}
		example := k.Example
		if strings.HasSuffix(k.Name, "<name>") {
			example = strings.Replace(k.Name, "<name>", "x-env", 1) + ": " + example
			example = "lb." + example
		}
		fmt.Fprintf(&b, "| `lb.%s` | %s | %s | `%s` |\n", k.Name, k.Meaning, k.Default, example)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
