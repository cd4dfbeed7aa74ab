package labels

import (
	"strings"
	"testing"
)

func TestSchema(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range schema {
		if seen[k.name] {
			t.Errorf("%s is there twice", k.name)
		}
		seen[k.name] = true
		if k.name != strings.ToLower(k.name) {
			t.Errorf("%s: keys are lower case", k.name)
		}
		functions := 0
		for _, set := range []bool{k.whole != nil, k.service != nil, k.cluster != nil, k.route != nil} {
			if set {
				functions++
			}
		}
		switch {
		case functions > 1:
			t.Errorf("%s has %d parse functions", k.name, functions)
		case functions == 1 && (k.meaning == "" || k.example == "" || k.initial == "" && k.shown == ""):
			t.Errorf("%s lacks a meaning, an example or a default", k.name)
		case (k.cluster != nil) != (k.scope == ScopeCluster && functions == 1), (k.route != nil) != (k.scope == ScopeRoute && functions == 1):
			t.Errorf("%s: its scope %c and its function differ", k.name, k.scope)
		}
		if got, tail := lookup(strings.Replace(k.name, "<name>", "x", 1)); got == nil || got.name != k.name || (tail == "x") != k.family() {
			t.Errorf("lookup of %s gives %+v, %q", k.name, got, tail)
		}
	}
}

// Keys that the schema promises for later must not be listed before they work.
func TestKeysThatWork(t *testing.T) {
	for _, k := range Keys() {
		for _, planned := range []string{"tls.", "https_redirect", "auth.", "allow", "rate", "compress", "max_body", "headers.", "access_log", "acme"} {
			if strings.HasPrefix(k.Name, planned) {
				t.Errorf("%s is listed", k.Name)
			}
		}
	}
	if n := len(Keys()); n != 48 {
		t.Errorf("%d keys: those of the schema that work are 48", n)
	}
}
