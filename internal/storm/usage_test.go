package storm

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	text := "# HELP go_goroutines x\ngo_goroutines 27\nprocess_open_fds 14\nprocess_resident_memory_bytes 2.097152e+07\ngo_memstats_heap_alloc_bytes 1.048576e+06\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(text)) }))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	u, err := readUsage(t.Context(), address)
	if err != nil || u.String() != "20.0 MiB resident, 1.0 MiB allocated, 27 goroutines, 14 descriptors" {
		t.Errorf("%v, %v", u, err)
	}
	text = "go_goroutines 27\n"
	if _, err := readUsage(t.Context(), address); err == nil {
		t.Error("no error where metrics are missing")
	}
}

func TestUsageThatGrew(t *testing.T) {
	u := Usage{Resident: 30 << 20, Goroutines: 30, Descriptors: 20}
	if err := u.grown(Usage{Resident: 40 << 20, Goroutines: 40, Descriptors: 30}); err != nil {
		t.Errorf("within the slack: %v", err)
	}
	err := u.grown(Usage{Resident: 60 << 20, Goroutines: 400, Descriptors: 300})
	if err == nil {
		t.Fatal("no error")
	}
	for _, what := range []string{"60 MiB", "400 goroutines", "300 descriptors"} {
		if !strings.Contains(err.Error(), what) {
			t.Errorf("%v does not name %s", err, what)
		}
	}
}
