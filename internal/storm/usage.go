package storm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Usage is what the proxy holds.
type Usage struct {
	Resident, Allocated int64 // bytes
	Goroutines          int
	Descriptors         int
}

func (u Usage) String() string {
	return fmt.Sprintf("%.1f MiB resident, %.1f MiB allocated, %d goroutines, %d descriptors",
		float64(u.Resident)/(1<<20), float64(u.Allocated)/(1<<20), u.Goroutines, u.Descriptors)
}

// Usage at rest is not the same twice: the collector runs when it likes, and
// the runtime keeps threads and buffers. What leaks grows with every operation, of
// which a long storm has hundreds.
const (
	slackGoroutines  = 20
	slackDescriptors = 20
	slackBytes       = 16 << 20
)

// grown says what there is more of at the end.
func (u Usage) grown(end Usage) error {
	var errs []error
	if end.Goroutines > u.Goroutines+slackGoroutines {
		errs = append(errs, fmt.Errorf("%d goroutines, were %d", end.Goroutines, u.Goroutines))
	}
	if end.Descriptors > u.Descriptors+slackDescriptors {
		errs = append(errs, fmt.Errorf("%d descriptors, were %d", end.Descriptors, u.Descriptors))
	}
	if end.Resident > u.Resident+slackBytes {
		errs = append(errs, fmt.Errorf("%d MiB resident, were %d", end.Resident>>20, u.Resident>>20))
	}
	return errors.Join(errs...)
}

// readUsage asks a proxy's admin port for its process's metrics.
func readUsage(ctx context.Context, admin string) (u Usage, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/stats/prometheus", nil)
	if err != nil {
		return u, err
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return u, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return u, fmt.Errorf("/stats/prometheus: %s", response.Status)
	}
	found := 0
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		found++
		switch name {
		case "process_resident_memory_bytes":
			u.Resident = int64(n)
		case "go_memstats_heap_alloc_bytes":
			u.Allocated = int64(n)
		case "go_goroutines":
			u.Goroutines = int(n)
		case "process_open_fds":
			u.Descriptors = int(n)
		default:
			found--
		}
	}
	if err := lines.Err(); err != nil {
		return u, err
	}
	if found != 4 {
		return u, fmt.Errorf("/stats/prometheus: %d of 4 metrics of the process: %v", found, u)
	}
	return u, nil
}
