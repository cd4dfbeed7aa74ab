package accesslog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerlb/dockerlb/proxy"
)

func record() *proxy.Record {
	return &proxy.Record{
		Start: time.Date(2026, 1, 31, 12, 0, 0, 123e6, time.UTC), Duration: 12 * time.Millisecond, UpstreamTime: 11 * time.Millisecond,
		Listener: "default", Route: "default|*|/", Cluster: "rust_daemons", Upstream: netip.MustParseAddrPort("172.18.0.3:8080"),
		Peer: netip.MustParseAddrPort("192.0.2.7:40000"), Client: netip.MustParseAddr("192.0.2.7"),
		Method: []byte("GET"), Target: []byte("/a?b"), Authority: []byte("example.com"), Protocol: "HTTP/1.1",
		Status: 200, Details: "via_upstream", Attempts: 1, BytesReceived: 3, BytesSent: 45, RequestID: []byte("id"),
	}
}

const line = `[2026-01-31T12:00:00.123Z] "GET /a?b HTTP/1.1" 200 - 3 45 12 11 "-" "-" "id" "example.com" "172.18.0.3:8080"` + "\n"

func TestText(t *testing.T) {
	if got := string(appendText(nil, record())); got != line {
		t.Errorf("got\n%s want\n%s", got, line)
	}
	none := &proxy.Record{Start: record().Start, Protocol: "HTTP/1.1", Flags: proxy.FlagDC}
	const want = `[2026-01-31T12:00:00.123Z] "- - HTTP/1.1" 0 DC 0 0 0 - "-" "-" "-" "-" "-"` + "\n"
	if got := string(appendText(nil, none)); got != want {
		t.Errorf("got\n%s want\n%s", got, want)
	}
}

// No client writes lines or fields of its own.
func TestEscapes(t *testing.T) {
	r := record()
	r.RequestID = []byte("a\"b\\c\tä\xff\n")
	if got := string(appendText(nil, r)); !strings.Contains(got, `"a\"b\\c\x09\xc3\xa4\xff\x0a"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("text: %q", got)
	}
	got := appendJSON(nil, r)
	var v map[string]any
	if err := json.Unmarshal(got, &v); err != nil || v["request_id"] != "a\"b\\c\tä\ufffd\n" || bytes.Count(got, []byte("\n")) != 1 {
		t.Errorf("JSON: %v, %q", err, got)
	}
}

func TestJSON(t *testing.T) {
	const want = `{"authority":"example.com","bytes_received":3,"bytes_sent":45,"client":"192.0.2.7","cluster":"rust_daemons","duration":12,` +
		`"listener":"default","method":"GET","path":"/a?b","peer":"192.0.2.7:40000","protocol":"HTTP/1.1","request_id":"id","response_code":200,` +
		`"response_code_details":"via_upstream","response_flags":"-","route":"default|*|/","start_time":"2026-01-31T12:00:00.123Z",` +
		`"upstream_attempts":1,"upstream_host":"172.18.0.3:8080","upstream_service_time":11,"user_agent":null,"x_forwarded_for":null}` + "\n"
	got := string(appendJSON(nil, record()))
	if got != want {
		t.Errorf("got\n%s want\n%s", got, want)
	}
	if !json.Valid(appendJSON(nil, &proxy.Record{})) {
		t.Error("of nothing, no JSON")
	}
}

// All lines of many goroutines arrive whole.
func TestAllLinesArrive(t *testing.T) {
	var out bytes.Buffer
	w, err := Open(Options{Path: "-", Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	const each = 5000
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range each {
				w.Log(record())
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), line); n*len(line) != out.Len() || n+int(w.Dropped()) != 4*each {
		t.Errorf("%d whole lines in %d octets, %d dropped, of %d", n, out.Len(), w.Dropped(), 4*each)
	}
}

// blocked is a reader of standard output that has stopped reading.
type blocked struct{ free chan struct{} }

func (b blocked) Write(p []byte) (int, error) { <-b.free; return len(p), nil }

func TestSlowDiskDropsAndNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := blocked{make(chan struct{})}
		w, err := Open(Options{Path: "-", Stdout: b})
		if err != nil {
			t.Fatal(err)
		}
		r := record()
		for range (buffers + 2) * bufferSize / len(line) {
			w.Log(r)
		}
		if w.Dropped() == 0 {
			t.Error("nothing was dropped though nothing is written")
		}
		close(b.free)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFlushedEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w, err := Open(Options{Path: "-", Stdout: &out})
		if err != nil {
			t.Fatal(err)
		}
		w.Log(record())
		time.Sleep(flushEvery)
		synctest.Wait()
		if out.String() != line {
			t.Errorf("after a second: %q", out.String())
		}
		_ = w.Close()
	})
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	w.Log(record())
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	w.Log(record())
	w.Log(record())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path + ".1": line, path: line + line} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %v, %q", name, err, got)
		}
	}
	if err := w.Reopen(); err != nil { // after Close: nothing to do
		t.Error(err)
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	_, err := Open(Options{Path: filepath.Join(t.TempDir(), "no", "such")})
	if err == nil || !strings.HasPrefix(err.Error(), "access log: open ") {
		t.Errorf("got %v", err)
	}
}

// What is too long for any buffer is cut, and not left out: nobody hides.
func TestLongValuesAreCut(t *testing.T) {
	var out bytes.Buffer
	w, err := Open(Options{Path: "-", Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	r := record()
	r.RequestID = bytes.Repeat([]byte{0xff}, 60<<10)
	w.Log(r)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), `\xff`); got != longestValue || w.Dropped() != 0 {
		t.Errorf("%d octets of it, %d dropped", got, w.Dropped())
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestNothingIsAllocated(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		w, err := Open(Options{Path: "-", Stdout: discard{}, JSON: asJSON})
		if err != nil {
			t.Fatal(err)
		}
		r := record()
		for range 2 * buffers * bufferSize / len(line) { // all buffers are made
			w.Log(r)
		}
		if n := testing.AllocsPerRun(1000, func() { w.Log(r) }); n != 0 {
			t.Errorf("JSON %v: %v allocations a line", asJSON, n)
		}
		_ = w.Close()
	}
}

func BenchmarkLog(b *testing.B) {
	w, err := Open(Options{Path: "-", Stdout: discard{}})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	r := record()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w.Log(r)
		}
	})
}
