package labels

import "testing"

func TestSuggest(t *testing.T) {
	for typo, want := range map[string]string{
		"prot":               "port",
		"cluser":             "cluster",
		"hosts":              "host",
		"wieght":             "weight",
		"health.intervall":   "health.interval",
		"healthcheck.path":   "health.path",
		"heatlh.timeout":     "health.timeout",
		"path_regex":         "path.regex",
		"header":             "", // a family without its name: nothing to complete
		"haeder.x-user":      "header.x-user",
		"headers.set.x":      "headers.set.x",
		"slowstart":          "slow_start",
		"max_connections":    "max_conn",
		"cluster_name":       "cluster",
		"x":                  "",
		"entirely.different": "",
	} {
		if got := suggest(typo); got != want {
			t.Errorf("%s: %q, want %q", typo, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"port", "prot", 1}, {"port", "ports", 1},
		{"port", "part", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3},
	} {
		if got := distance(c.a, c.b, 10); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a, 10); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
