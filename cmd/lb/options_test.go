package main

import (
	"fmt"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int{
		"0": 0, "512": 512, "64KiB": 64 << 10, "10MB": 10e6, "1GiB": 1 << 30, "5 KB": 5000, "7B": 7,
		"": -1, "-1": -1, "2GiB": -1, "1TiB": -1, "KiB": -1, "1.5MB": -1, "99999999999999999999": -1,
	} {
		got, err := parseSize(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"0.0.0.0:10000": "0.0.0.0:10000", ":10000": "[::]:10000", "[::1]:80": "[::1]:80", "localhost:1": "127.0.0.1:1",
		"127.0.0.1:0": "127.0.0.1:0", "10000": "", "host:80": "", "1.2.3.4:65536": "", "1.2.3.4:": "", "": "",
	} {
		got, err := parseAddress(text)
		if s := fmt.Sprint(got); (err == nil) != (want != "") || err == nil && s != want {
			t.Errorf("%q: %s, %v; want %q", text, s, err, want)
		}
	}
}

func TestParseHalfClose(t *testing.T) {
	for _, tt := range []struct {
		text string
		d    time.Duration
		gone bool
		bad  bool
	}{
		{"1s", time.Second, false, false}, {"0", 0, true, false}, {"0s", 0, true, false}, {"off", -1, false, false},
		{"-1s", 0, false, true}, {"never", 0, false, true},
	} {
		d, gone, err := parseHalfClose(tt.text)
		if d != tt.d || gone != tt.gone || (err != nil) != tt.bad {
			t.Errorf("%q: %v %v %v", tt.text, d, gone, err)
		}
	}
}

func TestParsePrefixes(t *testing.T) {
	got, err := parsePrefixes([]string{"10.1.2.3/8", "192.0.2.1", "fd00::/8"})
	if err != nil || fmt.Sprint(got) != "[10.0.0.0/8 192.0.2.1/32 fd00::/8]" {
		t.Errorf("%v %v", got, err)
	}
}

func TestParseVia(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "lb-1": "1.1 lb-1", "lb.example.com:10000": "1.1 lb.example.com:10000",
		"1.1 lb": "error", "a,b": "error", "a\r\nb": "error", "a:b": "error", "é": "error",
	} {
		got, err := parseVia(name)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestParseHops(t *testing.T) {
	for _, tt := range []struct {
		n       int
		proxies bool
		ok      bool
	}{{0, false, true}, {0, true, true}, {2, false, true}, {100, false, true}, {2, true, false}, {-1, false, false}, {101, false, false}} {
		got, err := parseHops(tt.n, tt.proxies)
		if (err == nil) != tt.ok || err == nil && int(got) != tt.n {
			t.Errorf("%d, --trusted-proxies %v: %d, %v", tt.n, tt.proxies, got, err)
		}
	}
}
