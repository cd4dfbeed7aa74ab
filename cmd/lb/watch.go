package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dockerlb/dockerlb/admin"
)

// watch shows again and again until ctx is done. On a terminal it draws over
// itself; else one after the other, with the time between. An lb that does not
// answer is waited for: it may be restarting.
func (p *Program) watch(ctx context.Context, every time.Duration, show func(context.Context, io.Writer) error) error {
	inPlace := isTerminal(p.Stdout)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for first := true; ; first = false {
		var b bytes.Buffer
		if err := show(ctx, &b); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if first || !errors.Is(err, admin.ErrUnreachable) {
				return err
			}
			b.Reset()
			fmt.Fprintf(&b, "%v\n", err)
		}
		if inPlace {
			io.WriteString(p.Stdout, redraw(b.String(), first))
		} else {
			fmt.Fprintf(p.Stdout, "# %s\n%s\n", time.Now().Format(time.TimeOnly), b.String())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// redraw is what makes a terminal show text instead of what it shows: to the
// corner, each line to its end, then what is left below. Nothing flickers, and
// the first time what was there scrolls up by clearing.
func redraw(text string, first bool) string {
	const home, clear, clearLine, clearBelow = "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[J"
	out := home + strings.ReplaceAll(text, "\n", clearLine+"\n") + clearBelow
	if first {
		return clear + out
	}
	return out
}

// isTerminal tells whether w is a device that understands redraw.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
