package topology

import (
	"net/netip"
	"testing"
)

// Where no flag gives the default listener, labels that name none go to the
// file's first.
func TestTheDefaultListener(t *testing.T) {
	at := func(name, address string) Listener {
		return Listener{Name: name, Address: netip.MustParseAddrPort(address)}
	}
	for _, tt := range []struct {
		name        string
		file, flags []Listener
		want        string // what default is; empty: there is none
	}{
		{"nothing", nil, nil, ""},
		{"the flag's", nil, []Listener{at("default", "0.0.0.0:80")}, "default"},
		{"the file's first", []Listener{at("b", "0.0.0.0:80"), at("a", "0.0.0.0:81")}, nil, "b"},
		{"the file's, by its name", []Listener{at("b", "0.0.0.0:80"), at("default", "0.0.0.0:81")}, nil, "default"},
		{"the flag's, beside the file's", []Listener{at("b", "0.0.0.0:80")}, []Listener{at("default", "0.0.0.0:81")}, "default"},
		{"the file's, at the flag's address", []Listener{at("a", "0.0.0.0:81"), at("b", "127.0.0.1:80")}, []Listener{at("default", "0.0.0.0:80")}, "b"},
		{"another flag's does not count", []Listener{at("b", "0.0.0.0:80")}, []Listener{at("edge", "0.0.0.0:81")}, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, names := joinListeners(&Static{Listeners: tt.file}, &Defaults{Listeners: tt.flags})
			if got, ok := names.find("default"); ok != (tt.want != "") || ok && got != tt.want {
				t.Errorf("%q, %t; want %q", got, ok, tt.want)
			}
		})
	}
}
