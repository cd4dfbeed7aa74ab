package storm

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable prints the rows and, below them, what did not pass.
func WriteTable(out io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "operation\tsent\tidempotent\tPOST\tkinds\tnear a stop\ttwice\tWS cut\tlongest\tlate\tjoin\tleave\tallowed\t")
	for i := range rows {
		r := &rows[i]
		verdict := "PASS"
		if !r.Pass() {
			verdict = "FAIL"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Operation, r.Sent, r.Idempotent, r.Posts, kinds(r.Failed),
			r.NearStop, r.Twice, r.Cut, milliseconds(r.Longest), milliseconds(r.Late), milliseconds(r.Join), leave(r.Leave), r.Allowed, verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		if r.Beyond > 0 {
			fmt.Fprintf(out, "\n%s: not counted are %d requests that were held for as long as lb.hold says; the engine took longer to bring the service back\n", r.Operation, r.Beyond)
		}
		if r.Pass() {
			continue
		}
		fmt.Fprintf(out, "\n%s: %s\n", r.Operation, strings.Join(r.Faults, "; "))
		for _, e := range r.Evidence {
			fmt.Fprintln(out, "  "+e)
		}
	}
	return nil
}

// kinds is "reset 3, 503 1", the most frequent first.
func kinds(failed map[string]int) string {
	if len(failed) == 0 {
		return "-"
	}
	names := make([]string, 0, len(failed))
	for k := range failed {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := failed[b] - failed[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for i, k := range names {
		names[i] = fmt.Sprintf("%s %d", k, failed[k])
	}
	return strings.Join(names, ", ")
}

func leave(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

func milliseconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}
