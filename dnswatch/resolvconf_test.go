package dnswatch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEmbeddedDNS(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
	}{
		{"user-defined network", "nameserver 127.0.0.11\noptions ndots:0\n", "127.0.0.11:53"},
		{"default bridge", "nameserver 192.168.1.1\nsearch lan\n", ""},
		{"a local resolver of the host", "nameserver 127.0.0.53\noptions edns0 trust-ad\n", ""},
		{"empty", "", ""},
		{"comments", "# nameserver 127.0.0.11\n; nameserver 127.0.0.11\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := EmbeddedDNS(strings.NewReader(tt.text))
			if ok != (tt.want != "") || ok && got.String() != tt.want {
				t.Errorf("got %v %v", got, ok)
			}
		})
	}
}

func TestReadResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	c, err := readResolvConf(path)
	if err != nil || len(c.Servers) != 1 || c.Servers[0].String() != "127.0.0.1:53" {
		t.Errorf("no file: %+v %v", c, err)
	}
	text := "nameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver nonsense\nsearch a.test b.test\noptions ndots:2\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err = readResolvConf(path)
	if err != nil || c.NDots != 2 || !slices.Equal(c.Search, []string{"a.test", "b.test"}) {
		t.Errorf("got %+v %v", c, err)
	}
	if len(c.Servers) != 2 || c.Servers[0].String() != "10.0.0.1:53" || c.Servers[1].String() != "[fe80::1%eth0]:53" {
		t.Errorf("servers %v", c.Servers)
	}
}
