// Package accesslog writes a line for each exchange that the proxy has served.
//
// A request pays for formatting its line into a buffer that many share, under a
// mutex that is held for no I/O; one goroutine writes the buffers out, each
// second and whenever one is full. Memory is bounded: where the disk or the
// reader of a pipe is too slow, lines are dropped and counted, and no request
// waits.
package accesslog

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockerlb/dockerlb/proxy"
)

const (
	// bufferSize is what is written at once; buffers is how many there are.
	bufferSize = 256 << 10
	buffers    = 16
	flushEvery = time.Second
	// usual is more than most lines need: with less room a buffer is full.
	usual = 4 << 10
)

// Options is what Open needs.
type Options struct {
	// Path of the file that is appended to; "-" is Stdout.
	Path   string
	Stdout io.Writer
	// JSON makes each line an object; else it is Envoy's default line.
	JSON bool
}

// Writer is a proxy.AccessLog. Close it after the proxy is shut down.
type Writer struct {
	o       Options
	format  func([]byte, *proxy.Record) []byte
	out     io.Writer // of the writing goroutine
	file    *os.File  // the same; nil: standard output
	dropped atomic.Uint64

	mu   sync.Mutex
	cur  []byte // lines that no one writes yet
	free chan []byte

	full   chan []byte
	reopen chan chan error
	stop   chan struct{}
	done   chan error
	once   sync.Once
	failed error // of Close
}

// Open opens the file and starts writing.
func Open(o Options) (*Writer, error) {
	w := &Writer{
		o: o, format: appendText, out: o.Stdout,
		free: make(chan []byte, buffers), full: make(chan []byte, buffers),
		reopen: make(chan chan error), stop: make(chan struct{}), done: make(chan error, 1),
	}
	if o.JSON {
		w.format = appendJSON
	}
	if o.Path != "-" {
		if err := w.openFile(); err != nil {
			return nil, err
		}
	}
	w.cur = make([]byte, 0, bufferSize)
	for range buffers - 1 {
		w.free <- nil // made when first needed
	}
	go w.run()
	return w, nil
}

func (w *Writer) openFile() error {
	f, err := os.OpenFile(w.o.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("access log: %w", err)
	}
	if w.file != nil {
		w.file.Close()
	}
	w.file, w.out = f, f
	return nil
}

// Log appends the exchange's line. Any goroutine; never waits for I/O.
func (w *Writer) Log(r *proxy.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if bufferSize-len(w.cur) < usual {
		w.turn()
	}
	if w.fits(r) || w.turn() && w.fits(r) {
		return
	}
	w.dropped.Add(1)
}

// fits appends the line to the current buffer, where it has room; w.mu is held.
func (w *Writer) fits(r *proxy.Record) bool {
	b := w.format(w.cur, r)
	if cap(b) != bufferSize { // append has taken another array
		return false
	}
	w.cur = b
	return true
}

// turn hands the current buffer to the writing goroutine and takes a free one;
// w.mu is held. False: there is none.
func (w *Writer) turn() bool {
	var next []byte
	select {
	case next = <-w.free:
	default:
		return false
	}
	w.full <- w.cur // has room: there are as many places as buffers
	if next == nil {
		next = make([]byte, 0, bufferSize)
	}
	w.cur = next[:0]
	return true
}

// Dropped is how many lines were not written.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Reopen opens the file anew by its path, after what renames it: lines up to now
// go to the old one. Where it cannot be opened the old one stays in use.
func (w *Writer) Reopen() error {
	answer := make(chan error, 1)
	select {
	case w.reopen <- answer:
		return <-answer
	case <-w.stop:
		return nil
	}
}

// Close writes what there is and closes the file. Twice is allowed.
func (w *Writer) Close() error {
	w.once.Do(func() {
		close(w.stop)
		w.failed = <-w.done
	})
	return w.failed
}

func (w *Writer) run() {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		// What cannot be written counts as dropped, which is what is told.
		select {
		case b := <-w.full:
			_ = w.write(b)
		case <-tick.C:
			_ = w.flush()
		case answer := <-w.reopen:
			_ = w.flush()
			if w.file == nil {
				answer <- nil
			} else {
				answer <- w.openFile()
			}
		case <-w.stop:
			err := w.flush()
			if w.file != nil {
				if cerr := w.file.Close(); err == nil {
					err = cerr
				}
			}
			w.done <- err
			return
		}
	}
}

// flush writes all that there is.
func (w *Writer) flush() error {
	w.mu.Lock()
	if len(w.cur) > 0 {
		w.turn() // where no buffer is free, the current one is full soon
	}
	w.mu.Unlock()
	var err error
	for {
		select {
		case b := <-w.full:
			err = w.write(b)
			continue
		default:
		}
		break
	}
	w.mu.Lock() // and what no free buffer was there for
	last := len(w.cur) > 0 && w.turn()
	w.mu.Unlock()
	if last {
		err = w.write(<-w.full)
	}
	return err
}

// write writes a buffer and frees it. Lines that cannot be written count as
// dropped.
func (w *Writer) write(b []byte) error {
	n, err := w.out.Write(b)
	if err != nil {
		for _, c := range b[n:] {
			if c == '\n' {
				w.dropped.Add(1)
			}
		}
	}
	w.free <- b
	return err
}
