package loop

import (
	"fmt"
	"io"
	"time"
)

// EventKind is a kind of event of the flight recorder, with the names of the numbers that it comes with.
type EventKind struct {
	name   string
	fields []string
	format []func(int64) string // by field; nil for a plain number
}

// NewEventKind makes a kind of event. Fields are up to three names.
func NewEventKind(name string, fields ...string) *EventKind {
	if len(fields) > len(event{}.values) {
		panic("loop: an event has three numbers at most")
	}
	return &EventKind{name: name, fields: fields, format: make([]func(int64) string, len(fields))}
}

// As has a field written by f, such as a token by its parts. It returns the kind.
func (k *EventKind) As(field int, f func(int64) string) *EventKind {
	k.format[field] = f
	return k
}

type event struct {
	at     time.Duration
	turn   uint64
	kind   *EventKind
	values [3]int64
}

// recorder is the flight recorder: the last operations of the loop, to find out why an assertion failed. The failure writes
// them out. An event costs some nanoseconds and allocates nothing.
type recorder struct {
	events []event
	n      uint64 // ever recorded
}

// KeepEvents makes the flight recorder keep the last n events, and drops those it has.
func (l *Loop) KeepEvents(n int) { l.recorder.events = make([]event, n) }

// Record notes an event of the turn under way, with the numbers that its kind names.
func (l *Loop) Record(kind *EventKind, values ...int64) {
	e := &l.recorder.events[l.recorder.n%uint64(len(l.recorder.events))]
	l.recorder.n++
	e.at, e.turn, e.kind = l.now, l.turn, kind
	e.values = [3]int64{}
	copy(e.values[:], values)
}

// Recorded is the number of events recorded since the start.
func (l *Loop) Recorded() uint64 { return l.recorder.n }

// WriteEvents writes the last events, the oldest first, a line each.
func (l *Loop) WriteEvents(w io.Writer) {
	r := &l.recorder
	kept := uint64(len(r.events))
	for i := r.n - min(r.n, kept); i < r.n; i++ {
		e := &r.events[i%kept]
		fmt.Fprintf(w, "%12.6f turn %d %s", e.at.Seconds(), e.turn, e.kind.name)
		for j, field := range e.kind.fields {
			if f := e.kind.format[j]; f != nil {
				fmt.Fprintf(w, " %s=%s", field, f(e.values[j]))
			} else {
				fmt.Fprintf(w, " %s=%d", field, e.values[j])
			}
		}
		fmt.Fprintln(w)
	}
}

// Guard must be deferred by everything that runs for the server. On a panic, such as that of a failed assertion, it writes the
// last events. The panic goes on with its own stack.
func (l *Loop) Guard(ended *bool) {
	if *ended {
		return
	}
	fmt.Fprintln(l.CrashLog, "internal error, an assertion failed; the last operations of the loop were:")
	l.WriteEvents(l.CrashLog)
	fmt.Fprintln(l.CrashLog, "please report the lines above with the panic and its stack, which follow")
}
