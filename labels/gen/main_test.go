package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/dockerlb/dockerlb/labels"
)

const file = "../../labels.md"

func read(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestUpToDate(t *testing.T) {
	want, err := render()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t), want) {
		t.Error("labels.md is out of date: run go generate ./labels")
	}
}

func TestEveryKeyOccurs(t *testing.T) {
	text := string(read(t))
	for _, k := range labels.Keys() {
		if !strings.Contains(text, "\n| `lb."+k.Name+"` | ") {
			t.Errorf("lb.%s is not in labels.md", k.Name)
		}
	}
}

var fence = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestExamples parses the labels of each Compose fragment: they must join, and
// nothing may be wrong with them.
func TestExamples(t *testing.T) {
	examples := fence.FindAllSubmatch(read(t), -1)
	if len(examples) < 10 {
		t.Fatalf("only %d examples found", len(examples))
	}
	for _, e := range examples {
		var compose struct {
			Services map[string]struct {
				Labels map[string]string
			}
		}
		if err := yaml.Unmarshal(e[1], &compose); err != nil {
			t.Fatalf("%v in:\n%s", err, e[1])
		}
		if len(compose.Services) == 0 {
			t.Errorf("no services in:\n%s", e[1])
		}
		for name, s := range compose.Services {
			spec, problems := labels.Parse("lb", s.Labels)
			if len(spec.Services) == 0 || len(problems) > 0 {
				t.Errorf("service %s joins %d clusters, with problems %+v, in:\n%s", name, len(spec.Services), problems, e[1])
			}
			for _, svc := range spec.Services {
				if len(svc.Routes) == 0 {
					t.Errorf("service %s of %s has no route", svc.Name, name)
				}
			}
		}
	}
}

// TestTableExamples parses the example of each row.
func TestTableExamples(t *testing.T) {
	for _, k := range labels.Keys() {
		name := strings.Replace(k.Name, "<name>", "x-env", 1)
		all := map[string]string{"lb.cluster": "c", "lb." + name: k.Example}
		switch name {
		case "strip", "rewrite":
			all["lb.path"] = "/api"
		}
		if _, problems := labels.Parse("lb", all); len(problems) > 0 {
			t.Errorf("%s: %s", k.Name, fmt.Sprint(problems))
		}
	}
}
