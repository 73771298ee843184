// Package asynclog writes log records for a thread that must never block. A record is formatted into a bounded buffer in
// memory; a goroutine swaps that buffer for an empty one and writes it out. While the sink is too slow, records are dropped
// and counted, and the log reports how many at the place where they are missing.
//
//	caller: slog handler -> format -> [short mutex] append to buffer, or count a drop
//	writer:                           [short mutex] swap buffers -> write(2), as slow as the sink is
//
// # Invariants
//
//   - The mutex is held for an append or a swap only, never during a write.
//   - Records are written whole and in order.
//   - Memory is two buffers of Options.BufferBytes, however much is logged.
//   - Every record is either written or counted as dropped.
package asynclog

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Format is the format of records.
type Format string

// The formats of log/slog.
const (
	Text Format = "text"
	JSON Format = "json"
)

// ParseFormat accepts "text" and "json".
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case Text, JSON:
		return f, nil
	}
	return "", fmt.Errorf("--log-format %q: choose text or json", s)
}

// DefaultBufferBytes holds about two thousand records of 120 bytes: a burst of disconnects while the terminal scrolls.
const DefaultBufferBytes = 256 << 10

// Options configure [Start].
type Options struct {
	// Format is Text if empty.
	Format Format
	// Level is the lowest level to write; nil means slog.LevelInfo.
	Level slog.Leveler
	// BufferBytes bounds the records that wait to be written. 0 means [DefaultBufferBytes].
	BufferBytes int
}

// Log is a running asynchronous log. Its methods may be called from any goroutine.
type Log struct {
	out     io.Writer
	options Options

	mu    sync.Mutex
	ready *sync.Cond // the writer has work
	// pending has the records that the writer has not taken yet, and swaps places with spare.
	pending, spare []byte
	unreported     uint64          // records dropped since the last report
	flushed        []chan struct{} // closed once everything that was pending before is written
	writing        bool
	closed         bool
}

// Start starts a log with a goroutine that writes to out. The caller ends it with [Log.Close].
func Start(out io.Writer, o Options) *Log {
	if o.BufferBytes <= 0 {
		o.BufferBytes = DefaultBufferBytes
	}
	l := &Log{
		out:     out,
		options: o,
		pending: make([]byte, 0, o.BufferBytes),
		spare:   make([]byte, 0, o.BufferBytes),
	}
	l.ready = sync.NewCond(&l.mu)
	go l.write()
	return l
}

func (l *Log) loggerTo(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.options.Level}
	if l.options.Format == JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// Logger returns a logger that never waits for the sink and never fails.
func (l *Log) Logger() *slog.Logger { return l.loggerTo(l) }

// Write implements [io.Writer] for slog's handlers, which call it once for each record. It never blocks and never fails.
func (l *Log) Write(record []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.pending)+len(record) > cap(l.pending) {
		l.unreported++
		return len(record), nil
	}
	idle := len(l.pending) == 0
	l.pending = append(l.pending, record...)
	if idle {
		l.ready.Signal()
	}
	return len(record), nil
}

// Flush waits until all records logged before the call are written, at most for timeout. It returns whether they are.
func (l *Log) Flush(timeout time.Duration) bool {
	l.mu.Lock()
	if !l.writing && len(l.pending) == 0 && (l.unreported == 0 || l.closed) {
		l.mu.Unlock()
		return true
	}
	done := make(chan struct{})
	l.flushed = append(l.flushed, done)
	l.ready.Signal()
	l.mu.Unlock()

	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// Close flushes like [Log.Flush] and ends the writer. Later records are dropped. A sink that is still stuck after timeout
// keeps the goroutine and nothing else.
func (l *Log) Close(timeout time.Duration) bool {
	complete := l.Flush(timeout)
	l.mu.Lock()
	l.closed = true
	l.ready.Signal()
	l.mu.Unlock()
	return complete
}

// write is the goroutine that owns the sink.
func (l *Log) write() {
	for {
		l.mu.Lock()
		l.writing = false
		for len(l.pending) == 0 && len(l.flushed) == 0 && !l.closed {
			l.ready.Wait()
		}
		if len(l.pending) == 0 && len(l.flushed) == 0 {
			l.mu.Unlock()
			return
		}
		taken, lost, flushed := l.pending, l.unreported, l.flushed
		l.pending, l.spare = l.spare[:0], nil
		l.unreported, l.flushed = 0, nil
		l.writing = true
		l.mu.Unlock()

		// There is nowhere to report a failed sink to, and the records are lost either way.
		_, _ = l.out.Write(taken)
		if lost > 0 {
			_, _ = l.out.Write(l.lostRecord(lost))
		}
		for _, done := range flushed {
			close(done)
		}

		l.mu.Lock()
		l.spare = taken
		l.mu.Unlock()
	}
}

// lostRecord reports in the log's own format how many records are missing at this place.
func (l *Log) lostRecord(lost uint64) []byte {
	var line bytes.Buffer
	l.loggerTo(&line).Error("log records dropped, the log's sink is too slow",
		"records", lost, "buffer_bytes", l.options.BufferBytes)
	return line.Bytes()
}
