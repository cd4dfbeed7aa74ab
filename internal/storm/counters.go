package storm

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// counters are a proxy's own, by name (Envoy's /stats). Other proxies have
// none.
type counters map[string]float64

// readCounters asks an admin port. Histograms are left out.
func readCounters(ctx context.Context, admin string) (counters, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/stats", nil)
	if err != nil {
		return nil, err
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/stats: %s", response.Status)
	}
	c := counters{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ": ")
		if n, err := strconv.ParseFloat(value, 64); ok && err == nil {
			c[name] = n
		}
	}
	return c, lines.Err()
}

// since is what a cluster's counters, and the listeners', have grown by.
func (c counters) since(before counters, cluster string) string {
	var grown []string
	for name, n := range c {
		d := n - before[name]
		short, ours := strings.CutPrefix(name, "cluster."+cluster+".")
		if !ours {
			short, ours = strings.CutPrefix(name, "dockerlb.cluster."+cluster+".")
		}
		if !ours {
			ours = strings.HasPrefix(name, "http.")
		}
		if ours && d > 0 {
			grown = append(grown, fmt.Sprintf("%s %g", short, d))
		}
	}
	slices.Sort(grown)
	return strings.Join(grown, ", ")
}
