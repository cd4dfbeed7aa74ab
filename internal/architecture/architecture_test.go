// Package architecture holds the house to its plan: which room may know which.
package architecture

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/dockerlb/dockerlb"

// mayKnow are the rooms of our own that each room may import. A room that is
// not in the table fails the test: say what it may know, and why.
var mayKnow = map[string]struct {
	rooms []string
	why   string
}{
	"labels":                    {nil, "the schema is the ground floor: parsing a label needs nobody"},
	"topology":                  {[]string{"labels"}, "values and pure functions: whatever it imported would be everybody's"},
	"dockerwatch":               {[]string{"labels", "topology"}, "a source gives a Membership and knows no other source and no consumer"},
	"dnswatch":                  {[]string{"topology"}, "a source gives Answers and knows no other source and no consumer"},
	"config":                    {[]string{"labels", "topology"}, "a source gives a Static and knows no other source and no consumer"},
	"router":                    {[]string{"topology"}, "matching needs a listener's routes and nothing that lives"},
	"balancer":                  {[]string{"labels", "topology", "router"}, "choosing an endpoint must not depend on a codec or on where endpoints come from"},
	"health":                    {[]string{"labels", "topology", "balancer"}, "it probes what the balancer has and reports to it"},
	"proxy":                     {[]string{"labels", "topology", "router", "balancer"}, "the data plane must run from any table, whoever made it"},
	"accesslog":                 {[]string{"proxy"}, "it writes down what the data plane tells it, and nobody needs to know that"},
	"handover":                  {nil, "passing a socket on needs to know nothing of what it is for"},
	"control":                   {[]string{"labels", "topology", "balancer"}, "it joins the sources through interfaces of its own, so that each can be replaced by a fake"},
	"admin":                     {[]string{"labels", "topology", "router", "balancer", "health", "control", "proxy", "config", "dockerwatch", "dnswatch"}, "it shows everything and is known by the command alone"},
	"cmd/lb":                    {[]string{"*"}, "wiring"},
	"cmd/daemon":                {nil, "the example backend is a stranger's program"},
	"cmd/storm":                 {[]string{"internal/storm", "internal/realengine"}, "it looks at the product from outside, as a user's clients do"},
	"cmd/bench":                 {[]string{"internal/bench"}, "it measures lb from outside, as a program among others"},
	"cmd/bench-discovery":       {[]string{"cmd/bench-discovery/scale"}, "it prints what the measurements say"},
	"cmd/bench-discovery/scale": {[]string{"admin", "internal/freeport"}, "it measures lb from outside, beside a fake engine that is a process too"},
	"labels/gen":                {[]string{"labels"}, "it prints the schema"},
	"internal/leakcheck":        {nil, "every package's tests import it"},
	"internal/architecture":     {nil, "this test"},
}

// onlyIn are modules that one room alone may know.
var onlyIn = []struct {
	path  string
	rooms []string
	why   string
}{
	{"github.com/docker/", []string{"dockerwatch", "internal", "cmd/lb"}, "the only room that knows Docker is dockerwatch"},
	{"github.com/miekg/dns", []string{"dnswatch", "internal"}, "the only room that knows DNS messages is dnswatch"},
	{"github.com/envoyproxy/", []string{"config", "admin", "internal"}, "Envoy's messages stop at the loader and at the admin port"},
	{"go.yaml.in/yaml", []string{"config", "admin", "cmd/lb", "internal"}, "a file is read where its language is known"},
	{"github.com/fsnotify/", []string{"config", "internal", "cmd/lb"}, "a file is watched where it is read"},
	{"github.com/urfave/cli", []string{"cmd", "internal"}, "flags live in the command"},
	{"github.com/prometheus/", []string{"admin", "internal"}, "nothing of it on a request's path"},
	{"github.com/sirupsen/logrus", []string{"dockerwatch", "dnswatch", "config", "control", "admin", "cmd", "health", "proxy", "internal"}, "pure rooms do not log, and the balancer is on the request's path"},
}

// file is one Go file's imports.
type file struct {
	room, path string
	test       bool
	imports    []string
}

func files(t *testing.T) []file {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	var all []file
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f := file{room: filepath.ToSlash(filepath.Dir(rel)), path: filepath.ToSlash(rel), test: strings.HasSuffix(path, "_test.go")}
		for _, i := range parsed.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, name)
		}
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Go files found under %s", len(all), root)
	}
	return all
}

// Imports run in one direction. Tests may use the helpers under internal, and
// those helpers may know whom they help.
func TestRoomsKnowOnlyWhomTheyMay(t *testing.T) {
	for _, f := range files(t) {
		if f.test || strings.HasPrefix(f.room, "internal/") && !slices.Contains([]string{"internal/leakcheck", "internal/architecture"}, f.room) {
			continue
		}
		rule, ok := mayKnow[f.room]
		if !ok {
			t.Errorf("%s: room %s is not in the plan: say what it may know, and why", f.path, f.room)
			continue
		}
		for _, i := range f.imports {
			room, ours := strings.CutPrefix(i, module+"/")
			if !ours || slices.Contains(rule.rooms, room) || slices.Contains(rule.rooms, "*") {
				continue
			}
			t.Errorf("%s imports %s, but %s may know only %v: %s", f.path, room, f.room, rule.rooms, rule.why)
		}
	}
}

func TestModulesStayInTheirRooms(t *testing.T) {
	for _, f := range files(t) {
		if f.test {
			continue
		}
		for _, i := range f.imports {
			for _, o := range onlyIn {
				if i != o.path && !strings.HasPrefix(i, strings.TrimSuffix(o.path, "/")+"/") {
					continue
				}
				allowed := slices.ContainsFunc(o.rooms, func(r string) bool { return f.room == r || strings.HasPrefix(f.room, r+"/") })
				if !allowed {
					t.Errorf("%s imports %s, which is for %v only: %s", f.path, i, o.rooms, o.why)
				}
			}
		}
	}
}
